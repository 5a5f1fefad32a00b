// fixed_backward.c - gradients of attention in integers: forward again, products back in float32
//
// The reference (backward.c) block by block: for a block of queries and a tile n, the forward pass
// gives S, phi and the tile's A; with G = a dy / A_sat where |A| is not clipped, and g the slopes
// of the surrogate cell (M22),
//     P = G w^T                         (queries, columns)
//     E = P g^2 / S_sat where 0 <= S / S_sat <= 1,  F = phi g
//     dq' += E u,  du += E^T q',  dw += F^T G
// Where gradients follow the cell's law, u and w above stand for i(u) / slope and i(w) / slope, and
// du and dw are at last multiplied by i'(u) / slope and i'(w) / slope.
// Most pairs of a query and a column have S < 0, thus no part in any of these, and are left out.
// All but dq' belongs to one tile, so tiles are dealt out to N_SHARES shares, each with its own
// sums for dq', which are added in order at the end: nothing depends on the threads. Memory O(T D).
#include <math.h>
#include <omp.h>
#include <string.h>

#include "attention/backward_impl.h"
#include "attention/fixed_run_impl.h"
#include "circuit/dac.h"
#include "core/assert.h"
#include "core/memory.h"
#include "core/variants.h"

// N_SHARES: of the tiles of a bank; N_PARTS: laps that a tile can hold for one block of queries.
enum { N_SHARES = 4, N_PARTS = 3 };

// Values of a stored tile as the products need them.
struct values {
    int64_t stored; // -1: none
    float *u, *w;   // (columns, width)
};

// What one thread works with.
struct worker {
    struct ley_fixed_work work;
    struct ley_fixed_masks masks;
    struct values values[N_PARTS];
    float *s, *phi;              // (N_PARTS, rows, columns)
    float *g;                    // (rows, width)
    double *row, *scaled, *sums; // (width) each
    uint8_t *v;                  // (depth)
};

struct run {
    struct ley_fixed_run codes;
    const struct ley_attention_gradient *gradient;
    int64_t width, n_columns, n_stored; // floats of a row; columns and tokens of storage
    float level[LEY_LEVELS];            // i(u) / slope of the stored levels [V], see above
    float *q, *dout;                    // (n_heads, T, width) pulses; a dy / A_sat
    float *dq, *total;                  // (N_SHARES, n_heads, T, width) by share; codes of outputs
    float *du, *dw;                     // (n_pairs, n_stored, width)
    struct ley_scaler *dscaler[LEY_N_SIGNALS]; // [sequence * heads + head]
    struct worker *worker;                     // [n_threads]
    int n_threads;
};

// Codes of pulses as values, and a gradient before the counter.
LEY_LEAF void expand_row_leaf(float *restrict q, float *restrict dout, const uint8_t *restrict code,
                              const double *restrict row, float unit, double i_sat_a, int n) {
    for (int d = 0; d < n; d++) {
        q[d] = (float)code[d] * unit;
        dout[d] = (float)(row[d] / i_sat_a);
    }
}
LEY_VARIANTS(void, expand_row,
             (float *q, float *dout, const uint8_t *code, const double *row, float unit,
              double i_sat_a, int n),
             (q, dout, code, row, unit, i_sat_a, n))

// Rows of pulses and of what comes from behind, for one head.
static void prepare_head(const struct run *run, struct worker *worker, int64_t head) {
    const struct ley_fixed_run *codes = &run->codes;
    const struct ley_attention *attention = codes->attention;
    const struct ley_attention_shape *shape = &attention->shape;
    int64_t n_q = shape->n_query_heads, h = head % n_q;
    double i_sat_a = attention->hardware.converter.output_i_sat_a;
    float unit = 1.0F / (float)(attention->hardware.converter.q_levels - 1);
    ley_fixed_run_queries(codes, head);
    for (int64_t t = 0; t < codes->n_tokens; t++) {
        int64_t at = head * codes->n_tokens + t;
        const uint8_t *q = codes->q + at * codes->depth;
        ley_heads_get(worker->row, &run->gradient->dout, head / n_q, h, t, shape->head_dim);
        ley_scale_input_gradient(worker->row, worker->row, shape->head_dim,
                                 &attention->scaler[LEY_SIGNAL_OUTPUT][h]);
        expand_row(run->q + at * run->width, run->dout + at * run->width, q, worker->row, unit,
                   i_sat_a, shape->head_dim);
    }
}

