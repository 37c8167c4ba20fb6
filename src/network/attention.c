/* SPDX-License-Identifier: MIT */
/* attention.c - one head, one query or some, the cells of their sequence
 *
 * Keys and values lie by head, then by cell: [n_head, n_cells, head_dim]. A sequence names its
 * cells in order, so forks share them and nothing is moved; as a token takes the cell behind that
 * of the token before it where it can (session.c), the rows of a head mostly lie one behind the
 * other all the same. A query goes over the
 * keys once for its scores and over the values once for the mix; between them lies the softmax.
 * Some queries share the loads of keys and values, each seeing as many cells as it would alone.
 * There is no blocking with a running maximum: the scores of a context of some thousand tokens fit
 * into the first-level cache, and they are what a tap asks for.
 *
 * A masked key's weight is exactly 0. Where all keys are masked the weights are equal: the
 * reference adds the lowest float32 to each score, which leaves nothing of the scores but that same
 * number. */
#include "network/network_internal.h"
#include <math.h>

/* The rows of a head. */
static void *head_rows(const wte__heads *h, void *which, size_t head)
{
    size_t size = h->half ? sizeof(uint16_t) : sizeof(float);

    return (unsigned char *)which + head * h->n_cells * h->head_dim * size;
}

void wte__heads_store(const wte__heads *h, void *which, size_t head, const float *x, size_t ldx,
                      const uint32_t *cells, size_t n_rows)
{
    const size_t dim = h->head_dim;
    void *rows = head_rows(h, which, head);

    for (size_t r = 0; r < n_rows; r++)
        if (h->half)
            wte__kernel()->f32_to_f16(x + r * ldx, (uint16_t *)rows + cells[r] * dim, dim);
        else
            memcpy((float *)rows + cells[r] * dim, x + r * ldx, dim * sizeof *x);
}

/* Take the masked keys out. */
static void hide(const uint8_t *visible, size_t n, float *scores)
{
    size_t n_visible = 0;

    for (size_t i = 0; i < n; i++)
        n_visible += visible[i] != 0;
    if (n_visible == n)
        return;
    for (size_t i = 0; i < n; i++)
        if (n_visible == 0)
            scores[i] = 0;
        else if (!visible[i])
            scores[i] = -INFINITY;
}

void wte__attend(const wte__heads *h, size_t head, const float *query, const uint32_t *cells,
                 const uint8_t *visible, size_t n, float *weights, float *out)
{
    const wte__kernels *k = wte__kernel();
    const void *keys = head_rows(h, h->keys, head), *values = head_rows(h, h->values, head);

    if (h->half)
        k->attend_scores_f16(query, keys, cells, n, h->head_dim, weights);
    else
        k->attend_scores_f32(query, keys, cells, n, h->head_dim, weights);
    if (visible)
        hide(visible, n, weights);
    k->softmax(weights, n);
    if (h->half)
        k->attend_mix_f16(weights, values, cells, n, h->head_dim, out);
    else
        k->attend_mix_f32(weights, values, cells, n, h->head_dim, out);
}

void wte__attend_rows(const wte__heads *h, size_t head, const float *query, size_t ldq,
                      const uint32_t *cells, const uint8_t *visible, const uint32_t *n_keys,
                      size_t n_rows, float *weights, size_t ldw, float *out, size_t ldo)
{
    const wte__kernels *k = wte__kernel();
    const void *keys = head_rows(h, h->keys, head), *values = head_rows(h, h->values, head);
    size_t most = 0;

    if (n_rows == 1) {
        wte__attend(h, head, query, cells, visible, *n_keys, weights, out);
        return;
    }
    for (size_t r = 0; r < n_rows; r++)
        most = n_keys[r] > most ? n_keys[r] : most;
    if (h->half)
        k->attend_scores_many_f16(query, ldq, n_rows, keys, cells, most, h->head_dim, weights, ldw);
    else
        k->attend_scores_many_f32(query, ldq, n_rows, keys, cells, most, h->head_dim, weights, ldw);
    for (size_t r = 0; r < n_rows; r++) {
        if (visible)
            hide(visible, n_keys[r], weights + r * ldw);
        k->softmax(weights + r * ldw, n_keys[r]);
    }
    if (h->half)
        k->attend_mix_many_f16(weights, ldw, n_rows, values, cells, n_keys, h->head_dim, out, ldo);
    else
        k->attend_mix_many_f32(weights, ldw, n_rows, values, cells, n_keys, h->head_dim, out, ldo);
}
