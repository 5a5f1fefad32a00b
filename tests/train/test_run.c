// test_run.c - the loop: a run that stops and goes on, digital and analog; losses that are no
// numbers; full disks; logs
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/random_model.h"
#include "support/support.h"

enum { T = 16, STEPS = 6, N_TOKENS = 40 * T, MOST_TENSORS = 64 };

struct fixture {
    struct ley_model_config config;
    struct ley_net *net;
    struct ley_parameters *p;
    struct ley_model *teacher;
    struct ley_net_objective net_objective;
    struct ley_objective objective;
    int32_t token[N_TOKENS];
    struct ley_dataset dataset;
    struct ley_windows windows;
    struct ley_run_options options;
    struct ley_run *run;
    // of the observer: what it saw, and after which step it stops the run (0: never)
    struct ley_run_report report[4 * STEPS];
    int n_reports;
    int64_t stop_after;
    char path[128];
};

// On a chip with low-rank changes and a teacher; or plainly digital, all weights.
static void make_net(struct fixture *f, bool is_analog) {
    struct ley_parameter extra[MOST_TENSORS];
    const struct ley_weight_source source = random_source(&f->config);
    struct ley_lora_spec spec = {.rank = 2, .alpha = 4, .seed = 1};
    struct ley_hardware hardware;
    if (!is_analog) {
        ASSERT_OK(ley_net_create(&f->net, &f->config, &source, LEY_NN_F32, NULL, 0));
        return;
    }
    ASSERT_OK(ley_lora_weights(&spec.weights, "q,k,v,o", &f->config));
    int n_scalers = f->config.n_layers * LEY_SCALER_TENSORS;
    ley_scaler_parameters(extra, &f->config);
    ley_lora_tensors(extra + n_scalers, &f->config, &spec);
    ASSERT_OK(ley_net_create(&f->net, &f->config, &source, LEY_NN_F32, extra,
                             n_scalers + ley_lora_tensor_count(&f->config, &spec)));
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_net_set_analog(f->net, &hardware));
    ASSERT_OK(ley_net_set_lora(f->net, &spec));
    ASSERT_OK(ley_model_create(&f->teacher, &f->config, &source, LEY_NN_F32));
    f->net_objective.teacher = f->teacher;
    f->net_objective.weights = (struct ley_loss_weights){0.5, 1, 1, NULL};
}

static void make(struct fixture *f, bool is_analog) {
    memset(f, 0, sizeof *f);
    f->config = random_config(LEY_FAMILY_LLAMA);
    make_net(f, is_analog);
    f->p = ley_net_parameters(f->net);
    f->net_objective.net = f->net;
    f->objective = ley_net_objective(&f->net_objective);
    for (int i = 0; i < N_TOKENS; i++) {
        f->token[i] = (int32_t)random_between(3, (uint64_t)i, 0, 61);
    }
    f->dataset = (struct ley_dataset){.token = f->token, .n_tokens = N_TOKENS};
    ASSERT_OK(ley_windows_create(&f->windows, &f->dataset, T, 0.1, 9));
    snprintf(f->path, sizeof f->path, "%s/run.ckpt", test_folder);
    f->options = (struct ley_run_options){
        .n_steps = STEPS,
        .n_windows = 2,
        .n_passes = 2,
        .n_parts = is_analog ? 4 : 1,
        .average = is_analog ? 0.7 : 0,
        .schedule = {.highest = 1e-2, .lowest = 1e-3, .n_warm_up = 2, .n_steps = STEPS},
        .constants = {0.9, 0.95, 1e-8, 0.1},
        .most_norm = 1,
        .validate_every = 2,
        .n_validation = 3,
        .checkpoint = f->path,
        .checkpoint_every_s = 1e9,
    };
}

static void finish(struct fixture *f) {
    ley_run_destroy(f->run);
    ley_net_objective_destroy(&f->net_objective);
    ley_net_destroy(f->net);
    ley_model_destroy(f->teacher);
}

