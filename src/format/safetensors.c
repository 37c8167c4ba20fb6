/* SPDX-License-Identifier: MIT */
/* safetensors.c - named arrays in one file
 *
 *     bytes          content
 *     0 .. 8         length of the header, little-endian uint64
 *     8 .. 8 + len   JSON object, may be padded with spaces:
 *                    "__metadata__": object of strings, optional
 *                    name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}
 *     8 + len ..     the data; offsets count from here
 *
 * The format forbids holes and overlaps, so the tensors in the order of their offsets follow one
 * another from 0 to the end of the file; that is what is checked, with the shapes' products. Types
 * that this program does not compute with are listed too: a reader need not know a tensor that it
 * does not use, but the file has to add up. */
#include "format/safetensors.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

static const uint64_t MAX_HEADER = 100000000; /* as the reference implementation */

static size_t element_size(const char *dtype)
{
    static const struct {
        const char *name;
        size_t size;
    } types[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"U8", 1},      {"I8", 1},
                 {"U64", 8}, {"I64", 8}, {"U32", 4},  {"I32", 4},     {"U16", 2},
                 {"I16", 2}, {"F64", 8}, {"BOOL", 1}, {"F8_E5M2", 1}, {"F8_E4M3", 1}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(dtype, types[i].name) == 0)
            return types[i].size;
    return 0;
}

bool wte__safetensors_looks(const unsigned char *data, size_t size)
{
    uint64_t len;

    if (size < 10 || data[8] != '{')
        return false;
    len = wte__load_u64(data);
    return len >= 2 && len <= MAX_HEADER;
}

static bool get_size(const json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static wte_status read_tensor(const char *path, const char *name, const json_t *entry,
                              uint64_t data_start, uint64_t data_size, wte__tensor *t,
                              wte_error *err)
{
    const json_t *dtype = json_object_get(entry, "dtype");
    const json_t *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    uint64_t begin = 0, end = 0;
    size_t bytes;

    if (!json_is_string(dtype) || !json_is_array(shape) || json_array_size(offsets) != 2 ||
        !get_size(json_array_get(offsets, 0), &begin) ||
        !get_size(json_array_get(offsets, 1), &end))
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: tensor '%s' has no dtype, shape and data_offsets as they should be",
                         path, name);
    t->name = name;
    t->dtype = json_string_value(dtype);
    t->element = element_size(t->dtype);
    t->n_dims = json_array_size(shape);
    if (t->element == 0)
        return wte__fail(err, WTE_E_FORMAT, "%s: tensor '%s' has the unknown type '%s'", path, name,
                         t->dtype);
    if (t->n_dims > WTE__MAX_DIMS)
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: tensor '%s' has %zu dimensions, at most %d are known", path, name,
                         t->n_dims, WTE__MAX_DIMS);
    bytes = t->element;
    for (size_t i = 0; i < t->n_dims; i++) {
        uint64_t n = 0;

        if (!get_size(json_array_get(shape, i), &n) || wte__mul_overflows(bytes, n, &bytes))
            return wte__fail(err, WTE_E_FORMAT, "%s: the shape of tensor '%s' is no shape", path,
                             name);
        t->shape[i] = n;
    }
    if (begin > end || end > data_size)
        return wte__fail_at(err, WTE_E_FORMAT, data_start,
                            "%s: tensor '%s' lies at bytes %" PRIu64 " to %" PRIu64
                            " of the data, which has %" PRIu64,
                            path, name, begin, end, data_size);
    if (end - begin != bytes)
        return wte__fail_at(err, WTE_E_FORMAT, data_start + begin,
                            "%s: tensor '%s' has %" PRIu64 " bytes, its type and shape need %zu",
                            path, name, end - begin, bytes);
    t->begin = data_start + begin;
    t->size = bytes;
    return WTE_OK;
}

static int by_place(const void *a, const void *b)
{
    const wte__tensor *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->size > y->size) - (x->size < y->size); /* an empty tensor comes first */
}

static bool metadata_is_strings(const json_t *metadata)
{
    const char *key;
    json_t *value;

    if (!json_is_object(metadata))
        return false;
    json_object_foreach((json_t *)(uintptr_t)metadata, key,
                        value) if (!json_is_string(value)) return false;
    return true;
}

