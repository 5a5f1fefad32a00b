// echo.h - tokens that say something again: rare ones that stand before in their sequence.
//
// To know them the attention has to find what was said. In ordinary text they are few, so a run can
// let them count several times (M28).
#pragma once
#include "model/net.h"
#include "train/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

// A token is rare when no more than this share of a text's tokens are it.
#define LEY_ECHO_RARE 0.0005

struct ley_echo {
    double weight; // > 0: how many times such a row counts
    int32_t n_vocab;
    int64_t *last_seen; // (n_vocab) number of the sequence; of a token that is not rare: -1
    int64_t n_sequences;
    float *row; // of the last batch
    int64_t n_room;
};

// Counts the tokens of a dataset, all of which are below n_vocab.
LEY_MUST_CHECK enum ley_status ley_echo_create(struct ley_echo *echo,
                                               const struct ley_dataset *dataset, int32_t n_vocab,
                                               double weight);

// A zeroed struct is accepted.
void ley_echo_destroy(struct ley_echo *echo);

// *weights <- (B, T): the weight where the target is an echo, else 1; valid until the next call.
LEY_MUST_CHECK enum ley_status ley_echo_weigh(const float **weights, struct ley_echo *echo,
                                              const struct ley_batch *batch);

#ifdef __cplusplus
}
#endif
