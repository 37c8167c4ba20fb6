/* SPDX-License-Identifier: MIT */
/* sampling.c - the options that change scores, for generate and for next --distribution
 *
 * Names and defaults are those of transformers' GenerationConfig, with dashes. Numbers go straight
 * into `sampling`, which the library has filled with its defaults before the command line is read;
 * lists and JSON are kept as text and read in sampling_ready(), when the model is open: ids are
 * counted against its vocabulary by the library.
 *
 * Memory of the lists lasts as long as the program. */
#include "sampling.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

wte_generate_options sampling;

static const size_t not_given = SIZE_MAX;

static struct {
    const char *eos, *pad, *bad_words, *bias, *suppress, *begin_suppress, *forced_bos, *forced_eos,
        *decay, *breakers;
    bool renormalize, remove_invalid;
} given;

static wte_generate_options at_first; /* to the byte, so that they can be compared */

void sampling_begin(void)
{
    wte_generate_options_init(&sampling);
    sampling.top_k = not_given;
    memcpy(&at_first, &sampling, sizeof sampling);
}

bool sampling_given(void)
{
    return memcmp(&at_first, &sampling, sizeof sampling) != 0 || given.eos || given.pad ||
           given.bad_words || given.bias || given.suppress || given.begin_suppress ||
           given.forced_bos || given.forced_eos || given.decay || given.breakers ||
           given.renormalize || given.remove_invalid;
}

const struct option length_options[] = {
    {0, "max-new-tokens", OPT_COUNT, &sampling.max_new_tokens, "N", "at most N new tokens", NULL},
    {0, "max-length", OPT_COUNT, &sampling.max_length, "N",
     "at most N tokens, the prompt included (20); --max-new-tokens goes before it", NULL},
    {0, "min-length", OPT_SIZE, &sampling.min_length, "N",
     "no end before N tokens, the prompt included", NULL},
    {0, "min-new-tokens", OPT_SIZE, &sampling.min_new_tokens, "N", "no end before N new tokens",
     NULL},
    {0, "eos-token-id", OPT_TEXT, &given.eos, "ID[,ID...]",
     "tokens that end a sequence (the one of config.json); none: no token does", NULL},
    {0, "pad-token-id", OPT_TEXT, &given.pad, "ID",
     "accepted for Hugging Face's sake: sequences are never padded here", NULL},
    OPTIONS_END};

const struct option processor_options[] = {
    {0, "sequence-bias", OPT_TEXT, &given.bias, "JSON",
     "add to the score of a sequence's last token: '[[[143],-4.0]]'", NULL},
    {0, "repetition-penalty", OPT_REAL, &sampling.repetition_penalty, "X",
     "divide scores above 0 of tokens that were there by X, multiply those below (1)", NULL},
    {0, "no-repeat-ngram-size", OPT_SIZE, &sampling.no_repeat_ngram_size, "N",
     "no N tokens in a row appear twice (0: off)", NULL},
    {0, "bad-words-ids", OPT_TEXT, &given.bad_words, "JSON",
     "sequences that may not appear: '[[1,2],[3]]'", NULL},
    {0, "forced-bos-token-id", OPT_TEXT, &given.forced_bos, "ID",
     "the token behind a prompt of one token", NULL},
    {0, "forced-eos-token-id", OPT_TEXT, &given.forced_eos, "ID[,ID...]",
     "the token at the maximal length", NULL},
    {0, "exponential-decay-length-penalty", OPT_TEXT, &given.decay, "START,FACTOR",
     "from START new tokens on, raise the end's score by |score| * (FACTOR^k - 1)", NULL},
    {0, "suppress-tokens", OPT_TEXT, &given.suppress, "ID[,ID...]", "tokens that never appear",
     NULL},
    {0, "begin-suppress-tokens", OPT_TEXT, &given.begin_suppress, "ID[,ID...]",
     "tokens that do not appear first", NULL},
    {0, "remove-invalid-values", OPT_FLAG, &given.remove_invalid, NULL,
     "take a NaN for 0 and infinities for the largest numbers, instead of an error", NULL},
    {0, "renormalize-logits", OPT_FLAG, &given.renormalize, NULL,
     "make log-probabilities of the scores again, last of all", NULL},
    {0, "dry-multiplier", OPT_REAL, &sampling.dry_multiplier, "X",
     "DRY: tokens that would go on with a repeated text lose X * base^(length - allowed) (0: off; "
     "0.8 is usual)",
     NULL},
    {0, "dry-base", OPT_REAL, &sampling.dry_base, "X", "DRY's base (1.75)", NULL},
    {0, "dry-allowed-length", OPT_SIZE, &sampling.dry_allowed_length, "N",
     "the longest repetition that costs nothing (2)", NULL},
    {0, "dry-range", OPT_SIZE, &sampling.dry_range, "N",
     "look at the last N tokens only (0: the whole text)", NULL},
    {0, "dry-breakers", OPT_TEXT, &given.breakers, "ID[,ID...]",
     "tokens over which a repetition does not reach", NULL},
    OPTIONS_END};

