/* SPDX-License-Identifier: MIT */
/* space.c - spaces made from arrays, and what every space can tell
 *
 * A space is a set of pointers into memory that somebody holds: a mapped file, the caller's arrays,
 * or blocks of its own, listed in its backing. wte_space_open() (open.c) and the two constructors
 * here fill the same struct, so nothing that works on a space knows where it came from.
 *
 * Arrays that came from a file may hold anything. Word offsets, hash slots and ids are checked
 * where they are used, which costs nothing beside the cache miss of reading them, instead of all at
 * once when the file is opened, which would take longer than opening it.
 *
 * A space over a model's matrix begins without the lengths of its rows and without the hash of its
 * words. Both need a pass over everything, and a process that asks one question may not need them:
 * a first search computes what it needs on its own (once.c). Every other function that does calls
 * wte__space_measure() first. */
#include "wte/space.h"
#include <assert.h>
#include <math.h>
#include "kernel/kernel.h"
#include "space/backing.h"

enum { ROWS_PER_BLOCK = 4096 };

wte_space *wte__space_alloc(void)
{
    wte_space *space = wte__calloc(1, sizeof *space);

    if (!space)
        return NULL;
    space->backing = wte__calloc(1, sizeof *space->backing);
    if (!space->backing || pthread_mutex_init(&space->lock, NULL) != 0) {
        wte__free(space->backing);
        wte__free(space);
        return NULL;
    }
    space->info.name = space->info.path = space->info.format = "";
    space->info.index_path = space->info.index_note = space->info.note = "";
    return space;
}

void wte_space_free(wte_space *space)
{
    struct wte__backing *backing;

    if (!space)
        return;
    backing = space->backing;
    if (space->baseline != backing->file_baseline)
        wte__free(space->baseline);
    wte__map_close(&backing->source);
    wte__map_close(&backing->index);
    for (size_t i = 0; i < backing->n_blocks; i++)
        wte__free(backing->blocks[i]);
    wte__free(backing);
    pthread_mutex_destroy(&space->lock);
    wte__free(space);
}

void wte__space_own(wte_space *space, void *block)
{
    struct wte__backing *backing = space->backing;

    assert(backing->n_blocks < WTE__MAX_BLOCKS);
    if (block)
        backing->blocks[backing->n_blocks++] = block;
}

const char *wte__space_string(wte_space *space, const char *s)
{
    char *copy;

    if (!*s)
        return "";
    copy = wte__strdup(s);
    wte__space_own(space, copy);
    return copy;
}

/* ---- from arrays ------------------------------------------------------------------------ */

typedef struct measuring {
    const wte__rows *rows;
    const char *words; /* NULL: no hashes */
    const uint64_t *word_offsets;
    float *norms;
    uint32_t *hashes;
} measuring;

static void measure_block(void *ctx, size_t block, unsigned worker)
{
    const measuring *m = ctx;
    size_t begin = block * ROWS_PER_BLOCK;
    size_t end =
        m->rows->n_rows - begin < ROWS_PER_BLOCK ? m->rows->n_rows : begin + ROWS_PER_BLOCK;

    (void)worker;
    for (size_t i = begin; i < end; i++) {
        if (m->norms)
            m->norms[i] = wte__row_norm(m->rows, i);
        if (m->hashes)
            m->hashes[i] = (uint32_t)wte__hash(m->words + m->word_offsets[i],
                                               m->word_offsets[i + 1] - m->word_offsets[i]);
    }
}

static void measure(measuring *m, unsigned n_threads)
{
    size_t n_blocks = ((size_t)m->rows->n_rows + ROWS_PER_BLOCK - 1) / ROWS_PER_BLOCK;

    wte__parallel(n_blocks, wte__threads(n_threads, n_blocks), measure_block, m);
}

static uint32_t count_zeros(const float *x, size_t n)
{
    uint32_t zeros = 0;

    for (size_t i = 0; i < n; i++)
        zeros += x[i] == 0;
    return zeros;
}

