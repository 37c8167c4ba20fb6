/* SPDX-License-Identifier: MIT */
/** plot/png.h - what figures need of PNG beyond what cairo writes */
#ifndef WTE_PLOT_PNG_H
#define WTE_PLOT_PNG_H
#include "plot/buffer.h"

/** Write an image of one byte a pixel, an index into 256 colours 0xRRGGBB. */
void wte__png_indexed(wte__buffer *out, const unsigned char *pixels, size_t n_cols, size_t n_rows,
                      const uint32_t *colors);
/** Copy a PNG, adding its resolution and text under the keyword "wte" behind the header. `text` may
 * be NULL. */
void wte__png_annotate(wte__buffer *out, const unsigned char *png, size_t n, double dpi,
                       const char *text);
/** Find that text: NULL, or where it starts, with its length. Any bytes may be given. */
const char *wte__png_text(const unsigned char *png, size_t n, size_t *length);
#endif
