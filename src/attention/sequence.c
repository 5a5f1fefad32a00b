// sequence.c - attention over a whole sequence: the reference
//
// For each (sequence, key-value head): scale and convert all k and v once; then for each query head
// of the group, each query t and each tile n, in this order (MODEL.md, M15):
//     column p of the tile holds token s = p + ring * floor((t - p) / ring), if p <= t;
//     it is live when t - s < window; its age is (t - s) periods
// and the tile does the rest (tile.c). No state is kept between queries: which token sits where
// follows from arithmetic, which is what the bank (bank.c) is checked against.
// O(B Hq T min(T, window) D) cell reads; memory O(T D) a thread.
#include <math.h>
#include <omp.h>

#include "array/clock.h"
#include "array/retention.h"
#include "array/tile.h"
#include "attention/attention.h"
#include "attention/fixed_impl.h"
#include "attention/trace_impl.h"
#include "circuit/dac.h"
#include "core/memory.h"
#include "event/ledger.h"

// What one thread works with.
struct scratch {
    double *k_u, *v_u;         // (T, D) cell states [V]
    double *pulse, *phi, *y;   // (D), (columns of a tile), (D)
    struct ley_column *column; // (columns of a tile)
};

// One call: its arguments and what is prepared once for all heads.
struct run {
    const struct ley_attention *attention;
    const struct ley_attention_call *call;
    int64_t n_tokens;
    int n_tiles;
    struct ley_decay *decay; // [lag]
    struct ley_quantiser pulse_grid, write_grid;
    const struct ley_attention_trace *trace;
    // of each (sequence, key-value head): its ledger, and of that what is written, then each query
    // head's reads; NULL: nothing is counted
    struct ley_ledger *ledger; // (n_pairs, 2 + n_group)
};

// Cell states of all tokens of one key-value head (M18, M9, M1).
static void store(double *u, const struct run *run, const struct ley_heads *x,
                  enum ley_signal signal, int64_t pair, struct ley_ledger *ledger) {
    const struct ley_attention *attention = run->attention;
    int64_t b = pair / attention->shape.n_kv_heads, h = pair % attention->shape.n_kv_heads;
    int head_dim = attention->shape.head_dim;
    for (int64_t s = 0; s < run->n_tokens; s++) {
        double *u_s = u + s * head_dim;
        struct ley_ledger *counted = s >= run->call->first ? ledger : NULL;
        ley_heads_get(u_s, x, b, h, s, head_dim);
        ley_scale(u_s, u_s, head_dim, &attention->scaler[signal][h], counted);
        ley_trace_stored(run->trace, attention, signal, pair, s, u_s);
        ley_dac_voltages(u_s, u_s, head_dim, &run->write_grid, counted);
        for (int d = 0; d < head_dim; d++) {
            u_s[d] = ley_cell_write(attention->cell, u_s[d]);
        }
    }
    if (ledger) {
        ledger->cells_written += (uint64_t)((run->n_tokens - run->call->first) * head_dim);
    }
}

// Charge that sensing the cells of one column moves (M35).
static double sense_c(const struct run *run, const double *u, struct ley_decay decay) {
    double sum_c = 0;
    for (int d = 0; d < run->attention->shape.head_dim; d++) {
        double i_a = ley_cell_current(run->attention->cell, u[d] * decay.u_scale) * decay.i_scale;
        sum_c += fabs(i_a) * run->attention->hardware.time.q_pulse_s;
    }
    return sum_c;
}

// M35: rewrites of all columns until the end. They leave the level that was written, so a query
// meets them in the ages alone.
static void count_refresh(struct ley_ledger *ledger, const struct run *run,
                          const struct scratch *scratch) {
    const struct ley_attention *attention = run->attention;
    const struct ley_hardware *hardware = &attention->hardware;
    int64_t period = attention->refresh_tokens, head_dim = attention->shape.head_dim;
    double age_s = ley_clock_age_s(period, hardware->time.token_period_s);
    struct ley_decay decay = ley_cell_decay(attention->cell, age_s);
    for (int64_t s = 0; period > 0 && s + period < run->n_tokens; s++) {
        int64_t n = ley_refresh_count_from(period, hardware, s, run->call->first, run->n_tokens);
        uint64_t n_cells = (uint64_t)(2 * head_dim * n);
        ledger->k_charge_c += (double)n * sense_c(run, scratch->k_u + s * head_dim, decay);
        ledger->v_charge_c += (double)n * sense_c(run, scratch->v_u + s * head_dim, decay);
        ledger->output_conversions += n_cells;
        ledger->write_dac_conversions += n_cells;
        ledger->cells_written += n_cells;
    }
}

