/* The life of a connection object: a blessed hash whose magic points to a conn_t. */

static void reply_release(pTHX_ reply_t *reply) {
  if (reply && --reply->count == 0) Safefree(reply);
}

static int conn_free(pTHX_ SV *sv, MAGIC *mg) {
  conn_t *conn = (conn_t *)mg->mg_ptr;
  SV *continuation, *tracer, *values[CB_COUNT];
  HV *callbacks;
  int count;
  PERL_UNUSED_VAR(sv);
  if (!conn) return 0;
  mg->mg_ptr = NULL;
  if (conn->reply) {
    SV *answer = conn->reply->answer;
    conn->reply->conn = NULL;
    conn->reply->answer = NULL;
    reply_release(aTHX_ conn->reply);
    if (answer) sv_2mortal(answer);
  }
  asr_free(conn->rust);
  continuation = conn->continuation;
  callbacks = conn->callbacks;
  count = KNOWN_CALLBACKS(conn);
  Copy(conn->values, values, count, SV *);
  tracer = conn->trace ? conn->trace->to : NULL;
  Safefree(conn->trace);
  Safefree(conn);
  SvREFCNT_dec(tracer);
  SvREFCNT_dec(continuation);         /* from here on a DESTROY may call exit */
  SvREFCNT_dec((SV *)callbacks);
  while (count) SvREFCNT_dec(values[--count]);
  return 0;
}

static const char *kind_of(pTHX_ SV *sv) {
  if (!SvROK(sv)) return "a string";
  if (SvOBJECT(SvRV(sv))) return "an object";
  switch (SvTYPE(SvRV(sv))) {
    case SVt_PVAV: return "an array reference";
    case SVt_PVHV: return "a hash reference";
    case SVt_PVCV: return "a code reference";
    default: return "a reference";
  }
}

/* Ends the exchange because the last callback cannot answer; `what` is that callback, or the value that it returned. */
static int give_up(pTHX_ conn_t *conn, int why, SV *what) {
  asr_slice name, kind = { NULL, 0 };
  name.ptr = callback_names[conn->called].text;
  name.len = callback_names[conn->called].len;
  if (what) {
    kind.ptr = kind_of(aTHX_ what);
    kind.len = strlen(kind.ptr);
  }
  return asr_abort(conn->rust, why, name, kind);
}

/* Runs in a destructor: an exception cannot leave it. */
static void call_with_nothing(pTHX_ SV *continuation) {
  dSP;
  ENTER;
  SAVETMPS;
  PUSHSTACKi(PERLSI_DESTROY);
  PUSHMARK(SP);
  PUTBACK;
  call_sv(continuation, G_VOID | G_DISCARD | G_EVAL | G_KEEPERR);
  POPSTACK;
  FREETMPS;
  LEAVE;
}

/* If a continuation is destroyed, its question can never be answered: report that. */
static int reply_free(pTHX_ SV *sv, MAGIC *mg) {
  reply_t *reply = (reply_t *)mg->mg_ptr;
  if (!reply) return 0;
  if (reply->conn && mg->mg_obj && reply->serial == (U32)CvXSUBANY((CV *)sv).any_i32) {
    reply->conn->asking = 0;
    give_up(aTHX_ reply->conn, ASR_DROPPED, NULL);
    if (!PL_dirty) call_with_nothing(aTHX_ mg->mg_obj);
  }
  reply_release(aTHX_ reply);
  mg->mg_ptr = NULL;
  return 0;
}

static int keys_free(pTHX_ SV *sv, MAGIC *mg) {
  PERL_UNUSED_VAR(sv);
  if (mg->mg_ptr) asr_keys_free((const asr_keys *)mg->mg_ptr);
  mg->mg_ptr = NULL;
  return 0;
}

/* A handle belongs to one thread: in another thread its magic points to nothing. */
#ifdef USE_ITHREADS
static int forget_in_clone(pTHX_ MAGIC *mg, CLONE_PARAMS *param) {
  PERL_UNUSED_VAR(param);
  mg->mg_ptr = NULL;
  return 0;
}
#else
#define forget_in_clone NULL
#endif

/* A copy of a connection, in another thread or made by Storable, has no exchange. It returns the mechanism and the error of its
 * original, because Authen::SASL reads them from its object. It holds "mechanism" NUL "error" instead of a conn_t. */
static SV *last_words(pTHX_ conn_t *conn) {
  static const char name[] = "mechanism";
  asr_slice text = { NULL, 0 };
  SV *words = newSVpvs("");
  text.ptr = name;
  text.len = sizeof(name) - 1;
  text = asr_get(conn->rust, text);
  if (text.ptr) sv_catpvn(words, text.ptr, text.len);
  sv_catpvn(words, "", 1);
  text = asr_error(conn->rust);
  if (text.ptr) sv_catpvn(words, text.ptr, text.len);
  return words;
}

