/* SPDX-License-Identifier: MIT */
/* test_space.c - wte/space.h: spaces from arrays, finding and suggesting words, saving and reading
 */
#include "support.h"
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "space/backing.h"
#include "wte/transform.h"

/* Six words: the fourth has no direction, the fifth is the first again. */
static const char words[] = "KingkingQueencaf\xc3\xa9King\xff\xfe";
static const uint64_t offsets[] = {0, 4, 8, 13, 18, 22, 24};
static const float matrix[6][3] = {{3, 0, 4}, {1, 2, 2}, {0.1f, -1e-7f, 1e7f},
                                   {0, 0, 0}, {5, 5, 5}, {INFINITY, 0, 1}};

static wte_space *make(void)
{
    wte_space *space = NULL;

    assert_int_equal(
        wte_space_new("small", words, offsets, matrix, WTE_F32, 6, 3, 3, 0, &space, NULL), WTE_OK);
    return space;
}

static uint32_t find(const wte_space *space, const char *word)
{
    uint32_t id = UINT32_MAX;

    wte_space_find(space, word, strlen(word), &id, NULL);
    return id;
}

static void of_several_rows_with_one_word_the_first_counts(void **state)
{
    wte_space *space = make();
    const wte_space_info *info = wte_space_get_info(space);
    size_t len;
    (void)state;

    assert_int_equal(find(space, "King"), 0);
    assert_int_equal(find(space, "king"), 1);
    assert_int_equal(find(space, "caf\xc3\xa9"), 3);
    assert_int_equal(find(space, "\xff\xfe"), 5);
    assert_int_equal(info->n_duplicates, 1);
    assert_true(wte_space_norm(space, 4) == 0);
    assert_memory_equal(wte_space_word(space, 4, &len), "King", 4);
    assert_int_equal(len, 4);
    wte_space_free(space);
}

static void norms_are_lengths_and_0_where_there_is_no_direction(void **state)
{
    wte_space *space = make();
    (void)state;

    assert_true(wte_space_norm(space, 0) == 5);
    assert_true(wte_space_norm(space, 1) == 3);
    assert_true(wte_space_norm(space, 3) == 0 && wte_space_norm(space, 5) == 0);
    assert_true(wte_space_norm(space, 6) == 0);
    assert_int_equal(wte_space_get_info(space)->n_undirected, 2);
    wte_space_free(space);
}

static void an_id_out_of_range_is_no_row(void **state)
{
    wte_space *space = make();
    wte_error err;
    float x[3];
    (void)state;

    assert_null(wte_space_word(space, 6, NULL));
    assert_int_equal(wte_space_vector(space, 6, x, &err), WTE_E_RANGE);
    assert_string_equal(err.message, "row 6: small has 6 rows");
    wte_space_free(space);
}

static void shapes_that_cannot_be_are_refused(void **state)
{
    static const uint64_t backwards[] = {0, 4, 2}, late[] = {1, 2, 3};
    wte_space *space = NULL;
    (void)state;

    assert_int_equal(wte_space_new("x", words, offsets, matrix, WTE_F32, 6, 0, 3, 0, &space, NULL),
                     WTE_E_SHAPE);
    assert_int_equal(wte_space_new("x", words, offsets, matrix, WTE_F32, 6, 3, 2, 0, &space, NULL),
                     WTE_E_SHAPE);
    assert_int_equal(
        wte_space_new("x", words, backwards, matrix, WTE_F32, 2, 3, 3, 0, &space, NULL),
        WTE_E_SHAPE);
    assert_int_equal(wte_space_new("x", words, late, matrix, WTE_F32, 2, 3, 3, 0, &space, NULL),
                     WTE_E_SHAPE);
    assert_int_equal(
        wte_space_new("x", words, offsets, matrix, WTE_F32, 6, 3, SIZE_MAX / 4, 0, &space, NULL),
        WTE_E_SHAPE);
    assert_null(space);
}

