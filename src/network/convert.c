/* SPDX-License-Identifier: MIT */
/* convert.c - bfloat16 and 8-bit copies of the weights, and the file that keeps them
 *
 * BF16: every number is rounded to the nearest bfloat16, ties to even. A matrix that is multiplied
 * becomes panels of 16 outputs, each of which is read from its begin to its end; so does the token
 * embedding that is also the output matrix, whose rows are then looked up in the panels. Other
 * tables stay as they lie. INT8: every matrix that is multiplied becomes [out, in], and each of its
 * rows, which makes one output, scale * code with scale = the row's largest magnitude / 127; a row
 * of zeros (or one that is nowhere above 1e-30) has the scale 0. Tables stay bfloat16, as rows are
 * only looked up in them; the token embedding that is also the output matrix is then there twice,
 * once for each use. What the checkpoint holds as bfloat16 is not copied where bfloat16 is wanted.
 *
 * A matrix becomes one or two arrays ("pieces" of the plan), each a multiple of 64 bytes, so that
 * all are aligned although safetensors allows no holes between them:
 *
 *     NAME.bf16     BF16  [numbers, rounded up to 32]  row by row without padding, zeros behind
 *     NAME.panels   BF16  [n_out / 16 rounded up, n_in, 16] and the like: zeros in the columns that
 *                         are none, and behind
 *     NAME.codes    I8    [n_out, stride]              stride: n_in rounded up to 64; zeros behind
 *     NAME.scales   F32   [n_out rounded up to 16]     right behind the codes: kernels read up to
 *                                                      63 bytes beyond the last code
 *
 * NAME is the tensor's in the checkpoint. The metadata says format "wte-weights", version,
 * precision, identity (of the checkpoint, as the caller gives it), written_ns, and what the caller
 * adds. How a stale or damaged file shows is told in base/cache.c; beyond that nothing in it is
 * believed: each array must be there with the type and shape that this checkpoint needs.
 *
 * The work is cut into blocks (65536 numbers; 64 outputs of panels or codes), each made in memory
 * of its worker and put where it belongs: into the file, which is mapped when it is complete, or
 * without a file (none wanted, no room, no right to write) into memory. Either way a block depends
 * on nothing but its numbers, and all of them are looked at, so a weight that is not finite is an
 * error here. */
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <unistd.h>
#include "base/cache.h"
#include "format/safetensors.h"
#include "network/network_internal.h"

static const char VERSION[] = "2";

enum {
    LINE = 64,          /* bytes that everything is a multiple of */
    BLOCK = 1 << 16,    /* numbers of a block of bfloat16 */
    BLOCK_OUTPUTS = 64, /* of a block of panels or codes */
    TILE = 16,          /* rows that are transposed at once */
    MAX_INT8 = 65536,   /* products that an int32 sum holds: see dot_i8_rows */
    MAX_METADATA = 64   /* entries that a caller may add */
};

static const float MAX_BF16 = 3.3895314e38f, LEAST = 1e-30f;

/** What a matrix is made into. */
typedef enum shape { NUMBERS, PANELS, CODES } shape;

/** One matrix to be made. */
typedef struct piece {
    const wte__weight *weight;
    shape form;
    size_t n_out, n_in, stride; /* not of NUMBERS; elements from one row of codes or panel to the
                                   next */
    uint64_t begin, size;       /* of the numbers or codes, in bytes of the data */
    uint64_t scales;            /* where the scales begin */
    uint64_t scales_size;       /* 0: bfloat16 */
    size_t first_block, n_blocks;
    char *name, *scales_name;
} piece;

typedef struct plan {
    piece *pieces; /* [n] */
    size_t n, n_blocks;
    size_t *of_weight; /* [n_weights] which piece a weight becomes, or SIZE_MAX: used in place */
    uint64_t bytes, numbers;
    size_t widest; /* n_in of panels and codes */
} plan;

/** What a worker converts in. */
typedef struct bench {
    float *numbers; /* [BLOCK], or [BLOCK_OUTPUTS, widest] */
    float *tile;    /* [TILE, BLOCK_OUTPUTS] */
    uint16_t *bf16; /* [BLOCK + LINE], or panels of BLOCK_OUTPUTS and LINE */
    int8_t *codes;  /* [BLOCK_OUTPUTS, widest rounded up to LINE] */
} bench;

