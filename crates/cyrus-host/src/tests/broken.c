/* A plugin with one defect, chosen by a macro. Without a macro, its mechanisms misbehave, each in its own way. */
#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <string.h>

static int begins(void *global, sasl_client_params_t *params, void **context) {
  (void)global;
  (void)params;
  *context = "a context";
  return SASL_OK;
}

static void ends(void *context, const sasl_utils_t *utils) {
  (void)context;
  (void)utils;
}

/* Prompts for a name again and again. */
static int prompts(void *context, sasl_client_params_t *params, const char *in, unsigned length,
                   sasl_interact_t **need, const char **out, unsigned *count, sasl_out_params_t *results) {
  sasl_interact_t *list = *need ? *need : params->utils->malloc(2 * sizeof *list);
  (void)context, (void)in, (void)length, (void)out, (void)count, (void)results;
  memset(list, 0, 2 * sizeof *list);
  list[0].id = SASL_CB_AUTHNAME;
  list[1].id = SASL_CB_LIST_END;
  *need = list;
  return SASL_INTERACT;
}

/* Ends without setting the names. */
static int forgets_names(void *context, sasl_client_params_t *params, const char *in, unsigned length,
                         sasl_interact_t **need, const char **out, unsigned *count, sasl_out_params_t *results) {
  (void)context, (void)params, (void)in, (void)length, (void)need, (void)out, (void)count;
  results->doneflag = 1;
  return SASL_OK;
}

/* Reports an SSF, but has no functions for a layer. */
static int boasts(void *context, sasl_client_params_t *params, const char *in, unsigned length, sasl_interact_t **need,
                  const char **out, unsigned *count, sasl_out_params_t *results) {
  int result = params->canon_user(params->utils->conn, "fred", 0, SASL_CU_AUTHID | SASL_CU_AUTHZID, results);
  (void)context, (void)in, (void)length, (void)need, (void)out, (void)count;
  results->mech_ssf = 128;
  return result;
}

/* Fails, with escape sequences for a terminal in the error text. */
static int complains(void *context, sasl_client_params_t *params, const char *in, unsigned length,
                     sasl_interact_t **need, const char **out, unsigned *count, sasl_out_params_t *results) {
  (void)context, (void)in, (void)length, (void)need, (void)out, (void)count, (void)results;
  params->utils->seterror(params->utils->conn, 0, "the \033[31mmoon\033[0m is %s (%z)", "full", SASL_UNAVAIL);
  return SASL_UNAVAIL;
}

static int server_begins(void *global, sasl_server_params_t *params, const char *challenge, unsigned length,
                         void **context) {
  (void)global, (void)params, (void)challenge, (void)length;
  *context = "a context";
  return SASL_OK;
}

/* Checks the password until it is accepted, at most a thousand times. */
static int insists(void *context, sasl_server_params_t *params, const char *in, unsigned length, const char **out,
                   unsigned *count, sasl_out_params_t *results) {
  int i, result = SASL_FAIL;
  (void)context, (void)in, (void)length, (void)out, (void)count;
  for (i = 0; i < 1000 && result != SASL_OK; i++)
    result = params->utils->checkpass(params->utils->conn, "fred", 4, "pencil", 6);
  if (result != SASL_OK) return result;
  return params->canon_user(params->utils->conn, " fred ", 0, SASL_CU_AUTHID | SASL_CU_AUTHZID, results);
}

/* The mechanism must not be offered. */
static int is_closed(void *global, sasl_server_params_t *params, void **context) {
  (void)global, (void)params, (void)context;
  return SASL_NOMECH;
}

static sasl_client_plug_t clients[] = {
  { .mech_name = "ENDLESS", .mech_new = begins, .mech_step = prompts, .mech_dispose = ends },
  { .mech_name = "NAMELESS", .mech_new = begins, .mech_step = forgets_names },
  { .mech_name = "BOASTFUL", .mech_new = begins, .mech_step = boasts, .max_ssf = 128 },
  { .mech_name = "COMPLAINING", .mech_new = begins, .mech_step = complains },
#ifdef NO_NAME
  { .mech_new = begins, .mech_step = boasts },
#endif
#ifdef BAD_NAME
  { .mech_name = "bad name", .mech_new = begins, .mech_step = boasts },
#endif
#ifdef NO_STEP
  { .mech_name = "STEPLESS", .mech_new = begins },
#endif
};

static sasl_server_plug_t servers[] = {
  { .mech_name = "INSISTENT", .mech_new = server_begins, .mech_step = insists },
  { .mech_name = "CLOSED", .mech_new = server_begins, .mech_step = insists, .mech_avail = is_closed },
};

#ifdef IMPORTS
int uses(sasl_conn_t *conn) { return sasl_setpass(conn, "", "", 0, NULL, 0, 0); }
#endif

#ifndef NO_ENTRY
int sasl_client_plug_init(const sasl_utils_t *utils, int most, int *version, sasl_client_plug_t **list, int *count) {
  (void)most;
  *version = SASL_CLIENT_PLUG_VERSION;
  *list = clients;
  *count = sizeof clients / sizeof *clients;
#ifdef VERSION
  *version = VERSION;
#endif
#ifdef BADVERS
  *version = 5;
  return SASL_BADVERS;
#endif
#ifdef FAILS
  utils->seterror(utils->conn, 0, "no luck");
  return SASL_CONFIGERR;
#endif
#ifdef NO_TABLE
  *list = NULL;
#endif
#ifdef COUNT
  *count = COUNT;
#endif
  (void)utils;
  return SASL_OK;
}

int sasl_server_plug_init(const sasl_utils_t *utils, int most, int *version, sasl_server_plug_t **list, int *count) {
  (void)utils;
  (void)most;
  *version = SASL_SERVER_PLUG_VERSION;
  *list = servers;
  *count = sizeof servers / sizeof *servers;
  return SASL_OK;
}
#endif
