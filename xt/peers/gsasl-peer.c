/* One side of an exchange by libgsasl, driven over stdin and stdout.
 *
 * Arguments, each key=value: role (client, server), mechanism, user, password,
 * authzid, trace, service, host, realm, iterations, external (server: the
 * identity that EXTERNAL may take), allow (server: the authzid that the user
 * may take, besides its own name), tls-unique and tls-exporter (channel
 * binding data, in base64), maxssf (1: the layer auth-int), salted-password
 * (client, in hexadecimal), salt (server, in base64). */
#include <gsasl.h>

#include "wire.h"

static int count;
static char **words;

static const char *option(const char *key) { return wire_option(count, words, key); }

static int same(const char *a, const char *b) { return a && b && !strcmp(a, b); }

static int give(Gsasl_session *session, Gsasl_property property, const char *key, int missing) {
  const char *value = option(key);
  return value ? gsasl_property_set(session, property, value) : missing;
}

static int client_answer(Gsasl_session *session, Gsasl_property property) {
  switch (property) {
    case GSASL_AUTHID: return give(session, property, "user", GSASL_NO_AUTHID);
    case GSASL_AUTHZID: return give(session, property, "authzid", GSASL_NO_AUTHZID);
    case GSASL_PASSWORD: return give(session, property, "password", GSASL_NO_PASSWORD);
    case GSASL_SCRAM_SALTED_PASSWORD: return give(session, property, "salted-password", GSASL_NO_CALLBACK);
    case GSASL_ANONYMOUS_TOKEN: return give(session, property, "trace", GSASL_NO_ANONYMOUS_TOKEN);
    case GSASL_SERVICE: return give(session, property, "service", GSASL_NO_SERVICE);
    case GSASL_HOSTNAME: return give(session, property, "host", GSASL_NO_HOSTNAME);
    case GSASL_REALM: return give(session, property, "realm", GSASL_NO_CALLBACK);
    case GSASL_QOP:
      return gsasl_property_set(session, property, option("maxssf") ? "qop-int" : "qop-auth");
    case GSASL_CB_TLS_UNIQUE: return give(session, property, "tls-unique", GSASL_NO_CB_TLS_UNIQUE);
    case GSASL_CB_TLS_EXPORTER: return give(session, property, "tls-exporter", GSASL_NO_CB_TLS_EXPORTER);
    default: return GSASL_NO_CALLBACK;
  }
}

static int server_answer(Gsasl_session *session, Gsasl_property property) {
  switch (property) {
    case GSASL_PASSWORD:
      if (!same(gsasl_property_fast(session, GSASL_AUTHID), option("user"))) return GSASL_NO_PASSWORD;
      return give(session, property, "password", GSASL_NO_PASSWORD);
    case GSASL_VALIDATE_ANONYMOUS: return GSASL_OK;
    case GSASL_VALIDATE_EXTERNAL: {
      const char *authzid = gsasl_property_fast(session, GSASL_AUTHZID);
      if (!authzid || !*authzid) return option("external") ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
      return same(authzid, option("external")) ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
    }
    case GSASL_VALIDATE_GSSAPI: {
      const char *name = gsasl_property_fast(session, GSASL_GSSAPI_DISPLAY_NAME);
      return same(name, option("user")) ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
    }
    case GSASL_SERVICE: return give(session, property, "service", GSASL_NO_SERVICE);
    case GSASL_HOSTNAME: return give(session, property, "host", GSASL_NO_HOSTNAME);
    case GSASL_REALM: return give(session, property, "realm", GSASL_NO_CALLBACK);
    case GSASL_SCRAM_SALT: return give(session, property, "salt", GSASL_NO_CALLBACK);
    case GSASL_SCRAM_ITER: return give(session, property, "iterations", GSASL_NO_CALLBACK);
    case GSASL_QOPS:
      return gsasl_property_set(session, property, option("maxssf") ? "qop-int" : "qop-auth");
    case GSASL_CB_TLS_UNIQUE: return give(session, property, "tls-unique", GSASL_NO_CB_TLS_UNIQUE);
    case GSASL_CB_TLS_EXPORTER: return give(session, property, "tls-exporter", GSASL_NO_CB_TLS_EXPORTER);
    default: return GSASL_NO_CALLBACK;
  }
}

