/* SPDX-License-Identifier: MIT */
/* cmd_replay.c - a figure made again by the command that made it
 *
 * A figure says in its metadata what made it (figure.c has the shape). The command is run in this
 * process: no shell sees it, and it can be a command of wte alone. A figure may come from somebody
 * else, so one whose command would write anything but the figure is shown and not run. The new
 * figure takes the place of the old one, or goes to --to; whether its bytes are the same is said,
 * and if not, which input or version is another. */
#include "figure.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *target;
static bool dry_run;

static const struct option options[] = {
    {0, "to", OPT_TEXT, &target, "FILE", "write the figure there, not over the old one", NULL},
    {0, "dry-run", OPT_FLAG, &dry_run, NULL, "print the command and do not run it", NULL},
    OPTIONS_END};

static const struct example examples[] = {
    {"wte replay --dry-run matrix.svg", "the command that made a figure"},
    {"wte replay matrix.svg", "make it again, in its place"},
    {"wte replay matrix.svg --to matrix.pdf", "as another kind of file"},
    {NULL, NULL}};

const struct page page_replay = {
    .usage = {"[OPTION]... FIGURE"},
    .about =
        "Makes a figure again. Every .svg, .pdf and .png that wte draws keeps the command that "
        "made it, the version, the seed and hashes of the files it read. The command is run as it "
        "was typed, from the folder you are in; then it is said whether the figure is the same, "
        "byte for byte, and if not, what has changed.\n\n"
        "A command that would write other files too is shown and not run.",
    .options = options,
    .examples = examples};

/* ---- what the figure says ------------------------------------------------------------------- */

/* The command as one would type it. */
static void show_command(struct out *o, const json_t *command)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_-./,:=+@%";

    for (size_t i = 0; i < json_array_size(command); i++) {
        const char *word = json_string_value(json_array_get(command, i));

        if (i)
            out_text(o, " ");
        if (*word && strspn(word, plain) == strlen(word)) {
            out_text(o, word);
            continue;
        }
        out_text(o, "'");
        for (; *word; word++)
            if (*word == '\'')
                out_text(o, "'\\''");
            else
                out_bytes(o, word, 1);
        out_text(o, "'");
    }
    out_text(o, "\n");
}

/* An option that writes a file, of those that the command line has; NULL where there is none. */
static const char *writes_else(const json_t *command)
{
    static const char *const names[] = {"--output", "--trace-file", "--save-space", "--bridge"};

    for (size_t i = 2; i < json_array_size(command); i++) {
        const char *word = json_string_value(json_array_get(command, i));

        if (strcmp(word, "--") == 0)
            break;
        if (strncmp(word, "-o", 2) == 0)
            return word;
        for (size_t j = 0; j < sizeof names / sizeof *names; j++)
            if (strncmp(word, names[j], strlen(names[j])) == 0)
                return word;
    }
    return NULL;
}

/* The command of a figure's metadata, or NULL after a message. */
static const json_t *command_of(const json_t *made_by, const char *path)
{
    const json_t *command = json_object_get(made_by, "command");
    const struct command *found;
    size_t n = json_array_size(command);
    bool ok = n >= 2;

    for (size_t i = 0; ok && i < n; i++)
        ok = json_string_value(json_array_get(command, i)) != NULL;
    if (!ok) {
        fail("%s: its metadata has no command", path);
        return NULL;
    }
    found = find_command(json_string_value(json_array_get(command, 1)));
    if (!found || !(found->needs & GIVES_FIGURE)) {
        fail("%s: 'wte %s' draws no figures", path, json_string_value(json_array_get(command, 1)));
        return NULL;
    }
    return command;
}

static json_t *metadata(const char *path)
{
    char *text = NULL;
    wte_error err = {0};
    json_error_t where;
    json_t *made_by;

    if (wte_figure_provenance(path, &text, &err) != WTE_OK) {
        fail_with(&err);
        return NULL;
    }
    made_by = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    wte_text_free(text);
    if (!made_by)
        fail("%s: its metadata is no JSON: %s", path, where.text);
    return made_by;
}

