/* SPDX-License-Identifier: MIT */
/** format/pickle.h - the pickles of PyTorch's state dicts, read without executing anything
 *
 * A pickle is a program for a small stack machine that can call any Python function. Here only what
 * a state dict needs is understood, as data: nothing is looked up and nothing is called. Whatever
 * else is asked for is refused by its name. */
#ifndef WTE_PICKLE_H
#define WTE_PICKLE_H
#include "format/checkpoint_internal.h"

/** The block of numbers behind one or more tensors. The reader of the file fills in `data`. */
typedef struct wte__storage {
    const char *key; /* the name of its data in the file, not terminated */
    size_t key_len;
    const char *dtype;
    size_t element;            /* bytes of one */
    uint64_t numel;            /* elements */
    const unsigned char *data; /* [numel * element], NULL until the reader has found it */
} wte__storage;

struct wte__object;

/** What a pickle builds. Strings point into the pickle's bytes, which must stay. */
typedef struct wte__pickle {
    const unsigned char *data; /* the file */
    size_t size;
    size_t at;        /* next byte; after reading, the first one behind the pickle */
    const char *path; /* for messages */
    struct wte__object *objects;
    size_t n_objects, object_capacity;
    uint32_t *items; /* of tuples */
    size_t n_items, item_capacity;
    uint32_t *stack;
    size_t n_stack, stack_capacity;
    size_t *marks; /* stack heights */
    size_t n_marks, mark_capacity;
    uint32_t *memo; /* 1 + object */
    size_t memo_size, memo_capacity;
    uint32_t result;
    wte__storage *storages; /* [n_storages], in the order of their first mention */
    size_t n_storages, storage_capacity;
    uint32_t *storage_slots; /* open addressing: 1 + storage */
    size_t storage_mask;
} wte__pickle;

/** Run the pickle that begins at data[at].
 *   out  free with wte__pickle_free(); to be freed after failure too
 * Errors: E_FORMAT (also when it asks for something that a state dict does not need), E_NOMEM. */
wte_status wte__pickle_run(const unsigned char *data, size_t size, size_t at, const char *path,
                           wte__pickle *out, wte_error *err);
void wte__pickle_free(wte__pickle *p);

/** The results that the older format puts around a state dict: a whole number, a dict with a true
 * or false value, a list of strings. False if it is none. */
bool wte__pickle_is_int(const wte__pickle *p, int64_t *value);
bool wte__pickle_dict_bool(const wte__pickle *p, const char *key, bool *value);
bool wte__pickle_is_list(const wte__pickle *p, size_t *n);
bool wte__pickle_list_string(const wte__pickle *p, size_t i, const char **s, size_t *len);

wte__storage *wte__pickle_storage(const wte__pickle *p, const char *key, size_t len);
/** Add the state dict's tensors to a checkpoint; every storage's data must be known. Views whose
 * elements follow one another are used in place, others are copied.
 * Errors: E_FORMAT, E_NOMEM. */
wte_status wte__pickle_tensors(const wte__pickle *p, wte_checkpoint *c, wte_error *err);
#endif
