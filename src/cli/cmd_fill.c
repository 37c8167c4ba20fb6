/* SPDX-License-Identifier: MIT */
/* cmd_fill.c - what a BERT puts in the place of [MASK]
 *
 * The head of the masked language model is applied to the rows of the masks only. Several masks are
 * predicted each on its own, while the others stay masks. */
#include "prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t k = 5;

static const struct option options[] = {
    {'k', NULL, OPT_COUNT, &k, "N", "how many tokens for each mask (5)", NULL}, OPTIONS_END};

static const struct example examples[] = {
    {"wte fill -m bert 'the [MASK] is'", "five words for the mask"},
    {"wte fill -m bert -k 2 --json '[MASK] of [MASK]'", "each mask on its own, for a program"},
    {NULL, NULL}};

const struct page page_fill = {
    .usage = {"[OPTION]... TEXT", "[OPTION]... --ids ID,...", "[OPTION]... -"},
    .about =
        "Runs a BERT over a text with [MASK] in it and prints, for each of them, the tokens that "
        "its masked language model holds most probable there, with the sentence filled in. "
        "Probabilities are the softmax over all tokens. Several masks are predicted each on its "
        "own. A position counts tokens from 0, [CLS] included.",
    .options = options,
    .writes = ".json .tsv",
    .examples = examples,
    .json = "{\"ids\":[101,...],\"masks\":[{\"position\":4,\"tokens\":[{\"id\":3000,\"token\":"
            "\"paris\",\n"
            " \"prob\":0.9,\"logit\":15.2,\"text\":\"paris is ...\"},...]}]}"};

struct mask {
    size_t position;
    struct scored *best; /* [n] */
    float *log_probs;    /* [n] of the best */
    size_t n;
};

struct masks {
    const struct prompt *prompt;
    struct mask *items; /* [n] */
    size_t n;
};

static double prob(const struct mask *mask, size_t i)
{
    return exp((double)mask->log_probs[i]);
}

/* The text with a token in the place of a mask, without [CLS] and [SEP] at its ends; NULL without a
 * tokenizer. Free with wte_text_free(). */
static char *filled(const struct prompt *p, const struct mask *mask, uint32_t id, size_t *len)
{
    const wte_tokenizer_info *info;
    const uint32_t kept = p->ids[mask->position];
    size_t first = 0, n = p->n;
    char *text = NULL;

    *len = 0;
    if (!p->tokenizer)
        return NULL;
    info = wte_tokenizer_get_info(p->tokenizer);
    if (n && info->cls == (int64_t)p->ids[0])
        first++;
    if (n > first && info->sep == (int64_t)p->ids[n - 1])
        n--;
    p->ids[mask->position] = id;
    wte_decode(p->tokenizer, p->ids + first, n - first, WTE_DECODE_CLEAN_UP, &text, len, NULL);
    p->ids[mask->position] = kept;
    return text;
}

