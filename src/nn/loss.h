// loss.h - what a row of logits costs, and how that changes with each logit.
//
// Cross entropy against the next token, and the divergence from a teacher's distribution, on rows
// of V logits. Sums over a row are taken in double, in an order that depends on V only.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// log(sum over i of exp(x[i])), without overflow.
double ley_log_sum_exp(const float *x, int n);

// What a loss is made of: per row
//     cross_entropy * -log p(target) + divergence * sum of t log(t / p)
// with p = softmax(logits), in the second term softmax(logits / temperature) like t, the teacher's.
struct ley_loss_weights {
    double cross_entropy, divergence;
    double temperature;    // > 0; a soft teacher above 1. Not made up for by its square here.
    const float *emphasis; // borrowed: times that the second term of a row counts; NULL: once
};

// logits (n_rows, n_vocab) are replaced by the gradient of the weighted sum over rows. nll[n_rows]
// gets -log p(target) in nats and divergence[n_rows] the plain divergence, both without weights. A
// row whose target is negative costs nothing: zero gradient, zeros. teacher (n_rows, n_vocab) may
// be NULL, then `divergence` may be too; targets are below n_vocab.
void ley_loss_backward(double *nll, double *divergence, float *logits, const float *teacher,
                       const int32_t *targets, const struct ley_loss_weights *weights,
                       int64_t n_rows, int n_vocab);

#ifdef __cplusplus
}
#endif
