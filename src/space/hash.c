/* SPDX-License-Identifier: MIT */
/* hash.c - from a word to its row
 *
 * Open addressing with linear probing over row ids: a search starts at the low bits of the word's
 * hash and ends at the word or at a free slot. The slots hold nothing but ids, so the table of 3
 * million words is 16 MB and can be mapped from a file as it is.
 *
 * Building it row by row would miss the cache at every row, and once more for each occupied slot
 * whose hash has to be looked up. So the table is built in partitions of 2^15 slots: rows are first
 * dealt out to the partition in which they start (a counting sort, which keeps them in order), then
 * each partition is filled in a scratch table of (hash, id) that fits the second-level cache. A row
 * that would probe past the end of its partition is put aside; these few are inserted last, in row
 * order, into the whole table. Two rows with the same word start in the same slot, so they meet in
 * one partition or among those put aside. Whether the first came to rest in the partition and the
 * second was put aside does not matter either: the second then finds the first on its way. The
 * table depends on the words only, not on the number of threads.
 *
 * Equal hashes are compared by the words themselves.
 *
 * Words in a file may be chosen so that they all start in one slot, and n of them would take n * n
 * / 2 steps. Of words that were not, however many, none lies WTE__MAX_PROBES slots from its start:
 * at three quarters full a run of m taken slots has a chance of about exp(-0.038 m). So a table in
 * which a word would have to go further is given up and built again with the next seed. The seed is
 * kept with the table, and the common one, 0, costs nothing. */
#include "space/backing.h"

enum {
    PARTITION_BITS = 15,
    PARTITION_SLOTS = 1 << PARTITION_BITS,
    DEAL_ROWS = 1 << 16, /* rows dealt out as one block */
    AHEAD = 16,          /* rows whose hashes are asked for in advance */
    MAX_SEEDS = 8
};

typedef struct entry {
    uint32_t hash, id;
} entry;

typedef struct builder {
    const char *words;
    const uint64_t *word_offsets;
    uint32_t *hashes;
    uint32_t n;
    uint64_t seed;
    _Atomic bool crowded; /* a word would lie too far from its start */
    size_t n_slots, n_partitions, n_blocks;
    uint32_t *table;
    float *norms, *scales;
    uint32_t *counts;       /* [n_blocks, n_partitions] entries, then where they go */
    uint32_t *starts;       /* [n_partitions + 1] into dealt */
    uint32_t *dealt;        /* [n] row ids by partition */
    entry *scratch;         /* [n_workers, PARTITION_SLOTS] */
    uint32_t *n_aside;      /* [n_partitions]: that many entries moved to the partition's front */
    uint32_t *n_duplicates; /* [n_partitions] */
} builder;

size_t wte__hash_slots(uint32_t n)
{
    size_t slots = 16;

    while (slots - slots / 4 < n)
        slots *= 2;
    return slots;
}

static bool same_word(const builder *b, uint32_t i, uint32_t j)
{
    uint64_t begin_i = b->word_offsets[i], len_i = b->word_offsets[i + 1] - begin_i;
    uint64_t begin_j = b->word_offsets[j], len_j = b->word_offsets[j + 1] - begin_j;

    return len_i == len_j && memcmp(b->words + begin_i, b->words + begin_j, len_i) == 0;
}

static void drop(builder *b, uint32_t id)
{
    if (b->norms)
        b->norms[id] = 0;
    if (b->scales)
        b->scales[id] = 0;
}

static size_t partition_of(const builder *b, uint32_t hash)
{
    return (hash & (b->n_slots - 1)) >> PARTITION_BITS;
}

static void count_block(void *ctx, size_t block, unsigned worker)
{
    builder *b = ctx;
    uint32_t *counts = b->counts + block * b->n_partitions;
    size_t begin = block * DEAL_ROWS, end = b->n - begin < DEAL_ROWS ? b->n : begin + DEAL_ROWS;

    (void)worker;
    for (size_t i = begin; i < end; i++)
        counts[partition_of(b, b->hashes[i])]++;
}

