// test_linear.c - linear layers and embeddings: values, packing, rows that do not see each other
#include <math.h>
#include <omp.h>
#include <string.h>

#include "support/support.h"

struct layer {
    struct ley_engine *engine;
    struct ley_linear *linear;
    float *w, *b, *x, *y; // (n_out, n_in), (n_out), (n_rows, n_in), (n_rows, n_out)
    int n_in, n_out, n_rows;
};

static float *random_floats(size_t n, uint64_t seed) {
    float *x = ley_alloc(n, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)random_between(seed, i, -1, 1);
    }
    return x;
}

static void make_layer(struct layer *layer, enum ley_nn_dtype dtype, int n_in, int n_out,
                       int n_rows) {
    size_t k = (size_t)n_in, n = (size_t)n_out, m = (size_t)n_rows;
    *layer = (struct layer){.n_in = n_in, .n_out = n_out, .n_rows = n_rows};
    layer->w = random_floats(k * n, 1);
    layer->b = random_floats(n, 2);
    layer->x = random_floats(k * m, 3);
    layer->y = random_floats(n * m, 4);
    ASSERT_OK(ley_engine_create(&layer->engine, dtype));
    ASSERT_OK(ley_linear_create(&layer->linear, layer->engine, n_in, n_out, true));
    int64_t half = n_out / 2; // in two pieces, at any boundary
    ley_linear_load(layer->linear, layer->w + half * n_in, half, n_out - half);
    ley_linear_load(layer->linear, layer->w, 0, half);
    ley_linear_load_bias(layer->linear, layer->b, 0, n_out);
}

static void free_layer(struct layer *layer) {
    ley_linear_destroy(layer->linear);
    ley_engine_destroy(layer->engine);
    ley_free(layer->w);
    ley_free(layer->b);
    ley_free(layer->x);
    ley_free(layer->y);
}

static double expected(const struct layer *layer, int r, int n) {
    double sum = layer->b[n];
    for (int k = 0; k < layer->n_in; k++) {
        sum += (double)layer->x[r * layer->n_in + k] * layer->w[n * layer->n_in + k];
    }
    return sum;
}

static double largest_error(const struct layer *layer) {
    double largest = 0;
    for (int r = 0; r < layer->n_rows; r++) {
        for (int n = 0; n < layer->n_out; n++) {
            double error = fabs(layer->y[r * layer->n_out + n] - expected(layer, r, n));
            largest = fmax(largest, error);
        }
    }
    return largest;
}

static const int shapes[][3] = {
    // n_in, n_out, rows
    {1, 1, 1}, {3, 5, 2}, {64, 96, 17}, {100, 37, 300}, {576, 192, 5}, {1537, 65, 33},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static void test_linear_equals_loop_f32(void **state) {
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        struct layer layer;
        make_layer(&layer, LEY_NN_F32, shapes[i][0], shapes[i][1], shapes[i][2]);
        ley_linear_forward(layer.y, layer.linear, layer.x, layer.n_rows);
        // float32 rounding of a sum of n_in products below 1
        assert_true(largest_error(&layer) < 2e-7 * (layer.n_in + 8));
        free_layer(&layer);
    }
}

// Every row alone, on 1 and 3 threads, has the bits it has among all rows on 2 threads.
static void test_linear_rows_are_independent(void **state) {
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        struct layer layer;
        make_layer(&layer, LEY_NN_F32, shapes[i][0], shapes[i][1], shapes[i][2]);
        size_t n = (size_t)layer.n_out;
        float *alone = ley_alloc(n, sizeof *alone);
        omp_set_num_threads(2);
        ley_linear_forward(layer.y, layer.linear, layer.x, layer.n_rows);
        for (int r = 0; r < layer.n_rows; r++) {
            omp_set_num_threads(r % 2 ? 1 : 3);
            ley_linear_forward(alone, layer.linear, layer.x + r * layer.n_in, 1);
            assert_memory_equal(alone, layer.y + r * layer.n_out, n * sizeof *alone);
        }
        omp_set_num_threads(2);
        ley_free(alone);
        free_layer(&layer);
    }
}

// From rows that were converted before: the same bits.
static void check_rows(const struct layer *layer) {
    size_t n = (size_t)(layer->n_rows * layer->n_out), n_x = (size_t)(layer->n_rows * layer->n_in);
    float *room = ley_alloc((size_t)ley_rows_room(layer->engine, (int64_t)n_x), sizeof *room);
    float *y = ley_alloc(n, sizeof *y);
    const struct ley_rows rows =
        ley_rows_make(layer->engine, layer->x, layer->n_rows, layer->n_in, room);
    ley_linear_forward_rows(y, layer->linear, &rows, layer->n_rows);
    assert_memory_equal(y, layer->y, n * sizeof *y);
    ley_free(room);
    ley_free(y);
}

