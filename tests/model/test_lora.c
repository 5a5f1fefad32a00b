// test_lora.c - low-rank changes in a net: what is packed, what they learn, what stays frozen
//
// Gradients are tested along themselves, as in test_net.c, by central differences of float32
// losses.
#include <math.h>
#include <omp.h>
#include <string.h>

#include "support/random_model.h"
#include "support/support.h"

enum { B = 2, T = 24, RANK = 3, MOST = 1 << 17, MOST_TENSORS = 64 };
static const double STEP = 2e-3, REL = 3e-3;

struct fixture {
    struct ley_model_config config;
    struct ley_net *net;
    struct ley_parameters *p;
    struct ley_lora_spec spec;
    int32_t tokens[B * T];
    struct ley_batch batch;
};

static void make(struct fixture *f, enum ley_family family, const char *matrices) {
    struct ley_parameter extra[MOST_TENSORS];
    memset(f, 0, sizeof *f);
    f->config = random_config(family);
    const struct ley_weight_source source = random_source(&f->config);
    f->spec = (struct ley_lora_spec){.rank = RANK, .alpha = 6, .seed = 5};
    ASSERT_OK(ley_lora_weights(&f->spec.weights, matrices, &f->config));
    int n = ley_lora_tensor_count(&f->config, &f->spec);
    assert_true(n <= MOST_TENSORS);
    ley_lora_tensors(extra, &f->config, &f->spec);
    ASSERT_OK(ley_net_create(&f->net, &f->config, &source, LEY_NN_F32, extra, n));
    f->p = ley_net_parameters(f->net);
    for (int i = 0; i < B * T; i++) {
        f->tokens[i] = (int32_t)random_between(1, (uint64_t)i, 0, 61);
    }
    f->batch =
        (struct ley_batch){.tokens = f->tokens, .targets = f->tokens, .n_batch = B, .n_tokens = T};
}

static double cost(struct fixture *f) {
    struct ley_batch_loss loss;
    ASSERT_OK(ley_net_pack(f->net));
    ASSERT_OK(ley_net_loss(&loss, f->net, &f->batch));
    return loss.nll / (double)loss.n_rows;
}

static bool is_change(const struct ley_parameter *tensor) {
    return strncmp(tensor->name, "LORA_", 5) == 0;
}

// B away from zero, so that A has a gradient too.
static void disturb(struct fixture *f) {
    for (int t = 0; t < f->p->n_tensors; t++) {
        const struct ley_parameter *tensor = &f->p->tensor[t];
        for (int64_t i = 0; is_change(tensor) && i < tensor->n_rows * tensor->n_columns; i++) {
            f->p->value[tensor->offset + i] +=
                (float)random_between(7, (uint64_t)(tensor->offset + i), -0.1, 0.1);
        }
    }
}

static void gradient(struct fixture *f) {
    struct ley_batch_loss loss;
    memset(f->p->gradient, 0, (size_t)f->p->n_values * sizeof(float));
    ASSERT_OK(ley_net_pack(f->net));
    ASSERT_OK(ley_net_gradient(&loss, f->net, &f->batch));
}

static void test_starts_as_the_model(void **state) {
    (void)state;
    struct fixture f;
    make(&f, LEY_FAMILY_LLAMA, "all");
    double before = cost(&f);
    ASSERT_OK(ley_net_set_lora(f.net, &f.spec));
    assert_true(cost(&f) == before);
    assert_false(ley_parameters_find(f.p, LEY_WEIGHT_ATTN_Q, 1)->trains);
    assert_false(ley_parameters_find(f.p, LEY_WEIGHT_FFN_GATE, 0)->trains);
    assert_true(ley_parameters_find(f.p, LEY_WEIGHT_FINAL_NORM, 0)->trains);
    ley_net_destroy(f.net);
}

// What is read from the net is W + alpha / rank B A, in any pieces.
static void test_effective_weights(void **state) {
    (void)state;
    static float whole[32 * 48], piece[48];
    struct fixture f;
    make(&f, LEY_FAMILY_LLAMA, "down");
    ASSERT_OK(ley_net_set_lora(f.net, &f.spec));
    disturb(&f);
    const struct ley_weight_source source = ley_net_weights(f.net);
    const struct ley_parameter *w = ley_parameters_find(f.p, LEY_WEIGHT_FFN_DOWN, 1);
    const float *a = f.p->value + ley_parameters_named(f.p, "LORA_A.FFN_DOWN.1")->offset;
    const float *b = f.p->value + ley_parameters_named(f.p, "LORA_B.FFN_DOWN.1")->offset;
    ASSERT_OK(source.read(source.context, whole, LEY_WEIGHT_FFN_DOWN, 1, 0, 32));
    for (int r = 0; r < 32; r++) {
        ASSERT_OK(source.read(source.context, piece, LEY_WEIGHT_FFN_DOWN, 1, r, 1));
        assert_memory_equal(piece, whole + r * 48, sizeof piece);
        for (int c = 0; c < 48; c++) {
            double want = (double)f.p->value[w->offset + r * 48 + c];
            for (int j = 0; j < RANK; j++) {
                want += 2 * (double)b[r * RANK + j] * (double)a[j * 48 + c]; // alpha / rank
            }
            assert_true(fabs((double)piece[c] - want) < 1e-6);
        }
    }
    ley_net_destroy(f.net);
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
    for (int s = 0; s < 2; s++) {
        for (int64_t i = tensor->offset; i < end; i++) {
            f->p->value[i] =
                (float)((double)before[i] + (s ? -STEP : STEP) * (double)direction[i] / norm);
        }
        side[s] = cost(f);
    }
    memcpy(f->p->value, before, (size_t)f->p->n_values * sizeof *before);
    double slope = (side[0] - side[1]) / (2 * STEP);
    if (!(fabs(slope - norm) < REL * norm + 2e-4)) { // 4e-7 of a loss over 2 STEP
        fail_msg("%s: slope %.7g, gradient %.7g", tensor->name, slope, norm);
    }
}

