// wire.c - IR drop along bit lines, to first order
//
// M51: the converter sits before cell 0, and each cell pitch of wire has the resistance r. Cell j
// draws i_j while its pulse w_j lasts, which lowers the wire at cell d by r (min(d, j) + 1) i_j;
// cell d then draws less by its output conductance g_d. All pulses begin together, so both are on
// for min(w_d, w_j):
//     error = - sum over d, j of g_d r (min(d, j) + 1) i_j min(w_d, w_j)
#include "array/wire.h"

#include <math.h>

enum { BLOCK = 256 }; // cells held at a time

// A bit line of K (columns NULL) or of row d of V.
struct line {
    const struct ley_hardware *hardware;
    const struct ley_cell *cell;
    const double *width;
    const struct ley_column *column, *columns;
    int n, d;
};

// Current and output conductance of a cell as it stands: i [A], g [S].
struct drive {
    double i_a, g_s;
};

static struct drive drive_of(const struct line *line, int c) {
    const struct ley_cell_spec *spec = &line->hardware->cell;
    const struct ley_column *column = line->columns ? &line->columns[c] : line->column;
    double u_v = (line->columns ? column->v_u[line->d] : column->k_u[c]) * column->decay.u_scale;
    double square = u_v * u_v;
    double g_s = spec->g0_s + square * (spec->g2_s_per_v2 + square * spec->g4_s_per_v4);
    return (struct drive){ley_cell_current(line->cell, u_v) * column->decay.i_scale,
                          g_s * column->decay.i_scale};
}

// Currents are held for a block of cells and meet all conductances; then comes the next block.
static double error_of(const struct line *line) {
    double i_a[BLOCK], error_a = 0, r_ohm = line->hardware->array.r_line_ohm;
    for (int start = 0; start < line->n; start += BLOCK) {
        int end = start + BLOCK < line->n ? start + BLOCK : line->n;
        for (int j = start; j < end; j++) {
            i_a[j - start] = drive_of(line, j).i_a;
        }
        for (int d = 0; d < line->n; d++) {
            double drop_v = 0; // mean over the phase, while cell d is on
            for (int j = start; j < end && line->width[d] > 0; j++) {
                double both = fmin(line->width[d], line->width[j]);
                drop_v += r_ohm * ((d < j ? d : j) + 1) * i_a[j - start] * both;
            }
            error_a -= drop_v != 0 ? drive_of(line, d).g_s * drop_v : 0;
        }
    }
    return error_a;
}

double ley_wire_error_k(const struct ley_hardware *hardware, const struct ley_cell *cell,
                        const double *pulse, const struct ley_column *column, int n_rows) {
    struct line line = {
        .hardware = hardware, .cell = cell, .width = pulse, .column = column, .n = n_rows};
    return error_of(&line);
}

double ley_wire_error_v(const struct ley_hardware *hardware, const struct ley_cell *cell,
                        const double *phi, const struct ley_column *columns, int n_columns, int d) {
    struct line line = {.hardware = hardware,
                        .cell = cell,
                        .width = phi,
                        .columns = columns,
                        .n = n_columns,
                        .d = d};
    return error_of(&line);
}
