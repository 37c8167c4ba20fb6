/* SPDX-License-Identifier: MIT */
/* shape.c - from the characters of a label to those that are drawn, from left to right
 *
 * cairo draws one glyph for each character in the order given. That is right for Latin, Greek,
 * Cyrillic, Chinese, Japanese and Korean. For Hebrew and Arabic this file does what a label needs:
 *
 *   - a part that is read from right to left reaches from its first such letter to the last one (or
 *     digit) before the next letter that is read from left to right; it is turned round, digits in
 *     it turned back, brackets mirrored, marks kept behind their letters. That is the bidirectional
 *     algorithm (Unicode annex 9) for a left-to-right paragraph without explicit embeddings.
 *   - Arabic letters take the joined forms that Unicode has characters for (FB50..FDFF,
 *     FE70..FEFF), lam and alef their ligature. Most fonts with Arabic have these.
 *
 * Left out: scripts whose glyphs are not in the order of their characters or have no characters of
 * their own (Devanagari, Khmer...): they are drawn letter by letter. A viewer shapes the text of an
 * SVG itself, in full. */
#include "plot/text.h"

struct joining {
    uint16_t letter, form; /* the isolated form; final, initial, medial follow it */
    bool both;             /* joins on both sides, else only with the letter before */
};
static const struct joining arabic[] = {
    {0x621, 0xFE80, false}, {0x622, 0xFE81, false}, {0x623, 0xFE83, false}, {0x624, 0xFE85, false},
    {0x625, 0xFE87, false}, {0x626, 0xFE89, true},  {0x627, 0xFE8D, false}, {0x628, 0xFE8F, true},
    {0x629, 0xFE93, false}, {0x62A, 0xFE95, true},  {0x62B, 0xFE99, true},  {0x62C, 0xFE9D, true},
    {0x62D, 0xFEA1, true},  {0x62E, 0xFEA5, true},  {0x62F, 0xFEA9, false}, {0x630, 0xFEAB, false},
    {0x631, 0xFEAD, false}, {0x632, 0xFEAF, false}, {0x633, 0xFEB1, true},  {0x634, 0xFEB5, true},
    {0x635, 0xFEB9, true},  {0x636, 0xFEBD, true},  {0x637, 0xFEC1, true},  {0x638, 0xFEC5, true},
    {0x639, 0xFEC9, true},  {0x63A, 0xFECD, true},  {0x641, 0xFED1, true},  {0x642, 0xFED5, true},
    {0x643, 0xFED9, true},  {0x644, 0xFEDD, true},  {0x645, 0xFEE1, true},  {0x646, 0xFEE5, true},
    {0x647, 0xFEE9, true},  {0x648, 0xFEED, false}, {0x649, 0xFEEF, false}, {0x64A, 0xFEF1, true},
    {0x679, 0xFB66, true},  {0x67E, 0xFB56, true},  {0x686, 0xFB7A, true},  {0x688, 0xFB88, false},
    {0x691, 0xFB8C, false}, {0x698, 0xFB8A, false}, {0x6A9, 0xFB8E, true},  {0x6AF, 0xFB92, true},
    {0x6BA, 0xFB9E, false}, {0x6BE, 0xFBAA, true},  {0x6C1, 0xFBA6, true},  {0x6CC, 0xFBFC, true},
    {0x6D2, 0xFBAE, false}};
enum { N_ARABIC = sizeof arabic / sizeof *arabic, LAM = 0x644, TATWEEL = 0x640 };

static const struct joining *joining_of(uint32_t code)
{
    for (size_t i = 0; i < N_ARABIC; i++)
        if (arabic[i].letter == code)
            return &arabic[i];
    return NULL;
}

static bool is_mark(uint32_t code)
{
    return (code >= 0x300 && code < 0x370) || (code >= 0x591 && code <= 0x5C7 && code != 0x5BE) ||
           (code >= 0x64B && code <= 0x65F) || code == 0x670 || (code >= 0x6D6 && code <= 0x6ED);
}

static bool is_rightward_script(uint32_t code)
{
    return (code >= 0x590 && code < 0x900) || (code >= 0xFB1D && code <= 0xFDFF) ||
           (code >= 0xFE70 && code <= 0xFEFC) || (code >= 0x10800 && code < 0x11000) ||
           (code >= 0x1E800 && code < 0x1F000);
}

static bool is_digit(uint32_t code)
{
    return (code >= '0' && code <= '9') || (code >= 0x660 && code <= 0x669) ||
           (code >= 0x6F0 && code <= 0x6F9);
}

/* Letters that are read from left to right: all that is neither the above nor a sign. */
static bool is_leftward_end(uint32_t code)
{
    if (is_rightward_script(code) || is_digit(code) || is_mark(code))
        return false;
    if (code < 0x80)
        return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
    return code >= 0xC0 && !(code >= 0x2000 && code < 0x2C00) && !(code >= 0x3000 && code < 0x3005);
}

