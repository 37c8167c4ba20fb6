/* SPDX-License-Identifier: MIT */
/** base/base.h - what every folder of the library stands on
 *
 * Failure messages, memory, files, threads, hashing, UTF-8 and progress. Nothing here knows of
 * embeddings. */
#ifndef WTE_BASE_H
#define WTE_BASE_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "wte/status.h"

/* ---- failure ---------------------------------------------------------------------------- */

/** Write a failure and return its status. The message is cut to fit, never split inside a UTF-8
 * character; newlines and control bytes are shown as '?', so that it stays one line. */
wte_status wte__fail(wte_error *err, wte_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** The same, with the byte of the input that the message is about. */
wte_status wte__fail_at(wte_error *err, wte_status status, uint64_t offset, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/** The same for a failed system call: appends strerror(errno). */
wte_status wte__fail_errno(wte_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- memory ----------------------------------------------------------------------------- */

/** Allocate n * size zeroed bytes; NULL if the product overflows or there is none. */
void *wte__calloc(size_t n, size_t size);
/** Allocate n * size bytes that start at a multiple of 64, not zeroed, asking for large pages where
 * it is big; free with wte__free. */
void *wte__alloc_aligned(size_t n, size_t size);
/** Reserve n * size zeroed bytes, of which only pages that are touched take memory, small pages
 * always. Free with wte__release, with the same n and size. NULL as above. */
void *wte__reserve(size_t n, size_t size);
void wte__release(void *block, size_t n, size_t size);
/** Grow an array to hold at least n elements; *capacity is updated. Keeps the old one on failure.
 */
bool wte__grow(void **array, size_t *capacity, size_t n, size_t size);
char *wte__strdup(const char *s);
char *wte__strndup(const char *s, size_t n);
/** Free what any function above gave. NULL is allowed. */
void wte__free(void *ptr);
/** Test hook: the nth allocation from now fails (0 is the next), once. Negative: none. */
void wte__fail_alloc(long nth);

static inline bool wte__mul_overflows(size_t a, size_t b, size_t *out)
{
    return __builtin_mul_overflow(a, b, out);
}

/* ---- files ------------------------------------------------------------------------------ */

/** A file mapped read-only. An empty file has data != NULL and size 0. */
typedef struct wte__map {
    const unsigned char *data;
    size_t size;
    uint64_t inode, device;
    int64_t mtime_ns;
    size_t mapped; /* bytes to unmap; 0: nothing to do */
} wte__map;

wte_status wte__map_open(wte__map *map, const char *path, wte_error *err);
/** Map an open descriptor, which stays open. `path` is for messages. */
wte_status wte__map_fd(wte__map *map, int fd, const char *path, wte_error *err);
void wte__map_close(wte__map *map);
/** Find the path of the mapped file that holds an address, or NULL. Safe in a signal handler, so a
 * program can say which file shrank under it. */
const char *wte__map_path_of(const void *address);
/** Open the mapped file that holds an address for reading, and say where in it the address lies.
 * -1 if it is in no mapping or the file at that path is another one now. The caller closes it. */
int wte__map_reopen(const void *address, uint64_t *offset);

/** A file written beside its final place and renamed there when it is complete, so that nobody ever
 * sees half of it. */
typedef struct wte__outfile {
    int fd;
    char *path, *temp;
} wte__outfile;
wte_status wte__outfile_open(wte__outfile *f, const char *path, wte_error *err);
/** Ask the file system for n bytes at once, where it can: a full disk is noticed before the work,
 * and writing is faster. Errors: E_IO (there is no room). */
wte_status wte__outfile_reserve(wte__outfile *f, uint64_t n, wte_error *err);
/** Write all of n bytes at an offset. Several threads may write to different places. */
wte_status wte__outfile_pwrite(wte__outfile *f, const void *data, size_t n, uint64_t offset,
                               wte_error *err);
/** Rename into place. On failure the temporary file is gone. */
wte_status wte__outfile_commit(wte__outfile *f, wte_error *err);
/** Close and delete the temporary file, unless committed. */
void wte__outfile_abort(wte__outfile *f);

/** Delete the temporary files of all that is being written. Safe in a signal handler. */
void wte__outfile_unlink_all(void);

/** Create a folder and its parents. */
wte_status wte__mkdirs(const char *path, wte_error *err);
/** Join the strings into a new one; NULL if there is no memory. Ends with a NULL argument. */
char *wte__concat(const char *first, ...) __attribute__((sentinel));

/* ---- threads ---------------------------------------------------------------------------- */

unsigned wte__n_processors(void);
/** 0 becomes the number of processors; more threads than blocks are never used. */
unsigned wte__threads(unsigned wanted, size_t n_blocks);
/** Run fn(ctx, block, worker) for every block in 0..n_blocks-1 on n_threads threads (the caller is
 * worker 0) and wait. Blocks are claimed in ascending order. With one thread, or where threads
 * cannot be made, the caller does it all. Results must depend on the block only, never the worker.
 */
typedef void (*wte__task)(void *ctx, size_t block, unsigned worker);
void wte__parallel(size_t n_blocks, unsigned n_threads, wte__task fn, void *ctx);

/** Threads that wait for work between two calls, for work that comes in many small steps: a step of
 * a network has some seventy, each of a tenth of a millisecond. Waiting is first by spinning, then
 * by yielding, then asleep. */
typedef struct wte__team wte__team;
/** Start n_threads - 1 threads (0: one per processor); the caller of wte__team_run is worker 0.
 * Where a thread cannot be made the team is smaller. Errors: E_NOMEM. */
wte_status wte__team_new(unsigned n_threads, wte__team **out, wte_error *err);
void wte__team_free(wte__team *team);
unsigned wte__team_size(const wte__team *team);
/** Run fn(ctx, worker) on every worker at once and wait for all. Not from two threads at once. */
typedef void (*wte__team_fn)(void *ctx, unsigned worker);
void wte__team_run(wte__team *team, wte__team_fn fn, void *ctx);
/** Inside fn: wait until every worker is here. What was written before is seen after. */
void wte__team_barrier(wte__team *team);
/** Inside fn: claim the next block of a loop, 0, 1, 2...; each barrier starts anew at 0, so there
 * is one such loop between two barriers, and every worker leaves it by the same barrier. */
size_t wte__team_claim(wte__team *team);

/* ---- progress --------------------------------------------------------------------------- */

/** Progress of one step, safe to add to from every worker; calls back from the caller's thread only
 * (worker 0) and at most twenty times a second. */
typedef struct wte__progress {
    wte_progress_fn fn;
    void *data;
    const char *what;
    uint64_t total;
    _Atomic uint64_t done;
    _Atomic bool cancelled;
    int64_t next_ns;
} wte__progress;
void wte__progress_begin(wte__progress *p, wte_progress_fn fn, void *data, const char *what,
                         uint64_t total);
/** Add work done; true if the caller asked to cancel, and the work should stop. */
bool wte__progress_add(wte__progress *p, uint64_t done, unsigned worker);
/** Report the end; true if cancelled. */
bool wte__progress_end(wte__progress *p);

/** Nanoseconds of a clock that never goes back. */
int64_t wte__now_ns(void);

/* ---- hashing, numbers, text ------------------------------------------------------------- */

/** Hash bytes. The same on every machine; used in files, so it never changes. */
uint64_t wte__hash(const void *data, size_t n);
/** Another hash for each seed; the one above is that of seed 0. */
uint64_t wte__hash_seeded(const void *data, size_t n, uint64_t seed);
/** A seed for tables that live no longer than the process, which nobody can know who writes a file
 * whose names all fall into one slot. */
uint64_t wte__hash_secret(void);
/** splitmix64: a small generator for samples whose seed is fixed. */
static inline uint64_t wte__random(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}
/** Decode one UTF-8 character; returns its length, or 0 if the bytes are ill-formed. */
size_t wte__utf8_decode(const char *s, size_t n, uint32_t *code);
bool wte__utf8_valid(const char *s, size_t n);

/** Little-endian reads from any alignment. */
static inline uint64_t wte__load_u64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint32_t wte__load_u32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline float wte__load_f32(const void *p)
{
    float v;
    memcpy(&v, p, sizeof v);
    return v;
}
#endif
