/* The callbacks of a connection: a copy of those of the Authen::SASL object.
 *
 * The names that are used here have numbers, and the values are in an array in that order, since a hash would be a third of a
 * connection's memory. A hash replaces the array when the program asks for it, or has callbacks with other names. */

#define CALLBACK_NAMES(name) \
  name(auth) name(authcid) name(authname) name(authorize) name(authzid) name(canonuser) name(challenge) name(channel_binding) \
  name(checkpass) name(checktoken) name(getsecret) name(host) name(ht_token) name(ht_tokens) name(keep_scram_keys) name(log) \
  name(otp_replace) name(otp_state) name(pass) name(password) name(port) name(realm) name(scram_keys) name(serv) \
  name(setverifier) name(token) name(user)

#define AS_NUMBER(name) CB_##name,
#define AS_TEXT(name) { #name, sizeof(#name) - 1 },
enum { CALLBACK_NAMES(AS_NUMBER) CB_COUNT };         /* at most 31: place_of shifts a 32-bit number by CB_COUNT */
static const struct { const char *text; U8 len; } callback_names[] = { CALLBACK_NAMES(AS_TEXT) { "", 0 } };

static int callback_number(pTHX_ const char *name, STRLEN len) {
  int number;
  for (number = 0; number < CB_COUNT; number++)
    if (callback_names[number].len == len && memEQ(callback_names[number].text, name, len)) return number;
  return -1;
}

/* The place of a value in the array: after those with lower numbers. */
static int place_of(pTHX_ U32 known, int number) {
  U32 lower = known & ((1u << number) - 1);
  int place = 0;
  for (; lower; lower &= lower - 1) place++;
  return place;
}
#define KNOWN_CALLBACKS(conn) place_of(aTHX_ (conn)->known, CB_COUNT)

/* All callbacks as a hash, which is used instead of the array from now on. */
static HV *callbacks_hash(pTHX_ conn_t *conn) {
  int number, place = 0;
  if (conn->callbacks) return conn->callbacks;
  conn->callbacks = newHV();
  for (number = 0; number < CB_COUNT; number++)
    if (conn->known & 1u << number)
      (void)hv_store(conn->callbacks, callback_names[number].text, callback_names[number].len, conn->values[place++], 0);
  conn->known = 0;
  return conn->callbacks;
}

/* Copies the callbacks. The array has room for `room` values. newHVhv would leak a partial copy if reading a tied value dies. */
static void copy_callbacks(pTHX_ conn_t *conn, HV *from, STRLEN room) {
  HE *entry;
  hv_iterinit(from);
  while ((entry = hv_iternext(from))) {
    int number = HeKLEN(entry) == HEf_SVKEY ? -1 : callback_number(aTHX_ HeKEY(entry), (STRLEN)HeKLEN(entry));
    int count = KNOWN_CALLBACKS(conn);
    /* Reading a value may run Perl code, which may change the hash. */
    bool fits = number >= 0 && !conn->callbacks && (STRLEN)count < room && !(conn->known & 1u << number);
    SV *name = fits ? NULL : hv_iterkeysv(entry), *value = newSVsv(hv_iterval(from, entry));
    if (fits) {
      int place = place_of(aTHX_ conn->known, number);
      Move(conn->values + place, conn->values + place + 1, count - place, SV *);
      conn->values[place] = value;
      conn->known |= 1u << number;
    } else if (!hv_store_ent(callbacks_hash(aTHX_ conn), name, value, 0)) SvREFCNT_dec(value);
  }
}

static bool has_callbacks(pTHX_ conn_t *conn) {
  return conn->known || (conn->callbacks && HvUSEDKEYS(conn->callbacks));
}

/* The callback of that number, NULL if there is none. */
static SV *callback_of(pTHX_ conn_t *conn, int number) {
  SV *value = NULL;
  if (conn->callbacks) {
    SV **slot = hv_fetch(conn->callbacks, callback_names[number].text, callback_names[number].len, 0);
    if (slot) value = *slot;
  } else if (conn->known & 1u << number) value = conn->values[place_of(aTHX_ conn->known, number)];
  return value && SvOK(value) ? value : NULL;
}
#define CALLBACK(conn, name) callback_of(aTHX_ conn, CB_##name)

