// test_attention.c - sequence and stream: the same bits; grouped heads; limits; threads; window
// mask
#include <math.h>
#include <omp.h>
#include <string.h>

#include "attention/centre.h"
#include "attention/normalise.h"
#include "support/support.h"

struct data {
    int64_t B, T;
    struct ley_attention_shape shape;
    int n_tiles;
    double *q, *k, *v, *out;
    struct ley_attention_trace trace;
    struct ley_ledger ledger;
    bool has_heads; // kept apart, in `head`
    struct ley_ledger head[32];
};

static double *new_array(int64_t n) {
    double *x = ley_alloc((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

static struct data make_data(const struct ley_hardware *hardware, struct ley_attention_shape shape,
                             int64_t B, int64_t T, uint64_t seed) {
    struct data data = {.B = B, .T = T, .shape = shape};
    int64_t n_q = B * shape.n_query_heads * T * shape.head_dim;
    int64_t n_kv = B * shape.n_kv_heads * T * shape.head_dim;
    data.n_tiles = ley_attention_n_tiles(hardware, T);
    data.q = new_array(n_q);
    data.k = new_array(n_kv);
    data.v = new_array(n_kv);
    data.out = new_array(n_q);
    fill_random(data.q, (size_t)n_q, seed, -0.3, 1.2);
    fill_random(data.k, (size_t)n_kv, seed + 1, -0.6, 0.6);
    fill_random(data.v, (size_t)n_kv, seed + 2, -0.6, 0.6);
    int64_t n_s = B * shape.n_query_heads * T * T;
    data.trace = (struct ley_attention_trace){.n_tokens = T,
                                              .s = new_array(n_s),
                                              .phi = new_array(n_s),
                                              .a = new_array(n_q * data.n_tiles)};
    return data;
}

static void free_data(struct data *data) {
    double *all[] = {data->q,       data->k,         data->v,      data->out,
                     data->trace.s, data->trace.phi, data->trace.a};
    for (int i = 0; i < 7; i++) {
        ley_free(all[i]);
    }
}

static void run_sequence(struct data *data, const struct ley_attention *attention) {
    struct ley_attention_call call =
        packed_call(data->out, data->q, data->k, data->v, &data->shape, data->B, data->T);
    call.trace = &data->trace;
    call.ledger = &data->ledger;
    call.head_ledger = data->has_heads ? data->head : NULL;
    ASSERT_OK(ley_attention_forward(attention, &call));
}

// The first tokens in one call, the others in another that sees them.
static void run_in_two(struct data *data, const struct ley_attention *attention, int64_t first) {
    struct ley_attention_call call =
        packed_call(data->out, data->q, data->k, data->v, &data->shape, data->B, data->T);
    call.trace = &data->trace;
    call.ledger = &data->ledger;
    call.n_tokens = first;
    if (first > 0) {
        ASSERT_OK(ley_attention_forward(attention, &call));
    }
    call.n_tokens = data->T;
    call.first = first;
    call.q.f64 += first * call.q.token;
    call.out.f64 += first * call.out.token;
    ASSERT_OK(ley_attention_forward(attention, &call));
}

static void run_stream(struct data *data, const struct ley_attention *attention) {
    struct ley_attention_call call =
        packed_call(data->out, data->q, data->k, data->v, &data->shape, data->B, data->T);
    call.trace = &data->trace;
    call.ledger = &data->ledger;
    call.head_ledger = data->has_heads ? data->head : NULL;
    call.n_tokens = 1;
    struct ley_stream *stream;
    ASSERT_OK(ley_stream_create(&stream, attention, data->B));
    for (int64_t t = 0; t < data->T; t++) {
        ley_stream_step(stream, &call, (double)t * attention->hardware.time.token_period_s);
        call.q.f64 += call.q.token;
        call.k.f64 += call.k.token;
        call.v.f64 += call.v.token;
        call.out.f64 += call.out.token;
    }
    assert_int_equal(ley_stream_n_tokens(stream), data->T);
    ley_stream_destroy(stream);
}

static void assert_same_bits(const struct data *a, const struct data *b) {
    size_t n_q = (size_t)(a->B * a->shape.n_query_heads * a->T * a->shape.head_dim);
    size_t n_s = (size_t)(a->B * a->shape.n_query_heads * a->T * a->T);
    assert_memory_equal(a->out, b->out, n_q * sizeof(double));
    assert_memory_equal(a->trace.s, b->trace.s, n_s * sizeof(double));
    assert_memory_equal(a->trace.phi, b->trace.phi, n_s * sizeof(double));
    assert_memory_equal(a->trace.a, b->trace.a, n_q * (size_t)a->n_tiles * sizeof(double));
}

// Counts are equal; amounts are sums over heads in another order.
static void assert_same_events(const struct ley_ledger *a, const struct ley_ledger *b) {
    int n;
    const struct ley_event *events = ley_events(&n);
    for (int i = 0; i < n; i++) {
        double x = ley_ledger_value(a, &events[i]), y = ley_ledger_value(b, &events[i]);
        assert_true(x == y || (!events[i].is_count && fabs(x - y) <= 1e-9 * fabs(x)));
    }
}

// Ledgers of heads add up to the whole; of net charges, whose terms cancel, by the size of those.
static void assert_heads_add_up(const struct data *data) {
    struct ley_ledger sum = {0};
    int n;
    const struct ley_event *events = ley_events(&n);
    double charge = data->ledger.k_charge_c + data->ledger.v_charge_c;
    for (int h = 0; h < data->shape.n_kv_heads + data->shape.n_query_heads; h++) {
        ley_ledger_add(&sum, &data->head[h]);
        bool is_bank = h < data->shape.n_kv_heads;
        assert_int_equal(data->head[h].columns_written, is_bank ? data->B * data->T : 0);
        assert_int_equal(data->head[h].queries, is_bank ? 0 : data->B * data->T);
    }
    for (int i = 0; i < n; i++) {
        double x = ley_ledger_value(&data->ledger, &events[i]);
        double y = ley_ledger_value(&sum, &events[i]);
        bool is_net = strstr(events[i].name, "net") != NULL;
        double most = events[i].is_count ? 0 : 1e-12 * (is_net ? charge : x);
        assert_true(fabs(x - y) <= most);
    }
}

// Kept apart by head or not, the bits are the same.
static void check_heads(const struct ley_attention *attention, const struct data *with,
                        struct data *without,
                        void (*run)(struct data *, const struct ley_attention *)) {
    without->has_heads = false;
    memset(&without->ledger, 0, sizeof without->ledger);
    run(without, attention);
    assert_memory_equal(&with->ledger, &without->ledger, sizeof with->ledger);
    assert_same_bits(with, without);
    assert_heads_add_up(with);
}

static void check_both_ways(struct ley_hardware *hardware, struct ley_attention_shape shape,
                            int64_t B, int64_t T, uint64_t seed) {
    struct ley_attention *attention;
    ASSERT_OK(ley_attention_create(&attention, hardware, &shape));
    for (int signal = 0; signal < LEY_N_SIGNALS; signal++) {
        for (int h = 0; h < ley_attention_n_heads(&shape, (enum ley_signal)signal); h++) {
            attention->scaler[signal][h].a +=
                random_between(seed, (uint64_t)(signal * 64 + h), -0.3, 0.3);
            attention->scaler[signal][h].b +=
                random_between(seed, (uint64_t)(signal * 64 + h + 32), -0.1, 0.1);
        }
    }
    struct data a = make_data(hardware, shape, B, T, seed),
                b = make_data(hardware, shape, B, T, seed),
                c = make_data(hardware, shape, B, T, seed);
    a.has_heads = b.has_heads = true;
    run_sequence(&a, attention);
    run_stream(&b, attention);
    assert_same_bits(&a, &b);
    assert_same_events(&a.ledger, &b.ledger);
    run_in_two(&c, attention, (int64_t)random_between(seed, 99, 0, (double)T));
    assert_same_bits(&a, &c);
    assert_same_events(&a.ledger, &c.ledger);
    for (int h = 0; h < shape.n_kv_heads + shape.n_query_heads; h++) {
        assert_same_events(&a.head[h], &b.head[h]);
    }
    check_heads(attention, &a, &c, run_sequence);
    check_heads(attention, &b, &c, run_stream);
    assert_int_equal(a.ledger.queries, B * T * shape.n_query_heads);
    assert_int_equal(a.ledger.columns_written, B * T * shape.n_kv_heads);
    free_data(&a);
    free_data(&b);
    free_data(&c);
    ley_attention_destroy(attention);
}

// Random shapes, all laws, arithmetics and modes, leakage, grouped heads, up to three laps.
// M25: the mean goes, differences stay, and gradients go back through the same call.
static void test_centred_keys(void **state) {
    (void)state;
    enum { ROWS = 70, HEADS = 2, D = 5, STRIDE = 13 };
    static float k[ROWS * STRIDE], x[ROWS * STRIDE], y[ROWS * STRIDE];
    double there = 0, back = 0;
    for (int i = 0; i < ROWS * STRIDE; i++) {
        k[i] = x[i] = (float)random_between(3, (uint64_t)i, -1, 2);
        y[i] = (float)random_between(4, (uint64_t)i, -1, 2);
    }
    static float g[ROWS * STRIDE];
    memcpy(g, y, sizeof g);
    ley_centre_heads(k, STRIDE, ROWS, HEADS, D);
    ley_centre_heads(g, STRIDE, ROWS, HEADS, D);
    for (int r = 0; r < ROWS; r++) {
        const float *row = k + r * STRIDE, *before = x + r * STRIDE;
        for (int h = 0; h < HEADS; h++) {
            double sum = 0;
            for (int d = h * D; d < (h + 1) * D; d++) {
                sum += (double)row[d];
                there += (double)row[d] * (double)y[r * STRIDE + d];
                back += (double)g[r * STRIDE + d] * (double)before[d];
                assert_true(fabs((double)(row[d] - row[h * D]) -
                                 (double)(before[d] - before[h * D])) < 1e-6);
            }
            assert_true(fabs(sum) < 1e-6);
        }
        for (int d = HEADS * D; d < STRIDE; d++) {
            assert_true(row[d] == before[d]); // what stands beside the keys stays
        }
    }
    assert_true(fabs(there - back) < 1e-4);
}

// M29: the formula in double, sums of nothing, and gradients by differences.
static void test_normalised_outputs(void **state) {
    (void)state;
    enum { ROWS = 70, HEADS = 3, D = 6, N = ROWS * HEADS * D };
    static float y[N], z[N], dz[N], dy[N];
    static struct ley_norm_sums sums[ROWS * HEADS];
    const double size[HEADS] = {0.5, 1, 3};
    for (int i = 0; i < N; i++) {
        // heads that are closed, open and wide open
        int head = i / D % HEADS;
        y[i] = i < HEADS * D ? 0 : (float)(random_between(5, (uint64_t)i, -1, 1) + 4 * head - 1);
        dz[i] = (float)random_between(6, (uint64_t)i, -1, 1);
    }
    memcpy(z, y, sizeof z);
    memcpy(dy, dz, sizeof dy);
    ley_normalise_forward(z, sums, size, ROWS, HEADS, D);
    ley_normalise_backward(dy, z, sums, size, ROWS, HEADS, D);
    for (int at = 0; at < ROWS * HEADS; at++) {
        double loss[2][D];
        for (int i = 0; i < 2 * D; i++) { // each component by 1e-3 down and up
            double mean = 0, variance = 0, x[D];
            for (int d = 0; d < D; d++) {
                x[d] = (double)y[at * D + d] + (d == i / 2 ? i % 2 * 2e-3 - 1e-3 : 0);
                mean += x[d] / D;
            }
            for (int d = 0; d < D; d++) {
                variance += (x[d] - mean) * (x[d] - mean) / D;
            }
            double open = mean > 0 ? mean : 0, divisor = sqrt(1 + open * open + variance / 4);
            loss[i % 2][i / 2] = 0;
            for (int d = 0; d < D; d++) {
                double value = size[at % HEADS] * (x[d] - mean) / divisor;
                loss[i % 2][i / 2] += value * (double)dz[at * D + d];
                assert_true(i > 0 || fabs(value - (double)z[at * D + d]) < 2e-2);
            }
            assert_true(fabs(open - (double)sums[at].open) < 1e-3);
        }
        for (int d = 0; d < D; d++) {
            double slope = (loss[1][d] - loss[0][d]) / 2e-3;
            assert_true(fabs(slope - (double)dy[at * D + d]) < 2e-3);
        }
    }
    for (int d = 0; d < HEADS * D; d++) {
        assert_true(z[d] == 0);
    }
}

static void test_sequence_equals_bank(void **state) {
    (void)state;
    static const char *const presets[] = {"paper", "paper-linear", "cmos", "ideal", "osfet"};
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct ley_hardware hardware;
        ASSERT_OK(ley_hardware_load(&hardware, presets[seed % 5]));
        int window = (int)random_between(seed, 1, 1, 40);
        hardware.array.window = window;
        hardware.array.ring = seed % 3 == 0 ? window + (int)random_between(seed, 2, 0, 20) : 0;
        hardware.array.n_columns = (int)random_between(seed, 3, 1, 20);
        hardware.array.n_rows = (int)random_between(seed, 4, 1, 20);
        hardware.array.arithmetic = (int)(seed / 5 % 3); // auto, double, float
        hardware.cell.leakage = (int)(seed % 3);
        hardware.cell.tau_s = hardware.time.token_period_s / random_between(seed, 5, 1e-4, 0.2);
        int n_kv = (int)random_between(seed, 6, 1, 3), n_group = (int)random_between(seed, 7, 1, 4);
        struct ley_attention_shape shape = {n_kv * n_group, n_kv,
                                            (int)random_between(seed, 8, 1, 24)};
        int64_t T =
            seed % 4 == 0 ? 3 * window + 5 : (int64_t)random_between(seed, 9, 1, 2 * window + 2);
        check_both_ways(&hardware, shape, 1 + (int64_t)(seed % 2), T, seed * 10);
    }
}

static void test_real_tiles(void **state) {
    (void)state;
    struct ley_hardware hardware;
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    hardware.array.window = 100;
    check_both_ways(&hardware, (struct ley_attention_shape){2, 1, 64}, 1, 305, 77);
}

// A chip of random sizes whose levels are lost within its window.
static struct ley_hardware make_leaking(uint64_t seed) {
    struct ley_hardware hardware;
    ASSERT_OK(ley_hardware_load(&hardware, seed % 4 == 3 ? "cmos" : "paper"));
    hardware.array.window = (int)random_between(seed, 1, 60, 90);
    hardware.array.ring = seed % 3 ? 0 : hardware.array.window + 7;
    hardware.array.n_columns = (int)random_between(seed, 3, 5, 20);
    hardware.array.arithmetic = (int)(seed % 3); // auto, double, float
    hardware.cell.tau_s = hardware.time.token_period_s * random_between(seed, 5, 60, 200);
    hardware.array.refresh = seed % 2 ? LEY_REFRESH_ERROR : LEY_REFRESH_EVERY;
    hardware.array.refresh_tokens = 1 + (int)(seed / 2 % 5);
    return hardware;
}

// M35: ages begin anew, and rewrites are counted, over a sequence as in banks.
static void test_refreshed_sequence_equals_bank(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct ley_hardware hardware = make_leaking(seed);
        struct ley_attention_shape shape = {4, 2, (int)random_between(seed, 8, 1, 24)};
        struct ley_attention *attention;
        ASSERT_OK(ley_attention_create(&attention, &hardware, &shape));
        assert_in_range(attention->refresh_tokens, 1, hardware.array.window - 1);
        ley_attention_destroy(attention);
        check_both_ways(&hardware, shape, 1 + (int64_t)(seed % 2), 200, seed * 10);
    }
}

// Runs a chip with tokens `slower` times as far apart; outputs and ledger are left in `data`.
static void run_slow(struct data *data, struct ley_hardware hardware, double slower,
                     int64_t *period) {
    struct ley_attention *attention;
    hardware.time.token_period_s *= slower;
    ASSERT_OK(ley_attention_create(&attention, &hardware, &data->shape));
    *period = attention->refresh_tokens;
    run_sequence(data, attention);
    ley_attention_destroy(attention);
}

// Root mean square of the difference of outputs.
static double miss(const struct data *a, const struct data *b) {
    int64_t n = a->B * a->shape.n_query_heads * a->T * a->shape.head_dim;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (a->out[i] - b->out[i]) * (a->out[i] - b->out[i]);
    }
    return sqrt(sum / (double)n);
}

