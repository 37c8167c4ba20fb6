/* SPDX-License-Identifier: MIT */
/* cmd_generate.c - text from a prompt: prompts, the search, and what is shown of it
 *
 * The library does the work. Here prompts are read (one text, lists of ids, or the lines of a file,
 * which run as one batch), tokens are shown as they arrive, and results are printed.
 *
 * A stream is bytes: a token of GPT-2 may end inside of a character, so what arrives is held back
 * until the character is whole. On a terminal control characters and what is no UTF-8 become
 * U+FFFD, because a model can write any escape sequence.
 *
 * Ctrl-C ends the search, not the program: what there is by then is printed. */
#include "sampling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct texts id_lists, stop_strings;
static bool each_line, do_sample, stream, skip_special, trace;
static const char *file, *trace_file, *force_words;
static int early_stopping, show;
static float max_time;
static struct prompt net; /* the model and its network */

static const struct option options[] = {
    {0, "ids", OPT_LIST, &id_lists, "ID[,ID...]",
     "a prompt of token ids; given again, one more prompt", NULL},
    {0, "file", OPT_TEXT, &file, "FILE", "read the prompt from FILE", NULL},
    {0, "each-line", OPT_FLAG, &each_line, NULL,
     "each line of FILE or of standard input is a prompt; they run together", NULL},
    {0, "do-sample", OPT_FLAG, &do_sample, NULL, "draw tokens instead of taking the best", NULL},
    {0, "seed", OPT_NUMBER, &sampling.seed, "N", "seed of the draws, as torch.manual_seed (0)",
     NULL},
    {0, "num-beams", OPT_COUNT, &sampling.num_beams, "N",
     "beam search with N beams (1: none); with --do-sample beam sampling", NULL},
    {0, "num-beam-groups", OPT_COUNT, &sampling.num_beam_groups, "N",
     "beams in N groups that keep apart by --diversity-penalty (1)", NULL},
    {0, "diversity-penalty", OPT_REAL, &sampling.diversity_penalty, "X",
     "groups: subtract X for each earlier group that chose the token in this step", NULL},
    {0, "length-penalty", OPT_REAL, &sampling.length_penalty, "X",
     "beams: divide the sum of log-probabilities by length^X (1); above 0 favours long texts, "
     "below 0 short ones",
     NULL},
    {0, "early-stopping", OPT_CHOICE, &early_stopping, "WHEN",
     "beams: true stops when there are N finished texts, false (the default) when a better one is "
     "unlikely, never when there can be none",
     "false|true|never"},
    {0, "force-words-ids", OPT_TEXT, &force_words, "JSON",
     "beams: words that must appear, or one of several: '[[1,2],[[3],[4,5]]]'", NULL},
    {0, "penalty-alpha", OPT_REAL, &sampling.penalty_alpha, "X",
     "contrastive search: weigh against tokens whose state is like an earlier one (0.6 is usual, "
     "with --top-k 4)",
     NULL},
    {0, "num-return-sequences", OPT_COUNT, &sampling.num_return_sequences, "N",
     "give N texts for each prompt (1)", NULL},
    {0, "prompt-lookup-num-tokens", OPT_SIZE, &sampling.prompt_lookup_num_tokens, "N",
     "guess N tokens ahead from the text so far: faster where it repeats itself, same tokens (0: "
     "off)",
     NULL},
    {0, "stop-strings", OPT_LIST, &stop_strings, "TEXT",
     "end when this appears; given again, one more", NULL},
    {0, "max-time", OPT_REAL, &max_time, "SECONDS", "end after so many seconds", NULL},
    {0, "stream", OPT_FLAG, &stream, NULL,
     "print tokens as they arrive, as on a terminal; of beams there is nothing to print before the "
     "end",
     NULL},
    {0, "skip-special", OPT_FLAG, &skip_special, NULL, "leave special tokens out of texts", NULL},
    {0, "show", OPT_CHOICE, &show, "WHAT",
     "text, or tree: the tree of the tokens that the search went through", "text|tree"},
    {0, "trace", OPT_FLAG, &trace, NULL,
     "JSON with every step: candidates, their probabilities after each member of the chain, scores",
     NULL},
    {0, "trace-file", OPT_TEXT, &trace_file, "FILE",
     "write that JSON to FILE (-: standard output) and print the answer as always", NULL},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte generate -m gpt2 \"the\" --max-new-tokens 5", "the most probable tokens, one by one"},
    {"wte generate -m gpt2 \"the\" --do-sample --top-p 0.9 --seed 7 --max-new-tokens 5",
     "drawn, as generate() draws after torch.manual_seed(7)"},
    {"wte generate -m gpt2 \"the\" --num-beams 4 --max-new-tokens 4 --plot tree.svg",
     "the tree of the search as a figure"},
    {"wte generate -m gpt2 \"the\" --num-beams 4 --max-new-tokens 4 --show tree",
     "beam search, and what it went through"},
    {"wte generate -m gpt2 \"the\" --penalty-alpha 0.6 --top-k 4 --max-new-tokens 4",
     "contrastive search"},
    {"printf 'the\\nof\\n' | wte generate -m gpt2 - --each-line --json --max-new-tokens 3",
     "a batch, one object a line"},
    {NULL, NULL}};

