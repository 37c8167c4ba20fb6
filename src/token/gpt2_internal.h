/* SPDX-License-Identifier: MIT */
/** token/gpt2_internal.h - the tables of GPT-2's byte-pair encoding
 *
 * All are flat arrays without pointers inside, little-endian numbers, so that they can be built in
 * memory or mapped from a file. gpt2_tables.c builds and checks them; encoding only reads them. */
#ifndef WTE_TOKEN_GPT2_INTERNAL_H
#define WTE_TOKEN_GPT2_INTERNAL_H
#include "token/token_internal.h"

enum {
    WTE__GPT2_TOKEN_BITS = 20, /* ids are below 2^20 - 1, ranks below 2^24 - 1 */
    WTE__GPT2_IDS = (1 << WTE__GPT2_TOKEN_BITS) - 1,
    WTE__GPT2_RANKS = (1 << 24) - 1,
    WTE__GPT2_BUCKET = 4,       /* slots that are looked at together */
    WTE__GPT2_FILTER_BITS = 19, /* log2 of the bits of the filter of pairs */
    WTE__GPT2_FILTER_WORDS = (1 << WTE__GPT2_FILTER_BITS) / 64
};

typedef struct wte__gpt2 {
    const uint64_t *slots;      /* [n_slots] left << 44 | right << 24 | rank, or UINT64_MAX: free */
    const uint64_t *filter;     /* [WTE__GPT2_FILTER_WORDS] a bit for each hash of a merged pair */
    const uint32_t *results;    /* [n_merges] id that a merge gives, by rank */
    const uint32_t *byte_ranks; /* [65536] rank of the pair of bytes first + 256 * second, or
                                   UINT32_MAX where that is no merge */
    const uint64_t *seams;      /* [1024] bit first + 256 * second: some merge joins these bytes */
    const uint32_t *byte_ids;   /* [256] tokens of single bytes */
    uint64_t n_slots;           /* a power of two, more than n_merges */
    uint32_t n_merges;
    uint32_t max_piece;    /* bytes of the longest piece */
    uint32_t first_result; /* where results[i] is first_result + i, else 0; attaching finds out */
    void *owned;           /* one block that holds all the arrays, or NULL: they are borrowed */
} wte__gpt2;

/** Take tables that were built before and are kept elsewhere, a mapped file for one. The vocabulary
 * (t->piece) is already there. Every number is checked, so that no table can lead outside another.
 *   tables  copied; its arrays are borrowed and must outlive t. `owned` is ignored.
 * Fills t->ops, t->family, t->info.kind and t->info.n_merges. Errors: E_NOMEM, E_FORMAT. */
wte_status wte__gpt2_attach(wte_tokenizer *t, const wte__gpt2 *tables, wte_error *err);

extern const wte__family_ops wte__gpt2_ops; /* gpt2.c */
void wte__gpt2_free(void *family);
/** wte__family_ops.decode of GPT-2. */
wte_status wte__gpt2_decode(const wte_tokenizer *t, const uint32_t *ids, size_t n, unsigned flags,
                            char **out, size_t *len, size_t *capacity, wte_error *err);
#endif
