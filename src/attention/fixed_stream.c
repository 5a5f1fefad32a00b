// fixed_stream.c - attention token by token on banks of codes (M21)
//
// A step writes one column of each bank and reads all: nothing stored is converted again, only ages
// change. All banks of a layer are written at the same instants, so one set of coefficients, made
// anew for each instant, serves them all.
#include <string.h>

#include "array/clock.h"
#include "array/retention.h"
#include "attention/fixed_impl.h"
#include "core/assert.h"
#include "core/memory.h"
#include "event/ledger.h"

struct ley_fixed_stream {
    const struct ley_attention *attention;
    int64_t n_pairs, n_tokens, now_tick;
    int ring, n_tiles, depth;
    struct ley_code_tiles *tiles; // [n_pairs]
    // (n_tiles, columns of storage): token held (-1: none), tick of its last writing, age for M21
    int64_t *token, *tick, *lag;
    float *coefficient, *magnitude; // (n_tiles, 1 + n_terms, columns)
    double *powers, *weighted;      // (n_pairs, 4, depth), (n_pairs, depth)
    // scratch: codes of a group's queries (rows, depth); of the columns that a bank takes and loses
    // (n_pairs, 3, depth); values of a row
    uint8_t *q, *codes;
    float *q_sum;
    double *row;
    struct ley_fixed_work work;
    char *block; // what all but `tiles` lies in
};

// Storage place of a ring column.
static int64_t place_of(const struct ley_fixed_stream *stream, int64_t column) {
    int width = stream->attention->hardware.array.n_columns;
    return column / width * stream->tiles[0].n_columns + column % width;
}

// Lays everything out in a block of memory; with NULL it only measures. Returns the bytes needed.
static size_t place(struct ley_fixed_stream *made, void *block) {
    const struct ley_fixed *fixed = made->attention->fixed;
    size_t depth = (size_t)made->depth, n_pairs = (size_t)made->n_pairs, at = 0;
    for (int64_t pair = 0; pair < made->n_pairs; pair++) {
        at += ley_code_tiles_place(&made->tiles[pair], fixed, made->n_tiles,
                                   block ? (char *)block + at : NULL);
    }
    size_t n = (size_t)made->n_tiles * (size_t)made->tiles[0].n_columns;
    size_t n_coefficients = n * (1 + (size_t)fixed->n_terms);
    made->token = ley_cut(block, &at, n * sizeof *made->token);
    made->tick = ley_cut(block, &at, n * sizeof *made->tick);
    made->lag = ley_cut(block, &at, n * sizeof *made->lag);
    made->coefficient = ley_cut(block, &at, n_coefficients * sizeof *made->coefficient);
    made->magnitude = ley_cut(block, &at, n_coefficients * sizeof *made->magnitude);
    made->powers = ley_cut(block, &at, n_pairs * 4 * depth * sizeof *made->powers);
    made->weighted = ley_cut(block, &at, n_pairs * depth * sizeof *made->weighted);
    made->q = ley_cut(block, &at, LEY_BLOCK_ROWS * depth);
    made->codes = ley_cut(block, &at, n_pairs * 3 * depth);
    made->q_sum = ley_cut(block, &at, LEY_BLOCK_ROWS * sizeof *made->q_sum);
    made->row = ley_cut(block, &at, depth * sizeof *made->row);
    return at +
           ley_fixed_work_place(&made->work, &made->tiles[0], block ? (char *)block + at : NULL);
}

enum ley_status ley_fixed_stream_create(struct ley_fixed_stream **stream,
                                        const struct ley_attention *attention, int64_t n_batch) {
    enum { LINE = 64 };
    struct ley_fixed_stream *made = ley_alloc(1, sizeof *made);
    *stream = NULL;
    if (!made) {
        return ley_fail_memory("stream", 1, sizeof *made);
    }
    made->attention = attention;
    made->n_pairs = n_batch * attention->shape.n_kv_heads;
    made->ring = ley_hardware_ring(&attention->hardware);
    made->n_tiles = ley_hardware_n_tiles(&attention->hardware);
    made->depth = (attention->shape.head_dim + 7) / 8 * 8;
    made->tiles = ley_alloc((size_t)made->n_pairs, sizeof *made->tiles);
    size_t n = made->tiles ? place(made, NULL) + LINE : 0;
    made->block = made->tiles ? ley_alloc(n, 1) : NULL;
    if (!made->block) {
        ley_fixed_stream_destroy(made);
        return ley_fail_memory("banks of codes", n, 1);
    }
    place(made, made->block + (LINE - (uintptr_t)made->block % LINE) % LINE);
    ley_fixed_stream_reset(made);
    *stream = made;
    return LEY_OK;
}

