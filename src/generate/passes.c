/* SPDX-License-Identifier: MIT */
/* passes.c - loops over all scores
 *
 * A chain goes over a vocabulary of fifty thousand some twenty times for each token, so these loops
 * are written in vectors of four and compiled twice: for any machine, and for AVX2. Simple ones are
 * left to the compiler, which makes vectors of them by itself. Nothing is fused and sums go into
 * the same sixteen lanes, so the bits are the same. Exponentials, maxima and selections are the
 * kernels'. */
#include "generate/passes.h"
#include <float.h>
#include <math.h>
#include <string.h>
#include "base/random_internal.h"

enum {
    WIDTH = 4,
    VECTORS = 4, /* that are summed side by side */
    LANES = WIDTH * VECTORS,
    BLOCK = 256
};

typedef float floats __attribute__((vector_size(16)));
typedef int32_t ints __attribute__((vector_size(16)));
typedef double doubles __attribute__((vector_size(32)));
typedef float floats_anywhere __attribute__((vector_size(16), aligned(4), may_alias));

#define INLINE          static inline __attribute__((always_inline))
#define LOAD(p)         (*(const floats_anywhere *)(p))
#define WHERE(mask_, x) ((floats)((mask_) & (ints)(x)))
#define WIDEN(x)        __builtin_convertvector(x, doubles)
#define ALL(x)                                                                                     \
    {                                                                                              \
        x, x, x, x                                                                                 \
    }

/* The last elements, filled up to a whole number of lanes. */
INLINE size_t tail(const float *x, size_t n, float rest, float *out)
{
    size_t whole = n - n % LANES;

    for (size_t j = 0; j < LANES; j++)
        out[j] = whole + j < n ? x[whole + j] : rest;
    return whole;
}

/* In a fixed order. */
#define ADD_UP(lanes, total)                                                                       \
    for (size_t j_ = 0; j_ < LANES; j_++)                                                          \
    (total) += (lanes)[j_ / WIDTH][j_ % WIDTH]

INLINE double sum(const float *x, size_t n)
{
    doubles lanes[VECTORS] = {{0}};
    float last[LANES];
    size_t whole = tail(x, n, 0, last);
    double total = 0;

    for (size_t i = 0; i < whole; i += LANES)
        for (size_t j = 0; j < VECTORS; j++)
            lanes[j] += WIDEN(LOAD(x + i + j * WIDTH));
    for (size_t j = 0; j < VECTORS; j++)
        lanes[j] += WIDEN(LOAD(last + j * WIDTH));
    ADD_UP(lanes, total);
    return total;
}

INLINE size_t count_ge(const float *x, size_t n, float at)
{
    uint32_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += x[i] >= at;
    return count;
}

/* One block of LANES keys. */
INLINE void weigh_block(const float *keys, const float *weights, floats low, floats high,
                        doubles *lanes, ints *counts)
{
    for (size_t j = 0; j < VECTORS; j++) {
        floats key = LOAD(keys + j * WIDTH);
        ints inside = (key >= low) & (key < high);

        lanes[j] += WIDEN(WHERE(inside, LOAD(weights + j * WIDTH)));
        counts[j] -= inside;
    }
}

INLINE size_t count_between(const float *keys, size_t n, float low, float high)
{
    uint32_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += (uint32_t)(keys[i] >= low) & (uint32_t)(keys[i] < high);
    return count;
}

INLINE double weigh(const float *keys, const float *weights, size_t n, float low, float high,
                    size_t *count)
{
    doubles lanes[VECTORS] = {{0}};
    ints counts[VECTORS] = {{0}};
    floats lows = ALL(low), highs = ALL(high);
    float last_keys[LANES], last_weights[LANES];
    size_t whole;
    int32_t counted = 0;
    double total = 0;

    if (!weights) {
        *count = count_between(keys, n, low, high);
        return (double)*count;
    }
    tail(keys, n, -INFINITY, last_keys); /* below any bound */
    whole = tail(weights, n, 0, last_weights);
    for (size_t i = 0; i < whole; i += LANES)
        weigh_block(keys + i, weights + i, lows, highs, lanes, counts);
    weigh_block(last_keys, last_weights, lows, highs, lanes, counts);
    ADD_UP(lanes, total);
    ADD_UP(counts, counted);
    *count = (size_t)counted;
    return total;
}

