// report.h - a page about one model on one chip, from the results of any commands.
//
//     {0}, add each result, write the page, destroy
//
// A page shows what the results contain: sections without results are left out. Results that do not
// belong together are refused when they are added, so that no table compares what cannot be.
#pragma once
#include "report/markup.h"
#include "report/result.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { LEY_MAX_RESULTS = 64 };

// Start from {0}.
struct ley_report {
    const char *version; // of Leyden, for the end of the page; borrowed
    int n_results;
    struct ley_result result[LEY_MAX_RESULTS];
};

// Adds the result text[n] of the file `path`; the same bytes once more are passed over. text[n]
// ends in a zero byte. LEY_E_FORMAT: no result. LEY_E_ARGUMENT: of another model, chip or text than
// those before; says which and what to do.
LEY_MUST_CHECK enum ley_status ley_report_add(struct ley_report *report, const char *path,
                                              const char *text, size_t n);

// {0} is accepted.
void ley_report_destroy(struct ley_report *report);

// Appends the page. LEY_E_MISSING: there is no gnuplot.
LEY_MUST_CHECK enum ley_status ley_report_write(struct ley_markup *out,
                                                const struct ley_report *report, const char *title);

// The nth result of a kind, from 0; NULL when there are fewer.
const struct ley_result *ley_report_find(const struct ley_report *report, enum ley_result_kind kind,
                                         int nth);

// The first result of those from `start` on that has a member `key`; NULL: none.
const struct ley_result *ley_report_with(const struct ley_report *report, const char *key,
                                         int start);

#ifdef __cplusplus
}
#endif
