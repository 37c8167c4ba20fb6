/* SPDX-License-Identifier: MIT */
/* xy.c - points, lines and bars over two axes
 *
 * Limits come from the data: 5 % of air round points, lines from edge to edge, bars from 0. A
 * legend or a note goes into the first corner where it lies on nothing; where there is none, the
 * legend goes to the right of the area and the note above it.
 *
 * Labels of points are placed one after the other, each at the first of its places (right, left,
 * above, below, then further off with a line that leads there) where it touches neither a point nor
 * what is placed already; places are looked up in a raster of one byte a point. Unless the size is
 * given, the area grows until all have one; at its largest, what has none is left out.
 *
 * A density counts points in hexagons (Carr et al. 1987, J. Am. Stat. Assoc. 82:424), which show no
 * stripes where squares do; colours go with the logarithm of the counts, since most of a cloud is
 * thin. */
#include "plot/figure.h"
#include <math.h>

enum { MAX_AREA = 640, HEXAGONS = 36, LEGEND_SIZE = WTE__TICK_SIZE, LABEL_SIZE = 7 };
#define DOT   2.2
#define AIR   1.5 /* round a label */
#define INSET 6.0

/* ---- limits ---------------------------------------------------------------------------------- */

static void include(double *from, double *to, double v)
{
    if (!isfinite(v))
        return;
    *from = fmin(*from, v);
    *to = fmax(*to, v);
}

static void include_bars(const wte__series *s, double *from, double *to)
{
    include(from, to, 0);
    for (size_t i = 0; i < s->n; i++) {
        include(from, to, s->y[i]);
        if (s->low) {
            include(from, to, s->low[i]);
            include(from, to, s->high[i]);
        }
    }
    for (size_t i = 0; s->values && i < s->starts[s->n]; i++)
        include(from, to, s->values[i]);
}

/* Widen what has no width; pad; leave 0 where bars stand. */
static void settle(double *from, double *to, double pad, bool bars)
{
    const double range = *to - *from, size = fmax(fabs(*from), fabs(*to));

    if (!(range > size * 1e-10)) {
        *from -= size > 0 ? size / 10 : 0.5;
        *to += size > 0 ? size / 10 : 0.5;
        return;
    }
    if (!bars || *from < 0)
        *from -= range * pad;
    if (!bars || *to > 0)
        *to += range * pad;
}

static size_t n_bars(const wte__panel_data *p)
{
    for (size_t i = 0; i < p->n_series; i++)
        if (p->series[i].kind == WTE__BARS)
            return p->series[i].n;
    return 0;
}

static wte_status find_limits(const wte__panel_data *p, wte__plan *plan, wte_error *err)
{
    double from[2] = {INFINITY, INFINITY}, to[2] = {-INFINITY, -INFINITY};
    const size_t bars = n_bars(p);
    bool points = false, given[2];

    for (size_t i = 0; i < p->n_series; i++) {
        const wte__series *s = &p->series[i];

        if (s->kind == WTE__BARS) {
            include_bars(s, &from[!p->horizontal], &to[!p->horizontal]);
            continue;
        }
        points = points || s->kind == WTE__POINTS;
        for (size_t k = 0; k < s->n; k++)
            if (isfinite(s->x[k]) && isfinite(s->y[k])) {
                include(&from[0], &to[0], s->x[k]);
                include(&from[1], &to[1], s->y[k]);
            }
    }
    if (bars) {
        include(&from[p->horizontal], &to[p->horizontal], -0.5);
        include(&from[p->horizontal], &to[p->horizontal], (double)bars - 0.5);
    }
    for (int a = 0; a < 2; a++)
        given[a] = !isnan(p->limits[2 * a]) || !isnan(p->limits[2 * a + 1]);
    if (p->equal && p->diagonal && !given[0] && !given[1]) {
        from[0] = from[1] = fmin(from[0], from[1]);
        to[0] = to[1] = fmax(to[0], to[1]);
    }
    for (int a = 0; a < 2; a++) {
        const bool names = bars && a == p->horizontal;

        settle(&from[a], &to[a], names || (a == 0 && !points && !bars) ? 0 : 0.05, bars && !names);
        plan->from[a] = isnan(p->limits[2 * a]) ? from[a] : p->limits[2 * a];
        plan->to[a] = isnan(p->limits[2 * a + 1]) ? to[a] : p->limits[2 * a + 1];
        if (!(plan->from[a] < plan->to[a]) || !isfinite(plan->to[a] - plan->from[a]) ||
            !(plan->to[a] - plan->from[a] > 1e-12 * fmax(fabs(plan->from[a]), fabs(plan->to[a]))))
            return wte__fail(err, WTE_E_RANGE,
                             "limits of %c from %g to %g: expected the lower first, "
                             "and a distance "
                             "that can be divided",
                             'x' + a, plan->from[a], plan->to[a]);
    }
    return WTE_OK;
}

