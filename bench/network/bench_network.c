/* SPDX-License-Identifier: MIT */
/* bench_network.c - time a network in one process
 *
 *   bench_network MODEL f32|bf16|int8 THREADS CASE...
 *
 *     decode:CONTEXT:NEW:BATCH:N   BATCH sequences of CONTEXT tokens are run, then NEW tokens of
 *                                  each, one by one, with logits; N times
 *     share:CONTEXT:NEW:N          the same for one sequence, and before each of the N times a
 *                                  plain read of the checkpoint's file
 *     prefill:TOKENS:N             one sequence from nothing, with logits of its last token
 *     encode:TOKENS:N              BERT: one sequence, hidden states
 *     memory:TOKENS                a prompt, then token by token until there are TOKENS: memory
 *                                  after
 *
 * Prints one JSON object. Seconds are of the tokens named: NEW steps, or one pass; each case runs
 * once untimed before. A step's token is given, not chosen: running the network is all that is
 * timed. "hidden" is the beginning of the last row's hidden state, "next" the token with the
 * largest logit: what others computed can be compared with them.
 *
 * The plain read: every thread adds up its part of the checkpoint's file, mapped as the network
 * maps it. Anonymous memory in large pages can be read faster, but no weights lie there. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wte/wte.h>
#include "../sum_bytes.h"

enum { MAX_TOKENS = 4096, MAX_BATCH = 256, MAX_THREADS = 256, HIDDEN = 8, MEMORY_STEPS = 64 };

static size_t read_size; /* of the plain read */
static const char *model_path;

static uint32_t ids[MAX_BATCH * MAX_TOKENS], sequences[MAX_BATCH];
static const wte_network *network;
static unsigned n_threads;

static void die(const char *message)
{
    fprintf(stderr, "bench_network: %s\n", message);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- the plain read --------------------------------------------------------------------- */

typedef struct part {
    const unsigned char *data;
    size_t n;
    uint64_t sum;
} part;

static void *read_part(void *argument)
{
    part *p = argument;

    p->sum = sum_bytes(p->data, p->n);
    return NULL;
}

/* Seconds of reading `read_size` bytes once. */
static double read_all(const unsigned char *data)
{
    static volatile uint64_t sink; /* keeps the loads alive */
    static part parts[MAX_THREADS];
    pthread_t threads[MAX_THREADS];
    size_t each = read_size / n_threads / 4096 * 4096;
    double start = now();

    for (unsigned i = 0; i < n_threads; i++) {
        parts[i].data = data + i * each;
        parts[i].n = i + 1 < n_threads ? each : read_size - i * each;
        if (i > 0 && pthread_create(&threads[i], NULL, read_part, &parts[i]) != 0)
            die("a thread could not be started");
    }
    read_part(&parts[0]);
    for (unsigned i = 1; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < n_threads; i++)
        sink = sink + parts[i].sum;
    return now() - start;
}

/* Map the checkpoint's file, and touch it all. */
static const unsigned char *memory_to_read(void)
{
    char path[4096];
    struct stat facts;
    const void *data;
    int fd;

    snprintf(path, sizeof path, "%s/model.safetensors", model_path);
    fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &facts) != 0)
        die("the plain read needs a folder with model.safetensors");
    read_size = (size_t)facts.st_size;
    data = mmap(NULL, read_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (data == MAP_FAILED)
        die("no memory for the plain read");
    return data;
}

/* ---- the network ------------------------------------------------------------------------ */

static wte_session *new_session(size_t n_sequences)
{
    wte_session_options options = WTE_SESSION_DEFAULTS;
    wte_session *session = NULL;
    wte_error err;

    options.n_sequences = n_sequences;
    options.n_threads = n_threads;
    if (wte_session_new(network, &options, &session, &err))
        die(err.message);
    return session;
}

static void run(wte_session *session, const uint32_t *of, size_t n, wte_logits logits)
{
    wte_batch batch = {0};
    wte_error err;

    batch.ids = ids;
    batch.sequences = of;
    batch.n = n;
    batch.logits = logits;
    if (wte_session_run(session, &batch, &err))
        die(err.message);
}

