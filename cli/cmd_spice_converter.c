// cmd_spice_converter.c - leyden spice converter: charge to pulse, charge to sign and count
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "plot.h"
#include "spice.h"

static const struct command command = {
    "spice converter", "spice converter [--points N] [--hw PRESET|FILE] [--out DIR] [--json]",
    "Simulates the HardSigmoid converter over -25 .. 150 % of its saturation current and the "
    "signed\n"
    "converter with its counter over +-125 %, each at N currents, against the behavioural ones.",
    "DIR receives score.cir, output.cir (netlists), converter.svg and technology.yaml, the "
    "measured\n"
    "energies as prices (leyden cost --tech paper --tech DIR/technology.yaml)."};

enum { MAX_POINTS = 64 };

struct study {
    struct invocation invocation;
    const struct spice_options *options;
    struct spice_session session;
    int n;
    struct ley_charge_conversion score[MAX_POINTS], output[MAX_POINTS];
};

// What a set of conversions comes to.
struct summary {
    double worst_width; // of the phase
    double energy_j;    // mean
    double least_j, most_j;
    double tick_j;      // counters' energy by their ticks
    int n_codes_differ; // from the model
    double most_ticks;  // furthest from a boundary among those
    double bl_low_v, bl_high_v;
};

static struct summary summarise(const struct ley_charge_conversion *conversion, int n,
                                double phase_s) {
    struct summary s = {.bl_low_v = 1e9, .bl_high_v = -1e9, .least_j = 1, .most_j = 0};
    double counter_j = 0;
    int n_ticks = 0;
    for (int i = 0; i < n; i++) {
        const struct ley_charge_conversion *c = &conversion[i];
        double miss = (c->width_s - c->model_width_s) / phase_s;
        s.worst_width = fabs(miss) > fabs(s.worst_width) ? miss : s.worst_width;
        s.energy_j += c->energy_j / n;
        s.least_j = fmin(s.least_j, c->energy_j);
        s.most_j = fmax(s.most_j, c->energy_j);
        counter_j += c->counter_energy_j;
        n_ticks += abs(c->code);
        s.n_codes_differ += c->code != c->model_code;
        if (c->code != c->model_code) {
            s.most_ticks = fmax(s.most_ticks, abs(c->code - c->model_code) - 1 + c->boundary_ticks);
        }
        s.bl_low_v = fmin(s.bl_low_v, c->bl_low_v);
        s.bl_high_v = fmax(s.bl_high_v, c->bl_high_v);
    }
    s.tick_j = n_ticks ? counter_j / n_ticks : 0;
    return s;
}

static enum ley_status measure(struct study *study) {
    struct spice_session *session = &study->session;
    const struct ley_converter_spec *spec = &session->hardware.converter;
    struct ley_progress progress = session_progress("converters");
    int n = study->n;
    LEY_TRY(spice_open(session, study->options));
    for (int i = 0; i < n; i++) {
        study->score[i].i_a = spec->score_i_sat_a * (-0.25 + 1.75 * i / (n - 1));
        study->output[i].i_a = spec->output_i_sat_a * (-1.25 + 2.5 * i / (n - 1));
    }
    progress.report(progress.context, 0, 3);
    LEY_TRY(ley_charge_conversion_run(study->score, n, LEY_CONVERTER_SCORE, session->spice,
                                      &session->hardware));
    progress.report(progress.context, 1, 3);
    LEY_TRY(ley_charge_conversion_run(study->output, n, LEY_CONVERTER_OUTPUT, session->spice,
                                      &session->hardware));
    progress.report(progress.context, 3, 3);
    return LEY_OK;
}

