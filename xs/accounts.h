/* A server's account store: a blessed hash whose magic points to the core's object. */

typedef asr_accounts accounts_t;

static int accounts_free(pTHX_ SV *sv, MAGIC *mg) {
  PERL_UNUSED_VAR(sv);
  if (mg->mg_ptr) asr_accounts_free((accounts_t *)mg->mg_ptr);
  mg->mg_ptr = NULL;
  return 0;
}

static MGVTBL accounts_vtbl = { NULL, NULL, NULL, NULL, accounts_free, NULL, forget_in_clone, NULL };

static accounts_t *accounts_of(pTHX_ SV *sv) {
  accounts_t *accounts = NULL;
  if (SvROK(sv)) accounts = (accounts_t *)attached(aTHX_ SvRV(sv), &accounts_vtbl);
  if (!accounts) croak("not a live account store of Authen::SASL::Rust (it was made in another thread, or not by new)");
  return accounts;
}

/* Sets the account store of a new object, or croaks with the reason for the failure. */
static void own_accounts(pTHX_ SV *self, accounts_t *accounts, asr_slice reason, asr_text *owner) {
  if (!accounts) {
    SV *text = owner ? text_or_undef(aTHX_ reason) : sv_2mortal(newSVpvs("internal error"));
    asr_text_free(owner);
    croak("%" SVf "\n", SVfARG(text));
  }
  if (!SvROK(self) || attached(aTHX_ SvRV(self), &accounts_vtbl)) {
    asr_accounts_free(accounts);
    croak("a new object was expected");
  }
  attach(aTHX_ SvRV(self), &accounts_vtbl, accounts);
}

/* Returns the result; an error croaks. */
static bool told(pTHX_ accounts_t *accounts, int outcome) {
  if (outcome < 0) croak("%" SVf "\n", SVfARG(text_or_undef(aTHX_ asr_accounts_error(accounts))));
  return outcome > 0;
}
