// dac.h - the two digital-to-analog converters: pulses from q, voltages from k and v.
#pragma once
#include "circuit/converter.h"
#include "circuit/quantiser.h"

struct ley_ledger;

#ifdef __cplusplus
extern "C" {
#endif

// The pulse generator's grid: pulse width as a fraction 0..1 of the q pulse phase (M8).
struct ley_quantiser ley_pulse_grid(const struct ley_converter_spec *spec);

// The write driver's grid: voltages 0..v_dd (M9).
struct ley_quantiser ley_write_grid(const struct ley_converter_spec *spec, double v_dd_v);

// Pulse widths (0..1) of one query of n lines from its scaled values q; clips, then rounds.
// Counts n conversions in `ledger` (may be NULL).
void ley_dac_pulses(double *pulse, const double *q, int n, const struct ley_quantiser *grid,
                    struct ley_ledger *ledger);

// Write voltages [V] of n cells from the scaled values x [V]; clips, then rounds.
// Counts n conversions in `ledger` (may be NULL).
void ley_dac_voltages(double *w_v, const double *x_v, int n, const struct ley_quantiser *grid,
                      struct ley_ledger *ledger);

#ifdef __cplusplus
}
#endif
