/* SPDX-License-Identifier: MIT */
/* figure.c - figures are gathered: what is given is checked and copied
 *
 * All that can be wrong with the data is said here, where the caller still knows what it gave; what
 * can be wrong with the whole (no panel, a size too small) is said when it is drawn.
 *
 * Of a matrix over KEPT rows or columns only the means of blocks are kept: no page shows more.
 */
#include "plot/figure.h"
#include "plot/libraries.h"
#include <math.h>

enum { KEPT = 2000, MAX_INCHES = 200, MAX_DPI = 2400 };

static wte_status no_memory(wte_error *err)
{
    return wte__fail(err, WTE_E_NOMEM, "no memory for a figure");
}

/* ---- copies ---------------------------------------------------------------------------------- */

static bool copy_text(const char *text, char **out)
{
    *out = text ? wte__text_clean(text) : NULL;
    return !text || *out;
}

static bool copy_texts(const char *const *texts, size_t n, char ***out)
{
    if (!texts)
        return true;
    *out = wte__calloc(n, sizeof **out);
    for (size_t i = 0; *out && i < n; i++)
        if (!copy_text(texts[i] ? texts[i] : "", &(*out)[i]))
            return false;
    return *out;
}

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; texts && i < n; i++)
        wte__free(texts[i]);
    wte__free(texts);
}

static bool copy_numbers(const double *numbers, size_t n, double **out)
{
    if (!numbers)
        return true;
    *out = wte__calloc(n, sizeof **out);
    if (*out)
        memcpy(*out, numbers, n * sizeof *numbers);
    return *out;
}

/* ---- the figure ------------------------------------------------------------------------------ */

static bool is_provenance(const char *text)
{
    const size_t n = strlen(text);

    for (size_t i = 0; i < n; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\n' && text[i] != '\t') ||
            text[i] == 0x7F)
            return false;
    /* U+FFFE and U+FFFF cannot stand in XML */
    return wte__utf8_valid(text, n) && !strstr(text, "\xEF\xBF\xBE") &&
           !strstr(text, "\xEF\xBF\xBF");
}

static bool is_inches(double v)
{
    return v >= 0 && v <= MAX_INCHES;
}

wte_status wte_figure_new(const wte_figure_options *options, wte_figure **out, wte_error *err)
{
    const wte_figure_options defaults = WTE_FIGURE_DEFAULTS;
    wte_figure *figure;

    if (!options)
        options = &defaults;
    if (!is_inches(options->width) || !is_inches(options->height))
        return wte__fail(err, WTE_E_RANGE,
                         "a figure of %g x %g inches: expected above 0 and at most "
                         "%d, or 0 for as "
                         "large as it needs to be",
                         options->width, options->height, MAX_INCHES);
    if (!(options->dpi >= 10 && options->dpi <= MAX_DPI))
        return wte__fail(err, WTE_E_RANGE, "%g dpi: expected 10 to %d", options->dpi, MAX_DPI);
    if ((unsigned)options->colormap > WTE_COLORMAP_DIVERGING)
        return wte__fail(err, WTE_E_RANGE, "colour map %d: there are %d", (int)options->colormap,
                         WTE_COLORMAP_DIVERGING + 1);
    if (options->provenance && !is_provenance(options->provenance))
        return wte__fail(err, WTE_E_RANGE, "a figure's provenance must be UTF-8 without controls");
    if (wte__plot_libraries(err) != WTE_OK)
        return WTE_E_UNSUPPORTED;
    figure = wte__calloc(1, sizeof *figure);
    if (!figure)
        return no_memory(err);
    figure->options = *options;
    figure->options.title = figure->options.provenance = NULL;
    if (options->provenance)
        figure->options.provenance = wte__strdup(options->provenance);
    if (options->title)
        figure->options.title = wte__text_clean(options->title);
    if ((options->provenance && !figure->options.provenance) ||
        (options->title && !figure->options.title)) {
        wte_figure_free(figure);
        return no_memory(err);
    }
    *out = figure;
    return WTE_OK;
}

static void series_free(wte__series *s)
{
    wte__free(s->x);
    wte__free(s->y);
    free_texts(s->labels, s->n);
    wte__free(s->legend);
    wte__free(s->low);
    wte__free(s->high);
    wte__free(s->values);
    wte__free(s->starts);
}

