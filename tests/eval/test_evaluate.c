// test_evaluate.c - passes of items: the same bits as one sequence at a time, digital and analog;
// stops, journals, errors, divergence, memory that runs out
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/counting_alloc.h"
#include "support/support.h"

enum { CTX = 64 };

struct fixture {
    struct ley_model_file *file;
    struct ley_tokenizer *tokenizer;
    struct ley_model *model;
};

static void open_model(struct fixture *fixture, const char *hw) {
    struct ley_vocab vocab;
    struct ley_hardware hardware;
    ASSERT_OK(ley_model_file_open(&fixture->file, source_path("tests/golden/eval/model")));
    ASSERT_OK(ley_model_file_vocab(fixture->file, &vocab));
    ASSERT_OK(ley_tokenizer_create(&fixture->tokenizer, &vocab));
    struct ley_weight_source source = ley_model_file_source(fixture->file);
    ASSERT_OK(ley_model_create(&fixture->model, ley_model_file_config(fixture->file), &source,
                               LEY_NN_F32));
    if (hw) {
        ASSERT_OK(ley_hardware_load(&hardware, hw));
        hardware.array.window = 40; // shorter than the longest items: the ring laps
        ASSERT_OK(ley_model_set_analog(fixture->model, &hardware));
    }
}

static void close_model(struct fixture *fixture) {
    ley_model_destroy(fixture->model);
    ley_tokenizer_destroy(fixture->tokenizer);
    ley_model_file_close(fixture->file);
}

static void load(struct ley_items *items, const struct ley_task *task) {
    char path[1024];
    ASSERT_OK(ley_task_find(path, task, source_path("tests/golden/eval")));
    ASSERT_OK(ley_items_load(items, task, path, 0));
}

static struct ley_evaluation evaluation_of(const struct fixture *fixture,
                                           const struct ley_items *items,
                                           const struct ley_task *task,
                                           struct ley_session *session) {
    return (struct ley_evaluation){.items = items,
                                   .kind = task->kind,
                                   .encoder = {fixture->tokenizer, CTX},
                                   .session = session,
                                   .n_rows = 200};
}

// One sequence from the start, in a session of its own.
static double score_alone(const struct ley_sequence *sequence, struct ley_session *own) {
    static float logits[CTX * 400];
    const struct ley_feed all = {.logits = LEY_LOGITS_ALL};
    double sum = 0;
    ley_session_reset(own);
    ASSERT_OK(ley_session_feed(logits, own, sequence->token, sequence->n - 1, &all));
    for (int64_t t = sequence->first; t < sequence->n; t++) {
        const float *row = logits + (t - 1) * 400;
        sum += (double)row[sequence->token[t]] - ley_log_sum_exp(row, 400);
    }
    return sum;
}

static void check_task(const struct fixture *fixture, const char *name) {
    const struct ley_task *task = ley_task_named(name);
    struct ley_items items;
    struct ley_answers answers;
    struct ley_session *session, *own;
    load(&items, task);
    ASSERT_OK(ley_session_create(&session, fixture->model, 1, 1));
    ASSERT_OK(ley_session_create(&own, fixture->model, 1, CTX));
    struct ley_evaluation evaluation = evaluation_of(fixture, &items, task, session);
    ASSERT_OK(ley_answers_create(&answers, &items));
    ASSERT_OK(ley_evaluate(&answers, &evaluation));
    for (int64_t i = 0; i < items.n; i++) {
        double want[LEY_MOST_CHOICES] = {0};
        struct ley_case item;
        ASSERT_OK(ley_case_create(&item, &evaluation.encoder, &items.item[i], task->kind));
        for (int64_t s = 0; s < item.n; s++) {
            want[item.sequence[s].pair] += score_alone(&item.sequence[s], own);
        }
        for (int p = 0; p < items.item[i].n_pairs; p++) {
            double got = answers.answer[answers.first[i] + p].log_prob;
            // windows of a text are added up in another order, a choice's tokens are not
            assert_true(task->kind == LEY_TASK_ROLLING ? fabs(got - want[p]) < 1e-9
                                                       : got == want[p]);
        }
        ley_case_destroy(&item);
    }
    ley_answers_destroy(&answers);
    ley_session_destroy(own);
    ley_session_destroy(session);
    ley_items_destroy(&items);
}

static void test_same_bits_as_alone(void **state) {
    (void)state;
    static const char *const hw[] = {NULL, "paper", "paper-linear", "cmos"};
    for (int i = 0; i < 4; i++) {
        struct fixture fixture;
        open_model(&fixture, hw[i]);
        check_task(&fixture, "arc_easy");
        check_task(&fixture, "winogrande");
        check_task(&fixture, "hellaswag");
        check_task(&fixture, "lambada_openai");
        check_task(&fixture, "wikitext");
        close_model(&fixture);
    }
}

