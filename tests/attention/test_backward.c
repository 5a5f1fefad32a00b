// test_backward.c - gradients of analog attention: the authors' classes, finite differences, rings,
// groups, threads
#include <math.h>
#include <omp.h>
#include <string.h>

#include "support/oracle.h"

static const double oracle_tolerance = 1e-9; // of the largest of its kind: sums in another order

struct data {
    int64_t B, T, n_q, n_kv; // n: elements of q, and of k
    struct ley_attention_shape shape;
    double *q, *k, *v, *dout, *out, *dq, *dk, *dv;
    struct ley_scaler *dscaler[LEY_N_SIGNALS];
};

static double *new_array(int64_t n) {
    double *x = ley_alloc((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

static struct data new_data(struct ley_attention_shape shape, int64_t B, int64_t T) {
    struct data data = {.B = B, .T = T, .shape = shape};
    data.n_q = B * shape.n_query_heads * T * shape.head_dim;
    data.n_kv = B * shape.n_kv_heads * T * shape.head_dim;
    data.dq = new_array(data.n_q);
    data.dk = new_array(data.n_kv);
    data.dv = new_array(data.n_kv);
    data.out = new_array(data.n_q);
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        int n = ley_attention_n_heads(&shape, (enum ley_signal)i);
        data.dscaler[i] = ley_alloc((size_t)n, sizeof(struct ley_scaler));
        assert_non_null(data.dscaler[i]);
    }
    return data;
}

static struct data random_data(struct ley_attention_shape shape, int64_t B, int64_t T,
                               uint64_t seed) {
    struct data data = new_data(shape, B, T);
    data.q = new_array(data.n_q);
    data.k = new_array(data.n_kv);
    data.v = new_array(data.n_kv);
    data.dout = new_array(data.n_q);
    fill_random(data.q, (size_t)data.n_q, seed, -0.3, 1.2);
    fill_random(data.k, (size_t)data.n_kv, seed + 1, -0.3, 0.55);
    fill_random(data.v, (size_t)data.n_kv, seed + 2, -0.5, 0.5);
    fill_random(data.dout, (size_t)data.n_q, seed + 3, -1, 1);
    return data;
}

static void free_data(struct data *data) {
    double *all[] = {data->q,   data->k,  data->v,  data->dout,
                     data->out, data->dq, data->dk, data->dv};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        ley_free(all[i]);
    }
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        ley_free(data->dscaler[i]);
    }
}

static struct ley_attention_call call_of(const struct data *data) {
    return packed_call(data->out, data->q, data->k, data->v, &data->shape, data->B, data->T);
}

static struct ley_attention_gradient gradient_of(const struct data *data) {
    int Hq = data->shape.n_query_heads, Hkv = data->shape.n_kv_heads, D = data->shape.head_dim;
    struct ley_attention_gradient gradient = {
        .dout = ley_heads_packed(data->dout, Hq, data->T, D),
        .dq = ley_heads_packed_out(data->dq, Hq, data->T, D),
        .dk = ley_heads_packed_out(data->dk, Hkv, data->T, D),
        .dv = ley_heads_packed_out(data->dv, Hkv, data->T, D),
    };
    memcpy(gradient.dscaler, data->dscaler, sizeof gradient.dscaler);
    return gradient;
}

static void run_backward(struct data *data, const struct ley_attention *attention) {
    const struct ley_attention_gradient gradient = gradient_of(data);
    const struct ley_attention_call call = call_of(data);
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        size_t n = (size_t)ley_attention_n_heads(&data->shape, (enum ley_signal)i);
        memset(data->dscaler[i], 0, n * sizeof(struct ley_scaler));
    }
    ASSERT_OK(ley_attention_backward(&gradient, attention, &call));
}

// ---- the authors' classes

