// test_net.c - training passes of whole models: both families, batches, teachers, frozen tensors
//
// Differences of losses in float32 are noisy (1e-7 of a loss near 4 against steps of 1e-2), so the
// gradient of whole models is tested along directions: the gradient itself, where the difference is
// largest. Elements are compared with the reference in test_gradient_oracle.c.
#include <math.h>
#include <omp.h>
#include <string.h>

#include "support/random_model.h"
#include "support/support.h"

enum { B = 2, T = 24, MOST = 1 << 17 };
// Central differences along the gradient: float32 losses, and the curvature at a step of STEP.
static const double STEP = 2e-3, REL = 3e-3;
// On a chip clips are passed within a step, so it is smaller.
static const double ANALOG_STEP = 5e-4, ANALOG_REL = 2e-2;

struct fixture {
    struct ley_model_config config;
    struct ley_net *net;
    struct ley_parameters *p;
    int32_t tokens[B * T], targets[B * T];
    struct ley_batch batch;
};

static void make_with(struct fixture *f, enum ley_family family, enum ley_nn_dtype dtype,
                      const struct ley_parameter *extra, int n_extra) {
    f->config = random_config(family);
    const struct ley_weight_source source = random_source(&f->config);
    ASSERT_OK(ley_net_create(&f->net, &f->config, &source, dtype, extra, n_extra));
    f->p = ley_net_parameters(f->net);
    for (int i = 0; i < B * T; i++) {
        f->tokens[i] = (int32_t)random_between(1, (uint64_t)i, 0, 61);
        f->targets[i] = (int32_t)random_between(2, (uint64_t)i, -4, 61);
    }
    f->batch = (struct ley_batch){f->tokens, f->targets, B, T, {.temperature = 0}, 0, NULL, 0};
}

static void make(struct fixture *f, enum ley_family family, enum ley_nn_dtype dtype) {
    make_with(f, family, dtype, NULL, 0);
}

// Whether this machine multiplies numbers of this format; says so when not.
static bool has_format(enum ley_nn_dtype dtype) {
    struct ley_engine *engine;
    bool is_there = ley_engine_create(&engine, dtype) == LEY_OK;
    if (!is_there) {
        print_message("SKIPPED: %s\n", ley_error_text());
    }
    ley_engine_destroy(engine);
    return is_there;
}

// What a batch costs, as its gradient weighs it.
static double cost(struct fixture *f) {
    struct ley_batch_loss loss;
    ASSERT_OK(ley_net_loss(&loss, f->net, &f->batch));
    double ce = f->batch.weights.cross_entropy, kl = f->batch.weights.divergence;
    ce = ce == 0 && kl == 0 ? 1 : ce;
    return (ce * loss.nll + kl * loss.divergence + f->batch.hidden_weight * loss.hidden) /
           (double)loss.n_rows;
}

static void gradient(struct fixture *f) {
    struct ley_batch_loss loss;
    ley_gradient_clear(f->p);
    ASSERT_OK(ley_net_gradient(&loss, f->net, &f->batch));
}

// Along the gradient of one tensor, of unit length, the cost rises as the length of the gradient
// says. RoPE factors are not there; key biases have none.
static void check_directions_on(struct fixture *f, bool is_analog) {
    const double step = is_analog ? ANALOG_STEP : STEP, rel = is_analog ? ANALOG_REL : REL;
    static float before[MOST], direction[MOST];
    assert_true(f->p->n_values <= MOST);
    gradient(f);
    memcpy(before, f->p->value, (size_t)f->p->n_values * sizeof *before);
    memcpy(direction, f->p->gradient, (size_t)f->p->n_values * sizeof *direction);
    for (int t = 0; t < f->p->n_tensors; t++) {
        const struct ley_parameter *tensor = &f->p->tensor[t];
        int64_t n = tensor->n_rows * tensor->n_columns;
        double norm = 0, side[2];
        for (int64_t i = tensor->offset; i < tensor->offset + n; i++) {
            norm += pow((double)direction[i], 2);
        }
        norm = sqrt(norm);
        if ((tensor->weight == LEY_WEIGHT_ATTN_K_BIAS && !is_analog) || norm == 0) {
            assert_true(norm < 1e-6);
            continue;
        }
        for (int s = 0; s < 2; s++) {
            for (int64_t i = tensor->offset; i < tensor->offset + n; i++) {
                f->p->value[i] =
                    (float)((double)before[i] + (s ? -step : step) * (double)direction[i] / norm);
            }
            ASSERT_OK(ley_net_pack(f->net));
            side[s] = cost(f);
        }
        memcpy(f->p->value, before, (size_t)f->p->n_values * sizeof *before);
        double slope = (side[0] - side[1]) / (2 * step);
        if (!(fabs(slope - norm) < rel * norm + 4e-7 / step)) { // 8e-7 of a loss
            fail_msg("%s: slope %.7g, gradient %.7g", tensor->name, slope, norm);
        }
    }
    ASSERT_OK(ley_net_pack(f->net));
}

