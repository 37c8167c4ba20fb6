/* SPDX-License-Identifier: MIT */
/* pytorch_legacy.c - torch.save before 1.6
 *
 *     content                                   as
 *     0x1950a86a20f9469cfc6c                    a pickle
 *     1001, the version of this layout          a pickle
 *     {"protocol_version", "little_endian",
 *      "type_sizes"}                            a pickle
 *     the state dict                            a pickle, see pickle.c
 *     the keys of the storages, in order        a pickle
 *     for each key: number of elements          int64
 *                   the elements                little-endian
 *
 * Nothing is aligned; a tensor's data may begin at any byte. Bytes behind the last storage are
 * ignored, as torch ignores them.
 *
 * Source: _legacy_save and _legacy_load in torch/serialization.py. */
#include "format/pickle.h"
#include <inttypes.h>

static const unsigned char start[] = {0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46,
                                      0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, '.'};
static const int64_t LAYOUT_VERSION = 1001;

bool wte__pytorch_legacy_looks(const unsigned char *data, size_t size)
{
    return size >= sizeof start && memcmp(data, start, sizeof start) == 0;
}

static wte_status check_version(const unsigned char *data, size_t size, const char *path,
                                size_t *at, wte_error *err)
{
    wte__pickle p;
    int64_t version = 0;
    wte_status status = wte__pickle_run(data, size, *at, path, &p, err);

    if (status == WTE_OK && (!wte__pickle_is_int(&p, &version) || version != LAYOUT_VERSION))
        status =
            wte__fail_at(err, WTE_E_FORMAT, *at,
                         "%s: version %" PRId64 " of PyTorch's older format, expected %" PRId64,
                         path, version, LAYOUT_VERSION);
    *at = p.at;
    wte__pickle_free(&p);
    return status;
}

static wte_status check_system(const unsigned char *data, size_t size, const char *path, size_t *at,
                               wte_error *err)
{
    bool little = true;
    wte__pickle p;
    wte_status status = wte__pickle_run(data, size, *at, path, &p, err);

    if (status == WTE_OK && wte__pickle_dict_bool(&p, "little_endian", &little) && !little)
        status = wte__fail_at(err, WTE_E_FORMAT, *at,
                              "%s: written on a big-endian machine, expected little-endian numbers",
                              path);
    *at = p.at;
    wte__pickle_free(&p);
    return status;
}

static wte_status place_storage(wte__pickle *dict, const unsigned char *data, size_t size,
                                const char *path, const char *key, size_t len, size_t *at,
                                wte_error *err)
{
    wte__storage *s = wte__pickle_storage(dict, key, len);
    uint64_t numel, bytes;

    if (!s || s->data)
        return wte__fail_at(err, WTE_E_FORMAT, *at, "%s: its list of storages names one that %s",
                            path, s ? "it named before" : "no tensor uses");
    if (size - *at < 8)
        return wte__fail_at(err, WTE_E_FORMAT, size,
                            "%s: the file ends at byte %zu, before the numbers of a tensor", path,
                            size);
    numel = wte__load_u64(data + *at);
    if (numel != s->numel)
        return wte__fail_at(err, WTE_E_FORMAT, *at,
                            "%s: a storage has %" PRIu64 " elements, its tensors say %" PRIu64,
                            path, numel, s->numel);
    *at += 8;
    bytes = s->numel * s->element;
    if (bytes > size - *at)
        return wte__fail_at(err, WTE_E_FORMAT, size,
                            "%s: the file ends at byte %zu, a storage of %" PRIu64
                            " bytes begins at byte %zu",
                            path, size, bytes, *at);
    s->data = data + *at;
    *at += (size_t)bytes;
    return WTE_OK;
}

static wte_status place_storages(wte__pickle *dict, const unsigned char *data, size_t size,
                                 const char *path, wte_error *err)
{
    wte__pickle keys;
    size_t n = 0, at;
    wte_status status = wte__pickle_run(data, size, dict->at, path, &keys, err);

    if (status != WTE_OK)
        goto done;
    at = keys.at;
    if (!wte__pickle_is_list(&keys, &n) || n != dict->n_storages) {
        status = wte__fail_at(err, WTE_E_FORMAT, dict->at,
                              "%s: its list of storages has %zu entries, its tensors use %zu", path,
                              n, dict->n_storages);
        goto done;
    }
    for (size_t i = 0; i < n && status == WTE_OK; i++) {
        const char *key;
        size_t len;

        if (!wte__pickle_list_string(&keys, i, &key, &len))
            status = wte__fail_at(err, WTE_E_FORMAT, dict->at,
                                  "%s: its list of storages holds something else than keys", path);
        else
            status = place_storage(dict, data, size, path, key, len, &at, err);
    }
done:
    wte__pickle_free(&keys);
    return status;
}

wte_status wte__pytorch_legacy_read(wte_checkpoint *c, const unsigned char *data, size_t size,
                                    const char *path, wte_error *err)
{
    size_t at = sizeof start;
    wte__pickle dict;
    wte_status status = check_version(data, size, path, &at, err);

    if (status == WTE_OK)
        status = check_system(data, size, path, &at, err);
    if (status != WTE_OK)
        return status;
    status = wte__pickle_run(data, size, at, path, &dict, err);
    if (status == WTE_OK)
        status = place_storages(&dict, data, size, path, err);
    if (status == WTE_OK)
        status = wte__pickle_tensors(&dict, c, err);
    wte__pickle_free(&dict);
    if (status == WTE_OK)
        snprintf(c->format, sizeof c->format, "PyTorch legacy");
    return status;
}
