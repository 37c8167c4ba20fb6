/* SPDX-License-Identifier: MIT */
/* python.c - --as-python: the lines of Python that compute the same
 *
 * For word vectors with gensim, for GPT-2 and BERT with transformers and torch, and numpy. The lines
 * are for the command line as it was typed: its words, and those of its options that change the
 * numbers. Options are read from the command line again, as each command keeps its own to itself.
 * Commands of several models have theirs in together_python.c. */
#include "python.h"

#include <stdlib.h>
#include <string.h>

/* ---- literals and options --------------------------------------------------------------------- */

void python_text(struct out *o, const char *text)
{
    out_text(o, "\"");
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            out_format(o, "\\%c", *text);
        else if (*text == '\n')
            out_text(o, "\\n");
        else if ((unsigned char)*text < 0x20 || *text == 0x7F)
            out_format(o, "\\x%02x", (unsigned)(unsigned char)*text);
        else
            out_bytes(o, text, 1);
    out_text(o, "\"");
}

/* A word as the tokenizer is to get it. */
static void put_word(struct out *o, const char *word)
{
    struct out text = {0};

    out_format(&text, "%s%s", cli.prefix_space ? " " : "", word);
    python_text(o, text.data);
    out_free(&text);
}

static void put_words(struct out *o, const char *const *words, size_t n)
{
    out_text(o, "[");
    for (size_t i = 0; i < n; i++) {
        out_text(o, i ? ", " : "");
        put_word(o, words[i]);
    }
    out_text(o, "]");
}

static void put_arguments(struct out *o)
{
    if (cli.words_file) {
        out_text(o, "[line.rstrip(\"\\n\").split(\"\\t\")[0] for line in open(");
        python_text(o, cli.words_file);
        out_text(o, ", encoding=\"utf-8\")]");
    } else {
        put_words(o, cli.words.items, cli.words.n);
    }
}

/* The value of an option on the command line, the last that was given, or `otherwise`. */
static const char *option_value(const char *name, const char *otherwise)
{
    const size_t n = strlen(name);

    for (int i = 2; i < cli.argc && strcmp(cli.argv[i], "--") != 0; i++) {
        const char *arg = cli.argv[i];

        if (strncmp(arg, name, n) != 0)
            continue;
        if (arg[n] == '=')
            otherwise = arg + n + 1;
        else if (arg[n] == '\0' && i + 1 < cli.argc)
            otherwise = cli.argv[++i];
        else if (n == 2 && arg[n])
            otherwise = arg + n;
    }
    return otherwise;
}

static bool has_option(const char *name)
{
    for (int i = 2; i < cli.argc && strcmp(cli.argv[i], "--") != 0; i++)
        if (strcmp(cli.argv[i], name) == 0)
            return true;
    return false;
}

static bool is_metric(const char *name, const char *otherwise)
{
    return strcmp(option_value("--metric", otherwise), name) == 0;
}

static wte_family family(void)
{
    return wte_model_get_info(cli.model)->family;
}

/* ---- loading ------------------------------------------------------------------------------------ */

static void put_path(struct out *o)
{
    python_text(o, wte_model_get_info(cli.model)->path);
}

int python_vectors(struct out *o, const char *variable, const char *path, const char *format)
{
    const bool glove = strncmp(format, "GloVe", 5) == 0;

    if (!glove && strncmp(format, "word2vec", 8) != 0 && strncmp(format, "fastText", 8) != 0)
        return fail("--as-python: gensim does not read %s (%s); wte convert -o FILE.bin", path,
                    format);
    out_format(o, "%s = KeyedVectors.load_word2vec_format(", variable);
    python_text(o, path);
    if (strncmp(format, "word2vec binary", 15) == 0)
        out_text(o, ", binary=True");
    else if (glove)
        out_text(o, ", no_header=True");
    out_text(o, ")\n");
    return 0;
}

