/* SPDX-License-Identifier: MIT */
/* cmd_info.c - what was found in a file or folder
 *
 * Word vectors are told of by their file; GPT-2 and BERT by their modules, drawn as print(model)
 * draws them. The space of a model is not made for this: it would have to read the matrix. */
#include "cli.h"

#include <string.h>

static const struct example examples[] = {
    {"wte info", "the model that ships with wte"},
    {"wte info --json", "the same for a program"},
    {"wte info -m gpt2", "the modules of a GPT-2, its parameters and bytes"},
    {NULL, NULL}};

const struct page page_info = {
    .usage = {"[OPTION]..."},
    .about =
        "Tells what was found: format, rows, width, how numbers are stored, words that stand "
        "twice (the first counts), rows without direction (zero or not finite, never found), "
        "the index kept for the file, and what random pairs of rows look like.\n\n"
        "Of a GPT-2 or BERT model: the tree of its modules as print(model) of transformers "
        "draws it, then parameters (as torch counts them: shared matrices once, buffers not at "
        "all), bytes, and the tokenizer.",
    .writes = ".json .tsv",
    .examples = examples,
    .json =
        "{\"name\":\"demo\",\"family\":\"word vectors\",\n"
        " \"config\":{\"format\":\"wte\",\"rows\":28921,\"dim\":96},\"parameters\":2776416,\n"
        " \"tensors\":[{\"name\":\"vectors\",\"dtype\":\"F16\",\"shape\":[28921,96]}],\n"
        " \"path\":\"...\",\"bytes\":...,\"duplicates\":0,\"undirected\":0,\"codes\":true,\n"
        " \"index\":{\"state\":\"none\",\"path\":\"\",\"bytes\":0,\"note\":\"\"},\"note\":\"\",\n"
        " \"baseline\":{\"mean\":...,\"sd\":...,\"p05\":...,\"p50\":...,\"p95\":...,\"pairs\":4096}"
        "}\n"
        "{\"name\":\"gpt2\",\"family\":\"gpt2\",\"config\":{...},\"parameters\":124439808,\n"
        " \"tensors\":[{\"name\":\"wte.weight\",\"dtype\":\"F32\",\"shape\":[50257,768]},...],\n"
        " \"path\":\"...\",\"format\":\"safetensors\",\"bytes\":...,\"weights\":true,\n"
        " \"tokenizer\":{\"kind\":\"gpt2\",\"source\":\"...\",\"tokens\":50257,\"holes\":0},"
        "\"note\":\"\"}"};

struct facts {
    const wte_space_info *info;
    wte_baseline baseline;
    bool has_baseline;
};

static const char *dtype_name(wte_dtype dtype)
{
    static const char *const names[] = {[WTE_F32] = "F32", [WTE_F16] = "F16", [WTE_BF16] = "BF16"};

    return names[dtype];
}

static const char *index_name(wte_index_state state)
{
    static const char *const names[] = {[WTE_INDEX_NONE] = "none",
                                        [WTE_INDEX_BUILT] = "built",
                                        [WTE_INDEX_REBUILT] = "rebuilt",
                                        [WTE_INDEX_FOUND] = "found",
                                        [WTE_INDEX_FAILED] = "failed"};

    return names[state];
}

static void write_baseline(struct out *o, const wte_baseline *b)
{
    const struct {
        const char *key;
        float value;
    } numbers[] = {
        {"mean", b->mean}, {"sd", b->sd}, {"p05", b->p05}, {"p50", b->p50}, {"p95", b->p95}};

    json_key(o, "baseline");
    json_open(o, '{');
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        json_key(o, numbers[i].key);
        json_float(o, numbers[i].value);
    }
    json_key(o, "pairs");
    json_count(o, b->n_pairs);
    json_close(o, '}');
}

