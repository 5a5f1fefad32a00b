// test_nn_backward.c - gradients of every layer against central differences
//
// The differences are taken of plain loops in double, so that their own error (h^2 and 1e-16 / h)
// is below 1e-9 and what is judged is the float32 gradient. A loss is a fixed random combination of
// a layer's outputs; its weights are the dy that the layer is given.
#include <math.h>
#include <omp.h>
#include <string.h>

#include "support/support.h"

enum { R = 19, N = 37, MOST = 1 << 13 };
static const double STEP = 1e-5;
static const double REL = 3e-6; // of the largest gradient: float32 arithmetic of some operations

// A scalar function of x[n] in double.
typedef double function(const double *x, const void *context);

static void fill(float *x, size_t n, uint64_t seed, double low, double high) {
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)random_between(seed, i, low, high);
    }
}

// Compares got[n] with the differences of f at x.
static void check_gradient(const char *what, const float *got, const float *x, int n, function *f,
                           const void *context) {
    static double at[MOST];
    double largest = 0, error = 0;
    assert_true(n <= MOST);
    for (int i = 0; i < n; i++) {
        at[i] = x[i];
    }
    for (int i = 0; i < n; i++) {
        at[i] = x[i] + STEP;
        double above = f(at, context);
        at[i] = x[i] - STEP;
        double below = f(at, context), want = (above - below) / (2 * STEP);
        at[i] = x[i];
        largest = fabs(want) > largest ? fabs(want) : largest;
        error = fabs(got[i] - want) > error || isnan(got[i]) ? fabs(got[i] - want) : error;
    }
    print_message("%s: off by %.1e of %.1e\n", what, error, largest);
    assert_true(largest > 0);
    assert_true(error < REL * largest);
}

// --- norms

struct norm_case {
    const float *x, *dy, *scale;
    bool is_layer; // LayerNorm
    int varied;    // 0 x, 1 scale, 2 bias
};

static double norm_loss(const double *v, const void *context) {
    const struct norm_case *c = context;
    double sum = 0;
    for (int r = 0; r < R; r++) {
        double mean = 0, square = 0;
        for (int i = 0; i < N; i++) {
            double x = c->varied == 0 ? v[r * N + i] : c->x[r * N + i];
            mean += c->is_layer ? x / N : 0;
        }
        for (int i = 0; i < N; i++) {
            double x = c->varied == 0 ? v[r * N + i] : c->x[r * N + i];
            square += pow(x - mean, 2) / N;
        }
        for (int i = 0; i < N; i++) {
            double x = c->varied == 0 ? v[r * N + i] : c->x[r * N + i];
            double scale = c->varied == 1 ? v[i] : c->scale[i], bias = c->varied == 2 ? v[i] : 0;
            sum += c->dy[r * N + i] * ((x - mean) / sqrt(square + 1e-5) * scale + bias);
        }
    }
    return sum;
}

static void check_norm(bool is_layer) {
    float x[R * N], dy[R * N], scale[N], bias[N] = {0}, dx[R * N], dscale[N], dbias[N];
    double statistics[2 * R];
    fill(x, R * N, 1, -2, 3);
    fill(dy, R * N, 2, -1, 1);
    fill(scale, N, 3, 0.5, 2);
    fill(dscale, N, 4, -1, 1); // both are added to
    fill(dbias, N, 5, -1, 1);
    fill(dx, R * N, 6, -1, 1);
    float before[R * N], before_scale[N], before_bias[N];
    memcpy(before, dx, sizeof dx);
    memcpy(before_scale, dscale, sizeof dscale);
    memcpy(before_bias, dbias, sizeof dbias);
    const struct ley_norm_backward pass = {dy, x, scale, dx, dscale, dbias, statistics};
    is_layer ? ley_layer_norm_backward(&pass, R, N, 1e-5)
             : ley_rms_norm_backward(&pass, R, N, 1e-5);
    for (int i = 0; i < R * N; i++) {
        dx[i] -= before[i];
    }
    for (int i = 0; i < N; i++) {
        dscale[i] -= before_scale[i];
        dbias[i] -= before_bias[i];
    }
    struct norm_case c = {x, dy, scale, is_layer, 0};
    check_gradient(is_layer ? "layer norm x" : "rms norm x", dx, x, R * N, norm_loss, &c);
    c.varied = 1;
    check_gradient("scale", dscale, scale, N, norm_loss, &c);
    c.varied = 2;
    if (is_layer) {
        check_gradient("bias", dbias, bias, N, norm_loss, &c);
    }
}

