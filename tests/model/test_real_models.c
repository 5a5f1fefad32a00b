// test_real_models.c - real models against Hugging Face transformers, float32
//
// Their files are not part of the project. SmolLM2-135M-Instruct (GGUF, 93 MB): LEYDEN_SMOLLM2
// names it, else it is looked for where tools/get_smollm2.sh keeps it. tinystories656K (a folder):
// LEYDEN_DATA/models, default ../shared/data. Goldens by tools/make_*_goldens.py.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

static const double logit_tolerance = 1e-3; // float32 sums in another order, up to 30 layers deep

enum { N_GREEDY = 64, MAX_TOKENS = 256 };

struct real_model {
    const char *name; // of the folder in tests/golden
    int64_t row_step; // every which position has its logits in the golden
    char path[1024];  // of the model
    char golden[1024];
    struct ley_model_file *file;
    struct ley_tokenizer *tokenizer;
    struct ley_model *model;
    int32_t prompt[MAX_TOKENS];
    int64_t n_prompt;
};

static void find_smollm2(char path[1024]) {
    const char *chosen = getenv("LEYDEN_SMOLLM2"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (chosen) {
        snprintf(path, 1024, "%s", chosen);
    } else {
        snprintf(path, 1024, "%s%s/leyden/SmolLM2-135M-Instruct.Q4_1.gguf",
                 cache ? cache : (home ? home : ""), cache ? "" : "/.cache");
    }
}

static void find_tinystories(char path[1024]) {
    const char *data = getenv("LEYDEN_DATA");
    snprintf(path, 1024, "%s/models/tinystories656K", data ? data : source_path("../shared/data"));
}

// Opens the model, or says aloud that it is skipped and leaves real->model NULL.
static void open_model(struct real_model *real) {
    struct ley_vocab vocab;
    if (!ley_file_exists(real->path)) {
        print_message("SKIPPED: no %s\n", real->path);
        return;
    }
    snprintf(real->golden, sizeof real->golden, "%s/%s", source_path("tests/golden"), real->name);
    ASSERT_OK(ley_model_file_open(&real->file, real->path));
    ASSERT_OK(ley_model_file_vocab(real->file, &vocab));
    ASSERT_OK(ley_tokenizer_create(&real->tokenizer, &vocab));
    struct ley_weight_source source = ley_model_file_source(real->file);
    ASSERT_OK(
        ley_model_create(&real->model, ley_model_file_config(real->file), &source, LEY_NN_F32));
    double *ids = load_array(&real->n_prompt, NULL, real->golden, "prompt_ids.npy");
    assert_true(real->n_prompt < MAX_TOKENS);
    for (int64_t i = 0; i < real->n_prompt; i++) {
        real->prompt[i] = (int32_t)ids[i];
    }
    ley_free(ids);
}

static int open_models(void **state) {
    static struct real_model models[2] = {{.name = "smollm2", .row_step = 1},
                                          {.name = "tinystories", .row_step = 2}};
    find_smollm2(models[0].path);
    find_tinystories(models[1].path);
    open_model(&models[0]);
    open_model(&models[1]);
    *state = models;
    return 0;
}

static int close_models(void **state) {
    struct real_model *models = *state;
    for (int i = 0; i < 2; i++) {
        ley_model_destroy(models[i].model);
        ley_tokenizer_destroy(models[i].tokenizer);
        ley_model_file_close(models[i].file);
    }
    return 0;
}

static void check_ids(const struct real_model *real) {
    char path[2048], *text;
    size_t n;
    struct ley_tokens tokens;
    snprintf(path, sizeof path, "%s/prompt.txt", real->golden);
    ASSERT_OK(ley_file_read(&text, &n, path, 4096));
    ASSERT_OK(ley_tokenizer_encode(&tokens, real->tokenizer, text, n, LEY_ADD_SPECIAL));
    assert_int_equal(tokens.n, real->n_prompt);
    assert_memory_equal(tokens.id, real->prompt, tokens.n * sizeof *tokens.id);
    ley_tokens_destroy(&tokens);
    ley_free(text);
}

static void check_logits(const struct real_model *real) {
    int64_t n_vocab = ley_model_config(real->model)->n_vocab, count, shape[LEY_MAX_DIMS];
    struct ley_session *session;
    float *logits = ley_alloc((size_t)(real->n_prompt * n_vocab), sizeof *logits);
    double *want = load_array(&count, shape, real->golden, "logits.npy"), worst = 0;
    const struct ley_feed feed = {.logits = LEY_LOGITS_ALL};
    ASSERT_OK(ley_session_create(&session, real->model, 1, MAX_TOKENS));
    ASSERT_OK(ley_session_feed(logits, session, real->prompt, real->n_prompt, &feed));
    assert_int_equal(shape[0], (real->n_prompt + real->row_step - 1) / real->row_step);
    for (int64_t i = 0; i < count; i++) {
        int64_t row = i / shape[1] * real->row_step;
        worst = fmax(worst, fabs(logits[row * n_vocab + i % shape[1]] - want[i]));
    }
    print_message("%s: largest difference of a logit %.2g\n", real->name, worst);
    assert_true(worst < logit_tolerance);
    ley_session_destroy(session);
    ley_free(logits);
    ley_free(want);
}

static void check_greedy(const struct real_model *real) {
    int64_t n_vocab = ley_model_config(real->model)->n_vocab, n;
    struct ley_session *session;
    float *logits = ley_alloc((size_t)n_vocab, sizeof *logits);
    double *want = load_array(&n, NULL, real->golden, "greedy_ids.npy");
    ASSERT_OK(ley_session_create(&session, real->model, 1, MAX_TOKENS));
    ASSERT_OK(ley_session_feed(logits, session, real->prompt, real->n_prompt, NULL));
    assert_int_equal(n, N_GREEDY);
    for (int64_t i = 0; i < n; i++) {
        int32_t best = 0;
        for (int32_t v = 1; v < n_vocab; v++) {
            best = logits[v] > logits[best] ? v : best;
        }
        assert_int_equal(best, (int32_t)want[i]);
        ASSERT_OK(ley_session_feed(logits, session, &best, 1, NULL));
    }
    ley_session_destroy(session);
    ley_free(logits);
    ley_free(want);
}

static void check(const struct real_model *real) {
    if (!real->model) {
        skip();
    }
    check_ids(real);
    check_logits(real);
    check_greedy(real);
}

static void test_smollm2(void **state) {
    check((const struct real_model *)*state);
}

static void test_tinystories(void **state) {
    check((const struct real_model *)*state + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smollm2),
        cmocka_unit_test(test_tinystories),
    };
    return cmocka_run_group_tests(tests, open_models, close_models);
}
