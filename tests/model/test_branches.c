// test_branches.c - many sequences in one pass: the same bits as each in a session of its own
#include <math.h>
#include <omp.h>
#include <string.h>

#include "support/counting_alloc.h"
#include "support/random_model.h"
#include "support/support.h"

enum { V = 61, LAYERS = 2, MOST = 64, ROWS = 512 };

static const double LOG_SUM = 1e-6; // exponentials of ley_log_sum_exp are float32

// A forest, and where each branch's own rows begin.
struct forest {
    struct ley_branch branch[MOST];
    int64_t n, row[MOST], n_rows;
    int32_t tokens[ROWS];
};

// Roots, branches of roots and branches of branches, of any lengths.
static void make_forest(struct forest *forest, int n, uint64_t seed) {
    *forest = (struct forest){.n = n};
    for (int i = 0; i < n; i++) {
        double draw = random_between(seed, (uint64_t)(2 * i), 0, 1);
        int64_t length =
            1 + (int64_t)random_between(seed, (uint64_t)(2 * i + 1), 0, i % 5 ? 9 : 25);
        int64_t parent = i == 0 || draw < 0.3 ? -1 : (int64_t)(draw * i);
        forest->branch[i] = (struct ley_branch){parent, length};
        forest->row[i] = forest->n_rows;
        forest->n_rows += length;
    }
    assert_true(forest->n_rows <= ROWS);
    for (int64_t r = 0; r < forest->n_rows; r++) {
        forest->tokens[r] = (int32_t)random_between(seed + 1, (uint64_t)r, 0, V);
    }
}

// Tokens of a branch behind those of its ancestors; returns their number.
static int64_t chain(int32_t *tokens, const struct forest *forest, int64_t i) {
    const struct ley_branch *branch = &forest->branch[i];
    int64_t n = branch->parent < 0 ? 0 : chain(tokens, forest, branch->parent);
    memcpy(tokens + n, forest->tokens + forest->row[i], (size_t)branch->n_tokens * sizeof *tokens);
    return n + branch->n_tokens;
}

static struct ley_model *make_model(enum ley_family family, const char *hw, int window,
                                    const char *arithmetic) {
    static struct ley_model_config config;
    struct ley_hardware hardware;
    struct ley_model *model;
    config = random_config(family);
    struct ley_weight_source source = random_source(&config);
    ASSERT_OK(ley_model_create(&model, &config, &source, LEY_NN_F32));
    ley_model_set_digital(model, window);
    if (hw) {
        ASSERT_OK(ley_hardware_load(&hardware, hw));
        ASSERT_OK(ley_params_set(ley_hardware_params(), &hardware, "array.arithmetic", arithmetic));
        hardware.array.n_columns = 8;
        hardware.array.window = window;
        hardware.array.ring = window + 3;
        hardware.cell.tau_s = 100 * hardware.time.token_period_s;
        ASSERT_OK(ley_model_set_analog(model, &hardware));
        ley_model_attention(model, 1)->scaler[LEY_SIGNAL_K][0].a = 0.3;
        make_normalised(ley_model_attention(model, 0));
    }
    return model;
}

// Every branch against a session of its own, which runs its ancestors too.
static void check(const struct ley_model *model, int n, uint64_t seed) {
    static struct forest forest;
    static float logits[ROWS * V], alone[ROWS * V];
    static int32_t tokens[ROWS];
    struct ley_session *session, *own;
    const struct ley_feed all = {.logits = LEY_LOGITS_ALL};
    make_forest(&forest, n, seed);
    ASSERT_OK(ley_session_create(&session, model, 1, 1));
    ASSERT_OK(ley_session_create(&own, model, 1, ROWS));
    ASSERT_OK(ley_session_branches(session, forest.tokens, forest.branch, n, NULL));
    ley_session_logits(logits, session, 0, forest.n_rows);
    assert_int_equal(ley_session_n_tokens(session), 0);
    for (int64_t i = 0; i < n; i++) {
        int64_t length = chain(tokens, &forest, i), n_own = forest.branch[i].n_tokens;
        ley_session_reset(own);
        ASSERT_OK(ley_session_feed(alone, own, tokens, length, &all));
        assert_memory_equal(logits + forest.row[i] * V, alone + (length - n_own) * V,
                            (size_t)(n_own * V) * sizeof(float));
    }
    ley_session_destroy(session);
    ley_session_destroy(own);
}

