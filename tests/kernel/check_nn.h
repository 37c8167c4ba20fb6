/* SPDX-License-Identifier: MIT */
/* check_nn.h - the part of checkkernel.c that checks the kernels of the networks
 *
 * Included there, where the random input, the arenas and the guards are. Products of few rows and
 * the mix of attention have bits to keep; functions are held against the C library's in float64,
 * over a sweep through all exponents as well as at every length. */
#ifndef CHECK_NN_H
#define CHECK_NN_H

typedef enum element { E_F32, E_F16, E_BF16, N_ELEMENTS } element_type;
static const char *const in_out_names[] = {"few_in_out_f32", "few_in_out_f16", "few_in_out_bf16"};
static const char *const out_in_names[] = {"few_out_in_f32", "few_out_in_f16", "few_out_in_bf16"};

static void *weights_of(element_type type, int arena, size_t n, size_t slack, enum kind kind)
{
    return type == E_F32 ? (void *)floats(arena, n, slack, kind)
                         : (void *)halves(arena, n, slack, kind, type == E_BF16);
}

static const void *offset_by(element_type type, const void *p, size_t n)
{
    return (const unsigned char *)p + n * (type == E_F32 ? 4 : 2);
}

static void run_in_out(const wte__kernels *k, element_type type, const void *w, size_t ldw,
                       size_t n_in, size_t n, const float *x, size_t ldx, size_t n_rows, float *y,
                       size_t ldy)
{
    if (type == E_F32)
        k->few_in_out_f32(w, ldw, n_in, n, x, ldx, n_rows, y, ldy);
    else if (type == E_F16)
        k->few_in_out_f16(w, ldw, n_in, n, x, ldx, n_rows, y, ldy);
    else
        k->few_in_out_bf16(w, ldw, n_in, n, x, ldx, n_rows, y, ldy);
}

static void run_out_in(const wte__kernels *k, element_type type, const void *w, size_t ldw,
                       size_t n, size_t n_in, const float *x, size_t ldx, size_t n_rows, float *y,
                       size_t ldy)
{
    if (type == E_F32)
        k->few_out_in_f32(w, ldw, n, n_in, x, ldx, n_rows, y, ldy);
    else if (type == E_F16)
        k->few_out_in_f16(w, ldw, n, n_in, x, ldx, n_rows, y, ldy);
    else
        k->few_out_in_bf16(w, ldw, n, n_in, x, ldx, n_rows, y, ldy);
}

static float run_dot(const wte__kernels *k, element_type type, const void *w, const float *x,
                     size_t n)
{
    return type == E_F32   ? k->dot_f32(w, x, n)
           : type == E_F16 ? k->dot_f16(w, x, n)
                           : k->dot_bf16(w, x, n);
}

/* How many numbers a matrix of these rows spans. */
static size_t span(size_t n_rows, size_t ld, size_t n)
{
    return n_rows && n ? (n_rows - 1) * ld + n : 0;
}

static bool check_few_in_out(const wte__kernels *k, element_type type)
{
    const char *name = in_out_names[type];

    for (size_t n = 0; n <= 700; n = next_length(n))
        for (size_t n_rows = 1; n_rows <= WTE__FEW_ROWS + 4; n_rows++) {
            enum kind kind = (enum kind)below(N_KINDS);
            size_t n_in = below(30), ldw = n + below(20), ldx = n_in + below(5);
            size_t ldy = n + below(9), offset = below(4), size = span(n_rows, ldy, n) * 4;
            const void *w = weights_of(type, 0, span(n_in, ldw, n), below(4), kind);
            const float *x = floats(1, span(n_rows, ldx, n_in), below(4), kind);
            float *got = guarded(0, size, offset), *want = guarded(1, size, offset);
            for (size_t i = 0; i < size / 4; i++) {
                put(got + i, value_of(kind));
                memcpy(want + i, got + i, 4);
            }
            watch(k, name, n);
            run_in_out(k, type, w, ldw, n_in, n, x, ldx, n_rows, got, ldy);
            run_in_out(&ref, type, w, ldw, n_in, n, x, ldx, n_rows, want, ldy);
            if (!guards_whole(0, size, offset) || memcmp(got, want, size) != 0)
                return wrong(k, name, n, "differs (%zu rows, n_in %zu, kind %u)", n_rows, n_in,
                             (unsigned)kind);
        }
    return true;
}

