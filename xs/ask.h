/* Drives an exchange: while the core asks, a callback is called, with no Rust frame below it. */

enum { START, STEP };
enum { QUIET, CALLING, OWED };        /* conn->asking */
enum { BADAUTH = -13 };               /* SASL_BADAUTH of sasl.h */
enum { DEFERRED = 100 };              /* in addition to the outcomes of ffi.h: the answer will come later */

/* Calls a callback with the connection, then its own values, then the question's arguments. */
static SV *call_with(pTHX_ conn_t *conn, SV *callback, SV **args, int count, I32 flags) {
  SV *code = SvRV(callback), *result;
  AV *av = SvTYPE(code) == SVt_PVAV && !is_code(aTHX_ callback) ? (AV *)code : NULL;
  I32 own = 0, i;
  dSP;
  ENTER;
  SAVETMPS;
  PUSHSTACKi(PERLSI_UNKNOWN);         /* otherwise `last` in the callback would leave this function too */
  PUSHMARK(SP);
  if (av) {                           /* hold both: a tied element's FETCH may do anything */
    SAVEFREESV(SvREFCNT_inc(code));
    code = SvRV(*av_fetch(av, 0, 0));
    own = av_len(av);
  }
  code = newRV_inc(code);             /* the reference, so that perl finds an overloaded &{} */
  SAVEFREESV(code);                   /* a mortal's flag would be copied into a thread made by the callback */
  EXTEND(SP, own + count + 1);
  PUSHs(sv_2mortal(newRV_inc((SV *)conn->self)));
  for (i = 1; i <= own; i++) {
    SV **value = av_fetch(av, i, 0);
    PUSHs(value ? sv_mortalcopy(*value) : &PL_sv_undef);
  }
  for (i = 0; i < count; i++) PUSHs(args[i]);
  PUTBACK;
  call_sv(code, G_SCALAR | flags);
  SPAGAIN;
  result = SvREFCNT_inc(POPs);
  PUTBACK;
  POPSTACK;
  FREETMPS;
  LEAVE;
  return sv_2mortal(result);
}

static SV *call(pTHX_ conn_t *conn, SV *callback, SV **args, int count) {
  return call_with(aTHX_ conn, callback, args, count, 0);
}

/* From now on the existing continuations have no effect. */
static void new_serial(pTHX_ reply_t *reply) {
  SV *answer = reply ? reply->answer : NULL;
  if (!reply) return;
  reply->serial++;
  reply->answer = NULL;
  SvREFCNT_dec(answer);               /* may run a DESTROY */
}

/* Runs when the scope of a callback is left: die, exit and last end the exchange. */
static void abandoned(pTHX_ void *what) {
  conn_t *conn = (conn_t *)what;
  if (conn->asking != CALLING) return;
  conn->asking = QUIET;
  give_up(aTHX_ conn, ASR_DIED, NULL);
  new_serial(aTHX_ conn->reply);
  if (conn->continuation) sv_2mortal(conn->continuation);
  conn->continuation = NULL;
}

#define BEGIN_CALLING(conn) STMT_START { \
    ENTER; SAVEFREESV(SvREFCNT_inc((SV *)(conn)->self)); \
    SAVEDESTRUCTOR_X(abandoned, conn); (conn)->asking = CALLING; } STMT_END
#define END_CALLING(conn, state) STMT_START { (conn)->asking = state; LEAVE; } STMT_END

