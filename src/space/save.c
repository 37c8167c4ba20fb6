/* SPDX-License-Identifier: MIT */
/* save.c - writing a space to a file
 *
 * The word2vec formats are written in rounds: each thread formats one block of rows into its
 * buffer, then the blocks are written in order, so the file does not depend on the number of
 * threads. wte's own layout is built by the code that builds indexes, and gets all that an index
 * has, so that opening it computes nothing. Either way the file appears under its name when it is
 * complete. */
#include <stdlib.h>
#include "format/number.h"
#include "space/build.h"
#include "space/index.h"

enum { BLOCK_BYTES = 1 << 20, LAYOUT_HEADER = 4096 };

/* ---- word2vec --------------------------------------------------------------------------- */

typedef struct buffer {
    char *bytes;
    size_t size, capacity;
    bool failed;
    float *row; /* [dim] */
} buffer;

typedef struct writing {
    const wte_space *space;
    bool text;
    uint32_t block_rows, first; /* of this round */
    buffer *buffers;            /* [n_threads] one for each block of a round */
} writing;

static void format_block(void *ctx, size_t block, unsigned worker)
{
    const writing *w = ctx;
    const wte_space *space = w->space;
    const size_t dim = space->rows.dim;
    buffer *b = &w->buffers[block];
    uint64_t begin = w->first + (uint64_t)block * w->block_rows, end = begin + w->block_rows;

    (void)worker;
    b->size = 0;
    if (end > space->rows.n_rows)
        end = space->rows.n_rows;
    for (uint64_t i = begin; i < end && !b->failed; i++) {
        size_t len = 0;
        const char *word = wte_space_word(space, (uint32_t)i, &len);

        /* the longest number takes 16 bytes with its space: "-1.23456789e-38 " */
        if (!wte__grow((void **)&b->bytes, &b->capacity, b->size + len + dim * 18 + 32, 1)) {
            b->failed = true;
            return;
        }
        wte__row_to_f32(&space->rows, i, b->row);
        if (len)
            memcpy(b->bytes + b->size, word, len);
        b->size += len;
        if (w->text) {
            for (size_t d = 0; d < dim; d++) {
                b->bytes[b->size++] = ' ';
                b->size += wte__number_print(b->row[d], b->bytes + b->size);
            }
        } else {
            b->bytes[b->size++] = ' ';
            memcpy(b->bytes + b->size, b->row, dim * sizeof *b->row);
            b->size += dim * sizeof *b->row;
        }
        b->bytes[b->size++] = '\n';
    }
}

/* Words end at the first space, and rows of text at the first newline. */
static wte_status check_words(const wte_space *space, const char *path, wte_error *err)
{
    for (uint32_t i = 0; i < space->rows.n_rows; i++) {
        size_t len = 0;
        const char *word = wte_space_word(space, i, &len);
        bool has_space = len && memchr(word, ' ', len), has_line = len && memchr(word, '\n', len);
        char shown[128];

        if (has_space || has_line)
            return wte__fail(
                err, WTE_E_FORMAT,
                "%s: the word '%s' of row %u contains a %s, which no word2vec file can "
                "hold (.safetensors can)",
                path, wte__show_word(word, len, shown, sizeof shown), i,
                has_space ? "space" : "newline");
    }
    return WTE_OK;
}

static wte_status write_rounds(writing *w, wte__outfile *file, unsigned n_threads,
                               const wte_open_options *options, wte_error *err)
{
    const wte_space *space = w->space;
    const uint32_t n_rows = space->rows.n_rows;
    wte__progress progress;
    uint64_t place;
    char header[64];
    wte_status status;

    snprintf(header, sizeof header, "%u %zu\n", n_rows, space->rows.dim);
    place = strlen(header);
    status = wte__outfile_pwrite(file, header, place, 0, err);
    wte__progress_begin(&progress, options->progress, options->progress_data, "writing", n_rows);
    for (uint64_t first = 0; first < n_rows && status == WTE_OK;
         first += (uint64_t)n_threads * w->block_rows) {
        uint64_t left = n_rows - first;
        size_t n_blocks = (left + w->block_rows - 1) / w->block_rows;

        if (n_blocks > n_threads)
            n_blocks = n_threads;
        w->first = (uint32_t)first;
        wte__parallel(n_blocks, n_threads, format_block, w);
        for (size_t i = 0; i < n_blocks && status == WTE_OK; i++) {
            if (w->buffers[i].failed)
                return wte__fail(err, WTE_E_NOMEM, "no memory to write %s", file->path);
            status = wte__outfile_pwrite(file, w->buffers[i].bytes, w->buffers[i].size, place, err);
            place += w->buffers[i].size;
        }
        if (status == WTE_OK && wte__progress_add(&progress, n_blocks * w->block_rows, 0))
            status = wte__fail(err, WTE_E_CANCELLED, "%s: cancelled", file->path);
    }
    if (status == WTE_OK && wte__progress_end(&progress))
        status = wte__fail(err, WTE_E_CANCELLED, "%s: cancelled", file->path);
    return status;
}

