/* SPDX-License-Identifier: MIT */
/** plot/text.h - text in any script: made printable, measured, drawn
 *
 * Lengths are in points. A text is one line. */
#ifndef WTE_PLOT_TEXT_H
#define WTE_PLOT_TEXT_H
#include "base/base.h"
#include "plot/libraries.h"

/** How far a line reaches above and below its baseline, in units of its size.
 */
#define WTE__ASCENT  0.80
#define WTE__DESCENT 0.24
#define WTE__LINE    (WTE__ASCENT + WTE__DESCENT)

typedef struct wte__fonts wte__fonts;

/** Find the fonts of this machine. Errors: E_NOMEM, E_UNSUPPORTED (there is none). */
wte_status wte__fonts_new(wte__fonts **out, wte_error *err);
void wte__fonts_free(wte__fonts *fonts);
/** Name the font that text is drawn in first. */
const char *wte__fonts_family(const wte__fonts *fonts);

/** Copy text so that it can be drawn and stand in XML: controls become visible escapes, what is not
 * UTF-8 U+FFFD, what is very long ends in an ellipsis. NULL if there is no memory. */
char *wte__text_clean(const char *text);
/** Copy at most `width` of a clean text, with an ellipsis for what is left out. NULL: no memory. */
char *wte__text_fit(wte__fonts *fonts, const char *text, double size, bool bold, double width);
double wte__text_width(wte__fonts *fonts, const char *text, double size, bool bold);
/** Draw a clean text with its left end at the current point's x, y. */
void wte__text_show(wte__fonts *fonts, cairo_t *cr, const char *text, double x, double y,
                    double size, bool bold);

/** A character as it is drawn. */
typedef struct wte__shaped {
    uint32_t code;         /* joined form of an Arabic letter, mirrored bracket */
    unsigned from, length; /* the bytes of the text that it stands for */
    bool leftward;         /* belongs to a part that is read from right to left */
} wte__shaped;
enum { WTE__TEXT_CODES = 512 };
/** Put the characters of a clean text into the order in which they are drawn, left to right.
 *   out  [WTE__TEXT_CODES]
 * Returns how many. */
size_t wte__text_shape(const char *text, wte__shaped *out);
#endif
