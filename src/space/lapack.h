/* SPDX-License-Identifier: MIT */
/** space/lapack.h - the few routines of BLAS and LAPACK that spaces and comparisons need */
#ifndef WTE_SPACE_LAPACK_H
#define WTE_SPACE_LAPACK_H
#include "base/base.h"

/** Load the libraries, once per process. Errors: E_UNSUPPORTED, which names what to install. */
wte_status wte__lapack_load(wte_error *err);

/** Add the products of rows to a symmetric matrix: c += sum of x_r x_r^T. Loaded before.
 *   x  [n, dim]
 *   c  [dim, dim], of which only c[i * dim + j] with i <= j is touched
 * One thread; several threads may call it with different matrices. */
void wte__rank_k_update(const double *x, size_t n, size_t dim, double *c);

/** Find the d largest eigenvalues of a symmetric matrix with their eigenvectors. Loaded before.
 *   c        [dim, dim], c[i * dim + j] with i <= j; destroyed
 *   values   [dim], of which the first d are written, largest first
 *   vectors  [d, dim] rows of length 1
 * Errors: E_NOMEM, E_RANGE (dim is too large, or the iteration does not converge). */
wte_status wte__eigen(double *c, size_t dim, size_t d, double *values, double *vectors,
                      wte_error *err);

/** Find singular values, and the left singular vectors. Loaded before.
 *   x       [n, k]; destroyed
 *   values  [min(n, k)], largest first
 *   left    [n, min(n, k)], a vector in each column, or NULL
 * Errors: E_NOMEM, E_RANGE (the shape is too large, or the iteration does not converge). */
wte_status wte__singular(double *x, size_t n, size_t k, double *values, double *left,
                         wte_error *err);
#endif
