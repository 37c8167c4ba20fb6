/* SPDX-License-Identifier: MIT */
/* bridge.c - matching vocabularies
 *
 * The distinct words of the smallest space get numbers (keys.h). Every row of the other spaces is
 * then looked up, in blocks that threads share: a pass over the words in the order in which they lie,
 * with a small table that stays in the cache. What is left is arithmetic on numbers: a word is shared
 * by all spaces if each has a first row with its number.
 *
 * Where case does not matter there are two numberings, of words as they are and of upper-cased ones.
 * Words that are the same in all spaces are matched first. Of the other rows of A with the same
 * upper-cased word the first one is matched, if none of them is yet, with the row of its own spelling
 * in each space that has one, else with the first. So no row is used twice, "Polish" and "polish"
 * stay two words where every space has both, and "THE" does not become a third "the".
 *
 * Each row of A gets a fate, one byte, and the ledger is the count of them. The order of reasons is
 * fixed: a word that is lost for several counts for the first. With more than two spaces a word that
 * several lack counts for the smallest, then for the first.
 *
 * A space with `pooled` loses no word: a tokenizer makes pieces of any. It takes no part in the
 * choice of the smallest, since only the words of that one have numbers. */
#include "compare/bridge.h"
#include <stdlib.h>
#include "compare/keys.h"
#include "space/fold.h"
#include "token/unicode.h"

enum { ROWS_PER_BLOCK = 8192, EXAMPLE_BYTES = 60 };

typedef enum fate {
    UNDECIDED,
    MATCHED,
    MATCHED_CASE,
    MATCHED_AMBIGUOUS,
    MATCHED_PIECES,
    NO_SPACE,
    EMPTY,
    NOT_UTF8,
    OTHER_LENGTH,
    DUPLICATE,
    OTHER_SPELLING,
    OVER_LIMIT,
    ABSENT, /* ABSENT + s: not in space s */
    N_FATES = ABSENT + WTE_BRIDGE_MAX_SPACES
} fate;

typedef struct matching {
    const wte_space *const *spaces;
    size_t n, smallest;
    const wte_bridge_options *options;
    wte__keys exact, folded; /* of the smallest space; folded only where case does not matter */
    uint32_t *first_exact;   /* [n, n_keys] each space's first row with the key, or NO_KEY */
    uint32_t *first_folded;  /* the same */
    uint64_t *several;       /* [n folded keys] bit s: space s has several spellings */
    uint32_t *row_exact;     /* [rows of A] keys */
    uint32_t *row_folded;    /* the same */
    unsigned char *fates;    /* [rows of A] */
    uint32_t *chosen;        /* [n folded keys] A's row that is matched in any case, or NO_KEY */
    bool *taken;             /* [n folded keys] a word is matched as it is */
} matching;

/* ---- words -------------------------------------------------------------------------------- */

const char *wte__bridge_name(const wte_space *space)
{
    const char *name = wte_space_get_info(space)->name;

    return *name ? name : "unnamed";
}

const char *wte__folded_word(wte__folding *f, const char *word, size_t len, size_t *folded_len)
{
    void *text = f->text;
    bool ok = len < SIZE_MAX / 8 && wte__grow(&text, &f->capacity, 3 * len + 1, 1);

    f->text = text;
    if (!ok)
        return NULL;
    *folded_len = wte__fold_upper(word, len, f->text);
    return f->text;
}

static bool has_prefix(const matching *m, size_t s)
{
    return m->options->prefix_space && m->options->prefix_space[s];
}

static bool is_pooled(const matching *m, size_t s)
{
    return s > 0 && m->options->pooled && m->options->pooled[s];
}

static uint32_t n_rows(const matching *m, size_t s)
{
    return wte_space_get_info(m->spaces[s])->n_rows;
}

/* The word of a row without the space in front of it, or the reason why it is none. */
static fate read_word(const matching *m, size_t s, uint32_t row, const char **word, size_t *len)
{
    *word = wte_space_word(m->spaces[s], row, len);
    if (has_prefix(m, s)) {
        if (*len == 0 || **word != ' ')
            return NO_SPACE;
        ++*word;
        --*len;
    }
    return *len ? UNDECIDED : EMPTY;
}

