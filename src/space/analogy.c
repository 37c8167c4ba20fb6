/* SPDX-License-Identifier: MIT */
/* analogy.c - a is to b as c is to what
 *
 * The classic answer leaves the three words out, and that is half of why analogies look so good:
 * with all words allowed the nearest to b - a + c is mostly b or c itself (Linzen 2016; Rogers et
 * al. 2017; Nissim et al. 2020). So both answers come out of one search for k + 3 rows: the first k
 * of them are the answer with all words, and what remains without the three is at least k long.
 *
 * 3CosMul (Levy and Goldberg 2014) multiplies and divides shifted cosines instead of adding them.
 * It has no query vector, so it reads the rows and takes their products with all words at once. The
 * arithmetic is gensim's: float32 all through, and 0.000001 added to the divisor. */
#include <math.h>
#include "space/geometry.h"
#include "space/search.h"
#include "wte/nearest.h"

static float score_cosmul(const wte__scorer *s, size_t row)
{
    const wte__rows *rows = &s->space->rows;
    const float norm = s->space->norms[row];
    float positive = 1, negative = 1;

    for (size_t i = 0; i < s->n_positive + s->n_negative; i++) {
        float c = (1 + wte__row_dot(rows, row, s->vectors + i * rows->dim) / norm) / 2;

        if (i < s->n_positive)
            positive *= c;
        else
            negative *= c;
    }
    return positive / (negative + 0.000001f);
}

/* Fill a scorer whose vectors [n_positive + n_negative, dim] the caller frees. */
static wte_status cosmul_init(wte__scorer *s, float **vectors, const wte_space *space,
                              const uint32_t *positive, size_t n_positive, const uint32_t *negative,
                              size_t n_negative, wte_error *err)
{
    const size_t dim = space->rows.dim;
    wte_status status = wte__check_ids(space, positive, n_positive, err);
    size_t n;

    if (status == WTE_OK)
        status = wte__check_ids(space, negative, n_negative, err);
    if (status != WTE_OK)
        return status;
    if (n_positive == 0)
        return wte__fail(err, WTE_E_RANGE, "no positive word: a product of nothing");
    if (__builtin_add_overflow(n_positive, n_negative, &n) || wte__mul_overflows(n, dim, &n))
        return wte__fail(err, WTE_E_NOMEM, "too many words");
    *vectors = wte__calloc(n, sizeof **vectors);
    if (!*vectors)
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu rows", n_positive + n_negative);
    for (size_t i = 0; i < n_positive && status == WTE_OK; i++)
        status = wte__unit_row(space, positive[i], *vectors + i * dim, err);
    for (size_t i = 0; i < n_negative && status == WTE_OK; i++)
        status = wte__unit_row(space, negative[i], *vectors + (n_positive + i) * dim, err);
    *s = (wte__scorer){score_cosmul, space, *vectors, n_positive, n_negative, NULL};
    return status;
}

/* The k best by a scorer, reading all rows. */
static wte_status scan_one(const wte__scorer *s, const wte_search_options *options,
                           wte_neighbor *out, size_t *out_n, wte_error *err)
{
    wte__range range = {0};
    wte__progress progress;
    wte__ranked *items = NULL;
    wte__topk found;
    size_t n_rows, k;
    wte_status status = wte__range_init(&range, s->space, options, err);

    if (status != WTE_OK)
        return status;
    n_rows = range.end - range.first;
    k = options->k < n_rows ? options->k : n_rows;
    k = k ? k : 1;
    items = wte__calloc(k, sizeof *items);
    if (!items) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %zu neighbours", k);
        goto done;
    }
    wte__progress_begin(&progress, options->progress, options->progress_data, "searching", n_rows);
    status = wte__scan(&range, s, 1, k, options->n_threads, &progress, items, &found, err);
    if (status == WTE_OK && wte__progress_end(&progress))
        status = wte__fail(err, WTE_E_CANCELLED, "search cancelled");
    for (size_t i = 0; status == WTE_OK && i < found.n; i++)
        out[i] = (wte_neighbor){items[i].id, items[i].score};
    if (status == WTE_OK)
        *out_n = found.n;
done:
    wte__free(items);
    wte__range_free(&range);
    return status;
}

wte_status wte_nearest_cosmul(const wte_space *space, const uint32_t *positive, size_t n_positive,
                              const uint32_t *negative, size_t n_negative,
                              const wte_search_options *options, wte_neighbor *out, size_t *out_n,
                              wte_error *err)
{
    wte__scorer scorer;
    float *vectors = NULL;
    wte_status status;

    if (options->k == 0)
        return wte__fail(err, WTE_E_RANGE, "0 neighbours asked for, at least 1 expected");
    status = wte__space_measure(space, options->n_threads, err);
    if (status == WTE_OK)
        status =
            cosmul_init(&scorer, &vectors, space, positive, n_positive, negative, n_negative, err);
    if (status == WTE_OK)
        status = scan_one(&scorer, options, out, out_n, err);
    wte__free(vectors);
    return status;
}

/* ---- analogies --------------------------------------------------------------------------- */

