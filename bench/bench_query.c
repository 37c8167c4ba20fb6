/* SPDX-License-Identifier: MIT */
/* bench_query.c - times searches inside one process, and what the process keeps in memory
 *
 *   bench_query [OPTIONS] FILE QUERY_WORDS
 *     --cache DIR | --no-cache   the index's folder, or no index
 *     --queries N       time N single searches, with the codes
 *     --full N          time N single searches that read all rows in float32
 *     --bandwidth N     before each of N float32 searches, time a plain read of the same bytes
 *     --rows A,B,…      time 20 searches over the first A, B, … rows
 *     --k A,B,…         time 20 searches for A, B, … neighbours
 *     --neighbors N     give the neighbours of the first N query words, for a comparison
 *
 * Prints one JSON object; times are arrays of seconds. Each search is for another word of
 * QUERY_WORDS, and every kind of search is run once, untimed, before it is timed.
 *
 * Memory of its own is RssAnon + RssShmem of /proc/self/status: what no file backs. It is read at
 * the end of the first search; a thread that looks a thousand times a second keeps the peak.
 *
 * The plain read: all processors claim blocks of 4 MB of the mapped file and add them up with AVX2
 * loads (64-bit words elsewhere), nothing else. It reads the bytes from the first row to the end
 * of the file, which are the bytes that a float32 search has to read. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "sum_bytes.h"
#include "wte/nearest.h"

enum { MAX_QUERIES = 4096, SCALE_RUNS = 20, READ_BLOCK = 4 << 20, MAX_THREADS = 256 };

static void die(const char *message)
{
    fprintf(stderr, "bench_query: %s\n", message);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- memory ----------------------------------------------------------------------------- */

static size_t own_bytes(void)
{
    char line[256];
    size_t sum = 0, kb;
    FILE *f = fopen("/proc/self/status", "r");

    if (!f)
        return 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "RssAnon: %zu", &kb) == 1 || sscanf(line, "RssShmem: %zu", &kb) == 1)
            sum += kb * 1024;
    fclose(f);
    return sum;
}

static struct {
    _Atomic int stop;
    size_t peak;
    pthread_t thread;
} watch;

static void *watch_memory(void *unused)
{
    while (!watch.stop) {
        size_t bytes = own_bytes();

        if (bytes > watch.peak)
            watch.peak = bytes;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return unused;
}

/* ---- the plain read --------------------------------------------------------------------- */

static struct {
    const unsigned char *data;
    size_t first, size;
    _Atomic size_t next;
    _Atomic uint64_t sum; /* keeps the loads alive */
} source;

static void *read_blocks(void *unused)
{
    uint64_t sum = 0;
    size_t at;

    while ((at = atomic_fetch_add(&source.next, READ_BLOCK)) < source.size) {
        size_t n = source.size - at < READ_BLOCK ? source.size - at : READ_BLOCK;

        sum += sum_bytes(source.data + at, n);
    }
    source.sum += sum;
    return unused;
}

static double read_all(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t threads[MAX_THREADS];
    long started = 0;
    double t = now();

    source.next = source.first;
    for (; started < n - 1 && started < MAX_THREADS; started++)
        if (pthread_create(&threads[started], NULL, read_blocks, NULL) != 0)
            break;
    read_blocks(NULL);
    while (started > 0)
        pthread_join(threads[--started], NULL);
    return now() - t;
}

static void map_source(const char *path, size_t first)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        die(strerror(errno));
    source.size = (size_t)st.st_size;
    source.first = first;
    source.data = mmap(NULL, source.size, PROT_READ, MAP_SHARED, fd, 0);
    if (source.data == MAP_FAILED)
        die(strerror(errno));
    close(fd);
}

/* ---- searches --------------------------------------------------------------------------- */

static struct {
    wte_space *space;
    const wte_space_info *info;
    uint32_t ids[MAX_QUERIES];
    size_t n_ids, turn;
    float *query;
    wte_neighbor *found;
    uint64_t candidates; /* of the last search */
} bench;

/* Run one search for the next word and return its seconds. */
static double search(size_t k, uint32_t n_rows, int full_scan, uint32_t *id)
{
    wte_search_options options = WTE_SEARCH_DEFAULTS;
    wte_search_report report;
    uint32_t word = bench.ids[bench.turn++ % bench.n_ids];
    size_t n_found = 0;
    wte_error err;
    double t = now();

    options.k = k;
    options.n_rows = n_rows;
    options.full_scan = full_scan;
    options.exclude = &word;
    options.n_exclude = 1;
    if (wte_space_vector(bench.space, word, bench.query, &err) ||
        wte_nearest(bench.space, bench.query, 1, &options, bench.found, &n_found, &report, &err))
        die(err.message);
    t = now() - t;
    bench.candidates = report.n_candidates;
    if (n_found != k && n_found + 1 < (n_rows ? n_rows : bench.info->n_rows))
        die("a search found too little");
    if (id)
        *id = word;
    return t;
}

static void print_times(const char *name, size_t n, size_t k, uint32_t n_rows, int full_scan)
{
    search(k, n_rows, full_scan, NULL);
    printf(",\n \"%s\": [", name);
    for (size_t i = 0; i < n; i++)
        printf("%s%.9f", i ? ", " : "", search(k, n_rows, full_scan, NULL));
    printf("]");
}

static void print_candidates(size_t n)
{
    printf(",\n \"candidates\": [");
    bench.turn = 0;
    for (size_t i = 0; i < n; i++) {
        search(10, 0, 0, NULL);
        printf("%s%llu", i ? ", " : "", (unsigned long long)bench.candidates);
    }
    printf("]");
}

