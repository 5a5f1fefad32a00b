// softmax_backward.c - gradients of digital attention, tile by tile
//
// With s = scale q k, p = softmax(s) and o = p v, and D = do . o of each query:
//     dv = p^T do,   ds = p (do v^T - D),   dq = scale ds k,   dk = scale ds^T q
// Scores are computed again for tiles of QUERIES x KEYS. Pass 1 takes blocks of queries: their log
// of the sum of exponentials, D, and dq. Pass 2 takes blocks of keys: dk and dv, summed over the
// query heads of their group and over queries, in order. Each block is one thread's, and every sum
// runs in an order that depends on nothing but the shape. O(T) memory; 8 T^2 D products a head.
#include <math.h>
#include <omp.h>
#include <string.h>

#include "nn/exp_impl.h"
#include "nn/softmax.h"

// A tile, and the floats of a vector. Rows and widths of tiles are padded with zeros to these.
enum { QUERIES = 32, KEYS = 64, LANES = 16, ROWS = 4 };

// Inlined into each of the variants below, which then compile it for their instruction set.
#define INLINE static inline __attribute__((always_inline))

typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));

// What the tasks of one call share.
struct job {
    const struct ley_softmax_shape *shape;
    const struct ley_softmax_backward *pass;
    int64_t n_tokens;
    int width;              // head_dim padded to LANES
    float scale;            // 1 / sqrt(head_dim)
    float *log_sum, *inner; // (Hq, T): log of the sum of exponentials; D
    float *pieces;          // of each thread
    int64_t n_piece;
};

// One thread's tiles.
struct tiles {
    float *q, *dout;      // (QUERIES, width)
    float *k;             // (KEYS, width)
    float *k_turned;      // (width, KEYS)
    float *v_turned;      // (width, KEYS)
    float *p, *ds;        // (QUERIES, KEYS) scores, then p; do v^T, then scale ds
    float *sum_k, *sum_v; // (KEYS, width) dk and dv; pass 1 uses sum_k for dq
};

static int64_t piece_floats(int width) {
    return (2 * QUERIES + 5 * KEYS) * (int64_t)width + 2 * QUERIES * KEYS;
}

static struct tiles tiles_of(const struct job *job) {
    int64_t q = QUERIES * (int64_t)job->width, k = KEYS * (int64_t)job->width;
    float *at = job->pieces + omp_get_thread_num() * job->n_piece;
    return (struct tiles){
        .q = at,
        .dout = at + q,
        .k = at + 2 * q,
        .k_turned = at + 2 * q + k,
        .v_turned = at + 2 * q + 2 * k,
        .sum_k = at + 2 * q + 3 * k,
        .sum_v = at + 2 * q + 4 * k,
        .p = at + 2 * q + 5 * k,
        .ds = at + 2 * q + 5 * k + QUERIES * KEYS,
    };
}

// c (ROWS, n_lanes vectors) += a b over `depth`, sums kept in registers. Element (i, l) of a stands
// at a[i * a_row + l * a_step]; rows of b and c are `width` apart.
INLINE void product_block(float *c, const float *a, int a_row, int a_step, const float *b,
                          int width, int depth, int n_lanes) {
    lanes sum[ROWS][2];
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < n_lanes; j++) {
            sum[i][j] = *(const lanes *)(c + i * width + j * LANES);
        }
    }
    for (int l = 0; l < depth; l++) {
        for (int i = 0; i < ROWS; i++) {
            for (int j = 0; j < n_lanes; j++) {
                sum[i][j] +=
                    a[i * a_row + l * a_step] * *(const lanes *)(b + l * width + j * LANES);
            }
        }
    }
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < n_lanes; j++) {
            *(lanes *)(c + i * width + j * LANES) = sum[i][j];
        }
    }
}

// c (rows, width) += a b, b (depth, width); rows is a multiple of ROWS, width of LANES.
INLINE void product(float *c, const float *a, int a_row, int a_step, const float *b, int rows,
                    int width, int depth) {
    for (int i = 0; i < rows; i += ROWS) {
        int j = 0;
        for (; j + 2 * LANES <= width; j += 2 * LANES) {
            product_block(c + i * width + j, a + i * a_row, a_row, a_step, b + j, width, depth, 2);
        }
        if (j < width) {
            product_block(c + i * width + j, a + i * a_row, a_row, a_step, b + j, width, depth, 1);
        }
    }
}