static wte_status save_word2vec(const wte_space *space, wte__outfile *file, bool text,
                                const wte_open_options *options, wte_error *err)
{
    const size_t per_row = space->rows.dim * (text ? 12 : 4) + 16;
    writing w = {.space = space, .text = text, .block_rows = 1};
    unsigned n_threads;
    wte_status status;

    if (per_row < BLOCK_BYTES)
        w.block_rows = (uint32_t)(BLOCK_BYTES / per_row);
    n_threads = wte__threads(options->n_threads, space->rows.n_rows / w.block_rows + 1);
    w.buffers = wte__calloc(n_threads, sizeof *w.buffers);
    status = w.buffers ? WTE_OK : WTE_E_NOMEM;
    for (unsigned i = 0; i < n_threads && status == WTE_OK; i++) {
        w.buffers[i].row = wte__calloc(space->rows.dim, sizeof(float));
        if (!w.buffers[i].row)
            status = WTE_E_NOMEM;
    }
    if (status == WTE_OK)
        status = write_rounds(&w, file, n_threads, options, err);
    else
        wte__fail(err, WTE_E_NOMEM, "no memory to write %s", file->path);
    for (unsigned i = 0; w.buffers && i < n_threads; i++) {
        wte__free(w.buffers[i].bytes);
        wte__free(w.buffers[i].row);
    }
    wte__free(w.buffers);
    return status;
}

/* ---- wte's own layout ------------------------------------------------------------------- */

typedef struct copying {
    wte__build b;
    const wte_space *space;
} copying;

static void copy_block(void *ctx, size_t block, unsigned worker)
{
    copying *c = ctx;
    wte__build *b = &c->b;
    wte__scratch *s = &b->scratch[worker];
    const wte__rows *rows = &c->space->rows;
    const uint32_t first = (uint32_t)block * b->block_rows;
    const uint32_t n = b->n_rows - first < b->block_rows ? b->n_rows - first : b->block_rows;
    uint64_t begin = 0, total = 0;
    wte_error err;

    if (b->stopped || b->progress.cancelled)
        return;
    for (uint32_t i = 0; i < n; i++) {
        size_t len = 0;

        wte_space_word(c->space, first + i, &len);
        s->numbers[i] = (uint64_t)((const unsigned char *)wte__row(rows, first + i) - rows->base);
        s->word_len[i] = (uint32_t)len;
        total += len;
    }
    if (!wte__grow((void **)&s->words, &s->words_capacity, total + 1, 1)) {
        wte__fail(&err, WTE_E_NOMEM, "no memory for %llu bytes of words",
                  (unsigned long long)total);
        wte__build_fail(b, first, &err);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        size_t len = 0;
        const char *word = wte_space_word(c->space, first + i, &len);

        if (len)
            memcpy(s->words + begin, word, len);
        begin += len;
    }
    wte__build_words(b, worker, first, n, s->words, s->word_len,
                     c->space->word_offsets[first] - c->space->word_offsets[0]);
    wte__build_numbers(b, worker, first, n, rows->base, s->numbers, 0);
    wte__progress_add(&b->progress, n, worker);
}

static wte_status check_lengths(const wte_space *space, wte_error *err)
{
    const uint64_t *offsets = space->word_offsets;

    for (uint32_t i = 0; i < space->rows.n_rows; i++)
        if (offsets[i + 1] < offsets[i] || offsets[i + 1] > space->words_size ||
            offsets[i + 1] - offsets[i] > UINT32_MAX)
            return wte__fail(err, WTE_E_FORMAT, "%s: the bytes of word %u are not in the file",
                             space->info.name, i);
    return WTE_OK;
}

static wte_status save_layout(const wte_space *space, wte__outfile *file,
                              const wte_open_options *options, wte_error *err)
{
    const uint64_t *offsets = space->word_offsets;
    const uint32_t n = space->rows.n_rows;
    copying c = {.space = space};
    wte_space *copy = wte__space_alloc();
    char *header = NULL;
    size_t header_size = 0;
    wte_status status = check_lengths(space, err);

    if (!copy)
        return wte__fail(err, WTE_E_NOMEM, "no memory to write %s", file->path);
    if (status != WTE_OK) {
        wte_space_free(copy);
        return status;
    }
    status = wte__build_start(&c.b, file->path, n, space->rows.dim, space->rows.dtype,
                              WTE__KEEP_ROWS | WTE__KEEP_CODES, file, LAYOUT_HEADER, 0, options,
                              "writing", err);
    if (status == WTE_OK) {
        wte__parallel(((size_t)n + c.b.block_rows - 1) / c.b.block_rows, c.b.n_threads, copy_block,
                      &c);
        status = wte__build_finish(&c.b, offsets[n] - offsets[0], NULL, copy, err);
    }
    if (status == WTE_OK) {
        copy->info.name = space->info.name; /* borrowed until the header is made */
        copy->info.note = space->info.note;
        status = wte__layout_header(&c.b.layout, copy, NULL, 0, &header, &header_size, err);
    }
    if (status == WTE_OK)
        status = wte__outfile_pwrite(file, header, header_size, 0, err);
    wte__free(header);
    wte__build_free(&c.b);
    wte_space_free(copy);
    return status;
}

wte_status wte_space_save(const wte_space *space, const char *path, wte_space_format format,
                          const wte_open_options *options, wte_error *err)
{
    static const wte_open_options defaults = WTE_OPEN_DEFAULTS;
    wte__outfile file = {-1, NULL, NULL};
    wte_status status = WTE_OK;

    if (!options)
        options = &defaults;
    if (format != WTE_LAYOUT)
        status = check_words(space, path, err);
    if (status == WTE_OK)
        status = wte__outfile_open(&file, path, err);
    if (status != WTE_OK)
        return status;
    if (format == WTE_LAYOUT)
        status = save_layout(space, &file, options, err);
    else
        status = save_word2vec(space, &file, format == WTE_WORD2VEC_TEXT, options, err);
    if (status == WTE_OK)
        return wte__outfile_commit(&file, err);
    wte__outfile_abort(&file);
    return status;
}