/* The token i of sequence s; the same in torch_peer.py and llama.mjs. */
static uint32_t token(size_t s, size_t i)
{
    return (uint32_t)((464 + 7919 * s + 104729 * i) % (wte_network_get_info(network)->n_vocab - 1));
}

/* Tokens begin..begin + n - 1 of one sequence. */
static void run_sequence(wte_session *session, uint32_t s, size_t begin, size_t n,
                         wte_logits logits)
{
    static uint32_t of[MAX_TOKENS];

    for (size_t i = 0; i < n; i++) {
        ids[i] = token(s, begin + i);
        of[i] = s;
    }
    run(session, of, n, logits);
}

static void step(wte_session *session, size_t at, size_t n_batch)
{
    for (size_t s = 0; s < n_batch; s++) {
        ids[s] = token(s, at);
        sequences[s] = (uint32_t)s;
    }
    run(session, sequences, n_batch, WTE_LOGITS_LAST);
}

static double decode(wte_session *session, size_t context, size_t n_new, size_t n_batch)
{
    double start;

    for (size_t s = 0; s < n_batch; s++)
        wte_session_truncate(session, (uint32_t)s, context);
    start = now();
    for (size_t i = 0; i < n_new; i++)
        step(session, context + i, n_batch);
    return now() - start;
}

static void print_seconds(const char *name, const double *seconds, size_t n)
{
    printf(", \"%s\": [", name);
    for (size_t i = 0; i < n; i++)
        printf("%s%.9f", i ? ", " : "", seconds[i]);
    printf("]");
}

/* What the last token of the last run was given. */
static void print_outcome(const wte_session *session, size_t n_rows)
{
    const float *hidden = wte_session_hidden(session, n_rows - 1);
    const float *logits = wte_session_logits(session, n_rows - 1);
    uint32_t n = wte_network_get_info(network)->n_vocab, best = 0;

    if (hidden) {
        printf(", \"hidden\": [");
        for (size_t i = 0; i < HIDDEN && i < wte_network_get_info(network)->n_embd; i++)
            printf("%s%.9g", i ? ", " : "", (double)hidden[i]);
        printf("]");
    }
    if (logits) {
        for (uint32_t i = 1; i < n; i++)
            if (logits[i] > logits[best])
                best = i;
        printf(", \"next\": %u", best);
    }
}

static void bench_decode(size_t context, size_t n_new, size_t n_batch, size_t n, int with_read)
{
    wte_session *session = new_session(n_batch);
    const unsigned char *data = with_read ? memory_to_read() : NULL;
    double *seconds = calloc(2 * n, sizeof *seconds);

    if (!seconds)
        die("out of memory");
    for (size_t s = 0; s < n_batch; s++)
        run_sequence(session, (uint32_t)s, 0, context, WTE_LOGITS_NONE);
    decode(session, context, n_new < 2 ? n_new : 2, n_batch);
    if (data)
        read_all(data);
    for (size_t i = 0; i < n; i++) {
        if (data)
            seconds[n + i] = read_all(data);
        seconds[i] = decode(session, context, n_new, n_batch);
    }
    print_seconds("seconds", seconds, n);
    if (data) {
        print_seconds("read", seconds + n, n);
        printf(", \"read_bytes\": %zu", read_size);
        munmap((void *)(uintptr_t)data, read_size);
    }
    print_outcome(session, n_batch);
    free(seconds);
    wte_session_free(session);
}

static void bench_pass(size_t n_tokens, size_t n, wte_logits logits)
{
    wte_session *session = new_session(1);
    double *seconds = calloc(n, sizeof *seconds);

    if (!seconds)
        die("out of memory");
    run_sequence(session, 0, 0, n_tokens, logits);
    for (size_t i = 0; i < n; i++) {
        double start = now();

        wte_session_truncate(session, 0, 0);
        run_sequence(session, 0, 0, n_tokens, logits);
        seconds[i] = now() - start;
    }
    print_seconds("seconds", seconds, n);
    print_outcome(session, n_tokens);
    free(seconds);
    wte_session_free(session);
}