// With tokens far apart leakage spoils the outputs; a rewrite a token undoes it, to the bit in
// double, and one as late as levels hold undoes most. Every rewrite is counted.
static void test_refresh_undoes_leakage(void **state) {
    (void)state;
    for (int arithmetic = LEY_ARITHMETIC_AUTO; arithmetic <= LEY_ARITHMETIC_DOUBLE; arithmetic++) {
        struct ley_attention_shape shape = {2, 1, 16};
        struct ley_hardware hardware;
        ASSERT_OK(ley_hardware_load(&hardware, "paper"));
        hardware.array.window = 50;
        hardware.array.arithmetic = arithmetic;
        struct data run[4]; // without leakage, with, rewritten each token, rewritten when it must
        int64_t period[4], T = 120, n_rewrites = 0;
        for (int i = 0; i < 4; i++) {
            struct ley_hardware chip = hardware;
            chip.cell.leakage = i == 0 ? LEY_LEAK_NONE : hardware.cell.leakage;
            chip.array.refresh = i == 2   ? LEY_REFRESH_EVERY
                                 : i == 3 ? LEY_REFRESH_ERROR
                                          : LEY_REFRESH_NONE;
            chip.array.refresh_tokens = 1;
            run[i] = make_data(&hardware, shape, 1, T, 3);
            run_slow(&run[i], chip, 150, &period[i]);
        }
        double spoilt = miss(&run[1], &run[0]);
        assert_true(spoilt > 1e-2);
        assert_true(miss(&run[2], &run[0]) <= (arithmetic == LEY_ARITHMETIC_AUTO ? 2e-3 : 0));
        assert_true(miss(&run[3], &run[0]) < spoilt / 3);
        assert_int_equal(period[2], 1);
        assert_in_range(period[3], 2, 10);
        for (int64_t s = 0; s < T; s++) {
            int64_t left = T - 1 - s < 49 ? T - 1 - s : 49;
            n_rewrites += left / period[3];
        }
        uint64_t n_cells = (uint64_t)(2 * 16 * n_rewrites);
        assert_int_equal(run[3].ledger.cells_written, run[1].ledger.cells_written + n_cells);
        assert_int_equal(run[3].ledger.write_dac_conversions,
                         run[1].ledger.write_dac_conversions + n_cells);
        assert_int_equal(run[3].ledger.output_conversions,
                         run[1].ledger.output_conversions + n_cells);
        assert_int_equal(run[3].ledger.columns_written, run[1].ledger.columns_written);
        for (int i = 0; i < 4; i++) {
            free_data(&run[i]);
        }
    }
}

