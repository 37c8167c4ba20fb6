/* SPDX-License-Identifier: MIT */
/* bench_compare.c - time comparisons of two float32 arrays
 *
 *     bench_compare rsa|bootstrap|values|cka A.f32 DIM_A B.f32 DIM_B THREADS
 *
 * The files hold rows of DIM numbers. Prints one JSON object: seconds from the arrays in memory to
 * the result, and the result. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "wte/compare.h"

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static float *read_rows(const char *path, size_t dim, size_t *n)
{
    FILE *f = fopen(path, "rb");
    float *data = NULL;
    long size = -1;

    if (f && fseek(f, 0, SEEK_END) == 0)
        size = ftell(f);
    if (size > 0 && fseek(f, 0, SEEK_SET) == 0)
        data = malloc((size_t)size);
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size) {
        perror(path);
        exit(1);
    }
    fclose(f);
    *n = (size_t)size / sizeof *data / dim;
    return data;
}

int main(int argc, char **argv)
{
    wte_items a = {.name = "a"}, b = {.name = "b"};
    wte_rsa_options options;
    wte_rsa_result result = {0};
    wte_error err = {0};
    wte_status status;
    unsigned threads;
    double begin, value = 0;

    if (argc != 7) {
        fprintf(stderr,
                "usage: bench_compare rsa|bootstrap|values|cka A.f32 DIM_A B.f32 DIM_B THREADS\n");
        return 2;
    }
    a.dim = strtoul(argv[3], NULL, 10);
    b.dim = strtoul(argv[5], NULL, 10);
    threads = (unsigned)strtoul(argv[6], NULL, 10);
    if (a.dim == 0 || b.dim == 0)
        return 2;
    a.data = read_rows(argv[2], a.dim, &a.n);
    b.data = read_rows(argv[4], b.dim, &b.n);
    begin = now();
    if (strcmp(argv[1], "cka") == 0) {
        status = wte_cka(&a, &b, 0, 1, threads, &value, &err);
    } else {
        wte_rsa_options_init(&options);
        options.n_threads = threads;
        options.permutations = strcmp(argv[1], "rsa") == 0 ? 10000 : 0;
        options.bootstraps = strcmp(argv[1], "bootstrap") == 0 ? 1000 : 0;
        status = wte_rsa(&a, &b, &options, &result, &err);
        value = result.statistic;
    }
    if (status != WTE_OK) {
        fprintf(stderr, "bench_compare: %s\n", err.message);
        return 1;
    }
    printf("{\"seconds\": %.6f, \"value\": %.17g, \"p\": %.17g, \"ci\": [%.17g, %.17g]}\n",
           now() - begin, value, result.p_value, result.ci[0], result.ci[1]);
    return 0;
}
