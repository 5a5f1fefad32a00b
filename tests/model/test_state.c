// test_state.c - sessions: parallel equals token by token, batches, windows, laps, errors, loss
#include <math.h>
#include <omp.h>
#include <string.h>

#include "support/counting_alloc.h"
#include "support/generate.h"
#include "support/random_model.h"
#include "support/support.h"

enum { T = 50, V = 61, LAYERS = 2, MORE = 3, HEADS = 4, TILES = 7 };

// What an observer has seen, all layers: sums of bits would hide order, so everything is kept.
struct record {
    float q[LAYERS][T + MORE][32], k[LAYERS][T + MORE][32], out[LAYERS][T + MORE][32];
    // inside the analog attention: scores, pulses, tile outputs, codes
    double s[LAYERS][HEADS][T + MORE][T + MORE], phi[LAYERS][HEADS][T + MORE][T + MORE];
    double a[LAYERS][HEADS][TILES][T + MORE][8];
    int32_t q_code[LAYERS][HEADS][T + MORE][8], k_code[LAYERS][HEADS][T + MORE][8];
    int32_t v_code[LAYERS][HEADS][T + MORE][8], out_code[LAYERS][HEADS][TILES][T + MORE][8];
};

// Where the layers of a model note what happens inside their analog attention.
static void make_traces(struct ley_attention_trace traces[LAYERS], struct record *record) {
    for (int l = 0; l < LAYERS; l++) {
        traces[l] = (struct ley_attention_trace){
            .n_tokens = T + MORE,
            .s = &record->s[l][0][0][0],
            .phi = &record->phi[l][0][0][0],
            .a = &record->a[l][0][0][0][0],
            .q_code = &record->q_code[l][0][0][0],
            .k_code = &record->k_code[l][0][0][0],
            .v_code = &record->v_code[l][0][0][0],
            .out_code = &record->out_code[l][0][0][0][0],
        };
    }
}

static void see(void *context, const struct ley_observation *o) {
    struct record *record = context;
    size_t n_q = (size_t)(o->n_query_heads * o->head_dim);
    size_t n_k = (size_t)(o->n_kv_heads * o->head_dim);
    for (int64_t t = 0; t < o->n_tokens; t++) {
        int64_t place = o->first_token + t;
        memcpy(record->q[o->layer][place], o->q + t * o->stride, n_q * sizeof(float));
        memcpy(record->k[o->layer][place], o->k + t * o->stride, n_k * sizeof(float));
        memcpy(record->out[o->layer][place], o->out + t * (int64_t)n_q, n_q * sizeof(float));
    }
}

static void make_tokens(int32_t *tokens, int n, int seed) {
    for (int i = 0; i < n; i++) {
        tokens[i] = (int32_t)random_between((uint64_t)seed, (uint64_t)i, 0, V);
    }
}

struct setup {
    struct ley_model_config config;
    struct ley_model *model;
};

// A small chip whose ring of 24 columns laps within T tokens and is longer than its window.
static void make_model(struct setup *setup, enum ley_family family, bool is_analog, int window) {
    setup->config = random_config(family);
    struct ley_weight_source source = random_source(&setup->config);
    ASSERT_OK(ley_model_create(&setup->model, &setup->config, &source, LEY_NN_F32));
    ley_model_set_digital(setup->model, window);
    assert_null(ley_model_attention(setup->model, 0));
    if (is_analog) {
        struct ley_hardware hardware;
        ASSERT_OK(ley_hardware_load(&hardware, "paper"));
        hardware.array.n_columns = 8;
        hardware.array.window = window;
        hardware.array.ring = window + 3;
        hardware.cell.tau_s = 100 * hardware.time.token_period_s;
        ASSERT_OK(ley_model_set_analog(setup->model, &hardware));
        ley_model_attention(setup->model, 1)->scaler[LEY_SIGNAL_K][0].a = 0.3;
        make_normalised(ley_model_attention(setup->model, 1));
    }
}

static void run_parallel(struct record *record, float *logits, struct ley_ledger *ledger,
                         const struct ley_model *model, const int32_t *tokens) {
    const struct ley_observer observer = {see, record};
    struct ley_attention_trace traces[LAYERS];
    const struct ley_feed feed = {
        .logits = LEY_LOGITS_ALL, .ledger = ledger, .trace = traces, .observer = &observer};
    make_traces(traces, record);
    struct ley_session *session;
    ASSERT_OK(ley_session_create(&session, model, 1, T + MORE));
    ASSERT_OK(ley_session_feed(logits, session, tokens, T, &feed));
    ASSERT_OK(ley_session_feed(logits + T * V, session, tokens + T, MORE, &feed)); // in steps
    assert_int_equal(ley_session_n_tokens(session), T + MORE);
    ley_session_destroy(session);
}

