/* The C surface of the Rust core; lib.rs beside this file, with its modules, is the other half and says what each function does.
 * numbers.rs has the same numbers, and a test compares them. */
#ifndef AUTHEN_SASL_RUST_FFI_H
#define AUTHEN_SASL_RUST_FFI_H

#include <stddef.h>
#include <stdint.h>

typedef struct asr_handle asr_handle;
typedef struct asr_keys asr_keys;
typedef struct asr_text asr_text;

/* Bytes lent across the border; a null pointer is absent. */
typedef struct { const char *ptr; size_t len; } asr_slice;
typedef struct { uint32_t property; asr_slice bytes; } asr_value;

/* session::Outcome */
enum { ASR_SEND, ASR_ABSENT, ASR_ASK, ASR_FAILED, ASR_FAILED_WITH_MESSAGE, ASR_OVER, ASR_BUSY };

/* contract::Property; as bits in asr_question.wanted and in the abilities */
enum { ASR_AUTHCID, ASR_AUTHZID, ASR_PASSWORD, ASR_REALM, ASR_TOKEN, ASR_HOST, ASR_PORT, ASR_SERV, ASR_IDENTITY, ASR_HT_TOKEN, ASR_SCRAM_KEYS,
       ASR_PROPERTIES };

/* contract::Abilities of a client and of a server */
enum {
  ASR_CAN_ACT_AS_OTHER = 1 << 14, ASR_CAN_CHALLENGE = 1 << 15,
  ASR_CAN_CHECKPASS = 1 << 16, ASR_CAN_GETSECRET = 1 << 17, ASR_CAN_AUTHORIZE = 1 << 18,
  ASR_CAN_CHECKTOKEN = 1 << 19, ASR_CAN_CANONUSER = 1 << 20, ASR_CAN_HT_TOKENS = 1 << 21,
  ASR_CAN_SCRAM_KEYS = 63 << 22, ASR_CAN_KEEP_KEYS = 1 << 28,    /* of the former, one bit for each hash: asr_key_abilities */
  ASR_CAN_SET_VERIFIER = 1 << 29, ASR_CAN_OTP = 1 << 30
};

enum { ASR_Q_VALUES = 1, ASR_Q_REALM, ASR_Q_CHECKPASS, ASR_Q_GETSECRET, ASR_Q_AUTHORIZE, ASR_Q_TOKEN, ASR_Q_CANONUSER, ASR_Q_CHALLENGE,
       ASR_Q_HT_TOKENS, ASR_Q_KEEP_KEYS, ASR_Q_SET_VERIFIER, ASR_Q_OTP_STATE, ASR_Q_OTP_REPLACE };

typedef struct {
  int32_t kind;
  uint32_t wanted;   /* values: bits of properties; realm: how many; canonuser: 1 for the authzid; challenge: 1 if it may be seen */
  asr_slice name, authzid, secret, realm, host, port, prompt, stored;
} asr_question;

/* why an exchange is aborted */
enum { ASR_DIED, ASR_NOT_CALLABLE, ASR_NO_CODE, ASR_DROPPED, ASR_REFERENCE, ASR_KEPT, ASR_TOO_LONG };

/* limits::NAME_LIMIT */
enum { ASR_NAME_LIMIT = 4096 };

/* what SASLprep does to a name */
enum { ASR_PREPARED, ASR_CHANGED, ASR_FORBIDDEN };

void asr_loaded(void);
asr_handle *asr_new(int32_t side, asr_slice service, asr_slice host, uint32_t abilities);
void asr_free(asr_handle *);
asr_slice asr_negotiate(asr_handle *, asr_slice list);
int32_t asr_pick(asr_handle *, asr_slice name);
void asr_set_abilities(asr_handle *, uint32_t);
int32_t asr_knows(asr_slice name);
asr_text *asr_option_names(asr_slice *out);
asr_slice asr_nearest(asr_slice name, asr_slice names, int32_t own);
int32_t asr_set(asr_handle *, asr_slice name, asr_slice value, asr_slice *error);
asr_slice asr_bind(asr_handle *, asr_slice kind, asr_slice data);
void asr_unbind(asr_handle *);
void asr_tls(asr_handle *, uint32_t bits, int32_t certificate);
void asr_unix_peer(asr_handle *, int32_t is_one);
asr_slice asr_get(asr_handle *, asr_slice name);
int32_t asr_start(asr_handle *, asr_slice initial);
int32_t asr_step(asr_handle *, asr_slice received);
void asr_busy(asr_handle *);
int32_t asr_abort(asr_handle *, int32_t why, asr_slice name, asr_slice kind);
int32_t asr_abandon(asr_handle *);
asr_slice asr_message(const asr_handle *);
void asr_sent(asr_handle *);
asr_slice asr_error(asr_handle *);
int32_t asr_code(const asr_handle *);
int32_t asr_unavailable(const asr_handle *);
int32_t asr_lacks_accounts(asr_handle *);
int32_t asr_status(const asr_handle *);
asr_slice asr_mechanism(const asr_handle *);
int32_t asr_rank(const asr_handle *);
asr_slice asr_reasons(asr_handle *);
asr_slice asr_outline(asr_handle *, int32_t from, uint32_t index, asr_slice message);
asr_text *asr_usable(const asr_handle *, asr_slice *out);
void asr_text_free(asr_text *);
int32_t asr_make_verifier(asr_slice mechanism, asr_slice password, asr_slice salt, uint32_t iterations,
                          asr_slice spelling, asr_slice *out, asr_text **owner);
