/* SPDX-License-Identifier: MIT */
/* eval_analogies.c - thousands of analogy questions at once
 *
 * A question asks for the row with the highest cos(x, b - a + c). Scores are linear in the three
 * cosines cos(x, b) - cos(x, a) + cos(x, c), and 19,544 questions ask about some 900 words. So all
 * cosines of a block of rows with those words are one matrix product; every question then reads
 * three rows of it. 3CosMul takes the same three numbers.
 *
 *   S [n_words, BLOCK]   cosines of the question words with a block of rows; stays in the L2 cache
 *   L [n_words, PARTS]   the largest of every PART of them
 *   D [BLOCK]            S[b] - S[a], once for all questions with the same a and b
 *
 * Each question keeps the KEPT best rows so far. The sum of the largest entries of D and S[c] in a
 * part bounds what that part can give (float addition is monotonic, so this holds to the last bit),
 * and nearly all parts end there: the product takes the time, not the questions. To have good
 * thresholds from the start, the questions' own words are searched first: the k-th best of any rows
 * is a lower bound of the k-th best of all.
 *
 * The product's sums may differ in the last bits from those of a single query, so the rows kept are
 * scored again in the way that a single query is before their order counts.
 *
 * What is right is gensim 4.2's (evaluate_word_analogies), quirks included, so that numbers can be
 * compared. Words and vocabulary are upper-cased, of rows that become equal the first stands for
 * the word. The rows of a, b and c are left out of the search; of the five best that remain, the
 * first whose upper-cased word is not a, b or c again is the answer, and if there is none, the
 * fifth is. Lines that do not have four words are passed over. Not reproduced:
 * evaluate_word_analogies takes the name of a similarity function and, in 4.2, answers by
 * most_similar whatever it is. */
#include <math.h>
#include <stdlib.h>
#include "space/eval_internal.h"
#include "space/fold.h"
#include "space/gemm.h"
#include "space/geometry.h"
#include "wte/eval.h"

enum {
    BLOCK = 96,           /* rows of one matrix product; a multiple of WTE__GEMM_NR */
    PART = 24,            /* rows that are bounded together */
    PARTS = BLOCK / PART, /* 4: ask_questions() counts on it */
    ASKED = 256,          /* questions that go through the sieves together */
    INSPECTED = 5,        /* best rows that gensim looks at */
    KEPT = 6,             /* some more, as near-ties may change places */
    RESCORE = 128         /* questions per block of work */
};

typedef struct question {
    uint32_t rows[4];  /* a, b, c and the expected answer */
    uint32_t words[3]; /* a, b and c in the list of distinct words */
    uint32_t section;
} question;

/* Questions first..end - 1 share a and b. */
typedef struct pair {
    uint32_t a, b;
    size_t first, end;
} pair;

typedef struct exam {
    const wte_space *space;
    const wte_eval_options *options;
    wte__folded words;
    wte_eval_analogies_result result;
    size_t sections_capacity;
    question *questions; /* [n] by (a, b) once read */
    size_t n, capacity;
    uint32_t *c_words; /* [n] words[2] of the questions, apart to stay in the cache */
    pair *pairs;       /* [n_pairs] */
    size_t n_pairs;
    uint32_t *word_rows; /* [n_words] */
    size_t n_words;
    float *unit;   /* [n_words, dim] */
    float *packed; /* the same in panels */
    wte__progress progress;
    struct desk *desks; /* [n_desks] */
    size_t n_desks;
} exam;

/* What one worker has. */
typedef struct desk {
    float *scratch;      /* [WTE__GEMM_NR, dim] */
    float *panels;       /* [BLOCK / WTE__GEMM_NR, dim, WTE__GEMM_NR] */
    float *scores;       /* S [whole panels of words, BLOCK] */
    float *largest;      /* L [n_words, PARTS] */
    float *thresholds;   /* [n] what a score must reach */
    wte__topk *best;     /* [n] */
    wte__ranked *ranked; /* [n, KEPT] */
    uint32_t rows[BLOCK];
} desk;

/* ---- reading the questions --------------------------------------------------------------- */

static wte_status fail_memory(const exam *e, wte_error *err)
{
    return wte__fail(err, WTE_E_NOMEM, "no memory for %zu analogy questions", e->n + 1);
}