const struct page page_generate = {
    .usage = {"[OPTION]... TEXT", "[OPTION]... --ids ID[,ID...]", "[OPTION]... --file FILE",
              "[OPTION]... -"},
    .about =
        "Continues a text with GPT-2. Names, defaults and order of the options are Hugging Face's "
        "(transformers 4.40 and later, GenerationConfig): greedy search of 20 tokens in all, and "
        "50 "
        "for --top-k once --do-sample is given. The same seed gives the same tokens with any "
        "number "
        "of threads.\n\n"
        "Each step the network's scores pass a chain. Its order: sequence bias, diversity, "
        "repetition penalty, DRY, no repeated n-gram, bad words, min length, min new tokens, "
        "forced "
        "BOS, forced EOS, exponential decay, suppress, begin suppress; when sampling temperature, "
        "top-n-sigma, top-k, top-p, min-p, typical-p, epsilon, eta, XTC, mirostat; then "
        "renormalize. -v prints the members that are switched on. In beam search they see "
        "log-probabilities, so that a repetition penalty multiplies.\n\n"
        "Special tokens in TEXT (<|endoftext|>) are read as such; an empty TEXT begins with it. A "
        "newline at the end of FILE or of standard input is not part of the prompt. Ctrl-C prints "
        "what there is.",
    .options = options,
    .writes = ".json .tsv",
    .examples = examples,
    .json =
        "{\"sequences\":[{\"ids\":[262,261],\"new_ids\":[261],\"text\":\"the theory\",\n"
        " \"new_text\":\" theory\",\"score\":-1.2,\"sum_log_prob\":-1.2,\"token_scores\":[3.1],\n"
        " \"finish_reason\":\"length\"}],\"finish_reason\":\"length\"}\n"
        "of many prompts one object a line; --trace adds \"stages\" and \"trace\"",
    .begin = sampling_begin};

/* ---- prompts ---------------------------------------------------------------------------- */

struct prompts {
    wte_ids *items;
    size_t n, capacity;
};

static void add_prompt(struct prompts *prompts, wte_ids ids)
{
    prompts->items =
        need_more(prompts->items, &prompts->capacity, prompts->n + 1, sizeof *prompts->items);
    prompts->items[prompts->n++] = ids;
}

static int add_text_prompt(struct prompts *prompts, const char *text, size_t len)
{
    int64_t bos = wte_tokenizer_get_info(net.tokenizer)->bos;
    struct ids ids = {0};
    size_t before, after;
    wte_error err = {0};

    if (encode_text(&net, text, len, &ids, &before, &after, &err) != WTE_OK)
        return fail_with(&err);
    if (!ids.n && bos < 0) {
        free(ids.items);
        return fail("the prompt is empty, and the model has no token that texts begin with");
    }
    if (!ids.n) {
        ids.items = need_more(ids.items, &ids.capacity, 1, sizeof *ids.items);
        ids.items[ids.n++] = (uint32_t)bos;
    }
    add_prompt(prompts, (wte_ids){ids.items, ids.n});
    return 0;
}

static int add_lines(struct prompts *prompts, const char *path)
{
    struct lines lines;
    char *line;
    size_t len;
    int status = 0;

    if (!lines_open(&lines, path))
        return EXIT_FAILED;
    while (status == 0 && lines_next(&lines, &line, &len))
        status = add_text_prompt(prompts, line, len);
    if (status == 0)
        status = cli.status;
    if (status == 0 && !prompts->n)
        status = fail("%s: no lines", lines.path);
    lines_close(&lines);
    return status;
}

static int add_file(struct prompts *prompts, const char *path)
{
    char *text;
    size_t len;
    int status;

    if (!read_all(path, &text, &len))
        return EXIT_FAILED;
    if (len && text[len - 1] == '\n')
        len -= len > 1 && text[len - 2] == '\r' ? 2 : 1;
    status = add_text_prompt(prompts, text, len);
    free(text);
    return status;
}