typedef struct job {
    const plan *plan;
    bench *benches; /* [n_threads] */
    unsigned n_threads;
    unsigned char *memory; /* where the data goes, or NULL: */
    wte__outfile *file;    /* into this file, from data_start */
    uint64_t data_start;
    wte__progress progress;
    pthread_mutex_t lock;        /* guards the failure */
    _Atomic size_t failed_block; /* the lowest that failed, SIZE_MAX: none */
    wte_status status;
    wte_error err;
} job;

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* ---- the plan ---------------------------------------------------------------------------- */

static void plan_free(plan *p)
{
    for (size_t i = 0; p->pieces && i < p->n; i++) {
        wte__free(p->pieces[i].name);
        wte__free(p->pieces[i].scales_name);
    }
    wte__free(p->pieces);
    wte__free(p->of_weight);
}

static wte_status plan_outputs(plan *p, piece *c, wte_error *err)
{
    const wte__linear *w = c->weight->linear;
    const bool codes = c->form == CODES;
    size_t rows, size;

    c->n_out = w ? w->n_out : c->weight->table->n_rows;
    c->n_in = w ? w->n_in : c->weight->table->dim;
    rows = c->n_out;
    if (codes && c->n_in > MAX_INT8)
        return wte__fail(err, WTE_E_UNSUPPORTED, "%s has %zu inputs, int8 takes at most %d",
                         c->weight->tensor->name, c->n_in, MAX_INT8);
    if (codes) {
        c->stride = (size_t)round_up(c->n_in, LINE);
    } else {
        rows = (rows + WTE__PANEL - 1) / WTE__PANEL;
        c->stride = c->n_in * WTE__PANEL;
    }
    if (wte__mul_overflows(rows, c->stride, &size) || size > PTRDIFF_MAX / 4)
        return wte__fail(err, WTE_E_NOMEM, "no memory to convert %s", c->weight->tensor->name);
    c->size = codes ? size : round_up((uint64_t)size * sizeof(uint16_t), LINE);
    c->scales_size = codes ? round_up(c->n_out * sizeof(float), LINE) : 0;
    c->n_blocks = (c->n_out + BLOCK_OUTPUTS - 1) / BLOCK_OUTPUTS;
    p->widest = c->n_in > p->widest ? c->n_in : p->widest;
    return WTE_OK;
}

static wte_status add_piece(plan *p, const wte__weight *w, shape form, wte_error *err)
{
    static const char *const endings[] = {
        [NUMBERS] = ".bf16", [PANELS] = ".panels", [CODES] = ".codes"};
    const size_t n = w->tensor->shape[0] * w->tensor->shape[1];
    piece *c = &p->pieces[p->n];
    wte_status status = WTE_OK;

    *c = (piece){.weight = w, .form = form, .begin = p->bytes, .first_block = p->n_blocks};
    if (form == NUMBERS) {
        c->size = round_up((uint64_t)n * sizeof(uint16_t), LINE);
        c->n_blocks = (n + BLOCK - 1) / BLOCK;
    } else {
        status = plan_outputs(p, c, err);
        if (status != WTE_OK)
            return status;
    }
    p->n++;
    c->scales = c->begin + c->size;
    p->bytes = c->scales + c->scales_size;
    p->n_blocks += c->n_blocks;
    p->numbers += n;
    c->name = wte__concat(w->tensor->name, endings[form], (char *)NULL);
    if (form == CODES)
        c->scales_name = wte__concat(w->tensor->name, ".scales", (char *)NULL);
    return c->name && (form != CODES || c->scales_name)
               ? WTE_OK
               : wte__fail(err, WTE_E_NOMEM, "no memory to convert %s", w->tensor->name);
}

