// model_match.c - running a model to see its signals, and matching them
//
// A run's signals pass by an observer, layer by layer: q, k, v as the scalers take them and the
// output as its scaler gives it. One head's values of the whole batch are gathered in doubles.
#include "model/model_match.h"

#include "core/assert.h"
#include "core/memory.h"
#include "model/state_impl.h"

// One run; `value` has room for one head's values.
struct view {
    const struct ley_model *model;
    struct ley_scaler_set *seen;
    double *value; // (B, T, D)
};

// value (B * T, D) <- head h of rows
static void gather(double *value, const float *rows, int64_t n_rows, int64_t stride, int h,
                   int head_dim) {
    for (int64_t r = 0; r < n_rows; r++) {
        const float *row = rows + r * stride + (int64_t)h * head_dim;
        for (int d = 0; d < head_dim; d++) {
            value[r * head_dim + d] = (double)row[d];
        }
    }
}

// Called after each layer's attention.
static void see_layer(void *context, const struct ley_observation *o) {
    const struct view *view = context;
    const float *const rows[LEY_N_SIGNALS] = {o->q, o->k, o->v, o->out}; // ORDER ley_signal
    int64_t n_rows = o->n_batch * o->n_tokens;
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        enum ley_signal signal = (enum ley_signal)i;
        bool is_output = signal == LEY_SIGNAL_OUTPUT;
        int64_t stride = is_output ? (int64_t)o->n_query_heads * o->head_dim : o->stride;
        struct ley_scaler *seen = ley_scaler_set_at(view->seen, signal, o->layer);
        for (int h = 0; h < ley_attention_n_heads(&view->seen->shape, signal); h++) {
            gather(view->value, rows[i], n_rows, stride, h, o->head_dim);
            // the output has passed its scaler already
            const struct ley_scaler *scaler =
                is_output ? NULL : &view->model->layer[o->layer].attention->scaler[i][h];
            seen[h] = ley_match_distribution(view->value, n_rows * o->head_dim, scaler);
        }
    }
}

// The session's loss resets it first, so that the batch starts at the first column of every bank.
enum ley_status ley_model_distributions(struct ley_scaler_set *seen, double *loss,
                                        struct ley_session *session,
                                        const struct ley_match_batch *batch) {
    const struct ley_model_config *config = &session->model->config;
    LEY_ASSERT(session->model->layer[0].attention && session->n_batch == batch->n_batch &&
               seen->n_layers == config->n_layers && batch->n_tokens >= 2);
    size_t n = (size_t)(batch->n_batch * batch->n_tokens * config->head_dim);
    struct view view = {session->model, seen, ley_alloc(n, sizeof(double))};
    const struct ley_observer observer = {see_layer, &view};
    const struct ley_feed feed = {.logits = LEY_LOGITS_NONE, .observer = &observer};
    if (!view.value) {
        return ley_fail_memory("signals of a head", n, sizeof(double));
    }
    enum ley_status status =
        ley_session_loss(loss, NULL, session, batch->tokens, batch->next, batch->n_tokens, &feed);
    ley_free(view.value);
    return status;
}

static void apply(struct ley_model *model, const struct ley_scaler_set *scalers) {
    for (int l = 0; l < model->config.n_layers; l++) {
        ley_scaler_set_apply(scalers, model->layer[l].attention, l);
    }
}

// What a matching works with.
struct matching {
    struct ley_scaler_set scalers, seen;
    struct ley_session *session;
};

static enum ley_status create(struct matching *matching, const struct ley_model *model,
                              const struct ley_match_batch *batch,
                              const struct ley_match_options *options) {
    const struct ley_attention_shape *shape = &model->layer[0].attention->shape;
    int n_layers = model->config.n_layers;
    LEY_TRY(ley_scaler_set_create(&matching->scalers, n_layers, shape));
    LEY_TRY(ley_scaler_set_create(&matching->seen, n_layers, shape));
    matching->scalers.centres_keys = model->layer[0].attention->centres_keys;
    for (int signal = 0; signal < LEY_N_SIGNALS; signal++) {
        int n = n_layers * ley_attention_n_heads(shape, (enum ley_signal)signal);
        for (int i = 0; i < n; i++) {
            matching->scalers.scaler[signal][i] = options->start;
        }
    }
    return ley_session_create(&matching->session, model, batch->n_batch, batch->n_tokens);
}

// The iterations of S5.2. The step is taken on the set and reaches the model at the next run.
static enum ley_status iterate(struct ley_match_result *result, struct matching *matching,
                               struct ley_model *model, const struct ley_scaler_set *target,
                               const struct ley_match_batch *batch,
                               const struct ley_match_options *options,
                               const struct ley_match_observer *observer) {
    for (int i = 0; i <= options->last_iteration && !result->is_matched; i++) {
        struct ley_match_iteration iteration = {.index = i, .seen = &matching->seen};
        apply(model, &matching->scalers);
        LEY_TRY(
            ley_model_distributions(&matching->seen, &iteration.loss, matching->session, batch));
        iteration.n_beyond =
            ley_match_step(&matching->scalers, &matching->seen, target, options, i);
        result->n_iterations = i + 1;
        result->is_matched = iteration.n_beyond == 0;
        result->first_loss = i == 0 ? iteration.loss : result->first_loss;
        result->last_loss = iteration.loss;
        if (observer && !observer->see(observer->context, &iteration)) {
            return ley_fail(LEY_E_INTERRUPTED, "stopped on request");
        }
    }
    apply(model, &matching->scalers);
    return LEY_OK;
}

// The session sees changing scalers, which is why it is the only one (contract); every run resets
// it.
enum ley_status ley_model_match(struct ley_match_result *result, struct ley_model *model,
                                const struct ley_scaler_set *target,
                                const struct ley_match_batch *batch,
                                const struct ley_match_options *options,
                                const struct ley_match_observer *observer) {
    const struct ley_match_options published = ley_match_options_init();
    struct matching matching = {.session = NULL};
    LEY_ASSERT(model->layer[0].attention && !model->layer[0].attention->normalises_outputs);
    options = options ? options : &published;
    *result = (struct ley_match_result){.n_iterations = 0};
    enum ley_status status = create(&matching, model, batch, options);
    if (status == LEY_OK) {
        status = iterate(result, &matching, model, target, batch, options, observer);
    }
    ley_session_destroy(matching.session);
    ley_scaler_set_destroy(&matching.scalers);
    ley_scaler_set_destroy(&matching.seen);
    return status;
}
