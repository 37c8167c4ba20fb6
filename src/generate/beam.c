/* SPDX-License-Identifier: MIT */
/* beam.c - beam search, beam sampling, diverse groups, forced words
 *
 * Every running beam's log-probabilities go through the chain; to each is added the sum that its
 * beam has so far. Of all these continuations the best max(2, 1 + EOS tokens) * B are looked at,
 * best first: one that ends in an EOS becomes a hypothesis if it is among the first B, others
 * become the next beams until there are B. A hypothesis scores sum / length^penalty, where the
 * length counts new tokens; the B best are kept. A prompt is done when B are kept and, by
 * early_stopping, no beam can become better; else what still runs at the end is added.
 *
 * Groups take turns within a step: each is a beam search of B / groups beams, and sees penalised
 * what earlier groups chose. Beam sampling draws 2B continuations instead of taking the best, from
 * all beams at once. With forced words the B continuations that were chosen compete with those that
 * make progress (constrained.c).
 *
 * Beams share the cache of what they have in common: reordering moves lists of cells.
 *
 * The order of events, the float32 sums and the choice among equals are those of transformers 4.40,
 * also where one could think of better: a done group chooses the padding token from then on, which
 * later groups see; a hypothesis ends in the first EOS of the list, whichever it was. Different is
 * that a stop string ends one hypothesis as an EOS does, where transformers waits until all beams
 * end in one at once; and that a prompt in a batch does not see the others' padding.
 *
 * Source: Sutskever et al. 2014; Vijayakumar et al. 2016 (groups); Wu et al. 2016 (length penalty).
 */
#include <math.h>
#include "generate/search.h"

/* A finished continuation, in memory of its own. */
typedef struct hypothesis {
    double score, sum_log_prob;
    uint32_t *ids;       /* [capacity] */
    float *token_scores; /* [capacity] */
    size_t n;
    wte_finish finish;
} hypothesis;

/* The hypotheses of one group, in the order in which they came; one more place than are kept. */
typedef struct group {
    hypothesis **kept; /* [group_size + 1] */
    size_t n;
    double worst;
    bool done;
} group;

/* A beam as it goes on. */
typedef struct beam {
    float sum;           /* of processed scores */
    double sum_log_prob; /* of the network's */
    uint32_t parent, id; /* how it goes on from the step before */
    float processed;     /* score of that token */
    double log_prob;
} beam;

/* The search of one prompt. */
typedef struct prompt_search {
    uint32_t *ids[2];       /* [n_beams, capacity] running, and the next */
    float *token_scores[2]; /* [n_beams, capacity] */
    beam *beams, *next;     /* [n_beams] */
    group *groups;          /* [n_groups] */
    size_t n, n_prompt, length;
    size_t row; /* of the first beam in the pass */
    wte_finish finish_at_length;
    bool begun, done;
} prompt_search;

typedef struct beams {
    prompt_search *prompts;
    size_t n_beams, n_groups, group_size, n_considered;
    /* of one step */
    const float **logits;                /* [n_beams] */
    double *shifts;                      /* [n_beams] */
    float *scores;                       /* [n_beams, n_vocab] processed */
    float *probs;                        /* [group_size, n_vocab] sampling */
    wte__candidate *candidates, *chosen; /* [group_size * n_considered], [group_size] */
    uint32_t *best;                      /* [n_considered] */
    uint32_t *chosen_ids;                /* [n_chosen_ids] of the groups so far */
    size_t n_chosen_ids;
    float *sums;    /* [group_size] of the beams */
    uint32_t *from; /* [n_prompts * per_prompt] */
    wte__forced *forced;
    /* memory of the prompts */
    uint32_t *ids;
    float *token_scores;
    beam *all_beams;
    group *all_groups;
    hypothesis *hypotheses;
    hypothesis **kept;
    hypothesis **sorted; /* [n_beams] */
} beams;

static void end_beams(wte__search *s)
{
    beams *g = s->state;

    if (!g)
        return;
    wte__forced_free(g->forced);
    wte__free(g->prompts);
    wte__free(g->logits);
    wte__free(g->shifts);
    wte__free(g->scores);
    wte__free(g->probs);
    wte__free(g->candidates);
    wte__free(g->chosen);
    wte__free(g->best);
    wte__free(g->chosen_ids);
    wte__free(g->sums);
    wte__free(g->from);
    wte__free(g->ids);
    wte__free(g->token_scores);
    wte__free(g->all_beams);
    wte__free(g->all_groups);
    wte__free(g->hypotheses);
    wte__free(g->kept);
    wte__free(g->sorted);
    wte__free(g);
    s->state = NULL;
}