/* What the ith weight becomes: a table in bfloat16 what the matrix of the same tensor does. */
static shape form_of(const wte__weight *weights, size_t n, size_t i, wte_precision precision)
{
    if (precision == WTE_PRECISION_INT8)
        return weights[i].linear ? CODES : NUMBERS;
    for (size_t j = 0; j < n; j++)
        if (weights[j].tensor == weights[i].tensor && weights[j].linear)
            return PANELS;
    return NUMBERS;
}

/* Decide what is made, and where it lies. A tensor that is used twice in the same way is made once.
 */
static wte_status make_plan(plan *p, const wte__weight *weights, size_t n, wte_precision precision,
                            wte_error *err)
{
    wte_status status = WTE_OK;

    p->pieces = wte__calloc(n, sizeof *p->pieces);
    p->of_weight = wte__calloc(n, sizeof *p->of_weight);
    if (!p->pieces || !p->of_weight)
        return wte__fail(err, WTE_E_NOMEM, "no memory to convert %zu matrices", n);
    for (size_t i = 0; i < n && status == WTE_OK; i++) {
        const shape form = form_of(weights, n, i, precision);
        size_t j = 0;

        p->of_weight[i] = SIZE_MAX;
        if (form != CODES && weights[i].stored == WTE__STORED_BF16)
            continue;
        while (j < p->n &&
               (p->pieces[j].weight->tensor != weights[i].tensor || p->pieces[j].form != form))
            j++;
        if (j == p->n)
            status = add_piece(p, &weights[i], form, err);
        p->of_weight[i] = j;
    }
    return status;
}

/* Point the weights to converted data, or to the checkpoint's. */
static void bind(const plan *p, const wte__weight *weights, size_t n, const unsigned char *data)
{
    for (size_t i = 0; i < n; i++) {
        const wte__weight *w = &weights[i];
        const piece *c = p->of_weight[i] == SIZE_MAX ? NULL : &p->pieces[p->of_weight[i]];
        const void *numbers = c ? data + c->begin : w->tensor->data;

        if (w->table) {
            w->table->data = numbers;
            w->table->type = WTE__WEIGHT_BF16;
            w->table->panels = c && c->form == PANELS;
            continue;
        }
        w->linear->weight = numbers;
        w->linear->type = WTE__WEIGHT_BF16;
        w->linear->stride = w->tensor->shape[1];
        if (c && c->form == PANELS) {
            w->linear->orientation = WTE__PANELS;
            w->linear->stride = c->stride;
        }
        if (c && c->form == CODES) {
            w->linear->type = WTE__WEIGHT_INT8;
            w->linear->orientation = WTE__OUT_IN;
            w->linear->stride = c->stride;
            w->linear->scales = (const float *)(const void *)(data + c->scales);
        }
    }
}

/* ---- blocks ------------------------------------------------------------------------------ */

/* Keep the failure of the lowest block, so that it is the same for any number of threads. */
static void fail(job *j, size_t block, wte_status status, const wte_error *err)
{
    pthread_mutex_lock(&j->lock);
    if (block < j->failed_block) {
        j->failed_block = block;
        j->status = status;
        j->err = *err;
    }
    pthread_mutex_unlock(&j->lock);
}

static void put(job *j, size_t block, const void *data, size_t n, uint64_t at)
{
    wte_error err = {WTE_OK, 0, ""};
    wte_status status = WTE_OK;

    if (j->memory)
        memcpy(j->memory + at, data, n);
    else
        status = wte__outfile_pwrite(j->file, data, n, j->data_start + at, &err);
    if (status != WTE_OK)
        fail(j, block, status, &err);
}

/* A number of a tensor that cannot be kept. */
static void refuse(job *j, size_t block, const wte_tensor *t, uint64_t at, float x)
{
    wte_error err = {WTE_OK, 0, ""};
    const uint64_t row = at / t->shape[1], column = at % t->shape[1];

    if (isfinite(x))
        wte__fail(&err, WTE_E_RANGE,
                  "%s: row %" PRIu64 ", column %" PRIu64 " is %g, more than bfloat16 holds",
                  t->name, row, column, (double)x);
    else
        wte__fail(&err, WTE_E_RANGE, "%s: row %" PRIu64 ", column %" PRIu64 " is %s", t->name, row,
                  column, isnan(x) ? "not a number" : "infinite");
    fail(j, block, WTE_E_RANGE, &err);
}