static void a_missing_word_gets_suggestions(void **state)
{
    wte_space *space = make();
    wte_error err;
    uint32_t id = 77;
    (void)state;

    assert_int_equal(wte_space_find(space, "KING", 4, &id, &err), WTE_E_NOTFOUND);
    assert_string_equal(err.message,
                        "'KING' is not in small \xe2\x80\x94 did you mean 'King', 'king'?");
    assert_int_equal(wte_space_find(space, "quene", 5, &id, &err), WTE_E_NOTFOUND);
    assert_string_equal(err.message, "'quene' is not in small \xe2\x80\x94 did you mean 'Queen'?");
    assert_int_equal(wte_space_find(space, "\xff\n\x01zzzzzzzzz", 12, &id, &err), WTE_E_NOTFOUND);
    assert_string_equal(err.message, "'???zzzzzzzzz' is not in small");
    assert_int_equal(id, 77);
    wte_space_free(space);
}

/* ---- suggestions against a slow but plain distance ---------------------------------------- */

static unsigned slow_distance(const char *a, size_t n, const char *b, size_t m)
{
    unsigned d[16][16];

    for (size_t i = 0; i <= n; i++)
        for (size_t j = 0; j <= m; j++) {
            unsigned best = i == 0 ? (unsigned)j : j == 0 ? (unsigned)i : 99;

            if (i && j) {
                best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
                if (d[i - 1][j] + 1 < best)
                    best = d[i - 1][j] + 1;
                if (d[i][j - 1] + 1 < best)
                    best = d[i][j - 1] + 1;
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                    d[i - 2][j - 2] + 1 < best)
                    best = d[i - 2][j - 2] + 1;
            }
            d[i][j] = best;
        }
    return d[n][m];
}

static void suggestions_are_all_within_two_edits_nearest_first(void **state)
{
    enum { N = 5000, LEN = 10, K = 8 };
    static char letters[N * LEN];
    static uint64_t ends[N + 1];
    static float rows[N];
    uint64_t seed = 7;
    wte_space *space = NULL;
    uint32_t got[K], n_found = 0;
    (void)state;

    for (size_t i = 0; i < N; i++) {
        size_t len = 4 + wte__random(&seed) % 5;

        for (size_t k = 0; k < len; k++)
            letters[ends[i] + k] = (char)('a' + wte__random(&seed) % 3);
        ends[i + 1] = ends[i] + len;
        rows[i] = 1;
    }
    assert_int_equal(wte_space_new("abc", letters, ends, rows, WTE_F32, N, 1, 1, 0, &space, NULL),
                     WTE_OK);
    for (int query = 0; query < 60; query++) {
        char word[16];
        size_t len = 4 + wte__random(&seed) % 6, n = 0, want = 0;

        for (size_t k = 0; k < len; k++)
            word[k] = (char)('a' + wte__random(&seed) % 4);
        wte_space_suggest(space, word, len, K, got, &n);
        /* the answer that a plain search gives: distance, then id, each word once */
        for (unsigned distance = 1; distance <= 2; distance++)
            for (uint32_t i = 0; i < N && want < K; i++) {
                size_t n_i;
                const char *w = wte_space_word(space, i, &n_i);
                uint32_t first;

                if (wte_space_find(space, word, len, &first, NULL) == WTE_OK)
                    continue; /* there: nothing to suggest */
                wte_space_find(space, w, n_i, &first, NULL);
                if (first != i || slow_distance(word, len, w, n_i) != distance)
                    continue;
                assert_true(want < n);
                assert_int_equal(got[want], i);
                want++;
            }
        if (wte_space_find(space, word, len, got, NULL) != WTE_OK)
            assert_int_equal(n, want);
        n_found += (uint32_t)n;
    }
    assert_true(n_found > 100);
    wte_space_free(space);
}

/* ---- the hash ------------------------------------------------------------------------------ */

