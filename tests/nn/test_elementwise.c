// test_elementwise.c - norms, activations and rotary positions against loops in double
#include <math.h>
#include <string.h>

#include "support/support.h"

enum { ROWS = 20, N = 37, HEADS = 2, HEAD_DIM = 10, ROTATING = 8 };
static const double REL = 1e-6;  // float32 arithmetic of a few operations
static const double TAIL = 1e-3; // far out exp(-u) has the error of u: judged absolutely there

static void fill(float *x, size_t n, uint64_t seed, double low, double high) {
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)random_between(seed, i, low, high);
    }
}

static void assert_near(double got, double want, double scale) {
    if (!(fabs(got - want) <= REL * (fabs(want) + scale))) {
        fail_msg("got %.9g, want %.9g", got, want);
    }
}

static void test_norms(void **state) {
    (void)state;
    float x[ROWS * N], y[ROWS * N], z[ROWS * N], scale[N], bias[N];
    fill(x, ROWS * N, 1, -2, 5);
    fill(scale, N, 2, 0, 2);
    fill(bias, N, 3, -1, 1);
    memcpy(z, x, sizeof x);
    ley_layer_norm(y, x, scale, bias, ROWS, N, 1e-5);
    ley_rms_norm(z, z, scale, ROWS, N, 1e-6); // in place
    for (int r = 0; r < ROWS; r++) {
        double mean = 0, variance = 0, square = 0;
        for (int i = 0; i < N; i++) {
            mean += x[r * N + i] / (double)N;
            square += x[r * N + i] * (double)x[r * N + i] / N;
        }
        for (int i = 0; i < N; i++) {
            variance += pow(x[r * N + i] - mean, 2) / N;
        }
        for (int i = 0; i < N; i++) {
            double normal = (x[r * N + i] - mean) / sqrt(variance + 1e-5);
            assert_near(y[r * N + i], normal * scale[i] + bias[i], 1);
            assert_near(z[r * N + i], x[r * N + i] / sqrt(square + 1e-6) * scale[i], 0);
        }
    }
}

static void test_activations(void **state) {
    (void)state;
    float x[2 * N], y[2 * N];
    fill(x, 2 * N, 4, -12, 12);
    x[0] = 0;
    x[1] = -200; // beyond the range of the exponential
    x[2] = 200;
    ley_gelu_tanh(y, x, 2 * N);
    for (int i = 0; i < 2 * N; i++) {
        double u = sqrt(2 / acos(-1)) * (x[i] + 0.044715 * pow(x[i], 3));
        assert_near(y[i], x[i] / (1 + exp(-2 * u)), TAIL);
    }
    ley_gelu_erf(y, x, 2 * N);
    for (int i = 0; i < 2 * N; i++) {
        assert_near(y[i], x[i] * 0.5 * erfc(-x[i] / sqrt(2)), TAIL);
    }
    ley_swiglu(y, x, 1, N);
    for (int i = 0; i < N; i++) {
        assert_near(y[i], x[i] / (1 + exp(-(double)x[i])) * x[N + i], TAIL);
    }
    ley_add(y, x, N);
    assert_near(y[3], x[3] / (1 + exp(-(double)x[3])) * x[N + 3] + x[3], TAIL);
}

static void test_log_sum_exp(void **state) {
    (void)state;
    float x[N];
    fill(x, N, 5, -30, 30);
    for (int shift = -1000; shift <= 1000; shift += 1000) {
        double sum = 0;
        for (int i = 0; i < N; i++) {
            sum += exp((double)x[i]);
        }
        assert_near(ley_log_sum_exp(x, N), log(sum), 0);
        for (int i = 0; i < N; i++) {
            x[i] += 7; // the same numbers, further up
        }
    }
}

static void check_rotary(bool pairs_adjacent, int64_t position, const float *factor) {
    float x[HEADS * HEAD_DIM], y[HEADS * HEAD_DIM], turn[ROTATING];
    struct ley_rotary *rotary;
    fill(x, HEADS * HEAD_DIM, 6, -1, 1);
    memcpy(y, x, sizeof x);
    ASSERT_OK(ley_rotary_create(&rotary, ROTATING, 10000, pairs_adjacent, factor));
    ley_rotary_turn(turn, rotary, position);
    ley_rotary_forward(y, rotary, turn, HEADS, HEAD_DIM);
    for (int h = 0; h < HEADS; h++) {
        for (int i = 0; i < ROTATING / 2; i++) {
            int a = h * HEAD_DIM + (pairs_adjacent ? 2 * i : i);
            int b = a + (pairs_adjacent ? 1 : ROTATING / 2);
            double angle = (double)position /
                           (pow(10000, 2.0 * i / ROTATING) * (factor ? (double)factor[i] : 1));
            assert_near(y[a], x[a] * cos(angle) - x[b] * sin(angle), 1);
            assert_near(y[b], x[b] * cos(angle) + x[a] * sin(angle), 1);
        }
        for (int i = h * HEAD_DIM + ROTATING; i < (h + 1) * HEAD_DIM; i++) {
            assert_true(y[i] == x[i]); // beyond the rotating width
        }
    }
    ley_rotary_destroy(rotary);
}

static void test_rotary(void **state) {
    (void)state;
    const float factor[ROTATING / 2] = {1, 1.5f, 4, 8};
    for (int adjacent = 0; adjacent <= 1; adjacent++) {
        check_rotary(adjacent, 0, NULL);
        check_rotary(adjacent, 5, NULL);
        check_rotary(adjacent, 1000003, factor); // far away nothing is lost
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norms),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_log_sum_exp),
        cmocka_unit_test(test_rotary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
