// net_pass.c - a batch through all layers to its loss, and the gradients back
//
// Memory: the inputs of all layers (L + 1, R, C), the insides of all layers or of one, and the
// logits of one block of rows.
#include <string.h>

#include "model/net_impl.h"
#include "nn/activation.h"

// Checked before anything runs: gradients are then as they were.
static enum ley_status check(const struct ley_net *net, const struct ley_batch *batch) {
    const struct ley_model_config *config = &net->parameters.config;
    if (batch->n_batch < 1 || batch->n_tokens < 1 ||
        (net->model->positions && batch->n_tokens > config->n_context)) {
        return ley_fail(LEY_E_ARGUMENT, "a batch of %lld x %lld tokens; the model has %d positions",
                        (long long)batch->n_batch, (long long)batch->n_tokens, config->n_context);
    }
    for (int64_t i = 0; i < batch->n_batch * batch->n_tokens; i++) {
        if (batch->tokens[i] < 0 || batch->tokens[i] >= config->n_vocab ||
            batch->targets[i] >= config->n_vocab) {
            return ley_fail(LEY_E_ARGUMENT, "token %d, target %d: the vocabulary is 0..%d",
                            (int)batch->tokens[i], (int)batch->targets[i], config->n_vocab - 1);
        }
    }
    if (batch->weights.divergence != 0 && !(batch->teacher && batch->teacher->logits)) {
        return ley_fail(LEY_E_ARGUMENT, "a divergence needs a teacher");
    }
    if (batch->hidden_weight != 0 && (!batch->teacher || !batch->teacher->hidden)) {
        return ley_fail(LEY_E_ARGUMENT, "hidden states need a teacher that shows its own");
    }
    return LEY_OK;
}

// Weights of the mean; all zero means cross entropy.
static struct ley_loss_weights mean_weights(const struct ley_batch *batch, int64_t n_counted) {
    struct ley_loss_weights weights = batch->weights;
    if (weights.cross_entropy == 0 && weights.divergence == 0) {
        weights.cross_entropy = 1;
    }
    double n = (double)(batch->n_counted > 0 ? batch->n_counted : n_counted);
    weights.cross_entropy /= n > 0 ? n : 1;
    weights.divergence /= n > 0 ? n : 1;
    weights.temperature = weights.temperature > 0 ? weights.temperature : 1;
    return weights;
}

static int64_t count_rows(const struct ley_batch *batch) {
    int64_t n = 0;
    for (int64_t i = 0; i < batch->n_batch * batch->n_tokens; i++) {
        n += batch->targets[i] >= 0;
    }
    return n;
}

enum ley_status ley_net_prepare(struct ley_net *net, const struct ley_batch *batch,
                                bool is_backward) {
    LEY_TRY(check(net, batch));
    return ley_net_reserve(net, batch->n_batch, batch->n_tokens, is_backward);
}

void ley_net_embed(struct ley_net *net, const struct ley_batch *batch) {
    const struct ley_model *model = net->model;
    const struct ley_net_activations *a = &net->a;
    int64_t C = model->config.d_model, T = batch->n_tokens, n_rows = batch->n_batch * T;
    for (int64_t r = 0; r < n_rows; r++) {
        ley_model_embed(a->x + r * C, a->h, model, batch->tokens[r], r % T);
    }
    for (int64_t t = 0; model->rotary && t < T; t++) {
        ley_rotary_turn(a->turn + t * model->config.rope_dim, model->rotary, t);
    }
}

// Embeddings, angles, all layers; their inputs stay in a.x.
static enum ley_status run_forward(struct ley_net *net, const struct ley_batch *batch) {
    const struct ley_model *model = net->model;
    const struct ley_net_activations *a = &net->a;
    int64_t C = model->config.d_model, n_rows = batch->n_batch * batch->n_tokens;
    ley_net_embed(net, batch);
    for (int l = 0; l < model->config.n_layers; l++) {
        const float *x = a->x + l * n_rows * C;
        LEY_TRY(ley_net_layer_forward(a->x + (l + 1) * n_rows * C, net, l, x));
    }
    return LEY_OK;
}

// Adds the costs of n rows of logits, row by row.
static void sum_rows(struct ley_batch_loss *loss, const double *nll, const double *divergence,
                     int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        loss->nll += nll[i];
        loss->divergence += divergence[i];
    }
}