static int answer(Gsasl *library, Gsasl_session *session, Gsasl_property property) {
  (void)library;
  return same(option("role"), "client") ? client_answer(session, property)
                                        : server_answer(session, property);
}

/* libgsasl authenticates the peer; the application authorizes it. */
static int authorized(Gsasl_session *session) {
  const char *authcid = gsasl_property_fast(session, GSASL_AUTHID);
  const char *authzid = gsasl_property_fast(session, GSASL_AUTHZID);
  if (same(option("role"), "client") || !authcid || !authzid || !*authzid) return 1;
  return same(authzid, authcid) || same(authzid, option("allow"));
}

static int extend(char **all, size_t *total, char *more, size_t length) {
  char *longer = realloc(*all, *total + length + 1);
  if (!longer) return GSASL_MALLOC_ERROR;
  memcpy(longer + *total, more, length);
  *all = longer;
  *total += length;
  gsasl_free(more);
  return GSASL_OK;
}

/* The security layer. libgsasl does not split data to the peer's buffer size, and decodes at most one frame per call: both are
 * handled here. */
static void layer(Gsasl_session *session, const struct message *in) {
  const size_t most = option("maxout") ? strtoul(option("maxout"), NULL, 10) : 4096;
  char *all = NULL;
  size_t total = 0, at, part;
  int rc = GSASL_OK;
  if (in->task == 't') {
    wire_more("1 0", 3);
    return;
  }
  for (at = 0; rc == GSASL_OK && at < in->length; at += part) {
    const unsigned char *next = (const unsigned char *)in->data + at;
    char *out = NULL;
    size_t length = 0;
    part = in->length - at;
    if (in->task == 'e') {
      if (part > most) part = most;
      rc = gsasl_encode(session, in->data + at, part, &out, &length);
    } else {
      size_t frame = part < 4 ? part : 4 + ((size_t)next[0] << 24 | next[1] << 16 | next[2] << 8 | next[3]);
      if (frame < part) part = frame;
      rc = gsasl_decode(session, in->data + at, part, &out, &length);
    }
    if (rc == GSASL_OK) rc = extend(&all, &total, out, length);
  }
  if (rc == GSASL_OK)
    wire_more(total ? all : "", total);
  else
    wire_fail(NULL, 0, gsasl_strerror(rc));
  free(all);
}

int main(int argc, char **argv) {
  Gsasl *library;
  Gsasl_session *session;
  int client, rc;
  count = argc;
  words = argv;
  client = same(option("role"), "client");
  if ((rc = gsasl_init(&library)) != GSASL_OK) {
    fprintf(stderr, "gsasl_init: %s\n", gsasl_strerror(rc));
    return 2;
  }
  gsasl_callback_set(library, answer);
  rc = client ? gsasl_client_start(library, option("mechanism"), &session)
              : gsasl_server_start(library, option("mechanism"), &session);
  if (rc != GSASL_OK) {
    fprintf(stderr, "cannot start %s: %s\n", option("mechanism"), gsasl_strerror(rc));
    return 2;
  }
  for (;;) {
    struct message in = wire_get();
    char *out = NULL;
    size_t length = 0;
    if (in.task) {
      layer(session, &in);
      free(in.data);
      continue;
    }
    rc = gsasl_step(session, in.present ? in.data : NULL, in.length, &out, &length);
    if (rc == GSASL_NEEDS_MORE) {
      wire_more(out, length);
    } else if (rc != GSASL_OK) {
      wire_fail(out, length, gsasl_strerror(rc));
    } else if (!authorized(session)) {
      wire_fail(NULL, 0, "authzid not allowed");
    } else {
      const char *authcid = gsasl_property_fast(session, GSASL_AUTHID);
      const char *authzid = gsasl_property_fast(session, GSASL_AUTHZID);
      if (!authcid) authcid = option("external");
      wire_done(out, length, authcid, authzid && *authzid ? authzid : authcid);
    }
    gsasl_free(out);
    free(in.data);
  }
}
