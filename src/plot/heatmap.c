/* SPDX-License-Identifier: MIT */
/* heatmap.c - matrices as coloured cells
 *
 * A cell wants to be as high as a line, so that each row has its label; beyond some 70 rows the
 * page ends and cells shrink, labels thin out. A square matrix stays square. Few cells are
 * rectangles, which a drawing program can take apart; many are one image. */
#include "plot/figure.h"
#include <math.h>

enum { MAX_RECTANGLES = 2500, MAX_SIDE = 660, SMALLEST_TEXT = 5, LARGEST_TEXT = 8 };
#define PITCH 9.4 /* of cells with labels */

/* How large a cell wants to be along one direction. */
static double cell_wish(size_t n, bool labels, double least)
{
    const double side = labels ? fmax(PITCH, 200.0 / (double)n) : 240.0 / (double)n;

    return fmin(fmax(fmin(side, 34), least), fmax(MAX_SIDE / (double)n, least > 34 ? 34 : 0));
}

wte_status wte__heatmap_wish(wte__drawing *d, const wte__panel_data *p, wte__wish *wish,
                             wte_error *err)
{
    const wte__heatmap *h = &p->heat;
    double text = 0, w, v;
    (void)err;

    for (size_t i = 0; h->texts && i < h->n_rows * h->n_cols && h->n_rows * h->n_cols < 10000; i++)
        text = fmax(text, wte__text_width(d->fonts, h->texts[i], LARGEST_TEXT - 1, false) + 4);
    w = cell_wish(h->n_cols, h->col_labels, text);
    v = fmax(cell_wish(h->n_rows, h->row_labels, h->texts ? 12 : 0), 50 / (double)h->n_rows);
    if (h->n_rows == h->n_cols) {
        w = v = fmax(w, v);
        wish->ratio = 1;
    }
    wish->w = w * (double)h->n_cols;
    wish->h = v * (double)h->n_rows;
    return WTE_OK;
}

wte_status wte__heatmap_plan(wte__drawing *d, const wte__panel_data *p, wte__plan *plan,
                             wte_error *err)
{
    const wte__heatmap *h = &p->heat;

    if ((h->row_labels &&
         !wte__axis_names(d->fonts, &plan->y, h->row_labels, h->n_rows, plan->h, true)) ||
        (h->col_labels &&
         !wte__axis_names(d->fonts, &plan->x, h->col_labels, h->n_cols, plan->w, false)) ||
        !wte__axis_numbers(d->fonts, &plan->bar, h->low, h->high, plan->h, true, false))
        return wte__fail(err, WTE_E_NOMEM, "no memory for the labels of a heat map");
    wte__plan_axes(p, plan);
    return WTE_OK;
}

/* Lines at 45 degrees over a cell. */
static void hatch(wte__drawing *d, wte__canvas *c, double x, double y, double w, double h)
{
    const double step = fmax(3, (w + h) / 12);

    for (double at = step / 2; at < w + h; at += step) {
        const double x0 = fmax(0, at - h), x1 = fmin(at, w);

        wte__line(c, x + x0, y + at - x0, x + x1, y + at - x1, (wte__pen){d->theme->hatch, 0.6, 0});
    }
}

static void draw_cells(wte__drawing *d, wte__canvas *c, const wte__heatmap *h,
                       const wte__plan *plan, double x, double y)
{
    const double w = plan->w / (double)h->n_cols, v = plan->h / (double)h->n_rows;

    for (size_t i = 0; i < h->n_rows; i++)
        for (size_t j = 0; j < h->n_cols; j++) {
            const unsigned char k =
                wte__colormap_index(h->values[i * h->n_cols + j], h->low, h->high);
            const double left = x + (double)j * w, top = y + (double)i * v;

            wte__rect(c, left, top, w, v, d->colors[k]);
            if (k == WTE__COLOR_NAN && w >= 4 && v >= 4)
                hatch(d, c, left, top, w, v);
        }
}

static void draw_image(wte__drawing *d, wte__canvas *c, const wte__heatmap *h,
                       const wte__plan *plan, double x, double y)
{
    unsigned char *pixels = wte__calloc(h->v_rows, h->v_cols);

    if (!pixels) {
        c->failed = true;
        return;
    }
    for (size_t i = 0; i < h->v_rows * h->v_cols; i++)
        pixels[i] = wte__colormap_index(h->values[i], h->low, h->high);
    wte__image(c, x, y, plan->w, plan->h, pixels, h->v_cols, h->v_rows, d->colors);
    wte__free(pixels);
}

static void draw_texts(wte__drawing *d, wte__canvas *c, const wte__heatmap *h,
                       const wte__plan *plan, double x, double y)
{
    const double w = plan->w / (double)h->n_cols, v = plan->h / (double)h->n_rows;
    double widest = 0, size = LARGEST_TEXT; /* of size 1 */

    for (size_t i = 0; i < h->n_rows * h->n_cols; i++)
        widest = fmax(widest, wte__text_width(d->fonts, h->texts[i], 1, false));
    while (size > SMALLEST_TEXT && (size * widest > w - 2 || size * WTE__LINE > v - 1))
        size -= 0.5;
    wte__group(c, "values");
    for (size_t i = 0; i < h->n_rows; i++)
        for (size_t j = 0; j < h->n_cols; j++) {
            const char *text = h->texts[i * h->n_cols + j];
            const uint32_t below =
                d->colors[wte__colormap_index(h->values[i * h->n_cols + j], h->low, h->high)];
            const wte__style style = {.size = size,
                                      .color = wte__luminance(below) > 0.2 ? 0x000000 : 0xffffff,
                                      .align = 0.5,
                                      .in_cell = true};

            if (size * WTE__LINE <= v && wte__text_width(d->fonts, text, size, false) <= w)
                wte__text(c, x + ((double)j + 0.5) * w, y + ((double)i + 0.5) * v + 0.32 * size,
                          text, style);
        }
    wte__group_end(c);
}

void wte__heatmap_draw(wte__drawing *d, wte__canvas *c, const wte__panel_data *p,
                       const wte__plan *plan, double x, double y)
{
    const wte__heatmap *h = &p->heat;

    wte__group(c, "cells");
    if (h->n_rows * h->n_cols <= MAX_RECTANGLES)
        draw_cells(d, c, h, plan, x, y);
    else
        draw_image(d, c, h, plan, x, y);
    wte__group_end(c);
    if (h->texts && h->n_rows == h->v_rows && h->n_cols == h->v_cols)
        draw_texts(d, c, h, plan, x, y);
    wte__axes_draw(d, c, p, plan, x, y);
    wte__bar_draw(d, c, plan, h->bar_label, x, y);
}
