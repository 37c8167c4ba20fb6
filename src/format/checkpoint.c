/* SPDX-License-Identifier: MIT */
/* checkpoint.c - the named tensors of a model's files
 *
 * What a file is, is told from its first bytes, never from its name:
 *
 *     first bytes            format
 *     length, '{'            safetensors
 *     '{'                    an index of shards (JSON)
 *     'PK'                   PyTorch's zip
 *     80 02 8A 0A 6C FC ...  PyTorch's older format, which begins with a pickled number
 *     'GGUF'                 GGUF
 *
 * A reader adds tensors in the order of the file. Names go into a hash table; a name that comes
 * twice, in one file or in two shards, is an error, because nothing says which of the two is meant.
 *
 * Parameters are counted by where elements are stored: all extents are sorted, and what an extent
 * shares with those before it does not count again. So GPT-2's tied lm_head.weight counts once.
 *
 * A file may change while it is mapped; that cannot be prevented here, only said
 * (wte__map_path_of).
 */
#include "format/checkpoint_internal.h"
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include "format/gguf.h"
#include "format/safetensors.h"

enum { NAME_SHOWN = 128 };

_Static_assert((int)WTE_MAX_DIMS == (int)WTE__MAX_DIMS, "shapes are copied between the two");

void *wte__checkpoint_block(wte_checkpoint *c, size_t bytes)
{
    void *block;

    if (!wte__grow((void **)&c->blocks, &c->block_capacity, c->n_blocks + 1, sizeof *c->blocks))
        return NULL;
    block = wte__calloc(bytes, 1);
    if (block)
        c->blocks[c->n_blocks++] = block;
    return block;
}

static wte_status no_memory(wte_error *err, const char *path)
{
    return wte__fail(err, WTE_E_NOMEM, "no memory for the list of tensors of %s", path);
}

/* The slot of a name: the one that holds it, or the free one where it would go. */
static size_t slot_of(const wte_checkpoint *c, const char *name, size_t len)
{
    size_t slot = (size_t)wte__hash_seeded(name, len, wte__hash_secret()) & c->slot_mask;

    for (; c->slots[slot]; slot = (slot + 1) & c->slot_mask) {
        const wte__key *key = &c->keys[c->slots[slot] - 1];

        if (key->len == len && memcmp(key->name, name, len) == 0)
            break;
    }
    return slot;
}

/* Make room for one more key in a table that is never more than half full. */
static bool grow_slots(wte_checkpoint *c)
{
    size_t n_slots = c->slots ? 2 * (c->slot_mask + 1) : 64;
    uint32_t *slots;

    if (c->slots && 2 * (c->n_keys + 1) <= c->slot_mask + 1)
        return true;
    slots = wte__calloc(n_slots, sizeof *slots);
    if (!slots)
        return false;
    wte__free(c->slots);
    c->slots = slots;
    c->slot_mask = n_slots - 1;
    for (size_t i = 0; i < c->n_keys; i++)
        slots[slot_of(c, c->keys[i].name, c->keys[i].len)] = (uint32_t)i + 1;
    return true;
}

/* Duplicates are found before a name is copied: a pickle may mention one long string very often. */
static wte_status add_key(wte_checkpoint *c, const char *path, const char *name, size_t len,
                          size_t tensor, const char **copy, wte_error *err)
{
    char *block;
    size_t slot;

    if (len == 0 || memchr(name, '\0', len) || !wte__utf8_valid(name, len))
        return wte__fail(err, WTE_E_FORMAT, "%s: the name of tensor %zu is %s, expected text", path,
                         tensor, len ? "no valid UTF-8" : "empty");
    if (!grow_slots(c))
        return no_memory(err, path);
    slot = slot_of(c, name, len);
    if (c->slots[slot])
        return wte__fail(err, WTE_E_FORMAT, "%s: tensor '%.*s' is %s", path,
                         (int)(len < NAME_SHOWN ? len : NAME_SHOWN), name,
                         c->keys[c->slots[slot] - 1].tensor < c->first_of_file
                             ? "in another shard too"
                             : "there twice");
    block = wte__checkpoint_block(c, len + 1);
    if (!block || !wte__grow((void **)&c->keys, &c->key_capacity, c->n_keys + 1, sizeof *c->keys))
        return no_memory(err, path);
    memcpy(block, name, len);
    c->keys[c->n_keys++] = (wte__key){block, len, tensor};
    c->slots[slot] = (uint32_t)c->n_keys;
    *copy = block;
    return WTE_OK;
}

