// bank.c - the ring of tiles
//
// State: two matrices of cell states, and per column the token and the tick of its writing. A read
// gathers the live columns of each tile, with their leakage, and hands them to the tile (tile.c).
// A write touches one column: O(head_dim), nothing is moved or converted again.
#include "array/bank.h"

#include <math.h>
#include <string.h>

#include "array/clock.h"
#include "array/tile.h"
#include "circuit/dac.h"
#include "core/assert.h"
#include "core/memory.h"
#include "event/ledger.h"

struct ley_bank {
    struct ley_tile_spec tile;
    struct ley_quantiser pulse_grid, write_grid;
    int ring, n_tiles;
    int64_t n_tokens;
    int64_t now_tick;          // of the latest write or read: time only moves forward
    int64_t *token, *tick;     // (ring) token held, tick of its writing; token -1: never written
    double *k_u, *v_u;         // (ring, head_dim) [V]
    double *pulse, *phi;       // scratch (head_dim), (columns of a tile)
    struct ley_column *column; // scratch (columns of a tile)
};

// All memory of a bank; on failure ley_bank_destroy frees what there is.
static bool allocate(struct ley_bank *bank) {
    size_t ring = (size_t)bank->ring, head_dim = (size_t)bank->tile.head_dim;
    size_t n_columns = (size_t)bank->tile.hardware->array.n_columns;
    bank->token = ley_alloc(ring, sizeof *bank->token);
    bank->tick = ley_alloc(ring, sizeof *bank->tick);
    bank->k_u = ley_alloc(ring * head_dim, sizeof *bank->k_u);
    bank->v_u = ley_alloc(ring * head_dim, sizeof *bank->v_u);
    bank->pulse = ley_alloc(head_dim, sizeof *bank->pulse);
    bank->phi = ley_alloc(n_columns, sizeof *bank->phi);
    bank->column = ley_alloc(n_columns, sizeof *bank->column);
    return bank->token && bank->tick && bank->k_u && bank->v_u && bank->pulse && bank->phi &&
           bank->column;
}

// The clock starts at 0 and no column holds a token: nothing is read before it is written.
enum ley_status ley_bank_create(struct ley_bank **bank, const struct ley_hardware *hardware,
                                const struct ley_cell *cell, int head_dim) {
    LEY_ASSERT(head_dim >= 1);
    struct ley_bank *made = ley_alloc(1, sizeof *made);
    *bank = made;
    if (!made) {
        return ley_fail_memory("bank", 1, sizeof *made);
    }
    made->tile = (struct ley_tile_spec){hardware, cell, head_dim};
    made->pulse_grid = ley_pulse_grid(&hardware->converter);
    made->write_grid = ley_write_grid(&hardware->converter, hardware->cell.v_dd_v);
    made->ring = ley_hardware_ring(hardware);
    made->n_tiles = ley_hardware_n_tiles(hardware);
    if (!allocate(made)) {
        ley_bank_destroy(made);
        *bank = NULL;
        return ley_fail_memory("bank of cells", (size_t)ley_hardware_ring(hardware) * 2,
                               (size_t)head_dim * sizeof(double));
    }
    ley_bank_reset(made);
    return LEY_OK;
}

// Also of a bank whose allocation stopped half way.
void ley_bank_destroy(struct ley_bank *bank) {
    if (!bank) {
        return;
    }
    ley_free(bank->token);
    ley_free(bank->tick);
    ley_free(bank->k_u);
    ley_free(bank->v_u);
    ley_free(bank->pulse);
    ley_free(bank->phi);
    ley_free(bank->column);
    ley_free(bank);
}

// Cells keep their charge: a column without a token is gated, whatever it holds.
void ley_bank_reset(struct ley_bank *bank) {
    bank->n_tokens = 0;
    bank->now_tick = 0;
    for (int c = 0; c < bank->ring; c++) {
        bank->token[c] = -1;
    }
}

// Sets the clock; time only moves forward.
static void advance(struct ley_bank *bank, double t_s) {
    int64_t tick = ley_clock_ticks(t_s, bank->tile.hardware->time.token_period_s);
    LEY_ASSERT(tick >= bank->now_tick);
    bank->now_tick = tick;
}

// Charges n cells to the voltages that the write DAC makes of x (M1, M9).
static void write_cells(double *u, const struct ley_bank *bank, const double *x_v,
                        struct ley_ledger *ledger) {
    int n = bank->tile.head_dim;
    ley_dac_voltages(u, x_v, n, &bank->write_grid, ledger);
    for (int d = 0; d < n; d++) {
        u[d] = ley_cell_write(bank->tile.cell, u[d]);
    }
}

// The column of the oldest token is overwritten, its time of writing too.
void ley_bank_write(struct ley_bank *bank, const double *k_v, const double *v_v, double t_s,
                    struct ley_ledger *ledger) {
    advance(bank, t_s);
    // Full ring: this is the column of the token that is R older.
    int64_t c = bank->n_tokens % bank->ring; // M15
    int64_t head_dim = bank->tile.head_dim;
    write_cells(bank->k_u + c * head_dim, bank, k_v, ledger);
    write_cells(bank->v_u + c * head_dim, bank, v_v, ledger);
    bank->token[c] = bank->n_tokens++;
    bank->tick[c] = bank->now_tick;
    if (ledger) {
        ledger->columns_written++;
        ledger->cells_written += 2 * (uint64_t)head_dim;
    }
}