// Live columns of tile n as query t finds them.
static int gather(struct scratch *scratch, const struct run *run, int64_t t, int n) {
    const struct ley_hardware *hardware = &run->attention->hardware;
    int64_t ring = ley_hardware_ring(hardware), head_dim = run->attention->shape.head_dim;
    int64_t first = (int64_t)n * hardware->array.n_columns;
    int n_live = 0;
    for (int64_t p = first; p < first + hardware->array.n_columns && p < ring && p <= t; p++) {
        // M15: the newest token at or before t whose column is p.
        int64_t s = p + (t - p) / ring * ring;
        if (t - s >= hardware->array.window) {
            continue; // gated
        }
        scratch->column[n_live++] = (struct ley_column){
            .k_u = scratch->k_u + s * head_dim,
            .v_u = scratch->v_u + s * head_dim,
            .decay = run->decay[t - s],
            .token = s,
        };
    }
    return n_live;
}

// One query: scale, pulses, all tiles, scale.
static void run_query(struct scratch *scratch, const struct run *run, int64_t head, int64_t t,
                      struct ley_ledger *ledger) {
    const struct ley_attention *attention = run->attention;
    int head_dim = attention->shape.head_dim;
    int64_t b = head / attention->shape.n_query_heads, h = head % attention->shape.n_query_heads;
    double *y = scratch->y;
    struct ley_tile_spec tile = {&attention->hardware, attention->cell, head_dim};

    // (1) scale and convert the query, (2) read the tiles in ascending order, (3) scale the sum.
    ley_heads_get(scratch->pulse, &run->call->q, b, h, t - run->call->first, head_dim);
    ley_scale(scratch->pulse, scratch->pulse, head_dim, &attention->scaler[LEY_SIGNAL_Q][h],
              ledger);
    ley_trace_query(run->trace, attention, head, t, scratch->pulse);
    ley_dac_pulses(scratch->pulse, scratch->pulse, head_dim, &run->pulse_grid, ledger);
    for (int d = 0; d < head_dim; d++) {
        y[d] = 0;
    }
    struct ley_read_trace read = ley_trace_read(run->trace, attention, head, t);
    for (int n = 0; n < run->n_tiles; n++) {
        int n_live = gather(scratch, run, t, n);
        if (n_live > 0) {
            struct ley_tile_trace trace = ley_trace_tile(&read, n);
            ley_tile_read(y, &tile, scratch->pulse, scratch->column, n_live, scratch->phi, &trace,
                          ledger);
        }
    }
    ley_scale(y, y, head_dim, &attention->scaler[LEY_SIGNAL_OUTPUT][h], ledger);
    ley_heads_put(&run->call->out, b, h, t - run->call->first, y, head_dim);
    if (ledger) {
        ledger->queries++;
    }
}

// One key-value head of one sequence, with all query heads that read it.
// Stored once, then read by the n_group query heads, as one bank serves them on the chip.
static void run_pair(struct scratch *scratch, const struct run *run, int64_t pair) {
    const struct ley_attention_shape *shape = &run->attention->shape;
    int64_t n_group = shape->n_query_heads / shape->n_kv_heads;
    struct ley_ledger *ledger = run->ledger ? &run->ledger[pair * (2 + n_group)] : NULL, before;
    store(scratch->k_u, run, &run->call->k, LEY_SIGNAL_K, pair, ledger);
    store(scratch->v_u, run, &run->call->v, LEY_SIGNAL_V, pair, ledger);
    if (ledger) {
        ledger->columns_written += (uint64_t)(run->n_tokens - run->call->first);
        count_refresh(ledger, run, scratch);
        ledger[1] = *ledger;
    }
    for (int64_t g = 0; g < n_group; g++) {
        if (ledger) {
            before = *ledger;
        }
        for (int64_t t = run->call->first; t < run->n_tokens; t++) {
            run_query(scratch, run, pair * n_group + g, t, ledger);
        }
        if (ledger) {
            ley_ledger_add_growth(&ledger[2 + g], ledger, &before);
        }
    }
}

// Scratch of one thread.
// On failure the caller releases what there is.
static bool allocate(struct scratch *scratch, const struct run *run) {
    size_t head_dim = (size_t)run->attention->shape.head_dim;
    size_t n_columns = (size_t)run->attention->hardware.array.n_columns;
    scratch->k_u = ley_alloc((size_t)run->n_tokens * head_dim, sizeof(double));
    scratch->v_u = ley_alloc((size_t)run->n_tokens * head_dim, sizeof(double));
    scratch->pulse = ley_alloc(head_dim, sizeof(double));
    scratch->phi = ley_alloc(n_columns, sizeof(double));
    scratch->y = ley_alloc(head_dim, sizeof(double));
    scratch->column = ley_alloc(n_columns, sizeof(struct ley_column));
    return scratch->k_u && scratch->v_u && scratch->pulse && scratch->phi && scratch->y &&
           scratch->column;
}

// All n of them, made or not; scratch itself may be NULL.
static void release(struct scratch *scratch, int n) {
    for (int i = 0; scratch && i < n; i++) {
        ley_free(scratch[i].k_u);
        ley_free(scratch[i].v_u);
        ley_free(scratch[i].pulse);
        ley_free(scratch[i].phi);
        ley_free(scratch[i].y);
        ley_free(scratch[i].column);
    }
    ley_free(scratch);
}