/* show_python() has seen that gensim reads them. */
static void load_vectors(struct out *o)
{
    out_text(o, "from gensim.models import KeyedVectors\n\n");
    python_vectors(o, "kv", wte_model_get_info(cli.model)->path, cli.info->format);
}

static void load_tokenizer(struct out *o)
{
    out_text(o, "from transformers import AutoTokenizer\n\ntok = AutoTokenizer.from_pretrained(");
    put_path(o);
    out_text(o, ")\n");
}

/* `row(word)` gives a numpy vector, `E` is the matrix, `name(i)` a row's word. */
static void load_space(struct out *o)
{
    out_text(o, "import numpy as np\n");
    if (family() == WTE_FAMILY_VECTORS) {
        load_vectors(o);
        out_text(o, "E, name = kv.vectors, lambda i: kv.index_to_key[i]\n");
        out_text(o, cli.ids ? "row = lambda i: E[int(i)]\n" : "row = lambda word: kv[word]\n");
        return;
    }
    out_text(o, "from transformers import AutoModel\n");
    load_tokenizer(o);
    out_text(o, "E = AutoModel.from_pretrained(");
    put_path(o);
    out_text(o, ").get_input_embeddings().weight.detach().numpy()\n"
                "name = lambda i: tok.decode([i])\n");
    if (cli.ids) {
        out_text(o, "row = lambda i: E[int(i)]\n");
        return;
    }
    out_text(o, "def row(word):\n"
                "    ids = tok(word, add_special_tokens=False)[\"input_ids\"]\n");
    switch ((wte_pool)cli.pool) {
    case WTE_POOL_FIRST:
        out_text(o, "    return E[ids[0]]\n");
        break;
    case WTE_POOL_LAST:
        out_text(o, "    return E[ids[-1]]\n");
        break;
    case WTE_POOL_MEAN:
        out_text(o, "    return E[ids].mean(axis=0)\n");
        break;
    default:
        out_text(o, "    assert len(ids) == 1, f\"{word!r} is {len(ids)} tokens\"\n"
                    "    return E[ids[0]]\n");
    }
}

static void load_rows(struct out *o)
{
    load_space(o);
    out_text(o, "words = ");
    put_arguments(o);
    out_text(o, "\nX = np.array([row(w) for w in words])\n");
}

/* ---- words ---------------------------------------------------------------------------------------- */

static void vector(struct out *o)
{
    load_rows(o);
    out_text(o, "print(X)\n");
}

static void similarity(struct out *o)
{
    load_rows(o);
    out_text(o, "a, b = X\nprint(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))\n");
}

static void distance(struct out *o)
{
    load_rows(o);
    out_text(o, "a, b = X\n");
    out_text(o, is_metric("cosine", "euclidean")
                    ? "print(1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))\n"
                : is_metric("cityblock", "euclidean") ? "print(np.abs(a - b).sum())\n"
                                                      : "print(np.linalg.norm(a - b))\n");
}

/* Print the best rows of `order`, without those of the words in `own`. */
static void print_best(struct out *o)
{
    if (!has_option("--include-query"))
        out_text(o, "order = [i for i in order if not any((E[i] == x).all() for x in own)]\n");
    out_format(o, "for i in order[:%s]:\n    print(repr(name(i)), score[i])\n",
               option_value("-k", "10"));
}

/* Order the rows by how near they are to `q`. */
static void search(struct out *o, const char *metric)
{
    if (strcmp(metric, "cosine") == 0)
        out_text(o, "score = E @ q / (np.linalg.norm(E, axis=1) * np.linalg.norm(q))\n"
                    "order = np.argsort(-score, kind=\"stable\")\n");
    else if (strcmp(metric, "cityblock") == 0)
        out_text(o, "score = np.abs(E - q).sum(axis=1)\n"
                    "order = np.argsort(score, kind=\"stable\")\n");
    else
        out_text(o, "score = np.linalg.norm(E - q, axis=1)\n"
                    "order = np.argsort(score, kind=\"stable\")\n");
    print_best(o);
}