static bool check_few_panels(const wte__kernels *k)
{
    for (size_t n_in = 0; n_in <= 300; n_in = next_length(n_in))
        for (size_t n_rows = 1; n_rows <= 14; n_rows++) {
            enum kind kind = (enum kind)below(N_KINDS);
            size_t n_panels = below(8), n = n_panels * WTE__PANEL, ldx = n_in + below(5);
            size_t ldy = n + below(9), offset = below(4), size = span(n_rows, ldy, n) * 4;
            const uint16_t *w = weights_of(E_BF16, 0, n_panels * n_in * WTE__PANEL, below(4), kind);
            const float *x = floats(1, span(n_rows, ldx, n_in), below(4), kind);
            float *got = guarded(0, size, offset), *want = guarded(1, size, offset);
            for (size_t i = 0; i < size / 4; i++) {
                put(got + i, value_of(kind));
                memcpy(want + i, got + i, 4);
            }
            watch(k, "few_panels_bf16", n_in);
            k->few_panels_bf16(w, n_in, n_panels, x, ldx, n_rows, got, ldy);
            ref.few_panels_bf16(w, n_in, n_panels, x, ldx, n_rows, want, ldy);
            if (!guards_whole(0, size, offset) || memcmp(got, want, size) != 0)
                return wrong(k, "few_panels_bf16", n_in, "differs (%zu rows, %zu panels, kind %u)",
                             n_rows, n_panels, (unsigned)kind);
        }
    return true;
}

static bool check_few_out_in(const wte__kernels *k, element_type type)
{
    const char *name = out_in_names[type];

    for (size_t n_in = 0; n_in <= 700; n_in = next_length(n_in))
        for (size_t n_rows = 1; n_rows <= WTE__FEW_ROWS + 4; n_rows++) {
            enum kind kind = (enum kind)below(N_KINDS);
            size_t n = below(12), ldw = n_in + below(20), ldx = n_in + below(5);
            size_t ldy = n + below(9), offset = below(4), size = span(n_rows, ldy, n) * 4;
            const void *w = weights_of(type, 0, span(n, ldw, n_in), below(4), kind);
            const float *x = floats(1, span(n_rows, ldx, n_in), below(4), kind);
            float *got = guarded(0, size, offset);
            watch(k, name, n_in);
            run_out_in(k, type, w, ldw, n, n_in, x, ldx, n_rows, got, ldy);
            if (!guards_whole(0, size, offset))
                return wrong(k, name, n_in, "wrote outside its output");
            for (size_t r = 0; r < n_rows; r++)
                for (size_t j = 0; j < n; j++) {
                    float want = run_dot(k, type, offset_by(type, w, j * ldw), x + r * ldx, n_in);
                    if (memcmp(&want, got + r * ldy + j, 4) != 0)
                        return wrong(k, name, n_in, "row %zu of %zu: %.9g, the dot is %.9g", r,
                                     n_rows, (double)get(got + r * ldy + j), (double)want);
                }
        }
    return true;
}

static bool check_many_i8_case(const wte__kernels *k, size_t dim, size_t n, size_t n_rows,
                               bool extreme)
{
    static _Alignas(64) int8_t x[512 << 10];
    size_t stride = dim + below(70), ldx = (dim + 63) / 64 * 64, ldo = n + below(5);
    size_t size = n ? (n - 1) * stride + dim + WTE__QUERY_PAD - 1 : 0, offset = below(4);
    size_t out_size = span(n_rows, ldo, n) * 4;
    int8_t *w = any_bits(0, size, 0); /* -128 stands between rows only */

    memset(x, 0, n_rows * ldx);
    for (size_t r = 0; r < n_rows; r++)
        for (size_t i = 0; i < dim; i++)
            x[r * ldx + i] = (int8_t)(extreme ? 127 : (int)below(255) - 127);
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < dim; i++) {
            int8_t *code = w + j * stride + i;
            *code = (int8_t)(extreme ? (j & 1 ? -127 : 127) : *code == -128 ? 0 : *code);
        }
    unsigned char *got = guarded(0, out_size, offset), *want = guarded(1, out_size, offset);
    watch(k, "many_i8", dim);
    k->many_i8(w, stride, n, x, ldx, n_rows, dim, (void *)got, ldo);
    ref.many_i8(w, stride, n, x, ldx, n_rows, dim, (void *)want, ldo);
    if (!guards_whole(0, out_size, offset) || memcmp(got, want, out_size) != 0)
        return wrong(k, "many_i8", dim, "differs (%zu rows, n %zu)", n_rows, n);
    return true;
}

