/* SPDX-License-Identifier: MIT */
/* test_model_open.c - wte/model.h: opening word vectors, GPT-2 and BERT; spaces, words, trees
 *
 * The small models of tests/golden/models have weights that can be checked in the head: element i
 * of a tensor is ((7 i + 3 len(name)) mod 17 - 8) / 8. The numbers of parameters were counted by
 * hand from the shapes. nearest.json is torch's and numpy's answer on a GPT-2 with the real
 * vocabulary. */
#include "support.h"
#include <jansson.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/base.h"
#include "wte/model.h"
#include "wte/nearest.h"

static wte_model *open_test(const char *name)
{
    wte_model *m = NULL;
    wte_error err = {0};

    if (wte_model_open(name, NULL, &m, &err) != WTE_OK)
        fail_msg("%s: %s", name, err.message);
    return m;
}

static const wte_space *space_of(wte_model *m, wte_embeddings which)
{
    const wte_space *space = NULL;
    wte_error err = {0};

    if (wte_model_space(m, which, &space, &err) != WTE_OK)
        fail_msg("%s", err.message);
    return space;
}

/* A folder of the test's own, with files linked from elsewhere. */
static const char *new_folder(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, 512, "%s/%s", test_folder(), name);
    wte__mkdirs(path, NULL);
    return path;
}

static void link_in(const char *folder, const char *file)
{
    char path[1024], target[1024];

    assert_non_null(realpath(file, target));
    snprintf(path, sizeof path, "%s%s", folder, strrchr(file, '/'));
    unlink(path);
    assert_int_equal(symlink(target, path), 0);
}

static wte_status word_id(wte_model *m, const char *word, int prefix_space, uint32_t *id,
                          wte_error *err)
{
    wte_word_options options = {prefix_space, WTE_POOL_NONE};

    return wte_model_word_id(m, word, strlen(word), &options, id, err);
}

/* ---- the small models ------------------------------------------------------------------- */

static void a_folder_of_gpt2_gives_facts_tokenizer_and_space(void **state)
{
    wte_model *m = open_test(test_file("golden/models/gpt2"));
    const wte_model_info *info = wte_model_get_info(m);
    const wte_space *space = space_of(m, WTE_EMBEDDINGS_INPUT);
    float row[4];
    size_t len = 0;
    (void)state;

    assert_string_equal(info->name, "gpt2");
    assert_int_equal(info->family, WTE_FAMILY_GPT2);
    assert_int_equal(info->has_weights, 1);
    assert_int_equal(info->n_vocab, 270);
    assert_int_equal(info->n_embd, 4);
    assert_int_equal(info->n_layer, 1);
    assert_int_equal(info->n_head, 2);
    assert_int_equal(info->n_ctx, 8);
    assert_int_equal(info->parameters, 1364);
    assert_non_null(wte_model_tokenizer(m));
    assert_non_null(wte_model_checkpoint(m));
    assert_int_equal(wte_space_get_info(space)->n_rows, 270);
    assert_memory_equal(wte_space_word(space, 261, &len), " theory", 7);
    assert_int_equal(len, 7);
    assert_int_equal(wte_space_vector(space, 1, row, NULL), WTE_OK);
    for (size_t i = 0; i < 4; i++) /* "transformer.wte.weight" has 22 letters */
        assert_float_equal(row[i], ((float)((7 * (4 + i) + 66) % 17) - 8) / 8, 0);
    assert_ptr_equal(space_of(m, WTE_EMBEDDINGS_OUTPUT), space);
    wte_model_free(m);
}

static void a_folder_of_bert_gives_facts_tokenizer_and_space(void **state)
{
    wte_model *m = open_test(test_file("golden/models/bert/"));
    const wte_model_info *info = wte_model_get_info(m);
    (void)state;

    assert_string_equal(info->name, "bert");
    assert_int_equal(info->family, WTE_FAMILY_BERT);
    assert_int_equal(info->n_vocab, 20);
    assert_int_equal(info->n_layer, 1);
    assert_int_equal(info->parameters, 378); /* the decoder is tied */
    assert_int_equal(wte_space_get_info(space_of(m, WTE_EMBEDDINGS_INPUT))->n_rows, 20);
    wte_model_free(m);
}

