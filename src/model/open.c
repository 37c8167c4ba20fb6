/* SPDX-License-Identifier: MIT */
/* open.c - a model from what lies on disk, and the spaces of its token embeddings
 *
 * What a path is, is decided by looking:
 *
 *     folder         config.json, tokenizer files and weights by their customary names; each may be
 *                    missing
 *     .safetensors   wte's own layout says so in its metadata and is word vectors; any other is a
 *                    checkpoint, whose config and tokenizer lie beside it
 *     GGUF, zip, a pickle of torch's older format: a checkpoint likewise, by the first bytes
 *     vocab.json, vocab.txt, tokenizer.json: a tokenizer alone
 *     anything else  word vectors, which know their formats themselves
 *
 * The family comes from config.json's model_type, without one from the names of the tensors, and
 * without weights from the kind of tokenizer. A config is believed only where it agrees with the
 * tensors: each number that both know is compared, and a contradiction names both.
 *
 * The space of a model lies over the mapped matrix: no number is copied, unless its type (float64,
 * GGUF's Q8_0) is none that spaces read. Its words are the tokens' bytes. A row without a token
 * (matrices are padded to round sizes) is called <row N>, so that a search that finds it can say
 * so.
 *
 * Parameters are counted as sum(p.numel() for p in model.parameters()) does for the class that
 * config.json names: tied matrices once, masks and position ids not at all, and heads that the
 * class does not have neither. */
#include "model/model_internal.h"
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "format/safetensors.h"
#include "model/tree.h"
#include "space/space_internal.h"

static const size_t MAX_CONFIG = 16u << 20;

/** The names that a family gives to the same things. */
typedef struct names {
    const char *family, *embd, *positions, *output;
    const char *n_embd, *n_layer, *n_head, *n_ctx;
} names;

static const names families[] = {
    [WTE_FAMILY_GPT2] = {"gpt2", "wte.weight", "wpe.weight", "lm_head.weight", "n_embd", "n_layer",
                         "n_head", "n_positions"},
    [WTE_FAMILY_BERT] = {"bert", "embeddings.word_embeddings.weight",
                         "embeddings.position_embeddings.weight", "cls.predictions.decoder.weight",
                         "hidden_size", "num_hidden_layers", "num_attention_heads",
                         "max_position_embeddings"}};

/** Where the parts of a model lie; "" where there is none. */
typedef struct parts {
    char vectors[PATH_MAX], weights[PATH_MAX], tokenizer[PATH_MAX], config[PATH_MAX];
} parts;

/* ---- what lies where -------------------------------------------------------------------- */

static bool is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool join(char out[PATH_MAX], const char *folder, const char *name)
{
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX || !is_file(out))
        out[0] = '\0';
    return out[0] != '\0';
}

static bool ends_with(const char *s, const char *ending)
{
    size_t n = strlen(s), len = strlen(ending);

    return n >= len && strcmp(s + n - len, ending) == 0;
}

static void look_beside(const char *folder, parts *p)
{
    char path[PATH_MAX];

    join(p->config, folder, "config.json");
    if (join(path, folder, "vocab.json") || join(path, folder, "vocab.txt") ||
        join(path, folder, "tokenizer.json"))
        snprintf(p->tokenizer, sizeof p->tokenizer, "%s", folder);
}

/* A model's folder that has only config and tokenizer files has no weights. */
static bool has_weights(const char *folder)
{
    static const char *const others[] = {"config.json", "vocab.json", "vocab.txt",
                                         "tokenizer.json"};
    char path[PATH_MAX];

    if (join(path, folder, "model.safetensors") ||
        join(path, folder, "model.safetensors.index.json") ||
        join(path, folder, "pytorch_model.bin"))
        return true;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (join(path, folder, others[i]))
            return wte__find_gguf(folder, path, sizeof path);
    return true; /* a GGUF alone made this folder a model's */
}

