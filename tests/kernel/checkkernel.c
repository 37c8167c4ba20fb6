/* SPDX-License-Identifier: MIT */
/* checkkernel.c - every kernel of every instruction set of this machine against the C one
 *
 *     checkkernel [--seed N] [--cpu NAME] [--bench]
 *
 * Lengths run from 0 through every tail of every vector width; rows start at any byte; values are
 * ordinary, of mixed magnitude, zero, subnormal, huge, NaN and infinite. Inputs end where a page
 * ends whose successor may not be read, so a kernel that reads too far dies here and not at a
 * user's; outputs stand between guard bytes. Where kernel.h promises bits, bits are compared; sums
 * of floats may be off by the bound of their rounding, n * FLT_EPSILON * sum |x y|. A failure names
 * the kernel, the length and the seed that shows it again. --bench times what it has checked. */
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "kernel/kernel.h"

static const struct {
    const char *name;
    unsigned flags; /* what it needs, all weaker sets included */
} sets[] = {
    {"c", 0},
    {"avx2", WTE_CPU_AVX2},
    {"avx512", WTE_CPU_AVX2 | WTE_CPU_AVX512},
    {"vnni", WTE_CPU_AVX2 | WTE_CPU_AVX512 | WTE_CPU_VNNI},
    {"neon", WTE_CPU_NEON},
    {"dotprod", WTE_CPU_NEON | WTE_CPU_DOTPROD},
};
enum { N_SETS = sizeof sets / sizeof *sets };

static wte__kernels ref; /* plain C */
static unsigned long long seed;

/* ---- random input ------------------------------------------------------------------------- */

static uint64_t state;

static uint64_t next_u64(void)
{
    uint64_t z = (state += 0x9E3779B97F4A7C15u);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static size_t below(size_t n)
{
    return (size_t)(next_u64() % n);
}

static float uniform(void)
{
    return (float)((double)(next_u64() >> 11) * 0x1p-52 - 1.0);
}

enum kind { ORDINARY, MIXED, ZERO, TINY, HUGE_VALUES, INTEGERS, N_KINDS };

static float value_of(enum kind kind)
{
    switch (kind) {
    case MIXED:
        return ldexpf(uniform(), (int)below(40) - 20);
    case ZERO:
        return next_u64() & 1 ? 0.0f : -0.0f;
    case TINY:
        return ldexpf(uniform(), -120 - (int)below(30)); /* subnormals among them */
    case HUGE_VALUES:
        return ldexpf(uniform(), 55); /* 2000 squares of it are below FLT_MAX */
    case INTEGERS:
        return (float)below(7) - 3.0f;
    default:
        return uniform();
    }
}

/* A region whose end is the end of readable memory. */
enum { N_ARENAS = 4, ARENA_SIZE = 1 << 20 };
static unsigned char *arena_end[N_ARENAS];

static void make_arenas(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    for (int i = 0; i < N_ARENAS; i++) {
        unsigned char *p = mmap(NULL, ARENA_SIZE + page, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED || mprotect(p + ARENA_SIZE, page, PROT_NONE) != 0) {
            perror("checkkernel: mmap");
            exit(1);
        }
        arena_end[i] = p + ARENA_SIZE;
    }
}

/* Room for n bytes that ends `slack` bytes before the forbidden page: with slack 1 to 3 a row of
 * floats starts at an odd address. */
static void *place(int arena, size_t n, size_t slack)
{
    return arena_end[arena] - n - slack;
}

static void put(void *p, float v)
{
    memcpy(p, &v, sizeof v);
}

static float get(const void *p)
{
    float v;

    memcpy(&v, p, sizeof v);
    return v;
}

static float *floats(int arena, size_t n, size_t slack, enum kind kind)
{
    float *x = place(arena, n * sizeof *x, slack);

    for (size_t i = 0; i < n; i++)
        put(x + i, value_of(kind));
    return x;
}

static uint16_t *halves(int arena, size_t n, size_t slack, enum kind kind, bool bf16)
{
    uint16_t *x = place(arena, n * sizeof *x, slack);

    for (size_t i = 0; i < n; i++) {
        float v = kind == MIXED ? ldexpf(value_of(kind), -5) : value_of(kind); /* below 65504 */
        uint16_t h;
        if (bf16)
            ref.f32_to_bf16(&v, &h, 1);
        else if (kind == HUGE_VALUES || kind == TINY)
            h = (uint16_t)(below(0x400) | (kind == TINY ? 0 : 0x7800) | below(2) << 15);
        else
            ref.f32_to_f16(&v, &h, 1);
        memcpy(x + i, &h, sizeof h);
    }
    return x;
}

/* ---- outputs between guards --------------------------------------------------------------- */

enum { GUARD = 64, OUT_SIZE = 1 << 19 };
static unsigned char out_memory[2][OUT_SIZE + 2 * GUARD + 4];

/* Room for n bytes at a byte offset; everything round it and in it is 0xA5. */
static void *guarded(int which, size_t n, size_t offset)
{
    memset(out_memory[which], 0xA5, n + 2 * GUARD + offset);
    return out_memory[which] + GUARD + offset;
}

static bool guards_whole(int which, size_t n, size_t offset)
{
    const unsigned char *p = out_memory[which];

    for (size_t i = 0; i < GUARD + offset; i++)
        if (p[i] != 0xA5)
            return false;
    for (size_t i = 0; i < GUARD; i++)
        if (p[GUARD + offset + n + i] != 0xA5)
            return false;
    return true;
}

/* ---- the checks --------------------------------------------------------------------------- */

/* Says what went wrong; returns false for the caller to return. */
__attribute__((format(printf, 4, 5))) static bool wrong(const wte__kernels *k, const char *kernel,
                                                        size_t n, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "checkkernel: %s %s, n %zu, seed %llu: ", k->name, kernel, n, seed);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return false;
}

