// heads.c - rows of heads in and out of their arrays
#include "attention/heads.h"

#include <string.h>

struct ley_heads ley_heads_packed(const double *x, int n_heads, int64_t n_tokens, int head_dim) {
    return (struct ley_heads){
        .f64 = x,
        .batch = n_heads * n_tokens * head_dim,
        .head = n_tokens * head_dim,
        .token = head_dim,
    };
}

struct ley_heads_out ley_heads_packed_out(double *x, int n_heads, int64_t n_tokens, int head_dim) {
    return (struct ley_heads_out){
        .f64 = x,
        .batch = n_heads * n_tokens * head_dim,
        .head = n_tokens * head_dim,
        .token = head_dim,
    };
}

// Rows are visited token by token, too far apart for the hardware to guess the next: those of some
// tokens on are asked for.
enum { TOKENS_AHEAD = 4, LINE = 16 };

// Converted while it is copied: a row is short and stays in the cache.
void ley_heads_get(double *row, const struct ley_heads *heads, int64_t b, int64_t h, int64_t t,
                   int head_dim) {
    int64_t at = b * heads->batch + h * heads->head + t * heads->token;
    if (heads->f64) {
        memcpy(row, heads->f64 + at, (size_t)head_dim * sizeof *row);
        return;
    }
    const float *from = heads->f32 + at;
    for (int d = 0; d < head_dim; d += LINE) {
        __builtin_prefetch((const char *)from + (TOKENS_AHEAD * heads->token + d) * 4);
    }
    for (int d = 0; d < head_dim; d++) {
        row[d] = (double)from[d];
    }
}

void ley_heads_put(const struct ley_heads_out *heads, int64_t b, int64_t h, int64_t t,
                   const double *row, int head_dim) {
    int64_t at = b * heads->batch + h * heads->head + t * heads->token;
    if (heads->f64) {
        memcpy(heads->f64 + at, row, (size_t)head_dim * sizeof *row);
        return;
    }
    for (int d = 0; d < head_dim; d++) {
        heads->f32[at + d] = (float)row[d];
    }
}
