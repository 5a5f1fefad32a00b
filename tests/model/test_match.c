// test_match.c - the published initialisation: its steps, its traces on the authors' GPT in float64
// and in Leyden's float32, its targets, its failures
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/counting_alloc.h"
#include "support/generate.h"
#include "support/oracle.h"
#include "support/oracle_gpt.h"
#include "support/random_model.h"

enum { LAYERS = ORACLE_GPT_LAYERS, HEADS = 2, PER_STEP = LAYERS * LEY_N_SIGNALS * HEADS };
enum { B = 8, T = 128 };

// Steps are the same few operations in float64; runs are float64 with sums in another order.
static const double step_tolerance = 1e-12, double_tolerance = 1e-9;

static const struct ley_attention_shape shape = {HEADS, HEADS, 32};

static struct ley_scaler_set new_set(void) {
    struct ley_scaler_set set;
    ASSERT_OK(ley_scaler_set_create(&set, LAYERS, &shape));
    return set;
}

// Row `step` of a and b (step, layer, signal, head) as a set.
static void read_set(struct ley_scaler_set *set, const double *a, const double *b, int64_t step) {
    for (int i = 0; i < PER_STEP; i++) {
        int layer = i / (LEY_N_SIGNALS * HEADS), signal = i / HEADS % LEY_N_SIGNALS;
        int64_t at = step * PER_STEP + i;
        ley_scaler_set_at(set, (enum ley_signal)signal, layer)[i % HEADS] =
            (struct ley_scaler){a[at], b[at]};
    }
}

// The largest difference of a or b, relative where the value is above 1.
static double distance(const struct ley_scaler_set *x, const struct ley_scaler_set *y) {
    double worst = 0;
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        for (int j = 0; j < LAYERS * HEADS; j++) {
            const struct ley_scaler *p = &x->scaler[i][j], *q = &y->scaler[i][j];
            worst = fmax(worst, fabs(p->a - q->a) / fmax(1, fabs(q->a)));
            worst = fmax(worst, fabs(p->b - q->b) / fmax(1, fabs(q->b)));
        }
    }
    return worst;
}

// A case of adapt/: what was seen at each iteration, and where it led.
struct trace {
    int64_t n_iterations;
    double *a, *b, *deviation, *mean, *target_a, *target_b, *loss; // those that the case holds
    struct ley_scaler_set target;
};

static double *load_if_there(int64_t *n, const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return ley_file_exists(path) ? load_array(n, NULL, folder, name) : NULL;
}

// Without stored targets they are zero (zero_targets).
static struct trace load_trace(const char *folder) {
    struct trace trace = {.target = new_set()};
    int64_t n;
    trace.a = load_array(&n, NULL, folder, "a.npy");
    trace.n_iterations = n / PER_STEP - 1;
    trace.b = load_array(&n, NULL, folder, "b.npy");
    trace.deviation = load_if_there(&n, folder, "std_after_scale.npy");
    trace.mean = load_if_there(&n, folder, "mean_after_scale.npy");
    trace.loss = load_if_there(&n, folder, "loss_calibration_batch.npy");
    trace.target_a = load_if_there(&n, folder, "target_std.npy");
    trace.target_b = load_if_there(&n, folder, "target_mean.npy");
    if (trace.target_a) {
        read_set(&trace.target, trace.target_a, trace.target_b, 0);
    }
    return trace;
}

static void free_trace(struct trace *trace) {
    double *all[] = {trace->a,        trace->b,        trace->deviation, trace->mean,
                     trace->target_a, trace->target_b, trace->loss};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        ley_free(all[i]);
    }
    ley_scaler_set_destroy(&trace->target);
}

// ---- steps

