// cmd_cell.c - leyden cell: what a memory cell stores, gives and loses
//
// The table law is the truth here (a circuit simulation or a measurement); the cubic and the linear
// law are judged by what they miss of it.
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "plot.h"
#include "session.h"

static const struct command command = {
    "cell", "cell [--hw PRESET|FILE] [--set KEY=VALUE]... [--csv|--json|--svg FILE]",
    "Shows the law of the memory cell: for each code the stored voltage and the read current by\n"
    "table, cubic and linear law with residuals against the table, and what leakage takes.",
    ""};

enum { N_LAWS = 3, N_AGES = 6, N_FIT = 181, N_LEAK = 128 };
// N_FIT voltages: every 5 mV of 0..0.9 V; the window in N_LEAK steps, age 0 included

static const char *const law_names[N_LAWS] = {"linear", "cubic", "table"}; // ORDER cell.law

struct study {
    struct invocation invocation;
    const char *name; // of the hardware
    struct ley_hardware hardware;
    struct ley_cell *cell[N_LAWS];
    int n_codes; // of the write DAC; a continuous one is sampled like the paper's
};

// The same chip three times, with each law in turn.
static enum ley_status create(struct study *study, const struct hardware_options *options) {
    study->name = options->name;
    // Codes and voltages come from the chip, whatever the law.
    LEY_TRY(session_hardware(&study->hardware, options));
    LEY_TRY(ley_hardware_check(&study->hardware, 1));
    study->n_codes = study->hardware.converter.kv_levels ? study->hardware.converter.kv_levels : 8;
    for (int law = 0; law < N_LAWS; law++) {
        // The table law has to load whatever the hardware names as its own law: it is the truth.
        struct ley_hardware variant = study->hardware;
        variant.cell.law = law;
        LEY_TRY(ley_hardware_create_cell(&study->cell[law], &variant));
    }
    return LEY_OK;
}

// Codes are evenly spaced over 0..V_DD, as the write DAC's grid is (M9).
static double voltage(const struct study *study, int code, int n_codes) {
    return code * study->hardware.cell.v_dd_v / (n_codes - 1);
}

// Current of a freshly written cell [uA].
static double current_ua(const struct study *study, int law, double w_v) {
    const struct ley_cell *cell = study->cell[law];
    return 1e6 * ley_cell_current(cell, ley_cell_write(cell, w_v));
}

// Root mean square of what a law misses [uA], and the share of the table's variance it explains.
struct fit {
    double rms_ua, r2;
};

// How well a law follows the table over the whole range.
static struct fit judge(const struct study *study, int law) {
    double sum = 0, sum_square = 0, missed = 0;
    for (int i = 0; i < N_FIT; i++) {
        // The table at the same voltage is the truth.
        double w_v = voltage(study, i, N_FIT), truth = current_ua(study, LEY_CELL_TABLE, w_v);
        double miss = current_ua(study, law, w_v) - truth;
        sum += truth;
        sum_square += truth * truth;
        missed += miss * miss;
    }
    // Sum of squares around the mean, in one pass: 181 values of microamperes lose nothing.
    double variance = sum_square - sum * sum / N_FIT;
    return (struct fit){sqrt(missed / N_FIT), variance > 0 ? 1 - missed / variance : 0};
}

// A cell some time after writing: kept is what is left of u (or of the current, if uniform),
// lost_levels the loss of u in steps of the write DAC.
struct age {
    long long n_tokens;
    double time_s, kept, top_ua, lost_levels;
};

// State of a cell at the top of the range, n tokens after it was written.
static struct age look(const struct study *study, long long n_tokens) {
    const struct ley_hardware *hardware = &study->hardware;
    const struct ley_cell *cell = study->cell[hardware->cell.law];
    double time_s = (double)n_tokens * hardware->time.token_period_s;
    struct ley_decay decay = ley_cell_decay(cell, time_s);
    double u_v = ley_cell_write(cell, hardware->cell.v_dd_v);
    double top_a = ley_cell_current(cell, u_v * decay.u_scale) * decay.i_scale;
    // One step of the write DAC [V].
    double level_v = hardware->cell.v_dd_v / (study->n_codes - 1);
    double kept = decay.u_scale * decay.i_scale;
    return (struct age){n_tokens, time_s, kept, 1e6 * top_a, u_v * (1 - kept) / level_v};
}

