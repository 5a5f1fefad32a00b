// fixed.c - lookups and coefficients of a chip in integers (M21)
//
// Two bases. Powers: for a polynomial law in u on levels m h (h half a step, m odd) the powers of m
// are combined so that entries stay small: t = (m^2 - 1) / 8 and y = (m^3 - m) / 24 - k m are whole
// numbers, k is chosen for the smallest |y|. With delta the decay of u and g that of the current,
//     a_0 = g (P0 + P2 h^2 delta^2)                      a_2 = g 8 P2 h^2 delta^2
//     a_1 = g (P1 h delta + (24 k + 1) P3 h^3 delta^3)   a_3 = g 24 P3 h^3 delta^3
// Terms that vanish are left out; one that is negative has its lookup negated, because weights are
// unsigned. Levels: a_0 = the least current of all levels and ages, a_j = current of level j - a_0.
#include "array/fixed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "array/clock.h"
#include "array/retention.h"
#include "core/memory.h"

static const double most_weight = 65535; // two bytes

// The powers basis before it is fitted to the chip: 4 coefficients of powers to 3 terms.
struct basis {
    int8_t lookup[LEY_MAX_TERMS][LEY_LEVELS];
    int n_terms;
    bool has_powers;
    // powers
    double p[4], half_step_v;
    int k;
    int power[3]; // which of m, t, y a term is
    int sign[3];
    // levels
    double least_a;
};

bool ley_fixed_fits(const struct ley_hardware *hardware) {
    const struct ley_converter_spec *converter = &hardware->converter;
    return converter->q_levels >= 2 && converter->q_levels <= LEY_LEVELS &&
           converter->kv_levels >= 2 && converter->kv_levels <= LEY_LEVELS &&
           hardware->array.n_columns <= LEY_MAX_FIXED_COLUMNS && hardware->array.r_line_ohm == 0;
}

// m, t or y of one odd m.
static int power_of(int m, int power, int k) {
    switch (power) {
    case 0:
        return m;
    case 1:
        return (m * m - 1) / 8;
    default:
        return (m * m * m - m) / 24 - k * m;
    }
}

// The k with the smallest largest |y|.
static int choose_k(int top) {
    int best = 0, least = INT32_MAX;
    for (int k = 0; k <= 8; k++) {
        int most = 0;
        for (int m = 1; m <= top; m += 2) {
            int y = abs(power_of(m, 2, k));
            most = y > most ? y : most;
        }
        if (most < least) {
            least = most;
            best = k;
        }
    }
    return best;
}

// Coefficients a_1, a_2, a_3 of m, t, y, and the constant a_0 [A].
static double power_coefficients(double a[3], const struct basis *basis, struct ley_decay decay) {
    const double *p = basis->p;
    double h = basis->half_step_v * decay.u_scale, g = decay.i_scale;
    a[0] = g * (p[1] * h + (24 * basis->k + 1) * p[3] * h * h * h);
    a[1] = g * 8 * p[2] * h * h;
    a[2] = g * 24 * p[3] * h * h * h;
    return g * (p[0] + p[2] * h * h);
}

static double current(const struct ley_fixed *fixed, int level, struct ley_decay decay) {
    return decay.i_scale * ley_cell_current(fixed->cell, fixed->u_v[level] * decay.u_scale);
}

// The struct that everybody reads carries behind it what ages that are no whole lag need.
struct resolved {
    struct ley_fixed fixed;
    struct basis basis;
    double s_unit_a;         // current that is 1 in units of q's smallest pulse and S_sat
    struct ley_decay *decay; // [n_lags + 1], while it is made
};

// Decay of a token so many periods old.
static struct ley_decay decay_at(const struct ley_fixed *fixed, int64_t lag) {
    return ((const struct resolved *)fixed)->decay[lag];
}

// Signs of fresh currents, and the first lag at which one has turned.
static void find_signs(struct ley_fixed *fixed) {
    int n_levels = fixed->hardware->converter.kv_levels;
    fixed->flip_lag = fixed->n_lags;
    for (int k = 0; k < n_levels; k++) {
        fixed->sign[k] = current(fixed, k, decay_at(fixed, 0)) < 0 ? -1 : 1;
        for (int64_t lag = 0; lag < fixed->flip_lag; lag++) {
            if ((current(fixed, k, decay_at(fixed, lag)) < 0) != (fixed->sign[k] < 0)) {
                fixed->flip_lag = lag;
            }
        }
    }
}

