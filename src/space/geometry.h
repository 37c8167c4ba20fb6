/* SPDX-License-Identifier: MIT */
/** space/geometry.h - what the geometry files share */
#ifndef WTE_SPACE_GEOMETRY_H
#define WTE_SPACE_GEOMETRY_H
#include "space/space_internal.h"

/** Dot product and distances of two float32 vectors, accumulated in float64 in a fixed order. */
double wte__dot_f64(const float *x, const float *y, size_t n);
double wte__sqdist_f64(const float *x, const float *y, size_t n);
double wte__l1dist_f64(const float *x, const float *y, size_t n);

/** Widen numbers from..from + n of row i into out [n]. */
void wte__read_piece(const wte__rows *rows, size_t i, size_t from, size_t n, float *out);

/** Check that every id is a row. Errors: E_RANGE, which names the first that is not. */
wte_status wte__check_ids(const wte_space *space, const uint32_t *ids, size_t n, wte_error *err);

/** Euclidean length of any row in float64; other than wte_space_norm() also of rows that a search
 * never finds. 0 or not finite: the row has no direction. */
double wte__row_length(const wte_space *space, uint32_t id);

/** Fill out [dim] with the row scaled to length 1. Errors: E_RANGE (no direction). */
wte_status wte__unit_row(const wte_space *space, uint32_t id, float *out, wte_error *err);
#endif