static void write_config(struct out *o, const wte_space_info *info)
{
    json_key(o, "config");
    json_open(o, '{');
    json_key(o, "format");
    json_text(o, info->format);
    json_key(o, "rows");
    json_count(o, info->n_rows);
    json_key(o, "dim");
    json_count(o, info->dim);
    json_close(o, '}');
    json_key(o, "parameters");
    json_count(o, (uint64_t)info->n_rows * info->dim);
    json_key(o, "tensors");
    json_open(o, '[');
    json_open(o, '{');
    json_key(o, "name");
    json_text(o, "vectors");
    json_key(o, "dtype");
    json_text(o, dtype_name(info->dtype));
    json_key(o, "shape");
    json_open(o, '[');
    json_count(o, info->n_rows);
    json_count(o, info->dim);
    json_close(o, ']');
    json_close(o, '}');
    json_close(o, ']');
}

static void write_index(struct out *o, const wte_space_info *info)
{
    json_key(o, "index");
    json_open(o, '{');
    json_key(o, "state");
    json_text(o, index_name(info->index));
    json_key(o, "path");
    json_text(o, info->index_path);
    json_key(o, "bytes");
    json_count(o, info->index_bytes);
    json_key(o, "note");
    json_text(o, info->index_note);
    json_close(o, '}');
}

static void write_json(struct out *o, const struct facts *f)
{
    const wte_space_info *info = f->info;

    json_open(o, '{');
    json_key(o, "name");
    json_text(o, info->name);
    json_key(o, "family");
    json_text(o, "word vectors");
    write_config(o, info);
    json_key(o, "path");
    json_text(o, info->path);
    json_key(o, "bytes");
    json_count(o, info->file_bytes);
    json_key(o, "matrix_bytes");
    json_count(o, info->matrix_bytes);
    json_key(o, "first_row_offset");
    json_count(o, info->first_row_offset);
    json_key(o, "duplicates");
    json_count(o, info->n_duplicates);
    json_key(o, "undirected");
    json_count(o, info->n_undirected);
    json_key(o, "codes");
    json_bool(o, info->has_codes);
    write_index(o, info);
    json_key(o, "note");
    json_text(o, info->note);
    if (f->has_baseline)
        write_baseline(o, &f->baseline);
    json_close(o, '}');
    json_line(o);
}

struct text {
    const char *key, *value;
};

struct count {
    const char *key;
    uint64_t value;
};

static void write_keys(struct out *o, const struct text *texts, size_t n_texts,
                       const struct count *counts, size_t n_counts)
{
    out_text(o, "key\tvalue\n");
    for (size_t i = 0; i < n_texts; i++) {
        out_format(o, "%s\t", texts[i].key);
        out_tsv(o, texts[i].value, strlen(texts[i].value));
        out_text(o, "\n");
    }
    for (size_t i = 0; i < n_counts; i++)
        out_format(o, "%s\t%llu\n", counts[i].key, (unsigned long long)counts[i].value);
}

static void write_tsv(struct out *o, const struct facts *f)
{
    const wte_space_info *info = f->info;
    const struct text texts[] = {{"name", info->name},
                                 {"path", info->path},
                                 {"format", info->format},
                                 {"dtype", dtype_name(info->dtype)},
                                 {"note", info->note},
                                 {"index", index_name(info->index)},
                                 {"index_path", info->index_path}};
    const struct count counts[] = {{"rows", info->n_rows},
                                   {"dim", info->dim},
                                   {"bytes", info->file_bytes},
                                   {"matrix_bytes", info->matrix_bytes},
                                   {"duplicates", info->n_duplicates},
                                   {"undirected", info->n_undirected},
                                   {"codes", info->has_codes != 0},
                                   {"index_bytes", info->index_bytes}};

    write_keys(o, texts, sizeof texts / sizeof *texts, counts, sizeof counts / sizeof *counts);
}

static void add_index(struct table *t, const wte_space_info *info)
{
    char size[32];

    table_cell(t, "index");
    switch (info->index) {
    case WTE_INDEX_NONE:
        table_cell(t, "none");
        break;
    case WTE_INDEX_FAILED:
        table_cell(t, "could not be kept: %s", info->index_note);
        break;
    case WTE_INDEX_BUILT:
    case WTE_INDEX_REBUILT:
    case WTE_INDEX_FOUND:
        table_cell(t, "%s, %s, %s", index_name(info->index), show_size(info->index_bytes, size),
                   info->index_path);
        break;
    }
}

