/* SPDX-License-Identifier: MIT */
/* kernel.c - the plain C kernels, and the choice among all kernels
 *
 * These versions define the answer; every other file is a faster way to the same number. They are
 * written to be read: one loop each, sums in float64, so that a vector version with its own order
 * of summation can be judged against something better than itself. Where kernel.h promises bits
 * (conversions, quantisation, integer products, the matrix tile, the analogy score) the operations
 * here are the operations there: a true division, a true fused multiply-add, no reordering.
 *
 * Rows of a mapped file begin at any byte, so nothing here dereferences a float pointer: values are
 * read and written through memcpy, which compiles to a plain move.
 *
 * Half precision, IEEE 754 binary16:  s eeeee mmmmmmmmmm  bias 15, e = 0: m * 2^-24
 * bfloat16, the upper half of float:  s eeeeeeee mmmmmmm  bias 127
 *
 * Left out: float kernels for SSE2 alone. Every x86-64 machine since 2013-2015 has AVX2. */
#include "kernel/kernel.h"
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include "kernel/kernel_c.h"
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

static wte__kernels active;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t bits_of(float v)
{
    uint32_t u;

    memcpy(&u, &v, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float v;

    memcpy(&v, &u, sizeof v);
    return v;
}

/* ---- conversion --------------------------------------------------------------------------- */

static float from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u;
    uint32_t mantissa = h & 0x3FFu;

    if (exponent == 0)
        return float_of(bits_of((float)mantissa * 0x1p-24f) | sign);
    if (exponent == 31) /* infinity, or NaN made quiet as the hardware does */
        return float_of(sign | 0x7F800000u | mantissa << 13 | (mantissa ? 0x400000u : 0));
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

static float from_bf16(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

static uint16_t to_f16(float v)
{
    uint32_t u = bits_of(v), sign = u >> 16 & 0x8000u, magnitude = u & 0x7FFFFFFFu;

    if (magnitude > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u | (magnitude >> 13 & 0x3FFu));
    if (magnitude >= 0x477FF000u) /* 65520 and above round beyond the largest half */
        return (uint16_t)(sign | 0x7C00u);
    if (magnitude < 0x38800000u) /* below 2^-14: the sum's last place is 2^-24, a half's as well */
        return (uint16_t)(sign | (bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f)));
    magnitude += 0xFFFu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | (magnitude - 0x38000000u) >> 13);
}

static uint16_t to_bf16(float v)
{
    uint32_t u = bits_of(v);

    if ((u & 0x7FFFFFFFu) > 0x7F800000u)
        return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7FFFu + (u >> 16 & 1u)) >> 16);
}

void wte__f16_to_f32_c(const uint16_t *x, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wte__put_f32(out + i, from_f16(wte__get_u16(x + i)));
}

void wte__bf16_to_f32_c(const uint16_t *x, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wte__put_f32(out + i, from_bf16(wte__get_u16(x + i)));
}

void wte__f32_to_f16_c(const float *x, uint16_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wte__put_u16(out + i, to_f16(wte__get_f32(x + i)));
}

void wte__f32_to_bf16_c(const float *x, uint16_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wte__put_u16(out + i, to_bf16(wte__get_f32(x + i)));
}

/* ---- sums over rows ----------------------------------------------------------------------- */

static float dot_f32_c(const float *x, const float *y, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)wte__get_f32(x + i) * wte__get_f32(y + i);
    return (float)sum;
}

static void dot_f32_rows_c(const unsigned char *base, const uint64_t *offsets, size_t stride,
                           size_t n_rows, const float *y, size_t dim, float *out)
{
    for (size_t r = 0; r < n_rows; r++)
        out[r] = dot_f32_c((const void *)(base + (offsets ? offsets[r] : r * stride)), y, dim);
}

static float dot_f16_c(const uint16_t *x, const float *y, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)from_f16(wte__get_u16(x + i)) * wte__get_f32(y + i);
    return (float)sum;
}

