/* SPDX-License-Identifier: MIT */
/** wte/space.h - a vocabulary and a matrix: every row has a word
 *
 * A space is opened from a vector file or made from arrays. A file is mapped, not copied: the rows
 * of a word2vec .bin stay where they are, and only what had to be computed (where rows begin, their
 * lengths, a hash of the words, 8-bit codes) is kept in an index in the user's cache folder, so
 * that the next open is instant. A space never changes once it is made: threads may share it.
 *
 * Words are byte strings. They need not be UTF-8 and may hold any byte. Of several rows with the
 * same word the first counts, as in gensim: the others keep their id and vector but are never
 * found. Rows whose length is 0 or not finite have no direction and are never found by a search
 * either. */
#ifndef WTE_SPACE_H
#define WTE_SPACE_H
#include "wte/status.h"
WTE_BEGIN_DECLS

typedef struct wte_space wte_space;

/** How the numbers of a matrix are stored. */
typedef enum wte_dtype { WTE_F32, WTE_F16, WTE_BF16 } wte_dtype;

typedef enum wte_cache_mode {
    WTE_CACHE_AUTO, /**< keep an index for files of at least WTE_INDEX_MIN bytes (16 MiB unless set)
                     */
    WTE_CACHE_NEVER, /**< neither read nor write the cache folder */
    WTE_CACHE_ALWAYS /**< keep an index for every file, however small */
} wte_cache_mode;

/** Options of wte_space_open(); start from WTE_OPEN_DEFAULTS. */
typedef struct wte_open_options {
    wte_cache_mode cache;
    const char
        *cache_dir;     /**< NULL: $WTE_CACHE, $XDG_CACHE_HOME/wte, ~/.cache/wte, in this order */
    unsigned n_threads; /**< 0: one per processor. Results never depend on it */
    wte_progress_fn progress; /**< or NULL */
    void *progress_data;
} wte_open_options;

#define WTE_OPEN_DEFAULTS                                                                          \
    {                                                                                              \
        WTE_CACHE_AUTO, NULL, 0, NULL, NULL                                                        \
    }

/** What happened to the index when the space was opened. */
typedef enum wte_index_state {
    WTE_INDEX_NONE,    /**< not used: small file, no cache wanted, or the file is its own index */
    WTE_INDEX_BUILT,   /**< made and written by this open */
    WTE_INDEX_REBUILT, /**< one was there, but stale or damaged (index_note says why), and was
                          replaced */
    WTE_INDEX_FOUND,   /**< read from the cache */
    WTE_INDEX_FAILED /**< wanted, but could not be written (index_note says why); the space works */
} wte_index_state;

/** Facts about an open space. Strings live as long as the space. n_duplicates and n_undirected are
 * 0 for the token embeddings of a model, whose rows are read when something first needs them all.
 */
typedef struct wte_space_info {
    const char *name;   /**< file name without folder and ending, or what its metadata says */
    const char *path;   /**< "" for a space made from arrays */
    const char *format; /**< "word2vec binary", "word2vec text", "GloVe text", "fastText text",
                           "wte", "memory"; gzip: "word2vec binary, gzip" */
    wte_dtype dtype;    /**< of the matrix as stored */
    uint32_t n_rows;
    size_t dim;
    uint32_t n_duplicates;     /**< rows whose word an earlier row has */
    uint32_t n_undirected;     /**< rows with length 0 or not finite */
    uint64_t file_bytes;       /**< of the file at `path` */
    uint64_t matrix_bytes;     /**< of the rows alone */
    uint64_t first_row_offset; /**< byte of the file at which row 0's numbers begin, 0 if not mapped
                                  from it */
    int has_codes;             /**< the 8-bit codes that make exact searches fast are there */
    wte_index_state index;
    const char *index_path; /**< "" without an index */
    uint64_t index_bytes;
    const char *index_note; /**< why an index was rebuilt or could not be written, else "" */
    const char *note; /**< what a person should know of the file ("header says 7 rows, the file has
                         6"), else "" */
} wte_space_info;

