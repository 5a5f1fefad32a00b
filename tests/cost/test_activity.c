// test_activity.c - expected events of random codes against a simulated ledger
#include <math.h>
#include <string.h>

#include "array/bank.h"
#include "support/support.h"

enum { WIDTH = 64, BANKS = 24, READS = 12 };

// Banks filled with random codes: events of a write, and the mean of some reads of each.
struct sample {
    struct ley_hardware hardware;
    struct ley_cell *cell;
    struct ley_activity write, read[BANKS];
};

// A code of n levels as a value 0..1.
static double random_code(uint64_t seed, uint64_t i, int n) {
    double x = random_between(seed, i, 0, n);
    return fmin(floor(x), n - 1) / (n - 1);
}

static void fill(struct ley_bank *bank, struct sample *sample, uint64_t n_bank) {
    double k[WIDTH], v[WIDTH];
    struct ley_ledger ledger = {0};
    int window = sample->hardware.array.window;
    for (int t = 0; t < window; t++) {
        for (int d = 0; d < WIDTH; d++) {
            uint64_t i = (uint64_t)(t * WIDTH + d) + (n_bank << 32);
            k[d] = 0.9 * random_code(1, i, 8);
            v[d] = 0.9 * random_code(2, i, 8);
        }
        ley_bank_write(bank, k, v, t * sample->hardware.time.token_period_s, &ledger);
    }
    sample->write = ley_activity_of(&ledger, window);
}

// Every query at the time of the last write: ages are 0, 1 ... window - 1 periods.
static struct ley_activity read_bank(struct ley_bank *bank, const struct sample *sample,
                                     uint64_t n_bank) {
    double now_s = (sample->hardware.array.window - 1) * sample->hardware.time.token_period_s;
    struct ley_ledger ledger = {0};
    for (int n = 0; n < READS; n++) {
        double q[WIDTH], sum[WIDTH];
        for (int d = 0; d < WIDTH; d++) {
            q[d] = random_code(3, (uint64_t)(n * WIDTH + d) + (n_bank << 32), 16);
        }
        ley_bank_read(sum, bank, q, now_s, NULL, &ledger);
    }
    return ley_activity_of(&ledger, READS);
}

static void simulate(struct sample *sample, const char *pair) {
    memset(sample, 0, sizeof *sample);
    ASSERT_OK(ley_hardware_load(&sample->hardware, "paper"));
    if (pair) {
        ASSERT_OK(ley_params_set_pair(ley_hardware_params(), &sample->hardware, pair));
    }
    ASSERT_OK(ley_hardware_create_cell(&sample->cell, &sample->hardware));
    for (int n = 0; n < BANKS; n++) {
        struct ley_bank *bank;
        ASSERT_OK(ley_bank_create(&bank, &sample->hardware, sample->cell, WIDTH));
        fill(bank, sample, (uint64_t)n);
        sample->read[n] = read_bank(bank, sample, (uint64_t)n);
        ley_bank_destroy(bank);
    }
}

// Mean over banks, which are independent, within 4 standard errors of the expectation; 0.2 % more
// for what the expectation neglects (pulses of a tile share q).
static void compare(const struct sample *sample, const struct ley_activity *expected, int event) {
    double mean = 0, square = 0, want = ley_activity_value(expected, event);
    for (int n = 0; n < BANKS; n++) {
        double x = ley_activity_value(&sample->read[n], event);
        mean += x / BANKS;
        square += x * x / BANKS;
    }
    double error = sqrt(fmax(0, square - mean * mean) / (BANKS - 1));
    if (fabs(mean - want) > 4 * error + 2e-3 * fabs(want)) {
        int n;
        fail_msg("%s: %.6g, expected %.6g +- %.2g", ley_events(&n)[event].name, mean, want, error);
    }
}

