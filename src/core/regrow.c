// regrow.c - larger blocks, apart from memory.c: compilers bind calls within a file, and tests take
// the place of ley_alloc and ley_free together or not at all
#include <string.h>

#include "core/memory.h"

void *ley_regrow(void *block, size_t n_items, size_t n_wanted, size_t item_bytes) {
    void *larger = ley_alloc(n_wanted, item_bytes);
    if (larger && block) {
        memcpy(larger, block, n_items * item_bytes);
    }
    if (larger) {
        ley_free(block);
    }
    return larger;
}
