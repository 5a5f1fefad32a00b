// eval_json.c - results and samples in the layouts of lm-evaluation-harness
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "evaluation.h"

static void add_hash(struct cJSON *root, const char *key, uint64_t hash) {
    char text[20];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    cJSON_AddStringToObject(root, key, text);
}

// A key of the harness: metric and filter, of which there is none.
static void add_filtered(struct cJSON *root, const char *name, const char *suffix, double value) {
    char key[64];
    snprintf(key, sizeof key, "%s%s,none", name, suffix);
    if (isfinite(value)) {
        cJSON_AddNumberToObject(root, key, value);
    } else {
        cJSON_AddStringToObject(root, key, "N/A");
    }
}

static struct cJSON *results_of(const struct evaluation_set *set, const struct eval_run *run) {
    struct cJSON *results = cJSON_CreateObject();
    for (int t = 0; t < set->n_tasks; t++) {
        const char *name = set->task[t].task->name;
        struct cJSON *row = cJSON_AddObjectToObject(results, name);
        cJSON_AddStringToObject(row, "alias", name);
        for (int m = 0; m < run->score[t].n_metrics; m++) {
            const struct ley_metric *metric = &run->score[t].metric[m];
            add_filtered(row, metric->name, "", metric->value);
            add_filtered(row, metric->name, "_stderr", metric->stderr_);
        }
    }
    return results;
}

// What the harness says of tasks: configurations, versions, numbers.
static void add_tasks(struct cJSON *root, const struct evaluation_set *set,
                      const struct eval_run *run) {
    struct cJSON *configs = cJSON_AddObjectToObject(root, "configs");
    struct cJSON *versions = cJSON_AddObjectToObject(root, "versions");
    struct cJSON *shots = cJSON_AddObjectToObject(root, "n-shot");
    struct cJSON *higher = cJSON_AddObjectToObject(root, "higher_is_better");
    struct cJSON *samples = cJSON_AddObjectToObject(root, "n-samples");
    struct cJSON *seconds = cJSON_AddObjectToObject(root, "seconds");
    for (int t = 0; t < set->n_tasks; t++) {
        const struct eval_task *task = &set->task[t];
        const char *name = task->task->name;
        struct cJSON *config = cJSON_AddObjectToObject(configs, name);
        cJSON_AddStringToObject(config, "task", name);
        cJSON_AddStringToObject(config, "dataset_path", task->path);
        add_hash(config, "dataset_hash", task->items.hash);
        cJSON_AddNumberToObject(versions, name, task->task->version);
        cJSON_AddNumberToObject(shots, name, 0);
        struct cJSON *is_higher = cJSON_AddObjectToObject(higher, name);
        for (int m = 0; m < run->score[t].n_metrics; m++) {
            cJSON_AddBoolToObject(is_higher, run->score[t].metric[m].name,
                                  run->score[t].metric[m].higher_is_better);
        }
        struct cJSON *count = cJSON_AddObjectToObject(samples, name);
        cJSON_AddNumberToObject(count, "original", (double)task->items.n);
        cJSON_AddNumberToObject(count, "effective", (double)run->score[t].n_done);
        cJSON_AddNumberToObject(seconds, name, run->score[t].elapsed_s);
    }
}

static void add_config(struct cJSON *root, const struct evaluation_set *set,
                       const struct eval_run *run) {
    const struct eval_options *o = set->options;
    struct cJSON *config = cJSON_AddObjectToObject(root, "config");
    cJSON_AddStringToObject(config, "model", "leyden");
    cJSON_AddStringToObject(config, "model_path", o->language.model);
    if (o->language.adapter && !run->is_digital) {
        cJSON_AddStringToObject(config, "adapter", o->language.adapter);
    }
    add_hash(config, "weights_hash", run->weights);
    cJSON_AddStringToObject(config, "hw", run->hw);
    cJSON_AddNumberToObject(config, "max_length", set->n_ctx);
    cJSON_AddNumberToObject(config, "rows", o->n_rows);
    cJSON_AddNumberToObject(config, "limit", o->limit);
    cJSON_AddNumberToObject(config, "random_seed", o->seed);
    cJSON_AddNumberToObject(config, "bootstrap_iters", 100);
}

static void add_averages(struct cJSON *root, const struct evaluation_set *set,
                         const struct eval_run *run) {
    struct cJSON *averages = cJSON_CreateObject();
    double error, mean = evaluation_average(&error, set, run, false);
    if (isfinite(mean)) {
        cJSON_AddNumberToObject(averages, "acc", mean);
        cJSON_AddNumberToObject(averages, "acc_stderr", error);
        mean = evaluation_average(&error, set, run, true);
        cJSON_AddNumberToObject(averages, "acc_norm", mean);
        cJSON_AddNumberToObject(averages, "acc_norm_stderr", error);
    }
    cJSON_AddItemToObject(root, "averages", averages);
}