static void every_word_of_many_is_found_and_duplicates_are_counted(void **state)
{
    enum { N = 300000, DISTINCT = 200000 };
    char *many = malloc(N * 12);
    uint64_t *ends = calloc(N + 1, sizeof *ends);
    float *rows = malloc(N * sizeof *rows);
    wte_space *space = NULL;
    (void)state;

    assert_true(many && ends && rows);
    for (size_t i = 0; i < N; i++) {
        ends[i + 1] = ends[i] + (uint64_t)sprintf(many + ends[i], "w%zu", i % DISTINCT);
        rows[i] = 2;
    }
    assert_int_equal(wte_space_new("many", many, ends, rows, WTE_F32, N, 1, 1, 0, &space, NULL),
                     WTE_OK);
    assert_int_equal(wte_space_get_info(space)->n_duplicates, N - DISTINCT);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t id = UINT32_MAX;

        assert_int_equal(wte_space_find(space, many + ends[i], ends[i + 1] - ends[i], &id, NULL),
                         WTE_OK);
        assert_int_equal(id, i % DISTINCT);
        assert_true(wte_space_norm(space, i) == (i < DISTINCT ? 2 : 0));
    }
    assert_int_equal(find(space, "w200000"), UINT32_MAX);
    wte_space_free(space);
    free(rows);
    free(ends);
    free(many);
}

static void the_hash_does_not_depend_on_the_number_of_threads(void **state)
{
    enum { N = 150000 };
    char *many = malloc(N * 12);
    uint64_t *ends = calloc(N + 1, sizeof *ends);
    uint32_t *hashes = malloc(N * sizeof *hashes), *tables[2], duplicates[2];
    size_t n_slots = wte__hash_slots(N);
    uint64_t seed = 1;
    (void)state;

    assert_true(many && ends && hashes);
    for (size_t i = 0; i < N; i++) {
        ends[i + 1] = ends[i] + (uint64_t)sprintf(many + ends[i], "w%zu", i % 149000);
        /* many rows start at the end of their partition and probe past it */
        hashes[i] = (uint32_t)wte__hash(many + ends[i], ends[i + 1] - ends[i]);
        if (hashes[i] % 32 == 0)
            hashes[i] |= 0x7FC0;
    }
    for (unsigned t = 0; t < 2; t++) {
        tables[t] = malloc(n_slots * sizeof *tables[t]);
        assert_non_null(tables[t]);
        assert_int_equal(wte__hash_build(many, ends, hashes, N, t ? 3 : 1, tables[t], &seed, NULL,
                                         NULL, &duplicates[t], NULL),
                         WTE_OK);
        assert_int_equal(duplicates[t], 1000);
        assert_int_equal(seed, 0);
    }
    assert_memory_equal(tables[0], tables[1], n_slots * sizeof *tables[0]);
    free(tables[0]);
    free(tables[1]);
    free(hashes);
    free(ends);
    free(many);
}

/* ---- saving and reading ------------------------------------------------------------------- */

static const char *path_in_folder(const char *name)
{
    static char path[4096];

    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    return path;
}

static void gzip_file(const char *from, const char *to)
{
    FILE *f = fopen(from, "rb");
    gzFile gz = gzopen(to, "wb");
    char buffer[4096];
    size_t n;

    assert_true(f && gz);
    while ((n = fread(buffer, 1, sizeof buffer, f)) > 0)
        assert_int_equal(gzwrite(gz, buffer, (unsigned)n), n);
    fclose(f);
    assert_int_equal(gzclose(gz), Z_OK);
}

/* Words of 16 bytes that all have the hash of seed 0: the second half undoes what the first did. */
static void colliding_word(uint64_t i, char out[16])
{
    __extension__ typedef unsigned __int128 u128;
    const uint64_t k0 = 0x243F6A8885A308D3u, k1 = 0x13198A2E03707345u;
    uint64_t first = i, h;
    u128 product = (u128)(16 ^ k0) * k1;

    h = (uint64_t)product ^ (uint64_t)(product >> 64);
    product = (u128)(h ^ first) * k0;
    h = (uint64_t)product ^ (uint64_t)(product >> 64);
    memcpy(out, &first, 8);
    memcpy(out + 8, &h, 8);
}

