/* SPDX-License-Identifier: MIT */
/* gpt2.c - byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019)
 *
 * A pre-token starts as single bytes, each with its token. Again and again the adjacent pair with
 * the lowest rank in merges.txt, the leftmost of equals, becomes one token, until no pair is in the
 * list. What makes that fast:
 *
 *   The encoder remembers pre-tokens of up to 15 bytes with their ids. Text is mostly words that
 *   were seen before, so nearly all of it is answered by one comparison of 16 bytes. An entry is
 *   32 bytes, two share a cache line, and a batch of pre-tokens is hashed and prefetched before the
 *   first is looked up.
 *
 *   Two bytes that no merge puts side by side never end up in one token, whatever surrounds them. A
 *   bit for each of the 65536 pairs of bytes says so. Each adjacency inside a token was the seam of
 *   some merge, so the seams of all merges give the table. Long pre-tokens (Chinese sentences,
 *   hashes) are cut at such places, exactly, and their parts are short enough to be remembered.
 *
 *   What remains is merged in small arrays, whose least rank is found by looking at all of them; or
 *   past SHORT bytes in a linked list with a heap of (rank, position), so that a megabyte of one
 *   letter takes n log n. An entry of the heap may be stale: it counts only if the pair at
 *   its position still has its rank.
 *
 * Layout of a cache entry:   bytes 0-14 the pre-token, zero padded, byte 15 its length,
 *                            16-31 four ids of 24 bits; the top byte of the last is their number.
 * With more than four ids, the first is where they are in `overflow`.
 *
 * A whole pre-token that is in the vocabulary is not looked up there before merging, as others do:
 * its merges need not lead to it in a vocabulary made by hand, and the cache makes it cheap anyway.
 *
 * Text that is not UTF-8 is rare: once the scanner has seen some, every pre-token is checked, and
 * repaired with U+FFFD before it is merged. */
#include "token/gpt2_scan.h"
#include "token/token_internal.h"
#include "token/unicode.h"

enum {
    KEY_MAX = 15,            /* bytes of a pre-token in the cache */
    SHORT = 64,              /* bytes merged in arrays */
    SMALL_BITS = 7,          /* log2 of the sets of a cache for short texts */
    LARGE_BITS = 16,         /* and for long ones: 4 MB */
    LARGE_FROM = 64 * 1024,  /* bytes of text that make the cache grow */
    OVERFLOW_MAX = 1 << 18,  /* ids kept for entries with more than four */
    IDS_MAX = (1 << 24) - 1, /* what an entry can hold */
    FILTER_BITS = 19,        /* log2 of the bits of the filter of pairs */
    BATCH = WTE__SCAN_STARTS + 1
};
static const uint64_t FREE_KEY = UINT64_MAX;
static const uint32_t NO_RANK = UINT32_MAX;

typedef struct merge_slot {
    uint64_t key; /* left << 32 | right */
    uint32_t rank, result;
} merge_slot;

typedef struct gpt2 {
    merge_slot *slots;
    uint64_t mask;
    uint64_t *filter;     /* a bit for each hash of a pair: most pairs are no merge, and end here */
    uint32_t *results;    /* [n merges] by rank */
    uint32_t *byte_ranks; /* [65536] rank of the pair first * 256 + second of bytes, or NO_RANK */
    uint32_t byte_ids[256];
    uint64_t seams[65536 / 64]; /* bit first * 256 + second: some merge joins these bytes */
    uint32_t max_piece;         /* bytes of the longest piece */
} gpt2;

typedef struct key {
    uint64_t low, high;
} key;

typedef struct entry {
    key key;
    uint32_t ids[4];
} entry;

typedef struct state {
    const gpt2 *g;
    entry *cache; /* [2 << bits], sets of two */
    unsigned bits;
    uint64_t encoded; /* bytes so far, up to LARGE_FROM */
    uint32_t *overflow;
    size_t n_overflow, overflow_capacity;
    uint32_t *ids, *next, *prev; /* the linked list of a long piece */
    size_t ids_capacity, next_capacity, prev_capacity;
    uint64_t *heap; /* rank << 32 | position */
    size_t n_heap, heap_capacity;
    char *repaired;
    uint32_t *origin; /* [repaired + 1] where each byte comes from in the pre-token */
    size_t repaired_capacity, origin_capacity;
    uint32_t starts[BATCH + 1];
    uint32_t begins[BATCH]; /* parts that wait to be looked up */
    key keys[BATCH];
    uint32_t sets[BATCH];
    size_t n_parts;
} state;

