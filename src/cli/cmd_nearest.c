/* SPDX-License-Identifier: MIT */
/* cmd_nearest.c - the words nearest to a word, or to a sum of words
 *
 * What is searched for:
 *
 *     cosine               mean of the rows scaled to length 1, each with its weight (gensim's
 *                          most_similar)
 *     euclidean, cityblock sum of weight * row, divided by the sum of the weights where that is
 *                          above 0: the centre of several words, and b - a + c unchanged
 *     cosmul               no vector: the product of (1 + cos)/2 (gensim's most_similar_cosmul)
 *
 * Queries from standard input are searched for in batches, because one pass over the codes serves
 * them all; a batch is what can be read without waiting, at most BATCH. The library leaves out the
 * same rows for every query of a batch, so the query's own words are left out here: k plus their
 * number is asked for, which gives the same answer. */
#include "figure.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 64 };

static size_t k = 10, restrict_vocab;
static struct texts negative;
static bool weights, include_query, each;
static int metric;

static const char *const metric_names[] = {"cosine", "euclidean", "cityblock", "cosmul"};
enum { COSINE, EUCLIDEAN, CITYBLOCK, COSMUL };

static const struct option options[] = {
    {'k', NULL, OPT_COUNT, &k, "N", "how many results (10)", NULL},
    {'n', "negative", OPT_LIST, &negative, "WORD", "a word to go away from; may be repeated", NULL},
    {0, "weights", OPT_FLAG, &weights, NULL, "words are given with a weight: king=0.5", NULL},
    {0, "metric", OPT_CHOICE, &metric, "METRIC",
     "cosine (similarity, the default), euclidean or cityblock (distances), cosmul (3CosMul)",
     "cosine|euclidean|cityblock|cosmul"},
    {0, "include-query", OPT_FLAG, &include_query, NULL, "the query's own words may be answers too",
     NULL},
    {0, "restrict-vocab", OPT_COUNT, &restrict_vocab, "N", "search only the first N rows", NULL},
    {0, "each", OPT_FLAG, &each, NULL, "one answer for each word instead of one for their sum",
     NULL},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte nearest king", "the ten words nearest to king"},
    {"wte nearest king woman -n man -k 5", "king + woman - man"},
    {"wte nearest --weights king=0.7 woman=0.3", "a weighted mean of two words"},
    {"wte nearest --each --tsv king bread", "two answers"},
    {"printf 'king\\nbread\\n' | wte nearest --json -k 3 -", "a query a line"},
    {"wte nearest --each king bread --plot neighbours.svg", "bars, a panel for each word"},
    {NULL, NULL}};

const struct page page_nearest = {
    .usage = {"[OPTION]... WORD... [-n WORD]...", "[OPTION]... -"},
    .about =
        "Finds the rows nearest to a word, or to the mean of several words, each scaled to length "
        "1, "
        "with those of -n subtracted. The answer is exact: 8-bit codes choose candidates, a bound "
        "proves that none was missed, and float32 decides (-v tells how many were left). Ties go "
        "to "
        "the lower id. The query's own words are left out.\n\n"
        "For --metric euclidean and cityblock the rows are taken as they are stored.\n\n"
        "With - each line of standard input is a query: a word, or several with TABs between; the "
        "words of -n belong to every line. A line that cannot be answered is reported on standard "
        "error, the others are answered, and the exit status is 1.",
    .options = options,
    .writes = ".json .tsv",
    .examples = examples,
    .json = "{\"metric\":\"cosine\",\"positive\":[\"king\"],\"negative\":[],\n"
            " \"neighbors\":[{\"id\":310,\"token\":\"queen\",\"score\":0.61}]}"};

struct query {
    uint32_t *ids; /* [n], positive ones first */
    float *weights;
    size_t n, n_positive;
    uint64_t line;
    const wte_neighbor *found; /* [n_found] */
    size_t n_found;
};

/* ---- printing --------------------------------------------------------------------------- */

static const char *word_of(uint32_t id, size_t *len)
{
    return id_word(id, len);
}

