/* SPDX-License-Identifier: MIT */
/* onednn.c - oneDNN, loaded when many rows are first multiplied by it
 *
 * Processors with AVX512_BF16 or AMX multiply bfloat16 several times faster than float32. Their
 * kernels are not written here: oneDNN makes them at run time for the shape at hand. It is not
 * linked: it is 30 MB, and few starts of the command would use it. It is compiled for the API of
 * the headers that the build finds, 2.x or 3.x, which differ, and loads only that one's library.
 *
 * The workers are ours: oneDNN multiplies one block of columns at a time, in one thread. The blocks
 * do not depend on the number of workers, so neither does any bit. With OpenMP, as distributions
 * build it, the number of threads belongs to the calling thread; it is set around the blocks of a
 * product and set back, as worker 0 is the application's own thread. A build with another
 * threading, except none, is not used.
 *
 * For a shape (rows, the width and layout of the matrix) two primitives are made: for a block of
 * columns and for the narrower one at the end. They are kept with the session, as are the memory
 * objects, which name addresses and so are each worker's own. Layers share shapes, and rows come in
 * steps, so there are few.
 *
 * float32 it multiplies only where WTE_ONEDNN asks for it: to compare, and to test all of this
 * where bfloat16 cannot be multiplied, which oneDNN 2.6 refuses to do on processors without
 * AVX-512.
 *
 * NOT YET RUN: bfloat16, as no processor with AVX-512, AVX512_BF16 or AMX was at hand; oneDNN 3.x.
 */
#include "network/onednn.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#ifdef HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>

#if DNNL_VERSION_MAJOR < 3
#define OF_THIS_VERSION(X)                                                                         \
    X(memory_desc_init_by_strides) X(matmul_desc_init) X(primitive_desc_create)
static const char *const names[] = {"libdnnl.so.2", NULL};
typedef const dnnl_memory_desc_t *layout_query;
#else
#define OF_THIS_VERSION(X)                                                                         \
    X(memory_desc_create_with_strides)                                                             \
    X(memory_desc_destroy) X(matmul_primitive_desc_create)
static const char *const names[] = {"libdnnl.so.3", NULL};
typedef const_dnnl_memory_desc_t layout_query;
#endif

#define FUNCTIONS(X)                                                                               \
    X(version)                                                                                     \
    X(engine_create)                                                                               \
    X(stream_create)                                                                               \
    X(stream_wait)                                                                                 \
    X(stream_destroy)                                                                              \
    X(primitive_attr_create)                                                                       \
    X(primitive_attr_set_scratchpad_mode)                                                          \
    X(primitive_attr_destroy)                                                                      \
    X(primitive_desc_query_md)                                                                     \
    X(primitive_desc_destroy)                                                                      \
    X(primitive_create)                                                                            \
    X(primitive_execute)                                                                           \
    X(primitive_destroy)                                                                           \
    X(memory_desc_get_size)                                                                        \
    X(memory_create)                                                                               \
    X(memory_set_data_handle)                                                                      \
    X(memory_destroy)                                                                              \
    OF_THIS_VERSION(X)

#define DECLARE(name) __typeof__(dnnl_##name) *name;
static struct {
    FUNCTIONS(DECLARE)
} dnnl;
#undef DECLARE

enum { X, WEIGHTS, SUMS, SCRATCH, N_MEMORIES };

/* A block of columns for a group of rows. */
typedef struct product {
    dnnl_primitive_t primitive;
    dnnl_memory_t (*memories)[N_MEMORIES]; /* [n_workers]; the last is NULL where none is needed */
    size_t scratch_bytes;
} product;

typedef struct shape {
    size_t n_rows, n_in, n_out, stride;
    wte__weight_type type;
    wte__orientation orientation;
    product whole, rest; /* the primitives are NULL where there is no such block */
    size_t scratch_bytes;
} shape;

struct wte__onednn {
    unsigned n_workers;
    dnnl_stream_t *streams; /* [n_workers] */
    void **scratch;         /* [n_workers][scratch_bytes] */
    size_t scratch_bytes;
    shape *shapes;
    size_t n_shapes, capacity;
    const shape *current; /* the one that was prepared, or NULL */
    unsigned refused;     /* types that oneDNN cannot multiply on this processor */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static dnnl_engine_t engine; /* NULL: there is no oneDNN */
static void (*set_threads)(int);
static int (*get_threads)(void);

static const char *setting(void)
{
    const char *s = getenv("WTE_ONEDNN");

    return s ? s : "";
}

unsigned wte__onednn_types(void)
{
    const char *set = setting();

    if (*set)
        return strcmp(set, "0") != 0 ? 1u << WTE__WEIGHT_BF16 | 1u << WTE__WEIGHT_F32 : 0;
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512bf16") ? 1u << WTE__WEIGHT_BF16 : 0;
#else
    return 0;
#endif
}

/* ---- the library ------------------------------------------------------------------------- */

/* A function by its name. ISO C has no cast from an object's address to a function's. */
static bool find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);

    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

