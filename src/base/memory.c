/* SPDX-License-Identifier: MIT */
/* memory.c - every allocation of the library goes through here
 *
 * The sizes of products are checked, and a test can make the nth allocation fail, so that each path
 * that runs out of memory is walked once. Large blocks ask for large pages: a table that is read at
 * random (a hash of three million words) misses the TLB far less with them, and what is written for
 * the first time takes one page fault where it would take 512. */
#include "base/base.h"
#include <stdlib.h>
#include <sys/mman.h>

enum { LARGE_PAGE = 2 * 1024 * 1024 };

static _Atomic long countdown = -1;

void wte__fail_alloc(long nth)
{
    countdown = nth;
}

/* True when the test hook says that this allocation fails. */
static bool told_to_fail(void)
{
    if (countdown < 0)
        return false;
    return atomic_fetch_sub(&countdown, 1) == 0;
}

void *wte__calloc(size_t n, size_t size)
{
    size_t bytes;

    if (told_to_fail() || wte__mul_overflows(n, size, &bytes) || bytes > PTRDIFF_MAX)
        return NULL;
    return calloc(1, bytes ? bytes : 1);
}

void *wte__alloc_aligned(size_t n, size_t size)
{
    size_t bytes;
    void *block = NULL;

    if (told_to_fail() || wte__mul_overflows(n, size, &bytes) || bytes > PTRDIFF_MAX - LARGE_PAGE)
        return NULL;
    if (posix_memalign(&block, bytes >= LARGE_PAGE ? LARGE_PAGE : 64, bytes ? bytes : 1) != 0)
        return NULL;
#if defined(MADV_HUGEPAGE)
    if (bytes >= LARGE_PAGE)
        madvise(block, bytes, MADV_HUGEPAGE);
#endif
    return block;
}

void *wte__reserve(size_t n, size_t size)
{
    size_t bytes;
    void *block;

    if (told_to_fail() || wte__mul_overflows(n, size, &bytes) || bytes > PTRDIFF_MAX)
        return NULL;
    block = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED)
        return NULL;
#if defined(MADV_NOHUGEPAGE)
    madvise(block, bytes, MADV_NOHUGEPAGE);
#endif
    return block;
}

void wte__release(void *block, size_t n, size_t size)
{
    if (block)
        munmap(block, n > 0 && size > 0 ? n * size : 1);
}

/* Ask for large pages for those that lie inside a block whole. */
static void want_large_pages(void *block, size_t bytes)
{
#if defined(MADV_HUGEPAGE)
    size_t skip = (size_t)(-(uintptr_t)block % LARGE_PAGE);

    if (bytes > skip && bytes - skip >= LARGE_PAGE)
        madvise((char *)block + skip, (bytes - skip) / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
#else
    (void)block;
    (void)bytes;
#endif
}

bool wte__grow(void **array, size_t *capacity, size_t n, size_t size)
{
    size_t wanted, bytes;
    void *larger;

    if (n <= *capacity)
        return true;
    wanted = *capacity < 8 ? 8 : *capacity;
    while (wanted < n)
        if (wte__mul_overflows(wanted, 2, &wanted))
            return false;
    if (told_to_fail() || wte__mul_overflows(wanted, size, &bytes) || bytes > PTRDIFF_MAX)
        return false;
    larger = realloc(*array, bytes);
    if (!larger)
        return false;
    if (bytes >= 2 * LARGE_PAGE)
        want_large_pages(larger, bytes);
    *array = larger;
    *capacity = wanted;
    return true;
}

char *wte__strndup(const char *s, size_t n)
{
    char *copy = wte__calloc(n + 1, 1);

    if (copy && n)
        memcpy(copy, s, n);
    return copy;
}

char *wte__strdup(const char *s)
{
    return wte__strndup(s, strlen(s));
}

void wte__free(void *ptr)
{
    free(ptr);
}
