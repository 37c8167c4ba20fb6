/* SPDX-License-Identifier: MIT */
/* bench_tokenize.c - times encoding and decoding of a file inside one process
 *
 *   bench_tokenize [OPTIONS] MODEL FILE
 *     --warm N      encode N more times with the same encoder
 *     --decode N    decode the ids N times
 *     --threads N   encode N times with one thread and with two, in turn, each time with new tables
 *     --ids OUT     write the ids of the first encoding, uint32 little-endian
 *
 * Prints one JSON object; times are seconds. "open" is wte_tokenizer_open() alone. "cold" begins
 * before wte_encoder_new() and ends with the ids of the whole file, the first thing encoded in the
 * process: everything that an encoder remembers from word to word is empty at its begin. The file
 * is in memory before the clock starts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "wte/tokenizer.h"

typedef struct text {
    char *data; /* [n] */
    size_t n;
} text;

typedef struct options {
    unsigned warm, decode, threads;
    const char *ids, *model, *file;
} options;

static void die(const char *what, const wte_error *err)
{
    fprintf(stderr, "bench_tokenize: %s%s%s\n", what, err ? ": " : "", err ? err->message : "");
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static text read_file(const char *path)
{
    text t = {NULL, 0};
    FILE *f = fopen(path, "rb");
    long size = 0;

    if (!f || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET) != 0)
        die(path, NULL);
    t.n = (size_t)size;
    t.data = malloc(t.n + 1);
    if (!t.data || fread(t.data, 1, t.n, f) != t.n)
        die(path, NULL);
    fclose(f);
    return t;
}

static void write_ids(const char *path, const uint32_t *ids, size_t n)
{
    FILE *f = fopen(path, "wb");

    if (!f)
        die(path, NULL);
    for (size_t i = 0; i < n; i++) {
        const unsigned char b[4] = {(unsigned char)ids[i], (unsigned char)(ids[i] >> 8),
                                    (unsigned char)(ids[i] >> 16), (unsigned char)(ids[i] >> 24)};

        fwrite(b, 1, sizeof b, f);
    }
    if (fclose(f) != 0)
        die(path, NULL);
}

static void print_times(const char *name, const double *seconds, unsigned n)
{
    printf(",\"%s\":[", name);
    for (unsigned i = 0; i < n; i++)
        printf("%s%.9f", i ? "," : "", seconds[i]);
    printf("]");
}

/* Encode the file with new tables and give the ids, which the caller frees. */
static uint32_t *encode(const wte_tokenizer *tokenizer, text t, const options *o, size_t *n)
{
    wte_encoder *encoder = NULL;
    wte_encoding encoding;
    wte_error err;
    double *seconds = calloc(o->warm + 1, sizeof *seconds);
    uint32_t *ids;
    double start = now();

    if (!seconds)
        die("memory", NULL);
    if (wte_encoder_new(tokenizer, &encoder, &err) ||
        wte_encode(encoder, t.data, t.n, 0, &encoding, &err))
        die(o->file, &err);
    printf(",\"cold\":%.9f", now() - start);
    *n = encoding.n;
    ids = malloc((encoding.n + 1) * sizeof *ids);
    if (!ids)
        die("memory", NULL);
    if (encoding.n)
        memcpy(ids, encoding.ids, encoding.n * sizeof *ids);
    for (unsigned i = 0; i < o->warm; i++) {
        start = now();
        if (wte_encode(encoder, t.data, t.n, 0, &encoding, &err))
            die(o->file, &err);
        seconds[i] = now() - start;
        if (encoding.n != *n || memcmp(encoding.ids, ids, *n * sizeof *ids) != 0)
            die("the second encoding differs from the first", NULL);
    }
    print_times("warm", seconds, o->warm);
    wte_encoder_free(encoder);
    free(seconds);
    return ids;
}

static void decode(const wte_tokenizer *tokenizer, text t, const uint32_t *ids, size_t n,
                   const options *o)
{
    double *seconds = calloc(o->decode + 1, sizeof *seconds);
    size_t len = 0;
    int same = 1;

    if (!seconds)
        die("memory", NULL);
    for (unsigned i = 0; i < o->decode; i++) {
        char *out = NULL;
        wte_error err;
        double start = now();

        if (wte_decode(tokenizer, ids, n, 0, &out, &len, &err))
            die("decoding", &err);
        seconds[i] = now() - start;
        same &= len == t.n && memcmp(out, t.data, len) == 0;
        wte_text_free(out);
    }
    print_times("decode", seconds, o->decode);
    printf(",\"decoded_bytes\":%zu,\"decoded_same\":%s", len, same ? "true" : "false");
    free(seconds);
}

static void threads(const wte_tokenizer *tokenizer, text t, const uint32_t *ids, size_t n,
                    const options *o)
{
    double *seconds[2];

    for (unsigned k = 0; k < 2; k++)
        if (!(seconds[k] = calloc(o->threads + 1, sizeof **seconds)))
            die("memory", NULL);
    for (unsigned i = 0; i < o->threads; i++) {
        for (unsigned k = 0; k < 2; k++) {
            uint32_t *other = NULL;
            size_t n_other = 0;
            wte_error err;
            double start = now();

            if (wte_encode_parallel(tokenizer, t.data, t.n, 0, k + 1, &other, &n_other, &err))
                die(o->file, &err);
            seconds[k][i] = now() - start;
            if (n_other != n || (n > 0 && memcmp(other, ids, n * sizeof *ids) != 0))
                die("ids made with several threads differ from those of one", NULL);
            wte_ids_free(other);
        }
    }
    print_times("one_thread", seconds[0], o->threads);
    print_times("two_threads", seconds[1], o->threads);
    free(seconds[0]);
    free(seconds[1]);
}

static options arguments(int argc, char **argv)
{
    options o = {0, 0, 0, NULL, NULL, NULL};
    int i = 1;

    for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
        unsigned value = (unsigned)strtoul(argv[i + 1], NULL, 10);

        if (strcmp(argv[i], "--warm") == 0)
            o.warm = value;
        else if (strcmp(argv[i], "--decode") == 0)
            o.decode = value;
        else if (strcmp(argv[i], "--threads") == 0)
            o.threads = value;
        else if (strcmp(argv[i], "--ids") == 0)
            o.ids = argv[i + 1];
        else
            break;
    }
    if (argc - i != 2) {
        fprintf(stderr, "usage: bench_tokenize [--warm N] [--decode N] [--threads N] [--ids OUT] "
                        "MODEL FILE\n");
        exit(2);
    }
    o.model = argv[i];
    o.file = argv[i + 1];
    return o;
}

int main(int argc, char **argv)
{
    const options o = arguments(argc, argv);
    wte_tokenizer *tokenizer = NULL;
    wte_error err;
    text t = read_file(o.file);
    uint32_t *ids;
    size_t n = 0;
    double start = now();

    if (wte_tokenizer_open(o.model, &tokenizer, &err))
        die(o.model, &err);
    printf("{\"open\":%.9f,\"bytes\":%zu", now() - start, t.n);
    ids = encode(tokenizer, t, &o, &n);
    if (o.decode)
        decode(tokenizer, t, ids, n, &o);
    if (o.threads)
        threads(tokenizer, t, ids, n, &o);
    printf(",\"ids\":%zu}\n", n);
    if (o.ids)
        write_ids(o.ids, ids, n);
    free(ids);
    wte_tokenizer_free(tokenizer);
    free(t.data);
    return 0;
}
