/* SPDX-License-Identifier: MIT */
/** sampling.h - what generate and next --distribution share: options, lists of ids, what was tried
 */
#ifndef WTE_SAMPLING_H
#define WTE_SAMPLING_H
#include "prompt.h"

/* ---- options ---------------------------------------------------------------------------- */

/** What the options of the tables below say. */
extern wte_generate_options sampling;
extern const struct option length_options[], processor_options[], warper_options[];

/** Give the options the library's defaults: before the command line is read. */
void sampling_begin(void);
/** Tell whether any option of the tables was given. */
bool sampling_given(void);
/** Read the lists, and what config.json says of the tokens that end a text. Returns an exit status.
 */
int sampling_ready(const char *config, uint32_t n_vocab);
/** Read ids with commas between; free out->ids with free(). Returns an exit status. */
int read_id_list(const char *option, const char *text, wte_ids *out);
/** Read --force-words-ids into `sampling`. Returns an exit status. */
int read_forced_words(const char *text);
/** The name of an option that was given and that only sampling heeds, or NULL. */
const char *idle_warper(void);
/** Print the members of a chain on stderr. */
void tell_chain(const wte_chain *chain);

/* ---- the steps of a search -------------------------------------------------------------- */

struct search_step {
    size_t step, prompt, n;
    wte_candidate *candidates; /* [n] */
    float *stage_probs;        /* [n, stages] */
};

struct search {
    struct search_step *steps;
    size_t n, capacity;
    struct texts stages;
};

/** A wte_trace_fn whose data is a struct search. */
int keep_search_step(void *data, const wte_trace_step *step);
void free_search(struct search *search);
/** Write "stages" and "trace" of the object that is open. */
void json_search(struct out *o, const struct search *search, size_t prompt, const struct prompt *p);
/** Draw the tree of a prompt's search.
 *   sequences  [n] what the search returned for this prompt */
void show_tree(struct out *o, const struct search *search, size_t prompt, const struct prompt *p,
               const wte_generated *sequences, size_t n);

/** The same as a figure. Returns an exit status. */
int draw_tree(const struct search *search, size_t prompt, const struct prompt *p,
              const wte_generated *sequences, size_t n);

/* ---- a distribution --------------------------------------------------------------------- */

/** Apply the chain to the logits behind a prompt and print what each member did, and what is left.
 *   logits  [n_vocab]
 *   k       how many tokens people see
 * Returns an exit status. */
int show_distribution(const struct prompt *p, const float *logits, size_t k);

#endif
