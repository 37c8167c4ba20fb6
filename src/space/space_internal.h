/* SPDX-License-Identifier: MIT */
/** space/space_internal.h - what a space is made of, for the files of this folder */
#ifndef WTE_SPACE_INTERNAL_H
#define WTE_SPACE_INTERNAL_H
#include <pthread.h>
#include "base/base.h"
#include "wte/similarity.h"
#include "wte/space.h"

/** Rows of numbers somewhere in memory: either at a fixed stride or each at its own offset. */
typedef struct wte__rows {
    const unsigned char *base;
    const uint64_t *offsets; /* [n_rows] bytes from base, or NULL: row i is at base + i * stride */
    size_t stride;           /* bytes */
    wte_dtype dtype;
    uint32_t n_rows;
    size_t dim;
} wte__rows;

/** Where a row begins; at any alignment. */
static inline const void *wte__row(const wte__rows *r, size_t i)
{
    return r->base + (r->offsets ? r->offsets[i] : i * r->stride);
}

/** 8-bit codes of the rows: row i is about scales[i] * codes[i * stride + j]. */
typedef struct wte__codes {
    const int8_t *codes; /* [n_rows, stride], 64 readable bytes behind the last */
    size_t stride;
    const float *scales;    /* [n_rows]; 0 for rows that are never found */
    const float *residuals; /* [n_rows] upper bound of |row - scale * code|, rounded up */
} wte__codes;

enum { WTE__N_BASELINE = 4096 }; /* random pairs whose cosines are kept */

struct wte_space {
    wte_space_info info;
    wte__rows rows;
    wte__codes codes;             /* codes.codes is NULL where there are none */
    const char *words;            /* all words, one after another */
    const uint64_t *word_offsets; /* [n_rows + 1] into words */
    uint64_t words_size;          /* bytes readable at words */
    const uint32_t *hash;         /* [hash_mask + 1] slots: row id, or UINT32_MAX when free */
    uint32_t hash_mask;
    uint64_t hash_seed;
    const float *norms; /* [n_rows] Euclidean lengths, 0 for rows that are never found */
    float *baseline;    /* [n_baseline] ascending cosines of random pairs, NULL until needed */
    size_t n_baseline;
    _Atomic bool unmeasured; /* hash and norms are still to be computed: wte__space_measure() */
    _Atomic bool searched;   /* as it was; the next search has it measured */
    unsigned n_threads;      /* for measuring; 0: one per processor */
    pthread_mutex_t lock;    /* guards the lazy baseline and measuring */
    struct wte__backing *backing; /* what was mapped or allocated, freed with the space */
};

/** Make a space over borrowed arrays as wte_space_new() does, checked likewise, but leave it
 * unmeasured: its rows are read when something first needs them all. Until then the counts of its
 * info are 0, and they stay so. */
wte_status wte__space_new_unmeasured(const char *name, const char *words,
                                     const uint64_t *word_offsets, const void *matrix,
                                     wte_dtype dtype, uint32_t n_rows, size_t dim, size_t stride,
                                     unsigned n_threads, wte_space **out, wte_error *err);
/** Compute hash, norms and duplicates where that has not been done; whoever uses them calls this
 * first. Threads may call it at the same time.
 *   n_threads  0: as the space was told
 * Errors: E_NOMEM; the next call tries again. */
wte_status wte__space_measure(const wte_space *space, unsigned n_threads, wte_error *err);

/** The slot at which a search for a word starts is wte__hash_seeded(word, hash_seed) & hash_mask;
 * probing is linear, over at most WTE__MAX_PROBES slots. A word absent from the table ends at a
 * free slot. Build: rows in ascending order, first one wins. */
enum { WTE__MAX_PROBES = 4096 };

/** Read row i widened to float32 into out [dim]. */
void wte__row_to_f32(const wte__rows *r, size_t i, float *out);
/** Dot product and squared distance of row i with a float32 vector, by the row's type. */
float wte__row_dot(const wte__rows *r, size_t i, const float *y);
float wte__row_sqdist(const wte__rows *r, size_t i, const float *y);
/** Quantise a row with a direction to 8-bit codes; see codes.c.
 *   codes     [dim], in -127..127
 *   scale     receives what one step of a code is worth
 *   residual  receives an upper bound of |x - scale * code| */
void wte__encode(const float *x, size_t dim, int8_t *codes, float *scale, float *residual);
/** Draw the baseline's cosines (fixed seed) into out [WTE__N_BASELINE], ascending; returns how
 * many. */
size_t wte__baseline_sample(const wte_space *space, float *out);
/** Make a space over a float32 matrix [n_rows, dim] that it takes over (freed with wte__free; on
 * failure it stays the caller's), sharing the words, hash and duplicates of `parent`, which must
 * outlive it. */
wte_status wte__space_derive(const wte_space *parent, float *matrix, size_t dim, const char *note,
                             unsigned n_threads, wte_space **out, wte_error *err);
#endif
