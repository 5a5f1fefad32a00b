// status.c - statuses and the per-thread text that explains the last one
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ERROR_TEXT_BYTES = 1024 };

// One per thread: a worker's text is passed on by whoever joins it (src/model/calibrate.c).
static _Thread_local char error_text[ERROR_TEXT_BYTES];

// Formats into a buffer of its own first: an argument may be the old error text.
enum ley_status ley_fail(enum ley_status status, const char *format, ...) {
    char text[ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c; c++) { // a hostile name must not break the promise of one line
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    memcpy(error_text, text, sizeof error_text);
    return status;
}

// The copy keeps this independent of when ley_fail overwrites the old text.
enum ley_status ley_fail_within(enum ley_status status, const char *prefix) {
    char inner[ERROR_TEXT_BYTES];
    memcpy(inner, error_text, sizeof inner);
    return ley_fail(status, "%s: %s", prefix, inner);
}

// Kept until this thread fails again; success does not clear it.
const char *ley_error_text(void) {
    return error_text;
}

const char *ley_status_text(enum ley_status status) {
    static const char *const meanings[] = {
#define LEY_STATUS(code, meaning) [code] = meaning,
#include "core/status.def"
#undef LEY_STATUS
    };
    return meanings[status];
}