/* ---- memory -------------------------------------------------------------------------------- */

static bool take_step(wte__search *s, beams *g)
{
    const size_t n = g->n_beams;
    size_t n_candidates;

    if (wte__mul_overflows(g->group_size, g->n_considered, &n_candidates))
        return false;
    g->logits = wte__calloc(n, sizeof *g->logits);
    g->shifts = wte__calloc(n, sizeof *g->shifts);
    g->scores = wte__calloc(n, s->n_vocab * sizeof *g->scores);
    g->candidates = wte__calloc(n_candidates, sizeof *g->candidates);
    g->chosen = wte__calloc(g->group_size, sizeof *g->chosen);
    g->best = wte__calloc(g->n_considered, sizeof *g->best);
    g->chosen_ids = wte__calloc(n, sizeof *g->chosen_ids);
    g->sums = wte__calloc(g->group_size, sizeof *g->sums);
    g->from = wte__calloc(s->n_prompts, s->per_prompt * sizeof *g->from);
    g->sorted = wte__calloc(n, sizeof *g->sorted);
    if (s->o->do_sample)
        g->probs = wte__calloc(g->group_size, s->n_vocab * sizeof *g->probs);
    return g->logits && g->shifts && g->scores && g->candidates && g->chosen && g->best &&
           g->chosen_ids && g->sums && g->from && g->sorted && (g->probs || !s->o->do_sample);
}

/* Lists of tokens for beams, twice, and for hypotheses, one more than are kept of each group. */
static bool take_prompts(wte__search *s, beams *g)
{
    const size_t n_kept = g->n_beams + g->n_groups, n_lists = 2 * g->n_beams + n_kept;
    size_t n;

    if (wte__mul_overflows(s->n_prompts, n_lists, &n) || wte__mul_overflows(n, s->capacity, &n))
        return false;
    g->prompts = wte__calloc(s->n_prompts, sizeof *g->prompts);
    g->ids = wte__calloc(n, sizeof *g->ids);
    g->token_scores = wte__calloc(n, sizeof *g->token_scores);
    g->all_beams = wte__calloc(s->n_prompts, 2 * g->n_beams * sizeof *g->all_beams);
    g->all_groups = wte__calloc(s->n_prompts, g->n_groups * sizeof *g->all_groups);
    g->hypotheses = wte__calloc(s->n_prompts, n_kept * sizeof *g->hypotheses);
    g->kept = wte__calloc(s->n_prompts, n_kept * sizeof(hypothesis *));
    return g->prompts && g->ids && g->token_scores && g->all_beams && g->all_groups &&
           g->hypotheses && g->kept;
}

/* Lay out the memory of a prompt and put it to its start. */
static void set_up(wte__search *s, beams *g, size_t prompt)
{
    const size_t n_kept = g->n_beams + g->n_groups, n_lists = 2 * g->n_beams + n_kept;
    prompt_search *p = &g->prompts[prompt];
    uint32_t *ids = g->ids + prompt * n_lists * s->capacity;
    float *token_scores = g->token_scores + prompt * n_lists * s->capacity;
    hypothesis *h = g->hypotheses + prompt * n_kept, **kept = g->kept + prompt * n_kept;

    for (int i = 0; i < 2; i++) {
        p->ids[i] = ids + (size_t)i * g->n_beams * s->capacity;
        p->token_scores[i] = token_scores + (size_t)i * g->n_beams * s->capacity;
    }
    for (size_t i = 0; i < n_kept; i++) {
        h[i].ids = ids + (2 * g->n_beams + i) * s->capacity;
        h[i].token_scores = token_scores + (2 * g->n_beams + i) * s->capacity;
        kept[i] = &h[i];
    }
    p->beams = g->all_beams + prompt * 2 * g->n_beams;
    p->next = p->beams + g->n_beams;
    p->groups = g->all_groups + prompt * g->n_groups;
    for (size_t i = 0; i < g->n_groups; i++)
        p->groups[i] = (group){.kept = kept + i * (g->group_size + 1), .worst = 1e9};
    p->n = p->n_prompt = s->prompts[prompt].n;
    p->length = wte__search_length(s, prompt, &p->finish_at_length);
    for (size_t b = 0; b < g->n_beams; b++) { /* equal beams: one counts, unless they are drawn */
        memcpy(p->ids[0] + b * s->capacity, s->prompts[prompt].ids, p->n * sizeof *ids);
        p->beams[b].sum = b % g->group_size == 0 || s->o->do_sample ? 0 : -1e9f;
    }
}