/* Reads one value of a client; `canonuser` has arguments, and cannot be a string. An invalid value ends the exchange. */
static SV *ask_value(pTHX_ conn_t *conn, int number, SV *callback, SV **args, int *outcome) {
  SV *value = callback;
  bool keys = number == CB_scram_keys;
  conn->called = (U8)number;
  if (is_callable(aTHX_ callback)) value = call(aTHX_ conn, callback, args, args ? 4 : 0);
  else if (args || (IS_MERE_REFERENCE(callback) && !keys)) {
    *outcome = give_up(aTHX_ conn, args ? ASR_NO_CODE : ASR_NOT_CALLABLE, callback);
    return value;
  }
  if (SvGMAGICAL(value)) value = sv_mortalcopy(value);
  if (keys) value = keys_text(aTHX_ value);
  if (IS_MERE_REFERENCE(value)) {
    *outcome = give_up(aTHX_ conn, ASR_REFERENCE, value);
    return value;
  }
  value = settled(aTHX_ value);
  was_given(aTHX_ conn, value);
  return value;
}

/* The values of a client, in one batch. */
static int ask_values(pTHX_ conn_t *conn, U32 wanted) {
  SV *found[ASR_PROPERTIES], *canon = CALLBACK(conn, canonuser);
  asr_value values[ASR_PROPERTIES];
  int numbers[ASR_PROPERTIES], p, n = 0, outcome = ASR_ASK;
  bool calls = canon != NULL;
  for (p = 0; p < ASR_PROPERTIES; p++) {
    found[p] = wanted & (1u << p) ? value_callback(aTHX_ conn, p, &numbers[p]) : NULL;
    if (found[p] && (SvROK(found[p]) || SvGMAGICAL(found[p]))) calls = TRUE;
  }
  if (found[ASR_TOKEN]) conn->gave_token = TRUE;
  if (calls) {
    BEGIN_CALLING(conn);
    /* copies: a callback may change or delete the originals */
    for (p = 0; p < ASR_PROPERTIES; p++) if (found[p]) found[p] = sv_mortalcopy(found[p]);
    if (canon) canon = sv_mortalcopy(canon);
    for (p = 0; p < ASR_PROPERTIES && outcome == ASR_ASK; p++) {
      if (!found[p]) continue;
      found[p] = ask_value(aTHX_ conn, numbers[p], found[p], NULL, &outcome);
      if (canon && (p <= ASR_AUTHZID || p == ASR_IDENTITY) && outcome == ASR_ASK && SvOK(found[p])) {
        SV *args[4];
        args[0] = sv_2mortal(newSVpv(p == ASR_AUTHCID ? "AUTHID" : "AUTHZID", 0));
        args[1] = &PL_sv_undef;
        args[2] = sv_2mortal(newSViv(1024));
        args[3] = found[p];
        found[p] = ask_value(aTHX_ conn, CB_canonuser, canon, args, &outcome);
        if (outcome == ASR_ASK && characters(aTHX_ found[p]).len > ASR_NAME_LIMIT) outcome = give_up(aTHX_ conn, ASR_TOO_LONG, NULL);
      }
    }
    END_CALLING(conn, QUIET);
    if (outcome != ASR_ASK) return outcome;
  }
  for (p = 0; p < ASR_PROPERTIES; p++) {
    if (!found[p] || !SvOK(found[p])) continue;
    values[n].property = (uint32_t)p;
    values[n++].bytes = characters(aTHX_ found[p]);
  }
  return asr_answer_values(conn->rust, values, (size_t)n);
}

/* The callbacks for the kinds of questions, starting with ASR_Q_REALM. */
static const U8 QUESTIONS[] =
    { CB_realm, CB_checkpass, CB_getsecret, CB_authorize, CB_checktoken, CB_canonuser, CB_challenge, CB_ht_tokens, CB_keep_scram_keys,
      CB_setverifier, CB_otp_state, CB_otp_replace };

