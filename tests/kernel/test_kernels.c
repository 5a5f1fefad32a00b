// test_kernels.c - every kernel of every instruction set against the scalar one, bit for bit
//
// Random shapes with tails, buffers with guards; AMX is run where the machine has it and otherwise
// by an emulation of its instructions (amx_emulated.c).
#include <math.h>
#include <string.h>

#include "support/support.h"

// dot_amx.c on emulated tiles (amx_emulated.c).
void ley_dot_amx_emulated(const struct ley_dot *dot);

enum { GUARD = 0x5a, N_GUARD = 64 };

static uint64_t draw(uint64_t seed, uint64_t index, uint64_t n) {
    return (uint64_t)random_between(seed, index, 0, (double)n);
}

static void fill_bytes(uint8_t *x, size_t n, uint64_t seed, uint64_t limit) {
    for (size_t i = 0; i < n; i++) {
        x[i] = (uint8_t)draw(seed, i, limit);
    }
}

static void fill_floats(float *x, size_t n, uint64_t seed, double low, double high) {
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)random_between(seed, i, low, high);
    }
}

static void *guarded(size_t n_bytes) {
    uint8_t *x = ley_alloc(n_bytes + N_GUARD, 1);
    assert_non_null(x);
    memset(x + n_bytes, GUARD, N_GUARD);
    return x;
}

static void check_guard(const void *x, size_t n_bytes) {
    const uint8_t *guard = (const uint8_t *)x + n_bytes;
    for (int i = 0; i < N_GUARD; i++) {
        assert_int_equal(guard[i], GUARD);
    }
}

// Tables that this machine has, above scalar.
static int tables(const struct ley_kernels *table[LEY_N_ISAS]) {
    int n = 0;
    for (int isa = LEY_ISA_AVX2; isa < LEY_N_ISAS; isa++) {
        table[n] = ley_kernels_get((enum ley_isa)isa);
        n += table[n] != NULL;
    }
    return n;
}

static void test_which(void **state) {
    (void)state;
    for (int isa = 0; isa < LEY_N_ISAS; isa++) {
        enum ley_isa found;
        const char *name = ley_isa_name((enum ley_isa)isa);
        assert_true(ley_isa_find(&found, name) && (int)found == isa);
        print_message("%s: %s\n", name,
                      ley_kernels_get((enum ley_isa)isa) ? "this machine" : "not on this machine");
        assert_true((int)ley_kernels_best((enum ley_isa)isa)->isa <= isa);
    }
    enum ley_isa none;
    assert_false(ley_isa_find(&none, "sse9"));
    assert_int_equal(ley_kernels_get(LEY_ISA_SCALAR)->isa, LEY_ISA_SCALAR);
}

static void check_dot(uint64_t seed, struct ley_dot dot) {
    size_t depth = 4 * (size_t)dot.n_groups, n_columns = (size_t)dot.n_columns;
    size_t n_a = (size_t)dot.n_terms * (size_t)dot.n_rows * depth, n_code = depth * n_columns;
    size_t n_c = (size_t)dot.n_rows * n_columns * sizeof(int32_t);
    uint8_t *a = ley_alloc(n_a, 1), *code = ley_alloc(n_code, 1);
    int8_t lookup[LEY_LEVELS][LEY_LEVELS];
    int32_t *want = guarded(n_c), *got = guarded(n_c);
    for (int i = 0; i < LEY_LEVELS * LEY_LEVELS; i++) {
        lookup[i / LEY_LEVELS][i % LEY_LEVELS] =
            (int8_t)((int)draw(seed + 1, (uint64_t)i, 2 * (uint64_t)dot.most_lookup + 1) -
                     dot.most_lookup);
    }
    fill_bytes(a, n_a, seed + 2, (uint64_t)dot.most_a + 1);
    fill_bytes(code, n_code, seed + 3, LEY_LEVELS);
    dot.a = a;
    dot.a_row = (int64_t)depth;
    dot.a_term = dot.n_rows * (int64_t)depth;
    dot.code = code;
    dot.lookup = (const int8_t(*)[LEY_LEVELS])lookup;
    dot.c_row = dot.n_columns;
    dot.work = ley_alloc(n_code, (size_t)dot.n_terms);
    fill_bytes((uint8_t *)want, n_c, seed + 4, 3);
    memcpy(got, want, n_c);
    dot.c = want;
    ley_kernels_get(LEY_ISA_SCALAR)->dot(&dot);
    dot.c = got;
    const struct ley_kernels *table[LEY_N_ISAS];
    int32_t *first = ley_alloc(n_c, 1);
    fill_bytes((uint8_t *)first, n_c, seed + 4, 3);
    for (int i = 0, n = tables(table); i < n; i++) {
        memcpy(got, first, n_c);
        table[i]->dot(&dot);
        assert_memory_equal(got, want, n_c);
        check_guard(got, n_c);
    }
#ifdef LEY_VECTORS
    if (ley_kernels_get(LEY_ISA_AVX512)) {
        memcpy(got, first, n_c);
        ley_dot_amx_emulated(&dot);
        assert_memory_equal(got, want, n_c);
        check_guard(got, n_c);
    }
#endif
    ley_free(first);
    ley_free(a);
    ley_free(code);
    ley_free(dot.work);
    ley_free(want);
    ley_free(got);
}

