// cost_print.h - the figures of leyden cost for people, programs and spreadsheets.
#pragma once
#include <stddef.h>

#include "cost_study.h"

// Tables with SI prefixes.
void cost_print_text(const struct cost_study *study);

// What was typed, headline numbers, breakdown, retention, whole token, baselines, and every figure
// with formula and source.
enum ley_status cost_print_json(const struct cost_study *study,
                                const struct invocation *invocation);

// One row a figure: key, value, unit, low, high, formula, source.
void cost_print_csv(const struct cost_study *study);

// "6.15 nJ": four digits with an SI prefix; areas in mm2.
void cost_format(char *text, size_t n_text, double value, const char *unit);
