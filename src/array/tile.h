// tile.h - one tile: a sub-array of K, its HardSigmoid converters, a sub-array of V, its counters.
//
// The path of one query through one tile (MODEL.md, M10 to M14):
//     pulses q -> K cells -> bit-line charge S -> pulses phi -> V cells -> charge A -> counts
// A tile holds up to array.columns tokens. It converts its own partial output: the sum over tiles
// is digital and sees quantised numbers (SPEC S3.2).
#pragma once
#include "array/bitline.h"
#include "array/hardware.h"

struct ley_ledger;

#ifdef __cplusplus
extern "C" {
#endif

// What every tile of a bank is built from. All pointers are borrowed.
struct ley_tile_spec {
    const struct ley_hardware *hardware;
    const struct ley_cell *cell;
    int head_dim;
};

// Where to note what happened inside; any pointer may be NULL.
struct ley_tile_trace {
    double *s;     // [token] mean current / S_sat, before the clip
    double *phi;   // [token] pulse, 0..1
    double *a;     // [head_dim] mean current / A_sat, before the clip
    int32_t *code; // [head_dim] counts
};

// The same for all tiles that one query reads.
struct ley_read_trace {
    double *s, *phi;     // [token]: indexed by the token's place in the sequence
    double *a;           // [tile * tile_stride + row]
    int32_t *code;       // [tile * tile_stride + row]
    int64_t tile_stride; // elements from one tile to the next in a and code
};

// The part of `read` that tile n notes into.
struct ley_tile_trace ley_trace_tile(const struct ley_read_trace *read, int n);

// Reads one tile with the pulses (head_dim widths, 0..1) and adds its output, in units of A_sat,
// to sum[head_dim]. `columns` are the tile's live columns in physical order, n_columns >= 1;
// gated ones (never written, or out of the window) are left out: S = phi = 0 there.
// `phi` is scratch for n_columns values. `ledger` may be NULL.
void ley_tile_read(double *sum, const struct ley_tile_spec *spec, const double *pulse,
                   const struct ley_column *columns, int n_columns, double *phi,
                   const struct ley_tile_trace *trace, struct ley_ledger *ledger);

#ifdef __cplusplus
}
#endif