/* What is being checked, for the one failure that does not come back. */
static struct {
    const char *set, *kernel;
    size_t n;
} under_test;

static void watch(const wte__kernels *k, const char *kernel, size_t n)
{
    under_test.set = k->name;
    under_test.kernel = kernel;
    under_test.n = n;
}

static void on_fault(int signal_number)
{
    char text[200];
    int n =
        snprintf(text, sizeof text,
                 "checkkernel: %s %s, n %zu, seed %llu: touched memory out of bounds (signal %d)\n",
                 under_test.set, under_test.kernel, under_test.n, seed, signal_number);

    if (write(STDERR_FILENO, text, (size_t)n) == n)
        _exit(1);
    _exit(3);
}

/* Every length through the tails, then longer ones in odd steps. */
static size_t next_length(size_t n)
{
    return n < 140 ? n + 1 : n + 61;
}
enum { MAX_LENGTH = 1100 };

enum row_kernel { DOT_F32, DOT_F16, DOT_BF16, SQ_F32, SQ_F16, SQ_BF16, L1_F32, N_ROW_KERNELS };
static const char *const row_names[] = {"dot_f32",    "dot_f16",     "dot_bf16",  "sqdist_f32",
                                        "sqdist_f16", "sqdist_bf16", "l1dist_f32"};

static float run_row(const wte__kernels *k, enum row_kernel which, const void *x, const float *y,
                     size_t n)
{
    switch (which) {
    case DOT_F32:
        return k->dot_f32(x, y, n);
    case DOT_F16:
        return k->dot_f16(x, y, n);
    case DOT_BF16:
        return k->dot_bf16(x, y, n);
    case SQ_F32:
        return k->sqdist_f32(x, y, n);
    case SQ_F16:
        return k->sqdist_f16(x, y, n);
    case SQ_BF16:
        return k->sqdist_bf16(x, y, n);
    default:
        return k->l1dist_f32(x, y, n);
    }
}

static bool is_f16(enum row_kernel which)
{
    return which == DOT_F16 || which == SQ_F16;
}

static bool is_bf16(enum row_kernel which)
{
    return which == DOT_BF16 || which == SQ_BF16;
}

static double element(enum row_kernel which, const void *x, size_t i)
{
    float v;

    if (is_f16(which))
        ref.f16_to_f32((const uint16_t *)x + i, &v, 1);
    else if (is_bf16(which))
        ref.bf16_to_f32((const uint16_t *)x + i, &v, 1);
    else
        v = get((const float *)x + i);
    return v;
}

/* How far a float32 sum in any order may be from the true one: n roundings of at most half an
 * epsilon of the sum of magnitudes, from both sides; a distance's difference adds two roundings,
 * and below FLT_MIN a rounding is absolute. */
static double row_bound(enum row_kernel which, const void *x, const float *y, size_t n)
{
    double sum = 0.0, terms = (double)n + (which < SQ_F32 ? 0.0 : 2.0);

    for (size_t i = 0; i < n; i++) {
        double a = element(which, x, i), b = get(y + i);
        sum += which < SQ_F32 ? fabs(a * b) : which < L1_F32 ? (a - b) * (a - b) : fabs(a - b);
    }
    return terms * (FLT_EPSILON * sum + 0x1p-149);
}

static bool check_row_kernel(const wte__kernels *k, enum row_kernel which)
{
    bool f16 = is_f16(which), bf16 = is_bf16(which);

    for (size_t n = 0; n <= MAX_LENGTH; n = next_length(n))
        for (unsigned kind = 0; kind < N_KINDS; kind++) {
            size_t slack_x = below(4), slack_y = below(4);
            const float *y = floats(1, n, slack_y, kind);
            void *x = f16 || bf16 ? (void *)halves(0, n, slack_x, kind, bf16)
                                  : (void *)floats(0, n, slack_x, kind);
            watch(k, row_names[which], n);
            float want = run_row(&ref, which, x, y, n), got = run_row(k, which, x, y, n);
            double bound = row_bound(which, x, y, n);
            if (!(fabs((double)got - want) <= bound))
                return wrong(k, row_names[which], n, "%.9g, want %.9g within %.3g (kind %u)",
                             (double)got, (double)want, bound, kind);
            if (n == 0)
                continue;
            if (f16 || bf16)
                memcpy((uint16_t *)x + below(n), &(uint16_t){0x7FFF}, 2);
            else
                put((float *)x + below(n), NAN);
            got = run_row(k, which, x, y, n);
            if (!isnan(got))
                return wrong(k, row_names[which], n, "%.9g, want NaN", (double)got);
        }
    return true;
}

