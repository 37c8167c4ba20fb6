/* SPDX-License-Identifier: MIT */
/* lapack.c - BLAS and LAPACK, loaded when they are first needed
 *
 * The libraries are not linked: an optimised BLAS takes about 5 ms to load, with threads of its
 * own, and every start of the command would pay for it, while principal components are rare. So
 * they are loaded by name at the first use and stay loaded. LAPACKE brings BLAS along, as it
 * depends on it.
 *
 * Threads inside BLAS split sums differently by their number, so they are turned off where that can
 * be done (OpenBLAS); the callers run several single-threaded updates at once instead, in a fixed
 * division of the work.
 *
 * Source: LAPACK's dsyevr (Dhillon and Parlett 2004) and dgesdd (Gu and Eisenstat 1995), called
 * through LAPACKE with 32-bit integers. */
#include "space/lapack.h"
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>

/* Values of the C interfaces' enumerations. */
enum { ROW_MAJOR = 101, COLUMN_MAJOR = 102, TRANSPOSE = 112, UPPER = 121 };

typedef void (*dsyrk_fn)(int order, int uplo, int transpose, int n, int k, double alpha,
                         const double *a, int lda, double beta, double *c, int ldc);
typedef int (*dsyevr_fn)(int layout, char jobz, char range, char uplo, int n, double *a, int lda,
                         double vl, double vu, int il, int iu, double abstol, int *m, double *w,
                         double *z, int ldz, int *isuppz);
typedef int (*dgesdd_fn)(int layout, char jobz, int m, int n, double *a, int lda, double *s,
                         double *u, int ldu, double *vt, int ldvt);

#if defined(__APPLE__)
static const char *const names[] = {"liblapacke.3.dylib", "liblapacke.dylib", NULL};
#else
static const char *const names[] = {"liblapacke.so.3", "liblapacke.so", NULL};
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static dsyrk_fn dsyrk;
static dsyevr_fn dsyevr;
static dgesdd_fn dgesdd;
static char reason[256];

/* A function by its name. ISO C has no cast from an object's address to a function's. */
static void find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);

    memcpy(function, &symbol, sizeof symbol);
}

static void load(void)
{
    void *library = NULL;
    void (*set_threads)(int) = NULL;

    for (size_t i = 0; names[i] && !library; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *message = dlerror();

        snprintf(reason, sizeof reason, "%s", message ? message : "not found");
        return;
    }
    find(library, "cblas_dsyrk", &dsyrk);
    find(library, "LAPACKE_dsyevr", &dsyevr);
    find(library, "LAPACKE_dgesdd", &dgesdd);
    find(library, "openblas_set_num_threads", &set_threads);
    if (!dsyrk || !dsyevr || !dgesdd)
        snprintf(reason, sizeof reason, "it lacks %s",
                 !dsyrk    ? "cblas_dsyrk"
                 : !dsyevr ? "LAPACKE_dsyevr"
                           : "LAPACKE_dgesdd");
    if (set_threads)
        set_threads(1);
}

wte_status wte__lapack_load(wte_error *err)
{
    pthread_once(&once, load);
    if (dsyrk && dsyevr && dgesdd)
        return WTE_OK;
    return wte__fail(err, WTE_E_UNSUPPORTED,
                     "eigenvectors and singular values need LAPACK: install liblapacke and "
                     "libopenblas0-pthread (Debian's names) (%s)",
                     reason);
}

void wte__rank_k_update(const double *x, size_t n, size_t dim, double *c)
{
    dsyrk(ROW_MAJOR, UPPER, TRANSPOSE, (int)dim, (int)n, 1, x, (int)dim, 1, c, (int)dim);
}

wte_status wte__eigen(double *c, size_t dim, size_t d, double *values, double *vectors,
                      wte_error *err)
{
    int *support = wte__calloc(2 * d, sizeof *support);
    int found = 0, info = 0;
    wte_status status = WTE_OK;

    if (!support)
        return wte__fail(err, WTE_E_NOMEM, "no memory for %zu eigenvectors", d);
    if (dim > INT_MAX / 32) {
        status = wte__fail(err, WTE_E_RANGE, "%zu dimensions are too many for LAPACK", dim);
        goto done;
    }
    /* the upper triangle of rows is the lower triangle of columns */
    info = dsyevr(COLUMN_MAJOR, 'V', 'I', 'L', (int)dim, c, (int)dim, 0, 0, (int)(dim - d + 1),
                  (int)dim, 0, &found, values, vectors, (int)dim, support);
    if (info != 0 || (size_t)found != d) {
        status = wte__fail(err, info < -1000 ? WTE_E_NOMEM : WTE_E_RANGE,
                           "eigenvectors of a [%zu, %zu] matrix were not found (LAPACK's %d)", dim,
                           dim, info);
        goto done;
    }
    /* LAPACK gives the smallest first */
    for (size_t i = 0, j = d - 1; i < j; i++, j--) {
        double value = values[i];

        values[i] = values[j];
        values[j] = value;
        for (size_t k = 0; k < dim; k++) {
            double x = vectors[i * dim + k];

            vectors[i * dim + k] = vectors[j * dim + k];
            vectors[j * dim + k] = x;
        }
    }
done:
    wte__free(support);
    return status;
}

wte_status wte__singular(double *x, size_t n, size_t k, double *values, double *left,
                         wte_error *err)
{
    const size_t r = n < k ? n : k;
    double *right = NULL;
    int info;

    if (n > INT_MAX / 32 || k > INT_MAX / 32)
        return wte__fail(err, WTE_E_RANGE, "a [%zu, %zu] matrix is too large for LAPACK", n, k);
    if (left) {
        right = wte__calloc(r, k * sizeof *right);
        if (!right)
            return wte__fail(err, WTE_E_NOMEM, "no memory for %zu singular vectors", r);
    }
    /* rows are the columns of the transpose, whose right vectors are the left ones here */
    info = dgesdd(COLUMN_MAJOR, left ? 'S' : 'N', (int)k, (int)n, x, (int)k, values, right, (int)k,
                  left, (int)r);
    wte__free(right);
    if (info != 0)
        return wte__fail(err, info < -1000 ? WTE_E_NOMEM : WTE_E_RANGE,
                         "singular values of a [%zu, %zu] matrix were not found (LAPACK's %d)", n,
                         k, info);
    return WTE_OK;
}
