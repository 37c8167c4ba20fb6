/* SPDX-License-Identifier: MIT */
/* search.c - the steps of a search: kept while it runs, written as JSON, drawn as a tree
 *
 * The library tells each step while it is taken, with arrays of its own that live no longer than
 * the call, so a step is copied. What a beam holds is not told but follows from the steps: a
 * candidate that continues beam b and becomes beam c puts a node under the node that b stood on.
 *
 * The tree is drawn as a trunk with branches. At each fork the trunk goes on with the child that
 * leads to the best sequence, and where none leads to one, with the child that lived longest; the
 * others hang beside it. So the page grows downwards with the text and not to the right with the
 * number of forks. Beams that hold the same tokens share their nodes. Tokens that were only
 * considered are in the trace, not in the tree.
 *
 *     The theory
 *     │ ␣of 71%
 *     ├─ ␣that 12%  ␣the 31%  ✗
 *     │ ␣relativity 4.1%
 *     ├─┬ ␣, 22%
 *     │ ├─ ␣and 10%  ✗
 *     │ ╰─ ␣which 31%  ● 2
 *     ╰─ ␣is 35%  . 2.1%  ● 1 */
#include "sampling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- keeping ---------------------------------------------------------------------------- */

int keep_search_step(void *data, const wte_trace_step *step)
{
    struct search *s = data;
    struct search_step *kept;
    size_t n_probs = step->n * step->n_stages;

    s->steps = need_more(s->steps, &s->capacity, s->n + 1, sizeof *s->steps);
    kept = &s->steps[s->n++];
    *kept = (struct search_step){step->step, step->prompt, step->n, NULL, NULL};
    kept->candidates = need_memory(step->n, sizeof *kept->candidates);
    kept->stage_probs = need_memory(n_probs, sizeof *kept->stage_probs);
    if (step->n)
        memcpy(kept->candidates, step->candidates, step->n * sizeof *kept->candidates);
    if (n_probs)
        memcpy(kept->stage_probs, step->stage_probs, n_probs * sizeof *kept->stage_probs);
    for (size_t i = s->stages.n; i < step->n_stages; i++) {
        size_t len = strlen(step->stages[i]) + 1;

        add_text(&s->stages, memcpy(need_memory(len, 1), step->stages[i], len));
    }
    return signals_caught() != 0;
}

void free_search(struct search *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->steps[i].candidates);
        free(s->steps[i].stage_probs);
    }
    for (size_t i = 0; i < s->stages.n; i++)
        free((char *)s->stages.items[i]);
    free(s->stages.items);
    free(s->steps);
    memset(s, 0, sizeof *s);
}

/* ---- JSON ------------------------------------------------------------------------------- */

static void json_candidate(struct out *o, const struct search *s, const struct search_step *step,
                           size_t i, const struct prompt *p)
{
    static const char *const chosen[] = {"dropped", "continues", "ends"};
    const wte_candidate *c = &step->candidates[i];

    json_open(o, '{');
    json_token(o, p, c->id);
    json_key(o, "beam");
    json_count(o, c->beam);
    json_key(o, "logit");
    json_float(o, c->logit);
    json_key(o, "prob");
    json_float(o, c->prob);
    json_key(o, "stage_probs");
    json_floats(o, step->stage_probs + i * s->stages.n, s->stages.n);
    json_key(o, "processed");
    json_float(o, c->processed);
    json_key(o, "score");
    json_double(o, c->score);
    json_key(o, "chosen");
    json_text(o, chosen[c->chosen]);
    if (c->chosen == 1) {
        json_key(o, "next_beam");
        json_count(o, c->next_beam);
    }
    json_close(o, '}');
}

void json_search(struct out *o, const struct search *s, size_t prompt, const struct prompt *p)
{
    json_key(o, "stages");
    json_open(o, '[');
    for (size_t i = 0; i < s->stages.n; i++)
        json_text(o, s->stages.items[i]);
    json_close(o, ']');
    json_key(o, "trace");
    json_open(o, '[');
    for (size_t i = 0; i < s->n; i++) {
        if (s->steps[i].prompt != prompt)
            continue;
        json_open(o, '{');
        json_key(o, "step");
        json_count(o, s->steps[i].step);
        json_key(o, "candidates");
        json_open(o, '[');
        for (size_t j = 0; j < s->steps[i].n; j++)
            json_candidate(o, s, &s->steps[i], j, p);
        json_close(o, ']');
        json_close(o, '}');
    }
    json_close(o, ']');
}