// Ages 1, 4, 16 ... tokens, and the oldest that the window holds.
static int list_ages(struct age age[N_AGES], const struct study *study) {
    int window = study->hardware.array.window, n = 0;
    // At most N_AGES - 1 of these, then the window itself.
    for (int lag = 1; lag < window && n < N_AGES - 1; lag *= 4) {
        age[n++] = look(study, lag);
    }
    age[n++] = look(study, window);
    return n;
}

// For people: microamperes, one line a code.
static void print_text(const struct study *study) {
    const struct ley_cell_spec *cell = &study->hardware.cell;
    printf("cell of %s: %s law, %d codes over 0..%g V, u = w - %g V\n\n", study->name,
           law_names[cell->law], study->n_codes, cell->v_dd_v, cell->v_ref_v);
    printf("code  stored V      u V  table uA  cubic uA  (miss)  linear uA  (miss)\n");
    for (int code = 0; code < study->n_codes; code++) {
        double w_v = voltage(study, code, study->n_codes);
        double table = current_ua(study, LEY_CELL_TABLE, w_v);
        double cubic = current_ua(study, LEY_CELL_CUBIC, w_v);
        double linear = current_ua(study, LEY_CELL_LINEAR, w_v);
        printf("%4d  %8.4f  %7.4f  %8.3f  %8.3f  %+6.3f  %9.3f  %+6.3f\n", code, w_v,
               w_v - cell->v_ref_v, table, cubic, cubic - table, linear, linear - table);
    }
    struct fit cubic = judge(study, LEY_CELL_CUBIC), linear = judge(study, LEY_CELL_LINEAR);
    printf("\nmiss of the table over 0..%g V: cubic rms %.3f uA (R2 %.4f), linear rms %.3f uA (R2 "
           "%.4f)\n\n",
           cell->v_dd_v, cubic.rms_ua, cubic.r2, linear.rms_ua, linear.r2);
    printf(
        "leakage (%s, tau %g s, a token every %g s), top code:\n  tokens        time  u kept %%  "
        "current uA  lost levels\n",
        cell->leakage == LEY_LEAK_NONE ? "none" : "on", cell->tau_s,
        study->hardware.time.token_period_s);
    struct age age[N_AGES];
    for (int i = 0, n = list_ages(age, study); i < n; i++) {
        printf("%8lld  %8.3g s  %8.3f  %10.3f  %11.3f\n", age[i].n_tokens, age[i].time_s,
               100 * age[i].kept, age[i].top_ua, age[i].lost_levels);
    }
}

// The same columns for spreadsheets, all digits.
static void print_csv(const struct study *study) {
    printf("code,stored_v,u_v,table_ua,cubic_ua,linear_ua,cubic_miss_ua,linear_miss_ua\n");
    for (int code = 0; code < study->n_codes; code++) {
        double w_v = voltage(study, code, study->n_codes);
        double table = current_ua(study, LEY_CELL_TABLE, w_v);
        double cubic = current_ua(study, LEY_CELL_CUBIC, w_v);
        double linear = current_ua(study, LEY_CELL_LINEAR, w_v);
        printf("%d,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g\n", code, w_v,
               w_v - study->hardware.cell.v_ref_v, table, cubic, linear, cubic - table,
               linear - table);
    }
}

// SI units here, as everywhere in JSON.
static void add_codes(struct cJSON *root, const struct study *study) {
    struct cJSON *list = cJSON_AddArrayToObject(root, "codes");
    for (int code = 0; code < study->n_codes; code++) {
        double w_v = voltage(study, code, study->n_codes);
        struct cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "code", code);
        cJSON_AddNumberToObject(row, "stored_v", w_v);
        cJSON_AddNumberToObject(row, "u_v", w_v - study->hardware.cell.v_ref_v);
        cJSON_AddNumberToObject(row, "linear_a", 1e-6 * current_ua(study, LEY_CELL_LINEAR, w_v));
        cJSON_AddNumberToObject(row, "cubic_a", 1e-6 * current_ua(study, LEY_CELL_CUBIC, w_v));
        cJSON_AddNumberToObject(row, "table_a", 1e-6 * current_ua(study, LEY_CELL_TABLE, w_v));
        cJSON_AddNumberToObject(row, "law_a",
                                1e-6 * current_ua(study, study->hardware.cell.law, w_v));
        cJSON_AddItemToArray(list, row);
    }
}

