// fixed_tile.c - scores, weights and outputs of a block of queries
//
// Three products of bytes a tile: codes of q with values of K (one for each term), and the two
// bytes of each weight with values of V. Everything a block needs stays in the first-level cache.
#include "array/fixed_tile.h"

#include <string.h>

#include "circuit/quantiser.h"
#include "core/memory.h"
#include "core/variants.h"
#include "event/ledger.h"

size_t ley_fixed_work_place(struct ley_fixed_work *work, const struct ley_code_tiles *tiles,
                            void *block) {
    size_t rows = LEY_BLOCK_ROWS, columns = (size_t)tiles->n_columns, at = 0;
    size_t width = (size_t)tiles->n_rows, terms = (size_t)tiles->fixed->n_terms;
    size_t depth = 4 * (size_t)tiles->n_groups;
    work->x = ley_cut(block, &at, terms * rows * columns * sizeof(int32_t));
    work->plane = ley_cut(block, &at, terms * 2 * rows * columns);
    work->sum = ley_cut(block, &at, 2 * rows * width * sizeof(int32_t));
    work->constant = ley_cut(block, &at, rows * sizeof(int32_t));
    work->code = ley_cut(block, &at, rows * width * sizeof(int32_t));
    work->column_weight = ley_cut(block, &at, (1 + terms) * columns * sizeof(int32_t));
    work->s = ley_cut(block, &at, rows * columns * sizeof(float));
    work->phi = ley_cut(block, &at, rows * columns * sizeof(float));
    work->a = ley_cut(block, &at, rows * width * sizeof(float));
    work->total = ley_cut(block, &at, rows * width * sizeof(float));
    work->bytes = ley_cut(block, &at, terms * columns * (depth > width ? depth : width));
    return at;
}

void ley_fixed_begin(struct ley_fixed_work *work, const struct ley_code_tiles *tiles, int n_rows) {
    memset(work->total, 0, (size_t)(n_rows * tiles->n_rows) * sizeof(float));
}

void ley_fixed_tile_begin(struct ley_fixed_work *work, const struct ley_code_tiles *tiles,
                          int n_rows) {
    memset(work->sum, 0, 2 * (size_t)(n_rows * tiles->n_rows) * sizeof(int32_t));
    memset(work->constant, 0, (size_t)n_rows * sizeof(int32_t));
}

// M10: sums of pulses times values, for each term.
static void multiply_k(struct ley_fixed_work *work, const struct ley_kernels *kernels,
                       const struct ley_code_tiles *tiles, int64_t tile,
                       const struct ley_fixed_read *read) {
    const struct ley_fixed *fixed = tiles->fixed;
    int64_t depth = 4 * tiles->n_groups, n = tiles->n_columns;
    struct ley_dot dot = {
        .n_rows = read->n_rows,
        .n_columns = tiles->n_columns,
        .n_groups = tiles->n_groups,
        .n_terms = 1,
        .most_a = fixed->hardware->converter.q_levels - 1,
        .most_lookup = fixed->most_lookup,
        .a = read->pulse,
        .a_row = depth,
        .code = tiles->k + tile * depth * n,
        .c_row = n,
        .work = work->bytes,
    };
    for (int j = 0; j < fixed->n_terms; j++) {
        dot.lookup = &fixed->lookup[j];
        dot.c = work->x + j * read->n_rows * n;
        kernels->dot(&dot);
    }
}

// M12: sums of weights times values, all terms together.
static void multiply_v(struct ley_fixed_work *work, const struct ley_kernels *kernels,
                       const struct ley_code_tiles *tiles, int64_t tile, int n_rows) {
    const struct ley_fixed *fixed = tiles->fixed;
    int64_t n = tiles->n_columns;
    const struct ley_dot dot = {
        .n_rows = 2 * n_rows,
        .n_columns = tiles->n_rows,
        .n_groups = tiles->n_columns / 4,
        .n_terms = fixed->n_terms,
        .most_a = 255,
        .most_lookup = fixed->most_lookup,
        .a = work->plane,
        .a_row = n,
        .a_term = 2 * n_rows * n,
        .code = tiles->v + tile * n * tiles->n_rows,
        .lookup = fixed->lookup,
        .c = work->sum,
        .c_row = tiles->n_rows,
        .adds = true,
        .work = work->bytes,
    };
    kernels->dot(&dot);
}