/* ---- the tree --------------------------------------------------------------------------- */

enum { DEEPEST = 40 };
#define NOBODY UINT32_MAX

struct node {
    uint32_t id, parent, first, last, next; /* children are a list; 0: none, as 0 is the root */
    float prob;
    bool ended;      /* it finished a hypothesis */
    uint32_t rank;   /* of the best returned sequence that goes through it, from 0; else NOBODY */
    uint32_t height; /* tokens below it */
};

struct tree {
    struct node *nodes;
    size_t n, capacity;
    uint32_t *ends; /* [n_sequences] the node in which a returned sequence ends, 0: not found */
    size_t n_sequences;
    const wte_generated *sequences;
    const struct prompt *p;
    struct out *o;
    size_t column, width;
};

static uint32_t child_of(const struct tree *t, uint32_t parent, uint32_t id, bool ended)
{
    uint32_t at = t->nodes[parent].first;

    while (at && (t->nodes[at].id != id || t->nodes[at].ended != ended))
        at = t->nodes[at].next;
    return at;
}

static uint32_t add_node(struct tree *t, uint32_t parent, const wte_candidate *c)
{
    uint32_t at = child_of(t, parent, c->id, c->chosen == 2);

    if (at)
        return at;
    t->nodes = need_more(t->nodes, &t->capacity, t->n + 1, sizeof *t->nodes);
    at = (uint32_t)t->n++;
    t->nodes[at] = (struct node){c->id, parent, 0, 0, 0, c->prob, c->chosen == 2, NOBODY, 0};
    if (t->nodes[parent].last)
        t->nodes[t->nodes[parent].last].next = at;
    else
        t->nodes[parent].first = at;
    t->nodes[parent].last = at;
    return at;
}

/* Follow the beams through the steps. `at` says on which node each beam stands, the root at first.
 */
static void grow_tree(struct tree *t, const struct search *s, size_t prompt)
{
    uint32_t *at, *next;
    size_t n_beams = 1;

    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < s->steps[i].n; j++) {
            const wte_candidate *c = &s->steps[i].candidates[j];
            size_t most = c->beam > c->next_beam ? c->beam : c->next_beam;

            n_beams = most < n_beams ? n_beams : most + 1;
        }
    at = need_memory(2 * n_beams, sizeof *at);
    next = at + n_beams;
    t->nodes = need_more(t->nodes, &t->capacity, 1, sizeof *t->nodes);
    t->nodes[t->n++] = (struct node){0, 0, 0, 0, 0, 1, false, NOBODY, 0};
    for (size_t i = 0; i < s->n; i++) {
        const struct search_step *step = &s->steps[i];

        if (step->prompt != prompt)
            continue;
        memcpy(next, at, n_beams * sizeof *at);
        for (size_t j = 0; j < step->n; j++) {
            const wte_candidate *c = &step->candidates[j];
            uint32_t node = c->chosen ? add_node(t, at[c->beam], c) : 0;

            if (c->chosen == 1)
                next[c->next_beam] = node;
        }
        memcpy(at, next, n_beams * sizeof *at);
    }
    free(at);
}

/* The node in which a sequence ends. A hypothesis that was finished by any EOS is given the first
 * of the list, so its last id need not be that of the node. */
static uint32_t end_of(const struct tree *t, const wte_generated *g)
{
    uint32_t at = 0;

    for (size_t i = g->n_prompt; i < g->n; i++) {
        bool last = i + 1 == g->n;
        uint32_t child = last && g->finish == WTE_FINISH_EOS ? child_of(t, at, g->ids[i], true) : 0;

        if (!child)
            child = child_of(t, at, g->ids[i], false);
        for (uint32_t c = t->nodes[at].first; !child && last && c; c = t->nodes[c].next)
            child = t->nodes[c].ended ? c : 0;
        if (!child)
            return 0;
        at = child;
    }
    return at;
}