static void test_dot(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        bool fills_tiles = seed % 2 == 0; // shapes that AMX takes, and others
        check_dot(seed * 10, (struct ley_dot){
                                 .n_rows = fills_tiles ? 16 * (int)(1 + draw(seed, 1, 4))
                                                       : (int)(1 + draw(seed, 1, 40)),
                                 .n_columns = fills_tiles ? 32 * (int)(1 + draw(seed, 2, 4))
                                                          : 16 * (int)(1 + draw(seed, 2, 9)),
                                 .n_groups = fills_tiles ? 16 * (int)(1 + draw(seed, 3, 3))
                                                         : (int)(1 + draw(seed, 3, 40)),
                                 .n_terms = (int)(1 + draw(seed, 4, 5)),
                                 .most_a = seed % 3 == 0 ? 15 : 255,
                                 .most_lookup = seed % 3 == 1 ? 64 : 7,
                                 .adds = seed % 5 < 2,
                             });
    }
}

// The largest sums that fit: bytes of 255 and values of 64 would saturate 16 bits at once.
static void test_dot_does_not_saturate(void **state) {
    (void)state;
    enum { N = 32 };
    uint8_t a[4 * 16], code[4 * 16 * N];
    int8_t lookup[1][LEY_LEVELS], work[sizeof code];
    int32_t c[N];
    memset(a, 255, sizeof a);
    memset(code, 3, sizeof code);
    memset(lookup, 64, sizeof lookup);
    const struct ley_dot dot = {
        1, N, 16,    1,   255, 64, a, 64, 0, code, (const int8_t(*)[LEY_LEVELS])lookup,
        c, N, false, work};
    for (int isa = 0; isa < LEY_N_ISAS; isa++) {
        if (ley_kernels_get((enum ley_isa)isa)) {
            ley_kernels_get((enum ley_isa)isa)->dot(&dot);
            for (int i = 0; i < N; i++) {
                assert_int_equal(c[i], 64 * 255 * 64);
            }
        }
    }
}

// Everything that the score kernel writes.
struct score_results {
    float *s, *phi;
    uint8_t *plane;
    int32_t constant[64], *column;
    struct ley_score_tally tally;
    int64_t magnitude;
};

static struct score_results run_score(const struct ley_kernels *kernels, struct ley_score score,
                                      bool counts) {
    size_t n = (size_t)score.n_rows * (size_t)score.n_columns;
    size_t n_terms = (size_t)score.n_terms, n_columns = (size_t)score.n_columns;
    struct score_results r = {.s = guarded(n * 4),
                              .phi = guarded(n * 4),
                              .plane = guarded(2 * n * n_terms),
                              .column = guarded((1 + n_terms) * n_columns * 4)};
    score.s = r.s;
    score.phi = r.phi;
    score.plane = r.plane;
    score.constant_weight = r.constant;
    score.column_weight = counts ? r.column : NULL;
    score.tally = counts ? &r.tally : NULL;
    kernels->score(&score);
    const struct ley_magnitude magnitude = {
        score.n_rows,      score.n_columns,        score.n_terms,
        score.x,           score.x_term,           score.row_sum,
        score.coefficient, score.coefficient_term, score.coefficient_row};
    r.magnitude = kernels->magnitude(&magnitude);
    check_guard(r.s, n * 4);
    check_guard(r.phi, n * 4);
    check_guard(r.plane, 2 * n * n_terms);
    check_guard(r.column, (1 + n_terms) * n_columns * 4);
    return r;
}

static void free_results(struct score_results *r) {
    ley_free(r->s);
    ley_free(r->phi);
    ley_free(r->plane);
    ley_free(r->column);
}