/* ": name" */
static wte_status add_section(exam *e, const char *line, size_t n, wte_error *err)
{
    wte_eval_analogies_result *r = &e->result;
    void *sections = r->sections;
    const char *name, *end;
    bool ok;

    while (n > 0 && (*line == ':' || *line == ' ')) {
        line++;
        n--;
    }
    /* from the first word to the end of the last */
    name = end = line;
    for (bool first = true;; first = false) {
        const char *word;
        size_t length = wte__next_word(&line, &n, &word);

        if (length == 0)
            break;
        name = first ? word : name;
        end = word + length;
    }
    ok = wte__grow(&sections, &e->sections_capacity, r->n_sections + 1, sizeof *r->sections);
    r->sections = sections;
    if (!ok)
        return fail_memory(e, err);
    r->sections[r->n_sections] =
        (wte_eval_section){.name = wte__strndup(name, (size_t)(end - name))};
    if (!r->sections[r->n_sections].name)
        return fail_memory(e, err);
    r->n_sections++;
    return WTE_OK;
}

static wte_status add_question(exam *e, const char *const *words, const size_t *lengths,
                               wte_error *err)
{
    wte_eval_section *section = &e->result.sections[e->result.n_sections - 1];
    question q = {.section = (uint32_t)(e->result.n_sections - 1)};
    void *questions = e->questions;
    bool known = true, directed = true, ok;

    for (size_t i = 0; i < 4; i++) {
        wte_status status = wte__folded_find(&e->words, words[i], lengths[i], &q.rows[i], err);

        if (status != WTE_OK)
            return status;
        known = known && q.rows[i] != UINT32_MAX;
        directed = directed && known && (i == 3 || e->space->norms[q.rows[i]] > 0);
    }
    if (!known && !e->options->dummy4unknown) {
        section->skipped++;
        return WTE_OK;
    }
    if (!directed) {
        section->incorrect++;
        return WTE_OK;
    }
    ok = wte__grow(&questions, &e->capacity, e->n + 1, sizeof *e->questions);
    e->questions = questions;
    if (!ok)
        return fail_memory(e, err);
    e->questions[e->n++] = q;
    return WTE_OK;
}

static wte_status read_questions(exam *e, const char *path, wte_error *err)
{
    wte__map map = {0};
    wte__lines lines;
    bool more = true;
    wte_status status = wte__map_open(&map, path, err);

    if (status != WTE_OK)
        return status;
    wte__lines_init(&lines, path, &map);
    while (status == WTE_OK && more) {
        const char *line = NULL, *words[5];
        size_t n = 0, lengths[5], n_words = 0;

        status = wte__lines_next(&lines, &line, &n, &more, err);
        if (status != WTE_OK || !more)
            break;
        if (n >= 2 && line[0] == ':' && line[1] == ' ') {
            status = add_section(e, line, n, err);
            continue;
        }
        while (n_words < 5 && (lengths[n_words] = wte__next_word(&line, &n, &words[n_words])) > 0)
            n_words++;
        if (n_words > 0 && e->result.n_sections == 0)
            status = wte__fail(err, WTE_E_FORMAT,
                               "%s: line %zu comes before the first section, ': name' expected",
                               path, lines.number);
        else if (n_words == 4)
            status = add_question(e, words, lengths, err);
    }
    if (status == WTE_OK && e->result.n_sections == 0)
        status = wte__fail(err, WTE_E_FORMAT, "%s: no section, ': name' expected", path);
    wte__map_close(&map);
    return status;
}

/* ---- preparing --------------------------------------------------------------------------- */

static int compare_questions(const void *a, const void *b)
{
    const question *x = a, *y = b;

    if (x->words[0] != y->words[0])
        return x->words[0] < y->words[0] ? -1 : 1;
    if (x->words[1] != y->words[1])
        return x->words[1] < y->words[1] ? -1 : 1;
    return (x->words[2] > y->words[2]) - (x->words[2] < y->words[2]);
}

