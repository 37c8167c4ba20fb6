/* SPDX-License-Identifier: MIT */
/* fold.c - upper-casing, and a vocabulary of upper-cased words
 *
 * gensim compares evaluation words by Python's str.upper. That is Unicode's full mapping: one
 * character may become three. utf8proc has the simple mappings, one to one; the 102 characters that
 * become several are listed here (Unicode's SpecialCasing.txt, the unconditional entries). English
 * is ASCII, so that goes first and fast.
 *
 * The folded words of the vocabulary lie one after another in one block, and a table with open
 * addressing finds them. Of words that fold to the same the first counts, so rows are entered in
 * ascending order. */
#include "space/fold.h"
#include <stdlib.h>
#include <utf8proc.h>

typedef struct expansion {
    uint32_t from, to[3]; /* 0 ends a shorter one */
} expansion;

static const expansion expansions[] = {
    {0x00DF, {0x0053, 0x0053}},         {0x0149, {0x02BC, 0x004E}},
    {0x01F0, {0x004A, 0x030C}},         {0x0390, {0x0399, 0x0308, 0x0301}},
    {0x03B0, {0x03A5, 0x0308, 0x0301}}, {0x0587, {0x0535, 0x0552}},
    {0x1E96, {0x0048, 0x0331}},         {0x1E97, {0x0054, 0x0308}},
    {0x1E98, {0x0057, 0x030A}},         {0x1E99, {0x0059, 0x030A}},
    {0x1E9A, {0x0041, 0x02BE}},         {0x1F50, {0x03A5, 0x0313}},
    {0x1F52, {0x03A5, 0x0313, 0x0300}}, {0x1F54, {0x03A5, 0x0313, 0x0301}},
    {0x1F56, {0x03A5, 0x0313, 0x0342}}, {0x1F80, {0x1F08, 0x0399}},
    {0x1F81, {0x1F09, 0x0399}},         {0x1F82, {0x1F0A, 0x0399}},
    {0x1F83, {0x1F0B, 0x0399}},         {0x1F84, {0x1F0C, 0x0399}},
    {0x1F85, {0x1F0D, 0x0399}},         {0x1F86, {0x1F0E, 0x0399}},
    {0x1F87, {0x1F0F, 0x0399}},         {0x1F88, {0x1F08, 0x0399}},
    {0x1F89, {0x1F09, 0x0399}},         {0x1F8A, {0x1F0A, 0x0399}},
    {0x1F8B, {0x1F0B, 0x0399}},         {0x1F8C, {0x1F0C, 0x0399}},
    {0x1F8D, {0x1F0D, 0x0399}},         {0x1F8E, {0x1F0E, 0x0399}},
    {0x1F8F, {0x1F0F, 0x0399}},         {0x1F90, {0x1F28, 0x0399}},
    {0x1F91, {0x1F29, 0x0399}},         {0x1F92, {0x1F2A, 0x0399}},
    {0x1F93, {0x1F2B, 0x0399}},         {0x1F94, {0x1F2C, 0x0399}},
    {0x1F95, {0x1F2D, 0x0399}},         {0x1F96, {0x1F2E, 0x0399}},
    {0x1F97, {0x1F2F, 0x0399}},         {0x1F98, {0x1F28, 0x0399}},
    {0x1F99, {0x1F29, 0x0399}},         {0x1F9A, {0x1F2A, 0x0399}},
    {0x1F9B, {0x1F2B, 0x0399}},         {0x1F9C, {0x1F2C, 0x0399}},
    {0x1F9D, {0x1F2D, 0x0399}},         {0x1F9E, {0x1F2E, 0x0399}},
    {0x1F9F, {0x1F2F, 0x0399}},         {0x1FA0, {0x1F68, 0x0399}},
    {0x1FA1, {0x1F69, 0x0399}},         {0x1FA2, {0x1F6A, 0x0399}},
    {0x1FA3, {0x1F6B, 0x0399}},         {0x1FA4, {0x1F6C, 0x0399}},
    {0x1FA5, {0x1F6D, 0x0399}},         {0x1FA6, {0x1F6E, 0x0399}},
    {0x1FA7, {0x1F6F, 0x0399}},         {0x1FA8, {0x1F68, 0x0399}},
    {0x1FA9, {0x1F69, 0x0399}},         {0x1FAA, {0x1F6A, 0x0399}},
    {0x1FAB, {0x1F6B, 0x0399}},         {0x1FAC, {0x1F6C, 0x0399}},
    {0x1FAD, {0x1F6D, 0x0399}},         {0x1FAE, {0x1F6E, 0x0399}},
    {0x1FAF, {0x1F6F, 0x0399}},         {0x1FB2, {0x1FBA, 0x0399}},
    {0x1FB3, {0x0391, 0x0399}},         {0x1FB4, {0x0386, 0x0399}},
    {0x1FB6, {0x0391, 0x0342}},         {0x1FB7, {0x0391, 0x0342, 0x0399}},
    {0x1FBC, {0x0391, 0x0399}},         {0x1FC2, {0x1FCA, 0x0399}},
    {0x1FC3, {0x0397, 0x0399}},         {0x1FC4, {0x0389, 0x0399}},
    {0x1FC6, {0x0397, 0x0342}},         {0x1FC7, {0x0397, 0x0342, 0x0399}},
    {0x1FCC, {0x0397, 0x0399}},         {0x1FD2, {0x0399, 0x0308, 0x0300}},
    {0x1FD3, {0x0399, 0x0308, 0x0301}}, {0x1FD6, {0x0399, 0x0342}},
    {0x1FD7, {0x0399, 0x0308, 0x0342}}, {0x1FE2, {0x03A5, 0x0308, 0x0300}},
    {0x1FE3, {0x03A5, 0x0308, 0x0301}}, {0x1FE4, {0x03A1, 0x0313}},
    {0x1FE6, {0x03A5, 0x0342}},         {0x1FE7, {0x03A5, 0x0308, 0x0342}},
    {0x1FF2, {0x1FFA, 0x0399}},         {0x1FF3, {0x03A9, 0x0399}},
    {0x1FF4, {0x038F, 0x0399}},         {0x1FF6, {0x03A9, 0x0342}},
    {0x1FF7, {0x03A9, 0x0342, 0x0399}}, {0x1FFC, {0x03A9, 0x0399}},
    {0xFB00, {0x0046, 0x0046}},         {0xFB01, {0x0046, 0x0049}},
    {0xFB02, {0x0046, 0x004C}},         {0xFB03, {0x0046, 0x0046, 0x0049}},
    {0xFB04, {0x0046, 0x0046, 0x004C}}, {0xFB05, {0x0053, 0x0054}},
    {0xFB06, {0x0053, 0x0054}},         {0xFB13, {0x0544, 0x0546}},
    {0xFB14, {0x0544, 0x0535}},         {0xFB15, {0x0544, 0x053B}},
    {0xFB16, {0x054E, 0x0546}},         {0xFB17, {0x0544, 0x053D}},
};

