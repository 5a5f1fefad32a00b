// test_bank.c - the ring of tiles: where tokens go, how old they are, what is conserved
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

struct rig {
    struct ley_hardware hardware;
    struct ley_cell *cell;
    struct ley_bank *bank;
    int head_dim;
};

// A bank of `hw` with tiny tiles: 3 x 5 cells, so that every edge is near.
static void make_rig(struct rig *rig, const char *hw, int head_dim, int window, int ring) {
    rig->head_dim = head_dim;
    ASSERT_OK(ley_hardware_load(&rig->hardware, hw));
    rig->hardware.array.n_rows = 3;
    rig->hardware.array.n_columns = 5;
    rig->hardware.array.window = window;
    rig->hardware.array.ring = ring;
    ASSERT_OK(ley_hardware_check(&rig->hardware, 1));
    ASSERT_OK(ley_hardware_create_cell(&rig->cell, &rig->hardware));
    ASSERT_OK(ley_bank_create(&rig->bank, &rig->hardware, rig->cell, head_dim));
}

static void destroy_rig(struct rig *rig) {
    ley_bank_destroy(rig->bank);
    ley_cell_destroy(rig->cell);
}

static void write_random(struct rig *rig, uint64_t seed, double t_s, struct ley_ledger *ledger) {
    double k[64], v[64];
    fill_random(k, (size_t)rig->head_dim, seed * 2, 0, 0.9);
    fill_random(v, (size_t)rig->head_dim, seed * 2 + 1, 0, 0.9);
    ley_bank_write(rig->bank, k, v, t_s, ledger);
}

static void test_ring_places_and_ages(void **state) {
    (void)state;
    struct rig rig;
    make_rig(&rig, "paper", 4, 7, 0);
    const double period_s = rig.hardware.time.token_period_s;
    for (int s = 0; s < 24; s++) {
        write_random(&rig, (uint64_t)s, s * period_s, NULL);
        for (int c = 0; c < 7; c++) {
            int newest = s - (s - c + 7) % 7; // latest token <= s with token mod 7 == c
            assert_int_equal(ley_bank_token(rig.bank, c), newest >= 0 ? newest : -1);
            if (newest >= 0) {
                double age_s = ley_bank_age_s(rig.bank, c, (s + 0.5) * period_s);
                assert_true(fabs(age_s - (s + 0.5 - newest) * period_s) < 1e-12);
            }
        }
    }
    assert_int_equal(ley_bank_n_tokens(rig.bank), 24);
    ley_bank_reset(rig.bank);
    assert_int_equal(ley_bank_token(rig.bank, 3), -1);
    destroy_rig(&rig);
}

// Against the formula with explicit loops over what each column holds, written independently.
static void test_read_is_the_formula(void **state) {
    (void)state;
    const int D = 8, M = 12;
    struct rig rig;
    make_rig(&rig, "paper", D, M, 0);
    double k[40][8], v[40][8];
    const double *p = rig.hardware.cell.p_a, period_s = rig.hardware.time.token_period_s;
    for (int t = 0; t < 40; t++) {
        fill_random(k[t], 8, 100 + (uint64_t)t, 0, 0.9);
        fill_random(v[t], 8, 200 + (uint64_t)t, 0, 0.9);
        ley_bank_write(rig.bank, k[t], v[t], t * period_s, NULL);
        double q[8], y[8], want[8] = {0};
        fill_random(q, 8, 300 + (uint64_t)t, 0, 1);
        ley_bank_read(y, rig.bank, q, t * period_s, NULL, NULL);
        for (int tile = 0; tile * 5 < M; tile++) {
            double a[8] = {0};
            for (int s = t < M - 1 ? 0 : t - M + 1; s <= t; s++) {
                if (s % M / 5 != tile) {
                    continue;
                }
                double delta = exp(-(t - s) * period_s / 5e-3), S = 0;
                for (int d = 0; d < D; d++) {
                    double u = (rint(k[s][d] / (0.9 / 7)) * (0.9 / 7) - 0.45) * delta;
                    S += rint(q[d] * 15) / 15 * (p[0] + p[1] * u + p[2] * u * u + p[3] * u * u * u);
                }
                double phi = fmin(fmax(S / 80e-6, 0), 1);
                for (int d = 0; d < D; d++) {
                    double u = (rint(v[s][d] / (0.9 / 7)) * (0.9 / 7) - 0.45) * delta;
                    a[d] += phi * (p[0] + p[1] * u + p[2] * u * u + p[3] * u * u * u);
                }
            }
            for (int d = 0; d < D; d++) {
                want[d] += rint(fmin(fmax(a[d] / 40e-6, -1), 1) / (2.0 / 31)) * (2.0 / 31);
            }
        }
        assert_true(largest_difference(y, want, 8) < 1e-12);
    }
    destroy_rig(&rig);
}

static void test_unwritten_and_left_columns_are_gated(void **state) {
    (void)state;
    struct rig rig;
    make_rig(&rig, "paper", 4, 6, 11); // ring longer than the window
    const double period_s = rig.hardware.time.token_period_s;
    double q[] = {1, 1, 1, 1}, y[4];
    ley_bank_read(y, rig.bank, q, 0, NULL, NULL); // nothing written: nothing flows
    assert_true(y[0] == 0 && y[1] == 0 && y[2] == 0 && y[3] == 0);
    for (int s = 0; s < 30; s++) {
        struct ley_ledger ledger = {0};
        write_random(&rig, (uint64_t)s, s * period_s, NULL);
        ley_bank_read(y, rig.bank, q, s * period_s, NULL, &ledger);
        assert_int_equal(ledger.score_conversions, s < 6 ? s + 1 : 6);
    }
    destroy_rig(&rig);
}