/* Number the distinct words, and bring questions with the same a and b together. */
static wte_status sort_questions(exam *e, wte_error *err)
{
    uint32_t *number = wte__calloc((size_t)e->words.n_rows + 1, sizeof *number); /* from 1 */

    e->word_rows = wte__calloc(3 * e->n + 1, sizeof *e->word_rows);
    e->pairs = wte__calloc(e->n + 1, sizeof *e->pairs);
    e->c_words = wte__calloc(e->n + 1, sizeof *e->c_words);
    if (!number || !e->word_rows || !e->pairs || !e->c_words) {
        wte__free(number);
        return fail_memory(e, err);
    }
    for (size_t i = 0; i < e->n; i++)
        for (size_t j = 0; j < 3; j++) {
            uint32_t row = e->questions[i].rows[j];

            if (number[row] == 0) {
                e->word_rows[e->n_words] = row;
                number[row] = (uint32_t)++e->n_words;
            }
            e->questions[i].words[j] = number[row] - 1;
        }
    wte__free(number);
    if (e->n > 0)
        qsort(e->questions, e->n, sizeof *e->questions, compare_questions);
    for (size_t i = 0; i < e->n; i++) {
        const question *q = &e->questions[i];
        pair *last = e->n_pairs ? &e->pairs[e->n_pairs - 1] : NULL;

        e->c_words[i] = q->words[2];
        if (last && last->a == q->words[0] && last->b == q->words[1])
            last->end = i + 1;
        else
            e->pairs[e->n_pairs++] = (pair){q->words[0], q->words[1], i, i + 1};
    }
    return WTE_OK;
}

static size_t padded_words(const exam *e)
{
    return wte__panels(e->n_words, WTE__GEMM_MR) * WTE__GEMM_MR;
}

static wte_status pack_words(exam *e, wte_error *err)
{
    const size_t dim = e->space->rows.dim;
    wte_status status = WTE_OK;

    e->unit = wte__calloc(e->n_words + 1, dim * sizeof *e->unit);
    e->packed = wte__alloc_aligned(padded_words(e) + 1, dim * sizeof *e->packed);
    if (!e->unit || !e->packed)
        return fail_memory(e, err);
    for (size_t w = 0; w < e->n_words && status == WTE_OK; w++)
        status = wte__unit_row(e->space, e->word_rows[w], e->unit + w * dim, err);
    if (status == WTE_OK)
        wte__pack_a(e->unit, e->n_words, dim, e->packed);
    return status;
}

static bool furnish(const exam *e, desk *d)
{
    const size_t dim = e->space->rows.dim;

    d->scratch = wte__alloc_aligned(WTE__GEMM_NR, dim * sizeof *d->scratch);
    d->panels = wte__alloc_aligned(BLOCK, dim * sizeof *d->panels);
    d->scores = wte__alloc_aligned(padded_words(e) + 1, BLOCK * sizeof *d->scores);
    d->largest = wte__calloc(e->n_words + 1, PARTS * sizeof *d->largest);
    d->thresholds = wte__calloc(e->n + 1, sizeof *d->thresholds);
    d->best = wte__calloc(e->n + 1, sizeof *d->best);
    d->ranked = wte__calloc(e->n + 1, KEPT * sizeof *d->ranked);
    if (!d->scratch || !d->panels || !d->scores || !d->largest || !d->thresholds || !d->best ||
        !d->ranked)
        return false;
    for (size_t i = 0; i < e->n; i++) {
        wte__topk_init(&d->best[i], d->ranked + i * KEPT, KEPT);
        d->thresholds[i] = -INFINITY;
    }
    return true;
}

static void clear(desk *d)
{
    wte__free(d->ranked);
    wte__free(d->best);
    wte__free(d->thresholds);
    wte__free(d->largest);
    wte__free(d->scores);
    wte__free(d->panels);
    wte__free(d->scratch);
}

/* ---- searching --------------------------------------------------------------------------- */

static float larger(float x, float y)
{
    return x > y ? x : y;
}

/* The largest of x [PART], NaN left out; -INFINITY where there is nothing else. */
static float largest_of(const float *x)
{
    float lanes[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};

    for (size_t i = 0; i < PART; i += 4)
        for (size_t j = 0; j < 4; j++)
            lanes[j] = larger(x[i + j], lanes[j]);
    return larger(larger(lanes[0], lanes[1]), larger(lanes[2], lanes[3]));
}

static void find_largest(const float *x, float *largest)
{
    for (size_t part = 0; part < PARTS; part++)
        largest[part] = largest_of(x + part * PART);
}

/* cos becomes (1 + cos) / 2, and never below 0, so that products can be bounded by their factors.
 */
static void shift_cosines(float *scores, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float s = (1 + scores[i]) / 2;

        scores[i] = s < 0 ? 0 : s;
    }
}

/* D and S[c] together, by either method; bounds come from the same operation as scores. */
static inline float combine(bool multiply, float both, float c)
{
    return multiply ? both * c : both + c;
}

/* The best score in a part. */
static inline float best_of(bool multiply, const float *both, const float *c)
{
    float scores[PART];

    for (size_t i = 0; i < PART; i++)
        scores[i] = combine(multiply, both[i], c[i]);
    return largest_of(scores);
}