static void compare(const double *got, const char *folder, const char *name) {
    int64_t n;
    double *want = load_array(&n, NULL, folder, name), scale = 0;
    for (int64_t i = 0; i < n; i++) {
        scale = fmax(scale, fabs(want[i]));
    }
    double off = largest_difference(got, want, (size_t)n) / scale;
    if (!(off <= oracle_tolerance)) {
        fail_msg("%s/%s: off by %g of full scale", folder, name, off);
    }
    ley_free(want);
}

static void compare_scalers(const struct data *data, const char *folder) {
    double part[64];
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        for (int letter = 0; letter < 2; letter++) {
            char name[64];
            assert_true(data->shape.n_query_heads <= 64);
            for (int h = 0; h < data->shape.n_query_heads; h++) {
                const struct ley_scaler *pair = &data->dscaler[i][h];
                part[h] = letter ? pair->b : pair->a;
            }
            snprintf(name, sizeof name, "ref_d%c_%s.npy", "ab"[letter],
                     ley_signal_name((enum ley_signal)i));
            compare(part, folder, name);
        }
    }
}

static void check_model(const char *folder, const struct cJSON *meta, const char *model) {
    int64_t n, shape[LEY_MAX_DIMS];
    char results[2048];
    double *q = load_array(&n, shape, folder, "q.npy");
    struct ley_attention_shape heads = {(int)shape[1], (int)shape[1], (int)shape[3]};
    struct data data = new_data(heads, shape[0], shape[2]);
    data.q = q;
    data.k = load_array(&n, NULL, folder, "k.npy");
    data.v = load_array(&n, NULL, folder, "v.npy");
    data.dout = load_array(&n, NULL, folder, "grad_out.npy");
    struct ley_hardware hardware = oracle_hardware(meta, model, data.T);
    struct ley_attention *attention =
        oracle_attention(&hardware, (int)shape[1], (int)shape[3], folder);
    run_backward(&data, attention);
    snprintf(results, sizeof results, "%s/%s", folder, model);
    compare(data.dq, results, "ref_dq.npy");
    compare(data.dk, results, "ref_dk.npy");
    compare(data.dv, results, "ref_dv.npy");
    compare_scalers(&data, results);
    free_data(&data);
    ley_attention_destroy(attention);
}

static void check_case(const char *folder) {
    struct cJSON *meta = load_meta(folder);
    check_model(folder, meta, "linear");
    check_model(folder, meta, "dram");
    cJSON_Delete(meta);
}

static void test_backward_golden(void **state) {
    (void)state;
    const char *folder = source_path("tests/golden/oracle/backward");
    assert_int_equal(oracle_for_each(folder, check_case), 1);
}

static void test_backward_all(void **state) {
    (void)state;
    char path[2048];
    if (!oracle_folder()) {
        skip();
    }
    snprintf(path, sizeof path, "%s/backward", oracle_folder());
    print_message("%d cases, linear and cubic\n", oracle_for_each(path, check_case));
}

// ---- finite differences: exact with continuous converters, where gradients follow the law

// Continuous, leaking fast, with saturations that only some signals reach.
static struct ley_attention *smooth_attention(struct ley_attention_shape shape, int law,
                                              int leakage, int window, int ring) {
    struct ley_hardware hardware;
    struct ley_attention *attention;
    ASSERT_OK(ley_hardware_load(&hardware, "ideal"));
    hardware.cell.law = law;
    hardware.cell.leakage = leakage;
    hardware.cell.tau_s = 20 * hardware.time.token_period_s;
    hardware.array.window = window;
    hardware.array.ring = ring;
    hardware.array.n_columns = 4;
    hardware.converter.score_i_sat_a = 6e-6;
    hardware.converter.output_i_sat_a = 6e-6;
    ASSERT_OK(ley_attention_create(&attention, &hardware, &shape));
    attention->follows_law = law != LEY_CELL_LINEAR;
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        for (int h = 0; h < ley_attention_n_heads(&shape, (enum ley_signal)i); h++) {
            attention->scaler[i][h].a = 1.1 - 0.2 * h;
            attention->scaler[i][h].b += 0.02 * (h + i);
        }
    }
    return attention;
}