static void write_json(struct out *o, const struct masks *m)
{
    json_open(o, '{');
    json_ids(o, m->prompt);
    json_key(o, "masks");
    json_open(o, '[');
    for (size_t i = 0; i < m->n; i++) {
        const struct mask *mask = &m->items[i];

        json_open(o, '{');
        json_key(o, "position");
        json_count(o, mask->position);
        json_key(o, "tokens");
        json_open(o, '[');
        for (size_t j = 0; j < mask->n; j++) {
            size_t len;
            char *text = filled(m->prompt, mask, mask->best[j].id, &len);

            json_open(o, '{');
            json_token(o, m->prompt, mask->best[j].id);
            json_key(o, "prob");
            json_float(o, (float)prob(mask, j));
            json_key(o, "logit");
            json_float(o, mask->best[j].logit);
            if (text) {
                json_key(o, "text");
                json_bytes(o, text, len);
            }
            json_close(o, '}');
            wte_text_free(text);
        }
        json_close(o, ']');
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct masks *m)
{
    out_text(o, "position\tid\ttoken\tlogit\tprob\ttext\n");
    for (size_t i = 0; i < m->n; i++)
        for (size_t j = 0; j < m->items[i].n; j++) {
            const struct scored *s = &m->items[i].best[j];
            struct token token;
            size_t len;
            char *text = filled(m->prompt, &m->items[i], s->id, &len);

            token_text(m->prompt, s->id, &token);
            out_format(o, "%zu\t%u\t", m->items[i].position, s->id);
            out_tsv(o, token.text, token.len);
            out_text(o, "\t");
            out_float(o, s->logit);
            out_text(o, "\t");
            out_float(o, (float)prob(&m->items[i], j));
            out_text(o, "\t");
            if (text)
                out_tsv(o, text, len);
            out_text(o, "\n");
            wte_text_free(text);
        }
}

static void write_people(struct out *o, const struct masks *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct mask *mask = &m->items[i];
        struct table table;
        char percent[16];

        out_style(o, DIM);
        if (m->n > 1)
            out_format(o, "%smask %zu of %zu, at token %zu  in %s\n", i ? "\n" : "", i + 1, m->n,
                       mask->position, m->prompt->model);
        else
            out_format(o, "the mask at token %zu  in %s\n", mask->position, m->prompt->model);
        out_style(o, PLAIN);
        table_begin(&table, "rlrl", true);
        table_cell(&table, "%s", "");
        table_cell(&table, "token");
        table_cell(&table, "prob");
        table_cell(&table, "%s", m->prompt->tokenizer ? "the text with it" : "");
        for (size_t j = 0; j < mask->n; j++) {
            size_t len;
            char *text = filled(m->prompt, mask, mask->best[j].id, &len);

            table_cell(&table, "%zu", j + 1);
            table_token(&table, m->prompt, mask->best[j].id);
            table_cell(&table, "%s", show_prob(prob(mask, j), percent));
            table_word(&table, text ? text : "", len);
            wte_text_free(text);
        }
        table_end(&table, o);
    }
}

static void write_masks(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct masks *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* Where the masks are; without a tokenizer nobody knows which id is [MASK] but BERT's makers. */
static int find_masks(struct prompt *p, struct masks *m)
{
    enum { MASK_OF_BERT = 103 };
    const int64_t id =
        p->tokenizer ? wte_tokenizer_get_info(p->tokenizer)->mask : (int64_t)MASK_OF_BERT;
    size_t capacity = 0;

    if (id < 0)
        return fail("the tokenizer of %s has no [MASK]", p->model);
    m->prompt = p;
    for (size_t i = 0; i < p->n; i++)
        if ((int64_t)p->ids[i] == id) {
            m->items = need_more(m->items, &capacity, m->n + 1, sizeof *m->items);
            m->items[m->n++] = (struct mask){.position = i};
        }
    return m->n ? 0 : fail("there is no [MASK] (id %lld) in the prompt", (long long)id);
}

static int predict(const struct prompt *p, wte_session *session, struct masks *m)
{
    const size_t n_vocab = p->info->n_vocab, n = k < n_vocab ? k : n_vocab;
    float *logits = need_memory(n_vocab, sizeof *logits);
    wte_error err = {0};
    int status = 0;

    for (size_t i = 0; i < m->n && status == 0; i++) {
        struct mask *mask = &m->items[i];

        if (wte_session_unembed(session, wte_session_hidden(session, mask->position), 1, 1, logits,
                                &err) != WTE_OK) {
            status = fail_with(&err);
            break;
        }
        mask->best = need_memory(n, sizeof *mask->best);
        mask->log_probs = need_memory(n, sizeof *mask->log_probs);
        mask->n = top_logits(logits, n_vocab, n, mask->best);
        wte_log_softmax(logits, n_vocab, logits);
        for (size_t j = 0; j < mask->n; j++)
            mask->log_probs[j] = logits[mask->best[j].id];
    }
    free(logits);
    return status;
}

int cmd_fill(void)
{
    struct prompt p;
    struct masks m = {0};
    wte_session *session = NULL;
    int status = open_prompt(&p, WANTS_LOGITS | WANTS_BERT);

    if (status == 0)
        status = find_masks(&p, &m);
    if (status == 0)
        status = open_session(p.network, p.n, 1, &session);
    if (status == 0)
        status = run_prompt(&p, session, WTE_LOGITS_NONE, NULL, NULL);
    if (status == 0)
        status = predict(&p, session, &m);
    if (status == 0) {
        sink_open();
        sink_put(write_masks, &m);
        status = sink_close(NULL, 0);
    }
    for (size_t i = 0; i < m.n; i++) {
        free(m.items[i].best);
        free(m.items[i].log_probs);
    }
    free(m.items);
    close_session(session);
    close_prompt(&p);
    return status;
}
