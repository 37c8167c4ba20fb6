/* SPDX-License-Identifier: MIT */
/** generate/generate_internal.h - what the strategies need of the chain beyond wte/generate.h */
#ifndef WTE_GENERATE_INTERNAL_H
#define WTE_GENERATE_INTERNAL_H
#include <stdbool.h>
#include "wte/generate.h"

/** Tokens, the prompt included, at which a sequence ends. */
size_t wte__max_length(const wte_generate_options *options, size_t n_prompt);

/** Tell the diversity member which tokens the earlier groups of this prompt chose in this step. For
 * the first group, and where nobody tells: none.
 *   tokens  [n] borrowed until the next call of this function */
void wte__chain_set_diversity(wte_chain *chain, const uint32_t *tokens, size_t n);

/** Tell mirostat that a token was drawn for `sequence` from the scores that wte_chain_apply() left
 * for that sequence last.
 *   prob  the token's probability in that distribution
 * Nothing happens where there is no mirostat. */
void wte__chain_drawn(wte_chain *chain, size_t sequence, float prob);

/** Draw one token as torch.multinomial(softmax(scores), 1).
 *   scores  [n], probs [n] receives their softmax and may be scores
 * Errors: E_RANGE (no finite distribution). */
wte_status wte__draw(wte_generator *g, const float *scores, size_t n, float *probs, uint32_t *id,
                     wte_error *err);
#endif
