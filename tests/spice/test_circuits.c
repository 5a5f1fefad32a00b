// test_circuits.c - the circuits in ngspice against the published table and the model
//
// Skipped aloud where ngspice is missing.
#include "support/support.h"

#include <math.h>
#include <string.h>

// The bar of the fitted cell: all points of the published sweep, and the column at 0.9 V.
static const double least_r2 = 0.995, most_rms_read_a = 0.25e-6;

static struct ley_spice *spice; // NULL: not available

static const struct ley_cell_bench bench = {0.9, 0.45};

static int start(void **state) {
    (void)state;
    if (make_folder(state) != 0) {
        return -1;
    }
    char keep[128];
    snprintf(keep, sizeof keep, "%s/failed.cir", test_folder);
    if (ley_spice_create(&spice, keep) != LEY_OK) {
        print_message("SKIPPED: circuits (%s)\n", ley_error_text());
        spice = NULL;
    }
    return 0;
}

static int stop(void **state) {
    ley_spice_destroy(spice);
    return remove_folder(state);
}

#define NEED_SPICE()                                                                               \
    if (!spice) {                                                                                  \
        skip();                                                                                    \
    }

static void load_silicon(struct ley_netlist *cell, struct ley_cell_grid *reference) {
    ASSERT_OK(ley_cell_netlist_load(cell, source_path("config/spice/silicon.cir")));
    ASSERT_OK(ley_cell_grid_load(reference, source_path("config/cells/cell_iv.csv"), 0.9));
}

// A divider, by hand: vectors, sweeps, and a second netlist after the first.
static void test_divider(void **state) {
    (void)state;
    NEED_SPICE();
    const double *out;
    int n;
    ASSERT_OK(ley_spice_run(spice,
                            "* divider\nv1 in 0 3\nr1 in out 1k\nr2 out 0 2k\n"
                            ".dc v1 0 3 1\n.end\n",
                            "divider"));
    ASSERT_OK(ley_spice_vector(&out, &n, spice, "v(out)"));
    assert_int_equal(n, 4);
    for (int i = 0; i < n; i++) {
        assert_true(fabs(out[i] - i * 2.0 / 3) < 1e-9);
    }
    ASSERT_OK(ley_spice_run(spice,
                            "* rc\nv1 in 0 pulse(0 1 0 1p 1p 1 2)\nr1 in out 1k\n"
                            "c1 out 0 1p\n.tran 1p 5n\n.end\n",
                            "rc"));
    ASSERT_OK(ley_spice_vector(&out, &n, spice, "v(out)"));
    assert_true(fabs(out[n - 1] - (1 - exp(-5))) < 2e-3);
    ASSERT_FAILS(ley_spice_vector(&out, &n, spice, "v(nothing)"), LEY_E_RESULT, "v(nothing)");
}

// What ngspice cannot do is told in one line, the netlist is kept, and the session goes on.
static void test_failures_keep_the_netlist(void **state) {
    (void)state;
    NEED_SPICE();
    char path[128], *text;
    size_t n_bytes;
    snprintf(path, sizeof path, "%s/failed.cir", test_folder);
    ASSERT_FAILS(
        ley_spice_run(spice, "* bad\nv1 a 0 1\nx1 a 0 nobody\n.dc v1 0 1 1\n.end\n", "bad"),
        LEY_E_FORMAT, "the netlist is kept in");
    ASSERT_OK(ley_file_read(&text, &n_bytes, path, 4096));
    assert_non_null(strstr(text, "nobody"));
    ley_free(text);
    // Two sources that contradict each other have no solution.
    ASSERT_FAILS(ley_spice_run(spice, "* loop\nv1 a 0 1\nv2 a 0 2\n.dc v1 0 1 1\n.end\n", "loop"),
                 LEY_E_RESULT, "loop: ngspice");
    ASSERT_OK(ley_spice_run(spice, "* fine\nv1 a 0 1\nr1 a 0 1\n.dc v1 0 1 1\n.end\n", "fine"));
}

