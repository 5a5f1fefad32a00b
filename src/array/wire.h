// wire.h - what the resistance of bit lines takes from their currents.
#pragma once
#include "array/bitline.h"

#ifdef __cplusplus
extern "C" {
#endif

// Mean current [A] by which a bit line of K differs from the plain sum of its cells, to first order
// in array.r_line_ohm (M51); add it to the sum. In double whatever the arithmetic. O(n_rows^2).
double ley_wire_error_k(const struct ley_hardware *hardware, const struct ley_cell *cell,
                        const double *pulse, const struct ley_column *column, int n_rows);

// The same for row d of V, whose bit line runs along the columns.
double ley_wire_error_v(const struct ley_hardware *hardware, const struct ley_cell *cell,
                        const double *phi, const struct ley_column *columns, int n_columns, int d);

#ifdef __cplusplus
}
#endif
