/* The bare PBKDF2 of OpenSSL, as the reference for a SCRAM client's key derivation.
 * cc -O2 -o limits limits.c -lcrypto; ./limits SHA-256 4096 SECONDS
 * Prints the seconds of CPU time for one key. */
#include <openssl/evp.h>
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

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
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
