// gain_cell_law.c - laws of the behavioural model from a cell's circuit
#include <math.h>

#include "core/memory.h"
#include "spice/gain_cell.h"
#include "spice/least_squares.h"

enum { N_STORE = 64 }; // stored voltages of a law, both ends included

static const double step_v = 0.02; // of the bit line, for the output conductance

// Currents at one read amplitude, at N_STORE voltages over 0..v_dd.
static enum ley_status sweep(struct ley_cell_grid *grid, struct ley_spice *spice,
                             const struct ley_netlist *cell, const struct ley_cell_bench *bench,
                             const struct ley_cell_spec *spec) {
    LEY_TRY(ley_cell_grid_create(grid, N_STORE, 1));
    grid->v_in_v[0] = spec->v_read_v;
    for (int i = 0; i < N_STORE; i++) {
        grid->v_store_v[i] = spec->v_dd_v * i / (N_STORE - 1);
    }
    return ley_cell_sweep(grid, spice, cell, bench);
}

enum ley_status ley_cell_law(struct ley_cell **law, struct ley_spice *spice,
                             const struct ley_netlist *cell, const struct ley_cell_bench *bench,
                             const struct ley_cell_spec *spec) {
    struct ley_cell_grid grid = {0};
    struct ley_curve *curve = NULL;
    *law = NULL;
    enum ley_status status = sweep(&grid, spice, cell, bench, spec);
    if (status == LEY_OK) {
        status = ley_cell_grid_cut(&curve, &grid, spec->v_read_v);
    }
    ley_cell_grid_destroy(&grid);
    return status == LEY_OK ? ley_cell_create_curve(law, spec, curve) : status;
}

// y[i] against coefficients of powers of u: first, first + stride ...
struct polynomial {
    const double *u_v, *y;
    int n, n_powers, stride;
};

static enum ley_status residuals(void *context, double *residual, const double *p) {
    const struct polynomial *polynomial = context;
    for (int i = 0; i < polynomial->n; i++) {
        double x =
            polynomial->stride == 2 ? polynomial->u_v[i] * polynomial->u_v[i] : polynomial->u_v[i];
        double value = 0;
        for (int k = polynomial->n_powers - 1; k >= 0; k--) {
            value = value * x + p[k];
        }
        residual[i] = value - polynomial->y[i];
    }
    return LEY_OK;
}

// y in micro-units, p in units. Linear in p: the search ends after one step.
static enum ley_status fit(double *p, const struct polynomial *polynomial) {
    struct ley_least_squares problem = {
        residuals, (void *)(uintptr_t)polynomial, polynomial->n, polynomial->n_powers, 1e-12, 200};
    double error[4];
    for (int k = 0; k < polynomial->n_powers; k++) {
        p[k] = 1;
    }
    LEY_TRY(ley_least_squares(p, error, NULL, &problem));
    for (int k = 0; k < polynomial->n_powers; k++) {
        p[k] *= 1e-6;
    }
    return LEY_OK;
}

enum ley_status ley_cell_cubic(double p_a[4], const struct ley_cell_grid *grid, double v_ref_v) {
    int n = grid->n_store;
    if (n < 5) {
        return ley_fail(LEY_E_ARGUMENT, "a cubic needs 5 stored voltages, the table has %d", n);
    }
    double *u_v = ley_alloc(2 * (size_t)n, sizeof *u_v);
    if (!u_v) {
        return ley_fail_memory("cubic", 2 * (size_t)n, sizeof *u_v);
    }
    double *i_ua = u_v + n;
    for (int i = 0; i < n; i++) {
        u_v[i] = grid->v_store_v[i] - v_ref_v;
        i_ua[i] = 1e6 * grid->i_a[i * grid->n_in + grid->n_in - 1];
    }
    struct polynomial polynomial = {u_v, i_ua, n, 4, 1};
    enum ley_status status = fit(p_a, &polynomial);
    ley_free(u_v);
    return status;
}

enum ley_status ley_cell_conductance(double g[3], struct ley_spice *spice,
                                     const struct ley_netlist *cell,
                                     const struct ley_cell_bench *bench,
                                     const struct ley_cell_spec *spec) {
    struct ley_cell_grid low = {0}, high = {0};
    struct ley_cell_bench below = *bench, above = *bench;
    below.v_bl_v -= step_v;
    above.v_bl_v += step_v;
    enum ley_status status = sweep(&low, spice, cell, &below, spec);
    if (status == LEY_OK) {
        status = sweep(&high, spice, cell, &above, spec);
    }
    if (status == LEY_OK) {
        double u_v[N_STORE], g_us[N_STORE];
        for (int i = 0; i < N_STORE; i++) {
            u_v[i] = low.v_store_v[i] - spec->v_ref_v;
            g_us[i] = 1e6 * (high.i_a[i] - low.i_a[i]) / (2 * step_v);
        }
        struct polynomial polynomial = {u_v, g_us, N_STORE, 3, 2};
        status = fit(g, &polynomial);
    }
    ley_cell_grid_destroy(&high);
    ley_cell_grid_destroy(&low);
    return status;
}