// What cannot work is told when a layer is made.
static void test_refresh_that_comes_too_late(void **state) {
    (void)state;
    struct ley_attention_shape shape = {1, 1, 8};
    struct ley_hardware hardware, slow;
    struct ley_attention *attention;
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    hardware.array.refresh = LEY_REFRESH_EVERY;
    hardware.array.refresh_tokens = 1000;
    ASSERT_FAILS(ley_attention_create(&attention, &hardware, &shape), LEY_E_ARGUMENT,
                 "a level is lost 860 tokens of 8e-07 s after its writing");
    slow = hardware;
    slow.array.refresh = LEY_REFRESH_ERROR;
    slow.time.token_period_s = 1;
    ASSERT_FAILS(ley_attention_create(&attention, &slow, &shape), LEY_E_ARGUMENT,
                 "shorten time.token_period_s");
    hardware.converter.kv_levels = 0;
    ASSERT_FAILS(ley_attention_create(&attention, &hardware, &shape), LEY_E_ARGUMENT,
                 "dac.kv_levels is 0");
}

static void test_threads_do_not_matter(void **state) {
    (void)state;
    struct ley_hardware hardware;
    struct ley_attention *attention;
    struct ley_attention_shape shape = {6, 3, 16};
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    hardware.array.window = 20;
    ASSERT_OK(ley_attention_create(&attention, &hardware, &shape));
    struct data one = make_data(&hardware, shape, 2, 50, 5);
    omp_set_num_threads(1);
    run_sequence(&one, attention);
    for (int n_threads = 2; n_threads <= 3; n_threads++) {
        struct data many = make_data(&hardware, shape, 2, 50, 5);
        omp_set_num_threads(n_threads);
        run_sequence(&many, attention);
        assert_same_bits(&one, &many);
        assert_memory_equal(&one.ledger, &many.ledger, sizeof one.ledger);
        free_data(&many);
    }
    free_data(&one);
    ley_attention_destroy(attention);
}

