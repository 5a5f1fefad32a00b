// training.c - one stage of a run: options to steps, log, progress line, checkpoints by name
#include "training.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cost_study.h"

// One whole-number option and its range.
struct range {
    const char *name;
    int value, low, high;
};

// By the name of --recompute.
static enum ley_status parse_recompute(enum ley_recompute *recompute, const char *name) {
    static const char *const names[] = {"auto", "always", "never"}; // ORDER ley_recompute
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *recompute = (enum ley_recompute)i;
            return LEY_OK;
        }
    }
    return ley_fail(LEY_E_ARGUMENT, "--recompute is '%s', must be auto, always or never", name);
}

// By the name of --gradient.
static enum ley_status parse_gradient(bool *follows_law, const char *name) {
    *follows_law = strcmp(name, "law") == 0;
    return *follows_law || strcmp(name, "linear") == 0
               ? LEY_OK
               : ley_fail(LEY_E_ARGUMENT, "--gradient is '%s', must be law or linear", name);
}

// What a wrong number would break later, told by the name of its option.
enum ley_status training_check(const struct training_options *o, const char *out) {
    const struct range ranges[] = {
        {"tokens", o->tokens, 1, 2147483647},
        {"ctx", o->ctx, 2, 1 << 20},
        {"batch", o->batch, 1, 1 << 20},
        {"pass", o->pass, 1, 1 << 20},
        {"parts", o->parts, 1, 1 << 20},
        {"warm-up", o->warm_up, -1, 1 << 30},
        {"validate", o->validate_every, 0, 1 << 30},
        {"validation", o->n_validation, 0, 1 << 20},
        {"seed", o->seed, 0, 2147483647},
    };
    enum ley_recompute unused;
    bool unused_too;
    LEY_TRY(parse_recompute(&unused, o->recompute));
    LEY_TRY(parse_gradient(&unused_too, o->gradient));
    if (!out) {
        return ley_fail(LEY_E_ARGUMENT, "-o OUT is missing");
    }
    if (!o->data) {
        return ley_fail(LEY_E_ARGUMENT, "--data is missing: a text, or self");
    }
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (ranges[i].value < ranges[i].low || ranges[i].value > ranges[i].high) {
            return ley_fail(LEY_E_ARGUMENT, "--%s is %d, must be %d..%d", ranges[i].name,
                            ranges[i].value, ranges[i].low, ranges[i].high);
        }
    }
    if (o->ctx % o->parts != 0) {
        return ley_fail(LEY_E_ARGUMENT, "--parts %d does not divide --ctx %d", o->parts, o->ctx);
    }
    if (o->average < 0 || o->average >= 1) {
        return ley_fail(LEY_E_ARGUMENT, "--average is %g, must be 0 or more and below 1",
                        o->average);
    }
    if (o->rate < 0 || o->norm < 0 || o->decay < 0 || o->minutes < 0 || o->validation_part < 0 ||
        o->validation_part > 0.9) {
        return ley_fail(LEY_E_ARGUMENT, "--lr, --clip, --decay and --checkpoint must be 0 or more, "
                                        "--held-out 0..0.9");
    }
    return LEY_OK;
}

void training_close(struct training *training) {
    ley_dataset_destroy(&training->dataset);
    if (ley_log_close(training->log) != LEY_OK) {
        fprintf(stderr, "leyden %s: %s\n", training->command, ley_error_text());
    }
    training->log = NULL;
}

void training_checkpoint(char path[1100], const struct training *training, const char *stage) {
    snprintf(path, 1100, "%s.%s.ckpt", training->out, stage);
}

bool training_has_checkpoint(const struct training *training, const char *stage) {
    char path[1100];
    training_checkpoint(path, training, stage);
    return ley_file_exists(path);
}

enum ley_status training_begin(const struct training *training, const char *const *stages,
                               int n_stages) {
    if (training->options->resume) {
        return LEY_OK;
    }
    for (int i = 0; i < n_stages; i++) {
        if (training_has_checkpoint(training, stages[i])) {
            return ley_fail(LEY_E_ARGUMENT,
                            "%s.%s.ckpt is there from a run that stopped: --resume goes on, or "
                            "delete it",
                            training->out, stages[i]);
        }
    }
    if (training->options->log) {
        unlink(training->options->log);
    }
    return LEY_OK;
}

