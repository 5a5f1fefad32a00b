// page.h - one HTML page that needs nothing else: sections, figures with captions, tables.
//
// The page is well-formed XML, follows light and dark, and is as wide as the window: tables that
// are wider scroll inside themselves.
#pragma once
#include "report/markup.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_result;

// Start from {0}.
struct ley_page {
    struct ley_markup text;
    int n_drawings; // so that each gets ids of its own
};

// {0} is accepted.
void ley_page_destroy(struct ley_page *page);

// Head and heading of the page.
void ley_page_begin(struct ley_page *page, const char *title);
void ley_page_end(struct ley_page *page); // ends the page

// A section, which the list at the top can point to; `title` is plain text.
void ley_page_section(struct ley_page *page, const char *id, const char *title);
void ley_page_section_end(struct ley_page *page); // ends it

// Something with a caption. Figures stand beside one another where there is room; wide ones (also
// tables) take a row.
void ley_page_figure(struct ley_page *page, bool is_wide);

// Ends a figure: a caption (markup, like printf after its sources), then the command and file that
// each of from[n_from] came from.
void ley_page_caption(struct ley_page *page, const struct ley_result *const *from, int n_from,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

// Draws a plot into the current figure (gnuplot.h).
LEY_MUST_CHECK enum ley_status ley_page_plot(struct ley_page *page, const struct ley_markup *script,
                                             int width, int height, const char *label);

// Starts a drawing of our own in the current figure, width by height units; ends with </svg>.
void ley_page_drawing(struct ley_page *page, int width, int height, const char *label);

// A table inside a figure: its head in one text, columns separated by '|'. A column whose head
// begins with '#' holds numbers, which align to the right.
void ley_page_table(struct ley_page *page, const char *head);
void ley_page_table_end(struct ley_page *page); // ends it

// A row, then its cells in order, then the end of the row.
void ley_page_row(struct ley_page *page);
void ley_page_row_end(struct ley_page *page);                        // ends the row
void ley_page_cell(struct ley_page *page, const char *text);         // text, escaped
void ley_page_cell_figures(struct ley_page *page, const char *text); // numbers as text, escaped
void ley_page_cell_number(struct ley_page *page, const char *format, double value); // printf
void ley_page_cell_quantity(struct ley_page *page, double value, const char *unit); // with unit

#ifdef __cplusplus
}
#endif
