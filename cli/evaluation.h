// evaluation.h - tasks put to one model on several hardwares: the parts of leyden eval.
#pragma once
#include "account.h"

enum { MOST_TASKS = 16, MOST_RUNS = 8, MOST_LAYERS_TEXT = 64 };

// What the options say.
struct eval_options {
    struct invocation invocation;
    struct language_options language; // hw.name: a list
    struct text_list technology;
    const char *tasks, *data, *file;
    const char *output, *samples, *format;
    const char *plot;
    int limit, n_ctx, n_rows, n_windows, seed;
    bool json, lists;
};

struct eval_task {
    const struct ley_task *task;
    struct ley_items items;
    char path[1024];
};

// One task on one hardware.
struct eval_score {
    struct ley_answers answers;
    struct ley_metric metric[LEY_MOST_METRICS];
    int n_metrics;
    int64_t n_done;
    double elapsed_s;
};

// One hardware.
struct eval_run {
    char hw[64];
    bool is_digital;
    struct eval_score score[MOST_TASKS];
    double elapsed_s;
    int64_t n_fed;                    // tokens, those that items share counted once
    uint64_t weights;                 // fingerprint of the weights that ran
    struct run_ledgers ledgers;       // empty when digital
    struct ley_divergence divergence; // from the digital model; n = 0: not asked for
    struct ley_divergence_sum difference;
    struct cJSON *about; // model, hardware, cost: members of the result
};

struct evaluation_set {
    const struct eval_options *options;
    struct eval_task task[MOST_TASKS];
    int n_tasks;
    struct eval_run run[MOST_RUNS];
    int n_runs, n_ctx;           // n_ctx: tokens fed at once
    struct ley_journal *journal; // NULL: no -o
    bool is_stopped;             // by Ctrl-C: what was measured by then is a result
};

// Reads the lists of tasks and hardwares, and the items of all tasks but "text".
LEY_MUST_CHECK enum ley_status evaluation_open(struct evaluation_set *set,
                                               const struct eval_options *options);

// Runs everything; stops at Ctrl-C with is_stopped.
LEY_MUST_CHECK enum ley_status evaluation_run(struct evaluation_set *set);

// When all results are written: the journal goes, unless the work was stopped.
LEY_MUST_CHECK enum ley_status evaluation_finish(struct evaluation_set *set);

// A zeroed set is accepted.
void evaluation_close(struct evaluation_set *set);

// A metric of a score by its name, or NULL.
const struct ley_metric *evaluation_metric(const struct eval_score *score, const char *name);

// Mean accuracy of a run over its tasks that have one; by_norm: acc_norm where there is one. Its
// standard error by *error. NAN: fewer than two tasks.
double evaluation_average(double *error, const struct evaluation_set *set,
                          const struct eval_run *run, bool by_norm);

// Compares a run's model, which is open, with the digital one on the first windows of text or
// wikitext.
LEY_MUST_CHECK enum ley_status eval_divergence(struct evaluation_set *set, struct eval_run *run,
                                               const struct language *language);

// What was compared: lines for people on stdout, members of a run's JSON, a plot.
void eval_divergence_print(const struct evaluation_set *set);
void eval_divergence_add_json(struct cJSON *root, const struct eval_run *run);
LEY_MUST_CHECK enum ley_status eval_divergence_plot(const struct evaluation_set *set,
                                                    const char *path);

// Prints the scores: "table", "md" or "csv".
LEY_MUST_CHECK enum ley_status eval_print(const struct evaluation_set *set, const char *format);

// The result in the layout of lm-evaluation-harness: of each run in "runs", of a single one at the
// top too.
struct cJSON *eval_json(const struct evaluation_set *set);

// Writes each item's answers, one JSON object a line, as the harness logs samples.
LEY_MUST_CHECK enum ley_status eval_write_samples(const struct evaluation_set *set,
                                                  const char *path);