static int compare_expansions(const void *key, const void *entry)
{
    uint32_t x = *(const uint32_t *)key, y = ((const expansion *)entry)->from;

    return (x > y) - (x < y);
}

static size_t upper_character(uint32_t code, char *out)
{
    const expansion *e = NULL;
    size_t n = 0;

    if (code >= expansions[0].from)
        e = bsearch(&code, expansions, sizeof expansions / sizeof *expansions, sizeof *expansions,
                    compare_expansions);
    if (!e)
        return (size_t)utf8proc_encode_char(utf8proc_toupper((utf8proc_int32_t)code),
                                            (utf8proc_uint8_t *)out);
    for (size_t i = 0; i < 3 && e->to[i]; i++)
        n += (size_t)utf8proc_encode_char((utf8proc_int32_t)e->to[i], (utf8proc_uint8_t *)out + n);
    return n;
}

size_t wte__fold_upper(const char *s, size_t n, char *out)
{
    char *begin = out;

    for (size_t i = 0; i < n;) {
        uint32_t code;
        size_t length;

        if ((unsigned char)s[i] < 0x80) {
            *out++ = (char)(s[i] >= 'a' && s[i] <= 'z' ? s[i] - 'a' + 'A' : s[i]);
            i++;
            continue;
        }
        length = wte__utf8_decode(s + i, n - i, &code);
        if (length == 0) {
            *out++ = s[i++];
            continue;
        }
        out += upper_character(code, out);
        i += length;
    }
    return (size_t)(out - begin);
}

