// cmd_spice_column.c - leyden spice column: charge of a bit line against the behavioural sum
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "plot.h"
#include "spice.h"

static const struct command command = {
    "spice column",
    "spice column [--draws N] [--cells N] [--r-line OHM] [--c-line F] [--hw PRESET|FILE]\n"
    "       [--netlist NAME|FILE] [--out DIR] [--json]",
    "Simulates a bit line of cells with random codes and pulses, without wires and with them, and\n"
    "compares its charge with the behavioural sum over the circuit's own table, plain and with "
    "the\n"
    "model of the wire (array.r_line_ohm, M51).",
    "DIR receives column.cir (the last draw, with wires) and column.svg."};

enum { MAX_CELLS = 1024, SEED = 8, STREAM_CODE = 1, STREAM_PULSE = 2 };

// Mean currents of one draw [A]: circuit without and with wires, model without and with.
struct draw {
    double plain_a, wired_a, model_a, wire_model_a;
};

struct study {
    struct invocation invocation;
    const struct spice_options *options;
    struct spice_session session;
    int n_draws, n_cells;
    double r_ohm, c_f;
    struct ley_cell *law; // of the circuit's own table
    double g[3];          // of the output conductance
    struct draw *draw;
    double *w_v, *pulse, *u_v; // of the draw at hand
    double disturb_v;
};

// Root mean square of b - a over all draws, in saturation currents.
struct deviation {
    double plain, wired, wire_model; // against the model: without wires, with, modelled
};

// Codes and pulses on the grids of the chip's converters.
static void make_draw(struct study *study, int k) {
    const struct ley_hardware *hardware = &study->session.hardware;
    int n_kv = hardware->converter.kv_levels ? hardware->converter.kv_levels : 8;
    int n_q = hardware->converter.q_levels ? hardware->converter.q_levels : 16;
    for (int i = 0; i < study->n_cells; i++) {
        uint64_t index = (uint64_t)k * MAX_CELLS + (uint64_t)i;
        int code = (int)(n_kv * ley_random_uniform(SEED, STREAM_CODE, index));
        int level = (int)(n_q * ley_random_uniform(SEED, STREAM_PULSE, index));
        study->w_v[i] = hardware->cell.v_dd_v * code / (n_kv - 1);
        study->u_v[i] = ley_cell_write(study->law, study->w_v[i]);
        study->pulse[i] = (double)level / (n_q - 1);
    }
}

static enum ley_status run_draw(struct study *study, int k) {
    struct spice_session *session = &study->session;
    struct draw *draw = &study->draw[k];
    struct ley_column_read read;
    make_draw(study, k);
    struct ley_column_circuit circuit = {&session->hardware, &session->cell, study->n_cells, 0, 0};
    LEY_TRY(ley_column_simulate(&read, session->spice, &circuit, study->w_v, study->pulse));
    draw->plain_a = read.net_a;
    study->disturb_v = fmax(study->disturb_v, fabs(read.disturb_v));
    circuit.r_ohm = study->r_ohm;
    circuit.c_f = study->c_f;
    LEY_TRY(ley_column_simulate(&read, session->spice, &circuit, study->w_v, study->pulse));
    draw->wired_a = read.net_a;
    struct ley_column column = {study->u_v, study->u_v, {1, 1}, 0};
    const struct ley_bitline_ops *ops = ley_bitline_ops(LEY_ARITHMETIC_DOUBLE);
    struct ley_hardware wired = session->hardware;
    wired.array.r_line_ohm = study->r_ohm;
    wired.cell.g0_s = study->g[0];
    wired.cell.g2_s_per_v2 = study->g[1];
    wired.cell.g4_s_per_v4 = study->g[2];
    draw->model_a = ops->read_k(study->law, study->pulse, &column, study->n_cells).net_a;
    draw->wire_model_a =
        draw->model_a + ley_wire_error_k(&wired, study->law, study->pulse, &column, study->n_cells);
    return LEY_OK;
}

