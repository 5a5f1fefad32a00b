// test_sampling.c - which tokens may be drawn, how often, and that draws repeat
#include <math.h>

#include "support/support.h"

enum { V = 6, N_DRAWS = 20000 };

// Probabilities 0.4 0.3 0.15 0.1 0.05 0 in a shuffled order of ids.
static const double probability[V] = {0.1, 0.4, 0, 0.15, 0.3, 0.05};

static struct ley_sampler *make(double temperature, int top_k, double top_p) {
    struct ley_sampling sampling = {temperature, top_k, top_p, 42, 0};
    struct ley_sampler *sampler;
    ASSERT_OK(ley_sampler_create(&sampler, &sampling, V));
    return sampler;
}

static void fill_logits(float logits[V]) {
    for (int i = 0; i < V; i++) {
        logits[i] = probability[i] > 0 ? (float)(log(probability[i]) + 3) : -INFINITY;
    }
}

// Draws many times and compares the shares of all tokens.
static void check_shares(double temperature, int top_k, double top_p, const double want[V]) {
    struct ley_sampler *sampler = make(temperature, top_k, top_p);
    float logits[V];
    int count[V] = {0};
    fill_logits(logits);
    for (uint64_t i = 0; i < N_DRAWS; i++) {
        int32_t id = ley_sampler_pick(sampler, logits, i);
        assert_true(id >= 0 && id < V);
        assert_int_equal(id, ley_sampler_pick(sampler, logits, i)); // only the position counts
        count[id]++;
    }
    for (int i = 0; i < V; i++) {
        double error = sqrt(want[i] * (1 - want[i]) / N_DRAWS); // five standard errors
        assert_true(fabs((double)count[i] / N_DRAWS - want[i]) <= 5 * error);
    }
    ley_sampler_destroy(sampler);
}

static void test_sampling_shares(void **state) {
    (void)state;
    check_shares(1, 0, 1, probability);
    check_shares(1, 2, 1, (double[V]){0, 4.0 / 7, 0, 0, 3.0 / 7, 0});
    check_shares(1, 0, 0.75, (double[V]){0, 0.4 / 0.85, 0, 0.15 / 0.85, 0.3 / 0.85, 0});
    check_shares(0.5, 2, 1, (double[V]){0, 0.64, 0, 0, 0.36, 0}); // squares: 16 to 9
    check_shares(1, 1, 1, (double[V]){0, 1, 0, 0, 0, 0});
    check_shares(1, 0, 1e-9, (double[V]){0, 1, 0, 0, 0, 0});
    check_shares(1, 100, 1, probability);
    // top-p before temperature: at temperature 100 still only the two tokens with p > 0.3
    double hot = 1 / (1 + pow(0.3 / 0.4, 0.01));
    check_shares(100, 0, 0.65, (double[V]){0, hot, 0, 0, 1 - hot, 0});
}

static void test_sampling_greedy(void **state) {
    (void)state;
    struct ley_sampler *sampler = make(0, 0, 1);
    assert_int_equal(ley_sampler_pick(sampler, (float[V]){1, 3, 3, -1, NAN, 2}, 0), 1);
    assert_int_equal(ley_sampler_pick(sampler, (float[V]){NAN, NAN, -5, NAN, NAN, NAN}, 0), 2);
    assert_int_equal(ley_sampler_pick(sampler, (float[V]){1, 2, INFINITY, 0, 0, 0}, 0), 2);
    ley_sampler_destroy(sampler);
}

static void test_sampling_no_numbers(void **state) {
    (void)state;
    static const double temperatures[] = {0, 1};
    for (int i = 0; i < 2; i++) {
        struct ley_sampler *sampler = make(temperatures[i], 0, 0.9);
        const float bad[V] = {NAN, -INFINITY, NAN, NAN, NAN, NAN};
        assert_int_equal(ley_sampler_pick(sampler, bad, 0), -1);
        assert_int_equal(ley_sampler_pick(sampler, (float[V]){1, INFINITY, NAN, 0, 0, 0}, 0), 1);
        ley_sampler_destroy(sampler);
    }
}

static void test_sampling_limits(void **state) {
    (void)state;
    struct ley_sampler *sampler;
    struct ley_sampling wrong = {.temperature = -1, .top_p = 1};
    ASSERT_FAILS(ley_sampler_create(&sampler, &wrong, V), LEY_E_ARGUMENT, "temperature is -1");
    wrong = (struct ley_sampling){.temperature = 1, .top_p = 0};
    ASSERT_FAILS(ley_sampler_create(&sampler, &wrong, V), LEY_E_ARGUMENT, "top-p is 0");
    wrong = (struct ley_sampling){.temperature = 1, .top_p = 1, .top_k = -2};
    ASSERT_FAILS(ley_sampler_create(&sampler, &wrong, V), LEY_E_ARGUMENT, "top-k is -2");
    ASSERT_FAILS(ley_sampler_create(&sampler, &wrong, 0), LEY_E_ARGUMENT, "not 0 tokens");
    assert_null(sampler);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sampling_shares),
        cmocka_unit_test(test_sampling_greedy),
        cmocka_unit_test(test_sampling_no_numbers),
        cmocka_unit_test(test_sampling_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
