/* SPDX-License-Identifier: MIT */
/** model/model_internal.h - what a model is made of, for the files of this folder */
#ifndef WTE_MODEL_INTERNAL_H
#define WTE_MODEL_INTERNAL_H
#include <jansson.h>
#include <pthread.h>
#include "base/base.h"
#include "wte/model.h"

/** A space over token embeddings and what it borrows. */
typedef struct wte__token_space {
    wte_space *space;
    char *words;       /* all tokens' bytes, one after another */
    uint64_t *offsets; /* [n_rows + 1] */
    float *widened;    /* [n_rows, dim] where the tensor's type is none that a space reads */
} wte__token_space;

struct wte_model {
    wte_model_info info;
    char *name, *path, *config_text;
    json_t *config; /* an object, empty where there is no config.json */
    wte_tokenizer *tokenizer;
    wte_checkpoint *checkpoint;
    wte_space *vectors;         /* of word vectors */
    wte__token_space spaces[2]; /* by wte_embeddings; made when first asked for */
    wte_encoder *encoder;       /* for words; made when first asked for */
    wte_network *networks[3];   /* by wte_precision; made when first asked for */
    pthread_mutex_t lock;       /* guards the three above */
    bool has_lock;
    char note[1024];    /* what info.note points to */
    unsigned n_threads; /* for measuring the spaces and converting weights; 0: one per processor */
    wte_cache_mode cache; /* for converted weights; these four are of the open options */
    char *cache_dir;      /* or NULL */
    wte_progress_fn progress;
    void *progress_data;
};

/** A folder that holds a model's config, tokenizer or weights by their customary names. */
bool wte__is_model_folder(const char *path);
/** True for a safetensors file in wte's own layout. */
bool wte__is_own_layout(const char *path);
/** Give the path of the one .gguf in a folder, or of a file itself. */
bool wte__find_gguf(const char *path, char *out, size_t size);
/** Read a whole number of the config; `fallback` where it is not there. */
size_t wte__config_size(const wte_model *model, const char *key, size_t fallback);
/** Read a text of the config, or `fallback`. */
const char *wte__config_text(const wte_model *model, const char *key, const char *fallback);
/** True where the output matrix is the input matrix. */
bool wte__is_tied(const wte_model *model);
/** Write into m->note what a person should know of a model with weights. */
void wte__model_note(wte_model *m, const char *embd_name);
/** The output matrix of a model that is not tied, or NULL. */
const wte_tensor *wte__output_tensor(const wte_model *model);
#endif
