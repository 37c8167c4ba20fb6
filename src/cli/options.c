/* SPDX-License-Identifier: MIT */
/* options.c - reads a command line by tables
 *
 * A command takes its own options (struct page) and those of the shared groups that its flags ask
 * for. Both are rows of struct option: letter, name, kind, and the variable that receives the
 * value. The same rows print the help, the man page and the completions.
 *
 * Accepted: -k 5, -k5, -qv, --metric cosine, --metric=cosine, options after words, and "--", behind
 * which everything is a word. A single "-" is a word. So is what begins with a dash and a digit
 * ("-5"), because no option does; other words with a dash in front need "--". Long names are not
 * abbreviated: a script that works today must not break when an option is added.
 *
 * getopt_long is not used: it keeps the options' help elsewhere, reorders argv and prints messages
 * of its own. */
#include "figure.h"
#include "python.h"
#include "sampling.h"
#include "together.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct option model_options[] = {
    {'m', "model", OPT_LIST, &cli.models, "MODEL",
     "name, folder or file of the model; without it $WTE_MODEL, else the model that ships with wte",
     NULL},
    {0, "embeddings", OPT_CHOICE, &cli.embeddings, "MATRIX",
     "which matrix of a GPT-2 or BERT model is its space: input (the default) or output",
     "input|output"},
    {0, "transform", OPT_TEXT, &cli.transform, "T[,T...]",
     "apply to the space first: center, abtt:D (all but the top D components), unit, pca:D", NULL},
    {0, "no-cache", OPT_FLAG, &cli.no_cache, NULL,
     "neither use nor keep anything of the model's files in the cache folder", NULL},
    {0, "threads", OPT_COUNT, &cli.threads, "N",
     "use N threads (one per processor); answers never depend on it", NULL},
    OPTIONS_END};

static const struct option models_options[] = {
    {'m', "model", OPT_LIST, &cli.models, "MODEL",
     "name, folder or file of the model; without it $WTE_MODEL", NULL},
    {0, "no-cache", OPT_FLAG, &cli.no_cache, NULL,
     "neither use nor keep anything of the model's files in the cache folder", NULL},
    OPTIONS_END};

static const struct option word_options[] = {
    {0, "ids", OPT_FLAG, &cli.ids, NULL, "the words given are token ids, or row numbers from 0",
     NULL},
    OPTIONS_END};

static const struct option token_options[] = {
    {0, "prefix-space", OPT_FLAG, &cli.prefix_space, NULL,
     "put a space before each word before it is tokenised, as within a text", NULL},
    {0, "pool", OPT_CHOICE, &cli.pool, "HOW",
     "make one vector of a word of several tokens: first, last, or their mean; without it such a "
     "word is an error",
     "none|first|mean|last"},
    OPTIONS_END};

static const struct option file_options[] = {
    {0, "words", OPT_TEXT, &cli.words_file, "FILE",
     "more words from a file, one a line (the first column of a TSV); - is standard input", NULL},
    OPTIONS_END};

static const struct option output_options[] = {
    {0, "json", OPT_FLAG, &cli.json, NULL, "print JSON; of many queries one object a line", NULL},
    {0, "tsv", OPT_FLAG, &cli.tsv, NULL, "print tab-separated columns with a header line", NULL},
    {'o', "output", OPT_TEXT, &cli.output, "FILE", "write the result to FILE instead", NULL},
    OPTIONS_END};

static const struct option general_options[] = {
    {'q', "quiet", OPT_FLAG, &cli.quiet, NULL, "no notes and no progress on standard error", NULL},
    {'v', "verbose", OPT_FLAG, &cli.verbose, NULL, "tell on standard error how it went", NULL},
    {'h', "help", OPT_FLAG, &cli.help, NULL, "print this help", NULL},
    OPTIONS_END};

