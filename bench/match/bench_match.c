/* SPDX-License-Identifier: MIT */
/* bench_match.c - time the matching of word vectors' words with a tokenizer's tokens
 *
 *     bench_match VECTORS TOKENIZER_FOLDER THREADS ROUNDS [any]
 *
 * Prints one JSON object: the sizes, the matches, and the seconds of each round from the two open
 * vocabularies to the bridge. The rows of the second space are one number each: a bridge needs none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "wte/bridge.h"
#include "wte/tokenizer.h"

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void check(wte_status status, const wte_error *err)
{
    if (status == WTE_OK)
        return;
    fprintf(stderr, "bench_match: %s\n", err->message);
    exit(1);
}

static void *need(size_t n, size_t size)
{
    void *p = calloc(n, size);

    if (!p) {
        perror("bench_match");
        exit(1);
    }
    return p;
}

static wte_space *token_space(const char *folder)
{
    wte_tokenizer *tokenizer = NULL;
    wte_space *space = NULL;
    wte_error err = {0};
    uint64_t *offsets;
    float *matrix;
    char *words;
    uint32_t n;
    size_t len = 0;

    check(wte_tokenizer_open(folder, &tokenizer, &err), &err);
    n = wte_tokenizer_get_info(tokenizer)->n_vocab;
    offsets = need((size_t)n + 1, sizeof *offsets);
    matrix = need((size_t)n + 1, sizeof *matrix);
    for (uint32_t i = 0; i < n; i++)
        offsets[i + 1] = offsets[i] + (wte_tokenizer_piece(tokenizer, i, &len) ? len : 0);
    words = need(offsets[n] + 1, 1);
    for (uint32_t i = 0; i < n; i++) {
        const char *piece = wte_tokenizer_piece(tokenizer, i, &len);

        if (piece)
            memcpy(words + offsets[i], piece, len);
        matrix[i] = 1;
    }
    check(wte_space_new("tokens", words, offsets, matrix, WTE_F32, n, 1, 1, 0, &space, &err), &err);
    return space; /* the arrays live as long as the program */
}

int main(int argc, char **argv)
{
    wte_open_options open_options = WTE_OPEN_DEFAULTS;
    wte_bridge_options options = WTE_BRIDGE_DEFAULTS;
    wte_space *vectors = NULL;
    const wte_space *spaces[2];
    wte_error err = {0};
    int rounds;
    size_t matches = 0;

    if (argc != 5 && argc != 6) {
        fprintf(stderr, "usage: bench_match VECTORS TOKENIZER_FOLDER THREADS ROUNDS [any]\n");
        return 2;
    }
    open_options.cache = WTE_CACHE_NEVER;
    check(wte_space_open(argv[1], &open_options, &vectors, &err), &err);
    spaces[0] = vectors;
    spaces[1] = token_space(argv[2]);
    options.n_threads = (unsigned)strtoul(argv[3], NULL, 10);
    options.any_case = argc == 6;
    rounds = atoi(argv[4]);
    printf("{\"rows\": [%u, %u], \"seconds\": [", wte_space_get_info(spaces[0])->n_rows,
           wte_space_get_info(spaces[1])->n_rows);
    for (int i = 0; i < rounds; i++) {
        wte_bridge *bridge = NULL;
        const double begin = now();

        check(wte_bridge_match(spaces, 2, &options, &bridge, &err), &err);
        printf("%s%.6f", i ? ", " : "", now() - begin);
        matches = wte_bridge_length(bridge);
        wte_bridge_free(bridge);
    }
    printf("], \"matches\": %zu}\n", matches);
    return 0;
}