static bool check_many_i8(const wte__kernels *k)
{
    for (size_t dim = 0; dim <= MAX_LENGTH; dim = next_length(dim))
        for (int times = 0; times < 6; times++)
            if (!check_many_i8_case(k, dim, below(11), below(20), below(4) == 0))
                return false;
    return check_many_i8_case(k, 500, 9, 150, false) && check_many_i8_case(k, 65536, 3, 6, true);
}

/* d = x - mean is off by the mean's error, n roundings of the sum of magnitudes; the variance by n
 * roundings of its own and the square of that error. */
static bool check_layer_norm(const wte__kernels *k)
{
    static const enum kind kinds[] = {ORDINARY, MIXED, INTEGERS};
    const float epsilon = 1e-5f;

    for (size_t n = 1; n <= MAX_LENGTH; n = next_length(n))
        for (int which = 0; which < 3; which++) {
            const float *x = floats(0, n, below(4), kinds[which]);
            const float *weight = floats(1, n, below(4), kinds[which]);
            const float *bias = floats(2, n, below(4), ORDINARY);
            size_t offset = below(4);
            float *got = guarded(0, 4 * n, offset), *want = guarded(1, 4 * n, offset);
            double sum = 0.0, mean = 0.0, variance = 0.0;
            watch(k, "layer_norm", n);
            k->layer_norm(x, weight, bias, epsilon, n, got);
            ref.layer_norm(x, weight, bias, epsilon, n, want);
            if (!guards_whole(0, 4 * n, offset))
                return wrong(k, "layer_norm", n, "wrote outside its output");
            for (size_t i = 0; i < n; i++) {
                sum += fabs((double)get(x + i));
                mean += (double)get(x + i) / (double)n;
            }
            for (size_t i = 0; i < n; i++)
                variance += pow(get(x + i) - mean, 2) / (double)n;
            double off = (double)(n + 2) * FLT_EPSILON * sum / (double)n;
            double scale = 1 / sqrt(variance + epsilon);
            double relative =
                (double)(n + 8) * FLT_EPSILON + off * off / (2 * (variance + epsilon));
            for (size_t i = 0; i < n; i++) {
                double d = fabs(get(x + i) - mean) * scale, w = fabs((double)get(weight + i));
                double bound = w * (off * scale + d * relative) +
                               2 * FLT_EPSILON * (fabs((double)get(want + i)) + 1e-30);
                if (!(fabs((double)get(got + i) - get(want + i)) <= bound))
                    return wrong(k, "layer_norm", n, "element %zu: %.9g, want %.9g within %.3g", i,
                                 (double)get(got + i), (double)get(want + i), bound);
            }
            memcpy(want, got, 4 * n);
            memcpy(got, x, 4 * n);
            k->layer_norm(got, weight, bias, epsilon, n, got);
            if (memcmp(got, want, 4 * n) != 0)
                return wrong(k, "layer_norm", n, "differs in place");
            put(got + below(n), NAN);
            k->layer_norm(got, weight, bias, epsilon, n, got);
            for (size_t i = 0; i < n; i++)
                if (!isnan(get(got + i)))
                    return wrong(k, "layer_norm", n, "element %zu is no NaN", i);
        }
    return true;
}

enum function { GELU_TANH, GELU_ERF, TANH, N_FUNCTIONS };
static const char *const function_names[] = {"gelu_tanh", "gelu_erf", "tanh_f32"};

static void run_function(const wte__kernels *k, enum function which, float *x, size_t n)
{
    if (which == GELU_TANH)
        k->gelu_tanh(x, n);
    else if (which == GELU_ERF)
        k->gelu_erf(x, n);
    else
        k->tanh_f32(x, n);
}

/* Within 2.4e-7, relative above 1; and tanh relative everywhere. */
static bool near_function(enum function which, float got, float want)
{
    double size = fabs((double)want);

    if (isnan(want) || isinf(want))
        return isnan(want) ? isnan(got) : got == want;
    return fabs((double)got - want) <= 2.4e-7 * (size > 1.0 || which == TANH ? size : 1.0);
}

