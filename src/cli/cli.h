/* SPDX-License-Identifier: MIT */
/** cli.h - what the commands share: options from tables, words, output, messages
 *
 * The command is a user of the library like any other: it includes only wte/wte.h. Each command has
 * a file of its own with a table of its options, a page for the manual and a function that runs it;
 * main.c has the table of commands. Help, man pages and completions are printed from these tables,
 * so that they cannot say anything else than what is parsed. */
#ifndef WTE_CLI_H
#define WTE_CLI_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "wte/wte.h"

/* ---- the tables ------------------------------------------------------------------------- */

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef enum option_kind {
    OPT_FLAG,   /**< bool */
    OPT_TEXT,   /**< const char * */
    OPT_LIST,   /**< struct texts, one more each time it is given */
    OPT_COUNT,  /**< size_t, at least 1 */
    OPT_NUMBER, /**< uint64_t, from 0 */
    OPT_SIZE,   /**< size_t, from 0 */
    OPT_REAL,   /**< float, finite */
    OPT_CHOICE  /**< int: index into `choices` */
} option_kind;

struct option {
    char letter;         /**< -k, or 0 */
    const char *name;    /**< without the dashes, or NULL */
    option_kind kind;    /**< what `target` points to */
    void *target;        /**< written when the option is given */
    const char *value;   /**< what help calls the argument; FILE and MODEL are completed */
    const char *help;    /**< one sentence without capital or full stop */
    const char *choices; /**< OPT_CHOICE: "cosine|euclidean" */
};
#define OPTIONS_END                                                                                \
    {                                                                                              \
        0, NULL, OPT_FLAG, NULL, NULL, NULL, NULL                                                  \
    }

struct texts {
    const char **items;
    size_t n, capacity;
};

/** An example of the manual. Examples are run by the tests. */
struct example {
    const char *command;
    const char *shows;
};

/** What the manual says of a command. */
struct page {
    const char *usage[4];           /**< what follows "wte NAME", NULL behind the last */
    const char *about;              /**< paragraphs with an empty line between */
    const struct option *options;   /**< the command's own */
    const char *writes;             /**< endings that -o takes: ".npy .json .tsv", or NULL */
    const struct example *examples; /**< ended by a NULL command */
    const char *json;               /**< the shape of --json, one line each, or NULL */
    void (*begin)(void);            /**< called before the options are read, or NULL */
};

/** What the dispatcher does before a command runs, and which shared options the command takes. */
enum {
    NEED_SPACE = 1,     /**< open the model's space: -m, --embeddings, --transform, --no-cache,
                           --threads */
    TAKES_WORDS = 2,    /**< --ids, --prefix-space, --pool */
    TAKES_FILE = 4,     /**< --words */
    GIVES_DATA = 8,     /**< --json, --tsv, -o */
    HIDDEN = 16,        /**< not in the manual */
    TAKES_MODELS = 32,  /**< -m and --no-cache; the command opens what it needs */
    NEED_MODEL = 64,    /**< with NEED_SPACE: open the model only, the command asks for its space */
    TAKES_TOKENS = 128, /**< --prefix-space, --pool */
    TAKES_PROMPT = 256, /**< prompt.h: a prompt, -m, --dtype, --threads, --no-cache */
    TAKES_RUN = 512,    /**< the same without the prompt */
    TAKES_SAMPLING = 1024, /**< sampling.h: how scores are changed */
    GIVES_FIGURE = 2048,   /**< figure.h: --plot and what goes with it */
    TAKES_SEVERAL = 4096,  /**< together.h: several models */
    TAKES_MATCHING = 8192, /**< which of their words are the same */
    TAKES_LIST = 16384,    /**< and one list of words in all of them */
    GIVES_PYTHON = 32768   /**< python.h: --as-python */
};

struct command {
    const char *name;
    int (*run)(void);
    unsigned needs;
    const char *group;
    const char *summary;
    const struct page *page;
};

extern const struct command commands[]; /* ended by a NULL name */
const struct command *find_command(const char *name);
/** Run a command line of two words or more, argv[1] a command's name. Its options start as in a new
 * process unless the command ran before. Returns the exit status. */
int run_command(int argc, char **argv);
/** Print the error that there is no such command, with the nearest one. Returns EXIT_USAGE. */
int unknown_command(const char *name);

/** One heading of shared options. */
struct option_group {
    unsigned needs; /**< for commands with one of these flags; 0: for all */
    const char *title;
    const struct option *options;
};
extern const struct option_group option_groups[]; /* ended by a NULL title */
/** Does a command take an option of the shared groups? */
bool takes_group(const struct command *command, const struct option_group *group);
bool takes_option(const struct command *command, const struct option *option);

