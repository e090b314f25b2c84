MODULE = Authen::SASL::Rust  PACKAGE = Authen::SASL::Rust::Accounts

void
_users(self, path)
    SV *self
    path_t path
  PREINIT:
    asr_slice reason;
    asr_text *owner = NULL;
    accounts_t *accounts;
  CODE:
    accounts = asr_accounts_users(path, &reason, &owner);
    own_accounts(aTHX_ self, accounts, reason, owner);

void
_saslauthd(self, path, limit)
    SV *self
    path_t path
    number_t limit
  PREINIT:
    asr_slice reason;
    asr_text *owner = NULL;
    accounts_t *accounts;
  CODE:
    accounts = asr_accounts_saslauthd(path, limit, &reason, &owner);
    own_accounts(aTHX_ self, accounts, reason, owner);

void
_cyrus(self, path, options)
    SV *self
    text_t path
    text_t options
  PREINIT:
    asr_slice reason;
    asr_text *owner = NULL;
    accounts_t *accounts;
  CODE:
    accounts = asr_accounts_cyrus(path, options, &reason, &owner);
    own_accounts(aTHX_ self, accounts, reason, owner);

void
_configuration(service)
    text_t service
  PREINIT:
    asr_slice text;
    asr_text *owner;
    SV *out;
    int found;
  PPCODE:
    found = asr_configuration(service, &text, &owner);
    out = text_or_undef(aTHX_ text);
    asr_text_free(owner);
    if (found < 0) croak("%" SVf "\n", SVfARG(out));
    XPUSHs(found ? out : &PL_sv_undef);

void
_check(accounts, user, password, service, realm)
    accounts_t *accounts
    text_t user
    text_t password
    text_t service
    text_t realm
  PPCODE:
    XPUSHs(boolSV(told(aTHX_ accounts, asr_accounts_check(accounts, user, password, service, realm))));

void
_error(accounts)
    accounts_t *accounts
  PPCODE:
    XPUSHs(text_or_undef(aTHX_ asr_accounts_error(accounts)));

void
_set(accounts, user, password, mechanisms, iterations, expected)
    accounts_t *accounts
    text_t user
    text_t password
    text_t mechanisms
    count_t iterations
    count_t expected
  CODE:
    told(aTHX_ accounts, asr_accounts_set(accounts, user, password, mechanisms, AS_U32(iterations), (int)AS_U32(expected)));

void
_store_otp(accounts, user, state)
    accounts_t *accounts
    text_t user
    text_t state
  CODE:
    told(aTHX_ accounts, asr_accounts_store_otp(accounts, user, state));

void
_delete(accounts, user)
    accounts_t *accounts
    text_t user
  ALIAS:
    _enable = 1
    _disable = 2
  CODE:
    told(aTHX_ accounts, ix ? asr_accounts_disable(accounts, user, ix == 2) : asr_accounts_delete(accounts, user));

void
_list(accounts)
    accounts_t *accounts
  PREINIT:
    asr_slice text;
  PPCODE:
    text = asr_accounts_list(accounts);
    if (!text.ptr) told(aTHX_ accounts, -1);
    XPUSHs(text_or_undef(aTHX_ text));
