/* SPDX-License-Identifier: MIT */
/** compare/rank.h - ranks, ties and concordant pairs of long lists, each entry counted as often as
 * its weight says */
#ifndef WTE_COMPARE_RANK_H
#define WTE_COMPARE_RANK_H
#include "base/base.h"

/** A list in order. */
typedef struct wte__ranking {
    size_t m;
    uint32_t *order; /* [m] places, ascending by value, then by place */
    uint32_t *group; /* [m] of each place: how many smaller values there are, equal ones as one */
} wte__ranking;

/** Sort a list. x [m], none a NaN; m below 2^32. Errors: E_NOMEM, E_RANGE. */
wte_status wte__ranking_init(wte__ranking *r, const double *x, size_t m, wte_error *err);
void wte__ranking_free(wte__ranking *r);

/** Mid-ranks from 1: equal values share the mean of their ranks.
 *   weights  [m], or NULL: each entry once;  out  [m], by place
 * Entries of weight 0 have no rank of their own; what is written for them does not matter. */
void wte__weighted_ranks(const wte__ranking *r, const uint32_t *weights, double *out);

/** An entry of two lists at once. */
typedef struct wte__entry {
    uint32_t a, b, weight;
} wte__entry;

/** Kendall's counts of two lists (Knight 1966). */
typedef struct wte__concordance {
    double score;   /* concordant less discordant pairs of entries */
    double pairs;   /* of all entries */
    double tied[2]; /* pairs that are equal in a, in b */
} wte__concordance;

/** Count.
 *   entries  [n] ascending by a; destroyed
 *   scratch  [n] */
wte__concordance wte__count_concordance(wte__entry *entries, wte__entry *scratch, size_t n);
#endif