// The values of a part, kept from block to block: a tile's parts are of neighbouring laps.
static const struct values *expand(struct worker *worker, const struct run *run, int64_t pair,
                                   int64_t lap, int64_t stored) {
    const struct ley_code_tiles *tiles = &run->codes.tiles[pair];
    const struct ley_fixed *fixed = tiles->fixed;
    struct values *values = &worker->values[lap % N_PARTS];
    int64_t n = tiles->n_columns, width = run->width;
    const uint8_t *k = tiles->k + stored * 4 * tiles->n_groups * n;
    const uint8_t *v = tiles->v + stored * n * tiles->n_rows;
    if (values->stored == stored) {
        return values;
    }
    values->stored = stored;
    for (int64_t c = 0; c < n; c++) {
        for (int64_t d = 0; d < fixed->head_dim; d++) {
            values->u[c * width + d] = run->level[k[(d / 4 * n + c) * 4 + d % 4]];
            values->w[c * width + d] = run->level[v[(c / 4 * tiles->n_rows + d) * 4 + c % 4]];
        }
    }
    return values;
}

// The parts of one tile that a block of queries sees.
struct parts {
    struct ley_fixed_part part[N_PARTS];
    int64_t lap[N_PARTS];
    int n;
};

// Forward: scores of every part to worker->s and phi, outputs of the tile to worker->work.a.
static void run_forward(struct worker *worker, struct parts *parts, const struct run *run,
                        struct ley_fixed_read *read, int64_t head, int64_t t, int n) {
    const struct ley_fixed_run *codes = &run->codes;
    const struct ley_kernels *kernels = codes->attention->kernels;
    const struct ley_code_tiles *tiles = &codes->tiles[head / codes->n_group];
    size_t n_scores = (size_t)(read->n_rows * run->n_columns);
    parts->n = 0;
    ley_fixed_tile_begin(&worker->work, tiles, read->n_rows);
    for (int64_t lap = ley_fixed_run_lap(codes, t); lap < codes->n_laps; lap++) {
        struct ley_fixed_part part;
        if (!ley_fixed_run_part(&part, codes, n, lap, t, read->n_rows)) {
            continue;
        }
        LEY_ASSERT(parts->n < N_PARTS);
        ley_fixed_run_coefficients(read, &worker->masks, codes, &part, t);
        ley_fixed_tile_read(&worker->work, kernels, tiles, part.stored, read, NULL);
        int64_t at = parts->n * LEY_BLOCK_ROWS * run->n_columns;
        memcpy(worker->s + at, worker->work.s, n_scores * sizeof(float));
        memcpy(worker->phi + at, worker->work.phi, n_scores * sizeof(float));
        parts->part[parts->n] = part;
        parts->lap[parts->n++] = lap;
    }
    if (parts->n > 0) {
        ley_fixed_tile_end(&worker->work, kernels, tiles, read->n_rows, NULL);
    }
}

// G: where an output x was clipped nothing comes through. The codes of the tile are added to those
// of others.
LEY_LEAF void end_tile_leaf(float *restrict g, float *restrict total, const float *restrict dout,
                            const float *restrict x, const float *restrict code, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float through = dout[i];
        g[i] = fabsf(x[i]) <= 1 ? through : 0;
        total[i] += code[i];
    }
}
LEY_VARIANTS(void, end_tile,
             (float *g, float *total, const float *dout, const float *x, const float *code,
              int64_t n),
             (g, total, dout, x, code, n))

// One part of a tile: its share of dq', du and dw.
static void run_part(struct worker *worker, const struct run *run, const struct parts *parts, int i,
                     int64_t head, int64_t t, int n_rows, float *dq) {
    const struct ley_fixed_run *codes = &run->codes;
    const struct ley_kernels *kernels = codes->attention->kernels;
    const struct ley_fixed_part *part = &parts->part[i];
    int64_t pair = head / codes->n_group, n = run->n_columns, width = run->width, slope_row;
    const struct values *values = expand(worker, run, pair, parts->lap[i], part->stored);
    const float *slope = ley_fixed_run_slopes(&slope_row, &worker->masks, codes, part, t, n_rows);
    int64_t score = i * LEY_BLOCK_ROWS * n;
    kernels->pair_gradient(&(struct ley_pair_gradient){
        .n_rows = n_rows,
        .n_columns = (int)n,
        .width = (int)width,
        .s = worker->s + score,
        .phi = worker->phi + score,
        .slope = slope,
        .slope_row = slope_row,
        .scale = (float)(1 / codes->attention->hardware.converter.score_i_sat_a),
        .q = run->q + (head * codes->n_tokens + t) * width,
        .dout = worker->g,
        .u = values->u,
        .w = values->w,
        .dq = dq,
        .du = run->du + (pair * run->n_stored + part->first) * width,
        .dw = run->dw + (pair * run->n_stored + part->first) * width,
    });
}