static void words_made_to_collide_get_another_seed(void **state)
{
    enum { N = 200000 };
    char *many = malloc(16 * (size_t)N);
    uint64_t *ends = calloc(N + 1, sizeof *ends);
    float *rows = malloc(N * sizeof *rows);
    wte_space *space = NULL, *derived = NULL, *again = NULL;
    wte_transform unit = {WTE_UNIT, 0};
    const char *path = path_in_folder("colliding.safetensors");
    char stranger[16];
    (void)state;

    assert_true(many && ends && rows);
    for (size_t i = 0; i < N; i++) {
        colliding_word(i, many + 16 * i);
        ends[i + 1] = 16 * (i + 1);
        rows[i] = (float)i + 1;
    }
    assert_int_equal(wte__hash(many, 16), wte__hash(many + 16 * 777, 16));
    assert_int_equal(
        wte_space_new("colliding", many, ends, rows, WTE_F32, N, 1, 1, 0, &space, NULL), WTE_OK);
    assert_true(space->hash_seed != 0);
    assert_int_equal(wte_space_get_info(space)->n_duplicates, 0);
    /* the seed goes with the table: into a space made from this one, and into a file and back */
    assert_int_equal(wte_space_transform(space, &unit, 1, NULL, &derived, NULL), WTE_OK);
    assert_int_equal(wte_space_save(space, path, WTE_LAYOUT, NULL, NULL), WTE_OK);
    assert_int_equal(wte_space_open(path, NULL, &again, NULL), WTE_OK);
    assert_true(again->hash_seed == space->hash_seed);
    colliding_word(N, stranger);
    for (size_t i = 0; i < 3; i++) {
        const wte_space *s = i == 0 ? space : i == 1 ? derived : again;
        uint32_t id = 0;

        for (size_t row = 0; row < N; row += 999) {
            assert_int_equal(wte_space_find(s, many + 16 * row, 16, &id, NULL), WTE_OK);
            assert_int_equal(id, row);
        }
        assert_int_equal(wte_space_find(s, stranger, 16, &id, NULL), WTE_E_NOTFOUND);
    }
    wte_space_free(again);
    wte_space_free(derived);
    wte_space_free(space);
    free(rows);
    free(ends);
    free(many);
}

static void a_gzip_that_grows_without_end_is_stopped(void **state)
{
    static char zeros[1 << 20];
    const char *path = path_in_folder("bomb.bin.gz");
    gzFile gz = gzopen(path, "wb9");
    wte_open_options options = {WTE_CACHE_NEVER, NULL, 1, NULL, NULL};
    wte_space *space = NULL;
    wte_error err = {WTE_OK, 0, ""};
    (void)state;

    assert_non_null(gz);
    assert_true(gzputs(gz, "1000000 300\n") > 0);
    for (int i = 0; i < 120; i++)
        assert_int_equal(gzwrite(gz, zeros, sizeof zeros), sizeof zeros);
    assert_int_equal(gzclose(gz), Z_OK);
    assert_int_equal(wte_space_open(path, &options, &space, &err), WTE_E_FORMAT);
    assert_non_null(strstr(err.message, "unpack to more than"));
    assert_non_null(strstr(err.message, "expected no more than 64 times as many"));
}

static void compare_spaces(const wte_space *a, const wte_space *b)
{
    const wte_space_info *x = wte_space_get_info(a), *y = wte_space_get_info(b);
    float *u = calloc(x->dim, sizeof *u), *v = calloc(x->dim, sizeof *v);

    assert_true(u && v);
    assert_int_equal(x->n_rows, y->n_rows);
    assert_int_equal(x->dim, y->dim);
    assert_int_equal(x->n_duplicates, y->n_duplicates);
    assert_int_equal(x->n_undirected, y->n_undirected);
    for (uint32_t i = 0; i < x->n_rows; i++) {
        size_t len_a, len_b;
        const char *word_a = wte_space_word(a, i, &len_a), *word_b = wte_space_word(b, i, &len_b);
        uint32_t id_a = 1, id_b = 2;

        assert_int_equal(len_a, len_b);
        assert_memory_equal(word_a, word_b, len_a);
        assert_int_equal(wte_space_find(a, word_a, len_a, &id_a, NULL), WTE_OK);
        assert_int_equal(wte_space_find(b, word_a, len_a, &id_b, NULL), WTE_OK);
        assert_int_equal(id_a, id_b);
        assert_int_equal(wte_space_vector(a, i, u, NULL), WTE_OK);
        assert_int_equal(wte_space_vector(b, i, v, NULL), WTE_OK);
        assert_memory_equal(u, v, x->dim * sizeof *u);
        assert_true(wte_space_norm(a, i) == wte_space_norm(b, i));
    }
    free(u);
    free(v);
}

