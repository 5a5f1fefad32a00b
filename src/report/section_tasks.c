// section_tasks.c - benchmark tasks: scores of hardwares side by side, divergence from digital
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/scores.h"
#include "report/section_impl.h"

enum { MAX_TASKS = 24 };

struct board {
    struct ley_scores_table scores;
    const struct cJSON *task[MAX_TASKS]; // every task once, as the first column has it that does
    int n_tasks, n_tasks_left_out;
};

static const struct cJSON *first_with(const struct board *board, const char *task) {
    const struct cJSON *found = NULL;
    for (int c = 0; c < board->scores.n_columns && !found; c++) {
        found = ley_score_task(&board->scores.column[c], task);
    }
    return found;
}

static void add_task(struct board *board, const struct cJSON *task) {
    if (first_with(board, task->string) != task) {
        return;
    }
    if (board->n_tasks < MAX_TASKS) {
        board->task[board->n_tasks++] = task;
    } else {
        board->n_tasks_left_out++;
    }
}

static void gather(struct board *board, const struct ley_report *report) {
    const struct cJSON *task;
    board->n_tasks = board->n_tasks_left_out = 0;
    ley_gather_scores(&board->scores, report);
    for (int c = 0; c < board->scores.n_columns; c++) {
        const struct ley_scores *column = &board->scores.column[c];
        for (int r = 0; r < column->n_runs; r++) {
            cJSON_ArrayForEach(task, ley_json_object(column->run[r], "results")) {
                add_task(board, task);
            }
        }
    }
}

// ---- the table

// A key "acc,none" of a task is a metric unless it is an error or no number.
static bool is_metric(const struct cJSON *item) {
    return cJSON_IsNumber(item) && item->string && strstr(item->string, ",none") &&
           !strstr(item->string, "_stderr");
}

// Standard error of the metric "acc,none": "acc_stderr,none"; NAN: none.
static double error_of(const struct cJSON *task, const char *metric) {
    char key[96];
    snprintf(key, sizeof key, "%.*s_stderr,none", (int)strcspn(metric, ","), metric);
    return ley_json_number(task, key);
}

static void put_score(struct ley_page *page, const struct cJSON *task, const char *metric) {
    char text[64] = "\xe2\x80\x93";
    double value = ley_json_number(task, metric), error = error_of(task, metric);
    double scale = strncmp(metric, "acc", 3) == 0 ? 100 : 1;
    if (isfinite(value)) {
        int n = snprintf(text, sizeof text, "%.4g", scale * value);
        if (isfinite(error)) {
            snprintf(text + n, sizeof text - (size_t)n, " \xc2\xb1 %.2g", scale * error);
        }
    }
    ley_page_cell_figures(page, text);
}

// The metrics of a task, and how many items each column had of it.
static void put_task(struct ley_page *page, const struct board *board, const struct cJSON *task) {
    const struct cJSON *item;
    cJSON_ArrayForEach(item, task) {
        if (is_metric(item)) {
            char metric[64];
            snprintf(metric, sizeof metric, "%.*s", (int)strcspn(item->string, ","), item->string);
            ley_page_row(page);
            ley_page_cell(page, task->string);
            ley_page_cell(page, metric);
            for (int c = 0; c < board->scores.n_columns; c++) {
                put_score(page, ley_score_task(&board->scores.column[c], task->string),
                          item->string);
            }
            ley_page_row_end(page);
        }
    }
    ley_page_row(page);
    ley_page_cell(page, task->string);
    ley_page_cell(page, "items");
    for (int c = 0; c < board->scores.n_columns; c++) {
        ley_page_cell_number(page, "%.0f", ley_score_items(&board->scores.column[c], task->string));
    }
    ley_page_row_end(page);
}

// Says what the page has no room for; nothing when everything is there.
static void put_left_out(char *text, size_t n, const struct board *board) {
    *text = '\0';
    if (board->scores.n_left_out > 0 || board->n_tasks_left_out > 0) {
        snprintf(text, n, " Left out: runs %d, tasks %d (at most %d columns and %d tasks fit).",
                 board->scores.n_left_out, board->n_tasks_left_out, LEY_MAX_SCORES, MAX_TASKS);
    }
}

static void put_table(struct ley_page *page, const struct board *board) {
    char head[1024] = "task|metric", left_out[128];
    for (int c = 0; c < board->scores.n_columns; c++) {
        size_t n = strlen(head);
        snprintf(head + n, sizeof head - n, "|#%s", board->scores.column[c].name);
    }
    ley_page_figure(page, true);
    ley_page_table(page, head);
    for (int t = 0; t < board->n_tasks; t++) {
        put_task(page, board, board->task[t]);
    }
    ley_page_table_end(page);
    put_left_out(left_out, sizeof left_out, board);
    ley_page_caption(page, board->scores.from, board->scores.n_from,
                     "Benchmark tasks with the metrics of lm-evaluation-harness and their standard "
                     "errors: accuracies in percent, perplexities as they are.%s",
                     left_out);
}

// ---- the chart of accuracies

// acc_norm where the harness has it, else acc; NULL: the task is no matter of right and wrong.
static const char *accuracy_of(const struct cJSON *task) {
    bool is_normed = isfinite(ley_json_number(task, "acc_norm,none"));
    return is_normed                                     ? "acc_norm,none"
           : isfinite(ley_json_number(task, "acc,none")) ? "acc,none"
                                                         : NULL;
}