/* Nothing of the space changes before all of it is there. */
wte_status wte__space_finish(wte_space *space, unsigned n_threads, wte_error *err)
{
    const uint32_t n = space->rows.n_rows;
    const size_t n_slots = wte__hash_slots(n);
    measuring m = {&space->rows, space->words, space->word_offsets, NULL, NULL};
    uint32_t *table = NULL, n_undirected = 0, n_duplicates = 0;
    wte_status status = WTE_OK;

    if (!space->norms)
        m.norms = wte__calloc((size_t)n + 1, sizeof *m.norms);
    if (!space->hash) {
        table = wte__calloc(n_slots, sizeof *table);
        m.hashes = wte__calloc((size_t)n + 1, sizeof *m.hashes);
    }
    if ((!space->norms && !m.norms) || (!space->hash && (!table || !m.hashes))) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to index %u rows", n);
        goto done;
    }
    measure(&m, n_threads);
    if (m.norms)
        n_undirected = count_zeros(m.norms, n);
    if (table) {
        status = wte__hash_build(space->words, space->word_offsets, m.hashes, n, n_threads, table,
                                 &space->hash_seed, m.norms, NULL, &n_duplicates, err);
        if (status != WTE_OK)
            goto done;
        wte__space_own(space, table);
        space->hash = table;
        space->hash_mask = (uint32_t)(n_slots - 1);
        table = NULL;
        if (!space->unmeasured) /* what a caller can see stays as it is */
            space->info.n_duplicates = n_duplicates;
    } else if (m.norms) {
        for (uint32_t i = 0; i < n; i++) {
            size_t len = 0;
            const char *word = wte_space_word(space, i, &len);

            if (wte__hash_find(space, word, len) != i)
                m.norms[i] = 0;
        }
    }
    if (m.norms) {
        wte__space_own(space, m.norms);
        space->norms = m.norms;
        m.norms = NULL;
        if (!space->unmeasured)
            space->info.n_undirected = n_undirected;
    }
done:
    wte__free(table);
    wte__free(m.norms);
    wte__free(m.hashes);
    return status;
}

wte_status wte__space_measure(const wte_space *space, unsigned n_threads, wte_error *err)
{
    /* with the baseline the only things that may change in a space, and only under its lock */
    wte_space *s = (wte_space *)(uintptr_t)space;
    wte_status status = WTE_OK;

    if (!s->unmeasured)
        return WTE_OK;
    pthread_mutex_lock(&s->lock);
    if (s->unmeasured)
        status = wte__space_finish(s, n_threads ? n_threads : s->n_threads, err);
    if (status == WTE_OK)
        s->unmeasured = false;
    pthread_mutex_unlock(&s->lock);
    return status;
}

wte_status wte__space_new_unmeasured(const char *name, const char *words,
                                     const uint64_t *word_offsets, const void *matrix,
                                     wte_dtype dtype, uint32_t n_rows, size_t dim, size_t stride,
                                     unsigned n_threads, wte_space **out, wte_error *err)
{
    const size_t size = dtype == WTE_F32 ? sizeof(float) : sizeof(uint16_t);
    wte_space *space = NULL;
    size_t row_bytes, bytes;

    if (dtype != WTE_F32 && dtype != WTE_F16 && dtype != WTE_BF16)
        return wte__fail(err, WTE_E_SHAPE, "unknown type %d of a matrix", (int)dtype);
    if (dim == 0 || stride < dim || n_rows == UINT32_MAX)
        return wte__fail(err, WTE_E_SHAPE, "no matrix has %u rows of %zu numbers %zu apart", n_rows,
                         dim, stride);
    if (wte__mul_overflows(stride, size, &row_bytes) ||
        wte__mul_overflows(row_bytes, (size_t)n_rows + 1, &bytes))
        return wte__fail(err, WTE_E_SHAPE, "matrix [%u, %zu] is larger than memory", n_rows,
                         stride);
    if (word_offsets[0] != 0)
        return wte__fail(err, WTE_E_SHAPE, "the first word begins at %llu, not at 0",
                         (unsigned long long)word_offsets[0]);
    for (uint32_t i = 0; i < n_rows; i++)
        if (word_offsets[i + 1] < word_offsets[i])
            return wte__fail(err, WTE_E_SHAPE, "word %u ends before it begins", i);

    space = wte__space_alloc();
    if (!space)
        goto nomem;
    space->info.name = wte__space_string(space, name);
    if (!space->info.name)
        goto nomem;
    space->info.format = "memory";
    space->info.dtype = dtype;
    space->info.n_rows = n_rows;
    space->info.dim = dim;
    space->info.matrix_bytes = (uint64_t)n_rows * dim * size;
    space->rows = (wte__rows){matrix, NULL, row_bytes, dtype, n_rows, dim};
    space->words = words;
    space->word_offsets = word_offsets;
    space->words_size = word_offsets[n_rows];
    space->n_threads = n_threads;
    space->unmeasured = true;
    *out = space;
    return WTE_OK;
nomem:
    wte_space_free(space);
    return wte__fail(err, WTE_E_NOMEM, "no memory for a space of %u rows", n_rows);
}

