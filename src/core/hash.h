// hash.h - 64-bit fingerprints of bytes: to tell that files belong together, or were cut or
// damaged.
//
// No protection against somebody who wants two inputs to look alike.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Goes on from `hash` (0 at first) over bytes[n]. Same bytes cut into other pieces give another
// value.
uint64_t ley_hash(uint64_t hash, const void *bytes, size_t n);

#ifdef __cplusplus
}
#endif
