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
_frames(layer, data, offset, length)
    layer_t *layer
    bytes_t data
    count_t offset
    count_t length
  PREINIT:
    asr_slice out;
    asr_bytes *owner;
  PPCODE:
    if (!data.ptr || offset > data.len || length > data.len - offset) croak("Offset outside string");
    data.ptr += offset;
    data.len = length;
    owner = asr_layer_frame(layer, data, &out);
    if (!owner) XSRETURN_UNDEF;
    mXPUSHp(out.ptr, out.len);
    asr_bytes_free(owner);

bool
_feed(layer, bytes)
    layer_t *layer
    bytes_t bytes
  CODE:
    RETVAL = asr_layer_feed(layer, bytes);
  OUTPUT:
    RETVAL

size_t
_ready(layer)
    layer_t *layer
  ALIAS:
    _wanted = 1
  CODE:
    RETVAL = ix ? asr_layer_wanted(layer) : asr_layer_ready(layer);
  OUTPUT:
    RETVAL

size_t
_find(layer, separator)
    layer_t *layer
    bytes_t separator
  CODE:
    RETVAL = asr_layer_find(layer, separator);
  OUTPUT:
    RETVAL

# The buffer is passed as a reference, because an argument may be a copy.
size_t
_take(self, buffer, length, offset)
    SV *self
    SV *buffer
    count_t length
    number_t offset
  CODE:
    if (!SvROK(buffer)) croak("a reference was expected");
    sv_2mortal(SvREFCNT_inc(SvRV(self)));             /* the buffer may be tied */
    RETVAL = read_into(aTHX_ layer_of(aTHX_ self), SvRV(buffer), length, (IV)offset);
  OUTPUT:
    RETVAL

void
_cut(layer)
    layer_t *layer
  CODE:
    asr_layer_cut(layer);

void
_error(layer)
    layer_t *layer
  PREINIT:
    asr_slice text;
    asr_text *owner;
  PPCODE:
    owner = asr_layer_error(layer, &text);
    if (!owner) XSRETURN_UNDEF;
    XPUSHs(text_or_undef(aTHX_ text));
    asr_text_free(owner);