static void test_norms(void **state) {
    (void)state;
    check_norm(true);
    check_norm(false);
}

// --- activations

static double gelu_tanh_loss(const double *x, const void *dy) {
    double sum = 0;
    for (int i = 0; i < R * N; i++) {
        double u = sqrt(2 / acos(-1)) * (x[i] + 0.044715 * pow(x[i], 3));
        sum += ((const float *)dy)[i] * x[i] * 0.5 * (1 + tanh(u));
    }
    return sum;
}

static double gelu_erf_loss(const double *x, const void *dy) {
    double sum = 0;
    for (int i = 0; i < R * N; i++) {
        sum += ((const float *)dy)[i] * x[i] * 0.5 * erfc(-x[i] / sqrt(2));
    }
    return sum;
}

static double swiglu_loss(const double *x, const void *dy) {
    double sum = 0;
    for (int r = 0; r < R; r++) {
        const double *gate = x + (ptrdiff_t)2 * r * N, *up = gate + N;
        for (int i = 0; i < N; i++) {
            sum += ((const float *)dy)[r * N + i] * gate[i] / (1 + exp(-gate[i])) * up[i];
        }
    }
    return sum;
}

static void test_activations(void **state) {
    (void)state;
    float x[2 * R * N], dy[R * N], dx[2 * R * N];
    fill(x, 2 * R * N, 7, -6, 6);
    fill(dy, R * N, 8, -1, 1);
    ley_gelu_tanh_backward(dx, dy, x, R * N);
    check_gradient("gelu tanh", dx, x, R * N, gelu_tanh_loss, dy);
    memcpy(dx, dy, sizeof dy);
    ley_gelu_erf_backward(dx, dx, x, R * N); // in place of dy
    check_gradient("gelu erf", dx, x, R * N, gelu_erf_loss, dy);
    memcpy(dx, x, sizeof x);
    ley_swiglu_backward(dx, dy, dx, R, N); // in place of x
    check_gradient("swiglu", dx, x, 2 * R * N, swiglu_loss, dy);
    const float far[4] = {-300, 300, -80, 80}, ones[4] = {1, 1, 1, 1};
    ley_gelu_tanh_backward(dx, ones, far, 4);
    ley_gelu_erf_backward(dx + 4, ones, far, 4);
    for (int i = 0; i < 8; i++) {
        assert_true(fabs((double)dx[i] - i % 2) < 1e-6); // flat or straight far from zero
    }
}

// --- linear

struct linear_case {
    const float *x, *w, *dy;
    int n_in, n_out, varied; // 0 x, 1 w, 2 bias
};

static double linear_loss(const double *v, const void *context) {
    const struct linear_case *c = context;
    double sum = 0;
    for (int r = 0; r < R; r++) {
        for (int o = 0; o < c->n_out; o++) {
            double y = c->varied == 2 ? v[o] : 0;
            for (int i = 0; i < c->n_in; i++) {
                double x = c->varied == 0 ? v[r * c->n_in + i] : c->x[r * c->n_in + i];
                y += x * (c->varied == 1 ? v[o * c->n_in + i] : c->w[o * c->n_in + i]);
            }
            sum += c->dy[r * c->n_out + o] * y;
        }
    }
    return sum;
}