static void words_become_tokens(void **state)
{
    wte_model *m = open_test(test_file("golden/models/gpt2"));
    wte_word_options plain = {0, WTE_POOL_NONE}, last = {0, WTE_POOL_LAST};
    uint32_t ids[2] = {0}, id = 0;
    size_t n = 0;
    wte_error err;
    (void)state;

    assert_int_equal(word_id(m, "theory", 1, &id, NULL), WTE_OK);
    assert_int_equal(id, 261);
    assert_int_equal(word_id(m, " theory", 0, &id, NULL), WTE_OK);
    assert_int_equal(id, 261);
    assert_int_equal(word_id(m, "<|endoftext|>", 0, &id, NULL), WTE_OK);
    assert_int_equal(id, 269);
    assert_int_equal(word_id(m, "\xE6", 0, &id, NULL), WTE_OK); /* a byte that is no text */
    assert_memory_equal(wte_tokenizer_piece(wte_model_tokenizer(m), id, &n), "\xE6", 1);
    assert_int_equal(wte_model_word_ids(m, "theories", 8, &plain, ids, 2, &n, NULL), WTE_OK);
    assert_int_equal(n, 2);
    assert_int_equal(ids[0], 262);
    assert_int_equal(ids[1], 265);
    assert_int_equal(wte_model_word_ids(m, "theories", 8, &plain, NULL, 0, &n, NULL), WTE_OK);
    assert_int_equal(n, 2);
    assert_int_equal(wte_model_word_id(m, "theories", 8, &last, &id, NULL), WTE_OK);
    assert_int_equal(id, 265);
    id = 7;
    assert_int_equal(word_id(m, "theories", 0, &id, &err), WTE_E_SHAPE);
    assert_string_equal(err.message,
                        "'theories' is 2 tokens in gpt2: 'the' 'ories'; use --pool, or "
                        "--prefix-space (1 token)");
    assert_int_equal(word_id(m, "", 0, &id, &err), WTE_E_RANGE);
    assert_int_equal(id, 7);
    wte_model_free(m);
}

static void long_words_show_their_first_pieces(void **state)
{
    wte_model *m = open_test(test_file("golden/models/gpt2"));
    wte_word_options last = {0, WTE_POOL_LAST};
    uint32_t id = 0;
    wte_error err;
    (void)state;

    assert_int_equal(word_id(m, "zzzzzzzzzzzzzzzzzzzzy", 0, &id, &err), WTE_E_SHAPE);
    assert_non_null(strstr(err.message, "is 21 tokens in gpt2: 'z' 'z'"));
    assert_non_null(strstr(err.message, " ...; use --pool"));
    assert_int_equal(wte_model_word_id(m, "zzzzzzzzzzzzzzzzzzzzy", 21, &last, &id, NULL), WTE_OK);
    assert_int_equal(id, 'y' - 33);
    wte_model_free(m);
}

static const char gpt2_tree[] =
    "GPT2LMHeadModel(\n"
    "  (transformer): GPT2Model(\n"
    "    (wte): Embedding(270, 4)\n"
    "    (wpe): Embedding(8, 4)\n"
    "    (drop): Dropout(p=0.1, inplace=False)\n"
    "    (h): ModuleList(\n"
    "      (0): GPT2Block(\n"
    "        (ln_1): LayerNorm((4,), eps=1e-05, elementwise_affine=True)\n"
    "        (attn): GPT2Attention(\n"
    "          (c_attn): Conv1D()\n"
    "          (c_proj): Conv1D()\n"
    "          (attn_dropout): Dropout(p=0.1, inplace=False)\n"
    "          (resid_dropout): Dropout(p=0.1, inplace=False)\n"
    "        )\n"
    "        (ln_2): LayerNorm((4,), eps=1e-05, elementwise_affine=True)\n"
    "        (mlp): GPT2MLP(\n"
    "          (c_fc): Conv1D()\n"
    "          (c_proj): Conv1D()\n"
    "          (act): NewGELUActivation()\n"
    "          (dropout): Dropout(p=0.1, inplace=False)\n"
    "        )\n"
    "      )\n"
    "    )\n"
    "    (ln_f): LayerNorm((4,), eps=1e-05, elementwise_affine=True)\n"
    "  )\n"
    "  (lm_head): Linear(in_features=4, out_features=270, bias=False)\n"
    ")\n";

static void the_tree_of_gpt2_is_drawn_as_print_does(void **state)
{
    wte_model *m = open_test(test_file("golden/models/gpt2"));
    char *tree = NULL;
    (void)state;

    assert_int_equal(wte_model_tree(m, &tree, NULL), WTE_OK);
    assert_string_equal(tree, gpt2_tree);
    wte_text_free(tree);
    wte_model_free(m);
}