/* Rows at odd addresses or at equal distances: the same bits as one by one. */
static bool check_dot_rows(const wte__kernels *k)
{
    enum { ROWS = 7 };

    for (size_t n = 0; n <= MAX_LENGTH; n = next_length(n)) {
        const float *x = floats(0, ROWS * (n + 1), below(4), 0), *y = floats(1, n, below(4), 0);
        uint64_t offsets[ROWS];
        float got[2][ROWS + 1];

        for (size_t r = 0; r < ROWS; r++)
            offsets[r] = (ROWS - 1 - r) * (n + 1) * sizeof(float);
        watch(k, "dot_f32_rows", n);
        got[0][ROWS] = got[1][ROWS] = 5.0f;
        k->dot_f32_rows((const void *)x, offsets, 0, ROWS, y, n, got[0]);
        k->dot_f32_rows((const void *)x, NULL, (n + 1) * sizeof(float), ROWS, y, n, got[1]);
        for (size_t r = 0; r < ROWS; r++) {
            float want[2] = {k->dot_f32((const void *)((const char *)x + offsets[r]), y, n),
                             k->dot_f32(x + r * (n + 1), y, n)};
            for (int i = 0; i < 2; i++)
                if (memcmp(&want[i], &got[i][r], sizeof want[i]) != 0)
                    return wrong(k, "dot_f32_rows", n, "row %zu is %.9g, want %.9g", r,
                                 (double)got[i][r], (double)want[i]);
        }
        if (got[0][ROWS] != 5.0f || got[1][ROWS] != 5.0f)
            return wrong(k, "dot_f32_rows", n, "more than %d results were written", ROWS);
    }
    return true;
}

static bool check_sumsq(const wte__kernels *k)
{
    for (size_t n = 0; n <= MAX_LENGTH; n = next_length(n))
        for (unsigned kind = 0; kind < N_KINDS; kind++) {
            const float *x = floats(0, n, below(4), kind);
            watch(k, "sumsq_f32", n);
            double want = ref.sumsq_f32(x, n), got = k->sumsq_f32(x, n);
            if (!(fabs(got - want) <= (double)n * DBL_EPSILON * want))
                return wrong(k, "sumsq_f32", n, "%.17g, want %.17g", got, want);
        }
    return true;
}

static bool check_maxabs(const wte__kernels *k)
{
    for (size_t n = 0; n <= MAX_LENGTH; n = next_length(n))
        for (unsigned kind = 0; kind < N_KINDS + 2; kind++) {
            float *x = floats(0, n, below(4), kind % N_KINDS);
            if (n && kind >= N_KINDS)
                put(x + below(n), kind == N_KINDS ? -INFINITY : -NAN);
            watch(k, "maxabs_f32", n);
            float want = ref.maxabs_f32(x, n), got = k->maxabs_f32(x, n);
            if (memcmp(&want, &got, sizeof got) != 0)
                return wrong(k, "maxabs_f32", n, "%.9g, want %.9g", (double)got, (double)want);
        }
    return true;
}

/* Any bits at all, NaN and infinity among them. */
static void *any_bits(int arena, size_t size, size_t slack)
{
    unsigned char *p = place(arena, size, slack);

    for (size_t i = 0; i < size; i++)
        p[i] = (unsigned char)next_u64();
    return p;
}

static bool check_widen(const wte__kernels *k, const char *name,
                        void (*fn)(const uint16_t *, float *, size_t),
                        void (*want_fn)(const uint16_t *, float *, size_t))
{
    for (size_t n = 0; n <= 65536; n = n < MAX_LENGTH ? next_length(n) : n < 65536 ? 65536 : ~0u) {
        size_t offset = below(4);
        uint16_t *x = any_bits(0, 2 * n, below(2));
        if (n == 65536) /* each value there is */
            for (size_t i = 0; i < n; i++)
                memcpy(x + i, &(uint16_t){(uint16_t)i}, 2);
        float *got = guarded(0, 4 * n, offset), *want = guarded(1, 4 * n, offset);
        watch(k, name, n);
        fn(x, got, n);
        want_fn(x, want, n);
        if (!guards_whole(0, 4 * n, offset))
            return wrong(k, name, n, "wrote outside its output");
        for (size_t i = 0; i < n; i++)
            if (memcmp(got + i, want + i, 4) != 0)
                return wrong(k, name, n, "element %zu: %.9g, want %.9g", i, (double)get(got + i),
                             (double)get(want + i));
    }
    return true;
}

static bool check_narrow(const wte__kernels *k, const char *name,
                         void (*fn)(const float *, uint16_t *, size_t),
                         void (*want_fn)(const float *, uint16_t *, size_t))
{
    for (size_t n = 0; n <= 65536; n = n < MAX_LENGTH ? next_length(n) : n < 65536 ? 65536 : ~0u) {
        size_t offset = below(2);
        float *x = any_bits(0, 4 * n, below(4));
        for (size_t i = 0; i < n;
             i++) /* most floats are beyond a half: bring some into its range */
            if (next_u64() & 1)
                put(x + i, ldexpf((float)below(8192) - 4096.0f, -(int)below(40)));
        uint16_t *got = guarded(0, 2 * n, offset), *want = guarded(1, 2 * n, offset);
        watch(k, name, n);
        fn(x, got, n);
        want_fn(x, want, n);
        if (!guards_whole(0, 2 * n, offset))
            return wrong(k, name, n, "wrote outside its output");
        for (size_t i = 0; i < n; i++)
            if (memcmp(got + i, want + i, 2) != 0)
                return wrong(k, name, n, "element %zu: %.9g became another half", i,
                             (double)get(x + i));
    }
    return true;
}

