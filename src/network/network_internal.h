/* SPDX-License-Identifier: MIT */
/** network/network_internal.h - what a network and a session are made of
 *
 *   network.c    finds the tensors of a checkpoint, checks them and fills wte_network
 *   widen.c      numbers of any stored type as float32
 *   convert.c    bfloat16 and 8-bit copies of the weights, and the file that keeps them
 *   linear.c     x * W + b for every type, layout and number of rows
 *   onednn.c     the same by oneDNN, for many rows in bfloat16
 *   attention.c  scores, softmax and mix of one head, over the cells of a sequence
 *   forward.c    the layers of GPT-2 and BERT, run by all workers of a session together
 *   session.c    memory, sequences and their cells
 *   batch.c      batches: checked, given cells, cut into passes
 *   taps.c       names of taps, and what they kept */
#ifndef WTE_NETWORK_INTERNAL_H
#define WTE_NETWORK_INTERNAL_H
#include "base/base.h"
#include "kernel/kernel.h"
#include "wte/network.h"

/* ---- weights ----------------------------------------------------------------------------- */

typedef enum wte__weight_type {
    WTE__WEIGHT_F32,
    WTE__WEIGHT_F16,
    WTE__WEIGHT_BF16,
    WTE__WEIGHT_INT8
} wte__weight_type;

/** How a matrix lies: GPT-2's Conv1D is [in, out], torch's Linear, embeddings and GGUF [out, in].
 * PANELS, which only converted weights are: [n_out / WTE__PANEL rounded up, n_in, WTE__PANEL],
 * zeros in the columns that are none; BF16, aligned to 64. */
typedef enum wte__orientation { WTE__IN_OUT, WTE__OUT_IN, WTE__PANELS } wte__orientation;

/** A matrix and its bias: y = x * W + bias, x [rows, n_in], y [rows, n_out]. */
typedef struct wte__linear {
    const void *weight; /* in the mapped file (any alignment) or in a block of the network */
    wte__weight_type type;
    wte__orientation orientation; /* INT8 always OUT_IN */
    size_t n_in, n_out;
    size_t stride; /* elements from one row of the stored matrix to the next, or from one panel;
                      INT8: a multiple of 64, padded with zeros, 64 readable bytes behind the last
                      row */
    const float *scales; /* [n_out] INT8: a weight is scale * code */
    const float *bias;   /* [n_out] or NULL */
} wte__linear;

/** An embedding table: rows are widened as they are read. Never INT8. */
typedef struct wte__table {
    const void *data;
    wte__weight_type type;
    bool panels; /* it lies as PANELS: its rows are the outputs of a matrix that lies so */
    size_t n_rows, dim;
} wte__table;

typedef struct wte__norm {
    const float *weight, *bias; /* [n_embd] */
} wte__norm;

typedef struct wte__layer {
    wte__norm norm1,
        norm2;          /* GPT-2: ln_1, ln_2; BERT: attention.output.LayerNorm, output.LayerNorm */
    wte__linear qkv[3]; /* GPT-2: [0] gives all three side by side; BERT: one each */
    wte__linear attention_out, up, down;
} wte__layer;

typedef enum wte__activation {
    WTE__ACTIVATION_NONE,
    WTE__ACTIVATION_GELU_TANH, /* gelu_new, gelu_pytorch_tanh, gelu_fast */
    WTE__ACTIVATION_GELU_ERF,  /* gelu */
    WTE__ACTIVATION_RELU,
    WTE__ACTIVATION_TANH
} wte__activation;

struct wte_network {
    wte_network_info info;
    float epsilon;
    float attention_scale; /* 1 / sqrt(head width), or 1 where the config says so */
    bool scale_by_layer;   /* GPT-2's scale_attn_by_inverse_layer_idx: also divided by layer + 1 */
    wte__activation activation;
    wte__table tokens, positions, types; /* types.data NULL for GPT-2 */
    wte__norm embedding_norm;            /* BERT */
    wte__norm final_norm;                /* GPT-2 */
    wte__layer *layers;                  /* [n_layer] */
    unsigned n_qkv;                      /* 1 or 3 */
    wte__linear output;                  /* to logits; weight NULL where there is no head */
    wte__linear transform;               /* BERT's head: dense, activation, norm, then output */
    wte__norm transform_norm;
    wte__linear pooler, next_sentence; /* weight NULL where there is none */
    void **blocks;                     /* [n_blocks] memory of widened or converted weights */
    size_t n_blocks, block_capacity;
    wte__map converted; /* the file of converted weights */
    char note[512];
};