static void test_silicon_is_the_published_cell(void **state) {
    (void)state;
    NEED_SPICE();
    struct ley_netlist cell;
    struct ley_cell_grid reference, grid;
    load_silicon(&cell, &reference);
    ASSERT_OK(ley_cell_grid_copy(&grid, &reference));
    assert_int_equal(grid.n_store * grid.n_in, 2550);
    ASSERT_OK(ley_cell_sweep(&grid, spice, &cell, &bench));
    struct ley_cell_deviation deviation = ley_cell_compare(&grid, &reference);
    assert_true(deviation.r2 >= least_r2);
    assert_true(deviation.rms_read_a <= most_rms_read_a);
    // The table written from it reads back to the same currents within its digits.
    char path[128];
    snprintf(path, sizeof path, "%s/table.csv", test_folder);
    ASSERT_OK(ley_cell_grid_save(&grid, path));
    struct ley_cell_grid again;
    ASSERT_OK(ley_cell_grid_load(&again, path, 0.9));
    assert_true(largest_difference(again.i_a, grid.i_a, 2550) < 1e-13);
    ley_cell_grid_destroy(&again);
    ley_cell_grid_destroy(&grid);
    ley_cell_grid_destroy(&reference);
    ley_netlist_destroy(&cell);
}

// A table made by the circuit itself, on a few points: from a wrong start the fit finds the
// parameters it was made with.
static void test_fit_finds_what_made_the_table(void **state) {
    (void)state;
    NEED_SPICE();
    struct ley_netlist cell;
    struct ley_cell_grid published, reference;
    double error[LEY_NETLIST_MAX_PARAMS], truth[2];
    int n_evaluations;
    load_silicon(&cell, &published);
    ASSERT_OK(ley_cell_grid_create(&reference, 7, 4));
    for (int i = 0; i < 7; i++) {
        reference.v_store_v[i] = 0.15 * i;
    }
    for (int m = 0; m < 4; m++) {
        reference.v_in_v[m] = 0.6 + 0.1 * m;
    }
    ASSERT_OK(ley_cell_sweep(&reference, spice, &cell, &bench));
    for (int i = 0; i < 7 * 4; i++) {
        reference.i_a[i] += random_between(1, (uint64_t)i, -1e-9, 1e-9); // a nanoampere of noise
    }
    cell.n_params = 2; // n_vth0 and n_u0
    for (int i = 0; i < 2; i++) {
        truth[i] = cell.param[i].value;
        cell.param[i].value *= 1.2;
    }
    ASSERT_OK(ley_cell_fit(&cell, error, &n_evaluations, spice, &bench, &reference, NULL));
    for (int i = 0; i < 2; i++) {
        assert_true(fabs(cell.param[i].value - truth[i]) < 0.002 * truth[i]);
        assert_true(error[i] > 0 && error[i] < 0.01 * truth[i]);
    }
    ley_cell_grid_destroy(&reference);
    ley_cell_grid_destroy(&published);
    ley_netlist_destroy(&cell);
}

// Currents along a cubic give the cubic back.
static void test_cubic_of_a_cubic(void **state) {
    (void)state;
    NEED_SPICE();
    static const double p_a[4] = {0.5e-6, 13e-6, -2e-6, 46e-6};
    struct ley_cell_grid grid;
    double found[4];
    ASSERT_OK(ley_cell_grid_create(&grid, 10, 1));
    for (int i = 0; i < 10; i++) {
        double u_v = 0.1 * i - 0.45;
        grid.v_store_v[i] = 0.1 * i;
        grid.i_a[i] = p_a[0] + u_v * (p_a[1] + u_v * (p_a[2] + u_v * p_a[3]));
    }
    ASSERT_OK(ley_cell_cubic(found, &grid, 0.45));
    for (int i = 0; i < 4; i++) {
        assert_true(fabs(found[i] - p_a[i]) < 1e-9 * 46e-6);
    }
    ley_cell_grid_destroy(&grid);
}

