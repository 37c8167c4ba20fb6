/* SPDX-License-Identifier: MIT */
/* pickle.c - the pickles of PyTorch's state dicts, read without executing anything
 *
 * torch.save writes a state dict as
 *
 *     {"wte.weight": _rebuild_tensor_v2(storage, offset, (50257, 768), (768, 1), False,
 *                                       OrderedDict()), ...}
 *
 * where storage is a persistent id, a tuple ("storage", torch.FloatStorage, key, device, numel).
 * Protocol 2 is what it uses; newer protocols write the same things shorter, and Python 2 wrote its
 * strings with other opcodes. All of these are known here, and nothing else.
 *
 * The machine: objects are numbered in the order they are made and never change kind; the stack,
 * the memo and all containers hold these numbers. So an object may be in many places, even inside
 * itself, and freeing is one pass over the objects. A call is looked at by the name of what it
 * calls: OrderedDict makes a dict, _rebuild_tensor_v2 keeps its arguments as a tensor,
 * _rebuild_parameter is its first argument. Arguments are judged when the tensors are asked for, as
 * a tensor costs a hostile file five bytes.
 *
 * Bounds: a pickle is at most 32 MiB (a hundred thousand tensors have 15) and makes at most four
 * million objects of 24 bytes. What is copied, views whose elements are not contiguous, is together
 * at most twice the storages, and no such view may repeat elements, or a tiny file could ask for
 * any amount of memory.
 *
 * Training scripts put more into a file: {"model": state_dict, "epoch": 3, "optimizer": {...}}. The
 * state dict is then one of the values. It is taken where it can be told from the others: a dict
 * that holds tensors itself, by a customary name or as the only one. Numbers, strings and the like
 * beside tensors or beside a state dict are left out, and the checkpoint's note names them.
 *
 * Left out: protocols 0 and 1, bytes, sets, classes of any kind, and the tar files of torch before
 * 0.2.
 *
 * Source: Python's Lib/pickletools.py, which describes each opcode; torch/serialization.py and
 * torch/_utils.py for what is pickled. */
#include "format/pickle.h"
#include <inttypes.h>
#include <stdlib.h>

enum {
    MAX_PICKLE = 32 << 20,
    MAX_OBJECTS = 4 << 20,
    MAX_COPIES = 2, /* times the bytes of all storages */
    NAME_SHOWN = 128,
    NAMES_LEFT_OUT = 4 /* of what was left out are named */
};

typedef enum kind {
    NONE,
    BOOL,
    INT,
    FLOAT,
    STRING,
    TUPLE,
    LIST,
    DICT,
    GLOBAL,
    STORAGE,
    TENSOR
} kind;

static const char *const kind_names[] = {
    "None",   "a bool", "a number",           "a number",  "a string", "a tuple",
    "a list", "a dict", "a function or type", "a storage", "a tensor"};

typedef struct wte__object {
    uint8_t kind;
    bool tensors; /* DICT: one of its values is a tensor */
    uint32_t n;   /* bytes of a string, items of a container (a dict has two a pair), which
                   global, which storage, or the tuple of a tensor's arguments */
    union {
        int64_t integer; /* INT, BOOL */
        const unsigned char *bytes;
        size_t first; /* a tuple's first item */
        struct {
            uint32_t *items;
            size_t capacity;
        } list; /* LIST, DICT */
        struct {
            uint64_t offset, numel;
        } view; /* STORAGE: the part that is meant */
    } u;
} object;

enum { ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER, FIRST_STORAGE };

static const struct {
    const char *name, *dtype;
    size_t element;
} globals[] = {{"collections.OrderedDict", NULL, 0},
               {"torch._utils._rebuild_tensor_v2", NULL, 0},
               {"torch._utils._rebuild_parameter", NULL, 0},
               {"torch.FloatStorage", "F32", 4},
               {"torch.HalfStorage", "F16", 2},
               {"torch.BFloat16Storage", "BF16", 2},
               {"torch.DoubleStorage", "F64", 8},
               {"torch.LongStorage", "I64", 8},
               {"torch.IntStorage", "I32", 4},
               {"torch.ShortStorage", "I16", 2},
               {"torch.CharStorage", "I8", 1},
               {"torch.ByteStorage", "U8", 1},
               {"torch.BoolStorage", "BOOL", 1}};

/* ---- failures --------------------------------------------------------------------------- */

static wte_status no_memory(const wte__pickle *p, wte_error *err)
{
    return wte__fail(err, WTE_E_NOMEM, "no memory for the pickle of %s", p->path);
}

static wte_status damaged(const wte__pickle *p, const char *what, wte_error *err)
{
    return wte__fail_at(err, WTE_E_FORMAT, p->at, "%s: its pickle is damaged at byte %zu: %s",
                        p->path, p->at, what);
}

static wte_status calls(const wte__pickle *p, const char *module, size_t module_len,
                        const char *name, size_t name_len, wte_error *err)
{
    return wte__fail_at(err, WTE_E_FORMAT, p->at,
                        "%s: its pickle calls '%.*s.%.*s', which a state dict does not need",
                        p->path, (int)(module_len < NAME_SHOWN ? module_len : NAME_SHOWN), module,
                        (int)(name_len < NAME_SHOWN ? name_len : NAME_SHOWN), name);
}

