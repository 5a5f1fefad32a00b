// test_adamw.c - the optimiser against its formula in double, its norm, and the schedule
#include <math.h>
#include <omp.h>
#include <string.h>

#include "support/random_model.h"
#include "support/support.h"

static const struct ley_adamw_constants CONSTANTS = {0.9, 0.95, 1e-8, 0.1};

static void make(struct ley_parameters *p) {
    struct ley_model_config config = random_config(LEY_FAMILY_LLAMA);
    const struct ley_weight_source source = random_source(&config);
    const struct ley_parameter extra[2] = {
        {.name = "scaler.a", .n_rows = 1, .n_columns = 4, .decays = true, .trains = true},
        {.name = "frozen", .n_rows = 70, .n_columns = 1000},
    };
    ASSERT_OK(ley_parameters_create(p, &config, &source, extra, 2));
    assert_int_equal(ley_parameters_named(p, "frozen")->offset + 70000, p->n_values);
    assert_null(ley_parameters_named(p, "no such"));
    for (int64_t i = 0; i < p->n_values; i++) {
        p->value[i] = (float)random_between(1, (uint64_t)i, -1, 1);
    }
}

static void fill_gradient(struct ley_parameters *p, int step) {
    for (int64_t i = 0; i < p->n_values; i++) {
        p->gradient[i] = (float)random_between((uint64_t)step + 2, (uint64_t)i, -2, 2);
    }
}

// Value `i` after n steps, by the formula.
static double expected(double value, int64_t i, int n, double decay, double rate, double scale) {
    double m = 0, v = 0;
    for (int step = 0; step < n; step++) {
        double g = scale * (double)(float)random_between((uint64_t)step + 2, (uint64_t)i, -2, 2);
        m = 0.9 * m + 0.1 * g;
        v = 0.95 * v + 0.05 * g * g;
        double corrected_m = m / (1 - pow(0.9, step + 1)),
               corrected_v = v / (1 - pow(0.95, step + 1));
        value = value * (1 - rate * decay) - rate * corrected_m / (sqrt(corrected_v) + 1e-8);
    }
    return value;
}

static void test_step_equals_formula(void **state) {
    (void)state;
    const double rate = 3e-3, scale = 0.25;
    struct ley_parameters p;
    struct ley_adamw adamw;
    make(&p);
    float *before = ley_alloc((size_t)p.n_values, sizeof *before);
    memcpy(before, p.value, (size_t)p.n_values * sizeof *before);
    ASSERT_OK(ley_adamw_create(&adamw, &p, &CONSTANTS));
    for (int step = 0; step < 4; step++) {
        fill_gradient(&p, step);
        ley_adamw_step(&adamw, &p, rate, scale);
    }
    assert_int_equal(adamw.n_steps, 4);
    for (int t = 0; t < p.n_tensors; t++) {
        const struct ley_parameter *tensor = &p.tensor[t];
        for (int64_t i = tensor->offset; i < tensor->offset + tensor->n_rows * tensor->n_columns;
             i += 7) {
            double want = tensor->trains ? expected((double)before[i], i, 4,
                                                    tensor->decays ? 0.1 : 0, rate, scale)
                                         : (double)before[i];
            assert_true(fabs((double)p.value[i] - want) < 5e-7); // a few roundings of values near 1
        }
    }
    ley_free(before);
    ley_adamw_destroy(&adamw);
    ley_parameters_destroy(&p);
}

// Slopes with a rate of their own: the logarithm steps as any value does.
static void test_relative_steps(void **state) {
    (void)state;
    enum { N = 5 };
    const double start[N] = {0.02, -3, 40, 1, 7}, rate = 1e-3, own = 5;
    const struct ley_adamw_constants plain = {0.9, 0.95, 1e-8, 0};
    struct ley_model_config config = random_config(LEY_FAMILY_GPT2);
    const struct ley_weight_source source = random_source(&config);
    const struct ley_parameter extra = {.name = "slopes",
                                        .n_rows = 1,
                                        .n_columns = N,
                                        .trains = true,
                                        .rate = own,
                                        .is_relative = true};
    struct ley_parameters p;
    struct ley_adamw adamw;
    double value[N], m[N] = {0}, v[N] = {0};
    ASSERT_OK(ley_parameters_create(&p, &config, &source, &extra, 1));
    ASSERT_OK(ley_adamw_create(&adamw, &p, &plain));
    int64_t at = ley_parameters_named(&p, "slopes")->offset;
    for (int i = 0; i < N; i++) {
        value[i] = start[i];
        p.value[at + i] = (float)start[i];
    }
    for (int step = 1; step <= 6; step++) {
        for (int i = 0; i < N; i++) {
            double by_value = i == 3 ? 0 : random_between(9, (uint64_t)(step * N + i), -1, 1);
            p.gradient[at + i] = (float)by_value;
            double g = (double)p.gradient[at + i] * value[i];
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.95 * v[i] + 0.05 * g * g;
            double root = sqrt(v[i] / (1 - pow(0.95, step))) + 1e-8;
            value[i] -= value[i] * own * rate * m[i] / (1 - pow(0.9, step)) / root;
        }
        ley_adamw_step(&adamw, &p, rate, 1);
    }
    for (int i = 0; i < N; i++) {
        assert_true(fabs((double)p.value[at + i] / value[i] - 1) < 1e-5);
    }
    assert_true(p.value[at + 3] == 1); // no gradient, no step
    p.gradient[at] = 1e6f;
    ley_adamw_step(&adamw, &p, 1e3, 1);
    assert_true(p.value[at] > 0); // however large the rate
    ley_adamw_destroy(&adamw);
    ley_parameters_destroy(&p);
}