static float dot_bf16_c(const uint16_t *x, const float *y, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)from_bf16(wte__get_u16(x + i)) * wte__get_f32(y + i);
    return (float)sum;
}

static double square_of_difference(float x, float y)
{
    double d = (double)x - y;

    return d * d;
}

static float sqdist_f32_c(const float *x, const float *y, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += square_of_difference(wte__get_f32(x + i), wte__get_f32(y + i));
    return (float)sum;
}

static float sqdist_f16_c(const uint16_t *x, const float *y, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += square_of_difference(from_f16(wte__get_u16(x + i)), wte__get_f32(y + i));
    return (float)sum;
}

static float sqdist_bf16_c(const uint16_t *x, const float *y, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += square_of_difference(from_bf16(wte__get_u16(x + i)), wte__get_f32(y + i));
    return (float)sum;
}

static float l1dist_f32_c(const float *x, const float *y, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += fabs((double)wte__get_f32(x + i) - wte__get_f32(y + i));
    return (float)sum;
}

double wte__sumsq_f32_c(const float *x, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++) {
        double v = wte__get_f32(x + i);
        sum += v * v;
    }
    return sum;
}

/* Without their sign, floats are in the order of their bits, and NaN stands above infinity. */
float wte__maxabs_f32_c(const float *x, size_t n)
{
    uint32_t max = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t magnitude = bits_of(wte__get_f32(x + i)) & 0x7FFFFFFFu;
        if (magnitude > max)
            max = magnitude;
    }
    return float_of(max);
}

/* ---- int8 codes --------------------------------------------------------------------------- */

static float quantize_i8_c(const float *x, size_t n, float inverse, int8_t *out)
{
    float sum = 0.0f;

    for (size_t i = 0; i < n; i++) {
        float v = wte__get_f32(x + i) * inverse, code = v;
        code = code > -127.0f ? code : -127.0f; /* NaN too: its residual is NaN */
        code = code < 127.0f ? code : 127.0f;
        code = nearbyintf(code);
        out[i] = (int8_t)code;
        sum = fmaf(v - code, v - code, sum);
    }
    return sum;
}

static void dot_i8_rows_c(const int8_t *codes, size_t stride, size_t n_rows, const int8_t *query,
                          size_t dim, int32_t *out)
{
    for (size_t r = 0; r < n_rows; r++) {
        const int8_t *row = codes + r * stride;
        int32_t sum = 0;
        for (size_t i = 0; i < dim; i++)
            sum += row[i] * query[i];
        wte__put_u32(out + r, (uint32_t)sum);
    }
}

/* ---- blocks of scores --------------------------------------------------------------------- */

static void gemm_tile_c(const float *a, const float *b, size_t k, float *c, size_t ldc)
{
    float tile[WTE__GEMM_MR][WTE__GEMM_NR] = {{0}};

    for (size_t i = 0; i < k; i++)
        for (size_t r = 0; r < WTE__GEMM_MR; r++) {
            float v = wte__get_f32(a + i * WTE__GEMM_MR + r);
            for (size_t j = 0; j < WTE__GEMM_NR; j++)
                tile[r][j] = fmaf(v, b[i * WTE__GEMM_NR + j], tile[r][j]);
        }
    for (size_t r = 0; r < WTE__GEMM_MR; r++)
        memcpy(c + r * ldc, tile[r], sizeof tile[r]);
}

static size_t select_ge_c(const float *x, size_t n, float threshold, uint32_t *out)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        if (wte__get_f32(x + i) >= threshold)
            wte__put_u32(out + found++, (uint32_t)i);
    return found;
}

/* ---- choice ------------------------------------------------------------------------------- */

#if defined(__x86_64__)
/* __builtin_cpu_supports also asks whether the operating system saves the registers; not every
 * compiler knows f16c by name, so that bit is read here. */
