/* The Perl side of the interface. Rust never runs Perl code: it returns a question, and the loop in xs/ask.h calls the
 * callback while no Rust frame is alive, and passes the answer to Rust (docs/decisions/0001). */
#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"
#include "crates/perl/src/ffi.h"
#include <time.h>

typedef struct reply_s reply_t;

/* The trace of a connection (option debug). */
typedef struct {
  SV *to;             /* code or a handle; NULL is standard error */
  double since;       /* the end of the last call or the start of this one, in milliseconds */
  U32 sent[2];        /* messages of the client and of the server in this exchange */
  const char *chosen; /* the mechanism of the last line about the choice */
} trace_t;

/* The data that a connection's magic points to. `reply` outlives it while a callback keeps its continuation. */
typedef struct {
  asr_handle *rust;
  HV *self;           /* not counted: the magic belongs to it */
  reply_t *reply;
  SV *continuation;   /* the program's, for the current step */
  trace_t *trace;     /* NULL unless the option debug is set */
  HV *callbacks;      /* NULL while values holds all callbacks (xs/callbacks.h) */
  U32 known;          /* bit n: values has the callback with the number n */
  U8 called;          /* the number of the callback that was called last */
  U8 asking;          /* QUIET, CALLING or OWED (xs/ask.h) */
  U8 flags;
  bool gave_token;    /* in this exchange, the callback `token` was asked */
  SV *values[];
} conn_t;

#define IS_SERVER 1
#define DIES 2
#define TOKEN_FROM_PASS 4
#define STARTS 16            /* the current or last call began the exchange */
#define GIVES_CHARACTERS 32   /* option characters */
#define HAS_HEARD 64          /* the peer has sent something */
#define GIVEN_TAINTED 128     /* the program has given a tainted value */

/* Shared by a connection and the continuations that its callbacks have received. */
struct reply_s {
  conn_t *conn;       /* NULL once the connection is gone */
  U32 count;
  U32 serial;         /* of the pending question */
  SV *answer;         /* set while the callback still ran */
};

/* What each new connection needs from the symbol table. */
#define MY_CXT_KEY "Authen::SASL::Rust::_globals"
typedef struct {
  HV *connections;    /* the class */
  GV *dies;           /* $DIE_ON_FAILURE */
} my_cxt_t;
START_MY_CXT

static void find_globals(pTHX_ my_cxt_t *globals) {
  globals->connections = (HV *)SvREFCNT_inc((SV *)gv_stashpvs("Authen::SASL::Rust::Connection", GV_ADD));
  globals->dies = (GV *)SvREFCNT_inc((SV *)gv_fetchpvs("Authen::SASL::Rust::DIE_ON_FAILURE", GV_ADD, SVt_PV));
}

#include "xs/values.h"
#include "xs/arguments.h"
#include "xs/callbacks.h"
#include "xs/trace.h"
#include "xs/connection.h"
#include "xs/ask.h"
#include "xs/layer.h"
#include "xs/accounts.h"

MODULE = Authen::SASL::Rust  PACKAGE = Authen::SASL::Rust

PROTOTYPES: DISABLE

BOOT:
{
    MY_CXT_INIT;
    find_globals(aTHX_ &MY_CXT);
    asr_loaded();
}

#ifdef USE_ITHREADS

void
CLONE(...)
  PPCODE:
    {
      MY_CXT_CLONE;
      find_globals(aTHX_ &MY_CXT);
    }
    PERL_UNUSED_VAR(items);

#endif

SV *
client_new(pkg, parent, service = &PL_sv_undef, host = &PL_sv_undef, ...)
    SV *pkg
    SV *parent
    SV *service
    SV *host
  ALIAS:
    server_new = IS_SERVER
  CODE:
    PERL_UNUSED_VAR(pkg);
    RETVAL = SvREFCNT_inc(new_connection(aTHX_ ix, parent, service, host,
        items > 4 ? ST(4) : NULL, items > 5 ? ST(5) : NULL));
  OUTPUT:
    RETVAL

void
_usable(conn = NULL)
    SV *conn
  PREINIT:
    asr_slice names;
    asr_text *owner;
  PPCODE:
    owner = asr_usable(conn ? connection_of(aTHX_ conn)->rust : NULL, &names);
    mXPUSHp(names.ptr, names.len);
    asr_text_free(owner);

