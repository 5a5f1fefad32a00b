// cmd_cost.c - leyden cost: energy, latency, area and retention of a model on a chip, and rivals
#include <stdio.h>

#include "commands.h"
#include "cost_print.h"

static const struct command command = {
    "cost",
    "cost [--hw PRESET|FILE] [--tech FILE]... [-m MODEL|--shape SHAPE] [--events RESULT.json] "
    "[OPTION]...",
    "What attention on the chip costs: energy, latency and area with their parts, how long the "
    "cells\n"
    "hold, the whole token with its digital rest, and digital rivals. Events are those of a run\n"
    "(--events), or expected of uniform random codes on a full ring.",
    "SHAPE is gpt2, gpt2-xl, smollm2-135m or L,H,Hkv,D[,d_model,d_ff,vocab[,mlp matrices]]: "
    "layers, query\n"
    "heads, key-value heads, head width. A technology is a name (paper, dense, osfet-stacked, "
    "sram) "
    "or a\n"
    "YAML file; several lie on top of one another. --set takes hardware parameters (leyden params) "
    "and\n"
    "prices (price.*, area.*, digital.*; docs/TECHNOLOGY.md)."};

static enum ley_status print(const struct cost_study *study, const struct invocation *invocation,
                             const char *explain, bool json, bool csv) {
    if (explain) {
        return ley_figures_explain(stdout, study->figures, explain);
    }
    if (json) {
        return cost_print_json(study, invocation);
    }
    if (csv) {
        cost_print_csv(study);
    } else {
        cost_print_text(study);
    }
    return LEY_OK;
}

int cmd_cost(int argc, char **argv) {
    struct cost_options o = {.window = -1, .refresh_tokens = -1};
    const char *explain = NULL;
    bool json = false, csv = false;
    const struct option_row rows[] = {
        HARDWARE_ROWS(o.hw),
        {"tech", 0, OPTION_REPEAT, &o.technology, "NAME|FILE", "technology: prices, areas (paper)"},
        {"model", 'm', OPTION_TEXT, &o.model, "MODEL", "GGUF file or Hugging Face folder"},
        {"shape", 0, OPTION_TEXT, &o.shape, "SHAPE", "the model by name or numbers (gpt2)"},
        {"window", 0, OPTION_INT, &o.window, "M", "tokens a query sees (array.window)"},
        {"token-period", 0, OPTION_REAL, &o.token_period_s, "S", "seconds from token to token"},
        {"refresh", 0, OPTION_REAL, &o.refresh_tokens, "R",
         "tokens between refreshes (256, or array.refresh_tokens)"},
        {"device", 0, OPTION_REPEAT, &o.devices, "FILE", "one more rival: a measurement, peaks"},
        {"events", 0, OPTION_TEXT, &o.events, "FILE", "price the events of a run's --json"},
        {"explain", 0, OPTION_TEXT, &explain, "KEY", "how one number came about"},
        {"no-measure", 0, OPTION_FLAG, &o.is_unmeasured, NULL, "leave this CPU out"},
        {"json", 0, OPTION_FLAG, &json, NULL, "everything as JSON"},
        {"csv", 0, OPTION_FLAG, &csv, NULL, "every number with formula and source as CSV"},
    };
    int result = options_parse(argc, argv, &command, rows, sizeof rows / sizeof rows[0], NULL);
    if (result != 0) {
        return result == 1 ? EXIT_OK : result;
    }
    struct cost_study study = {0};
    enum ley_status status = cost_study_create(&study, &o);
    if (status == LEY_OK) {
        status = print(&study, &(struct invocation){argc, argv}, explain, json, csv);
    }
    cost_study_destroy(&study);
    return status == LEY_OK ? EXIT_OK : session_fail("cost", status);
}