void training_clean(const struct training *training, const char *const *stages, int n_stages) {
    for (int i = 0; i < n_stages; i++) {
        char path[1100];
        training_checkpoint(path, training, stages[i]);
        unlink(path);
    }
}

// One line that overwrites itself, on a terminal only.
static void draw(struct training *training, const struct ley_run_report *r) {
    double elapsed_s = clock_s() - training->begin_s;
    double per_s = (double)(r->n_tokens - training->begin_tokens) / fmax(elapsed_s, 1e-9);
    double left = (double)(r->n_steps - r->step) * (double)r->n_tokens / (double)r->step;
    int64_t left_s = (int64_t)(left / fmax(per_s, 1e-9));
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%s %lld/%lld  loss %.4f  %.0f tokens/s  left %lld:%02lld:%02lld   ",
                training->stage, (long long)r->step, (long long)r->n_steps, r->cost, per_s,
                (long long)(left_s / 3600), (long long)(left_s / 60 % 60),
                (long long)(left_s % 60));
        training->is_line_open = true;
    }
}

static void end_line(struct training *training) {
    if (training->is_line_open) {
        fputc('\n', stderr);
        training->is_line_open = false;
    }
}

static void tell_validation(struct training *training, const struct ley_run_report *r) {
    end_line(training);
    fprintf(stderr, "%s: after %lld of %lld steps validation loss %.4f", training->stage,
            (long long)r->step, (long long)r->n_steps, r->cost);
    if (r->nll != 0) {
        fprintf(stderr, ", perplexity %.2f", exp(r->nll));
    }
    fputc('\n', stderr);
    training->first_cost = isnan(training->first_cost) ? r->cost : training->first_cost;
    training->last_cost = r->cost;
}

// Called after each step and validation.
static bool see(void *context, const struct ley_run_report *report) {
    struct training *training = context;
    if (training->log) {
        ley_log_write(training->log, report);
    }
    if (report->is_validation) {
        tell_validation(training, report);
    } else {
        draw(training, report);
    }
    return !session_is_interrupted();
}

// A step takes --batch windows in passes of --pass, or fewer so that they divide it.
static struct ley_run_options run_options(const struct training *training, const char *checkpoint,
                                          int64_t n_tokens, double rate) {
    const struct training_options *o = training->options;
    int64_t pass = o->pass < o->batch ? o->pass : o->batch;
    while (o->batch % pass != 0) {
        pass--;
    }
    int64_t a_step = (int64_t)o->batch * o->ctx, n_steps = (n_tokens + a_step - 1) / a_step;
    double last_rate = o->last_rate >= 0 ? o->last_rate : rate / 10;
    int64_t warm_up = o->warm_up >= 0 ? o->warm_up : n_steps / 50;
    return (struct ley_run_options){
        .n_steps = n_steps,
        .n_windows = pass,
        .n_passes = o->batch / pass,
        .n_parts = o->parts,
        .schedule = {rate, last_rate, warm_up < n_steps ? warm_up : n_steps, n_steps},
        .constants = {0.9, 0.95, 1e-8, o->decay},
        .average = o->average,
        .most_norm = o->norm,
        .validate_every = o->validate_every,
        .n_validation = o->n_validation,
        .checkpoint = checkpoint,
        .checkpoint_every_s = 60 * o->minutes,
        .resumes = o->resume && ley_file_exists(checkpoint),
    };
}

