/* SPDX-License-Identifier: MIT */
/** network/onednn.h - products of many rows by oneDNN, where the processor multiplies bfloat16
 *
 * One object belongs to the scratch of a session. Worker 0 prepares a product, and after a barrier
 * every worker multiplies blocks of it. */
#ifndef WTE_ONEDNN_H
#define WTE_ONEDNN_H
#include "network/network_internal.h"

enum {
    WTE__ONEDNN_COLUMNS = 64, /* of a block */
    WTE__ONEDNN_ROWS = 256,   /* of a group at most */
    WTE__ONEDNN_STEP = 16     /* a group has a multiple of these rows, the last of them zeros */
};

typedef struct wte__onednn wte__onednn;

/** Types of weights, as bits 1 << type, whose products should be tried with oneDNN: BF16 where the
 * processor multiplies it (AVX512_BF16, which all with AMX have). WTE_ONEDNN in the environment
 * overrules this: 0 is none, 1 is BF16 and F32, a path (with a '/') the same with that library.
 * Loads nothing. */
unsigned wte__onednn_types(void);

/** Make an object; the library is loaded when a product is first prepared. NULL: no memory. */
wte__onednn *wte__onednn_new(unsigned n_workers);
void wte__onednn_free(wte__onednn *o);

/** Worker 0, while nobody multiplies: get ready to multiply groups of n_rows rows (a multiple of
 * WTE__ONEDNN_STEP) with a matrix of one of the types, aligned to its numbers. What a shape needs
 * is made once and kept. */
void wte__onednn_prepare(wte__onednn *o, const wte__linear *linear, size_t n_rows);
/** After a barrier: whether that worked. It does not where the library is missing, is of another
 * major version than the headers, cannot multiply the type on this processor, or has no memory. */
bool wte__onednn_ready(const wte__onednn *o);

/** Between these two the calling thread's OpenMP has one thread. */
int wte__onednn_begin(void);
void wte__onednn_end(int before);

/** Multiply a group of rows with a block of columns.
 *   x      [n_rows, n_in] of the type of the weights
 *   column a multiple of WTE__ONEDNN_COLUMNS: columns to the next, or to the end
 *   sums  [n_rows, columns of the block]
 * False: oneDNN failed, and the sums are worth nothing. */
bool wte__onednn_multiply(const wte__onednn *o, unsigned worker, const wte__linear *linear,
                          const void *x, size_t column, float *sums);
#endif