// The laws against voltage, and the leakage over the window, as lists that plots are drawn from.
static void add_curves(struct cJSON *root, const struct study *study) {
    static const char *const names[N_LAWS] = {"linear_a", "cubic_a", "table_a"}; // ORDER cell.law
    struct cJSON *curve = cJSON_AddObjectToObject(root, "curve");
    struct cJSON *leakage = cJSON_AddObjectToObject(root, "leakage_curve");
    struct cJSON *volts = cJSON_AddArrayToObject(curve, "stored_v");
    struct cJSON *tokens = cJSON_AddArrayToObject(leakage, "tokens");
    struct cJSON *kept = cJSON_AddArrayToObject(leakage, "u_kept");
    for (int i = 0; i < N_FIT; i++) {
        cJSON_AddItemToArray(volts, cJSON_CreateNumber(voltage(study, i, N_FIT)));
    }
    for (int law = 0; law < N_LAWS; law++) {
        struct cJSON *amperes = cJSON_AddArrayToObject(curve, names[law]);
        for (int i = 0; i < N_FIT; i++) {
            double current_a = 1e-6 * current_ua(study, law, voltage(study, i, N_FIT));
            cJSON_AddItemToArray(amperes, cJSON_CreateNumber(current_a));
        }
    }
    for (int i = 0; i <= N_LEAK; i++) {
        struct age age = look(study, (long long)study->hardware.array.window * i / N_LEAK);
        cJSON_AddItemToArray(tokens, cJSON_CreateNumber((double)age.n_tokens));
        cJSON_AddItemToArray(kept, cJSON_CreateNumber(age.kept));
    }
}

// Currents in ampere, whatever the text shows; the whole hardware goes along, so that a result says
// what it was made with.
static int print_json(const struct study *study) {
    struct cJSON *root = cJSON_CreateObject();
    session_add_origin(root, &study->invocation);
    cJSON_AddStringToObject(root, "hw", study->name);
    cJSON_AddStringToObject(root, "law", law_names[study->hardware.cell.law]);
    add_codes(root, study);
    // The two laws before the table, ORDER cell.law.
    for (int law = 0; law < LEY_CELL_TABLE; law++) {
        struct fit fit = judge(study, law);
        struct cJSON *row = cJSON_AddObjectToObject(
            root, law == LEY_CELL_LINEAR ? "linear_against_table" : "cubic_against_table");
        cJSON_AddNumberToObject(row, "rms_a", 1e-6 * fit.rms_ua);
        cJSON_AddNumberToObject(row, "r2", fit.r2);
    }
    struct cJSON *leakage = cJSON_AddArrayToObject(root, "leakage_of_top_code");
    struct age age[N_AGES];
    for (int i = 0, n = list_ages(age, study); i < n; i++) {
        struct cJSON *row = cJSON_CreateObject();
        cJSON_AddNumberToObject(row, "tokens", (double)age[i].n_tokens);
        cJSON_AddNumberToObject(row, "time_s", age[i].time_s);
        cJSON_AddNumberToObject(row, "u_kept", age[i].kept);
        cJSON_AddNumberToObject(row, "current_a", 1e-6 * age[i].top_ua);
        cJSON_AddNumberToObject(row, "lost_levels", age[i].lost_levels);
        cJSON_AddItemToArray(leakage, row);
    }
    add_curves(root, study);
    cJSON_AddItemToObject(root, "hardware",
                          ley_params_json(ley_hardware_params(), &study->hardware));
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (!text) {
        return session_fail("cell", ley_fail_memory("JSON text", 1, 1));
    }
    printf("%s\n", text);
    free(text);
    return EXIT_OK;
}

// ---- the plot: the law with its codes, what polynomials miss, and leakage over the window

