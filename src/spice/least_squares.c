// least_squares.c - MINPACK's lmdif: differences for the Jacobian, then Levenberg-Marquardt
#include "spice/least_squares.h"

#include <cminpack.h>
#include <math.h>

#include "core/memory.h"

// Relative changes of the sum and of the parameters below which nothing more is to be had.
static const double tolerance = 1e-4;

// What lmdif hands through to the function.
struct call {
    const struct ley_least_squares *problem;
    enum ley_status status;
};

static int evaluate(void *user, int m, int n, const double *x, double *residual, int flag) {
    struct call *call = user;
    (void)m;
    (void)n;
    if (flag == 0) { // an iteration is over: lmdif offers to print
        return 0;
    }
    call->status = call->problem->function(call->problem->context, residual, x);
    return call->status == LEY_OK ? 0 : -1;
}

// Work of lmdif, cut from one block.
struct work {
    double *block, *residual, *diag, *jacobian, *qtf, *a, *b, *c, *d;
    int *pivot;
};

static enum ley_status create(struct work *work, size_t m, size_t n) {
    size_t n_doubles = 2 * m + m * n + 5 * n;
    *work = (struct work){.block = ley_alloc(n_doubles, sizeof(double)),
                          .pivot = ley_alloc(n, sizeof(int))};
    if (!work->block || !work->pivot) {
        return ley_fail_memory("least squares", n_doubles, sizeof(double));
    }
    work->residual = work->block;
    work->d = work->residual + m;
    work->jacobian = work->d + m;
    work->diag = work->jacobian + m * n;
    work->qtf = work->diag + n;
    work->a = work->qtf + n;
    work->b = work->a + n;
    work->c = work->b + n;
    return LEY_OK;
}

enum ley_status ley_least_squares(double *x, double *error, int *n_evaluations,
                                  const struct ley_least_squares *problem) {
    int m = problem->n_residuals, n = problem->n_params, evaluations = 0;
    struct call call = {problem, LEY_OK};
    struct work w;
    enum ley_status status = create(&w, (size_t)m, (size_t)n);
    if (status == LEY_OK) {
        int info = lmdif(evaluate, &call, m, n, x, w.residual, tolerance, tolerance, 0,
                         problem->max_evaluations, problem->relative_noise, w.diag, 1, 1, 0,
                         &evaluations, w.jacobian, m, w.pivot, w.qtf, w.a, w.b, w.c, w.d);
        status = info < 0 ? call.status : LEY_OK;
    }
    if (status == LEY_OK) {
        double norm = enorm(m, w.residual);
        covar1(m, n, norm * norm, w.jacobian, m, w.pivot, 1e-12, w.a);
        for (int i = 0; i < n; i++) {
            double variance = w.jacobian[(size_t)i * (size_t)m + (size_t)i];
            error[i] = variance > 0 ? sqrt(variance) : 0;
        }
    }
    if (n_evaluations) {
        *n_evaluations = evaluations;
    }
    ley_free(w.block);
    ley_free(w.pivot);
    return status;
}