static double loss(struct data *data, const struct ley_attention *attention) {
    double sum = 0;
    const struct ley_attention_call call = call_of(data);
    ASSERT_OK(ley_attention_forward(attention, &call));
    for (int64_t i = 0; i < data->n_q; i++) {
        sum += data->out[i] * data->dout[i];
    }
    return sum;
}

// The loss is piecewise smooth: a corner within the step makes the two sides' slopes differ.
// Central differences of step h leave errors of h^2 and of 1e-16 / h.
static const double difference_step = 1e-6, difference_tolerance = 2e-8, corner_tolerance = 1e-3;

struct slopes {
    int64_t n_checked, n_corners;
};

static void check_slope(struct slopes *slopes, double *x, double gradient, struct data *data,
                        const struct ley_attention *attention) {
    double kept = *x, middle = loss(data, attention);
    *x = kept + difference_step;
    double above = loss(data, attention);
    *x = kept - difference_step;
    double below = loss(data, attention);
    *x = kept;
    double left = (middle - below) / difference_step, right = (above - middle) / difference_step;
    slopes->n_checked++;
    if (fabs(left - right) > corner_tolerance) {
        slopes->n_corners++;
        return;
    }
    double off = fabs(gradient - (left + right) / 2);
    if (!(off < difference_tolerance * (1 + fabs(gradient)))) {
        fail_msg("gradient %.12g, differences %.12g", gradient, (left + right) / 2);
    }
}

// Every clip of the arrays must be closed somewhere, and open elsewhere.
static void assert_clips_matter(const struct data *data, const struct ley_attention *attention) {
    struct ley_ledger ledger = {0};
    struct ley_attention_call call = call_of(data);
    call.ledger = &ledger;
    ASSERT_OK(ley_attention_forward(attention, &call));
    assert_true(ledger.zero_scores > 0 && ledger.saturated_scores > 0);
    assert_true(ledger.zero_scores + ledger.saturated_scores < ledger.score_conversions);
    assert_true(ledger.saturated_outputs > 0);
    assert_true(ledger.saturated_outputs < ledger.output_conversions);
}

static void check_differences(struct ley_attention_shape shape, int law, int leakage, int window,
                              int ring) {
    struct ley_attention *attention = smooth_attention(shape, law, leakage, window, ring);
    struct data data = random_data(shape, 2, 13, 40);
    struct slopes slopes = {0, 0};
    assert_clips_matter(&data, attention);
    run_backward(&data, attention);
    for (int64_t i = 0; i < data.n_q; i += 3) {
        check_slope(&slopes, &data.q[i], data.dq[i], &data, attention);
    }
    for (int64_t i = 0; i < data.n_kv; i += 2) {
        check_slope(&slopes, &data.k[i], data.dk[i], &data, attention);
        check_slope(&slopes, &data.v[i], data.dv[i], &data, attention);
    }
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        for (int h = 0; h < ley_attention_n_heads(&shape, (enum ley_signal)i); h++) {
            struct ley_scaler *pair = &attention->scaler[i][h];
            const struct ley_scaler *gradient = &data.dscaler[i][h];
            check_slope(&slopes, &pair->a, gradient->a, &data, attention);
            check_slope(&slopes, &pair->b, gradient->b, &data, attention);
        }
    }
    // too many corners would make this no test
    assert_true(slopes.n_corners * 20 < slopes.n_checked);
    free_data(&data);
    ley_attention_destroy(attention);
}

