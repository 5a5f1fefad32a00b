// fixed.c - codes in, counts out: what the fixed-point sequence and stream share
#include <string.h>

#include "attention/fixed_impl.h"
#include "attention/trace_impl.h"
#include "circuit/dac.h"
#include "event/ledger.h"

// The same double arithmetic as scaler.c and dac.c: codes are equal to those of the reference.
void ley_fixed_encode(uint8_t *code, int n, const struct ley_attention *attention,
                      const struct ley_heads *heads, const struct ley_fixed_row *row,
                      const struct ley_attention_trace *trace) {
    const struct ley_hardware *hardware = &attention->hardware;
    const struct ley_scaler *scaler = &attention->scaler[row->signal][row->h];
    bool is_query = row->signal == LEY_SIGNAL_Q;
    struct ley_quantiser grid = is_query
                                    ? ley_pulse_grid(&hardware->converter)
                                    : ley_write_grid(&hardware->converter, hardware->cell.v_dd_v);
    int head_dim = attention->shape.head_dim;
    int64_t at = row->b * heads->batch + row->h * heads->head + row->t * heads->token;
    const struct ley_encode encode = {
        .n = head_dim,
        .f64 = heads->f64 ? heads->f64 + at : NULL,
        .f32 = heads->f32 ? heads->f32 + at : NULL,
        .a = ley_scaler_slope(scaler),
        .b = scaler->b,
        .high = grid.high,
        .step = grid.step,
        .code = code,
    };
    attention->kernels->encode(&encode);
    memset(code + head_dim, 0, (size_t)(n - head_dim));
    int n_heads = ley_attention_n_heads(&attention->shape, row->signal);
    ley_trace_codes(trace, attention, row->signal, row->b * n_heads + row->h, row->token, code);
}

float ley_fixed_pulse_sum(const uint8_t *code, int n) {
    int32_t sum = 0;
    for (int d = 0; d < n; d++) {
        sum += code[d];
    }
    return (float)sum;
}

// M15: live tokens are neighbours on the ring, so live tiles are too.
int64_t ley_fixed_live_tiles(const struct ley_hardware *hardware, int64_t t) {
    int64_t ring = ley_hardware_ring(hardware), width = hardware->array.n_columns;
    int64_t window = hardware->array.window, n_live = t + 1 < window ? t + 1 : window;
    int64_t first = (t - n_live + 1) % ring / width, last = t % ring / width;
    if ((t - n_live + 1) % ring <= t % ring) {
        return last - first + 1;
    }
    int64_t n_tiles = ley_hardware_n_tiles(hardware);
    return last >= first ? n_tiles : last + 1 + n_tiles - first;
}

void ley_fixed_note_scores(const struct ley_attention_trace *trace,
                           const struct ley_attention *attention, const struct ley_fixed_work *work,
                           int r, const struct ley_fixed_note *note) {
    struct ley_read_trace read = ley_trace_read(trace, attention, note->head, note->t + r);
    for (int c = 0; c < note->n_tokens; c++) {
        int64_t token = note->tokens ? note->tokens[c] : note->first + c;
        int64_t age = note->t + r - token, at = (int64_t)r * note->tiles->n_columns + c;
        if (token < 0 || age < 0 || age >= attention->hardware.array.window) {
            continue; // gated
        }
        if (read.s) {
            read.s[token] = (double)work->s[at];
        }
        if (read.phi) {
            read.phi[token] = (double)work->phi[at];
        }
    }
}

void ley_fixed_note_outputs(const struct ley_attention_trace *trace,
                            const struct ley_attention *attention,
                            const struct ley_fixed_work *work, int r,
                            const struct ley_fixed_note *note) {
    struct ley_read_trace read = ley_trace_read(trace, attention, note->head, note->t + r);
    struct ley_tile_trace tile = ley_trace_tile(&read, note->n);
    for (int d = 0; d < attention->shape.head_dim; d++) {
        int64_t at = (int64_t)r * note->tiles->n_rows + d;
        if (tile.a) {
            tile.a[d] = (double)work->a[at];
        }
        if (tile.code) {
            tile.code[d] = work->code[at];
        }
    }
}

void ley_fixed_counts_add(struct ley_fixed_counts *total, const struct ley_fixed_counts *part) {
    total->n_written += part->n_written;
    total->n_queries += part->n_queries;
    total->n_live += part->n_live;
    total->n_tiles += part->n_tiles;
    total->pulse_tiles += part->pulse_tiles;
    total->k_charge += part->k_charge;
    total->n_rewritten += part->n_rewritten;
    for (int k = 0; k < LEY_LEVELS; k++) {
        total->k_sensed[k] += part->k_sensed[k];
        total->v_sensed[k] += part->v_sensed[k];
    }
}

void ley_fixed_counts_refresh(struct ley_fixed_counts *counts, const struct ley_fixed *fixed,
                              int64_t n, const uint8_t *k, const uint16_t *v_levels) {
    counts->n_rewritten += n;
    for (int d = 0; d < fixed->head_dim; d++) {
        counts->k_sensed[k[d]] += n;
    }
    for (int level = 0; level < LEY_LEVELS; level++) {
        counts->v_sensed[level] += n * v_levels[level];
    }
}

// As bank.c counts one column.
static void post_refresh(struct ley_ledger *ledger, const struct ley_fixed_counts *counts,
                         const struct ley_fixed *fixed) {
    uint64_t n_cells = 2 * (uint64_t)fixed->head_dim * (uint64_t)counts->n_rewritten;
    double k_a = 0, v_a = 0;
    for (int level = 0; level < LEY_LEVELS; level++) {
        k_a += (double)counts->k_sensed[level] * fixed->sense_a[level];
        v_a += (double)counts->v_sensed[level] * fixed->sense_a[level];
    }
    ledger->k_charge_c += k_a * fixed->hardware->time.q_pulse_s;
    ledger->v_charge_c += v_a * fixed->hardware->time.q_pulse_s;
    ledger->output_conversions += n_cells;
    ledger->write_dac_conversions += n_cells;
    ledger->cells_written += n_cells;
}

// As tile.c, dac.c, scaler.c and converter.c count them one by one.
void ley_fixed_counts_post(struct ley_ledger *ledger, const struct ley_fixed_counts *counts,
                           const struct ley_fixed *fixed) {
    const struct ley_hardware *hardware = fixed->hardware;
    uint64_t D = (uint64_t)fixed->head_dim, n_rows = (uint64_t)hardware->array.n_rows;
    uint64_t written = (uint64_t)counts->n_written, queries = (uint64_t)counts->n_queries;
    uint64_t live = (uint64_t)counts->n_live, tiles = (uint64_t)counts->n_tiles;
    double unit_s = hardware->time.q_pulse_s / (hardware->converter.q_levels - 1);
    ledger->scaler_operations += 2 * D * (written + queries);
    ledger->columns_written += written;
    ledger->cells_written += 2 * D * written;
    ledger->write_dac_conversions += 2 * D * written;
    ledger->queries += queries;
    ledger->pulse_dac_conversions += D * queries;
    ledger->tiles_read += (D + n_rows - 1) / n_rows * tiles;
    ledger->k_cell_reads += D * live;
    ledger->v_cell_reads += D * live;
    ledger->score_conversions += live;
    ledger->output_conversions += D * tiles;
    ledger->digital_additions += D * tiles;
    ledger->q_line_time_s += (double)counts->pulse_tiles * unit_s;
    ledger->k_charge_c += counts->k_charge * unit_s;
    if (counts->n_rewritten > 0) {
        post_refresh(ledger, counts, fixed);
    }
}