static wte_status begin_beams(wte__search *s, wte_error *err)
{
    beams *g = s->state = wte__calloc(1, sizeof *g);
    const size_t per_beam = s->o->eos.n + 1 > 2 && !s->o->do_sample ? s->o->eos.n + 1 : 2;
    size_t shown;
    wte_status status = WTE_OK;

    if (!g)
        goto nomem;
    g->n_beams = s->o->num_beams;
    g->n_groups = s->o->num_beam_groups ? s->o->num_beam_groups : 1;
    g->group_size = g->n_beams / g->n_groups;
    g->n_considered = per_beam * g->group_size;
    if (g->n_considered > s->n_vocab)
        g->n_considered = s->n_vocab;
    if (!take_step(s, g) || !take_prompts(s, g))
        goto nomem;
    for (size_t i = 0; i < s->n_prompts; i++)
        set_up(s, g, i);
    for (size_t i = 0; i < s->n_prompts * s->per_prompt; i++)
        g->from[i] = (uint32_t)i;
    if (s->o->n_force_words)
        status = wte__forced_new(s->o, g->group_size, &g->forced, err);
    if (status)
        return status;
    shown = g->n_groups * (per_beam + 1) * g->group_size;
    return wte__trace_new(s, g->n_beams, shown, err);
nomem:
    return wte__fail(err, WTE_E_NOMEM, "no memory for %zu beams of %zu tokens",
                     s->n_prompts * s->o->num_beams, s->capacity);
}

/* ---- hypotheses ---------------------------------------------------------------------------- */

/* Keep the group's best: the worst, of equals the earlier, goes. */
static void drop_worst(group *gr)
{
    hypothesis *gone;
    size_t at = 0;

    for (size_t i = 1; i < gr->n; i++)
        if (gr->kept[i]->score < gr->kept[at]->score)
            at = i;
    gone = gr->kept[at];
    memmove(gr->kept + at, gr->kept + at + 1, (gr->n - at - 1) * sizeof(hypothesis *));
    gr->kept[--gr->n] = gone;
    gr->worst = INFINITY;
    for (size_t i = 0; i < gr->n; i++)
        if (gr->kept[i]->score < gr->worst)
            gr->worst = gr->kept[i]->score;
}

/* Add a running beam, and the token that ends it or NULL, to the hypotheses of its group. */
static void add_hypothesis(const wte__search *s, const beams *g, prompt_search *p, group *gr,
                           size_t b, const beam *last, wte_finish finish)
{
    const size_t n_new = p->n - p->n_prompt + (last != NULL);
    const double sum = (double)(last ? last->sum : p->beams[b].sum);
    const double score = n_new ? sum / pow((double)n_new, (double)s->o->length_penalty) : 0;
    hypothesis *h;

    if (gr->n == g->group_size && !(score > gr->worst))
        return;
    h = gr->kept[gr->n++];
    h->score = score;
    h->sum_log_prob = p->beams[b].sum_log_prob;
    h->n = p->n;
    h->finish = finish;
    memcpy(h->ids, p->ids[0] + b * s->capacity, p->n * sizeof *h->ids);
    memcpy(h->token_scores, p->token_scores[0] + b * s->capacity,
           (p->n - p->n_prompt) * sizeof *h->token_scores);
    if (last) {
        h->sum_log_prob += last->log_prob;
        h->token_scores[h->n - p->n_prompt] = last->processed;
        h->ids[h->n++] = finish == WTE_FINISH_EOS ? s->o->eos.ids[0] : last->id;
    }
    if (gr->n > g->group_size)
        drop_worst(gr);
    else if (score < gr->worst)
        gr->worst = score;
}

