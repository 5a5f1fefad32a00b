// objective.c - a net's loss; its teacher is another model, run on the same tokens
//
// The teacher keeps the hidden states of its last rows only: logits of a block of rows are made
// when the net asks for them, so nobody holds those of a whole batch.
#include "train/objective.h"

#include "core/memory.h"
#include "model/net_transfer.h"
#include "model/state.h"

void ley_net_objective_destroy(struct ley_net_objective *objective) {
    ley_session_destroy(objective->session);
    ley_free(objective->hidden);
    objective->session = NULL;
    objective->hidden = NULL;
    objective->hidden_room = 0;
}

static void teacher_logits(void *context, float *logits, int64_t first_row, int64_t n_rows) {
    const struct ley_net_objective *objective = context;
    ley_session_logits(logits, objective->session, first_row, n_rows);
}

static const float *teacher_hidden(void *context, int layer) {
    const struct ley_net_objective *objective = context;
    return objective->hidden + layer * objective->n_hidden;
}

// Room for the teacher's hidden states of a batch; none when nobody asks for them.
static enum ley_status reserve_hidden(struct ley_net_objective *objective,
                                      const struct ley_batch *batch) {
    const struct ley_model_config *config = ley_model_config(objective->teacher);
    objective->n_hidden = batch->n_batch * batch->n_tokens * config->d_model;
    int64_t n = config->n_layers * objective->n_hidden;
    if (objective->hidden_weight == 0 || n <= objective->hidden_room) {
        return LEY_OK;
    }
    ley_free(objective->hidden);
    objective->hidden = ley_alloc((size_t)n, sizeof *objective->hidden);
    objective->hidden_room = objective->hidden ? n : 0;
    return objective->hidden ? LEY_OK : ley_fail_memory("hidden states", (size_t)n, sizeof(float));
}

// A session has a fixed number of sequences; batches change theirs at the end of a validation,
// and where windows are read in parts.
static enum ley_status run_teacher(struct ley_net_objective *objective,
                                   const struct ley_batch *batch) {
    LEY_TRY(reserve_hidden(objective, batch));
    const struct ley_feed feed = {.logits = LEY_LOGITS_NONE, .hidden = objective->hidden};
    if (objective->session &&
        (objective->n_batch != batch->n_batch || objective->n_tokens < batch->n_tokens)) {
        ley_session_destroy(objective->session);
        objective->session = NULL;
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
    const struct ley_teacher teacher = {teacher_logits, teacher_hidden, objective};
    const struct ley_loss_weights *w = &objective->weights;
    struct ley_batch full = *batch;
    struct ley_batch_loss loss;
    full.weights = *w;
    full.hidden_weight = objective->hidden_weight;
    if (objective->teacher) {
        LEY_TRY(run_teacher(objective, batch));
        full.teacher = &teacher;
    }
    if (objective->echo) {
        LEY_TRY(ley_echo_weigh(&full.weights.emphasis, objective->echo, batch));
    }
    LEY_TRY(is_backward ? ley_net_gradient(&loss, objective->net, &full)
                        : ley_net_loss(&loss, objective->net, &full));
    bool is_plain = w->cross_entropy == 0 && w->divergence == 0;
    *costs = (struct ley_costs){
        .cost = (is_plain ? 1 : w->cross_entropy) * loss.nll + w->divergence * loss.divergence +
                objective->hidden_weight * loss.hidden,
        .nll = loss.nll,
        .divergence = loss.divergence,
        .hidden = loss.hidden,
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
