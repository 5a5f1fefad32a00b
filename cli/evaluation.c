// evaluation.c - the tasks of leyden eval, hardware by hardware
#include "evaluation.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/nearest.h"

enum { DEFAULT_CTX = 1024 }; // the window of the paper's chip

// Copies the next name of a list separated by commas; false at its end.
static bool next_name(char *name, size_t n_room, const char **list) {
    *list += strspn(*list, ", ");
    size_t n = strcspn(*list, ", ");
    snprintf(name, n_room, "%.*s", (int)n, *list);
    *list += n;
    return n > 0;
}

static enum ley_status read_tasks(struct evaluation_set *set, const char *list) {
    char name[64];
    while (next_name(name, sizeof name, &list)) {
        const struct ley_task *task = ley_task_named(name);
        if (!task) {
            int n, best = 0;
            const struct ley_task *tasks = ley_tasks(&n);
            for (int i = 1; i < n; i++) {
                if (ley_edit_distance(tasks[i].name, name) <
                    ley_edit_distance(tasks[best].name, name)) {
                    best = i;
                }
            }
            return ley_fail(LEY_E_ARGUMENT, "unknown task '%s'; did you mean '%s'? (--list)", name,
                            tasks[best].name);
        }
        if (set->n_tasks == MOST_TASKS) {
            return ley_fail(LEY_E_ARGUMENT, "more than %d tasks", MOST_TASKS);
        }
        set->task[set->n_tasks++].task = task;
    }
    return set->n_tasks > 0 ? LEY_OK : ley_fail(LEY_E_ARGUMENT, "--task names no task (--list)");
}

static enum ley_status read_runs(struct evaluation_set *set, const char *list) {
    char name[sizeof set->run[0].hw];
    while (next_name(name, sizeof name, &list)) {
        if (set->n_runs == MOST_RUNS) {
            return ley_fail(LEY_E_ARGUMENT, "more than %d hardwares", MOST_RUNS);
        }
        struct eval_run *run = &set->run[set->n_runs++];
        memcpy(run->hw, name, sizeof run->hw);
        run->is_digital = strcmp(name, "digital") == 0;
        if (!run->is_digital) { // a wrong name should not be told after an hour
            struct ley_hardware hardware;
            struct language_options options = set->options->language;
            options.hw.name = run->hw;
            LEY_TRY(language_hardware(&hardware, &options));
        }
    }
    bool is_adapted = set->options->language.adapter != NULL, has_chip = false;
    for (int r = 0; r < set->n_runs; r++) {
        has_chip = has_chip || !set->run[r].is_digital;
    }
    if (set->n_runs == 0 || (is_adapted && !has_chip)) {
        return ley_fail(LEY_E_ARGUMENT, set->n_runs == 0
                                            ? "--hw names no hardware"
                                            : "--adapter is for chips, of which --hw names none");
    }
    return LEY_OK;
}

// --file is the text of the task of that name, or the items of the only other task.
static enum ley_status find_items(struct eval_task *task, const struct eval_options *o,
                                  bool is_only) {
    if (o->file && (is_only || task->task->kind == LEY_TASK_WINDOWS)) {
        snprintf(task->path, sizeof task->path, "%s", o->file);
        return LEY_OK;
    }
    if (task->task->kind == LEY_TASK_WINDOWS) {
        return ley_fail(LEY_E_ARGUMENT, "the task text needs --file FILE");
    }
    const char *folder = o->data ? o->data : getenv("LEYDEN_DATA");
    if (!folder) {
        return ley_fail(LEY_E_ARGUMENT,
                        "no data for %s: name their folder by --data or LEYDEN_DATA (files: %s; "
                        "Hugging Face: %s)",
                        task->task->name, task->task->files, task->task->source);
    }
    return ley_task_find(task->path, task->task, folder);
}

