// section_training.c - curves of training runs from their logs, stage by stage
//
// Long logs are drawn as means of neighbouring steps: no more points than a screen can show.
#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "report/section_impl.h"

enum { MAX_POINTS = 600, MAX_STAGES = 8 };

// Lines of one stage of a log.
struct stage {
    const struct ley_result *log;
    const char *name; // "distil"
};

// True for a line of this stage and kind.
static bool is_of(const struct cJSON *line, const struct stage *stage, const char *kind) {
    return strcmp(ley_json_text(line, "kind", ""), kind) == 0 &&
           strcmp(ley_json_text(line, "stage", ""), stage->name) == 0;
}

// Lines of `kind` with a number `key` as a block named after the kind: step, mean of the number.
// Returns how many points there are.
static int put_curve(struct ley_markup *script, const struct stage *stage, const char *kind,
                     const char *key) {
    const struct cJSON *line;
    int n_lines = 0, n_points = 0, n_in = 0;
    double step = 0, sum = 0;
    cJSON_ArrayForEach(line, stage->log->json) {
        n_lines += is_of(line, stage, kind) && isfinite(ley_json_number(line, key));
    }
    int n_each = (n_lines + MAX_POINTS - 1) / MAX_POINTS;
    ley_plot_block(script, kind);
    cJSON_ArrayForEach(line, stage->log->json) {
        double value = ley_json_number(line, key);
        if (!is_of(line, stage, kind) || !isfinite(value)) {
            continue;
        }
        step += ley_json_number(line, "step");
        sum += value;
        n_lines--;
        if (++n_in == n_each || n_lines == 0) {
            ley_markup_format(script, "%.7g %.7g\n", step / n_in, sum / n_in);
            n_points++;
            n_in = 0;
            step = sum = 0;
        }
    }
    ley_markup_format(script, "EOD\n");
    return n_points;
}

// Ends a figure; `text` is Leyden's, the name of the stage is not.
static void end_figure(struct ley_page *page, const struct stage *stage, const char *text) {
    struct ley_markup name = {0};
    ley_markup_escape(&name, stage->name);
    ley_page_caption(page, &stage->log, 1, "Stage %s: %s", name.n ? name.text : "", text);
    ley_markup_destroy(&name);
}

// A number of training and validation over steps; nothing when the stage has none.
static enum ley_status draw_curve(struct ley_page *page, const struct stage *stage, const char *key,
                                  const char *label, const char *text) {
    struct ley_markup script = {0};
    enum ley_status status = LEY_OK;
    int n_train = put_curve(&script, stage, "train", key);
    int n_validation = put_curve(&script, stage, "validation", key);
    ley_markup_format(&script, "set xlabel 'step'\nset ylabel '%s'\nplot ", label);
    if (n_train > 0) {
        ley_markup_format(&script, "$train u 1:2 w l lw 1.5 lc rgb '#010102' t 'training'%s",
                          n_validation ? ", " : "\n");
    }
    if (n_validation > 0) {
        ley_markup_format(&script, "$validation u 1:2 w lp lw 2 pt 7 ps 0.6 lc rgb '#020102' t "
                                   "'validation'\n");
    }
    if (n_train + n_validation > 1) {
        ley_page_figure(page, false);
        status = ley_page_plot(page, &script, 460, 300, label);
        end_figure(page, stage, text);
    }
    ley_markup_destroy(&script);
    return status;
}

// True when the number `key` says more than the loss does.
static bool is_news(const struct stage *stage, const char *key) {
    const struct cJSON *line;
    cJSON_ArrayForEach(line, stage->log->json) {
        double value = ley_json_number(line, key);
        if (is_of(line, stage, "train") && isfinite(value) &&
            value != ley_json_number(line, "loss")) {
            return true;
        }
    }
    return false;
}

static enum ley_status draw_stage(struct ley_page *page, const struct stage *stage) {
    static const struct {
        const char *key, *label, *text;
    } rows[] = {
        {"nll", "loss of the text (nats)", "negative log-likelihood of the text, in nats a token."},
        {"divergence", "divergence", "divergence of predictions from those of the teacher."},
        {"hidden", "hidden states missed",
         "share of the power of the teacher's hidden states that is missed."},
        {"norm", "norm of gradients", "norm of all gradients before it is clipped."},
        {"rate", "learning rate", "learning rate."},
    };
    LEY_TRY(draw_curve(page, stage, "loss", "loss", "what the run makes small."));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (is_news(stage, rows[i].key)) {
            LEY_TRY(draw_curve(page, stage, rows[i].key, rows[i].label, rows[i].text));
        }
    }
    return LEY_OK;
}

