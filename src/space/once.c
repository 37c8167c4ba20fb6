/* SPDX-License-Identifier: MIT */
/* once.c - one search in a space that nobody has measured
 *
 * The space of a model begins as a matrix in a mapped file and the names of its rows. Searches rest
 * on two things more, the lengths of all rows and a hash of all words, and making these costs as
 * much as the search: a second reading of the matrix. A process that answers one question should
 * not pay for it, so a single query reads the rows once, and finds out on the way what it needs.
 *
 *     length   a cosine is divided by it: computed when the row is in the first-level cache anyway.
 *              For the other measures it only tells whether a row may be found at all, so it is
 *              computed for the rows that come among the k best.
 *     hash     tells rows whose word an earlier row has, which are never found. Vocabularies rarely
 *              have any, so the answer is checked instead: if the word of one of the k rows is
 *              found before it, the space is measured and searched as any other.
 *
 * Scores come from the same function as in every search, with the same lengths, so the answer is
 * the same to the last bit. Nothing is kept: whoever asks for more than a few neighbours, or asks
 * again, gets a measured space.
 *
 * The rows lie in a mapped file of which this process has touched nothing. Mapping its pages, one
 * fault for every sixteen, and unmapping them at the end takes longer than copying them: so a block
 * of rows is read with pread() into memory that stays in the second-level cache, and scored there.
 * Rows that lie in no file, or in one that was replaced meanwhile, are scored where they are. */
#include "space/once.h"
#include <errno.h>
#include <math.h>
#include <unistd.h>

enum { BLOCK_BYTES = 1 << 17, MAX_K = 64 };

/* What one thread has. */
typedef struct searcher {
    wte_space *view;       /* a space of nothing but the block's rows and their lengths */
    wte__scorer scorer;    /* over the view */
    unsigned char *buffer; /* [block_rows, stride], NULL where rows are read in place */
    wte__topk best;
} searcher;

typedef struct once {
    const wte__rows *rows;
    const wte__range *range;
    float *norms;    /* [n_rows] of the rows that were measured */
    bool every_norm; /* the score needs it */
    int fd;          /* of the file the rows lie in, -1 if there is none */
    uint64_t offset; /* of row 0 in it */
    size_t block_rows;
    searcher *searchers; /* [n_workers] */
    wte__progress *progress;
} once;