// Stops after n passes.
struct stop {
    int n_left;
    int64_t n_done;
    struct ley_journal *journal;
    const struct ley_answers *answers;
};

static void done(void *context, int64_t item) {
    struct stop *stop = context;
    stop->n_done++;
    ley_journal_write(stop->journal, 17, stop->answers, item);
}

static bool report(void *context, int64_t n_fed) {
    struct stop *stop = context;
    assert_true(n_fed > 0);
    return --stop->n_left > 0;
}

static void assert_same_answers(const struct ley_answers *a, const struct ley_answers *b) {
    assert_memory_equal(a->answer, b->answer, (size_t)a->first[a->n_items] * sizeof *a->answer);
    for (int64_t i = 0; i < a->n_items; i++) {
        assert_true(a->is_done[i] && b->is_done[i]);
    }
}

// An evaluation that was stopped goes on from its journal to the same bits.
static void test_journal(void **state) {
    (void)state;
    struct fixture fixture;
    const struct ley_task *task = ley_task_named("arc_easy");
    struct ley_items items;
    struct ley_session *session;
    struct ley_answers whole, parts;
    struct ley_journal *journal;
    char path[200];
    snprintf(path, sizeof path, "%s/out.json.part", test_folder);
    open_model(&fixture, NULL);
    load(&items, task);
    ASSERT_OK(ley_session_create(&session, fixture.model, 1, 1));
    struct ley_evaluation evaluation = evaluation_of(&fixture, &items, task, session);
    evaluation.n_rows = 100;
    ASSERT_OK(ley_answers_create(&whole, &items));
    ASSERT_OK(ley_evaluate(&whole, &evaluation));
    int64_t n_before = 0;
    for (int run = 0; run < 3; run++) {
        ASSERT_OK(ley_journal_open(&journal, path));
        ASSERT_OK(ley_answers_create(&parts, &items));
        ASSERT_OK(ley_journal_read(&parts, journal, 18)); // of another run: nothing
        assert_false(parts.is_done[0]);
        ASSERT_OK(ley_journal_read(&parts, journal, 17));
        struct stop stop = {.n_left = run < 2 ? 1 : 100, .journal = journal, .answers = &parts};
        evaluation.done = done;
        evaluation.report = report;
        evaluation.context = &stop;
        enum ley_status status = ley_evaluate(&parts, &evaluation);
        assert_int_equal(status, run < 2 ? LEY_E_INTERRUPTED : LEY_OK);
        assert_true(stop.n_done > 0 && stop.n_done < items.n);
        n_before += stop.n_done;
        if (run == 2) {
            assert_same_answers(&whole, &parts);
            assert_int_equal(n_before, items.n); // none twice
        }
        ley_answers_destroy(&parts);
        ASSERT_OK(ley_journal_close(journal, run == 2));
        assert_true(ley_file_exists(path) == (run < 2));
    }
    ley_answers_destroy(&whole);
    ley_session_destroy(session);
    ley_items_destroy(&items);
    close_model(&fixture);
}

static void write_text(const char *path, const char *text) {
    ASSERT_OK(ley_file_write(path, text, strlen(text)));
}

static void test_damaged_journal(void **state) {
    (void)state;
    struct ley_items items;
    struct ley_answers answers;
    struct ley_journal *journal;
    char path[200];
    snprintf(path, sizeof path, "%s/out.json.part", test_folder);
    load(&items, ley_task_named("piqa"));
    ASSERT_OK(ley_answers_create(&answers, &items));
    // The second line was cut while it was written.
    write_text(path, "{\"run\":\"0000000000000011\",\"item\":1,\"answers\":[[-2.5,3,1],[-3,2,0]]}\n"
                     "{\"run\":\"0000000000000011\",\"item\":2,\"ans");
    ASSERT_OK(ley_journal_open(&journal, path));
    ASSERT_OK(ley_journal_read(&answers, journal, 17));
    assert_true(answers.is_done[1] && !answers.is_done[0] && !answers.is_done[2]);
    assert_true(answers.answer[answers.first[1]].log_prob == -2.5);
    assert_int_equal(answers.answer[answers.first[1]].n_tokens, 3);
    assert_true(answers.answer[answers.first[1]].is_greedy);
    ASSERT_OK(ley_journal_close(journal, false));
    static const char *const wrong[] = {
        "{\"run\":\"0000000000000011\",\"item\":1,\"answers\":[[-2.5,3,1]]}\n", // two are needed
        "{\"run\":\"0000000000000011\",\"item\":-1,\"answers\":[[-2.5,3,1],[-3,2,0]]}\n",
        "{\"run\":\"0000000000000011\",\"item\":1,\"answers\":[[-2.5,3,1],[-3,\"2\",0]]}\n",
        "{\"run\":\"0000000000000011\",\"item\":1}\n",
    };
    for (int i = 0; i < 4; i++) {
        write_text(path, wrong[i]);
        ASSERT_OK(ley_journal_open(&journal, path));
        ASSERT_FAILS(ley_journal_read(&answers, journal, 17), LEY_E_FORMAT, "line 1: no answers");
        ASSERT_OK(ley_journal_close(journal, false));
    }
    write_text(path, "my dear diary\n");
    ASSERT_FAILS(ley_journal_open(&journal, path), LEY_E_FORMAT, "is no journal");
    ley_answers_destroy(&answers);
    ley_items_destroy(&items);
}