static size_t fold(bool case_sensitive, const char *s, size_t n, char *out)
{
    if (!case_sensitive)
        return wte__fold_upper(s, n, out);
    memcpy(out, s, n);
    return n;
}

/* The slot of a folded word, or the free one where it belongs. */
static size_t find_slot(const wte__folded *f, const char *word, size_t n)
{
    size_t s = wte__hash_seeded(word, n, wte__hash_secret()) & f->mask;

    while (f->slots[s] != UINT32_MAX) {
        uint32_t row = f->slots[s];

        if (f->ends[row + 1] - f->ends[row] == n && memcmp(f->text + f->ends[row], word, n) == 0)
            break;
        s = (s + 1) & f->mask;
    }
    return s;
}

/* Enter all words; those that an earlier row has take no room in the text. */
static bool enter_words(wte__folded *f)
{
    size_t capacity = 0, used = 0;
    bool ok = true;

    for (uint32_t row = 0; row < f->n_rows && ok; row++) {
        size_t n = 0, slot;
        const char *word = wte_space_word(f->space, row, &n);
        void *text = f->text;

        ok = n < SIZE_MAX / 8 && wte__grow(&text, &capacity, used + 3 * n + 1, 1);
        f->text = text;
        if (!ok)
            break;
        n = fold(f->case_sensitive, word, n, f->text + used);
        slot = find_slot(f, f->text + used, n);
        f->first[row] = f->slots[slot];
        if (f->slots[slot] == UINT32_MAX) {
            f->slots[slot] = f->first[row] = row;
            used += n;
        }
        f->ends[row + 1] = used;
    }
    return ok;
}

wte_status wte__folded_init(wte__folded *f, const wte_space *space, uint32_t n_rows,
                            bool case_sensitive, wte_error *err)
{
    size_t n_slots = 16;

    while (n_slots < 2 * (size_t)n_rows)
        n_slots *= 2;
    *f = (wte__folded){.space = space, .case_sensitive = case_sensitive, .n_rows = n_rows};
    f->mask = n_slots - 1;
    f->slots = wte__calloc(n_slots, sizeof *f->slots);
    f->first = wte__calloc((size_t)n_rows + 1, sizeof *f->first);
    f->ends = wte__calloc((size_t)n_rows + 1, sizeof *f->ends);
    if (f->slots)
        memset(f->slots, 0xFF, n_slots * sizeof *f->slots);
    if (!f->slots || !f->first || !f->ends || !enter_words(f)) {
        wte__folded_free(f);
        return wte__fail(err, WTE_E_NOMEM, "no memory for a vocabulary of %u words", n_rows);
    }
    return WTE_OK;
}

void wte__folded_free(wte__folded *f)
{
    wte__free(f->buffer);
    wte__free(f->ends);
    wte__free(f->text);
    wte__free(f->first);
    wte__free(f->slots);
    *f = (wte__folded){0};
}

wte_status wte__folded_find(wte__folded *f, const char *word, size_t n, uint32_t *row,
                            wte_error *err)
{
    void *buffer = f->buffer;
    bool ok = n < SIZE_MAX / 8 && wte__grow(&buffer, &f->buffer_size, 3 * n + 1, 1);
    const size_t before = f->prefix_space;

    f->buffer = buffer;
    if (!ok)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a word of %zu bytes", n);
    f->buffer[0] = ' ';
    n = before + fold(f->case_sensitive, word, n, f->buffer + before);
    *row = f->slots[find_slot(f, f->buffer, n)];
    return WTE_OK;
}
