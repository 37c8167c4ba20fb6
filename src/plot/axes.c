/* SPDX-License-Identifier: MIT */
/* axes.c - what stands round the area of a panel: ticks, their texts, names of axes, colour bars
 *
 *           title
 *   y   t +------------+  b t  b
 *       i |            |  a i  a
 *       c |    area    |  r c  r   label
 *       k +------------+    k
 *           ticks
 *             x
 */
#include "plot/figure.h"
#include <math.h>

#define GAP       2.0  /* between a tick and its text */
#define LABEL_GAP 4.0  /* between those and the name of the axis */
#define MIDDLE    0.32 /* from the middle of a line to its baseline, in units of its size */
#define SPINE     0.7

static double room(const wte__axis *axis, const char *label)
{
    return (axis->n ? WTE__TICK + GAP + axis->depth : 0) +
           (label ? LABEL_GAP + WTE__LABEL_SIZE * WTE__LINE : 0);
}

void wte__plan_axes(const wte__panel_data *p, wte__plan *plan)
{
    plan->left = fmax(room(&plan->y, p->y_label), plan->x.before);
    plan->bottom = fmax(room(&plan->x, p->x_label), plan->y.after);
    plan->right = fmax(plan->right, plan->x.after);
    plan->top = fmax(plan->top, plan->y.before);
    if (plan->bar.n) {
        plan->right =
            fmax(plan->right,
                 WTE__BAR_GAP + WTE__BAR_WIDTH +
                     room(&plan->bar, p->kind == WTE__HEATMAP ? p->heat.bar_label : "points"));
        plan->top = fmax(plan->top, plan->bar.before);
        plan->bottom = fmax(plan->bottom, plan->bar.after);
    }
}

static wte__style style_of(uint32_t color, double size, double align, bool upward)
{
    return (wte__style){.size = size, .color = color, .align = align, .upward = upward};
}

/* The name of an axis, in the middle of it, shortened to a length. */
static void name(wte__drawing *d, wte__canvas *c, const char *label, double x, double y,
                 double length, bool upward)
{
    char *text = wte__text_fit(d->fonts, label, WTE__LABEL_SIZE, false, length);

    if (!text) {
        c->failed = true;
        return;
    }
    wte__text(c, x, y, text, style_of(d->theme->ink, WTE__LABEL_SIZE, 0.5, upward));
    wte__free(text);
}

void wte__axes_draw(wte__drawing *d, wte__canvas *c, const wte__panel_data *p,
                    const wte__plan *plan, double x, double y)
{
    const double bottom = y + plan->h;
    const wte__pen pen = {d->theme->ink, SPINE, 0};

    wte__group(c, "axes");
    if (p->kind == WTE__XY) {
        wte__line(c, x, y, x, bottom, pen);
        wte__line(c, x, bottom, x + plan->w, bottom, pen);
    }
    for (size_t i = 0; i < plan->x.n; i++) {
        const wte__tick *t = &plan->x.ticks[i];
        const double at = x + t->at * plan->w, below = bottom + WTE__TICK + GAP;
        const double size = plan->x.size;

        wte__line(c, at, bottom, at, bottom + WTE__TICK, pen);
        if (plan->x.upward)
            wte__text(c, at + MIDDLE * size, below, t->text,
                      style_of(d->theme->ink, size, 1, true));
        else
            wte__text(c, at, below + WTE__ASCENT * size, t->text,
                      style_of(d->theme->ink, size, 0.5, false));
    }
    for (size_t i = 0; i < plan->y.n; i++) {
        const wte__tick *t = &plan->y.ticks[i];
        const double at = y + t->at * plan->h;

        wte__line(c, x - WTE__TICK, at, x, at, pen);
        wte__text(c, x - WTE__TICK - GAP, at + MIDDLE * plan->y.size, t->text,
                  style_of(d->theme->ink, plan->y.size, 1, false));
    }
    if (p->x_label) /* it may reach as far as both sides have room */
        name(d, c, p->x_label, x + plan->w / 2,
             bottom + room(&plan->x, NULL) + LABEL_GAP + WTE__ASCENT * WTE__LABEL_SIZE,
             plan->w + 2 * fmin(plan->left, plan->right), false);
    if (p->y_label)
        name(d, c, p->y_label,
             x - room(&plan->y, NULL) - LABEL_GAP - WTE__DESCENT * WTE__LABEL_SIZE, y + plan->h / 2,
             plan->h, true);
    wte__group_end(c);
}

void wte__bar_draw(wte__drawing *d, wte__canvas *c, const wte__plan *plan, const char *label,
                   double x, double y)
{
    const double left = x + plan->w + WTE__BAR_GAP, right = left + WTE__BAR_WIDTH;
    const wte__pen pen = {d->theme->ink, SPINE, 0};
    unsigned char steps[WTE__COLORS];

    for (int i = 0; i < WTE__COLORS; i++)
        steps[i] = (unsigned char)(WTE__COLORS - 1 - i);
    wte__group(c, "colorbar");
    wte__image(c, left, y, WTE__BAR_WIDTH, plan->h, steps, 1, WTE__COLORS, d->colors);
    for (size_t i = 0; i < plan->bar.n; i++) {
        const wte__tick *t = &plan->bar.ticks[i];
        const double at = y + t->at * plan->h;

        wte__line(c, right, at, right + WTE__TICK, at, pen);
        wte__text(c, right + WTE__TICK + GAP, at + MIDDLE * plan->bar.size, t->text,
                  style_of(d->theme->ink, plan->bar.size, 0, false));
    }
    if (label)
        name(d, c, label,
             right + room(&plan->bar, NULL) + LABEL_GAP + WTE__ASCENT * WTE__LABEL_SIZE,
             y + plan->h / 2, plan->h, true);
    wte__group_end(c);
}
