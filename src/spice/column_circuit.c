// column_circuit.c - a column of cells under real pulses
//
// Stored voltages are on the cells' capacitors and free to move; read lines are ideal sources.
#include "spice/column_circuit.h"

#include <math.h>
#include <stdio.h>

// Time after the pulses for the wire to settle.
static const double settle_s = 1e-9;

// The bit line as a ladder: node b<i> is where cell i sits, vb holds the end before cell 0.
static void print_line(struct ley_markup *out, const struct ley_column_circuit *column) {
    ley_markup_format(out, "\n* bit line\nvb end 0 %.9g\n", column->hardware->cell.v_dd_v / 2);
    for (int i = 0; i < column->n_cells && column->r_ohm > 0; i++) {
        char before[16] = "end";
        if (i > 0) {
            snprintf(before, sizeof before, "b%d", i - 1);
        }
        ley_markup_format(out, "r%d %s b%d %.9g\nc%d b%d 0 %.9g\n", i, before, i, column->r_ohm, i,
                          i, column->c_f);
    }
}

static void print_cell(struct ley_markup *out, const struct ley_column_circuit *column, int i,
                       double w_v, double pulse, const struct ley_bench_times *t) {
    double v_dd_v = column->hardware->cell.v_dd_v, rest_v = v_dd_v / 2;
    char line[16], complement[16], store[16], bit[16] = "end", name[16];
    snprintf(line, sizeof line, "l%d", i);
    snprintf(complement, sizeof complement, "m%d", i);
    snprintf(store, sizeof store, "s%d", i);
    snprintf(name, sizeof name, "x%d", i);
    if (column->r_ohm > 0) {
        snprintf(bit, sizeof bit, "b%d", i);
    }
    double width_s = pulse * column->hardware->time.q_pulse_s;
    ley_bench_pulse(out, line, rest_v, v_dd_v, t->read_s, width_s, t->edge_s);
    ley_bench_pulse(out, complement, rest_v, 0, t->read_s, width_s, t->edge_s);
    const char *const node[] = {bit, line, complement, "rest", "0", "vdd", store, "vdd", "0"};
    ley_netlist_instance(out, column->cell, name, ley_cell_ports(), node);
    ley_markup_format(out, ".ic v(%s)=%.9g\n.save v(%s)\n", store, w_v, store);
}

enum ley_status ley_column_print(struct ley_markup *out, const struct ley_column_circuit *column,
                                 const double *w_v, const double *pulse) {
    double v_dd_v = column->hardware->cell.v_dd_v;
    struct ley_bench_times t = ley_bench_times(column->hardware->time.q_pulse_s);
    ley_markup_format(out, "* %d gain cells on a bit line\n", column->n_cells);
    ley_netlist_print(out, column->cell);
    ley_markup_format(out, "\nvdd vdd 0 %.9g\nvrest rest 0 %.9g\n", v_dd_v, v_dd_v / 2);
    print_line(out, column);
    for (int i = 0; i < column->n_cells; i++) {
        print_cell(out, column, i, w_v[i], pulse[i], &t);
    }
    ley_markup_format(out,
                      "\n.options gmin=1e-15 abstol=1e-11\n"
                      ".save i(vb)\n.tran 50p %.9g\n.end\n",
                      t.read_end + settle_s);
    return ley_markup_check(out);
}

// Of all stored voltages, first sample to last.
static enum ley_status find_disturbance(struct ley_column_read *read, struct ley_spice *spice,
                                        int n_cells) {
    read->disturb_v = 0;
    for (int i = 0; i < n_cells; i++) {
        char name[16];
        const double *v;
        int n;
        snprintf(name, sizeof name, "v(s%d)", i);
        LEY_TRY(ley_spice_vector(&v, &n, spice, name));
        double change_v = v[n - 1] - v[0];
        read->disturb_v = fabs(change_v) > fabs(read->disturb_v) ? change_v : read->disturb_v;
    }
    return LEY_OK;
}

enum ley_status ley_column_simulate(struct ley_column_read *read, struct ley_spice *spice,
                                    const struct ley_column_circuit *column, const double *w_v,
                                    const double *pulse) {
    const double *time, *current;
    int n;
    struct ley_markup text = {0};
    enum ley_status status = ley_column_print(&text, column, w_v, pulse);
    if (status == LEY_OK) {
        status = ley_spice_run(spice, text.text, "column");
    }
    ley_markup_destroy(&text);
    LEY_TRY(status);
    LEY_TRY(ley_spice_vector(&time, &n, spice, "time"));
    LEY_TRY(ley_spice_vector(&current, &n, spice, "i(vb)"));
    read->net_a = -ley_wave_integral(time, current, n) / column->hardware->time.q_pulse_s;
    return find_disturbance(read, spice, column->n_cells);
}
