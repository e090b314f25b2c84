/* A canon_user plugin that converts names to lower case, in place. The option canon_failure makes it fail in various ways,
 * or append the flags that it was called with. */
#include <ctype.h>
#include <string.h>
#include <sasl/sasl.h>
#include <sasl/saslplug.h>

static int canonicalize(void *global, sasl_server_params_t *params, const char *user, unsigned length, unsigned flags,
                        char *out, unsigned room, unsigned *out_length) {
  const char *failure = global;
  if (user != out || length >= room) return SASL_BADPARAM;
  if (!strcmp(failure, "refuse")) {
    params->utils->seterror(params->utils->conn, 0, "%.*s is %s in realm %s", (int)length, user, "nobody",
                            params->user_realm ? params->user_realm : "?");
    return SASL_BADPROT;
  }
  if (!strcmp(failure, "unknown")) return SASL_NOUSER;
  if (!strcmp(failure, "away")) return SASL_UNAVAIL;
  for (unsigned i = 0; i < length; i++) out[i] = (char)tolower((unsigned char)user[i]);
  *out_length = length;
  if (!strcmp(failure, "flags")) out[(*out_length)++] = (char)('0' + flags);
  if (!strcmp(failure, "long")) *out_length = room + 7;
  if (!strcmp(failure, "empty")) *out_length = 0;
  if (!strcmp(failure, "nul")) out[1] = '\0';
  return SASL_OK;
}

static sasl_canonuser_plug_t plug = { .name = "canon", .canon_user_server = canonicalize };

int sasl_canonuser_init(const sasl_utils_t *utils, int max, int *version, sasl_canonuser_plug_t **out, const char *name) {
  const char *failure = NULL;
  utils->getopt(utils->getopt_context, name, "canon_failure", &failure, NULL);
  failure = failure ? failure : "";
  plug.glob_context = (void *)failure;
  if (!strcmp(failure, "client only")) plug.canon_user_server = NULL;
  *version = strcmp(failure, "version") ? SASL_CANONUSER_PLUG_VERSION : 4;
  *out = strcmp(failure, "null") ? &plug : NULL;
  if (!strcmp(failure, "fail")) utils->seterror(utils->conn, 0, "no memory of %m", 2);
  if (!strcmp(failure, "log")) utils->log(utils->conn, SASL_LOG_ERR, "the file is away");
  return strcmp(failure, "fail") && strcmp(failure, "log") ? SASL_OK : SASL_FAIL;
}
