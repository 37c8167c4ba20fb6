/* SPDX-License-Identifier: MIT */
/* build.c - computing all that a space needs, in memory or into a file
 *
 * The rows of a large file are read once, from memory into the cache, and everything that depends
 * on their numbers is computed there. What is computed goes two ways. Lengths, scales, residuals
 * and hashes of words, 16 bytes a row, stay in memory until the end, because duplicates, known only
 * then, get length and scale 0. The large arrays (codes, offsets, words, copied rows) are written
 * to the index at once, in pieces of some hundred kilobytes, and never held: the memory of a build
 * does not grow with the width of the rows. Writing copies into the page cache; several times
 * faster than storing into a mapping, which takes a page fault for each 4096 bytes.
 *
 * What the 8-bit codes mean is said in codes.c. */
#include "space/build.h"
#include <math.h>
#include <stdlib.h>
#include "kernel/kernel.h"

enum {
    CODES_BLOCK = 1 << 19, /* bytes of codes, or an eighth of the bytes of rows, in a block */
    MAX_BLOCK_ROWS = 4096
};

static void *array(size_t n, size_t size, bool *complete)
{
    void *p = wte__alloc_aligned(n + 1, size);

    *complete &= p != NULL;
    return p;
}

wte_status wte__build_start(wte__build *b, const char *path, uint32_t n_rows, size_t dim,
                            wte_dtype dtype, unsigned keep, wte__outfile *file, uint64_t data_start,
                            uint64_t words_capacity, const wte_open_options *options,
                            const char *what, wte_error *err)
{
    const size_t n = n_rows;
    size_t rows_bytes;
    bool complete = true;

    *b = (wte__build){.path = path, .n_rows = n_rows, .dim = dim, .dtype = dtype, .file = file};
    pthread_mutex_init(&b->lock, NULL);
    b->keep = dim > 65536 ? keep & ~(unsigned)WTE__KEEP_CODES : keep;
    b->row_bytes = dim * (dtype == WTE_F32 ? sizeof(float) : sizeof(uint16_t));
    b->stride = wte__layout_stride(dtype, dim);
    b->block_rows = dim > CODES_BLOCK ? 1 : (uint32_t)(CODES_BLOCK / dim);
    if (b->block_rows > MAX_BLOCK_ROWS)
        b->block_rows = MAX_BLOCK_ROWS;
    if (b->block_rows > n)
        b->block_rows = n ? n_rows : 1;
    b->n_threads = wte__threads(options->n_threads, n / b->block_rows + 1);
    wte__progress_begin(&b->progress, options->progress, options->progress_data, what, n_rows);
    if (!wte__layout_plan(&b->layout, n_rows, dim, dtype, b->keep, data_start) ||
        wte__mul_overflows(b->stride, n, &rows_bytes))
        return wte__fail(err, WTE_E_SHAPE, "%s: %u rows of %zu numbers are too many for memory",
                         path, n_rows, dim);
    if (file) {
        wte_status status = wte__outfile_reserve(file, wte__layout_size(&b->layout), err);

        if (status != WTE_OK)
            return status;
    }
    b->norms = array(n, sizeof *b->norms, &complete);
    b->hashes = array(n, sizeof *b->hashes, &complete);
    if (b->keep & WTE__KEEP_CODES) {
        b->scales = array(n, sizeof *b->scales, &complete);
        b->residuals = array(n, sizeof *b->residuals, &complete);
    }
    if (!file) {
        b->word_offsets = array(n + 1, sizeof *b->word_offsets, &complete);
        b->words_capacity = words_capacity;
        b->words = array(words_capacity + 64, 1, &complete);
        if (b->keep & WTE__KEEP_OFFSETS)
            b->row_offsets = array(n, sizeof *b->row_offsets, &complete);
        if (b->keep & WTE__KEEP_ROWS)
            b->rows = array(n, b->stride, &complete);
    }
    b->scratch = wte__calloc(b->n_threads, sizeof *b->scratch);
    complete &= b->scratch != NULL;
    for (unsigned i = 0; complete && i < b->n_threads; i++) {
        wte__scratch *s = &b->scratch[i];

        s->numbers = array(b->block_rows, sizeof *s->numbers, &complete);
        s->word_len = array(b->block_rows, sizeof *s->word_len, &complete);
        s->offsets = array(b->block_rows, sizeof *s->offsets, &complete);
        s->row = array(dim, sizeof *s->row, &complete);
        if (b->keep & WTE__KEEP_CODES)
            s->codes = array(b->block_rows, dim, &complete);
        if (file && b->keep & WTE__KEEP_ROWS)
            s->rows = array(b->block_rows, b->stride, &complete);
    }
    if (!complete)
        return wte__fail(err, WTE_E_NOMEM, "no memory to read %u rows of %zu numbers", n_rows, dim);
    return WTE_OK;
}

