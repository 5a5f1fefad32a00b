// objective.h - what a run makes smaller: the loss of a net, with or without a teacher (M28).
//
// or how far the attention of its layers is from a teacher's. A run knows nothing of what it
// learns.
#pragma once
#include <stdbool.h>

#include "model/model.h"
#include "model/net.h"
#include "train/echo.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_session;

// Sums over the rows of a batch; what does not apply is 0.
struct ley_costs {
    double cost; // what is made smaller, but with every row once (echo.h)
    double nll, divergence, hidden;
    int64_t n_rows;
};

struct ley_objective {
    // Costs of a batch, whose `weights` and `teacher` are not set. With is_backward, adds the
    // gradient of the mean (batch->n_counted) to those of the net.
    enum ley_status (*run)(void *context, struct ley_costs *costs, const struct ley_batch *batch,
                           bool is_backward);
    void *context; // borrowed
};

// The loss of a net. Plain to make: a teacher and its session are optional.
struct ley_net_objective {
    struct ley_net *net;             // borrowed
    struct ley_loss_weights weights; // all zero: cross entropy
    double hidden_weight;            // of hidden states (M28)
    const struct ley_model *teacher; // borrowed; NULL: weights.divergence and hidden_weight are 0
    struct ley_session *session;     // of the teacher, made when needed
    struct ley_echo *echo;           // borrowed; NULL: all rows count once
    int64_t n_batch, n_tokens;       // of the session
    float *hidden;                   // (L, n_hidden) the teacher's, of the batch
    int64_t n_hidden, hidden_room;
};

// Frees what it made; a zeroed struct is accepted.
void ley_net_objective_destroy(struct ley_net_objective *objective);

// The objective as a run takes it; `objective` is borrowed.
struct ley_objective ley_net_objective(struct ley_net_objective *objective);

// Attention transfer (net_transfer.h); cost is the share of variance that is missed.
struct ley_transfer_objective {
    struct ley_net *net;             // borrowed
    const struct ley_model *teacher; // borrowed, digital
};
struct ley_objective ley_transfer_objective(struct ley_transfer_objective *objective);

#ifdef __cplusplus
}
#endif