/* Answers with the tokens that a user was issued. */
static int give_tokens(pTHX_ conn_t *conn, SV *answer) {
  SV *joined = sv_2mortal(newSVpvs(""));
  asr_slice all = { NULL, 0 };
  int count, i;
  bool usable = TRUE;
  dSP;
  PUSHMARK(SP);
  XPUSHs(answer);
  XPUSHs(sv_2mortal(text_sv(aTHX_ asr_mechanism(conn->rust))));
  PUTBACK;
  count = call_pv("Authen::SASL::Rust::_ht_tokens", G_ARRAY);
  SPAGAIN;
  for (i = 0; i < count && usable; i++) {
    SV *token = SP[i + 1 - count];
    asr_slice bytes;
    usable = SvOK(token);
    if (!usable) break;
    bytes = characters(aTHX_ token);
    if (i) sv_catpvn(joined, "", 1);
    sv_catpvn(joined, bytes.ptr, bytes.len);
  }
  SP -= count;
  PUTBACK;
  if (!usable) return asr_answer_no_key(conn->rust);
  if (count) all.ptr = SvPVX(joined), all.len = SvCUR(joined);
  return asr_answer_credential(conn->rust, all);
}

/* Passes the core an answer to a question of that kind. May run Perl code (overloading). */
static int give_answer(pTHX_ conn_t *conn, int kind, SV *answer) {
  asr_slice none = { NULL, 0 };
  conn->called = QUESTIONS[kind - ASR_Q_REALM];
  if (kind == ASR_Q_KEEP_KEYS) return asr_answer_verdict(conn->rust, 1);
  if (kind == ASR_Q_CHECKPASS || kind == ASR_Q_AUTHORIZE || kind == ASR_Q_SET_VERIFIER || kind == ASR_Q_OTP_REPLACE) {
    bool yes;
    /* A plain reference does not count as true: a callback that only stores its continuation may return one. */
    if (IS_MERE_REFERENCE(answer)) return give_up(aTHX_ conn, ASR_REFERENCE, answer);
    yes = cBOOL(SvTRUE(answer));
    return asr_answer_verdict(conn->rust, yes);
  }
  if (kind == ASR_Q_HT_TOKENS) return give_tokens(aTHX_ conn, answer);
  if (SvROK(answer) && SvTYPE(SvRV(answer)) == SVt_PVHV && !SvAMAGIC(answer)) {
    if (kind == ASR_Q_TOKEN) {
      HV *hv = (HV *)SvRV(answer);
      static const char *const names[] = { "status", "scope", "openid-configuration" };
      SV *field[3];
      asr_slice text[3];
      int i;
      sv_2mortal(SvREFCNT_inc((SV *)hv));
      for (i = 0; i < 3; i++) {       /* copies: reading one may run Perl code that changes the others */
        SV **slot = hv_fetch(hv, names[i], (I32)strlen(names[i]), 0);
        field[i] = slot ? sv_mortalcopy(*slot) : &PL_sv_undef;
      }
      for (i = 0; i < 3; i++) text[i] = characters(aTHX_ field[i]);
      return asr_answer_token(conn->rust, none, text[0], text[1], text[2]);
    }
    if (kind == ASR_Q_GETSECRET) {
      answer = call_perl(aTHX_ "Authen::SASL::Rust::_verifier_text", 0, &answer, 1);
      if (!SvOK(answer)) return asr_answer_no_key(conn->rust);
    }
  }
  if (IS_MERE_REFERENCE(answer)) {
    bool stored = kind == ASR_Q_GETSECRET || kind == ASR_Q_OTP_STATE;
    return stored ? asr_answer_no_key(conn->rust) : give_up(aTHX_ conn, ASR_REFERENCE, answer);
  }
  none = characters(aTHX_ answer);
  if (kind == ASR_Q_GETSECRET || kind == ASR_Q_CHALLENGE || kind == ASR_Q_OTP_STATE) return asr_answer_credential(conn->rust, none);
  if (kind == ASR_Q_TOKEN) {
    asr_slice absent = { NULL, 0 };
    return asr_answer_token(conn->rust, none, absent, absent, absent);
  }
  return asr_answer_text(conn->rust, none);
}

XS(reply_called);

/* The continuation that a callback gets: calling it answers the pending question. While the answer is pending it keeps the
 * program's own continuation alive, so that a program which drops the former frees the latter, and no reference cycle through
 * the connection remains. */