// One tile and one block of queries of one head, forward and back.
static void run_block(struct worker *worker, const struct run *run, int share, int n, int64_t head,
                      int64_t block) {
    const struct ley_fixed_run *codes = &run->codes;
    int64_t t = block * LEY_BLOCK_ROWS, left = codes->n_tokens - t, at = head * codes->n_tokens + t;
    struct ley_fixed_read read = {
        .n_rows = left < LEY_BLOCK_ROWS ? (int)left : LEY_BLOCK_ROWS,
        .pulse = codes->q + at * codes->depth,
        .pulse_sum = codes->q_sum + at,
    };
    struct parts parts;
    ley_fixed_begin(&worker->work, &codes->tiles[0], read.n_rows);
    run_forward(worker, &parts, run, &read, head, t, n);
    if (parts.n == 0) {
        return;
    }
    int64_t place = (share * codes->n_heads * codes->n_tokens + at) * run->width;
    end_tile(worker->g, run->total + place, run->dout + at * run->width, worker->work.a,
             worker->work.total, read.n_rows * run->width);
    for (int i = 0; i < parts.n; i++) {
        run_part(worker, run, &parts, i, head, t, read.n_rows, run->dq + place);
    }
}

// The tiles of one share of one bank, for all queries of its heads.
static void run_share(struct worker *worker, const struct run *run, int64_t pair, int share) {
    const struct ley_fixed_run *codes = &run->codes;
    for (int i = 0; i < N_PARTS; i++) {
        worker->values[i].stored = -1;
    }
    for (int n = share; n < codes->n_tiles; n += N_SHARES) {
        for (int64_t head = pair * codes->n_group; head < (pair + 1) * codes->n_group; head++) {
            for (int64_t block = 0; block < codes->n_blocks; block++) {
                run_block(worker, run, share, n, head, block);
            }
        }
    }
}

// sum[d] = factor * the sum over shares of x[d], in their order.
LEY_LEAF void sum_shares_leaf(double *restrict sum, const float *restrict x, int64_t n_share,
                              double factor, int n) {
    for (int d = 0; d < n; d++) {
        double all = 0;
        for (int i = 0; i < N_SHARES; i++) {
            all += factor * (double)x[i * n_share + d];
        }
        sum[d] = all;
    }
}
LEY_VARIANTS(void, sum_shares, (double *sum, const float *x, int64_t n_share, double factor, int n),
             (sum, x, n_share, factor, n))

// dq and the gradients of a head's scalers, from the sums of all shares.
static void finish_head(struct worker *worker, const struct run *run, int64_t head) {
    const struct ley_fixed_run *codes = &run->codes;
    const struct ley_attention *attention = codes->attention;
    const struct ley_hardware *hardware = &attention->hardware;
    int head_dim = attention->shape.head_dim, levels = hardware->converter.output_levels;
    int64_t n_q = attention->shape.n_query_heads, b = head / n_q, h = head % n_q;
    int64_t n_share = codes->n_heads * codes->n_tokens * run->width;
    struct ley_quantiser grid = ley_pulse_grid(&hardware->converter);
    double step = levels ? ley_quantiser_make(-1, 1, levels).step : 1;
    const struct ley_scaler *scaler = &attention->scaler[LEY_SIGNAL_Q][h];
    double *row = worker->row;
    for (int64_t t = 0; t < codes->n_tokens; t++) {
        int64_t at = (head * codes->n_tokens + t) * run->width;
        sum_shares(worker->sums, run->total + at, n_share, step, head_dim);
        ley_heads_get(row, &run->gradient->dout, b, h, t, head_dim);
        ley_scale_gradient(&run->dscaler[LEY_SIGNAL_OUTPUT][head], row, worker->sums, head_dim,
                           &attention->scaler[LEY_SIGNAL_OUTPUT][h]);
        sum_shares(worker->sums, run->dq + at, n_share, 1, head_dim);
        ley_heads_get(row, &codes->call->q, b, h, t, head_dim);
        ley_scale(worker->scaled, row, head_dim, scaler, NULL);
        ley_input_backward(worker->sums, &run->dscaler[LEY_SIGNAL_Q][head], row, worker->scaled,
                           scaler, &grid, head_dim);
        ley_heads_put(&run->gradient->dq, b, h, t, worker->sums, head_dim);
    }
}

