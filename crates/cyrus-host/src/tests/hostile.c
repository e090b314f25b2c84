/* Mechanisms that lie about their results, keep dangling pointers, and call the host from where they must not. */
#include <pthread.h>
#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVER_STEP(name) \
  static int name(void *context, sasl_server_params_t *params, const char *in, unsigned length, const char **out, \
                  unsigned *count, sasl_out_params_t *results)
#define UNUSED (void)context, (void)params, (void)in, (void)length, (void)out, (void)count, (void)results

static int begins(void *global, sasl_server_params_t *params, const char *challenge, unsigned length, void **context) {
  (void)global, (void)params, (void)challenge, (void)length;
  *context = calloc(1, 64);
  return SASL_OK;
}

static void ends(void *context, const sasl_utils_t *utils) {
  (void)utils;
  free(context);
}

static int is_fred(sasl_server_params_t *params, sasl_out_params_t *results) {
  return params->canon_user(params->utils->conn, "fred", 4, SASL_CU_AUTHID | SASL_CU_AUTHZID, results);
}

/* Behaves correctly. */
SERVER_STEP(is_good) {
  UNUSED;
  if (params->utils->checkpass(params->utils->conn, "fred", 4, "pencil", 6) != SASL_OK) return SASL_BADAUTH;
  return is_fred(params, results);
}

/* A message with the length (unsigned)-1. */
SERVER_STEP(is_huge) {
  UNUSED;
  *out = "x";
  *count = (unsigned)-1;
  return SASL_CONTINUE;
}

/* A length without a message. */
SERVER_STEP(has_nothing) {
  UNUSED;
  *out = NULL;
  *count = 100;
  return SASL_CONTINUE;
}

/* Fails, and leaves a pointer that leads nowhere. */
SERVER_STEP(leaves_a_wreck) {
  UNUSED;
  *out = (const char *)8;
  *count = 100;
  return SASL_BADPROT;
}

/* A name with the length (unsigned)-1. */
SERVER_STEP(has_a_long_name) {
  int result = is_fred(params, results);
  UNUSED;
  results->ulen = (unsigned)-1;
  return result;
}

/* The authorization name is null. (The host cannot detect a name that the plugin has freed.) */
SERVER_STEP(has_no_name) {
  int result = is_fred(params, results);
  UNUSED;
  results->user = NULL;
  return result;
}

/* Calls the host from another thread, which the host must refuse: a call is answered on the stack of the step. */
static int refused;

static void *elsewhere(void *with) {
  sasl_server_params_t *params = with;
  const sasl_utils_t *utils = params->utils;
  sasl_out_params_t results;
  const void *value = NULL;
  const char *option = NULL;
  memset(&results, 0, sizeof results);
  refused = 0;
  refused += utils->checkpass(utils->conn, "fred", 4, "pencil", 6) == SASL_BADPARAM;
  refused += params->canon_user(utils->conn, "fred", 4, SASL_CU_AUTHID, &results) == SASL_BADPARAM;
  refused += utils->auxprop_store(utils->conn, NULL, NULL) == SASL_BADPARAM;
  refused += utils->getprop(utils->conn, SASL_SERVICE, &value) == SASL_BADPARAM;
  utils->seterror(utils->conn, 0, "from elsewhere");
  utils->log(utils->conn, SASL_LOG_ERR, "from elsewhere");
  utils->getopt(utils->getopt_context, NULL, "log_level", &option, NULL);
  return NULL;
}

SERVER_STEP(has_threads) {
  pthread_t thread;
  int round;
  UNUSED;
  for (round = 0; round < 2; round++) {
    if (pthread_create(&thread, NULL, elsewhere, params) || pthread_join(thread, NULL)) return SASL_NOMEM;
    if (refused != 4) return SASL_BADVERS;
    /* Here the step is suspended and resumed, perhaps by another thread. */
    if (params->utils->checkpass(params->utils->conn, "fred", 4, "pencil", 6) != SASL_OK) return SASL_BADAUTH;
  }
  return is_fred(params, results);
}

