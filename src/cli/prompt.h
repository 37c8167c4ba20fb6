/* SPDX-License-Identifier: MIT */
/** prompt.h - what the commands share that run a network: prompt, network, session, tokens */
#ifndef WTE_PROMPT_H
#define WTE_PROMPT_H
#include "figure.h"

/** Options of all commands that take a prompt and run it. */
extern const struct option prompt_options[], run_options[];

/** Token ids that grow. */
struct ids {
    uint32_t *items;
    size_t n, capacity;
};
/** Add numbers with blanks, commas or brackets between; false with *err set. */
bool add_ids(struct ids *ids, const char *text, size_t len, wte_error *err);

struct prompt {
    const char *model;              /**< its name, for messages */
    const wte_tokenizer *tokenizer; /**< NULL: tokens are shown by their ids */
    const wte_network *network;
    const wte_network_info *info;
    uint32_t *ids; /**< [n] */
    size_t n;
    size_t bytes; /**< of the text; 0 of ids */
};

enum {
    WANTS_LOGITS = 1, /**< the network must have a head */
    WANTS_GPT2 = 2,   /**< and predict the next token */
    WANTS_BERT = 4,   /**< and read masks */
    ANY_LENGTH = 8    /**< the prompt may be longer than the context */
};

/** Open the model of -m, its network at the precision of --dtype, and read the prompt: TEXT, --ids,
 * --file or "-". Returns an exit status; the message is printed. */
int open_prompt(struct prompt *p, unsigned wants);
/** The same without a prompt. */
int open_runner(struct prompt *p, unsigned wants);
void close_prompt(struct prompt *p);
/** Encode a text as the prompt is. The ids are added to `ids`; those of [CLS] and [SEP] round it
 * are counted in *before and *after. */
wte_status encode_text(const struct prompt *p, const char *text, size_t len, struct ids *ids,
                       size_t *before, size_t *after, wte_error *err);
/** Tell that a prompt of n tokens is too long. Returns EXIT_FAILED. */
int too_long(const struct prompt *p, size_t n, const char *what, const char *advice);
/** True if something was given to run. */
bool has_prompt(void);

/** Give the network of cli.model at a precision. Returns an exit status. */
int open_network(wte_precision precision, const wte_network **out);
/** The precision of --dtype; its name. */
wte_precision chosen_precision(void);
const char *precision_name(wte_precision precision);

/** Make a session, which Ctrl-C stops. Returns an exit status. */
int open_session(const wte_network *network, size_t max_tokens, size_t n_sequences,
                 wte_session **out);
void close_session(wte_session *session);

/** Run the prompt in sequence 0, of GPT-2 in pieces with progress: `piece` is called after each,
 * while its taps, states and logits are there; `first` is the position of its first row. Returns an
 * exit status. */
typedef wte_status (*piece_fn)(wte_session *session, size_t first, size_t n, void *data,
                               wte_error *err);
int run_prompt(const struct prompt *p, wte_session *session, wte_logits logits, piece_fn piece,
               void *data);

/** Which row of the last run is the prompt's last token, unless all rows gave logits. */
size_t last_row(const struct prompt *p);

/** The bytes of a token; without a tokenizer its id in decimal. */
struct token {
    const char *text;
    size_t len;
    char digits[12];
};
const char *token_text(const struct prompt *p, uint32_t id, struct token *token);

/** Write "id" and "token" of the object that is open; a row of ids; an array of any shape. */
void json_token(struct out *o, const struct prompt *p, uint32_t id);
void json_ids(struct out *o, const struct prompt *p);
void json_numbers(struct out *o, const float *data, const size_t *shape, size_t n_dims);
void json_shape(struct out *o, const size_t *shape, size_t n_dims);
/** Write a token for people in at most `width` columns. */
void out_label(struct out *o, const struct prompt *p, uint32_t id, size_t width);
void table_token(struct table *t, const struct prompt *p, uint32_t id);
/** Tokens as labels of a figure. Free with figure_labels_free(). */
char **token_labels(const struct prompt *p, const uint32_t *ids, size_t n);
/** Say in words what layer L of 0..n_layer is. */
const char *layer_meaning(const struct prompt *p, size_t layer, char buffer[128]);
/** Columns of the terminal: $COLUMNS, else asked for, else 80. */
size_t terminal_width(void);

/** The k highest logits, best first; ties by lower id.
 *   out  [k], of which min(k, n) are written. Returns how many. */
struct scored {
    uint32_t id;
    float logit;
};
size_t top_logits(const float *logits, size_t n, size_t k, struct scored *out);
/** Write a probability in per cent. */
const char *show_prob(double prob, char buffer[16]);
/** Seconds of a clock that only goes forward. */
double seconds_now(void);

#endif
