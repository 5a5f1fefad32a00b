// retention.c - ages at which levels turn into their neighbours (M35)
//
// Leakage moves every level towards u = 0, so errors grow with age and bisection finds the limit.
#include "array/retention.h"

#include <math.h>

#include "array/clock.h"

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

// Whether all levels can be told apart that many tokens after they were written.
static bool holds(const struct ley_hardware *hardware, const struct ley_cell *cell,
                  int64_t n_tokens) {
    double age_s = ley_clock_age_s(n_tokens, hardware->time.token_period_s);
    return ley_retention_error(hardware, cell, age_s) < 1;
}

// The most tokens after which levels hold, up to the window. Errors grow with age: bisection.
static int64_t longest(const struct ley_hardware *hardware, const struct ley_cell *cell) {
    int64_t low = 0, high = hardware->array.window;
    if (holds(hardware, cell, high)) {
        return high;
    }
    while (high - low > 1) {
        int64_t middle = (low + high) / 2;
        if (holds(hardware, cell, middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

enum ley_status ley_refresh_period(int64_t *n_tokens, const struct ley_hardware *hardware,
                                   const struct ley_cell *cell) {
    const struct ley_array_spec *array = &hardware->array;
    *n_tokens = 0;
    if (array->refresh == LEY_REFRESH_NONE) {
        return LEY_OK;
    }
    bool is_every = array->refresh == LEY_REFRESH_EVERY;
    int64_t most = longest(hardware, cell), wanted = is_every ? array->refresh_tokens : most;
    // A column leaves the window before.
    if (wanted >= array->window) {
        return LEY_OK;
    }
    if (wanted > most || wanted < 1) {
        return ley_fail(LEY_E_ARGUMENT,
                        "array.refresh: a level is lost %lld tokens of %g s after its writing, "
                        "before it is rewritten; %s",
                        (long long)most + 1, hardware->time.token_period_s,
                        most > 0 ? "lower array.refresh_tokens or take array.refresh=error"
                                 : "shorten time.token_period_s, or take cells that leak less");
    }
    *n_tokens = wanted;
    return LEY_OK;
}

int64_t ley_refresh_age(int64_t period, int64_t lag) {
    return period > 0 ? lag % period : lag;
}

int64_t ley_refresh_count(int64_t period, const struct ley_hardware *hardware, int64_t n_tokens) {
    int64_t most = hardware->array.window - 1;
    return period > 0 ? (n_tokens < most ? n_tokens : most) / period : 0;
}

int64_t ley_refresh_count_from(int64_t period, const struct ley_hardware *hardware, int64_t s,
                               int64_t first, int64_t n_tokens) {
    int64_t before = s < first ? ley_refresh_count(period, hardware, first - 1 - s) : 0;
    return ley_refresh_count(period, hardware, n_tokens - 1 - s) - before;
}
