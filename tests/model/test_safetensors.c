// test_safetensors.c - containers read back, and every lie in one refused
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/container.h"
#include "support/support.h"

static struct container container;

static int start(void **state) {
    (void)state;
    memset(&container, 0, sizeof container);
    return 0;
}

static void check_values(const struct ley_safetensors *read, const char *name, const char *dtype,
                         const float *values, int64_t n) {
    const struct ley_safetensor *tensor = ley_safetensors_find(read, name);
    float got[8];
    assert_non_null(tensor);
    assert_non_null(tensor->type);
    assert_string_equal(tensor->type->name, dtype);
    assert_int_equal(tensor->n_bytes, n * tensor->type->n_bytes);
    ley_blocks_decode(got, tensor->type, tensor->data, n);
    for (int64_t i = 0; i < n; i++) {
        assert_true(got[i] == values[i]);
    }
}

static void test_round_values(void **state) {
    (void)state;
    static const float values[6] = {0, 1, -2, 0.5f, -0.25f, 96}; // exact in all three formats
    struct ley_safetensors read;
    strcpy(container.header, "\"__metadata__\":{\"format\":\"pt\"}");
    container_add(&container, "b", "F32", "[2,3]", values, 6);
    container_add(&container, "c", "BF16", "[6]", values, 6);
    container_add(&container, "empty", "F16", "[0,4]", values, 0);
    container_add(&container, "a", "F16", "[1,2,3]", values, 6);
    container_add(&container, "one", "F32", "[]", values + 3, 1);
    container_finish(&container);
    ASSERT_OK(ley_safetensors_read(&read, container.file, container.n_file, "t"));
    assert_int_equal(read.n_tensors, 5);
    check_values(&read, "a", "F16", values, 6);
    check_values(&read, "b", "F32", values, 6);
    check_values(&read, "c", "BF16", values, 6);
    check_values(&read, "one", "F32", values + 3, 1);
    const struct ley_safetensor *b = ley_safetensors_find(&read, "b");
    assert_true(b->n_dims == 2 && b->dim[0] == 2 && b->dim[1] == 3 && b->dim[2] == 1);
    assert_int_equal(ley_safetensors_find(&read, "one")->n_dims, 0);
    assert_int_equal(ley_safetensors_find(&read, "empty")->n_bytes, 0);
    assert_null(ley_safetensors_find(&read, "__metadata__"));
    assert_null(ley_safetensors_find(&read, "bb"));
    ley_safetensors_destroy(&read);
}

static void test_other_formats(void **state) {
    (void)state;
    struct ley_safetensors read;
    container_raw(&container,
                  "{\"i\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]},"
                  "\"x\":{\"dtype\":\"NEW\",\"shape\":[2],\"data_offsets\":[16,17]}}   ",
                  17);
    ASSERT_OK(ley_safetensors_read(&read, container.file, container.n_file, "t"));
    assert_null(ley_safetensors_find(&read, "i")->type);
    assert_string_equal(ley_safetensors_find(&read, "x")->dtype, "NEW");
    ley_safetensors_destroy(&read);
}

static void assert_refused(const char *header, size_t n_data, const char *part) {
    struct ley_safetensors read;
    container_raw(&container, header, n_data);
    ASSERT_FAILS(ley_safetensors_read(&read, container.file, container.n_file, "t"), LEY_E_FORMAT,
                 part);
    assert_null(strchr(ley_error_text(), '\n'));
    assert_true(read.tensor == NULL && read.header == NULL);
}

