// test_gguf.c - the GGUF container: what a good file says, and that no bad one does harm
//
// Files are built here byte by byte from a recipe; each hostile case spoils one field of it. Bytes
// are handed over in blocks of their exact size, so that AddressSanitizer sees every step beyond.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf.h"
#include "support/support.h"

enum { MAX_BYTES = 2048 };

struct bytes {
    uint8_t data[MAX_BYTES];
    size_t n;
};

static void put(struct bytes *out, const void *data, size_t n) {
    assert_true(out->n + n <= MAX_BYTES);
    memcpy(out->data + out->n, data, n);
    out->n += n;
}

static void put_number(struct bytes *out, uint64_t x, size_t n) {
    uint8_t data[8];
    for (size_t i = 0; i < n; i++) {
        data[i] = (uint8_t)(x >> (8 * i));
    }
    put(out, data, n);
}

static void put_text(struct bytes *out, const char *text) {
    put_number(out, strlen(text), 8);
    put(out, text, strlen(text));
}

static void put_pair(struct bytes *out, const char *key, enum ley_gguf_type type, uint64_t bits,
                     size_t n) {
    put_text(out, key);
    put_number(out, type, 4);
    put_number(out, bits, n);
}

static void put_array(struct bytes *out, const char *key, uint64_t type, uint64_t n) {
    put_text(out, key);
    put_number(out, LEY_GGUF_ARRAY, 4);
    put_number(out, type, 4);
    put_number(out, n, 8);
}

// Fields of a file with 13 pairs and two tensors: "a" (4, 2) F32 at 0 and "b" (32) Q8_0 at `offset`.
struct recipe {
    const char *magic, *last_key, *text_key, *name;
    uint64_t version, n_tensors, n_pairs, alignment, n_items, item_type, value_type;
    uint64_t n_dims, dim, type, offset;
};

static const struct recipe good = {
    .magic = "GGUF", .last_key = "last", .text_key = "text", .name = "b", .version = 3,
    .n_tensors = 2, .n_pairs = 13, .alignment = 32, .n_items = 3, .item_type = LEY_GGUF_I16,
    .value_type = LEY_GGUF_U8, .n_dims = 1, .dim = 32, .type = LEY_BLOCK_Q8_0, .offset = 32,
};

static void put_pairs(struct bytes *out, const struct recipe *r) {
    put_pair(out, "general.alignment", LEY_GGUF_U32, r->alignment, 4);
    put_pair(out, "u8", (enum ley_gguf_type)r->value_type, 200, 1);
    put_pair(out, "i8", LEY_GGUF_I8, (uint64_t)-100, 1);
    put_pair(out, "i32", LEY_GGUF_I32, (uint64_t)-70000, 4);
    put_pair(out, "f32", LEY_GGUF_F32, 0x3fc00000, 4); // 1.5
    put_pair(out, "flag", LEY_GGUF_BOOL, 1, 1);
    put_pair(out, "u64", LEY_GGUF_U64, (uint64_t)1 << 40, 8);
    put_pair(out, "i64", LEY_GGUF_I64, (uint64_t)-5, 8);
    put_pair(out, "f64", LEY_GGUF_F64, 0x4004000000000000, 8); // 2.5
    put_pair(out, r->text_key, LEY_GGUF_STRING, 5, 8);
    put(out, "hello", 5);
    put_array(out, "numbers", r->item_type, r->n_items);
    put(out, "\x01\x00\xff\xff\x00\x80", 6); // 1, -1, -32768
    put_array(out, "words", LEY_GGUF_STRING, 2);
    put_text(out, "one");
    put_text(out, "");
    put_pair(out, r->last_key, LEY_GGUF_U16, 65535, 2);
}

static void put_tensors(struct bytes *out, const struct recipe *r) {
    put_text(out, "a");
    put_number(out, 2, 4);
    put_number(out, 4, 8);
    put_number(out, 2, 8);
    put_number(out, LEY_BLOCK_F32, 4);
    put_number(out, 0, 8);
    put_text(out, r->name);
    put_number(out, r->n_dims, 4);
    put_number(out, r->dim, 8);
    put_number(out, r->type, 4);
    put_number(out, r->offset, 8);
}

