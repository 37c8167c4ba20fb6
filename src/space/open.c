/* SPDX-License-Identifier: MIT */
/* open.c - opening a file of word vectors
 *
 *     wte's own layout   mapped, and that is all
 *     large file         its index is looked for in the cache folder and mapped; if there is none
 *                        that fits, the file is read once and the index written on the way
 *     small file         read into memory
 *
 * The rows of a word2vec .bin stay in the user's file, which is mapped; text is parsed into the
 * index or into memory; a gzipped file is first unpacked into a temporary file without a name.
 *
 * An index is a convenience. Whatever keeps it from being written (a full disk, a folder that
 * cannot be written to, no home) ends in a note, not in an error: the file is then read into
 * memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "format/gzip.h"
#include "space/index.h"
#include "space/read.h"

/** Everything that an open needs; freed at its end, whatever came of it. */
typedef struct opening {
    const char *path;
    const wte_open_options *options;
    wte__map file;     /* the user's file */
    wte__map unpacked; /* what a gzip unpacked to */
    wte__source source;
    char *canonical, *folder, *index_path; /* NULL where no index is wanted */
    wte_index_state state;
    char index_note[512], note[256], format[64], name[256];
} opening;

/* The file's name without folder and known endings. */
static void name_of(const char *path, char *out, size_t size)
{
    static const char *const endings[] = {".gz", ".bin", ".txt", ".vec", ".safetensors"};
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t n = strlen(base);

    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = pass; i < (pass ? sizeof endings / sizeof *endings : 1); i++) {
            size_t len = strlen(endings[i]);

            if (n > len && strncmp(base + n - len, endings[i], len) == 0) {
                n -= len;
                break;
            }
        }
    wte__show_word(base, n, out, size);
}

/* Decide whether there shall be an index, and where. */
static wte_status want_index(opening *o, wte_error *err)
{
    wte_cache_mode mode = o->options->cache;
    wte_error why;
    wte_status status;

    if (mode == WTE_CACHE_NEVER || (mode == WTE_CACHE_AUTO && !wte__cache_is_worth(o->file.size)))
        return WTE_OK;
    status = wte__cache_folder(o->options->cache_dir, &o->folder, &why);
    if (status == WTE_E_IO) {
        o->state = WTE_INDEX_FAILED;
        snprintf(o->index_note, sizeof o->index_note, "%s", why.message);
        return WTE_OK;
    }
    if (status == WTE_OK) {
        char *canonical = realpath(o->path, NULL);

        o->canonical = wte__strdup(canonical ? canonical : o->path);
        free(canonical);
        if (o->canonical)
            o->index_path = wte__index_path(o->folder, o->canonical);
    }
    return o->index_path ? WTE_OK : wte__fail(err, WTE_E_NOMEM, "no memory for a path");
}

/* What a space knows whichever way it was opened. */
static wte_status describe(opening *o, wte_space *space, wte_error *err)
{
    wte_space_info *info = &space->info;

    info->path = wte__space_string(space, o->path);
    if (!*info->name)
        info->name = wte__space_string(space, o->name);
    if (!*info->format)
        info->format = wte__space_string(space, o->format);
    if (!*info->note)
        info->note = wte__space_string(space, o->note);
    info->index_note = wte__space_string(space, o->index_note);
    if (o->state != WTE_INDEX_NONE && o->state != WTE_INDEX_FAILED) {
        info->index_path = wte__space_string(space, o->index_path);
        info->index_bytes = space->backing->index.size;
    }
    info->index = o->state;
    info->file_bytes = o->file.size;
    if (!info->path || !info->name || !info->format || !info->note || !info->index_note ||
        !info->index_path)
        return wte__fail(err, WTE_E_NOMEM, "no memory for the name of %s", o->path);
    return WTE_OK;
}

/* Hand the map of the user's file to a space whose rows lie in it. */
static void give_file(opening *o, wte_space *space)
{
    if (o->unpacked.data && space->rows.base == o->unpacked.data) {
        space->backing->source = o->unpacked;
        o->unpacked = (wte__map){0};
    } else if (space->rows.base == o->file.data) {
        space->backing->source = o->file;
        space->info.first_row_offset = space->rows.n_rows > 0 ? space->rows.offsets[0] : 0;
        o->file.mapped = 0; /* size and identity are still needed */
    }
}

/* ---- wte's own layout ------------------------------------------------------------------- */

static wte_status check_words(const wte_space *space, const char *path, wte_error *err)
{
    const uint64_t *offsets = space->word_offsets;

    for (uint32_t i = 0; i < space->rows.n_rows; i++)
        if (offsets[i + 1] < offsets[i] || offsets[i + 1] > space->words_size)
            return wte__fail(err, WTE_E_FORMAT,
                             "%s: word %u lies at bytes %llu to %llu of the words, which have %llu",
                             path, i, (unsigned long long)offsets[i],
                             (unsigned long long)offsets[i + 1],
                             (unsigned long long)space->words_size);
    return WTE_OK;
}

