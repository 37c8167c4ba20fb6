/* SPDX-License-Identifier: MIT */
/* rows.c - reading single rows, whatever their type and alignment
 *
 * A row is float32, float16 or bfloat16 and begins anywhere: in a word2vec .bin at odd bytes. The
 * kernels take any alignment, so a row is never copied only to be read. What needs float64 (norms,
 * the baseline's cosines) widens a row piece by piece on the stack, so nothing here allocates. */
#include "space/space_internal.h"
#include <math.h>
#include <stdlib.h>
#include "kernel/kernel.h"
#include "space/backing.h"

enum { PIECE = 512 };

/* Widen numbers from..from + n of row i. */
static void widen(const wte__rows *r, size_t i, size_t from, size_t n, float *out)
{
    const unsigned char *row = wte__row(r, i);

    switch (r->dtype) {
    case WTE_F32:
        memcpy(out, row + from * sizeof(float), n * sizeof(float));
        break;
    case WTE_F16:
        wte__kernel()->f16_to_f32((const void *)(row + from * sizeof(uint16_t)), out, n);
        break;
    case WTE_BF16:
        wte__kernel()->bf16_to_f32((const void *)(row + from * sizeof(uint16_t)), out, n);
        break;
    }
}

void wte__row_to_f32(const wte__rows *r, size_t i, float *out)
{
    widen(r, i, 0, r->dim, out);
}

float wte__row_dot(const wte__rows *r, size_t i, const float *y)
{
    const void *row = wte__row(r, i);

    switch (r->dtype) {
    case WTE_F16:
        return wte__kernel()->dot_f16(row, y, r->dim);
    case WTE_BF16:
        return wte__kernel()->dot_bf16(row, y, r->dim);
    case WTE_F32:
        break;
    }
    return wte__kernel()->dot_f32(row, y, r->dim);
}

float wte__row_sqdist(const wte__rows *r, size_t i, const float *y)
{
    const void *row = wte__row(r, i);

    switch (r->dtype) {
    case WTE_F16:
        return wte__kernel()->sqdist_f16(row, y, r->dim);
    case WTE_BF16:
        return wte__kernel()->sqdist_bf16(row, y, r->dim);
    case WTE_F32:
        break;
    }
    return wte__kernel()->sqdist_f32(row, y, r->dim);
}

float wte__row_norm(const wte__rows *r, size_t i)
{
    double sum = 0;
    float norm;

    if (r->dtype == WTE_F32) {
        sum = wte__kernel()->sumsq_f32(wte__row(r, i), r->dim);
    } else {
        float piece[PIECE];

        for (size_t from = 0; from < r->dim; from += PIECE) {
            size_t n = r->dim - from < PIECE ? r->dim - from : PIECE;

            widen(r, i, from, n, piece);
            sum += wte__kernel()->sumsq_f32(piece, n);
        }
    }
    norm = (float)sqrt(sum);
    return isfinite(norm) ? norm : 0.0f;
}

static double row_product(const wte__rows *r, size_t i, size_t j)
{
    float x[PIECE], y[PIECE];
    double sum = 0;

    for (size_t from = 0; from < r->dim; from += PIECE) {
        size_t n = r->dim - from < PIECE ? r->dim - from : PIECE;

        widen(r, i, from, n, x);
        widen(r, j, from, n, y);
        for (size_t d = 0; d < n; d++)
            sum += (double)x[d] * (double)y[d];
    }
    return sum;
}

static float row_cosine(const wte_space *space, size_t i, size_t j)
{
    double c =
        row_product(&space->rows, i, j) / ((double)space->norms[i] * (double)space->norms[j]);

    return (float)(c > 1 ? 1 : c < -1 ? -1 : c);
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

size_t wte__baseline_sample(const wte_space *space, float *out)
{
    const uint32_t n_rows = space->rows.n_rows;
    const float *norms = space->norms;
    size_t n = 0;

    if ((uint64_t)n_rows * (n_rows - (n_rows > 0)) / 2 <= WTE__N_BASELINE) {
        for (uint32_t i = 0; i < n_rows; i++)
            for (uint32_t j = i + 1; j < n_rows; j++)
                if (norms[i] > 0 && norms[j] > 0)
                    out[n++] = row_cosine(space, i, j);
    } else {
        uint64_t seed = 0x77746562617365u; /* any constant: the pairs are the same everywhere */

        /* rows without direction are drawn again, though not for ever */
        for (size_t tries = 0; n < WTE__N_BASELINE && tries < 64 * WTE__N_BASELINE; tries++) {
            uint64_t z = wte__random(&seed);
            uint32_t i = (uint32_t)(((z >> 32) * n_rows) >> 32);
            uint32_t j = (uint32_t)(((z & UINT32_MAX) * n_rows) >> 32);

            if (i != j && norms[i] > 0 && norms[j] > 0)
                out[n++] = row_cosine(space, i, j);
        }
    }
    qsort(out, n, sizeof *out, compare_floats);
    return n;
}