void wte__build_free(wte__build *b)
{
    for (unsigned i = 0; b->scratch && i < b->n_threads; i++) {
        wte__free(b->scratch[i].numbers);
        wte__free(b->scratch[i].word_len);
        wte__free(b->scratch[i].offsets);
        wte__free(b->scratch[i].row);
        wte__free(b->scratch[i].codes);
        wte__free(b->scratch[i].rows);
        wte__free(b->scratch[i].words);
    }
    wte__free(b->scratch);
    wte__free(b->norms);
    wte__free(b->scales);
    wte__free(b->residuals);
    wte__free(b->hashes);
    wte__free(b->row_offsets);
    wte__free(b->word_offsets);
    wte__free(b->rows);
    wte__free(b->words);
    pthread_mutex_destroy(&b->lock);
}

void wte__build_fail(wte__build *b, uint64_t at, const wte_error *err)
{
    pthread_mutex_lock(&b->lock);
    if (!b->stopped || at < b->failed_at) {
        b->status = err->status;
        b->error = *err;
        b->failed_at = at;
        b->stopped = true;
    }
    pthread_mutex_unlock(&b->lock);
}

static void put(wte__build *b, wte__part part, uint64_t at, const void *data, size_t n)
{
    wte_error err;

    if (wte__outfile_pwrite(b->file, data, n, wte__layout_place(&b->layout, part) + at, &err) !=
        WTE_OK)
        wte__build_fail(b, 0, &err);
}

void wte__build_numbers(wte__build *b, unsigned worker, uint32_t first, uint32_t n,
                        const unsigned char *base, uint64_t *offsets, uint64_t shift)
{
    const wte__kernels *k = wte__kernel();
    wte__scratch *s = &b->scratch[worker];
    unsigned char *copy = b->rows ? b->rows + (size_t)first * b->stride : s->rows;

    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *row = base + (offsets ? offsets[i] : i * b->stride);
        const float *x = (const void *)row;
        float norm, scale = 0, residual = 0;

        if (b->dtype == WTE_F16)
            k->f16_to_f32((const void *)row, s->row, b->dim);
        else if (b->dtype == WTE_BF16)
            k->bf16_to_f32((const void *)row, s->row, b->dim);
        if (b->dtype != WTE_F32)
            x = s->row;
        norm = (float)sqrt(k->sumsq_f32(x, b->dim));
        if (!isfinite(norm))
            norm = 0;
        b->norms[first + i] = norm;
        if (b->keep & WTE__KEEP_CODES) {
            int8_t *codes = s->codes + (size_t)i * b->dim;

            if (norm > 0)
                wte__encode(x, b->dim, codes, &scale, &residual);
            else
                memset(codes, 0, b->dim);
            b->scales[first + i] = scale;
            b->residuals[first + i] = residual;
        }
        if (copy && copy + (size_t)i * b->stride != row) {
            memcpy(copy + (size_t)i * b->stride, row, b->row_bytes);
            memset(copy + (size_t)i * b->stride + b->row_bytes, 0, b->stride - b->row_bytes);
        }
    }
    if (b->keep & WTE__KEEP_OFFSETS) {
        for (uint32_t i = 0; i < n; i++)
            offsets[i] += shift;
        if (b->row_offsets)
            memcpy(b->row_offsets + first, offsets, n * sizeof *offsets);
        else
            put(b, WTE__ROW_OFFSETS, (uint64_t)first * sizeof *offsets, offsets,
                n * sizeof *offsets);
    }
    if (b->file && b->keep & WTE__KEEP_CODES)
        put(b, WTE__CODES, (uint64_t)first * b->dim, s->codes, n * b->dim);
    if (b->file && b->keep & WTE__KEEP_ROWS)
        put(b, WTE__VECTORS, (uint64_t)first * b->stride, s->rows, n * b->stride);
}

