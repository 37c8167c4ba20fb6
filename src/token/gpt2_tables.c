/* SPDX-License-Identifier: MIT */
/* gpt2_tables.c - the tables of byte-pair encoding: made from merges, or taken as they are
 *
 * `slots` says which rank a pair of tokens has: open addressing, at most half full, 8 bytes a slot,
 * so that 50,000 merges take 1 MB. Four slots are a bucket, filled from its first on; a search goes
 * on behind a bucket only if its last slot is taken. `filter`, 64 KB, has a bit for each hash: most
 * pairs that are asked about are no merge, and need no look at the slots, which are far away in the
 * memory. The first question about each pre-token is about pairs of bytes: `byte_ranks`, a plain
 * table. Two bytes that no merge puts side by side never end up in one token, whatever surrounds
 * them: `seams` has a bit for each of the 65536 pairs. Each adjacency inside a token was the seam
 * of some merge, so the seams of all merges give the table.
 *
 * They lie in one block, or wherever the caller keeps them. A file that was mapped may hold
 * anything: what is checked is that no number leads out of the table that it points into, that
 * every token is as long as its parts, and that every search ends. Whether the merges are the right
 * ones is for the owner of the file to know. */
#include "token/gpt2_internal.h"
#include "token/gpt2_merge.h"

enum { LARGE_PAGE = 2 * 1024 * 1024 };

/* What merging asks of a piece, close together. */
typedef struct edges {
    uint8_t first, last; /* bytes */
    uint16_t length;
} edges;

/* The arrays while they are filled. */
typedef struct building {
    uint64_t *slots, *filter, *seams;
    uint32_t *results, *byte_ranks, *byte_ids;
} building;

/* The edges of all pieces, and the tokens of single bytes. */
static wte_status look_at_pieces(wte__gpt2 *g, building *b, const wte__vocab *v, edges *out,
                                 wte_error *err)
{
    for (uint32_t i = 0; i < v->n; i++) {
        const char *piece = v->bytes + v->offsets[i];
        uint64_t length = v->offsets[i + 1] - v->offsets[i];

        if (!length)
            continue;
        if (length > UINT16_MAX)
            return wte__fail(err, WTE_E_FORMAT, "token %u has %llu bytes, expected at most %d", i,
                             (unsigned long long)length, UINT16_MAX);
        if (length > g->max_piece)
            g->max_piece = (uint32_t)length;
        out[i].first = (uint8_t)piece[0];
        out[i].last = (uint8_t)piece[length - 1];
        out[i].length = (uint16_t)length;
        if (length == 1 && b->byte_ids[out[i].first] == UINT32_MAX)
            b->byte_ids[out[i].first] = i;
    }
    for (unsigned c = 0; c < 256; c++)
        if (b->byte_ids[c] == UINT32_MAX)
            return wte__fail(err, WTE_E_FORMAT, "no token for the byte 0x%02X", c);
    return WTE_OK;
}

/* The first free slot from the bucket of a hash on. */
static uint64_t free_slot(const wte__gpt2 *g, uint64_t hash)
{
    uint64_t i = wte__gpt2_bucket(g, hash);

    while (g->slots[i] != WTE__GPT2_FREE)
        i = (i + 1) & (g->n_slots - 1);
    return i;
}