/* The OpenMP that oneDNN uses: the program's own, if it has one, else that which came along. */
static bool find_openmp(void *library)
{
    return (find(RTLD_DEFAULT, "omp_set_num_threads", &set_threads) ||
            find(library, "omp_set_num_threads", &set_threads)) &&
           (find(RTLD_DEFAULT, "omp_get_max_threads", &get_threads) ||
            find(library, "omp_get_max_threads", &get_threads));
}

static void load(void)
{
    const char *path = strchr(setting(), '/') ? setting() : NULL;
    const dnnl_version_t *version;
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    bool complete = true;

    for (size_t i = 0; !path && names[i] && !library; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
#define FIND(name) complete &= find(library, "dnnl_" #name, &dnnl.name);
    FUNCTIONS(FIND)
#undef FIND
    version = complete ? dnnl.version() : NULL;
    if (!version || version->major != DNNL_VERSION_MAJOR)
        return;
    if (version->cpu_runtime == DNNL_RUNTIME_OMP) {
        if (!find_openmp(library))
            return;
    } else if (version->cpu_runtime != DNNL_RUNTIME_SEQ) {
        return;
    }
    if (dnnl.engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
        engine = NULL;
}

int wte__onednn_begin(void)
{
    int before = get_threads ? get_threads() : 1;

    if (set_threads)
        set_threads(1);
    return before;
}

void wte__onednn_end(int before)
{
    if (set_threads)
        set_threads(before);
}

/* ---- products ---------------------------------------------------------------------------- */

static void drop_product(product *p, unsigned n_workers)
{
    for (unsigned i = 0; p->memories && i < n_workers; i++)
        for (size_t m = 0; m < N_MEMORIES; m++)
            if (p->memories[i][m])
                dnnl.memory_destroy(p->memories[i][m]);
    wte__free(p->memories);
    if (p->primitive)
        dnnl.primitive_destroy(p->primitive);
    *p = (product){0};
}

static bool make_memories(product *p, unsigned n_workers, const layout_query layouts[N_MEMORIES])
{
    p->memories = wte__calloc(n_workers, sizeof *p->memories);
    if (!p->memories)
        return false;
    for (unsigned i = 0; i < n_workers; i++)
        for (size_t m = 0; m < N_MEMORIES; m++)
            if ((m != SCRATCH || p->scratch_bytes) &&
                dnnl.memory_create(&p->memories[i][m], layouts[m], engine, DNNL_MEMORY_NONE) !=
                    dnnl_success)
                return false;
    return true;
}

static bool describe(wte__onednn *o, const shape *s, size_t n,
                     const dnnl_primitive_attr_t attributes, dnnl_primitive_desc_t *out, product *p)
{
    const dnnl_dim_t m = (dnnl_dim_t)s->n_rows, k = (dnnl_dim_t)s->n_in, j = (dnnl_dim_t)n;
    const dnnl_dim_t stride = (dnnl_dim_t)s->stride;
    const bool in_out = s->orientation == WTE__IN_OUT;
    const dnnl_dims_t sizes[3] = {{m, k}, {k, j}, {m, j}};
    const dnnl_dims_t steps[3] = {{k, 1}, {in_out ? stride : 1, in_out ? 1 : stride}, {j, 1}};
    const dnnl_data_type_t type = s->type == WTE__WEIGHT_BF16 ? dnnl_bf16 : dnnl_f32;
    const dnnl_data_type_t types[3] = {type, type, dnnl_f32};
    layout_query layouts[N_MEMORIES] = {NULL};
    dnnl_status_t status;
    bool done = false;
#if DNNL_VERSION_MAJOR < 3
    dnnl_memory_desc_t made[3];
    dnnl_matmul_desc_t matmul;

    for (size_t i = 0; i < 3; i++) {
        if (dnnl.memory_desc_init_by_strides(&made[i], 2, sizes[i], types[i], steps[i]) !=
            dnnl_success)
            goto cleanup;
        layouts[i] = &made[i];
    }
    status = dnnl.matmul_desc_init(&matmul, &made[X], &made[WEIGHTS], NULL, &made[SUMS]);
    if (status == dnnl_success)
        status = dnnl.primitive_desc_create(out, &matmul, attributes, engine, NULL);
#else
    dnnl_memory_desc_t made[3] = {NULL};

    for (size_t i = 0; i < 3; i++) {
        if (dnnl.memory_desc_create_with_strides(&made[i], 2, sizes[i], types[i], steps[i]) !=
            dnnl_success)
            goto cleanup;
        layouts[i] = made[i];
    }
    status = dnnl.matmul_primitive_desc_create(out, engine, made[X], made[WEIGHTS], NULL,
                                               made[SUMS], attributes);
#endif
    if (status == dnnl_unimplemented)
        o->refused |= 1u << s->type;
    if (status != dnnl_success)
        goto cleanup;
    layouts[SCRATCH] = dnnl.primitive_desc_query_md(*out, dnnl_query_scratchpad_md, 0);
    p->scratch_bytes = layouts[SCRATCH] ? dnnl.memory_desc_get_size(layouts[SCRATCH]) : 0;
    done = make_memories(p, o->n_workers, layouts);
cleanup:
#if DNNL_VERSION_MAJOR >= 3
    for (size_t i = 0; i < 3; i++)
        if (made[i])
            dnnl.memory_desc_destroy(made[i]);
#endif
    return done;
}

/* Make a product of n columns; nothing of it stays on failure. */
static bool make_product(wte__onednn *o, const shape *s, size_t n, product *p)
{
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t description = NULL;
    bool done = dnnl.primitive_attr_create(&attributes) == dnnl_success &&
                dnnl.primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user) ==
                    dnnl_success &&
                describe(o, s, n, attributes, &description, p) &&
                dnnl.primitive_create(&p->primitive, description) == dnnl_success;

    if (description)
        dnnl.primitive_desc_destroy(description);
    if (attributes)
        dnnl.primitive_attr_destroy(attributes);
    if (!done)
        drop_product(p, o->n_workers);
    return done;
}

static bool reserve_scratch(wte__onednn *o, size_t bytes)
{
    if (bytes <= o->scratch_bytes)
        return true;
    o->scratch_bytes = 0;
    for (unsigned i = 0; i < o->n_workers; i++) {
        wte__free(o->scratch[i]);
        o->scratch[i] = wte__alloc_aligned(bytes, 1);
    }
    for (unsigned i = 0; i < o->n_workers; i++)
        if (!o->scratch[i])
            return false;
    o->scratch_bytes = bytes;
    return true;
}

/* ---- objects ----------------------------------------------------------------------------- */

wte__onednn *wte__onednn_new(unsigned n_workers)
{
    wte__onednn *o = wte__calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->n_workers = n_workers;
    o->streams = wte__calloc(n_workers, sizeof(dnnl_stream_t));
    o->scratch = wte__calloc(n_workers, sizeof *o->scratch);
    if (!o->streams || !o->scratch) {
        wte__onednn_free(o);
        return NULL;
    }
    return o;
}

void wte__onednn_free(wte__onednn *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->n_shapes; i++) {
        drop_product(&o->shapes[i].whole, o->n_workers);
        drop_product(&o->shapes[i].rest, o->n_workers);
    }
    wte__free(o->shapes);
    for (unsigned i = 0; i < o->n_workers; i++) {
        if (o->scratch)
            wte__free(o->scratch[i]);
        if (o->streams && o->streams[i])
            dnnl.stream_destroy(o->streams[i]);
    }
    wte__free(o->scratch);
    wte__free(o->streams);
    wte__free(o);
}

