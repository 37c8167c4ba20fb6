/* SPDX-License-Identifier: MIT */
/* layout.c - wte's own mapped layout: which arrays, where
 *
 * docs/layout.md describes the file. The order of its arrays follows from three wishes. Each array
 * is aligned to its elements although the format allows no holes: so the widest elements come
 * first, and one array of padding lets the codes begin at a cache line. The words come last, since
 * how long they are is known only when all rows were read. And 64 bytes can be read behind the
 * codes: the words have at least that. */
#include "space/layout.h"
#include <inttypes.h>

static const char *const names[WTE__N_PARTS] = {
    "vectors", "row_offsets", "word_offsets", "scales", "residuals", "norms",
    "hash",    "baseline",    "padding",      "codes",  "words"};

static const char *const dtypes[] = {"F32", "F16", "BF16"};

static size_t element_size(wte_dtype dtype)
{
    return dtype == WTE_F32 ? sizeof(float) : sizeof(uint16_t);
}

size_t wte__layout_stride(wte_dtype dtype, size_t dim)
{
    return (dim * element_size(dtype) + 63) / 64 * 64;
}

static void add(wte__layout *layout, uint64_t *place, wte__part part, const char *dtype,
                size_t element, size_t n, size_t width)
{
    wte__tensor *t = &layout->parts[part];

    *t = (wte__tensor){.name = names[part], .dtype = dtype, .element = element, .begin = *place};
    t->shape[0] = n;
    t->n_dims = 1;
    if (width) {
        t->shape[1] = width;
        t->n_dims = 2;
    }
    t->size = n * (width ? width : 1) * element;
    *place += t->size;
}

bool wte__layout_plan(wte__layout *layout, uint32_t n_rows, size_t dim, wte_dtype dtype,
                      unsigned keep, uint64_t data_start)
{
    const size_t stride = wte__layout_stride(dtype, dim);
    uint64_t place = 0;
    size_t bytes;

    if (wte__mul_overflows(stride + dim + 64, n_rows, &bytes) || bytes > SIZE_MAX / 4)
        return false;
    *layout = (wte__layout){.data_start = data_start};
    if (keep & WTE__KEEP_ROWS)
        add(layout, &place, WTE__VECTORS, dtypes[dtype], element_size(dtype), n_rows,
            stride / element_size(dtype));
    if (keep & WTE__KEEP_OFFSETS)
        add(layout, &place, WTE__ROW_OFFSETS, "U64", 8, n_rows, 0);
    add(layout, &place, WTE__WORD_OFFSETS, "U64", 8, (size_t)n_rows + 1, 0);
    if (keep & WTE__KEEP_CODES) {
        add(layout, &place, WTE__SCALES, "F32", 4, n_rows, 0);
        add(layout, &place, WTE__RESIDUALS, "F32", 4, n_rows, 0);
    }
    add(layout, &place, WTE__NORMS, "F32", 4, n_rows, 0);
    add(layout, &place, WTE__HASH, "U32", 4, wte__hash_slots(n_rows), 0);
    add(layout, &place, WTE__BASELINE, "F32", 4, WTE__N_BASELINE, 0);
    if (keep & WTE__KEEP_CODES) {
        if (place % 64)
            add(layout, &place, WTE__PADDING, "U8", 1, 64 - place % 64, 0);
        add(layout, &place, WTE__CODES, "I8", 1, n_rows, dim);
    }
    add(layout, &place, WTE__WORDS, "U8", 1, 0, 0);
    return true;
}

void wte__layout_set_words(wte__layout *layout, uint64_t words_size)
{
    uint64_t place = layout->parts[WTE__WORDS].begin;

    add(layout, &place, WTE__WORDS, "U8", 1, words_size < 64 ? 64 : words_size, 0);
}

uint64_t wte__layout_size(const wte__layout *layout)
{
    const wte__tensor *last = &layout->parts[WTE__WORDS];

    return layout->data_start + last->begin + last->size;
}