/* Offer the rows of one part to a question. */
static void offer_part(const exam *e, desk *d, size_t at, bool multiply, const float *both,
                       const float *c, const uint32_t *rows)
{
    const question *q = &e->questions[at];
    float scores[PART];
    uint32_t selected[PART];
    size_t n;

    for (size_t i = 0; i < PART; i++)
        scores[i] = combine(multiply, both[i], c[i]);
    n = wte__kernel()->select_ge(scores, PART, d->thresholds[at], selected);
    for (size_t i = 0; i < n; i++) {
        uint32_t row = rows[selected[i]];

        if (row != q->rows[0] && row != q->rows[1] && row != q->rows[2])
            wte__topk_push(&d->best[at], scores[selected[i]], row);
    }
    d->thresholds[at] = larger(d->thresholds[at], wte__topk_threshold(&d->best[at]));
}

/* At most ASKED questions first..end - 1 of one pair, given D [BLOCK] and the largest of its parts.
 * Three sieves, each finer: the bound of the block, of a part, the scores themselves. What passes
 * is listed without a branch, as no processor could predict it. `multiply` is known where this is
 * expanded. */
static inline void ask_questions(const exam *e, desk *d, size_t first, size_t end, bool multiply,
                                 const float *both, const float *most)
{
    const uint32_t *c_words = e->c_words;
    const float *all_largest = d->largest, *thresholds = d->thresholds, *scores = d->scores;
    uint32_t blocks[ASKED + 1], parts[ASKED * PARTS + 1];
    size_t n_blocks = 0, n_parts = 0, n_hits = 0;

    for (size_t at = first; at < end; at++) {
        const float *largest = all_largest + (size_t)c_words[at] * PARTS;
        float low =
            larger(combine(multiply, most[0], largest[0]), combine(multiply, most[1], largest[1]));
        float high =
            larger(combine(multiply, most[2], largest[2]), combine(multiply, most[3], largest[3]));

        blocks[n_blocks] = (uint32_t)(at - first);
        n_blocks += larger(low, high) >= thresholds[at];
    }
    for (size_t i = 0; i < n_blocks; i++) {
        const size_t at = first + blocks[i];
        const float *largest = all_largest + (size_t)c_words[at] * PARTS;

        for (uint32_t part = 0; part < PARTS; part++) {
            parts[n_parts] = blocks[i] * PARTS + part;
            n_parts += combine(multiply, most[part], largest[part]) >= thresholds[at];
        }
    }
    for (size_t i = 0; i < n_parts; i++) {
        const size_t at = first + parts[i] / PARTS, part = parts[i] % PARTS;
        const float *c = scores + (size_t)c_words[at] * BLOCK + part * PART;
        float best = best_of(multiply, both + part * PART, c);

        parts[n_hits] = parts[i];
        n_hits += best >= thresholds[at];
    }
    for (size_t i = 0; i < n_hits; i++) {
        const size_t at = first + parts[i] / PARTS, part = parts[i] % PARTS;

        offer_part(e, d, at, multiply, both + part * PART,
                   scores + (size_t)c_words[at] * BLOCK + part * PART, d->rows + part * PART);
    }
}

/* All questions of one pair against a block. */
static void ask_pair(const exam *e, desk *d, const pair *p)
{
    const bool multiply = e->options->method == WTE_ANALOGY_MUL;
    const float *a = d->scores + (size_t)p->a * BLOCK, *b = d->scores + (size_t)p->b * BLOCK;
    float both[BLOCK], most[PARTS];

    if (multiply)
        for (size_t i = 0; i < BLOCK; i++)
            both[i] = b[i] / (a[i] + 0.000001f);
    else
        for (size_t i = 0; i < BLOCK; i++)
            both[i] = b[i] - a[i];
    find_largest(both, most);
    for (size_t first = p->first; first < p->end; first += ASKED) {
        size_t end = p->end - first < ASKED ? p->end : first + ASKED;

        if (multiply)
            ask_questions(e, d, first, end, true, both, most);
        else
            ask_questions(e, d, first, end, false, both, most);
    }
}

