/* SPDX-License-Identifier: MIT */
/* gpt2_scan.c - GPT-2's pre-tokeniser, with masks of 64 bits in place of a regular expression
 *
 * Every byte of a block gets a class: letter, number, white space or other, all bytes of a
 * character that of the character. One bit a byte makes four masks, and the pattern becomes a few
 * operations on them. A pre-token begins at a byte
 *
 *   whose class differs from the one before it,
 *   unless the byte before is a blank (U+0020) and this one is not white space: ' ?' took the
 *   blank in;
 *   and also at the last white space of a run that something else follows: '\s+(?!\S)' takes the
 *   run but for its last character, which is left for ' ?' if it is a blank and to '\s+' if not.
 *   A run at the end of the text stays whole.
 *
 * Contractions come first in the pattern, but only where the apostrophe begins a pre-token: then
 * the letter after it does not, and what follows the contraction does. These are rare, and done one
 * by one.
 *
 * ASCII is classified 16 bytes at a time; characters above it are decoded one by one and their
 * bits put in. A block ends before a character that it would cut. Ill-formed bytes count as U+FFFD,
 * which is in class other. With a table of pairs of bytes that merges join, a character above ASCII
 * that none joins to the one before it begins a part of its own: between such characters the ids of
 * a text do not depend on each other.
 *
 * A version that classified into a byte array first, or ran a state machine over each byte, would
 * be simpler and several times slower. */
#include "token/gpt2_scan.h"
#include "token/unicode.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

typedef struct masks {
    uint64_t letter, number, space, blank, quote, high;
    uint64_t tails; /* bytes of white space that do not begin it */
    uint64_t cuts;  /* characters above ASCII that no merge joins to the one before */
} masks;

#if defined(__SSE2__)
/* The bits of four times 16 bytes that are 0 or 0xFF. */
static inline uint64_t bits_of(const __m128i v[4])
{
    uint64_t bits = 0;

    for (int k = 0; k < 4; k++)
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(v[k]) << 16 * k;
    return bits;
}

/* Numbers and bytes above ASCII are in few blocks: elsewhere their bits are not gathered. */
static void classify(const char *p, masks *m)
{
    __m128i bytes[4], letter[4], number[4], space[4], blank[4], quote[4];
    __m128i any_number = _mm_setzero_si128(), any_high = any_number;

    for (int k = 0; k < 4; k++) {
        const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * k));
        const __m128i a = _mm_sub_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
        const __m128i zero = _mm_sub_epi8(v, _mm_set1_epi8('0'));
        const __m128i tab = _mm_sub_epi8(v, _mm_set1_epi8('\t'));

        bytes[k] = v;
        blank[k] = _mm_cmpeq_epi8(v, _mm_set1_epi8(' '));
        quote[k] = _mm_cmpeq_epi8(v, _mm_set1_epi8('\''));
        letter[k] = _mm_cmpeq_epi8(_mm_min_epu8(a, _mm_set1_epi8(25)), a);
        number[k] = _mm_cmpeq_epi8(_mm_min_epu8(zero, _mm_set1_epi8(9)), zero);
        space[k] = _mm_cmpeq_epi8(_mm_min_epu8(tab, _mm_set1_epi8(4)), tab);
        space[k] = _mm_or_si128(space[k], blank[k]);
        any_number = _mm_or_si128(any_number, number[k]);
        any_high = _mm_or_si128(any_high, v);
    }
    m->letter = bits_of(letter);
    m->space = bits_of(space);
    m->blank = bits_of(blank);
    m->quote = bits_of(quote);
    m->number = _mm_movemask_epi8(any_number) ? bits_of(number) : 0;
    m->high = _mm_movemask_epi8(any_high) ? bits_of(bytes) : 0;
    m->tails = m->cuts = 0;
}
#else
static void classify(const char *p, masks *m)
{
    memset(m, 0, sizeof *m);
    for (int i = 0; i < 64; i++) {
        unsigned c = (unsigned char)p[i];

        m->letter |= (uint64_t)((c | 0x20) - 'a' < 26u) << i;
        m->number |= (uint64_t)(c - '0' < 10u) << i;
        m->space |= (uint64_t)(c == ' ' || c - '\t' < 5u) << i;
        m->blank |= (uint64_t)(c == ' ') << i;
        m->quote |= (uint64_t)(c == '\'') << i;
        m->high |= (uint64_t)(c >> 7) << i;
    }
}
#endif

