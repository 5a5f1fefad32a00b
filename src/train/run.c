// run.c - the loop
//
// Nothing that decides a value is kept outside parameters, moments and struct ley_training_state;
// the clock decides when a checkpoint is written, never what is in it.
#include "train/run.h"

#include <math.h>
#include <time.h>

#include "core/assert.h"
#include "core/memory.h"

struct ley_run {
    struct ley_net *net;
    struct ley_objective objective;
    struct ley_windows windows;
    struct ley_run_options options;
    struct ley_adamw adamw;
    struct ley_training_state state;
    int32_t *tokens, *targets; // (n_windows, T)
    double start_s, saved_s;   // of the clock: when the run would have begun, last save
    int64_t saved_step;
};

static double clock_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// Values, moments and place of a run that stopped.
static enum ley_status resume(struct ley_run *run) {
    const struct ley_training_state fresh = run->state;
    const char *path = run->options.checkpoint;
    LEY_ASSERT(path);
    LEY_TRY(ley_checkpoint_load(ley_net_parameters(run->net), &run->adamw, &run->state, path));
    if (run->state.data != fresh.data || run->state.seed != fresh.seed) {
        return ley_fail(LEY_E_ARGUMENT, "%s was made with %s: the run cannot go on", path,
                        run->state.data != fresh.data ? "other data or another teacher"
                                                      : "another seed");
    }
    return ley_net_pack(run->net);
}

static enum ley_status fill(struct ley_run *run) {
    const struct ley_run_options *o = &run->options;
    size_t n = (size_t)(o->n_windows * run->windows.n_context);
    struct ley_parameters *parameters = ley_net_parameters(run->net);
    LEY_TRY(ley_adamw_create(&run->adamw, parameters, &o->constants));
    if (o->average > 0) {
        LEY_TRY(ley_adamw_keep_average(&run->adamw, parameters, o->average));
    }
    run->tokens = ley_alloc(2 * n, sizeof *run->tokens);
    if (!run->tokens) {
        return ley_fail_memory("windows of a pass", 2 * n, sizeof *run->tokens);
    }
    run->targets = run->tokens + n;
    if (o->resumes) {
        LEY_TRY(resume(run));
    }
    run->saved_step = run->state.step;
    run->saved_s = clock_s();
    run->start_s = run->saved_s - run->state.seconds;
    return LEY_OK;
}

enum ley_status ley_run_create(struct ley_run **run, struct ley_net *net,
                               const struct ley_objective *objective,
                               const struct ley_windows *windows, uint64_t data,
                               const struct ley_run_options *options) {
    *run = NULL;
    LEY_ASSERT(options->n_windows >= 1 && options->n_passes >= 1);
    LEY_ASSERT(options->n_parts <= 1 || windows->n_context % options->n_parts == 0);
    struct ley_run *made = ley_alloc(1, sizeof *made);
    if (!made) {
        return ley_fail_memory("a run", 1, sizeof *made);
    }
    made->net = net;
    made->objective = *objective;
    made->windows = *windows;
    made->options = *options;
    made->state =
        (struct ley_training_state){.seed = windows->seed, .data = data, .best_loss = INFINITY};
    enum ley_status status = fill(made);
    if (status != LEY_OK) {
        ley_run_destroy(made);
        return status;
    }
    *run = made;
    return LEY_OK;
}

void ley_run_destroy(struct ley_run *run) {
    if (run) {
        ley_adamw_destroy(&run->adamw);
        ley_free(run->tokens);
        ley_free(run);
    }
}

const struct ley_training_state *ley_run_state(const struct ley_run *run) {
    return &run->state;
}

static void add_costs(struct ley_costs *sum, const struct ley_costs *part) {
    sum->cost += part->cost;
    sum->nll += part->nll;
    sum->divergence += part->divergence;
    sum->hidden += part->hidden;
    sum->n_rows += part->n_rows;
}

// Means of a report from sums over rows.
static struct ley_run_report report_of(const struct ley_run *run, const struct ley_costs *sum) {
    double n = sum->n_rows > 0 ? (double)sum->n_rows : 1;
    return (struct ley_run_report){
        .step = run->state.step,
        .n_steps = run->options.n_steps,
        .n_tokens = run->state.n_tokens,
        .cost = sum->cost / n,
        .nll = sum->nll / n,
        .divergence = sum->divergence / n,
        .hidden = sum->hidden / n,
        .seconds = clock_s() - run->start_s,
    };
}

// In how many parts windows of a pass are read, where `number` is its first window: parts lie
// as windows of their own would, so nothing moves.
static int64_t parts_of(const struct ley_run_options *options, int64_t number) {
    bool is_cut = options->n_parts > 1 && number / options->n_windows % 2 == 1;
    return is_cut ? options->n_parts : 1;
}

// Gradients of all passes of the next step.
static enum ley_status sum_gradients(struct ley_costs *sum, struct ley_run *run) {
    const struct ley_run_options *o = &run->options;
    int64_t T = run->windows.n_context, number = run->state.n_windows;
    struct ley_batch batch = {
        .tokens = run->tokens,
        .targets = run->targets,
        .n_counted = o->n_windows * o->n_passes * T,
    };
    *sum = (struct ley_costs){.cost = 0};
    ley_gradient_clear(ley_net_parameters(run->net));
    for (int64_t pass = 0; pass < o->n_passes; pass++) {
        struct ley_costs part;
        int64_t n_parts = parts_of(o, number);
        batch.n_batch = o->n_windows * n_parts;
        batch.n_tokens = T / n_parts;
        for (int64_t b = 0; b < o->n_windows; b++) {
            ley_windows_train(run->tokens + b * T, run->targets + b * T, &run->windows, number++);
        }
        LEY_TRY(run->objective.run(run->objective.context, &part, &batch, true));
        add_costs(sum, &part);
    }
    return LEY_OK;
}

