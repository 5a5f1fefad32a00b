// bench.h - pieces of test benches: sources, bias, pulses; and what is read off waveforms.
#pragma once
#include "array/hardware.h"
#include "report/markup.h"
#include "spice/ngspice.h"

#ifdef __cplusplus
extern "C" {
#endif

// Times of a read, from the start of the simulation [s].
struct ley_bench_times {
    double reset_s;          // integrators are shorted until then
    double read_s, read_end; // input pulses
    double dis_s, dis_end;   // the integrators' discharge; output pulses
    double edge_s;           // rise and fall of every pulse
};

// One phase of reading, of length `phase_s`, and one of discharge.
struct ley_bench_times ley_bench_times(double phase_s);

// Appends Leyden's periphery (config/spice/periphery.cir).
LEY_MUST_CHECK enum ley_status ley_bench_periphery(struct ley_markup *out);

// Appends the supply of bias and common voltage, and the references: node vbp for sources of
// `source_a`, vbs for sinks of `sink_a` (0: none), `suffix` added to both names.
void ley_bench_bias(struct ley_markup *out, const char *suffix, double v_dd_v, double source_a,
                    double sink_a);

// Appends a voltage source that is low_v and from start_s to start_s + width_s high_v.
void ley_bench_pulse(struct ley_markup *out, const char *node, double low_v, double high_v,
                     double start_s, double width_s, double edge_s);

// Capacitor of an integrator whose output moves by 0.24 V at the saturation current [ours].
double ley_bench_cint(double i_sat_a, double phase_s);

// Appends the counters' clock: edges in the middle of ticks of a discharge that begins at start_s,
// later by what the comparator takes to see its end.
void ley_bench_clock(struct ley_markup *out, const struct ley_hardware *hardware, double start_s);

// Sign and bits of counter i (nodes s<i>, c0_<i> .. c3_<i>) at the end.
LEY_MUST_CHECK enum ley_status ley_bench_code(int *code, struct ley_spice *spice, int i,
                                              double half_v);

// The circuits have a counter of four bits: LEY_E_ARGUMENT for another output.levels.
LEY_MUST_CHECK enum ley_status ley_bench_check(const struct ley_hardware *hardware);

// Vector whose name is `format` with the number i.
LEY_MUST_CHECK enum ley_status ley_bench_vector(const double **values, int *n,
                                                struct ley_spice *spice, const char *format, int i)
    __attribute__((format(printf, 4, 0)));

// Time during which values[n] is above `level`, between samples on straight lines.
double ley_wave_above(const double *time_s, const double *values, int n, double level);

// Integral of values[n] over time.
double ley_wave_integral(const double *time_s, const double *values, int n);

// Value at time t_s, on straight lines.
double ley_wave_at(const double *time_s, const double *values, int n, double t_s);

#ifdef __cplusplus
}
#endif
