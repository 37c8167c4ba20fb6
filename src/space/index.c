/* SPDX-License-Identifier: MIT */
/* index.c - what is kept in the cache folder for a file that was opened
 *
 * An index is a file of wte's layout whose metadata says which file it is for: size, time of the
 * last change to the nanosecond, inode and device. How it is found, and how damage shows, is told
 * in base/cache.c; and cut short it is noticed as the tensors have to fill the file exactly. */
#include "space/index.h"
#include <inttypes.h>
#include <unistd.h>

static const char VERSION[] = "1";

char *wte__index_path(const char *folder, const char *canonical)
{
    return wte__cache_path(folder, canonical, WTE__INDEX_ENDING);
}

/* ---- metadata --------------------------------------------------------------------------- */

wte_status wte__layout_header(const wte__layout *layout, const wte_space *space,
                              const char *const (*extra)[2], size_t n_extra, char **out,
                              size_t *out_size, wte_error *err)
{
    enum { MAX_METADATA = 24 };
    char dim[24], rows[24], duplicates[24], undirected[24], seed[24], name[512], note[512];
    const char *metadata[MAX_METADATA][2] = {
        {"format", "wte-space"},    {"version", VERSION},       {"dim", dim},   {"rows", rows},
        {"duplicates", duplicates}, {"undirected", undirected}, {"name", name}, {"note", note},
    };
    const char *const(*all)[2] = (const char *const(*)[2])metadata;
    wte__tensor parts[WTE__N_PARTS];
    size_t n_metadata = 8, n_parts = 0;

    snprintf(dim, sizeof dim, "%zu", space->info.dim);
    snprintf(rows, sizeof rows, "%u", space->info.n_rows);
    snprintf(duplicates, sizeof duplicates, "%u", space->info.n_duplicates);
    snprintf(undirected, sizeof undirected, "%u", space->info.n_undirected);
    snprintf(seed, sizeof seed, "%" PRIu64, space->hash_seed);
    wte__show_word(space->info.name, strlen(space->info.name), name, sizeof name);
    wte__show_word(space->info.note, strlen(space->info.note), note, sizeof note);
    if (space->hash_seed) {
        metadata[n_metadata][0] = "hash_seed";
        metadata[n_metadata++][1] = seed;
    }
    for (size_t i = 0; i < n_extra && n_metadata < MAX_METADATA; i++, n_metadata++) {
        metadata[n_metadata][0] = extra[i][0];
        metadata[n_metadata][1] = extra[i][1];
    }
    for (size_t i = 0; i < WTE__N_PARTS; i++)
        if (layout->parts[i].name)
            parts[n_parts++] = layout->parts[i];
    return wte__safetensors_header(all, n_metadata, parts, n_parts, layout->data_start, out,
                                   out_size, err);
}

wte_status wte__layout_describe(wte_space *space, const wte__safetensors *st, wte_error *err)
{
    const char *name = wte__safetensors_metadata(st, "name");
    const char *note = wte__safetensors_metadata(st, "note");
    const char *format = wte__safetensors_metadata(st, "source_format");
    uint64_t number = 0;

    if (name && *name)
        space->info.name = wte__space_string(space, name);
    space->info.note = wte__space_string(space, note ? note : "");
    space->info.format = wte__space_string(space, format ? format : "wte");
    if (!space->info.name || !space->info.note || !space->info.format)
        return wte__fail(err, WTE_E_NOMEM, "no memory for the names in a header");
    if (wte__safetensors_number(st, "hash_seed", &number))
        space->hash_seed = number;
    if (wte__safetensors_number(st, "duplicates", &number) && number <= space->info.n_rows)
        space->info.n_duplicates = (uint32_t)number;
    if (wte__safetensors_number(st, "undirected", &number) && number <= space->info.n_rows)
        space->info.n_undirected = (uint32_t)number;
    space->info.matrix_bytes = (uint64_t)space->info.n_rows * space->info.dim *
                               (space->info.dtype == WTE_F32 ? sizeof(float) : sizeof(uint16_t));
    return WTE_OK;
}

/* ---- writing ---------------------------------------------------------------------------- */

