// test_quantiser.c - the grid of the converters against the published quantiser, ties included
#include <cjson/cJSON.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "circuit/dac.h"
#include "support/support.h"

// float64 must agree to the bit, also at ties: the same division, the same half-to-even.
static void check_case(const char *folder) {
    struct cJSON *meta = load_meta(folder);
    double low = cJSON_GetObjectItem(meta, "vmin")->valuedouble;
    double high = cJSON_GetObjectItem(meta, "vmax")->valuedouble;
    int n_levels = cJSON_GetObjectItem(meta, "n_levels")->valueint;
    struct ley_quantiser grid = ley_quantiser_make(low, high, n_levels);
    int64_t n, n_y;
    double *x = load_array(&n, NULL, folder, "x_f8.npy"),
           *y = load_array(&n_y, NULL, folder, "y_f8.npy");
    assert_true(n == n_y && n > 100);
    for (int64_t i = 0; i < n; i++) {
        if (ley_quantise(&grid, x[i]) != y[i]) {
            fail_msg("%s: x[%lld] = %.17g gives %.17g, want %.17g", folder, (long long)i, x[i],
                     ley_quantise(&grid, x[i]), y[i]);
        }
    }
    ley_free(x);
    ley_free(y);
    cJSON_Delete(meta);
}

static void check_folder(const char *folder) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int n_cases = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strncmp(entry->d_name, "quant_", 6) == 0) {
            char path[2048];
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            check_case(path);
            n_cases++;
        }
    }
    closedir(dir);
    assert_true(n_cases >= 3);
}

static void test_published_grid(void **state) {
    (void)state;
    check_folder(source_path("tests/golden/oracle/quant"));
}

static void test_published_grid_more(void **state) {
    (void)state;
    if (!oracle_folder()) {
        skip();
    }
    char path[2048];
    snprintf(path, sizeof path, "%s/quant", oracle_folder());
    check_folder(path);
}

static void test_stored_levels_are_never_zero(void **state) {
    (void)state;
    struct ley_converter_spec spec = {.kv_levels = 8};
    struct ley_quantiser grid = ley_write_grid(&spec, 0.9);
    for (int code = 0; code < 8; code++) { // S1.3: u = +-1, +-3, +-5, +-7 times 0.9/14 V
        double u = ley_quantise(&grid, code * 0.9 / 7) - 0.45;
        assert_true(fabs(u - (2 * code - 7) * 0.9 / 14) < 1e-15);
    }
    assert_true(ley_quantise(&grid, 0.45) < 0.45); // the middle goes down, as published
}

static void test_dac_clips_then_rounds(void **state) {
    (void)state;
    struct ley_converter_spec spec = {.q_levels = 16, .kv_levels = 8};
    struct ley_quantiser pulses = ley_pulse_grid(&spec);
    struct ley_ledger ledger = {0};
    const double q[] = {-3, 0.034, 0.5, 0.99, 42};
    double pulse[5];
    ley_dac_pulses(pulse, q, 5, &pulses, &ledger);
    const double want[] = {0, 1 / 15.0, 8 / 15.0, 1, 1};
    assert_true(largest_difference(pulse, want, 5) < 1e-15);
    assert_int_equal(ledger.pulse_dac_conversions, 5);
}

static void test_quantising_twice_changes_nothing(void **state) {
    (void)state;
    struct ley_quantiser grid = ley_quantiser_make(0, 0.9, 8), none = ley_quantiser_make(0, 1, 0);
    for (uint64_t i = 0; i < 1000; i++) {
        double x = random_between(1, i, 0, 0.9), y = ley_quantise(&grid, x);
        assert_true(ley_quantise(&grid, y) == y);
        assert_true(fabs(x - y) <= grid.step / 2 * (1 + 1e-12));
        assert_true(ley_quantise(&none, x) == x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_grid),
        cmocka_unit_test(test_published_grid_more),
        cmocka_unit_test(test_stored_levels_are_never_zero),
        cmocka_unit_test(test_dac_clips_then_rounds),
        cmocka_unit_test(test_quantising_twice_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