/* Children stand behind their parents in the array. */
static void rank_nodes(struct tree *t)
{
    for (size_t i = t->n_sequences; i-- > 0;) {
        t->ends[i] = end_of(t, &t->sequences[i]);
        t->nodes[t->ends[i]].rank = (uint32_t)i;
    }
    for (size_t i = t->n; i-- > 1;) {
        const struct node *node = &t->nodes[i];
        struct node *parent = &t->nodes[node->parent];

        if (node->rank < parent->rank)
            parent->rank = node->rank;
        if (node->height >= parent->height)
            parent->height = node->height + 1;
    }
}

static bool better(const struct node *a, const struct node *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->height > b->height;
}

static uint32_t trunk_of(const struct tree *t, uint32_t node)
{
    uint32_t best = t->nodes[node].first;

    for (uint32_t c = best; c; c = t->nodes[c].next)
        if (better(&t->nodes[c], &t->nodes[best]))
            best = c;
    return best;
}

static bool ends_here(const struct tree *t, uint32_t node)
{
    for (size_t i = 0; i < t->n_sequences; i++)
        if (t->ends[i] == node && node)
            return true;
    return false;
}

static bool is_fork(const struct tree *t, uint32_t node)
{
    return t->nodes[node].first != t->nodes[node].last;
}

/* Write one thing of a line; where it does not fit, the line is ended and `go_on` begins the next.
 */
static void put_item(struct tree *t, const char *text, size_t len, const char *go_on)
{
    size_t width = display_width(text, len), indent = display_width(go_on, strlen(go_on));

    if (t->column > indent && t->column + 2 + width > t->width) {
        out_text(t->o, "\n");
        out_text(t->o, go_on);
        t->column = indent;
    } else if (t->column > indent) {
        out_text(t->o, "  ");
        t->column += 2;
    }
    out_bytes(t->o, text, len);
    t->column += width;
}

static void put_percent(struct out *o, double p)
{
    double percent = 100 * p;

    if (percent < 0.05)
        out_text(o, "<.1%");
    else
        out_format(o, percent < 9.95 ? "%.1f%%" : "%.0f%%", percent);
}

static void put_node(struct tree *t, uint32_t node, const char *go_on)
{
    struct token token;
    struct out item = {0};

    token_text(t->p, t->nodes[node].id, &token);
    out_word(&item, token.text, token.len);
    out_text(&item, " ");
    put_percent(&item, (double)t->nodes[node].prob);
    put_item(t, item.data, item.n, go_on);
    out_free(&item);
}

/* What became of the branch that ends in a leaf, or of the sequences that end in a node. */
static void put_mark(struct tree *t, uint32_t node, const char *go_on)
{
    struct out item = {0};

    for (size_t i = 0; i < t->n_sequences; i++)
        if (t->ends[i] == node)
            out_format(&item, "%s%s%zu", item.n ? " " : "",
                       t->sequences[i].finish == WTE_FINISH_EOS ||
                               t->sequences[i].finish == WTE_FINISH_STOP_STRING
                           ? "● "
                           : "○ ",
                       i + 1);
    if (!item.n)
        out_text(&item, t->nodes[node].ended ? "●" : "✗");
    put_item(t, item.data, item.n, go_on);
    out_free(&item);
}

static enum style style_of(const struct tree *t, uint32_t node)
{
    uint32_t rank = t->nodes[node].rank;

    return rank == NOBODY ? DIM : rank == 0 ? BOLD : PLAIN;
}

/* Write tokens from `node` up to the next fork or end; returns the last one written. */
static uint32_t put_run(struct tree *t, uint32_t node, const char *lead, const char *go_on)
{
    bool leaf = false;

    out_text(t->o, lead);
    t->column = display_width(lead, strlen(lead));
    out_style(t->o, style_of(t, node));
    for (;; node = t->nodes[node].first) {
        put_node(t, node, go_on);
        leaf = !t->nodes[node].first;
        if (leaf || ends_here(t, node))
            put_mark(t, node, go_on);
        if (leaf || is_fork(t, node))
            break;
    }
    out_style(t->o, PLAIN);
    out_text(t->o, "\n");
    return node;
}

static char *joined(const char *a, const char *b)
{
    struct out o = {0};

    out_text(&o, a);
    out_text(&o, b);
    return o.data;
}

