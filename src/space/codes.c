/* SPDX-License-Identifier: MIT */
/* codes.c - a row in 8 bits a number, and how far that can be from the row
 *
 * scale = max|x| / 127, code = x / scale to the nearest integer. Searches use the residual, an
 * upper bound of |x - scale * code|, to prove that no row was missed, so it must never be too
 * small. The kernel multiplies by 1 / scale and sums the squared rests in units of a code, in
 * float32. Rounding the inverse and the product moves a number by at most 127 * 2^-23 codes, and
 * the sum, in some order, is wrong by at most dim + 16 roundings; twice the first and all of the
 * second are added. */
#include <float.h>
#include <math.h>
#include "kernel/kernel.h"
#include "space/space_internal.h"

void wte__encode(const float *x, size_t dim, int8_t *codes, float *scale, float *residual)
{
    const wte__kernels *k = wte__kernel();
    float largest = k->maxabs_f32(x, dim);
    double rounding = 1 + (double)(dim + 16) * 0x1p-24, rest;

    *scale = largest / 127.0f < FLT_MIN ? FLT_MIN : largest / 127.0f;
    rest = sqrt((double)k->quantize_i8(x, dim, 1.0f / *scale, codes)) * rounding;
    rest += 127 * sqrt((double)dim) * 0x1p-22;
    *residual = nextafterf((float)((double)*scale * rest), INFINITY);
}