static void check_gradients(enum ley_family family, const char *matrices) {
    static float before[MOST], direction[MOST];
    struct fixture f;
    make(&f, family, matrices);
    ASSERT_OK(ley_net_set_lora(f.net, &f.spec));
    disturb(&f);
    gradient(&f);
    assert_true(f.p->n_values <= MOST);
    memcpy(before, f.p->value, (size_t)f.p->n_values * sizeof *before);
    memcpy(direction, f.p->gradient, (size_t)f.p->n_values * sizeof *direction);
    for (int t = 0; t < f.p->n_tensors; t++) {
        if (is_change(&f.p->tensor[t])) {
            check_direction(&f, &f.p->tensor[t], before, direction);
        }
    }
    ley_net_destroy(f.net);
}

static void test_gradients(void **state) {
    (void)state;
    check_gradients(LEY_FAMILY_LLAMA, "all");
    check_gradients(LEY_FAMILY_LLAMA, "q,v,up"); // stacks of which a part changes
    check_gradients(LEY_FAMILY_GPT2, "attn,down");
}

// Packing what trains takes changes along, and leaves those that stopped training.
static void test_packing_what_trains(void **state) {
    (void)state;
    struct fixture f;
    struct ley_batch_loss loss, whole;
    make(&f, LEY_FAMILY_LLAMA, "all");
    ASSERT_OK(ley_net_set_lora(f.net, &f.spec));
    ASSERT_OK(ley_net_pack(f.net));
    disturb(&f);
    ley_net_pack_trained(f.net);
    ASSERT_OK(ley_net_loss(&loss, f.net, &f.batch));
    ASSERT_OK(ley_net_pack(f.net));
    ASSERT_OK(ley_net_loss(&whole, f.net, &f.batch));
    assert_true(loss.nll == whole.nll);
    for (int t = 0; t < f.p->n_tensors; t++) {
        f.p->tensor[t].trains = false;
    }
    disturb(&f);
    ley_net_pack_trained(f.net);
    ASSERT_OK(ley_net_loss(&loss, f.net, &f.batch));
    assert_true(loss.nll == whole.nll);
    gradient(&f);
    for (int64_t i = 0; i < f.p->n_values; i++) {
        assert_true(f.p->gradient[i] == 0); // nothing trains
    }
    ley_net_destroy(f.net);
}

static void test_matrices_stay_and_threads_do_not_matter(void **state) {
    (void)state;
    static float first[MOST];
    struct fixture f;
    make(&f, LEY_FAMILY_LLAMA, "q,k,v,o");
    ASSERT_OK(ley_net_set_lora(f.net, &f.spec));
    disturb(&f);
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        omp_set_num_threads(n_threads);
        gradient(&f);
        if (n_threads == 1) {
            memcpy(first, f.p->gradient, (size_t)f.p->n_values * sizeof *first);
        }
        assert_memory_equal(f.p->gradient, first, (size_t)f.p->n_values * sizeof *first);
    }
    omp_set_num_threads(2);
    const struct ley_parameter *w = ley_parameters_find(f.p, LEY_WEIGHT_ATTN_K, 0);
    for (int64_t i = 0; i < w->n_rows * w->n_columns; i++) {
        assert_true(first[w->offset + i] == 0);
    }
    ley_net_destroy(f.net);
}

static void test_lists_of_matrices(void **state) {
    (void)state;
    struct ley_model_config llama = random_config(LEY_FAMILY_LLAMA);
    struct ley_model_config gpt2 = random_config(LEY_FAMILY_GPT2);
    uint32_t all, parts;
    ASSERT_OK(ley_lora_weights(&all, "all", &llama));
    ASSERT_OK(ley_lora_weights(&parts, "attn,gate,up,down", &llama));
    assert_int_equal(all, parts);
    ASSERT_OK(ley_lora_weights(&parts, "ffn", &gpt2)); // no gate
    assert_int_equal(parts, 1u << LEY_WEIGHT_FFN_UP | 1u << LEY_WEIGHT_FFN_DOWN);
    ASSERT_FAILS(ley_lora_weights(&parts, "q,kk", &llama), LEY_E_ARGUMENT, "unknown matrix 'kk'");
    ASSERT_FAILS(ley_lora_weights(&parts, "", &llama), LEY_E_ARGUMENT, "unknown matrix ''");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_as_the_model),
        cmocka_unit_test(test_effective_weights),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_packing_what_trains),
        cmocka_unit_test(test_matrices_stay_and_threads_do_not_matter),
        cmocka_unit_test(test_lists_of_matrices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
