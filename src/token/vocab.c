/* SPDX-License-Identifier: MIT */
/* vocab.c - strings by id, ids by string
 *
 * The strings lie one after another, with their beginnings in an array; a hash table of ids with
 * linear probing, at most half full, leads back. A slot holds half of the hash beside the id, so
 * that other strings are hardly ever compared. Of equal strings the first is found.
 *
 *   one block   hash [hash_mask + 1] u64, offsets [n + 1] u32, used [n] u8, bytes and spare
 *
 * The hashes of several strings are computed and their slots fetched before the first is entered:
 * the table is larger than the nearest caches. */
#include "token/load.h"

/* Most strings are short, and few calls of memcmp are worth their price then: two loads that may
 * overlap tell. */
static inline bool same_bytes(const char *a, const char *b, size_t n)
{
    if (n > 16)
        return memcmp(a, b, n) == 0;
    if (n >= 8)
        return ((wte__load_u64(a) ^ wte__load_u64(b)) |
                (wte__load_u64(a + n - 8) ^ wte__load_u64(b + n - 8))) == 0;
    if (n >= 4)
        return ((wte__load_u32(a) ^ wte__load_u32(b)) |
                (wte__load_u32(a + n - 4) ^ wte__load_u32(b + n - 4))) == 0;
    return n == 0 || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
}

/* The slot where a string is, or where it would go. */
static const uint64_t *find_slot(const wte__vocab *v, const char *s, size_t len, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & v->hash_mask;
    uint64_t tag = hash >> 32;

    for (; v->hash[i] != UINT64_MAX; i = (i + 1) & v->hash_mask) {
        const uint32_t *o;

        if (v->hash[i] >> 32 != tag)
            continue;
        o = v->offsets + (uint32_t)v->hash[i];
        if (o[1] - o[0] == len && same_bytes(v->bytes + o[0], s, len))
            break;
    }
    return &v->hash[i];
}

/* Enter all strings; of two that are equal the ids go to pair. False: they were made to collide. */
static bool fill_hash(const wte__vocab *v, uint64_t *slots, uint32_t pair[2])
{
    enum { AHEAD = 16 };
    uint64_t hashes[AHEAD], steps = 0;

    memset(slots, 0xFF, ((size_t)v->hash_mask + 1) * sizeof *slots);
    pair[0] = pair[1] = 0;
    for (uint32_t begin = 0; begin < v->n; begin += AHEAD) {
        uint32_t n = v->n - begin < AHEAD ? v->n - begin : AHEAD;

        for (uint32_t i = 0; i < n; i++) {
            const uint32_t *o = v->offsets + begin + i;

            hashes[i] = wte__hash(v->bytes + o[0], o[1] - o[0]);
            __builtin_prefetch(&slots[(uint32_t)hashes[i] & v->hash_mask], 1);
        }
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t *o = v->offsets + begin + i;
            uint64_t *slot;

            if (!v->used[begin + i])
                continue;
            slot = (uint64_t *)(uintptr_t)find_slot(v, v->bytes + o[0], o[1] - o[0], hashes[i]);
            if (*slot == UINT64_MAX) {
                *slot = hashes[i] >> 32 << 32 | (begin + i);
            } else if (pair[0] == pair[1]) {
                pair[0] = (uint32_t)*slot;
                pair[1] = begin + i;
            }
            steps += ((uint64_t)(slot - slots) - hashes[i]) & v->hash_mask;
        }
        if (steps > wte__steps_allowed(v->n))
            return false;
    }
    return true;
}

wte_status wte__vocab_new(uint32_t n, uint64_t n_bytes, bool with_hash, wte__vocab *out,
                          wte__vocab_room *room, wte_error *err)
{
    size_t n_slots = 16, size;
    wte__vocab v = {0};

    if (n_bytes > UINT32_MAX - WTE__VOCAB_SPARE)
        return wte__fail(err, WTE_E_FORMAT, "a vocabulary of %llu bytes, expected less than 4 GiB",
                         (unsigned long long)n_bytes);
    while (n_slots < 2 * (size_t)n)
        n_slots *= 2;
    if (!with_hash)
        n_slots = 0;
    size = n_slots * sizeof *room->hash + ((size_t)n + 1) * sizeof *room->offsets + n +
           (size_t)n_bytes + WTE__VOCAB_SPARE;
    v.owned = wte__alloc_aligned(size, 1);
    if (!v.owned)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a vocabulary of %u tokens", n);
    room->hash = v.owned;
    room->offsets = (uint32_t *)(room->hash + n_slots);
    room->used = (uint8_t *)(room->offsets + n + 1);
    room->bytes = (char *)(room->used + n);
    memset(room->bytes + n_bytes, 0, WTE__VOCAB_SPARE);
    v.n = n;
    v.hash = with_hash ? room->hash : NULL;
    v.hash_mask = with_hash ? (uint32_t)(n_slots - 1) : 0;
    v.offsets = room->offsets;
    v.used = room->used;
    v.bytes = room->bytes;
    *out = v;
    return WTE_OK;
}

wte_status wte__vocab_make_unique(const char *strings, const uint64_t *offsets, const uint8_t *used,
                                  uint32_t n, wte__vocab *out, uint32_t pair[2], wte_error *err)
{
    uint64_t n_bytes = n ? offsets[n] - offsets[0] : 0;
    wte__vocab_room room;
    wte__vocab v;
    wte_status status = wte__vocab_new(n, n_bytes, true, &v, &room, err);

    if (status != WTE_OK)
        return status;
    room.offsets[0] = 0;
    for (uint32_t i = 0; n && i <= n; i++)
        room.offsets[i] = (uint32_t)(offsets[i] - offsets[0]);
    if (used)
        memcpy(room.used, used, n);
    else
        memset(room.used, 1, n);
    if (n_bytes)
        memcpy(room.bytes, strings + offsets[0], (size_t)n_bytes);
    if (!fill_hash(&v, room.hash, pair)) {
        wte__vocab_free(&v);
        return wte__fail(err, WTE_E_FORMAT,
                         "the tokens were made to collide: no table holds all %u of them", n);
    }
    *out = v;
    return WTE_OK;
}

wte_status wte__vocab_make(const char *strings, const uint64_t *offsets, const uint8_t *used,
                           uint32_t n, wte__vocab *out, wte_error *err)
{
    uint32_t pair[2];

    return wte__vocab_make_unique(strings, offsets, used, n, out, pair, err);
}

void wte__vocab_free(wte__vocab *v)
{
    if (!v)
        return;
    wte__free(v->owned);
    memset(v, 0, sizeof *v);
}

uint64_t wte__vocab_find_begin(const wte__vocab *v, const char *s, size_t len)
{
    uint64_t hash = wte__hash(s, len);

    if (v->hash)
        __builtin_prefetch(&v->hash[(uint32_t)hash & v->hash_mask]);
    return hash;
}

uint32_t wte__vocab_find_end(const wte__vocab *v, const char *s, size_t len, uint64_t hash)
{
    return v->hash ? (uint32_t)*find_slot(v, s, len, hash) : UINT32_MAX;
}

uint32_t wte__vocab_find(const wte__vocab *v, const char *s, size_t len)
{
    return wte__vocab_find_end(v, s, len, wte__hash(s, len));
}