// What a run is, as the first line of its log; the caller frees it. NULL: no memory.
static char *describe(const struct training *training, const struct ley_model_config *config) {
    const struct training_options *o = training->options;
    struct ley_cost_shape shape = cost_shape_of(config);
    struct cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "kind", "start"); // first: LEY_LOG_START
    session_add_origin(root, training->invocation);
    if (training->language->model) {
        cJSON_AddStringToObject(root, "model", training->language->model);
    }
    cJSON_AddStringToObject(root, "model_name", config->name);
    cJSON_AddStringToObject(root, "hw", training->language->hw.name);
    cJSON_AddNumberToObject(root, "seed", o->seed);
    struct cJSON *options = cJSON_AddObjectToObject(root, "options");
    cJSON_AddStringToObject(options, "data", o->data);
    cJSON_AddNumberToObject(options, "tokens", o->tokens);
    cJSON_AddNumberToObject(options, "ctx", o->ctx);
    cJSON_AddNumberToObject(options, "batch", o->batch);
    cJSON_AddNumberToObject(options, "parts", o->parts);
    if (o->rate > 0) {
        cJSON_AddNumberToObject(options, "lr", o->rate); // else each stage has its own
    }
    cost_shape_add_json(cJSON_AddObjectToObject(root, "shape"), &shape);
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

// Opens the log of a stage; a log that is new begins with what the run is.
static enum ley_status open_log(struct training *training, struct ley_net *net, const char *stage,
                                int64_t step) {
    char *start = describe(training, ley_model_config(ley_net_model(net)));
    enum ley_status status =
        start ? ley_log_open(&training->log, training->options->log, stage, step, start)
              : ley_fail_memory("the first line of a log", 1, 1);
    free(start);
    return status;
}

static enum ley_status run_stage(struct training *training, struct ley_run *run,
                                 struct ley_net *net, const char *stage) {
    const struct ley_training_state *state = ley_run_state(run);
    const struct ley_run_observer observer = {see, training};
    training->stage = stage;
    training->begin_tokens = state->n_tokens;
    training->begin_s = clock_s();
    training->first_cost = training->last_cost = NAN;
    if (training->options->log) {
        LEY_TRY(open_log(training, net, stage, state->step));
    }
    enum ley_status status = ley_run_go(run, &observer);
    end_line(training);
    enum ley_status closed = ley_log_close(training->log);
    training->log = NULL;
    return status == LEY_OK ? closed : status;
}

enum ley_status training_run(struct training *training, struct ley_net *net,
                             const struct ley_objective *objective, const char *stage,
                             int64_t n_tokens, double rate) {
    char checkpoint[1100];
    struct ley_run *run;
    bool follows_law = false;
    enum ley_recompute recompute = LEY_RECOMPUTE_AUTO;
    LEY_TRY(parse_recompute(&recompute, training->options->recompute));
    LEY_TRY(parse_gradient(&follows_law, training->options->gradient));
    ley_net_set_recompute(net, recompute);
    ley_net_follow_law(net, follows_law);
    training_checkpoint(checkpoint, training, stage);
    const struct ley_run_options options = run_options(training, checkpoint, n_tokens, rate);
    if (training->options->resume && !options.resumes) {
        fprintf(stderr, "%s: no checkpoint %s: starts from the beginning\n", stage, checkpoint);
    }
    LEY_TRY(ley_run_create(&run, net, objective, &training->windows,
                           training->dataset.fingerprint ^ training->teacher, &options));
    int64_t begin = ley_run_state(run)->n_tokens;
    enum ley_status status = run_stage(training, run, net, stage);
    int64_t n = ley_run_state(run)->n_tokens - begin;
    double elapsed_s = clock_s() - training->begin_s;
    ley_run_destroy(run);
    if (status == LEY_E_INTERRUPTED) {
        fprintf(stderr, "saved in %s: --resume goes on from there\n", checkpoint);
    }
    LEY_TRY(status);
    printf("%-10s %lld tokens in %.1f s, %.0f tokens/s", stage, (long long)n, elapsed_s,
           (double)n / fmax(elapsed_s, 1e-9));
    if (!isnan(training->last_cost)) {
        printf(", validation loss %.4f to %.4f", training->first_cost, training->last_cost);
    }
    printf("\n");
    fflush(stdout);
    return LEY_OK;
}

void training_print_end(double begin_s) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("time       %.1f s\npeak       %.0f MB of memory\n", clock_s() - begin_s,
           (double)usage.ru_maxrss / 1024);
}