static bool check_conversions(const wte__kernels *k)
{
    return check_widen(k, "f16_to_f32", k->f16_to_f32, ref.f16_to_f32) &&
           check_widen(k, "bf16_to_f32", k->bf16_to_f32, ref.bf16_to_f32) &&
           check_narrow(k, "f32_to_f16", k->f32_to_f16, ref.f32_to_f16) &&
           check_narrow(k, "f32_to_bf16", k->f32_to_bf16, ref.f32_to_bf16);
}

static bool check_quantize(const wte__kernels *k)
{
    for (size_t n = 0; n <= MAX_LENGTH; n = next_length(n))
        for (unsigned kind = 0; kind < N_KINDS; kind++) {
            float *x = floats(0, n, below(4), kind);
            float scale = ref.maxabs_f32(x, n) / 127.0f;
            size_t offset = below(4);
            if (!(scale >= FLT_MIN))
                scale = 0.25f;
            float inverse = 1.0f / scale;
            if (below(4) == 0) /* halves, so that ties occur, and values beyond +-127 */
                for (size_t i = 0; i < n; i++)
                    put(x + i, scale * ((float)below(600) - 300.0f) / 2.0f);
            int8_t *got = guarded(0, n, offset), *want = guarded(1, n, offset);
            watch(k, "quantize_i8", n);
            double got_rest = (double)k->quantize_i8(x, n, inverse, got);
            double want_rest = (double)ref.quantize_i8(x, n, inverse, want);
            if (!guards_whole(0, n, offset))
                return wrong(k, "quantize_i8", n, "wrote outside its output");
            for (size_t i = 0; i < n; i++)
                if (got[i] != want[i] || got[i] < -127)
                    return wrong(k, "quantize_i8", n, "%.9g * %.9g gave %d, want %d",
                                 (double)get(x + i), (double)inverse, got[i], want[i]);
            if (!(fabs(got_rest - want_rest) <= (double)n * (double)FLT_EPSILON * want_rest))
                return wrong(k, "quantize_i8", n, "residual %.9g, want %.9g", got_rest, want_rest);
        }
    return true;
}

static bool check_i8_case(const wte__kernels *k, size_t dim, size_t n_rows, size_t stride,
                          bool extreme)
{
    static _Alignas(64) int8_t query[65536];
    size_t size = n_rows ? (n_rows - 1) * stride + dim + WTE__QUERY_PAD - 1 : 0;
    int8_t *codes = any_bits(0, size, 0); /* -128 stands between rows only */
    size_t offset = below(4), out_size = n_rows * sizeof(int32_t);

    memset(query, 0, sizeof query);
    for (size_t i = 0; i < dim; i++)
        query[i] = (int8_t)(extreme ? 127 : (int)below(255) - 127);
    for (size_t r = 0; r < n_rows; r++)
        for (size_t i = 0; i < dim; i++) {
            int8_t *code = codes + r * stride + i;
            *code = (int8_t)(extreme ? (r & 1 ? -127 : 127) : *code == -128 ? 0 : *code);
        }
    unsigned char *got = guarded(0, out_size, offset), *want = guarded(1, out_size, offset);
    watch(k, "dot_i8_rows", dim);
    k->dot_i8_rows(codes, stride, n_rows, query, dim, (void *)got);
    ref.dot_i8_rows(codes, stride, n_rows, query, dim, (void *)want);
    if (!guards_whole(0, out_size, offset))
        return wrong(k, "dot_i8_rows", dim, "wrote outside its output");
    for (size_t r = 0; r < n_rows; r++) {
        int32_t g, w;
        memcpy(&g, got + r * sizeof g, sizeof g);
        memcpy(&w, want + r * sizeof w, sizeof w);
        if (g != w)
            return wrong(k, "dot_i8_rows", dim, "row %zu of %zu: %d, want %d", r, n_rows, g, w);
    }
    return true;
}

static bool check_i8(const wte__kernels *k)
{
    for (size_t dim = 0; dim <= MAX_LENGTH; dim = next_length(dim))
        for (size_t n_rows = 0; n_rows < 10; n_rows++)
            if (!check_i8_case(k, dim, n_rows, dim + below(70), below(4) == 0))
                return false;
    return check_i8_case(k, 65536, 9, 65536, true); /* the largest sums there are */
}

static bool check_gemm(const wte__kernels *k)
{
    static _Alignas(64) float b[MAX_LENGTH * WTE__GEMM_NR];
    enum { MR = WTE__GEMM_MR, NR = WTE__GEMM_NR };

    for (size_t depth = 0; depth <= 400; depth = next_length(depth))
        for (unsigned kind = 0; kind < N_KINDS; kind++) {
            const float *a = floats(0, depth * MR, below(4), kind);
            size_t ldc = NR + below(20), size = ((MR - 1) * ldc + NR) * sizeof(float);
            size_t offset = below(4);
            for (size_t i = 0; i < depth * NR; i++)
                b[i] = value_of(kind);
            unsigned char *got = guarded(0, size, offset), *want = guarded(1, size, offset);
            watch(k, "gemm_tile", depth);
            k->gemm_tile(a, b, depth, (void *)got, ldc);
            ref.gemm_tile(a, b, depth, (void *)want, ldc);
            if (!guards_whole(0, size, offset) || memcmp(got, want, size) != 0)
                return wrong(k, "gemm_tile", depth, "differs (kind %u, ldc %zu)", kind, ldc);
        }
    return true;
}