static void check_directions(struct fixture *f) {
    check_directions_on(f, false);
}

static void test_gradient_along_directions(void **state) {
    (void)state;
    for (int family = 0; family < 2; family++) {
        for (int window = 0; window <= 7; window += 7) {
            struct fixture f;
            make(&f, (enum ley_family)family, LEY_NN_F32);
            ley_model_set_digital(ley_net_model(f.net), window);
            check_directions(&f);
            ley_net_destroy(f.net);
        }
    }
}

static void test_loss_is_that_of_a_session(void **state) {
    (void)state;
    for (int family = 0; family < 2; family++) {
        for (int dtype = LEY_NN_F32; dtype <= LEY_NN_BF16; dtype++) {
            struct fixture f;
            struct ley_session *session;
            double mean;
            if (!has_format((enum ley_nn_dtype)dtype)) {
                continue;
            }
            make(&f, (enum ley_family)family, (enum ley_nn_dtype)dtype);
            double got = cost(&f);
            ASSERT_OK(ley_session_create(&session, ley_net_model(f.net), B, T));
            ASSERT_OK(ley_session_loss(&mean, NULL, session, f.tokens, f.targets, T, NULL));
            assert_true(fabs(got - mean) < 1e-12); // the same products, sums and rows
            ley_session_destroy(session);
            ley_net_destroy(f.net);
        }
    }
}

// A teacher whose logits lie in an array (B * T, V).
static void read_logits(void *context, float *logits, int64_t first_row, int64_t n_rows) {
    memcpy(logits, (const float *)context + first_row * 61, (size_t)n_rows * 61 * sizeof *logits);
}

static void test_teacher(void **state) {
    (void)state;
    static float logits[B * T * 61], rows[B * T * 61];
    const struct ley_feed all = {.logits = LEY_LOGITS_ALL};
    const struct ley_teacher teacher = {read_logits, NULL, logits};
    struct fixture f;
    struct ley_session *session;
    make(&f, LEY_FAMILY_LLAMA, LEY_NN_F32);
    ASSERT_OK(ley_session_create(&session, ley_net_model(f.net), B, T));
    ASSERT_OK(ley_session_feed(logits, session, f.tokens, T, &all));
    ley_session_logits(rows, session, 5, 20);
    assert_memory_equal(rows, logits + 5 * 61, 20 * 61 * sizeof *rows);
    ley_session_destroy(session);
    f.batch.teacher = &teacher;
    f.batch.weights = (struct ley_loss_weights){.divergence = 1, .temperature = 2};
    assert_true(fabs(cost(&f)) < 1e-9); // its own best pupil
    gradient(&f);
    assert_true(ley_gradient_norm(f.p) < 1e-6);
    for (int i = 0; i < B * T * 61; i++) {
        logits[i] += (float)random_between(3, (uint64_t)i, -1, 1);
    }
    f.batch.weights = (struct ley_loss_weights){0.3, 0.7, 2, NULL};
    check_directions(&f);
    ley_net_destroy(f.net);
}

enum { WIDTH = 32 }; // of the random model

// A teacher whose hidden states lie in an array (2, B * T, C).
static const float *show_hidden(void *context, int layer) {
    return (const float *)context + layer * B * T * WIDTH;
}

