// test_convert.c - conversions there and back change nothing; narrower types change little
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/support.h"

// A path in the test's folder: valid until the next call with the same slot.
static const char *path_in(int slot, const char *name) {
    static char path[4][160];
    snprintf(path[slot], sizeof path[slot], "%s/%s", test_folder, name);
    return path[slot];
}

static const struct ley_block_type *type_of(const char *name) {
    return ley_block_type_named(name);
}

static void convert(const char *out, const char *in, const char *type, bool to_folder) {
    struct ley_model_file *file;
    struct ley_conversion done;
    struct ley_vocab vocab;
    ASSERT_OK(ley_model_file_open(&file, in));
    if (to_folder) {
        ASSERT_OK(ley_model_convert_folder(&done, out, file, type_of(type)));
    } else {
        bool has_vocab = ley_model_file_vocab(file, &vocab) == LEY_OK;
        ASSERT_OK(
            ley_model_convert_gguf(&done, out, file, type_of(type), has_vocab ? &vocab : NULL));
    }
    assert_true(done.n_tensors > 0 && done.n_bytes > 0);
    ley_model_file_close(file);
}

static float *read_whole(struct ley_model_file *file, enum ley_weight weight, int layer,
                         size_t *n) {
    struct ley_weight_source source = ley_model_file_source(file);
    struct ley_weight_info info = ley_weight_info(ley_model_file_config(file), weight);
    *n = (size_t)(info.n_rows * info.n_columns);
    float *values = ley_alloc(*n, sizeof *values);
    assert_non_null(values);
    ASSERT_OK(source.read(source.context, values, weight, layer, 0, info.n_rows));
    return values;
}

// Largest difference of a weight, relative to its largest value.
static double difference(struct ley_model_file *a, struct ley_model_file *b, enum ley_weight weight,
                         int layer) {
    size_t n, n_b;
    float *x = read_whole(a, weight, layer, &n), *y = read_whole(b, weight, layer, &n_b);
    double largest = 0, size = 1e-30;
    assert_int_equal(n, n_b);
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs((double)x[i] - (double)y[i]));
        size = fmax(size, fabs((double)x[i]));
    }
    ley_free(x);
    ley_free(y);
    return largest / size;
}

// All weights of two models agree within `tolerance` of the largest of each, and so do their
// shapes.
static void assert_same(const char *path_a, const char *path_b, double tolerance) {
    struct ley_model_file *a, *b;
    ASSERT_OK(ley_model_file_open(&a, path_a));
    ASSERT_OK(ley_model_file_open(&b, path_b));
    struct ley_model_config x = *ley_model_file_config(a), y = *ley_model_file_config(b);
    assert_true(x.family == y.family && x.activation == y.activation);
    assert_true(x.n_layers == y.n_layers && x.n_context == y.n_context && x.n_vocab == y.n_vocab);
    assert_true(x.rope_dim == y.rope_dim && x.rope_base == y.rope_base);
    assert_true((float)x.norm_eps == (float)y.norm_eps && x.rope_layout == y.rope_layout);
    struct ley_weight_source sa = ley_model_file_source(a), sb = ley_model_file_source(b);
    for (int w = 0; w < LEY_N_WEIGHTS; w++) {
        enum ley_weight weight = (enum ley_weight)w;
        int n_layers = ley_weight_info(&x, weight).is_per_layer ? x.n_layers : 1;
        for (int layer = 0; layer < n_layers; layer++) {
            assert_int_equal(sa.has(sa.context, weight, layer), sb.has(sb.context, weight, layer));
            if (sa.has(sa.context, weight, layer)) {
                assert_true(difference(a, b, weight, layer) <= tolerance);
            }
        }
    }
    ley_model_file_close(a);
    ley_model_file_close(b);
}

// GGUF -> folder -> GGUF, and the folder of that once more.
static void check_round_trip(const char *model) {
    const char *first = path_in(0, "1.gguf"), *second = path_in(1, "2.gguf");
    convert(first, model, "F32", false);
    assert_same(model, first, 0);
    convert(path_in(2, "hf"), first, "F32", true);
    convert(second, path_in(2, "hf"), "F32", false);
    assert_same(first, second, 0);
    convert(path_in(3, "hf2"), second, "F32", true);
    assert_same(path_in(2, "hf"), path_in(3, "hf2"), 0);
}

static void test_gpt2_round_trip(void **state) {
    (void)state;
    check_round_trip(source_path("tests/fuzz/corpus/gguf/gpt2_q8_0"));
}

static void test_llama_round_trip(void **state) {
    (void)state;
    check_round_trip(source_path("tests/fuzz/corpus/gguf/llama_q4_0"));
}