static bool make_streams(wte__onednn *o)
{
    for (unsigned i = 0; i < o->n_workers; i++)
        if (!o->streams[i] &&
            dnnl.stream_create(&o->streams[i], engine, dnnl_stream_default_flags) != dnnl_success) {
            o->streams[i] = NULL;
            return false;
        }
    return true;
}

static bool same(const shape *a, const shape *b)
{
    return a->n_rows == b->n_rows && a->n_in == b->n_in && a->n_out == b->n_out &&
           a->stride == b->stride && a->type == b->type && a->orientation == b->orientation;
}

static const shape *prepare(wte__onednn *o, shape wanted)
{
    const size_t rest = wanted.n_out % WTE__ONEDNN_COLUMNS;

    for (size_t i = 0; i < o->n_shapes; i++)
        if (same(&o->shapes[i], &wanted))
            return reserve_scratch(o, o->shapes[i].scratch_bytes) ? &o->shapes[i] : NULL;
    if (!make_streams(o) ||
        !wte__grow((void **)&o->shapes, &o->capacity, o->n_shapes + 1, sizeof *o->shapes))
        return NULL;
    if (wanted.n_out >= WTE__ONEDNN_COLUMNS &&
        !make_product(o, &wanted, WTE__ONEDNN_COLUMNS, &wanted.whole))
        return NULL;
    if (rest && !make_product(o, &wanted, rest, &wanted.rest))
        goto fail;
    wanted.scratch_bytes = wanted.whole.scratch_bytes > wanted.rest.scratch_bytes
                               ? wanted.whole.scratch_bytes
                               : wanted.rest.scratch_bytes;
    if (!reserve_scratch(o, wanted.scratch_bytes))
        goto fail;
    o->shapes[o->n_shapes] = wanted;
    return &o->shapes[o->n_shapes++];
fail:
    drop_product(&wanted.whole, o->n_workers);
    drop_product(&wanted.rest, o->n_workers);
    return NULL;
}

