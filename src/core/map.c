// map.c - read-only memory maps
#include "core/map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// An empty file cannot be mapped, and no format of ours can be empty.
static enum ley_status map_open_file(struct ley_map *map, int file, const char *path) {
    struct stat info;
    if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
        return ley_fail(LEY_E_IO, "cannot read %s: not a regular file", path);
    }
    if (info.st_size == 0) {
        return ley_fail(LEY_E_FORMAT, "%s is empty", path);
    }
    void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (bytes == MAP_FAILED) {
        return ley_fail(LEY_E_IO, "cannot map %s: %s", path, strerror(errno));
    }
    *map = (struct ley_map){bytes, (size_t)info.st_size};
    return LEY_OK;
}

// Pages are read when they are touched: opening a model of gigabytes costs nothing yet.
enum ley_status ley_map_open(struct ley_map *map, const char *path) {
    *map = (struct ley_map){NULL, 0};
    // not blocking: opening a named pipe must fail here, not wait for a writer
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        return ley_fail(LEY_E_IO, "cannot open %s: %s", path, strerror(errno));
    }
    enum ley_status status = map_open_file(map, file, path);
    close(file); // the map keeps its own hold on the file
    return status;
}

void ley_map_close(struct ley_map *map) {
    if (map->bytes) {
        munmap((void *)(uintptr_t)map->bytes, map->n_bytes);
        *map = (struct ley_map){NULL, 0};
    }
}
