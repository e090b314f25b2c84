/* One side of an exchange by libgsasl, driven over stdin and stdout.
 *
 * Arguments, each key=value: role (client, server), mechanism, user, password,
 * authzid, trace, service, host, realm, iterations, external (server: the
 * identity that EXTERNAL may take), allow (server: the authzid that the user
 * may take, besides its own name), tls-unique and tls-exporter (channel
 * binding data, in base64). */
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
    case GSASL_ANONYMOUS_TOKEN: return give(session, property, "trace", GSASL_NO_ANONYMOUS_TOKEN);
    case GSASL_SERVICE: return give(session, property, "service", GSASL_NO_SERVICE);
    case GSASL_HOSTNAME: return give(session, property, "host", GSASL_NO_HOSTNAME);
    case GSASL_REALM: return give(session, property, "realm", GSASL_NO_CALLBACK);
    case GSASL_QOP: return gsasl_property_set(session, property, "qop-auth");
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
    case GSASL_SERVICE: return give(session, property, "service", GSASL_NO_SERVICE);
    case GSASL_HOSTNAME: return give(session, property, "host", GSASL_NO_HOSTNAME);
    case GSASL_REALM: return give(session, property, "realm", GSASL_NO_CALLBACK);
    case GSASL_SCRAM_ITER: return give(session, property, "iterations", GSASL_NO_CALLBACK);
    case GSASL_QOPS: return gsasl_property_set(session, property, "qop-auth");
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

/* libgsasl proves who the peer is; whom it may act for is the application's. */
static int authorized(Gsasl_session *session) {
  const char *authcid = gsasl_property_fast(session, GSASL_AUTHID);
  const char *authzid = gsasl_property_fast(session, GSASL_AUTHZID);
  if (same(option("role"), "client") || !authcid || !authzid || !*authzid) return 1;
  return same(authzid, authcid) || same(authzid, option("allow"));
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
