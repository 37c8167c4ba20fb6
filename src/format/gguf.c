/* SPDX-License-Identifier: MIT */
/* gguf.c - llama.cpp's model files
 *
 *     "GGUF"  version (uint32, 2 or 3)  number of tensors (uint64)  number of values (uint64)
 *     values:   key (string)  type (uint32)  value
 *     tensors:  name (string)  dimensions n (uint32)  n sizes (uint64)  type (uint32)
 *               place of the data (uint64), from the start of the data
 *     zeros up to a multiple of the alignment
 *     data: tensors in the order of the list, each at a multiple of the alignment
 *
 * A string is a uint64 length and UTF-8; an array value is a type, a uint64 length and its values,
 * which may be arrays again. The alignment is the value general.alignment, else 32.
 *
 * Sizes are listed fastest first, so they are reversed here: [n_vocab, n_embd] as everywhere else.
 * GPT-2's linear layers (attn_qkv, attn_output, ffn_up, ffn_down) are stored [out, in], because the
 * converter transposes them; Hugging Face's Conv1D has [in, out]. The tensors are shown as they lie
 * in the file, also under their Hugging Face names: who multiplies has to look at the shape and the
 * format (wte_checkpoint_info.format is "GGUF").
 *
 * Q8_0 has blocks of 32 numbers of a row: a float16 scale d and 32 int8 q, 34 bytes; a number is
 * d * q. It is given as it is.
 *
 * Values stay in the file; only their places are kept, and their text, made when the file is
 * opened, as the checkpoint never changes afterwards. Version 1 (32-bit lengths) and big-endian
 * files are refused: GPT-2 files of either are not around.
 *
 * Source: docs/gguf.md of github.com/ggml-org/ggml; the names of GPT-2's tensors are those that
 * llama.cpp's converter gives. */
#include "format/gguf.h"
#include <inttypes.h>
#include <stdlib.h>

enum { MAX_VALUES = 65536, MAX_TENSORS = 1 << 20, MAX_DEPTH = 4, MAX_ALIGNMENT = 1 << 20 };

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64, N_TYPES };

static const struct {
    const char *plural;
    size_t size; /* 0: differs */
} types[N_TYPES] = {{"numbers", 1}, {"numbers", 1}, {"numbers", 2}, {"numbers", 2}, {"numbers", 4},
                    {"numbers", 4}, {"numbers", 4}, {"bools", 1},   {"strings", 0}, {"arrays", 0},
                    {"numbers", 8}, {"numbers", 8}, {"numbers", 8}};

typedef struct value {
    const char *key;
    char *text;
    uint32_t type, element; /* element: of an array */
    uint64_t n;             /* of an array */
    size_t at, end;         /* of the value, of an array's first item; its end */
} value;

struct wte__gguf {
    const unsigned char *data;
    value *values; /* [n] */
    size_t n;
};

typedef struct reader {
    const unsigned char *data;
    size_t size, at;
    const char *path;
} reader;

/* ---- bytes ------------------------------------------------------------------------------ */

static wte_status ends_early(const reader *r, wte_error *err)
{
    return wte__fail_at(err, WTE_E_FORMAT, r->at,
                        "%s: the file ends in the GGUF header, at byte %zu of %zu", r->path, r->at,
                        r->size);
}

static const unsigned char *take(reader *r, uint64_t n)
{
    const unsigned char *bytes = r->data + r->at;

    if (n > r->size - r->at)
        return NULL;
    r->at += (size_t)n;
    return bytes;
}

static bool take_u32(reader *r, uint32_t *out)
{
    const unsigned char *bytes = take(r, 4);

    if (bytes)
        *out = wte__load_u32(bytes);
    return bytes != NULL;
}

static bool take_u64(reader *r, uint64_t *out)
{
    const unsigned char *bytes = take(r, 8);

    if (bytes)
        *out = wte__load_u64(bytes);
    return bytes != NULL;
}

