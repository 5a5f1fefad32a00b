// markup.c - text that doubles its room when it is full
#include "report/markup.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/utf8.h"

void ley_markup_destroy(struct ley_markup *markup) {
    ley_free(markup->text);
    *markup = (struct ley_markup){0};
}

enum ley_status ley_markup_check(const struct ley_markup *markup) {
    return markup->is_out_of_memory ? ley_fail_memory("a page", markup->room, 2) : LEY_OK;
}

// Makes room for n more bytes and a zero; false: there is none.
static bool grow(struct ley_markup *markup, size_t n) {
    if (markup->is_out_of_memory || markup->n + n < markup->room) {
        return !markup->is_out_of_memory;
    }
    size_t room = 2 * (markup->n + n) + 1024;
    char *larger = ley_alloc(room, 1);
    if (!larger) {
        markup->is_out_of_memory = true;
        return false;
    }
    if (markup->n > 0) {
        memcpy(larger, markup->text, markup->n);
    }
    ley_free(markup->text);
    markup->text = larger;
    markup->room = room;
    return true;
}

void ley_markup_bytes(struct ley_markup *markup, const char *bytes, size_t n) {
    if (grow(markup, n)) {
        memcpy(markup->text + markup->n, bytes, n);
        markup->n += n;
        markup->text[markup->n] = '\0';
    }
}

// Measured first, then written: a line may have any length.
void ley_markup_format(struct ley_markup *markup, const char *format, ...) {
    va_list list, again;
    va_start(list, format);
    va_copy(again, list);
    int n = vsnprintf(NULL, 0, format, list);
    if (n > 0 && grow(markup, (size_t)n)) {
        vsnprintf(markup->text + markup->n, (size_t)n + 1, format, again);
        markup->n += (size_t)n;
    }
    va_end(again);
    va_end(list);
}

// The entity of a byte that must not stand as it is; NULL: it may.
static const char *entity_of(char byte) {
    switch (byte) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\n':
    case '\t':
        return NULL;
    default:
        return (unsigned char)byte < 0x20 || byte == 0x7f ? "\xef\xbf\xbd" : NULL;
    }
}

void ley_markup_escape(struct ley_markup *markup, const char *text) {
    size_t n = strlen(text);
    while (n > 0) {
        size_t length = ley_utf8_length(text, n);
        const char *entity = length == 0 ? "\xef\xbf\xbd" : length == 1 ? entity_of(*text) : NULL;
        length = length ? length : 1;
        if (entity) {
            ley_markup_bytes(markup, entity, strlen(entity));
        } else {
            ley_markup_bytes(markup, text, length);
        }
        text += length;
        n -= length;
    }
}

// 999.95 must not show as 1000 of the smaller prefix, so the power is that of the rounded value.
void ley_markup_quantity(struct ley_markup *markup, double value, const char *unit) {
    static const char *const prefix[] = {"a", "f", "p", "n", "\xc2\xb5", "m",
                                         "",  "k", "M", "G", "T",        "P"};
    if (!isfinite(value)) {
        ley_markup_format(markup, "&#8211;");
    } else if (strcmp(unit, "m2") == 0) {
        bool is_small = fabs(value) < 1e-8;
        ley_markup_format(markup, "%.4g %sm\xc2\xb2", (is_small ? 1e12 : 1e6) * value,
                          is_small ? "\xc2\xb5" : "m");
    } else if (!*unit || value == 0) {
        ley_markup_format(markup, "%.4g%s%s", value, *unit ? " " : "", unit);
    } else {
        int i = (int)floor(log10(fabs(value) * 1.0000501) / 3) + 6;
        i = i < 0 ? 0 : i > 11 ? 11 : i;
        ley_markup_format(markup, "%.4g %s%s", value / pow(1000, i - 6), prefix[i], unit);
    }
}
