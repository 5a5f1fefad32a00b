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

// Writes one token of each sequence at time t_s [s], then reads it with its queries; the call has
// n_tokens = 1 and the stream's n_batch, and its progress is not used. Time never runs backwards
// (contract). The trace must have room for the token's index.
void ley_stream_step(struct ley_stream *stream, const struct ley_attention_call *call, double t_s);

// Writes the tokens of the call, one a period from time 0, into an empty stream (contract) without
// reading them: loads a prompt that ley_attention_forward has computed, leaving the banks as
// ley_stream_step would. Uses k and v of the call; nothing is counted.
void ley_stream_load(struct ley_stream *stream, const struct ley_attention_call *call);

// Forgets all tokens and sets time back to zero.
void ley_stream_reset(struct ley_stream *stream);

// Tokens fed so far.
int64_t ley_stream_n_tokens(const struct ley_stream *stream);

#ifdef __cplusplus
}
#endif
