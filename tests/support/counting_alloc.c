// counting_alloc.c - a ley_alloc that counts, and fails when told to
#include "support/counting_alloc.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

struct counting counting;

void counting_reset(int64_t first_failing, bool keeps_failing) {
    counting.n_calls = 0;
    counting.n_bytes = 0;
    counting.first_failing = first_failing;
    counting.keeps_failing = keeps_failing;
}

// Called from several threads.
static bool must_fail(size_t n_bytes) {
    bool fails;
#pragma omp critical(counting)
    {
        int64_t call = ++counting.n_calls, first = counting.first_failing;
        fails = first > 0 && (call == first || (counting.keeps_failing && call > first));
        counting.n_bytes += n_bytes;
        counting.n_live += !fails;
    }
    return fails;
}

void *ley_alloc(size_t n_items, size_t item_bytes) {
    if (must_fail(n_items * item_bytes)) {
        return NULL;
    }
    size_t n_bytes = (n_items * item_bytes + 127) / 64 * 64;
    void *block = aligned_alloc(64, n_bytes);
    if (!block) {
        abort();
    }
    return memset(block, 0, n_bytes);
}

void ley_free(void *block) {
#pragma omp critical(counting)
    counting.n_live -= block != NULL;
    free(block);
}

enum ley_status ley_fail_memory(const char *what, size_t n_items, size_t item_bytes) {
    return ley_fail(LEY_E_MEMORY, "out of memory: %s (%zu x %zu)", what, n_items, item_bytes);
}