static void deal_block(void *ctx, size_t block, unsigned worker)
{
    builder *b = ctx;
    uint32_t *place = b->counts + block * b->n_partitions;
    size_t begin = block * DEAL_ROWS, end = b->n - begin < DEAL_ROWS ? b->n : begin + DEAL_ROWS;

    (void)worker;
    for (size_t i = begin; i < end; i++)
        b->dealt[place[partition_of(b, b->hashes[i])]++] = (uint32_t)i;
}

/* Counts become places: partitions one after another, in each the blocks in order. */
static void assign_places(builder *b)
{
    uint32_t place = 0;

    for (size_t p = 0; p < b->n_partitions; p++) {
        b->starts[p] = place;
        for (size_t block = 0; block < b->n_blocks; block++) {
            uint32_t count = b->counts[block * b->n_partitions + p];

            b->counts[block * b->n_partitions + p] = place;
            place += count;
        }
    }
    b->starts[b->n_partitions] = place;
}

static void fill_partition(void *ctx, size_t p, unsigned worker)
{
    builder *b = ctx;
    const size_t n_slots = b->n_slots < PARTITION_SLOTS ? b->n_slots : PARTITION_SLOTS;
    entry *slots = b->scratch + (size_t)worker * PARTITION_SLOTS;
    uint32_t *dealt = b->dealt + b->starts[p];
    uint32_t n = b->starts[p + 1] - b->starts[p];
    uint32_t n_aside = 0;

    memset(slots, 0xFF, n_slots * sizeof *slots);
    for (uint32_t i = 0; i < n; i++) {
        __builtin_prefetch(&b->hashes[dealt[i + AHEAD < n ? i + AHEAD : i]]);
        entry e = {b->hashes[dealt[i]], dealt[i]};
        const size_t start = e.hash & (n_slots - 1);
        size_t s = start;

        while (s < n_slots && slots[s].id != UINT32_MAX &&
               (slots[s].hash != e.hash || !same_word(b, slots[s].id, e.id)))
            s++;
        if (s - start >= WTE__MAX_PROBES) {
            b->crowded = true;
            return;
        }
        if (s == n_slots) {
            dealt[n_aside++] = e.id;
        } else if (slots[s].id == UINT32_MAX) {
            slots[s] = e;
        } else {
            b->n_duplicates[p]++;
            drop(b, e.id);
        }
    }
    b->n_aside[p] = n_aside;
    for (size_t s = 0; s < n_slots; s++)
        b->table[p * PARTITION_SLOTS + s] = slots[s].id;
}

/* Insert a row that was put aside into the whole table; false for a duplicate. */
static bool insert(builder *b, uint32_t id)
{
    const uint32_t hash = b->hashes[id];
    size_t s = hash & (b->n_slots - 1);

    for (size_t probes = 0; b->table[s] != UINT32_MAX; s = (s + 1) & (b->n_slots - 1)) {
        if (++probes >= WTE__MAX_PROBES) {
            b->crowded = true;
            return true;
        }
        if (b->hashes[b->table[s]] == hash && same_word(b, b->table[s], id))
            return false;
    }
    b->table[s] = id;
    return true;
}

static void hash_block(void *ctx, size_t block, unsigned worker)
{
    builder *b = ctx;
    size_t begin = block * DEAL_ROWS, end = b->n - begin < DEAL_ROWS ? b->n : begin + DEAL_ROWS;

    (void)worker;
    for (size_t i = begin; i < end; i++)
        b->hashes[i] = (uint32_t)wte__hash_seeded(
            b->words + b->word_offsets[i], b->word_offsets[i + 1] - b->word_offsets[i], b->seed);
}