// A group of query heads on one bank is the same as each with a copy of the bank.
static void test_grouped_heads(void **state) {
    (void)state;
    struct ley_hardware hardware;
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    hardware.array.window = 16;
    const int64_t T = 40, D = 8;
    struct ley_attention_shape grouped = {4, 2, 8}, full = {4, 4, 8};
    struct ley_attention *a, *b;
    ASSERT_OK(ley_attention_create(&a, &hardware, &grouped));
    ASSERT_OK(ley_attention_create(&b, &hardware, &full));
    struct data x = make_data(&hardware, grouped, 1, T, 9), y = make_data(&hardware, full, 1, T, 9);
    for (int64_t h = 0; h < 4; h++) {
        memcpy(y.k + h * T * D, x.k + h / 2 * T * D, (size_t)(T * D) * sizeof(double));
        memcpy(y.v + h * T * D, x.v + h / 2 * T * D, (size_t)(T * D) * sizeof(double));
    }
    run_sequence(&x, a);
    run_sequence(&y, b);
    assert_same_bits(&x, &y);
    assert_int_equal(2 * x.ledger.cells_written, y.ledger.cells_written);
    free_data(&x);
    free_data(&y);
    ley_attention_destroy(a);
    ley_attention_destroy(b);
}

// As ideal as possible (linear, continuous, no leakage, saturations far away) the head is the exact
// product sum_s max(q.k_s, 0) v_s, up to its scale.
static void test_ideal_is_exact(void **state) {
    (void)state;
    struct ley_hardware hardware;
    struct ley_attention *attention;
    struct ley_attention_shape shape = {1, 1, 12};
    const int64_t T = 30, D = 12;
    ASSERT_OK(ley_hardware_load(&hardware, "ideal"));
    hardware.converter.score_i_sat_a = hardware.converter.output_i_sat_a = 0.1;
    ASSERT_OK(ley_attention_create(&attention, &hardware, &shape));
    double scale = 19.3e-6 / 0.1 * 19.3e-6 / 0.1;
    attention->scaler[LEY_SIGNAL_OUTPUT][0].a = 1 / scale;
    struct data data = make_data(&hardware, shape, 1, T, 11);
    fill_random(data.q, (size_t)(T * D), 1, 0, 1);        // inside the range of pulses
    fill_random(data.k, (size_t)(T * D), 2, -0.45, 0.45); // inside the range of voltages
    fill_random(data.v, (size_t)(T * D), 3, -0.45, 0.45);
    run_sequence(&data, attention);
    for (int64_t t = 0; t < T; t++) {
        double want[12] = {0};
        for (int64_t s = 0; s <= t; s++) {
            double dot = 0;
            for (int64_t d = 0; d < D; d++) {
                dot += data.q[t * D + d] * data.k[s * D + d];
            }
            for (int64_t d = 0; d < D && dot > 0; d++) {
                want[d] += dot * data.v[s * D + d];
            }
        }
        assert_true(largest_difference(data.out + t * D, want, 12) < 1e-12);
    }
    free_data(&data);
    ley_attention_destroy(attention);
}