const struct option warper_options[] = {
    {0, "temperature", OPT_REAL, &sampling.temperature, "X", "divide the scores by X (1)", NULL},
    {0, "top-k", OPT_SIZE, &sampling.top_k, "N",
     "keep the N best tokens (50; 0: all); with --penalty-alpha the candidates", NULL},
    {0, "top-p", OPT_REAL, &sampling.top_p, "X", "keep the best tokens that make up X together (1)",
     NULL},
    {0, "min-p", OPT_REAL, &sampling.min_p, "X",
     "keep tokens at least X times as probable as the best (0)", NULL},
    {0, "typical-p", OPT_REAL, &sampling.typical_p, "X",
     "keep the most typical tokens that make up X together (1)", NULL},
    {0, "epsilon-cutoff", OPT_REAL, &sampling.epsilon_cutoff, "X",
     "keep tokens of at least this probability (0)", NULL},
    {0, "eta-cutoff", OPT_REAL, &sampling.eta_cutoff, "X",
     "the same with a bound that falls with the entropy (0)", NULL},
    {0, "top-n-sigma", OPT_REAL, &sampling.top_n_sigma, "X",
     "keep scores within X standard deviations of the best (0: off)", NULL},
    {0, "xtc-probability", OPT_REAL, &sampling.xtc_probability, "X",
     "XTC: in this share of the steps drop all of the top choices but the least (0: off)", NULL},
    {0, "xtc-threshold", OPT_REAL, &sampling.xtc_threshold, "X",
     "XTC: a top choice has at least this probability (0.1)", NULL},
    {0, "mirostat-tau", OPT_REAL, &sampling.mirostat_tau, "X",
     "mirostat 2: hold the surprise of tokens near X bits (0: off; 5 is usual)", NULL},
    {0, "mirostat-eta", OPT_REAL, &sampling.mirostat_eta, "X",
     "mirostat 2: how fast it learns (0.1)", NULL},
    OPTIONS_END};

/* ---- lists ------------------------------------------------------------------------------ */

static wte_ids kept(const uint32_t *ids, size_t n)
{
    uint32_t *own = need_memory(n, sizeof *own);

    if (n)
        memcpy(own, ids, n * sizeof *ids);
    return (wte_ids){own, n};
}

int read_id_list(const char *option, const char *text, wte_ids *out)
{
    struct ids ids = {0};
    wte_error err = {0};
    int status = 0;

    if (!add_ids(&ids, text, strlen(text), &err))
        status = usage("%s: %s", option, err.message);
    else if (ids.n == 0)
        status = usage("%s: no ids there: expected whole numbers with commas between", option);
    if (status)
        free(ids.items);
    else
        *out = (wte_ids){ids.items, ids.n};
    return status;
}

static bool json_id_of(const json_t *value, uint32_t *id)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > UINT32_MAX)
        return false;
    *id = (uint32_t)json_integer_value(value);
    return true;
}

/* An array of ids, not empty. */
static bool json_ids_of(const json_t *array, wte_ids *out)
{
    size_t n = json_array_size(array);
    uint32_t *ids;

    if (!n)
        return false;
    ids = need_memory(n, sizeof *ids);
    *out = (wte_ids){ids, n};
    for (size_t i = 0; i < n; i++) {
        if (!json_id_of(json_array_get(array, i), &ids[i])) {
            free(ids);
            return false;
        }
    }
    return true;
}

