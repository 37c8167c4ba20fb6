/* SPDX-License-Identifier: MIT */
/* sum_bytes.h - add up memory as fast as it can be read: what the benchmarks call a plain read
 *
 * Four sums side by side, so that no addition waits for another; AVX2 loads where the processor has
 * them, 64-bit words elsewhere. Nothing is prefetched by hand. */
#ifndef WTE_BENCH_SUM_BYTES_H
#define WTE_BENCH_SUM_BYTES_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

static uint64_t sum_plain(const unsigned char *p, size_t n)
{
    uint64_t sum = 0, word;

    for (size_t i = 0; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        sum += word;
    }
    return sum;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t sum_avx2(const unsigned char *p, size_t n)
{
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    uint64_t out[4];
    size_t i = 0;

    for (; i + 128 <= n; i += 128) {
        a = _mm256_add_epi64(a, _mm256_loadu_si256((const __m256i *)(const void *)(p + i)));
        b = _mm256_add_epi64(b, _mm256_loadu_si256((const __m256i *)(const void *)(p + i + 32)));
        c = _mm256_add_epi64(c, _mm256_loadu_si256((const __m256i *)(const void *)(p + i + 64)));
        d = _mm256_add_epi64(d, _mm256_loadu_si256((const __m256i *)(const void *)(p + i + 96)));
    }
    a = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
    _mm256_storeu_si256((__m256i *)(void *)out, a);
    return out[0] + out[1] + out[2] + out[3] + sum_plain(p + i, n - i);
}
#endif

/** The sum of the 64-bit words of n bytes; a rest of fewer than 8 bytes is left out. */
static uint64_t sum_bytes(const unsigned char *p, size_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return sum_avx2(p, n);
#endif
    return sum_plain(p, n);
}

#endif
