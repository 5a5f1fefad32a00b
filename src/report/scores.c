// scores.c - benchmark results of several files side by side
#include "report/scores.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// "paper, adapted"; what could end a cell, a tag or a text becomes a space.
static void name_run(char *name, size_t n, const struct cJSON *run) {
    const char *origin = ley_json_text(run, "scalers", "");
    snprintf(name, n, "%s%s%s", ley_json_text(run, "hw", "?"), *origin ? ", " : "", origin);
    for (char *c = name; *c; c++) {
        *c = *c < ' ' || *c > '~' || strchr("|<>&#'\"", *c) ? ' ' : *c;
    }
}

const struct cJSON *ley_score_task(const struct ley_scores *column, const char *task) {
    const struct cJSON *found = NULL;
    for (int r = 0; r < column->n_runs && !found; r++) {
        found = ley_json_object(ley_json_object(column->run[r], "results"), task);
    }
    return found;
}

double ley_score_items(const struct ley_scores *column, const char *task) {
    double items = NAN;
    for (int r = 0; r < column->n_runs && !isfinite(items); r++) {
        const struct cJSON *samples = ley_json_object(column->run[r], "n-samples");
        items = ley_json_number(ley_json_object(samples, task), "effective");
    }
    return items;
}

// Another model, or another result for the same task, is something else of the same name.
static bool belongs(const struct ley_scores *column, const struct cJSON *run) {
    static const char *const keys[] = {"weights_hash", "adapter"};
    const struct cJSON *here = ley_json_object(run, "config"), *task;
    const struct cJSON *there = ley_json_object(column->run[0], "config");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(ley_json_text(here, keys[i], ""), ley_json_text(there, keys[i], "")) != 0) {
            return false;
        }
    }
    cJSON_ArrayForEach(task, ley_json_object(run, "results")) {
        const struct cJSON *known = task->string ? ley_score_task(column, task->string) : NULL;
        if (known && !cJSON_Compare(known, task, true)) {
            return false;
        }
    }
    return true;
}

static void add_run(struct ley_scores_table *table, const struct cJSON *run) {
    struct ley_scores *column = table->column;
    char name[sizeof column->name];
    int at = 0;
    name_run(name, sizeof name, run);
    while (at < table->n_columns &&
           (strcmp(column[at].name, name) != 0 || !belongs(&column[at], run))) {
        at++;
    }
    if (at == LEY_MAX_SCORES ||
        (at < table->n_columns && column[at].n_runs == LEY_MAX_SCORE_RUNS)) {
        table->n_left_out++;
        return;
    }
    if (at == table->n_columns) {
        column[at] = (struct ley_scores){.n_runs = 0};
        memcpy(column[at].name, name, sizeof name);
        table->n_columns++;
    }
    column[at].run[column[at].n_runs++] = run;
}

// Digital ones first: everything else is compared with them.
void ley_gather_scores(struct ley_scores_table *table, const struct ley_report *report) {
    const struct ley_result *result;
    const struct cJSON *run;
    table->n_columns = table->n_left_out = 0;
    for (table->n_from = 0; (result = ley_report_find(report, LEY_RESULT_EVAL, table->n_from));) {
        table->from[table->n_from++] = result;
    }
    for (int is_chip = 0; is_chip < 2; is_chip++) {
        for (int i = 0; i < table->n_from; i++) {
            cJSON_ArrayForEach(run, ley_json_list(table->from[i]->json, "runs")) {
                bool is_digital = strcmp(ley_json_text(run, "hw", "?"), "digital") == 0;
                if (is_digital == !is_chip && ley_json_object(run, "results")) {
                    add_run(table, run);
                }
            }
        }
    }
}