static void print_bandwidth(size_t n)
{
    double *scans = calloc(n, sizeof *scans);

    if (!scans)
        die("out of memory");
    map_source(bench.info->path, (size_t)bench.info->first_row_offset);
    read_all();
    search(10, 0, 1, NULL);
    printf(",\n \"read_bytes\": %zu,\n \"read\": [", source.size - source.first);
    for (size_t i = 0; i < n; i++) {
        printf("%s%.9f", i ? ", " : "", read_all());
        scans[i] = search(10, 0, 1, NULL);
    }
    printf("],\n \"scan\": [");
    for (size_t i = 0; i < n; i++)
        printf("%s%.9f", i ? ", " : "", scans[i]);
    printf("]");
    free(scans);
}

static void print_scaling(const char *name, const char *list, int is_k)
{
    printf(",\n \"%s\": {\"\": []", name);
    for (const char *p = list; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        char label[32];
        size_t n = strtoul(p, NULL, 10);

        snprintf(label, sizeof label, "%zu", n);
        print_times(label, SCALE_RUNS, is_k ? n : 10, is_k ? 0 : (uint32_t)n, 0);
    }
    printf("}");
}

static void print_neighbors(size_t n)
{
    printf(",\n \"neighbors\": {\"\": []");
    bench.turn = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t id;
        size_t len;
        const char *word;

        search(10, 0, 0, &id);
        word = wte_space_word(bench.space, id, &len);
        printf(",\n  \"%.*s\": [", (int)len, word);
        for (size_t j = 0; j < 10; j++) {
            word = wte_space_word(bench.space, bench.found[j].id, &len);
            printf("%s\"%.*s\"", j ? ", " : "", (int)len, word);
        }
        printf("]");
    }
    printf("}");
}

static void read_words(const char *path)
{
    char line[512];
    wte_error err;
    FILE *f = fopen(path, "r");

    if (!f)
        die(strerror(errno));
    while (bench.n_ids < MAX_QUERIES && fgets(line, sizeof line, f)) {
        size_t len = strcspn(line, "\n");

        if (wte_space_find(bench.space, line, len, &bench.ids[bench.n_ids], &err))
            die(err.message);
        bench.n_ids++;
    }
    fclose(f);
    if (bench.n_ids == 0)
        die("no query words");
}

static const char *const index_states[] = {"none", "built", "rebuilt", "found", "failed"};

int main(int argc, char **argv)
{
    static const char *const names[] = {"--cache", "--queries", "--full",     "--bandwidth",
                                        "--rows",  "--k",       "--neighbors"};
    enum { CACHE, QUERIES, FULL, BANDWIDTH, ROWS, K, NEIGHBORS, N_NAMES };
    const char *values[N_NAMES] = {NULL};
    wte_open_options options = WTE_OPEN_DEFAULTS;
    wte_error err;
    size_t n, largest_k = 10;
    double t;
    int i = 1;

    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--no-cache") == 0) {
            options.cache = WTE_CACHE_NEVER;
            continue;
        }
        for (n = 0; n < N_NAMES && strcmp(argv[i], names[n]) != 0; n++)
            ;
        if (n == N_NAMES || i + 1 == argc)
            die("unknown option, or one without its value; the file's first comment lists them");
        values[n] = argv[++i];
    }
    if (argc - i != 2)
        die("usage: bench_query [OPTIONS] FILE QUERY_WORDS");
    options.cache_dir = values[CACHE];
    for (const char *p = values[K]; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        largest_k = strtoul(p, NULL, 10) > largest_k ? strtoul(p, NULL, 10) : largest_k;

    pthread_create(&watch.thread, NULL, watch_memory, NULL);
    t = now();
    if (wte_space_open(argv[i], &options, &bench.space, &err))
        die(err.message);
    t = now() - t;
    bench.info = wte_space_get_info(bench.space);
    bench.query = calloc(bench.info->dim, sizeof *bench.query);
    bench.found = calloc(largest_k, sizeof *bench.found);
    if (!bench.query || !bench.found)
        die("out of memory");
    read_words(argv[i + 1]);
    printf("{\"open\": %.9f,\n \"rows_in_file\": %u,\n \"dim\": %zu,\n \"index\": \"%s\"", t,
           bench.info->n_rows, bench.info->dim, index_states[bench.info->index]);
    printf(",\n \"index_bytes\": %llu,\n \"first_search\": %.9f",
           (unsigned long long)bench.info->index_bytes, search(10, 0, 0, NULL));
    watch.stop = 1;
    pthread_join(watch.thread, NULL);
    n = own_bytes();
    printf(",\n \"own_bytes\": %zu,\n \"own_peak_bytes\": %zu", n, n > watch.peak ? n : watch.peak);

    if (values[QUERIES]) {
        print_times("codes", strtoul(values[QUERIES], NULL, 10), 10, 0, 0);
        print_candidates(strtoul(values[QUERIES], NULL, 10));
    }
    if (values[FULL])
        print_times("full", strtoul(values[FULL], NULL, 10), 10, 0, 1);
    if (values[BANDWIDTH])
        print_bandwidth(strtoul(values[BANDWIDTH], NULL, 10));
    if (values[ROWS])
        print_scaling("by_rows", values[ROWS], 0);
    if (values[K])
        print_scaling("by_k", values[K], 1);
    if (values[NEIGHBORS])
        print_neighbors(strtoul(values[NEIGHBORS], NULL, 10));
    printf("}\n");
    free(bench.query);
    free(bench.found);
    wte_space_free(bench.space);
    return 0;
}