/* Whether no running beam can become better than the worst hypothesis that is kept.
 *   best  the largest sum among what was considered; n  tokens with the new one */
static bool is_done(const wte__search *s, const beams *g, const prompt_search *p, const group *gr,
                    double best, size_t n)
{
    const double penalty = (double)s->o->length_penalty;
    size_t length = n - p->n_prompt;

    if (gr->n < g->group_size)
        return false;
    if (s->o->early_stopping == WTE_EARLY_STOPPING_TRUE)
        return true;
    if (s->o->early_stopping == WTE_EARLY_STOPPING_NEVER && penalty > 0)
        length = p->length - p->n_prompt;
    return gr->worst >= best / pow((double)length, penalty);
}

/* ---- a step -------------------------------------------------------------------------------- */

static void swap_candidates(wte__candidate *a, wte__candidate *b)
{
    const wte__candidate c = *a;

    *a = *b;
    *b = c;
}

/* Best first; of equals the lower beam, then the lower id. */
static bool before(const wte__candidate *a, const wte__candidate *b)
{
    if (a->total != b->total)
        return a->total > b->total;
    return a->beam != b->beam ? a->beam < b->beam : a->id < b->id;
}

static void sort_candidates(wte__candidate *c, size_t n)
{
    for (size_t root = n / 2, end = n; end > 1;) { /* heapsort: the last one on top */
        size_t i, child;

        if (root > 0)
            root--;
        else
            swap_candidates(&c[0], &c[--end]);
        for (i = root; (child = 2 * i + 1) < end; i = child) {
            if (child + 1 < end && before(&c[child], &c[child + 1]))
                child++;
            if (!before(&c[i], &c[child]))
                break;
            swap_candidates(&c[i], &c[child]);
        }
    }
}

/* The log-probabilities of the group's beams after the chain. */
static wte_status score_beams(wte__search *s, beams *g, prompt_search *p, size_t prompt,
                              size_t first, wte_error *err)
{
    wte__chain_set_diversity(s->chain, g->chosen_ids, g->n_chosen_ids);
    for (size_t b = first; b < first + g->group_size; b++) {
        float *scores = g->scores + b * s->n_vocab;
        wte_status status;

        if (p->beams[b].sum == -INFINITY)
            continue;
        for (size_t i = 0; i < s->n_vocab; i++)
            scores[i] = (float)((double)g->logits[b][i] - g->shifts[b]);
        status = wte__search_apply(s, p->ids[0] + b * s->capacity, p->n, p->n_prompt, prompt, b,
                                   scores, err);
        if (status)
            return status;
    }
    return WTE_OK;
}

/* Find the best continuations of a group's beams, best first. Returns how many. */
static size_t find_best(wte__search *s, beams *g, const prompt_search *p, size_t first)
{
    size_t n = 0;

    for (size_t b = 0; b < g->group_size; b++) {
        const float *scores = g->scores + (first + b) * s->n_vocab;
        const float sum = p->beams[first + b].sum;

        if (sum == -INFINITY)
            continue;
        wte_best(scores, s->n_vocab, g->n_considered, g->best);
        for (size_t i = 0; i < g->n_considered; i++)
            g->candidates[n++] = (wte__candidate){.total = scores[g->best[i]] + sum,
                                                  .processed = scores[g->best[i]],
                                                  .beam = (uint32_t)b,
                                                  .id = g->best[i]};
    }
    sort_candidates(g->candidates, n);
    return n < g->n_considered ? n : g->n_considered;
}

/* Draw continuations of all beams by their sums' softmax, fewer where fewer are possible. */
static wte_status draw(wte__search *s, beams *g, const prompt_search *p, size_t *n, wte_error *err)
{
    const size_t all = g->group_size * s->n_vocab;
    size_t n_possible = 0;
    wte_status status;

    for (size_t b = 0; b < g->group_size; b++) {
        const float sum = p->beams[b].sum;

        for (size_t i = b * s->n_vocab; i < (b + 1) * s->n_vocab; i++)
            g->probs[i] = sum == -INFINITY ? -INFINITY : g->scores[i] + sum;
    }
    wte_softmax(g->probs, all, g->probs);
    for (size_t i = 0; i < all; i++)
        n_possible += g->probs[i] > 0;
    *n = n_possible < g->n_considered ? n_possible : g->n_considered;
    if (*n == 0)
        return wte__fail(err, WTE_E_RANGE, "no beam can go on: every token was ruled out");
    status = wte_generator_multinomial(&s->generator, g->probs, all, *n, 0, g->best, err);
    if (status)
        return status;
    for (size_t i = 0; i < *n; i++) {
        const uint32_t b = g->best[i] / (uint32_t)s->n_vocab;
        const float processed = g->scores[g->best[i]];

        g->candidates[i] = (wte__candidate){.total = processed + p->beams[b].sum,
                                            .processed = processed,
                                            .beam = b,
                                            .id = g->best[i] % (uint32_t)s->n_vocab};
    }
    sort_candidates(g->candidates, *n);
    return WTE_OK;
}

