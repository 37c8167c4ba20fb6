/* SPDX-License-Identifier: MIT */
/* cmd_correlate.c - each word's vector in one model against its vector in another
 *
 * The Pearson correlation of two vectors asks whether number i of the one goes with number i of the
 * other. Nothing makes the dimensions of two models correspond, so that it is about 0 for models that
 * were trained apart however alike they are; it is high for a model and a later checkpoint of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "figure.h"
#include "pairs.h"

enum { BARS = 200 };

static const struct option options[] = {PYTHON_OPTION, OPTIONS_END};

static const struct example examples[] = {
    {"wte correlate -m gpt2 -m bert --pool mean king queen man woman", "a number for each word"},
    {"wte correlate -m demo -m demo --transform unit --match --limit 30 --plot words.svg",
     "as bars with the words' names"},
    {"wte correlate -m bert --layer all --pool mean king queen --json",
     "every layer with every other"},
    {NULL, NULL}};

const struct page page_correlate = {
    .usage = {"-m A -m B [-m C]... [OPTION]... WORD...", "-m A -m B [OPTION]... --match"},
    .about = "Prints, for each word, the Pearson correlation of its vector in one model with its "
             "vector in the other. The models must have the same width.\n\n"
             "It compares dimension by dimension, and the dimensions of two models that were "
             "trained apart do not correspond: for those, rsa and compare are the right question.",
    .options = options,
    .writes = ".json .tsv .npy",
    .examples = examples,
    .json = "{\"rows\":[{\"token\":\"king\",\"pearson\":-0.03}],\"mean\":-0.03,...}\n"
            "several models: {\"pairs\":[{\"a\":\"...\",\"b\":\"...\",\"rows\":[...]}]}"};

struct results {
    struct pairs pairs;
    double *values; /* [pairs.n, t->n] */
};

static double mean_of(const struct results *r, size_t pair)
{
    const size_t n = r->pairs.t->n;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += r->values[pair * n + i];
    return sum / (double)n;
}

static const char *name_of(const struct results *r, size_t pair, bool b)
{
    const struct pair_test *p = &r->pairs.items[pair];

    return r->pairs.t->sheets[b ? p->b : p->a].name;
}

/* ---- text ------------------------------------------------------------------------------- */

static void json_rows(struct out *o, const struct results *r, size_t pair)
{
    const struct together *t = r->pairs.t;

    json_key(o, "rows");
    json_open(o, '[');
    for (size_t i = 0; i < t->n; i++) {
        json_open(o, '{');
        json_word(o, "token", t->words[i].text, t->words[i].len);
        json_key(o, "pearson");
        json_double(o, r->values[pair * t->n + i]);
        json_close(o, '}');
    }
    json_close(o, ']');
    json_key(o, "mean");
    json_double(o, mean_of(r, pair));
    json_key(o, "a");
    json_text(o, name_of(r, pair, false));
    json_key(o, "b");
    json_text(o, name_of(r, pair, true));
}

static void write_json(struct out *o, const struct results *r)
{
    json_open(o, '{');
    if (r->pairs.n == 1) {
        json_rows(o, r, 0);
    } else {
        json_key(o, "pairs");
        json_open(o, '[');
        for (size_t p = 0; p < r->pairs.n; p++) {
            json_open(o, '{');
            json_rows(o, r, p);
            json_close(o, '}');
        }
        json_close(o, ']');
    }
    json_lost(o, r->pairs.t);
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct results *r)
{
    const struct together *t = r->pairs.t;

    out_text(o, "a\tb\ttoken\tpearson\n");
    for (size_t p = 0; p < r->pairs.n; p++)
        for (size_t i = 0; i < t->n; i++) {
            for (int b = 0; b < 2; b++) {
                out_tsv(o, name_of(r, p, b), strlen(name_of(r, p, b)));
                out_text(o, "\t");
            }
            out_tsv(o, t->words[i].text, t->words[i].len);
            out_text(o, "\t");
            out_double(o, r->values[p * t->n + i]);
            out_text(o, "\n");
        }
}

static void show_words(struct out *o, const struct results *r)
{
    const struct together *t = r->pairs.t;
    struct table table;

    table_begin(&table, "lr", false);
    for (size_t i = 0; i < t->n; i++) {
        table_word(&table, t->words[i].text, t->words[i].len);
        table_cell(&table, "%.4f", r->values[i]);
    }
    table_cell(&table, "mean of %zu", t->n);
    table_cell(&table, "%.4f", mean_of(r, 0));
    table_end(&table, o);
}

static void show_pairs(struct out *o, const struct results *r)
{
    struct table table;

    table_begin(&table, "llr", true);
    table_cell(&table, "a");
    table_cell(&table, "b");
    table_cell(&table, "mean r of %zu words", r->pairs.t->n);
    for (size_t p = 0; p < r->pairs.n; p++) {
        table_cell(&table, "%s", name_of(r, p, false));
        table_cell(&table, "%s", name_of(r, p, true));
        table_cell(&table, "%.4f", mean_of(r, p));
    }
    table_end(&table, o);
}

