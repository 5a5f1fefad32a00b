// gguf.c - reading a GGUF container
//
// Layout, little endian: "GGUF", version, number of tensors, number of pairs; pairs (key, type,
// value); tensor records (name, dimensions, type, offset); padding to the alignment; data. A cursor
// walks over it that can never leave the bytes: each read asks first whether so much is left.
#include "model/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

// Names are printed in messages and compared: bounded. The format has no limit of its own.
enum { MAX_NAME = 1024, MAX_ALIGNMENT = 1 << 16 };

// Bytes of one item of an array, 0 where the length is in the file.
static const uint8_t item_bytes[LEY_GGUF_N_TYPES] = {
    [LEY_GGUF_U8] = 1,  [LEY_GGUF_I8] = 1,  [LEY_GGUF_U16] = 2, [LEY_GGUF_I16] = 2,
    [LEY_GGUF_U32] = 4, [LEY_GGUF_I32] = 4, [LEY_GGUF_F32] = 4, [LEY_GGUF_BOOL] = 1,
    [LEY_GGUF_U64] = 8, [LEY_GGUF_I64] = 8, [LEY_GGUF_F64] = 8}; // 0: string or array

// at + n_left is always the end of the file; `start` only serves messages.
struct cursor {
    const uint8_t *at, *start;
    size_t n_left;
    const char *name; // of the file
};

// Every complaint about bytes says where the cursor stood.
static enum ley_status bad(const struct cursor *cursor, const char *what) {
    return ley_fail(LEY_E_FORMAT, "%s: %s (at byte %zu)", cursor->name, what,
                    (size_t)(cursor->at - cursor->start));
}

// The only step forward. n stays 64 bits wide until it is known to fit. On failure *bytes is NULL.
static enum ley_status take(const uint8_t **bytes, struct cursor *cursor, uint64_t n) {
    *bytes = NULL;
    if (n > cursor->n_left) {
        return bad(cursor, "the file is truncated, or a length in it is wrong");
    }
    *bytes = cursor->at;
    cursor->at += n;
    cursor->n_left -= (size_t)n;
    return LEY_OK;
}

// n = 1 .. 8 bytes, at any address.
static uint64_t little_endian(const uint8_t *bytes, int n) {
    uint64_t x = 0;
    for (int i = n - 1; i >= 0; i--) {
        x = x << 8 | bytes[i];
    }
    return x;
}

// An unsigned integer of n bytes.
static enum ley_status take_integer(uint64_t *x, struct cursor *cursor, int n) {
    const uint8_t *bytes;
    LEY_TRY(take(&bytes, cursor, (uint64_t)n));
    *x = little_endian(bytes, n);
    return LEY_OK;
}

// 8 bytes of length, then that many bytes; nothing is copied and nothing terminates them.
static enum ley_status take_string(struct ley_string *string, struct cursor *cursor) {
    uint64_t n;
    const uint8_t *bytes;
    LEY_TRY(take_integer(&n, cursor, 8));
    LEY_TRY(take(&bytes, cursor, n));
    *string = (struct ley_string){(const char *)bytes, (size_t)n};
    return LEY_OK;
}

// A name becomes part of messages and lookups; zero bytes would make two names look alike.
static enum ley_status take_name(struct ley_string *string, struct cursor *cursor) {
    LEY_TRY(take_string(string, cursor));
    if (string->n == 0 || string->n > MAX_NAME || memchr(string->text, '\0', string->n)) {
        return bad(cursor, "a name is empty, longer than 1024 bytes, or holds a zero byte");
    }
    return LEY_OK;
}