typedef struct character {
    unsigned length; /* of ill-formed bytes: of what one U+FFFD stands for */
    unsigned class;  /* of those: none */
} character;

/* A character that is not ASCII, of any length. */
static __attribute__((noinline)) character any_character(wte__scan *s, size_t pos)
{
    const char *p = s->text + pos;
    uint32_t code;
    unsigned length = (unsigned)wte__utf8_decode(p, s->end - pos, &code);

    if (length)
        return (character){length, wte__unicode_class(code)};
    s->bad = true;
    return (character){(unsigned)wte__utf8_bad_length(p, s->end - pos), 0};
}

/* The same; most are of three bytes. */
static inline character high_character(wte__scan *s, size_t pos)
{
    const unsigned char *p = (const unsigned char *)s->text + pos;

    if (s->end - pos >= 3 && p[0] > 0xE0 && p[0] < 0xED && (p[1] & 0xC0) == 0x80 &&
        (p[2] & 0xC0) == 0x80) {
        uint32_t code = (p[0] & 0xFu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);

        return (character){3, wte__unicode_class(code)};
    }
    return any_character(s, pos);
}

/* 1 where the character at pos is to be cut off from what is before it. */
static inline uint64_t is_cut(const wte__scan *s, size_t pos)
{
    const unsigned char *p = (const unsigned char *)s->text + pos;
    unsigned two = p[-1] | (unsigned)p[0] << 8;

    return p[-1] >> 7 & ~(s->seams[two / 64] >> (two % 64)) & 1;
}

/* Put the characters above ASCII of a block of n bytes into its masks. Returns the block's length
 * without a character cut by it. */
static size_t add_high(wte__scan *s, size_t n, masks *out)
{
    const size_t pos = s->pos;
    masks m = *out; /* in registers, which the characters' bytes cannot be taken to overlap */

    while (m.high) {
        size_t at = (size_t)__builtin_ctzll(m.high);
        character c = high_character(s, pos + at);
        uint64_t bits = (((uint64_t)1 << c.length) - 1) << at;

        if (at + c.length > n) {
            n = at;
            break;
        }
        if (s->seams && pos + at)
            m.cuts |= is_cut(s, pos + at) << at;
        m.letter |= bits & (0 - (uint64_t)(c.class & WTE__CLASS_LETTER));
        m.number |= bits & (0 - (uint64_t)(c.class / WTE__CLASS_NUMBER & 1));
        if (__builtin_expect(c.class & WTE__CLASS_SPACE, 0)) {
            m.space |= bits;
            m.tails |= bits & (bits - 1) & ~((uint64_t)1 << at);
        }
        m.high &= ~bits;
    }
    *out = m;
    return n;
}

/* Length of the contraction whose apostrophe is at pos, or 0. */
static size_t contraction(const wte__scan *s, size_t pos)
{
    const char *p = s->text + pos;
    size_t left = s->end - pos;

    if (left < 2)
        return 0;
    switch (p[1]) {
    case 's':
    case 'd':
    case 'm':
    case 't':
        return 2;
    case 'l':
        return left > 2 && p[2] == 'l' ? 3 : 0;
    case 'v':
    case 'r':
        return left > 2 && p[2] == 'e' ? 3 : 0;
    default:
        return 0;
    }
}

/* True where white space, or nothing, is at pos. */
static bool space_or_end(wte__scan *s, size_t pos)
{
    unsigned char c;

    if (pos == s->end)
        return true;
    c = (unsigned char)s->text[pos];
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13);
    return (high_character(s, pos).class & WTE__CLASS_SPACE) != 0;
}