static void the_tree_of_bert_is_drawn_as_print_does(void **state)
{
    wte_model *m = open_test(test_file("golden/models/bert"));
    char *tree = NULL;
    (void)state;

    assert_int_equal(wte_model_tree(m, &tree, NULL), WTE_OK);
    assert_memory_equal(tree, "BertForPreTraining(\n  (bert): BertModel(\n", 41);
    assert_non_null(strstr(tree, "      (word_embeddings): Embedding(20, 4, padding_idx=0)\n"
                                 "      (position_embeddings): Embedding(8, 4)\n"
                                 "      (token_type_embeddings): Embedding(2, 4)\n"
                                 "      (LayerNorm): LayerNorm((4,), eps=1e-12, "
                                 "elementwise_affine=True)\n"));
    assert_non_null(strstr(tree, "        (0): BertLayer(\n"));
    assert_non_null(strstr(tree, "    (pooler): BertPooler(\n"
                                 "      (dense): Linear(in_features=4, out_features=4, bias=True)\n"
                                 "      (activation): Tanh()\n"
                                 "    )\n"
                                 "  )\n"
                                 "  (cls): BertPreTrainingHeads(\n"));
    assert_non_null(strstr(tree,
                           "      (decoder): Linear(in_features=4, out_features=20, bias=True)\n"
                           "    )\n"
                           "    (seq_relationship): Linear(in_features=4, out_features=2, "
                           "bias=True)\n"
                           "  )\n)\n"));
    wte_text_free(tree);
    wte_model_free(m);
}

/* ---- what lies where -------------------------------------------------------------------- */

static void a_tokenizer_alone_is_a_model_without_weights(void **state)
{
    const char *folder = new_folder("text-only");
    const wte_space *space = NULL;
    wte_model *m;
    uint32_t id = 0;
    wte_error err;
    (void)state;

    link_in(folder, test_file("golden/models/gpt2/vocab.json"));
    link_in(folder, test_file("golden/models/gpt2/merges.txt"));
    m = open_test(folder);
    assert_int_equal(wte_model_get_info(m)->has_weights, 0);
    assert_int_equal(wte_model_get_info(m)->family, WTE_FAMILY_GPT2);
    assert_int_equal(wte_model_get_info(m)->n_vocab, 270);
    assert_string_equal(wte_model_get_info(m)->config, "{}");
    assert_int_equal(word_id(m, "the", 0, &id, NULL), WTE_OK);
    assert_int_equal(wte_model_space(m, WTE_EMBEDDINGS_INPUT, &space, &err), WTE_E_NOTFOUND);
    assert_non_null(strstr(err.message, "tokenizer files only: no model.safetensors"));
    assert_null(space);
    wte_model_free(m);
    m = open_test(test_file("golden/models/bert/vocab.txt"));
    assert_int_equal(wte_model_get_info(m)->family, WTE_FAMILY_BERT);
    wte_model_free(m);
}

static void a_gguf_brings_its_tokenizer_and_the_same_rows(void **state)
{
    wte_model *folder = open_test(test_file("golden/models/gpt2"));
    wte_model *file = open_test(test_file("golden/models/gpt2.gguf"));
    const wte_space *a = NULL, *b = NULL;
    const wte_tokenizer_info *info = wte_tokenizer_get_info(wte_model_tokenizer(file));
    const wte_word_options plain = {0, WTE_POOL_NONE};
    float x[4], y[4];
    uint32_t id = 0;
    (void)state;

    assert_string_equal(info->source, "GGUF");
    assert_int_equal(info->n_merges, 13);
    assert_int_equal(info->n_special, 1);
    assert_int_equal(info->eos, 269);
    assert_int_equal(wte_model_space(folder, WTE_EMBEDDINGS_INPUT, &a, NULL), WTE_OK);
    assert_int_equal(wte_model_space(file, WTE_EMBEDDINGS_INPUT, &b, NULL), WTE_OK);
    assert_int_equal(wte_space_get_info(a)->n_rows, wte_space_get_info(b)->n_rows);
    for (uint32_t i = 0; i < wte_space_get_info(a)->n_rows; i++) {
        size_t n_a = 0, n_b = 0;
        const char *word_a = wte_space_word(a, i, &n_a), *word_b = wte_space_word(b, i, &n_b);

        assert_int_equal(n_a, n_b);
        assert_memory_equal(word_a, word_b, n_a);
        wte_space_vector(a, i, x, NULL);
        wte_space_vector(b, i, y, NULL);
        assert_memory_equal(x, y, sizeof x);
    }
    assert_int_equal(wte_model_word_id(file, " theory", 7, &plain, &id, NULL), WTE_OK);
    assert_memory_equal(wte_space_word(b, id, &(size_t){0}), " theory", 7);
    wte_model_free(folder);
    wte_model_free(file);
}

