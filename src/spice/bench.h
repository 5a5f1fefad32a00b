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

// Time during which values[n] is above `level`, between samples on straight lines.
double ley_wave_above(const double *time_s, const double *values, int n, double level);

// Integral of values[n] over time.
double ley_wave_integral(const double *time_s, const double *values, int n);

// Value at time t_s, on straight lines.
double ley_wave_at(const double *time_s, const double *values, int n, double t_s);

#ifdef __cplusplus
}
#endif