/* Whether bfloat16 holds n numbers of a tensor; the first that it does not is refused. */
static bool all_fit(job *j, size_t block, const wte_tensor *t, uint64_t first, const float *x,
                    size_t n)
{
    if (wte__kernel()->maxabs_f32(x, n) <= MAX_BF16)
        return true;
    for (size_t i = 0; i < n; i++) {
        const float value = wte__load_f32((const char *)x + i * sizeof value);

        if (!(fabsf(value) <= MAX_BF16)) {
            refuse(j, block, t, first + i, value);
            return false;
        }
    }
    return true;
}

static void convert_bf16(job *j, const piece *c, size_t block, unsigned worker)
{
    const wte_tensor *t = c->weight->tensor;
    const size_t n = t->shape[0] * t->shape[1], first = (block - c->first_block) * BLOCK;
    const size_t here = n - first < BLOCK ? n - first : BLOCK;
    bench *b = &j->benches[worker];
    const float *x = b->numbers;
    size_t padded = here;

    if (c->weight->stored == WTE__STORED_F32)
        x = (const float *)(const void *)((const unsigned char *)t->data + first * sizeof *x);
    else
        wte__widen(t, c->weight->stored, first, here, b->numbers);
    if (!all_fit(j, block, t, first, x, here))
        return;
    wte__kernel()->f32_to_bf16(x, b->bf16, here);
    if (first + here == n)
        padded = (size_t)(c->size / sizeof(uint16_t)) - first;
    memset(b->bf16 + here, 0, (padded - here) * sizeof *b->bf16);
    put(j, block, b->bf16, padded * sizeof *b->bf16, c->begin + first * sizeof(uint16_t));
    wte__progress_add(&j->progress, here, worker);
}

/* Whether the outputs of a matrix are its columns. */
static bool is_in_out(const piece *c)
{
    return c->weight->linear && c->weight->linear->orientation == WTE__IN_OUT;
}

/* Rows i ... i + rows - 1 of a matrix [in, out], n outputs from `first` on: tile [rows,
 * BLOCK_OUTPUTS]. */
static void read_tile(const piece *c, size_t i, size_t rows, size_t first, size_t n, float *tile)
{
    const wte__weight *w = c->weight;

    for (size_t r = 0; r < rows; r++)
        wte__widen(w->tensor, w->stored, (uint64_t)(i + r) * c->n_out + first, n,
                   tile + r * BLOCK_OUTPUTS);
}

/* Gather the inputs of the outputs first ... first + n - 1: out [n, n_in]. */
static void gather(const piece *c, size_t first, size_t n, bench *b)
{
    const wte__weight *w = c->weight;
    const size_t n_in = c->n_in;

    if (!is_in_out(c)) {
        wte__widen(w->tensor, w->stored, (uint64_t)first * n_in, n * n_in, b->numbers);
        return;
    }
    for (size_t i = 0; i < n_in; i += TILE) {
        const size_t rows = n_in - i < TILE ? n_in - i : TILE;

        read_tile(c, i, rows, first, n, b->tile);
        for (size_t o = 0; o < n; o++)
            for (size_t r = 0; r < rows; r++)
                b->numbers[o * n_in + i + r] = b->tile[r * BLOCK_OUTPUTS + o];
    }
}

/* Where the weight of an input for an output lies in the tensor. */
static uint64_t place_of(const piece *c, size_t input, size_t output)
{
    return is_in_out(c) ? (uint64_t)input * c->n_out + output : (uint64_t)output * c->n_in + input;
}

static void refuse_in_row(job *j, const piece *c, size_t block, size_t output, const float *x)
{
    for (size_t i = 0; i < c->n_in; i++)
        if (!isfinite(x[i])) {
            refuse(j, block, c->weight->tensor, place_of(c, i, output), x[i]);
            return;
        }
}