static void build(struct bytes *out, const struct recipe *r) {
    out->n = 0;
    put(out, r->magic, 4);
    put_number(out, r->version, 4);
    put_number(out, r->n_tensors, 8);
    put_number(out, r->n_pairs, 8);
    put_pairs(out, r);
    put_tensors(out, r);
    while (out->n % 32 != 0) {
        put(out, "", 1);
    }
    for (int i = 0; i < 8; i++) {
        const float x = (float)i;
        put(out, &x, sizeof x);
    }
    put(out, "\x00\x3c", 2); // scale 1
    for (int i = 0; i < 32; i++) {
        put(out, &(int8_t){(int8_t)(i - 16)}, 1);
    }
}

// Reads n bytes in a block of just that size; on success also everything inside.
static enum ley_status read_exactly(const uint8_t *data, size_t n) {
    struct ley_gguf gguf;
    uint8_t *block = malloc(n ? n : 1);
    assert_non_null(block);
    memcpy(block, data, n);
    enum ley_status status = ley_gguf_read(&gguf, block, n, "x.gguf");
    for (uint64_t i = 0; status == LEY_OK && i < gguf.n_pairs; i++) {
        const struct ley_gguf_pair *pair = &gguf.pair[i];
        struct ley_string *strings;
        if (pair->type == LEY_GGUF_STRING) {
            ASSERT_OK(ley_gguf_strings(&strings, pair));
            ley_free(strings);
        } else if (pair->n_items > 0) {
            volatile double last = ley_gguf_item(pair, pair->n_items - 1);
            (void)last;
        }
    }
    for (uint64_t i = 0; status == LEY_OK && i < gguf.n_tensors; i++) {
        const struct ley_gguf_tensor *tensor = &gguf.tensor[i];
        float out[256];
        size_t n_blocks = tensor->n_bytes / (size_t)tensor->type->n_bytes;
        for (size_t b = 0; b < n_blocks; b++) {
            ley_blocks_decode(out, tensor->type,
                              tensor->data + b * (size_t)tensor->type->n_bytes, 1);
        }
    }
    if (status == LEY_OK) {
        ley_gguf_destroy(&gguf);
    }
    free(block);
    return status;
}

static void test_good_file(void **state) {
    (void)state;
    struct bytes file;
    struct ley_gguf gguf;
    build(&file, &good);
    ASSERT_OK(ley_gguf_read(&gguf, file.data, file.n, "x.gguf"));
    static const struct {
        const char *key;
        double value;
    } numbers[] = {{"u8", 200},   {"i8", -100},       {"i32", -70000}, {"f32", 1.5}, {"flag", 1},
                   {"i64", -5},   {"u64", 0x1p40},    {"f64", 2.5},    {"last", 65535},
                   {"text", 42},  {"numbers", 42},    {"none", 42}}; // 42: no number there
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_true(ley_gguf_number(&gguf, numbers[i].key, 42) == numbers[i].value);
    }
    struct ley_string text = ley_gguf_string(&gguf, "text");
    assert_int_equal(text.n, 5);
    assert_memory_equal(text.text, "hello", 5);
    assert_int_equal(ley_gguf_string(&gguf, "u8").n, 0);
    assert_int_equal(ley_gguf_string(&gguf, "words").n, 0);
    const struct ley_gguf_pair *array = ley_gguf_find(&gguf, "numbers");
    assert_non_null(array);
    assert_int_equal(array->n_items, 3);
    assert_true(ley_gguf_item(array, 1) == -1 && ley_gguf_item(array, 2) == -32768);
    struct ley_string *words;
    ASSERT_OK(ley_gguf_strings(&words, ley_gguf_find(&gguf, "words")));
    assert_int_equal(words[0].n, 3);
    assert_int_equal(words[1].n, 0);
    ley_free(words);
    ley_gguf_destroy(&gguf);
}