/* Keeps the previous connection, which was freed; the current one may have its address. */
SERVER_STEP(remembers) {
  static sasl_conn_t *before;
  const void *value = NULL;
  int result = SASL_OK;
  UNUSED;
  if (before == params->utils->conn) before = NULL;
  if (before && params->utils->checkpass(before, "fred", 4, "pencil", 6) != SASL_BADPARAM) result = SASL_BADVERS;
  if (before && params->utils->getprop(before, SASL_SERVICE, &value) != SASL_BADPARAM) result = SASL_BADVERS;
  before = params->utils->conn;
  return result == SASL_OK ? is_fred(params, results) : result;
}

/* Jumps out of nested calls with longjmp, before and after the step was suspended. */
static jmp_buf back;

static void deep(int levels) {
  volatile char room[512];
  room[0] = (char)levels;
  if (levels) deep(levels - 1);
  else longjmp(back, 1);
  room[1] = room[0];
}

SERVER_STEP(jumps) {
  volatile int rounds = 0;
  UNUSED;
  while (rounds < 3) {
    if (!setjmp(back)) deep(100);
    rounds++;
    if (params->utils->checkpass(params->utils->conn, "fred", 4, "pencil", 6) != SASL_OK) return SASL_BADAUTH;
  }
  return is_fred(params, results);
}

/* Forks, as a plugin does that runs a program. */
SERVER_STEP(forks) {
  int status = -1;
  pid_t child;
  UNUSED;
  if (params->utils->checkpass(params->utils->conn, "fred", 4, "pencil", 6) != SASL_OK) return SASL_BADAUTH;
  child = fork();
  if (child == 0) {
    params->utils->log(params->utils->conn, SASL_LOG_ERR, "a child");
    _exit(7);
  }
  if (child < 0 || waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7) return SASL_FAIL;
  return is_fred(params, results);
}

/* Layers. The mechanism's context has the result of encode. */
typedef struct { const char *out; unsigned count; char text[48]; } gives;

static int encodes(void *context, const struct iovec *from, unsigned parts, const char **out, unsigned *count) {
  gives *what = context;
  (void)from, (void)parts;
  *out = what->out;
  *count = what->count;
  return SASL_OK;
}

/* Returns its input, in place. */
static int decodes(void *context, const char *in, unsigned length, const char **out, unsigned *count) {
  gives *what = context;
  *out = what->out ? in : NULL;
  *count = what->out ? length : 1000;
  return SASL_OK;
}

/* Makes the frame in the buffer of the plaintext, after which the host has left room. */
static int encodes_in_place(void *context, const struct iovec *from, unsigned parts, const char **out, unsigned *count) {
  unsigned char *text = from->iov_base;
  unsigned length = (unsigned)from->iov_len;
  (void)context, (void)parts;
  memmove(text + 4, text, length);
  text[0] = (unsigned char)(length >> 24), text[1] = (unsigned char)(length >> 16);
  text[2] = (unsigned char)(length >> 8), text[3] = (unsigned char)length;
  *out = (const char *)text;
  *count = length + 4;
  return SASL_OK;
}

static int layer(void *context, sasl_server_params_t *params, sasl_out_params_t *results, const char *out, unsigned count) {
  gives *what = context;
  what->out = out;
  what->count = count;
  results->mech_ssf = 56;
  results->maxoutbuf = 1000;
  results->encode_context = results->decode_context = context;
  results->encode = encodes;
  results->decode = decodes;
  return is_fred(params, results);
}

