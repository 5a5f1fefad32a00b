// gguf_write.c - writing a GGUF container
//
// The metadata are kept as the bytes they will be in the file; tensors follow, each at a multiple
// of 32 bytes, which is the default alignment.
#include "model/gguf_write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"

enum { ALIGNMENT = 32 };

// Out of memory is noted, not returned, so that adding needs no check each; ley_gguf_write fails.
struct ley_gguf_builder {
    uint8_t *bytes;
    size_t n_bytes, n_room;
    uint64_t n_pairs;
    bool is_out_of_memory;
};

enum ley_status ley_gguf_builder_create(struct ley_gguf_builder **builder) {
    *builder = ley_alloc(1, sizeof **builder);
    return *builder ? LEY_OK : ley_fail_memory("GGUF metadata", 1, sizeof **builder);
}

void ley_gguf_builder_destroy(struct ley_gguf_builder *builder) {
    if (builder) {
        ley_free(builder->bytes);
        ley_free(builder);
    }
}

// Grows to twice what is needed, by copying: ley_alloc knows no realloc.
static void put(struct ley_gguf_builder *builder, const void *bytes, size_t n) {
    if (builder->n_bytes + n > builder->n_room) {
        // Twice and a page more, so that small files need few copies.
        size_t n_room = (builder->n_bytes + n) * 2 + 4096;
        uint8_t *grown = ley_alloc(n_room, 1);
        if (!grown) {
            builder->is_out_of_memory = true;
            return;
        }
        if (builder->n_bytes > 0) {
            memcpy(grown, builder->bytes, builder->n_bytes);
        }
        ley_free(builder->bytes);
        builder->bytes = grown;
        builder->n_room = n_room;
    }
    if (n > 0) {
        memcpy(builder->bytes + builder->n_bytes, bytes, n);
        builder->n_bytes += n;
    }
}

// Little-endian machines only, as everywhere in this format's readers; checked by the build.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "GGUF is written on little-endian machines");

// Integers lie in the file as they lie in memory, see the assertion above.
static void put_u32(struct ley_gguf_builder *builder, uint32_t x) {
    put(builder, &x, sizeof x);
}

static void put_u64(struct ley_gguf_builder *builder, uint64_t x) {
    put(builder, &x, sizeof x);
}

// 8 bytes of length, then the text, as gguf.c's take_string reads.
static void put_string(struct ley_gguf_builder *builder, struct ley_string string) {
    put_u64(builder, string.n);
    put(builder, string.text, string.n);
}

// Key and type of the value that the caller appends next.
static void begin_pair(struct ley_gguf_builder *builder, const char *key, enum ley_gguf_type type) {
    put_string(builder, (struct ley_string){key, strlen(key)});
    put_u32(builder, type);
    builder->n_pairs++;
}

// The same for an array: the type of its items and their number come before them.
static void begin_array(struct ley_gguf_builder *builder, const char *key, enum ley_gguf_type type,
                        size_t n) {
    begin_pair(builder, key, LEY_GGUF_ARRAY);
    put_u32(builder, type);
    put_u64(builder, n);
}

// The value is copied as the bytes it had: same format, same order of bytes.
void ley_gguf_add_pair(struct ley_gguf_builder *builder, const struct ley_gguf_pair *pair) {
    put_string(builder, pair->key);
    if (pair->is_array) {
        put_u32(builder, LEY_GGUF_ARRAY);
    }
    put_u32(builder, pair->type);
    if (pair->is_array) {
        put_u64(builder, pair->n_items);
    }
    put(builder, pair->value, pair->n_bytes);
    builder->n_pairs++;
}

void ley_gguf_add_u32(struct ley_gguf_builder *builder, const char *key, uint32_t value) {
    begin_pair(builder, key, LEY_GGUF_U32);
    put_u32(builder, value);
}

void ley_gguf_add_f32(struct ley_gguf_builder *builder, const char *key, float value) {
    begin_pair(builder, key, LEY_GGUF_F32);
    put(builder, &value, sizeof value);
}

void ley_gguf_add_bool(struct ley_gguf_builder *builder, const char *key, bool value) {
    begin_pair(builder, key, LEY_GGUF_BOOL);
    // One byte, 0 or 1.
    put(builder, &(uint8_t){value}, 1);
}

void ley_gguf_add_string(struct ley_gguf_builder *builder, const char *key,
                         struct ley_string value) {
    begin_pair(builder, key, LEY_GGUF_STRING);
    put_string(builder, value);
}

void ley_gguf_add_f32_array(struct ley_gguf_builder *builder, const char *key, const float *values,
                            size_t n) {
    begin_array(builder, key, LEY_GGUF_F32, n);
    put(builder, values, n * sizeof *values);
}