wte_status wte__checkpoint_add(wte_checkpoint *c, const char *path, const char *name, size_t len,
                               const wte_tensor *tensor, const wte__extent *extent, wte_error *err)
{
    wte_tensor t = *tensor;
    wte_status status;

    if (c->n >= UINT32_MAX / 4)
        return wte__fail(err, WTE_E_FORMAT, "%s: more than %zu tensors", path, c->n);
    if (!wte__grow((void **)&c->tensors, &c->capacity, c->n + 1, sizeof *c->tensors) ||
        !wte__grow((void **)&c->extents, &c->extent_capacity, c->n + 1, sizeof *c->extents))
        return no_memory(err, path);
    status = add_key(c, path, name, len, c->n, &t.name, err);
    if (status != WTE_OK)
        return status;
    c->tensors[c->n] = t;
    c->extents[c->n] = *extent;
    c->n++;
    return WTE_OK;
}

wte_status wte__checkpoint_alias(wte_checkpoint *c, const char *path, const char *name,
                                 wte_error *err)
{
    const char *copy;

    return add_key(c, path, name, strlen(name), c->n - 1, &copy, err);
}

static int by_begin(const void *a, const void *b)
{
    const wte__extent *x = a, *y = b;

    if (x->begin != y->begin)
        return (uintptr_t)x->begin < (uintptr_t)y->begin ? -1 : 1;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes); /* the longer one first */
}

/* Sorts the extents, which nothing needs any more. */
static uint64_t count_parameters(wte_checkpoint *c)
{
    uintptr_t covered = 0;
    uint64_t total = 0;

    if (c->n)
        qsort(c->extents, c->n, sizeof *c->extents, by_begin);
    for (size_t i = 0; i < c->n; i++) {
        const wte__extent *e = &c->extents[i];
        uintptr_t begin = (uintptr_t)e->begin, end = begin + e->bytes;

        if (begin >= covered || e->bytes == 0)
            total += e->elements;
        else if (end > covered) /* an exact part: elements have one size within a storage */
            total += (uint64_t)((double)e->elements * (double)(end - covered) / (double)e->bytes);
        if (end > covered)
            covered = end;
    }
    return total;
}

/* Types come as literals, so that a tensor does not depend on the header it was read from. */
static const char *literal_type(const char *dtype)
{
    static const char *const types[] = {"F64", "F32", "F16",  "BF16",    "I64",
                                        "I32", "I16", "I8",   "U64",     "U32",
                                        "U16", "U8",  "BOOL", "F8_E5M2", "F8_E4M3"};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(dtype, types[i]) == 0)
            return types[i];
    return NULL;
}

static wte_status read_safetensors(wte_checkpoint *c, const unsigned char *data, size_t size,
                                   const char *path, wte_error *err)
{
    wte__safetensors st;
    wte_status status = wte__safetensors_parse(data, size, path, &st, err);

    if (status != WTE_OK)
        return status;
    for (size_t i = 0; i < st.n && status == WTE_OK; i++) {
        const wte__tensor *from = &st.tensors[i];
        wte_tensor t = {.dtype = literal_type(from->dtype),
                        .n_dims = from->n_dims,
                        .data = data + from->begin,
                        .bytes = from->size};
        wte__extent extent = {data + from->begin, from->size, from->size / from->element};

        memcpy(t.shape, from->shape, sizeof t.shape);
        if (!t.dtype)
            status = wte__fail(err, WTE_E_FORMAT, "%s: tensor '%s' has the unknown type '%s'", path,
                               from->name, from->dtype);
        else
            status = wte__checkpoint_add(c, path, from->name, strlen(from->name), &t, &extent, err);
    }
    wte__safetensors_free(&st);
    if (status == WTE_OK)
        snprintf(c->format, sizeof c->format, "safetensors");
    return status;
}

static bool begins(const unsigned char *data, size_t size, const char *with)
{
    size_t n = strlen(with);

    return size >= n && memcmp(data, with, n) == 0;
}

static bool is_index(const unsigned char *data, size_t size)
{
    for (size_t i = 0; i < size && i < 64; i++)
        if (data[i] != ' ' && data[i] != '\n' && data[i] != '\r' && data[i] != '\t')
            return data[i] == '{';
    return false;
}