static void compare_all(const char *pair) {
    static struct sample sample;
    struct ley_activity expected;
    int n_events;
    const struct ley_event *events = ley_events(&n_events);
    simulate(&sample, pair);
    ley_activity_uniform(&expected, &sample.hardware, sample.cell, WIDTH, 1);
    for (int i = 0; i < n_events; i++) {
        double write = ley_activity_value(&sample.write, i);
        if (write > 0) { // what writes count is certain
            assert_true(write == ley_activity_value(&expected, i));
        } else if (strcmp(events[i].name, "scaler_operations") != 0) { // not the bank's
            compare(&sample, &expected, i);
        }
    }
    ley_cell_destroy(sample.cell);
}

static void test_uniform_codes_match_a_simulated_ledger(void **state) {
    (void)state;
    compare_all(NULL);
}

static void test_uniform_codes_of_other_chips(void **state) {
    (void)state;
    compare_all("cell.law=table");
    compare_all("time.token_period_s=2e-6");
    compare_all("array.window=200");
}

// The head writes once for its group, and works its scalers.
static void test_groups_share_the_write(void **state) {
    (void)state;
    struct ley_hardware hardware;
    struct ley_cell *cell;
    struct ley_activity alone, group;
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_hardware_create_cell(&cell, &hardware));
    ley_activity_uniform(&alone, &hardware, cell, WIDTH, 1);
    ley_activity_uniform(&group, &hardware, cell, WIDTH, 3);
    assert_true(fabs(group.cells_written - alone.cells_written / 3) < 1e-9);
    assert_true(alone.scaler_operations == 256);
    assert_true(fabs(group.scaler_operations - (128 + 128 / 3.0)) < 1e-9);
    assert_true(group.k_charge_c == alone.k_charge_c);
    ley_cell_destroy(cell);
}

// M35: a chip that rewrites its columns: three times each before they leave the window.
static void test_refresh_is_expected(void **state) {
    (void)state;
    struct ley_hardware hardware;
    struct ley_cell *cell;
    struct ley_activity plain, refreshed;
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_hardware_create_cell(&cell, &hardware));
    ley_activity_uniform(&plain, &hardware, cell, WIDTH, 1);
    hardware.array.refresh = LEY_REFRESH_EVERY;
    ley_activity_uniform(&refreshed, &hardware, cell, WIDTH, 1);
    assert_true(refreshed.cells_written == plain.cells_written + 6 * WIDTH);
    assert_true(refreshed.write_dac_conversions == plain.write_dac_conversions + 6 * WIDTH);
    assert_true(refreshed.output_conversions == plain.output_conversions + 6 * WIDTH);
    assert_true(refreshed.columns_written == plain.columns_written);
    // Fuller cells carry more, and sensing them takes some.
    assert_true(refreshed.k_charge_c > plain.k_charge_c);
    assert_true(refreshed.k_net_charge_c != plain.k_net_charge_c);
    ley_cell_destroy(cell);
}

// Converters without steps, windows longer than the ages that are looked at.
static void test_other_sizes(void **state) {
    (void)state;
    struct ley_hardware hardware;
    struct ley_cell *cell;
    struct ley_activity one, many;
    ASSERT_OK(ley_hardware_load(&hardware, "ideal"));
    ASSERT_OK(ley_hardware_create_cell(&cell, &hardware));
    ley_activity_uniform(&one, &hardware, cell, WIDTH, 1);
    hardware.array.window = 100 * 1024;
    ley_activity_uniform(&many, &hardware, cell, WIDTH, 1);
    assert_true(one.counter_ticks == 0);
    // nothing leaks, so everything of the array grows with the window
    assert_true(fabs(many.k_charge_c / one.k_charge_c / 100 - 1) < 1e-9);
    assert_true(fabs(many.output_pulse_time_s / one.output_pulse_time_s / 100 - 1) < 1e-9);
    ley_cell_destroy(cell);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uniform_codes_match_a_simulated_ledger),
        cmocka_unit_test(test_uniform_codes_of_other_chips),
        cmocka_unit_test(test_refresh_is_expected),
        cmocka_unit_test(test_groups_share_the_write),
        cmocka_unit_test(test_other_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