// Where a stage began and ended, in training or validation.
static void list_stage(struct ley_page *page, const struct stage *stage, const char *kind) {
    const struct cJSON *line, *first = NULL, *last = NULL;
    cJSON_ArrayForEach(line, stage->log->json) {
        if (is_of(line, stage, kind)) {
            first = first ? first : line;
            last = line;
        }
    }
    if (last) {
        ley_page_row(page);
        ley_page_cell(page, stage->name);
        ley_page_cell(page, kind);
        ley_page_cell_number(page, "%.0f", ley_json_number(first, "step"));
        ley_page_cell_number(page, "%.0f", ley_json_number(last, "step"));
        ley_page_cell_number(page, "%.0f", ley_json_number(last, "tokens"));
        ley_page_cell_number(page, "%.4f", ley_json_number(first, "loss"));
        ley_page_cell_number(page, "%.4f", ley_json_number(last, "loss"));
        ley_page_cell_number(page, "%.4g", exp(ley_json_number(first, "nll")));
        ley_page_cell_number(page, "%.4g", exp(ley_json_number(last, "nll")));
        ley_page_cell_number(page, "%.0f s", ley_json_number(last, "seconds"));
        ley_page_row_end(page);
    }
}

// Stages in the order of the log.
static int find_stages(struct stage stages[MAX_STAGES], const struct ley_result *log) {
    const struct cJSON *line;
    int n = 0;
    cJSON_ArrayForEach(line, log->json) {
        struct stage stage = {log, ley_json_text(line, "stage", "")};
        if (strcmp(ley_json_text(line, "kind", ""), "start") == 0) {
            continue;
        }
        // A log holds thousands of lines of one stage, then those of the next.
        if (n < MAX_STAGES && (n == 0 || strcmp(stages[n - 1].name, stage.name) != 0)) {
            stages[n++] = stage;
        }
    }
    return n;
}

// What the run is, where its log says so.
static void list_start(struct ley_page *page, const struct ley_result *log) {
    const struct cJSON *start = ley_result_origin(log);
    const struct cJSON *options = ley_json_object(start, "options");
    if (!options) {
        return;
    }
    ley_page_figure(page, true);
    ley_page_table(page, "model|hardware|data|#tokens|#of a window|#windows a step|#seed|leyden");
    ley_page_row(page);
    ley_page_cell(page, ley_json_text(start, "model_name", ley_json_text(start, "model", "?")));
    ley_page_cell(page, ley_json_text(start, "hw", "?"));
    ley_page_cell(page, ley_json_text(options, "data", "?"));
    ley_page_cell_number(page, "%.0f", ley_json_number(options, "tokens"));
    ley_page_cell_number(page, "%.0f", ley_json_number(options, "ctx"));
    ley_page_cell_number(page, "%.0f", ley_json_number(options, "batch"));
    ley_page_cell_number(page, "%.0f", ley_json_number(start, "seed"));
    ley_page_cell(page, ley_json_text(start, "leyden", "?"));
    ley_page_row_end(page);
    ley_page_table_end(page);
    ley_page_caption(page, &log, 1, "What was trained.");
}

enum ley_status ley_section_training(struct ley_page *page, const struct ley_report *report) {
    const struct ley_result *log;
    for (int i = 0; (log = ley_report_find(report, LEY_RESULT_LOG, i)); i++) {
        struct stage stages[MAX_STAGES];
        int n = find_stages(stages, log);
        list_start(page, log);
        ley_page_figure(page, true);
        ley_page_table(page, "stage|of|#from step|#to step|#tokens|#loss at first|#at last|"
                             "#perplexity at first|#at last|#time");
        for (int s = 0; s < n; s++) {
            list_stage(page, &stages[s], "train");
            list_stage(page, &stages[s], "validation");
        }
        ley_page_table_end(page);
        ley_page_caption(page, &log, 1, "Training runs, stage by stage.");
        for (int s = 0; s < n; s++) {
            LEY_TRY(draw_stage(page, &stages[s]));
        }
    }
    return LEY_OK;
}
