/* SPDX-License-Identifier: MIT */
/** token/gpt2_merge.h - byte-pair encoding of one piece of text
 *
 * Again and again the adjacent pair with the lowest rank, the leftmost of equals, becomes one
 * token, until no pair is in the list of merges. */
#ifndef WTE_TOKEN_GPT2_MERGE_H
#define WTE_TOKEN_GPT2_MERGE_H
#include "token/gpt2_internal.h"

#define WTE__GPT2_FREE UINT64_MAX /* a slot without a merge */

enum {
    WTE__GPT2_SHORT = 64, /* bytes that wte__gpt2_merge_short() takes */
    WTE__GPT2_WORD = 15   /* bytes that wte__gpt2_merge_words() takes of each */
};

/** A word of 1 to WTE__GPT2_WORD bytes, behind them its length in the last byte. */
typedef struct wte__gpt2_word {
    unsigned char bytes[WTE__GPT2_WORD], length;
} wte__gpt2_word;

/** Memory for long pieces, about 8.3 bytes for each of theirs. Kept from piece to piece. */
typedef struct wte__gpt2_long {
    uint32_t *tokens; /* [n] see gpt2_merge.c */
    uint32_t *tree;   /* ranks, and the least of groups of them */
    size_t capacity;  /* bytes of text that there is room for */
} wte__gpt2_long;

/** What wte__gpt2_merge_long() tells of each merge; `left` and `right` are bytes of the piece, the
 * new token ends at `end`. */
typedef void (*wte__gpt2_tell)(void *data, uint32_t rank, size_t left, size_t right, size_t end);

/** Merge n bytes, 1 to WTE__GPT2_SHORT. ids [n] receives the tokens; returns their number. */
size_t wte__gpt2_merge_short(const wte__gpt2 *g, const char *bytes, size_t n, uint32_t *ids);
/** Merge n words, several at a time, which takes a fraction of the time.
 *   ids  [n][WTE__GPT2_WORD + 1] receives the tokens of each, their number in the last place */
void wte__gpt2_merge_words(const wte__gpt2 *g, const wte__gpt2_word *words, size_t n,
                           uint32_t (*ids)[WTE__GPT2_WORD + 1]);
/** Merge n bytes, at least 1, in n log n steps. The tokens are read with wte__gpt2_next().
 *   tell  is told of each merge, or NULL
 * False if there is no memory. */
bool wte__gpt2_merge_long(const wte__gpt2 *g, wte__gpt2_long *l, const char *bytes, size_t n,
                          wte__gpt2_tell tell, void *data);
/** The token that begins at byte *at of the piece that was merged last, n bytes; moves *at behind
 * it. */
uint32_t wte__gpt2_next(const wte__gpt2_long *l, size_t n, size_t *at);
void wte__gpt2_long_free(wte__gpt2_long *l);

/* ---- looking up pairs ------------------------------------------------------------------------ */

static inline uint64_t wte__gpt2_pair(uint32_t left, uint32_t right)
{
    return (uint64_t)left << WTE__GPT2_TOKEN_BITS | right;
}

static inline uint64_t wte__gpt2_hash(uint64_t pair)
{
    return pair * 0x9E3779B97F4A7C15u;
}

static inline uint64_t wte__gpt2_filter_bit(uint64_t hash)
{
    return hash >> (64 - WTE__GPT2_FILTER_BITS);
}

/** Where the bucket of a hash begins among the slots. */
static inline uint64_t wte__gpt2_bucket(const wte__gpt2 *g, uint64_t hash)
{
    return hash >> 32 & (g->n_slots - 1) & ~(uint64_t)(WTE__GPT2_BUCKET - 1);
}

/** The rank of a pair, or WTE__GPT2_RANKS if it is no merge, which most pairs are not: the filter
 * is small enough to stay near the processor, the slots are not. */
static inline uint32_t wte__gpt2_rank(const wte__gpt2 *g, uint32_t left, uint32_t right)
{
    uint64_t pair = wte__gpt2_pair(left, right), hash = wte__gpt2_hash(pair);
    uint64_t bit = wte__gpt2_filter_bit(hash), i = wte__gpt2_bucket(g, hash);

    if (!(g->filter[bit / 64] >> (bit % 64) & 1))
        return WTE__GPT2_RANKS;
    for (;;) {
        const uint64_t *slots = g->slots + i;
        uint64_t found = WTE__GPT2_FREE;

        for (int k = 0; k < WTE__GPT2_BUCKET; k++)
            found = slots[k] >> 24 == pair ? slots[k] : found;
        if (__builtin_expect(
                slots[WTE__GPT2_BUCKET - 1] == WTE__GPT2_FREE || found != WTE__GPT2_FREE, 1))
            return (uint32_t)(found & WTE__GPT2_RANKS);
        i = (i + WTE__GPT2_BUCKET) & (g->n_slots - 1);
    }
}

/** The id that a merge gives. */
static inline uint32_t wte__gpt2_result(const wte__gpt2 *g, uint32_t rank)
{
    return g->first_result ? g->first_result + rank : g->results[rank];
}

/** Two bytes as a number. */
static inline unsigned wte__gpt2_two(const char *p)
{
    return (unsigned char)p[0] | (unsigned)(unsigned char)p[1] << 8;
}

/** True where some merge joins p[0] and p[1]. */
static inline bool wte__gpt2_is_seam(const wte__gpt2 *g, const char *p)
{
    unsigned two = wte__gpt2_two(p);

    return g->seams[two / 64] >> (two % 64) & 1;
}
#endif