/* ---- merges ------------------------------------------------------------------------------ */

static uint64_t hash_pair(uint64_t pair)
{
    uint64_t h = pair * 0x9E3779B97F4A7C15u;

    return h ^ h >> 32;
}

static uint64_t filter_bit(uint64_t hash)
{
    return hash >> (64 - FILTER_BITS);
}

/* The merge of a pair, or a slot with rank NO_RANK. */
static const merge_slot *find_merge(const gpt2 *g, uint32_t left, uint32_t right)
{
    uint64_t pair = (uint64_t)left << 32 | right, i = hash_pair(pair) & g->mask;

    while (g->slots[i].key != pair && g->slots[i].key != FREE_KEY)
        i = (i + 1) & g->mask;
    return &g->slots[i];
}

/* The rank of a pair, or NO_RANK. */
static uint32_t rank_of(const gpt2 *g, uint32_t left, uint32_t right)
{
    uint64_t bit = filter_bit(hash_pair((uint64_t)left << 32 | right));

    if (!(g->filter[bit / 64] >> (bit % 64) & 1))
        return NO_RANK;
    return find_merge(g, left, right)->rank;
}

/* Two bytes as a number. */
static inline unsigned byte_pair(const char *p)
{
    return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

static inline bool is_seam(const gpt2 *g, const char *p)
{
    unsigned pair = byte_pair(p);

    return g->seams[pair / 64] >> (pair % 64) & 1;
}

/* Merge n bytes, 1 to SHORT of them. ids [n] receives the tokens; returns their number. */
static size_t merge_short(const gpt2 *g, const char *bytes, size_t n, uint32_t *ids)
{
    uint32_t ranks[SHORT];
    uint8_t ends[SHORT];

    for (size_t i = 0; i < n; i++) {
        ids[i] = g->byte_ids[(unsigned char)bytes[i]];
        ends[i] = (uint8_t)(i + 1);
        ranks[i] = i + 1 < n ? g->byte_ranks[byte_pair(bytes + i)] : NO_RANK;
    }
    for (;;) {
        uint32_t least = NO_RANK;
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            at = ranks[i] < least ? i : at;
            least = ranks[i] < least ? ranks[i] : least;
        }
        if (least == NO_RANK)
            return n;
        ids[at] = g->results[least];
        n--;
        ends[at] = ends[at + 1];
        for (size_t i = at + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            ends[i] = ends[i + 1];
            ranks[i] = ranks[i + 1];
        }
        ranks[at] = NO_RANK;
        if (at + 1 < n && is_seam(g, bytes + ends[at] - 1))
            ranks[at] = rank_of(g, ids[at], ids[at + 1]);
        if (at && is_seam(g, bytes + ends[at - 1] - 1))
            ranks[at - 1] = rank_of(g, ids[at - 1], ids[at]);
    }
}

static void sift_down(uint64_t *heap, size_t n, size_t i)
{
    uint64_t item = heap[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= n)
            break;
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (item <= heap[child])
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = item;
}

