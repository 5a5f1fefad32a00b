// softmax.c - one query at a time, in fixed order; threads share (head, query) pairs
//
// Scores are summed in 16 interleaved lanes, added pairwise; values are added key by key. Both
// orders depend on nothing but the head width and the keys. O(keys * D) a query.
#include "nn/softmax.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "nn/exp_impl.h"

// LANES fixes the order of summation, BLOCK how many values of v are summed in registers at once.
enum { LANES = 16, BLOCK = 64 };

// Inlined into each of the variants below, which then compile it for their instruction set.
#define INLINE static inline __attribute__((always_inline))

// Sixteen floats that compilers map to whatever registers there are; anywhere in memory.
typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));

// What is left over is padded with zeros and added as one more round, so its order is fixed too.
INLINE float dot(const float *a, const float *b, int n) {
    lanes sum = {0};
    float part[LANES], rest_a[LANES] = {0}, rest_b[LANES] = {0};
    int whole = n / LANES * LANES;
    for (int i = 0; i < whole; i += LANES) {
        sum += *(const lanes *)(a + i) * *(const lanes *)(b + i);
    }
    if (whole < n) {
        memcpy(rest_a, a + whole, (size_t)(n - whole) * sizeof *a);
        memcpy(rest_b, b + whole, (size_t)(n - whole) * sizeof *b);
        sum += *(const lanes *)rest_a * *(const lanes *)rest_b;
    }
    memcpy(part, &sum, sizeof part);
    for (int j = 0; j < 8; j++) { // written out: loops of fixed length stay in registers
        part[j] += part[j + 8];
    }
    for (int j = 0; j < 4; j++) {
        part[j] += part[j + 4];
    }
    return (part[0] + part[2]) + (part[1] + part[3]);
}

// score[i] = exp(score[i] - largest); returns their sum
// n >= 1. Scores differ by less than 87 or the smaller ones count as e^-87, which is nothing.
INLINE float exponentials(float *score, int64_t n) {
    float largest = score[0];
    for (int64_t i = 1; i < n; i++) {
        largest = score[i] > largest ? score[i] : largest;
    }
    for (int64_t i = 0; i < n; i++) {
        score[i] = ley_exp(score[i] - largest);
    }
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)score[i];
    }
    return (float)sum;
}

// out[j] = norm * sum over keys of score * v[d + j], for n_lanes * LANES values j. With a constant
// n_lanes the sums stay in registers.
INLINE void weigh(float *out, const float *score, const struct ley_kv_rows *rows, int d,
                  int64_t oldest, int64_t n_keys, float norm, int n_lanes) {
    lanes sum[BLOCK / LANES] = {{0}};
    int64_t slot = oldest % rows->ring;
    for (int64_t i = 0; i < n_keys; i++) {
        const float *v = rows->v + slot * rows->stride + d;
        for (int j = 0; j < n_lanes; j++) {
            sum[j] += score[i] * *(const lanes *)(v + j * LANES);
        }
        slot = slot + 1 == rows->ring ? 0 : slot + 1;
    }
    for (int j = 0; j < n_lanes; j++) {
        *(lanes *)(out + j * LANES) = sum[j] * norm;
    }
}

// The same for a single value.
INLINE float weigh_one(const float *score, const struct ley_kv_rows *rows, int d, int64_t oldest,
                       int64_t n_keys, float norm) {
    float sum = 0;
    for (int64_t i = 0; i < n_keys; i++) {
        sum += score[i] * rows->v[(oldest + i) % rows->ring * rows->stride + d];
    }
    return sum * norm;
}

