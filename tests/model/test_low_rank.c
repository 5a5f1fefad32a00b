// test_low_rank.c - thin factors against matrices whose singular values are known
#include <math.h>
#include <omp.h>
#include <string.h>

#include "support/support.h"

enum { ROWS = 60, COLUMNS = 44, MOST_RANK = 80 };
static const double pi = 3.14159265358979323846;

// Vector i of an orthonormal basis of n (DCT-II), component j.
static double cosine(int i, int j, int n) {
    return sqrt((i == 0 ? 1.0 : 2.0) / n) * cos(pi * i * (j + 0.5) / n);
}

struct fixture {
    float matrix[ROWS * COLUMNS], a[MOST_RANK * COLUMNS], b[ROWS * MOST_RANK];
    struct ley_low_rank done;
};

// A matrix with these singular values, the others zero; signs and order are mixed.
static void make(struct fixture *f, const double *value, int n) {
    memset(f, 0, sizeof *f);
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLUMNS; j++) {
            double sum = 0;
            for (int k = 0; k < n; k++) {
                sum += value[k] * cosine((7 * k + 3) % ROWS, i, ROWS) *
                       cosine((5 * k + 1) % COLUMNS, j, COLUMNS);
            }
            f->matrix[i * COLUMNS + j] = (float)sum;
        }
    }
}

// Square of what b a misses.
static double missed(const struct fixture *f, int rank) {
    double sum = 0;
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLUMNS; j++) {
            double x = f->matrix[i * COLUMNS + j];
            for (int r = 0; r < rank; r++) {
                x -= (double)f->b[i * rank + r] * (double)f->a[r * COLUMNS + j];
            }
            sum += x * x;
        }
    }
    return sum;
}

static void factor(struct fixture *f, int rank) {
    assert_true(rank <= MOST_RANK);
    ASSERT_OK(ley_low_rank(&f->done, f->a, f->b, f->matrix, ROWS, COLUMNS, rank));
}

// Values that fall slowly, as those of trained changes do: the hard case.
static void test_keeps_the_largest(void **state) {
    (void)state;
    static struct fixture f;
    double value[COLUMNS], total = 0, kept = 0;
    const int rank = 8;
    for (int k = 0; k < COLUMNS; k++) {
        value[k] = 1 / (1 + k / 10.0);
        total += value[k] * value[k];
        kept += k < rank ? value[k] * value[k] : 0;
    }
    make(&f, value, COLUMNS);
    factor(&f, rank);
    assert_true(fabs(f.done.total - total) < 1e-5 * total);
    assert_true(f.done.kept <= kept * (1 + 1e-6) && f.done.kept > kept * (1 - 1e-3));
    assert_true(fabs(missed(&f, rank) - (f.done.total - f.done.kept)) < 1e-4 * total);
}

// Both factors have the root of each value: rows of a are as long as columns of b, longest first.
static void test_shares_and_order(void **state) {
    (void)state;
    static struct fixture f;
    const double value[3] = {0.5, 4, 2}, sorted[3] = {4, 2, 0.5};
    make(&f, value, 3);
    factor(&f, 3);
    for (int r = 0; r < 3; r++) {
        double a = 0, b = 0;
        for (int j = 0; j < COLUMNS; j++) {
            a += (double)f.a[r * COLUMNS + j] * (double)f.a[r * COLUMNS + j];
        }
        for (int i = 0; i < ROWS; i++) {
            b += (double)f.b[i * 3 + r] * (double)f.b[i * 3 + r];
        }
        assert_true(fabs(a - sorted[r]) < 1e-5 && fabs(b - sorted[r]) < 1e-5);
    }
    assert_true(missed(&f, 3) < 1e-10 * f.done.total);
}

// More ranks than the matrix has, or could have: zeros, and nothing is missed.
static void test_more_ranks_than_there_are(void **state) {
    (void)state;
    static struct fixture f;
    const double value[2] = {3, 1};
    make(&f, value, 2);
    factor(&f, MOST_RANK);
    assert_true(missed(&f, MOST_RANK) < 1e-10 * f.done.total);
    for (int j = 0; j < COLUMNS; j++) {
        assert_true(f.a[(MOST_RANK - 1) * COLUMNS + j] == 0);
    }
    memset(f.matrix, 0, sizeof f.matrix);
    factor(&f, 4);
    assert_true(f.done.total == 0 && f.done.kept == 0 && missed(&f, 4) == 0);
}

static void test_same_bits_for_any_threads(void **state) {
    (void)state;
    static struct fixture one, four;
    double value[COLUMNS];
    for (int k = 0; k < COLUMNS; k++) {
        value[k] = 1 + cos(k);
    }
    make(&one, value, COLUMNS);
    make(&four, value, COLUMNS);
    int n = omp_get_max_threads();
    omp_set_num_threads(1);
    factor(&one, 5);
    omp_set_num_threads(4);
    factor(&four, 5);
    omp_set_num_threads(n);
    assert_memory_equal(&one, &four, sizeof one);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_the_largest),
        cmocka_unit_test(test_shares_and_order),
        cmocka_unit_test(test_more_ranks_than_there_are),
        cmocka_unit_test(test_same_bits_for_any_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
