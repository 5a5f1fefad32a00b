// string_map_impl.h - from strings to their index in an array.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "model/vocab.h"

struct string_map {
    const struct ley_string *string; // borrowed: the array that ids index
    // [mask + 1] index + 1; 0: free
    int32_t *slot;
    size_t mask;
};

// An empty map for up to `capacity` strings of the array `string`, which it borrows.
LEY_MUST_CHECK enum ley_status string_map_create(struct string_map *map,
                                                 const struct ley_string *string, size_t capacity);

// Frees what the map owns; a zeroed map is accepted.
void string_map_destroy(struct string_map *map);

// Adds string[id]; of equal strings the first one stays, empty ones are left out.
void string_map_insert(struct string_map *map, int32_t id);

// Index of a string, or -1.
int32_t string_map_find(const struct string_map *map, struct ley_string string);

// True when both hold the same bytes.
bool string_equal(struct ley_string a, struct ley_string b);
