// test_hardware.c - presets, and descriptions that contradict themselves
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/support.h"

static const char *const presets[] = {"paper", "paper-linear", "cmos", "osfet", "ideal"};

static void test_presets_load_and_fit(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct ley_hardware hardware;
        struct ley_cell *cell;
        ASSERT_OK(ley_hardware_load(&hardware, presets[i]));
        ASSERT_OK(ley_hardware_check(&hardware, 1));
        ASSERT_OK(ley_hardware_create_cell(&cell, &hardware));
        ley_cell_destroy(cell);
    }
}

// The defaults are the paper's chip; its preset spells them out with sources.
static void test_paper_is_the_default(void **state) {
    (void)state;
    struct ley_hardware paper, defaults;
    memset(&defaults, 0, sizeof defaults);
    ley_params_init(ley_hardware_params(), &defaults);
    ASSERT_OK(ley_hardware_load(&paper, "paper"));
    memset(paper.cell.table_csv, 0, LEY_PATH_BYTES); // may have been found beside the preset
    memset(defaults.cell.table_csv, 0, LEY_PATH_BYTES);
    assert_memory_equal(&paper, &defaults, sizeof paper);
    assert_true(fabs(paper.time.token_period_s / paper.cell.tau_s - 1.6e-4) < 1e-18); // S1.7
    assert_true(fabs(ley_hardware_busy_s(&paper, 1) - 65e-9) < 1e-20);                // S3.3
    assert_int_equal(ley_hardware_n_tiles(&paper), 16);                               // S3.1
    double width_c = paper.converter.score_i_sat_a * paper.time.q_pulse_s;
    assert_true(fabs(width_c - 1.2e-12) < 1e-24); // S2.2: 1.2 pC
}

static enum ley_status check_with(const char *pair, int n_queries) {
    struct ley_hardware hardware;
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_params_set_pair(ley_hardware_params(), &hardware, pair));
    return ley_hardware_check(&hardware, n_queries);
}

static void test_contradictions(void **state) {
    (void)state;
    ASSERT_FAILS(check_with("time.q_pulse_s=1e-6", 1), LEY_E_ARGUMENT,
                 "longer than time.token_period_s");
    ASSERT_FAILS(check_with("time.write_s=10e-9", 20), LEY_E_ARGUMENT, "20 queries a bank");
    ASSERT_OK(check_with("time.write_s=10e-9", 17));
    ASSERT_FAILS(check_with("array.ring=512", 1), LEY_E_ARGUMENT, "shorter than array.window");
    ASSERT_OK(check_with("array.ring=2048", 1));
    ASSERT_FAILS(check_with("dac.kv_levels=1", 1), LEY_E_ARGUMENT, "dac.kv_levels is 1");
    ASSERT_FAILS(check_with("output.levels=1", 1), LEY_E_ARGUMENT, "output.levels is 1");
    ASSERT_FAILS(check_with("cell.v_ref_v=1", 1), LEY_E_ARGUMENT, "above cell.v_dd_v");
}

static void test_unknown_names(void **state) {
    (void)state;
    struct ley_hardware hardware;
    ASSERT_FAILS(ley_hardware_load(&hardware, "papper"), LEY_E_ARGUMENT, "cmos");
    ASSERT_FAILS(ley_hardware_load(&hardware, "./no.yaml"), LEY_E_IO, "cannot open ./no.yaml");
}

static void test_table_that_is_missing(void **state) {
    (void)state;
    struct ley_hardware hardware;
    struct ley_cell *cell;
    ASSERT_OK(ley_hardware_load(&hardware, "cmos"));
    ASSERT_OK(ley_params_set(ley_hardware_params(), &hardware, "cell.table_csv", "no.csv"));
    ASSERT_FAILS(ley_hardware_create_cell(&cell, &hardware), LEY_E_IO, "no.csv");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets_load_and_fit),  cmocka_unit_test(test_paper_is_the_default),
        cmocka_unit_test(test_contradictions),        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_table_that_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