void ley_fixed_stream_destroy(struct ley_fixed_stream *stream) {
    if (stream) {
        ley_free(stream->tiles);
        ley_free(stream->block);
        ley_free(stream);
    }
}

void ley_fixed_stream_reset(struct ley_fixed_stream *stream) {
    int64_t n = (int64_t)stream->n_tiles * stream->tiles[0].n_columns;
    stream->n_tokens = 0;
    stream->now_tick = 0;
    for (int64_t i = 0; i < n; i++) {
        stream->token[i] = -1;
    }
    memset(stream->powers, 0, (size_t)(stream->n_pairs * 4 * stream->depth) * sizeof(double));
}

// One token's codes of one bank: running sums of powers first, while the column it replaces is
// still there (kernel.h).
static void write_bank(struct ley_fixed_stream *stream, const struct ley_attention_call *call,
                       int64_t pair, int64_t t, int64_t token, const struct ley_powers *step,
                       const struct ley_attention_trace *trace) {
    const struct ley_attention *attention = stream->attention;
    const struct ley_fixed *fixed = attention->fixed;
    int64_t n_kv = attention->shape.n_kv_heads, place = place_of(stream, token % stream->ring);
    struct ley_code_tiles *tiles = &stream->tiles[pair];
    uint8_t *k = stream->codes + pair * 3 * stream->depth, *v = k + stream->depth;
    struct ley_fixed_row row = {LEY_SIGNAL_K, pair / n_kv, pair % n_kv, t, token};
    ley_fixed_encode(k, stream->depth, attention, &call->k, &row, trace);
    row.signal = LEY_SIGNAL_V;
    ley_fixed_encode(v, stream->depth, attention, &call->v, &row, trace);
    if (fixed->has_powers) {
        struct ley_powers powers = *step;
        powers.in = k;
        powers.sum = stream->powers + pair * 4 * stream->depth;
        powers.weighted = stream->weighted + pair * stream->depth;
        if (token >= fixed->n_lags) {
            int64_t old = place_of(stream, (token - fixed->n_lags) % stream->ring);
            uint8_t *gone = v + stream->depth;
            ley_code_tiles_read_k(gone, tiles, old / tiles->n_columns,
                                  (int)(old % tiles->n_columns));
            powers.out = gone;
        }
        attention->kernels->powers(&powers);
    }
    ley_code_tiles_write(tiles, place / tiles->n_columns, (int)(place % tiles->n_columns), k, v);
}

// What a step's leakage does to sums of powers: by the table when it is a period, else anew.
static struct ley_powers leak(const struct ley_fixed_stream *stream, int64_t ticks) {
    const struct ley_fixed *fixed = stream->attention->fixed;
    double period_s = fixed->hardware->time.token_period_s;
    struct ley_powers step = {
        .n = stream->depth,
        .top = fixed->hardware->converter.kv_levels - 1,
    };
    memcpy(step.factor, fixed->factor, sizeof step.factor);
    int64_t age = 0;
    if (stream->n_tokens >= fixed->n_lags) {
        int64_t old = place_of(stream, (stream->n_tokens - fixed->n_lags) % stream->ring);
        age = stream->now_tick - stream->tick[old];
    }
    ley_fixed_powers(step.keep, fixed, ley_clock_seconds(ticks, period_s));
    ley_fixed_powers(step.gone, fixed, ley_clock_seconds(age, period_s));
    return step;
}

// All banks at once; sets the clock, which only moves forward.
static void write_token(struct ley_fixed_stream *stream, const struct ley_attention_call *call,
                        int64_t t, double t_s, const struct ley_attention_trace *trace) {
    double period_s = stream->attention->hardware.time.token_period_s;
    int64_t tick = ley_clock_ticks(t_s, period_s),
            place = place_of(stream, stream->n_tokens % stream->ring);
    LEY_ASSERT(tick >= stream->now_tick);
    int64_t ticks = tick - stream->now_tick;
    stream->now_tick = tick;
    struct ley_powers step = leak(stream, ticks);
    for (int64_t pair = 0; pair < stream->n_pairs; pair++) {
        write_bank(stream, call, pair, t, stream->n_tokens, &step, trace);
    }
    stream->token[place] = stream->n_tokens;
    stream->tick[place] = tick;
}