static bool see(void *context, const struct ley_run_report *report) {
    struct fixture *f = context;
    f->report[f->n_reports++] = *report;
    return f->stop_after == 0 || report->step < f->stop_after;
}

static enum ley_status go(struct fixture *f) {
    const struct ley_run_observer observer = {see, f};
    ley_run_destroy(f->run);
    f->run = NULL;
    LEY_TRY(ley_run_create(&f->run, f->net, &f->objective, &f->windows, 77, &f->options));
    return ley_run_go(f->run, &observer);
}

static void check_resumed(bool is_analog, int64_t stop_after) {
    struct fixture whole, part;
    make(&whole, is_analog);
    ASSERT_OK(go(&whole));
    assert_int_equal(whole.n_reports, 1 + STEPS + STEPS / 2); // 1: before the first step
    make(&part, is_analog);
    part.stop_after = stop_after;
    ASSERT_FAILS(go(&part), LEY_E_INTERRUPTED, "stopped after step");
    int n_first = part.n_reports;
    finish(&part);
    make(&part, is_analog); // as another process would
    part.options.resumes = true;
    ASSERT_OK(go(&part));
    assert_int_equal(n_first + part.n_reports, whole.n_reports);
    for (int i = 0; i < part.n_reports; i++) {
        const struct ley_run_report *want = &whole.report[n_first + i], *got = &part.report[i];
        assert_true(got->cost == want->cost && got->nll == want->nll && got->step == want->step &&
                    got->divergence == want->divergence && got->norm == want->norm &&
                    got->n_tokens == want->n_tokens);
    }
    assert_memory_equal(part.p->value, whole.p->value, (size_t)whole.p->n_values * sizeof(float));
    assert_true(ley_run_state(part.run)->best_loss == ley_run_state(whole.run)->best_loss);
    finish(&whole);
    finish(&part);
}

static void test_resumed_run_is_the_same(void **state) {
    (void)state;
    check_resumed(false, 3);
    check_resumed(true, 1);
    check_resumed(true, 4); // just after a validation
}

static void test_it_learns(void **state) {
    (void)state;
    struct fixture f;
    make(&f, false);
    f.windows.n_train = 2; // by heart
    f.options.n_steps = 24;
    f.options.validate_every = f.options.n_validation = 0;
    f.options.schedule.n_steps = 24;
    ASSERT_OK(go(&f));
    print_message("loss %.3f to %.3f\n", f.report[0].cost, f.report[23].cost);
    assert_true(f.report[23].cost < 0.5 * f.report[0].cost);
    assert_int_equal(ley_run_state(f.run)->n_tokens, 24 * 4 * T);
    finish(&f);
}

// An objective that checks what it is given: pass 1 of two whole windows, pass 2 of eight quarters.
struct checking {
    struct ley_objective good;
    const struct ley_windows *windows;
    int n_passes;
};

static enum ley_status run_checking(void *context, struct ley_costs *costs,
                                    const struct ley_batch *batch, bool is_backward) {
    struct checking *checking = context;
    int32_t tokens[2 * T], targets[2 * T];
    assert_true(is_backward);
    for (int b = 0; b < 2; b++) {
        ley_windows_train(tokens + b * T, targets + b * T, checking->windows,
                          2 * checking->n_passes + b);
    }
    bool is_whole = checking->n_passes++ % 2 == 0;
    assert_int_equal(batch->n_batch, is_whole ? 2 : 8);
    assert_int_equal(batch->n_tokens, is_whole ? T : T / 4);
    assert_int_equal(batch->n_counted, 4 * T);
    assert_memory_equal(batch->tokens, tokens, sizeof tokens);
    assert_memory_equal(batch->targets, targets, sizeof targets);
    return checking->good.run(checking->good.context, costs, batch, is_backward);
}

