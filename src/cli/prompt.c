/* SPDX-License-Identifier: MIT */
/* prompt.c - what the commands share that run a network
 *
 * A prompt is one text, token ids, a file or standard input. A text is tokenised as the originals
 * do it by default: special tokens in it are read, BERT gets [CLS] and [SEP] round it. --no-special
 * leaves both away; of BERT [MASK] is read all the same. Ids are taken as they are.
 *
 * GPT-2's prompts are run in pieces of PIECE tokens, of which every one continues the cache: so
 * there is progress to show, Ctrl-C is heard at once, and logits of all positions need memory for
 * one piece only. A piece is a whole pass of the library, so the numbers are those of a single run.
 */
#include "prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    PIECE = 256,        /* tokens of a run */
    PIECE_LOGITS = 128, /* where each has logits: 26 MB of GPT-2's vocabulary */
    LONG_TEXT = 1 << 20 /* from here on threads are worth their start */
};

static const char *ids_text, *file;
static bool no_special;
static int dtype;

const struct option prompt_options[] = {
    {0, "ids", OPT_TEXT, &ids_text, "ID[,ID...]",
     "the prompt is these token ids, as they are; nothing is put round them", NULL},
    {0, "file", OPT_TEXT, &file, "FILE", "the prompt is what FILE holds", NULL},
    {0, "no-special", OPT_FLAG, &no_special, NULL,
     "do not put [CLS] and [SEP] round the text (BERT); <|endoftext|> in it is plain text (GPT-2)",
     NULL},
    OPTIONS_END};

const struct option run_options[] = {
    {'m', "model", OPT_LIST, &cli.models, "MODEL",
     "name, folder or file of a GPT-2 or BERT model; without it $WTE_MODEL", NULL},
    {0, "dtype", OPT_CHOICE, &dtype, "TYPE",
     "how weights are multiplied: f32 as the file stores them (the default), bf16, or int8; the "
     "converted weights are kept in the cache folder",
     "f32|bf16|int8"},
    {0, "threads", OPT_COUNT, &cli.threads, "N",
     "use N threads (one per processor); answers never depend on it", NULL},
    {0, "no-cache", OPT_FLAG, &cli.no_cache, NULL,
     "neither use nor keep anything of the model's files in the cache folder", NULL},
    OPTIONS_END};

double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- network and session ---------------------------------------------------------------- */

wte_precision chosen_precision(void)
{
    return (wte_precision)dtype;
}

const char *precision_name(wte_precision precision)
{
    static const char *const names[] = {
        [WTE_PRECISION_F32] = "f32", [WTE_PRECISION_BF16] = "bf16", [WTE_PRECISION_INT8] = "int8"};

    return names[precision];
}

int open_network(wte_precision precision, const wte_network **out)
{
    const wte_model_info *model = wte_model_get_info(cli.model);
    const wte_network_info *info;
    wte_error err = {0};
    char size[32];
    int status = 0;

    if (model->family == WTE_FAMILY_VECTORS)
        return fail("%s is word vectors, which have no network: -m takes a GPT-2 or BERT model",
                    model->name);
    if (!model->has_weights)
        return fail("%s has no weights, only tokenizer files, so that it cannot be run",
                    model->name);
    signals_wait(true);
    if (wte_model_network(cli.model, precision, out, &err) != WTE_OK)
        status = fail_with(&err);
    status = signals_end(status);
    if (status)
        return status;
    info = wte_network_get_info(*out);
    if (info->converted_bytes && !info->converted_found)
        note("converted the weights of %s to %s: %s%s", model->name, precision_name(precision),
             show_size(info->converted_bytes, size),
             cli.no_cache || *info->note
                 ? ""
                 : " in the cache folder (wte cache lists it, --no-cache turns it off)");
    if (*info->note)
        note("%s: %s", model->name, info->note);
    return 0;
}

int open_session(const wte_network *network, size_t max_tokens, size_t n_sequences,
                 wte_session **out)
{
    wte_session_options options = WTE_SESSION_DEFAULTS;
    wte_error err = {0};

    options.max_tokens = max_tokens;
    options.n_sequences = n_sequences;
    options.n_threads = (unsigned)cli.threads;
    if (wte_session_new(network, &options, out, &err) != WTE_OK)
        return fail_with(&err);
    signals_session(*out);
    return 0;
}

void close_session(wte_session *session)
{
    signals_session(NULL);
    wte_session_free(session);
}

/* ---- the prompt ------------------------------------------------------------------------- */