static uint64_t add_contractions(wte__scan *s, uint64_t starts, uint64_t quotes, size_t n)
{
    uint64_t clear = 0, set = 0;

    for (quotes &= starts; quotes; quotes &= quotes - 1) {
        size_t at = (size_t)__builtin_ctzll(quotes), length = contraction(s, s->pos + at);

        if (!length)
            continue;
        if (at + 1 < n)
            starts &= ~((uint64_t)1 << (at + 1));
        else
            clear |= (uint64_t)1 << (at + 1 - n);
        if (at + length < n)
            starts |= (uint64_t)1 << (at + length);
        else
            set |= (uint64_t)1 << (at + length - n);
    }
    s->clear = clear;
    s->set = set;
    return starts;
}

/* The block at s->pos: its pre-tokens' beginnings, and *n, its length. */
static uint64_t scan_block(wte__scan *s, size_t *n)
{
    uint64_t valid, same, last, starts, other;
    size_t size = s->end - s->pos;
    masks m;

    if (size >= 64) {
        size = 64;
        classify(s->text + s->pos, &m);
    } else {
        char padded[64] = {0};

        memcpy(padded, s->text + s->pos, size);
        classify(padded, &m);
    }
    if (m.high)
        size = add_high(s, size, &m);
    valid = ~(uint64_t)0 >> (64 - size);
    m.letter &= valid;
    m.number &= valid;
    m.space &= valid;
    other = valid & ~(m.letter | m.number | m.space);

    same = (m.letter & (m.letter << 1 | s->letter)) | (m.number & (m.number << 1 | s->number)) |
           (other & (other << 1 | s->other)) | (m.space & (m.space << 1 | s->space));
    starts = valid & ~same & (m.space | ~(m.blank << 1 | s->blank));
    last = m.space & ~(m.space >> 1);
    if (m.space >> (size - 1) && space_or_end(s, s->pos + size))
        last &= valid >> 1;
    for (uint64_t moved = last & m.tails; moved; moved = last & m.tails)
        last = (last & ~moved) | moved >> 1;
    starts |= last;
    starts = (starts & ~s->clear) | (s->set & valid);
    s->clear = s->set = 0;
    if (m.quote & starts)
        starts = add_contractions(s, starts, m.quote, size);

    s->letter = m.letter >> (size - 1);
    s->number = m.number >> (size - 1);
    s->other = other >> (size - 1);
    s->space = m.space >> (size - 1);
    s->blank = m.blank >> (size - 1) & 1;
    *n = size;
    return starts | m.cuts;
}

/* How many bits are set. */
static size_t count(uint64_t bits)
{
    bits -= bits >> 1 & 0x5555555555555555u;
    bits = (bits & 0x3333333333333333u) + (bits >> 2 & 0x3333333333333333u);
    bits = (bits + (bits >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return (size_t)(bits * 0x0101010101010101u >> 56);
}

void wte__scan_begin(wte__scan *s, const char *text, size_t begin, size_t end,
                     const uint64_t *seams)
{
    memset(s, 0, sizeof *s);
    s->text = text;
    s->seams = seams;
    s->pos = begin;
    s->end = end;
}

/* Sixteen at a time, whether there are as many or not: how many there are is hard to foresee for
 * the processor, that there are no more than sixteen is not. */
size_t wte__scan_next(wte__scan *s, uint32_t *starts)
{
    uint32_t *out = starts;

    for (int block = 0; block < WTE__SCAN_BLOCKS && s->pos < s->end; block++) {
        const uint32_t pos = (uint32_t)s->pos;
        uint32_t *stop;
        size_t n;
        uint64_t bits = scan_block(s, &n);

        stop = out + count(bits);
        do {
            for (int i = 0; i < WTE__SCAN_SPARE; i++, bits &= bits - 1)
                out[i] = pos + (uint32_t)__builtin_ctzll(bits | (uint64_t)1 << 63);
            out += WTE__SCAN_SPARE;
        } while (out < stop);
        out = stop;
        s->pos += n;
    }
    return (size_t)(out - starts);
}
