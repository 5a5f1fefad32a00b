// divergence.h - how far a model on a chip is from its digital self, token by token and head by
// head.
//
// Both models see the same windows. Of each prediction the divergence
//     KL = sum over tokens of p log(p / q),  p digital, q on the chip   [nats]
// is noted, and of each head what its attention gave, before the output projection: on the chip the
// head gets what the layers before it, with their errors, have left.
#pragma once
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_model;
struct ley_progress; // attention/attention.h
struct ley_session;

enum { LEY_DIVERGENCE_PLACES = 21 };

// Predictions from 2^i .. 2^(i + 1) - 1 tokens of a window.
struct ley_divergence_place {
    int64_t n, n_same; // predictions; of which both models have the same likeliest token
    double kl, nll, nll_reference; // sums
};

// Sums over the tokens of one head, r what the digital one gave, y the other: r r, y y, r y.
struct ley_divergence_head {
    double rr, yy, ry;
};

struct ley_divergence {
    int64_t n;                 // predictions compared
    double *kl;                // [n]
    int64_t room;              // of kl
    double probability_square; // sum of (p - q)^2 of the tokens that came
    struct ley_divergence_place place[LEY_DIVERGENCE_PLACES];
    int n_layers, n_heads;
    struct ley_divergence_head *head; // (n_layers, n_heads)
};

// What the predictions add up to.
struct ley_divergence_sum {
    double mean, mean_stderr, median, q999, most; // of KL
    double same_top;           // share of predictions with the same likeliest token
    double rms_probability;    // of p - q of the tokens that came
    double nll, nll_reference; // means
};

// Empty, for models of this shape.
LEY_MUST_CHECK enum ley_status ley_divergence_create(struct ley_divergence *divergence,
                                                     const struct ley_model *model);

// A zeroed struct is accepted.
void ley_divergence_destroy(struct ley_divergence *divergence);

// Compares one window: token[n], n >= 2, whose first n - 1 are fed to both sessions, which have one
// sequence each and are reset. `reference` is digital; both models have the same shape (contract).
LEY_MUST_CHECK enum ley_status ley_divergence_add(struct ley_divergence *divergence,
                                                  struct ley_session *reference,
                                                  struct ley_session *session, const int32_t *token,
                                                  int64_t n, const struct ley_progress *progress);

// Sums; sorts divergence->kl. n is at least 1 (contract).
struct ley_divergence_sum ley_divergence_sum(struct ley_divergence *divergence);

// sqrt(|y - r|^2 / |r|^2) of a head, and the correlation of y and r.
double ley_divergence_error(const struct ley_divergence_head *head);
double ley_divergence_correlation(const struct ley_divergence_head *head);

#ifdef __cplusplus
}
#endif
