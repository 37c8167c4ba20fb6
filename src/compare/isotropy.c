/* SPDX-License-Identifier: MIT */
/* isotropy.c - how evenly items fill their space
 *
 * Cosines. The mean over all pairs needs no pair: with unit rows u_i it is (|sum u_i|^2 - n) / (n (n -
 * 1)), and that of the squares (|U'U|^2 - n) / (n (n - 1)), so there is no need to draw some, as
 * Ethayarajh (2019) does.
 *
 * Eigenvalues l of the covariance give three numbers, none of which changes when all l are scaled:
 * participation ratio (sum l)^2 / sum l^2; effective rank exp(-sum q log q), q = l / sum l (Roy and
 * Vetterli 2007); IsoScore (Rudman et al. 2022), which for d dimensions is made of L = sqrt(d) l / |l|,
 * delta = |L - 1| / sqrt(2 (d - sqrt d)), phi = (d - delta^2 (d - sqrt d))^2 / d^2 and is (d phi - 1) /
 * (d - 1). The paper rotates the items first; the variances of rotated items are the eigenvalues.
 *
 * Partition (Mu and Viswanath 2018): Z(c) = sum_i exp(c'x_i) would be the same for all directions c of
 * an isotropic space. The smallest and the largest are looked for among the unit eigenvectors of X'X,
 * not centred, in both directions: the sign of an eigenvector is arbitrary, and Z is not the same for
 * -c. Eigenvectors are columns of LAPACK's result and rows of wte__eigen's. Sums are kept as a maximum
 * and a sum of exp(x - maximum), as rows of length 3000, common in hidden states, overflow otherwise.
 *
 * Hubness (Radovanovic et al. 2010): N_k(x) counts the items that have x among their k nearest; its
 * mean is k, its skewness tells of hubs. Where all N_k are equal there is no skew: 0.
 *
 * Sums over rows are made in stripes whose number follows from the shape alone, so that results do not
 * depend on the number of threads. */
#include <math.h>
#include "compare/neighbors.h"
#include "compare/product.h"
#include "compare/rdm.h"
#include "space/lapack.h"

enum {
    CHUNK = 256,
    MAX_STRIPES = 8,
    STRIPE_BYTES = 128 << 20,
    PARTITION_STRIPES = 64 /* of products, whose sums are kept until they are added in order */
};

/* ---- sums over rows ----------------------------------------------------------------------- */

typedef struct moments {
    const wte_items *items;
    size_t n_stripes, n_chunks, size;
    double *means; /* [dim] */
    double
        *sums; /* [n_stripes, size]: [dim] sum of unit rows, [dim, dim] their products, [dim, dim]
                      products of centred rows; the upper halves */
    double *rows; /* [n_stripes, CHUNK, dim] */
} moments;

static double length_of(const float *x, size_t n)
{
    double squares = 0;

    for (size_t j = 0; j < n; j++)
        squares += (double)x[j] * (double)x[j];
    return sqrt(squares);
}

static void sum_stripe(void *ctx, size_t stripe, unsigned worker)
{
    const moments *m = ctx;
    const size_t dim = m->items->dim;
    double *sum = m->sums + stripe * m->size, *unit = sum + dim, *centred = unit + dim * dim;
    double *rows = m->rows + stripe * CHUNK * dim;

    (void)worker;
    for (size_t c = stripe; c < m->n_chunks; c += m->n_stripes) {
        const size_t begin = c * CHUNK;
        const size_t n = m->items->n - begin < CHUNK ? m->items->n - begin : CHUNK;
        const float *x = m->items->data + begin * dim;

        for (size_t i = 0; i < n; i++) {
            const double length = length_of(x + i * dim, dim);

            for (size_t j = 0; j < dim; j++) {
                rows[i * dim + j] = (double)x[i * dim + j] / length;
                sum[j] += rows[i * dim + j];
            }
        }
        wte__rank_k_update(rows, n, dim, unit);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < dim; j++)
                rows[i * dim + j] = (double)x[i * dim + j] - m->means[j];
        wte__rank_k_update(rows, n, dim, centred);
    }
}