static void nearest(struct out *o)
{
    enum { MOST = 64 };
    const char *metric = option_value("--metric", "cosine"), *negatives[MOST];
    const bool mul = strcmp(metric, "cosmul") == 0, cosine = strcmp(metric, "cosine") == 0;
    size_t n = 0;

    for (int i = 2; i + 1 < cli.argc && n < MOST; i++)
        if (strcmp(cli.argv[i], "-n") == 0 || strcmp(cli.argv[i], "--negative") == 0)
            negatives[n++] = cli.argv[++i];
    if (has_option("--weights") || has_option("--each"))
        return;
    if (family() == WTE_FAMILY_VECTORS && !cli.ids && (cosine || mul)) {
        load_vectors(o);
        out_format(o, "print(kv.most_similar%s(positive=", mul ? "_cosmul" : "");
        put_arguments(o);
        out_text(o, ", negative=");
        put_words(o, negatives, n);
        out_format(o, ", topn=%s, restrict_vocab=%s))\n", option_value("-k", "10"),
                   option_value("--restrict-vocab", "None"));
        return;
    }
    if (mul)
        return;
    load_rows(o);
    out_text(o, "N = np.array([row(w) for w in ");
    put_words(o, negatives, n);
    out_text(o, "]).reshape(-1, E.shape[1])\nown = np.vstack([X, N])\n");
    if (cosine)
        out_text(o, "unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)\n"
                    "q = unit(X).sum(axis=0) - unit(N).sum(axis=0)\n");
    else
        out_text(o, "q = (X.sum(axis=0) - N.sum(axis=0)) / max(len(X) - len(N), 1)\n");
    search(o, metric);
}

static void analogy(struct out *o)
{
    const char *metric = option_value("--metric", "cosine"), *method;
    const bool vectors = family() == WTE_FAMILY_VECTORS, cosine = strcmp(metric, "cosine") == 0;

    method = option_value("--method",
                          cosine && (vectors || !has_option("--include-query")) ? "add" : "raw");
    if (cli.words.n != 3)
        return;
    if (vectors && !cli.ids && cosine && strcmp(method, "raw") != 0) {
        load_vectors(o);
        out_format(
            o, "print(kv.most_similar%s(positive=", strcmp(method, "mul") == 0 ? "_cosmul" : "");
        put_words(o, cli.words.items + 1, 2);
        out_text(o, ", negative=");
        put_words(o, cli.words.items, 1);
        out_format(o, ", topn=%s))\n", option_value("-k", "10"));
        return;
    }
    load_rows(o);
    out_text(o, "a, b, c = own = X\n");
    if (strcmp(method, "mul") == 0) {
        out_text(o, "cos = lambda x: E @ x / (np.linalg.norm(E, axis=1) * np.linalg.norm(x))\n"
                    "a, b, c = [(1 + cos(x)) / 2 for x in X]\n"
                    "score = b * c / (a + 1e-6)\n"
                    "order = np.argsort(-score, kind=\"stable\")\n");
        print_best(o);
        return;
    }
    if (strcmp(method, "add") == 0)
        out_text(o, "a, b, c = X / np.linalg.norm(X, axis=1, keepdims=True)\n");
    out_text(o, "q = b - a + c\n");
    search(o, metric);
}

static void odd(struct out *o)
{
    if (family() == WTE_FAMILY_VECTORS && !cli.ids) {
        load_vectors(o);
        out_text(o, "print(kv.doesnt_match(");
        put_arguments(o);
        out_text(o, "))\n");
        return;
    }
    load_rows(o);
    out_text(o, "U = X / np.linalg.norm(X, axis=1, keepdims=True)\n"
                "print(words[np.argmin(U @ U.mean(axis=0))])\n");
}

static void matrix(struct out *o)
{
    load_rows(o);
    if (is_metric("cosine", "cosine"))
        out_text(o, "U = X / np.linalg.norm(X, axis=1, keepdims=True)\nprint(U @ U.T)\n");
    else
        out_format(o, "from scipy.spatial.distance import cdist\n\nprint(cdist(X, X, \"%s\"))\n",
                   option_value("--metric", "euclidean"));
}