// All tokens in view; a window; a ring that laps with the window, and one longer than it.
static void test_finite_differences(void **state) {
    (void)state;
    const struct ley_attention_shape one = {1, 1, 6}, grouped = {4, 2, 5};
    check_differences(one, LEY_CELL_LINEAR, LEY_LEAK_RELAX, 64, 0);
    check_differences(one, LEY_CELL_LINEAR, LEY_LEAK_UNIFORM, 5, 13);
    check_differences(grouped, LEY_CELL_LINEAR, LEY_LEAK_NONE, 5, 0);
    check_differences(grouped, LEY_CELL_LINEAR, LEY_LEAK_RELAX, 3, 6);
}

// Other laws, with leakage that scales their currents, or none.
static void test_finite_differences_of_laws(void **state) {
    (void)state;
    const struct ley_attention_shape one = {1, 1, 6}, grouped = {4, 2, 5};
    check_differences(one, LEY_CELL_CUBIC, LEY_LEAK_NONE, 64, 0);
    check_differences(grouped, LEY_CELL_CUBIC, LEY_LEAK_UNIFORM, 5, 13);
    check_differences(one, LEY_CELL_SIGMOID, LEY_LEAK_UNIFORM, 64, 0);
    check_differences(grouped, LEY_CELL_EXPONENTIAL, LEY_LEAK_NONE, 5, 0);
}

// ---- properties

// A group's gradients of k and v are the sums of those that each query head gives alone.
static void test_group_is_a_sum(void **state) {
    (void)state;
    const int64_t T = 21, D = 8, n = T * D;
    struct ley_hardware hardware;
    struct ley_attention *grouped, *full;
    const struct ley_attention_shape two = {2, 1, 8}, each = {2, 2, 8};
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    hardware.array.window = 10;
    hardware.array.n_columns = 4;
    ASSERT_OK(ley_attention_create(&grouped, &hardware, &two));
    ASSERT_OK(ley_attention_create(&full, &hardware, &each));
    struct data a = random_data(two, 1, T, 7), b = random_data(each, 1, T, 7);
    for (int h = 0; h < 2; h++) {
        memcpy(b.k + h * n, a.k, (size_t)n * sizeof(double));
        memcpy(b.v + h * n, a.v, (size_t)n * sizeof(double));
    }
    run_backward(&a, grouped);
    run_backward(&b, full);
    assert_memory_equal(a.dq, b.dq, (size_t)a.n_q * sizeof(double));
    for (int64_t i = 0; i < n; i++) {
        double dk = b.dk[i] + b.dk[n + i];
        double dv = b.dv[i] + b.dv[n + i];
        assert_true(fabs(a.dk[i] - dk) < 1e-13 && fabs(a.dv[i] - dv) < 1e-13);
    }
    free_data(&a);
    free_data(&b);
    ley_attention_destroy(grouped);
    ley_attention_destroy(full);
}

static void test_threads_do_not_matter(void **state) {
    (void)state;
    struct ley_hardware hardware;
    struct ley_attention *attention;
    const struct ley_attention_shape shape = {6, 3, 8};
    ASSERT_OK(ley_hardware_load(&hardware, "cmos"));
    hardware.array.window = 9;
    ASSERT_OK(ley_attention_create(&attention, &hardware, &shape));
    struct data one = random_data(shape, 2, 25, 3), many = random_data(shape, 2, 25, 3);
    omp_set_num_threads(1);
    run_backward(&one, attention);
    for (int n_threads = 2; n_threads <= 4; n_threads++) {
        omp_set_num_threads(n_threads);
        run_backward(&many, attention);
        const struct data *x = &one, *y = &many;
        assert_memory_equal(x->dq, y->dq, (size_t)one.n_q * sizeof(double));
        assert_memory_equal(x->dk, y->dk, (size_t)one.n_kv * sizeof(double));
        assert_memory_equal(x->dv, y->dv, (size_t)one.n_kv * sizeof(double));
        for (int i = 0; i < LEY_N_SIGNALS; i++) {
            size_t n = (size_t)ley_attention_n_heads(&shape, (enum ley_signal)i);
            assert_memory_equal(x->dscaler[i], y->dscaler[i], n * sizeof(struct ley_scaler));
        }
    }
    free_data(&one);
    free_data(&many);
    ley_attention_destroy(attention);
}

