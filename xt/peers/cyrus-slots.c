/* Tests our guest with our own function tables: that of libsasl2 2.1, and that of 2.2, which has no MD5 functions. Argument:
 * the plugin's file. Prints one line per result. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The program's definition precedes libsasl2's: the linker exports a symbol that the program defines if a library needs it. */
int sasl_mkchal(sasl_conn_t *connection, char *buffer, unsigned most, unsigned host) {
  (void)connection;
  (void)buffer;
  (void)most;
  (void)host;
  return 0;
}

static int get_option(void *context, const char *plugin, const char *name, const char **value, unsigned *length) {
  (void)context;
  (void)length;
  printf("getopt %s %s\n", plugin, name);
  *value = NULL;
  return SASL_FAIL;
}

static int get_callback(sasl_conn_t *connection, unsigned long id, sasl_callback_ft *proc, void **context) {
  (void)connection;
  *proc = NULL;
  *context = NULL;
  printf("getcallback %#lx\n", id);
  return SASL_FAIL;
}

static void say(sasl_conn_t *connection, unsigned flags, const char *format, ...) {
  va_list args;
  (void)connection;
  (void)flags;
  va_start(args, format);
  printf("seterror ");
  vprintf(format, args);
  printf("\n");
  va_end(args);
}

static void note(sasl_conn_t *connection, int level, const char *format, ...) {
  va_list args;
  (void)connection;
  va_start(args, format);
  printf("log %d ", level);
  vprintf(format, args);
  printf("\n");
  va_end(args);
}

static int foreign(void) { return 0; }

int main(int argc, char **argv) {
  static unsigned char room[sizeof(sasl_utils_t)];
  sasl_utils_t table;
  size_t md5 = offsetof(sasl_utils_t, MD5Init), next = offsetof(sasl_utils_t, mkchal);
  void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
  sasl_client_plug_init_t *begin_client;
  sasl_server_plug_init_t *begin_server;
  int new_one;
  if (!library) {
    printf("%s\n", dlerror());
    return 2;
  }
  *(void **)&begin_client = dlsym(library, "sasl_client_plug_init");
  *(void **)&begin_server = dlsym(library, "sasl_server_plug_init");
  memset(&table, 0, sizeof table);
  table.conn = (sasl_conn_t *)&table;
  table.getopt = get_option;
  table.malloc = malloc;
  table.calloc = calloc;
  table.realloc = realloc;
  table.free = free;
  *(void **)&table.MD5Init = *(void **)&table.MD5Update = (void *)foreign;
  table.mkchal = sasl_mkchal;
  table.getcallback = get_callback;
  table.log = note;
  table.seterror = say;
  for (new_one = 0; new_one < 2; new_one++) {
    const sasl_utils_t *utils = (const sasl_utils_t *)room;
    sasl_client_plug_t *clients = NULL;
    sasl_server_plug_t *servers = NULL;
    sasl_client_params_t params;
    sasl_out_params_t results;
    sasl_interact_t *prompts = NULL;
    const char *out = NULL;
    unsigned length = 0;
    int version = 0, count = 0, code;
    void *context = NULL;
    memcpy(room, &table, sizeof table);
    if (new_one) {
      memset(room, 0, sizeof room);
      memcpy(room, &table, md5);
      memcpy(room + md5, (unsigned char *)&table + next, sizeof table - next);
    }
    printf("table %d: %s\n", new_one, sasl_errstring(SASL_OK, NULL, NULL));
    printf("version 3: %d\n", begin_client(utils, 3, &version, &clients, &count));
    printf("nothing: %d %d\n", begin_client(NULL, 4, &version, &clients, &count), begin_server(utils, 4, NULL, &servers, &count));
    code = begin_server(utils, 4, &version, &servers, &count);
    printf("servers: %d %d %d\n", code, version, count > 5 && servers);
    code = begin_client(utils, 5, &version, &clients, &count);
    printf("clients: %d %d %d\n", code, version, count > 5 && clients);
    memset(&params, 0, sizeof params);
    memset(&results, 0, sizeof results);
    params.utils = utils;
    params.service = "imap";
    code = clients->mech_new(clients->glob_context, &params, &context);
    printf("new %d %d\n", code, context != NULL);
    code = clients->mech_step(context, &params, NULL, 0, &prompts, &out, &length, &results);
    printf("step %d %d\n", code, out != NULL);
    code = clients->mech_step(context, &params, "", 0, &prompts, &out, &length, &results);
    printf("again %d\n", code);
    clients->mech_dispose(context, utils);
    clients->mech_dispose(NULL, utils);
  }
  return 0;
}
