/* SPDX-License-Identifier: MIT */
/* man.c - the man pages, printed from the tables as man(7) roff
 *
 * `wte __man FOLDER` writes wte.1 and wte-COMMAND.1; the build runs it. In roff a backslash and a
 * dash must be escaped, and a line must not begin with a dot or a quote. */
#include "cli.h"

#include <string.h>

enum { WIDTH = 72 };

static const char date[] = "2026-11-21"; /* of the version */

const struct page page_man = {.usage = {"FOLDER"},
                              .about = "Writes wte.1 and wte-COMMAND.1 to a folder."};

static const char about[] =
    "Opens a file of word vectors where it lies and answers questions about it: nearest words, "
    "similarities, analogies, evaluations. The file may be word2vec binary or text, GloVe, "
    "fastText "
    ".vec, each also gzipped, or wte's own layout.\n\n"
    "MODEL is a file, a folder with one such file, or a name that wte-list(1) shows. Without it "
    "the "
    "model that ships with wte is used.";

static const char output[] =
    "For people a short table; colour only on a terminal.\n\n"
    "--json prints one object, of many queries one a line; the shapes are in each command's page "
    "and "
    "do not change. Numbers have the digits that restore the float32. A word that is no UTF-8 "
    "stands "
    "there with U+FFFD, and exactly, as an array of integers, in \"bytes\".\n\n"
    "--tsv prints tab-separated columns with a header; tab, newline, carriage return and backslash "
    "in "
    "words are written \\t, \\n, \\r and \\\\.\n\n"
    "In tables a space at the end of a word is shown as an open box, and bytes that cannot be "
    "shown "
    "as \\xNN.\n\n"
    "-o FILE writes the result to a file whose ending tells the format; it appears when it is "
    "complete.";

static const char exit_status[] = "0 done; 1 it could not be done, and one line on standard error "
                                  "says why; 2 the command line was "
                                  "wrong.";

static void roff_bytes(struct out *o, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool line = o->n == 0 || o->data[o->n - 1] == '\n';

        if (line && (text[i] == '.' || text[i] == '\''))
            out_text(o, "\\&");
        if (text[i] == '\\')
            out_text(o, "\\e");
        else if (text[i] == '-')
            out_text(o, "\\-");
        else
            out_bytes(o, text + i, 1);
    }
}

static void roff(struct out *o, const char *text)
{
    roff_bytes(o, text, strlen(text));
}

/* A new sentence begins a new line, and none is longer than WIDTH, as mandoc wants it; an empty
 * line is a paragraph. */
static void roff_paragraphs(struct out *o, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t len = strcspn(text, " \n");
        bool sentence = o->n && o->data[o->n - 1] == '.';

        if (column && (column + 1 + len > WIDTH || sentence)) {
            out_text(o, "\n");
            column = 0;
        } else if (column) {
            out_text(o, " ");
            column++;
        }
        roff_bytes(o, text, len);
        column += len;
        text += len;
        if (text[0] == '\n' && text[1] == '\n') {
            out_text(o, "\n.PP\n");
            column = 0;
            text++;
        }
        text += *text != 0;
    }
    out_text(o, "\n");
}

static void header(struct out *o, const char *name, const char *summary)
{
    char upper[64];
    size_t i;

    for (i = 0; name[i] && i + 1 < sizeof upper; i++)
        upper[i] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - 'a' + 'A' : name[i]);
    upper[i] = 0;
    out_format(o, ".TH %s 1 \"%s\" \"wte %s\" \"User Commands\"\n.SH NAME\n", upper, date,
               wte_version());
    roff(o, name);
    out_text(o, " \\- ");
    roff(o, summary);
    out_text(o, "\n");
}

static void roff_options(struct out *o, const struct command *command, const char *title,
                         const struct option *options)
{
    bool begun = false;

    for (const struct option *option = options; option && (option->letter || option->name);
         option++) {
        if (!takes_option(command, option))
            continue;
        if (!begun && title)
            out_format(o, ".SS %s\n", title);
        begun = true;
        out_text(o, ".TP\n");
        if (option->letter)
            out_format(o, "\\fB\\-%c\\fR", option->letter);
        if (option->letter && option->name)
            out_text(o, ", ");
        if (option->name) {
            out_text(o, "\\fB\\-\\-");
            roff(o, option->name);
            out_text(o, "\\fR");
        }
        if (option->value)
            out_format(o, " \\fI%s\\fR", option->value);
        out_text(o, "\n");
        roff_paragraphs(o, option->help);
        if (option->target == &cli.output)
            out_format(o, "(%s)\n", command->page->writes);
    }
}