static void test_every_second_pass_in_parts(void **state) {
    (void)state;
    struct fixture f;
    make(&f, true);
    f.options.validate_every = f.options.n_validation = 0;
    struct checking checking = {f.objective, &f.windows, 0};
    f.objective = (struct ley_objective){run_checking, &checking};
    ASSERT_OK(go(&f));
    assert_int_equal(checking.n_passes, 2 * STEPS);
    assert_int_equal(ley_run_state(f.run)->n_tokens, STEPS * 4 * T);
    finish(&f);
}

// An objective that breaks at one pass.
struct breaking {
    struct ley_objective good;
    int pass, n_passes;
};

static enum ley_status run_breaking(void *context, struct ley_costs *costs,
                                    const struct ley_batch *batch, bool is_backward) {
    struct breaking *breaking = context;
    LEY_TRY(breaking->good.run(breaking->good.context, costs, batch, is_backward));
    if (is_backward && ++breaking->n_passes == breaking->pass) {
        costs->cost = NAN;
    }
    return LEY_OK;
}

static void test_no_number_stops(void **state) {
    (void)state;
    struct fixture f, g;
    make(&f, false);
    f.options.checkpoint_every_s = 0; // after every step
    struct breaking breaking = {f.objective, 8, 0};
    f.objective = (struct ley_objective){run_breaking, &breaking};
    ASSERT_FAILS(go(&f), LEY_E_RESULT, "loss of step 4 is not a number");
    assert_non_null(strstr(ley_error_text(), "keeps the state after step 3"));
    make(&g, false);
    g.options.resumes = true;
    ASSERT_OK(go(&g)); // the good state goes on
    assert_int_equal(g.report[0].step, 4);
    finish(&g);
    f.options.checkpoint = NULL;
    breaking.n_passes = 7;
    ASSERT_FAILS(go(&f), LEY_E_RESULT, "nothing was saved before");
    finish(&f);
    make(&f, false);
    f.p->value[ley_parameters_find(f.p, LEY_WEIGHT_FINAL_NORM, 0)->offset] = NAN;
    ASSERT_OK(ley_net_pack(f.net));
    ASSERT_FAILS(go(&f), LEY_E_RESULT, "validation loss of step 0 is not a number");
    finish(&f);
}

// A disk of 1000 bytes: the checkpoint before stays, the run says so.
static void test_full_disk(void **state) {
    (void)state;
    struct fixture f;
    struct rlimit before, tight;
    make(&f, false);
    f.stop_after = 2;
    ASSERT_FAILS(go(&f), LEY_E_INTERRUPTED, "step 2");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    tight = before;
    tight.rlim_cur = 1000;
    setrlimit(RLIMIT_FSIZE, &tight);
    f.options.resumes = true;
    f.stop_after = 4;
    enum ley_status status = go(&f);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, LEY_E_IO);
    assert_non_null(strstr(ley_error_text(), "the checkpoint before it is untouched"));
    finish(&f);
    make(&f, false);
    f.options.resumes = true;
    ASSERT_OK(go(&f));
    assert_int_equal(f.report[0].step, 3);
    finish(&f);
}

static void test_wrong_checkpoints(void **state) {
    (void)state;
    struct fixture f;
    make(&f, false);
    f.stop_after = 1;
    ASSERT_FAILS(go(&f), LEY_E_INTERRUPTED, "");
    f.options.resumes = true;
    f.windows.seed = 10;
    ASSERT_FAILS(go(&f), LEY_E_ARGUMENT, "another seed");
    f.windows.seed = 9;
    ASSERT_FAILS(ley_run_create(&f.run, f.net, &f.objective, &f.windows, 78, &f.options),
                 LEY_E_ARGUMENT, "other data");
    f.options.checkpoint = "/nowhere/run.ckpt";
    ASSERT_FAILS(go(&f), LEY_E_IO, "/nowhere");
    finish(&f);
}