/* A chain cut in two has the bits of the whole, and goes on from anything. */
static bool check_gemm_add(const wte__kernels *k)
{
    static _Alignas(64) float b[MAX_LENGTH * WTE__GEMM_NR];
    enum { MR = WTE__GEMM_MR, NR = WTE__GEMM_NR };

    for (size_t depth = 0; depth <= 400; depth = next_length(depth)) {
        enum kind kind = (enum kind)below(N_KINDS);
        const float *a = floats(0, depth * MR, below(4), kind);
        size_t ldc = NR + below(20), size = ((MR - 1) * ldc + NR) * sizeof(float);
        size_t offset = below(4), cut = below(depth + 1);
        for (size_t i = 0; i < depth * NR; i++)
            b[i] = value_of(kind);
        float *got = guarded(0, size, offset), *want = guarded(1, size, offset);
        watch(k, "gemm_tile_add", depth);
        k->gemm_tile(a, b, cut, got, ldc);
        k->gemm_tile_add(a + cut * MR, b + cut * NR, depth - cut, got, ldc);
        ref.gemm_tile(a, b, depth, want, ldc);
        if (!guards_whole(0, size, offset) || memcmp(got, want, size) != 0)
            return wrong(k, "gemm_tile_add", depth, "differs when cut at %zu", cut);
        k->gemm_tile_add(a, b, depth, got, ldc);
        ref.gemm_tile_add(a, b, depth, want, ldc);
        if (memcmp(got, want, size) != 0)
            return wrong(k, "gemm_tile_add", depth, "differs (kind %u)", (unsigned)kind);
    }
    return true;
}

static bool check_select(const wte__kernels *k)
{
    for (size_t n = 0; n <= MAX_LENGTH; n = next_length(n))
        for (unsigned kind = 0; kind < N_KINDS; kind++) {
            float *x = floats(0, n, below(4), kind);
            static const float levels[] = {-1.0f, 0.0f, 0.5f, 0.99f, INFINITY, -INFINITY};
            size_t offset = below(4), size = n * sizeof(uint32_t);
            float threshold = levels[below(6)];
            if (n)
                put(x + below(n), NAN);
            unsigned char *got = guarded(0, size, offset), *want = guarded(1, size, offset);
            watch(k, "select_ge", n);
            size_t g = k->select_ge(x, n, threshold, (void *)got);
            size_t w = ref.select_ge(x, n, threshold, (void *)want);
            if (g != w || memcmp(got, want, 4 * w) != 0 || !guards_whole(0, size, offset))
                return wrong(k, "select_ge", n, "%zu positions, want %zu", g, w);
        }
    return true;
}

#include "check_nn.h"
#include "check_compare.h"

static bool check_all(const wte__kernels *k)
{
    bool good = true;

    for (unsigned which = 0; which < N_ROW_KERNELS; which++)
        good &= check_row_kernel(k, which);
    good &= check_dot_rows(k);
    good &= check_sumsq(k);
    good &= check_maxabs(k);
    good &= check_conversions(k);
    good &= check_quantize(k);
    good &= check_i8(k);
    good &= check_gemm(k);
    good &= check_gemm_add(k);
    good &= check_select(k);
    good &= check_nn(k);
    good &= check_compare(k);
    return good;
}

/* ---- time --------------------------------------------------------------------------------- */

/* Time that this thread had a processor: others may be at work on the same machine. */
static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The operands of one measurement; everything is in the first two caches, but for streams. */
typedef struct job {
    const wte__kernels *k;
    size_t dim, n_rows;
    const float *x, *y; /* [dim * 16] */
    const uint16_t *half;
    const int8_t *codes, *query;
    void *out;
} job;

enum { BLOCK_ROWS = 64 };

static double timed_sumsq(const job *j)
{
    return j->k->sumsq_f32(j->x, j->dim);
}

static double timed_maxabs(const job *j)
{
    return (double)j->k->maxabs_f32(j->x, j->dim);
}

static double timed_dot_f32(const job *j)
{
    return (double)j->k->dot_f32(j->x, j->y, j->dim);
}

static double timed_dot_f16(const job *j)
{
    return (double)j->k->dot_f16(j->half, j->y, j->dim);
}

static double timed_dot_bf16(const job *j)
{
    return (double)j->k->dot_bf16(j->half, j->y, j->dim);
}

static double timed_sqdist_f32(const job *j)
{
    return (double)j->k->sqdist_f32(j->x, j->y, j->dim);
}

static double timed_l1dist_f32(const job *j)
{
    return (double)j->k->l1dist_f32(j->x, j->y, j->dim);
}

static double timed_f16_to_f32(const job *j)
{
    j->k->f16_to_f32(j->half, j->out, j->dim);
    return 0.0;
}

