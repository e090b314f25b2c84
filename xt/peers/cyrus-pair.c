/* A client and a server with libsasl2 in one process, for tests that need one process: many logins, threads, forks, prompts,
 * damaged messages, reused connections, layers in both directions at the same time. The plugins are those of SASL_PATH.
 *
 * Usage: cyrus-pair deed sasldb mechanism [number]. Prints one line for each fact. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sasl/sasl.h>
#include <sasl/saslplug.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLBACK(function) ((int (*)(void))(void (*)(void))(function))

static const char *sasldb;
static const char *choice; /* rust_mech_list */

/* A client's identity; password NULL: it has no callback for it. */
struct user {
  const char *name, *password, *realm;
};

static int same(const char *a, const char *b) { return a && b && !strcmp(a, b); }

static int get_option(void *context, const char *plugin, const char *name, const char **value, unsigned *length) {
  const char *found = NULL;
  (void)context;
  (void)plugin;
  if (same(name, "pwcheck_method")) found = "auxprop";
  if (same(name, "auxprop_plugin")) found = "sasldb";
  if (same(name, "sasldb_path")) found = sasldb;
  if (same(name, "rust_mech_list")) found = choice;
  if (!found) return SASL_FAIL;
  *value = found;
  if (length) *length = (unsigned)strlen(found);
  return SASL_OK;
}

static int quiet(void *context, int level, const char *text) {
  (void)context;
  if (getenv("LOUD")) fprintf(stderr, "%d %s\n", level, text);
  return SASL_OK;
}

static int get_name(void *context, int id, const char **value, unsigned *length) {
  struct user *user = context;
  *value = id != SASL_CB_USER ? user->name : getenv("AUTHZID") ? getenv("AUTHZID") : "";
  if (length) *length = (unsigned)strlen(*value);
  return SASL_OK;
}

static int get_secret(sasl_conn_t *connection, void *context, int id, sasl_secret_t **secret) {
  static __thread union { sasl_secret_t secret; char room[300]; } kept;
  struct user *user = context;
  (void)connection;
  (void)id;
  if (!user->password) return SASL_FAIL;
  kept.secret.len = strlen(user->password);
  memcpy(kept.secret.data, user->password, kept.secret.len + 1);
  *secret = &kept.secret;
  return SASL_OK;
}

static void die(const char *what, int code) {
  printf("%s: %s\n", what, sasl_errstring(code, NULL, NULL));
  fflush(stdout);
  exit(2);
}

struct pair {
  sasl_conn_t *client, *server;
  sasl_callback_t callbacks[5];
  const char *at_client, *at_server; /* reason of the failure */
};

static void open_pair(struct pair *pair, struct user *user, unsigned ssf) {
  sasl_security_properties_t limits;
  int code;
  sasl_callback_t callbacks[] = { { SASL_CB_USER, CALLBACK(get_name), user }, { SASL_CB_AUTHNAME, CALLBACK(get_name), user },
    { SASL_CB_PASS, CALLBACK(get_secret), user }, { SASL_CB_LIST_END, NULL, NULL } };
  if (!user) callbacks[0].proc = callbacks[1].proc = callbacks[2].proc = NULL;
  memset(pair, 0, sizeof *pair);
  memcpy(pair->callbacks, callbacks, sizeof callbacks);
  if ((code = sasl_client_new("imap", "localhost", NULL, NULL, pair->callbacks, 0, &pair->client))) die("client", code);
  if ((code = sasl_server_new("imap", "localhost", NULL, NULL, NULL, NULL, SASL_SUCCESS_DATA, &pair->server)))
    die("server", code);
  memset(&limits, 0, sizeof limits);
  limits.max_ssf = limits.min_ssf = ssf;
  limits.maxbufsize = 4096;
  sasl_setprop(pair->client, SASL_SEC_PROPS, &limits);
  sasl_setprop(pair->server, SASL_SEC_PROPS, &limits);
}

static void close_pair(struct pair *pair) {
  sasl_dispose(&pair->client);
  sasl_dispose(&pair->server);
}

/* A change to the message with that number; messages of both sides are counted together. */
struct damage {
  int message, kind; /* 0: none, 1: a bit is flipped, 2: cut, 3: a byte more, 4: empty */
  unsigned place;
};