// What a session shows is what the net computes, so it misses nothing of its own; of others, whose
// states differ, the gradient is right, and the same bits in other threads and computed again.
static void test_hidden_states(void **state) {
    (void)state;
    static float hidden[2 * B * T * WIDTH], first[MOST];
    const struct ley_feed feed = {.logits = LEY_LOGITS_NONE, .hidden = hidden};
    const struct ley_teacher teacher = {NULL, show_hidden, hidden};
    struct fixture f;
    struct ley_session *session;
    struct ley_batch_loss loss;
    make(&f, LEY_FAMILY_LLAMA, LEY_NN_F32);
    assert_int_equal(f.config.n_layers * f.config.d_model, 2 * WIDTH);
    f.batch.hidden_weight = 1;
    ASSERT_FAILS(ley_net_loss(&loss, f.net, &f.batch), LEY_E_ARGUMENT, "need a teacher");
    ASSERT_OK(ley_session_create(&session, ley_net_model(f.net), B, T));
    ASSERT_OK(ley_session_feed(NULL, session, f.tokens, T, &feed));
    ley_session_destroy(session);
    f.batch.teacher = &teacher;
    ASSERT_OK(ley_net_loss(&loss, f.net, &f.batch));
    assert_true(loss.hidden == 0 && loss.nll > 0);
    for (int i = 0; i < 2 * B * T * WIDTH; i++) {
        hidden[i] += (float)random_between(5, (uint64_t)i, -3, 3);
    }
    ASSERT_OK(ley_net_loss(&loss, f.net, &f.batch));
    print_message("missed %.3f\n", loss.hidden / (double)loss.n_rows);
    assert_true(loss.hidden > 0.01 * (double)loss.n_rows && loss.hidden < 2 * (double)loss.n_rows);
    check_directions(&f);
    for (int i = 0; i < 4; i++) {
        omp_set_num_threads(1 + i % 3);
        ley_net_set_recompute(f.net, i < 2 ? LEY_RECOMPUTE_ALWAYS : LEY_RECOMPUTE_NEVER);
        gradient(&f);
        memcpy(first, i == 0 ? f.p->gradient : first, (size_t)f.p->n_values * sizeof *first);
        assert_memory_equal(f.p->gradient, first, (size_t)f.p->n_values * sizeof *first);
    }
    omp_set_num_threads(2);
    ley_net_destroy(f.net);
}

// An attention of another kind, with a parameter of its own: a token sees its own value only, times
// a gain of its layer.
static float *gain(const struct ley_parameters *p, const struct ley_observation *seen,
                   float *block) {
    return block + ley_parameters_named(p, seen->layer ? "GAIN.1" : "GAIN.0")->offset;
}

static enum ley_status gain_forward(void *context, float *out, const struct ley_observation *seen) {
    const struct ley_parameters *p = context;
    int64_t D = seen->head_dim, Q = seen->n_query_heads * D;
    assert_ptr_equal(out, seen->out);
    for (int64_t i = 0; i < seen->n_batch * seen->n_tokens * Q; i++) {
        int64_t kv_head = i % Q / D * seen->n_kv_heads / seen->n_query_heads;
        out[i] = *gain(p, seen, p->value) * seen->v[i / Q * seen->stride + kv_head * D + i % D];
    }
    return LEY_OK;
}

static enum ley_status gain_backward(void *context, float *dq, float *dk, float *dv,
                                     const float *dout, const struct ley_observation *seen) {
    const struct ley_parameters *p = context;
    int64_t D = seen->head_dim, Q = seen->n_query_heads * D, K = seen->n_kv_heads * D;
    float factor = *gain(p, seen, p->value);
    double sum = 0;
    for (int64_t r = 0; r < seen->n_batch * seen->n_tokens; r++) {
        memset(dq + r * seen->stride, 0, (size_t)Q * sizeof *dq);
        memset(dk + r * seen->stride, 0, (size_t)K * sizeof *dk);
        memset(dv + r * seen->stride, 0, (size_t)K * sizeof *dv);
        for (int64_t i = 0; i < Q; i++) {
            int64_t kv_head = i / D * seen->n_kv_heads / seen->n_query_heads;
            dv[r * seen->stride + kv_head * D + i % D] += factor * dout[r * Q + i];
            sum += (double)dout[r * Q + i] * (double)seen->out[r * Q + i] / (double)factor;
        }
    }
    *gain(p, seen, p->gradient) += (float)sum;
    return LEY_OK;
}

