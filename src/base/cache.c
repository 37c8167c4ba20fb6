/* SPDX-License-Identifier: MIT */
/* cache.c - files kept in the user's cache folder
 *
 * A kept file says which files it was made from: size, time of the last change to the nanosecond,
 * inode and device. If any of them differs, a file was changed or replaced and what was kept is
 * made anew. Its name holds a hash of a canonical path, so that two files of one name do not fight
 * over it, and it is found without reading anything.
 *
 * Damage has to show without reading all of it:
 *
 *  - Whoever writes into it later changes its time of last change. That time is therefore set,
 *    after the last byte was written, to a moment in the past which the header records; if the two
 *    differ, somebody wrote.
 *  - Power failure: the file is not synced, which would take as long as the disk needs for a
 *    gigabyte. It is renamed into place when complete, but the rename may reach the disk before the
 *    data. Blocks that were never written are then holes, and a file with holes is refused: asking
 *    for the first hole costs microseconds. Nothing in a good file is a hole, as zeros are written
 *    like everything else. (Where a file system turns zeros into holes, a file of mostly zeros is
 *    made at every open; slower, not wrong.)
 *
 * Two processes that make one file at once write two temporary ones; the last to be renamed stays,
 * and both are good. */
#include "base/cache.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { A_DAY = 24 * 60 * 60 };
static const int64_t SECOND = 1000000000;

wte_status wte__cache_folder(const char *cache_dir, char **out, wte_error *err)
{
    const char *own = getenv("WTE_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char *folder;

    if (cache_dir)
        folder = wte__strdup(cache_dir);
    else if (own && *own)
        folder = wte__strdup(own);
    else if (xdg && *xdg == '/')
        folder = wte__concat(xdg, "/wte", (char *)NULL);
    else if (home && *home)
        folder = wte__concat(home, "/.cache/wte", (char *)NULL);
    else
        return wte__fail(err, WTE_E_IO,
                         "no cache folder: neither WTE_CACHE nor XDG_CACHE_HOME nor HOME is set");
    if (!folder)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a path");
    *out = folder;
    return WTE_OK;
}

bool wte__cache_is_worth(uint64_t bytes)
{
    const char *s = getenv("WTE_INDEX_MIN");
    uint64_t least = 16u << 20;
    char *end = NULL;

    if (s && *s >= '0' && *s <= '9') {
        uint64_t value = strtoull(s, &end, 10);

        least = *end ? least : value;
    }
    return bytes >= least;
}

char *wte__cache_path(const char *folder, const char *canonical, const char *ending)
{
    const char *slash = strrchr(canonical, '/'), *base = slash ? slash + 1 : canonical;
    char hash[32], name[128];

    snprintf(name, sizeof name, "%s", base);
    snprintf(hash, sizeof hash, "-%016" PRIx64, wte__hash(canonical, strlen(canonical)));
    return wte__concat(folder, "/", name, hash, ending, (char *)NULL);
}

char *wte__cache_encode(const char *path)
{
    size_t n = strlen(path);
    char *out = wte__calloc(3 * n + 1, 1), *p = out;

    for (size_t i = 0; out && i < n;) {
        uint32_t code = 0;
        size_t len = wte__utf8_decode(path + i, n - i, &code);

        if (len == 0 || code < 0x20 || code == '%' || code == 0x7F) {
            p += sprintf(p, "%%%02X", (unsigned char)path[i++]);
        } else {
            memcpy(p, path + i, len);
            p += len;
            i += len;
        }
    }
    return out;
}

void wte__cache_decode(char *path)
{
    char *out = path;

    for (const char *p = path; *p;) {
        unsigned byte;

        if (*p == '%' && p[1] && p[2] && sscanf(p + 1, "%2x", &byte) == 1) {
            *out++ = (char)byte;
            p += 3;
        } else {
            *out++ = *p++;
        }
    }
    *out = '\0';
}

void wte__file_identity(const char *path, char out[WTE__IDENTITY_SIZE])
{
    struct stat st;

    if (stat(path, &st) != 0) {
        snprintf(out, WTE__IDENTITY_SIZE, "absent");
        return;
    }
#if defined(__APPLE__)
    const struct timespec time = st.st_mtimespec;
#else
    const struct timespec time = st.st_mtim;
#endif
    snprintf(out, WTE__IDENTITY_SIZE, "%" PRIu64 " %" PRId64 " %" PRIu64 " %" PRIu64,
             (uint64_t)st.st_size,
             (int64_t)((uint64_t)time.tv_sec * (uint64_t)SECOND + (uint64_t)time.tv_nsec),
             (uint64_t)st.st_ino, (uint64_t)st.st_dev);
}

/* ---- damage ------------------------------------------------------------------------------ */

int64_t wte__cache_seal_ns(void)
{
    return (int64_t)(time(NULL) / 2 * 2 - 2) * SECOND;
}

wte_status wte__cache_seal(const wte__outfile *file, int64_t seal_ns, wte_error *err)
{
    const time_t seal = (time_t)(seal_ns / SECOND);
    const struct timespec times[2] = {{seal, 0}, {seal, 0}};

    if (futimens(file->fd, times) != 0)
        return wte__fail_errno(err, "%s: cannot set its time", file->path);
    return WTE_OK;
}

bool wte__has_holes(const char *path, uint64_t size)
{
#if defined(SEEK_HOLE)
    FILE *f = fopen(path, "re");
    off_t hole = f ? lseek(fileno(f), 0, SEEK_HOLE) : -1;

    if (f)
        fclose(f);
    return hole >= 0 && (uint64_t)hole < size;
#else
    (void)path, (void)size;
    return false;
#endif
}

/* ---- the folder -------------------------------------------------------------------------- */

static const char *const endings[] = {WTE__INDEX_ENDING, WTE__TOKENIZER_ENDING, WTE__BF16_ENDING,
                                      WTE__INT8_ENDING};
enum { N_ENDINGS = sizeof endings / sizeof *endings };

bool wte__cache_is_finished(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < N_ENDINGS; i++) {
        size_t ending = strlen(endings[i]);

        if (n > ending && strcmp(name + n - ending, endings[i]) == 0)
            return true;
    }
    return false;
}

