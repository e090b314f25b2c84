/* A server of a mechanism with a GS2 header that looks at the channel binding of its parameters when the client asks for it, whether or not
 * there is any, as Cyrus' SCRAM before 2.1.28 does (CVE-2026-132138). NAME is the mechanism's. */
#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <string.h>

static int begins(void *global, sasl_server_params_t *params, const char *challenge, unsigned length, void **context) {
  (void)params, (void)challenge, (void)length;
  *context = global;
  return SASL_OK;
}

static int steps(void *context, sasl_server_params_t *params, const char *in, unsigned length, const char **out,
                 unsigned *count, sasl_out_params_t *results) {
  (void)context, (void)results;
  *out = NULL;
  *count = 0;
  const char *header = length > 2 && !strncmp(in, "F,", 2) ? in + 2 : in;
  if (length > 2 && !strncmp(header, "p=", 2) && strcmp(params->cbinding->name, header + 2)) return SASL_BADBINDING;
  return SASL_BADAUTH;
}

static sasl_server_plug_t servers[] = {
  { .mech_name = NAME, .features = SASL_FEAT_WANT_CLIENT_FIRST | SASL_FEAT_CHANNEL_BINDING, .mech_new = begins, .mech_step = steps },
};

int sasl_server_plug_init(const sasl_utils_t *utils, int max, int *version, sasl_server_plug_t **list, int *count) {
  (void)utils, (void)max;
  *version = SASL_SERVER_PLUG_VERSION;
  *list = servers;
  *count = 1;
  return SASL_OK;
}
