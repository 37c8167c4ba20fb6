/* SPDX-License-Identifier: MIT */
/* shards.c - a checkpoint in several files, with an index
 *
 *     {"metadata": {"total_size": 456384},
 *      "weight_map": {"wte.weight": "model-00001-of-00003.safetensors", ...}}
 *
 * The files lie beside the index; a name with a slash would reach elsewhere and is refused. They
 * are read in the order of their names, each as if it were alone. Then every tensor of the map must
 * have come from the file that the map says. A tensor that the map does not list is kept: the index
 * is a way to find tensors, the files say what there is. total_size is not looked at, as different
 * savers count it differently (tied tensors once or twice). */
#include "format/checkpoint_internal.h"
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct place {
    const char *name;
    size_t shard;
} place;

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const place *)a)->name, ((const place *)b)->name);
}

static bool plain_file_name(const char *name)
{
    return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strchr(name, '/') &&
           !strchr(name, '\\');
}

/* The distinct file names of the map, sorted. */
static wte_status list_shards(const json_t *map, const char *path, const char **shards, size_t *n,
                              wte_error *err)
{
    size_t n_all = 0, kept = 0;
    const char *name;
    json_t *file;

    json_object_foreach((json_t *)(uintptr_t)map, name, file)
    {
        if (!json_is_string(file) || !plain_file_name(json_string_value(file)))
            return wte__fail(err, WTE_E_FORMAT,
                             "%s: tensor '%s' lies in %s%s%s, expected the name of a file in the "
                             "same folder",
                             path, name, json_is_string(file) ? "'" : "",
                             json_is_string(file) ? json_string_value(file) : "no file",
                             json_is_string(file) ? "'" : "");
        shards[n_all++] = json_string_value(file);
    }
    qsort(shards, n_all, sizeof *shards, by_text);
    for (size_t i = 0; i < n_all; i++)
        if (kept == 0 || strcmp(shards[i], shards[kept - 1]) != 0)
            shards[kept++] = shards[i];
    *n = kept;
    return WTE_OK;
}

/* Read one shard, which lies beside the index. */
static wte_status read_shard(wte_checkpoint *c, const char *index, const char *shard,
                             wte_error *err)
{
    const char *slash = strrchr(index, '/');
    char *folder = slash ? wte__strndup(index, (size_t)(slash - index) + 1) : wte__strdup("");
    char *file = folder ? wte__concat(folder, shard, NULL) : NULL;
    wte_status status;

    if (!file)
        status = wte__fail(err, WTE_E_NOMEM, "no memory to open %s", shard);
    else if (access(file, F_OK) != 0)
        status = wte__fail(err, WTE_E_NOTFOUND, "%s: the shard '%s' that it names is missing",
                           index, shard);
    else
        status = wte__checkpoint_read_file(c, file, err);
    wte__free(file);
    wte__free(folder);
    return status;
}

static wte_status check_places(wte_checkpoint *c, const json_t *map, const char *path,
                               const char *const *shards, const size_t *first, size_t n_shards,
                               wte_error *err)
{
    place *places = wte__calloc(c->n + 1, sizeof *places);
    wte_status status = WTE_OK;
    const char *name;
    json_t *file;

    if (!places)
        return wte__fail(err, WTE_E_NOMEM, "no memory to check %s", path);
    for (size_t s = 0; s < n_shards; s++)
        for (size_t i = first[s]; i < first[s + 1]; i++)
            places[i] = (place){c->tensors[i].name, s};
    qsort(places, c->n, sizeof *places, by_name);
    json_object_foreach((json_t *)(uintptr_t)map, name, file)
    {
        place key = {name, 0};
        const place *found = bsearch(&key, places, c->n, sizeof *places, by_name);

        if (status != WTE_OK)
            break;
        if (!found)
            status = wte__fail(err, WTE_E_FORMAT, "%s: tensor '%s' is not in its shard '%s'", path,
                               name, json_string_value(file));
        else if (strcmp(shards[found->shard], json_string_value(file)) != 0)
            status =
                wte__fail(err, WTE_E_FORMAT, "%s: tensor '%s' is in '%s', the index says in '%s'",
                          path, name, shards[found->shard], json_string_value(file));
    }
    wte__free(places);
    return status;
}

wte_status wte__shards_read(wte_checkpoint *c, const unsigned char *data, size_t size,
                            const char *path, wte_error *err)
{
    json_error_t json_err;
    json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, &json_err);
    const json_t *map = json_object_get(json, "weight_map");
    const char **shards = NULL;
    size_t *first = NULL, n = 0;
    wte_status status;

    if (!json)
        return wte__fail_at(err, WTE_E_FORMAT, (uint64_t)json_err.position,
                            "%s: the index of shards is no JSON: %s", path, json_err.text);
    if (!json_is_object(map) || json_object_size(map) == 0) {
        status = wte__fail(err, WTE_E_FORMAT,
                           "%s: JSON without a weight_map of tensors, expected an index of shards",
                           path);
        goto done;
    }
    shards = wte__calloc(json_object_size(map), sizeof *shards);
    if (!shards) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to read %s", path);
        goto done;
    }
    status = list_shards(map, path, shards, &n, err);
    if (status != WTE_OK)
        goto done;
    first = wte__calloc(n + 1, sizeof *first);
    if (!first) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to read %s", path);
        goto done;
    }
    for (size_t s = 0; s < n; s++) {
        status = read_shard(c, path, shards[s], err);
        if (status != WTE_OK)
            goto done;
        first[s + 1] = c->n;
    }
    status = check_places(c, map, path, shards, first, n, err);
    if (status == WTE_OK) {
        size_t used = strlen(c->format);

        snprintf(c->format + used, sizeof c->format - used, ", %zu shard%s", n, n == 1 ? "" : "s");
    }
done:
    wte__free(first);
    wte__free(shards);
    json_decref(json);
    return status;
}