static enum ley_status fail_no_number(const struct ley_run *run, const char *what, int64_t step) {
    const char *path = run->options.checkpoint;
    if (path && run->saved_step > 0) {
        return ley_fail(LEY_E_RESULT,
                        "the %s of step %lld is not a number; %s keeps the state after step %lld: "
                        "go on from there with a lower rate",
                        what, (long long)step, path, (long long)run->saved_step);
    }
    return ley_fail(LEY_E_RESULT, "the %s of step %lld is not a number; nothing was saved before",
                    what, (long long)step);
}

// Values change only when loss and gradients are numbers.
static enum ley_status step(struct ley_run_report *report, struct ley_run *run) {
    const struct ley_run_options *o = &run->options;
    struct ley_parameters *p = ley_net_parameters(run->net);
    struct ley_costs sum;
    LEY_TRY(sum_gradients(&sum, run));
    double norm = ley_gradient_norm(p), rate = ley_schedule_rate(&o->schedule, run->state.step);
    if (!isfinite(sum.cost) || !isfinite(norm)) {
        return fail_no_number(run, isfinite(sum.cost) ? "gradient" : "loss", run->state.step + 1);
    }
    ley_adamw_step(&run->adamw, p, rate, o->most_norm > 0 ? ley_clip_scale(norm, o->most_norm) : 1);
    ley_net_pack_trained(run->net);
    run->state.step++;
    run->state.n_windows += o->n_windows * o->n_passes;
    run->state.n_tokens += sum.n_rows;
    *report = report_of(run, &sum);
    report->norm = norm;
    report->rate = rate;
    return LEY_OK;
}

// The same windows each time; the last pass may have fewer.
static enum ley_status validate(struct ley_run_report *report, struct ley_run *run) {
    int64_t T = run->windows.n_context, n = run->options.n_validation;
    struct ley_costs sum = {.cost = 0}, part;
    n = n < run->windows.n_validation ? n : run->windows.n_validation;
    for (int64_t w = 0; w < n; w += run->options.n_windows) {
        int64_t B = n - w < run->options.n_windows ? n - w : run->options.n_windows;
        const struct ley_batch batch = {
            .tokens = run->tokens, .targets = run->targets, .n_batch = B, .n_tokens = T};
        for (int64_t b = 0; b < B; b++) {
            ley_windows_validation(run->tokens + b * T, run->targets + b * T, &run->windows, w + b);
        }
        LEY_TRY(run->objective.run(run->objective.context, &part, &batch, false));
        add_costs(&sum, &part);
    }
    *report = report_of(run, &sum);
    report->is_validation = true;
    run->state.best_loss = fmin(run->state.best_loss, report->cost);
    return isfinite(sum.cost) ? LEY_OK : fail_no_number(run, "validation loss", run->state.step);
}

// Exchanges the values with their mean, if one is kept, and packs.
static void swap_average(struct ley_run *run) {
    if (run->adamw.average) {
        ley_adamw_swap_average(&run->adamw, ley_net_parameters(run->net));
        ley_net_pack_trained(run->net);
    }
}

// A validation is one of the mean, if one is kept.
static enum ley_status validate_average(struct ley_run_report *report, struct ley_run *run) {
    swap_average(run);
    enum ley_status status = validate(report, run);
    swap_average(run);
    return status;
}

static bool has_validation(const struct ley_run *run) {
    return run->windows.n_validation > 0 && run->options.n_validation > 0;
}

// After the step that was just done; and after the last.
static bool is_time_to_validate(const struct ley_run *run) {
    int64_t every = run->options.validate_every;
    return has_validation(run) &&
           (run->state.step == run->options.n_steps || (every > 0 && run->state.step % every == 0));
}

static enum ley_status save(struct ley_run *run) {
    run->state.seconds = clock_s() - run->start_s;
    if (run->options.checkpoint) {
        LEY_TRY(ley_checkpoint_save(run->options.checkpoint, ley_net_parameters(run->net),
                                    &run->adamw, &run->state));
        run->saved_step = run->state.step;
        run->saved_s = clock_s();
    }
    return LEY_OK;
}

// Saved when it is time, when it is over, and when somebody wants to stop.
static enum ley_status save_if_due(struct ley_run *run, bool is_stopped) {
    bool is_over = run->state.step == run->options.n_steps;
    if (is_over || is_stopped || clock_s() - run->saved_s >= run->options.checkpoint_every_s) {
        LEY_TRY(save(run));
    }
    return is_stopped && !is_over
               ? ley_fail(LEY_E_INTERRUPTED, "stopped after step %lld", (long long)run->state.step)
               : LEY_OK;
}

// A run starts with a validation, so that what it learned can be told.
enum ley_status ley_run_go(struct ley_run *run, const struct ley_run_observer *observer) {
    struct ley_run_report report;
    bool goes_on = true;
    if (run->state.step == 0 && has_validation(run)) {
        LEY_TRY(validate_average(&report, run));
        goes_on = observer->see(observer->context, &report);
    }
    while (goes_on && run->state.step < run->options.n_steps) {
        LEY_TRY(step(&report, run));
        goes_on = observer->see(observer->context, &report);
        if (is_time_to_validate(run)) {
            LEY_TRY(validate_average(&report, run));
            goes_on = observer->see(observer->context, &report) && goes_on;
        }
        LEY_TRY(save_if_due(run, !goes_on));
    }
    if (run->state.step == run->options.n_steps) {
        swap_average(run);
        return LEY_OK;
    }
    return goes_on
               ? LEY_OK
               : ley_fail(LEY_E_INTERRUPTED, "stopped after step %lld", (long long)run->state.step);
}