// Keeps term `power` with the one sign that it has at all ages; false when it has both.
static bool keep_term(struct basis *basis, const struct ley_fixed *fixed, int power) {
    double least = 0, most = 0, a[3];
    for (int64_t lag = 0; lag < fixed->n_lags; lag++) {
        power_coefficients(a, basis, decay_at(fixed, lag));
        least = fmin(least, a[power]);
        most = fmax(most, a[power]);
    }
    if (least < 0 && most > 0) {
        return false;
    }
    if (least == 0 && most == 0) {
        return true; // not needed
    }
    int j = basis->n_terms++, top = fixed->hardware->converter.kv_levels - 1;
    basis->power[j] = power;
    basis->sign[j] = least < 0 ? -1 : 1;
    for (int code = 0; code <= top; code++) {
        int m = 2 * code - top;
        basis->lookup[j][code] = (int8_t)(basis->sign[j] * power_of(m, power, basis->k));
    }
    return true;
}

// Whether the current has the sign of m at all levels (or the opposite at all).
static bool has_sign_of_m(const struct ley_fixed *fixed) {
    int n_levels = fixed->hardware->converter.kv_levels;
    for (int k = 0; k < n_levels; k++) {
        bool is_upper = 2 * k >= n_levels;
        if ((fixed->sign[k] == fixed->sign[0]) == is_upper) {
            return false;
        }
    }
    return fixed->flip_lag == fixed->n_lags;
}

// Fills the powers basis; false when the law or the levels are not of that kind.
static bool make_powers(struct basis *basis, const struct ley_fixed *fixed) {
    const struct ley_hardware *hardware = fixed->hardware;
    int n_levels = hardware->converter.kv_levels;
    double middle = hardware->cell.v_dd_v / 2;
    // Rewritten columns grow old and young again, which running sums of powers cannot follow.
    if (fixed->refresh_tokens > 0 || !ley_cell_polynomial(fixed->cell, basis->p) ||
        n_levels % 2 != 0 || fabs(hardware->cell.v_ref_v - middle) > 1e-12 * middle ||
        !has_sign_of_m(fixed)) {
        return false;
    }
    basis->has_powers = true;
    basis->half_step_v = middle / (n_levels - 1);
    basis->k = choose_k(n_levels - 1);
    return keep_term(basis, fixed, 0) && keep_term(basis, fixed, 1) && keep_term(basis, fixed, 2);
}

// One term for each level.
static void make_levels(struct basis *basis, const struct ley_fixed *fixed) {
    *basis = (struct basis){.n_terms = fixed->hardware->converter.kv_levels, .least_a = INFINITY};
    for (int k = 0; k < basis->n_terms; k++) {
        basis->lookup[k][k] = 1;
        for (int64_t lag = 0; lag < fixed->n_lags; lag++) {
            basis->least_a = fmin(basis->least_a, current(fixed, k, decay_at(fixed, lag)));
        }
    }
}

// a_0 .. a_n of the basis after some decay [A].
static void coefficients(double *a, const struct basis *basis, const struct ley_fixed *fixed,
                         struct ley_decay decay) {
    if (!basis->has_powers) {
        a[0] = basis->least_a;
        for (int k = 0; k < basis->n_terms; k++) {
            // Older than the window a current may be less than the least: it is not read there.
            a[1 + k] = fmax(0, current(fixed, k, decay) - basis->least_a);
        }
        return;
    }
    double of_power[3];
    a[0] = power_coefficients(of_power, basis, decay);
    for (int j = 0; j < basis->n_terms; j++) {
        a[1 + j] = basis->sign[j] * of_power[basis->power[j]];
    }
}

// float32 once, here: what a kernel multiplies by.
void ley_fixed_column(const struct ley_fixed *fixed, float *out, float *magnitude, int64_t stride,
                      double age_s) {
    const struct resolved *resolved = (const struct resolved *)fixed;
    struct ley_decay decay = ley_cell_decay(fixed->cell, age_s);
    double a[1 + LEY_MAX_TERMS];
    coefficients(a, &resolved->basis, fixed, decay);
    for (int j = 0; j <= fixed->n_terms; j++) {
        out[j * stride] = (float)(a[j] / resolved->s_unit_a);
    }
    if (magnitude) {
        magnitude[0] = 0;
        for (int k = 0; k < fixed->n_terms; k++) {
            double size = fabs(current(fixed, k, decay));
            magnitude[(1 + k) * stride] = (float)(size / resolved->s_unit_a);
        }
    }
}

// Margins: a tile of columns on both sides, and a block of queries beyond the window.
enum { MARGIN = LEY_MAX_FIXED_COLUMNS + LEY_BLOCK_ROWS };

