// scores.h - benchmark results of several files side by side: a column for each hardware and kind
// of scalers.
#pragma once
#include <stdbool.h>

#include "report/report.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LEY_MAX_SCORES = 8, LEY_MAX_SCORE_RUNS = 8 };

// What one model on one hardware has reached; its tasks may lie in several files.
struct ley_scores {
    char name[80]; // "paper, adapted": ASCII, nothing that markup takes for its own; may repeat
    const struct cJSON *run[LEY_MAX_SCORE_RUNS]; // members of "runs" in the report's results
    int n_runs;
};

// The columns, and the files they came from.
struct ley_scores_table {
    struct ley_scores column[LEY_MAX_SCORES];
    int n_columns;
    const struct ley_result *from[LEY_MAX_RESULTS];
    int n_from;
    int n_left_out; // runs for which there was no column left
};

// Gathers the runs of `leyden eval` into columns, digital ones first; runs of one name whose tasks
// contradict each other stay apart. The report has to stay as it is while the table is in use.
void ley_gather_scores(struct ley_scores_table *table, const struct ley_report *report);

// The object of a task with its metrics; NULL where a column has none.
const struct cJSON *ley_score_task(const struct ley_scores *column, const char *task);

// Items of a task that were scored; NAN: not known.
double ley_score_items(const struct ley_scores *column, const char *task);

#ifdef __cplusplus
}
#endif
