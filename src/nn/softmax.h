// softmax.h - digital attention: softmax(q K^T / sqrt(d)) V, the reference beside the analog one.
//
// One function serves a whole sequence and a single token against its cache: a query's result
// depends on the query and the keys it sees only, to the bit.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Keys and values of one sequence in token order, possibly in a ring: head h of token s starts at
// k + (s % ring) * stride + h * head_dim, likewise v.
struct ley_kv_rows {
    const float *k, *v;
    int64_t stride, ring;
};

struct ley_softmax_shape {
    int n_query_heads, n_kv_heads, head_dim;
    int64_t window;   // tokens a query sees, itself included; 0: all
    int64_t q_stride; // floats from the queries of a token to those of the next
};

// Room for scores: a piece of n floats for each of omp_get_max_threads() threads.
struct ley_softmax_scratch {
    float *piece;
    int64_t n;
};

// Floats of a piece that serves queries of tokens 0 .. n_tokens - 1.
int64_t ley_softmax_scratch_size(const struct ley_softmax_shape *shape, int64_t n_tokens);

// Attention of query tokens first .. first + n_tokens - 1 of one sequence, causal: q (n_tokens,
// q_stride) with heads side by side, out (n_tokens, Hq * D).
void ley_softmax_forward(float *out, const struct ley_softmax_shape *shape, const float *q,
                         const struct ley_kv_rows *rows, int64_t first, int64_t n_tokens,
                         const struct ley_softmax_scratch *scratch);

// Gradients of one whole sequence (ley_softmax_forward with first = 0): rows of q, k, v and of dq,
// dk, dv are `stride` floats apart with heads side by side; out and dout are (T, Hq * D). dq, dk
// and dv are written, not added to.
struct ley_softmax_backward {
    const float *q, *k, *v, *out, *dout;
    float *dq, *dk, *dv;
    int64_t stride;
    float *scratch; // ley_softmax_backward_floats
};

// Floats of scratch for sequences of n_tokens on n_threads threads (omp_get_max_threads()).
int64_t ley_softmax_backward_floats(const struct ley_softmax_shape *shape, int64_t n_tokens,
                                    int n_threads);

// The way back; q_stride of the shape is not used. Scores are computed anew, a tile at a time: no
// more than O(T) of them is ever stored. The result does not depend on the number of threads.
void ley_softmax_backward(const struct ley_softmax_shape *shape,
                          const struct ley_softmax_backward *pass, int64_t n_tokens);

#ifdef __cplusplus
}
#endif
