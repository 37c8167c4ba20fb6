/* SPDX-License-Identifier: MIT */
/* cache.c - listing and clearing the cache folder
 *
 * Only names that kept files have (indexes, compiled tokenizers, converted weights), finished or
 * temporary, are ever touched: whatever else somebody keeps in the folder stays. */
#include "wte/cache.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "space/index.h"

/* ---- list ------------------------------------------------------------------------------- */

/* True if a file that the kept one was made from has changed. An index knows one, by numbers; a
 * compiled tokenizer several, each as "file_<n>": its identity and path. */
static bool is_stale(const wte__safetensors *st, const char *source)
{
    char now[WTE__IDENTITY_SIZE], said[WTE__IDENTITY_SIZE], key[32];
    static const char *const keys[] = {"size", "mtime_ns", "inode", "device"};
    uint64_t n_files = 0, number;
    size_t len = 0;

    if (wte__safetensors_number(st, "files", &n_files)) {
        for (uint64_t i = 0; i < n_files; i++) {
            const char *file, *slash;
            char *path;
            bool same;

            snprintf(key, sizeof key, "file_%" PRIu64, i);
            file = wte__safetensors_metadata(st, key);
            slash = file ? strchr(file, '/') : NULL;
            path = slash ? wte__strdup(slash) : NULL;
            if (!path)
                return true;
            wte__cache_decode(path);
            wte__file_identity(path, now);
            wte__free(path);
            len = strlen(now);
            same = slash == file + len + 1 && strncmp(file, now, len) == 0;
            if (!same)
                return true;
        }
        return false;
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        snprintf(key, sizeof key, "source_%s", keys[i]);
        if (!wte__safetensors_number(st, key, &number))
            return true;
        len += (size_t)snprintf(said + len, sizeof said - len, "%s%" PRIu64, i ? " " : "", number);
    }
    wte__file_identity(source, now);
    return strcmp(said, now) != 0;
}

typedef struct listing {
    wte_cache_list *list;
    size_t capacity;
} listing;

static wte_status list_entry(void *ctx, const char *path, const char *name, const struct stat *st,
                             wte_error *err)
{
    listing *l = ctx;
    wte_cache_entry entry = {NULL, NULL, (uint64_t)st->st_size, 1};
    wte__safetensors tensors = {NULL, 0, NULL};
    wte__map map = {0};
    const char *source = NULL;

    if (!wte__cache_is_finished(name))
        return WTE_OK;
    if (wte__map_open(&map, path, NULL) == WTE_OK &&
        wte__safetensors_parse(map.data, map.size, path, &tensors, NULL) == WTE_OK)
        source = wte__safetensors_metadata(&tensors, "source_path");
    entry.file = wte__strdup(path);
    entry.source = wte__strdup(source ? source : "");
    if (entry.source) {
        wte__cache_decode(entry.source);
        if (source)
            entry.stale = is_stale(&tensors, entry.source);
    }
    wte__safetensors_free(&tensors);
    wte__map_close(&map);
    if (!entry.file || !entry.source ||
        !wte__grow((void **)&l->list->entries, &l->capacity, l->list->n + 1, sizeof entry)) {
        wte__free(entry.file);
        wte__free(entry.source);
        return wte__fail(err, WTE_E_NOMEM, "no memory to list the cache folder");
    }
    l->list->entries[l->list->n++] = entry;
    l->list->bytes += entry.bytes;
    return WTE_OK;
}

static int by_source(const void *a, const void *b)
{
    const wte_cache_entry *x = a, *y = b;
    int order = strcmp(x->source, y->source);

    return order ? order : strcmp(x->file, y->file);
}

wte_status wte_cache_get_list(const char *cache_dir, wte_cache_list *out, wte_error *err)
{
    wte_cache_list list = {NULL, NULL, 0, 0};
    listing l = {&list, 0};
    wte_status status = wte__cache_folder(cache_dir, &list.folder, err);

    if (status == WTE_OK)
        status = wte__cache_each(list.folder, list_entry, &l, err);
    if (status != WTE_OK) {
        wte_cache_list_free(&list);
        return status;
    }
    if (list.n > 0)
        qsort(list.entries, list.n, sizeof *list.entries, by_source);
    *out = list;
    return WTE_OK;
}

void wte_cache_list_free(wte_cache_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->n; i++) {
        wte__free(list->entries[i].file);
        wte__free(list->entries[i].source);
    }
    wte__free(list->entries);
    wte__free(list->folder);
    *list = (wte_cache_list){NULL, NULL, 0, 0};
}

/* ---- clear ------------------------------------------------------------------------------ */

typedef struct clearing {
    size_t n;
    uint64_t bytes;
} clearing;

static wte_status clear_entry(void *ctx, const char *path, const char *name, const struct stat *st,
                              wte_error *err)
{
    clearing *c = ctx;

    (void)name;
    if (unlink(path) != 0)
        return errno == ENOENT ? WTE_OK : wte__fail_errno(err, "cannot delete %s", path);
    c->n++;
    c->bytes += (uint64_t)st->st_size;
    return WTE_OK;
}

wte_status wte_cache_clear(const char *cache_dir, size_t *n, uint64_t *bytes, wte_error *err)
{
    clearing c = {0, 0};
    char *folder = NULL;
    wte_status status = wte__cache_folder(cache_dir, &folder, err);

    if (status == WTE_OK)
        status = wte__cache_each(folder, clear_entry, &c, err);
    wte__free(folder);
    if (status != WTE_OK)
        return status;
    if (n)
        *n = c.n;
    if (bytes)
        *bytes = c.bytes;
    return WTE_OK;
}
