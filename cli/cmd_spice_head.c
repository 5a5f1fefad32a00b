// cmd_spice_head.c - leyden spice head: one query through transistors, and through the model
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "spice.h"

static const struct command command = {
    "spice head",
    "spice head [--rows N] [--tokens N] [--seed N] [--hw PRESET|FILE] [--netlist NAME|FILE]\n"
    "       [--out DIR] [--json]",
    "Simulates one query through a small head, all transistors between the pulses of q and the\n"
    "counts of the output, and compares pulses and counts with the behavioural tile, whose cell "
    "is\n"
    "the circuit's own table and whose counters stop at their end.",
    "Codes are random; every second token has keys in the upper half only, so that it is attended "
    "to.\n"
    "DIR receives head.cir. 8 x 8 takes about a minute, 64 x 64 hours."};

enum { MAX_SIDE = 64, STREAM_K = 1, STREAM_V = 2, STREAM_Q = 3 };

struct study {
    struct invocation invocation;
    const struct spice_options *options;
    struct spice_session session;
    int n_rows, n_tokens, seed;
    struct ley_cell *law;
    double k_v[MAX_SIDE * MAX_SIDE], v_v[MAX_SIDE * MAX_SIDE], pulse[MAX_SIDE];
    double phi[MAX_SIDE], model_s[MAX_SIDE], model_phi[MAX_SIDE], model_a[MAX_SIDE];
    int code[MAX_SIDE];
    int32_t model_code[MAX_SIDE];
    double energy_j;
};

static int draw(const struct study *study, int stream, int index, int n) {
    return (int)(n * ley_random_uniform((uint64_t)study->seed, (uint64_t)stream, (uint64_t)index));
}

static void make_inputs(struct study *study) {
    const struct ley_hardware *hardware = &study->session.hardware;
    int n_kv = hardware->converter.kv_levels ? hardware->converter.kv_levels : 8;
    int n_q = hardware->converter.q_levels ? hardware->converter.q_levels : 16;
    double step_v = hardware->cell.v_dd_v / (n_kv - 1);
    for (int i = 0; i < study->n_tokens * study->n_rows; i++) {
        bool is_attended = i / study->n_rows % 2 == 0;
        int code = is_attended ? n_kv - 1 - draw(study, STREAM_K, i, n_kv / 2)
                               : draw(study, STREAM_K, i, n_kv);
        study->k_v[i] = step_v * code;
        study->v_v[i] = step_v * draw(study, STREAM_V, i, n_kv);
    }
    for (int d = 0; d < study->n_rows; d++) {
        study->pulse[d] = (double)draw(study, STREAM_Q, d, n_q) / (n_q - 1);
    }
}

// The same through the behavioural tile.
static void run_model(struct study *study) {
    struct ley_hardware hardware = study->session.hardware;
    struct ley_column column[MAX_SIDE];
    double k_u[MAX_SIDE * MAX_SIDE], v_u[MAX_SIDE * MAX_SIDE], sum[MAX_SIDE] = {0};
    double phi[MAX_SIDE];
    hardware.converter.output_mode = LEY_OUTPUT_COUNTER;
    hardware.array.arithmetic = LEY_ARITHMETIC_DOUBLE;
    for (int i = 0; i < study->n_tokens * study->n_rows; i++) {
        k_u[i] = ley_cell_write(study->law, study->k_v[i]);
        v_u[i] = ley_cell_write(study->law, study->v_v[i]);
    }
    for (int c = 0; c < study->n_tokens; c++) {
        column[c] =
            (struct ley_column){&k_u[c * study->n_rows], &v_u[c * study->n_rows], {1, 1}, c};
    }
    struct ley_tile_spec tile = {&hardware, study->law, study->n_rows};
    struct ley_tile_trace trace = {study->model_s, study->model_phi, study->model_a,
                                   study->model_code};
    ley_tile_read(sum, &tile, study->pulse, column, study->n_tokens, phi, &trace, NULL);
}

static struct ley_head_circuit circuit_of(const struct study *study) {
    return (struct ley_head_circuit){&study->session.hardware,
                                     &study->session.cell,
                                     study->n_rows,
                                     study->n_tokens,
                                     study->k_v,
                                     study->v_v,
                                     study->pulse};
}

static enum ley_status measure(struct study *study) {
    struct spice_session *session = &study->session;
    struct ley_progress progress = session_progress("head");
    struct ley_head_read read = {study->phi, study->code, 0};
    struct ley_head_circuit circuit;
    LEY_TRY(spice_open(session, study->options));
    LEY_TRY(ley_cell_law(&study->law, session->spice, &session->cell, &session->bench,
                         &session->hardware.cell));
    make_inputs(study);
    run_model(study);
    circuit = circuit_of(study);
    progress.report(progress.context, 0, 2);
    LEY_TRY(ley_head_simulate(&read, session->spice, &circuit));
    progress.report(progress.context, 2, 2);
    study->energy_j = read.energy_j;
    return LEY_OK;
}