static wte_status refuse_opcode(const wte__pickle *p, unsigned char opcode, wte_error *err)
{
    static const struct {
        unsigned char opcode;
        const char *name;
    } known[] = {{'0', "POP"},
                 {'1', "POP_MARK"},
                 {'2', "DUP"},
                 {'F', "FLOAT"},
                 {'I', "INT"},
                 {'L', "LONG"},
                 {'P', "PERSID"},
                 {'S', "STRING"},
                 {'V', "UNICODE"},
                 {'B', "BINBYTES"},
                 {'C', "SHORT_BINBYTES"},
                 {'d', "DICT"},
                 {'g', "GET"},
                 {'l', "LIST"},
                 {'o', "OBJ"},
                 {'p', "PUT"},
                 {0x81, "NEWOBJ"},
                 {0x82, "EXT1"},
                 {0x83, "EXT2"},
                 {0x84, "EXT4"},
                 {0x8B, "LONG4"},
                 {0x8E, "BINBYTES8"},
                 {0x8F, "EMPTY_SET"},
                 {0x90, "ADDITEMS"},
                 {0x91, "FROZENSET"},
                 {0x92, "NEWOBJ_EX"},
                 {0x96, "BYTEARRAY8"},
                 {0x97, "NEXT_BUFFER"},
                 {0x98, "READONLY_BUFFER"}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].opcode == opcode)
            return wte__fail_at(err, WTE_E_FORMAT, p->at,
                                "%s: its pickle uses the opcode %s, which a state dict does not "
                                "need",
                                p->path, known[i].name);
    return wte__fail_at(err, WTE_E_FORMAT, p->at,
                        "%s: its pickle is damaged at byte %zu: 0x%02X is no opcode", p->path,
                        p->at, opcode);
}

/* ---- bytes ------------------------------------------------------------------------------ */

/* The next n bytes; NULL if there are not so many. */
static const unsigned char *take(wte__pickle *p, uint64_t n)
{
    const unsigned char *bytes = p->data + p->at;

    if (n > p->size - p->at)
        return NULL;
    p->at += (size_t)n;
    return bytes;
}

