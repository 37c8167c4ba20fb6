/* SPDX-License-Identifier: MIT */
/* tokenizer_json.c - the tokenizer.json of GPT-2 and of BERT
 *
 *   model           BPE (vocab, merges) or WordPiece (vocab)
 *   added_tokens    [{id, content, special, lstrip, rstrip, single_word, normalized}]
 *   normalizer      none or BertNormalizer
 *   pre_tokenizer   ByteLevel or BertPreTokenizer
 *   post_processor  ByteLevel, or what puts [CLS] and [SEP] round a text
 *   decoder, truncation, padding: not needed for ids
 *
 * Of normalizer, pre_tokenizer and post_processor each may be a Sequence of parts. The format can
 * say far more than the two families need; a part that would give other ids than are computed here
 * is refused by its name. Each object is read by a table of its members. */
#include "token/json.h"
#include "token/pairs.h"

enum { TYPE_MAX = 32, PARTS_MAX = 8, DEPTH_MAX = 4, USUAL_CHARS = 100 };

/* The types of a component, or of the parts of a Sequence. */
typedef struct types {
    char names[PARTS_MAX][TYPE_MAX];
    size_t n;
} types;

/* What is picked out of tokenizer.json on its way. */
typedef struct document {
    wte__pairs vocab;
    wte__added added;
    const char *merges; /* where they begin, or NULL */
    types model, normalizers, pre_tokenizers, post_processors;
    char prefix[TYPE_MAX], suffix[TYPE_MAX], unk[TYPE_MAX]; /* of the model */
    uint32_t max_chars;
    int lowercase, strip_accents, chinese, clean; /* BertNormalizer */
    int prefix_space, use_regex;                  /* ByteLevel */
    int ignore_merges, byte_fallback, dropout;
    bool has_vocab;
    unsigned depth;
} document;

/* An added token while it is read. */
typedef struct added_token {
    char *content;
    size_t len;
    uint32_t id;
    int special, lstrip, rstrip, single_word, normalized;
} added_token;

/* ---- members ----------------------------------------------------------------------------- */

/* How a member of an object is read: into `to`, which is `offset` bytes into the object's struct.
 */
typedef wte_status (*read_fn)(wte__json *j, document *d, void *to);
typedef struct member {
    const char *key;
    read_fn read;
    size_t offset;
} member;

/* Read an object by a table that ends with a NULL key; other members are skipped, and so is what is
 * no object. */
static wte_status read_object(wte__json *j, document *d, const member *members, void *into)
{
    bool first = true, more = true;
    wte_status status;

    if (wte__json_peek(j) != '{')
        return wte__json_skip(j);
    status = wte__json_expect(j, '{');
    while (status == WTE_OK) {
        const member *m = members;

        status = wte__json_next(j, '}', &first, &more);
        if (status != WTE_OK || !more)
            break;
        status = wte__json_key(j);
        if (status != WTE_OK)
            break;
        while (m->key && !wte__json_is(j, m->key))
            m++;
        status = m->key ? m->read(j, d, (char *)into + m->offset) : wte__json_skip(j);
    }
    return status;
}

static wte_status read_bool(wte__json *j, document *d, void *to)
{
    (void)d;
    return wte__json_bool(j, to);
}

static wte_status read_number(wte__json *j, document *d, void *to)
{
    (void)d;
    return wte__json_uint(j, to);
}

/* Keep a string value, cut to fit; null is empty. */
static wte_status read_text(wte__json *j, document *d, void *to)
{
    char *text = to;
    wte_status status;

    (void)d;
    text[0] = '\0';
    if (wte__json_peek(j) != '"')
        return wte__json_skip(j);
    status = wte__json_string(j);
    if (status == WTE_OK) {
        size_t n = j->string_len < TYPE_MAX ? j->string_len : TYPE_MAX - 1;

        memcpy(text, j->string, n);
        text[n] = '\0';
    }
    return status;
}

