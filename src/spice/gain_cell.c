// gain_cell.c - the read currents of a cell's circuit, as a table
//
// One bench holds a copy of the cell for each stored voltage, so that one sweep of the read lines
// gives the whole table: 51 operating points of 50 cells take a tenth of a second.
#include "spice/gain_cell.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const *ley_cell_ports(void) {
    static const char *const ports[] = {"bl",  "wlr",   "wlrb", "wlw", "we",
                                        "web", "store", "vdd",  "vss", NULL};
    return ports;
}

enum ley_status ley_cell_netlist_load(struct ley_netlist *cell, const char *path) {
    return ley_netlist_load(cell, path, "gain_cell", ley_cell_ports());
}

// Currents outside of these are no cell's: a parameter in the wrong unit.
static const double least_full_scale_a = 1e-12, most_full_scale_a = 1e-2;

// Sweeps are regular within what a table's digits show.
static enum ley_status step_of(double *step_v, const struct ley_cell_grid *grid) {
    int n = grid->n_in;
    const double *v = grid->v_in_v;
    *step_v = n > 1 ? (v[n - 1] - v[0]) / (n - 1) : 1;
    for (int m = 0; m < n; m++) {
        if (fabs(v[m] - v[0] - m * *step_v) > 1e-3 * *step_v) {
            return ley_fail(LEY_E_ARGUMENT,
                            "read amplitudes must be evenly spaced; after %g V comes %g V",
                            v[m ? m - 1 : 0], v[m]);
        }
    }
    return LEY_OK;
}

// Rails, one copy of the cell for each stored voltage, the sweep.
enum ley_status ley_cell_bench_print(struct ley_markup *out, const struct ley_netlist *cell,
                                     const struct ley_cell_bench *bench,
                                     const struct ley_cell_grid *grid) {
    double step_v, rest_v = bench->v_dd_v / 2;
    LEY_TRY(step_of(&step_v, grid));
    ley_markup_format(out, "* read current of gain_cell: a copy for each stored voltage\n");
    ley_netlist_print(out, cell);
    ley_markup_format(out,
                      "\n* rails: wlr is swept, wlrb mirrors it\nvdd vdd 0 %.9g\n"
                      "vwlr wlr 0 %.9g\newlrb wlrb 0 value={2*%.9g-v(wlr)}\n"
                      "* write path at rest\nvwlw wlw 0 %.9g\n",
                      bench->v_dd_v, rest_v, rest_v, rest_v);
    for (int i = 0; i < grid->n_store; i++) {
        char name[3][16];
        snprintf(name[0], sizeof name[0], "b%d", i);
        snprintf(name[1], sizeof name[1], "s%d", i);
        snprintf(name[2], sizeof name[2], "x%d", i);
        const char *const node[] = {name[0], "wlr", "wlrb", "wlw", "0", "vdd", name[1], "vdd", "0"};
        ley_markup_format(out, "vs%d s%d 0 %.9g\nvb%d b%d 0 %.9g\n", i, i, grid->v_store_v[i], i, i,
                          bench->v_bl_v);
        ley_netlist_instance(out, cell, name[2], ley_cell_ports(), node);
    }
    ley_markup_format(out, "\n.options gmin=1e-15 reltol=1e-5 abstol=1e-15\n.save");
    for (int i = 0; i < grid->n_store; i++) {
        ley_markup_format(out, "%s i(vb%d)", i % 8 == 0 && i ? "\n+" : "", i);
    }
    int last = grid->n_in - 1;
    ley_markup_format(out, "\n.dc vwlr %.9g %.9g %.9g\n.end\n", grid->v_in_v[0],
                      grid->v_in_v[0] + (last + 0.01) * step_v, step_v);
    return ley_markup_check(out);
}

// Current into the source that holds the bit line is what the cell feeds; we count what it draws.
static enum ley_status fetch(struct ley_cell_grid *grid, struct ley_spice *spice) {
    for (int i = 0; i < grid->n_store; i++) {
        char name[16];
        const double *value;
        int n;
        snprintf(name, sizeof name, "i(vb%d)", i);
        LEY_TRY(ley_spice_vector(&value, &n, spice, name));
        if (n != grid->n_in) {
            return ley_fail(LEY_E_RESULT, "ngspice ended the sweep after %d of %d amplitudes", n,
                            grid->n_in);
        }
        for (int m = 0; m < n; m++) {
            grid->i_a[i * n + m] = -value[m];
        }
    }
    return LEY_OK;
}

// Finite, and of a size that a cell can have.
static enum ley_status check_scale(const struct ley_cell_grid *grid, const char *path) {
    double most = 0;
    for (int i = 0; i < grid->n_store * grid->n_in; i++) {
        if (!isfinite(grid->i_a[i])) {
            return ley_fail(LEY_E_RESULT, "%s: a current of the cell is no number", path);
        }
        most = fmax(most, fabs(grid->i_a[i]));
    }
    if (most < least_full_scale_a || most > most_full_scale_a) {
        return ley_fail(LEY_E_RESULT,
                        "%s: the cell's largest current is %.3g A, which no gain cell has (%g .. "
                        "%g A); look for a parameter in the wrong unit",
                        path, most, least_full_scale_a, most_full_scale_a);
    }
    return LEY_OK;
}

enum ley_status ley_cell_sweep(struct ley_cell_grid *grid, struct ley_spice *spice,
                               const struct ley_netlist *cell, const struct ley_cell_bench *bench) {
    struct ley_markup text = {0};
    enum ley_status status = ley_cell_bench_print(&text, cell, bench, grid);
    if (status == LEY_OK) {
        status = ley_spice_run(spice, text.text, cell->path);
    }
    if (status == LEY_OK) {
        status = fetch(grid, spice);
    }
    if (status == LEY_OK) {
        status = check_scale(grid, cell->path);
    }
    ley_markup_destroy(&text);
    return status;
}

struct ley_cell_deviation ley_cell_compare(const struct ley_cell_grid *grid,
                                           const struct ley_cell_grid *reference) {
    struct ley_cell_deviation deviation = {0};
    int n_in = grid->n_in, n = grid->n_store * n_in;
    double mean = 0, variance = 0, missed = 0, missed_read = 0;
    for (int i = 0; i < n; i++) {
        mean += reference->i_a[i] / n;
    }
    for (int i = 0; i < n; i++) {
        double miss = grid->i_a[i] - reference->i_a[i];
        variance += (reference->i_a[i] - mean) * (reference->i_a[i] - mean);
        missed += miss * miss;
        missed_read += i % n_in == n_in - 1 ? miss * miss : 0;
        if (fabs(miss) > fabs(deviation.largest_a)) {
            deviation.largest_a = miss;
            deviation.v_store_v = grid->v_store_v[i / n_in];
            deviation.v_in_v = grid->v_in_v[i % n_in];
        }
    }
    deviation.rms_a = sqrt(missed / n);
    deviation.rms_read_a = sqrt(missed_read / grid->n_store);
    deviation.r2 = variance > 0 ? 1 - missed / variance : 0;
    return deviation;
}