static void test_another_attention(void **state) {
    (void)state;
    const struct ley_parameter gains[2] = {
        {.name = "GAIN.0", .n_rows = 1, .n_columns = 1, .trains = true},
        {.name = "GAIN.1", .layer = 1, .n_rows = 1, .n_columns = 1, .trains = true}};
    struct fixture f;
    make_with(&f, LEY_FAMILY_LLAMA, LEY_NN_F32, gains, 2);
    for (int l = 0; l < 2; l++) {
        f.p->value[ley_parameters_named(f.p, gains[l].name)->offset] = 0.5f + (float)l;
    }
    double softmax = cost(&f);
    const struct ley_attention_pass pass = {gain_forward, gain_backward, f.p};
    ley_net_set_attention(f.net, &pass);
    assert_true(cost(&f) != softmax);
    check_directions(&f);
    ley_net_set_attention(f.net, NULL);
    assert_true(cost(&f) == softmax);
    ley_net_destroy(f.net);
}

// The chip, with grouped queries: the loss of a session on the same model, and the same bits on any
// number of threads; what is learned reaches the session when it is packed.
static void test_analog(void **state) {
    (void)state;
    static float first[MOST];
    struct fixture f;
    struct ley_hardware hardware;
    struct ley_parameter scalers[2 * LEY_SCALER_TENSORS];
    struct ley_session *session;
    double mean;
    f.config = random_config(LEY_FAMILY_LLAMA);
    ley_scaler_parameters(scalers, &f.config);
    make_with(&f, LEY_FAMILY_LLAMA, LEY_NN_F32, scalers, 2 * LEY_SCALER_TENSORS);
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_net_set_analog(f.net, &hardware));
    make_normalised(ley_model_attention(ley_net_model(f.net), 0));
    const struct ley_parameter *a = ley_parameters_named(f.p, "SCALER_K_A.1");
    assert_int_equal(a->n_columns, 2); // key-value heads
    f.p->value[a->offset + 1] = 0.37f;
    ASSERT_OK(ley_net_pack(f.net));
    assert_true(ley_model_attention(ley_net_model(f.net), 1)->scaler[LEY_SIGNAL_K][1].a ==
                (double)0.37f);
    ASSERT_OK(ley_session_create(&session, ley_net_model(f.net), B, T));
    ASSERT_OK(ley_session_loss(&mean, NULL, session, f.tokens, f.targets, T, NULL));
    ley_session_destroy(session);
    assert_true(fabs(cost(&f) - mean) < 1e-12);
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        omp_set_num_threads(n_threads);
        gradient(&f);
        if (n_threads == 1) {
            memcpy(first, f.p->gradient, (size_t)f.p->n_values * sizeof *first);
        }
        assert_memory_equal(f.p->gradient, first, (size_t)f.p->n_values * sizeof *first);
    }
    omp_set_num_threads(2);
    assert_true(first[a->offset + 1] != 0);
    ley_net_destroy(f.net);
}

// On the linear chip without converters the gradient is exact: finite differences of every tensor,
// scalers too, in both families.
static void test_analog_gradient_along_directions(void **state) {
    (void)state;
    struct ley_hardware hardware;
    struct ley_parameter scalers[2 * LEY_SCALER_TENSORS];
    ASSERT_OK(ley_hardware_load(&hardware, "paper-linear"));
    hardware.converter.q_levels = 0;
    hardware.converter.kv_levels = 0;
    hardware.converter.output_levels = 0;
    for (int family = 0; family < 2; family++) {
        struct fixture f;
        f.config = random_config((enum ley_family)family);
        ley_scaler_parameters(scalers, &f.config);
        make_with(&f, (enum ley_family)family, LEY_NN_F32, scalers, 2 * LEY_SCALER_TENSORS);
        ASSERT_OK(ley_net_set_analog(f.net, &hardware));
        make_normalised(ley_model_attention(ley_net_model(f.net), family));
        check_directions_on(&f, true);
        ley_net_destroy(f.net);
    }
}

