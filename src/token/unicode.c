/* SPDX-License-Identifier: MIT */
/* unicode.c - character classes, a page at a time
 *
 * The table has a byte for every code point, 1.1 MB of memory that the system gives only where it
 * is touched. A page of 256 is filled by the first thread that asks about one of them (about a
 * microsecond); a thread that comes while another fills it asks libutf8proc itself. So a short text
 * pays for the pages it uses, and nothing is allocated that could fail.
 *
 * White space is the property White_Space, not a category: it is listed. */
#include "token/unicode.h"
#include <stdbool.h>
#include <utf8proc.h>

uint8_t wte__unicode_classes[0x110000];
_Atomic uint8_t wte__unicode_pages[0x1100];

static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

/* The blocks that BERT's tokenizer lists. */
static bool is_cjk(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B820 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static uint8_t classify(uint32_t code)
{
    unsigned bits = 0;

    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        bits = WTE__CLASS_LETTER;
        break;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        bits = WTE__CLASS_NUMBER;
        break;
    case UTF8PROC_CATEGORY_MN:
        bits = WTE__CLASS_MARK_NONSPACING;
        break;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        bits = WTE__CLASS_PUNCT;
        break;
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
        bits = WTE__CLASS_CONTROL;
        break;
    case UTF8PROC_CATEGORY_CN:
        bits = WTE__CLASS_UNASSIGNED;
        break;
    default:
        break;
    }
    if (is_space(code))
        bits |= WTE__CLASS_SPACE;
    if (is_cjk(code))
        bits |= WTE__CLASS_CJK;
    return (uint8_t)bits;
}

uint8_t wte__unicode_class_slow(uint32_t code)
{
    uint8_t empty = 0;
    uint32_t first = code & ~0xFFu;

    if (code >= 0x110000)
        return WTE__CLASS_UNASSIGNED;
    if (!atomic_compare_exchange_strong(&wte__unicode_pages[code >> 8], &empty, 1))
        return empty == 2 ? wte__unicode_classes[code] : classify(code);
    for (uint32_t c = first; c < first + 256; c++)
        wte__unicode_classes[c] = classify(c);
    atomic_store_explicit(&wte__unicode_pages[code >> 8], 2, memory_order_release);
    return wte__unicode_classes[code];
}

size_t wte__utf8_bad_length(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    unsigned lead = p[0], low = 0x80, high = 0xBF;
    size_t wanted, i = 1;

    if (lead < 0xC2 || lead > 0xF4)
        return 1;
    wanted = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    while (i < wanted && i < n && p[i] >= low && p[i] <= high) {
        low = 0x80;
        high = 0xBF;
        i++;
    }
    return i;
}

size_t wte__utf8_encode(uint32_t code, char *out)
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)code, (utf8proc_uint8_t *)out);
}