/** Read the arguments behind the command's name into the options' targets and cli.words.
 * Returns 0, or EXIT_USAGE after a message. */
int parse_options(int argc, char **argv);
/** Count the single letters that must change between two short words (Levenshtein). */
size_t edit_distance(const char *a, const char *b);
/** Read a whole number from 0 up to `most`; false if it is anything else. */
bool parse_number(const char *text, uint64_t most, uint64_t *out);
/** Read a finite number; false if it is anything else. */
bool parse_real(const char *text, float *out);

/* ---- the run ---------------------------------------------------------------------------- */

extern struct cli {
    const struct command *command;
    int argc; /**< of main() */
    char **argv;
    struct texts words;  /**< the arguments that are no options */
    struct texts models; /**< -m */
    bool json, tsv, quiet, verbose, no_cache, ids, help, prefix_space, python;
    int pool;               /**< a wte_pool */
    int embeddings;         /**< a wte_embeddings */
    const char *output;     /**< -o */
    const char *words_file; /**< --words */
    const char *transform;
    size_t threads; /**< 0: one per processor */
    wte_model *model;
    const wte_space *base;  /**< the model's space as it is in its file */
    const wte_space *space; /**< transformed, or the same; what commands use */
    const wte_space_info *info;
    int status; /**< of the whole run: EXIT_FAILED once a query could not be answered */
} cli;

/** Print "wte: COMMAND: message" on stderr. Returns EXIT_FAILED. */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** The same for a wrong command line, with a hint. Returns EXIT_USAGE. */
int usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** The same with a library's error; one that came from Ctrl-C is quiet and gives 128 + signal. */
int fail_with(const wte_error *err);
/** Print a line on stderr, unless -q. */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** Allocate n * size zeroed bytes, or end the program with a message. */
void *need_memory(size_t n, size_t size);
/** Grow an array to hold at least n elements, or end the program with a message. */
void *need_more(void *array, size_t *capacity, size_t n, size_t size);
void add_text(struct texts *list, const char *text);

/** Open the model that -m names into cli.model. Returns an exit status. */
int open_model(void);
/** Open its space, transformed, into cli.space. Returns an exit status. */
int open_space(void);
/** Open a model by name, NULL for the default. Returns an exit status. */
int open_named_model(const char *name, wte_model **out);
/** The tokenizer of the model that one -m names; NULL after a message and *status set. */
const wte_tokenizer *need_tokenizer(int *status);
/** The tokenizer of an open model, or NULL after a message. */
const wte_tokenizer *tokenizer_of(const wte_model *model);
wte_open_options open_options(void);

/* ---- words ------------------------------------------------------------------------------ */

/** Find a word, or with --ids read an id. A word as out_word() prints it (visible spaces, \xNN) is
 * taken for what it stands for where there is no such word. With --pool a word of several tokens
 * gets an id of its own behind those of the space: what the functions below are told of by id, they
 * know of it too. */
wte_status find_word(const char *text, size_t len, uint32_t *id, wte_error *err);
/** Find the words of the command line and of --words.
 *   ids, n  receive the rows, in order; free with free()
 * Returns an exit status; the message is printed. */
int find_words(uint32_t **ids, size_t *n);

/** Give the word of an id that find_word() gave. */
const char *id_word(uint32_t id, size_t *len);
/** Copy its vector [dim]. */
wte_status id_vector(uint32_t id, float *out, wte_error *err);
/** Tell whether an id is of a word of several tokens. */
bool is_pooled(uint32_t id);
/** The row that an id stands for: itself, with --pool first and last the row chosen. Errors:
 * E_UNSUPPORTED (a mean of rows is no row). */
wte_status id_row(uint32_t id, uint32_t *row, wte_error *err);

/** Rows that library functions take: where words of several tokens are among them, a small space of
 * these words alone. */
struct rows {
    const wte_space *space;
    const uint32_t *ids; /**< [n] */
    wte_space *own;
    void *block;
};
wte_status rows_of(const uint32_t *ids, size_t n, struct rows *rows, wte_error *err);
void rows_free(struct rows *rows);

/** Undo what out_word() does, into a new string; false where there is nothing to undo. */
bool unshow(const char *text, size_t len, char **out, size_t *out_len);

/** Lines of a file or of standard input, without their ends ("\n" or "\r\n"). */
struct lines {
    int fd;
    const char *path;
    char *buffer;
    size_t start, end, capacity;
    uint64_t number; /**< of the line last given, from 1 */
    bool at_end;
};
bool lines_open(struct lines *lines, const char *path);
/** Read a whole file or, with "-", standard input; false after a message. Free with free(). */
bool read_all(const char *path, char **text, size_t *len);
/** Give the next line, valid until the next call; false at the end or after a read error, which is
 * printed. */
