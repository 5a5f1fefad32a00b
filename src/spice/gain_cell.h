// gain_cell.h - the circuit of one gain cell: its read current, its leakage, its fit to a table.
#pragma once
#include "core/progress.h"
#include "device/cell.h"
#include "device/cell_table.h"
#include "spice/netlist.h"
#include "spice/ngspice.h"

#ifdef __cplusplus
extern "C" {
#endif

// Ports of the subcircuit "gain_cell", ended by NULL: read bit line, read line and its complement,
// write data, write enable and its complement, stored voltage, supply, ground.
const char *const *ley_cell_ports(void);

// Where a cell is measured.
struct ley_cell_bench {
    double v_dd_v; // supply; lines are pulsed from v_bl_v to v_dd_v, complements to 0
    double v_bl_v; // at which the bit line is held
};

// Reads a file with the subcircuit gain_cell.
LEY_MUST_CHECK enum ley_status ley_cell_netlist_load(struct ley_netlist *cell, const char *path);

// Currents of the cell on the axes that `grid` holds; i_a is positive where the cell draws current
// from the bit line. Read amplitudes must be evenly spaced. LEY_E_RESULT, with the netlist kept,
// when currents are not those of a cell (1 pA .. 10 mA at full scale).
LEY_MUST_CHECK enum ley_status ley_cell_sweep(struct ley_cell_grid *grid, struct ley_spice *spice,
                                              const struct ley_netlist *cell,
                                              const struct ley_cell_bench *bench);

// Appends the netlist that ley_cell_sweep simulates.
LEY_MUST_CHECK enum ley_status ley_cell_bench_print(struct ley_markup *out,
                                                    const struct ley_netlist *cell,
                                                    const struct ley_cell_bench *bench,
                                                    const struct ley_cell_grid *grid);

// How two tables on the same axes differ.
struct ley_cell_deviation {
    double rms_a, r2;  // over all points
    double rms_read_a; // at the highest read amplitude
    double largest_a;  // at v_store_v, v_in_v:
    double v_store_v, v_in_v;
};
struct ley_cell_deviation ley_cell_compare(const struct ley_cell_grid *grid,
                                           const struct ley_cell_grid *reference);

// One level of a cell in time.
struct ley_cell_level {
    double w_v;           // given: voltage to store
    double write_error_v; // stored after a write from the far end of the range, less w_v
    double neighbour_v;   // change of a cell at that far end whose write line is used by another
    double kept;          // share of u that is left after the hold time
    double tau_s;         // of the exponential that loses as much; INFINITY: nothing lost
};

// Writes each of n levels for write_s, then lets cells at these levels leak for hold_s, at rest.
LEY_MUST_CHECK enum ley_status ley_cell_hold(struct ley_cell_level *level, int n,
                                             struct ley_spice *spice,
                                             const struct ley_netlist *cell,
                                             const struct ley_cell_spec *spec, double write_s,
                                             double hold_s);

// Fits the parameters of `cell` to `reference` by least squares over all of its points and puts
// the best values into cell->param. error[i]: standard error, 0 where a parameter ended at a bound
// or has no influence.
LEY_MUST_CHECK enum ley_status ley_cell_fit(struct ley_netlist *cell, double *error,
                                            int *n_evaluations, struct ley_spice *spice,
                                            const struct ley_cell_bench *bench,
                                            const struct ley_cell_grid *reference,
                                            const struct ley_progress *progress);

// The behavioural cell whose table is the circuit's, at the read amplitude of `spec`.
LEY_MUST_CHECK enum ley_status ley_cell_law(struct ley_cell **law, struct ley_spice *spice,
                                            const struct ley_netlist *cell,
                                            const struct ley_cell_bench *bench,
                                            const struct ley_cell_spec *spec);

// Output conductance of the circuit, g[0] + g[1] u^2 + g[2] u^4 [S] (M51): best fit to the change
// of current for 20 mV up and down on the bit line.
LEY_MUST_CHECK enum ley_status ley_cell_conductance(double g[3], struct ley_spice *spice,
                                                    const struct ley_netlist *cell,
                                                    const struct ley_cell_bench *bench,
                                                    const struct ley_cell_spec *spec);

// Coefficients p_a[i] of u^i [A/V^i], u = v_store - v_ref_v, that fit the currents at the highest
// read amplitude best (M5).
LEY_MUST_CHECK enum ley_status ley_cell_cubic(double p_a[4], const struct ley_cell_grid *grid,
                                              double v_ref_v);

#ifdef __cplusplus
}
#endif
