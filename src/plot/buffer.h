/* SPDX-License-Identifier: MIT */
/** plot/buffer.h - bytes that grow; a failed allocation is remembered until somebody asks */
#ifndef WTE_PLOT_BUFFER_H
#define WTE_PLOT_BUFFER_H
#include "base/base.h"

typedef struct wte__buffer {
    char *data;
    size_t n, capacity;
    bool failed; /* there was no memory; nothing is added any more */
} wte__buffer;

void wte__buffer_add(wte__buffer *b, const void *data, size_t n);
void wte__buffer_text(wte__buffer *b, const char *text);
/** Add a number with at most two digits after the point, the same in every locale. */
void wte__buffer_number(wte__buffer *b, double value);
/** Add text with the characters that XML needs escaped escaped. */
void wte__buffer_xml(wte__buffer *b, const char *text);
void wte__buffer_base64(wte__buffer *b, const void *data, size_t n);
void wte__buffer_free(wte__buffer *b);
#endif