static bool is_checkpoint(const char *path, bool *is_safetensors)
{
    static const unsigned char legacy[] = {0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C,
                                           0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19};
    unsigned char head[sizeof legacy] = {0};
    FILE *file = fopen(path, "re");
    size_t n;

    *is_safetensors = false;
    if (!file)
        return false;
    n = fread(head, 1, sizeof head, file);
    fclose(file);
    if (n < 4)
        return false;
    *is_safetensors = wte__safetensors_looks(head, n);
    return *is_safetensors || memcmp(head, "GGUF", 4) == 0 || memcmp(head, "PK\3\4", 4) == 0 ||
           (n == sizeof legacy && memcmp(head, legacy, sizeof legacy) == 0);
}

static void look_at_file(const char *path, parts *p)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    bool is_safetensors = false;
    char folder[PATH_MAX] = ".";

    if (slash)
        snprintf(folder, sizeof folder, "%.*s", slash > path ? (int)(slash - path) : 1, path);
    if (strcmp(base, "vocab.json") == 0 || strcmp(base, "vocab.txt") == 0 ||
        strcmp(base, "tokenizer.json") == 0) {
        snprintf(p->tokenizer, sizeof p->tokenizer, "%s", path);
        join(p->config, folder, "config.json");
    } else if (ends_with(base, ".safetensors.index.json") || strcmp(base, "config.json") == 0) {
        look_beside(folder, p);
        if (has_weights(folder))
            snprintf(p->weights, sizeof p->weights, "%s", folder);
    } else if (is_checkpoint(path, &is_safetensors) &&
               !(is_safetensors && wte__is_own_layout(path))) {
        look_beside(folder, p);
        snprintf(p->weights, sizeof p->weights, "%s", path);
    } else {
        snprintf(p->vectors, sizeof p->vectors, "%s", path);
    }
}

static void look(const char *path, parts *p)
{
    struct stat st;

    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        look_at_file(path, p);
        return;
    }
    look_beside(path, p);
    if (has_weights(path))
        snprintf(p->weights, sizeof p->weights, "%s", path);
}

/* ---- the config ------------------------------------------------------------------------- */

static wte_status read_config(wte_model *m, const char *path, wte_error *err)
{
    wte__map map = {0};
    json_error_t why;
    wte_status status = wte__map_open(&map, path, err);

    if (status != WTE_OK)
        return status;
    if (map.size > MAX_CONFIG) {
        status = wte__fail(err, WTE_E_FORMAT, "%s: %zu bytes are no config", path, map.size);
        goto out;
    }
    m->config = json_loadb((const char *)map.data, map.size, JSON_REJECT_DUPLICATES, &why);
    if (!m->config) {
        status = json_error_code(&why) == json_error_out_of_memory
                     ? wte__fail(err, WTE_E_NOMEM, "no memory to read %s", path)
                     : wte__fail_at(err, WTE_E_FORMAT, (uint64_t)why.position, "%s: line %d: %s",
                                    path, why.line, why.text);
        goto out;
    }
    if (!json_is_object(m->config)) {
        status = wte__fail(err, WTE_E_FORMAT, "%s: expected a JSON object", path);
        goto out;
    }
    m->config_text = wte__strndup((const char *)map.data, map.size);
    if (!m->config_text)
        status = wte__fail(err, WTE_E_NOMEM, "no memory for %s", path);
out:
    wte__map_close(&map);
    return status;
}

static bool set(json_t *object, const char *key, json_t *value)
{
    return value && json_object_set_new(object, key, value) == 0;
}

/* Copy a number of a GGUF's metadata into a config. */
static bool copy_number(wte_model *m, const char *arch, const char *from, const char *to)
{
    char key[128], *end = NULL;
    const char *text;
    double value;

    snprintf(key, sizeof key, "%.60s.%s", arch, from);
    text = wte_checkpoint_metadata(m->checkpoint, key);
    if (!text)
        return true;
    value = strtod(text, &end);
    if (end == text)
        return true;
    return set(m->config, to,
               strspn(text, "0123456789") == strlen(text) && value < 9e15
                   ? json_integer((json_int_t)value)
                   : json_real(value));
}