static void run_steps(struct record *record, float *logits, struct ley_ledger *ledger,
                      const struct ley_model *model, const int32_t *tokens) {
    const struct ley_observer observer = {see, record};
    struct ley_attention_trace traces[LAYERS];
    const struct ley_feed feed = {
        .logits = LEY_LOGITS_LAST, .ledger = ledger, .trace = traces, .observer = &observer};
    struct ley_session *session;
    make_traces(traces, record);
    ASSERT_OK(ley_session_create(&session, model, 1, T + MORE));
    ASSERT_OK(ley_session_feed(logits, session, tokens, 7, NULL)); // and start again
    ley_session_reset(session);
    for (int t = 0; t < T + MORE; t++) {
        ASSERT_OK(ley_session_feed(logits + t * V, session, tokens + t, 1, &feed));
    }
    ley_session_destroy(session);
}

static void check_parallel(enum ley_family family, bool is_analog, int window) {
    static struct record in_parallel, in_steps;
    static float logits[2][(T + MORE) * V];
    struct ley_ledger ledger[2][LAYERS] = {{{0}}};
    int32_t tokens[T + MORE];
    struct setup setup;
    memset(&in_parallel, 0, sizeof in_parallel);
    memset(&in_steps, 0, sizeof in_steps);
    make_tokens(tokens, T + MORE, 1);
    make_model(&setup, family, is_analog, window);
    for (int n_threads = 1; n_threads <= 2; n_threads++) {
        omp_set_num_threads(n_threads);
        run_parallel(&in_parallel, logits[0], ledger[0], setup.model, tokens);
        omp_set_num_threads(1);
        run_steps(&in_steps, logits[1], ledger[1], setup.model, tokens);
        assert_memory_equal(&in_parallel, &in_steps, sizeof in_steps);
        assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
    }
    for (int l = 0; l < LAYERS; l++) {
        assert_int_equal(ledger[0][l].cells_written, ledger[1][l].cells_written);
        assert_int_equal(ledger[0][l].queries, ledger[1][l].queries);
        assert_int_equal(ledger[0][l].zero_scores, ledger[1][l].zero_scores);
        assert_int_equal(ledger[0][l].queries, is_analog ? 2 * (T + MORE) * 4 : 0);
        assert_true((in_steps.s[l][1][T][T] != 0) == is_analog); // something was noted
    }
    omp_set_num_threads(2);
    ley_model_destroy(setup.model);
}

static void test_parallel_equals_steps_digital(void **state) {
    (void)state;
    check_parallel(LEY_FAMILY_LLAMA, false, 0);
    check_parallel(LEY_FAMILY_LLAMA, false, 13);
    check_parallel(LEY_FAMILY_GPT2, false, 0);
}

static void test_parallel_equals_steps_analog(void **state) {
    (void)state;
    check_parallel(LEY_FAMILY_LLAMA, true, 21);
    check_parallel(LEY_FAMILY_GPT2, true, 21);
    check_parallel(LEY_FAMILY_GPT2, true, 200); // no lap
}

// Sequences of a batch do not see each other.
static void check_batch(bool is_analog) {
    static float batch[2 * T * V], single[T * V], last[2 * V], step[2][2 * V];
    int32_t tokens[2 * T], next[2] = {3, 9};
    const struct ley_feed all = {.logits = LEY_LOGITS_ALL};
    struct setup setup;
    struct ley_session *session;
    make_tokens(tokens, 2 * T, 2);
    make_model(&setup, LEY_FAMILY_LLAMA, is_analog, 21);
    ASSERT_OK(ley_session_create(&session, setup.model, 2, T + 5));
    ASSERT_OK(ley_session_feed(batch, session, tokens, T, &all));
    ASSERT_OK(ley_session_feed(step[0], session, next, 1, &all));
    ley_session_reset(session);
    ASSERT_OK(ley_session_feed(last, session, tokens, T, NULL));
    ley_session_destroy(session);
    for (int b = 0; b < 2; b++) {
        ASSERT_OK(ley_session_create(&session, setup.model, 1, T + 5));
        ASSERT_OK(ley_session_feed(single, session, tokens + b * T, T, &all));
        ASSERT_OK(ley_session_feed(step[1], session, next + b, 1, &all));
        assert_memory_equal(batch + b * T * V, single, sizeof single);
        assert_memory_equal(last + b * V, single + (T - 1) * V, V * sizeof(float));
        assert_memory_equal(step[0] + b * V, step[1], V * sizeof(float));
        ley_session_destroy(session);
    }
    ley_model_destroy(setup.model);
}

static void test_batch_equals_single(void **state) {
    (void)state;
    check_batch(false);
    check_batch(true);
}

