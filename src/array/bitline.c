// bitline.c - currents of cells add up on a wire
//
// A head wider than one sub-array has several of them along the same bit line of K: their currents
// add before the converter, so the sum simply runs on over all rows (M10).
#include "array/bitline.h"

#include <math.h>

// In double, the definition: one product of pulse and current per cell, added in ascending order.
static struct ley_bitline read_k_double(const struct ley_cell *cell, const double *pulse,
                                        const struct ley_column *column, int n_rows) {
    struct ley_bitline line = {0, 0};
    for (int d = 0; d < n_rows; d++) {
        double u_v = column->k_u[d] * column->decay.u_scale;
        // The scale belongs to the current (uniform leakage, M7).
        double i_a = pulse[d] * (ley_cell_current(cell, u_v) * column->decay.i_scale);
        line.net_a += i_a;
        line.magnitude_a += fabs(i_a);
    }
    return line;
}

// M12, likewise over the columns of one tile; v_u is strided by column, d is the row.
static struct ley_bitline read_v_double(const struct ley_cell *cell, const double *phi,
                                        const struct ley_column *columns, int n_columns, int d) {
    struct ley_bitline line = {0, 0};
    for (int c = 0; c < n_columns; c++) {
        double u_v = columns[c].v_u[d] * columns[c].decay.u_scale;
        double i_a = phi[c] * (ley_cell_current(cell, u_v) * columns[c].decay.i_scale);
        line.net_a += i_a;
        line.magnitude_a += fabs(i_a);
    }
    return line;
}

// In float32 throughout: operands are rounded before the first product.
static struct ley_bitline read_k_float(const struct ley_cell *cell, const double *pulse,
                                       const struct ley_column *column, int n_rows) {
    float u_scale = (float)column->decay.u_scale, i_scale = (float)column->decay.i_scale;
    float net_a = 0, magnitude_a = 0;
    for (int d = 0; d < n_rows; d++) {
        float u_v = (float)column->k_u[d] * u_scale;
        float i_a = (float)pulse[d] * (ley_cell_current_f32(cell, u_v) * i_scale);
        net_a += i_a;
        magnitude_a += fabsf(i_a);
    }
    return (struct ley_bitline){net_a, magnitude_a};
}

// M12 in float32: the scale of each column is rounded too, since a kernel would load it so.
static struct ley_bitline read_v_float(const struct ley_cell *cell, const double *phi,
                                       const struct ley_column *columns, int n_columns, int d) {
    float net_a = 0, magnitude_a = 0;
    for (int c = 0; c < n_columns; c++) {
        float u_v = (float)columns[c].v_u[d] * (float)columns[c].decay.u_scale;
        float i_scale = (float)columns[c].decay.i_scale;
        float i_a = (float)phi[c] * (ley_cell_current_f32(cell, u_v) * i_scale);
        net_a += i_a;
        magnitude_a += fabsf(i_a);
    }
    return (struct ley_bitline){net_a, magnitude_a};
}

// ORDER array.arithmetic
const struct ley_bitline_ops *ley_bitline_ops(int arithmetic) {
    static const struct ley_bitline_ops ops[] = {
        [LEY_ARITHMETIC_AUTO] = {read_k_double, read_v_double},
        [LEY_ARITHMETIC_DOUBLE] = {read_k_double, read_v_double},
        [LEY_ARITHMETIC_FLOAT] = {read_k_float, read_v_float},
    };
    return &ops[arithmetic];
}
