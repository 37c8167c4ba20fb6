/* SPDX-License-Identifier: MIT */
/** space/backing.h - what a space stands on, and how one is put together */
#ifndef WTE_SPACE_BACKING_H
#define WTE_SPACE_BACKING_H
#include "space/space_internal.h"

enum { WTE__MAX_BLOCKS = 16 };

/** Everything that goes when the space goes. */
struct wte__backing {
    wte__map source;               /* the user's file, where rows are read from it */
    wte__map index;                /* the index, or a layout file */
    void *blocks[WTE__MAX_BLOCKS]; /* from wte__calloc and friends */
    size_t n_blocks;
    const float *file_baseline; /* a baseline inside a map: not to be freed */
};

/** Make an empty space whose strings are "". NULL if there is no memory. */
wte_space *wte__space_alloc(void);
/** Give a block to the space, which frees it. NULL is ignored. */
void wte__space_own(wte_space *space, void *block);
/** Copy a string into the space. NULL if there is no memory. */
const char *wte__space_string(wte_space *space, const char *s);

/** Compute what a space still lacks of norms, hash and the counts of duplicates and rows without
 * direction. rows, words and word_offsets (checked) must be there. Errors: E_NOMEM. */
wte_status wte__space_finish(wte_space *space, unsigned n_threads, wte_error *err);

/** Number of slots of the hash of n words: a power of two, at most three quarters full. */
size_t wte__hash_slots(uint32_t n);
/** Build the hash of n words and mark duplicates.
 *   hashes  [n] low halves of the words' wte__hash; others of them, if the seed has to change
 *   table   [wte__hash_slots(n)], written
 *   seed    receives the seed of the table's hashes: 0, or another where words crowd
 *   norms   [n] or NULL; duplicates get 0
 *   scales  [n] or NULL; duplicates get 0
 *   n_duplicates  receives how many rows have a word that an earlier row has
 * The same table for any number of threads. Errors: E_NOMEM, E_FORMAT (words that crowd whatever
 * the seed). */
wte_status wte__hash_build(const char *words, const uint64_t *word_offsets, uint32_t *hashes,
                           uint32_t n, unsigned n_threads, uint32_t *table, uint64_t *seed,
                           float *norms, float *scales, uint32_t *n_duplicates, wte_error *err);
/** Find a word's row, UINT32_MAX if it is not there. Looks at nothing outside the arrays, whatever
 * they hold. */
uint32_t wte__hash_find(const wte_space *space, const char *word, size_t len);

/** Length of a row, 0 if it has no direction: its square root is 0, infinite or NaN. */
float wte__row_norm(const wte__rows *r, size_t i);

/** Write a word for a message: cut when long, bytes that are no text as '?'. */
const char *wte__show_word(const char *word, size_t len, char *out, size_t size);
/** Write "'a', 'b'" of words like one that is not there, "" if there are none. */
const char *wte__show_suggestions(const wte_space *space, const char *word, size_t len, char *out,
                                  size_t size);
#endif
