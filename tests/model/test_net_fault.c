// test_net_fault.c - a net in want of memory: every allocation fails once, nothing leaks or is lost
#include <string.h>

#include "support/counting_alloc.h"
#include "support/random_model.h"
#include "support/support.h"

enum { B = 2, T = 12 };

static struct ley_batch make_batch(int32_t *tokens, int64_t n_tokens) {
    for (int i = 0; i < B * n_tokens; i++) {
        tokens[i] = (int32_t)random_between(1, (uint64_t)i, 0, 61);
    }
    return (struct ley_batch){
        .tokens = tokens, .targets = tokens, .n_batch = B, .n_tokens = n_tokens};
}

static struct ley_hardware chip; // loaded once: its own allocations are tested elsewhere

enum { N_SCALERS = 2 * LEY_SCALER_TENSORS, MOST_EXTRA = N_SCALERS + 32 };

// Scalers and changes of some matrices, on the chip.
static int extra_tensors(struct ley_parameter extra[MOST_EXTRA],
                         const struct ley_model_config *config, const struct ley_lora_spec *lora) {
    int n = ley_lora_tensor_count(config, lora);
    assert_true(n <= MOST_EXTRA - N_SCALERS);
    ley_scaler_parameters(extra, config);
    ley_lora_tensors(extra + N_SCALERS, config, lora);
    return N_SCALERS + n;
}

// Create, gradient, optimiser, pack.
static enum ley_status work(struct ley_net **net, struct ley_adamw *adamw,
                            struct ley_model_config *config) {
    const struct ley_weight_source source = random_source(config);
    const struct ley_adamw_constants constants = {0.9, 0.95, 1e-8, 0.1};
    int32_t tokens[B * T];
    struct ley_batch_loss loss;
    const struct ley_batch batch = make_batch(tokens, T);
    struct ley_parameter extra[MOST_EXTRA];
    struct ley_lora_spec lora = {.rank = 2, .alpha = 4};
    bool is_analog = config->family == LEY_FAMILY_LLAMA;
    LEY_TRY(ley_lora_weights(&lora.weights, "q,v,o", config));
    int n_extra = extra_tensors(extra, config, &lora);
    LEY_TRY(ley_net_create(net, config, &source, LEY_NN_F32, extra, is_analog ? n_extra : 0));
    if (is_analog) {
        LEY_TRY(ley_net_set_lora(*net, &lora));
        LEY_TRY(ley_net_set_analog(*net, &chip));
        LEY_TRY(ley_net_pack(*net));
    }
    LEY_TRY(ley_adamw_create(adamw, ley_net_parameters(*net), &constants));
    LEY_TRY(ley_net_gradient(&loss, *net, &batch));
    ley_adamw_step(adamw, ley_net_parameters(*net), 1e-3, 1);
    return ley_net_pack(*net);
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    struct ley_model_config config = random_config(LEY_FAMILY_LLAMA);
    enum ley_status status = LEY_E_MEMORY;
    ASSERT_OK(ley_hardware_load(&chip, "paper"));
    int64_t n_live = counting.n_live, failing = 0;
    while (status != LEY_OK) {
        struct ley_net *net = NULL;
        struct ley_adamw adamw = {.n_values = 0};
        counting_reset(++failing, false);
        status = work(&net, &adamw, &config);
        assert_true(status == LEY_OK || status == LEY_E_MEMORY);
        ley_adamw_destroy(&adamw);
        ley_net_destroy(net);
        assert_int_equal(counting.n_live, n_live);
    }
    print_message("%d allocations\n", (int)failing - 1);
    assert_true(failing > 30);
}

// A step takes no memory once its shapes are known; a larger batch that finds none changes nothing.
static void test_steps_do_not_allocate(void **state) {
    (void)state;
    struct ley_model_config config = random_config(LEY_FAMILY_GPT2);
    struct ley_net *net = NULL;
    struct ley_adamw adamw = {.n_values = 0};
    struct ley_batch_loss loss;
    int32_t tokens[2 * B * T];
    counting_reset(0, false);
    ASSERT_OK(work(&net, &adamw, &config));
    struct ley_parameters *p = ley_net_parameters(net);
    counting_reset(0, false);
    struct ley_batch batch = make_batch(tokens, T);
    ley_gradient_clear(p);
    ASSERT_OK(ley_net_gradient(&loss, net, &batch));
    ley_adamw_step(&adamw, p, 1e-3, ley_clip_scale(ley_gradient_norm(p), 1));
    assert_int_equal(counting.n_calls, 0);
    counting_reset(1, true);
    batch = make_batch(tokens, 2 * T);
    ASSERT_FAILS(ley_net_gradient(&loss, net, &batch), LEY_E_MEMORY, "activations");
    counting_reset(0, false);
    ASSERT_OK(ley_net_gradient(&loss, net, &batch));
    ley_adamw_destroy(&adamw);
    ley_net_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_steps_do_not_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
