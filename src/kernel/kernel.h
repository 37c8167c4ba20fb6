/* SPDX-License-Identifier: MIT */
/** kernel/kernel.h - the inner loops, chosen for the processor at run time
 *
 * A struct of function pointers is filled with plain C first; each architecture then overwrites
 * what it does better, weakest instruction set first. Every pointer argument may have any alignment
 * unless a line says otherwise: rows of a word2vec .bin begin at odd bytes. Sizes may be 0. */
#ifndef WTE_KERNEL_H
#define WTE_KERNEL_H
#include <stddef.h>
#include <stdint.h>

enum {
    WTE_CPU_AVX2 = 1u << 0,   /* AVX2, FMA and F16C */
    WTE_CPU_AVX512 = 1u << 1, /* F, BW, DQ, VL */
    WTE_CPU_VNNI = 1u << 2,   /* AVX512_VNNI */
    WTE_CPU_NEON = 1u << 3,
    WTE_CPU_DOTPROD = 1u << 4 /* Arm SDOT */
};

enum { WTE__GEMM_MR = 6, WTE__GEMM_NR = 16, WTE__QUERY_PAD = 64 };

typedef struct wte__kernels {
    const char *name;

    /** Sum of x[i] * y[i]; x, y: [n]. */
    float (*dot_f32)(const float *x, const float *y, size_t n);
    float (*dot_f16)(const uint16_t *x, const float *y, size_t n);
    float (*dot_bf16)(const uint16_t *x, const float *y, size_t n);

    /** Sum of (x[i] - y[i])^2. */
    float (*sqdist_f32)(const float *x, const float *y, size_t n);
    float (*sqdist_f16)(const uint16_t *x, const float *y, size_t n);
    float (*sqdist_bf16)(const uint16_t *x, const float *y, size_t n);

    /** Sum of |x[i] - y[i]|. */
    float (*l1dist_f32)(const float *x, const float *y, size_t n);

    /** Sum of x[i]^2, accumulated in float64. */
    double (*sumsq_f32)(const float *x, size_t n);

    /** Largest |x[i]|; a NaN anywhere gives NaN or infinity. */
    float (*maxabs_f32)(const float *x, size_t n);

    /** Widen and narrow; narrowing rounds to nearest even, NaN stays NaN. */
    void (*f16_to_f32)(const uint16_t *x, float *out, size_t n);
    void (*bf16_to_f32)(const uint16_t *x, float *out, size_t n);
    void (*f32_to_f16)(const float *x, uint16_t *out, size_t n);
    void (*f32_to_bf16)(const float *x, uint16_t *out, size_t n);

    /** Quantise one row: out[i] = x[i] * inverse to the nearest integer, ties to even, in -127..127.
     * Returns the sum of (x[i] * inverse - out[i])^2, in units of a code, accumulated in float32;
     * NaN if there is a NaN. inverse > 0, finite. */
    float (*quantize_i8)(const float *x, size_t n, float inverse, int8_t *out);

    /** Exact int32 dot products of n_rows rows of codes with one query.
     *   codes  row r at codes + r * stride, dim bytes in -127..127. Up to WTE__QUERY_PAD - 1 bytes
     *          beyond a row's end are read (never beyond codes + (n_rows - 1) * stride + dim + 63):
     *          the caller guarantees that they are readable; their value does not matter
     *   query  [dim rounded up to WTE__QUERY_PAD], in -127..127, zeros after dim, aligned to 64
     *   out    [n_rows]
     * dim at most 65536. */
    void (*dot_i8_rows)(const int8_t *codes, size_t stride, size_t n_rows, const int8_t *query,
                        size_t dim, int32_t *out);

    /** One register tile of a matrix product: c[MR x NR] = sum over k of a[k][MR] * b[k][NR].
     *   a  [k, WTE__GEMM_MR] packed, b  [k, WTE__GEMM_NR] packed and aligned to 64
     *   c  row r at c + r * ldc, overwritten
     * Each element is a chain of fused multiply-adds in ascending k, so results do not depend on
     * how the product was cut into tiles. */
    void (*gemm_tile)(const float *a, const float *b, size_t k, float *c, size_t ldc);

    /** Index of the largest of x[i] = b[i] - a[i] + c[i], the first on a tie, and its value: the
     * score of an analogy over a block of rows. NaN never wins. n > 0; returns n, with the value
     * -INFINITY, if all are NaN. */
    size_t (*argmax_bac)(const float *a, const float *b, const float *c, size_t n, float *value);

    /** Positions of values >= threshold, ascending; returns how many (NaN never counts).
     *   out [n] */
    size_t (*select_ge)(const float *x, size_t n, float threshold, uint32_t *out);
} wte__kernels;

unsigned wte__cpu_flags(void);
/** Fill with the best of what cpu_flags allow; 0 gives plain C. */
void wte__kernels_init(wte__kernels *k, unsigned cpu_flags);
/** The kernels in use: best for this machine, or what WTE_CPU names (c, avx2, avx512, vnni, neon,
 * dotprod; a name that this machine cannot run falls back to the best below it). */
const wte__kernels *wte__kernel(void);

void wte__kernels_init_avx2(wte__kernels *k, unsigned cpu_flags);
void wte__kernels_init_avx512(wte__kernels *k, unsigned cpu_flags);
void wte__kernels_init_vnni(wte__kernels *k, unsigned cpu_flags);
void wte__kernels_init_neon(wte__kernels *k, unsigned cpu_flags);
void wte__kernels_init_dotprod(wte__kernels *k, unsigned cpu_flags);

/** Largest rank-k list kept while scanning: a fixed-size heap of (score, id), best first by higher
 * score, then by lower id. See topk.c. */
typedef struct wte__ranked {
    float score;
    uint32_t id;
} wte__ranked;
typedef struct wte__topk {
    wte__ranked *items; /* [k], a heap with the worst on top */
    size_t k, n;
} wte__topk;
void wte__topk_init(wte__topk *t, wte__ranked *items, size_t k);
/** Offer an item; NaN scores are ignored. */
void wte__topk_push(wte__topk *t, float score, uint32_t id);
/** The score that an item must beat or equal to enter; -INFINITY while there is room. */
float wte__topk_threshold(const wte__topk *t);
/** Order the items best first; the list is no heap any more. */
void wte__topk_sort(wte__topk *t);
#endif
