// tile.c - one query through one tile
//
// Two passes: columns of K make pulses (score), pulses drive rows of V into counters (weigh).
// O(columns * head_dim) cells each.
#include "array/tile.h"

#include <stddef.h>

#include "array/wire.h"
#include "core/assert.h"
#include "event/ledger.h"

// s and phi are indexed by token and serve all tiles; a and code have a part for each tile.
struct ley_tile_trace ley_trace_tile(const struct ley_read_trace *read, int n) {
    return (struct ley_tile_trace){
        .s = read->s,
        .phi = read->phi,
        .a = read->a ? read->a + n * read->tile_stride : NULL,
        .code = read->code ? read->code + n * read->tile_stride : NULL,
    };
}

// M10, M11: for each column, charge on its bit line, then the pulse it makes of that charge
static void score(double *phi, const struct ley_tile_spec *spec, const double *pulse,
                  const struct ley_column *columns, int n_columns,
                  const struct ley_tile_trace *trace, struct ley_ledger *ledger) {
    const struct ley_hardware *hardware = spec->hardware;
    const struct ley_bitline_ops *ops = ley_bitline_ops(hardware->array.arithmetic);
    double phase_s = hardware->time.q_pulse_s;
    // Columns in ascending order, as they lie: the order is part of the result.
    for (int c = 0; c < n_columns; c++) {
        struct ley_bitline line = ops->read_k(spec->cell, pulse, &columns[c], spec->head_dim);
        if (hardware->array.r_line_ohm > 0) {
            line.net_a +=
                ley_wire_error_k(hardware, spec->cell, pulse, &columns[c], spec->head_dim);
        }
        // M11
        phi[c] = ley_charge_to_pulse(&hardware->converter, line.net_a, ledger);
        if (ledger) {
            // Charge = mean current times phase; the phi pulse is what drives the V array next.
            ledger->k_charge_c += line.magnitude_a * phase_s;
            ledger->k_net_charge_c += line.net_a * phase_s;
            ledger->phi_line_time_s += phi[c] * hardware->time.phi_pulse_s;
        }
        if (trace->s) {
            trace->s[columns[c].token] = line.net_a / hardware->converter.score_i_sat_a;
        }
        if (trace->phi) {
            trace->phi[columns[c].token] = phi[c];
        }
    }
}

// M12 to M15: for each row of V, charge on its bit line, then sign and count, added to the sum
static void weigh(double *sum, const struct ley_tile_spec *spec, const double *phi,
                  const struct ley_column *columns, int n_columns,
                  const struct ley_tile_trace *trace, struct ley_ledger *ledger) {
    const struct ley_hardware *hardware = spec->hardware;
    const struct ley_bitline_ops *ops = ley_bitline_ops(hardware->array.arithmetic);
    double phase_s = hardware->time.phi_pulse_s;
    // Rows of V are independent bit lines: each converts its own partial sum.
    for (int d = 0; d < spec->head_dim; d++) {
        struct ley_bitline line = ops->read_v(spec->cell, phi, columns, n_columns, d);
        if (hardware->array.r_line_ohm > 0) {
            line.net_a += ley_wire_error_v(hardware, spec->cell, phi, columns, n_columns, d);
        }
        // M13, M14
        struct ley_reading reading = ley_charge_to_count(&hardware->converter, line.net_a,
                                                         hardware->time.output_pulse_s, ledger);
        sum[d] += reading.value;
        if (ledger) {
            ledger->v_charge_c += line.magnitude_a * phase_s;
            ledger->v_net_charge_c += line.net_a * phase_s;
        }
        if (trace->a) {
            trace->a[d] = line.net_a / hardware->converter.output_i_sat_a;
        }
        if (trace->code) {
            trace->code[d] = reading.code;
        }
    }
}

// q lines run through every sub-array that holds a live column, whatever its place (see "What is
// counted" in MODEL.md); a wide head stacks several.
static void count_lines(struct ley_ledger *ledger, const struct ley_tile_spec *spec,
                        const double *pulse, int n_columns) {
    const struct ley_hardware *hardware = spec->hardware;
    int n_rows = hardware->array.n_rows;
    uint64_t n_cells = (uint64_t)n_columns * (uint64_t)spec->head_dim;
    ledger->tiles_read += (uint64_t)((spec->head_dim + n_rows - 1) / n_rows);
    ledger->k_cell_reads += n_cells;
    ledger->v_cell_reads += n_cells;
    ledger->digital_additions += (uint64_t)spec->head_dim;
    for (int d = 0; d < spec->head_dim; d++) {
        ledger->q_line_time_s += pulse[d] * hardware->time.q_pulse_s;
    }
}

// score before weigh: phi is the only thing that passes between them.
void ley_tile_read(double *sum, const struct ley_tile_spec *spec, const double *pulse,
                   const struct ley_column *columns, int n_columns, double *phi,
                   const struct ley_tile_trace *trace, struct ley_ledger *ledger) {
    LEY_ASSERT(n_columns >= 1);
    if (ledger) {
        count_lines(ledger, spec, pulse, n_columns);
    }
    score(phi, spec, pulse, columns, n_columns, trace, ledger);
    weigh(sum, spec, phi, columns, n_columns, trace, ledger);
}
