// backward.h - gradients of analog attention over a sequence: the reference (M22).
//
// For a loss L of the outputs of ley_attention_forward and dout = dL/dout, gives dL/dq, dL/dk,
// dL/dv and dL/da, dL/db of every scaler. Rounding is passed straight through; every clip lets a
// gradient through inside its closed range and stops it outside. Cells are differentiated as if
// they were linear with cell.slope_a_per_v, whatever their law: exact for the linear law, the
// published surrogate for all others; or, with attention->follows_law, by their own law. All is
// computed in double, the forward pass too, whatever array.arithmetic says: this is the definition.
#pragma once
#include "attention/attention.h"

#ifdef __cplusplus
extern "C" {
#endif

// What comes back, and where the gradients go. dout (B, Hq, T, D) is borrowed; dq is as q, dk and
// dv are as k and v; all must differ from what is read.
struct ley_attention_gradient {
    struct ley_heads dout;
    struct ley_heads_out dq, dk, dv;
    // [signal][head]: (a, b) hold (dL/da, dL/db); added to; NULL: not wanted
    struct ley_scaler *dscaler[LEY_N_SIGNALS];
};

// `call` as it went forward; its q, k, v, n_batch and n_tokens are looked at, nothing else.
// Recomputes the forward pass head by head; needs O(T D) memory a thread and nothing (T, T).
// Threads share the key-value heads; results do not depend on their number. Fails for memory only,
// before anything is written.
LEY_MUST_CHECK enum ley_status ley_attention_backward(const struct ley_attention_gradient *gradient,
                                                      const struct ley_attention *attention,
                                                      const struct ley_attention_call *call);

// The same for training: where the attention is in integers (M21), the forward pass is computed in
// them and the products back in float32, much faster, in call->work if there is one; elsewhere this
// is ley_attention_backward. Results do not depend on threads or instruction set; they differ from
// the reference by float32's rounding, and where a clip's edge lies between the two forwards.
LEY_MUST_CHECK enum ley_status
ley_attention_backward_fast(const struct ley_attention_gradient *gradient,
                            const struct ley_attention *attention,
                            const struct ley_attention_call *call);

#ifdef __cplusplus
}
#endif
