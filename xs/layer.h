/* The security layer: one message at a time for a connection, a stream for a handle on a socket. */

static int layer_free(pTHX_ SV *sv, MAGIC *mg) {
  PERL_UNUSED_VAR(sv);
  if (mg->mg_ptr) asr_layer_free((const asr_layer *)mg->mg_ptr);
  mg->mg_ptr = NULL;
  return 0;
}

static MGVTBL layer_vtbl = { NULL, NULL, NULL, NULL, layer_free, NULL, forget_in_clone, NULL };

typedef const asr_layer layer_t;

static layer_t *layer_of(pTHX_ SV *sv) {
  layer_t *layer = NULL;
  if (SvROK(sv)) layer = (layer_t *)attached(aTHX_ SvRV(sv), &layer_vtbl);
  if (!layer) croak("not a live layer of Authen::SASL::Rust (it was made in another thread, or not by securesocket)");
  return layer;
}

/* Encodes or decodes one message, in the memory of the returned scalar; NULL on failure. */
static SV *through_layer(pTHX_ conn_t *conn, asr_slice in, bool opening, bool tainted) {
  ptrdiff_t length;
  size_t room;
  SV *out;
  char *buffer;
  if (!in.ptr) return &PL_sv_undef;
  if (!asr_layered(conn->rust)) {
    out = sv_2mortal(newSVpvn(in.ptr, in.len));
    if (tainted) SvTAINTED_on(out);
    return out;
  }
  room = opening ? in.len : asr_room(conn->rust, in.len);
  out = newSV_type(SVt_PV);
  buffer = SvGROW(out, room + 1);
  Copy(in.ptr, buffer, in.len, char);
  Zero(buffer + in.len, room + 1 - in.len, char);
  length = opening ? asr_decode(conn->rust, buffer, in.len) : asr_encode(conn->rust, buffer, room, in.len);
  if (length < 0) {
    Zero(buffer, room, char);
    SvREFCNT_dec(out);
    return NULL;
  }
  buffer[length] = '\0';
  SvCUR_set(out, length);
  SvPOK_only(out);
  if (tainted) SvTAINTED_on(out);
  return sv_2mortal(out);
}

/* Changes the buffer as sysread does: at most `count` bytes at `offset`, and nothing after them. */
static size_t read_into(pTHX_ layer_t *layer, SV *buffer, size_t count, IV offset) {
  STRLEN have;
  char *text;
  size_t ready = asr_layer_ready(layer);
  if (count > ready) count = ready;
  if (!SvOK(buffer)) sv_setpvs(buffer, "");
  text = SvPVbyte_force(buffer, have);
  if (offset < 0) offset += have;
  if (offset < 0) croak("Offset outside string");
  text = SvGROW(buffer, (size_t)offset + count + 1);
  if ((STRLEN)offset > have) Zero(text + have, offset - have, char);
  count = asr_layer_read(layer, text + offset, count);
  text[offset + count] = '\0';
  SvCUR_set(buffer, offset + count);
  SvPOK_only(buffer);
  SvTAINTED_on(buffer);
  SvSETMAGIC(buffer);
  return count;
}
