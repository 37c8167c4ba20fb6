/* SPDX-License-Identifier: MIT */
/** format/checkpoint_internal.h - a checkpoint while its readers fill it
 *
 * checkpoint.c finds out what a file is and hands its bytes to one of the readers below, which adds
 * tensors. Bytes are those of a mapped file or of a block that the checkpoint owns, so they stay
 * where they are as long as it lives. */
#ifndef WTE_CHECKPOINT_INTERNAL_H
#define WTE_CHECKPOINT_INTERNAL_H
#include "base/base.h"
#include "wte/checkpoint.h"

struct wte__gguf;

/* Where the elements of a tensor were stored: a copy of a view has its own data, but its elements
 * are those of the storage. */
typedef struct wte__extent {
    const unsigned char *begin;
    uint64_t bytes, elements;
} wte__extent;

typedef struct wte__key {
    const char *name;
    size_t len, tensor;
} wte__key;

struct wte_checkpoint {
    wte_checkpoint_info info;
    char format[64]; /* what info.format points to */
    char note[640];  /* what info.note points to */
    wte_tensor *tensors;
    wte__extent *extents; /* in step with tensors */
    size_t n, capacity, extent_capacity;
    wte__key *keys; /* names to be found by, in the order they were added */
    size_t n_keys, key_capacity;
    size_t first_of_file; /* the first tensor of the file that is being read */
    uint32_t *slots;      /* [slot_mask + 1], open addressing: 1 + index into keys, 0 when free */
    size_t slot_mask;
    wte__map *maps;
    size_t n_maps, map_capacity;
    void **blocks; /* memory that tensors or names point to */
    size_t n_blocks, block_capacity;
    struct wte__gguf *gguf; /* NULL for every other format */
};

/** Note a tensor. The name is copied, dtype must be a literal, data must live as long as the
 * checkpoint.
 *   extent  where the elements are stored; NULL: data itself, with `elements` of them
 * Errors: E_FORMAT (a name twice, or no valid UTF-8), E_NOMEM. */
wte_status wte__checkpoint_add(wte_checkpoint *c, const char *path, const char *name, size_t len,
                               const wte_tensor *tensor, const wte__extent *extent, wte_error *err);
/** Let the tensor added last be found by another name too; the name is copied. */
wte_status wte__checkpoint_alias(wte_checkpoint *c, const char *path, const char *name,
                                 wte_error *err);
/** Allocate zeroed memory that lives as long as the checkpoint; NULL if there is none. */
void *wte__checkpoint_block(wte_checkpoint *c, size_t bytes);
/** Exact lookup. */
const wte_tensor *wte__checkpoint_exact(const wte_checkpoint *c, const char *name);

/** Find out what the bytes are and read them into c, which may hold tensors of other shards.
 * Errors: E_FORMAT, E_UNSUPPORTED, E_NOMEM. */
wte_status wte__checkpoint_read(wte_checkpoint *c, const unsigned char *data, size_t size,
                                const char *path, wte_error *err);
/** Map a file, which counts into info, and read it. */
wte_status wte__checkpoint_read_file(wte_checkpoint *c, const char *path, wte_error *err);
/** A checkpoint of bytes that the caller keeps as long as it lives. */
wte_status wte__checkpoint_of_bytes(const unsigned char *data, size_t size, const char *path,
                                    wte_checkpoint **out, wte_error *err);

/** shards.c: read the files that an index names, from the index's folder. */
wte_status wte__shards_read(wte_checkpoint *c, const unsigned char *data, size_t size,
                            const char *path, wte_error *err);
/** pytorch_zip.c: torch.save since 1.6. */
wte_status wte__pytorch_zip_read(wte_checkpoint *c, const unsigned char *data, size_t size,
                                 const char *path, wte_error *err);
/** pytorch_legacy.c: torch.save before 1.6. */
bool wte__pytorch_legacy_looks(const unsigned char *data, size_t size);
wte_status wte__pytorch_legacy_read(wte_checkpoint *c, const unsigned char *data, size_t size,
                                    const char *path, wte_error *err);
#endif