// logits = Output(h), h = norm(x), a block of rows at a time. Back: dh, and gradients of the output
// matrix. nll and divergence of a block come first to statistics, which has two values a row.
static enum ley_status run_head(struct ley_batch_loss *loss, struct ley_net *net,
                                const struct ley_batch *batch, bool is_backward) {
    const struct ley_model *model = net->model;
    const struct ley_net_activations *a = &net->a;
    int64_t C = model->config.d_model, n_rows = batch->n_batch * batch->n_tokens;
    const struct ley_stack output = ley_net_stack(net, LEY_STACK_OUTPUT, 0);
    const struct ley_loss_weights mean = mean_weights(batch, loss->n_rows);
    const struct ley_teacher *teacher =
        batch->teacher && batch->teacher->logits ? batch->teacher : NULL;
    ley_norm_forward(a->h, a->x + model->config.n_layers * n_rows * C, model, &model->final_norm,
                     n_rows);
    for (int64_t r = 0; r < n_rows; r += net->n_loss_rows) {
        int64_t n = n_rows - r < net->n_loss_rows ? n_rows - r : net->n_loss_rows;
        double *nll = a->statistics, *divergence = nll + n_rows;
        struct ley_loss_weights weights = mean;
        weights.emphasis = mean.emphasis ? mean.emphasis + r : NULL;
        if (teacher) {
            teacher->logits(teacher->context, a->teacher, r, n);
        }
        ley_linear_forward(a->logits, model->output, a->h + r * C, n);
        ley_loss_backward(nll, divergence, a->logits, teacher ? a->teacher : NULL,
                          batch->targets + r, &weights, n, model->config.n_vocab);
        sum_rows(loss, nll, divergence, n);
        if (is_backward) {
            LEY_TRY(ley_stack_backward(a->dh + r * C, net, &output, a->logits, a->h + r * C, n));
        }
    }
    return LEY_OK;
}

// x = token[...] + position[...]
static void embed_backward(struct ley_net *net, const struct ley_batch *batch) {
    const struct ley_parameters *p = &net->parameters;
    const struct ley_net_activations *a = &net->a;
    const struct ley_parameter *tokens = ley_parameters_find(p, LEY_WEIGHT_TOKEN_EMBEDDING, 0);
    const struct ley_parameter *places = ley_parameters_find(p, LEY_WEIGHT_POSITION_EMBEDDING, 0);
    int64_t T = batch->n_tokens, C = p->config.d_model;
    if (tokens->trains) {
        ley_embedding_backward(p->gradient + tokens->offset, a->dx, batch->tokens,
                               batch->n_batch * T, (int)C);
    }
    for (int64_t b = 0; places && places->trains && b < batch->n_batch; b++) {
        ley_add(p->gradient + places->offset, a->dx + b * T * C, T * C);
    }
}

// The weight of what is missed of hidden states, for the mean over the rows of a whole step.
static double hidden_weight(const struct ley_batch *batch, int64_t n_counted) {
    double n = (double)(batch->n_counted > 0 ? batch->n_counted : n_counted);
    return n > 0 ? batch->hidden_weight * (double)n_counted / n : 0;
}

// A layer whose inside was not kept is computed again from its input, then taken back; of the last
// one it still stands. Its output goes where the input of the next one stood, which nobody needs
// any more: the same values.
static enum ley_status run_backward(struct ley_net *net, const struct ley_batch *batch,
                                    int64_t n_counted) {
    const struct ley_model *model = net->model;
    const struct ley_net_activations *a = &net->a;
    int64_t n = batch->n_batch * batch->n_tokens * model->config.d_model;
    double weight = hidden_weight(batch, n_counted);
    memset(a->dx, 0, (size_t)n * sizeof *a->dx);
    ley_net_norm_backward(a->dx, net, &model->final_norm, LEY_WEIGHT_FINAL_NORM, 0, a->dh,
                          a->x + model->config.n_layers * n, batch->n_batch * batch->n_tokens);
    for (int l = model->config.n_layers - 1; l >= 0; l--) {
        if (weight != 0) {
            ley_net_hidden_backward(net, batch->teacher, l, weight);
        }
        if (!a->keeps && l < model->config.n_layers - 1) {
            LEY_TRY(ley_net_layer_forward(a->x + (l + 1) * n, net, l, a->x + l * n));
        }
        LEY_TRY(ley_net_layer_backward(net, l, a->x + l * n));
    }
    embed_backward(net, batch);
    return LEY_OK;
}

static enum ley_status run(struct ley_batch_loss *loss, struct ley_net *net,
                           const struct ley_batch *batch, bool is_backward) {
    LEY_TRY(ley_net_prepare(net, batch, is_backward));
    *loss = (struct ley_batch_loss){.n_rows = count_rows(batch)};
    LEY_TRY(run_forward(net, batch));
    if (batch->hidden_weight != 0) {
        loss->hidden = (double)loss->n_rows * ley_net_hidden_missed(net, batch->teacher);
    }
    LEY_TRY(run_head(loss, net, batch, is_backward));
    return is_backward ? run_backward(net, batch, loss->n_rows) : LEY_OK;
}

enum ley_status ley_net_loss(struct ley_batch_loss *loss, struct ley_net *net,
                             const struct ley_batch *batch) {
    return run(loss, net, batch, false);
}

enum ley_status ley_net_gradient(struct ley_batch_loss *loss, struct ley_net *net,
                                 const struct ley_batch *batch) {
    return run(loss, net, batch, true);
}