static bool push(state *s, uint32_t rank, size_t position)
{
    uint64_t item = (uint64_t)rank << 32 | (uint32_t)position;
    size_t i = s->n_heap;

    if (!wte__grow((void **)&s->heap, &s->heap_capacity, i + 1, sizeof *s->heap))
        return false;
    s->n_heap++;
    for (; i && s->heap[(i - 1) / 2] > item; i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = item;
    return true;
}

static bool push_pair(state *s, uint32_t left, size_t n)
{
    uint32_t right = s->next[left];

    if (right == n)
        return true;
    uint32_t rank = rank_of(s->g, s->ids[left], s->ids[right]);

    return rank == NO_RANK || push(s, rank, left);
}

typedef struct explain {
    wte_explain_fn fn;
    void *data;
} explain;

static void tell_merge(const explain *tell, const state *s, const char *bytes, uint32_t left,
                       uint32_t right, const merge_slot *m)
{
    wte_explain_step step = {.kind = WTE_EXPLAIN_MERGE,
                             .text = bytes + left,
                             .len = s->next[right] - left,
                             .left_len = right - left,
                             .rank = m->rank,
                             .id = m->result};

    tell->fn(tell->data, &step);
}

/* Merge any number of bytes. The tokens stay in s->ids, linked by s->next from 0 to n; a position
 * is that of a token's first byte. False if there is no memory. */
static bool merge_long(state *s, const char *bytes, size_t n, const explain *tell)
{
    const gpt2 *g = s->g;

    if (!wte__grow((void **)&s->ids, &s->ids_capacity, n, sizeof *s->ids) ||
        !wte__grow((void **)&s->next, &s->next_capacity, n, sizeof *s->next) ||
        !wte__grow((void **)&s->prev, &s->prev_capacity, n + 1, sizeof *s->prev) ||
        !wte__grow((void **)&s->heap, &s->heap_capacity, n, sizeof *s->heap))
        return false;
    s->n_heap = 0;
    for (size_t i = 0; i < n; i++) {
        s->ids[i] = g->byte_ids[(unsigned char)bytes[i]];
        s->next[i] = (uint32_t)i + 1;
        s->prev[i] = (uint32_t)i - 1;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        uint32_t rank = g->byte_ranks[byte_pair(bytes + i)];

        if (rank != NO_RANK)
            s->heap[s->n_heap++] = (uint64_t)rank << 32 | (uint32_t)i;
    }
    for (size_t i = s->n_heap / 2; i-- > 0;)
        sift_down(s->heap, s->n_heap, i);
    while (s->n_heap) {
        uint64_t item = s->heap[0];
        uint32_t left = (uint32_t)item, right;
        const merge_slot *m;

        s->heap[0] = s->heap[--s->n_heap];
        if (s->n_heap)
            sift_down(s->heap, s->n_heap, 0);
        right = s->next[left];
        if (s->ids[left] == UINT32_MAX || right == n)
            continue;
        m = find_merge(g, s->ids[left], s->ids[right]);
        if (m->rank != item >> 32)
            continue;
        if (tell)
            tell_merge(tell, s, bytes, left, right, m);
        s->ids[left] = m->result;
        s->ids[right] = UINT32_MAX;
        s->next[left] = s->next[right];
        s->prev[s->next[left]] = left;
        if (!push_pair(s, left, n) || (left && !push_pair(s, s->prev[left], n)))
            return false;
    }
    return true;
}

/* ---- the cache ----------------------------------------------------------------------------- */

static const key key_masks[KEY_MAX + 1] = {
    {0, 0},
    {0xFF, 0},
    {0xFFFF, 0},
    {0xFFFFFF, 0},
    {0xFFFFFFFF, 0},
    {0xFFFFFFFFFF, 0},
    {0xFFFFFFFFFFFF, 0},
    {0xFFFFFFFFFFFFFF, 0},
    {UINT64_MAX, 0},
    {UINT64_MAX, 0xFF},
    {UINT64_MAX, 0xFFFF},
    {UINT64_MAX, 0xFFFFFF},
    {UINT64_MAX, 0xFFFFFFFF},
    {UINT64_MAX, 0xFFFFFFFFFF},
    {UINT64_MAX, 0xFFFFFFFFFFFF},
    {UINT64_MAX, 0xFFFFFFFFFFFFFF},
};

/* The key of len bytes at p, 1 to KEY_MAX, of which 16 may be read if `wide`. */
static inline key make_key(const char *p, size_t len, bool wide)
{
    key k = {0, 0};

    if (wide) {
        memcpy(&k, p, sizeof k);
        k.low &= key_masks[len].low;
        k.high &= key_masks[len].high;
    } else {
        memcpy(&k, p, len);
    }
    k.high |= (uint64_t)len << 56;
    return k;
}

static inline uint32_t set_of(const state *s, key k)
{
    __extension__ typedef unsigned __int128 u128;
    u128 product = (u128)(k.low ^ 0x243F6A8885A308D3u) * (k.high ^ 0x13198A2E03707345u);

    return (uint32_t)(((uint64_t)product ^ (uint64_t)(product >> 64)) >> (64 - s->bits));
}

/* The entry of a key if it is there: the second of the set unless it is the first. */
static inline entry *candidate(const state *s, key k, uint32_t set)
{
    entry *e = s->cache + 2 * (size_t)set;

    return e + (((e->key.low ^ k.low) | (e->key.high ^ k.high)) != 0);
}

static inline bool same_key(key a, key b)
{
    return ((a.low ^ b.low) | (a.high ^ b.high)) == 0;
}

/* Keep the ids of a key. What came first stays, the second place of a set changes hands: frequent
 * words come early. */
static bool remember(state *s, key k, uint32_t set, const uint32_t *ids, size_t n)
{
    entry *e = s->cache + 2 * (size_t)set;

    if (e->key.high)
        e++;
    if (n > 4 && s->n_overflow + KEY_MAX > OVERFLOW_MAX)
        return true;
    if (n > 4) {
        if (!wte__grow((void **)&s->overflow, &s->overflow_capacity, s->n_overflow + KEY_MAX,
                       sizeof *s->overflow))
            return false;
        memset(e->ids, 0, sizeof e->ids);
        e->ids[0] = (uint32_t)s->n_overflow;
        memcpy(s->overflow + s->n_overflow, ids, n * sizeof *ids);
        s->n_overflow += n;
    } else {
        memset(e->ids, 0, sizeof e->ids);
        memcpy(e->ids, ids, n * sizeof *ids);
    }
    e->ids[3] |= (uint32_t)n << 24;
    e->key = k;
    return true;
}

static inline size_t copy_ids(const state *s, const entry *e, uint32_t *out)
{
    uint32_t n = e->ids[3] >> 24;

    if (__builtin_expect(n > 4, 0)) {
        memcpy(out, s->overflow + e->ids[0], n * sizeof *out);
        return n;
    }
    memcpy(out, e->ids, sizeof e->ids);
    out[3] &= IDS_MAX;
    return n;
}

/* Go from the small cache to the large one. */
static wte_status enlarge(state *s, unsigned bits, wte_error *err)
{
    size_t n = (size_t)2 << bits;
    entry *cache = wte__alloc_aligned(n, sizeof *cache);

    if (!cache)
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu remembered words", n);
    memset(cache, 0, n * sizeof *cache);
    wte__free(s->cache);
    s->cache = cache;
    s->bits = bits;
    s->n_overflow = 0;
    return WTE_OK;
}

/* ---- encoding ------------------------------------------------------------------------------ */

static bool reserve(wte_encoder *e, size_t n)
{
    return wte__grow((void **)&e->ids, &e->capacity, e->n + n, sizeof *e->ids);
}

/* Append the ids of a piece of 1 to KEY_MAX bytes, for which there is room. */
static inline bool add_small(wte_encoder *e, const char *p, size_t len, key k, uint32_t set)
{
    state *s = e->state;
    const entry *found = candidate(s, k, set);

    if (same_key(found->key, k)) {
        e->n += copy_ids(s, found, e->ids + e->n);
    } else {
        size_t n = merge_short(s->g, p, len, e->ids + e->n);

        if (!remember(s, k, set, e->ids + e->n, n))
            return false;
        e->n += n;
    }
    return true;
}

/* Append the ids of a piece that cannot be cut further. */
static bool add_part(wte_encoder *e, const char *p, size_t len, bool wide)
{
    state *s = e->state;

    if (!reserve(e, len < SHORT ? SHORT : 0))
        return false;
    if (len <= KEY_MAX) {
        key k = make_key(p, len, wide);

        return add_small(e, p, len, k, set_of(s, k));
    }
    if (len <= SHORT) {
        if (!reserve(e, SHORT))
            return false;
        e->n += merge_short(s->g, p, len, e->ids + e->n);
        return true;
    }
    if (!merge_long(s, p, len, NULL))
        return false;
    for (size_t i = 0; i < len; i = s->next[i]) {
        if (e->n == e->capacity && !reserve(e, 1))
            return false;
        e->ids[e->n++] = s->ids[i];
    }
    return true;
}

/* Append the ids of a pre-token of any length. `readable` bytes may be read from p. */
static bool add_pretoken(wte_encoder *e, const char *p, size_t len, size_t readable)
{
    const state *s = e->state;
    size_t from = 0;

    if (len <= KEY_MAX)
        return add_part(e, p, len, readable >= sizeof(key));
    for (size_t i = 1; i <= len; i++) {
        if (i < len && is_seam(s->g, p + i - 1))
            continue;
        if (!add_part(e, p + from, i - from, readable - from >= sizeof(key)))
            return false;
        from = i;
    }
    return true;
}

/* The pre-token with U+FFFD for what is ill-formed. False if there is no memory. */
static bool repair(state *s, const char *p, size_t len, size_t *repaired_len)
{
    size_t n = 0;

    if (!wte__grow((void **)&s->repaired, &s->repaired_capacity, 3 * len, 1) ||
        !wte__grow((void **)&s->origin, &s->origin_capacity, 3 * len + 1, sizeof *s->origin))
        return false;
    for (size_t i = 0; i < len;) {
        uint32_t code;
        size_t length = wte__utf8_decode(p + i, len - i, &code);

        if (length) {
            for (size_t j = 0; j < length; j++, n++) {
                s->repaired[n] = p[i + j];
                s->origin[n] = (uint32_t)(i + j);
            }
        } else {
            length = wte__utf8_bad_length(p + i, len - i);
            memcpy(s->repaired + n, "\xEF\xBF\xBD", 3);
            for (size_t j = 0; j < 3; j++, n++)
                s->origin[n] = (uint32_t)i;
        }
        i += length;
    }
    s->origin[n] = (uint32_t)len;
    *repaired_len = n;
    return true;
}

/* Note where the ids from `first` on come from: a pre-token that begins at `begin`, whose bytes are
 * `origin` bytes after it (NULL: as they stand). A token that holds a part of a U+FFFD comes
 * from all that it stands for. */
static bool add_spans(wte_encoder *e, size_t first, size_t begin, const uint32_t *origin,
                      size_t len)
{
    const uint64_t *offsets = e->tokenizer->piece.offsets;
    size_t from = 0;

    if (!wte__grow((void **)&e->spans, &e->span_capacity, e->n, sizeof *e->spans))
        return false;
    for (size_t i = first; i < e->n; i++) {
        size_t to = from + (size_t)(offsets[e->ids[i] + 1] - offsets[e->ids[i]]);

        if (to > len)
            to = len;
        if (origin) {
            size_t end = to;

            while (end < len && end && origin[end] == origin[end - 1])
                end++;
            e->spans[i].begin = begin + origin[from];
            e->spans[i].end = begin + origin[end];
        } else {
            e->spans[i].begin = begin + from;
            e->spans[i].end = begin + to;
        }
        from = to;
    }
    return true;
}

/* A pre-token whose bytes may be ill-formed, or whose spans are wanted. */
static bool add_with_care(wte_encoder *e, const char *text, size_t begin, size_t end, size_t limit,
                          bool bad, unsigned flags)
{
    state *s = e->state;
    size_t first = e->n, len = end - begin;
    const uint32_t *origin = NULL;

    if (bad && !wte__utf8_valid(text + begin, len)) {
        if (!repair(s, text + begin, end - begin, &len) || !add_pretoken(e, s->repaired, len, len))
            return false;
        origin = s->origin;
    } else if (!add_pretoken(e, text + begin, len, limit - begin)) {
        return false;
    }
    return !(flags & WTE_ENCODE_SPANS) || add_spans(e, first, begin, origin, len);
}

/* Append the ids of the parts that wait. */
static bool flush(wte_encoder *e, const char *text)
{
    state *s = e->state;
    size_t n = s->n_parts;

    s->n_parts = 0;
    if (!reserve(e, n * KEY_MAX + SHORT))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!add_small(e, text + s->begins[i], s->keys[i].high >> 56, s->keys[i], s->sets[i]))
            return false;
    return true;
}

