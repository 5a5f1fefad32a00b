// test_cell_table.c - tables a user may bring: cut, interpolation, mistakes
#include <math.h>
#include <string.h>

#include "device/cell_table.h"
#include "support/support.h"

static enum ley_status read_text(struct ley_curve **curve, const char *text, double v_read_v) {
    return ley_cell_table_read(curve, text, strlen(text), "t.csv", v_read_v);
}

static void test_points_are_met(void **state) {
    (void)state;
    struct ley_curve *curve;
    ASSERT_OK(read_text(&curve, "Iout_uA, Vstore_V\n3,0.9\n-2,0\r\n\n# note\n1,0.5\n", 0.9));
    assert_true(fabs(ley_curve_value(curve, 0) + 2e-6) < 1e-20);
    assert_true(fabs(ley_curve_value(curve, 0.5) - 1e-6) < 1e-20);
    assert_true(fabs(ley_curve_value(curve, 0.9) - 3e-6) < 1e-20);
    assert_true(ley_curve_value(curve, -1) == ley_curve_value(curve, 0)); // constant outside
    assert_true(ley_curve_value(curve, 2) == ley_curve_value(curve, 0.9));
    ley_curve_destroy(curve);
}

static void test_cut_between_read_voltages(void **state) {
    (void)state;
    struct ley_curve *curve;
    const char *text = "Vstore_V,Vin_V,Iout_uA\n0,0.8,0\n0,1.0,2\n1,0.8,10\n1,1.0,20\n";
    ASSERT_OK(read_text(&curve, text, 0.85));
    assert_true(fabs(ley_curve_value(curve, 0) - 0.5e-6) < 1e-18);
    assert_true(fabs(ley_curve_value(curve, 1) - 12.5e-6) < 1e-18);
    ley_curve_destroy(curve);
    ASSERT_FAILS(read_text(&curve, text, 0.7), LEY_E_ARGUMENT, "0.8..1 V");
    ASSERT_FAILS(read_text(&curve, text, 1.1), LEY_E_ARGUMENT, "cell.v_read_v is 1.1");
}

static void test_monotone_points_give_a_monotone_curve(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        double x[12], y[12], at_x = 0, at_y = -5;
        for (uint64_t i = 0; i < 12; i++) { // steps over three decades: where splines overshoot
            at_x += pow(10, random_between(seed, 2 * i, -2, 0));
            at_y += pow(10, random_between(seed, 2 * i + 1, -3, 1));
            x[i] = at_x;
            y[i] = at_y;
        }
        struct ley_curve *curve;
        ASSERT_OK(ley_curve_create(&curve, x, y, 12));
        double last = -1e9;
        for (int i = 0; i <= 5000; i++) {
            double now = ley_curve_value(curve, x[0] + (x[11] - x[0]) * i / 5000);
            assert_true(now >= last - 1e-12 && now <= y[11] + 1e-12);
            last = now;
        }
        ley_curve_destroy(curve);
    }
}

static void test_mistakes(void **state) {
    (void)state;
    struct ley_curve *curve;
    ASSERT_FAILS(read_text(&curve, "", 0.9), LEY_E_FORMAT, "no header");
    ASSERT_FAILS(read_text(&curve, "V,I\n0,1\n", 0.9), LEY_E_FORMAT, "Vstore_V");
    ASSERT_FAILS(read_text(&curve, "Vstore_V,Iout_uA\n0,x\n", 0.9), LEY_E_FORMAT, "t.csv:2");
    ASSERT_FAILS(read_text(&curve, "Vstore_V,Iout_uA\n0,nan\n", 0.9), LEY_E_FORMAT, "t.csv:2");
    ASSERT_FAILS(read_text(&curve, "Vstore_V,Iout_uA\n0,1e300\n", 0.9), LEY_E_FORMAT, "t.csv:2");
    ASSERT_FAILS(read_text(&curve, "Vstore_V,Iout_uA\n0\n", 0.9), LEY_E_FORMAT, "t.csv:2");
    ASSERT_FAILS(read_text(&curve, "Vstore_V,Iout_uA\n0,1\n", 0.9), LEY_E_FORMAT, "at least two");
    ASSERT_FAILS(read_text(&curve, "Vstore_V,Iout_uA\n0,1\n1e-8,2\n", 0.9), LEY_E_FORMAT,
                 "too close");
    ASSERT_FAILS(read_text(&curve, "Vstore_V,Iout_uA\n0,1\n0,2\n1,3\n", 0.9), LEY_E_FORMAT, "grid");
    ASSERT_FAILS(read_text(&curve, "Vstore_V,Vin_V,Iout_uA\n0,1,1\n0,2,2\n1,1,3\n1,3,4\n", 1),
                 LEY_E_FORMAT, "not a full grid");
    ASSERT_FAILS(ley_cell_table_read(&curve, "a\0b", 3, "t.csv", 0.9), LEY_E_FORMAT, "text");
    ASSERT_FAILS(ley_cell_table_load(&curve, "/nowhere.csv", 0.9), LEY_E_IO, "/nowhere.csv");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_points_are_met),
        cmocka_unit_test(test_cut_between_read_voltages),
        cmocka_unit_test(test_monotone_points_give_a_monotone_curve),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