/* All questions against the first n of the desk's rows. */
static void ask_all(const exam *e, desk *d, size_t n)
{
    const size_t dim = e->space->rows.dim, n_panels = wte__panels(n, WTE__GEMM_NR);

    wte__pack_unit_rows(e->space, d->rows, n, d->scratch, d->panels);
    wte__gemm(e->packed, wte__panels(e->n_words, WTE__GEMM_MR), d->panels, n_panels, dim, d->scores,
              BLOCK);
    /* columns beyond the last panel hold an earlier block's scores, or nothing yet */
    for (size_t w = 0; w < e->n_words && n_panels * WTE__GEMM_NR < BLOCK; w++)
        for (size_t i = n_panels * WTE__GEMM_NR; i < BLOCK; i++)
            d->scores[w * BLOCK + i] = NAN;
    if (e->options->method == WTE_ANALOGY_MUL)
        shift_cosines(d->scores, e->n_words * BLOCK);
    for (size_t w = 0; w < e->n_words; w++)
        find_largest(d->scores + w * BLOCK, d->largest + w * PARTS);
    for (size_t p = 0; p < e->n_pairs; p++)
        ask_pair(e, d, &e->pairs[p]);
}

/* Search the question words, and leave the thresholds found as the start for all desks. */
static void set_thresholds(exam *e)
{
    desk *d = &e->desks[0];

    for (size_t first = 0; first < e->n_words; first += BLOCK) {
        size_t n = e->n_words - first < BLOCK ? e->n_words - first : BLOCK;

        memcpy(d->rows, e->word_rows + first, n * sizeof *d->rows);
        ask_all(e, d, n);
    }
    for (size_t i = 0; i < e->n; i++)
        d->best[i].n = 0; /* the rows will come again */
    for (size_t other = 1; other < e->n_desks; other++)
        memcpy(e->desks[other].thresholds, d->thresholds, e->n * sizeof *d->thresholds);
}

static void ask_block(void *ctx, size_t block, unsigned worker)
{
    exam *e = ctx;
    desk *d = &e->desks[worker];
    const size_t first = block * BLOCK;
    const size_t n = e->words.n_rows - first < BLOCK ? e->words.n_rows - first : BLOCK;

    if (wte__progress_add(&e->progress, 0, worker))
        return;
    for (size_t i = 0; i < n; i++)
        d->rows[i] = (uint32_t)(first + i);
    ask_all(e, d, n);
    wte__progress_add(&e->progress, n, worker);
}

/* ---- deciding ---------------------------------------------------------------------------- */

static float rescore_mul(const exam *e, const question *q, size_t row)
{
    const size_t dim = e->space->rows.dim;
    float shifted[3];

    for (size_t i = 0; i < 3; i++) {
        float dot = wte__row_dot(&e->space->rows, row, e->unit + q->words[i] * dim);

        shifted[i] = (1 + dot / e->space->norms[row]) / 2;
    }
    return shifted[1] * shifted[2] / (shifted[0] + 0.000001f);
}

/* [dim] the direction of b - a + c, false if there is none. */
static bool direction(const exam *e, const question *q, float *out)
{
    const size_t dim = e->space->rows.dim;
    const float *a = e->unit + q->words[0] * dim, *b = e->unit + q->words[1] * dim;
    const float *c = e->unit + q->words[2] * dim;
    double length;

    for (size_t i = 0; i < dim; i++)
        out[i] = (float)((double)b[i] - (double)a[i] + (double)c[i]);
    length = sqrt(wte__dot_f64(out, out, dim));
    for (size_t i = 0; i < dim; i++)
        out[i] = (float)(out[i] / length);
    return length > 0;
}

/* Merge the workers' lists of some questions and bring them into the order of exact scores. */
static void rescore_block(void *ctx, size_t block, unsigned worker)
{
    exam *e = ctx;
    float *query = e->desks[worker].scratch;
    size_t begin = block * RESCORE, end = e->n - begin < RESCORE ? e->n : begin + RESCORE;

    for (size_t at = begin; at < end; at++) {
        const question *q = &e->questions[at];
        wte__topk *best = &e->desks[0].best[at];
        wte__ranked kept[KEPT];
        size_t n_kept;

        for (size_t w = 1; w < e->n_desks; w++)
            for (size_t i = 0; i < e->desks[w].best[at].n; i++)
                wte__topk_push(best, e->desks[w].best[at].items[i].score,
                               e->desks[w].best[at].items[i].id);
        n_kept = best->n;
        memcpy(kept, best->items, n_kept * sizeof *kept);
        best->n = 0;
        if (e->options->method != WTE_ANALOGY_MUL && !direction(e, q, query))
            continue;
        for (size_t i = 0; i < n_kept; i++) {
            uint32_t row = kept[i].id;
            float score = e->options->method == WTE_ANALOGY_MUL
                              ? rescore_mul(e, q, row)
                              : wte__row_dot(&e->space->rows, row, query) / e->space->norms[row];

            wte__topk_push(best, score, row);
        }
        wte__topk_sort(best);
    }
}

