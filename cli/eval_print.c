// eval_print.c - scores side by side: a table for people, Markdown, CSV
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "evaluation.h"

// Accuracies in percent, perplexities as they are.
static bool is_share(const char *name) {
    return strncmp(name, "acc", 3) == 0;
}

// "34.00 +- 3.36"; "-" where nothing was measured.
static void format(char *text, size_t n, const char *name, double value, double error,
                   const char *plus_minus) {
    double scale = is_share(name) ? 100 : 1;
    if (!isfinite(value)) {
        snprintf(text, n, "-");
    } else if (isfinite(error)) {
        snprintf(text, n, "%.*f %s %.*f", value * scale < 1000 ? 2 : 0, value * scale, plus_minus,
                 error * scale < 1000 ? 2 : 0, error * scale);
    } else {
        snprintf(text, n, "%.2f", value * scale);
    }
}

// How the three forms differ.
struct look {
    const char *first, *cell, *end, *plus_minus;
};

static void print_head(const struct evaluation_set *set, const struct look *look, bool is_md) {
    printf(look->first, "task", "metric", "items");
    for (int r = 0; r < set->n_runs; r++) {
        printf(look->cell, set->run[r].hw);
    }
    printf("%s", look->end);
    for (int i = 0; is_md && i < set->n_runs + 3; i++) {
        printf("%s", i < 2 ? "|---" : "|---:");
    }
    printf("%s", is_md ? "|\n" : "");
}

// A metric of all runs; the first run that has the task gives the order of metrics.
static void print_row(const struct evaluation_set *set, const struct look *look, int t, int m) {
    const struct ley_metric *first = &set->run[0].score[t].metric[m];
    char text[64];
    snprintf(text, sizeof text, "%lld", (long long)set->run[0].score[t].n_done);
    printf(look->first, set->task[t].task->name, first->name, text);
    for (int r = 0; r < set->n_runs; r++) {
        const struct ley_metric *metric = evaluation_metric(&set->run[r].score[t], first->name);
        format(text, sizeof text, first->name, metric ? metric->value : NAN,
               metric ? metric->stderr_ : NAN, look->plus_minus);
        printf(look->cell, text);
    }
    printf("%s", look->end);
}

static void print_average(const struct evaluation_set *set, const struct look *look, bool by_norm) {
    char text[64];
    double error;
    if (!isfinite(evaluation_average(&error, set, &set->run[0], by_norm))) {
        return;
    }
    printf(look->first, "average", by_norm ? "acc_norm or acc" : "acc", "");
    for (int r = 0; r < set->n_runs; r++) {
        double mean = evaluation_average(&error, set, &set->run[r], by_norm);
        format(text, sizeof text, "acc", mean, error, look->plus_minus);
        printf(look->cell, text);
    }
    printf("%s", look->end);
}

static void print_rows(const struct evaluation_set *set, const struct look *look, bool is_md) {
    print_head(set, look, is_md);
    for (int t = 0; t < set->n_tasks; t++) {
        for (int m = 0; m < set->run[0].score[t].n_metrics; m++) {
            print_row(set, look, t, m);
        }
    }
    print_average(set, look, false);
    print_average(set, look, true);
}

// One line a task, metric and hardware, with all digits.
static void print_csv(const struct evaluation_set *set) {
    printf("hw,task,metric,value,stderr,items,seconds\n");
    for (int r = 0; r < set->n_runs; r++) {
        for (int t = 0; t < set->n_tasks; t++) {
            const struct eval_score *score = &set->run[r].score[t];
            for (int m = 0; m < score->n_metrics; m++) {
                printf("%s,%s,%s,%.9g,%.9g,%lld,%.2f\n", set->run[r].hw, set->task[t].task->name,
                       score->metric[m].name, score->metric[m].value, score->metric[m].stderr_,
                       (long long)score->n_done, score->elapsed_s);
            }
        }
    }
}

enum ley_status eval_print(const struct evaluation_set *set, const char *name) {
    static const struct look table = {"%-15s %-16s %6s", "  %20s", "\n", "+-"};
    static const struct look md = {"| %s | %s | %s |", " %s |", "\n", "&plusmn;"};
    if (strcmp(name, "csv") == 0) {
        print_csv(set);
    } else if (strcmp(name, "md") == 0) {
        print_rows(set, &md, true);
    } else {
        print_rows(set, &table, false);
    }
    return LEY_OK;
}
