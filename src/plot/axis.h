/* SPDX-License-Identifier: MIT */
/** plot/axis.h - which ticks an axis has and how much room their texts take
 *
 * Positions go from 0 (left or top) to 1 (right or bottom). */
#ifndef WTE_PLOT_AXIS_H
#define WTE_PLOT_AXIS_H
#include "plot/text.h"

typedef struct wte__tick {
    double at;
    char *text;
    double width;
} wte__tick;

typedef struct wte__axis {
    wte__tick *ticks;
    size_t n, capacity;
    double size;          /* of the text */
    bool upward;          /* texts read from bottom to top */
    bool labels;          /* texts are names, not numbers */
    double depth;         /* room across the axis, 0 without ticks */
    double before, after; /* what texts take along it beyond its ends */
} wte__axis;

/** Choose round numbers whose texts do not touch. `whole`: no fractions. `downward`: the axis goes
 * from top to bottom, `low` at the bottom. False: no memory. */
bool wte__axis_numbers(wte__fonts *fonts, wte__axis *axis, double low, double high, double length,
                       bool downward, bool whole);
/** The same for numbers from 1 to `high` at the place of their logarithms, for a colour bar. */
bool wte__axis_counts(wte__fonts *fonts, wte__axis *axis, unsigned high, double length);
/** Name n cells of equal size: all of them, or every second, third... so that texts do not touch.
 */
bool wte__axis_names(wte__fonts *fonts, wte__axis *axis, char *const *names, size_t n,
                     double length, bool downward);
void wte__axis_free(wte__axis *axis);
#endif