static wte__point place(const wte__plan *plan, double x, double y)
{
    return (wte__point){(x - plan->from[0]) / (plan->to[0] - plan->from[0]) * plan->w,
                        (plan->to[1] - y) / (plan->to[1] - plan->from[1]) * plan->h};
}

static bool inside(const wte__plan *plan, wte__point at)
{
    return at.x >= -0.01 && at.x <= plan->w + 0.01 && at.y >= -0.01 && at.y <= plan->h + 0.01;
}

/* Bar i of one of n_groups series: its box in the area. */
static wte__box bar_box(const wte__panel_data *p, const wte__plan *plan, size_t i, size_t group,
                        size_t n_groups, double height)
{
    const double width = 0.72 / (double)n_groups, near = (double)i - 0.36 + width * (double)group,
                 far = near + width;
    wte__point a, b;

    if (p->horizontal) { /* the first is at the top */
        const double last = plan->from[1] + plan->to[1];

        a = place(plan, 0, last - near);
        b = place(plan, height, last - far);
    } else {
        a = place(plan, near, 0);
        b = place(plan, far, height);
    }
    a.x = fmin(fmax(a.x, 0), plan->w);
    b.x = fmin(fmax(b.x, 0), plan->w);
    a.y = fmin(fmax(a.y, 0), plan->h);
    b.y = fmin(fmax(b.y, 0), plan->h);
    return (wte__box){fmin(a.x, b.x), fmin(a.y, b.y), fmax(a.x, b.x), fmax(a.y, b.y),
                      WTE__BOX_MARK};
}

static size_t count_kind(const wte__panel_data *p, wte__series_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_series; i++)
        n += p->series[i].kind == kind;
    return n;
}

static bool is_dense(const wte__series *s)
{
    return s->kind == WTE__POINTS && s->n > WTE__DENSE_POINTS;
}

/* ---- free corners ---------------------------------------------------------------------------- */

static bool holds(const wte__box *box, wte__point p, double margin)
{
    return p.x > box->x0 - margin && p.x < box->x1 + margin && p.y > box->y0 - margin &&
           p.y < box->y1 + margin;
}

static bool overlap(const wte__box *a, const wte__box *b)
{
    return a->x0 < b->x1 && b->x0 < a->x1 && a->y0 < b->y1 && b->y0 < a->y1;
}

/* True if the line from a to b passes through the box: cut it at the four sides in turn. */
static bool crosses(const wte__box *box, wte__point a, wte__point b)
{
    const double d[2] = {b.x - a.x, b.y - a.y}, at[2] = {a.x, a.y};
    const double low[2] = {box->x0, box->y0}, high[2] = {box->x1, box->y1};
    double from = 0, to = 1;

    for (int k = 0; k < 2; k++) {
        double enter = (low[k] - at[k]) / d[k], leave = (high[k] - at[k]) / d[k];

        if (d[k] == 0) {
            if (at[k] < low[k] || at[k] > high[k])
                return false;
            continue;
        }
        from = fmax(from, fmin(enter, leave));
        to = fmin(to, fmax(enter, leave));
    }
    return from <= to;
}

static bool is_free(const wte__panel_data *p, const wte__plan *plan, const wte__box *box)
{
    size_t group = 0;

    for (size_t i = 0; i < p->n_series; i++) {
        const wte__series *s = &p->series[i];

        for (size_t k = 0; s->kind != WTE__BARS && k < s->n; k++) {
            const wte__point at = place(plan, s->x[k], s->y[k]);
            wte__point next = {NAN, NAN};

            if (s->kind == WTE__LINE_SERIES && k + 1 < s->n)
                next = place(plan, s->x[k + 1], s->y[k + 1]);
            if (holds(box, at, DOT + 2) ||
                (isfinite(at.x + at.y + next.x + next.y) && crosses(box, at, next)))
                return false;
        }
        if (s->kind != WTE__BARS)
            continue;
        for (size_t k = 0; k < s->n; k++) {
            double top = s->y[k];
            wte__box bar;

            if (s->low)
                top = fmax(fmax(top, s->high[k]), 0);
            for (size_t v = s->values ? s->starts[k] : 0; s->values && v < s->starts[k + 1]; v++)
                top = fmax(top, s->values[v]);
            bar = bar_box(p, plan, k, group, count_kind(p, WTE__BARS), top);
            bar.y0 -= 4;
            bar.x1 += 4;
            if (overlap(&bar, box))
                return false;
            bar = bar_box(p, plan, k, group, count_kind(p, WTE__BARS), s->y[k]);
            if (overlap(&bar, box))
                return false;
        }
        group++;
    }
    if (p->diagonal && crosses(box, place(plan, plan->from[0], plan->from[0]),
                               place(plan, plan->to[0], plan->to[0])))
        return false;
    return true;
}