/* A little-endian number of 1 to 8 bytes. */
static uint64_t number(const unsigned char *bytes, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static wte_status ends_early(const wte__pickle *p, wte_error *err)
{
    return wte__fail_at(err, WTE_E_FORMAT, p->size,
                        "%s: its pickle ends early, or is longer than %d MiB", p->path,
                        MAX_PICKLE >> 20);
}

/* ---- stack ------------------------------------------------------------------------------ */

static size_t floor_of(const wte__pickle *p)
{
    return p->n_marks ? p->marks[p->n_marks - 1] : 0;
}

static bool pop(wte__pickle *p, uint32_t *id)
{
    if (p->n_stack <= floor_of(p))
        return false;
    *id = p->stack[--p->n_stack];
    return true;
}

static wte_status push(wte__pickle *p, uint32_t id, wte_error *err)
{
    if (!wte__grow((void **)&p->stack, &p->stack_capacity, p->n_stack + 1, sizeof *p->stack))
        return no_memory(p, err);
    p->stack[p->n_stack++] = id;
    return WTE_OK;
}

static wte_status push_new(wte__pickle *p, object o, wte_error *err)
{
    if (p->n_objects >= MAX_OBJECTS)
        return wte__fail_at(err, WTE_E_FORMAT, p->at, "%s: its pickle makes more than %d objects",
                            p->path, MAX_OBJECTS);
    if (!wte__grow((void **)&p->objects, &p->object_capacity, p->n_objects + 1, sizeof o))
        return no_memory(p, err);
    p->objects[p->n_objects++] = o;
    return push(p, (uint32_t)(p->n_objects - 1), err);
}

static wte_status push_int(wte__pickle *p, int64_t value, wte_error *err)
{
    return push_new(p, (object){.kind = INT, .u.integer = value}, err);
}

static wte_status push_plain(wte__pickle *p, kind k, int64_t value, wte_error *err)
{
    return push_new(p, (object){.kind = (uint8_t)k, .u.integer = value}, err);
}

/* A string whose length is in the next n bytes. */
static wte_status push_string(wte__pickle *p, size_t n, wte_error *err)
{
    const unsigned char *length = take(p, n), *bytes;
    uint64_t len;

    if (!length)
        return ends_early(p, err);
    len = number(length, n);
    bytes = take(p, len);
    if (!bytes)
        return ends_early(p, err);
    return push_new(p, (object){.kind = STRING, .n = (uint32_t)len, .u.bytes = bytes}, err);
}

static wte_status push_long(wte__pickle *p, wte_error *err)
{
    const unsigned char *n = take(p, 1), *bytes = n ? take(p, *n) : NULL;
    uint64_t value;

    if (!bytes)
        return ends_early(p, err);
    if (*n > 8)
        return damaged(p, "a number of more than 64 bits", err);
    value = number(bytes, *n);
    if (*n > 0 && *n < 8 && bytes[*n - 1] & 0x80)
        value |= UINT64_MAX << (8 * *n);
    return push_int(p, (int64_t)value, err);
}

/* ---- containers ------------------------------------------------------------------------- */

/* The top n of the stack become a tuple. */
static wte_status push_tuple(wte__pickle *p, size_t n, wte_error *err)
{
    object o = {.kind = TUPLE, .n = (uint32_t)n, .u.first = p->n_items};

    if (n > p->n_stack - floor_of(p))
        return damaged(p, "a tuple of more than there is", err);
    if (!wte__grow((void **)&p->items, &p->item_capacity, p->n_items + n, sizeof *p->items))
        return no_memory(p, err);
    if (n)
        memcpy(p->items + p->n_items, p->stack + p->n_stack - n, n * sizeof *p->items);
    p->n_items += n;
    p->n_stack -= n;
    return push_new(p, o, err);
}

/* Move the top n of the stack into the container below them, which stays. */
static wte_status append(wte__pickle *p, kind k, size_t n, wte_error *err)
{
    object *o;

    if (p->n_stack - floor_of(p) <= n)
        return damaged(p, "nothing to put items into", err);
    o = &p->objects[p->stack[p->n_stack - n - 1]];
    if (o->kind != k || (k == DICT && n % 2))
        return damaged(
            p, k == DICT ? "keys and values for what is no dict" : "items for what is no list",
            err);
    if (n > UINT32_MAX - o->n)
        return damaged(p, "too many items", err);
    if (!wte__grow((void **)&o->u.list.items, &o->u.list.capacity, o->n + n,
                   sizeof *o->u.list.items))
        return no_memory(p, err);
    if (n)
        memcpy(o->u.list.items + o->n, p->stack + p->n_stack - n, n * sizeof *p->stack);
    for (size_t i = 1; k == DICT && i < n; i += 2)
        o->tensors |= p->objects[p->stack[p->n_stack - n + i]].kind == TENSOR;
    o->n += (uint32_t)n;
    p->n_stack -= n;
    return WTE_OK;
}

static bool pop_mark(wte__pickle *p, size_t *n)
{
    if (p->n_marks == 0)
        return false;
    *n = p->n_stack - p->marks[--p->n_marks];
    return true;
}

/* Items of a list or tuple; false for anything else. */
static bool sequence(const wte__pickle *p, uint32_t id, const uint32_t **items, size_t *n)
{
    const object *o = &p->objects[id];

    if (o->kind != TUPLE && o->kind != LIST)
        return false;
    *items = o->kind == LIST ? o->u.list.items : p->items + o->u.first;
    *n = o->n;
    return true;
}

static wte_status put(wte__pickle *p, uint64_t at, wte_error *err)
{
    size_t old = p->memo_size;

    if (p->n_stack <= floor_of(p))
        return damaged(p, "nothing to remember", err);
    if (at >= MAX_OBJECTS)
        return damaged(p, "a memo entry far beyond the last", err);
    if (at >= old) {
        if (!wte__grow((void **)&p->memo, &p->memo_capacity, (size_t)at + 1, sizeof *p->memo))
            return no_memory(p, err);
        memset(p->memo + old, 0, ((size_t)at + 1 - old) * sizeof *p->memo);
        p->memo_size = (size_t)at + 1;
    }
    p->memo[at] = p->stack[p->n_stack - 1] + 1;
    return WTE_OK;
}

static wte_status get(wte__pickle *p, uint64_t at, wte_error *err)
{
    if (at >= p->memo_size || p->memo[at] == 0)
        return damaged(p, "a memo entry that was never made", err);
    return push(p, p->memo[at] - 1, err);
}

/* ---- globals, persistent ids and calls -------------------------------------------------- */

static wte_status push_global(wte__pickle *p, const char *module, size_t module_len,
                              const char *name, size_t name_len, wte_error *err)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
        size_t n = strlen(globals[i].name);

        if (n == module_len + 1 + name_len && globals[i].name[module_len] == '.' &&
            memcmp(globals[i].name, module, module_len) == 0 &&
            memcmp(globals[i].name + module_len + 1, name, name_len) == 0)
            return push_new(p, (object){.kind = GLOBAL, .n = (uint32_t)i}, err);
    }
    return calls(p, module, module_len, name, name_len, err);
}

/* Two lines, as GLOBAL and INST have them. */
static bool take_line(wte__pickle *p, const char **line, size_t *len)
{
    const unsigned char *start = p->data + p->at, *end = memchr(start, '\n', p->size - p->at);

    if (!end)
        return false;
    *line = (const char *)start;
    *len = (size_t)(end - start);
    p->at += *len + 1;
    return true;
}

static wte_status global(wte__pickle *p, bool called, wte_error *err)
{
    const char *module, *name;
    size_t module_len, name_len;

    if (!take_line(p, &module, &module_len) || !take_line(p, &name, &name_len))
        return ends_early(p, err);
    if (called)
        return calls(p, module, module_len, name, name_len, err);
    return push_global(p, module, module_len, name, name_len, err);
}

