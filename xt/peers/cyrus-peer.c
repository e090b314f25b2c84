/* One side of an exchange with Cyrus libsasl2, driven over stdin and stdout.
 *
 * Arguments, each key=value: role (client, server), mechanism, user, password
 * (client), authzid, trace, service, host, realm, sasldb (server: the user
 * file), iterations, external (the identity that TLS would have proved), allow
 * (server: the authzid that the user may take, besides its own name),
 * success_data (server: 1 if the protocol carries data with success), binding
 * (a type of channel binding) and binding_data (in base64), asked_binding and
 * asked_data (the same, if a plugin asks for that type), keytab (server),
 * minssf, maxssf, maxbuf (the layer: none if they are not given). */
#include <sasl/sasl.h>

#include "wire.h"

static int count;
static char **words;

static const char *option(const char *key) { return wire_option(count, words, key); }

static int same(const char *a, const char *b) { return a && b && !strcmp(a, b); }

static int get_option(void *context, const char *plugin, const char *name, const char **value,
                      unsigned *length) {
  const char *found = NULL;
  (void)context;
  (void)plugin;
  if (same(name, "mech_list")) found = option("mechanism");
  if (same(name, "pwcheck_method")) found = "auxprop";
  if (same(name, "auxprop_plugin")) found = "sasldb";
  if (same(name, "sasldb_path")) found = option("sasldb");
  if (same(name, "keytab")) found = option("keytab");
  if (same(name, "scram_iteration_counter")) found = option("iterations");
  if (!found) return SASL_FAIL;
  *value = found;
  if (length) *length = (unsigned)strlen(found);
  return SASL_OK;
}

/* The machine's own configuration must not affect the test. */
static int no_configuration(void *context, char **path) {
  (void)context;
  *path = strdup("/nonexistent");
  return *path ? SASL_OK : SASL_NOMEM;
}

static int get_name(void *context, int id, const char **value, unsigned *length) {
  const char *found = id == SASL_CB_USER ? option("authzid") : option("user");
  (void)context;
  if (id == SASL_CB_AUTHNAME && same(option("mechanism"), "ANONYMOUS")) found = option("trace");
  if (id == SASL_CB_USER && !found && same(option("mechanism"), "ANONYMOUS")) found = option("trace");
  *value = found ? found : "";
  if (length) *length = (unsigned)strlen(*value);
  return SASL_OK;
}

static int get_secret(sasl_conn_t *connection, void *context, int id, sasl_secret_t **secret) {
  static sasl_secret_t *kept;
  const char *password = option("password");
  (void)connection;
  (void)context;
  (void)id;
  if (!password) return SASL_FAIL;
  if (!kept) {
    kept = wire_alloc(sizeof *kept + strlen(password) + 1);
    kept->len = strlen(password);
    memcpy(kept->data, password, kept->len + 1);
  }
  *secret = kept;
  return SASL_OK;
}

static int get_realm(void *context, int id, const char **offered, const char **realm) {
  (void)context;
  (void)id;
  *realm = option("realm");
  if (!*realm) *realm = offered && *offered ? *offered : "";
  return SASL_OK;
}

static int proxy_policy(sasl_conn_t *connection, void *context, const char *authzid,
                        unsigned authzid_length, const char *authcid, unsigned authcid_length,
                        const char *realm, unsigned realm_length, struct propctx *properties) {
  (void)context;
  (void)realm;
  (void)realm_length;
  (void)properties;
  if (authzid_length == authcid_length && !memcmp(authzid, authcid, authcid_length)) return SASL_OK;
  if (option("allow") && authzid_length == strlen(option("allow")) &&
      !memcmp(authzid, option("allow"), authzid_length))
    return SASL_OK;
  sasl_seterror(connection, 0, "authzid not allowed");
  return SASL_BADAUTH;
}

static int quiet(void *context, int level, const char *text) {
  (void)context;
  fprintf(stderr, "libsasl2 (%d): %s\n", level, text);
  return SASL_OK;
}

/* A callback of libsasl2 2.2, whose header is the first to have it. */
#define SERVER_CHANNEL_BINDING 0x8008

static int change_binding(sasl_conn_t *connection, void *context, const char *mechanism,
                          const char *type) {
  static sasl_channel_binding_t binding;
  static struct message data;
  (void)context;
  if (strncmp(option("mechanism"), mechanism, strlen(mechanism))) return SASL_BADPARAM; /* without -PLUS */
  if (!same(type, option("asked_binding"))) return SASL_BADPARAM;
  data = wire_decode(option("asked_data"));
  binding.name = option("asked_binding");
  binding.data = (unsigned char *)data.data;
  binding.len = data.length;
  return sasl_setprop(connection, SASL_CHANNEL_BINDING, &binding);
}

/* libsasl2 keeps every callback as int (*)(void) and casts it back by its id. */
#define CALLBACK(function) ((int (*)(void))(void (*)(void))(function))
static const sasl_callback_t callbacks[] = {
    {SASL_CB_GETOPT, CALLBACK(get_option), NULL},
    {SASL_CB_GETCONFPATH, CALLBACK(no_configuration), NULL},
    {SASL_CB_LOG, CALLBACK(quiet), NULL},
    {SASL_CB_USER, CALLBACK(get_name), NULL},
    {SASL_CB_AUTHNAME, CALLBACK(get_name), NULL},
    {SASL_CB_PASS, CALLBACK(get_secret), NULL},
    {SASL_CB_GETREALM, CALLBACK(get_realm), NULL},
    {SASL_CB_PROXY_POLICY, CALLBACK(proxy_policy), NULL},
    {SERVER_CHANNEL_BINDING, CALLBACK(change_binding), NULL},
    {SASL_CB_LIST_END, NULL, NULL},
};

