/* Calls the functions of sasl_utils_t, and writes their results to a file. With -DHOST this is a program that does so within
 * libsasl2, as its server plugin; without, a library that the test calls with our own functions. Both must write the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sasl/sasl.h>
#include <sasl/saslplug.h>

static FILE *out;
static const sasl_utils_t *u;

/* The same numbers on each side. */
static unsigned long seed;
static unsigned pick(unsigned below) {
  seed = seed * 6364136223846793005UL + 1442695040888963407UL;
  return (unsigned)(seed >> 33) % below;
}

static void hex(const void *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) fprintf(out, "%02x", ((const unsigned char *)bytes)[i]);
}

/* The size of an MD5_CTX before its buffer. The field has no common name: newer headers have OpenSSL's context. */
enum { STATE_AND_COUNT = 6 * 4 };

static void hashes(void) {
  unsigned char text[300], digest[16];
  for (unsigned i = 0; i < sizeof text; i++) text[i] = (unsigned char)(i * 7);
  for (unsigned length = 0; length <= sizeof text; length += length < 130 ? 1 : 17) {
    MD5_CTX md5;
    unsigned cut = length / 3;
    u->MD5Init(&md5);
    u->MD5Update(&md5, text, cut);
    u->MD5Update(&md5, text + cut, length - cut);
    fprintf(out, "md5 %u ", length);
    hex(&md5, STATE_AND_COUNT);
    u->MD5Final(digest, &md5);
    fputc(' ', out);
    hex(digest, sizeof digest);

    HMAC_MD5_CTX hmac;
    HMAC_MD5_STATE state;
    u->hmac_md5(text, 50, text, (int)length, digest);
    fprintf(out, " hmac ");
    hex(digest, sizeof digest);
    u->hmac_md5_init(&hmac, text, (int)length);
    u->MD5Update(&hmac.ictx, text, 70);
    u->hmac_md5_final(digest, &hmac);
    fputc(' ', out);
    hex(digest, sizeof digest);
    u->hmac_md5_precalc(&state, text, (int)length);
    fputc(' ', out);
    hex(&state, sizeof state);
    u->hmac_md5_import(&hmac, &state);
    u->MD5Update(&hmac.ictx, text, 3);
    u->hmac_md5_final(digest, &hmac);
    fputc(' ', out);
    hex(digest, sizeof digest);
    fputc('\n', out);
  }
}

static void encode(const char *in, unsigned length, unsigned room) {
  char buffer[64];
  unsigned written = 4711;
  memset(buffer, '#', sizeof buffer);
  int code = u->encode64(in, length, buffer, room, &written);
  fprintf(out, "encode %u %u: %d %u %.20s\n", length, room, code, written, code == SASL_OK ? buffer : "");
}

static void decode(const char *in, unsigned length, unsigned room) {
  char buffer[64];
  unsigned written = 4711;
  memset(buffer, '#', sizeof buffer);
  int code = u->decode64(in, length, buffer, room, &written);
  fprintf(out, "decode ");
  hex(in, length);
  fprintf(out, " %u %u: %d", length, room, code);
  if (code == SASL_OK || code == SASL_CONTINUE) {
    fprintf(out, " %u ", written);
    hex(buffer, written < room ? written + 1 : written);
  }
  fputc('\n', out);
}