static void without_a_tokenizer_the_words_are_ids(void **state)
{
    const char *folder = new_folder("weights-only");
    wte_model *m;
    uint32_t id = 0;
    wte_error err;
    (void)state;

    link_in(folder, test_file("golden/models/gpt2/model.safetensors"));
    m = open_test(folder);
    assert_int_equal(wte_model_get_info(m)->family, WTE_FAMILY_GPT2); /* by its tensors */
    assert_null(wte_model_tokenizer(m));
    assert_int_equal(word_id(m, "261", 0, &id, NULL), WTE_OK);
    assert_int_equal(id, 261);
    assert_int_equal(word_id(m, "270", 0, &id, &err), WTE_E_NOTFOUND);
    wte_model_free(m);
}

static void a_checkpoint_file_uses_what_lies_beside_it(void **state)
{
    wte_model *m = open_test(test_file("golden/models/gpt2/model.safetensors"));
    (void)state;

    assert_int_equal(wte_model_get_info(m)->family, WTE_FAMILY_GPT2);
    assert_int_equal(wte_model_get_info(m)->n_head, 2); /* of config.json */
    assert_non_null(wte_model_tokenizer(m));
    wte_model_free(m);
}

static void word_vectors_are_a_model_too(void **state)
{
    wte_model *m = open_test(test_file("golden/tiny.txt"));
    const wte_space *space = space_of(m, WTE_EMBEDDINGS_OUTPUT);
    char path[512], *tree = NULL;
    uint32_t id = 9;
    wte_error err;
    (void)state;

    assert_int_equal(wte_model_get_info(m)->family, WTE_FAMILY_VECTORS);
    assert_string_equal(wte_model_get_info(m)->name, "tiny");
    assert_int_equal(wte_model_get_info(m)->parameters, 48);
    assert_null(wte_model_tokenizer(m));
    assert_null(wte_model_checkpoint(m));
    assert_int_equal(word_id(m, "king", 1, &id, NULL), WTE_OK);
    assert_int_equal(id, 0);
    assert_int_equal(word_id(m, "kings", 0, &id, &err), WTE_E_NOTFOUND);
    assert_non_null(strstr(err.message, "did you mean 'king'"));
    assert_int_equal(wte_model_tree(m, &tree, &err), WTE_E_UNSUPPORTED);
    snprintf(path, sizeof path, "%s/vectors/model.safetensors", test_folder());
    new_folder("vectors");
    assert_int_equal(wte_space_save(space, path, WTE_LAYOUT, NULL, &err), WTE_OK);
    wte_model_free(m);
    m = open_test(path); /* wte's own layout is no checkpoint, whatever its name */
    assert_int_equal(wte_model_get_info(m)->family, WTE_FAMILY_VECTORS);
    wte_model_free(m);
    snprintf(path, sizeof path, "%s/vectors", test_folder());
    m = open_test(path);
    assert_int_equal(wte_model_get_info(m)->family, WTE_FAMILY_VECTORS);
    wte_model_free(m);
}

static void the_hugging_face_cache_is_searched(void **state)
{
    const char *hub = new_folder("hub");
    char path[512], refs[512];
    wte_model_list list;
    wte_model *m;
    (void)state;

    setenv("HF_HUB_CACHE", hub, 1);
    new_folder("hub/models--openai-community--gpt2/snapshots/0000");
    snprintf(path, sizeof path, "%s",
             new_folder("hub/models--openai-community--gpt2/snapshots/abc123"));
    new_folder("hub/models--openai-community--gpt2/refs");
    link_in(path, test_file("golden/models/gpt2/vocab.json"));
    link_in(path, test_file("golden/models/gpt2/merges.txt"));
    snprintf(refs, sizeof refs, "hub/models--openai-community--gpt2/refs/main");
    write_file(refs, "abc123\n", 7);
    m = open_test("gpt2");
    assert_string_equal(wte_model_get_info(m)->name, "gpt2");
    assert_string_equal(wte_model_get_info(m)->path, path);
    wte_model_free(m);
    m = open_test("openai-community/gpt2");
    assert_string_equal(wte_model_get_info(m)->path, path);
    wte_model_free(m);
    assert_int_equal(wte_model_get_list(&list, NULL), WTE_OK);
    for (size_t i = 0;; i++) {
        assert_true(i < list.n);
        if (strcmp(list.entries[i].name, "openai-community/gpt2") == 0) {
            assert_string_equal(list.entries[i].kind, "Hugging Face cache");
            assert_true(list.entries[i].bytes > 2000);
            break;
        }
    }
    wte_model_list_free(&list);
    write_file(refs, "../../../x", 10); /* no commit: the other snapshot makes it ambiguous */
    assert_int_equal(wte_model_open("gpt2", NULL, &m, NULL), WTE_E_NOTFOUND);
    unsetenv("HF_HUB_CACHE");
}

/* ---- contradictions --------------------------------------------------------------------- */

