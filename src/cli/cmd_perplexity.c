/* SPDX-License-Identifier: MIT */
/* cmd_perplexity.c - how well a GPT-2 predicts a text
 *
 * Each token behind the first is given the probability that the network has for it after those
 * before it; the mean of -log of these is nll, in nats, and perplexity is exp(nll).
 *
 * A text longer than the context is read in windows, by Hugging Face's recipe ("Perplexity of
 * fixed-length models"): each window has n_ctx tokens and begins --stride tokens behind the one
 * before, and of each only the tokens that no window had before are counted, so that each is
 * counted once. Windows that do not overlap (stride n_ctx) give their first token no probability.
 * The recipe takes the mean of the windows' means in its older form; here every token has the same
 * weight.
 *
 * Logits are computed for the counted tokens only, BLOCK rows at a time: the memory is that of one
 * block, whatever the length of the text. With --compare-dtypes three networks read each block side
 * by side, and float32's log-probabilities of the block are kept to compare the others with. Time
 * is that of the networks alone. */
#include "prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 128 };

static bool per_token, compare;
static size_t stride;

static const struct option options[] = {
    {0, "stride", OPT_COUNT, &stride, "N",
     "read a text of any length in windows of the whole context that move by N tokens; a smaller N "
     "gives tokens more context and takes longer",
     NULL},
    {0, "per-token", OPT_FLAG, &per_token, NULL, "also the log-probability of each token", NULL},
    {0, "compare-dtypes", OPT_FLAG, &compare, NULL,
     "f32, bf16 and int8 side by side: perplexity, KL(f32 || type), equal best tokens, seconds",
     NULL},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte perplexity -m gpt2 'the theory of theories'", "of a text"},
    {"wte perplexity -m gpt2 --per-token 'the theory of'", "token by token"},
    {"wte perplexity -m gpt2 --stride 4 --file words.txt", "of a file of any length"},
    {"wte perplexity -m gpt2 --compare-dtypes --stride 4 --file words.txt",
     "what bf16 and int8 cost"},
    {NULL, NULL}};

const struct page page_perplexity = {
    .usage = {"[OPTION]... TEXT", "[OPTION]... --ids ID,...", "[OPTION]... --file FILE",
              "[OPTION]... -"},
    .about =
        "Prints how well a GPT-2 predicts a text: nll, the mean of -log p over its tokens in nats, "
        "and perplexity, exp(nll). The first token has nothing before it and is not counted; "
        "\\\"tokens\\\" says how many are.\n\n"
        "Text longer than the context needs --stride: windows of the whole context, each N tokens "
        "further, of which only the new tokens are counted. Every token is then counted once, with "
        "at least n_ctx - N tokens before it.",
    .options = options,
    .writes = ".npy .json .tsv",
    .examples = examples,
    .json = "{\"tokens\":4,\"nll\":3.2,\"perplexity\":24.5,\"dtype\":\"f32\",\"prompt_tokens\":5,\n"
            " \"nll_sum\":12.8,\"stride\":1024,\"log_probs\":[-3.1,...],\n"
            " \"dtypes\":[{\"dtype\":\"bf16\",\"nll\":...,\"perplexity\":...,\"kl_mean\":...,\n"
            " \"kl_max\":...,\"same_top\":0.99,\"seconds\":...},...]}"};

/* One network that reads. */
struct reader {
    wte_precision precision;
    const wte_network *network;
    wte_session *session;
    double nll, kl, kl_max, seconds;
    size_t same_top;
};

struct score {
    const struct prompt *prompt;
    struct reader readers[3];
    size_t n_readers;
    size_t window, step;
    size_t tokens;       /* counted */
    uint32_t *positions; /* [tokens] of them */
    float *log_probs;    /* [tokens] by the first reader */
    float *block;        /* [BLOCK, n_vocab] log-probabilities of the first reader */
    uint32_t top[BLOCK]; /* and its best tokens */
    float *row;          /* [n_vocab] */
};

/* ---- printing --------------------------------------------------------------------------- */

static double nll(const struct score *s, size_t i)
{
    return s->readers[i].nll / (double)s->tokens;
}

