/* SPDX-License-Identifier: MIT */
/* tree.c - a tree from left to right: a column for each depth, as wide as its widest text
 *
 * A node is a dot with its text to the right; the branch to a child starts behind the text of the
 * column. What is marked is bold and of the first colour. A tree has one size: that of its texts.
 */
#include "plot/figure.h"
#include <math.h>

enum { TEXT = WTE__TICK_SIZE, MAX_TEXT = 150 };
#define LINE     (TEXT * WTE__LINE + 3)
#define BRANCH   24.0
#define DOT      2.0
#define TEXT_GAP 3.0

static double width_of(wte__drawing *d, const wte__tree *t, size_t i)
{
    return t->texts ? fmin(wte__text_width(d->fonts, t->texts[i], TEXT, t->marked[i]), MAX_TEXT)
                    : 0;
}

static char *text_of(wte__drawing *d, const wte__tree *t, size_t i)
{
    return wte__text_fit(d->fonts, t->texts ? t->texts[i] : "", TEXT, t->marked[i], MAX_TEXT);
}

/* The left end of each column, [n_depths + 1]; NULL: no memory. */
static double *columns(wte__drawing *d, const wte__tree *t)
{
    double *x = wte__calloc(t->n_depths + 1, sizeof *x);

    for (size_t i = 0; x && i < t->n; i++)
        x[t->depth[i] + 1] = fmax(x[t->depth[i] + 1], width_of(d, t, i));
    for (size_t k = 0; x && k < t->n_depths; k++)
        x[k + 1] += x[k] + 2 * DOT + 2 * TEXT_GAP + (k + 1 < t->n_depths ? BRANCH : 0);
    return x;
}

wte_status wte__tree_wish(wte__drawing *d, const wte__panel_data *p, wte__wish *wish,
                          wte_error *err)
{
    double *x = columns(d, &p->tree);

    if (!x)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a tree of %zu nodes", p->tree.n);
    wish->w = x[p->tree.n_depths];
    wish->h = p->tree.n_lines * LINE;
    wish->fixed = true;
    wte__free(x);
    return WTE_OK;
}

void wte__tree_draw(wte__drawing *d, wte__canvas *c, const wte__panel_data *p,
                    const wte__plan *plan, double x, double y)
{
    const wte__tree *t = &p->tree;
    double *column = columns(d, t);
    (void)plan;

    if (!column) {
        c->failed = true;
        return;
    }
    wte__group(c, "branches");
    for (size_t i = 0; i < t->n; i++) {
        const size_t above = (size_t)(t->parent[i] < 0 ? 0 : t->parent[i]);
        const double weight = t->weights ? fmin(fmax(t->weights[i], 0), 1) : 0.3;
        const wte__pen pen = {t->marked[i] ? d->theme->series[0] : d->theme->faint,
                              0.6 + 2.4 * (isnan(weight) ? 0 : weight), 0};
        const double from = y + (t->row[above] + 0.5) * LINE, to = y + (t->row[i] + 0.5) * LINE;
        const double end = x + column[t->depth[i]];

        if (t->parent[i] < 0)
            continue;
        wte__line(c, x + column[t->depth[above]] + 2 * DOT + 2 * TEXT_GAP + width_of(d, t, above),
                  from, end - BRANCH, from, pen);
        wte__branch(c, end - BRANCH, from, end + DOT, to, pen);
    }
    wte__group_end(c);
    wte__group(c, "nodes");
    for (size_t i = 0; i < t->n; i++) {
        const double left = x + column[t->depth[i]], middle = y + (t->row[i] + 0.5) * LINE;
        char *text = text_of(d, t, i);
        const wte__style style = {.size = TEXT,
                                  .color = t->marked[i] ? d->theme->series[0] : d->theme->ink,
                                  .bold = t->marked[i]};

        if (!text) {
            c->failed = true;
            break;
        }
        wte__dot(c, left + DOT, middle, DOT, t->marked[i] ? d->theme->series[0] : d->theme->ink, 1);
        wte__text(c, left + 2 * DOT + TEXT_GAP, middle + 0.32 * TEXT, text, style);
        wte__free(text);
    }
    wte__group_end(c);
    wte__free(column);
}
