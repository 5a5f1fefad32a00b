// figure.h - named numbers that know how they came about.
//
// A figure is given (a parameter, a count, a measurement) or follows by a formula from figures
// before it. The formula is evaluated, so what `--explain` shows is what was computed. Formulas
// know + - * / ( ), max(a,b) min(a,b) floor(a) ceil(a), numbers, and the keys of figures.
// A figure has three values: as stated, and with every given number at the low or high end of its
// range (corners, not statistics).
#pragma once
#include <stdio.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

enum ley_corner { LEY_STATED, LEY_LOW, LEY_HIGH, LEY_N_CORNERS };

struct ley_figure {
    char key[80];
    char unit[16]; // SI, or "" for plain numbers
    double value[LEY_N_CORNERS];
    char formula[256]; // "" when given
    char source[256];  // where it is from; of a formula: what it says, or its id in MODEL.md
};

struct ley_figures;

// Makes an empty list.
LEY_MUST_CHECK enum ley_status ley_figures_create(struct ley_figures **figures);

// NULL is accepted.
void ley_figures_destroy(struct ley_figures *figures);

// Adds a given number, low <= value <= high. Keys are unique; figures never run out of room for
// what Leyden itself adds (contract).
void ley_figures_give(struct ley_figures *figures, const char *key, const char *unit, double value,
                      double low, double high, const char *source);

// Adds a number that follows from those before it. A formula that does not parse, or names what is
// not there, is a broken contract.
void ley_figures_derive(struct ley_figures *figures, const char *key, const char *unit,
                        const char *formula, const char *source);

// All figures in the order they were added.
const struct ley_figure *ley_figures_all(const struct ley_figures *figures, int *n_figures);

// The figure of this key, or NULL.
const struct ley_figure *ley_figures_find(const struct ley_figures *figures, const char *key);

// As stated; the key must exist (contract).
double ley_figures_value(const struct ley_figures *figures, const char *key);

// Prints a figure, its formula, the formula with its numbers, its source; then likewise all that it
// follows from, each once. An unknown key fails with the nearest one, or those that it begins.
LEY_MUST_CHECK enum ley_status ley_figures_explain(FILE *out, const struct ley_figures *figures,
                                                   const char *key);

// Every figure as a JSON array of objects; NULL when out of memory. Delete with cJSON_Delete.
struct cJSON *ley_figures_json(const struct ley_figures *figures);

#ifdef __cplusplus
}
#endif
