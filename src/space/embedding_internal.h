/* SPDX-License-Identifier: MIT */
/** space/embedding_internal.h - the vectorised step of the generator, open to its test */
#ifndef WTE_EMBEDDING_INTERNAL_H
#define WTE_EMBEDDING_INTERNAL_H
#include <stddef.h>

/** Turn blocks of 16 uniforms into 16 normals each, in place. The bits are the same whatever
 * cpu_flags (of kernel/kernel.h) allow; 0 takes the path that every machine has.
 *   x  [n_blocks, 16] uniforms in [0, 1) that are multiples of 2^-24 */
void wte__normal_blocks(float *x, size_t n_blocks, float mean, float std, unsigned cpu_flags);
#endif