/* ---- what has changed ------------------------------------------------------------------------ */

static const json_t *input_named(const json_t *inputs, const char *file)
{
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        const json_t *input = json_array_get(inputs, i);
        const char *name = json_string_value(json_object_get(input, "file"));

        if (name && strcmp(name, file) == 0)
            return input;
    }
    return NULL;
}

static void tell_changes(const json_t *before, const json_t *after)
{
    const json_t *inputs = json_object_get(before, "inputs"),
                 *now = json_object_get(after, "inputs");
    const char *version = json_string_value(json_object_get(before, "version"));
    size_t n = 0;

    if (version && strcmp(version, wte_version()) != 0) {
        note("the figure was made by wte %s, this is %s", version, wte_version());
        n++;
    }
    for (size_t i = 0; i < json_array_size(inputs); i++) {
        const json_t *input = json_array_get(inputs, i), *same;
        const char *file = json_string_value(json_object_get(input, "file"));

        if (!file)
            continue;
        same = input_named(now, file);
        if (!same || !json_equal(input, same)) {
            note(same ? "%s is not the file that the figure was made of"
                      : "%s is not read any more",
                 file);
            n++;
        }
    }
    if (n == 0)
        note("version and inputs are the same: libraries or fonts of this machine are others");
}

static int tell_result(const char *path, const char *written, const char *old, size_t old_n,
                       const json_t *before)
{
    char *bytes = NULL;
    size_t n = 0;
    json_t *after;

    if (!read_all(written, &bytes, &n))
        return EXIT_FAILED;
    if (n == old_n && memcmp(bytes, old, n) == 0) {
        note("%s: the same, byte for byte", written);
    } else if (strcmp(path, written) != 0 && !has_ending(written, strrchr(path, '.'))) {
        note("%s: drawn as another kind of file", written);
    } else {
        note("%s: not the same as before", written);
        after = metadata(written);
        if (after)
            tell_changes(before, after);
        json_decref(after);
    }
    free(bytes);
    return 0;
}

/* ---- running ----------------------------------------------------------------------------------- */

static int run_again(const char *path, const json_t *command, const json_t *made_by)
{
    const char *written = target ? target : path;
    size_t n = json_array_size(command), old_n = 0;
    char **argv = need_memory(n + 1, sizeof *argv), *old = NULL;
    int status = EXIT_FAILED;

    for (size_t i = 0; i < n; i++)
        argv[i] = strdup(json_string_value(json_array_get(command, i)));
    if (read_all(path, &old, &old_n)) {
        figure_save_to(written);
        status = run_command((int)n, argv);
    }
    if (status == 0)
        status = tell_result(path, written, old, old_n, made_by);
    free(old);
    for (size_t i = 0; i < n; i++)
        free(argv[i]);
    free(argv);
    return status;
}

int cmd_replay(void)
{
    const char *path = cli.words.n ? cli.words.items[0] : NULL, *other;
    struct out shown = {0};
    const json_t *command;
    json_t *made_by;
    int status = EXIT_FAILED;

    if (cli.words.n != 1)
        return usage("expected one FIGURE, as in 'wte replay matrix.svg'");
    if (target && !has_ending(target, ".svg .pdf .png"))
        return usage("--to %s: the ending must be one of .svg .pdf .png", target);
    made_by = metadata(path);
    command = made_by ? command_of(made_by, path) : NULL;
    if (!command)
        goto out;
    show_command(&shown, command);
    other = writes_else(command);
    if (dry_run) {
        sink_open();
        fwrite(shown.data, 1, shown.n, stdout);
        status = sink_close(NULL, 0);
    } else if (other) {
        fail("%s: its command also writes files (%s); run it yourself: %.*s", path, other,
             (int)shown.n - 1, shown.data);
    } else {
        note("%.*s", (int)shown.n - 1, shown.data);
        status = run_again(path, command, made_by);
    }
out:
    out_free(&shown);
    json_decref(made_by);
    return status;
}