static void test_linear(void **state) {
    (void)state;
    enum { IN = 9, OUT = 23 };
    float x[R * IN], w[OUT * IN], dy[R * OUT], dx[R * IN], dw[OUT * IN] = {0}, db[OUT] = {0};
    const float zero[OUT] = {0};
    struct ley_engine *engine;
    struct ley_linear *back;
    fill(x, R * IN, 9, -1, 1);
    fill(w, OUT * IN, 10, -1, 1);
    fill(dy, R * OUT, 11, -1, 1);
    ASSERT_OK(ley_engine_create(&engine, LEY_NN_F32));
    ASSERT_OK(ley_linear_create(&back, engine, OUT, IN, false));
    ley_linear_load_columns(back, w, 0, 5);
    ley_linear_load_columns(back, w + (ptrdiff_t)5 * IN, 5, OUT - 5);
    ley_linear_forward(dx, back, dy, R);
    ASSERT_OK(ley_linear_backward_weights(dw, engine, dy, OUT, x, R, OUT, IN));
    ley_linear_backward_bias(db, dy, OUT, R, OUT);
    struct linear_case c = {x, w, dy, IN, OUT, 0};
    check_gradient("linear x", dx, x, R * IN, linear_loss, &c);
    c.varied = 1;
    check_gradient("weights", dw, w, OUT * IN, linear_loss, &c);
    c.varied = 2;
    check_gradient("bias", db, zero, OUT, linear_loss, &c);
    ley_linear_destroy(back);
    ley_engine_destroy(engine);
}

// dW of a shape in float32 or bf16 against a sum in double of the same (rounded) factors, added
// twice, from columns of a wider dy; the same bits on 1, 2 and 3 threads. With `before` columns
// before x it is ley_outer_product's.
static void check_weights(enum ley_nn_dtype dtype, int n_rows, int n_out, int n_in, int before) {
    struct ley_engine *engine;
    if (ley_engine_create(&engine, dtype) != LEY_OK) {
        print_message("SKIPPED: %s\n", ley_error_text());
        return;
    }
    int stride = n_out + 3, x_stride = n_in + before;
    size_t n_dy = (size_t)(n_rows * stride), n_x = (size_t)(n_rows * x_stride);
    size_t n_w = (size_t)(n_out * n_in);
    float *dy = ley_alloc(n_dy, sizeof *dy), *x = ley_alloc(n_x, sizeof *x);
    float *dw = ley_alloc(n_w, sizeof *dw), *first = ley_alloc(n_w, sizeof *first);
    uint16_t *rounded = ley_alloc(n_dy > n_x ? n_dy : n_x, sizeof *rounded);
    fill(dy, n_dy, 12, -1, 1);
    fill(x, n_x, 13, -1, 1);
    if (dtype == LEY_NN_BF16) { // then rounding changes nothing
        ley_bf16_from_float(rounded, dy, n_dy);
        ley_bf16_to_float(dy, rounded, n_dy);
        ley_bf16_from_float(rounded, x, n_x);
        ley_bf16_to_float(x, rounded, n_x);
    }
    float *room = ley_alloc((size_t)ley_rows_room(engine, (int64_t)n_x), sizeof *room);
    const struct ley_rows rows = ley_rows_make(engine, x, n_rows, x_stride, room);
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        omp_set_num_threads(n_threads);
        memset(dw, 0, n_w * sizeof *dw);
        for (int i = 0; i < 2; i++) {
            ASSERT_OK(
                before > 0
                    ? ley_outer_product(dw, engine, dy, stride, &rows, before, n_rows, n_out, n_in)
                    : ley_linear_backward_weights(dw, engine, dy, stride, x, n_rows, n_out, n_in));
        }
        if (n_threads == 1) {
            memcpy(first, dw, n_w * sizeof *dw);
        }
        assert_memory_equal(dw, first, n_w * sizeof *dw);
    }
    omp_set_num_threads(2);
    for (size_t probe = 0; probe < 200; probe++) {
        size_t o = probe * 7919 % (size_t)n_out, i = probe * 104729 % (size_t)n_in;
        double want = 0;
        for (size_t r = 0; r < (size_t)n_rows; r++) {
            want += 2.0 * dy[r * (size_t)stride + o] * x[r * (size_t)x_stride + (size_t)before + i];
        }
        assert_true(fabs(dw[o * (size_t)n_in + i] - want) < 1e-6 * n_rows);
    }
    ley_free(dy);
    ley_free(x);
    ley_free(dw);
    ley_free(first);
    ley_free(rounded);
    ley_free(room);
    ley_engine_destroy(engine);
}