/* Numbers of every size, a zero row, a duplicate; words without space or newline. */
static wte_space *make_wide(uint32_t n, size_t dim, wte_dtype dtype)
{
    static char many[4000 * 12];
    static uint64_t ends[4001];
    static float rows[4000 * 20];
    static uint16_t narrow[4000 * 20];
    uint64_t seed = 11;
    wte_space *space = NULL;

    assert_true(n <= 4000 && dim <= 20);
    for (uint32_t i = 0; i < n; i++) {
        ends[i + 1] = ends[i] + (uint64_t)sprintf(many + ends[i], "w%u", i == 30 ? 7 : i);
        for (size_t d = 0; d < dim; d++) {
            uint64_t z = wte__random(&seed);
            float x = ldexpf((float)(z >> 40) * 0x1p-24f, (int)(z % 60) - 40);

            rows[i * dim + d] = i == 5 ? 0 : z & 256 ? x : -x;
            narrow[i * dim + d] = (uint16_t)(i == 5 ? 0 : (0x2800 + z % 0x1400) | (z & 0x8000));
        }
    }
    assert_int_equal(wte_space_new("wide", many, ends, dtype == WTE_F32 ? (void *)rows : narrow,
                                   dtype, n, dim, dim, 0, &space, NULL),
                     WTE_OK);
    return space;
}

static void what_is_saved_is_what_is_read(void **state)
{
    static const struct {
        wte_space_format format;
        const char *name, *format_name;
    } cases[] = {
        {WTE_WORD2VEC_BIN, "wide.bin", "word2vec binary"},
        {WTE_WORD2VEC_TEXT, "wide.txt", "word2vec text"},
        {WTE_LAYOUT, "wide.safetensors", "wte"},
    };
    wte_space *space = make_wide(4000, 17, WTE_F32);
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wte_open_options options = {WTE_CACHE_NEVER, NULL, 2, NULL, NULL};
        wte_space *back = NULL;
        wte_error err = {WTE_OK, 0, ""};
        char path[4096], packed[4100];

        snprintf(path, sizeof path, "%s", path_in_folder(cases[i].name));
        if (wte_space_save(space, path, cases[i].format, &options, &err) != WTE_OK ||
            wte_space_open(path, &options, &back, &err) != WTE_OK)
            fail_msg("%s", err.message);
        assert_string_equal(wte_space_get_info(back)->format, cases[i].format_name);
        assert_string_equal(wte_space_get_info(back)->name, "wide");
        assert_string_equal(wte_space_get_info(back)->path, path);
        assert_string_equal(wte_space_get_info(back)->note, "");
        compare_spaces(space, back);
        wte_space_free(back);
        if (cases[i].format == WTE_LAYOUT)
            continue;
        snprintf(packed, sizeof packed, "%s.gz", path);
        gzip_file(path, packed);
        if (wte_space_open(packed, &options, &back, &err) != WTE_OK)
            fail_msg("%s", err.message);
        assert_non_null(strstr(wte_space_get_info(back)->format, ", gzip"));
        assert_string_equal(wte_space_get_info(back)->name, "wide");
        compare_spaces(space, back);
        wte_space_free(back);
    }
    wte_space_free(space);
}

static void the_layout_keeps_the_type_of_the_numbers(void **state)
{
    static const wte_dtype dtypes[] = {WTE_F16, WTE_BF16};
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        wte_space *space = make_wide(100, 20, dtypes[i]), *back = NULL;
        const char *path = path_in_folder("narrow.safetensors");

        assert_int_equal(wte_space_save(space, path, WTE_LAYOUT, NULL, NULL), WTE_OK);
        assert_int_equal(wte_space_open(path, NULL, &back, NULL), WTE_OK);
        assert_int_equal(wte_space_get_info(back)->dtype, dtypes[i]);
        assert_int_equal(wte_space_get_info(back)->has_codes, 1);
        assert_int_equal(back->rows.stride, 64);
        assert_int_equal((uintptr_t)back->rows.base % 64, 0);
        compare_spaces(space, back);
        wte_space_free(back);
        wte_space_free(space);
    }
}

