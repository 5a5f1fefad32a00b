// bitline.h - what one bit line delivers while pulses drive the cells on it.
//
// The only place where cells are summed. Currents are means over the phase (charge / phase), in
// double or in float32 arithmetic (array.arithmetic); the order of summation is fixed: rows, or
// columns, in ascending order, gated ones left out.
#pragma once
#include <stdint.h>

#include "array/hardware.h"
#include "device/cell.h"

#ifdef __cplusplus
extern "C" {
#endif

// One token as its column of cells stands at the moment of a read.
struct ley_column {
    const double *k_u, *v_u; // (head_dim) states in V, borrowed
    struct ley_decay decay;  // what leakage has left of both
    int64_t token;           // index in the sequence; used for traces only
};

// Mean current of a bit line with sign, and the mean of |current| through its cells.
struct ley_bitline {
    double net_a;
    double magnitude_a;
};

// The two ways to sum, one per arithmetic.
struct ley_bitline_ops {
    // M10: K, one column: sum over d of pulse[d] * i(k_u[d]), d = 0..n_rows-1
    struct ley_bitline (*read_k)(const struct ley_cell *cell, const double *pulse,
                                 const struct ley_column *column, int n_rows);
    // M12: V, row d: sum over columns c of phi[c] * i(v_u[c][d]), c = 0..n_columns-1
    struct ley_bitline (*read_v)(const struct ley_cell *cell, const double *phi,
                                 const struct ley_column *columns, int n_columns, int d);
};

// The ops of an arithmetic (enum ley_arithmetic). Static storage.
const struct ley_bitline_ops *ley_bitline_ops(int arithmetic);

#ifdef __cplusplus
}
#endif