wte_status wte__checkpoint_read(wte_checkpoint *c, const unsigned char *data, size_t size,
                                const char *path, wte_error *err)
{
    c->first_of_file = c->n;
    if (size == 0)
        return wte__fail(err, WTE_E_FORMAT, "%s: the file is empty, expected a checkpoint", path);
    if (begins(data, size, "GGUF"))
        return wte__gguf_read(c, data, size, path, err);
    if (begins(data, size, "PK"))
        return wte__pytorch_zip_read(c, data, size, path, err);
    if (wte__pytorch_legacy_looks(data, size))
        return wte__pytorch_legacy_read(c, data, size, path, err);
    if (begins(data, size, "version https://git-lfs"))
        return wte__fail(
            err, WTE_E_FORMAT,
            "%s: only a Git LFS pointer to the file, expected the file itself (git lfs "
            "pull fetches it)",
            path);
    /* The first byte of a safetensors file is the low byte of a length, which may be anything. Its
     * ninth is always '{', and a truncated one is better explained as what it claims to be. */
    if (wte__safetensors_looks(data, size) || (size > 8 && data[8] == '{'))
        return read_safetensors(c, data, size, path, err);
    if (data[0] == 0x80 && size > 1 && data[1] <= 5)
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: a pickle, but none of torch.save (its magic number is missing)",
                         path);
    return wte__fail(err, WTE_E_FORMAT,
                     "%s: begins as none of safetensors, PyTorch's zip, PyTorch's older format and "
                     "GGUF",
                     path);
}

wte_status wte__checkpoint_read_file(wte_checkpoint *c, const char *path, wte_error *err)
{
    wte_status status;
    wte__map map;

    if (!wte__grow((void **)&c->maps, &c->map_capacity, c->n_maps + 1, sizeof *c->maps))
        return no_memory(err, path);
    status = wte__map_open(&map, path, err);
    if (status != WTE_OK)
        return status;
    c->maps[c->n_maps++] = map;
    c->info.n_files++;
    c->info.file_bytes += map.size;
    return wte__checkpoint_read(c, map.data, map.size, path, err);
}

static void finish(wte_checkpoint *c)
{
    c->info.format = c->format;
    c->info.note = c->note;
    c->info.n_tensors = c->n;
    c->info.parameters = count_parameters(c);
    wte__free(c->extents);
    c->extents = NULL;
}

wte_status wte__checkpoint_of_bytes(const unsigned char *data, size_t size, const char *path,
                                    wte_checkpoint **out, wte_error *err)
{
    wte_checkpoint *c = wte__calloc(1, sizeof *c);
    wte_status status;

    if (!c)
        return no_memory(err, path);
    c->info.n_files = 1;
    c->info.file_bytes = size;
    status = wte__checkpoint_read(c, data, size, path, err);
    if (status != WTE_OK) {
        wte_checkpoint_free(c);
        return status;
    }
    finish(c);
    *out = c;
    return WTE_OK;
}

/* ---- folders ---------------------------------------------------------------------------- */

/* The only .gguf of a folder; NULL with err filled if there is none, or more than one. */
static char *only_gguf(const char *folder, wte_error *err)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char *found = NULL;
    size_t n = 0;

    if (!dir) {
        wte__fail_errno(err, "%s", folder);
        return NULL;
    }
    while ((entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);

        if (len <= 5 || strcmp(entry->d_name + len - 5, ".gguf") != 0)
            continue;
        if (n++ == 0 && !(found = wte__concat(folder, "/", entry->d_name, NULL))) {
            closedir(dir);
            wte__fail(err, WTE_E_NOMEM, "no memory to open %s", folder);
            return NULL;
        }
    }
    closedir(dir);
    if (n == 1)
        return found;
    wte__free(found);
    if (n == 0)
        wte__fail(err, WTE_E_NOTFOUND,
                  "%s: no model.safetensors, model.safetensors.index.json, pytorch_model.bin or "
                  ".gguf in this folder",
                  folder);
    else
        wte__fail(err, WTE_E_NOTFOUND,
                  "%s: %zu .gguf files, expected one (or give the file's path)", folder, n);
    return NULL;
}

static bool is_folder(const char *path)
{
    DIR *dir = opendir(path);

    if (!dir)
        return false;
    closedir(dir);
    return true;
}

/* The file that a path stands for, in memory of its own; NULL with err filled. */
static char *find_file(const char *path, wte_error *err)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json",
                                        "pytorch_model.bin", "pytorch_model.bin.index.json"};
    char *file;

    if (!is_folder(path)) {
        file = wte__strdup(path);
        if (!file)
            wte__fail(err, WTE_E_NOMEM, "no memory to open %s", path);
        return file;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        file = wte__concat(path, "/", names[i], NULL);
        if (!file) {
            wte__fail(err, WTE_E_NOMEM, "no memory to open %s", path);
            return NULL;
        }
        if (access(file, F_OK) == 0)
            return file;
        wte__free(file);
    }
    return only_gguf(path, err);
}