// Data blocks that the plot refers to by name.
static void send_curves(FILE *pipe, const struct study *study) {
    fprintf(pipe, "$curve << EOD\n");
    for (int i = 0; i < N_FIT; i++) {
        double w_v = voltage(study, i, N_FIT);
        fprintf(pipe, "%.6g %.6g %.6g %.6g\n", w_v, current_ua(study, LEY_CELL_TABLE, w_v),
                current_ua(study, LEY_CELL_CUBIC, w_v), current_ua(study, LEY_CELL_LINEAR, w_v));
    }
    // Codes lie on the law that the hardware has, not on the table.
    fprintf(pipe, "EOD\n$codes << EOD\n");
    for (int code = 0; code < study->n_codes; code++) {
        double w_v = voltage(study, code, study->n_codes);
        fprintf(pipe, "%.6g %.6g %d\n", w_v, current_ua(study, study->hardware.cell.law, w_v),
                code);
    }
    fprintf(pipe, "EOD\n$leak << EOD\n");
    for (int i = 0; i <= N_LEAK; i++) {
        long long n_tokens = (long long)study->hardware.array.window * i / N_LEAK;
        struct age age = look(study, n_tokens);
        fprintf(pipe, "%lld %.6g %.6g\n", n_tokens, age.top_ua, 100 * age.kept);
    }
    fprintf(pipe, "EOD\n");
}

// gnuplot refers to the blocks above by name; '' repeats the last one.
static enum ley_status draw(const struct study *study, const char *path) {
    FILE *pipe;
    LEY_TRY(plot_open(&pipe, path, 1200, 560));
    send_curves(pipe, study);
    fprintf(
        pipe,
        "set multiplot\nset border 3\nset tics nomirror\nset grid lc rgb '#e6e6e6' lt 1\n"
        "blue = 0x1f5fa8; red = 0xc8442b; grey = 0x8a8a8a\n"
        "set size 0.58,0.68; set origin 0,0.32; set lmargin 9; set bmargin 0.6\n"
        "set title 'Gain cell of \"%s\": %s law' noenhanced\nset format x ''\n"
        "set ylabel 'read current (uA)'\nset key top left\nset xrange [0:%g]\n"
        "plot $curve u 1:2 w l lw 4 lc rgb grey t 'table', '' u 1:3 w l lw 2 lc rgb blue t "
        "'cubic', '' u 1:4 w l lw 2 dt 2 lc rgb red t 'linear', $codes u 1:2 w p pt 7 ps 0.9 lc "
        "rgb 'black' t 'codes', '' u 1:2:3 w labels offset 0,1 notitle\n"
        "unset title\nset size 0.58,0.34; set origin 0,0; set bmargin 3.2; set tmargin 0.6\n"
        "set format x '%%g'\nset xlabel 'stored voltage (V)'\nset ylabel 'miss (uA)'\n"
        "set ytics 1\nset key top left horizontal\n"
        "plot $curve u 1:($3-$2) w l lw 2 lc rgb blue t 'cubic - table', '' u 1:($4-$2) w l "
        "lw 2 dt 2 lc rgb red t 'linear - table'\n"
        "set size 0.42,1; set origin 0.58,0; set tmargin 3\nset ytics auto\n"
        "set title 'Leakage over the window'\nset xrange [0:%d]\nset xtics %d\n"
        "set xlabel 'age (tokens of %g us)'\nset ylabel 'u kept (%%)'\nunset key\n"
        "plot $leak u 1:3 w l lw 3 lc rgb blue\nunset multiplot\n",
        study->name, law_names[study->hardware.cell.law], study->hardware.cell.v_dd_v,
        study->hardware.array.window, (study->hardware.array.window + 3) / 4,
        1e6 * study->hardware.time.token_period_s);
    return plot_close(pipe, path);
}

// One form of output at a time; --svg comes on top of any.
int cmd_cell(int argc, char **argv) {
    struct hardware_options hw = {.name = "paper"};
    bool csv = false, json = false;
    const char *svg = NULL;
    const struct option_row rows[] = {
        HARDWARE_ROWS(hw),
        {"csv", 0, OPTION_FLAG, &csv, NULL, "the codes as CSV"},
        {"json", 0, OPTION_FLAG, &json, NULL, "everything as JSON"},
        {"svg", 0, OPTION_TEXT, &svg, "FILE",
         "draw the law, what fits miss, and leakage (gnuplot)"},
    };
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    struct study study = {.invocation = {argc, argv}};
    enum ley_status status = create(&study, &hw);
    if (status == LEY_OK && svg) {
        status = draw(&study, svg);
    }
    if (status != LEY_OK) {
        result = session_fail("cell", status);
    } else if (json) {
        result = print_json(&study);
    } else if (csv) {
        print_csv(&study);
    } else {
        print_text(&study);
    }
    for (int law = 0; law < N_LAWS; law++) {
        ley_cell_destroy(study.cell[law]);
    }
    return result;
}
