// cmd_spice_fit.c - leyden spice fit: a cell's circuit that gives a table
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "spice.h"

static const struct command command = {
    "spice fit", "spice fit [--netlist NAME|FILE] [--hw PRESET|FILE] [--out DIR] [--json]",
    "Fits the parameters of a cell's circuit to all points of the hardware's table\n"
    "(cell.table_csv) by Levenberg and Marquardt.",
    "A parameter takes part when its line in the netlist ends in\n"
    "    .param NAME = VALUE ; fit LOW HIGH UNIT meaning\n"
    "DIR receives fitted.cir, the netlist with the best values (--netlist DIR/fitted.cir)."};

struct study {
    struct invocation invocation;
    const struct spice_options *options;
    struct spice_session session;
    struct ley_cell_grid reference, grid;
    struct ley_cell_deviation before, after;
    double error[LEY_NETLIST_MAX_PARAMS];
    int n_evaluations;
};

static enum ley_status fit(struct study *study) {
    struct spice_session *session = &study->session;
    struct ley_progress progress = session_progress("fitting");
    LEY_TRY(spice_open(session, study->options));
    LEY_TRY(spice_reference(&study->reference, session));
    LEY_TRY(ley_cell_grid_copy(&study->grid, &study->reference));
    LEY_TRY(ley_cell_sweep(&study->grid, session->spice, &session->cell, &session->bench));
    study->before = ley_cell_compare(&study->grid, &study->reference);
    session_catch_interrupts();
    LEY_TRY(ley_cell_fit(&session->cell, study->error, &study->n_evaluations, session->spice,
                         &session->bench, &study->reference, &progress));
    LEY_TRY(ley_cell_sweep(&study->grid, session->spice, &session->cell, &session->bench));
    study->after = ley_cell_compare(&study->grid, &study->reference);
    struct ley_markup text = {0};
    ley_netlist_print(&text, &session->cell);
    return spice_save(study->options, "fitted.cir", &text);
}

static void print_quality(const char *when, const struct ley_cell_deviation *d) {
    printf("%-7s R2 %.6f, rms %.4f uA, at the highest read amplitude %.4f uA, largest %+.3f uA\n",
           when, d->r2, 1e6 * d->rms_a, 1e6 * d->rms_read_a, 1e6 * d->largest_a);
}

static void print_text(const struct study *study) {
    const struct ley_netlist *cell = &study->session.cell;
    printf("%d points, %d parameters, %d simulations\n", study->grid.n_store * study->grid.n_in,
           cell->n_params, study->n_evaluations);
    print_quality("before:", &study->before);
    print_quality("after:", &study->after);
    printf("\nparameter          value   std error   range                unit    meaning\n");
    for (int i = 0; i < cell->n_params; i++) {
        const struct ley_netlist_param *param = &cell->param[i];
        char error[32] = "  (at bound)";
        if (study->error[i] > 0) {
            snprintf(error, sizeof error, "%12.3g", study->error[i]);
        }
        printf("%-12s %11.5g %s   %-8.3g .. %-8.3g %-7s %s\n", param->name, param->value, error,
               param->low, param->high, param->unit, param->meaning);
    }
}

static void add_quality(struct cJSON *root, const char *key, const struct ley_cell_deviation *d) {
    struct cJSON *row = cJSON_AddObjectToObject(root, key);
    cJSON_AddNumberToObject(row, "r2", d->r2);
    cJSON_AddNumberToObject(row, "rms_a", d->rms_a);
    cJSON_AddNumberToObject(row, "rms_read_a", d->rms_read_a);
}

static enum ley_status print_json(const struct study *study) {
    struct cJSON *root = cJSON_CreateObject();
    session_add_origin(root, &study->invocation);
    cJSON_AddNumberToObject(root, "n_points", study->grid.n_store * study->grid.n_in);
    cJSON_AddNumberToObject(root, "n_simulations", study->n_evaluations);
    add_quality(root, "before", &study->before);
    add_quality(root, "after", &study->after);
    struct cJSON *list = cJSON_AddArrayToObject(root, "parameters");
    for (int i = 0; i < study->session.cell.n_params; i++) {
        const struct ley_netlist_param *param = &study->session.cell.param[i];
        struct cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "name", param->name);
        cJSON_AddNumberToObject(row, "value", param->value);
        cJSON_AddNumberToObject(row, "std_error", study->error[i]);
        cJSON_AddStringToObject(row, "unit", param->unit);
        cJSON_AddItemToArray(list, row);
    }
    return session_print_json(root);
}

int cmd_spice_fit(int argc, char **argv) {
    struct spice_options options = {.hw = {.name = "paper"}};
    const struct option_row rows[] = {SPICE_ROWS(options)};
    int result =
        options_parse(argc - 1, argv + 1, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    struct study study = {.invocation = {argc, argv}, .options = &options};
    enum ley_status status = fit(&study);
    if (status == LEY_OK && options.json) {
        status = print_json(&study);
    } else if (status == LEY_OK) {
        print_text(&study);
    }
    ley_cell_grid_destroy(&study.grid);
    ley_cell_grid_destroy(&study.reference);
    return spice_close(&study.session, "spice fit", status);
}