wte_status wte__safetensors_parse(const unsigned char *data, size_t size, const char *path,
                                  wte__safetensors *out, wte_error *err)
{
    wte__safetensors st = {NULL, 0, NULL};
    uint64_t len = size >= 8 ? wte__load_u64(data) : 0, place;
    wte_status status = WTE_E_FORMAT;
    json_error_t json_err;
    const char *name;
    json_t *entry;

    if (size < 10 || len < 2 || len > size - 8 || len > MAX_HEADER)
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: %zu bytes cannot hold a safetensors header of %" PRIu64, path, size,
                         len);
    st.json = json_loadb((const char *)data + 8, len, JSON_REJECT_DUPLICATES, &json_err);
    if (!st.json) {
        if (json_error_code(&json_err) == json_error_out_of_memory)
            return wte__fail(err, WTE_E_NOMEM, "no memory for the header of %s", path);
        return wte__fail_at(err, WTE_E_FORMAT, 8 + (uint64_t)json_err.position,
                            "%s: the safetensors header is no JSON: %s", path, json_err.text);
    }
    if (!json_is_object(st.json)) {
        wte__fail_at(err, WTE_E_FORMAT, 8, "%s: the safetensors header is no JSON object", path);
        goto failed;
    }
    st.tensors = wte__calloc(json_object_size(st.json) + 1, sizeof *st.tensors);
    if (!st.tensors) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory for the header of %s", path);
        goto failed;
    }
    json_object_foreach(st.json, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            if (!metadata_is_strings(entry)) {
                wte__fail(err, WTE_E_FORMAT, "%s: __metadata__ is no object of strings", path);
                goto failed;
            }
            continue;
        }
        status = read_tensor(path, name, entry, 8 + len, size - 8 - len, &st.tensors[st.n], err);
        if (status != WTE_OK)
            goto failed;
        st.n++;
    }
    qsort(st.tensors, st.n, sizeof *st.tensors, by_place);
    place = 8 + len;
    for (size_t i = 0; i < st.n; i++) {
        if (st.tensors[i].begin != place) {
            status = wte__fail_at(err, WTE_E_FORMAT, place,
                                  "%s: tensor '%s' begins at byte %" PRIu64 ", expected %" PRIu64
                                  " (tensors may not overlap or leave holes)",
                                  path, st.tensors[i].name, st.tensors[i].begin, place);
            goto failed;
        }
        place += st.tensors[i].size;
    }
    if (place != size) {
        status = wte__fail_at(err, WTE_E_FORMAT, place,
                              "%s: the tensors end at byte %" PRIu64 ", the file at %zu", path,
                              place, size);
        goto failed;
    }
    *out = st;
    return WTE_OK;
failed:
    wte__safetensors_free(&st);
    return status;
}

void wte__safetensors_free(wte__safetensors *st)
{
    if (!st)
        return;
    wte__free(st->tensors);
    if (st->json)
        json_decref(st->json);
    *st = (wte__safetensors){NULL, 0, NULL};
}

const wte__tensor *wte__safetensors_find(const wte__safetensors *st, const char *name)
{
    for (size_t i = 0; i < st->n; i++)
        if (strcmp(st->tensors[i].name, name) == 0)
            return &st->tensors[i];
    return NULL;
}

const char *wte__safetensors_metadata(const wte__safetensors *st, const char *key)
{
    return json_string_value(json_object_get(json_object_get(st->json, "__metadata__"), key));
}

bool wte__safetensors_number(const wte__safetensors *st, const char *key, uint64_t *out)
{
    const char *s = wte__safetensors_metadata(st, key);
    uint64_t value = 0;

    if (!s || !*s)
        return false;
    for (; *s; s++)
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
            return false;
    *out = value;
    return true;
}

static json_t *tensor_entry(const wte__tensor *t)
{
    json_t *shape = json_array();

    for (size_t i = 0; i < t->n_dims; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", t->dtype, "shape", shape, "data_offsets",
                     (json_int_t)t->begin, (json_int_t)(t->begin + t->size));
}

wte_status wte__safetensors_header(const char *const (*metadata)[2], size_t n_metadata,
                                   const wte__tensor *tensors, size_t n, uint64_t data_start,
                                   char **out, size_t *out_size, wte_error *err)
{
    json_t *root = json_object(), *strings = json_object();
    bool complete = root && strings;
    char *header = NULL;
    size_t len, total;

    for (size_t i = 0; i < n_metadata; i++)
        complete &= json_object_set_new(strings, metadata[i][0], json_string(metadata[i][1])) == 0;
    complete &= json_object_set_new(root, "__metadata__", strings) == 0;
    for (size_t i = 0; i < n; i++)
        complete &= json_object_set_new(root, tensors[i].name, tensor_entry(&tensors[i])) == 0;
    len = complete ? json_dumpb(root, NULL, 0, JSON_COMPACT) : 0;
    total = data_start ? data_start : (8 + len + 63) / 64 * 64;
    if (len > 0 && total >= 8 + len)
        header = wte__calloc(total, 1);
    if (!header) {
        json_decref(root);
        if (len > 0 && total < 8 + len)
            return wte__fail(err, WTE_E_RANGE, "a header of %zu bytes does not fit into %zu", len,
                             total);
        return wte__fail(err, WTE_E_NOMEM, "no memory for a header");
    }
    memset(header, ' ', total);
    for (size_t i = 0; i < 8; i++)
        header[i] = (char)((uint64_t)(total - 8) >> (8 * i));
    json_dumpb(root, header + 8, len, JSON_COMPACT);
    json_decref(root);
    *out = header;
    *out_size = total;
    return WTE_OK;
}
