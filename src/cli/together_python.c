/* SPDX-License-Identifier: MIT */
/* together_python.c - the same in Python, of commands of several models
 *
 * The program makes `words`, a list, and `spaces`, a dict of float64 matrices by name with a row for
 * each word, as a person with numpy, gensim and transformers would; what a command computes of them
 * it adds. It is written for these models and these words, so that it runs as it is. */
#include <stdlib.h>
#include <string.h>

#include "python.h"
#include "together.h"

static bool is_vectors(const struct partner *p)
{
    return p->info->family == WTE_FAMILY_VECTORS;
}

/* "a", "b", ...: names of the models' variables. */
static char letter(size_t i)
{
    return (char)('a' + i % 26);
}

static int load_vectors(struct out *o, const struct partner *p, size_t i)
{
    return python_vectors(o, (char[]){letter(i), 0}, p->info->path, p->space_info->format);
}

static void load_network(struct out *o, const struct partner *p, size_t i)
{
    out_format(o, "%c_tokens = AutoTokenizer.from_pretrained(", letter(i));
    python_text(o, p->info->path);
    out_format(o, ")\n%c = %s.from_pretrained(", letter(i),
               cli.embeddings && !asked.layer ? "AutoModelForPreTraining" : "AutoModel");
    python_text(o, p->info->path);
    out_format(o, ")\n%c_wte = %c.get_%s_embeddings().weight.detach().numpy()\n", letter(i),
               letter(i), cli.embeddings && !asked.layer ? "output" : "input");
}

/* How a row is made of the rows of a word's tokens. */
static const char *pooled(void)
{
    return cli.pool == WTE_POOL_FIRST ? "[0]" : cli.pool == WTE_POOL_LAST ? "[-1]" : ".mean(0)";
}

/* A function from a word to its row, or with --layer to its rows of all layers. */
static void define_row(struct out *o, const struct partner *p, size_t i)
{
    const char c = letter(i), *space = p->prefix_space ? "\" \" + " : "";

    if (is_vectors(p)) {
        out_format(o, "\n\ndef %c_row(word):\n    return %c[word]\n", c, c);
    } else if (!asked.layer) {
        out_format(o,
                   "\n\ndef %c_row(word):\n"
                   "    ids = %c_tokens(%sword, add_special_tokens=False).input_ids\n"
                   "    return %c_wte[ids]%s\n",
                   c, c, space, c, pooled());
    } else {
        const bool bert = p->info->family == WTE_FAMILY_BERT;

        out_format(o,
                   "\n\ndef %c_rows(word):\n"
                   "    with torch.no_grad():\n"
                   "        states = %c(**%c_tokens(%sword, return_tensors=\"pt\"),\n"
                   "                   output_hidden_states=True).hidden_states\n"
                   "    return [s[0%s].numpy()%s for s in states]\n",
                   c, c, c, space, bert ? ", 1:-1" : "", pooled());
    }
}

/* The condition that a word of A is in model i. */
static void out_condition(struct out *o, const struct partner *p, size_t i)
{
    if (is_vectors(p))
        out_format(o, " and w in %c.key_to_index", letter(i));
    else
        out_format(o, " and %sw in %c_set", p->prefix_space ? "\" \" + " : "", letter(i));
}

static int match_words(struct out *o, const struct together *t)
{
    const struct partner *a = &t->partners[0];

    if (cli.pool != WTE_POOL_NONE || asked.any_case)
        return fail("--as-python writes no --match with --pool or --any-case");
    for (size_t i = 0; i < t->n_partners; i++)
        if (!is_vectors(&t->partners[i]))
            out_format(o,
                       "%c_list = [%c_tokens.decode([i], clean_up_tokenization_spaces=False)\n"
                       "          for i in range(len(%c_wte))]\n"
                       "%c_set = set(%c_list)\n",
                       letter(i), letter(i), letter(i), letter(i), letter(i));
    if (is_vectors(a))
        out_text(o, "words = [w for w in a.index_to_key if ");
    else if (a->prefix_space)
        out_text(
            o, "words = [w[1:] for w in a_list if w[:1] == \" \"]\nwords = [w for w in words if ");
    else
        out_text(o, "words = [w for w in a_list if ");
    if (asked.length)
        out_format(o, "len(w) == %zu", asked.length);
    else
        out_text(o, "w");
    for (size_t i = 1; i < t->n_partners; i++)
        out_condition(o, &t->partners[i], i);
    out_text(o, "]");
    if (asked.limit)
        out_format(o, "[:%zu]", asked.limit);
    out_text(o, "\n");
    return 0;
}

