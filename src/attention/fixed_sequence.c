// fixed_sequence.c - attention over a whole sequence, in integers (M21)
//
// One pass: codes of all tokens are stored tile by tile, in laps of the ring; then blocks of
// LEY_BLOCK_ROWS queries go through the tiles that they see. Nothing of size T x T exists. Threads
// share (head, block) items; all sums over items are sums of integers, except the charge of K,
// which is summed over the tokens of each bank in order.
#include <omp.h>
#include <string.h>

#include "array/clock.h"
#include "attention/fixed_impl.h"
#include "core/memory.h"
#include "event/ledger.h"

struct run {
    const struct ley_attention *attention;
    const struct ley_attention_call *call;
    int64_t n_pairs, n_heads, n_group; // banks, query heads, of one bank
    int64_t n_tokens, n_blocks, n_laps;
    int n_tiles, depth;           // of the ring; codes of a row of q or k
    struct ley_code_tiles *tiles; // [n_pairs]
    uint8_t *q, *k;               // (n_heads, T, depth), (n_pairs, T, depth)
    float *q_sum;                 // (n_heads, T)
    double *k_charge;             // [n_pairs]
};

// What one thread works with.
struct worker {
    struct ley_fixed_work work;
    struct ley_fixed_tally tally;
    double *row;                      // (depth)
    uint8_t *v;                       // (depth)
    double *powers, *weighted;        // (4, depth), (depth)
    float *masked, *masked_magnitude; // (rows, 1 + terms, columns), for tiles with padding
    int64_t *lag;                     // (columns)
};

// Memory of a call, kept from call to call when the caller wants it: it only grows.
struct ley_attention_work {
    char *block;
    size_t n_bytes;
    struct ley_code_tiles *tiles; // [n_tiles], one for each bank
    struct worker *worker;        // [n_workers]
    int64_t n_tiles;
    int n_workers;
};

// Codes of token t of one bank, into its tile.
static void store_token(struct worker *worker, const struct run *run, int64_t pair, int64_t t) {
    const struct ley_attention *attention = run->attention;
    int64_t ring = ley_hardware_ring(&attention->hardware);
    int64_t n_kv = attention->shape.n_kv_heads;
    int n_columns = attention->hardware.array.n_columns;
    uint8_t *k = run->k + (pair * run->n_tokens + t) * run->depth;
    struct ley_fixed_row row = {LEY_SIGNAL_K, pair / n_kv, pair % n_kv, t, t};
    ley_fixed_encode(k, run->depth, attention, &run->call->k, &row, run->call->trace);
    row.signal = LEY_SIGNAL_V;
    ley_fixed_encode(worker->v, run->depth, attention, &run->call->v, &row, run->call->trace);
    int64_t tile = t / ring * run->n_tiles + t % ring / n_columns;
    ley_code_tiles_write(&run->tiles[pair], tile, (int)(t % ring % n_columns), k, worker->v);
}

// Codes of all queries of one head.
static void encode_queries(const struct run *run, int64_t head) {
    const struct ley_attention *attention = run->attention;
    int64_t n_q = attention->shape.n_query_heads;
    for (int64_t t = 0; t < run->n_tokens; t++) {
        uint8_t *q = run->q + (head * run->n_tokens + t) * run->depth;
        const struct ley_fixed_row row = {LEY_SIGNAL_Q, head / n_q, head % n_q, t, t};
        ley_fixed_encode(q, run->depth, attention, &run->call->q, &row, run->call->trace);
        run->q_sum[head * run->n_tokens + t] = ley_fixed_pulse_sum(q, run->depth);
    }
}