static void refuses(const char *config, wte_status want, const char *message)
{
    static unsigned n;
    char name[64], file[96];
    const char *folder;
    wte_model *m = NULL;
    wte_error err = {0};

    snprintf(name, sizeof name, "bad-%u", n++);
    folder = new_folder(name);
    link_in(folder, test_file("golden/models/gpt2/model.safetensors"));
    snprintf(file, sizeof file, "%s/config.json", name);
    write_file(file, config, strlen(config));
    assert_int_equal(wte_model_open(folder, NULL, &m, &err), want);
    assert_null(m);
    if (!strstr(err.message, message))
        fail_msg("'%s' is not in '%s'", message, err.message);
}

static void a_config_that_contradicts_the_tensors_is_refused(void **state)
{
    (void)state;
    refuses("{\"model_type\":\"gpt2\",\"vocab_size\":50257}", WTE_E_SHAPE,
            "config.json says vocab_size 50257, transformer.wte.weight has 270 rows");
    refuses("{\"model_type\":\"gpt2\",\"n_embd\":768}", WTE_E_SHAPE,
            "config.json says n_embd 768, transformer.wte.weight has 4 columns");
    refuses("{\"model_type\":\"gpt2\",\"n_positions\":9}", WTE_E_SHAPE,
            "config.json says n_positions 9, transformer.wpe.weight has 8 rows");
    refuses("{\"model_type\":\"gpt2\",\"n_layer\":12}", WTE_E_SHAPE,
            "config.json says n_layer 12, the checkpoint has 1 layers");
    refuses("{\"model_type\":\"gpt2\",\"n_head\":3}", WTE_E_SHAPE, "cannot be cut into 3 heads");
    refuses("{\"model_type\":\"bert\"}", WTE_E_FORMAT,
            "there is no tensor embeddings.word_embeddings.weight");
    refuses("{\"model_type\":\"llama\"}", WTE_E_UNSUPPORTED,
            "model_type is 'llama', expected gpt2 or bert");
    refuses("{\"n_embd\":\"four\"}", WTE_E_FORMAT, "n_embd is no whole number");
    refuses("{\"n_embd\":4,\"n_embd\":4}", WTE_E_FORMAT, "line 1");
    refuses("[]", WTE_E_FORMAT, "expected a JSON object");
    refuses("{", WTE_E_FORMAT, "config.json: line 1");
}

static void an_untied_output_is_its_own_matrix(void **state)
{
    const char *folder = new_folder("untied");
    const wte_space *space = NULL;
    wte_model *m;
    wte_error err;
    (void)state;

    link_in(folder, test_file("golden/models/gpt2/model.safetensors"));
    write_file("untied/config.json", "{\"tie_word_embeddings\":false}", 29);
    m = open_test(folder);
    assert_int_equal(wte_model_space(m, WTE_EMBEDDINGS_OUTPUT, &space, &err), WTE_E_NOTFOUND);
    assert_non_null(strstr(err.message, "there is no tensor lm_head.weight"));
    wte_model_free(m);
    folder = new_folder("untied-bert");
    link_in(folder, test_file("golden/models/bert/model.safetensors"));
    write_file("untied-bert/config.json", "{\"tie_word_embeddings\":false}", 29);
    m = open_test(folder);
    space = space_of(m, WTE_EMBEDDINGS_OUTPUT);
    assert_ptr_not_equal(space, space_of(m, WTE_EMBEDDINGS_INPUT));
    assert_int_equal(wte_model_get_info(m)->parameters, 378 + 80);
    wte_model_free(m);
}

/* ---- the references --------------------------------------------------------------------- */

static void every_storage_variant_has_the_same_rows(void **state)
{
    static const struct {
        const char *name;
        float tolerance; /* relative: half precision has 11 bits, bfloat16 8 */
    } variants[] = {
        {"golden/gpt2_small_vocab_bare", 0},       {"golden/gpt2_small_vocab_pt", 0},
        {"golden/gpt2_small_vocab_pt_legacy", 0},  {"golden/gpt2_small_vocab_sharded", 0},
        {"golden/gpt2_small_vocab_f16", 0x1p-11f}, {"golden/gpt2_small_vocab_pt_f16", 0x1p-11f},
        {"golden/gpt2_small_vocab_bf16", 0x1p-8f}};
    wte_model *base = open_test(need_shared("golden/gpt2_small_vocab"));
    const wte_space *want = space_of(base, WTE_EMBEDDINGS_INPUT);
    float a[48], b[48];
    (void)state;

    assert_int_equal(wte_space_get_info(want)->n_rows, 512);
    assert_int_equal(wte_space_get_info(want)->dim, 48);
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        wte_model *m = open_test(need_shared(variants[v].name));
        const wte_space *got = space_of(m, WTE_EMBEDDINGS_INPUT);

        assert_int_equal(wte_model_get_info(m)->parameters, wte_model_get_info(base)->parameters);
        for (uint32_t i = 0; i < 512; i++) {
            assert_int_equal(wte_space_vector(want, i, a, NULL), WTE_OK);
            assert_int_equal(wte_space_vector(got, i, b, NULL), WTE_OK);
            for (size_t j = 0; j < 48; j++)
                assert_true(fabsf(a[j] - b[j]) <= variants[v].tolerance * fabsf(a[j]) +
                                                      3e-8f * (variants[v].tolerance > 0));
        }
        wte_model_free(m);
    }
    wte_model_free(base);
}

