// fixed_sequence.c - attention over a whole sequence, in integers (M21)
//
// One pass: codes of all tokens are stored tile by tile, in laps of the ring; then blocks of
// LEY_BLOCK_ROWS queries go through the tiles that they see. Nothing of size T x T exists. Threads
// share (head, block) items; all sums over items are sums of integers, except the charge of K,
// which is summed over the tokens of each bank in order.
#include <omp.h>
#include <string.h>

#include "array/clock.h"
#include "array/retention.h"
#include "attention/fixed_run_impl.h"
#include "core/memory.h"
#include "event/ledger.h"

// The run and what only this pass sums.
struct run {
    struct ley_fixed_run codes;
    double *k_charge, *head_charge; // [n_pairs], [n_heads]
};

// What one thread works with.
struct worker {
    struct ley_fixed_work work;
    struct ley_fixed_tally *tally; // [n_query_heads]
    double *row;                   // (depth)
    uint8_t *v;                    // (depth)
    double *powers, *weighted;     // (4, depth), (depth)
    struct ley_fixed_masks masks;
};

// Charge through K: running sums over the tokens of a bank, weighed by each query's pulses.
static void sum_charge(struct worker *worker, const struct run *all, int64_t pair) {
    const struct ley_fixed_run *run = &all->codes;
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
    memset(all->head_charge + pair * run->n_group, 0, (size_t)run->n_group * sizeof(double));
    double sum = 0;
    for (int64_t t = 0; t < run->n_tokens; t++) {
        powers.in = k + t * run->depth;
        powers.out = t >= fixed->n_lags ? k + (t - fixed->n_lags) * run->depth : NULL;
        kernels->powers(&powers);
        for (int64_t head = pair * run->n_group;
             t >= run->first && head < (pair + 1) * run->n_group; head++) {
            const struct ley_weigh_pulses weigh = {
                run->depth, run->q + (head * run->n_tokens + t) * run->depth, worker->weighted};
            double charge = kernels->weigh_pulses(&weigh);
            sum += charge;
            all->head_charge[head] += charge;
        }
    }
    all->k_charge[pair] = sum;
}

// One tile of the chip for one block of queries; false when none of its columns is live.
static bool read_tile(struct worker *worker, const struct ley_fixed_run *run,
                      struct ley_fixed_read *read, struct ley_fixed_note *note, int n) {
    const struct ley_kernels *kernels = run->attention->kernels;
    const struct ley_code_tiles *tiles = &run->tiles[note->head / run->n_group];
    int64_t h = note->head % run->attention->shape.n_query_heads;
    struct ley_fixed_tally *tally = run->call->ledger ? &worker->tally[h] : NULL;
    struct ley_fixed_part part;
    bool is_dark = true;
    for (int64_t lap = ley_fixed_run_lap(run, note->t); lap < run->n_laps; lap++) {
        if (!ley_fixed_run_part(&part, run, n, lap, note->t, read->n_rows)) {
            continue;
        }
        if (is_dark) {
            ley_fixed_tile_begin(&worker->work, tiles, read->n_rows);
        }
        is_dark = false;
        ley_fixed_run_coefficients(read, &worker->masks, run, &part, note->t);
        ley_fixed_tile_read(&worker->work, kernels, tiles, part.stored, read, tally);
        for (int r = 0; run->call->trace && r < read->n_rows; r++) {
            note->first = part.first;
            note->n_tokens = part.n_tokens;
            ley_fixed_note_scores(run->call->trace, run->attention, &worker->work, r, note);
        }
    }
    if (!is_dark) {
        ley_fixed_tile_end(&worker->work, kernels, tiles, read->n_rows, tally);
    }
    return !is_dark;
}

// M18: the sums over tiles, scaled.
static void put_outputs(struct worker *worker, const struct ley_fixed_run *run, int64_t head,
                        int64_t t, int n_rows) {
    const struct ley_attention *attention = run->attention;
    int64_t n_q = attention->shape.n_query_heads, h = head % n_q;
    for (int r = 0; r < n_rows; r++) {
        ley_fixed_total(worker->row, &worker->work, &run->tiles[0], r);
        ley_scale(worker->row, worker->row, attention->shape.head_dim,
                  &attention->scaler[LEY_SIGNAL_OUTPUT][h], NULL);
        ley_heads_put(&run->call->out, head / n_q, h, t + r - run->first, worker->row,
                      attention->shape.head_dim);
    }
}