static void heatmap_free(wte__heatmap *h)
{
    wte__free(h->values);
    free_texts(h->row_labels, h->n_rows);
    free_texts(h->col_labels, h->n_cols);
    free_texts(h->texts, h->n_rows * h->n_cols);
    wte__free(h->bar_label);
}

static void tree_free(wte__tree *t)
{
    wte__free(t->parent);
    free_texts(t->texts, t->n);
    wte__free(t->weights);
    wte__free(t->marked);
    wte__free(t->depth);
    wte__free(t->row);
}

static void panel_free(wte__panel_data *p)
{
    wte__free(p->title);
    wte__free(p->x_label);
    wte__free(p->y_label);
    wte__free(p->note);
    for (size_t i = 0; i < p->n_series; i++)
        series_free(&p->series[i]);
    wte__free(p->series);
    heatmap_free(&p->heat);
    tree_free(&p->tree);
}

void wte_figure_free(wte_figure *figure)
{
    if (!figure)
        return;
    for (size_t i = 0; i < figure->n_panels; i++)
        panel_free(&figure->panels[i]);
    wte__free(figure->panels);
    wte__free((void *)(uintptr_t)figure->options.title);
    wte__free((void *)(uintptr_t)figure->options.provenance);
    wte__free(figure);
}

/* ---- panels ---------------------------------------------------------------------------------- */

static wte_status check_limits(char axis, double from, double to, wte_error *err)
{
    if (isinf(from) || isinf(to) || (!isnan(from) && !isnan(to) && !(from < to)))
        return wte__fail(err, WTE_E_RANGE, "limits of %c from %g to %g: expected the lower first",
                         axis, from, to);
    return WTE_OK;
}

wte_status wte_figure_panel(wte_figure *figure, const wte_axes *axes, int new_row, wte_error *err)
{
    const wte_axes defaults = WTE_AXES_DEFAULTS;
    wte__panel_data p = {.new_row = new_row && figure->n_panels > 0};
    void *grown = figure->panels;
    wte_status status;

    if (!axes)
        axes = &defaults;
    if ((status = check_limits('x', axes->x_min, axes->x_max, err)) != WTE_OK ||
        (status = check_limits('y', axes->y_min, axes->y_max, err)) != WTE_OK)
        return status;
    p.equal = axes->equal;
    p.diagonal = axes->diagonal;
    memcpy(p.limits, (double[]){axes->x_min, axes->x_max, axes->y_min, axes->y_max},
           sizeof p.limits);
    if (!copy_text(axes->title, &p.title) || !copy_text(axes->x_label, &p.x_label) ||
        !copy_text(axes->y_label, &p.y_label) || !copy_text(axes->note, &p.note) ||
        !wte__grow(&grown, &figure->panels_capacity, figure->n_panels + 1,
                   sizeof *figure->panels)) {
        panel_free(&p);
        return no_memory(err);
    }
    figure->panels = grown;
    figure->panels[figure->n_panels++] = p;
    return WTE_OK;
}

/* The panel that data goes into, if it may. */
static wte_status panel_for(wte_figure *figure, wte__panel_kind kind, wte__panel_data **out,
                            wte_error *err)
{
    wte__panel_data *p;

    if (figure->n_panels == 0) {
        wte_status status = wte_figure_panel(figure, NULL, 0, err);

        if (status != WTE_OK)
            return status;
    }
    p = &figure->panels[figure->n_panels - 1];
    if (p->kind != WTE__EMPTY && (p->kind != kind || kind != WTE__XY))
        return wte__fail(err, WTE_E_RANGE,
                         "panel %zu holds something already: a heat map or a tree "
                         "has a panel of "
                         "its own",
                         figure->n_panels);
    *out = p;
    return WTE_OK;
}

/* ---- heat maps ------------------------------------------------------------------------------- */

