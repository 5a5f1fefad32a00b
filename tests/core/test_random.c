// test_random.c - Philox against the known answers of its authors; uniform numbers
#include "support/support.h"

// From kat_vectors of Random123 (philox4x32, 10 rounds): counter, key, result.
static void test_random_known_answers(void **state) {
    (void)state;
    static const struct {
        uint64_t seed, stream, index;
        uint32_t block[4];
    } known[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822u,
         0x0370734413198a2eu,
         0x85a308d3243f6a88u,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t block[4];
        ley_random_block(block, known[i].seed, known[i].stream, known[i].index);
        assert_memory_equal(block, known[i].block, sizeof block);
    }
}

static void test_random_uniform_moments(void **state) {
    (void)state;
    enum { N = 100000 };
    double sum = 0, square = 0;
    for (uint64_t i = 0; i < N; i++) {
        double u = ley_random_uniform(7, 1, i);
        assert_true(u >= 0 && u < 1);
        sum += u;
        square += u * u;
    }
    // five standard errors: sqrt(1/12/N) and sqrt(4/45/N)
    assert_true(sum / N > 0.5 - 0.0046 && sum / N < 0.5 + 0.0046);
    assert_true(square / N > 1.0 / 3 - 0.0048 && square / N < 1.0 / 3 + 0.0048);
}

static void test_random_words_matter(void **state) {
    (void)state;
    double u = ley_random_uniform(1, 2, 3);
    assert_true(u == ley_random_uniform(1, 2, 3));
    assert_true(u != ley_random_uniform(2, 2, 3));
    assert_true(u != ley_random_uniform(1, 3, 3));
    assert_true(u != ley_random_uniform(1, 2, 4));
}

static void test_random_order_is_a_permutation(void **state) {
    (void)state;
    for (uint64_t n = 1; n <= 300; n += n < 70 ? 1 : 46) {
        bool seen[300] = {false};
        uint64_t in_place = 0;
        for (uint64_t i = 0; i < n; i++) {
            uint64_t to = ley_random_permute(7, 8, i, n);
            assert_true(to < n && !seen[to]);
            seen[to] = true;
            in_place += to == i;
        }
        assert_true(n < 10 || in_place < 9); // one on average
    }
    assert_true(ley_random_permute(7, 8, 5, (uint64_t)1 << 62) < (uint64_t)1 << 62);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_known_answers),
        cmocka_unit_test(test_random_uniform_moments),
        cmocka_unit_test(test_random_words_matter),
        cmocka_unit_test(test_random_order_is_a_permutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
