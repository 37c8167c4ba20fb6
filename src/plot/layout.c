/* SPDX-License-Identifier: MIT */
/* layout.c - the page: where each panel goes, how large its area is
 *
 * Each panel says how large its area wants to be; a plan says what its texts need round it. Without
 * a size given, the page is as large as that makes it. With one, areas share what the texts leave,
 * in the proportion of their wishes; since texts depend on the size of the area (labels thin out),
 * plans are made again until the page fits. A page too small for that is an error that says what is
 * needed.
 *
 * Areas of a row begin at the same height. Where all rows but the last have as many panels, panels
 * below each other share left edge and width. */
#include "plot/figure.h"
#include <math.h>

enum { SMALLEST_AREA = 24, MOST_BESIDE = 432, TRIES = 24, MAX_POINTS = 14400 };
#define MARGIN      8.0
#define PANEL_GAP   22.0
#define ROW_GAP     16.0
#define TITLE_GAP   5.0
#define LETTER_ROOM 18.0
#define PANEL_LINE  (WTE__PANEL_SIZE * WTE__LINE + 2)
#define FIGURE_LINE (WTE__FIGURE_SIZE * WTE__LINE + 3)

struct page {
    wte__drawing d;
    size_t n;
    wte__wish *wishes;   /* [n] */
    wte__plan *plans;    /* [n] */
    size_t *row, *col;   /* [n] */
    double *x, *y;       /* [n] upper left corner of the area */
    double *left;        /* [n] of the panel with its texts */
    size_t n_rows, most; /* panels in the longest row */
    bool grid;
    double width, height;
    char *titles[WTE__TITLE_LINES];
    size_t n_titles;
};

void wte__plan_free(wte__plan *plan)
{
    wte__axis_free(&plan->x);
    wte__axis_free(&plan->y);
    wte__axis_free(&plan->bar);
    for (size_t i = 0; i < plan->n_titles; i++)
        wte__free(plan->titles[i]);
    wte__free(plan->placed);
    wte__free(plan->bins);
    *plan = (wte__plan){0};
}

/* ---- titles ---------------------------------------------------------------------------------- */

/* Break a text into lines of at most `width` between words. False: no memory.
 */
static bool wrap(wte__fonts *fonts, const char *text, double size, bool bold, double width,
                 char **lines, size_t *n)
{
    while (*text && *n < WTE__TITLE_LINES) {
        size_t end = strlen(text);
        char *line = wte__strdup(text);

        while (line && *n + 1 < WTE__TITLE_LINES &&
               wte__text_width(fonts, line, size, bold) > width) {
            char *space = memrchr(line, ' ', end);

            if (!space || space == line)
                break;
            end = (size_t)(space - line);
            line[end] = '\0';
        }
        lines[*n] = line ? wte__text_fit(fonts, line, size, bold, width) : NULL;
        wte__free(line);
        if (!lines[*n])
            return false;
        ++*n;
        text += end;
        text += strspn(text, " ");
    }
    return true;
}

/* ---- plans ----------------------------------------------------------------------------------- */

static wte_status wish_for(wte__drawing *d, const wte__panel_data *p, size_t i, wte__wish *wish,
                           wte_error *err)
{
    wte_status status;
    double k = 1;

    *wish = (wte__wish){0};
    if (p->kind == WTE__EMPTY)
        return wte__fail(err, WTE_E_RANGE, "panel %zu has nothing in it", i + 1);
    if (p->kind == WTE__TREE)
        return wte__tree_wish(d, p, wish, err);
    status = p->kind == WTE__HEATMAP ? wte__heatmap_wish(d, p, wish, err)
                                     : wte__xy_wish(d, p, wish, err);
    if (status != WTE_OK)
        return status;
    /* as long as the names of the axes, within reason */
    if (p->x_label)
        k = fmax(k, fmin(wte__text_width(d->fonts, p->x_label, WTE__LABEL_SIZE, false), 300) /
                        wish->w);
    if (p->note)
        k = fmax(k,
                 fmin(wte__text_width(d->fonts, p->note, WTE__LABEL_SIZE, false), 300) / wish->w);
    if (wish->ratio == 0) {
        wish->w *= k;
        k = 1;
    }
    if (p->y_label)
        k = fmax(k, fmin(wte__text_width(d->fonts, p->y_label, WTE__LABEL_SIZE, false), 240) /
                        wish->h);
    if (p->kind == WTE__HEATMAP && p->heat.bar_label)
        k = fmax(k,
                 fmin(wte__text_width(d->fonts, p->heat.bar_label, WTE__LABEL_SIZE, false), 240) /
                     wish->h);
    wish->h *= k;
    if (wish->ratio > 0)
        wish->w *= k;
    return WTE_OK;
}

