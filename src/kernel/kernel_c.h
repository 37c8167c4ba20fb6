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

double wte__sumsq_f32_c(const float *x, size_t n);
float wte__maxabs_f32_c(const float *x, size_t n);
void wte__f16_to_f32_c(const uint16_t *x, float *out, size_t n);
void wte__bf16_to_f32_c(const uint16_t *x, float *out, size_t n);
void wte__f32_to_f16_c(const float *x, uint16_t *out, size_t n);
void wte__f32_to_bf16_c(const float *x, uint16_t *out, size_t n);
size_t wte__argmax_bac_c(const float *a, const float *b, const float *c, size_t n, float *value);

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

static inline void wte__put_f32(void *p, float v)
{
    memcpy(p, &v, sizeof v);
}

static inline void wte__put_u16(void *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline void wte__put_u32(void *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}
#endif
