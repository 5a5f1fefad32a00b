// match.c - one step of the published initialisation, and the distributions it goes by
//
// If only one scaler were wrong, a full step (alpha = 1) would mend it at once: deviation and mean
// of a x + b are those of x, times a, plus b. All are wrong together, and each layer sees what the
// layers below make of theirs, hence the iterations and an alpha that shrinks.
#include "attention/match.h"

#include <math.h>
#include <string.h>

#include "core/assert.h"

// S5.1, S5.2
struct ley_match_options ley_match_options_init(void) {
    return (struct ley_match_options){
        .average_rate = 0.1,
        .tolerance = 1e-4,
        .first_alpha = 1,
        .last_alpha = 0.1,
        .n_alphas = 50,
        .last_iteration = 100,
        .start = {.a = 1, .b = 0},
    };
}

// a x + b as ley_scale makes it, in the chunks it works on.
enum { CHUNK = 256 };

// Sum of (a x + b - mean)^power, power 1 or 2.
static double sum_of(const double *x, int64_t n, const struct ley_scaler *scaler, double mean,
                     int power) {
    double scaled[CHUNK], sum = 0;
    for (int64_t first = 0; first < n; first += CHUNK) {
        int n_chunk = n - first < CHUNK ? (int)(n - first) : CHUNK;
        if (scaler) {
            ley_scale(scaled, x + first, n_chunk, scaler, NULL);
        } else {
            memcpy(scaled, x + first, (size_t)n_chunk * sizeof *scaled);
        }
        for (int i = 0; i < n_chunk; i++) {
            double distance = scaled[i] - mean;
            sum += power == 2 ? distance * distance : distance;
        }
    }
    return sum;
}

// Two passes: no cancellation.
struct ley_scaler ley_match_distribution(const double *x, int64_t n,
                                         const struct ley_scaler *scaler) {
    LEY_ASSERT(n >= 2);
    double mean = sum_of(x, n, scaler, 0, 1) / (double)n;
    double variance = sum_of(x, n, scaler, mean, 2) / (double)(n - 1);
    return (struct ley_scaler){.a = sqrt(variance), .b = mean};
}

// Pairs of one signal in a set, and that two sets have as many.
static int64_t count_pairs(const struct ley_scaler_set *set, const struct ley_scaler_set *other,
                           enum ley_signal signal) {
    LEY_ASSERT(set->n_layers == other->n_layers &&
               memcmp(&set->shape, &other->shape, sizeof set->shape) == 0);
    return (int64_t)set->n_layers * ley_attention_n_heads(&set->shape, signal);
}

// S5.1: no correction for the start at zero.
void ley_match_average(struct ley_scaler_set *average, const struct ley_scaler_set *batch,
                       double rate) {
    for (int signal = 0; signal < LEY_N_SIGNALS; signal++) {
        int64_t n = count_pairs(average, batch, (enum ley_signal)signal);
        for (int64_t i = 0; i < n; i++) {
            struct ley_scaler *to = &average->scaler[signal][i];
            const struct ley_scaler *from = &batch->scaler[signal][i];
            to->a = rate * from->a + (1 - rate) * to->a;
            to->b = rate * from->b + (1 - rate) * to->b;
        }
    }
}

// S5.2
double ley_match_alpha(const struct ley_match_options *options, int iteration) {
    if (iteration >= options->n_alphas - 1) {
        return options->last_alpha;
    }
    double way = (double)iteration / (options->n_alphas - 1);
    return options->first_alpha + way * (options->last_alpha - options->first_alpha);
}

// One scaler; returns how many of its two were beyond the tolerance.
static int match_one(struct ley_scaler *scaler, const struct ley_scaler *seen,
                     const struct ley_scaler *target, double alpha, double tolerance) {
    int n_beyond = 0;
    if (fabs(seen->a - target->a) > tolerance) {
        n_beyond++;
        if (seen->a != 0) {
            double full = scaler->a * target->a / seen->a;
            scaler->a = alpha * full + (1 - alpha) * scaler->a;
        }
    }
    if (fabs(seen->b - target->b) > tolerance) {
        n_beyond++;
        double full = scaler->b + (target->b - seen->b);
        scaler->b = alpha * full + (1 - alpha) * scaler->b;
    }
    return n_beyond;
}

// M23. A target of deviation 0 makes a = 0, which M18 takes for its floor.
int ley_match_step(struct ley_scaler_set *scalers, const struct ley_scaler_set *seen,
                   const struct ley_scaler_set *target, const struct ley_match_options *options,
                   int iteration) {
    double alpha = ley_match_alpha(options, iteration);
    int n_beyond = 0;
    for (int signal = 0; signal < LEY_N_SIGNALS; signal++) {
        int64_t n = count_pairs(scalers, seen, (enum ley_signal)signal);
        LEY_ASSERT(n == count_pairs(scalers, target, (enum ley_signal)signal));
        for (int64_t i = 0; i < n; i++) {
            n_beyond += match_one(&scalers->scaler[signal][i], &seen->scaler[signal][i],
                                  &target->scaler[signal][i], alpha, options->tolerance);
        }
    }
    return n_beyond;
}