const float *ley_fixed_row(const struct ley_fixed *fixed, const float *table, int64_t age) {
    return table + MARGIN + fixed->n_lags - 1 - age;
}

static enum ley_status fill_tables(struct ley_fixed *fixed) {
    fixed->table_term = fixed->n_lags + 2 * MARGIN;
    size_t n = (size_t)(fixed->table_term * (1 + fixed->n_terms));
    fixed->coefficient = ley_alloc(n, sizeof(float));
    fixed->magnitude = fixed->has_powers ? NULL : ley_alloc(n, sizeof(float));
    fixed->slope = ley_alloc((size_t)fixed->table_term, sizeof(float));
    if (!fixed->coefficient || !fixed->slope || (!fixed->has_powers && !fixed->magnitude)) {
        return ley_fail_memory("coefficients of ages", n, sizeof(float));
    }
    for (int64_t lag = 0; lag < fixed->n_lags; lag++) {
        int64_t at = MARGIN + fixed->n_lags - 1 - lag;
        ley_fixed_column(fixed, fixed->coefficient + at,
                         fixed->magnitude ? fixed->magnitude + at : NULL, fixed->table_term,
                         ley_clock_age_s(ley_refresh_age(fixed->refresh_tokens, lag),
                                         fixed->hardware->time.token_period_s));
        struct ley_decay decay = decay_at(fixed, lag);
        double left = decay.u_scale * decay.i_scale;
        fixed->slope[at] = (float)(fixed->hardware->cell.slope_a_per_v * left);
    }
    return LEY_OK;
}

// Sums of powers of m (kernel.h): |i| = sign * sum of P_i h^i m^i decayed.
static void set_powers(struct ley_fixed *fixed, const struct basis *basis) {
    double unit = fixed->sign[fixed->hardware->converter.kv_levels - 1];
    for (int i = 0; i < 4; i++) {
        fixed->factor[i] = basis->p[i] * unit;
        unit *= basis->half_step_v;
    }
}

// Products, not pow: its last bit depends on the machine.
void ley_fixed_powers(double power[4], const struct ley_fixed *fixed, double age_s) {
    struct ley_decay decay = ley_cell_decay(fixed->cell, age_s);
    double left = decay.i_scale;
    for (int i = 0; i < 4; i++) {
        power[i] = left;
        left *= decay.u_scale;
    }
}

// Largest coefficient of any term and age: what the largest weight stands for [A].
static double largest_coefficient(const struct ley_fixed *fixed, const struct basis *basis) {
    double most = 0, a[1 + LEY_MAX_TERMS];
    for (int64_t lag = 0; lag < fixed->n_lags; lag++) {
        coefficients(a, basis, fixed, decay_at(fixed, lag));
        for (int j = 1; j <= basis->n_terms; j++) {
            most = fmax(most, a[j]);
        }
    }
    return most;
}

// Sums that could leave 32 bits (kernel.h): outputs of a tile, and tallies of a row of scores.
static enum ley_status check_bounds(const struct ley_fixed *fixed, const struct basis *basis) {
    double a[1 + LEY_MAX_TERMS], most_a = 0, most_constant = 0;
    double n = fixed->hardware->array.n_columns;
    for (int64_t lag = 0; lag<fixed->n_lags; lag += fixed->n_lags> 1 ? fixed->n_lags - 1 : 1) {
        coefficients(a, basis, fixed, decay_at(fixed, lag));
        double sum = fabs(a[0]);
        most_constant = fmax(most_constant, sum);
        for (int j = 0; j < basis->n_terms; j++) {
            int most = 0;
            for (int k = 0; k < LEY_LEVELS; k++) {
                most = abs(basis->lookup[j][k]) > most ? abs(basis->lookup[j][k]) : most;
            }
            sum += a[1 + j] * most;
        }
        most_a = fmax(most_a, sum);
    }
    double total = n * most_a / fixed->weight_a;
    double tally = n * 0x1p14 * fixed->head_dim * most_a / fixed->hardware->converter.score_i_sat_a;
    if (!(total < 0x1p30) || !(tally < 0x1p30) || !(most_constant < 0x1p21 * fixed->weight_a)) {
        return ley_fail(LEY_E_ARGUMENT,
                        "array.arithmetic fixed: %d columns of %d cells make sums beyond 32 bits; "
                        "use fewer array.columns, or float",
                        fixed->hardware->array.n_columns, fixed->head_dim);
    }
    return LEY_OK;
}