static bool is_ascii(const char *s, size_t n)
{
    unsigned char bits = 0;

    for (; n >= 8; n -= 8, s += 8)
        if (wte__load_u64(s) & 0x8080808080808080u)
            return false;
    for (size_t i = 0; i < n; i++)
        bits |= (unsigned char)s[i];
    return bits < 0x80;
}

/* What A's word is by itself. */
static fate judge(const matching *m, const char *word, size_t len)
{
    size_t characters = len;

    if (!is_ascii(word, len)) {
        if (!wte__utf8_valid(word, len))
            return NOT_UTF8;
        characters = 0;
        for (size_t i = 0; i < len; i++)
            characters += ((unsigned char)word[i] & 0xC0) != 0x80;
    }
    return m->options->length && characters != m->options->length ? OTHER_LENGTH : UNDECIDED;
}

/* ---- numbers ------------------------------------------------------------------------------ */

typedef struct numbering {
    const matching *m;
    size_t s;
    uint32_t *exact, *folded; /* [rows]; folded may be NULL */
    unsigned char *fates;     /* [rows], of A, else NULL */
    wte__folding *foldings;   /* [n_workers] */
    _Atomic bool no_memory;
} numbering;

/* Whether a row's word takes part; keys are NO_KEY where it does not. */
static bool takes_part(numbering *b, uint32_t row, const char **word, size_t *len)
{
    fate f = read_word(b->m, b->s, row, word, len);

    if (f == UNDECIDED && b->fates)
        f = judge(b->m, *word, *len);
    if (b->fates)
        b->fates[row] = (unsigned char)f;
    b->exact[row] = WTE__NO_KEY;
    if (b->folded)
        b->folded[row] = WTE__NO_KEY;
    return f == UNDECIDED;
}

static void number_block(void *ctx, size_t block, unsigned worker)
{
    numbering *b = ctx;
    const uint32_t n = n_rows(b->m, b->s), begin = (uint32_t)(block * ROWS_PER_BLOCK);
    const uint32_t end = n - begin < ROWS_PER_BLOCK ? n : begin + ROWS_PER_BLOCK;

    for (uint32_t row = begin; row < end; row++) {
        const char *word;
        size_t len;

        if (!takes_part(b, row, &word, &len))
            continue;
        b->exact[row] = wte__keys_find(&b->m->exact, word, len);
        if (!b->folded)
            continue;
        word = wte__folded_word(&b->foldings[worker], word, len, &len);
        if (!word) {
            b->no_memory = true;
            return;
        }
        b->folded[row] = wte__keys_find(&b->m->folded, word, len);
    }
}

static bool look_up_rows(numbering *b)
{
    const size_t n_blocks = ((size_t)n_rows(b->m, b->s) + ROWS_PER_BLOCK - 1) / ROWS_PER_BLOCK;
    const unsigned threads = wte__threads(b->m->options->n_threads, n_blocks);

    b->foldings = wte__calloc(threads, sizeof *b->foldings);
    if (!b->foldings)
        return false;
    wte__parallel(n_blocks, threads, number_block, b);
    for (unsigned w = 0; w < threads; w++)
        wte__free(b->foldings[w].text);
    wte__free(b->foldings);
    return !b->no_memory;
}

/* The smallest space's rows: their words become the keys. */
static bool add_rows(numbering *b, wte__keys *exact, wte__keys *folded)
{
    wte__folding folding = {0};
    bool ok = true;

    for (uint32_t row = 0; row < n_rows(b->m, b->s) && ok; row++) {
        const char *word;
        size_t len;

        if (!takes_part(b, row, &word, &len))
            continue;
        ok = wte__keys_add(exact, word, len, &b->exact[row]);
        if (!b->folded || !ok)
            continue;
        word = wte__folded_word(&folding, word, len, &len);
        ok = word && wte__keys_add(folded, word, len, &b->folded[row]);
    }
    wte__free(folding.text);
    return ok;
}

static bool same_word(const matching *m, size_t s, uint32_t a, uint32_t b)
{
    size_t n_a = 0, n_b = 0;
    const char *x = wte_space_word(m->spaces[s], a, &n_a);
    const char *y = wte_space_word(m->spaces[s], b, &n_b);

    return n_a == n_b && memcmp(x, y, n_a) == 0;
}