/* Find a free corner for a box of w x h. */
static bool corner(const wte__panel_data *p, const wte__plan *plan, double w, double h, bool left,
                   const wte__box *taken, wte__box *out)
{
    if (w + 2 * INSET > plan->w || h + 2 * INSET > plan->h)
        return false;
    for (int i = 0; i < 4; i++) {
        const bool at_left = (i & 1) ? !left : left;
        const double x = at_left ? INSET : plan->w - INSET - w,
                     y = i >= 2 ? plan->h - INSET - h : INSET;
        const wte__box box = {x, y, x + w, y + h, WTE__BOX_LEGEND};

        if ((!taken || !overlap(taken, &box)) && is_free(p, plan, &box)) {
            *out = box;
            return true;
        }
    }
    return false;
}

static void plan_legend(wte__drawing *d, const wte__panel_data *p, wte__plan *plan)
{
    double widest = 0;
    size_t n = 0;
    double w, h;

    for (size_t i = 0; i < p->n_series; i++)
        if (p->series[i].legend) {
            widest =
                fmax(widest, wte__text_width(d->fonts, p->series[i].legend, LEGEND_SIZE, false));
            n++;
        }
    if (n == 0)
        return;
    w = fmin(widest, 150) + 30;
    h = (double)n * (LEGEND_SIZE * WTE__LINE + 3) + 5;
    plan->has_legend = true;
    plan->legend_outside = !corner(p, plan, w, h, false, NULL, &plan->legend);
    if (plan->legend_outside) {
        plan->right = fmax(plan->right, 10 + w);
        plan->bottom = fmax(plan->bottom, h - plan->h);
        plan->legend = (wte__box){plan->w + 10, 0, plan->w + 10 + w, h, WTE__BOX_LEGEND};
    }
}

static void plan_note(wte__drawing *d, const wte__panel_data *p, wte__plan *plan)
{
    const double h = WTE__LABEL_SIZE * WTE__LINE;

    if (p->note)
        plan->note_inside =
            corner(p, plan, wte__text_width(d->fonts, p->note, WTE__LABEL_SIZE, false), h, true,
                   plan->has_legend && !plan->legend_outside ? &plan->legend : NULL, &plan->note);
}

/* ---- labels of points ------------------------------------------------------------------------ */

struct raster {
    unsigned char *taken;
    int w, h;
};

static bool box_free(const struct raster *r, const wte__box *box)
{
    const int x0 = (int)floor(box->x0), x1 = (int)ceil(box->x1), y0 = (int)floor(box->y0),
              y1 = (int)ceil(box->y1);

    if (x0 < 0 || y0 < 0 || x1 > r->w || y1 > r->h)
        return false;
    for (int y = y0; y < y1; y++)
        if (memchr(r->taken + (size_t)y * (size_t)r->w + x0, 1, (size_t)(x1 - x0)))
            return false;
    return true;
}

static void box_take(struct raster *r, const wte__box *box)
{
    const int x0 = (int)fmax(floor(box->x0), 0), x1 = (int)fmin(ceil(box->x1), r->w),
              y0 = (int)fmax(floor(box->y0), 0), y1 = (int)fmin(ceil(box->y1), r->h);

    for (int y = y0; y < y1 && x0 < x1; y++)
        memset(r->taken + (size_t)y * (size_t)r->w + x0, 1, (size_t)(x1 - x0));
}

static void take_points(const wte__panel_data *p, const wte__plan *plan, struct raster *r)
{
    for (size_t i = 0; i < p->n_series; i++)
        for (size_t k = 0; p->series[i].kind == WTE__POINTS && k < p->series[i].n; k++) {
            const wte__point at = place(plan, p->series[i].x[k], p->series[i].y[k]);

            if (inside(plan, at))
                box_take(
                    r, &(wte__box){at.x - DOT, at.y - DOT, at.x + DOT, at.y + DOT, WTE__BOX_MARK});
        }
    if (plan->has_legend && !plan->legend_outside)
        box_take(r, &plan->legend);
    if (plan->note_inside)
        box_take(r, &plan->note);
}

