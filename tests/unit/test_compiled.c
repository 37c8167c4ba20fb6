/* SPDX-License-Identifier: MIT */
/* test_compiled.c - tokenizers kept in the cache folder: made, found, noticed when they no longer
 * fit, and harmless whatever is in them */
#include "support.h"
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/base.h"
#include "format/safetensors.h"
#include "wte/cache.h"
#include "wte/tokenizer.h"

enum { N_WORDS = 9000 };

static char cache[4200], folder[4200];

/* A large vocab.txt: [UNK] and so on, letters, and words of three letters. */
static void write_bert(int n_words)
{
    char path[4400];
    FILE *f;

    snprintf(path, sizeof path, "%s/vocab.txt", folder);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", f);
    for (int c = 'a'; c <= 'z'; c++)
        fprintf(f, "%c\n##%c\n", c, c);
    for (int i = 0; i < n_words; i++)
        fprintf(f, "%s%c%c%c\n", i % 3 ? "" : "##", 'a' + i % 26, 'a' + i / 26 % 26,
                'a' + i / 676 % 26);
    fputs("averyveryverylongword\n.\n", f);
    assert_int_equal(fclose(f), 0);
}

/* One byte as GPT-2 spells it in JSON. */
static void spell(FILE *f, unsigned b)
{
    unsigned code = b, next = 256;

    for (unsigned i = 0; i <= b; i++)
        if (!((i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174))
            code = next++;
        else
            code = i;
    if (code == '"' || code == '\\')
        fprintf(f, "\\%c", (int)code);
    else if (code < 0x80)
        fputc((int)code, f);
    else
        fprintf(f, "\\u%04x", code);
}

/* A large vocab.json and merges.txt: bytes, then all pairs of two of 95 characters, as merges. */
static void write_gpt2(void)
{
    char path[4400];
    FILE *vocab, *merges;
    int id = 256;

    snprintf(path, sizeof path, "%s/vocab.json", folder);
    vocab = fopen(path, "w");
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    merges = fopen(path, "w");
    assert_true(vocab && merges);
    fputs("{", vocab);
    fputs("#version: 0.2\n", merges);
    for (unsigned b = 0; b < 256; b++) {
        fputs(b ? ", \"" : "\"", vocab);
        spell(vocab, b);
        fprintf(vocab, "\": %u", b);
    }
    for (int a = '!'; a <= '~'; a++)
        for (int b = '!'; b <= '~'; b++) {
            fputs(", \"", vocab);
            spell(vocab, (unsigned)a);
            spell(vocab, (unsigned)b);
            fprintf(vocab, "\": %d", id++);
            fprintf(merges, "%c %c\n", a, b);
        }
    fprintf(vocab, ", \"<|endoftext|>\": %d}\n", id);
    assert_int_equal(fclose(vocab), 0);
    assert_int_equal(fclose(merges), 0);
}

static int set_up(void **state)
{
    static int turn;
    (void)state;

    snprintf(folder, sizeof folder, "%s/model%d", test_folder(), turn);
    snprintf(cache, sizeof cache, "%s/cache%d/deep", test_folder(), turn++);
    return mkdir(folder, 0700);
}

static wte_tokenizer *open_cached(void)
{
    wte_tokenizer *t = NULL;
    wte_error err = {WTE_OK, 0, ""};

    if (wte_tokenizer_open_cached(folder, cache, &t, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return t;
}

/* Open, close, and tell whether it came from the cache. */
static int from_cache(void)
{
    wte_tokenizer *t = open_cached();
    int compiled = wte_tokenizer_get_info(t)->compiled;

    wte_tokenizer_free(t);
    return compiled;
}

static const char text[] = "abc theory zzz averyveryverylongword. \xC3\xA9 [MASK] <|endoftext|> "
                           "averyveryverylongwordaveryveryverylongwordaveryveryverylongword";

static void assert_same(const wte_tokenizer *a, const wte_tokenizer *b)
{
    const wte_tokenizer_info *x = wte_tokenizer_get_info(a), *y = wte_tokenizer_get_info(b);
    wte_encoder *e[2] = {NULL, NULL};
    wte_encoding got[2];
    char *back[2] = {NULL, NULL};
    size_t len[2];
    const wte_tokenizer *both[2] = {a, b};

    assert_int_equal(x->kind, y->kind);
    assert_string_equal(x->source, y->source);
    assert_int_equal(x->n_vocab, y->n_vocab);
    assert_int_equal(x->n_holes, y->n_holes);
    assert_int_equal(x->n_merges, y->n_merges);
    assert_int_equal(x->n_special, y->n_special);
    assert_int_equal(x->do_lower_case, y->do_lower_case);
    assert_int_equal(x->strip_accents, y->strip_accents);
    assert_int_equal(x->add_prefix_space, y->add_prefix_space);
    assert_memory_equal(&x->unk, &y->unk, 7 * sizeof x->unk);
    for (uint32_t id = 0; id <= x->n_vocab; id++) {
        const char *(*const fns[])(const wte_tokenizer *, uint32_t,
                                   size_t *) = {wte_tokenizer_piece, wte_tokenizer_spelling};

        for (int f = 0; f < 2; f++) {
            size_t n = 0, m = 0;
            const char *s = fns[f](a, id, &n), *t = fns[f](b, id, &m);

            assert_int_equal(!s, !t);
            assert_int_equal(n, m);
            if (s)
                assert_memory_equal(s, t, n);
        }
        assert_int_equal(wte_tokenizer_is_special(a, id), wte_tokenizer_is_special(b, id));
    }
    for (unsigned flags = 0; flags < 4; flags++) {
        for (int i = 0; i < 2; i++) {
            assert_int_equal(wte_encoder_new(both[i], &e[i], NULL), WTE_OK);
            assert_int_equal(wte_encode(e[i], text, strlen(text), flags, &got[i], NULL), WTE_OK);
            assert_int_equal(wte_decode(both[i], got[i].ids, got[i].n, 0, &back[i], &len[i], NULL),
                             WTE_OK);
        }
        assert_int_equal(got[0].n, got[1].n);
        assert_memory_equal(got[0].ids, got[1].ids, got[0].n * sizeof *got[0].ids);
        assert_int_equal(len[0], len[1]);
        assert_memory_equal(back[0], back[1], len[0]);
        for (int i = 0; i < 2; i++) {
            wte_text_free(back[i]);
            wte_encoder_free(e[i]);
        }
    }
}

static void what_is_kept_is_what_was_read(void **state)
{
    (void)state;
    for (int gpt2 = 0; gpt2 < 2; gpt2++) {
        wte_tokenizer *read, *made, *found;

        set_up(NULL);
        if (gpt2)
            write_gpt2();
        else
            write_bert(N_WORDS);
        write_text_file(folder, "tokenizer_config.json",
                        "{\"do_lower_case\": false, \"mask_token\": "
                        "{\"content\": \"[MASK]\", \"lstrip\": true}}");
        assert_int_equal(wte_tokenizer_open(folder, &read, NULL), WTE_OK);
        made = open_cached();
        found = open_cached();
        assert_int_equal(wte_tokenizer_get_info(read)->compiled, 0);
        assert_int_equal(wte_tokenizer_get_info(made)->compiled, 0);
        assert_int_equal(wte_tokenizer_get_info(found)->compiled, 1);
        assert_same(read, made);
        assert_same(read, found);
        wte_tokenizer_free(read);
        wte_tokenizer_free(made);
        wte_tokenizer_free(found);
    }
}

static void small_vocabularies_are_not_kept(void **state)
{
    (void)state;
    write_bert(100);
    assert_int_equal(from_cache(), 0);
    assert_int_equal(from_cache(), 0);
    assert_int_not_equal(access(cache, F_OK), 0);
}

static void a_changed_file_is_noticed(void **state)
{
    wte_tokenizer *t;
    uint32_t id = 0;
    (void)state;

    write_bert(N_WORDS);
    from_cache();
    assert_int_equal(from_cache(), 1);
    write_bert(N_WORDS + 1);
    t = open_cached();
    assert_int_equal(wte_tokenizer_get_info(t)->compiled, 0);
    assert_int_equal(wte_tokenizer_find(t, ".", 1, &id, NULL), WTE_OK);
    assert_int_equal(id, 5 + 52 + N_WORDS + 2);
    wte_tokenizer_free(t);
    assert_int_equal(from_cache(), 1);

    /* a file that was not there */
    write_text_file(folder, "tokenizer_config.json", "{\"do_lower_case\": false}");
    t = open_cached();
    assert_int_equal(wte_tokenizer_get_info(t)->compiled, 0);
    assert_int_equal(wte_tokenizer_get_info(t)->do_lower_case, 0);
    wte_tokenizer_free(t);
    t = open_cached();
    assert_int_equal(wte_tokenizer_get_info(t)->compiled, 1);
    assert_int_equal(wte_tokenizer_get_info(t)->do_lower_case, 0);
    wte_tokenizer_free(t);
}

static void a_cache_that_cannot_be_written_is_done_without(void **state)
{
    (void)state;
    write_bert(N_WORDS);
    snprintf(cache, sizeof cache, "%.4000s/vocab.txt/below", folder);
    assert_int_equal(from_cache(), 0);
    assert_int_equal(from_cache(), 0);
}

/* The one file in the cache folder. */
static void kept_path(char out[4400])
{
    wte_cache_list list;

    assert_int_equal(wte_cache_get_list(cache, &list, NULL), WTE_OK);
    assert_int_equal(list.n, 1);
    snprintf(out, 4400, "%s", list.entries[0].file);
    wte_cache_list_free(&list);
}

static void it_is_listed_and_cleared(void **state)
{
    wte_cache_list list;
    size_t n = 0;
    (void)state;

    write_bert(N_WORDS);
    from_cache();
    assert_int_equal(wte_cache_get_list(cache, &list, NULL), WTE_OK);
    assert_int_equal(list.n, 1);
    assert_non_null(strstr(list.entries[0].source, strrchr(folder, '/')));
    assert_int_equal(list.entries[0].stale, 0);
    assert_true(list.entries[0].bytes > 100000);
    wte_cache_list_free(&list);
    write_text_file(folder, "added_tokens.json", "{\"new\": 9100}");
    assert_int_equal(wte_cache_get_list(cache, &list, NULL), WTE_OK);
    assert_int_equal(list.entries[0].stale, 1);
    wte_cache_list_free(&list);
    assert_int_equal(wte_cache_clear(cache, &n, NULL, NULL), WTE_OK);
    assert_int_equal(n, 1);
    assert_int_equal(wte_cache_get_list(cache, &list, NULL), WTE_OK);
    assert_int_equal(list.n, 0);
    wte_cache_list_free(&list);
}

static unsigned char *read_kept(const char *path, size_t *size, struct stat *st)
{
    FILE *f = fopen(path, "rb");
    unsigned char *data;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), st), 0);
    *size = (size_t)st->st_size;
    data = malloc(*size);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

/* Write what was kept again, with its old time if it is to pass for what it was. */
static void write_kept(const char *path, const unsigned char *data, size_t size,
                       const struct stat *sealed)
{
    FILE *f;

    unlink(path); /* somebody may have mapped it */
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fflush(f);
    if (sealed) {
        const struct timespec times[2] = {sealed->st_mtim, sealed->st_mtim};

        assert_int_equal(futimens(fileno(f), times), 0);
    }
    assert_int_equal(fclose(f), 0);
}

static void damage_is_noticed(void **state)
{
    char path[4400];
    struct stat st;
    unsigned char *data;
    size_t size;
    (void)state;

    write_gpt2();
    from_cache();
    kept_path(path);
    data = read_kept(path, &size, &st);
    write_kept(path, data, size, &st);
    assert_int_equal(from_cache(), 1);
    write_kept(path, data, size, NULL); /* written to */
    assert_int_equal(from_cache(), 0);
    write_kept(path, data, size - 1, &st); /* cut short */
    assert_int_equal(from_cache(), 0);
    write_kept(path, data, 0, &st);
    assert_int_equal(from_cache(), 0);
    assert_int_equal(truncate(path, (off_t)size * 2), 0); /* a hole */
    assert_int_equal(from_cache(), 0);
    assert_int_equal(from_cache(), 1);
    free(data);
}

static void use(const wte_tokenizer *t)
{
    wte_encoder *e = NULL;
    wte_encoding got;
    char *back = NULL;
    size_t len = 0, n = 0;
    uint32_t *ids = NULL;

    if (wte_encoder_new(t, &e, NULL) != WTE_OK)
        return;
    for (unsigned flags = 0; flags < 4; flags++)
        if (wte_encode(e, text, strlen(text), flags, &got, NULL) == WTE_OK &&
            wte_decode(t, got.ids, got.n, WTE_DECODE_CLEAN_UP, &back, &len, NULL) == WTE_OK) {
            wte_text_free(back);
            back = NULL;
        }
    if (wte_encode_parallel(t, text, strlen(text), 1, 1, &ids, &n, NULL) == WTE_OK)
        wte_ids_free(ids);
    for (uint32_t id = 0; id <= wte_tokenizer_get_info(t)->n_vocab; id++) {
        if (wte_decode(t, &id, 1, 0, &back, &len, NULL) == WTE_OK)
            wte_text_free(back);
        wte_tokenizer_piece(t, id, &len);
        wte_tokenizer_spelling(t, id, &len);
    }
    wte_tokenizer_find(t, "theory", 6, &(uint32_t){0}, NULL);
    wte_encoder_free(e);
}

/* Each array gets values that lead astray, at its ends and at random places; the file passes for
 * what it was. It is refused or works, but stays inside its arrays. */
static void nothing_in_it_leads_astray(void **state)
{
    static const uint64_t values[] = {0,          UINT64_MAX,          UINT32_MAX,
                                      0x7FFFFFFF, 0x8000000000000000u, 0x0001000000000000u,
                                      9000,       0x4141414141414141u};
    uint64_t seed = 11;
    unsigned used = 0, refused = 0;
    (void)state;

    for (int gpt2 = 0; gpt2 < 2; gpt2++) {
        wte__safetensors st = {NULL, 0, NULL};
        char path[4400];
        struct stat sealed;
        unsigned char *data, *bad;
        size_t size;

        set_up(NULL);
        if (gpt2)
            write_gpt2();
        else
            write_bert(N_WORDS);
        from_cache();
        kept_path(path);
        data = read_kept(path, &size, &sealed);
        bad = malloc(size);
        assert_non_null(bad);
        assert_int_equal(wte__safetensors_parse(data, size, path, &st, NULL), WTE_OK);
        for (size_t i = 0; i < st.n; i++)
            for (unsigned k = 0; k < (TEST_FEWER ? 8 : 32); k++) {
                const wte__tensor *a = &st.tensors[i];
                size_t n = (size_t)a->size / a->element;
                size_t at = k < 8 ? 0 : k < 16 ? n - 1 : (size_t)(wte__random(&seed) % (n | 1));
                wte_tokenizer *t;

                if (n == 0)
                    continue;
                memcpy(bad, data, size);
                memcpy(bad + a->begin + at * a->element, &values[k % 8], a->element);
                if (k >= 24) /* the whole array */
                    for (size_t j = 0; j < n; j++)
                        memcpy(bad + a->begin + j * a->element, &values[k % 8], a->element);
                write_kept(path, bad, size, &sealed);
                t = open_cached();
                if (wte_tokenizer_get_info(t)->compiled) {
                    use(t);
                    used++;
                } else {
                    refused++;
                }
                wte_tokenizer_free(t);
            }
        wte__safetensors_free(&st);
        free(bad);
        free(data);
    }
    assert_true(used > 50 && refused > 50);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int gpt2 = 0; gpt2 < 2; gpt2++) {
        set_up(NULL);
        if (gpt2)
            write_gpt2();
        else
            write_bert(N_WORDS);
        for (long i = 0;; i++) {
            wte_tokenizer *t = NULL;
            wte_status status;
            int compiled;

            wte__fail_alloc(i);
            status = wte_tokenizer_open_cached(folder, cache, &t, NULL);
            wte__fail_alloc(-1);
            if (status != WTE_OK) {
                assert_int_equal(status, WTE_E_NOMEM);
                assert_null(t);
                continue;
            }
            compiled = wte_tokenizer_get_info(t)->compiled;
            wte_tokenizer_free(t);
            if (compiled) {
                assert_true(i > 20);
                break;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_kept_is_what_was_read, set_up),
        cmocka_unit_test_setup(small_vocabularies_are_not_kept, set_up),
        cmocka_unit_test_setup(a_changed_file_is_noticed, set_up),
        cmocka_unit_test_setup(a_cache_that_cannot_be_written_is_done_without, set_up),
        cmocka_unit_test_setup(it_is_listed_and_cleared, set_up),
        cmocka_unit_test_setup(damage_is_noticed, set_up),
        cmocka_unit_test_setup(nothing_in_it_leads_astray, set_up),
        cmocka_unit_test_setup(every_allocation_may_fail, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