/* Round inputs i ... i + rows - 1 of n outputs, which are in the tile, into panels. */
static void round_tile(const piece *c, size_t i, size_t rows, size_t n, const float *tile,
                       uint16_t *panels)
{
    uint16_t halves[BLOCK_OUTPUTS] = {0};

    for (size_t r = 0; r < rows; r++) {
        wte__kernel()->f32_to_bf16(tile + r * BLOCK_OUTPUTS, halves, n);
        for (size_t o = 0; o < n; o += WTE__PANEL)
            memcpy(panels + o / WTE__PANEL * c->stride + (i + r) * WTE__PANEL, halves + o,
                   WTE__PANEL * sizeof *panels);
    }
}

/* Round outputs of a matrix into panels. */
static void convert_panels(job *j, const piece *c, size_t block, unsigned worker)
{
    const wte_tensor *t = c->weight->tensor;
    const size_t first = (block - c->first_block) * BLOCK_OUTPUTS, left = c->n_out - first;
    const size_t n = left < BLOCK_OUTPUTS ? left : BLOCK_OUTPUTS;
    const bool in_out = is_in_out(c);
    bench *b = &j->benches[worker];
    uint16_t *panels = b->bf16;
    size_t n_numbers = (n + WTE__PANEL - 1) / WTE__PANEL * c->stride;

    if (!in_out) {
        gather(c, first, n, b);
        if (!all_fit(j, block, t, (uint64_t)first * c->n_in, b->numbers, n * c->n_in))
            return;
    }
    for (size_t i = 0; i < c->n_in; i += TILE) {
        const size_t rows = c->n_in - i < TILE ? c->n_in - i : TILE;

        if (in_out)
            read_tile(c, i, rows, first, n, b->tile);
        for (size_t r = 0; r < rows && in_out; r++)
            if (!all_fit(j, block, t, place_of(c, i + r, first), b->tile + r * BLOCK_OUTPUTS, n))
                return;
        for (size_t o = 0; o < n && !in_out; o++)
            for (size_t r = 0; r < rows; r++)
                b->tile[r * BLOCK_OUTPUTS + o] = b->numbers[o * c->n_in + i + r];
        round_tile(c, i, rows, n, b->tile, panels);
    }
    if (first + n == c->n_out) { /* what fills the last line */
        const size_t all = (size_t)(c->size / sizeof *panels) - first / WTE__PANEL * c->stride;

        memset(panels + n_numbers, 0, (all - n_numbers) * sizeof *panels);
        n_numbers = all;
    }
    put(j, block, panels, n_numbers * sizeof *panels,
        c->begin + first / WTE__PANEL * c->stride * sizeof *panels);
    wte__progress_add(&j->progress, n * c->n_in, worker);
}

static void convert_codes(job *j, const piece *c, size_t block, unsigned worker)
{
    const size_t first = (block - c->first_block) * BLOCK_OUTPUTS, left = c->n_out - first;
    const size_t n = left < BLOCK_OUTPUTS ? left : BLOCK_OUTPUTS;
    const wte__kernels *k = wte__kernel();
    bench *b = &j->benches[worker];
    float scales[BLOCK_OUTPUTS] = {0};
    size_t n_scales = n;

    gather(c, first, n, b);
    memset(b->codes, 0, n * c->stride);
    for (size_t o = 0; o < n; o++) {
        const float *x = b->numbers + o * c->n_in;
        const float largest = k->maxabs_f32(x, c->n_in);

        if (!(largest <= FLT_MAX)) {
            refuse_in_row(j, c, block, first + o, x);
            return;
        }
        if (largest < LEAST)
            continue;
        scales[o] = largest / 127;
        k->quantize_i8(x, c->n_in, 127 / largest, b->codes + o * c->stride);
    }
    if (first + n == c->n_out)
        n_scales = (size_t)(c->scales_size / sizeof(float)) - first;
    put(j, block, b->codes, n * c->stride, c->begin + first * c->stride);
    put(j, block, scales, n_scales * sizeof *scales, c->scales + first * sizeof *scales);
    wte__progress_add(&j->progress, n * c->n_in, worker);
}

