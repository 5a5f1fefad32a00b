// softmax.c - digital attention in blocks: queries of a few tokens against tiles of keys
//
// Scores are chains of fused multiply-adds over the width of a head, outputs over the keys from the
// oldest to the newest (ley_product); a key that a query does not see has the weight 0 and adds
// nothing. So a query's result depends on itself and its keys only, to the bit, however queries are
// put into blocks: a whole sequence and a single token against its cache agree. Query heads of a
// group share the turned tile of keys. O(keys * D) a query; scratch O(keys) a thread.
#include "nn/softmax.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "core/variants.h"
#include "kernel/kernel.h"
#include "nn/exp_impl.h"

// ROWS: tokens of a block of queries. KEYS: of a tile. LANES: partial sums of exponentials.
enum { ROWS = 16, KEYS = 64, LANES = 8 };

static int64_t round_up(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit * unit;
}

// Keys that a block of queries may see, in whole tiles.
static int64_t most_keys(const struct ley_softmax_shape *shape, int64_t n_tokens) {
    bool is_cut = shape->window > 0 && shape->window + ROWS < n_tokens;
    return round_up(is_cut ? shape->window + ROWS : n_tokens, KEYS) + KEYS;
}

// Scratch of one thread.
struct scratch {
    float *score;  // (group, ROWS, keys)
    float *turned; // (D, KEYS) a tile of keys
    float *values; // (KEYS, width) a tile of values
    float *sum;    // (group, ROWS, width)
    float *norm;   // (group, ROWS)
    int64_t keys, width;
};

static int64_t lay_out(struct scratch *scratch, const struct ley_softmax_shape *shape,
                       int64_t n_tokens, float *block) {
    int64_t n_group = shape->n_query_heads / shape->n_kv_heads, at = 0;
    scratch->keys = most_keys(shape, n_tokens);
    scratch->width = round_up(shape->head_dim, LEY_LANES);
    float **piece[] = {&scratch->score, &scratch->turned, &scratch->values, &scratch->sum,
                       &scratch->norm};
    const int64_t n[] = {n_group * ROWS * scratch->keys, shape->head_dim * (int64_t)KEYS,
                         KEYS * scratch->width, n_group * ROWS * scratch->width, n_group * ROWS};
    for (int i = 0; i < 5; i++) {
        *piece[i] = block ? block + at : NULL;
        at += round_up(n[i], 16); // whole cache lines
    }
    return at;
}

int64_t ley_softmax_scratch_size(const struct ley_softmax_shape *shape, int64_t n_tokens) {
    struct scratch unused;
    return lay_out(&unused, shape, n_tokens, NULL);
}

// One call, and one block of queries of one key-value head.
struct block {
    const struct ley_softmax_shape *shape;
    const struct ley_kv_rows *rows; // of the head
    const struct ley_kernels *kernels;
    const float *q; // of the block's first token and the group's first head
    float *out;
    int64_t first, n;       // tokens
    int64_t oldest, newest; // keys that any of them sees
};

static const float *row_of(const float *x, const struct block *b, int64_t key) {
    return x + key % b->rows->ring * b->rows->stride;
}

// turned[d][i] = k[key + i][d], zeros beyond the newest. A ring may wrap within the tile.
static void turn(float *turned, const struct block *b, int64_t key) {
    int head_dim = b->shape->head_dim;
    int64_t n = b->newest - key + 1 < KEYS ? b->newest - key + 1 : KEYS;
    if (n < KEYS) {
        memset(turned, 0, (size_t)(head_dim * KEYS) * sizeof *turned);
    }
    for (int64_t i = 0; i < n;) {
        int64_t to_end = b->rows->ring - (key + i) % b->rows->ring;
        int64_t n_rows = n - i < to_end ? n - i : to_end;
        const struct ley_turn piece = {(int)n_rows,     head_dim,   row_of(b->rows->k, b, key + i),
                                       b->rows->stride, turned + i, KEYS};
        b->kernels->turn(&piece);
        i += n_rows;
    }
}

// Scores of all queries of the block against all its keys, before the scale.
static void multiply_keys(const struct scratch *s, const struct block *b) {
    int64_t n_group = b->shape->n_query_heads / b->shape->n_kv_heads;
    memset(s->score, 0, (size_t)(n_group * ROWS * s->keys) * sizeof *s->score);
    for (int64_t key = b->oldest; key <= b->newest; key += KEYS) {
        turn(s->turned, b, key);
        for (int64_t g = 0; g < n_group; g++) {
            const struct ley_product product = {
                .n_rows = (int)b->n,
                .n_columns = KEYS,
                .depth = b->shape->head_dim,
                .a = b->q + g * b->shape->head_dim,
                .a_row = b->shape->q_stride,
                .a_depth = 1,
                .b = s->turned,
                .b_row = KEYS,
                .c = s->score + g * ROWS * s->keys + key - b->oldest,
                .c_row = s->keys,
            };
            b->kernels->product(&product);
        }
    }
}

