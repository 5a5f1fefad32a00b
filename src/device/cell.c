// cell.c - the gain cell: write, leak, read
//
// All laws share one interface so that any of them can sit in an array: linear (M4), cubic (M5), a
// monotone curve through a measured table (M6), and shapes that no known cell has, for testing how
// far models adapt (M24). Leakage acts on the state before the law is applied, so it needs no case
// of its own per law: the i-th power of u decays as delta^i and a constant term does not decay,
// which is what the cell does (SPEC S1.7).
#include "device/cell.h"

#include <math.h>
#include <string.h>

#include "core/assert.h"
#include "core/memory.h"
#include "device/cell_table.h"
#include "device/curve.h"

// Copies the spec: a chip may change while a cell made of it is in use.
struct ley_cell {
    struct ley_cell_spec spec;
    const struct ley_cell_ops *ops;
    struct ley_curve *curve; // table law only: current [A] against stored voltage [V]
    double shape_scale_a;    // laws with a shape only: swing over what the shape swings
};

// A law: its current in both arithmetics, and the derivative; `shape` and its own derivative only
// where the current is a scaled shape.
struct ley_cell_ops {
    double (*current)(const struct ley_cell *cell, double u_v);
    float (*current_f32)(const struct ley_cell *cell, float u_v);
    double (*slope)(const struct ley_cell *cell, double u_v);
    double (*shape)(double u_v);
    double (*shape_slope)(double u_v);
};

// M4: i = slope * u
static double linear_current(const struct ley_cell *cell, double u_v) {
    return cell->spec.slope_a_per_v * u_v;
}

// The f32 forms round their constants first: what a float32 kernel would hold.
static float linear_current_f32(const struct ley_cell *cell, float u_v) {
    return (float)cell->spec.slope_a_per_v * u_v;
}

static double linear_slope(const struct ley_cell *cell, double u_v) {
    (void)u_v;
    return cell->spec.slope_a_per_v;
}

// M5: i = p0 + p1 u + p2 u^2 + p3 u^3
// Horner's scheme, from the highest power: the order of rounding is part of the result.
static double cubic_current(const struct ley_cell *cell, double u_v) {
    const double *p = cell->spec.p_a;
    return p[0] + u_v * (p[1] + u_v * (p[2] + u_v * p[3]));
}

static float cubic_current_f32(const struct ley_cell *cell, float u_v) {
    const double *p = cell->spec.p_a;
    return (float)p[0] + u_v * ((float)p[1] + u_v * ((float)p[2] + u_v * (float)p[3]));
}

static double cubic_slope(const struct ley_cell *cell, double u_v) {
    const double *p = cell->spec.p_a;
    return p[1] + u_v * (2 * p[2] + u_v * 3 * p[3]);
}

// M6: i = monotone curve through the table at the stored voltage w = v_ref + u
static double table_current(const struct ley_cell *cell, double u_v) {
    return ley_curve_value(cell->curve, cell->spec.v_ref_v + u_v);
}

// The curve itself is computed in double and rounded: only its argument is float32.
static float table_current_f32(const struct ley_cell *cell, float u_v) {
    return (float)ley_curve_value(cell->curve, (float)cell->spec.v_ref_v + u_v);
}

static double table_slope(const struct ley_cell *cell, double u_v) {
    return ley_curve_slope(cell->curve, cell->spec.v_ref_v + u_v);
}

// M24: i = swing * g(u) / (g(v_dd - v_ref) - g(-v_ref)), with a shape g that is 0 at u = 0
static double shaped_current(const struct ley_cell *cell, double u_v) {
    return cell->shape_scale_a * cell->ops->shape(u_v);
}

// The shape is computed in double and rounded, as a table's curve is.
static float shaped_current_f32(const struct ley_cell *cell, float u_v) {
    return (float)(cell->shape_scale_a * cell->ops->shape((double)u_v));
}

static double shaped_slope(const struct ley_cell *cell, double u_v) {
    return cell->shape_scale_a * cell->ops->shape_slope(u_v);
}

static double power3(double u_v) {
    return u_v * u_v * u_v;
}

static double power3_slope(double u_v) {
    return 3 * u_v * u_v;
}

static double power5(double u_v) {
    return u_v * u_v * (u_v * u_v * u_v);
}

static double power5_slope(double u_v) {
    return 5 * (u_v * u_v) * (u_v * u_v);
}

// In long double, then rounded, here and below, for the same bits on every machine (see M7 below).
static double sigmoid(double u_v) {
    return (double)(1 / (1 + expl(-10 * (long double)u_v)) - 0.5L);
}

static double sigmoid_slope(double u_v) {
    long double e = expl(-10 * (long double)u_v);
    return (double)(10 * e / ((1 + e) * (1 + e)));
}