int32_t asr_salted_password(asr_slice mechanism, asr_slice password, asr_slice salt, uint32_t iterations, asr_slice *out, asr_text **owner);
int32_t asr_verifier_of_salted(asr_slice mechanism, asr_slice salted, asr_slice salt, uint32_t iterations, asr_slice *out, asr_text **owner);
int32_t asr_random(char *out, size_t length);
int32_t asr_saslprep(asr_slice name);
int32_t asr_make_otp_state(asr_slice phrase, asr_slice hash, asr_slice seed, asr_slice host, uint32_t sequence, asr_slice *out, asr_text **owner);
int32_t asr_question_get(asr_handle *, asr_question *out);
asr_slice asr_offered_realm(const asr_handle *, uint32_t index);
int32_t asr_answer_values(asr_handle *, const asr_value *, size_t count);
int32_t asr_answer_text(asr_handle *, asr_slice);
int32_t asr_answer_verdict(asr_handle *, int32_t);
int32_t asr_answer_credential(asr_handle *, asr_slice);
int32_t asr_answer_no_key(asr_handle *);
int32_t asr_answer_not_stored(asr_handle *, asr_slice reason);
int32_t asr_answer_token(asr_handle *, asr_slice identity, asr_slice status, asr_slice scope, asr_slice configuration);
uint32_t asr_key_abilities(asr_slice keys);
int32_t asr_wants_keys(const asr_handle *);
const asr_keys *asr_keys_new(void);
void asr_keys_free(const asr_keys *);
void asr_use_keys(asr_handle *, const asr_keys *);

/* Plugins. Without a handle: of all connections that will be made. */
int32_t asr_plugins_load(asr_handle *, asr_slice path, asr_slice load, int32_t prefer, asr_slice options,
                         asr_slice *out, asr_text **owner);
void asr_plugins_none(asr_handle *);
asr_text *asr_plugins_report(asr_slice *out);
int32_t asr_setpass(asr_handle *, asr_slice user, asr_slice password, uint32_t flags);

/* A server's accounts. 1 is yes or done, 0 no, -1 an error, whose text asr_accounts_error lends. A 0 has a text too if the
 * stored secret of the user is unusable. */
typedef struct asr_accounts asr_accounts;
enum { ASR_NEW_USER, ASR_KNOWN_USER, ASR_ANY_USER };
asr_accounts *asr_accounts_users(asr_slice path, asr_slice *error, asr_text **owner);
asr_accounts *asr_accounts_saslauthd(asr_slice path, double limit, asr_slice *error, asr_text **owner);
/* Of a Cyrus configuration: its options, names and values in turn with a NUL behind each. path has the folders of
 * plugins and may be absent. */
asr_accounts *asr_accounts_cyrus(asr_slice path, asr_slice options, asr_slice *error, asr_text **owner);
int32_t asr_configuration(asr_slice service, asr_slice *out, asr_text **owner);
/* What plugins have logged in this thread's calls: the oldest line with its level, absent if there is none. */
asr_slice asr_log_line(int *level);
void asr_log_forget(void);
void asr_accounts_free(asr_accounts *);
void asr_use_accounts(asr_handle *, const asr_accounts *);
asr_slice asr_auxprop(const asr_handle *, asr_slice name, size_t index);
asr_slice asr_accounts_error(const asr_accounts *);
int32_t asr_accounts_check(asr_accounts *, asr_slice name, asr_slice password, asr_slice service, asr_slice realm);
int32_t asr_accounts_set(asr_accounts *, asr_slice name, asr_slice password, asr_slice mechanisms, uint32_t iterations,
                         int32_t expected);
int32_t asr_accounts_delete(asr_accounts *, asr_slice name);
int32_t asr_accounts_disable(asr_accounts *, asr_slice name, int32_t disabled);
int32_t asr_accounts_store_otp(asr_accounts *, asr_slice name, asr_slice state);
asr_slice asr_accounts_list(asr_accounts *);

/* The security layer. `encode` and `decode` work in place on one message; a layer that a handle owns cuts
 * and joins frames. */
typedef struct asr_layer asr_layer;
typedef struct asr_bytes asr_bytes;
int32_t asr_layered(const asr_handle *);
size_t asr_room(const asr_handle *, size_t length);
ptrdiff_t asr_encode(asr_handle *, char *buffer, size_t capacity, size_t length);
ptrdiff_t asr_decode(asr_handle *, char *frame, size_t length);
const asr_layer *asr_layer_share(const asr_handle *);
void asr_layer_free(const asr_layer *);
asr_bytes *asr_layer_frame(const asr_layer *, asr_slice plaintext, asr_slice *out);
void asr_bytes_free(asr_bytes *);
int32_t asr_layer_feed(const asr_layer *, asr_slice);
size_t asr_layer_ready(const asr_layer *);
size_t asr_layer_read(const asr_layer *, char *out, size_t count);
size_t asr_layer_find(const asr_layer *, asr_slice separator);
size_t asr_layer_wanted(const asr_layer *);
void asr_layer_cut(const asr_layer *);
asr_text *asr_layer_error(const asr_layer *, asr_slice *out);

#endif
