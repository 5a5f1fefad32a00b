// cmd_eval.c - leyden eval: benchmark tasks on a model, on several hardwares side by side
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "evaluation.h"

static const struct command command = {
    "eval", "eval -m MODEL --task NAME[,NAME]... [--hw NAME[,NAME]...] [--data DIR] [OPTION]...",
    "Benchmark tasks with the names, prompts, metrics and errors of lm-evaluation-harness, on one "
    "or\n"
    "more hardwares side by side.",
    "Tasks: wikitext, lambada_openai, hellaswag, arc_easy, arc_challenge, winogrande, piqa, and "
    "text:\n"
    "the perplexity of any file (--file), in windows of --ctx. No data are shipped: --data names "
    "a\n"
    "folder with JSON lines as Hugging Face gives them; what is missing is told with its source.\n"
    "digital is the model as it is; the adapter goes onto chips only."};

static enum ley_status check(const struct eval_options *o) {
    static const char *const formats[] = {"table", "md", "csv", "json"};
    bool is_known = false;
    for (int i = 0; i < 4; i++) {
        is_known = is_known || strcmp(o->format, formats[i]) == 0;
    }
    if (!is_known) {
        return ley_fail(LEY_E_ARGUMENT, "--format is '%s', must be table, md, csv or json",
                        o->format);
    }
    if (!o->tasks) {
        return ley_fail(LEY_E_ARGUMENT, "--task is missing: wikitext, lambada_openai, hellaswag, "
                                        "arc_easy, arc_challenge, winogrande, piqa, text");
    }
    if (o->n_windows < 0 || (o->plot && o->n_windows == 0)) {
        return ley_fail(LEY_E_ARGUMENT, "--divergence must be 1 or more windows%s",
                        o->plot ? " for --plot" : "");
    }
    if (o->n_ctx == 1 || o->n_ctx < 0 || o->n_ctx > 1 << 20 || o->limit < 0 || o->n_rows < 1 ||
        o->n_rows > 1 << 20) {
        return ley_fail(LEY_E_ARGUMENT, "--ctx must be 2..1048576, --limit 0 or more, --rows "
                                        "1..1048576");
    }
    return LEY_OK;
}

// The file first: what is printed can be asked for again, an hour's work not.
static enum ley_status write_results(const struct evaluation_set *set) {
    const struct eval_options *o = set->options;
    bool is_json = o->json || strcmp(o->format, "json") == 0;
    if (o->samples) {
        LEY_TRY(eval_write_samples(set, o->samples));
    }
    if (o->output) {
        struct cJSON *root = eval_json(set);
        char *text = cJSON_Print(root);
        cJSON_Delete(root);
        enum ley_status status = text ? ley_file_write(o->output, text, strlen(text))
                                      : ley_fail_memory("JSON text", 1, 1);
        free(text);
        LEY_TRY(status);
    }
    if (o->plot) {
        LEY_TRY(eval_divergence_plot(set, o->plot));
    }
    if (is_json) {
        return session_print_json(eval_json(set));
    }
    LEY_TRY(eval_print(set, o->format));
    if (strcmp(o->format, "table") == 0) {
        eval_divergence_print(set);
    }
    return LEY_OK;
}

static enum ley_status run_all(struct evaluation_set *set, const struct eval_options *o) {
    LEY_TRY(check(o));
    LEY_TRY(evaluation_open(set, o));
    LEY_TRY(evaluation_run(set));
    LEY_TRY(write_results(set));
    if (set->is_stopped && o->output) {
        fprintf(stderr, "stopped; the same command goes on (answers so far are in %s.part)\n",
                o->output);
    }
    return evaluation_finish(set);
}

// For people who look for data.
static void list_tasks(void) {
    int n;
    const struct ley_task *tasks = ley_tasks(&n);
    for (int i = 0; i < n; i++) {
        printf("%-15s %s%s%s\n", tasks[i].name, tasks[i].source, *tasks[i].files ? "; files: " : "",
               tasks[i].files);
    }
}

// Returns what options_parse does.
static int parse(struct eval_options *o, int argc, char **argv) {
    struct language_options *l = &o->language;
    const struct option_row rows[] = {
        LANGUAGE_ROWS(*l),
        {"task", 0, OPTION_TEXT, &o->tasks, "LIST", "tasks, separated by commas"},
        {"list", 0, OPTION_FLAG, &o->lists, NULL, "list the tasks and where their data come from"},
        {"data", 0, OPTION_TEXT, &o->data, "DIR", "folder with the data sets (LEYDEN_DATA)"},
        {"file", 'f', OPTION_TEXT, &o->file, "FILE", "the text, or the items of the only task"},
        {"limit", 0, OPTION_INT, &o->limit, "N", "items of a task at most, 0: all (0)"},
        {"ctx", 'c', OPTION_INT, &o->n_ctx, "N",
         "tokens a model is fed at once (1024, or less if it knows less)"},
        {"rows", 0, OPTION_INT, &o->n_rows, "N", "tokens of a pass, more or less (1024)"},
        {"seed", 's', OPTION_INT, &o->seed, "S", "seed of the samples drawn again for errors (0)"},
        {"divergence", 0, OPTION_INT, &o->n_windows, "N",
         "compare chips with digital on N windows of text or wikitext: KL, heads (0)"},
        {"plot", 0, OPTION_TEXT, &o->plot, "FILE.svg", "plot the divergence"},
        {"tech", 0, OPTION_REPEAT, &o->technology, "NAME|FILE", "prices of events (paper)"},
        {"out", 'o', OPTION_TEXT, &o->output, "FILE",
         "write the JSON here; FILE.part keeps answers until then"},
        {"log-samples", 0, OPTION_TEXT, &o->samples, "FILE",
         "write each item's answers, JSON lines"},
        {"format", 0, OPTION_TEXT, &o->format, "NAME", "print a table, md, csv or json (table)"},
        {"json", 0, OPTION_FLAG, &o->json, NULL, "result as JSON"},
    };
    return options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], NULL);
}

int cmd_eval(int argc, char **argv) {
    struct eval_options o = {.invocation = {argc, argv},
                             .language = LANGUAGE_DEFAULTS,
                             .format = "table",
                             .n_rows = 1024};
    o.language.hw.name = "digital,paper";
    int result = parse(&o, argc, argv);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    if (o.lists) {
        list_tasks();
        return EXIT_OK;
    }
    session_catch_interrupts();
    struct evaluation_set *set = ley_alloc(1, sizeof *set);
    enum ley_status status =
        set ? run_all(set, &o) : ley_fail_memory("the evaluation", 1, sizeof *set);
    result = status != LEY_OK  ? session_fail("eval", status)
             : set->is_stopped ? EXIT_INTERRUPTED
                               : EXIT_OK;
    if (set) {
        evaluation_close(set);
    }
    ley_free(set);
    return result;
}
