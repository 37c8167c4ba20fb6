/* SPDX-License-Identifier: MIT */
/* trace.c - the search made visible
 *
 * Which candidates a step will show is known after the chain has run, and probabilities after each
 * of its members need the sum over the whole vocabulary at that point; so a traced search keeps a
 * copy of all scores after every member, for every running sequence. A search without a trace keeps
 * nothing and applies the chain in one go. */
#include "generate/search.h"
#include <math.h>

wte_status wte__trace_new(wte__search *s, size_t n_slots, size_t capacity, wte_error *err)
{
    wte__trace *t = &s->trace;
    size_t floats;

    if (!wte__tracing(s))
        return WTE_OK;
    t->n_slots = n_slots;
    t->n_stages = wte_chain_length(s->chain);
    t->capacity = capacity;
    t->stages = wte__calloc(t->n_stages + 1, sizeof *t->stages);
    t->shifts = wte__calloc(n_slots, (t->n_stages + 1) * sizeof *t->shifts);
    if (!wte__mul_overflows(n_slots * (t->n_stages + 1), s->n_vocab, &floats))
        t->scores = wte__calloc(floats, sizeof *t->scores);
    t->list = wte__calloc(t->capacity, sizeof *t->list);
    t->stage_probs = wte__calloc(t->capacity, (t->n_stages + 1) * sizeof *t->stage_probs);
    if (!t->stages || !t->shifts || !t->scores || !t->list || !t->stage_probs)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a trace");
    for (size_t i = 0; i < t->n_stages; i++)
        t->stages[i] = wte_chain_name(s->chain, i);
    return WTE_OK;
}

void wte__trace_free(wte__trace *t)
{
    wte__free(t->stages);
    wte__free(t->shifts);
    wte__free(t->scores);
    wte__free(t->list);
    wte__free(t->stage_probs);
    *t = (wte__trace){0};
}

void wte__trace_stage(wte__search *s, size_t slot, size_t stage, const float *scores)
{
    wte__trace *t = &s->trace;
    const size_t at = slot * t->n_stages + stage;

    memcpy(t->scores + at * s->n_vocab, scores, s->n_vocab * sizeof *scores);
    t->shifts[at] = wte__log_sum(scores, s->n_vocab);
}

wte_candidate *wte__trace_add(wte__search *s, size_t slot, uint32_t beam, uint32_t id,
                              const float *logits, double shift)
{
    wte__trace *t = &s->trace;
    wte_candidate *c = &t->list[t->n];
    float *probs = t->stage_probs + t->n++ * t->n_stages;

    *c = (wte_candidate){.id = id, .beam = beam, .logit = logits[id]};
    c->prob = c->processed = (float)exp((double)logits[id] - shift);
    for (size_t i = 0; i < t->n_stages; i++) {
        const size_t at = slot * t->n_stages + i;

        probs[i] = (float)exp((double)t->scores[at * s->n_vocab + id] - t->shifts[at]);
        c->processed = probs[i];
    }
    return c;
}

void wte__trace_end(wte__search *s, size_t step, size_t prompt)
{
    wte__trace *t = &s->trace;
    const wte_trace_step told = {.step = step,
                                 .prompt = prompt,
                                 .candidates = t->list,
                                 .n = t->n,
                                 .stages = t->stages,
                                 .n_stages = t->n_stages,
                                 .stage_probs = t->stage_probs};

    t->n = 0;
    if (s->o->on_step(s->o->on_step_data, &told))
        wte__search_halt(s, WTE_FINISH_CANCELLED);
}