static void check_score(uint64_t seed, int n_rows, int n_columns, int n_terms) {
    size_t n = (size_t)n_rows * (size_t)n_columns;
    int64_t term = n_columns + 64;
    int32_t *x = ley_alloc(n * (size_t)n_terms, 4);
    float *sum = ley_alloc((size_t)n_rows, 4);
    float *k = ley_alloc((size_t)((n_terms + 1) * term), 4);
    for (size_t i = 0; i < n * (size_t)n_terms; i++) {
        x[i] = (int32_t)random_between(seed, i, -2000, 2000);
    }
    fill_floats(sum, (size_t)n_rows, seed + 1, 0, 900);
    fill_floats(k, (size_t)((n_terms + 1) * term), seed + 2, 0, 1e-3);
    for (int64_t i = 0; i < (n_terms + 1) * term; i += 7) {
        k[i] = 0; // gated
    }
    const struct ley_score score = {
        .n_rows = n_rows,
        .n_columns = n_columns,
        .n_terms = n_terms,
        .x = x,
        .x_term = (int64_t)n,
        .row_sum = sum,
        .coefficient = k + 40,
        .coefficient_term = term,
        .coefficient_row = -1,
        .weight_scale = 6.5e7f,
    };
    for (int counts = 0; counts < 2; counts++) {
        struct score_results want = run_score(ley_kernels_get(LEY_ISA_SCALAR), score, counts);
        const struct ley_kernels *table[LEY_N_ISAS];
        for (int i = 0, n_tables = tables(table); i < n_tables; i++) {
            struct score_results got = run_score(table[i], score, counts);
            assert_memory_equal(got.s, want.s, n * 4);
            assert_memory_equal(got.phi, want.phi, n * 4);
            assert_memory_equal(got.plane, want.plane, 2 * n * (size_t)n_terms);
            assert_memory_equal(got.constant, want.constant, sizeof want.constant);
            assert_memory_equal(got.column, want.column, (size_t)((1 + n_terms) * n_columns) * 4);
            assert_memory_equal(&got.tally, &want.tally, sizeof want.tally);
            assert_int_equal(got.magnitude, want.magnitude);
            free_results(&got);
        }
        free_results(&want);
    }
    ley_free(x);
    ley_free(sum);
    ley_free(k);
}

static void test_score(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        check_score(seed, (int)(1 + draw(seed, 1, 16)), 16 * (int)(1 + draw(seed, 2, 8)),
                    (int)(1 + draw(seed, 3, 8)));
    }
}

static void check_count(uint64_t seed, int n_rows, int n_columns, float half) {
    enum { ROW = 96 };
    int32_t plane[2 * 16 * ROW], constant[16], code[2][16 * ROW];
    float x[2][16 * ROW], sum[2][16 * ROW];
    for (int i = 0; i < 2 * 16 * ROW; i++) {
        plane[i] = (int32_t)random_between(seed, (uint64_t)i, -30000, 30000);
    }
    for (int r = 0; r < 16; r++) {
        constant[r] = (int32_t)random_between(seed + 1, (uint64_t)r, -1e5, 1e5);
    }
    struct ley_count_tally tally[2] = {{0}};
    struct ley_count count = {n_rows, n_columns, ROW,  plane,   constant, 3e-7f,
                              half,   16,        x[0], code[0], sum[0],   &tally[0]};
    memset(sum, 0, sizeof sum);
    memset(x, 0, sizeof x);
    memset(code, 0, sizeof code);
    ley_kernels_get(LEY_ISA_SCALAR)->count(&count);
    assert_true(tally[0].y_sum > 0);
    const struct ley_kernels *table[LEY_N_ISAS];
    for (int i = 0, n = tables(table); i < n; i++) {
        memset(sum[1], 0, sizeof sum[1]);
        tally[1] = (struct ley_count_tally){0};
        count.x = x[1];
        count.code = code[1];
        count.sum = sum[1];
        count.tally = &tally[1];
        table[i]->count(&count);
        assert_memory_equal(x[0], x[1], sizeof x[0]);
        assert_memory_equal(code[0], code[1], sizeof code[0]);
        assert_memory_equal(sum[0], sum[1], sizeof sum[0]);
        assert_memory_equal(&tally[0], &tally[1], sizeof tally[0]);
    }
}

static void test_count(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        check_count(seed, (int)(1 + draw(seed, 1, 16)), (int)(1 + draw(seed, 2, 96)),
                    seed % 3 == 0   ? 0
                    : seed % 3 == 1 ? 15.5f
                                    : 7);
    }
}