bool add_ids(struct ids *ids, const char *text, size_t len, wte_error *err)
{
    static const char between[] = " \t\r\n,[]";

    for (size_t at = 0; at < len;) {
        char digits[16];
        uint64_t number = 0;
        size_t n = 0;

        while (at + n < len && text[at + n] && !strchr(between, text[at + n]))
            n++;
        snprintf(digits, sizeof digits, "%.*s", n < 15 ? (int)n : 15, text + at);
        if (n && (n >= 15 || !parse_number(digits, UINT32_MAX, &number))) {
            err->status = WTE_E_RANGE;
            snprintf(err->message, sizeof err->message, "'%.*s' is no id: expected a whole number",
                     n < 80 ? (int)n : 80, text + at);
            return false;
        }
        if (n) {
            ids->items = need_more(ids->items, &ids->capacity, ids->n + 1, sizeof *ids->items);
            ids->items[ids->n++] = (uint32_t)number;
        }
        at += n + 1;
    }
    return true;
}

bool has_prompt(void)
{
    return ids_text || file || cli.words.n;
}

wte_status encode_text(const struct prompt *p, const char *text, size_t len, struct ids *ids,
                       size_t *before, size_t *after, wte_error *err)
{
    const wte_tokenizer_info *info = wte_tokenizer_get_info(p->tokenizer);
    const bool bert = info->kind == WTE_TOKENIZER_BERT;
    const unsigned flags = bert || !no_special ? WTE_ENCODE_SPECIAL : 0;
    static wte_encoder *encoder; /* of the one model that a command runs */
    wte_encoding encoding = {NULL, NULL, 0};
    uint32_t *own = NULL;
    wte_status status = WTE_OK;

    *before = *after = 0;
    if (len >= LONG_TEXT) {
        status = wte_encode_parallel(p->tokenizer, text, len, flags, (unsigned)cli.threads, &own,
                                     &encoding.n, err);
        encoding.ids = own;
    } else {
        if (!encoder)
            status = wte_encoder_new(p->tokenizer, &encoder, err);
        if (status == WTE_OK)
            status = wte_encode(encoder, text, len, flags, &encoding, err);
    }
    if (status == WTE_OK && bert) {
        *before = info->cls >= 0 && encoding.n > 0;
        *after = info->sep >= 0 && encoding.n > *before;
    }
    if (status == WTE_OK) {
        const uint32_t *from = encoding.ids;
        size_t n = encoding.n;

        if (no_special && n) {
            from += *before;
            n -= *before + *after;
            *before = *after = 0;
        }
        ids->items = need_more(ids->items, &ids->capacity, ids->n + n, sizeof *ids->items);
        if (n)
            memcpy(ids->items + ids->n, from, n * sizeof *from);
        ids->n += n;
    }
    wte_ids_free(own);
    return status;
}

int too_long(const struct prompt *p, size_t n, const char *what, const char *advice)
{
    char tokens[32], positions[32];

    return fail("%s has %s tokens, %s has %s positions%s", what, show_count(n, tokens), p->model,
                show_count(p->info->n_ctx, positions), advice);
}

static int read_ids(struct prompt *p)
{
    struct ids ids = {0};
    wte_error err = {0};

    if (!add_ids(&ids, ids_text, strlen(ids_text), &err)) {
        free(ids.items);
        return usage("--ids: %s", err.message);
    }
    p->ids = ids.items;
    p->n = ids.n;
    for (size_t i = 0; i < p->n; i++)
        if (p->ids[i] >= p->info->n_vocab)
            return fail("%u is no id of %s: ids are 0 to %u", p->ids[i], p->model,
                        p->info->n_vocab - 1);
    return 0;
}

static int read_text(struct prompt *p)
{
    const char *path = file ? file : "-";
    const bool from_file = file || reads_queries();
    char *own = NULL;
    const char *text = from_file ? NULL : cli.words.items[0];
    size_t before = 0, after = 0;
    struct ids ids = {0};
    wte_error err = {0};
    int status = 0;

    if (!p->tokenizer)
        return fail(
            "%s has no tokenizer files, so that it takes no text: give token ids with --ids",
            p->model);
    p->bytes = text ? strlen(text) : 0;
    if (from_file) {
        if (!read_all(path, &own, &p->bytes))
            return EXIT_FAILED;
        text = own;
    }
    if (p->bytes == 0)
        status = fail("the prompt is empty");
    else if (encode_text(p, text, p->bytes, &ids, &before, &after, &err) != WTE_OK)
        status = fail_with(&err);
    free(own);
    p->ids = ids.items;
    p->n = ids.n;
    /* a vocabulary file may be longer than the matrix */
    for (size_t i = 0; i < p->n && status == 0; i++)
        if (p->ids[i] >= p->info->n_vocab)
            status = fail("the tokenizer of %s gives id %u, but its embedding has %u rows",
                          p->model, p->ids[i], p->info->n_vocab);
    return status;
}

