/* SPDX-License-Identifier: MIT */
/* make_vectors.c - large files of word vectors for the benchmark, the same on every machine
 *
 *   make_vectors -f bin|glove -r ROWS -d DIM -q QUESTIONS -o FILE [-w QUERY_WORDS] [-n N_QUERIES]
 *
 * bin is word2vec's binary form without a newline behind each row, as GoogleNews has it; every
 * number is a normal rounded to bfloat16. glove is text without a header, five decimals.
 *
 * Rows are made in blocks of 4096, each from a generator seeded with its number, so that any
 * number of threads makes the same file and a shorter file holds the first rows of a longer one.
 * All words of the analogy questions stand among the first 100000 rows, evenly spread, and their
 * vectors are built so that many questions come out right: for a pair (a, b) of a section,
 * b = 0.7 a + 0.7 (the section's vector) + 0.3 (b's own vector). The other words are made up: the
 * row number in syllables, an underscore, and one to five more syllables; nobody's question holds
 * an underscore, so no word occurs twice. -w writes words of rows spread over the first 100000. */
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "wte/embedding.h"

enum { BLOCK = 4096, SPREAD = 100000, WORD_MAX = 64, NUMBER_MAX = 12 };
static const float DEVIATION = 0.2f; /* standard deviation, about GoogleNews' */

typedef struct question_word {
    char word[WORD_MAX];
    float *vector; /* [dim] */
} question_word;

static struct {
    uint32_t n_rows;
    size_t dim;
    int glove, fd;
    size_t n_blocks;
    uint64_t *offsets; /* [n_blocks + 1], bin only: where blocks begin in the file */
    question_word *questions;
    size_t n_questions, capacity;
    uint32_t step; /* question word j stands in row j * step */
    _Atomic size_t next;
    pthread_mutex_t lock;
    pthread_cond_t turn; /* text: blocks are written in order */
    size_t written;
} job = {.lock = PTHREAD_MUTEX_INITIALIZER, .turn = PTHREAD_COND_INITIALIZER};

static void die(const char *what)
{
    fprintf(stderr, "make_vectors: ");
    perror(what);
    exit(1);
}

static void *need(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);

    if (!p)
        die("memory");
    return p;
}

/* ---- words ------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static char *syllable(char *p, uint64_t n)
{
    *p++ = "bdfghklmnprstv"[n / 5 % 14];
    *p++ = "aeiou"[n % 5];
    return p;
}

/* Write row i's word, not terminated, and return its length. */
static size_t row_word(uint32_t i, char word[WORD_MAX])
{
    uint64_t h = mix(i + UINT64_C(0x9E3779B97F4A7C15));
    char *p = word;

    if (i % job.step == 0 && i / job.step < job.n_questions) {
        size_t n = strlen(job.questions[i / job.step].word);

        memcpy(word, job.questions[i / job.step].word, n);
        return n;
    }
    for (uint32_t rest = i;; rest /= 70) {
        p = syllable(p, rest % 70);
        if (rest < 70)
            break;
    }
    *p++ = '_';
    for (uint64_t more = h % 5 + 1; more > 0; more--) {
        h /= 70;
        p = syllable(p, h % 70);
    }
    return (size_t)(p - word);
}

/* ---- the words of the questions --------------------------------------------------------- */

static void word_vector(const char *word, float *out)
{
    uint64_t h = 1;

    for (; *word; word++)
        h = mix(h * 31 + (unsigned char)*word);
    if (wte_embedding_init(h, 1, job.dim, -1, out, NULL))
        die("vector");
    for (size_t i = 0; i < job.dim; i++)
        out[i] *= DEVIATION;
}

static question_word *find_question_word(const char *word)
{
    for (size_t i = 0; i < job.n_questions; i++)
        if (strcmp(job.questions[i].word, word) == 0)
            return &job.questions[i];
    return NULL;
}