static bool take_string(reader *r, const char **s, size_t *len)
{
    const unsigned char *bytes;
    uint64_t n;

    if (!take_u64(r, &n) || !(bytes = take(r, n)))
        return false;
    *s = (const char *)bytes;
    *len = (size_t)n;
    return true;
}

/* Go past a value of a type. */
static wte_status skip(reader *r, uint32_t type, unsigned depth, wte_error *err)
{
    const char *s;
    size_t len;
    uint32_t element;
    uint64_t n, bytes;

    if (type >= N_TYPES)
        return wte__fail_at(err, WTE_E_FORMAT, r->at, "%s: a value has the unknown type %" PRIu32,
                            r->path, type);
    if (types[type].size)
        return take(r, types[type].size) ? WTE_OK : ends_early(r, err);
    if (type == STRING)
        return take_string(r, &s, &len) ? WTE_OK : ends_early(r, err);
    if (depth == MAX_DEPTH)
        return wte__fail_at(err, WTE_E_FORMAT, r->at, "%s: arrays nested more than %d deep",
                            r->path, MAX_DEPTH);
    if (!take_u32(r, &element) || !take_u64(r, &n))
        return ends_early(r, err);
    if (element < N_TYPES && types[element].size) {
        if (__builtin_mul_overflow(n, types[element].size, &bytes) || !take(r, bytes))
            return ends_early(r, err);
        return WTE_OK;
    }
    for (uint64_t i = 0; i < n; i++) { /* each takes at least eight bytes */
        wte_status status = skip(r, element, depth + 1, err);

        if (status != WTE_OK)
            return status;
    }
    return WTE_OK;
}

/* ---- values ----------------------------------------------------------------------------- */

static int64_t load_integer(const unsigned char *p, uint32_t type)
{
    uint64_t v = 0;
    size_t size = types[type].size;

    for (size_t i = 0; i < size; i++)
        v |= (uint64_t)p[i] << (8 * i);
    switch (type) {
    case I8:
        return (int8_t)v;
    case I16:
        return (int16_t)v;
    case I32:
        return (int32_t)v;
    default:
        return (int64_t)v;
    }
}

static double load_f64(const unsigned char *p)
{
    double v;

    memcpy(&v, p, sizeof v);
    return v;
}

static char *text_of(const reader *r, const value *v)
{
    const unsigned char *p = r->data + v->at;
    char text[64];

    switch (v->type) {
    case STRING:
        return wte__strndup((const char *)p + 8, (size_t)wte__load_u64(p));
    case ARRAY:
        snprintf(text, sizeof text, "%" PRIu64 " %s", v->n,
                 v->element < N_TYPES ? types[v->element].plural : "values");
        break;
    case BOOL:
        snprintf(text, sizeof text, "%s", p[0] ? "true" : "false");
        break;
    case F32:
        snprintf(text, sizeof text, "%.9g", (double)wte__load_f32(p));
        break;
    case F64:
        snprintf(text, sizeof text, "%.17g", load_f64(p));
        break;
    case U64:
        snprintf(text, sizeof text, "%" PRIu64, wte__load_u64(p));
        break;
    default:
        snprintf(text, sizeof text, "%" PRId64, load_integer(p, v->type));
    }
    return wte__strdup(text);
}

static const value *find_value(const struct wte__gguf *g, const char *key)
{
    for (size_t i = 0; i < g->n; i++)
        if (strcmp(g->values[i].key, key) == 0)
            return &g->values[i];
    return NULL;
}

static bool is_name(const char *s, size_t len)
{
    return len > 0 && !memchr(s, '\0', len) && wte__utf8_valid(s, len);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const value *)a)->key, ((const value *)b)->key);
}