bool lines_next(struct lines *lines, char **line, size_t *len);
/** The same for a file of words: of each line what is in front of its first TAB, where that is not
 * empty. */
bool lines_next_word(struct lines *lines, char **word, size_t *len);
/** Tell whether a whole line is there without waiting. */
bool lines_ready(const struct lines *lines);
void lines_close(struct lines *lines);

struct field {
    char *text;
    size_t len;
};
/** Split a line at TABs; where it has none and `spaces` is set, at spaces. Returns how many fields
 * there are; at most `max` are written. */
size_t split_fields(char *line, size_t len, bool spaces, struct field *fields, size_t max);

enum { MAX_QUERY = 256 }; /**< words of one line */

/** Answer the query of the command line, or with "-" each line of standard input: `answer` gets the
 * rows of its words and gives the result to sink_put(). A line that cannot be answered is told on
 * stderr and the others go on.
 *   least, most  how many words a query has; a line at most MAX_QUERY
 *   line         0 for the command line's own
 * Returns the exit status. */
typedef void (*answer_fn)(const uint32_t *ids, size_t n, uint64_t line);
int answer_queries(size_t least, size_t most, answer_fn answer);

/** True if the words of the command line are "-": queries come on standard input. */
bool reads_queries(void);
/** The error of a query; with `line` 0 it is the only one. Sets cli.status. */
void fail_query(uint64_t line, const char *message);

/* ---- output ----------------------------------------------------------------------------- */

enum format { PEOPLE, TSV, JSON };