// M35: columns whose time has come. Their levels stay: only the tick of writing changes.
static void refresh_columns(struct ley_fixed_stream *stream) {
    const struct ley_attention *attention = stream->attention;
    int64_t period = attention->refresh_tokens, now = stream->n_tokens;
    int64_t n = ley_refresh_count(period, &attention->hardware, now);
    for (int64_t i = 1; i <= n; i++) {
        stream->tick[place_of(stream, (now - i * period) % stream->ring)] = stream->now_tick;
    }
}

// What a step writes to one bank: a token, and columns again.
static struct ley_fixed_counts count_writes(const struct ley_fixed_stream *stream, int64_t pair) {
    const struct ley_attention *attention = stream->attention;
    const struct ley_code_tiles *tiles = &stream->tiles[pair];
    int64_t period = attention->refresh_tokens, now = stream->n_tokens;
    int64_t n = ley_refresh_count(period, &attention->hardware, now);
    uint8_t *k = stream->codes + (pair * 3 + 2) * stream->depth;
    struct ley_fixed_counts counts = {.n_written = 1};
    for (int64_t i = 1; i <= n; i++) {
        int64_t place = place_of(stream, (now - i * period) % stream->ring);
        int64_t tile = place / tiles->n_columns;
        int column = (int)(place % tiles->n_columns);
        ley_code_tiles_read_k(k, tiles, tile, column);
        ley_fixed_counts_refresh(&counts, attention->fixed, 1, k,
                                 ley_code_tiles_levels(tiles, tile, column));
    }
    return counts;
}

// Coefficients of all columns as they stand now. Whole lags come from the table: a token as old as
// in a sequence has the same ones.
static void age_columns(struct ley_fixed_stream *stream) {
    const struct ley_fixed *fixed = stream->attention->fixed;
    int64_t n_columns = stream->tiles[0].n_columns, n_terms = 1 + fixed->n_terms;
    int64_t one = ley_clock_ticks(1, 1), phase = stream->n_tokens % LEY_BLOCK_ROWS;
    double period_s = fixed->hardware->time.token_period_s;
    for (int64_t i = 0; i < stream->n_tiles * n_columns; i++) {
        int64_t at = i / n_columns * n_terms * n_columns + i % n_columns;
        int64_t ticks = stream->now_tick - stream->tick[i], since = ticks / one;
        // Rewritten columns (M35): tables go by the age of the token, whole periods of refresh
        // more.
        int64_t old = stream->n_tokens - stream->token[i];
        int64_t lag = since + old - ley_refresh_age(fixed->refresh_tokens, old);
        bool is_late = fixed->refresh_tokens > 0 && since >= fixed->refresh_tokens;
        float *out = stream->coefficient + at;
        float *size = fixed->magnitude ? stream->magnitude + at : NULL;
        bool is_live = stream->token[i] >= 0 && stream->n_tokens - stream->token[i] < fixed->n_lags;
        stream->lag[i] = lag - phase; // M21: of the first query of its block
        if (is_live && (ticks % one != 0 || lag >= fixed->n_lags || is_late)) {
            ley_fixed_column(fixed, out, size, n_columns, ley_clock_seconds(ticks, period_s));
            continue;
        }
        const float *row = ley_fixed_row(fixed, fixed->coefficient, is_live ? lag : -1);
        for (int64_t j = 0; j < n_terms; j++) {
            out[j * n_columns] = row[j * fixed->table_term];
        }
        for (int64_t j = 0; size && j < n_terms; j++) {
            size[j * n_columns] =
                ley_fixed_row(fixed, fixed->magnitude, is_live ? lag : -1)[j * fixed->table_term];
        }
    }
}

