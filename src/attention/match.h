// match.h - the published initialisation (M23): scalers that give every signal of every head the
// mean and standard deviation it had on another chip.
//
// A signal is what a scaler puts out, before any clip. Its distribution is kept in the pair of
// numbers that a scaler is: a the standard deviation, b the mean (the scaler that would make it
// from a standard one), so that a struct ley_scaler_set holds those of a whole model.
//
// This is the arithmetic, for any way of running a model; model/model_match.h does all of it.
#pragma once
#include <stdint.h>

#include "attention/scaler_set.h"

#ifdef __cplusplus
extern "C" {
#endif

// The constants of the algorithm; ley_match_options_init gives the published ones.
struct ley_match_options {
    double average_rate;     // 0.1: weight of a new batch in the running targets
    double tolerance;        // 1e-4: of mean and deviation; what is nearer is left alone
    double first_alpha;      // 1: share of the way to go at iteration 0,
    double last_alpha;       // 0.1: and from iteration n_alphas - 1 on; linear between
    int n_alphas;            // 50
    int last_iteration;      // 100: iterations 0..100 at most
    struct ley_scaler start; // {1, 0}: every scaler at iteration 0
};

// The published constants (SPEC S5).
struct ley_match_options ley_match_options_init(void);

// Distribution of n >= 2 values a x[i] + b; a deviation is that of a sample (n - 1). `scaler` NULL:
// of x itself.
struct ley_scaler ley_match_distribution(const double *x, int64_t n,
                                         const struct ley_scaler *scaler);

// average <- rate * batch + (1 - rate) * average: targets start at {0, 0}, as published, so that
// after n batches they are (1 - (1 - rate)^n) of the value. Shapes must be equal (contract), here
// and below.
void ley_match_average(struct ley_scaler_set *average, const struct ley_scaler_set *batch,
                       double rate);

// Share of the way that iteration 0, 1, ... goes.
double ley_match_alpha(const struct ley_match_options *options, int iteration);

// One iteration, all scalers at once, from the distributions `seen` with the present ones:
//     a <- alpha a target.a / seen.a + (1 - alpha) a    where |seen.a - target.a| > tolerance
//     b <- b + alpha (target.b - seen.b)                where |seen.b - target.b| > tolerance
// A signal that does not vary keeps its a. Returns how many means and deviations were beyond the
// tolerance: 0 when all is matched.
int ley_match_step(struct ley_scaler_set *scalers, const struct ley_scaler_set *seen,
                   const struct ley_scaler_set *target, const struct ley_match_options *options,
                   int iteration);

#ifdef __cplusplus
}
#endif