static wte_status read_value(wte_checkpoint *c, reader *r, value *v, wte_error *err)
{
    const char *key;
    wte_status status;
    size_t len;
    char *copy;

    if (!take_string(r, &key, &len) || !take_u32(r, &v->type))
        return ends_early(r, err);
    if (!is_name(key, len))
        return wte__fail_at(err, WTE_E_FORMAT, r->at, "%s: a key of its metadata is no text",
                            r->path);
    copy = wte__checkpoint_block(c, len + 1);
    if (!copy)
        goto no_memory;
    memcpy(copy, key, len);
    v->key = copy;
    v->at = r->at;
    status = skip(r, v->type, 0, err);
    if (status != WTE_OK)
        return status;
    v->end = r->at;
    if (v->type == ARRAY) {
        v->element = wte__load_u32(r->data + v->at);
        v->n = wte__load_u64(r->data + v->at + 4);
        v->at += 12;
    }
    v->text = text_of(r, v);
    if (!v->text)
        goto no_memory;
    return WTE_OK;
no_memory:
    return wte__fail(err, WTE_E_NOMEM, "no memory for the metadata of %s", r->path);
}

static wte_status read_values(wte_checkpoint *c, reader *r, uint64_t n, wte_error *err)
{
    struct wte__gguf *g = wte__calloc(1, sizeof *g);

    if (!g)
        return wte__fail(err, WTE_E_NOMEM, "no memory for the metadata of %s", r->path);
    c->gguf = g;
    g->data = r->data;
    g->values = wte__calloc((size_t)n, sizeof *g->values);
    if (!g->values)
        return wte__fail(err, WTE_E_NOMEM, "no memory for the metadata of %s", r->path);
    for (g->n = 0; g->n < n;) {
        wte_status status = read_value(c, r, &g->values[g->n++], err);

        if (status != WTE_OK)
            return status;
    }
    if (n)
        qsort(g->values, g->n, sizeof *g->values, by_key);
    for (size_t i = 1; i < g->n; i++)
        if (by_key(&g->values[i - 1], &g->values[i]) == 0)
            return wte__fail(err, WTE_E_FORMAT, "%s: its metadata has '%s' twice", r->path,
                             g->values[i].key);
    return WTE_OK;
}

/* ---- tensors ---------------------------------------------------------------------------- */

typedef struct tensor {
    const char *name;
    size_t name_len;
    wte_tensor t;
    uint64_t elements, place;
} tensor;

static const struct {
    uint32_t id;
    const char *name;
    size_t block, bytes;
} kinds[] = {{0, "F32", 1, 4},    {1, "F16", 1, 2},  {30, "BF16", 1, 2},
             {8, "Q8_0", 32, 34}, {28, "F64", 1, 8}, {24, "I8", 1, 1},
             {25, "I16", 1, 2},   {26, "I32", 1, 4}, {27, "I64", 1, 8}};

/* The name of a type that is not read, for the message. */
static const char *quantised(uint32_t id)
{
    static const char *const names[] = {NULL,      NULL,    "Q4_0",   "Q4_1",  "Q4_2",    "Q4_3",
                                        "Q5_0",    "Q5_1",  NULL,     "Q8_1",  "Q2_K",    "Q3_K",
                                        "Q4_K",    "Q5_K",  "Q6_K",   "Q8_K",  "IQ2_XXS", "IQ2_XS",
                                        "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S",   "IQ4_XS"};

    return id < sizeof names / sizeof *names && names[id] ? names[id] : "an unknown one";
}

static wte_status bad_tensor(const reader *r, const tensor *t, const char *what, wte_error *err)
{
    return wte__fail_at(err, WTE_E_FORMAT, r->at, "%s: tensor '%.*s' %s", r->path,
                        (int)(t->name_len < 128 ? t->name_len : 128), t->name, what);
}

static wte_status read_type(const reader *r, uint32_t id, tensor *t, wte_error *err)
{
    char what[128];

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        uint64_t row = t->t.n_dims ? t->t.shape[t->t.n_dims - 1] : 1;

        if (kinds[i].id != id)
            continue;
        t->t.dtype = kinds[i].name;
        if (row % kinds[i].block)
            return bad_tensor(r, t, "has rows that are no whole number of blocks of 32", err);
        if (__builtin_mul_overflow(t->elements / kinds[i].block, kinds[i].bytes, &t->t.bytes))
            return bad_tensor(r, t, "has sizes that are too large", err);
        return WTE_OK;
    }
    snprintf(what, sizeof what, "has the type %" PRIu32 " (%s), expected F32, F16, BF16 or Q8_0",
             id, quantised(id));
    return bad_tensor(r, t, what, err);
}