static void codes_are_as_near_as_their_residuals_say(void **state)
{
    wte_space *space = make_wide(2000, 19, WTE_F32), *back = NULL;
    const char *path = path_in_folder("codes.safetensors");
    float x[19];
    (void)state;

    assert_int_equal(wte_space_save(space, path, WTE_LAYOUT, NULL, NULL), WTE_OK);
    assert_int_equal(wte_space_open(path, NULL, &back, NULL), WTE_OK);
    for (uint32_t i = 0; i < 2000; i++) {
        const wte__codes *c = &back->codes;
        double sum = 0, largest = 0;

        assert_int_equal(wte_space_vector(back, i, x, NULL), WTE_OK);
        for (size_t d = 0; d < 19; d++) {
            double rest = (double)x[d] - (double)c->scales[i] * c->codes[i * c->stride + d];

            sum += rest * rest;
            largest = fmax(largest, fabs((double)x[d]));
        }
        if (back->norms[i] == 0) {
            assert_true(c->scales[i] == 0);
            continue;
        }
        assert_true(sqrt(sum) <= (double)c->residuals[i]);
        assert_true((double)c->residuals[i] <= sqrt(sum) * 1.001 + largest * 1e-5);
        assert_true(fabs((double)c->scales[i] * 127 - largest) <= 1e-6 * largest);
    }
    wte_space_free(back);
    wte_space_free(space);
}

static void words_that_word2vec_cannot_hold_are_named(void **state)
{
    static const char spaced[] = "fineNew Yorklast\nline";
    static const uint64_t ends[] = {0, 4, 12, 21};
    static const float rows[] = {1, 2, 3};
    wte_space *space = NULL, *back = NULL;
    wte_error err;
    char path[4096];
    (void)state;

    snprintf(path, sizeof path, "%s", path_in_folder("spaced.bin"));
    assert_int_equal(wte_space_new("s", spaced, ends, rows, WTE_F32, 3, 1, 1, 0, &space, NULL),
                     WTE_OK);
    assert_int_equal(wte_space_save(space, path, WTE_WORD2VEC_BIN, NULL, &err), WTE_E_FORMAT);
    assert_non_null(strstr(err.message, "'New York' of row 1 contains a space"));
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(wte_space_save(space, path, WTE_LAYOUT, NULL, NULL), WTE_OK);
    assert_int_equal(wte_space_open(path, NULL, &back, NULL), WTE_OK);
    compare_spaces(space, back);
    wte_space_free(back);
    wte_space_free(space);
}

static void an_empty_space_can_be_saved_and_read(void **state)
{
    wte_open_options options = {WTE_CACHE_ALWAYS, test_folder(), 0, NULL, NULL};
    static const uint64_t ends[] = {0};
    wte_space *space = NULL, *back = NULL;
    wte_error err = {WTE_OK, 0, ""};
    uint32_t id;
    (void)state;

    assert_int_equal(wte_space_new("none", "", ends, matrix, WTE_F32, 0, 3, 3, 0, &space, NULL),
                     WTE_OK);
    for (int format = WTE_WORD2VEC_BIN; format <= WTE_LAYOUT; format++) {
        const char *path = path_in_folder("none");

        assert_int_equal(wte_space_save(space, path, (wte_space_format)format, NULL, NULL), WTE_OK);
        if (wte_space_open(path, &options, &back, &err) != WTE_OK)
            fail_msg("%s", err.message);
        assert_int_equal(wte_space_get_info(back)->n_rows, 0);
        assert_int_equal(wte_space_get_info(back)->dim, 3);
        assert_int_equal(wte_space_find(back, "a", 1, &id, &err), WTE_E_NOTFOUND);
        wte_space_free(back);
    }
    wte_space_free(space);
}

