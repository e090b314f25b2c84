/* The output of the option `debug`: the choice of the mechanism with its reasons, the messages with those fields that are not secret,
 * failures, and times. The core decides what may be shown of a message. */

/* A time in milliseconds. Only differences have a meaning. */
static double trace_clock(pTHX) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC, &now)) return 0;
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Starts, stops or redirects the trace; `to` is true, code, or a handle. */
static void trace_to(pTHX_ conn_t *conn, SV *to) {
  SV *old = conn->trace ? conn->trace->to : NULL;
  if (SvROK(to) || SvTRUE(to)) {
    if (!conn->trace) {
      Newxz(conn->trace, 1, trace_t);
      conn->trace->since = trace_clock(aTHX);
      conn->trace->chosen = asr_mechanism(conn->rust).ptr;
    }
    conn->trace->to = SvROK(to) ? newSVsv(to) : NULL;
  } else {
    Safefree(conn->trace);
    conn->trace = NULL;
  }
  SvREFCNT_dec(old);                  /* may run a DESTROY */
}

static SV *trace_begin(pTHX_ conn_t *conn) {
  asr_slice name = asr_mechanism(conn->rust);
  SV *line = sv_2mortal(newSVpvf("Authen::SASL::Rust %s", conn->flags & IS_SERVER ? "server" : "client"));
  if (name.ptr) sv_catpvf(line, " %.*s", (int)name.len, name.ptr);
  return line;
}

/* Text from the program or peer: printable ASCII, truncated. */
static void trace_text(pTHX_ SV *line, asr_slice text, size_t limit) {
  size_t i;
  for (i = 0; i < text.len && i < limit; i++) {
    char c = isPRINT_A(text.ptr[i]) ? text.ptr[i] : '?';
    sv_catpvn(line, &c, 1);
  }
  if (text.len > limit) sv_catpvs(line, "...");
}

/* The time since the last call ended, or since this one began. Whole numbers, since the decimal point depends on the locale. */
static void trace_time(pTHX_ conn_t *conn, SV *line, const char *word) {
  double now = trace_clock(aTHX), passed = (now - conn->trace->since) * 10;
  UV tenths = passed > 0 ? (UV)passed : 0;
  conn->trace->since = now;
  sv_catpvf(line, " (%s %" UVuf ".%" UVuf " ms)", word, tenths / 10, tenths % 10);
}

static void trace_end(pTHX_ conn_t *conn, SV *line) {
  if (conn->trace->to) {
    U8 before = conn->asking;
    SV *args[3];
    args[0] = sv_2mortal(newRV_inc((SV *)conn->self));
    args[1] = sv_mortalcopy(conn->trace->to);
    args[2] = line;
    conn->asking = 1;                 /* CALLING: it must not step the connection */
    call_perl_method(aTHX_ "_trace", args, 3);
    conn->asking = before;
  } else {
    IO *io = PL_stderrgv ? GvIO(PL_stderrgv) : NULL;
    PerlIO *out = io && IoOFP(io) ? IoOFP(io) : PerlIO_stderr();
    sv_catpvs(line, "\n");
    PerlIO_write(out, SvPVX(line), SvCUR(line));
  }
}

/* Shows the mechanism that is chosen from the list, and the reasons against the others. */
static void trace_choice(pTHX_ conn_t *conn, asr_slice list) {
  const char *name = asr_mechanism(conn->rust).ptr;
  SV *line;
  if (!conn->trace) return;
  conn->trace->chosen = name;
  line = trace_begin(aTHX_ conn);
  sv_catpv(line, name ? ": chosen from: " : ": the client chooses from: ");
  trace_text(aTHX_ line, list, 400);
  trace_end(aTHX_ conn, line);
  if (!conn->trace) return;
  line = trace_begin(aTHX_ conn);
  sv_catpvs(line, ": of the list, ");
  trace_text(aTHX_ line, asr_reasons(conn->rust), 4000);
  trace_end(aTHX_ conn, line);
}

/* Shows why no mechanism is chosen. */
static void trace_refusal(pTHX_ conn_t *conn, asr_slice reason) {
  SV *line;
  if (!conn->trace) return;
  line = sv_2mortal(newSVpvs("Authen::SASL::Rust "));
  trace_text(aTHX_ line, reason, 4000);
  trace_end(aTHX_ conn, line);
}

/* Shows the fields of a message of that side. */
static void trace_fields(pTHX_ conn_t *conn, SV *line, int from, asr_slice bytes) {
  asr_slice shown = asr_outline(conn->rust, from, conn->trace->sent[from]++, bytes);
  if (!shown.len) return;
  sv_catpvs(line, ", ");
  trace_text(aTHX_ line, shown, 2000);
}

static void trace_received(pTHX_ conn_t *conn, bool starts, asr_slice bytes) {
  bool is_server = conn->flags & IS_SERVER;
  SV *line;
  conn->flags = starts ? conn->flags | STARTS : conn->flags & ~STARTS;
  if (!conn->trace) return;
  if (starts) conn->trace->sent[0] = conn->trace->sent[1] = 0;
  if (starts && !is_server) {
    conn->trace->since = trace_clock(aTHX);
    return;
  }
  line = trace_begin(aTHX_ conn);
  if (!bytes.ptr) sv_catpvs(line, ": starts without an initial response");
  else sv_catpvf(line, ": receives %s of %" UVuf " bytes", !is_server ? "a challenge" : starts ? "an initial response" : "a response", (UV)bytes.len);
  trace_time(aTHX_ conn, line, "after");
  if (bytes.ptr) trace_fields(aTHX_ conn, line, is_server ? 0 : 1, bytes);
  trace_end(aTHX_ conn, line);
}

/* Shows the second choice of a client: it chooses again when it starts, if an option has changed. */
static void trace_second_choice(pTHX_ conn_t *conn) {
  SV *line;
  const char *name = asr_mechanism(conn->rust).ptr;
  if (conn->flags & IS_SERVER || !(conn->flags & STARTS) || !name || name == conn->trace->chosen) return;
  conn->trace->chosen = name;
  line = trace_begin(aTHX_ conn);
  sv_catpvs(line, ": chosen again: of the list, ");
  trace_text(aTHX_ line, asr_reasons(conn->rust), 4000);
  trace_end(aTHX_ conn, line);
}

static void trace_outcome(pTHX_ conn_t *conn, SV *message, bool failed) {
  bool success = asr_status(conn->rust) >> 1 & 1, is_server = conn->flags & IS_SERVER;
  SV *line;
  if (!conn->trace) return;
  trace_second_choice(aTHX_ conn);
  if (message && conn->trace) {
    asr_slice bytes;
    bytes.ptr = SvPVX(message);
    bytes.len = SvCUR(message);
    line = trace_begin(aTHX_ conn);
    sv_catpvf(line, ": sends %s of %" UVuf " bytes",
        !is_server ? conn->flags & STARTS ? "an initial response" : "a response" : success ? "the data of its success" : "a challenge", (UV)bytes.len);
    trace_time(aTHX_ conn, line, "in");
    trace_fields(aTHX_ conn, line, is_server ? 1 : 0, bytes);
    trace_end(aTHX_ conn, line);
  }
  if (!conn->trace || (!failed && !success)) return;
  line = trace_begin(aTHX_ conn);
  sv_catpv(line, failed ? " failed: " : " succeeded");
  if (failed) trace_text(aTHX_ line, asr_error(conn->rust), 1000);
  trace_end(aTHX_ conn, line);
}