static wte_status sum_rows(moments *m, unsigned n_threads, wte_error *err)
{
    const size_t dim = m->items->dim;

    m->size = dim + 2 * dim * dim;
    m->n_chunks = (m->items->n + CHUNK - 1) / CHUNK;
    m->n_stripes = STRIPE_BYTES / (m->size * sizeof *m->sums);
    m->n_stripes = m->n_stripes > MAX_STRIPES ? MAX_STRIPES : m->n_stripes;
    m->n_stripes = m->n_stripes > m->n_chunks ? m->n_chunks : m->n_stripes;
    m->n_stripes = m->n_stripes ? m->n_stripes : 1;
    m->means = wte__calloc(dim, sizeof *m->means);
    m->sums = wte__calloc(m->n_stripes, m->size * sizeof *m->sums);
    m->rows = wte__calloc(m->n_stripes, CHUNK * dim * sizeof *m->rows);
    if (!m->means || !m->sums || !m->rows)
        return wte__fail(err, WTE_E_NOMEM, "no memory for sums over rows of %zu numbers", dim);
    wte__column_means(m->items, m->means);
    wte__parallel(m->n_stripes, wte__threads(n_threads, m->n_stripes), sum_stripe, m);
    for (size_t stripe = 1; stripe < m->n_stripes; stripe++)
        for (size_t i = 0; i < m->size; i++)
            m->sums[i] += m->sums[stripe * m->size + i];
    return WTE_OK;
}

static void moments_end(moments *m)
{
    wte__free(m->rows);
    wte__free(m->sums);
    wte__free(m->means);
}

static void cosines(const moments *m, wte_isotropy_result *out)
{
    const size_t dim = m->items->dim;
    const double n = (double)m->items->n, *sum = m->sums, *unit = m->sums + dim;
    double first = 0, second = 0, variance;

    for (size_t i = 0; i < dim; i++) {
        first += sum[i] * sum[i];
        second += unit[i * dim + i] * unit[i * dim + i];
        for (size_t j = i + 1; j < dim; j++)
            second += 2 * unit[i * dim + j] * unit[i * dim + j];
    }
    first = (first - n) / (n * (n - 1));
    second = (second - n) / (n * (n - 1));
    variance = second - first * first;
    out->mean_cosine = first > 1 ? 1 : first < -1 ? -1 : first;
    out->sd_cosine = variance > 0 ? sqrt(variance) : 0;
    out->pairs =
        m->items->n % 2 ? (m->items->n - 1) / 2 * m->items->n : m->items->n / 2 * (m->items->n - 1);
}

/* ---- eigenvalues -------------------------------------------------------------------------- */

static double iso_score(const double *l, size_t n_dims)
{
    const double d = (double)n_dims, most = d - sqrt(d);
    double length = 0, distance = 0, delta, phi;

    for (size_t i = 0; i < n_dims; i++)
        length += l[i] * l[i];
    length = sqrt(length);
    for (size_t i = 0; i < n_dims; i++) {
        const double x = sqrt(d) * l[i] / length - 1;

        distance += x * x;
    }
    delta = sqrt(distance / (2 * most));
    phi = (d - delta * delta * most) / d;
    return (d * phi * phi - 1) / (d - 1);
}

static void spectrum(double *l, size_t dim, wte_isotropy_result *out)
{
    double sum = 0, squares = 0, entropy = 0;

    for (size_t i = 0; i < dim; i++) {
        l[i] = l[i] > 0 ? l[i] : 0;
        sum += l[i];
        squares += l[i] * l[i];
    }
    for (size_t i = 0; i < dim; i++)
        if (l[i] > 0)
            entropy -= l[i] / sum * log(l[i] / sum);
    out->iso_score = iso_score(l, dim);
    out->participation_ratio = sum * sum / squares;
    out->effective_rank = exp(entropy);
}

/* ---- partition ---------------------------------------------------------------------------- */

/* sum exp(x) as a maximum and a sum of exp(x - maximum) */
typedef struct log_sum {
    double largest, sum;
} log_sum;

static log_sum add_sums(log_sum a, log_sum b)
{
    if (a.largest < b.largest)
        return add_sums(b, a);
    a.sum += b.sum * exp(b.largest - a.largest);
    return a;
}

typedef struct partition {
    size_t dim;
    log_sum *parts; /* [PARTITION_STRIPES, 2, dim]: along each eigenvector and against it */
} partition;

