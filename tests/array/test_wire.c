// test_wire.c - IR drop along bit lines (M51)
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CELLS = 600 };

static struct ley_hardware hardware;
static struct ley_cell *cell;

static int start(void **state) {
    (void)state;
    if (ley_hardware_load(&hardware, "paper") != LEY_OK) {
        return -1;
    }
    hardware.array.arithmetic = LEY_ARITHMETIC_DOUBLE;
    hardware.array.r_line_ohm = 3;
    return ley_hardware_create_cell(&cell, &hardware) == LEY_OK ? 0 : -1;
}

static int stop(void **state) {
    (void)state;
    ley_cell_destroy(cell);
    return 0;
}

static int compare(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

// The same by another way: between the ends of pulses everything stands still, so the voltages of
// the wire follow from currents summed along it.
static double walk(const double *width, const double *u_v, const struct ley_decay *decay, int n) {
    const struct ley_cell_spec *spec = &hardware.cell;
    double end[MAX_CELLS], error_a = 0, before = 0;
    memcpy(end, width, (size_t)n * sizeof *end);
    qsort(end, (size_t)n, sizeof *end, compare);
    for (int k = 0; k < n; k++) {
        double below_a = 0, drop_v = 0; // current that passes a piece of wire; voltage up to it
        for (int j = 0; j < n; j++) {
            below_a += width[j] > before ? ley_cell_current(cell, u_v[j] * decay[j].u_scale) : 0;
        }
        for (int d = 0; d < n; d++) {
            double u = u_v[d] * decay[d].u_scale, square = u * u;
            double g_s =
                spec->g0_s + spec->g2_s_per_v2 * square + spec->g4_s_per_v4 * square * square;
            drop_v += hardware.array.r_line_ohm * below_a;
            if (width[d] > before) {
                error_a -= g_s * drop_v * (end[k] - before);
                below_a -= ley_cell_current(cell, u);
            }
        }
        before = end[k];
    }
    return error_a;
}

static void test_drop_is_what_the_wire_gives(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 17, 64, MAX_CELLS}; // the last needs several blocks
    double width[MAX_CELLS], u_v[MAX_CELLS];
    struct ley_decay decay[MAX_CELLS];
    struct ley_column columns[MAX_CELLS];
    fill_random(width, MAX_CELLS, 1, -0.3, 1);
    fill_random(u_v, MAX_CELLS, 2, -0.45, 0.45);
    for (int i = 0; i < MAX_CELLS; i++) {
        width[i] = fmax(width[i], 0); // some lines are not pulsed
        decay[i] = (struct ley_decay){0.9, 1};
        columns[i] = (struct ley_column){NULL, &u_v[i], decay[i], i};
    }
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        int n = sizes[k];
        struct ley_column column = {u_v, NULL, decay[0], 0};
        double want = walk(width, u_v, decay, n);
        double got_k = ley_wire_error_k(&hardware, cell, width, &column, n);
        double got_v = ley_wire_error_v(&hardware, cell, width, columns, n, 0);
        assert_true(fabs(got_k - want) <= 1e-12 * fabs(want));
        assert_true(got_v == got_k);
    }
}

// Through a bank: with the line the scores move by that error, without it nothing changes.
static void test_banks_see_the_wire(void **state) {
    (void)state;
    enum { D = 8 };
    double k_v[D], v_v[D], q[D], sum[D], s[2], plain = 0, wired = 0;
    fill_random(k_v, D, 3, 0, 0.9);
    fill_random(v_v, D, 4, 0, 0.9);
    fill_random(q, D, 5, 0.1, 1);
    struct ley_read_trace trace = {.s = s};
    for (int pass = 0; pass < 2; pass++) {
        struct ley_hardware chip = hardware;
        chip.array.r_line_ohm = pass ? 2000 : 0;
        struct ley_bank *bank;
        ASSERT_OK(ley_bank_create(&bank, &chip, cell, D));
        ley_bank_write(bank, k_v, v_v, 0, NULL);
        ley_bank_read(sum, bank, q, 0, &trace, NULL);
        *(pass ? &wired : &plain) = s[0] * chip.converter.score_i_sat_a;
        ley_bank_destroy(bank);
    }
    struct ley_hardware chip = hardware;
    chip.array.r_line_ohm = 2000;
    double w_v[D], pulse[D], u_v[D];
    struct ley_quantiser pulses = ley_pulse_grid(&chip.converter);
    struct ley_quantiser levels = ley_write_grid(&chip.converter, chip.cell.v_dd_v);
    ley_dac_pulses(pulse, q, D, &pulses, NULL);
    ley_dac_voltages(w_v, k_v, D, &levels, NULL);
    for (int d = 0; d < D; d++) {
        u_v[d] = ley_cell_write(cell, w_v[d]);
    }
    struct ley_column column = {u_v, NULL, {1, 1}, 0};
    double error_a = ley_wire_error_k(&chip, cell, pulse, &column, D);
    assert_true(fabs(error_a) > 1e-9);
    assert_true(fabs(wired - plain - error_a) < 1e-15);
}

// Integers do not know of wires: auto goes to double, fixed is refused.
static void test_integers_have_no_wire(void **state) {
    (void)state;
    struct ley_hardware chip = hardware;
    struct ley_fixed *fixed;
    chip.array.arithmetic = LEY_ARITHMETIC_AUTO;
    assert_false(ley_hardware_is_fixed(&chip));
    chip.array.r_line_ohm = 0;
    assert_true(ley_hardware_is_fixed(&chip));
    chip.array.r_line_ohm = 1;
    chip.array.arithmetic = LEY_ARITHMETIC_FIXED;
    ASSERT_FAILS(ley_fixed_create(&fixed, &chip, cell, 8), LEY_E_ARGUMENT, "array.r_line_ohm");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drop_is_what_the_wire_gives),
        cmocka_unit_test(test_banks_see_the_wire),
        cmocka_unit_test(test_integers_have_no_wire),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