/* A GGUF carries its config in its metadata; it is given under the names of config.json. */
static wte_status config_of_gguf(wte_model *m, wte_error *err)
{
    static const char *const numbers[][2] = {
        {"context_length", "n_positions"},  {"embedding_length", "n_embd"},
        {"block_count", "n_layer"},         {"attention.head_count", "n_head"},
        {"feed_forward_length", "n_inner"}, {"attention.layer_norm_epsilon", "layer_norm_epsilon"}};
    const char *arch = wte_checkpoint_metadata(m->checkpoint, "general.architecture");
    char *text;
    bool complete;

    if (!arch)
        return WTE_OK;
    complete = set(m->config, "model_type", json_string(arch));
    for (size_t i = 0; complete && i < sizeof numbers / sizeof *numbers; i++)
        complete = copy_number(m, arch, numbers[i][0], numbers[i][1]);
    if (complete) {
        text = json_dumps(m->config, JSON_COMPACT);
        m->config_text = text ? wte__strdup(text) : NULL;
        free(text);
    }
    return m->config_text ? WTE_OK : wte__fail(err, WTE_E_NOMEM, "no memory for a config");
}

size_t wte__config_size(const wte_model *m, const char *key, size_t fallback)
{
    const json_t *value = json_object_get(m->config, key);

    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (size_t)json_integer_value(value)
               : fallback;
}

const char *wte__config_text(const wte_model *m, const char *key, const char *fallback)
{
    const char *text = json_string_value(json_object_get(m->config, key));

    return text ? text : fallback;
}

/* ---- family and sizes ------------------------------------------------------------------- */

static wte_status find_family(wte_model *m, wte_error *err)
{
    const char *type = wte__config_text(m, "model_type", NULL);

    for (int f = WTE_FAMILY_GPT2; f <= WTE_FAMILY_BERT; f++) {
        if (type ? strcmp(type, families[f].family) == 0
            : m->checkpoint
                ? wte_checkpoint_find(m->checkpoint, families[f].embd) != NULL
                : (f == WTE_FAMILY_GPT2) ==
                      (wte_tokenizer_get_info(m->tokenizer)->kind == WTE_TOKENIZER_GPT2)) {
            m->info.family = (wte_family)f;
            return WTE_OK;
        }
    }
    if (type)
        return wte__fail(err, WTE_E_UNSUPPORTED, "%s: model_type is '%.60s', expected gpt2 or bert",
                         m->path, type);
    return wte__fail(err, WTE_E_FORMAT,
                     "%s: neither wte.weight (GPT-2) nor embeddings.word_embeddings.weight (BERT) "
                     "is among its tensors",
                     m->path);
}

/* Compare one number of the config with a tensor's. */
static wte_status agree(const wte_model *m, const char *key, size_t found, const char *what,
                        const char *tensor, wte_error *err)
{
    size_t said = wte__config_size(m, key, found);
    const json_t *value = json_object_get(m->config, key);

    if (value && !json_is_null(value) && (!json_is_integer(value) || json_integer_value(value) < 0))
        return wte__fail(err, WTE_E_FORMAT, "%s: config.json: %s is no whole number from 0",
                         m->path, key);
    if (said == found)
        return WTE_OK;
    return wte__fail(err, WTE_E_SHAPE, "%s: config.json says %s %zu, %s has %zu %s", m->path, key,
                     said, tensor, found, what);
}

static wte_status need_matrix(const wte_model *m, const char *name, const wte_tensor **out,
                              wte_error *err)
{
    const wte_tensor *t = wte_checkpoint_find(m->checkpoint, name);

    if (!t)
        return wte__fail(err, WTE_E_FORMAT, "%s: there is no tensor %s", m->path, name);
    if (t->n_dims != 2 || t->shape[0] == 0 || t->shape[1] == 0 || t->shape[0] >= UINT32_MAX)
        return wte__fail(err, WTE_E_SHAPE, "%s: %s has %zu dimensions, expected a matrix", m->path,
                         name, t->n_dims);
    *out = t;
    return WTE_OK;
}

