// cmd_spice_cell.c - leyden spice cell: from a netlist to a table, a cubic and a preset
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plot.h"
#include "spice.h"

static const struct command command = {
    "spice cell", "spice cell [--netlist NAME|FILE] [--hw PRESET|FILE] [--out DIR] [--json]",
    "Sweeps the circuit of a gain cell over the voltages of the hardware's table, compares the\n"
    "currents with the table, and fits the cubic law.",
    "DIR receives cell.cir (the netlist with its bench), cell_iv.csv (the table), preset.yaml\n"
    "(--hw DIR/preset.yaml in any other command) and cell.svg."};

enum { MAX_LEVELS = 64 };

struct study {
    struct invocation invocation;
    const struct spice_options *options;
    struct spice_session session;
    struct ley_cell_grid reference, grid;
    struct ley_cell_deviation deviation;
    double p_a[4];
    double cubic_rms_a;
    double g[3]; // of the output conductance
    int n_levels;
    struct ley_cell_level level[MAX_LEVELS];
    double hold_s;
};

// Every code of the chip, written and left alone for a window of tokens.
static enum ley_status measure_levels(struct study *study) {
    struct spice_session *session = &study->session;
    const struct ley_hardware *hardware = &session->hardware;
    int n = hardware->converter.kv_levels;
    study->n_levels = n >= 2 && n <= MAX_LEVELS ? n : 8;
    study->hold_s = hardware->array.window * hardware->time.token_period_s;
    for (int i = 0; i < study->n_levels; i++) {
        study->level[i].w_v = hardware->cell.v_dd_v * i / (study->n_levels - 1);
    }
    return ley_cell_hold(study->level, study->n_levels, session->spice, &session->cell,
                         &hardware->cell, hardware->time.write_s, study->hold_s);
}

// Time constant that the outermost levels follow over the window.
static double outer_tau(const struct study *study) {
    return 0.5 * (study->level[0].tau_s + study->level[study->n_levels - 1].tau_s);
}

// What the cubic misses of the circuit's own currents at the read amplitude.
static double cubic_rms(const struct study *study) {
    const struct ley_cell_grid *grid = &study->grid;
    const double *p = study->p_a;
    double sum = 0;
    for (int i = 0; i < grid->n_store; i++) {
        double u_v = grid->v_store_v[i] - study->session.hardware.cell.v_ref_v;
        double miss = p[0] + u_v * (p[1] + u_v * (p[2] + u_v * p[3])) -
                      grid->i_a[i * grid->n_in + grid->n_in - 1];
        sum += miss * miss;
    }
    return sqrt(sum / grid->n_store);
}

static enum ley_status measure(struct study *study) {
    struct spice_session *session = &study->session;
    LEY_TRY(spice_open(session, study->options));
    LEY_TRY(spice_reference(&study->reference, session));
    LEY_TRY(ley_cell_grid_copy(&study->grid, &study->reference));
    LEY_TRY(ley_cell_sweep(&study->grid, session->spice, &session->cell, &session->bench));
    study->deviation = ley_cell_compare(&study->grid, &study->reference);
    LEY_TRY(ley_cell_cubic(study->p_a, &study->grid, session->hardware.cell.v_ref_v));
    study->cubic_rms_a = cubic_rms(study);
    LEY_TRY(ley_cell_conductance(study->g, session->spice, &session->cell, &session->bench,
                                 &session->hardware.cell));
    return measure_levels(study);
}