static wte_status stack_global(wte__pickle *p, wte_error *err)
{
    uint32_t name, module;
    const object *m, *n;

    if (!pop(p, &name) || !pop(p, &module) || p->objects[name].kind != STRING ||
        p->objects[module].kind != STRING)
        return damaged(p, "a global without a name", err);
    m = &p->objects[module];
    n = &p->objects[name];
    return push_global(p, (const char *)m->u.bytes, m->n, (const char *)n->u.bytes, n->n, err);
}

static bool string_is(const wte__pickle *p, uint32_t id, const char *text)
{
    const object *o = &p->objects[id];

    return o->kind == STRING && o->n == strlen(text) && memcmp(o->u.bytes, text, o->n) == 0;
}

static bool size_of(const wte__pickle *p, uint32_t id, uint64_t *value)
{
    const object *o = &p->objects[id];

    if (o->kind != INT || o->u.integer < 0)
        return false;
    *value = (uint64_t)o->u.integer;
    return true;
}

static size_t storage_slot(const wte__pickle *p, const char *key, size_t len)
{
    size_t slot = (size_t)wte__hash_seeded(key, len, wte__hash_secret()) & p->storage_mask;

    for (; p->storage_slots[slot]; slot = (slot + 1) & p->storage_mask) {
        const wte__storage *s = &p->storages[p->storage_slots[slot] - 1];

        if (s->key_len == len && memcmp(s->key, key, len) == 0)
            break;
    }
    return slot;
}

wte__storage *wte__pickle_storage(const wte__pickle *p, const char *key, size_t len)
{
    uint32_t found = p->storage_slots ? p->storage_slots[storage_slot(p, key, len)] : 0;

    return found ? &p->storages[found - 1] : NULL;
}

static bool grow_storage_slots(wte__pickle *p)
{
    size_t n_slots = p->storage_slots ? 2 * (p->storage_mask + 1) : 64;
    uint32_t *slots = wte__calloc(n_slots, sizeof *slots);

    if (!slots)
        return false;
    wte__free(p->storage_slots);
    p->storage_slots = slots;
    p->storage_mask = n_slots - 1;
    for (size_t i = 0; i < p->n_storages; i++)
        slots[storage_slot(p, p->storages[i].key, p->storages[i].key_len)] = (uint32_t)i + 1;
    return true;
}

/* Find or note a storage; the same key must always mean the same. */
static wte_status intern_storage(wte__pickle *p, const wte__storage *s, uint32_t *out,
                                 wte_error *err)
{
    wte__storage *old = wte__pickle_storage(p, s->key, s->key_len);

    if (old) {
        if (old->dtype != s->dtype || old->numel != s->numel)
            return damaged(p, "one storage with two types or sizes", err);
        *out = (uint32_t)(old - p->storages);
        return WTE_OK;
    }
    if ((!p->storage_slots || 2 * (p->n_storages + 1) > p->storage_mask) && !grow_storage_slots(p))
        return no_memory(p, err);
    if (!wte__grow((void **)&p->storages, &p->storage_capacity, p->n_storages + 1, sizeof *s))
        return no_memory(p, err);
    p->storages[p->n_storages++] = *s;
    p->storage_slots[storage_slot(p, s->key, s->key_len)] = (uint32_t)p->n_storages;
    *out = (uint32_t)(p->n_storages - 1);
    return WTE_OK;
}

/* ("storage", type, key, device, numel) and, in the older format, None or (key of the view, offset,
 * numel of the view). */
static wte_status persistent_id(wte__pickle *p, wte_error *err)
{
    object o = {.kind = STORAGE};
    const uint32_t *items = NULL, *view = NULL;
    wte__storage s = {0};
    const object *type, *key;
    size_t n = 0, n_view = 0, bytes;
    wte_status status;
    uint32_t id;

    if (!pop(p, &id) || !sequence(p, id, &items, &n) || n < 5 || n > 6 ||
        !string_is(p, items[0], "storage"))
        return damaged(p, "a persistent id that is no storage", err);
    type = &p->objects[items[1]];
    key = &p->objects[items[2]];
    if (type->kind != GLOBAL || type->n < FIRST_STORAGE || key->kind != STRING ||
        !size_of(p, items[4], &s.numel))
        return damaged(p, "a storage without type, key and size", err);
    s.key = (const char *)key->u.bytes;
    s.key_len = key->n;
    s.dtype = globals[type->n].dtype;
    s.element = globals[type->n].element;
    if (s.numel > PTRDIFF_MAX || wte__mul_overflows((size_t)s.numel, s.element, &bytes))
        return damaged(p, "a storage larger than any file", err);
    o.u.view.numel = s.numel;
    if (n == 6 && p->objects[items[5]].kind != NONE) {
        if (!sequence(p, items[5], &view, &n_view) || n_view != 3 ||
            !size_of(p, view[1], &o.u.view.offset) || !size_of(p, view[2], &o.u.view.numel) ||
            o.u.view.offset > s.numel || o.u.view.numel > s.numel - o.u.view.offset)
            return damaged(p, "a view outside of its storage", err);
    }
    status = intern_storage(p, &s, &o.n, err);
    return status == WTE_OK ? push_new(p, o, err) : status;
}