static const wte_tensor *layer_tensor(const wte_model *m, size_t layer)
{
    char name[80];

    if (m->info.family == WTE_FAMILY_GPT2)
        snprintf(name, sizeof name, "h.%zu.ln_1.weight", layer);
    else
        snprintf(name, sizeof name, "encoder.layer.%zu.attention.self.query.weight", layer);
    return wte_checkpoint_find(m->checkpoint, name);
}

static wte_status check_layers(wte_model *m, wte_error *err)
{
    const names *n = &families[m->info.family];
    size_t found = 0;

    while (layer_tensor(m, found))
        found++;
    m->info.n_layer = found;
    if (m->info.n_head && m->info.n_embd % m->info.n_head != 0)
        return wte__fail(err, WTE_E_SHAPE, "%s: config.json: %s %zu cannot be cut into %zu heads",
                         m->path, n->n_embd, m->info.n_embd, m->info.n_head);
    return agree(m, n->n_layer, found, "layers", "the checkpoint", err);
}

static wte_status check_sizes(wte_model *m, wte_error *err)
{
    const names *n = &families[m->info.family];
    const wte_tensor *embd = NULL, *positions = NULL;
    wte_status status = need_matrix(m, n->embd, &embd, err);

    if (status != WTE_OK)
        return status;
    m->info.n_vocab = (uint32_t)embd->shape[0];
    m->info.n_embd = embd->shape[1];
    if ((status = agree(m, "vocab_size", embd->shape[0], "rows", embd->name, err)) != WTE_OK ||
        (status = agree(m, n->n_embd, embd->shape[1], "columns", embd->name, err)) != WTE_OK)
        return status;
    if (wte_checkpoint_find(m->checkpoint, n->positions)) {
        status = need_matrix(m, n->positions, &positions, err);
        if (status != WTE_OK)
            return status;
        m->info.n_ctx = positions->shape[0];
        if (positions->shape[1] != m->info.n_embd)
            return wte__fail(err, WTE_E_SHAPE, "%s: %s has %zu columns, %s has %zu", m->path,
                             positions->name, positions->shape[1], embd->name, m->info.n_embd);
        status = agree(m, n->n_ctx, positions->shape[0], "rows", positions->name, err);
        if (status != WTE_OK)
            return status;
    }
    return check_layers(m, err);
}

/* ---- parameters ------------------------------------------------------------------------- */

const wte_tensor *wte__output_tensor(const wte_model *m)
{
    return m->checkpoint ? wte_checkpoint_find(m->checkpoint, families[m->info.family].output)
                         : NULL;
}

bool wte__is_tied(const wte_model *m)
{
    const json_t *tie = json_object_get(m->config, "tie_word_embeddings");

    if (json_is_boolean(tie))
        return json_is_true(tie);
    return json_object_size(m->config) > 0 || !wte__output_tensor(m);
}

static bool is_buffer(const char *name)
{
    return ends_with(name, ".attn.bias") || ends_with(name, ".attn.masked_bias") ||
           ends_with(name, "position_ids") || ends_with(name, "token_type_ids");
}

/* Does the class of the model have this tensor as a parameter of its own? */
static bool is_parameter(const wte_model *m, wte__class class, const wte_tensor *t)
{
    const wte_tensor *output = wte__output_tensor(m);

    if (is_buffer(t->name))
        return false;
    if (t == output)
        return !wte__is_tied(m) && class != WTE__GPT2_MODEL && class != WTE__BERT_MODEL;
    if (m->info.family != WTE_FAMILY_BERT)
        return true;
    if (strncmp(t->name, "cls.", 4) == 0 && class == WTE__BERT_MODEL)
        return false;
    if (class == WTE__BERT_MASKED_LM &&
        (strncmp(t->name, "cls.seq_relationship.", 21) == 0 || strstr(t->name, "pooler.dense.")))
        return false;
    return strcmp(t->name, "cls.predictions.decoder.bias") != 0;
}

