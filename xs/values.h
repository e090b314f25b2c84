/* Converts scalars in both directions. An input value is fetched once, and the caller's scalar is not changed. */

/* A copy that later Perl code cannot change, if reading the value could run Perl code. */
static SV *settled(pTHX_ SV *sv) {
  STRLEN len;
  const char *text;
  if (SvGMAGICAL(sv) || (SvOK(sv) && !SvPOK(sv) && !SvROK(sv))) sv = sv_mortalcopy(sv);   /* a number stays a number */
  if (!SvOK(sv) || (SvPOK(sv) && !SvROK(sv))) return sv;
  text = SvPV_const(sv, len);                      /* numbers, and overloaded objects */
  return newSVpvn_flags(text, len, SVs_TEMP | SvUTF8(sv));
}

/* A plain reference stringifies to an address, which is never intended. */
#define IS_MERE_REFERENCE(sv) (SvROK(sv) && !SvAMAGIC(sv))

/* A length of 0 would make perl's functions look for a NUL, which an empty Rust slice does not have. */
static bool is_encoded(pTHX_ const char *text, STRLEN len) {
  if (len == 0) return TRUE;
#ifdef is_strict_utf8_string
  return is_strict_utf8_string((const U8 *)text, len);
#else
  return is_utf8_string((const U8 *)text, len);
#endif
}

/* Names and passwords, as UTF-8: flagged strings are characters, unflagged strings that are valid UTF-8 count as already
 * encoded, all others are Latin-1. */
static asr_slice characters(pTHX_ SV *sv) {
  asr_slice slice = { NULL, 0 };
  STRLEN len;
  sv = settled(aTHX_ sv);
  if (!SvOK(sv)) return slice;
  slice.ptr = SvPV_const(sv, len);
  if (!SvUTF8(sv) && !is_encoded(aTHX_ slice.ptr, len)) {
    SV *latin1 = newSVpvn_flags(slice.ptr, len, SVs_TEMP);
    slice.ptr = SvPVutf8(latin1, len);
  }
  slice.len = len;
  return slice;
}

/* Messages on the wire: bytes. A wide character croaks. */
static asr_slice octets(pTHX_ SV *sv) {
  asr_slice slice = { NULL, 0 };
  STRLEN len;
  sv = settled(aTHX_ sv);
  if (!SvOK(sv)) return slice;
  if (SvUTF8(sv)) sv = sv_mortalcopy(sv);          /* SvPVbyte downgrades in place */
  slice.ptr = SvPVbyte(sv, len);
  slice.len = len;
  return slice;
}

/* Text from the core: octets, UTF-8 without perl's flag. */
static SV *text_sv(pTHX_ asr_slice text) { return newSVpvn(text.ptr, text.len); }

static SV *text_or_undef(pTHX_ asr_slice text) {
  return text.ptr ? sv_2mortal(text_sv(aTHX_ text)) : &PL_sv_undef;
}

/* Dies like Carp's croak: the text ends with the line of the calling program, not with one of ours. */
static void blame_caller(pTHX_ SV *text) {
  dSP;
  PUSHMARK(SP);
  XPUSHs(text);
  PUTBACK;
  call_pv("Carp::croak", G_VOID | G_DISCARD);
}

/* Calls a function, or with G_METHOD a method, that is written in Perl, perhaps by the program; returns its value, a mortal. */
static SV *call_perl(pTHX_ const char *name, I32 flags, SV **args, int count) {
  SV *value;
  int i;
  dSP;
  ENTER;
  SAVETMPS;
  PUSHSTACKi(PERLSI_UNKNOWN);         /* otherwise `last` in it would leave this function too */
  PUSHMARK(SP);
  EXTEND(SP, count);
  for (i = 0; i < count; i++) PUSHs(args[i]);
  PUTBACK;
  call_sv(sv_2mortal(newSVpv(name, 0)), G_SCALAR | flags);
  SPAGAIN;
  value = newSVsv(POPs);
  PUTBACK;
  POPSTACK;
  FREETMPS;
  LEAVE;
  return sv_2mortal(value);
}

static SV *call_perl_method(pTHX_ const char *name, SV **args, int count) { return call_perl(aTHX_ name, G_METHOD, args, count); }