static bool check_function(const wte__kernels *k, enum function which)
{
    enum { CHUNK = 1 << 16, STEP = 509 };
    const char *name = function_names[which];

    for (size_t n = 0; n <= MAX_LENGTH; n = next_length(n))
        for (unsigned kind = 0; kind < N_KINDS; kind++) {
            size_t offset = below(4);
            float *got = guarded(0, 4 * n, offset), *want = guarded(1, 4 * n, offset);
            for (size_t i = 0; i < n; i++)
                put(want + i, kind == ORDINARY ? 8 * uniform() : value_of(kind));
            memcpy(got, want, 4 * n);
            watch(k, name, n);
            run_function(k, which, got, n);
            run_function(&ref, which, want, n);
            if (!guards_whole(0, 4 * n, offset))
                return wrong(k, name, n, "wrote outside its output");
            for (size_t i = 0; i < n; i++)
                if (!near_function(which, get(got + i), get(want + i)))
                    return wrong(k, name, n, "%.9g, want %.9g", (double)get(got + i),
                                 (double)get(want + i));
        }
    static float x[CHUNK], got[CHUNK], want[CHUNK];
    watch(k, name, CHUNK);
    for (uint64_t bits = below(STEP); bits <= UINT32_MAX;) { /* NaN and infinity among them */
        for (size_t i = 0; i < CHUNK; i++, bits += STEP)
            memcpy(x + i, &(uint32_t){bits > UINT32_MAX ? 0xFF800000u : (uint32_t)bits}, 4);
        memcpy(got, x, sizeof x);
        memcpy(want, x, sizeof x);
        run_function(k, which, got, CHUNK);
        run_function(&ref, which, want, CHUNK);
        for (size_t i = 0; i < CHUNK; i++)
            if (!near_function(which, got[i], want[i]))
                return wrong(k, name, CHUNK, "of %.9g: %.9g, want %.9g", (double)x[i],
                             (double)got[i], (double)want[i]);
    }
    return true;
}

static bool check_softmax(const wte__kernels *k)
{
    for (size_t n = 0; n <= MAX_LENGTH; n = next_length(n))
        for (unsigned kind = 0; kind < N_KINDS; kind++) {
            size_t offset = below(4), masked = 0;
            float *got = guarded(0, 4 * n, offset), *want = guarded(1, 4 * n, offset);
            float *x = floats(0, n, below(4), kind);
            if (n > 1 && below(2)) {
                masked = below(n - 1) + 1;
                put(x + masked, -INFINITY);
            }
            float max = ref.max_f32(x, n);
            memcpy(got, x, 4 * n);
            memcpy(want, x, 4 * n);
            watch(k, "softmax", n);
            k->softmax(got, n);
            ref.softmax(want, n);
            if (!guards_whole(0, 4 * n, offset))
                return wrong(k, "softmax", n, "wrote outside its output");
            for (size_t i = 0; i < n; i++) {
                double d = fabs((double)get(x + i) - max), w = get(want + i);
                /* the rounding of x - max, and of the rest */
                double bound = w > 0 ? w * (d * FLT_EPSILON + 3e-6) + 3e-45 : 3e-45;
                if (!(fabs(get(got + i) - w) <= bound))
                    return wrong(k, "softmax", n, "element %zu: %.9g, want %.9g", i,
                                 (double)get(got + i), w);
            }
            if (masked && get(got + masked) != 0.0f)
                return wrong(k, "softmax", n, "-infinity became %.9g", (double)get(got + masked));
            double exact = ref.sum_exp(x, n, 0.25f), sum = k->sum_exp(x, n, 0.25f);
            if (kind != HUGE_VALUES && kind != MIXED && !(fabs(sum - exact) <= 2e-6 * exact))
                return wrong(k, "sum_exp", n, "%.12g, want %.12g", sum, exact);
            if (n == 0)
                continue;
            put(x + below(n), NAN);
            memcpy(got, x, 4 * n);
            k->softmax(got, n);
            if (!isnan(k->sum_exp(x, n, 0.0f)))
                return wrong(k, "sum_exp", n, "of NaN is a number");
            for (size_t i = 0; i < n; i++) {
                if (!isnan(get(got + i)))
                    return wrong(k, "softmax", n, "with a NaN gave %.9g", (double)get(got + i));
                put(got + i, -INFINITY);
            }
            k->softmax(got, n);
            for (size_t i = 0; i < n; i++)
                if (!isnan(get(got + i)))
                    return wrong(k, "softmax", n, "of -infinity is %.9g", (double)get(got + i));
        }
    return true;
}

