/* SPDX-License-Identifier: MIT */
/* keys.c - byte strings and their numbers
 *
 * Open addressing with linear probing. A slot has 32 bits of the hash beside the number, so that a
 * string that is not there, which most are when two vocabularies are matched, is mostly seen from one
 * slot, without a look at another string. The hash has a secret seed: nobody can write a file whose
 * words all start in one slot. */
#include "compare/keys.h"

bool wte__keys_init(wte__keys *k, uint32_t most)
{
    size_t n_slots = 16;

    while (n_slots < 2 * (size_t)most)
        n_slots *= 2;
    *k = (wte__keys){.mask = n_slots - 1};
    k->slots = wte__alloc_aligned(n_slots, sizeof *k->slots);
    k->ends = wte__calloc((size_t)most + 1, sizeof *k->ends);
    if (!k->slots || !k->ends) {
        wte__keys_free(k);
        return false;
    }
    memset(k->slots, 0xFF, n_slots * sizeof *k->slots);
    return true;
}

void wte__keys_free(wte__keys *k)
{
    wte__free(k->ends);
    wte__free(k->text);
    wte__free(k->slots);
    *k = (wte__keys){0};
}

/* The slot of a string, or the free one where it belongs. */
static wte__key_slot *find_slot(const wte__keys *k, const char *s, size_t n, uint32_t *tag)
{
    const uint64_t hash = wte__hash_seeded(s, n, wte__hash_secret());
    size_t at = hash & k->mask;

    *tag = (uint32_t)(hash >> 32);
    for (; k->slots[at].key != WTE__NO_KEY; at = (at + 1) & k->mask) {
        const uint64_t *ends = k->ends + k->slots[at].key;

        if (k->slots[at].tag == *tag && ends[1] - ends[0] == n &&
            memcmp(k->text + ends[0], s, n) == 0)
            break;
    }
    return &k->slots[at];
}

uint32_t wte__keys_find(const wte__keys *k, const char *s, size_t n)
{
    uint32_t tag;

    return find_slot(k, s, n, &tag)->key;
}

bool wte__keys_add(wte__keys *k, const char *s, size_t n, uint32_t *key)
{
    uint32_t tag;
    wte__key_slot *slot = find_slot(k, s, n, &tag);

    if (slot->key == WTE__NO_KEY) {
        const size_t used = k->ends[k->n];
        void *text = k->text;

        if (n > SIZE_MAX / 4 - used || !wte__grow(&text, &k->capacity, used + n + 1, 1))
            return false;
        k->text = text;
        memcpy(k->text + used, s, n);
        *slot = (wte__key_slot){tag, k->n++};
        k->ends[k->n] = used + n;
    }
    *key = slot->key;
    return true;
}