// One query head against keys oldest .. newest of its key-value head.
INLINE void attend_query(float *out, const float *q, const struct ley_kv_rows *rows, int64_t oldest,
                         int64_t newest, int head_dim, float *score) {
    // The scale multiplies each score, as the reference does it, in float32.
    float scale = (float)(1 / sqrt((double)head_dim));
    int64_t n_keys = newest - oldest + 1;
    int64_t slot = oldest % rows->ring;
    for (int64_t i = 0; i < n_keys; i++) {
        score[i] = dot(q, rows->k + slot * rows->stride, head_dim) * scale;
        slot = slot + 1 == rows->ring ? 0 : slot + 1;
    }
    // One division, then a multiplication for each value of the result.
    float norm = 1 / exponentials(score, n_keys);
    int d = 0;
    for (; d + BLOCK <= head_dim; d += BLOCK) {
        weigh(out + d, score, rows, d, oldest, n_keys, norm, BLOCK / LANES);
    }
    for (; d + LANES <= head_dim; d += LANES) {
        weigh(out + d, score, rows, d, oldest, n_keys, norm, 1);
    }
    for (; d < head_dim; d++) {
        out[d] = weigh_one(score, rows, d, oldest, n_keys, norm);
    }
}

// The same source for several instruction sets: lanes and orders are fixed above and products are
// never fused with sums, so the bits are the same and only the time differs (3 x with AVX-512).
typedef void attend_function(float *out, const float *q, const struct ley_kv_rows *rows,
                             int64_t oldest, int64_t newest, int head_dim, float *score);

// Baseline of the compiler; the fallback everywhere.
static void attend_plain(float *out, const float *q, const struct ley_kv_rows *rows, int64_t oldest,
                         int64_t newest, int head_dim, float *score) {
    attend_query(out, q, rows, oldest, newest, head_dim, score);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void attend_avx2(float *out, const float *q,
                                                        const struct ley_kv_rows *rows,
                                                        int64_t oldest, int64_t newest,
                                                        int head_dim, float *score) {
    attend_query(out, q, rows, oldest, newest, head_dim, score);
}

__attribute__((target("avx512f,avx512vl,avx512dq"))) static void
attend_avx512(float *out, const float *q, const struct ley_kv_rows *rows, int64_t oldest,
              int64_t newest, int head_dim, float *score) {
    attend_query(out, q, rows, oldest, newest, head_dim, score);
}
#endif

// Asked once a call, of the CPU it runs on: the library is built once for all.
static attend_function *choose_attend(void) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        return attend_avx512;
    }
    if (__builtin_cpu_supports("avx2")) {
        return attend_avx2;
    }
#endif
    return attend_plain;
}

// A query never sees more keys than its window.
int64_t ley_softmax_scratch_size(const struct ley_softmax_shape *shape, int64_t n_tokens) {
    bool is_cut = shape->window > 0 && shape->window < n_tokens;
    return ((is_cut ? shape->window : n_tokens) + LANES - 1) / LANES * LANES; // whole cache lines
}

// Each (head, query) pair is one thread's with a piece of scratch of its own; no sum is shared.
void ley_softmax_forward(float *out, const struct ley_softmax_shape *shape, const float *q,
                         const struct ley_kv_rows *rows, int64_t first, int64_t n_tokens,
                         const struct ley_softmax_scratch *scratch) {
    int64_t n_heads = shape->n_query_heads, head_dim = shape->head_dim;
    int64_t n_group = n_heads / shape->n_kv_heads;
    attend_function *attend = choose_attend();
#pragma omp parallel for schedule(dynamic, 8) collapse(2)
    for (int64_t h = 0; h < n_heads; h++) {
        for (int64_t i = 0; i < n_tokens; i++) {
            // Causal: token t sees oldest .. t. The ring must hold all of these.
            int64_t t = first + i, oldest = shape->window > 0 ? t - shape->window + 1 : 0;
            // Query heads of a group share one key-value head (M19).
            struct ley_kv_rows of_head = *rows;
            of_head.k += h / n_group * head_dim;
            of_head.v += h / n_group * head_dim;
            attend(out + (i * n_heads + h) * head_dim, q + i * shape->q_stride + h * head_dim,
                   &of_head, oldest > 0 ? oldest : 0, t, shape->head_dim,
                   scratch->piece + omp_get_thread_num() * scratch->n);
        }
    }
}