// A block of query heads of one bank through all its live tiles.
static void read_bank(struct ley_fixed_stream *stream, const struct ley_attention_call *call,
                      int64_t head, int n_rows, struct ley_fixed_tally *tally) {
    const struct ley_attention *attention = stream->attention;
    const struct ley_fixed *fixed = attention->fixed;
    int64_t n_group = attention->shape.n_query_heads / attention->shape.n_kv_heads;
    const struct ley_code_tiles *tiles = &stream->tiles[head / n_group];
    int64_t n_columns = tiles->n_columns, n_terms = 1 + fixed->n_terms;
    bool can_turn = fixed->flip_lag < fixed->n_lags;
    ley_fixed_begin(&stream->work, tiles, n_rows);
    for (int n = 0; n < stream->n_tiles && stream->token[n * n_columns] >= 0; n++) {
        const struct ley_fixed_read read = {
            .n_rows = n_rows,
            .pulse = stream->q,
            .pulse_sum = stream->q_sum,
            .coefficient = stream->coefficient + n * n_terms * n_columns,
            .magnitude = fixed->magnitude ? stream->magnitude + n * n_terms * n_columns : NULL,
            .term = n_columns,
            .lag = can_turn ? stream->lag + n * n_columns : NULL,
        };
        ley_fixed_tile_begin(&stream->work, tiles, n_rows);
        ley_fixed_tile_read(&stream->work, attention->kernels, tiles, n, &read, tally);
        ley_fixed_tile_end(&stream->work, attention->kernels, tiles, n_rows, tally);
        for (int r = 0; call->trace && r < n_rows; r++) {
            const struct ley_fixed_note note = {
                .tiles = tiles,
                .head = head + r,
                .t = stream->n_tokens - r, // rows are heads here, not tokens
                .n = n,
                .n_tokens = n_columns,
                .tokens = stream->token + n * n_columns,
            };
            ley_fixed_note_scores(call->trace, attention, &stream->work, r, &note);
            ley_fixed_note_outputs(call->trace, attention, &stream->work, r, &note);
        }
    }
}

// Up to LEY_BLOCK_ROWS query heads of one bank: encode, read, scale.
static void run_heads(struct ley_fixed_stream *stream, const struct ley_attention_call *call,
                      int64_t head, int n_rows, struct ley_fixed_tally *tally,
                      struct ley_fixed_counts *counts) {
    const struct ley_attention *attention = stream->attention;
    int64_t n_q = attention->shape.n_query_heads, n_group = n_q / attention->shape.n_kv_heads;
    int head_dim = attention->shape.head_dim, depth = stream->depth;
    for (int r = 0; r < n_rows; r++) {
        uint8_t *q = stream->q + (int64_t)r * depth;
        const struct ley_fixed_row row = {LEY_SIGNAL_Q, (head + r) / n_q, (head + r) % n_q, 0,
                                          stream->n_tokens};
        ley_fixed_encode(q, depth, attention, &call->q, &row, call->trace);
        stream->q_sum[r] = ley_fixed_pulse_sum(q, depth);
        counts->pulse_tiles += (int64_t)stream->q_sum[r] * counts->n_tiles;
        if (tally && attention->fixed->has_powers) {
            const struct ley_weigh_pulses weigh = {depth, q,
                                                   stream->weighted + head / n_group * depth};
            counts->k_charge += attention->kernels->weigh_pulses(&weigh);
        }
    }
    read_bank(stream, call, head, n_rows, tally);
    for (int r = 0; r < n_rows; r++) {
        int64_t h = (head + r) % n_q;
        ley_fixed_total(stream->row, &stream->work, &stream->tiles[0], r);
        ley_scale(stream->row, stream->row, head_dim, &attention->scaler[LEY_SIGNAL_OUTPUT][h],
                  NULL);
        ley_heads_put(&call->out, (head + r) / n_q, h, 0, stream->row, head_dim);
    }
}

// Counts of one token of n_heads query heads into a ledger.
static void post(const struct ley_fixed_stream *stream, struct ley_ledger *ledger,
                 const struct ley_fixed_tally *tally, struct ley_fixed_counts counts,
                 int64_t n_heads) {
    const struct ley_fixed *fixed = stream->attention->fixed;
    int64_t n_seen = stream->n_tokens + 1;
    counts.n_queries = n_heads;
    counts.n_live = n_heads * (n_seen < fixed->n_lags ? n_seen : fixed->n_lags);
    counts.n_tiles *= n_heads;
    ley_fixed_tally_post(ledger, tally, fixed, counts.n_live);
    ley_fixed_counts_post(ledger, &counts, fixed);
}

