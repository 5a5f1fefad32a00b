// eval_divergence.c - how far chips are from the digital model: windows, numbers, plot
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "evaluation.h"
#include "plot.h"

// The text that windows are taken of; --divergence asks for one.
static const struct eval_task *text_task(const struct evaluation_set *set) {
    for (int t = 0; t < set->n_tasks; t++) {
        enum ley_task_kind kind = set->task[t].task->kind;
        if (kind == LEY_TASK_WINDOWS || kind == LEY_TASK_ROLLING) {
            return &set->task[t];
        }
    }
    return NULL;
}

struct comparison {
    struct evaluation_set *set;
    struct eval_run *run;
    struct language reference;
    struct ley_session *digital, *analog;
    int n_windows; // compared so far
};

// The windows of one item, until there are enough.
static enum ley_status compare_item(struct comparison *c, const struct eval_task *task, int64_t i) {
    struct ley_encoder encoder = {c->reference.tokenizer, c->set->n_ctx};
    struct ley_progress progress = session_quiet_progress();
    struct ley_case item;
    LEY_TRY(ley_case_create(&item, &encoder, &task->items.item[i], task->task->kind));
    enum ley_status status = LEY_OK;
    for (int64_t w = 0; status == LEY_OK && w < item.n && c->n_windows < c->set->options->n_windows;
         w++) {
        const struct ley_sequence *window = &item.sequence[w];
        status = ley_divergence_add(&c->run->divergence, c->digital, c->analog, window->token,
                                    window->n, &progress);
        c->n_windows += status == LEY_OK;
    }
    ley_case_destroy(&item);
    return status;
}

static enum ley_status compare(struct comparison *c, const struct language *language) {
    const struct eval_task *task = text_task(c->set);
    struct language_options options = c->set->options->language;
    options.hw = (struct hardware_options){.name = "digital"};
    options.adapter = NULL;
    LEY_TRY(language_open(&c->reference, &options));
    LEY_TRY(ley_session_create(&c->digital, c->reference.model, 1, c->set->n_ctx));
    LEY_TRY(ley_session_create(&c->analog, language->model, 1, c->set->n_ctx));
    LEY_TRY(ley_divergence_create(&c->run->divergence, language->model));
    enum ley_status status = LEY_OK;
    for (int64_t i = 0; status == LEY_OK && i < task->items.n; i++) {
        status = c->n_windows < c->set->options->n_windows ? compare_item(c, task, i) : LEY_OK;
    }
    if (status == LEY_E_INTERRUPTED && c->run->divergence.n > 0) {
        c->set->is_stopped = true;
        status = LEY_OK;
    }
    return status;
}

enum ley_status eval_divergence(struct evaluation_set *set, struct eval_run *run,
                                const struct language *language) {
    struct comparison c = {.set = set, .run = run};
    enum ley_status status = compare(&c, language);
    if (status == LEY_OK) {
        run->difference = ley_divergence_sum(&run->divergence);
    }
    ley_session_destroy(c.digital);
    ley_session_destroy(c.analog);
    language_close(&c.reference);
    return status;
}

// Heads by what they lose, worst first; returns how many of n_most there are.
static int worst_heads(int *heads, int n_most, const struct ley_divergence *divergence) {
    int n_all = divergence->n_layers * divergence->n_heads, n = 0;
    for (; n < n_most && n < n_all; n++) {
        int worst = -1;
        for (int i = 0; i < n_all; i++) {
            bool is_taken = false;
            for (int k = 0; k < n; k++) {
                is_taken = is_taken || heads[k] == i;
            }
            if (!is_taken && (worst < 0 || ley_divergence_error(&divergence->head[i]) >
                                               ley_divergence_error(&divergence->head[worst]))) {
                worst = i;
            }
        }
        heads[n] = worst;
    }
    return n;
}

static void print_run(const struct eval_run *run) {
    const struct ley_divergence *d = &run->divergence;
    const struct ley_divergence_sum *sum = &run->difference;
    printf("\n%s from digital, %lld predictions\n", run->hw, (long long)d->n);
    printf("  KL         mean %.4f +- %.4f, median %.4f, 99.9 %% %.3f nats\n", sum->mean,
           sum->mean_stderr, sum->median, sum->q999);
    printf("  same top-1 %.2f %%; rms of the probability of what came %.4f; perplexity x %.3f\n",
           100 * sum->same_top, sum->rms_probability, exp(sum->nll - sum->nll_reference));
    printf("  by tokens before:");
    for (int i = 0; i < LEY_DIVERGENCE_PLACES; i++) {
        if (d->place[i].n > 0) {
            printf(" %d: %.3f", 1 << i, d->place[i].kl / (double)d->place[i].n);
        }
    }
    int head[5], n = worst_heads(head, 5, d);
    printf("\n  heads that lose most:");
    for (int i = 0; i < n; i++) {
        printf(" %d.%d: %.2f", head[i] / d->n_heads, head[i] % d->n_heads,
               ley_divergence_error(&d->head[head[i]]));
    }
    printf(" (layer.head: error of its output, of 1)\n");
}

void eval_divergence_print(const struct evaluation_set *set) {
    for (int r = 0; r < set->n_runs; r++) {
        if (set->run[r].divergence.n > 0) {
            print_run(&set->run[r]);
        }
    }
}

