// test_model_file_fault.c - model files when memory runs out at every allocation in turn, and how
// much memory opening one takes at most
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/counting_alloc.h"
#include "support/support.h"

static const char *seed(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "tests/fuzz/corpus/gguf/%s", name);
    return source_path(path);
}

static enum ley_status use_file(struct ley_model_file *file) {
    char gguf[128], hf[128];
    struct ley_conversion done;
    struct ley_vocab vocab;
    struct ley_scaler_set set = {0};
    bool has_scalers;
    const struct ley_block_type *type = ley_block_type(LEY_BLOCK_F16);
    snprintf(gguf, sizeof gguf, "%s/x.gguf", test_folder);
    snprintf(hf, sizeof hf, "%s/x", test_folder);
    LEY_TRY(ley_model_file_vocab(file, &vocab));
    LEY_TRY(ley_model_file_scalers(file, &set, &has_scalers));
    enum ley_status status = LEY_OK;
    if (has_scalers) {
        status = ley_model_file_save_scalers(gguf, file, &set, "", "matched");
        ley_scaler_set_destroy(&set);
    }
    LEY_TRY(status);
    LEY_TRY(ley_model_convert_gguf(&done, gguf, file, type, &vocab));
    return ley_model_convert_folder(&done, hf, file, type);
}

// A GGUF model and, once it was written, a folder: opened, converted, closed.
static enum ley_status run_everything(const char *path) {
    struct ley_model_file *file;
    LEY_TRY(ley_model_file_open(&file, path));
    enum ley_status status = use_file(file);
    ley_model_file_close(file);
    if (status == LEY_OK) {
        char hf[128], gguf[128];
        struct ley_conversion done;
        snprintf(hf, sizeof hf, "%s/x", test_folder);
        snprintf(gguf, sizeof gguf, "%s/y.gguf", test_folder);
        LEY_TRY(ley_model_file_open(&file, hf));
        status = ley_model_convert_gguf(&done, gguf, file, ley_block_type(LEY_BLOCK_F32), NULL);
        ley_model_file_close(file);
    }
    return status;
}

static void fail_everywhere(const char *path) {
    counting_reset(0, false);
    ASSERT_OK(run_everything(path));
    assert_int_equal(counting.n_live, 0);
    int64_t n = counting.n_calls;
    assert_true(n > 20); // the library really calls this ley_alloc
    for (int64_t i = 1; i <= n; i++) {
        counting_reset(i, false);
        ASSERT_FAILS(run_everything(path), LEY_E_MEMORY, "out of memory");
        assert_int_equal(counting.n_live, 0);
    }
    counting_reset(0, false);
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    fail_everywhere(seed("llama_scalers"));
    fail_everywhere(seed("gpt2_q8_0"));
}

// Opening a file, with its vocabulary, asks for less than eight times its size.
static void test_memory_is_bounded(void **state) {
    (void)state;
    static const char *const names[] = {"llama_scalers", "gpt2_q8_0", "llama_q4_0"};
    for (int i = 0; i < 3; i++) {
        struct ley_model_file *file;
        struct ley_vocab vocab;
        struct stat info;
        assert_int_equal(stat(seed(names[i]), &info), 0);
        counting_reset(0, false);
        ASSERT_OK(ley_model_file_open(&file, seed(names[i])));
        ASSERT_OK(ley_model_file_vocab(file, &vocab));
        assert_true(counting.n_bytes > 0 && counting.n_bytes < 8 * (size_t)info.st_size);
        ley_model_file_close(file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