uint64_t wte__index_header_size(const char *canonical)
{
    /* the fixed part takes some 2500 bytes, names and notes at most 1024 */
    return 8192 + (3 * strlen(canonical) + 4095) / 4096 * 4096;
}

wte_status wte__index_seal(wte__outfile *file, const wte__layout *layout, const wte_space *space,
                           const char *canonical, const wte__map *source, wte_error *err)
{
    char size[24], mtime[24], inode[24], device[24], written[24];
    const int64_t seal = wte__cache_seal_ns();
    char *path = wte__cache_encode(canonical), *header = NULL;
    size_t header_size = 0;
    wte_status status;

    if (!path)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a path");
    snprintf(size, sizeof size, "%zu", source->size);
    snprintf(mtime, sizeof mtime, "%" PRId64, source->mtime_ns);
    snprintf(inode, sizeof inode, "%" PRIu64, source->inode);
    snprintf(device, sizeof device, "%" PRIu64, source->device);
    snprintf(written, sizeof written, "%" PRId64, seal);
    {
        const char *const extra[][2] = {
            {"source_path", path},   {"source_format", space->info.format},
            {"source_size", size},   {"source_mtime_ns", mtime},
            {"source_inode", inode}, {"source_device", device},
            {"written_ns", written},
        };

        status = wte__layout_header(layout, space, extra, sizeof extra / sizeof *extra, &header,
                                    &header_size, err);
    }
    if (status == WTE_OK)
        status = wte__outfile_pwrite(file, header, header_size, 0, err);
    if (status == WTE_OK)
        status = wte__cache_seal(file, seal, err);
    wte__free(header);
    wte__free(path);
    return status;
}

/* ---- reading ---------------------------------------------------------------------------- */

static bool says(const wte__safetensors *st, const char *key, uint64_t value)
{
    uint64_t said;

    return wte__safetensors_number(st, key, &said) && said == value;
}

wte_status wte__index_find(wte_space *space, const char *index_path, const wte__map *source,
                           char *reason, size_t size, wte_error *err)
{
    wte__map *map = &space->backing->index;
    const char *version;
    wte__safetensors st = {NULL, 0, NULL};
    wte_error why = {WTE_OK, 0, ""};
    wte_status status;

    reason[0] = '\0';
    if (access(index_path, F_OK) != 0)
        return wte__fail(err, WTE_E_NOTFOUND, "there is no index %s", index_path);
    status = wte__map_open(map, index_path, &why);
    if (status == WTE_OK)
        status = wte__safetensors_parse(map->data, map->size, index_path, &st, &why);
    if (status != WTE_OK) {
        if (status != WTE_E_NOMEM)
            snprintf(reason, size, "it is damaged: %.300s", why.message);
        goto refused;
    }
    version = wte__safetensors_metadata(&st, "version");
    status = WTE_E_NOTFOUND;
    if (!version || strcmp(version, VERSION) != 0)
        snprintf(reason, size, "another version of wte made it");
    else if (!says(&st, "source_size", source->size) ||
             !says(&st, "source_mtime_ns", (uint64_t)source->mtime_ns) ||
             !says(&st, "source_inode", source->inode) ||
             !says(&st, "source_device", source->device))
        snprintf(reason, size, "the file has changed since");
    else if (!says(&st, "written_ns", (uint64_t)map->mtime_ns))
        snprintf(reason, size, "it was written to after it was made");
    else if (wte__has_holes(index_path, map->size))
        snprintf(reason, size, "parts of it never reached the disk");
    else if (wte__layout_bind(space, map->data, index_path, &st, source->data, source->size,
                              &why) != WTE_OK ||
             !space->norms || !space->hash)
        snprintf(reason, size, "it is damaged: %.300s",
                 *why.message ? why.message : "arrays are missing");
    else
        status = wte__layout_describe(space, &st, err);
    if (status != WTE_OK)
        goto refused;
    wte__safetensors_free(&st);
    return WTE_OK;
refused:
    wte__safetensors_free(&st);
    return status == WTE_E_NOMEM ? wte__fail(err, status, "no memory to read %s", index_path)
                                 : wte__fail(err, WTE_E_NOTFOUND, "%s: %s", index_path, reason);
}
