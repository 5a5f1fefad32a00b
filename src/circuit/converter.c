// converter.c - charge to pulse, and charge to sign and count
//
// Both are the circuit of SPEC S2.4: integrate the bit line, then discharge the integrator with
// the saturation current until a comparator trips; the time that takes is charge / i_sat, cut at
// the end of the phase. The unsigned one gives no pulse for a negative charge; the signed one
// keeps the sign apart and counts clock ticks while its pulse lasts.
#include "circuit/converter.h"

#include <math.h>

#include "circuit/quantiser.h"
#include "event/ledger.h"

// M11: phi = clip(S / S_sat, 0, 1)
double ley_charge_to_pulse(const struct ley_converter_spec *spec, double s_a,
                           struct ley_ledger *ledger) {
    double fraction = s_a / spec->score_i_sat_a;
    if (ledger) {
        ledger->score_conversions++;
        ledger->zero_scores += fraction <= 0;
        ledger->saturated_scores += fraction >= 1;
    }
    if (fraction <= 0) {
        return 0;
    }
    return fraction < 1 ? fraction : 1;
}

// M14. The largest count at either sign.
int ley_output_code_max(const struct ley_converter_spec *spec) {
    int levels = spec->output_levels;
    if (levels == 0) {
        return 0;
    }
    // full scale is (levels - 1) / 2 steps; a half step rounds to even where the mode allows it
    double full = (levels - 1) / 2.0;
    return spec->output_mode == LEY_OUTPUT_REFERENCE ? (int)rint(full) : (int)floor(full);
}

// M13: x = clip(A / A_sat, -1, 1), code = rint(x / step); M14: the counter stops at its end
static struct ley_reading count_pulse(const struct ley_converter_spec *spec, double x) {
    if (spec->output_levels == 0) {
        return (struct ley_reading){.value = x};
    }
    struct ley_quantiser grid = ley_quantiser_make(-1, 1, spec->output_levels);
    double code = ley_quantiser_code(&grid, x), most = ley_output_code_max(spec);
    // Only the counter mode gets here, at saturation: reference mode's end is its own rounding.
    if (fabs(code) > most) {
        code = copysign(most, code);
    }
    return (struct ley_reading){.value = grid.step * code, .code = (int)code};
}

// Saturation is told from the unclipped value; a full-scale input counts as saturated.
struct ley_reading ley_charge_to_count(const struct ley_converter_spec *spec, double a_a,
                                       double phase_s, struct ley_ledger *ledger) {
    // Two clips of one value: what saturates is told from x, what is counted from `clipped`.
    double x = a_a / spec->output_i_sat_a;
    double clipped = x < -1 ? -1 : x > 1 ? 1 : x;
    struct ley_reading reading = count_pulse(spec, clipped);
    if (ledger) {
        ledger->output_conversions++;
        ledger->saturated_outputs += fabs(x) >= 1;
        ledger->output_pulse_time_s += fabs(clipped) * phase_s;
        ledger->counter_ticks += (uint64_t)(reading.code < 0 ? -reading.code : reading.code);
    }
    return reading;
}