// Charge through K: running sums over the tokens of a bank, weighed by each query's pulses.
static void sum_charge(struct worker *worker, const struct run *run, int64_t pair) {
    const struct ley_fixed *fixed = run->attention->fixed;
    const struct ley_kernels *kernels = run->attention->kernels;
    const uint8_t *k = run->k + pair * run->n_tokens * run->depth;
    struct ley_powers powers = {
        .n = run->depth,
        .top = fixed->hardware->converter.kv_levels - 1,
        .sum = worker->powers,
        .weighted = worker->weighted,
    };
    double period_s = fixed->hardware->time.token_period_s;
    ley_fixed_powers(powers.keep, fixed, ley_clock_age_s(1, period_s));
    ley_fixed_powers(powers.gone, fixed, ley_clock_age_s(fixed->n_lags, period_s));
    memcpy(powers.factor, fixed->factor, sizeof powers.factor);
    memset(worker->powers, 0, 4 * (size_t)run->depth * sizeof(double));
    double sum = 0;
    for (int64_t t = 0; t < run->n_tokens; t++) {
        powers.in = k + t * run->depth;
        powers.out = t >= fixed->n_lags ? k + (t - fixed->n_lags) * run->depth : NULL;
        kernels->powers(&powers);
        for (int64_t head = pair * run->n_group; head < (pair + 1) * run->n_group; head++) {
            const struct ley_weigh_pulses weigh = {
                run->depth, run->q + (head * run->n_tokens + t) * run->depth, worker->weighted};
            sum += kernels->weigh_pulses(&weigh);
        }
    }
    run->k_charge[pair] = sum;
}

// Part of a tile that one lap of the ring has written.
struct part {
    int64_t stored; // tile of struct ley_code_tiles
    int64_t first;  // token of column 0
    int n_tokens;   // columns
};

// Coefficients with zeros where columns are padding: only tiles narrower than their storage.
static const float *mask(float *masked, const struct run *run, const float *table, int64_t age,
                         const struct part *part, int n_rows) {
    const struct ley_fixed *fixed = run->attention->fixed;
    int64_t n = run->tiles[0].n_columns, n_terms = 1 + fixed->n_terms;
    memset(masked, 0, (size_t)(n_rows * n_terms * n) * sizeof *masked);
    for (int r = 0; r < n_rows; r++) {
        for (int64_t j = 0; j < n_terms; j++) {
            const float *row = ley_fixed_row(fixed, table, age + r) + j * fixed->table_term;
            memcpy(masked + (r * n_terms + j) * n, row, (size_t)part->n_tokens * sizeof *row);
        }
    }
    return masked;
}

// Fills the coefficients of a read of a part by queries t, t + 1, ...
static void find_coefficients(struct ley_fixed_read *read, struct worker *worker,
                              const struct run *run, const struct part *part, int64_t t) {
    const struct ley_fixed *fixed = run->attention->fixed;
    int64_t age = t - part->first, n = run->tiles[0].n_columns;
    read->lag = NULL;
    for (int c = 0; fixed->flip_lag < fixed->n_lags && c < n; c++) {
        read->lag = worker->lag;
        worker->lag[c] = age - c;
    }
    if (part->n_tokens == n) {
        read->coefficient = ley_fixed_row(fixed, fixed->coefficient, age);
        read->magnitude = fixed->magnitude ? ley_fixed_row(fixed, fixed->magnitude, age) : NULL;
        read->term = fixed->table_term;
        read->row = -1;
        return;
    }
    read->coefficient = mask(worker->masked, run, fixed->coefficient, age, part, read->n_rows);
    read->magnitude = fixed->magnitude ? mask(worker->masked_magnitude, run, fixed->magnitude, age,
                                              part, read->n_rows)
                                       : NULL;
    read->term = n;
    read->row = n * (1 + fixed->n_terms);
}

