/* SPDX-License-Identifier: MIT */
/** compare/rdm.h - items as matrices of float64, and the triangle of their pairs */
#ifndef WTE_COMPARE_RDM_H
#define WTE_COMPARE_RDM_H
#include "base/base.h"
#include "wte/compare.h"

/** What messages call the items. Never NULL. */
const char *wte__items_name(const wte_items *items);

/** Check that rows can be compared. Errors: E_SHAPE (empty rows), E_RANGE (fewer than two, all
 * equal, or one that is not finite, by its number). */
wte_status wte__check_varied(const wte_items *items, wte_error *err);

/** Means of the columns: means [dim]. */
void wte__column_means(const wte_items *items, double *means);

/** Widen to float64 with the mean of each column taken away; [n, dim], free with wte__free. NULL
 * where there is no memory. */
double *wte__centred(const wte_items *items);

/** Where the pair i < j of n items stands in an upper triangle. */
static inline size_t wte__pair(size_t n, size_t i, size_t j)
{
    return i * n - i * (i + 1) / 2 + (j - i - 1);
}
#endif