/* OrderedDict() or OrderedDict([(key, value), ...]), which Python 2 wrote. */
static wte_status call_ordered_dict(wte__pickle *p, const uint32_t *args, size_t n, wte_error *err)
{
    const uint32_t *pairs = NULL, *pair = NULL;
    size_t n_pairs = 0, len = 0;
    wte_status status;

    if (n > 1 || (n == 1 && !sequence(p, args[0], &pairs, &n_pairs)))
        return damaged(p, "an OrderedDict of something else than pairs", err);
    status = push_new(p, (object){.kind = DICT}, err);
    for (size_t i = 0; i < n_pairs && status == WTE_OK; i++) {
        if (!sequence(p, pairs[i], &pair, &len) || len != 2)
            return damaged(p, "an OrderedDict of something else than pairs", err);
        for (size_t k = 0; k < 2 && status == WTE_OK; k++)
            status = push(p, pair[k], err);
        if (status == WTE_OK)
            status = append(p, DICT, 2, err);
    }
    return status;
}

static wte_status reduce(wte__pickle *p, wte_error *err)
{
    const uint32_t *args = NULL;
    uint32_t tuple, function;
    size_t n = 0;

    if (!pop(p, &tuple) || !pop(p, &function) || p->objects[tuple].kind != TUPLE ||
        !sequence(p, tuple, &args, &n))
        return damaged(p, "a call without arguments", err);
    if (p->objects[function].kind != GLOBAL)
        return damaged(p, "a call of what is no function", err);
    switch (p->objects[function].n) {
    case ORDERED_DICT:
        return call_ordered_dict(p, args, n, err);
    case REBUILD_TENSOR:
        return push_new(p, (object){.kind = TENSOR, .n = tuple}, err);
    case REBUILD_PARAMETER:
        if (n < 1 || p->objects[args[0]].kind != TENSOR)
            return damaged(p, "a parameter of what is no tensor", err);
        return push(p, args[0], err);
    default:
        return wte__fail_at(err, WTE_E_FORMAT, p->at,
                            "%s: its pickle calls '%s', which a state dict does not need", p->path,
                            globals[p->objects[function].n].name);
    }
}

/* The attributes of an OrderedDict: torch keeps _metadata there, the versions of its modules. */
static wte_status build(wte__pickle *p, wte_error *err)
{
    uint32_t state;

    if (!pop(p, &state) || p->n_stack <= floor_of(p))
        return damaged(p, "a state without an object", err);
    if (p->objects[p->stack[p->n_stack - 1]].kind != DICT)
        return wte__fail_at(err, WTE_E_FORMAT, p->at,
                            "%s: its pickle sets the state of %s, which a state dict does not need",
                            p->path, kind_names[p->objects[p->stack[p->n_stack - 1]].kind]);
    return WTE_OK;
}

/* ---- the machine ------------------------------------------------------------------------ */

/* One opcode that has a number of n bytes behind it. */
static wte_status with_number(wte__pickle *p, unsigned char opcode, size_t n, wte_error *err)
{
    const unsigned char *bytes = take(p, n);
    uint64_t value;

    if (!bytes)
        return ends_early(p, err);
    value = number(bytes, n);
    switch (opcode) {
    case 0x80: /* PROTO */
        return value <= 5 ? WTE_OK : damaged(p, "a protocol newer than 5", err);
    case 0x95: /* FRAME: how much to read at once, which is nothing to a mapped file */
        return value <= p->size - p->at ? WTE_OK : ends_early(p, err);
    case 'J': /* BININT, the only signed one */
        return push_int(p, (int32_t)(uint32_t)value, err);
    case 'q': /* BINPUT */
    case 'r': /* LONG_BINPUT */
        return put(p, value, err);
    case 'h': /* BINGET */
    case 'j': /* LONG_BINGET */
        return get(p, value, err);
    default: /* BININT1, BININT2 */
        return push_int(p, (int64_t)value, err);
    }
}

static wte_status mark(wte__pickle *p, wte_error *err)
{
    if (!wte__grow((void **)&p->marks, &p->mark_capacity, p->n_marks + 1, sizeof *p->marks))
        return no_memory(p, err);
    p->marks[p->n_marks++] = p->n_stack;
    return WTE_OK;
}

/* An opcode that takes everything since the mark. */
static wte_status since_mark(wte__pickle *p, unsigned char opcode, wte_error *err)
{
    size_t n;

    if (!pop_mark(p, &n))
        return damaged(p, "no mark to go back to", err);
    if (opcode == 't')
        return push_tuple(p, n, err);
    return append(p, opcode == 'u' ? DICT : LIST, n, err);
}

