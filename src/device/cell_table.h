// cell_table.h - a cell's current as a table from a circuit simulation or a measurement.
//
// CSV with a header line that names its columns, in any order: Vstore_V (stored voltage, V),
// Iout_uA (read current, uA), and Vin_V (amplitude of the read pulse, V) unless the whole table
// was taken at one amplitude. Points in any order; every Vstore_V needs the same set of Vin_V.
#pragma once
#include <stddef.h>

#include "device/curve.h"

#ifdef __cplusplus
extern "C" {
#endif

// Reads the table and makes the curve of current [A] against stored voltage [V] at read amplitude
// `v_read_v`, linear between the two nearest amplitudes. Fails when v_read_v is outside the table.
LEY_MUST_CHECK enum ley_status ley_cell_table_load(struct ley_curve **curve, const char *path,
                                                   double v_read_v);

// Same, from text of n_bytes bytes; `name` is used in messages.
LEY_MUST_CHECK enum ley_status ley_cell_table_read(struct ley_curve **curve, const char *text,
                                                   size_t n_bytes, const char *name,
                                                   double v_read_v);

#ifdef __cplusplus
}
#endif
