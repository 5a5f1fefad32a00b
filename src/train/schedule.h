// schedule.h - the learning rate of each step: a linear rise, then half a cosine down.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Steps count from 0. During the first n_warm_up steps the rate is highest * step / n_warm_up (so 0
// at step 0); then it falls to `lowest` at step n_steps and stays there.
struct ley_schedule {
    double highest, lowest;
    int64_t n_warm_up, n_steps;
};

// The rate of a step.
double ley_schedule_rate(const struct ley_schedule *schedule, int64_t step);

#ifdef __cplusplus
}
#endif