// A head's rows in GGUF order: first and second half of the folder's, one by one.
static void test_rows_are_reordered(void **state) {
    (void)state;
    struct ley_model_file *pairs, *halves;
    size_t n;
    convert(path_in(0, "p.gguf"), source_path("tests/fuzz/corpus/gguf/llama_q4_0"), "F32", false);
    convert(path_in(1, "h"), path_in(0, "p.gguf"), "F32", true);
    ASSERT_OK(ley_model_file_open(&pairs, path_in(0, "p.gguf")));
    ASSERT_OK(ley_model_file_open(&halves, path_in(1, "h")));
    float *p = read_whole(pairs, LEY_WEIGHT_ATTN_K, 0, &n);
    float *h = read_whole(halves, LEY_WEIGHT_ATTN_K, 0, &n);
    for (int head = 0; head < 2; head++) {
        for (int i = 0; i < 4; i++) {
            const float *p_row = p + (head * 8 + 2 * i) * 32, *h_row = h + (head * 8 + i) * 32;
            assert_memory_equal(p_row, h_row, 32 * sizeof(float));
            assert_memory_equal(p_row + 32, h_row + 4 * 32, 32 * sizeof(float));
        }
    }
    ley_free(p);
    ley_free(h);
    ley_model_file_close(pairs);
    ley_model_file_close(halves);
}

static void test_narrower_types(void **state) {
    (void)state;
    static const struct {
        const char *type;
        double tolerance; // half a unit of the last place; of Q8_0 also the rounded scale
    } types[] = {{"F16", 0x1p-11}, {"BF16", 0x1p-8}, {"Q8_0", 0.5 / 127 + 0x1p-11}};
    const char *model = source_path("tests/fuzz/corpus/gguf/llama_q4_0");
    for (int i = 0; i < 3; i++) {
        convert(path_in(0, "n.gguf"), model, types[i].type, false);
        assert_same(model, path_in(0, "n.gguf"), types[i].tolerance);
    }
}

// A real model of Hugging Face, as GGUF, and back.
static void test_tinystories_round_trip(void **state) {
    (void)state;
    const char *data = getenv("LEYDEN_DATA");
    char model[1024];
    struct stat info;
    snprintf(model, sizeof model, "%s/models/tinystories656K",
             data ? data : source_path("../shared/data"));
    if (stat(model, &info) != 0) {
        print_message("SKIPPED: no %s (set LEYDEN_DATA)\n", model);
        return;
    }
    convert(path_in(0, "t.gguf"), model, "F32", false);
    convert(path_in(1, "t"), path_in(0, "t.gguf"), "F32", true);
    assert_same(model, path_in(1, "t"), 0);
    struct ley_model_file *file, *back;
    struct ley_vocab a, b;
    ASSERT_OK(ley_model_file_open(&file, model));
    ASSERT_OK(ley_model_file_open(&back, path_in(0, "t.gguf")));
    ASSERT_OK(ley_model_file_vocab(file, &a));
    ASSERT_OK(ley_model_file_vocab(back, &b));
    assert_true(a.kind == b.kind && a.n_tokens == b.n_tokens && a.n_merges == b.n_merges);
    assert_true(a.bos == b.bos && a.eos == b.eos && a.unknown == b.unknown);
    assert_true(a.adds_bos == b.adds_bos && a.adds_space_prefix == b.adds_space_prefix);
    for (int32_t i = 0; i < a.n_tokens; i++) {
        assert_int_equal(a.token[i].n, b.token[i].n);
        assert_true(a.token[i].n == 0 || !memcmp(a.token[i].text, b.token[i].text, a.token[i].n));
        assert_int_equal(a.type ? a.type[i] : 1, b.type[i]);
    }
    ley_model_file_close(file);
    ley_model_file_close(back);
}

static void test_failures_leave_nothing(void **state) {
    (void)state;
    struct ley_model_file *file;
    struct ley_conversion done;
    struct stat info;
    ASSERT_OK(ley_model_file_open(&file, source_path("tests/fuzz/corpus/gguf/gpt2_q8_0")));
    ASSERT_FAILS(ley_model_convert_gguf(&done, "/nowhere/x.gguf", file, type_of("F32"), NULL),
                 LEY_E_IO, "cannot write");
    ASSERT_FAILS(ley_model_convert_folder(&done, path_in(0, "q"), file, type_of("Q8_0")),
                 LEY_E_ARGUMENT, "Q8_0");
    assert_int_not_equal(stat(path_in(0, "q"), &info), 0);
    ley_model_file_close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt2_round_trip),
        cmocka_unit_test(test_llama_round_trip),
        cmocka_unit_test(test_rows_are_reordered),
        cmocka_unit_test(test_narrower_types),
        cmocka_unit_test(test_tinystories_round_trip),
        cmocka_unit_test(test_failures_leave_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
