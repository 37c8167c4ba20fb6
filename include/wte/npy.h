/* SPDX-License-Identifier: MIT */
/** wte/npy.h - arrays to and from numpy's .npy files (format version 1.0) */
#ifndef WTE_NPY_H
#define WTE_NPY_H
#include "wte/status.h"
WTE_BEGIN_DECLS

/** Write a C-ordered array, atomically.
 *   type   numpy's type string: "<f4", "<f8", "<u4", "<i8", "|u1"
 *   shape  [n_dims], n_dims at most 8
 *   data   the product of shape elements
 * Errors: E_IO, E_RANGE (unknown type). */
WTE_API wte_status wte_npy_write(const char *path, const char *type, const size_t *shape,
                                 size_t n_dims, const void *data, wte_error *err);

WTE_END_DECLS
#endif