static enum ley_status draw(const struct study *study, const char *path) {
    FILE *pipe;
    LEY_TRY(plot_open(&pipe, path, 1100, 480));
    fprintf(pipe, "$score << EOD\n");
    for (int i = 0; i < study->n; i++) {
        const struct ley_charge_conversion *c = &study->score[i];
        fprintf(pipe, "%.6g %.6g %.6g\n", 1e6 * c->i_a, 1e9 * c->width_s, 1e9 * c->model_width_s);
    }
    fprintf(pipe, "EOD\n$output << EOD\n");
    for (int i = 0; i < study->n; i++) {
        const struct ley_charge_conversion *c = &study->output[i];
        fprintf(pipe, "%.6g %d %d\n", 1e6 * c->i_a, c->code, c->model_code);
    }
    fprintf(pipe, "EOD\nset border 3\nset tics nomirror\nset grid lc rgb '#e6e6e6' lt 1\n"
                  "set key top left\nset multiplot layout 1,2\n"
                  "set xlabel 'bit line (uA)'\nset ylabel 'pulse (ns)'\n"
                  "plot $score u 1:3 w l lw 2 lc rgb 0x8a8a8a t 'model', "
                  "'' u 1:2 w p pt 7 ps 0.6 lc rgb 0x1f5fa8 t 'circuit'\n"
                  "set ylabel 'count'\nplot $output u 1:3 w steps lw 2 lc rgb 0x8a8a8a t 'model', "
                  "'' u 1:2 w p pt 7 ps 0.6 lc rgb 0x1f5fa8 t 'circuit'\nunset multiplot\n");
    return plot_close(pipe, path);
}

// One price of a technology file.
static void add_price(struct ley_markup *out, const char *key, double value, double low,
                      double high, const char *what) {
    ley_markup_format(out,
                      "  %s: {value: %.6g, unit: J, low: %.6g, high: %.6g,\n"
                      "    source: \"[ours] leyden spice converter: %s\"}\n",
                      key, value, low, high, what);
}

// Prices of our converters, to be laid over another technology.
static void write_technology(struct ley_markup *out, const struct study *study) {
    const struct ley_time_spec *time = &study->session.hardware.time;
    struct summary score = summarise(study->score, study->n, time->q_pulse_s);
    struct summary output = summarise(study->output, study->n, time->phi_pulse_s);
    ley_markup_format(out, "description: converters and counters as simulated by ngspice\n"
                           "# On top of another technology: --tech paper --tech FILE.\nprice:\n");
    add_price(out, "score_conversion_j", score.energy_j, score.least_j, score.most_j,
              "mean, least and most over the range of currents");
    add_price(out, "output_conversion_j", output.energy_j, output.least_j, output.most_j,
              "mean, least and most over the range of currents");
    add_price(out, "counter_tick_j", output.tick_j, output.tick_j, output.tick_j,
              "counters' energy by their ticks");
}

static enum ley_status save(const struct study *study) {
    const struct spice_options *options = study->options;
    const struct ley_hardware *hardware = &study->session.hardware;
    struct ley_markup text = {0};
    char path[LEY_SPICE_PATH_BYTES];
    if (!options->out) {
        return LEY_OK;
    }
    LEY_TRY(
        ley_charge_conversion_print(&text, LEY_CONVERTER_SCORE, study->score, study->n, hardware));
    LEY_TRY(spice_save(options, "score.cir", &text));
    LEY_TRY(ley_charge_conversion_print(&text, LEY_CONVERTER_OUTPUT, study->output, study->n,
                                        hardware));
    LEY_TRY(spice_save(options, "output.cir", &text));
    write_technology(&text, study);
    LEY_TRY(spice_save(options, "technology.yaml", &text));
    return spice_path(path, options, "converter.svg") ? draw(study, path) : LEY_OK;
}

