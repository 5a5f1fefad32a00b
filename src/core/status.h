// status.h - how functions report failure.
//
// Every function that can fail returns enum ley_status and is marked LEY_MUST_CHECK. The detail
// (what, where, what to do) is kept as one line of text per thread until the next failure.
// A broken contract by the calling code is not a status: it is LEY_ASSERT (core/assert.h).
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

#define LEY_MUST_CHECK __attribute__((warn_unused_result))

enum ley_status {
#define LEY_STATUS(code, meaning) code,
#include "core/status.def"
#undef LEY_STATUS
};

// Stores the detail of a failure for this thread and returns `status`: return ley_fail(...).
enum ley_status ley_fail(enum ley_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Puts "prefix: " before the stored detail (to say which file or option it was about).
enum ley_status ley_fail_within(enum ley_status status, const char *prefix);

// Detail of this thread's last failure; "" when there was none. Valid until the next failure.
const char *ley_error_text(void);

// One-line meaning of a status, from status.def.
const char *ley_status_text(enum ley_status status);

// Forwards a failure to the caller.
#define LEY_TRY(call)                                                                              \
    do {                                                                                           \
        enum ley_status ley_try_status = (call);                                                   \
        if (ley_try_status != LEY_OK) {                                                            \
            return ley_try_status;                                                                 \
        }                                                                                          \
    } while (0)

#ifdef __cplusplus
}
#endif