// Layers that were kept and layers that are computed again give the same bits; keeping takes more
// memory, and by default there is enough.
static void test_recompute_changes_no_bit(void **state) {
    (void)state;
    static float first[MOST];
    static const enum ley_recompute ways[] = {LEY_RECOMPUTE_ALWAYS, LEY_RECOMPUTE_NEVER,
                                              LEY_RECOMPUTE_AUTO};
    for (int family = 0; family < 2; family++) {
        size_t bytes[3];
        for (int i = 0; i < 3; i++) {
            struct fixture f;
            make(&f, (enum ley_family)family, LEY_NN_F32);
            ley_net_set_recompute(f.net, ways[i]);
            gradient(&f);
            bytes[i] = ley_net_activation_bytes(f.net);
            if (i == 0) {
                memcpy(first, f.p->gradient, (size_t)f.p->n_values * sizeof *first);
            }
            assert_memory_equal(f.p->gradient, first, (size_t)f.p->n_values * sizeof *first);
            ley_net_destroy(f.net);
        }
        assert_true(bytes[0] < bytes[1]);
        assert_int_equal(bytes[1], bytes[2]);
    }
}

// After a step only what trains is packed, and that is enough.
static void test_packing_what_trains(void **state) {
    (void)state;
    for (int family = 0; family < 2; family++) {
        struct fixture f;
        make(&f, (enum ley_family)family, LEY_NN_F32);
        struct ley_parameter *frozen = ley_parameters_find(f.p, LEY_WEIGHT_ATTN_OUT, 1);
        frozen->trains = false;
        double before = cost(&f);
        for (int64_t i = 0; i < f.p->n_values; i++) {
            f.p->value[i] += (float)random_between(5, (uint64_t)i, -0.02, 0.02);
        }
        float kept = f.p->value[frozen->offset + 1];
        ley_net_pack_trained(f.net);
        double partly = cost(&f);
        frozen->trains = true;
        ley_net_pack_trained(f.net);
        double after = cost(&f);
        assert_true(before != partly && partly != after);
        ASSERT_OK(ley_net_pack(f.net));
        assert_true(cost(&f) == after && f.p->value[frozen->offset + 1] == kept);
        ley_net_destroy(f.net);
    }
}

static void test_gradient_does_not_depend_on_threads(void **state) {
    (void)state;
    static float first[MOST];
    for (int family = 0; family < 2; family++) {
        struct fixture f;
        make(&f, (enum ley_family)family, LEY_NN_F32);
        for (int n_threads = 1; n_threads <= 3; n_threads++) {
            omp_set_num_threads(n_threads);
            gradient(&f);
            if (n_threads == 1) {
                memcpy(first, f.p->gradient, (size_t)f.p->n_values * sizeof *first);
            }
            assert_memory_equal(f.p->gradient, first, (size_t)f.p->n_values * sizeof *first);
        }
        omp_set_num_threads(2);
        ley_net_destroy(f.net);
    }
}

// bf16 keeps 8 bits: every factor is off by up to 2^-9, and so are the logits of two layers, which
// these models turn into sharp distributions; seen here 2.2e-2.
static void test_bf16_is_close(void **state) {
    (void)state;
    static float exact[MOST];
    struct fixture f;
    for (int family = 0; has_format(LEY_NN_BF16) && family < 2; family++) {
        double error = 0, norm = 0;
        make(&f, (enum ley_family)family, LEY_NN_F32);
        gradient(&f);
        memcpy(exact, f.p->gradient, (size_t)f.p->n_values * sizeof *exact);
        ley_net_destroy(f.net);
        make(&f, (enum ley_family)family, LEY_NN_BF16);
        gradient(&f);
        for (int64_t i = 0; i < f.p->n_values; i++) {
            error += pow((double)f.p->gradient[i] - (double)exact[i], 2);
            norm += pow((double)exact[i], 2);
        }
        print_message("bf16: gradient off by %.1e in relative L2\n", sqrt(error / norm));
        assert_true(sqrt(error / norm) < 5e-2);
        ley_net_destroy(f.net);
    }
}