static wte_status open_layout(opening *o, wte_space **out, wte_error *err)
{
    wte__safetensors st = {NULL, 0, NULL};
    wte_space *space = NULL;
    wte_status status = wte__safetensors_parse(o->file.data, o->file.size, o->path, &st, err);

    if (status != WTE_OK)
        goto done;
    space = wte__space_alloc();
    if (!space) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to open %s", o->path);
        goto done;
    }
    status = wte__layout_bind(space, o->file.data, o->path, &st, NULL, 0, err);
    if (status == WTE_OK)
        status = wte__layout_describe(space, &st, err);
    if (status == WTE_OK && (!space->hash || !space->norms)) {
        status = check_words(space, o->path, err);
        if (status == WTE_OK)
            status = wte__space_finish(space, o->options->n_threads, err);
    }
    if (status == WTE_OK) {
        space->info.first_row_offset = (uint64_t)(space->rows.base - o->file.data);
        space->backing->index = o->file;
        o->file.mapped = 0;
        status = describe(o, space, err);
    }
done:
    wte__safetensors_free(&st);
    if (status != WTE_OK)
        wte_space_free(space);
    else
        *out = space;
    return status;
}

/* ---- all others ------------------------------------------------------------------------- */

static wte_status find_index(opening *o, wte_space **out, wte_error *err)
{
    char reason[400];
    wte_space *space = wte__space_alloc();
    wte_status status;

    if (!space)
        return wte__fail(err, WTE_E_NOMEM, "no memory to open %s", o->path);
    status = wte__index_find(space, o->index_path, &o->file, reason, sizeof reason, err);
    if (status == WTE_OK) {
        o->state = WTE_INDEX_FOUND;
        give_file(o, space);
        status = describe(o, space, err);
    } else if (status == WTE_E_NOTFOUND) {
        o->state = *reason ? WTE_INDEX_REBUILT : WTE_INDEX_BUILT;
        snprintf(o->index_note, sizeof o->index_note, "%s", reason);
    }
    if (status != WTE_OK)
        wte_space_free(space);
    else
        *out = space;
    return status;
}

static int open_temporary(const opening *o)
{
    const char *tmp = getenv("TMPDIR");
    const char *folder = o->folder ? o->folder : tmp && *tmp ? tmp : "/tmp";
    char *name;
    int fd = -1;

    if (o->folder)
        wte__mkdirs(o->folder, NULL);
#if defined(O_TMPFILE)
    fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
#endif
    name = wte__concat(folder, "/wte-XXXXXX", (char *)NULL);
    if (name) {
        fd = mkstemp(name);
        if (fd >= 0)
            unlink(name);
    }
    wte__free(name);
#if defined(__linux__)
    if (fd < 0) /* no folder can be written to */
        fd = memfd_create("wte", MFD_CLOEXEC);
#endif
    return fd;
}

static wte_status unpack(opening *o, wte_error *err)
{
    wte__progress progress;
    uint64_t extra = 0;
    wte_status status;
    int fd = open_temporary(o);

    if (fd < 0)
        return wte__fail_errno(err, "%s: no temporary file to unpack it into", o->path);
    wte__progress_begin(&progress, o->options->progress, o->options->progress_data, "inflating",
                        o->file.size);
    status = wte__gunzip(o->file.data, o->file.size, o->path, fd, &progress, &extra, err);
    if (status == WTE_OK && wte__progress_end(&progress))
        status = wte__fail(err, WTE_E_CANCELLED, "%s: cancelled", o->path);
    if (status == WTE_OK)
        status = wte__map_fd(&o->unpacked, fd, o->path, err);
    if (status != WTE_OK) {
        close(fd);
        return status;
    }
    close(o->source.fd);
    o->source.fd = fd;
    if (extra)
        snprintf(o->note, sizeof o->note, "%llu bytes that are no gzip follow the packed data",
                 (unsigned long long)extra);
    o->source.data = o->unpacked.data;
    o->source.size = o->unpacked.size;
    o->source.temporary = true;
    status = wte__sniff(o->source.data, o->source.size, o->path, &o->source.sniffed, err);
    if (status == WTE_OK &&
        (o->source.sniffed.kind == WTE__GZIP || o->source.sniffed.kind == WTE__SAFETENSORS))
        status = wte__fail(err, WTE_E_FORMAT, "%s: is a packed %s file, expected packed vectors",
                           o->path, o->source.sniffed.kind == WTE__GZIP ? "gzip" : "safetensors");
    return status;
}

/* Read the rows; the notes of unpacking and reading go together. */
static wte_status read_rows(opening *o, wte__outfile *file, wte__layout *layout, wte_space **out,
                            wte_error *err)
{
    char note[sizeof o->note];
    wte_space *space = wte__space_alloc();
    wte_status status;

    if (!space)
        return wte__fail(err, WTE_E_NOMEM, "no memory to open %s", o->path);
    status = wte__read_rows(&o->source, file, file ? wte__index_header_size(o->canonical) : 0,
                            o->options, space, layout, note, sizeof note, err);
    if (status != WTE_OK) {
        wte_space_free(space);
        return status;
    }
    if (*note)
        snprintf(o->note, sizeof o->note, "%s", note);
    *out = space;
    return WTE_OK;
}

