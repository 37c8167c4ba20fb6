/* SPDX-License-Identifier: MIT */
/* gpt2.c - GPT-2's encoding: pre-tokens are looked up, and merged where they are new
 *
 * gpt2_scan.c says where pre-tokens begin, gpt2_merge.c merges the bytes of one. What makes that
 * fast is here:
 *
 *   The encoder remembers pre-tokens of up to 15 bytes with their ids. Text is mostly words that
 *   were seen before, so nearly all of it is answered by one comparison of 16 bytes. An entry is
 *   32 bytes, two are a set and share a cache line, and a batch of pre-tokens is hashed and
 *   prefetched before the first is looked up. A set that is full hands on to the three beside it,
 *   as merging a word again and again costs more than looking at four lines.
 *
 *   Words that are new wait until their batch is at its end, and are merged side by side; their ids
 *   are put in between the others then. Merging one word after another was nearly half of the time
 *   that a text took that was encoded for the first time.
 *
 *   Two bytes that no merge puts side by side never end up in one token, whatever surrounds them.
 *   Pre-tokens above ASCII (Chinese sentences) are cut at such places by the scanner, long ones
 *   (hashes) here, exactly, and their parts are short enough to be remembered. Where spans are
 *   asked for, or the text is not UTF-8, the scanner does not cut.
 *
 * Layout of a cache entry:   bytes 0-14 the pre-token, zero padded, byte 15 its length,
 *                            16-31 four ids of 24 bits; the top byte of the last is their number.
 * With more than four ids, the first is where they are in `overflow`.
 *
 * A whole pre-token that is in the vocabulary is not looked up there before merging, as others do:
 * its merges need not lead to it in a vocabulary made by hand. A table of those that do encode to
 * themselves, a third of all new words, was tried: it saved next to nothing.
 *
 * Text that is not UTF-8 is rare: once the scanner has seen some, every pre-token is checked, and
 * repaired with U+FFFD before it is merged. */
#include "token/gpt2_internal.h"
#include "token/gpt2_merge.h"
#include "token/gpt2_scan.h"
#include "token/unicode.h"

enum {
    WAYS = 8,                /* entries that a pre-token may be in, two a set */
    KEY_MAX = 15,            /* bytes of a pre-token in the cache */
    SMALL_BITS = 7,          /* log2 of the sets of a cache for short texts */
    LARGE_BITS = 16,         /* and for long ones: 4 MB */
    LARGE_FROM = 64 * 1024,  /* bytes of text that make the cache grow */
    OVERFLOW_MAX = 1 << 18,  /* ids kept for entries with more than four */
    IDS_MAX = (1 << 24) - 1, /* what an entry can hold */
    NEW = 32,                /* pre-tokens that are merged at once */
    BATCH = WTE__SCAN_STARTS + 1
};

typedef struct key {
    uint64_t low, high;
} key;

typedef struct entry {
    key key;
    uint32_t ids[4];
} entry;

typedef struct state {
    const wte__gpt2 *g;
    entry *cache; /* [2 << bits], sets of two */
    unsigned bits;
    uint64_t encoded; /* bytes so far, up to LARGE_FROM */
    uint32_t *overflow;
    size_t n_overflow, overflow_capacity;
    wte__gpt2_long merging;
    char *repaired;
    uint32_t *origin; /* [repaired + 1] where each byte comes from in the pre-token */
    size_t repaired_capacity, origin_capacity;
    uint32_t starts[BATCH + WTE__SCAN_SPARE + 1];
    key keys[BATCH]; /* parts that wait to be looked up */
    uint32_t sets[BATCH];
    size_t n_new; /* parts of a batch that nothing was remembered of */
    wte__gpt2_word words[NEW];
    uint32_t new_sets[NEW], new_ids[NEW][WTE__GPT2_WORD + 1];
    uint32_t *places[NEW]; /* where their ids belong */
} state;

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

static inline bool same_key(key a, key b)
{
    return ((a.low ^ b.low) | (a.high ^ b.high)) == 0;
}

/* The entry that a key has, or else may have, in one of the sets round its own: a free one, or the
 * last, which changes hands. What comes first stays where it is found at once: frequent words come
 * early. */
