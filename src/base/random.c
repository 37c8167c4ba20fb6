/* SPDX-License-Identifier: MIT */
/* random.c - torch's CPU generator, drawn and rounded the same way
 *
 * A Mersenne Twister's stream is turned into normals by a recipe that depends on how many are
 * wanted:
 *
 *   fewer than 16   one at a time, Box-Muller in float64 on uniforms of 53 bits; each pair gives
 *                   two normals, the second waits in the generator for the next call
 *   16 and more     all elements are filled with uniforms of 24 bits; then each block of 16 is
 *                   transformed in place, element i of the first half with element i of the second
 *                   (u1, u2 below); if the count is no multiple of 16, the last 16 elements get
 *                   fresh uniforms and are transformed again, over what the full blocks left there
 *
 *   block   | u1 u1 u1 u1 u1 u1 u1 u1 | u2 u2 u2 u2 u2 u2 u2 u2 |     r = sqrt(-2 log(1 - u1))
 *   becomes | r cos(2 pi u2) ...      | r sin(2 pi u2) ...      |
 *
 * On a processor with AVX2, torch evaluates log, sin and cos of a block in float32 with the
 * polynomials of the Cephes library, and its compiler fuses each product with the sum behind it.
 * Which are fused shows in the last bit. They are written out here as fmaf, so plain C, AVX2 and
 * NEON all give torch's bits; libm's logarithm and sine are more accurate, and differ from them in
 * about one element of seven.
 *
 * The block transform is one inline function in plain C over 8 lanes, without a branch, compiled
 * twice: for any machine, and for AVX2 with FMA, where the compiler makes each loop one vector
 * instruction. In the first, fmaf is a call into libm on x86-64, some ten times slower.
 *
 * A draw without replacement is the arg-max of p / q with q exponential (Gumbel's trick in other
 * clothes), and every weight takes its 64 bits of the stream, also one of 0. As q = -log(1 - u) is
 * at least u, p / u bounds the quotient: only a weight whose bound reaches the best so far is worth
 * a logarithm, some ten of a vocabulary.
 *
 * Source: Matsumoto and Nishimura 1998, "Mersenne twister"; Box and Muller 1958; S. L. Moshier's
 * Cephes library (logf, sinf, cosf). Left out: integers, permutations, float64 tensors, which
 * nothing here needs, and the streams of torch builds that draw exponentials through MKL. */
#include "wte/random.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include "base/base.h"
#include "base/random_internal.h"

enum {
    MT_N = 624,
    MT_M = 397,
    LANES = 8,
    BLOCK = 2 * LANES, /* from this many elements on, normals are made in blocks */
    DRAW = 256,        /* weights of a draw that are looked at together */
    FEW_SAMPLES = 64   /* so many are kept in order on the stack */
};

/* ---- mt19937 ---------------------------------------------------------------------------- */

void wte_generator_seed(wte_generator *g, uint64_t seed)
{
    g->state[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < MT_N; i++)
        g->state[i] = 1812433253u * (g->state[i - 1] ^ (g->state[i - 1] >> 30)) + i;
    g->index = MT_N;
    g->has_normal = 0;
    g->next_normal = 0;
}

static inline uint32_t twist(uint32_t a, uint32_t b)
{
    uint32_t y = (a & 0x80000000u) | (b & 0x7fffffffu);

    return (y >> 1) ^ ((0u - (b & 1u)) & 0x9908b0dfu);
}

/* Replace all 624 words. Three loops, so that each reads only what is 227 or more words away from
 * what it writes, or not written yet, and can be vectorised. */
static inline __attribute__((always_inline)) void refill(wte_generator *g)
{
    uint32_t *s = g->state;

    for (int i = 0; i < MT_N - MT_M; i++)
        s[i] = s[i + MT_M] ^ twist(s[i], s[i + 1]);
    for (int i = MT_N - MT_M; i < MT_N - 1; i++)
        s[i] = s[i + MT_M - MT_N] ^ twist(s[i], s[i + 1]);
    s[MT_N - 1] = s[MT_M - 1] ^ twist(s[MT_N - 1], s[0]);
    g->index = 0;
}

