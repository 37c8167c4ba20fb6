/* SPDX-License-Identifier: MIT */
/** plot/figure.h - what a figure holds until it is drawn, and how its panels are laid out
 *
 * A figure keeps copies. Saving makes a plan of each panel for a size of its data area (what is
 * written where, and how much room that takes round the area), finds sizes with which all plans fit
 * the page, and draws the plans. */
#ifndef WTE_PLOT_FIGURE_H
#define WTE_PLOT_FIGURE_H
#include "plot/axis.h"
#include "plot/canvas.h"
#include "plot/colormap.h"
#include "wte/plot.h"

enum { WTE__DENSE_POINTS = 2000 }; /* more are drawn as a density */

typedef enum { WTE__POINTS, WTE__LINE_SERIES, WTE__BARS } wte__series_kind;

typedef struct wte__series {
    wte__series_kind kind;
    size_t n;
    double *x, *y; /* of bars: y are the heights, x is NULL */
    char **labels, *legend;
    double *low, *high; /* of bars, or NULL */
    double *values;     /* of bars: those of bar i are starts[i]..starts[i + 1] - 1;
                     or NULL */
    size_t *starts;
} wte__series;

typedef struct wte__heatmap {
    size_t n_rows, n_cols; /* labels */
    size_t v_rows, v_cols; /* values kept: above 2,000 means of blocks */
    double *values, low, high;
    char **row_labels, **col_labels, **texts, *bar_label;
} wte__heatmap;

typedef struct wte__tree {
    size_t n;
    int *parent;
    char **texts;
    double *weights;
    unsigned char *marked;
    /* where they are drawn: depth, and row in units of one line */
    size_t *depth;
    double *row, n_lines;
    size_t n_depths;
} wte__tree;

typedef enum { WTE__EMPTY, WTE__HEATMAP, WTE__XY, WTE__TREE } wte__panel_kind;

typedef struct wte__panel_data {
    wte__panel_kind kind;
    bool new_row, equal, diagonal, horizontal;
    char *title, *x_label, *y_label, *note;
    double limits[4]; /* x from, to, y from, to; NAN: from the data */
    wte__series *series;
    size_t n_series, series_capacity;
    wte__heatmap heat;
    wte__tree tree;
} wte__panel_data;

struct wte_figure {
    wte_figure_options options; /* its strings are copies */
    wte__panel_data *panels;
    size_t n_panels, panels_capacity;
};

/* ---- plans ----------------------------------------------------------------------------------- */

/** The label of a point: where its left end and baseline are, and whether a line leads to it. */
typedef struct wte__placed {
    double x, y;
    uint32_t series, index;
    bool led;
} wte__placed;

enum { WTE__TITLE_LINES = 3 };

/** A panel at a size of its data area, whose upper left corner is 0, 0. Lengths in points. */
typedef struct wte__plan {
    double w, h;
    double left, right, top, bottom; /* what its texts take round the area */
    double from[2], to[2];           /* limits of x and y */
    wte__axis x, y, bar;
    char *titles[WTE__TITLE_LINES];
    size_t n_titles;
    bool has_legend, legend_outside, note_inside;
    wte__box legend, note;
    wte__placed *placed;
    size_t n_placed, n_unplaced;
    unsigned *bins; /* hexagons of a density: how many points */
    size_t bin_rows, bin_cols;
    unsigned most; /* in one hexagon; 0: no density */
} wte__plan;

/** What drawing and planning share. */
typedef struct wte__drawing {
    const wte_figure *figure;
    wte__fonts *fonts;
    const wte__theme *theme;
    uint32_t colors[256];
} wte__drawing;

enum { WTE__TICK_SIZE = 8, WTE__LABEL_SIZE = 9, WTE__PANEL_SIZE = 10, WTE__FIGURE_SIZE = 12 };
#define WTE__TICK      3.0 /* length of the mark at a tick */
#define WTE__BAR_GAP   8.0
#define WTE__BAR_WIDTH 9.0

/** Say how large the data area wants to be; height / width where that must stay, else 0. */
typedef struct wte__wish {
    double w, h, ratio;
    bool fixed;
} wte__wish;

wte_status wte__heatmap_wish(wte__drawing *d, const wte__panel_data *p, wte__wish *wish,
                             wte_error *err);
wte_status wte__xy_wish(wte__drawing *d, const wte__panel_data *p, wte__wish *wish, wte_error *err);
wte_status wte__tree_wish(wte__drawing *d, const wte__panel_data *p, wte__wish *wish,
                          wte_error *err);
/** Fill a plan whose w and h are set and whose rest is 0: axes, room, legend.
 */
wte_status wte__heatmap_plan(wte__drawing *d, const wte__panel_data *p, wte__plan *plan,
                             wte_error *err);
wte_status wte__xy_plan(wte__drawing *d, const wte__panel_data *p, wte__plan *plan, wte_error *err);
void wte__plan_free(wte__plan *plan);
/** Add the room for the two axes and their labels to a plan. */
void wte__plan_axes(const wte__panel_data *p, wte__plan *plan);
/** Draw into an area whose upper left corner is x, y. */
void wte__heatmap_draw(wte__drawing *d, wte__canvas *c, const wte__panel_data *p,
                       const wte__plan *plan, double x, double y);
void wte__xy_draw(wte__drawing *d, wte__canvas *c, const wte__panel_data *p, const wte__plan *plan,
                  double x, double y);
void wte__tree_draw(wte__drawing *d, wte__canvas *c, const wte__panel_data *p,
                    const wte__plan *plan, double x, double y);
/** Draw the marks, texts and labels of the axes round an area, and a colour bar beside it. */
void wte__axes_draw(wte__drawing *d, wte__canvas *c, const wte__panel_data *p,
                    const wte__plan *plan, double x, double y);
void wte__bar_draw(wte__drawing *d, wte__canvas *c, const wte__plan *plan, const char *label,
                   double x, double y);

/** Draw a figure. The canvas is to be freed in any case. */
wte_status wte__figure_draw(const wte_figure *figure, wte__canvas_kind kind, wte__canvas *canvas,
                            wte_error *err);
#endif
