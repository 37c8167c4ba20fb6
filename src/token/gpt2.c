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
 *   Words that are new wait until some are together, and are merged side by side; their ids are put
 *   in between the others then. Merging one word after another was nearly half of the time
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
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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
    entry *cache;         /* [2 << bits], sets of two */
    unsigned bits, shift; /* 64 - bits */
    uint64_t encoded;     /* bytes so far, up to LARGE_FROM */
    uint32_t *overflow;
    size_t n_overflow, overflow_capacity;
    wte__gpt2_long merging;
    char *repaired;
    uint32_t *origin; /* [repaired + 1] where each byte comes from in the pre-token */
    size_t repaired_capacity, origin_capacity;
    uint32_t starts[BATCH + WTE__SCAN_SPARE + 1];
    key keys[BATCH]; /* parts that wait to be looked up */
    entry *sets[BATCH];
    size_t n_new; /* parts that nothing is remembered of, whose ids are missing so far */
    key new_keys[NEW];
    const entry *new_sets[NEW];
    uint32_t new_ids[NEW][WTE__GPT2_WORD + 1];
    size_t places[NEW]; /* before which id theirs belong */
} state;

/* ---- the cache ----------------------------------------------------------------------------- */

/* What remains of 16 bytes for a key of each length, and what is added. */
static const key key_masks[KEY_MAX + 1][2] = {
    {{0, 0}, {0, 0}},
#define MASK(length, low, high)                                                                    \
    {                                                                                              \
        {low, high},                                                                               \
        {                                                                                          \
            0, (uint64_t)(length) << 56                                                            \
        }                                                                                          \
    }
    MASK(1, 0xFF, 0),
    MASK(2, 0xFFFF, 0),
    MASK(3, 0xFFFFFF, 0),
    MASK(4, 0xFFFFFFFF, 0),
    MASK(5, 0xFFFFFFFFFF, 0),
    MASK(6, 0xFFFFFFFFFFFF, 0),
    MASK(7, 0xFFFFFFFFFFFFFF, 0),
    MASK(8, UINT64_MAX, 0),
    MASK(9, UINT64_MAX, 0xFF),
    MASK(10, UINT64_MAX, 0xFFFF),
    MASK(11, UINT64_MAX, 0xFFFFFF),
    MASK(12, UINT64_MAX, 0xFFFFFFFF),
    MASK(13, UINT64_MAX, 0xFFFFFFFFFF),
    MASK(14, UINT64_MAX, 0xFFFFFFFFFFFF),
    MASK(15, UINT64_MAX, 0xFFFFFFFFFFFFFF),
#undef MASK
};

/* The bits above the shift: multiplying mixes upwards. */
static inline entry *set_of(entry *cache, uint64_t low, uint64_t high, unsigned shift)
{
    uint64_t hash = low * 0x9E3779B97F4A7C15u + high * 0xD6E8FEB86659FD93u;

    return cache + 2 * (hash >> shift);
}

/* Make the key of len bytes at p, 1 to KEY_MAX, of which 16 may be read. Returns its set.
 * same_key() compares keys. */
#if defined(__SSE2__)
static inline __m128i load(const key *k)
{
    return _mm_loadu_si128((const __m128i *)(const void *)k);
}

static inline entry *make_key(key *out, const char *p, size_t len, entry *cache, unsigned shift)
{
    __m128i k = _mm_loadu_si128((const __m128i *)(const void *)p);

    k = _mm_or_si128(_mm_and_si128(k, load(&key_masks[len][0])), load(&key_masks[len][1]));
    _mm_storeu_si128((__m128i *)(void *)out, k);
    return set_of(cache, (uint64_t)_mm_cvtsi128_si64(k),
                  (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(k, k)), shift);
}

static inline bool same_key(const key *a, const key *b)
{
    return _mm_movemask_epi8(_mm_cmpeq_epi32(load(a), load(b))) == 0xFFFF;
}
#else
static inline entry *make_key(key *out, const char *p, size_t len, entry *cache, unsigned shift)
{
    const key *mask = key_masks[len];
    key k;

    memcpy(&k, p, sizeof k);
    k.low &= mask[0].low;
    k.high = (k.high & mask[0].high) | mask[1].high;
    *out = k;
    return set_of(cache, k.low, k.high, shift);
}

static inline bool same_key(const key *a, const key *b)
{
    return ((a->low ^ b->low) | (a->high ^ b->high)) == 0;
}
#endif

/* The entry that a key has, or else may have, in one of the sets round its own: a free one, or the
 * last, which changes hands. What comes first stays where it is found at once: frequent words come
 * early. */
