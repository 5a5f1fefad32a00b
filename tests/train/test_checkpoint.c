// test_checkpoint.c - a run that stops and goes on is the run that did not stop; damage and full
// disks
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/random_model.h"
#include "support/support.h"

enum { B = 2, T = 16, STEPS = 6 };
static const struct ley_adamw_constants CONSTANTS = {0.9, 0.95, 1e-8, 0.1};

struct run {
    struct ley_model_config config;
    struct ley_net *net;
    struct ley_parameters *p;
    struct ley_adamw adamw;
    struct ley_training_state state;
    char path[128];
};

static void start(struct run *run) {
    memset(run, 0, sizeof *run);
    run->config = random_config(LEY_FAMILY_GPT2);
    const struct ley_weight_source source = random_source(&run->config);
    ASSERT_OK(ley_net_create(&run->net, &run->config, &source, LEY_NN_F32, NULL, 0));
    run->p = ley_net_parameters(run->net);
    ASSERT_OK(ley_adamw_create(&run->adamw, run->p, &CONSTANTS));
    snprintf(run->path, sizeof run->path, "%s/run.ckpt", test_folder);
}

static void finish(struct run *run) {
    ley_adamw_destroy(&run->adamw);
    ley_net_destroy(run->net);
}

// One step on data that depends on the state alone; returns the loss.
static double step(struct run *run) {
    int32_t tokens[B * T], targets[B * T];
    struct ley_batch_loss loss;
    for (int i = 0; i < B * T; i++) {
        uint64_t at = (uint64_t)(run->state.n_windows * T + i);
        tokens[i] = (int32_t)random_between(5, at, 0, 61);
        targets[i] = (int32_t)random_between(6, at, 0, 61);
    }
    const struct ley_batch batch = {
        .tokens = tokens, .targets = targets, .n_batch = B, .n_tokens = T};
    ley_gradient_clear(run->p);
    ASSERT_OK(ley_net_gradient(&loss, run->net, &batch));
    ley_adamw_step(&run->adamw, run->p, 1e-3, ley_clip_scale(ley_gradient_norm(run->p), 1));
    ASSERT_OK(ley_net_pack(run->net));
    run->state.step++;
    run->state.n_windows += B;
    return loss.nll;
}

static enum ley_status save(const struct run *run) {
    return ley_checkpoint_save(run->path, run->p, &run->adamw, &run->state);
}

static void load(struct run *run) {
    ASSERT_OK(ley_checkpoint_load(run->p, &run->adamw, &run->state, run->path));
    ASSERT_OK(ley_net_pack(run->net));
}

static void test_resumed_run_is_the_same(void **state) {
    (void)state;
    struct run whole, part;
    double loss[STEPS];
    start(&whole);
    whole.state.best_loss = 3.25;
    for (int i = 0; i < STEPS; i++) {
        loss[i] = step(&whole);
        if (i == STEPS / 2 - 1) {
            ASSERT_OK(save(&whole));
        }
    }
    start(&part);
    load(&part);
    assert_int_equal(part.state.step, STEPS / 2);
    assert_true(part.state.best_loss == 3.25);
    for (int i = STEPS / 2; i < STEPS; i++) {
        assert_true(step(&part) == loss[i]);
    }
    size_t n_bytes = (size_t)whole.p->n_values * sizeof(float);
    assert_memory_equal(part.p->value, whole.p->value, n_bytes);
    assert_memory_equal(part.adamw.second, whole.adamw.second, n_bytes);
    finish(&whole);
    finish(&part);
}

// What a run killed while writing leaves behind: the checkpoint before, and a piece of a new one.
static void test_kill_while_writing(void **state) {
    (void)state;
    struct run run;
    char temporary[160], *bytes;
    size_t n_bytes;
    start(&run);
    double first = step(&run);
    ASSERT_OK(save(&run));
    double next = step(&run);
    ASSERT_OK(ley_file_read(&bytes, &n_bytes, run.path, 1 << 24));
    snprintf(temporary, sizeof temporary, "%s.new", run.path);
    FILE *file = fopen(temporary, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n_bytes / 3, file), n_bytes / 3);
    fclose(file);
    ley_free(bytes);
    finish(&run);
    start(&run);
    assert_true(step(&run) == first);
    load(&run);
    assert_true(step(&run) == next);
    ASSERT_OK(save(&run)); // takes the place of the piece
    assert_int_equal(access(temporary, F_OK), -1);
    finish(&run);
}

// A file that may not grow beyond n bytes, as on a full disk (EFBIG instead of ENOSPC).
static void test_full_disk(void **state) {
    (void)state;
    struct run run;
    struct rlimit before, small;
    char temporary[160];
    start(&run);
    step(&run);
    ASSERT_OK(save(&run));
    step(&run);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    for (rlim_t n = 0; n <= 1 << 16; n = 7 * n + 1) {
        small = before;
        small.rlim_cur = n;
        setrlimit(RLIMIT_FSIZE, &small);
        enum ley_status status = save(&run);
        setrlimit(RLIMIT_FSIZE, &before);
        ASSERT_FAILS(status, LEY_E_IO, "untouched");
        snprintf(temporary, sizeof temporary, "%s.new", run.path);
        assert_int_equal(access(temporary, F_OK), -1);
    }
    load(&run);
    assert_int_equal(run.state.step, 1);
    snprintf(run.path, sizeof run.path, "%s/no/such/folder", test_folder);
    ASSERT_FAILS(save(&run), LEY_E_IO, "cannot write");
    finish(&run);
}

// Cut or changed anywhere: refused, and nothing has changed.
static void test_damaged_files(void **state) {
    (void)state;
    struct run run;
    char *bytes;
    size_t n_bytes;
    start(&run);
    step(&run);
    ASSERT_OK(save(&run));
    ASSERT_OK(ley_file_read(&bytes, &n_bytes, run.path, 1 << 24));
    step(&run);
    const float value = run.p->value[100];
    for (size_t i = 0; i < 60; i++) {
        size_t at = i < 30 ? 4 * i + 16 : (i - 29) * (n_bytes / 31);
        bytes[at] ^= 4;
        ASSERT_OK(ley_file_write(run.path, bytes, n_bytes));
        assert_int_equal(ley_checkpoint_load(run.p, &run.adamw, &run.state, run.path),
                         LEY_E_FORMAT);
        bytes[at] ^= 4;
        ASSERT_OK(ley_file_write(run.path, bytes, i * (n_bytes / 60) + 1));
        assert_int_equal(ley_checkpoint_load(run.p, &run.adamw, &run.state, run.path),
                         LEY_E_FORMAT);
    }
    assert_true(run.p->value[100] == value && run.state.step == 2);
    ASSERT_OK(ley_file_write(run.path, bytes, n_bytes));
    run.p->tensor[3].trains = false;
    ASSERT_FAILS(ley_checkpoint_load(run.p, &run.adamw, &run.state, run.path), LEY_E_FORMAT,
                 "other tensors");
    run.p->tensor[3].trains = true;
    ASSERT_OK(ley_adamw_keep_average(&run.adamw, run.p, 0.9)); // which the file does not have
    ASSERT_FAILS(ley_checkpoint_load(run.p, &run.adamw, &run.state, run.path), LEY_E_FORMAT,
                 "--average");
    ley_free(bytes);
    finish(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_resumed_run_is_the_same, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_kill_while_writing, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_full_disk, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damaged_files, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
