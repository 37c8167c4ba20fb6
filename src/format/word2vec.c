/* SPDX-License-Identifier: MIT */
/* word2vec.c - telling word vector files apart, and walking over the rows of a .bin
 *
 *     word2vec .bin:  "N D\n", then N times: word, space, D float32 little-endian, maybe "\n"
 *     word2vec text:  "N D\n", then N times: word, D times (space, number), "\n"
 *     fastText .vec:  the same with a space before each "\n"
 *     GloVe:          the rows without the first line
 *
 * Two numbers on the first line are a header. Whether rows are text or binary is decided by the
 * first row: float32 bytes are hardly ever all printable, so any control byte or byte above 126
 * after the first space says binary. No ending of a file's name is trusted. GloVe's width is the
 * number of fields after the first in most of the first lines, as a few words of GloVe's larger
 * files contain spaces.
 *
 * A word of a .bin has any length, so where a row begins is known only from the row before: a chain
 * of as many dependent reads as there are rows, each a cache miss of some 100 ns. But the distance
 * from row to row hardly varies, so the walk asks for the line in which the row after the next few
 * will probably begin; the true place is always computed. */
#include "format/word2vec.h"
#include "format/safetensors.h"
#include "format/text.h"

enum {
    MAX_HEADER = 4096, /* bytes of a first line */
    AHEAD = 20,        /* rows */
    N_SAMPLE = 64      /* lines that vote on GloVe's width */
};

const char *wte__kind_name(wte__kind kind)
{
    static const char *const names[] = {"gzip",          "wte",           "word2vec binary",
                                        "word2vec text", "fastText text", "GloVe text"};

    return names[kind];
}

static bool is_blank(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Read "N D" as Python's int(x) for x in line.split() would; false if the line is anything else. */
static bool read_header(const unsigned char *p, const unsigned char *end, bool negative[2],
                        uint64_t values[2])
{
    size_t n = 0;

    for (;;) {
        const unsigned char *digits;
        bool minus = false;
        uint64_t value = 0;

        while (p < end && is_blank(*p))
            p++;
        if (p == end)
            return n == 2;
        if (n == 2)
            return false;
        if (*p == '-' || *p == '+')
            minus = *p++ == '-';
        for (digits = p; p < end && *p >= '0' && *p <= '9'; p++)
            if (__builtin_mul_overflow(value, 10, &value) ||
                __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
                value = UINT64_MAX / 16; /* more than any file holds */
        if (p == digits || (p < end && !is_blank(*p)))
            return false;
        negative[n] = minus && value > 0;
        values[n++] = value;
    }
}

/* True if the bytes after the first word of a row are those of a text. */
static bool looks_like_text(const unsigned char *p, const unsigned char *end, size_t dim)
{
    const unsigned char *limit = end, *space = memchr(p, ' ', (size_t)(end - p));

    if (!space)
        return true; /* no number at all: a bad text, to be reported as one */
    if (dim < MAX_HEADER && (size_t)(end - space) > 1 + dim * sizeof(float))
        limit = space + 1 + dim * sizeof(float);
    else if (end - space > MAX_HEADER)
        limit = space + MAX_HEADER;
    for (p = space; p < limit && *p != '\n'; p++)
        if (*p >= 127 || (*p < ' ' && !is_blank(*p)))
            return false;
    return true;
}

static wte_status sniff_rows(const unsigned char *data, size_t size, const char *path,
                             const bool negative[2], const uint64_t values[2], size_t start,
                             wte__sniffed *out, wte_error *err)
{
    const unsigned char *line = data + start, *end = data + size, *newline;
    const unsigned long long n = values[0], dim = values[1];
    wte__sniffed s = {WTE__WORD2VEC_TEXT, 0, 0, start};

    if (negative[0] || negative[1])
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: the header says %s%llu rows of %s%llu numbers, which cannot be", path,
                         negative[0] ? "-" : "", n, negative[1] ? "-" : "", dim);
    if (dim == 0 || dim > INT32_MAX)
        return wte__fail(err, WTE_E_FORMAT, "%s: the header says rows of %llu numbers", path, dim);
    if (n >= UINT32_MAX)
        return wte__fail(err, WTE_E_FORMAT, "%s: the header says %llu rows, at most %u can be read",
                         path, n, UINT32_MAX - 1);
    s.n_rows = (uint32_t)n;
    s.dim = dim;
    /* the shortest row: an empty word and as many digits or float32 as the width says */
    if (n > 0 && (dim > size / 2 || n > (size - start) / (2 * dim)))
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: the header says %llu rows of %llu numbers, but the file has only %zu "
                         "bytes",
                         path, n, dim, size);
    if (n > 0 && !looks_like_text(line, end, dim)) {
        s.kind = WTE__WORD2VEC_BIN;
        if (n > (size - start) / (1 + 4 * dim))
            return wte__fail(
                err, WTE_E_FORMAT,
                "%s: the header says %llu rows of %llu numbers, which is %llu bytes or "
                "more; the file has %zu",
                path, n, dim, n * (1 + 4 * dim), size - start);
    } else {
        newline = memchr(line, '\n', (size_t)(end - line));
        if (newline && newline > line && newline[-1] == ' ')
            s.kind = WTE__FASTTEXT;
    }
    *out = s;
    return WTE_OK;
}