static void words_of_any_length_and_bytes_are_read(void **state)
{
    enum { LONG = 200000 };
    char *file = malloc(LONG + 200), *p = file;
    static const float row[2] = {1, 2};
    wte_space *space = NULL;
    uint32_t id = 9;
    size_t len;
    (void)state;

    assert_non_null(file);
    p += sprintf(p, "4 2\n");
    memset(p, 'x', LONG);
    p += LONG;
    *p++ = ' ';
    memcpy(p, row, 8), p += 8;
    memcpy(p, "\n\n\nnew\nline ", 12), p += 12; /* newlines before a word are no part of it */
    memcpy(p, row, 8), p += 8;
    memcpy(p, "\0\x80\xff ", 4), p += 4;
    memcpy(p, row, 8), p += 8;
    *p++ = ' ';
    memcpy(p, row, 8), p += 8;
    assert_int_equal(
        wte_space_open(write_file("long.bin", file, (size_t)(p - file)), NULL, &space, NULL),
        WTE_OK);
    assert_string_equal(wte_space_get_info(space)->format, "word2vec binary");
    wte_space_word(space, 0, &len);
    assert_int_equal(len, LONG);
    assert_int_equal(wte_space_find(space, "new\nline", 8, &id, NULL), WTE_OK);
    assert_int_equal(id, 1);
    assert_int_equal(wte_space_find(space, "\0\x80\xff", 3, &id, NULL), WTE_OK);
    assert_int_equal(wte_space_find(space, "", 0, &id, NULL), WTE_OK);
    assert_int_equal(id, 3);
    wte_space_free(space);
    free(file);
}

/* ---- gzip --------------------------------------------------------------------------------- */

static size_t pack(const char *text, unsigned char *out, size_t size)
{
    z_stream z = {0};

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)text;
    z.avail_in = (unsigned)strlen(text);
    z.next_out = out;
    z.avail_out = (unsigned)size;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return size - z.avail_out;
}

static void gzip_members_follow_one_another(void **state)
{
    unsigned char packed[600];
    size_t n = pack("2 2\na 1 2\n", packed, 200), first = n;
    wte_space *space = NULL;
    wte_error err = {WTE_OK, 0, ""};
    (void)state;

    n += pack("b 3 4\n", packed + n, 200);
    memset(packed + n, 0, 50); /* padding */
    assert_int_equal(wte_space_open(write_file("two.gz", packed, n + 50), NULL, &space, &err),
                     WTE_OK);
    assert_int_equal(find(space, "b"), 1);
    assert_string_equal(wte_space_get_info(space)->note, "");
    wte_space_free(space);

    memcpy(packed + n, "garbage", 7);
    assert_int_equal(wte_space_open(write_file("two.gz", packed, n + 7), NULL, &space, &err),
                     WTE_OK);
    assert_string_equal(wte_space_get_info(space)->note,
                        "7 bytes that are no gzip follow the packed data");
    wte_space_free(space);

    space = NULL;
    for (size_t cut = 3; cut < n; cut++) {
        if (cut == first)
            continue;
        assert_int_equal(wte_space_open(write_file("two.gz", packed, cut), NULL, &space, &err),
                         WTE_E_FORMAT);
        if (cut < first || cut >= first + 2) /* one byte of a second member is garbage */
            assert_non_null(strstr(err.message, "ends early"));
        assert_null(space);
    }
    packed[first - 6] ^= 1; /* the first member's checksum */
    assert_int_equal(wte_space_open(write_file("two.gz", packed, n), NULL, &space, &err),
                     WTE_E_FORMAT);
    assert_non_null(strstr(err.message, "damaged"));
}

/* ---- allocation and cancelling ------------------------------------------------------------ */

