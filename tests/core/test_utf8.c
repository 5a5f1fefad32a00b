// test_utf8.c - valid, invalid and unfinished characters
#include <string.h>

#include "support/support.h"

static void test_utf8_round_trip(void **state) {
    (void)state;
    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        char text[4];
        size_t n = ley_utf8_encode(text, point);
        bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
        assert_int_equal(ley_utf8_length(text, n), is_surrogate ? 0 : n);
        assert_int_equal(ley_utf8_length(text, n - 1), 0);
        if (!is_surrogate) {
            assert_int_equal(ley_utf8_decode(text, n), point);
        }
    }
}

static void test_utf8_invalid(void **state) {
    (void)state;
    static const char *const wrong[] = {"\x80",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xe0\x9f\xbf",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "\xff",
                                        "\xe2\x82x",
                                        "\xc3\x28"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(ley_utf8_length(wrong[i], strlen(wrong[i])), 0);
    }
}

// Fed byte by byte, whole characters come out, and all bytes in the end.
static void check_hold(const char *text, size_t n) {
    struct ley_utf8_hold hold = {.n = 0};
    char out[64], piece[8];
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++) {
        size_t n_piece = ley_utf8_hold_write(piece, &hold, text + i, 1);
        memcpy(out + n_out, piece, n_piece);
        n_out += n_piece;
        assert_true(hold.n < 4);
    }
    memcpy(out + n_out, hold.byte, hold.n);
    assert_int_equal(n_out + hold.n, n);
    assert_memory_equal(out, text, n);
}

static void test_utf8_hold(void **state) {
    (void)state;
    struct ley_utf8_hold hold = {.n = 0};
    char out[16];
    assert_int_equal(ley_utf8_hold_write(out, &hold, "a\xf0\x9f\x98", 4), 1);
    assert_int_equal(hold.n, 3);
    assert_int_equal(ley_utf8_hold_write(out, &hold, "\x80!", 2), 5);
    assert_memory_equal(out, "\xf0\x9f\x98\x80!", 5);
    check_hold("h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z", 12);
    check_hold("\xf0\x9fx\x80\xc3", 5);
    check_hold("\xe2\x82", 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_round_trip),
        cmocka_unit_test(test_utf8_invalid),
        cmocka_unit_test(test_utf8_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
