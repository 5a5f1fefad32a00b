// retention.c - ages at which levels turn into their neighbours (M35)
//
// Leakage moves every level towards u = 0, so errors grow with age and bisection finds the limit.
#include "cost/retention.h"

#include <math.h>

// Levels of the write DAC.
static int count_levels(const struct ley_hardware *hardware) {
    return hardware->converter.kv_levels ? hardware->converter.kv_levels : 8;
}

// Read current of level k after some leakage.
static double current_a(const struct ley_hardware *hardware, const struct ley_cell *cell, int k,
                        struct ley_decay decay) {
    double w_v = k * hardware->cell.v_dd_v / (count_levels(hardware) - 1);
    return ley_cell_current(cell, ley_cell_write(cell, w_v) * decay.u_scale) * decay.i_scale;
}

// Step from level k to the neighbour in the direction of `move_a`; at an end, to the only one.
static double step_a(const struct ley_hardware *hardware, const struct ley_cell *cell, int k,
                     double move_a) {
    const struct ley_decay fresh = {1, 1};
    double here = current_a(hardware, cell, k, fresh), best = 0;
    for (int other = k - 1; other <= k + 1; other += 2) {
        if (other < 0 || other >= count_levels(hardware)) {
            continue;
        }
        double step = current_a(hardware, cell, other, fresh) - here;
        if (best == 0 || step * move_a > 0) {
            best = step;
        }
    }
    return fabs(best);
}

double ley_retention_error(const struct ley_hardware *hardware, const struct ley_cell *cell,
                           double age_s) {
    const struct ley_decay fresh = {1, 1}, old = ley_cell_decay(cell, age_s);
    double worst = 0;
    for (int k = 0; k < count_levels(hardware); k++) {
        double move_a = current_a(hardware, cell, k, old) - current_a(hardware, cell, k, fresh);
        double step = step_a(hardware, cell, k, move_a);
        // Levels that have the same current cannot be told apart even when fresh.
        double error = move_a == 0 ? 0 : step > 0 ? fabs(move_a) / (step / 2) : INFINITY;
        worst = fmax(worst, error);
    }
    return worst;
}

double ley_retention_miss(const struct ley_hardware *hardware, const struct ley_cell *cell,
                          double age_s) {
    const struct ley_decay fresh = {1, 1}, old = ley_cell_decay(cell, age_s);
    double moved = 0, whole = 0;
    for (int k = 0; k < count_levels(hardware); k++) {
        double then = current_a(hardware, cell, k, fresh);
        moved += fabs(current_a(hardware, cell, k, old) - then);
        whole += fabs(then);
    }
    return whole > 0 ? moved / whole : 0;
}

// Bisection of the logarithm, to the last bits.
double ley_retention_hold_s(const struct ley_hardware *hardware, const struct ley_cell *cell) {
    double low_s = 1e-15, high_s = 1e15;
    if (ley_retention_error(hardware, cell, high_s) < 1) {
        return INFINITY;
    }
    for (int i = 0; i < 100; i++) {
        double middle_s = sqrt(low_s * high_s);
        if (ley_retention_error(hardware, cell, middle_s) < 1) {
            low_s = middle_s;
        } else {
            high_s = middle_s;
        }
    }
    return low_s;
}

double ley_retention_sense_charge_c(const struct ley_hardware *hardware,
                                    const struct ley_cell *cell) {
    const struct ley_decay fresh = {1, 1};
    double sum_a = 0;
    for (int k = 0; k < count_levels(hardware); k++) {
        sum_a += fabs(current_a(hardware, cell, k, fresh));
    }
    return sum_a / count_levels(hardware) * hardware->time.q_pulse_s;
}