static void add_places(struct cJSON *root, const struct ley_divergence *d) {
    struct cJSON *list = cJSON_AddArrayToObject(root, "by_position");
    for (int i = 0; i < LEY_DIVERGENCE_PLACES; i++) {
        const struct ley_divergence_place *place = &d->place[i];
        if (place->n > 0) {
            double n = (double)place->n;
            struct cJSON *row = cJSON_CreateObject();
            cJSON_AddNumberToObject(row, "first", 1 << i);
            cJSON_AddNumberToObject(row, "last", (2 << i) - 1);
            cJSON_AddNumberToObject(row, "predictions", n);
            cJSON_AddNumberToObject(row, "kl", place->kl / n);
            cJSON_AddNumberToObject(row, "same_top", (double)place->n_same / n);
            cJSON_AddNumberToObject(row, "nll", place->nll / n);
            cJSON_AddNumberToObject(row, "nll_digital", place->nll_reference / n);
            cJSON_AddItemToArray(list, row);
        }
    }
}

// A list for each layer, of what `value` says of its heads.
static void add_heads(struct cJSON *root, const char *key, const struct ley_divergence *d,
                      double (*value)(const struct ley_divergence_head *)) {
    struct cJSON *layers = cJSON_AddArrayToObject(root, key);
    for (int l = 0; l < d->n_layers; l++) {
        struct cJSON *row = cJSON_CreateArray();
        for (int h = 0; h < d->n_heads; h++) {
            cJSON_AddItemToArray(row, cJSON_CreateNumber(value(&d->head[l * d->n_heads + h])));
        }
        cJSON_AddItemToArray(layers, row);
    }
}

void eval_divergence_add_json(struct cJSON *root, const struct eval_run *run) {
    const struct ley_divergence_sum *sum = &run->difference;
    if (run->divergence.n == 0) {
        return;
    }
    struct cJSON *part = cJSON_AddObjectToObject(root, "divergence");
    cJSON_AddNumberToObject(part, "predictions", (double)run->divergence.n);
    cJSON_AddNumberToObject(part, "kl_mean", sum->mean);
    cJSON_AddNumberToObject(part, "kl_mean_stderr", sum->mean_stderr);
    cJSON_AddNumberToObject(part, "kl_median", sum->median);
    cJSON_AddNumberToObject(part, "kl_q999", sum->q999);
    cJSON_AddNumberToObject(part, "kl_most", sum->most);
    cJSON_AddNumberToObject(part, "same_top", sum->same_top);
    cJSON_AddNumberToObject(part, "probability_rms", sum->rms_probability);
    cJSON_AddNumberToObject(part, "nll", sum->nll);
    cJSON_AddNumberToObject(part, "nll_digital", sum->nll_reference);
    add_places(part, &run->divergence);
    add_heads(part, "head_error", &run->divergence, ley_divergence_error);
    add_heads(part, "head_correlation", &run->divergence, ley_divergence_correlation);
}

// Curves first, as data blocks of gnuplot, then one map of heads a run.
static void put_data(FILE *pipe, const struct evaluation_set *set) {
    for (int r = 0; r < set->n_runs; r++) {
        const struct ley_divergence *d = &set->run[r].divergence;
        fprintf(pipe, "$curve%d << EOD\n", r);
        for (int i = 0; d->n > 0 && i < LEY_DIVERGENCE_PLACES; i++) {
            if (d->place[i].n > 0) {
                fprintf(pipe, "%.6g %.6g\n", (1 << i) * sqrt(2),
                        d->place[i].kl / (double)d->place[i].n);
            }
        }
        fprintf(pipe, "EOD\n$heads%d << EOD\n", r);
        for (int i = 0; i < d->n_layers * d->n_heads; i++) {
            fprintf(pipe, "%d %d %.5g\n", i / d->n_heads, i % d->n_heads,
                    ley_divergence_error(&d->head[i]));
        }
        fprintf(pipe, "EOD\n");
    }
}

enum ley_status eval_divergence_plot(const struct evaluation_set *set, const char *path) {
    FILE *pipe;
    int n = 0;
    for (int r = 0; r < set->n_runs; r++) {
        n += set->run[r].divergence.n > 0;
    }
    if (n == 0) {
        return ley_fail(LEY_E_ARGUMENT, "--plot: no chip was compared with digital");
    }
    LEY_TRY(plot_open(&pipe, path, 420 * (n + 1), 340));
    put_data(pipe, set);
    fprintf(pipe,
            "set multiplot layout 1,%d\nset logscale xy 2\nset key top left\n"
            "set title 'divergence from digital'\nset xlabel 'tokens seen before'\n"
            "set ylabel 'KL (nats a token)'\nplot ",
            n + 1);
    for (int r = 0; r < set->n_runs; r++) {
        if (set->run[r].divergence.n > 0) {
            fprintf(pipe, "$curve%d u 1:2 w lp lw 2 pt 7 ps 0.6 t '%s', ", r, set->run[r].hw);
        }
    }
    fprintf(pipe,
            "\nunset logscale\nunset key\nset xlabel 'layer'\nset ylabel 'head'\n"
            "set cbrange [0:*]\nset palette defined (0 'white', 0.5 'orange', 1 'dark-red')\n");
    for (int r = 0; r < set->n_runs; r++) {
        const struct ley_divergence *d = &set->run[r].divergence;
        if (d->n > 0) {
            fprintf(pipe,
                    "set title '%s: error of each head'\nset xrange [-0.5:%d.5]\n"
                    "set yrange [-0.5:%d.5]\nplot $heads%d u 1:2:3 w image\n",
                    set->run[r].hw, d->n_layers - 1, d->n_heads - 1, r);
        }
    }
    fprintf(pipe, "unset multiplot\n");
    return plot_close(pipe, path);
}