static void write_people(struct out *o, const struct facts *f)
{
    const wte_space_info *info = f->info;
    char rows[32], count[32], size[32];
    struct table t;

    out_style(o, BOLD);
    out_word(o, info->name, strlen(info->name));
    out_style(o, PLAIN);
    out_format(o, "  word vectors, %s rows of %zu numbers\n", show_count(info->n_rows, rows),
               info->dim);
    table_begin(&t, "ll", false);
    table_cell(&t, "file");
    table_cell(&t, "%s", *info->path ? info->path : "in memory");
    table_cell(&t, "format");
    table_cell(&t, "%s", info->format);
    table_cell(&t, "size");
    table_cell(&t, "%s, the matrix %s as %s", show_size(info->file_bytes, size),
               show_size(info->matrix_bytes, rows), dtype_name(info->dtype));
    table_cell(&t, "parameters");
    table_cell(&t, "%s", show_count((uint64_t)info->n_rows * info->dim, count));
    table_cell(&t, "duplicates");
    table_cell(&t, "%s%s", show_count(info->n_duplicates, count),
               info->n_duplicates ? " (the first row of a word counts)" : "");
    table_cell(&t, "no direction");
    table_cell(&t, "%s%s", show_count(info->n_undirected, count),
               info->n_undirected ? " (zero or not finite, never found)" : "");
    table_cell(&t, "8-bit codes");
    table_cell(&t, info->has_codes ? "yes" : "no, searches read every row in float32");
    add_index(&t, info);
    if (f->has_baseline) {
        table_cell(&t, "random pairs");
        table_cell(&t, "cosine %.3f ± %.3f, 90 %% of them from %.3f to %.3f",
                   (double)f->baseline.mean, (double)f->baseline.sd, (double)f->baseline.p05,
                   (double)f->baseline.p95);
    }
    if (*info->note) {
        table_cell(&t, "note");
        table_cell(&t, "%s", info->note);
    }
    table_end(&t, o);
}

static void write_facts(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const struct facts *) = {
        [PEOPLE] = write_people, [TSV] = write_tsv, [JSON] = write_json};

    writers[format](o, result);
}

/* ---- GPT-2 and BERT --------------------------------------------------------------------- */

static const char *family_name(const wte_model_info *info)
{
    return info->family == WTE_FAMILY_GPT2 ? "gpt2" : "bert";
}

static const char *checkpoint_format(const wte_model *model)
{
    const wte_checkpoint *checkpoint = wte_model_checkpoint(model);

    return checkpoint ? wte_checkpoint_get_info(checkpoint)->format : "";
}

static void write_tensors(struct out *o, const wte_checkpoint *checkpoint)
{
    size_t n = checkpoint ? wte_checkpoint_get_info(checkpoint)->n_tensors : 0;

    json_key(o, "tensors");
    json_open(o, '[');
    for (size_t i = 0; i < n; i++) {
        const wte_tensor *t = wte_checkpoint_tensor(checkpoint, i);

        json_open(o, '{');
        json_key(o, "name");
        json_text(o, t->name);
        json_key(o, "dtype");
        json_text(o, t->dtype);
        json_key(o, "shape");
        json_open(o, '[');
        for (size_t d = 0; d < t->n_dims; d++)
            json_count(o, t->shape[d]);
        json_close(o, ']');
        json_close(o, '}');
    }
    json_close(o, ']');
}

static void write_model_json(struct out *o, const wte_model *model)
{
    const wte_model_info *info = wte_model_get_info(model);
    const wte_tokenizer *tokenizer = wte_model_tokenizer(model);

    json_open(o, '{');
    json_key(o, "name");
    json_text(o, info->name);
    json_key(o, "family");
    json_text(o, family_name(info));
    json_key(o, "config");
    json_raw(o, info->config);
    json_key(o, "parameters");
    json_count(o, info->parameters);
    write_tensors(o, wte_model_checkpoint(model));
    json_key(o, "path");
    json_text(o, info->path);
    json_key(o, "format");
    json_text(o, checkpoint_format(model));
    json_key(o, "bytes");
    json_count(o, info->bytes);
    json_key(o, "weights");
    json_bool(o, info->has_weights != 0);
    if (tokenizer) {
        json_key(o, "tokenizer");
        json_open(o, '{');
        json_key(o, "kind");
        json_text(o, family_name(info));
        json_key(o, "source");
        json_text(o, wte_tokenizer_get_info(tokenizer)->source);
        json_key(o, "tokens");
        json_count(o, wte_tokenizer_get_info(tokenizer)->n_vocab);
        json_key(o, "holes");
        json_count(o, wte_tokenizer_get_info(tokenizer)->n_holes);
        json_close(o, '}');
    }
    json_key(o, "note");
    json_text(o, info->note);
    json_close(o, '}');
    json_line(o);
}

