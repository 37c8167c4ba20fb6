/* SPDX-License-Identifier: MIT */
/** base/random_internal.h - the generator's inside: for its test, and for draws from few of many */
#ifndef WTE_RANDOM_INTERNAL_H
#define WTE_RANDOM_INTERNAL_H
#include <stdbool.h>
#include <stddef.h>
#include "wte/random.h"

/** Whether this machine has AVX2 and FMA. */
bool wte__random_has_vectors(void);
/** Turn blocks of 16 uniforms into 16 normals each, in place. The bits are the same with and
 * without vectors (which only a machine that has them may be asked for).
 *   x  [n_blocks, 16] uniforms in [0, 1) that are multiples of 2^-24 */
void wte__normal_blocks(float *x, size_t n_blocks, float mean, float std, bool vectors);

/** wte_generator_multinomial() for one sample of n weights of which all but m are 0.
 *   ids  [m] which, ascending; p [m] their weights: numbers, one of them above 0
 * Returns the place in ids. The generator is left as that function leaves it. */
size_t wte__generator_pick(wte_generator *g, const uint32_t *ids, const float *p, size_t m,
                           size_t n);
#endif
