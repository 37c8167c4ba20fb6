/* SPDX-License-Identifier: MIT */
/** format/word2vec.h - word vector files: what they are, and where their rows lie */
#ifndef WTE_WORD2VEC_H
#define WTE_WORD2VEC_H
#include "base/base.h"

typedef enum wte__kind {
    WTE__GZIP,
    WTE__SAFETENSORS,
    WTE__WORD2VEC_BIN,
    WTE__WORD2VEC_TEXT,
    WTE__FASTTEXT, /* word2vec text with a space at the end of each row */
    WTE__GLOVE     /* text without a header */
} wte__kind;

/** What the first bytes of a file say. */
typedef struct wte__sniffed {
    wte__kind kind;
    uint32_t n_rows; /* by the header; 0 for GloVe */
    size_t dim;
    size_t start; /* byte at which the rows begin */
} wte__sniffed;

/** Name a kind as wte_space_info does: "word2vec binary". */
const char *wte__kind_name(wte__kind kind);

/** Find out what a file is. Reads its first lines only.
 * Errors: E_FORMAT (it is none of the known; other common files are named). */
wte_status wte__sniff(const unsigned char *data, size_t size, const char *path, wte__sniffed *out,
                      wte_error *err);

/** A walk from row to row of a word2vec .bin; see word2vec.c. */
typedef struct wte__walker {
    const unsigned char *data;
    size_t size;
    const char *path;
    size_t place; /* where the next row begins */
    size_t stop;  /* no row that begins here or later is walked over */
    uint32_t row, n_rows;
    size_t row_bytes; /* of the numbers of one row */
    size_t guess;     /* from one row to the next, 16 times as fine */
} wte__walker;

void wte__walker_start(wte__walker *w, const unsigned char *data, size_t size, const char *path,
                       const wte__sniffed *sniffed);
/** Go over the next rows.
 *   n         at most so many
 *   numbers   [n] bytes at which their numbers begin
 *   word_len  [n] bytes of their words; word i begins at numbers[i] - 1 - word_len[i]
 *   out_n     how many there were: less than n only at the end or at `stop`
 * Errors: E_FORMAT (the file ends in a row). */
wte_status wte__walk(wte__walker *w, uint32_t n, uint64_t *numbers, uint32_t *word_len,
                     uint32_t *out_n, wte_error *err);
#endif
