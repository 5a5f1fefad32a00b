// branches_impl.h - attention of branches (state.h), for forward.c and layer.c.
#pragma once
#include "model/state_impl.h"

// Lays out n branches of n_rows tokens in all, with what their attention needs; `branch` is
// borrowed.
LEY_MUST_CHECK enum ley_status ley_branches_create(struct ley_branches **branches,
                                                   const struct ley_model *model,
                                                   const struct ley_branch *branch, int64_t n,
                                                   int64_t n_rows);

// NULL is accepted.
void ley_branches_destroy(struct ley_branches *branches);

// One layer's rows, as in layer.c.
struct ley_branches_call {
    const struct ley_model *model;
    const struct ley_attention *attention; // NULL: digital
    const float *qkv;                      // (rows, stride)
    float *out;                            // (rows, width_q)
    int64_t stride, width_q, width_k;
    struct ley_ledger *ledger;      // of the layer; NULL: not counted
    struct ley_ledger *head_ledger; // [Hkv + Hq] of its heads; NULL: not kept apart
};

// Attention of all branches in one layer; LEY_E_MEMORY only.
LEY_MUST_CHECK enum ley_status ley_branches_attend(struct ley_branches *branches,
                                                   const struct ley_branches_call *call);