/* Place one label of the given width; false where there is no place. */
static bool place_label(struct raster *r, wte__point at, double width, wte__placed *out)
{
    /* direction of the label's nearest edge or corner, in the order in which readers like it */
    static const double ways[8][2] = {{1, 0},  {-1, 0}, {0, -1},  {0, 1},
                                      {1, -1}, {1, 1},  {-1, -1}, {-1, 1}};
    static const double far[4] = {DOT + 1.5, 9, 17, 26};
    const double up = WTE__ASCENT * LABEL_SIZE, down = WTE__DESCENT * LABEL_SIZE;

    for (int f = 0; f < 4; f++)
        for (int way = 0; way < 8; way++) {
            const double dx = ways[way][0], dy = ways[way][1],
                         reach = far[f] * (dx != 0 && dy != 0 ? 0.75 : 1);
            const double x = at.x + dx * reach + (dx < 0 ? -width : dx > 0 ? 0 : -width / 2);
            const double y = at.y + dy * reach + (dy < 0 ? -down : dy > 0 ? up : (up - down) / 2);
            const wte__box box = {x - AIR, y - up, x + width + AIR, y + down, WTE__BOX_TEXT};

            if (!box_free(r, &box))
                continue;
            box_take(r, &box);
            out->x = x;
            out->y = y;
            out->led = f > 0;
            return true;
        }
    return false;
}

static wte_status plan_labels(wte__drawing *d, const wte__panel_data *p, wte__plan *plan,
                              wte_error *err)
{
    struct raster r = {NULL, (int)plan->w, (int)plan->h};
    size_t n = 0;

    for (size_t i = 0; i < p->n_series; i++)
        n += p->series[i].labels && p->series[i].kind == WTE__POINTS ? p->series[i].n : 0;
    if (n == 0)
        return WTE_OK;
    r.taken = wte__calloc((size_t)r.w, (size_t)r.h);
    plan->placed = wte__calloc(n, sizeof *plan->placed);
    if (!r.taken || !plan->placed) {
        wte__free(r.taken);
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu labels", n);
    }
    take_points(p, plan, &r);
    for (size_t i = 0; i < p->n_series; i++)
        for (size_t k = 0;
             p->series[i].labels && p->series[i].kind == WTE__POINTS && k < p->series[i].n; k++) {
            const wte__point at = place(plan, p->series[i].x[k], p->series[i].y[k]);
            const double width =
                wte__text_width(d->fonts, p->series[i].labels[k], LABEL_SIZE, false);
            wte__placed *placed = &plan->placed[plan->n_placed];

            if (!inside(plan, at) || width == 0)
                continue;
            if (place_label(&r, at, width, placed)) {
                placed->series = (uint32_t)i;
                placed->index = (uint32_t)k;
                plan->n_placed++;
            } else {
                plan->n_unplaced++;
            }
        }
    wte__free(r.taken);
    return WTE_OK;
}

/* ---- density --------------------------------------------------------------------------------- */

/* Pointed hexagons, rows 1.5 sides apart, odd rows half a width to the right.
 */
static double hexagon_width(const wte__plan *plan)
{
    return plan->w / HEXAGONS;
}

static wte__point hexagon_middle(const wte__plan *plan, size_t row, size_t col)
{
    const double width = hexagon_width(plan);

    return (wte__point){((double)col + (row & 1 ? 0.5 : 0)) * width,
                        (double)row * width * sqrt(3) / 2};
}

/* The hexagon of a point is the one whose middle is nearest; it is in one of two rows. */
static void count_point(wte__plan *plan, wte__point at)
{
    const double width = hexagon_width(plan), pitch = width * sqrt(3) / 2;
    const size_t above = (size_t)fmax(floor(at.y / pitch), 0);
    double nearest = INFINITY;
    unsigned *best = NULL;

    for (size_t row = above; row <= above + 1 && row < plan->bin_rows; row++) {
        const double col = floor(at.x / width - (row & 1 ? 0.5 : 0) + 0.5);
        const size_t j = (size_t)fmin(fmax(col, 0), (double)plan->bin_cols - 1);
        const wte__point middle = hexagon_middle(plan, row, j);
        const double distance = hypot(at.x - middle.x, at.y - middle.y);

        if (distance < nearest) {
            nearest = distance;
            best = &plan->bins[row * plan->bin_cols + j];
        }
    }
    if (best && ++*best > plan->most)
        plan->most = *best;
}

