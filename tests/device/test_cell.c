// test_cell.c - laws of the cell and its leakage, against the published constants
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/support.h"

static struct ley_hardware hardware_of(const char *name) {
    struct ley_hardware hardware;
    ASSERT_OK(ley_hardware_load(&hardware, name));
    return hardware;
}

static struct ley_cell *cell_of(const struct ley_hardware *hardware) {
    struct ley_cell *cell;
    ASSERT_OK(ley_hardware_create_cell(&cell, hardware));
    return cell;
}

// S1.5: the ten published coefficients c[idx] of u^i V_in^j, i = 0..3, j = 0..3-i, at V_in = 0.9 V
static double published_polynomial_ua(double u) {
    static const double c[] = {0.17393044, 0.15653739, 0.14088365,  0.12679529,  5.51975209,
                               4.96777688, 4.4709992,  -1.44776001, -1.30298401, 46.05483778};
    double sum = 0;
    int index = 0;
    for (int i = 0; i <= 3; i++) {
        for (int j = 0; j <= 3 - i; j++) {
            sum += c[index++] * pow(u, i) * pow(0.9, j);
        }
    }
    return sum;
}

static void test_cubic_is_the_published_polynomial(void **state) {
    (void)state;
    struct ley_hardware hardware = hardware_of("paper");
    struct ley_cell *cell = cell_of(&hardware);
    for (int i = 0; i <= 90; i++) {
        double u = ley_cell_write(cell, i * 0.01);
        assert_true(fabs(1e6 * ley_cell_current(cell, u) - published_polynomial_ua(u)) < 1e-12);
        assert_true(fabs(ley_cell_current_f32(cell, (float)u) - ley_cell_current(cell, u)) < 2e-12);
    }
    ley_cell_destroy(cell);
}

static void test_linear(void **state) {
    (void)state;
    struct ley_hardware hardware = hardware_of("paper-linear");
    struct ley_cell *cell = cell_of(&hardware);
    assert_true(fabs(ley_cell_current(cell, 0.3) - 19.3e-6 * 0.3) < 1e-20); // S1.6
    assert_true(ley_cell_current(cell, 0) == 0);
    ley_cell_destroy(cell);
}

// S1.4: full scale +9.97 / -10.15 uA, true zero at 0.409 V, +0.48 uA at 0.45 V
static void test_table(void **state) {
    (void)state;
    struct ley_hardware hardware = hardware_of("cmos");
    struct ley_cell *cell = cell_of(&hardware);
    assert_true(fabs(1e6 * ley_cell_current(cell, 0.45) - 9.97) < 0.005);
    assert_true(fabs(1e6 * ley_cell_current(cell, -0.45) + 10.15) < 0.005);
    assert_true(fabs(1e6 * ley_cell_current(cell, 0) - 0.48) < 0.005);
    assert_true(ley_cell_current(cell, 0.409 - 0.45 - 0.001) < 0);
    assert_true(ley_cell_current(cell, 0.409 - 0.45 + 0.001) > 0);
    double last = -1;
    for (int i = 0; i <= 9000; i++) {
        double now = ley_cell_current(cell, i * 1e-4 - 0.45);
        assert_true(now > last);
        assert_true(fabs(ley_cell_current_f32(cell, (float)(i * 1e-4 - 0.45)) - now) < 1e-11);
        last = now;
    }
    ley_cell_destroy(cell);
}

// S4.6: coefficients as printed there, 0 at u = 0, and the swing of 19.3 uA
static void test_other_shapes(void **state) {
    (void)state;
    static const struct {
        const char *preset;
        double coefficient_ua, at_03; // g(0.3)
    } laws[] = {
        {"nl-x3", 105.90, 0.027},
        {"nl-x5", 522.96, 0.00243},
        {"nl-sigmoid", 19.734, 0.45257412682243322},
        {"nl-exponential", 5.3638, 1.45960311115694967},
    };
    for (size_t i = 0; i < sizeof laws / sizeof laws[0]; i++) {
        struct ley_hardware hardware = hardware_of(laws[i].preset);
        struct ley_cell *cell = cell_of(&hardware);
        double at_03_ua = 1e6 * ley_cell_current(cell, 0.3);
        assert_true(fabs(at_03_ua / laws[i].at_03 - laws[i].coefficient_ua) < 5e-3);
        double swing_a = ley_cell_current(cell, 0.45) - ley_cell_current(cell, -0.45);
        assert_true(fabs(swing_a - 19.3e-6) < 1e-19);
        assert_true(ley_cell_current(cell, 0) == 0);
        for (int u = -45; u <= 45; u++) {
            double in_double = ley_cell_current(cell, u * 0.01);
            assert_true(fabs(ley_cell_current_f32(cell, (float)(u * 0.01)) - in_double) < 1e-11);
        }
        ley_cell_destroy(cell);
    }
}