static SV *make_reply(pTHX_ conn_t *conn) {
  CV *cv = newXS(NULL, reply_called, __FILE__);
  if (!conn->reply) {
    Newxz(conn->reply, 1, reply_t);
    conn->reply->conn = conn;
    conn->reply->count = 1;
  }
  conn->reply->count++;
  attach(aTHX_ (SV *)cv, &reply_vtbl, conn->reply);
  CvXSUBANY(cv).any_i32 = (I32)conn->reply->serial;
  return sv_2mortal(newRV_noinc((SV *)cv));
}

static void store_text(pTHX_ conn_t *conn, HV *hv, const char *key, asr_slice text) {
  if (text.ptr) (void)hv_store(hv, key, (I32)strlen(key), new_said(aTHX_ conn, text, TRUE), 0);
}

/* The arguments of a question, after the connection. Returns their number. */
static int question_args(pTHX_ conn_t *conn, const asr_question *q, SV **args) {
  HV *hv;
  U32 i;
  asr_slice authzid = q->authzid;
  switch (q->kind) {
    case ASR_Q_AUTHORIZE:
      args[0] = said(aTHX_ conn, q->name, TRUE);
      args[1] = said(aTHX_ conn, q->authzid, TRUE);
      args[2] = said(aTHX_ conn, q->realm, TRUE);
      return 3;
    case ASR_Q_CANONUSER:
      args[0] = sv_2mortal(newSVpv(q->wanted ? "AUTHZID" : "AUTHID", 0));
      args[1] = said(aTHX_ conn, q->realm, TRUE);
      args[2] = sv_2mortal(newSViv(1024));
      args[3] = said(aTHX_ conn, q->name, TRUE);
      return 4;
    case ASR_Q_CHALLENGE:
      args[0] = said(aTHX_ conn, q->name, TRUE);
      args[1] = said(aTHX_ conn, q->prompt, TRUE);
      args[2] = q->wanted ? &PL_sv_yes : &PL_sv_no;
      return 3;
    case ASR_Q_KEEP_KEYS:
      args[0] = said(aTHX_ conn, q->name, conn->flags & IS_SERVER);
      args[1] = sv_2mortal(text_sv(aTHX_ q->secret));
      args[0] = call_perl(aTHX_ "Authen::SASL::Rust::_scram_keys_hash", 0, args, 2);
      return 1;
    case ASR_Q_REALM:
      for (i = 0; i < q->wanted && i < 16; i++) args[i] = said(aTHX_ conn, asr_offered_realm(conn->rust, i), TRUE);
      return (int)i;
  }
  hv = newHV();
  args[0] = sv_2mortal(newRV_noinc((SV *)hv));
  if (q->kind != ASR_Q_TOKEN && !authzid.ptr) authzid.ptr = "";       /* as in Authen::SASL::Perl */
  store_text(aTHX_ conn, hv, "user", q->name);
  if (q->kind == ASR_Q_SET_VERIFIER) {
    store_text(aTHX_ conn, hv, "realm", q->realm);
    store_text(aTHX_ conn, hv, "verifier", q->secret);
    store_text(aTHX_ conn, hv, "stored", q->stored);
    args[1] = make_reply(aTHX_ conn);
    return 2;
  }
  store_text(aTHX_ conn, hv, "authname", authzid);
  if (q->kind == ASR_Q_OTP_REPLACE) {
    store_text(aTHX_ conn, hv, "old", q->secret);
    store_text(aTHX_ conn, hv, "new", q->prompt);
  } else {
    store_text(aTHX_ conn, hv, q->kind == ASR_Q_TOKEN ? "token" : "pass", q->secret);
  }
  store_text(aTHX_ conn, hv, "realm", q->realm);
  store_text(aTHX_ conn, hv, "host", q->host);
  store_text(aTHX_ conn, hv, "port", q->port);
  if (q->kind == ASR_Q_GETSECRET || q->kind == ASR_Q_HT_TOKENS || q->kind == ASR_Q_OTP_STATE) {
    store_text(aTHX_ conn, hv, "authzid", authzid);
    (void)hv_stores(hv, "mechanism", text_sv(aTHX_ asr_mechanism(conn->rust)));
  }
  args[1] = make_reply(aTHX_ conn);
  return 2;
}