const struct option_group option_groups[] = {
    {TAKES_WORDS, "Words", word_options},
    {TAKES_WORDS | TAKES_TOKENS, "Words", token_options},
    {TAKES_FILE, "Words", file_options},
    {NEED_SPACE, "Model", model_options},
    {TAKES_MODELS, "Model", models_options},
    {TAKES_LIST, "Words", list_options},
    {TAKES_MATCHING, "Words", matching_options},
    {TAKES_SEVERAL, "Models", several_options},
    {TAKES_PROMPT, "Prompt", prompt_options},
    {TAKES_SAMPLING, "Length", length_options},
    {TAKES_SAMPLING, "Processors", processor_options},
    {TAKES_SAMPLING, "Warpers, when sampling", warper_options},
    {TAKES_PROMPT | TAKES_RUN, "Model", run_options},
    {GIVES_DATA, "Output", output_options},
    {GIVES_FIGURE, "Figure", figure_options},
    {GIVES_PYTHON, "Output", python_options},
    {0, "General", general_options},
    {0, NULL, NULL}};

bool takes_group(const struct command *command, const struct option_group *group)
{
    return group->needs == 0 || (command->needs & group->needs) != 0;
}

/* -o is there only where the page says what can be written. */
bool takes_option(const struct command *command, const struct option *option)
{
    return option->target != &cli.output || command->page->writes;
}

static bool is_end(const struct option *option)
{
    return !option->letter && !option->name;
}

/* Find by letter (name NULL) or by the first n bytes of a name. */
static const struct option *find_in(const struct option *table, char letter, const char *name,
                                    size_t n)
{
    for (const struct option *o = table; o && !is_end(o); o++) {
        if (!takes_option(cli.command, o))
            continue;
        if (name ? o->name && strlen(o->name) == n && memcmp(o->name, name, n) == 0
                 : o->letter == letter)
            return o;
    }
    return NULL;
}

static const struct option *find_option(char letter, const char *name, size_t n)
{
    const struct option *found = find_in(cli.command->page->options, letter, name, n);

    for (const struct option_group *g = option_groups; !found && g->title; g++)
        if (takes_group(cli.command, g))
            found = find_in(g->options, letter, name, n);
    return found;
}

size_t edit_distance(const char *a, const char *b)
{
    size_t row[32], n = strlen(b);

    if (n >= sizeof row / sizeof *row)
        return n;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t best = diagonal + (a[i] != b[j]);

            diagonal = row[j + 1];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j + 1] = diagonal + 1 < best ? diagonal + 1 : best;
        }
    }
    return row[n];
}