static wte_status read_tensor(reader *r, tensor *t, wte_error *err)
{
    uint32_t n_dims, type;

    if (!take_string(r, &t->name, &t->name_len) || !take_u32(r, &n_dims))
        return ends_early(r, err);
    if (n_dims > WTE_MAX_DIMS)
        return bad_tensor(r, t, "has more than 8 dimensions", err);
    t->t.n_dims = n_dims;
    t->elements = 1;
    for (size_t i = n_dims; i-- > 0;) {
        uint64_t size;

        if (!take_u64(r, &size))
            return ends_early(r, err);
        if (size > PTRDIFF_MAX || __builtin_mul_overflow(t->elements, size, &t->elements))
            return bad_tensor(r, t, "has sizes that are too large", err);
        t->t.shape[i] = (size_t)size;
    }
    if (!take_u32(r, &type) || !take_u64(r, &t->place))
        return ends_early(r, err);
    return read_type(r, type, t, err);
}

static uint64_t align_up(uint64_t place, uint64_t alignment)
{
    return (place + alignment - 1) / alignment * alignment;
}

/* Hugging Face's name of a tensor of GPT-2; false if it has none. */
static bool gpt2_name(const char *name, size_t len, char *out, size_t size)
{
    static const char *const top[][2] = {{"token_embd", "wte"},
                                         {"position_embd", "wpe"},
                                         {"output_norm", "ln_f"},
                                         {"output", "lm_head"}};
    static const char *const block[][2] = {
        {"attn_norm", "ln_1"}, {"attn_qkv", "attn.c_attn"}, {"attn_output", "attn.c_proj"},
        {"ffn_norm", "ln_2"},  {"ffn_up", "mlp.c_fc"},      {"ffn_down", "mlp.c_proj"}};
    char text[64];
    char *part = text, *kind;
    int layer = -1, used = 0, n;

    if (len >= sizeof text)
        return false;
    memcpy(text, name, len);
    text[len] = '\0';
    if (sscanf(text, "blk.%5d.%n", &layer, &used) == 1 && used > 0 && layer >= 0)
        part += used;
    kind = strrchr(part, '.');
    if (!kind || (strcmp(kind, ".weight") != 0 && strcmp(kind, ".bias") != 0))
        return false;
    *kind = '\0';
    for (size_t i = 0; used == 0 && i < sizeof top / sizeof *top; i++)
        if (strcmp(part, top[i][0]) == 0) {
            n = snprintf(out, size, "%s.%s", top[i][1], kind + 1);
            return n > 0 && (size_t)n < size;
        }
    for (size_t i = 0; used > 0 && i < sizeof block / sizeof *block; i++)
        if (strcmp(part, block[i][0]) == 0) {
            n = snprintf(out, size, "h.%d.%s.%s", layer, block[i][1], kind + 1);
            return n > 0 && (size_t)n < size;
        }
    return false;
}

static wte_status add_tensor(wte_checkpoint *c, const reader *r, tensor *t, uint64_t start,
                             bool gpt2, wte_error *err)
{
    wte__extent extent;
    char alias[96];
    wte_status status;

    t->t.data = r->data + start + t->place;
    extent = (wte__extent){t->t.data, t->t.bytes, t->elements};
    status = wte__checkpoint_add(c, r->path, t->name, t->name_len, &t->t, &extent, err);
    if (status == WTE_OK && gpt2 && gpt2_name(t->name, t->name_len, alias, sizeof alias))
        status = wte__checkpoint_alias(c, r->path, alias, err);
    return status;
}

static int by_place(const void *a, const void *b)
{
    const tensor *x = a, *y = b;

    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return (x->t.bytes > y->t.bytes) - (x->t.bytes < y->t.bytes);
}