static bool changed_meanwhile(const opening *o)
{
    wte__map now = {0};
    bool changed;

    if (wte__map_open(&now, o->path, NULL) != WTE_OK)
        return true;
    changed = now.size != o->file.size || now.mtime_ns != o->file.mtime_ns ||
              now.inode != o->file.inode || now.device != o->file.device;
    wte__map_close(&now);
    return changed;
}

/* Read the rows and write the index. E_IO only if the index could not be written and no space was
 * made; a space that is complete is kept even if its index could not be put into place. */
static wte_status build_index(opening *o, wte_space **out, wte_error *err)
{
    wte__outfile file = {-1, NULL, NULL};
    wte__layout layout;
    wte_space *space = NULL;
    wte_error why = {WTE_OK, 0, ""};
    wte_status status = wte__mkdirs(o->folder, err);

    if (status == WTE_OK)
        status = wte__outfile_open(&file, o->index_path, err);
    if (status == WTE_OK)
        status = read_rows(o, &file, &layout, &space, err);
    if (status != WTE_OK) {
        wte__outfile_abort(&file);
        return status;
    }
    space->info.name = wte__space_string(space, o->name);
    space->info.format = wte__space_string(space, o->format);
    space->info.note = wte__space_string(space, o->note);
    if (!space->info.name || !space->info.format || !space->info.note)
        status = wte__fail(&why, WTE_E_NOMEM, "no memory for the name of %s", o->path);
    else if (changed_meanwhile(o))
        status = wte__fail(&why, WTE_E_IO, "%s: changed while it was read", o->path);
    else
        status = wte__index_seal(&file, &layout, space, o->canonical, &o->file, &why);
    if (status == WTE_OK)
        status = wte__outfile_commit(&file, &why);
    else
        wte__outfile_abort(&file);
    if (status == WTE_E_NOMEM) {
        wte_space_free(space);
        if (err)
            *err = why;
        return status;
    }
    if (status != WTE_OK) {
        o->state = WTE_INDEX_FAILED;
        snprintf(o->index_note, sizeof o->index_note, "%s", why.message);
    } else {
        wte__cache_sweep(o->folder);
    }
    *out = space;
    return WTE_OK;
}

static wte_status open_vectors(opening *o, wte_space **out, wte_error *err)
{
    wte_space *space = NULL;
    wte__layout layout;
    wte_status status = want_index(o, err);

    if (status != WTE_OK)
        return status;
    if (o->index_path) {
        status = find_index(o, out, err);
        if (status != WTE_E_NOTFOUND)
            return status;
    }
    status = WTE_OK;
    if (o->source.sniffed.kind == WTE__GZIP)
        status = unpack(o, err);
    if (status != WTE_OK)
        return status;
    snprintf(o->format, sizeof o->format, "%s%s", wte__kind_name(o->source.sniffed.kind),
             o->source.temporary ? ", gzip" : "");
    if (o->index_path) {
        wte_error why;

        status = build_index(o, &space, &why);
        if (status == WTE_E_IO) {
            o->state = WTE_INDEX_FAILED;
            snprintf(o->index_note, sizeof o->index_note, "%s", why.message);
        } else if (status != WTE_OK) {
            if (err)
                *err = why;
            return status;
        }
    }
    if (!space)
        status = read_rows(o, NULL, &layout, &space, err);
    if (status == WTE_OK) {
        give_file(o, space);
        status = describe(o, space, err);
    }
    if (status != WTE_OK)
        wte_space_free(space);
    else
        *out = space;
    return status;
}

wte_status wte_space_open(const char *path, const wte_open_options *options, wte_space **out,
                          wte_error *err)
{
    static const wte_open_options defaults = WTE_OPEN_DEFAULTS;
    opening o = {.path = path, .options = options ? options : &defaults};
    wte_status status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not make us wait */

    if (fd < 0)
        return wte__fail_errno(err, "%s", path);
    status = wte__map_fd(&o.file, fd, path, err);
    if (status != WTE_OK) {
        close(fd);
        return status;
    }
    name_of(path, o.name, sizeof o.name);
    o.source = (wte__source){.data = o.file.data, .size = o.file.size, .fd = fd, .path = path};
    status = wte__sniff(o.source.data, o.source.size, path, &o.source.sniffed, err);
    if (status == WTE_OK)
        status = o.source.sniffed.kind == WTE__SAFETENSORS ? open_layout(&o, out, err)
                                                           : open_vectors(&o, out, err);
    wte__map_close(&o.file);
    wte__map_close(&o.unpacked);
    close(o.source.fd);
    wte__free(o.canonical);
    wte__free(o.folder);
    wte__free(o.index_path);
    return status;
}
