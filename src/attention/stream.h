// stream.h - attention of one layer token by token, through the banks.
#pragma once
#include "attention/attention.h"

#ifdef __cplusplus
extern "C" {
#endif

// B sequences on B * Hkv banks.
struct ley_stream;

// Makes empty banks. `attention` is borrowed and must outlive the stream.
LEY_MUST_CHECK enum ley_status ley_stream_create(struct ley_stream **stream,
                                                 const struct ley_attention *attention,
                                                 int64_t n_batch);

// NULL is accepted.
void ley_stream_destroy(struct ley_stream *stream);

// Writes one token of each sequence at time t_s [s], then reads it with its queries: q (B, Hq, D),
// k and v (B, Hkv, D) from the projections, to out (B, Hq, D). Time never runs backwards
// (contract). The trace must have room for the token's index; trace and ledger may be NULL.
void ley_stream_step(double *out, struct ley_stream *stream, const double *q, const double *k,
                     const double *v, double t_s, const struct ley_attention_trace *trace,
                     struct ley_ledger *ledger);

// Writes one token of each sequence without reading it: loads a prompt that ley_attention_forward
// has computed, leaving the banks as ley_stream_step would. Counts into `ledger` (may be NULL).
void ley_stream_write(struct ley_stream *stream, const double *k, const double *v, double t_s,
                      struct ley_ledger *ledger);

// Forgets all tokens and sets time back to zero.
void ley_stream_reset(struct ley_stream *stream);

// Tokens fed so far.
int64_t ley_stream_n_tokens(const struct ley_stream *stream);

#ifdef __cplusplus
}
#endif