#ifdef USE_ITHREADS
static int conn_in_clone(pTHX_ MAGIC *mg, CLONE_PARAMS *param) {
  PERL_UNUSED_VAR(param);
  if (!mg->mg_ptr) return 0;
  mg->mg_obj = last_words(aTHX_ (conn_t *)mg->mg_ptr);
  mg->mg_flags |= MGf_REFCOUNTED;
  mg->mg_ptr = NULL;
  return 0;
}
#else
#define conn_in_clone NULL
#endif

static MGVTBL conn_vtbl = { NULL, NULL, NULL, NULL, conn_free, NULL, conn_in_clone, NULL };
static MGVTBL reply_vtbl = { NULL, NULL, NULL, NULL, reply_free, NULL, forget_in_clone, NULL };
static MGVTBL keys_vtbl = { NULL, NULL, NULL, NULL, keys_free, NULL, forget_in_clone, NULL };

static void attach(pTHX_ SV *sv, MGVTBL *vtbl, const void *what) {
  MAGIC *mg = sv_magicext(sv, NULL, PERL_MAGIC_ext, vtbl, (const char *)what, 0);
  mg->mg_flags |= MGf_DUP;
}

static void *attached(pTHX_ SV *sv, MGVTBL *vtbl) {
  MAGIC *mg = SvTYPE(sv) >= SVt_PVMG ? mg_findext(sv, PERL_MAGIC_ext, vtbl) : NULL;
  return mg ? mg->mg_ptr : NULL;
}

/* The text of a copy; NULL for anything else. */
static SV *words_of_copy(pTHX_ SV *sv) {
  MAGIC *mg = SvROK(sv) && SvTYPE(SvRV(sv)) >= SVt_PVMG ? mg_findext(SvRV(sv), PERL_MAGIC_ext, &conn_vtbl) : NULL;
  return mg && !mg->mg_ptr ? mg->mg_obj : NULL;
}

static conn_t *connection_of(pTHX_ SV *sv) {
  conn_t *conn = NULL;
  if (SvROK(sv)) conn = (conn_t *)attached(aTHX_ SvRV(sv), &conn_vtbl);
  if (!conn) croak("not a live connection of Authen::SASL::Rust (it is a copy, or was made in another thread, or not by client_new or server_new)");
  return conn;
}

/* Text for the program: octets, or characters if it requested those; under -T tainted if it may come from the peer. */
static SV *new_said(pTHX_ conn_t *conn, asr_slice text, bool tainted) {
  SV *sv = text_sv(aTHX_ text);
  if (conn->flags & GIVES_CHARACTERS && is_encoded(aTHX_ text.ptr, text.len)) SvUTF8_on(sv);
  if (tainted) SvTAINTED_on(sv);
  return sv;
}

/* The same as a mortal; undef for an absent text. */
static SV *said(pTHX_ conn_t *conn, asr_slice text, bool tainted) {
  return text.ptr ? sv_2mortal(new_said(aTHX_ conn, text, tainted)) : &PL_sv_undef;
}

#define IS_TAINTED(conn) ((conn)->flags & (HAS_HEARD | GIVEN_TAINTED))

/* Records a value from the program. */
static void was_given(pTHX_ conn_t *conn, SV *sv) {
  if (SvTAINTED(sv)) conn->flags |= GIVEN_TAINTED;
}

/* Whether a property comes from the peer. A client's own identity comes from its program. */
static bool is_of_peer(pTHX_ conn_t *conn, asr_slice name) {
  static const char *const names[] = { "realm", "user", "authuser", "authcid", "authzid", "claimed_user" };
  int i, count = conn->flags & IS_SERVER ? 6 : 1;
  for (i = 0; conn->flags & HAS_HEARD && i < count; i++)
    if (name.len == strlen(names[i]) && memEQ(name.ptr, names[i], name.len)) return TRUE;
  return FALSE;
}

/* The methods of the other side would run this side's exchange with the wrong messages. */
static void check_side(pTHX_ conn_t *conn, int side, const char *method) {
  if ((conn->flags & IS_SERVER) != side)
    croak("%s: this connection is a %s, but the method is a %s's", method, side ? "client" : "server", side ? "server" : "client");
}

