// memory.h - the library's only source of memory.
//
// Blocks are zeroed, aligned to 64 bytes, and readable for 64 bytes past their end, so that
// vector code may load a whole register at the tail (never store there).
#pragma once
#include <stddef.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Returns n_items * item_bytes zeroed bytes, or NULL (also when the product overflows).
// Zero items give a valid, empty block. The caller frees it with ley_free.
void *ley_alloc(size_t n_items, size_t item_bytes);

// Frees a block of ley_alloc; NULL is accepted.
void ley_free(void *block);

// A block of n_wanted items that begins with the n_items of `block`, which is freed, unless NULL is
// returned.
void *ley_regrow(void *block, size_t n_items, size_t n_wanted, size_t item_bytes);

// Cuts n bytes off a block at *at, which moves on to the next multiple of 64. With block NULL it
// only measures and returns NULL: the same code lays memory out and finds its size.
void *ley_cut(void *block, size_t *at, size_t n);

// Bytes of memory that this machine has; 0: unknown.
size_t ley_physical_memory(void);

// The status of a failed ley_alloc: says what was wanted and how large it was.
enum ley_status ley_fail_memory(const char *what, size_t n_items, size_t item_bytes);

#ifdef __cplusplus
}
#endif
