/* SPDX-License-Identifier: MIT */
/** wte/embedding.h - random layers that equal torch's, bit for bit
 *
 * torch.manual_seed(s); torch.nn.Embedding(v, d) on a CPU with AVX2 fills the layer with normals of
 * the generator in wte/random.h, so the same seed gives the same float32 bits. */
#ifndef WTE_EMBEDDING_H
#define WTE_EMBEDDING_H
#include "wte/random.h"
WTE_BEGIN_DECLS

/** Make the weights of torch.nn.Embedding(n_vocab, dim, padding_idx) after torch.manual_seed(seed).
 *   padding_idx  row of zeros, or -1
 *   out          [n_vocab, dim]
 * Errors: E_SHAPE (empty, or the product overflows), E_RANGE (padding_idx). */
WTE_API wte_status wte_embedding_init(uint64_t seed, size_t n_vocab, size_t dim,
                                      int64_t padding_idx, float *out, wte_error *err);

WTE_END_DECLS
#endif
