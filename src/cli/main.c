/* SPDX-License-Identifier: MIT */
/* main.c - the table of commands and the dispatcher
 *
 * A command is one row here and one file beside this one. The dispatcher reads the options, opens
 * what the row's flags ask for, and runs it. To add a command: write cmd_NAME.c with its page and
 * its function, declare both in cli.h, add a row. Help, man page and completions follow.
 *
 * Exit status: 0 done, 1 it could not be done, 2 the command line was wrong, 128 + n stopped by
 * signal n. */
#include "figure.h"
#include "python.h"

#include <stdlib.h>
#include <string.h>

enum {
    SPACE = NEED_SPACE | GIVES_DATA,
    WORDS = SPACE | TAKES_WORDS,
    MANY_WORDS = WORDS | TAKES_FILE,
    PROMPT = TAKES_PROMPT | GIVES_DATA,
    MATCHING = TAKES_SEVERAL | TAKES_MATCHING | GIVES_DATA | GIVES_FIGURE,
    TOGETHER = MATCHING | TAKES_LIST
};

/* clang-format off */
const struct command commands[] = {
    {"nearest", cmd_nearest, MANY_WORDS | GIVES_FIGURE | GIVES_PYTHON, "space", "words nearest to a word, or to a sum of words", &page_nearest},
    {"similarity", cmd_similarity, WORDS | GIVES_FIGURE | GIVES_PYTHON, "space", "the cosine of two words, and what it is worth", &page_similarity},
    {"distance", cmd_distance, WORDS | GIVES_PYTHON, "space", "how far apart two words are", &page_distance},
    {"analogy", cmd_analogy, WORDS | GIVES_PYTHON, "space", "A is to B as C is to what?", &page_analogy},
    {"odd", cmd_odd, MANY_WORDS | GIVES_PYTHON, "space", "the word that goes least with the others", &page_odd},
    {"vector", cmd_vector, MANY_WORDS | GIVES_FIGURE | GIVES_PYTHON, "space", "the numbers of words", &page_vector},
    {"matrix", cmd_matrix, MANY_WORDS | GIVES_FIGURE | GIVES_PYTHON, "space", "every word with every other", &page_matrix},
    {"project", cmd_project, MANY_WORDS | GIVES_FIGURE | GIVES_PYTHON, "space", "words as points: principal components", &page_project},
    {"eval", cmd_eval, SPACE | TAKES_TOKENS | GIVES_FIGURE | GIVES_PYTHON, "space", "evaluation sets: analogies, judged pairs", &page_eval},
    {"match", cmd_match, MATCHING, "compare", "the words that models share", &page_match},
    {"rsa", cmd_rsa, TOGETHER, "compare", "are the same words alike in two models?", &page_rsa},
    {"compare", cmd_compare, TOGETHER, "compare", "CKA, Procrustes, CCA, shared neighbours", &page_compare},
    {"correlate", cmd_correlate, TOGETHER, "compare", "each word's vector here with its vector there", &page_correlate},
    {"isotropy", cmd_isotropy, TOGETHER, "compare", "does a space use all its directions?", &page_isotropy},
    {"tokenize", cmd_tokenize, TAKES_MODELS | GIVES_DATA | GIVES_PYTHON, "text", "text to token ids", &page_tokenize},
    {"detokenize", cmd_detokenize, TAKES_MODELS | GIVES_DATA | GIVES_PYTHON, "text", "token ids to text", &page_detokenize},
    {"vocab", cmd_vocab, TAKES_MODELS | GIVES_DATA, "text", "the tokens of a model", &page_vocab},
    {"generate", cmd_generate, TAKES_RUN | TAKES_SAMPLING | GIVES_DATA | GIVES_FIGURE | GIVES_PYTHON, "network", "continue a text with a GPT-2", &page_generate},
    {"next", cmd_next, PROMPT | TAKES_SAMPLING | GIVES_FIGURE | GIVES_PYTHON, "network", "the tokens that a GPT-2 expects next", &page_next},
    {"fill", cmd_fill, PROMPT | GIVES_PYTHON, "network", "what a BERT puts in the place of [MASK]", &page_fill},
    {"lens", cmd_lens, PROMPT | GIVES_FIGURE | GIVES_PYTHON, "network", "what each layer would predict", &page_lens},
    {"hidden", cmd_hidden, PROMPT | TAKES_FILE | GIVES_PYTHON, "network", "hidden states, and spaces made of them", &page_hidden},
    {"attention", cmd_attention, PROMPT | GIVES_FIGURE | GIVES_PYTHON, "network", "which tokens look at which", &page_attention},
    {"logits", cmd_logits, PROMPT | GIVES_PYTHON, "network", "the score of every token at every position", &page_logits},
    {"perplexity", cmd_perplexity, PROMPT | GIVES_PYTHON, "network", "how well a GPT-2 predicts a text", &page_perplexity},
    {"replay", cmd_replay, 0, "compare", "make a figure again", &page_replay},
    {"info", cmd_info, SPACE | NEED_MODEL, "models", "what was found in a file", &page_info},
    {"list", cmd_list, GIVES_DATA, "models", "the models found on this machine", &page_list},
    {"convert", cmd_convert, NEED_SPACE, "models", "write a space in another format", &page_convert},
    {"cache", cmd_cache, GIVES_DATA, "models", "what is kept for files that were opened", &page_cache},
    {"embedding", cmd_embedding, GIVES_DATA | GIVES_PYTHON, "layer", "a seeded nn.Embedding, equal to torch's", &page_embedding},
    {"help", cmd_help, 0, "help", "the manual of a command", &page_help},
    {"__man", cmd_man, HIDDEN, "help", "write the man pages to a folder", &page_man},
    {"__completion", cmd_completion, HIDDEN, "help", "print the completions for a shell", &page_completion},
    {NULL, NULL, 0, NULL, NULL, NULL}};
