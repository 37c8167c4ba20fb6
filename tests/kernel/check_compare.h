/* SPDX-License-Identifier: MIT */
/* check_compare.h - the part of checkkernel.c that checks the kernels of comparisons
 *
 * Included there, where the random input, the arenas and the guards are. The float64 tile has bits
 * to keep; the sums are held against the bound of their rounding. */
#ifndef CHECK_COMPARE_H
#define CHECK_COMPARE_H

static double *doubles(int arena, size_t n, enum kind kind)
{
    double *x = place(arena, n * sizeof *x, 0);

    for (size_t i = 0; i < n; i++)
        x[i] = (double)value_of(kind) + (double)value_of(kind) * 0x1p-30;
    return x;
}

/* The bytes before a multiple of 8 in an output. */
static size_t aligned_offset(int which)
{
    return (8 - (uintptr_t)(out_memory[which] + GUARD) % 8) % 8;
}

static bool check_gemm_f64(const wte__kernels *k)
{
    enum { MR = WTE__GEMM_MR, NR = WTE__GEMM_NR_F64 };

    for (size_t depth = 0; depth <= 400; depth = next_length(depth)) {
        enum kind kind = (enum kind)below(N_KINDS);
        const double *a = doubles(0, depth * MR, kind), *b = doubles(1, depth * NR, kind);
        size_t ldc = NR + below(20), size = ((MR - 1) * ldc + NR) * sizeof(double);
        double *got = guarded(0, size, aligned_offset(0));
        double *want = guarded(1, size, aligned_offset(1));

        for (size_t r = 0; r < MR; r++)
            for (size_t j = 0; j < NR; j++)
                got[r * ldc + j] = want[r * ldc + j] = (double)value_of(kind);
        watch(k, "gemm_tile_f64", depth);
        k->gemm_tile_f64(a, b, depth, got, ldc);
        ref.gemm_tile_f64(a, b, depth, want, ldc);
        if (!guards_whole(0, size, aligned_offset(0)) || memcmp(got, want, size) != 0)
            return wrong(k, "gemm_tile_f64", depth, "differs (kind %u, ldc %zu)", (unsigned)kind,
                         ldc);
    }
    return true;
}

static bool check_moments(const wte__kernels *k)
{
    for (size_t n = 0; n <= MAX_LENGTH; n = next_length(n)) {
        enum kind kind = (enum kind)below(N_KINDS);
        const double *w = doubles(0, n, INTEGERS), *x = doubles(1, n, kind);
        const double *y = doubles(2, n, kind);
        const double shift[2] = {(double)value_of(kind), (double)value_of(kind)};
        double *got = guarded(0, 6 * sizeof *got, aligned_offset(0)), want[6], bound[6] = {0};

        watch(k, "moments", n);
        k->moments(w, x, y, shift, n, got);
        ref.moments(w, x, y, shift, n, want);
        for (size_t j = 0; j < n; j++) {
            const double u = fabs(x[j] - shift[0]), v = fabs(y[j] - shift[1]), m = fabs(w[j]);
            const double terms[6] = {m, m * u, m * v, m * u * u, m * v * v, m * u * v};

            for (size_t i = 0; i < 6; i++)
                bound[i] += terms[i] * DBL_EPSILON * (double)(n + 4);
        }
        if (!guards_whole(0, 6 * sizeof *got, aligned_offset(0)))
            return wrong(k, "moments", n, "wrote beyond its output");
        for (size_t i = 0; i < 6; i++)
            if (!(fabs(got[i] - want[i]) <= bound[i]))
                return wrong(k, "moments", n, "sum %zu is %g, want %g (kind %u)", i, got[i],
                             want[i], (unsigned)kind);
    }
    return true;
}

static bool check_dot_woven(const wte__kernels *k)
{
    static _Alignas(64) float b[MAX_LENGTH * WTE__WEAVE];

    for (size_t n = 0; n <= MAX_LENGTH; n = next_length(n)) {
        enum kind kind = (enum kind)below(N_KINDS);
        const size_t n_columns = n + below(9), size = n_columns * WTE__WEAVE;
        uint32_t *at = place(2, n * sizeof *at, 0);
        const float *rows[WTE__WEAVE], *x = floats(0, WTE__WEAVE * n, 0, kind);
        double got, want = 0, bound = 0;

        if (size > sizeof b / sizeof *b)
            continue;
        for (size_t i = 0; i < size; i++)
            b[i] = value_of(kind);
        for (size_t j = 0; j < n; j++)
            at[j] = (uint32_t)below(n_columns);
        for (size_t r = 0; r < WTE__WEAVE; r++)
            rows[r] = x + (r * 3 % WTE__WEAVE) * n; /* one ends where memory does */
        watch(k, "dot_woven", n);
        got = k->dot_woven(rows, b, at, n);
        for (size_t j = 0; j < n; j++)
            for (size_t r = 0; r < WTE__WEAVE; r++) {
                double product = (double)rows[r][j] * (double)b[at[j] * WTE__WEAVE + r];

                want += product;
                bound += fabs(product) * 66 * (double)FLT_EPSILON;
            }
        /* products below the smallest float32 are lost */
        bound += (double)(n * WTE__WEAVE) * (double)FLT_MIN;
        if (!(fabs(got - want) <= bound))
            return wrong(k, "dot_woven", n, "%g, want %g (kind %u)", got, want, (unsigned)kind);
    }
    return true;
}

static bool check_compare(const wte__kernels *k)
{
    bool good = check_gemm_f64(k);

    good &= check_moments(k);
    good &= check_dot_woven(k);
    return good;
}
#endif
