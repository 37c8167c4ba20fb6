/* SPDX-License-Identifier: MIT */
/* cmd_list.c - the models found on this machine */
#include "cli.h"

#include <string.h>

static const struct example examples[] = {{"wte list", "names that -m takes"},
                                          {"wte list --json", "the same for a program"},
                                          {NULL, NULL}};

const struct page page_list = {
    .usage = {"[OPTION]..."},
    .about = "Lists the models found on this machine: the one that ships with wte, and those of "
             "gensim-data ($GENSIM_DATA_DIR, ~/gensim-data) and of the Hugging Face cache "
             "($HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub). Any other file or folder is "
             "given by its path.",
    .writes = ".json .tsv",
    .examples = examples,
    .json = "{\"models\":[{\"name\":\"demo\",\"kind\":\"ships with wte\",\"bytes\":6000000,"
            "\"path\":\"...\"}]}"};

static void write_json(struct out *o, const wte_model_list *list)
{
    json_open(o, '{');
    json_key(o, "models");
    json_open(o, '[');
    for (size_t i = 0; i < list->n; i++) {
        json_open(o, '{');
        json_key(o, "name");
        json_text(o, list->entries[i].name);
        json_key(o, "kind");
        json_text(o, list->entries[i].kind);
        json_key(o, "bytes");
        json_count(o, list->entries[i].bytes);
        json_key(o, "path");
        json_text(o, list->entries[i].path);
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
    json_line(o);
}

static void write_tsv(struct out *o, const wte_model_list *list)
{
    out_text(o, "name\tkind\tbytes\tpath\n");
    for (size_t i = 0; i < list->n; i++) {
        const wte_model_entry *entry = &list->entries[i];

        out_tsv(o, entry->name, strlen(entry->name));
        out_format(o, "\t%s\t%llu\t", entry->kind, (unsigned long long)entry->bytes);
        out_tsv(o, entry->path, strlen(entry->path));
        out_text(o, "\n");
    }
}

static void write_people(struct out *o, const wte_model_list *list)
{
    struct table table;
    char size[32];

    if (list->n == 0) {
        out_text(o, "no models found; -m takes the path of a file of word vectors\n");
        return;
    }
    table_begin(&table, "lrll", true);
    table_cell(&table, "name");
    table_cell(&table, "size");
    table_cell(&table, "%s", "");
    table_cell(&table, "file");
    for (size_t i = 0; i < list->n; i++) {
        const wte_model_entry *entry = &list->entries[i];

        table_word(&table, entry->name, strlen(entry->name));
        table_cell(&table, "%s", show_size(entry->bytes, size));
        table_cell(&table, "%s", entry->kind);
        table_word(&table, entry->path, strlen(entry->path));
    }
    table_end(&table, o);
}

static void write_list(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const wte_model_list *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

int cmd_list(void)
{
    wte_model_list list = {0};
    wte_error err = {0};

    if (cli.words.n)
        return usage("'%s' is not expected", cli.words.items[0]);
    if (wte_model_get_list(&list, &err) != WTE_OK)
        return fail_with(&err);
    sink_open();
    sink_put(write_list, &list);
    wte_model_list_free(&list);
    return sink_close(NULL, 0);
}