static void sum_exponentials(void *ctx, size_t begin, size_t end, const double *c, size_t ldc)
{
    const partition *p = ctx;
    log_sum *with = p->parts + begin / WTE__STRIPE * 2 * p->dim, *against = with + p->dim;

    for (size_t j = 0; j < p->dim; j++) {
        double high = c[j], low = c[j], sums[2] = {0, 0};

        for (size_t i = 1; i < end - begin; i++) {
            high = c[i * ldc + j] > high ? c[i * ldc + j] : high;
            low = c[i * ldc + j] < low ? c[i * ldc + j] : low;
        }
        for (size_t i = 0; i < end - begin; i++) {
            sums[0] += exp(c[i * ldc + j] - high);
            sums[1] += exp(low - c[i * ldc + j]);
        }
        with[j] = (log_sum){high, sums[0]};
        against[j] = (log_sum){-low, sums[1]};
    }
}

/* Sum over the rows, PARTITION_STRIPES stripes at a time. totals [2, dim] */
static wte_status sum_partition(const wte_items *items, const wte__packed *directions,
                                unsigned n_threads, log_sum *totals, wte_error *err)
{
    const size_t dim = items->dim, most = PARTITION_STRIPES * WTE__STRIPE;
    partition p = {dim, wte__calloc(PARTITION_STRIPES, 2 * dim * sizeof(log_sum))};
    wte_status status = WTE_OK;

    if (!p.parts)
        return wte__fail(err, WTE_E_NOMEM, "no memory for sums along %zu directions", dim);
    for (size_t begin = 0; begin < items->n && status == WTE_OK; begin += most) {
        const size_t n = items->n - begin < most ? items->n - begin : most;
        const wte__view view = {NULL, items->data + begin * dim, NULL, n, dim, dim, 1};

        status =
            wte__products(&view, directions, false, n_threads, NULL, sum_exponentials, &p, err);
        for (size_t s = 0; s < (n + WTE__STRIPE - 1) / WTE__STRIPE && status == WTE_OK; s++)
            for (size_t j = 0; j < 2 * dim; j++)
                totals[j] =
                    begin + s == 0 ? p.parts[j] : add_sums(totals[j], p.parts[s * 2 * dim + j]);
    }
    wte__free(p.parts);
    return status;
}

/* vectors [dim, dim], one in each row */
static wte_status find_partition(const wte_items *items, const double *vectors, unsigned n_threads,
                                 double *out, wte_error *err)
{
    const size_t dim = items->dim;
    const wte__view view = {vectors, NULL, NULL, dim, dim, dim, 1};
    log_sum *totals = wte__calloc(2 * dim, sizeof *totals);
    wte__packed directions = {0};
    double least = INFINITY, most = -INFINITY;
    wte_status status = WTE_OK;

    if (!totals)
        return wte__fail(err, WTE_E_NOMEM, "no memory for sums along %zu directions", dim);
    status = wte__pack_b(&view, false, n_threads, &directions, err);
    if (status == WTE_OK)
        status = sum_partition(items, &directions, n_threads, totals, err);
    for (size_t j = 0; j < 2 * dim && status == WTE_OK; j++) {
        const double z = totals[j].largest + log(totals[j].sum);

        least = z < least ? z : least;
        most = z > most ? z : most;
    }
    if (status == WTE_OK)
        *out = exp(least - most);
    wte__packed_free(&directions);
    wte__free(totals);
    return status;
}

/* All that follows from products of rows. */
static wte_status find_geometry(const wte_items *items, unsigned n_threads,
                                wte_isotropy_result *out, wte_error *err)
{
    const size_t dim = items->dim;
    moments m = {.items = items};
    double *values = wte__calloc(dim, sizeof *values);
    double *vectors = wte__calloc(dim, dim * sizeof *vectors);
    double *matrix = wte__calloc(dim, dim * sizeof *matrix), *centred;
    wte_status status = WTE_OK;

    if (!values || !vectors || !matrix)
        status = wte__fail(err, WTE_E_NOMEM, "no memory for a [%zu, %zu] covariance", dim, dim);
    if (status == WTE_OK)
        status = sum_rows(&m, n_threads, err);
    if (status != WTE_OK)
        goto done;
    cosines(&m, out);
    centred = m.sums + dim + dim * dim;
    for (size_t i = 0; i < dim; i++)
        for (size_t j = 0; j < dim; j++)
            matrix[i * dim + j] = centred[i * dim + j] + (double)items->n * m.means[i] * m.means[j];
    status = wte__eigen(centred, dim, dim, values, vectors, err);
    if (status != WTE_OK)
        goto done;
    spectrum(values, dim, out);
    status = wte__eigen(matrix, dim, dim, values, vectors, err);
    if (status == WTE_OK)
        status = find_partition(items, vectors, n_threads, &out->partition, err);
done:
    moments_end(&m);
    wte__free(matrix);
    wte__free(vectors);
    wte__free(values);
    return status;
}

