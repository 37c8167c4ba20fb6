/* SPDX-License-Identifier: MIT */
/** token/compiled.h - tokenizers kept in the cache folder, ready to be mapped */
#ifndef WTE_TOKEN_COMPILED_H
#define WTE_TOKEN_COMPILED_H
#include "token/token_internal.h"

/** Files that a tokenizer is made from, and what they are now. */
typedef struct wte__sources {
    char *canonical; /* of the folder or file that was named */
    char **files;    /* [n] "identity path" of each that is read or would be, if it were there */
    size_t n;
} wte__sources;

/** Look at the files of a tokenizer.
 *   path  as wte_tokenizer_open()
 *   out   free with wte__sources_free()
 * Errors: E_NOTFOUND, E_IO, E_NOMEM. */
wte_status wte__sources_look(const char *path, wte__sources *out, wte_error *err);
void wte__sources_free(wte__sources *sources);

/** Open a compiled tokenizer, if there is one for these files as they are now.
 *   file  of the cache folder
 * Errors: E_NOTFOUND (there is none, or it is stale or damaged), E_NOMEM. */
wte_status wte__compiled_open(const char *file, const wte__sources *sources, wte_tokenizer **out,
                              wte_error *err);
/** Write one. Errors: E_IO, E_NOMEM, E_UNSUPPORTED (this machine is big-endian). */
wte_status wte__compiled_write(const char *file, const wte__sources *sources,
                               const wte_tokenizer *tokenizer, wte_error *err);
#endif
