/* SPDX-License-Identifier: MIT */
/** space/layout.h - wte's own mapped layout: which arrays, where; docs/layout.md is its reference
 */
#ifndef WTE_SPACE_LAYOUT_H
#define WTE_SPACE_LAYOUT_H
#include "format/safetensors.h"
#include "space/backing.h"

/** The arrays in the order of the file. */
typedef enum wte__part {
    WTE__VECTORS,
    WTE__ROW_OFFSETS,
    WTE__WORD_OFFSETS,
    WTE__SCALES,
    WTE__RESIDUALS,
    WTE__NORMS,
    WTE__HASH,
    WTE__BASELINE,
    WTE__PADDING,
    WTE__CODES,
    WTE__WORDS,
    WTE__N_PARTS
} wte__part;

/** A file to be written. Only the size of the words may be unknown at first: they come last. */
typedef struct wte__layout {
    uint64_t data_start;
    wte__tensor parts[WTE__N_PARTS]; /* begin counts from data_start; size 0: left out */
} wte__layout;

/** What goes into a file besides norms, hash, baseline and words. */
enum { WTE__KEEP_ROWS = 1, WTE__KEEP_OFFSETS = 2, WTE__KEEP_CODES = 4 };

/** Bytes from one row to the next in `vectors`: a multiple of 64. */
size_t wte__layout_stride(wte_dtype dtype, size_t dim);
/** Lay out everything but the words. False if it does not fit into 2^62 bytes. */
bool wte__layout_plan(wte__layout *layout, uint32_t n_rows, size_t dim, wte_dtype dtype,
                      unsigned keep, uint64_t data_start);
/** The words' bytes in the file, which are at least 64. */
void wte__layout_set_words(wte__layout *layout, uint64_t words_size);
/** Where a part begins in the file. */
static inline uint64_t wte__layout_place(const wte__layout *layout, wte__part part)
{
    return layout->data_start + layout->parts[part].begin;
}
/** Bytes of the whole file. */
uint64_t wte__layout_size(const wte__layout *layout);

/** Point a space to the arrays of a mapped file and check their shapes and offsets. What is not in
 * the file stays NULL.
 *   source_size  bytes of the file that row offsets point into, 0 if there can be none
 * Errors: E_FORMAT. */
wte_status wte__layout_bind(wte_space *space, const unsigned char *data, const char *path,
                            const wte__safetensors *st, const unsigned char *source,
                            uint64_t source_size, wte_error *err);
#endif