/* Net::SMTP passes the server's whole list: `pass` is a token only if nothing else was named. */
static bool only_oauth(pTHX_ asr_slice list) {
  size_t i = 0, start;
  bool any = FALSE;
  while (i < list.len) {
    while (i < list.len && !isALNUM(list.ptr[i]) && list.ptr[i] != '-') i++;
    for (start = i; i < list.len && (isALNUM(list.ptr[i]) || list.ptr[i] == '-'); i++) ;
    if (i == start) break;
    if (!(i - start == 11 && foldEQ(list.ptr + start, "OAUTHBEARER", 11))
        && !(i - start == 7 && foldEQ(list.ptr + start, "XOAUTH2", 7))) return FALSE;
    any = TRUE;
  }
  return any;
}

/* Reading the fields of a subclass's object may run its methods. */
static bool is_of_subclass(pTHX_ SV *parent) {
  HV *stash = SvSTASH(parent);
  return SvTYPE(parent) != SVt_PVHV || !HvNAME_get(stash) || strNE(HvNAME_get(stash), "Authen::SASL");
}

/* A field of the Authen::SASL object. */
static SV *parent_field(pTHX_ SV *parent, const char *name, I32 len) {
  SV *self;
  if (!is_of_subclass(aTHX_ parent)) {
    SV **slot = hv_fetch((HV *)parent, name, len, 0);
    return slot ? *slot : &PL_sv_undef;
  }
  self = sv_2mortal(newRV_inc(parent));
  return call_perl_method(aTHX_ name, &self, 1);
}

/* Starts the trace if debug of the Authen::SASL object is set, or the environment asks for it. */
static void start_trace(pTHX_ SV *parent, conn_t *conn, SV *object) {
  SV **slot = SvTYPE(parent) == SVt_PVHV && !SvRMAGICAL(parent) ? hv_fetch((HV *)parent, "debug", 5, 0) : NULL;
  const char *wanted = PerlEnv_getenv("AUTHEN_SASL_RUST_DEBUG");
  if (slot && SvROK(*slot)) {         /* code or a handle */
    SV *args[3];
    args[0] = object;
    args[1] = sv_2mortal(newSVpvs("debug"));
    args[2] = sv_mortalcopy(*slot);
    call_perl_method(aTHX_ "_set_property", args, 3);
  } else if (slot && !SvGMAGICAL(*slot) && SvTRUE(*slot)) trace_to(aTHX_ conn, &PL_sv_yes);
  else if (wanted && *wanted && strNE(wanted, "0")) trace_to(aTHX_ conn, &PL_sv_yes);
}

/* Derived keys are cached in the Authen::SASL object, in separate magic. So connections without derived keys cost nothing, and
 * a dump of the object does not show the keys. */
static void share_keys(pTHX_ SV *parent, conn_t *conn) {
  const asr_keys *keys = (const asr_keys *)attached(aTHX_ parent, &keys_vtbl);
  if (!keys) {
    sv_unmagicext(parent, PERL_MAGIC_ext, &keys_vtbl);       /* left by a clone in another thread */
    keys = asr_keys_new();
    if (!keys) return;
    attach(aTHX_ parent, &keys_vtbl, keys);
  }
  asr_use_keys(conn->rust, keys);
}

/* A hash of options. Options that the core does not know are set by Perl code, after all others: tls and channel_binding depend
 * on the other options, and Perl code may change the hash. */
static void set_options(pTHX_ conn_t *conn, SV *object, HV *options) {
  HE *entry;
  AV *others = NULL;
  SSize_t i;
  sv_2mortal(SvREFCNT_inc((SV *)options));
  hv_iterinit(options);
  while ((entry = hv_iternext(options))) {
    I32 len;
    const char *key = hv_iterkey(entry, &len);
    SV *value = hv_iterval(options, entry);
    asr_slice name, reason;
    name.ptr = key;
    name.len = (size_t)len;
    if (!SvROK(value) && !SvGMAGICAL(value)) {         /* otherwise reading it may change the hash */
      int known = asr_set(conn->rust, name, characters(aTHX_ value), &reason);
      if (known < 0) blame_caller(aTHX_ text_or_undef(aTHX_ reason));
      if (known) continue;
    }
    if (!others) others = (AV *)sv_2mortal((SV *)newAV());
    av_push(others, SvREFCNT_inc(hv_iterkeysv(entry)));
    av_push(others, SvREFCNT_inc(value));
  }
  for (i = 0; others && i < av_len(others); i += 2) {
    SV *args[3];
    args[0] = object;
    args[1] = *av_fetch(others, i, 0);
    args[2] = *av_fetch(others, i + 1, 0);
    call_perl_method(aTHX_ "_set_option", args, 3);
  }
}

