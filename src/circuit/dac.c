// dac.c - clip to the range of the converter, round to its grid
//
// q becomes *time*: the amplitude of a read pulse is fixed because the read current is far from
// linear in it, while the charge is linear in the width (SPEC S1.2).
#include "circuit/dac.h"

#include "event/ledger.h"

// Full scale is the whole phase: 1 = T_q.
struct ley_quantiser ley_pulse_grid(const struct ley_converter_spec *spec) {
    return ley_quantiser_make(0, 1, spec->q_levels);
}

// u = 0 is no level with an even number of them (M1).
struct ley_quantiser ley_write_grid(const struct ley_converter_spec *spec, double v_dd_v) {
    return ley_quantiser_make(0, v_dd_v, spec->kv_levels);
}

// Clip, then round: a value beyond the range gives the end code, never one more.
static void convert(double *out, const double *in, int n, const struct ley_quantiser *grid) {
    for (int i = 0; i < n; i++) {
        out[i] = ley_quantise(grid, ley_clip(grid, in[i]));
    }
}

// M8
void ley_dac_pulses(double *pulse, const double *q, int n, const struct ley_quantiser *grid,
                    struct ley_ledger *ledger) {
    convert(pulse, q, n, grid);
    if (ledger) {
        ledger->pulse_dac_conversions += (uint64_t)n;
    }
}

// M9
void ley_dac_voltages(double *w_v, const double *x_v, int n, const struct ley_quantiser *grid,
                      struct ley_ledger *ledger) {
    convert(w_v, x_v, n, grid);
    if (ledger) {
        ledger->write_dac_conversions += (uint64_t)n;
    }
}