// The whole hardware with this cell.
static enum ley_status write_preset(const struct study *study, const char *path) {
    struct ley_hardware hardware = study->session.hardware;
    const struct ley_cell_grid *grid = &study->grid;
    char *text = NULL;
    size_t n_bytes = 0;
    FILE *stream = open_memstream(&text, &n_bytes);
    if (!stream) {
        return ley_fail_memory("preset", 1, 1);
    }
    hardware.cell.law = LEY_CELL_TABLE;
    hardware.cell.v_read_v = grid->v_in_v[grid->n_in - 1];
    snprintf(hardware.cell.table_csv, sizeof hardware.cell.table_csv, "cell_iv.csv");
    memcpy(hardware.cell.p_a, study->p_a, sizeof hardware.cell.p_a);
    hardware.cell.g0_s = study->g[0];
    hardware.cell.g2_s_per_v2 = study->g[1];
    hardware.cell.g4_s_per_v4 = study->g[2];
    if (isfinite(outer_tau(study))) {
        hardware.cell.leakage = LEY_LEAK_RELAX;
        hardware.cell.tau_s = outer_tau(study);
    }
    fprintf(stream, "description: the chip %s with the cell %s, simulated by ngspice\n",
            study->options->hw.name, study->session.name);
    ley_params_print_yaml(stream, ley_hardware_params(), &hardware);
    bool is_bad = fclose(stream) != 0;
    enum ley_status status =
        is_bad ? ley_fail_memory("preset", 1, 1) : ley_file_write(path, text, n_bytes);
    free(text);
    return status;
}

static enum ley_status draw(const struct study *study, const char *path) {
    const struct ley_cell_grid *grid = &study->grid, *reference = &study->reference;
    FILE *pipe;
    LEY_TRY(plot_open(&pipe, path, 1000, 560));
    fprintf(pipe, "$curve << EOD\n");
    for (int m = grid->n_in - 1; m >= 0; m -= (grid->n_in + 4) / 5) {
        for (int i = 0; i < grid->n_store; i++) {
            int at = i * grid->n_in + m;
            fprintf(pipe, "%.6g %.6g %.6g\n", grid->v_store_v[i], 1e6 * grid->i_a[at],
                    1e6 * reference->i_a[at]);
        }
        fprintf(pipe, "\n");
    }
    fprintf(pipe, "EOD\nset border 3\nset tics nomirror\nset grid lc rgb '#e6e6e6' lt 1\n"
                  "set title 'Gain cell: circuit and table, at several read amplitudes'\n"
                  "set xlabel 'stored voltage (V)'\nset ylabel 'read current (uA)'\n"
                  "set key top left\n"
                  "plot $curve u 1:3 w p pt 6 ps 0.5 lc rgb 0x8a8a8a t 'table', "
                  "'' u 1:2 w l lw 2 lc rgb 0x1f5fa8 t 'circuit'\n");
    return plot_close(pipe, path);
}

static enum ley_status save(const struct study *study) {
    const struct spice_options *options = study->options;
    char path[LEY_SPICE_PATH_BYTES];
    struct ley_markup text = {0};
    if (!options->out) {
        return LEY_OK;
    }
    LEY_TRY(ley_cell_bench_print(&text, &study->session.cell, &study->session.bench, &study->grid));
    LEY_TRY(spice_save(options, "cell.cir", &text));
    LEY_TRY(spice_path(path, options, "cell_iv.csv")
                ? ley_cell_grid_save(&study->grid, path)
                : ley_fail(LEY_E_ARGUMENT, "the name of the output folder is too long"));
    if (spice_path(path, options, "preset.yaml")) {
        LEY_TRY(write_preset(study, path));
    }
    spice_path(path, options, "cell.svg");
    return draw(study, path);
}

static void print_levels(const struct study *study) {
    printf("\nlevel V  write error mV  neighbour mV  kept %% of u after %g s   as tau s\n",
           study->hold_s);
    for (int i = 0; i < study->n_levels; i++) {
        const struct ley_cell_level *level = &study->level[i];
        printf("%7.4f  %+14.3f  %+12.3f  %24.3f  %9.4g\n", level->w_v, 1e3 * level->write_error_v,
               1e3 * level->neighbour_v, 100 * level->kept, level->tau_s);
    }
    printf("the model has tau %g s; output conductance %.3g %+.3g u^2 %+.3g u^4 uS\n",
           study->session.hardware.cell.tau_s, 1e6 * study->g[0], 1e6 * study->g[1],
           1e6 * study->g[2]);
}

