/* SPDX-License-Identifier: MIT */
/* widen.c - numbers of any stored type as float32
 *
 *     F32, F16, BF16   the kernels widen them; products read them without that
 *     F64              rounded to float32
 *     F8_E5M2          the upper byte of a float16
 *     F8_E4M3          sign, 4 bits of exponent (bias 7), 3 of fraction; no infinity, 0x7F and 0xFF
 *                      are NaN (Micikevicius et al. 2022, arXiv:2209.05433)
 *     Q8_0             GGUF: blocks of 32 numbers of a row: a float16 scale d, 32 int8 q; d * q
 *
 * All but F64 are exact. */
#include <math.h>
#include "network/network_internal.h"

enum { Q8_BLOCK = 32, Q8_BYTES = 34 };

static const struct {
    const char *name;
    size_t bytes; /* of one number; 0: blocks */
} types[] = {[WTE__STORED_F32] = {"F32", 4},         [WTE__STORED_F16] = {"F16", 2},
             [WTE__STORED_BF16] = {"BF16", 2},       [WTE__STORED_F64] = {"F64", 8},
             [WTE__STORED_F8_E4M3] = {"F8_E4M3", 1}, [WTE__STORED_F8_E5M2] = {"F8_E5M2", 1},
             [WTE__STORED_Q8_0] = {"Q8_0", 0}};

wte__stored wte__stored_type(const wte_tensor *t)
{
    wte__stored stored = WTE__STORED_F32;
    size_t n = 1, bytes;

    while (stored < WTE__STORED_OTHER && strcmp(t->dtype, types[stored].name) != 0)
        stored++;
    for (size_t i = 0; i < t->n_dims; i++)
        if (wte__mul_overflows(n, t->shape[i], &n))
            return WTE__STORED_OTHER;
    if (stored == WTE__STORED_OTHER)
        return stored;
    if (stored == WTE__STORED_Q8_0) {
        if (t->n_dims == 0 || t->shape[t->n_dims - 1] % Q8_BLOCK != 0 ||
            wte__mul_overflows(n / Q8_BLOCK, Q8_BYTES, &bytes))
            return WTE__STORED_OTHER;
    } else if (wte__mul_overflows(n, types[stored].bytes, &bytes)) {
        return WTE__STORED_OTHER;
    }
    return t->bytes == bytes ? stored : WTE__STORED_OTHER;
}

static float from_f8_e4m3(unsigned x)
{
    const int exponent = (int)(x >> 3 & 15), fraction = (int)(x & 7);
    float y = exponent ? ldexpf((float)(8 + fraction), exponent - 10) : ldexpf((float)fraction, -9);

    if ((x & 127) == 127)
        y = NAN;
    return x & 128 ? -y : y;
}

static void widen_q8_0(const unsigned char *from, size_t n, float *out)
{
    for (; n > 0; from += Q8_BYTES) {
        const size_t here = n < Q8_BLOCK ? n : Q8_BLOCK;
        uint16_t half;
        float d;

        memcpy(&half, from, sizeof half);
        wte__kernel()->f16_to_f32(&half, &d, 1);
        for (size_t i = 0; i < here; i++)
            out[i] = d * (float)(int8_t)from[2 + i];
        out += here;
        n -= here;
    }
}

void wte__widen(const wte_tensor *t, wte__stored stored, uint64_t first, size_t n, float *out)
{
    const wte__kernels *k = wte__kernel();
    const unsigned char *from = t->data;

    if (stored == WTE__STORED_Q8_0) {
        widen_q8_0(from + first / Q8_BLOCK * Q8_BYTES, n, out);
        return;
    }
    from += first * types[stored].bytes;
    switch (stored) {
    case WTE__STORED_F32:
        memcpy(out, from, n * sizeof *out);
        break;
    case WTE__STORED_F16:
        k->f16_to_f32((const uint16_t *)(const void *)from, out, n);
        break;
    case WTE__STORED_BF16:
        k->bf16_to_f32((const uint16_t *)(const void *)from, out, n);
        break;
    case WTE__STORED_F64:
        for (size_t i = 0; i < n; i++) {
            double x;

            memcpy(&x, from + i * sizeof x, sizeof x);
            out[i] = (float)x;
        }
        break;
    case WTE__STORED_F8_E4M3:
        for (size_t i = 0; i < n; i++)
            out[i] = from_f8_e4m3(from[i]);
        break;
    case WTE__STORED_F8_E5M2:
        for (size_t i = 0; i < n; i++) {
            const uint16_t half = (uint16_t)(from[i] << 8);

            k->f16_to_f32(&half, &out[i], 1);
        }
        break;
    case WTE__STORED_Q8_0:
    case WTE__STORED_OTHER:
        break;
    }
}