static wte_status read_path(wte_checkpoint *c, const char *file, wte_error *err)
{
    wte_status status;
    wte__map map;

    if (access(file, F_OK) != 0)
        return wte__fail(err, WTE_E_NOTFOUND, "%s: no such file or folder", file);
    status = wte__map_open(&map, file, err);
    if (status != WTE_OK)
        return status;
    if (!wte__safetensors_looks(map.data, map.size) && is_index(map.data, map.size)) {
        status = wte__shards_read(c, map.data, map.size, file, err);
        wte__map_close(&map);
        return status;
    }
    wte__map_close(&map);
    return wte__checkpoint_read_file(c, file, err);
}

wte_status wte_checkpoint_open(const char *path, wte_checkpoint **out, wte_error *err)
{
    wte_error kept = {0};
    wte_checkpoint *c;
    wte_status status;
    char *file = find_file(path, &kept);

    if (!file) {
        if (err)
            *err = kept;
        return kept.status;
    }
    c = wte__calloc(1, sizeof *c);
    status = c ? read_path(c, file, err) : no_memory(err, path);
    wte__free(file);
    if (status != WTE_OK) {
        wte_checkpoint_free(c);
        return status;
    }
    finish(c);
    *out = c;
    return WTE_OK;
}

void wte_checkpoint_free(wte_checkpoint *c)
{
    if (!c)
        return;
    wte__gguf_free(c->gguf);
    for (size_t i = 0; i < c->n_blocks; i++)
        wte__free(c->blocks[i]);
    for (size_t i = 0; i < c->n_maps; i++)
        wte__map_close(&c->maps[i]);
    wte__free(c->blocks);
    wte__free(c->maps);
    wte__free(c->slots);
    wte__free(c->keys);
    wte__free(c->extents);
    wte__free(c->tensors);
    wte__free(c);
}

const wte_checkpoint_info *wte_checkpoint_get_info(const wte_checkpoint *c)
{
    return &c->info;
}

const wte_tensor *wte_checkpoint_tensor(const wte_checkpoint *c, size_t i)
{
    return i < c->n ? &c->tensors[i] : NULL;
}

const wte_tensor *wte__checkpoint_exact(const wte_checkpoint *c, const char *name)
{
    uint32_t key = c->slots ? c->slots[slot_of(c, name, strlen(name))] : 0;

    return key ? &c->tensors[c->keys[key - 1].tensor] : NULL;
}

/* ---- lookup under the names that different savers give ---------------------------------- */

static const wte_tensor *with_prefix(const wte_checkpoint *c, const char *name)
{
    static const char *const prefixes[] = {"", "transformer.", "bert."};
    char full[512];

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        int n = snprintf(full, sizeof full, "%s%s", prefixes[i], name);
        const wte_tensor *t;

        if (n < 0 || (size_t)n >= sizeof full)
            return i == 0 ? wte__checkpoint_exact(c, name) : NULL;
        t = wte__checkpoint_exact(c, full);
        if (t)
            return t;
    }
    return NULL;
}

const wte_tensor *wte_checkpoint_find(const wte_checkpoint *c, const char *name)
{
    /* TensorFlow's names of a layer norm's scale and shift, in BERT files of 2018 and 2019 */
    static const char *const old[][2] = {{"LayerNorm.weight", "LayerNorm.gamma"},
                                         {"LayerNorm.bias", "LayerNorm.beta"}};
    const wte_tensor *t = with_prefix(c, name);
    size_t len = strlen(name);

    for (size_t i = 0; !t && i < sizeof old / sizeof *old; i++) {
        size_t tail = strlen(old[i][0]);
        char other[512];
        int n;

        if (len < tail || strcmp(name + len - tail, old[i][0]) != 0)
            continue;
        n = snprintf(other, sizeof other, "%.*s%s", (int)(len - tail), name, old[i][1]);
        if (n > 0 && (size_t)n < sizeof other)
            t = with_prefix(c, other);
    }
    return t;
}

const char *wte_checkpoint_metadata(const wte_checkpoint *c, const char *key)
{
    return c->gguf ? wte__gguf_text(c->gguf, key) : NULL;
}