static beam next_beam(const beams *g, const prompt_search *p, size_t first, const wte__candidate *c)
{
    const size_t b = first + c->beam;
    const double log_prob = (double)g->logits[b][c->id] - g->shifts[b];

    return (beam){.sum = c->total,
                  .sum_log_prob = p->beams[b].sum_log_prob + log_prob,
                  .parent = (uint32_t)b,
                  .id = c->id,
                  .processed = c->processed,
                  .log_prob = log_prob};
}

/* Choose the group's next beams of n candidates, and keep those that end. Returns how many next
 * beams there are. */
static size_t choose_beams(wte__search *s, beams *g, prompt_search *p, size_t which, size_t n,
                           wte_candidate *shown)
{
    const size_t first = which * g->group_size;
    group *gr = &p->groups[which];
    size_t n_chosen = 0;

    for (size_t rank = 0; rank < n && n_chosen < g->group_size; rank++) {
        const wte__candidate *c = &g->candidates[rank];
        const uint32_t *ids = p->ids[0] + (first + c->beam) * s->capacity;
        wte_finish why;

        if (!wte__ends(s, ids, p->n, c->id, &why)) {
            g->chosen[n_chosen] = *c;
            g->chosen[n_chosen++].rank = (uint32_t)rank;
        } else if (rank < g->group_size && c->total > -INFINITY &&
                   (!g->forced || wte__forced_complete(g->forced, ids, p->n))) {
            const beam last = next_beam(g, p, first, c);

            add_hypothesis(s, g, p, gr, first + c->beam, &last, why);
            if (shown)
                shown[rank].chosen = 2;
        }
    }
    return n_chosen;
}

static wte_candidate *show(wte__search *s, const beams *g, size_t first, const wte__candidate *c)
{
    const size_t b = first + c->beam;
    wte_candidate *shown = wte__trace_add(s, b, (uint32_t)b, c->id, g->logits[b], g->shifts[b]);

    shown->score = (double)c->total;
    return shown;
}

/* Mark what goes on. Forced words bring in candidates that were not among the best. */
static void show_chosen(wte__search *s, beams *g, size_t first, size_t n, wte_candidate *shown)
{
    for (size_t i = 0; i < n; i++) {
        const wte__candidate *c = &g->chosen[i];
        wte_candidate *one = c->rank == UINT32_MAX ? show(s, g, first, c) : &shown[c->rank];

        one->chosen = 1;
        one->next_beam = (uint32_t)(first + i);
    }
}

static bool can_go_on(const beam *next, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (next[i].sum > -INFINITY)
            return true;
    return false;
}

/* One step of one group. */
static wte_status step_group(wte__search *s, beams *g, prompt_search *p, size_t prompt,
                             size_t which, wte_error *err)
{
    const size_t first = which * g->group_size;
    group *gr = &p->groups[which];
    wte_candidate *shown = wte__tracing(s) ? s->trace.list + s->trace.n : NULL;
    size_t n, n_chosen;
    wte_status status = score_beams(s, g, p, prompt, first, err);

    if (status)
        return status;
    if (s->o->do_sample) {
        status = draw(s, g, p, &n, err);
        if (status)
            return status;
    } else {
        n = find_best(s, g, p, first);
    }
    for (size_t i = 0; i < n && shown; i++)
        show(s, g, first, &g->candidates[i]);
    n_chosen = choose_beams(s, g, p, which, n, shown);
    if (n_chosen == g->group_size && g->forced) {
        for (size_t i = 0; i < g->group_size; i++)
            g->sums[i] = p->beams[first + i].sum;
        wte__forced_choose(g->forced, p->ids[0] + first * s->capacity, s->capacity, p->n,
                           g->scores + first * s->n_vocab, s->n_vocab, g->sums, g->chosen);
    }
    if (shown)
        show_chosen(s, g, first, n_chosen, shown);
    for (size_t i = 0; i < n_chosen; i++)
        p->next[first + i] = next_beam(g, p, first, &g->chosen[i]);
    for (size_t i = n_chosen; i < g->group_size; i++) { /* too few: beams that cannot go on */
        p->next[first + i] = next_beam(g, p, first, &g->candidates[0]);
        p->next[first + i].sum = -INFINITY;
    }
    gr->done = !can_go_on(p->next + first, g->group_size) ||
               is_done(s, g, p, gr, (double)g->candidates[0].total, p->n + 1);
    return WTE_OK;
}