#define TENSOR(name, dtype, shape, offsets)                                                        \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_lies(void **state) {
    (void)state;
    assert_refused("", 4, "not a JSON object");
    assert_refused("[]", 4, "not a JSON object");
    assert_refused("{\"a\":", 4, "not a JSON object");
    assert_refused("{} {}", 4, "not a JSON object");
    assert_refused("{\"a\":1}", 4, "no dtype");
    assert_refused("{\"a\":[[[[1]]]]}", 4, "nested deeper");
    assert_refused("{" TENSOR("", "F32", "[1]", "[0,4]") "}", 4, "name is empty");
    assert_refused("{" TENSOR("a", "", "[1]", "[0,4]") "}", 4, "no dtype");
    assert_refused("{" TENSOR("a", "F32", "1", "[0,4]") "}", 4, "no shape");
    assert_refused("{" TENSOR("a", "F32", "[-1]", "[0,4]") "}", 4, "a shape that cannot be");
    assert_refused("{" TENSOR("a", "F32", "[0.5]", "[0,4]") "}", 4, "a shape that cannot be");
    assert_refused("{" TENSOR("a", "F32", "[\"1\"]", "[0,4]") "}", 4, "a shape that cannot be");
    assert_refused("{" TENSOR("a", "F32", "[4294967296,4294967296]", "[0,4]") "}", 4, "shape that");
    assert_refused("{" TENSOR("a", "F32", "[4294967296,1073741824]", "[0,0]") "}", 4,
                   "more or fewer");
    assert_refused("{" TENSOR("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "shape that");
    assert_refused("{" TENSOR("a", "F32", "[1]", "[0]") "}", 4, "no pair of data_offsets");
    assert_refused("{" TENSOR("a", "F32", "[1]", "[0,4,8]") "}", 8, "no pair of data_offsets");
    assert_refused("{" TENSOR("a", "F32", "[1]", "[0,\"4\"]") "}", 4, "no pair of data_offsets");
    assert_refused("{" TENSOR("a", "F32", "[1]", "[4,0]") "}", 4, "outside the file");
    assert_refused("{" TENSOR("a", "F32", "[1]", "[0,4]") "}", 3, "outside the file");
    assert_refused("{" TENSOR("a", "F32", "[1]", "[9007199254740990,9007199254740991]") "}", 4,
                   "outside the file");
    assert_refused("{" TENSOR("a", "F32", "[1]", "[0,8]") "}", 8, "more or fewer bytes");
    assert_refused("{" TENSOR("a", "F16", "[3]", "[0,4]") "}", 8, "more or fewer bytes");
    assert_refused(
        "{" TENSOR("a", "F32", "[2]", "[0,8]") "," TENSOR("b", "F32", "[1]", "[4,8]") "}", 8,
        "tensors a and b overlap");
    assert_refused(
        "{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("a", "F32", "[1]", "[4,8]") "}", 8,
        "tensor a is given twice");
    assert_refused("{" TENSOR("a\\n", "F32", "1", "[0,4]") "}", 4, "no shape");
}

// Little text that would make a large tree or a large table.
static void test_dense_headers(void **state) {
    (void)state;
    char header[8192] = "{\"a\":[0";
    for (size_t n = strlen(header); n < 8000; n += 2) {
        memcpy(header + n, ",1", 3);
    }
    assert_refused(strcat(header, "]}"), 0, "far more items");
    strcpy(header, "{\"a\":0");
    for (size_t n = strlen(header); n < 340; n += 6) {
        memcpy(header + n, ",\"b\":1", 7);
    }
    assert_refused(strcat(header, "}"), 0, "more entries than");
}

static void test_truncation(void **state) {
    (void)state;
    static const float values[4] = {1, 2, 3, 4};
    struct ley_safetensors read;
    container_add(&container, "a", "F32", "[4]", values, 4);
    container_add(&container, "b", "BF16", "[2,2]", values, 4);
    container_finish(&container);
    for (size_t n = 0; n < container.n_file; n++) {
        uint8_t *part = malloc(n ? n : 1); // its end is guarded by the sanitizer
        memcpy(part, container.file, n);
        ASSERT_FAILS(ley_safetensors_read(&read, part, n, "t"), LEY_E_FORMAT, "truncated");
        free(part);
    }
    memset(container.file, 0xff, 8); // a length near 2^64
    ASSERT_FAILS(ley_safetensors_read(&read, container.file, container.n_file, "t"), LEY_E_FORMAT,
                 "truncated");
}

static struct ley_string string_of(const char *text) {
    return (struct ley_string){text, strlen(text)};
}

static void test_index(void **state) {
    (void)state;
    struct ley_shard_index index;
    ASSERT_OK(ley_shard_index_read(
        &index,
        string_of("{\"weight_map\":{\"c\":\"2.safetensors\",\"a\":\"1.safetensors\","
                  "\"b\":\"2.safetensors\"}}"),
        "i"));
    assert_int_equal(index.n_files, 2);
    assert_string_equal(index.file_name[0], "1.safetensors");
    assert_int_equal(ley_shard_index_find(&index, "a"), 0);
    assert_int_equal(ley_shard_index_find(&index, "b"), 1);
    assert_int_equal(ley_shard_index_find(&index, "c"), 1);
    assert_int_equal(ley_shard_index_find(&index, "d"), -1);
    ley_shard_index_destroy(&index);
    static const struct {
        const char *text, *part;
    } wrong[] = {
        {"{", "not a JSON object"},
        {"{}", "no weight_map"},
        {"{\"weight_map\":{}}", "names 0 files"},
        {"{\"weight_map\":{\"a\":1}}", "no plain file name"},
        {"{\"weight_map\":{\"a\":\"\"}}", "no plain file name"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "no plain file name"},
        {"{\"weight_map\":{\"a\":\"../b\"}}", "'../b', which is no plain file name"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "no plain file name"},
        {"{\"weight_map\":{\"a\":\"b\",\"a\":\"c\"}}", "tensor a is given twice"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ASSERT_FAILS(ley_shard_index_read(&index, string_of(wrong[i].text), "i"), LEY_E_FORMAT,
                     wrong[i].part);
        assert_null(index.entry);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_round_values, start),
        cmocka_unit_test_setup(test_other_formats, start),
        cmocka_unit_test_setup(test_lies, start),
        cmocka_unit_test_setup(test_dense_headers, start),
        cmocka_unit_test_setup(test_truncation, start),
        cmocka_unit_test(test_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
