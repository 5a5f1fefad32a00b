// head_circuit.h - one query through a small head: K cells, HardSigmoid converters, V cells,
// counters.
//
// Everything between the pulses of q and the counts of the output is transistors.
#pragma once
#include "spice/bench.h"
#include "spice/gain_cell.h"

#ifdef __cplusplus
extern "C" {
#endif

// Plain data; arrays are borrowed. Row d of token c is [c * n_rows + d].
struct ley_head_circuit {
    const struct ley_hardware *hardware;
    const struct ley_netlist *cell;
    int n_rows, n_tokens;
    const double *k_v, *v_v; // stored voltages
    const double *pulse;     // (n_rows) widths of q, 0..1 of the phase
};

// What came out; arrays are the caller's.
struct ley_head_read {
    double *phi;     // (n_tokens) widths, 0..1 of the phase
    int *code;       // (n_rows) counts with sign
    double energy_j; // of converters, counters and line drivers
};

LEY_MUST_CHECK enum ley_status ley_head_print(struct ley_markup *out,
                                              const struct ley_head_circuit *head);

// A head of 64 x 64 takes hours; 8 x 8 about a minute.
LEY_MUST_CHECK enum ley_status ley_head_simulate(struct ley_head_read *read,
                                                 struct ley_spice *spice,
                                                 const struct ley_head_circuit *head);

#ifdef __cplusplus
}
#endif
