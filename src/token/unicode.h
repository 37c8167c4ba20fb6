/* SPDX-License-Identifier: MIT */
/** token/unicode.h - characters: their classes, as the tokenizers ask, and their bytes
 *
 * One byte of bits for a code point, from the Unicode categories that libutf8proc knows. The first
 * question about a page of 256 code points fills the page; later ones are one load. */
#ifndef WTE_TOKEN_UNICODE_H
#define WTE_TOKEN_UNICODE_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WTE__CLASS_LETTER = 1,          /* \p{L} */
    WTE__CLASS_NUMBER = 2,          /* \p{N} */
    WTE__CLASS_SPACE = 4,           /* White_Space */
    WTE__CLASS_MARK_NONSPACING = 8, /* Mn */
    WTE__CLASS_PUNCT = 16,          /* P* */
    WTE__CLASS_CONTROL = 32,        /* Cc, Cf, Cs, Co */
    WTE__CLASS_UNASSIGNED = 64,     /* Cn */
    WTE__CLASS_CJK = 128            /* the ideographs that BERT puts spaces round */
};

extern uint8_t wte__unicode_classes[0x110000];
/** 2 where the page of 256 code points is filled. */
extern _Atomic uint8_t wte__unicode_pages[0x1100];

/** The class of a code point whose page may not be filled yet; fills it. Codes above 0x10FFFF are
 * unassigned. */
uint8_t wte__unicode_class_slow(uint32_t code);

/** The classes of a code point, WTE__CLASS_ bits. Safe on any thread. */
static inline uint8_t wte__unicode_class(uint32_t code)
{
    if (code < 0x110000 &&
        atomic_load_explicit(&wte__unicode_pages[code >> 8], memory_order_acquire) == 2)
        return wte__unicode_classes[code];
    return wte__unicode_class_slow(code);
}

/** Length of the maximal ill-formed subpart (Unicode 3.9, table 3-8) at the start of s, where
 * wte__utf8_decode() gave 0: the bytes that one U+FFFD stands for. n is at least 1. */
size_t wte__utf8_bad_length(const char *s, size_t n);

/** Write a code point of up to 0x10FFFF as UTF-8.
 *   out  room for 4 bytes
 * Returns how many were written. */
size_t wte__utf8_encode(uint32_t code, char *out);
#endif