/** Allocate memory, aligned to 64, that lives as long as the network; NULL if there is none. */
void *wte__network_block(wte_network *network, size_t n, size_t size);

/** What the numbers of a tensor are stored as. The first three can be multiplied as they are. */
typedef enum wte__stored {
    WTE__STORED_F32,
    WTE__STORED_F16,
    WTE__STORED_BF16,
    WTE__STORED_F64,
    WTE__STORED_F8_E4M3,
    WTE__STORED_F8_E5M2,
    WTE__STORED_Q8_0,
    WTE__STORED_OTHER /* no floating-point numbers, or too few bytes of them */
} wte__stored;

/** A matrix of the checkpoint, and what it becomes: one of the two is not NULL. */
typedef struct wte__weight {
    const wte_tensor *tensor; /* [rows, columns] */
    wte__stored stored;
    wte__linear *linear; /* orientation, n_in and n_out are set */
    wte__table *table;   /* n_rows and dim are set */
} wte__weight;

/** Tell the type of a tensor whose elements are as many as its bytes say. */
wte__stored wte__stored_type(const wte_tensor *tensor);
/** Widen n numbers of a tensor. Of Q8_0 `first` is a multiple of 32 (a row is). */
void wte__widen(const wte_tensor *tensor, wte__stored stored, uint64_t first, size_t n, float *out);

/** Set the weights to converted ones (precision BF16, INT8): from the file of the options if it
 * belongs to this checkpoint, else converted and written there. What is stored as bfloat16 already
 * is used in place. A file that cannot be written is a note, no error.
 *   metadata  [n_metadata] for the header of the file, beside its own
 * Errors: E_RANGE (a weight is not finite), E_UNSUPPORTED (too wide for INT8), E_NOMEM,
 * E_CANCELLED. */
wte_status wte__network_convert(wte_network *network, const wte__weight *weights, size_t n,
                                const wte_network_options *options,
                                const char *const (*metadata)[2], size_t n_metadata,
                                wte_error *err);

/** Add to what a person should know. */
__attribute__((format(printf, 2, 3))) void wte__network_say(wte_network *network, const char *fmt,
                                                            ...);

/** wte_network_new(), with metadata for the file of converted weights: who it is for. */
wte_status wte__network_new(const wte_checkpoint *checkpoint, const char *config,
                            const wte_network_options *options, const char *const (*metadata)[2],
                            size_t n_metadata, wte_network **out, wte_error *err);

/* ---- products ---------------------------------------------------------------------------- */

/** Scratch that all workers of a session share; linear.c knows how it is used. */
typedef struct wte__scratch {
    float *packed_x; /* [max_rows rounded up to WTE__GEMM_MR, widest n_in] */
    int8_t *codes;   /* [max_rows + n_workers * WTE__FEW_ROWS, widest n_in up to WTE__QUERY_PAD] */
    float *scales;   /* [max_rows + n_workers * WTE__FEW_ROWS] */
    size_t max_rows;
    struct wte__product_own **own; /* [n_workers] */
    struct wte__onednn *onednn;    /* NULL where it is not used */
    unsigned onednn_types;         /* of weights that it should multiply: 1 << type */
} wte__scratch;

/** Take scratch for products of up to max_rows rows with n_in up to widest.
 *   rounded  x may be rounded to bfloat16 before it is multiplied with a matrix of bfloat16, if
 *            there are more than WTE__FEW_ROWS rows: by oneDNN, see onednn.h
 * Errors: E_NOMEM. */
wte_status wte__scratch_new(wte__scratch *s, size_t max_rows, size_t widest, unsigned n_workers,
                            bool rounded, wte_error *err);
void wte__scratch_free(wte__scratch *s, unsigned n_workers);