/* Means of the numbers of blocks; NAN where a block has none. */
static void shrink(wte__heatmap *h, const double *values)
{
    for (size_t i = 0; i < h->v_rows; i++)
        for (size_t j = 0; j < h->v_cols; j++) {
            const size_t r0 = i * h->n_rows / h->v_rows, r1 = (i + 1) * h->n_rows / h->v_rows,
                         c0 = j * h->n_cols / h->v_cols, c1 = (j + 1) * h->n_cols / h->v_cols;
            double sum = 0;
            size_t n = 0;

            for (size_t r = r0; r < r1; r++)
                for (size_t c = c0; c < c1; c++)
                    if (!isnan(values[r * h->n_cols + c])) {
                        sum += values[r * h->n_cols + c];
                        n++;
                    }
            h->values[i * h->v_cols + j] = n ? sum / (double)n : NAN;
        }
}

/* The limits of the colours. */
static wte_status color_limits(const wte_figure *figure, wte__heatmap *h, const double *values,
                               double low, double high, wte_error *err)
{
    double least = INFINITY, most = -INFINITY;

    for (size_t i = 0; i < h->n_rows * h->n_cols; i++)
        if (isfinite(values[i])) {
            least = fmin(least, values[i]);
            most = fmax(most, values[i]);
        }
    if (least > most)
        return wte__fail(err, WTE_E_RANGE, "a heat map of %zu x %zu cells without a number",
                         h->n_rows, h->n_cols);
    if (!(most - least > 1e-10 * fmax(fabs(least), fabs(most)))) { /* all the same */
        const double size = fmax(fabs(least), fabs(most));

        least -= size > 0 ? size / 10 : 0.5;
        most += size > 0 ? size / 10 : 0.5;
    }
    if (figure->options.colormap == WTE_COLORMAP_DIVERGING && isnan(low) && isnan(high)) {
        most = fmax(fabs(least), fabs(most)); /* white is 0 */
        least = -most;
    }
    h->low = isnan(low) ? least : low;
    h->high = isnan(high) ? most : high;
    if (h->low >= h->high && isnan(high)) /* the limit that was given lies beyond all */
        h->high = h->low + (h->low != 0 ? fabs(h->low) / 5 : 1);
    if (h->low >= h->high && isnan(low))
        h->low = h->high - (h->high != 0 ? fabs(h->high) / 5 : 1);
    if (!(h->low < h->high) || !isfinite(h->high - h->low))
        return wte__fail(err, WTE_E_RANGE, "colours from %g to %g: expected the lower first",
                         h->low, h->high);
    return WTE_OK;
}

wte_status wte_figure_heatmap(wte_figure *figure, const double *values, size_t n_rows,
                              size_t n_cols, const char *const *row_labels,
                              const char *const *col_labels, double low, double high,
                              const char *const *texts, const char *bar_label, wte_error *err)
{
    wte__panel_data *p = NULL;
    wte__heatmap h = {.n_rows = n_rows, .n_cols = n_cols};
    size_t n;
    wte_status status = panel_for(figure, WTE__HEATMAP, &p, err);

    if (!p)
        return status;
    if (!values || n_rows == 0 || n_cols == 0)
        return wte__fail(err, WTE_E_SHAPE, "a heat map of %zu x %zu cells", n_rows, n_cols);
    if (wte__mul_overflows(n_rows, n_cols, &n))
        return wte__fail(err, WTE_E_SHAPE, "a heat map of %zu x %zu cells is too large", n_rows,
                         n_cols);
    h.v_rows = n_rows < KEPT ? n_rows : KEPT;
    h.v_cols = n_cols < KEPT ? n_cols : KEPT;
    status = color_limits(figure, &h, values, low, high, err);
    if (status != WTE_OK)
        return status;
    h.values = wte__calloc(h.v_rows * h.v_cols, sizeof *h.values);
    if (!h.values || !copy_texts(row_labels, n_rows, &h.row_labels) ||
        !copy_texts(col_labels, n_cols, &h.col_labels) || !copy_texts(texts, n, &h.texts) ||
        !copy_text(bar_label, &h.bar_label)) {
        heatmap_free(&h);
        return no_memory(err);
    }
    if (h.v_rows == n_rows && h.v_cols == n_cols)
        memcpy(h.values, values, n * sizeof *values);
    else
        shrink(&h, values);
    p->heat = h;
    p->kind = WTE__HEATMAP;
    return WTE_OK;
}

/* ---- series ---------------------------------------------------------------------------------- */