// One block of queries of one head through all tiles; item 0 is a late one.
static void run_block(struct worker *worker, const struct ley_fixed_run *run, int64_t item) {
    struct ley_fixed_block block =
        ley_fixed_run_block(run, run->n_blocks - 1 - item / run->n_heads);
    int64_t t = block.t, head = item % run->n_heads;
    const struct ley_code_tiles *tiles = &run->tiles[head / run->n_group];
    struct ley_fixed_read read = {
        .n_rows = block.n_rows,
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
static bool run_all(struct worker *worker, const struct run *all) {
    const struct ley_fixed_run *run = &all->codes;
    const struct ley_progress *progress = run->call->progress;
    bool has_charge = run->call->ledger && run->attention->fixed->has_powers, is_stopped = false;
    int64_t n_done = 0, n_steps = (run->n_tokens + 63) / 64;
#pragma omp parallel
    {
        struct worker *mine = &worker[omp_get_thread_num()];
#pragma omp for schedule(dynamic) nowait
        for (int64_t head = 0; head < run->n_heads; head++) {
            ley_fixed_run_queries(run, head);
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < run->n_pairs * n_steps; i++) {
            int64_t first = i % n_steps * 64;
            for (int64_t t = first; t < first + 64 && t < run->n_tokens; t++) {
                ley_fixed_run_store(run, i / n_steps, t, mine->v);
            }
        }
#pragma omp for schedule(dynamic) nowait
        for (int64_t pair = 0; pair < (has_charge ? run->n_pairs : 0); pair++) {
            sum_charge(mine, all, pair);
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
            run_block(mine, run, i);
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
static void place_worker(struct worker *worker, const struct ley_fixed_run *run, void *block,
                         size_t *at) {
    size_t depth = (size_t)run->depth;
    worker->row = ley_cut(block, at, depth * sizeof(double));
    worker->v = ley_cut(block, at, depth);
    worker->powers = ley_cut(block, at, 4 * depth * sizeof(double));
    worker->weighted = ley_cut(block, at, depth * sizeof(double));
    size_t n_tallies = (size_t)run->attention->shape.n_query_heads;
    worker->tally = ley_cut(block, at, n_tallies * sizeof *worker->tally);
    if (block) {
        memset(worker->tally, 0, n_tallies * sizeof *worker->tally);
    }
    ley_fixed_masks_place(&worker->masks, run, block, at);
    *at += ley_fixed_work_place(&worker->work, &run->tiles[0], block ? (char *)block + *at : NULL);
}

// Lays out everything; returns the bytes needed. The tiles and worker are outside the block.
static size_t place(struct run *run, struct worker *worker, int n_threads, void *block) {
    size_t at = 0;
    ley_fixed_run_place(&run->codes, block, &at);
    run->k_charge = ley_cut(block, &at, (size_t)run->codes.n_pairs * sizeof(double));
    run->head_charge = ley_cut(block, &at, (size_t)run->codes.n_heads * sizeof(double));
    for (int i = 0; i < n_threads; i++) {
        place_worker(&worker[i], &run->codes, block, &at);
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
    LEY_TRY(reserve_parts(work, run->codes.n_pairs, n_threads));
    run->codes.tiles = work->tiles;
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

// Counts of the queries of head h of all sequences; the charge of K apart.
static struct ley_fixed_counts count_queries(const struct ley_fixed_run *run, int64_t h) {
    const struct ley_hardware *hardware = &run->attention->hardware;
    int64_t n_batch = run->call->n_batch, window = hardware->array.window;
    int64_t n_q = run->attention->shape.n_query_heads;
    struct ley_fixed_counts counts = {.n_queries = n_batch * (run->n_tokens - run->first)};
    for (int64_t t = run->first; t < run->n_tokens; t++) {
        int64_t n_tiles = ley_fixed_live_tiles(hardware, t);
        counts.n_live += n_batch * (t + 1 < window ? t + 1 : window);
        counts.n_tiles += n_batch * n_tiles;
        for (int64_t b = 0; b < n_batch; b++) {
            int64_t head = b * n_q + h;
            counts.pulse_tiles += (int64_t)run->q_sum[head * run->n_tokens + t] * n_tiles;
        }
    }
    return counts;
}

// Counts of what is written to key-value head h of all sequences: tokens, and their columns again
// until the end (M35).
static struct ley_fixed_counts count_writes(const struct ley_fixed_run *run, int64_t h) {
    const struct ley_attention *attention = run->attention;
    int64_t period = attention->refresh_tokens, n_kv = attention->shape.n_kv_heads;
    int64_t ring = ley_hardware_ring(&attention->hardware);
    int64_t width = attention->hardware.array.n_columns;
    struct ley_fixed_counts counts = {.n_written =
                                          run->call->n_batch * (run->n_tokens - run->first)};
    for (int64_t pair = h; period > 0 && pair < run->n_pairs; pair += n_kv) {
        for (int64_t s = 0; s + period < run->n_tokens; s++) {
            int64_t tile = s / ring * run->n_tiles + s % ring / width;
            ley_fixed_counts_refresh(
                &counts, attention->fixed,
                ley_refresh_count_from(period, &attention->hardware, s, run->first, run->n_tokens),
                run->k + (pair * run->n_tokens + s) * run->depth,
                ley_code_tiles_levels(&run->tiles[pair], tile, (int)(s % ring % width)));
        }
    }
    return counts;
}

// Counts of one query head into a ledger of its own.
static void post_head(const struct run *all, const struct ley_fixed_tally *tally,
                      struct ley_fixed_counts counts, int64_t h) {
    const struct ley_fixed_run *run = &all->codes;
    const struct ley_fixed *fixed = run->attention->fixed;
    int64_t n_q = run->attention->shape.n_query_heads;
    struct ley_ledger *ledger = &run->call->head_ledger[run->attention->shape.n_kv_heads + h];
    for (int64_t b = 0; fixed->has_powers && b < run->call->n_batch; b++) {
        counts.k_charge += all->head_charge[b * n_q + h];
    }
    ley_fixed_tally_post(ledger, tally, fixed, counts.n_live);
    ley_fixed_counts_post(ledger, &counts, fixed);
}

// Counts of all heads and tokens into the ledgers.
static void post(const struct run *all, const struct worker *worker, int n_threads) {
    const struct ley_fixed_run *run = &all->codes;
    const struct ley_fixed *fixed = run->attention->fixed;
    int64_t n_kv = run->attention->shape.n_kv_heads;
    struct ley_fixed_tally tally = {0};
    struct ley_fixed_counts counts = {0};
    for (int64_t h = 0; h < run->attention->shape.n_query_heads; h++) {
        struct ley_fixed_tally of_head = {0};
        const struct ley_fixed_counts queries = count_queries(run, h);
        for (int i = 0; i < n_threads; i++) {
            ley_fixed_tally_add(&of_head, &worker[i].tally[h]);
        }
        ley_fixed_tally_add(&tally, &of_head);
        ley_fixed_counts_add(&counts, &queries);
        if (run->call->head_ledger) {
            post_head(all, &of_head, queries, h);
        }
    }
    for (int64_t pair = 0; fixed->has_powers && pair < run->n_pairs; pair++) {
        counts.k_charge += all->k_charge[pair];
    }
    for (int64_t h = 0; h < n_kv; h++) {
        const struct ley_fixed_counts written = count_writes(run, h);
        ley_fixed_counts_add(&counts, &written);
        if (run->call->head_ledger) {
            ley_fixed_counts_post(&run->call->head_ledger[h], &written, fixed);
        }
    }
    ley_fixed_tally_post(run->call->ledger, &tally, fixed, counts.n_live);
    ley_fixed_counts_post(run->call->ledger, &counts, fixed);
}

// In the caller's work or one of the call; `run` is complete but for its memory.
static enum ley_status run_in(struct ley_attention_work *work, struct run *run) {
    int n_threads = omp_get_max_threads();
    LEY_TRY(reserve(work, run, n_threads));
    if (!run_all(work->worker, run)) {
        return ley_fail(LEY_E_INTERRUPTED, "stopped on request");
    }
    if (run->codes.call->ledger) {
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
    struct ley_attention_work own = {0};
    struct run run = {.codes = ley_fixed_run_of(attention, call)};
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
