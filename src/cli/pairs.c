/* SPDX-License-Identifier: MIT */
/* pairs.c - which sheets are compared with which, and a number and a test of each pair
 *
 * A square grid has each pair twice and a diagonal of ones that nothing was computed for. The tests
 * of one run are corrected together, by their false discovery rate (Benjamini and Hochberg 1995). */
#include "pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "figure.h"

int list_pairs(const struct together *t, struct pairs *out)
{
    size_t first_of_b = 0;
    bool layers = t->n_sheets > t->n_partners;

    while (first_of_b < t->n_sheets && t->sheets[first_of_b].partner == 0)
        first_of_b++;
    *out = (struct pairs){.t = t};
    out->shape = layers ? LAYERS : t->n_sheets == 2 ? ONE_PAIR : ALL_PAIRS;
    out->square = out->shape == ALL_PAIRS || (layers && t->n_partners != 2);
    out->first_col = out->square ? 0 : first_of_b;
    out->n_rows = out->square ? t->n_sheets : first_of_b;
    out->n_cols = t->n_sheets - out->first_col;
    out->items = need_memory(t->n_sheets, t->n_sheets * sizeof *out->items);
    for (size_t i = 0; i < out->n_rows; i++)
        for (size_t j = out->square ? i + 1 : 0; j < out->n_cols; j++)
            out->items[out->n++] = (struct pair_test){i, out->first_col + j, 0, 1, 1};
    return out->n ? 0 : fail("there is only one space: a second -m, or --layer all");
}

int correct_pairs(struct pairs *p)
{
    double *values = need_memory(p->n, 2 * sizeof *values);
    wte_error err = {0};
    wte_status status;

    for (size_t i = 0; i < p->n; i++)
        values[i] = p->items[i].p;
    status = wte_fdr(values, p->n, values + p->n, &err);
    for (size_t i = 0; i < p->n && status == WTE_OK; i++)
        p->items[i].q = values[p->n + i];
    free(values);
    return status == WTE_OK ? 0 : fail_with(&err);
}

/* The pair of a cell; NULL on the diagonal of a square. */
static const struct pair_test *cell(const struct pairs *p, size_t i, size_t j)
{
    if (!p->square)
        return &p->items[i * p->n_cols + j];
    if (i == j)
        return NULL;
    if (i > j)
        return cell(p, j, i);
    return &p->items[i * (2 * p->n_rows - i - 1) / 2 + j - i - 1];
}

/* ---- text ------------------------------------------------------------------------------- */

static void json_sheets(struct out *o, const struct pairs *p, const char *key, size_t first,
                        size_t n)
{
    json_key(o, key);
    json_open(o, '[');
    for (size_t i = first; i < first + n; i++) {
        const struct sheet *s = &p->t->sheets[i];

        json_open(o, '{');
        json_key(o, "model");
        json_text(o, p->t->partners[s->partner].info->name);
        json_key(o, "layer");
        if (s->layer < 0)
            json_nothing(o);
        else
            json_count(o, (uint64_t)s->layer);
        json_close(o, '}');
    }
    json_close(o, ']');
}

static double number_of(const struct pair_test *test, int which)
{
    if (!test)
        return which == 0 ? 1 : NAN;
    return which == 0 ? test->value : which == 1 ? test->p : test->q;
}

double pairs_value(const struct pairs *p, size_t row, size_t col)
{
    return number_of(cell(p, row, col), 0);
}

int close_grid(const struct pairs *p)
{
    const size_t n = p->n_rows * p->n_cols;
    float *values = need_memory(n, sizeof *values);
    int status;

    for (size_t i = 0; i < n; i++)
        values[i] = (float)pairs_value(p, i / p->n_cols, i % p->n_cols);
    sink_numbers(values, n);
    status = sink_close((size_t[]){p->n_rows, p->n_cols}, 2);
    free(values);
    return status;
}

void json_grid(struct out *o, const struct pairs *p)
{
    static const char *const keys[] = {"values", "p_values", "q_values"};

    json_sheets(o, p, "rows", 0, p->n_rows);
    json_sheets(o, p, "columns", p->first_col, p->n_cols);
    for (int k = 0; k < 3; k++) {
        json_key(o, keys[k]);
        json_open(o, '[');
        for (size_t i = 0; i < p->n_rows; i++) {
            json_open(o, '[');
            for (size_t j = 0; j < p->n_cols; j++)
                json_double(o, number_of(cell(p, i, j), k));
            json_close(o, ']');
        }
        json_close(o, ']');
    }
}

static void tsv_sheet(struct out *o, const struct pairs *p, size_t sheet)
{
    const struct sheet *s = &p->t->sheets[sheet];
    const char *name = p->t->partners[s->partner].info->name;

    out_tsv(o, name, strlen(name));
    if (s->layer < 0)
        out_text(o, "\t\t");
    else
        out_format(o, "\t%d\t", s->layer);
}

void tsv_grid(struct out *o, const struct pairs *p)
{
    out_text(o, "a\ta_layer\tb\tb_layer\tvalue\tp_value\tq_value\n");
    for (size_t i = 0; i < p->n; i++) {
        tsv_sheet(o, p, p->items[i].a);
        tsv_sheet(o, p, p->items[i].b);
        out_double(o, p->items[i].value);
        out_text(o, "\t");
        out_double(o, p->items[i].p);
        out_text(o, "\t");
        out_double(o, p->items[i].q);
        out_text(o, "\n");
    }
}

/* A short name of a row or column: the layer alone where its model is named elsewhere. */
static void short_name(const struct pairs *p, size_t sheet, char name[64])
{
    const struct sheet *s = &p->t->sheets[sheet];

    if ((p->square && p->t->n_partners > 1) || s->layer < 0)
        snprintf(name, 64, "%.62s", s->name);
    else
        snprintf(name, 64, "%d", s->layer);
}