static void test_weights_do_not_depend_on_threads(void **state) {
    (void)state;
    static const int shapes[][3] = {{1, 1, 1},     {7, 300, 33},    {64, 576, 192}, {1000, 70, 48},
                                    {256, 513, 1}, {1024, 64, 128}, {33, 1, 17}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int before = 0; before <= 5; before += 5) {
            check_weights(LEY_NN_F32, shapes[i][0], shapes[i][1], shapes[i][2], before);
            check_weights(LEY_NN_BF16, shapes[i][0], shapes[i][1], shapes[i][2], before);
        }
    }
}

// --- rotary and embedding

static void test_rotary(void **state) {
    (void)state;
    enum { HEADS = 2, HEAD_DIM = 10, ROTATING = 8 };
    for (int adjacent = 0; adjacent <= 1; adjacent++) {
        float x[HEADS * HEAD_DIM], y[HEADS * HEAD_DIM], turn[ROTATING], dy[HEADS * HEAD_DIM];
        struct ley_rotary *rotary;
        fill(x, HEADS * HEAD_DIM, 14, -1, 1);
        fill(dy, HEADS * HEAD_DIM, 15, -1, 1);
        memcpy(y, x, sizeof x);
        ASSERT_OK(ley_rotary_create(&rotary, ROTATING, 10000, adjacent, NULL));
        ley_rotary_turn(turn, rotary, 13);
        ley_rotary_forward(y, rotary, turn, HEADS, HEAD_DIM);
        double forward = 0, backward = 0; // dy . turn(x) = turned back(dy) . x, for any x and dy
        for (int i = 0; i < HEADS * HEAD_DIM; i++) {
            forward += dy[i] * (double)y[i];
        }
        ley_rotary_backward(dy, rotary, turn, HEADS, HEAD_DIM);
        for (int i = 0; i < HEADS * HEAD_DIM; i++) {
            backward += dy[i] * (double)x[i];
        }
        assert_true(fabs(forward - backward) < 1e-6);
        ley_rotary_backward(y, rotary, turn, HEADS, HEAD_DIM);
        for (int i = 0; i < HEADS * HEAD_DIM; i++) {
            assert_true(fabs(y[i] - x[i]) < 1e-6);
        }
        ley_rotary_destroy(rotary);
    }
}

static void test_embedding(void **state) {
    (void)state;
    enum { V = 5, WIDE = 150, TOKENS = 40 };
    static float table[V * WIDE], first[V * WIDE], dx[TOKENS * WIDE];
    int32_t row[TOKENS];
    for (int r = 0; r < TOKENS; r++) {
        row[r] = (int32_t)random_between(16, (uint64_t)r, 0, V);
    }
    fill(dx, TOKENS * WIDE, 17, -1, 1);
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        omp_set_num_threads(n_threads);
        memset(table, 0, sizeof table);
        ley_embedding_backward(table, dx, row, TOKENS, WIDE);
        if (n_threads == 1) {
            memcpy(first, table, sizeof table);
        }
        assert_memory_equal(table, first, sizeof table);
    }
    omp_set_num_threads(2);
    for (int i = 0; i < V * WIDE; i++) {
        float want = 0; // in token order, so equal to the bit
        for (int r = 0; r < TOKENS; r++) {
            want += row[r] == i / WIDE ? dx[r * WIDE + i % WIDE] : 0;
        }
        assert_true(table[i] == want);
    }
}

// --- loss

enum { ROWS = 4, VOCABULARY = 41 };
struct loss_case {
    const float *teacher; // NULL: none
    const int32_t *targets;
    struct ley_loss_weights weights;
};

static double log_softmax(const double *x, int i, double temperature) {
    double sum = 0;
    for (int j = 0; j < VOCABULARY; j++) {
        sum += exp(x[j] / temperature);
    }
    return x[i] / temperature - log(sum);
}

static double times(const struct loss_case *c, int row) {
    return c->weights.emphasis ? (double)c->weights.emphasis[row] : 1;
}