static void write_people(struct out *o, const struct results *r)
{
    if (r->pairs.n == 1) {
        out_style(o, DIM);
        out_format(o, "Pearson r of each word's %zu numbers in %s and %s\n",
                   r->pairs.t->sheets[0].dim, name_of(r, 0, false), name_of(r, 0, true));
        out_style(o, PLAIN);
        show_words(o, r);
    } else {
        show_pairs(o, r);
    }
    show_lost(o, r->pairs.t);
}

static void write_results(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct results *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* ---- the figure ------------------------------------------------------------------------- */

/* One pair: a bar for each word, and a line where there are many. */
static void plot_words(wte_figure *figure, const struct results *r, wte_error *err)
{
    const struct together *t = r->pairs.t;
    wte_axes axes = figure_axes(NULL, t->n > BARS ? "word, in order" : NULL, "Pearson r");

    figure_limits(&axes.y_min, &axes.y_max);
    if (wte_figure_panel(figure, &axes, 0, err) != WTE_OK)
        return;
    if (t->n > BARS)
        wte_figure_line(figure, NULL, r->values, t->n, NULL, err);
    else
        wte_figure_bars(figure, r->values, (const char *const *)t->labels, t->n, NULL, NULL, NULL,
                        NULL, 0, err);
}

/* Several pairs: their means, and the words as points. */
static void plot_means(wte_figure *figure, const struct results *r, wte_error *err)
{
    const size_t n = r->pairs.n, n_words = r->pairs.t->n;
    double *means = need_memory(n, sizeof *means);
    char **labels = need_memory(n, sizeof *labels);
    const double **values = need_memory(n, sizeof *values);
    size_t *n_values = need_memory(n, sizeof *n_values);
    wte_axes axes = figure_axes(NULL, "Pearson r", NULL);

    for (size_t p = 0; p < n; p++) {
        struct out label = {0};

        out_format(&label, "%s, %s", name_of(r, p, false), name_of(r, p, true));
        labels[p] = label.data;
        means[p] = mean_of(r, p);
        values[p] = r->values + p * n_words;
        n_values[p] = n_words;
    }
    figure_limits(&axes.x_min, &axes.x_max);
    if (wte_figure_panel(figure, &axes, 0, err) == WTE_OK)
        wte_figure_bars(figure, means, (const char *const *)labels, n, values, n_values, NULL, NULL,
                        1, err);
    for (size_t p = 0; p < n; p++)
        free(labels[p]);
    free(n_values);
    free(values);
    free(labels);
    free(means);
}

static int plot(struct results *r)
{
    wte_error err = {0};
    char title[300];
    wte_figure *figure;

    if (r->pairs.shape == LAYERS) {
        for (size_t p = 0; p < r->pairs.n; p++)
            r->pairs.items[p].value = mean_of(r, p);
        return plot_grid(&r->pairs, "mean Pearson r of the words' vectors", NAN, NAN);
    }
    snprintf(title, sizeof title, "%.120s and %.120s", name_of(r, 0, false), name_of(r, 0, true));
    figure = figure_begin(r->pairs.n == 1 ? title : "words in pairs of models");
    if (figure && r->pairs.n == 1)
        plot_words(figure, r, &err);
    else if (figure)
        plot_means(figure, r, &err);
    return figure_end(figure, &err);
}

/* ---- running ---------------------------------------------------------------------------- */

static int run(const struct together *t)
{
    struct results r = {0};
    float *values = NULL;
    wte_error err = {0};
    int status = list_pairs(t, &r.pairs);

    if (status)
        goto out;
    r.values = need_memory(r.pairs.n, t->n * sizeof *r.values);
    for (size_t p = 0; p < r.pairs.n && status == 0; p++) {
        const wte_items a = sheet_items(t, r.pairs.items[p].a);
        const wte_items b = sheet_items(t, r.pairs.items[p].b);

        if (wte_row_correlations(&a, &b, r.values + p * t->n, &err) != WTE_OK)
            status = fail_with(&err);
    }
    if (status == 0 && figure_wanted())
        status = plot(&r);
    if (status)
        goto out;
    sink_open();
    sink_put(write_results, &r);
    values = need_memory(r.pairs.n, t->n * sizeof *values);
    for (size_t i = 0; i < r.pairs.n * t->n; i++)
        values[i] = (float)r.values[i];
    sink_numbers(values, r.pairs.n * t->n);
    status = sink_close((size_t[]){r.pairs.n, t->n}, 2);
out:
    free(values);
    free(r.values);
    free(r.pairs.items);
    return status;
}

static int show_python(const struct together *t)
{
    return print_python(t, "",
                        "\nfor (a, x), (b, y) in itertools.combinations(spaces.items(), 2):\n"
                        "    for i, word in enumerate(words):\n"
                        "        print(a, b, word, np.corrcoef(x[i], y[i])[0, 1])\n",
                        true);
}

int cmd_correlate(void)
{
    return together_run(true, show_python, NULL, run);
}
