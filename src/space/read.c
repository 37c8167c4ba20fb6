/* SPDX-License-Identifier: MIT */
/* read.c - from the bytes of a vector file to the arrays of a space
 *
 * word2vec .bin: where a row begins is known only when the row before has been walked over, so one
 * thread at a time walks, under a lock, over a block of rows; then it lets the next walk and
 * computes what its block needs. Walking touches one cache line a row, computing all of them, so
 * the lock is held for a small part of the time.
 *
 * The rows are read from the mapping where a search will read them there anyway. While an index is
 * made, searches will read its codes instead, and mapping each of a million pages only to unmap it
 * again costs more than copying it: there the file is read in pieces, each thread its own, and the
 * walk goes from piece to piece in their order. Whatever does not fit that (a word longer than
 * LONGEST_WORD, a file that ends early) sends everything back to the mapping, which tells it all.
 *
 * Text: the file is cut at the newlines nearest to every 2 MiB. A first pass counts the lines of
 * each piece, so that each knows the number of its first row; the second parses the pieces in any
 * order. Words are kept by piece until all are there, because where they go depends on the lengths
 * of all words before. */
#include "space/read.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "format/text.h"

enum { TEXT_PIECE = 2 << 20, LONGEST_WORD = 4096 };

/* ---- binary ----------------------------------------------------------------------------- */

typedef struct binary {
    wte__build b;
    const wte__source *source;
    wte__walker walker;
    uint64_t words_size;

    /* for reading in pieces */
    uint64_t start;
    size_t piece_size, buffer_size;
    unsigned char *buffers; /* [n_threads, buffer_size] */
    size_t next_piece;      /* whose turn it is to walk */
    pthread_cond_t turn;
    bool unfit; /* has to be read from the mapping */
} binary;

static wte_status gather_words(const unsigned char *data, wte__scratch *s, uint32_t n,
                               uint64_t total, wte_error *err)
{
    char *p;

    if (!wte__grow((void **)&s->words, &s->words_capacity, total + 1, 1))
        return wte__fail(err, WTE_E_NOMEM, "no memory for %llu bytes of words",
                         (unsigned long long)total);
    p = s->words;
    for (uint32_t i = 0; i < n; i++) {
        if (s->word_len[i])
            memcpy(p, data + s->numbers[i] - 1 - s->word_len[i], s->word_len[i]);
        p += s->word_len[i];
    }
    return WTE_OK;
}

/* Compute what a block of rows needs; `data` holds byte `base` of the file and what follows. */
static void take_block(binary *r, unsigned worker, uint32_t first, uint32_t n, uint64_t begin,
                       uint64_t total, const unsigned char *data, uint64_t base)
{
    wte__build *b = &r->b;
    wte__scratch *s = &b->scratch[worker];
    wte_error err;

    if (gather_words(data, s, n, total, &err) != WTE_OK) {
        wte__build_fail(b, first, &err);
        return;
    }
    wte__build_words(b, worker, first, n, s->words, s->word_len, begin);
    wte__build_numbers(b, worker, first, n, data, s->numbers, base);
    wte__progress_add(&b->progress, n, worker);
}

static uint64_t sum_lengths(const uint32_t *word_len, uint32_t n)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < n; i++)
        total += word_len[i];
    return total;
}

static void read_block(void *ctx, size_t block, unsigned worker)
{
    binary *r = ctx;
    wte__build *b = &r->b;
    wte__scratch *s = &b->scratch[worker];
    uint64_t begin, total = 0;
    uint32_t first, n = 0;
    wte_status status;
    wte_error err;

    (void)block; /* the walk decides */
    pthread_mutex_lock(&b->lock);
    if (b->stopped || b->progress.cancelled) {
        pthread_mutex_unlock(&b->lock);
        return;
    }
    first = r->walker.row;
    begin = r->words_size;
    status = wte__walk(&r->walker, b->block_rows, s->numbers, s->word_len, &n, &err);
    if (status == WTE_OK)
        total = sum_lengths(s->word_len, n);
    r->words_size += total;
    pthread_mutex_unlock(&b->lock);

    if (status == WTE_OK)
        take_block(r, worker, first, n, begin, total, r->walker.data, 0);
    else
        wte__build_fail(b, first, &err);
}