static double exponential(double u_v) {
    return (double)expm1l(3 * (long double)u_v);
}

static double exponential_slope(double u_v) {
    return (double)(3 * expl(3 * (long double)u_v));
}

#define SHAPED(shape)                                                                              \
    { shaped_current, shaped_current_f32, shaped_slope, shape, shape##_slope }

// ORDER cell.law
static const struct ley_cell_ops laws[] = {
    [LEY_CELL_LINEAR] = {linear_current, linear_current_f32, linear_slope, NULL, NULL},
    [LEY_CELL_CUBIC] = {cubic_current, cubic_current_f32, cubic_slope, NULL, NULL},
    [LEY_CELL_TABLE] = {table_current, table_current_f32, table_slope, NULL, NULL},
    [LEY_CELL_POWER3] = SHAPED(power3),
    [LEY_CELL_POWER5] = SHAPED(power5),
    [LEY_CELL_SIGMOID] = SHAPED(sigmoid),
    [LEY_CELL_EXPONENTIAL] = SHAPED(exponential),
};

// The table is cut at the read amplitude here, once; afterwards a law is a function of u alone.
enum ley_status ley_cell_create(struct ley_cell **cell, const struct ley_cell_spec *spec,
                                const char *table_path) {
    *cell = NULL;
    struct ley_cell *made = ley_alloc(1, sizeof *made);
    if (!made) {
        return ley_fail_memory("cell", 1, sizeof *made);
    }
    made->spec = *spec;
    made->ops = &laws[spec->law];
    if (made->ops->shape) {
        double top = made->ops->shape(spec->v_dd_v - spec->v_ref_v);
        made->shape_scale_a = spec->swing_a / (top - made->ops->shape(-spec->v_ref_v));
    }
    if (spec->law == LEY_CELL_TABLE) {
        enum ley_status status = ley_cell_table_load(&made->curve, table_path, spec->v_read_v);
        if (status != LEY_OK) {
            ley_cell_destroy(made);
            return status;
        }
    }
    *cell = made;
    return LEY_OK;
}

enum ley_status ley_cell_create_curve(struct ley_cell **cell, const struct ley_cell_spec *spec,
                                      struct ley_curve *curve) {
    *cell = ley_alloc(1, sizeof **cell);
    if (!*cell) {
        ley_curve_destroy(curve);
        return ley_fail_memory("cell", 1, sizeof **cell);
    }
    (*cell)->spec = *spec;
    (*cell)->spec.law = LEY_CELL_TABLE;
    (*cell)->ops = &laws[LEY_CELL_TABLE];
    (*cell)->curve = curve;
    return LEY_OK;
}

void ley_cell_destroy(struct ley_cell *cell) {
    if (cell) {
        ley_curve_destroy(cell->curve);
        ley_free(cell);
    }
}

// M1, M2: u = w - v_ref
double ley_cell_write(const struct ley_cell *cell, double w_v) {
    return w_v - cell->spec.v_ref_v;
}

// M7: delta = exp(-age / tau). In long double, then rounded: the exp of the C library for double
// has variants per instruction set that may differ in the last bit; the extended one has not.
struct ley_decay ley_cell_decay(const struct ley_cell *cell, double age_s) {
    // A read before its write would make charge grow.
    LEY_ASSERT(age_s >= 0);
    double delta = (double)expl(-(long double)age_s / (long double)cell->spec.tau_s);
    switch (cell->spec.leakage) {
    case LEY_LEAK_RELAX:
        return (struct ley_decay){.u_scale = delta, .i_scale = 1};
    case LEY_LEAK_UNIFORM:
        return (struct ley_decay){.u_scale = 1, .i_scale = delta};
    default:
        return (struct ley_decay){.u_scale = 1, .i_scale = 1};
    }
}

// One indirect call a cell: the law is chosen once, not per read.
double ley_cell_current(const struct ley_cell *cell, double u_v) {
    return cell->ops->current(cell, u_v);
}

double ley_cell_slope(const struct ley_cell *cell, double u_v) {
    return cell->ops->slope(cell, u_v);
}

float ley_cell_current_f32(const struct ley_cell *cell, float u_v) {
    return cell->ops->current_f32(cell, u_v);
}

// A table has no coefficients.
bool ley_cell_polynomial(const struct ley_cell *cell, double p_a[4]) {
    switch (cell->spec.law) {
    case LEY_CELL_LINEAR:
        p_a[0] = p_a[2] = p_a[3] = 0;
        p_a[1] = cell->spec.slope_a_per_v;
        return true;
    case LEY_CELL_CUBIC:
        memcpy(p_a, cell->spec.p_a, sizeof cell->spec.p_a);
        return true;
    default:
        return false;
    }
}