static const char *damaged(const struct damage *damage, int number, const char *text, unsigned *length, char *room) {
  if (!damage || !text || damage->message != number) return text;
  memcpy(room, text, *length);
  if (damage->kind == 1 && damage->place / 8 < *length) room[damage->place / 8] ^= (char)(1 << damage->place % 8);
  if (damage->kind == 2 && damage->place < *length) *length = damage->place;
  if (damage->kind == 3) room[(*length)++] = 'x';
  if (damage->kind == 4) *length = 0;
  room[*length] = 0;
  return room;
}

/* 1: both sides succeeded; 0: not. lengths: the length of each message. */
static int login(struct pair *pair, const char *mechanism, const struct damage *damage, unsigned *lengths) {
  static __thread char room[70000];
  const char *out = NULL, *chosen = NULL;
  unsigned length = 0;
  int client, server = SASL_CONTINUE, number = 0, first = 1;
  client = sasl_client_start(pair->client, mechanism, NULL, &out, &length, &chosen);
  while (client == SASL_OK || client == SASL_CONTINUE) {
    if (lengths && out) lengths[number] = length;
    out = damaged(damage, number++, out, &length, room);
    server = first ? sasl_server_start(pair->server, chosen, out, length, &out, &length)
                   : sasl_server_step(pair->server, out ? out : "", out ? length : 0, &out, &length);
    first = 0;
    if (server != SASL_OK && server != SASL_CONTINUE) break;
    if (server == SASL_OK && client == SASL_OK && !out) return 1;
    if (lengths && out) lengths[number] = length;
    out = damaged(damage, number++, out, &length, room);
    client = sasl_client_step(pair->client, out ? out : "", out ? length : 0, NULL, &out, &length);
    if (server == SASL_OK) break;
  }
  pair->at_client = client == SASL_OK ? "" : sasl_errdetail(pair->client);
  pair->at_server = server == SASL_OK || server == SASL_CONTINUE ? "" : sasl_errdetail(pair->server);
  return client == SASL_OK && server == SASL_OK;
}

static struct user fred = { "fred", "sesame", NULL }, wrong = { "fred", "simsalabim", NULL }, nobody = { "barney", "sesame", NULL };

static const char *who(sasl_conn_t *connection, int property) {
  const void *value = NULL;
  return sasl_getprop(connection, property, &value) == SASL_OK && value ? value : "nobody";
}

static void many(const char *mechanism, int count) {
  int i, good = 0;
  for (i = 0; i < count; i++) {
    struct pair pair;
    open_pair(&pair, i % 10 == 9 ? &wrong : &fred, 0);
    good += login(&pair, mechanism, NULL, NULL);
    close_pair(&pair);
  }
  printf("%d of %d\n", good, count);
}

static long resident(void) {
  long size = 0, pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2) exit(2);
  fclose(file);
  return pages * sysconf(_SC_PAGESIZE);
}

static void one(const char *title, struct user *user, const char *mechanism) {
  struct pair pair;
  open_pair(&pair, user, 0);
  if (login(&pair, mechanism, NULL, NULL))
    printf("%s: %s is in, as %s\n", title, who(pair.server, SASL_AUTHUSER), who(pair.server, SASL_USERNAME));
  else
    printf("%s: refused; client: %s; server: %s\n%s tried: %s, as %s\n", title, pair.at_client, pair.at_server, title,
           who(pair.server, SASL_AUTHUSER), who(pair.server, SASL_USERNAME));
  close_pair(&pair);
}

/* A server connection after the failure of another: neither name nor password of the first may remain. */
static void again(const char *mechanism) {
  struct pair first, second;
  open_pair(&first, &wrong, 0);
  open_pair(&second, &fred, 0);
  printf("first %d\n", login(&first, mechanism, NULL, NULL));
  sasl_dispose(&second.server);
  second.server = first.server;
  printf("then ANONYMOUS %d", login(&second, "ANONYMOUS", NULL, NULL));
  printf(" %s\n", who(second.server, SASL_AUTHUSER));
  sasl_dispose(&first.client);
  close_pair(&second);
}

static void *worker(void *mechanism) {
  many(mechanism, 50);
  return NULL;
}

/* Counts changes to a message that need not be detected: no exchange that proves the password may succeed, but the trace of
 * ANONYMOUS, or the case of letters in a name, may change. */