static void count_parameters(wte_model *m)
{
    const wte_checkpoint_info *info = wte_checkpoint_get_info(m->checkpoint);
    const wte__class class = wte__model_class(m);
    uint64_t sum = 0;

    for (size_t i = 0; i < info->n_tensors; i++) {
        const wte_tensor *t = wte_checkpoint_tensor(m->checkpoint, i);
        uint64_t n = 1;

        for (size_t d = 0; d < t->n_dims; d++)
            n *= t->shape[d]; /* fits: the checkpoint holds so many */
        sum += is_parameter(m, class, t) ? n : 0;
    }
    m->info.parameters = sum;
    m->info.bytes = info->file_bytes;
}

/* ---- opening ---------------------------------------------------------------------------- */

/* What messages and tables call the model: the name given, or the last part of a path. */
static char *short_name(const char *name, const char *path)
{
    const char *end, *begin;
    char resolved[PATH_MAX];

    if (!name || !*name || strcmp(name, ".") == 0 || ends_with(name, "/.") || ends_with(name, ".."))
        name = realpath(path, resolved) ? resolved : path;
    end = name + strlen(name);
    while (end > name + 1 && end[-1] == '/')
        end--;
    begin = end;
    while (begin > name && begin[-1] != '/')
        begin--;
    return wte__strndup(begin, (size_t)(end - begin));
}

static wte_status open_vectors(wte_model *m, const char *path, const wte_open_options *options,
                               wte_error *err)
{
    const wte_space_info *info;
    wte_status status = wte_space_open(path, options, &m->vectors, err);

    if (status != WTE_OK)
        return status;
    info = wte_space_get_info(m->vectors);
    m->info.family = WTE_FAMILY_VECTORS;
    m->info.name = info->name;
    m->info.has_weights = 1;
    m->info.n_vocab = info->n_rows;
    m->info.n_embd = info->dim;
    m->info.parameters = (uint64_t)info->n_rows * info->dim;
    m->info.bytes = info->file_bytes;
    return WTE_OK;
}

static wte_status open_parts(wte_model *m, parts *p, const wte_open_options *options,
                             wte_error *err)
{
    wte_status status = WTE_OK;

    if (*p->config && (status = read_config(m, p->config, err)) != WTE_OK)
        return status;
    if (!m->config && !(m->config = json_object()))
        return wte__fail(err, WTE_E_NOMEM, "no memory for a config");
    if (*p->weights) {
        status = wte_checkpoint_open(p->weights, &m->checkpoint, err);
        if (status != WTE_OK)
            return status;
        m->info.has_weights = 1;
        if (!*p->config && (status = config_of_gguf(m, err)) != WTE_OK)
            return status;
        if (!*p->tokenizer && wte_checkpoint_metadata(m->checkpoint, "tokenizer.ggml.model"))
            wte__find_gguf(p->weights, p->tokenizer, sizeof p->tokenizer);
    }
    if (*p->tokenizer) {
        status =
            options->cache == WTE_CACHE_NEVER
                ? wte_tokenizer_open(p->tokenizer, &m->tokenizer, err)
                : wte_tokenizer_open_cached(p->tokenizer, options->cache_dir, &m->tokenizer, err);
        if (status != WTE_OK)
            return status;
    }
    if (!m->checkpoint && !m->tokenizer)
        return wte__fail(
            err, WTE_E_NOTFOUND,
            "%s: a config.json, but neither weights (model.safetensors, "
            "pytorch_model.bin, .gguf) nor tokenizer files (vocab.json and merges.txt, "
            "vocab.txt, tokenizer.json)",
            m->path);
    return WTE_OK;
}

