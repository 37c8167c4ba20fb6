/* SPDX-License-Identifier: MIT */
/** wte/cache.h - what is kept for files that were opened: indexes of vectors, compiled
 * tokenizers, converted weights */
#ifndef WTE_CACHE_H
#define WTE_CACHE_H
#include "wte/status.h"
WTE_BEGIN_DECLS

typedef struct wte_cache_entry {
    char *file;   /**< path of what is kept */
    char *source; /**< path of the file or folder that it is for, "" if it cannot be read */
    uint64_t bytes;
    int stale; /**< a file that it was made from is gone or has changed */
} wte_cache_entry;

typedef struct wte_cache_list {
    char *folder;
    wte_cache_entry *entries; /**< [n], by source path */
    size_t n;
    uint64_t bytes;
} wte_cache_list;

/** List the cache folder. A folder that does not exist is empty.
 *   cache_dir  NULL for the default, see wte_open_options
 * Errors: E_IO, E_NOMEM. Free with wte_cache_list_free(). */
WTE_API wte_status wte_cache_get_list(const char *cache_dir, wte_cache_list *out, wte_error *err);
WTE_API void wte_cache_list_free(wte_cache_list *list);

/** Delete all of them (and what an interrupted run left behind); nothing else in the folder.
 *   n, bytes  receive how many files and bytes went, or NULL
 * Errors: E_IO. */
WTE_API wte_status wte_cache_clear(const char *cache_dir, size_t *n, uint64_t *bytes,
                                   wte_error *err);

WTE_END_DECLS
#endif