/* Let a part of 1 to KEY_MAX bytes wait while its set is fetched. */
static inline void put_part(state *s, const char *text, uint32_t begin, uint32_t len, size_t end)
{
    size_t i = s->n_parts++;

    s->begins[i] = begin;
    s->keys[i] = make_key(text + begin, len, end - begin >= sizeof(key));
    s->sets[i] = set_of(s, s->keys[i]);
    __builtin_prefetch(s->cache + 2 * (size_t)s->sets[i]);
}

/* A pre-token that is cut where no merge joins its bytes, as it is long or not ASCII. */
static bool put_cut(wte_encoder *e, const char *text, uint32_t begin, uint32_t len, size_t end)
{
    state *s = e->state;
    uint32_t from = begin, stop = begin + len;

    for (uint32_t i = begin + 1; i <= stop; i++) {
        if (i < stop && is_seam(s->g, text + i - 1))
            continue;
        if (i - from > KEY_MAX) {
            if (!flush(e, text) || !add_part(e, text + from, i - from, false))
                return false;
        } else {
            if (s->n_parts == BATCH && !flush(e, text))
                return false;
            put_part(s, text, from, i - from, end);
        }
        from = i;
    }
    return true;
}

/* Append the ids of n pre-tokens, from starts[i] to starts[i + 1]. */
static bool add_batch(wte_encoder *e, const char *text, size_t n, size_t end)
{
    state *s = e->state;

    for (size_t i = 0; i < n; i++) {
        uint32_t begin = s->starts[i], len = s->starts[i + 1] - begin;

        if (__builtin_expect(len > KEY_MAX || (len > 4 && text[begin + len - 1] & 0x80), 0)) {
            if (!put_cut(e, text, begin, len, end))
                return false;
        } else {
            if (s->n_parts == BATCH && !flush(e, text))
                return false;
            put_part(s, text, begin, len, end);
        }
    }
    return flush(e, text);
}

