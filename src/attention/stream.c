// stream.c - one token at a time: scale, write a column, read it with the queries of the group
#include "attention/stream.h"

#include "array/bank.h"
#include "array/retention.h"
#include "attention/fixed_impl.h"
#include "attention/trace_impl.h"
#include "core/assert.h"
#include "core/memory.h"
#include "event/ledger.h"

// One bank for each sequence and key-value head, in the order of `pair`.
struct ley_stream {
    const struct ley_attention *attention;
    int64_t n_pairs; // sequences * key-value heads
    int64_t n_tokens;
    struct ley_bank **bank;         // [pair]
    double *x;                      // scratch (2, D)
    struct ley_fixed_stream *fixed; // instead of the banks, when the attention is in integers
};

// All memory of a stream is made here: a step allocates nothing.
enum ley_status ley_stream_create(struct ley_stream **stream, const struct ley_attention *attention,
                                  int64_t n_batch) {
    size_t head_dim = (size_t)attention->shape.head_dim;
    struct ley_stream *made = ley_alloc(1, sizeof *made);
    *stream = NULL;
    if (!made) {
        return ley_fail_memory("stream", 1, sizeof *made);
    }
    made->attention = attention;
    made->n_pairs = n_batch * attention->shape.n_kv_heads;
    if (attention->fixed) {
        enum ley_status status = ley_fixed_stream_create(&made->fixed, attention, n_batch);
        if (status != LEY_OK) {
            ley_stream_destroy(made);
            return status;
        }
        *stream = made;
        return LEY_OK;
    }
    made->x = ley_alloc(2 * head_dim, sizeof *made->x);
    made->bank = ley_alloc((size_t)made->n_pairs, sizeof(struct ley_bank *));
    enum ley_status status = LEY_OK;
    if (!made->x || !made->bank) {
        status = ley_fail_memory("stream", (size_t)made->n_pairs, sizeof(struct ley_bank *));
    }
    for (int64_t pair = 0; status == LEY_OK && pair < made->n_pairs; pair++) {
        status = ley_bank_create(&made->bank[pair], &attention->hardware, attention->cell,
                                 attention->shape.head_dim);
    }
    if (status != LEY_OK) {
        ley_stream_destroy(made);
        return status;
    }
    *stream = made;
    return LEY_OK;
}

// Accepts a stream that was made in part.
void ley_stream_destroy(struct ley_stream *stream) {
    if (!stream) {
        return;
    }
    for (int64_t pair = 0; stream->bank && pair < stream->n_pairs; pair++) {
        ley_bank_destroy(stream->bank[pair]);
    }
    ley_fixed_stream_destroy(stream->fixed);
    ley_free(stream->bank);
    ley_free(stream->x);
    ley_free(stream);
}

// M18, then the bank: token t of the call for one key-value head.
// The query's scratch is free at this point: x holds k and v together.
static void write_token(struct ley_stream *stream, const struct ley_attention_call *call,
                        int64_t pair, int64_t t, double t_s,
                        const struct ley_attention_trace *trace) {
    const struct ley_attention *attention = stream->attention;
    int head_dim = attention->shape.head_dim, n_heads = attention->shape.n_kv_heads;
    int64_t b = pair / n_heads, h = pair % n_heads;
    double *k_v = stream->x, *v_v = stream->x + head_dim;
    ley_heads_get(k_v, &call->k, b, h, t, head_dim);
    ley_heads_get(v_v, &call->v, b, h, t, head_dim);
    ley_scale(k_v, k_v, head_dim, &attention->scaler[LEY_SIGNAL_K][h], call->ledger);
    ley_scale(v_v, v_v, head_dim, &attention->scaler[LEY_SIGNAL_V][h], call->ledger);
    ley_trace_stored(trace, attention, LEY_SIGNAL_K, pair, stream->n_tokens, k_v);
    ley_trace_stored(trace, attention, LEY_SIGNAL_V, pair, stream->n_tokens, v_v);
    ley_bank_write(stream->bank[pair], k_v, v_v, t_s, call->ledger);
}

// M35: columns whose time has come, at the moment when the newest token is written. Older ones
// have left the window.
static void refresh_bank(const struct ley_stream *stream, int64_t pair, double t_s,
                         struct ley_ledger *ledger) {
    int64_t period = stream->attention->refresh_tokens, now = stream->n_tokens;
    struct ley_bank *bank = stream->bank[pair];
    int64_t n = ley_refresh_count(period, &stream->attention->hardware, now);
    for (int64_t i = 1; i <= n; i++) {
        ley_bank_refresh(bank, (int)((now - i * period) % ley_bank_ring(bank)), t_s, ledger);
    }
}