static void write_json(struct out *o, const struct query *q)
{
    json_open(o, '{');
    json_key(o, "metric");
    json_text(o, metric_names[metric]);
    json_words(o, "positive", q->ids, q->n_positive);
    json_words(o, "negative", q->ids + q->n_positive, q->n - q->n_positive);
    if (weights) {
        json_key(o, "weights");
        json_floats(o, q->weights, q->n);
    }
    json_key(o, "neighbors");
    json_open(o, '[');
    for (size_t i = 0; i < q->n_found; i++) {
        size_t len = 0;
        const char *word = word_of(q->found[i].id, &len);

        json_open(o, '{');
        json_key(o, "id");
        json_count(o, q->found[i].id);
        json_word(o, "token", word, len);
        json_key(o, "score");
        json_float(o, q->found[i].score);
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
    json_line(o);
}

/* The query in words: "king + woman - man", "0.7 king + 0.3 woman". */
static void write_query(struct out *o, const struct query *q,
                        void (*word)(struct out *, const char *, size_t))
{
    for (size_t i = 0; i < q->n; i++) {
        size_t len = 0;
        const char *text = word_of(q->ids[i], &len);
        float weight = q->weights[i];

        if (i)
            out_text(o, weight < 0 ? " - " : " + ");
        else if (weight < 0)
            out_text(o, "- ");
        if (weight < 0)
            weight = -weight;
        if (weight < 1 || weight > 1) {
            out_float(o, weight);
            out_text(o, " ");
        }
        word(o, text, len);
    }
}

static void write_tsv(struct out *o, const struct query *q)
{
    if (sink_first(o))
        out_text(o, "query\trank\tid\ttoken\tscore\n");
    for (size_t i = 0; i < q->n_found; i++) {
        size_t len = 0;
        const char *word = word_of(q->found[i].id, &len);

        write_query(o, q, out_tsv);
        out_format(o, "\t%zu\t%u\t", i + 1, q->found[i].id);
        out_tsv(o, word, len);
        out_text(o, "\t");
        out_float(o, q->found[i].score);
        out_text(o, "\n");
    }
}

static void write_people(struct out *o, const struct query *q)
{
    static const char *const titles[] = {"cosine", "euclidean distance", "cityblock distance",
                                         "3CosMul"};
    struct table table;

    if (!sink_first(o))
        out_text(o, "\n");
    out_text(o, "nearest to ");
    out_style(o, BOLD);
    write_query(o, q, out_word);
    out_style(o, DIM);
    out_format(o, "  in %s%s", cli.info->name,
               include_query ? ""
               : q->n > 1    ? ", its own words left out"
                             : "");
    out_style(o, PLAIN);
    out_text(o, "\n");
    table_begin(&table, "rlr", true);
    table_cell(&table, "%s", "");
    table_cell(&table, "word");
    table_cell(&table, "%s", titles[metric]);
    for (size_t i = 0; i < q->n_found; i++) {
        size_t len = 0;
        const char *word = word_of(q->found[i].id, &len);

        table_cell(&table, "%zu", i + 1);
        table_word(&table, word, len);
        table_cell(&table, metric == EUCLIDEAN || metric == CITYBLOCK ? "%.6g" : "%.4f",
                   (double)q->found[i].score);
    }
    table_end(&table, o);
}

static void write_answer(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct query *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* ---- the figure: a panel of bars for each query ------------------------------------------- */

enum { PANELS = 12, IN_A_ROW = 3 };

static struct {
    wte_figure *figure;
    size_t n;
    wte_error err;
} drawing;

static void draw_query(const struct query *q)
{
    static const char *const scores[] = {"cosine similarity", "euclidean distance",
                                         "cityblock distance", "3CosMul"};
    wte_axes axes = figure_axes(NULL, scores[metric], NULL);
    uint32_t *ids = need_memory(q->n_found + 1, sizeof *ids);
    double *values = need_memory(q->n_found + 1, sizeof *values);
    struct out title = {0};
    char **labels;

    for (size_t i = 0; i < q->n_found; i++) {
        ids[i] = q->found[i].id;
        values[i] = (double)q->found[i].score;
    }
    labels = figure_labels(ids, q->n_found);
    write_query(&title, q, out_word);
    out_bytes(&title, "", 1);
    axes.title = title.data;
    figure_limits(&axes.x_min, &axes.x_max);
    if (drawing.n == 0)
        drawing.figure = figure_begin(cli.info->name);
    if (drawing.figure && drawing.err.status == WTE_OK && drawing.n < PANELS &&
        wte_figure_panel(drawing.figure, &axes, drawing.n && drawing.n % IN_A_ROW == 0,
                         &drawing.err) == WTE_OK)
        wte_figure_bars(drawing.figure, values, (const char *const *)labels, q->n_found, NULL, NULL,
                        NULL, NULL, 1, &drawing.err);
    drawing.n++;
    figure_labels_free(labels, q->n_found);
    out_free(&title);
    free(values);
    free(ids);
}

static int end_drawing(void)
{
    if (drawing.n == 0)
        return fail("there is nothing to draw");
    if (drawing.n > PANELS)
        note("%zu queries: the first %d are drawn", drawing.n, PANELS);
    return figure_end(drawing.figure, &drawing.err);
}

/* ---- searching -------------------------------------------------------------------------- */

/* The vector that is searched for. */
static wte_status target(const struct query *q, float *out, wte_error *err)
{
    size_t dim = cli.info->dim;
    float *row;
    double *sum, total = 0;
    wte_status status = WTE_OK;

    if (metric == COSINE) {
        struct rows rows;

        status = rows_of(q->ids, q->n, &rows, err);
        if (status == WTE_OK) {
            status = wte_mean_vector(rows.space, rows.ids, q->weights, q->n, 1, out, err);
            rows_free(&rows);
        }
        return status;
    }
    row = need_memory(dim, sizeof *row);
    sum = need_memory(dim, sizeof *sum);
    for (size_t i = 0; i < q->n && status == WTE_OK; i++) {
        status = id_vector(q->ids[i], row, err);
        total += (double)q->weights[i];
        for (size_t j = 0; j < dim; j++)
            sum[j] += (double)q->weights[i] * (double)row[j];
    }
    for (size_t j = 0; j < dim; j++)
        out[j] = (float)(total > 0 ? sum[j] / total : sum[j]);
    free(row);
    free(sum);
    return status;
}

static wte_search_options search_options(void)
{
    static const wte_metric metrics[] = {WTE_COSINE, WTE_EUCLIDEAN, WTE_CITYBLOCK, WTE_COSINE};
    wte_search_options search = WTE_SEARCH_DEFAULTS;

    search.metric = metrics[metric];
    search.k = k < cli.info->n_rows ? k : cli.info->n_rows;
    search.n_rows = restrict_vocab < cli.info->n_rows ? (uint32_t)restrict_vocab : 0;
    search.n_threads = (unsigned)cli.threads;
    search.progress = show_progress;
    return search;
}

static bool is_own(const struct query *q, uint32_t id)
{
    for (size_t i = 0; i < q->n; i++)
        if (q->ids[i] == id)
            return true;
    return false;
}

/* Leave out the query's own words and keep at most k. */
static size_t leave_out_own(const struct query *q, wte_neighbor *found, size_t n, size_t most)
{
    size_t kept = 0;

    for (size_t i = 0; i < n && kept < most; i++)
        if (include_query || !is_own(q, found[i].id))
            found[kept++] = found[i];
    return kept;
}

static void tell_report(const wte_search_report *report, size_t n_queries)
{
    char rows[32], candidates[32];

    if (!cli.verbose)
        return;
    show_count(report->n_rows, rows);
    if (report->used_codes)
        note("%s rows, %zu %s: the codes left %s candidates, decided in float32; %s", rows,
             n_queries, n_queries == 1 ? "query" : "queries",
             show_count(report->n_candidates, candidates),
             report->full_scan ? "a full scan was needed" : "no full scan was needed");
    else
        note("%s rows, %zu %s: all scanned in float32, no codes", rows, n_queries,
             n_queries == 1 ? "query" : "queries");
}

static wte_status search_cosmul(const struct query *q, wte_neighbor *found, size_t *n,
                                wte_error *err)
{
    wte_search_options search = search_options();

    for (size_t i = 0; i < q->n; i++)
        if (id_row(q->ids[i], &q->ids[i], err) != WTE_OK)
            return err->status;
    if (!include_query) {
        search.exclude = q->ids;
        search.n_exclude = q->n;
    }
    return wte_nearest_cosmul(cli.space, q->ids, q->n_positive, q->ids + q->n_positive,
                              q->n - q->n_positive, &search, found, n, err);
}

static wte_status search_batch(const struct query *queries, size_t n, wte_search_options *search,
                               wte_neighbor *found, size_t *n_found, wte_error *err)
{
    float *vectors = need_memory(n * cli.info->dim, sizeof *vectors);
    wte_search_report report = {0};
    wte_status status = WTE_OK;

    for (size_t i = 0; i < n && status == WTE_OK; i++)
        status = target(&queries[i], vectors + i * cli.info->dim, err);
    if (status == WTE_OK)
        status = wte_nearest(cli.space, vectors, n, search, found, n_found, &report, err);
    if (status == WTE_OK)
        tell_report(&report, n);
    free(vectors);
    return status;
}

/* Search for n queries and print the answers. If one of a batch cannot be searched for, each goes
 * alone, so that the others are answered. */
static void answer_batch(struct query *queries, size_t n)
{
    wte_search_options search = search_options();
    size_t most = search.k, own = 0, *n_found = need_memory(n, sizeof *n_found);
    wte_error err = {0};
    wte_neighbor *found;
    wte_status status;

    for (size_t i = 0; i < n; i++)
        own = queries[i].n > own ? queries[i].n : own;
    if (!include_query && metric != COSMUL)
        search.k = own < cli.info->n_rows - most ? most + own : cli.info->n_rows;
    found = need_memory(n * search.k, sizeof *found);
    if (metric == COSMUL)
        status = search_cosmul(queries, found, n_found, &err);
    else
        status = search_batch(queries, n, &search, found, n_found, &err);
    for (size_t i = 0; i < n && status == WTE_OK; i++) {
        queries[i].found = found + i * search.k;
        queries[i].n_found = leave_out_own(&queries[i], found + i * search.k, n_found[i], most);
        if (figure_wanted())
            draw_query(&queries[i]);
        sink_put(write_answer, &queries[i]);
    }
    if (status != WTE_OK && n == 1)
        fail_query(queries[0].line, err.message);
    for (size_t i = 0; i < n && n > 1 && status != WTE_OK; i++)
        answer_batch(&queries[i], 1);
    free(found);
    free(n_found);
}

/* ---- reading queries -------------------------------------------------------------------- */

/* Read "word", or with --weights "word=0.5"; what is behind the last '=' is the weight. */
static bool read_word(const char *text, size_t len, float sign, uint32_t *id, float *weight,
                      wte_error *err)
{
    const char *equals = weights ? memrchr(text, '=', len) : NULL;
    char number[32], *end = number;
    size_t n;

    *weight = sign;
    if (!equals)
        return find_word(text, len, id, err) == WTE_OK;
    n = len - (size_t)(equals + 1 - text);
    snprintf(number, sizeof number, "%.*s", n < 31 ? (int)n : 31, equals + 1);
    *weight = sign * strtof(number, &end);
    if (n == 0 || n > 31 || *end || !(*weight > -1e30f && *weight < 1e30f)) {
        err->status = WTE_E_RANGE;
        snprintf(err->message, sizeof err->message, "'%.*s' has no number behind '='",
                 len < 80 ? (int)len : 80, text);
        return false;
    }
    return find_word(text, (size_t)(equals - text), id, err) == WTE_OK;
}

/* Make a query of n words and those of -n. */
static bool make_query(const struct field *words, size_t n, uint64_t line, struct query *q)
{
    wte_error err = {0};
    bool ok = true;

    memset(q, 0, sizeof *q);
    q->line = line;
    q->n_positive = n;
    q->n = n + negative.n;
    q->ids = need_memory(q->n, sizeof *q->ids);
    q->weights = need_memory(q->n, sizeof *q->weights);
    for (size_t i = 0; i < q->n && ok; i++) {
        const char *text = i < n ? words[i].text : negative.items[i - n];
        size_t len = i < n ? words[i].len : strlen(text);

        ok = read_word(text, len, i < n ? 1.0f : -1.0f, &q->ids[i], &q->weights[i], &err);
    }
    if (!ok) {
        fail_query(line, err.message);
        free(q->ids);
        free(q->weights);
    }
    return ok;
}

struct batch {
    struct query queries[BATCH];
    size_t n;
};

static void answer_all(struct batch *batch)
{
    if (batch->n)
        answer_batch(batch->queries, batch->n);
    for (size_t i = 0; i < batch->n; i++) {
        free(batch->queries[i].ids);
        free(batch->queries[i].weights);
    }
    batch->n = 0;
}

static void add_query(struct batch *batch, const struct field *words, size_t n, uint64_t line)
{
    if (make_query(words, n, line, &batch->queries[batch->n]))
        batch->n++;
    if (batch->n == (metric == COSMUL ? 1 : BATCH))
        answer_all(batch);
}

/* Answer each line of a file: as a query of its own, or of a TSV's first column. */
static int answer_lines_of(struct batch *batch, const char *path, bool first_column)
{
    struct lines lines;
    struct field fields[MAX_QUERY];
    char *line;
    size_t len;

    if (!lines_open(&lines, path))
        return EXIT_FAILED;
    while (lines_next(&lines, &line, &len)) {
        size_t n = split_fields(line, len, false, fields, MAX_QUERY);

        if (len && n > MAX_QUERY)
            fail_query(lines.number, "too many words");
        else if (len)
            add_query(batch, fields, first_column ? 1 : n, lines.number);
        if (!lines_ready(&lines))
            answer_all(batch);
    }
    lines_close(&lines);
    return 0;
}

/* The words of the command line and of --words: copies, since a file's lines do not stay. */
static int read_words(struct field **words, size_t *n)
{
    size_t capacity = 0;
    struct lines lines;
    char *line;
    size_t len;

    for (size_t i = 0; i < cli.words.n; i++) {
        *words = need_more(*words, &capacity, *n + 1, sizeof **words);
        (*words)[*n].len = strlen(cli.words.items[i]);
        (*words)[(*n)++].text = strdup(cli.words.items[i]);
    }
    if (!cli.words_file)
        return 0;
    if (!lines_open(&lines, cli.words_file))
        return EXIT_FAILED;
    while (lines_next(&lines, &line, &len)) {
        struct field word;

        if (!len)
            continue;
        split_fields(line, len, false, &word, 1);
        *words = need_more(*words, &capacity, *n + 1, sizeof **words);
        (*words)[*n].text = memcpy(need_memory(word.len + 1, 1), word.text, word.len);
        (*words)[(*n)++].len = word.len;
    }
    lines_close(&lines);
    return cli.status;
}

static int answer_words(struct batch *batch)
{
    struct field *words = NULL;
    size_t n = 0;
    int status = read_words(&words, &n);

    for (size_t i = 0; status == 0 && each && i < n; i++)
        add_query(batch, &words[i], 1, 0);
    if (status == 0 && !each)
        add_query(batch, words, n, 0);
    answer_all(batch);
    for (size_t i = 0; i < n; i++)
        free(words[i].text);
    free(words);
    return status;
}

int cmd_nearest(void)
{
    struct batch *batch;
    bool many = reads_queries() || each;
    int status;

    if (cli.words.n == 0 && negative.n == 0 && !cli.words_file)
        return usage("a word is missing, as in 'wte nearest king'");
    if (metric == COSMUL && weights)
        return usage("--metric cosmul takes no --weights");
    batch = need_memory(1, sizeof *batch);
    sink_open();
    if (reads_queries())
        status = answer_lines_of(batch, "-", false);
    else if (each && cli.words.n == 0 && cli.words_file)
        status = answer_lines_of(batch, cli.words_file, true);
    else
        status = answer_words(batch);
    answer_all(batch);
    free(batch);
    if (status || (cli.status && !many))
        return status ? status : cli.status;
    status = figure_wanted() ? end_drawing() : 0;
    if (status == 0)
        status = sink_close(NULL, 0);
    return status ? status : cli.status;
}