/* The answer comes later. */
static void owe(pTHX_ conn_t *conn, SV *reply) {
  MAGIC *mg = mg_findext(SvRV(reply), PERL_MAGIC_ext, &reply_vtbl);
  mg->mg_obj = conn->continuation;
  mg->mg_flags |= MGf_REFCOUNTED;
  conn->continuation = NULL;
}

/* Asks one question other than the batch of values. */
static int ask_one(pTHX_ conn_t *conn, const asr_question *q) {
  U8 number = QUESTIONS[q->kind - ASR_Q_REALM];
  SV *callback = callback_of(aTHX_ conn, number);
  SV *args[16], *result = &PL_sv_undef;
  int count, outcome;
  bool continues = q->kind == ASR_Q_CHECKPASS || q->kind == ASR_Q_GETSECRET || q->kind == ASR_Q_TOKEN || q->kind == ASR_Q_HT_TOKENS
      || q->kind == ASR_Q_SET_VERIFIER || q->kind == ASR_Q_OTP_STATE || q->kind == ASR_Q_OTP_REPLACE;
  if (!callback) return asr_answer_text(conn->rust, *(asr_slice[]){ { NULL, 0 } });
  conn->called = number;
  BEGIN_CALLING(conn);
  callback = sv_mortalcopy(callback);
  if (is_callable(aTHX_ callback)) {
    U32 serial;
    new_serial(aTHX_ conn->reply);
    count = question_args(aTHX_ conn, q, args);
    serial = conn->reply ? conn->reply->serial : 0;
    if (q->kind == ASR_Q_SET_VERIFIER) {
      /* The login has succeeded: an exception concerns only the verifier. */
      SV *error;
      save_scalar(PL_errgv);
      result = call_with(aTHX_ conn, callback, args, count, G_EVAL);
      error = ERRSV;
      if (SvTRUE(error)) {
        asr_slice reason = characters(aTHX_ sv_mortalcopy(error));
        new_serial(aTHX_ conn->reply);
        outcome = asr_answer_not_stored(conn->rust, reason);
        END_CALLING(conn, QUIET);
        return outcome;
      }
    } else {
      result = call(aTHX_ conn, callback, args, count);
    }
    if (continues && conn->reply->serial == serial) {
      if (conn->reply->answer) {
        result = sv_2mortal(conn->reply->answer);
        conn->reply->answer = NULL;
      } else {
        bool kept = SvREFCNT(args[1]) > 1 || SvREFCNT(SvRV(args[1])) > 1;
        if (kept && conn->continuation) {
          owe(aTHX_ conn, args[1]);
          END_CALLING(conn, OWED);
          return DEFERRED;
        }
        if (kept || conn->continuation) {
          END_CALLING(conn, QUIET);
          return give_up(aTHX_ conn, kept ? ASR_KEPT : ASR_DROPPED, NULL);
        }
      }
      new_serial(aTHX_ conn->reply);
    }
  } else if (SvROK(callback) || (q->kind != ASR_Q_GETSECRET && q->kind != ASR_Q_REALM)) {
    bool strings = q->kind == ASR_Q_GETSECRET || q->kind == ASR_Q_REALM;
    END_CALLING(conn, QUIET);
    return give_up(aTHX_ conn, strings ? ASR_NOT_CALLABLE : ASR_NO_CODE, callback);
  } else {
    result = callback;
  }
  outcome = give_answer(aTHX_ conn, q->kind, result);
  END_CALLING(conn, QUIET);
  return outcome;
}

