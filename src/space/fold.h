/* SPDX-License-Identifier: MIT */
/** space/fold.h - words without regard to case, as gensim's evaluations see them */
#ifndef WTE_SPACE_FOLD_H
#define WTE_SPACE_FOLD_H
#include "space/space_internal.h"

/** Upper-case UTF-8 as Python's str.upper: full mappings ("ß" becomes "SS"), no locale. Bytes that
 * are no UTF-8 stay.
 *   out  [3 * n]
 * Returns the length of the result. */
size_t wte__fold_upper(const char *s, size_t n, char *out);

/** The first n_rows words of a space, of words that fold to the same the first. */
typedef struct wte__folded {
    const wte_space *space;
    bool case_sensitive, prefix_space;
    uint32_t n_rows;
    uint32_t *slots; /* [mask + 1] row, UINT32_MAX when free */
    size_t mask;
    uint32_t *first; /* [n_rows] the row that stands for each row's word */
    char *text;      /* folded words one after another */
    uint64_t *ends;  /* [n_rows + 1] */
    char *buffer;    /* [3 * the longest word that was asked for + 1] */
    size_t buffer_size;
} wte__folded;

/** Errors: E_NOMEM. */
wte_status wte__folded_init(wte__folded *f, const wte_space *space, uint32_t n_rows,
                            bool case_sensitive, wte_error *err);
void wte__folded_free(wte__folded *f);
/** Give the row that stands for a word in `row`, UINT32_MAX if there is none; with prefix_space,
 * for the word with a space before it. Errors: E_NOMEM. */
wte_status wte__folded_find(wte__folded *f, const char *word, size_t n, uint32_t *row,
                            wte_error *err);
#endif
