/* SPDX-License-Identifier: MIT */
/** together.h - one list of words in several models
 *
 * What match, correlate, rsa, compare and isotropy share: the models, which words they have in
 * common, and a sheet of rows for each model or, with --layer, for each layer of it. */
#ifndef WTE_CLI_TOGETHER_H
#define WTE_CLI_TOGETHER_H
#include "cli.h"

/** Options of TAKES_SEVERAL, TAKES_MATCHING and TAKES_LIST. */
extern const struct option several_options[], matching_options[], list_options[];

/** What the options say of words and layers. */
extern struct asked {
    size_t length, limit; /**< 0: any, all */
    bool match, any_case, skip_missing, prefix_a, prefix_b, python;
    const char *bridge; /**< a file */
    const char *layer;
} asked;
/** The row of --as-python, for a command's own table. */
#define PYTHON_OPTION                                                                              \
    {                                                                                              \
        0, "as-python", OPT_FLAG, &asked.python, NULL,                                             \
            "print the Python that would compute the same, with numpy, gensim and transformers",   \
            NULL                                                                                   \
    }

/** One of the models. */
struct partner {
    wte_model *model;
    const wte_model_info *info;
    const wte_tokenizer *tokenizer; /**< NULL: word vectors */
    const wte_space *base;          /**< its space as it is in its file */
    const wte_space *space;         /**< transformed, or the same */
    const wte_space_info *space_info;
    bool prefix_space;
    wte_space *own; /**< to free */
};

/** Tokens of a word in a model. */
struct tokens {
    size_t first, n; /**< of together.ids */
};

/** The words' rows in a model. */
struct sheet {
    char *name;     /**< "gpt2", "gpt2 layer 3" */
    size_t partner; /**< index */
    int layer;      /**< -1: the model's space */
    float *rows;    /**< [n, dim] */
    size_t dim;
};

struct together {
    struct partner *partners;
    size_t n_partners;
    struct field *words; /**< [n] */
    char **labels;       /**< [n] as out_word() shows them */
    size_t n, words_capacity;
    struct tokens *tokens; /**< [n, n_partners] */
    size_t tokens_capacity;
    uint32_t *ids;
    size_t n_ids, ids_capacity;
    struct sheet *sheets;
    size_t n_sheets;
    wte_bridge *bridge;
    wte_ledger_line *ledger; /**< words that were left out */
    size_t n_ledger;
    struct texts owned; /**< strings of the ledger that are no bridge's */
};

/** Open the models of -m: at least `least`, at most `most`. Returns an exit status. */
int together_open(struct together *t, size_t least, size_t most);
/** Find the words of the command line and --words, of --match or of --bridge in all models. Returns
 * an exit status. */
int together_words(struct together *t);
/** True if words were asked for in any of these ways. */
bool together_has_words(void);
/** Match the models' words, whatever the command line says of words. Returns an exit status. */
int together_match(struct together *t);
/** True if another of the models has the same name; a sheet of it is "gpt2 (a)". */
bool is_namesake(const struct together *t, size_t partner);
/** Make the sheets: one of each model, or of each layer that --layer asks for. Returns an exit
 * status. */
int together_sheets(struct together *t);
/** Refuse rows that have no direction: not finite, all 0 or, where `spread` is set, all the same
 * number. Returns an exit status; the message names the word. */
int together_check(const struct together *t, bool spread);
void together_free(struct together *t);

/** Run a command of two models or more: open them, then either print its Python or find the words,
 * make the sheets, check them and run it. Returns an exit status.
 *   spread  as together_check()
 *   ready   told the words before their rows are looked at, or NULL; returns an exit status */
typedef int (*together_fn)(const struct together *t);
int together_run(bool spread, together_fn python, together_fn ready, together_fn run);

/** Print the Python that makes `words` and `spaces`, a dict of matrices by name, and what a command
 * adds. Returns an exit status: not everything can be said in a few lines.
 *   imports  lines, or ""
 *   code     lines behind the spaces
 *   words    0: the rows of the whole space, where no words are given */
int print_python(const struct together *t, const char *imports, const char *code, bool words);

/** A sheet as the library takes it. */
wte_items sheet_items(const struct together *t, size_t sheet);
/** Write "tokens":[word, ...] */
void json_list(struct out *o, const struct together *t);
/** Write "lost":[{"why","count","examples"}], where words were left out. */
void json_lost(struct out *o, const struct together *t);
/** How many words were left out. */
uint64_t lost_words(const struct together *t);
/** "left out: 920 words: ..." for people; nothing where nothing was lost. */
void show_lost(struct out *o, const struct together *t);
#endif
