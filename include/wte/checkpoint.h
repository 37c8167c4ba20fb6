/* SPDX-License-Identifier: MIT */
/** wte/checkpoint.h - the named tensors of a model's files
 *
 * safetensors (one file or sharded with an index), PyTorch's zip and older pickle files (read
 * without executing anything: only the opcodes that a state dict needs, everything else is refused
 * by name; a state dict inside of a dict with other things is found), and GGUF. Files are mapped
 * and tensors used in place. A checkpoint never changes once it is open. */
#ifndef WTE_CHECKPOINT_H
#define WTE_CHECKPOINT_H
#include "wte/status.h"
WTE_BEGIN_DECLS

typedef struct wte_checkpoint wte_checkpoint;

enum { WTE_MAX_DIMS = 8 };

/** One tensor. Pointers live as long as the checkpoint. */
typedef struct wte_tensor {
    const char *name;  /**< as in the file */
    const char *dtype; /**< "F32", "F16", "BF16", "F64", "I64", "I32", "U8", "BOOL", "Q8_0"... */
    size_t shape[WTE_MAX_DIMS];
    size_t n_dims;
    const void *data; /**< row-major, little-endian, at any alignment */
    uint64_t bytes;
} wte_tensor;

typedef struct wte_checkpoint_info {
    const char *format; /**< "safetensors", "safetensors, 3 shards", "PyTorch zip", "PyTorch
                           legacy", "GGUF" */
    size_t n_tensors;
    size_t n_files;
    uint64_t file_bytes; /**< of all files */
    uint64_t parameters; /**< elements of all tensors, those that share storage counted once */
    const char *note; /**< what of a pickle was left out ("left out: 'epoch' (a number)"), or "" */
} wte_checkpoint_info;

/** Open a checkpoint.
 *   path  a file, or a folder with model.safetensors, model.safetensors.index.json or
 *         pytorch_model.bin (looked for in this order), or one .gguf
 *   out   free with wte_checkpoint_free()
 * Errors: E_IO, E_NOTFOUND, E_FORMAT (err->offset is the byte), E_NOMEM. */
WTE_API wte_status wte_checkpoint_open(const char *path, wte_checkpoint **out, wte_error *err);
WTE_API void wte_checkpoint_free(wte_checkpoint *checkpoint);
WTE_API const wte_checkpoint_info *wte_checkpoint_get_info(const wte_checkpoint *checkpoint);
/** The i-th tensor in the order of the file (shards in order). NULL if out of range. */
WTE_API const wte_tensor *wte_checkpoint_tensor(const wte_checkpoint *checkpoint, size_t i);
/** Find a tensor by name; NULL if there is none. "wte.weight" also finds "transformer.wte.weight",
 * and "embeddings.word_embeddings.weight" also "bert.embeddings.word_embeddings.weight"; old BERT
 * names (LayerNorm.gamma, LayerNorm.beta) are found under .weight and .bias. GGUF names are found
 * under their Hugging Face names (token_embd.weight is wte.weight). */
WTE_API const wte_tensor *wte_checkpoint_find(const wte_checkpoint *checkpoint, const char *name);
/** A value of a GGUF's metadata as text, NULL if there is none or the file is no GGUF. */
WTE_API const char *wte_checkpoint_metadata(const wte_checkpoint *checkpoint, const char *key);

WTE_END_DECLS
#endif