// tile (rows, width) <- n rows of head_dim values, the rest zero.
INLINE void copy_rows(float *tile, const float *from, int64_t stride, int64_t n, int rows,
                      int head_dim, int width) {
    memset(tile, 0, (size_t)(rows * width) * sizeof *tile);
    for (int64_t i = 0; i < n; i++) {
        memcpy(tile + i * width, from + i * stride, (size_t)head_dim * sizeof *tile);
    }
}

// tile (width, KEYS) <- the transpose of n rows, the rest zero.
INLINE void turn_rows(float *tile, const float *from, int64_t stride, int64_t n, int head_dim,
                      int width) {
    memset(tile, 0, (size_t)(KEYS * width) * sizeof *tile);
    for (int64_t i = 0; i < n; i++) {
        for (int d = 0; d < head_dim; d++) {
            tile[d * KEYS + i] = from[i * stride + d];
        }
    }
}

// A block of queries of head h, or of keys of a key-value head: first token and how many.
struct block {
    int64_t head, first, n;
};

INLINE int64_t at_most(int64_t a, int64_t b) {
    return a < b ? a : b;
}

INLINE void load_queries(struct tiles *t, const struct job *job, const struct block *queries) {
    const struct ley_softmax_backward *pass = job->pass;
    int64_t D = job->shape->head_dim, out_stride = job->shape->n_query_heads * D;
    copy_rows(t->q, pass->q + queries->first * pass->stride + queries->head * D, pass->stride,
              queries->n, QUERIES, (int)D, job->width);
    copy_rows(t->dout, pass->dout + queries->first * out_stride + queries->head * D, out_stride,
              queries->n, QUERIES, (int)D, job->width);
}

INLINE void load_keys(struct tiles *t, const struct job *job, const struct block *keys) {
    const struct ley_softmax_backward *pass = job->pass;
    int64_t D = job->shape->head_dim, place = keys->first * pass->stride + keys->head * D;
    copy_rows(t->k, pass->k + place, pass->stride, keys->n, KEYS, (int)D, job->width);
    turn_rows(t->k_turned, pass->k + place, pass->stride, keys->n, (int)D, job->width);
    turn_rows(t->v_turned, pass->v + place, pass->stride, keys->n, (int)D, job->width);
}

// Keys of a block that query `token` sees: key indices *first .. *last - 1 within the block.
INLINE void visible(int64_t *first, int64_t *last, const struct job *job, const struct block *keys,
                    int64_t token) {
    int64_t window = job->shape->window, oldest = window > 0 ? token - window + 1 : 0;
    *first = oldest > keys->first ? at_most(oldest - keys->first, keys->n) : 0;
    *last = token < keys->first ? 0 : at_most(token - keys->first + 1, keys->n);
}

// t->p <- scores before scaling
INLINE void score(struct tiles *t, const struct job *job) {
    memset(t->p, 0, QUERIES * KEYS * sizeof *t->p);
    product(t->p, t->q, job->width, 1, t->k_turned, QUERIES, KEYS, job->width);
}

// t->p <- p and t->ds <- scale p (do v^T - D); zero where a key is not seen.
INLINE void weigh(struct tiles *t, const struct job *job, const struct block *queries,
                  const struct block *keys) {
    score(t, job);
    memset(t->ds, 0, QUERIES * KEYS * sizeof *t->ds);
    product(t->ds, t->dout, job->width, 1, t->v_turned, QUERIES, KEYS, job->width);
    for (int64_t i = 0; i < QUERIES; i++) {
        int64_t first = 0, last = 0, token = queries->first + i;
        float log_sum = 0, inner = 0;
        if (i < queries->n) {
            visible(&first, &last, job, keys, token);
            log_sum = job->log_sum[queries->head * job->n_tokens + token];
            inner = job->inner[queries->head * job->n_tokens + token];
        }
        float *p = t->p + i * KEYS, *ds = t->ds + i * KEYS;
        for (int64_t j = 0; j < KEYS; j++) {
            float seen = j >= first && j < last ? ley_exp(p[j] * job->scale - log_sum) : 0;
            p[j] = seen;
            ds[j] = seen * (ds[j] - inner) * job->scale;
        }
    }
}