static void write_json(struct out *o, const struct score *s)
{
    json_open(o, '{');
    json_key(o, "tokens");
    json_count(o, s->tokens);
    json_key(o, "nll");
    json_double(o, nll(s, 0));
    json_key(o, "perplexity");
    json_double(o, exp(nll(s, 0)));
    json_key(o, "dtype");
    json_text(o, precision_name(s->readers[0].precision));
    json_key(o, "prompt_tokens");
    json_count(o, s->prompt->n);
    json_key(o, "nll_sum");
    json_double(o, s->readers[0].nll);
    json_key(o, "stride");
    json_count(o, s->step);
    if (per_token) {
        json_key(o, "log_probs");
        json_floats(o, s->log_probs, s->tokens);
        json_key(o, "positions");
        json_open(o, '[');
        for (size_t i = 0; i < s->tokens; i++)
            json_count(o, s->positions[i]);
        json_close(o, ']');
    }
    if (compare) {
        json_key(o, "dtypes");
        json_open(o, '[');
        for (size_t i = 0; i < s->n_readers; i++) {
            const struct reader *r = &s->readers[i];

            json_open(o, '{');
            json_key(o, "dtype");
            json_text(o, precision_name(r->precision));
            json_key(o, "nll");
            json_double(o, nll(s, i));
            json_key(o, "perplexity");
            json_double(o, exp(nll(s, i)));
            json_key(o, "kl_mean");
            json_double(o, r->kl / (double)s->tokens);
            json_key(o, "kl_max");
            json_double(o, r->kl_max);
            json_key(o, "same_top");
            json_double(o, (double)r->same_top / (double)s->tokens);
            json_key(o, "seconds");
            json_double(o, r->seconds);
            json_close(o, '}');
        }
        json_close(o, ']');
    }
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct score *s)
{
    if (per_token) {
        out_text(o, "position\tid\ttoken\tlog_prob\n");
        for (size_t i = 0; i < s->tokens; i++) {
            const uint32_t id = s->prompt->ids[s->positions[i]];
            struct token token;

            token_text(s->prompt, id, &token);
            out_format(o, "%u\t%u\t", s->positions[i], id);
            out_tsv(o, token.text, token.len);
            out_text(o, "\t");
            out_float(o, s->log_probs[i]);
            out_text(o, "\n");
        }
        return;
    }
    out_text(o, "dtype\ttokens\tnll\tperplexity\tkl_mean\tkl_max\tsame_top\tseconds\n");
    for (size_t i = 0; i < s->n_readers; i++) {
        const struct reader *r = &s->readers[i];
        const double numbers[] = {nll(s, i),
                                  exp(nll(s, i)),
                                  r->kl / (double)s->tokens,
                                  r->kl_max,
                                  (double)r->same_top / (double)s->tokens,
                                  r->seconds};

        out_format(o, "%s\t%zu", precision_name(r->precision), s->tokens);
        for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++) {
            out_text(o, "\t");
            out_double(o, numbers[j]);
        }
        out_text(o, "\n");
    }
}

static void write_tokens(struct out *o, const struct score *s)
{
    struct table table;
    char percent[16];

    table_begin(&table, "rlrr", true);
    table_cell(&table, "%s", "");
    table_cell(&table, "token");
    table_cell(&table, "log p");
    table_cell(&table, "p");
    for (size_t i = 0; i < s->tokens; i++) {
        table_cell(&table, "%u", s->positions[i]);
        table_token(&table, s->prompt, s->prompt->ids[s->positions[i]]);
        table_cell(&table, "%.4f", (double)s->log_probs[i]);
        table_cell(&table, "%s", show_prob(exp((double)s->log_probs[i]), percent));
    }
    table_end(&table, o);
}

static void write_dtypes(struct out *o, const struct score *s)
{
    struct table table;

    table_begin(&table, "lrrrrr", true);
    table_cell(&table, "type");
    table_cell(&table, "perplexity");
    table_cell(&table, "KL, mean");
    table_cell(&table, "KL, largest");
    table_cell(&table, "same best");
    table_cell(&table, "seconds");
    for (size_t i = 0; i < s->n_readers; i++) {
        const struct reader *r = &s->readers[i];

        table_cell(&table, "%s", precision_name(r->precision));
        table_cell(&table, "%.4f", exp(nll(s, i)));
        table_cell(&table, "%.3g", r->kl / (double)s->tokens);
        table_cell(&table, "%.3g", r->kl_max);
        table_cell(&table, "%.2f %%", 100 * (double)r->same_top / (double)s->tokens);
        table_cell(&table, "%.3f", r->seconds);
    }
    table_end(&table, o);
    out_style(o, DIM);
    out_text(o, "KL(f32 || type) in nats over the positions; same best: where both hold the same\n"
                "token most probable\n");
    out_style(o, PLAIN);
}