// Runs all pairs on the threads; false when stopped. Each pair has its own ledger and output.
static bool run_pairs(struct scratch *scratch, const struct run *run, int64_t n_pairs,
                      const struct ley_progress *progress) {
    bool is_stopped = false;
    int64_t n_done = 0;
#pragma omp parallel for schedule(dynamic)
    for (int64_t pair = 0; pair < n_pairs; pair++) {
        bool skip;
#pragma omp atomic read
        skip = is_stopped;
        if (!skip) {
            run_pair(&scratch[omp_get_thread_num()], run, pair);
        }
// Reports are serialised; a stop is seen by the others at their next pair, never within one.
#pragma omp critical(ley_progress)
        if (progress && !progress->report(progress->context, ++n_done, n_pairs)) {
#pragma omp atomic write
            is_stopped = true;
        }
    }
    return !is_stopped;
}

// All that can fail happens here, before the first head. Decay depends on the lag only: tokens come
// at a steady period (M16).
static enum ley_status prepare(struct run *run, struct scratch **scratch, int n_threads,
                               int64_t n_pairs, const struct ley_ledger *ledger) {
    const struct ley_hardware *hardware = &run->attention->hardware;
    // Lags beyond the window are gated and need no decay.
    int64_t n_lags =
        run->n_tokens < hardware->array.window ? run->n_tokens : hardware->array.window;
    *scratch = ley_alloc((size_t)n_threads, sizeof **scratch);
    run->decay = ley_alloc((size_t)n_lags, sizeof *run->decay);
    int n_group = run->attention->shape.n_query_heads / run->attention->shape.n_kv_heads;
    size_t n_ledgers = (size_t)n_pairs * (size_t)(2 + n_group);
    run->ledger = ledger ? ley_alloc(n_ledgers, sizeof *run->ledger) : NULL;
    bool is_ready = *scratch && run->decay && (run->ledger || !ledger);
    for (int i = 0; is_ready && i < n_threads; i++) {
        is_ready = allocate(&(*scratch)[i], run);
    }
    if (!is_ready) {
        return ley_fail_memory("attention over a sequence", (size_t)run->n_tokens,
                               2 * sizeof(double) * (size_t)run->attention->shape.head_dim);
    }
    for (int64_t lag = 0; lag < n_lags; lag++) {
        int64_t age = ley_refresh_age(run->attention->refresh_tokens, lag);
        run->decay[lag] = ley_cell_decay(run->attention->cell,
                                         ley_clock_age_s(age, hardware->time.token_period_s));
    }
    return LEY_OK;
}

// In the order of pairs, whatever thread did them.
static void post(const struct run *run, int64_t n_pairs) {
    const struct ley_attention_shape *shape = &run->attention->shape;
    int64_t n_group = shape->n_query_heads / shape->n_kv_heads;
    struct ley_ledger *heads = run->call->head_ledger;
    for (int64_t pair = 0; pair < n_pairs; pair++) {
        const struct ley_ledger *part = run->ledger + pair * (2 + n_group);
        int64_t h = pair % shape->n_kv_heads;
        ley_ledger_add(run->call->ledger, part);
        if (heads) {
            ley_ledger_add(&heads[h], part + 1);
        }
        for (int64_t g = 0; heads && g < n_group; g++) {
            ley_ledger_add(&heads[shape->n_kv_heads + h * n_group + g], part + 2 + g);
        }
    }
}

// A stopped run leaves `out` half written and the ledger as it was.
enum ley_status ley_attention_forward(const struct ley_attention *attention,
                                      const struct ley_attention_call *call) {
    if (attention->fixed) {
        return ley_fixed_forward(attention, call);
    }
    const struct ley_hardware *hardware = &attention->hardware;
    int64_t n_pairs = call->n_batch * attention->shape.n_kv_heads;
    struct run run = {
        .attention = attention,
        .call = call,
        .n_tokens = call->n_tokens,
        .n_tiles = ley_attention_n_tiles(hardware, call->n_tokens),
        .pulse_grid = ley_pulse_grid(&hardware->converter),
        .write_grid = ley_write_grid(&hardware->converter, hardware->cell.v_dd_v),
        .trace = call->trace,
    };
    struct scratch *scratch = NULL;
    int n_threads = omp_get_max_threads();
    enum ley_status status = prepare(&run, &scratch, n_threads, n_pairs, call->ledger);
    if (status == LEY_OK && !run_pairs(scratch, &run, n_pairs, call->progress)) {
        status = ley_fail(LEY_E_INTERRUPTED, "stopped on request");
    }
    if (call->ledger && status == LEY_OK) {
        post(&run, n_pairs);
    }
    release(scratch, n_threads);
    ley_free(run.decay);
    ley_free(run.ledger);
    return status;
}