// One hardware in the harness's layout, and what Leyden adds.
static struct cJSON *run_json(const struct evaluation_set *set, const struct eval_run *run) {
    struct cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "hw", run->hw);
    cJSON_AddItemToObject(root, "results", results_of(set, run));
    add_averages(root, set, run);
    add_tasks(root, set, run);
    add_config(root, set, run);
    eval_divergence_add_json(root, run);
    cJSON_AddNumberToObject(root, "date", (double)time(NULL));
    cJSON_AddNumberToObject(root, "total_evaluation_time_seconds", run->elapsed_s);
    cJSON_AddNumberToObject(root, "tokens_fed", (double)run->n_fed);
    struct cJSON *part;
    cJSON_ArrayForEach(part, run->about) {
        cJSON_AddItemReferenceToObject(root, part->string, part);
    }
    return root;
}

struct cJSON *eval_json(const struct evaluation_set *set) {
    struct cJSON *root = cJSON_CreateObject();
    session_add_origin(root, &set->options->invocation);
    cJSON_AddStringToObject(root, "model", set->options->language.model);
    cJSON_AddBoolToObject(root, "is_complete", !set->is_stopped);
    struct cJSON *runs = cJSON_AddArrayToObject(root, "runs"), *part;
    for (int r = 0; r < set->n_runs; r++) {
        if (set->run[r].about) {
            cJSON_AddItemToArray(runs, run_json(set, &set->run[r]));
        }
    }
    const struct cJSON *only = cJSON_GetArraySize(runs) == 1 ? runs->child : NULL;
    cJSON_ArrayForEach(part, only) {
        if (!cJSON_GetObjectItemCaseSensitive(root, part->string)) {
            cJSON_AddItemToObject(root, part->string, cJSON_Duplicate(part, true));
        }
    }
    return root;
}

static void add_text(struct cJSON *root, const char *key, const struct ley_item *item,
                     const struct ley_item_part *part) {
    char *text = ley_alloc(part->n + 1, 1);
    if (text) {
        memcpy(text, item->text + part->at, part->n);
        cJSON_AddStringToObject(root, key, text);
    }
    ley_free(text);
}

// As the harness logs it: arguments, and a log-likelihood with is_greedy for each.
static struct cJSON *sample_json(const struct eval_run *run, const struct eval_task *task,
                                 const struct eval_score *score, int64_t i) {
    const struct ley_item *item = &task->items.item[i];
    const struct ley_answer *answer = &score->answers.answer[score->answers.first[i]];
    struct cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "hw", run->hw);
    cJSON_AddStringToObject(root, "task", task->task->name);
    cJSON_AddNumberToObject(root, "doc_id", (double)i);
    if (item->gold >= 0) {
        cJSON_AddNumberToObject(root, "target", item->gold);
    }
    struct cJSON *arguments = cJSON_AddObjectToObject(root, "arguments");
    struct cJSON *responses = cJSON_AddArrayToObject(root, "filtered_resps");
    for (int p = 0; p < item->n_pairs; p++) {
        char key[32];
        snprintf(key, sizeof key, "gen_args_%d", p);
        struct cJSON *pair = cJSON_AddObjectToObject(arguments, key);
        if (item->text) {
            add_text(pair, "arg_0", item, &item->pair[p].context);
            add_text(pair, "arg_1", item, &item->pair[p].ending);
        }
        struct cJSON *response = cJSON_CreateArray();
        cJSON_AddItemToArray(response, cJSON_CreateNumber(answer[p].log_prob));
        cJSON_AddItemToArray(response, cJSON_CreateBool(answer[p].is_greedy));
        cJSON_AddItemToArray(responses, response);
    }
    if (item->gold >= 0) {
        cJSON_AddNumberToObject(root, "acc", ley_answer_choice(item, answer, false) == item->gold);
        cJSON_AddNumberToObject(root, "acc_norm",
                                ley_answer_choice(item, answer, true) == item->gold);
    } else {
        cJSON_AddNumberToObject(root, "acc", answer->is_greedy);
    }
    return root;
}

static enum ley_status write_sample(FILE *file, struct cJSON *sample) {
    char *text = cJSON_PrintUnformatted(sample);
    cJSON_Delete(sample);
    if (!text) {
        return ley_fail_memory("a sample", 1, 1);
    }
    fprintf(file, "%s\n", text);
    free(text);
    return LEY_OK;
}

enum ley_status eval_write_samples(const struct evaluation_set *set, const char *path) {
    FILE *file = fopen(path, "w");
    enum ley_status status = LEY_OK;
    if (!file) {
        return ley_fail(LEY_E_IO, "cannot write %s", path);
    }
    for (int r = 0; r < set->n_runs; r++) {
        for (int t = 0; t < set->n_tasks; t++) {
            const struct eval_score *score = &set->run[r].score[t];
            for (int64_t i = 0; status == LEY_OK && i < score->answers.n_items; i++) {
                if (score->answers.is_done[i]) {
                    status = write_sample(file, sample_json(&set->run[r], &set->task[t], score, i));
                }
            }
        }
    }
    bool has_failed = ferror(file) != 0;
    if ((fclose(file) != 0 || has_failed) && status == LEY_OK) {
        return ley_fail(LEY_E_IO, "%s could not be written: disk full?", path);
    }
    return status;
}