wte_status wte_space_new(const char *name, const char *words, const uint64_t *word_offsets,
                         const void *matrix, wte_dtype dtype, uint32_t n_rows, size_t dim,
                         size_t stride, unsigned n_threads, wte_space **out, wte_error *err)
{
    wte_space *space = NULL;
    wte_status status = wte__space_new_unmeasured(name, words, word_offsets, matrix, dtype, n_rows,
                                                  dim, stride, n_threads, &space, err);

    if (status != WTE_OK)
        return status;
    space->unmeasured = false; /* nobody has it yet: it is measured here and now */
    status = wte__space_finish(space, n_threads, err);
    if (status != WTE_OK) {
        wte_space_free(space);
        return status;
    }
    *out = space;
    return WTE_OK;
}

wte_status wte__space_derive(const wte_space *parent, float *matrix, size_t dim, const char *note,
                             unsigned n_threads, wte_space **out, wte_error *err)
{
    const uint32_t n = parent->rows.n_rows;
    wte_space *space = NULL;
    measuring m = {NULL, NULL, NULL, NULL, NULL};
    wte_status status = wte__space_measure(parent, n_threads, err);

    if (status != WTE_OK)
        return status;
    space = wte__space_alloc();
    if (!space)
        goto nomem;
    m.norms = wte__calloc((size_t)n + 1, sizeof *m.norms);
    wte__space_own(space, m.norms);
    space->info = parent->info;
    space->info.note = wte__space_string(space, note ? note : "");
    if (!m.norms || !space->info.note)
        goto nomem;
    space->info.dtype = WTE_F32;
    space->info.dim = dim;
    space->info.matrix_bytes = (uint64_t)n * dim * sizeof *matrix;
    space->info.first_row_offset = 0;
    space->info.has_codes = 0;
    space->rows =
        (wte__rows){(const unsigned char *)matrix, NULL, dim * sizeof *matrix, WTE_F32, n, dim};
    space->words = parent->words;
    space->word_offsets = parent->word_offsets;
    space->words_size = parent->words_size;
    space->hash = parent->hash;
    space->hash_mask = parent->hash_mask;
    space->hash_seed = parent->hash_seed;
    m.rows = &space->rows;
    measure(&m, n_threads);
    space->info.n_undirected = count_zeros(m.norms, n);
    /* A duplicate stays one; a zero row may have got a direction. */
    for (uint32_t i = 0; i < n; i++)
        if (parent->norms[i] == 0) {
            size_t len = 0;
            const char *word = wte_space_word(parent, i, &len);

            if (wte__hash_find(parent, word, len) != i)
                m.norms[i] = 0;
        }
    space->norms = m.norms;
    wte__space_own(space, matrix);
    *out = space;
    return WTE_OK;
nomem:
    wte_space_free(space);
    return wte__fail(err, WTE_E_NOMEM, "no memory for the lengths of %u rows", n);
}

/* ---- questions -------------------------------------------------------------------------- */

const wte_space_info *wte_space_get_info(const wte_space *space)
{
    return &space->info;
}

const char *wte_space_word(const wte_space *space, uint32_t id, size_t *len)
{
    uint64_t begin, end;

    if (id >= space->rows.n_rows)
        return NULL;
    begin = space->word_offsets[id];
    end = space->word_offsets[id + 1];
    if (end < begin || end > space->words_size) /* a damaged file */
        begin = end = 0;
    if (len)
        *len = end - begin;
    return space->words + begin;
}

wte_status wte_space_find(const wte_space *space, const char *word, size_t len, uint32_t *id,
                          wte_error *err)
{
    wte_status status = wte__space_measure(space, 0, err);
    char shown[128], suggestions[256];
    uint32_t found;

    if (status != WTE_OK)
        return status;
    found = wte__hash_find(space, word, len);
    if (found != UINT32_MAX) {
        *id = found;
        return WTE_OK;
    }
    if (!err)
        return WTE_E_NOTFOUND;
    wte__show_word(word, len, shown, sizeof shown);
    if (*wte__show_suggestions(space, word, len, suggestions, sizeof suggestions))
        return wte__fail(err, WTE_E_NOTFOUND, "'%s' is not in %s \xe2\x80\x94 did you mean %s?",
                         shown, space->info.name, suggestions);
    return wte__fail(err, WTE_E_NOTFOUND, "'%s' is not in %s", shown, space->info.name);
}

wte_status wte_space_vector(const wte_space *space, uint32_t id, float *out, wte_error *err)
{
    if (id >= space->rows.n_rows)
        return wte__fail(err, WTE_E_RANGE, "row %u: %s has %u rows", id, space->info.name,
                         space->rows.n_rows);
    wte__row_to_f32(&space->rows, id, out);
    return WTE_OK;
}

float wte_space_norm(const wte_space *space, uint32_t id)
{
    if (id >= space->rows.n_rows || wte__space_measure(space, 0, NULL) != WTE_OK)
        return 0.0f;
    return space->norms[id];
}
