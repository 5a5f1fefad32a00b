// cpu_attention.c - times the library's own digital attention
//
// The median of many calls on one cache, which stays in the processor's caches when it fits: a
// machine at its best. Energy is that of the whole package over all calls, neighbours included.
#include "cpu_attention.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "language.h" // clock_s

enum { N_CALLS = 51 };
static const double most_s = 0.5;     // for all calls
static const double most_bytes = 1e9; // of a cache

// Microjoules of the first processor package, or -1 when they cannot be read.
static double package_uj(void) {
    double value = -1;
    FILE *file = fopen("/sys/class/powercap/intel-rapl:0/energy_uj", "r");
    if (file) {
        if (fscanf(file, "%lf", &value) != 1) {
            value = -1;
        }
        fclose(file);
    }
    return value;
}

// For qsort.
static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// What one call needs.
struct room {
    float *q, *kv, *out;
    struct ley_softmax_scratch scratch;
};

static enum ley_status make_room(struct room *room, const struct ley_cost_shape *shape,
                                 const struct ley_softmax_shape *softmax, int window) {
    size_t n_q = (size_t)shape->n_heads * (size_t)shape->head_dim;
    size_t n_kv = 2 * (size_t)shape->n_kv_heads * (size_t)shape->head_dim * (size_t)window;
    room->scratch.n = ley_softmax_scratch_size(softmax, window);
    room->q = ley_alloc(n_q, sizeof(float));
    room->out = ley_alloc(n_q, sizeof(float));
    room->kv = ley_alloc(n_kv, sizeof(float));
    room->scratch.piece =
        ley_alloc((size_t)room->scratch.n * (size_t)omp_get_max_threads(), sizeof(float));
    if (!room->q || !room->out || !room->kv || !room->scratch.piece) {
        return ley_fail_memory("a digital KV cache", n_kv, sizeof(float));
    }
    for (size_t i = 0; i < n_q; i++) {
        room->q[i] = (float)ley_random_uniform(1, 1, i) - 0.5F;
    }
    for (size_t i = 0; i < n_kv; i++) {
        room->kv[i] = (float)ley_random_uniform(1, 2, i) - 0.5F;
    }
    return LEY_OK;
}

// Seconds and joules of one call; the number of calls in *n_calls.
static struct ley_cost_measured time_calls(const struct room *room,
                                           const struct ley_softmax_shape *softmax, int window,
                                           int *n_calls) {
    int64_t stride = 2 * (int64_t)softmax->n_kv_heads * softmax->head_dim;
    const struct ley_kv_rows rows = {room->kv, room->kv + stride / 2, stride, window};
    double time_s[N_CALLS], energy_uj = package_uj(), start_s = clock_s();
    int n = 0;
    while (n < N_CALLS && (n < 3 || clock_s() - start_s < most_s)) {
        double call_s = clock_s();
        ley_softmax_forward(room->out, softmax, room->q, &rows, window - 1, 1, &room->scratch);
        time_s[n++] = clock_s() - call_s;
    }
    double used_uj = package_uj() - energy_uj;
    qsort(time_s, (size_t)n, sizeof *time_s, compare);
    *n_calls = n;
    // The counter wraps: a difference below zero is no energy.
    return (struct ley_cost_measured){
        .attention_s = time_s[n / 2],
        .attention_j = energy_uj >= 0 && used_uj > 0 ? 1e-6 * used_uj / n : 0,
    };
}

enum ley_status cpu_attention_measure(struct ley_cost_measured *measured, char *source,
                                      size_t n_source, const struct ley_cost_shape *shape,
                                      int window) {
    const struct ley_softmax_shape softmax = {
        .n_query_heads = shape->n_heads,
        .n_kv_heads = shape->n_kv_heads,
        .head_dim = shape->head_dim,
        .window = window,
        .q_stride = (int64_t)shape->n_heads * shape->head_dim,
    };
    struct room room = {0};
    int n_calls = 0;
    if (8.0 * shape->n_kv_heads * shape->head_dim * window > most_bytes) {
        return LEY_OK;
    }
    enum ley_status status = make_room(&room, shape, &softmax, window);
    if (status == LEY_OK) {
        struct ley_cost_measured found = time_calls(&room, &softmax, window, &n_calls);
        measured->attention_s = found.attention_s;
        measured->attention_j = found.attention_j;
        snprintf(source, n_source,
                 "this machine now: softmax attention of this library, float32, batch 1, %d "
                 "threads, median of %d calls; energy %s",
                 omp_get_max_threads(), n_calls,
                 found.attention_j > 0 ? "of the whole package (RAPL)"
                                       : "not readable (/sys/class/powercap)");
    }
    ley_free(room.q);
    ley_free(room.kv);
    ley_free(room.out);
    ley_free(room.scratch.piece);
    return status;
}
