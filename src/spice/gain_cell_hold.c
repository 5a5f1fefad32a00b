// gain_cell_hold.c - a cell in time: written, disturbed by a neighbour's write, left alone
#include <math.h>
#include <stdio.h>

#include "spice/bench.h"
#include "spice/gain_cell.h"

// The end of the range that is further from w.
static double far_end(const struct ley_cell_spec *spec, double w_v) {
    return w_v < spec->v_dd_v / 2 ? spec->v_dd_v : 0;
}

static void print_supplies(struct ley_markup *out, const struct ley_netlist *cell,
                           const struct ley_cell_spec *spec, const char *title) {
    ley_markup_format(out, "* %s\n", title);
    ley_netlist_print(out, cell);
    ley_markup_format(out, "\nvdd vdd 0 %.9g\nvrest rest 0 %.9g\n", spec->v_dd_v, spec->v_dd_v / 2);
}

// A cell at rest but for its write ports; its stored node starts at w_v.
static void print_cell(struct ley_markup *out, const struct ley_netlist *cell, const char *name,
                       const char *store, const char *wlw, const char *we, const char *web,
                       double w_v) {
    const char *const node[] = {"rest", "rest", "rest", wlw, we, web, store, "vdd", "0"};
    ley_netlist_instance(out, cell, name, ley_cell_ports(), node);
    ley_markup_format(out, ".ic v(%s)=%.9g\n", store, w_v);
}

// Data comes 1 ns before the enable and goes 1 ns after it.
static void print_write(struct ley_markup *out, const struct ley_cell_level *level, int n,
                        const struct ley_netlist *cell, const struct ley_cell_spec *spec,
                        double write_s) {
    double v_dd_v = spec->v_dd_v;
    print_supplies(out, cell, spec, "writing: xw are written, xn share their data line");
    ley_bench_pulse(out, "we", 0, v_dd_v, 2e-9, write_s, 50e-12);
    ley_bench_pulse(out, "web", v_dd_v, 0, 2e-9, write_s, 50e-12);
    for (int i = 0; i < n; i++) {
        char name[5][16];
        static const char *const formats[] = {"xw%d", "xn%d", "s%d", "t%d", "d%d"};
        for (int k = 0; k < 5; k++) {
            snprintf(name[k], sizeof name[k], formats[k], i);
        }
        ley_bench_pulse(out, name[4], v_dd_v / 2, level[i].w_v, 1e-9, write_s + 2e-9, 50e-12);
        print_cell(out, cell, name[0], name[2], name[4], "we", "web", far_end(spec, level[i].w_v));
        print_cell(out, cell, name[1], name[3], name[4], "0", "vdd", far_end(spec, level[i].w_v));
    }
    ley_markup_format(out, ".options gmin=1e-15 method=gear\n.tran 20p %.9g\n.end\n",
                      write_s + 5e-9);
}

static void print_hold(struct ley_markup *out, const struct ley_cell_level *level, int n,
                       const struct ley_netlist *cell, const struct ley_cell_spec *spec,
                       double hold_s) {
    print_supplies(out, cell, spec, "holding");
    for (int i = 0; i < n; i++) {
        char name[16], store[16];
        snprintf(name, sizeof name, "x%d", i);
        snprintf(store, sizeof store, "s%d", i);
        print_cell(out, cell, name, store, "rest", "0", "vdd", level[i].w_v);
    }
    // Currents of a femtoampere matter here: tolerances far below the usual ones.
    ley_markup_format(out, ".options gmin=1e-21 abstol=1e-19 chgtol=1e-20\n.tran %.9g %.9g\n.end\n",
                      hold_s / 200, hold_s);
}

static enum ley_status read_write(struct ley_cell_level *level, int n, struct ley_spice *spice) {
    for (int i = 0; i < n; i++) {
        const double *v;
        int n_samples;
        LEY_TRY(ley_bench_vector(&v, &n_samples, spice, "v(s%d)", i));
        level[i].write_error_v = v[n_samples - 1] - level[i].w_v;
        LEY_TRY(ley_bench_vector(&v, &n_samples, spice, "v(t%d)", i));
        level[i].neighbour_v = v[n_samples - 1] - v[0];
    }
    return LEY_OK;
}

static enum ley_status read_hold(struct ley_cell_level *level, int n, struct ley_spice *spice,
                                 const struct ley_cell_spec *spec, double hold_s) {
    for (int i = 0; i < n; i++) {
        const double *v;
        int n_samples;
        LEY_TRY(ley_bench_vector(&v, &n_samples, spice, "v(s%d)", i));
        level[i].kept = (v[n_samples - 1] - spec->v_ref_v) / (v[0] - spec->v_ref_v);
        level[i].tau_s =
            level[i].kept < 1 && level[i].kept > 0 ? -hold_s / log(level[i].kept) : INFINITY;
    }
    return LEY_OK;
}

static enum ley_status run(struct ley_spice *spice, struct ley_markup *text, const char *name) {
    enum ley_status status = ley_markup_check(text);
    if (status == LEY_OK) {
        status = ley_spice_run(spice, text->text, name);
    }
    ley_markup_destroy(text);
    return status;
}

enum ley_status ley_cell_hold(struct ley_cell_level *level, int n, struct ley_spice *spice,
                              const struct ley_netlist *cell, const struct ley_cell_spec *spec,
                              double write_s, double hold_s) {
    struct ley_markup text = {0};
    print_write(&text, level, n, cell, spec, write_s);
    LEY_TRY(run(spice, &text, "write"));
    LEY_TRY(read_write(level, n, spice));
    print_hold(&text, level, n, cell, spec, hold_s);
    LEY_TRY(run(spice, &text, "hold"));
    return read_hold(level, n, spice, spec, hold_s);
}