// Sums over columns and terms of weights times what cells add up to.
LEY_LEAF void weigh_columns_leaf(int64_t sum[2], const int32_t *restrict weight,
                                 const int32_t *restrict net, const int32_t *restrict size,
                                 int64_t n) {
    int64_t net_sum = 0, size_sum = 0;
    for (int64_t i = 0; i < n; i++) {
        net_sum += (int64_t)weight[i] * net[i];
        size_sum += (int64_t)weight[i] * size[i];
    }
    sum[0] = net_sum;
    sum[1] = size_sum;
}
LEY_VARIANTS(void, weigh_columns,
             (int64_t sum[2], const int32_t *weight, const int32_t *net, const int32_t *size,
              int64_t n),
             (sum, weight, net, size, n))

// Charge through V: sums of weights a column times what its cells add up to.
static void tally_v(struct ley_fixed_tally *tally, const struct ley_fixed_work *work,
                    const struct ley_code_tiles *tiles, int64_t tile,
                    const struct ley_fixed_read *read) {
    const struct ley_fixed *fixed = tiles->fixed;
    int64_t n = (int64_t)tiles->n_columns * (1 + fixed->n_terms);
    const int32_t *net = tiles->net + tile * n, *size = tiles->size + tile * n;
    int64_t sum[2];
    weigh_columns(sum, work->column_weight, net, size, n);
    // Ages are taken where blocks of queries begin (M21).
    for (int64_t i = 0; read->lag && i < n; i++) {
        int column = (int)(i % tiles->n_columns), j = (int)(i / tiles->n_columns) - 1;
        if (read->lag[column] >= fixed->flip_lag && work->column_weight[i] != 0) {
            int32_t turned = ley_code_tiles_size(tiles, tile, column, j, read->lag[column]);
            sum[1] += (int64_t)work->column_weight[i] * (turned - size[i]);
        }
    }
    tally->v_net += sum[0];
    tally->v_size += sum[1];
}

// Charge through K where no sums of powers give it.
static void tally_k(struct ley_fixed_tally *tally, const struct ley_fixed_work *work,
                    const struct ley_kernels *kernels, const struct ley_code_tiles *tiles,
                    const struct ley_fixed_read *read) {
    const struct ley_magnitude magnitude = {
        .n_rows = read->n_rows,
        .n_columns = tiles->n_columns,
        .n_terms = tiles->fixed->n_terms,
        .x = work->x,
        .x_term = read->n_rows * tiles->n_columns,
        .row_sum = read->pulse_sum,
        .coefficient = read->magnitude,
        .coefficient_term = read->term,
        .coefficient_row = read->row,
    };
    tally->k_size += kernels->magnitude(&magnitude);
}

void ley_fixed_tile_read(struct ley_fixed_work *work, const struct ley_kernels *kernels,
                         const struct ley_code_tiles *tiles, int64_t tile,
                         const struct ley_fixed_read *read, struct ley_fixed_tally *tally) {
    const struct ley_fixed *fixed = tiles->fixed;
    size_t n = (size_t)tiles->n_columns;
    struct ley_score score = {
        .n_rows = read->n_rows,
        .n_columns = tiles->n_columns,
        .n_terms = fixed->n_terms,
        .x = work->x,
        .x_term = read->n_rows * tiles->n_columns,
        .row_sum = read->pulse_sum,
        .coefficient = read->coefficient,
        .coefficient_term = read->term,
        .coefficient_row = read->row,
        .weight_scale = fixed->weight_scale,
        .s = work->s,
        .phi = work->phi,
        .plane = work->plane,
        .constant_weight = work->constant,
    };
    multiply_k(work, kernels, tiles, tile, read);
    if (tally) {
        memset(work->column_weight, 0, (size_t)(1 + fixed->n_terms) * n * sizeof(int32_t));
        score.column_weight = work->column_weight;
        score.tally = &tally->score;
        tally->n_lanes += read->n_rows * tiles->n_columns;
    }
    kernels->score(&score);
    if (tally) {
        tally_v(tally, work, tiles, tile, read);
    }
    if (tally && read->magnitude) {
        tally_k(tally, work, kernels, tiles, read);
    }
    multiply_v(work, kernels, tiles, tile, read->n_rows);
}