static enum ley_status allocate(struct study *study) {
    size_t n = 3 * (size_t)study->n_cells;
    study->draw = ley_alloc((size_t)study->n_draws, sizeof *study->draw);
    study->w_v = ley_alloc(n, sizeof *study->w_v);
    if (!study->draw || !study->w_v) {
        return ley_fail_memory("draws", n, sizeof *study->w_v);
    }
    study->pulse = study->w_v + study->n_cells;
    study->u_v = study->pulse + study->n_cells;
    return LEY_OK;
}

// The circuit's own law: its table at the chip's read amplitude, and its output conductance.
static enum ley_status characterise(struct study *study) {
    struct spice_session *session = &study->session;
    LEY_TRY(ley_cell_law(&study->law, session->spice, &session->cell, &session->bench,
                         &session->hardware.cell));
    return ley_cell_conductance(study->g, session->spice, &session->cell, &session->bench,
                                &session->hardware.cell);
}

static enum ley_status measure(struct study *study) {
    struct ley_progress progress = session_progress("columns");
    LEY_TRY(spice_open(&study->session, study->options));
    LEY_TRY(allocate(study));
    LEY_TRY(characterise(study));
    session_catch_interrupts();
    for (int k = 0; k < study->n_draws; k++) {
        if (!progress.report(progress.context, k, study->n_draws)) {
            return ley_fail(LEY_E_INTERRUPTED, "interrupted");
        }
        LEY_TRY(run_draw(study, k));
    }
    progress.report(progress.context, study->n_draws, study->n_draws);
    return LEY_OK;
}

static struct deviation summarise(const struct study *study) {
    struct deviation d = {0, 0, 0};
    double i_sat_a = study->session.hardware.converter.score_i_sat_a;
    for (int k = 0; k < study->n_draws; k++) {
        const struct draw *draw = &study->draw[k];
        double plain = (draw->plain_a - draw->model_a) / i_sat_a;
        double wired = (draw->wired_a - draw->model_a) / i_sat_a;
        double modelled = (draw->wired_a - draw->wire_model_a) / i_sat_a;
        d.plain += plain * plain / study->n_draws;
        d.wired += wired * wired / study->n_draws;
        d.wire_model += modelled * modelled / study->n_draws;
    }
    return (struct deviation){sqrt(d.plain), sqrt(d.wired), sqrt(d.wire_model)};
}

static enum ley_status draw_plot(const struct study *study, const char *path) {
    FILE *pipe;
    LEY_TRY(plot_open(&pipe, path, 700, 520));
    fprintf(pipe, "$draws << EOD\n");
    for (int k = 0; k < study->n_draws; k++) {
        const struct draw *d = &study->draw[k];
        fprintf(pipe, "%.6g %.6g %.6g %.6g\n", 1e6 * d->model_a, 1e6 * (d->plain_a - d->model_a),
                1e6 * (d->wired_a - d->model_a), 1e6 * (d->wired_a - d->wire_model_a));
    }
    fprintf(pipe, "EOD\nset border 3\nset tics nomirror\nset grid lc rgb '#e6e6e6' lt 1\n"
                  "set xlabel 'behavioural sum (uA)'\nset ylabel 'circuit - model (uA)'\n"
                  "plot $draws u 1:2 w p pt 7 ps 0.6 lc rgb 0x1f5fa8 t 'no wires', "
                  "'' u 1:3 w p pt 6 ps 0.6 lc rgb 0xc8442b t 'wires', "
                  "'' u 1:4 w p pt 7 ps 0.4 lc rgb 0x8a8a8a t 'wires, modelled'\n");
    return plot_close(pipe, path);
}

static enum ley_status save(const struct study *study) {
    const struct spice_session *session = &study->session;
    struct ley_column_circuit circuit = {&session->hardware, &session->cell, study->n_cells,
                                         study->r_ohm, study->c_f};
    struct ley_markup text = {0};
    char path[LEY_SPICE_PATH_BYTES];
    if (!study->options->out) {
        return LEY_OK;
    }
    LEY_TRY(ley_column_print(&text, &circuit, study->w_v, study->pulse));
    LEY_TRY(spice_save(study->options, "column.cir", &text));
    return spice_path(path, study->options, "column.svg") ? draw_plot(study, path) : LEY_OK;
}

