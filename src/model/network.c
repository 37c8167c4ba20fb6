/* SPDX-License-Identifier: MIT */
/* network.c - the networks of a model, one for each precision, and where converted weights are kept
 *
 * A network is made when it is first asked for, and belongs to the model. Converted weights go to
 * the cache folder, beside the indexes, under a name made from the model's canonical path and the
 * precision. They belong to the files that the checkpoint was mapped from: size, time of last
 * change, inode and device of each as they were when they were mapped, in the header for whoever
 * lists the folder, and hashed as the identity that has to be the same. The config is no part of
 * it: what depends on it, whether the output matrix is the token embedding, shows in the names of
 * the arrays (network/convert.c). */
#include <inttypes.h>
#include <stdlib.h>
#include "base/cache.h"
#include "format/checkpoint_internal.h"
#include "model/model_internal.h"
#include "network/network_internal.h"

enum { FIXED = 2, MAX_FILES = 48, KEY_SIZE = 16 };

/** Whom a file of converted weights is for. */
typedef struct owner {
    char *path;  /* the file */
    char *shown; /* the model's path, as text */
    uint64_t identity;
    char n_files[24], keys[MAX_FILES][KEY_SIZE];
    char *files[MAX_FILES];
    const char *metadata[FIXED + MAX_FILES][2];
    size_t n_metadata;
} owner;

static void owner_free(owner *o)
{
    wte__free(o->path);
    wte__free(o->shown);
    for (size_t i = 0; i < MAX_FILES; i++)
        wte__free(o->files[i]);
}

/* "size mtime_ns inode device path" of a mapped file; NULL if there is no memory. */
static char *describe(const wte__map *map, uint64_t *identity)
{
    const char *name = wte__map_path_of(map->data);
    char *real = name ? realpath(name, NULL) : NULL, *shown, *all = NULL;
    char numbers[WTE__IDENTITY_SIZE];
    size_t n = (size_t)snprintf(numbers, sizeof numbers, "%zu %" PRId64 " %" PRIu64 " %" PRIu64,
                                map->size, map->mtime_ns, map->inode, map->device);

    *identity = wte__hash_seeded(numbers, n, *identity);
    shown = wte__cache_encode(real ? real : "/");
    if (shown)
        all = wte__concat(numbers, " ", shown, (char *)NULL);
    wte__free(shown);
    free(real);
    return all;
}

/* Find out where the converted weights of a model are kept. Errors: E_NOMEM, E_IO (nowhere). */
static wte_status find_owner(const wte_model *m, wte_precision precision, owner *o, wte_error *err)
{
    const char *ending = precision == WTE_PRECISION_INT8 ? WTE__INT8_ENDING : WTE__BF16_ENDING;
    const wte_checkpoint *c = m->checkpoint;
    char *folder = NULL, *real = NULL;
    wte_status status = wte__cache_folder(m->cache_dir, &folder, err);

    if (status == WTE_OK)
        status = wte__mkdirs(folder, err);
    if (status != WTE_OK)
        goto out;
    status = WTE_E_NOMEM;
    real = realpath(m->path, NULL);
    o->path = wte__cache_path(folder, real ? real : m->path, ending);
    o->shown = wte__cache_encode(real ? real : m->path);
    if (!o->path || !o->shown)
        goto out;
    for (size_t i = 0; i < c->n_maps; i++) {
        o->files[i] = describe(&c->maps[i], &o->identity);
        if (!o->files[i])
            goto out;
        snprintf(o->keys[i], sizeof o->keys[i], "file_%u", (unsigned)i);
        o->metadata[FIXED + i][0] = o->keys[i];
        o->metadata[FIXED + i][1] = o->files[i];
    }
    snprintf(o->n_files, sizeof o->n_files, "%zu", c->n_maps);
    memcpy(o->metadata[0], (const char *[]){"source_path", o->shown}, sizeof o->metadata[0]);
    memcpy(o->metadata[1], (const char *[]){"files", o->n_files}, sizeof o->metadata[1]);
    o->n_metadata = FIXED + c->n_maps;
    wte__cache_sweep(folder);
    status = WTE_OK;
out:
    wte__free(folder);
    free(real);
    return status == WTE_E_NOMEM
               ? wte__fail(err, status, "no memory to convert the weights of %s", m->name)
               : status;
}

static wte_status make_network(wte_model *m, wte_precision precision, wte_error *err)
{
    wte_network_options options = WTE_NETWORK_DEFAULTS;
    const bool wanted = precision != WTE_PRECISION_F32 && m->cache != WTE_CACHE_NEVER &&
                        (m->cache == WTE_CACHE_ALWAYS || wte__cache_is_worth(m->info.bytes)) &&
                        m->checkpoint->n_maps <= MAX_FILES;
    owner *o = wanted ? wte__calloc(1, sizeof *o) : NULL;
    wte_error why = {WTE_OK, 0, ""};
    wte_status kept = WTE_OK, status;

    if (wanted && !o)
        return wte__fail(err, WTE_E_NOMEM, "no memory to convert the weights of %s", m->name);
    options.precision = precision;
    options.n_threads = m->n_threads;
    options.progress = m->progress;
    options.progress_data = m->progress_data;
    if (wanted)
        kept = find_owner(m, precision, o, &why);
    if (wanted && kept == WTE_OK) {
        options.converted_path = o->path;
        options.identity = o->identity;
    }
    if (kept == WTE_E_NOMEM) {
        status = kept;
        if (err)
            *err = why;
    } else {
        status = wte__network_new(m->checkpoint, m->info.config, &options,
                                  o ? (const char *const(*)[2])o->metadata : NULL,
                                  o ? o->n_metadata : 0, &m->networks[precision], err);
    }
    if (status == WTE_OK && kept != WTE_OK)
        wte__network_say(m->networks[precision],
                         "weights were converted, but could not be kept: %.300s", why.message);
    if (o)
        owner_free(o);
    wte__free(o);
    return status;
}

wte_status wte_model_network(wte_model *m, wte_precision precision, const wte_network **out,
                             wte_error *err)
{
    wte_status status = WTE_OK;

    if ((unsigned)precision > WTE_PRECISION_INT8)
        return wte__fail(err, WTE_E_RANGE, "there is no precision %d", (int)precision);
    if (m->vectors)
        return wte__fail(err, WTE_E_UNSUPPORTED,
                         "%s is word vectors, which have no network; expected GPT-2 or BERT",
                         m->name);
    if (!m->checkpoint)
        return wte__fail(err, WTE_E_NOTFOUND,
                         "%s has tokenizer files only: no model.safetensors, pytorch_model.bin or "
                         ".gguf in %s",
                         m->name, m->path);
    pthread_mutex_lock(&m->lock);
    if (!m->networks[precision])
        status = make_network(m, precision, err);
    if (status == WTE_OK)
        *out = m->networks[precision];
    pthread_mutex_unlock(&m->lock);
    return status;
}
