/* SPDX-License-Identifier: MIT */
/** spaces.h - spaces for tests: from arrays, random, from a word2vec .bin; with 8-bit codes */
#ifndef WTE_TEST_SPACES_H
#define WTE_TEST_SPACES_H
#include <math.h>
#include "support.h"
#include "kernel/kernel.h"
#include "space/space_internal.h"
#include "wte/space.h"

/** A space over arrays of its own. */
typedef struct test_space {
    wte_space *space;
    float *matrix; /* [n, dim] */
    char *words;
    uint64_t *offsets;
    int8_t *codes;
    float *scales, *residuals;
} test_space;

/** Take over arrays from malloc and make the space. */
static inline void test_space_make(test_space *t, uint32_t n, size_t dim)
{
    wte_error err = {0};

    if (wte_space_new("test", t->words, t->offsets, t->matrix, WTE_F32, n, dim, dim, 0, &t->space,
                      &err) != WTE_OK)
        fail_msg("%s", err.message);
}

/** A space over a copy of a matrix; the words are "w0", "w1" ... */
static inline test_space test_space_of(const float *matrix, uint32_t n, size_t dim)
{
    test_space t = {0};
    size_t used = 0;

    t.matrix = malloc(((size_t)n * dim + 1) * sizeof *t.matrix);
    t.words = malloc(12 * ((size_t)n + 1));
    t.offsets = calloc((size_t)n + 1, sizeof *t.offsets);
    assert_true(t.matrix && t.words && t.offsets);
    memcpy(t.matrix, matrix, (size_t)n * dim * sizeof *matrix);
    for (uint32_t i = 0; i < n; i++) {
        used += (size_t)sprintf(t.words + used, "w%u", i);
        t.offsets[i + 1] = used;
    }
    test_space_make(&t, n, dim);
    return t;
}

/** Give the space 8-bit codes, as an index would. */
static inline void test_space_add_codes(test_space *t)
{
    const size_t dim = t->space->rows.dim, stride = (dim + 15) / 16 * 16;
    const uint32_t n = t->space->rows.n_rows;

    t->codes = calloc((size_t)n * stride + 64, 1);
    t->scales = calloc((size_t)n + 1, sizeof *t->scales);
    t->residuals = calloc((size_t)n + 1, sizeof *t->residuals);
    assert_true(t->codes && t->scales && t->residuals);
    for (uint32_t i = 0; i < n; i++) {
        const float *row = t->matrix + (size_t)i * dim;

        if (t->space->norms[i] > 0)
            wte__encode(row, dim, t->codes + i * stride, &t->scales[i], &t->residuals[i]);
    }
    t->space->codes = (wte__codes){t->codes, stride, t->scales, t->residuals};
}

static inline void test_space_end(test_space *t)
{
    wte_space_free(t->space);
    free(t->residuals);
    free(t->scales);
    free(t->codes);
    free(t->offsets);
    free(t->words);
    free(t->matrix);
    *t = (test_space){0};
}

/** Read a small well-formed word2vec .bin. */
static inline test_space test_space_from_bin(const char *path)
{
    test_space t = {0};
    unsigned n = 0, dim = 0;
    size_t used = 0, capacity = 1 << 20;
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%u %u", &n, &dim), 2);
    assert_int_equal(fgetc(f), '\n');
    t.matrix = malloc((size_t)n * dim * sizeof *t.matrix);
    t.words = malloc(capacity);
    t.offsets = calloc((size_t)n + 1, sizeof *t.offsets);
    assert_true(t.matrix && t.words && t.offsets);
    for (unsigned i = 0; i < n; i++) {
        int c;

        while ((c = fgetc(f)) != ' ' && c != EOF && used < capacity)
            if (c != '\n' || used > t.offsets[i])
                t.words[used++] = (char)c;
        t.offsets[i + 1] = used;
        assert_int_equal(fread(t.matrix + (size_t)i * dim, sizeof(float), dim, f), dim);
    }
    fclose(f);
    test_space_make(&t, n, dim);
    return t;
}

/** A word's id; the test fails if it is not there. */
static inline uint32_t test_id(const wte_space *space, const char *word)
{
    uint32_t id = UINT32_MAX;
    wte_error err = {0};

    if (wte_space_find(space, word, strlen(word), &id, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return id;
}

/** Normal numbers (the sum of twelve uniforms) from a seed. */
static inline float test_normal(uint64_t *seed)
{
    float sum = -6;

    for (int i = 0; i < 12; i++)
        sum += (float)(wte__random(seed) >> 40) * 0x1p-24f;
    return sum;
}
#endif