static bool forks_below(const struct tree *t, uint32_t node)
{
    while (t->nodes[node].first && !is_fork(t, node))
        node = t->nodes[node].first;
    return t->nodes[node].first != 0;
}

static void put_trunk(struct tree *t, uint32_t fork, const char *prefix);

/* A child beside the trunk: one run, or a trunk of its own with its bar under the second column. */
static void put_branch(struct tree *t, uint32_t node, const char *prefix)
{
    bool forks = forks_below(t, node);
    char *lead = joined(prefix, forks ? "├─┬ " : "├─ ");
    char *go_on = joined(prefix, forks ? "│ │ " : "│  "), *inner = joined(prefix, "│ ");
    uint32_t end = put_run(t, node, lead, go_on);

    if (forks && display_width(inner, strlen(inner)) <= DEEPEST)
        put_trunk(t, end, inner);
    else if (forks)
        out_format(t->o, "%s╰─ …\n", inner);
    free(lead);
    free(go_on);
    free(inner);
}

/* Everything below a fork: the branches beside the trunk, then the trunk up to the next fork. */
static void put_trunk(struct tree *t, uint32_t fork, const char *prefix)
{
    char *bar = joined(prefix, "│ "), *last = joined(prefix, "╰─ "), *blank = joined(prefix, "   ");

    while (t->nodes[fork].first) {
        uint32_t trunk = trunk_of(t, fork);

        for (uint32_t c = t->nodes[fork].first; c; c = t->nodes[c].next)
            if (c != trunk)
                put_branch(t, c, prefix);
        fork = forks_below(t, trunk) ? put_run(t, trunk, bar, bar) : put_run(t, trunk, last, blank);
    }
    free(bar);
    free(last);
    free(blank);
}

void show_tree(struct out *o, const struct search *s, size_t prompt, const struct prompt *p,
               const wte_generated *sequences, size_t n)
{
    struct tree t = {NULL, 0, 0, NULL, n, sequences, p, o, 0, terminal_width()};

    t.ends = need_memory(n, sizeof *t.ends);
    grow_tree(&t, s, prompt);
    rank_nodes(&t);
    put_trunk(&t, 0, "");
    out_style(o, DIM);
    out_text(o, "% by the network; ● ended, ○ cut off (number: sequence below); ✗ pruned\n");
    out_style(o, PLAIN);
    free(t.ends);
    free(t.nodes);
}

int draw_tree(const struct search *s, size_t prompt, const struct prompt *p,
              const wte_generated *sequences, size_t n)
{
    struct tree t = {NULL, 0, 0, NULL, n, sequences, p, NULL, 0, 0};
    unsigned char *marked;
    double *weights;
    char **texts;
    int *parents;
    wte_axes axes = figure_axes(NULL, NULL, NULL);
    wte_figure *figure;
    wte_error err = {0};

    t.ends = need_memory(n, sizeof *t.ends);
    grow_tree(&t, s, prompt);
    rank_nodes(&t);
    parents = need_memory(t.n, sizeof *parents);
    texts = need_memory(t.n, sizeof *texts);
    weights = need_memory(t.n, sizeof *weights);
    marked = need_memory(t.n, sizeof *marked);
    for (size_t i = 0; i < t.n; i++) {
        const struct node *node = &t.nodes[i];
        struct token token;
        struct out text = {0};

        if (i) {
            token_text(p, node->id, &token);
            out_word(&text, token.text, token.len);
            out_text(&text, "  ");
            put_percent(&text, (double)node->prob);
            if (node->ended)
                out_text(&text, " ●");
        } else {
            out_text(&text, "prompt");
        }
        out_bytes(&text, "", 1);
        parents[i] = i ? (int)node->parent : -1;
        texts[i] = text.data;
        weights[i] = (double)node->prob;
        marked[i] = node->rank != NOBODY;
    }
    figure = figure_begin(p->model);
    if (figure && wte_figure_panel(figure, &axes, 0, &err) == WTE_OK)
        wte_figure_tree(figure, parents, (const char *const *)texts, weights, marked, t.n, &err);
    figure_labels_free(texts, t.n);
    free(marked);
    free(weights);
    free(parents);
    free(t.ends);
    free(t.nodes);
    return figure_end(figure, &err);
}