static wte_status plan_density(wte__drawing *d, const wte__panel_data *p, wte__plan *plan,
                               wte_error *err)
{
    bool any = false;

    for (size_t i = 0; i < p->n_series; i++)
        any = any || is_dense(&p->series[i]);
    if (!any)
        return WTE_OK;
    plan->bin_cols = HEXAGONS + 1;
    plan->bin_rows = (size_t)(plan->h / (hexagon_width(plan) * sqrt(3) / 2)) + 2;
    plan->bins = wte__calloc(plan->bin_rows * plan->bin_cols, sizeof *plan->bins);
    for (size_t i = 0; plan->bins && i < p->n_series; i++)
        for (size_t k = 0; is_dense(&p->series[i]) && k < p->series[i].n; k++) {
            const wte__point at = place(plan, p->series[i].x[k], p->series[i].y[k]);

            if (inside(plan, at))
                count_point(plan, at);
        }
    if (!plan->bins || (plan->most && !wte__axis_counts(d->fonts, &plan->bar, plan->most, plan->h)))
        return wte__fail(err, WTE_E_NOMEM, "no memory for a density");
    return WTE_OK;
}

/* ---- plan ------------------------------------------------------------------------------------ */

static bool all_whole(const wte__panel_data *p)
{
    for (size_t i = 0; i < p->n_series; i++)
        for (size_t k = 0; p->series[i].x && k < p->series[i].n; k++)
            if (isfinite(p->series[i].x[k]) && p->series[i].x[k] != floor(p->series[i].x[k]))
                return false;
    return true;
}

static char **bar_names(const wte__panel_data *p)
{
    for (size_t i = 0; i < p->n_series; i++)
        if (p->series[i].kind == WTE__BARS && p->series[i].labels)
            return p->series[i].labels;
    return NULL;
}

static bool plan_ticks(wte__drawing *d, const wte__panel_data *p, wte__plan *plan)
{
    const size_t bars = n_bars(p);
    char **names = bar_names(p);

    if (bars && p->horizontal)
        return (!names || wte__axis_names(d->fonts, &plan->y, names, bars, plan->h, true)) &&
               wte__axis_numbers(d->fonts, &plan->x, plan->from[0], plan->to[0], plan->w, false,
                                 false);
    if (bars && names && plan->from[0] == -0.5 && plan->to[0] == (double)bars - 0.5) {
        if (!wte__axis_names(d->fonts, &plan->x, names, bars, plan->w, false))
            return false;
    } else if (!wte__axis_numbers(d->fonts, &plan->x, plan->from[0], plan->to[0], plan->w, false,
                                  all_whole(p))) {
        return false;
    }
    return wte__axis_numbers(d->fonts, &plan->y, plan->from[1], plan->to[1], plan->h, true, false);
}

wte_status wte__xy_plan(wte__drawing *d, const wte__panel_data *p, wte__plan *plan, wte_error *err)
{
    wte_status status = find_limits(p, plan, err);

    if (status == WTE_OK && !plan_ticks(d, p, plan))
        status = wte__fail(err, WTE_E_NOMEM, "no memory for the ticks of a figure");
    if (status == WTE_OK)
        status = plan_density(d, p, plan, err);
    if (status != WTE_OK)
        return status;
    wte__plan_axes(p, plan);
    plan_legend(d, p, plan);
    if (plan->most && plan->legend_outside) { /* beyond the colour bar */
        const double w = plan->legend.x1 - plan->legend.x0;

        plan->legend.x0 = plan->w + 10 + WTE__BAR_GAP + WTE__BAR_WIDTH + 2 * WTE__TICK +
                          plan->bar.depth + 2 * WTE__LABEL_SIZE;
        plan->legend.x1 = plan->legend.x0 + w;
        plan->right = plan->legend.x1 - plan->w;
    }
    plan_note(d, p, plan);
    return plan_labels(d, p, plan, err);
}

/* The size without labels of points. */
static void plain_wish(const wte__panel_data *p, wte__wish *wish)
{
    const double bars = (double)n_bars(p);

    if (bars > 0 && p->horizontal) {
        wish->w = 240;
        wish->h = fmin(fmax(bars * 15 * (double)count_kind(p, WTE__BARS), 45), MAX_AREA);
    } else if (bars > 0) {
        wish->w = fmin(fmax(bars * 26 * (double)count_kind(p, WTE__BARS), 150), MAX_AREA);
        wish->h = 190;
    } else if (count_kind(p, WTE__POINTS)) {
        wish->w = wish->h = 250;
    } else {
        wish->w = 360;
        wish->h = 190;
    }
}

