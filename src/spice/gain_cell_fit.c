// gain_cell_fit.c - parameters of a cell's circuit from a table of currents
//
// A parameter between low and high is searched as x with value = low + (high - low) / (1 + e^-x),
// so that no step leaves its range (M50).
#include <math.h>
#include <stdbool.h>

#include "core/memory.h"
#include "spice/gain_cell.h"
#include "spice/least_squares.h"

enum { MAX_EVALUATIONS = 1500 };

// Nearer to a bound than this share of the range is at it.
static const double bound_share = 2e-3;

struct search {
    struct ley_netlist *cell;
    struct ley_spice *spice;
    const struct ley_cell_bench *bench;
    const struct ley_cell_grid *reference;
    struct ley_cell_grid grid; // axes of the reference, currents of the circuit
    double scale_a;            // residuals are shares of the reference's largest current
    const struct ley_progress *progress;
    int n_evaluations;
};

// M50
static double value_of(const struct ley_netlist_param *param, double x) {
    return param->low + (param->high - param->low) / (1 + exp(-x));
}

// The inverse; a start at a bound is moved off it, where nothing would have influence.
static double start_of(const struct ley_netlist_param *param) {
    double share = (param->value - param->low) / (param->high - param->low);
    share = fmin(fmax(share, 0.01), 0.99);
    return log(share / (1 - share));
}

static enum ley_status residuals(void *context, double *residual, const double *x) {
    struct search *search = context;
    struct ley_netlist *cell = search->cell;
    for (int i = 0; i < cell->n_params; i++) {
        cell->param[i].value = value_of(&cell->param[i], x[i]);
    }
    const struct ley_progress *progress = search->progress;
    if (progress && !progress->report(progress->context, search->n_evaluations, MAX_EVALUATIONS)) {
        return ley_fail(LEY_E_INTERRUPTED, "interrupted");
    }
    search->n_evaluations++;
    LEY_TRY(ley_cell_sweep(&search->grid, search->spice, cell, search->bench));
    for (int i = 0; i < search->grid.n_store * search->grid.n_in; i++) {
        residual[i] = (search->grid.i_a[i] - search->reference->i_a[i]) / search->scale_a;
    }
    return LEY_OK;
}

// A grid of the same axes.
static enum ley_status prepare(struct search *search) {
    const struct ley_cell_grid *from = search->reference;
    LEY_TRY(ley_cell_grid_copy(&search->grid, from));
    for (int i = 0; i < from->n_store * from->n_in; i++) {
        search->scale_a = fmax(search->scale_a, fabs(from->i_a[i]));
    }
    return search->scale_a > 0 ? LEY_OK
                               : ley_fail(LEY_E_FORMAT, "the table to fit has no current at all");
}

// Standard errors go through the slope of value_of; at a bound there is none.
static void finish(struct ley_netlist *cell, double *error, const double *x) {
    for (int i = 0; i < cell->n_params; i++) {
        struct ley_netlist_param *param = &cell->param[i];
        double share = 1 / (1 + exp(-x[i]));
        bool is_at_bound = fmin(share, 1 - share) < bound_share;
        param->value = value_of(param, x[i]);
        error[i] = is_at_bound ? 0 : error[i] * (param->high - param->low) * share * (1 - share);
    }
}

enum ley_status ley_cell_fit(struct ley_netlist *cell, double *error, int *n_evaluations,
                             struct ley_spice *spice, const struct ley_cell_bench *bench,
                             const struct ley_cell_grid *reference,
                             const struct ley_progress *progress) {
    struct search search = {
        .cell = cell, .spice = spice, .bench = bench, .reference = reference, .progress = progress};
    double x[LEY_NETLIST_MAX_PARAMS];
    if (cell->n_params == 0) {
        return ley_fail(LEY_E_ARGUMENT,
                        "%s has nothing to fit; mark parameters with '; fit LOW HIGH UNIT meaning'",
                        cell->path);
    }
    for (int i = 0; i < cell->n_params; i++) {
        x[i] = start_of(&cell->param[i]);
    }
    enum ley_status status = prepare(&search);
    if (status == LEY_OK) {
        struct ley_least_squares problem = {
            residuals,      &search, reference->n_store * reference->n_in,
            cell->n_params, 1e-6,    MAX_EVALUATIONS};
        status = ley_least_squares(x, error, n_evaluations, &problem);
    }
    if (status == LEY_OK) {
        finish(cell, error, x);
    }
    if (status == LEY_OK && progress) {
        progress->report(progress->context, MAX_EVALUATIONS, MAX_EVALUATIONS);
    }
    ley_cell_grid_destroy(&search.grid);
    return status;
}