// Scalers' gradients are added to, one that is not wanted is left out, and an a under its floor
// gets none.
static void test_scaler_gradients_accumulate(void **state) {
    (void)state;
    struct ley_hardware hardware;
    struct ley_attention *attention;
    const struct ley_attention_shape shape = {1, 1, 8};
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_attention_create(&attention, &hardware, &shape));
    struct data data = random_data(shape, 1, 6, 5);
    run_backward(&data, attention);
    double once = data.dscaler[LEY_SIGNAL_K][0].b;
    struct ley_attention_gradient some = gradient_of(&data);
    const struct ley_attention_call call = call_of(&data);
    some.dscaler[LEY_SIGNAL_V] = NULL;
    ASSERT_OK(ley_attention_backward(&some, attention, &call));
    assert_true(once != 0 && data.dscaler[LEY_SIGNAL_K][0].b == 2 * once);
    attention->scaler[LEY_SIGNAL_Q][0] = (struct ley_scaler){1e-21, 0.5};
    run_backward(&data, attention);
    assert_true(data.dscaler[LEY_SIGNAL_Q][0].a == 0);
    assert_true(data.dscaler[LEY_SIGNAL_Q][0].b != 0);
    free_data(&data);
    ley_attention_destroy(attention);
}

// Float32 rows of tokens, heads side by side, as a model has them: the same gradients, rounded.
static void test_rows_in_place(void **state) {
    (void)state;
    enum { HQ = 4, HKV = 2, D = 6, T = 9, STRIDE = (HQ + 2 * HKV) * D };
    static float rows[T * STRIDE], drows[T * STRIDE], dout[T * HQ * D];
    struct ley_attention *attention;
    struct ley_hardware hardware;
    const struct ley_attention_shape shape = {HQ, HKV, D};
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    ASSERT_OK(ley_attention_create(&attention, &hardware, &shape));
    struct data data = random_data(shape, 1, T, 61);
    const int first[] = {0, HQ * D, (HQ + HKV) * D};
    double *packed[] = {data.q, data.k, data.v}, *packed_gradient[] = {data.dq, data.dk, data.dv};
    struct ley_heads in[3];
    struct ley_heads_out out[3];
    for (int i = 0; i < 3; i++) {
        in[i] = (struct ley_heads){.f32 = rows + first[i], .head = D, .token = STRIDE};
        out[i] = (struct ley_heads_out){.f32 = drows + first[i], .head = D, .token = STRIDE};
        for (int j = 0; j < (i ? HKV : HQ) * T * D; j++) {
            float *x = &rows[first[i] + j / D % T * STRIDE + j / (T * D) * D + j % D];
            *x = (float)packed[i][j];
            packed[i][j] = (double)*x;
        }
    }
    for (int j = 0; j < HQ * T * D; j++) {
        float *x = &dout[j / D % T * HQ * D + j / (T * D) * D + j % D];
        *x = (float)data.dout[j];
        data.dout[j] = (double)*x;
    }
    run_backward(&data, attention);
    const struct ley_attention_gradient gradient = {
        .dout = {.f32 = dout, .head = D, .token = HQ * D},
        .dq = out[0],
        .dk = out[1],
        .dv = out[2],
    };
    const struct ley_attention_call call = {
        .q = in[0], .k = in[1], .v = in[2], .n_batch = 1, .n_tokens = T};
    ASSERT_OK(ley_attention_backward(&gradient, attention, &call));
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < (i ? HKV : HQ) * T * D; j++) {
            float got = drows[first[i] + j / D % T * STRIDE + j / (T * D) * D + j % D];
            assert_true(got == (float)packed_gradient[i][j]);
        }
    }
    free_data(&data);
    ley_attention_destroy(attention);
}

