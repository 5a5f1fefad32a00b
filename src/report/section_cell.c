// section_cell.c - the law of the cell, how well fits follow it, and what leakage takes
#include <cjson/cJSON.h>
#include <math.h>

#include "report/section_impl.h"

// The curves as block $curve: voltage, then currents of table, cubic, linear law [uA].
static void put_curves(struct ley_markup *script, const struct cJSON *curve) {
    static const char *const keys[] = {"stored_v", "table_a", "cubic_a", "linear_a"};
    static const double scale[] = {1, 1e6, 1e6, 1e6};
    ley_plot_block(script, "curve");
    ley_plot_columns(script, curve, keys, scale, 4);
    ley_markup_format(script, "EOD\nset xlabel 'stored voltage (V)'\n");
}

static enum ley_status draw_law(struct ley_page *page, const struct ley_result *cell) {
    struct ley_markup script = {0};
    const struct cJSON *code;
    put_curves(&script, ley_json_object(cell->json, "curve"));
    ley_plot_block(&script, "codes");
    cJSON_ArrayForEach(code, ley_json_list(cell->json, "codes")) {
        ley_markup_format(&script, "%.7g %.7g\n", ley_json_number(code, "stored_v"),
                          1e6 * ley_json_number(code, "law_a"));
    }
    ley_markup_format(&script,
                      "EOD\nset ylabel 'read current (\xc2\xb5%s)'\n"
                      "plot $curve u 1:2 w l lw 5 lc rgb '#070102' t 'table', "
                      "'' u 1:3 w l lw 2 lc rgb '#010102' t 'cubic', "
                      "'' u 1:4 w l lw 2 dt 2 lc rgb '#020102' t 'linear', "
                      "$codes u 1:2 w p pt 7 ps 0.6 lc rgb 'black' t 'codes'\n",
                      "A");
    ley_page_figure(page, false);
    enum ley_status status = ley_page_plot(page, &script, 460, 330, "current of the cell");
    ley_page_caption(page, &cell, 1,
                     "Read current of a freshly written cell against its stored voltage: circuit "
                     "simulation or measurement (table), cubic and linear fits, and the codes that "
                     "the chip writes, on the law it is simulated with.");
    ley_markup_destroy(&script);
    return status;
}

static enum ley_status draw_misses(struct ley_page *page, const struct ley_result *cell) {
    struct ley_markup script = {0};
    const struct cJSON *cubic = ley_json_object(cell->json, "cubic_against_table");
    const struct cJSON *linear = ley_json_object(cell->json, "linear_against_table");
    put_curves(&script, ley_json_object(cell->json, "curve"));
    ley_markup_format(&script,
                      "set ylabel 'miss of the table (\xc2\xb5%s)'\n"
                      "plot $curve u 1:($3-$2) w l lw 2 lc rgb '#010102' t 'cubic', "
                      "'' u 1:($4-$2) w l lw 2 dt 2 lc rgb '#020102' t 'linear'\n",
                      "A");
    ley_page_figure(page, false);
    enum ley_status status = ley_page_plot(page, &script, 460, 330, "what fits miss");
    ley_page_caption(page, &cell, 1,
                     "What the fits miss: cubic %.3g &#181;A rms (R&#178; %.4f), linear %.3g "
                     "&#181;A rms (R&#178; %.4f).",
                     1e6 * ley_json_number(cubic, "rms_a"), ley_json_number(cubic, "r2"),
                     1e6 * ley_json_number(linear, "rms_a"), ley_json_number(linear, "r2"));
    ley_markup_destroy(&script);
    return status;
}

static enum ley_status draw_leakage(struct ley_page *page, const struct ley_result *cell) {
    static const char *const keys[] = {"tokens", "u_kept"};
    static const double scale[] = {1, 100};
    struct ley_markup script = {0};
    const struct cJSON *hardware = ley_json_object(cell->json, "hardware");
    ley_plot_block(&script, "leak");
    ley_plot_columns(&script, ley_json_object(cell->json, "leakage_curve"), keys, scale, 2);
    ley_markup_format(&script,
                      "EOD\nset xlabel 'age (tokens)'\nset ylabel 'kept (%%)'\nunset key\n"
                      "set yrange [*<0:100<*]\nset xrange [0:%.0f]\n"
                      "plot $leak u 1:2 w filledcurves x1 fs transparent solid 0.15 lc rgb "
                      "'#010102', '' u 1:2 w l lw 3 lc rgb '#010102'\n",
                      ley_json_number(hardware, "array.window"));
    ley_page_figure(page, false);
    enum ley_status status = ley_page_plot(page, &script, 460, 330, "leakage over the window");
    struct ley_markup tau = {0}, period = {0};
    ley_markup_quantity(&tau, ley_json_number(hardware, "cell.tau_s"), "s");
    ley_markup_quantity(&period, ley_json_number(hardware, "time.token_period_s"), "s");
    ley_page_caption(page, &cell, 1,
                     "What a cell keeps of the state that was written, over the window of %.0f "
                     "tokens: tau %s, a token every %s.",
                     ley_json_number(hardware, "array.window"), tau.n ? tau.text : "",
                     period.n ? period.text : "");
    ley_markup_destroy(&tau);
    ley_markup_destroy(&period);
    ley_markup_destroy(&script);
    return status;
}

static void list_ages(struct ley_page *page, const struct ley_result *cell) {
    const struct cJSON *age;
    ley_page_figure(page, false);
    ley_page_table(page, "#age, tokens|#time|#kept %|#top current|#lost levels");
    cJSON_ArrayForEach(age, ley_json_list(cell->json, "leakage_of_top_code")) {
        ley_page_row(page);
        ley_page_cell_number(page, "%.0f", ley_json_number(age, "tokens"));
        ley_page_cell_quantity(page, ley_json_number(age, "time_s"), "s");
        ley_page_cell_number(page, "%.3f", 100 * ley_json_number(age, "u_kept"));
        ley_page_cell_quantity(page, ley_json_number(age, "current_a"), "A");
        ley_page_cell_number(page, "%.3f", ley_json_number(age, "lost_levels"));
        ley_page_row_end(page);
    }
    ley_page_table_end(page);
    ley_page_caption(page, &cell, 1,
                     "The top code as it ages; lost levels are steps of the write "
                     "DAC.");
}

// Results of older versions have no curves, but the table of ages.
enum ley_status ley_section_cell(struct ley_page *page, const struct ley_report *report) {
    const struct ley_result *cell;
    for (int i = 0; (cell = ley_report_find(report, LEY_RESULT_CELL, i)); i++) {
        if (ley_json_object(cell->json, "curve")) {
            LEY_TRY(draw_law(page, cell));
            LEY_TRY(draw_misses(page, cell));
        }
        if (ley_json_object(cell->json, "leakage_curve")) {
            LEY_TRY(draw_leakage(page, cell));
        }
        list_ages(page, cell);
    }
    return LEY_OK;
}
