/* SPDX-License-Identifier: MIT */
/** space/once.h - one search in a space that nobody has measured */
#ifndef WTE_SPACE_ONCE_H
#define WTE_SPACE_ONCE_H
#include "space/backing.h"
#include "space/search.h"

/** Find the rows nearest to a query by reading all rows once, without measuring the space.
 *   query     [dim]
 *   found     an empty list for as many rows as wanted; receives them, best first
 *   answered  false: the answer needs a measured space, and what is in `found` says nothing
 * Errors: as wte_nearest(). */
wte_status wte__nearest_once(const wte_space *space, const float *query,
                             const wte_search_options *options, wte__topk *found, bool *answered,
                             wte_error *err);
#endif