// With a linear cell, no steps and no saturation, the output is linear in v.
static void test_linear_when_ideal(void **state) {
    (void)state;
    struct rig rig;
    make_rig(&rig, "ideal", 4, 5, 0);
    rig.hardware.converter.output_i_sat_a = 1e-3;
    double q[4], k[4], v[3][4], y[3][4];
    fill_random(q, 4, 1, 0, 1);
    fill_random(k, 4, 2, 0.5, 0.9);
    fill_random(v[0], 4, 3, 0.3, 0.6);
    fill_random(v[1], 4, 4, 0.3, 0.6);
    for (int d = 0; d < 4; d++) {
        v[2][d] = 0.45 + (v[0][d] - 0.45) + (v[1][d] - 0.45);
    }
    for (int i = 0; i < 3; i++) {
        ley_bank_reset(rig.bank);
        ley_bank_write(rig.bank, k, v[i], 0, NULL);
        ley_bank_read(y[i], rig.bank, q, 0, NULL, NULL);
    }
    for (int d = 0; d < 4; d++) {
        assert_true(fabs(y[0][d] + y[1][d] - y[2][d]) < 1e-15);
    }
    assert_true(fabs(y[0][0]) > 1e-4);
    destroy_rig(&rig);
}

// What arrives at the integrators is what the cells gave, and no more than their magnitudes.
static void test_charge_is_conserved(void **state) {
    (void)state;
    struct rig rig;
    make_rig(&rig, "cmos", 7, 9, 0);
    struct ley_ledger ledger = {0};
    double net_c = 0, phi_time_s = 0;
    for (int t = 0; t < 25; t++) {
        double q[7], y[7], s[32] = {0}, phi[32] = {0};
        struct ley_read_trace trace = {.s = s, .phi = phi};
        fill_random(q, 7, 50 + (uint64_t)t, 0, 1);
        write_random(&rig, (uint64_t)t, t * 1e-6, &ledger);
        ley_bank_read(y, rig.bank, q, t * 1e-6, &trace, &ledger);
        for (int i = 0; i <= t; i++) {
            net_c += s[i] * 80e-6 * 15e-9;
            phi_time_s += phi[i] * 15e-9;
        }
    }
    assert_true(fabs(ledger.k_net_charge_c - net_c) < 1e-12 * ledger.k_charge_c);
    assert_true(fabs(ledger.phi_line_time_s - phi_time_s) < 1e-12 * phi_time_s);
    assert_true(fabs(ledger.k_net_charge_c) <= ledger.k_charge_c);
    assert_true(fabs(ledger.v_net_charge_c) <= ledger.v_charge_c);
    assert_true(ledger.k_charge_c > 0 && ledger.v_charge_c > 0);
    destroy_rig(&rig);
}

static void test_events_are_counted(void **state) {
    (void)state;
    struct rig rig;
    make_rig(&rig, "paper", 7, 9, 0); // 7 rows: 3 sub-arrays; 9 columns: 2 tiles
    struct ley_ledger ledger = {0};
    double q[7] = {1, 1, 1, 1, 1, 1, 1}, y[7];
    for (int t = 0; t < 10; t++) {
        write_random(&rig, (uint64_t)t, t * 1e-6, &ledger);
    }
    ley_bank_read(y, rig.bank, q, 10e-6, NULL, &ledger);
    assert_int_equal(ledger.columns_written, 10);
    assert_int_equal(ledger.cells_written, 10 * 7 * 2);
    assert_int_equal(ledger.write_dac_conversions, 10 * 7 * 2);
    assert_int_equal(ledger.pulse_dac_conversions, 7);
    assert_int_equal(ledger.queries, 1);
    assert_int_equal(ledger.tiles_read, 2 * 3);
    assert_int_equal(ledger.k_cell_reads, 9 * 7);
    assert_int_equal(ledger.v_cell_reads, 9 * 7);
    assert_int_equal(ledger.score_conversions, 9);
    assert_int_equal(ledger.output_conversions, 2 * 7);
    assert_int_equal(ledger.digital_additions, 2 * 7);
    assert_true(fabs(ledger.q_line_time_s - 2 * 7 * 15e-9) < 1e-20); // seven full pulses, two tiles
    destroy_rig(&rig);
}

// Idle time leaks: the same read later gives less, down to the constant of the cubic law.
static void test_time_moves_forward(void **state) {
    (void)state;
    struct rig rig;
    make_rig(&rig, "paper-linear", 4, 5, 0);
    double q[] = {1, 1, 1, 1}, k[] = {0.9, 0.9, 0.9, 0.9}, y[4], last = 1e9;
    rig.hardware.converter.output_levels = 0;
    ley_bank_write(rig.bank, k, k, 0, NULL);
    for (int i = 0; i < 20; i++) {
        ley_bank_read(y, rig.bank, q, i * 1e-3, NULL, NULL);
        assert_true(y[0] > 0 && y[0] < last);
        last = y[0];
    }
    destroy_rig(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_places_and_ages),
        cmocka_unit_test(test_read_is_the_formula),
        cmocka_unit_test(test_unwritten_and_left_columns_are_gated),
        cmocka_unit_test(test_linear_when_ideal),
        cmocka_unit_test(test_charge_is_conserved),
        cmocka_unit_test(test_events_are_counted),
        cmocka_unit_test(test_time_moves_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
