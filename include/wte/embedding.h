/* SPDX-License-Identifier: MIT */
/** wte/embedding.h - random layers that equal torch's, bit for bit
 *
 * torch.manual_seed(s); torch.nn.Embedding(v, d) on a CPU with AVX2 draws from a Mersenne Twister
 * and turns uniforms into normals with a fixed recipe; this is the same recipe, so the same seed
 * gives the same float32 bits. Source: Matsumoto and Nishimura 1998 (mt19937); Box and Muller 1958;
 * the single-precision polynomials of the Cephes library. */
#ifndef WTE_EMBEDDING_H
#define WTE_EMBEDDING_H
#include "wte/status.h"
WTE_BEGIN_DECLS

/** torch's CPU generator. A plain value: copy it to fork the stream. */
typedef struct wte_generator {
    uint32_t state[624];
    uint32_t index;
    int has_normal; /**< a normal of the scalar path is kept for the next call */
    double next_normal;
} wte_generator;

/** Seed the generator as torch.manual_seed: only the low 32 bits of the seed count. */
WTE_API void wte_generator_seed(wte_generator *g, uint64_t seed);
/** Draw 32 bits. */
WTE_API uint32_t wte_generator_u32(wte_generator *g);
/** Draw 64 bits: the first word is the high half. */
WTE_API uint64_t wte_generator_u64(wte_generator *g);
/** Fill with uniforms in [0, 1), as torch.rand of float32. */
WTE_API void wte_generator_uniform(wte_generator *g, float *out, size_t n);
/** Fill with normals, as tensor.normal_(mean, std) on a contiguous float32 tensor of n elements. */
WTE_API void wte_generator_normal(wte_generator *g, float *out, size_t n, float mean, float std);
/** Fill with exponentials of rate 1, as tensor.exponential_() without MKL. */
WTE_API void wte_generator_exponential(wte_generator *g, float *out, size_t n);
/** Draw indices from n weights, as torch.multinomial.
 *   probabilities  [n], not negative, with a sum above 0
 *   out            [n_samples]
 * Errors: E_RANGE, E_NOMEM. */
WTE_API wte_status wte_generator_multinomial(wte_generator *g, const float *probabilities, size_t n,
                                             size_t n_samples, int replacement, uint32_t *out,
                                             wte_error *err);

/** Make the weights of torch.nn.Embedding(n_vocab, dim, padding_idx) after torch.manual_seed(seed).
 *   padding_idx  row of zeros, or -1
 *   out          [n_vocab, dim]
 * Errors: E_SHAPE (empty, or the product overflows), E_RANGE (padding_idx). */
WTE_API wte_status wte_embedding_init(uint64_t seed, size_t n_vocab, size_t dim,
                                      int64_t padding_idx, float *out, wte_error *err);

WTE_END_DECLS
#endif