static void damages(const char *mechanism) {
  unsigned lengths[12] = { 0 };
  int tried = 0, got_in = 0, message, kind;
  struct pair pair;
  unsigned place;
  open_pair(&pair, &fred, 0);
  if (!login(&pair, mechanism, NULL, lengths)) exit(2);
  close_pair(&pair);
  for (message = 0; message < 12; message++)
    for (kind = 1; kind <= 4; kind++)
      for (place = 0; place < (kind == 1 ? 8 * lengths[message] : kind == 2 ? lengths[message] : lengths[message] > 0); place += kind == 1 ? 5 : 3) {
        struct damage damage = { message, kind, place };
        open_pair(&pair, &fred, 0);
        tried++;
        if (login(&pair, mechanism, &damage, NULL)) {
          got_in++;
          if (getenv("LOUD")) fprintf(stderr, "message %d kind %d place %u of %u\n", message, kind, place, lengths[message]);
        }
        close_pair(&pair);
      }
  printf("%d tried, %d in\n", tried, got_in);
}

/* The user is asked through prompts. */
static void prompts(const char *mechanism) {
  struct pair pair;
  sasl_interact_t *asked = NULL, *at;
  const char *out = NULL, *chosen = NULL, *in = NULL;
  unsigned length = 0, count = 0;
  int client, server = SASL_CONTINUE, first = 1, begun = 0;
  char *copy = NULL;
  open_pair(&pair, NULL, 0);
  for (;;) {
    client = begun ? sasl_client_step(pair.client, in ? in : "", in ? count : 0, &asked, &out, &length)
                   : sasl_client_start(pair.client, mechanism, &asked, &out, &length, &chosen);
    if (client == SASL_INTERACT) {
      for (at = asked; at->id != SASL_CB_LIST_END; at++) {
        printf("%#lx %s|%s|%s\n", at->id, at->challenge, at->prompt, at->defresult ? at->defresult : "");
        at->result = at->id == SASL_CB_PASS ? "sesame" : at->id == SASL_CB_AUTHNAME ? "fred" : "";
        at->len = (unsigned)strlen(at->result);
      }
      continue;
    }
    begun = 1;
    if (client != SASL_OK && client != SASL_CONTINUE) break;
    server = first ? sasl_server_start(pair.server, chosen, out, length, &in, &count)
                   : sasl_server_step(pair.server, out ? out : "", out ? length : 0, &in, &count);
    first = 0;
    if ((server != SASL_OK && server != SASL_CONTINUE) || (server == SASL_OK && !in)) break;
    if (server == SASL_OK && client == SASL_OK) break;
    free(copy);
    copy = in ? strndup(in, count) : NULL;
    in = copy;
    if (server == SASL_OK) {
      client = sasl_client_step(pair.client, in, count, NULL, &out, &length);
      break;
    }
  }
  printf("client %d, server %d, %s, prompts %s\n", client, server, who(pair.server, SASL_AUTHUSER), asked ? "left" : "taken back");
  free(copy);
  close_pair(&pair);
  /* Unanswered prompts are freed with the connection. */
  open_pair(&pair, NULL, 0);
  asked = NULL;
  printf("unanswered %d\n", sasl_client_start(pair.client, "PLAIN", &asked, &out, &length, &chosen));
  close_pair(&pair);
}

static struct pair layered;

static int pass(sasl_conn_t *from, sasl_conn_t *to, unsigned size, int parts, unsigned chunk) {
  static __thread char text[200000], got[200000];
  struct iovec vector[8];
  const char *sealed, *opened;
  unsigned length, count, at, have = 0;
  int i;
  for (at = 0; at < size; at++) text[at] = (char)(at * 7 + size);
  for (i = 0; i < parts; i++) {
    vector[i].iov_base = text + size / parts * i;
    vector[i].iov_len = i == parts - 1 ? size - size / parts * i : size / parts;
  }
  if (sasl_encodev(from, vector, (unsigned)parts, &sealed, &length) != SASL_OK) return 0;
  for (at = 0; at < length; at += chunk) {
    if (sasl_decode(to, sealed + at, at + chunk > length ? length - at : chunk, &opened, &count) != SASL_OK) return 0;
    memcpy(got + have, opened, count);
    have += count;
  }
  return have == size && !memcmp(text, got, size);
}

