/* One text line per message, as in Peer::Process: "." is an absent message, "=" an empty one, anything else base64. A message
 * for the security layer is preceded by the operation: encode, decode, or tell (the negotiated parameters). */
#ifndef PEER_WIRE_H
#define PEER_WIRE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct message {
  char task; /* e, d, t for the layer; 0 in the exchange */
  int present;
  char *data; /* zero-terminated beyond length */
  size_t length;
};

static const char wire_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void *wire_alloc(size_t size) {
  void *memory = malloc(size);
  if (!memory) {
    fprintf(stderr, "out of memory\n");
    exit(2);
  }
  return memory;
}

static void wire_put(const char *data, size_t length) {
  size_t i;
  if (!data) {
    fputs(" .", stdout);
    return;
  }
  fputs(length ? " " : " =", stdout);
  for (i = 0; i < length; i += 3) {
    unsigned long triple = (unsigned long)(unsigned char)data[i] << 16;
    if (i + 1 < length) triple |= (unsigned long)(unsigned char)data[i + 1] << 8;
    if (i + 2 < length) triple |= (unsigned char)data[i + 2];
    putchar(wire_alphabet[triple >> 18 & 63]);
    putchar(wire_alphabet[triple >> 12 & 63]);
    putchar(i + 1 < length ? wire_alphabet[triple >> 6 & 63] : '=');
    putchar(i + 2 < length ? wire_alphabet[triple & 63] : '=');
  }
}

static struct message wire_decode(const char *text) {
  struct message in = {0, 1, NULL, 0};
  unsigned long bits = 0;
  int have = 0;
  const char *at;
  in.data = wire_alloc(strlen(text) + 1);
  for (at = text; *at && *at != '='; at++) {
    const char *found = strchr(wire_alphabet, *at);
    if (!found) {
      fprintf(stderr, "not base64: %s\n", text);
      exit(2);
    }
    bits = bits << 6 | (unsigned long)(found - wire_alphabet);
    if ((have += 6) >= 8) in.data[in.length++] = (char)(bits >> (have -= 8) & 255);
  }
  in.data[in.length] = 0;
  return in;
}

/* Reads the next line; ends the program quietly when the test has closed the pipe. */
static struct message wire_get(void) {
  static char *line;
  static size_t size;
  struct message in = {0, 0, NULL, 0};
  const char *space, *text;
  if (getline(&line, &size, stdin) < 0) exit(0);
  line[strcspn(line, "\r\n")] = 0;
  space = strchr(line, ' ');
  text = space ? space + 1 : line;
  if (strcmp(text, ".") && strcmp(text, "go")) in = wire_decode(text);
  if (space) in.task = line[0];
  return in;
}

static void wire_more(const char *data, size_t length) {
  fputs("more", stdout);
  wire_put(data, length);
  putchar('\n');
  fflush(stdout);
}

static void wire_done(const char *data, size_t length, const char *authcid, const char *authzid) {
  fputs("done", stdout);
  wire_put(data, length);
  wire_put(authcid, authcid ? strlen(authcid) : 0);
  wire_put(authzid, authzid ? strlen(authzid) : 0);
  putchar('\n');
  fflush(stdout);
}

static void wire_fail(const char *data, size_t length, const char *reason) {
  fputs("fail", stdout);
  wire_put(data, length);
  putchar(' ');
  for (; *reason; reason++) putchar(*reason == '\n' || *reason == '\r' ? ' ' : *reason);
  putchar('\n');
  fflush(stdout);
}

/* key=value among the arguments, or NULL. */
static const char *wire_option(int argc, char **argv, const char *key) {
  size_t length = strlen(key);
  int i;
  for (i = 1; i < argc; i++)
    if (!strncmp(argv[i], key, length) && argv[i][length] == '=') return argv[i] + length + 1;
  return NULL;
}

#endif