/* Tensors in the order of their data must follow one another, each aligned. */
static wte_status check_places(const reader *r, const tensor *tensors, size_t n, uint64_t start,
                               uint64_t alignment, wte_error *err)
{
    uint64_t room = r->size - start, place = 0;

    for (size_t i = 0; i < n; i++) {
        char what[128];

        if (tensors[i].place != place) {
            snprintf(what, sizeof what,
                     "begins at byte %" PRIu64 " of the data, expected %" PRIu64
                     " (tensors may not overlap or leave holes)",
                     tensors[i].place, place);
            return bad_tensor(r, &tensors[i], what, err);
        }
        if (place > room || tensors[i].t.bytes > room - place) {
            snprintf(what, sizeof what,
                     "has bytes %" PRIu64 " to %" PRIu64 " of the data, which has %" PRIu64, place,
                     place + tensors[i].t.bytes, room);
            return bad_tensor(r, &tensors[i], what, err);
        }
        place = align_up(place + tensors[i].t.bytes, alignment);
    }
    return WTE_OK;
}

static wte_status read_tensors(wte_checkpoint *c, reader *r, size_t n, wte_error *err)
{
    const char *architecture = wte__gguf_text(c->gguf, "general.architecture");
    bool gpt2 = architecture && strcmp(architecture, "gpt2") == 0;
    tensor *tensors = wte__calloc(n, sizeof *tensors);
    wte_status status = WTE_OK;
    int64_t alignment = 32;
    uint64_t start;

    if (!tensors)
        return wte__fail(err, WTE_E_NOMEM, "no memory for the tensors of %s", r->path);
    (void)wte__gguf_integer(c, "general.alignment", &alignment);
    if (alignment < 8 || alignment > MAX_ALIGNMENT || alignment % 8) {
        status = wte__fail(err, WTE_E_FORMAT,
                           "%s: an alignment of %" PRId64 ", expected a multiple of 8", r->path,
                           alignment);
        goto done;
    }
    for (size_t i = 0; i < n && status == WTE_OK; i++)
        status = read_tensor(r, &tensors[i], err);
    if (status != WTE_OK)
        goto done;
    start = align_up(r->at, (uint64_t)alignment);
    if (start > r->size && n > 0) {
        status = ends_early(r, err);
        goto done;
    }
    if (n) {
        qsort(tensors, n, sizeof *tensors, by_place);
        status = check_places(r, tensors, n, start, (uint64_t)alignment, err);
    }
    for (size_t i = 0; i < n && status == WTE_OK; i++)
        status = add_tensor(c, r, &tensors[i], start, gpt2, err);
done:
    wte__free(tensors);
    return status;
}

wte_status wte__gguf_read(wte_checkpoint *c, const unsigned char *data, size_t size,
                          const char *path, wte_error *err)
{
    reader r = {data, size, 4, path};
    uint32_t version = 0;
    uint64_t n_tensors = 0, n_values = 0;
    wte_status status;

    if (c->gguf)
        return wte__fail(err, WTE_E_FORMAT, "%s: a GGUF file as a shard, expected safetensors",
                         path);
    if (!take_u32(&r, &version))
        return ends_early(&r, err);
    if (version == 0x02000000 || version == 0x03000000)
        return wte__fail_at(err, WTE_E_FORMAT, 4,
                            "%s: a big-endian GGUF file, expected little-endian", path);
    if (version != 2 && version != 3)
        return wte__fail_at(err, WTE_E_FORMAT, 4, "%s: GGUF version %" PRIu32 ", expected 2 or 3",
                            path, version);
    if (!take_u64(&r, &n_tensors) || !take_u64(&r, &n_values))
        return ends_early(&r, err);
    /* a value takes 13 bytes at least, a tensor 24 */
    if (n_values > MAX_VALUES || n_values > size / 13 || n_tensors > MAX_TENSORS ||
        n_tensors > size / 24)
        return wte__fail_at(err, WTE_E_FORMAT, 8,
                            "%s: a GGUF header of %" PRIu64 " tensors and %" PRIu64
                            " values does not fit into %zu bytes",
                            path, n_tensors, n_values, size);
    status = read_values(c, &r, n_values, err);
    if (status == WTE_OK)
        status = read_tensors(c, &r, (size_t)n_tensors, err);
    if (status == WTE_OK)
        snprintf(c->format, sizeof c->format, "GGUF");
    return status;
}

