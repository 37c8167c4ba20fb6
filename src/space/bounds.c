/* SPDX-License-Identifier: MIT */
/* bounds.c - what 8-bit codes prove about a row's score
 *
 * Row x is kept as s * C, with int8 codes C and a scale s, and a bound e >= |x - s C|. The query q
 * is quantised in the same way, t * Q with r >= |q - t Q|. Their integer product Q.C is exact, and
 *
 *     q.x - t s Q.C  =  (q - t Q).(s C)  +  q.(x - s C)
 *
 * so by Cauchy and Schwarz the truth is within  r |s C| + |q| e,  where  |s C| <= |x| + e.
 * From the dot product follow the cosine (divided by |x|, with |q| = 1) and the squared distance
 * |q|^2 + |x|^2 - 2 q.x. To this comes the rounding of float32, here and in the kernel that gives
 * the final score: n + a few operations of relative error 2^-24 on terms that sum to at most
 * |q| |x|, taken twice to be safe. The interval thus holds the score as it will be computed, not
 * only the true one; comparing intervals then decides exactly what comparing scores would.
 *
 * Rows so long or short that float32 leaves its normal range get an infinite interval: the score
 * itself decides. The bounds assume that the codes are what they say; a damaged index is noticed
 * when it is opened, not here. */
#include <float.h>
#include <math.h>
#include "space/geometry.h"
#include "space/search.h"

#define LONG_ROW       1e18f /* squares stay finite */
#define SHORT_ROW      1e-30f
#define SHORTEST_QUERY 1e-15

enum { BLOCK_BYTES = 1 << 17 };

size_t wte__bounds_rows(const wte_space *space)
{
    size_t n = BLOCK_BYTES / (space->codes.stride ? space->codes.stride : 1);

    return n < 16 ? 16 : n > WTE__BOUNDS_ROWS ? WTE__BOUNDS_ROWS : n;
}

bool wte__bounds_init(wte__bounds *b, const wte__scorer *s, wte_metric metric)
{
    const wte_space *space = s->space;
    const size_t dim = space->rows.dim;
    double length = sqrt(wte__dot_f64(s->vectors, s->vectors, dim)), squares = 0;
    float largest = wte__kernel()->maxabs_f32(s->vectors, dim);

    if (!space->codes.codes || metric == WTE_CITYBLOCK || dim > 65536 ||
        !(length > SHORTEST_QUERY && length < (double)LONG_ROW))
        return false;
    b->space = space;
    b->metric = metric;
    b->scale = largest / 127.0f;
    wte__kernel()->quantize_i8(s->vectors, dim, 127.0f / largest, b->query);
    memset(b->query + dim, 0, (WTE__QUERY_PAD - dim % WTE__QUERY_PAD) % WTE__QUERY_PAD);
    for (size_t i = 0; i < dim; i++) {
        double rest = (double)s->vectors[i] - (double)b->scale * b->query[i];

        squares += rest * rest;
    }
    b->residual = (float)(sqrt(squares) * (1 + 1e-6));
    b->length = (float)(length * (1 + 1e-6));
    b->slack = 2 * (float)(dim + 32) * FLT_EPSILON;
    return true;
}

static void cosine_bounds(const wte__bounds *b, size_t first, size_t n, wte__bounds_block *block)
{
    const float *norms = b->space->norms + first, *scales = b->space->codes.scales + first;
    const float *residuals = b->space->codes.residuals + first;
    const float gain = b->scale;
    const float fixed = b->residual + b->slack;
    const float factor = b->length + b->residual + b->slack;

    for (size_t i = 0; i < n; i++) {
        float inverse = 1.0f / norms[i];
        float middle = gain * (scales[i] * inverse) * (float)block->dots[i];
        float width = fixed + factor * (residuals[i] * inverse);

        block->upper[i] = middle + width;
        block->lower[i] = middle - width;
    }
}

/* The score is minus the distance: bounds of the square first, then the root. A bound below 0 or
 * not a number proves nothing, but the distance is not below 0. */
static void euclidean_bounds(const wte__bounds *b, size_t first, size_t n, wte__bounds_block *block)
{
    const float *norms = b->space->norms + first, *scales = b->space->codes.scales + first;
    const float *residuals = b->space->codes.residuals + first;

    for (size_t i = 0; i < n; i++) {
        float dot = b->scale * scales[i] * (float)block->dots[i];
        float reach = b->length + norms[i] + residuals[i];
        float width = 2 * (b->residual * (norms[i] + residuals[i]) + b->length * residuals[i]) +
                      b->slack * (reach * reach);
        float square = b->length * b->length + norms[i] * norms[i] - 2 * dot;

        block->upper[i] = square - width;
        block->lower[i] = square + width;
    }
    for (size_t i = 0; i < n; i++) {
        float nearest = block->upper[i] > 0 ? block->upper[i] : 0;
        float farthest = block->lower[i] >= 0 ? block->lower[i] : INFINITY;

        block->upper[i] = -sqrtf(nearest);
        block->lower[i] = -sqrtf(farthest);
    }
}

/* Give up the bounds of rows whose length is near the ends of float32's range. */
static void open_bounds(const float *norms, float shortest, size_t n, wte__bounds_block *block)
{
    int abnormal = 0;

    for (size_t i = 0; i < n; i++)
        abnormal |= (norms[i] < shortest) | (norms[i] > LONG_ROW);
    if (!abnormal)
        return;
    for (size_t i = 0; i < n; i++)
        if (norms[i] < shortest || norms[i] > LONG_ROW) {
            block->upper[i] = INFINITY;
            block->lower[i] = -INFINITY;
        }
}

void wte__bounds_compute(const wte__bounds *b, size_t first, size_t n, wte__bounds_block *block)
{
    const wte__codes *codes = &b->space->codes;

    wte__kernel()->dot_i8_rows(codes->codes + first * codes->stride, codes->stride, n, b->query,
                               b->space->rows.dim, block->dots);
    if (b->metric == WTE_COSINE)
        cosine_bounds(b, first, n, block);
    else
        euclidean_bounds(b, first, n, block);
    open_bounds(b->space->norms + first, b->metric == WTE_COSINE ? SHORT_ROW : 0, n, block);
}