static void every_allocation_may_fail(void **state)
{
    static const char *const names[] = {"m.bin", "m.txt", "m.safetensors", "m.gz"};
    wte_space *space = NULL, *saved = make_wide(60, 4, WTE_F32);
    unsigned char packed[200];
    long nth;
    (void)state;

    for (nth = 0; space == NULL; nth++) {
        wte__fail_alloc(nth);
        wte_status status =
            wte_space_new("small", words, offsets, matrix, WTE_F32, 6, 3, 3, 0, &space, NULL);
        wte__fail_alloc(-1);
        assert_int_equal(status, space ? WTE_OK : WTE_E_NOMEM);
    }
    assert_true(nth > 5);
    wte_space_free(space);
    for (int format = WTE_WORD2VEC_BIN; format <= WTE_LAYOUT; format++) {
        char path[4096];
        wte_status status = WTE_E_NOMEM;

        snprintf(path, sizeof path, "%s", path_in_folder(names[format]));
        for (nth = 0; status != WTE_OK; nth++) {
            wte__fail_alloc(nth);
            status = wte_space_save(saved, path, (wte_space_format)format, NULL, NULL);
            wte__fail_alloc(-1);
            assert_int_equal(access(path, F_OK) == 0, status == WTE_OK);
            if (status != WTE_OK)
                assert_int_equal(status, WTE_E_NOMEM);
        }
        assert_true(nth > 5);
    }
    write_file("m.gz", packed, pack("1 2\na 1 2\n", packed, sizeof packed));
    for (size_t i = 0; i < 4; i++)
        for (int cached = 0; cached < 2; cached++) {
            char path[4096], folder[4096];
            wte_open_options options = WTE_OPEN_DEFAULTS;

            snprintf(path, sizeof path, "%s", path_in_folder(names[i]));
            snprintf(folder, sizeof folder, "%s/cache%zu", test_folder(), i);
            options.cache = cached ? WTE_CACHE_ALWAYS : WTE_CACHE_NEVER;
            options.cache_dir = folder;
            space = NULL;
            for (nth = 0; space == NULL; nth++) {
                wte__fail_alloc(nth);
                wte_status status = wte_space_open(path, &options, &space, NULL);
                wte__fail_alloc(-1);
                assert_int_equal(status, space ? WTE_OK : WTE_E_NOMEM);
            }
            assert_true(nth > 5);
            wte_space_free(space);
        }
    wte_space_free(saved);
}

static int cancel(void *data, const char *what, uint64_t done, uint64_t total)
{
    (void)what, (void)done, (void)total;
    ++*(int *)data;
    return 1;
}

static void whoever_is_told_of_progress_can_cancel(void **state)
{
    wte_space *space = make_wide(4000, 20, WTE_F32), *back = NULL;
    int calls = 0;
    wte_open_options options = {WTE_CACHE_NEVER, NULL, 2, cancel, &calls};
    wte_error err;
    char path[4096];
    (void)state;

    snprintf(path, sizeof path, "%s", path_in_folder("cancelled.txt"));
    assert_int_equal(wte_space_save(space, path, WTE_WORD2VEC_TEXT, &options, &err),
                     WTE_E_CANCELLED);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(calls, 1);
    options.progress = NULL;
    assert_int_equal(wte_space_save(space, path, WTE_WORD2VEC_TEXT, &options, &err), WTE_OK);
    options.progress = cancel;
    assert_int_equal(wte_space_open(path, &options, &back, &err), WTE_E_CANCELLED);
    assert_int_equal(calls, 2);
    assert_null(back);
    wte_space_free(space);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_several_rows_with_one_word_the_first_counts),
        cmocka_unit_test(norms_are_lengths_and_0_where_there_is_no_direction),
        cmocka_unit_test(an_id_out_of_range_is_no_row),
        cmocka_unit_test(shapes_that_cannot_be_are_refused),
        cmocka_unit_test(a_missing_word_gets_suggestions),
        cmocka_unit_test(suggestions_are_all_within_two_edits_nearest_first),
        cmocka_unit_test(every_word_of_many_is_found_and_duplicates_are_counted),
        cmocka_unit_test(the_hash_does_not_depend_on_the_number_of_threads),
        cmocka_unit_test(words_made_to_collide_get_another_seed),
        cmocka_unit_test(a_gzip_that_grows_without_end_is_stopped),
        cmocka_unit_test(what_is_saved_is_what_is_read),
        cmocka_unit_test(the_layout_keeps_the_type_of_the_numbers),
        cmocka_unit_test(codes_are_as_near_as_their_residuals_say),
        cmocka_unit_test(words_that_word2vec_cannot_hold_are_named),
        cmocka_unit_test(an_empty_space_can_be_saved_and_read),
        cmocka_unit_test(words_of_any_length_and_bytes_are_read),
        cmocka_unit_test(gzip_members_follow_one_another),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(whoever_is_told_of_progress_can_cancel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