/* What the command needs and the network has not. */
static int check_network(const struct prompt *p, unsigned wants)
{
    const bool bert = p->info->architecture == WTE_ARCHITECTURE_BERT;

    if ((wants & WANTS_GPT2) && bert)
        return fail("%s is a BERT, which fills masks and does not continue text: see 'wte fill'",
                    p->model);
    if ((wants & WANTS_BERT) && !bert)
        return fail("%s is a GPT-2, which continues text and knows no masks: see 'wte next'",
                    p->model);
    if ((wants & WANTS_LOGITS) && !p->info->has_logits)
        return fail("%s has no head that predicts tokens (no cls.predictions tensors): only hidden "
                    "and attention can be asked of it",
                    p->model);
    return 0;
}

int open_runner(struct prompt *p, unsigned wants)
{
    int status = open_model();

    *p = (struct prompt){0};
    if (status)
        return status;
    status = open_network(chosen_precision(), &p->network);
    if (status)
        return status;
    p->model = wte_model_get_info(cli.model)->name;
    p->tokenizer = wte_model_tokenizer(cli.model);
    p->info = wte_network_get_info(p->network);
    return check_network(p, wants);
}

int open_prompt(struct prompt *p, unsigned wants)
{
    const int given = (ids_text != NULL) + (file != NULL) + (cli.words.n > 0);
    int status;

    *p = (struct prompt){0};
    if (given == 0)
        return usage("a prompt is missing: TEXT, --ids, --file, or - for standard input");
    if (given > 1)
        return usage("one prompt is enough: TEXT, --ids or --file");
    if (cli.words.n > 1)
        return usage("expected one text, there are %zu: put it in quotes", cli.words.n);
    status = open_runner(p, wants);
    if (status == 0)
        status = ids_text ? read_ids(p) : read_text(p);
    if (status == 0 && p->n == 0)
        status = fail("the prompt is empty");
    if (status == 0 && !(wants & ANY_LENGTH) && p->n > p->info->n_ctx)
        status = too_long(p, p->n, "the prompt", "");
    return status;
}

void close_prompt(struct prompt *p)
{
    free(p->ids);
    p->ids = NULL;
}

int run_prompt(const struct prompt *p, wte_session *session, wte_logits logits, piece_fn piece,
               void *data)
{
    const bool whole = p->info->architecture == WTE_ARCHITECTURE_BERT;
    const size_t step = whole ? p->n : logits == WTE_LOGITS_ALL ? PIECE_LOGITS : PIECE;
    const double start = seconds_now();
    wte_error err = {0};
    int status = 0;

    signals_wait(true);
    for (size_t first = 0; first < p->n && status == 0; first += step) {
        const size_t n = p->n - first < step ? p->n - first : step;
        const bool last = first + n == p->n;
        wte_batch batch = {p->ids + first, NULL, NULL, NULL, NULL, n, logits};

        if (logits == WTE_LOGITS_LAST && !last)
            batch.logits = WTE_LOGITS_NONE;
        if (wte_session_run(session, &batch, &err) != WTE_OK ||
            (piece && piece(session, first, n, data, &err) != WTE_OK))
            status = fail_with(&err);
        else if (show_progress(NULL, "running tokens", first + n, p->n))
            status = 128 + signals_caught();
    }
    status = signals_end(status);
    if (status == 0 && cli.verbose) {
        const double seconds = seconds_now() - start;

        note("ran %zu tokens in %.3f s, %.0f a second, weights as %s", p->n, seconds,
             (double)p->n / seconds, precision_name(p->info->precision));
    }
    return status;
}

size_t last_row(const struct prompt *p)
{
    return p->info->architecture == WTE_ARCHITECTURE_BERT ? p->n - 1 : (p->n - 1) % PIECE;
}

/* ---- tokens ----------------------------------------------------------------------------- */

const char *token_text(const struct prompt *p, uint32_t id, struct token *token)
{
    token->text = p->tokenizer ? wte_tokenizer_piece(p->tokenizer, id, &token->len) : NULL;
    if (!token->text) {
        token->len = (size_t)snprintf(token->digits, sizeof token->digits, "%u", id);
        token->text = token->digits;
    }
    return token->text;
}

void json_token(struct out *o, const struct prompt *p, uint32_t id)
{
    struct token token;

    token_text(p, id, &token);
    json_key(o, "id");
    json_count(o, id);
    json_word(o, "token", token.text, token.len);
}

void json_ids(struct out *o, const struct prompt *p)
{
    json_key(o, "ids");
    json_open(o, '[');
    for (size_t i = 0; i < p->n; i++)
        json_count(o, p->ids[i]);
    json_close(o, ']');
}

