// attention.h - analog attention of one layer: query heads on banks, over a sequence or a token.
//
// Shapes: B batch, Hq query heads, Hkv key-value heads (Hq is a multiple of Hkv; query head h reads
// bank h / (Hq / Hkv)), T tokens, D head width, N tiles in use. Arrays are row-major doubles.
//
// Two ways to the same bits: ley_attention_forward computes all T queries at once from the formulas
// of MODEL.md; ley_stream_step (stream.h) feeds banks token by token. Both use time t * period.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "array/hardware.h"
#include "attention/heads.h"
#include "attention/scaler.h"
#include "core/progress.h"

struct ley_attention_work;
struct ley_fixed;
struct ley_kernels;
struct ley_ledger;

#ifdef __cplusplus
extern "C" {
#endif

struct ley_attention_shape {
    int n_query_heads, n_kv_heads, head_dim;
};

// A layer's attention: hardware, cell, scalers. Plain to read, owned as a whole.
struct ley_attention {
    struct ley_hardware hardware;
    struct ley_attention_shape shape;
    struct ley_cell *cell;
    struct ley_scaler *scaler[LEY_N_SIGNALS]; // [signal][head], see ley_attention_n_heads
    int64_t refresh_tokens; // from one rewrite of a column to the next (M35); 0: never
    // The chip in integers (M21), when array.arithmetic is fixed, or auto and it fits; else NULL.
    struct ley_fixed *fixed;
    // Keys must come centred (M25, centre.h): whoever prepares q, k and v does it.
    bool centres_keys;
    // Values must come centred, and outputs are divided by what scores sum up to (M29,
    // normalise.h), by whoever prepares and takes them.
    bool normalises_outputs;
    double *output_size; // [Hq] of M29; used only then
    // Gradients follow the cell's own law (M22), not cell.slope_a_per_v as the published ones do.
    bool follows_law;
    const struct ley_kernels *kernels; // ley_kernels_select(); may be replaced by another table
};

// Checks the hardware, resolves its cell, sets initial scalers (S4.1). `hardware` is copied.
LEY_MUST_CHECK enum ley_status ley_attention_create(struct ley_attention **attention,
                                                    const struct ley_hardware *hardware,
                                                    const struct ley_attention_shape *shape);

// NULL is accepted.
void ley_attention_destroy(struct ley_attention *attention);

// Heads that have their own scaler for a signal: Hq for q and output, Hkv for k and v.
int ley_attention_n_heads(const struct ley_attention_shape *shape, enum ley_signal signal);

// Where to note what happened inside; any pointer may be NULL, memory is the caller's, zeroed.
// Codes exist only where the quantiser is on.
struct ley_attention_trace {
    int64_t n_tokens; // T of the arrays below
    double *s, *phi;  // (B, Hq, T, T) mean current / S_sat; pulse 0..1; [.., query, key]
    double *a;        // (B, Hq, N, T, D) partial output of each tile / A_sat, before the clip
    int32_t *q_code;  // (B, Hq, T, D)
    int32_t *k_code, *v_code; // (B, Hkv, T, D)
    int32_t *out_code;        // (B, Hq, N, T, D)
};

// Tiles of a bank that T tokens touch: N above.
int ley_attention_n_tiles(const struct ley_hardware *hardware, int64_t n_tokens);

// What to compute: q (B, Hq, T, D), k and v (B, Hkv, T, D) as they come from the projections, to
// out (B, Hq, T, D). trace, ledger (added to) and progress (heads done) may be NULL.
struct ley_attention_call {
    struct ley_heads q, k, v;
    struct ley_heads_out out;
    int64_t n_batch, n_tokens;
    // Index of the first query: q and out hold tokens first .. T - 1, k and v all T. Tokens before
    // it count as written and read already, by a call of their own.
    int64_t first;
    const struct ley_attention_trace *trace;
    struct ley_ledger *ledger;
    // [Hkv + Hq] added to, or NULL; only with `ledger`: what writing takes by key-value head, then
    // what reading takes by query head. Counts add up to those of the ledger, amounts to 1e-12:
    // they are the same terms in another order.
    struct ley_ledger *head_ledger;
    const struct ley_progress *progress;
    // Memory to work in, kept for the next call; NULL: taken and given back by the call.
    struct ley_attention_work *work;
};

// Makes an empty work: it grows to what the calls that are given it need. One call at a time.
LEY_MUST_CHECK enum ley_status ley_attention_work_create(struct ley_attention_work **work);

// Bytes it has grown to.
size_t ley_attention_work_bytes(const struct ley_attention_work *work);

// NULL is accepted.
void ley_attention_work_destroy(struct ley_attention_work *work);

// Runs T tokens of B sequences. Threads share the heads; results do not depend on their number.
// Fails for memory or when stopped.
LEY_MUST_CHECK enum ley_status ley_attention_forward(const struct ley_attention *attention,
                                                     const struct ley_attention_call *call);

#ifdef __cplusplus
}
#endif