wte_status wte__xy_wish(wte__drawing *d, const wte__panel_data *p, wte__wish *wish, wte_error *err)
{
    wte__plan plan = {0};
    wte_status status = find_limits(p, &plan, err);

    if (status != WTE_OK)
        return status;
    plain_wish(p, wish);
    if (p->equal) {
        wish->ratio = (plan.to[1] - plan.from[1]) / (plan.to[0] - plan.from[0]);
        if (wish->ratio > 1e4 || wish->ratio < 1e-4)
            return wte__fail(err, WTE_E_RANGE,
                             "x from %g to %g and y from %g to %g cannot have units "
                             "of equal length",
                             plan.from[0], plan.to[0], plan.from[1], plan.to[1]);
        wish->w = fmax(fmin(sqrt(250 * 250 / wish->ratio), MAX_AREA), 40);
        wish->h = wish->w * wish->ratio;
    }
    for (int grown = 0; grown < 6; grown++) { /* until all labels have a place */
        wte__plan_free(&plan);
        plan.w = wish->w;
        plan.h = wish->h;
        status = wte__xy_plan(d, p, &plan, err);
        if (status != WTE_OK || plan.n_unplaced == 0 || fmax(plan.w, plan.h) >= MAX_AREA)
            break;
        wish->w *= fmin(1.25, MAX_AREA / fmax(plan.w, plan.h));
        wish->h *= fmin(1.25, MAX_AREA / fmax(plan.w, plan.h));
    }
    wte__plan_free(&plan);
    return status;
}

/* ---- drawing --------------------------------------------------------------------------------- */

static void draw_grid(wte__drawing *d, wte__canvas *c, const wte__plan *plan, double x, double y)
{
    const wte__pen pen = {d->theme->grid, 0.6, 0};

    wte__group(c, "grid");
    for (size_t i = 0; !plan->x.labels && i < plan->x.n; i++) {
        const double at = x + plan->x.ticks[i].at * plan->w;

        wte__line(c, at, y, at, y + plan->h, pen);
    }
    for (size_t i = 0; !plan->y.labels && i < plan->y.n; i++) {
        const double at = y + plan->y.ticks[i].at * plan->h;

        wte__line(c, x, at, x + plan->w, at, pen);
    }
    wte__group_end(c);
}

static void draw_density(wte__drawing *d, wte__canvas *c, const wte__plan *plan, double x, double y)
{
    const double width = hexagon_width(plan), side = width / sqrt(3);

    wte__group_clipped(c, "density", x, y, plan->w, plan->h);
    for (size_t row = 0; row < plan->bin_rows; row++)
        for (size_t col = 0; col < plan->bin_cols; col++) {
            const unsigned count = plan->bins[row * plan->bin_cols + col];
            const wte__point m = hexagon_middle(plan, row, col);
            wte__point corners[6];

            if (count == 0)
                continue;
            for (int k = 0; k < 6; k++) /* a little larger: no seams */
                corners[k] = (wte__point){x + m.x + 1.02 * side * sin(k * M_PI / 3),
                                          y + m.y + 1.02 * side * cos(k * M_PI / 3)};
            wte__polygon(c, corners, 6,
                         d->colors[wte__colormap_index(log(count), 0, log(plan->most))]);
        }
    wte__group_end(c);
    wte__bar_draw(d, c, plan, "points", x, y);
}

/* A point of the data. */
static void point(wte__canvas *c, double x, double y, double r, uint32_t color, double alpha)
{
    wte__keep_box(c, (wte__box){x - r, y - r, x + r, y + r, WTE__BOX_MARK});
    wte__dot(c, x, y, r, color, alpha);
}

static void draw_points(wte__canvas *c, const wte__series *s, const wte__plan *plan, uint32_t color,
                        double x, double y)
{
    /* many points are smaller, and show through each other */
    const double r = s->n <= 200 ? DOT : fmax(DOT * sqrt(200 / (double)s->n), 1.2);

    wte__group(c, "points");
    for (size_t i = 0; i < s->n; i++) {
        const wte__point at = place(plan, s->x[i], s->y[i]);

        if (isfinite(at.x) && isfinite(at.y) && inside(plan, at))
            point(c, x + at.x, y + at.y, r, color, s->n <= 50 ? 0.9 : 0.65);
    }
    wte__group_end(c);
}

