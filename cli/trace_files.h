// trace_files.h - scores, pulses, tile outputs and codes of chosen layers and heads, as .npy files.
#pragma once
#include "language.h"

struct trace_options {
    const char *folder; // NULL: no trace
    const char *layers; // "0,5,29"; NULL: "0"
    const char *heads;  // query heads; NULL: all
    const char *hw;     // name of the hardware, for trace.json
};

struct trace_files;

// Makes room for n_tokens tokens of the chosen layers; *trace is NULL when there is no folder.
// Digital attention has nothing to trace: LEY_E_ARGUMENT.
enum ley_status trace_files_create(struct trace_files **trace, const struct trace_options *options,
                                   const struct language *language, int64_t n_tokens);

// One struct per layer of the model, for struct ley_feed; NULL when there is no trace.
const struct ley_attention_trace *trace_files_arrays(const struct trace_files *trace);

// Notes what goes into the layers that are traced, for struct ley_feed; NULL when there is no
// trace.
const struct ley_observer *trace_files_observer(const struct trace_files *trace);

// Writes what the first n_tokens tokens left: layerNN_S.npy and phi.npy (heads, T, T), A.npy
// (heads, tiles, T, D), q_code.npy (heads, T, D), out_code.npy (heads, tiles, T, D); and
// trace.json, which describes the run and sums all heads up in histograms and errors by age
// (trace_summary.h).
enum ley_status trace_files_write(const struct trace_files *trace, int64_t n_tokens,
                                  const struct invocation *invocation);

// NULL is accepted.
void trace_files_destroy(struct trace_files *trace);