static void roff_literal(struct out *o, const char *text)
{
    out_text(o, ".PP\n.nf\n.RS\n");
    roff(o, text);
    out_text(o, "\n.RE\n.fi\n");
}

static void command_page(struct out *o, const struct command *command, const char *name)
{
    const struct page *page = command->page;
    const char *title = NULL;

    header(o, name, command->summary);
    out_text(o, ".SH SYNOPSIS\n");
    for (size_t i = 0; i < sizeof page->usage / sizeof *page->usage && page->usage[i]; i++) {
        out_format(o, "%s.B wte %s\n", i ? ".br\n" : "", command->name);
        roff(o, page->usage[i]);
        out_text(o, "\n");
    }
    out_text(o, ".SH DESCRIPTION\n");
    roff_paragraphs(o, page->about);
    out_text(o, ".SH OPTIONS\n");
    roff_options(o, command, NULL, page->options);
    for (const struct option_group *g = option_groups; g->title; g++) {
        if (!takes_group(command, g))
            continue;
        roff_options(o, command, title && strcmp(title, g->title) == 0 ? NULL : g->title,
                     g->options);
        title = g->title;
    }
    out_text(o, ".SH EXIT STATUS\n");
    roff_paragraphs(o, exit_status);
    out_text(o, ".SH EXAMPLES\n");
    for (const struct example *e = page->examples; e && e->command; e++) {
        if (e != page->examples)
            out_text(o, ".PP\n");
        roff(o, e->shows);
        out_text(o, ":\n");
        roff_literal(o, e->command);
    }
    if (page->json) {
        out_text(o, ".SH JSON\n");
        out_text(o, "Numbers have the digits that restore the float32.\n");
        roff_literal(o, page->json);
    }
    out_text(o, ".SH SEE ALSO\n.BR wte (1)\n");
}

static void main_page(struct out *o)
{
    static const struct {
        const char *name, *text;
    } environment[] = {
        {"WTE_MODEL", "the model without -m"},
        {"WTE_CACHE", "folder for the indexes; else $XDG_CACHE_HOME/wte, else ~/.cache/wte"},
        {"WTE_INDEX_MIN", "files of at least so many bytes get an index (16 MiB)"},
        {"WTE_DATA_DIR", "where models/demo is; else it is found from where wte is installed"},
        {"GENSIM_DATA_DIR", "where gensim-data keeps its models; else ~/gensim-data"},
        {"NO_COLOR", "no colour when set"},
        {"WTE_CPU",
         "instruction set to use instead of the best one: c, avx2, avx512, vnni, neon, dotprod"}};

    header(o, "wte", "word vectors and token embeddings");
    out_text(o, ".SH SYNOPSIS\n.B wte\n.I COMMAND\n[\\fB\\-m\\fR \\fIMODEL\\fR] "
                "[\\fIOPTION\\fR]... [\\fIWORD\\fR]...\n.SH DESCRIPTION\n");
    roff_paragraphs(o, about);
    out_text(o, ".SH COMMANDS\n");
    for (const struct command *c = commands; c->name; c++) {
        if (c->needs & HIDDEN)
            continue;
        out_format(o, ".TP\n.BR wte\\-%s (1)\n", c->name);
        roff_paragraphs(o, c->summary);
    }
    out_text(o, ".SH OUTPUT\n");
    roff_paragraphs(o, output);
    out_text(o, ".SH EXIT STATUS\n");
    roff_paragraphs(o, exit_status);
    out_text(o, ".SH ENVIRONMENT\n");
    for (size_t i = 0; i < sizeof environment / sizeof *environment; i++) {
        out_format(o, ".TP\n.B %s\n", environment[i].name);
        roff_paragraphs(o, environment[i].text);
    }
    out_text(o, ".SH EXAMPLES\n.nf\n.RS\nwte nearest king\nwte similarity king queen\n"
                "wte analogy man king woman\n.RE\n.fi\n");
}

static int write_page(const char *name, const struct command *command)
{
    struct out page = {0}, path = {0};
    int status;

    out_format(&path, "%s/%s.1", cli.words.items[0], name);
    if (command)
        command_page(&page, command, name);
    else
        main_page(&page);
    status = write_file(path.data, page.data, page.n);
    out_free(&page);
    out_free(&path);
    return status;
}

int cmd_man(void)
{
    int status;

    if (cli.words.n != 1)
        return usage("expected a folder");
    status = write_page("wte", NULL);
    for (const struct command *c = commands; status == 0 && c->name; c++) {
        char name[64];

        snprintf(name, sizeof name, "wte-%s", c->name);
        if (!(c->needs & HIDDEN))
            status = write_page(name, c);
    }
    return status;
}