// Running largest score and sum of exponentials of one query, over tiles of keys.
struct running {
    float largest[QUERIES];
    double sum[QUERIES];
};

// A larger score scales down what has been summed so far.
INLINE void add_scores(struct running *r, const struct tiles *t, const struct job *job,
                       const struct block *queries, const struct block *keys) {
    for (int64_t i = 0; i < queries->n; i++) {
        int64_t first, last;
        float largest = r->largest[i];
        double sum = 0;
        visible(&first, &last, job, keys, queries->first + i);
        if (first >= last) {
            continue; // -inf - -inf would be no number
        }
        for (int64_t j = first; j < last; j++) {
            float s = t->p[i * KEYS + j] * job->scale;
            largest = s > largest ? s : largest;
        }
        for (int64_t j = first; j < last; j++) {
            sum += (double)ley_exp(t->p[i * KEYS + j] * job->scale - largest);
        }
        r->sum[i] = r->sum[i] * exp((double)r->largest[i] - (double)largest) + sum;
        r->largest[i] = largest;
    }
}

// Blocks of keys that a block of queries sees begin here.
INLINE int64_t first_key_block(const struct job *job, int64_t token) {
    int64_t window = job->shape->window, oldest = window > 0 ? token - window + 1 : 0;
    return oldest > 0 ? oldest / KEYS * KEYS : 0;
}

// log_sum and D of a block of queries.
INLINE void measure(struct tiles *t, const struct job *job, const struct block *queries,
                    int64_t kv_head) {
    struct running r;
    int64_t D = job->shape->head_dim, last = queries->first + queries->n;
    for (int i = 0; i < QUERIES; i++) {
        r.largest[i] = -INFINITY;
        r.sum[i] = 0;
    }
    for (int64_t s = first_key_block(job, queries->first); s < last; s += KEYS) {
        const struct block keys = {kv_head, s, at_most(KEYS, job->n_tokens - s)};
        turn_rows(t->k_turned, job->pass->k + s * job->pass->stride + kv_head * D,
                  job->pass->stride, keys.n, (int)D, job->width);
        score(t, job);
        add_scores(&r, t, job, queries, &keys);
    }
    for (int64_t i = 0; i < queries->n; i++) {
        int64_t token = queries->first + i, place = queries->head * job->n_tokens + token;
        int64_t row = (token * job->shape->n_query_heads + queries->head) * D;
        double inner = 0;
        for (int64_t d = 0; d < D; d++) {
            inner += (double)job->pass->dout[row + d] * (double)job->pass->out[row + d];
        }
        job->log_sum[place] = (float)(r.largest[i] + log(r.sum[i]));
        job->inner[place] = (float)inner;
    }
}

// rows of a gradient <- the first n rows of a tile
INLINE void store_rows(float *to, int64_t stride, const float *tile, int64_t n, int head_dim,
                       int width) {
    for (int64_t i = 0; i < n; i++) {
        memcpy(to + i * stride, tile + i * width, (size_t)head_dim * sizeof *to);
    }
}

// Pass 1: dq of a block of queries. Query heads of a group share one key-value head.
INLINE void take_queries(const struct job *job, const struct block *queries) {
    struct tiles t = tiles_of(job);
    const struct ley_softmax_backward *pass = job->pass;
    int64_t kv_head = queries->head / (job->shape->n_query_heads / job->shape->n_kv_heads);
    int64_t D = job->shape->head_dim;
    load_queries(&t, job, queries);
    measure(&t, job, queries, kv_head);
    memset(t.sum_k, 0, (size_t)(QUERIES * job->width) * sizeof *t.sum_k);
    for (int64_t s = first_key_block(job, queries->first); s < queries->first + queries->n;
         s += KEYS) {
        const struct block keys = {kv_head, s, at_most(KEYS, job->n_tokens - s)};
        load_keys(&t, job, &keys);
        weigh(&t, job, queries, &keys);
        product(t.sum_k, t.ds, KEYS, 1, t.k, QUERIES, job->width, KEYS);
    }
    store_rows(pass->dq + queries->first * pass->stride + queries->head * D, pass->stride, t.sum_k,
               queries->n, (int)D, job->width);
}