/* [dim] b - a + c: of unit rows in float64, or of the rows as they are in float32, left to right.
 */
static wte_status make_query(const wte_space *space, uint32_t a, uint32_t b, uint32_t c, bool raw,
                             float *out, wte_error *err)
{
    const size_t dim = space->rows.dim;
    const uint32_t ids[3] = {b, a, c};
    float *rows = wte__calloc(3, dim * sizeof *rows);
    wte_status status = WTE_OK;

    if (!rows)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a query of %zu numbers", dim);
    for (size_t i = 0; i < 3 && status == WTE_OK; i++) {
        if (raw)
            wte__row_to_f32(&space->rows, ids[i], rows + i * dim);
        else
            status = wte__unit_row(space, ids[i], rows + i * dim, err);
    }
    for (size_t i = 0; i < dim && status == WTE_OK; i++) {
        if (raw)
            out[i] = (rows[i] - rows[dim + i]) + rows[2 * dim + i];
        else
            out[i] = (float)((double)rows[i] - (double)rows[dim + i] + (double)rows[2 * dim + i]);
    }
    wte__free(rows);
    return status;
}

/* The first k of an answer, `skip`ping three rows or none. */
static void write_first(const wte_neighbor *found, size_t n_found, const uint32_t *skip, size_t k,
                        wte_neighbor *out, size_t *out_n)
{
    size_t n = 0;

    for (size_t i = 0; i < n_found && n < k; i++) {
        uint32_t id = found[i].id;

        if (!skip || (id != skip[0] && id != skip[1] && id != skip[2]))
            out[n++] = found[i];
    }
    *out_n = n;
}

/* Search for one more answer than asked for each of the three words, and rank those. */
static wte_status search_sum(const wte_space *space, const uint32_t *abc, bool raw,
                             const wte_search_options *options, wte_neighbor *found,
                             size_t *n_found, uint64_t *query_ranks, wte_error *err)
{
    const size_t dim = space->rows.dim;
    float *query = wte__calloc(dim, sizeof *query);
    wte_search_options everywhere = *options;
    wte_status status;

    if (!query)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a query of %zu numbers", dim);
    status = make_query(space, abc[0], abc[1], abc[2], raw, query, err);
    if (status == WTE_OK)
        status = wte_nearest(space, query, 1, options, found, n_found, NULL, err);
    everywhere.first_row = everywhere.n_rows = 0;
    if (status == WTE_OK && query_ranks)
        status = wte_rank(space, query, abc, 3, &everywhere, query_ranks, NULL, err);
    wte__free(query);
    return status;
}

static wte_status search_product(const wte_space *space, const uint32_t *abc,
                                 const wte_search_options *options, wte_neighbor *found,
                                 size_t *n_found, uint64_t *query_ranks, wte_error *err)
{
    wte__scorer scorer;
    wte__range everywhere = {space, 0, space->rows.n_rows, NULL, 0};
    float *vectors = NULL;
    wte_status status = cosmul_init(&scorer, &vectors, space, abc + 1, 2, abc, 1, err);

    if (status == WTE_OK)
        status = scan_one(&scorer, options, found, n_found, err);
    if (status == WTE_OK && query_ranks)
        status = wte__rank(&everywhere, &scorer, NULL, abc, 3, options->n_threads, query_ranks,
                           NULL, err);
    wte__free(vectors);
    return status;
}

wte_status wte_analogy(const wte_space *space, uint32_t a, uint32_t b, uint32_t c,
                       wte_analogy_method method, const wte_search_options *options,
                       wte_neighbor *without, size_t *n_without, wte_neighbor *with, size_t *n_with,
                       uint64_t *query_ranks, wte_error *err)
{
    const uint32_t abc[3] = {a, b, c};
    wte_search_options more = *options;
    wte_neighbor *found = NULL;
    size_t n_found = 0, k;
    wte_status status = wte__check_ids(space, abc, 3, err);

    if (status != WTE_OK)
        return status;
    if (options->k == 0)
        return wte__fail(err, WTE_E_RANGE, "0 answers asked for, at least 1 expected");
    status = wte__space_measure(space, options->n_threads, err);
    if (status != WTE_OK)
        return status;
    k = options->k < space->rows.n_rows ? options->k : space->rows.n_rows;
    more.k = k + 3;
    more.exclude = NULL;
    more.n_exclude = 0;
    found = wte__calloc(more.k, sizeof *found);
    if (!found)
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu answers", more.k);
    if (method == WTE_ANALOGY_MUL)
        status = search_product(space, abc, &more, found, &n_found, query_ranks, err);
    else if (method == WTE_ANALOGY_ADD || method == WTE_ANALOGY_RAW)
        status = search_sum(space, abc, method == WTE_ANALOGY_RAW, &more, found, &n_found,
                            query_ranks, err);
    else
        status = wte__fail(err, WTE_E_RANGE, "unknown analogy method %d", (int)method);
    if (status == WTE_OK && without)
        write_first(found, n_found, abc, k, without, n_without);
    if (status == WTE_OK && with)
        write_first(found, n_found, NULL, k, with, n_with);
    wte__free(found);
    return status;
}
