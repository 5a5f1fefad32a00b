// progress.h - how long work tells how far it is, and is asked to stop.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Called between pieces of work with those done so far; false stops it (LEY_E_INTERRUPTED).
struct ley_progress {
    bool (*report)(void *context, int64_t n_done, int64_t n_total);
    void *context;
};

#ifdef __cplusplus
}
#endif