INLINE void ends_block(const float *x, floats *lows, floats *highs)
{
    const floats below = ALL(-FLT_MAX), infinity = ALL(INFINITY);

    for (size_t j = 0; j < VECTORS; j++) {
        floats v = LOAD(x + j * WIDTH);
        ints higher = v > highs[j], out = v < below;
        floats finite = (floats)((ints)WHERE(~out, v) | (ints)WHERE(out, infinity));
        ints lower = finite < lows[j];

        highs[j] = (floats)((ints)WHERE(higher, v) | (ints)WHERE(~higher, highs[j]));
        lows[j] = (floats)((ints)WHERE(lower, finite) | (ints)WHERE(~lower, lows[j]));
    }
}

INLINE void ends(const float *x, size_t n, float *smallest, float *largest)
{
    floats lows[VECTORS] = {ALL(INFINITY), ALL(INFINITY), ALL(INFINITY), ALL(INFINITY)};
    floats highs[VECTORS] = {ALL(-INFINITY), ALL(-INFINITY), ALL(-INFINITY), ALL(-INFINITY)};
    float last[LANES], low = INFINITY, high = -INFINITY;
    size_t whole = tail(x, n, -INFINITY, last);

    for (size_t i = 0; i < whole; i += LANES)
        ends_block(x + i, lows, highs);
    ends_block(last, lows, highs);
    for (size_t j = 0; j < LANES; j++) {
        float l = lows[j / WIDTH][j % WIDTH], h = highs[j / WIDTH][j % WIDTH];

        low = l < low ? l : low;
        high = h > high ? h : high;
    }
    *smallest = low;
    *largest = high;
}

/* The keys may be what is written: a block of them is put aside before it is. */
INLINE void mask(const float *keys, float threshold, size_t n, float *scores, float *probs)
{
    for (size_t first = 0; first < n; first += BLOCK) {
        size_t m = n - first < BLOCK ? n - first : BLOCK;
        float *s = scores + first, key[BLOCK];

        memcpy(key, keys + first, m * sizeof *key);
        for (size_t i = 0; i < m; i++)
            s[i] = key[i] >= threshold ? s[i] : -INFINITY;
        if (probs) {
            float *p = probs + first;

            for (size_t i = 0; i < m; i++)
                p[i] = key[i] >= threshold ? p[i] : 0;
        }
    }
}

INLINE void surprise_block(const float *scores, const float *probs, floats shift, doubles *lanes)
{
    const floats below = ALL(-FLT_MAX);

    for (size_t j = 0; j < VECTORS; j++) {
        floats score = LOAD(scores + j * WIDTH);

        lanes[j] += WIDEN(LOAD(probs + j * WIDTH) * WHERE(score >= below, shift - score));
    }
}

INLINE double surprise(const float *scores, const float *probs, size_t n, float shift)
{
    doubles lanes[VECTORS] = {{0}};
    floats shifts = ALL(shift);
    float last_scores[LANES], last_probs[LANES];
    size_t whole = tail(scores, n, 0, last_scores);
    double total = 0;

    tail(probs, n, 0, last_probs);
    for (size_t i = 0; i < whole; i += LANES)
        surprise_block(scores + i, probs + i, shifts, lanes);
    surprise_block(last_scores, last_probs, shifts, lanes);
    ADD_UP(lanes, total);
    return total;
}

INLINE void moments_block(const float *x, floats shift, doubles *sums, doubles *squares,
                          ints *counts)
{
    const floats below = ALL(-FLT_MAX);

    for (size_t j = 0; j < VECTORS; j++) {
        floats v = LOAD(x + j * WIDTH);
        ints finite = v >= below;
        doubles d = WIDEN(WHERE(finite, v - shift));

        sums[j] += d;
        squares[j] += d * d;
        counts[j] -= finite;
    }
}

INLINE size_t moments(const float *x, size_t n, float shift, double *sum_, double *squares_)
{
    doubles sums[VECTORS] = {{0}}, squares[VECTORS] = {{0}};
    ints counts[VECTORS] = {{0}};
    floats shifts = ALL(shift);
    float last[LANES];
    size_t whole = tail(x, n, -INFINITY, last);
    int32_t count = 0;

    for (size_t i = 0; i < whole; i += LANES)
        moments_block(x + i, shifts, sums, squares, counts);
    moments_block(last, shifts, sums, squares, counts);
    *sum_ = *squares_ = 0;
    ADD_UP(sums, *sum_);
    ADD_UP(squares, *squares_);
    ADD_UP(counts, count);
    return (size_t)count;
}

