// bench.c - pieces of test benches
#include "spice/bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/datadir.h"
#include "core/file.h"
#include "core/memory.h"

// The integrator's swing at saturation [ours].
static const double swing_v = 0.24;

// The comparator sees the end of a discharge so much late [ours, measured].
static const double comparator_delay_s = 0.45e-9;

struct ley_bench_times ley_bench_times(double phase_s) {
    struct ley_bench_times t = {.reset_s = 2e-9, .edge_s = 20e-12};
    t.read_s = t.reset_s + 50e-12;
    t.read_end = t.read_s + phase_s;
    t.dis_s = t.read_end + 50e-12;
    t.dis_end = t.dis_s + phase_s;
    return t;
}

enum ley_status ley_bench_periphery(struct ley_markup *out) {
    char path[LEY_SPICE_PATH_BYTES], *text;
    size_t n_bytes;
    LEY_TRY(ley_data_path(path, sizeof path, "spice/periphery.cir"));
    LEY_TRY(ley_file_read(&text, &n_bytes, path, (size_t)1 << 20));
    ley_markup_bytes(out, text, n_bytes);
    ley_free(text);
    return LEY_OK;
}

void ley_bench_bias(struct ley_markup *out, const char *suffix, double v_dd_v, double source_a,
                    double sink_a) {
    ley_markup_format(out,
                      "vddb%s vddb%s 0 %.9g\nxbp%s rp%s vbp%s vddb%s 0 source_bias\n"
                      "irp%s rp%s 0 %.9g\n",
                      suffix, suffix, v_dd_v, suffix, suffix, suffix, suffix, suffix, suffix,
                      source_a);
    if (sink_a > 0) {
        ley_markup_format(out, "xbs%s rs%s vbs%s vddb%s 0 sink_bias\nirs%s vddb%s rs%s %.9g\n",
                          suffix, suffix, suffix, suffix, suffix, suffix, suffix, sink_a);
    }
}

void ley_bench_pulse(struct ley_markup *out, const char *node, double low_v, double high_v,
                     double start_s, double width_s, double edge_s) {
    if (width_s <= 0) {
        ley_markup_format(out, "v%s %s 0 %.9g\n", node, node, low_v);
        return;
    }
    // Half of each edge lies within the width, so that width is that at half height.
    ley_markup_format(out, "v%s %s 0 pulse(%.9g %.9g %.9g %.9g %.9g %.9g)\n", node, node, low_v,
                      high_v, start_s, edge_s, edge_s, fmax(width_s - edge_s, 1e-15));
}

// M52
double ley_bench_cint(double i_sat_a, double phase_s) {
    return i_sat_a * phase_s / swing_v;
}

// M52: the pulse of a saturated output is (levels - 1) / 2 ticks.
void ley_bench_clock(struct ley_markup *out, const struct ley_hardware *hardware, double start_s) {
    double tick_s = 2 * hardware->time.output_pulse_s / (hardware->converter.output_levels - 1);
    ley_markup_format(out, "vclk clk 0 pulse(0 %.9g %.9g 50p 50p %.9g %.9g)\n",
                      hardware->cell.v_dd_v, start_s + tick_s / 2 + comparator_delay_s,
                      tick_s / 2 - 50e-12, tick_s);
}

enum ley_status ley_bench_vector(const double **values, int *n, struct ley_spice *spice,
                                 const char *format, int i) {
    char name[32];
    snprintf(name, sizeof name, format, i);
    return ley_spice_vector(values, n, spice, name);
}

enum ley_status ley_bench_code(int *code, struct ley_spice *spice, int i, double half_v) {
    static const char *const bits[] = {"v(c0_%d)", "v(c1_%d)", "v(c2_%d)", "v(c3_%d)"};
    const double *value;
    int n;
    *code = 0;
    for (int bit = 0; bit < 4; bit++) {
        LEY_TRY(ley_bench_vector(&value, &n, spice, bits[bit], i));
        *code += value[n - 1] > half_v ? 1 << bit : 0;
    }
    LEY_TRY(ley_bench_vector(&value, &n, spice, "v(s%d)", i));
    *code = value[n - 1] > half_v ? *code : -*code;
    return LEY_OK;
}

enum ley_status ley_bench_check(const struct ley_hardware *hardware) {
    return hardware->converter.output_levels == 32
               ? LEY_OK
               : ley_fail(LEY_E_ARGUMENT, "output.levels is %d; the counter's circuit has 32",
                          hardware->converter.output_levels);
}

double ley_wave_above(const double *time_s, const double *values, int n, double level) {
    double sum_s = 0;
    for (int i = 1; i < n; i++) {
        double a = values[i - 1] - level, b = values[i] - level, step_s = time_s[i] - time_s[i - 1];
        if (a > 0 && b > 0) {
            sum_s += step_s;
        } else if (a > 0 || b > 0) {
            sum_s += step_s * fmax(a, b) / fabs(a - b);
        }
    }
    return sum_s;
}

double ley_wave_integral(const double *time_s, const double *values, int n) {
    double sum = 0;
    for (int i = 1; i < n; i++) {
        sum += 0.5 * (values[i - 1] + values[i]) * (time_s[i] - time_s[i - 1]);
    }
    return sum;
}

double ley_wave_at(const double *time_s, const double *values, int n, double t_s) {
    int i = 1;
    while (i < n - 1 && time_s[i] < t_s) {
        i++;
    }
    double share = (t_s - time_s[i - 1]) / (time_s[i] - time_s[i - 1]);
    share = fmin(fmax(share, 0), 1);
    return values[i - 1] + share * (values[i] - values[i - 1]);
}
