// calibrate.h - scalers for a pretrained model on a chip, without training.
//
// Runs the digital model on a text and, layer by layer, places every head's signals in the ranges
// of the converters. The rule is SPEC S5.2's: a scaler's a and b give its output the standard
// deviation and the mean of a target. The targets are searched on the simulated chip itself: of a
// small grid (spread and shift of k, spread and middle of q), each head takes what brings its
// analog output nearest to its softmax output; the output scaler is the least-squares line between
// the two. This is as good as mapping without training can be; it is no adaptation.
#pragma once
#include "array/hardware.h"
#include "attention/scaler_set.h"
#include "model/model.h"

#ifdef __cplusplus
extern "C" {
#endif

// What came of it, over all layers and heads.
struct ley_calibration_report {
    double unexplained;       // mean share of the softmax output's variance that the line misses
    double worst_unexplained; // of the worst head
    int worst_layer, worst_head;
};

// What to calibrate on: n_tokens tokens of text, some hundred; for centred keys (M25) and
// normalised outputs (M29) or as they are. progress is called after each layer and may be NULL.
struct ley_calibration_options {
    const int32_t *tokens;
    int64_t n_tokens;
    bool centres_keys, normalises_outputs;
    const struct ley_progress *progress;
};

// Fills `set` (created here; the caller destroys it) for `model` on `hardware`. The model's
// attention must be digital; it is left as it is. Fails for memory, a hardware that contradicts
// itself, tokens outside the vocabulary, or when stopped.
LEY_MUST_CHECK enum ley_status ley_model_calibrate(struct ley_scaler_set *set,
                                                   struct ley_calibration_report *report,
                                                   const struct ley_model *model,
                                                   const struct ley_hardware *hardware,
                                                   const struct ley_calibration_options *options);

#ifdef __cplusplus
}
#endif
