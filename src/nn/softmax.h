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

#ifdef __cplusplus
}
#endif