static wte_status step(wte__pickle *p, unsigned char opcode, wte_error *err)
{
    switch (opcode) {
    case 0x80: /* PROTO */
    case 'K':  /* BININT1 */
    case 'q':  /* BINPUT */
    case 'h':  /* BINGET */
        return with_number(p, opcode, 1, err);
    case 'M': /* BININT2 */
        return with_number(p, opcode, 2, err);
    case 'J': /* BININT */
    case 'r': /* LONG_BINPUT */
    case 'j': /* LONG_BINGET */
        return with_number(p, opcode, 4, err);
    case 0x95: /* FRAME */
        return with_number(p, opcode, 8, err);
    case 0x94: /* MEMOIZE */
        return put(p, p->memo_size, err);
    case 0x8A: /* LONG1 */
        return push_long(p, err);
    case 'G': /* BINFLOAT; nothing asks for its value */
        return take(p, 8) ? push_plain(p, FLOAT, 0, err) : ends_early(p, err);
    case 'N':
        return push_plain(p, NONE, 0, err);
    case 0x88: /* NEWTRUE */
    case 0x89: /* NEWFALSE */
        return push_plain(p, BOOL, opcode == 0x88, err);
    case 'U':  /* SHORT_BINSTRING, of Python 2 */
    case 0x8C: /* SHORT_BINUNICODE */
        return push_string(p, 1, err);
    case 'T': /* BINSTRING, of Python 2 */
    case 'X': /* BINUNICODE */
        return push_string(p, 4, err);
    case 0x8D: /* BINUNICODE8 */
        return push_string(p, 8, err);
    case '}':
        return push_new(p, (object){.kind = DICT}, err);
    case ']':
        return push_new(p, (object){.kind = LIST}, err);
    case ')':
        return push_tuple(p, 0, err);
    case 0x85: /* TUPLE1 */
    case 0x86: /* TUPLE2 */
    case 0x87: /* TUPLE3 */
        return push_tuple(p, opcode - 0x84u, err);
    case '(':
        return mark(p, err);
    case 't': /* TUPLE */
    case 'e': /* APPENDS */
    case 'u': /* SETITEMS */
        return since_mark(p, opcode, err);
    case 'a': /* APPEND */
        return append(p, LIST, 1, err);
    case 's': /* SETITEM */
        return append(p, DICT, 2, err);
    case 'c': /* GLOBAL */
    case 'i': /* INST, a global that is called at once */
        return global(p, opcode == 'i', err);
    case 0x93:
        return stack_global(p, err);
    case 'Q': /* BINPERSID */
        return persistent_id(p, err);
    case 'R': /* REDUCE */
        return reduce(p, err);
    case 'b': /* BUILD */
        return build(p, err);
    default:
        p->at--;
        return refuse_opcode(p, opcode, err);
    }
}

wte_status wte__pickle_run(const unsigned char *data, size_t size, size_t at, const char *path,
                           wte__pickle *out, wte_error *err)
{
    wte__pickle *p = out;
    const unsigned char *opcode;
    wte_status status;

    memset(p, 0, sizeof *p);
    p->data = data;
    p->size = at < size && size - at > MAX_PICKLE ? at + MAX_PICKLE : size;
    p->at = at < size ? at : size;
    p->path = path;
    while ((opcode = take(p, 1))) {
        if (*opcode == '.') {
            if (p->n_stack != 1 || p->n_marks)
                return damaged(p, "it ends with something left over", err);
            p->result = p->stack[0];
            return WTE_OK;
        }
        status = step(p, *opcode, err);
        if (status != WTE_OK)
            return status;
    }
    return ends_early(p, err);
}

void wte__pickle_free(wte__pickle *p)
{
    for (size_t i = 0; i < p->n_objects; i++)
        if (p->objects[i].kind == LIST || p->objects[i].kind == DICT)
            wte__free(p->objects[i].u.list.items);
    wte__free(p->objects);
    wte__free(p->items);
    wte__free(p->stack);
    wte__free(p->marks);
    wte__free(p->memo);
    wte__free(p->storages);
    wte__free(p->storage_slots);
    memset(p, 0, sizeof *p);
}

/* ---- results other than a state dict ---------------------------------------------------- */

bool wte__pickle_is_int(const wte__pickle *p, int64_t *value)
{
    const object *o = &p->objects[p->result];

    if (o->kind != INT)
        return false;
    *value = o->u.integer;
    return true;
}

bool wte__pickle_dict_bool(const wte__pickle *p, const char *key, bool *value)
{
    const object *o = &p->objects[p->result];

    for (uint32_t i = 0; o->kind == DICT && i < o->n; i += 2) {
        const object *found = &p->objects[o->u.list.items[i + 1]];

        if (!string_is(p, o->u.list.items[i], key) || found->kind != BOOL)
            continue;
        *value = found->u.integer != 0;
        return true;
    }
    return false;
}

bool wte__pickle_is_list(const wte__pickle *p, size_t *n)
{
    const object *o = &p->objects[p->result];

    *n = o->n;
    return o->kind == LIST;
}

bool wte__pickle_list_string(const wte__pickle *p, size_t i, const char **s, size_t *len)
{
    const object *o = &p->objects[p->objects[p->result].u.list.items[i]];

    if (o->kind != STRING)
        return false;
    *s = (const char *)o->u.bytes;
    *len = o->n;
    return true;
}

/* ---- tensors ---------------------------------------------------------------------------- */

typedef struct view {
    const wte__storage *storage;
    uint64_t offset; /* from the storage's start */
    uint64_t room;   /* elements from there that may be touched */
    uint64_t size[WTE_MAX_DIMS], stride[WTE_MAX_DIMS];
    size_t n_dims;
    uint64_t elements, last; /* how many, and the farthest from offset */
    bool contiguous;
} view;

