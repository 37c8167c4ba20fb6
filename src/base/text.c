/* SPDX-License-Identifier: MIT */
/* text.c - hashing and UTF-8
 *
 * The hash is written into index files, so it is defined here and never changes: eight bytes at a
 * time, each folded in by a 64 x 64 -> 128 bit multiplication whose halves are xored, which mixes
 * well and is fast on short words (the idea is Wang Yi's wyhash; the constants are digits of pi).
 */
#include "base/base.h"

static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 u128;
    u128 product = (u128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t wte__hash(const void *data, size_t n)
{
    static const uint64_t k0 = 0x243F6A8885A308D3u, k1 = 0x13198A2E03707345u;
    const unsigned char *p = data;
    uint64_t h = fold((uint64_t)n ^ k0, k1), last = 0;
    size_t left = n;

    for (; left >= 8; left -= 8, p += 8)
        h = fold(h ^ wte__load_u64(p), k0);
    for (size_t i = 0; i < left; i++) /* the tail, low byte first, as a little-endian load would */
        last |= (uint64_t)p[i] << (8 * i);
    return fold(h ^ last, k1 ^ (uint64_t)left);
}

size_t wte__utf8_decode(const char *s, size_t n, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)s;
    size_t length;
    uint32_t c;

    if (n == 0)
        return 0;
    if (p[0] < 0x80) {
        *code = p[0];
        return 1;
    }
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    length = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (n < length)
        return 0;
    c = p[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3Fu);
    }
    if (c < least[length] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
        return 0;
    *code = c;
    return length;
}

bool wte__utf8_valid(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t code;
        size_t length = wte__utf8_decode(s + i, n - i, &code);

        if (!length)
            return false;
        i += length;
    }
    return true;
}