static bool is_temporary(const char *name)
{
    size_t n = strlen(name);

    if (n < 4 || strcmp(name + n - 4, ".tmp") != 0)
        return false;
    for (size_t i = 0; i < N_ENDINGS; i++) {
        const char *inside = strstr(name, endings[i]);

        if (inside && inside[strlen(endings[i])] == '.')
            return true;
    }
    return false;
}

wte_status wte__cache_each(const char *folder, wte__cache_fn fn, void *ctx, wte_error *err)
{
    DIR *dir = opendir(folder);
    wte_status status = WTE_OK;
    struct dirent *entry;

    if (!dir)
        return errno == ENOENT ? WTE_OK : wte__fail_errno(err, "%s", folder);
    while (status == WTE_OK && (entry = readdir(dir)) != NULL) {
        struct stat st;
        char *path;

        if (!wte__cache_is_finished(entry->d_name) && !is_temporary(entry->d_name))
            continue;
        path = wte__concat(folder, "/", entry->d_name, (char *)NULL);
        if (!path)
            status = wte__fail(err, WTE_E_NOMEM, "no memory to list %s", folder);
        else if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
            status = fn(ctx, path, entry->d_name, &st, err);
        wte__free(path);
    }
    closedir(dir);
    return status;
}

static wte_status sweep_entry(void *ctx, const char *path, const char *name, const struct stat *st,
                              wte_error *err)
{
    const time_t *now = ctx;

    (void)err;
    if (is_temporary(name) && *now - st->st_mtime > A_DAY)
        unlink(path);
    return WTE_OK;
}

void wte__cache_sweep(const char *folder)
{
    time_t now = time(NULL);

    wte__cache_each(folder, sweep_entry, &now, NULL);
}