static wte_status bad_tensor(const wte__pickle *p, const object *name, const char *what,
                             wte_error *err)
{
    return wte__fail(err, WTE_E_FORMAT, "%s: tensor '%.*s' %s", p->path,
                     (int)(name->n < NAME_SHOWN ? name->n : NAME_SHOWN),
                     (const char *)name->u.bytes, what);
}

/* The arguments of _rebuild_tensor_v2: storage, offset, sizes, strides, and more that says nothing
 * about the numbers. */
static wte_status read_view(const wte__pickle *p, const object *name, const object *tensor, view *v,
                            wte_error *err)
{
    const object *tuple = &p->objects[tensor->n], *storage;
    const uint32_t *args = p->items + tuple->u.first, *sizes = NULL, *strides = NULL;
    size_t n_strides = 0;
    uint64_t expected = 1;

    if (tuple->n < 4 || p->objects[args[0]].kind != STORAGE || !size_of(p, args[1], &v->offset) ||
        !sequence(p, args[2], &sizes, &v->n_dims) || !sequence(p, args[3], &strides, &n_strides) ||
        v->n_dims != n_strides)
        return bad_tensor(p, name, "is made from no storage, offset, sizes and strides", err);
    if (v->n_dims > WTE_MAX_DIMS)
        return bad_tensor(p, name, "has more than 8 dimensions", err);
    storage = &p->objects[args[0]];
    v->storage = &p->storages[storage->n];
    if (v->offset > storage->u.view.numel)
        return bad_tensor(p, name, "begins behind the end of its storage", err);
    v->room = storage->u.view.numel - v->offset;
    v->offset += storage->u.view.offset;
    v->elements = 1;
    v->last = 0;
    v->contiguous = true;
    for (size_t i = v->n_dims; i-- > 0;) {
        uint64_t reach;

        if (!size_of(p, sizes[i], &v->size[i]) || !size_of(p, strides[i], &v->stride[i]))
            return bad_tensor(p, name, "has a size or stride that is none", err);
        if (v->size[i] != 1 && v->stride[i] != expected)
            v->contiguous = false;
        if (__builtin_mul_overflow(v->elements, v->size[i], &v->elements) ||
            __builtin_mul_overflow(expected, v->size[i] ? v->size[i] : 1, &expected) ||
            __builtin_mul_overflow(v->size[i] ? v->size[i] - 1 : 0, v->stride[i], &reach) ||
            __builtin_add_overflow(v->last, reach, &v->last))
            return bad_tensor(p, name, "has sizes that are too large", err);
    }
    if (v->elements == 0)
        v->contiguous = true;
    else if (v->last >= v->room)
        return bad_tensor(p, name, "reaches behind the end of its storage", err);
    else if (v->elements > v->last + 1)
        return bad_tensor(p, name, "repeats elements of its storage, which is not supported", err);
    return WTE_OK;
}

/* Copy a view row by row of its last dimension. Only called with elements. */
static void copy_view(const view *v, unsigned char *out)
{
    const size_t element = v->storage->element;
    const unsigned char *base = v->storage->data + v->offset * element;
    uint64_t index[WTE_MAX_DIMS] = {0};

    for (uint64_t done = 0; done < v->elements; done++) {
        uint64_t at = 0;

        for (size_t d = 0; d < v->n_dims; d++)
            at += index[d] * v->stride[d];
        memcpy(out + done * element, base + at * element, element);
        for (size_t d = v->n_dims; d-- > 0 && ++index[d] == v->size[d];)
            index[d] = 0;
    }
}

static wte_status add_tensor(const wte__pickle *p, wte_checkpoint *c, const object *name,
                             const object *tensor, uint64_t *may_copy, wte_error *err)
{
    wte_tensor t = {0};
    wte__extent extent;
    view v = {0};
    wte_status status = read_view(p, name, tensor, &v, err);

    if (status != WTE_OK)
        return status;
    t.dtype = v.storage->dtype;
    t.n_dims = v.n_dims;
    for (size_t i = 0; i < v.n_dims; i++)
        t.shape[i] = (size_t)v.size[i];
    t.bytes = v.elements * v.storage->element;
    extent.begin = v.storage->data + v.offset * v.storage->element;
    extent.elements = v.elements;
    extent.bytes = v.elements ? (v.last + 1) * v.storage->element : 0;
    t.data = extent.begin;
    if (!v.contiguous) {
        unsigned char *copy;

        if (t.bytes > *may_copy)
            return bad_tensor(p, name, "is one view too many that has to be copied", err);
        *may_copy -= t.bytes;
        copy = wte__checkpoint_block(c, (size_t)t.bytes);
        if (!copy)
            return no_memory(p, err);
        copy_view(&v, copy);
        t.data = copy;
    }
    return wte__checkpoint_add(c, p->path, (const char *)name->u.bytes, name->n, &t, &extent, err);
}

/* A string of the file for a note: in quotes, cut, bytes that are no printable ASCII as '?'. */
static const char *quote(const object *s, char *out, size_t size)
{
    size_t n = 0;

    out[n++] = '\'';
    for (uint32_t i = 0; i < s->n && n + 5 < size; i++)
        out[n++] = s->u.bytes[i] >= 0x20 && s->u.bytes[i] < 0x7F ? (char)s->u.bytes[i] : '?';
    snprintf(out + n, size - n, "%s'", n - 1 < s->n ? "..." : "");
    return out;
}