static double loss_of(const double *logits, const void *context) {
    const struct loss_case *c = context;
    double sum = 0;
    for (int r = 0; r < ROWS; r++) {
        const double *row = logits + (ptrdiff_t)r * VOCABULARY;
        double teacher[VOCABULARY];
        if (c->targets[r] < 0) {
            continue;
        }
        sum -= c->weights.cross_entropy * log_softmax(row, c->targets[r], 1);
        for (int i = 0; c->teacher && i < VOCABULARY; i++) {
            teacher[i] = c->teacher[r * VOCABULARY + i];
        }
        for (int i = 0; c->teacher && i < VOCABULARY; i++) {
            double t = log_softmax(teacher, i, c->weights.temperature);
            double p = log_softmax(row, i, c->weights.temperature);
            sum += times(c, r) * c->weights.divergence * exp(t) * (t - p);
        }
    }
    return sum;
}

static void check_loss(const float *teacher, double temperature, const float *emphasis) {
    float logits[ROWS * VOCABULARY], gradient[ROWS * VOCABULARY];
    const int32_t targets[ROWS] = {3, -1, 0, VOCABULARY - 1};
    const struct loss_case c = {teacher, targets, {0.7, 0.4, temperature, emphasis}};
    double nll[ROWS], divergence[ROWS], at[ROWS * VOCABULARY];
    fill(logits, ROWS * VOCABULARY, 18, -4, 4);
    memcpy(gradient, logits, sizeof logits);
    for (int i = 0; i < ROWS * VOCABULARY; i++) {
        at[i] = logits[i];
    }
    ley_loss_backward(nll, divergence, gradient, teacher, targets, &c.weights, ROWS, VOCABULARY);
    double sum = 0;
    for (int r = 0; r < ROWS; r++) {
        sum +=
            c.weights.cross_entropy * nll[r] + times(&c, r) * c.weights.divergence * divergence[r];
    }
    assert_true(fabs(sum - loss_of(at, &c)) < 1e-6);
    assert_true(nll[1] == 0 && divergence[1] == 0 && gradient[VOCABULARY + 2] == 0);
    check_gradient(teacher ? "divergence" : "cross entropy", gradient, logits, ROWS * VOCABULARY,
                   loss_of, &c);
}

static void test_loss(void **state) {
    (void)state;
    float teacher[ROWS * VOCABULARY];
    fill(teacher, ROWS * VOCABULARY, 19, -4, 4);
    static const float emphasis[ROWS] = {3, 2, 0, 1};
    check_loss(NULL, 1, NULL);
    check_loss(teacher, 1, NULL);
    check_loss(teacher, 2.5, NULL);
    check_loss(teacher, 2.5, emphasis);
}

// --- softmax attention

enum { HQ = 4, HKV = 2, D = 34, STRIDE = (HQ + 2 * HKV) * D };
struct attention_case {
    const float *dout;
    int n_tokens;
    int64_t window;
};

// out[t][h][d] of rows of q | k | v
static double attended(const double *qkv, const struct attention_case *c, int t, int h, int d) {
    const double *q = qkv + (ptrdiff_t)t * STRIDE + (ptrdiff_t)h * D;
    double sum = 0, value = 0;
    for (int s = 0; s <= t; s++) {
        const double *k = qkv + (ptrdiff_t)s * STRIDE + (ptrdiff_t)(HQ + h / 2) * D;
        double score = 0;
        for (int e = 0; e < D; e++) {
            score += q[e] * k[e];
        }
        double weight = c->window > 0 && t - s >= c->window ? 0 : exp(score / sqrt(D));
        sum += weight;
        value += weight * k[HKV * D + d];
    }
    return value / sum;
}

static double attention_loss(const double *qkv, const void *context) {
    const struct attention_case *c = context;
    double loss = 0;
    for (int t = 0; t < c->n_tokens; t++) {
        for (int h = 0; h < HQ; h++) {
            const double *q = qkv + (ptrdiff_t)t * STRIDE + (ptrdiff_t)h * D;
            double weight[128], sum = 0, value = 0;
            for (int s = 0; s <= t; s++) {
                const double *k = qkv + (ptrdiff_t)s * STRIDE + (ptrdiff_t)(HQ + h / 2) * D;
                double score = 0, along = 0;
                for (int e = 0; e < D; e++) {
                    score += q[e] * k[e];
                    along += c->dout[(t * HQ + h) * D + e] * k[HKV * D + e];
                }
                weight[s] = c->window > 0 && t - s >= c->window ? 0 : exp(score / sqrt(D));
                sum += weight[s];
                value += weight[s] * along;
            }
            loss += value / sum;
        }
    }
    return loss;
}

