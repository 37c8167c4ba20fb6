/* SPDX-License-Identifier: MIT */
/** generate/passes.h - loops over all scores, compiled for any machine and for AVX2
 *
 * The bits are the same in both. Sums are in float64, in lanes of fixed order. */
#ifndef WTE_PASSES_H
#define WTE_PASSES_H
#include <stddef.h>
#include <stdint.h>

typedef struct wte__passes {
    /** Sum of x[n]. */
    double (*sum)(const float *x, size_t n);
    /** How many are >= at. */
    size_t (*count_ge)(const float *x, size_t n, float at);
    /** Number of keys in [low, high), and the sum of their weights, which is that number where
     * weights is NULL. */
    double (*weigh)(const float *keys, const float *weights, size_t n, float low, float high,
                    size_t *count);
    /** Smallest above -INFINITY, and largest; INFINITY and -INFINITY if there are none. */
    void (*ends)(const float *x, size_t n, float *smallest, float *largest);
    /** Rule out where keys < threshold: scores become -INFINITY, probs (or NULL) 0. keys may be
     * either. */
    void (*mask)(const float *keys, float threshold, size_t n, float *scores, float *probs);
    /** Sum of p * (shift - score) where the score is above -INFINITY; p is 0 elsewhere. */
    double (*surprise)(const float *scores, const float *probs, size_t n, float shift);
    /** Sum and sum of squares of x - shift where x > -INFINITY; gives how many. */
    size_t (*moments)(const float *x, size_t n, float shift, double *sum, double *squares);
    /** In place: (x - a) - b; x / t; the nearest finite number, 0 for NaN. */
    void (*subtract)(float *x, size_t n, float a, float b);
    void (*divide)(float *x, size_t n, float t);
    void (*make_finite)(float *x, size_t n);
    /** out = -|shift - x|. */
    void (*distances)(const float *x, size_t n, float shift, float *out);
    /** -INFINITY where allowed is 0. */
    void (*allow)(const uint8_t *allowed, size_t n, float *scores);
} wte__passes;

const wte__passes *wte__passes_of_machine(void);
/** The same in plain C. */
extern const wte__passes wte__passes_c;
#endif