/* ---- hubness ------------------------------------------------------------------------------ */

/* Draw `most` of n numbers, ascending: each is taken with the chance that keeps the count right
 * (Knuth, The Art of Computer Programming 2, algorithm 3.4.2S). */
static void draw(size_t n, size_t most, uint64_t seed, uint32_t *out)
{
    size_t n_drawn = 0;

    for (size_t i = 0; n_drawn < most; i++)
        if (wte__random(&seed) % (n - i) < most - n_drawn)
            out[n_drawn++] = (uint32_t)i;
}

static double skewness(const uint32_t *counts, size_t n, double mean)
{
    double second = 0, third = 0;

    for (size_t i = 0; i < n; i++) {
        const double d = (double)counts[i] - mean;

        second += d * d;
        third += d * d * d;
    }
    second /= (double)n;
    third /= (double)n;
    return second > 0 ? third / (second * sqrt(second)) : 0;
}

static wte_status find_hubs(const wte_items *items, size_t k, size_t n_hub, uint64_t seed,
                            unsigned n_threads, wte_isotropy_result *out, wte_error *err)
{
    const size_t n = n_hub && n_hub < items->n ? n_hub : items->n;
    uint32_t *ids = NULL, *lists = NULL, *counts = NULL;
    size_t size, none = 0;
    wte_status status = WTE_E_NOMEM;

    if (k == 0 || k > n - 1)
        return wte__fail(err, WTE_E_RANGE, "%zu nearest of %zu of %s, 1 to %zu expected", k, n,
                         wte__items_name(items), n - 1);
    if (n < items->n)
        ids = wte__calloc(n, sizeof *ids);
    counts = wte__calloc(n, sizeof *counts);
    if (!wte__mul_overflows(n, k, &size))
        lists = wte__calloc(size, sizeof *lists);
    if ((n < items->n && !ids) || !counts || !lists) {
        wte__fail(err, WTE_E_NOMEM, "no memory for %zu neighbours of %zu items", k, n);
        goto done;
    }
    if (ids)
        draw(items->n, n, seed, ids);
    status = wte__neighbor_lists(items, ids, n, k, n_threads, lists, err);
    if (status != WTE_OK)
        goto done;
    for (size_t i = 0; i < size; i++)
        counts[lists[i]]++;
    for (size_t i = 0; i < n; i++)
        none += counts[i] == 0;
    out->hubness = skewness(counts, n, (double)k);
    out->anti_hubs = (double)none / (double)n;
    out->hub_items = n;
done:
    wte__free(lists);
    wte__free(counts);
    wte__free(ids);
    return status;
}

/* ---- all of it ---------------------------------------------------------------------------- */

static wte_status check(const wte_items *items, wte_error *err)
{
    wte_status status = wte__check_varied(items, err);

    if (status != WTE_OK)
        return status;
    if (items->dim < 2)
        return wte__fail(err, WTE_E_RANGE, "rows of %s have 1 number, at least 2 expected",
                         wte__items_name(items));
    if (items->n > UINT32_MAX / 2)
        return wte__fail(err, WTE_E_RANGE, "%zu of %s are too many", items->n,
                         wte__items_name(items));
    for (size_t i = 0; i < items->n; i++)
        if (!(length_of(items->data + i * items->dim, items->dim) > 0))
            return wte__fail(err, WTE_E_RANGE, "row %zu of %s is zero: it has no direction", i,
                             wte__items_name(items));
    return WTE_OK;
}

wte_status wte_isotropy(const wte_items *items, size_t k, size_t n_hub, uint64_t seed,
                        unsigned n_threads, wte_isotropy_result *out, wte_error *err)
{
    wte_isotropy_result result = {0};
    wte_status status = check(items, err);

    if (status == WTE_OK)
        status = wte__lapack_load(err);
    if (status == WTE_OK)
        status = find_hubs(items, k, n_hub, seed, n_threads, &result, err);
    if (status == WTE_OK)
        status = find_geometry(items, n_threads, &result, err);
    if (status == WTE_OK)
        *out = result;
    return status;
}
