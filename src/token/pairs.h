/* SPDX-License-Identifier: MIT */
/** token/pairs.h - pieces with their ids, as a file has them, before they become a vocabulary */
#ifndef WTE_TOKEN_PAIRS_H
#define WTE_TOKEN_PAIRS_H
#include "token/json.h"
#include "token/load.h"

typedef struct wte__pairs {
    char *bytes;
    size_t n_bytes, bytes_capacity;
    uint64_t *offsets; /* [n + 1] where each piece begins in bytes */
    uint32_t *ids;     /* [n] */
    size_t n, offsets_capacity, ids_capacity;
    uint32_t max_id;
    bool out_of_order; /* some piece is not at its id */
} wte__pairs;

void wte__pairs_free(wte__pairs *p);
/** A piece and its length. */
const char *wte__pair_text(const wte__pairs *p, size_t i, size_t *len);
/** Add a piece. Errors: E_NOMEM. */
wte_status wte__pairs_add(wte__pairs *p, const char *text, size_t len, uint32_t id,
                          const char *name, wte_error *err);
/** The same, unless it is there. */
wte_status wte__pairs_add_new(wte__pairs *p, const char *text, size_t len, uint32_t id,
                              const char *name, wte_error *err);
/** Read {"piece": id, ...}. Errors: E_NOMEM, E_FORMAT. */
wte_status wte__pairs_read(wte__json *j, wte__pairs *p);

/** Tokens that lie beside a vocabulary, with the rules by which they are found in a text. */
enum {
    WTE__ADDED_SPECIAL = 1,
    WTE__ADDED_LSTRIP = 2,
    WTE__ADDED_RSTRIP = 4,
    WTE__ADDED_WORD = 8,
    WTE__ADDED_NORMAL = 16
};
typedef struct wte__added {
    wte__pairs tokens;
    uint8_t *flags; /* [tokens.n] */
    size_t flags_capacity;
} wte__added;
void wte__added_free(wte__added *added);
/** Add a token; of one that is there the rules are replaced. Errors: E_NOMEM, E_FORMAT (too many,
 * an empty one). */
wte_status wte__added_put(wte__added *added, const char *text, size_t len, uint32_t id,
                          unsigned flags, const char *name, wte_error *err);

/** Put the pieces and the added tokens in the order of their ids and begin a builder with them; the
 * added tokens become special tokens. Errors: as wte__builder_begin(), E_FORMAT (two pieces have
 * one id, too many ids have none). */
wte_status wte__builder_begin_pairs(wte__builder *b, wte_tokenizer_kind kind, const char *name,
                                    const char *source, wte__pairs *p, const wte__added *added,
                                    wte_error *err);

/** Read the tokenizer.json of either family. Errors: E_IO, E_FORMAT, E_NOMEM, E_UNSUPPORTED (a part
 * that would give other ids than are computed here, by name). */
wte_status wte__read_tokenizer_json(wte__builder *b, const char *path, wte_error *err);
#endif