static wte_status open_model(wte_model *m, parts *p, const wte_open_options *options,
                             wte_error *err)
{
    const names *n;
    wte_status status = open_parts(m, p, options, err);

    if (status != WTE_OK || (status = find_family(m, err)) != WTE_OK)
        return status;
    n = &families[m->info.family];
    if (m->config_text)
        m->info.config = m->config_text;
    m->info.n_embd = wte__config_size(m, n->n_embd, 0);
    m->info.n_layer = wte__config_size(m, n->n_layer, 0);
    m->info.n_head = wte__config_size(m, n->n_head, 0);
    m->info.n_ctx = wte__config_size(m, n->n_ctx, 0);
    if (m->tokenizer) {
        bool gpt2 = wte_tokenizer_get_info(m->tokenizer)->kind == WTE_TOKENIZER_GPT2;

        m->info.n_vocab = wte_tokenizer_get_info(m->tokenizer)->n_vocab;
        if (gpt2 != (m->info.family == WTE_FAMILY_GPT2))
            return wte__fail(err, WTE_E_FORMAT, "%s: a %s model with the tokenizer of %s", m->path,
                             n->family, gpt2 ? "gpt2" : "bert");
    }
    if (!m->checkpoint)
        return WTE_OK;
    status = check_sizes(m, err);
    if (status == WTE_OK) {
        count_parameters(m);
        wte__model_note(m, n->embd);
    }
    return status;
}

wte_status wte_model_open(const char *name, const wte_open_options *options, wte_model **out,
                          wte_error *err)
{
    wte_open_options defaults = WTE_OPEN_DEFAULTS;
    char path[PATH_MAX];
    wte_model *m = NULL;
    parts *p = NULL;
    wte_status status = wte_model_find(name, path, sizeof path, err);

    if (status != WTE_OK)
        return status;
    m = wte__calloc(1, sizeof *m);
    p = wte__calloc(1, sizeof *p);
    if (!m || !p || !(m->path = wte__strdup(path)) || !(m->name = short_name(name, path)) ||
        pthread_mutex_init(&m->lock, NULL) != 0) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to open %s", path);
        goto out;
    }
    m->has_lock = true;
    m->info.name = m->name;
    m->info.path = m->path;
    m->info.config = "{}";
    m->info.note = m->note;
    if (!options)
        options = &defaults;
    if (options->cache_dir && !(m->cache_dir = wte__strdup(options->cache_dir))) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to open %s", path);
        goto out;
    }
    m->n_threads = options->n_threads;
    m->cache = options->cache;
    m->progress = options->progress;
    m->progress_data = options->progress_data;
    look(path, p);
    status =
        *p->vectors ? open_vectors(m, p->vectors, options, err) : open_model(m, p, options, err);
    if (status != WTE_OK)
        goto out;
    *out = m;
    m = NULL;
out:
    wte_model_free(m);
    wte__free(p);
    return status;
}

void wte_model_free(wte_model *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < 2; i++) {
        wte_space_free(m->spaces[i].space);
        wte__free(m->spaces[i].words);
        wte__free(m->spaces[i].offsets);
        wte__free(m->spaces[i].widened);
    }
    for (size_t i = 0; i < sizeof m->networks / sizeof *m->networks; i++)
        wte_network_free(m->networks[i]);
    wte_encoder_free(m->encoder);
    wte_tokenizer_free(m->tokenizer);
    wte_checkpoint_free(m->checkpoint);
    wte_space_free(m->vectors);
    json_decref(m->config);
    wte__free(m->config_text);
    wte__free(m->cache_dir);
    wte__free(m->name);
    wte__free(m->path);
    if (m->has_lock)
        pthread_mutex_destroy(&m->lock);
    wte__free(m);
}

const wte_model_info *wte_model_get_info(const wte_model *model)
{
    return &model->info;
}

