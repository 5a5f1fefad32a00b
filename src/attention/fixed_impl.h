// fixed_impl.h - what the fixed-point sequence and stream share.
#pragma once
#include "array/fixed_tile.h"
#include "attention/attention.h"
#include "attention/stream.h"

// Runs a call in integers; as ley_attention_forward otherwise.
LEY_MUST_CHECK enum ley_status ley_fixed_forward(const struct ley_attention *attention,
                                                 const struct ley_attention_call *call);

// Banks of codes for B sequences, as struct ley_stream has banks of cells.
struct ley_fixed_stream;

// See ley_stream_create, _destroy, _step, _load and _reset.
LEY_MUST_CHECK enum ley_status ley_fixed_stream_create(struct ley_fixed_stream **stream,
                                                       const struct ley_attention *attention,
                                                       int64_t n_batch);
void ley_fixed_stream_destroy(struct ley_fixed_stream *stream);
void ley_fixed_stream_step(struct ley_fixed_stream *stream, const struct ley_attention_call *call,
                           double t_s);
void ley_fixed_stream_load(struct ley_fixed_stream *stream, const struct ley_attention_call *call);
void ley_fixed_stream_reset(struct ley_fixed_stream *stream);

// Scales and converts one token of a head (M18, M8, M9): code[n], padded with 0 beyond head_dim.
struct ley_fixed_row {
    enum ley_signal signal;
    int64_t b, h, t; // of the call
    int64_t token;   // of the trace
};
void ley_fixed_encode(uint8_t *code, int n, const struct ley_attention *attention,
                      const struct ley_heads *heads, const struct ley_fixed_row *row,
                      const struct ley_attention_trace *trace);

// Sum of n codes; exact.
float ley_fixed_pulse_sum(const uint8_t *code, int n);

// Tiles of a bank that hold a live column when token t reads it.
int64_t ley_fixed_live_tiles(const struct ley_hardware *hardware, int64_t t);

// What a block of queries found in one tile, for a trace: row r is query t + r of one head.
// Column c holds token `first + c`; with `tokens` given, token tokens[c] (-1: none).
struct ley_fixed_note {
    const struct ley_code_tiles *tiles;
    int64_t head, t;
    int n; // tile
    int64_t first, n_tokens;
    const int64_t *tokens;
};

// Notes scores and pulses of the columns that row r sees.
void ley_fixed_note_scores(const struct ley_attention_trace *trace,
                           const struct ley_attention *attention, const struct ley_fixed_work *work,
                           int r, const struct ley_fixed_note *note);

// Notes the converted outputs of row r.
void ley_fixed_note_outputs(const struct ley_attention_trace *trace,
                            const struct ley_attention *attention,
                            const struct ley_fixed_work *work, int r,
                            const struct ley_fixed_note *note);

// What is counted from shapes and codes alone.
struct ley_fixed_counts {
    int64_t n_written, n_queries; // columns, queries
    int64_t n_live, n_tiles;      // columns and tiles that queries read
    int64_t pulse_tiles;          // codes of q times the tiles they drive
    double k_charge;              // powers: sum of pulse codes times |i| [A]
    // rewrites of columns, and cells of K and of V that they sense, by level (M35)
    int64_t n_rewritten, k_sensed[LEY_LEVELS], v_sensed[LEY_LEVELS];
};

// Counts n rewrites of a column: head_dim codes of K, levels of V as ley_code_tiles_levels.
void ley_fixed_counts_refresh(struct ley_fixed_counts *counts, const struct ley_fixed *fixed,
                              int64_t n, const uint8_t *k, const uint16_t *v_levels);

// total += part
void ley_fixed_counts_add(struct ley_fixed_counts *total, const struct ley_fixed_counts *part);

// Adds them to a ledger.
void ley_fixed_counts_post(struct ley_ledger *ledger, const struct ley_fixed_counts *counts,
                           const struct ley_fixed *fixed);
