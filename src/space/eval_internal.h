/* SPDX-License-Identifier: MIT */
/** space/eval_internal.h - what the two evaluations share */
#ifndef WTE_SPACE_EVAL_INTERNAL_H
#define WTE_SPACE_EVAL_INTERNAL_H
#include "base/base.h"

/** Lines of a mapped file, without "\n" or "\r\n". */
typedef struct wte__lines {
    const char *path;
    const char *next, *end;
    size_t number; /* of the line read last, from 1 */
} wte__lines;

/** Begin before the first line; a byte order mark is passed over. */
void wte__lines_init(wte__lines *l, const char *path, const wte__map *map);
/** Read the next line; false at the end. Errors: E_FORMAT, a line that is no UTF-8. */
wte_status wte__lines_next(wte__lines *l, const char **line, size_t *n, bool *more, wte_error *err);

/** Take the next word off a line: characters up to the next white space, as Python's str.split.
 * Returns its length, 0 if there is none. */
size_t wte__next_word(const char **line, size_t *n, const char **word);

/** Two-sided p-value of a correlation r of n pairs under independence: Student's t with n - 2
 * degrees of freedom. NaN if n is below 3 or r is NaN. */
double wte__correlation_p(double r, size_t n);
/** Pearson's correlation, NaN if one side is constant. */
double wte__pearson(const double *x, const double *y, size_t n);
/** A value and where it came from. */
typedef struct wte__placed {
    double value;
    size_t place;
} wte__placed;
/** Give each value its rank from 1, ties the mean of theirs.
 *   scratch, ranks  [n] */
void wte__mid_ranks(const double *x, size_t n, wte__placed *scratch, double *ranks);
#endif