// By the slope of the law in units of the linear one's; sums of values that were clipped come to
// nothing anyway.
static void follow_law(double *du, const double *scaled, const struct run *run,
                       const struct ley_quantiser *grid, int n) {
    const struct ley_attention *attention = run->codes.attention;
    for (int d = 0; attention->follows_law && d < n; d++) {
        double u_v = ley_cell_write(attention->cell, ley_quantise(grid, ley_clip(grid, scaled[d])));
        du[d] *= ley_cell_slope(attention->cell, u_v) / attention->hardware.cell.slope_a_per_v;
    }
}

// dk or dv and the gradients of its scaler, of one bank.
static void finish_pair(struct worker *worker, const struct run *run, int64_t pair,
                        enum ley_signal signal) {
    const struct ley_fixed_run *codes = &run->codes;
    const struct ley_attention *attention = codes->attention;
    const struct ley_hardware *hardware = &attention->hardware;
    bool is_k = signal == LEY_SIGNAL_K;
    int head_dim = attention->shape.head_dim;
    int64_t n_kv = attention->shape.n_kv_heads, b = pair / n_kv, h = pair % n_kv;
    const float *du = (is_k ? run->du : run->dw) + pair * run->n_stored * run->width;
    const struct ley_heads *x = is_k ? &codes->call->k : &codes->call->v;
    const struct ley_heads_out *dx = is_k ? &run->gradient->dk : &run->gradient->dv;
    struct ley_quantiser grid = ley_write_grid(&hardware->converter, hardware->cell.v_dd_v);
    const struct ley_scaler *scaler = &attention->scaler[signal][h];
    for (int64_t t = 0; t < codes->n_tokens; t++) {
        for (int d = 0; d < head_dim; d++) {
            worker->sums[d] = (double)du[t * run->width + d];
        }
        ley_heads_get(worker->row, x, b, h, t, head_dim);
        ley_scale(worker->scaled, worker->row, head_dim, scaler, NULL);
        follow_law(worker->sums, worker->scaled, run, &grid, head_dim);
        ley_input_backward(worker->sums, &run->dscaler[signal][pair], worker->row, worker->scaled,
                           scaler, &grid, head_dim);
        ley_heads_put(dx, b, h, t, worker->sums, head_dim);
    }
}

// Codes and rows, then shares of tiles, then what is left for each head and bank.
static void run_all(const struct run *run) {
    const struct ley_fixed_run *codes = &run->codes;
    int64_t n_steps = (codes->n_tokens + 63) / 64;
#pragma omp parallel
    {
        struct worker *mine = &run->worker[omp_get_thread_num()];
#pragma omp for schedule(dynamic) nowait
        for (int64_t head = 0; head < codes->n_heads; head++) {
            prepare_head(run, mine, head);
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < codes->n_pairs * n_steps; i++) {
            int64_t first = i % n_steps * 64;
            for (int64_t t = first; t < first + 64 && t < codes->n_tokens; t++) {
                ley_fixed_run_store(codes, i / n_steps, t, mine->v);
            }
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < codes->n_pairs * N_SHARES; i++) {
            run_share(mine, run, i / N_SHARES, (int)(i % N_SHARES));
        }
#pragma omp for schedule(dynamic) nowait
        for (int64_t head = 0; head < codes->n_heads; head++) {
            finish_head(mine, run, head);
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < 2 * codes->n_pairs; i++) {
            finish_pair(mine, run, i / 2, i % 2 ? LEY_SIGNAL_V : LEY_SIGNAL_K);
        }
    }
}

// Lays out the scratch of one thread.
static void place_worker(struct worker *worker, const struct run *run, void *block, size_t *at) {
    size_t n = (size_t)run->n_columns, width = (size_t)run->width, f = sizeof(float);
    for (int i = 0; i < N_PARTS; i++) {
        worker->values[i].u = ley_cut(block, at, n * width * f);
        worker->values[i].w = ley_cut(block, at, n * width * f);
    }
    worker->s = ley_cut(block, at, N_PARTS * LEY_BLOCK_ROWS * n * f);
    worker->phi = ley_cut(block, at, N_PARTS * LEY_BLOCK_ROWS * n * f);
    worker->g = ley_cut(block, at, LEY_BLOCK_ROWS * width * f);
    worker->row = ley_cut(block, at, width * sizeof(double));
    worker->scaled = ley_cut(block, at, width * sizeof(double));
    worker->sums = ley_cut(block, at, width * sizeof(double));
    worker->v = ley_cut(block, at, (size_t)run->codes.depth);
    ley_fixed_masks_place(&worker->masks, &run->codes, block, at);
    *at += ley_fixed_work_place(&worker->work, &run->codes.tiles[0],
                                block ? (char *)block + *at : NULL);
}

