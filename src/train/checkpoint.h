// checkpoint.h - the state of a training run in a file, from which it goes on to the bit.
//
// Saved are the values and moments of all tensors that train (others come from the base model), the
// number of steps and where the run stands in its data. A file appears under its name only when it
// is whole and on the disk: whatever happens while it is written, the one before remains.
#pragma once
#include "train/adamw.h"

#ifdef __cplusplus
extern "C" {
#endif

// What a run has to know besides parameters and optimiser; the meaning is the caller's.
struct ley_training_state {
    int64_t step;        // optimiser steps done
    int64_t n_windows;   // windows taken from the training data so far
    int64_t n_tokens;    // tokens learned from so far
    uint64_t seed, data; // of the order of the data; fingerprint of the data
    double best_loss;    // best validation loss so far
    double seconds;      // time spent so far
};

// Writes `path`, by way of `path`.new. LEY_E_IO: nothing at `path` has changed, path.new is gone.
LEY_MUST_CHECK enum ley_status ley_checkpoint_save(const char *path,
                                                   const struct ley_parameters *parameters,
                                                   const struct ley_adamw *adamw,
                                                   const struct ley_training_state *state);

// Reads what was saved; adamw's constants are not touched. LEY_E_FORMAT, with nothing changed, when
// the file is cut or damaged or was made for other tensors, or when others train now.
LEY_MUST_CHECK enum ley_status ley_checkpoint_load(struct ley_parameters *parameters,
                                                   struct ley_adamw *adamw,
                                                   struct ley_training_state *state,
                                                   const char *path);

#ifdef __cplusplus
}
#endif
