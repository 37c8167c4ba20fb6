/* SPDX-License-Identifier: MIT */
/* eval_pairs.c - similarities against people's judgements
 *
 * Each line is "word TAB word TAB score"; lines that begin with '#' are comments, and a line of any
 * other form is passed over, as gensim does: that is how the sets' header lines go. The cosines of
 * the pairs are correlated with the scores: Pearson's r, and Spearman's, which is Pearson's of the
 * mid-ranks.
 *
 * The share of unknown pairs is gensim's: of all pairs where they are left out, and of the pairs
 * used (which then are all pairs) where they count as similarity 0. */
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include "space/eval_internal.h"
#include "space/fold.h"
#include "space/geometry.h"
#include "wte/eval.h"

enum { MAX_NUMBER = 64 };

typedef struct pairs {
    double *scores, *similarities; /* [n] */
    size_t n, scores_capacity, similarities_capacity;
} pairs;

static bool append(pairs *p, double score, double similarity)
{
    void *scores = p->scores, *similarities = p->similarities;
    bool ok = wte__grow(&scores, &p->scores_capacity, p->n + 1, sizeof *p->scores);

    p->scores = scores;
    ok = ok &&
         wte__grow(&similarities, &p->similarities_capacity, p->n + 1, sizeof *p->similarities);
    p->similarities = similarities;
    if (!ok)
        return false;
    p->scores[p->n] = score;
    p->similarities[p->n++] = similarity;
    return true;
}

/* Read a decimal number that fills the text but for white space. */
static bool read_number(const char *s, size_t n, locale_t locale, double *out)
{
    char text[MAX_NUMBER], *end;
    const char *word, *rest;
    size_t length = wte__next_word(&s, &n, &word), n_rest;

    rest = s;
    n_rest = n;
    if (length == 0 || length >= sizeof text || wte__next_word(&rest, &n_rest, &s) > 0)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!strchr("0123456789+-.eE", word[i])) /* no hexadecimal, no "nan", no '\0' */
            return false;
    memcpy(text, word, length);
    text[length] = '\0';
    *out = strtod_l(text, &end, locale);
    return *end == '\0' && isfinite(*out);
}

/* Split a line at its tabs; true if there are exactly three fields. */
static bool split(const char *line, size_t n, const char **fields, size_t *lengths)
{
    size_t n_fields = 0;

    for (;;) {
        const char *tab = memchr(line, '\t', n);

        if (n_fields == 3)
            return false;
        fields[n_fields] = line;
        lengths[n_fields++] = tab ? (size_t)(tab - line) : n;
        if (!tab)
            return n_fields == 3;
        n -= (size_t)(tab + 1 - line);
        line = tab + 1;
    }
}

/* Use one line, or pass it over. */
static wte_status use_line(const wte_space *space, const wte_eval_options *options,
                           wte__folded *words, locale_t locale, const char *line, size_t n,
                           pairs *p, wte_eval_pairs_result *result, wte_error *err)
{
    const char *fields[3];
    size_t lengths[3];
    uint32_t a = 0, b = 0;
    double score;
    float similarity = 0;
    wte_status status;

    if (n == 0 || *line == '#' || !split(line, n, fields, lengths) ||
        !read_number(fields[2], lengths[2], locale, &score))
        return WTE_OK;
    status = wte__folded_find(words, fields[0], lengths[0], &a, err);
    if (status == WTE_OK)
        status = wte__folded_find(words, fields[1], lengths[1], &b, err);
    if (status != WTE_OK)
        return status;
    if (a == UINT32_MAX || b == UINT32_MAX) {
        result->oov++;
        if (!options->dummy4unknown)
            return WTE_OK;
    } else {
        status = wte_similarity(space, a, b, &similarity, err);
        if (status != WTE_OK)
            return status;
        if (isnan(similarity)) /* gensim: the dot product with a row of zeros */
            similarity = 0;
    }
    if (!append(p, score, (double)similarity))
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu pairs", p->n + 1);
    if (options->on_pair) {
        const wte_eval_pair pair = {fields[0],  fields[1], lengths[0],
                                    lengths[1], score,     (double)similarity};

        options->on_pair(options->on_pair_data, &pair);
    }
    return WTE_OK;
}

static wte_status correlate(const pairs *p, wte_eval_pairs_result *result, wte_error *err)
{
    wte__placed *placed = wte__calloc(p->n, sizeof *placed);
    double *ranks = wte__calloc(2 * p->n, sizeof *ranks);
    wte_status status = WTE_OK;

    if (!placed || !ranks) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %zu ranks", 2 * p->n);
        goto done;
    }
    result->pearson = wte__pearson(p->scores, p->similarities, p->n);
    /* two pairs always lie on a line: scipy calls that certain chance for r and undefined for rho
     */
    result->pearson_p =
        p->n == 2 && !isnan(result->pearson) ? 1 : wte__correlation_p(result->pearson, p->n);
    wte__mid_ranks(p->scores, p->n, placed, ranks);
    wte__mid_ranks(p->similarities, p->n, placed, ranks + p->n);
    result->spearman = wte__pearson(ranks, ranks + p->n, p->n);
    result->spearman_p = wte__correlation_p(result->spearman, p->n);
done:
    wte__free(ranks);
    wte__free(placed);
    return status;
}

wte_status wte_eval_pairs(const wte_space *space, const char *path, const wte_eval_options *options,
                          wte_eval_pairs_result *out, wte_error *err)
{
    wte_eval_options defaults = WTE_EVAL_DEFAULTS;
    wte_eval_pairs_result result = {0};
    wte__map map = {0};
    wte__folded words = {0};
    wte__lines lines;
    pairs p = {0};
    locale_t locale = (locale_t)0;
    uint32_t n_rows = space->rows.n_rows;
    bool more = true;
    wte_status status;

    if (!options)
        options = &defaults;
    if (options->restrict_vocab && options->restrict_vocab < n_rows)
        n_rows = options->restrict_vocab;
    status = wte__map_open(&map, path, err);
    if (status != WTE_OK)
        return status;
    locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!locale) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for a locale");
        goto done;
    }
    status = wte__folded_init(&words, space, n_rows, options->case_sensitive, err);
    words.prefix_space = options->prefix_space;
    wte__lines_init(&lines, path, &map);
    while (status == WTE_OK && more) {
        const char *line = NULL;
        size_t n = 0;

        status = wte__lines_next(&lines, &line, &n, &more, err);
        if (status == WTE_OK && more)
            status = use_line(space, options, &words, locale, line, n, &p, &result, err);
    }
    if (status != WTE_OK)
        goto done;
    if (p.n + result.oov == 0)
        status = wte__fail(err, WTE_E_FORMAT,
                           "%s: none of its %zu lines is of the form word TAB word TAB score", path,
                           lines.number);
    else if (p.n < 2)
        status = wte__fail(err, WTE_E_RANGE,
                           "%s: %zu pairs have both words in %s, at least 2 expected (%u unknown)",
                           path, p.n, space->info.name, result.oov);
    else
        status = correlate(&p, &result, err);
    if (status != WTE_OK)
        goto done;
    result.pairs = (uint32_t)p.n;
    result.oov_ratio =
        100.0 * result.oov / (options->dummy4unknown ? (double)p.n : (double)p.n + result.oov);
    *out = result;
done:
    wte__free(p.similarities);
    wte__free(p.scores);
    wte__folded_free(&words);
    if (locale)
        freelocale(locale);
    wte__map_close(&map);
    return status;
}
