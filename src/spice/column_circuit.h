// column_circuit.h - many cells on one bit line, with or without the resistance of the wire.
#pragma once
#include "spice/bench.h"
#include "spice/gain_cell.h"

#ifdef __cplusplus
extern "C" {
#endif

// Plain data. The bit line is held at V_DD / 2 before cell 0.
struct ley_column_circuit {
    const struct ley_hardware *hardware; // voltages, and the phase of q pulses
    const struct ley_netlist *cell;
    int n_cells;
    double r_ohm, c_f; // of the bit line, for each cell on it; r_ohm 0: all at one node
};

// Appends the bench: cell i holds w_v[i] and is pulsed for pulse[i] (0..1) of the phase.
LEY_MUST_CHECK enum ley_status ley_column_print(struct ley_markup *out,
                                                const struct ley_column_circuit *column,
                                                const double *w_v, const double *pulse);

// What one read gave.
struct ley_column_read {
    double net_a;     // charge drawn from the bit line / phase
    double disturb_v; // largest change of a stored voltage by the read
};
LEY_MUST_CHECK enum ley_status ley_column_simulate(struct ley_column_read *read,
                                                   struct ley_spice *spice,
                                                   const struct ley_column_circuit *column,
                                                   const double *w_v, const double *pulse);

#ifdef __cplusplus
}
#endif