static enum ley_status save(const struct study *study) {
    struct ley_markup text = {0};
    struct ley_head_circuit circuit = circuit_of(study);
    if (!study->options->out) {
        return LEY_OK;
    }
    LEY_TRY(ley_head_print(&text, &circuit));
    return spice_save(study->options, "head.cir", &text);
}

// Root mean square of pulses [phase] and counts, and the largest difference of counts.
struct deviation {
    double phi, codes;
    int largest;
};

static struct deviation summarise(const struct study *study) {
    struct deviation d = {0, 0, 0};
    for (int c = 0; c < study->n_tokens; c++) {
        double miss = study->phi[c] - study->model_phi[c];
        d.phi += miss * miss / study->n_tokens;
    }
    for (int row = 0; row < study->n_rows; row++) {
        int miss = abs(study->code[row] - study->model_code[row]);
        d.codes += (double)(miss * miss) / study->n_rows;
        d.largest = miss > d.largest ? miss : d.largest;
    }
    return (struct deviation){sqrt(d.phi), sqrt(d.codes), d.largest};
}

static void print_text(const struct study *study) {
    struct deviation d = summarise(study);
    printf("token   S/S_sat  phi model  phi circuit\n");
    for (int c = 0; c < study->n_tokens; c++) {
        printf("%5d  %8.4f  %9.4f  %11.4f\n", c, study->model_s[c], study->model_phi[c],
               study->phi[c]);
    }
    printf("\n  row   A/A_sat  ticks  count model  count circuit\n");
    for (int row = 0; row < study->n_rows; row++) {
        printf("%5d  %8.4f  %5.2f  %11d  %13d\n", row, study->model_a[row],
               15.5 * study->model_a[row], (int)study->model_code[row], study->code[row]);
    }
    printf("\npulses differ by %.2f %% of the phase rms, counts by %.2f rms, %d at most; %.1f pJ\n",
           100 * d.phi, d.codes, d.largest, 1e12 * study->energy_j);
}

static enum ley_status print_json(const struct study *study) {
    struct deviation d = summarise(study);
    struct cJSON *root = cJSON_CreateObject();
    session_add_origin(root, &study->invocation);
    cJSON_AddNumberToObject(root, "n_rows", study->n_rows);
    cJSON_AddNumberToObject(root, "n_tokens", study->n_tokens);
    cJSON_AddItemToObject(root, "phi", cJSON_CreateDoubleArray(study->phi, study->n_tokens));
    cJSON_AddItemToObject(root, "model_phi",
                          cJSON_CreateDoubleArray(study->model_phi, study->n_tokens));
    cJSON_AddItemToObject(root, "code", cJSON_CreateIntArray(study->code, study->n_rows));
    cJSON_AddItemToObject(root, "model_code",
                          cJSON_CreateIntArray(study->model_code, study->n_rows));
    cJSON_AddNumberToObject(root, "phi_rms", d.phi);
    cJSON_AddNumberToObject(root, "code_rms", d.codes);
    cJSON_AddNumberToObject(root, "code_largest", d.largest);
    cJSON_AddNumberToObject(root, "energy_j", study->energy_j);
    return session_print_json(root);
}

static enum ley_status run(struct study *study) {
    if (study->n_rows < 1 || study->n_rows > MAX_SIDE || study->n_tokens < 1 ||
        study->n_tokens > MAX_SIDE) {
        return ley_fail(LEY_E_ARGUMENT, "--rows and --tokens must be 1..%d", MAX_SIDE);
    }
    LEY_TRY(measure(study));
    LEY_TRY(save(study));
    if (study->options->json) {
        return print_json(study);
    }
    print_text(study);
    return LEY_OK;
}

int cmd_spice_head(int argc, char **argv) {
    struct spice_options options = {.hw = {.name = "paper"}};
    struct study *study = ley_alloc(1, sizeof *study);
    if (!study) {
        return session_fail("spice head", ley_fail_memory("head", 1, sizeof *study));
    }
    *study = (struct study){
        .invocation = {argc, argv}, .options = &options, .n_rows = 8, .n_tokens = 8, .seed = 8};
    const struct option_row rows[] = {
        SPICE_ROWS(options),
        {"rows", 0, OPTION_INT, &study->n_rows, "N", "width of the head (8)"},
        {"tokens", 0, OPTION_INT, &study->n_tokens, "N", "tokens in the tile (8)"},
        {"seed", 0, OPTION_INT, &study->seed, "N", "of the random codes (8)"},
    };
    int result =
        options_parse(argc - 1, argv + 1, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result == 0) {
        enum ley_status status = run(study);
        result = spice_close(&study->session, "spice head", status);
    } else if (result == 1) {
        result = EXIT_OK;
    }
    ley_cell_destroy(study->law);
    ley_free(study);
    return result;
}
