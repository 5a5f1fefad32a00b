// run.h - a training run: steps, validation, checkpoints, and going on where one stopped.
//
//     create (from the start, or from a checkpoint), go, destroy
//
// A step sums the gradients of several passes over windows of the data, clips their norm and moves
// every parameter that trains (adamw.h) at the rate of the schedule. All of it is a function of
// options, data and the number of the step: a run that was stopped and goes on gives the same bits.
#pragma once
#include <stdbool.h>

#include "train/adamw.h"
#include "train/checkpoint.h"
#include "train/dataset.h"
#include "train/objective.h"
#include "train/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_run;

struct ley_run_options {
    int64_t n_steps;             // where the run ends
    int64_t n_windows, n_passes; // windows of a pass (B), passes of a step
    int64_t n_parts; // every second pass reads windows in so many parts, each alone; 0, 1: whole
    struct ley_schedule schedule;
    struct ley_adamw_constants constants;
    double average;   // decay of a mean of the values, which is validated and remains; 0: none
    double most_norm; // gradients are scaled down to it; 0: never
    int64_t validate_every;    // steps; 0: at the end only
    int64_t n_validation;      // windows of a validation at most
    const char *checkpoint;    // borrowed; NULL: none
    double checkpoint_every_s; // 0: after every step
    bool resumes;              // from the checkpoint, which must be there
};

// What a step or a validation gave: means over rows.
struct ley_run_report {
    bool is_validation;
    int64_t step, n_steps; // done so far, in all
    int64_t n_tokens;      // learned from so far
    double cost, nll, divergence, hidden;
    double norm, rate; // of a step: norm before clipping, rate
    double seconds;    // since the run began, pauses left out
};

// Called after each step and validation; false: the state is saved and the run stops.
struct ley_run_observer {
    bool (*see)(void *context, const struct ley_run_report *report);
    void *context;
};

// Makes a run of `net`, which learns `objective` from `windows`; both structs are copied, what they
// point to is borrowed. `data` is the fingerprint of the data. When it resumes, values are those of
// the checkpoint. LEY_E_ARGUMENT when that was made with other data (of which a teacher may be a
// part) or another seed.
LEY_MUST_CHECK enum ley_status ley_run_create(struct ley_run **run, struct ley_net *net,
                                              const struct ley_objective *objective,
                                              const struct ley_windows *windows, uint64_t data,
                                              const struct ley_run_options *options);

// NULL is accepted.
void ley_run_destroy(struct ley_run *run);

// Where it stands.
const struct ley_training_state *ley_run_state(const struct ley_run *run);

// Runs to the end, which is saved and packed; with a mean of the values, that is what is packed.
// LEY_E_INTERRUPTED: stopped by the observer, saved. LEY_E_RESULT: a loss or gradient that is no
// number; nothing was saved after the last good checkpoint, and the text names the step. LEY_E_IO:
// a checkpoint could not be written; the one before is untouched, and the values are those of the
// last step.
LEY_MUST_CHECK enum ley_status ley_run_go(struct ley_run *run,
                                          const struct ley_run_observer *observer);

#ifdef __cplusplus
}
#endif