static wte_status add_merges(const wte__gpt2 *g, building *b, const edges *pieces,
                             const wte__merge *merges, uint32_t n, wte_error *err)
{
    uint64_t steps = 0;

    for (uint32_t rank = 0; rank < n; rank++) {
        const wte__merge *m = &merges[rank];
        uint64_t pair = wte__gpt2_pair(m->left, m->right), hash = wte__gpt2_hash(pair);
        uint64_t i = free_slot(g, hash), bit = wte__gpt2_filter_bit(hash);
        edges left = pieces[m->left], right = pieces[m->right];
        unsigned seam = left.last | (unsigned)right.first << 8;

        if (wte__gpt2_rank(g, m->left, m->right) != WTE__GPT2_RANKS)
            return wte__fail(err, WTE_E_FORMAT, "merges %u and %u are of the same pair",
                             wte__gpt2_rank(g, m->left, m->right) + 1, rank + 1);
        if (!left.length || !right.length)
            return wte__fail(err, WTE_E_FORMAT, "merge %u has an empty piece", rank + 1);
        steps += (i - wte__gpt2_bucket(g, hash)) & (g->n_slots - 1);
        if (steps > wte__steps_allowed(n))
            return wte__fail(err, WTE_E_FORMAT,
                             "the merges were made to collide: no table holds all %u of them", n);
        if (pieces[m->result].length != left.length + right.length)
            return wte__fail(err, WTE_E_FORMAT, "merge %u gives a token of another length",
                             rank + 1);
        b->slots[i] = pair << 24 | rank;
        b->filter[bit / 64] |= (uint64_t)1 << (bit % 64);
        b->results[rank] = m->result;
        b->seams[seam / 64] |= (uint64_t)1 << (seam % 64);
        if (m->left == b->byte_ids[left.first] && m->right == b->byte_ids[right.first])
            b->byte_ranks[seam] = rank;
    }
    return WTE_OK;
}

/* One block for all arrays, the strictest alignment first. False if there is no memory. */
static bool allocate(wte__gpt2 *g, building *b, uint32_t n_merges)
{
    size_t words = WTE__GPT2_FILTER_WORDS + 1024 + (65536 + 256) / 2 + ((size_t)n_merges + 1) / 2;
    uint64_t *block;

    g->n_slots = 64;
    while (g->n_slots < 2 * (uint64_t)n_merges)
        g->n_slots *= 2;
    words += g->n_slots;
    if (words > LARGE_PAGE / 2 / sizeof *block && words < LARGE_PAGE / sizeof *block)
        words = LARGE_PAGE / sizeof *block; /* then it gets one */
    block = wte__alloc_aligned(words, sizeof *block);
    if (!block)
        return false;
    g->owned = block;
    g->slots = b->slots = block;
    g->filter = b->filter = b->slots + g->n_slots;
    g->seams = b->seams = b->filter + WTE__GPT2_FILTER_WORDS;
    g->byte_ranks = b->byte_ranks = (uint32_t *)(b->seams + 1024);
    g->byte_ids = b->byte_ids = b->byte_ranks + 65536;
    g->results = b->results = b->byte_ids + 256;
    g->n_merges = n_merges;
    memset(b->slots, 0xFF, g->n_slots * sizeof *b->slots);
    memset(b->filter, 0, (WTE__GPT2_FILTER_WORDS + 1024) * sizeof *b->filter);
    memset(b->byte_ranks, 0xFF, (65536 + 256) * sizeof *b->byte_ranks);
    return true;
}

void wte__gpt2_free(void *family)
{
    wte__gpt2 *g = family;

    if (!g)
        return;
    wte__free(g->owned);
    wte__free(g);
}

/* Most vocabularies list what merges give in their order: then there is no need to look. */
static uint32_t find_first_result(const wte__gpt2 *g)
{
    for (uint32_t i = 0; i < g->n_merges; i++)
        if (g->results[i] != g->results[0] + i)
            return 0;
    return g->n_merges ? g->results[0] : 0;
}

static void give(wte_tokenizer *t, wte__gpt2 *g)
{
    g->first_result = find_first_result(g);
    t->ops = &wte__gpt2_ops;
    t->family = g;
    t->info.kind = WTE_TOKENIZER_GPT2;
    t->info.n_merges = g->n_merges;
}