/* Implements client_new and server_new. `options` and `remote` are their arguments after the host, if given. */
static SV *new_connection(pTHX_ int side, SV *parent, SV *service, SV *host, SV *options, SV *remote) {
  dMY_CXT;
  HV *self, *callbacks = NULL;
  SV *object, *given;
  STRLEN room = 0;
  conn_t *conn;
  asr_handle *rust;
  asr_slice list, reason, service_text, host_text;
  if (!sv_isobject(parent)) croak("an Authen::SASL object was expected");
  parent = sv_2mortal(SvREFCNT_inc(SvRV(parent)));   /* the program may undef its own reference */
  if (options) sv_2mortal(SvREFCNT_inc(options));
  if (remote) sv_2mortal(SvREFCNT_inc(remote));
  if (is_of_subclass(aTHX_ parent)) {                /* its methods may change the program's variables */
    service = sv_mortalcopy(service);
    host = sv_mortalcopy(host);
  }
  service = settled(aTHX_ service);
  host = settled(aTHX_ host);
  service_text = characters(aTHX_ service);
  host_text = characters(aTHX_ host);
  given = parent_field(aTHX_ parent, "callback", 8);
  if (SvROK(given) && SvTYPE(SvRV(given)) == SVt_PVHV) {
    callbacks = (HV *)sv_2mortal(SvREFCNT_inc(SvRV(given)));
    if (!SvRMAGICAL((SV *)callbacks)) room = HvUSEDKEYS(callbacks);
  }

  rust = asr_new(side, service_text, host_text, 0);
  if (!rust) croak("internal error: a defect of this library, please report it");
  self = newHV();
  object = sv_2mortal(newRV_noinc((SV *)self));
  conn = (conn_t *)safecalloc(1, sizeof(conn_t) + room * sizeof(SV *));
  conn->self = self;
  conn->flags = (U8)side;
  conn->called = CB_COUNT;
  was_given(aTHX_ conn, service);
  was_given(aTHX_ conn, host);
  conn->rust = rust;
  attach(aTHX_ (SV *)self, &conn_vtbl, conn);
  sv_bless(object, MY_CXT.connections);
  if (callbacks) copy_callbacks(aTHX_ conn, callbacks, room);

  start_trace(aTHX_ parent, conn, object);
  if (SvTRUE(GvSVn(MY_CXT.dies))) {
    SV *args[3];
    args[0] = object;
    args[1] = sv_2mortal(newSVpvs("die_on_failure"));
    args[2] = &PL_sv_yes;
    call_perl_method(aTHX_ "_set_property", args, 3);
  }
  if (side && CALLBACK(conn, realm)) call_perl_method(aTHX_ "_default_realm", &object, 1);
  if (options && !remote && SvROK(options) && SvTYPE(SvRV(options)) == SVt_PVHV && !SvRMAGICAL(SvRV(options))) {
    set_options(aTHX_ conn, object, (HV *)SvRV(options));
  } else if (options && (remote || SvGMAGICAL(options) || SvTRUE(options))) {
    SV *args[3];
    args[0] = object;
    args[1] = options;
    args[2] = remote;
    call_perl_method(aTHX_ "_options", args, remote ? 3 : 2);
  }
  if (CALLBACK(conn, channel_binding)) call_perl_method(aTHX_ "_bind", &object, 1);
  given = parent_field(aTHX_ parent, "mechanism", 9);
  if (IS_MERE_REFERENCE(given))
    blame_caller(aTHX_ sv_2mortal(newSVpvf("mechanism: a string with names was expected, but this is %s", kind_of(aTHX_ given))));
  list = characters(aTHX_ given);
  if (!list.ptr) list.ptr = "";
  if (!side && only_oauth(aTHX_ list)) conn->flags |= TOKEN_FROM_PASS;
  asr_set_abilities(conn->rust, abilities(aTHX_ conn));
  reason = asr_negotiate(conn->rust, list);
  if (reason.ptr && !side && !has_callbacks(aTHX_ conn)) {
    /* A program may give the callbacks to the connection: the choice is made again when the exchange starts. */
    asr_set_abilities(conn->rust, ~(U32)ASR_CAN_ACT_AS_OTHER);
    if (asr_negotiate(conn->rust, list).ptr) {
      asr_set_abilities(conn->rust, 0);
      reason = asr_negotiate(conn->rust, list);
    } else {
      reason.ptr = NULL;
      asr_set_abilities(conn->rust, 0);
    }
  }
  if (!reason.ptr) trace_choice(aTHX_ conn, list);
  if (reason.ptr) {
    SV *text = text_or_undef(aTHX_ reason);
    trace_refusal(aTHX_ conn, reason);
    croak("%" SVf "\n", SVfARG(text));
  }
  if (asr_wants_keys(conn->rust)) share_keys(aTHX_ parent, conn);
  return object;
}
