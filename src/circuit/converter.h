// converter.h - what the periphery of an array is built to (plain data), and its two
// charge-to-pulse converters.
//
// A bit line delivers charge for the length of a phase. We speak of the mean current over that
// phase (charge / phase), as the published constants do: 80 uA over 15 ns are 1.2 pC.
#pragma once

struct ley_ledger;

#ifdef __cplusplus
extern "C" {
#endif

enum ley_output_mode { LEY_OUTPUT_REFERENCE, LEY_OUTPUT_COUNTER }; // ORDER output.mode

// Plain data; converter_params.def documents units, ranges and sources of every field.
struct ley_converter_spec {
    // 0: continuous, here and below; 1 is refused
    int q_levels, kv_levels;
    // S_sat and A_sat: mean currents over the phase at which a converter is full (M11, M13)
    double score_i_sat_a;
    double output_i_sat_a;
    int output_levels;
    int output_mode; // enum ley_output_mode
};

// HardSigmoid (M11): the pulse, as a fraction 0..1 of its phase, that a column of K sends into its
// row of V when its bit line delivered the mean current s_a [A]. Not rounded: it stays analog.
// Counts the conversion, and zero and saturated ones, in `ledger` (may be NULL).
double ley_charge_to_pulse(const struct ley_converter_spec *spec, double s_a,
                           struct ley_ledger *ledger);

// What a signed converter and its counter make of one bit line of V.
struct ley_reading {
    double value; // in units of A_sat
    int code;     // counts, with sign; 0 when the output is continuous
};

// Signed charge-to-pulse conversion and count (M13, M14) of the mean current a_a [A]; the counter
// runs while the pulse lasts, |a| / A_sat of `phase_s` at most.
// Counts conversions, saturations, pulse time and ticks in `ledger` (may be NULL).
struct ley_reading ley_charge_to_count(const struct ley_converter_spec *spec, double a_a,
                                       double phase_s, struct ley_ledger *ledger);

// Largest |code| that ley_charge_to_count returns; 0 when the output is continuous.
int ley_output_code_max(const struct ley_converter_spec *spec);

#ifdef __cplusplus
}
#endif
