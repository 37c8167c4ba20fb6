/* SPDX-License-Identifier: MIT */
/* rank.c - ranks, ties and concordant pairs
 *
 * Triangles of a thousand items have half a million entries, so they are sorted by their bits:
 * float64 numbers become integers of the same order, which a radix sort takes 11 bits at a time,
 * leaving out digits in which all are equal. It is stable, so equal values stay in their place.
 *
 * Kendall's count is Knight's (1966): in the order of a, every pair that a merge sort of b has to
 * turn round is discordant. With T all pairs, T_a and T_b those tied in a list and T_ab in both,
 * concordant - discordant = T - T_a - T_b + T_ab - 2 * discordant. An entry of weight w stands for
 * w entries, which are tied with each other. */
#include "compare/rank.h"

enum { DIGIT = 11, DIGITS = 6, BUCKETS = 1 << DIGIT };

typedef struct keyed {
    uint64_t key;
    uint32_t place;
} keyed;

/* ---- sorting ------------------------------------------------------------------------------ */

static uint64_t key_of(double x)
{
    uint64_t bits;

    x += 0; /* -0 is 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits & (UINT64_C(1) << 63) ? ~bits : bits | UINT64_C(1) << 63;
}

static size_t digit_of(uint64_t key, unsigned digit)
{
    return (size_t)(key >> (digit * DIGIT)) & (BUCKETS - 1);
}

/* Sort by one digit from `from` into `to`; false if all have the same. */
static bool sort_digit(const keyed *from, keyed *to, size_t m, unsigned digit)
{
    size_t start[BUCKETS + 1] = {0};

    for (size_t i = 0; i < m; i++)
        start[digit_of(from[i].key, digit) + 1]++;
    if (start[digit_of(from[0].key, digit) + 1] == m)
        return false;
    for (size_t d = 0; d < BUCKETS; d++)
        start[d + 1] += start[d];
    for (size_t i = 0; i < m; i++)
        to[start[digit_of(from[i].key, digit)]++] = from[i];
    return true;
}

wte_status wte__ranking_init(wte__ranking *r, const double *x, size_t m, wte_error *err)
{
    wte__ranking made = {.m = m};
    keyed *from = NULL, *to = NULL;
    wte_status status = WTE_OK;
    uint32_t group = 0;

    if (m >= UINT32_MAX)
        return wte__fail(err, WTE_E_RANGE, "%zu numbers are too many to rank", m);
    made.order = wte__calloc(m, sizeof *made.order);
    made.group = wte__calloc(m, sizeof *made.group);
    from = wte__calloc(m, sizeof *from);
    to = wte__calloc(m, sizeof *to);
    if (!made.order || !made.group || !from || !to) {
        wte__ranking_free(&made);
        status = wte__fail(err, WTE_E_NOMEM, "no memory to rank %zu numbers", m);
        goto done;
    }
    for (size_t i = 0; i < m; i++)
        from[i] = (keyed){key_of(x[i]), (uint32_t)i};
    for (unsigned digit = 0; digit < DIGITS && m > 0; digit++)
        if (sort_digit(from, to, m, digit)) {
            keyed *sorted = to;

            to = from;
            from = sorted;
        }
    for (size_t i = 0; i < m; i++) {
        group += i > 0 && from[i].key != from[i - 1].key;
        made.order[i] = from[i].place;
        made.group[from[i].place] = group;
    }
    *r = made;
done:
    wte__free(to);
    wte__free(from);
    return status;
}

void wte__ranking_free(wte__ranking *r)
{
    wte__free(r->group);
    wte__free(r->order);
    r->order = r->group = NULL;
}

void wte__weighted_ranks(const wte__ranking *r, const uint32_t *weights, double *out)
{
    double before = 0;
    size_t end;

    for (size_t begin = 0; begin < r->m; begin = end) {
        const uint32_t group = r->group[r->order[begin]];
        double here = 0;

        for (end = begin; end < r->m && r->group[r->order[end]] == group; end++)
            here += weights ? (double)weights[r->order[end]] : 1;
        for (size_t i = begin; i < end; i++)
            out[r->order[i]] = before + (here + 1) / 2;
        before += here;
    }
}

/* ---- concordance -------------------------------------------------------------------------- */

/* Merge neighbouring sorted runs of b; returns the pairs that change places. */
static uint64_t merge(const wte__entry *from, wte__entry *to, size_t begin, size_t middle,
                      size_t end)
{
    uint64_t left = 0, turned = 0;
    size_t i = begin, j = middle;

    for (size_t k = begin; k < middle; k++)
        left += from[k].weight;
    for (size_t k = begin; k < end; k++) {
        if (i < middle && (j == end || from[i].b <= from[j].b)) {
            left -= from[i].weight;
            to[k] = from[i++];
        } else {
            turned += left * from[j].weight;
            to[k] = from[j++];
        }
    }
    return turned;
}

/* Sort a range by b; returns the pairs that change places. The result stays in `entries`. */
static uint64_t sort_by_b(wte__entry *entries, wte__entry *scratch, size_t n)
{
    wte__entry *from = entries, *to = scratch;
    uint64_t turned = 0;

    for (size_t run = 1; run < n; run *= 2) {
        wte__entry *merged = to;

        for (size_t begin = 0; begin < n; begin += 2 * run) {
            size_t middle = n - begin < run ? n : begin + run;
            size_t end = n - middle < run ? n : middle + run;

            turned += merge(from, to, begin, middle, end);
        }
        to = from;
        from = merged;
    }
    if (from != entries)
        memcpy(entries, from, n * sizeof *entries);
    return turned;
}

static double pairs_of(uint64_t n)
{
    return (double)n * ((double)n - 1) / 2;
}

/* Pairs within runs of entries that are equal in b, and in a too where that is asked for. */
static double count_tied(const wte__entry *entries, size_t n, bool both)
{
    double tied = 0;
    uint64_t run = 0;

    for (size_t i = 0; i < n; i++) {
        if (i > 0 &&
            (entries[i].b != entries[i - 1].b || (both && entries[i].a != entries[i - 1].a))) {
            tied += pairs_of(run);
            run = 0;
        }
        run += entries[i].weight;
    }
    return tied + (n ? pairs_of(run) : 0);
}

wte__concordance wte__count_concordance(wte__entry *entries, wte__entry *scratch, size_t n)
{
    wte__concordance c = {0};
    uint64_t total = 0, turned;
    double both;
    size_t end;

    for (size_t begin = 0; begin < n; begin = end) {
        uint64_t run = 0;

        for (end = begin; end < n && entries[end].a == entries[begin].a; end++)
            run += entries[end].weight;
        total += run;
        c.tied[0] += pairs_of(run);
        if (end - begin > 1)
            sort_by_b(entries + begin, scratch, end - begin);
    }
    both = count_tied(entries, n, true);
    turned = sort_by_b(entries, scratch, n);
    c.pairs = pairs_of(total);
    c.tied[1] = count_tied(entries, n, false);
    c.score = c.pairs - c.tied[0] - c.tied[1] + both - 2 * (double)turned;
    return c;
}
