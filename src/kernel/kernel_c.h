/* SPDX-License-Identifier: MIT */
/** kernel/kernel_c.h - the plain C kernels by name
 *
 * For the files of the instruction sets only: what a vector loop leaves over at the end is often
 * done best by the plain kernel itself. Contracts are those of kernel.h. */
#ifndef WTE_KERNEL_C_H
#define WTE_KERNEL_C_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "kernel/kernel.h"

/** Fill the entries of kernel_nn.c. */
void wte__kernels_init_c_nn(wte__kernels *k);
/** Fill the entries of kernel_compare.c. */
void wte__kernels_init_c_compare(wte__kernels *k);

double wte__sumsq_f32_c(const float *x, size_t n);
float wte__maxabs_f32_c(const float *x, size_t n);
float wte__max_f32_c(const float *x, size_t n);
void wte__f16_to_f32_c(const uint16_t *x, float *out, size_t n);
void wte__bf16_to_f32_c(const uint16_t *x, float *out, size_t n);
void wte__f32_to_f16_c(const float *x, uint16_t *out, size_t n);
void wte__f32_to_bf16_c(const float *x, uint16_t *out, size_t n);

/* A loop from 0 to n - 1 that disappears: where n is known when it is compiled, the arrays it goes
 * through can be registers. (Sanitizers multiply such code, and the time to compile it.) */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNROLLED(i, n) for (size_t i = 0; i < (n); i++)
#elif defined(__clang__)
#define UNROLLED(i, n) _Pragma("clang loop unroll(full)") for (size_t i = 0; i < (n); i++)
#else
#define UNROLLED(i, n) _Pragma("GCC unroll 16") for (size_t i = 0; i < (n); i++)
#endif

/* Reads and writes at any alignment: what these become is a single move. */
static inline float wte__get_f32(const void *p)
{
    float v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint16_t wte__get_u16(const void *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t wte__get_u32(const void *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline void wte__put_f32(void *p, float v)
{
    memcpy(p, &v, sizeof v);
}

static inline void wte__put_u16(void *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
}

/* Ask for what lies behind a row of n_bytes that is about to be read in order: memory then has work
 * while the row's sums are added up. Half a kilobyte is what measured best. */
static inline void wte__prefetch_ahead(const unsigned char *row, size_t n_bytes)
{
    enum { AHEAD = 512, LINE = 64 };

    for (size_t i = 0; i < n_bytes; i += LINE)
        __builtin_prefetch(row + AHEAD + i);
}

static inline void wte__put_u32(void *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}
#endif