// Gradients of all of q, k, v of `n_tokens` tokens.
static void run_attention(float *gradient, const float *qkv, const struct attention_case *c,
                          const float *out) {
    const struct ley_softmax_shape shape = {HQ, HKV, D, c->window, STRIDE};
    float *scratch =
        ley_alloc((size_t)ley_softmax_backward_floats(&shape, c->n_tokens, omp_get_max_threads()),
                  sizeof *scratch);
    const struct ley_softmax_backward pass = {
        .q = qkv,
        .k = qkv + (ptrdiff_t)HQ * D,
        .v = qkv + (ptrdiff_t)(HQ + HKV) * D,
        .out = out,
        .dout = c->dout,
        .dq = gradient,
        .dk = gradient + (ptrdiff_t)HQ * D,
        .dv = gradient + (ptrdiff_t)(HQ + HKV) * D,
        .stride = STRIDE,
        .scratch = scratch,
    };
    ley_softmax_backward(&shape, &pass, c->n_tokens);
    ley_free(scratch);
}

static void check_attention(int n_tokens, int64_t window) {
    static float qkv[MOST], gradient[MOST], first[MOST], dout[MOST], out[MOST];
    static double at[MOST];
    const struct attention_case c = {dout, n_tokens, window};
    int n = n_tokens * STRIDE;
    fill(qkv, (size_t)n, 20, -1.5, 1.5);
    fill(dout, (size_t)(n_tokens * HQ * D), 21, -1, 1);
    for (int i = 0; i < n; i++) {
        at[i] = qkv[i];
    }
    for (int i = 0; i < n_tokens * HQ * D; i++) {
        out[i] = (float)attended(at, &c, i / (HQ * D), i / D % HQ, i % D);
    }
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        omp_set_num_threads(n_threads);
        run_attention(gradient, qkv, &c, out);
        if (n_threads == 1) {
            memcpy(first, gradient, sizeof gradient);
        }
        assert_memory_equal(gradient, first, sizeof gradient);
    }
    omp_set_num_threads(2);
    check_gradient("attention", gradient, qkv, n, attention_loss, &c);
}

static void test_attention(void **state) {
    (void)state;
    check_attention(1 + 1, 0);
    check_attention(22, 0);
    check_attention(22, 7);
    check_attention(17, 1);
}

// Many tiles, against sums in double of a few chosen gradients.
static void test_attention_of_many_tiles(void **state) {
    (void)state;
    enum { T = 113 }; // two tiles of keys, four of queries, none of them full at the end
    static float qkv[T * STRIDE], gradient[T * STRIDE], dout[T * HQ * D], out[T * HQ * D];
    static double at[T * STRIDE];
    for (int64_t window = 0; window <= 70; window += 35) {
        const struct attention_case c = {dout, T, window};
        fill(qkv, T * STRIDE, 22, -1.5, 1.5);
        fill(dout, T * HQ * D, 23, -1, 1);
        for (int i = 0; i < T * STRIDE; i++) {
            at[i] = qkv[i];
        }
        for (int i = 0; i < T * HQ * D; i++) {
            out[i] = (float)attended(at, &c, i / (HQ * D), i / D % HQ, i % D);
        }
        run_attention(gradient, qkv, &c, out);
        for (int probe = 0; probe < 60; probe++) {
            int i = (int)((int64_t)probe * 104729 % (T * STRIDE));
            at[i] = qkv[i] + STEP;
            double above = attention_loss(at, &c);
            at[i] = qkv[i] - STEP;
            double want = (above - attention_loss(at, &c)) / (2 * STEP);
            at[i] = qkv[i];
            assert_true(fabs(gradient[i] - want) < REL);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norms),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_weights_do_not_depend_on_threads),
        cmocka_unit_test(test_rotary),
        cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_of_many_tiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