static void check_steps(const char *folder) {
    struct trace trace = load_trace(folder);
    const struct ley_match_options options = ley_match_options_init();
    struct ley_scaler_set scalers = new_set(), seen = new_set(), want = new_set();
    for (int i = 0; i < trace.n_iterations; i++) {
        read_set(&scalers, trace.a, trace.b, i);
        read_set(&seen, trace.deviation, trace.mean, i);
        read_set(&want, trace.a, trace.b, i + 1);
        int n_beyond = ley_match_step(&scalers, &seen, &trace.target, &options, i);
        assert_true((n_beyond == 0) == (i == trace.n_iterations - 1));
        assert_true(distance(&scalers, &want) < step_tolerance);
    }
    ley_scaler_set_destroy(&scalers);
    ley_scaler_set_destroy(&seen);
    ley_scaler_set_destroy(&want);
    free_trace(&trace);
}

static void test_steps_are_published(void **state) {
    (void)state;
    assert_int_equal(oracle_for_each(source_path("tests/golden/oracle/adapt"), check_steps), 2);
}

static void test_alpha_falls(void **state) {
    (void)state;
    const struct ley_match_options options = ley_match_options_init();
    assert_true(ley_match_alpha(&options, 0) == 1);
    assert_true(fabs(ley_match_alpha(&options, 24) - (1 - 0.9 * 24 / 49)) < 1e-15);
    assert_true(ley_match_alpha(&options, 49) == 0.1 && ley_match_alpha(&options, 100) == 0.1);
}

// A signal that never varies keeps its a, and counts as not matched.
static void test_constant_signal(void **state) {
    (void)state;
    const struct ley_match_options options = ley_match_options_init();
    struct ley_scaler_set scalers = new_set(), seen = new_set(), target = new_set();
    const double x[] = {2, 2, 2, 2};
    scalers.scaler[LEY_SIGNAL_K][1] = (struct ley_scaler){3, 1};
    target.scaler[LEY_SIGNAL_K][1] = (struct ley_scaler){0.5, 7};
    seen.scaler[LEY_SIGNAL_K][1] = ley_match_distribution(x, 4, &scalers.scaler[LEY_SIGNAL_K][1]);
    assert_int_equal(ley_match_step(&scalers, &seen, &target, &options, 0), 1);
    assert_true(scalers.scaler[LEY_SIGNAL_K][1].a == 3);
    assert_true(scalers.scaler[LEY_SIGNAL_K][1].b == 1); // its mean was 7 already
    ley_scaler_set_destroy(&scalers);
    ley_scaler_set_destroy(&seen);
    ley_scaler_set_destroy(&target);
}

// ---- the authors' GPT

// Batches are stretches of a text; the next token is the one to predict.
struct text {
    int32_t *corpus, x[B * T], y[B * T];
    struct ley_match_batch batch;
};

static void load_text(struct text *text, const char *oracle) {
    char folder[2048];
    int64_t n;
    snprintf(folder, sizeof folder, "%s/adapt/linear_checkpoint", oracle);
    text->corpus = load_tokens(&n, folder, "corpus_train.npy");
    text->batch = (struct ley_match_batch){text->x, text->y, B, T};
}

static void cut_batch(struct text *text, const int32_t *starts) {
    for (int i = 0; i < B * T; i++) {
        text->x[i] = text->corpus[starts[i / T] + i % T];
        text->y[i] = text->corpus[starts[i / T] + i % T + 1];
    }
}

// The batch that all matching runs of the oracle share.
static void cut_calibration_batch(struct text *text, const char *oracle) {
    char folder[2048];
    int64_t n;
    snprintf(folder, sizeof folder, "%s/adapt/script_dram", oracle);
    int32_t *starts = load_tokens(&n, folder, "ix_calibration.npy");
    assert_int_equal(n, B);
    cut_batch(text, starts);
    ley_free(starts);
}

static struct ley_hardware checkpoint_hardware(const char *oracle, const char *model) {
    char folder[2048];
    snprintf(folder, sizeof folder, "%s/adapt/linear_checkpoint", oracle);
    struct cJSON *meta = load_meta(folder);
    // this meta.json has other names for two numbers
    cJSON_AddNumberToObject(meta, "sliding_window", oracle_number(meta, "window"));
    cJSON_AddNumberToObject(meta, "decay_factor", oracle_number(meta, "decay"));
    struct ley_hardware hardware = oracle_hardware(meta, model, T);
    cJSON_Delete(meta);
    return hardware;
}

