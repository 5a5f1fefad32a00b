// test_model_golden.c - tiny random models of both families against transformers
//
// tests/golden/model/ was made by tools/make_model_goldens.py (transformers, float32).
#include <math.h>
#include <string.h>

#include "support/generate.h"
#include "support/random_model.h"
#include "support/support.h"

// float32 on both sides; logits reach 10. Seen: 6e-6.
static const double TOLERANCE = 1e-4;
static const double TOLERANCE_BF16 = 0.5; // 8 bits in every product; reported, roughly bounded

struct golden {
    double *logits;  // (n_prompt, V)
    int32_t *tokens; // prompt and continuation
    int64_t n_prompt, n_tokens;
};

static void load_golden(struct golden *golden, const char *name) {
    char folder[256];
    int64_t shape[LEY_MAX_DIMS], count;
    snprintf(folder, sizeof folder, "tests/golden/model/%s", name);
    char path[1024];
    snprintf(path, sizeof path, "%s", source_path(folder));
    golden->logits = load_array(&count, shape, path, "logits.npy");
    golden->n_prompt = shape[0];
    golden->tokens = load_tokens(&golden->n_tokens, path, "tokens.npy");
}

static double prompt_error(const struct golden *golden, const struct ley_model *model) {
    int64_t n = golden->n_prompt * ley_model_config(model)->n_vocab;
    const struct ley_feed all = {.logits = LEY_LOGITS_ALL};
    float *logits = ley_alloc((size_t)n, sizeof *logits);
    struct ley_session *session;
    ASSERT_OK(ley_session_create(&session, model, 1, golden->n_prompt));
    ASSERT_OK(ley_session_feed(logits, session, golden->tokens, golden->n_prompt, &all));
    double error = largest_logit_error(logits, golden->logits, n);
    ley_session_destroy(session);
    ley_free(logits);
    return error;
}

static void check(const char *name, enum ley_family family, enum ley_rope_layout layout) {
    struct ley_model_config config = random_config(family);
    config.rope_layout = layout;
    struct ley_weight_source source = random_source(&config);
    struct ley_model *model;
    struct golden golden;
    load_golden(&golden, name);
    ASSERT_OK(ley_model_create(&model, &config, &source, LEY_NN_F32));
    double error = prompt_error(&golden, model);
    print_message("%s: largest difference of logits %.1e\n", name, error);
    assert_true(error < TOLERANCE);
    int32_t *tokens = ley_alloc((size_t)golden.n_tokens, sizeof *tokens);
    memcpy(tokens, golden.tokens, (size_t)golden.n_prompt * sizeof *tokens);
    generate_greedy(tokens, golden.n_prompt, golden.n_tokens, model);
    assert_memory_equal(tokens, golden.tokens, (size_t)golden.n_tokens * sizeof *tokens);
    ley_model_destroy(model);
    if (ley_model_create(&model, &config, &source, LEY_NN_BF16) == LEY_OK) {
        error = prompt_error(&golden, model);
        print_message("%s: largest difference of logits in bf16 %.1e\n", name, error);
        assert_true(error < TOLERANCE_BF16);
        ley_model_destroy(model);
    }
    ley_free(tokens);
    ley_free(golden.logits);
    ley_free(golden.tokens);
}

static void test_llama_halves(void **state) {
    (void)state;
    check("llama", LEY_FAMILY_LLAMA, LEY_ROPE_HALVES);
}

static void test_llama_pairs(void **state) {
    (void)state;
    check("llama", LEY_FAMILY_LLAMA, LEY_ROPE_PAIRS);
}

static void test_gpt2(void **state) {
    (void)state;
    check("gpt2", LEY_FAMILY_GPT2, LEY_ROPE_HALVES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama_halves),
        cmocka_unit_test(test_llama_pairs),
        cmocka_unit_test(test_gpt2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
