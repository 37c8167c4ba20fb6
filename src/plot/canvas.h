/* SPDX-License-Identifier: MIT */
/** plot/canvas.h - one set of drawing calls that ends up as SVG, PDF or PNG
 *
 * Points of 1/72 inch, y down, colours 0xRRGGBB. A call that fails is remembered; wte__canvas_end
 * says so. The canvas keeps the box of every text (and of every point and legend), so that tests
 * can see what lies on what. */
#ifndef WTE_PLOT_CANVAS_H
#define WTE_PLOT_CANVAS_H
#include "plot/buffer.h"
#include "plot/libraries.h"
#include "plot/text.h"

typedef enum { WTE__SVG, WTE__PDF, WTE__PNG } wte__canvas_kind;

typedef struct wte__point {
    double x, y;
} wte__point;

typedef struct wte__box {
    double x0, y0, x1, y1;
    enum { WTE__BOX_TEXT, WTE__BOX_CELL, WTE__BOX_LEGEND, WTE__BOX_MARK } what;
} wte__box;

typedef struct wte__canvas {
    wte__canvas_kind kind;
    double width, height, dpi;
    wte__fonts *fonts; /* borrowed */
    const char *provenance;
    wte__buffer out; /* the file, after wte__canvas_end */
    cairo_surface_t *surface;
    cairo_t *cr;
    unsigned n_clips;
    wte__box *boxes;
    size_t n_boxes, boxes_capacity;
    bool failed;
} wte__canvas;

/** Begin a page. `title` and `provenance` may be NULL. Errors: E_NOMEM, E_RANGE (more pixels than
 * PNG can be drawn with). Free it in any case. */
wte_status wte__canvas_begin(wte__canvas *c, wte__canvas_kind kind, double width, double height,
                             double dpi, uint32_t page, wte__fonts *fonts, const char *title,
                             const char *provenance, wte_error *err);
wte_status wte__canvas_end(wte__canvas *c, wte_error *err);
void wte__canvas_free(wte__canvas *c);

/** What is drawn until the matching end belongs together, and is cut at a rectangle if it has one.
 */
void wte__group(wte__canvas *c, const char *name);
void wte__group_clipped(wte__canvas *c, const char *name, double x, double y, double w, double h);
void wte__group_end(wte__canvas *c);

/** Fill a rectangle with sharp edges. */
void wte__rect(wte__canvas *c, double x, double y, double w, double h, uint32_t color);
/** Fill with rounded edges, for what lies on top. */
void wte__panel(wte__canvas *c, double x, double y, double w, double h, uint32_t color,
                double alpha, uint32_t edge);
void wte__polygon(wte__canvas *c, const wte__point *p, size_t n, uint32_t color);
typedef struct wte__pen {
    uint32_t color;
    double width, dash; /* dash 0: none */
} wte__pen;
/** Draw through points; a point that is no number leaves a gap. */
void wte__lines(wte__canvas *c, const wte__point *p, size_t n, wte__pen pen);
void wte__line(wte__canvas *c, double x0, double y0, double x1, double y1, wte__pen pen);
/** Draw a branch from left to right, level at both ends. */
void wte__branch(wte__canvas *c, double x0, double y0, double x1, double y1, wte__pen pen);
void wte__dot(wte__canvas *c, double x, double y, double r, uint32_t color, double alpha);
/** Draw indices into 256 colours as cells of equal size. */
void wte__image(wte__canvas *c, double x, double y, double w, double h, const unsigned char *pixels,
                size_t n_cols, size_t n_rows, const uint32_t *colors);

typedef struct wte__style {
    double size;
    uint32_t color;
    double align; /* 0: x is the left end, 0.5: the middle, 1: the right end */
    bool bold, upward;
    bool in_cell;
} wte__style;
/** Draw a clean text with its baseline through x, y; upward text reads from bottom to top. */
void wte__text(wte__canvas *c, double x, double y, const char *text, wte__style style);
void wte__keep_box(wte__canvas *c, wte__box box);
#endif
