/* SPDX-License-Identifier: MIT */
/* bench_chain.c - microseconds that choosing a token costs beside the network
 *
 * bench_chain [N_VOCAB]: all processors and all warpers at once on a text of 512 tokens, with a
 * top-k of 50 and without one, then each member alone; each with the draw behind it, on scores of
 * three shapes: a bell like an untrained network's, a peak like a trained one's, and flat. For each
 * the least of 200 rounds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "generate/generate_internal.h"

enum { ROUNDS = 200, N_TEXT = 512 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* Scores of a shape: 0 a bell of deviation 1, 1 a steep bell of deviation 6, 2 nearly flat. */
static void make(wte_generator *g, int shape, float *scores, size_t n)
{
    wte_generator_normal(g, scores, n, 0, shape == 0 ? 1.0f : shape == 1 ? 6.0f : 1e-3f);
}

static void allow_all(void *data, size_t sequence, const uint32_t *ids, size_t n, uint8_t *allowed)
{
    (void)sequence;
    (void)ids;
    (void)n;
    memset(allowed, 1, *(const size_t *)data);
}

static int failed(const wte_error *err)
{
    fprintf(stderr, "bench_chain: %s\n", err->message);
    return 1;
}

/* Print the times of members first..end for the three shapes. */
static int measure(const wte_generate_options *o, const char *name, const uint32_t *text, size_t n)
{
    float *start = malloc(n * sizeof *start), *scores = malloc(n * sizeof *scores);
    wte_chain *chain = NULL;
    wte_generator g;
    wte_error err = {0};
    int status = 0;

    if (!start || !scores)
        return 1;
    if (wte_chain_new(o, n, 1, &chain, &err))
        return failed(&err);
    wte_generator_seed(&g, 1);
    printf("%-26s", name);
    for (int shape = 0; shape < 3 && !status; shape++) {
        double least_chain = INFINITY, least_draw = INFINITY;

        make(&g, shape, start, n);
        for (int i = 0; i < ROUNDS && !status; i++) {
            uint32_t id;
            double t0, t1, t2;

            memcpy(scores, start, n * sizeof *scores);
            t0 = now();
            if (wte_chain_apply(chain, text, N_TEXT, 10, 0, 0, wte_chain_length(chain), scores,
                                &err))
                status = failed(&err);
            t1 = now();
            if (!status && wte__draw(&g, scores, n, scores, &id, &err))
                status = failed(&err);
            t2 = now();
            least_chain = fmin(least_chain, t1 - t0);
            least_draw = fmin(least_draw, t2 - t1);
        }
        printf("  %7.1f + %5.1f", least_chain, least_draw);
    }
    printf("\n");
    wte_chain_free(chain);
    free(start);
    free(scores);
    return status;
}

int main(int argc, char **argv)
{
    static uint32_t text[N_TEXT];
    static const uint32_t eos[] = {0}, word[] = {5, 6, 7};
    static const wte_ids bad[] = {{word, 3}, {word + 1, 1}};
    static const wte_sequence_bias bias[] = {{{word, 2}, 1.0f}, {{word + 2, 1}, -1.0f}};
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 50257;
    wte_generate_options all, none, o;
    wte_generator g;

    if (n < 100 || n > 10000000) {
        fprintf(stderr, "bench_chain: %zu tokens, expected 100 to 10000000\n", n);
        return 2;
    }
    wte_generator_seed(&g, 7);
    for (size_t i = 0; i < N_TEXT; i++)
        text[i] = 10 + wte_generator_u32(&g) % 90;
    wte_generate_options_init(&none);
    none.do_sample = 1;
    none.top_k = 0;
    all = none;
    all.eos = all.suppress = all.begin_suppress = all.forced_eos = (wte_ids){eos, 1};
    all.max_new_tokens = all.min_new_tokens = all.min_length = 1000;
    all.bad_words = bad;
    all.n_bad_words = 2;
    all.sequence_bias = bias;
    all.n_sequence_bias = 2;
    all.repetition_penalty = 1.1f;
    all.no_repeat_ngram_size = 3;
    all.decay_start = 10;
    all.decay_factor = 1.001f;
    all.renormalize_logits = 1;
    all.remove_invalid_values = 1;
    all.prefix_allowed = allow_all;
    all.prefix_allowed_data = &n;
    all.temperature = 0.9f;
    all.top_k = 50;
    all.top_p = 0.95f;
    all.min_p = 1e-3f;
    all.typical_p = 0.95f;
    all.epsilon_cutoff = all.eta_cutoff = 1e-6f;
    all.dry_multiplier = 0.8f;
    all.top_n_sigma = 3;
    all.xtc_probability = 0.5f;
    all.mirostat_tau = 12;

    printf("%zu tokens; microseconds of the chain + of softmax and draw\n%-26s", n, "");
    printf("  %15s  %15s  %15s\n", "bell", "peak", "flat");
    if (measure(&all, "all, top-k 50", text, n))
        return 1;
    all.top_k = 0;
    if (measure(&all, "all, no top-k", text, n) || measure(&none, "none", text, n))
        return 1;
#define ALONE(member, field)                                                                       \
    o = none;                                                                                      \
    o.field = all.field;                                                                           \
    if (measure(&o, member, text, n))                                                              \
        return 1;
    ALONE("repetition penalty", repetition_penalty)
    ALONE("no repeated n-gram", no_repeat_ngram_size)
    ALONE("DRY", dry_multiplier)
    ALONE("renormalise (twice)", renormalize_logits)
    ALONE("temperature", temperature)
    ALONE("top-n-sigma", top_n_sigma)
    all.top_k = 50;
    ALONE("top-k", top_k)
    ALONE("top-p", top_p)
    ALONE("min-p", min_p)
    ALONE("typical-p", typical_p)
    ALONE("epsilon", epsilon_cutoff)
    ALONE("eta", eta_cutoff)
    ALONE("mirostat", mirostat_tau)
#undef ALONE
    return 0;
}
