// pair_count_impl.h - how often two symbols are neighbours, where, and which pair is the commonest.
//
// Counts change while words are merged; the queue is put right when it is asked. A pair whose count
// rises must be queued again once its count is final; one whose count falls need not be.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

// Two neighbours.
struct neighbours {
    int32_t left, right;
};

// One row of the table.
struct pair_row {
    uint64_t key; // left << 32 | right; UINT64_MAX: free
    int64_t count;
    int32_t first;   // place, -1: none
    int32_t token;   // that it was merged to, -1: not yet
    bool is_touched; // its count rose since pairs were queued last
};

// A word that holds a pair.
struct pair_place {
    int32_t word, next; // next place of the pair, -1: none
};

struct queued_pair {
    int64_t count; // when it was queued
    uint64_t key;
};

struct pair_count {
    struct pair_row *row; // open addressing
    size_t n_rows, mask;
    struct pair_place *place;
    size_t n_places, most_places;
    uint64_t *touched; // keys
    size_t n_touched, most_touched;
    struct queued_pair *queue; // a heap
    size_t n_queue, most_queue;
};

// An empty table with room for so many places, fewer than 2^31.
LEY_MUST_CHECK enum ley_status pair_count_create(struct pair_count *pairs, size_t most_places);

// A zeroed table is accepted.
void pair_count_destroy(struct pair_count *pairs);

// Adds `change` to the count of a pair. When it is positive, `word` becomes one of its places and
// the pair waits to be queued.
LEY_MUST_CHECK enum ley_status pair_count_add(struct pair_count *pairs, struct neighbours pair,
                                              int64_t change, int32_t word);

// The row of a pair, or NULL; valid until the next pair is added.
struct pair_row *pair_count_find(const struct pair_count *pairs, struct neighbours pair);

// Queues every pair whose count rose.
LEY_MUST_CHECK enum ley_status pair_count_queue(struct pair_count *pairs);

// Takes the pair of the highest count, of equal ones the least left symbol, then the least right
// one. False when no pair counts `least` (1 or more).
bool pair_count_take(struct neighbours *pair, struct pair_count *pairs, int64_t least);