/* ---- reading ---------------------------------------------------------------------------- */

/* Find a tensor of the given type and shape; a width of 0 is a vector. *bad is set if there is one
 * of that name which is something else. */
static const unsigned char *array(const unsigned char *data, const char *path,
                                  const wte__safetensors *st, wte__part part, const char *dtype,
                                  size_t n, size_t width, wte_status *status, wte_error *err)
{
    const wte__tensor *t = wte__safetensors_find(st, names[part]);

    if (!t || *status != WTE_OK)
        return NULL;
    if (strcmp(t->dtype, dtype) != 0 || t->n_dims != (width ? 2u : 1u) || t->shape[0] != n ||
        (width && t->shape[1] != width) || t->begin % t->element != 0) {
        *status = wte__fail_at(
            err, WTE_E_FORMAT, t->begin,
            "%s: tensor '%s' is %s [%zu%s%.0zu] at byte %" PRIu64 ", expected %s [%zu%s%.0zu]",
            path, t->name, t->dtype, t->n_dims ? t->shape[0] : 0, t->n_dims > 1 ? ", " : "",
            t->n_dims > 1 ? t->shape[1] : 0, t->begin, dtype, n, width ? ", " : "", width);
        return NULL;
    }
    return data + t->begin;
}

static wte_status bind_rows(wte_space *space, const unsigned char *data, const char *path,
                            const wte__safetensors *st, uint32_t n, size_t dim, wte_error *err)
{
    const wte__tensor *t = wte__safetensors_find(st, names[WTE__VECTORS]);

    for (size_t type = 0; type < sizeof dtypes / sizeof *dtypes; type++)
        if (strcmp(t->dtype, dtypes[type]) == 0) {
            if (t->n_dims != 2 || t->shape[0] != n || t->shape[1] < dim)
                break;
            space->rows = (wte__rows){data + t->begin, NULL, t->shape[1] * t->element,
                                      (wte_dtype)type, n,    dim};
            space->info.dtype = (wte_dtype)type;
            return WTE_OK;
        }
    return wte__fail_at(
        err, WTE_E_FORMAT, t->begin,
        "%s: 'vectors' is %s [%zu, %zu], expected F32, F16 or BF16 [%u, %zu or more]", path,
        t->dtype, t->n_dims > 0 ? t->shape[0] : 0, t->n_dims > 1 ? t->shape[1] : 0, n, dim);
}

/* All row offsets are looked at: a row is read without further checks, millions of times. The sign
 * of a difference collects in `bad`, so the loop has no branches. */
static wte_status bind_offsets(wte_space *space, const uint64_t *offsets, const char *path,
                               const unsigned char *source, uint64_t source_size, uint32_t n,
                               size_t dim, wte_error *err)
{
    uint64_t row_bytes = dim * sizeof(float), bad = 0, limit;

    if (source_size < row_bytes && n > 0)
        return wte__fail(err, WTE_E_FORMAT, "%s: has offsets into a file that is too short", path);
    limit = source_size - row_bytes;
    for (uint32_t i = 0; i < n; i++)
        bad |= (limit - offsets[i]) | offsets[i];
    if (bad >> 63)
        return wte__fail(err, WTE_E_FORMAT, "%s: has offsets outside of the file they are for",
                         path);
    space->rows = (wte__rows){source, offsets, 0, WTE_F32, n, dim};
    space->info.dtype = WTE_F32;
    return WTE_OK;
}

