/* SPDX-License-Identifier: MIT */
/* cmd_cache.c - what is kept for files that were opened */
#include "cli.h"

#include <string.h>

static const struct example examples[] = {
    {"wte cache", "what is kept, for which files, how large"},
    {"wte cache --json", "the same for a program"},
    {"wte cache clear", "delete it all; it is made again when needed"},
    {NULL, NULL}};

const struct page page_cache = {
    .usage = {"[OPTION]...", "clear [OPTION]..."},
    .about =
        "When a large file of vectors is opened for the first time, what had to be computed (where "
        "rows begin, their lengths, a hash of the words, 8-bit codes) is kept in an index, so that "
        "the next open is instant; so are the tables of a large tokenizer and weights that were "
        "converted to bfloat16 or 8 bits. They are in $WTE_CACHE, $XDG_CACHE_HOME/wte or "
        "~/.cache/wte, whichever is set first. What is kept of a file that has changed is noticed "
        "and made "
        "again; --no-cache of the other commands turns all this off.",
    .writes = ".json .tsv",
    .examples = examples,
    .json = "{\"folder\":\"/home/ada/.cache/"
            "wte\",\"entries\":[{\"file\":\"...\",\"for\":\"news.bin\",\n"
            "  \"bytes\":1100000000,\"stale\":false}],\"bytes\":1100000000}"};

struct state {
    wte_cache_list list;
    bool cleared;
    size_t n;
    uint64_t bytes;
};

static void write_json(struct out *o, const struct state *s)
{
    json_open(o, '{');
    json_key(o, "folder");
    json_text(o, s->list.folder);
    json_key(o, "entries");
    json_open(o, '[');
    for (size_t i = 0; i < s->list.n; i++) {
        const wte_cache_entry *entry = &s->list.entries[i];

        json_open(o, '{');
        json_key(o, "file");
        json_text(o, entry->file);
        json_key(o, "for");
        json_text(o, entry->source);
        json_key(o, "bytes");
        json_count(o, entry->bytes);
        json_key(o, "stale");
        json_bool(o, entry->stale);
        json_close(o, '}');
    }
    json_close(o, ']');
    json_key(o, "bytes");
    json_count(o, s->list.bytes);
    if (s->cleared) {
        json_key(o, "deleted");
        json_open(o, '{');
        json_key(o, "entries");
        json_count(o, s->n);
        json_key(o, "bytes");
        json_count(o, s->bytes);
        json_close(o, '}');
    }
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const struct state *s)
{
    out_text(o, "file\tfor\tbytes\tstale\n");
    for (size_t i = 0; i < s->list.n; i++) {
        const wte_cache_entry *entry = &s->list.entries[i];

        out_tsv(o, entry->file, strlen(entry->file));
        out_text(o, "\t");
        out_tsv(o, entry->source, strlen(entry->source));
        out_format(o, "\t%llu\t%d\n", (unsigned long long)entry->bytes, entry->stale != 0);
    }
}

static void write_people(struct out *o, const struct state *s)
{
    struct table table;
    char size[32];

    if (s->cleared) {
        out_format(o, "deleted %zu %s, %s, from %s\n", s->n, s->n == 1 ? "file" : "files",
                   show_size(s->bytes, size), s->list.folder);
        return;
    }
    if (s->list.n == 0) {
        out_format(o, "nothing kept in %s\n", s->list.folder);
        return;
    }
    out_format(o, "%zu %s in %s, %s\n", s->list.n, s->list.n == 1 ? "file" : "files",
               s->list.folder, show_size(s->list.bytes, size));
    table_begin(&table, "lrll", true);
    table_cell(&table, "%s", "");
    table_cell(&table, "size");
    table_cell(&table, "for");
    table_cell(&table, "%s", "");
    for (size_t i = 0; i < s->list.n; i++) {
        const wte_cache_entry *entry = &s->list.entries[i];
        const char *source = *entry->source ? entry->source : entry->file;

        table_cell(&table, "%s", "");
        table_cell(&table, "%s", show_size(entry->bytes, size));
        table_word(&table, source, strlen(source));
        table_cell(&table, "%s", entry->stale ? "stale: the file is gone or has changed" : "");
    }
    table_end(&table, o);
}

static void write_state(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct state *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

int cmd_cache(void)
{
    struct state state = {0};
    wte_error err = {0};

    if (cli.words.n > 1 || (cli.words.n == 1 && strcmp(cli.words.items[0], "clear") != 0))
        return usage("expected nothing or 'clear', found '%s'", cli.words.items[cli.words.n - 1]);
    state.cleared = cli.words.n == 1;
    if (state.cleared && wte_cache_clear(NULL, &state.n, &state.bytes, &err) != WTE_OK)
        return fail_with(&err);
    if (wte_cache_get_list(NULL, &state.list, &err) != WTE_OK)
        return fail_with(&err);
    sink_open();
    sink_put(write_state, &state);
    wte_cache_list_free(&state.list);
    return sink_close(NULL, 0);
}
