// markup.h - text of a page that grows: raw markup, escaped text, numbers with units.
//
// Memory that runs out is kept as a flag: writing goes on without effect and ley_markup_check
// tells.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Start from {0}.
struct ley_markup {
    char *text; // n bytes and a zero; NULL while empty
    size_t n, room;
    bool is_out_of_memory;
};

// Frees the text; {0} is accepted.
void ley_markup_destroy(struct ley_markup *markup);

// LEY_E_MEMORY when something did not fit.
LEY_MUST_CHECK enum ley_status ley_markup_check(const struct ley_markup *markup);

// Appends n bytes as they are.
void ley_markup_bytes(struct ley_markup *markup, const char *bytes, size_t n);

// Appends like printf. Texts that are not Leyden's own go through ley_markup_escape instead.
void ley_markup_format(struct ley_markup *markup, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Appends text so that it shows as it is, between tags or in a quoted attribute: the five special
// characters as entities, bytes that are no UTF-8 and control characters as U+FFFD.
void ley_markup_escape(struct ley_markup *markup, const char *text);

// Appends four digits of a value with the SI prefix that suits ("6.15 nJ"); areas (unit m2) in mm2
// or um2, numbers without unit plainly. What is not finite shows as a dash.
void ley_markup_quantity(struct ley_markup *markup, double value, const char *unit);

#ifdef __cplusplus
}
#endif
