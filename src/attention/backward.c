// backward.c - gradients of analog attention: the reference
//
// For each (sequence, key-value head), query head of its group, query t and tile n the forward pass
// is computed anew with the real cells (tile.c), in double, and then walked back (M22), with
// g = delta = u_scale * i_scale of the column's age; i(u) is slope * u and i' the slope, or, where
// gradients follow the law, i(u) and i'(u) of the cell itself:
//     y   = a O + b, O = sum_n value_n        dvalue_n = a dy for every tile
//     value = Q(clip(A / A_sat, -1, 1))       dA   = dvalue / A_sat where |A / A_sat| <= 1
//     A_d = sum_c phi_c g_c i(w_cd)           dphi_c = sum_d dA_d g_c i(w_cd)
//                                             dw_cd += dA_d g_c i'(w_cd) phi_c
//     phi = clip(S / S_sat, 0, 1)             dS   = dphi / S_sat where 0 <= S / S_sat <= 1
//     S_c = sum_d q'_d g_c i(u_cd)            dq'_d += dS_c g_c i(u_cd), du_cd += dS_c g_c i'(u_cd)
//     q'_d q' = Q(clip(a q + b))                   dq   = a dq' where a q + b is in range; likewise
//     k, v
// The clips see the true S and A. All sums run in ascending order of
// head, query, tile, column. O(B Hq T min(T, window) D) operations; memory O(T D) a thread.
#include "attention/backward.h"

#include <omp.h>
#include <string.h>

#include "array/clock.h"
#include "array/retention.h"
#include "array/tile.h"
#include "attention/backward_impl.h"
#include "circuit/dac.h"
#include "core/memory.h"

// Cells of all tokens of a head, (T, D) each: states [V], what products take for their currents [A]
// and slopes [A/V] when they are new, and gradients of states over all queries so far.
struct cells {
    double *u, *i, *slope, *du;
};

// What one thread works with, cut from one block.
struct scratch {
    double *block;
    struct cells k, v;
    double *s;                 // (T) scores of one query, by token
    double *phi;               // (columns of a tile)
    double *x;                 // (D) q, k or v as given
    double *scaled, *pulse;    // (D) of a query, before and after its converter
    double *sum, *a;           // (D) digital sum; output of one tile, before the clip
    double *dout, *dsum;       // (D)
    double *dpulse;            // (D)
    double *da;                // (D) of one tile
    struct ley_column *column; // (columns of a tile)
};

// One call: its arguments and what is prepared once for all heads.
struct run {
    const struct ley_attention *attention;
    struct ley_hardware hardware; // its own, but summing in double
    const struct ley_attention_call *call;
    const struct ley_attention_gradient *gradient;
    struct ley_decay *decay;                   // [lag]
    struct ley_scaler *dscaler[LEY_N_SIGNALS]; // [sequence * heads + head], added up at the end
    struct ley_quantiser pulse_grid, write_grid;
    int n_tiles;
};

// Inside its closed range a clip passes the gradient on.
static bool passes(double x, double low, double high) {
    return x >= low && x <= high;
}

// M22: the surrogate cell is linear, or follows its law.
static void differentiate(double *i, double *slope, const struct run *run, const double *u, int n) {
    const struct ley_attention *attention = run->attention;
    double linear = run->hardware.cell.slope_a_per_v;
    for (int d = 0; d < n; d++) {
        bool is_law = attention->follows_law;
        i[d] = is_law ? ley_cell_current(attention->cell, u[d]) : linear * u[d];
        slope[d] = is_law ? ley_cell_slope(attention->cell, u[d]) : linear;
    }
}

// Cells of one key-value head (M18, M9, M1), with no gradient yet.
static void store(struct cells *cells, const struct run *run, const struct ley_heads *x,
                  enum ley_signal signal, int64_t pair) {
    const struct ley_attention *attention = run->attention;
    int64_t b = pair / attention->shape.n_kv_heads, h = pair % attention->shape.n_kv_heads;
    int head_dim = attention->shape.head_dim;
    for (int64_t s = 0; s < run->call->n_tokens; s++) {
        int64_t at = s * head_dim;
        double *u = cells->u + at;
        ley_heads_get(u, x, b, h, s, head_dim);
        ley_scale(u, u, head_dim, &attention->scaler[signal][h], NULL);
        ley_dac_voltages(u, u, head_dim, &run->write_grid, NULL);
        for (int d = 0; d < head_dim; d++) {
            u[d] = ley_cell_write(attention->cell, u[d]);
        }
        differentiate(cells->i + at, cells->slope + at, run, u, head_dim);
    }
    memset(cells->du, 0, (size_t)(run->call->n_tokens * head_dim) * sizeof(double));
}

