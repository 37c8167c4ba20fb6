/* SPDX-License-Identifier: MIT */
/* cmd_matrix.c - every word with every other */
#include "figure.h"

#include <math.h>
#include <stdlib.h>

static int metric;

static const char *const names[] = {"cosine", "euclidean", "cityblock"};
static const wte_metric metrics[] = {WTE_COSINE, WTE_EUCLIDEAN, WTE_CITYBLOCK};

static const struct option options[] = {
    {0, "metric", OPT_CHOICE, &metric, "METRIC",
     "cosine (similarity, the default), euclidean or cityblock (distances)",
     "cosine|euclidean|cityblock"},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte matrix king queen man woman", "a table of cosines"},
    {"wte matrix --metric euclidean --tsv king queen man", "distances, as TSV"},
    {"wte matrix --words words.txt -o similarities.npy", "an array for numpy"},
    {"wte matrix king queen man woman --plot matrix.svg", "a heat map"},
    {NULL, NULL}};

const struct page page_matrix = {
    .usage = {"[OPTION]... WORD...", "[OPTION]... -"},
    .about =
        "Prints the similarities, or with --metric the distances, of all pairs of the words.\n\n"
        "With - the words are read from standard input, one a line.",
    .options = options,
    .writes = ".npy .json .tsv",
    .examples = examples,
    .json =
        "{\"tokens\":[\"king\",\"queen\"],\"metric\":\"cosine\",\"matrix\":[[1,0.61],[0.61,1]]}"};

struct matrix {
    const uint32_t *ids;
    const float *values; /* [n, n] */
    size_t n;
};

static void write_json(struct out *o, const struct matrix *m)
{
    json_open(o, '{');
    json_words(o, "tokens", m->ids, m->n);
    json_key(o, "metric");
    json_text(o, names[metric]);
    json_key(o, "matrix");
    json_open(o, '[');
    for (size_t i = 0; i < m->n; i++)
        json_floats(o, m->values + i * m->n, m->n);
    json_close(o, ']');
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct matrix *m)
{
    size_t len = 0;
    const char *word;

    out_text(o, "token");
    for (size_t i = 0; i < m->n; i++) {
        word = id_word(m->ids[i], &len);
        out_text(o, "\t");
        out_tsv(o, word, len);
    }
    out_text(o, "\n");
    for (size_t i = 0; i < m->n; i++) {
        word = id_word(m->ids[i], &len);
        out_tsv(o, word, len);
        for (size_t j = 0; j < m->n; j++) {
            out_text(o, "\t");
            out_float(o, m->values[i * m->n + j]);
        }
        out_text(o, "\n");
    }
}

static void write_people(struct out *o, const struct matrix *m)
{
    char *columns = need_memory(m->n + 2, 1);
    struct table table;
    size_t len = 0;
    const char *word;

    columns[0] = 'l';
    for (size_t i = 0; i < m->n; i++)
        columns[i + 1] = 'r';
    out_style(o, DIM);
    out_format(o, "%s in %s\n", metric == 0 ? "cosine similarity" : names[metric], cli.info->name);
    out_style(o, PLAIN);
    table_begin(&table, columns, true);
    table_cell(&table, "%s", "");
    for (size_t i = 0; i < m->n; i++) {
        word = id_word(m->ids[i], &len);
        table_word(&table, word, len);
    }
    for (size_t i = 0; i < m->n; i++) {
        word = id_word(m->ids[i], &len);
        table_word(&table, word, len);
        for (size_t j = 0; j < m->n; j++)
            table_cell(&table, metric == 0 ? "%.4f" : "%.5g", (double)m->values[i * m->n + j]);
    }
    table_end(&table, o);
    free(columns);
}

static void write_matrix(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct matrix *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

enum { WRITTEN = 16 }; /* words up to which the numbers stand in the cells */

static int draw(const struct matrix *m)
{
    static const char *const bars[] = {"cosine similarity", "euclidean distance",
                                       "cityblock distance"};
    double *values = need_memory(m->n * m->n, sizeof *values), low = NAN, high = NAN;
    char **labels = figure_labels(m->ids, m->n), **texts = NULL;
    const char *const *words = (const char *const *)labels;
    wte_axes axes = figure_axes(NULL, NULL, NULL);
    wte_figure *figure = figure_begin(cli.info->name);
    wte_error err = {0};

    if (m->n <= WRITTEN)
        texts = need_memory(m->n * m->n, sizeof *texts);
    for (size_t i = 0; i < m->n * m->n; i++) {
        values[i] = (double)m->values[i];
        if (texts && asprintf(&texts[i], metric == 0 ? "%.2f" : "%.3g",
                              metric == 0 && fabs(values[i]) < 0.005 ? 0 : values[i]) < 0)
            texts[i] = NULL;
    }
    figure_limits(&low, &high);
    if (figure && wte_figure_panel(figure, &axes, 0, &err) == WTE_OK)
        wte_figure_heatmap(figure, values, m->n, m->n, words, words, low, high,
                           (const char *const *)texts, bars[metric], &err);
    figure_labels_free(texts, m->n * m->n);
    figure_labels_free(labels, m->n);
    free(values);
    return figure_end(figure, &err);
}

int cmd_matrix(void)
{
    struct matrix m = {0};
    struct rows rows;
    uint32_t *ids = NULL;
    float *values = NULL;
    wte_error err = {0};
    size_t n, n_values;
    int status;

    if (cli.words.n == 0 && !cli.words_file)
        return usage("words are missing, as in 'wte matrix king queen'");
    status = find_words(&ids, &n);
    if (status == 0 && n == 0)
        status = fail("no words given");
    if (status)
        goto out;
    if (__builtin_mul_overflow(n, n, &n_values)) {
        status = fail("%zu words are too many", n);
        goto out;
    }
    values = need_memory(n_values, sizeof *values);
    if (rows_of(ids, n, &rows, &err) == WTE_OK) {
        wte_matrix(rows.space, rows.ids, n, metrics[metric], values, &err);
        rows_free(&rows);
    }
    if (err.status != WTE_OK) {
        status = fail_with(&err);
        goto out;
    }
    m = (struct matrix){ids, values, n};
    if (figure_wanted() && (status = draw(&m)) != 0)
        goto out;
    sink_open();
    sink_put(write_matrix, &m);
    sink_numbers(values, n * n);
    status = sink_close((size_t[]){n, n}, 2);
out:
    free(values);
    free(ids);
    return status;
}