static void test_metrics(void **state) {
    (void)state;
    const struct ley_task *task = ley_task_named("piqa");
    struct ley_items items;
    struct ley_answers answers;
    struct ley_metric metric[LEY_MOST_METRICS];
    char text[] = "{\"query\": \"q\", \"choices\": [\"abcd\", \"a\"], \"gold\": 0}\n"
                  "{\"query\": \"q\", \"choices\": [\"ab\", \"a\"], \"gold\": 1}\n"
                  "{\"query\": \"q\", \"choices\": [\"ab\", \"ac\"], \"gold\": 1}\n";
    ASSERT_OK(ley_items_read(&items, task, "p", text, strlen(text), 0));
    ASSERT_OK(ley_answers_create(&answers, &items));
    assert_int_equal(ley_metrics(metric, task, &items, &answers, 0), 0); // nothing done
    const double log_prob[] = {-4, -3, -3, -2, -1, -1};
    for (int i = 0; i < 6; i++) {
        answers.answer[i].log_prob = log_prob[i];
        answers.is_done[i / 2] = true;
    }
    assert_int_equal(ley_metrics(metric, task, &items, &answers, 0), 2);
    // acc: wrong, right, wrong (the first of equals); by length: right, wrong, wrong
    assert_true(fabs(metric[0].value - 1 / 3.0) < 1e-15 && fabs(metric[1].value - 1 / 3.0) < 1e-15);
    assert_true(fabs(metric[0].stderr_ - 1 / 3.0) < 1e-15);
    assert_int_equal(ley_answer_choice(&items.item[0], answers.answer, true), 0);
    assert_int_equal(ley_answer_choice(&items.item[0], answers.answer, false), 1);
    ley_answers_destroy(&answers);
    ley_items_destroy(&items);
}

// The error of a perplexity from samples drawn again is near that of the delta method.
static void test_bootstrap(void **state) {
    (void)state;
    enum { N = 400 };
    const struct ley_task *task = ley_task_named("lambada_openai");
    struct ley_items items;
    struct ley_answers answers;
    struct ley_metric metric[LEY_MOST_METRICS];
    static char text[N * 20];
    for (int i = 0; i < N; i++) {
        strcat(text, "{\"text\": \"a b\"}\n");
    }
    ASSERT_OK(ley_items_read(&items, task, "l", text, strlen(text), 0));
    ASSERT_OK(ley_answers_create(&answers, &items));
    double sum = 0, square = 0;
    for (int i = 0; i < N; i++) {
        double nll = random_between(3, (uint64_t)i, 0, 4);
        answers.answer[i] = (struct ley_answer){-nll, 1, i % 4 == 0};
        answers.is_done[i] = true;
        sum += nll;
        square += nll * nll;
    }
    assert_int_equal(ley_metrics(metric, task, &items, &answers, 0), 2);
    double mean = sum / N, want = exp(mean) * sqrt((square / N - mean * mean) / (N - 1));
    assert_true(metric[0].value == 0.25);
    assert_true(fabs(metric[1].value / exp(mean) - 1) < 1e-12);
    assert_true(fabs(metric[1].stderr_ / want - 1) < 0.3); // 100 draws: 7 %, and a skew
    ley_answers_destroy(&answers);
    ley_items_destroy(&items);
}

static void test_errors(void **state) {
    (void)state;
    struct fixture fixture;
    struct ley_items items;
    struct ley_answers answers;
    struct ley_session *session;
    const struct ley_task *task = ley_task_named("hellaswag");
    open_model(&fixture, NULL);
    load(&items, task);
    ASSERT_OK(ley_session_create(&session, fixture.model, 1, 1));
    struct ley_evaluation evaluation = evaluation_of(&fixture, &items, task, session);
    evaluation.encoder.max_length = 8;
    ASSERT_OK(ley_answers_create(&answers, &items));
    ASSERT_FAILS(ley_evaluate(&answers, &evaluation), LEY_E_FORMAT, "item 0: an ending has");
    ley_answers_destroy(&answers);
    ley_session_destroy(session);
    ley_items_destroy(&items);
    close_model(&fixture);
}