// One tile of the chip for one block of queries; false when none of its columns is live.
static bool read_tile(struct worker *worker, const struct run *run, struct ley_fixed_read *read,
                      struct ley_fixed_note *note, int n) {
    const struct ley_hardware *hardware = &run->attention->hardware;
    const struct ley_kernels *kernels = run->attention->kernels;
    const struct ley_code_tiles *tiles = &run->tiles[note->head / run->n_group];
    struct ley_fixed_tally *tally = run->call->ledger ? &worker->tally : NULL;
    int64_t ring = ley_hardware_ring(hardware), width = hardware->array.n_columns;
    int64_t oldest = note->t - hardware->array.window + 1, newest = note->t + read->n_rows - 1;
    int64_t first_column = n * width;
    int64_t n_tokens = first_column + width <= ring ? width : ring - first_column;
    bool is_dark = true;
    for (int64_t lap = oldest > 0 ? oldest / ring : 0; lap < run->n_laps; lap++) {
        struct part part = {lap * run->n_tiles + n, lap * ring + first_column, (int)n_tokens};
        if (part.first > newest || part.first + n_tokens <= oldest) {
            continue;
        }
        if (is_dark) {
            ley_fixed_tile_begin(&worker->work, tiles, read->n_rows);
        }
        is_dark = false;
        find_coefficients(read, worker, run, &part, note->t);
        ley_fixed_tile_read(&worker->work, kernels, tiles, part.stored, read, tally);
        if (run->call->trace) {
            note->first = part.first;
            note->n_tokens = n_tokens;
            for (int r = 0; r < read->n_rows; r++) {
                ley_fixed_note_scores(run->call->trace, run->attention, &worker->work, r, note);
            }
        }
    }
    if (!is_dark) {
        ley_fixed_tile_end(&worker->work, kernels, tiles, read->n_rows, tally);
    }
    return !is_dark;
}

// M18: the sums over tiles, scaled.
static void put_outputs(struct worker *worker, const struct run *run, int64_t head, int64_t t,
                        int n_rows) {
    const struct ley_attention *attention = run->attention;
    int64_t n_q = attention->shape.n_query_heads, h = head % n_q;
    for (int r = 0; r < n_rows; r++) {
        ley_fixed_total(worker->row, &worker->work, &run->tiles[0], r);
        ley_scale(worker->row, worker->row, attention->shape.head_dim,
                  &attention->scaler[LEY_SIGNAL_OUTPUT][h], NULL);
        ley_heads_put(&run->call->out, head / n_q, h, t + r, worker->row,
                      attention->shape.head_dim);
    }
}

// One block of queries of one head through all tiles.
static void run_block(struct worker *worker, const struct run *run, int64_t head, int64_t block) {
    int64_t t = block * LEY_BLOCK_ROWS, left = run->n_tokens - t;
    const struct ley_code_tiles *tiles = &run->tiles[head / run->n_group];
    struct ley_fixed_read read = {
        .n_rows = left < LEY_BLOCK_ROWS ? (int)left : LEY_BLOCK_ROWS,
        .pulse = run->q + (head * run->n_tokens + t) * run->depth,
        .pulse_sum = run->q_sum + head * run->n_tokens + t,
    };
    struct ley_fixed_note note = {.head = head, .t = t, .tiles = tiles};
    ley_fixed_begin(&worker->work, tiles, read.n_rows);
    for (int n = 0; n < run->n_tiles; n++) {
        note.n = n;
        bool is_read = read_tile(worker, run, &read, &note, n);
        for (int r = 0; is_read && run->call->trace && r < read.n_rows; r++) {
            ley_fixed_note_outputs(run->call->trace, run->attention, &worker->work, r, &note);
        }
    }
    put_outputs(worker, run, head, t, read.n_rows);
}

// Codes first, then blocks; false when stopped.
static bool run_all(struct worker *worker, const struct run *run) {
    const struct ley_progress *progress = run->call->progress;
    bool has_charge = run->call->ledger && run->attention->fixed->has_powers, is_stopped = false;
    int64_t n_done = 0, n_steps = (run->n_tokens + 63) / 64;
#pragma omp parallel
    {
        struct worker *mine = &worker[omp_get_thread_num()];
#pragma omp for schedule(dynamic) nowait
        for (int64_t head = 0; head < run->n_heads; head++) {
            encode_queries(run, head);
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < run->n_pairs * n_steps; i++) {
            int64_t first = i % n_steps * 64;
            for (int64_t t = first; t < first + 64 && t < run->n_tokens; t++) {
                store_token(mine, run, i / n_steps, t);
            }
        }
#pragma omp for schedule(dynamic) nowait
        for (int64_t pair = 0; pair < (has_charge ? run->n_pairs : 0); pair++) {
            sum_charge(mine, run, pair);
        }
        // Late blocks see most tokens: they go first.
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < run->n_heads * run->n_blocks; i++) {
            bool skip;
#pragma omp atomic read
            skip = is_stopped;
            if (skip) {
                continue;
            }
            run_block(mine, run, i % run->n_heads, run->n_blocks - 1 - i / run->n_heads);
            if (progress) {
#pragma omp critical(ley_progress)
                if (!progress->report(progress->context, ++n_done, run->n_heads * run->n_blocks)) {
#pragma omp atomic write
                    is_stopped = true;
                }
            }
        }
    }
    return !is_stopped;
}