/* Plan a panel for an area of w x h. */
static wte_status plan_one(struct page *page, size_t i, double w, double h, wte_error *err)
{
    const wte__panel_data *p = &page->d.figure->panels[i];
    wte__plan *plan = &page->plans[i];
    wte_status status = WTE_OK;
    double room;

    wte__plan_free(plan);
    plan->w = w;
    plan->h = h;
    if (p->kind == WTE__HEATMAP)
        status = wte__heatmap_plan(&page->d, p, plan, err);
    else if (p->kind == WTE__XY)
        status = wte__xy_plan(&page->d, p, plan, err);
    if (status != WTE_OK)
        return status;
    if (p->note && !plan->note_inside) {
        const double over = wte__text_width(page->d.fonts, p->note, WTE__LABEL_SIZE, false) - w;

        plan->right = fmax(plan->right, fmin(over, 40)); /* the rest ends in an ellipsis */
        plan->top += WTE__LABEL_SIZE * WTE__LINE + 3;
    }
    room = plan->left + w + plan->right - (page->n > 1 ? LETTER_ROOM : 0);
    if (room < 60) { /* a little wider, rather than a title of three letters */
        plan->right += 60 - room;
        room = 60;
    }
    if (p->title &&
        !wrap(page->d.fonts, p->title, WTE__PANEL_SIZE, false, room, plan->titles, &plan->n_titles))
        return wte__fail(err, WTE_E_NOMEM, "no memory for a title");
    if (plan->n_titles || page->n > 1)
        plan->top += (double)(plan->n_titles ? plan->n_titles : 1) * PANEL_LINE + TITLE_GAP;
    return WTE_OK;
}

/* Panels in rows and columns. */
static void arrange(struct page *page)
{
    size_t in_row = 0;

    page->n_rows = 1;
    for (size_t i = 0; i < page->n; i++) {
        if (page->d.figure->panels[i].new_row) {
            page->n_rows++;
            in_row = 0;
        }
        page->row[i] = page->n_rows - 1;
        page->col[i] = in_row++;
        page->most = in_row > page->most ? in_row : page->most;
    }
}

/* Rows are columns, too, where they have as many panels of about the same width. */
static bool is_grid(const struct page *page)
{
    if (page->most == 1 || page->n_rows == 1)
        return false;
    for (size_t i = 0; i < page->n; i++) {
        const double w = page->wishes[i].w, of_column = page->wishes[page->col[i]].w;

        if (fabs(w - of_column) > 0.2 * of_column)
            return false;
        if (i + 1 < page->n && page->row[i + 1] != page->row[i] && page->col[i] + 1 != page->most)
            return false; /* the last row alone may be shorter */
    }
    return true;
}

/* The largest of a length of the panels in a row (or in a column, where it is a grid). */
enum length { LEFT, WIDTH, RIGHT, TOP, HEIGHT, BOTTOM };
static double length_of(const wte__plan *p, enum length what)
{
    const double lengths[] = {p->left, p->w, p->right, p->top, p->h, p->bottom};

    return lengths[what];
}

static double largest(const struct page *page, size_t panel, enum length what)
{
    const bool in_row = what >= TOP;
    double most = 0;

    if (!in_row && !page->grid)
        return length_of(&page->plans[panel], what);
    for (size_t i = 0; i < page->n; i++)
        if (in_row ? page->row[i] == page->row[panel] : page->col[i] == page->col[panel])
            most = fmax(most, length_of(&page->plans[i], what));
    return most;
}

