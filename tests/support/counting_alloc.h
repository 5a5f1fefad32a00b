// counting_alloc.h - the library's memory, counted and made to fail; for tests linked with
// counting_alloc.c, whose ley_alloc and ley_free take the place of the library's (ELF symbol
// interposition: the library must be a shared object).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counting {
    int64_t n_calls;       // of ley_alloc since the last reset
    int64_t first_failing; // the call that gets no memory, counted from 1; 0: none
    bool keeps_failing;    // later calls get none either
    int64_t n_live;        // blocks not freed yet; not reset
    size_t n_bytes;        // asked for since the last reset
};

extern struct counting counting;

// Starts counting calls and bytes anew.
void counting_reset(int64_t first_failing, bool keeps_failing);