static void draw_line(wte__canvas *c, const wte__series *s, const wte__plan *plan, uint32_t color,
                      double x, double y)
{
    wte__point *p = wte__calloc(s->n, sizeof *p);

    if (!p) {
        c->failed = true;
        return;
    }
    for (size_t i = 0; i < s->n; i++) {
        const wte__point at = place(plan, s->x[i], s->y[i]);

        p[i] = (wte__point){x + at.x, y + at.y};
    }
    wte__group_clipped(c, "line", x, y - 1, plan->w + 1, plan->h + 2);
    wte__lines(c, p, s->n, (wte__pen){color, s->n > 100 ? 0.8 : 1.4, 0});
    wte__group_end(c);
    for (size_t i = 0; i < s->n; i++) { /* what has a gap on both sides is a point */
        const bool before = i > 0 && isfinite(p[i - 1].y) && isfinite(p[i - 1].x),
                   after = i + 1 < s->n && isfinite(p[i + 1].y) && isfinite(p[i + 1].x);

        if (isfinite(p[i].x) && isfinite(p[i].y) && ((!before && !after) || s->n <= 30) &&
            inside(plan, (wte__point){p[i].x - x, p[i].y - y}))
            point(c, p[i].x, p[i].y, DOT, color, 1);
    }
    wte__free(p);
}

/* The values of a bar as points across its width, in a fixed disorder so that equal ones show. */
static void draw_values(wte__drawing *d, wte__canvas *c, const wte__panel_data *p,
                        const wte__series *s, const wte__plan *plan, size_t i, wte__box bar,
                        double x, double y)
{
    const double middle = p->horizontal ? (bar.y0 + bar.y1) / 2 : (bar.x0 + bar.x1) / 2,
                 spread = 0.6 * (p->horizontal ? bar.y1 - bar.y0 : bar.x1 - bar.x0);

    for (size_t v = s->starts[i]; v < s->starts[i + 1]; v++) {
        const double across =
            middle + spread * (fmod((double)(v - s->starts[i]) * 0.6180339887 + 0.5, 1) - 0.5);
        const wte__point at = place(plan, s->values[v], s->values[v]);
        const wte__point dot =
            p->horizontal ? (wte__point){at.x, across} : (wte__point){across, at.y};

        if (isfinite(dot.x) && isfinite(dot.y) && inside(plan, dot))
            point(c, x + dot.x, y + dot.y, 1.5, d->theme->ink, 0.6);
    }
}

static void draw_error(wte__drawing *d, wte__canvas *c, const wte__panel_data *p,
                       const wte__series *s, const wte__plan *plan, size_t i, wte__box bar,
                       double x, double y)
{
    const double middle = p->horizontal ? (bar.y0 + bar.y1) / 2 : (bar.x0 + bar.x1) / 2;
    const wte__pen pen = {d->theme->ink, 0.9, 0};
    const wte__point low = place(plan, s->low[i], s->low[i]),
                     high = place(plan, s->high[i], s->high[i]);

    if (!isfinite(s->low[i]) || !isfinite(s->high[i]))
        return;
    if (p->horizontal) {
        wte__line(c, x + low.x, y + middle, x + high.x, y + middle, pen);
        wte__line(c, x + low.x, y + middle - 2, x + low.x, y + middle + 2, pen);
        wte__line(c, x + high.x, y + middle - 2, x + high.x, y + middle + 2, pen);
    } else {
        wte__line(c, x + middle, y + low.y, x + middle, y + high.y, pen);
        wte__line(c, x + middle - 2, y + low.y, x + middle + 2, y + low.y, pen);
        wte__line(c, x + middle - 2, y + high.y, x + middle + 2, y + high.y, pen);
    }
}

static void draw_bars(wte__drawing *d, wte__canvas *c, const wte__panel_data *p,
                      const wte__series *s, const wte__plan *plan, size_t group, uint32_t color,
                      double x, double y)
{
    wte__group_clipped(c, "bars", x, y - 2, plan->w + 2, plan->h + 4);
    for (size_t i = 0; i < s->n; i++) {
        const wte__box bar =
            bar_box(p, plan, i, group, count_kind(p, WTE__BARS), isfinite(s->y[i]) ? s->y[i] : 0);

        if (isfinite(s->y[i]))
            wte__rect(c, x + bar.x0, y + bar.y0, bar.x1 - bar.x0, bar.y1 - bar.y0, color);
        if (s->values)
            draw_values(d, c, p, s, plan, i, bar, x, y);
        if (s->low)
            draw_error(d, c, p, s, plan, i, bar, x, y);
    }
    wte__group_end(c);
}