// More levels: the error against continuous converters falls like the step.
static void test_more_levels_converge(void **state) {
    (void)state;
    double last = 1e9;
    for (int levels = 8; levels <= 8192; levels *= 8) {
        struct ley_hardware hardware;
        struct ley_attention *fine, *continuous;
        struct ley_attention_shape shape = {1, 1, 16};
        ASSERT_OK(ley_hardware_load(&hardware, "ideal"));
        ASSERT_OK(ley_attention_create(&continuous, &hardware, &shape));
        hardware.converter.q_levels = hardware.converter.kv_levels = levels;
        hardware.converter.output_levels = levels;
        ASSERT_OK(ley_attention_create(&fine, &hardware, &shape));
        struct data a = make_data(&hardware, shape, 1, 20, 3),
                    b = make_data(&hardware, shape, 1, 20, 3);
        run_sequence(&a, fine);
        run_sequence(&b, continuous);
        double error = largest_difference(a.out, b.out, 20 * 16);
        assert_true(error < last / 4 && error < 8.0 / levels);
        last = error;
        free_data(&a);
        free_data(&b);
        ley_attention_destroy(fine);
        ley_attention_destroy(continuous);
    }
}

// A query sees the last `window` tokens: what lies before has no effect at all.
static void test_window_forgets(void **state) {
    (void)state;
    struct ley_hardware hardware;
    struct ley_attention *attention;
    struct ley_attention_shape shape = {1, 1, 8};
    const int64_t T = 30, W = 9, D = 8;
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    hardware.array.window = (int)W;
    ASSERT_OK(ley_attention_create(&attention, &hardware, &shape));
    struct data a = make_data(&hardware, shape, 1, T, 21),
                b = make_data(&hardware, shape, 1, T, 21);
    fill_random(b.k, (size_t)((T - W) * D), 99, -0.6, 0.6);
    fill_random(b.v, (size_t)((T - W) * D), 98, -0.6, 0.6);
    run_sequence(&a, attention);
    run_sequence(&b, attention);
    assert_memory_equal(a.out + (T - 1) * D, b.out + (T - 1) * D, (size_t)D * sizeof(double));
    assert_true(largest_difference(a.out, b.out, (size_t)((T - 1) * D)) > 0);
    for (int64_t t = 0; t < T; t++) { // causal, and gated outside the window
        for (int64_t s = 0; s < T; s++) {
            bool is_live = s <= t && t - s < W;
            assert_true(is_live || (a.trace.s[t * T + s] == 0 && a.trace.phi[t * T + s] == 0));
            assert_true(!is_live || a.trace.s[t * T + s] != 0);
        }
    }
    free_data(&a);
    free_data(&b);
    ley_attention_destroy(attention);
}