static entry *entry_of(const state *s, const key *k, const entry *set)
{
    const size_t own = (size_t)(set - s->cache);

    for (size_t i = 0;; i++) {
        entry *e = s->cache + (own ^ i);

        if (same_key(&e->key, k) || !e->key.high || i + 1 == WAYS)
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
    s->shift = 64 - bits;
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
    if (__builtin_expect(n >= 4, 0)) {
        out[3] &= IDS_MAX;
        if (n > 4)
            memcpy(out, s->overflow + e->ids[0], n * sizeof *out);
    }
    return out + n;
}

/* Merge what is new, remember it, and put its ids where they belong among the others. */
static bool add_new(wte_encoder *e)
{
    state *s = e->state;
    const size_t n = s->n_new;
    wte__gpt2_word words[NEW];
    size_t n_ids = 0, end = e->n;

    memcpy(words, s->new_keys, sizeof words);
    wte__gpt2_merge_words(s->g, words, n, s->new_ids);
    for (size_t i = 0; i < n; i++) {
        entry *known = entry_of(s, &s->new_keys[i], s->new_sets[i]);

        if (!same_key(&known->key, &s->new_keys[i]) &&
            !remember(s, known, s->new_keys[i], s->new_ids[i], s->new_ids[i][KEY_MAX]))
            return false;
        n_ids += s->new_ids[i][KEY_MAX];
    }
    s->n_new = 0;
    if (!reserve(e, n_ids))
        return false;
    e->n += n_ids;
    for (size_t i = n; i-- > 0;) {
        const uint32_t *ids = s->new_ids[i];
        uint32_t *place = e->ids + s->places[i];

        memmove(place + n_ids, place, (end - s->places[i]) * sizeof *place);
        end = s->places[i];
        n_ids -= ids[KEY_MAX];
        memcpy(place + n_ids, ids, ids[KEY_MAX] * sizeof *ids);
    }
    return true;
}

/* Append the ids of a part that is not in its own set; or note it as new. */
static bool add_elsewhere(wte_encoder *e, const key *k, const entry *set)
{
    state *s = e->state;
    const entry *known = entry_of(s, k, set);

    if (same_key(&known->key, k)) {
        e->n = (size_t)(copy_ids(s, known, e->ids + e->n) - e->ids);
        return true;
    }
    s->new_keys[s->n_new] = *k;
    s->new_sets[s->n_new] = set;
    s->places[s->n_new++] = e->n;
    return s->n_new < NEW || add_new(e);
}

/* Append the ids of the first n parts that wait. */
static bool flush(wte_encoder *e, size_t n)
{
    state *s = e->state;
    uint32_t *out;

    if (!reserve(e, n * KEY_MAX + KEY_MAX))
        return false;
    out = e->ids + e->n;
    for (size_t i = 0; i < n; i++) {
        const entry *known = s->sets[i];

        known += !same_key(&known->key, &s->keys[i]);
        if (__builtin_expect(same_key(&known->key, &s->keys[i]), 1)) {
            out = copy_ids(s, known, out);
            continue;
        }
        e->n = (size_t)(out - e->ids);
        if (!add_elsewhere(e, &s->keys[i], s->sets[i]) || !reserve(e, (n - i) * KEY_MAX))
            return false;
        out = e->ids + e->n;
    }
    e->n = (size_t)(out - e->ids);
    return true;
}

/* Append the ids of a piece that cannot be cut further. */
static bool add_part(wte_encoder *e, const char *p, size_t len, bool wide)
{
    state *s = e->state;

    if (len <= KEY_MAX) {
        char copy[sizeof(key)] = {0};

        if (!wide)
            p = memcpy(copy, p, len);
        s->sets[0] = make_key(&s->keys[0], p, len, s->cache, s->shift);
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
    if (!(flags & WTE_ENCODE_SPANS))
        return true;
    return (!s->n_new || add_new(e)) && add_spans(e, first, begin, origin, len);
}

/* Append the ids of n pre-tokens, or parts of them, from starts[i] to starts[i + 1]. Those that may
 * be remembered wait until all are there, while their sets are fetched. */
static bool add_batch(wte_encoder *e, const char *text, size_t n, size_t end)
{
    state *s = e->state;
    entry *cache = s->cache;
    const uint32_t *starts = s->starts;
    const unsigned shift = s->shift;
    size_t n_waiting = 0, n_wide = n;

    while (n_wide && end - starts[n_wide - 1] < sizeof(key))
        n_wide--;
    for (size_t i = 0; i < n_wide; i++) {
        uint32_t begin = starts[i], len = starts[i + 1] - begin;
        entry *set;

        if (__builtin_expect(len > KEY_MAX, 0)) {
            if (!flush(e, n_waiting) || !add_pretoken(e, text + begin, len, end - begin))
                return false;
            n_waiting = 0;
            continue;
        }
        set = make_key(&s->keys[n_waiting], text + begin, len, cache, shift);
        __builtin_prefetch(set);
        s->sets[n_waiting++] = set;
    }
    if (!flush(e, n_waiting))
        return false;
    for (size_t i = n_wide; i < n; i++)
        if (!add_pretoken(e, text + starts[i], starts[i + 1] - starts[i], end - starts[i]))
            return false;
    return true;
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
    s->n_new = 0;
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
    return !s->n_new || add_new(e) ? WTE_OK : out_of_memory(err);
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
