/* SPDX-License-Identifier: MIT */
/** compare/comparison.h - one number for how alike two triangles are, for all items or a sample
 *
 * In a sample with replacement item i is there counts[i] times, and the pair (i, j) counts[i] *
 * counts[j] times; pairs of an item with itself are left out. */
#ifndef WTE_COMPARE_COMPARISON_H
#define WTE_COMPARE_COMPARISON_H
#include "compare/rank.h"
#include "wte/compare.h"

enum { WTE__MAX_NUISANCES = 16, WTE__MAX_LISTS = 2 + WTE__MAX_NUISANCES };

/** Two lists, and those that are regressed out of both. Lists are borrowed. */
typedef struct wte__comparison {
    wte_comparator comparator;
    size_t n, m;                           /* items (0: just lists), entries */
    size_t n_lists;                        /* 2, or more: partial, of Pearson and Spearman */
    const double *lists[WTE__MAX_LISTS];   /* [m] each */
    double shift[WTE__MAX_LISTS];          /* about the mean, so that sums of squares are exact */
    double scale[WTE__MAX_LISTS];          /* standard deviation of all entries */
    wte__ranking rankings[WTE__MAX_LISTS]; /* where the comparator needs them */
    uint32_t *first, *second; /* [m] items of each entry, where ranks are of a sample */
} wte__comparison;

/** Prepare. n is 0 for lists that are no triangles. Errors: E_NOMEM, E_RANGE. */
wte_status wte__comparison_init(wte__comparison *c, wte_comparator comparator, size_t n, size_t m,
                                const double *const *lists, size_t n_lists, wte_error *err);
void wte__comparison_free(wte__comparison *c);

/** Memory that a thread needs beside the comparison. */
typedef struct wte__comparing {
    uint32_t *weights;   /* [m] */
    double *ranks;       /* [n_lists, m] */
    wte__entry *entries; /* [2, m] */
    double *shares;      /* [n] counts as they are multiplied */
    double *means;       /* [2, n] */
} wte__comparing;
wte_status wte__comparing_init(wte__comparing *s, const wte__comparison *c, wte_error *err);
void wte__comparing_free(wte__comparing *s);

/** Compare. counts [n], or NULL: each item once. False where it is not defined: fewer than three
 * different items, or a list that is constant. */
bool wte__compare(const wte__comparison *c, const uint32_t *counts, wte__comparing *s, double *out);

/** Kendall's counts, of a comparison by tau; and either tau of them, false where it is not
 * defined. */
wte__concordance wte__kendall(const wte__comparison *c, const uint32_t *counts, wte__comparing *s);
bool wte__tau(const wte__concordance *counted, bool tau_b, double *out);

/** Whether all numbers are the same within `rounding`. */
bool wte__is_constant(const double *x, size_t m, double rounding);

/** The matrix whose inner products are the whitened cosine: -d/2 with the means of rows and columns
 * taken away. out [n, n] */
void wte__double_centre(const double *triangle, size_t n, double *out);
#endif
