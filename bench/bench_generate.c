/* SPDX-License-Identifier: MIT */
/* bench_generate.c - time wte_generate() in one process
 *
 *   bench_generate MODEL f32|bf16|int8 THREADS NEW CASE...
 *
 * Prints a JSON object a line for each case: seconds of wte_generate(), prompt included, its tokens
 * and its ids. The model, the network and the session are open before the clock starts, and one
 * short generation has run. A case is timed once; who wants more gives it again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wte/wte.h>

enum { PROMPT = 16, BATCH = 8 };

static uint32_t ids[BATCH][PROMPT];
static wte_ids prompts[BATCH];
static const uint32_t banned[] = {11, 13, 198};
static const wte_ids bad[] = {{banned, 1}, {banned, 2}, {banned, 3}};
static const wte_sequence_bias bias[] = {{{banned, 1}, -1.0f}, {{banned, 2}, 2.0f}};
static const uint32_t eos = 50256;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Everything that changes scores. */
static void switch_all_on(wte_generate_options *o)
{
    o->repetition_penalty = 1.1f;
    o->no_repeat_ngram_size = 4;
    o->bad_words = bad;
    o->n_bad_words = sizeof bad / sizeof *bad;
    o->sequence_bias = bias;
    o->n_sequence_bias = sizeof bias / sizeof *bias;
    o->suppress = (wte_ids){banned, 1};
    o->begin_suppress = (wte_ids){banned + 1, 1};
    o->eos = (wte_ids){&eos, 1};
    o->min_new_tokens = o->max_new_tokens;
    o->decay_start = 4;
    o->decay_factor = 1.01f;
    o->renormalize_logits = 1;
    o->dry_multiplier = 0.8f;
    o->temperature = 0.9f;
    o->top_n_sigma = 3;
    o->top_k = 200;
    o->top_p = 0.95f;
    o->min_p = 0.001f;
    o->typical_p = 0.95f;
    o->epsilon_cutoff = 1e-5f;
    o->eta_cutoff = 1e-4f;
    o->xtc_probability = 0.1f;
    o->mirostat_tau = 5;
}

static int options_of(const char *name, size_t n_new, wte_generate_options *o, size_t *n)
{
    wte_generate_options_init(o);
    o->max_new_tokens = n_new;
    *n = 1;
    if (strcmp(name, "beam4") == 0)
        o->num_beams = 4;
    else if (strcmp(name, "batch8") == 0)
        *n = BATCH;
    else if (strcmp(name, "sample") == 0)
        o->do_sample = 1, o->top_k = 0;
    else if (strcmp(name, "all-on") == 0)
        o->do_sample = 1, switch_all_on(o);
    else if (strcmp(name, "greedy") != 0)
        return 0;
    return 1;
}

static int run(const wte_network *network, const char *name, size_t n_new, unsigned threads)
{
    wte_session_options session_options = WTE_SESSION_DEFAULTS;
    wte_generate_options options, warm;
    wte_generation result = {NULL, 0, 0, 0};
    wte_session *session = NULL;
    wte_error err;
    size_t n = 0, n_tokens = 0;
    double start, seconds;

    if (!options_of(name, n_new, &options, &n)) {
        fprintf(stderr, "bench_generate: there is no case '%s'\n", name);
        return 2;
    }
    session_options.n_sequences = wte_generate_sequences(&options, n);
    session_options.n_threads = threads;
    warm = options;
    warm.max_new_tokens = 2;
    warm.min_new_tokens = 0;
    if (wte_session_new(network, &session_options, &session, &err) ||
        wte_generate(session, prompts, n, &warm, &result, &err))
        goto failed;
    wte_generation_free(&result);
    start = now();
    if (wte_generate(session, prompts, n, &options, &result, &err))
        goto failed;
    seconds = now() - start;
    for (size_t i = 0; i < result.n; i++)
        n_tokens += result.sequences[i].n - result.sequences[i].n_prompt;
    printf("{\"case\": \"%s\", \"seconds\": %.6f, \"tokens\": %zu, \"ids\": [", name, seconds,
           n_tokens);
    for (size_t i = 0; i < result.n; i++) {
        const wte_generated *g = &result.sequences[i];

        printf("%s[", i ? ", " : "");
        for (size_t j = g->n_prompt; j < g->n; j++)
            printf("%s%u", j > g->n_prompt ? ", " : "", g->ids[j]);
        printf("]");
    }
    puts("]}");
    fflush(stdout);
    wte_generation_free(&result);
    wte_session_free(session);
    return 0;
failed:
    fprintf(stderr, "bench_generate: %s: %s\n", name, err.message);
    wte_session_free(session);
    return 1;
}

int main(int argc, char **argv)
{
    wte_model *model = NULL;
    const wte_network *network = NULL;
    wte_precision precision = WTE_PRECISION_F32;
    wte_error err;
    int status = 0;

    if (argc < 6) {
        fprintf(stderr, "usage: bench_generate MODEL f32|bf16|int8 THREADS NEW CASE...\n");
        return 2;
    }
    precision = strcmp(argv[2], "int8") == 0   ? WTE_PRECISION_INT8
                : strcmp(argv[2], "bf16") == 0 ? WTE_PRECISION_BF16
                                               : WTE_PRECISION_F32;
    for (uint32_t i = 0; i < BATCH; i++) {
        for (uint32_t j = 0; j < PROMPT; j++) /* the same in torch_peer.py */
            ids[i][j] = (464 + 7919 * i + 104729 * j) % 50256;
        prompts[i] = (wte_ids){ids[i], PROMPT};
    }
    if (wte_model_open(argv[1], NULL, &model, &err) ||
        wte_model_network(model, precision, &network, &err)) {
        fprintf(stderr, "bench_generate: %s\n", err.message);
        wte_model_free(model);
        return 1;
    }
    for (int i = 5; i < argc && status == 0; i++)
        status = run(network, argv[i], (size_t)atoi(argv[4]), (unsigned)atoi(argv[3]));
    wte_model_free(model);
    return status;
}