// Steps over n items of a type.
static enum ley_status take_items(struct cursor *cursor, enum ley_gguf_type type, uint64_t n) {
    const uint8_t *bytes;
    struct ley_string string;
    if (type == LEY_GGUF_STRING) {
        if (n > cursor->n_left / 8) { // each has a length at least
            return bad(cursor, "an array claims more strings than the file can hold");
        }
        for (uint64_t i = 0; i < n; i++) {
            LEY_TRY(take_string(&string, cursor));
        }
        return LEY_OK;
    }
    // A division, because n * bytes could overflow.
    if (n > cursor->n_left / item_bytes[type]) {
        return bad(cursor, "an array claims more items than the file can hold");
    }
    return take(&bytes, cursor, n * item_bytes[type]);
}

// Key, 4 bytes of type, and for an array the type of its items and 8 bytes of their number. The
// value stays in the file; `pair` points at its first byte (for an array, its first item).
static enum ley_status take_pair(struct ley_gguf_pair *pair, struct cursor *cursor) {
    uint64_t type;
    LEY_TRY(take_name(&pair->key, cursor));
    LEY_TRY(take_integer(&type, cursor, 4));
    pair->n_items = 1;
    pair->is_array = type == LEY_GGUF_ARRAY;
    if (pair->is_array) {
        LEY_TRY(take_integer(&type, cursor, 4));
        LEY_TRY(take_integer(&pair->n_items, cursor, 8));
    }
    // Arrays of arrays exist in the format but in no model file.
    if (type >= LEY_GGUF_N_TYPES || type == LEY_GGUF_ARRAY) {
        return bad(cursor, "a metadata value has an unknown type (or is an array of arrays)");
    }
    pair->type = (enum ley_gguf_type)type;
    pair->value = cursor->at;
    LEY_TRY(take_items(cursor, pair->type, pair->n_items));
    pair->n_bytes = (size_t)(cursor->at - pair->value);
    return LEY_OK;
}

// Number of weights and bytes of a tensor; its place is set later (place_tensors), from *offset.
static enum ley_status take_tensor(struct ley_gguf_tensor *tensor, uint64_t *offset,
                                   struct cursor *cursor) {
    uint64_t n_dims, type, dim, n_weights = 1;
    LEY_TRY(take_name(&tensor->name, cursor));
    LEY_TRY(take_integer(&n_dims, cursor, 4));
    if (n_dims < 1 || n_dims > 4) {
        return bad(cursor, "a tensor has no or more than four dimensions");
    }
    tensor->n_dims = (int)n_dims;
    // Unused dimensions are 1, so that products need no count.
    for (int i = 0; i < 4; i++) {
        tensor->dim[i] = 1;
    }
    for (uint64_t i = 0; i < n_dims; i++) {
        LEY_TRY(take_integer(&dim, cursor, 8));
        if (dim == 0 || dim > (uint64_t)1 << 40 ||
            __builtin_mul_overflow(n_weights, dim, &n_weights)) {
            return bad(cursor, "a tensor has an absurd dimension");
        }
        tensor->dim[i] = (int64_t)dim;
    }
    LEY_TRY(take_integer(&type, cursor, 4));
    LEY_TRY(take_integer(offset, cursor, 8));
    tensor->type = ley_block_type((uint32_t)type);
    if (!tensor->type) {
        return ley_fail(LEY_E_FORMAT,
                        "%s: tensor %.*s has number format %llu; known are F32, F16, "
                        "BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K",
                        cursor->name, (int)tensor->name.n, tensor->name.text,
                        (unsigned long long)type);
    }
    // Rows run along dim[0]; no block crosses a row. The second bound keeps n_bytes within size_t:
    // no block has more than 256 bytes.
    if (tensor->dim[0] % tensor->type->n_weights != 0 ||
        n_weights / (uint64_t)tensor->type->n_weights > SIZE_MAX / 256) {
        return bad(cursor, "the rows of a tensor are no whole number of blocks");
    }
    tensor->n_bytes =
        (size_t)(n_weights / (uint64_t)tensor->type->n_weights) * (size_t)tensor->type->n_bytes;
    return LEY_OK;
}