/** One product. */
typedef struct wte__product {
    const wte__linear *linear;
    const float *x; /* [n_rows, ldx]; shares nothing with y */
    float *y;       /* [n_rows, ldy] */
    size_t ldx, ldy, n_rows;
    wte__activation activation; /* applied to x * W + bias */
    const float *residual;      /* [n_rows, ldy] added after that, or NULL; may be y */
} wte__product;

/** Compute a product with all workers of a team: every worker calls it with the same arguments.
 * x must be complete before; y is complete when it returns (it ends with a barrier). Each element
 * of y has a fixed order of summation that depends neither on the number of workers nor, up to
 * WTE_SMALL_BATCH rows, on the number of rows. */
void wte__product_run(const wte__product *p, const wte__scratch *s, wte__team *team,
                      unsigned worker);

/* ---- attention --------------------------------------------------------------------------- */

/** Keys and values of one layer and head, by cell. */
typedef struct wte__heads {
    void *keys, *values; /* [n_head, n_cells, head_dim] of float, or of float16 where half */
    size_t n_cells, head_dim;
    bool half;
} wte__heads;

/** Store the rows' keys or values of a head into cells. x: row r at x + r * ldx, [head_dim]. */
void wte__heads_store(const wte__heads *h, void *which, size_t head, const float *x, size_t ldx,
                      const uint32_t *cells, size_t n_rows);

/** Attend: one query over n cells.
 *   query    [head_dim], already scaled
 *   visible  [n] 0 where a key is masked, or NULL
 *   weights  [n] scratch; receives the attention weights
 *   out      [head_dim] */
void wte__attend(const wte__heads *h, size_t head, const float *query, const uint32_t *cells,
                 const uint8_t *visible, size_t n, float *weights, float *out);
/** Rows that attend together at most. */
enum { WTE__ATTEND_ROWS = 12 };
/** The same for n_rows (at most WTE__ATTEND_ROWS) queries over the same cells, to the same bits.
 *   n_keys   [n_rows] how many of the cells each sees
 *   query    row r at query + r * ldq; so are weights (the most of n_keys are written) and out */
void wte__attend_rows(const wte__heads *h, size_t head, const float *query, size_t ldq,
                      const uint32_t *cells, const uint8_t *visible, const uint32_t *n_keys,
                      size_t n_rows, float *weights, size_t ldw, float *out, size_t ldo);

/* ---- sessions ---------------------------------------------------------------------------- */

/** Which cell holds each token's keys and values. BERT's sequences have a length only: their keys
 * and values live for one pass. */
typedef struct wte__sequence {
    uint32_t *cells; /* [max_tokens] */
    uint32_t *spare; /* [max_tokens] the other list, for reordering */
    size_t length;
    size_t n_new; /* tokens that the batch under way adds */
} wte__sequence;

typedef enum wte__tap_kind {
    WTE__TAP_EMBEDDINGS,
    WTE__TAP_IN,
    WTE__TAP_MID,
    WTE__TAP_OUT,
    WTE__TAP_ATTENTION,
    WTE__TAP_LAST,
    WTE__TAP_NORM,
    WTE__TAP_LOGITS,
    WTE__TAP_POOLER,
    WTE__TAP_NEXT_SENTENCE
} wte__tap_kind;

typedef struct wte__tap {
    wte__tap_kind kind;
    size_t layer;
    float *data;     /* NULL where the session keeps it anyway: norm and logits */
    size_t capacity; /* floats */
    size_t shape[4], n_dims;
    bool filled;
} wte__tap;

/** One row of a pass. */
typedef struct wte__row {
    uint32_t id, position, type;
    uint32_t n_keys;
    const uint32_t *keys;   /* [n_keys] cells that it sees: its sequence's, to itself; BERT: all */
    const uint8_t *visible; /* [n_keys] 0 where a key is padding; NULL: none is */
} wte__row;

