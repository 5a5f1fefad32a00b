// section_tasks.c - benchmark tasks: scores of hardwares side by side, divergence from digital
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/section_impl.h"

enum { MAX_RUNS = 6 };

static const struct cJSON *run_of(const struct ley_result *result, int nth) {
    return cJSON_GetArrayItem(ley_json_list(result->json, "runs"), nth);
}

// "paper, adapted"
static void name_run(char *name, size_t n, const struct cJSON *run) {
    const char *hw = ley_json_text(run, "hw", "?"), *origin = ley_json_text(run, "scalers", "");
    snprintf(name, n, "%s%s%s", hw, *origin ? ", " : "", origin);
}

// A key "acc,none" of a task is a metric unless it is an error or no number.
static bool is_metric(const struct cJSON *item) {
    return cJSON_IsNumber(item) && item->string && strstr(item->string, ",none") &&
           !strstr(item->string, "_stderr");
}

static void put_score(struct ley_page *page, const struct cJSON *run, const char *task,
                      const char *key) {
    char error_key[96], text[64] = "\xe2\x80\x93";
    const struct cJSON *results = ley_json_object(ley_json_object(run, "results"), task);
    double value = ley_json_number(results, key), scale = strncmp(key, "acc", 3) == 0 ? 100 : 1;
    snprintf(error_key, sizeof error_key, "%.*s_stderr,none", (int)strcspn(key, ","), key);
    double error = ley_json_number(results, error_key);
    if (isfinite(value)) {
        int n = snprintf(text, sizeof text, "%.4g", scale * value);
        if (isfinite(error)) {
            snprintf(text + n, sizeof text - (size_t)n, " \xc2\xb1 %.2g", scale * error);
        }
    }
    ley_page_cell(page, text);
}

static void put_rows(struct ley_page *page, const struct ley_result *result, int n_runs) {
    const struct cJSON *task, *item;
    cJSON_ArrayForEach(task, ley_json_object(run_of(result, 0), "results")) {
        cJSON_ArrayForEach(item, task) {
            if (!is_metric(item)) {
                continue;
            }
            char metric[64];
            snprintf(metric, sizeof metric, "%.*s", (int)strcspn(item->string, ","), item->string);
            ley_page_row(page);
            ley_page_cell(page, task->string);
            ley_page_cell(page, metric);
            for (int r = 0; r < n_runs; r++) {
                put_score(page, run_of(result, r), task->string, item->string);
            }
            ley_page_row_end(page);
        }
    }
}

// The names of hardwares become heads of columns, in which '|' would begin another.
static void put_table(struct ley_page *page, const struct ley_result *result) {
    char head[1024] = "task|metric", name[80];
    int n_runs = cJSON_GetArraySize(ley_json_list(result->json, "runs"));
    n_runs = n_runs < MAX_RUNS ? n_runs : MAX_RUNS;
    for (int r = 0; r < n_runs; r++) {
        name_run(name, sizeof name, run_of(result, r));
        for (char *c = name; *c; c++) {
            *c = *c == '|' || *c == '<' || *c == '&' ? ' ' : *c;
        }
        size_t n = strlen(head);
        snprintf(head + n, sizeof head - n, "|#%s", name);
    }
    ley_page_figure(page, true);
    ley_page_table(page, head);
    put_rows(page, result, n_runs);
    ley_page_table_end(page);
    ley_page_caption(page, &result, 1,
                     "Benchmark tasks with the metrics of lm-evaluation-harness and their standard "
                     "errors: accuracies in percent, perplexities as they are.");
}

// One curve a run that was compared; returns how many.
static int put_curves(struct ley_markup *script, const struct ley_result *result) {
    struct ley_markup plot = {0};
    int n = 0;
    for (int r = 0; run_of(result, r) && n < MAX_RUNS; r++) {
        const struct cJSON *run = run_of(result, r);
        const struct cJSON *bins = ley_json_list(ley_json_object(run, "divergence"), "by_position");
        char name[80];
        name_run(name, sizeof name, run);
        if (bins) {
            ley_plot_curve_by_position(script, &plot, &n, bins, "kl", name);
        }
    }
    ley_plot_by_position(script, &plot, "KL from digital (nats a token)");
    return n;
}

static enum ley_status draw_divergence(struct ley_page *page, const struct ley_result *result) {
    struct ley_markup script = {0};
    enum ley_status status = LEY_OK;
    if (put_curves(&script, result) > 0) {
        ley_page_figure(page, true);
        status = ley_page_plot(page, &script, 480, 320, "divergence by place in the window");
        ley_page_caption(
            page, &result, 1,
            "Divergence of each chip from the digital model on the same windows, by the "
            "number of tokens that stand before.");
    }
    ley_markup_destroy(&script);
    return status;
}

enum ley_status ley_section_tasks(struct ley_page *page, const struct ley_report *report) {
    const struct ley_result *result;
    for (int i = 0; (result = ley_report_find(report, LEY_RESULT_EVAL, i)); i++) {
        if (run_of(result, 0)) {
            put_table(page, result);
            LEY_TRY(draw_divergence(page, result));
        }
    }
    return LEY_OK;
}