/* Choose the state dict among the values of a dict that holds no tensor itself: by a name that
 * training scripts give it, else the only one that holds tensors. */
static wte_status choose_dict(const wte__pickle *p, const object **dict, wte_error *err)
{
    static const char *const names[] = {"state_dict", "model_state_dict", "model", "module"};
    const object *around = *dict, *found = NULL;
    const object *key = NULL, *other = NULL;

    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
        for (uint32_t i = 0; i < around->n; i += 2)
            if (string_is(p, around->u.list.items[i], names[n]) &&
                p->objects[around->u.list.items[i + 1]].tensors) {
                *dict = &p->objects[around->u.list.items[i + 1]];
                return WTE_OK;
            }
    for (uint32_t i = 0; i < around->n; i += 2) {
        if (p->objects[around->u.list.items[i]].kind != STRING ||
            !p->objects[around->u.list.items[i + 1]].tensors)
            continue;
        other = found ? &p->objects[around->u.list.items[i]] : NULL;
        if (found)
            break;
        key = &p->objects[around->u.list.items[i]];
        found = &p->objects[around->u.list.items[i + 1]];
    }
    if (other)
        return wte__fail(
            err, WTE_E_FORMAT, "%s: both '%.*s' and '%.*s' hold tensors, expected one state dict",
            p->path, (int)(key->n < NAME_SHOWN ? key->n : NAME_SHOWN), (const char *)key->u.bytes,
            (int)(other->n < NAME_SHOWN ? other->n : NAME_SHOWN), (const char *)other->u.bytes);
    if (found)
        *dict = found;
    return WTE_OK;
}

/* Note what of a dict is not taken: every value but tensors and the chosen dict. */
static void note_left_out(const wte__pickle *p, wte_checkpoint *c, const object *dict,
                          const object *chosen)
{
    size_t used = strlen(c->note), n = 0;

    for (uint32_t i = 0; i < dict->n; i += 2) {
        const object *key = &p->objects[dict->u.list.items[i]];
        const object *value = &p->objects[dict->u.list.items[i + 1]];
        char shown[64];

        if (value->kind == TENSOR || value == chosen)
            continue;
        if (n++ >= NAMES_LEFT_OUT || used + sizeof shown + 64 > sizeof c->note)
            continue;
        if (key->kind == STRING)
            quote(key, shown, sizeof shown);
        else
            snprintf(shown, sizeof shown, "a key that is %s", kind_names[key->kind]);
        used += (size_t)snprintf(c->note + used, sizeof c->note - used, "%s%s (%s)",
                                 used ? ", " : "left out: ", shown, kind_names[value->kind]);
    }
    if (n > NAMES_LEFT_OUT)
        snprintf(c->note + used, sizeof c->note - used, " and %zu more", n - NAMES_LEFT_OUT);
}

static wte_status no_state_dict(const wte__pickle *p, const object *dict, wte_error *err)
{
    const object *key = &p->objects[dict->u.list.items[0]];
    char shown[64];

    if (key->kind != STRING)
        return wte__fail(err, WTE_E_FORMAT,
                         "%s: %s is a key of its dict, expected names of tensors", p->path,
                         kind_names[key->kind]);
    return wte__fail(err, WTE_E_FORMAT, "%s: it holds no tensor: %s is %s, expected a state dict",
                     p->path, quote(key, shown, sizeof shown),
                     kind_names[p->objects[dict->u.list.items[1]].kind]);
}

wte_status wte__pickle_tensors(const wte__pickle *p, wte_checkpoint *c, wte_error *err)
{
    const object *around = &p->objects[p->result], *dict = around;
    uint64_t may_copy = 0;

    if (dict->kind != DICT)
        return wte__fail(err, WTE_E_FORMAT, "%s: holds %s, expected a state dict", p->path,
                         kind_names[dict->kind]);
    if (!dict->tensors) {
        wte_status status = choose_dict(p, &dict, err);

        if (status != WTE_OK)
            return status;
        if (dict == around && dict->n > 0)
            return no_state_dict(p, dict, err);
        note_left_out(p, c, around, dict);
    }
    for (size_t i = 0; i < p->n_storages; i++)
        may_copy += MAX_COPIES * p->storages[i].numel * p->storages[i].element;
    for (uint32_t i = 0; i < dict->n; i += 2) {
        const object *name = &p->objects[dict->u.list.items[i]];
        const object *value = &p->objects[dict->u.list.items[i + 1]];
        wte_status status;

        if (value->kind != TENSOR)
            continue;
        if (name->kind != STRING)
            return wte__fail(err, WTE_E_FORMAT,
                             "%s: %s is a key of its dict, expected names of tensors", p->path,
                             kind_names[name->kind]);
        status = add_tensor(p, c, name, value, &may_copy, err);
        if (status != WTE_OK)
            return status;
    }
    note_left_out(p, c, dict, NULL);
    return WTE_OK;
}