/* A Sequence is what its parts are. */
static wte_status read_type(wte__json *j, document *d, void *to)
{
    types *t = to;
    char name[TYPE_MAX];
    wte_status status = read_text(j, d, name);

    if (status != WTE_OK || strcmp(name, "Sequence") == 0)
        return status;
    if (t->n == PARTS_MAX)
        return wte__json_fail(j, "more than %d parts", PARTS_MAX);
    memcpy(t->names[t->n++], name, sizeof name);
    return WTE_OK;
}

/* null and 0 are none. */
static wte_status read_dropout(wte__json *j, document *d, void *to)
{
    const char *begin;
    wte_status status;

    (void)d;
    wte__json_peek(j);
    begin = j->p;
    status = wte__json_skip(j);
    if (status == WTE_OK && *begin != 'n')
        *(int *)to = strspn(begin, "0.") < (size_t)(j->p - begin);
    return status;
}

static wte_status read_vocab(wte__json *j, document *d, void *to)
{
    if (d->has_vocab)
        return wte__json_fail(j, "a second vocab");
    d->has_vocab = true;
    return wte__pairs_read(j, to);
}

static wte_status read_merges(wte__json *j, document *d, void *to)
{
    (void)to;
    if (d->merges)
        return wte__json_fail(j, "a second list of merges");
    wte__json_peek(j);
    d->merges = j->p;
    return wte__json_skip(j);
}

/* The list of a Sequence's parts, each with the members of the whole. */
static wte_status read_parts(wte__json *j, document *d, const member *members)
{
    bool first = true, more = true;
    wte_status status;

    if (wte__json_peek(j) != '[')
        return wte__json_skip(j);
    if (++d->depth > DEPTH_MAX)
        return wte__json_fail(j, "sequences more than %d deep", DEPTH_MAX);
    status = wte__json_expect(j, '[');
    while (status == WTE_OK) {
        status = wte__json_next(j, ']', &first, &more);
        if (status != WTE_OK || !more)
            break;
        status = read_object(j, d, members, d);
    }
    d->depth--;
    return status;
}

/* ---- the tables --------------------------------------------------------------------------- */

#define AT(field) offsetof(document, field)

static const member model_members[] = {{"type", read_type, AT(model)},
                                       {"continuing_subword_prefix", read_text, AT(prefix)},
                                       {"end_of_word_suffix", read_text, AT(suffix)},
                                       {"unk_token", read_text, AT(unk)},
                                       {"max_input_chars_per_word", read_number, AT(max_chars)},
                                       {"ignore_merges", read_bool, AT(ignore_merges)},
                                       {"byte_fallback", read_bool, AT(byte_fallback)},
                                       {"dropout", read_dropout, AT(dropout)},
                                       {"vocab", read_vocab, AT(vocab)},
                                       {"merges", read_merges, AT(merges)},
                                       {NULL, NULL, 0}};

static wte_status read_normalizers(wte__json *j, document *d, void *to);
static const member normalizer_members[] = {{"type", read_type, AT(normalizers)},
                                            {"normalizers", read_normalizers, 0},
                                            {"lowercase", read_bool, AT(lowercase)},
                                            {"strip_accents", read_bool, AT(strip_accents)},
                                            {"handle_chinese_chars", read_bool, AT(chinese)},
                                            {"clean_text", read_bool, AT(clean)},
                                            {NULL, NULL, 0}};

static wte_status read_pre_tokenizers(wte__json *j, document *d, void *to);
static const member pre_tokenizer_members[] = {{"type", read_type, AT(pre_tokenizers)},
                                               {"pretokenizers", read_pre_tokenizers, 0},
                                               {"add_prefix_space", read_bool, AT(prefix_space)},
                                               {"use_regex", read_bool, AT(use_regex)},
                                               {NULL, NULL, 0}};

static wte_status read_post_processors(wte__json *j, document *d, void *to);
static const member post_processor_members[] = {{"type", read_type, AT(post_processors)},
                                                {"processors", read_post_processors, 0},
                                                {NULL, NULL, 0}};