static double timed_f32_to_f16(const job *j)
{
    j->k->f32_to_f16(j->x, j->out, j->dim);
    return 0.0;
}

static double timed_f32_to_bf16(const job *j)
{
    j->k->f32_to_bf16(j->x, j->out, j->dim);
    return 0.0;
}

static double timed_quantize(const job *j)
{
    return (double)j->k->quantize_i8(j->x, j->dim, 100.0f, j->out);
}

static double timed_i8(const job *j)
{
    j->k->dot_i8_rows(j->codes, j->dim, BLOCK_ROWS, j->query, j->dim, j->out);
    return 0.0;
}

static double timed_gemm(const job *j)
{
    j->k->gemm_tile(j->x, j->y, j->dim, j->out, WTE__GEMM_NR);
    return 0.0;
}

static double timed_gemm_add(const job *j)
{
    j->k->gemm_tile_add(j->x, j->y, j->dim, j->out, WTE__GEMM_NR);
    return 0.0;
}

static double timed_many_i8(const job *j)
{
    size_t ldx = (j->dim + WTE__QUERY_PAD - 1) / WTE__QUERY_PAD * WTE__QUERY_PAD;

    j->k->many_i8(j->codes, j->dim, BLOCK_ROWS, j->codes, ldx, BLOCK_ROWS, j->dim, j->out,
                  BLOCK_ROWS);
    return 0.0;
}

static double timed_layer_norm(const job *j)
{
    j->k->layer_norm(j->x, j->y, j->y, 1e-5f, j->dim, j->out);
    return 0.0;
}

/* These work in place, over and over on what they gave: not slower for any number. */
static double timed_gelu_tanh(const job *j)
{
    j->k->gelu_tanh(j->out, j->dim);
    return 0.0;
}

static double timed_gelu_erf(const job *j)
{
    j->k->gelu_erf(j->out, j->dim);
    return 0.0;
}

static double timed_tanh(const job *j)
{
    j->k->tanh_f32(j->out, j->dim);
    return 0.0;
}

static double timed_softmax(const job *j)
{
    j->k->softmax(j->out, j->dim);
    return 0.0;
}

static double timed_max(const job *j)
{
    return (double)j->k->max_f32(j->x, j->dim);
}

static double timed_sum_exp(const job *j)
{
    return j->k->sum_exp(j->x, j->dim, 1.0f);
}

static void first_cells(uint32_t *cells)
{
    for (uint32_t i = 0; i < BLOCK_ROWS; i++)
        cells[i] = i;
}

static double timed_scores(const job *j)
{
    uint32_t cells[BLOCK_ROWS];

    first_cells(cells);
    j->k->attend_scores_f32(j->y, j->x, cells, BLOCK_ROWS, j->dim, j->out);
    return 0.0;
}

static double timed_mix(const job *j)
{
    uint32_t cells[BLOCK_ROWS];

    first_cells(cells);
    j->k->attend_mix_f32(j->y, j->x, cells, BLOCK_ROWS, j->dim, j->out);
    return 0.0;
}

static double timed_select(const job *j)
{
    return (double)j->k->select_ge(j->x, j->dim, 2.0f, j->out);
}

static double stream_f32(const job *j)
{
    float dots[BLOCK_ROWS];
    double sum = 0.0;

    for (size_t r = 0; r + BLOCK_ROWS <= j->n_rows; r += BLOCK_ROWS) {
        j->k->dot_f32_rows((const void *)(j->x + r * j->dim), NULL, j->dim * sizeof(float),
                           BLOCK_ROWS, j->y, j->dim, dots);
        sum += (double)dots[0];
    }
    return sum;
}

static double stream_f16(const job *j)
{
    double sum = 0.0;

    for (size_t r = 0; r < j->n_rows; r++)
        sum += (double)j->k->dot_f16(j->half + r * j->dim, j->y, j->dim);
    return sum;
}

static double stream_i8(const job *j)
{
    size_t r = 0;

    for (; r + BLOCK_ROWS < j->n_rows; r += BLOCK_ROWS)
        j->k->dot_i8_rows(j->codes + r * j->dim, j->dim, BLOCK_ROWS, j->query, j->dim, j->out);
    return 0.0;
}

/* Square matrices of dim, one after the other. */
static double stream_matrices(const job *j, size_t n_rows, bool half, bool in_out)
{
    float *y = j->out;

    for (size_t r = 0; r + j->dim <= j->n_rows; r += j->dim) {
        if (half && in_out)
            j->k->few_in_out_f16(j->half + r * j->dim, j->dim, j->dim, j->dim, j->x, j->dim, n_rows,
                                 y, j->dim);
        else if (half)
            j->k->few_out_in_f16(j->half + r * j->dim, j->dim, j->dim, j->dim, j->x, j->dim, n_rows,
                                 y, j->dim);
        else if (in_out)
            j->k->few_in_out_f32(j->x + r * j->dim, j->dim, j->dim, j->dim, j->x, j->dim, n_rows, y,
                                 j->dim);
        else
            j->k->few_out_in_f32(j->x + r * j->dim, j->dim, j->dim, j->dim, j->x, j->dim, n_rows, y,
                                 j->dim);
    }
    return (double)*y;
}

