// pair_count.c - a hash table of pairs with lists of places, and a binary heap
#include "model/pair_count_impl.h"

#include <string.h>

#include "core/assert.h"
#include "core/memory.h"

enum { FIRST_ROWS = 1 << 12 };
static const uint64_t FREE = UINT64_MAX;

static uint64_t key_of(struct neighbours pair) {
    return (uint64_t)(uint32_t)pair.left << 32 | (uint32_t)pair.right;
}

// ---- the table

static enum ley_status create_rows(struct pair_count *pairs, size_t n_slots) {
    struct pair_row *row = ley_alloc(n_slots, sizeof *row);
    if (!row) {
        return ley_fail_memory("pairs of symbols", n_slots, sizeof *row);
    }
    for (size_t i = 0; i < n_slots; i++) {
        row[i].key = FREE;
    }
    pairs->row = row;
    pairs->mask = n_slots - 1;
    return LEY_OK;
}

enum ley_status pair_count_create(struct pair_count *pairs, size_t most_places) {
    *pairs = (struct pair_count){.most_places = most_places};
    pairs->place = ley_alloc(most_places, sizeof *pairs->place);
    if (!pairs->place) {
        return ley_fail_memory("places of pairs", most_places, sizeof *pairs->place);
    }
    return create_rows(pairs, FIRST_ROWS);
}

void pair_count_destroy(struct pair_count *pairs) {
    ley_free(pairs->row);
    ley_free(pairs->place);
    ley_free(pairs->touched);
    ley_free(pairs->queue);
    *pairs = (struct pair_count){.row = NULL};
}

// The row of a key, or the free one where it belongs.
static struct pair_row *find_row(const struct pair_count *pairs, uint64_t key) {
    size_t at = (size_t)(key * 0x9e3779b97f4a7c15u >> 32) & pairs->mask;
    while (pairs->row[at].key != FREE && pairs->row[at].key != key) {
        at = (at + 1) & pairs->mask;
    }
    return &pairs->row[at];
}

struct pair_row *pair_count_find(const struct pair_count *pairs, struct neighbours pair) {
    struct pair_row *row = find_row(pairs, key_of(pair));
    return row->key == FREE ? NULL : row;
}

// At most half full.
static enum ley_status grow_rows(struct pair_count *pairs) {
    struct pair_row *old = pairs->row;
    size_t n_old = pairs->mask + 1;
    LEY_TRY(create_rows(pairs, 2 * n_old));
    for (size_t i = 0; i < n_old; i++) {
        if (old[i].key != FREE) {
            *find_row(pairs, old[i].key) = old[i];
        }
    }
    ley_free(old);
    return LEY_OK;
}

// Remembers that a count rose.
static enum ley_status touch(struct pair_count *pairs, struct pair_row *row) {
    if (row->is_touched) {
        return LEY_OK;
    }
    if (pairs->n_touched == pairs->most_touched) {
        size_t wanted = 2 * pairs->most_touched + 1024;
        uint64_t *larger =
            ley_regrow(pairs->touched, pairs->n_touched, wanted, sizeof *pairs->touched);
        if (!larger) {
            return ley_fail_memory("pairs of symbols", wanted, sizeof *larger);
        }
        pairs->touched = larger;
        pairs->most_touched = wanted;
    }
    row->is_touched = true;
    pairs->touched[pairs->n_touched++] = row->key;
    return LEY_OK;
}

enum ley_status pair_count_add(struct pair_count *pairs, struct neighbours pair, int64_t change,
                               int32_t word) {
    if (2 * pairs->n_rows >= pairs->mask) {
        LEY_TRY(grow_rows(pairs));
    }
    uint64_t key = key_of(pair);
    struct pair_row *row = find_row(pairs, key);
    if (row->key == FREE) {
        *row = (struct pair_row){.key = key, .first = -1, .token = -1};
        pairs->n_rows++;
    }
    row->count += change;
    if (change <= 0) {
        return LEY_OK;
    }
    if (row->first < 0 || pairs->place[row->first].word != word) {
        LEY_ASSERT(pairs->n_places < pairs->most_places);
        pairs->place[pairs->n_places] = (struct pair_place){word, row->first};
        row->first = (int32_t)pairs->n_places++;
    }
    return touch(pairs, row);
}

// ---- the queue

static bool is_before(struct queued_pair a, struct queued_pair b) {
    return a.count != b.count ? a.count > b.count : a.key < b.key;
}

static void sift_up(struct queued_pair *queue, size_t at, struct queued_pair pair) {
    for (size_t parent; at > 0 && is_before(pair, queue[parent = (at - 1) / 2]); at = parent) {
        queue[at] = queue[parent];
    }
    queue[at] = pair;
}

// Puts `pair` at the top of a heap of n and lets it sink.
static void sift_down(struct queued_pair *queue, size_t n, struct queued_pair pair) {
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && is_before(queue[child + 1], queue[child]);
        if (!is_before(queue[child], pair)) {
            break;
        }
        queue[at] = queue[child];
    }
    queue[at] = pair;
}

enum ley_status pair_count_queue(struct pair_count *pairs) {
    size_t wanted = pairs->n_queue + pairs->n_touched;
    if (wanted > pairs->most_queue) {
        struct queued_pair *larger =
            ley_regrow(pairs->queue, pairs->n_queue, 2 * wanted, sizeof *larger);
        if (!larger) {
            return ley_fail_memory("pairs of symbols", 2 * wanted, sizeof *larger);
        }
        pairs->queue = larger;
        pairs->most_queue = 2 * wanted;
    }
    for (size_t i = 0; i < pairs->n_touched; i++) {
        struct pair_row *row = find_row(pairs, pairs->touched[i]);
        row->is_touched = false;
        sift_up(pairs->queue, pairs->n_queue++, (struct queued_pair){row->count, row->key});
    }
    pairs->n_touched = 0;
    return LEY_OK;
}

// A pair that counts less than when it was queued goes back to its place, or away.
bool pair_count_take(struct neighbours *pair, struct pair_count *pairs, int64_t least) {
    while (pairs->n_queue > 0) {
        struct queued_pair top = pairs->queue[0];
        int64_t count = find_row(pairs, top.key)->count;
        if (count == top.count && count >= least) {
            *pair = (struct neighbours){(int32_t)(top.key >> 32), (int32_t)(uint32_t)top.key};
        }
        bool goes_back = count < top.count && count >= least;
        struct queued_pair next =
            goes_back ? (struct queued_pair){count, top.key} : pairs->queue[--pairs->n_queue];
        if (pairs->n_queue > 0) {
            sift_down(pairs->queue, pairs->n_queue, next);
        }
        if (count == top.count && count >= least) {
            return true;
        }
    }
    return false;
}
