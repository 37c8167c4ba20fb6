/* SPDX-License-Identifier: MIT */
/** plot/colormap.h - colours as 0xRRGGBB: maps of numbers, and light and dark themes */
#ifndef WTE_PLOT_COLORMAP_H
#define WTE_PLOT_COLORMAP_H
#include "wte/plot.h"
#include <stdbool.h>
#include <stdint.h>

enum { WTE__COLORS = 255, WTE__COLOR_NAN = 255, WTE__N_SERIES = 7 };

/** Fill [256]: WTE__COLORS steps from low to high, then the grey of what is no number. */
void wte__colormap_fill(wte_colormap map, bool dark, uint32_t *out);
/** The step of a value: 0..WTE__COLORS - 1, or WTE__COLOR_NAN. Values outside the limits take the
 * ends. */
unsigned char wte__colormap_index(double value, double low, double high);
/** Relative luminance 0..1 (ITU-R BT.709 on linear light), which says what text is read on. */
double wte__luminance(uint32_t rgb);

typedef struct wte__theme {
    uint32_t page, ink, faint, grid, nan, hatch;
    uint32_t series[WTE__N_SERIES];
} wte__theme;
const wte__theme *wte__theme_of(bool dark);
#endif