// score[i] = exp((score[i] - largest) * scale) for n >= 1 keys; returns the inverse of their sum,
// which is taken in double. Scores that differ by more than 87 count as e^-87, which is nothing.
LEY_LEAF float exponentials_leaf(float *score, int64_t n, float scale) {
    float largest = score[0] * scale;
    for (int64_t i = 0; i < n; i++) {
        score[i] *= scale;
        largest = score[i] > largest ? score[i] : largest;
    }
    for (int64_t i = 0; i < n; i++) {
        score[i] = ley_exp(score[i] - largest);
    }
    double lane[LANES] = {0}, sum = 0;
    int64_t whole = n / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            lane[j] += (double)score[i + j];
        }
    }
    for (int64_t i = whole; i < n; i++) {
        lane[i - whole] += (double)score[i];
    }
    for (int j = 0; j < LANES; j++) {
        sum += lane[j];
    }
    return 1 / (float)sum;
}
LEY_VARIANTS(float, exponentials, (float *score, int64_t n, float scale), (score, n, scale))

// Weights of every query over what it sees, zeros elsewhere.
static void weigh_rows(const struct scratch *s, const struct block *b) {
    int64_t n_group = b->shape->n_query_heads / b->shape->n_kv_heads;
    // The scale multiplies each score, as the reference does it, in float32.
    float scale = (float)(1 / sqrt((double)b->shape->head_dim));
    for (int64_t i = 0; i < n_group * ROWS; i++) {
        int64_t t = b->first + i % ROWS, window = b->shape->window;
        int64_t oldest = window > 0 && t - window + 1 > 0 ? t - window + 1 : 0;
        if (i % ROWS >= b->n) {
            continue;
        }
        float *row = s->score + i * s->keys;
        int64_t before = oldest - b->oldest, n = t - oldest + 1;
        memset(row, 0, (size_t)before * sizeof *row);
        s->norm[i] = exponentials(row + before, n, scale);
        memset(row + before + n, 0, (size_t)(s->keys - before - n) * sizeof *row);
    }
}

// A tile of values in one piece: in place where rows are whole vectors and do not wrap.
static const float *gather(int64_t *stride, const struct scratch *s, const struct block *b,
                           int64_t key, int64_t n) {
    int64_t slot = key % b->rows->ring;
    if (s->width == b->shape->head_dim && slot + n <= b->rows->ring) {
        *stride = b->rows->stride;
        return row_of(b->rows->v, b, key);
    }
    *stride = s->width;
    for (int64_t i = 0; i < n; i++) {
        memcpy(s->values + i * s->width, row_of(b->rows->v, b, key + i),
               (size_t)b->shape->head_dim * sizeof *s->values);
    }
    return s->values;
}

// Sums of weighted values, tile by tile, then scaled into the output.
static void multiply_values(const struct scratch *s, const struct block *b) {
    int64_t n_group = b->shape->n_query_heads / b->shape->n_kv_heads, head_dim = b->shape->head_dim;
    memset(s->sum, 0, (size_t)(n_group * ROWS * s->width) * sizeof *s->sum);
    for (int64_t key = b->oldest; key <= b->newest; key += KEYS) {
        int64_t n = b->newest - key + 1 < KEYS ? b->newest - key + 1 : KEYS, stride;
        const float *v = gather(&stride, s, b, key, n);
        for (int64_t g = 0; g < n_group; g++) {
            const struct ley_product product = {
                .n_rows = (int)b->n,
                .n_columns = (int)s->width,
                .depth = (int)n,
                .a = s->score + g * ROWS * s->keys + key - b->oldest,
                .a_row = s->keys,
                .a_depth = 1,
                .b = v,
                .b_row = stride,
                .c = s->sum + g * ROWS * s->width,
                .c_row = s->width,
            };
            b->kernels->product(&product);
        }
    }
    for (int64_t i = 0; i < n_group * ROWS; i++) {
        float *out = b->out + i % ROWS * b->shape->n_query_heads * head_dim + i / ROWS * head_dim;
        for (int64_t d = 0; i % ROWS < b->n && d < head_dim; d++) {
            out[d] = s->sum[i * s->width + d] * s->norm[i];
        }
    }
}

// Blocks are dealt out late ones first: they see most keys.
void ley_softmax_forward(float *out, const struct ley_softmax_shape *shape, const float *q,
                         const struct ley_kv_rows *rows, int64_t first, int64_t n_tokens,
                         const struct ley_softmax_scratch *scratch) {
    int64_t n_kv = shape->n_kv_heads, n_group = shape->n_query_heads / n_kv;
    int64_t head_dim = shape->head_dim, n_blocks = (n_tokens + ROWS - 1) / ROWS;
    const struct ley_kernels *kernels = ley_kernels_select();
#pragma omp parallel for schedule(dynamic) if (n_blocks > 1)
    for (int64_t i = 0; i < n_kv * n_blocks; i++) {
        int64_t h = i % n_kv, at = (n_blocks - 1 - i / n_kv) * ROWS;
        int64_t left = n_tokens - at, n = left < ROWS ? left : ROWS;
        struct ley_kv_rows of_head = *rows;
        of_head.k += h * head_dim;
        of_head.v += h * head_dim;
        struct block b = {
            .shape = shape,
            .rows = &of_head,
            .kernels = kernels,
            .q = q + at * shape->q_stride + h * n_group * head_dim,
            .out = out + (at * shape->n_query_heads + h * n_group) * head_dim,
            .first = first + at,
            .n = n,
            .newest = first + at + n - 1,
        };
        int64_t oldest = shape->window > 0 ? b.first - shape->window + 1 : 0;
        b.oldest = oldest > 0 ? oldest : 0;
        struct scratch s;
        lay_out(&s, shape, b.newest + 1, scratch->piece + omp_get_thread_num() * scratch->n);
        multiply_keys(&s, &b);
        weigh_rows(&s, &b);
        multiply_values(&s, &b);
    }
}
