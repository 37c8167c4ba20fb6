/* SPDX-License-Identifier: MIT */
/* help.c - the manual on the terminal, printed from the tables
 *
 * man.c prints the same pages as roff and completion.c the options for shells. */
#include "cli.h"

#include <string.h>

enum { WIDTH = 80, INDENT = 26 };

static const struct example examples[] = {{"wte help nearest", "the manual of a command"},
                                          {NULL, NULL}};

const struct page page_help = {.usage = {"[COMMAND]"},
                               .about = "Prints the manual of a command, or the list of commands.",
                               .examples = examples};

/* Write text in lines of at most WIDTH columns, the first of which begins at `column`. */
static void wrap(struct out *o, const char *text, size_t column, size_t indent)
{
    while (*text) {
        size_t len = strcspn(text, " \n"), width = display_width(text, len);

        if (column > indent && column + 1 + width > WIDTH) {
            out_format(o, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            out_text(o, " ");
            column++;
        }
        out_bytes(o, text, len);
        column += width;
        text += len;
        if (*text == '\n') {
            out_text(o, "\n");
            if (indent)
                out_format(o, "%*s", (int)indent, "");
            column = indent;
        }
        text += *text != 0;
    }
    out_text(o, "\n");
}

void describe_option(struct out *o, const struct option *option)
{
    if (option->letter)
        out_format(o, "-%c", option->letter);
    if (option->letter && option->name)
        out_text(o, ", ");
    if (option->name)
        out_format(o, "--%s", option->name);
    if (option->value)
        out_format(o, " %s", option->value);
}

static void print_options(struct out *o, const struct command *command, const char *title,
                          const struct option *options)
{
    bool begun = false;

    for (const struct option *option = options; option && (option->letter || option->name);
         option++) {
        struct out left = {0};
        size_t width;

        if (!takes_option(command, option))
            continue;
        if (!begun && title)
            out_format(o, "\n%s\n", title);
        begun = true;
        if (!option->letter)
            out_text(&left, "    ");
        describe_option(&left, option);
        width = display_width(left.data, left.n);
        out_format(o, "  %s", left.data);
        if (width + 4 > INDENT)
            out_format(o, "\n%*s", INDENT, "");
        else
            out_format(o, "%*s", (int)(INDENT - 2 - width), "");
        wrap(o, option->help, INDENT, INDENT);
        if (option->target == &cli.output)
            out_format(o, "%*sendings: %s\n", INDENT, "", command->page->writes);
        out_free(&left);
    }
}

void print_help(struct out *o, const struct command *command)
{
    const struct page *page = command->page;
    const char *title = NULL;

    out_format(o, "wte %s - %s\n\n", command->name, command->summary);
    for (size_t i = 0; i < sizeof page->usage / sizeof *page->usage && page->usage[i]; i++)
        out_format(o, "%s wte %s %s\n", i ? "      " : "usage:", command->name, page->usage[i]);
    out_text(o, "\n");
    wrap(o, page->about, 0, 0);
    print_options(o, command, "Options", page->options);
    for (const struct option_group *g = option_groups; g->title; g++) {
        bool same = title && strcmp(title, g->title) == 0;

        if (!takes_group(command, g))
            continue;
        print_options(o, command, same ? NULL : g->title, g->options);
        title = g->title;
    }
    out_text(o, "\nExamples\n");
    for (const struct example *e = page->examples; e && e->command; e++)
        out_format(o, "  $ %s\n      %s\n", e->command, e->shows);
    if (page->json) {
        out_text(o, "\nJSON\n");
        for (const char *line = page->json; *line;) {
            size_t len = strcspn(line, "\n");

            out_format(o, "  %.*s\n", (int)len, line);
            line += len + (line[len] == '\n');
        }
    }
}

void print_overview(struct out *o)
{
    out_text(o, "wte - word vectors and token embeddings, from the file you already have\n\n"
                "  $ wte nearest king                  words nearest to a word\n"
                "  $ wte similarity king queen         how alike two words are\n"
                "  $ wte analogy man king woman        man is to king as woman is to ...\n"
                "  $ wte info -m GoogleNews.bin        what is in your own file\n\n"
                "Without -m it uses the model that ships with wte.\n"
                "'wte --help' lists all commands, 'wte COMMAND --help' explains one.\n");
}

void print_commands(struct out *o)
{
    static const struct {
        const char *group, *title;
    } groups[] = {{"space", "Words and their vectors"},
                  {"compare", "Comparing models"},
                  {"text", "Text and tokens"},
                  {"network", "Running GPT-2 and BERT"},
                  {"models", "Models and files"},
                  {"layer", "Layers"},
                  {"help", "Help"}};

    out_text(o, "usage: wte COMMAND [-m MODEL] [OPTION]... [WORD]...\n");
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        out_format(o, "\n%s\n", groups[i].title);
        for (const struct command *c = commands; c->name; c++)
            if (!(c->needs & HIDDEN) && strcmp(c->group, groups[i].group) == 0)
                out_format(o, "  %-12s%s\n", c->name, c->summary);
    }
    out_text(o, "\nMODEL is a file, a folder, or a name that 'wte list' shows; without -m it is\n"
                "$WTE_MODEL, else the model that ships with wte. Most commands take --json, --tsv\n"
                "and -o FILE, and read one query a line from standard input with '-'.\n\n"
                "'wte COMMAND --help' explains a command with examples.\n");
}

int cmd_help(void)
{
    struct out o = {0};
    const struct command *command = NULL;
    int status = 0;

    if (cli.words.n > 1)
        return usage("expected one command, there are %zu", cli.words.n);
    if (cli.words.n) {
        command = find_command(cli.words.items[0]);
        if (!command)
            return unknown_command(cli.words.items[0]);
        print_help(&o, command);
    } else {
        print_commands(&o);
    }
    if (fwrite(o.data, 1, o.n, stdout) != o.n || fflush(stdout) != 0)
        status = fail("standard output: cannot write");
    out_free(&o);
    return status;
}