static void print_text(const struct study *study) {
    struct deviation d = summarise(study);
    double i_sat_a = study->session.hardware.converter.score_i_sat_a;
    printf("%d draws of %d cells; deviations from the behavioural sum, rms in %% of %g uA\n",
           study->n_draws, study->n_cells, 1e6 * i_sat_a);
    printf("  without wires                      %7.3f %%\n", 100 * d.plain);
    printf("  wires of %g ohm, %g fF a cell       %7.3f %%\n", study->r_ohm, 1e15 * study->c_f,
           100 * d.wired);
    printf("  the same against array.r_line_ohm  %7.3f %%\n", 100 * d.wire_model);
    printf("output conductance %.3g %+.3g u^2 %+.3g u^4 uS\n", 1e6 * study->g[0], 1e6 * study->g[1],
           1e6 * study->g[2]);
    printf("largest change of a stored voltage by a read: %.3f mV\n", 1e3 * study->disturb_v);
}

static enum ley_status print_json(const struct study *study) {
    struct deviation d = summarise(study);
    struct cJSON *root = cJSON_CreateObject();
    session_add_origin(root, &study->invocation);
    cJSON_AddNumberToObject(root, "n_draws", study->n_draws);
    cJSON_AddNumberToObject(root, "n_cells", study->n_cells);
    cJSON_AddNumberToObject(root, "r_line_ohm", study->r_ohm);
    cJSON_AddNumberToObject(root, "c_line_f", study->c_f);
    cJSON_AddNumberToObject(root, "rms_without_wires", d.plain);
    cJSON_AddNumberToObject(root, "rms_with_wires", d.wired);
    cJSON_AddNumberToObject(root, "rms_with_wires_modelled", d.wire_model);
    cJSON_AddNumberToObject(root, "disturb_v", study->disturb_v);
    cJSON_AddItemToObject(root, "conductance_s", cJSON_CreateDoubleArray(study->g, 3));
    return session_print_json(root);
}

static enum ley_status check(const struct study *study) {
    if (study->n_draws < 1 || study->n_draws > 100000) {
        return ley_fail(LEY_E_ARGUMENT, "--draws is %d, must be 1..100000", study->n_draws);
    }
    if (study->n_cells < 1 || study->n_cells > MAX_CELLS) {
        return ley_fail(LEY_E_ARGUMENT, "--cells is %d, must be 1..%d", study->n_cells, MAX_CELLS);
    }
    if (!(study->r_ohm > 0 && study->r_ohm < 1e6) || !(study->c_f > 0 && study->c_f < 1e-9)) {
        return ley_fail(LEY_E_ARGUMENT,
                        "--r-line must be above 0 and below 1e6 ohm, --c-line above 0 "
                        "and below 1e-9 F");
    }
    return LEY_OK;
}

int cmd_spice_column(int argc, char **argv) {
    struct spice_options options = {.hw = {.name = "paper"}};
    struct study study = {.invocation = {argc, argv},
                          .options = &options,
                          .n_draws = 100,
                          .n_cells = 64,
                          .r_ohm = 2,
                          .c_f = 0.2e-15};
    const struct option_row rows[] = {
        SPICE_ROWS(options),
        {"draws", 0, OPTION_INT, &study.n_draws, "N", "random columns (100)"},
        {"cells", 0, OPTION_INT, &study.n_cells, "N", "cells on the bit line (64)"},
        {"r-line", 0, OPTION_REAL, &study.r_ohm, "OHM", "bit line, for each cell (2)"},
        {"c-line", 0, OPTION_REAL, &study.c_f, "F", "bit line, for each cell (0.2e-15)"},
    };
    int result =
        options_parse(argc - 1, argv + 1, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    enum ley_status status = check(&study);
    if (status == LEY_OK) {
        status = measure(&study);
    }
    if (status == LEY_OK) {
        status = save(&study);
    }
    if (status == LEY_OK && options.json) {
        status = print_json(&study);
    } else if (status == LEY_OK) {
        print_text(&study);
    }
    ley_free(study.draw);
    ley_free(study.w_v);
    ley_cell_destroy(study.law);
    return spice_close(&study.session, "spice column", status);
}
