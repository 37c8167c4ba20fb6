/* SPDX-License-Identifier: MIT */
/* topk.c - the k best of a scan
 *
 * A binary heap in the caller's array, the worst kept item on top: items[i] is never better than
 * items[2i + 1] and items[2i + 2]. While a scan runs nearly every score is below the top, so the
 * common case is one comparison; callers compare whole blocks with wte__topk_threshold() first.
 *
 * The order is total (higher score first, then lower id), so the result does not depend on the
 * order of the offers, and lists of several threads can be merged by offering one to the other. */
#include "kernel/kernel.h"
#include <math.h>
#include <stdbool.h>

static bool worse(wte__ranked x, wte__ranked y)
{
    return x.score < y.score || (x.score == y.score && x.id > y.id);
}

/* Let an item sink from the top of items[0..n) to its place. */
static void sink(wte__ranked *items, size_t n, wte__ranked item)
{
    size_t at = 0;

    for (size_t child = 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && worse(items[child + 1], items[child]))
            child++;
        if (!worse(items[child], item))
            break;
        items[at] = items[child];
        at = child;
    }
    items[at] = item;
}

static void rise(wte__ranked *items, size_t at, wte__ranked item)
{
    while (at > 0 && worse(item, items[(at - 1) / 2])) {
        items[at] = items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    items[at] = item;
}

void wte__topk_init(wte__topk *t, wte__ranked *items, size_t k)
{
    *t = (wte__topk){.items = items, .k = k, .n = 0};
}

void wte__topk_push(wte__topk *t, float score, uint32_t id)
{
    wte__ranked item = {score, id};

    if (isnan(score))
        return;
    if (t->n < t->k)
        rise(t->items, t->n++, item);
    else if (t->k > 0 && worse(t->items[0], item))
        sink(t->items, t->n, item);
}

float wte__topk_threshold(const wte__topk *t)
{
    if (t->n < t->k)
        return -INFINITY;
    return t->k > 0 ? t->items[0].score : INFINITY;
}

/* Take the worst away again and again: each goes behind those that remain. */
void wte__topk_sort(wte__topk *t)
{
    for (size_t n = t->n; n > 1; n--) {
        wte__ranked worst = t->items[0];
        sink(t->items, n - 1, t->items[n - 1]);
        t->items[n - 1] = worst;
    }
}
