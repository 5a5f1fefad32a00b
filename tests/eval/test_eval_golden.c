// test_eval_golden.c - tasks against lm-evaluation-harness: prompts, log-likelihoods, metrics
//
// A tiny model and items of our own (tools/make_eval_goldens.py), in float32; where SmolLM2 and the
// data sets are at hand, the first items of each task too (tools/compare_with_harness.py).
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

// float32 sums in another order: of a log-likelihood, relative to its size
static const double LOG_PROB = 2e-5;
static const double METRIC = 1e-4; // of perplexities, relative; accuracies are equal

struct fixture {
    struct ley_model_file *file;
    struct ley_tokenizer *tokenizer;
    struct ley_model *model;
    struct ley_session *session;
};

static void open_model(struct fixture *fixture, const char *path) {
    struct ley_vocab vocab;
    ASSERT_OK(ley_model_file_open(&fixture->file, path));
    ASSERT_OK(ley_model_file_vocab(fixture->file, &vocab));
    ASSERT_OK(ley_tokenizer_create(&fixture->tokenizer, &vocab));
    struct ley_weight_source source = ley_model_file_source(fixture->file);
    ASSERT_OK(ley_model_create(&fixture->model, ley_model_file_config(fixture->file), &source,
                               LEY_NN_F32));
    ASSERT_OK(ley_session_create(&fixture->session, fixture->model, 1, 1));
}

static void close_model(struct fixture *fixture) {
    ley_session_destroy(fixture->session);
    ley_model_destroy(fixture->model);
    ley_tokenizer_destroy(fixture->tokenizer);
    ley_model_file_close(fixture->file);
}

static struct cJSON *read_golden(const char *name) {
    char *text;
    size_t n;
    ASSERT_OK(ley_file_read(&text, &n, source_path(name), 1 << 24));
    struct cJSON *json = cJSON_Parse(text);
    ley_free(text);
    assert_non_null(json);
    return json;
}

static const struct cJSON *member(const struct cJSON *json, const char *key) {
    const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!item) {
        fail_msg("golden without %s", key);
    }
    return item;
}

static void assert_text(const struct ley_item *item, const struct ley_item_part *part,
                        const struct cJSON *want) {
    char got[4096];
    snprintf(got, sizeof got, "%.*s", (int)part->n, item->text + part->at);
    assert_string_equal(got, want->valuestring);
}

// The requests that the harness makes of an item, in its order: the text alone, or context and
// ending.
static void check_arguments(const struct ley_item *item, const struct cJSON *sample) {
    const struct cJSON *arguments = member(sample, "arguments"), *pair;
    int i = 0;
    assert_int_equal(cJSON_GetArraySize(arguments), item->n_pairs);
    cJSON_ArrayForEach(pair, arguments) {
        bool is_text = cJSON_GetArraySize(pair) == 1;
        assert_text(item, &item->pair[i].ending, cJSON_GetArrayItem(pair, is_text ? 0 : 1));
        if (!is_text) {
            assert_text(item, &item->pair[i].context, cJSON_GetArrayItem(pair, 0));
        }
        i++;
    }
}

static void check_answers(const struct ley_answer *answer, const struct cJSON *sample,
                          bool has_greedy) {
    const struct cJSON *want;
    cJSON_ArrayForEach(want, member(sample, "answers")) {
        double log_prob = cJSON_GetArrayItem(want, 0)->valuedouble;
        if (fabs(answer->log_prob - log_prob) > LOG_PROB * fabs(log_prob) + 1e-4) {
            fail_msg("log probability is %.6f, must be %.6f", answer->log_prob, log_prob);
        }
        if (has_greedy) {
            assert_int_equal(answer->is_greedy, cJSON_GetArrayItem(want, 1)->valuedouble);
        }
        answer++;
    }
}

// Errors of perplexities come from other random draws.
static void check_metrics(const struct ley_metric *metric, int n, const struct cJSON *want) {
    for (int i = 0; i < n; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s_stderr", metric[i].name);
        const struct cJSON *value = cJSON_GetObjectItemCaseSensitive(want, metric[i].name);
        if (!value) {
            assert_string_equal(metric[i].name, "token_perplexity"); // ours
            continue;
        }
        assert_true(fabs(metric[i].value / value->valuedouble - 1) < METRIC ||
                    metric[i].value == value->valuedouble);
        if (metric[i].higher_is_better) {
            assert_true(fabs(metric[i].stderr_ - member(want, key)->valuedouble) < 1e-12);
        }
    }
}

