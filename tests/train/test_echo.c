// test_echo.c - which targets say something again, and how a run counts them
#include <math.h>
#include <string.h>

#include "support/random_model.h"
#include "support/support.h"
#include "train/echo.h"
#include "train/objective.h"

enum { VOCABULARY = 61, N_TEXT = 8000, B = 2, T = 6 };

// Tokens 1 and 2 by turns; in one place each of the others, which is rare enough.
static void make_text(int32_t *token) {
    for (int i = 0; i < N_TEXT; i++) {
        token[i] = i % 2 ? 1 : 2;
    }
    for (int v = 3; v < VOCABULARY; v++) {
        token[v] = v; // once each: rare
    }
}

static void make(struct ley_echo *echo, double weight) {
    static int32_t token[N_TEXT];
    const struct ley_dataset text = {.token = token, .n_tokens = N_TEXT};
    make_text(token);
    ASSERT_OK(ley_echo_create(echo, &text, VOCABULARY, weight));
}

static const int32_t tokens[B * T] = {7, 1, 8, 9, 2, 7, /**/ 9, 1, 10, 1, 11, 11};
static const int32_t targets[B * T] = {1, 8, 9, 2, 7, -1, /**/ 1, 10, 1, 11, 11, 7};

// A rare token counts where it stood before in its own sequence; the common ones 1 and 2 never do,
// nor does what is left out.
static void test_rare_tokens_said_again(void **state) {
    (void)state;
    static const float want[B * T] = {1, 1, 1, 1, 5, 1, /**/ 1, 1, 1, 1, 5, 1};
    const struct ley_batch batch = {
        .tokens = tokens, .targets = targets, .n_batch = B, .n_tokens = T};
    struct ley_echo echo;
    const float *got;
    make(&echo, 5);
    for (int time = 0; time < 2; time++) { // what one batch said is no echo in the next
        ASSERT_OK(ley_echo_weigh(&got, &echo, &batch));
        for (int i = 0; i < B * T; i++) {
            assert_true(got[i] == want[i]);
        }
    }
    ley_echo_destroy(&echo);
}

enum { LONG = 600 }; // B * LONG rows are more than one block of logits

// A batch of random tokens; `echoes` has the targets of those rows alone that echo weighs.
static void make_long(struct ley_batch *batch, int32_t *echoes, struct ley_echo *echo) {
    static int32_t said[B * LONG], next[B * LONG];
    const float *weight;
    for (int i = 0; i < B * LONG; i++) {
        said[i] = (int32_t)random_between(5, (uint64_t)i, 0, VOCABULARY);
        next[i] = (int32_t)random_between(6, (uint64_t)i, -4, VOCABULARY);
    }
    *batch = (struct ley_batch){
        .tokens = said, .targets = next, .n_batch = B, .n_tokens = LONG, .n_counted = B * LONG};
    ASSERT_OK(ley_echo_weigh(&weight, echo, batch));
    for (int i = 0; i < B * LONG; i++) {
        echoes[i] = weight[i] > 1 ? next[i] : -1;
    }
}

// The gradient of such a row counts as often as is said: with weight 3 it is that of weight 1 and
// twice that of the echoes alone.
static void test_echoes_count_in_the_gradient(void **state) {
    (void)state;
    static float gradient[3][1 << 16];
    static int32_t echoes[B * LONG];
    struct ley_model_config config = random_config(LEY_FAMILY_LLAMA);
    const struct ley_weight_source source = random_source(&config);
    struct ley_net *net;
    struct ley_model *teacher;
    struct ley_echo echo;
    struct ley_batch batch;
    struct ley_costs costs;
    ASSERT_OK(ley_net_create(&net, &config, &source, LEY_NN_F32, NULL, 0));
    config.norm_eps *= 1000; // another model
    ASSERT_OK(ley_model_create(&teacher, &config, &source, LEY_NN_F32));
    make(&echo, 3);
    make_long(&batch, echoes, &echo);
    const int32_t *all = batch.targets;
    struct ley_parameters *p = ley_net_parameters(net);
    assert_true(p->n_values <= 1 << 16);
    for (int kind = 0; kind < 3; kind++) {
        struct ley_net_objective objective = {.net = net,
                                              .weights = {.divergence = 1},
                                              .teacher = teacher,
                                              .echo = kind == 2 ? &echo : NULL};
        const struct ley_objective learned = ley_net_objective(&objective);
        batch.targets = kind == 1 ? echoes : all;
        ley_gradient_clear(p);
        ASSERT_OK(learned.run(learned.context, &costs, &batch, true));
        memcpy(gradient[kind], p->gradient, (size_t)p->n_values * sizeof(float));
        ley_net_objective_destroy(&objective);
    }
    double apart = 0, power = 0;
    for (int64_t i = 0; i < p->n_values; i++) {
        double want = (double)gradient[0][i] + 2 * (double)gradient[1][i];
        apart += pow((double)gradient[2][i] - want, 2);
        power += pow(2 * (double)gradient[1][i], 2);
    }
    assert_true(power > 0 && apart < 1e-8 * power);
    ley_echo_destroy(&echo);
    ley_model_destroy(teacher);
    ley_net_destroy(net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rare_tokens_said_again),
        cmocka_unit_test(test_echoes_count_in_the_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