// Scales of the kernels from the chip's currents (M11, M13).
static void set_scales(struct resolved *made) {
    struct ley_fixed *fixed = &made->fixed;
    const struct ley_converter_spec *converter = &fixed->hardware->converter;
    made->s_unit_a = converter->score_i_sat_a * (converter->q_levels - 1);
    fixed->weight_a = largest_coefficient(fixed, &made->basis) / most_weight;
    fixed->weight_scale = (float)(made->s_unit_a / fixed->weight_a);
    fixed->total_scale = (float)(fixed->weight_a / converter->output_i_sat_a);
    fixed->half = converter->output_levels ? (float)(converter->output_levels - 1) / 2 : 0;
    fixed->full_code = ley_output_code_max(converter);
}

// Levels as the write DAC makes them, and the decay of every lag.
static enum ley_status fill_levels(struct resolved *made) {
    struct ley_fixed *fixed = &made->fixed;
    const struct ley_hardware *hardware = fixed->hardware;
    double step_v = hardware->cell.v_dd_v / (hardware->converter.kv_levels - 1);
    fixed->n_lags = hardware->array.window;
    for (int k = 0; k < hardware->converter.kv_levels; k++) {
        fixed->u_v[k] = ley_cell_write(fixed->cell, step_v * k);
    }
    made->decay = ley_alloc((size_t)fixed->n_lags + 1, sizeof *made->decay);
    if (!made->decay) {
        return ley_fail_memory("decay", (size_t)fixed->n_lags + 1, sizeof *made->decay);
    }
    for (int64_t lag = 0; lag <= fixed->n_lags; lag++) {
        double age_s = ley_clock_age_s(ley_refresh_age(fixed->refresh_tokens, lag),
                                       hardware->time.token_period_s);
        made->decay[lag] = ley_cell_decay(fixed->cell, age_s);
    }
    struct ley_decay old = ley_cell_decay(
        fixed->cell, ley_clock_age_s(fixed->refresh_tokens, hardware->time.token_period_s));
    for (int k = 0; k < hardware->converter.kv_levels; k++) {
        fixed->sense_a[k] = fabs(current(fixed, k, old));
    }
    return LEY_OK;
}

// Steps depend on one another: levels, signs, basis, scales, tables.
static enum ley_status resolve(struct resolved *made) {
    struct ley_fixed *fixed = &made->fixed;
    LEY_TRY(ley_refresh_period(&fixed->refresh_tokens, fixed->hardware, fixed->cell));
    LEY_TRY(fill_levels(made));
    find_signs(fixed);
    if (!make_powers(&made->basis, fixed)) {
        make_levels(&made->basis, fixed);
    }
    fixed->n_terms = made->basis.n_terms;
    fixed->has_powers = made->basis.has_powers;
    memcpy(fixed->lookup, made->basis.lookup, sizeof fixed->lookup);
    for (int j = 0; j < fixed->n_terms; j++) {
        for (int k = 0; k < LEY_LEVELS; k++) {
            int size = abs(fixed->lookup[j][k]);
            fixed->most_lookup = size > fixed->most_lookup ? size : fixed->most_lookup;
        }
    }
    set_scales(made);
    LEY_TRY(check_bounds(fixed, &made->basis));
    if (fixed->has_powers) {
        set_powers(fixed, &made->basis);
    }
    return fill_tables(fixed);
}

enum ley_status ley_fixed_create(struct ley_fixed **fixed, const struct ley_hardware *hardware,
                                 const struct ley_cell *cell, int head_dim) {
    *fixed = NULL;
    if (!ley_fixed_fits(hardware)) {
        return ley_fail(
            LEY_E_ARGUMENT,
            "array.arithmetic fixed needs 2 to %d dac.q_levels and dac.kv_levels, at most "
            "%d array.columns and no array.r_line_ohm; use auto, float or double",
            LEY_LEVELS, LEY_MAX_FIXED_COLUMNS);
    }
    struct resolved *made = ley_alloc(1, sizeof *made);
    if (!made) {
        return ley_fail_memory("fixed-point chip", 1, sizeof *made);
    }
    made->fixed.hardware = hardware;
    made->fixed.cell = cell;
    made->fixed.head_dim = head_dim;
    enum ley_status status = resolve(made);
    ley_free(made->decay);
    made->decay = NULL;
    if (status != LEY_OK) {
        ley_fixed_destroy(&made->fixed);
        return status;
    }
    *fixed = &made->fixed;
    return LEY_OK;
}

// The struct in front is the address that was allocated.
void ley_fixed_destroy(struct ley_fixed *fixed) {
    if (fixed) {
        ley_free(fixed->coefficient);
        ley_free(fixed->magnitude);
        ley_free(fixed->slope);
        ley_free(fixed);
    }
}