static void print_text(const struct study *study) {
    const struct ley_cell_deviation *d = &study->deviation;
    const struct ley_cell_grid *grid = &study->grid;
    double v_read_v = grid->v_in_v[grid->n_in - 1];
    printf("cell %s, %d stored x %d read voltages\n", study->session.name, grid->n_store,
           grid->n_in);
    printf("against the table of %s: R2 %.6f, rms %.4f uA, at %g V rms %.4f uA\n",
           study->options->hw.name, d->r2, 1e6 * d->rms_a, v_read_v, 1e6 * d->rms_read_a);
    printf("largest deviation %+.3f uA at %g V stored, %g V read\n", 1e6 * d->largest_a,
           d->v_store_v, d->v_in_v);
    printf("cubic at %g V: %.4f %+.4f u %+.4f u^2 %+.4f u^3 uA (rms %.3f uA)\n", v_read_v,
           1e6 * study->p_a[0], 1e6 * study->p_a[1], 1e6 * study->p_a[2], 1e6 * study->p_a[3],
           1e6 * study->cubic_rms_a);
    printf("\nstored V   circuit uA     table uA    difference (at %g V)\n", v_read_v);
    for (int i = 0; i < grid->n_store; i += 7) {
        int at = i * grid->n_in + grid->n_in - 1;
        printf("%8.4f  %11.4f  %11.4f  %+12.4f\n", grid->v_store_v[i], 1e6 * grid->i_a[at],
               1e6 * study->reference.i_a[at], 1e6 * (grid->i_a[at] - study->reference.i_a[at]));
    }
    print_levels(study);
    if (study->options->out) {
        printf("\nwritten to %s: cell.cir, cell_iv.csv, preset.yaml, cell.svg\n",
               study->options->out);
    }
}

static enum ley_status print_json(const struct study *study) {
    struct cJSON *root = cJSON_CreateObject();
    const struct ley_cell_deviation *d = &study->deviation;
    session_add_origin(root, &study->invocation);
    cJSON_AddStringToObject(root, "netlist", study->session.name);
    cJSON_AddNumberToObject(root, "n_points", study->grid.n_store * study->grid.n_in);
    cJSON_AddNumberToObject(root, "r2", d->r2);
    cJSON_AddNumberToObject(root, "rms_a", d->rms_a);
    cJSON_AddNumberToObject(root, "rms_read_a", d->rms_read_a);
    cJSON_AddNumberToObject(root, "largest_a", d->largest_a);
    cJSON_AddItemToObject(root, "cubic_a", cJSON_CreateDoubleArray(study->p_a, 4));
    cJSON_AddNumberToObject(root, "cubic_rms_a", study->cubic_rms_a);
    cJSON_AddItemToObject(root, "conductance_s", cJSON_CreateDoubleArray(study->g, 3));
    cJSON_AddNumberToObject(root, "hold_s", study->hold_s);
    struct cJSON *levels = cJSON_AddArrayToObject(root, "levels");
    for (int i = 0; i < study->n_levels; i++) {
        const struct ley_cell_level *level = &study->level[i];
        struct cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "stored_v", level->w_v);
        cJSON_AddNumberToObject(row, "write_error_v", level->write_error_v);
        cJSON_AddNumberToObject(row, "neighbour_v", level->neighbour_v);
        cJSON_AddNumberToObject(row, "u_kept", level->kept);
        if (isfinite(level->tau_s)) {
            cJSON_AddNumberToObject(row, "tau_s", level->tau_s);
        }
        cJSON_AddItemToArray(levels, row);
    }
    return session_print_json(root);
}

int cmd_spice_cell(int argc, char **argv) {
    struct spice_options options = {.hw = {.name = "paper"}};
    const struct option_row rows[] = {SPICE_ROWS(options)};
    int result =
        options_parse(argc - 1, argv + 1, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    struct study study = {.invocation = {argc, argv}, .options = &options};
    enum ley_status status = measure(&study);
    if (status == LEY_OK) {
        status = save(&study);
    }
    if (status == LEY_OK && options.json) {
        status = print_json(&study);
    } else if (status == LEY_OK) {
        print_text(&study);
    }
    ley_cell_grid_destroy(&study.grid);
    ley_cell_grid_destroy(&study.reference);
    return spice_close(&study.session, "spice cell", status);
}