static wte_model *open_gpt2_tiny(void)
{
    const char *folder = new_folder("gpt2-tiny");

    link_in(folder, need_shared("golden/gpt2_tiny/model.safetensors"));
    link_in(folder, need_shared("golden/gpt2_tiny/config.json"));
    link_in(folder, need_shared("data/gpt2/vocab.json"));
    link_in(folder, need_shared("data/gpt2/merges.txt"));
    return open_test(folder);
}

static void check_found(const json_t *want, const wte_neighbor *found, size_t n,
                        const wte_space *space)
{
    assert_true(n >= json_array_size(want));
    for (size_t i = 0; i < json_array_size(want); i++) {
        const json_t *row = json_array_get(want, i);
        const char *text = json_string_value(json_object_get(row, "text"));
        double value = json_number_value(json_object_get(row, "value"));
        size_t len = 0;
        const char *word = wte_space_word(space, found[i].id, &len);

        assert_int_equal(found[i].id, json_integer_value(json_object_get(row, "id")));
        assert_true(fabs((double)found[i].score - value) <= 1e-5 * (1 + fabs(value)));
        if (text && !strstr(text, "\xEF\xBF\xBD")) { /* U+FFFD: not the token's bytes */
            assert_int_equal(len, strlen(text));
            assert_memory_equal(word, text, len);
        }
    }
}

static json_t *load_nearest(void)
{
    json_error_t why;
    json_t *all = json_load_file(need_shared("golden/nearest.json"), 0, &why);

    if (!all)
        fail_msg("%s", why.text);
    return all;
}

static void analogies_are_those_of_the_reference(void **state)
{
    static const struct {
        const char *key;
        wte_metric metric;
    } metrics[] = {{"euclidean", WTE_EUCLIDEAN}, {"cosine", WTE_COSINE}};
    json_t *all = load_nearest();
    const json_t *analogies = json_object_get(all, "analogies");
    wte_model *m = open_gpt2_tiny();
    const wte_space *space = space_of(m, WTE_EMBEDDINGS_INPUT);
    size_t errors = 0;
    (void)state;

    assert_true(json_array_size(analogies) > 50);
    for (size_t i = 0; i < json_array_size(analogies); i++) {
        const json_t *row = json_array_get(analogies, i);
        bool complete = true;
        uint32_t ids[3];

        for (size_t j = 0; j < 3; j++) {
            const json_t *word = json_array_get(json_object_get(row, "words"), j);
            const json_t *id = json_array_get(json_object_get(row, "ids"), j);
            bool found = word_id(m, json_string_value(word), 0, &ids[j], NULL) == WTE_OK;

            assert_int_equal(found, !json_is_null(id));
            complete = complete && found;
            if (found)
                assert_int_equal(ids[j], json_integer_value(id));
        }
        assert_int_equal(complete, !json_object_get(row, "error"));
        errors += !complete;
        for (size_t k = 0; complete && k < 2; k++) {
            wte_search_options search = WTE_SEARCH_DEFAULTS;
            wte_neighbor with[5], without[5];
            size_t n_with = 0, n_without = 0;
            uint64_t ranks[3];

            search.k = 5;
            search.metric = metrics[k].metric;
            assert_int_equal(wte_analogy(space, ids[1], ids[0], ids[2], WTE_ANALOGY_RAW, &search,
                                         without, &n_without, with, &n_with, ranks, NULL),
                             WTE_OK); /* the reference's a - b + c */
            check_found(json_object_get(row, metrics[k].key), with, n_with, space);
        }
    }
    assert_true(errors > 5);
    json_decref(all);
    wte_model_free(m);
}

