/* SPDX-License-Identifier: MIT */
/** wte/plot.h - results as figures: SVG, PDF, PNG from one drawing
 *
 * A figure is made of panels; a panel of one heat map, one tree, or any number of point, line and
 * bar series. What is added is checked and copied at once; it is drawn when the figure is saved.
 *
 * Text is measured before anything is drawn: labels thin out evenly, or are turned, or the figure
 * grows; nothing is clipped or overlaps. Text stays text in SVG and PDF. It is UTF-8 in any script
 * that a font of the machine has; right-to-left parts and Arabic's joined letters are drawn as they
 * are read. In PDF and PNG, scripts that need more than that (Devanagari, Khmer) are drawn letter
 * by letter. Controls are shown as \n or \x1b, a very long label ends in an ellipsis. Any string
 * may be NULL.
 *
 * The same figure is the same bytes, as long as the fonts are the same. */
#ifndef WTE_PLOT_H
#define WTE_PLOT_H
#include <math.h>
#include "wte/status.h"
WTE_BEGIN_DECLS

typedef struct wte_figure wte_figure;

typedef enum wte_colormap {
    WTE_COLORMAP_PLASMA,
    WTE_COLORMAP_VIRIDIS,
    WTE_COLORMAP_MAGMA,
    WTE_COLORMAP_CIVIDIS,
    WTE_COLORMAP_DIVERGING /**< blue, white, red around 0 */
} wte_colormap;

/** Options of a figure; start from WTE_FIGURE_DEFAULTS. */
typedef struct wte_figure_options {
    const char *title;    /**< NULL: none */
    double width, height; /**< inches; 0: as large as the content wants */
    double dpi;           /**< of PNG, 10 to 2400 */
    int dark;
    wte_colormap colormap;
    /** what made the figure, kept in its metadata for wte_figure_provenance(): UTF-8 without
     * controls but tabs and newlines; of a command, a JSON object for `wte replay` */
    const char *provenance;
} wte_figure_options;

#define WTE_FIGURE_DEFAULTS                                                                        \
    {                                                                                              \
        NULL, 0, 0, 144, 0, WTE_COLORMAP_PLASMA, NULL                                              \
    }

/** Begin a figure. `options` may be NULL. Errors: E_RANGE (an option, named), E_NOMEM. */
WTE_API wte_status wte_figure_new(const wte_figure_options *options, wte_figure **out,
                                  wte_error *err);
WTE_API void wte_figure_free(wte_figure *figure);

/** Axis texts and limits of a panel; NAN: from the data. Strings are copied. */
typedef struct wte_axes {
    const char *title, *x_label, *y_label;
    double x_min, x_max, y_min, y_max;
    int equal;        /**< one unit is as long on both axes */
    int diagonal;     /**< draw y = x */
    const char *note; /**< a line of text inside, at the corner with the fewest points */
} wte_axes;

#define WTE_AXES_DEFAULTS                                                                          \
    {                                                                                              \
        NULL, NULL, NULL, NAN, NAN, NAN, NAN, 0, 0, NULL                                           \
    }

/** Begin a panel to the right of the last (A), B), C) are written when there are several), or in a
 * new row of panels. What is added next belongs to it; without this call, to a panel with
 * WTE_AXES_DEFAULTS. `axes` may be NULL. Errors: E_RANGE (limits), E_NOMEM. */
WTE_API wte_status wte_figure_panel(wte_figure *figure, const wte_axes *axes, int new_row,
                                    wte_error *err);

/** A matrix as coloured cells with a colour bar.
 *   values    [n_rows, n_cols]; NAN is drawn as a hatched cell, grey where cells are tiny; of more
 *             than 2,000 rows or columns the means of blocks are drawn
 *   row_labels, col_labels  [n] UTF-8, or NULL
 *   low, high  limits of the colours, taken by what lies beyond; NAN: from the data
 *   texts     [n_rows * n_cols] written into the cells where they fit, or NULL
 *   bar_label  beside the colour bar
 * Errors: E_SHAPE (empty), E_RANGE (no number in it, limits, a panel that holds something),
 * E_NOMEM. */
WTE_API wte_status wte_figure_heatmap(wte_figure *figure, const double *values, size_t n_rows,
                                      size_t n_cols, const char *const *row_labels,
                                      const char *const *col_labels, double low, double high,
                                      const char *const *texts, const char *bar_label,
                                      wte_error *err);

/** Points with optional labels; more than 2,000 become a density of hexagons, without labels. A
 * point that is no number, or lies outside given limits, is not drawn.
 *   x, y [n]; labels [n] or NULL; legend NULL: none
 * A label stands where it covers neither a point nor another label; unless the size is given the
 * figure grows for them, and what has no place at its largest is left out. Errors: E_SHAPE (empty),
 * E_RANGE (no number in it, a panel that holds another kind), E_NOMEM; also of lines and bars. */
WTE_API wte_status wte_figure_points(wte_figure *figure, const double *x, const double *y, size_t n,
                                     const char *const *labels, const char *legend, wte_error *err);
/** A line through points in order; x NULL: 0, 1, 2... Gaps where y is NAN. */
WTE_API wte_status wte_figure_line(wte_figure *figure, const double *x, const double *y, size_t n,
                                   const char *legend, wte_error *err);
/** Bars with labels; of each bar its individual values are drawn as points.
 *   heights [n]; labels [n]; values [n] arrays of n_values[i], or NULL; low, high [n] error bars or
 *   NULL; horizontal: for long labels, the first at the top
 * A second call puts its bars beside those of the first. */
WTE_API wte_status wte_figure_bars(wte_figure *figure, const double *heights,
                                   const char *const *labels, size_t n, const double *const *values,
                                   const size_t *n_values, const double *low, const double *high,
                                   int horizontal, wte_error *err);
/** A tree from left to right: node i has parent[i] (-1: root), text, weight 0..1 of its line, and
 * may be marked (kept, ended). texts, weights and marked may be NULL. Errors: E_SHAPE (empty), E_RANGE
 * (a parent that is not there, a node that is its own ancestor, a panel that holds something),
 * E_NOMEM. */
WTE_API wte_status wte_figure_tree(wte_figure *figure, const int *parent, const char *const *texts,
                                   const double *weights, const unsigned char *marked, size_t n,
                                   wte_error *err);

/** Draw to a file; its ending says how: .svg, .pdf, .png. Written atomically. Errors: E_RANGE
 * (another ending; a figure or panel with nothing in it; a size that is too small for the texts or
 * has more than 32,767 pixels), E_IO, E_UNSUPPORTED (no font is installed), E_NOMEM. */
WTE_API wte_status wte_figure_save(const wte_figure *figure, const char *path, wte_error *err);

/** Read the provenance out of a figure that wte drew. Free with wte_text_free() (wte/tokenizer.h).
 * Errors: E_IO, E_FORMAT (no figure of wte, or drawn without provenance), E_NOMEM. */
WTE_API wte_status wte_figure_provenance(const char *path, char **out, wte_error *err);

WTE_END_DECLS
#endif