/* clang-format on */

const struct command *find_command(const char *name)
{
    for (const struct command *c = commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

int unknown_command(const char *name)
{
    const char *nearest = NULL;
    size_t least = 3;

    for (const struct command *c = commands; c->name; c++) {
        bool begins = strlen(name) > 1 && strncmp(c->name, name, strlen(name)) == 0;
        size_t n = begins ? 0 : edit_distance(name, c->name);

        if (n < least && !(c->needs & HIDDEN)) {
            least = n;
            nearest = c->name;
        }
    }
    if (nearest)
        return usage("there is no command '%s'; did you mean '%s'?", name, nearest);
    return usage("there is no command '%s'", name);
}

static int print(void (*printer)(struct out *))
{
    struct out o = {0};
    int status = 0;

    printer(&o);
    if (fwrite(o.data, 1, o.n, stdout) != o.n || fflush(stdout) != 0)
        status = fail("standard output: cannot write");
    out_free(&o);
    return status;
}

static void print_version(struct out *o)
{
    out_format(o, "wte %s\n", wte_version());
}

static void print_own_help(struct out *o)
{
    print_help(o, cli.command);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;

    if (!name)
        return print(print_overview);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return print(print_commands);
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        return print(print_version);
    if (name[0] == '-')
        return usage("expected a command, found '%s': options go behind it", name);
    catch_signals();
    return run_command(argc, argv);
}

int run_command(int argc, char **argv)
{
    int status;

    free(cli.words.items);
    free(cli.models.items);
    memset(&cli, 0, sizeof cli);
    cli.argc = argc;
    cli.argv = argv;
    cli.command = find_command(argv[1]);
    if (!cli.command)
        return unknown_command(argv[1]);
    if (cli.command->page->begin)
        cli.command->page->begin();
    status = parse_options(argc - 2, argv + 2);
    if (status)
        return status;
    if (cli.help)
        return print(print_own_help);
    status = figure_check();
    if (status)
        return status;
    if (cli.python)
        return show_python();
    if (cli.command->needs & NEED_SPACE) {
        status = open_model();
        if (status == 0 && !(cli.command->needs & NEED_MODEL))
            status = open_space();
        if (status)
            return status;
    }
    return cli.command->run();
}