// The bar of the converter: 2 % of the longest pulse, at both ends, in the middle, and where there
// is none.
static void test_score_converter_is_hard_sigmoid(void **state) {
    (void)state;
    NEED_SPICE();
    static const double i_a[4] = {-20e-6, 1.5e-6, 79e-6, 120e-6};
    struct ley_hardware hardware;
    struct ley_charge_conversion conversion[4] = {0};
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    for (int i = 0; i < 4; i++) {
        conversion[i].i_a = i_a[i];
    }
    ASSERT_OK(ley_charge_conversion_run(conversion, 4, LEY_CONVERTER_SCORE, spice, &hardware));
    for (int i = 0; i < 4; i++) {
        double miss_s = conversion[i].width_s - conversion[i].model_width_s;
        assert_true(fabs(miss_s) <= 0.02 * hardware.time.q_pulse_s);
        assert_true(conversion[i].energy_j > 0);
    }
    assert_true(conversion[0].width_s < 1e-12);
    assert_true(conversion[2].model_width_s > 14.8e-9);
}

// Counts of both signs; the values lie 0.3 and 0.4 ticks from a boundary.
static void test_output_converter_counts(void **state) {
    (void)state;
    NEED_SPICE();
    static const double ticks[2] = {3.2, -9.9};
    struct ley_hardware hardware;
    struct ley_charge_conversion conversion[2] = {0};
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    for (int i = 0; i < 2; i++) {
        conversion[i].i_a = 40e-6 * ticks[i] / 15.5;
    }
    ASSERT_OK(ley_charge_conversion_run(conversion, 2, LEY_CONVERTER_OUTPUT, spice, &hardware));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(conversion[i].model_code, (int)rint(ticks[i]));
        assert_int_equal(conversion[i].code, conversion[i].model_code);
        assert_true(fabs(conversion[i].boundary_ticks - (i ? 0.4 : 0.3)) < 1e-6);
    }
    hardware.converter.output_levels = 16;
    ASSERT_FAILS(ley_charge_conversion_run(conversion, 2, LEY_CONVERTER_OUTPUT, spice, &hardware),
                 LEY_E_ARGUMENT, "output.levels is 16");
}

// The bar of a column: 2 % of saturation without wires. With wires of 100 ohm a cell the model of
// the wire takes away most of what the plain sum misses.
static void test_column_is_the_sum_of_its_cells(void **state) {
    (void)state;
    NEED_SPICE();
    enum { N = 12, DRAWS = 2 };
    struct ley_netlist netlist;
    struct ley_cell_grid published;
    struct ley_hardware hardware;
    struct ley_cell *law;
    double g[3];
    load_silicon(&netlist, &published);
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_cell_law(&law, spice, &netlist, &bench, &hardware.cell));
    ASSERT_OK(ley_cell_conductance(g, spice, &netlist, &bench, &hardware.cell));
    hardware.array.r_line_ohm = 100;
    hardware.cell.g0_s = g[0];
    hardware.cell.g2_s_per_v2 = g[1];
    hardware.cell.g4_s_per_v4 = g[2];
    for (int k = 0; k < DRAWS; k++) {
        double w_v[N], u_v[N], pulse[N];
        for (int i = 0; i < N; i++) {
            uint64_t at = (uint64_t)(k * N + i);
            w_v[i] = 0.9 / 7 * floor(random_between(1, at, 3, 8)); // mostly one sign: a large drop
            u_v[i] = ley_cell_write(law, w_v[i]);
            pulse[i] = floor(random_between(2, at, 0, 16)) / 15;
        }
        struct ley_column column = {u_v, NULL, {1, 1}, 0};
        const struct ley_bitline_ops *ops = ley_bitline_ops(LEY_ARITHMETIC_DOUBLE);
        double sum_a = ops->read_k(law, pulse, &column, N).net_a;
        double drop_a = ley_wire_error_k(&hardware, law, pulse, &column, N);
        struct ley_column_circuit circuit = {&hardware, &netlist, N, 0, 0};
        struct ley_column_read read;
        ASSERT_OK(ley_column_simulate(&read, spice, &circuit, w_v, pulse));
        double plain_a = read.net_a;
        assert_true(fabs(plain_a - sum_a) < 0.02 * hardware.converter.score_i_sat_a);
        assert_true(fabs(read.disturb_v) < 1e-3);
        circuit.r_ohm = hardware.array.r_line_ohm;
        circuit.c_f = 0.2e-15;
        ASSERT_OK(ley_column_simulate(&read, spice, &circuit, w_v, pulse));
        assert_true(fabs(drop_a) > 5e-8);
        assert_true(fabs(read.net_a - plain_a - drop_a) < 0.4 * fabs(drop_a));
    }
    ley_cell_destroy(law);
    ley_cell_grid_destroy(&published);
    ley_netlist_destroy(&netlist);
}

