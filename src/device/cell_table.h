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

// The whole sweep. i_a[n * n_in + m] is the current at v_store_v[n] and v_in_v[m], both ascending.
struct ley_cell_grid {
    int n_store, n_in;
    double *v_store_v, *v_in_v, *i_a;
};

// Reads all points of a table into `grid` (ley_cell_grid_destroy it); a table without Vin_V has one
// read amplitude, v_read_v.
LEY_MUST_CHECK enum ley_status ley_cell_grid_load(struct ley_cell_grid *grid, const char *path,
                                                  double v_read_v);

// An empty grid of this size, to be filled.
LEY_MUST_CHECK enum ley_status ley_cell_grid_create(struct ley_cell_grid *grid, int n_store,
                                                    int n_in);

// A grid with the axes and currents of another.
LEY_MUST_CHECK enum ley_status ley_cell_grid_copy(struct ley_cell_grid *grid,
                                                  const struct ley_cell_grid *from);

// {0} is accepted.
void ley_cell_grid_destroy(struct ley_cell_grid *grid);

// Writes the grid as a table that ley_cell_table_load reads back, under a temporary name first.
LEY_MUST_CHECK enum ley_status ley_cell_grid_save(const struct ley_cell_grid *grid,
                                                  const char *path);

// The curve of a grid as ley_cell_table_load makes it of a file.
LEY_MUST_CHECK enum ley_status ley_cell_grid_cut(struct ley_curve **curve,
                                                 const struct ley_cell_grid *grid, double v_read_v);

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
