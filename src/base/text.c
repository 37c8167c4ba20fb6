/* SPDX-License-Identifier: MIT */
/* text.c - hashing and UTF-8
 *
 * The hash is written into index files, so it is defined here and never changes: eight bytes at a
 * time, each folded in by a 64 x 64 -> 128 bit multiplication whose halves are xored, which mixes
 * well and is fast on short words (the idea is Wang Yi's wyhash; the constants are digits of pi).
 * Words that all have the same hash can be computed by anybody who knows the seed, so tables that
 * are filled from a file either have a secret one or change to another when words crowd. */
#include "base/base.h"
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 u128;
    u128 product = (u128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Fewer than 8 bytes, low byte first, as a little-endian load would; bytes that are read twice fall
 * on themselves. */
static uint64_t tail(const unsigned char *p, size_t n)
{
    if (n >= 4) {
        const unsigned char *q = p + n - 4;
        uint64_t low =
            (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
        uint64_t high =
            (uint64_t)q[0] | (uint64_t)q[1] << 8 | (uint64_t)q[2] << 16 | (uint64_t)q[3] << 24;

        return low | high << (8 * (n - 4));
    }
    if (n == 0)
        return 0;
    return (uint64_t)p[0] | (uint64_t)p[n / 2] << (8 * (n / 2)) |
           (uint64_t)p[n - 1] << (8 * (n - 1));
}

uint64_t wte__hash(const void *data, size_t n)
{
    return wte__hash_seeded(data, n, 0);
}

uint64_t wte__hash_seeded(const void *data, size_t n, uint64_t seed)
{
    static const uint64_t k0 = 0x243F6A8885A308D3u, k1 = 0x13198A2E03707345u;
    const unsigned char *p = data;
    uint64_t h = fold((uint64_t)n ^ k0 ^ seed, k1), last;
    size_t left = n;

    for (; left >= 8; left -= 8, p += 8)
        h = fold(h ^ wte__load_u64(p), k0);
    last = tail(p, left);
    return fold(h ^ last, k1 ^ (uint64_t)left);
}

static uint64_t secret;
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

/* Where there is no source of random numbers, the time and an address have to do. */
static void make_secret(void)
{
    uint64_t state = (uint64_t)wte__now_ns() ^ (uint64_t)(uintptr_t)&state;
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, &secret, sizeof secret);

    if (fd >= 0)
        close(fd);
    if (n != (ssize_t)sizeof secret)
        secret = wte__random(&state);
}

uint64_t wte__hash_secret(void)
{
    pthread_once(&secret_once, make_secret);
    return secret;
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