// Names of the tasks that have an accuracy, then "mean", as tics; returns how many such tasks.
static int put_groups(struct ley_markup *script, const struct board *board) {
    int n = 0;
    ley_markup_format(script, "set ytics (");
    for (int t = 0; t < board->n_tasks; t++) {
        if (accuracy_of(board->task[t])) {
            ley_plot_text(script, board->task[t]->string, 24);
            ley_markup_format(script, " %d, ", n++);
        }
    }
    ley_markup_format(script, "'mean' %d)\n", n);
    return n;
}

// Bars of one column with their errors: place, accuracy and error in percent. The mean is of
// columns that have all n tasks; its error is that of independent ones.
static void put_column(struct ley_markup *script, const struct board *board, int c, int n) {
    double width = 0.84 / board->scores.n_columns, sum = 0, squares = 0;
    double offset = (c - 0.5 * (board->scores.n_columns - 1)) * width;
    int at = 0, known = 0;
    ley_markup_format(script, "$column%d << EOD\n", c + 1);
    for (int t = 0; t < board->n_tasks; t++) {
        const char *metric = accuracy_of(board->task[t]);
        const struct cJSON *task = ley_score_task(&board->scores.column[c], board->task[t]->string);
        double value = metric ? ley_json_number(task, metric) : NAN;
        double error = metric ? error_of(task, metric) : NAN;
        at += metric != NULL;
        if (isfinite(value)) {
            error = isfinite(error) ? error : 0;
            ley_markup_format(script, "%.5g %.7g %.7g\n", at - 1 + offset, 100 * value,
                              100 * error);
            sum += value;
            squares += error * error;
            known++;
        }
    }
    if (known == n) {
        ley_markup_format(script, "%.5g %.7g %.7g\n", n + offset, 100 * sum / n,
                          100 * sqrt(squares) / n);
    }
    ley_markup_format(script, "EOD\n");
}

// Bars lie, tasks from the top down: it fits a narrow window.
static void put_chart_command(struct ley_markup *script, const struct board *board, int n) {
    double half = 0.38 / board->scores.n_columns;
    ley_markup_format(script,
                      "set yrange [%g:-0.6]\nset xrange [0:*]\nunset grid\n"
                      "set grid x lc rgb '#080102' lt 1 lw 0.6\nset xlabel 'accuracy, %%'\n",
                      n + 0.6);
    for (int c = 0; c < board->scores.n_columns; c++) {
        ley_markup_format(script,
                          "%s$column%d u 2:1:(0):2:($1-%.5g):($1+%.5g) w boxxyerror "
                          "lc rgb '#%02d0102' t ",
                          c ? ", " : "plot ", c + 1, half, half, c + 1);
        ley_plot_text(script, board->scores.column[c].name, 40);
        ley_markup_format(script, ", '' u 2:1:3 w xerrorbars pt 0 lc rgb 'black' notitle");
    }
    ley_markup_format(script, "\n");
}

static enum ley_status draw_chart(struct ley_page *page, const struct board *board) {
    struct ley_markup script = {0};
    enum ley_status status = LEY_OK;
    int n = put_groups(&script, board);
    for (int c = 0; c < board->scores.n_columns; c++) {
        put_column(&script, board, c, n);
    }
    put_chart_command(&script, board, n);
    if (n > 0) {
        ley_page_figure(page, false);
        status =
            ley_page_plot(page, &script, 460, 110 + (n + 1) * (16 + 8 * board->scores.n_columns),
                          "accuracy by task");
        ley_page_caption(page, NULL, 0,
                         "Accuracy by task, normalised by the length of the answer where the "
                         "harness does so, with standard errors; their mean where all were run. "
                         "From the files under the table.");
    }
    ley_markup_destroy(&script);
    return status;
}

// ---- divergence

static const struct cJSON *divergence_of(const struct ley_scores *column) {
    const struct cJSON *bins = NULL;
    for (int r = 0; r < column->n_runs && !bins; r++) {
        bins = ley_json_list(ley_json_object(column->run[r], "divergence"), "by_position");
    }
    return bins;
}

// One curve a column that was compared, in the colour of its bars; returns how many.
static int put_curves(struct ley_markup *script, const struct board *board) {
    struct ley_markup plot = {0};
    int n = 0;
    for (int c = 0; c < board->scores.n_columns; c++) {
        const struct cJSON *bins = divergence_of(&board->scores.column[c]);
        if (bins) {
            ley_plot_curve_by_position(script, &plot, c + 1, bins, "kl",
                                       board->scores.column[c].name);
            n++;
        }
    }
    ley_plot_by_position(script, &plot, "KL from digital (nats a token)");
    return n;
}

static enum ley_status draw_divergence(struct ley_page *page, const struct board *board) {
    struct ley_markup script = {0};
    enum ley_status status = LEY_OK;
    if (put_curves(&script, board) > 0) {
        ley_page_figure(page, false);
        status = ley_page_plot(page, &script, 480, 320, "divergence by place in the window");
        ley_page_caption(page, NULL, 0,
                         "Divergence of each chip from the digital model on the same windows, by "
                         "the number of tokens that stand before.");
    }
    ley_markup_destroy(&script);
    return status;
}

enum ley_status ley_section_tasks(struct ley_page *page, const struct ley_report *report) {
    struct board board;
    gather(&board, report);
    if (board.n_tasks == 0) {
        return LEY_OK;
    }
    LEY_TRY(draw_chart(page, &board));
    LEY_TRY(draw_divergence(page, &board));
    put_table(page, &board);
    return LEY_OK;
}