static void convert_block(void *ctx, size_t block, unsigned worker)
{
    job *j = ctx;
    const plan *p = j->plan;
    size_t low = 0, high = p->n - 1;

    if (block > j->failed_block || j->progress.cancelled)
        return;
    while (low < high) {
        const size_t middle = (low + high + 1) / 2;

        if (p->pieces[middle].first_block <= block)
            low = middle;
        else
            high = middle - 1;
    }
    switch (p->pieces[low].form) {
    case NUMBERS:
        convert_bf16(j, &p->pieces[low], block, worker);
        break;
    case PANELS:
        convert_panels(j, &p->pieces[low], block, worker);
        break;
    case CODES:
        convert_codes(j, &p->pieces[low], block, worker);
        break;
    }
}

/* ---- a conversion ------------------------------------------------------------------------ */

static void job_free(job *j)
{
    for (unsigned i = 0; j->benches && i < j->n_threads; i++) {
        wte__free(j->benches[i].numbers);
        wte__free(j->benches[i].tile);
        wte__free(j->benches[i].bf16);
        wte__free(j->benches[i].codes);
    }
    wte__free(j->benches);
}

static bool take_benches(job *j)
{
    const size_t widest = j->plan->widest ? j->plan->widest : 1;
    size_t numbers = BLOCK_OUTPUTS * widest;

    if (numbers < BLOCK)
        numbers = BLOCK;
    j->benches = wte__calloc(j->n_threads, sizeof *j->benches);
    for (unsigned i = 0; j->benches && i < j->n_threads; i++) {
        bench *b = &j->benches[i];

        b->numbers = wte__alloc_aligned(numbers, sizeof *b->numbers);
        b->tile = wte__alloc_aligned(TILE * BLOCK_OUTPUTS, sizeof *b->tile);
        b->bf16 = wte__alloc_aligned(numbers + LINE, sizeof *b->bf16);
        b->codes = wte__alloc_aligned(BLOCK_OUTPUTS, (size_t)round_up(widest, LINE));
        if (!b->numbers || !b->tile || !b->bf16 || !b->codes)
            return false;
    }
    return j->benches != NULL;
}

/* Convert everything into memory, or into a file. */
static wte_status convert(const plan *p, const wte_network_options *options, unsigned char *memory,
                          wte__outfile *file, uint64_t data_start, wte_error *err)
{
    job j = {.plan = p,
             .n_threads = wte__threads(options->n_threads, p->n_blocks),
             .memory = memory,
             .file = file,
             .data_start = data_start,
             .lock = PTHREAD_MUTEX_INITIALIZER,
             .failed_block = SIZE_MAX};
    wte_status status = WTE_OK;

    if (!take_benches(&j)) {
        status = wte__fail(err, WTE_E_NOMEM, "no memory to convert weights");
        goto out;
    }
    wte__progress_begin(&j.progress, options->progress, options->progress_data,
                        "converting weights", p->numbers);
    wte__parallel(p->n_blocks, j.n_threads, convert_block, &j);
    if (j.failed_block != SIZE_MAX) {
        status = j.status;
        if (err)
            *err = j.err;
    } else if (wte__progress_end(&j.progress)) {
        status = wte__fail(err, WTE_E_CANCELLED, "converting weights: cancelled");
    }
out:
    job_free(&j);
    return status;
}

/* ---- the file ---------------------------------------------------------------------------- */

static const char *name_of(wte_precision precision)
{
    return precision == WTE_PRECISION_INT8 ? "int8" : "bf16";
}