/** Rows that go through the layers together: those of a batch, or a part of them. */
typedef struct wte__pass {
    size_t first, n;      /* which rows of the batch */
    wte__row *rows;       /* [n] */
    uint32_t *cells;      /* [n] where their keys and values go */
    uint32_t *logit_rows; /* [n_logits] rows of the pass that give logits */
    uint32_t *first_rows; /* [n_firsts] BERT: rows that begin a sequence */
    size_t n_logits, n_firsts;
    size_t logits_before, firsts_before; /* those of earlier passes */
    bool stop;                           /* cancelled: written by worker 0 at a layer's begin */
    _Atomic uint64_t trouble; /* where the first number that is not finite was: (2 * layer + 1 if it
                                 was the attention) << 32 | row; UINT64_MAX: nowhere */
} wte__pass;

struct wte_session {
    const wte_network *network;
    wte__team *team;
    unsigned n_workers;
    size_t max_tokens, n_sequences, max_rows;
    /* the cache */
    wte__heads *layers; /* [n_layer] */
    void *cache;        /* what they point into: mapped, touched only where used */
    size_t cache_bytes, n_cells;
    uint32_t *references;     /* [n_cells] sequences that use a cell; NULL for BERT */
    uint32_t *cell_positions; /* [n_cells] the position that its token has */
    uint8_t *run_used;        /* cells of each run that are used: see session.c */
    size_t lowest_free;       /* no cell below is free */
    size_t lowest_run;        /* nor any run below wholly */
    size_t n_used, touched;   /* cells in use; cells up to the highest that ever was */
    wte__sequence *sequences; /* [n_sequences] */
    uint32_t *lists;          /* what their lists point into */
    /* a pass */
    wte__pass pass;
    wte__scratch scratch;
    float *stream, *normed, *qkv, *mixed, *inner; /* [max_rows, n_embd or 3 n_embd or n_inner] */
    float **weights; /* [n_workers][WTE__ATTEND_ROWS, max_tokens] of attention */
    float **own;    /* [n_workers][2][WTE__FEW_ROWS, n_embd] rows that each worker has for itself */
    uint32_t *iota; /* [max_rows] 0, 1, 2...: BERT's cells */
    /* the last run */
    float *hidden;        /* [rows, n_embd] */
    float *logits;        /* [n_logit_rows, n_vocab] */
    uint32_t *logit_rows; /* [rows] which row of logits, or UINT32_MAX */
    uint8_t *visible;     /* [rows] BERT */
    size_t n_rows, n_logit_rows;
    size_t hidden_capacity, logits_capacity, logit_rows_capacity, visible_capacity;
    wte__tap *taps;
    size_t n_taps, tap_capacity;
    _Atomic bool cancelled;
};

static inline bool wte__is_bert(const wte_session *session)
{
    return session->network->info.architecture == WTE_ARCHITECTURE_BERT;
}

/** Make room for what a batch of n_rows rows leaves behind. */
bool wte__take_results(wte_session *session, size_t n_rows, size_t n_logits);
/** Take a cell for the next token of a sequence; if it is not full there is one. */
uint32_t wte__take_cell(wte_session *session, const wte__sequence *sequence);

/** Run the layers over the session's pass with all workers, and what follows them for the rows that
 * ask for it. Errors: E_CANCELLED, E_RANGE (a number that is not finite). */
wte_status wte__forward(wte_session *session, wte_error *err);
/** Give the logits of n rows, at most max_rows; see wte_session_unembed. */
void wte__unembed(wte_session *session, const float *hidden, size_t n, bool normed, float *logits);

/** Make an array hold n floats, whose old values do not matter. On failure it is empty. */
bool wte__reserve_floats(float **array, size_t *capacity, size_t n);

/** Make room for what the taps will keep of a run of one batch.
 *   n_keys  tokens that the sequence has with it; 0: there are several sequences
 * Errors: E_NOMEM, E_RANGE (attention of several sequences). */
wte_status wte__taps_begin(wte_session *session, size_t n_rows, size_t n_logits, size_t n_sequences,
                           size_t n_keys, wte_error *err);
/** The taps hold what the run gave; not before all of it succeeded. */
void wte__taps_end(wte_session *session);
/** Where a tap keeps its data, NULL if it was not asked for. */
wte__tap *wte__tap_find(const wte_session *session, wte__tap_kind kind, size_t layer);
void wte__taps_free(wte_session *session);
#endif
