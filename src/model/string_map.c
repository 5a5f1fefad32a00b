// string_map.c - open addressing with linear probing, at most half full; 64-bit FNV-1a
#include "model/string_map_impl.h"

#include <string.h>

#include "core/memory.h"

// The high bits of FNV are the better ones; fold them down.
static uint64_t hash_of(struct ley_string string) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < string.n; i++) {
        hash = (hash ^ (unsigned char)string.text[i]) * 0x100000001b3u;
    }
    return hash ^ hash >> 29;
}

// memcmp of nothing is equal: two empty strings are the same.
bool string_equal(struct ley_string a, struct ley_string b) {
    return a.n == b.n && memcmp(a.text, b.text, a.n) == 0;
}

// Never grows: the power of two above twice the capacity keeps it at most half full.
enum ley_status string_map_create(struct string_map *map, const struct ley_string *string,
                                  size_t capacity) {
    size_t n_slots = 16;
    while (n_slots < 2 * capacity) {
        n_slots *= 2;
    }
    *map = (struct string_map){.string = string, .mask = n_slots - 1};
    map->slot = ley_alloc(n_slots, sizeof *map->slot);
    return map->slot ? LEY_OK : ley_fail_memory("vocabulary", n_slots, sizeof *map->slot);
}

void string_map_destroy(struct string_map *map) {
    ley_free(map->slot);
    map->slot = NULL;
}

// The slot that holds `string`, or the free one where it belongs. A slot holds id + 1; 0 is free.
static size_t find_slot(const struct string_map *map, struct ley_string string) {
    size_t at = hash_of(string) & map->mask;
    while (map->slot[at] != 0 && !string_equal(map->string[map->slot[at] - 1], string)) {
        at = (at + 1) & map->mask;
    }
    return at;
}

// An empty string stays out: it would make every lookup of nothing succeed.
void string_map_insert(struct string_map *map, int32_t id) {
    size_t at = find_slot(map, map->string[id]);
    if (map->slot[at] == 0 && map->string[id].n > 0) {
        map->slot[at] = id + 1;
    }
}

// Free slots hold 0, so "not found" comes out as -1.
int32_t string_map_find(const struct string_map *map, struct ley_string string) {
    return map->slot[find_slot(map, string)] - 1;
}