static bool check_max(const wte__kernels *k)
{
    for (size_t n = 0; n <= MAX_LENGTH; n = next_length(n))
        for (unsigned kind = 0; kind < N_KINDS + 2; kind++) {
            float *x = floats(0, n, below(4), kind % N_KINDS);
            if (kind >= N_KINDS)
                for (size_t i = 0; i < n; i++)
                    put(x + i, kind == N_KINDS ? -INFINITY : -2.0f - get(x + i));
            watch(k, "max_f32", n);
            float want = ref.max_f32(x, n), got = k->max_f32(x, n);
            if (got != want)
                return wrong(k, "max_f32", n, "%.9g, want %.9g", (double)got, (double)want);
            if (n == 0)
                continue;
            put(x + below(n), INFINITY);
            if (!(k->max_f32(x, n) == INFINITY))
                return wrong(k, "max_f32", n, "missed infinity");
            put(x + below(n), NAN);
            if (!isnan(k->max_f32(x, n)))
                return wrong(k, "max_f32", n, "missed NaN");
        }
    return true;
}

static bool check_attend(const wte__kernels *k, bool f16)
{
    const char *scores_name = f16 ? "attend_scores_f16" : "attend_scores_f32";
    const char *mix_name = f16 ? "attend_mix_f16" : "attend_mix_f32";
    element_type type = f16 ? E_F16 : E_F32;
    enum { CELLS = 40, MOST = 70 };

    for (size_t dim = 0; dim <= 400; dim = next_length(dim))
        for (int times = 0; times < 6; times++) {
            enum kind kind = (enum kind)below(N_KINDS);
            size_t n = below(MOST), offset = below(4);
            const void *rows = weights_of(type, 0, CELLS * dim, below(4), kind);
            const float *query = floats(1, dim, below(4), kind);
            const float *weights = floats(2, n, below(4), kind);
            uint32_t *cells = place(3, n * sizeof *cells, below(4));
            float *got = guarded(0, 4 * n, offset), *want = guarded(1, 4 * n, offset), one;
            for (size_t i = 0; i < n; i++)
                memcpy(cells + i, &(uint32_t){(uint32_t)below(CELLS)}, 4);
            watch(k, scores_name, dim);
            if (f16)
                k->attend_scores_f16(query, rows, cells, n, dim, got);
            else
                k->attend_scores_f32(query, rows, cells, n, dim, got);
            if (!guards_whole(0, 4 * n, offset))
                return wrong(k, scores_name, dim, "wrote outside its output");
            for (size_t i = 0; i < n; i++) {
                uint32_t cell;
                memcpy(&cell, cells + i, 4);
                const void *row = offset_by(type, rows, cell * dim);
                double bound = row_bound(f16 ? DOT_F16 : DOT_F32, row, query, dim);
                double exact = run_dot(&ref, type, row, query, dim);
                if (f16)
                    k->attend_scores_f16(query, rows, cells + i, 1, dim, &one);
                else
                    k->attend_scores_f32(query, rows, cells + i, 1, dim, &one);
                if (!(fabs(get(got + i) - exact) <= bound) || memcmp(&one, got + i, 4) != 0)
                    return wrong(k, scores_name, dim, "%.9g, want %.9g, alone %.9g",
                                 (double)get(got + i), exact, (double)one);
            }
            got = guarded(0, 4 * dim, offset);
            want = guarded(1, 4 * dim, offset);
            watch(k, mix_name, dim);
            if (f16) {
                k->attend_mix_f16(weights, rows, cells, n, dim, got);
                ref.attend_mix_f16(weights, rows, cells, n, dim, want);
            } else {
                k->attend_mix_f32(weights, rows, cells, n, dim, got);
                ref.attend_mix_f32(weights, rows, cells, n, dim, want);
            }
            if (!guards_whole(0, 4 * dim, offset) || memcmp(got, want, 4 * dim) != 0)
                return wrong(k, mix_name, dim, "differs (n %zu, kind %u)", n, (unsigned)kind);
        }
    return true;
}