/* Each key's first row. */
static void find_first(matching *m, const numbering *b)
{
    uint32_t *exact = m->first_exact + b->s * m->exact.n;
    uint32_t *folded = m->first_folded + b->s * m->folded.n;

    for (uint32_t row = 0; row < n_rows(m, b->s); row++) {
        const uint32_t e = b->exact[row], f = b->folded ? b->folded[row] : WTE__NO_KEY;

        if (e != WTE__NO_KEY && exact[e] == WTE__NO_KEY)
            exact[e] = row;
        if (f == WTE__NO_KEY)
            continue;
        if (folded[f] == WTE__NO_KEY)
            folded[f] = row;
        else if (!same_word(m, b->s, folded[f], row))
            m->several[f] |= (uint64_t)1 << b->s;
    }
}

static bool make_tables(matching *m)
{
    const bool any_case = m->options->any_case;

    m->first_exact = wte__calloc(m->n, ((size_t)m->exact.n + 1) * sizeof *m->first_exact);
    m->first_folded = wte__calloc(m->n, ((size_t)m->folded.n + 1) * sizeof *m->first_folded);
    m->several = wte__calloc((size_t)m->folded.n + 1, sizeof *m->several);
    m->chosen = wte__calloc((size_t)m->folded.n + 1, sizeof *m->chosen);
    m->taken = wte__calloc((size_t)m->folded.n + 1, sizeof *m->taken);
    if (!m->first_exact || !m->first_folded || !m->several || !m->chosen || !m->taken)
        return false;
    memset(m->first_exact, 0xFF, m->n * m->exact.n * sizeof *m->first_exact);
    if (any_case) {
        memset(m->first_folded, 0xFF, m->n * m->folded.n * sizeof *m->first_folded);
        memset(m->chosen, 0xFF, m->folded.n * sizeof *m->chosen);
    }
    return true;
}

/* Number the rows of one space; A's numbers stay. */
static bool number_space(matching *m, size_t s)
{
    const size_t n = n_rows(m, s);
    const bool any_case = m->options->any_case;
    numbering b = {.m = m, .s = s};
    bool ok;

    b.exact = wte__calloc(n + 1, sizeof *b.exact);
    b.folded = any_case ? wte__calloc(n + 1, sizeof *b.folded) : NULL;
    b.fates = s == 0 ? wte__calloc(n + 1, 1) : NULL;
    ok = b.exact && (b.folded || !any_case) && (b.fates || s > 0);
    if (ok && s == m->smallest)
        ok = add_rows(&b, &m->exact, &m->folded) && make_tables(m);
    else if (ok)
        ok = look_up_rows(&b);
    if (ok)
        find_first(m, &b);
    if (ok && s == 0) {
        m->row_exact = b.exact;
        m->row_folded = b.folded;
        m->fates = b.fates;
        return true;
    }
    wte__free(b.fates);
    wte__free(b.folded);
    wte__free(b.exact);
    return ok;
}

static bool number_words(matching *m)
{
    for (size_t s = 1; s < m->n; s++)
        if (!is_pooled(m, s) && n_rows(m, s) < n_rows(m, m->smallest))
            m->smallest = s;
    if (!wte__keys_init(&m->exact, n_rows(m, m->smallest)) ||
        (m->options->any_case && !wte__keys_init(&m->folded, n_rows(m, m->smallest))) ||
        !number_space(m, m->smallest))
        return false;
    for (size_t s = 0; s < m->n; s++)
        if (s != m->smallest && !number_space(m, s))
            return false;
    return true;
}

/* ---- fates -------------------------------------------------------------------------------- */

static uint32_t exact_row(const matching *m, size_t s, uint32_t row)
{
    const uint32_t key = m->row_exact[row];

    return key == WTE__NO_KEY ? WTE__NO_KEY : m->first_exact[s * m->exact.n + key];
}

static uint32_t folded_row(const matching *m, size_t s, uint32_t row)
{
    const uint32_t key = m->row_folded ? m->row_folded[row] : WTE__NO_KEY;

    return key == WTE__NO_KEY ? WTE__NO_KEY : m->first_folded[s * m->folded.n + key];
}

/* The row of a space that A's row is matched with, or the number that stands for none. */
static uint32_t other_row(const matching *m, size_t s, uint32_t row)
{
    const uint32_t exact = exact_row(m, s, row);

    return s == 0 ? row : exact != WTE__NO_KEY ? exact : folded_row(m, s, row);
}

