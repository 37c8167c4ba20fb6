/* SPDX-License-Identifier: MIT */
/* distribution.c - next --distribution: what the chain makes of the network's scores
 *
 * The chain is applied one member at a time. After each: how many tokens are left, how much of the
 * network's own distribution these tokens have together, and of the distribution as it is now the
 * entropy and the most probable token. So a temperature leaves all the mass and changes the
 * entropy, a top-p leaves the mass that it was told to. */
#include "sampling.h"

#include <math.h>
#include <stdlib.h>

struct stage {
    const char *name;
    size_t left;
    double mass, entropy; /* bits */
    uint32_t top;
    float top_prob;
};

struct shown {
    const struct prompt *p;
    const float *logits, *probs; /* [n_vocab] the network's; the end of the chain */
    const uint32_t *ids;         /* [n] the tokens left, best first */
    size_t n, k;
    const struct stage *stages; /* [n_stages], the network itself first */
    size_t n_stages;
};

static struct stage measure(const char *name, const float *scores, const float *network, size_t n,
                            float *probs)
{
    struct stage s = {name, 0, 0, 0, 0, 0};

    wte_softmax(scores, n, probs);
    for (size_t i = 0; i < n; i++) {
        if (!(scores[i] > -INFINITY))
            continue;
        s.left++;
        s.mass += (double)network[i];
        if (probs[i] > 0)
            s.entropy -= (double)probs[i] * log2((double)probs[i]);
        if (probs[i] > s.top_prob) {
            s.top_prob = probs[i];
            s.top = (uint32_t)i;
        }
    }
    return s;
}

static void json_stage(struct out *o, const struct prompt *p, const struct stage *s)
{
    json_open(o, '{');
    json_key(o, "name");
    json_text(o, s->name);
    json_key(o, "tokens");
    json_count(o, s->left);
    json_key(o, "mass");
    json_float(o, (float)s->mass);
    json_key(o, "entropy");
    json_float(o, (float)s->entropy);
    json_key(o, "top");
    json_open(o, '{');
    json_token(o, p, s->top);
    json_key(o, "prob");
    json_float(o, s->top_prob);
    json_close(o, '}');
    json_close(o, '}');
}

static void write_json(struct out *o, const struct shown *a)
{
    json_open(o, '{');
    json_ids(o, a->p);
    json_key(o, "stages");
    json_open(o, '[');
    for (size_t i = 0; i < a->n_stages; i++)
        json_stage(o, a->p, &a->stages[i]);
    json_close(o, ']');
    json_key(o, "next");
    json_open(o, '[');
    for (size_t i = 0; i < a->n; i++) {
        json_open(o, '{');
        json_token(o, a->p, a->ids[i]);
        json_key(o, "logit");
        json_float(o, a->logits[a->ids[i]]);
        json_key(o, "prob");
        json_float(o, a->probs[a->ids[i]]);
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct shown *a)
{
    out_text(o, "id\ttoken\tlogit\tprob\n");
    for (size_t i = 0; i < a->n; i++) {
        struct token token;

        token_text(a->p, a->ids[i], &token);
        out_format(o, "%u\t", a->ids[i]);
        out_tsv(o, token.text, token.len);
        out_text(o, "\t");
        out_float(o, a->logits[a->ids[i]]);
        out_text(o, "\t");
        out_float(o, a->probs[a->ids[i]]);
        out_text(o, "\n");
    }
}

static void write_stages(struct out *o, const struct shown *a)
{
    struct table table;
    char buffer[32];

    table_begin(&table, "lrrrlr", true);
    table_cell(&table, "after");
    table_cell(&table, "tokens left");
    table_cell(&table, "mass left");
    table_cell(&table, "entropy");
    table_cell(&table, "top token");
    table_cell(&table, "prob");
    for (size_t i = 0; i < a->n_stages; i++) {
        const struct stage *s = &a->stages[i];
        struct out label = {0};

        out_label(&label, a->p, s->top, 20);
        table_cell(&table, "%s", s->name);
        table_cell(&table, "%s", show_count(s->left, buffer));
        table_cell(&table, "%s", show_prob(s->mass, buffer));
        table_cell(&table, "%.2f bits", s->entropy);
        table_cell(&table, "%s", label.n ? label.data : "");
        table_cell(&table, "%s", show_prob((double)s->top_prob, buffer));
        out_free(&label);
    }
    table_end(&table, o);
}

static void write_people(struct out *o, const struct shown *a)
{
    struct table table;
    char buffer[32];
    double all = 0;

    out_style(o, DIM);
    out_format(o, "what the chain does to the next token's distribution  in %s\n", a->p->model);
    out_style(o, PLAIN);
    write_stages(o, a);
    out_text(o, "\n");
    table_begin(&table, "rlrrr", true);
    table_cell(&table, "%s", "");
    table_cell(&table, "token");
    table_cell(&table, "id");
    table_cell(&table, "logit");
    table_cell(&table, "prob");
    for (size_t i = 0; i < a->n && i < a->k; i++) {
        const uint32_t id = a->ids[i];

        table_cell(&table, "%zu", i + 1);
        table_token(&table, a->p, id);
        table_cell(&table, "%u", id);
        table_cell(&table, "%.4f", (double)a->logits[id]);
        table_cell(&table, "%s", show_prob((double)a->probs[id], buffer));
        all += (double)a->probs[id];
    }
    table_end(&table, o);
    out_style(o, DIM);
    out_format(o, "together %.1f %%; mass left: what the network itself gives the tokens left\n",
               100 * all);
    out_style(o, PLAIN);
}

static void write_shown(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct shown *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* Apply the chain, measuring after each member. Returns an exit status. */
static int apply(const struct prompt *p, wte_chain *chain, const float *network, float *scores,
                 float *probs, struct stage *stages)
{
    const size_t n = p->info->n_vocab;
    wte_error err = {0};

    stages[0] = measure("network", scores, network, n, probs);
    for (size_t i = 0; i < wte_chain_length(chain); i++) {
        if (wte_chain_apply(chain, p->ids, p->n, p->n, 0, i, i + 1, scores, &err) != WTE_OK)
            return fail_with(&err);
        stages[i + 1] = measure(wte_chain_name(chain, i), scores, network, n, probs);
    }
    return 0;
}

int show_distribution(const struct prompt *p, const float *logits, size_t k)
{
    const size_t n = p->info->n_vocab;
    float *scores = NULL, *network, *probs;
    struct stage *stages = NULL;
    uint32_t *ids = NULL;
    wte_chain *chain = NULL;
    wte_error err = {0};
    int status = 0;

    if (wte_chain_new(&sampling, n, 1, &chain, &err) != WTE_OK)
        return fail_with(&err);
    if (cli.verbose)
        tell_chain(chain);
    scores = need_memory(n, 3 * sizeof *scores);
    network = scores + n;
    probs = network + n;
    ids = need_memory(n, sizeof *ids);
    stages = need_memory(wte_chain_length(chain) + 1, sizeof *stages);
    for (size_t i = 0; i < n; i++)
        scores[i] = logits[i];
    wte_softmax(scores, n, network);
    status = apply(p, chain, network, scores, probs, stages);
    if (status == 0) {
        size_t left = stages[wte_chain_length(chain)].left;
        struct shown shown = {p, logits, probs, ids, left, k, stages, wte_chain_length(chain) + 1};

        wte_best(scores, n, left, ids);
        sink_open();
        sink_put(write_shown, &shown);
        sink_numbers(probs, n);
        status = sink_close(&n, 1);
    }
    wte_chain_free(chain);
    free(scores);
    free(stages);
    free(ids);
    return status;
}