static void project(struct out *o)
{
    if (cli.words.n || cli.words_file) {
        load_rows(o);
    } else {
        load_space(o);
        out_text(o, "X = E\n");
    }
    out_format(o,
               "from sklearn.decomposition import PCA\n\n"
               "pca = PCA(n_components=%s)\n"
               "print(pca.fit_transform(X))  # a component may come with the other sign\n"
               "print(pca.explained_variance_ratio_)\n",
               option_value("-d", option_value("--dims", "2")));
}

static void eval(struct out *o)
{
    if (cli.words.n != 2)
        return;
    if (family() == WTE_FAMILY_VECTORS) {
        load_vectors(o);
    } else {
        load_space(o);
        out_format(o,
                   "from gensim.models import KeyedVectors\n\n"
                   "kv = KeyedVectors(E.shape[1])\n"
                   "kv.add_vectors([name(i)%s for i in range(len(E))], E)\n",
                   cli.prefix_space ? ".removeprefix(\" \")" : "");
    }
    out_format(o, "print(kv.evaluate_word_%s(",
               strcmp(cli.words.items[0], "pairs") == 0 ? "pairs" : "analogies");
    python_text(o, cli.words.items[1]);
    out_format(o, ", restrict_vocab=%s, case_insensitive=%s, dummy4unknown=%s))\n",
               option_value("--restrict-vocab", "300000"),
               has_option("--case-sensitive") ? "False" : "True",
               has_option("--dummy4unknown") ? "True" : "False");
}

static void embedding(struct out *o)
{
    const char *padding = option_value("--padding-idx", NULL), *ids = option_value("--ids", NULL);

    out_format(o, "import torch\n\ntorch.manual_seed(%s)\nlayer = torch.nn.Embedding(%s, %s%s%s)\n",
               option_value("--seed", "0"), option_value("--vocab", "V"),
               option_value("--dim", "D"), padding ? ", padding_idx=" : "", padding ? padding : "");
    if (ids)
        out_format(o, "print(layer(torch.tensor([%s])))\n", ids);
    else
        out_text(o, "print(layer.weight)\n");
}

/* ---- texts and networks --------------------------------------------------------------------------- */

/* The prompt as `ids`, a list. */
static void put_prompt(struct out *o)
{
    const char *ids = option_value("--ids", NULL), *file = option_value("--file", NULL);
    struct out text = {0};

    if (ids) {
        out_format(o, "ids = [%s]\n", ids);
        return;
    }
    for (size_t i = 0; i < cli.words.n; i++)
        out_format(&text, "%s%s", i ? " " : "", cli.words.items[i]);
    out_bytes(&text, "", 0);
    out_text(o, "text = ");
    if (file) {
        out_text(o, "open(");
        python_text(o, file);
        out_text(o, ", encoding=\"utf-8\").read()");
    } else if (text.n == 1 && *text.data == '-') {
        out_text(o, "__import__(\"sys\").stdin.read()");
    } else {
        python_text(o, text.data);
    }
    out_free(&text);
    out_format(o, "\nids = tok(text)[\"input_ids\"]%s\n",
               family() == WTE_FAMILY_BERT ? "  # with [CLS] and [SEP]" : "");
}

static void tokenize(struct out *o)
{
    load_tokenizer(o);
    put_prompt(o);
    if (!has_option("--special"))
        out_text(o, "ids = tok(text, add_special_tokens=False)[\"input_ids\"]\n");
    out_text(o, "print(ids, tok.convert_ids_to_tokens(ids))\n");
}

static void detokenize(struct out *o)
{
    load_tokenizer(o);
    out_text(o, "print(tok.decode([");
    for (size_t i = 0; i < cli.words.n; i++)
        out_format(o, "%s%s", i ? ", " : "", cli.words.items[i]);
    out_format(o, "], skip_special_tokens=%s))\n", has_option("--skip-special") ? "True" : "False");
}

