/* The Perl side of the border. Rust never runs Perl code: it asks, the loop here calls the callback
 * while no Rust frame is alive, and answers (docs/decisions/0001). */
#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"
#include "src/ffi.h"

/* What a connection's magic points to. `reply` outlives it while a callback's continuation is kept. */
typedef struct reply_s reply_t;
typedef struct {
  asr_handle *rust;
  HV *self;           /* not counted: the magic belongs to it */
  HV *callbacks;      /* a copy of the Authen::SASL object's */
  reply_t *reply;
  SV *continuation;   /* the program's, of the step that is under way */
  U8 asking;          /* a callback runs, or owes an answer */
  U8 flags;
} conn_t;

#define IS_SERVER 1
#define DIES 2
#define TOKEN_FROM_PASS 4
#define TRACES 8
#define STARTS 16            /* the call that is under way, or was the last one, began the exchange */

/* Shared by a connection and the continuations that its callbacks were given. */
struct reply_s {
  conn_t *conn;       /* NULL once the connection is gone */
  U32 count;
  U32 serial;         /* of the question that waits */
  SV *answer;         /* given while the callback still ran */
};

#include "xs/values.h"
#include "xs/trace.h"
#include "xs/connection.h"
#include "xs/ask.h"
#include "xs/layer.h"
#include "xs/accounts.h"

MODULE = Authen::SASL::Rust  PACKAGE = Authen::SASL::Rust

PROTOTYPES: DISABLE

BOOT:
    asr_loaded();

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
    SV *name
    SV *names
    bool own
  PREINIT:
    asr_slice typed, known;
  PPCODE:
    typed = characters(aTHX_ name);
    known = characters(aTHX_ names);
    XPUSHs(text_or_undef(aTHX_ asr_nearest(typed, known, own)));

bool
_knows(name)
    SV *name
  CODE:
    RETVAL = asr_knows(characters(aTHX_ name));
  OUTPUT:
    RETVAL

void
_make_verifier(mechanism, password, salt, iterations, spelling)
    SV *mechanism
    SV *password
    SV *salt
    U32 iterations
    SV *spelling
  PREINIT:
    asr_slice text, m, p, s, w;
    asr_text *owner;
    int ok;
  PPCODE:
    m = characters(aTHX_ mechanism);
    p = characters(aTHX_ password);
    s = octets(aTHX_ salt);
    w = characters(aTHX_ spelling);
    ok = asr_make_verifier(m, p, s, iterations, w, &text, &owner);
    mXPUSHp(text.ptr, text.len);
    asr_text_free(owner);
    if (!ok) croak("scram_verifier: %" SVf, SVfARG(ST(0)));

void
_plugins(conn, path, load, prefer, options)
    SV *conn
    SV *path
    SV *load
    bool prefer
    SV *options
  PREINIT:
    asr_slice where, names, pairs, text;
    asr_text *owner;
    int ok;
  PPCODE:
    where = characters(aTHX_ path);
    names = characters(aTHX_ load);
    pairs = characters(aTHX_ options);
    ok = asr_plugins_load(SvOK(conn) ? connection_of(aTHX_ conn)->rust : NULL, where, names, prefer, pairs, &text, &owner);
    mXPUSHs(text_sv(aTHX_ text));
    asr_text_free(owner);
    if (!ok) croak("plugins: %" SVf, SVfARG(TOPs));

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
_setpass(self, user, password, flags)
    SV *self
    SV *user
    SV *password
    U32 flags
  PREINIT:
    asr_slice name, secret;
  CODE:
    name = characters(aTHX_ user);
    secret = characters(aTHX_ password);
    RETVAL = asr_setpass(connection_of(aTHX_ self)->rust, name, secret, flags);
  OUTPUT:
    RETVAL

void
client_start(self, ...)
    SV *self
  PREINIT:
    conn_t *conn;
  PPCODE:
    conn = connection_of(aTHX_ self);
    PUTBACK;
    run(aTHX_ conn, START, &PL_sv_undef, NULL);
    return;

void
server_start(self, initial = &PL_sv_undef, continuation = NULL)
    SV *self
    SV *initial
    SV *continuation
  ALIAS:
    client_step = 1
    server_step = 2
  PREINIT:
    conn_t *conn;
  PPCODE:
    conn = connection_of(aTHX_ self);
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
error(conn)
    conn_t *conn
  PPCODE:
    XPUSHs(text_or_undef(aTHX_ asr_error(conn->rust)));

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

int
_order(conn)
    conn_t *conn
  CODE:
    RETVAL = asr_rank(conn->rust);
  OUTPUT:
    RETVAL

void
_get(self, name)
    SV *self
    SV *name
  PREINIT:
    asr_slice key;
  PPCODE:
    key = characters(aTHX_ name);
    key = asr_get(connection_of(aTHX_ self)->rust, key);
    XPUSHs(text_or_undef(aTHX_ key));

void
_set(self, name, value)
    SV *self
    SV *name
    SV *value
  PREINIT:
    asr_slice key, text, reason;
    int known;
  PPCODE:
    (void)connection_of(aTHX_ self);
    name = settled(aTHX_ sv_mortalcopy(name));
    if (!asr_knows(characters(aTHX_ name))) XSRETURN_NO;
    if (IS_MERE_REFERENCE(value)) croak("%" SVf ": a string or a number was expected, and this is a reference", SVfARG(name));
    text = characters(aTHX_ value);
    key = characters(aTHX_ name);
    known = asr_set(connection_of(aTHX_ self)->rust, key, text, &reason);
    if (known < 0) croak("%" SVf, SVfARG(text_or_undef(aTHX_ reason)));
    XPUSHs(boolSV(known));