// Steps of a batch, several tokens in one call.
static void test_batch_steps_place_logits(void **state) {
    (void)state;
    static float all_at_once[2 * 6 * V], in_two[2 * 4 * V];
    int32_t tokens[12], head[4], tail[8];
    const struct ley_feed all = {.logits = LEY_LOGITS_ALL};
    struct setup setup;
    struct ley_session *session;
    make_tokens(tokens, 12, 3);
    for (int b = 0; b < 2; b++) {
        memcpy(head + 2 * b, tokens + 6 * b, 2 * sizeof *head);
        memcpy(tail + 4 * b, tokens + 6 * b + 2, 4 * sizeof *tail);
    }
    make_model(&setup, LEY_FAMILY_GPT2, false, 0);
    ASSERT_OK(ley_session_create(&session, setup.model, 2, 6));
    ASSERT_OK(ley_session_feed(all_at_once, session, tokens, 6, &all));
    ley_session_reset(session);
    const struct ley_feed none = {.logits = LEY_LOGITS_NONE};
    ASSERT_OK(ley_session_feed(NULL, session, head, 2, &none));
    ASSERT_OK(ley_session_feed(in_two, session, tail, 4, &all));
    for (int b = 0; b < 2; b++) {
        assert_memory_equal(in_two + b * 4 * V, all_at_once + (b * 6 + 2) * V,
                            4 * V * sizeof(float));
    }
    ley_session_destroy(session);
    ley_model_destroy(setup.model);
}

static void test_loss_equals_logits(void **state) {
    (void)state;
    static float logits[2 * T * V];
    int32_t tokens[2 * T], targets[2 * T];
    double mean, nll[2 * T], sum = 0;
    const struct ley_feed all = {.logits = LEY_LOGITS_ALL};
    struct setup setup;
    struct ley_session *session;
    make_tokens(tokens, 2 * T, 4);
    make_tokens(targets, 2 * T, 5);
    targets[0] = targets[70] = -1;
    make_model(&setup, LEY_FAMILY_GPT2, false, 0);
    ASSERT_OK(ley_session_create(&session, setup.model, 2, T));
    ASSERT_OK(ley_session_feed(logits, session, tokens, T, &all));
    ASSERT_OK(ley_session_loss(&mean, nll, session, tokens, targets, T, NULL));
    for (int i = 0; i < 2 * T; i++) {
        double all_tokens = 0;
        for (int v = 0; v < V; v++) {
            all_tokens += exp((double)logits[i * V + v]);
        }
        double want = targets[i] < 0 ? 0 : log(all_tokens) - (double)logits[i * V + targets[i]];
        assert_true(fabs(nll[i] - want) < 1e-6);
        sum += want;
    }
    assert_true(fabs(mean - sum / (2 * T - 2)) < 1e-7);
    targets[3] = V;
    ASSERT_FAILS(ley_session_loss(&mean, NULL, session, tokens, targets, T, NULL), LEY_E_ARGUMENT,
                 "target 61");
    ley_session_destroy(session);
    ley_model_destroy(setup.model);
}

static void check_allocations(bool is_analog) {
    static float logits[T * V];
    int32_t tokens[T];
    struct setup setup;
    struct ley_session *session;
    make_tokens(tokens, T, 6);
    make_model(&setup, LEY_FAMILY_LLAMA, is_analog, 21);
    ASSERT_OK(ley_session_create(&session, setup.model, 1, T + 5));
    int64_t n_before = counting.n_calls;
    ASSERT_OK(ley_session_feed(logits, session, tokens, T - 5, NULL));
    assert_true(counting.n_calls > n_before); // the counter counts
    n_before = counting.n_calls;
    for (int i = 0; i < 10; i++) {
        ASSERT_OK(ley_session_feed(logits, session, tokens, 1, NULL));
    }
    ley_session_reset(session);
    ASSERT_OK(ley_session_feed(logits, session, tokens, T - 5, NULL));
    assert_int_equal(counting.n_calls, n_before);
    ley_session_destroy(session);
    ley_model_destroy(setup.model);
}

static void test_steps_do_not_allocate(void **state) {
    (void)state;
    check_allocations(false);
    check_allocations(true);
}

// Everything from loading to a feed, with memory for n blocks only.
static enum ley_status run_within(int64_t n_blocks, const struct ley_hardware *hardware) {
    static float logits[2 * V];
    int32_t tokens[4] = {1, 2, 3, 4};
    struct ley_model_config config = random_config(LEY_FAMILY_LLAMA);
    struct ley_weight_source source = random_source(&config);
    struct ley_model *model = NULL;
    struct ley_session *session = NULL;
    counting_reset(n_blocks + 1, true);
    enum ley_status status = ley_model_create(&model, &config, &source, LEY_NN_F32);
    if (status == LEY_OK && hardware) {
        status = ley_model_set_analog(model, hardware);
    }
    if (status == LEY_OK) {
        status = ley_session_create(&session, model, 2, 8);
    }
    if (status == LEY_OK) {
        status = ley_session_feed(logits, session, tokens, 2, NULL);
    }
    ley_session_destroy(session);
    ley_model_destroy(model);
    counting_reset(0, false);
    return status;
}