/* What says how to draw its neighbours and is not drawn itself. */
static bool is_invisible(uint32_t code)
{
    return (code >= 0x200B && code <= 0x200F) || (code >= 0x202A && code <= 0x202E) ||
           (code >= 0x2060 && code <= 0x206F) || (code >= 0xFE00 && code <= 0xFE0F) ||
           code == 0xFEFF || code == 0xAD || (code >= 0xE0000 && code < 0xE1000);
}

/* The neighbour that a letter may join, past marks; n if there is none. */
static size_t neighbor(const wte__shaped *s, size_t n, size_t i, bool before)
{
    do {
        if (before ? i == 0 : i + 1 >= n)
            return n;
        i = before ? i - 1 : i + 1;
    } while (is_mark(s[i].code));
    return i;
}

static bool joins_next(uint32_t code)
{
    const struct joining *j = joining_of(code);

    return code == TATWEEL || (j && j->both);
}

static bool joins_last(uint32_t code)
{
    return code == TATWEEL || (code != 0x621 && joining_of(code));
}

/* Choose the joined forms, in reading order. codes[] are the letters as they were. */
static size_t join(wte__shaped *s, size_t n)
{
    static const uint16_t alefs[4] = {0x622, 0x623, 0x625, 0x627};
    uint32_t codes[WTE__TEXT_CODES];
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        const size_t last = neighbor(s, n, i, true), next = neighbor(s, n, i, false);
        const struct joining *j = joining_of(s[i].code);
        const bool left = j && last < n && joins_next(s[last].code) && joins_last(s[i].code);
        const bool right = j && next < n && joins_next(s[i].code) && joins_last(s[next].code);

        codes[i] = !j ? s[i].code : (uint32_t)j->form + (left ? 1 : 0) + (right ? 2 : 0);
        for (unsigned a = 0; a < 4 && s[i].code == LAM && i + 1 < n; a++)
            if (s[i + 1].code == alefs[a])
                codes[i] = 0xFEF5 + 2 * a + (left ? 1 : 0);
    }
    for (size_t i = 0; i < n; i++) {
        const bool two = s[i].code == LAM && codes[i] >= 0xFEF5 && codes[i] <= 0xFEFC;

        s[kept] = s[i];
        s[kept].code = codes[i];
        if (two) {
            s[kept].length += s[i + 1].length;
            i++;
        }
        kept++;
    }
    return kept;
}

static bool is_one_of(uint32_t code, const char *ascii)
{
    return code > 0 && code < 0x80 && strchr(ascii, (int)code);
}

static void reverse(wte__shaped *s, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        const wte__shaped t = s[i];

        s[i] = s[n - 1 - i];
        s[n - 1 - i] = t;
    }
}

static void turn_round(wte__shaped *s, size_t n)
{
    static const char brackets[] = "()[]{}<>";

    reverse(s, n);
    for (size_t i = 0, end; i < n; i = end) {
        const char *bracket =
            s[i].code > 0 && s[i].code < 0x80 ? strchr(brackets, (int)s[i].code) : NULL;

        s[i].leftward = true;
        if (bracket)
            s[i].code = (uint32_t)brackets[(bracket - brackets) ^ 1];
        end = i + 1;
        if (is_digit(s[i].code)) {
            while (end < n && is_digit(s[end].code))
                s[end++].leftward = true;
            reverse(s + i, end - i);
        } else if (is_mark(s[i].code)) { /* marks come before their letter now */
            while (end < n && is_mark(s[end].code))
                s[end++].leftward = true;
            if (end < n)
                s[end++].leftward = true;
            reverse(s + i, end - i);
        }
    }
}

size_t wte__text_shape(const char *text, wte__shaped *out)
{
    const size_t bytes = strlen(text);
    size_t n = 0, i = 0;
    bool any = false;

    while (i < bytes && n < WTE__TEXT_CODES) {
        uint32_t code;
        const size_t length = wte__utf8_decode(text + i, bytes - i, &code);

        if (length == 0)
            break; /* not clean */
        if (is_invisible(code) && n > 0) {
            out[n - 1].length += (unsigned)length;
        } else if (!is_invisible(code)) {
            const unsigned from =
                n == 0 ? 0 : (unsigned)i; /* what was not drawn before goes along */

            out[n++] = (wte__shaped){code, from, (unsigned)(i + length) - from, false};
            any = any || is_rightward_script(code);
        }
        i += length;
    }
    if (!any)
        return n;
    n = join(out, n);
    for (size_t k = 0; k < n; k++) {
        size_t end = k, open = 0; /* brackets that were opened inside close inside, too */

        if (!is_rightward_script(out[k].code))
            continue;
        for (size_t m = k; m < n && !is_leftward_end(out[m].code); m++) {
            const bool closes = open > 0 && is_one_of(out[m].code, ")]}");

            if (is_rightward_script(out[m].code) || is_digit(out[m].code) || is_mark(out[m].code) ||
                closes)
                end = m;
            open += is_one_of(out[m].code, "([{");
            open -= closes;
        }
        turn_round(out + k, end - k + 1);
        k = end;
    }
    return n;
}