// "GGUF", version (4), number of tensors (8), number of pairs (8). The counts are held against the
// bytes left before anything is allocated for them.
static enum ley_status take_header(struct ley_gguf *gguf, struct cursor *cursor) {
    const uint8_t *magic;
    uint64_t version;
    LEY_TRY(take(&magic, cursor, 4));
    if (memcmp(magic, "GGUF", 4) != 0) {
        return ley_fail(LEY_E_FORMAT, "%s is no GGUF file", cursor->name);
    }
    LEY_TRY(take_integer(&version, cursor, 4));
    gguf->version = (uint32_t)version;
    // A big-endian 3 reads as 3 << 24.
    if (version < 2 || version > 3) {
        return bad(cursor, version >> 16
                               ? "a big-endian GGUF file; only little-endian ones are read"
                               : "an unknown version of GGUF (2 and 3 are known)");
    }
    LEY_TRY(take_integer(&gguf->n_tensors, cursor, 8));
    LEY_TRY(take_integer(&gguf->n_pairs, cursor, 8));
    // a pair takes 13 bytes of the file at least, a tensor record 33
    if (gguf->n_pairs > cursor->n_left / 13 || gguf->n_tensors > cursor->n_left / 33) {
        return bad(cursor, "more entries are announced than the file can hold");
    }
    gguf->pair = ley_alloc((size_t)gguf->n_pairs, sizeof *gguf->pair);
    gguf->tensor = ley_alloc((size_t)gguf->n_tensors, sizeof *gguf->tensor);
    return gguf->pair && gguf->tensor ? LEY_OK : ley_fail_memory(cursor->name, cursor->n_left, 1);
}

// By bytes, then by length: the order both lookups below rely on.
static int compare_strings(const struct ley_string *a, const struct ley_string *b) {
    size_t n = a->n < b->n ? a->n : b->n;
    int order = memcmp(a->text, b->text, n);
    return order ? order : (a->n > b->n) - (a->n < b->n);
}

// For qsort and bsearch of tensors.
static int compare_names(const void *a, const void *b) {
    return compare_strings(&((const struct ley_gguf_tensor *)a)->name,
                           &((const struct ley_gguf_tensor *)b)->name);
}

// Likewise for pairs.
static int compare_keys(const void *a, const void *b) {
    return compare_strings(&((const struct ley_gguf_pair *)a)->key,
                           &((const struct ley_gguf_pair *)b)->key);
}

// By place in the file.
static int compare_data(const void *a, const void *b) {
    const uint8_t *x = ((const struct ley_gguf_tensor *)a)->data;
    const uint8_t *y = ((const struct ley_gguf_tensor *)b)->data;
    return (x > y) - (x < y);
}

// Lookup by bsearch would find either one; so no file with two is accepted.
static enum ley_status fail_twice(const struct cursor *cursor, const struct ley_string *name) {
    return ley_fail(LEY_E_FORMAT, "%s: %.*s is given twice", cursor->name, (int)name->n,
                    name->text);
}

// Sorted by place no tensor may reach into the next; then sorted by name no two may be equal.
static enum ley_status check_tensors(struct ley_gguf *gguf, const struct cursor *cursor) {
    struct ley_gguf_tensor *t = gguf->tensor;
    size_t n = (size_t)gguf->n_tensors;
    qsort(t, n, sizeof *t, compare_data);
    for (size_t i = 1; i < n; i++) {
        if (t[i - 1].data + t[i - 1].n_bytes > t[i].data) {
            return ley_fail(LEY_E_FORMAT, "%s: tensors %.*s and %.*s overlap", cursor->name,
                            (int)t[i - 1].name.n, t[i - 1].name.text, (int)t[i].name.n,
                            t[i].name.text);
        }
    }
    qsort(t, n, sizeof *t, compare_names);
    for (size_t i = 1; i < n; i++) {
        if (compare_names(&t[i - 1], &t[i]) == 0) {
            return fail_twice(cursor, &t[i].name);
        }
    }
    return LEY_OK;
}