SERVER_STEP(layer_in_place) {
  int result = layer(context, params, results, "", 0);
  UNUSED;
  results->encode = encodes_in_place;
  return result;
}
SERVER_STEP(layer_huge) { UNUSED; return layer(context, params, results, "\0\0\0\1x", (unsigned)-1); }
SERVER_STEP(layer_null) { UNUSED; return layer(context, params, results, NULL, 5); }
SERVER_STEP(layer_lies) { UNUSED; return layer(context, params, results, "\0\0\0\2x", 5); }
SERVER_STEP(layer_short) { UNUSED; return layer(context, params, results, "\0\0", 2); }

/* mech_avail: the mechanism is available only on a connection with a realm. */
static int wants_a_realm(void *global, sasl_server_params_t *params, void **context) {
  (void)global;
  if (params->user_realm) return SASL_OK;
  *context = calloc(1, 64); /* the host must dispose of it */
  params->utils->seterror(params->utils->conn, 0, "there is no realm");
  return SASL_NOMECH;
}

#define SERVER(name, step) { .mech_name = name, .mech_new = begins, .mech_step = step, .mech_dispose = ends, .max_ssf = 56 }
static sasl_server_plug_t servers[] = {
  SERVER("GOOD", is_good), SERVER("HUGE", is_huge), SERVER("NOTHING", has_nothing), SERVER("WRECK", leaves_a_wreck),
  SERVER("LONG-NAME", has_a_long_name), SERVER("NO-NAME", has_no_name), SERVER("THREADS", has_threads),
  SERVER("REMEMBERS", remembers), SERVER("JUMPS", jumps), SERVER("FORKS", forks),
  SERVER("LAYER-IN-PLACE", layer_in_place), SERVER("LAYER-HUGE", layer_huge), SERVER("LAYER-NULL", layer_null),
  SERVER("LAYER-LIES", layer_lies), SERVER("LAYER-SHORT", layer_short),
  { .mech_name = "CHOOSY", .mech_new = begins, .mech_step = has_nothing, .mech_dispose = ends, .mech_avail = wants_a_realm },
};

/* Clients: one prompts without saying for what, one succeeds with a message of length (unsigned)-1, one fails like WRECK. */
static int client_begins(void *global, sasl_client_params_t *params, void **context) {
  (void)global, (void)params;
  *context = calloc(1, 64);
  return SASL_OK;
}

#define CLIENT_STEP(name) \
  static int name(void *context, sasl_client_params_t *params, const char *in, unsigned length, sasl_interact_t **need, \
                  const char **out, unsigned *count, sasl_out_params_t *results)

CLIENT_STEP(prompts_for_nothing) {
  UNUSED, (void)need;
  *need = NULL;
  return SASL_INTERACT;
}

CLIENT_STEP(client_is_huge) {
  UNUSED, (void)need;
  *out = "x";
  *count = (unsigned)-1;
  return params->canon_user(params->utils->conn, "fred", 0, SASL_CU_AUTHID | SASL_CU_AUTHZID, results);
}

CLIENT_STEP(client_leaves_a_wreck) {
  UNUSED, (void)need;
  *out = (const char *)8;
  *count = 100;
  return SASL_FAIL;
}

#define CLIENT(name, step) { .mech_name = name, .mech_new = client_begins, .mech_step = step, .mech_dispose = ends }
static sasl_client_plug_t clients[] = {
  CLIENT("PROMPTS", prompts_for_nothing), CLIENT("HUGE", client_is_huge), CLIENT("WRECK", client_leaves_a_wreck),
};

int sasl_client_plug_init(const sasl_utils_t *utils, int most, int *version, sasl_client_plug_t **list, int *count) {
  (void)utils, (void)most;
  *version = SASL_CLIENT_PLUG_VERSION;
  *list = clients;
  *count = sizeof clients / sizeof *clients;
  return SASL_OK;
}

int sasl_server_plug_init(const sasl_utils_t *utils, int most, int *version, sasl_server_plug_t **list, int *count) {
  (void)utils, (void)most;
  *version = SASL_SERVER_PLUG_VERSION;
  *list = servers;
  *count = sizeof servers / sizeof *servers;
  return SASL_OK;
}