// Against central differences: off by h^2, where a table's pieces meet by h.
static void test_slope_is_the_derivative(void **state) {
    (void)state;
    static const char *const presets[] = {"paper", "paper-linear", "cmos",          "nl-x3",
                                          "nl-x5", "nl-sigmoid",   "nl-exponential"};
    const double h = 1e-5;
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        struct ley_hardware hardware = hardware_of(presets[i]);
        struct ley_cell *cell = cell_of(&hardware);
        for (int u = -44; u <= 44; u++) {
            double x = u * 0.01 + 0.0003;
            double want = (ley_cell_current(cell, x + h) - ley_cell_current(cell, x - h)) / (2 * h);
            assert_true(fabs(ley_cell_slope(cell, x) - want) < 1e-4 * 19.3e-6);
        }
        ley_cell_destroy(cell);
    }
    struct ley_hardware table = hardware_of("cmos");
    struct ley_cell *cell = cell_of(&table);
    assert_true(ley_cell_slope(cell, 2) == 0 && ley_cell_slope(cell, -2) == 0);
    ley_cell_destroy(cell);
}

// Decay per lag against the published mask in float64
static void check_decay(const char *folder, const char *name) {
    char path[2048];
    double per_token;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(sscanf(name, "decay_%lf", &per_token), 1);
    int64_t n;
    double *want = load_array(&n, NULL, path, "decay_f8.npy");
    struct ley_hardware hardware = hardware_of("paper");
    hardware.cell.tau_s = hardware.time.token_period_s / per_token;
    struct ley_cell *cell = cell_of(&hardware);
    for (int64_t lag = 0; lag < n; lag++) {
        double age_s = ley_clock_age_s(lag, hardware.time.token_period_s);
        assert_true(fabs(ley_cell_decay(cell, age_s).u_scale - want[lag]) < 1e-12);
    }
    ley_cell_destroy(cell);
    ley_free(want);
}

static void check_decays(const char *folder) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    int n_cases = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strncmp(entry->d_name, "decay_", 6) == 0) {
            check_decay(folder, entry->d_name);
            n_cases++;
        }
    }
    closedir(dir);
    assert_true(n_cases >= 3);
}

static void test_decay_is_published(void **state) {
    (void)state;
    check_decays(source_path("tests/golden/oracle/decay"));
    if (oracle_folder()) {
        char path[2048];
        snprintf(path, sizeof path, "%s/decay", oracle_folder());
        check_decays(path);
    }
}

static void test_decay_semigroup(void **state) {
    (void)state;
    struct ley_hardware hardware = hardware_of("paper");
    struct ley_cell *cell = cell_of(&hardware);
    for (uint64_t i = 0; i < 100; i++) {
        double a = random_between(3, 2 * i, 0, 1e-2), b = random_between(3, 2 * i + 1, 0, 1e-2);
        double both = ley_cell_decay(cell, a + b).u_scale;
        double apart = ley_cell_decay(cell, a).u_scale * ley_cell_decay(cell, b).u_scale;
        assert_true(fabs(both - apart) < 1e-15);
        assert_true(ley_cell_decay(cell, a + b).u_scale <= ley_cell_decay(cell, a).u_scale);
    }
    ley_cell_destroy(cell);
}

// S1.7: the i-th power of u decays as delta^i and the constant does not; `uniform` decays all
static void test_decay_kinds(void **state) {
    (void)state;
    struct ley_hardware hardware = hardware_of("paper");
    const double *p = hardware.cell.p_a, u = 0.3, age_s = 2e-3;
    struct ley_cell *cell = cell_of(&hardware);
    struct ley_decay decay = ley_cell_decay(cell, age_s);
    double d = exp(-age_s / 5e-3),
           want = p[0] + p[1] * d * u + p[2] * d * d * u * u + p[3] * d * d * d * u * u * u;
    assert_true(fabs(ley_cell_current(cell, u * decay.u_scale) * decay.i_scale - want) < 1e-20);
    assert_true(fabs(ley_cell_current(cell, 0 * decay.u_scale) * decay.i_scale - p[0]) < 1e-20);
    ley_cell_destroy(cell);

    hardware.cell.leakage = LEY_LEAK_UNIFORM;
    cell = cell_of(&hardware);
    decay = ley_cell_decay(cell, age_s);
    assert_true(fabs(ley_cell_current(cell, 0) * decay.i_scale - p[0] * d) < 1e-20);
    ley_cell_destroy(cell);

    hardware.cell.leakage = LEY_LEAK_NONE;
    cell = cell_of(&hardware);
    decay = ley_cell_decay(cell, age_s);
    assert_true(decay.u_scale == 1 && decay.i_scale == 1);
    ley_cell_destroy(cell);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cubic_is_the_published_polynomial),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_other_shapes),
        cmocka_unit_test(test_slope_is_the_derivative),
        cmocka_unit_test(test_decay_is_published),
        cmocka_unit_test(test_decay_semigroup),
        cmocka_unit_test(test_decay_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