static wte_status read_normalizers(wte__json *j, document *d, void *to)
{
    (void)to;
    return read_parts(j, d, normalizer_members);
}

static wte_status read_pre_tokenizers(wte__json *j, document *d, void *to)
{
    (void)to;
    return read_parts(j, d, pre_tokenizer_members);
}

static wte_status read_post_processors(wte__json *j, document *d, void *to)
{
    (void)to;
    return read_parts(j, d, post_processor_members);
}

static wte_status read_content(wte__json *j, document *d, void *to)
{
    added_token *token = to;
    wte_status status = wte__json_string(j);

    (void)d;
    if (status != WTE_OK)
        return status;
    wte__free(token->content);
    token->content = wte__strndup(j->string, j->string_len);
    token->len = j->string_len;
    return token->content ? WTE_OK : wte__fail(j->err, WTE_E_NOMEM, "no memory for %s", j->name);
}

static const member added_members[] = {
    {"id", read_number, offsetof(added_token, id)},
    {"content", read_content, 0},
    {"special", read_bool, offsetof(added_token, special)},
    {"lstrip", read_bool, offsetof(added_token, lstrip)},
    {"rstrip", read_bool, offsetof(added_token, rstrip)},
    {"single_word", read_bool, offsetof(added_token, single_word)},
    {"normalized", read_bool, offsetof(added_token, normalized)},
    {NULL, NULL, 0}};

static wte_status read_added_token(wte__json *j, document *d)
{
    added_token t = {.id = UINT32_MAX};
    wte_status status = read_object(j, d, added_members, &t);

    if (status == WTE_OK && (!t.content || t.id == UINT32_MAX || !t.len))
        status = wte__json_fail(j, "an added token without id or content");
    if (status == WTE_OK)
        status = wte__added_put(
            &d->added, t.content, t.len, t.id,
            (t.special ? WTE__ADDED_SPECIAL : 0u) | (t.lstrip ? WTE__ADDED_LSTRIP : 0u) |
                (t.rstrip ? WTE__ADDED_RSTRIP : 0u) | (t.single_word ? WTE__ADDED_WORD : 0u) |
                (t.normalized ? WTE__ADDED_NORMAL : 0u),
            j->name, j->err);
    wte__free(t.content);
    return status;
}

static wte_status read_added(wte__json *j, document *d, void *to)
{
    bool first = true, more = true;
    wte_status status = wte__json_expect(j, '[');

    (void)to;
    while (status == WTE_OK) {
        status = wte__json_next(j, ']', &first, &more);
        if (status != WTE_OK || !more)
            break;
        status = read_added_token(j, d);
    }
    return status;
}

static wte_status read_model(wte__json *j, document *d, void *to)
{
    return read_object(j, d, model_members, to);
}

static wte_status read_normalizer(wte__json *j, document *d, void *to)
{
    return read_object(j, d, normalizer_members, to);
}

static wte_status read_pre_tokenizer(wte__json *j, document *d, void *to)
{
    return read_object(j, d, pre_tokenizer_members, to);
}

static wte_status read_post_processor(wte__json *j, document *d, void *to)
{
    return read_object(j, d, post_processor_members, to);
}

static const member root_members[] = {{"model", read_model, 0},
                                      {"normalizer", read_normalizer, 0},
                                      {"pre_tokenizer", read_pre_tokenizer, 0},
                                      {"post_processor", read_post_processor, 0},
                                      {"added_tokens", read_added, 0},
                                      {NULL, NULL, 0}};

/* ---- merges ------------------------------------------------------------------------------- */

