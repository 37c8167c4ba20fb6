/* SPDX-License-Identifier: MIT */
/** pairs.h - which sheets are compared with which, and a number and a test of each pair
 *
 * Two models are one pair. More are all pairs. With --layer all, two models are a grid of the
 * first's layers by the second's; one model, or more than two, a square of all layers. */
#ifndef WTE_CLI_PAIRS_H
#define WTE_CLI_PAIRS_H
#include "together.h"

enum shape { ONE_PAIR, ALL_PAIRS, LAYERS };

struct pair_test {
    size_t a, b; /**< sheets */
    double value, p, q;
};

struct pairs {
    const struct together *t;
    enum shape shape;
    struct pair_test *items; /**< [n] */
    size_t n;
    size_t n_rows, n_cols; /**< of the grid */
    size_t first_col;      /**< sheet; the first row is sheet 0 */
    bool square;           /**< rows and columns are the same */
};

/** List the pairs of sheets; free(items). Returns an exit status. */
int list_pairs(const struct together *t, struct pairs *out);
/** Fill in q. Returns an exit status. */
int correct_pairs(struct pairs *p);

/** The value of a cell of the grid, 1 on the diagonal of a square. */
double pairs_value(const struct pairs *p, size_t row, size_t col);

/** Give the values of the grid to -o, where it wants an array, and close what was written. Returns an
 * exit status. */
int close_grid(const struct pairs *p);

/** Write the grid into the object that is open: "rows", "columns", "values", "p_values", "q_values";
 * as TSV; as a table for people.
 *   measure  what the values are */
void json_grid(struct out *o, const struct pairs *p);
void tsv_grid(struct out *o, const struct pairs *p);
void show_grid(struct out *o, const struct pairs *p, const char *measure);
/** Draw the grid as a heat map. Returns an exit status. */
int plot_grid(const struct pairs *p, const char *measure, double low, double high);

#endif