// Lays out everything. What is summed into comes last and is cleared: *clean is where it begins.
static size_t place(struct run *run, void *block, size_t *clean) {
    size_t rows = (size_t)(run->codes.n_heads * run->codes.n_tokens), at = 0;
    size_t row = (size_t)run->width * sizeof(float), n_pairs = (size_t)run->codes.n_pairs;
    const struct ley_attention *attention = run->codes.attention;
    ley_fixed_run_place(&run->codes, block, &at);
    *clean = at;
    for (int i = 0; i < run->n_threads; i++) {
        place_worker(&run->worker[i], run, block, &at);
    }
    run->q = ley_cut(block, &at, rows * row);
    run->dout = ley_cut(block, &at, rows * row);
    run->dq = ley_cut(block, &at, N_SHARES * rows * row);
    run->total = ley_cut(block, &at, N_SHARES * rows * row);
    run->du = ley_cut(block, &at, n_pairs * (size_t)run->n_stored * row);
    run->dw = ley_cut(block, &at, n_pairs * (size_t)run->n_stored * row);
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        size_t n = (size_t)run->codes.call->n_batch *
                   (size_t)ley_attention_n_heads(&attention->shape, (enum ley_signal)i);
        run->dscaler[i] = ley_cut(block, &at, n * sizeof(struct ley_scaler));
    }
    return at;
}

// What products take for the stored levels.
static void set_levels(struct run *run) {
    const struct ley_attention *attention = run->codes.attention;
    double slope = attention->hardware.cell.slope_a_per_v;
    for (int k = 0; k < attention->hardware.converter.kv_levels; k++) {
        double u_v = attention->fixed->u_v[k];
        run->level[k] =
            (float)(attention->follows_law ? ley_cell_current(attention->cell, u_v) / slope : u_v);
    }
}

// Memory, then the work.
static enum ley_status run_in(struct ley_attention_work *work, struct run *run) {
    enum { LINE = 64 };
    size_t clean;
    run->codes.tiles = ley_alloc((size_t)run->codes.n_pairs, sizeof *run->codes.tiles);
    run->worker = ley_alloc((size_t)run->n_threads, sizeof *run->worker);
    if (!run->codes.tiles || !run->worker) {
        return ley_fail_memory("gradients of attention", (size_t)run->codes.n_pairs,
                               sizeof *run->codes.tiles);
    }
    // Sizes of a tile's storage are known once tiles are laid out, so this comes before the rest.
    size_t n_tiles_only = 0;
    ley_fixed_run_place(&run->codes, NULL, &n_tiles_only);
    run->width = run->codes.tiles[0].n_rows;
    run->n_columns = run->codes.tiles[0].n_columns;
    run->n_stored = run->codes.n_laps * ley_hardware_ring(&run->codes.attention->hardware);
    size_t n = place(run, NULL, &clean) + LINE;
    if (n > work->n_bytes) {
        ley_free(work->block);
        work->block = ley_alloc(n, 1);
        work->n_bytes = work->block ? n : 0;
    }
    if (!work->block) {
        return ley_fail_memory("gradients of attention", n, 1);
    }
    char *first = work->block + (LINE - (uintptr_t)work->block % LINE) % LINE;
    size_t end = place(run, first, &clean);
    memset(first + clean, 0, end - clean);
    // The padding of tiles is read as levels and multiplied by zero.
    memset(first, 0, clean);
    run_all(run);
    ley_scaler_gradients_add(run->gradient, run->codes.attention, run->codes.call->n_batch,
                             run->dscaler);
    return LEY_OK;
}

enum ley_status ley_attention_backward_fast(const struct ley_attention_gradient *gradient,
                                            const struct ley_attention *attention,
                                            const struct ley_attention_call *call) {
    // In a shorter ring more laps of a tile than N_PARTS could be in sight of one block.
    bool is_short = ley_hardware_ring(&attention->hardware) < LEY_BLOCK_ROWS;
    // Laws are told in units of the linear slope.
    bool has_unit = !attention->follows_law || attention->hardware.cell.slope_a_per_v != 0;
    if (!attention->fixed || is_short || !has_unit) {
        return ley_attention_backward(gradient, attention, call);
    }
    struct ley_attention_call quiet = *call;
    quiet.trace = NULL;
    quiet.ledger = quiet.head_ledger = NULL;
    struct ley_attention_work own = {0};
    struct run run = {
        .codes = ley_fixed_run_of(attention, &quiet),
        .gradient = gradient,
        .n_threads = omp_get_max_threads(),
    };
    set_levels(&run);
    enum ley_status status = run_in(call->work ? call->work : &own, &run);
    ley_free(run.codes.tiles);
    ley_free(run.worker);
    ley_free(own.block);
    return status;
}