/* What a done group chooses. */
static void pad_group(const wte__search *s, beams *g, prompt_search *p, size_t which)
{
    const size_t first = which * g->group_size;
    const int64_t pad = s->o->pad_id >= 0 ? s->o->pad_id
                        : s->o->eos.n     ? (int64_t)s->o->eos.ids[0]
                                          : 0;

    for (size_t i = first; i < first + g->group_size; i++) {
        p->next[i] = (beam){.parent = (uint32_t)first, .id = (uint32_t)pad};
        p->next[i].sum = -INFINITY;
    }
}

/* Let the running beams be the next ones. */
static void advance(wte__search *s, beams *g, prompt_search *p, size_t prompt)
{
    const size_t n_new = p->n - p->n_prompt;
    uint32_t *const ids = p->ids[0];
    float *const token_scores = p->token_scores[0];
    beam *const running = p->beams;

    for (size_t b = 0; b < g->n_beams; b++) {
        const beam *next = &p->next[b];
        uint32_t *to = p->ids[1] + b * s->capacity;
        float *scores_to = p->token_scores[1] + b * s->capacity;

        memcpy(to, ids + next->parent * s->capacity, p->n * sizeof *to);
        memcpy(scores_to, token_scores + next->parent * s->capacity, n_new * sizeof *scores_to);
        to[p->n] = next->id;
        scores_to[n_new] = next->processed;
        g->from[prompt * s->per_prompt + b] = (uint32_t)(prompt * s->per_prompt + next->parent);
    }
    p->ids[0] = p->ids[1], p->ids[1] = ids;
    p->token_scores[0] = p->token_scores[1], p->token_scores[1] = token_scores;
    p->beams = p->next, p->next = running;
    p->n++;
}

/* One step of a prompt whose beams' logits are in rows `row`, `row` + stride... */
static wte_status step(wte__search *s, size_t prompt, size_t row, size_t stride, wte_error *err)
{
    beams *g = s->state;
    prompt_search *p = &g->prompts[prompt];
    bool all_done = true;

    for (size_t b = 0; b < g->n_beams; b++) {
        g->logits[b] = wte_session_logits(s->session, row + b * stride);
        g->shifts[b] = b && stride == 0 ? g->shifts[0] : wte__log_sum(g->logits[b], s->n_vocab);
    }
    g->n_chosen_ids = 0;
    for (size_t i = 0; i < g->n_groups; i++) {
        if (p->groups[i].done) {
            pad_group(s, g, p, i);
        } else {
            wte_status status = step_group(s, g, p, prompt, i, err);

            if (status)
                return status;
        }
        all_done = all_done && p->groups[i].done;
        for (size_t b = i * g->group_size; b < (i + 1) * g->group_size; b++)
            g->chosen_ids[g->n_chosen_ids++] = p->next[b].id;
    }
    advance(s, g, p, prompt);
    p->begun = true;
    p->done = all_done || p->n >= p->length;
    if (wte__tracing(s))
        wte__trace_end(s, p->n - p->n_prompt - 1, prompt);
    return WTE_OK;
}

/* ---- passes -------------------------------------------------------------------------------- */

static void end_prompt(wte__search *s, size_t prompt)
{
    for (size_t b = 0; b < s->per_prompt; b++) {
        const size_t sequence = prompt * s->per_prompt + b;

        ((beams *)s->state)->from[sequence] = (uint32_t)sequence;
        wte_session_truncate(s->session, (uint32_t)sequence, 0);
    }
}

