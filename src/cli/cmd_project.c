/* SPDX-License-Identifier: MIT */
/* cmd_project.c - words as points in a plane: principal components */
#include "figure.h"

#include <stdlib.h>

static size_t dims = 2;

static const struct option options[] = {
    {'d', "dims", OPT_COUNT, &dims, "N", "how many coordinates (2)", NULL}, OPTIONS_END};

static const struct example examples[] = {
    {"wte project king queen man woman bread water", "coordinates in a plane"},
    {"wte project -d 3 --tsv king queen man woman", "in space, as TSV"},
    {"wte project -o points.npy", "all words of the model, an array for numpy"},
    {"wte project king queen man woman --plot plane.svg", "a picture with the words"},
    {NULL, NULL}};

const struct page page_project = {
    .usage = {"[OPTION]... [WORD]...", "[OPTION]... -"},
    .about =
        "Centres the words' rows and prints their coordinates on the first principal components, "
        "and the share of the variance that each carries. A component's sign is such that its "
        "entry of largest size is positive. Without words, all rows of the space.\n\n"
        "With - the words are read from standard input, one a line.",
    .options = options,
    .writes = ".npy .json .tsv .safetensors .bin .txt",
    .examples = examples,
    .json = "{\"tokens\":[\"king\",\"queen\"],\"points\":[[1.5,0.2],[1.4,-0.1]],\n"
            " \"explained_variance_ratio\":[0.4,0.2]}"};

enum { SHOWN = 40 }; /* points that people see */

struct points {
    const uint32_t *ids; /* [n] */
    const float *values; /* [n, dims] */
    const double *ratio; /* [dims] */
    size_t n;
};

static void write_json(struct out *o, const struct points *p)
{
    json_open(o, '{');
    json_words(o, "tokens", p->ids, p->n);
    json_key(o, "points");
    json_open(o, '[');
    for (size_t i = 0; i < p->n; i++)
        json_floats(o, p->values + i * dims, dims);
    json_close(o, ']');
    json_key(o, "explained_variance_ratio");
    json_open(o, '[');
    for (size_t i = 0; i < dims; i++)
        json_double(o, p->ratio[i]);
    json_close(o, ']');
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct points *p)
{
    out_text(o, "token");
    for (size_t i = 0; i < dims; i++)
        out_format(o, "\tpc%zu", i + 1);
    out_text(o, "\n");
    for (size_t i = 0; i < p->n; i++) {
        size_t len = 0;
        const char *word = id_word(p->ids[i], &len);

        out_tsv(o, word, len);
        for (size_t j = 0; j < dims; j++) {
            out_text(o, "\t");
            out_float(o, p->values[i * dims + j]);
        }
        out_text(o, "\n");
    }
}

static void write_people(struct out *o, const struct points *p)
{
    char *columns = need_memory(dims + 2, 1);
    struct table table;
    double sum = 0;

    columns[0] = 'l';
    for (size_t i = 0; i < dims; i++) {
        columns[i + 1] = 'r';
        sum += p->ratio[i];
    }
    out_style(o, DIM);
    out_format(
        o, "principal components of %zu words in %s: %zu of them carry %.1f %% of the variance\n",
        p->n, cli.info->name, dims, 100 * sum);
    out_style(o, PLAIN);
    table_begin(&table, columns, true);
    table_cell(&table, "word");
    for (size_t i = 0; i < dims; i++)
        table_cell(&table, "%zu: %.1f %%", i + 1, 100 * p->ratio[i]);
    for (size_t i = 0; i < p->n && i < SHOWN; i++) {
        size_t len = 0;
        const char *word = id_word(p->ids[i], &len);

        table_word(&table, word, len);
        for (size_t j = 0; j < dims; j++)
            table_cell(&table, "%.4f", (double)p->values[i * dims + j]);
    }
    table_end(&table, o);
    if (p->n > SHOWN)
        out_format(o, "... and %zu more (--tsv, --json and -o give all)\n", p->n - SHOWN);
    free(columns);
}

static void write_points(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct points *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* The first two components; words are written where they are few enough to be read. */
static int draw(const struct points *p)
{
    enum { LABELLED = 300 };
    double *x = need_memory(p->n, 2 * sizeof *x), *y = x + p->n;
    char **labels = p->n <= LABELLED ? figure_labels(p->ids, p->n) : NULL;
    char names[2][64];
    wte_axes axes = figure_axes(NULL, names[0], names[1]);
    wte_figure *figure = figure_begin(cli.info->name);
    wte_error err = {0};

    for (size_t i = 0; i < 2; i++)
        snprintf(names[i], sizeof names[i], "principal component %zu (%.1f %% of the variance)",
                 i + 1, 100 * p->ratio[i]);
    for (size_t i = 0; i < p->n; i++) {
        x[i] = (double)p->values[i * dims];
        y[i] = (double)p->values[i * dims + 1];
    }
    axes.equal = 1;
    figure_limits(&axes.y_min, &axes.y_max);
    if (figure && wte_figure_panel(figure, &axes, 0, &err) == WTE_OK)
        wte_figure_points(figure, x, y, p->n, (const char *const *)labels, NULL, &err);
    figure_labels_free(labels, p->n);
    free(x);
    return figure_end(figure, &err);
}

int cmd_project(void)
{
    struct points p = {0};
    struct rows rows;
    wte_space_format format = WTE_LAYOUT;
    wte_error err = {0};
    uint32_t *ids = NULL;
    float *values = NULL;
    double *ratio = NULL;
    size_t n, most;
    int status = find_words(&ids, &n);
    bool all = cli.words.n == 0 && !cli.words_file;

    if (status == 0 && figure_wanted() && dims < 2)
        status = usage("--plot draws two components: -d %zu is too few", dims);
    if (status)
        goto out;
    if (all) {
        n = cli.info->n_rows;
        ids = need_memory(n, sizeof *ids);
        for (size_t i = 0; i < n; i++)
            ids[i] = (uint32_t)i;
    }
    most = n ? n - 1 : 0;
    most = most < cli.info->dim ? most : cli.info->dim;
    if (dims > most) {
        status = fail("%zu words of width %zu have at most %zu components, -d asks for %zu", n,
                      cli.info->dim, most, dims);
        goto out;
    }
    values = need_memory(n * dims, sizeof *values);
    ratio = need_memory(dims, sizeof *ratio);
    if (rows_of(ids, n, &rows, &err) == WTE_OK) {
        wte_space_pca(rows.space, all ? NULL : rows.ids, n, dims, values, NULL, NULL, NULL, ratio,
                      &err);
        rows_free(&rows);
    }
    if (err.status != WTE_OK) {
        status = fail_with(&err);
        goto out;
    }
    p = (struct points){ids, values, ratio, n};
    if (figure_wanted() && (status = draw(&p)) != 0)
        goto out;
    sink_open();
    if (sink_wants_vectors(&format))
        status = save_vectors(ids, values, n, dims, format);
    sink_put(write_points, &p);
    sink_numbers(values, n * dims);
    if (status == 0)
        status = sink_close((size_t[]){n, dims}, 2);
out:
    free(ids);
    free(values);
    free(ratio);
    return status;
}
