/* The two functions of sasl_utils_t that take a format: stable Rust cannot define variadic functions. The text is passed to
 * src/utils.rs. Beside printf's conversions there are %m, the words for an errno, and %z, the name of a SASL
 * code; both take an int. A z before a conversion of integers is the length modifier of C99. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TEXT = 2048, SPEC = 32 };

extern void asr_plugin_log(void *conn, int level, const char *text, size_t length);
extern void asr_plugin_seterror(void *conn, unsigned flags, const char *text, size_t length);
extern void asr_plugin_code_name(int code, char *out, size_t size);

typedef struct { char text[TEXT]; size_t length; } sink;

/* What snprintf has written, as far as there was room. */
static void wrote(sink *to, int count) {
  size_t room = TEXT - to->length;
  if (count > 0) to->length += (size_t)count < room ? (size_t)count : room - 1;
}

static void put(sink *to, const char *bytes, size_t count) {
  size_t room = TEXT - 1 - to->length;
  if (count > room) count = room;
  memcpy(to->text + to->length, bytes, count);
  to->length += count;
}

#define PRINT(value) wrote(to, snprintf(to->text + to->length, TEXT - to->length, spec, value))

static void integer(sink *to, const char *spec, const char *modifier, int is_signed, va_list *args) {
  if (!strcmp(modifier, "l")) PRINT(va_arg(*args, long));
  else if (!strcmp(modifier, "ll")) PRINT(va_arg(*args, long long));
  else if (!strcmp(modifier, "z") || !strcmp(modifier, "t")) PRINT(va_arg(*args, size_t));
  else if (!strcmp(modifier, "j")) PRINT(va_arg(*args, intmax_t));
  else if (is_signed) PRINT(va_arg(*args, int));
  else PRINT(va_arg(*args, unsigned));
}

static void format(sink *to, const char *at, va_list *args) {
  to->length = 0;
  if (!at) at = "";
  while (*at) {
    size_t plain = strcspn(at, "%");
    put(to, at, plain);
    at += plain;
    if (!*at) break;
    at++;

    /* flags, width and precision; a star takes its number from the arguments */
    char spec[SPEC + 4] = "%", modifier[3] = "";
    size_t n = 1;
    while (*at && strchr("-+ #0123456789.*", *at)) {
      char number[16];
      int wide = *at == '*' ? snprintf(number, sizeof number, "%d", va_arg(*args, int)) : (number[0] = *at, 1);
      if (*at == '*' && number[0] == '-' && spec[n - 1] == '.') { /* a negative precision counts as absent */
        n--;
        wide = 0;
      }
      if (n + (size_t)wide >= SPEC) return; /* no plugin's format is that long; the rest is dropped */
      memcpy(spec + n, number, (size_t)wide);
      n += (size_t)wide;
      at++;
    }
    size_t simple = n;
    for (size_t m = 0; m < 2 && *at && strchr("hljztL", *at); m++) {
      if (*at == 'z' && !(at[1] && strchr("diouxX", at[1]))) break;
      modifier[m] = *at;
      spec[n++] = *at++;
    }
    if (*at == 's' || *at == 'c') n = simple; /* no wide characters */
    spec[n] = *at;
    spec[n + 1] = '\0';

    switch (*at) {
      case '\0': return;
      case '%': put(to, "%", 1); break;
      case 'm': {
        char words[256] = "";
        if (strerror_r(va_arg(*args, int), words, sizeof words) != 0 && !*words) strcpy(words, "unknown error");
        put(to, words, strlen(words));
        break;
      }
      case 'z': {
        char name[64] = "";
        asr_plugin_code_name(va_arg(*args, int), name, sizeof name);
        put(to, name, strlen(name));
        break;
      }
      case 'd': case 'i': integer(to, spec, modifier, 1, args); break;
      case 'o': case 'u': case 'x': case 'X': integer(to, spec, modifier, 0, args); break;
      case 'c': PRINT(va_arg(*args, int)); break;
      case 'p': PRINT(va_arg(*args, void *)); break;
      case 's': {
        const char *string = va_arg(*args, const char *);
        PRINT(string ? string : "(null)");
        break;
      }
      case 'e': case 'E': case 'f': case 'F': case 'g': case 'G': case 'a': case 'A':
        if (!strcmp(modifier, "L")) PRINT(va_arg(*args, long double));
        else PRINT(va_arg(*args, double));
        break;
      default: return; /* %n and unknown conversions: the number of their arguments is unknown */
    }
    at++;
  }
}

enum { LOG_PASS = 7 }; /* lines that may contain passwords: they are not even formatted */

void asr_plugin_log_format(void *conn, int level, const char *text, ...) {
  if (level >= LOG_PASS) return;
  sink to;
  va_list args;
  va_start(args, text);
  format(&to, text, &args);
  va_end(args);
  asr_plugin_log(conn, level, to.text, to.length);
}

void asr_plugin_seterror_format(void *conn, unsigned flags, const char *text, ...) {
  sink to;
  va_list args;
  va_start(args, text);
  format(&to, text, &args);
  va_end(args);
  asr_plugin_seterror(conn, flags, to.text, to.length);
}
