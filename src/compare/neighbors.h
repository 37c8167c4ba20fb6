/* SPDX-License-Identifier: MIT */
/** compare/neighbors.h - the nearest of every item */
#ifndef WTE_COMPARE_NEIGHBORS_H
#define WTE_COMPARE_NEIGHBORS_H
#include "base/base.h"
#include "wte/compare.h"

/** Find the k items of largest cosine with each, itself left out; ties by lower number.
 *   ids  [n] the items that take part, or NULL: the first n. Results are places in this list
 *   out  [n, k] best first
 * Memory for the items once and n k numbers: the cosines are made and forgotten in tiles. Errors:
 * E_RANGE (k; an item that is zero or not finite, by its number), E_NOMEM. */
wte_status wte__neighbor_lists(const wte_items *items, const uint32_t *ids, size_t n, size_t k,
                               unsigned n_threads, uint32_t *out, wte_error *err);
#endif