/* Whether a space lacks A's word. */
static bool lacks(const matching *m, size_t s, uint32_t row)
{
    return s > 0 && !is_pooled(m, s) && other_row(m, s, row) == WTE__NO_KEY;
}

/* A fate for a word without regard to the others of A: ABSENT, or a kind of match. */
static fate kind_of(const matching *m, uint32_t row)
{
    fate kind = MATCHED;

    if (lacks(m, m->smallest, row))
        return (fate)(ABSENT + m->smallest);
    for (size_t s = 1; s < m->n; s++) {
        fate here = MATCHED;

        if (lacks(m, s, row))
            return (fate)(ABSENT + s);
        if (other_row(m, s, row) == WTE__NO_KEY)
            here = MATCHED_PIECES;
        else if (exact_row(m, s, row) == WTE__NO_KEY)
            here = m->several[m->row_folded[row]] >> s & 1 ? MATCHED_AMBIGUOUS : MATCHED_CASE;
        kind = here > kind ? here : kind;
    }
    return kind;
}

/* Words that every space has as they are; in any case also those that stand alone. Others stay
 * undecided where case does not matter. */
static void match_exact(matching *m)
{
    for (uint32_t row = 0; row < n_rows(m, 0); row++) {
        const uint32_t folded = m->row_folded ? m->row_folded[row] : WTE__NO_KEY;
        fate kind;

        if (m->fates[row] != UNDECIDED)
            continue;
        kind = kind_of(m, row);
        if (kind < ABSENT && m->row_exact[row] != WTE__NO_KEY && exact_row(m, 0, row) != row)
            kind = DUPLICATE;
        if (kind == MATCHED_CASE || kind == MATCHED_AMBIGUOUS ||
            (kind == MATCHED_PIECES && folded != WTE__NO_KEY))
            continue;
        m->fates[row] = (unsigned char)kind;
        if (kind == MATCHED && folded != WTE__NO_KEY)
            m->taken[folded] = true;
    }
}

static void match_folded(matching *m)
{
    for (uint32_t row = 0; row < n_rows(m, 0); row++) {
        uint32_t folded, *chosen;

        if (m->fates[row] != UNDECIDED)
            continue;
        folded = m->row_folded[row];
        chosen = &m->chosen[folded];
        if (m->taken[folded]) {
            m->fates[row] = OTHER_SPELLING;
        } else if (*chosen != WTE__NO_KEY) {
            m->fates[row] = same_word(m, 0, *chosen, row) ? DUPLICATE : OTHER_SPELLING;
        } else {
            *chosen = row;
            m->fates[row] = (unsigned char)kind_of(m, row);
        }
    }
}

/* ---- the bridge --------------------------------------------------------------------------- */

static bool is_match(fate f)
{
    return f >= MATCHED && f <= MATCHED_PIECES;
}

static bool why(const matching *m, fate f, char **out)
{
    static const char *const whys[] = {
        [UNDECIDED] = "undecided",
        [MATCHED] = "matched",
        [MATCHED_CASE] = "matched in other case",
        [MATCHED_AMBIGUOUS] = "ambiguous: several spellings, the first taken",
        [MATCHED_PIECES] = "matched by its pieces",
        [NO_SPACE] = "no space in front",
        [EMPTY] = "empty",
        [NOT_UTF8] = "not UTF-8",
        [OTHER_LENGTH] = "other length",
        [OTHER_SPELLING] = "another spelling is matched",
        [OVER_LIMIT] = "over the limit",
    };

    if (f == DUPLICATE)
        *out = wte__concat("duplicate in ", wte__bridge_name(m->spaces[0]), NULL);
    else if (f >= ABSENT)
        *out = wte__concat("not in ", wte__bridge_name(m->spaces[f - ABSENT]), NULL);
    else
        *out = wte__strdup(whys[f]);
    return *out != NULL;
}

