/* SPDX-License-Identifier: MIT */
/* make_gpt2.c - a checkpoint of GPT-2's shape with random weights, for the benchmark
 *
 *   make_gpt2 [-l LAYERS] [-d WIDTH] [-v VOCABULARY] [-c CONTEXT] [-s SEED] OUT.safetensors
 *
 * The defaults are the 124M model: 148 float32 tensors, 497,759,232 bytes of numbers. Each tensor
 * has a generator of its own, seeded with its number, so the file is the same on every machine.
 * Token embeddings have a standard deviation of 0.14, about the published ones'; other matrices
 * 0.02; gains are 1, biases 0. Random rows are the hard case for a search that has to prove its
 * answer: the best are only a little better than many others.
 *
 * The file: 8 bytes, the length of the JSON header, little-endian; the header, padded with spaces
 * to a multiple of 8; the tensors in the header's order without gaps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "wte/embedding.h"

enum { MAX_TENSORS = 4096, CHUNK = 1 << 16 };

typedef struct tensor {
    char name[64];
    size_t rows, columns; /* rows is 0 for a vector */
    float mean, deviation;
} tensor;

static tensor tensors[MAX_TENSORS];
static size_t n_tensors;

static void die(const char *what)
{
    fprintf(stderr, "make_gpt2: ");
    perror(what);
    exit(1);
}

static void add(const char *prefix, const char *name, size_t rows, size_t columns, float mean,
                float deviation)
{
    tensor *t = &tensors[n_tensors];

    if (n_tensors++ == MAX_TENSORS) {
        fprintf(stderr, "make_gpt2: too many layers\n");
        exit(1);
    }
    snprintf(t->name, sizeof t->name, "%s%s", prefix, name);
    t->rows = rows;
    t->columns = columns;
    t->mean = mean;
    t->deviation = deviation;
}

static void add_norm(const char *prefix, const char *name, size_t width)
{
    char full[48];

    snprintf(full, sizeof full, "%s%s", prefix, name);
    add(full, ".weight", 0, width, 1, 0);
    add(full, ".bias", 0, width, 0, 0);
}

static void add_linear(const char *prefix, const char *name, size_t from, size_t to)
{
    char full[48];

    snprintf(full, sizeof full, "%s%s", prefix, name);
    add(full, ".weight", from, to, 0, 0.02f);
    add(full, ".bias", 0, to, 0, 0);
}

static void lay_out(size_t layers, size_t width, size_t vocabulary, size_t context)
{
    add("", "wte.weight", vocabulary, width, 0, 0.14f);
    add("", "wpe.weight", context, width, 0, 0.02f);
    for (size_t i = 0; i < layers; i++) {
        char layer[32];

        snprintf(layer, sizeof layer, "h.%zu.", i);
        add_norm(layer, "ln_1", width);
        add_linear(layer, "attn.c_attn", width, 3 * width);
        add_linear(layer, "attn.c_proj", width, width);
        add_norm(layer, "ln_2", width);
        add_linear(layer, "mlp.c_fc", width, 4 * width);
        add_linear(layer, "mlp.c_proj", 4 * width, width);
    }
    add_norm("", "ln_f", width);
}

static size_t elements(const tensor *t)
{
    return (t->rows ? t->rows : 1) * t->columns;
}

static void write_header(FILE *f)
{
    size_t size = 64 + n_tensors * 256, n, offset = 0;
    char *header = malloc(size);
    unsigned char length[8];

    if (!header)
        die("memory");
    n = (size_t)snprintf(header, size, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n_tensors; i++) {
        const tensor *t = &tensors[i];
        size_t end = offset + elements(t) * sizeof(float);
        char rows[32] = "";

        if (t->rows)
            snprintf(rows, sizeof rows, "%zu,", t->rows);
        n += (size_t)snprintf(header + n, size - n,
                              ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%s%zu],"
                              "\"data_offsets\":[%zu,%zu]}",
                              t->name, rows, t->columns, offset, end);
        offset = end;
    }
    header[n++] = '}';
    while (n % 8 != 0)
        header[n++] = ' ';
    for (size_t i = 0; i < 8; i++)
        length[i] = (unsigned char)(n >> 8 * i);
    if (fwrite(length, 1, 8, f) != 8 || fwrite(header, 1, n, f) != n)
        die("write");
    free(header);
}

static void write_tensor(FILE *f, const tensor *t, uint64_t seed)
{
    static float x[CHUNK];
    wte_generator g;

    wte_generator_seed(&g, seed);
    for (size_t rest = elements(t); rest > 0;) {
        size_t n = rest < CHUNK ? rest : CHUNK;

        if (t->deviation > 0)
            wte_generator_normal(&g, x, n, t->mean, t->deviation);
        else
            for (size_t i = 0; i < n; i++)
                x[i] = t->mean;
        if (fwrite(x, sizeof *x, n, f) != n)
            die("write");
        rest -= n;
    }
}

int main(int argc, char **argv)
{
    size_t layers = 12, width = 768, vocabulary = 50257, context = 1024;
    uint64_t seed = 0;
    FILE *f;
    int option;

    while ((option = getopt(argc, argv, "l:d:v:c:s:")) != -1) {
        size_t value = strtoul(optarg ? optarg : "", NULL, 10);

        if (option == 'l')
            layers = value;
        else if (option == 'd')
            width = value;
        else if (option == 'v')
            vocabulary = value;
        else if (option == 'c')
            context = value;
        else if (option == 's')
            seed = value;
        else
            return 2;
    }
    if (argc - optind != 1 || width == 0 || vocabulary == 0 || context == 0) {
        fprintf(stderr, "usage: make_gpt2 [-l LAYERS] [-d WIDTH] [-v VOCABULARY] [-c CONTEXT] "
                        "[-s SEED] OUT.safetensors\n");
        return 2;
    }
    lay_out(layers, width, vocabulary, context);
    f = fopen(argv[optind], "wb");
    if (!f)
        die(argv[optind]);
    write_header(f);
    for (size_t i = 0; i < n_tensors; i++)
        write_tensor(f, &tensors[i], seed * MAX_TENSORS + i);
    if (fclose(f) != 0)
        die(argv[optind]);
    return 0;
}
