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

enum {
    WTE__GEMM_MR = 6,
    WTE__GEMM_NR = 16,
    WTE__GEMM_NR_F64 = 8,
    WTE__WEAVE = 8, /* rows whose columns lie side by side */
    WTE__QUERY_PAD = 64,
    WTE__PANEL = WTE__GEMM_NR, /* columns of a matrix that lie together */
    WTE__FEW_ROWS = 8 /* a batch of so many rows gives each row the bits that it has alone */
};

typedef struct wte__kernels {
    const char *name;

    /** Sum of x[i] * y[i]; x, y: [n]. */
    float (*dot_f32)(const float *x, const float *y, size_t n);
    float (*dot_f16)(const uint16_t *x, const float *y, size_t n);
    float (*dot_bf16)(const uint16_t *x, const float *y, size_t n);

    /** dot_f32 of each of n_rows rows with y, to the same bits.
     *   offsets  row r begins at base + offsets[r]; NULL: at base + r * stride
     *   y        [dim], out [n_rows]
     * One call for many rows: a scan is bound by memory, and a call between two rows costs it a
     * twentieth of the bandwidth. */
    void (*dot_f32_rows)(const unsigned char *base, const uint64_t *offsets, size_t stride,
                         size_t n_rows, const float *y, size_t dim, float *out);

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

    /** Quantise one row: out[i] = x[i] * inverse to the nearest integer, ties to even, in
     * -127..127. Returns the sum of (x[i] * inverse - out[i])^2, in units of a code, accumulated in
     * float32; NaN if there is a NaN. inverse > 0, finite. */
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
    /** The same, with the chains continued from what c holds: k may be cut anywhere. */
    void (*gemm_tile_add)(const float *a, const float *b, size_t k, float *c, size_t ldc);

    /** Few rows times a matrix that lies [in, out]: y[r][j] += sum over i of x[r][i] * w[i][j], for
     * each element a chain of fused multiply-adds in ascending i, as in gemm_tile: the same bits.
     *   w  [n_in, ldw], of which n columns; x [n_rows, ldx]; y [n_rows, ldy]
     * w is read once and in order, so that memory can keep up; x and y stay in the cache. */
    void (*few_in_out_f32)(const float *w, size_t ldw, size_t n_in, size_t n, const float *x,
                           size_t ldx, size_t n_rows, float *y, size_t ldy);
    void (*few_in_out_f16)(const uint16_t *w, size_t ldw, size_t n_in, size_t n, const float *x,
                           size_t ldx, size_t n_rows, float *y, size_t ldy);
    void (*few_in_out_bf16)(const uint16_t *w, size_t ldw, size_t n_in, size_t n, const float *x,
                            size_t ldx, size_t n_rows, float *y, size_t ldy);

    /** Few rows times panels of WTE__PANEL columns: y[r][j] = sum over i of x[r][i] * w[j / 16][i][j
     * % 16], for each element a chain of fused multiply-adds from 0 in ascending i, to the bits of
     * gemm_tile and of few_in_out_bf16.
     *   w  [n_panels, n_in, WTE__PANEL]; x [n_rows, ldx]; y [n_rows, ldy], n_panels * WTE__PANEL of each row
     * w is read once and in order; what is asked for ahead of it may lie behind its end. */
    void (*few_panels_bf16)(const uint16_t *w, size_t n_in, size_t n_panels, const float *x,
                            size_t ldx, size_t n_rows, float *y, size_t ldy);

    /** Few rows times a matrix that lies [out, in]: y[r][j] = sum over i of x[r][i] * w[j][i], to
     * the bits of dot_f32, dot_f16, dot_bf16 (w, x), whatever n_rows is.
     *   w  [n, ldw], x [n_rows, ldx], y [n_rows, ldy] */
    void (*few_out_in_f32)(const float *w, size_t ldw, size_t n, size_t n_in, const float *x,
                           size_t ldx, size_t n_rows, float *y, size_t ldy);
    void (*few_out_in_f16)(const uint16_t *w, size_t ldw, size_t n, size_t n_in, const float *x,
                           size_t ldx, size_t n_rows, float *y, size_t ldy);
    void (*few_out_in_bf16)(const uint16_t *w, size_t ldw, size_t n, size_t n_in, const float *x,
                            size_t ldx, size_t n_rows, float *y, size_t ldy);

    /** Exact int32 dot products of n rows of codes with n_rows rows of codes: as dot_i8_rows, for
     * several queries at once (any number: blocks of them share each reading of w).
     *   w    [n, stride], as dot_i8_rows; x [n_rows, ldx] as its query, ldx a multiple of 64
     *   out  row r at out + r * ldo, [n] */
    void (*many_i8)(const int8_t *w, size_t stride, size_t n, const int8_t *x, size_t ldx,
                    size_t n_rows, size_t dim, int32_t *out, size_t ldo);

    /** (x - mean) / sqrt(variance + epsilon) * weight + bias, the moments in float32 sums of fixed
     * order (two passes). out may be x. */
    void (*layer_norm)(const float *x, const float *weight, const float *bias, float epsilon,
                       size_t n, float *out);
    /** In place: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), x / 2 * (1 + erf(x / sqrt
     * 2)), tanh(x). Within 4 units in the last place of 1 (2.4e-7), relative where |y| > 1; NaN
     * stays. */
    void (*gelu_tanh)(float *x, size_t n);
    void (*gelu_erf)(float *x, size_t n);
    void (*tanh_f32)(float *x, size_t n);
    /** In place: exp(x - max) / sum. The sum is of fixed order. -INFINITY becomes 0; all -INFINITY,
     * or a NaN, gives NaN. */
    void (*softmax)(float *x, size_t n);
    /** Largest of x, -INFINITY if n is 0; NaN if there is one. */
    float (*max_f32)(const float *x, size_t n);
    /** Sum of exp(x[i] - shift) in float64, of fixed order. */
    double (*sum_exp)(const float *x, size_t n, float shift);

    /** Attention of one query over rows that lie in cells of `dim` numbers:
     * scores[i] = sum over d of query[d] * keys[cells[i]][d]. */
    void (*attend_scores_f32)(const float *query, const float *keys, const uint32_t *cells,
                              size_t n, size_t dim, float *scores);
    void (*attend_scores_f16)(const float *query, const uint16_t *keys, const uint32_t *cells,
                              size_t n, size_t dim, float *scores);
    /** out[d] = sum over i of weights[i] * values[cells[i]][d], in ascending i. */
    void (*attend_mix_f32)(const float *weights, const float *values, const uint32_t *cells,
                           size_t n, size_t dim, float *out);
    void (*attend_mix_f16)(const float *weights, const uint16_t *values, const uint32_t *cells,
                           size_t n, size_t dim, float *out);

    /** The same for several queries over the same cells, to the same bits.
     *   scores   [n_rows, lds]: each row gets n; weights [n_rows, ldw]
     *   n_keys   [n_rows] how many of the cells each row mixes */
    void (*attend_scores_many_f32)(const float *queries, size_t ldq, size_t n_rows,
                                   const float *keys, const uint32_t *cells, size_t n, size_t dim,
                                   float *scores, size_t lds);
    void (*attend_scores_many_f16)(const float *queries, size_t ldq, size_t n_rows,
                                   const uint16_t *keys, const uint32_t *cells, size_t n,
                                   size_t dim, float *scores, size_t lds);
    void (*attend_mix_many_f32)(const float *weights, size_t ldw, size_t n_rows,
                                const float *values, const uint32_t *cells, const uint32_t *n_keys,
                                size_t dim, float *out, size_t ldo);
    void (*attend_mix_many_f16)(const float *weights, size_t ldw, size_t n_rows,
                                const uint16_t *values, const uint32_t *cells,
                                const uint32_t *n_keys, size_t dim, float *out, size_t ldo);

    /** Positions of values >= threshold, ascending; returns how many (NaN never counts).
     *   out [n] */
    size_t (*select_ge)(const float *x, size_t n, float threshold, uint32_t *out);

    /** The register tile in float64: c[MR x NR_F64] += sum over k of a[k][MR] * b[k][NR_F64], a
     * chain of fused multiply-adds for each element, continued from what c holds.
     *   a  [k, WTE__GEMM_MR], b  [k, WTE__GEMM_NR_F64], both packed; row r of c at c + r * ldc
     * All aligned to 8. */
    void (*gemm_tile_f64)(const double *a, const double *b, size_t k, double *c, size_t ldc);

    /** Weighted sums of two lists less a shift each, u = x - shift[0] and v = y - shift[1]:
     *   out  [6] of w, w u, w v, w u u, w v v, w u v;  w, x, y [n], aligned to 8 */
    void (*moments)(const double *w, const double *x, const double *y, const double *shift,
                    size_t n, double *out);

    /** Sum over j, r of rows[r][j] * b[at[j]][r]: products of rows with columns that lie in another
     * order, the columns' numbers side by side. float32 chains of at most 64 products, added up in
     * float64.
     *   rows  [WTE__WEAVE] pointers to [n];  at  [n]
     *   b     [all at[j], WTE__WEAVE], aligned to 32 */
    double (*dot_woven)(const float *const *rows, const float *b, const uint32_t *at, size_t n);
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