/* One merge: "left right", or ["left", "right"]. */
static wte_status read_merge(wte__json *j, wte__builder *b)
{
    char left[512], *space;
    size_t left_len;
    wte_status status;

    if (wte__json_peek(j) == '"') {
        status = wte__json_string(j);
        if (status != WTE_OK)
            return status;
        space = memchr(j->string, ' ', j->string_len);
        if (!space)
            return wte__json_fail(j, "a merge without a space between its pieces");
        left_len = (size_t)(space - j->string);
        return wte__builder_merge(b, j->string, left_len, space + 1, j->string_len - left_len - 1,
                                  b->n_merges + 1, j->err);
    }
    status = wte__json_expect(j, '[');
    if (status == WTE_OK)
        status = wte__json_string(j);
    if (status != WTE_OK)
        return status;
    left_len = j->string_len;
    if (left_len > sizeof left)
        return wte__json_fail(j, "a merge with a piece of %zu bytes", left_len);
    memcpy(left, j->string, left_len);
    status = wte__json_expect(j, ',');
    if (status == WTE_OK)
        status = wte__json_string(j);
    if (status == WTE_OK)
        status = wte__json_expect(j, ']');
    if (status == WTE_OK)
        status = wte__builder_merge(b, left, left_len, j->string, j->string_len, b->n_merges + 1,
                                    j->err);
    return status;
}

static wte_status read_merge_list(wte__json *j, wte__builder *b)
{
    bool first = true, more = true;
    wte_status status = wte__json_expect(j, '[');

    while (status == WTE_OK) {
        status = wte__json_next(j, ']', &first, &more);
        if (status != WTE_OK || !more)
            break;
        status = read_merge(j, b);
    }
    return status;
}

/* ---- what is understood -------------------------------------------------------------------- */

/* The first type that is not one of `known`, which ends with NULL; or NULL. */
static const char *stranger(const types *t, const char *const *known)
{
    for (size_t i = 0; i < t->n; i++) {
        size_t k = 0;

        while (known[k] && strcmp(t->names[i], known[k]) != 0)
            k++;
        if (!known[k])
            return t->names[i];
    }
    return NULL;
}

static wte_status refuse_bert(const char *path, const document *d, wte_error *err)
{
    static const char *const normalizers[] = {"BertNormalizer", NULL},
                             *const pre[] = {"BertPreTokenizer", NULL},
                             *const post[] = {"TemplateProcessing", "BertProcessing", NULL};
    const char *what;

    if (d->normalizers.n != 1 || stranger(&d->normalizers, normalizers)) {
        what = stranger(&d->normalizers, normalizers);
        return wte__fail(err, WTE_E_UNSUPPORTED, "%s: normalizer '%s', expected BertNormalizer",
                         path, what ? what : "");
    }
    if ((what = stranger(&d->pre_tokenizers, pre)) != NULL)
        return wte__fail(err, WTE_E_UNSUPPORTED,
                         "%s: pre-tokenizer '%s', expected BertPreTokenizer", path, what);
    if ((what = stranger(&d->post_processors, post)) != NULL)
        return wte__fail(err, WTE_E_UNSUPPORTED,
                         "%s: post-processor '%s' is not supported with WordPiece", path, what);
    if (d->prefix[0] && strcmp(d->prefix, "##") != 0)
        return wte__fail(err, WTE_E_UNSUPPORTED, "%s: pieces continue with '%s', expected '##'",
                         path, d->prefix);
    if (!d->clean)
        return wte__fail(err, WTE_E_UNSUPPORTED, "%s: a BertNormalizer that does not clean_text",
                         path);
    if (d->max_chars != USUAL_CHARS)
        return wte__fail(err, WTE_E_UNSUPPORTED, "%s: max_input_chars_per_word is %u, expected %d",
                         path, d->max_chars, USUAL_CHARS);
    return WTE_OK;
}