// M16
double ley_bank_age_s(const struct ley_bank *bank, int c, double t_s) {
    LEY_ASSERT(c >= 0 && c < bank->ring && bank->token[c] >= 0);
    double period_s = bank->tile.hardware->time.token_period_s;
    return ley_clock_seconds(ley_clock_ticks(t_s, period_s) - bank->tick[c], period_s);
}

// State of the level whose current, when fresh, is nearest to i_a (M35).
static double nearest_level(const struct ley_bank *bank, double i_a) {
    const struct ley_hardware *hardware = bank->tile.hardware;
    double best_u = 0, least_a = INFINITY;
    for (int k = 0; k < hardware->converter.kv_levels; k++) {
        double u_v = ley_cell_write(bank->tile.cell, k * bank->write_grid.step);
        double miss_a = fabs(ley_cell_current(bank->tile.cell, u_v) - i_a);
        if (miss_a < least_a) {
            least_a = miss_a;
            best_u = u_v;
        }
    }
    return best_u;
}

// Senses and rewrites n cells of one age; returns the charge that sensing moved.
static double refresh_cells(double *u, const struct ley_bank *bank, struct ley_decay decay) {
    double charge_c = 0;
    for (int d = 0; d < bank->tile.head_dim; d++) {
        double i_a = ley_cell_current(bank->tile.cell, u[d] * decay.u_scale) * decay.i_scale;
        charge_c += fabs(i_a) * bank->tile.hardware->time.q_pulse_s;
        u[d] = nearest_level(bank, i_a);
    }
    return charge_c;
}

// M35. Sensing goes through the output converters, as the price of a refresh says.
void ley_bank_refresh(struct ley_bank *bank, int c, double t_s, struct ley_ledger *ledger) {
    LEY_ASSERT(bank->tile.hardware->converter.kv_levels > 0);
    struct ley_decay decay = ley_cell_decay(bank->tile.cell, ley_bank_age_s(bank, c, t_s));
    uint64_t n_cells = 2 * (uint64_t)bank->tile.head_dim;
    int64_t at = (int64_t)c * bank->tile.head_dim;
    advance(bank, t_s);
    double k_c = refresh_cells(bank->k_u + at, bank, decay);
    double v_c = refresh_cells(bank->v_u + at, bank, decay);
    bank->tick[c] = bank->now_tick;
    if (ledger) {
        ledger->k_charge_c += k_c;
        ledger->v_charge_c += v_c;
        ledger->output_conversions += n_cells;
        ledger->write_dac_conversions += n_cells;
        ledger->cells_written += n_cells;
    }
}

// Gathers the live columns of tile n, in physical order, as they stand now.
static int gather(struct ley_bank *bank, int n) {
    const struct ley_hardware *hardware = bank->tile.hardware;
    int64_t head_dim = bank->tile.head_dim;
    int first = n * hardware->array.n_columns, n_live = 0;
    for (int c = first; c < first + hardware->array.n_columns && c < bank->ring; c++) {
        bool is_written = bank->token[c] >= 0;
        // Age in tokens: the newest has n_tokens - token = 1, so window M keeps exactly M of them.
        if (!is_written || bank->n_tokens - bank->token[c] > hardware->array.window) {
            continue; // gated
        }
        double age_s =
            ley_clock_seconds(bank->now_tick - bank->tick[c], hardware->time.token_period_s);
        bank->column[n_live++] = (struct ley_column){
            .k_u = bank->k_u + c * head_dim,
            .v_u = bank->v_u + c * head_dim,
            .decay = ley_cell_decay(bank->tile.cell, age_s),
            .token = bank->token[c],
        };
    }
    return n_live;
}

// M15: tiles in ascending order; a tile without live columns is not driven and adds nothing.
// The pulses are made once for all tiles: they share the q lines.
void ley_bank_read(double *sum, struct ley_bank *bank, const double *q, double t_s,
                   const struct ley_read_trace *trace, struct ley_ledger *ledger) {
    static const struct ley_read_trace no_trace = {0};
    advance(bank, t_s);
    ley_dac_pulses(bank->pulse, q, bank->tile.head_dim, &bank->pulse_grid, ledger);
    memset(sum, 0, (size_t)bank->tile.head_dim * sizeof *sum);
    for (int n = 0; n < bank->n_tiles; n++) {
        int n_live = gather(bank, n);
        if (n_live == 0) {
            continue;
        }
        struct ley_tile_trace tile_trace = ley_trace_tile(trace ? trace : &no_trace, n);
        ley_tile_read(sum, &bank->tile, bank->pulse, bank->column, n_live, bank->phi, &tile_trace,
                      ledger);
    }
    if (ledger) {
        ledger->queries++;
    }
}

// Also how many columns have been written, until the ring is full.
int64_t ley_bank_n_tokens(const struct ley_bank *bank) {
    return bank->n_tokens;
}

int ley_bank_ring(const struct ley_bank *bank) {
    return bank->ring;
}

int64_t ley_bank_token(const struct ley_bank *bank, int c) {
    LEY_ASSERT(c >= 0 && c < bank->ring);
    return bank->token[c];
}