static size_t count_fields(const unsigned char *p, const unsigned char *end)
{
    size_t n = 1;

    while (end > p && is_blank(end[-1]))
        end--;
    for (; p < end; p++)
        n += *p == ' ';
    return n;
}

/* The commonest number of fields after the first; on a tie the smaller. */
static size_t vote_on_width(const unsigned char *p, const unsigned char *end)
{
    size_t counts[N_SAMPLE], n = 0, best = 0, best_votes = 0;

    while (n < N_SAMPLE && p < end) {
        const unsigned char *newline = memchr(p, '\n', (size_t)(end - p));
        const unsigned char *stop = newline ? newline : end;

        if (count_fields(p, stop) > 1)
            counts[n++] = count_fields(p, stop) - 1;
        p = newline ? newline + 1 : end;
    }
    for (size_t i = 0; i < n; i++) {
        size_t votes = 0;

        for (size_t j = 0; j < n; j++)
            votes += counts[j] == counts[i];
        if (votes > best_votes || (votes == best_votes && counts[i] < best)) {
            best = counts[i];
            best_votes = votes;
        }
    }
    return best;
}

static wte_status sniff_glove(const unsigned char *data, size_t size, const char *path,
                              wte__sniffed *out, wte_error *err)
{
    const unsigned char *end = data + size, *newline = memchr(data, '\n', size);
    const char *line_end = (const char *)(newline ? newline : end);
    wte__sniffed s = {WTE__GLOVE, 0, vote_on_width(data, end), 0};
    wte__line line;
    char reason[256];

    line_end = wte__line_strip((const char *)data, line_end);
    if (s.dim == 0 ||
        !wte__line_split((const char *)data, line_end, s.dim, true, &line, reason, sizeof reason))
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: no known format: line 1 is neither 'ROWS WIDTH' nor a word and its "
                         "numbers%s%s",
                         path, s.dim ? ": " : "", s.dim ? reason : "");
    *out = s;
    return WTE_OK;
}