// M15: live columns of tile n as query t finds them; column p holds the newest token at or before t
// whose index leaves p when divided by the ring.
static int gather(struct scratch *scratch, const struct run *run, int64_t t, int n) {
    const struct ley_array_spec *array = &run->hardware.array;
    int64_t ring = ley_hardware_ring(&run->hardware);
    int64_t head_dim = run->attention->shape.head_dim, n_columns = array->n_columns;
    int n_live = 0;
    for (int64_t p = n * n_columns; p < (n + 1) * n_columns && p < ring && p <= t; p++) {
        int64_t lag = (t - p) % ring, s = t - lag;
        if (lag < array->window) {
            scratch->column[n_live++] = (struct ley_column){
                .k_u = scratch->k.u + s * head_dim,
                .v_u = scratch->v.u + s * head_dim,
                .decay = run->decay[lag],
                .token = s,
            };
        }
    }
    return n_live;
}

// From dA of one tile back to one of its columns: adds to the gradients of its cells and to dpulse.
static void column_backward(struct scratch *scratch, const struct run *run,
                            const struct ley_column *column, double phi) {
    int head_dim = run->attention->shape.head_dim;
    int64_t at = column->token * head_dim;
    const double *k_i = scratch->k.i + at, *k_slope = scratch->k.slope + at;
    const double *v_i = scratch->v.i + at, *v_slope = scratch->v.slope + at;
    double *dk_u = scratch->k.du + at, *dv_u = scratch->v.du + at;
    double g = column->decay.u_scale * column->decay.i_scale;
    // M12: A_d = sum over c of phi_c i(w_cd)
    double dphi = 0;
    for (int d = 0; d < head_dim; d++) {
        dphi += scratch->da[d] * (g * v_i[d]);
        dv_u[d] += scratch->da[d] * (g * v_slope[d] * phi);
    }
    // M11: phi = clip(S / S_sat, 0, 1), of the true S
    if (!passes(scratch->s[column->token], 0, 1)) {
        return;
    }
    double ds = dphi / run->hardware.converter.score_i_sat_a;
    // M10: S_c = sum over d of q'_d i(u_cd)
    for (int d = 0; d < head_dim; d++) {
        scratch->dpulse[d] += ds * (g * k_i[d]);
        dk_u[d] += ds * (g * k_slope[d] * scratch->pulse[d]);
    }
}

// One tile forward, then back.
static void run_tile(struct scratch *scratch, const struct run *run, int n_live) {
    const struct ley_attention *attention = run->attention;
    int head_dim = attention->shape.head_dim;
    const struct ley_tile_spec tile = {&run->hardware, attention->cell, head_dim};
    const struct ley_tile_trace trace = {.s = scratch->s, .a = scratch->a};
    ley_tile_read(scratch->sum, &tile, scratch->pulse, scratch->column, n_live, scratch->phi,
                  &trace, NULL);
    // M13: value = Q(clip(A / A_sat, -1, 1)); Q and the counter's end (M14) pass straight through
    for (int d = 0; d < head_dim; d++) {
        bool is_open = passes(scratch->a[d], -1, 1);
        scratch->da[d] = is_open ? scratch->dsum[d] / run->hardware.converter.output_i_sat_a : 0;
    }
    for (int c = 0; c < n_live; c++) {
        column_backward(scratch, run, &scratch->column[c], scratch->phi[c]);
    }
}

void ley_input_backward(double *dx, struct ley_scaler *dscaler, const double *x,
                        const double *scaled, const struct ley_scaler *scaler,
                        const struct ley_quantiser *grid, int n) {
    for (int d = 0; d < n; d++) {
        dx[d] = passes(scaled[d], grid->low, grid->high) ? dx[d] : 0;
    }
    ley_scale_gradient(dscaler, dx, x, n, scaler);
    ley_scale_input_gradient(dx, dx, n, scaler);
}

