// merge.c - a doubly linked list of symbols and a heap of the pairs that may be joined
//
// Joining makes heap entries of the neighbours stale; they stay and are recognised when they come
// up, because the two symbols at their position are no longer their pair. Each join adds at most
// two entries, so n symbols need 3 n places and O(n log n) time.
#include "model/merge_impl.h"

#include <stdbool.h>
#include <string.h>

#include "core/memory.h"

// Two ids as one word; ids are not negative.
static uint64_t key_of(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

// Multiplication mixes upwards, so the high half is folded down.
static size_t slot_of(const struct pair_table *table, uint64_t key) {
    uint64_t hash = key * 0x9e3779b97f4a7c15u;
    return (hash ^ hash >> 32) & table->mask;
}

// At most half full, a power of two: probing is short and the mask is enough.
enum ley_status pair_table_create(struct pair_table *table, size_t capacity) {
    // At least twice the capacity, so the table is never more than half full.
    size_t n_slots = 16;
    while (n_slots < 2 * capacity) {
        n_slots *= 2;
    }
    *table = (struct pair_table){ley_alloc(n_slots, sizeof *table->pair), n_slots - 1};
    if (!table->pair) {
        return ley_fail_memory("merges", n_slots, sizeof *table->pair);
    }
    for (size_t i = 0; i < n_slots; i++) {
        // All ids are below 2^31, so no real key has this value.
        table->pair[i].key = UINT64_MAX;
    }
    return LEY_OK;
}

void pair_table_destroy(struct pair_table *table) {
    ley_free(table->pair);
    table->pair = NULL;
}

// The pair with this key, or the free place where it belongs.
static struct pair *find(const struct pair_table *table, uint64_t key) {
    size_t at = slot_of(table, key);
    while (table->pair[at].key != key && table->pair[at].key != UINT64_MAX) {
        at = (at + 1) & table->mask;
    }
    return &table->pair[at];
}

// Lower rank = earlier merge: a vocabulary that makes one token in two ways keeps the earlier.
void pair_table_insert(struct pair_table *table, int32_t left, int32_t right, uint32_t rank,
                       int32_t merged) {
    struct pair *pair = find(table, key_of(left, right));
    if (pair->key == UINT64_MAX || rank < pair->rank) {
        *pair = (struct pair){key_of(left, right), rank, merged};
    }
}

// Unknown symbols (negative ids) are in no pair.
const struct pair *pair_table_find(const struct pair_table *table, int32_t left, int32_t right) {
    if (left < 0 || right < 0) {
        return NULL;
    }
    const struct pair *pair = find(table, key_of(left, right));
    return pair->key == UINT64_MAX ? NULL : pair;
}

// ---- the heap: least order first

// Moves larger ones down until the place is found.
static void heap_push(struct merger *merger, struct candidate candidate) {
    struct candidate *heap = merger->heap;
    size_t at = merger->n_heap++;
    while (at > 0 && heap[(at - 1) / 2].order > candidate.order) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = candidate;
}

// Takes the root; the last entry sinks from there.
static struct candidate heap_pop(struct merger *merger) {
    struct candidate *heap = merger->heap;
    struct candidate top = heap[0], last = heap[--merger->n_heap];
    size_t at = 0, n = merger->n_heap;
    for (size_t child = 1; child < n; child = 2 * at + 1) {
        // The smaller child moves up until the last entry fits.
        child += child + 1 < n && heap[child + 1].order < heap[child].order;
        if (heap[child].order >= last.order) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

// ---- merging

// Positions share a word with ranks, which bounds the length of a piece.
enum ley_status merger_reserve(struct merger *merger, size_t n) {
    if (n <= merger->capacity) {
        return LEY_OK;
    }
    if (n > INT32_MAX / 2) {
        return ley_fail(LEY_E_ARGUMENT, "a piece of %zu bytes is too long to tokenize", n);
    }
    merger_destroy(merger);
    size_t capacity = n < 64 ? 64 : n + n / 2;
    merger->symbol = ley_alloc(capacity, sizeof *merger->symbol);
    merger->heap = ley_alloc(3 * capacity, sizeof *merger->heap);
    if (!merger->symbol || !merger->heap) {
        merger_destroy(merger);
        return ley_fail_memory("merging", capacity, 3 * sizeof *merger->heap);
    }
    merger->capacity = capacity;
    return LEY_OK;
}

void merger_destroy(struct merger *merger) {
    ley_free(merger->symbol);
    ley_free(merger->heap);
    *merger = (struct merger){.symbol = NULL};
}

// Offers the pair that starts at symbol `at`.
static void offer(struct merger *merger, const struct pair_table *table, int32_t at) {
    const struct symbol *left = &merger->symbol[at];
    if (left->next < 0) {
        return;
    }
    // Order: rank first, then the place, so the heap's least is the next join of the reference.
    const struct pair *pair = pair_table_find(table, left->id, merger->symbol[left->next].id);
    if (pair) {
        heap_push(merger, (struct candidate){(uint64_t)pair->rank << 32 | (uint32_t)at, pair});
    }
}

// A symbol that was joined to its left neighbour keeps no id and no next one.
static bool is_fresh(const struct merger *merger, const struct candidate *candidate, int32_t at) {
    const struct symbol *left = &merger->symbol[at];
    return left->next >= 0 &&
           key_of(left->id, merger->symbol[left->next].id) == candidate->pair->key;
}

// Position is part of the order, so of equal ranks the leftmost is joined first.
void merger_run(struct merger *merger, const struct pair_table *table, size_t n) {
    struct symbol *symbol = merger->symbol;
    for (size_t i = 0; i < n; i++) {
        symbol[i].prev = (int32_t)i - 1;
        symbol[i].next = i + 1 < n ? (int32_t)i + 1 : -1;
    }
    merger->n_heap = 0;
    // Every neighbouring pair is offered once; joins offer the new neighbours.
    for (size_t i = 0; i < n; i++) {
        offer(merger, table, (int32_t)i);
    }
    while (merger->n_heap > 0) {
        struct candidate candidate = heap_pop(merger);
        int32_t at = (int32_t)(uint32_t)candidate.order;
        if (!is_fresh(merger, &candidate, at)) {
            continue;
        }
        // the left symbol becomes the joined one, the right one leaves the list
        struct symbol *left = &symbol[at], *right = &symbol[left->next];
        left->id = candidate.pair->merged;
        left->next = right->next;
        right->id = right->next = -1;
        if (left->next >= 0) {
            symbol[left->next].prev = at;
            offer(merger, table, at);
        }
        if (left->prev >= 0) {
            offer(merger, table, left->prev);
        }
    }
}