wte_status wte__sniff(const unsigned char *data, size_t size, const char *path, wte__sniffed *out,
                      wte_error *err)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *what;
    } others[] = {
        {"PK\x03\x04", 4, "a zip archive (a PyTorch checkpoint, or vectors still packed)"},
        {"\x93NUMPY", 6, "a numpy array, which has no words"},
        {"GGUF", 4, "a GGUF model"},
        {"\x80\x02", 2, "a Python pickle (a model saved by gensim or PyTorch)"},
        {"\x80\x03", 2, "a Python pickle (a model saved by gensim or PyTorch)"},
        {"\x80\x04", 2, "a Python pickle (a model saved by gensim or PyTorch)"},
        {"\x28\xB5\x2F\xFD", 4, "packed by zstd"},
        {"BZh", 3, "packed by bzip2"},
        {"\xFD"
         "7zXZ",
         5, "packed by xz"},
        {"\xBA\x16\x4F\x2F", 4, "a fastText model (.bin); its .vec file can be read"},
    };
    const unsigned char *newline;
    uint64_t values[2];
    bool negative[2];

    if (size == 0)
        return wte__fail(err, WTE_E_FORMAT, "%s: is empty, expected word vectors", path);
    if (size >= 2 && data[0] == 0x1F && data[1] == 0x8B) {
        *out = (wte__sniffed){WTE__GZIP, 0, 0, 0};
        return WTE_OK;
    }
    if (wte__safetensors_looks(data, size)) {
        *out = (wte__sniffed){WTE__SAFETENSORS, 0, 0, 0};
        return WTE_OK;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (size >= others[i].n && memcmp(data, others[i].bytes, others[i].n) == 0)
            return wte__fail(err, WTE_E_FORMAT, "%s: is %s, expected word vectors", path,
                             others[i].what);
    newline = memchr(data, '\n', size < MAX_HEADER ? size : MAX_HEADER);
    if (newline && read_header(data, newline, negative, values))
        return sniff_rows(data, size, path, negative, values, (size_t)(newline - data) + 1, out,
                          err);
    if (!newline && size < MAX_HEADER && read_header(data, data + size, negative, values))
        return sniff_rows(data, size, path, negative, values, size, out, err);
    return sniff_glove(data, size, path, out, err);
}

void wte__walker_start(wte__walker *w, const unsigned char *data, size_t size, const char *path,
                       const wte__sniffed *sniffed)
{
    *w = (wte__walker){
        .data = data, .size = size, .path = path, .place = sniffed->start, .stop = SIZE_MAX};
    w->n_rows = sniffed->n_rows;
    w->row_bytes = sniffed->dim * sizeof(float);
    w->guess = 16 * (w->row_bytes + 10);
}

/* Where the space is that ends the word at `place`, or `size`. Most words are short. */
static size_t find_space(const unsigned char *data, size_t place, size_t size)
{
    const uint64_t ones = 0x0101010101010101u;
    const unsigned char *space;

    for (int i = 0; i < 4 && size - place >= 8; i++, place += 8) {
        uint64_t v = wte__load_u64(data + place) ^ (ones * ' ');
        uint64_t zeros = (v - ones) & ~v & (ones << 7);

        if (zeros)
            return place + (size_t)__builtin_ctzll(zeros) / 8;
    }
    space = memchr(data + place, ' ', size - place);
    return space ? (size_t)(space - data) : size;
}

wte_status wte__walk(wte__walker *w, uint32_t n, uint64_t *numbers, uint32_t *word_len,
                     uint32_t *out_n, wte_error *err)
{
    const unsigned char *data = w->data;
    const size_t size = w->size, row_bytes = w->row_bytes;
    size_t place = w->place, guess = w->guess;
    uint32_t i = 0;

    if (n > w->n_rows - w->row)
        n = w->n_rows - w->row;
    for (; i < n && place < w->stop; i++) {
        size_t from = place, ahead = from + guess * AHEAD / 16, space;

        if (ahead + 40 < size) { /* the guess is off by some bytes, and a word may cross a line */
            __builtin_prefetch(data + ahead - 24);
            __builtin_prefetch(data + ahead + 40);
        }
        space = find_space(data, from, size);
        while (from < space && data[from] == '\n')
            from++;
        if (space == size || size - space - 1 < row_bytes || space - from > UINT32_MAX)
            return wte__fail_at(err, WTE_E_FORMAT, place,
                                "%s: ends in row %u of %u that the header says: row %u begins at "
                                "byte %zu and needs %zu bytes more than the %zu there are",
                                w->path, w->row + i + 1, w->n_rows, w->row + i + 1, place,
                                space == size ? row_bytes + 1 : row_bytes - (size - space - 1),
                                size - place);
        numbers[i] = space + 1;
        word_len[i] = (uint32_t)(space - from);
        guess += (space + 1 + row_bytes - place) - guess / 16;
        place = space + 1 + row_bytes;
    }
    w->place = place;
    w->guess = guess;
    w->row += i;
    *out_n = i;
    return WTE_OK;
}
