/* SPDX-License-Identifier: MIT */
/* completion.c - completions for bash, zsh and fish, printed from the tables
 *
 * `wte __completion SHELL` prints them; the build runs it. Completed are commands, options, the
 * values of an option with choices, files where an option takes one, and for -m also the names that
 * `wte list` knows. Words of a model are not: a space may have millions. */
#include "cli.h"

#include <string.h>

const struct page page_completion = {.usage = {"bash", "zsh", "fish"},
                                     .about = "Prints the completions for a shell."};

/* Call fn for every option of a command. */
typedef void (*option_fn)(struct out *o, const struct command *command,
                          const struct option *option);
static void each_in(struct out *o, const struct command *command, const struct option *options,
                    option_fn fn)
{
    for (const struct option *option = options; option && (option->letter || option->name);
         option++)
        if (takes_option(command, option))
            fn(o, command, option);
}

static void each_option(struct out *o, const struct command *command, option_fn fn)
{
    each_in(o, command, command->page->options, fn);
    for (const struct option_group *g = option_groups; g->title; g++)
        if (takes_group(command, g))
            each_in(o, command, g->options, fn);
}

/* Text inside single quotes of a shell. */
static void quoted(struct out *o, const char *text, const char *escaped)
{
    for (; *text; text++) {
        if (*text == '\'')
            out_text(o, "'\\''");
        else if (strchr(escaped, *text))
            out_format(o, "\\%c", *text);
        else
            out_bytes(o, text, 1);
    }
}

static bool is_model(const struct option *option)
{
    return option->target == &cli.models;
}

static bool is_file(const struct option *option)
{
    return option->value && strcmp(option->value, "FILE") == 0;
}

static void choices(struct out *o, const struct option *option)
{
    for (const char *c = option->choices; *c; c++)
        out_bytes(o, *c == '|' ? " " : c, 1);
}

static const char *subcommands(const struct command *command)
{
    if (strcmp(command->name, "eval") == 0)
        return "analogies pairs";
    return strcmp(command->name, "cache") == 0 ? "clear" : NULL;
}

static void command_names(struct out *o, const char *separator)
{
    bool begun = false;

    for (const struct command *c = commands; c->name; c++) {
        if (c->needs & HIDDEN)
            continue;
        if (begun)
            out_text(o, separator);
        out_text(o, c->name);
        begun = true;
    }
}

/* ---- bash ------------------------------------------------------------------------------- */

static void bash_option(struct out *o, const struct command *command, const struct option *option)
{
    (void)command;
    if (option->letter)
        out_format(o, " -%c", option->letter);
    if (option->name)
        out_format(o, " --%s", option->name);
}

static void bash_value(struct out *o, const struct command *command, const struct option *option)
{
    if (!option->value)
        return;
    out_text(o, "        ");
    if (option->letter)
        out_format(o, "%s:-%c", command->name, option->letter);
    if (option->letter && option->name)
        out_text(o, "|");
    if (option->name)
        out_format(o, "%s:--%s", command->name, option->name);
    out_text(o, ") ");
    if (option->choices) {
        out_text(o, "words='");
        choices(o, option);
        out_text(o, "' ;;\n");
    } else if (is_model(option)) {
        out_text(o, "files=1 words=$(wte list --tsv 2>/dev/null | sed '1d;s/\\t.*//') ;;\n");
    } else {
        out_text(o, is_file(option) ? "files=1 ;;\n" : "return ;;\n");
    }
}

