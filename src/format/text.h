/* SPDX-License-Identifier: MIT */
/** format/text.h - rows of word vectors written as text */
#ifndef WTE_TEXT_H
#define WTE_TEXT_H
#include "base/base.h"

/** The parts of one line. */
typedef struct wte__line {
    size_t word_len;     /* the word is the line's first bytes */
    const char *numbers; /* first byte of the first number */
} wte__line;

/** The end of a line without the white space there. */
const char *wte__line_strip(const char *line, const char *end);

/** Find where the word ends.
 *   end    as wte__line_strip gives it
 *   loose  the word may contain spaces: the numbers are the last `dim` fields
 *   reason  [size] receives what is wrong in words, for a message
 * Returns false if there is no such row. The numbers themselves are looked at only when the line
 * has more fields than it should, or for the reason. */
bool wte__line_split(const char *line, const char *end, size_t dim, bool loose, wte__line *out,
                     char *reason, size_t size);

/** Read a row: a word and exactly `dim` numbers, one space between each.
 *   out   [dim]
 * The rest as wte__line_split(). */
bool wte__line_read(const char *line, const char *end, size_t dim, bool loose, wte__line *parts,
                    float *out, char *reason, size_t size);

/** Count the lines that begin before `end` (a last one without a newline counts). */
size_t wte__lines_count(const char *p, const char *end);
#endif