static void load_gpt(struct oracle_gpt *gpt, const char *oracle) {
    char folder[2048];
    snprintf(folder, sizeof folder, "%s/adapt/linear_checkpoint", oracle);
    oracle_gpt_load(gpt, folder);
}

static void create_attentions(struct ley_attention *attention[LAYERS],
                              const struct ley_hardware *hardware) {
    for (int l = 0; l < LAYERS; l++) {
        ASSERT_OK(ley_attention_create(&attention[l], hardware, &shape));
    }
}

static void destroy_attentions(struct ley_attention *attention[LAYERS]) {
    for (int l = 0; l < LAYERS; l++) {
        ley_attention_destroy(attention[l]);
    }
}

struct differences {
    double scalers, seen, loss;
};

// The whole trace in float64, each iteration from our own scalers.
static struct differences match_in_double(const struct trace *trace, const struct oracle_gpt *gpt,
                                          const struct ley_hardware *hardware,
                                          const struct ley_match_batch *batch) {
    const struct ley_match_options options = ley_match_options_init();
    struct ley_attention *attention[LAYERS];
    struct ley_scaler_set scalers = new_set(), seen = new_set(), want = new_set();
    struct differences off = {0, 0, 0};
    create_attentions(attention, hardware);
    for (int i = 0; i < PER_STEP; i++) {
        scalers.scaler[i / (LAYERS * HEADS)][i % (LAYERS * HEADS)] = options.start;
    }
    for (int i = 0; i < trace->n_iterations; i++) {
        for (int l = 0; l < LAYERS; l++) {
            ley_scaler_set_apply(&scalers, attention[l], l);
        }
        double loss = oracle_gpt_run(&seen, gpt, attention, batch);
        off.loss = fmax(off.loss, fabs(loss - trace->loss[i]));
        if (trace->deviation) {
            read_set(&want, trace->deviation, trace->mean, i);
            off.seen = fmax(off.seen, distance(&seen, &want));
        }
        int n_beyond = ley_match_step(&scalers, &seen, &trace->target, &options, i);
        read_set(&want, trace->a, trace->b, i + 1);
        off.scalers = fmax(off.scalers, distance(&scalers, &want));
        assert_true((n_beyond == 0) == (i == trace->n_iterations - 1));
    }
    destroy_attentions(attention);
    ley_scaler_set_destroy(&scalers);
    ley_scaler_set_destroy(&seen);
    ley_scaler_set_destroy(&want);
    return off;
}

// Every matching run of the oracle; those on other classes than DRAMAttention are named nl.
static const char *const runs[][2] = {
    {"script_dram", "dram"},  {"script_nlx3", "nlx3"},
    {"script_nlx5", "nlx5"},  {"script_nlsigmoid", "nlsigmoid"},
    {"zero_targets", "dram"}, {"script_nlexponential", "nlexponential"},
};

enum { N_RUNS = sizeof runs / sizeof runs[0] };

// False when this oracle lacks it.
static bool open_run(struct trace *trace, const char *oracle, int run) {
    char folder[2048], path[4096];
    snprintf(folder, sizeof folder, "%s/adapt/%s", oracle, runs[run][0]);
    snprintf(path, sizeof path, "%s/a.npy", folder);
    if (!ley_file_exists(path)) {
        return false;
    }
    *trace = load_trace(folder);
    return true;
}