/* Which ways of giving a prompt are used, of which there has to be one. */
static int check_prompts(void)
{
    const int ways = (id_lists.n > 0) + (file != NULL) + (cli.words.n > 0);

    if (ways == 0)
        return usage("a prompt is missing, as in 'wte generate -m gpt2 \"The theory of\"'");
    if (ways > 1)
        return usage("TEXT, --ids and --file are three ways to give a prompt: one is enough");
    if (cli.words.n > 1)
        return usage("expected one text, there are %zu: quote it, as in \"The theory of\"; several "
                     "prompts come with --each-line",
                     cli.words.n);
    if (each_line && !file && !reads_queries())
        return usage("--each-line needs --file FILE or -");
    return 0;
}

static int read_prompts(struct prompts *prompts)
{
    const char *path = file ? file : reads_queries() ? "-" : NULL;
    int status = 0;

    for (size_t i = 0; i < id_lists.n && status == 0; i++) {
        wte_ids ids = {NULL, 0};

        status = read_id_list("--ids", id_lists.items[i], &ids);
        if (status == 0)
            add_prompt(prompts, ids);
    }
    if (id_lists.n)
        return status;
    if (!net.tokenizer)
        return fail(
            "%s has no tokenizer files, so that it takes no text: give token ids with --ids",
            net.model);
    if (!path)
        return add_text_prompt(prompts, cli.words.items[0], strlen(cli.words.items[0]));
    return each_line ? add_lines(prompts, path) : add_file(prompts, path);
}

static void free_prompts(struct prompts *prompts)
{
    for (size_t i = 0; i < prompts->n; i++)
        free((uint32_t *)prompts->items[i].ids);
    free(prompts->items);
}

/* ---- text ------------------------------------------------------------------------------- */

/* Length of the whole character at text, or 0. */
static size_t character(const char *text, size_t len)
{
    for (size_t n = 1; n <= 4 && n <= len; n++)
        if (is_utf8(text, n))
            return n;
    return 0;
}

/* How many bytes at the end begin a character that is not whole yet. */
static size_t unfinished(const char *text, size_t len)
{
    for (size_t n = 1; n <= 3 && n <= len; n++) {
        char rest[8] = {0};
        size_t wanted;
        unsigned char lead = (unsigned char)text[len - n];

        if (lead < 0x80)
            return 0;
        if (lead < 0xC0)
            continue;
        wanted = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        if (wanted <= n)
            return 0;
        for (int fill = 0x80; fill <= 0xBF; fill += 0x3F) {
            memcpy(rest, text + len - n, n);
            memset(rest + n, fill, wanted - n);
            if (is_utf8(rest, wanted))
                return n;
        }
        return 0;
    }
    return 0;
}