static void test_encode(void **state) {
    (void)state;
    enum { N = 200 };
    double x[N];
    fill_random(x, N, 3, -1.5, 1.5);
    for (int i = 0; i < 40; i++) {
        x[i] = (i - 20) * 0.9 / 14; // ties
    }
    float rounded[N];
    for (int i = 0; i < N; i++) {
        rounded[i] = (float)x[i];
        x[i] = (double)rounded[i];
    }
    for (int n = 1; n <= N; n += 13) {
        uint8_t want[N] = {0}, got[N] = {0};
        struct ley_encode encode = {n, x, NULL, 0.9, 0.45, 0.9, 0.9 / 7, want};
        ley_kernels_get(LEY_ISA_SCALAR)->encode(&encode);
        const struct ley_kernels *table[LEY_N_ISAS];
        for (int i = 0, n_tables = tables(table); i < n_tables; i++) {
            encode.code = got;
            table[i]->encode(&encode);
            assert_memory_equal(got, want, sizeof got);
            memset(got, 0, sizeof got);
            encode.f64 = NULL;
            encode.f32 = rounded;
            table[i]->encode(&encode);
            encode.f64 = x;
            assert_memory_equal(got, want, sizeof got);
        }
    }
}

static void test_powers(void **state) {
    (void)state;
    enum { N = 72 };
    uint8_t in[N], out[N];
    double want[5 * N], got[5 * N], first[4 * N];
    fill_bytes(in, N, 1, 8);
    fill_bytes(out, N, 2, 8);
    fill_random(first, 4 * N, 3, -500, 500);
    struct ley_powers powers = {
        .n = N,
        .top = 7,
        .keep = {1, 0.9, 0.81, 0.729},
        .gone = {1, 0.5, 0.25, 0.125},
        .factor = {0.5e-6, 0.9e-6, -1e-8, 1e-8},
        .in = in,
    };
    const struct ley_kernels *table[LEY_N_ISAS];
    for (int i = 0, n = tables(table); i < 2 * n; i++) {
        powers.out = i < n ? NULL : out;
        memcpy(want, first, sizeof first);
        memcpy(got, first, sizeof first);
        powers.sum = want;
        powers.weighted = want + 4 * N;
        ley_kernels_get(LEY_ISA_SCALAR)->powers(&powers);
        powers.sum = got;
        powers.weighted = got + 4 * N;
        table[i % n]->powers(&powers);
        assert_memory_equal(got, want, sizeof want);
        const struct ley_weigh_pulses weigh = {N, in, want + 4 * N};
        double a = ley_kernels_get(LEY_ISA_SCALAR)->weigh_pulses(&weigh);
        double b = table[i % n]->weigh_pulses(&weigh);
        assert_memory_equal(&a, &b, sizeof a);
    }
}

static void check_product(uint64_t seed, int n_rows, int n_columns, int depth) {
    size_t n_a = (size_t)(n_rows * depth), n_b = (size_t)(depth * n_columns);
    size_t n_c = (size_t)(n_rows * n_columns);
    float *a = ley_alloc(n_a, 4), *b = ley_alloc(n_b, 4);
    float *want = guarded(n_c * 4), *got = guarded(n_c * 4);
    fill_floats(a, n_a, seed, -1, 1);
    fill_floats(b, n_b, seed + 1, -1, 1);
    struct ley_product product = {
        n_rows, n_columns, depth, a,        seed % 2 ? depth : 1, seed % 2 ? 1 : n_rows,
        b,      n_columns, want,  n_columns};
    fill_floats(want, n_c, seed + 2, -1, 1);
    ley_kernels_get(LEY_ISA_SCALAR)->product(&product);
    product.c = got;
    const struct ley_kernels *table[LEY_N_ISAS];
    for (int i = 0, n = tables(table); i < n; i++) {
        fill_floats(got, n_c, seed + 2, -1, 1);
        table[i]->product(&product);
        assert_memory_equal(got, want, n_c * 4);
        check_guard(got, n_c * 4);
    }
    ley_free(a);
    ley_free(b);
    ley_free(want);
    ley_free(got);
}

static void test_product(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        check_product(seed, (int)(1 + draw(seed, 1, 20)), 16 * (int)(1 + draw(seed, 2, 6)),
                      (int)(1 + draw(seed, 3, 70)));
    }
}

static void test_turn(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        int n_rows = (int)(1 + draw(seed, 1, 70)), n_columns = (int)(1 + draw(seed, 2, 70));
        size_t n = (size_t)(n_rows * n_columns);
        float *in = ley_alloc(n, 4), *out = guarded(n * 4);
        fill_floats(in, n, seed, -1, 1);
        const struct ley_turn turn = {n_rows, n_columns, in, n_columns, out, n_rows};
        for (int isa = 0; isa < LEY_N_ISAS; isa++) {
            memset(out, 0, n * 4);
            ley_kernels_best((enum ley_isa)isa)->turn(&turn);
            for (int r = 0; r < n_rows; r++) {
                for (int c = 0; c < n_columns; c++) {
                    assert_true(out[c * n_rows + r] == in[r * n_columns + c]);
                }
            }
            check_guard(out, n * 4);
        }
        ley_free(in);
        ley_free(out);
    }
}

