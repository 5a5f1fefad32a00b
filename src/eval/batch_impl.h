// batch_impl.h - sequences of many items as branches of one pass.
#pragma once
#include "eval/run.h"
#include "model/state.h"

// A pass under construction; it is filled and emptied again and again.
struct ley_batch {
    int32_t *token;
    struct ley_branch *branch;
    struct ley_token_score *score;
    int64_t *owner; // [n_scores] index of the answer that a score belongs to
    int64_t n_tokens, n_branches, n_scores;
    int64_t tokens_room, branches_room, scores_room; // scores_room: of owners too
};

// A zeroed batch is accepted.
void ley_batch_destroy(struct ley_batch *batch);

// Empties it; memory is kept.
void ley_batch_clear(struct ley_batch *batch);

// Adds an item's sequences; answer `first` + pair gets their scores. What all sequences begin with
// becomes one branch that the others go on from.
LEY_MUST_CHECK enum ley_status ley_batch_add(struct ley_batch *batch, const struct ley_case *item,
                                             int64_t first);
