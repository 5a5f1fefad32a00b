// state_impl.h - the inside of a session, shared by state.c (life), layer.c and forward.c
// (running).
#pragma once
#include "attention/stream.h"
#include "model/model_impl.h"
#include "model/state.h"
#include "nn/softmax.h"

// What one layer keeps of the past.
struct ley_layer_state {
    float *k, *v;              // digital: (B, ring, K)
    struct ley_stream *stream; // analog
};

// Activations of R = B * T rows (see model_impl.h for the widths).
struct ley_activations {
    int64_t n_rows, n_tokens; // room for
    float *x, *h;             // (R, C) residual stream; normalised or projected
    float *qkv;               // (R, Q + 2 K)
    float *attended;          // (R, Q)
    float *ffn_in, *ffn_out;  // (R, F or 2 F), (R, F)
    float *turn;              // (T, rope_dim)
};

// Branches that run now, and what their attention works with.
struct ley_branches {
    const struct ley_branch *branch; // borrowed
    int64_t n;
    int64_t *row, *start; // [n] row of the first token; tokens of its ancestors
    int64_t *position;    // [rows]
    int64_t longest;      // tokens of a branch with its ancestors
    int n_threads;
    float *kv;                        // [n_threads] (longest, 2 K)
    struct ley_softmax_scratch piece; // of all threads, digital
    struct ley_attention_work **work; // [n_threads], analog
    struct ley_ledger *ledger;        // [n]
    struct ley_ledger *head_ledger;   // [n * n_heads]
    int64_t n_heads;                  // Hkv + Hq
};

struct ley_session {
    const struct ley_model *model; // borrowed
    // sequences, tokens of each so far, and most of them that a cache without window holds
    int64_t n_batch, n_tokens, max_tokens;
    int64_t ring; // rows of a digital cache
    struct ley_layer_state *layer;
    struct ley_activations a;
    struct ley_softmax_scratch scratch;
    struct ley_attention_work *work; // of analog layers, one after another
    int n_threads;                   // that `scratch` serves
    // one token of each sequence, while a feed goes token by token
    int32_t *step_token;           // (B)
    struct ley_branches *branches; // NULL: tokens of one sequence follow one another
    float *loss_logits;            // (LEY_LOSS_ROWS, V), made by the first loss
};

enum { LEY_LOSS_ROWS = 64 };

// x += one layer (x) for T new tokens of each sequence; T > 1 only in an empty session. What is
// said of `feed` holds for its `ledger`, `trace` and `observer` (layer.c).
LEY_MUST_CHECK enum ley_status ley_layer_forward(struct ley_session *session, int l,
                                                 int64_t n_tokens, const struct ley_feed *feed);
