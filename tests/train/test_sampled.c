// test_sampled.c - weights of new models; text that a model samples, made once and gone on with
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/random_model.h"
#include "support/support.h"

enum { CONTEXT = 16, GROUP = 4 };

static void test_fresh_weights(void **state) {
    (void)state;
    struct ley_fresh fresh = {.config = random_config(LEY_FAMILY_LLAMA), .seed = 4};
    const struct ley_weight_source source = ley_fresh_source(&fresh);
    static float x[61 * 32], y[32];
    double sum = 0, square = 0;
    ASSERT_OK(source.read(source.context, x, LEY_WEIGHT_TOKEN_EMBEDDING, 0, 0, 61));
    for (int i = 0; i < 61 * 32; i++) {
        sum += (double)x[i];
        square += pow((double)x[i], 2);
    }
    assert_true(fabs(sum / (61 * 32)) < 2e-3);
    assert_true(fabs(sqrt(square / (61 * 32)) - 0.02) < 1e-3);
    ASSERT_OK(source.read(source.context, y, LEY_WEIGHT_TOKEN_EMBEDDING, 0, 17, 1));
    assert_memory_equal(y, x + 17 * 32, sizeof y); // of its place alone
    ASSERT_OK(source.read(source.context, x, LEY_WEIGHT_FFN_DOWN, 1, 0, 32));
    square = 0;
    for (int i = 0; i < 32 * 48; i++) {
        square += pow((double)x[i], 2);
    }
    assert_true(fabs(sqrt(square / (32 * 48)) - 0.01) < 1e-3); // 0.02 / sqrt(2 layers of 2)
    ASSERT_OK(source.read(source.context, y, LEY_WEIGHT_ATTN_NORM, 0, 0, 1));
    assert_true(y[0] == 1 && y[31] == 1);
    assert_true(source.has(source.context, LEY_WEIGHT_OUTPUT, 0));
    assert_false(source.has(source.context, LEY_WEIGHT_ATTN_Q_BIAS, 0));
    fresh.is_tied = true;
    assert_false(source.has(source.context, LEY_WEIGHT_OUTPUT, 0));
    fresh.config = random_config(LEY_FAMILY_GPT2);
    assert_true(source.has(source.context, LEY_WEIGHT_ATTN_Q_BIAS, 0));
    assert_false(source.has(source.context, LEY_WEIGHT_FFN_GATE, 0));
}

// A model of 61 tokens and a vocabulary that has a first one.
struct fixture {
    struct ley_model_config config;
    struct ley_model *model;
    struct ley_tokenizer *tokenizer;
    struct ley_sampled_options options;
    char path[128];
};

static void make(struct fixture *f, const char *name) {
    static const struct ley_string token[2] = {{"<s>", 3}, {"a", 1}};
    const struct ley_vocab vocab = {.kind = LEY_VOCAB_BYTE_BPE,
                                    .pre = LEY_PRE_NONE,
                                    .n_tokens = 2,
                                    .token = token,
                                    .bos = 0,
                                    .eos = -1,
                                    .unknown = -1};
    memset(f, 0, sizeof *f);
    f->config = random_config(LEY_FAMILY_LLAMA);
    const struct ley_weight_source source = random_source(&f->config);
    ASSERT_OK(ley_model_create(&f->model, &f->config, &source, LEY_NN_F32));
    ASSERT_OK(ley_tokenizer_create(&f->tokenizer, &vocab));
    f->options = (struct ley_sampled_options){.n_tokens = 2 * GROUP * CONTEXT,
                                              .n_context = CONTEXT,
                                              .n_batch = GROUP,
                                              .temperature = 1,
                                              .seed = 7};
    ASSERT_OK(ley_weights_fingerprint(&f->options.model, &f->config, &source));
    assert_true(f->options.model != 0);
    snprintf(f->path, sizeof f->path, "%s/%s", test_folder, name);
}

