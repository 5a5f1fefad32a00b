// converter_circuit.h - the converters' circuits against the behavioural converters (M11, M13,
// M14).
#pragma once
#include "spice/bench.h"

#ifdef __cplusplus
extern "C" {
#endif

// One conversion: a constant current drawn from the bit line for one phase.
struct ley_charge_conversion {
    double i_a;                    // given: mean current of the bit line
    double width_s, model_width_s; // of the output pulse: circuit, model
    int code, model_code;          // counts with sign; score converters have none
    double boundary_ticks;         // from the model's value to the nearest change of code
    double energy_j;               // of the converter, from reset to the end of discharge
    double counter_energy_j;       // of its counter in that time
    double bl_low_v, bl_high_v;    // where the bit line was while it was read
};

enum ley_converter_kind { LEY_CONVERTER_SCORE, LEY_CONVERTER_OUTPUT };

// Appends the bench of n conversions, one converter each.
LEY_MUST_CHECK enum ley_status
ley_charge_conversion_print(struct ley_markup *out, int kind,
                            const struct ley_charge_conversion *conversion, int n,
                            const struct ley_hardware *hardware);

// Simulates n conversions whose i_a are given, n <= 64, and fills in the rest. Codes are compared
// with the counter mode of M14, whatever the hardware's.
LEY_MUST_CHECK enum ley_status ley_charge_conversion_run(struct ley_charge_conversion *conversion,
                                                         int n, int kind, struct ley_spice *spice,
                                                         const struct ley_hardware *hardware);

#ifdef __cplusplus
}
#endif