/* Read all of n bytes; false at an error or an early end. */
static bool read_all(int fd, void *out, size_t n, uint64_t at)
{
    char *p = out;

    while (n) {
        ssize_t got = pread(fd, p, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
        at += (uint64_t)got;
    }
    return true;
}

/* The rows that begin in one piece of the file. Pieces are claimed in ascending order, so the
 * thread that must walk before this one is at work and the wait ends. */
static void read_piece(void *ctx, size_t piece, unsigned worker)
{
    binary *r = ctx;
    wte__build *b = &r->b;
    wte__scratch *s = &b->scratch[worker];
    unsigned char *buffer = r->buffers + worker * r->buffer_size;
    const uint64_t base = r->start + piece * r->piece_size;
    const uint64_t left = r->source->size - base;
    const size_t size = left < r->buffer_size ? (size_t)left : r->buffer_size;
    bool good = read_all(r->source->fd, buffer, size, base);
    uint64_t begin = 0, total = 0;
    uint32_t first = 0, n = 0;

    pthread_mutex_lock(&b->lock);
    while (r->next_piece != piece)
        pthread_cond_wait(&r->turn, &b->lock);
    if (good && !r->unfit && !b->stopped && !b->progress.cancelled) {
        wte__walker w = r->walker; /* in places of the buffer */

        w.data = buffer;
        w.size = size;
        w.place -= base;
        w.stop = r->piece_size;
        first = w.row;
        begin = r->words_size;
        if (wte__walk(&w, b->block_rows, s->numbers, s->word_len, &n, NULL) == WTE_OK) {
            total = sum_lengths(s->word_len, n);
            r->words_size += total;
            r->walker.place = w.place + base;
            r->walker.row = w.row;
            r->walker.guess = w.guess;
        } else {
            r->unfit = true;
        }
    } else if (!good) {
        r->unfit = true;
    }
    r->next_piece++;
    pthread_cond_broadcast(&r->turn);
    pthread_mutex_unlock(&b->lock);
    if (n) /* a failed walk leaves it at 0 */
        take_block(r, worker, first, n, begin, total, buffer, base);
}

/* Go through the file in pieces; true if all rows were there and fit. */
static bool read_pieces(binary *r)
{
    wte__build *b = &r->b;
    const wte__walker at_start = r->walker;
    size_t n_pieces;

    r->start = r->walker.place;
    r->piece_size = (size_t)b->block_rows * (1 + r->walker.row_bytes); /* no more rows fit in */
    r->buffer_size = r->piece_size + r->walker.row_bytes + LONGEST_WORD;
    r->buffers = wte__alloc_aligned(b->n_threads, r->buffer_size);
    if (!r->buffers)
        return false;
    n_pieces = (r->source->size - r->start + r->piece_size - 1) / r->piece_size;
    pthread_cond_init(&r->turn, NULL);
    wte__parallel(n_pieces, b->n_threads, read_piece, r);
    pthread_cond_destroy(&r->turn);
    wte__free(r->buffers);
    if (!r->unfit && (b->stopped || b->progress.cancelled || r->walker.row == r->walker.n_rows))
        return true;
    r->walker = at_start;
    r->words_size = 0;
    b->progress.done = 0;
    return false;
}

static wte_status read_binary(const wte__source *source, wte__outfile *file, uint64_t data_start,
                              const wte_open_options *options, wte_space *space,
                              wte__layout *layout, char *note, size_t size, wte_error *err)
{
    const wte__sniffed *s = &source->sniffed;
    const uint64_t least = (uint64_t)s->n_rows * (1 + s->dim * sizeof(float));
    const unsigned keep =
        file ? WTE__KEEP_CODES | (source->temporary ? WTE__KEEP_ROWS : WTE__KEEP_OFFSETS)
             : WTE__KEEP_OFFSETS;
    binary r = {.source = source};
    size_t place;
    wte_status status;

    wte__walker_start(&r.walker, source->data, source->size, source->path, s);
    status =
        wte__build_start(&r.b, source->path, s->n_rows, s->dim, WTE_F32, keep, file, data_start,
                         source->size - s->start - least, options, "indexing rows", err);
    if (status == WTE_OK) {
        size_t n_blocks = ((size_t)s->n_rows + r.b.block_rows - 1) / r.b.block_rows;

        if (!file || !read_pieces(&r))
            wte__parallel(n_blocks, r.b.n_threads, read_block, &r);
        status = wte__build_finish(&r.b, r.words_size, source->data, space, err);
        *layout = r.b.layout;
    }
    place = r.walker.place;
    while (place < source->size && source->data[place] == '\n')
        place++;
    if (status == WTE_OK && place < source->size)
        snprintf(note, size, "%zu bytes follow the %u rows that the header says",
                 source->size - place, s->n_rows);
    wte__build_free(&r.b);
    return status;
}

/* ---- text ------------------------------------------------------------------------------- */

typedef struct piece {
    size_t begin, end;  /* bytes; whole lines */
    uint32_t first, n;  /* rows */
    char *words;        /* [words_size] */
    uint32_t *word_len; /* [n] */
    size_t words_size;
} piece;

typedef struct text {
    wte__build b;
    const wte__source *source;
    piece *pieces; /* [n_pieces] */
    size_t n_pieces;
    bool loose;
    size_t header_lines;
} text;

static void count_piece(void *ctx, size_t i, unsigned worker)
{
    text *t = ctx;
    const char *data = (const char *)t->source->data;
    size_t n = wte__lines_count(data + t->pieces[i].begin, data + t->pieces[i].end);

    (void)worker;
    t->pieces[i].n = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* Cut at the first newline at or after every TEXT_PIECE bytes. */
static wte_status cut(text *t, wte_error *err)
{
    const wte__source *source = t->source;
    size_t end = source->size, begin = source->sniffed.start;

    /* blank lines at the end are no rows */
    while (end > begin && (source->data[end - 1] == '\n' || source->data[end - 1] == '\r'))
        end--;
    t->pieces = wte__calloc((end - begin) / TEXT_PIECE + 2, sizeof *t->pieces);
    if (!t->pieces)
        return wte__fail(err, WTE_E_NOMEM, "no memory to read %s", source->path);
    while (begin < end) {
        size_t stop = end - begin < TEXT_PIECE ? end : begin + TEXT_PIECE;
        const unsigned char *newline = memchr(source->data + stop, '\n', end - stop);

        stop = newline ? (size_t)(newline - source->data) + 1 : end;
        t->pieces[t->n_pieces++] = (piece){.begin = begin, .end = stop};
        begin = stop;
    }
    return WTE_OK;
}

/* Number the rows and tell whether there are as many as the header says. */
static wte_status number_rows(text *t, uint32_t *n_rows, char *note, size_t size, wte_error *err)
{
    const wte__sniffed *s = &t->source->sniffed;
    uint64_t total = 0;

    for (size_t i = 0; i < t->n_pieces; i++) {
        piece *p = &t->pieces[i];
        uint64_t left = t->loose ? UINT32_MAX : s->n_rows - (total < s->n_rows ? total : s->n_rows);

        p->first = (uint32_t)total;
        total += p->n;
        if (p->n > left)
            p->n = (uint32_t)left;
        if (total >= UINT32_MAX)
            return wte__fail(err, WTE_E_FORMAT, "%s: has more than %u rows", t->source->path,
                             UINT32_MAX - 1);
    }
    if (!t->loose && total < s->n_rows)
        return wte__fail_at(err, WTE_E_FORMAT, t->source->size,
                            "%s: the header says %u rows, the file has %llu", t->source->path,
                            s->n_rows, (unsigned long long)total);
    if (!t->loose && total > s->n_rows)
        snprintf(note, size, "the header says %u rows, the file has %llu: the others are left out",
                 s->n_rows, (unsigned long long)total);
    *n_rows = t->loose ? (uint32_t)total : s->n_rows;
    return WTE_OK;
}

static bool keep_word(piece *p, size_t *capacity, uint32_t row, const char *word, size_t len)
{
    if (len > UINT32_MAX || !wte__grow((void **)&p->words, capacity, p->words_size + len + 1, 1))
        return false;
    if (len)
        memcpy(p->words + p->words_size, word, len);
    p->words_size += len;
    p->word_len[row] = (uint32_t)len;
    return true;
}

static void fail_line(text *t, uint32_t row, const char *line, const char *reason)
{
    wte_error err;

    wte__fail_at(&err, WTE_E_FORMAT, (uint64_t)(line - (const char *)t->source->data),
                 "%s: line %llu: %s", t->source->path,
                 (unsigned long long)(row + t->header_lines + 1), reason);
    wte__build_fail(&t->b, row, &err);
}

static void parse_piece(void *ctx, size_t i, unsigned worker)
{
    text *t = ctx;
    wte__build *b = &t->b;
    piece *p = &t->pieces[i];
    wte__scratch *s = &b->scratch[worker];
    const char *line = (const char *)t->source->data + p->begin;
    const char *piece_end = (const char *)t->source->data + p->end;
    size_t capacity = 0;
    char reason[256];

    if (b->progress.cancelled || (b->stopped && b->failed_at < p->first) || p->n == 0)
        return;
    p->word_len = wte__calloc(p->n, sizeof *p->word_len);
    if (!p->word_len)
        goto nomem;
    for (uint32_t done = 0; done < p->n;) {
        const uint32_t first = p->first + done;
        uint32_t n = p->n - done < b->block_rows ? p->n - done : b->block_rows;
        unsigned char *rows = b->rows ? b->rows + (size_t)first * b->stride : s->rows;

        for (uint32_t k = 0; k < n; k++) {
            float *row = (void *)(rows + (size_t)k * b->stride);
            const char *newline = memchr(line, '\n', (size_t)(piece_end - line));
            const char *end = wte__line_strip(line, newline ? newline : piece_end);
            wte__line parts;

            if (!wte__line_read(line, end, b->dim, t->loose, &parts, row, reason, sizeof reason)) {
                fail_line(t, first + k, line, reason);
                return;
            }
            memset(row + b->dim, 0, b->stride - b->row_bytes);
            if (!keep_word(p, &capacity, done + k, line, parts.word_len))
                goto nomem;
            line = newline ? newline + 1 : piece_end;
        }
        wte__build_numbers(b, worker, first, n, rows, NULL, 0);
        done += n;
        if (wte__progress_add(&b->progress, n, worker))
            return;
    }
    return;
nomem:;
    wte_error err;

    wte__fail(&err, WTE_E_NOMEM, "no memory for the words of %s", t->source->path);
    wte__build_fail(b, p->first, &err);
}

static uint64_t gather_pieces(text *t)
{
    uint64_t place = 0;

    for (size_t i = 0; i < t->n_pieces; i++) {
        piece *p = &t->pieces[i];
        const char *words = p->words;

        for (uint32_t done = 0; done < p->n;) {
            uint32_t n = p->n - done < t->b.block_rows ? p->n - done : t->b.block_rows;
            uint64_t size = 0;

            for (uint32_t k = 0; k < n; k++)
                size += p->word_len[done + k];
            wte__build_words(&t->b, 0, p->first + done, n, words, p->word_len + done, place);
            done += n;
            words += size;
            place += size;
        }
    }
    return place;
}

static wte_status read_text(const wte__source *source, wte__outfile *file, uint64_t data_start,
                            const wte_open_options *options, wte_space *space, wte__layout *layout,
                            char *note, size_t size, wte_error *err)
{
    text t = {.source = source, .loose = source->sniffed.kind == WTE__GLOVE};
    const unsigned keep = WTE__KEEP_ROWS | (file ? WTE__KEEP_CODES : 0);
    uint64_t words_size = 0;
    bool started = false;
    uint32_t n_rows = 0;
    wte_status status = cut(&t, err);

    t.header_lines = t.loose ? 0 : 1;
    if (status != WTE_OK)
        goto done;
    wte__parallel(t.n_pieces, wte__threads(options->n_threads, t.n_pieces), count_piece, &t);
    status = number_rows(&t, &n_rows, note, size, err);
    if (status != WTE_OK)
        goto done;
    started = true;
    status = wte__build_start(&t.b, source->path, n_rows, source->sniffed.dim, WTE_F32, keep, file,
                              data_start, source->size - source->sniffed.start, options,
                              "reading text", err);
    if (status != WTE_OK)
        goto done;
    wte__parallel(t.n_pieces, t.b.n_threads, parse_piece, &t);
    if (t.b.status == WTE_OK && !t.b.progress.cancelled)
        words_size = gather_pieces(&t);
    status = wte__build_finish(&t.b, words_size, source->data, space, err);
    *layout = t.b.layout;
done:
    for (size_t i = 0; i < t.n_pieces; i++) {
        wte__free(t.pieces[i].words);
        wte__free(t.pieces[i].word_len);
    }
    wte__free(t.pieces);
    if (started)
        wte__build_free(&t.b);
    return status;
}

wte_status wte__read_rows(const wte__source *source, wte__outfile *file, uint64_t data_start,
                          const wte_open_options *options, wte_space *space, wte__layout *layout,
                          char *note, size_t size, wte_error *err)
{
    note[0] = '\0';
    if (source->sniffed.kind == WTE__WORD2VEC_BIN)
        return read_binary(source, file, data_start, options, space, layout, note, size, err);
    return read_text(source, file, data_start, options, space, layout, note, size, err);
}
