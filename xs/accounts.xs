MODULE = Authen::SASL::Rust  PACKAGE = Authen::SASL::Rust::Accounts

void
_users(self, path)
    SV *self
    SV *path
  PREINIT:
    asr_slice name, reason;
    asr_text *owner;
    accounts_t *accounts;
  CODE:
    name = file_name(aTHX_ path);
    accounts = asr_accounts_users(name, &reason, &owner);
    own_accounts(aTHX_ self, accounts, reason, owner);

void
_saslauthd(self, path, limit)
    SV *self
    SV *path
    NV limit
  PREINIT:
    asr_slice name, reason;
    asr_text *owner;
    accounts_t *accounts;
  CODE:
    name = file_name(aTHX_ path);
    accounts = asr_accounts_saslauthd(name, limit, &reason, &owner);
    own_accounts(aTHX_ self, accounts, reason, owner);

void
_cyrus(self, path, options)
    SV *self
    SV *path
    SV *options
  PREINIT:
    asr_slice folders, pairs, reason;
    asr_text *owner;
    accounts_t *accounts;
  CODE:
    folders = characters(aTHX_ path);
    pairs = characters(aTHX_ options);
    accounts = asr_accounts_cyrus(folders, pairs, &reason, &owner);
    own_accounts(aTHX_ self, accounts, reason, owner);

void
_configuration(service)
    SV *service
  PREINIT:
    asr_slice text;
    asr_text *owner;
    SV *out;
    int found;
  PPCODE:
    text = characters(aTHX_ service);
    found = asr_configuration(text, &text, &owner);
    out = text_or_undef(aTHX_ text);
    asr_text_free(owner);
    if (found < 0) croak("%" SVf "\n", SVfARG(out));
    XPUSHs(found ? out : &PL_sv_undef);

void
_check(self, user, password, service, realm)
    SV *self
    SV *user
    SV *password
    SV *service
    SV *realm
  PREINIT:
    asr_slice u, p, s, r;
    accounts_t *accounts;
  PPCODE:
    u = characters(aTHX_ user);
    p = characters(aTHX_ password);
    s = characters(aTHX_ service);
    r = characters(aTHX_ realm);
    accounts = accounts_of(aTHX_ self);
    XPUSHs(boolSV(told(aTHX_ accounts, asr_accounts_check(accounts, u, p, s, r))));

void
_set(self, user, password, mechanisms, iterations, expected)
    SV *self
    SV *user
    SV *password
    SV *mechanisms
    U32 iterations
    int expected
  PREINIT:
    asr_slice u, p, m;
    accounts_t *accounts;
  CODE:
    u = characters(aTHX_ user);
    p = characters(aTHX_ password);
    m = characters(aTHX_ mechanisms);
    accounts = accounts_of(aTHX_ self);
    told(aTHX_ accounts, asr_accounts_set(accounts, u, p, m, iterations, expected));

void
_delete(self, user)
    SV *self
    SV *user
  ALIAS:
    _enable = 1
    _disable = 2
  PREINIT:
    asr_slice u;
    accounts_t *accounts;
  CODE:
    u = characters(aTHX_ user);
    accounts = accounts_of(aTHX_ self);
    told(aTHX_ accounts, ix ? asr_accounts_disable(accounts, u, ix == 2) : asr_accounts_delete(accounts, u));

void
_list(accounts)
    accounts_t *accounts
  PREINIT:
    asr_slice text;
  PPCODE:
    text = asr_accounts_list(accounts);
    if (!text.ptr) told(aTHX_ accounts, -1);
    XPUSHs(text_or_undef(aTHX_ text));
