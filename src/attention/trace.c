// trace.c - addresses in the arrays of struct ley_attention_trace
#include <stddef.h>

#include "attention/trace_impl.h"
#include "circuit/dac.h"

// The converter's own clip and rounding, as an index.
static void put_codes(int32_t *code, const double *x, int n, const struct ley_quantiser *grid) {
    for (int i = 0; i < n; i++) {
        code[i] = (int32_t)ley_quantiser_code(grid, ley_clip(grid, x[i]));
    }
}

// The codes of the values before the DAC, by the DAC's own grid: what it is about to write.
void ley_trace_stored(const struct ley_attention_trace *trace,
                      const struct ley_attention *attention, enum ley_signal signal, int64_t pair,
                      int64_t token, const double *x_v) {
    int32_t *code = !trace ? NULL : signal == LEY_SIGNAL_K ? trace->k_code : trace->v_code;
    if (code) {
        int head_dim = attention->shape.head_dim;
        struct ley_quantiser grid =
            ley_write_grid(&attention->hardware.converter, attention->hardware.cell.v_dd_v);
        put_codes(code + (pair * trace->n_tokens + token) * head_dim, x_v, head_dim, &grid);
    }
}

// Likewise for the pulses of a query.
void ley_trace_query(const struct ley_attention_trace *trace, const struct ley_attention *attention,
                     int64_t head, int64_t token, const double *q) {
    if (trace && trace->q_code) {
        int head_dim = attention->shape.head_dim;
        struct ley_quantiser grid = ley_pulse_grid(&attention->hardware.converter);
        put_codes(trace->q_code + (head * trace->n_tokens + token) * head_dim, q, head_dim, &grid);
    }
}

void ley_trace_codes(const struct ley_attention_trace *trace, const struct ley_attention *attention,
                     enum ley_signal signal, int64_t head, int64_t token, const uint8_t *code) {
    int32_t *out = !trace                   ? NULL
                   : signal == LEY_SIGNAL_Q ? trace->q_code
                   : signal == LEY_SIGNAL_K ? trace->k_code
                                            : trace->v_code;
    int64_t head_dim = attention->shape.head_dim;
    for (int64_t d = 0; out && d < head_dim; d++) {
        out[(head * trace->n_tokens + token) * head_dim + d] = code[d];
    }
}

// Rows of (B, Hq, T, T) and of (B, Hq, N, T, D) that one query fills.
struct ley_read_trace ley_trace_read(const struct ley_attention_trace *trace,
                                     const struct ley_attention *attention, int64_t head,
                                     int64_t token) {
    if (!trace) {
        return (struct ley_read_trace){0};
    }
    int64_t n_tokens = trace->n_tokens, head_dim = attention->shape.head_dim;
    int64_t score = (head * n_tokens + token) * n_tokens;
    int64_t n_tiles = ley_attention_n_tiles(&attention->hardware, n_tokens);
    // (B, Hq, N, T, D): the tiles of one head lie T rows apart, so tile_stride is T * D.
    int64_t tile = (head * n_tiles * n_tokens + token) * head_dim;
    return (struct ley_read_trace){
        .s = trace->s ? trace->s + score : NULL,
        .phi = trace->phi ? trace->phi + score : NULL,
        .a = trace->a ? trace->a + tile : NULL,
        .code = trace->out_code ? trace->out_code + tile : NULL,
        .tile_stride = n_tokens * head_dim,
    };
}