/* Passes the lines that plugins have logged to the callback `log`. */
static void tell_log(pTHX_ conn_t *conn) {
  SV *callback = CALLBACK(conn, log);
  U8 before = conn->asking, called = conn->called;
  asr_slice line;
  int level;
  if (!callback || !is_callable(aTHX_ callback)) {
    asr_log_forget();
    return;
  }
  line = asr_log_line(&level);
  if (!line.ptr) return;
  conn->called = CB_log;
  BEGIN_CALLING(conn);
  callback = sv_mortalcopy(callback);
  for (; line.ptr; line = asr_log_line(&level)) {
    SV *args[2];
    args[0] = sv_2mortal(newSViv(level));
    args[1] = said(aTHX_ conn, line, TRUE);
    call(aTHX_ conn, callback, args, 2);
  }
  END_CALLING(conn, before);
  conn->called = called;        /* its answer may still be pending */
}

static int drive(pTHX_ conn_t *conn, int outcome) {
  asr_question q;
  while (outcome == ASR_ASK && asr_question_get(conn->rust, &q))
    outcome = q.kind == ASR_Q_VALUES ? ask_values(aTHX_ conn, q.wanted) : ask_one(aTHX_ conn, &q);
  tell_log(aTHX_ conn);
  return outcome;
}

/* The program's continuation gets the message, or no argument if there is none. */
static void call_continuation(pTHX_ SV *continuation, SV *message) {
  dSP;
  ENTER;
  SAVETMPS;
  PUSHSTACKi(PERLSI_UNKNOWN);
  PUSHMARK(SP);
  if (message) XPUSHs(message);
  PUTBACK;
  call_sv(continuation, G_VOID | G_DISCARD);
  SPAGAIN;
  PUTBACK;
  POPSTACK;
  FREETMPS;
  LEAVE;
}

/* If the server has refused a token, tells the object that supplied it, which may supply another one the next time. */
static void tell_refused(pTHX_ conn_t *conn) {
  SV *source = CALLBACK(conn, token);
  dSP;
  if (!conn->gave_token || asr_code(conn->rust) != BADAUTH) return;
  if (!source || !SvROK(source) || !SvOBJECT(SvRV(source))) return;
  if (!gv_fetchmethod_autoload(SvSTASH(SvRV(source)), "refused", FALSE)) return;
  ENTER;
  SAVETMPS;
  PUSHSTACKi(PERLSI_UNKNOWN);
  PUSHMARK(SP);
  EXTEND(SP, 2);
  PUSHs(sv_mortalcopy(source));
  PUSHs(sv_2mortal(newRV_inc((SV *)conn->self)));
  PUTBACK;
  call_method("refused", G_VOID | G_DISCARD);
  SPAGAIN;
  PUTBACK;
  POPSTACK;
  FREETMPS;
  LEAVE;
}

/* The end of a call: the message goes to the program's continuation, or onto the stack. */
static void deliver(pTHX_ conn_t *conn, int outcome) {
  SV *message = NULL, *continuation = conn->continuation;
  bool failed = outcome == ASR_FAILED || outcome == ASR_FAILED_WITH_MESSAGE;
  dSP;
  if (outcome == DEFERRED) return;
  if (outcome == ASR_SEND || outcome == ASR_FAILED_WITH_MESSAGE) {
    asr_slice bytes = asr_message(conn->rust);
    message = sv_2mortal(newSVpvn(bytes.ptr ? bytes.ptr : "", bytes.len));
    if (IS_TAINTED(conn)) SvTAINTED_on(message);
    asr_sent(conn->rust);
  }
  PUTBACK;
  trace_outcome(aTHX_ conn, message, failed);
  SPAGAIN;
  conn->continuation = NULL;
  if (failed) tell_refused(aTHX_ conn);
  if (failed && conn->flags & DIES) {
    if (continuation) sv_2mortal(continuation);
    require_pv("Authen/SASL/Rust/Error.pm");       /* overload is slow to load, and failures are rare */
    SPAGAIN;
    PUSHMARK(SP);
    XPUSHs(sv_2mortal(newSVpvs("Authen::SASL::Rust::Error")));
    XPUSHs(sv_2mortal(newRV_inc((SV *)conn->self)));
    XPUSHs(message ? message : &PL_sv_undef);
    PUTBACK;
    call_method("throw", G_VOID | G_DISCARD);
    return;
  }
  if (continuation) {
    call_continuation(aTHX_ sv_2mortal(continuation), message);
  } else if (message || outcome == ASR_ABSENT) {
    XPUSHs(message ? message : sv_2mortal(newSVpvs("")));
    PUTBACK;
  }
}