// Runs a task's items in passes of n_rows tokens and compares everything.
static void check_task(const struct fixture *fixture, const struct ley_task *task,
                       const struct ley_items *items, const struct cJSON *golden, int ctx,
                       int n_rows) {
    struct ley_answers answers;
    struct ley_metric metric[LEY_MOST_METRICS];
    const struct ley_evaluation evaluation = {
        .items = items,
        .kind = task->kind,
        .encoder = {fixture->tokenizer, ctx},
        .session = fixture->session,
        .n_rows = n_rows,
    };
    ASSERT_OK(ley_answers_create(&answers, items));
    ASSERT_OK(ley_evaluate(&answers, &evaluation));
    const struct cJSON *samples = member(golden, "samples"), *sample;
    int64_t i = 0;
    assert_int_equal(cJSON_GetArraySize(samples), items->n);
    cJSON_ArrayForEach(sample, samples) {
        if (cJSON_GetObjectItemCaseSensitive(sample, "arguments")) {
            check_arguments(&items->item[i], sample);
        }
        check_answers(&answers.answer[answers.first[i]], sample, task->kind != LEY_TASK_ROLLING);
        assert_true(answers.is_done[i]);
        i++;
    }
    int n = ley_metrics(metric, task, items, &answers, 0);
    const struct cJSON *metrics = cJSON_GetObjectItemCaseSensitive(golden, "metrics");
    assert_true(n > 0);
    if (metrics) {
        check_metrics(metric, n, metrics);
    }
    ley_answers_destroy(&answers);
}

static void test_tiny_model(void **state) {
    (void)state;
    struct fixture fixture;
    struct cJSON *golden = read_golden("tests/golden/eval/golden.json"), *row;
    int ctx = (int)member(golden, "ctx")->valuedouble;
    open_model(&fixture, source_path("tests/golden/eval/model"));
    cJSON_ArrayForEach(row, member(golden, "tasks")) {
        const struct ley_task *task = ley_task_named(row->string);
        struct ley_items items;
        char path[1024];
        assert_non_null(task);
        ASSERT_OK(ley_task_find(path, task, source_path("tests/golden/eval")));
        ASSERT_OK(ley_items_load(&items, task, path, 0));
        check_task(&fixture, task, &items, row, ctx, 1024);
        check_task(&fixture, task, &items, row, ctx, 1); // an item, or a window, a pass
        ley_items_destroy(&items);
    }
    cJSON_Delete(golden);
    close_model(&fixture);
}

static bool find_smollm2(char path[1024]) {
    const char *chosen = getenv("LEYDEN_SMOLLM2"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    snprintf(path, 1024, "%s%s/leyden/SmolLM2-135M-Instruct.Q4_1.gguf",
             cache ? cache : (home ? home : ""), cache ? "" : "/.cache");
    if (chosen) {
        snprintf(path, 1024, "%s", chosen);
    }
    return ley_file_exists(path);
}

static void test_smollm2(void **state) {
    (void)state;
    struct fixture fixture;
    char model[1024], folder[1024], path[1024];
    const char *chosen = getenv("LEYDEN_DATA");
    snprintf(folder, sizeof folder, "%s", chosen ? chosen : source_path("../shared/data"));
    if (!find_smollm2(model) || ley_task_find(path, ley_task_named("piqa"), folder) != LEY_OK) {
        print_message("skipped: no SmolLM2 (tools/get_smollm2.sh) or no data sets (LEYDEN_DATA)\n");
        skip();
    }
    struct cJSON *golden = read_golden("tests/golden/eval/smollm2.json"), *row;
    open_model(&fixture, model);
    cJSON_ArrayForEach(row, member(golden, "tasks")) {
        const struct ley_task *task = ley_task_named(row->string);
        struct ley_items items;
        ASSERT_OK(ley_task_find(path, task, folder));
        ASSERT_OK(ley_items_load(&items, task, path, cJSON_GetArraySize(member(row, "samples"))));
        check_task(&fixture, task, &items, row, 1024, 1024);
        ley_items_destroy(&items);
    }
    cJSON_Delete(golden);
    close_model(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_model),
        cmocka_unit_test(test_smollm2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