static void *reader(void *unused) {
  long good = 0;
  int i;
  (void)unused;
  for (i = 0; i < 300; i++) good += pass(layered.server, layered.client, 1000, 1, 4096);
  return (void *)good;
}

static void layers(const char *mechanism, unsigned ssf) {
  pthread_t thread;
  void *theirs = NULL;
  long ours = 0;
  int i;
  open_pair(&layered, &fred, ssf);
  if (!login(&layered, mechanism, NULL, NULL)) printf("no login: %s %s\n", layered.at_client, layered.at_server);
  printf("ssf %u\n", *(const sasl_ssf_t *)who(layered.client, SASL_SSF));
  printf("whole %d, parts %d, bytes %d, long %d, nothing %d\n", pass(layered.client, layered.server, 1000, 1, 4096),
         pass(layered.server, layered.client, 1001, 7, 4096), pass(layered.client, layered.server, 300, 1, 1),
         pass(layered.client, layered.server, 150000, 3, 1000), pass(layered.client, layered.server, 0, 1, 4096));
  pthread_create(&thread, NULL, reader, NULL);
  for (i = 0; i < 300; i++) ours += pass(layered.client, layered.server, 1000, 1, 4096);
  pthread_join(thread, &theirs);
  printf("both ways at once %ld %ld\n", ours, (long)theirs);
  {
    const char *sealed, *opened = "";
    unsigned length, count = 0;
    char copy[300];
    sasl_encode(layered.client, "a message", 9, &sealed, &length);
    memcpy(copy, sealed, length);
    copy[length - 8] ^= 1;
    printf("changed %d", sasl_decode(layered.server, copy, length, &opened, &count));
    printf(" %u; then %d: %s\n", count, sasl_decode(layered.server, sealed, length, &opened, &count), sasl_errdetail(layered.server));
  }
  close_pair(&layered);
}

int main(int argc, char **argv) {
  static const sasl_callback_t global[] = { { SASL_CB_GETOPT, CALLBACK(get_option), NULL }, { SASL_CB_LOG, CALLBACK(quiet), NULL },
    { SASL_CB_LIST_END, NULL, NULL } };
  const char *deed = argc > 1 ? argv[1] : "", *mechanism = argc > 3 ? argv[3] : "";
  int number = argc > 4 ? atoi(argv[4]) : 0, status = 0;
  sasldb = argc > 2 ? argv[2] : "";
  choice = getenv("CHOICE");
  if (sasl_client_init(global) || sasl_server_init(global, "pair")) return 2;
  if (same(deed, "list")) {
    const char **name;
    for (name = sasl_global_listmech(); *name; name++) printf("%s\n", *name);
  }
  if (same(deed, "many")) {
    long before;
    many(mechanism, number / 2);
    before = resident();
    many(mechanism, number / 2);
    printf("%ld bytes more\n", resident() - before);
  }
  if (same(deed, "users")) {
    struct user silent = { "fred", NULL, NULL };
    one("right", &fred, mechanism);
    one("wrong", &wrong, mechanism);
    one("unknown", &nobody, mechanism);
    one("no password", &silent, mechanism);
  }
  if (same(deed, "again")) again(mechanism);
  if (same(deed, "damages")) damages(mechanism);
  if (same(deed, "prompts")) prompts(mechanism);
  if (same(deed, "layers")) layers(mechanism, (unsigned)number);
  if (same(deed, "threads")) {
    pthread_t thread;
    pthread_create(&thread, NULL, worker, (void *)mechanism);
    many(mechanism, 50);
    pthread_join(thread, NULL);
  }
  if (same(deed, "fork")) {
    pid_t child;
    one("before", &fred, mechanism);
    fflush(stdout);
    child = fork();
    one(child ? "parent" : "child", &fred, mechanism);
    if (!child) {
      fflush(stdout);
      _exit(0);
    }
    waitpid(child, &status, 0);
    printf("child ended with %d\n", status);
  }
  if (same(deed, "begin again")) {
    int i;
    one("first", &fred, mechanism);
    for (i = 0; i < 20; i++) {
      sasl_done();
      choice = i % 2 ? NULL : "PLAIN SCRAM-SHA-1";
      if (sasl_client_init(global) || sasl_server_init(global, "pair")) return 2;
    }
    one("last", &fred, mechanism);
  }
  sasl_done();
  return 0;
}