// One query of one head: adds to the gradients of cells and scalers' gradients, writes dq.
static void run_query(struct scratch *scratch, const struct run *run, int64_t head, int64_t t) {
    const struct ley_attention *attention = run->attention;
    int head_dim = attention->shape.head_dim;
    int64_t b = head / attention->shape.n_query_heads, h = head % attention->shape.n_query_heads;
    size_t n_bytes = (size_t)head_dim * sizeof(double);
    const struct ley_scaler *scale_q = &attention->scaler[LEY_SIGNAL_Q][h];
    const struct ley_scaler *scale_out = &attention->scaler[LEY_SIGNAL_OUTPUT][h];

    // (1) as in the forward pass; dO = a dy is the same for every tile
    ley_heads_get(scratch->x, &run->call->q, b, h, t, head_dim);
    ley_scale(scratch->scaled, scratch->x, head_dim, scale_q, NULL);
    ley_dac_pulses(scratch->pulse, scratch->scaled, head_dim, &run->pulse_grid, NULL);
    ley_heads_get(scratch->dout, &run->gradient->dout, b, h, t, head_dim);
    ley_scale_input_gradient(scratch->dsum, scratch->dout, head_dim, scale_out);
    memset(scratch->sum, 0, n_bytes);
    memset(scratch->dpulse, 0, n_bytes);
    // (2) tiles in ascending order, forward and back
    for (int n = 0; n < run->n_tiles; n++) {
        int n_live = gather(scratch, run, t, n);
        if (n_live > 0) {
            run_tile(scratch, run, n_live);
        }
    }
    // (3) y = a O + b with the sum as counted; q' = Q(clip(a q + b, 0, 1))
    ley_scale_gradient(&run->dscaler[LEY_SIGNAL_OUTPUT][head], scratch->dout, scratch->sum,
                       head_dim, scale_out);
    ley_input_backward(scratch->dpulse, &run->dscaler[LEY_SIGNAL_Q][head], scratch->x,
                       scratch->scaled, scale_q, &run->pulse_grid, head_dim);
    ley_heads_put(&run->gradient->dq, b, h, t, scratch->dpulse, head_dim);
}

// From du of all tokens of one key-value head to k or v and its scaler:
// u = Q(clip(a x + b, 0, V_DD)) - V_ref. Consumes du.
static void store_backward(const struct ley_heads_out *dx, double *du, struct scratch *scratch,
                           const struct run *run, const struct ley_heads *x, enum ley_signal signal,
                           int64_t pair) {
    const struct ley_attention *attention = run->attention;
    int64_t b = pair / attention->shape.n_kv_heads, h = pair % attention->shape.n_kv_heads;
    int head_dim = attention->shape.head_dim;
    const struct ley_scaler *scaler = &attention->scaler[signal][h];
    for (int64_t s = 0; s < run->call->n_tokens; s++) {
        ley_heads_get(scratch->x, x, b, h, s, head_dim);
        ley_scale(scratch->scaled, scratch->x, head_dim, scaler, NULL);
        ley_input_backward(du + s * head_dim, &run->dscaler[signal][pair], scratch->x,
                           scratch->scaled, scaler, &run->write_grid, head_dim);
        ley_heads_put(dx, b, h, s, du + s * head_dim, head_dim);
    }
}

// One key-value head of one sequence: its query heads add to the same cells, in order.
static void run_pair(struct scratch *scratch, const struct run *run, int64_t pair) {
    const struct ley_attention_shape *shape = &run->attention->shape;
    const struct ley_attention_call *call = run->call;
    int64_t n_group = shape->n_query_heads / shape->n_kv_heads;
    store(&scratch->k, run, &call->k, LEY_SIGNAL_K, pair);
    store(&scratch->v, run, &call->v, LEY_SIGNAL_V, pair);
    for (int64_t head = pair * n_group; head < (pair + 1) * n_group; head++) {
        for (int64_t t = 0; t < call->n_tokens; t++) {
            run_query(scratch, run, head, t);
        }
    }
    store_backward(&run->gradient->dk, scratch->k.du, scratch, run, &call->k, LEY_SIGNAL_K, pair);
    store_backward(&run->gradient->dv, scratch->v.du, scratch, run, &call->v, LEY_SIGNAL_V, pair);
}

// The next n doubles of a block.
static double *cut(double **rest, size_t n) {
    double *part = *rest;
    *rest += n;
    return part;
}

// Scratch of one thread. On failure the caller releases what there is.
static bool allocate(struct scratch *scratch, const struct run *run) {
    size_t n_tokens = (size_t)run->call->n_tokens;
    size_t head_dim = (size_t)run->attention->shape.head_dim;
    size_t n_columns = (size_t)run->hardware.array.n_columns;
    struct cells *k = &scratch->k, *v = &scratch->v;
    double **rows[] = {&k->u, &k->i, &k->slope, &k->du, &v->u, &v->i, &v->slope, &v->du};
    double **wide[] = {&scratch->x,    &scratch->scaled, &scratch->pulse,
                       &scratch->sum,  &scratch->a,      &scratch->dout,
                       &scratch->dsum, &scratch->dpulse, &scratch->da};
    enum { N_ROWS = sizeof rows / sizeof rows[0], N_WIDE = sizeof wide / sizeof wide[0] };
    scratch->block =
        ley_alloc((N_ROWS * n_tokens + N_WIDE) * head_dim + n_tokens + n_columns, sizeof(double));
    scratch->column = ley_alloc(n_columns, sizeof(struct ley_column));
    if (!scratch->block || !scratch->column) {
        return false;
    }
    double *rest = scratch->block;
    for (int i = 0; i < N_ROWS; i++) {
        *rows[i] = cut(&rest, n_tokens * head_dim);
    }
    for (int i = 0; i < N_WIDE; i++) {
        *wide[i] = cut(&rest, head_dim);
    }
    scratch->s = cut(&rest, n_tokens);
    scratch->phi = cut(&rest, n_columns);
    return true;
}