static void test_linear_bf16(void **state) {
    (void)state;
    struct layer layer;
    struct ley_engine *engine;
    if (ley_engine_create(&engine, LEY_NN_BF16) != LEY_OK) {
        print_message("SKIPPED: %s\n", ley_error_text());
        return;
    }
    ley_engine_destroy(engine);
    for (int i = 0; i < N_SHAPES; i++) {
        make_layer(&layer, LEY_NN_BF16, shapes[i][0], shapes[i][1], shapes[i][2]);
        uint16_t half;
        for (int j = 0; j < layer.n_in * layer.n_out; j++) { // what the layer works with
            ley_bf16_from_float(&half, &layer.w[j], 1);
            ley_bf16_to_float(&layer.w[j], &half, 1);
        }
        for (int j = 0; j < layer.n_in * layer.n_rows; j++) {
            ley_bf16_from_float(&half, &layer.x[j], 1);
            ley_bf16_to_float(&layer.x[j], &half, 1);
        }
        ley_linear_forward(layer.y, layer.linear, layer.x, layer.n_rows);
        assert_true(largest_error(&layer) < 2e-7 * (layer.n_in + 8)); // sums are float32
        check_rows(&layer);
        float *row = ley_alloc((size_t)layer.n_in, sizeof *row);
        ley_linear_read(row, layer.linear, layer.n_out - 1);
        assert_memory_equal(row, layer.w + (layer.n_out - 1) * layer.n_in,
                            (size_t)layer.n_in * sizeof *row);
        ley_free(row);
        free_layer(&layer);
    }
}

static void test_linear_read_returns_weights(void **state) {
    (void)state;
    struct layer layer;
    make_layer(&layer, LEY_NN_F32, 100, 37, 1);
    float row[100];
    for (int n = 0; n < 37; n++) {
        ley_linear_read(row, layer.linear, n);
        assert_memory_equal(row, layer.w + n * 100, sizeof row);
    }
    assert_true(ley_linear_bytes(layer.linear) >= 37 * 101 * sizeof(float));
    free_layer(&layer);
}

static void test_engine_names(void **state) {
    (void)state;
    struct ley_engine *engine;
    ASSERT_OK(ley_engine_create(&engine, LEY_NN_AUTO));
    assert_true(ley_engine_dtype(engine) != LEY_NN_AUTO);
    print_message("dtype of this CPU: %s\n", ley_nn_dtype_name(ley_engine_dtype(engine)));
    ley_engine_destroy(engine);
}

static void test_bf16_rounds_half_to_even(void **state) {
    (void)state;
    const float in[] = {1, 1.00390625f, 1.01171875f, -1.00390625f, 3.4e38f, INFINITY, NAN};
    const float want[] = {1, 1, 1.015625f, -1, INFINITY, INFINITY};
    uint16_t half[7];
    float out[7];
    ley_bf16_from_float(half, in, 7);
    ley_bf16_to_float(out, half, 7);
    assert_memory_equal(out, want, sizeof want);
    assert_true(isnan(out[6]));
}

// Widths that are and are not whole vectors, more terms than are scaled at a time; any piece of the
// rows has the same bits.
static void test_add_product(void **state) {
    (void)state;
    static const int columns[] = {1, 16, 48, 61}, depths[] = {1, 32, 150};
    enum { ROWS = 70 };
    for (int i = 0; i < 4 * 3; i++) {
        int n = columns[i % 4], depth = depths[i / 4];
        size_t n_c = (size_t)(ROWS * n);
        float *a = random_floats((size_t)(ROWS * depth), 7);
        float *b = random_floats((size_t)(depth * n), 8), *c = random_floats(n_c, 9);
        float *start = random_floats(n_c, 9), *pieces = random_floats(n_c, 9);
        ley_add_product(c, a, b, 0.5f, ROWS, n, depth);
        for (int r = 0; r < ROWS; r += 7) {
            ley_add_product(pieces + r * n, a + r * depth, b, 0.5f, 7, n, depth);
        }
        assert_memory_equal(pieces, c, n_c * sizeof *c);
        for (int at = 0; at < ROWS * n; at++) {
            double want = (double)start[at];
            for (int k = 0; k < depth; k++) {
                want += 0.5 * (double)a[at / n * depth + k] * (double)b[k * n + at % n];
            }
            assert_true(fabs((double)c[at] - want) < 1e-5);
        }
        ley_free(a);
        ley_free(b);
        ley_free(c);
        ley_free(start);
        ley_free(pieces);
    }
}

static void test_embedding(void **state) {
    (void)state;
    const float rows[] = {1, 2, 3, 4.00390625f, 5, 6}; // (2, 3)
    for (enum ley_nn_dtype dtype = LEY_NN_F32; dtype <= LEY_NN_BF16; dtype++) {
        struct ley_embedding *embedding;
        float out[3];
        ASSERT_OK(ley_embedding_create(&embedding, 4, 3, dtype));
        ley_embedding_load(embedding, rows, 1, 2);
        ley_embedding_read(out, embedding, 2);
        assert_true(out[0] == (dtype == LEY_NN_F32 ? 4.00390625f : 4.0f));
        assert_true(out[1] == 5 && out[2] == 6);
        ley_embedding_read(out, embedding, 0);
        assert_true(out[0] == 0);
        assert_int_equal(ley_embedding_bytes(embedding), dtype == LEY_NN_F32 ? 48 : 24);
        ley_embedding_destroy(embedding);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_equals_loop_f32),
        cmocka_unit_test(test_linear_rows_are_independent),
        cmocka_unit_test(test_linear_bf16),
        cmocka_unit_test(test_linear_read_returns_weights),
        cmocka_unit_test(test_engine_names),
        cmocka_unit_test(test_bf16_rounds_half_to_even),
        cmocka_unit_test(test_add_product),
        cmocka_unit_test(test_embedding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
