/* SPDX-License-Identifier: MIT */
/** wte/network.h - run GPT-2 and BERT: hidden states, attention, logits
 *
 * A network is the weights of a checkpoint, used where they lie in the mapped file. It never
 * changes: threads may share it. A session runs it: it holds the keys and values of sequences, the
 * scratch memory of a pass and what the last pass left behind. A session belongs to one thread at a
 * time and brings its own workers; several sessions may run one network at once.
 *
 * GPT-2's tokens see those before them in their sequence; a sequence is continued by the next run,
 * so that a prompt is run once and then one token at a time. BERT's tokens see all unmasked tokens
 * of their sequence, which is run as a whole.
 *
 * Numbers: what the checkpoint stores is what is computed, with float32 arithmetic, unless another
 * precision is asked for. Every result is the same to the last bit for any number of threads. Of
 * GPT-2, a row also does not depend on the rows that are run with it as long as there are at most
 * WTE_SMALL_BATCH of them; a larger batch may differ in the last bits of the logits.
 *
 * Source: Radford et al. 2019 (GPT-2, pre-norm, GELU by tanh), Devlin et al. 2019 (BERT, post-norm,
 * GELU by erf), as transformers' modeling_gpt2.py and modeling_bert.py compute them. */
#ifndef WTE_NETWORK_H
#define WTE_NETWORK_H
#include "wte/checkpoint.h"
WTE_BEGIN_DECLS

typedef struct wte_network wte_network;
typedef struct wte_session wte_session;

typedef enum wte_architecture { WTE_ARCHITECTURE_GPT2, WTE_ARCHITECTURE_BERT } wte_architecture;

/** How weights are kept and multiplied. */
typedef enum wte_precision {
    WTE_PRECISION_F32,  /**< as the checkpoint stores them, float32 arithmetic */
    WTE_PRECISION_BF16, /**< weights as bfloat16, float32 arithmetic; keys and values as float16.
                           Where the processor multiplies bfloat16 (AVX512_BF16, AMX) and oneDNN is
                           installed, more than WTE_SMALL_BATCH rows are rounded to bfloat16, too,
                           before a product; its sums stay float32. Not yet run on such a
                           processor. WTE_ONEDNN=0 in the environment turns it off */
    WTE_PRECISION_INT8  /**< weights as 8-bit integers with a scale for each output, activations as
                           8-bit integers with a scale for each row, sums exact; embeddings as in
                           BF16; keys and values as float16 */
} wte_precision;

/** Options of wte_network_new(); start from WTE_NETWORK_DEFAULTS. */
typedef struct wte_network_options {
    wte_precision precision;
    const char *converted_path; /**< file that keeps the converted weights of BF16 and INT8: mapped
                                   if it is there and belongs to this checkpoint, else made and
                                   written. NULL: they are converted in memory at each open */
    uint64_t identity;          /**< must be the same in the file, else it is made anew */
    unsigned n_threads;         /**< for converting; 0: one per processor */
    wte_progress_fn progress;   /**< or NULL */
    void *progress_data;
} wte_network_options;

#define WTE_NETWORK_DEFAULTS                                                                       \
    {                                                                                              \
        WTE_PRECISION_F32, NULL, 0, 0, NULL, NULL                                                  \
    }

typedef struct wte_network_info {
    wte_architecture architecture;
    wte_precision precision;
    size_t n_layer, n_head, n_embd;
    size_t n_inner;                    /**< width between the two matrices of an MLP */
    size_t n_ctx;                      /**< positions that there are */
    uint32_t n_vocab;                  /**< rows of the token embedding, and logits of a row */
    uint32_t n_types;                  /**< BERT's token types, 0 for GPT-2 */
    int has_logits;                    /**< GPT-2 always; BERT with a masked-language-model head */
    int has_pooler, has_next_sentence; /**< BERT */
    uint64_t bytes_per_token;          /**< of weights that one decoding step reads */
    uint64_t converted_bytes;          /**< of converted weights; 0 for F32 */
    int converted_found;               /**< they were read from converted_path */
    const char
        *note; /**< what a person should know ("weights were converted, but could not be kept:
                  ..."), else "" */
} wte_network_info;