void ley_gguf_add_i32_array(struct ley_gguf_builder *builder, const char *key,
                            const int32_t *values, size_t n) {
    begin_array(builder, key, LEY_GGUF_I32, n);
    put(builder, values, n * sizeof *values);
}

void ley_gguf_add_strings(struct ley_gguf_builder *builder, const char *key,
                          const struct ley_string *values, size_t n) {
    begin_array(builder, key, LEY_GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) {
        put_string(builder, values[i]);
    }
}

// To the next multiple of the alignment.
static size_t padded(size_t n) {
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

// After n bytes of something that began aligned.
static void pad(FILE *file, size_t n) {
    static const uint8_t zeros[ALIGNMENT];
    fwrite(zeros, 1, padded(n) - n, file);
}

// Header, pairs and tensor records, padded to where data begin.
static enum ley_status write_head(FILE *file, const struct ley_gguf_builder *builder,
                                  const struct ley_gguf_tensor *tensors, size_t n_tensors) {
    struct ley_gguf_builder head = {.n_pairs = 0}; // used for its buffer only
    uint64_t offset = 0;
    // (1) magic, version, counts, (2) the pairs as they were collected
    put(&head, "GGUF", 4);
    put_u32(&head, 3);
    put_u64(&head, n_tensors);
    put_u64(&head, builder->n_pairs);
    put(&head, builder->bytes, builder->n_bytes);
    // (3) tensor records: offsets count from the start of the data
    for (size_t i = 0; i < n_tensors; i++) {
        put_string(&head, tensors[i].name);
        put_u32(&head, (uint32_t)tensors[i].n_dims);
        for (int d = 0; d < tensors[i].n_dims; d++) {
            put_u64(&head, (uint64_t)tensors[i].dim[d]);
        }
        put_u32(&head, tensors[i].type->id);
        put_u64(&head, offset);
        offset += padded(tensors[i].n_bytes);
    }
    bool is_ready = !head.is_out_of_memory && !builder->is_out_of_memory;
    if (is_ready) {
        // (4) padding to where data begin, the same that readers compute
        fwrite(head.bytes, 1, head.n_bytes, file);
        pad(file, head.n_bytes);
    }
    ley_free(head.bytes);
    return is_ready ? LEY_OK : ley_fail_memory("GGUF metadata", builder->n_bytes, 1);
}

// `data` NULL: made by the caller's `fill` into one buffer, which lives for this tensor only.
static enum ley_status write_tensor(FILE *file, const struct ley_gguf_tensor *tensor,
                                    const struct ley_gguf_content *content) {
    uint8_t *made = NULL;
    if (!tensor->data) {
        made = ley_alloc(tensor->n_bytes, 1);
        if (!made) {
            return ley_fail_memory("a tensor", tensor->n_bytes, 1);
        }
        enum ley_status status = content->fill(content->context, made, tensor);
        if (status != LEY_OK) {
            ley_free(made);
            return status;
        }
    }
    // Written once, either from the caller's bytes or from those just made.
    fwrite(made ? made : tensor->data, 1, tensor->n_bytes, file);
    pad(file, tensor->n_bytes);
    ley_free(made);
    return LEY_OK;
}

// A full disk ends the loop; the caller asks ferror once more and reports.
static enum ley_status write_all(FILE *file, const struct ley_gguf_builder *builder,
                                 const struct ley_gguf_tensor *tensors, size_t n_tensors,
                                 const struct ley_gguf_content *content) {
    LEY_TRY(write_head(file, builder, tensors, n_tensors));
    for (size_t i = 0; i < n_tensors && !ferror(file); i++) {
        LEY_TRY(write_tensor(file, &tensors[i], content));
    }
    return LEY_OK;
}

// Written beside the goal and renamed: no reader ever sees half a file, and a failure leaves an
// older file as it was.
enum ley_status ley_gguf_write(const char *path, const struct ley_gguf_builder *builder,
                               const struct ley_gguf_tensor *tensors, size_t n_tensors,
                               const struct ley_gguf_content *content) {
    char temporary[1100];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid()) >=
        sizeof temporary) {
        return ley_fail(LEY_E_ARGUMENT, "the name of the output file is too long");
    }
    FILE *file = fopen(temporary, "wb");
    if (!file) {
        return ley_fail(LEY_E_IO, "cannot write %s: %s", path, strerror(errno));
    }
    enum ley_status status = write_all(file, builder, tensors, n_tensors, content);
    bool is_bad = ferror(file) != 0;
    is_bad = fclose(file) != 0 || is_bad;
    if (status == LEY_OK && (is_bad || rename(temporary, path) != 0)) {
        status = ley_fail(LEY_E_IO, "cannot write %s: %s", path, strerror(errno));
    }
    if (status != LEY_OK) {
        unlink(temporary);
    }
    return status;
}