static void finish(struct fixture *f) {
    ley_tokenizer_destroy(f->tokenizer);
    ley_model_destroy(f->model);
}

static enum ley_status sample(struct ley_dataset *dataset, const struct fixture *f,
                              const struct ley_progress *progress) {
    return ley_dataset_sample(dataset, f->path, f->model, f->tokenizer, &f->options, progress);
}

static bool stop_at_half(void *context, int64_t n_done, int64_t n_total) {
    *(int64_t *)context = n_done;
    return n_done <= n_total / 2 + GROUP;
}

static void test_sampled_text_goes_on(void **state) {
    (void)state;
    struct fixture f, g;
    struct ley_dataset whole, part;
    int64_t n_done = 0;
    const struct ley_progress stopping = {stop_at_half, &n_done};
    make(&f, "whole");
    ASSERT_OK(sample(&whole, &f, NULL));
    assert_int_equal(whole.n_tokens, f.options.n_tokens);
    for (int i = 0; i < 2 * GROUP; i++) {
        assert_int_equal(whole.token[i * CONTEXT], 0); // bos
    }
    assert_memory_not_equal(whole.token, whole.token + CONTEXT, CONTEXT * sizeof(int32_t));
    make(&g, "part");
    ASSERT_FAILS(sample(&part, &g, &stopping), LEY_E_INTERRUPTED, "kept");
    ASSERT_OK(sample(&part, &g, NULL)); // the first group is there
    assert_memory_equal(part.token, whole.token, (size_t)whole.n_tokens * sizeof(int32_t));
    assert_int_equal(part.fingerprint, whole.fingerprint);
    ley_dataset_destroy(&part);
    g.options.n_tokens = 3 * GROUP * CONTEXT - 5; // more of the same, whole groups
    ASSERT_OK(sample(&part, &g, NULL));
    assert_int_equal(part.n_tokens, 3 * GROUP * CONTEXT);
    assert_true(part.fingerprint != whole.fingerprint);
    assert_memory_equal(part.token, whole.token, (size_t)whole.n_tokens * sizeof(int32_t));
    ley_dataset_destroy(&part);
    g.options.seed = 8; // other options: begun anew
    ASSERT_OK(sample(&part, &g, NULL));
    assert_memory_not_equal(part.token, whole.token, (size_t)whole.n_tokens * sizeof(int32_t));
    ley_dataset_destroy(&part);
    ley_dataset_destroy(&whole);
    finish(&f);
    finish(&g);
}

// Half a group at the end, as a killed run leaves it; a token that is none; no folder.
static void test_damaged_files(void **state) {
    (void)state;
    struct fixture f;
    struct ley_dataset first, again;
    struct stat info;
    make(&f, "damaged");
    ASSERT_OK(sample(&first, &f, NULL));
    int32_t *copy = ley_alloc((size_t)first.n_tokens, sizeof *copy);
    memcpy(copy, first.token, (size_t)first.n_tokens * sizeof *copy);
    ley_dataset_destroy(&first);
    assert_int_equal(stat(f.path, &info), 0);
    assert_int_equal(truncate(f.path, info.st_size - 10), 0);
    ASSERT_OK(sample(&again, &f, NULL));
    assert_memory_equal(again.token, copy, (size_t)again.n_tokens * sizeof *copy);
    ley_dataset_destroy(&again);
    FILE *file = fopen(f.path, "r+b");
    assert_non_null(file);
    fseek(file, -4, SEEK_END);
    fwrite("\xff\xff\xff\x7f", 4, 1, file);
    fclose(file);
    ASSERT_FAILS(sample(&again, &f, NULL), LEY_E_FORMAT, "is damaged");
    snprintf(f.path, sizeof f.path, "/nowhere/tokens");
    ASSERT_FAILS(sample(&again, &f, NULL), LEY_E_IO, "/nowhere/tokens");
    ley_free(copy);
    finish(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh_weights),
        cmocka_unit_test(test_sampled_text_goes_on),
        cmocka_unit_test(test_damaged_files),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