bool parse_number(const char *text, uint64_t most, uint64_t *out)
{
    uint64_t value = 0;

    if (!*text)
        return false;
    for (const char *c = text; *c; c++) {
        uint64_t digit = (uint64_t)(*c - '0');

        if (*c < '0' || *c > '9' || value > (most - digit) / 10 || digit > most)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool parse_real(const char *text, float *out)
{
    char *end;
    float value;

    if (!*text || strspn(text, "+-.0123456789eE") != strlen(text))
        return false;
    value = strtof(text, &end);
    if (*end || !isfinite(value))
        return false;
    *out = value;
    return true;
}

static int set_choice(const struct option *option, const char *shown, const char *value)
{
    size_t len = strlen(value);
    int index = 0;

    for (const char *at = option->choices;; at++, index++) {
        size_t n = strcspn(at, "|");

        if (n == len && memcmp(at, value, n) == 0) {
            *(int *)option->target = index;
            return 0;
        }
        at += n;
        if (!*at)
            return usage("%s %s: expected one of %s", shown, value, option->choices);
    }
}

static int set_option(const struct option *option, const char *shown, const char *value)
{
    uint64_t number = 0;

    switch (option->kind) {
    case OPT_FLAG:
        *(bool *)option->target = true;
        return 0;
    case OPT_TEXT:
        *(const char **)option->target = value;
        return 0;
    case OPT_LIST:
        add_text(option->target, value);
        return 0;
    case OPT_COUNT:
        if (!parse_number(value, INT32_MAX, &number) || number == 0)
            return usage("%s %s: expected a whole number from 1", shown, value);
        *(size_t *)option->target = (size_t)number;
        return 0;
    case OPT_NUMBER:
        if (!parse_number(value, UINT64_MAX, &number))
            return usage("%s %s: expected a whole number from 0", shown, value);
        *(uint64_t *)option->target = number;
        return 0;
    case OPT_SIZE:
        if (!parse_number(value, INT32_MAX, &number))
            return usage("%s %s: expected a whole number from 0", shown, value);
        *(size_t *)option->target = (size_t)number;
        return 0;
    case OPT_REAL:
        if (!parse_real(value, option->target))
            return usage("%s %s: expected a number", shown, value);
        return 0;
    case OPT_CHOICE:
        return set_choice(option, shown, value);
    }
    return 0;
}

/* The long option most like a wrong one, or NULL. */
static const char *like_in(const struct option *table, const char *name, const char *like,
                           size_t *least)
{
    for (const struct option *o = table; o && !is_end(o); o++) {
        size_t n = o->name && takes_option(cli.command, o) ? edit_distance(name, o->name) : 9;

        if (n < *least) {
            *least = n;
            like = o->name;
        }
    }
    return like;
}

static int unknown_long(const char *arg, size_t n)
{
    char name[32];
    const char *like;
    size_t least = 3;

    snprintf(name, sizeof name, "%.*s", n < 31 ? (int)n : 31, arg + 2);
    like = like_in(cli.command->page->options, name, NULL, &least);
    for (const struct option_group *g = option_groups; g->title; g++)
        if (takes_group(cli.command, g))
            like = like_in(g->options, name, like, &least);
    if (like)
        return usage("unknown option '--%s'; did you mean '--%s'?", name, like);
    return usage("unknown option '--%s'", name);
}

/* --name, --name=value, --name value; `next` moves past a value that is an argument of its own. */
static int parse_long(const char *arg, char **argv, int argc, int *next)
{
    size_t n = strcspn(arg + 2, "=");
    const struct option *option = find_option(0, arg + 2, n);
    const char *value = arg[2 + n] ? arg + 2 + n + 1 : NULL;
    char shown[64];

    if (!option)
        return unknown_long(arg, n);
    snprintf(shown, sizeof shown, "--%s", option->name);
    if (option->kind == OPT_FLAG)
        return value ? usage("%s takes no value", shown) : set_option(option, shown, NULL);
    if (!value) {
        if (*next >= argc)
            return usage("%s needs a value: %s", shown, option->value);
        value = argv[(*next)++];
    }
    return set_option(option, shown, value);
}

/* -q, -qv, -k5, -k 5 */
static int parse_short(const char *arg, char **argv, int argc, int *next)
{
    for (const char *c = arg + 1; *c; c++) {
        const struct option *option = find_option(*c, NULL, 0);
        char shown[3] = {'-', *c, 0};
        int status;

        if (!option)
            return usage("unknown option '%s'; a word that begins with '-' goes behind '--'",
                         c == arg + 1 ? arg : shown);
        if (option->kind != OPT_FLAG) {
            const char *value = c[1] ? c + 1 : *next < argc ? argv[(*next)++] : NULL;

            if (!value)
                return usage("%s needs a value: %s", shown, option->value);
            return set_option(option, shown, value);
        }
        status = set_option(option, shown, NULL);
        if (status)
            return status;
    }
    return 0;
}

int parse_options(int argc, char **argv)
{
    bool only_words = false;

    for (int next = 0; next < argc;) {
        const char *arg = argv[next++];
        int status = 0;

        if (only_words || arg[0] != '-' || !arg[1] || (arg[1] >= '0' && arg[1] <= '9'))
            add_text(&cli.words, arg);
        else if (strcmp(arg, "--") == 0)
            only_words = true;
        else if (arg[1] == '-')
            status = parse_long(arg, argv, argc, &next);
        else
            status = parse_short(arg, argv, argc, &next);
        if (status)
            return status;
        if (cli.help)
            return 0;
    }
    if (cli.json && cli.tsv)
        return usage("--json and --tsv cannot both be printed");
    if (cli.output && !has_ending(cli.output, cli.command->page->writes))
        return usage("-o %s: the ending must be one of %s", cli.output, cli.command->page->writes);
    return 0;
}