static bool read_fully(int fd, unsigned char *out, size_t n, uint64_t offset)
{
    while (n > 0) {
        ssize_t got = pread(fd, out, n, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        out += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

/* Bytes of n rows: the last one may not be followed by the gap to the next. */
static size_t bytes_of(const wte__rows *rows, size_t n)
{
    size_t size = rows->dtype == WTE_F32 ? sizeof(float) : sizeof(uint16_t);

    return (n - 1) * rows->stride + rows->dim * size;
}

static void search_block(void *ctx, size_t block, unsigned worker)
{
    const once *o = ctx;
    searcher *s = &o->searchers[worker];
    wte__rows *rows = &s->view->rows;
    size_t begin = o->range->first + block * o->block_rows;
    size_t n = o->range->end - begin < o->block_rows ? o->range->end - begin : o->block_rows;
    float threshold = wte__topk_threshold(&s->best), *norms = o->norms + begin;

    if (wte__progress_add(o->progress, 0, worker))
        return;
    rows->base = wte__row(o->rows, begin);
    if (s->buffer && read_fully(o->fd, s->buffer, bytes_of(o->rows, n),
                                o->offset + (uint64_t)begin * o->rows->stride))
        rows->base = s->buffer;
    s->view->norms = norms;
    for (size_t i = 0; i < n; i++) {
        float score;

        if (o->every_norm) {
            norms[i] = wte__row_norm(rows, i);
            if (!(norms[i] > 0))
                continue;
        }
        score = s->scorer.score(&s->scorer, i);
        if (!(score >= threshold))
            continue;
        if (!o->every_norm)
            norms[i] = wte__row_norm(rows, i);
        if (wte__range_allows(o->range, begin + i)) {
            wte__topk_push(&s->best, score, (uint32_t)(begin + i));
            threshold = wte__topk_threshold(&s->best);
        }
    }
    wte__progress_add(o->progress, n, worker);
}

/* One of 64 bits by a word's length and last byte, so that few words have to be compared. */
static uint64_t bit_of(const char *word, size_t len)
{
    return UINT64_C(1) << (len * 31 + (len ? (unsigned char)word[len - 1] : 0)) % 64;
}

/* Does an earlier row have the word of one of these? */
static bool has_duplicate(const wte_space *space, const wte__topk *found)
{
    const char *words[MAX_K];
    size_t lens[MAX_K];
    uint64_t seen = 0;
    uint32_t last = 0;

    for (size_t i = 0; i < found->n; i++) {
        words[i] = wte_space_word(space, found->items[i].id, &lens[i]);
        seen |= bit_of(words[i], lens[i]);
        last = found->items[i].id > last ? found->items[i].id : last;
    }
    for (uint32_t row = 0; row < last; row++) {
        size_t len = 0;
        const char *word = wte_space_word(space, row, &len);

        if (!(seen & bit_of(word, len)))
            continue;
        for (size_t i = 0; i < found->n; i++)
            if (row < found->items[i].id && len == lens[i] && memcmp(word, words[i], len) == 0)
                return true;
    }
    return false;
}

static void free_searchers(searcher *searchers, unsigned n)
{
    for (unsigned w = 0; searchers && w < n; w++) {
        wte__free(searchers[w].buffer);
        wte__free(searchers[w].view);
    }
    wte__free(searchers);
}

/* Give a thread what it needs; false if there is no memory. */
static bool equip(const once *o, searcher *s, const wte__scorer *scorer, wte__ranked *items,
                  size_t k)
{
    wte__topk_init(&s->best, items, k);
    s->view = wte__calloc(1, sizeof *s->view);
    if (o->fd >= 0)
        s->buffer = wte__alloc_aligned(o->block_rows, o->rows->stride);
    if (!s->view || (o->fd >= 0 && !s->buffer))
        return false;
    s->view->rows = *o->rows;
    s->scorer = *scorer;
    s->scorer.space = s->view;
    return true;
}

static wte_status search(once *o, const wte__scorer *scorer, unsigned n_threads, wte__topk *found,
                         wte_error *err)
{
    const size_t n_rows = o->range->end - o->range->first, k = found->k;
    const size_t n_blocks = (n_rows + o->block_rows - 1) / o->block_rows;
    const unsigned n_workers = wte__threads(n_threads, n_blocks);
    wte__ranked *items = wte__calloc(n_workers, k * sizeof *items);
    bool equipped;

    o->searchers = wte__calloc(n_workers, sizeof *o->searchers);
    equipped = items && o->searchers;
    for (unsigned w = 0; w < n_workers && equipped; w++)
        equipped = equip(o, &o->searchers[w], scorer, items + w * k, k);
    if (equipped) {
        wte__parallel(n_blocks, n_workers, search_block, o);
        for (unsigned w = 0; w < n_workers; w++)
            for (size_t i = 0; i < o->searchers[w].best.n; i++)
                wte__topk_push(found, o->searchers[w].best.items[i].score,
                               o->searchers[w].best.items[i].id);
        wte__topk_sort(found);
    }
    free_searchers(o->searchers, n_workers);
    wte__free(items);
    return equipped
               ? WTE_OK
               : wte__fail(err, WTE_E_NOMEM, "no memory for the %zu best of %zu rows", k, n_rows);
}

wte_status wte__nearest_once(const wte_space *space, const float *query,
                             const wte_search_options *options, wte__topk *found, bool *answered,
                             wte_error *err)
{
    const size_t stride = space->rows.stride;
    wte__scorer scorer;
    wte__range range = {0};
    wte__progress progress;
    once o = {.rows = &space->rows, .range = &range, .fd = -1, .progress = &progress};
    wte_space *measured = NULL; /* the rows with the lengths so far, for the range */
    float *vector = NULL;
    double length;
    wte_status status;

    *answered = false;
    if (options->k > MAX_K || space->rows.offsets || space->rows.n_rows == 0)
        return WTE_OK;
    o.every_norm = options->metric == WTE_COSINE;
    o.block_rows = stride < BLOCK_BYTES ? BLOCK_BYTES / stride : 1;
    measured = wte__calloc(1, sizeof *measured);
    vector = wte__calloc(space->rows.dim, sizeof *vector);
    o.norms = wte__calloc(space->rows.n_rows, sizeof *o.norms);
    if (!measured || !vector || !o.norms) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to search %u rows", space->rows.n_rows);
        goto done;
    }
    measured->rows = space->rows;
    measured->norms = o.norms;
    status = wte__range_init(&range, measured, options, err);
    if (status == WTE_OK)
        status = wte__scorer_init(&scorer, measured, options->metric, query, vector, &length, err);
    if (status != WTE_OK)
        goto done;
    o.fd = wte__map_reopen(space->rows.base, &o.offset);
    wte__progress_begin(&progress, options->progress, options->progress_data, "searching",
                        range.end - range.first);
    status = search(&o, &scorer, options->n_threads, found, err);
    if (o.fd >= 0)
        close(o.fd);
    if (status == WTE_OK && wte__progress_end(&progress))
        status = wte__fail(err, WTE_E_CANCELLED, "search cancelled");
    if (status == WTE_OK)
        *answered = !has_duplicate(space, found);
done:
    wte__range_free(&range);
    wte__free(o.norms);
    wte__free(vector);
    wte__free(measured);
    return status;
}