/* The callback for a value of a client, and its number; the standard names take precedence. */
static SV *value_callback(pTHX_ conn_t *conn, int property, int *number) {
  SV *cb = NULL;
#define NAMED(name) callback_of(aTHX_ conn, *number = CB_##name)
  switch (property) {
    case ASR_AUTHCID:
      if ((cb = NAMED(authcid)) || (cb = NAMED(auth))) return cb;
      return NAMED(user);
    case ASR_AUTHZID:
      if ((cb = NAMED(authzid)) || (cb = NAMED(authname))) return cb;
      return CALLBACK(conn, auth) ? NAMED(user) : NULL;   /* as in Authen::SASL::XS */
    case ASR_PASSWORD:
      if ((cb = NAMED(pass))) return cb;
      return NAMED(password);
    case ASR_TOKEN:
      if ((cb = NAMED(token)) || !(conn->flags & TOKEN_FROM_PASS)) return cb;
      return value_callback(aTHX_ conn, ASR_PASSWORD, number);
    case ASR_REALM: return NAMED(realm);
    case ASR_HOST: return NAMED(host);
    case ASR_PORT: return NAMED(port);
    case ASR_HT_TOKEN: return NAMED(ht_token);
    case ASR_SCRAM_KEYS: return NAMED(scram_keys);
    case ASR_IDENTITY:
      if ((cb = NAMED(authzid))) return cb;
      if (CALLBACK(conn, auth) && (cb = NAMED(user))) return cb;
      if ((cb = value_callback(aTHX_ conn, ASR_AUTHCID, number))) return cb;
      return NAMED(authname);
    default: return NAMED(serv);
  }
#undef NAMED
}

/* A value that can be read before it is needed: not code, and without magic that runs code. */
static bool is_plain(pTHX_ SV *callback) {
  return !SvROK(callback) && !SvGMAGICAL(callback);
}

/* A code reference, or an object that overloads &{}. overload.pm keeps the method under the name "(&{}". */
static bool is_code(pTHX_ SV *sv) {
  if (!SvROK(sv)) return FALSE;
  if (SvTYPE(SvRV(sv)) == SVt_PVCV) return TRUE;
  return SvAMAGIC(sv) && gv_fetchmeth(SvSTASH(SvRV(sv)), "(&{}", 4, -1);
}

static bool is_callable(pTHX_ SV *callback) {
  SV **first;
  if (is_code(aTHX_ callback)) return TRUE;
  return SvROK(callback) && SvTYPE(SvRV(callback)) == SVt_PVAV && (first = av_fetch((AV *)SvRV(callback), 0, 0))
      && is_code(aTHX_ *first);
}

/* SCRAM keys as text: they may be a hash, or an array of hashes. */
static SV *keys_text(pTHX_ SV *keys) {
  if (!SvROK(keys) || SvAMAGIC(keys)) return keys;
  return call_perl(aTHX_ "Authen::SASL::Rust::_scram_keys_text", 0, &keys, 1);
}

/* The questions that the application can answer, according to its callbacks. */
static U32 abilities(pTHX_ conn_t *conn) {
  SV *keys;
  U32 can = 0;
  int property, number;
  if (conn->flags & IS_SERVER) {
    if (CALLBACK(conn, checkpass)) can |= ASR_CAN_CHECKPASS;
    if (CALLBACK(conn, getsecret)) can |= ASR_CAN_GETSECRET;
    if (CALLBACK(conn, authorize)) can |= ASR_CAN_AUTHORIZE;
    if (CALLBACK(conn, checktoken)) can |= ASR_CAN_CHECKTOKEN;
    if (CALLBACK(conn, canonuser)) can |= ASR_CAN_CANONUSER;
    if (CALLBACK(conn, ht_tokens)) can |= ASR_CAN_HT_TOKENS;
    if (CALLBACK(conn, keep_scram_keys)) can |= ASR_CAN_KEEP_KEYS;
    if (CALLBACK(conn, setverifier)) can |= ASR_CAN_SET_VERIFIER;
    if (CALLBACK(conn, otp_state) && CALLBACK(conn, otp_replace)) can |= ASR_CAN_OTP;
    return can;
  }
  for (property = ASR_AUTHCID; property <= ASR_TOKEN; property++)
    if (property != ASR_REALM && value_callback(aTHX_ conn, property, &number)) can |= 1u << property;
  if (CALLBACK(conn, ht_token)) can |= 1u << ASR_HT_TOKEN;
  if (CALLBACK(conn, challenge)) can |= ASR_CAN_CHALLENGE;
  if (CALLBACK(conn, keep_scram_keys)) can |= ASR_CAN_KEEP_KEYS;
  if ((keys = CALLBACK(conn, scram_keys)))
    can |= is_callable(aTHX_ keys) ? ASR_CAN_SCRAM_KEYS : asr_key_abilities(characters(aTHX_ keys_text(aTHX_ keys)));
  if (can & 1u << ASR_AUTHCID && can & 1u << ASR_AUTHZID) {
    SV *authcid = value_callback(aTHX_ conn, ASR_AUTHCID, &number);
    SV *authzid = value_callback(aTHX_ conn, ASR_AUTHZID, &number);
    if (is_plain(aTHX_ authcid) && is_plain(aTHX_ authzid)) {
      asr_slice one = characters(aTHX_ authcid), other = characters(aTHX_ authzid);
      if (other.len && (one.len != other.len || memNE(one.ptr, other.ptr, one.len))) can |= ASR_CAN_ACT_AS_OTHER;
    }
  }
  return can;
}