/** Text that grows. For JSON it knows whether a comma is due. */
struct out {
    char *data;
    size_t n, capacity;
    bool comma;
    bool colour; /**< escape sequences may be written */
};
void out_bytes(struct out *o, const void *data, size_t n);
void out_text(struct out *o, const char *text);
void out_format(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void out_free(struct out *o);

enum style { PLAIN, BOLD, DIM };
/** Switch the look of what follows; nothing where there is no colour. */
void out_style(struct out *o, enum style style);
/** Write a word so that a person sees every byte of it: leading space as an open box, control bytes
 * and what is no UTF-8 as \xNN. */
void out_word(struct out *o, const char *text, size_t len);
/** Write a word for TSV: tab, newline, carriage return and backslash as \t \n \r \\. */
void out_tsv(struct out *o, const char *text, size_t len);
/** Write the shortest digits that restore the number. Not finite: "nan", "inf", "-inf". */
void out_float(struct out *o, float value);
void out_double(struct out *o, double value);
/** Columns that a text takes on a terminal. */
size_t display_width(const char *text, size_t len);
/** Write bytes as "1.1 GB". */
const char *show_size(uint64_t bytes, char buffer[32]);
/** Write a count as "3,000,000". */
const char *show_count(uint64_t count, char buffer[32]);

void json_open(struct out *o, char bracket);
void json_close(struct out *o, char bracket);
void json_key(struct out *o, const char *key);
void json_bytes(struct out *o, const char *text, size_t len);
void json_text(struct out *o, const char *text);
void json_count(struct out *o, uint64_t count);
void json_bool(struct out *o, bool value);
/** Numbers that JSON cannot write (NaN, infinity) become null. */
void json_float(struct out *o, float value);
void json_double(struct out *o, double value);
void json_floats(struct out *o, const float *values, size_t n);
/** Write key: word, and "bytes": [...] where the word is no UTF-8. */
void json_word(struct out *o, const char *key, const char *text, size_t len);
/** Write key: [word, ...] of ids that find_word() gave. */
void json_words(struct out *o, const char *key, const uint32_t *ids, size_t n);
/** Tell whether bytes are UTF-8. */
bool is_utf8(const char *text, size_t len);
/** Write what is JSON already. */
void json_raw(struct out *o, const char *json);
void json_nothing(struct out *o);
/** Write an id that find_word() gave: null for a word of several tokens. */
void json_id(struct out *o, uint32_t id);
/** End a line: the next object starts without a comma. */
void json_line(struct out *o);

/** A table with aligned columns; 'l' and 'r' say how. */
struct table {
    const char *columns;
    struct out text;
    size_t *ends; /* of each cell in text */
    size_t n, capacity;
    bool header; /* the first row is one */
};
void table_begin(struct table *t, const char *columns, bool header);
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_word(struct table *t, const char *text, size_t len);
/** Print the table with two blanks between columns and free it. */
void table_end(struct table *t, struct out *o);

/** Where results go: stdout, the file of -o, or both. A result is given once and written to each
 * place in its format by the command's function. */
typedef void (*write_fn)(struct out *o, enum format format, const void *result);
void sink_open(void);
void sink_put(write_fn write, const void *result);
/** True if a TSV header is due in this output (true once). */
bool sink_first(const struct out *o);
/** True if -o wants an array. */
bool sink_wants_array(void);
/** True if -o names a file of word vectors: its format is told. */
bool sink_wants_vectors(wte_space_format *format);
/** Keep numbers for the array of -o, where one is wanted. */
void sink_numbers(const float *values, size_t n);
/** Keep token ids for the array of -o instead: it is written as uint32, [as many as there are]. */
void sink_ids(const uint32_t *ids, size_t n);
/** Write what is ready to stdout. */
void sink_flush(void);
/** Write the file of -o; `shape` is that of the numbers kept; n_dims 0: as many as there are. */
int sink_close(const size_t *shape, size_t n_dims);

/** Write rows as a file of word vectors at the path of -o.
 *   ids   [n] rows of the space, for their words
 *   rows  [n, dim]
 * Returns an exit status. */
int save_vectors(const uint32_t *ids, const float *rows, size_t n, size_t dim,
                 wte_space_format format);

/** Write a file under another name first and rename it. */
int write_file(const char *path, const void *data, size_t n);
/** Tell whether a path ends in one of the endings of a list such as ".npy .json". */
bool has_ending(const char *path, const char *endings);

/** Two words of a query and a number of their rows. */
struct pair {
    const char *words[2];
    size_t lens[2];
    float value;
};
typedef wte_status (*pair_fn)(const wte_space *space, uint32_t a, uint32_t b, float *out,
                              wte_error *err);
/** Compute a number of two rows; false after a message, which names the line. */
bool measure_pair(const uint32_t *ids, uint64_t line, pair_fn fn, struct pair *out);
/** Write both words: as "a" and "b" of the object that is open; with TABs behind them; for people.
 */
void json_pair(struct out *o, const struct pair *pair);
void tsv_pair(struct out *o, const struct pair *pair);
void show_pair(struct out *o, const struct pair *pair);

/* ---- progress and signals --------------------------------------------------------------- */

/** A bar on the terminal's stderr for what takes longer than a second. */
int show_progress(void *data, const char *what, uint64_t done, uint64_t total);
/** Remove the bar. */
void clear_progress(void);

void catch_signals(void);
/** From here on Ctrl-C asks the library to stop (true), or ends the program at once (false). */
void signals_wait(bool wait);
/** The end of what may be stopped: remove the bar, let Ctrl-C end the program again, and give the
 * status, or 128 + signal where that was 0 and a signal came. */
int signals_end(int status);
/** The session that Ctrl-C stops, or NULL. */
void signals_session(wte_session *session);
/** The signal that asked the run to stop, or 0. */
int signals_caught(void);

/* ---- the manual ------------------------------------------------------------------------- */

void print_overview(struct out *o);
void print_commands(struct out *o);
void print_help(struct out *o, const struct command *command);
/** The option as it is typed: "-k N", "-m, --model M". */
void describe_option(struct out *o, const struct option *option);

int cmd_analogy(void);
int cmd_attention(void);
int cmd_cache(void);
int cmd_compare(void);
int cmd_convert(void);
int cmd_correlate(void);
int cmd_detokenize(void);
int cmd_distance(void);
int cmd_embedding(void);
int cmd_eval(void);
int cmd_fill(void);
int cmd_generate(void);
int cmd_help(void);
int cmd_hidden(void);
int cmd_info(void);
int cmd_isotropy(void);
int cmd_lens(void);
int cmd_list(void);
int cmd_logits(void);
int cmd_match(void);
int cmd_matrix(void);
int cmd_nearest(void);
int cmd_next(void);
int cmd_odd(void);
int cmd_perplexity(void);
int cmd_project(void);
int cmd_replay(void);
int cmd_rsa(void);
int cmd_similarity(void);
int cmd_tokenize(void);
int cmd_vector(void);
int cmd_vocab(void);
int cmd_man(void);
int cmd_completion(void);

extern const struct page page_analogy, page_cache, page_convert, page_detokenize, page_distance,
    page_embedding, page_eval, page_help, page_info, page_list, page_matrix, page_nearest, page_odd,
    page_project, page_similarity, page_tokenize, page_vector, page_vocab, page_man,
    page_completion, page_attention, page_fill, page_hidden, page_lens, page_logits, page_next,
    page_perplexity, page_generate, page_match, page_correlate, page_rsa, page_compare,
    page_isotropy, page_replay;

#endif
