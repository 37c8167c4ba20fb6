/* SPDX-License-Identifier: MIT */
/** format/safetensors.h - named arrays in one file
 *
 * Reading borrows the file's bytes; writing makes the header only. Source: the format's description
 * at github.com/huggingface/safetensors. */
#ifndef WTE_SAFETENSORS_H
#define WTE_SAFETENSORS_H
#include "base/base.h"

enum { WTE__MAX_DIMS = 8 };

typedef struct wte__tensor {
    const char *name;
    const char *dtype; /* "F32", as in the file */
    size_t element;    /* bytes of one */
    size_t shape[WTE__MAX_DIMS];
    size_t n_dims;
    uint64_t begin, size; /* bytes, from the start of the file */
} wte__tensor;

typedef struct wte__safetensors {
    wte__tensor *tensors; /* [n], in the order of their data */
    size_t n;
    struct json_t *json;
} wte__safetensors;

/** True if the bytes begin as a safetensors file does. */
bool wte__safetensors_looks(const unsigned char *data, size_t size);

/** Read the header and check it against the file's size: every tensor's bytes are what its type and
 * shape say, lie inside the file, and together fill it without holes or overlaps.
 *   path  for messages
 *   out   free with wte__safetensors_free()
 * Errors: E_FORMAT, E_NOMEM. */
wte_status wte__safetensors_parse(const unsigned char *data, size_t size, const char *path,
                                  wte__safetensors *out, wte_error *err);
void wte__safetensors_free(wte__safetensors *st);
/** NULL if there is none. */
const wte__tensor *wte__safetensors_find(const wte__safetensors *st, const char *name);
/** A value of __metadata__, NULL if there is none. */
const char *wte__safetensors_metadata(const wte__safetensors *st, const char *key);
/** The same as a number: false if it is missing, no plain decimal number, or too large. */
bool wte__safetensors_number(const wte__safetensors *st, const char *key, uint64_t *out);

/** Make a header, length field included, padded with spaces so that the data begins at a multiple
 * of 64.
 *   metadata   [n_metadata][2] keys and values, UTF-8
 *   tensors    [n]: name, dtype, shape; `begin` and `size` say where the data lies from the start
 *              of the data, in ascending order and without holes
 *   data_start 0, or where the data has to begin: the header is padded up to it
 *   out        the bytes, free with wte__free(); out_size their number
 * Errors: E_NOMEM, E_RANGE (the header does not fit before data_start). */
wte_status wte__safetensors_header(const char *const (*metadata)[2], size_t n_metadata,
                                   const wte__tensor *tensors, size_t n, uint64_t data_start,
                                   char **out, size_t *out_size, wte_error *err);
#endif