/** Open a file of word vectors, whichever of the known formats it has.
 *   path     word2vec .bin or text, GloVe, fastText .vec, each also gzipped, or wte's own layout
 *   options  NULL for the defaults; borrowed for the call
 *   out      receives the space, untouched on failure; free with wte_space_free()
 * Errors: E_IO, E_FORMAT (err->offset is the byte), E_NOMEM, E_CANCELLED. */
WTE_API wte_status wte_space_open(const char *path, const wte_open_options *options,
                                  wte_space **out, wte_error *err);

/** Make a space over arrays that the caller keeps.
 *   name          copied; for messages
 *   words         [word_offsets[n_rows]] bytes, all words one after another; borrowed
 *   word_offsets  [n_rows + 1], ascending from 0; borrowed
 *   matrix        [n_rows, stride] of `dtype`, row-major; borrowed
 *   stride        numbers from one row to the next, at least dim
 *   n_threads     for measuring the rows; 0: one per processor
 * The three arrays must outlive the space. Errors: E_SHAPE, E_NOMEM. */
WTE_API wte_status wte_space_new(const char *name, const char *words, const uint64_t *word_offsets,
                                 const void *matrix, wte_dtype dtype, uint32_t n_rows, size_t dim,
                                 size_t stride, unsigned n_threads, wte_space **out,
                                 wte_error *err);

/** Free a space. NULL is allowed. */
WTE_API void wte_space_free(wte_space *space);

/** Tell what is known of a space. The result lives as long as the space. */
WTE_API const wte_space_info *wte_space_get_info(const wte_space *space);

/** Find a word's id.
 *   word  [len] bytes
 *   id    receives the first row with this word
 * Errors: E_NOTFOUND, with suggestions in the message. */
WTE_API wte_status wte_space_find(const wte_space *space, const char *word, size_t len,
                                  uint32_t *id, wte_error *err);

/** Give a row's word: bytes inside the space, not terminated. NULL if `id` is out of range. */
WTE_API const char *wte_space_word(const wte_space *space, uint32_t id, size_t *len);

/** Copy a row, widened to float32.
 *   out  [dim]
 * Errors: E_RANGE. */
WTE_API wte_status wte_space_vector(const wte_space *space, uint32_t id, float *out,
                                    wte_error *err);

/** Give a row's Euclidean length, as float32 of a sum in float64. 0 if `id` is out of range. */
WTE_API float wte_space_norm(const wte_space *space, uint32_t id);

/** Suggest words like one that is not there: by case, then by edit distance (at most 2), then by id.
 *   out    [k] ids
 *   out_n  receives how many were found
 * Cost: one pass over the words. */
WTE_API void wte_space_suggest(const wte_space *space, const char *word, size_t len, size_t k,
                               uint32_t *out, size_t *out_n);

/** Ways to write a space. */
typedef enum wte_space_format {
    WTE_WORD2VEC_BIN,  /**< "N D\n", then word, space, D float32, newline */
    WTE_WORD2VEC_TEXT, /**< the same as text, shortest digits that restore the float32 */
    WTE_LAYOUT         /**< wte's own: a safetensors file that is mapped in place, docs/layout.md */
} wte_space_format;

/** Write a space to a file, atomically: `path` holds either the old content or all of the new.
 * Words that the format cannot hold (a space or newline in word2vec) are an error that names the
 * first. Errors: E_IO, E_FORMAT, E_NOMEM, E_CANCELLED. */
WTE_API wte_status wte_space_save(const wte_space *space, const char *path, wte_space_format format,
                                  const wte_open_options *options, wte_error *err);

/** Find the path of the mapped file that holds an address, or NULL. Safe in a signal handler: a
 * program that catches SIGBUS can say which file became shorter while it was read. */
WTE_API const char *wte_mapped_path(const void *address);

/** Delete what is being written at this moment and not complete: for a program that is about to
 * end. Safe in a signal handler. */
WTE_API void wte_delete_unfinished(void);

WTE_END_DECLS
#endif