void wte__build_words(wte__build *b, unsigned worker, uint32_t first, uint32_t n, const char *words,
                      const uint32_t *word_len, uint64_t begin)
{
    uint64_t *offsets = b->word_offsets ? b->word_offsets + first : b->scratch[worker].offsets;
    uint64_t place = begin;

    for (uint32_t i = 0; i < n; i++) {
        offsets[i] = place;
        b->hashes[first + i] = (uint32_t)wte__hash(words + (place - begin), word_len[i]);
        place += word_len[i];
    }
    if (b->file) {
        put(b, WTE__WORD_OFFSETS, (uint64_t)first * sizeof *offsets, offsets, n * sizeof *offsets);
        put(b, WTE__WORDS, begin, words, place - begin);
    } else if (place <= b->words_capacity) {
        memcpy(b->words + begin, words, place - begin);
    }
}

/* ---- the end ---------------------------------------------------------------------------- */

static wte_status write_end(wte__build *b, const uint32_t *table, wte_error *err)
{
    static const unsigned char zeros[64];
    const size_t n = b->n_rows * sizeof(float);
    const wte__tensor *hash = &b->layout.parts[WTE__HASH];

    put(b, WTE__NORMS, 0, b->norms, n);
    if (b->keep & WTE__KEEP_CODES) {
        put(b, WTE__SCALES, 0, b->scales, n);
        put(b, WTE__RESIDUALS, 0, b->residuals, n);
        put(b, WTE__PADDING, 0, zeros, b->layout.parts[WTE__PADDING].size);
    }
    put(b, WTE__HASH, 0, table, hash->size);
    if (b->status != WTE_OK && err)
        *err = b->error;
    return b->status;
}

/* Draw the random pairs; places that stay empty are NaN. */
static float *draw_baseline(wte__build *b, const wte_space *space, size_t *n)
{
    float *baseline = wte__calloc(WTE__N_BASELINE, sizeof *baseline);

    (void)b;
    if (!baseline)
        return NULL;
    *n = wte__baseline_sample(space, baseline);
    for (size_t i = *n; i < WTE__N_BASELINE; i++)
        baseline[i] = NAN;
    return baseline;
}