/* Build the table for one seed; returns the number of duplicates. */
static uint32_t fill(builder *b, unsigned n_workers)
{
    uint32_t n_duplicates = 0;

    b->crowded = false;
    memset(b->counts, 0, b->n_blocks * b->n_partitions * sizeof *b->counts);
    memset(b->n_duplicates, 0, b->n_partitions * sizeof *b->n_duplicates);
    wte__parallel(b->n_blocks, n_workers, count_block, b);
    assign_places(b);
    wte__parallel(b->n_blocks, n_workers, deal_block, b);
    wte__parallel(b->n_partitions, n_workers, fill_partition, b);
    for (size_t p = 0; p < b->n_partitions && !b->crowded; p++) {
        n_duplicates += b->n_duplicates[p];
        for (uint32_t i = 0; i < b->n_aside[p] && !b->crowded; i++)
            if (!insert(b, b->dealt[b->starts[p] + i])) {
                n_duplicates++;
                drop(b, b->dealt[b->starts[p] + i]);
            }
    }
    return n_duplicates;
}

wte_status wte__hash_build(const char *words, const uint64_t *word_offsets, uint32_t *hashes,
                           uint32_t n, unsigned n_threads, uint32_t *table, uint64_t *seed,
                           float *norms, float *scales, uint32_t *n_duplicates, wte_error *err)
{
    builder b = {.words = words, .word_offsets = word_offsets, .hashes = hashes, .n = n};
    uint64_t state = 0;
    unsigned n_workers;
    wte_status status = WTE_E_NOMEM;

    b.n_slots = wte__hash_slots(n);
    b.n_partitions = (b.n_slots + PARTITION_SLOTS - 1) / PARTITION_SLOTS;
    b.n_blocks = ((size_t)n + DEAL_ROWS - 1) / DEAL_ROWS;
    b.table = table;
    b.norms = norms;
    b.scales = scales;
    n_workers = wte__threads(n_threads, b.n_partitions);
    b.counts = wte__calloc(b.n_blocks + 1, b.n_partitions * sizeof *b.counts);
    b.starts = wte__calloc(b.n_partitions + 1, sizeof *b.starts);
    b.n_aside = wte__calloc(b.n_partitions, sizeof *b.n_aside);
    b.n_duplicates = wte__calloc(b.n_partitions, sizeof *b.n_duplicates);
    b.dealt = wte__alloc_aligned((size_t)n + 1, sizeof *b.dealt);
    b.scratch = wte__alloc_aligned(n_workers, PARTITION_SLOTS * sizeof *b.scratch);
    if (!b.counts || !b.starts || !b.n_aside || !b.n_duplicates || !b.dealt || !b.scratch) {
        wte__fail(err, WTE_E_NOMEM, "no memory for a hash of %u words", n);
        goto done;
    }
    *n_duplicates = fill(&b, n_workers);
    for (int tries = 1; b.crowded && tries < MAX_SEEDS; tries++) {
        b.seed = wte__random(&state);
        wte__parallel(b.n_blocks, n_workers, hash_block, &b);
        *n_duplicates = fill(&b, n_workers);
    }
    status = b.crowded
                 ? wte__fail(err, WTE_E_FORMAT,
                             "the words were made to collide: no hash spreads all %u of them", n)
                 : WTE_OK;
    *seed = b.seed;
done:
    wte__free(b.scratch);
    wte__free(b.dealt);
    wte__free(b.n_duplicates);
    wte__free(b.n_aside);
    wte__free(b.starts);
    wte__free(b.counts);
    return status;
}

uint32_t wte__hash_find(const wte_space *space, const char *word, size_t len)
{
    size_t s = wte__hash_seeded(word, len, space->hash_seed) & space->hash_mask;

    /* a table from a damaged file may be full, or hold anything */
    for (size_t tries = 0; tries <= space->hash_mask && tries < WTE__MAX_PROBES; tries++) {
        uint32_t id = space->hash[s];
        size_t n = 0;
        const char *candidate;

        if (id == UINT32_MAX)
            break;
        candidate = wte_space_word(space, id, &n);
        if (candidate && n == len && memcmp(candidate, word, len) == 0)
            return id;
        s = (s + 1) & space->hash_mask;
    }
    return UINT32_MAX;
}
