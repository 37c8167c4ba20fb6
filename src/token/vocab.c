/* SPDX-License-Identifier: MIT */
/* vocab.c - strings by id, ids by string
 *
 * The strings lie one after another, with their beginnings in an array; a hash table of ids with
 * linear probing, at most half full, leads back. A slot holds half of the hash beside the id, so
 * that other strings are hardly ever compared. Of equal strings the first is found. */
#include "token/load.h"

enum { SPARE = 16 }; /* bytes after the last string, so that 16 may be copied of any */

/* The slot where a string is, or where it would go. */
static uint64_t *find_slot(const wte__vocab *v, const char *s, size_t len, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & v->hash_mask;
    uint64_t tag = hash >> 32;

    for (; v->hash[i] != UINT64_MAX; i = (i + 1) & v->hash_mask) {
        const uint64_t *o;

        if (v->hash[i] >> 32 != tag)
            continue;
        o = v->offsets + (uint32_t)v->hash[i];
        if (o[1] - o[0] == len && memcmp(v->bytes + o[0], s, len) == 0)
            break;
    }
    return &v->hash[i];
}

wte_status wte__vocab_make_unique(const char *strings, const uint64_t *offsets, const uint8_t *used,
                                  uint32_t n, wte__vocab *out, uint32_t pair[2], wte_error *err)
{
    size_t n_bytes = n ? (size_t)(offsets[n] - offsets[0]) : 0, n_slots = 16;
    wte__vocab v = {0};

    while (pair && n_slots < 2 * (size_t)n)
        n_slots *= 2;
    v.n = n;
    v.hash_mask = (uint32_t)(n_slots - 1);
    v.bytes = n_bytes <= SIZE_MAX - SPARE ? wte__calloc(n_bytes + SPARE, 1) : NULL;
    v.offsets = wte__calloc((size_t)n + 1, sizeof *v.offsets);
    v.used = wte__calloc(n, 1);
    v.hash = pair ? wte__calloc(n_slots, sizeof *v.hash) : NULL;
    if (!v.bytes || !v.offsets || !v.used || (pair && !v.hash)) {
        wte__vocab_free(&v);
        return wte__fail(err, WTE_E_NOMEM, "no memory for a vocabulary of %u tokens", n);
    }
    if (n_bytes)
        memcpy(v.bytes, strings + offsets[0], n_bytes);
    for (uint32_t i = 0; n && i <= n; i++)
        v.offsets[i] = offsets[i] - offsets[0];
    for (uint32_t i = 0; i < n; i++)
        v.used[i] = used ? used[i] : 1;
    if (pair) {
        pair[0] = pair[1] = 0;
        memset(v.hash, 0xFF, n_slots * sizeof *v.hash);
    }
    for (uint32_t i = 0; pair && i < n; i++) {
        const char *string = v.bytes + v.offsets[i];
        size_t len = (size_t)(v.offsets[i + 1] - v.offsets[i]);
        uint64_t hash, *slot;

        if (!v.used[i])
            continue;
        hash = wte__hash(string, len);
        slot = find_slot(&v, string, len, hash);
        if (*slot == UINT64_MAX) {
            *slot = hash >> 32 << 32 | i;
        } else if (pair[0] == pair[1]) {
            pair[0] = (uint32_t)*slot;
            pair[1] = i;
        }
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
    wte__free(v->bytes);
    wte__free(v->offsets);
    wte__free(v->used);
    wte__free(v->hash);
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
