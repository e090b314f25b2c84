/* Prints what libsasl2 reads from a configuration file. Arguments: directory, or - for its default ones; application; names of
 * options. Prints name=value for each option that is set, and finally the result of the initialization. */
#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Callbacks are stored without their argument types. */
#define CALLBACK(function) ((int (*)(void))(void (*)(void))(function))

static int count;
static char **words;

static int folder(void *context, const char **path) {
  (void)context;
  *path = words[1];
  return SASL_OK;
}

static int observe(const sasl_utils_t *utils, int version, int *out, sasl_server_plug_t **plugins, int *plugin_count) {
  int i;
  (void)version;
  for (i = 3; i < count; i++) {
    const char *value = NULL;
    if (utils->getopt(utils->getopt_context, NULL, words[i], &value, NULL) == SASL_OK && value)
      printf("%s=%s\n", words[i], value);
  }
  *out = SASL_SERVER_PLUG_VERSION;
  *plugins = NULL;
  *plugin_count = 0;
  return SASL_NOMECH;
}

int main(int argument_count, char **arguments) {
  sasl_callback_t given[] = { { SASL_CB_GETPATH, CALLBACK(folder), NULL }, { SASL_CB_GETCONFPATH, CALLBACK(folder), NULL },
    { SASL_CB_LIST_END, NULL, NULL } };
  sasl_callback_t none[] = { { SASL_CB_LIST_END, NULL, NULL } };
  int outcome;
  count = argument_count;
  words = arguments;
  if (count < 3) return 2;
  outcome = sasl_server_init(strcmp(words[1], "-") ? given : none, words[2]);
  if (outcome == SASL_OK) sasl_server_add_plugin("observer", observe);
  printf("%d\n", outcome);
  sasl_done();
  return 0;
}