static inline uint32_t temper(uint32_t y)
{
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

uint32_t wte_generator_u32(wte_generator *g)
{
    if (g->index >= MT_N)
        refill(g);
    return temper(g->state[g->index++]);
}

uint64_t wte_generator_u64(wte_generator *g)
{
    uint64_t high = wte_generator_u32(g);

    return high << 32 | wte_generator_u32(g);
}

/* A uniform of 53 bits in [0, 1). */
static inline double to_f64(uint64_t bits)
{
    return (double)(bits & ((UINT64_C(1) << 53) - 1)) * 0x1p-53;
}

static double uniform_f64(wte_generator *g)
{
    return to_f64(wte_generator_u64(g));
}

/* Tempered words, as many calls of wte_generator_u32 give them. */
static inline __attribute__((always_inline)) void words(wte_generator *g, uint32_t *out, size_t n)
{
    while (n > 0) {
        const uint32_t *s;
        size_t run;

        if (g->index >= MT_N)
            refill(g);
        s = g->state + g->index;
        run = MT_N - g->index;
        if (run > n)
            run = n;
        for (size_t i = 0; i < run; i++)
            out[i] = temper(s[i]);
        g->index += (uint32_t)run;
        out += run;
        n -= run;
    }
}

void wte_generator_uniform(wte_generator *g, float *out, size_t n)
{
    while (n > 0) {
        uint32_t w[DRAW];
        size_t run = n < DRAW ? n : DRAW;

        words(g, w, run);
        for (size_t i = 0; i < run; i++)
            out[i] = (float)(int32_t)(w[i] & 0xffffffu) * 0x1p-24f;
        out += run;
        n -= run;
    }
}

/* ---- normals ---------------------------------------------------------------------------- */

static inline uint32_t float_bits(float x)
{
    uint32_t b;

    memcpy(&b, &x, sizeof b);
    return b;
}

static inline float bits_float(uint32_t b)
{
    float x;

    memcpy(&x, &b, sizeof x);
    return x;
}

/* Cephes' logf for 0 < x <= 1, x normal: x = m * 2^e with m in [sqrt(1/2), sqrt(2)), then a
 * polynomial in m - 1. */
static inline float log_cephes(float x)
{
    uint32_t bits = float_bits(x);
    float m = bits_float((bits & 0x007fffffu) | 0x3f000000u);
    uint32_t low = 0u - (uint32_t)(m < 0.707106781186547524f); /* all ones where m is doubled */
    float e = (float)((int32_t)((bits >> 23) + low) - 126);
    float z, y;

    m = (m - 1.0f) + bits_float(float_bits(m) & low);
    z = m * m;
    y = 7.0376836292E-2f;
    y = fmaf(y, m, -1.1514610310E-1f);
    y = fmaf(y, m, 1.1676998740E-1f);
    y = fmaf(y, m, -1.2420140846E-1f);
    y = fmaf(y, m, 1.4249322787E-1f);
    y = fmaf(y, m, -1.6668057665E-1f);
    y = fmaf(y, m, 2.0000714765E-1f);
    y = fmaf(y, m, -2.4999993993E-1f);
    y = fmaf(y, m, 3.3333331174E-1f);
    y = y * m;
    y = fmaf(y, z, e * -2.12194440e-4f);
    y = fmaf(z, -0.5f, y);
    return fmaf(e, 0.693359375f, m + y);
}

/* Cephes' sinf and cosf for x >= 0: take off the nearest even multiple j of pi/4 in three parts,
 * evaluate both polynomials on what is left, and let j's bits say which is which, and the signs. */
static inline void sincos_cephes(float x, float *sine, float *cosine)
{
    int32_t j = ((int32_t)(x * 1.27323954473516f) + 1) & ~1;
    float k = (float)j;
    uint32_t sign_sin = (uint32_t)(j & 4) << 29;
    uint32_t sign_cos = (uint32_t)(~(j - 2) & 4) << 29;
    uint32_t swap = 0u - (uint32_t)(j >> 1 & 1); /* all ones where sine and cosine change places */
    float z, c, s;

    x = fmaf(k, -0.78515625f, x);
    x = fmaf(k, -2.4187564849853515625e-4f, x);
    x = fmaf(k, -3.77489497744594108e-8f, x);
    z = x * x;
    c = 2.443315711809948E-005f;
    c = fmaf(c, z, -1.388731625493765E-003f);
    c = fmaf(c, z, 4.166664568298827E-002f);
    c = c * z;
    c = fmaf(c, z, z * -0.5f);
    c = c + 1.0f;
    s = -1.9515295891E-4f;
    s = fmaf(s, z, 8.3321608736E-3f);
    s = fmaf(s, z, -1.6666654611E-1f);
    s = s * z;
    s = fmaf(s, x, x);
    swap &= float_bits(s) ^ float_bits(c);
    *sine = bits_float(float_bits(s) ^ swap ^ sign_sin);
    *cosine = bits_float(float_bits(c) ^ swap ^ sign_cos);
}

static inline __attribute__((always_inline)) void normal_blocks(float *x, size_t n_blocks,
                                                                float mean, float std)
{
    for (size_t b = 0; b < n_blocks; b++, x += BLOCK) {
        float first[LANES], second[LANES];

        for (int i = 0; i < LANES; i++) {
            float radius = sqrtf(-2.0f * log_cephes(1.0f - x[i]));
            float sine, cosine;

            sincos_cephes(6.283185307179586f * x[LANES + i], &sine, &cosine);
            first[i] = fmaf(radius * cosine, std, mean);
            second[i] = fmaf(radius * sine, std, mean);
        }
        memcpy(x, first, sizeof first);
        memcpy(x + LANES, second, sizeof second);
    }
}

static void normal_blocks_c(float *x, size_t n_blocks, float mean, float std)
{
    normal_blocks(x, n_blocks, mean, std);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void normal_blocks_avx2(float *x, size_t n_blocks,
                                                                   float mean, float std)
{
    normal_blocks(x, n_blocks, mean, std);
}
#endif

bool wte__random_has_vectors(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

void wte__normal_blocks(float *x, size_t n_blocks, float mean, float std, bool vectors)
{
#if defined(__x86_64__)
    if (vectors) {
        normal_blocks_avx2(x, n_blocks, mean, std);
        return;
    }
#endif
    (void)vectors;
    normal_blocks_c(x, n_blocks, mean, std);
}

/* One normal of the scalar path. The pair's second value stays in the generator. */
static double normal_f64(wte_generator *g)
{
    double u1, radius, theta;

    if (g->has_normal) {
        g->has_normal = 0;
        return g->next_normal;
    }
    u1 = uniform_f64(g);
    radius = sqrt(-2.0 * log1p(-uniform_f64(g)));
    theta = 2.0 * 3.14159265358979323846 * u1;
    g->next_normal = radius * sin(theta);
    g->has_normal = 1;
    return radius * cos(theta);
}

void wte_generator_normal(wte_generator *g, float *out, size_t n, float mean, float std)
{
    bool vectors = wte__random_has_vectors();

    if (n < BLOCK) {
        for (size_t i = 0; i < n; i++)
            out[i] = (float)(normal_f64(g) * (double)std + (double)mean);
        return;
    }
    /* A few kilobytes at a time, so that the second step finds them in the nearest cache. */
    for (size_t i = 0; i < n;) {
        size_t run = n - i < 256 * BLOCK ? n - i : 256 * BLOCK;

        wte_generator_uniform(g, out + i, run);
        wte__normal_blocks(out + i, run / BLOCK, mean, std, vectors);
        i += run;
    }
    if (n % BLOCK) {
        wte_generator_uniform(g, out + n - BLOCK, BLOCK);
        wte__normal_blocks(out + n - BLOCK, 1, mean, std, vectors);
    }
}

/* ---- draws ------------------------------------------------------------------------------ */

static inline float exponential(double u)
{
    return (float)-log1p(-u);
}

void wte_generator_exponential(wte_generator *g, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = exponential(uniform_f64(g));
}

/* The largest quotients p / q so far, best first, of equal ones the first. */
typedef struct quotient {
    float value;
    uint32_t id;
} quotient;
typedef struct quotients {
    quotient *items; /* [k] */
    size_t k, n;
} quotients;

/* What a quotient must exceed to enter. Even one that has underflowed to 0 may while there is room.
 */
static inline float least(const quotients *best)
{
    return best->n < best->k ? -1 : best->items[best->n - 1].value;
}

static void offer(quotients *best, float value, uint32_t id)
{
    size_t at;

    if (!(value > least(best)))
        return;
    at = best->n < best->k ? best->n++ : best->n - 1;
    for (; at > 0 && best->items[at - 1].value < value; at--)
        best->items[at] = best->items[at - 1];
    best->items[at] = (quotient){value, id};
}

/* Whether a weight may enter: p / u >= p / q, u cut to 21 bits, and both sides rounded by less than
 * the part that is taken off the bound. */
static inline __attribute__((always_inline)) uint32_t may_enter(float p, uint32_t word, float bound)
{
    float u = (float)(int32_t)(word & 0x1fffffu) * 0x1p-21f;

    return (uint32_t)(p > 0) & (uint32_t)(p >= u * bound);
}

static inline __attribute__((always_inline)) void draw_few(wte_generator *g, const float *p,
                                                           size_t n, quotients *best)
{
    uint32_t w[2 * DRAW];

    for (size_t first = 0; first < n; first += DRAW, p += DRAW) {
        size_t run = n - first < DRAW ? n - first : DRAW;
        float bound = least(best) * (1 - 1e-5f);
        uint32_t any = 0;

        words(g, w, 2 * run);
        for (size_t i = 0; i < run; i++)
            any += may_enter(p[i], w[2 * i], bound);
        for (size_t i = 0; any > 0 && i < run; i++)
            if (may_enter(p[i], w[2 * i], least(best) * (1 - 1e-5f)))
                offer(best, p[i] / exponential(to_f64((uint64_t)w[2 * i] << 32 | w[2 * i + 1])),
                      (uint32_t)(first + i));
    }
}

static void draw_few_c(wte_generator *g, const float *p, size_t n, quotients *best)
{
    draw_few(g, p, n, best);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void draw_few_avx2(wte_generator *g, const float *p,
                                                          size_t n, quotients *best)
{
    draw_few(g, p, n, best);
}
#endif

/* Leave out words, as many calls of wte_generator_u32 would. */
static inline __attribute__((always_inline)) void skip(wte_generator *g, size_t n)
{
    while (n > 0) {
        size_t run;

        if (g->index >= MT_N)
            refill(g);
        run = MT_N - g->index < n ? MT_N - g->index : n;
        g->index += (uint32_t)run;
        n -= run;
    }
}

static inline __attribute__((always_inline)) size_t pick(wte_generator *g, const uint32_t *ids,
                                                         const float *p, size_t m, size_t n)
{
    float best = -1;
    size_t at = 0, next = 0;

    for (size_t i = 0; i < m; i++) {
        float value;

        skip(g, 2 * (ids[i] - next));
        next = (size_t)ids[i] + 1;
        value = exponential(uniform_f64(g));
        if (p[i] > 0 && p[i] / value > best) {
            best = p[i] / value;
            at = i;
        }
    }
    skip(g, 2 * (n - next));
    return at;
}

static size_t pick_c(wte_generator *g, const uint32_t *ids, const float *p, size_t m, size_t n)
{
    return pick(g, ids, p, m, n);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static size_t pick_avx2(wte_generator *g, const uint32_t *ids,
                                                        const float *p, size_t m, size_t n)
{
    return pick(g, ids, p, m, n);
}
#endif

size_t wte__generator_pick(wte_generator *g, const uint32_t *ids, const float *p, size_t m,
                           size_t n)
{
#if defined(__x86_64__)
    if (wte__random_has_vectors())
        return pick_avx2(g, ids, p, m, n);
#endif
    return pick_c(g, ids, p, m, n);
}

static int by_quotient(const void *x, const void *y)
{
    const quotient *a = x, *b = y;

    if (a->value != b->value)
        return a->value > b->value ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static void draw_many(wte_generator *g, const float *p, size_t n, quotients *all)
{
    for (size_t i = 0; i < n; i++) {
        float q = exponential(uniform_f64(g));

        if (p[i] > 0)
            all->items[all->n++] = (quotient){p[i] / q, (uint32_t)i};
    }
    qsort(all->items, all->n, sizeof *all->items, by_quotient);
}

/* The n_samples largest of p / q with q exponential, in descending order, the first on a tie. */
static wte_status draw_distinct(wte_generator *g, const float *p, size_t n, size_t n_samples,
                                uint32_t *out, wte_error *err)
{
    quotient few[FEW_SAMPLES];
    quotients best = {few, n_samples, 0};

    if (n_samples <= FEW_SAMPLES) {
#if defined(__x86_64__)
        if (wte__random_has_vectors())
            draw_few_avx2(g, p, n, &best);
        else
#endif
            draw_few_c(g, p, n, &best);
    } else {
        best.items = wte__calloc(n, sizeof *best.items);
        if (!best.items)
            return wte__fail(err, WTE_E_NOMEM, "no memory to draw %zu of %zu", n_samples, n);
        draw_many(g, p, n, &best);
    }
    for (size_t i = 0; i < n_samples; i++)
        out[i] = best.items[i].id;
    if (best.items != few)
        wte__free(best.items);
    return WTE_OK;
}

/* Search the cumulative sum, kept in float32 as torch keeps it, for each of n_samples uniforms. */
static wte_status draw_with_replacement(wte_generator *g, const float *p, size_t n,
                                        size_t n_samples, uint32_t *out, wte_error *err)
{
    float *cumulative = wte__calloc(n, sizeof *cumulative);
    float sum = 0;

    if (!cumulative)
        return wte__fail(err, WTE_E_NOMEM, "no memory for the cumulative sum of %zu", n);
    for (size_t i = 0; i < n; i++)
        cumulative[i] = sum += p[i];
    for (size_t i = 0; i < n; i++)
        cumulative[i] /= sum;
    cumulative[n - 1] = 1;
    for (size_t i = 0; i < n_samples; i++) {
        double u = uniform_f64(g);
        size_t low = 0, high = n;

        while (low < high) {
            size_t middle = low + (high - low) / 2;

            if ((double)cumulative[middle] < u)
                low = middle + 1;
            else
                high = middle;
        }
        out[i] = (uint32_t)low;
    }
    wte__free(cumulative);
    return WTE_OK;
}

/* Whether all weights are numbers; how many are possible, and how many so large that their sum may
 * leave float32. */
static bool look_at(const float *p, size_t n, size_t *n_possible, size_t *n_large)
{
    uint32_t broken = 0, possible = 0, large = 0;
    float most = FLT_MAX / (float)n;

    for (size_t i = 0; i < n; i++)
        broken += (uint32_t) !(p[i] >= 0) | (uint32_t) !(p[i] <= FLT_MAX);
    for (size_t i = 0; i < n; i++) {
        possible += p[i] > 0;
        large += p[i] > most;
    }
    *n_possible = possible;
    *n_large = large;
    return broken == 0;
}

static double sum_of(const float *p, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)p[i];
    return sum;
}

wte_status wte_generator_multinomial(wte_generator *g, const float *probabilities, size_t n,
                                     size_t n_samples, int replacement, uint32_t *out,
                                     wte_error *err)
{
    size_t n_possible, n_large, i = 0;

    if (n == 0 || n > UINT32_MAX || n_samples == 0)
        return wte__fail(err, WTE_E_RANGE, "%zu samples of %zu weights, expected 1 or more of each",
                         n_samples, n);
    if (!look_at(probabilities, n, &n_possible, &n_large)) {
        while (probabilities[i] >= 0 && probabilities[i] <= FLT_MAX)
            i++;
        return wte__fail(err, WTE_E_RANGE, "weight %zu is %g, expected a finite number not below 0",
                         i, (double)probabilities[i]);
    }
    if (n_possible == 0 || (n_large > 0 && sum_of(probabilities, n) > (double)FLT_MAX))
        return wte__fail(err, WTE_E_RANGE,
                         "weights sum to %g, expected a finite sum above 0 in float32",
                         sum_of(probabilities, n));
    if (!replacement && n_samples > n_possible)
        return wte__fail(err, WTE_E_RANGE,
                         "%zu samples without replacement, but only %zu weights are above 0",
                         n_samples, n_possible);
    return replacement ? draw_with_replacement(g, probabilities, n, n_samples, out, err)
                       : draw_distinct(g, probabilities, n, n_samples, out, err);
}