// All that can fail happens here, before the first head.
static enum ley_status prepare(struct run *run, struct scratch **scratch, int n_threads) {
    const struct ley_attention *attention = run->attention;
    const struct ley_hardware *hardware = &run->hardware;
    int64_t n_tokens = run->call->n_tokens;
    // Lags beyond the window are gated and need no decay.
    int64_t n_lags = n_tokens < hardware->array.window ? n_tokens : hardware->array.window;
    *scratch = ley_alloc((size_t)n_threads, sizeof **scratch);
    run->decay = ley_alloc((size_t)n_lags, sizeof *run->decay);
    bool is_ready = *scratch && run->decay;
    for (int i = 0; is_ready && i < LEY_N_SIGNALS; i++) {
        int64_t n =
            run->call->n_batch * ley_attention_n_heads(&attention->shape, (enum ley_signal)i);
        run->dscaler[i] = ley_alloc((size_t)n, sizeof(struct ley_scaler));
        is_ready = run->dscaler[i];
    }
    for (int i = 0; is_ready && i < n_threads; i++) {
        is_ready = allocate(&(*scratch)[i], run);
    }
    if (!is_ready) {
        return ley_fail_memory("gradients of attention", (size_t)n_tokens,
                               8 * sizeof(double) * (size_t)attention->shape.head_dim);
    }
    for (int64_t lag = 0; lag < n_lags; lag++) {
        int64_t age = ley_refresh_age(attention->refresh_tokens, lag);
        run->decay[lag] =
            ley_cell_decay(attention->cell, ley_clock_age_s(age, hardware->time.token_period_s));
    }
    return LEY_OK;
}

void ley_scaler_gradients_add(const struct ley_attention_gradient *gradient,
                              const struct ley_attention *attention, int64_t n_batch,
                              struct ley_scaler *const dscaler[LEY_N_SIGNALS]) {
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        int n_heads = ley_attention_n_heads(&attention->shape, (enum ley_signal)i);
        struct ley_scaler *total = gradient->dscaler[i];
        for (int64_t j = 0; total && j < n_batch * n_heads; j++) {
            total[j % n_heads].a += dscaler[i][j].a;
            total[j % n_heads].b += dscaler[i][j].b;
        }
    }
}

// Also of a run that was prepared in part.
static void release(struct run *run, struct scratch *scratch, int n_threads) {
    for (int i = 0; scratch && i < n_threads; i++) {
        ley_free(scratch[i].block);
        ley_free(scratch[i].column);
    }
    ley_free(scratch);
    ley_free(run->decay);
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        ley_free(run->dscaler[i]);
    }
}

// M22. A pair owns its rows of dq, dk, dv and its entries of run.dscaler, so threads share nothing.
enum ley_status ley_attention_backward(const struct ley_attention_gradient *gradient,
                                       const struct ley_attention *attention,
                                       const struct ley_attention_call *call) {
    const struct ley_hardware *hardware = &attention->hardware;
    struct run run = {
        .attention = attention,
        .hardware = *hardware,
        .call = call,
        .gradient = gradient,
        .pulse_grid = ley_pulse_grid(&hardware->converter),
        .write_grid = ley_write_grid(&hardware->converter, hardware->cell.v_dd_v),
        .n_tiles = ley_attention_n_tiles(hardware, call->n_tokens),
    };
    run.hardware.array.arithmetic = LEY_ARITHMETIC_DOUBLE;
    struct scratch *scratch = NULL;
    int n_threads = omp_get_max_threads();
    enum ley_status status = prepare(&run, &scratch, n_threads);
    if (status == LEY_OK) {
        int64_t n_pairs = call->n_batch * attention->shape.n_kv_heads;
#pragma omp parallel for schedule(dynamic)
        for (int64_t pair = 0; pair < n_pairs; pair++) {
            run_pair(&scratch[omp_get_thread_num()], &run, pair);
        }
        ley_scaler_gradients_add(gradient, attention, call->n_batch, run.dscaler);
    }
    release(&run, scratch, n_threads);
    return status;
}
