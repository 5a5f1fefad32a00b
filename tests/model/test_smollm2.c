// test_smollm2.c - a real model against Hugging Face transformers: SmolLM2-135M-Instruct, float32
//
// The GGUF file (93 MB) is not part of the project: LEYDEN_SMOLLM2 names it, else it is looked for
// where tools/get_smollm2.sh keeps it. Goldens by tools/make_smollm2_goldens.py.
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

static const double logit_tolerance = 1e-3; // float32 sums in another order, 30 layers deep

enum { N_LOGITS = 512, N_GREEDY = 64 };

struct rig {
    struct ley_model_file *file;
    struct ley_tokenizer *tokenizer;
    struct ley_model *model;
    struct cJSON *meta;
    char folder[1024];
    int32_t prompt[256];
    int64_t n_prompt;
};

static const char *model_path(void) {
    static char path[1024];
    const char *chosen = getenv("LEYDEN_SMOLLM2"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (chosen) {
        return chosen;
    }
    snprintf(path, sizeof path, "%s%s/leyden/SmolLM2-135M-Instruct.Q4_1.gguf",
             cache ? cache : (home ? home : ""), cache ? "" : "/.cache");
    return path;
}

static int open_rig(void **state) {
    static struct rig rig;
    struct ley_vocab vocab;
    *state = NULL;
    if (!ley_file_exists(model_path())) {
        print_message("SKIPPED: no %s (tools/get_smollm2.sh gets it)\n", model_path());
        return 0;
    }
    snprintf(rig.folder, sizeof rig.folder, "%s", source_path("tests/golden/smollm2"));
    rig.meta = load_meta(rig.folder);
    ASSERT_OK(ley_model_file_open(&rig.file, model_path()));
    ASSERT_OK(ley_model_file_vocab(rig.file, &vocab));
    ASSERT_OK(ley_tokenizer_create(&rig.tokenizer, &vocab));
    struct ley_weight_source source = ley_model_file_source(rig.file);
    ASSERT_OK(ley_model_create(&rig.model, ley_model_file_config(rig.file), &source, LEY_NN_F32));
    double *ids = load_array(&rig.n_prompt, NULL, rig.folder, "prompt_ids.npy");
    for (int64_t i = 0; i < rig.n_prompt; i++) {
        rig.prompt[i] = (int32_t)ids[i];
    }
    ley_free(ids);
    *state = &rig;
    return 0;
}

static int close_rig(void **state) {
    struct rig *rig = *state;
    if (rig) {
        ley_model_destroy(rig->model);
        ley_tokenizer_destroy(rig->tokenizer);
        ley_model_file_close(rig->file);
        cJSON_Delete(rig->meta);
    }
    return 0;
}

static void check_ids(const struct rig *rig, const char *text, const int32_t *want, size_t n) {
    struct ley_tokens tokens;
    ASSERT_OK(ley_tokenizer_encode(&tokens, rig->tokenizer, text, strlen(text), 0));
    assert_int_equal(tokens.n, n);
    assert_memory_equal(tokens.id, want, n * sizeof *want);
    ley_tokens_destroy(&tokens);
}

static void test_prompt_ids(void **state) {
    struct rig *rig = *state;
    if (!rig) {
        skip();
    }
    const char *prompt = cJSON_GetObjectItem(rig->meta, "prompt")->valuestring;
    check_ids(rig, prompt, rig->prompt, (size_t)rig->n_prompt);
}

static void test_logits(void **state) {
    struct rig *rig = *state;
    if (!rig) {
        skip();
    }
    int64_t n_vocab = ley_model_config(rig->model)->n_vocab, count;
    struct ley_session *session;
    float *logits = ley_alloc((size_t)(rig->n_prompt * n_vocab), sizeof *logits);
    double *want = load_array(&count, NULL, rig->folder, "logits_512.npy"), worst = 0;
    const struct ley_feed feed = {.logits = LEY_LOGITS_ALL};
    ASSERT_OK(ley_session_create(&session, rig->model, 1, 256));
    ASSERT_OK(ley_session_feed(logits, session, rig->prompt, rig->n_prompt, &feed));
    assert_int_equal(count, rig->n_prompt * N_LOGITS);
    for (int64_t i = 0; i < count; i++) {
        worst = fmax(worst, fabs(logits[i / N_LOGITS * n_vocab + i % N_LOGITS] - want[i]));
    }
    print_message("largest difference of a logit: %.2g\n", worst);
    assert_true(worst < logit_tolerance);
    ley_session_destroy(session);
    ley_free(logits);
    ley_free(want);
}

static void test_greedy(void **state) {
    struct rig *rig = *state;
    if (!rig) {
        skip();
    }
    int64_t n_vocab = ley_model_config(rig->model)->n_vocab, n;
    struct ley_session *session;
    float *logits = ley_alloc((size_t)n_vocab, sizeof *logits);
    double *want = load_array(&n, NULL, rig->folder, "greedy_ids.npy");
    ASSERT_OK(ley_session_create(&session, rig->model, 1, 256));
    ASSERT_OK(ley_session_feed(logits, session, rig->prompt, rig->n_prompt, NULL));
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prompt_ids),
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_greedy),
    };
    return cmocka_run_group_tests(tests, open_rig, close_rig);
}