static void test_memory_failures_are_reported(void **state) {
    (void)state;
    struct ley_hardware hardware;
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    for (int is_analog = 0; is_analog <= 1; is_analog++) {
        int64_t n = 0;
        enum ley_status status;
        while ((status = run_within(n, is_analog ? &hardware : NULL)) != LEY_OK) {
            assert_int_equal(status, LEY_E_MEMORY);
            n++;
        }
        assert_true(n > 50); // every one of them has failed once
    }
}

static bool stop_at_two(void *context, int64_t n_done, int64_t n_total) {
    *(int64_t *)context = n_total;
    return n_done < 2;
}

static void test_session_errors(void **state) {
    (void)state;
    float logits[V];
    int32_t tokens[100] = {0}, bad[2] = {1, V};
    struct setup setup;
    struct ley_session *session;
    make_model(&setup, LEY_FAMILY_GPT2, false, 0);
    ASSERT_OK(ley_session_create(&session, setup.model, 1, 200));
    ASSERT_FAILS(ley_session_feed(logits, session, bad, 2, NULL), LEY_E_ARGUMENT, "token 61");
    ASSERT_FAILS(ley_session_feed(logits, session, tokens, 97, NULL), LEY_E_ARGUMENT,
                 "96 positions");
    int64_t n_total = 0;
    const struct ley_progress progress = {stop_at_two, &n_total};
    const struct ley_feed watched = {.progress = &progress};
    ASSERT_FAILS(ley_session_feed(logits, session, tokens, 5, &watched), LEY_E_INTERRUPTED,
                 "stopped");
    assert_int_equal(n_total, LAYERS);
    ley_session_destroy(session);
    ley_model_destroy(setup.model);
    make_model(&setup, LEY_FAMILY_LLAMA, false, 0);
    ASSERT_OK(ley_session_create(&session, setup.model, 1, 10));
    ASSERT_OK(ley_session_feed(logits, session, tokens, 10, NULL));
    ASSERT_FAILS(ley_session_feed(logits, session, tokens, 1, NULL), LEY_E_ARGUMENT, "cache of 10");
    ley_session_destroy(session);
    ley_model_destroy(setup.model);
    // a window longer than the session does not forget in time: the cache is still the limit
    make_model(&setup, LEY_FAMILY_LLAMA, false, 11);
    ASSERT_OK(ley_session_create(&session, setup.model, 1, 10));
    ASSERT_OK(ley_session_feed(logits, session, tokens, 10, NULL));
    ASSERT_FAILS(ley_session_feed(logits, session, tokens, 1, NULL), LEY_E_ARGUMENT, "cache of 10");
    ley_session_destroy(session);
    ley_model_destroy(setup.model);
}

static bool has_no_k(void *context, enum ley_weight weight, int layer) {
    (void)context;
    return weight != LEY_WEIGHT_ATTN_K || layer == 0;
}

static void test_model_errors(void **state) {
    (void)state;
    struct ley_model_config config = random_config(LEY_FAMILY_LLAMA);
    struct ley_weight_source source = random_source(&config);
    struct ley_hardware hardware;
    struct ley_model *model;
    source.has = has_no_k;
    ASSERT_FAILS(ley_model_create(&model, &config, &source, LEY_NN_F32), LEY_E_FORMAT,
                 "no ATTN_K in layer 1");
    assert_null(model);
    source = random_source(&config);
    config.n_heads = 3;
    ASSERT_FAILS(ley_model_create(&model, &config, &source, LEY_NN_F32), LEY_E_FORMAT, "heads");
    config.n_heads = 4;
    ASSERT_OK(ley_model_create(&model, &config, &source, LEY_NN_F32));
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    hardware.array.ring = 3; // shorter than the window
    ASSERT_FAILS(ley_model_set_analog(model, &hardware), LEY_E_ARGUMENT, "ring");
    assert_null(ley_model_attention(model, 0));
    assert_true(ley_model_dtype(model) == LEY_NN_F32 && ley_model_bytes(model) > 20000);
    ley_model_destroy(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parallel_equals_steps_digital),
        cmocka_unit_test(test_parallel_equals_steps_analog),
        cmocka_unit_test(test_batch_equals_single),
        cmocka_unit_test(test_batch_steps_place_logits),
        cmocka_unit_test(test_loss_equals_logits),
        cmocka_unit_test(test_steps_do_not_allocate),
        cmocka_unit_test(test_memory_failures_are_reported),
        cmocka_unit_test(test_session_errors),
        cmocka_unit_test(test_model_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