/* Add a series to a panel; it is freed where it cannot be. */
static wte_status add(wte__panel_data *p, wte__series *s, bool copied, wte_error *err)
{
    void *grown = p->series;

    if (!copied || !wte__grow(&grown, &p->series_capacity, p->n_series + 1, sizeof *p->series)) {
        series_free(s);
        return no_memory(err);
    }
    p->series = grown;
    p->series[p->n_series++] = *s;
    p->kind = WTE__XY;
    return WTE_OK;
}

static bool has_number(const double *x, const double *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((!x || isfinite(x[i])) && isfinite(y[i]))
            return true;
    return false;
}

static wte_status add_xy(wte_figure *figure, wte__series_kind kind, const double *x,
                         const double *y, size_t n, const char *const *labels, const char *legend,
                         wte_error *err)
{
    static const char *const names[] = {"points", "a line"};
    wte__series s = {.kind = kind, .n = n};
    wte__panel_data *p = NULL;
    bool copied;
    wte_status status = panel_for(figure, WTE__XY, &p, err);

    if (!p)
        return status;
    if (n == 0 || !y)
        return wte__fail(err, WTE_E_SHAPE, "%s: nothing to draw", names[kind]);
    if (!has_number(x, y, n))
        return wte__fail(err, WTE_E_RANGE, "%s: none of %zu is a number", names[kind], n);
    if (p->n_series && p->horizontal)
        return wte__fail(err, WTE_E_RANGE, "%s in a panel of horizontal bars", names[kind]);
    s.x = wte__calloc(n, sizeof *s.x);
    copied = s.x && copy_numbers(y, n, &s.y) && copy_text(legend, &s.legend) &&
             (n > WTE__DENSE_POINTS || copy_texts(labels, n, &s.labels));
    for (size_t i = 0; s.x && i < n; i++)
        s.x[i] = x ? x[i] : (double)i;
    return add(p, &s, copied, err);
}

wte_status wte_figure_points(wte_figure *figure, const double *x, const double *y, size_t n,
                             const char *const *labels, const char *legend, wte_error *err)
{
    if (!x)
        return wte__fail(err, WTE_E_SHAPE, "points without x");
    return add_xy(figure, WTE__POINTS, x, y, n, labels, legend, err);
}

wte_status wte_figure_line(wte_figure *figure, const double *x, const double *y, size_t n,
                           const char *legend, wte_error *err)
{
    return add_xy(figure, WTE__LINE_SERIES, x, y, n, NULL, legend, err);
}

static bool copy_values(wte__series *s, const double *const *values, const size_t *n_values)
{
    size_t total = 0;

    if (!values || !n_values)
        return true;
    s->starts = wte__calloc(s->n + 1, sizeof *s->starts);
    if (!s->starts)
        return false;
    for (size_t i = 0; i < s->n; i++)
        s->starts[i + 1] = total += n_values[i];
    s->values = wte__calloc(total, sizeof *s->values);
    for (size_t i = 0; s->values && i < s->n; i++)
        if (n_values[i])
            memcpy(s->values + s->starts[i], values[i], n_values[i] * sizeof *s->values);
    return s->values;
}

wte_status wte_figure_bars(wte_figure *figure, const double *heights, const char *const *labels,
                           size_t n, const double *const *values, const size_t *n_values,
                           const double *low, const double *high, int horizontal, wte_error *err)
{
    wte__series s = {.kind = WTE__BARS, .n = n};
    wte__panel_data *p = NULL;
    bool copied;
    wte_status status = panel_for(figure, WTE__XY, &p, err);

    if (!p)
        return status;
    if (n == 0 || !heights)
        return wte__fail(err, WTE_E_SHAPE, "bars: nothing to draw");
    if (!has_number(NULL, heights, n))
        return wte__fail(err, WTE_E_RANGE, "bars: none of %zu is a number", n);
    for (size_t i = 0; i < p->n_series; i++)
        if (p->series[i].kind == WTE__BARS ? p->series[i].n != n || p->horizontal != !!horizontal
                                           : !!horizontal)
            return wte__fail(err, WTE_E_RANGE,
                             "bars beside others: expected as many, in the same direction");
    copied = copy_numbers(heights, n, &s.y) && copy_texts(labels, n, &s.labels) &&
             copy_numbers(low && high ? low : NULL, n, &s.low) &&
             copy_numbers(low && high ? high : NULL, n, &s.high) &&
             copy_values(&s, values, n_values);
    status = add(p, &s, copied, err);
    if (status == WTE_OK)
        p->horizontal = horizontal;
    return status;
}