static void test_traces_in_double(void **state) {
    (void)state;
    const char *oracle = oracle_folder();
    struct oracle_gpt gpt;
    struct text text;
    if (!oracle) {
        skip();
    }
    load_gpt(&gpt, oracle);
    load_text(&text, oracle);
    cut_calibration_batch(&text, oracle);
    for (int run = 0; run < N_RUNS; run++) {
        struct trace trace;
        if (open_run(&trace, oracle, run)) {
            struct ley_hardware hardware = checkpoint_hardware(oracle, runs[run][1]);
            struct differences off = match_in_double(&trace, &gpt, &hardware, &text.batch);
            print_message("%s: %lld iterations; a, b off by %.1e, seen %.1e, loss %.1e\n",
                          runs[run][0], (long long)trace.n_iterations, off.scalers, off.seen,
                          off.loss);
            assert_true(off.scalers < double_tolerance && off.seen < double_tolerance &&
                        off.loss < double_tolerance);
            free_trace(&trace);
        }
    }
    ley_free(text.corpus);
    oracle_gpt_free(&gpt);
}

// ---- the same in Leyden's own model: float32 around the arrays

// Published float32 runs stray from float64 by `shipped` (meta.json); the oracle allows ten times
// that.
struct follower {
    const struct trace *trace;
    struct ley_model *model;
    struct differences off;
    double a_off, b_off;
};

static bool follow(void *context, const struct ley_match_iteration *iteration) {
    struct follower *follower = context;
    const struct trace *trace = follower->trace;
    assert_true(iteration->index < trace->n_iterations);
    follower->off.loss =
        fmax(follower->off.loss, fabs(iteration->loss - trace->loss[iteration->index]));
    for (int i = 0; i < PER_STEP; i++) {
        int layer = i / (LEY_N_SIGNALS * HEADS), signal = i / HEADS % LEY_N_SIGNALS;
        const struct ley_attention *attention = ley_model_attention(follower->model, layer);
        const struct ley_scaler *pair = &attention->scaler[signal][i % HEADS];
        int64_t at = (int64_t)iteration->index * PER_STEP + i;
        follower->a_off = fmax(follower->a_off, fabs(pair->a - trace->a[at]));
        follower->b_off = fmax(follower->b_off, fabs(pair->b - trace->b[at]));
    }
    return true;
}

static double shipped(const char *oracle, const char *run, const char *what) {
    char folder[2048];
    snprintf(folder, sizeof folder, "%s/adapt/%s", oracle, run);
    struct cJSON *meta = load_meta(folder);
    struct cJSON *differences = cJSON_GetObjectItem(meta, "shipped_f32_vs_f64");
    double x = differences ? oracle_number(differences, what) : 0;
    cJSON_Delete(meta);
    return x;
}

static void check_float_run(struct ley_model *model, const char *oracle, int run,
                            const struct ley_match_batch *batch) {
    struct trace trace;
    struct ley_match_result result;
    if (!open_run(&trace, oracle, run)) {
        return;
    }
    struct ley_hardware hardware = checkpoint_hardware(oracle, runs[run][1]);
    ASSERT_OK(ley_model_set_analog(model, &hardware));
    struct follower follower = {.trace = &trace, .model = model};
    const struct ley_match_observer observer = {follow, &follower};
    ASSERT_OK(ley_model_match(&result, model, &trace.target, batch, NULL, &observer));
    print_message("%s in float32: %d iterations; a off by %.1e, b %.1e, loss %.1e\n", runs[run][0],
                  result.n_iterations, follower.a_off, follower.b_off, follower.off.loss);
    assert_int_equal(result.n_iterations, trace.n_iterations);
    assert_true(result.is_matched);
    if (trace.deviation) {
        const char *name = runs[run][0];
        assert_true(follower.a_off < 10 * shipped(oracle, name, "a"));
        assert_true(follower.b_off < 10 * shipped(oracle, name, "b"));
        assert_true(follower.off.loss < 10 * shipped(oracle, name, "loss"));
    }
    free_trace(&trace);
}

static void test_traces_in_float(void **state) {
    (void)state;
    const char *oracle = oracle_folder();
    struct oracle_gpt gpt;
    struct ley_model *model;
    struct text text;
    if (!oracle) {
        skip();
    }
    load_gpt(&gpt, oracle);
    const struct ley_weight_source source = oracle_gpt_source(&gpt);
    ASSERT_OK(ley_model_create(&model, &gpt.config, &source, LEY_NN_F32));
    load_text(&text, oracle);
    cut_calibration_batch(&text, oracle);
    for (int run = 0; run < N_RUNS; run++) {
        check_float_run(model, oracle, run, &text.batch);
    }
    ley_model_destroy(model);
    ley_free(text.corpus);
    oracle_gpt_free(&gpt);
}