/* A word as text: what is no character becomes U+FFFD, and the rest of a long one an ellipsis. */
static char *as_text(const char *word, size_t len)
{
    char *out = wte__calloc(3 * (len < EXAMPLE_BYTES ? len : EXAMPLE_BYTES) + 8, 1), *end = out;

    for (size_t i = 0; out && i < len;) {
        uint32_t code;
        size_t n = wte__utf8_decode(word + i, len - i, &code);

        if (i + (n ? n : 1) > EXAMPLE_BYTES) {
            memcpy(end, "\xE2\x80\xA6", 3);
            break;
        }
        if (n == 0 || code < 0x20 || (code >= 0x7F && code < 0xA0))
            code = 0xFFFD;
        end += wte__utf8_encode(code, end);
        i += n ? n : wte__utf8_bad_length(word + i, len - i);
    }
    return out;
}

bool wte__ledger_count(wte_ledger_line *line, const char *word, size_t len)
{
    line->count++;
    if (line->n_examples == WTE_LEDGER_EXAMPLES)
        return true;
    line->examples[line->n_examples] = as_text(word, len);
    return line->examples[line->n_examples++] != NULL;
}

static void free_line(wte_ledger_line *line)
{
    for (size_t i = 0; i < line->n_examples; i++)
        wte__free((void *)(uintptr_t)line->examples[i]);
    wte__free((void *)(uintptr_t)line->why);
}

/* Take the words over, in A's order, and count them all. */
static bool take_words(matching *m, wte_bridge *bridge, wte_ledger_line *lines)
{
    const size_t limit = m->options->limit;
    uint32_t ids[WTE_BRIDGE_MAX_SPACES];
    bool ok = true;

    for (uint32_t row = 0; row < n_rows(m, 0) && ok; row++) {
        const char *word;
        size_t len;
        fate f = (fate)m->fates[row];

        if (is_match(f) && limit && bridge->n == limit)
            f = OVER_LIMIT;
        if (!is_match(f) && lines[f].n_examples == WTE_LEDGER_EXAMPLES) {
            lines[f].count++;
            continue;
        }
        read_word(m, 0, row, &word, &len);
        ok = wte__ledger_count(&lines[f], word, len);
        if (!is_match(f))
            continue;
        for (size_t s = 0; s < m->n; s++)
            ids[s] = other_row(m, s, row);
        ok = ok && wte__bridge_add(bridge, word, len, ids);
    }
    return ok;
}

/* Lines in order, without those that count nothing. */
static bool keep_lines(const matching *m, wte_bridge *bridge, wte_ledger_line *lines)
{
    size_t n = 0;

    for (size_t f = MATCHED; f < ABSENT + m->n; f++)
        n += f == MATCHED || lines[f].count;
    bridge->lines = wte__calloc(n, sizeof *bridge->lines);
    if (!bridge->lines)
        return false;
    for (size_t f = MATCHED; f < ABSENT + m->n; f++) {
        wte_ledger_line *line = &bridge->lines[bridge->n_lines];
        char *text;

        if (f != MATCHED && !lines[f].count)
            continue;
        if (!why(m, (fate)f, &text))
            return false;
        *line = lines[f];
        line->why = text;
        line->matched = is_match((fate)f);
        lines[f] = (wte_ledger_line){0};
        bridge->n_lines++;
    }
    return true;
}

static bool match_all(matching *m, wte_bridge *bridge)
{
    wte_ledger_line *lines = wte__calloc(N_FATES, sizeof *lines);
    bool ok = lines && number_words(m);

    if (ok) {
        match_exact(m);
        match_folded(m);
        ok = take_words(m, bridge, lines) && keep_lines(m, bridge, lines);
    }
    for (size_t f = 0; lines && f < N_FATES; f++)
        free_line(&lines[f]);
    wte__free(lines);
    return ok;
}

wte_status wte__bridge_new(const wte_space *const *spaces, size_t n, wte_bridge **out,
                           wte_error *err)
{
    wte_bridge *bridge;
    void *ends = NULL;

    if (n < 2 || n > WTE_BRIDGE_MAX_SPACES)
        return wte__fail(err, WTE_E_RANGE, "%zu spaces to match, 2 to %d expected", n,
                         WTE_BRIDGE_MAX_SPACES);
    bridge = wte__calloc(1, sizeof *bridge);
    if (!bridge)
        goto nomem;
    bridge->n_spaces = n;
    bridge->spaces = wte__calloc(n, sizeof *bridge->spaces);
    if (!bridge->spaces || !wte__grow(&ends, &bridge->ends_capacity, 1, sizeof *bridge->ends))
        goto nomem;
    bridge->ends = ends;
    bridge->ends[0] = 0;
    for (size_t s = 0; s < n; s++) {
        const wte_space_info *info = wte_space_get_info(spaces[s]);

        bridge->spaces[s] =
            (wte__bridge_space){wte__strdup(wte__bridge_name(spaces[s])), info->n_rows, info->dim};
        if (!bridge->spaces[s].name)
            goto nomem;
    }
    *out = bridge;
    return WTE_OK;
nomem:
    wte_bridge_free(bridge);
    return wte__fail(err, WTE_E_NOMEM, "no memory for a bridge of %zu spaces", n);
}

