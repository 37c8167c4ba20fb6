/* SPDX-License-Identifier: MIT */
/** format/number.h - decimal numbers to float32 and back, independent of the locale */
#ifndef WTE_NUMBER_H
#define WTE_NUMBER_H
#include "base/base.h"

/** Read a number that ends before `end` or at a space.
 *   p    first byte; the bytes up to `end` are readable, nothing behind them is read
 *   out  what Python's float() gives, rounded to float32
 * Returns where the number stops, which is `end` or a space, or NULL if the field is no number.
 * Accepted: sign, digits with a point, an exponent, underscores between digits, inf, infinity, nan;
 * no hexadecimal. */
const char *wte__number_parse(const char *p, const char *end, float *out);

/** Write a float32 with the fewest digits that restore it. Returns the length; out holds 32. */
size_t wte__number_print(float x, char *out);
#endif
