/* SPDX-License-Identifier: MIT */
/* cache.c - listing and clearing the cache folder
 *
 * Only names that indexes have, finished or temporary, are ever touched: whatever else somebody
 * keeps in the folder stays. */
#include "wte/cache.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "space/index.h"

enum { A_DAY = 24 * 60 * 60 };

static bool is_index(const char *name)
{
    size_t n = strlen(name), ending = strlen(WTE__INDEX_ENDING);

    return n > ending && strcmp(name + n - ending, WTE__INDEX_ENDING) == 0;
}

static bool is_temporary(const char *name)
{
    const char *inside = strstr(name, WTE__INDEX_ENDING ".");
    size_t n = strlen(name);

    return inside && n > 4 && strcmp(name + n - 4, ".tmp") == 0;
}

/* Call fn for each entry of the folder; a folder that is not there has none. */
static wte_status each_entry(const char *folder,
                             wte_status (*fn)(void *ctx, const char *path, const char *name,
                                              const struct stat *st, wte_error *err),
                             void *ctx, wte_error *err)
{
    DIR *dir = opendir(folder);
    wte_status status = WTE_OK;
    struct dirent *entry;

    if (!dir)
        return errno == ENOENT ? WTE_OK : wte__fail_errno(err, "%s", folder);
    while (status == WTE_OK && (entry = readdir(dir)) != NULL) {
        struct stat st;
        char *path;

        if (!is_index(entry->d_name) && !is_temporary(entry->d_name))
            continue;
        path = wte__concat(folder, "/", entry->d_name, (char *)NULL);
        if (!path)
            status = wte__fail(err, WTE_E_NOMEM, "no memory to list %s", folder);
        else if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
            status = fn(ctx, path, entry->d_name, &st, err);
        wte__free(path);
    }
    closedir(dir);
    return status;
}

/* ---- list ------------------------------------------------------------------------------- */

/* Undo the %XX of a path in place. */
static void decode_path(char *path)
{
    char *out = path;

    for (const char *p = path; *p;) {
        unsigned byte;

        if (*p == '%' && sscanf(p + 1, "%2x", &byte) == 1 && p[1] && p[2]) {
            *out++ = (char)byte;
            p += 3;
        } else {
            *out++ = *p++;
        }
    }
    *out = '\0';
}

static bool is_stale(const wte__safetensors *st, const char *source)
{
    wte__map map = {0};
    uint64_t size = 0, mtime = 0, inode = 0;
    bool stale;

    if (wte__map_open(&map, source, NULL) != WTE_OK)
        return true;
    stale = !wte__safetensors_number(st, "source_size", &size) || size != map.size ||
            !wte__safetensors_number(st, "source_mtime_ns", &mtime) ||
            mtime != (uint64_t)map.mtime_ns ||
            !wte__safetensors_number(st, "source_inode", &inode) || inode != map.inode;
    wte__map_close(&map);
    return stale;
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

    if (!is_index(name))
        return WTE_OK;
    if (wte__map_open(&map, path, NULL) == WTE_OK &&
        wte__safetensors_parse(map.data, map.size, path, &tensors, NULL) == WTE_OK)
        source = wte__safetensors_metadata(&tensors, "source_path");
    entry.file = wte__strdup(path);
    entry.source = wte__strdup(source ? source : "");
    if (entry.source) {
        decode_path(entry.source);
        if (source)
            entry.stale = is_stale(&tensors, entry.source);
    }
    wte__safetensors_free(&tensors);
    wte__map_close(&map);
    if (!entry.file || !entry.source ||
        !wte__grow((void **)&l->list->entries, &l->capacity, l->list->n + 1, sizeof entry)) {
        wte__free(entry.file);
        wte__free(entry.source);
        return wte__fail(err, WTE_E_NOMEM, "no memory to list the indexes");
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
        status = each_entry(list.folder, list_entry, &l, err);
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
        status = each_entry(folder, clear_entry, &c, err);
    wte__free(folder);
    if (status != WTE_OK)
        return status;
    if (n)
        *n = c.n;
    if (bytes)
        *bytes = c.bytes;
    return WTE_OK;
}

static wte_status sweep_entry(void *ctx, const char *path, const char *name, const struct stat *st,
                              wte_error *err)
{
    const time_t *now = ctx;

    (void)err;
    if (is_temporary(name) && *now - st->st_mtime > A_DAY)
        unlink(path);
    return WTE_OK;
}

void wte__cache_sweep(const char *folder)
{
    time_t now = time(NULL);

    each_entry(folder, sweep_entry, &now, NULL);
}