unsigned wte__cpu_flags(void)
{
    unsigned flags = 0, eax, ebx, ecx = 0, edx;

    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C))
        flags |= WTE_CPU_AVX2;
    if (flags && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        flags |= WTE_CPU_AVX512;
    if ((flags & WTE_CPU_AVX512) && __builtin_cpu_supports("avx512vnni"))
        flags |= WTE_CPU_VNNI;
    return flags;
}
#elif defined(__aarch64__) && defined(__APPLE__)
unsigned wte__cpu_flags(void)
{
    int has = 0;
    size_t size = sizeof has;

    if (sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, NULL, 0) == 0 && has)
        return WTE_CPU_NEON | WTE_CPU_DOTPROD;
    return WTE_CPU_NEON;
}
#elif defined(__aarch64__) && defined(__linux__)
unsigned wte__cpu_flags(void)
{
    enum { ASIMDDP = 1u << 20 }; /* HWCAP_ASIMDDP, which older headers lack */

    return getauxval(AT_HWCAP) & ASIMDDP ? WTE_CPU_NEON | WTE_CPU_DOTPROD : WTE_CPU_NEON;
}
#elif defined(__aarch64__)
unsigned wte__cpu_flags(void)
{
    return WTE_CPU_NEON;
}
#else
unsigned wte__cpu_flags(void)
{
    return 0;
}
#endif

void wte__kernels_init(wte__kernels *k, unsigned cpu_flags)
{
    *k = (wte__kernels){
        .name = "c",
        .dot_f32 = dot_f32_c,
        .dot_f32_rows = dot_f32_rows_c,
        .dot_f16 = dot_f16_c,
        .dot_bf16 = dot_bf16_c,
        .sqdist_f32 = sqdist_f32_c,
        .sqdist_f16 = sqdist_f16_c,
        .sqdist_bf16 = sqdist_bf16_c,
        .l1dist_f32 = l1dist_f32_c,
        .sumsq_f32 = wte__sumsq_f32_c,
        .maxabs_f32 = wte__maxabs_f32_c,
        .f16_to_f32 = wte__f16_to_f32_c,
        .bf16_to_f32 = wte__bf16_to_f32_c,
        .f32_to_f16 = wte__f32_to_f16_c,
        .f32_to_bf16 = wte__f32_to_bf16_c,
        .quantize_i8 = quantize_i8_c,
        .dot_i8_rows = dot_i8_rows_c,
        .gemm_tile = gemm_tile_c,
        .select_ge = select_ge_c,
    };
    wte__kernels_init_c_nn(k);
    wte__kernels_init_c_compare(k);
#if defined(__x86_64__)
    wte__kernels_init_avx2(k, cpu_flags);
    wte__kernels_init_avx512(k, cpu_flags);
    wte__kernels_init_vnni(k, cpu_flags);
#elif defined(__aarch64__)
    wte__kernels_init_neon(k, cpu_flags);
    wte__kernels_init_dotprod(k, cpu_flags);
#else
    (void)cpu_flags;
#endif
}

/* What a value of WTE_CPU allows: the set it names and all sets below it. */
static unsigned allowed_by(const char *name)
{
    static const struct {
        const char *name;
        unsigned flags;
    } sets[] = {
        {"c", 0},
        {"avx2", WTE_CPU_AVX2},
        {"avx512", WTE_CPU_AVX2 | WTE_CPU_AVX512},
        {"vnni", WTE_CPU_AVX2 | WTE_CPU_AVX512 | WTE_CPU_VNNI},
        {"neon", WTE_CPU_NEON},
        {"dotprod", WTE_CPU_NEON | WTE_CPU_DOTPROD},
    };

    for (size_t i = 0; name && i < sizeof sets / sizeof *sets; i++)
        if (strcmp(name, sets[i].name) == 0)
            return sets[i].flags;
    return ~0u;
}

static void init_active(void)
{
    wte__kernels_init(&active, wte__cpu_flags() & allowed_by(getenv("WTE_CPU")));
}

const wte__kernels *wte__kernel(void)
{
    pthread_once(&once, init_active);
    return &active;
}