static void base64(void) {
  static const char *texts[] = { "", "A", "AA", "AA=", "AA==", "AAA", "AAA=", "AAAA", "AB==", "AAB=", "=AAA", "A=AA",
    "AAAAAA==", "AAAA====", "AAAA=", "AA==AAAA", "AAAA\n", "AAAA\r\n", "AAAA\r", "AAAA AAAA", "AAA\n", "AAAA\nAAAA",
    "\r\n", "\r", "\n", "AAAA\r\nAAAA", "AAAA*", "*AAA", "AA*=", "AAA*", "////", "++++", "AAAAAAAA" };
  for (unsigned length = 0; length < 10; length++)
    for (unsigned room = 0; room < 20; room++) encode("abcdefghij", length, room);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    for (unsigned room = 0; room < 16; room++) decode(texts[i], (unsigned)strlen(texts[i]), room);
  seed = 1;
  for (int i = 0; i < 20000; i++) {
    char text[16];
    unsigned length = pick(14);
    for (unsigned at = 0; at < length; at++) text[at] = "AABQgw/9====\r\n *"[pick(16)];
    decode(text, length, pick(4) ? 32 : pick(16));
  }
  char buffer[8];
  unsigned written = 0;
  fprintf(out, "null %d", u->encode64(NULL, 3, buffer, 8, &written));
  fprintf(out, " %d", u->encode64("abc", 3, buffer, 8, NULL));
  fprintf(out, " %d", u->decode64("AAAA", 4, buffer, 8, NULL));
  fprintf(out, " %d\n", u->decode64("AAAA", 4, NULL, 8, &written));
}

/* Leaves out bytes with which libsasl2 accepts what RFC 3629 forbids: overlong forms, surrogates, values beyond 10FFFF. */
static void utf8(void) {
  static const unsigned char bytes[] = { 'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc2, 0xc3, 0xc4, 0xd0, 0xdf,
    0xe1, 0xe2, 0xe5, 0xec, 0xee, 0xef, 0xf1, 0xf2, 0xf3, 0xf3, 0xe3, 0xe4, 0xe6, 0xe7, 0xfe, 0xff, 0xff, 0xc3, 0 };
  seed = 2;
  for (int i = 0; i < 20000; i++) {
    char text[8] = "";
    unsigned length = pick(7);
    for (unsigned at = 0; at < length; at++) text[at] = (char)bytes[at && pick(2) ? 2 + pick(6) : pick(32)];
    fprintf(out, "utf8 ");
    hex(text, length);
    fprintf(out, " %d\n", u->utf8verify(text, length));
  }
}

static void challenge(void) {
  char text[512] = "";
  int length = u->mkchal(u->conn, text, sizeof text, 1);
  char *at = strchr(text, '@'), *dot = strchr(text, '.');
  fprintf(out, "challenge %d %c %s %d", length == (int)strlen(text), *text, at ? at : "none", dot && dot < at);
  length = u->mkchal(u->conn, text, sizeof text, 0);
  fprintf(out, " %d %d %c", length == (int)strlen(text), !strchr(text, '@'), text[length - 1]);
  fprintf(out, " %d %d\n", u->mkchal(u->conn, text, 5, 1), u->mkchal(u->conn, text, 0, 0));
}

static const char *names[] = { "userPassword", "*userPassword", "mail", "*cmusaslsecretPLAIN", "uid" };
enum { NAMES = sizeof names / sizeof *names };

static void entry(const struct propval *value) {
  int name = -1;
  for (int i = 0; i < NAMES; i++) if (value->name == names[i]) name = i;
  fprintf(out, " [%d %u %u", name, value->nvalues, value->valsize);
  if (!value->values) fprintf(out, " -");
  for (const char **text = value->values; text && *text; text++) fprintf(out, " '%s'", *text);
  fputc(']', out);
}

static void dump(struct propctx *context) {
  for (const struct propval *value = u->prop_get(context); value && value->name; value++) entry(value);
}