static void list_words(struct out *o)
{
    out_text(o, "words = [");
    for (size_t i = 0; i < cli.words.n; i++) {
        out_text(o, i ? ", " : "");
        python_text(o, cli.words.items[i]);
    }
    out_text(o, "]\n");
    if (cli.words_file) {
        out_text(o, "with open(");
        python_text(o, cli.words_file);
        out_text(o, ", encoding=\"utf-8\") as lines:\n"
                    "    words += [line.rstrip(\"\\r\\n\").split(\"\\t\")[0] for line in lines]\n");
    }
    if (asked.bridge) {
        out_text(o, "with open(");
        python_text(o, asked.bridge);
        out_text(o, ", encoding=\"utf-8\") as lines:\n"
                    "    next(lines)\n"
                    "    words += [line.split(\"\\t\")[0] for line in lines]\n");
    }
}

/* One entry of the dict for each model, or for each layer of it. */
static void fill_spaces(struct out *o, const struct together *t)
{
    out_text(o, "\n\nspaces = {}\n");
    for (size_t i = 0; i < t->n_partners; i++) {
        const struct partner *p = &t->partners[i];
        const bool all = asked.layer && strcmp(asked.layer, "all") == 0;
        struct out name = {0};

        out_text(&name, p->info->name);
        if (is_namesake(t, i))
            out_format(&name, " (%c)", letter(i));
        if (asked.layer && !is_vectors(p)) {
            const char *at = asked.layer;

            for (size_t j = 0; j < i && strchr(at, ','); j++)
                at = strchr(at, ',') + 1;
            out_format(o, "%c_layers = np.array([%c_rows(w) for w in words], dtype=np.float64)\n",
                       letter(i), letter(i));
            if (all)
                out_format(o, "for layer in range(%c_layers.shape[1]):\n    spaces[f", letter(i));
            else
                out_format(o, "for layer in [%.*s]:\n    spaces[f", (int)strcspn(at, ","), at);
            out_text(&name, " layer {layer}");
            python_text(o, name.data);
            out_format(o, "] = %c_layers[:, layer]\n", letter(i));
        } else {
            out_text(o, "spaces[");
            python_text(o, name.data);
            out_format(o, "] = np.array([%c_row(w) for w in words], dtype=np.float64)\n",
                       letter(i));
        }
        out_free(&name);
    }
}

int print_python(const struct together *t, const char *imports, const char *code, bool words)
{
    bool vectors = false, networks = false;
    struct out o = {0};
    int status = 0;

    if (reads_queries() || (cli.words_file && strcmp(cli.words_file, "-") == 0))
        return fail("--as-python writes no words of standard input");
    if (cli.transform || asked.skip_missing)
        return fail("--as-python writes no --transform and no --skip-missing");
    for (size_t i = 0; i < t->n_partners; i++) {
        vectors |= is_vectors(&t->partners[i]);
        networks |= !is_vectors(&t->partners[i]);
    }
    out_text(&o, "import itertools\n\nimport numpy as np\n");
    out_text(&o, imports);
    if (networks && asked.layer)
        out_text(&o, "import torch\n");
    if (vectors)
        out_text(&o, "from gensim.models import KeyedVectors\n");
    if (networks)
        out_format(&o, "from transformers import AutoModel%s, AutoTokenizer\n",
                   cli.embeddings && !asked.layer ? "ForPreTraining" : "");
    out_text(&o, "\n");
    for (size_t i = 0; i < t->n_partners && status == 0; i++) {
        if (is_vectors(&t->partners[i]))
            status = load_vectors(&o, &t->partners[i], i);
        else
            load_network(&o, &t->partners[i], i);
    }
    if (status == 0 && words && asked.match)
        status = match_words(&o, t);
    else if (status == 0 && words)
        list_words(&o);
    if (status == 0 && words)
        for (size_t i = 0; i < t->n_partners; i++)
            define_row(&o, &t->partners[i], i);
    if (status == 0 && words) {
        fill_spaces(&o, t);
    } else if (status == 0) {
        out_text(&o, "\nspaces = {}\n");
        for (size_t i = 0; i < t->n_partners; i++) {
            out_text(&o, "spaces[");
            python_text(&o, t->partners[i].info->name);
            out_format(&o, is_vectors(&t->partners[i]) ? "] = %c.vectors\n" : "] = %c_wte\n",
                       letter(i));
        }
    }
    out_text(&o, code);
    if (status == 0 && (fwrite(o.data, 1, o.n, stdout) != o.n || fflush(stdout) != 0))
        status = fail("standard output: cannot write");
    out_free(&o);
    return status;
}
