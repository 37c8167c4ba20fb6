/* SPDX-License-Identifier: MIT */
/* embedding.c - layers as torch makes them
 *
 * A layer made after torch.manual_seed(s) is one call of normal_ on all its elements, then the row
 * of padding set to 0. How normals are drawn, and why their bits are torch's, is in base/random.c.
 */
#include "wte/embedding.h"
#include "base/base.h"

wte_status wte_embedding_init(uint64_t seed, size_t n_vocab, size_t dim, int64_t padding_idx,
                              float *out, wte_error *err)
{
    wte_generator g;
    size_t n, bytes;

    if (n_vocab == 0 || dim == 0)
        return wte__fail(err, WTE_E_SHAPE, "empty layer [%zu, %zu]", n_vocab, dim);
    if (wte__mul_overflows(n_vocab, dim, &n) || wte__mul_overflows(n, sizeof *out, &bytes))
        return wte__fail(err, WTE_E_SHAPE, "layer [%zu, %zu] is too large", n_vocab, dim);
    if (padding_idx < -1 || (padding_idx >= 0 && (uint64_t)padding_idx >= n_vocab))
        return wte__fail(err, WTE_E_RANGE, "padding index %lld, expected -1 or a row below %zu",
                         (long long)padding_idx, n_vocab);
    wte_generator_seed(&g, seed);
    wte_generator_normal(&g, out, n, 0.0f, 1.0f);
    if (padding_idx >= 0)
        memset(out + (size_t)padding_idx * dim, 0, dim * sizeof *out);
    return WTE_OK;
}
