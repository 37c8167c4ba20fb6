/* SPDX-License-Identifier: MIT */
/** wte/model.h - a model by name, folder or file: its config, tokenizer, tensors and spaces
 *
 * Word vectors, GPT-2 and BERT give the same things, so that whatever works on one works on all. A
 * model never changes once it is open: threads may share it. */
#ifndef WTE_MODEL_H
#define WTE_MODEL_H
#include "wte/checkpoint.h"
#include "wte/network.h"
#include "wte/space.h"
#include "wte/tokenizer.h"
WTE_BEGIN_DECLS

/** Find the file or folder that a name stands for.
 *   name  a path to a file; a folder; a name of gensim-data ("word2vec-google-news-300", in
 *         $GENSIM_DATA_DIR or ~/gensim-data) or of the Hugging Face cache ("gpt2",
 *         "openai-community/gpt2", "bert-large-uncased": $HF_HUB_CACHE, $HF_HOME/hub,
 *         ~/.cache/huggingface/hub, snapshot of refs/main); "demo"; or NULL for $WTE_MODEL, else
 *         the model that ships with wte
 *   out   [size] receives the path
 * Errors: E_NOTFOUND, which says where was looked; E_RANGE (size is too small). */
WTE_API wte_status wte_model_find(const char *name, char *out, size_t size, wte_error *err);

typedef enum wte_family { WTE_FAMILY_VECTORS, WTE_FAMILY_GPT2, WTE_FAMILY_BERT } wte_family;

typedef struct wte_model wte_model;

typedef struct wte_model_info {
    const char *name, *path;
    wte_family family;
    const char *config; /**< config.json's text, "{}" where there is none */
    int has_weights;    /**< 0: only tokenizer files; text commands work */
    uint32_t n_vocab;   /**< rows of the input embedding, or of the tokenizer without weights */
    size_t n_embd, n_layer, n_head, n_ctx; /**< 0 where unknown */
    uint64_t parameters; /**< as torch counts them: shared tensors once, buffers not at all */
    uint64_t bytes;      /**< of the weight files */
    const char *note;    /**< what a person should know ("config.json says float16, wte.weight is
                            F32"), else "" */
} wte_model_info;

/** Open a model. Cheap: files are mapped; a space is made when it is first asked for.
 *   name     as wte_model_find()
 *   options  for spaces and networks; NULL for the defaults
 *   out      free with wte_model_free()
 * Errors: E_NOTFOUND, E_IO, E_FORMAT, E_SHAPE (the config contradicts the tensors), E_NOMEM. */
WTE_API wte_status wte_model_open(const char *name, const wte_open_options *options,
                                  wte_model **out, wte_error *err);
WTE_API void wte_model_free(wte_model *model);
WTE_API const wte_model_info *wte_model_get_info(const wte_model *model);
/** NULL for word vectors and for models without tokenizer files. */
WTE_API const wte_tokenizer *wte_model_tokenizer(const wte_model *model);
/** NULL for word vectors and for models without weights. */
WTE_API const wte_checkpoint *wte_model_checkpoint(const wte_model *model);

typedef enum wte_embeddings { WTE_EMBEDDINGS_INPUT, WTE_EMBEDDINGS_OUTPUT } wte_embeddings;

/** Give the space of a model's token embeddings (or its word vectors). Its words are the tokens'
 * exact bytes; without tokenizer files they are the ids in decimal. OUTPUT is lm_head.weight or
 * BERT's decoder, the input matrix itself where they are tied. Belongs to the model; made at the
 * first call. Errors: E_NOTFOUND (no weights), E_SHAPE, E_NOMEM. */
WTE_API wte_status wte_model_space(wte_model *model, wte_embeddings which, const wte_space **out,
                                   wte_error *err);

/** Give the network of a model in a precision. Belongs to the model; made at the first call for
 * each precision. Weights of BF16 and INT8 are converted then, which takes a second for GPT-2, and
 * kept in the cache folder as the open options say: AUTO keeps those of models of at least
 * WTE_INDEX_MIN bytes. The options' progress function is called for it, so it has to live as long
 * as the model. Errors: E_UNSUPPORTED (word vectors), E_NOTFOUND (no weights), and those of
 * wte_network_new(). */
WTE_API wte_status wte_model_network(wte_model *model, wte_precision precision,
                                     const wte_network **out, wte_error *err);

typedef enum wte_pool { WTE_POOL_NONE, WTE_POOL_FIRST, WTE_POOL_MEAN, WTE_POOL_LAST } wte_pool;

/** How words become rows. */
typedef struct wte_word_options {
    int prefix_space; /**< a space is put before the word before it is tokenised */
    wte_pool pool;    /**< NONE: a word of several tokens is an error that lists its pieces */
} wte_word_options;

/** Find the tokens of a word: of word vectors its row.
 *   ids    receives up to `max` ids
 *   n      receives how many there are, which may be more than max
 * Errors: E_NOTFOUND (with suggestions), E_RANGE (an empty word), E_NOMEM. */
WTE_API wte_status wte_model_word_ids(wte_model *model, const char *word, size_t len,
                                      const wte_word_options *options, uint32_t *ids, size_t max,
                                      size_t *n, wte_error *err);

/** Find a word's one row in a space of the model. A word of several tokens is an error that shows
 * its pieces and what to do. Errors: as wte_model_word_ids(), E_SHAPE (several tokens). */
WTE_API wte_status wte_model_word_id(wte_model *model, const char *word, size_t len,
                                     const wte_word_options *options, uint32_t *id, wte_error *err);

/** Write the module tree as print(model) of transformers draws it. Free with wte_text_free().
 * Errors: E_UNSUPPORTED (word vectors), E_NOMEM. */
WTE_API wte_status wte_model_tree(const wte_model *model, char **out, wte_error *err);

typedef struct wte_model_entry {
    char *name; /**< what -m takes */
    char *path;
    char *kind; /**< "ships with wte", "gensim-data", "Hugging Face cache" */
    uint64_t bytes;
} wte_model_entry;

typedef struct wte_model_list {
    wte_model_entry *entries; /**< [n], by name */
    size_t n;
} wte_model_list;

/** List the models found on this machine. Errors: E_NOMEM. Free with wte_model_list_free(). */
WTE_API wte_status wte_model_get_list(wte_model_list *out, wte_error *err);
WTE_API void wte_model_list_free(wte_model_list *list);

WTE_END_DECLS
#endif