static void write_people(struct out *o, const struct score *s)
{
    const double mean = nll(s, 0), bits = mean / 0.69314718055994530942;
    char tokens[32], bytes[32];

    if (per_token)
        write_tokens(o, s);
    out_style(o, BOLD);
    out_format(o, "perplexity %.4f", exp(mean));
    out_style(o, PLAIN);
    out_format(o, "  %.4f nats = %.4f bits a token", mean, bits);
    if (s->prompt->bytes)
        out_format(o, ", %.4f bits a byte",
                   s->readers[0].nll / 0.69314718055994530942 / (double)s->prompt->bytes);
    out_text(o, "\n");
    out_style(o, DIM);
    out_format(o, "%s of %s tokens counted", show_count(s->tokens, tokens),
               show_count(s->prompt->n, bytes));
    if (s->prompt->n > s->window)
        out_format(o, ", in windows of %zu that move by %zu", s->window, s->step);
    out_format(o, "  in %s, weights as %s\n", s->prompt->model,
               precision_name(s->readers[0].precision));
    out_style(o, PLAIN);
    if (compare)
        write_dtypes(o, s);
}

static void write_score(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct score *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* ---- reading ---------------------------------------------------------------------------- */

static uint32_t best_of(const float *row, size_t n)
{
    struct scored best = {0, 0};

    top_logits(row, n, 1, &best);
    return best.id;
}

/* Compare a row of a reader with the first one's. */
static void compare_row(struct reader *r, const float *mine, const float *first, size_t n,
                        uint32_t first_top)
{
    double kl = 0;

    for (size_t i = 0; i < n; i++)
        kl += (double)expf(first[i]) * ((double)first[i] - (double)mine[i]);
    kl = kl > 0 ? kl : 0; /* rounding alone makes it negative */
    r->kl += kl;
    r->kl_max = kl > r->kl_max ? kl : r->kl_max;
    r->same_top += best_of(mine, n) == first_top;
}

/* Run a reader over tokens, with logits of all or none of them. */
static wte_status read_tokens(struct reader *r, const uint32_t *ids, size_t n, wte_logits logits,
                              wte_error *err)
{
    const wte_batch batch = {ids, NULL, NULL, NULL, NULL, n, logits};
    const double start = seconds_now();
    const wte_status status = wte_session_run(r->session, &batch, err);

    r->seconds += seconds_now() - start;
    return status;
}

/* Count the tokens behind each of n: `at` is the position of the first. */
static wte_status read_block(struct score *s, size_t at, size_t n, wte_error *err)
{
    const size_t n_vocab = s->prompt->info->n_vocab;
    const uint32_t *ids = s->prompt->ids;
    wte_status status = WTE_OK;

    for (size_t k = 0; k < s->n_readers && status == WTE_OK; k++) {
        struct reader *r = &s->readers[k];

        status = read_tokens(r, ids + at, n, WTE_LOGITS_ALL, err);
        for (size_t i = 0; i < n && status == WTE_OK; i++) {
            float *row = k ? s->row : s->block + i * n_vocab;
            const uint32_t target = ids[at + i + 1];

            wte_log_softmax(wte_session_logits(r->session, i), n_vocab, row);
            r->nll -= (double)row[target];
            if (k == 0) {
                s->log_probs[s->tokens + i] = row[target];
                s->positions[s->tokens + i] = (uint32_t)(at + i + 1);
                s->top[i] = compare ? best_of(row, n_vocab) : 0;
                r->same_top++;
            } else {
                compare_row(r, row, s->block + i * n_vocab, n_vocab, s->top[i]);
            }
        }
    }
    s->tokens += n;
    return status;
}

/* Read one window [begin, end), in which the tokens from `counted` on are new. */
static wte_status read_window(struct score *s, size_t begin, size_t end, size_t counted,
                              wte_error *err)
{
    /* the row that predicts the first new token; the window's last row predicts nothing in it */
    const size_t first = counted > begin ? counted - 1 : begin;
    wte_status status = WTE_OK;

    if (first + 1 >= end)
        return WTE_OK;
    for (size_t k = 0; k < s->n_readers; k++)
        wte_session_truncate(s->readers[k].session, 0, 0);
    for (size_t at = begin; at < first && status == WTE_OK;) {
        const size_t n = first - at < 2 * BLOCK ? first - at : 2 * BLOCK;

        for (size_t k = 0; k < s->n_readers && status == WTE_OK; k++)
            status = read_tokens(&s->readers[k], s->prompt->ids + at, n, WTE_LOGITS_NONE, err);
        at += n;
        if (status == WTE_OK && show_progress(NULL, "reading tokens", s->tokens, s->prompt->n))
            status = err->status = WTE_E_CANCELLED;
    }
    for (size_t at = first; at + 1 < end && status == WTE_OK;) {
        const size_t n = end - 1 - at < BLOCK ? end - 1 - at : BLOCK;

        status = read_block(s, at, n, err);
        at += n;
        if (status == WTE_OK && show_progress(NULL, "reading tokens", s->tokens, s->prompt->n))
            status = err->status = WTE_E_CANCELLED;
    }
    return status;
}

static int read_all_windows(struct score *s)
{
    const size_t n = s->prompt->n;
    size_t counted = 0;
    wte_error err = {0};
    wte_status result = WTE_OK;
    int status = 0;

    signals_wait(true);
    for (size_t begin = 0; counted < n && result == WTE_OK; begin += s->step) {
        const size_t end = n - begin < s->window ? n : begin + s->window;

        result = read_window(s, begin, end, counted, &err);
        counted = end;
    }
    if (result != WTE_OK)
        status = fail_with(&err);
    return signals_end(status);
}

static int open_readers(struct score *s)
{
    int status = 0;

    s->n_readers = compare ? 3 : 1;
    for (size_t k = 0; k < s->n_readers && status == 0; k++) {
        struct reader *r = &s->readers[k];

        r->precision = compare ? (wte_precision)k : chosen_precision();
        r->network = s->prompt->network;
        if (r->precision != chosen_precision())
            status = open_network(r->precision, &r->network);
        if (status == 0)
            status = open_session(r->network, s->prompt->n < s->window ? s->prompt->n : s->window,
                                  1, &r->session);
    }
    return status;
}

static int choose_windows(struct score *s)
{
    const struct prompt *p = s->prompt;

    s->window = p->info->n_ctx;
    s->step = stride ? stride : s->window;
    if (p->n < 2)
        return fail("there is 1 token, and the first has nothing before it: expected 2 or more");
    if (p->n > UINT32_MAX)
        return fail("%zu tokens are too many", p->n);
    if (p->n > s->window && !stride)
        return too_long(p, p->n, "the text", ": --stride N reads it in windows, N tokens apart");
    if (stride > s->window)
        return fail("--stride %zu would leave tokens out: %s has %zu positions", stride, p->model,
                    s->window);
    return 0;
}

int cmd_perplexity(void)
{
    struct prompt p;
    struct score s = {0};
    int status;

    if (compare && chosen_precision() != WTE_PRECISION_F32)
        return usage("--compare-dtypes runs all types: without --dtype");
    status = open_prompt(&p, WANTS_LOGITS | WANTS_GPT2 | ANY_LENGTH);
    s.prompt = &p;
    if (status == 0)
        status = choose_windows(&s);
    if (status == 0)
        status = open_readers(&s);
    if (status == 0) {
        s.log_probs = need_memory(p.n, sizeof *s.log_probs);
        s.positions = need_memory(p.n, sizeof *s.positions);
        s.block = need_memory((size_t)BLOCK * p.info->n_vocab, sizeof *s.block);
        s.row = need_memory(p.info->n_vocab, sizeof *s.row);
        status = read_all_windows(&s);
    }
    if (status == 0 && s.tokens == 0)
        status = fail("no token was counted: in windows of 1 token none has another before it");
    if (status == 0) {
        sink_open();
        sink_put(write_score, &s);
        sink_numbers(s.log_probs, s.tokens);
        status = sink_close((size_t[]){s.tokens}, 1);
    }
    for (size_t k = 0; k < s.n_readers; k++)
        close_session(s.readers[k].session);
    free(s.log_probs);
    free(s.positions);
    free(s.block);
    free(s.row);
    close_prompt(&p);
    return status;
}
