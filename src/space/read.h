/* SPDX-License-Identifier: MIT */
/** space/read.h - from the bytes of a vector file to the arrays of a space */
#ifndef WTE_SPACE_READ_H
#define WTE_SPACE_READ_H
#include "format/word2vec.h"
#include "space/build.h"

/** What is read. */
typedef struct wte__source {
    const unsigned char *data;
    size_t size;
    int fd;           /* the same bytes, to be read instead of mapped */
    const char *path; /* for messages */
    wte__sniffed sniffed;
    bool temporary; /* an unpacked file that is gone after the open: its rows have to be kept */
} wte__source;

/** Read all rows and fill the arrays of a space.
 *   file        to be written, without its header; NULL keeps all in memory
 *   data_start  where the file's data begins
 *   layout      receives what the file holds
 *   note, size  receive what a person should know, or ""
 * Errors: E_FORMAT, E_NOMEM, E_CANCELLED, E_IO (the file cannot be written). */
wte_status wte__read_rows(const wte__source *source, wte__outfile *file, uint64_t data_start,
                          const wte_open_options *options, wte_space *space, wte__layout *layout,
                          char *note, size_t size, wte_error *err);
#endif