void json_shape(struct out *o, const size_t *shape, size_t n_dims)
{
    json_key(o, "shape");
    json_open(o, '[');
    for (size_t i = 0; i < n_dims; i++)
        json_count(o, shape[i]);
    json_close(o, ']');
}

void json_numbers(struct out *o, const float *data, const size_t *shape, size_t n_dims)
{
    size_t inner = 1;

    if (n_dims == 1) {
        json_floats(o, data, shape[0]);
        return;
    }
    for (size_t i = 1; i < n_dims; i++)
        inner *= shape[i];
    json_open(o, '[');
    for (size_t i = 0; i < shape[0]; i++)
        json_numbers(o, data + i * inner, shape + 1, n_dims - 1);
    json_close(o, ']');
}

void table_token(struct table *t, const struct prompt *p, uint32_t id)
{
    struct token token;

    token_text(p, id, &token);
    table_word(t, token.text, token.len);
}

char **token_labels(const struct prompt *p, const uint32_t *ids, size_t n)
{
    char **labels = need_memory(n + 1, sizeof *labels);

    for (size_t i = 0; i < n; i++) {
        struct token token;

        token_text(p, ids[i], &token);
        labels[i] = figure_word(token.text, token.len);
    }
    return labels;
}

void out_label(struct out *o, const struct prompt *p, uint32_t id, size_t width)
{
    struct token token;
    struct out shown = {0};
    size_t len;

    token_text(p, id, &token);
    out_word(&shown, token.text, token.len);
    len = shown.n;
    if (len && display_width(shown.data, len) > width) {
        do /* take whole characters off, and make room for the ellipsis */
            while (len > 0 && ((unsigned char)shown.data[--len] & 0xC0) == 0x80)
                continue;
        while (len > 0 && display_width(shown.data, len) + 1 > width);
        out_bytes(o, shown.data, len);
        out_text(o, "…");
    } else if (len) {
        out_bytes(o, shown.data, len);
    }
    out_free(&shown);
}

const char *layer_meaning(const struct prompt *p, size_t layer, char buffer[128])
{
    const bool bert = p->info->architecture == WTE_ARCHITECTURE_BERT;

    if (layer == 0)
        return bert ? "the embeddings' sum after its layer norm"
                    : "the sum of token and position embeddings";
    if (layer == p->info->n_layer && !bert)
        return "after the last block and the final layer norm (last_hidden_state)";
    if (layer == p->info->n_layer)
        return "after the last block, whose layer norm is its end (last_hidden_state)";
    snprintf(buffer, 128, "after block %zu of 1 to %zu, %s", layer, p->info->n_layer,
             bert ? "whose layer norm is its end" : "before any final layer norm");
    return buffer;
}

size_t terminal_width(void)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size = {0};
    uint64_t n = 0;

    if (columns && parse_number(columns, 10000, &n) && n > 20)
        return (size_t)n;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
        return size.ws_col;
    return 80;
}

const char *show_prob(double prob, char buffer[16])
{
    snprintf(buffer, 16, prob > 0 && prob < 0.00005 ? "%.0e %%" : "%.2f %%", 100 * prob);
    return buffer;
}

/* ---- the best logits -------------------------------------------------------------------- */

static bool is_worse(struct scored a, struct scored b)
{
    return a.logit < b.logit || (!(a.logit > b.logit) && a.id > b.id);
}

/* Let the entry at the top of a heap, whose top is the worst, sink to its place. */
static void sift(struct scored *heap, size_t n)
{
    for (size_t at = 0;;) {
        size_t worst = at;
        struct scored swap;

        for (size_t child = 2 * at + 1; child < 2 * at + 3 && child < n; child++)
            if (is_worse(heap[child], heap[worst]))
                worst = child;
        if (worst == at)
            return;
        swap = heap[at];
        heap[at] = heap[worst];
        heap[worst] = swap;
        at = worst;
    }
}

size_t top_logits(const float *logits, size_t n, size_t k, struct scored *out)
{
    const size_t found = k < n ? k : n;

    if (found == 0)
        return 0;
    for (size_t i = 0; i < found; i++)
        out[i] = (struct scored){UINT32_MAX, -(float)INFINITY};
    for (size_t i = 0; i < n; i++) {
        const struct scored s = {(uint32_t)i, logits[i]};

        if (is_worse(out[0], s)) {
            out[0] = s;
            sift(out, found);
        }
    }
    for (size_t left = found; left > 1; left--) { /* the worst of those left goes to the end */
        const struct scored worst = out[0];

        out[0] = out[left - 1];
        out[left - 1] = worst;
        sift(out, left - 1);
    }
    return found;
}
