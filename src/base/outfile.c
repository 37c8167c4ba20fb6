/* SPDX-License-Identifier: MIT */
/* outfile.c - files that appear whole or not at all, and folders
 *
 * The content goes to a temporary name in the same folder, which is renamed over the final one when
 * it is complete. The temporary name holds the process id and a counter, so that two processes that
 * write the same file do not meet; the last rename wins and each content is whole. */
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *wte__concat(const char *first, ...)
{
    size_t n = 0;
    char *out, *p;
    va_list ap;

    va_start(ap, first);
    for (const char *s = first; s; s = va_arg(ap, const char *))
        n += strlen(s);
    va_end(ap);
    p = out = wte__calloc(n + 1, 1);
    if (!out)
        return NULL;
    va_start(ap, first);
    for (const char *s = first; s; s = va_arg(ap, const char *))
        p = stpcpy(p, s);
    va_end(ap);
    return out;
}

/* The files under way, so that a program that must end at once (a mapped file shrank: SIGBUS) can
 * delete them from a signal handler, which may neither lock nor free. A slot's name is written
 * before its state says FULL, and a handler reads only full ones. */
enum { N_SLOTS = 16, NAME_SIZE = 4096 };
enum { FREE, BUSY, FULL };
static struct {
    _Atomic int state;
    char temp[NAME_SIZE];
} under_way[N_SLOTS];

static void enlist(const char *temp)
{
    for (size_t i = 0; strlen(temp) < NAME_SIZE && i < N_SLOTS; i++) {
        int expected = FREE;

        if (!atomic_compare_exchange_strong(&under_way[i].state, &expected, BUSY))
            continue;
        strcpy(under_way[i].temp, temp);
        atomic_store(&under_way[i].state, FULL);
        return;
    }
}

static void delist(const char *temp)
{
    for (size_t i = 0; i < N_SLOTS; i++)
        if (atomic_load(&under_way[i].state) == FULL && strcmp(under_way[i].temp, temp) == 0)
            atomic_store(&under_way[i].state, FREE);
}

void wte__outfile_unlink_all(void)
{
    for (size_t i = 0; i < N_SLOTS; i++)
        if (atomic_load(&under_way[i].state) == FULL)
            unlink(under_way[i].temp);
}

wte_status wte__outfile_open(wte__outfile *f, const char *path, wte_error *err)
{
    static _Atomic unsigned counter;
    char suffix[64];
    wte__outfile o = {-1, NULL, NULL};

    snprintf(suffix, sizeof suffix, ".%ld.%u.tmp", (long)getpid(), counter++);
    o.path = wte__strdup(path);
    o.temp = wte__concat(path, suffix, (const char *)NULL);
    if (!o.path || !o.temp) {
        wte__free(o.path);
        wte__free(o.temp);
        return wte__fail(err, WTE_E_NOMEM, "no memory to write %s", path);
    }
    o.fd = open(o.temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (o.fd < 0) {
        wte_status status = wte__fail_errno(err, "%s", path);

        wte__free(o.path);
        wte__free(o.temp);
        return status;
    }
    enlist(o.temp);
    *f = o;
    return WTE_OK;
}

wte_status wte__outfile_reserve(wte__outfile *f, uint64_t n, wte_error *err)
{
#if defined(__linux__)
    if (n > 0 && n <= INT64_MAX && fallocate(f->fd, 0, 0, (off_t)n) != 0 && errno == ENOSPC)
        return wte__fail_errno(err, "%s: cannot reserve %llu bytes", f->path,
                               (unsigned long long)n);
#else
    (void)f, (void)n, (void)err;
#endif
    return WTE_OK;
}

wte_status wte__outfile_pwrite(wte__outfile *f, const void *data, size_t n, uint64_t offset,
                               wte_error *err)
{
    const char *p = data;

    while (n) {
        ssize_t written = pwrite(f->fd, p, n, (off_t)offset);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            if (written == 0)
                errno = ENOSPC;
            return wte__fail_errno(err, "%s: cannot write %zu bytes at byte %llu", f->path, n,
                                   (unsigned long long)offset);
        }
        p += written;
        n -= (size_t)written;
        offset += (uint64_t)written;
    }
    return WTE_OK;
}

static void forget(wte__outfile *f)
{
    delist(f->temp);
    wte__free(f->path);
    wte__free(f->temp);
    *f = (wte__outfile){-1, NULL, NULL};
}

wte_status wte__outfile_commit(wte__outfile *f, wte_error *err)
{
    wte_status status = WTE_OK;

    if (close(f->fd) != 0)
        status = wte__fail_errno(err, "%s", f->path);
    else if (rename(f->temp, f->path) != 0)
        status = wte__fail_errno(err, "%s: cannot rename the new file into place", f->path);
    if (status)
        unlink(f->temp);
    forget(f);
    return status;
}

void wte__outfile_abort(wte__outfile *f)
{
    if (!f || !f->temp)
        return;
    close(f->fd);
    unlink(f->temp);
    forget(f);
}

wte_status wte__mkdirs(const char *path, wte_error *err)
{
    char *copy = wte__strdup(path);
    struct stat st;
    wte_status status = WTE_OK;

    if (!copy)
        return wte__fail(err, WTE_E_NOMEM, "no memory to create %s", path);
    for (char *p = copy + 1;; p++) {
        char c = *p;

        if (c != '/' && c)
            continue;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 &&
            (errno != EEXIST || (!c && (stat(copy, &st) != 0 || !S_ISDIR(st.st_mode))))) {
            status = wte__fail_errno(err, "cannot create the folder %s", copy);
            break;
        }
        *p = c;
        if (!c)
            break;
    }
    wte__free(copy);
    return status;
}