static void write_model_tsv(struct out *o, const wte_model *model)
{
    const wte_model_info *info = wte_model_get_info(model);
    const struct text texts[] = {{"name", info->name},
                                 {"family", family_name(info)},
                                 {"path", info->path},
                                 {"format", checkpoint_format(model)},
                                 {"note", info->note}};
    const struct count counts[] = {{"n_vocab", info->n_vocab}, {"n_embd", info->n_embd},
                                   {"n_layer", info->n_layer}, {"n_head", info->n_head},
                                   {"n_ctx", info->n_ctx},     {"parameters", info->parameters},
                                   {"bytes", info->bytes}};

    write_keys(o, texts, sizeof texts / sizeof *texts, counts, sizeof counts / sizeof *counts);
}

static void write_model_people(struct out *o, const wte_model *model)
{
    const wte_model_info *info = wte_model_get_info(model);
    const wte_tokenizer *tokenizer = wte_model_tokenizer(model);
    const wte_tokenizer_info *vocab = tokenizer ? wte_tokenizer_get_info(tokenizer) : NULL;
    char holes[32];
    char count[32], size[32], *tree = NULL;
    struct table t;

    if (info->has_weights && wte_model_tree(model, &tree, NULL) == WTE_OK) {
        out_text(o, tree);
        out_text(o, "\n");
        wte_text_free(tree);
    }
    table_begin(&t, "ll", false);
    table_cell(&t, "model");
    table_cell(&t, "%s", info->path);
    table_cell(&t, "parameters");
    if (info->has_weights)
        table_cell(&t, "%s", show_count(info->parameters, count));
    else
        table_cell(&t, "none: no model.safetensors, pytorch_model.bin or .gguf here");
    if (info->has_weights) {
        table_cell(&t, "size");
        table_cell(&t, "%s, %s", show_size(info->bytes, size), checkpoint_format(model));
    }
    table_cell(&t, "tokenizer");
    if (tokenizer)
        table_cell(&t, "%s, %s tokens%s%s%s", vocab->source,
                   show_count(vocab->n_vocab - vocab->n_holes, count), vocab->n_holes ? ", " : "",
                   vocab->n_holes ? show_count(vocab->n_holes, holes) : "",
                   vocab->n_holes ? " ids without a token" : "");
    else
        table_cell(&t, "none: words are token ids in decimal");
    if (*info->note) {
        table_cell(&t, "note");
        table_cell(&t, "%s", info->note);
    }
    table_end(&t, o);
}

static void write_model(struct out *o, enum format format, const void *result)
{
    static void (*const writers[])(struct out *, const wte_model *) = {
        [PEOPLE] = write_model_people, [TSV] = write_model_tsv, [JSON] = write_model_json};

    writers[format](o, result);
}

int cmd_info(void)
{
    struct facts facts = {0};
    int status;

    if (cli.words.n)
        return usage("'%s' is not expected: the model goes behind -m", cli.words.items[0]);
    if (wte_model_get_info(cli.model)->family != WTE_FAMILY_VECTORS) {
        sink_open();
        sink_put(write_model, cli.model);
        return sink_close(NULL, 0);
    }
    status = open_space();
    if (status)
        return status;
    facts.info = cli.info;
    facts.has_baseline = wte_space_baseline(cli.space, &facts.baseline, NULL) == WTE_OK;
    sink_open();
    sink_put(write_facts, &facts);
    return sink_close(NULL, 0);
}
