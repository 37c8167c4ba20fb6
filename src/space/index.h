/* SPDX-License-Identifier: MIT */
/** space/index.h - what is kept in the cache folder for a file that was opened */
#ifndef WTE_SPACE_INDEX_H
#define WTE_SPACE_INDEX_H
#include "base/cache.h"
#include "space/layout.h"

/** The index's path for a file. Free with wte__free(); NULL if there is no memory. */
char *wte__index_path(const char *folder, const char *canonical);

/** Point a space to the index of a file, if there is one that fits.
 *   source   the mapped file
 *   reason   [size] receives why an index that is there cannot be used, else ""
 * On success space->backing->index is the index. Errors: E_NOTFOUND, E_NOMEM. */
wte_status wte__index_find(wte_space *space, const char *index_path, const wte__map *source,
                           char *reason, size_t size, wte_error *err);

/** Bytes to be left for the header of an index of a file. */
uint64_t wte__index_header_size(const char *canonical);
/** Write the header and seal the file. Errors: E_IO, E_NOMEM. */
wte_status wte__index_seal(wte__outfile *file, const wte__layout *layout, const wte_space *space,
                           const char *canonical, const wte__map *source, wte_error *err);

/** Make the header that all files of the layout have in common; extra [n_extra][2] is added.
 * Free with wte__free(). */
wte_status wte__layout_header(const wte__layout *layout, const wte_space *space,
                              const char *const (*extra)[2], size_t n_extra, char **out,
                              size_t *out_size, wte_error *err);
/** Take name, note, format and counts from a file's metadata. Errors: E_NOMEM. */
wte_status wte__layout_describe(wte_space *space, const wte__safetensors *st, wte_error *err);
#endif
