/* SPDX-License-Identifier: MIT */
/** space/build.h - computing all that a space needs, in memory or into a file
 *
 * Rows come in blocks, from several threads. For each its length, its 8-bit codes and the hash of
 * its word are computed while it is in the cache; with a file, the pieces are written to their
 * places at once. Then the hash table is built and the random pairs are drawn. */
#ifndef WTE_SPACE_BUILD_H
#define WTE_SPACE_BUILD_H
#include "space/layout.h"

/** One worker's memory. */
typedef struct wte__scratch {
    uint64_t *numbers;   /* [block_rows] where the numbers of the block's rows begin */
    uint32_t *word_len;  /* [block_rows] */
    uint64_t *offsets;   /* [block_rows] what is written of the two above */
    int8_t *codes;       /* [block_rows, dim] */
    unsigned char *rows; /* [block_rows, stride] */
    float *row;          /* [dim] one widened row */
    char *words;         /* grows */
    size_t words_capacity;
} wte__scratch;

typedef struct wte__build {
    const char *path; /* what is read, for messages */
    uint32_t n_rows;
    size_t dim, row_bytes, stride;
    wte_dtype dtype;
    unsigned keep, n_threads;
    uint32_t block_rows; /* at most so many rows at once */
    wte__outfile *file;  /* NULL: everything stays in memory */
    wte__layout layout;

    float *norms, *scales, *residuals; /* [n_rows]; the last two with codes only */
    uint32_t *hashes;                  /* [n_rows] */
    uint64_t *row_offsets;             /* [n_rows]    these four without a file only, */
    uint64_t *word_offsets;            /* [n_rows + 1] where they are kept */
    unsigned char *rows;               /* [n_rows, stride] */
    char *words;                       /* [words_capacity] */
    uint64_t words_capacity, words_size;

    wte__scratch *scratch; /* [n_threads] */
    wte__progress progress;
    pthread_mutex_t lock;
    _Atomic bool stopped; /* a worker failed, or the caller cancelled */
    wte_status status;
    _Atomic uint64_t failed_at; /* the first row or byte that failed, so that the message does not
                           depend on which thread came first */
    wte_error error;
} wte__build;

/** Prepare a build.
 *   keep      WTE__KEEP_*; codes only with a file
 *   file      written, or NULL; borrowed
 *   data_start  where the file's data begins
 *   words_capacity  without a file: at most so many bytes of words will come
 *   options   threads and progress
 * Errors: E_NOMEM, E_SHAPE. Call wte__build_free() in any case. */
wte_status wte__build_start(wte__build *b, const char *path, uint32_t n_rows, size_t dim,
                            wte_dtype dtype, unsigned keep, wte__outfile *file, uint64_t data_start,
                            uint64_t words_capacity, const wte_open_options *options,
                            const char *what, wte_error *err);
void wte__build_free(wte__build *b);

/** Note that a worker failed; of several, the one with the lowest `at` is reported. */
void wte__build_fail(wte__build *b, uint64_t at, const wte_error *err);

/** Take the numbers of rows first .. first + n.
 *   base     the rows' numbers are at base + offsets[i], or with offsets NULL at base + i * stride
 *   shift    what has to be added to an offset to make it one of the file; done in place */
void wte__build_numbers(wte__build *b, unsigned worker, uint32_t first, uint32_t n,
                        const unsigned char *base, uint64_t *offsets, uint64_t shift);
/** Take their words.
 *   words   [sum of word_len] one after another
 *   begin   bytes of the words of all rows before */
void wte__build_words(wte__build *b, unsigned worker, uint32_t first, uint32_t n, const char *words,
                      const uint32_t *word_len, uint64_t begin);

/** All rows are there: make the hash and the rest and hand everything to a space. With a file, the
 * space's arrays point into a mapping of it; the caller writes the header.
 *   words_size  bytes of all words
 *   source      rows that were not kept are at source + row_offsets
 * Errors: E_NOMEM, E_IO. */
wte_status wte__build_finish(wte__build *b, uint64_t words_size, const unsigned char *source,
                             wte_space *space, wte_error *err);
#endif
