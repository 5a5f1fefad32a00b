// bench.c - pieces of test benches
#include "spice/bench.h"

#include <math.h>
#include <string.h>

#include "core/datadir.h"
#include "core/file.h"
#include "core/memory.h"

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