static void test_tensors_of_good_file(void **state) {
    (void)state;
    struct bytes file;
    struct ley_gguf gguf;
    float x[32];
    build(&file, &good);
    ASSERT_OK(ley_gguf_read(&gguf, file.data, file.n, "x.gguf"));
    const struct ley_gguf_tensor *a = ley_gguf_find_tensor(&gguf, "a");
    const struct ley_gguf_tensor *b = ley_gguf_find_tensor(&gguf, "b");
    assert_true(a && b && !ley_gguf_find_tensor(&gguf, "c"));
    assert_true(a->n_dims == 2 && a->dim[0] == 4 && a->dim[1] == 2 && a->dim[2] == 1);
    assert_int_equal(a->n_bytes, 32);
    assert_int_equal(b->n_bytes, 34);
    ley_blocks_decode(x, a->type, a->data, 8);
    assert_true(x[7] == 7);
    ley_blocks_decode(x, b->type, b->data, 1);
    assert_true(x[0] == -16 && x[31] == 15);
    ley_gguf_destroy(&gguf);
}

static void test_version_2_and_empty(void **state) {
    (void)state;
    struct bytes file;
    struct recipe recipe = good;
    recipe.version = 2;
    build(&file, &recipe);
    ASSERT_OK(read_exactly(file.data, file.n));
    ASSERT_OK(read_exactly((const uint8_t *)"GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24));
}

static void expect(const struct recipe *recipe, const char *part) {
    struct bytes file;
    build(&file, recipe);
    ASSERT_FAILS(read_exactly(file.data, file.n), LEY_E_FORMAT, part);
}

// Each line spoils one field of the good file.
static void test_hostile_fields(void **state) {
    (void)state;
#define EXPECT(part, field, value)                                                                 \
    do {                                                                                           \
        struct recipe recipe = good;                                                               \
        recipe.field = value;                                                                      \
        expect(&recipe, part);                                                                     \
    } while (0)
    EXPECT("no GGUF file", magic, "GGML");
    EXPECT("version", version, 1);
    EXPECT("version", version, 4);
    EXPECT("big-endian", version, 0x03000000);
    EXPECT("more entries", n_tensors, UINT64_MAX);
    EXPECT("more entries", n_pairs, (uint64_t)1 << 61);
    EXPECT("at byte", n_pairs, 14);
    EXPECT("empty", n_tensors, 3);
    EXPECT("alignment", alignment, 0);
    EXPECT("alignment", alignment, 1 << 20);
    EXPECT("last is given twice", text_key, "last");
    EXPECT("empty", last_key, "");
    EXPECT("more items", n_items, UINT64_MAX);
    EXPECT("array of arrays", item_type, LEY_GGUF_ARRAY);
    EXPECT("unknown type", item_type, 99);
    EXPECT("unknown type", value_type, 99);
    EXPECT("a is given twice", name, "a");
    EXPECT("dimensions", n_dims, 0);
    EXPECT("dimensions", n_dims, 5);
    EXPECT("absurd", dim, 0);
    EXPECT("absurd", dim, UINT64_MAX);
    EXPECT("blocks", dim, 31);
    EXPECT("tensor b", dim, (uint64_t)1 << 40);
    EXPECT("number format 4", type, 4);
    EXPECT("overlap", offset, 0);
    EXPECT("aligned", offset, 33);
    EXPECT("outside", offset, (uint64_t)-32);
    EXPECT("outside", offset, 64);
#undef EXPECT
}

// One line of text must come with every failure.
static void check_outcome(enum ley_status status) {
    if (status != LEY_OK) {
        assert_int_equal(status, LEY_E_FORMAT);
        assert_true(*ley_error_text() && !strchr(ley_error_text(), '\n'));
    }
}

static void test_truncated_anywhere(void **state) {
    (void)state;
    struct bytes file;
    build(&file, &good);
    for (size_t n = 0; n < file.n; n++) {
        enum ley_status status = read_exactly(file.data, n);
        assert_int_not_equal(status, LEY_OK);
        check_outcome(status);
    }
}

static void test_any_byte_changed(void **state) {
    (void)state;
    static const uint8_t masks[] = {0x01, 0x10, 0x80, 0xff};
    struct bytes file;
    build(&file, &good);
    for (size_t i = 0; i < file.n; i++) {
        for (size_t k = 0; k < sizeof masks; k++) {
            file.data[i] ^= masks[k];
            check_outcome(read_exactly(file.data, file.n));
            file.data[i] ^= masks[k];
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file),           cmocka_unit_test(test_tensors_of_good_file),
        cmocka_unit_test(test_version_2_and_empty), cmocka_unit_test(test_hostile_fields),
        cmocka_unit_test(test_truncated_anywhere),  cmocka_unit_test(test_any_byte_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
