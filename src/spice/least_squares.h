// least_squares.h - parameters that make a sum of squares smallest (Levenberg and Marquardt).
#pragma once
#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Fills residual[n_residuals] at the parameters x[n_params]; a failure ends the search.
typedef enum ley_status ley_residual_function(void *context, double *residual, const double *x);

struct ley_least_squares {
    ley_residual_function *function;
    void *context;
    int n_residuals, n_params; // more residuals than parameters
    double relative_noise;     // of the residuals: sets the length of steps for differences
    int max_evaluations;
};

// x[n_params]: start, then best. error[n_params]: standard errors from the covariance at the best
// point; 0 where the residuals do not depend on a parameter. n_evaluations may be NULL.
// LEY_E_MISSING when this build has no cminpack. The search may also end at max_evaluations: the
// best so far counts.
LEY_MUST_CHECK enum ley_status ley_least_squares(double *x, double *error, int *n_evaluations,
                                                 const struct ley_least_squares *problem);

#ifdef __cplusplus
}
#endif