static bool add_batch_with_care(wte_encoder *e, const char *text, size_t n, size_t end, bool bad,
                                unsigned flags)
{
    const state *s = e->state;

    for (size_t i = 0; i < n; i++)
        if (!add_with_care(e, text, s->starts[i], s->starts[i + 1], end, bad, flags))
            return false;
    return true;
}

static wte_status out_of_memory(wte_error *err)
{
    return wte__fail(err, WTE_E_NOMEM, "no memory for the ids of a text");
}

static wte_status encode(wte_encoder *e, const char *text, size_t begin, size_t end, unsigned flags,
                         wte_error *err)
{
    state *s = e->state;
    size_t n = 0;
    wte_status status;
    wte__scan scan;

    if (s->encoded < LARGE_FROM) {
        s->encoded += end - begin;
        if (s->encoded >= LARGE_FROM && (status = enlarge(s, LARGE_BITS, err)) != WTE_OK) {
            s->encoded = 0;
            return status;
        }
    }
    if (!reserve(e, (end - begin) / 3))
        return out_of_memory(err);
    wte__scan_begin(&scan, text, begin, end);
    while (scan.pos < end) {
        size_t complete;

        n += wte__scan_next(&scan, s->starts + n);
        complete = n - 1;
        if (scan.pos == end) {
            s->starts[n] = (uint32_t)end;
            complete = n;
        }
        if (scan.bad || (flags & WTE_ENCODE_SPANS)
                ? !add_batch_with_care(e, text, complete, end, scan.bad, flags)
                : !add_batch(e, text, complete, end))
            return out_of_memory(err);
        s->starts[0] = s->starts[complete];
        n = 1;
    }
    return WTE_OK;
}