/* start or step, from Perl. The result is left on the stack. */
static void run(pTHX_ conn_t *conn, int what, SV *input, SV *continuation) {
  asr_slice bytes;
  int outcome;
  sv_2mortal(SvREFCNT_inc((SV *)conn->self));        /* a callback may undef the caller's last reference */
  if (continuation) continuation = sv_mortalcopy(continuation);
  if (continuation && !(SvROK(continuation) && SvTYPE(SvRV(continuation)) == SVt_PVCV)) continuation = NULL;
  if (conn->trace) input = sv_mortalcopy(input);     /* the trace may run Perl code, which must not change it */
  bytes = octets(aTHX_ input);
  if (conn->asking == CALLING || (conn->asking == OWED && what == STEP)) {
    asr_busy(conn->rust);
    if (continuation) call_continuation(aTHX_ continuation, NULL);      /* it needs nothing else */
    return;
  }
  if (conn->asking == OWED) new_serial(aTHX_ conn->reply);
  conn->asking = QUIET;
  if (bytes.ptr) conn->flags |= HAS_HEARD;
  if (what == STEP && !bytes.ptr) bytes.ptr = "";
  conn->continuation = SvREFCNT_inc(continuation);
  if (what == START) conn->gave_token = FALSE;
  trace_received(aTHX_ conn, what == START, bytes);
  asr_log_forget();                    /* left by a connection that was destroyed */
  outcome = what == START ? asr_start(conn->rust, bytes) : asr_step(conn->rust, bytes);
  deliver(aTHX_ conn, drive(aTHX_ conn, outcome));
}

/* A callback's continuation was called: immediately, later, twice, or too late. The first call is used. */
XS(reply_called) {
  dXSARGS;
  SV *answer = sv_2mortal(SvREFCNT_inc((SV *)cv));   /* hold it: reading the answer may run Perl code */
  reply_t *reply;
  conn_t *conn;
  answer = items ? sv_mortalcopy(ST(0)) : &PL_sv_undef;
  reply = (reply_t *)attached(aTHX_ (SV *)cv, &reply_vtbl);
  conn = reply ? reply->conn : NULL;
  SP -= items;
  PUTBACK;
  if (!conn || reply->serial != (U32)CvXSUBANY(cv).any_i32) return;
  if (conn->asking == CALLING) {
    if (!reply->answer) reply->answer = newSVsv(answer);
  } else if (conn->asking == OWED) {
    asr_question q;
    int outcome = ASR_FAILED;
    MAGIC *mg = mg_findext((SV *)cv, PERL_MAGIC_ext, &reply_vtbl);
    sv_2mortal(SvREFCNT_inc((SV *)conn->self));
    new_serial(aTHX_ reply);
    conn->continuation = mg->mg_obj;
    mg->mg_obj = NULL;
    mg->mg_flags &= ~MGf_REFCOUNTED;
    if (asr_question_get(conn->rust, &q)) {
      BEGIN_CALLING(conn);
      outcome = give_answer(aTHX_ conn, q.kind, answer);
      END_CALLING(conn, QUIET);
    }
    deliver(aTHX_ conn, drive(aTHX_ conn, outcome));
  }
}