static wte_status first_beams(wte__search *s, size_t prompt, size_t row, wte_error *err)
{
    beams *g = s->state;
    const uint32_t sequence = (uint32_t)(prompt * s->per_prompt);
    wte_status status = step(s, prompt, row, 0, err);

    if (status)
        return status;
    for (size_t b = 1; b < g->n_beams && !g->prompts[prompt].done; b++)
        wte_session_fork(s->session, sequence, sequence + (uint32_t)b);
    if (g->prompts[prompt].done)
        end_prompt(s, prompt);
    return WTE_OK;
}

static void fill_beams(wte__search *s)
{
    beams *g = s->state;

    wte_session_reorder(s->session, g->from, s->n_prompts * s->per_prompt);
    for (size_t i = 0; i < s->n_prompts; i++) {
        prompt_search *p = &g->prompts[i];

        if (p->done)
            continue;
        p->row = s->n_rows;
        for (size_t b = 0; b < g->n_beams; b++)
            wte__search_row(s, (uint32_t)(i * s->per_prompt + b),
                            p->ids[0][b * s->capacity + p->n - 1]);
    }
}

static wte_status next_beams(wte__search *s, wte_error *err)
{
    beams *g = s->state;

    for (size_t i = 0; i < s->n_prompts && !s->halted; i++) {
        prompt_search *p = &g->prompts[i];
        wte_status status;

        if (p->done) { /* as in transformers its beams draw on while others run */
            for (size_t j = 0; j < g->n_beams * s->n_vocab && s->o->do_sample; j++)
                wte_generator_u64(&s->generator);
            continue;
        }
        status = step(s, i, p->row, 1, err);
        if (status)
            return status;
        if (p->done)
            end_prompt(s, i);
    }
    return WTE_OK;
}

/* ---- results ------------------------------------------------------------------------------- */

/* Add what still runs. Of forced words only what has them all, unless that is not enough. */
static void add_running(wte__search *s, const beams *g, prompt_search *p)
{
    const wte_finish finish = p->n >= p->length ? p->finish_at_length : s->why;

    for (size_t i = 0; i < g->n_groups; i++) {
        const size_t first = i * g->group_size;
        group *gr = &p->groups[i];
        size_t n_complete = 0;

        if (gr->done && gr->n >= g->group_size)
            continue;
        for (size_t b = first; b < first + g->group_size; b++) {
            const bool complete =
                !g->forced || wte__forced_complete(g->forced, p->ids[0] + b * s->capacity, p->n);

            n_complete += complete;
            if (complete)
                add_hypothesis(s, g, p, gr, b, NULL, finish);
        }
        for (size_t b = first; b < first + g->group_size && g->forced && n_complete < s->n_return;
             b++)
            if (!wte__forced_complete(g->forced, p->ids[0] + b * s->capacity, p->n))
                add_hypothesis(s, g, p, gr, b, NULL, finish);
    }
}

static void result_beams(wte__search *s, size_t prompt, wte_generated *out)
{
    const beams *g = s->state;
    prompt_search *p = &g->prompts[prompt];
    size_t n = 0;

    add_running(s, g, p);
    for (size_t i = 0; i < g->n_groups; i++)
        for (size_t j = 0; j < p->groups[i].n; j++) { /* best first; of equals the later */
            hypothesis *h = p->groups[i].kept[j];
            size_t at = n++;

            for (; at > 0 && g->sorted[at - 1]->score <= h->score; at--)
                g->sorted[at] = g->sorted[at - 1];
            g->sorted[at] = h;
        }
    for (size_t i = 0; i < s->n_return; i++) {
        const hypothesis *h = g->sorted[i];

        out[i] = (wte_generated){.ids = h->ids,
                                 .n = h->n,
                                 .n_prompt = p->n_prompt,
                                 .score = h->score,
                                 .sum_log_prob = h->sum_log_prob,
                                 .token_scores = h->token_scores,
                                 .finish = h->finish};
    }
}

const wte__strategy wte__beams = {.begin = begin_beams,
                                  .end = end_beams,
                                  .first = first_beams,
                                  .fill = fill_beams,
                                  .next = next_beams,
                                  .result = result_beams};