enum { PAIR_ROWS = 5, PAIR_COLUMNS = 48, PAIR_WIDTH = 64, N_PAIRS = PAIR_ROWS * PAIR_COLUMNS };

// What comes out: dq, du and dw.
struct pair_result {
    float dq[PAIR_ROWS * PAIR_WIDTH], du[PAIR_COLUMNS * PAIR_WIDTH], dw[PAIR_COLUMNS * PAIR_WIDTH];
};

static struct ley_pair_gradient pair_inputs(float *data, int width) {
    enum { ROWS = PAIR_ROWS * PAIR_WIDTH, COLUMNS = PAIR_COLUMNS * PAIR_WIDTH };
    float *s = data, *phi = s + N_PAIRS, *slope = phi + N_PAIRS;
    fill_floats(s, N_PAIRS, 1, -2, 1.5);
    fill_floats(phi, N_PAIRS, 2, 0, 1);
    fill_floats(slope, N_PAIRS + PAIR_ROWS, 4, 1e-5, 2e-5);
    float *rest = slope + N_PAIRS + PAIR_ROWS;
    fill_floats(rest, 2 * ROWS + 2 * COLUMNS, 5, -1, 1);
    s[0] = s[1] = 0;
    slope[PAIR_ROWS + 1] = 0;
    s[2] = 1;
    return (struct ley_pair_gradient){.n_rows = PAIR_ROWS,
                                      .n_columns = PAIR_COLUMNS,
                                      .width = width,
                                      .s = s,
                                      .phi = phi,
                                      .slope = slope + PAIR_ROWS,
                                      .slope_row = -1,
                                      .scale = 12500.0F,
                                      .q = rest,
                                      .dout = rest + ROWS,
                                      .u = rest + 2 * ROWS,
                                      .w = rest + 2 * ROWS + COLUMNS};
}

static void run_pairs(struct pair_result *result, struct ley_pair_gradient in,
                      const struct ley_kernels *kernels) {
    memset(result, 0, sizeof *result);
    in.dq = result->dq;
    in.du = result->du;
    in.dw = result->dw;
    kernels->pair_gradient(&in);
}

// The sums that the header states, in double.
static double pair_dq(const struct ley_pair_gradient *in, int r, int d) {
    double sum = 0;
    int n = in->width;
    for (int c = 0; c < PAIR_COLUMNS; c++) {
        double p = 0, s = (double)in->s[r * PAIR_COLUMNS + c];
        double slope = (double)in->slope[r * in->slope_row + c];
        for (int i = 0; i < n; i++) {
            p += (double)in->dout[r * n + i] * (double)in->w[c * n + i];
        }
        double e = s >= 0 && s <= 1 ? p * slope * (double)in->scale * slope : 0;
        sum += e * (double)in->u[c * n + d];
    }
    return sum;
}

static void check_pairs(int width) {
    static float data[4 * N_PAIRS + 4 * PAIR_COLUMNS * PAIR_WIDTH];
    struct pair_result want, got;
    const struct ley_pair_gradient in = pair_inputs(data, width);
    run_pairs(&want, in, ley_kernels_get(LEY_ISA_SCALAR));
    for (int i = 0; i < PAIR_ROWS * width; i++) {
        double exact = pair_dq(&in, i / width, i % width);
        assert_true(fabs((double)want.dq[i] - exact) < 1e-6 * (1 + fabs(exact)));
        assert_true(i >= width || want.dw[i] != 0); // of column 0
    }
    const struct ley_kernels *table[LEY_N_ISAS];
    for (int i = 0, n = tables(table); i < n; i++) {
        run_pairs(&got, in, table[i]);
        assert_memory_equal(&got, &want, sizeof want);
    }
}

static void test_pair_gradient(void **state) {
    (void)state;
    for (int width = 16; width <= PAIR_WIDTH; width += 16) {
        check_pairs(width);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which),
        cmocka_unit_test(test_dot),
        cmocka_unit_test(test_dot_does_not_saturate),
        cmocka_unit_test(test_score),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_powers),
        cmocka_unit_test(test_product),
        cmocka_unit_test(test_turn),
        cmocka_unit_test(test_pair_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
