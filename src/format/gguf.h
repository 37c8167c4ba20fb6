/* SPDX-License-Identifier: MIT */
/** format/gguf.h - llama.cpp's model files: tensors and metadata, tokenizer included
 *
 * Versions 2 and 3, little-endian. Source: the format's description, docs/gguf.md of ggml. */
#ifndef WTE_GGUF_H
#define WTE_GGUF_H
#include "format/checkpoint_internal.h"

typedef struct wte__gguf wte__gguf;

wte_status wte__gguf_read(wte_checkpoint *c, const unsigned char *data, size_t size,
                          const char *path, wte_error *err);
void wte__gguf_free(wte__gguf *gguf);
/** A value as text: strings as they are, numbers in decimal, true or false, arrays as "50257
 * strings". NULL if there is none. Lives as long as the checkpoint. */
const char *wte__gguf_text(const wte__gguf *gguf, const char *key);

/** Copy an array of strings of a GGUF's metadata ("tokenizer.ggml.tokens").
 *   strings  the strings one after another, any bytes; free with wte__free()
 *   offsets  [n + 1]: string i is strings[offsets[i]] to strings[offsets[i + 1]]; wte__free()
 * Errors: E_NOTFOUND (no GGUF, or it has no such key), E_FORMAT (no array of strings), E_NOMEM. */
wte_status wte__gguf_strings(const wte_checkpoint *c, const char *key, char **strings,
                             uint64_t **offsets, size_t *n, wte_error *err);
/** Copy an array of whole numbers ("tokenizer.ggml.token_type"); free *out with wte__free().
 * Errors: as above. */
wte_status wte__gguf_integers(const wte_checkpoint *c, const char *key, int64_t **out, size_t *n,
                              wte_error *err);
/** A whole number; false if there is none under this key. */
bool wte__gguf_integer(const wte_checkpoint *c, const char *key, int64_t *out);
#endif
