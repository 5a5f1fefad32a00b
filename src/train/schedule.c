// schedule.c - rates by formula, so that a resumed run needs nothing but the number of its step
#include "train/schedule.h"

#include <math.h>

double ley_schedule_rate(const struct ley_schedule *schedule, int64_t step) {
    const double pi = 3.14159265358979323846;
    if (step < schedule->n_warm_up) {
        return schedule->highest * (double)step / (double)schedule->n_warm_up;
    }
    if (step >= schedule->n_steps) {
        return schedule->lowest;
    }
    double part =
        (double)(step - schedule->n_warm_up) / (double)(schedule->n_steps - schedule->n_warm_up);
    return schedule->lowest + 0.5 * (1 + cos(pi * part)) * (schedule->highest - schedule->lowest);
}