enum ley_status evaluation_open(struct evaluation_set *set, const struct eval_options *options) {
    bool has_text = false;
    set->options = options;
    LEY_TRY(read_tasks(set, options->tasks));
    LEY_TRY(read_runs(set, options->language.hw.name));
    for (int i = 0; i < set->n_tasks; i++) {
        struct eval_task *task = &set->task[i];
        LEY_TRY(find_items(task, options, set->n_tasks == 1));
        has_text = has_text || task->task->kind == LEY_TASK_ROLLING ||
                   task->task->kind == LEY_TASK_WINDOWS;
        if (task->task->kind != LEY_TASK_WINDOWS) {
            LEY_TRY(ley_items_load(&task->items, task->task, task->path, options->limit));
        }
    }
    return has_text || options->n_windows == 0
               ? LEY_OK
               : ley_fail(LEY_E_ARGUMENT, "--divergence needs the task text or wikitext");
}

enum ley_status evaluation_finish(struct evaluation_set *set) {
    enum ley_status status = ley_journal_close(set->journal, !set->is_stopped);
    set->journal = NULL;
    return status;
}

void evaluation_close(struct evaluation_set *set) {
    enum ley_status told_already = ley_journal_close(set->journal, false);
    (void)told_already;
    for (int r = 0; r < set->n_runs; r++) {
        for (int t = 0; t < set->n_tasks; t++) {
            ley_answers_destroy(&set->run[r].score[t].answers);
        }
        ley_divergence_destroy(&set->run[r].divergence);
        run_ledgers_destroy(&set->run[r].ledgers);
        cJSON_Delete(set->run[r].about);
    }
    for (int t = 0; t < set->n_tasks; t++) {
        ley_items_destroy(&set->task[t].items);
    }
}

// One hardware at work.
struct worker {
    struct evaluation_set *set;
    struct eval_run *run;
    struct eval_score *score;
    const struct eval_task *task;
    struct language language;
    struct ley_session *session;
    struct run_cost cost;
    uint64_t key;  // of the task on this hardware, in the journal
    int64_t n_old; // items that were answered before
    double start_s;
};

static int64_t count_done(const struct ley_answers *answers) {
    int64_t n = 0;
    for (int64_t i = 0; i < answers->n_items; i++) {
        n += answers->is_done[i];
    }
    return n;
}

// A line that is written over, with the time that is left; only on a terminal.
static void show_progress(const struct worker *worker, bool is_last) {
    int64_t n = worker->score->answers.n_items, n_done = worker->score->n_done;
    double elapsed_s = clock_s() - worker->start_s;
    double rate = elapsed_s > 0 ? (double)(n_done - worker->n_old) / elapsed_s : 0;
    int left_s = rate > 0 ? (int)((double)(n - n_done) / rate) : 0;
    if (isatty(STDERR_FILENO)) {
        int width = (int)(20 * n_done / n);
        fprintf(stderr, "\r%-12s %-15s [%.*s%*s] %lld/%lld items, %.1f/s, %d:%02d left ",
                worker->run->hw, worker->task->task->name, width, "####################",
                20 - width, "", (long long)n_done, (long long)n, rate, left_s / 60, left_s % 60);
    }
    if (is_last && isatty(STDERR_FILENO)) {
        fputc('\n', stderr);
    }
}

static void done(void *context, int64_t item) {
    struct worker *worker = context;
    worker->score->n_done++;
    if (worker->set->journal) {
        ley_journal_write(worker->set->journal, worker->key, &worker->score->answers, item);
    }
}

// A journal that cannot be written stops the work; why is asked for again at the end.
static bool report(void *context, int64_t n_fed) {
    struct worker *worker = context;
    struct ley_journal *journal = worker->set->journal;
    worker->run->n_fed += n_fed;
    show_progress(worker, false);
    return (!journal || ley_journal_flush(journal) == LEY_OK) && !session_is_interrupted();
}

// The text is cut when the tokenizer is known; all hardwares share its windows.
static enum ley_status open_text(struct eval_task *task, const struct ley_encoder *encoder,
                                 int limit) {
    char *text;
    size_t n;
    if (task->task->kind != LEY_TASK_WINDOWS || task->items.n > 0) {
        return LEY_OK;
    }
    LEY_TRY(ley_file_read(&text, &n, task->path, (size_t)1 << 31));
    enum ley_status status =
        ley_items_of_text(&task->items, encoder, (struct ley_string){text, n}, limit);
    ley_free(text);
    return status == LEY_OK ? status : ley_fail_within(status, task->path);
}