// ---- targets: running distributions of the linear model

// Steps after which the oracle holds the average: 0, 1, 2, 9 and 149, which would take ten seconds.
enum { N_STEPS_CHECKED = 4 };

static void load_checkpoint_scalers(struct ley_attention *attention[LAYERS], const char *folder) {
    for (int i = 0; i < PER_STEP; i++) {
        int layer = i / (LEY_N_SIGNALS * HEADS), signal = i / HEADS % LEY_N_SIGNALS;
        double pair[2];
        for (int letter = 0; letter < 2; letter++) {
            char name[128];
            int64_t n;
            snprintf(name, sizeof name, "transformer.h.%d.attn.%s_scaler.%c.npy", layer,
                     ley_signal_name((enum ley_signal)signal), "ab"[letter]);
            double *x = load_array(&n, NULL, folder, name);
            pair[letter] = x[i % HEADS];
            ley_free(x);
        }
        attention[layer]->scaler[signal][i % HEADS] = (struct ley_scaler){pair[0], pair[1]};
    }
}

static void test_targets(void **state) {
    (void)state;
    const char *oracle = oracle_folder();
    char folder[2048];
    int64_t n, n_losses;
    if (!oracle) {
        skip();
    }
    snprintf(folder, sizeof folder, "%s/adapt/linear_checkpoint", oracle);
    struct oracle_gpt gpt;
    struct text text;
    struct ley_attention *attention[LAYERS];
    struct ley_hardware hardware = checkpoint_hardware(oracle, "linear");
    struct ley_scaler_set seen = new_set(), average = new_set(), want = new_set();
    int32_t *starts = load_tokens(&n, folder, "stats_ix.npy");
    int32_t *steps = load_tokens(&n, folder, "stats_steps.npy");
    double *deviation = load_array(&n, NULL, folder, "target_std.npy");
    double *mean = load_array(&n, NULL, folder, "target_mean.npy");
    double *losses = load_array(&n_losses, NULL, folder, "stats_losses.npy"), worst = 0;
    load_gpt(&gpt, oracle);
    load_text(&text, oracle);
    create_attentions(attention, &hardware);
    load_checkpoint_scalers(attention, folder);
    for (int i = 0, n_checked = 0; n_checked < N_STEPS_CHECKED; i++) {
        cut_batch(&text, starts + (int64_t)i * B);
        double loss = oracle_gpt_run(&seen, &gpt, attention, &text.batch);
        ley_match_average(&average, &seen, ley_match_options_init().average_rate);
        assert_true(fabs(loss - losses[i]) < double_tolerance);
        if (i == steps[n_checked]) {
            read_set(&want, deviation, mean, n_checked++);
            worst = fmax(worst, distance(&average, &want));
        }
    }
    print_message("target distributions off by %.1e\n", worst);
    assert_true(worst < double_tolerance);
    ley_scaler_set_destroy(&seen);
    ley_scaler_set_destroy(&average);
    ley_scaler_set_destroy(&want);
    double *all[] = {deviation, mean, losses};
    for (size_t i = 0; i < 3; i++) {
        ley_free(all[i]);
    }
    ley_free(starts);
    ley_free(steps);
    ley_free(text.corpus);
    destroy_attentions(attention);
    oracle_gpt_free(&gpt);
}

// ---- a grouped model with random weights

enum { N_TOKENS = 40, N_BATCH = 2 };

static const int32_t *random_tokens(void) {
    static int32_t tokens[N_BATCH * N_TOKENS];
    for (int i = 0; i < N_BATCH * N_TOKENS; i++) {
        tokens[i] = (int32_t)random_between(7, (uint64_t)i, 0, 50);
    }
    return tokens;
}