void ley_fixed_tile_end(struct ley_fixed_work *work, const struct ley_kernels *kernels,
                        const struct ley_code_tiles *tiles, int n_rows,
                        struct ley_fixed_tally *tally) {
    const struct ley_fixed *fixed = tiles->fixed;
    const struct ley_count count = {
        .n_rows = n_rows,
        .n_columns = fixed->head_dim,
        .row = tiles->n_rows,
        .plane_sum = work->sum,
        .constant = work->constant,
        .scale = fixed->total_scale,
        .half = fixed->half,
        .full_code = fixed->full_code,
        .x = work->a,
        .code = work->code,
        .sum = work->total,
        .tally = tally ? &tally->count : NULL,
    };
    kernels->count(&count);
}

LEY_LEAF void multiply_leaf(double *restrict out, const float *restrict x, double factor, int n) {
    for (int d = 0; d < n; d++) {
        out[d] = factor * (double)x[d];
    }
}
LEY_VARIANTS(void, multiply, (double *out, const float *x, double factor, int n),
             (out, x, factor, n))

// M13: value = step * code.
void ley_fixed_total(double *out, const struct ley_fixed_work *work,
                     const struct ley_code_tiles *tiles, int r) {
    const struct ley_fixed *fixed = tiles->fixed;
    int levels = fixed->hardware->converter.output_levels;
    double step = levels ? ley_quantiser_make(-1, 1, levels).step : 1;
    multiply(out, work->total + r * tiles->n_rows, step, fixed->head_dim);
}

void ley_fixed_tally_add(struct ley_fixed_tally *total, const struct ley_fixed_tally *part) {
    total->score.n_zero += part->score.n_zero;
    total->score.n_full += part->score.n_full;
    total->score.s_sum += part->score.s_sum;
    total->score.phi_sum += part->score.phi_sum;
    total->count.n_full += part->count.n_full;
    total->count.y_sum += part->count.y_sum;
    total->count.ticks += part->count.ticks;
    total->k_size += part->k_size;
    total->v_net += part->v_net;
    total->v_size += part->v_size;
    total->n_lanes += part->n_lanes;
}

void ley_fixed_tally_post(struct ley_ledger *ledger, const struct ley_fixed_tally *tally,
                          const struct ley_fixed *fixed, int64_t n_live) {
    const struct ley_hardware *hardware = fixed->hardware;
    double s_unit_c = hardware->converter.score_i_sat_a * 0x1p-14 * hardware->time.q_pulse_s;
    double weight_c = fixed->weight_a * hardware->time.phi_pulse_s;
    // Lanes that are gated or padding have s = 0.
    ledger->zero_scores += (uint64_t)(tally->score.n_zero - (tally->n_lanes - n_live));
    ledger->saturated_scores += (uint64_t)tally->score.n_full;
    ledger->saturated_outputs += (uint64_t)tally->count.n_full;
    ledger->counter_ticks += (uint64_t)tally->count.ticks;
    ledger->k_net_charge_c += (double)tally->score.s_sum * s_unit_c;
    ledger->k_charge_c += (double)tally->k_size * s_unit_c;
    ledger->phi_line_time_s += (double)tally->score.phi_sum * 0x1p-16 * hardware->time.phi_pulse_s;
    ledger->v_charge_c += (double)tally->v_size * weight_c;
    ledger->v_net_charge_c += (double)tally->v_net * weight_c;
    ledger->output_pulse_time_s +=
        (double)tally->count.y_sum * 0x1p-16 * hardware->time.output_pulse_s;
}
