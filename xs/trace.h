/* The output of Authen::SASL's `debug`, on standard error: the choice, the messages by their names in RFC 4422, and failures.
 * It shows only the length of a message, because a message may contain a password. No Perl code runs here. */

static PerlIO *trace_begin(pTHX_ conn_t *conn) {
  IO *io = PL_stderrgv ? GvIO(PL_stderrgv) : NULL;
  PerlIO *out = io && IoOFP(io) ? IoOFP(io) : PerlIO_stderr();
  asr_slice name = asr_mechanism(conn->rust);
  PerlIO_printf(out, "Authen::SASL::Rust %s", conn->flags & IS_SERVER ? "server" : "client");
  if (name.ptr) PerlIO_printf(out, " %.*s", (int)name.len, name.ptr);
  return out;
}

/* Text from the program or peer: printable ASCII, truncated. */
static void trace_text(pTHX_ PerlIO *out, asr_slice text) {
  size_t i;
  for (i = 0; i < text.len && i < 400; i++) PerlIO_putc(out, isPRINT_A(text.ptr[i]) ? text.ptr[i] : '?');
}

static void trace_choice(pTHX_ conn_t *conn, asr_slice list) {
  PerlIO *out;
  if (!(conn->flags & TRACES)) return;
  out = trace_begin(aTHX_ conn);
  PerlIO_puts(out, asr_mechanism(conn->rust).ptr ? ": chosen from: " : ": the client chooses from: ");
  trace_text(aTHX_ out, list);
  PerlIO_puts(out, "\n");
}

static void trace_received(pTHX_ conn_t *conn, bool starts, asr_slice bytes) {
  PerlIO *out;
  conn->flags = starts ? conn->flags | STARTS : conn->flags & ~STARTS;
  if (!(conn->flags & TRACES) || (starts && !(conn->flags & IS_SERVER))) return;
  out = trace_begin(aTHX_ conn);
  if (!bytes.ptr) PerlIO_puts(out, ": starts without an initial response\n");
  else PerlIO_printf(out, ": receives %s of %" UVuf " bytes\n",
      !(conn->flags & IS_SERVER) ? "a challenge" : starts ? "an initial response" : "a response", (UV)bytes.len);
}

static void trace_outcome(pTHX_ conn_t *conn, SV *message, bool failed) {
  bool success = asr_status(conn->rust) >> 1 & 1;
  PerlIO *out;
  if (!(conn->flags & TRACES)) return;
  if (message) {
    out = trace_begin(aTHX_ conn);
    PerlIO_printf(out, ": sends %s of %" UVuf " bytes\n",
        !(conn->flags & IS_SERVER) ? conn->flags & STARTS ? "an initial response" : "a response" : success ? "the data of its success" : "a challenge", (UV)SvCUR(message));
  }
  if (!failed && !success) return;
  out = trace_begin(aTHX_ conn);
  PerlIO_puts(out, failed ? " failed: " : " succeeded\n");
  if (!failed) return;
  trace_text(aTHX_ out, asr_error(conn->rust));
  PerlIO_puts(out, "\n");
}