// The mean moves as it should, from the values at its start, and changes places with them.
static void test_average(void **state) {
    (void)state;
    enum { STEPS = 12 };
    struct ley_parameters p;
    struct ley_adamw adamw;
    make(&p);
    ASSERT_OK(ley_adamw_create(&adamw, &p, &CONSTANTS));
    ASSERT_OK(ley_adamw_keep_average(&adamw, &p, 0.5));
    const struct ley_parameter *tensor = &p.tensor[p.n_tensors - 1], *frozen = tensor;
    while (!tensor->trains) {
        tensor--;
    }
    frozen = ley_parameters_named(&p, "frozen");
    int64_t at = tensor->offset;
    double mean = (double)p.value[at];
    float kept = p.value[frozen->offset];
    for (int n = 1; n <= STEPS; n++) {
        fill_gradient(&p, n);
        ley_adamw_step(&adamw, &p, 1e-2, 1);
        double decay = fmin(0.5, (1.0 + n) / (10.0 + n));
        mean += (1 - decay) * ((double)p.value[at] - mean);
    }
    float last = p.value[at];
    ley_adamw_swap_average(&adamw, &p);
    assert_true(fabs((double)p.value[at] - mean) < 1e-6 && fabs((double)last - mean) > 1e-4);
    assert_true(p.value[frozen->offset] == kept);
    ley_adamw_swap_average(&adamw, &p);
    assert_true(p.value[at] == last);
    ley_adamw_destroy(&adamw);
    ley_parameters_destroy(&p);
}

static void test_norm_counts_what_trains(void **state) {
    (void)state;
    struct ley_parameters p;
    make(&p);
    fill_gradient(&p, 0);
    struct ley_parameter *frozen = ley_parameters_named(&p, "frozen");
    double all = 0, norm[2][3];
    for (int64_t i = 0; i < p.n_values; i++) {
        all += pow((double)p.gradient[i], 2);
    }
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        omp_set_num_threads(n_threads);
        frozen->trains = false;
        norm[0][n_threads - 1] = ley_gradient_norm(&p);
        frozen->trains = true; // more than one piece
        norm[1][n_threads - 1] = ley_gradient_norm(&p);
    }
    omp_set_num_threads(2);
    assert_true(fabs(norm[1][0] - sqrt(all)) < 1e-9 * sqrt(all));
    assert_true(norm[0][0] < norm[1][0]);
    for (int i = 0; i < 2; i++) {
        assert_true(norm[i][0] == norm[i][1] && norm[i][0] == norm[i][2]);
    }
    assert_true(ley_clip_scale(0.5, 1) == 1);
    assert_true(fabs(ley_clip_scale(4, 1) - 0.25) < 1e-6);
    p.gradient[frozen->offset + 66666] = NAN;
    assert_true(isnan(ley_gradient_norm(&p)));
    ley_gradient_clear(&p);
    assert_true(ley_gradient_norm(&p) == 0);
    ley_parameters_destroy(&p);
}

static void test_schedule(void **state) {
    (void)state;
    const struct ley_schedule schedule = {6e-4, 6e-5, 10, 110};
    assert_true(ley_schedule_rate(&schedule, 0) == 0);
    assert_true(fabs(ley_schedule_rate(&schedule, 5) - 3e-4) < 1e-12);
    assert_true(fabs(ley_schedule_rate(&schedule, 10) - 6e-4) < 1e-12);
    assert_true(fabs(ley_schedule_rate(&schedule, 60) - 3.3e-4) < 1e-12);
    assert_true(ley_schedule_rate(&schedule, 110) == 6e-5);
    assert_true(ley_schedule_rate(&schedule, 1000) == 6e-5);
    const struct ley_schedule authors = {6e-4, 6e-5, 2000, 600000}; // meta.json, authors_warmup
    assert_true(fabs(ley_schedule_rate(&authors, 3) - 9e-7) < 1e-15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step_equals_formula),
        cmocka_unit_test(test_relative_steps),
        cmocka_unit_test(test_average),
        cmocka_unit_test(test_norm_counts_what_trains),
        cmocka_unit_test(test_schedule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