void
_option_names()
  PREINIT:
    asr_slice names;
    asr_text *owner;
  PPCODE:
    owner = asr_option_names(&names);
    mXPUSHp(names.ptr, names.len);
    asr_text_free(owner);

void
_nearest(name, names, own)
    text_t name
    text_t names
    bool own
  PPCODE:
    XPUSHs(text_or_undef(aTHX_ asr_nearest(name, names, own)));

bool
_knows(name)
    text_t name
  CODE:
    RETVAL = asr_knows(name);
  OUTPUT:
    RETVAL

void
_make_verifier(mechanism, password, salt, iterations, spelling)
    text_t mechanism
    text_t password
    bytes_t salt
    count_t iterations
    text_t spelling
  PREINIT:
    asr_slice text;
    asr_text *owner;
    int ok;
  PPCODE:
    ok = asr_make_verifier(mechanism, password, salt, AS_U32(iterations), spelling, &text, &owner);
    mXPUSHp(text.ptr, text.len);
    asr_text_free(owner);
    if (!ok) blame_caller(aTHX_ sv_2mortal(newSVpvf("scram_verifier: %" SVf, SVfARG(TOPs))));

void
_salted_password(mechanism, password, salt, iterations)
    text_t mechanism
    text_t password
    bytes_t salt
    count_t iterations
  ALIAS:
    _verifier_of_salted = 1
  PREINIT:
    asr_slice text;
    asr_text *owner;
    int ok;
  PPCODE:
    if (ix) password = octets(aTHX_ ST(1));
    ok = ix ? asr_verifier_of_salted(mechanism, password, salt, AS_U32(iterations), &text, &owner)
            : asr_salted_password(mechanism, password, salt, AS_U32(iterations), &text, &owner);
    mXPUSHp(text.ptr, text.len);
    asr_text_free(owner);
    if (!ok) blame_caller(aTHX_ TOPs);

void
_random(length)
    count_t length
  PREINIT:
    SV *bytes;
  PPCODE:
    bytes = sv_2mortal(newSV(AS_U32(length) + 1));
    if (!asr_random(SvPVX(bytes), AS_U32(length))) croak("the operating system has no random bytes");
    SvPVX(bytes)[AS_U32(length)] = '\0';
    SvCUR_set(bytes, AS_U32(length));
    SvPOK_only(bytes);
    XPUSHs(bytes);

IV
_saslprep(name)
    text_t name
  CODE:
    RETVAL = asr_saslprep(name);
  OUTPUT:
    RETVAL

void
_make_otp_state(prefix, phrase, hash, seed, host, sequence)
    SV *prefix
    text_t phrase
    text_t hash
    text_t seed
    text_t host
    count_t sequence
  PREINIT:
    asr_slice text;
    asr_text *owner;
    int ok;
  PPCODE:
    ok = asr_make_otp_state(phrase, hash, seed, host, AS_U32(sequence), &text, &owner);
    mXPUSHp(text.ptr, text.len);
    asr_text_free(owner);
    if (!ok) blame_caller(aTHX_ sv_2mortal(newSVpvf("%" SVf "%" SVf, SVfARG(prefix), SVfARG(TOPs))));

void
_plugins(conn, path, load, prefer, options)
    SV *conn
    text_t path
    text_t load
    bool prefer
    text_t options
  PREINIT:
    asr_slice text;
    asr_text *owner;
    int ok;
  PPCODE:
    ok = asr_plugins_load(SvOK(conn) ? connection_of(aTHX_ conn)->rust : NULL, path, load, prefer, options, &text, &owner);
    mXPUSHs(text_sv(aTHX_ text));
    asr_text_free(owner);
    if (!ok) blame_caller(aTHX_ sv_2mortal(newSVpvf("plugins: %" SVf, SVfARG(TOPs))));

void
_no_plugins(conn)
    SV *conn
  PPCODE:
    asr_plugins_none(SvOK(conn) ? connection_of(aTHX_ conn)->rust : NULL);

void
_known_plugins()
  PREINIT:
    asr_slice text;
    asr_text *owner;
  PPCODE:
    owner = asr_plugins_report(&text);
    mXPUSHs(text_sv(aTHX_ text));
    asr_text_free(owner);

MODULE = Authen::SASL::Rust  PACKAGE = Authen::SASL::Rust::Connection

