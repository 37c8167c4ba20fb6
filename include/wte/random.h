/* SPDX-License-Identifier: MIT */
/** wte/random.h - torch's CPU generator, number for number
 *
 * torch.manual_seed(s) starts a Mersenne Twister; rand, normal_, exponential_ and multinomial turn
 * its words into numbers by fixed recipes. These are the same recipes, so the same seed gives the
 * same float32 bits as a torch that does not draw through MKL. Source: Matsumoto and Nishimura 1998
 * (mt19937); Box and Muller 1958; the single-precision polynomials of the Cephes library. */
#ifndef WTE_RANDOM_H
#define WTE_RANDOM_H
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

WTE_END_DECLS
#endif