static wte_status explain_text(wte_encoder *e, const char *text, size_t begin, size_t end,
                               wte_explain_fn fn, void *data, wte_error *err)
{
    const explain tell = {fn, data};
    state *s = e->state;
    wte__scan scan;
    size_t n = 0;

    wte__scan_begin(&scan, text, begin, end);
    while (scan.pos < end) {
        size_t complete;

        n += wte__scan_next(&scan, s->starts + n);
        complete = n - 1;
        if (scan.pos == end) {
            s->starts[n] = (uint32_t)end;
            complete = n;
        }
        for (size_t i = 0; i < complete; i++) {
            size_t len = 0;
            wte_explain_step step = {.kind = WTE_EXPLAIN_WORD};

            if (!repair(s, text + s->starts[i], s->starts[i + 1] - s->starts[i], &len))
                return out_of_memory(err);
            step.text = s->repaired;
            step.len = len;
            fn(data, &step);
            if (!merge_long(s, s->repaired, len, &tell))
                return out_of_memory(err);
            for (size_t at = 0; at < len; at = s->next[at]) {
                if (!reserve(e, 1))
                    return out_of_memory(err);
                e->ids[e->n++] = s->ids[at];
            }
        }
        s->starts[0] = s->starts[complete];
        n = 1;
    }
    return WTE_OK;
}