// One query head on its own: its counts go to its ledger too.
static void run_head(struct ley_fixed_stream *stream, const struct ley_attention_call *call,
                     int64_t head, struct ley_fixed_tally *tally, struct ley_fixed_counts *counts) {
    const struct ley_attention_shape *shape = &stream->attention->shape;
    struct ley_fixed_tally own = {0};
    struct ley_fixed_counts own_counts = {.n_tiles = counts->n_tiles};
    run_heads(stream, call, head, 1, &own, &own_counts);
    int64_t part = shape->n_kv_heads + head % shape->n_query_heads;
    post(stream, &call->head_ledger[part], &own, own_counts, 1);
    ley_fixed_tally_add(tally, &own);
    counts->pulse_tiles += own_counts.pulse_tiles;
    counts->k_charge += own_counts.k_charge;
}

// All query heads of a bank: in blocks, or one by one where each has a ledger.
static void run_bank(struct ley_fixed_stream *stream, const struct ley_attention_call *call,
                     int64_t pair, struct ley_fixed_tally *tally, struct ley_fixed_counts *counts) {
    const struct ley_attention_shape *shape = &stream->attention->shape;
    int64_t n_group = shape->n_query_heads / shape->n_kv_heads;
    int64_t n_most = call->head_ledger ? 1 : LEY_BLOCK_ROWS;
    for (int64_t g = 0; g < n_group; g += n_most) {
        int n_rows = (int)(n_group - g < n_most ? n_group - g : n_most);
        if (call->head_ledger) {
            run_head(stream, call, pair * n_group + g, tally, counts);
        } else {
            run_heads(stream, call, pair * n_group + g, n_rows, call->ledger ? tally : NULL,
                      counts);
        }
    }
    if (call->ledger) {
        const struct ley_fixed_counts written = count_writes(stream, pair);
        ley_fixed_counts_add(counts, &written);
        if (call->head_ledger) {
            ley_fixed_counts_post(&call->head_ledger[pair % shape->n_kv_heads], &written,
                                  stream->attention->fixed);
        }
    }
}

void ley_fixed_stream_step(struct ley_fixed_stream *stream, const struct ley_attention_call *call,
                           double t_s) {
    const struct ley_attention_shape *shape = &stream->attention->shape;
    struct ley_fixed_tally tally = {0};
    struct ley_fixed_counts counts = {
        .n_tiles = ley_fixed_live_tiles(&stream->attention->hardware, stream->n_tokens)};
    write_token(stream, call, 0, t_s, call->trace);
    refresh_columns(stream);
    age_columns(stream);
    for (int64_t pair = 0; pair < stream->n_pairs; pair++) {
        run_bank(stream, call, pair, &tally, &counts);
    }
    if (call->ledger) {
        post(stream, call->ledger, &tally, counts,
             stream->n_pairs * (shape->n_query_heads / shape->n_kv_heads));
    }
    stream->n_tokens++;
}

// One period after another, bank by bank: threads share the banks.
void ley_fixed_stream_load(struct ley_fixed_stream *stream, const struct ley_attention_call *call) {
    const struct ley_fixed *fixed = stream->attention->fixed;
    double period_s = fixed->hardware->time.token_period_s;
    int64_t n = call->n_tokens;
    LEY_ASSERT(stream->n_tokens == 0);
    struct ley_powers step = leak(stream, 0);
    ley_fixed_powers(step.keep, fixed, ley_clock_age_s(1, period_s));
    ley_fixed_powers(step.gone, fixed, ley_clock_age_s(fixed->n_lags, period_s));
#pragma omp parallel for schedule(dynamic)
    for (int64_t pair = 0; pair < stream->n_pairs; pair++) {
        for (int64_t t = 0; t < n; t++) {
            write_bank(stream, call, pair, t, t, &step, NULL);
        }
    }
    for (int64_t t = n > stream->ring ? n - stream->ring : 0; t < n; t++) {
        int64_t place = place_of(stream, t % stream->ring);
        stream->token[place] = t;
        int64_t written = n - 1 - ley_refresh_age(fixed->refresh_tokens, n - 1 - t);
        stream->tick[place] = ley_clock_ticks((double)written * period_s, period_s);
    }
    stream->now_tick = ley_clock_ticks((double)(n - 1) * period_s, period_s);
    stream->n_tokens = n;
}