// ---- the fast form

// Root of the mean square of differences, relative to that of `want`.
static double relative(const double *got, const double *want, int64_t n) {
    double square = 0, off = 0;
    for (int64_t i = 0; i < n; i++) {
        square += want[i] * want[i];
        off += (got[i] - want[i]) * (got[i] - want[i]);
    }
    return sqrt(off / fmax(square, 1e-300));
}

// A layer in integers whose gradients both forms compute. Inputs keep away from the ends of the
// converters: there the two forwards may fall on different sides of a clip.
static struct ley_attention *fixed_layer(struct ley_hardware *hardware,
                                         struct ley_attention_shape *shape, int64_t *T,
                                         uint64_t seed) {
    static const char *const presets[] = {"paper", "paper-linear", "cmos"};
    struct ley_attention *attention;
    ASSERT_OK(ley_hardware_load(hardware, presets[seed % 3]));
    hardware->array.window = 16 + (int)random_between(seed, 1, 0, 80);
    hardware->array.ring = seed % 2 ? hardware->array.window + 7 : 0;
    hardware->array.n_columns = seed % 4 == 0 ? 16 : 5 + (int)random_between(seed, 2, 0, 40);
    hardware->cell.leakage = (int)(seed % 3);
    hardware->cell.tau_s = hardware->time.token_period_s / 0.01;
    hardware->converter.output_levels = seed % 5 == 0 ? 0 : 32;
    if (seed % 3 == 0) {
        hardware->converter.output_i_sat_a = 1e-3; // no output is near a clip
    }
    int n_kv = 1 + (int)(seed % 2);
    *shape = (struct ley_attention_shape){2 * n_kv, n_kv, 3 + (int)random_between(seed, 3, 0, 40)};
    *T = 1 + (int64_t)random_between(seed, 4, 0, 250);
    ASSERT_OK(ley_attention_create(&attention, hardware, shape));
    assert_non_null(attention->fixed);
    attention->follows_law = seed / 3 % 2;
    attention->scaler[LEY_SIGNAL_Q][0] = (struct ley_scaler){0.7, 0.1};
    attention->scaler[LEY_SIGNAL_OUTPUT][0].a = 1.3;
    return attention;
}

// float32 rounds at 6e-8. Beyond that, single scores and outputs are so near to a clip's edge that
// the two forwards see it open and closed: they differ by 2e-7 in S and 4e-5 in A, and scores of
// linear cells that are exactly 0 are noise of either sign in double.
static const double open_tolerance = 2e-5, fast_tolerance = 5e-3;

static void test_fast_is_close_to_the_reference(void **state) {
    (void)state;
    double worst = 0;
    int n_exact = 0;
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct ley_hardware hardware;
        struct ley_attention_shape shape;
        int64_t T, B = 1 + (int64_t)(seed % 2);
        struct ley_attention *attention = fixed_layer(&hardware, &shape, &T, seed);
        struct data want = random_data(shape, B, T, seed), got = random_data(shape, B, T, seed);
        struct ley_attention_call call = call_of(&want), fast_call = call_of(&got);
        struct ley_attention_gradient gradient = gradient_of(&want), fast = gradient_of(&got);
        ASSERT_OK(ley_attention_work_create(&fast_call.work));
        ASSERT_OK(ley_attention_forward(attention, &fast_call)); // leaves its own in the work
        ASSERT_OK(ley_attention_backward(&gradient, attention, &call));
        ASSERT_OK(ley_attention_backward_fast(&fast, attention, &fast_call));
        double off = 0;
        off = fmax(off, relative(got.dq, want.dq, want.n_q));
        off = fmax(off, relative(got.dk, want.dk, want.n_kv));
        off = fmax(off, relative(got.dv, want.dv, want.n_kv));
        for (int i = 0; i < LEY_N_SIGNALS; i++) {
            int n = ley_attention_n_heads(&shape, (enum ley_signal)i);
            off = fmax(off, relative(&got.dscaler[i][0].a, &want.dscaler[i][0].a, 2 * n));
        }
        n_exact += off < 1e-5;
        worst = fmax(worst, off);
        if (!(off < (seed % 3 == 0 ? open_tolerance : fast_tolerance))) {
            fail_msg("seed %d: off by %g", (int)seed, off);
        }
        ley_attention_work_destroy(fast_call.work);
        free_data(&want);
        free_data(&got);
        ley_attention_destroy(attention);
    }
    print_message("fast gradients within %.2g, %d of 30 within 1e-5\n", worst, n_exact);
}