// Lays out the scratch of one thread at *at of the block.
static void place_worker(struct worker *worker, const struct run *run, void *block, size_t *at) {
    const struct ley_code_tiles *tiles = &run->tiles[0];
    size_t depth = (size_t)run->depth, n_columns = (size_t)tiles->n_columns;
    size_t n_masked = LEY_BLOCK_ROWS * (1 + (size_t)run->attention->fixed->n_terms) * n_columns;
    worker->row = ley_cut(block, at, depth * sizeof(double));
    worker->v = ley_cut(block, at, depth);
    worker->powers = ley_cut(block, at, 4 * depth * sizeof(double));
    worker->weighted = ley_cut(block, at, depth * sizeof(double));
    worker->masked = ley_cut(block, at, n_masked * sizeof(float));
    worker->masked_magnitude = ley_cut(block, at, n_masked * sizeof(float));
    worker->lag = ley_cut(block, at, n_columns * sizeof(int64_t));
    worker->tally = (struct ley_fixed_tally){0};
    *at += ley_fixed_work_place(&worker->work, tiles, block ? (char *)block + *at : NULL);
}

// Lays out everything; returns the bytes needed. run->tiles and worker are outside the block.
static size_t place(struct run *run, struct worker *worker, int n_threads, void *block) {
    size_t rows = (size_t)(run->n_heads * run->n_tokens), at = 0;
    size_t k_rows = (size_t)(run->n_pairs * run->n_tokens), depth = (size_t)run->depth;
    run->q = ley_cut(block, &at, rows * depth);
    run->k = ley_cut(block, &at, k_rows * depth);
    run->q_sum = ley_cut(block, &at, rows * sizeof(float));
    run->k_charge = ley_cut(block, &at, (size_t)run->n_pairs * sizeof(double));
    for (int64_t pair = 0; pair < run->n_pairs; pair++) {
        at += ley_code_tiles_place(&run->tiles[pair], run->attention->fixed,
                                   run->n_laps * run->n_tiles, block ? (char *)block + at : NULL);
    }
    for (int i = 0; i < n_threads; i++) {
        place_worker(&worker[i], run, block, &at);
    }
    return at;
}

// Arrays of what the block is laid out into.
static enum ley_status reserve_parts(struct ley_attention_work *work, int64_t n_tiles,
                                     int n_workers) {
    if (n_tiles > work->n_tiles) {
        ley_free(work->tiles);
        work->tiles = ley_alloc((size_t)n_tiles, sizeof *work->tiles);
        work->n_tiles = work->tiles ? n_tiles : 0;
    }
    if (n_workers > work->n_workers) {
        ley_free(work->worker);
        work->worker = ley_alloc((size_t)n_workers, sizeof *work->worker);
        work->n_workers = work->worker ? n_workers : 0;
    }
    return work->tiles && work->worker
               ? LEY_OK
               : ley_fail_memory("attention", (size_t)n_tiles, sizeof *work->tiles);
}

// Makes everything large enough and lays it out.
static enum ley_status reserve(struct ley_attention_work *work, struct run *run, int n_threads) {
    enum { LINE = 64 };
    LEY_TRY(reserve_parts(work, run->n_pairs, n_threads));
    run->tiles = work->tiles;
    size_t n = place(run, work->worker, n_threads, NULL) + LINE;
    if (n > work->n_bytes) {
        ley_free(work->block);
        work->block = ley_alloc(n, 1);
        work->n_bytes = work->block ? n : 0;
    }
    if (!work->block) {
        return ley_fail_memory("codes of a sequence", n, 1);
    }
    place(run, work->worker, n_threads,
          work->block + (LINE - (uintptr_t)work->block % LINE) % LINE);
    return LEY_OK;
}

