// converter_circuit.c - benches of converters: a current source in place of cells
//
// All conversions of a run share supplies of bias and controls and have a supply of their own, from
// which their energy is read. The counter's first edge comes half a tick after the discharge
// begins, and later by what the comparator takes to see its end.
#include "spice/converter_circuit.h"

#include <math.h>

#include "core/assert.h"

enum { MAX_CONVERSIONS = 64 };

static double phase_of(const struct ley_hardware *hardware, int kind) {
    return kind == LEY_CONVERTER_SCORE ? hardware->time.q_pulse_s : hardware->time.phi_pulse_s;
}

static double saturation_of(const struct ley_hardware *hardware, int kind) {
    return kind == LEY_CONVERTER_SCORE ? hardware->converter.score_i_sat_a
                                       : hardware->converter.output_i_sat_a;
}

static void print_converter(struct ley_markup *out, int kind, int i, double i_a, double cint_f,
                            const struct ley_bench_times *t, double v_dd_v) {
    ley_markup_format(out, "\nvd%d d%d 0 %.9g\ncb%d b%d 0 50f\n", i, i, v_dd_v, i, i);
    ley_markup_format(out, "ib%d b%d 0 pulse(0 %.9g %.9g %.9g %.9g %.9g)\n", i, i, i_a, t->read_s,
                      t->edge_s, t->edge_s, t->read_end - t->read_s - t->edge_s);
    if (kind == LEY_CONVERTER_SCORE) {
        ley_markup_format(out,
                          "xc%d b%d p%d rst dis vbp vbn vcm d%d 0 score_converter cint=%.6g\n"
                          "cp%d p%d 0 5f\n",
                          i, i, i, i, cint_f, i, i);
        return;
    }
    ley_markup_format(out,
                      "xc%d b%d p%d s%d rst dis vbp vbs vbn vcm d%d 0 output_converter cint=%.6g\n"
                      "vk%d k%d 0 %.9g\n"
                      "xk%d p%d clk c0_%d c1_%d c2_%d c3_%d rst k%d 0 counter\n",
                      i, i, i, i, i, cint_f, i, i, v_dd_v, i, i, i, i, i, i, i);
}

static void print_save(struct ley_markup *out, int kind, int n) {
    for (int i = 0; i < n; i++) {
        ley_markup_format(out, ".save i(vd%d) v(b%d) v(p%d)", i, i, i);
        if (kind == LEY_CONVERTER_OUTPUT) {
            ley_markup_format(out, " i(vk%d) v(s%d) v(c0_%d) v(c1_%d) v(c2_%d) v(c3_%d)", i, i, i,
                              i, i, i);
        }
        ley_markup_format(out, "\n");
    }
}

enum ley_status ley_charge_conversion_print(struct ley_markup *out, int kind,
                                            const struct ley_charge_conversion *conversion, int n,
                                            const struct ley_hardware *hardware) {
    double v_dd_v = hardware->cell.v_dd_v, i_sat_a = saturation_of(hardware, kind);
    double phase_s = phase_of(hardware, kind);
    struct ley_bench_times t = ley_bench_times(phase_s);
    ley_markup_format(out, "* %s\n",
                      kind == LEY_CONVERTER_SCORE ? "HardSigmoid converters: charge to pulse"
                                                  : "signed converters with counters");
    LEY_TRY(ley_bench_periphery(out));
    ley_markup_format(out, "\nvcm vcm 0 %.9g\nxvbn vbn vddb 0 comparator_bias\n", v_dd_v / 2);
    ley_bench_bias(out, "", v_dd_v, i_sat_a, kind == LEY_CONVERTER_OUTPUT ? i_sat_a : 0);
    ley_markup_format(out, "vrst rst 0 pulse(%.9g 0 %.9g 50p 50p 1)\n", v_dd_v, t.reset_s);
    ley_bench_pulse(out, "dis", 0, v_dd_v, t.dis_s, phase_s, 50e-12);
    if (kind == LEY_CONVERTER_OUTPUT) {
        ley_bench_clock(out, hardware, t.dis_s);
    }
    for (int i = 0; i < n; i++) {
        print_converter(out, kind, i, conversion[i].i_a, ley_bench_cint(i_sat_a, phase_s), &t,
                        v_dd_v);
    }
    ley_markup_format(out, "\n.options gmin=1e-15 method=gear\n");
    print_save(out, kind, n);
    ley_markup_format(out, ".tran 20p %.9g\n.end\n", t.dis_end + 1.5e-9);
    return ley_markup_check(out);
}