/** Make a network of a checkpoint's tensors, which it borrows: the checkpoint must outlive it.
 *   config  text of config.json (GPT-2: n_layer, n_head, layer_norm_epsilon,
 * activation_function...; BERT: num_hidden_layers, hidden_act...); widths are those of the tensors
 * Matrices of float64, float8 or Q8_0 are widened in memory, and a note says so. Biases and norms
 * are looked through for numbers that are not finite, matrices only when they are converted: to
 * read all of a checkpoint would take longer than the first token. wte_session_run() finds what is
 * left.
 * Errors: E_FORMAT (no JSON, or a value that is none), E_UNSUPPORTED (another architecture,
 * activation or kind of positions, named), E_SHAPE (a tensor is missing, misshapen or of a type
 * that cannot be run: named, with what was expected), E_RANGE (a weight is not finite: named, with
 * its position), E_NOMEM, E_CANCELLED. */
WTE_API wte_status wte_network_new(const wte_checkpoint *checkpoint, const char *config,
                                   const wte_network_options *options, wte_network **out,
                                   wte_error *err);
WTE_API void wte_network_free(wte_network *network);
WTE_API const wte_network_info *wte_network_get_info(const wte_network *network);

/** Options of wte_session_new(); start from WTE_SESSION_DEFAULTS. */
typedef struct wte_session_options {
    size_t max_tokens;  /**< of one sequence, at most (0) as many as there are positions */
    size_t n_sequences; /**< how many there may be at once */
    size_t max_rows; /**< tokens that go through the layers at once; 0: 256. Longer batches of GPT-2
                        are cut; of BERT, whose sequences cannot be cut, at least max_tokens */
    unsigned n_threads; /**< 0: one per processor */
} wte_session_options;

#define WTE_SESSION_DEFAULTS                                                                       \
    {                                                                                              \
        0, 1, 0, 0                                                                                 \
    }

enum { WTE_SMALL_BATCH = 8 };

/** Make a session: all its memory is taken here, except for taps, hidden states of more than
 * max_rows rows and logits of more than WTE_SMALL_BATCH, which grow when a run first needs them,
 * and for what oneDNN (see WTE_PRECISION_BF16) makes for each number of rows when it is first run.
 * Pages of the cache that no token used are never touched. Errors: E_RANGE, E_NOMEM. */
WTE_API wte_status wte_session_new(const wte_network *network, const wte_session_options *options,
                                   wte_session **out, wte_error *err);
WTE_API void wte_session_free(wte_session *session);
WTE_API const wte_network *wte_session_network(const wte_session *session);

/** Which rows of a run give logits. */
typedef enum wte_logits {
    WTE_LOGITS_NONE,
    WTE_LOGITS_LAST, /**< of each sequence in the batch its last token */
    WTE_LOGITS_ALL
} wte_logits;

/** Tokens to run. Those of one sequence stand together, in order. */
typedef struct wte_batch {
    const uint32_t *ids;       /**< [n] */
    const uint32_t *sequences; /**< [n] below n_sequences; NULL: all 0 */
    const uint32_t *positions; /**< [n]; NULL: each follows the one before it in its sequence */
    const uint32_t *types;     /**< [n] BERT's token types; NULL: all 0 */
    const uint8_t *masked; /**< [n] not 0: padding that no token sees (attention_mask 0); its own
                              row is computed all the same. NULL: none. BERT only */
    size_t n;
    wte_logits logits;
} wte_batch;

/** Run tokens: GPT-2's are appended to their sequences, BERT's replace them.
 * On failure the sequences are as they were before. Errors: E_RANGE (an id, a type or a position
 * that does not exist; a sequence that grows over max_tokens, with both numbers; tokens of a
 * sequence apart; attention tapped of several sequences; a number that is not finite, which the
 * weights must have brought in: with the layer and the token), E_UNSUPPORTED (logits of a network
 * without them; types or padding of GPT-2), E_NOMEM, E_CANCELLED. */
WTE_API wte_status wte_session_run(wte_session *session, const wte_batch *batch, wte_error *err);

