// net_hidden.c - how far the hidden states of a net's layers are from a teacher's (M28)
//
// Sums run over rows, component by component, and layers are summed in their order: one order for
// any number of threads.
#include <string.h>

#include "core/variants.h"
#include "model/net_impl.h"

static const double LEAST_POWER = 1e-20; // of a component that is zero in all rows

// Adds to square and error [C] those of a row.
LEY_LEAF void add_row_leaf(double *restrict square, double *restrict error,
                           const float *restrict teacher, const float *restrict net, int64_t C) {
    for (int64_t c = 0; c < C; c++) {
        double x = (double)teacher[c], difference = (double)net[c] - x;
        square[c] += x * x;
        error[c] += difference * difference;
    }
}
LEY_VARIANTS(void, add_row,
             (double *square, double *error, const float *teacher, const float *net, int64_t C),
             (square, error, teacher, net, C))

// dx [C] += factor * (net - teacher) / square
LEY_LEAF void pull_row_leaf(float *restrict dx, double factor, const double *restrict square,
                            const float *restrict teacher, const float *restrict net, int64_t C) {
    for (int64_t c = 0; c < C; c++) {
        dx[c] += (float)(factor / square[c] * ((double)net[c] - (double)teacher[c]));
    }
}
LEY_VARIANTS(void, pull_row,
             (float *dx, double factor, const double *square, const float *teacher,
              const float *net, int64_t C),
             (dx, factor, square, teacher, net, C))

// The share that is missed after layer l; the power of its components stays in a.hidden.
static double missed_after(const struct ley_net *net, const struct ley_teacher *teacher, int l) {
    const struct ley_net_activations *a = &net->a;
    int64_t R = a->n_batch * a->n_tokens, C = net->parameters.config.d_model;
    double *square = a->hidden + l * 2 * C, *error = square + C, missed = 0;
    const float *want = teacher->hidden(teacher->context, l), *got = a->x + (l + 1) * R * C;
    memset(square, 0, (size_t)(2 * C) * sizeof *square);
    for (int64_t r = 0; r < R; r++) {
        add_row(square, error, want + r * C, got + r * C, C);
    }
    for (int64_t c = 0; c < C; c++) {
        square[c] = square[c] > LEAST_POWER ? square[c] : LEAST_POWER;
        missed += error[c] / square[c];
    }
    return missed / (double)C;
}

double ley_net_hidden_missed(const struct ley_net *net, const struct ley_teacher *teacher) {
    int n_layers = net->parameters.config.n_layers;
    double *share = net->a.hidden + 2 * n_layers * (int64_t)net->parameters.config.d_model;
    double sum = 0;
#pragma omp parallel for schedule(dynamic)
    for (int l = 0; l < n_layers; l++) {
        share[l] = missed_after(net, teacher, l);
    }
    for (int l = 0; l < n_layers; l++) {
        sum += share[l];
    }
    return sum / n_layers;
}

void ley_net_hidden_backward(struct ley_net *net, const struct ley_teacher *teacher, int l,
                             double weight) {
    const struct ley_net_activations *a = &net->a;
    int64_t R = a->n_batch * a->n_tokens, C = net->parameters.config.d_model;
    double factor = 2 * weight / ((double)net->parameters.config.n_layers * (double)C);
    const float *want = teacher->hidden(teacher->context, l), *got = a->x + (l + 1) * R * C;
    const double *square = a->hidden + l * 2 * C;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < R; r++) {
        pull_row(a->dx + r * C, factor, square, want + r * C, got + r * C, C);
    }
}