wte_status wte__gpt2_init(wte_tokenizer *t, const wte__merge *merges, uint32_t n, wte_error *err)
{
    edges *pieces = NULL;
    wte__gpt2 *g = NULL;
    building b;
    wte_status status;

    if (t->piece.n > WTE__GPT2_IDS)
        return wte__fail(err, WTE_E_FORMAT, "%u tokens, expected at most %d", t->piece.n,
                         WTE__GPT2_IDS);
    if (n > WTE__GPT2_RANKS)
        return wte__fail(err, WTE_E_FORMAT, "%u merges, expected at most %d", n, WTE__GPT2_RANKS);
    pieces = wte__calloc(t->piece.n, sizeof *pieces);
    g = wte__calloc(1, sizeof *g);
    if (!pieces || !g || !allocate(g, &b, n)) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %u merges", n);
        goto cleanup;
    }
    status = look_at_pieces(g, &b, &t->piece, pieces, err);
    if (status == WTE_OK)
        status = add_merges(g, &b, pieces, merges, n, err);
    if (status != WTE_OK)
        goto cleanup;
    give(t, g);
    g = NULL;
cleanup:
    wte__free(pieces);
    wte__gpt2_free(g);
    return status;
}

static uint32_t length_of(const wte__vocab *v, uint64_t id)
{
    return v->offsets[id + 1] - v->offsets[id];
}

/* True where every merge is of two pieces and gives one that is as long as both, which is what
 * keeps tokens inside the text that they were made from, and where a search ends: some bucket is
 * not full. */
static bool slots_are_good(const wte__gpt2 *g, const wte__vocab *v)
{
    uint64_t n_ends = 0;

    for (uint64_t i = 0; i < g->n_slots; i++) {
        uint64_t slot = g->slots[i], rank = slot & WTE__GPT2_RANKS;
        uint64_t left = slot >> (24 + WTE__GPT2_TOKEN_BITS);
        uint64_t right = slot >> 24 & WTE__GPT2_IDS;

        if (slot == WTE__GPT2_FREE) {
            n_ends += i % WTE__GPT2_BUCKET == WTE__GPT2_BUCKET - 1;
            continue;
        }
        if (rank >= g->n_merges || left >= v->n || right >= v->n ||
            length_of(v, g->results[rank]) != (uint64_t)length_of(v, left) + length_of(v, right))
            return false;
    }
    return n_ends > 0;
}

static bool bytes_are_good(const wte__gpt2 *g, const wte__vocab *v)
{
    for (size_t i = 0; i < 256; i++)
        if (g->byte_ids[i] >= v->n || length_of(v, g->byte_ids[i]) != 1)
            return false;
    for (size_t i = 0; i < 65536; i++) {
        uint32_t rank = g->byte_ranks[i];

        if (rank != UINT32_MAX && (rank >= g->n_merges || length_of(v, g->results[rank]) != 2))
            return false;
    }
    return true;
}

static bool lengths_are_good(const wte__gpt2 *g, const wte__vocab *v)
{
    uint32_t longest = 0;

    for (uint32_t i = 0; i < v->n; i++)
        longest = length_of(v, i) > longest ? length_of(v, i) : longest;
    return longest <= g->max_piece && g->max_piece <= UINT16_MAX;
}

static bool results_are_good(const wte__gpt2 *g, const wte__vocab *v)
{
    for (uint32_t i = 0; i < g->n_merges; i++)
        if (g->results[i] >= v->n)
            return false;
    return true;
}

wte_status wte__gpt2_attach(wte_tokenizer *t, const wte__gpt2 *tables, wte_error *err)
{
    const wte__vocab *v = &t->piece;
    wte__gpt2 *g;

    if (v->n > WTE__GPT2_IDS || tables->n_merges > WTE__GPT2_RANKS ||
        tables->n_slots < WTE__GPT2_BUCKET || tables->n_slots > UINT32_MAX ||
        (tables->n_slots & (tables->n_slots - 1)) || !results_are_good(tables, v) ||
        !lengths_are_good(tables, v) || !slots_are_good(tables, v) || !bytes_are_good(tables, v))
        return wte__fail(err, WTE_E_FORMAT, "tables of merges that lead outside each other");
    g = wte__calloc(1, sizeof *g);
    if (!g)
        return wte__fail(err, WTE_E_NOMEM, "no memory for %u merges", tables->n_merges);
    *g = *tables;
    g->owned = NULL;
    give(t, g);
    return WTE_OK;
}