/* ---- decoding ------------------------------------------------------------------------------ */

/* transformers' clean-up: ten replacements, one after the other, each over the whole text. In
 * place; returns the new length. */
static size_t clean_up(char *text, size_t len)
{
    static const struct {
        const char *from, *to;
    } steps[] = {{" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
                 {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};

    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        size_t from = strlen(steps[k].from), to = strlen(steps[k].to), n = 0;

        for (size_t i = 0; i < len;) {
            if (text[i] == ' ' && len - i >= from && memcmp(text + i, steps[k].from, from) == 0) {
                memcpy(text + n, steps[k].to, to);
                n += to;
                i += from;
            } else {
                text[n++] = text[i++];
            }
        }
        len = n;
    }
    return len;
}

static wte_status decode(const wte_tokenizer *t, const uint32_t *ids, size_t n, unsigned flags,
                         char **out, size_t *len, size_t *capacity, wte_error *err)
{
    enum { GROUP = 256, WIDE = 16, USUAL = 1024 };
    const gpt2 *g = t->family;
    size_t group = g->max_piece > USUAL ? 1 : GROUP;
    const char *bytes = t->piece.bytes;
    const uint64_t *offsets = t->piece.offsets;
    size_t at = *len;
    char *text;

    for (size_t i = 0; i < n;) {
        size_t stop = n - i > group ? i + group : n;

        if (!wte__grow((void **)out, capacity, at + (stop - i) * g->max_piece + WIDE + 1, 1))
            return wte__fail(err, WTE_E_NOMEM, "no memory for the text of %zu tokens", n);
        text = *out;
        for (; i < stop; i++) {
            const char *piece = bytes + offsets[ids[i]];
            size_t length = (size_t)(offsets[ids[i] + 1] - offsets[ids[i]]);

            memcpy(text + at, piece, WIDE); /* the pieces end in WIDE spare bytes */
            if (length > WIDE)
                memcpy(text + at, piece, length);
            at += length;
        }
    }
    if (flags & WTE_DECODE_CLEAN_UP && at > *len)
        at = *len + clean_up(*out + *len, at - *len);
    *len = at;
    return WTE_OK;
}

/* ---- making and freeing -------------------------------------------------------------------- */

static void state_free(void *state_)
{
    state *s = state_;

    if (!s)
        return;
    wte__free(s->cache);
    wte__free(s->overflow);
    wte__free(s->ids);
    wte__free(s->next);
    wte__free(s->prev);
    wte__free(s->heap);
    wte__free(s->repaired);
    wte__free(s->origin);
    wte__free(s);
}

static wte_status state_new(const wte_tokenizer *t, void **out, wte_error *err)
{
    state *s = wte__calloc(1, sizeof *s);
    wte_status status;

    if (!s)
        return wte__fail(err, WTE_E_NOMEM, "no memory for an encoder");
    s->g = t->family;
    status = enlarge(s, SMALL_BITS, err);
    if (status != WTE_OK) {
        state_free(s);
        return status;
    }
    *out = s;
    return WTE_OK;
}

static void family_free(void *family)
{
    gpt2 *g = family;

    if (!g)
        return;
    wte__free(g->slots);
    wte__free(g->filter);
    wte__free(g->results);
    wte__free(g->byte_ranks);
    wte__free(g);
}

static const wte__family_ops ops = {state_new,    state_free, encode,
                                    explain_text, decode,     family_free};

/* What merging asks of a piece, close together. */
typedef struct edges {
    uint8_t first, last; /* bytes */
    uint16_t length;
} edges;

/* The edges of all pieces, and in g the tokens of single bytes. */
static wte_status look_at_pieces(gpt2 *g, const wte__vocab *v, edges *out, wte_error *err)
{
    memset(g->byte_ids, 0xFF, sizeof g->byte_ids);
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
        if (length == 1 && g->byte_ids[out[i].first] == UINT32_MAX)
            g->byte_ids[out[i].first] = i;
    }
    for (unsigned b = 0; b < 256; b++)
        if (g->byte_ids[b] == UINT32_MAX)
            return wte__fail(err, WTE_E_FORMAT, "no token for the byte 0x%02X", b);
    return WTE_OK;
}