// Pass 2: dk and dv of a block of keys, from all queries that see any of them.
INLINE void take_keys(const struct job *job, const struct block *keys) {
    struct tiles t = tiles_of(job);
    const struct ley_softmax_backward *pass = job->pass;
    int64_t group = job->shape->n_query_heads / job->shape->n_kv_heads, D = job->shape->head_dim;
    int64_t window = job->shape->window, end = job->n_tokens;
    size_t n_bytes = (size_t)(KEYS * job->width) * sizeof(float);
    // The newest key is seen by `window` queries, itself included.
    end = window > 0 ? at_most(end, keys->first + keys->n - 1 + window) : end;
    load_keys(&t, job, keys);
    memset(t.sum_k, 0, n_bytes);
    memset(t.sum_v, 0, n_bytes);
    for (int64_t h = keys->head * group; h < (keys->head + 1) * group; h++) {
        for (int64_t i = keys->first / QUERIES * QUERIES; i < end; i += QUERIES) {
            const struct block queries = {h, i, at_most(QUERIES, job->n_tokens - i)};
            load_queries(&t, job, &queries);
            weigh(&t, job, &queries, keys);
            product(t.sum_v, t.p, 1, KEYS, t.dout, KEYS, job->width, QUERIES);
            product(t.sum_k, t.ds, 1, KEYS, t.q, KEYS, job->width, QUERIES);
        }
    }
    int64_t place = keys->first * pass->stride + keys->head * D;
    store_rows(pass->dk + place, pass->stride, t.sum_k, keys->n, (int)D, job->width);
    store_rows(pass->dv + place, pass->stride, t.sum_v, keys->n, (int)D, job->width);
}

// The same source for several instruction sets: lanes and orders are fixed above and products are
// never fused with sums, so the bits are the same and only the time differs.
typedef void take_function(const struct job *job, const struct block *block, bool is_keys);

static void take_plain(const struct job *job, const struct block *block, bool is_keys) {
    is_keys ? take_keys(job, block) : take_queries(job, block);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void take_avx2(const struct job *job,
                                                      const struct block *block, bool is_keys) {
    is_keys ? take_keys(job, block) : take_queries(job, block);
}

__attribute__((target("avx512f,avx512vl,avx512dq"))) static void
take_avx512(const struct job *job, const struct block *block, bool is_keys) {
    is_keys ? take_keys(job, block) : take_queries(job, block);
}
#endif

// Asked once a call, of the CPU it runs on: the library is built once for all.
static take_function *choose_take(void) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        return take_avx512;
    }
    if (__builtin_cpu_supports("avx2")) {
        return take_avx2;
    }
#endif
    return take_plain;
}

static int padded(int head_dim) {
    return (head_dim + LANES - 1) / LANES * LANES;
}

int64_t ley_softmax_backward_floats(const struct ley_softmax_shape *shape, int64_t n_tokens,
                                    int n_threads) {
    return 2 * shape->n_query_heads * n_tokens + n_threads * piece_floats(padded(shape->head_dim));
}

// Pass 2 needs the sums of pass 1: the loops are separate.
void ley_softmax_backward(const struct ley_softmax_shape *shape,
                          const struct ley_softmax_backward *pass, int64_t n_tokens) {
    int width = padded(shape->head_dim);
    int64_t n_sums = shape->n_query_heads * n_tokens;
    const struct job job = {
        .shape = shape,
        .pass = pass,
        .n_tokens = n_tokens,
        .width = width,
        .scale = (float)(1 / sqrt((double)shape->head_dim)),
        .log_sum = pass->scratch,
        .inner = pass->scratch + n_sums,
        .pieces = pass->scratch + 2 * n_sums,
        .n_piece = piece_floats(width),
    };
    take_function *take = choose_take();
#pragma omp parallel for schedule(dynamic, 1) collapse(2)
    for (int64_t h = 0; h < shape->n_query_heads; h++) {
        for (int64_t i = 0; i < n_tokens; i += QUERIES) {
            const struct block queries = {h, i, at_most(QUERIES, n_tokens - i)};
            take(&job, &queries, false);
        }
    }
#pragma omp parallel for schedule(dynamic, 1) collapse(2)
    for (int64_t h = 0; h < shape->n_kv_heads; h++) {
        for (int64_t s = 0; s < n_tokens; s += KEYS) {
            const struct block keys = {h, s, at_most(KEYS, n_tokens - s)};
            take(&job, &keys, true);
        }
    }
}