static wte_status make_header(const plan *p, const wte_network_options *options,
                              const char *const (*extra)[2], size_t n_extra, int64_t seal_ns,
                              char **out, size_t *size, wte_error *err)
{
    enum { OWN = 5 };
    char identity[24], written[24];
    const char *metadata[OWN + MAX_METADATA][2] = {{"format", "wte-weights"},
                                                   {"version", VERSION},
                                                   {"precision", name_of(options->precision)},
                                                   {"identity", identity},
                                                   {"written_ns", written}};
    wte__tensor *tensors = wte__calloc(2 * p->n, sizeof *tensors);
    size_t n = 0;
    wte_status status;

    if (!tensors)
        return wte__fail(err, WTE_E_NOMEM, "no memory for a header");
    snprintf(identity, sizeof identity, "%" PRIu64, options->identity);
    snprintf(written, sizeof written, "%" PRId64, seal_ns);
    for (size_t i = 0; i < n_extra && i < MAX_METADATA; i++)
        memcpy(metadata[OWN + i], extra[i], sizeof metadata[0]);
    for (size_t i = 0; i < p->n; i++) {
        const piece *c = &p->pieces[i];
        wte__tensor *t = &tensors[n++];

        *t = (wte__tensor){.name = c->name, .begin = c->begin, .size = c->size};
        if (c->form != CODES) {
            t->dtype = "BF16";
            t->n_dims = 1;
            t->shape[0] = (size_t)(c->size / sizeof(uint16_t));
            continue;
        }
        t->dtype = "I8";
        t->n_dims = 2;
        t->shape[0] = c->n_out;
        t->shape[1] = c->stride;
        tensors[n++] = (wte__tensor){.name = c->scales_name,
                                     .dtype = "F32",
                                     .shape = {(size_t)(c->scales_size / sizeof(float))},
                                     .n_dims = 1,
                                     .begin = c->scales,
                                     .size = c->scales_size};
    }
    status = wte__safetensors_header((const char *const(*)[2])metadata,
                                     OWN + (n_extra < MAX_METADATA ? n_extra : MAX_METADATA),
                                     tensors, n, 0, out, size, err);
    wte__free(tensors);
    return status;
}

static wte_status write_file(const plan *p, const wte_network_options *options,
                             const char *const (*metadata)[2], size_t n_metadata, wte_error *err)
{
    const int64_t seal_ns = wte__cache_seal_ns();
    wte__outfile file = {-1, NULL, NULL};
    char *header = NULL;
    size_t size = 0;
    wte_status status;

    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
        return wte__fail(err, WTE_E_IO, "safetensors files are little-endian");
    status = make_header(p, options, metadata, n_metadata, seal_ns, &header, &size, err);
    if (status == WTE_OK)
        status = wte__outfile_open(&file, options->converted_path, err);
    if (status == WTE_OK)
        status = wte__outfile_reserve(&file, size + p->bytes, err);
    if (status == WTE_OK)
        status = wte__outfile_pwrite(&file, header, size, 0, err);
    if (status == WTE_OK)
        status = convert(p, options, NULL, &file, size, err);
    if (status == WTE_OK)
        status = wte__cache_seal(&file, seal_ns, err);
    if (status == WTE_OK)
        status = wte__outfile_commit(&file, err);
    wte__outfile_abort(&file);
    wte__free(header);
    return status;
}

static bool says(const wte__safetensors *st, const char *key, const char *value)
{
    const char *said = wte__safetensors_metadata(st, key);

    return said && strcmp(said, value) == 0;
}

static bool says_number(const wte__safetensors *st, const char *key, uint64_t value)
{
    uint64_t said = 0;

    return wte__safetensors_number(st, key, &said) && said == value;
}

static const wte__tensor *find_array(const wte__safetensors *st, const char *name,
                                     const char *dtype, uint64_t size)
{
    const wte__tensor *t = wte__safetensors_find(st, name);

    return t && strcmp(t->dtype, dtype) == 0 && t->size == size && t->begin % LINE == 0 ? t : NULL;
}

/* Find where each piece lies in the file, which need not be the order that it was written in. */
static bool find_pieces(plan *p, const wte__safetensors *st, uint64_t file_size)
{
    for (size_t i = 0; i < p->n; i++) {
        piece *c = &p->pieces[i];
        const wte__tensor *t = find_array(st, c->name, c->form == CODES ? "I8" : "BF16", c->size),
                          *scales;

        if (!t)
            return false;
        c->begin = t->begin;
        if (c->form != CODES)
            continue;
        scales = find_array(st, c->scales_name, "F32", c->scales_size);
        if (!scales || t->n_dims != 2 || t->shape[1] != c->stride ||
            file_size - t->begin - t->size < LINE)
            return false;
        c->scales = scales->begin;
    }
    return true;
}

/* Map the file if it holds these weights. E_NOTFOUND: it is not there, or not good.
 *   fresh  it was just written, and is not looked through for holes: what is not yet on the disk
 *          may look like one */