static void test_equals_single_sessions(void **state) {
    (void)state;
    static const struct {
        enum ley_family family;
        const char *hw;
        int window;
        const char *arithmetic;
    } cases[] = {
        {LEY_FAMILY_LLAMA, NULL, 0, NULL},         {LEY_FAMILY_LLAMA, NULL, 7, NULL},
        {LEY_FAMILY_GPT2, NULL, 0, NULL},          {LEY_FAMILY_LLAMA, "paper", 21, "auto"},
        {LEY_FAMILY_LLAMA, "paper", 200, "auto"},  {LEY_FAMILY_GPT2, "cmos", 21, "auto"},
        {LEY_FAMILY_LLAMA, "paper", 21, "double"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ley_model *model =
            make_model(cases[i].family, cases[i].hw, cases[i].window, cases[i].arithmetic);
        for (int n_threads = 1; n_threads <= 3; n_threads++) {
            omp_set_num_threads(n_threads);
            check(model, 1, i);
            check(model, 4, i + 100);
            check(model, 40, i + 200); // threads share branches
        }
        ley_model_destroy(model);
    }
    omp_set_num_threads(2);
}

enum { HEADS = 2 + 4 }; // of the models here: of keys and values, of queries

// Ledger 0 is what 1 and 2 have together, less what 3 has.
static void check_difference(struct ley_ledger *const ledger[4], int n) {
    int n_events;
    const struct ley_event *events = ley_events(&n_events);
    for (int i = 0; i < n * n_events; i++) {
        double x[4];
        for (int j = 0; j < 4; j++) {
            x[j] = ley_ledger_value(&ledger[j][i / n_events], &events[i % n_events]);
        }
        assert_true(fabs(x[1] + x[2] - x[3] - x[0]) <= 1e-9 * fabs(x[0]));
    }
}

// A layer's heads together have what the layer has.
static void check_heads(const struct ley_ledger *layer, const struct ley_ledger *head) {
    int n_events;
    const struct ley_event *events = ley_events(&n_events);
    struct ley_ledger sum = {0};
    for (int h = 0; h < HEADS; h++) {
        ley_ledger_add(&sum, &head[h]);
    }
    for (int e = 0; e < n_events; e++) {
        double all = ley_ledger_value(layer, &events[e]);
        assert_true(fabs(ley_ledger_value(&sum, &events[e]) - all) <= 1e-12 * fabs(all));
    }
}

// What branches count is what their own tokens do: as a sequence less its beginning.
static void test_events_are_of_own_tokens(void **state) {
    (void)state;
    int32_t tokens[20];
    const struct ley_branch tree[] = {{-1, 11}, {0, 4}, {0, 5}};
    struct ley_ledger ledger[4][LAYERS] = {{{0}}}, heads[4][LAYERS * HEADS] = {{{0}}};
    struct ley_session *session;
    struct ley_model *model = make_model(LEY_FAMILY_LLAMA, "paper", 21, "auto");
    ASSERT_OK(ley_session_create(&session, model, 1, 1));
    for (int i = 0; i < 20; i++) {
        tokens[i] = 3 * i % V;
    }
    struct ley_feed feed = {.ledger = ledger[0], .head_ledger = heads[0]};
    ASSERT_OK(ley_session_branches(session, tokens, tree, 3, &feed));
    // The same chains on their own: 11, 11 + 4 and 11 + 5 tokens.
    int32_t other[16];
    memcpy(other, tokens, 11 * sizeof *other);
    memcpy(other + 11, tokens + 15, 5 * sizeof *other);
    const struct ley_branch whole[] = {{-1, 15}, {-1, 16}, {-1, 11}};
    const int32_t *const of[] = {tokens, other, tokens};
    for (int i = 0; i < 3; i++) {
        feed.ledger = ledger[1 + i];
        feed.head_ledger = heads[1 + i];
        ASSERT_OK(ley_session_branches(session, of[i], &whole[i], 1, &feed));
    }
    check_difference((struct ley_ledger *[]){ledger[0], ledger[1], ledger[2], ledger[3]}, LAYERS);
    check_difference((struct ley_ledger *[]){heads[0], heads[1], heads[2], heads[3]},
                     LAYERS * HEADS);
    for (int l = 0; l < LAYERS; l++) {
        check_heads(&ledger[0][l], &heads[0][(ptrdiff_t)l * HEADS]);
        assert_int_equal(ledger[0][l].queries, 20 * 4);
        assert_int_equal(ledger[0][l].columns_written, 20 * 2);
    }
    ley_session_destroy(session);
    ley_model_destroy(model);
}

// Scores are those of the logits; rows in any order, some of them twice.
static void test_scores(void **state) {
    (void)state;
    static struct forest forest;
    static float logits[ROWS * V];
    static struct ley_token_score score[2 * ROWS];
    struct ley_session *session;
    struct ley_model *model = make_model(LEY_FAMILY_LLAMA, NULL, 0, NULL);
    make_forest(&forest, 30, 5);
    ASSERT_OK(ley_session_create(&session, model, 1, 1));
    ASSERT_OK(ley_session_branches(session, forest.tokens, forest.branch, forest.n, NULL));
    ley_session_logits(logits, session, 0, forest.n_rows);
    int64_t n = 2 * forest.n_rows, n_best = 0;
    for (int64_t i = 0; i < n; i++) {
        score[i].row = i < forest.n_rows ? i / 2 : n - 1 - i;
        score[i].token = (int32_t)(i * 7 % V);
    }
    ASSERT_OK(ley_session_score(score, n, session));
    for (int64_t i = 0; i < n; i++) {
        const float *row = logits + score[i].row * V;
        double sum = 0;
        int best = 0;
        for (int v = 0; v < V; v++) {
            sum += exp((double)row[v]);
            best = row[v] > row[best] ? v : best;
        }
        assert_true(fabs(score[i].log_prob - ((double)row[score[i].token] - log(sum))) < LOG_SUM);
        assert_true(score[i].is_best == (score[i].token == best));
        n_best += score[i].is_best;
    }
    assert_true(n_best > 0);
    ley_session_destroy(session);
    ley_model_destroy(model);
}

static void test_errors(void **state) {
    (void)state;
    int32_t tokens[100] = {0};
    struct ley_session *session;
    struct ley_model *model = make_model(LEY_FAMILY_GPT2, NULL, 0, NULL);
    ASSERT_OK(ley_session_create(&session, model, 1, 1));
    const struct ley_branch fits[] = {{-1, 50}, {-1, 50}}, too_long[] = {{-1, 50}, {0, 50}};
    ASSERT_OK(ley_session_branches(session, tokens, fits, 2, NULL));
    ASSERT_FAILS(ley_session_branches(session, tokens, too_long, 2, NULL), LEY_E_ARGUMENT,
                 "100 tokens are more than the 96 positions");
    tokens[99] = V;
    ASSERT_FAILS(ley_session_branches(session, tokens, fits, 2, NULL), LEY_E_ARGUMENT,
                 "token 61 is not in the vocabulary");
    tokens[99] = 0;
    ASSERT_OK(ley_session_branches(session, tokens, fits, 2, NULL)); // a failure leaves no trace
    ley_session_destroy(session);
    ley_model_destroy(model);
}

static void test_memory_runs_out(void **state) {
    (void)state;
    static struct forest forest;
    static struct ley_token_score score[ROWS];
    make_forest(&forest, 40, 9);
    for (int analog = 0; analog < 2; analog++) {
        struct ley_model *model = make_model(LEY_FAMILY_LLAMA, analog ? "paper" : NULL, 21, "auto");
        enum ley_status status = LEY_E_MEMORY;
        for (int64_t n = 1; status != LEY_OK; n++) {
            struct ley_session *session;
            ASSERT_OK(ley_session_create(&session, model, 1, 1));
            counting_reset(n, true);
            status = ley_session_branches(session, forest.tokens, forest.branch, forest.n, NULL);
            if (status == LEY_OK) {
                status = ley_session_score(score, forest.n_rows, session);
            }
            counting_reset(0, false);
            assert_true(status == LEY_OK || status == LEY_E_MEMORY);
            assert_true(n < 200);
            ley_session_destroy(session);
        }
        ley_model_destroy(model);
        assert_int_equal(counting.n_live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_single_sessions),
        cmocka_unit_test(test_events_are_of_own_tokens),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