static wte_status refuse_gpt2(const char *path, const document *d, wte_error *err)
{
    static const char *const byte_level[] = {"ByteLevel", NULL}, *const none[] = {NULL};
    const char *what = stranger(&d->pre_tokenizers, byte_level);

    if (!d->merges)
        return wte__fail(err, WTE_E_FORMAT, "%s: BPE without merges", path);
    if (d->pre_tokenizers.n != 1 || what)
        return wte__fail(err, WTE_E_UNSUPPORTED,
                         "%s: pre-tokenizer '%s', expected GPT-2's ByteLevel", path,
                         what ? what : "");
    if ((what = stranger(&d->post_processors, byte_level)) != NULL)
        return wte__fail(err, WTE_E_UNSUPPORTED,
                         "%s: post-processor '%s' is not supported with BPE", path, what);
    what = stranger(&d->normalizers, none);
    if (!what)
        what = d->ignore_merges   ? "ignore_merges"
               : d->byte_fallback ? "byte_fallback"
               : d->dropout       ? "dropout"
               : d->prefix[0]     ? "continuing_subword_prefix"
               : d->suffix[0]     ? "end_of_word_suffix"
               : !d->use_regex    ? "a pre-tokenizer without its pattern"
                                  : NULL;
    if (what)
        return wte__fail(err, WTE_E_UNSUPPORTED, "%s: %s is not supported with BPE", path, what);
    return WTE_OK;
}

/* Find the family, and refuse what would give other ids than are computed here. */
static wte_status check_document(const char *path, const document *d, wte_tokenizer_kind *kind,
                                 wte_error *err)
{
    const char *model = d->model.n ? d->model.names[0] : "";

    if (!d->has_vocab)
        return wte__fail(err, WTE_E_FORMAT, "%s: no model with a vocab", path);
    *kind =
        strcmp(model, "WordPiece") == 0 || (!model[0] && !d->merges && d->normalizers.n &&
                                            strcmp(d->normalizers.names[0], "BertNormalizer") == 0)
            ? WTE_TOKENIZER_BERT
            : WTE_TOKENIZER_GPT2;
    if (*kind == WTE_TOKENIZER_BERT)
        return refuse_bert(path, d, err);
    if (model[0] && strcmp(model, "BPE") != 0)
        return wte__fail(err, WTE_E_UNSUPPORTED, "%s: model '%s', expected BPE or WordPiece", path,
                         model);
    return refuse_gpt2(path, d, err);
}

static void set_options(wte_tokenizer *t, const document *d)
{
    wte_tokenizer_info *info = &t->info;
    uint32_t unk = wte__vocab_find(&t->spelling, d->unk, strlen(d->unk));

    if (d->unk[0] && unk != UINT32_MAX)
        info->unk = unk;
    info->add_prefix_space = info->kind == WTE_TOKENIZER_GPT2 && d->prefix_space;
    if (info->kind == WTE_TOKENIZER_BERT) {
        info->do_lower_case = d->lowercase;
        info->strip_accents = d->strip_accents < 0 ? d->lowercase : d->strip_accents;
        info->tokenize_chinese_chars = d->chinese;
    }
}

wte_status wte__read_tokenizer_json(wte__builder *b, const char *path, wte_error *err)
{
    document d = {.lowercase = 1,
                  .strip_accents = -1,
                  .chinese = 1,
                  .clean = 1,
                  .use_regex = 1,
                  .max_chars = USUAL_CHARS};
    wte_tokenizer_kind kind = WTE_TOKENIZER_GPT2;
    wte__map map = {0};
    wte__json j = {0};
    wte_status status = wte__map_open(&map, path, err);

    if (status != WTE_OK)
        return status;
    wte__json_begin(&j, path, map.data, map.size, err);
    if (wte__json_peek(&j) != '{') {
        status = wte__json_expect(&j, '{');
        goto cleanup;
    }
    status = read_object(&j, &d, root_members, &d);
    if (status == WTE_OK)
        status = wte__json_end(&j);
    if (status == WTE_OK)
        status = check_document(path, &d, &kind, err);
    if (status == WTE_OK)
        status = wte__builder_begin_pairs(b, kind, path, "tokenizer.json", &d.vocab, &d.added, err);
    if (status == WTE_OK && kind == WTE_TOKENIZER_GPT2) {
        j.p = d.merges;
        status = read_merge_list(&j, b);
    }
    if (status == WTE_OK)
        set_options(b->t, &d);
cleanup:
    wte__pairs_free(&d.vocab);
    wte__added_free(&d.added);
    wte__json_free(&j);
    wte__map_close(&map);
    return status;
}