static void properties(void) {
  static const char *values[] = { "", "x", "secret", "a longer value than the others", NULL };
  struct propctx *context = u->prop_new(0);
  struct propval found[NAMES + 1];
  const char *list[NAMES + 2], *texts[4];
  char buffer[128];
  unsigned written, count;
  int set = 0; /* the last call has set a value: otherwise libsasl2 appends to one name and counts for another */
  seed = 3;
  dump(context);
  fputc('\n', out);
  for (int step = 0; step < 20000; step++) {
    int code = 0;
    const char *name = names[pick(NAMES)];
    unsigned what = pick(40);
    fprintf(out, "props %d %u:", step, what);
    switch (what) {
      case 0: case 1:
        for (count = 0; count < 1 + pick(3); count++) list[count] = names[pick(NAMES)];
        list[count] = NULL;
        code = u->prop_request(context, list);
        set = 0;
        break;
      case 2: list[0] = NULL; code = u->prop_request(context, list); break;
      case 3: u->prop_clear(context, pick(4) == 0); set = 0; break;
      case 4: case 5: u->prop_erase(context, name); set = 0; break;
      case 6: {
        struct propctx *copy = NULL;
        const struct propval *value = u->prop_get(context);
        while (value->name && !(value->values && !value->nvalues)) value++;
        if (value->name) break; /* libsasl2 copies the values of another name to one without values */
        code = u->prop_dup(context, &copy);
        dump(copy);
        if (pick(2)) { struct propctx *old = context; context = copy; copy = old; set = 0; }
        u->prop_dispose(&copy);
        fprintf(out, " disposed %d", copy == NULL);
        break;
      }
      case 7: case 8: {
        unsigned room = pick(3) ? pick(80) : sizeof buffer;
        written = 4711;
        if (!u->prop_get(context)->name) break; /* libsasl2 subtracts a separator that is not there */
        code = u->prop_format(context, pick(4) ? ", " : NULL, (int)pick(4) - 1, buffer, room, &written);
        if (code == SASL_OK) fprintf(out, " %u '%s'", written, buffer);
        break;
      }
      case 9: case 10:
        for (count = 0; count < NAMES; count++) list[count] = names[count];
        list[NAMES] = NULL;
        memset(found, 0, sizeof found);
        code = u->prop_getnames(context, list, found);
        for (count = 0; count < NAMES; count++) entry(&found[count]);
        break;
      case 11: case 12: case 13:
        memset(texts, 0, sizeof texts); /* libsasl2 reads beyond the end of an empty list */
        for (count = 0; count < 3 && pick(3); count++) texts[count] = values[pick(4)];
        code = u->prop_setvals(context, set && pick(3) == 0 ? NULL : name, texts);
        set = code == SASL_OK && count > 0;
        break;
      case 14: code = u->prop_setvals(context, name, NULL); break;
      case 15: case 16: case 17:
        if (set) code = u->prop_set(context, NULL, values[pick(5)], 0);
        break;
      default: {
        const char *value = values[pick(5)];
        unsigned length = value ? (unsigned)strlen(value) : 0;
        code = u->prop_set(context, name, value, pick(2) && length ? (int)(1 + pick(length)) : 0);
        set = code == SASL_OK && value;
      }
    }
    fprintf(out, " = %d", code);
    dump(context);
    fputc('\n', out);
  }
  u->prop_dispose(&context);
  u->prop_dispose(&context);
  u->prop_dispose(NULL);
  fprintf(out, "null %d %d %d %d %d %p\n", u->prop_request(NULL, names), u->prop_set(NULL, "x", "x", 0),
    u->prop_setvals(NULL, "x", values), u->prop_getnames(NULL, names, found), u->prop_format(NULL, "", 0, buffer, 9, &written),
    (const void *)u->prop_get(NULL));
}

static void detail(void) {
  const void *text = NULL;
  const char *lines[] = { "plain", "%% %s %s", "%d %i %c", "%m", "no such conversion", NULL };
  for (int i = 0; lines[i]; i++) {
    if (i == 3) u->seterror(u->conn, SASL_NOLOG, lines[i], 2);
    else if (i == 2) u->seterror(u->conn, SASL_NOLOG, lines[i], -5, 17, 'q');
    else u->seterror(u->conn, SASL_NOLOG, lines[i], "one", "two");
    int code = u->getprop(u->conn, SASL_PLUGERR, &text);
    fprintf(out, "error %d %s\n", code, text ? (const char *)text : "-");
  }
}

