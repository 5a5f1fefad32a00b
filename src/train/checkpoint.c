// checkpoint.c - one header, then value, first and second moment of each tensor that trains, and
// the mean of its values where one is kept
//
// The header holds a fingerprint of the table of tensors and one of all that follows; a file is
// checked as a whole before anything of it is taken. Little-endian, as all machines this runs on.
#include "train/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/assert.h"
#include "core/hash.h"
#include "core/map.h"

// 16 bytes that say what it is, and its version.
static const char MAGIC[16] = "leyden train 001";

struct header {
    char magic[16];
    uint64_t layout;   // fingerprint of the tensors that train
    uint64_t contents; // fingerprint of the state and all blocks
    struct ley_training_state state;
    int64_t n_steps; // of the optimiser
};

static size_t tensor_values(const struct ley_parameter *tensor) {
    return tensor->trains ? (size_t)(tensor->n_rows * tensor->n_columns) : 0;
}

// Blocks of a tensor.
static int count_blocks(const struct ley_adamw *adamw) {
    return adamw->average ? 4 : 3;
}

// Names and sizes in order, and how many blocks: what has to be the same for a file to fit.
static uint64_t layout_of(const struct ley_parameters *parameters, const struct ley_adamw *adamw) {
    uint64_t hash = adamw->average ? 1 : 0;
    for (int i = 0; i < parameters->n_tensors; i++) {
        const struct ley_parameter *tensor = &parameters->tensor[i];
        if (tensor->trains) {
            const int64_t size[2] = {tensor->n_rows, tensor->n_columns};
            hash = ley_hash(hash, tensor->name, strlen(tensor->name));
            hash = ley_hash(hash, size, sizeof size);
        }
    }
    return hash;
}

// Where a block of a tensor lies: value, first moment, second moment, mean of values.
static float *block_of(const struct ley_parameters *parameters, const struct ley_adamw *adamw,
                       const struct ley_parameter *tensor, int which) {
    float *const start[4] = {parameters->value, adamw->first, adamw->second, adamw->average};
    return start[which] + tensor->offset - (which > 0 ? adamw->begin : 0);
}

// Fingerprint of state, steps and blocks, in the order of the file. `bytes` takes the place of the
// blocks when it is not NULL: a file in memory.
static uint64_t contents_of(const struct header *header, const struct ley_parameters *parameters,
                            const struct ley_adamw *adamw, const uint8_t *bytes) {
    uint64_t hash = ley_hash(0, &header->state, sizeof header->state);
    hash = ley_hash(hash, &header->n_steps, sizeof header->n_steps);
    for (int i = 0; i < parameters->n_tensors; i++) {
        const struct ley_parameter *tensor = &parameters->tensor[i];
        size_t n_bytes = tensor_values(tensor) * sizeof(float);
        for (int which = 0; n_bytes > 0 && which < count_blocks(adamw); which++) {
            hash = ley_hash(
                hash, bytes ? bytes : (const void *)block_of(parameters, adamw, tensor, which),
                n_bytes);
            bytes = bytes ? bytes + n_bytes : NULL;
        }
    }
    return hash;
}

// A failing fwrite leaves its mark in the stream; asked once at the end.
static void write_all(FILE *file, const struct header *header,
                      const struct ley_parameters *parameters, const struct ley_adamw *adamw) {
    fwrite(header, sizeof *header, 1, file);
    for (int i = 0; i < parameters->n_tensors; i++) {
        const struct ley_parameter *tensor = &parameters->tensor[i];
        size_t n = tensor_values(tensor);
        for (int which = 0; n > 0 && which < count_blocks(adamw); which++) {
            fwrite(block_of(parameters, adamw, tensor, which), sizeof(float), n, file);
        }
    }
}

// The rename is on the disk only when its folder is.
static void sync_folder(const char *path) {
    char folder[1024];
    const char *slash = strrchr(path, '/');
    int n = slash ? snprintf(folder, sizeof folder, "%.*s/", (int)(slash - path), path)
                  : snprintf(folder, sizeof folder, ".");
    int opened = n < (int)sizeof folder ? open(folder, O_RDONLY | O_CLOEXEC) : -1;
    if (opened >= 0) {
        (void)fsync(opened); // some file systems cannot; the file itself is safe
        close(opened);
    }
}