static bool has_own_name(const struct pairs *p, size_t first, size_t n)
{
    return (p->square && p->t->n_partners > 1) || n == 1 || p->t->sheets[first].layer < 0;
}

void show_grid(struct out *o, const struct pairs *p, const char *measure)
{
    char *columns = need_memory(p->n_cols + 2, 1), name[64];
    const struct pair_test *best = &p->items[0];
    struct table table;
    size_t n_good = 0;

    memset(columns, 'r', p->n_cols + 1);
    columns[0] = 'l';
    out_style(o, DIM);
    out_format(o, "%s, %zu words", measure, p->t->n);
    if (!has_own_name(p, 0, p->n_rows) && p->square)
        out_format(o, "; layers of %s", p->t->partners[0].info->name);
    else if (!has_own_name(p, 0, p->n_rows))
        out_format(o, "; rows: layers of %s", p->t->partners[0].info->name);
    if (!has_own_name(p, p->first_col, p->n_cols) && !p->square)
        out_format(o, "; columns: layers of %s", p->t->partners[p->t->n_partners - 1].info->name);
    out_text(o, "\n");
    out_style(o, PLAIN);
    table_begin(&table, columns, true);
    table_cell(&table, "%s", "");
    for (size_t j = 0; j < p->n_cols; j++) {
        short_name(p, p->first_col + j, name);
        table_cell(&table, "%s", name);
    }
    for (size_t i = 0; i < p->n_rows; i++) {
        short_name(p, i, name);
        table_cell(&table, "%s", name);
        for (size_t j = 0; j < p->n_cols; j++) {
            const struct pair_test *test = cell(p, i, j);

            if (test && isnan(test->value))
                table_cell(&table, "-");
            else if (test)
                table_cell(&table, "%.3f%s", test->value, test->q <= 0.05 ? "*" : "");
            else
                table_cell(&table, "1");
        }
    }
    table_end(&table, o);
    for (size_t i = 0; i < p->n; i++) {
        n_good += p->items[i].q <= 0.05;
        if (p->items[i].value > best->value || isnan(best->value))
            best = &p->items[i];
    }
    out_style(o, DIM);
    out_format(o, "highest: %s and %s, %.4f (p = %.2g, q = %.2g)\n", p->t->sheets[best->a].name,
               p->t->sheets[best->b].name, best->value, best->p, best->q);
    out_format(o, "* %zu of %zu agree more than by chance, at a false discovery rate of 5 %%\n",
               n_good, p->n);
    out_style(o, PLAIN);
    free(columns);
}

/* ---- the heat map ----------------------------------------------------------------------- */

int plot_grid(const struct pairs *p, const char *measure, double low, double high)
{
    const bool text = p->n_rows <= 16 && p->n_cols <= 16;
    double *values = need_memory(p->n_rows * p->n_cols, sizeof *values);
    char(*texts)[16] = need_memory(p->n_rows * p->n_cols, sizeof *texts);
    char(*names)[64] = need_memory(p->n_rows + p->n_cols, sizeof *names);
    const char **labels = need_memory(p->n_rows + p->n_cols, sizeof *labels);
    const char **cells = need_memory(p->n_rows * p->n_cols, sizeof *cells);
    char row_title[300] = "", col_title[300] = "";
    struct out title = {0}, bar = {0};
    bool any_good = false;
    wte_figure *figure;
    wte_axes axes;
    wte_error err = {0};
    int status;

    for (size_t i = 0; i < p->n_rows + p->n_cols; i++) {
        short_name(p, i < p->n_rows ? i : p->first_col + i - p->n_rows, names[i]);
        labels[i] = names[i];
    }
    for (size_t i = 0; i < p->n_rows * p->n_cols; i++) {
        const struct pair_test *test = cell(p, i / p->n_cols, i % p->n_cols);
        const bool good = test && test->q <= 0.05 && !isnan(test->value);

        values[i] = number_of(test, 0);
        any_good |= good;
        if (!isnan(values[i]))
            snprintf(texts[i], sizeof *texts, "%s%.2f%s", values[i] < -0.005 ? "\xE2\x88\x92" : "",
                     fabs(values[i]), good ? "*" : "");
        cells[i] = texts[i];
    }
    if (!has_own_name(p, 0, p->n_rows))
        snprintf(row_title, sizeof row_title, "layer of %.200s", p->t->partners[0].info->name);
    if (!has_own_name(p, p->first_col, p->n_cols))
        snprintf(col_title, sizeof col_title, "layer of %.200s",
                 p->t->partners[p->t->n_partners - 1].info->name);
    for (size_t i = 0; i < p->t->n_partners; i++)
        out_format(&title, "%s%s",
                   i == 0                     ? ""
                   : i + 1 < p->t->n_partners ? ", "
                                              : " and ",
                   p->t->partners[i].info->name);
    out_format(&title, ", %zu words", p->t->n);
    out_format(&bar, "%s%s", measure, text && any_good ? " (* q \xE2\x89\xA4 0.05)" : "");
    figure_limits(&low, &high);
    figure = figure_begin(title.data);
    axes = figure_axes(NULL, *col_title ? col_title : NULL, *row_title ? row_title : NULL);
    if (figure && wte_figure_panel(figure, &axes, 0, &err) == WTE_OK)
        wte_figure_heatmap(figure, values, p->n_rows, p->n_cols, labels, labels + p->n_rows, low,
                           high, text ? cells : NULL, bar.data, &err);
    status = figure_end(figure, &err);
    out_free(&bar);
    out_free(&title);
    free(cells);
    free(labels);
    free(names);
    free(texts);
    free(values);
    return status;
}