static void nearest_tokens_are_those_of_the_reference(void **state)
{
    json_t *all = load_nearest();
    const json_t *rows = json_object_get(all, "nearest");
    wte_model *m = open_gpt2_tiny();
    const wte_space *space = space_of(m, WTE_EMBEDDINGS_INPUT);
    float vector[32];
    (void)state;

    assert_true(json_array_size(rows) > 30);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const json_t *id = json_object_get(row, "id"), *given = json_object_get(row, "vector");

        if (json_is_integer(id))
            assert_int_equal(
                wte_space_vector(space, (uint32_t)json_integer_value(id), vector, NULL), WTE_OK);
        else
            for (size_t j = 0; j < 32; j++)
                vector[j] = (float)json_number_value(json_array_get(given, j));
        for (size_t k = 0; k < 2; k++) {
            wte_search_options search = WTE_SEARCH_DEFAULTS;
            wte_neighbor found[6];
            size_t n = 0;

            search.k = 6;
            search.metric = k ? WTE_COSINE : WTE_EUCLIDEAN;
            assert_int_equal(wte_nearest(space, vector, 1, &search, found, &n, NULL, NULL), WTE_OK);
            check_found(json_object_get(row, k ? "cosine" : "euclidean"), found, n, space);
        }
    }
    json_decref(all);
    wte_model_free(m);
}

/* A safetensors file whose only tensor is wte.weight [2, 2]. */
static void write_matrix(const char *path, const char *dtype, const void *data, size_t bytes)
{
    char file[512];
    int n = snprintf(file + 8, 256,
                     "{\"wte.weight\":{\"dtype\":\"%s\",\"shape\":[2,2],\"data_offsets\":[0,%zu]}}",
                     dtype, bytes);
    uint64_t header = (uint64_t)n;

    memcpy(file, &header, sizeof header);
    memcpy(file + 8 + n, data, bytes);
    write_file(path, file, 8 + (size_t)n + bytes);
}

static void matrices_of_other_types_are_widened(void **state)
{
    static const double f64[] = {1.5, -2, 0.1, 1e-50};
    static const int64_t i64[] = {1, -2, 16777217, INT64_MIN};
    static const int32_t i32[] = {1, -2, 16777217, INT32_MIN};
    static const int16_t i16[] = {1, -2, 3, INT16_MIN};
    static const int8_t i8[] = {1, -2, 3, INT8_MIN};
    static const uint8_t u8[] = {1, 2, 3, 255}, yes[] = {1, 0, 0, 1};
    static const struct {
        const char *dtype;
        const void *data;
        size_t bytes;
        float want[4];
    } cases[] = {{"F64", f64, sizeof f64, {1.5f, -2, 0.1f, 0}},
                 {"I64", i64, sizeof i64, {1, -2, 16777216, -0x1p63f}},
                 {"I32", i32, sizeof i32, {1, -2, 16777216, -0x1p31f}},
                 {"I16", i16, sizeof i16, {1, -2, 3, -32768}},
                 {"I8", i8, sizeof i8, {1, -2, 3, -128}},
                 {"U8", u8, sizeof u8, {1, 2, 3, 255}}};
    const wte_space *none = NULL;
    wte_error err = {0};
    wte_model *m;
    char path[600];
    (void)state;

    snprintf(path, sizeof path, "%s/wide.safetensors", test_folder());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const wte_space *space;
        float row[4];

        write_matrix("wide.safetensors", cases[i].dtype, cases[i].data, cases[i].bytes);
        m = open_test(path);
        space = space_of(m, WTE_EMBEDDINGS_INPUT);
        for (uint32_t r = 0; r < 2; r++)
            assert_int_equal(wte_space_vector(space, r, row + 2 * r, NULL), WTE_OK);
        assert_memory_equal(row, cases[i].want, sizeof row);
        wte_model_free(m);
    }
    write_matrix("wide.safetensors", "BOOL", yes, sizeof yes);
    m = open_test(path);
    assert_int_equal(wte_model_space(m, WTE_EMBEDDINGS_INPUT, &none, &err), WTE_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "wte.weight is BOOL, expected F32"));
    wte_model_free(m);
}