void wte__gguf_free(struct wte__gguf *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n; i++)
        wte__free(g->values[i].text);
    wte__free(g->values);
    wte__free(g);
}

/* ---- metadata --------------------------------------------------------------------------- */

const char *wte__gguf_text(const struct wte__gguf *g, const char *key)
{
    const value *v = find_value(g, key);

    return v ? v->text : NULL;
}

static wte_status find_array(const wte_checkpoint *c, const char *key, const value **out,
                             wte_error *err)
{
    *out = c->gguf ? find_value(c->gguf, key) : NULL;
    if (!*out)
        return wte__fail(err, WTE_E_NOTFOUND, "the model's file has no '%s'", key);
    return WTE_OK;
}

wte_status wte__gguf_strings(const wte_checkpoint *c, const char *key, char **strings,
                             uint64_t **offsets, size_t *n, wte_error *err)
{
    const value *v;
    uint64_t *starts;
    wte_status status = find_array(c, key, &v, err);
    const unsigned char *p;
    char *bytes;

    if (status != WTE_OK)
        return status;
    if (v->type != ARRAY || v->element != STRING)
        return wte__fail(err, WTE_E_FORMAT, "'%s' of the model's file is no array of strings", key);
    bytes = wte__calloc(v->end - v->at + 1, 1);
    starts = wte__calloc((size_t)v->n + 1, sizeof *starts);
    if (!bytes || !starts) {
        wte__free(bytes);
        wte__free(starts);
        return wte__fail(err, WTE_E_NOMEM, "no memory for '%s' of the model's file", key);
    }
    p = c->gguf->data + v->at;
    for (uint64_t i = 0; i < v->n; i++) {
        size_t left = v->end - (size_t)(p - c->gguf->data);
        uint64_t len = left < 8 ? 0 : wte__load_u64(p);

        if (left < 8 || len > left - 8) { /* checked at opening, but the file may have changed */
            wte__free(bytes);
            wte__free(starts);
            return wte__fail(err, WTE_E_FORMAT, "'%s' of the model's file has changed", key);
        }
        memcpy(bytes + starts[i], p + 8, (size_t)len);
        starts[i + 1] = starts[i] + len;
        p += 8 + len;
    }
    *strings = bytes;
    *offsets = starts;
    *n = (size_t)v->n;
    return WTE_OK;
}

static bool is_integer(uint32_t type)
{
    return type < N_TYPES && type != F32 && type != F64 && type != STRING && type != ARRAY;
}

wte_status wte__gguf_integers(const wte_checkpoint *c, const char *key, int64_t **out, size_t *n,
                              wte_error *err)
{
    const value *v;
    int64_t *numbers;
    wte_status status = find_array(c, key, &v, err);

    if (status != WTE_OK)
        return status;
    if (v->type != ARRAY || !is_integer(v->element))
        return wte__fail(err, WTE_E_FORMAT, "'%s' of the model's file is no array of whole numbers",
                         key);
    numbers = wte__calloc((size_t)v->n, sizeof *numbers);
    if (!numbers)
        return wte__fail(err, WTE_E_NOMEM, "no memory for '%s' of the model's file", key);
    for (uint64_t i = 0; i < v->n; i++)
        numbers[i] = load_integer(c->gguf->data + v->at + i * types[v->element].size, v->element);
    *out = numbers;
    *n = (size_t)v->n;
    return WTE_OK;
}

bool wte__gguf_integer(const wte_checkpoint *c, const char *key, int64_t *out)
{
    const value *v = c->gguf ? find_value(c->gguf, key) : NULL;

    if (!v || !is_integer(v->type))
        return false;
    *out = load_integer(c->gguf->data + v->at, v->type);
    return true;
}