/* `out` is what the network gives, with the keyword arguments. */
static void run_network(struct out *o, const char *class, const char *arguments)
{
    out_format(o, "import torch\nfrom transformers import %s\n", class);
    load_tokenizer(o);
    out_format(o, "model = %s.from_pretrained(", class);
    put_path(o);
    out_text(o, ").eval()\n");
    put_prompt(o);
    out_format(o, "with torch.no_grad():\n    out = model(torch.tensor([ids])%s)\n", arguments);
}

static void hidden(struct out *o)
{
    const char *layer = option_value("--layer", NULL);

    run_network(o, "AutoModel", ", output_hidden_states=True");
    if (layer && strcmp(layer, "all") == 0)
        out_text(o, "print(torch.stack(out.hidden_states)[:, 0].numpy())\n");
    else if (layer)
        out_format(o, "print(out.hidden_states[%s][0].numpy())\n", layer);
    else
        out_text(o, "print(out.last_hidden_state[0].numpy())\n");
}

static void attention(struct out *o)
{
    const char *layer = option_value("--layer", NULL), *head = option_value("--head", NULL);

    run_network(o, "AutoModel", ", output_attentions=True");
    if (layer)
        out_format(o, "print(out.attentions[%s][0%s%s].numpy())\n", layer, head ? ", " : "",
                   head ? head : "");
    else
        out_format(o, "print(torch.stack(out.attentions)[:, 0%s%s].numpy())\n", head ? ", " : "",
                   head ? head : "");
}

static const char *head_class(void)
{
    return family() == WTE_FAMILY_BERT ? "AutoModelForMaskedLM" : "AutoModelForCausalLM";
}

static void logits(struct out *o)
{
    run_network(o, head_class(), "");
    out_format(o, "print(out.logits[0%s].numpy())\n", has_option("--last") ? ", -1" : "");
}

static void next(struct out *o)
{
    if (has_option("--distribution"))
        return;
    run_network(o, head_class(), "");
    out_format(o,
               "probs = out.logits[0, -1].softmax(-1)\n"
               "for p, i in zip(*probs.topk(%s)):\n"
               "    print(repr(tok.decode([i])), int(i), float(out.logits[0, -1, i]), float(p))\n",
               option_value("-k", "10"));
}

static void fill(struct out *o)
{
    run_network(o, head_class(), "");
    out_format(o,
               "for at in [j for j, i in enumerate(ids) if i == tok.mask_token_id]:\n"
               "    probs = out.logits[0, at].softmax(-1)\n"
               "    print(at, [(tok.decode([i]), float(p)) for p, i in zip(*probs.topk(%s))])\n",
               option_value("-k", "5"));
}

static void perplexity(struct out *o)
{
    if (has_option("--stride") || has_option("--compare-dtypes"))
        return;
    run_network(o, head_class(), "");
    out_text(o, "log_probs = out.logits[0, :-1].log_softmax(-1)\n"
                "nll = -log_probs[range(len(ids) - 1), ids[1:]].mean()\n"
                "print(float(nll), float(nll.exp()))\n");
}

static void lens(struct out *o)
{
    run_network(o, head_class(), ", output_hidden_states=True");
    out_text(o, "for layer, h in enumerate(out.hidden_states):\n");
    if (family() == WTE_FAMILY_BERT)
        out_text(o, "    scores = model.cls(h)[0]\n");
    else
        out_text(o, "    last = layer == len(out.hidden_states) - 1  # already behind ln_f\n"
                    "    scores = model.lm_head(h if last else model.transformer.ln_f(h))[0]\n");
    out_text(o, "    print(layer, [tok.decode([i]) for i in scores.argmax(-1)])\n");
}