static void check_lines(const char *path, const int64_t *step, int n) {
    char *text, *at;
    size_t n_bytes;
    ASSERT_OK(ley_file_read(&text, &n_bytes, path, 1 << 20));
    at = text;
    for (int i = 0; i < n; i++) {
        char want[64];
        snprintf(want, sizeof want, "{\"step\":%lld,\"stage\":\"distil\"", (long long)step[i]);
        assert_memory_equal(at, want, strlen(want));
        at = strchr(at, '\n');
        assert_non_null(at);
        at++;
    }
    assert_int_equal(*at, 0);
    ley_free(text);
}

static void test_log_goes_on_at_a_step(void **state) {
    (void)state;
    struct ley_log *log;
    char path[128];
    snprintf(path, sizeof path, "%s/log.jsonl", test_folder);
    ASSERT_OK(ley_log_open(&log, path, "distil", 0, NULL));
    for (int64_t i = 1; i <= 5; i++) {
        ley_log_write(log, &(struct ley_run_report){.step = i, .cost = 1.0 / 3});
    }
    ASSERT_OK(ley_log_close(log));
    check_lines(path, (const int64_t[]){1, 2, 3, 4, 5}, 5);
    ASSERT_OK(ley_log_open(&log, path, "distil", 3, NULL));
    ley_log_write(log, &(struct ley_run_report){.step = 4, .is_validation = true});
    ASSERT_OK(ley_log_close(log));
    check_lines(path, (const int64_t[]){1, 2, 3, 4}, 4);
    ASSERT_OK(ley_log_open(&log, path, "distil", 0, NULL));
    ASSERT_OK(ley_log_close(log));
    check_lines(path, NULL, 0);
    ASSERT_FAILS(ley_log_open(&log, "/nowhere/log", "distil", 0, NULL), LEY_E_IO, "/nowhere/log");
}

// What a run is stands first, once, however long it is; a run that goes on leaves it.
static void test_log_begins_with_what_the_run_is(void **state) {
    (void)state;
    struct ley_log *log;
    char path[128], start[4000], *text;
    size_t n;
    snprintf(path, sizeof path, "%s/started.jsonl", test_folder);
    snprintf(start, sizeof start, LEY_LOG_START ",\"command\":\"%03000d\"}", 1);
    ASSERT_OK(ley_log_open(&log, path, "distil", 0, start));
    for (int64_t i = 1; i <= 3; i++) {
        ley_log_write(log, &(struct ley_run_report){.step = i, .cost = 1});
    }
    ASSERT_OK(ley_log_close(log));
    ASSERT_OK(ley_log_open(&log, path, "distil", 2, LEY_LOG_START "}"));
    ley_log_write(log, &(struct ley_run_report){.step = 3, .cost = 1});
    ASSERT_OK(ley_log_close(log));
    ASSERT_OK(ley_file_read(&text, &n, path, 1 << 16));
    assert_memory_equal(text, start, strlen(start));
    assert_memory_equal(text + strlen(start), "\n{\"step\":1,", 11);
    assert_null(strstr(text + strlen(start), "start"));
    ley_free(text);
    // A line that was cut while it was written is written again.
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(LEY_LOG_START ",\"com", file);
    fclose(file);
    ASSERT_OK(ley_log_open(&log, path, "distil", 0, LEY_LOG_START "}"));
    ASSERT_OK(ley_log_close(log));
    ASSERT_OK(ley_file_read(&text, &n, path, 1 << 16));
    assert_string_equal(text, LEY_LOG_START "}\n");
    ley_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_begins_with_what_the_run_is),
        cmocka_unit_test(test_resumed_run_is_the_same),
        cmocka_unit_test(test_it_learns),
        cmocka_unit_test(test_every_second_pass_in_parts),
        cmocka_unit_test(test_no_number_stops),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_wrong_checkpoints),
        cmocka_unit_test(test_log_goes_on_at_a_step),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