void
_add_binding(self, kind, data)
    SV *self
    SV *kind
    SV *data
  PREINIT:
    asr_slice type, bytes, reason;
  PPCODE:
    type = characters(aTHX_ kind);
    bytes = octets(aTHX_ data);
    reason = asr_bind(connection_of(aTHX_ self)->rust, type, bytes);
    if (reason.ptr) croak("%" SVf, SVfARG(text_or_undef(aTHX_ reason)));

void
_unbind(conn)
    conn_t *conn
  CODE:
    asr_unbind(conn->rust);

void
_tls_ssf(conn, bits)
    conn_t *conn
    U32 bits
  CODE:
    asr_tls_ssf(conn->rust, bits);

void
_pick(self, name)
    SV *self
    SV *name
  PREINIT:
    asr_slice key;
  PPCODE:
    key = characters(aTHX_ name);
    XPUSHs(boolSV(asr_pick(connection_of(aTHX_ self)->rust, key)));

void
_callbacks(conn)
    conn_t *conn
  PPCODE:
    mXPUSHs(newRV_inc((SV *)conn->callbacks));

void
_callbacks_changed(conn)
    conn_t *conn
  CODE:
    asr_set_abilities(conn->rust, abilities(aTHX_ conn));

void
_die_on_failure(conn, on)
    conn_t *conn
    bool on
  CODE:
    conn->flags = on ? conn->flags | DIES : conn->flags & ~DIES;

void
_side(conn)
    conn_t *conn
  PPCODE:
    mXPUSHi(conn->flags & IS_SERVER);

void
encode(self, data, ...)
    SV *self
    SV *data
  ALIAS:
    decode = 1
  PREINIT:
    SV *out;
  PPCODE:
    out = through_layer(aTHX_ self, data, (bool)ix);
    if (!out) XSRETURN_EMPTY;
    XPUSHs(out);

void
_use_accounts(conn, accounts = NULL)
    conn_t *conn
    accounts_t *accounts
  CODE:
    asr_use_accounts(conn->rust, accounts);

void
_auxprop(self, name)
    SV *self
    SV *name
  PREINIT:
    asr_slice key, value;
    conn_t *conn;
    size_t i;
  PPCODE:
    key = characters(aTHX_ name);
    conn = connection_of(aTHX_ self);
    for (i = 0; value = asr_auxprop(conn->rust, key, i), value.ptr; i++) mXPUSHs(text_sv(aTHX_ value));

void
_layered(conn)
    conn_t *conn
  PPCODE:
    XPUSHs(boolSV(asr_layered(conn->rust)));

MODULE = Authen::SASL::Rust  PACKAGE = Authen::SASL::Rust::Layer

void
_own(self, conn)
    SV *self
    conn_t *conn
  PREINIT:
    const asr_layer *layer;
  CODE:
    if (!SvROK(self)) croak("a reference was expected");
    layer = asr_layer_share(conn->rust);
    if (!layer) croak("there is no security layer");
    attach(aTHX_ SvRV(self), &layer_vtbl, layer);

void
_frames(self, data, offset, length)
    SV *self
    SV *data
    size_t offset
    size_t length
  PREINIT:
    asr_slice in, out;
    asr_bytes *owner;
  PPCODE:
    in = octets(aTHX_ data);
    if (!in.ptr || offset > in.len || length > in.len - offset) croak("Offset outside string");
    in.ptr += offset;
    in.len = length;
    owner = asr_layer_frame(layer_of(aTHX_ self), in, &out);
    if (!owner) XSRETURN_UNDEF;
    mXPUSHp(out.ptr, out.len);
    asr_bytes_free(owner);

bool
_feed(self, bytes)
    SV *self
    SV *bytes
  PREINIT:
    asr_slice in;
  CODE:
    in = octets(aTHX_ bytes);
    RETVAL = asr_layer_feed(layer_of(aTHX_ self), in);
  OUTPUT:
    RETVAL

size_t
_ready(self)
    SV *self
  ALIAS:
    _wanted = 1
  CODE:
    RETVAL = ix ? asr_layer_wanted(layer_of(aTHX_ self)) : asr_layer_ready(layer_of(aTHX_ self));
  OUTPUT:
    RETVAL

size_t
_find(self, separator)
    SV *self
    SV *separator
  PREINIT:
    asr_slice what;
  CODE:
    what = octets(aTHX_ separator);
    RETVAL = asr_layer_find(layer_of(aTHX_ self), what);
  OUTPUT:
    RETVAL

size_t
_take(self, buffer, length, offset)
    SV *self
    SV *buffer
    size_t length
    IV offset
  PREINIT:
    const asr_layer *layer;
  CODE:
    layer = layer_of(aTHX_ self);
    RETVAL = asr_layer_ready(layer);
    if (RETVAL > length) RETVAL = length;
    read_into(aTHX_ layer, buffer, RETVAL, offset);
  OUTPUT:
    RETVAL

void
_cut(self)
    SV *self
  CODE:
    asr_layer_cut(layer_of(aTHX_ self));

void
_error(self)
    SV *self
  PREINIT:
    asr_slice text;
    asr_text *owner;
  PPCODE:
    owner = asr_layer_error(layer_of(aTHX_ self), &text);
    if (!owner) XSRETURN_UNDEF;
    XPUSHs(text_or_undef(aTHX_ text));
    asr_text_free(owner);

INCLUDE: ../../../xs/accounts.xs
