// merge_impl.h - byte-pair merging: which neighbours join, and doing it in O(n log n).
//
// Both kinds of vocabulary become one table of pairs (left, right) -> (rank, merged): ranked merges
// give it directly, scored tokens through all their splits. The pair of least rank is joined first,
// of equal ones the leftmost, until no neighbours are a pair.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

struct pair {
    uint64_t key; // left << 32 | right; UINT64_MAX: free
    // the earlier the pair is joined
    uint32_t rank;
    // the symbol that the two become
    int32_t merged;
};

struct pair_table {
    struct pair *pair;
    // slots - 1, slots being a power of two
    size_t mask;
};

// An empty table for up to `capacity` pairs.
LEY_MUST_CHECK enum ley_status pair_table_create(struct pair_table *table, size_t capacity);

// Frees what the table owns; a zeroed table is accepted.
void pair_table_destroy(struct pair_table *table);

// Adds a pair; of two equal ones the lower rank stays. Ids are not negative.
void pair_table_insert(struct pair_table *table, int32_t left, int32_t right, uint32_t rank,
                       int32_t merged);

// The pair (left, right), or NULL.
const struct pair *pair_table_find(const struct pair_table *table, int32_t left, int32_t right);

struct symbol {
    int32_t id;         // -1: unknown, never joined
    int32_t prev, next; // neighbours, -1 at the ends
    int32_t start;      // where its bytes begin in the piece
};

struct candidate {
    uint64_t order; // rank << 32 | position
    const struct pair *pair;
};

// Workspace of one thread. Start from {0}; grows as needed.
struct merger {
    struct symbol *symbol;
    struct candidate *heap;
    size_t capacity; // symbols
    size_t n_heap;
};

// Makes room for n symbols. What was there is lost.
LEY_MUST_CHECK enum ley_status merger_reserve(struct merger *merger, size_t n);

// Frees the workspace.
void merger_destroy(struct merger *merger);

// Joins symbol[0..n), of which the caller set `id` and `start`. The result is the list that starts
// at symbol[0] and follows `next`.
void merger_run(struct merger *merger, const struct pair_table *table, size_t n);