// Fingerprint of all that the answers to a task depend on.
static enum ley_status find_key(struct worker *worker) {
    const struct language *language = &worker->language;
    const struct ley_scaler_set *scalers = &language->scalers;
    const struct eval_options *o = worker->set->options;
    const int facts[] = {worker->set->n_ctx, o->language.window,
                         (int)ley_model_dtype(language->model), scalers->centres_keys};
    uint64_t hash = ley_hash(worker->run->weights, facts, sizeof facts);
    hash = ley_hash(hash, worker->task->task->name, strlen(worker->task->task->name));
    hash = ley_hash(hash, &worker->task->items.hash, sizeof hash);
    if (!language->is_digital) {
        char *text;
        LEY_TRY(language_describe(&text, &language->hardware));
        hash = ley_hash(hash, text, strlen(text));
        ley_free(text);
        size_t n_layers = (size_t)scalers->n_layers;
        for (int i = 0; i < LEY_N_SIGNALS; i++) {
            int n_heads = ley_attention_n_heads(&scalers->shape, (enum ley_signal)i);
            hash = ley_hash(hash, scalers->scaler[i],
                            n_layers * (size_t)n_heads * sizeof *scalers->scaler[i]);
        }
        if (scalers->normalises_outputs) {
            hash = ley_hash(hash, scalers->output_size,
                            n_layers * (size_t)scalers->shape.n_query_heads * sizeof(double));
        }
    }
    worker->key = hash;
    return LEY_OK;
}

// Takes what an earlier run has left.
static enum ley_status resume(struct worker *worker) {
    struct ley_answers *answers = &worker->score->answers;
    if (worker->set->journal) {
        LEY_TRY(find_key(worker));
        LEY_TRY(ley_journal_read(answers, worker->set->journal, worker->key));
    }
    worker->n_old = worker->score->n_done = count_done(answers);
    if (worker->n_old > 0) {
        fprintf(stderr, "%s %s: %lld of %lld items were answered before\n", worker->run->hw,
                worker->task->task->name, (long long)worker->n_old, (long long)answers->n_items);
    }
    return LEY_OK;
}

static enum ley_status run_task(struct worker *worker, int t) {
    const struct eval_options *o = worker->set->options;
    struct eval_task *task = &worker->set->task[t];
    struct ley_progress quiet = session_quiet_progress();
    struct ley_evaluation evaluation = {
        .kind = task->task->kind,
        .encoder = {worker->language.tokenizer, worker->set->n_ctx},
        .session = worker->session,
        .n_rows = o->n_rows,
        .ledger = worker->run->ledgers.layer,
        .head_ledger = worker->run->ledgers.head,
        .done = done,
        .report = report,
        .context = worker,
        .progress = &quiet,
    };
    worker->task = task;
    worker->score = &worker->run->score[t];
    LEY_TRY(open_text(task, &evaluation.encoder, o->limit));
    evaluation.items = &task->items;
    LEY_TRY(ley_answers_create(&worker->score->answers, &task->items));
    LEY_TRY(resume(worker));
    worker->start_s = clock_s();
    enum ley_status status = ley_evaluate(&worker->score->answers, &evaluation);
    worker->score->elapsed_s = clock_s() - worker->start_s;
    worker->score->n_metrics = ley_metrics(worker->score->metric, task->task, &task->items,
                                           &worker->score->answers, (uint64_t)o->seed);
    show_progress(worker, true);
    return status;
}

// Everything of a run but its scores, while the model is there.
static enum ley_status note_run(struct worker *worker) {
    struct eval_run *run = worker->run;
    struct account account = {.n_prompt = run->n_fed,
                              .prompt_s = run->elapsed_s,
                              .cost = &worker->cost,
                              .ledgers = &run->ledgers};
    if (run->ledgers.layer) {
        run_ledgers_sum(&run->ledgers, &worker->language);
    }
    run->about = cJSON_CreateObject();
    cJSON_AddStringToObject(run->about, "dtype",
                            ley_nn_dtype_name(ley_model_dtype(worker->language.model)));
    account_add_json(run->about, &account, &worker->language);
    if (run->n_fed > 0) {
        fprintf(stderr, "%s:\n", run->hw);
        account_print(&account, &worker->language);
    }
    return LEY_OK;
}