static wte_status finish_in_file(wte__build *b, uint64_t words_size, const unsigned char *source,
                                 wte_space *space, wte_error *err)
{
    struct wte__backing *backing = space->backing;
    static const unsigned char zeros[64];
    const uint64_t total = words_size;
    uint32_t *table = NULL;
    float *baseline = NULL;
    wte_status status;
    size_t n_baseline = 0;

    wte__layout_set_words(&b->layout, words_size);
    put(b, WTE__WORD_OFFSETS, (uint64_t)b->n_rows * sizeof total, &total, sizeof total);
    if (words_size < sizeof zeros)
        put(b, WTE__WORDS, words_size, zeros, sizeof zeros - words_size);
    if (b->status != WTE_OK) {
        if (err)
            *err = b->error;
        return b->status;
    }
    status = wte__map_fd(&backing->index, b->file->fd, b->file->path, err);
    if (status != WTE_OK)
        return status;
    table = wte__alloc_aligned(wte__hash_slots(b->n_rows), sizeof *table);
    if (!table)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a hash of %u words", b->n_rows);
    space->words = (const char *)backing->index.data + wte__layout_place(&b->layout, WTE__WORDS);
    space->word_offsets =
        (const void *)(backing->index.data + wte__layout_place(&b->layout, WTE__WORD_OFFSETS));
    space->words_size = b->layout.parts[WTE__WORDS].size;
    status = wte__hash_build(space->words, space->word_offsets, b->hashes, b->n_rows, b->n_threads,
                             table, &space->hash_seed, b->norms, b->scales,
                             &space->info.n_duplicates, err);
    if (status == WTE_OK)
        status = write_end(b, table, err);
    wte__free(table);
    if (status != WTE_OK)
        return status;
#define PLACE(part) ((const void *)(backing->index.data + wte__layout_place(&b->layout, part)))
    space->norms = PLACE(WTE__NORMS);
    space->hash = PLACE(WTE__HASH);
    space->hash_mask = (uint32_t)(wte__hash_slots(b->n_rows) - 1);
    space->rows = (wte__rows){source, NULL, b->stride, b->dtype, b->n_rows, b->dim};
    if (b->keep & WTE__KEEP_OFFSETS)
        space->rows.offsets = PLACE(WTE__ROW_OFFSETS);
    if (b->keep & WTE__KEEP_ROWS)
        space->rows.base = PLACE(WTE__VECTORS);
    if (b->keep & WTE__KEEP_CODES) {
        space->codes =
            (wte__codes){PLACE(WTE__CODES), b->dim, PLACE(WTE__SCALES), PLACE(WTE__RESIDUALS)};
        space->info.has_codes = 1;
    }
    baseline = draw_baseline(b, space, &n_baseline);
    if (!baseline)
        return wte__fail(err, WTE_E_NOMEM, "no memory for the random pairs");
    put(b, WTE__BASELINE, 0, baseline, WTE__N_BASELINE * sizeof *baseline);
    wte__free(baseline);
    space->baseline = (float *)(uintptr_t)PLACE(WTE__BASELINE);
#undef PLACE
    backing->file_baseline = space->baseline;
    space->n_baseline = n_baseline;
    if (b->status != WTE_OK && err)
        *err = b->error;
    return b->status;
}

static void give(wte_space *space, void *array_pointer)
{
    void **p = array_pointer;

    wte__space_own(space, *p);
    *p = NULL;
}

static wte_status finish_in_memory(wte__build *b, uint64_t words_size, const unsigned char *source,
                                   wte_space *space, wte_error *err)
{
    uint32_t *table = wte__alloc_aligned(wte__hash_slots(b->n_rows), sizeof *table);
    wte_status status;

    if (!table)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a hash of %u words", b->n_rows);
    wte__space_own(space, table);
    b->word_offsets[b->n_rows] = words_size;
    status = wte__hash_build(b->words, b->word_offsets, b->hashes, b->n_rows, b->n_threads, table,
                             &space->hash_seed, b->norms, NULL, &space->info.n_duplicates, err);
    if (status != WTE_OK)
        return status;
    space->words = b->words;
    space->words_size = words_size;
    space->word_offsets = b->word_offsets;
    space->norms = b->norms;
    space->hash = table;
    space->hash_mask = (uint32_t)(wte__hash_slots(b->n_rows) - 1);
    space->rows = (wte__rows){
        b->rows ? b->rows : source, b->row_offsets, b->stride, b->dtype, b->n_rows, b->dim};
    give(space, &b->words);
    give(space, &b->word_offsets);
    give(space, &b->norms);
    give(space, &b->rows);
    give(space, &b->row_offsets);
    return WTE_OK;
}

wte_status wte__build_finish(wte__build *b, uint64_t words_size, const unsigned char *source,
                             wte_space *space, wte_error *err)
{
    if (wte__progress_end(&b->progress))
        return wte__fail(err, WTE_E_CANCELLED, "%s: cancelled", b->path);
    if (b->status != WTE_OK) {
        if (err)
            *err = b->error;
        return b->status;
    }
    space->info.n_rows = b->n_rows;
    space->info.dim = b->dim;
    space->info.dtype = b->dtype;
    space->info.matrix_bytes = (uint64_t)b->n_rows * b->row_bytes;
    for (uint32_t i = 0; i < b->n_rows; i++)
        space->info.n_undirected += b->norms[i] == 0;
    return b->file ? finish_in_file(b, words_size, source, space, err)
                   : finish_in_memory(b, words_size, source, space, err);
}