INLINE void subtract(float *x, size_t n, float a, float b)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - a) - b;
}

INLINE void divide(float *x, size_t n, float t)
{
    for (size_t i = 0; i < n; i++)
        x[i] /= t;
}

INLINE void make_finite(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float v = x[i] == x[i] ? x[i] : 0;

        v = v > FLT_MAX ? FLT_MAX : v;
        x[i] = v < -FLT_MAX ? -FLT_MAX : v;
    }
}

INLINE void distances(const float *x, size_t n, float shift, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = -fabsf(shift - x[i]);
}

INLINE void allow(const uint8_t *allowed, size_t n, float *scores)
{
    for (size_t i = 0; i < n; i++)
        scores[i] = allowed[i] ? scores[i] : -INFINITY;
}

/* Each once for a machine. */
#define COMPILE(suffix, scope, attribute)                                                          \
    attribute static double sum_##suffix(const float *x, size_t n)                                 \
    {                                                                                              \
        return sum(x, n);                                                                          \
    }                                                                                              \
    attribute static size_t count_ge_##suffix(const float *x, size_t n, float at)                  \
    {                                                                                              \
        return count_ge(x, n, at);                                                                 \
    }                                                                                              \
    attribute static double weigh_##suffix(const float *keys, const float *weights, size_t n,      \
                                           float low, float high, size_t *count)                   \
    {                                                                                              \
        return weigh(keys, weights, n, low, high, count);                                          \
    }                                                                                              \
    attribute static void ends_##suffix(const float *x, size_t n, float *smallest, float *largest) \
    {                                                                                              \
        ends(x, n, smallest, largest);                                                             \
    }                                                                                              \
    attribute static void mask_##suffix(const float *keys, float threshold, size_t n,              \
                                        float *scores, float *probs)                               \
    {                                                                                              \
        mask(keys, threshold, n, scores, probs);                                                   \
    }                                                                                              \
    attribute static double surprise_##suffix(const float *scores, const float *probs, size_t n,   \
                                              float shift)                                         \
    {                                                                                              \
        return surprise(scores, probs, n, shift);                                                  \
    }                                                                                              \
    attribute static size_t moments_##suffix(const float *x, size_t n, float shift, double *sum_,  \
                                             double *squares)                                      \
    {                                                                                              \
        return moments(x, n, shift, sum_, squares);                                                \
    }                                                                                              \
    attribute static void subtract_##suffix(float *x, size_t n, float a, float b)                  \
    {                                                                                              \
        subtract(x, n, a, b);                                                                      \
    }                                                                                              \
    attribute static void divide_##suffix(float *x, size_t n, float t)                             \
    {                                                                                              \
        divide(x, n, t);                                                                           \
    }                                                                                              \
    attribute static void make_finite_##suffix(float *x, size_t n)                                 \
    {                                                                                              \
        make_finite(x, n);                                                                         \
    }                                                                                              \
    attribute static void distances_##suffix(const float *x, size_t n, float shift, float *out)    \
    {                                                                                              \
        distances(x, n, shift, out);                                                               \
    }                                                                                              \
    attribute static void allow_##suffix(const uint8_t *allowed, size_t n, float *scores)          \
    {                                                                                              \
        allow(allowed, n, scores);                                                                 \
    }                                                                                              \
    scope const wte__passes wte__passes_##suffix = {                                               \
        sum_##suffix,    count_ge_##suffix,    weigh_##suffix,     ends_##suffix,                  \
        mask_##suffix,   surprise_##suffix,    moments_##suffix,   subtract_##suffix,              \
        divide_##suffix, make_finite_##suffix, distances_##suffix, allow_##suffix};

COMPILE(c, , )
#if defined(__x86_64__)
COMPILE(avx2, static, __attribute__((target("avx2"))))
#endif

const wte__passes *wte__passes_of_machine(void)
{
#if defined(__x86_64__)
    if (wte__random_has_vectors())
        return &wte__passes_avx2;
#endif
    return &wte__passes_c;
}
