/* SPDX-License-Identifier: MIT */
/** wte/eval.h - evaluation sets: analogy questions and judged word pairs
 *
 * Semantics are those of gensim 4.2's evaluate_word_analogies and evaluate_word_pairs, quirks
 * included: of the five best rows other than the question's own, the first whose word, without
 * regard to case, is not one of the question's is the answer; lines of another form are passed
 * over. One is not: gensim 4.2 takes a similarity_function and does not use it. WTE_ANALOGY_MUL
 * here is 3CosMul. */
#ifndef WTE_EVAL_H
#define WTE_EVAL_H
#include "wte/nearest.h"
WTE_BEGIN_DECLS

/** A pair that was judged; the words are bytes of the file. */
typedef struct wte_eval_pair {
    const char *a, *b;
    size_t a_len, b_len;
    double judged, similarity;
} wte_eval_pair;

typedef struct wte_eval_options {
    uint32_t restrict_vocab;   /**< only the first so many rows take part; 0: all. gensim: 300000 */
    int case_sensitive;        /**< else words and vocabulary are upper-cased, first row wins */
    int dummy4unknown;         /**< unknown words count as wrong answers, or as similarity 0 */
    wte_analogy_method method; /**< WTE_ANALOGY_ADD or WTE_ANALOGY_MUL */
    unsigned n_threads;
    wte_progress_fn progress;
    void *progress_data;
    int prefix_space; /**< the file's words stand with a space before them in the vocabulary */
    /** NULL, or told of every pair that wte_eval_pairs() uses, in the file's order. */
    void (*on_pair)(void *data, const wte_eval_pair *pair);
    void *on_pair_data;
} wte_eval_options;

#define WTE_EVAL_DEFAULTS                                                                          \
    {                                                                                              \
        300000, 0, 0, WTE_ANALOGY_ADD, 0, NULL, NULL, 0, NULL, NULL                                \
    }

typedef struct wte_eval_section {
    char *name;
    uint32_t correct, incorrect;
    uint32_t skipped; /**< questions with a word that is not there */
} wte_eval_section;

typedef struct wte_eval_analogies_result {
    wte_eval_section *sections; /**< [n_sections], in the file's order */
    size_t n_sections;
    uint32_t correct, incorrect, skipped;
    double accuracy; /**< correct / (correct + incorrect), NaN if both are 0 */
} wte_eval_analogies_result;

/** Answer every question of a file in word2vec's questions-words form and count.
 *   out  filled; free with wte_eval_analogies_free()
 * Errors: E_IO, E_FORMAT (a line, by number), E_NOMEM, E_CANCELLED. */
WTE_API wte_status wte_eval_analogies(const wte_space *space, const char *path,
                                      const wte_eval_options *options,
                                      wte_eval_analogies_result *out, wte_error *err);
WTE_API void wte_eval_analogies_free(wte_eval_analogies_result *result);

typedef struct wte_eval_pairs_result {
    double pearson, pearson_p, spearman, spearman_p; /**< two-sided, as scipy.stats */
    double oov_ratio; /**< percent of the file's pairs with an unknown word, as gensim gives it */
    uint32_t pairs;   /**< used */
    uint32_t oov;
} wte_eval_pairs_result;

/** Correlate the space's similarities with people's judgements: lines "word TAB word TAB score".
 * Errors: E_IO, E_FORMAT, E_RANGE (fewer than two pairs can be used), E_NOMEM. */
WTE_API wte_status wte_eval_pairs(const wte_space *space, const char *path,
                                  const wte_eval_options *options, wte_eval_pairs_result *out,
                                  wte_error *err);

WTE_END_DECLS
#endif