int
_setpass(conn, user, password, flags)
    conn_t *conn
    text_t user
    text_t password
    count_t flags
  CODE:
    RETVAL = asr_setpass(conn->rust, user, password, AS_U32(flags));
  OUTPUT:
    RETVAL

void
client_start(conn, ...)
    conn_t *conn
  PPCODE:
    check_side(aTHX_ conn, 0, "client_start");
    PUTBACK;
    run(aTHX_ conn, START, &PL_sv_undef, NULL);
    return;

void
server_start(conn, initial = &PL_sv_undef, continuation = NULL)
    conn_t *conn
    SV *initial
    SV *continuation
  ALIAS:
    client_step = 1
    server_step = 2
  PREINIT:
    static const char *const methods[] = { "server_start", "client_step", "server_step" };
  PPCODE:
    check_side(aTHX_ conn, ix == 1 ? 0 : IS_SERVER, methods[ix]);
    PUTBACK;
    run(aTHX_ conn, ix ? STEP : START, initial, ix == 1 ? NULL : continuation);
    return;

void
need_step(conn)
    conn_t *conn
  ALIAS:
    is_success = 1
  PPCODE:
    XPUSHs(boolSV(asr_status(conn->rust) & (1 << ix)));

void
error(self)
    SV *self
  PREINIT:
    SV *words;
  PPCODE:
    words = words_of_copy(aTHX_ self);
    if (words) {
      const char *text = SvPVX_const(words) + strlen(SvPVX_const(words)) + 1;
      SV *told = *text ? newSVpvn_flags(text, SvEND(words) - text, SVs_TEMP) : &PL_sv_undef;
      if (*text) SvTAINTED_on(told);   /* it may quote text from the peer */
      XPUSHs(told);
    } else {
      conn_t *conn = connection_of(aTHX_ self);
      XPUSHs(said(aTHX_ conn, asr_error(conn->rust), IS_TAINTED(conn)));
    }

void
_words(self)
    SV *self
  PREINIT:
    SV *words;
  PPCODE:
    words = words_of_copy(aTHX_ self);
    if (words) XPUSHs(sv_mortalcopy(words));
    else mXPUSHs(last_words(aTHX_ connection_of(aTHX_ self)));

void
_be_copy(self, words)
    SV *self
    SV *words
  PREINIT:
    asr_slice text;
  CODE:
    self = sv_mortalcopy(self);        /* reading the words may run Perl code */
    text = octets(aTHX_ words);
    if (!text.ptr || !memchr(text.ptr, 0, text.len)) croak("a copy has a mechanism and an error");
    if (!SvROK(self) || mg_findext(SvRV(self), PERL_MAGIC_ext, &conn_vtbl)) croak("a new object was expected");
    words = newSVpvn_flags(text.ptr, text.len, SVs_TEMP);
    sv_magicext(SvRV(self), words, PERL_MAGIC_ext, &conn_vtbl, NULL, 0)->mg_flags |= MGf_DUP;

bool
_is_copy(self)
    SV *self
  CODE:
    RETVAL = words_of_copy(aTHX_ self) != NULL;
  OUTPUT:
    RETVAL

void
abandon(conn)
    conn_t *conn
  PPCODE:
    if (conn->asking == CALLING) {
      asr_busy(conn->rust);
    } else {
      if (conn->asking == OWED) new_serial(aTHX_ conn->reply);
      conn->asking = QUIET;
      asr_abandon(conn->rust);
    }

int
code(conn)
    conn_t *conn
  CODE:
    RETVAL = asr_code(conn->rust);
  OUTPUT:
    RETVAL

# True if the peer was neither accepted nor rejected: the error is not a failure of the peer.
bool
_is_unavailable(conn)
    conn_t *conn
  CODE:
    RETVAL = asr_unavailable(conn->rust) != 0;
  OUTPUT:
    RETVAL

# True if the accounts of a server are unavailable now. The connection has then failed with that error.
bool
_lacks_accounts(conn)
    conn_t *conn
  CODE:
    RETVAL = asr_lacks_accounts(conn->rust) != 0;
  OUTPUT:
    RETVAL

int
_order(conn)
    conn_t *conn
  CODE:
    RETVAL = asr_rank(conn->rust);
  OUTPUT:
    RETVAL

