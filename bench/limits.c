/* Measures OpenSSL's time for the cryptography alone: the PBKDF2 of a SCRAM client, or the HMAC-MD5 of a DIGEST-MD5 layer. cc
 * -O2 -o limits limits.c -lcrypto; ./limits SHA-256 4096 SECONDS; ./limits auth-int SIZE SECONDS Prints the seconds of CPU time
 * for one key, or for one byte. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int authenticate(int size, double slice)
{
    static unsigned char data[1 << 17], key[16] = "sixteen byte key", code[EVP_MAX_MD_SIZE];
    unsigned int code_length;
    long n = -1;
    double t = 0, start = 0;
    if (size < 1 || size > (int)sizeof data) return 2;
    do {
        if (!HMAC(EVP_md5(), key, sizeof key, data, size, code, &code_length)) return 1;
        if (++n == 0) start = now();
        else t = now() - start;
    } while (t < slice);
    printf("%.15f\n", t / n / size);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    if (!strcmp(argv[1], "auth-int")) return authenticate(atoi(argv[2]), atof(argv[3]));
    const EVP_MD *md = EVP_get_digestbyname(argv[1]);
    int iterations = atoi(argv[2]);
    double slice = atof(argv[3]), t = 0, start = 0;
    long n = -1; /* the first one warms up */
    unsigned char out[64];
    if (!md || iterations < 1) return 2;
    do {
        if (!PKCS5_PBKDF2_HMAC("secret-pass", 11, (const unsigned char *)"0123456789abcdef", 16,
                               iterations, md, EVP_MD_size(md), out))
            return 1;
        if (++n == 0) start = now();
        else t = now() - start;
    } while (t < slice);
    printf("%.9f\n", t / n);
    return 0;
}
