/* SPDX-License-Identifier: MIT */
/** products.h - matrix products for tests: of random numbers, with what the weights are worth */
#ifndef WTE_TEST_PRODUCTS_H
#define WTE_TEST_PRODUCTS_H
#include <math.h>
#include "support.h"
#include "network/network_internal.h"

typedef struct example {
    wte__linear linear;
    unsigned char *weights; /* where they were allocated */
    float *bias, *scales, *x, *y, *residual;
    double *values; /* [n_in, n_out] what the weights are worth */
    size_t n_rows, ldx, ldy;
} example;

/** The next of the numbers from -1 to 1 that examples are made of. */
static inline float example_uniform(void)
{
    static uint64_t seed = 20;

    return (float)((double)(wte__random(&seed) >> 11) * 0x1p-52 - 1);
}

/** Store a weight and give what it is worth. */
static inline double example_store(const wte__linear *l, unsigned char *base, size_t at,
                                   float value)
{
    uint16_t half;
    float back;

    switch (l->type) {
    case WTE__WEIGHT_F32:
        memcpy(base + at * 4, &value, 4);
        return (double)value;
    case WTE__WEIGHT_F16:
        wte__kernel()->f32_to_f16(&value, &half, 1);
        wte__kernel()->f16_to_f32(&half, &back, 1);
        memcpy(base + at * 2, &half, 2);
        return (double)back;
    case WTE__WEIGHT_BF16:
        wte__kernel()->f32_to_bf16(&value, &half, 1);
        wte__kernel()->bf16_to_f32(&half, &back, 1);
        memcpy(base + at * 2, &half, 2);
        return (double)back;
    case WTE__WEIGHT_INT8:
        base[at] = (unsigned char)(int8_t)lrintf(value * 127);
        return (double)(int8_t)base[at];
    }
    return 0;
}

/** Where the weight from input i to output j lies. */
static inline size_t example_at(const wte__linear *l, size_t i, size_t j)
{
    if (l->orientation == WTE__PANELS)
        return j / WTE__PANEL * l->stride + i * WTE__PANEL + j % WTE__PANEL;
    return l->orientation == WTE__IN_OUT ? i * l->stride + j : j * l->stride + i;
}

/** Make a product whose rows lie further apart than they are long.
 *   shift  where the weights begin in their memory, in bytes
 * Free with example_drop(). */
static inline example example_make(wte__weight_type type, wte__orientation orientation, size_t n_in,
                                   size_t n_out, size_t n_rows, size_t shift)
{
    example e = {.n_rows = n_rows, .ldx = n_in + 3, .ldy = n_out + 5};
    wte__linear *l = &e.linear;
    const size_t size = type == WTE__WEIGHT_F32 ? 4 : type == WTE__WEIGHT_INT8 ? 1 : 2;
    size_t rows = orientation == WTE__IN_OUT ? n_in : n_out;
    unsigned char *base;

    *l = (wte__linear){.type = type, .orientation = orientation, .n_in = n_in, .n_out = n_out};
    l->stride = (orientation == WTE__IN_OUT ? n_out : n_in) + 2;
    if (type == WTE__WEIGHT_INT8)
        l->stride = (n_in + 63) / 64 * 64;
    if (orientation == WTE__PANELS) {
        l->stride = n_in * WTE__PANEL;
        rows = (n_out + WTE__PANEL - 1) / WTE__PANEL;
    }
    e.weights = calloc(rows * l->stride * size + 65, 1);
    e.values = calloc(n_in * n_out, sizeof *e.values);
    e.bias = calloc(n_out, sizeof *e.bias);
    e.scales = calloc(n_out, sizeof *e.scales);
    e.x = calloc(n_rows * e.ldx, sizeof *e.x);
    e.y = calloc(n_rows * e.ldy, sizeof *e.y);
    e.residual = calloc(n_rows * e.ldy, sizeof *e.residual);
    base = e.weights + shift;
    for (size_t i = 0; i < n_in; i++)
        for (size_t j = 0; j < n_out; j++)
            e.values[i * n_out + j] =
                example_store(l, base, example_at(l, i, j), example_uniform());
    for (size_t j = 0; j < n_out; j++) {
        e.bias[j] = example_uniform();
        e.scales[j] = (example_uniform() + 1.5f) / 127;
    }
    for (size_t i = 0; i < n_rows * e.ldx; i++)
        e.x[i] = example_uniform();
    for (size_t i = 0; i < n_rows * e.ldy; i++)
        e.residual[i] = example_uniform();
    l->weight = base;
    l->bias = e.bias;
    l->scales = type == WTE__WEIGHT_INT8 ? e.scales : NULL;
    return e;
}

static inline void example_drop(example *e)
{
    free(e->weights);
    free(e->values);
    free(e->bias);
    free(e->scales);
    free(e->x);
    free(e->y);
    free(e->residual);
}

/** The product that gives e->y, without activation and residual. */
static inline wte__product example_product(const example *e)
{
    return (wte__product){.linear = &e->linear,
                          .x = e->x,
                          .y = e->y,
                          .ldx = e->ldx,
                          .ldy = e->ldy,
                          .n_rows = e->n_rows};
}

typedef struct example_run_work {
    wte__product product;
    const wte__scratch *scratch;
    wte__team *team;
} example_run_work;

static inline void example_run_worker(void *ctx, unsigned worker)
{
    example_run_work *w = ctx;

    wte__product_run(&w->product, w->scratch, w->team, worker);
}

static inline void example_run(wte__product product, const wte__scratch *scratch, wte__team *team)
{
    example_run_work w = {product, scratch, team};

    wte__team_run(team, example_run_worker, &w);
}
#endif
