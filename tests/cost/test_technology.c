// test_technology.c - files of numbers with unit, range and source; their mistakes
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/support.h"

// Loads a technology file with this text.
static enum ley_status load_text(const char *text) {
    char path[128];
    struct ley_technology_file file;
    ASSERT_OK(ley_technology_init(&file));
    snprintf(path, sizeof path, "%s/x.yaml", test_folder);
    ASSERT_OK(ley_file_write(path, text, strlen(text)));
    struct ley_technology_file before = file;
    enum ley_status status = ley_technology_load(&file, path);
    // a bad file changes nothing
    assert_true(status == LEY_OK || memcmp(&before, &file, sizeof file) == 0);
    return status;
}

// One number of the file, `fields` within its braces.
static enum ley_status load_number(const char *fields) {
    char text[512];
    snprintf(text, sizeof text, "price:\n  addition_j: {%s}\n", fields);
    return load_text(text);
}

// paper.yaml states every number, with a source; the rows' defaults are the same numbers.
static void test_paper_states_everything(void **state) {
    (void)state;
    struct ley_technology_file file;
    struct ley_technology defaults;
    const struct ley_param_table *table = ley_technology_params();
    ASSERT_OK(ley_technology_init(&file));
    ley_params_init(table, &defaults);
    for (int i = 0; i < table->n_rows; i++) {
        double value = ley_param_number(&table->rows[i], &file.technology);
        assert_true(strlen(file.note[i].source) > 3);
        assert_true(file.note[i].low <= value && value <= file.note[i].high);
        assert_true(value == ley_param_number(&table->rows[i], &defaults));
        assert_true(table->rows[i].low > 0); // nothing is free
    }
}

static void test_named_technologies_load(void **state) {
    (void)state;
    static const char *const names[] = {"paper", "dense", "osfet-stacked", "sram"};
    for (int i = 0; i < 4; i++) {
        struct ley_technology_file file;
        ASSERT_OK(ley_technology_init(&file));
        ASSERT_OK(ley_technology_load(&file, names[i]));
        assert_true(file.technology.price.control_j > 2e-10); // not stated: the paper's
    }
}

static void test_bad_numbers(void **state) {
    (void)state;
    const char *good = "value: 3e-14, unit: J, low: 1e-14, high: 1e-13, source: me";
    ASSERT_OK(load_number(good));
    ASSERT_FAILS(load_number("value: 3e-14, low: 1e-14, high: 1e-13, source: me"), LEY_E_FORMAT,
                 "price.addition_j has no unit; it must be J");
    ASSERT_FAILS(load_number("value: 3e-2, unit: pJ, low: 1e-2, high: 1e-1, source: me"),
                 LEY_E_FORMAT, "the unit of price.addition_j is 'pJ', must be J");
    ASSERT_FAILS(load_number("value: 3e-14, unit: J, low: 1e-14, high: 1e-13"), LEY_E_FORMAT,
                 "has no source");
    ASSERT_FAILS(load_number("value: 3e-14, unit: J, source: me"), LEY_E_FORMAT, "has no low");
    ASSERT_FAILS(load_number("unit: J, low: 1e-14, high: 1e-13, source: me"), LEY_E_FORMAT,
                 "has no value");
    ASSERT_FAILS(load_number("value: 3e-13, unit: J, low: 1e-14, high: 1e-13, source: me"),
                 LEY_E_FORMAT, "outside its own range");
    ASSERT_FAILS(load_number("value: 0, unit: J, low: 0, high: 1e-13, source: me"), LEY_E_ARGUMENT,
                 "price.addition_j is 0, must be 1e-18");
    ASSERT_FAILS(load_number("value: 3e-14, unit: J, low: -1e-14, high: 1e-13, source: me"),
                 LEY_E_ARGUMENT, "price.addition_j is -1e-14, must be 1e-18");
    ASSERT_FAILS(load_number("value: 3e-14, value: 3e-14, unit: J"), LEY_E_FORMAT, "given twice");
    ASSERT_FAILS(load_number("value: 3e-14, colour: red"), LEY_E_FORMAT, "'colour'");
    ASSERT_FAILS(load_number("value: [1]"), LEY_E_FORMAT, "no lists");
}

static void test_bad_files(void **state) {
    (void)state;
    ASSERT_FAILS(load_text("price:\n  addition_j: 3e-14\n"), LEY_E_FORMAT, "is a bare number");
    ASSERT_FAILS(load_text("price:\n  addition: {value: 1, unit: J}\n"), LEY_E_ARGUMENT,
                 "the nearest known one is 'price.addition_j'");
    ASSERT_FAILS(load_text("cell:\n  tau_s: 5e-3\n"), LEY_E_ARGUMENT,
                 "unknown parameter 'cell.tau_s'");
    ASSERT_FAILS(load_text("price: {addition_j: {value: 1"), LEY_E_FORMAT, "x.yaml:");
    ASSERT_FAILS(load_text(""), LEY_E_FORMAT, "empty");
    struct ley_technology_file file;
    ASSERT_OK(ley_technology_init(&file));
    ASSERT_FAILS(ley_technology_load(&file, "papper"), LEY_E_ARGUMENT,
                 "known are dense, osfet-stacked, paper, sram");
    ASSERT_FAILS(ley_technology_load(&file, "./no.yaml"), LEY_E_IO, "cannot open ./no.yaml");
    ASSERT_FAILS(ley_technology_set(&file, "price.control_j=-1"), LEY_E_ARGUMENT, "must be");
    ASSERT_FAILS(ley_technology_set(&file, "price.control=1"), LEY_E_ARGUMENT, "'price.control_j'");
    ASSERT_OK(ley_technology_set(&file, "price.control_j=1e-10"));
    assert_true(file.technology.price.control_j == 1e-10);
}

static void test_devices(void **state) {
    (void)state;
    struct ley_device_file device[LEY_MAX_DEVICES];
    int n;
    ASSERT_OK(ley_devices_load(device, &n));
    assert_int_equal(n, 4);
    assert_string_equal(device[0].name, "h100");
    assert_string_equal(device[3].name, "rtx_4090");
    for (int i = 0; i < n; i++) {
        for (int r = 0; r < 3; r++) { // peaks are stated for each
            assert_true(strlen(device[i].note[r].source) > 3);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paper_states_everything),
        cmocka_unit_test(test_named_technologies_load),
        cmocka_unit_test_setup_teardown(test_bad_numbers, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_bad_files, make_folder, remove_folder),
        cmocka_unit_test(test_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
