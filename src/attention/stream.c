// stream.c - one token at a time: scale, write a column, read it with the queries of the group
#include "attention/stream.h"

#include "array/bank.h"
#include "attention/trace_impl.h"
#include "core/memory.h"

// One bank for each sequence and key-value head, in the order of `pair`.
struct ley_stream {
    const struct ley_attention *attention;
    int64_t n_pairs; // sequences * key-value heads
    int64_t n_tokens;
    struct ley_bank **bank; // [pair]
    double *x;              // scratch (2, D)
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
    ley_free(stream->bank);
    ley_free(stream->x);
    ley_free(stream);
}

// M18, then the bank: one token of one key-value head.
// The query's scratch is free at this point: x holds k and v together.
static void write_token(struct ley_stream *stream, int64_t pair, const double *k, const double *v,
                        double t_s, const struct ley_attention_trace *trace,
                        struct ley_ledger *ledger) {
    const struct ley_attention *attention = stream->attention;
    int head_dim = attention->shape.head_dim;
    int64_t h = pair % attention->shape.n_kv_heads;
    double *k_v = stream->x, *v_v = stream->x + head_dim;
    ley_scale(k_v, k, head_dim, &attention->scaler[LEY_SIGNAL_K][h], ledger);
    ley_scale(v_v, v, head_dim, &attention->scaler[LEY_SIGNAL_V][h], ledger);
    ley_trace_stored(trace, attention, LEY_SIGNAL_K, pair, stream->n_tokens, k_v);
    ley_trace_stored(trace, attention, LEY_SIGNAL_V, pair, stream->n_tokens, v_v);
    ley_bank_write(stream->bank[pair], k_v, v_v, t_s, ledger);
}

// One query head reads its group's bank.
static void read_token(double *out, struct ley_stream *stream, int64_t head, const double *q,
                       double t_s, const struct ley_attention_trace *trace,
                       struct ley_ledger *ledger) {
    const struct ley_attention *attention = stream->attention;
    const struct ley_attention_shape *shape = &attention->shape;
    int64_t h = head % shape->n_query_heads;
    int64_t pair = head / (shape->n_query_heads / shape->n_kv_heads);
    // stream->x now holds the query: k and v are in the bank already.
    ley_scale(stream->x, q, shape->head_dim, &attention->scaler[LEY_SIGNAL_Q][h], ledger);
    ley_trace_query(trace, attention, head, stream->n_tokens, stream->x);
    struct ley_read_trace read = ley_trace_read(trace, attention, head, stream->n_tokens);
    ley_bank_read(out, stream->bank[pair], stream->x, t_s, &read, ledger);
    ley_scale(out, out, shape->head_dim, &attention->scaler[LEY_SIGNAL_OUTPUT][h], ledger);
}

// Written before read: a token sees itself (M15). The heads of a group read one after another.
void ley_stream_step(double *out, struct ley_stream *stream, const double *q, const double *k,
                     const double *v, double t_s, const struct ley_attention_trace *trace,
                     struct ley_ledger *ledger) {
    const struct ley_attention_shape *shape = &stream->attention->shape;
    int64_t head_dim = shape->head_dim, n_group = shape->n_query_heads / shape->n_kv_heads;
    for (int64_t pair = 0; pair < stream->n_pairs; pair++) {
        write_token(stream, pair, k + pair * head_dim, v + pair * head_dim, t_s, trace, ledger);
        for (int64_t head = pair * n_group; head < (pair + 1) * n_group; head++) {
            read_token(out + head * head_dim, stream, head, q + head * head_dim, t_s, trace,
                       ledger);
        }
    }
    stream->n_tokens++;
}

// No reads: neither queries nor scores are counted.
void ley_stream_write(struct ley_stream *stream, const double *k, const double *v, double t_s,
                      struct ley_ledger *ledger) {
    int64_t head_dim = stream->attention->shape.head_dim;
    for (int64_t pair = 0; pair < stream->n_pairs; pair++) {
        write_token(stream, pair, k + pair * head_dim, v + pair * head_dim, t_s, NULL, ledger);
    }
    stream->n_tokens++;
}

// Cells keep their charge; no column counts as written (bank.c).
void ley_stream_reset(struct ley_stream *stream) {
    for (int64_t pair = 0; pair < stream->n_pairs; pair++) {
        ley_bank_reset(stream->bank[pair]);
    }
    stream->n_tokens = 0;
}

int64_t ley_stream_n_tokens(const struct ley_stream *stream) {
    return stream->n_tokens;
}