// The adapter is for the chip; digital is the model as it was before.
static enum ley_status open_worker(struct worker *worker) {
    struct language_options options = worker->set->options->language;
    options.hw.name = worker->run->hw;
    if (worker->run->is_digital) {
        options.adapter = NULL;
        options.hw.set.n = 0;
    }
    static const struct text_list none = {0};
    LEY_TRY(language_open(&worker->language, &options));
    LEY_TRY(run_cost_open(&worker->cost,
                          worker->run->is_digital ? &none : &worker->set->options->technology,
                          &worker->language));
    const struct ley_model_config *config = ley_model_config(worker->language.model);
    int n_ctx = worker->set->options->n_ctx, n_known = config->n_context;
    worker->set->n_ctx = n_ctx > 0 ? n_ctx : n_known < DEFAULT_CTX ? n_known : DEFAULT_CTX;
    if (!worker->run->is_digital) {
        LEY_TRY(run_ledgers_create(&worker->run->ledgers, &worker->language));
    }
    const struct ley_weight_source source = ley_model_file_source(worker->language.file);
    LEY_TRY(ley_weights_fingerprint(&worker->run->weights, config, &source));
    return ley_session_create(&worker->session, worker->language.model, 1, 1);
}

static enum ley_status run_hardware(struct worker *worker) {
    LEY_TRY(open_worker(worker));
    double start_s = clock_s();
    enum ley_status status = LEY_OK;
    for (int t = 0; status == LEY_OK && t < worker->set->n_tasks; t++) {
        status = run_task(worker, t);
        worker->run->elapsed_s = clock_s() - start_s;
    }
    if (status == LEY_E_INTERRUPTED && session_is_interrupted()) {
        worker->set->is_stopped = true;
        status = LEY_OK;
    }
    LEY_TRY(status);
    LEY_TRY(note_run(worker));
    bool is_compared = worker->set->options->n_windows > 0 && !worker->run->is_digital;
    return is_compared && !worker->set->is_stopped
               ? eval_divergence(worker->set, worker->run, &worker->language)
               : LEY_OK;
}

// Beside the result, until that is written.
static enum ley_status open_journal(struct evaluation_set *set) {
    char path[1024];
    if (!set->options->output) {
        return LEY_OK;
    }
    snprintf(path, sizeof path, "%s.part", set->options->output);
    return ley_journal_open(&set->journal, path);
}

enum ley_status evaluation_run(struct evaluation_set *set) {
    enum ley_status status = open_journal(set);
    for (int r = 0; status == LEY_OK && !set->is_stopped && r < set->n_runs; r++) {
        struct worker worker = {.set = set, .run = &set->run[r]};
        status = run_hardware(&worker);
        ley_session_destroy(worker.session);
        language_close(&worker.language);
    }
    return status;
}

const struct ley_metric *evaluation_metric(const struct eval_score *score, const char *name) {
    for (int i = 0; i < score->n_metrics; i++) {
        if (strcmp(score->metric[i].name, name) == 0) {
            return &score->metric[i];
        }
    }
    return NULL;
}

double evaluation_average(double *error, const struct evaluation_set *set,
                          const struct eval_run *run, bool by_norm) {
    double sum = 0, square = 0;
    int n = 0;
    for (int t = 0; t < set->n_tasks; t++) {
        const struct ley_metric *metric = evaluation_metric(&run->score[t], "acc_norm");
        if (!by_norm || !metric) {
            metric = evaluation_metric(&run->score[t], "acc");
        }
        if (metric) {
            sum += metric->value;
            square += metric->stderr_ * metric->stderr_;
            n++;
        }
    }
    *error = n > 1 ? sqrt(square) / n : NAN;
    return n > 1 ? sum / n : NAN;
}