/* Several queries at once have the bits of each alone. */
static bool check_attend_many(const wte__kernels *k, bool f16)
{
    const char *scores_name = f16 ? "attend_scores_many_f16" : "attend_scores_many_f32";
    const char *mix_name = f16 ? "attend_mix_many_f16" : "attend_mix_many_f32";
    element_type type = f16 ? E_F16 : E_F32;
    enum { CELLS = 40, MOST = 150, ROWS = 14 };

    for (size_t dim = 0; dim <= 300; dim = next_length(dim)) {
        enum kind kind = (enum kind)below(N_KINDS);
        size_t n = below(MOST), n_rows = 1 + below(ROWS), offset = below(4);
        size_t ldq = dim + below(5), lds = n + below(5), ldo = dim + below(5);
        const void *rows = weights_of(type, 0, CELLS * dim, below(4), kind);
        const float *queries = floats(1, span(n_rows, ldq, dim), below(4), kind);
        const float *weights = floats(2, span(n_rows, lds, n), below(4), kind);
        uint32_t *cells = place(3, n * sizeof *cells, below(4)), n_keys[ROWS];
        size_t size = span(n_rows, lds, n) * 4;
        float *got = guarded(0, size, offset), *one;
        for (size_t i = 0; i < n; i++)
            memcpy(cells + i, &(uint32_t){(uint32_t)below(CELLS)}, 4);
        for (size_t r = 0; r < n_rows; r++)
            n_keys[r] = (uint32_t)below((unsigned)n + 1);
        watch(k, scores_name, dim);
        if (f16)
            k->attend_scores_many_f16(queries, ldq, n_rows, rows, cells, n, dim, got, lds);
        else
            k->attend_scores_many_f32(queries, ldq, n_rows, rows, cells, n, dim, got, lds);
        if (!guards_whole(0, size, offset))
            return wrong(k, scores_name, dim, "wrote outside its output");
        for (size_t r = 0; r < n_rows; r++) {
            one = guarded(1, n * 4, offset);
            if (f16)
                k->attend_scores_f16(queries + r * ldq, rows, cells, n, dim, one);
            else
                k->attend_scores_f32(queries + r * ldq, rows, cells, n, dim, one);
            if (memcmp(one, got + r * lds, n * 4) != 0)
                return wrong(k, scores_name, dim, "row %zu of %zu differs (n %zu)", r, n_rows, n);
        }
        size = span(n_rows, ldo, dim) * 4;
        got = guarded(0, size, offset);
        watch(k, mix_name, dim);
        if (f16)
            k->attend_mix_many_f16(weights, lds, n_rows, rows, cells, n_keys, dim, got, ldo);
        else
            k->attend_mix_many_f32(weights, lds, n_rows, rows, cells, n_keys, dim, got, ldo);
        if (!guards_whole(0, size, offset))
            return wrong(k, mix_name, dim, "wrote outside its output");
        for (size_t r = 0; r < n_rows; r++) {
            one = guarded(1, dim * 4, offset);
            if (f16)
                k->attend_mix_f16(weights + r * lds, rows, cells, n_keys[r], dim, one);
            else
                k->attend_mix_f32(weights + r * lds, rows, cells, n_keys[r], dim, one);
            if (memcmp(one, got + r * ldo, dim * 4) != 0)
                return wrong(k, mix_name, dim, "row %zu of %zu differs (n %u)", r, n_rows,
                             (unsigned)n_keys[r]);
        }
    }
    return true;
}

static bool check_nn(const wte__kernels *k)
{
    bool good = true;

    for (unsigned type = 0; type < N_ELEMENTS; type++) {
        good &= check_few_in_out(k, type);
        good &= check_few_out_in(k, type);
    }
    good &= check_few_panels(k);
    good &= check_many_i8(k);
    good &= check_layer_norm(k);
    for (unsigned which = 0; which < N_FUNCTIONS; which++)
        good &= check_function(k, which);
    good &= check_max(k);
    good &= check_softmax(k);
    good &= check_attend(k, false);
    good &= check_attend(k, true);
    good &= check_attend_many(k, false);
    good &= check_attend_many(k, true);
    return good;
}
#endif
