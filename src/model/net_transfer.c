// net_transfer.c - one layer after another: the teacher's, then the net's attention on its input
//
// The teacher borrows the activations and the softmax attention of the net: for its turn the net's
// model is replaced. Sums over a layer run in row order on one thread: they cost nothing beside the
// products.
#include "model/net_transfer.h"

#include <string.h>

#include "core/assert.h"
#include "core/variants.h"
#include "model/net_impl.h"

// What stands in a net while its own model runs.
struct turn {
    struct ley_model *model;
    struct ley_attention_pass attention;
};

static void take_turn(struct ley_net *net, const struct turn *turn) {
    net->model = turn->model;
    net->attention = turn->attention;
}

// Sums over the teacher's values, their squares, and the squares of what the net's differ by.
struct sums {
    double teacher, square, error;
};

// Independent sums, added up in their order at the end: one order on all machines.
enum { LANES = 8 };

LEY_LEAF struct sums sum_up_leaf(const float *restrict teacher, const float *restrict net,
                                 int64_t n) {
    struct sums lane[LANES] = {{0, 0, 0}}, all = {0, 0, 0};
    for (int64_t i = 0; i < n; i += LANES) {
        for (int64_t j = 0; j < (n - i < LANES ? n - i : LANES); j++) {
            double x = (double)teacher[i + j], difference = (double)net[i + j] - x;
            lane[j].teacher += x;
            lane[j].square += x * x;
            lane[j].error += difference * difference;
        }
    }
    for (int j = 0; j < LANES; j++) {
        all.teacher += lane[j].teacher;
        all.square += lane[j].square;
        all.error += lane[j].error;
    }
    return all;
}
LEY_VARIANTS(struct sums, sum_up, (const float *teacher, const float *net, int64_t n),
             (teacher, net, n))

// dx holds the teacher's rows, dh the net's: returns the share of variance that is missed; dx
// becomes the gradient of it times `weight`.
static double compare(const struct ley_net_activations *a, int64_t n, double weight) {
    const struct sums sums = sum_up(a->dx, a->dh, n);
    double mean = sums.teacher / (double)n, variance = sums.square / (double)n - mean * mean;
    variance = variance > 1e-20 ? variance : 1e-20; // a layer that adds nothing
    float factor = (float)(2 * weight / ((double)n * variance));
    for (int64_t i = 0; i < n; i++) {
        a->dx[i] = factor * (a->dh[i] - a->dx[i]);
    }
    return sums.error / (double)n / variance;
}

// Layer l: x is the teacher's input, y becomes its output.
static enum ley_status run_layer(double *missed, struct ley_net *net, const struct turn turns[2],
                                 int l, const float *x, float *y, double weight, bool is_backward) {
    const struct ley_net_activations *a = &net->a;
    int64_t n = a->n_batch * a->n_tokens * net->parameters.config.d_model;
    take_turn(net, &turns[1]);
    LEY_TRY(ley_net_attention_forward(net, l, x));
    memcpy(a->dx, a->dh, (size_t)n * sizeof *a->dx);
    ley_net_feed_forward(y, net, l, x);
    take_turn(net, &turns[0]);
    LEY_TRY(ley_net_attention_forward(net, l, x));
    *missed += weight * compare(a, n, weight);
    return is_backward ? ley_net_attention_backward(net, l, x) : LEY_OK;
}

static enum ley_status run_layers(double *missed, struct ley_net *net, const struct turn turns[2],
                                  const struct ley_batch *batch, bool is_backward) {
    const struct ley_model_config *config = &net->parameters.config;
    int64_t n_rows = batch->n_batch * batch->n_tokens, n = n_rows * config->d_model;
    double weight = 1.0 / config->n_layers;
    double part = batch->n_counted > 0 ? (double)n_rows / (double)batch->n_counted : 1;
    take_turn(net, &turns[1]);
    ley_net_embed(net, batch);
    *missed = 0;
    for (int l = 0; l < config->n_layers; l++) {
        LEY_TRY(run_layer(missed, net, turns, l, net->a.x + l * n, net->a.x + (l + 1) * n,
                          weight * part, is_backward));
    }
    *missed /= part;
    return LEY_OK;
}

// Whatever happens, the net gets its model back.
enum ley_status ley_net_transfer(double *missed, struct ley_net *net,
                                 const struct ley_model *teacher, const struct ley_batch *batch,
                                 bool is_backward) {
    LEY_ASSERT(!teacher->layer[0].attention &&
               teacher->config.n_layers == net->parameters.config.n_layers &&
               teacher->config.d_model == net->parameters.config.d_model);
    struct turn turns[2] = {{net->model, net->attention},
                            {(struct ley_model *)(uintptr_t)teacher, ley_net_softmax}};
    turns[1].attention.context = net;
    LEY_TRY(ley_net_prepare(net, batch, false)); // a layer is taken back at once
    enum ley_status status = run_layers(missed, net, turns, batch, is_backward);
    take_turn(net, &turns[0]);
    return status;
}