void wte__onednn_prepare(wte__onednn *o, const wte__linear *l, size_t n_rows)
{
    const shape wanted = {.n_rows = n_rows,
                          .n_in = l->n_in,
                          .n_out = l->n_out,
                          .stride = l->stride,
                          .type = l->type,
                          .orientation = l->orientation};
    int before;

    o->current = NULL;
    pthread_once(&once, load);
    if (!engine || o->refused >> l->type & 1)
        return;
    before = wte__onednn_begin(); /* a primitive is made for a number of threads */
    o->current = prepare(o, wanted);
    wte__onednn_end(before);
}

bool wte__onednn_ready(const wte__onednn *o)
{
    return o->current != NULL;
}

bool wte__onednn_multiply(const wte__onednn *o, unsigned worker, const wte__linear *l,
                          const void *x, size_t column, float *sums)
{
    static const int places[N_MEMORIES] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST,
                                           DNNL_ARG_SCRATCHPAD};
    const bool whole = l->n_out - column >= WTE__ONEDNN_COLUMNS;
    const product *p = whole ? &o->current->whole : &o->current->rest;
    const size_t at = l->orientation == WTE__IN_OUT ? column : column * l->stride;
    const size_t size = l->type == WTE__WEIGHT_BF16 ? sizeof(uint16_t) : sizeof(float);
    /* oneDNN only reads the first two, through pointers that are not const */
    void *data[N_MEMORIES] = {(void *)(uintptr_t)x, (void *)((uintptr_t)l->weight + at * size),
                              sums, o->scratch[worker]};
    dnnl_exec_arg_t arguments[N_MEMORIES];
    int n = 0;

    for (int m = 0; m < N_MEMORIES; m++) {
        dnnl_memory_t memory = p->memories[worker][m];

        if (!memory)
            continue;
        if (dnnl.memory_set_data_handle(memory, data[m]) != dnnl_success)
            return false;
        arguments[n++] = (dnnl_exec_arg_t){places[m], memory};
    }
    return dnnl.primitive_execute(p->primitive, o->streams[worker], n, arguments) == dnnl_success &&
           dnnl.stream_wait(o->streams[worker]) == dnnl_success;
}

#else /* built without oneDNN's headers */

unsigned wte__onednn_types(void)
{
    return 0;
}

wte__onednn *wte__onednn_new(unsigned n_workers)
{
    (void)n_workers;
    return NULL;
}

void wte__onednn_free(wte__onednn *o)
{
    (void)o;
}

void wte__onednn_prepare(wte__onednn *o, const wte__linear *linear, size_t n_rows)
{
    (void)o;
    (void)linear;
    (void)n_rows;
}

bool wte__onednn_ready(const wte__onednn *o)
{
    (void)o;
    return false;
}

int wte__onednn_begin(void)
{
    return 1;
}

void wte__onednn_end(int before)
{
    (void)before;
}

bool wte__onednn_multiply(const wte__onednn *o, unsigned worker, const wte__linear *linear,
                          const void *x, size_t column, float *sums)
{
    (void)o;
    (void)worker;
    (void)linear;
    (void)x;
    (void)column;
    (void)sums;
    return false;
}
#endif
