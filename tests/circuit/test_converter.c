// test_converter.c - HardSigmoid and signed counter: shape, codes of both modes, events
#include <math.h>

#include "support/support.h"

static const struct ley_converter_spec paper = {
    .score_i_sat_a = 80e-6, .output_i_sat_a = 40e-6, .output_levels = 32};

static const double phase_s = 15e-9;

static void test_hard_sigmoid(void **state) {
    (void)state;
    struct ley_ledger ledger = {0};
    assert_true(ley_charge_to_pulse(&paper, -1e-6, &ledger) == 0);
    assert_true(ley_charge_to_pulse(&paper, 0, &ledger) == 0);
    assert_true(ley_charge_to_pulse(&paper, 20e-6, &ledger) == 0.25);
    assert_true(ley_charge_to_pulse(&paper, 80e-6, &ledger) == 1);
    assert_true(ley_charge_to_pulse(&paper, 1, &ledger) == 1);
    assert_int_equal(ledger.score_conversions, 5);
    assert_int_equal(ledger.zero_scores, 2);
    assert_int_equal(ledger.saturated_scores, 2);
}

static void test_hard_sigmoid_is_monotone(void **state) {
    (void)state;
    double last = -1;
    for (int i = -200; i <= 1200; i++) {
        double phi = ley_charge_to_pulse(&paper, i * 1e-7, NULL);
        assert_true(phi >= last && phi >= 0 && phi <= 1);
        last = phi;
    }
}

// S2.3: 33 values up to +-1.0323, saturation being an exact tie that rounds to even
static void test_reference_codes(void **state) {
    (void)state;
    assert_int_equal(ley_output_code_max(&paper), 16);
    assert_int_equal(ley_charge_to_count(&paper, 40e-6, phase_s, NULL).code, 16);
    assert_int_equal(ley_charge_to_count(&paper, -1, phase_s, NULL).code, -16);
    assert_true(fabs(ley_charge_to_count(&paper, 1, phase_s, NULL).value - 32.0 / 31) < 1e-15);
    assert_int_equal(ley_charge_to_count(&paper, 40e-6 * 15.49 / 15.5, phase_s, NULL).code, 15);
    assert_true(ley_charge_to_count(&paper, 0, phase_s, NULL).value == 0);
}

static void test_counter_codes(void **state) {
    (void)state;
    struct ley_converter_spec counter = paper;
    counter.output_mode = LEY_OUTPUT_COUNTER;
    assert_int_equal(ley_output_code_max(&counter), 15);
    for (int i = -1000; i <= 1000; i++) { // equal to the reference but for the end of the counter
        struct ley_reading a = ley_charge_to_count(&paper, i * 1e-7, phase_s, NULL);
        struct ley_reading b = ley_charge_to_count(&counter, i * 1e-7, phase_s, NULL);
        int stopped = a.code > 15 ? 15 : a.code < -15 ? -15 : a.code;
        assert_int_equal(b.code, stopped);
        assert_true(b.value == (2.0 / 31) * b.code);
    }
}

static void test_odd_and_tiny_levels(void **state) {
    (void)state;
    struct ley_converter_spec spec = paper;
    spec.output_levels = 33; // full scale is on the grid: both modes end at 16
    assert_int_equal(ley_output_code_max(&spec), 16);
    assert_true(ley_charge_to_count(&spec, 1, phase_s, NULL).value == 1);
    spec.output_levels = 2; // step 2: the tie at half a step rounds to zero
    assert_int_equal(ley_output_code_max(&spec), 0);
    assert_int_equal(ley_charge_to_count(&spec, 1, phase_s, NULL).code, 0);
    spec.output_levels = 0;
    assert_true(ley_charge_to_count(&spec, 10e-6, phase_s, NULL).value == 0.25);
}

static void test_output_events(void **state) {
    (void)state;
    struct ley_ledger ledger = {0};
    ley_charge_to_count(&paper, -20e-6, phase_s, &ledger);
    ley_charge_to_count(&paper, 400e-6, phase_s, &ledger);
    assert_int_equal(ledger.output_conversions, 2);
    assert_int_equal(ledger.saturated_outputs, 1);
    assert_int_equal(ledger.counter_ticks, 8 + 16);
    assert_true(fabs(ledger.output_pulse_time_s - 1.5 * phase_s) < 1e-20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hard_sigmoid),        cmocka_unit_test(test_hard_sigmoid_is_monotone),
        cmocka_unit_test(test_reference_codes),     cmocka_unit_test(test_counter_codes),
        cmocka_unit_test(test_odd_and_tiny_levels), cmocka_unit_test(test_output_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