/* A GGUF of one tensor of blocks: 32 codes i - 16 with scale 0.5, and 31 - 2 i with -2. */
static void a_matrix_of_blocks_is_widened(void **state)
{
    static const char head[] = "GGUF\3\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"
                               "\x14\0\0\0\0\0\0\0general.architecture\x08\0\0\0"
                               "\4\0\0\0\0\0\0\0gpt2"
                               "\x11\0\0\0\0\0\0\0token_embd.weight\2\0\0\0"
                               "\x20\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\x08\0\0\0"
                               "\0\0\0\0\0\0\0\0";
    const size_t begin = (sizeof head - 1 + 31) / 32 * 32;
    unsigned char file[512] = {0};
    const wte_space *space;
    wte_model *m;
    char path[600];
    float row[32];
    (void)state;

    memcpy(file, head, sizeof head - 1);
    memcpy(file + begin, "\x00\x38", 2); /* 0.5 */
    memcpy(file + begin + 34, "\x00\xC0", 2);
    for (int i = 0; i < 32; i++) {
        file[begin + 2 + (size_t)i] = (unsigned char)(i - 16);
        file[begin + 36 + (size_t)i] = (unsigned char)(31 - 2 * i);
    }
    write_file("blocks.gguf", file, begin + 96);
    snprintf(path, sizeof path, "%s/blocks.gguf", test_folder());
    m = open_test(path);
    space = space_of(m, WTE_EMBEDDINGS_INPUT);
    for (uint32_t r = 0; r < 2; r++) {
        assert_int_equal(wte_space_vector(space, r, row, NULL), WTE_OK);
        for (int i = 0; i < 32; i++) {
            float want = r ? -2.0f * (float)(31 - 2 * i) : 0.5f * (float)(i - 16);

            assert_true(row[i] == want);
        }
    }
    wte_model_free(m);
}

static void what_contradicts_without_harm_is_noted(void **state)
{
    static const struct {
        const char *config, *note;
    } cases[] = {{"{\"torch_dtype\":\"float16\"}",
                  "config.json says float16, transformer.wte.weight is F32"},
                 {"{\"torch_dtype\":\"float32\"}", ""},
                 {"{\"n_inner\":null}", ""},
                 {"{\"n_inner\":12,\"dtype\":\"bfloat16\"}",
                  "config.json says n_inner 12, transformer.h.0.mlp.c_fc.weight has 16 columns; "
                  "config.json says bfloat16, transformer.wte.weight is F32"}};
    const char *folder = new_folder("noted");
    (void)state;

    link_in(folder, test_file("golden/models/gpt2/model.safetensors"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wte_model *m;

        write_file("noted/config.json", cases[i].config, strlen(cases[i].config));
        m = open_test(folder);
        assert_string_equal(wte_model_get_info(m)->note, cases[i].note);
        wte_model_free(m);
    }
}

static void every_allocation_may_fail(void **state)
{
    static const char *const models[] = {"golden/models/gpt2", "golden/models/bert",
                                         "golden/tiny.txt"};
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        const char *path = test_file(models[i]);
        wte_status status = WTE_E_NOMEM;

        for (long nth = 0; status != WTE_OK; nth++) {
            const wte_space *space = NULL;
            wte_model *m = NULL;
            uint32_t id = 0;

            wte__fail_alloc(nth);
            status = wte_model_open(path, NULL, &m, NULL);
            if (status == WTE_OK)
                status = wte_model_space(m, WTE_EMBEDDINGS_INPUT, &space, NULL);
            if (status == WTE_OK)
                status = word_id(m, i < 2 ? "the" : "king", 0, &id, NULL);
            wte__fail_alloc(-1);
            if (status != WTE_OK)
                assert_int_equal(status, WTE_E_NOMEM);
            wte_model_free(m);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_of_gpt2_gives_facts_tokenizer_and_space),
        cmocka_unit_test(a_folder_of_bert_gives_facts_tokenizer_and_space),
        cmocka_unit_test(words_become_tokens),
        cmocka_unit_test(long_words_show_their_first_pieces),
        cmocka_unit_test(the_tree_of_gpt2_is_drawn_as_print_does),
        cmocka_unit_test(the_tree_of_bert_is_drawn_as_print_does),
        cmocka_unit_test(a_tokenizer_alone_is_a_model_without_weights),
        cmocka_unit_test(a_gguf_brings_its_tokenizer_and_the_same_rows),
        cmocka_unit_test(without_a_tokenizer_the_words_are_ids),
        cmocka_unit_test(a_checkpoint_file_uses_what_lies_beside_it),
        cmocka_unit_test(word_vectors_are_a_model_too),
        cmocka_unit_test(the_hugging_face_cache_is_searched),
        cmocka_unit_test(a_config_that_contradicts_the_tensors_is_refused),
        cmocka_unit_test(an_untied_output_is_its_own_matrix),
        cmocka_unit_test(every_storage_variant_has_the_same_rows),
        cmocka_unit_test(analogies_are_those_of_the_reference),
        cmocka_unit_test(nearest_tokens_are_those_of_the_reference),
        cmocka_unit_test(matrices_of_other_types_are_widened),
        cmocka_unit_test(a_matrix_of_blocks_is_widened),
        cmocka_unit_test(what_contradicts_without_harm_is_noted),
        cmocka_unit_test(every_allocation_may_fail),
    };

    setenv("WTE_CACHE", new_folder("cache"), 1); /* not the user's */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
