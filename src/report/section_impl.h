// section_impl.h - the sections of a report; each writes figures about one kind of result.
#pragma once
#include "report/gnuplot.h"
#include "report/page.h"
#include "report/report.h"

struct cJSON;

// Writes the figures of a section; with nothing to show it leaves the page as it is.
typedef enum ley_status ley_section(struct ley_page *page, const struct ley_report *report);

ley_section ley_section_quality;  // perplexities: digital, mapped, matched, adapted
ley_section ley_section_tasks;    // benchmark tasks, divergence from digital
ley_section ley_section_training; // logs
ley_section ley_section_cell;     // law, fit, leakage
ley_section ley_section_timing;   // phases of a token
ley_section ley_section_cost;     // energy, latency, area, floorplan, whole token
ley_section ley_section_rivals;   // GPUs and others
ley_section ley_section_signals;  // histograms, error by age
ley_section ley_section_events;   // what was counted
ley_section ley_section_samples;  // texts
ley_section ley_section_speed;    // of the simulator
ley_section ley_section_sources;  // configuration, versions, inputs

// "digital", or how the scalers of a run came about: "mapped", "matched", "adapted".
const char *ley_variant_name(const struct ley_result *result);

// Perplexities in the order digital, mapped, matched, adapted, others; returns how many.
int ley_report_perplexities(const struct ley_result *all[LEY_MAX_RESULTS],
                            const struct ley_report *report);

// Query heads that read one bank in turn: of the first result that has a model, else 1.
int ley_report_group(const struct ley_report *report);

// Starts a named block of data in a script of gnuplot; ends with a line "EOD".
void ley_plot_block(struct ley_markup *script, const char *name);

// Appends lines of `n_columns` lists of the object `json`, each value times its scale.
void ley_plot_columns(struct ley_markup *script, const struct cJSON *json, const char *const *key,
                      const double *scale, int n_columns);

// Adds a curve over places in a window, a list of bins {first, last, KEY}, to a plot, whose command
// grows in `plot`. `colour` from 1 to LEY_PLOT_COLOURS, of which each curve has its own.
void ley_plot_curve_by_position(struct ley_markup *script, struct ley_markup *plot, int colour,
                                const struct cJSON *bins, const char *key, const char *name);

// Ends such a script with its axes and the command, which is destroyed.
void ley_plot_by_position(struct ley_markup *script, struct ley_markup *plot, const char *y_label);

// 1, 2 or 5 times a power of ten, so that about `n` of them make `whole`.
double ley_nice_step(double whole, double n);

// The bank of a key-value head to scale, with a table of its parts.
void ley_draw_floorplan(struct ley_page *page, const struct ley_result *cost);