/* A model may write anything; a terminal does what escape sequences say. */
static void out_safe(struct out *o, const char *text, size_t len, bool terminal)
{
    if (!terminal) {
        out_bytes(o, text, len);
        return;
    }
    for (size_t i = 0; i < len;) {
        size_t n = character(text + i, len - i);
        unsigned char c = (unsigned char)text[i];
        bool control = n == 1 ? (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F
                              : n == 2 && c == 0xC2 && (unsigned char)text[i + 1] < 0xA0;

        if (n && !control)
            out_bytes(o, text + i, n);
        else
            out_text(o, "\xEF\xBF\xBD");
        i += n ? n : 1;
    }
}

/* The text of ids, or the ids themselves where there is no tokenizer or no such token. */
static void out_ids(struct out *o, const uint32_t *ids, size_t n)
{
    char *text = NULL;
    size_t len = 0;

    if (net.tokenizer &&
        wte_decode(net.tokenizer, ids, n, skip_special ? WTE_DECODE_SKIP_SPECIAL : 0u, &text, &len,
                   NULL) == WTE_OK) {
        out_bytes(o, text, len);
        wte_text_free(text);
        return;
    }
    for (size_t i = 0; i < n; i++)
        out_format(o, "%s%u", i ? " " : "", ids[i]);
}

/* ---- as it goes ------------------------------------------------------------------------- */

/* Of one sequence. `bytes` is the text so far, of which `shown` bytes were printed. */
static struct streaming {
    struct out bytes;
    size_t shown, n_tokens;
    bool on, terminal;
} live;

static void flush_stream(bool all)
{
    struct out safe = {0};
    size_t end = live.bytes.n;

    if (!all)
        end -= unfinished(live.bytes.data + live.shown, live.bytes.n - live.shown);
    if (end > live.shown) {
        out_safe(&safe, live.bytes.data + live.shown, end - live.shown, live.terminal);
        if (fwrite(safe.data, 1, safe.n, stdout) != safe.n || fflush(stdout) != 0)
            exit(fail("standard output: cannot write"));
    }
    live.shown = end;
    out_free(&safe);
}

static int on_token(void *data, size_t sequence, uint32_t id)
{
    (void)data;
    (void)sequence;
    live.n_tokens++;
    if (live.on) {
        if (!net.tokenizer)
            out_text(&live.bytes, " ");
        out_ids(&live.bytes, &id, 1);
        flush_stream(false);
    }
    return signals_caught() != 0;
}

static void start_stream(const wte_ids *prompt)
{
    live.on = true;
    live.terminal = isatty(STDOUT_FILENO) == 1;
    out_ids(&live.bytes, prompt->ids, prompt->n);
    flush_stream(false);
}

/* ---- the answer ------------------------------------------------------------------------- */

struct answer {
    size_t prompt, n_prompts;
    const wte_ids *ids; /* of the prompt */
    const wte_generated *sequences;
    size_t n;
    const struct search *search;
};

static bool beams(void)
{
    return sampling.num_beams > 1;
}

static void json_text_of(struct out *o, const char *key, const uint32_t *ids, size_t n)
{
    struct out text = {0};

    json_key(o, key);
    if (net.tokenizer) {
        out_ids(&text, ids, n);
        json_bytes(o, text.n ? text.data : "", text.n);
    } else {
        json_nothing(o);
    }
    out_free(&text);
}

static void json_id_list(struct out *o, const char *key, const uint32_t *ids, size_t n)
{
    json_key(o, key);
    json_open(o, '[');
    for (size_t i = 0; i < n; i++)
        json_count(o, ids[i]);
    json_close(o, ']');
}

static void json_sequence(struct out *o, const wte_generated *g)
{
    const size_t n_new = g->n - g->n_prompt;

    json_open(o, '{');
    json_id_list(o, "ids", g->ids, g->n);
    json_id_list(o, "new_ids", g->ids + g->n_prompt, n_new);
    json_text_of(o, "text", g->ids, g->n);
    json_text_of(o, "new_text", g->ids + g->n_prompt, n_new);
    json_key(o, "score");
    json_double(o, g->score);
    json_key(o, "sum_log_prob");
    json_double(o, g->sum_log_prob);
    json_key(o, "token_scores");
    json_open(o, '[');
    for (size_t i = 0; i < n_new && g->token_scores; i++)
        json_float(o, g->token_scores[i]);
    json_close(o, ']');
    json_key(o, "finish_reason");
    json_text(o, wte_finish_name(g->finish));
    json_close(o, '}');
}

static void write_json(struct out *o, const struct answer *a)
{
    json_open(o, '{');
    if (a->n_prompts > 1) {
        json_key(o, "prompt");
        json_count(o, a->prompt);
    }
    json_key(o, "sequences");
    json_open(o, '[');
    for (size_t i = 0; i < a->n; i++)
        json_sequence(o, &a->sequences[i]);
    json_close(o, ']');
    json_key(o, "finish_reason");
    json_text(o, wte_finish_name(a->sequences[0].finish));
    if (do_sample) {
        json_key(o, "seed");
        json_count(o, sampling.seed);
    }
    if (trace)
        json_search(o, a->search, a->prompt, &net);
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct answer *a)
{
    if (sink_first(o))
        out_text(o, "prompt\tsequence\tscore\tsum_log_prob\tnew_tokens\tfinish_reason\ttext\n");
    for (size_t i = 0; i < a->n; i++) {
        const wte_generated *g = &a->sequences[i];
        struct out text = {0};

        out_format(o, "%zu\t%zu\t", a->prompt, i);
        out_double(o, g->score);
        out_text(o, "\t");
        out_double(o, g->sum_log_prob);
        out_format(o, "\t%zu\t%s\t", g->n - g->n_prompt, wte_finish_name(g->finish));
        out_ids(&text, g->ids, g->n);
        out_tsv(o, text.n ? text.data : "", text.n);
        out_text(o, "\n");
        out_free(&text);
    }
}

static void write_text(struct out *o, const wte_generated *g)
{
    struct out text = {0};

    out_ids(&text, g->ids, g->n);
    out_safe(o, text.n ? text.data : "", text.n, live.terminal);
    out_text(o, "\n");
    out_free(&text);
}

/* Several sequences, or those of a search over beams, each with its numbers above it. */
static void write_scored(struct out *o, const struct answer *a)
{
    for (size_t i = 0; i < a->n; i++) {
        const wte_generated *g = &a->sequences[i];

        out_style(o, BOLD);
        out_format(o, "%zu", i + 1);
        out_style(o, DIM);
        if (beams())
            out_format(o, "  score %.4f", g->score);
        out_format(o, "  sum of log-probabilities %.3f  %zu new tokens  %s\n", g->sum_log_prob,
                   g->n - g->n_prompt, wte_finish_name(g->finish));
        out_style(o, PLAIN);
        write_text(o, g);
    }
}

static void write_people(struct out *o, const struct answer *a)
{
    if (a->n_prompts > 1 && (a->n > 1 || beams() || show)) {
        out_style(o, DIM);
        out_format(o, "%sprompt %zu\n", a->prompt ? "\n" : "", a->prompt + 1);
        out_style(o, PLAIN);
    }
    if (show) {
        struct out text = {0};

        out_ids(&text, a->ids->ids, a->ids->n);
        out_safe(o, text.n ? text.data : "", text.n, live.terminal);
        out_text(o, "\n");
        out_free(&text);
        show_tree(o, a->search, a->prompt, &net, a->sequences, a->n);
        out_text(o, "\n");
    }
    if (a->n > 1 || beams() || show)
        write_scored(o, a);
    else
        write_text(o, a->sequences);
    if (beams() && a->prompt + 1 == a->n_prompts) {
        out_style(o, DIM);
        out_format(o,
                   "score = sum after the chain / tokens^%g (--length-penalty): above 0 favours "
                   "long texts\n",
                   (double)sampling.length_penalty);
        out_style(o, PLAIN);
    }
}

static void write_answer(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct answer *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

static int write_trace(const struct search *search, const struct prompts *prompts)
{
    struct out o = {0};
    int status = 0;

    json_open(&o, '{');
    json_key(&o, "prompts");
    json_open(&o, '[');
    for (size_t i = 0; i < prompts->n; i++) {
        json_open(&o, '{');
        json_id_list(&o, "ids", prompts->items[i].ids, prompts->items[i].n);
        json_search(&o, search, i, &net);
        json_close(&o, '}');
    }
    json_close(&o, ']');
    json_close(&o, '}');
    json_line(&o);
    if (strcmp(trace_file, "-") != 0)
        status = write_file(trace_file, o.data, o.n);
    else if (fwrite(o.data, 1, o.n, stdout) != o.n || fflush(stdout) != 0)
        status = fail("standard output: cannot write");
    out_free(&o);
    return status;
}

/* ---- the run ---------------------------------------------------------------------------- */

/* What the options say together, before anything is opened that takes time. */
static int check_options(void)
{
    wte_error err = {0};

    if (show && (cli.json || cli.tsv))
        return usage("--show tree is for people; programs take --trace");
    if (stream && (cli.json || cli.tsv || cli.output || show || trace))
        return usage("--stream prints text as it arrives: it goes with none of --json, --tsv, -o, "
                     "--show tree and --trace");
    if (stream && figure_wanted())
        return usage("--stream and --plot: the figure is drawn when all is there");
    if (trace && cli.tsv)
        return usage("--trace is JSON: it does not go with --tsv");
    if (trace_file && strcmp(trace_file, "-") == 0 && (cli.json || cli.tsv || stream))
        return usage("--trace-file - and the answer would mix on standard output");
    if (wte_generate_options_check(&sampling, &err) != WTE_OK)
        return usage("%s", err.message);
    if (!do_sample && idle_warper())
        note("%s does nothing without --do-sample", idle_warper());
    return 0;
}

static int take_options(void)
{
    int status;

    sampling.do_sample = do_sample;
    sampling.early_stopping = (wte_early_stopping)early_stopping;
    sampling.max_time = (double)max_time;
    sampling.stop_strings = (const char *const *)stop_strings.items;
    sampling.n_stop_strings = stop_strings.n;
    sampling.tokenizer = net.tokenizer;
    status = sampling_ready(wte_model_get_info(cli.model)->config, net.info->n_vocab);
    if (status == 0 && force_words)
        status = read_forced_words(force_words);
    return status ? status : check_options();
}

static int check_lengths(const struct prompts *prompts)
{
    for (size_t i = 0; i < prompts->n; i++) {
        const size_t n = prompts->items[i].n;

        if (n >= net.info->n_ctx)
            return fail(
                "the prompt has %zu tokens, %s has room for %zu: there is none for an answer", n,
                net.model, net.info->n_ctx);
        if (!sampling.max_new_tokens && n >= sampling.max_length)
            return fail("the prompt has %zu tokens and --max-length is %zu, the prompt included: "
                        "give --max-new-tokens N",
                        n, sampling.max_length);
    }
    return 0;
}

static int tell_options(void)
{
    wte_chain *chain = NULL;
    wte_error err = {0};

    if (wte_chain_new(&sampling, net.info->n_vocab, beams() ? 2 : 1, &chain, &err) != WTE_OK)
        return fail_with(&err);
    tell_chain(chain);
    wte_chain_free(chain);
    return 0;
}

static int put_answers(const wte_generation *generation, const struct prompts *prompts,
                       const struct search *search)
{
    const size_t each = generation->n / prompts->n;
    int status = 0;

    if (live.on) {
        flush_stream(true);
        fputs("\n", stdout);
        fflush(stdout);
    } else if (!trace_file || strcmp(trace_file, "-") != 0) {
        live.terminal = isatty(STDOUT_FILENO) == 1 && !cli.output;
        sink_open();
        for (size_t i = 0; i < prompts->n; i++) {
            struct answer a = {
                i, prompts->n, &prompts->items[i], generation->sequences + i * each, each, search};

            sink_put(write_answer, &a);
        }
        status = sink_close(NULL, 0);
    }
    if (status == 0 && trace_file)
        status = write_trace(search, prompts);
    return status;
}

static int generate(wte_session *session, const struct prompts *prompts)
{
    wte_generation generation = {NULL, 0, 0, 0};
    struct search search = {0};
    wte_error err = {0};
    double start = seconds_now();
    int status = 0;

    sampling.on_token = on_token;
    if (trace || trace_file || show || figure_wanted()) {
        sampling.on_step = keep_search_step;
        sampling.on_step_data = &search;
    }
    if (stream || (isatty(STDOUT_FILENO) == 1 && prompts->n == 1 && !beams() && !cli.json &&
                   !cli.tsv && !cli.output && !show && !trace_file && !figure_wanted() &&
                   sampling.num_return_sequences == 1))
        start_stream(&prompts->items[0]);
    signals_wait(true);
    if (wte_generate(session, prompts->items, prompts->n, &sampling, &generation, &err) != WTE_OK) {
        if (live.on)
            fputs("\n", stdout);
        status = fail_with(&err);
    }
    signals_wait(false);
    if (status == 0 && figure_wanted())
        status = draw_tree(&search, 0, &net, generation.sequences, generation.n / prompts->n);
    if (status == 0)
        status = put_answers(&generation, prompts, &search);
    if (status == 0 && cli.verbose) {
        double seconds = seconds_now() - start;
        size_t n = 0;

        for (size_t i = 0; i < generation.n; i++)
            n += generation.sequences[i].n - generation.sequences[i].n_prompt;
        note("%zu new tokens, %zu passes, %zu tokens guessed ahead; %.2f s, %.1f tokens/s", n,
             generation.n_steps, generation.n_accepted, seconds, (double)n / seconds);
    }
    if (status == 0 && signals_caught())
        status = 128 + signals_caught();
    wte_generation_free(&generation);
    free_search(&search);
    out_free(&live.bytes);
    return status;
}

int cmd_generate(void)
{
    wte_session *session = NULL;
    struct prompts prompts = {NULL, 0, 0};
    int status = check_prompts();

    if (status == 0)
        status = open_runner(&net, WANTS_LOGITS | WANTS_GPT2);
    if (status)
        return status;
    if (trace && !cli.output)
        cli.json = true;
    status = take_options();
    if (status == 0)
        status = read_prompts(&prompts);
    if (status == 0 && stream && (prompts.n > 1 || sampling.num_return_sequences > 1))
        status = usage("--stream prints one text: there are %zu",
                       prompts.n * sampling.num_return_sequences);
    if (status == 0)
        status = check_lengths(&prompts);
    if (status == 0 && cli.verbose)
        status = tell_options();
    if (status == 0)
        status =
            open_session(net.network, 0, wte_generate_sequences(&sampling, prompts.n), &session);
    if (status == 0)
        status = generate(session, &prompts);
    close_session(session);
    free_prompts(&prompts);
    return status;
}