static void bash(struct out *o)
{
    out_text(o, "# bash completion for wte\n"
                "_wte()\n{\n"
                "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                "    local command=${COMP_WORDS[1]} words= files=\n"
                "    COMPREPLY=()\n"
                "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                "        COMPREPLY=($(compgen -W '");
    command_names(o, " ");
    out_text(o, " --help --version' -- \"$current\"))\n"
                "        return\n"
                "    fi\n"
                "    case $command:$before in\n");
    for (const struct command *c = commands; c->name; c++)
        if (!(c->needs & HIDDEN))
            each_option(o, c, bash_value);
    out_text(o, "    *)\n        case $command in\n");
    for (const struct command *c = commands; c->name; c++) {
        if (c->needs & HIDDEN)
            continue;
        out_format(o, "        %s) words='", c->name);
        if (strcmp(c->name, "help") == 0)
            command_names(o, " ");
        if (subcommands(c))
            out_text(o, subcommands(c));
        each_option(o, c, bash_option);
        out_format(o, "' %s;;\n", strcmp(c->name, "eval") == 0 ? "files=1 " : "");
    }
    out_text(o, "        esac ;;\n    esac\n"
                "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                "    if [ -n \"$files\" ]; then\n"
                "        compopt -o filenames 2>/dev/null\n"
                "        COMPREPLY+=($(compgen -f -- \"$current\"))\n"
                "    fi\n"
                "}\ncomplete -F _wte wte\n");
}

/* ---- zsh -------------------------------------------------------------------------------- */

static void zsh_spec(struct out *o, const struct option *option, const char *dashes,
                     const char *name)
{
    out_format(o, " \\\n            '%s%s%s[", option->kind == OPT_LIST ? "*" : "", dashes, name);
    quoted(o, option->help, "[]\\");
    out_text(o, "]");
    if (option->value) {
        out_text(o, ":");
        quoted(o, option->value, "[]:\\");
        out_text(o, ":");
        if (option->choices) {
            out_text(o, "(");
            choices(o, option);
            out_text(o, ")");
        } else if (is_model(option)) {
            out_text(o, "_wte_models");
        } else if (is_file(option)) {
            out_text(o, "_files");
        }
    }
    out_text(o, "'");
}

static void zsh_option(struct out *o, const struct command *command, const struct option *option)
{
    char letter[2] = {option->letter, 0};

    (void)command;
    if (option->letter)
        zsh_spec(o, option, "-", letter);
    if (option->name)
        zsh_spec(o, option, "--", option->name);
}

static void zsh(struct out *o)
{
    out_text(o, "#compdef wte\n"
                "# zsh completion for wte\n"
                "_wte_models()\n{\n"
                "    local -a names\n"
                "    names=(${(f)\"$(wte list --tsv 2>/dev/null | sed '1d;s/\\t.*//')\"})\n"
                "    compadd -a names\n"
                "    _files\n"
                "}\n\n"
                "_wte()\n{\n"
                "    local -a names\n"
                "    if ((CURRENT == 2)); then\n"
                "        names=(");
    for (const struct command *c = commands; c->name; c++) {
        if (c->needs & HIDDEN)
            continue;
        out_format(o, "\n            '%s:", c->name);
        quoted(o, c->summary, ":\\");
        out_text(o, "'");
    }
    out_text(o, ")\n        _describe command names\n        return\n    fi\n"
                "    case $words[2] in\n");
    for (const struct command *c = commands; c->name; c++) {
        const char *sub = subcommands(c);

        if (c->needs & HIDDEN)
            continue;
        out_format(o, "    %s)\n        shift words\n        ((CURRENT--))\n        _arguments -s",
                   c->name);
        each_option(o, c, zsh_option);
        if (sub)
            out_format(o, " \\\n            '1:what:(%s)'", sub);
        if (strcmp(c->name, "eval") == 0)
            out_text(o, " \\\n            '2:file:_files'");
        if (strcmp(c->name, "help") == 0) {
            out_text(o, " \\\n            '1:command:(");
            command_names(o, " ");
            out_text(o, ")'");
        }
        out_text(o, " ;;\n");
    }
    out_text(o, "    esac\n}\n\n_wte \"$@\"\n");
}

/* ---- fish ------------------------------------------------------------------------------- */

static void fish_option(struct out *o, const struct command *command, const struct option *option)
{
    out_format(o, "complete -c wte -n '__fish_seen_subcommand_from %s'", command->name);
    if (option->letter)
        out_format(o, " -s %c", option->letter);
    if (option->name)
        out_format(o, " -l %s", option->name);
    if (option->choices) {
        out_text(o, " -x -a '");
        choices(o, option);
        out_text(o, "'");
    } else if (is_model(option)) {
        out_text(o, " -r -F -a '(wte list --tsv 2>/dev/null | sed \"1d;s/\\t.*//\")'");
    } else if (option->value) {
        out_text(o, is_file(option) ? " -r -F" : " -x");
    }
    out_text(o, " -d '");
    for (const char *c = option->help; *c; c++) { /* fish escapes inside single quotes */
        if (*c == '\'' || *c == '\\')
            out_text(o, "\\");
        out_bytes(o, c, 1);
    }
    out_text(o, "'\n");
}

static void fish(struct out *o)
{
    out_text(o, "# fish completion for wte\ncomplete -c wte -f\n");
    for (const struct command *c = commands; c->name; c++) {
        if (c->needs & HIDDEN)
            continue;
        out_format(o, "complete -c wte -n __fish_use_subcommand -a %s -d '", c->name);
        for (const char *s = c->summary; *s; s++) {
            if (*s == '\'' || *s == '\\')
                out_text(o, "\\");
            out_bytes(o, s, 1);
        }
        out_text(o, "'\n");
        if (subcommands(c))
            out_format(o, "complete -c wte -n '__fish_seen_subcommand_from %s' -a '%s'\n", c->name,
                       subcommands(c));
        each_option(o, c, fish_option);
    }
    out_text(o, "complete -c wte -n '__fish_seen_subcommand_from eval' -F\n"
                "complete -c wte -n '__fish_seen_subcommand_from help' -a '");
    command_names(o, " ");
    out_text(o, "'\n");
}

int cmd_completion(void)
{
    static const struct {
        const char *name;
        void (*print)(struct out *);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    struct out o = {0};

    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (cli.words.n != 1 || strcmp(cli.words.items[0], shells[i].name) != 0)
            continue;
        shells[i].print(&o);
        if (fwrite(o.data, 1, o.n, stdout) != o.n || fflush(stdout) != 0)
            return fail("standard output: cannot write");
        out_free(&o);
        return 0;
    }
    return usage("expected bash, zsh or fish");
}
