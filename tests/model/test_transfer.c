// test_transfer.c - attention learned layer by layer from a teacher
#include <math.h>
#include <string.h>

#include "support/random_model.h"
#include "support/support.h"

enum { B = 2, T = 20, MOST = 1 << 17, MOST_TENSORS = 64 };
// Central differences along the gradient on a chip: clips are passed within a step.
static const double STEP = 5e-4, REL = 2e-2;

struct fixture {
    struct ley_model_config config;
    struct ley_net *net;
    struct ley_parameters *p;
    struct ley_model *teacher;
    int32_t tokens[B * T];
    struct ley_batch batch;
};

// Digital until test_gradients says otherwise.
static void make(struct fixture *f, enum ley_family family) {
    struct ley_parameter extra[MOST_TENSORS];
    struct ley_lora_spec spec = {.rank = 2, .alpha = 4, .seed = 3};
    memset(f, 0, sizeof *f);
    f->config = random_config(family);
    const struct ley_weight_source source = random_source(&f->config);
    ASSERT_OK(ley_lora_weights(&spec.weights, "attn", &f->config));
    int n = f->config.n_layers * LEY_SCALER_TENSORS;
    ley_scaler_parameters(extra, &f->config);
    ley_lora_tensors(extra + n, &f->config, &spec);
    n += ley_lora_tensor_count(&f->config, &spec);
    ASSERT_OK(ley_net_create(&f->net, &f->config, &source, LEY_NN_F32, extra, n));
    ASSERT_OK(ley_net_set_lora(f->net, &spec));
    ASSERT_OK(ley_model_create(&f->teacher, &f->config, &source, LEY_NN_F32));
    f->p = ley_net_parameters(f->net);
    for (int i = 0; i < B * T; i++) {
        f->tokens[i] = (int32_t)random_between(1, (uint64_t)i, 0, 61);
    }
    f->batch =
        (struct ley_batch){.tokens = f->tokens, .targets = f->tokens, .n_batch = B, .n_tokens = T};
}

static void finish(struct fixture *f) {
    ley_net_destroy(f->net);
    ley_model_destroy(f->teacher);
}

static double missed(struct fixture *f, bool is_backward) {
    double missed;
    ASSERT_OK(ley_net_transfer(&missed, f->net, f->teacher, &f->batch, is_backward));
    return missed;
}

// The linear chip without converters, whose gradient is exact, and changes away from zero.
static void put_on_chip(struct fixture *f) {
    struct ley_hardware hardware;
    ASSERT_OK(ley_hardware_load(&hardware, "paper-linear"));
    hardware.converter.q_levels = 0;
    hardware.converter.kv_levels = 0;
    hardware.converter.output_levels = 0;
    ASSERT_OK(ley_net_set_analog(f->net, &hardware));
    for (int t = 0; t < f->p->n_tensors; t++) {
        const struct ley_parameter *tensor = &f->p->tensor[t];
        for (int64_t i = 0;
             strncmp(tensor->name, "LORA_B", 6) == 0 && i < tensor->n_rows * tensor->n_columns;
             i++) {
            f->p->value[tensor->offset + i] =
                (float)random_between(7, (uint64_t)(tensor->offset + i), -0.1, 0.1);
        }
    }
    ASSERT_OK(ley_net_pack(f->net));
}

static void test_its_own_teacher(void **state) {
    (void)state;
    struct fixture f;
    make(&f, LEY_FAMILY_LLAMA);
    assert_true(missed(&f, true) == 0);
    assert_true(ley_gradient_norm(f.p) == 0);
    put_on_chip(&f);
    double on_chip = missed(&f, false);
    assert_true(on_chip > 0.1);
    struct ley_batch_loss before, after; // the net is itself again afterwards
    ASSERT_OK(ley_net_loss(&before, f.net, &f.batch));
    missed(&f, true);
    f.tokens[5] = 61;
    double none;
    ASSERT_FAILS(ley_net_transfer(&none, f.net, f.teacher, &f.batch, true), LEY_E_ARGUMENT,
                 "vocabulary");
    f.tokens[5] = (int32_t)random_between(1, 5, 0, 61);
    ASSERT_OK(ley_net_loss(&after, f.net, &f.batch));
    assert_true(before.nll == after.nll);
    finish(&f);
}

// Along the gradient of one tensor the cost rises as its length says.
static void check_direction(struct fixture *f, const struct ley_parameter *tensor,
                            const float *before, const float *direction) {
    double norm = 0, side[2];
    int64_t end = tensor->offset + tensor->n_rows * tensor->n_columns;
    for (int64_t i = tensor->offset; i < end; i++) {
        norm += pow((double)direction[i], 2);
    }
    norm = sqrt(norm);
    if (norm == 0) {
        return;
    }
    for (int s = 0; s < 2; s++) {
        for (int64_t i = tensor->offset; i < end; i++) {
            f->p->value[i] =
                (float)((double)before[i] + (s ? -STEP : STEP) * (double)direction[i] / norm);
        }
        ASSERT_OK(ley_net_pack(f->net));
        side[s] = missed(f, false);
    }
    memcpy(f->p->value, before, (size_t)f->p->n_values * sizeof *before);
    double slope = (side[0] - side[1]) / (2 * STEP);
    if (!(fabs(slope - norm) < REL * norm + 4e-4)) {
        fail_msg("%s: slope %.7g, gradient %.7g", tensor->name, slope, norm);
    }
}

static void test_gradients(void **state) {
    (void)state;
    static float before[MOST], direction[MOST];
    for (int family = 0; family < 2; family++) {
        struct fixture f;
        int n_checked = 0;
        make(&f, (enum ley_family)family);
        put_on_chip(&f);
        ley_gradient_clear(f.p);
        missed(&f, true);
        assert_true(f.p->n_values <= MOST);
        memcpy(before, f.p->value, (size_t)f.p->n_values * sizeof *before);
        memcpy(direction, f.p->gradient, (size_t)f.p->n_values * sizeof *direction);
        for (int t = 0; t < f.p->n_tensors; t++) {
            const struct ley_parameter *tensor = &f.p->tensor[t];
            if (tensor->weight == LEY_N_WEIGHTS || tensor->weight == LEY_WEIGHT_ATTN_NORM) {
                check_direction(&f, tensor, before, direction);
                n_checked++;
            }
        }
        assert_int_equal(n_checked, 2 * (LEY_SCALER_TENSORS + 8 + 1));
        const struct ley_parameter *up = ley_parameters_find(f.p, LEY_WEIGHT_FFN_UP, 1);
        for (int64_t i = 0; i < up->n_rows * up->n_columns; i++) {
            assert_true(direction[up->offset + i] == 0);
        }
        finish(&f);
    }
}

// Two halves, each with the count of both, weigh as their rows do; each has its own variance.
static void test_batches_add_up(void **state) {
    (void)state;
    static float half[MOST];
    struct fixture f;
    make(&f, LEY_FAMILY_GPT2);
    put_on_chip(&f);
    f.batch.n_batch = 1;
    ley_gradient_clear(f.p);
    missed(&f, true);
    memcpy(half, f.p->gradient, (size_t)f.p->n_values * sizeof *half);
    ley_gradient_clear(f.p);
    f.batch.n_counted = 2 * T;
    missed(&f, true);
    for (int64_t i = 0; i < f.p->n_values; i++) {
        assert_true(fabs(2 * (double)f.p->gradient[i] - (double)half[i]) <=
                    1e-6 * (1 + fabs((double)half[i])));
    }
    finish(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_its_own_teacher),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_batches_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