static void die_unless_ok(const char *what, int rc) {
  if (rc == SASL_OK) return;
  fprintf(stderr, "%s: %s\n", what, sasl_errstring(rc, NULL, NULL));
  exit(2);
}

static const char *identity(sasl_conn_t *connection, int property) {
  const void *value = NULL;
  return sasl_getprop(connection, property, &value) == SASL_OK ? value : NULL;
}

static unsigned number(const char *key) {
  return option(key) ? (unsigned)strtoul(option(key), NULL, 10) : 0;
}

/* libsasl2 keeps the pointer. */
static void bind_to_channel(sasl_conn_t *connection) {
  static sasl_channel_binding_t binding;
  static struct message data;
  if (!option("binding") || !option("binding_data")) return;
  data = wire_decode(option("binding_data"));
  binding.name = option("binding");
  binding.data = (unsigned char *)data.data;
  binding.len = data.length;
  die_unless_ok("SASL_CHANNEL_BINDING", sasl_setprop(connection, SASL_CHANNEL_BINDING, &binding));
}

static sasl_conn_t *new_connection(int client) {
  const char *service = option("service"), *host = option("host");
  sasl_security_properties_t limits;
  sasl_conn_t *connection = NULL;
  if (client) {
    die_unless_ok("sasl_client_init", sasl_client_init(callbacks));
    die_unless_ok("sasl_client_new",
                  sasl_client_new(service, host, NULL, NULL, NULL, 0, &connection));
  } else {
    unsigned flags = same(option("success_data"), "1") ? SASL_SUCCESS_DATA : 0;
    die_unless_ok("sasl_server_init", sasl_server_init(callbacks, "peer"));
    die_unless_ok("sasl_server_new", sasl_server_new(service, host, option("realm"), NULL, NULL,
                                                     NULL, flags, &connection));
  }
  memset(&limits, 0, sizeof limits); /* maxssf 0: authentication only */
  limits.min_ssf = number("minssf");
  limits.max_ssf = number("maxssf");
  limits.maxbufsize = option("maxbuf") ? number("maxbuf") : limits.max_ssf ? 65536 : 0;
  die_unless_ok("SASL_SEC_PROPS", sasl_setprop(connection, SASL_SEC_PROPS, &limits));
  bind_to_channel(connection);
  if (option("external")) {
    sasl_ssf_t ssf = 128;
    die_unless_ok("SASL_SSF_EXTERNAL", sasl_setprop(connection, SASL_SSF_EXTERNAL, &ssf));
    die_unless_ok("SASL_AUTH_EXTERNAL",
                  sasl_setprop(connection, SASL_AUTH_EXTERNAL, option("external")));
  }
  return connection;
}

/* The security layer: frames with their lengths, as on the wire. */
static void layer(sasl_conn_t *connection, const struct message *in) {
  const char *out = NULL;
  unsigned length = 0;
  int rc;
  if (in->task == 't') {
    const void *ssf = NULL, *most = NULL;
    char text[64];
    die_unless_ok("SASL_SSF", sasl_getprop(connection, SASL_SSF, &ssf));
    die_unless_ok("SASL_MAXOUTBUF", sasl_getprop(connection, SASL_MAXOUTBUF, &most));
    length = (unsigned)snprintf(text, sizeof text, "%u %u", *(const sasl_ssf_t *)ssf,
                                *(const unsigned *)most);
    wire_more(text, length);
    return;
  }
  rc = in->task == 'e' ? sasl_encode(connection, in->data, (unsigned)in->length, &out, &length)
                       : sasl_decode(connection, in->data, (unsigned)in->length, &out, &length);
  if (rc == SASL_OK)
    wire_more(length ? out : "", length);
  else
    wire_fail(NULL, 0, sasl_errdetail(connection));
}

int main(int argc, char **argv) {
  sasl_conn_t *connection;
  int client, first;
  count = argc;
  words = argv;
  client = same(option("role"), "client");
  connection = new_connection(client);
  for (first = 1;; first = 0) {
    struct message in = wire_get();
    const char *received = in.present ? in.data : NULL, *out = NULL, *chosen = NULL;
    unsigned length = 0;
    int rc;
    if (in.task) {
      layer(connection, &in);
      free(in.data);
      continue;
    }
    if (client)
      rc = first ? sasl_client_start(connection, option("mechanism"), NULL, &out, &length, &chosen)
                 : sasl_client_step(connection, received, (unsigned)in.length, NULL, &out, &length);
    else
      rc = first ? sasl_server_start(connection, option("mechanism"), received,
                                     (unsigned)in.length, &out, &length)
                 : sasl_server_step(connection, received, (unsigned)in.length, &out, &length);
    if (rc == SASL_CONTINUE)
      wire_more(out, length);
    else if (rc == SASL_OK)
      wire_done(out, length, identity(connection, SASL_AUTHUSER),
                identity(connection, SASL_USERNAME));
    else /* the output of a failed step must not be sent, and may have been freed */
      wire_fail(NULL, 0, sasl_errdetail(connection));
    free(in.data);
  }
}
