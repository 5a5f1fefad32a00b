// objective.c - a net's loss; its teacher is another model, run on the same tokens
//
// The teacher keeps the hidden states of its last rows only: logits of a block of rows are made
// when the net asks for them, so nobody holds those of a whole batch.
#include "train/objective.h"

#include "model/net_transfer.h"
#include "model/state.h"

void ley_net_objective_destroy(struct ley_net_objective *objective) {
    ley_session_destroy(objective->session);
    objective->session = NULL;
}

static void teacher_logits(void *context, float *logits, int64_t first_row, int64_t n_rows) {
    const struct ley_net_objective *objective = context;
    ley_session_logits(logits, objective->session, first_row, n_rows);
}

// A session has a fixed number of sequences; batches change theirs at the end of a validation,
// and where windows are read in parts.
static enum ley_status run_teacher(struct ley_net_objective *objective,
                                   const struct ley_batch *batch) {
    const struct ley_feed feed = {.logits = LEY_LOGITS_NONE};
    if (objective->session &&
        (objective->n_batch != batch->n_batch || objective->n_tokens < batch->n_tokens)) {
        ley_net_objective_destroy(objective);
    }
    if (!objective->session) {
        LEY_TRY(ley_session_create(&objective->session, objective->teacher, batch->n_batch,
                                   batch->n_tokens));
        objective->n_batch = batch->n_batch;
        objective->n_tokens = batch->n_tokens;
    }
    ley_session_reset(objective->session);
    return ley_session_feed(NULL, objective->session, batch->tokens, batch->n_tokens, &feed);
}

static enum ley_status run(void *context, struct ley_costs *costs, const struct ley_batch *batch,
                           bool is_backward) {
    struct ley_net_objective *objective = context;
    const struct ley_teacher teacher = {teacher_logits, objective};
    const struct ley_loss_weights *w = &objective->weights;
    struct ley_batch full = *batch;
    struct ley_batch_loss loss;
    full.weights = *w;
    if (objective->teacher) {
        LEY_TRY(run_teacher(objective, batch));
        full.teacher = &teacher;
    }
    LEY_TRY(is_backward ? ley_net_gradient(&loss, objective->net, &full)
                        : ley_net_loss(&loss, objective->net, &full));
    bool is_plain = w->cross_entropy == 0 && w->divergence == 0;
    *costs = (struct ley_costs){
        .cost = (is_plain ? 1 : w->cross_entropy) * loss.nll + w->divergence * loss.divergence,
        .nll = loss.nll,
        .divergence = loss.divergence,
        .n_rows = loss.n_rows,
    };
    return LEY_OK;
}

struct ley_objective ley_net_objective(struct ley_net_objective *objective) {
    return (struct ley_objective){run, objective};
}

static enum ley_status run_transfer(void *context, struct ley_costs *costs,
                                    const struct ley_batch *batch, bool is_backward) {
    const struct ley_transfer_objective *objective = context;
    double missed;
    LEY_TRY(ley_net_transfer(&missed, objective->net, objective->teacher, batch, is_backward));
    int64_t n_rows = batch->n_batch * batch->n_tokens;
    *costs = (struct ley_costs){.cost = missed * (double)n_rows, .n_rows = n_rows};
    return LEY_OK;
}

struct ley_objective ley_transfer_objective(struct ley_transfer_objective *objective) {
    return (struct ley_objective){run_transfer, objective};
}