const wte_tokenizer *wte_model_tokenizer(const wte_model *model)
{
    return model->tokenizer;
}

const wte_checkpoint *wte_model_checkpoint(const wte_model *model)
{
    return model->checkpoint;
}

/* ---- spaces ----------------------------------------------------------------------------- */

/* The name of a row: the token's bytes, or digits in `buffer`. */
static const char *row_name(const wte_model *m, uint32_t id, char buffer[24], size_t *len)
{
    const char *piece = m->tokenizer ? wte_tokenizer_piece(m->tokenizer, id, len) : NULL;

    if (piece)
        return piece;
    *len = (size_t)snprintf(buffer, 24, m->tokenizer ? "<row %u>" : "%u", id);
    return buffer;
}

static wte_status name_rows(const wte_model *m, uint32_t n_rows, wte__token_space *s,
                            wte_error *err)
{
    char buffer[24];
    size_t len = 0, sum = 0;

    s->offsets = wte__calloc((size_t)n_rows + 1, sizeof *s->offsets);
    if (!s->offsets)
        goto nomem;
    for (uint32_t i = 0; i < n_rows; i++) {
        row_name(m, i, buffer, &len);
        sum += len;
        s->offsets[i + 1] = sum;
    }
    s->words = wte__calloc(sum + 1, 1);
    if (!s->words)
        goto nomem;
    for (uint32_t i = 0; i < n_rows; i++) {
        const char *name = row_name(m, i, buffer, &len);

        memcpy(s->words + s->offsets[i], name, len);
    }
    return WTE_OK;
nomem:
    return wte__fail(err, WTE_E_NOMEM, "no memory for the names of %u tokens", n_rows);
}

/* Q8_0: blocks of 32 numbers, a float16 scale and 32 signed bytes. */
static void widen_q8_0(const unsigned char *from, size_t n, float *to)
{
    for (size_t i = 0; i < n; i += 32, from += 34) {
        wte__rows scale = {from, NULL, 2, WTE_F16, 1, 1};
        float d;

        wte__row_to_f32(&scale, 0, &d);
        for (size_t j = 0; j < 32; j++)
            to[i + j] = d * (float)(int8_t)from[2 + j];
    }
}

/* Types that are widened number by number; a space reads the others itself. */
static const struct {
    const char *dtype;
    size_t bytes;
} wide[] = {{"F64", 8}, {"I64", 8}, {"I32", 4}, {"I16", 2}, {"I8", 1}, {"U8", 1}};

static float widen_one(const char *dtype, const unsigned char *from)
{
    union {
        double f64;
        int64_t i64;
        int32_t i32;
        int16_t i16;
    } x;

    if (dtype[0] == 'U')
        return *from;
    if (dtype[1] == '8')
        return (int8_t)*from;
    memcpy(&x, from, dtype[1] == '6' ? 8 : dtype[1] == '3' ? 4 : 2);
    if (dtype[0] == 'F')
        return (float)x.f64;
    return dtype[1] == '6' ? (float)x.i64 : dtype[1] == '3' ? (float)x.i32 : (float)x.i16;
}

static wte_status widen(const wte_tensor *t, float **out, wte_error *err)
{
    const bool q8 = strcmp(t->dtype, "Q8_0") == 0;
    const unsigned char *from = t->data;
    size_t n, bytes = 0;

    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (strcmp(t->dtype, wide[i].dtype) == 0)
            bytes = wide[i].bytes;
    if (!bytes && !q8)
        return wte__fail(err, WTE_E_UNSUPPORTED,
                         "%s is %s, expected F32, F16, BF16, F64, Q8_0 or whole numbers of at most "
                         "64 bits",
                         t->name, t->dtype);
    if (wte__mul_overflows(t->shape[0], t->shape[1], &n) ||
        (q8 ? t->shape[1] % 32 != 0 || t->bytes != (uint64_t)n / 32 * 34
            : t->bytes != (uint64_t)n * bytes))
        return wte__fail(err, WTE_E_SHAPE, "%s: [%zu, %zu] do not fit its %llu bytes of %s",
                         t->name, t->shape[0], t->shape[1], (unsigned long long)t->bytes, t->dtype);
    *out = wte__calloc(n, sizeof **out);
    if (!*out)
        return wte__fail(err, WTE_E_NOMEM, "no memory to widen %s", t->name);
    if (q8)
        widen_q8_0(from, n, *out);
    for (size_t i = 0; !q8 && i < n; i++)
        (*out)[i] = widen_one(t->dtype, from + i * bytes);
    return WTE_OK;
}

