// model_match.h - the published initialisation of a whole model (M23).
//
// A model that works with one cell law (the targets: distributions of its signals, averaged over
// batches) is put on another: all scalers start anew, and are moved, on one fixed batch, until
// every signal of every head has the distribution it had. No weight changes.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "attention/match.h"
#include "model/model.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_session;

// Token sequences and what follows each token (negative: left out of the loss). Borrowed.
struct ley_match_batch {
    const int32_t *tokens, *next; // (B, T)
    int64_t n_batch, n_tokens;    // B, T >= 2
};

// What one iteration saw.
struct ley_match_iteration {
    int index; // 0, 1, ...
    double loss;
    const struct ley_scaler_set *seen; // distributions of the signals
    int n_beyond;                      // means and deviations beyond the tolerance
};

// Called after each iteration's run, while the model still has the scalers of that run; false stops
// (LEY_E_INTERRUPTED).
struct ley_match_observer {
    bool (*see)(void *context, const struct ley_match_iteration *iteration);
    void *context;
};

struct ley_match_result {
    int n_iterations; // runs of the batch
    bool is_matched;  // all within the tolerance at the last of them
    double first_loss, last_loss;
};

// Distributions `seen` of all signals over a batch, and its mean loss. `session` is one of an
// analog model with B sequences; it is reset. `seen` has the model's shape (contract).
LEY_MUST_CHECK enum ley_status ley_model_distributions(struct ley_scaler_set *seen, double *loss,
                                                       struct ley_session *session,
                                                       const struct ley_match_batch *batch);

// Matches the scalers of an analog model with plain outputs (contract) to `target`, which has its
// shape (contract). The model must have no session (contract). options NULL: the published
// constants; observer may be NULL. Not to reach the tolerance is no failure. Fails for memory,
// tokens outside the vocabulary, more tokens than the model has positions, or when stopped; the
// scalers are then between two states.
LEY_MUST_CHECK enum ley_status
ley_model_match(struct ley_match_result *result, struct ley_model *model,
                const struct ley_scaler_set *target, const struct ley_match_batch *batch,
                const struct ley_match_options *options, const struct ley_match_observer *observer);

#ifdef __cplusplus
}
#endif
