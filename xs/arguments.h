/* The arguments of an XSUB.
 *
 * Reading a tied or overloaded argument runs Perl code, and that code can do anything: change or free the other arguments,
 * free the object, or extend the stack and so move it. So each XSUB begins with own_arguments: if reading one argument may
 * run Perl code, the others are first replaced by copies, which that code cannot reach. The types below, which the typemap
 * uses, read one argument, once. */

static bool runs_perl(pTHX_ SV *sv) {
  return SvGMAGICAL(sv) || (SvROK(sv) && (SvAMAGIC(sv) || SvGMAGICAL(SvRV(sv))));
}

/* The arguments begin at PL_stack_base[ax]; returns their number. */
static I32 own_arguments(pTHX_ I32 ax) {
  I32 items = (I32)(PL_stack_sp - PL_stack_base) - ax + 1, i;
  bool runs = FALSE;
  for (i = 0; i < items && !runs; i++) runs = runs_perl(aTHX_ PL_stack_base[ax + i]);
  for (i = 0; i < items && runs; i++) {              /* no Perl code runs here */
    SV *sv = PL_stack_base[ax + i];
    PL_stack_base[ax + i] = SvGMAGICAL(sv) ? sv_2mortal(SvREFCNT_inc(sv)) : sv_mortalcopy(sv);
  }
  return items;
}

/* xsubpp writes this at the start of every XSUB. Perl's own definition declares sp, mark, ax and items. */
#undef dXSARGS
#define dXSARGS \
  I32 ax = POPMARK + 1; \
  I32 items = own_arguments(aTHX_ ax); \
  dSP

typedef asr_slice text_t;        /* names and passwords: characters() */
typedef asr_slice bytes_t;       /* messages: octets() */
typedef asr_slice path_t;        /* names of files: file_name() */
typedef UV count_t;              /* count() */
typedef NV number_t;             /* number() */

/* A file name as perl's own functions use it: the bytes of the string, in whatever encoding. */
static asr_slice file_name(pTHX_ SV *sv) {
  asr_slice name;
  STRLEN len;
  sv = settled(aTHX_ sv);
  name.ptr = SvOK(sv) ? SvPV_const(sv, len) : (len = 0, "");
  name.len = len;
  return name;
}

/* A number. Anything else is 0, without a warning: a warning handler is Perl code. */
static NV number(pTHX_ SV *sv) {
  if (SvROK(sv) || SvGMAGICAL(sv)) sv = settled(aTHX_ sv);
  return SvOK(sv) && looks_like_number(sv) ? SvNV(sv) : 0;
}

static UV count(pTHX_ SV *sv) {
  NV value = number(aTHX_ sv);
  return value >= (NV)UV_MAX ? UV_MAX : value > 0 ? (UV)value : 0;
}
#define AS_U32(n) ((U32)((n) > U32_MAX ? U32_MAX : (n)))