// Counts of all heads and tokens into the ledger.
static void post(const struct run *run, const struct worker *worker, int n_threads) {
    const struct ley_hardware *hardware = &run->attention->hardware;
    struct ley_fixed_tally tally = {0};
    struct ley_fixed_counts counts = {
        .n_written = run->n_pairs * run->n_tokens,
        .n_queries = run->n_heads * run->n_tokens,
    };
    for (int i = 0; i < n_threads; i++) {
        ley_fixed_tally_add(&tally, &worker[i].tally);
    }
    for (int64_t t = 0; t < run->n_tokens; t++) {
        int64_t n_tiles = ley_fixed_live_tiles(hardware, t), window = hardware->array.window;
        counts.n_live += run->n_heads * (t + 1 < window ? t + 1 : window);
        counts.n_tiles += run->n_heads * n_tiles;
        for (int64_t head = 0; head < run->n_heads; head++) {
            counts.pulse_tiles += (int64_t)run->q_sum[head * run->n_tokens + t] * n_tiles;
        }
    }
    for (int64_t pair = 0; pair < run->n_pairs; pair++) {
        counts.k_charge += run->k_charge[pair];
    }
    ley_fixed_tally_post(run->call->ledger, &tally, run->attention->fixed, counts.n_live);
    ley_fixed_counts_post(run->call->ledger, &counts, run->attention->fixed);
}

// In the caller's work or one of the call; `run` is complete but for its memory.
static enum ley_status run_in(struct ley_attention_work *work, struct run *run) {
    int n_threads = omp_get_max_threads();
    LEY_TRY(reserve(work, run, n_threads));
    if (!run_all(work->worker, run)) {
        return ley_fail(LEY_E_INTERRUPTED, "stopped on request");
    }
    if (run->call->ledger) {
        post(run, work->worker, n_threads);
    }
    return LEY_OK;
}

// Frees what a work holds, not the work.
static void release(struct ley_attention_work *work) {
    ley_free(work->block);
    ley_free(work->tiles);
    ley_free(work->worker);
}

enum ley_status ley_fixed_forward(const struct ley_attention *attention,
                                  const struct ley_attention_call *call) {
    const struct ley_attention_shape *shape = &attention->shape;
    int64_t ring = ley_hardware_ring(&attention->hardware);
    struct ley_attention_work own = {0};
    struct run run = {
        .attention = attention,
        .call = call,
        .n_pairs = call->n_batch * shape->n_kv_heads,
        .n_heads = call->n_batch * shape->n_query_heads,
        .n_group = shape->n_query_heads / shape->n_kv_heads,
        .n_tokens = call->n_tokens,
        .n_blocks = (call->n_tokens + LEY_BLOCK_ROWS - 1) / LEY_BLOCK_ROWS,
        .n_laps = (call->n_tokens + ring - 1) / ring,
        .n_tiles = ley_attention_n_tiles(&attention->hardware, call->n_tokens),
        .depth = (shape->head_dim + 7) / 8 * 8,
    };
    enum ley_status status = run_in(call->work ? call->work : &own, &run);
    release(&own);
    return status;
}

enum ley_status ley_attention_work_create(struct ley_attention_work **work) {
    *work = ley_alloc(1, sizeof **work);
    return *work ? LEY_OK : ley_fail_memory("work of attention", 1, sizeof **work);
}

size_t ley_attention_work_bytes(const struct ley_attention_work *work) {
    return work->n_bytes + (size_t)work->n_tiles * sizeof *work->tiles +
           (size_t)work->n_workers * sizeof *work->worker;
}

void ley_attention_work_destroy(struct ley_attention_work *work) {
    if (work) {
        release(work);
        ley_free(work);
    }
}