static bool grow_bridge(wte_bridge *b, size_t len)
{
    void *ids = b->ids, *ends = b->ends, *text = b->text;
    bool ok = wte__grow(&ids, &b->ids_capacity, (b->n + 1) * b->n_spaces, sizeof *b->ids);

    b->ids = ids;
    ok = ok && wte__grow(&ends, &b->ends_capacity, b->n + 2, sizeof *b->ends);
    b->ends = ends;
    ok = ok && wte__grow(&text, &b->text_capacity, b->ends[b->n] + len + 1, 1);
    b->text = text;
    return ok;
}

bool wte__bridge_add(wte_bridge *b, const char *word, size_t len, const uint32_t *ids)
{
    if (!grow_bridge(b, len))
        return false;
    memcpy(b->text + b->ends[b->n], word, len);
    memcpy(b->ids + b->n * b->n_spaces, ids, b->n_spaces * sizeof *ids);
    b->ends[b->n + 1] = b->ends[b->n] + len;
    b->n++;
    return true;
}

static void matching_end(matching *m)
{
    wte__free(m->taken);
    wte__free(m->chosen);
    wte__free(m->fates);
    wte__free(m->row_folded);
    wte__free(m->row_exact);
    wte__free(m->several);
    wte__free(m->first_folded);
    wte__free(m->first_exact);
    wte__keys_free(&m->folded);
    wte__keys_free(&m->exact);
}

wte_status wte_bridge_match(const wte_space *const *spaces, size_t n,
                            const wte_bridge_options *options, wte_bridge **out, wte_error *err)
{
    static const wte_bridge_options defaults = WTE_BRIDGE_DEFAULTS;
    matching m = {.spaces = spaces, .n = n, .options = options ? options : &defaults};
    wte_bridge *bridge = NULL;
    wte_status status = wte__bridge_new(spaces, n, &bridge, err);

    if (status != WTE_OK)
        return status;
    if (match_all(&m, bridge)) {
        *out = bridge;
    } else {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to match the %u words of %s", n_rows(&m, 0),
                           wte__bridge_name(spaces[0]));
        wte_bridge_free(bridge);
    }
    matching_end(&m);
    return status;
}

void wte_bridge_free(wte_bridge *bridge)
{
    if (!bridge)
        return;
    for (size_t i = 0; i < bridge->n_lines; i++)
        free_line(&bridge->lines[i]);
    wte__free(bridge->lines);
    for (size_t s = 0; bridge->spaces && s < bridge->n_spaces; s++)
        wte__free(bridge->spaces[s].name);
    wte__free(bridge->spaces);
    wte__free(bridge->ids);
    wte__free(bridge->text);
    wte__free(bridge->ends);
    wte__free(bridge);
}

size_t wte_bridge_length(const wte_bridge *bridge)
{
    return bridge->n;
}

size_t wte_bridge_spaces(const wte_bridge *bridge)
{
    return bridge->n_spaces;
}

const char *wte_bridge_word(const wte_bridge *bridge, size_t i, size_t *len)
{
    if (i >= bridge->n)
        return NULL;
    *len = bridge->ends[i + 1] - bridge->ends[i];
    return bridge->text + bridge->ends[i];
}

uint32_t wte_bridge_id(const wte_bridge *bridge, size_t i, size_t s)
{
    return i < bridge->n && s < bridge->n_spaces ? bridge->ids[i * bridge->n_spaces + s]
                                                 : WTE_BRIDGE_PIECES;
}

size_t wte_bridge_ledger(const wte_bridge *bridge, const wte_ledger_line **lines)
{
    *lines = bridge->lines;
    return bridge->n_lines;
}
