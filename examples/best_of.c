/* SPDX-License-Identifier: MIT */
/* best_of.c - a decoding strategy of one's own: draw 8 typical texts, keep the most probable
 *   cc best_of.c $(pkg-config --cflags --libs wte) -o best_of && ./best_of gpt2 464 4583 286 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wte/wte.h>

#define MUST(call) /* an example may leave freeing to the system when it fails */                  \
    if (call)                                                                                      \
    return fprintf(stderr, "best_of: %s\n", err.message), 1
enum { TEXTS = 8, NEW = 5, MOST = 64 };

int main(int argc, char **argv)
{
    wte_error err = {WTE_OK, 0, "usage: best_of MODEL ID..."};
    uint32_t ids[MOST] = {0}, best[MOST] = {0};
    double best_sum = -1e300;
    wte_generate_options options;
    wte_generator generator;
    wte_model *model = NULL;
    const wte_network *network = NULL;
    wte_session *session = NULL;
    wte_chain *chain = NULL;
    size_t n = 0;

    for (; (int)n + 2 < argc && n < MOST - NEW; n++)
        ids[n] = (uint32_t)strtoul(argv[n + 2], NULL, 10);
    MUST(n == 0 || wte_model_open(argv[1], NULL, &model, &err));
    MUST(wte_model_network(model, WTE_PRECISION_F32, &network, &err));
    MUST(wte_session_new(network, &(wte_session_options){.n_sequences = 2}, &session, &err));
    const size_t size = wte_network_get_info(network)->n_vocab;
    wte_generate_options_init(&options);
    options.do_sample = 1, options.typical_p = 0.9f;
    MUST(wte_chain_new(&options, size, 1, &chain, &err));
    wte_generator_seed(&generator, 7);
    float *own = calloc(2 * size, sizeof *own), *probs = own + size;
    MUST(!own || (n > 1 && wte_session_run(session, &(wte_batch){ids, .n = n - 1}, &err)));
    wte_session_fork(session, 0, 1); /* sequence 1 is the prompt; a fork shares, copying nothing */
    for (int text = 0; text < TEXTS; text++, wte_session_fork(session, 1, 0)) {
        double sum = 0;
        for (size_t i = n; i < n + NEW; i++) {
            wte_batch last = {.ids = ids + i - 1, .n = 1, .logits = WTE_LOGITS_LAST};
            MUST(wte_session_run(session, &last, &err));
            wte_log_softmax(wte_session_logits(session, 0), size, own);
            memcpy(probs, own, size * sizeof *probs);
            MUST(wte_chain_apply(chain, ids, i, n, 0, 0, wte_chain_length(chain), probs, &err));
            wte_softmax(probs, size, probs);
            MUST(wte_generator_multinomial(&generator, probs, size, 1, 0, &ids[i], &err));
            sum += (double)own[ids[i]];
        }
        if (sum > best_sum)
            best_sum = sum, memcpy(best, ids, sizeof best);
    }
    for (size_t i = 0; i < n + NEW; i++)
        printf("%u ", best[i]);
    printf(" %.3f\n", best_sum);
    return free(own), wte_chain_free(chain), wte_session_free(session), wte_model_free(model), 0;
}