static bool stop_at_once(void *context, int64_t n_done, int64_t n_total) {
    (void)context;
    (void)n_total;
    return n_done < 2;
}

static void test_stops_on_request(void **state) {
    (void)state;
    struct ley_hardware hardware;
    struct ley_attention *attention;
    struct ley_attention_shape shape = {8, 8, 4};
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_attention_create(&attention, &hardware, &shape));
    struct data data = make_data(&hardware, shape, 1, 10, 1);
    struct ley_progress progress = {stop_at_once, NULL};
    struct ley_attention_call call = packed_call(data.out, data.q, data.k, data.v, &shape, 1, 10);
    call.progress = &progress;
    ASSERT_FAILS(ley_attention_forward(attention, &call), LEY_E_INTERRUPTED, "stopped");
    free_data(&data);
    ley_attention_destroy(attention);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_centred_keys),
        cmocka_unit_test(test_normalised_outputs),
        cmocka_unit_test(test_sequence_equals_bank),
        cmocka_unit_test(test_real_tiles),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_grouped_heads),
        cmocka_unit_test(test_ideal_is_exact),
        cmocka_unit_test(test_more_levels_converge),
        cmocka_unit_test(test_window_forgets),
        cmocka_unit_test(test_stops_on_request),
        cmocka_unit_test(test_refreshed_sequence_equals_bank),
        cmocka_unit_test(test_refresh_undoes_leakage),
        cmocka_unit_test(test_refresh_that_comes_too_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