/* ---- trees ----------------------------------------------------------------------------------- */

/* Give every node a depth and a row: leaves follow each other, a parent is between its first child
 * and its last. Nodes are gone through without recursion: a chain may be long. False: no memory, or
 * *loop is a node that is its own ancestor. */
static bool arrange(wte__tree *t, size_t *loop)
{
    const size_t n = t->n, none = n;
    /* lists of children: first[n] is that of the roots; the path from a root to here */
    size_t *first = wte__calloc(n + 1, sizeof *first), *next = wte__calloc(n, sizeof *next),
           *path = wte__calloc(n + 1, sizeof *path), seen = 0, height = 0;
    bool ok = first && next && path;

    for (size_t i = 0; ok && i <= n; i++)
        first[i] = none;
    for (size_t i = n; ok && i-- > 0;) { /* backwards, so that lists are in order */
        const size_t above = t->parent[i] < 0 ? n : (size_t)t->parent[i];

        next[i] = first[above];
        first[above] = i;
    }
    for (size_t node = ok ? first[n] : none; node != none || height > 0;) {
        if (node != none) { /* down */
            t->depth[node] = height;
            t->n_depths = height + 1 > t->n_depths ? height + 1 : t->n_depths;
            t->row[node] = NAN;
            seen++;
            path[height++] = node;
            node = first[node];
            continue;
        }
        node = path[--height]; /* up: all below is placed */
        if (first[node] == none) {
            t->row[node] = t->n_lines++;
        } else {
            size_t last = first[node];

            while (next[last] != none)
                last = next[last];
            t->row[node] = (t->row[first[node]] + t->row[last]) / 2;
        }
        node = next[node];
    }
    *loop = ok && seen < n ? 0 : n;
    while (*loop < n && ok) {
        size_t above = *loop, steps = 0; /* a node that no root reaches leads into a circle */

        while (t->parent[above] >= 0 && steps++ <= n)
            above = (size_t)t->parent[above];
        if (t->parent[above] >= 0) {
            *loop = above;
            ok = false;
        } else {
            ++*loop;
        }
    }
    wte__free(first);
    wte__free(next);
    wte__free(path);
    return ok;
}

wte_status wte_figure_tree(wte_figure *figure, const int *parent, const char *const *texts,
                           const double *weights, const unsigned char *marked, size_t n,
                           wte_error *err)
{
    wte__tree t = {.n = n};
    wte__panel_data *p = NULL;
    size_t loop = n;
    bool copied;
    wte_status status = panel_for(figure, WTE__TREE, &p, err);

    if (!p)
        return status;
    if (n == 0 || !parent)
        return wte__fail(err, WTE_E_SHAPE, "a tree without nodes");
    for (size_t i = 0; i < n; i++)
        if (parent[i] < -1 || (parent[i] >= 0 && (size_t)parent[i] >= n))
            return wte__fail(err, WTE_E_RANGE, "node %zu of a tree of %zu has parent %d", i, n,
                             parent[i]);
    t.parent = wte__calloc(n, sizeof *t.parent);
    t.marked = wte__calloc(n, 1);
    t.depth = wte__calloc(n, sizeof *t.depth);
    t.row = wte__calloc(n, sizeof *t.row);
    copied = t.parent && t.marked && t.depth && t.row && copy_texts(texts, n, &t.texts) &&
             copy_numbers(weights, n, &t.weights);
    if (copied) {
        memcpy(t.parent, parent, n * sizeof *parent);
        if (marked)
            memcpy(t.marked, marked, n);
    }
    if (!copied || !arrange(&t, &loop)) {
        tree_free(&t);
        return copied && loop < n
                   ? wte__fail(err, WTE_E_RANGE, "node %zu of a tree is its own ancestor", loop)
                   : no_memory(err);
    }
    p->tree = t;
    p->kind = WTE__TREE;
    return WTE_OK;
}