// One query head reads its group's bank.
static void read_token(struct ley_stream *stream, const struct ley_attention_call *call,
                       int64_t head, double t_s) {
    const struct ley_attention *attention = stream->attention;
    const struct ley_attention_shape *shape = &attention->shape;
    int64_t b = head / shape->n_query_heads, h = head % shape->n_query_heads;
    int64_t pair = head / (shape->n_query_heads / shape->n_kv_heads);
    // stream->x now holds the query and the result: k and v are in the bank already.
    double *x = stream->x, *out = stream->x + shape->head_dim;
    ley_heads_get(x, &call->q, b, h, 0, shape->head_dim);
    ley_scale(x, x, shape->head_dim, &attention->scaler[LEY_SIGNAL_Q][h], call->ledger);
    ley_trace_query(call->trace, attention, head, stream->n_tokens, x);
    struct ley_read_trace read = ley_trace_read(call->trace, attention, head, stream->n_tokens);
    ley_bank_read(out, stream->bank[pair], x, t_s, &read, call->ledger);
    ley_scale(out, out, shape->head_dim, &attention->scaler[LEY_SIGNAL_OUTPUT][h], call->ledger);
    ley_heads_put(&call->out, b, h, 0, out, shape->head_dim);
}

// What a head has taken is what the ledger has grown by.
static void begin_part(struct ley_ledger *before, const struct ley_attention_call *call) {
    if (call->head_ledger) {
        *before = *call->ledger;
    }
}

static void end_part(const struct ley_attention_call *call, const struct ley_ledger *before,
                     int64_t part) {
    if (call->head_ledger) {
        ley_ledger_add_growth(&call->head_ledger[part], call->ledger, before);
    }
}

// Written before read: a token sees itself (M15). The heads of a group read one after another.
void ley_stream_step(struct ley_stream *stream, const struct ley_attention_call *call, double t_s) {
    const struct ley_attention_shape *shape = &stream->attention->shape;
    int64_t n_group = shape->n_query_heads / shape->n_kv_heads;
    LEY_ASSERT(call->n_tokens == 1);
    if (stream->fixed) {
        ley_fixed_stream_step(stream->fixed, call, t_s);
        stream->n_tokens++;
        return;
    }
    struct ley_ledger before;
    for (int64_t pair = 0; pair < stream->n_pairs; pair++) {
        begin_part(&before, call);
        write_token(stream, call, pair, 0, t_s, call->trace);
        refresh_bank(stream, pair, t_s, call->ledger);
        end_part(call, &before, pair % shape->n_kv_heads);
        for (int64_t head = pair * n_group; head < (pair + 1) * n_group; head++) {
            begin_part(&before, call);
            read_token(stream, call, head, t_s);
            end_part(call, &before, shape->n_kv_heads + head % shape->n_query_heads);
        }
    }
    stream->n_tokens++;
}

// No reads, and no counting: the sequence form has counted these writes.
void ley_stream_load(struct ley_stream *stream, const struct ley_attention_call *call) {
    LEY_ASSERT(stream->n_tokens == 0);
    if (stream->fixed) {
        ley_fixed_stream_load(stream->fixed, call);
        stream->n_tokens = call->n_tokens;
        return;
    }
    struct ley_attention_call quiet = *call;
    quiet.ledger = quiet.head_ledger = NULL;
    double period_s = stream->attention->hardware.time.token_period_s;
    for (int64_t t = 0; t < call->n_tokens; t++) {
        for (int64_t pair = 0; pair < stream->n_pairs; pair++) {
            write_token(stream, &quiet, pair, t, (double)t * period_s, NULL);
            refresh_bank(stream, pair, (double)t * period_s, NULL);
        }
        stream->n_tokens++;
    }
}

// Cells keep their charge; no column counts as written (bank.c).
void ley_stream_reset(struct ley_stream *stream) {
    stream->n_tokens = 0;
    if (stream->fixed) {
        ley_fixed_stream_reset(stream->fixed);
        return;
    }
    for (int64_t pair = 0; pair < stream->n_pairs; pair++) {
        ley_bank_reset(stream->bank[pair]);
    }
}

int64_t ley_stream_n_tokens(const struct ley_stream *stream) {
    return stream->n_tokens;
}