/* The array that a text is, or NULL after a message. */
static json_t *read_array(const char *option, const char *text, const char *like)
{
    json_error_t why = {0};
    json_t *array = json_loads(text, 0, &why);

    if (json_is_array(array) && json_array_size(array))
        return array;
    if (array)
        usage("%s: expected JSON such as %s", option, like);
    else
        usage("%s: no JSON: %s; expected something such as %s", option, why.text, like);
    json_decref(array);
    return NULL;
}

static int read_lists(const char *option, const char *text, const wte_ids **out, size_t *n)
{
    static const char like[] = "[[1,2],[3]]";
    json_t *array = read_array(option, text, like);
    wte_ids *lists;
    int status = 0;

    if (!array)
        return EXIT_USAGE;
    *n = json_array_size(array);
    *out = lists = need_memory(*n, sizeof *lists);
    for (size_t i = 0; i < *n && status == 0; i++)
        if (!json_ids_of(json_array_get(array, i), &lists[i]))
            status = usage("%s: element %zu is no list of ids: expected JSON such as %s", option, i,
                           like);
    json_decref(array);
    return status;
}

static int read_bias(const char *text)
{
    static const char like[] = "[[[143],-4.0]]";
    json_t *array = read_array("--sequence-bias", text, like);
    wte_sequence_bias *biases;
    int status = 0;

    if (!array)
        return EXIT_USAGE;
    sampling.n_sequence_bias = json_array_size(array);
    sampling.sequence_bias = biases = need_memory(sampling.n_sequence_bias, sizeof *biases);
    for (size_t i = 0; i < sampling.n_sequence_bias && status == 0; i++) {
        const json_t *pair = json_array_get(array, i), *bias = json_array_get(pair, 1);

        if (json_array_size(pair) != 2 || !json_is_number(bias) ||
            !json_ids_of(json_array_get(pair, 0), &biases[i].sequence))
            status = usage("--sequence-bias: element %zu is no pair of ids and a number: expected "
                           "JSON such as %s",
                           i, like);
        biases[i].bias = (float)json_number_value(bias);
    }
    json_decref(array);
    return status;
}

/* A phrase [1,2], or the choices of one [[1,2],[3]]. */
static bool read_word(const json_t *word, wte_forced_word *out)
{
    wte_ids *choices;

    out->n = json_is_array(json_array_get(word, 0)) ? json_array_size(word) : 1;
    out->choices = choices = need_memory(out->n, sizeof *choices);
    if (out->n == 1 && !json_is_array(json_array_get(word, 0)))
        return json_ids_of(word, choices);
    for (size_t i = 0; i < out->n; i++)
        if (!json_ids_of(json_array_get(word, i), &choices[i]))
            return false;
    return true;
}

int read_forced_words(const char *text)
{
    json_t *array = read_array("--force-words-ids", text, "[[1,2],[[3],[4,5]]]");
    wte_forced_word *words;
    int status = 0;

    if (!array)
        return EXIT_USAGE;
    sampling.n_force_words = json_array_size(array);
    sampling.force_words = words = need_memory(sampling.n_force_words, sizeof *words);
    for (size_t i = 0; i < sampling.n_force_words && status == 0; i++)
        if (!read_word(json_array_get(array, i), &words[i]))
            status = usage("--force-words-ids: element %zu is neither a list of ids nor a list of "
                           "such lists",
                           i);
    json_decref(array);
    return status;
}

static int read_decay(const char *text)
{
    const char *comma = strchr(text, ',');
    char start[24];
    uint64_t n = 0;
    float factor = 0;

    snprintf(start, sizeof start, "%.*s", comma && comma - text < 23 ? (int)(comma - text) : 0,
             text);
    if (!comma || !parse_number(start, INT32_MAX, &n) || !parse_real(comma + 1, &factor))
        return usage("--exponential-decay-length-penalty %s: expected START,FACTOR such as 10,1.05",
                     text);
    sampling.decay_start = (size_t)n;
    sampling.decay_factor = factor;
    return 0;
}

static int read_id(const char *option, const char *text, int64_t *out)
{
    uint64_t id = 0;

    if (!parse_number(text, UINT32_MAX, &id))
        return usage("%s %s: expected an id", option, text);
    *out = (int64_t)id;
    return 0;
}

