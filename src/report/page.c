// page.c - HTML written in order, as well-formed XML
#include "report/page.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "report/gnuplot.h"
#include "report/page_style_impl.h"
#include "report/result.h"

void ley_page_destroy(struct ley_page *page) {
    ley_markup_destroy(&page->text);
}

void ley_page_begin(struct ley_page *page, const char *title) {
    struct ley_markup *out = &page->text;
    ley_markup_format(out,
                      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                      "<meta name=\"viewport\" content=\"width=device-width, "
                      "initial-scale=1\"/>\n<title>");
    ley_markup_escape(out, title);
    ley_markup_format(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>\n<h1>",
                      ley_page_style);
    ley_markup_escape(out, title);
    ley_markup_format(out, "</h1>\n");
}

void ley_page_end(struct ley_page *page) {
    ley_markup_format(&page->text, "</body>\n</html>\n");
}

void ley_page_section(struct ley_page *page, const char *id, const char *title) {
    ley_markup_format(&page->text, "<section id=\"%s\">\n<h2>", id);
    ley_markup_escape(&page->text, title);
    ley_markup_format(&page->text, "</h2>\n<div class=\"figures\">\n");
}

void ley_page_section_end(struct ley_page *page) {
    ley_markup_format(&page->text, "</div>\n</section>\n");
}

void ley_page_figure(struct ley_page *page, bool is_wide) {
    ley_markup_format(&page->text, "<figure%s>\n", is_wide ? " class=\"wide\"" : "");
}

void ley_page_caption(struct ley_page *page, const struct ley_result *const *from, int n_from,
                      const char *format, ...) {
    char text[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    ley_markup_format(&page->text, "<figcaption>%s", text);
    for (int i = 0; i < n_from; i++) {
        ley_markup_format(&page->text, "<span class=\"from\"><code>");
        ley_markup_escape(&page->text, ley_result_command(from[i]));
        ley_markup_format(&page->text, "</code> &#8594; ");
        ley_markup_escape(&page->text, from[i]->path);
        ley_markup_format(&page->text, "</span>");
    }
    ley_markup_format(&page->text, "</figcaption>\n</figure>\n");
}

enum ley_status ley_page_plot(struct ley_page *page, const struct ley_markup *script, int width,
                              int height, const char *label) {
    char id[16];
    LEY_TRY(ley_markup_check(script));
    snprintf(id, sizeof id, "p%d", ++page->n_drawings);
    LEY_TRY(ley_plot_draw(&page->text, script->text, width, height, id, label));
    ley_markup_format(&page->text, "\n");
    return LEY_OK;
}

void ley_page_drawing(struct ley_page *page, int width, int height, const char *label) {
    ley_markup_format(&page->text,
                      "<svg viewBox=\"0 0 %d %d\" font-size=\"14\" role=\"img\" aria-label=\"",
                      width, height);
    ley_markup_escape(&page->text, label);
    ley_markup_format(&page->text, "\">");
}

void ley_page_table(struct ley_page *page, const char *head) {
    ley_markup_format(&page->text, "<div class=\"scroll\"><table>\n<thead><tr>");
    while (*head) {
        size_t n = strcspn(head, "|");
        bool is_number = *head == '#';
        ley_markup_format(&page->text, "<th%s>%.*s</th>", is_number ? " class=\"n\"" : "",
                          (int)n - is_number, head + is_number);
        head += n + (head[n] == '|');
    }
    ley_markup_format(&page->text, "</tr></thead>\n<tbody>\n");
}

void ley_page_table_end(struct ley_page *page) {
    ley_markup_format(&page->text, "</tbody>\n</table></div>\n");
}

void ley_page_row(struct ley_page *page) {
    ley_markup_format(&page->text, "<tr>");
}

void ley_page_row_end(struct ley_page *page) {
    ley_markup_format(&page->text, "</tr>\n");
}

void ley_page_cell(struct ley_page *page, const char *text) {
    ley_markup_format(&page->text, "<td>");
    ley_markup_escape(&page->text, text);
    ley_markup_format(&page->text, "</td>");
}

void ley_page_cell_figures(struct ley_page *page, const char *text) {
    ley_markup_format(&page->text, "<td class=\"n\">");
    ley_markup_escape(&page->text, text);
    ley_markup_format(&page->text, "</td>");
}

// A number that is not known shows as a dash.
void ley_page_cell_number(struct ley_page *page, const char *format, double value) {
    char text[64] = "\xe2\x80\x93";
    if (isfinite(value)) {
        snprintf(text, sizeof text, format, value);
    }
    ley_markup_format(&page->text, "<td class=\"n\">%s</td>", text);
}

void ley_page_cell_quantity(struct ley_page *page, double value, const char *unit) {
    ley_markup_format(&page->text, "<td class=\"n\">");
    ley_markup_quantity(&page->text, value, unit);
    ley_markup_format(&page->text, "</td>");
}