void
_get(conn, name)
    conn_t *conn
    text_t name
  PPCODE:
    XPUSHs(said(aTHX_ conn, asr_get(conn->rust, name), conn->flags & GIVEN_TAINTED || is_of_peer(aTHX_ conn, name)));

# A name or password from the program, in the form that callbacks get.
void
_text(conn, text)
    conn_t *conn
    text_t text
  PPCODE:
    XPUSHs(said(aTHX_ conn, text, SvTAINTED(ST(1))));

void
_set(conn, name, value)
    conn_t *conn
    text_t name
    SV *value
  PREINIT:
    asr_slice text, reason = { NULL, 0 };
    int known;
  CODE:
    if (!asr_knows(name)) XSRETURN_NO;
    if (SvGMAGICAL(value)) value = sv_mortalcopy(value);
    if (IS_MERE_REFERENCE(value))
      blame_caller(aTHX_ sv_2mortal(newSVpvf("%" SVf ": a string or a number was expected, but this is a reference",
          SVfARG(text_or_undef(aTHX_ name)))));
    value = settled(aTHX_ value);
    was_given(aTHX_ conn, value);
    text = characters(aTHX_ value);
    known = asr_set(conn->rust, name, text, &reason);
    if (known < 0) blame_caller(aTHX_ text_or_undef(aTHX_ reason));
    ST(0) = boolSV(known);
    XSRETURN(1);

void
_add_binding(conn, kind, data)
    conn_t *conn
    text_t kind
    bytes_t data
  PREINIT:
    asr_slice reason;
  CODE:
    reason = asr_bind(conn->rust, kind, data);
    if (reason.ptr) blame_caller(aTHX_ text_or_undef(aTHX_ reason));

void
_unbind(conn)
    conn_t *conn
  CODE:
    asr_unbind(conn->rust);

void
_tls(conn, bits, certificate)
    conn_t *conn
    count_t bits
    bool certificate
  CODE:
    asr_tls(conn->rust, AS_U32(bits), certificate);

void
_unix_peer(conn, is_one)
    conn_t *conn
    bool is_one
  CODE:
    asr_unix_peer(conn->rust, is_one);

void
_pick(conn, name)
    conn_t *conn
    text_t name
  PPCODE:
    XPUSHs(boolSV(asr_pick(conn->rust, name)));

void
_callbacks(conn)
    conn_t *conn
  PPCODE:
    mXPUSHs(newRV_inc((SV *)callbacks_hash(aTHX_ conn)));

void
_callbacks_changed(conn)
    conn_t *conn
  CODE:
    asr_set_abilities(conn->rust, abilities(aTHX_ conn));

void
_die_on_failure(conn, on)
    conn_t *conn
    bool on
  ALIAS:
    _characters = 1
  PREINIT:
    U8 flag;
  CODE:
    flag = ix ? GIVES_CHARACTERS : DIES;
    conn->flags = on ? conn->flags | flag : conn->flags & ~flag;

void
_debug(conn, to)
    conn_t *conn
    SV *to
  CODE:
    trace_to(aTHX_ conn, sv_mortalcopy(to));

void
_side(conn)
    conn_t *conn
  PPCODE:
    mXPUSHi(conn->flags & IS_SERVER);

void
encode(conn, data, ...)
    conn_t *conn
    bytes_t data
  ALIAS:
    decode = 1
  PREINIT:
    SV *out;
  PPCODE:
    out = through_layer(aTHX_ conn, data, (bool)ix, ix || SvTAINTED(ST(1)));
    if (!out) XSRETURN_EMPTY;
    XPUSHs(out);

void
_use_accounts(conn, accounts = NULL)
    conn_t *conn
    accounts_t *accounts
  CODE:
    asr_use_accounts(conn->rust, accounts);

void
_auxprop(conn, name)
    conn_t *conn
    text_t name
  PREINIT:
    asr_slice value;
    size_t i;
  PPCODE:
    for (i = 0; value = asr_auxprop(conn->rust, name, i), value.ptr; i++) XPUSHs(said(aTHX_ conn, value, TRUE));

void
_layered(conn)
    conn_t *conn
  PPCODE:
    XPUSHs(boolSV(asr_layered(conn->rust)));

INCLUDE: ../../../xs/layer.xs
INCLUDE: ../../../xs/accounts.xs
