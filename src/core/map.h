// map.h - a file as memory, read only, without copying it.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_map {
    // page-aligned; valid until ley_map_close
    const uint8_t *bytes;
    size_t n_bytes;
};

// Maps a regular file. An empty file is LEY_E_FORMAT.
LEY_MUST_CHECK enum ley_status ley_map_open(struct ley_map *map, const char *path);

// A zeroed or closed map is accepted.
void ley_map_close(struct ley_map *map);

#ifdef __cplusplus
}
#endif