/* Put panels beside and below each other; the page is as large as they are. */
static void put(struct page *page)
{
    double at_x = MARGIN,
           at_y = MARGIN + (double)page->n_titles * FIGURE_LINE + (page->n_titles ? TITLE_GAP : 0);
    double right = 0;

    for (size_t i = 0; i < page->n; i++) {
        if (i > 0 && page->row[i] != page->row[i - 1]) {
            at_y += largest(page, i - 1, TOP) + largest(page, i - 1, HEIGHT) +
                    largest(page, i - 1, BOTTOM) + ROW_GAP;
            at_x = MARGIN;
        } else if (i > 0) {
            at_x += PANEL_GAP;
        }
        page->left[i] = at_x;
        page->x[i] = at_x + largest(page, i, LEFT);
        page->y[i] = at_y + largest(page, i, TOP);
        at_x += largest(page, i, LEFT) + largest(page, i, WIDTH) + largest(page, i, RIGHT);
        right = fmax(right, at_x);
    }
    page->width = right + MARGIN;
    page->height = at_y + largest(page, page->n - 1, TOP) + largest(page, page->n - 1, HEIGHT) +
                   largest(page, page->n - 1, BOTTOM) + MARGIN;
}

static wte_status title_for(struct page *page, double width, wte_error *err)
{
    for (size_t i = 0; i < page->n_titles; i++)
        wte__free(page->titles[i]);
    page->n_titles = 0;
    if (page->d.figure->options.title &&
        !wrap(page->d.fonts, page->d.figure->options.title, WTE__FIGURE_SIZE, true, width,
              page->titles, &page->n_titles))
        return wte__fail(err, WTE_E_NOMEM, "no memory for a title");
    return WTE_OK;
}

/* ---- a given size ---------------------------------------------------------------------------- */

/* What is left of a row's width (of the page's height) for its areas, and what they wished. */
static double scale_of(const struct page *page, size_t panel, bool across, double wanted)
{
    double texts = 2 * MARGIN, wishes = 0, fixed = 0;

    if (across) {
        for (size_t i = 0; i < page->n; i++)
            if (page->row[i] == page->row[panel]) {
                texts += largest(page, i, LEFT) + largest(page, i, RIGHT) +
                         (page->col[i] ? PANEL_GAP : 0);
                *(page->wishes[i].fixed ? &fixed : &wishes) += page->wishes[i].w;
            }
        return (wanted - texts - fixed) / wishes;
    }
    texts += (double)page->n_titles * FIGURE_LINE + (page->n_titles ? TITLE_GAP : 0);
    for (size_t row = 0; row < page->n_rows; row++) {
        double tall = 0, tall_fixed = 0;

        for (size_t i = 0; i < page->n; i++)
            if (page->row[i] == row) {
                double *most = page->wishes[i].fixed ? &tall_fixed : &tall;

                *most = fmax(*most, page->wishes[i].h);
                if (page->col[i] == 0)
                    texts += largest(page, i, TOP) + largest(page, i, BOTTOM) + (row ? ROW_GAP : 0);
            }
        *(tall > 0 ? &wishes : &fixed) += tall > 0 ? tall : tall_fixed;
    }
    return (wanted - texts - fixed) / wishes;
}

static wte_status too_small(const struct page *page, double width, double height, wte_error *err)
{
    return wte__fail(err, WTE_E_RANGE,
                     "a figure of %.3g x %.3g inches is too small for what is "
                     "written in it: as "
                     "large as it wants to be it has %.1f x %.1f",
                     width / 72, height / 72, page->width / 72, page->height / 72);
}

static wte_status fit(struct page *page, double width, double height, wte_error *err)
{
    const double natural_w = page->width, natural_h = page->height;
    double slack = 0;

    for (int attempt = 0; attempt < TRIES; attempt++) {
        const double down = height > 0 ? scale_of(page, 0, false, height - slack) : 0;
        wte_status status;
        bool settled = true;

        for (size_t i = 0; i < page->n; i++) {
            const wte__wish *wish = &page->wishes[i];
            double across = width > 0 ? scale_of(page, i, true, width - slack) : down;
            double w = wish->w * across, h = wish->h * (height > 0 ? down : across);

            if (wish->fixed) {
                w = wish->w;
                h = wish->h;
            } else if (wish->ratio > 0) {
                w = fmin(w, h / wish->ratio);
                h = w * wish->ratio;
            }
            if (!(w >= SMALLEST_AREA || w >= wish->w) || !(h >= SMALLEST_AREA || h >= wish->h)) {
                page->width = natural_w;
                page->height = natural_h;
                return too_small(page, width, height, err);
            }
            settled =
                settled && fabs(w - page->plans[i].w) < 0.01 && fabs(h - page->plans[i].h) < 0.01;
            status = plan_one(page, i, w, h, err);
            if (status != WTE_OK)
                return status;
        }
        put(page);
        if ((settled || attempt > 3) && (width == 0 || page->width <= width + 0.1) &&
            (height == 0 || page->height <= height + 0.1)) {
            page->width = width > 0 ? width : page->width;
            page->height = height > 0 ? height : page->height;
            return WTE_OK;
        }
        if (attempt > 3) /* labels go to and fro between two sizes: take a little less */
            slack += 2;
    }
    page->width = natural_w;
    page->height = natural_h;
    return too_small(page, width, height, err);
}