wte_status wte__layout_bind(wte_space *space, const unsigned char *data, const char *path,
                            const wte__safetensors *st, const unsigned char *source,
                            uint64_t source_size, wte_error *err)
{
    const wte__tensor *words = wte__safetensors_find(st, names[WTE__WORDS]);
    const wte__tensor *vectors = wte__safetensors_find(st, names[WTE__VECTORS]);
    const wte__tensor *ends = wte__safetensors_find(st, names[WTE__WORD_OFFSETS]);
    const wte__tensor *hash = wte__safetensors_find(st, names[WTE__HASH]);
    const unsigned char *offsets, *codes, *scales, *residuals;
    uint64_t n = 0, dim = 0;
    wte_status status = WTE_OK;

    if (!words || !ends)
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: is a safetensors file without words, expected word vectors with the "
                         "tensors 'vectors', 'words' and 'word_offsets'",
                         path);
    if (ends->n_dims != 1 || ends->shape[0] == 0 || ends->shape[0] > UINT32_MAX)
        return wte__fail_at(err, WTE_E_FORMAT, ends->begin,
                            "%s: 'word_offsets' has not one number for each row and one more",
                            path);
    n = ends->shape[0] - 1;
    if (!wte__safetensors_number(st, "dim", &dim)) {
        if (!vectors || vectors->n_dims != 2)
            return wte__fail(err, WTE_E_FORMAT, "%s: does not say how wide its rows are", path);
        dim = vectors->shape[1];
    }
    if (dim == 0 || dim > INT32_MAX)
        return wte__fail(err, WTE_E_FORMAT, "%s: says rows of %" PRIu64 " numbers", path, dim);
    space->info.n_rows = (uint32_t)n;
    space->info.dim = dim;
    space->words = (const char *)array(data, path, st, WTE__WORDS, "U8",
                                       words->n_dims ? words->shape[0] : 0, 0, &status, err);
    space->words_size = words->size;
    space->word_offsets =
        (const void *)array(data, path, st, WTE__WORD_OFFSETS, "U64", n + 1, 0, &status, err);
    offsets = array(data, path, st, WTE__ROW_OFFSETS, "U64", n, 0, &status, err);
    space->norms = (const void *)array(data, path, st, WTE__NORMS, "F32", n, 0, &status, err);
    space->hash = (const void *)array(data, path, st, WTE__HASH, "U32",
                                      hash && hash->n_dims ? hash->shape[0] : 0, 0, &status, err);
    codes = array(data, path, st, WTE__CODES, "I8", n, dim, &status, err);
    scales = array(data, path, st, WTE__SCALES, "F32", n, 0, &status, err);
    residuals = array(data, path, st, WTE__RESIDUALS, "F32", n, 0, &status, err);
    space->baseline = (float *)(uintptr_t)array(data, path, st, WTE__BASELINE, "F32",
                                                WTE__N_BASELINE, 0, &status, err);
    space->backing->file_baseline = space->baseline;
    if (status != WTE_OK)
        return status;
    if (space->hash) {
        if (hash->shape[0] == 0 || hash->shape[0] > UINT64_C(1) << 32 ||
            (hash->shape[0] & (hash->shape[0] - 1)) != 0)
            return wte__fail_at(err, WTE_E_FORMAT, hash->begin,
                                "%s: 'hash' has %zu slots, expected a power of two", path,
                                hash->shape[0]);
        space->hash_mask = (uint32_t)(hash->shape[0] - 1);
    }
    if (space->baseline) {
        while (space->n_baseline < WTE__N_BASELINE && space->baseline[space->n_baseline] >= -1 &&
               space->baseline[space->n_baseline] <= 1)
            space->n_baseline++;
    }
    /* the kernels read up to 63 bytes beyond the last code */
    if (codes && scales && residuals && dim <= 65536 && words->begin >= (uint64_t)(codes - data) &&
        words->size >= 64) {
        space->codes =
            (wte__codes){(const int8_t *)codes, dim, (const void *)scales, (const void *)residuals};
        space->info.has_codes = 1;
    }
    if (vectors)
        return bind_rows(space, data, path, st, (uint32_t)n, dim, err);
    if (!offsets)
        return wte__fail(err, WTE_E_FORMAT, "%s: has words but no vectors", path);
    if (!source)
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: is an index of another file, which has the vectors: open that", path);
    return bind_offsets(space, (const void *)offsets, path, source, source_size, (uint32_t)n, dim,
                        err);
}
