/* SPDX-License-Identifier: MIT */
/** wte/bridge.h - which words two vocabularies share
 *
 * A bridge is a list of words with the row that each has in every space, and a ledger of what was
 * lost and why. Words are found by exact bytes, so a GPT-2 token " the" is not the word "the" unless
 * a leading space is asked for. No row is in a bridge twice. A bridge keeps nothing of the spaces it
 * was made from. */
#ifndef WTE_BRIDGE_H
#define WTE_BRIDGE_H
#include "wte/space.h"
WTE_BEGIN_DECLS

typedef struct wte_bridge wte_bridge;

enum { WTE_BRIDGE_MAX_SPACES = 64 };
/** The id of a word that is no row of a space, but was let in to be pooled from its pieces. */
#define WTE_BRIDGE_PIECES UINT32_MAX

/** Options; start from WTE_BRIDGE_DEFAULTS. */
typedef struct wte_bridge_options {
    size_t length;           /**< characters (code points) of the word; 0: any */
    size_t limit;            /**< matches, the first in A's order; 0: all */
    const int *prefix_space; /**< [n] not 0: the space's words are those with a space in front, and
                                are known without it; NULL: none */
    int any_case;      /**< also "Paris" for "paris": exact first, then the row that comes first; of
                     several spellings in A the exact ones, else the one that comes first. Case is
                     that of Python's str.upper */
    const int *pooled; /**< [n] not 0: a word that is no row of that space keeps its place, with the
                          id WTE_BRIDGE_PIECES. Not of A; NULL: none */
    unsigned n_threads; /**< 0: one per processor. Results never depend on it */
} wte_bridge_options;

#define WTE_BRIDGE_DEFAULTS                                                                        \
    {                                                                                              \
        0, 0, NULL, 0, NULL, 0                                                                     \
    }

enum { WTE_LEDGER_EXAMPLES = 8 };

/** What became of words of A. Each row of A counts in one line; a bridge that was read from a file
 * knows only the rows it has. */
typedef struct wte_ledger_line {
    const char *why; /**< "matched", "matched in other case", "ambiguous: several spellings, the
                        first taken", "matched by its pieces"; "no space in front", "empty", "not
                        UTF-8", "other length", "not in NAME", "duplicate in NAME", "another spelling
                        is matched", "over the limit" */
    int matched;     /**< these words are in the bridge */
    uint64_t count;
    const char *examples[WTE_LEDGER_EXAMPLES]; /**< the first; UTF-8, long ones cut, what is no
                                                  character as U+FFFD */
    size_t n_examples;
} wte_ledger_line;

/** Match all words of spaces[0] (A), in its order, with the other spaces. The words of the smallest
 * space are hashed and those of the others looked up, once each.
 *   spaces  [n] n >= 2
 *   out     free with wte_bridge_free()
 * The notebook's rule is {.length = 6, .limit = 100}. No match at all is a bridge of length 0.
 * Errors: E_RANGE (n), E_NOMEM. */
WTE_API wte_status wte_bridge_match(const wte_space *const *spaces, size_t n,
                                    const wte_bridge_options *options, wte_bridge **out,
                                    wte_error *err);
WTE_API void wte_bridge_free(wte_bridge *bridge);
WTE_API size_t wte_bridge_length(const wte_bridge *bridge);
WTE_API size_t wte_bridge_spaces(const wte_bridge *bridge);
/** Word i as A spells it, its bytes, not terminated; NULL if `i` is out of range. */
WTE_API const char *wte_bridge_word(const wte_bridge *bridge, size_t i, size_t *len);
/** Its row in space s; WTE_BRIDGE_PIECES where there is none. */
WTE_API uint32_t wte_bridge_id(const wte_bridge *bridge, size_t i, size_t s);
/** The ledger's lines, "matched" first, then those with a count; returns how many. They live as long
 * as the bridge. */
WTE_API size_t wte_bridge_ledger(const wte_bridge *bridge, const wte_ledger_line **lines);
/** Write as TSV: the word, its id in each space ("-" for pieces); a header with the spaces' names
 * and sizes. Tabs, newlines and backslashes of words are written as \t, \n, \r, \\. Errors: E_IO. */
WTE_API wte_status wte_bridge_save(const wte_bridge *bridge, const char *path, wte_error *err);
/** Read it back. Each row's word is compared with the file's, in any case and with or without a
 * space in front. Errors: E_IO, E_FORMAT (err->offset is the byte of the line), E_SHAPE (spaces that
 * are not those it was made for), E_NOMEM. */
WTE_API wte_status wte_bridge_load(const char *path, const wte_space *const *spaces, size_t n,
                                   wte_bridge **out, wte_error *err);

WTE_END_DECLS
#endif