static wte_status open_file(const plan *p, const wte_network_options *options, bool fresh,
                            wte_network *network, const wte__weight *weights, size_t n,
                            wte_error *err)
{
    const char *path = options->converted_path;
    wte__safetensors st = {NULL, 0, NULL};
    wte_error why = {WTE_OK, 0, ""};
    wte__map map = {0};
    plan found = *p;
    wte_status status = WTE_E_NOTFOUND;

    if (access(path, F_OK) != 0)
        return WTE_E_NOTFOUND;
    found.pieces = wte__calloc(p->n, sizeof *found.pieces);
    if (!found.pieces)
        return wte__fail(err, WTE_E_NOMEM, "no memory to read %s", path);
    memcpy(found.pieces, p->pieces, p->n * sizeof *found.pieces);
    if (wte__map_open(&map, path, &why) == WTE_OK)
        status = wte__safetensors_parse(map.data, map.size, path, &st, &why);
    if (status == WTE_OK && says(&st, "format", "wte-weights") && says(&st, "version", VERSION) &&
        says(&st, "precision", name_of(options->precision)) &&
        says_number(&st, "identity", options->identity) &&
        says_number(&st, "written_ns", (uint64_t)map.mtime_ns) &&
        (fresh || !wte__has_holes(path, map.size)) && find_pieces(&found, &st, map.size)) {
        bind(&found, weights, n, map.data);
        network->converted = map;
        map = (wte__map){0};
    } else {
        status = status == WTE_E_NOMEM ? wte__fail(err, status, "no memory to read %s", path)
                                       : WTE_E_NOTFOUND;
    }
    wte__safetensors_free(&st);
    wte__map_close(&map);
    wte__free(found.pieces);
    return status;
}

/* ---- all of it --------------------------------------------------------------------------- */

/* Use the file of the options, made if need be. E_NOTFOUND: it cannot be used, which is noted. */
static wte_status use_file(const plan *p, const wte_network_options *options,
                           const char *const (*metadata)[2], size_t n_metadata,
                           wte_network *network, const wte__weight *weights, size_t n,
                           wte_error *err)
{
    wte_error why = {WTE_OK, 0, ""};
    wte_status status = open_file(p, options, false, network, weights, n, err);

    if (status != WTE_E_NOTFOUND) {
        network->info.converted_found = status == WTE_OK;
        return status;
    }
    status = write_file(p, options, metadata, n_metadata, &why);
    if (status == WTE_OK) {
        status = open_file(p, options, true, network, weights, n, err);
        if (status == WTE_E_NOTFOUND)
            snprintf(why.message, sizeof why.message, "%s was changed at once",
                     options->converted_path);
    } else if (status == WTE_E_IO) {
        status = WTE_E_NOTFOUND;
    } else if (err) {
        *err = why;
    }
    if (status == WTE_E_NOTFOUND)
        wte__network_say(network, "weights were converted, but could not be kept: %.300s",
                         why.message);
    return status;
}

wte_status wte__network_convert(wte_network *network, const wte__weight *weights, size_t n,
                                const wte_network_options *options,
                                const char *const (*metadata)[2], size_t n_metadata, wte_error *err)
{
    plan p = {0};
    unsigned char *memory;
    wte_status status = make_plan(&p, weights, n, options->precision, err);

    if (status != WTE_OK)
        goto out;
    network->info.converted_bytes = p.bytes;
    if (p.n == 0) {
        bind(&p, weights, n, NULL);
        goto out;
    }
    status = WTE_E_NOTFOUND;
    if (options->converted_path)
        status = use_file(&p, options, metadata, n_metadata, network, weights, n, err);
    if (status != WTE_E_NOTFOUND)
        goto out;
    memory = wte__network_block(network, (size_t)p.bytes, 1);
    status =
        memory ? convert(&p, options, memory, NULL, 0, err)
               : wte__fail(err, WTE_E_NOMEM, "no memory for %" PRIu64 " bytes of weights", p.bytes);
    if (status == WTE_OK)
        bind(&p, weights, n, memory);
out:
    plan_free(&p);
    return status;
}