/* ---- together --------------------------------------------------------------------------- */

/* The ids that config.json ends texts with; GPT2Config's own default where it is silent. Ids that
 * the model does not have end nothing. */
static void config_eos(const char *config, uint32_t n_vocab)
{
    json_t *root = json_loads(config, 0, NULL);
    const json_t *eos = json_object_get(root, "eos_token_id");
    uint32_t id = 50256;
    wte_ids ids = {NULL, 0};

    if (json_is_array(eos))
        json_ids_of(eos, &ids);
    else if (!eos || json_id_of(eos, &id))
        ids = kept(&id, 1);
    json_decref(root);
    for (size_t i = 0; i < ids.n; i++)
        if (ids.ids[i] >= n_vocab) {
            free((uint32_t *)ids.ids);
            return;
        }
    sampling.eos = ids;
}

static int read_given(const char *option, const char *text, wte_ids *out)
{
    return text ? read_id_list(option, text, out) : 0;
}

int sampling_ready(const char *config, uint32_t n_vocab)
{
    int status = 0;

    if (sampling.top_k == not_given) {
        wte_generate_options defaults;

        if (sampling.penalty_alpha > 0)
            return usage("--penalty-alpha needs --top-k N: contrastive search chooses among the N "
                         "best tokens, 4 is usual");
        wte_generate_options_init(&defaults);
        sampling.top_k = defaults.top_k;
    }
    sampling.renormalize_logits = given.renormalize;
    sampling.remove_invalid_values = given.remove_invalid;
    if (!given.eos)
        config_eos(config, n_vocab);
    else if (strcmp(given.eos, "none") != 0)
        status = read_id_list("--eos-token-id", given.eos, &sampling.eos);
    if (status == 0 && given.pad)
        status = read_id("--pad-token-id", given.pad, &sampling.pad_id);
    if (status == 0 && given.forced_bos)
        status = read_id("--forced-bos-token-id", given.forced_bos, &sampling.forced_bos_id);
    if (status == 0)
        status = read_given("--forced-eos-token-id", given.forced_eos, &sampling.forced_eos);
    if (status == 0)
        status = read_given("--suppress-tokens", given.suppress, &sampling.suppress);
    if (status == 0)
        status =
            read_given("--begin-suppress-tokens", given.begin_suppress, &sampling.begin_suppress);
    if (status == 0)
        status = read_given("--dry-breakers", given.breakers, &sampling.dry_breakers);
    if (status == 0 && given.bad_words)
        status = read_lists("--bad-words-ids", given.bad_words, &sampling.bad_words,
                            &sampling.n_bad_words);
    if (status == 0 && given.bias)
        status = read_bias(given.bias);
    if (status == 0 && given.decay)
        status = read_decay(given.decay);
    return status;
}

const char *idle_warper(void)
{
    wte_generate_options d;

    wte_generate_options_init(&d);
#define DIFFERS(field) (sampling.field < d.field || sampling.field > d.field)
    return DIFFERS(temperature)                            ? "--temperature"
           : DIFFERS(top_k) && sampling.penalty_alpha <= 0 ? "--top-k"
           : DIFFERS(top_p)                                ? "--top-p"
           : DIFFERS(min_p)                                ? "--min-p"
           : DIFFERS(typical_p)                            ? "--typical-p"
           : DIFFERS(epsilon_cutoff)                       ? "--epsilon-cutoff"
           : DIFFERS(eta_cutoff)                           ? "--eta-cutoff"
           : DIFFERS(top_n_sigma)                          ? "--top-n-sigma"
           : DIFFERS(xtc_probability)                      ? "--xtc-probability"
           : DIFFERS(mirostat_tau)                         ? "--mirostat-tau"
                                                           : NULL;
#undef DIFFERS
}

void tell_chain(const wte_chain *chain)
{
    struct out names = {0};

    for (size_t i = 0; i < wte_chain_length(chain); i++)
        out_format(&names, "%s%s", i ? ", " : "", wte_chain_name(chain, i));
    note("chain: %s", names.n ? names.data : "empty, the network's own scores");
    out_free(&names);
}