// A law cannot be told in units of a linear slope of 0: the reference steps in.
static void test_fast_without_a_linear_slope(void **state) {
    (void)state;
    const struct ley_attention_shape shape = {2, 1, 8};
    struct ley_hardware hardware;
    struct ley_attention *attention;
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    hardware.cell.slope_a_per_v = 0;
    ASSERT_OK(ley_attention_create(&attention, &hardware, &shape));
    attention->follows_law = true;
    struct data want = random_data(shape, 1, 40, 3), got = random_data(shape, 1, 40, 3);
    struct ley_attention_call call = call_of(&want), fast_call = call_of(&got);
    struct ley_attention_gradient gradient = gradient_of(&want), fast = gradient_of(&got);
    ASSERT_OK(ley_attention_backward(&gradient, attention, &call));
    ASSERT_OK(ley_attention_backward_fast(&fast, attention, &fast_call));
    assert_true(want.dk[0] != 0);
    assert_memory_equal(got.dk, want.dk, (size_t)want.n_kv * sizeof(double));
    assert_memory_equal(got.dq, want.dq, (size_t)want.n_q * sizeof(double));
    free_data(&want);
    free_data(&got);
    ley_attention_destroy(attention);
}

static void test_fast_has_the_same_bits_everywhere(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct ley_hardware hardware;
        struct ley_attention_shape shape;
        int64_t T;
        struct ley_attention *attention = fixed_layer(&hardware, &shape, &T, seed);
        struct data want = random_data(shape, 2, T, seed);
        for (int isa = LEY_ISA_SCALAR; isa < LEY_N_ISAS; isa++) {
            struct data got = random_data(shape, 2, T, seed), *to = isa ? &got : &want;
            struct ley_attention_call call = call_of(to);
            struct ley_attention_gradient gradient = gradient_of(to);
            attention->kernels = ley_kernels_best((enum ley_isa)isa);
            omp_set_num_threads(1 + isa % 3);
            ASSERT_OK(ley_attention_backward_fast(&gradient, attention, &call));
            if (isa) {
                assert_memory_equal(got.dq, want.dq, (size_t)want.n_q * sizeof(double));
                assert_memory_equal(got.dk, want.dk, (size_t)want.n_kv * sizeof(double));
                assert_memory_equal(got.dv, want.dv, (size_t)want.n_kv * sizeof(double));
                for (int i = 0; i < LEY_N_SIGNALS; i++) {
                    int n = ley_attention_n_heads(&shape, (enum ley_signal)i);
                    assert_memory_equal(got.dscaler[i], want.dscaler[i],
                                        (size_t)n * sizeof(struct ley_scaler));
                }
            }
            free_data(&got);
        }
        free_data(&want);
        ley_attention_destroy(attention);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backward_golden),
        cmocka_unit_test(test_backward_all),
        cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_finite_differences_of_laws),
        cmocka_unit_test(test_group_is_a_sum),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_scaler_gradients_accumulate),
        cmocka_unit_test(test_rows_in_place),
        cmocka_unit_test(test_fast_is_close_to_the_reference),
        cmocka_unit_test(test_fast_without_a_linear_slope),
        cmocka_unit_test(test_fast_has_the_same_bits_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