/** Stop a run from another thread or from a signal handler: it ends with E_CANCELLED, at the next
 * layer. Between two runs it is the next one that ends so; the one after that runs again. */
WTE_API void wte_session_cancel(wte_session *session);

/** The logits of token `row` of the last run: [n_vocab], NULL if none were asked for. Valid until
 * the next run. */
WTE_API const float *wte_session_logits(const wte_session *session, size_t row);
/** The last hidden state of token `row` of the last run, after the final layer norm: [n_embd]. */
WTE_API const float *wte_session_hidden(const wte_session *session, size_t row);

/* ---- the cache --------------------------------------------------------------------------- */

/** Tokens of a sequence that are in the cache. 0 if there is no such sequence. */
WTE_API size_t wte_session_length(const wte_session *session, uint32_t sequence);
/** Keep the first n tokens of a sequence; more than there are: nothing happens. */
WTE_API void wte_session_truncate(wte_session *session, uint32_t sequence, size_t n);
/** Let sequence `to` be what `from` is. Keys and values are shared, not copied: it costs four bytes
 * a token. */
WTE_API void wte_session_fork(wte_session *session, uint32_t from, uint32_t to);
/** Reorder: sequence i becomes what sequence from[i] was, for the first n sequences at once. */
WTE_API void wte_session_reorder(wte_session *session, const uint32_t *from, size_t n);

/* ---- taps -------------------------------------------------------------------------------- */

/** What a tap kept in the last run. Valid until the next. */
typedef struct wte_array {
    const float *data;
    size_t shape[4], n_dims;
} wte_array;

/** Ask for a value before a run. Nothing else is kept.
 *   name, [rows, n_embd] each unless a line says otherwise; l counts layers from 0:
 *     embeddings         sum of the embeddings (BERT: after their layer norm)
 *     layer.l.in         residual stream before the attention of layer l
 *     layer.l.mid        after the attention is added (BERT: and normed)
 *     layer.l.out        after the MLP is added (BERT: and normed)
 *     layer.l.attention  attention weights [n_head, rows, keys] of a batch of one sequence, rows
 *                        that a token does not see are 0
 *     last               residual stream after the last layer, before the final norm
 *     norm               after the final norm (GPT-2; BERT has none: the same as last)
 *     logits             [rows, n_vocab]; the rows are those of the run's `logits`
 *     pooler             BERT: [sequences, n_embd] tanh of the dense layer over the first token
 *     next_sentence      BERT: [sequences, 2]
 *   Hugging Face's numbering is accepted: hidden_states.0 is embeddings, hidden_states.i for
 *   0 < i < n_layer is layer.(i - 1).out, hidden_states.n_layer is norm (it is the only one after
 *   the final norm), attentions.l is layer.l.attention, last_hidden_state is norm, pooler_output
 *   is pooler.
 * Errors: E_NOTFOUND (no such name; the message lists what there is), E_NOMEM. */
WTE_API wte_status wte_session_tap(wte_session *session, const char *name, wte_error *err);
/** Stop keeping anything. */
WTE_API void wte_session_untap(wte_session *session);
/** Give what a tap kept. Errors: E_NOTFOUND (not asked for before the run). */
WTE_API wte_status wte_session_tapped(const wte_session *session, const char *name, wte_array *out,
                                      wte_error *err);

/** Give the logits that a residual stream would have if the layers ended there: the final norm,
 * then the output matrix (nostalgebraist 2020, "logit lens"); BERT: the head of the masked language
 * model.
 *   hidden  [n, n_embd], before the final norm
 *   normed  not 0: `hidden` is after the final norm already
 *   logits  [n, n_vocab], filled
 * Errors: E_UNSUPPORTED (no head), E_NOMEM. */
WTE_API wte_status wte_session_unembed(wte_session *session, const float *hidden, size_t n,
                                       int normed, float *logits, wte_error *err);

/** Log-probabilities of a row of logits: x - max - log(sum(exp(x - max))), the sum in float64.
 *   log_probs  [n], may be logits itself */
WTE_API void wte_log_softmax(const float *logits, size_t n, float *log_probs);

WTE_END_DECLS
#endif
