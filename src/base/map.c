/* SPDX-License-Identifier: MIT */
/* map.c - files mapped read-only
 *
 * A mapped file that another program shrinks gives SIGBUS when it is read. A library must not
 * install signal handlers, but a program may, and then it wants to say which file it was: a fixed
 * table keeps the range and path of every mapping, to be read in the handler without locks. */
#include "base/base.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_SLOTS = 256, PATH_KEPT = 1024 };

typedef struct slot {
    _Atomic uintptr_t start; /* 0: free, 1: being filled */
    _Atomic size_t size;
    char path[PATH_KEPT];
} slot;

static slot slots[N_SLOTS];

/* Note a mapping. With more than N_SLOTS of them the rest go unnamed: only a message gets poorer.
 */
static void remember(const void *start, size_t size, const char *path)
{
    for (size_t i = 0; i < N_SLOTS; i++) {
        uintptr_t free_slot = 0;

        if (!atomic_compare_exchange_strong(&slots[i].start, &free_slot, 1))
            continue;
        snprintf(slots[i].path, sizeof slots[i].path, "%s", path);
        slots[i].size = size;
        slots[i].start = (uintptr_t)start;
        return;
    }
}

static void forget(const void *start)
{
    for (size_t i = 0; i < N_SLOTS; i++)
        if (slots[i].start == (uintptr_t)start) {
            slots[i].start = 0;
            return;
        }
}

const char *wte__map_path_of(const void *address)
{
    uintptr_t a = (uintptr_t)address;

    for (size_t i = 0; i < N_SLOTS; i++) {
        uintptr_t start = slots[i].start;

        if (start > 1 && a >= start && a - start < slots[i].size)
            return slots[i].path;
    }
    return NULL;
}

static int64_t mtime_ns(const struct stat *st)
{
#if defined(__APPLE__)
    return (int64_t)st->st_mtimespec.tv_sec * 1000000000 + st->st_mtimespec.tv_nsec;
#else
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
#endif
}

wte_status wte__map_fd(wte__map *map, int fd, const char *path, wte_error *err)
{
    struct stat st;
    wte__map m = {0};

    if (fstat(fd, &st) != 0)
        return wte__fail_errno(err, "%s", path);
    if (S_ISDIR(st.st_mode))
        return wte__fail(err, WTE_E_IO, "%s: is a folder, expected a file", path);
    if (!S_ISREG(st.st_mode))
        return wte__fail(err, WTE_E_IO, "%s: is no regular file, so it cannot be mapped", path);
    if ((uintmax_t)st.st_size > PTRDIFF_MAX)
        return wte__fail(err, WTE_E_IO, "%s: %jd bytes are too many for this machine", path,
                         (intmax_t)st.st_size);
    m.size = (size_t)st.st_size;
    m.inode = (uint64_t)st.st_ino;
    m.device = (uint64_t)st.st_dev;
    m.mtime_ns = mtime_ns(&st);
    if (m.size == 0) {
        m.data = (const unsigned char *)"";
    } else {
        void *p = mmap(NULL, m.size, PROT_READ, MAP_SHARED, fd, 0);

        if (p == MAP_FAILED)
            return wte__fail_errno(err, "%s: cannot map %zu bytes", path, m.size);
        m.data = p;
        m.mapped = m.size;
        remember(p, m.size, path);
    }
    *map = m;
    return WTE_OK;
}

wte_status wte__map_open(wte__map *map, const char *path, wte_error *err)
{
    wte_status status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not make us wait */

    if (fd < 0)
        return wte__fail_errno(err, "%s", path);
    status = wte__map_fd(map, fd, path, err);
    close(fd);
    return status;
}

void wte__map_close(wte__map *map)
{
    if (!map || !map->mapped)
        return;
    forget(map->data);
    munmap((void *)(uintptr_t)map->data, map->mapped);
    memset(map, 0, sizeof *map);
}

void wte__map_advise(const wte__map *map, wte__advice advice)
{
    static const int flags[] = {MADV_SEQUENTIAL, MADV_RANDOM, MADV_WILLNEED};

    if (map->mapped)
        madvise((void *)(uintptr_t)map->data, map->mapped, flags[advice]);
}