/* A scatter beside a large heat map grows with it: it would look lost. */
static void grow_beside_heatmaps(struct page *page)
{
    const wte__panel_data *panels = page->d.figure->panels;

    for (size_t i = 0; i < page->n; i++) {
        wte__wish *wish = &page->wishes[i];
        double tallest = 0, factor;

        for (size_t j = 0; j < page->n; j++)
            if (page->row[j] == page->row[i] && panels[j].kind == WTE__HEATMAP)
                tallest = fmax(tallest, page->wishes[j].h);
        factor = fmin(tallest, MOST_BESIDE) / wish->h;
        if (panels[i].kind == WTE__HEATMAP || wish->fixed || !(factor > 1))
            continue;
        if (wish->ratio > 0 || wish->w <= 1.25 * wish->h) /* what is square stays so */
            wish->w *= factor;
        wish->h *= factor;
    }
}

static wte_status lay_out(struct page *page, wte_error *err)
{
    const wte_figure_options *o = &page->d.figure->options;
    const double width = o->width * 72, height = o->height * 72;
    wte_status status;

    arrange(page);
    for (size_t i = 0; i < page->n; i++) {
        status = wish_for(&page->d, &page->d.figure->panels[i], i, &page->wishes[i], err);
        if (status != WTE_OK)
            return status;
    }
    grow_beside_heatmaps(page);
    for (size_t i = 0; i < page->n; i++) {
        status = plan_one(page, i, page->wishes[i].w, page->wishes[i].h, err);
        if (status != WTE_OK)
            return status;
    }
    page->grid = is_grid(page);
    put(page);
    if (width == 0 && o->title) /* a small figure is as wide as its title, within reason */
        page->width =
            fmax(page->width,
                 fmin(wte__text_width(page->d.fonts, o->title, WTE__FIGURE_SIZE, true), 360) +
                     2 * MARGIN);
    const double page_width = width > 0 ? width : page->width;
    status = title_for(page, page_width - 2 * MARGIN, err);
    if (status != WTE_OK)
        return status;
    put(page);
    if (width > 0 || height > 0)
        status = fit(page, width, height, err);
    else
        page->width = page_width;
    if (status == WTE_OK && (page->width > MAX_POINTS || page->height > MAX_POINTS))
        status = wte__fail(err, WTE_E_RANGE,
                           "a figure of %.0f x %.0f inches: expected at most %d each way",
                           page->width / 72, page->height / 72, MAX_POINTS / 72);
    return status;
}

/* ---- drawing --------------------------------------------------------------------------------- */

static void draw_titles(struct page *page, wte__canvas *c)
{
    for (size_t i = 0; i < page->n_titles; i++)
        wte__text(
            c, MARGIN, MARGIN + (double)i * FIGURE_LINE + WTE__ASCENT * WTE__FIGURE_SIZE,
            page->titles[i],
            (wte__style){.size = WTE__FIGURE_SIZE, .color = page->d.theme->ink, .bold = true});
}

