// fuzz_report.c - any bytes as a result of a command, and as a drawing of gnuplot
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "report/gnuplot.h"
#include "report/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct ley_report report;
    struct ley_markup svg = {0};
    char *text = calloc(size + 2, 1);
    memcpy(text, data, size);
    enum ley_status status = ley_report_add(&report, "a", text, size);
    text[size] = ' '; // not the same bytes, so that it is compared with the first
    status = ley_report_add(&report, "b", text, size + 1);
    (void)status;
    ley_report_destroy(&report);
    text[size] = '\0';
    ley_plot_clean(&svg, text, size, "p1", "fuzz");
    if (svg.n > 0 && (strstr(svg.text, "<!--") || memcmp(svg.text, "<svg", 4) != 0)) {
        __builtin_trap();
    }
    ley_markup_destroy(&svg);
    free(text);
    return 0;
}
