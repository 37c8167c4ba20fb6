/* SPDX-License-Identifier: MIT */
/** compare/bridge.h - what a bridge is made of, and words as a bridge knows them */
#ifndef WTE_COMPARE_BRIDGE_H
#define WTE_COMPARE_BRIDGE_H
#include "base/base.h"
#include "wte/bridge.h"

/** What is kept of a space: enough to know it again. */
typedef struct wte__bridge_space {
    char *name;
    uint32_t n_rows;
    size_t dim;
} wte__bridge_space;

struct wte_bridge {
    size_t n, n_spaces;
    wte__bridge_space *spaces; /* [n_spaces] */
    uint32_t *ids;             /* [n, n_spaces] */
    char *text;                /* the words, one after another */
    uint64_t *ends;            /* [n + 1] word i is at ends[i] to ends[i + 1] */
    size_t ids_capacity, text_capacity, ends_capacity;
    wte_ledger_line *lines; /* [n_lines], their strings owned */
    size_t n_lines;
};

/** Make an empty bridge. Errors: E_RANGE (n), E_NOMEM. */
wte_status wte__bridge_new(const wte_space *const *spaces, size_t n, wte_bridge **out,
                           wte_error *err);
/** Add a word with its ids [n_spaces]. False without memory. */
bool wte__bridge_add(wte_bridge *bridge, const char *word, size_t len, const uint32_t *ids);
/** Count a word in a line of the ledger. False without memory. */
bool wte__ledger_count(wte_ledger_line *line, const char *word, size_t len);

/** What a space is called where it has no name. */
const char *wte__bridge_name(const wte_space *space);

/** Memory for folded words that one thread uses. */
typedef struct wte__folding {
    char *text;
    size_t capacity;
} wte__folding;
/** Upper-case a word; NULL without memory. The result stays until the next call. */
const char *wte__folded_word(wte__folding *f, const char *word, size_t len, size_t *folded_len);
#endif
