// memory.c - zeroed, aligned blocks with a readable tail
#include "core/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A cache line, and the widest vector register.
enum { ALIGNMENT = 64, TAIL = 64 };

// NULL only when memory is out or the product absurd; zero items are a block of the tail alone.
void *ley_alloc(size_t n_items, size_t item_bytes) {
    // A division, since the product could overflow; the bound leaves room for tail and rounding.
    if (item_bytes != 0 && n_items > (SIZE_MAX / 2 - ALIGNMENT - TAIL) / item_bytes) {
        return NULL;
    }
    // The tail is zeroed with the rest: reading it is harmless and the same everywhere.
    size_t bytes = n_items * item_bytes + TAIL;
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; // aligned_alloc wants a multiple
    void *block = aligned_alloc(ALIGNMENT, bytes);
    if (block) {
        memset(block, 0, bytes);
    }
    return block;
}

// A function of our own, so that tests can count and fail allocations (test_fault.c).
void ley_free(void *block) {
    free(block);
}

// Pages of the whole machine: limits of a container are not seen.
size_t ley_physical_memory(void) {
    long n_pages = sysconf(_SC_PHYS_PAGES), n_bytes = sysconf(_SC_PAGESIZE);
    return n_pages > 0 && n_bytes > 0 ? (size_t)n_pages * (size_t)n_bytes : 0;
}

enum ley_status ley_fail_memory(const char *what, size_t n_items, size_t item_bytes) {
    return ley_fail(LEY_E_MEMORY, "out of memory: %s needs %zu x %zu bytes", what, n_items,
                    item_bytes);
}

// A cache line: pieces of different threads do not share one.
void *ley_cut(void *block, size_t *at, size_t n) {
    void *piece = block ? (char *)block + *at : NULL;
    *at += (n + 63) / 64 * 64;
    return piece;
}