static question_word *add_question_word(const char *word)
{
    question_word *q;

    if (job.n_questions == job.capacity) {
        job.capacity = job.capacity ? 2 * job.capacity : 1024;
        job.questions = realloc(job.questions, job.capacity * sizeof *job.questions);
        if (!job.questions)
            die("memory");
    }
    q = &job.questions[job.n_questions++];
    snprintf(q->word, sizeof q->word, "%s", word);
    q->vector = need(job.dim, sizeof *q->vector);
    word_vector(word, q->vector);
    return q;
}

/* Make sure that both words of a pair have vectors; a word keeps the first that it got. */
static void add_pair(const char *a, const char *b, const float *section)
{
    if (!find_question_word(a))
        add_question_word(a);
    if (!find_question_word(b)) {
        float *y = add_question_word(b)->vector;
        const float *x = find_question_word(a)->vector;

        for (size_t i = 0; i < job.dim; i++)
            y[i] = 0.7f * x[i] + 0.7f * section[i] + 0.3f * y[i];
    }
}

static void read_questions(const char *path)
{
    char line[512], words[4][WORD_MAX];
    float *section = need(job.dim, sizeof *section);
    FILE *f = fopen(path, "r");

    if (!f)
        die(path);
    while (fgets(line, sizeof line, f)) {
        if (line[0] == ':') {
            word_vector(line, section);
        } else if (sscanf(line, "%63s %63s %63s %63s", words[0], words[1], words[2], words[3]) ==
                   4) {
            add_pair(words[0], words[1], section);
            add_pair(words[2], words[3], section);
        }
    }
    fclose(f);
    free(section);
}

/* ---- rows ------------------------------------------------------------------------------- */

/* Round to the nearest bfloat16, ties to even. */
static float to_bf16(float x)
{
    uint32_t b;

    memcpy(&b, &x, sizeof b);
    b = (b + 0x7fff + (b >> 16 & 1)) & 0xffff0000u;
    memcpy(&x, &b, sizeof x);
    return x;
}

/* Write x with at most five decimals, trailing zeros left out. */
static char *number(char *p, float x)
{
    long n = lroundf(x * 1e5f);
    char digits[NUMBER_MAX];
    int n_digits = 0, n_zeros = 0;

    *p++ = ' ';
    if (n < 0) {
        *p++ = '-';
        n = -n;
    }
    for (; n_digits < 6 || n > 0; n /= 10)
        digits[n_digits++] = (char)('0' + n % 10);
    while (n_zeros < 5 && digits[n_zeros] == '0')
        n_zeros++;
    while (n_digits > 5)
        *p++ = digits[--n_digits];
    if (n_zeros < 5)
        *p++ = '.';
    while (n_digits > n_zeros)
        *p++ = digits[--n_digits];
    return p;
}

static char *row(char *p, uint32_t i, float *x)
{
    if (i % job.step == 0 && i / job.step < job.n_questions)
        memcpy(x, job.questions[i / job.step].vector, job.dim * sizeof *x);
    p += row_word(i, p);
    if (job.glove) {
        for (size_t j = 0; j < job.dim; j++)
            p = number(p, x[j]);
        *p++ = '\n';
        return p;
    }
    for (size_t j = 0; j < job.dim; j++)
        x[j] = to_bf16(x[j]);
    *p++ = ' ';
    memcpy(p, x, job.dim * sizeof *x);
    return p + job.dim * sizeof *x;
}

static void write_all(const char *p, size_t n, off_t offset)
{
    while (n > 0) {
        ssize_t done = job.glove ? write(job.fd, p, n) : pwrite(job.fd, p, n, offset);

        if (done <= 0)
            die("write");
        p += done;
        n -= (size_t)done;
        offset += done;
    }
}