/* The row that stands for the answer's word, UINT32_MAX if there is no answer. */
static uint32_t predict(const exam *e, size_t at)
{
    const question *q = &e->questions[at];
    const wte__topk *best = &e->desks[0].best[at];
    uint32_t answer = UINT32_MAX;

    for (size_t i = 0; i < best->n && i < INSPECTED; i++) {
        answer = e->words.first[best->items[i].id];
        if (answer != q->rows[0] && answer != q->rows[1] && answer != q->rows[2])
            break;
    }
    return answer;
}

static void mark(exam *e)
{
    wte_eval_analogies_result *r = &e->result;

    for (size_t at = 0; at < e->n; at++) {
        wte_eval_section *section = &r->sections[e->questions[at].section];

        if (predict(e, at) == e->questions[at].rows[3])
            section->correct++;
        else
            section->incorrect++;
    }
    for (size_t s = 0; s < r->n_sections; s++) {
        r->correct += r->sections[s].correct;
        r->incorrect += r->sections[s].incorrect;
        r->skipped += r->sections[s].skipped;
    }
    r->accuracy = (double)r->correct / ((double)r->correct + (double)r->incorrect);
}

static wte_status sit_exam(exam *e, wte_error *err)
{
    const size_t n_blocks = (e->words.n_rows + BLOCK - 1) / BLOCK;
    const unsigned n_workers = wte__threads(e->options->n_threads, n_blocks);

    e->desks = wte__calloc(n_workers, sizeof *e->desks);
    if (!e->desks)
        return fail_memory(e, err);
    for (e->n_desks = 0; e->n_desks < n_workers; e->n_desks++)
        if (!furnish(e, &e->desks[e->n_desks])) {
            clear(&e->desks[e->n_desks]);
            return fail_memory(e, err);
        }
    wte__progress_begin(&e->progress, e->options->progress, e->options->progress_data,
                        "answering analogies", e->words.n_rows);
    set_thresholds(e);
    wte__parallel(n_blocks, n_workers, ask_block, e);
    if (wte__progress_end(&e->progress))
        return wte__fail(err, WTE_E_CANCELLED, "evaluation cancelled");
    wte__parallel((e->n + RESCORE - 1) / RESCORE, n_workers, rescore_block, e);
    return WTE_OK;
}

wte_status wte_eval_analogies(const wte_space *space, const char *path,
                              const wte_eval_options *options, wte_eval_analogies_result *out,
                              wte_error *err)
{
    const wte_eval_options defaults = WTE_EVAL_DEFAULTS;
    exam e = {.space = space, .options = options ? options : &defaults};
    uint32_t n_rows = space->rows.n_rows;
    wte_status status;

    if (e.options->method != WTE_ANALOGY_ADD && e.options->method != WTE_ANALOGY_MUL)
        return wte__fail(err, WTE_E_RANGE, "analogy questions are answered by add or mul only");
    if (e.options->restrict_vocab && e.options->restrict_vocab < n_rows)
        n_rows = e.options->restrict_vocab;
    status = wte__space_measure(space, e.options->n_threads, err);
    if (status == WTE_OK)
        status = wte__folded_init(&e.words, space, n_rows, e.options->case_sensitive, err);
    e.words.prefix_space = e.options->prefix_space;
    if (status == WTE_OK)
        status = read_questions(&e, path, err);
    if (status == WTE_OK)
        status = sort_questions(&e, err);
    if (status == WTE_OK)
        status = pack_words(&e, err);
    if (status == WTE_OK && e.n > 0)
        status = sit_exam(&e, err);
    if (status == WTE_OK)
        mark(&e);
    for (size_t i = 0; i < e.n_desks; i++)
        clear(&e.desks[i]);
    wte__free(e.desks);
    wte__free(e.packed);
    wte__free(e.unit);
    wte__free(e.c_words);
    wte__free(e.pairs);
    wte__free(e.word_rows);
    wte__free(e.questions);
    wte__folded_free(&e.words);
    if (status == WTE_OK)
        *out = e.result;
    else
        wte_eval_analogies_free(&e.result);
    return status;
}

void wte_eval_analogies_free(wte_eval_analogies_result *result)
{
    if (!result)
        return;
    for (size_t i = 0; i < result->n_sections; i++)
        wte__free(result->sections[i].name);
    wte__free(result->sections);
    *result = (wte_eval_analogies_result){0};
}