// Sorts, for ley_gguf_find; place_tensors already looks up general.alignment, so this comes first.
static enum ley_status check_pairs(struct ley_gguf *gguf, const struct cursor *cursor) {
    size_t n = (size_t)gguf->n_pairs;
    qsort(gguf->pair, n, sizeof *gguf->pair, compare_keys);
    for (size_t i = 1; i < n; i++) {
        if (compare_keys(&gguf->pair[i - 1], &gguf->pair[i]) == 0) {
            return fail_twice(cursor, &gguf->pair[i].key);
        }
    }
    return LEY_OK;
}

// Data begin at the next multiple of the alignment; offsets count from there.
static enum ley_status place_tensors(struct ley_gguf *gguf, const uint64_t *offset,
                                     const struct cursor *cursor) {
    // Its type does not matter, its value does.
    double wanted = ley_gguf_number(gguf, "general.alignment", 32);
    if (!(wanted >= 1 && wanted <= MAX_ALIGNMENT) || (uint64_t)wanted % 4 != 0) {
        return ley_fail(LEY_E_FORMAT,
                        "%s: general.alignment is %g, must be a multiple of 4 up to "
                        "65536",
                        cursor->name, wanted);
    }
    // (1) The padding follows the last tensor record.
    size_t alignment = (size_t)wanted, begin = (size_t)(cursor->at - cursor->start);
    size_t padding = (alignment - begin % alignment) % alignment;
    if (gguf->n_tensors > 0 && padding > cursor->n_left) {
        return bad(cursor, "the file ends before the data of its tensors");
    }
    size_t n_data = gguf->n_tensors > 0 ? cursor->n_left - padding : 0;
    // (2) Written as differences so that hostile offsets cannot wrap around.
    for (uint64_t i = 0; i < gguf->n_tensors; i++) {
        struct ley_gguf_tensor *t = &gguf->tensor[i];
        if (offset[i] % alignment != 0 || offset[i] > n_data || t->n_bytes > n_data - offset[i]) {
            return ley_fail(LEY_E_FORMAT,
                            "%s: the data of tensor %.*s lie outside the file "
                            "(truncated?) or are not aligned",
                            cursor->name, (int)t->name.n, t->name.text);
        }
        t->data = cursor->at + padding + offset[i];
    }
    return LEY_OK;
}

// The order is that of the file, except that pairs are sorted before tensors are placed and tensors
// are placed before they are checked for overlap.
static enum ley_status read_all(struct ley_gguf *gguf, struct cursor *cursor) {
    LEY_TRY(take_header(gguf, cursor));
    // (1) pairs, (2) sorted for lookups, (3) tensor records, (4) their places, (5) no overlaps
    for (uint64_t i = 0; i < gguf->n_pairs; i++) {
        LEY_TRY(take_pair(&gguf->pair[i], cursor));
    }
    LEY_TRY(check_pairs(gguf, cursor));
    uint64_t *offset = ley_alloc((size_t)gguf->n_tensors, sizeof *offset);
    if (!offset) {
        return ley_fail_memory(cursor->name, (size_t)gguf->n_tensors, sizeof *offset);
    }
    enum ley_status status = LEY_OK;
    for (uint64_t i = 0; status == LEY_OK && i < gguf->n_tensors; i++) {
        status = take_tensor(&gguf->tensor[i], &offset[i], cursor);
    }
    if (status == LEY_OK) {
        status = place_tensors(gguf, offset, cursor);
    }
    ley_free(offset);
    return status == LEY_OK ? check_tensors(gguf, cursor) : status;
}