static void *work(void *unused)
{
    float *x = need(BLOCK * job.dim, sizeof *x);
    char *text = need(BLOCK, WORD_MAX + job.dim * (job.glove ? NUMBER_MAX : sizeof *x) + 2);
    size_t block;

    while ((block = job.next++) < job.n_blocks) {
        uint32_t first = (uint32_t)block * BLOCK, end = first + BLOCK;
        wte_generator g;
        char *p = text;

        wte_generator_seed(&g, block);
        wte_generator_normal(&g, x, BLOCK * job.dim, 0, DEVIATION);
        for (uint32_t i = first; i < end && i < job.n_rows; i++)
            p = row(p, i, x + (i - first) * job.dim);
        if (!job.glove) {
            write_all(text, (size_t)(p - text), (off_t)job.offsets[block]);
            continue;
        }
        pthread_mutex_lock(&job.lock);
        while (job.written != block)
            pthread_cond_wait(&job.turn, &job.lock);
        write_all(text, (size_t)(p - text), 0);
        job.written++;
        pthread_cond_broadcast(&job.turn);
        pthread_mutex_unlock(&job.lock);
    }
    free(text);
    free(x);
    return unused;
}

/* Find where each block begins: a header, then words of known lengths. */
static void lay_out(void)
{
    char word[WORD_MAX];
    char header[64];
    int n = snprintf(header, sizeof header, "%u %zu\n", job.n_rows, job.dim);

    job.offsets = need(job.n_blocks + 1, sizeof *job.offsets);
    job.offsets[0] = (uint64_t)n;
    for (size_t block = 0; block < job.n_blocks; block++) {
        uint64_t offset = job.offsets[block];

        for (size_t i = block * BLOCK; i < (block + 1) * BLOCK && i < job.n_rows; i++)
            offset += row_word((uint32_t)i, word) + 1 + job.dim * sizeof(float);
        job.offsets[block + 1] = offset;
    }
    write_all(header, (size_t)n, 0);
}

static void write_queries(const char *path, uint32_t n)
{
    uint32_t spread = job.n_rows < SPREAD ? job.n_rows : SPREAD;
    char word[WORD_MAX];
    FILE *f = fopen(path, "w");

    if (!f)
        die(path);
    for (uint32_t i = 0; i < n; i++)
        fprintf(f, "%.*s\n", (int)row_word((uint32_t)((uint64_t)(spread - 1) * i / n), word), word);
    if (fclose(f) != 0)
        die(path);
}

int main(int argc, char **argv)
{
    const char *out = NULL, *questions = NULL, *queries = NULL;
    long n_threads = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t n_queries = 200;
    pthread_t threads[64];
    uint32_t spread;
    int option;

    while ((option = getopt(argc, argv, "f:r:d:q:o:w:n:")) != -1) {
        switch (option) {
        case 'f':
            job.glove = strcmp(optarg, "glove") == 0;
            break;
        case 'r':
            job.n_rows = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'd':
            job.dim = strtoul(optarg, NULL, 10);
            break;
        case 'q':
            questions = optarg;
            break;
        case 'o':
            out = optarg;
            break;
        case 'w':
            queries = optarg;
            break;
        case 'n':
            n_queries = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        default:
            return 2;
        }
    }
    if (!out || !questions || job.n_rows == 0 || job.dim == 0 || optind != argc) {
        fprintf(stderr, "usage: make_vectors -f bin|glove -r ROWS -d DIM -q QUESTIONS -o FILE "
                        "[-w QUERY_WORDS] [-n N_QUERIES]\n");
        return 2;
    }
    read_questions(questions);
    spread = job.n_rows < SPREAD ? job.n_rows : SPREAD;
    if (job.n_questions == 0 || job.n_questions > spread) {
        fprintf(stderr, "make_vectors: %s: %zu words, expected 1 to %u\n", questions,
                job.n_questions, spread);
        return 1;
    }
    job.step = spread / (uint32_t)job.n_questions;
    job.n_blocks = ((size_t)job.n_rows + BLOCK - 1) / BLOCK;
    job.fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (job.fd < 0)
        die(out);
    if (!job.glove)
        lay_out();
    if (n_threads > 64)
        n_threads = 64;
    for (long i = 0; i < n_threads; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            die("thread");
    for (long i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    if (close(job.fd) != 0)
        die(out);
    if (queries)
        write_queries(queries, n_queries);
    return 0;
}
