// test_calibrate.c - scalers without training: better than the initial ones, in range, reproducible
#include <math.h>
#include <omp.h>
#include <string.h>

#include "support/random_model.h"
#include "support/support.h"

static struct ley_model *make_model(void) {
    struct ley_model_config config = random_config(LEY_FAMILY_LLAMA);
    const struct ley_weight_source source = random_source(&config);
    struct ley_model *model;
    ASSERT_OK(ley_model_create(&model, &config, &source, LEY_NN_F32));
    return model;
}

enum { N_TOKENS = 48 };

static void make_tokens(int32_t tokens[N_TOKENS]) {
    for (int i = 0; i < N_TOKENS; i++) {
        tokens[i] = (int32_t)random_between(7, (uint64_t)i, 0, 50);
    }
}

static struct ley_scaler_set calibrate_as(struct ley_model *model,
                                          struct ley_calibration_report *report, bool centres_keys,
                                          bool normalises_outputs) {
    struct ley_hardware hardware;
    struct ley_scaler_set set;
    int32_t tokens[N_TOKENS];
    make_tokens(tokens);
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_model_calibrate(&set, report, model, &hardware,
                                  &(struct ley_calibration_options){tokens, N_TOKENS, centres_keys,
                                                                    normalises_outputs, NULL}));
    return set;
}

static struct ley_scaler_set calibrate(struct ley_model *model,
                                       struct ley_calibration_report *report) {
    return calibrate_as(model, report, false, false);
}

// Sum of squared differences between analog and digital outputs of layer 0, whose inputs are equal.
struct outputs {
    float out[2][N_TOKENS * 32];
};

static void keep(void *context, const struct ley_observation *seen) {
    struct outputs *outputs = context;
    memcpy(outputs->out[seen->layer], seen->out, sizeof outputs->out[0]);
}

static void run(struct outputs *outputs, const struct ley_model *model) {
    struct ley_session *session;
    int32_t tokens[N_TOKENS];
    make_tokens(tokens);
    struct ley_observer observer = {.see = keep, .context = outputs};
    const struct ley_feed feed = {.logits = LEY_LOGITS_NONE, .observer = &observer};
    ASSERT_OK(ley_session_create(&session, model, 1, N_TOKENS));
    ASSERT_OK(ley_session_feed(NULL, session, tokens, N_TOKENS, &feed));
    ley_session_destroy(session);
}

static double miss(const struct outputs *a, const struct outputs *b) {
    double sum = 0;
    for (int i = 0; i < N_TOKENS * 32; i++) {
        sum += pow((double)a->out[0][i] - (double)b->out[0][i], 2);
    }
    return sum;
}

// The same for the best constant of every head: what a head that follows nothing would miss.
static double miss_of_constants(const struct outputs *a) {
    double sum = 0;
    for (int h = 0; h < 4; h++) {
        double mean = 0, square = 0;
        for (int i = 0; i < N_TOKENS * 8; i++) {
            double x = (double)a->out[0][i / 8 * 32 + h * 8 + i % 8];
            mean += x;
            square += x * x;
        }
        sum += square - mean * mean / (N_TOKENS * 8);
    }
    return sum;
}

static void test_better_than_initial(void **state) {
    (void)state;
    static struct outputs digital, initial, calibrated;
    struct ley_model *model = make_model();
    struct ley_calibration_report report;
    struct ley_hardware hardware;
    run(&digital, model);
    struct ley_scaler_set set = calibrate(model, &report);
    assert_true(report.unexplained > 0 && report.unexplained <= report.worst_unexplained);
    assert_true(report.worst_unexplained <= 1);
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_model_set_analog(model, &hardware));
    run(&initial, model);
    ley_scaler_set_apply(&set, ley_model_attention(model, 0), 0);
    run(&calibrated, model);
    assert_true(miss(&calibrated, &digital) < 0.9 * miss(&initial, &digital));
    assert_true(miss(&calibrated, &digital) < 0.9 * miss_of_constants(&digital));
    ley_scaler_set_destroy(&set);
    ley_model_destroy(model);
}

// M25, M29: the forms reach the attention, and its scalers fit the keys and values that it then
// sees.
static void check_forms(bool normalises_outputs) {
    static struct outputs digital, analog;
    struct ley_model *model = make_model();
    struct ley_calibration_report report;
    struct ley_hardware hardware;
    run(&digital, model);
    struct ley_scaler_set set = calibrate_as(model, &report, true, normalises_outputs);
    assert_true(set.centres_keys && set.normalises_outputs == normalises_outputs);
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_model_set_analog(model, &hardware));
    ley_scaler_set_apply(&set, ley_model_attention(model, 0), 0);
    assert_true(ley_model_attention(model, 0)->centres_keys);
    run(&analog, model);
    assert_true(miss(&analog, &digital) < 0.9 * miss_of_constants(&digital));
    ley_scaler_set_destroy(&set);
    ley_model_destroy(model);
}

static void test_centred_keys(void **state) {
    (void)state;
    check_forms(false);
}

static void test_normalised_outputs(void **state) {
    (void)state;
    check_forms(true);
}

static void test_threads_do_not_matter(void **state) {
    (void)state;
    struct ley_calibration_report report;
    struct ley_scaler_set sets[2];
    struct ley_model *model = make_model();
    for (int i = 0; i < 2; i++) {
        omp_set_num_threads(i + 1);
        sets[i] = calibrate(model, &report);
    }
    for (int signal = 0; signal < LEY_N_SIGNALS; signal++) {
        size_t n = 2 * (size_t)ley_attention_n_heads(&sets[0].shape, (enum ley_signal)signal);
        assert_memory_equal(sets[0].scaler[signal], sets[1].scaler[signal],
                            n * sizeof(struct ley_scaler));
    }
    ley_scaler_set_destroy(&sets[0]);
    ley_scaler_set_destroy(&sets[1]);
    ley_model_destroy(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_better_than_initial),
        cmocka_unit_test(test_centred_keys),
        cmocka_unit_test(test_normalised_outputs),
        cmocka_unit_test(test_threads_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
