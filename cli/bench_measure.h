// bench_measure.h - what `leyden bench` measures, one function for each kind of thing.
#pragma once
#include "leyden.h"

// Times of repeated runs.
struct bench_times {
    double median_s, best_s;
    size_t work_bytes; // of a sequence: memory beside inputs and outputs
};

// A layer of attention to run.
struct bench_shape {
    const char *name;
    int n_layers;
    struct ley_attention_shape heads;
    int d_model, d_ff, n_ffn_in; // 0: a shape without dense layers; n_ffn_in: 2 d_ff when gated
};

// What to do with it.
struct bench_job {
    const struct ley_hardware *hardware;
    const struct ley_kernels *kernels; // NULL: not in integers
    struct bench_shape shape;
    int64_t n_tokens; // of a sequence; or columns of the ring in use
    int n_threads, n_runs;
    bool counts_events;
};

// Products of bytes in all threads, from the first-level cache, best of several: operations/s (two
// for each product). NULL: 0.
double bench_peak_int8(const struct ley_kernels *kernels, int n_threads);

// A matrix product of 512 rows by 1024 by 1024 in bf16 through the dense layers: operations/s; 0
// when this CPU has no bf16.
enum ley_status bench_peak_bf16(double *operations_per_s);

// Reading memory far larger than the caches, all threads: bytes/s.
enum ley_status bench_peak_memory(double *bytes_per_s);

// One layer over a sequence.
enum ley_status bench_sequence(struct bench_times *times, const struct bench_job *job);

// One token through all layers, on banks with n_tokens columns in use.
enum ley_status bench_decode(struct bench_times *times, const struct bench_job *job);

// The matrix products of one layer on n_tokens rows, in the format this CPU is fastest in: bf16 or
// float32. *operations receives their number, two for each product.
enum ley_status bench_dense(struct bench_times *times, double *operations,
                            const struct bench_job *job);

// Runs a short sequence with the job's kernels and with scalar ones; fails unless the results are
// the same bits. What is not right is not timed.
enum ley_status bench_verify(const struct bench_job *job);