// Nothing is kept from a file that fails: gguf is zeroed again.
enum ley_status ley_gguf_read(struct ley_gguf *gguf, const uint8_t *bytes, size_t n_bytes,
                              const char *name) {
    struct cursor cursor = {bytes, bytes, n_bytes, name};
    *gguf = (struct ley_gguf){.version = 0};
    enum ley_status status = read_all(gguf, &cursor);
    if (status != LEY_OK) {
        ley_gguf_destroy(gguf);
    }
    return status;
}

// Only the tables are ours: names, values and data belong to the mapped file.
void ley_gguf_destroy(struct ley_gguf *gguf) {
    ley_free(gguf->pair);
    ley_free(gguf->tensor);
    *gguf = (struct ley_gguf){.version = 0};
}

// Both lookups are binary searches of what check_pairs and check_tensors sorted.
const struct ley_gguf_pair *ley_gguf_find(const struct ley_gguf *gguf, const char *key) {
    const struct ley_gguf_pair wanted = {.key = {key, strlen(key)}};
    return gguf->n_pairs
               ? bsearch(&wanted, gguf->pair, (size_t)gguf->n_pairs, sizeof wanted, compare_keys)
               : NULL;
}

// By name; bsearch needs a struct of the same kind to compare with.
const struct ley_gguf_tensor *ley_gguf_find_tensor(const struct ley_gguf *gguf, const char *name) {
    const struct ley_gguf_tensor wanted = {.name = {name, strlen(name)}};
    return gguf->n_tensors ? bsearch(&wanted, gguf->tensor, (size_t)gguf->n_tensors, sizeof wanted,
                                     compare_names)
                           : NULL;
}

// 64-bit integers beyond 2^53 lose their last bits: no known key holds such a number.
double ley_gguf_item(const struct ley_gguf_pair *pair, uint64_t i) {
    int n = item_bytes[pair->type];
    uint64_t bits = little_endian(pair->value + i * (uint64_t)n, n);
    switch (pair->type) {
    case LEY_GGUF_I8:
        return (int8_t)bits;
    case LEY_GGUF_I16:
        return (int16_t)bits;
    case LEY_GGUF_I32:
        return (int32_t)bits;
    case LEY_GGUF_I64:
        return (double)(int64_t)bits;
    case LEY_GGUF_F32: {
        uint32_t word = (uint32_t)bits;
        float x;
        memcpy(&x, &word, sizeof x);
        return (double)x;
    }
    case LEY_GGUF_F64: {
        double x;
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    default:
        return (double)bits;
    }
}

// An array is no number, even one of length 1.
double ley_gguf_number(const struct ley_gguf *gguf, const char *key, double otherwise) {
    const struct ley_gguf_pair *pair = ley_gguf_find(gguf, key);
    bool is_number = pair && !pair->is_array && pair->type != LEY_GGUF_STRING;
    return is_number ? ley_gguf_item(pair, 0) : otherwise;
}

// The value of a string in the file is its length (8 bytes), then its bytes.
struct ley_string ley_gguf_string(const struct ley_gguf *gguf, const char *key) {
    const struct ley_gguf_pair *pair = ley_gguf_find(gguf, key);
    if (!pair || pair->is_array || pair->type != LEY_GGUF_STRING) {
        return (struct ley_string){"", 0};
    }
    return (struct ley_string){(const char *)pair->value + 8, pair->n_bytes - 8};
}

// The texts stay in the file, as borrowed as the pair is; only the list is new.
enum ley_status ley_gguf_strings(struct ley_string **strings, const struct ley_gguf_pair *pair) {
    struct ley_string *made = ley_alloc((size_t)pair->n_items, sizeof *made);
    *strings = made;
    if (!made) {
        return ley_fail_memory("strings", (size_t)pair->n_items, sizeof *made);
    }
    const uint8_t *at = pair->value;
    for (uint64_t i = 0; i < pair->n_items; i++) {
        made[i] = (struct ley_string){(const char *)at + 8, (size_t)little_endian(at, 8)};
        at += 8 + made[i].n;
    }
    return LEY_OK;
}