static enum ley_status see_on(struct ley_scaler_set *seen, struct ley_model *model,
                              const char *preset, const struct ley_match_batch *batch) {
    struct ley_hardware hardware;
    struct ley_session *session;
    double loss;
    LEY_TRY(ley_hardware_load(&hardware, preset));
    LEY_TRY(ley_model_set_analog(model, &hardware));
    LEY_TRY(ley_session_create(&session, model, batch->n_batch, batch->n_tokens));
    enum ley_status status = ley_model_distributions(seen, &loss, session, batch);
    ley_session_destroy(session);
    return status;
}

// Targets from the linear chip, matching on the cubic one.
static enum ley_status match_random_model(struct ley_match_result *result,
                                          const struct ley_match_observer *observer) {
    struct ley_model_config config = random_config(LEY_FAMILY_LLAMA);
    const struct ley_weight_source source = random_source(&config);
    const struct ley_attention_shape heads = {config.n_heads, config.n_kv_heads, config.head_dim};
    const struct ley_match_batch batch = {random_tokens(), random_tokens(), N_BATCH, N_TOKENS};
    struct ley_scaler_set target;
    struct ley_hardware hardware;
    struct ley_model *model;
    LEY_TRY(ley_model_create(&model, &config, &source, LEY_NN_F32));
    enum ley_status status = ley_scaler_set_create(&target, config.n_layers, &heads);
    if (status == LEY_OK) {
        status = see_on(&target, model, "paper-linear", &batch);
    }
    if (status == LEY_OK) {
        status = ley_hardware_load(&hardware, "paper");
    }
    if (status == LEY_OK) {
        status = ley_model_set_analog(model, &hardware);
    }
    if (status == LEY_OK) {
        status = ley_model_match(result, model, &target, &batch, NULL, observer);
    }
    ley_scaler_set_destroy(&target);
    ley_model_destroy(model);
    return status;
}

static void test_grouped_model_is_matched(void **state) {
    (void)state;
    struct ley_match_result result;
    ASSERT_OK(match_random_model(&result, NULL));
    assert_true(result.is_matched);
    assert_in_range(result.n_iterations, 2, 20);
    assert_true(result.first_loss > 0 && result.last_loss > 0);
}

static bool stop_at_two(void *context, const struct ley_match_iteration *iteration) {
    int *n_seen = context;
    *n_seen += 1;
    assert_true(iteration->n_beyond > 0);
    return iteration->index < 1;
}

static void test_stops_on_request(void **state) {
    (void)state;
    int n_seen = 0;
    struct ley_match_result result;
    const struct ley_match_observer observer = {stop_at_two, &n_seen};
    ASSERT_FAILS(match_random_model(&result, &observer), LEY_E_INTERRUPTED, "stopped");
    assert_int_equal(n_seen, 2);
}

// One clear status at every allocation, nothing leaked. The first half is making the model, which
// other tests fail; each third allocation is tried.
static void test_allocations_may_fail(void **state) {
    (void)state;
    struct ley_match_result result;
    int n_seen = 0;
    const struct ley_match_observer observer = {stop_at_two, &n_seen};
    int64_t n_live = counting.n_live;
    counting_reset(0, false);
    assert_int_equal(match_random_model(&result, &observer), LEY_E_INTERRUPTED);
    int64_t n = counting.n_calls;
    for (int64_t i = 1; i <= n; i += 3) {
        counting_reset(i, false);
        assert_int_equal(match_random_model(&result, &observer), LEY_E_MEMORY);
        assert_int_equal(counting.n_live, n_live);
    }
    counting_reset(0, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_are_published),      cmocka_unit_test(test_alpha_falls),
        cmocka_unit_test(test_constant_signal),          cmocka_unit_test(test_traces_in_double),
        cmocka_unit_test(test_traces_in_float),          cmocka_unit_test(test_targets),
        cmocka_unit_test(test_grouped_model_is_matched), cmocka_unit_test(test_stops_on_request),
        cmocka_unit_test(test_allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