/* Options of transformers' generate() under its own names, as "name=value". */
static void put_options(struct out *o, const char *const *names, const char *form)
{
    for (; *names; names++) {
        char option[64];
        const char *value;

        snprintf(option, sizeof option, "--%s", *names);
        value = form ? option_value(option, NULL) : NULL;
        if (!value && (form || !has_option(option)))
            continue;
        out_text(o, ", ");
        for (const char *c = *names; *c; c++)
            out_bytes(o, *c == '-' ? "_" : c, 1);
        out_format(o, form ? form : "=True", value);
    }
}

static void generate(struct out *o)
{
    static const char *const values[] = {"max-new-tokens",
                                         "max-length",
                                         "min-length",
                                         "min-new-tokens",
                                         "temperature",
                                         "top-k",
                                         "top-p",
                                         "min-p",
                                         "typical-p",
                                         "epsilon-cutoff",
                                         "eta-cutoff",
                                         "repetition-penalty",
                                         "no-repeat-ngram-size",
                                         "num-beams",
                                         "num-beam-groups",
                                         "diversity-penalty",
                                         "length-penalty",
                                         "num-return-sequences",
                                         "penalty-alpha",
                                         "pad-token-id",
                                         "bad-words-ids",
                                         "force-words-ids",
                                         "forced-bos-token-id",
                                         "forced-eos-token-id",
                                         NULL};
    static const char *const lists[] = {"suppress-tokens", "begin-suppress-tokens", "eos-token-id",
                                        NULL};
    static const char *const flags[] = {"do-sample", "renormalize-logits", NULL};
    const char *seed = option_value("--seed", NULL),
               *early = option_value("--early-stopping", NULL);

    out_text(o, "import torch\nfrom transformers import AutoModelForCausalLM\n");
    load_tokenizer(o);
    out_text(o, "model = AutoModelForCausalLM.from_pretrained(");
    put_path(o);
    out_text(o, ").eval()\n");
    put_prompt(o);
    if (seed)
        out_format(o, "torch.manual_seed(%s)\n", seed);
    out_text(o, "out = model.generate(torch.tensor([ids])");
    put_options(o, values, "=%s");
    put_options(o, lists, "=[%s]");
    put_options(o, flags, NULL);
    if (early)
        out_format(o, ", early_stopping=%s",
                   strcmp(early, "true") == 0    ? "True"
                   : strcmp(early, "false") == 0 ? "False"
                                                 : "\"never\"");
    out_text(o, ")\nfor ids in out:\n    print(tok.decode(ids))\n");
}

/* ---- the commands --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*write)(struct out *o);
} programs[] = {{"vector", vector},     {"similarity", similarity},
                {"distance", distance}, {"nearest", nearest},
                {"analogy", analogy},   {"odd", odd},
                {"matrix", matrix},     {"project", project},
                {"eval", eval},         {"embedding", embedding},
                {"tokenize", tokenize}, {"detokenize", detokenize},
                {"hidden", hidden},     {"attention", attention},
                {"logits", logits},     {"next", next},
                {"fill", fill},         {"perplexity", perplexity},
                {"lens", lens},         {"generate", generate}};

const struct option python_options[] = {
    {0, "as-python", OPT_FLAG, &cli.python, NULL,
     "print the Python that would compute the same, with numpy, gensim and transformers", NULL},
    OPTIONS_END};

int show_python(void)
{
    const char *name = cli.command->name;
    struct out o = {0};
    int status = 0;

    if (strcmp(name, "embedding") != 0) {
        status = open_model();
        if (status)
            return status;
        if (cli.transform)
            return fail("--as-python knows no --transform");
        if (family() == WTE_FAMILY_VECTORS) {
            status = open_space();
            if (status == 0)
                status =
                    python_vectors(&o, "", wte_model_get_info(cli.model)->path, cli.info->format);
            o.n = 0;
            if (status)
                return status;
        }
    }
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        if (strcmp(programs[i].name, name) == 0)
            programs[i].write(&o);
    if (!o.n)
        status = fail("--as-python has nothing for this command line");
    else if (fwrite(o.data, 1, o.n, stdout) != o.n || fflush(stdout) != 0)
        status = fail("standard output: cannot write");
    out_free(&o);
    return status;
}