static double stream_in_out_f32(const job *j)
{
    return stream_matrices(j, 1, false, true);
}

static double stream_in_out_f32_by_4(const job *j)
{
    return stream_matrices(j, 4, false, true);
}

static double stream_in_out_f16(const job *j)
{
    return stream_matrices(j, 1, true, true);
}

/* The same as panels. */
static double stream_panels_bf16(const job *j)
{
    for (size_t r = 0; r + j->dim <= j->n_rows; r += j->dim)
        j->k->few_panels_bf16(j->half + r * j->dim, j->dim, j->dim / WTE__PANEL, j->x, j->dim, 1,
                              j->out, j->dim);
    return 0.0;
}

static double stream_out_in_f32(const job *j)
{
    return stream_matrices(j, 1, false, false);
}

static double stream_out_in_f32_by_4(const job *j)
{
    return stream_matrices(j, 4, false, false);
}

static double stream_out_in_f16(const job *j)
{
    return stream_matrices(j, 1, true, false);
}

/* What memory gives to a loop that only adds, for comparison. */
static double stream_plain(const job *j)
{
    const unsigned char *p = (const unsigned char *)j->x;
    uint64_t sum[4] = {0}, v[4];

    for (size_t i = 0, n = j->n_rows * j->dim * sizeof(float); i + sizeof v <= n; i += sizeof v) {
        memcpy(v, p + i, sizeof v);
        for (int l = 0; l < 4; l++)
            sum[l] += v[l];
    }
    return (double)(sum[0] + sum[1] + sum[2] + sum[3]);
}

/* `work` per element of a row: bytes read and written, or floating-point operations. */
static const struct bench {
    const char *name;
    double (*run)(const job *);
    double work;
    const char *unit;
    unsigned rows_a_call; /* 0: a stream, all rows */
} benches[] = {
    {"dot_f32", timed_dot_f32, 8, "GB/s", 1},
    {"dot_f16", timed_dot_f16, 6, "GB/s", 1},
    {"dot_bf16", timed_dot_bf16, 6, "GB/s", 1},
    {"sqdist_f32", timed_sqdist_f32, 8, "GB/s", 1},
    {"l1dist_f32", timed_l1dist_f32, 8, "GB/s", 1},
    {"sumsq_f32", timed_sumsq, 4, "GB/s", 1},
    {"maxabs_f32", timed_maxabs, 4, "GB/s", 1},
    {"f16_to_f32", timed_f16_to_f32, 6, "GB/s", 1},
    {"f32_to_f16", timed_f32_to_f16, 6, "GB/s", 1},
    {"f32_to_bf16", timed_f32_to_bf16, 6, "GB/s", 1},
    {"quantize_i8", timed_quantize, 5, "GB/s", 1},
    {"dot_i8_rows", timed_i8, 1, "GB/s", BLOCK_ROWS},
    {"gemm_tile", timed_gemm, 2 * WTE__GEMM_MR *WTE__GEMM_NR, "GFLOP/s", 1},
    {"gemm_tile_add", timed_gemm_add, 2 * WTE__GEMM_MR *WTE__GEMM_NR, "GFLOP/s", 1},
    {"many_i8", timed_many_i8, 2 * BLOCK_ROWS, "GOP/s", BLOCK_ROWS},
    {"layer_norm", timed_layer_norm, 16, "GB/s", 1},
    {"gelu_tanh", timed_gelu_tanh, 1, "Gvalue/s", 1},
    {"gelu_erf", timed_gelu_erf, 1, "Gvalue/s", 1},
    {"tanh_f32", timed_tanh, 1, "Gvalue/s", 1},
    {"softmax", timed_softmax, 1, "Gvalue/s", 1},
    {"max_f32", timed_max, 4, "GB/s", 1},
    {"sum_exp", timed_sum_exp, 1, "Gvalue/s", 1},
    {"attend_scores_f32", timed_scores, 4, "GB/s", BLOCK_ROWS},
    {"attend_mix_f32", timed_mix, 4, "GB/s", BLOCK_ROWS},
    {"select_ge", timed_select, 4, "GB/s", 1},
    {"dot_f32_rows, stream", stream_f32, 4, "GB/s", 0},
    {"dot_f16, stream", stream_f16, 2, "GB/s", 0},
    {"dot_i8_rows, stream", stream_i8, 1, "GB/s", 0},
    {"few_in_out_f32", stream_in_out_f32, 4, "GB/s", 0},
    {"few_in_out_f32, 4 x", stream_in_out_f32_by_4, 4, "GB/s", 0},
    {"few_in_out_f16", stream_in_out_f16, 2, "GB/s", 0},
    {"few_panels_bf16", stream_panels_bf16, 2, "GB/s", 0},
    {"few_out_in_f32", stream_out_in_f32, 4, "GB/s", 0},
    {"few_out_in_f32, 4 x", stream_out_in_f32_by_4, 4, "GB/s", 0},
    {"few_out_in_f16", stream_out_in_f16, 2, "GB/s", 0},
};
static const struct bench plain_read = {"plain read, stream", stream_plain, 4, "GB/s", 0};

