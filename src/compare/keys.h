/* SPDX-License-Identifier: MIT */
/** compare/keys.h - a set of byte strings, numbered in the order in which they came */
#ifndef WTE_COMPARE_KEYS_H
#define WTE_COMPARE_KEYS_H
#include "base/base.h"

#define WTE__NO_KEY UINT32_MAX

typedef struct wte__key_slot {
    uint32_t tag, key; /* high bits of the hash; WTE__NO_KEY: free */
} wte__key_slot;

typedef struct wte__keys {
    wte__key_slot *slots; /* [mask + 1] */
    size_t mask;
    char *text; /* all keys, one after another */
    size_t capacity;
    uint64_t *ends; /* [most + 1] key i is at ends[i] to ends[i + 1] */
    uint32_t n;
} wte__keys;

/** Make room for up to `most` keys. False without memory. */
bool wte__keys_init(wte__keys *k, uint32_t most);
void wte__keys_free(wte__keys *k);
/** Give a string's number, WTE__NO_KEY if it is not there. Any number of threads. */
uint32_t wte__keys_find(const wte__keys *k, const char *s, size_t n);
/** The same, but add it where it is not there. False without memory. */
bool wte__keys_add(wte__keys *k, const char *s, size_t n, uint32_t *key);
#endif