// What the model makes of the same current.
static void model(struct ley_charge_conversion *conversion, int kind,
                  const struct ley_hardware *hardware) {
    struct ley_converter_spec spec = hardware->converter;
    double phase_s = phase_of(hardware, kind);
    if (kind == LEY_CONVERTER_SCORE) {
        conversion->model_width_s = phase_s * ley_charge_to_pulse(&spec, conversion->i_a, NULL);
        return;
    }
    spec.output_mode = LEY_OUTPUT_COUNTER;
    double x = fmin(fabs(conversion->i_a) / spec.output_i_sat_a, 1);
    conversion->model_width_s = x * phase_s;
    conversion->model_code = ley_charge_to_count(&spec, conversion->i_a, phase_s, NULL).code;
    double ticks = x * (spec.output_levels - 1) / 2;
    conversion->boundary_ticks = fabs(ticks - floor(ticks) - 0.5);
}

static enum ley_status read_one(struct ley_charge_conversion *conversion, int i, int kind,
                                struct ley_spice *spice, const struct ley_hardware *hardware) {
    double v_dd_v = hardware->cell.v_dd_v;
    struct ley_bench_times t = ley_bench_times(phase_of(hardware, kind));
    const double *time, *value;
    int n;
    LEY_TRY(ley_bench_vector(&value, &n, spice, "v(p%d)", i));
    LEY_TRY(ley_spice_vector(&time, &n, spice, "time"));
    conversion->width_s = ley_wave_above(time, value, n, v_dd_v / 2);
    LEY_TRY(ley_bench_vector(&value, &n, spice, "i(vd%d)", i));
    conversion->energy_j = -v_dd_v * ley_wave_integral(time, value, n);
    LEY_TRY(ley_bench_vector(&value, &n, spice, "v(b%d)", i));
    conversion->bl_low_v = conversion->bl_high_v = ley_wave_at(time, value, n, t.read_s);
    for (int k = 0; k < n; k++) {
        if (time[k] >= t.read_s && time[k] <= t.read_end) {
            conversion->bl_low_v = fmin(conversion->bl_low_v, value[k]);
            conversion->bl_high_v = fmax(conversion->bl_high_v, value[k]);
        }
    }
    if (kind == LEY_CONVERTER_OUTPUT) {
        LEY_TRY(ley_bench_vector(&value, &n, spice, "i(vk%d)", i));
        conversion->counter_energy_j = -v_dd_v * ley_wave_integral(time, value, n);
    }
    model(conversion, kind, hardware);
    return kind == LEY_CONVERTER_OUTPUT ? ley_bench_code(&conversion->code, spice, i, v_dd_v / 2)
                                        : LEY_OK;
}

enum ley_status ley_charge_conversion_run(struct ley_charge_conversion *conversion, int n, int kind,
                                          struct ley_spice *spice,
                                          const struct ley_hardware *hardware) {
    struct ley_markup text = {0};
    LEY_ASSERT(n <= MAX_CONVERSIONS);
    if (kind == LEY_CONVERTER_OUTPUT) {
        LEY_TRY(ley_bench_check(hardware));
    }
    enum ley_status status = ley_charge_conversion_print(&text, kind, conversion, n, hardware);
    if (status == LEY_OK) {
        status = ley_spice_run(
            spice, text.text, kind == LEY_CONVERTER_SCORE ? "score converter" : "output converter");
    }
    for (int i = 0; i < n && status == LEY_OK; i++) {
        status = read_one(&conversion[i], i, kind, spice, hardware);
    }
    ley_markup_destroy(&text);
    return status;
}