static wte_status add_merges(gpt2 *g, const edges *pieces, const wte__merge *merges, uint32_t n,
                             wte_error *err)
{
    memset(g->byte_ranks, 0xFF, 65536 * sizeof *g->byte_ranks);
    for (uint32_t rank = 0; rank < n; rank++) {
        const wte__merge *m = &merges[rank];
        merge_slot *slot = (merge_slot *)(uintptr_t)find_merge(g, m->left, m->right);
        edges left = pieces[m->left], right = pieces[m->right];
        unsigned seam = (unsigned)left.last << 8 | right.first;
        uint64_t bit;

        if (slot->key != FREE_KEY)
            return wte__fail(err, WTE_E_FORMAT, "merges %u and %u are of the same pair",
                             slot->rank + 1, rank + 1);
        if (!left.length || !right.length)
            return wte__fail(err, WTE_E_FORMAT, "merge %u has an empty piece", rank + 1);
        if (pieces[m->result].length != left.length + right.length)
            return wte__fail(err, WTE_E_FORMAT, "merge %u gives a token of another length",
                             rank + 1);
        *slot = (merge_slot){(uint64_t)m->left << 32 | m->right, rank, m->result};
        bit = filter_bit(hash_pair(slot->key));
        g->filter[bit / 64] |= (uint64_t)1 << (bit % 64);
        g->results[rank] = m->result;
        g->seams[seam / 64] |= (uint64_t)1 << (seam % 64);
        if (m->left == g->byte_ids[left.first] && m->right == g->byte_ids[right.first])
            g->byte_ranks[seam] = rank;
    }
    return WTE_OK;
}

wte_status wte__gpt2_init(wte_tokenizer *t, const wte__merge *merges, uint32_t n, wte_error *err)
{
    size_t n_slots = 64;
    edges *pieces = NULL;
    gpt2 *g = NULL;
    wte_status status;

    if (t->piece.n > IDS_MAX)
        return wte__fail(err, WTE_E_FORMAT, "%u tokens, expected at most %d", t->piece.n, IDS_MAX);
    while (n_slots < 2 * (size_t)n)
        n_slots *= 2;
    pieces = wte__calloc(t->piece.n, sizeof *pieces);
    g = wte__calloc(1, sizeof *g);
    if (g) {
        g->slots = wte__alloc_aligned(n_slots, sizeof *g->slots);
        g->filter = wte__calloc((1u << FILTER_BITS) / 64, sizeof *g->filter);
        g->results = wte__calloc(n, sizeof *g->results);
        g->byte_ranks = wte__alloc_aligned(65536, sizeof *g->byte_ranks);
    }
    if (!pieces || !g || !g->slots || !g->filter || !g->results || !g->byte_ranks) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %u merges", n);
        goto cleanup;
    }
    for (size_t i = 0; i < n_slots; i++)
        g->slots[i] = (merge_slot){FREE_KEY, NO_RANK, 0};
    g->mask = n_slots - 1;
    status = look_at_pieces(g, &t->piece, pieces, err);
    if (status == WTE_OK)
        status = add_merges(g, pieces, merges, n, err);
    if (status != WTE_OK)
        goto cleanup;
    t->ops = &ops;
    t->family = g;
    t->info.kind = WTE_TOKENIZER_GPT2;
    t->info.n_merges = n;
    g = NULL;
cleanup:
    wte__free(pieces);
    family_free(g);
    return status;
}
