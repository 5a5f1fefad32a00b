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

// Create, gradient, optimiser, pack.
static enum ley_status work(struct ley_net **net, struct ley_adamw *adamw,
                            struct ley_model_config *config) {
    const struct ley_weight_source source = random_source(config);
    const struct ley_adamw_constants constants = {0.9, 0.95, 1e-8, 0.1};
    int32_t tokens[B * T];
    struct ley_batch_loss loss;
    const struct ley_batch batch = make_batch(tokens, T);
    LEY_TRY(ley_net_create(net, config, &source, LEY_NN_F32, NULL, 0));
    LEY_TRY(ley_adamw_create(adamw, ley_net_parameters(*net), &constants));
    LEY_TRY(ley_net_gradient(&loss, *net, &batch));
    ley_adamw_step(adamw, ley_net_parameters(*net), 1e-3, 1);
    return ley_net_pack(*net);
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    struct ley_model_config config = random_config(LEY_FAMILY_LLAMA);
    enum ley_status status = LEY_E_MEMORY;
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