static void lookups(void) {
  sasl_callback_ft proc = (sasl_callback_ft)1;
  void *context = (void *)1;
  int code = u->getcallback(u->conn, 0x7777, &proc, &context);
  fprintf(out, "callback %d %d %d", code, proc == NULL, context == NULL);
  code = u->getcallback(u->conn, SASL_CB_GETOPT, &proc, &context);
  fprintf(out, " getopt %d %d", code, proc != NULL);
  code = u->getcallback(u->conn, SASL_CB_VERIFYFILE, &proc, &context);
  fprintf(out, " verify %d %d", code, proc != NULL);
  code = u->getcallback(u->conn, SASL_CB_LOG, &proc, &context);
  fprintf(out, " log %d %d\n", code, proc != NULL);
  static const int numbers[] = { SASL_USERNAME, SASL_SERVICE, SASL_SERVERFQDN, SASL_IPLOCALPORT, SASL_IPREMOTEPORT,
    SASL_DEFUSERREALM, SASL_APPNAME, SASL_DELEGATEDCREDS, 4711 };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    const void *value = NULL;
    code = u->getprop(u->conn, numbers[i], &value);
    fprintf(out, "property %d: %d %s\n", numbers[i], code, code == SASL_OK && value ? (const char *)value : "-");
  }
  unsigned ssf = 56;
  fprintf(out, "set %d", u->setprop(u->conn, SASL_SSF_EXTERNAL, &ssf));
  const void *value = NULL;
  ssf = 1;
  code = u->getprop(u->conn, SASL_SSF_EXTERNAL, &value);
  fprintf(out, " %d %u", code, value ? *(const unsigned *)value : 0);
  fprintf(out, " %d", u->setprop(u->conn, SASL_DEFUSERREALM, "example.net"));
  code = u->getprop(u->conn, SASL_DEFUSERREALM, &value);
  fprintf(out, " %d %s %d\n", code, (const char *)value, u->setprop(u->conn, 4711, "x"));
}

void battery(const sasl_utils_t *utils, const char *path) {
  out = fopen(path, "w");
  if (!out) return;
  setvbuf(out, NULL, _IOLBF, 0);
  u = utils;
  hashes();
  base64();
  utf8();
  challenge();
  properties();
  detail();
  lookups();
  char wiped[4] = "abc";
  u->erasebuffer(wiped, 3);
  fprintf(out, "erased %d\n", !memcmp(wiped, "\0\0\0", 4));
  void *mutex = u->mutex_alloc(), *memory = u->realloc(u->calloc(2, 4), 16);
  fprintf(out, "mutex %d", mutex != NULL);
  fprintf(out, " %d", u->mutex_lock(mutex));
  fprintf(out, " %d\n", u->mutex_unlock(mutex));
  u->mutex_free(mutex);
  u->free(memory);
  fclose(out);
}

#ifdef HOST
static const char *path;

static int begin(void *global, sasl_server_params_t *params, const char *challenge, unsigned length, void **context) {
  battery(params->utils, path);
  *context = NULL;
  return SASL_OK;
}

static int step(void *context, sasl_server_params_t *params, const char *in, unsigned length, const char **reply,
                unsigned *reply_length, sasl_out_params_t *params_out) {
  return SASL_FAIL;
}

static sasl_server_plug_t plug = { .mech_name = "BATTERY", .mech_new = begin, .mech_step = step };

static int init(const sasl_utils_t *utils, int max, int *version, sasl_server_plug_t **list, int *count) {
  *version = SASL_SERVER_PLUG_VERSION;
  *list = &plug;
  *count = 1;
  return SASL_OK;
}

int main(int argc, char **argv) {
  sasl_conn_t *conn;
  const char *reply;
  unsigned length;
  path = argv[1];
  if (sasl_server_init(NULL, "battery") || sasl_server_add_plugin("battery", init)) return 1;
  if (sasl_server_new("imap", "mail.example.org", "example.org", NULL, NULL, NULL, 0, &conn)) return 2;
  sasl_server_start(conn, "BATTERY", "", 0, &reply, &length);
  sasl_dispose(&conn);
  return 0;
}
#endif
