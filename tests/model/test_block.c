// test_block.c - decoding and encoding the number formats of GGUF, bit for bit
//
// Goldens: tests/golden/block, made by tools/make_block_goldens.py with the gguf package.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/block.h"
#include "support/support.h"

enum { N_WEIGHTS = 1024, MAX_BYTES = 1 << 16 };

// A golden file of at least n_bytes (ley_free it).
static char *golden(const char *name, const char *suffix, size_t n_bytes) {
    char path[128], *bytes;
    size_t n;
    snprintf(path, sizeof path, "tests/golden/block/%s.%s", name, suffix);
    ASSERT_OK(ley_file_read(&bytes, &n, source_path(path), MAX_BYTES));
    assert_int_equal(n, n_bytes);
    return bytes;
}

static size_t bytes_of(const struct ley_block_type *type) {
    return (size_t)(N_WEIGHTS / type->n_weights * type->n_bytes);
}

static void test_decode_equals_golden(void **state) {
    (void)state;
    static const char *const names[] = {"F16",  "BF16", "Q8_0", "Q4_0", "Q4_1",
                                        "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct ley_block_type *type = ley_block_type_named(names[i]);
        assert_non_null(type);
        assert_ptr_equal(type, ley_block_type(type->id));
        char *blocks = golden(names[i], "blocks", bytes_of(type));
        char *want = golden(names[i], "f32", N_WEIGHTS * sizeof(float));
        float got[N_WEIGHTS];
        ley_blocks_decode(got, type, (const uint8_t *)blocks, N_WEIGHTS / type->n_weights);
        if (memcmp(got, want, sizeof got) != 0) {
            fail_msg("%s decodes to other bits", names[i]);
        }
        ley_free(blocks);
        ley_free(want);
    }
}

static void test_encode_equals_golden(void **state) {
    (void)state;
    static const char *const names[] = {"F16", "BF16", "Q8_0"};
    char *in = golden("encode", "f32", N_WEIGHTS * sizeof(float));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct ley_block_type *type = ley_block_type_named(names[i]);
        char *want = golden("encode", names[i], bytes_of(type));
        uint8_t got[N_WEIGHTS * 4];
        ley_blocks_encode(got, type, (const float *)in, N_WEIGHTS / type->n_weights);
        if (memcmp(got, want, bytes_of(type)) != 0) {
            fail_msg("%s encodes to other bytes", names[i]);
        }
        ley_free(want);
    }
    ley_free(in);
}

// All 65,536 halves: their value by definition, and back again.
static void test_half_exhaustive(void **state) {
    (void)state;
    for (int bits = 0; bits < 65536; bits++) {
        int exponent = bits >> 10 & 31, fraction = bits & 1023;
        float x = ley_half_to_float((uint16_t)bits);
        if (exponent == 31) {
            assert_true(fraction ? isnan(x) : isinf(x));
        } else {
            double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
            assert_true((double)x == (bits & 0x8000 ? -size : size));
        }
        assert_true(isnan(x) || ley_half_from_float(x) == bits);
    }
    assert_true(isnan(ley_half_to_float(ley_half_from_float(NAN))));
    assert_int_equal(ley_half_from_float(-INFINITY), 0xfc00);
}

static void test_f32_round_trip(void **state) {
    (void)state;
    const float in[3] = {1.5f, -0.0f, 3e38f};
    uint8_t bytes[sizeof in];
    float out[3];
    ley_blocks_encode(bytes, ley_block_type(LEY_BLOCK_F32), in, 3);
    ley_blocks_decode(out, ley_block_type(LEY_BLOCK_F32), bytes, 3);
    assert_memory_equal(in, out, sizeof in);
}

static void test_unknown_formats(void **state) {
    (void)state;
    assert_null(ley_block_type(4));
    assert_null(ley_block_type(0xffffffff));
    assert_null(ley_block_type_named("Q3_K"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_equals_golden), cmocka_unit_test(test_encode_equals_golden),
        cmocka_unit_test(test_half_exhaustive),      cmocka_unit_test(test_f32_round_trip),
        cmocka_unit_test(test_unknown_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
