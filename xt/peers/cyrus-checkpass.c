/* Checks a password with libsasl2 and saslauthd. Arguments: path of the socket, service, realm or -, user, password. */
#include <sasl/sasl.h>
#include <stdio.h>
#include <string.h>

/* Callbacks are stored without their argument types. */
#define CALLBACK(function) ((int (*)(void))(void (*)(void))(function))

static const char *socket_path;

static int get_option(void *context, const char *plugin, const char *name, const char **value, unsigned *length) {
  (void)context;
  (void)plugin;
  if (!strcmp(name, "pwcheck_method")) *value = "saslauthd";
  else if (!strcmp(name, "saslauthd_path")) *value = socket_path;
  else return SASL_FAIL;
  if (length) *length = (unsigned)strlen(*value);
  return SASL_OK;
}

int main(int count, char **words) {
  sasl_callback_t callbacks[] = { { SASL_CB_GETOPT, CALLBACK(get_option), NULL }, { SASL_CB_LIST_END, NULL, NULL } };
  sasl_conn_t *connection;
  int outcome;
  if (count != 6) return 2;
  socket_path = words[1];
  outcome = sasl_server_init(callbacks, "checkpass");
  if (outcome != SASL_OK) return 3;
  outcome = sasl_server_new(words[2], "localhost", strcmp(words[3], "-") ? words[3] : NULL, NULL, NULL, NULL, 0, &connection);
  if (outcome != SASL_OK) return 4;
  outcome = sasl_checkpass(connection, words[4], (unsigned)strlen(words[4]), words[5], (unsigned)strlen(words[5]));
  printf("%d\n", outcome);
  sasl_dispose(&connection);
  sasl_done();
  return 0;
}