static void bench_memory(size_t n_tokens)
{
    size_t prompt = n_tokens > MEMORY_STEPS ? n_tokens - MEMORY_STEPS : n_tokens;
    wte_session *session = new_session(1);
    char line[256];
    FILE *f;
    size_t kb;

    run_sequence(session, 0, 0, prompt, WTE_LOGITS_LAST);
    for (size_t i = prompt; i < n_tokens; i++)
        step(session, i, 1);
    f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');

        if (strncmp(line, "Rss", 3) == 0 && colon && sscanf(colon + 1, "%zu", &kb) == 1) {
            *colon = '\0';
            printf(", \"%s\": %zu", line, kb * 1024);
        }
    }
    if (f)
        fclose(f);
    wte_session_free(session);
}

static int run_case(const char *text)
{
    size_t context, n_new, n_batch, n;

    printf("{\"case\": \"%s\"", text);
    if (sscanf(text, "decode:%zu:%zu:%zu:%zu", &context, &n_new, &n_batch, &n) == 4 &&
        context > 0 && context + n_new <= MAX_TOKENS && n_batch > 0 && n_batch <= MAX_BATCH)
        bench_decode(context, n_new, n_batch, n, 0);
    else if (sscanf(text, "share:%zu:%zu:%zu", &context, &n_new, &n) == 3 && context > 0 &&
             context + n_new <= MAX_TOKENS)
        bench_decode(context, n_new, 1, n, 1);
    else if (sscanf(text, "prefill:%zu:%zu", &context, &n) == 2 && context > 0 &&
             context <= MAX_TOKENS)
        bench_pass(context, n, WTE_LOGITS_LAST);
    else if (sscanf(text, "encode:%zu:%zu", &context, &n) == 2 && context > 0 &&
             context <= MAX_TOKENS)
        bench_pass(context, n, WTE_LOGITS_NONE);
    else if (sscanf(text, "memory:%zu", &context) == 1 && context > 0 && context <= MAX_TOKENS)
        bench_memory(context);
    else
        return 0;
    printf("}");
    return 1;
}

int main(int argc, char **argv)
{
    wte_precision precision = WTE_PRECISION_F32;
    const wte_network_info *info;
    wte_model *model = NULL;
    wte_error err;
    double start = now();

    if (argc < 5 || (n_threads = (unsigned)strtoul(argv[3], NULL, 10)) == 0 ||
        n_threads > MAX_THREADS) {
        fprintf(stderr, "usage: bench_network MODEL f32|bf16|int8 THREADS CASE...\n");
        return 2;
    }
    if (strcmp(argv[2], "bf16") == 0)
        precision = WTE_PRECISION_BF16;
    else if (strcmp(argv[2], "int8") == 0)
        precision = WTE_PRECISION_INT8;
    else if (strcmp(argv[2], "f32") != 0)
        die("the precision is f32, bf16 or int8");
    model_path = argv[1];
    if (wte_model_open(model_path, NULL, &model, &err) ||
        wte_model_network(model, precision, &network, &err))
        die(err.message);
    info = wte_network_get_info(network);
    printf("{\"open\": %.6f, \"bytes_per_token\": %llu, \"converted_bytes\": %llu, "
           "\"converted_found\": %s, \"note\": \"%s\",\n \"cases\": [",
           now() - start, (unsigned long long)info->bytes_per_token,
           (unsigned long long)info->converted_bytes, info->converted_found ? "true" : "false",
           info->note);
    for (int i = 4; i < argc; i++) {
        printf("%s", i > 4 ? ",\n " : "");
        if (!run_case(argv[i])) {
            fprintf(stderr, "bench_network: there is no case '%s'\n", argv[i]);
            return 2;
        }
    }
    puts("]}");
    wte_model_free(model);
    return 0;
}
