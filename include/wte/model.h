/* SPDX-License-Identifier: MIT */
/** wte/model.h - find a model's file by name, folder or path */
#ifndef WTE_MODEL_H
#define WTE_MODEL_H
#include "wte/status.h"
WTE_BEGIN_DECLS

/** Find the file that a name stands for.
 *   name  a path to a file; a folder that holds exactly one vector file; a name of gensim-data
 *         ("word2vec-google-news-300", looked for in $GENSIM_DATA_DIR and ~/gensim-data); "demo",
 * or NULL for $WTE_MODEL, else the model that ships with wte out   [size] receives the path Errors:
 * E_NOTFOUND, which says where was looked; E_RANGE (size is too small). */
WTE_API wte_status wte_model_find(const char *name, char *out, size_t size, wte_error *err);

typedef struct wte_model_entry {
    char *name; /**< what -m takes */
    char *path;
    char *kind; /**< "ships with wte", "gensim-data" */
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
