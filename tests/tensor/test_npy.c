// test_npy.c - NumPy files: round trip, orders, and files that lie
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

enum { BUFFER = 4096 };

static size_t write_npy(char bytes[BUFFER], const struct ley_tensor *tensor) {
    FILE *file = fmemopen(bytes, BUFFER, "w");
    ley_npy_write(file, tensor);
    fflush(file);
    size_t n = (size_t)ftell(file);
    fclose(file);
    return n;
}

static size_t forge(char bytes[BUFFER], int major, const char *header, const void *data,
                    size_t n_data) {
    size_t n_header = strlen(header), n_fixed = major == 1 ? 10 : 12;
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (char)major;
    bytes[7] = 0;
    memset(bytes + 8, 0, 4);
    bytes[8] = (char)(n_header & 255);
    bytes[9] = (char)(n_header >> 8);
    memcpy(bytes + n_fixed, header, n_header);
    memcpy(bytes + n_fixed + n_header, data, n_data);
    return n_fixed + n_header + n_data;
}

static void test_round_trip(void **state) {
    (void)state;
    const enum ley_dtype dtypes[] = {LEY_F32, LEY_F64, LEY_I32};
    for (int i = 0; i < 3; i++) {
        struct ley_tensor tensor, back;
        ASSERT_OK(ley_tensor_create(&tensor, dtypes[i], 3, (const int64_t[]){2, 3, 5}));
        for (int64_t j = 0; j < 30; j++) {
            ley_tensor_put(&tensor, j, (double)j - 7);
        }
        char bytes[BUFFER];
        size_t n = write_npy(bytes, &tensor);
        assert_int_equal((n - 30 * ley_dtype_bytes(dtypes[i])) % 64, 0); // NumPy's alignment
        ASSERT_OK(ley_npy_read(&back, bytes, n, "x.npy"));
        assert_int_equal(back.dtype, dtypes[i]);
        assert_memory_equal(back.shape, tensor.shape, sizeof back.shape);
        assert_memory_equal(back.data, tensor.data, 30 * ley_dtype_bytes(dtypes[i]));
        ley_tensor_destroy(&tensor);
        ley_tensor_destroy(&back);
    }
}

static void test_fortran_order(void **state) {
    (void)state;
    const float columns[] = {1, 4, 2, 5, 3, 6}; // of {{1, 2, 3}, {4, 5, 6}}
    char bytes[BUFFER];
    size_t n = forge(bytes, 2, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n",
                     columns, sizeof columns);
    struct ley_tensor tensor;
    ASSERT_OK(ley_npy_read(&tensor, bytes, n, "x.npy"));
    for (int64_t i = 0; i < 6; i++) {
        assert_true(ley_tensor_get(&tensor, i) == (double)(i + 1));
    }
    ley_tensor_destroy(&tensor);
}

static void refuse(const char *header, size_t n_data, const char *part) {
    static const char data[64];
    char bytes[BUFFER];
    struct ley_tensor tensor;
    size_t n = forge(bytes, 1, header, data, n_data);
    ASSERT_FAILS(ley_npy_read(&tensor, bytes, n, "x.npy"), LEY_E_FORMAT, part);
    assert_null(tensor.data);
}

static void test_files_that_lie(void **state) {
    (void)state;
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", 15, "needs 16 bytes");
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", 20, "holds 20");
    refuse("{'descr': '>f4', 'fortran_order': False, 'shape': (4,), }", 16, "element type");
    refuse("{'descr': '<f4', 'shape': (4,), }", 16, "fortran_order");
    refuse("{'descr': '<f4', 'fortran_order': False, }", 16, "lacks a shape");
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }", 16, "no sense");
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (4", 16, "no sense");
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,4), }", 16, "8 dim");
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1099511627776), }", 0,
           "larger than memory");
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 0,
           "sense");
    struct ley_tensor tensor;
    ASSERT_FAILS(ley_npy_read(&tensor, "hello world", 11, "x.npy"), LEY_E_FORMAT, "not a .npy");
    ASSERT_FAILS(ley_npy_read(&tensor, "\x93NUMPY\x09\x00\x10\x00", 10, "x.npy"), LEY_E_FORMAT,
                 "version");
    ASSERT_FAILS(ley_npy_read(&tensor, "\x93NUMPY\x01\x00\xff\x00", 10, "x.npy"), LEY_E_FORMAT,
                 "truncated");
    ASSERT_FAILS(ley_npy_load(&tensor, "/nowhere.npy"), LEY_E_IO, "cannot open /nowhere.npy");
}

// Every prefix of a valid file is refused, none crashes.
static void test_truncation(void **state) {
    (void)state;
    struct ley_tensor tensor, back;
    ASSERT_OK(ley_tensor_create(&tensor, LEY_F64, 2, (const int64_t[]){2, 2}));
    char bytes[BUFFER];
    size_t n = write_npy(bytes, &tensor);
    for (size_t cut = 0; cut < n; cut++) {
        char *exact = malloc(cut + 1); // its own block, so that sanitizers see any overrun
        memcpy(exact, bytes, cut);
        assert_int_equal(ley_npy_read(&back, exact, cut, "x.npy"), LEY_E_FORMAT);
        free(exact);
    }
    ley_tensor_destroy(&tensor);
}

static void test_not_finite(void **state) {
    (void)state;
    struct ley_tensor tensor;
    ASSERT_OK(ley_tensor_create(&tensor, LEY_F32, 1, (const int64_t[]){3}));
    ASSERT_OK(ley_tensor_check_finite(&tensor, "q"));
    ley_tensor_put(&tensor, 1, NAN);
    ASSERT_FAILS(ley_tensor_check_finite(&tensor, "q"), LEY_E_FORMAT, "q holds NaN at element 1");
    ley_tensor_put(&tensor, 1, -INFINITY);
    ASSERT_FAILS(ley_tensor_check_finite(&tensor, "q"), LEY_E_FORMAT, "infinity");
    ley_tensor_destroy(&tensor);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_fortran_order),
        cmocka_unit_test(test_files_that_lie), cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