// Two halves, each with the count of both, give the gradient of the whole.
static void test_batches_add_up(void **state) {
    (void)state;
    static float whole[MOST];
    struct fixture f;
    struct ley_batch_loss loss, half;
    double sum = 0;
    make(&f, LEY_FAMILY_GPT2, LEY_NN_F32);
    ASSERT_OK(ley_net_gradient(&loss, f.net, &f.batch));
    memcpy(whole, f.p->gradient, (size_t)f.p->n_values * sizeof *whole);
    ley_gradient_clear(f.p);
    for (int b = 0; b < B; b++) {
        struct ley_batch part = f.batch;
        part.tokens += (ptrdiff_t)b * T;
        part.targets += (ptrdiff_t)b * T;
        part.n_batch = 1;
        part.n_counted = loss.n_rows;
        ASSERT_OK(ley_net_gradient(&half, f.net, &part));
        sum += half.nll;
    }
    assert_true(fabs(sum - loss.nll) < 1e-9);
    for (int64_t i = 0; i < f.p->n_values; i++) {
        assert_true(fabs((double)f.p->gradient[i] - (double)whole[i]) < 1e-6);
    }
    ley_net_destroy(f.net);
}

static void test_frozen_tensors_get_no_gradient(void **state) {
    (void)state;
    static float all[MOST];
    struct fixture f;
    make(&f, LEY_FAMILY_GPT2, LEY_NN_F32);
    gradient(&f);
    memcpy(all, f.p->gradient, (size_t)f.p->n_values * sizeof *all);
    ley_gradient_clear(f.p);
    for (int t = 0; t < f.p->n_tensors; t++) {
        f.p->tensor[t].trains = t % 2;
    }
    gradient(&f);
    for (int t = 0; t < f.p->n_tensors; t++) {
        const struct ley_parameter *tensor = &f.p->tensor[t];
        for (int64_t i = tensor->offset; i < tensor->offset + tensor->n_rows * tensor->n_columns;
             i++) {
            // Products of q, k, v are cut differently, sums are the same.
            double want = t % 2 ? (double)all[i] : 0;
            if (fabs((double)f.p->gradient[i] - want) > 1e-6) {
                fail_msg("%s: %.9g, not %.9g", tensor->name, (double)f.p->gradient[i], want);
            }
        }
    }
    ley_net_destroy(f.net);
}

static void test_wrong_batches_are_refused(void **state) {
    (void)state;
    struct fixture f;
    struct ley_batch_loss loss;
    make(&f, LEY_FAMILY_GPT2, LEY_NN_F32);
    f.tokens[3] = 61;
    ASSERT_FAILS(ley_net_loss(&loss, f.net, &f.batch), LEY_E_ARGUMENT, "vocabulary");
    f.tokens[3] = 1;
    f.targets[7] = 61;
    ASSERT_FAILS(ley_net_gradient(&loss, f.net, &f.batch), LEY_E_ARGUMENT, "vocabulary");
    f.targets[7] = -1;
    f.batch.weights.divergence = 1;
    ASSERT_FAILS(ley_net_loss(&loss, f.net, &f.batch), LEY_E_ARGUMENT, "teacher");
    f.batch.weights.divergence = 0;
    f.batch.n_tokens = 97;
    ASSERT_FAILS(ley_net_loss(&loss, f.net, &f.batch), LEY_E_ARGUMENT, "97 tokens");
    ley_net_destroy(f.net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient_along_directions),
        cmocka_unit_test(test_loss_is_that_of_a_session),
        cmocka_unit_test(test_teacher),
        cmocka_unit_test(test_hidden_states),
        cmocka_unit_test(test_another_attention),
        cmocka_unit_test(test_analog),
        cmocka_unit_test(test_analog_gradient_along_directions),
        cmocka_unit_test(test_recompute_changes_no_bit),
        cmocka_unit_test(test_packing_what_trains),
        cmocka_unit_test(test_gradient_does_not_depend_on_threads),
        cmocka_unit_test(test_bf16_is_close),
        cmocka_unit_test(test_batches_add_up),
        cmocka_unit_test(test_frozen_tensors_get_no_gradient),
        cmocka_unit_test(test_wrong_batches_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
