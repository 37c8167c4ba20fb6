/* SPDX-License-Identifier: MIT */
/* track.c - sequences that are written alone, one token after the other
 *
 * Greedy search, sampling and contrastive search never leave a text for another one, as beams do:
 * what they write is a track, from the prompt to the token that ends it. All tracks have room for
 * the longest text that the search may give, in one block, [n_prompts, n_return, capacity]. */
#include "generate/search.h"

bool wte__tracks_new(wte__tracks *tracks, const wte__search *s)
{
    size_t n;

    tracks->n = s->n_prompts * s->n_return;
    if (wte__mul_overflows(tracks->n, s->capacity, &n))
        return false;
    tracks->items = wte__calloc(tracks->n, sizeof *tracks->items);
    tracks->ids = wte__calloc(n, sizeof *tracks->ids);
    tracks->token_scores = wte__calloc(n, sizeof *tracks->token_scores);
    if (!tracks->items || !tracks->ids || !tracks->token_scores)
        return false;
    for (size_t i = 0; i < tracks->n; i++) {
        const size_t p = i / s->n_return;
        wte__track *t = &tracks->items[i];

        t->ids = tracks->ids + i * s->capacity;
        t->token_scores = tracks->token_scores + i * s->capacity;
        t->n = t->n_prompt = s->prompts[p].n;
        memcpy(t->ids, s->prompts[p].ids, t->n * sizeof *t->ids);
        t->length = wte__search_length(s, p, &t->finish_at_length);
        t->running = true;
    }
    tracks->n_running = tracks->n;
    return true;
}

void wte__tracks_free(wte__tracks *tracks)
{
    wte__free(tracks->items);
    wte__free(tracks->ids);
    wte__free(tracks->token_scores);
}

void wte__track_append(wte__search *s, wte__tracks *tracks, size_t index, uint32_t id, float score,
                       double log_prob)
{
    wte__track *t = &tracks->items[index];
    const bool ends = wte__ends(s, t->ids, t->n, id, &t->finish);

    t->token_scores[t->n - t->n_prompt] = score;
    t->ids[t->n++] = id;
    t->sum_log_prob += log_prob;
    if (!ends && t->n >= t->length)
        t->finish = t->finish_at_length;
    if (ends || t->n >= t->length) {
        t->running = false;
        tracks->n_running--;
    }
    if (s->o->on_token && s->o->on_token(s->o->on_token_data, index, id))
        wte__search_halt(s, WTE_FINISH_CANCELLED);
}

void wte__tracks_result(const wte__search *s, const wte__tracks *tracks, size_t prompt,
                        wte_generated *out)
{
    for (size_t i = 0; i < s->n_return; i++) {
        const wte__track *t = &tracks->items[prompt * s->n_return + i];

        out[i] = (wte_generated){.ids = t->ids,
                                 .n = t->n,
                                 .n_prompt = t->n_prompt,
                                 .score = t->sum_log_prob,
                                 .sum_log_prob = t->sum_log_prob,
                                 .token_scores = t->token_scores,
                                 .finish = t->running ? s->why : t->finish};
    }
}