// Levels are written within a tenth of a step, neighbours stay, and the outermost levels leak as a
// time constant near 5 ms would have it.
static void test_cell_in_time(void **state) {
    (void)state;
    NEED_SPICE();
    struct ley_netlist netlist;
    struct ley_cell_grid published;
    struct ley_hardware hardware;
    struct ley_cell_level level[8] = {{0}};
    load_silicon(&netlist, &published);
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    for (int i = 0; i < 8; i++) {
        level[i].w_v = 0.9 * i / 7;
    }
    ASSERT_OK(ley_cell_hold(level, 8, spice, &netlist, &hardware.cell, hardware.time.write_s,
                            1024 * hardware.time.token_period_s));
    for (int i = 0; i < 8; i++) {
        assert_true(fabs(level[i].write_error_v) < 0.1 * 0.9 / 7);
        assert_true(fabs(level[i].neighbour_v) < 1e-3);
        assert_true(level[i].kept > 0.8 && level[i].kept < 1);
    }
    assert_true(fabs(level[0].tau_s - 5e-3) < 1e-3 && fabs(level[7].tau_s - 5e-3) < 1e-3);
    ley_cell_grid_destroy(&published);
    ley_netlist_destroy(&netlist);
}

// Two tokens of one value: pulses within 2 %, the count equal.
static void test_head_end_to_end(void **state) {
    (void)state;
    NEED_SPICE();
    static const double k_v[2] = {0.9, 0}, v_v[2] = {0, 0.9};
    static const double pulse[1] = {1};
    struct ley_netlist netlist;
    struct ley_cell_grid published;
    struct ley_hardware hardware;
    struct ley_cell *law;
    double phi[2], model_phi[2], scratch[2], sum[1] = {0}, k_u[2], v_u[2];
    int code[1];
    int32_t model_code[1];
    load_silicon(&netlist, &published);
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    hardware.converter.score_i_sat_a = 30e-6;
    hardware.converter.output_i_sat_a = 10e-6;
    hardware.converter.output_mode = LEY_OUTPUT_COUNTER;
    hardware.array.arithmetic = LEY_ARITHMETIC_DOUBLE;
    ASSERT_OK(ley_cell_law(&law, spice, &netlist, &bench, &hardware.cell));
    for (int i = 0; i < 2; i++) {
        k_u[i] = ley_cell_write(law, k_v[i]);
        v_u[i] = ley_cell_write(law, v_v[i]);
    }
    struct ley_column columns[2] = {{k_u, v_u, {1, 1}, 0}, {k_u + 1, v_u + 1, {1, 1}, 1}};
    struct ley_tile_spec tile = {&hardware, law, 1};
    struct ley_tile_trace trace = {.phi = model_phi, .code = model_code};
    ley_tile_read(sum, &tile, pulse, columns, 2, scratch, &trace, NULL);
    struct ley_head_circuit head = {&hardware, &netlist, 1, 2, k_v, v_v, pulse};
    struct ley_head_read read = {phi, code, 0};
    ASSERT_OK(ley_head_simulate(&read, spice, &head));
    assert_true(model_phi[0] > 0.3 && model_phi[1] == 0);
    for (int i = 0; i < 2; i++) {
        assert_true(fabs(phi[i] - model_phi[i]) < 0.02);
    }
    assert_int_equal(code[0], model_code[0]);
    assert_true(model_code[0] < -2);
    ley_cell_destroy(law);
    ley_cell_grid_destroy(&published);
    ley_netlist_destroy(&netlist);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_divider),
        cmocka_unit_test(test_failures_keep_the_netlist),
        cmocka_unit_test(test_silicon_is_the_published_cell),
        cmocka_unit_test(test_fit_finds_what_made_the_table),
        cmocka_unit_test(test_cubic_of_a_cubic),
        cmocka_unit_test(test_column_is_the_sum_of_its_cells),
        cmocka_unit_test(test_cell_in_time),
        cmocka_unit_test(test_head_end_to_end),
        cmocka_unit_test(test_score_converter_is_hard_sigmoid),
        cmocka_unit_test(test_output_converter_counts),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