static void draw_labels(wte__drawing *d, wte__canvas *c, const wte__panel_data *p,
                        const wte__plan *plan, double x, double y)
{
    const double rise = (WTE__ASCENT - WTE__DESCENT) / 2 * LABEL_SIZE;

    wte__group(c, "labels");
    for (size_t i = 0; i < plan->n_placed; i++) {
        const wte__placed *l = &plan->placed[i];
        const wte__series *s = &p->series[l->series];
        const char *text = s->labels[l->index];
        const wte__point at = place(plan, s->x[l->index], s->y[l->index]);
        const double width = wte__text_width(d->fonts, text, LABEL_SIZE, false);

        if (l->led) { /* to the nearest place of the label's box */
            const double to_x = fmin(fmax(at.x, l->x), l->x + width),
                         to_y = fmin(fmax(at.y, l->y - 2 * rise), l->y);

            wte__line(c, x + at.x, y + at.y, x + to_x, y + to_y,
                      (wte__pen){d->theme->faint, 0.4, 0});
        }
        wte__text(c, x + l->x, y + l->y, text,
                  (wte__style){.size = LABEL_SIZE, .color = d->theme->ink});
    }
    wte__group_end(c);
}

static void draw_legend(wte__drawing *d, wte__canvas *c, const wte__panel_data *p,
                        const wte__plan *plan, double x, double y)
{
    const wte__box *box = &plan->legend;
    const double step = LEGEND_SIZE * WTE__LINE + 3, left = x + box->x0 + 5;
    double at = y + box->y0 + 2.5 + step / 2;

    wte__group(c, "legend");
    wte__keep_box(c,
                  (wte__box){x + box->x0, y + box->y0, x + box->x1, y + box->y1, WTE__BOX_LEGEND});
    if (!plan->legend_outside)
        wte__panel(c, x + box->x0, y + box->y0, box->x1 - box->x0, box->y1 - box->y0,
                   d->theme->page, 0.85, d->theme->grid);
    for (size_t i = 0; i < p->n_series; i++) {
        const wte__series *s = &p->series[i];
        const uint32_t color = d->theme->series[i % WTE__N_SERIES];
        char *text;

        if (!s->legend)
            continue;
        if (s->kind == WTE__LINE_SERIES)
            wte__line(c, left, at, left + 14, at, (wte__pen){color, 1.4, 0});
        else if (s->kind == WTE__BARS)
            wte__rect(c, left + 2, at - 3, 10, 6, color);
        else
            wte__dot(c, left + 7, at, DOT, color, 1);
        text = wte__text_fit(d->fonts, s->legend, LEGEND_SIZE, false, 150);
        if (text)
            wte__text(c, left + 20, at + 0.32 * LEGEND_SIZE, text,
                      (wte__style){.size = LEGEND_SIZE, .color = d->theme->ink});
        else
            c->failed = true;
        wte__free(text);
        at += step;
    }
    wte__group_end(c);
}

void wte__xy_draw(wte__drawing *d, wte__canvas *c, const wte__panel_data *p, const wte__plan *plan,
                  double x, double y)
{
    size_t group = 0;

    draw_grid(d, c, plan, x, y);
    if (plan->most)
        draw_density(d, c, plan, x, y);
    if (p->diagonal) {
        const wte__point a = place(plan, plan->from[0], plan->from[0]),
                         b = place(plan, plan->to[0], plan->to[0]);

        wte__group_clipped(c, "diagonal", x, y, plan->w, plan->h);
        wte__line(c, x + a.x, y + a.y, x + b.x, y + b.y, (wte__pen){d->theme->faint, 0.8, 3});
        wte__group_end(c);
    }
    for (size_t i = 0; i < p->n_series; i++) {
        const wte__series *s = &p->series[i];
        const uint32_t color = d->theme->series[i % WTE__N_SERIES];

        if (s->kind == WTE__BARS)
            draw_bars(d, c, p, s, plan, group++, color, x, y);
        else if (s->kind == WTE__LINE_SERIES)
            draw_line(c, s, plan, color, x, y);
        else if (!is_dense(s))
            draw_points(c, s, plan, color, x, y);
    }
    wte__axes_draw(d, c, p, plan, x, y);
    if (n_bars(p)) { /* where bars start, if not at the edge */
        const wte__point zero = place(plan, 0, 0);
        const wte__pen pen = {d->theme->ink, 0.7, 0};

        if (p->horizontal && zero.x > 0 && zero.x < plan->w)
            wte__line(c, x + zero.x, y, x + zero.x, y + plan->h, pen);
        if (!p->horizontal && zero.y > 0 && zero.y < plan->h)
            wte__line(c, x, y + zero.y, x + plan->w, y + zero.y, pen);
    }
    draw_labels(d, c, p, plan, x, y);
    if (plan->note_inside)
        wte__text(c, x + plan->note.x0, y + plan->note.y0 + WTE__ASCENT * WTE__LABEL_SIZE, p->note,
                  (wte__style){.size = WTE__LABEL_SIZE, .color = d->theme->ink});
    if (plan->has_legend)
        draw_legend(d, c, p, plan, x, y);
}