static void print_text(const struct study *study) {
    const struct ley_time_spec *time = &study->session.hardware.time;
    printf("HardSigmoid converter\n      S uA  pulse ns  model ns   of phase\n");
    for (int i = 0; i < study->n; i++) {
        const struct ley_charge_conversion *c = &study->score[i];
        printf("%10.3f  %8.3f  %8.3f  %+8.2f %%\n", 1e6 * c->i_a, 1e9 * c->width_s,
               1e9 * c->model_width_s, 100 * (c->width_s - c->model_width_s) / time->q_pulse_s);
    }
    struct summary s = summarise(study->score, study->n, time->q_pulse_s);
    printf("worst %+.2f %% of the phase; %.2f pJ a conversion; bit line held at %.3f .. %.3f V\n",
           100 * s.worst_width, 1e12 * s.energy_j, s.bl_low_v, s.bl_high_v);
    printf("\nsigned converter and counter\n      A uA  pulse ns  model ns   code  model\n");
    for (int i = 0; i < study->n; i++) {
        const struct ley_charge_conversion *c = &study->output[i];
        printf("%10.3f  %8.3f  %8.3f  %5d  %5d%s\n", 1e6 * c->i_a, 1e9 * c->width_s,
               1e9 * c->model_width_s, c->code, c->model_code,
               c->code != c->model_code ? "  <" : "");
    }
    s = summarise(study->output, study->n, time->phi_pulse_s);
    printf(
        "%d of %d codes differ, at most %.2f ticks from a boundary; %.2f pJ a conversion, %.0f fJ "
        "a tick; bit line at %.3f .. %.3f V\n",
        s.n_codes_differ, study->n, s.most_ticks, 1e12 * s.energy_j, 1e15 * s.tick_j, s.bl_low_v,
        s.bl_high_v);
}

static void add_kind(struct cJSON *root, const char *key,
                     const struct ley_charge_conversion *conversion, int n, double phase_s) {
    struct cJSON *kind = cJSON_AddObjectToObject(root, key);
    struct summary s = summarise(conversion, n, phase_s);
    cJSON_AddNumberToObject(kind, "worst_of_phase", s.worst_width);
    cJSON_AddNumberToObject(kind, "energy_j", s.energy_j);
    cJSON_AddNumberToObject(kind, "tick_j", s.tick_j);
    cJSON_AddNumberToObject(kind, "codes_that_differ", s.n_codes_differ);
    cJSON_AddNumberToObject(kind, "most_ticks_from_boundary", s.most_ticks);
    struct cJSON *list = cJSON_AddArrayToObject(kind, "conversions");
    for (int i = 0; i < n; i++) {
        const struct ley_charge_conversion *c = &conversion[i];
        struct cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "i_a", c->i_a);
        cJSON_AddNumberToObject(row, "width_s", c->width_s);
        cJSON_AddNumberToObject(row, "model_width_s", c->model_width_s);
        cJSON_AddNumberToObject(row, "code", c->code);
        cJSON_AddNumberToObject(row, "model_code", c->model_code);
        cJSON_AddNumberToObject(row, "energy_j", c->energy_j);
        cJSON_AddItemToArray(list, row);
    }
}

static enum ley_status print_json(const struct study *study) {
    const struct ley_time_spec *time = &study->session.hardware.time;
    struct cJSON *root = cJSON_CreateObject();
    session_add_origin(root, &study->invocation);
    cJSON_AddStringToObject(root, "hw", study->options->hw.name);
    add_kind(root, "score_converter", study->score, study->n, time->q_pulse_s);
    add_kind(root, "output_converter", study->output, study->n, time->phi_pulse_s);
    return session_print_json(root);
}

int cmd_spice_converter(int argc, char **argv) {
    struct spice_options options = {.hw = {.name = "paper"}};
    struct study study = {.invocation = {argc, argv}, .options = &options, .n = 22};
    const struct option_row rows[] = {
        SPICE_ROWS(options),
        {"points", 0, OPTION_INT, &study.n, "N", "currents of each converter, 2..64 (22)"},
    };
    int result =
        options_parse(argc - 1, argv + 1, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    enum ley_status status =
        study.n >= 2 && study.n <= MAX_POINTS
            ? measure(&study)
            : ley_fail(LEY_E_ARGUMENT, "--points is %d, must be 2..%d", study.n, MAX_POINTS);
    if (status == LEY_OK) {
        status = save(&study);
    }
    if (status == LEY_OK && options.json) {
        status = print_json(&study);
    } else if (status == LEY_OK) {
        print_text(&study);
    }
    return spice_close(&study.session, "spice converter", status);
}