static void draw_header(struct page *page, wte__canvas *c, size_t i)
{
    const wte__panel_data *p = &page->d.figure->panels[i];
    const wte__plan *plan = &page->plans[i];
    const double top = page->y[i] - largest(page, i, TOP);
    double x = page->left[i];
    char letter[8];

    if (page->n > 1) {
        /* A) to Z), then AA) */
        if (i < 26)
            snprintf(letter, sizeof letter, "%c)", (int)('A' + i));
        else
            snprintf(letter, sizeof letter, "%c%c)", (int)('A' + (i / 26 - 1) % 26),
                     (int)('A' + i % 26));
        wte__text(c, x, top + WTE__ASCENT * WTE__PANEL_SIZE, letter,
                  (wte__style){.size = WTE__PANEL_SIZE, .color = page->d.theme->ink, .bold = true});
        x += LETTER_ROOM;
    }
    for (size_t k = 0; k < plan->n_titles; k++)
        wte__text(c, x, top + (double)k * PANEL_LINE + WTE__ASCENT * WTE__PANEL_SIZE,
                  plan->titles[k],
                  (wte__style){.size = WTE__PANEL_SIZE, .color = page->d.theme->ink});
    if (p->note && !plan->note_inside) {
        char *note =
            wte__text_fit(page->d.fonts, p->note, WTE__LABEL_SIZE, false, plan->w + plan->right);
        const double above = fmax(plan->y.before, plan->bar.n ? plan->bar.before : 0);

        if (note)
            wte__text(c, page->x[i], page->y[i] - above - 3 - WTE__DESCENT * WTE__LABEL_SIZE, note,
                      (wte__style){.size = WTE__LABEL_SIZE, .color = page->d.theme->ink});
        else
            c->failed = true;
        wte__free(note);
    }
}

static void draw_page(struct page *page, wte__canvas *c)
{
    draw_titles(page, c);
    for (size_t i = 0; i < page->n; i++) {
        const wte__panel_data *p = &page->d.figure->panels[i];

        wte__group(c, "panel");
        draw_header(page, c, i);
        if (p->kind == WTE__HEATMAP)
            wte__heatmap_draw(&page->d, c, p, &page->plans[i], page->x[i], page->y[i]);
        else if (p->kind == WTE__XY)
            wte__xy_draw(&page->d, c, p, &page->plans[i], page->x[i], page->y[i]);
        else
            wte__tree_draw(&page->d, c, p, &page->plans[i], page->x[i], page->y[i]);
        wte__group_end(c);
    }
}

static void page_free(struct page *page)
{
    for (size_t i = 0; page->plans && i < page->n; i++)
        wte__plan_free(&page->plans[i]);
    for (size_t i = 0; i < page->n_titles; i++)
        wte__free(page->titles[i]);
    wte__free(page->wishes);
    wte__free(page->plans);
    wte__free(page->row);
    wte__free(page->col);
    wte__free(page->x);
    wte__free(page->y);
    wte__free(page->left);
    wte__fonts_free(page->d.fonts);
}

wte_status wte__figure_draw(const wte_figure *figure, wte__canvas_kind kind, wte__canvas *canvas,
                            wte_error *err)
{
    const wte_figure_options *o = &figure->options;
    struct page page = {.d = {.figure = figure, .theme = wte__theme_of(o->dark)}};
    const size_t n = figure->n_panels;
    wte_status status = WTE_E_NOMEM;

    *canvas = (wte__canvas){0};
    if (n == 0)
        return wte__fail(err, WTE_E_RANGE, "a figure without a panel");
    page.n = n;
    wte__colormap_fill(o->colormap, o->dark, page.d.colors);
    page.wishes = wte__calloc(n, sizeof *page.wishes);
    page.plans = wte__calloc(n, sizeof *page.plans);
    page.row = wte__calloc(n, sizeof *page.row);
    page.col = wte__calloc(n, sizeof *page.col);
    page.x = wte__calloc(n, sizeof *page.x);
    page.y = wte__calloc(n, sizeof *page.y);
    page.left = wte__calloc(n, sizeof *page.left);
    if (page.wishes && page.plans && page.row && page.col && page.x && page.y && page.left)
        status = wte__fonts_new(&page.d.fonts, err);
    else
        wte__fail(err, WTE_E_NOMEM, "no memory for %zu panels", n);
    if (status == WTE_OK)
        status = lay_out(&page, err);
    if (status == WTE_OK)
        status = wte__canvas_begin(canvas, kind, page.width, page.height, o->dpi,
                                   page.d.theme->page, page.d.fonts, o->title, o->provenance, err);
    if (status == WTE_OK) {
        draw_page(&page, canvas);
        status = wte__canvas_end(canvas, err);
    }
    canvas->fonts = NULL;
    page_free(&page);
    return status;
}