static entry *entry_of(const state *s, key k, uint32_t set)
{
    for (uint32_t i = 0;; i++) {
        entry *e = s->cache + 2 * (size_t)(set ^ i / 2) + i % 2;

        if (same_key(e->key, k) || !e->key.high || i + 1 == WAYS)
            return e;
    }
}

/* Keep the ids of a key. */
static bool remember(state *s, entry *e, key k, const uint32_t *ids, size_t n)
{
    if (n > 4 && s->n_overflow + KEY_MAX > OVERFLOW_MAX)
        return true;
    if (n > 4 && !wte__grow((void **)&s->overflow, &s->overflow_capacity, s->n_overflow + KEY_MAX,
                            sizeof *s->overflow))
        return false;
    memset(e->ids, 0, sizeof e->ids);
    if (n > 4) {
        e->ids[0] = (uint32_t)s->n_overflow;
        memcpy(s->overflow + s->n_overflow, ids, n * sizeof *ids);
        s->n_overflow += n;
    } else {
        memcpy(e->ids, ids, n * sizeof *ids);
    }
    e->ids[3] |= (uint32_t)n << 24;
    e->key = k;
    return true;
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

/* Write what an entry remembers; returns the end. */
static inline uint32_t *copy_ids(const state *s, const entry *e, uint32_t *out)
{
    uint32_t n = e->ids[3] >> 24;

    memcpy(out, e->ids, sizeof e->ids);
    if (__builtin_expect(n == 4, 0))
        out[3] &= IDS_MAX;
    if (__builtin_expect(n > 4, 0))
        memcpy(out, s->overflow + e->ids[0], n * sizeof *out);
    return out + n;
}

/* The entry of a key in its own set, or NULL. */
static inline const entry *in_own_set(const state *s, key k, uint32_t set)
{
    const entry *e = s->cache + 2 * (size_t)set;

    e += !same_key(e->key, k);
    return __builtin_expect(same_key(e->key, k), 1) ? e : NULL;
}

/* Write the ids of a part that is not in its own set; or note it as new, and where its ids will
 * belong. */
static uint32_t *add_elsewhere(state *s, key k, uint32_t set, uint32_t *out)
{
    const entry *e = entry_of(s, k, set);

    if (same_key(e->key, k))
        return copy_ids(s, e, out);
    memcpy(&s->words[s->n_new], &k, sizeof k);
    s->new_sets[s->n_new] = set;
    s->places[s->n_new++] = out;
    return out;
}

/* Merge what is new, remember it, and put its ids where they belong among those that were written,
 * up to out. Returns their end, or NULL if there is no memory. */
static uint32_t *add_new(state *s, uint32_t *out)
{
    const size_t n = s->n_new;
    size_t n_ids = 0;
    uint32_t *end;

    wte__gpt2_merge_words(s->g, s->words, n, s->new_ids);
    for (size_t i = 0; i < n; i++) {
        entry *e;
        key k;

        memcpy(&k, &s->words[i], sizeof k);
        e = entry_of(s, k, s->new_sets[i]);
        if (!same_key(e->key, k) && !remember(s, e, k, s->new_ids[i], s->new_ids[i][KEY_MAX]))
            return NULL;
        n_ids += s->new_ids[i][KEY_MAX];
    }
    s->n_new = 0;
    end = out + n_ids;
    for (size_t i = n; i-- > 0;) {
        const uint32_t *ids = s->new_ids[i];
        size_t n_after = (size_t)(out - s->places[i]);

        out = s->places[i];
        memmove(out + n_ids, out, n_after * sizeof *out);
        n_ids -= ids[KEY_MAX];
        memcpy(out + n_ids, ids, ids[KEY_MAX] * sizeof *ids);
    }
    return end;
}

/* Append the ids of the first n parts that wait. */
static bool flush(wte_encoder *e, size_t n)
{
    state *s = e->state;
    uint32_t *out;

    if (!reserve(e, n * KEY_MAX + KEY_MAX))
        return false;
    out = e->ids + e->n;
    s->n_new = 0;
    for (size_t i = 0; i < n; i++) {
        const entry *known = in_own_set(s, s->keys[i], s->sets[i]);

        out = known ? copy_ids(s, known, out) : add_elsewhere(s, s->keys[i], s->sets[i], out);
        if (__builtin_expect(s->n_new == NEW, 0) && !(out = add_new(s, out)))
            return false;
    }
    if (s->n_new && !(out = add_new(s, out)))
        return false;
    e->n = (size_t)(out - e->ids);
    return true;
}

/* Append the ids of a piece that cannot be cut further. */
static bool add_part(wte_encoder *e, const char *p, size_t len, bool wide)
{
    state *s = e->state;

    if (len <= KEY_MAX) {
        s->keys[0] = make_key(p, len, wide);
        s->sets[0] = set_of(s, s->keys[0]);
        return flush(e, 1);
    }
    if (len <= WTE__GPT2_SHORT) {
        if (!reserve(e, WTE__GPT2_SHORT))
            return false;
        e->n += wte__gpt2_merge_short(s->g, p, len, e->ids + e->n);
        return true;
    }
    if (!wte__gpt2_merge_long(s->g, &s->merging, p, len, NULL, NULL))
        return false;
    for (size_t at = 0; at < len;) {
        if (e->n == e->capacity && !reserve(e, 1))
            return false;
        e->ids[e->n++] = wte__gpt2_next(&s->merging, len, &at);
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
        if (i < len && wte__gpt2_is_seam(s->g, p + i - 1))
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
    const uint32_t *offsets = e->tokenizer->piece.offsets;
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

/* Append the ids of n pre-tokens, or parts of them, from starts[i] to starts[i + 1]. Those that may
 * be remembered wait until all are there, while their sets are fetched. */
static bool add_batch(wte_encoder *e, const char *text, size_t n, size_t end)
{
    state *s = e->state;
    size_t n_waiting = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t begin = s->starts[i], len = s->starts[i + 1] - begin;
        key k;

        if (__builtin_expect(len > KEY_MAX || end - begin < sizeof k, 0)) {
            if (!flush(e, n_waiting) || !add_pretoken(e, text + begin, len, end - begin))
                return false;
            n_waiting = 0;
            continue;
        }
        k = make_key(text + begin, len, true);
        s->keys[n_waiting] = k;
        s->sets[n_waiting] = set_of(s, k);
        __builtin_prefetch(s->cache + 2 * (size_t)s->sets[n_waiting++]);
    }
    return flush(e, n_waiting);
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
    wte__scan_begin(&scan, text, begin, end, flags & WTE_ENCODE_SPANS ? NULL : s->g->seams);
    while (scan.pos < end) {
        const wte__scan before = scan;
        size_t got = wte__scan_next(&scan, s->starts + n), complete;

        if (scan.bad && scan.seams) { /* what is repaired has other bytes, and other seams */
            scan = before;
            scan.seams = NULL;
            got = wte__scan_next(&scan, s->starts + n);
        }
        n += got;
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

/* Whom to tell of the merges of a pre-token. */
typedef struct explain {
    const wte__gpt2 *g;
    wte_explain_fn fn;
    void *data;
    const char *text;
} explain;

static void tell_merge(void *data, uint32_t rank, size_t left, size_t right, size_t end)
{
    const explain *tell = data;
    wte_explain_step step = {.kind = WTE_EXPLAIN_MERGE,
                             .text = tell->text + left,
                             .len = end - left,
                             .left_len = right - left,
                             .rank = rank,
                             .id = tell->g->results[rank]};

    tell->fn(tell->data, &step);
}

static wte_status explain_text(wte_encoder *e, const char *text, size_t begin, size_t end,
                               wte_explain_fn fn, void *data, wte_error *err)
{
    state *s = e->state;
    explain tell = {s->g, fn, data, NULL};
    wte__scan scan;
    size_t n = 0;

    wte__scan_begin(&scan, text, begin, end, NULL);
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
            tell.text = s->repaired;
            if (!wte__gpt2_merge_long(s->g, &s->merging, s->repaired, len, tell_merge, &tell))
                return out_of_memory(err);
            for (size_t at = 0; at < len;) {
                if (!reserve(e, 1))
                    return out_of_memory(err);
                e->ids[e->n++] = wte__gpt2_next(&s->merging, len, &at);
            }
        }
        s->starts[0] = s->starts[complete];
        n = 1;
    }
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
    wte__gpt2_long_free(&s->merging);
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

const wte__family_ops wte__gpt2_ops = {state_new,    state_free,       encode,
                                       explain_text, wte__gpt2_decode, wte__gpt2_free};
