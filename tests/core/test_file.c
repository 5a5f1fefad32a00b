// test_file.c - all-or-nothing output, limits on input
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/support.h"

static void path_in(char out[128], const char *name) {
    snprintf(out, 128, "%s/%s", test_folder, name);
}

static void test_outdir_commit(void **state) {
    (void)state;
    char results[128], file_path[160];
    path_in(results, "new");
    struct ley_outdir *outdir;
    FILE *file;
    ASSERT_OK(ley_outdir_create(&outdir, results));
    ASSERT_OK(ley_outdir_open(&file, outdir, "a.txt"));
    fputs("hello", file);
    ASSERT_OK(ley_outdir_close(outdir, file));
    snprintf(file_path, sizeof file_path, "%s/a.txt", results);
    assert_false(ley_file_exists(file_path)); // nothing has its name before the commit
    ASSERT_OK(ley_outdir_commit(outdir));
    ley_outdir_destroy(outdir);
    char *text;
    size_t n;
    ASSERT_OK(ley_file_read(&text, &n, file_path, 100));
    assert_int_equal(n, 5);
    assert_string_equal(text, "hello");
    ley_free(text);
}

static void test_outdir_abort_leaves_nothing(void **state) {
    (void)state;
    char results[128];
    path_in(results, "aborted");
    struct ley_outdir *outdir;
    FILE *file;
    ASSERT_OK(ley_outdir_create(&outdir, results));
    ASSERT_OK(ley_outdir_open(&file, outdir, "a.txt"));
    ASSERT_OK(ley_outdir_close(outdir, file));
    ley_outdir_destroy(outdir);
    assert_int_equal(access(results, F_OK), -1);
}

static void test_file_errors(void **state) {
    (void)state;
    char path[128], *text;
    size_t n;
    path_in(path, "missing");
    ASSERT_FAILS(ley_file_read(&text, &n, path, 10), LEY_E_IO, "No such file");
    ASSERT_FAILS(ley_file_read(&text, &n, test_folder, 10), LEY_E_IO, "not a regular file");
    ASSERT_OK(ley_file_write(path, "0123456789", 10));
    ASSERT_FAILS(ley_file_read(&text, &n, path, 9), LEY_E_FORMAT, "at most 9");
    struct ley_outdir *outdir;
    ASSERT_FAILS(ley_outdir_create(&outdir, path), LEY_E_IO, "not a folder");
    ASSERT_FAILS(ley_outdir_create(&outdir, "/nowhere/at/all"), LEY_E_IO, "cannot make folder");
    ASSERT_FAILS(ley_file_write("/nowhere/file", "", 0), LEY_E_IO, "cannot write");
}

static void test_error_text_is_one_line(void **state) {
    (void)state;
    ASSERT_FAILS(ley_fail(LEY_E_IO, "cannot open a\nb\tc"), LEY_E_IO, "a?b?c");
    ASSERT_FAILS(ley_fail_within(LEY_E_IO, "file x"), LEY_E_IO, "file x: cannot open");
    assert_string_equal(ley_status_text(LEY_OK), "success");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outdir_commit),
        cmocka_unit_test(test_outdir_abort_leaves_nothing),
        cmocka_unit_test(test_file_errors),
        cmocka_unit_test(test_error_text_is_one_line),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
