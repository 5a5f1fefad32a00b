// test_softmax.c - digital attention against plain loops: windows, groups, rings
#include <math.h>
#include <omp.h>
#include <string.h>

#include "support/support.h"

enum { T = 40, HQ = 4, HKV = 2, D = 18, MAX_THREADS = 64 };
static const double TOLERANCE = 2e-6; // float32 scores and sums of values below 1

struct input {
    float q[T * HQ * D], k[T * HKV * D], v[T * HKV * D], out[T * HQ * D];
    float scratch[MAX_THREADS * 16384];
};

static void make_input(struct input *in) {
    for (size_t i = 0; i < T * HQ * D; i++) {
        in->q[i] = (float)random_between(1, i, -3, 3);
    }
    for (size_t i = 0; i < T * HKV * D; i++) {
        in->k[i] = (float)random_between(2, i, -3, 3);
        in->v[i] = (float)random_between(3, i, -1, 1);
    }
}

static double expected(const struct input *in, int64_t window, int t, int h, int d) {
    double sum = 0, value = 0;
    for (int s = 0; s <= t; s++) {
        double score = 0;
        for (int e = 0; e < D; e++) {
            score += in->q[(t * HQ + h) * D + e] * (double)in->k[(s * HKV + h / 2) * D + e];
        }
        double weight = window > 0 && t - s >= window ? 0 : exp(score / sqrt(D));
        sum += weight;
        value += weight * in->v[(s * HKV + h / 2) * D + d];
    }
    return value / sum;
}

static void check_window(int64_t window) {
    static struct input in;
    make_input(&in);
    const struct ley_softmax_shape shape = {HQ, HKV, D, window, HQ * D};
    const struct ley_kv_rows rows = {in.k, in.v, HKV * D, T};
    omp_set_num_threads(2);
    const struct ley_softmax_scratch scratch = {in.scratch, ley_softmax_scratch_size(&shape, T)};
    ley_softmax_forward(in.out, &shape, in.q, &rows, 0, T, &scratch);
    for (int t = 0; t < T; t++) {
        for (int h = 0; h < HQ; h++) {
            for (int d = 0; d < D; d++) {
                double want = expected(&in, window, t, h, d);
                assert_true(fabs(in.out[(t * HQ + h) * D + d] - want) < TOLERANCE);
            }
        }
    }
}

static void test_softmax_equals_loop(void **state) {
    (void)state;
    check_window(0);
    check_window(1);
    check_window(7);
    check_window(T + 5);
}

// One token at a time against a ring as long as the window gives the bits of the whole sequence.
static void test_softmax_ring_equals_sequence(void **state) {
    (void)state;
    enum { WINDOW = 7 };
    static struct input in;
    static float k[WINDOW * HKV * D], v[WINDOW * HKV * D], out[HQ * D];
    make_input(&in);
    const struct ley_softmax_shape shape = {HQ, HKV, D, WINDOW, HQ * D};
    const struct ley_kv_rows all = {in.k, in.v, HKV * D, T}, ring = {k, v, HKV * D, WINDOW};
    const struct ley_softmax_scratch scratch = {in.scratch, ley_softmax_scratch_size(&shape, T)};
    ley_softmax_forward(in.out, &shape, in.q, &all, 0, T, &scratch);
    for (int t = 0; t < T; t++) {
        omp_set_num_threads(1 + t % 3);
        memcpy(k + t % WINDOW * HKV * D, in.k + t * HKV * D, HKV * D * sizeof *k);
        memcpy(v + t % WINDOW * HKV * D, in.v + t * HKV * D, HKV * D * sizeof *v);
        ley_softmax_forward(out, &shape, in.q + t * HQ * D, &ring, t, 1, &scratch);
        assert_memory_equal(out, in.out + t * HQ * D, sizeof out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax_equals_loop),
        cmocka_unit_test(test_softmax_ring_equals_sequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
