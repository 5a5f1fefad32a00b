// scaler_set.h - the scalers of all layers of a model, apart from the model itself.
#pragma once
#include "attention/attention.h"

#ifdef __cplusplus
extern "C" {
#endif

// One pair per layer, signal and head: scaler[signal][layer * heads(signal) + head], where
// heads(signal) is ley_attention_n_heads. Plain to read; owned as a whole.
struct ley_scaler_set {
    int n_layers;
    struct ley_attention_shape shape;
    struct ley_scaler *scaler[LEY_N_SIGNALS];
    bool centres_keys; // they are for centred keys (M25); false after creation
    // They are for normalised outputs (M29), with these sizes, [layer * query heads + head]; false
    // after creation, and sizes are 0.
    bool normalises_outputs;
    double *output_size;
};

// All pairs {0, 0}. On failure nothing is left to free.
LEY_MUST_CHECK enum ley_status ley_scaler_set_create(struct ley_scaler_set *set, int n_layers,
                                                     const struct ley_attention_shape *shape);

// Frees the pairs; a zeroed or destroyed set is accepted.
void ley_scaler_set_destroy(struct ley_scaler_set *set);

// The pairs of one layer and signal.
struct ley_scaler *ley_scaler_set_at(const struct ley_scaler_set *set, enum ley_signal signal,
                                     int layer);

// Copies a set into one of the same shape (contract).
void ley_scaler_set_copy(struct ley_scaler_set *to, const struct ley_scaler_set *from);

// Copies the pairs of one layer, whether keys are centred and outputs normalised, and with what
// sizes, into its attention, whose shape must be equal (contract).
void ley_scaler_set_apply(const struct ley_scaler_set *set, struct ley_attention *attention,
                          int layer);

#ifdef __cplusplus
}
#endif