static wte_status make_space(const wte_model *m, const wte_tensor *t, wte__token_space *s,
                             wte_error *err)
{
    static const char *const names_of[] = {
        [WTE_F32] = "F32", [WTE_F16] = "F16", [WTE_BF16] = "BF16"};
    const void *matrix = t->data;
    wte_dtype dtype = WTE_F32;
    uint32_t n_rows;
    wte_status status;

    if (t->n_dims != 2 || t->shape[0] != m->info.n_vocab || t->shape[1] != m->info.n_embd)
        return wte__fail(err, WTE_E_SHAPE, "%s: %s has not the shape [%u, %zu] of the input matrix",
                         m->path, t->name, m->info.n_vocab, m->info.n_embd);
    n_rows = (uint32_t)t->shape[0];
    while (dtype <= WTE_BF16 && strcmp(t->dtype, names_of[dtype]) != 0)
        dtype++;
    if (dtype > WTE_BF16) {
        dtype = WTE_F32;
        status = widen(t, &s->widened, err);
        if (status != WTE_OK)
            return status;
        matrix = s->widened;
    }
    status = name_rows(m, n_rows, s, err);
    if (status == WTE_OK)
        status = wte__space_new_unmeasured(m->name, s->words, s->offsets, matrix, dtype, n_rows,
                                           t->shape[1], t->shape[1], m->n_threads, &s->space, err);
    if (status != WTE_OK)
        return status;
    s->space->info.path = m->path;
    s->space->info.format = wte_checkpoint_get_info(m->checkpoint)->format;
    s->space->info.file_bytes = m->info.bytes;
    return WTE_OK;
}

static wte_status token_space(wte_model *m, wte_embeddings which, wte_error *err)
{
    const names *n = &families[m->info.family];
    const wte_tensor *t = which == WTE_EMBEDDINGS_INPUT
                              ? wte_checkpoint_find(m->checkpoint, n->embd)
                              : wte__output_tensor(m);
    wte__token_space s = {0};
    wte_status status;

    if (!t)
        return wte__fail(err, WTE_E_NOTFOUND,
                         "%s: config.json says tie_word_embeddings false, and there is no tensor "
                         "%s",
                         m->path, n->output);
    status = make_space(m, t, &s, err);
    if (status == WTE_OK) {
        m->spaces[which] = s;
        return WTE_OK;
    }
    wte__free(s.words);
    wte__free(s.offsets);
    wte__free(s.widened);
    return status;
}

wte_status wte_model_space(wte_model *m, wte_embeddings which, const wte_space **out,
                           wte_error *err)
{
    wte_status status = WTE_OK;

    if (m->vectors) {
        *out = m->vectors;
        return WTE_OK;
    }
    if (!m->checkpoint)
        return wte__fail(err, WTE_E_NOTFOUND,
                         "%s has tokenizer files only: no model.safetensors, pytorch_model.bin or "
                         ".gguf in %s",
                         m->name, m->path);
    if (wte__is_tied(m))
        which = WTE_EMBEDDINGS_INPUT;
    pthread_mutex_lock(&m->lock);
    if (!m->spaces[which].space)
        status = token_space(m, which, err);
    if (status == WTE_OK)
        *out = m->spaces[which].space;
    pthread_mutex_unlock(&m->lock);
    return status;
}
