// trace_summary.h - a trace in numbers small enough for a page: histograms, and errors by age.
#pragma once
#include "leyden.h"

struct cJSON;

// One layer of one sequence that was traced.
struct trace_layer {
    const struct ley_attention *attention;   // as it ran
    const struct ley_attention_trace *trace; // with s, phi and a
    struct ley_heads q, k, v;                // what went in, before the scalers
    int64_t n_tokens;                        // how many of the trace's tokens ran
};

// Makes a JSON object (delete it with cJSON_Delete):
//   score, phi, output: {low, high, n, mean, counts: [..]}: pairs in the window; outputs of tiles
//   by_age: [{first, last, n, score_rms, leakage_rms, chip_rms}, ..]: scores of keys that are first
//     to last tokens old [S_sat]; what leakage changes in them; what everything that an ideal chip
//     (linear, no leakage, converters without steps, same scalers) lacks changes in them
enum ley_status trace_summary(struct cJSON **json, const struct trace_layer *layer);
