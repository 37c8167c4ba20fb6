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
    uint64_t inode, device;
    int64_t mtime_ns;
    char path[PATH_KEPT];
} slot;

static slot slots[N_SLOTS];

/* Note a mapping. With more than N_SLOTS of them the rest go unnamed: only a message gets poorer.
 */
static void remember(const wte__map *m, const char *path)
{
    for (size_t i = 0; i < N_SLOTS; i++) {
        uintptr_t free_slot = 0;

        if (!atomic_compare_exchange_strong(&slots[i].start, &free_slot, 1))
            continue;
        snprintf(slots[i].path, sizeof slots[i].path, "%s", path);
        slots[i].inode = m->inode;
        slots[i].device = m->device;
        slots[i].mtime_ns = m->mtime_ns;
        slots[i].size = m->mapped;
        slots[i].start = (uintptr_t)m->data;
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

static const slot *slot_of(const void *address)
{
    uintptr_t a = (uintptr_t)address;

    for (size_t i = 0; i < N_SLOTS; i++) {
        uintptr_t start = slots[i].start;

        if (start > 1 && a >= start && a - start < slots[i].size)
            return &slots[i];
    }
    return NULL;
}

const char *wte__map_path_of(const void *address)
{
    const slot *s = slot_of(address);

    return s ? s->path : NULL;
}

/* Wraps round for times after the year 2262, which some file systems can hold: it is only compared.
 */
static int64_t mtime_ns(const struct stat *st)
{
#if defined(__APPLE__)
    const struct timespec time = st->st_mtimespec;
#else
    const struct timespec time = st->st_mtim;
#endif
    return (int64_t)((uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec);
}

int wte__map_reopen(const void *address, uint64_t *offset)
{
    const slot *s = slot_of(address);
    struct stat st;
    int fd = s ? open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0 || (uint64_t)st.st_ino != s->inode ||
        (uint64_t)st.st_dev != s->device || mtime_ns(&st) != s->mtime_ns ||
        (uintmax_t)st.st_size != s->size) {
        close(fd);
        return -1;
    }
    *offset = (uintptr_t)address - s->start;
    return fd;
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
        remember(&m, path);
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