/* Nanoseconds of one call: the best of ten runs of at least two milliseconds. */
static double time_of(double (*run)(const job *), const job *j)
{
    static volatile double sink;
    double best = INFINITY;
    size_t repeats = 1;

    for (int good = 0; good < 10;) {
        double begin = now_ns(), spent;
        for (size_t i = 0; i < repeats; i++)
            sink = sink + run(j);
        spent = now_ns() - begin;
        if (spent < 2e6) {
            repeats *= 2;
            continue;
        }
        best = spent / (double)repeats < best ? spent / (double)repeats : best;
        good++;
    }
    return best;
}

static void print_bench(const struct bench *b, const char *set, const job *like)
{
    static const size_t dims[] = {300, 768};
    enum { STREAM_BYTES = 128 << 20 };

    printf("%-20s %-8s", b->name, set);
    for (int d = 0; d < 2; d++) {
        job j = *like;
        double rows = b->rows_a_call;
        j.dim = dims[d];
        if (b->rows_a_call == 0) {
            j.n_rows = (size_t)(STREAM_BYTES / b->work) / j.dim;
            rows = (double)j.n_rows;
        }
        double ns = time_of(b->run, &j) / rows;
        printf(" %10.1f %9.1f", ns, b->work * (double)j.dim / ns);
    }
    printf("  %s\n", b->unit);
}

static int bench(const char *only)
{
    enum { BYTES = (128 << 20) + 4096 };
    static _Alignas(64) float y[768 * WTE__GEMM_NR];
    static _Alignas(64) int8_t query[768];
    static float out[BLOCK_ROWS * BLOCK_ROWS];
    float *x = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (x == MAP_FAILED) {
        perror("checkkernel: mmap");
        return 1;
    }
    for (size_t i = 0; i < BYTES / sizeof *x; i++)
        x[i] = (float)(i & 1023) * 0x1p-10f; /* as bytes, halves and floats all finite */
    for (size_t i = 0; i < sizeof y / sizeof *y; i++)
        y[i] = uniform();
    for (size_t i = 0; i < sizeof query; i++)
        query[i] = (int8_t)((int)below(255) - 127);
    job like = {.x = x, .y = y, .half = (void *)x, .codes = (void *)x, .query = query, .out = out};

    printf("\n%-20s %-8s %10s %9s %10s %9s\n%-20s %-8s %10s %9s %10s %9s\n", "", "", "dim 300", "",
           "dim 768", "", "kernel", "set", "ns/row", "rate", "ns/row", "rate");
    print_bench(&plain_read, "", &like);
    for (size_t b = 0; b < sizeof benches / sizeof *benches; b++)
        for (int s = 0; s < N_SETS; s++) {
            wte__kernels k;
            if ((sets[s].flags & ~wte__cpu_flags()) || (only && strcmp(only, sets[s].name) != 0))
                continue;
            wte__kernels_init(&k, sets[s].flags);
            like.k = &k;
            print_bench(&benches[b], sets[s].name, &like);
        }
    munmap(x, BYTES);
    return 0;
}

/* ---- the choice of kernels ---------------------------------------------------------------- */

static bool known_set(const char *name)
{
    for (int s = 0; s < N_SETS; s++)
        if (strcmp(name, sets[s].name) == 0)
            return true;
    return false;
}

/* Each set yields the kernels that it names, and what is in use is the best that WTE_CPU and the
 * machine allow. */
static bool check_choice(void)
{
    const char *forced = getenv("WTE_CPU"), *best = "c";
    unsigned allowed = wte__cpu_flags();

    for (int s = 0; s < N_SETS; s++)
        if (forced && strcmp(forced, sets[s].name) == 0)
            allowed &= sets[s].flags;
    for (int s = 0; s < N_SETS; s++) {
        wte__kernels k;
        if (sets[s].flags & ~allowed)
            continue;
        wte__kernels_init(&k, sets[s].flags);
        best = sets[s].name;
        if (strcmp(k.name, best) != 0) {
            fprintf(stderr, "checkkernel: asked for %s, got %s\n", best, k.name);
            return false;
        }
    }
    if (strcmp(wte__kernel()->name, best) != 0) {
        fprintf(stderr, "checkkernel: %s is in use, want %s\n", wte__kernel()->name, best);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    bool timing = false, good;

    seed = (unsigned long long)time(NULL);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0) {
            timing = true;
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--cpu") == 0 && i + 1 < argc && known_set(argv[i + 1])) {
            only = argv[++i];
        } else {
            fputs("usage: checkkernel [--seed N] [--cpu NAME] [--bench]\n", stderr);
            return 2;
        }
    }
    printf("seed %llu, in use: %s\n", seed, wte__kernel()->name);
    make_arenas();
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    wte__kernels_init(&ref, 0);
    good = check_choice();
    for (int s = 1; s < N_SETS; s++) {
        wte__kernels k;
        if (only && strcmp(only, sets[s].name) != 0)
            continue;
        if (sets[s].flags & ~wte__cpu_flags()) {
            printf("%-8s not on this machine\n", sets[s].name);
            continue;
        }
        state = seed;
        wte__kernels_init(&k, sets[s].flags);
        bool set_good = check_all(&k);
        printf("%-8s %s\n", sets[s].name, set_good ? "ok" : "FAILED");
        good &= set_good;
    }
    fflush(stdout);
    if (good && timing)
        return bench(only);
    return good ? 0 : 1;
}
