// trace_impl.h - where a value goes in the arrays of a trace; shared by sequence.c and stream.c.
#pragma once
#include "array/bank.h"
#include "array/tile.h"
#include "attention/attention.h"

// Codes of one stored token (k or v) of pair = batch * Hkv + head, from its scaled values x_v[D].
void ley_trace_stored(const struct ley_attention_trace *trace,
                      const struct ley_attention *attention, enum ley_signal signal, int64_t pair,
                      int64_t token, const double *x_v);

// Codes of one query of head = batch * Hq + query head, from its scaled values q[D].
void ley_trace_query(const struct ley_attention_trace *trace, const struct ley_attention *attention,
                     int64_t head, int64_t token, const double *q);

// Codes of one token (D) of a head or pair that a converter has made already, padding apart.
void ley_trace_codes(const struct ley_attention_trace *trace, const struct ley_attention *attention,
                     enum ley_signal signal, int64_t head, int64_t token, const uint8_t *code);

// Where the read of one query notes scores, pulses, tile outputs and codes.
struct ley_read_trace ley_trace_read(const struct ley_attention_trace *trace,
                                     const struct ley_attention *attention, int64_t head,
                                     int64_t token);