// On the disk before it gets its name: a crash of the machine may else leave a name without data.
static enum ley_status write_file(const char *path, const char *temporary,
                                  const struct header *header,
                                  const struct ley_parameters *parameters,
                                  const struct ley_adamw *adamw) {
    FILE *file = fopen(temporary, "wb");
    if (!file) {
        return ley_fail(LEY_E_IO, "cannot write %s: %s", temporary, strerror(errno));
    }
    errno = 0;
    write_all(file, header, parameters, adamw);
    bool is_bad = fflush(file) != 0 || ferror(file) || fsync(fileno(file)) != 0;
    int reason = errno;
    is_bad = fclose(file) != 0 || is_bad;
    if (!is_bad && rename(temporary, path) != 0) {
        is_bad = true;
        reason = errno;
    }
    if (is_bad) {
        unlink(temporary);
        return ley_fail(LEY_E_IO, "cannot write %s: %s; the checkpoint before it is untouched",
                        path, strerror(reason));
    }
    sync_folder(path);
    return LEY_OK;
}

// One temporary name for all: what a killed run left is overwritten by the next.
enum ley_status ley_checkpoint_save(const char *path, const struct ley_parameters *parameters,
                                    const struct ley_adamw *adamw,
                                    const struct ley_training_state *state) {
    char temporary[1024];
    LEY_ASSERT(adamw->n_values == parameters->n_values);
    int n = snprintf(temporary, sizeof temporary, "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof temporary) {
        return ley_fail(LEY_E_ARGUMENT, "the name of the checkpoint is too long");
    }
    struct header header;
    memset(&header, 0, sizeof header); // padding too
    memcpy(header.magic, MAGIC, sizeof header.magic);
    header.layout = layout_of(parameters, adamw);
    header.state = *state;
    header.n_steps = adamw->n_steps;
    header.contents = contents_of(&header, parameters, adamw, NULL);
    return write_file(path, temporary, &header, parameters, adamw);
}

// Size first: the fingerprint then reads only what is there.
static enum ley_status check(const struct header *header, const struct ley_parameters *parameters,
                             const struct ley_adamw *adamw, const struct ley_map *map,
                             const char *path) {
    size_t n_bytes = sizeof *header;
    if (memcmp(header->magic, MAGIC, sizeof header->magic) != 0) {
        return ley_fail(LEY_E_FORMAT, "%s is no checkpoint of this version", path);
    }
    if (header->layout != layout_of(parameters, adamw)) {
        return ley_fail(LEY_E_FORMAT,
                        "%s belongs to another model, or other tensors train now, or --average was "
                        "given to one run only",
                        path);
    }
    for (int i = 0; i < parameters->n_tensors; i++) {
        n_bytes +=
            (size_t)count_blocks(adamw) * sizeof(float) * tensor_values(&parameters->tensor[i]);
    }
    if (map->n_bytes != n_bytes) {
        return ley_fail(LEY_E_FORMAT, "%s has %zu bytes instead of %zu", path, map->n_bytes,
                        n_bytes);
    }
    if (header->contents != contents_of(header, parameters, adamw, map->bytes + sizeof *header)) {
        return ley_fail(LEY_E_FORMAT, "%s is damaged", path);
    }
    return LEY_OK;
}

// Only after the check, so that a bad file changes nothing.
static void take(struct ley_parameters *parameters, struct ley_adamw *adamw, const uint8_t *bytes) {
    for (int i = 0; i < parameters->n_tensors; i++) {
        const struct ley_parameter *tensor = &parameters->tensor[i];
        size_t n_bytes = tensor_values(tensor) * sizeof(float);
        for (int which = 0; n_bytes > 0 && which < count_blocks(adamw); which++) {
            memcpy(block_of(parameters, adamw, tensor, which), bytes, n_bytes);
            bytes += n_bytes;
        }
    }
}

enum ley_status ley_checkpoint_load(struct ley_parameters *parameters, struct ley_adamw *adamw,
                                    struct ley_training_state *state, const char *path) {
    struct ley_map map;
    struct header header;
    LEY_ASSERT(adamw->n_values == parameters->n_values);
    LEY_TRY(ley_map_open(&map, path));
    enum ley_status status =
        map.n_bytes < sizeof header ? ley_fail(LEY_E_FORMAT, "%s ends early", path) : LEY_OK;
    if (status == LEY_OK) {
        memcpy(&header, map.bytes, sizeof header);
        status = check(&header, parameters, adamw, &map, path);
    }
    if (status == LEY_OK) {
        take(parameters, adamw, map.bytes + sizeof header);
        adamw->n_steps = header.n_steps;
        *state = header.state;
    }
    ley_map_close(&map);
    return status;
}