// A model differs from itself by nothing, and from itself on a chip by something everywhere.
static void test_divergence(void **state) {
    (void)state;
    struct fixture digital, analog;
    struct ley_session *a, *b, *c;
    struct ley_divergence divergence;
    int32_t token[50];
    open_model(&digital, NULL);
    open_model(&analog, "paper");
    for (int i = 0; i < 50; i++) {
        token[i] = 3 + i * 37 % 390;
    }
    ASSERT_OK(ley_session_create(&a, digital.model, 1, 50));
    ASSERT_OK(ley_session_create(&b, digital.model, 1, 50));
    ASSERT_OK(ley_session_create(&c, analog.model, 1, 50));
    ASSERT_OK(ley_divergence_create(&divergence, digital.model));
    ASSERT_OK(ley_divergence_add(&divergence, a, b, token, 50, NULL));
    struct ley_divergence_sum sum = ley_divergence_sum(&divergence);
    assert_true(sum.most < 1e-12 && sum.same_top == 1 && sum.rms_probability == 0);
    assert_true(ley_divergence_error(&divergence.head[0]) < 1e-7);
    assert_true(fabs(ley_divergence_correlation(&divergence.head[0]) - 1) < 1e-12);
    ley_divergence_destroy(&divergence);
    ASSERT_OK(ley_divergence_create(&divergence, digital.model));
    ASSERT_OK(ley_divergence_add(&divergence, a, c, token, 50, NULL));
    ASSERT_OK(ley_divergence_add(&divergence, a, c, token + 10, 30, NULL));
    assert_int_equal(divergence.n, 49 + 29);
    sum = ley_divergence_sum(&divergence);
    assert_true(sum.median > 0 && sum.mean > 0 && sum.q999 >= sum.median && sum.most >= sum.q999);
    assert_true(sum.same_top < 1 && sum.mean_stderr > 0);
    // nll of the text itself, by the sessions' own function
    double mean[2];
    ASSERT_OK(ley_session_loss(&mean[0], NULL, a, token, token + 1, 49, NULL));
    ASSERT_OK(ley_session_loss(&mean[1], NULL, a, token + 10, token + 11, 29, NULL));
    assert_true(fabs(sum.nll_reference - (49 * mean[0] + 29 * mean[1]) / 78) < 1e-9);
    int64_t n = 0;
    for (int i = 0; i < LEY_DIVERGENCE_PLACES; i++) {
        n += divergence.place[i].n;
    }
    assert_int_equal(n, divergence.n);
    assert_int_equal(divergence.place[0].n, 2);
    assert_int_equal(divergence.place[4].n, 16 + 14); // 16 .. 31 tokens before
    for (int i = 0; i < divergence.n_layers * divergence.n_heads; i++) {
        assert_true(ley_divergence_error(&divergence.head[i]) > 1e-3);
    }
    ley_divergence_destroy(&divergence);
    ley_session_destroy(a);
    ley_session_destroy(b);
    ley_session_destroy(c);
    close_model(&digital);
    close_model(&analog);
}

// Everything from the items' file to the answers.
static enum ley_status evaluate_once(const struct fixture *fixture, const char *name) {
    const struct ley_task *task = ley_task_named(name);
    struct ley_items items = {0};
    struct ley_answers answers = {0};
    struct ley_session *session = NULL;
    char path[1024];
    ASSERT_OK(ley_task_find(path, task, source_path("tests/golden/eval")));
    enum ley_status status = ley_items_load(&items, task, path, 0);
    if (status == LEY_OK) {
        status = ley_answers_create(&answers, &items);
    }
    if (status == LEY_OK) {
        status = ley_session_create(&session, fixture->model, 1, 1);
    }
    if (status == LEY_OK) {
        struct ley_evaluation evaluation = evaluation_of(fixture, &items, task, session);
        status = ley_evaluate(&answers, &evaluation);
    }
    ley_session_destroy(session);
    ley_answers_destroy(&answers);
    ley_items_destroy(&items);
    return status;
}

static void test_memory_runs_out(void **state) {
    (void)state;
    static const char *const names[] = {"piqa", "wikitext"};
    struct fixture fixture;
    open_model(&fixture, "paper");
    for (int i = 0; i < 2; i++) {
        int64_t n_live = counting.n_live;
        enum ley_status status = LEY_E_MEMORY;
        for (int64_t n = 1; status != LEY_OK; n = n + 1 + n / 8) {
            counting_reset(n, true);
            status = evaluate_once(&fixture, names[i]);
            counting_reset(0, false);
            assert_true(status == LEY_OK || status == LEY_E_MEMORY);
            assert_int_equal(counting.n_live, n_live);
        }
    }
    close_model(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_as_alone),
        cmocka_unit_test_setup_teardown(test_journal, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damaged_journal, make_folder, remove_folder),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_bootstrap),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
