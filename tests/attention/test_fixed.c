// test_fixed.c - attention in integers: the same bits everywhere, close to the double definition
#include <math.h>
#include <omp.h>
#include <string.h>

#include "support/support.h"

// One random layer and its input.
struct layer {
    struct ley_hardware hardware;
    struct ley_attention_shape shape;
    int64_t B, T, n_q, n_kv, n_s;
    double *q, *k, *v;
};

// What a run gave.
struct outcome {
    double *out, *s, *a;
    struct ley_ledger ledger;
};

static double *new_array(int64_t n) {
    double *x = ley_alloc((size_t)n, sizeof *x);
    assert_non_null(x);
    return x;
}

static void make_inputs(struct layer *layer, uint64_t seed) {
    const struct ley_attention_shape *shape = &layer->shape;
    layer->n_q = layer->B * shape->n_query_heads * layer->T * shape->head_dim;
    layer->n_kv = layer->B * shape->n_kv_heads * layer->T * shape->head_dim;
    layer->n_s = layer->B * shape->n_query_heads * layer->T * layer->T;
    layer->q = new_array(layer->n_q);
    layer->k = new_array(layer->n_kv);
    layer->v = new_array(layer->n_kv);
    fill_random(layer->q, (size_t)layer->n_q, seed, -0.3, 1.2);
    fill_random(layer->k, (size_t)layer->n_kv, seed + 1, -0.6, 0.6);
    fill_random(layer->v, (size_t)layer->n_kv, seed + 2, -0.6, 0.6);
}

// Levels, windows, rings, laps, widths and leakage of all kinds.
static struct layer make_layer(uint64_t seed) {
    static const char *const presets[] = {"paper", "paper-linear", "cmos"};
    struct layer layer = {.B = 1 + (int64_t)(seed % 2)};
    struct ley_hardware *hardware = &layer.hardware;
    ASSERT_OK(ley_hardware_load(hardware, presets[seed % 3]));
    int window = (int)random_between(seed, 1, 1, 90);
    hardware->array.window = window;
    hardware->array.ring = seed % 4 == 0 ? window + (int)random_between(seed, 2, 0, 40) : 0;
    hardware->array.n_columns = seed % 2 ? 16 : (int)random_between(seed, 3, 1, 40);
    hardware->converter.kv_levels = (int)random_between(seed, 4, 2, 17);
    hardware->converter.q_levels = (int)random_between(seed, 5, 2, 17);
    hardware->converter.output_levels = seed % 5 ? (int)random_between(seed, 6, 2, 64) : 0;
    hardware->cell.leakage = (int)(seed % 3);
    hardware->cell.tau_s = hardware->time.token_period_s / random_between(seed, 7, 1e-4, 0.05);
    int n_kv = (int)random_between(seed, 8, 1, 3), n_group = (int)random_between(seed, 9, 1, 4);
    layer.shape =
        (struct ley_attention_shape){n_kv * n_group, n_kv, (int)random_between(seed, 10, 1, 70)};
    layer.T = seed % 4 == 1 ? 3 * window + 5 : (int64_t)random_between(seed, 11, 1, 150);
    make_inputs(&layer, seed * 10);
    return layer;
}

static void free_layer(struct layer *layer) {
    ley_free(layer->q);
    ley_free(layer->k);
    ley_free(layer->v);
}

static struct outcome run(const struct layer *layer, int arithmetic,
                          const struct ley_kernels *kernels) {
    struct ley_hardware hardware = layer->hardware;
    hardware.array.arithmetic = arithmetic;
    struct ley_attention *attention;
    ASSERT_OK(ley_attention_create(&attention, &hardware, &layer->shape));
    int n_tiles = ley_attention_n_tiles(&hardware, layer->T);
    struct outcome outcome = {
        new_array(layer->n_q), new_array(layer->n_s), new_array(layer->n_q * n_tiles), {0}};
    const struct ley_attention_trace trace = {.n_tokens = layer->T, .s = outcome.s, .a = outcome.a};
    struct ley_attention_call call =
        packed_call(outcome.out, layer->q, layer->k, layer->v, &layer->shape, layer->B, layer->T);
    call.trace = &trace;
    call.ledger = &outcome.ledger;
    assert_int_equal(attention->fixed != NULL, arithmetic == LEY_ARITHMETIC_FIXED);
    if (kernels) {
        attention->kernels = kernels;
    }
    ASSERT_OK(ley_attention_forward(attention, &call));
    ley_attention_destroy(attention);
    return outcome;
}

static void free_outcome(struct outcome *outcome) {
    ley_free(outcome->out);
    ley_free(outcome->s);
    ley_free(outcome->a);
}

static void test_every_isa_gives_the_same_bits(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct layer layer = make_layer(seed);
        omp_set_num_threads(1);
        struct outcome want = run(&layer, LEY_ARITHMETIC_FIXED, ley_kernels_get(LEY_ISA_SCALAR));
        int64_t n_a = layer.n_q * ley_attention_n_tiles(&layer.hardware, layer.T);
        for (int isa = LEY_ISA_SCALAR; isa < LEY_N_ISAS; isa++) {
            omp_set_num_threads(1 + (int)(seed + (uint64_t)isa) % 3);
            struct outcome got =
                run(&layer, LEY_ARITHMETIC_FIXED, ley_kernels_best((enum ley_isa)isa));
            assert_memory_equal(got.out, want.out, (size_t)layer.n_q * sizeof(double));
            assert_memory_equal(got.s, want.s, (size_t)layer.n_s * sizeof(double));
            assert_memory_equal(got.a, want.a, (size_t)n_a * sizeof(double));
            assert_memory_equal(&got.ledger, &want.ledger, sizeof want.ledger);
            free_outcome(&got);
        }
        free_outcome(&want);
        free_layer(&layer);
    }
}

// MODEL.md M21 states these. Counts of conversions that lie on a boundary may differ.
static const double score_tolerance = 3e-6;  // of S_sat
static const double output_tolerance = 3e-4; // of A_sat: 64 rounded weights and wide tables
static const double charge_tolerance = 1e-4; // of a charge or a time

static void check_events(const struct outcome *fixed, const struct outcome *exact) {
    int n;
    const struct ley_event *events = ley_events(&n);
    for (int i = 0; i < n; i++) {
        double x = ley_ledger_value(&fixed->ledger, &events[i]);
        double y = ley_ledger_value(&exact->ledger, &events[i]);
        bool is_net = strstr(events[i].name, "net") != NULL; // small differences of large sums
        double whole = is_net ? exact->ledger.k_charge_c + exact->ledger.v_charge_c : y;
        double allowed = charge_tolerance * fabs(whole) + 1e-18;
        bool is_decided = strstr(events[i].name, "saturated") || strstr(events[i].name, "zero") ||
                          strcmp(events[i].name, "counter_ticks") == 0;
        if (events[i].is_count) {
            // sums that are exactly 0 (linear cells) are noise of either sign in double
            allowed = is_decided ? 2 + 3e-2 * y : 0;
        }
        if (!(fabs(x - y) <= allowed)) {
            fail_msg("%s: %.9g, in double %.9g", events[i].name, x, y);
        }
    }
}

static void test_fixed_is_close_to_double(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct layer layer = make_layer(seed);
        int64_t n_a = layer.n_q * ley_attention_n_tiles(&layer.hardware, layer.T);
        struct outcome fixed = run(&layer, LEY_ARITHMETIC_FIXED, NULL);
        struct outcome exact = run(&layer, LEY_ARITHMETIC_DOUBLE, NULL);
        double s = largest_difference(fixed.s, exact.s, (size_t)layer.n_s);
        double a = largest_difference(fixed.a, exact.a, (size_t)n_a);
        if (!(s < score_tolerance && a < output_tolerance)) {
            fail_msg("seed %d: S differs by %g, A by %g", (int)seed, s, a);
        }
        check_events(&fixed, &exact);
        free_outcome(&fixed);
        free_outcome(&exact);
        free_layer(&layer);
    }
}

// Tokens at any times, not only once a period: the banks of codes against the banks of cells.
static void test_uneven_times(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct layer layer = make_layer(seed);
        const int64_t D = layer.shape.head_dim, n_q = layer.B * layer.shape.n_query_heads * D;
        struct ley_ledger ledger[2] = {{0}};
        double *out[2];
        for (int i = 0; i < 2; i++) {
            struct ley_hardware hardware = layer.hardware;
            struct ley_attention *attention;
            struct ley_stream *stream;
            hardware.array.arithmetic = i == 0 ? LEY_ARITHMETIC_FIXED : LEY_ARITHMETIC_DOUBLE;
            hardware.converter.output_levels = 0; // no ties
            ASSERT_OK(ley_attention_create(&attention, &hardware, &layer.shape));
            ASSERT_OK(ley_stream_create(&stream, attention, layer.B));
            out[i] = new_array(n_q * layer.T);
            struct ley_attention_call call =
                packed_call(out[i], layer.q, layer.k, layer.v, &layer.shape, layer.B, layer.T);
            call.n_tokens = 1;
            call.ledger = &ledger[i];
            double t_s = 0;
            for (int64_t t = 0; t < layer.T; t++) {
                ley_stream_step(stream, &call, t_s);
                t_s += hardware.time.token_period_s * random_between(seed, (uint64_t)t, 0.5, 1.4);
                call.q.f64 += D;
                call.k.f64 += D;
                call.v.f64 += D;
                call.out.f64 += D;
            }
            ley_stream_destroy(stream);
            ley_attention_destroy(attention);
        }
        int n_tiles = ley_attention_n_tiles(&layer.hardware, layer.T);
        assert_true(largest_difference(out[0], out[1], (size_t)(n_q * layer.T)) <
                    output_tolerance * n_tiles);
        assert_true(fabs(ledger[0].k_charge_c / ledger[1].k_charge_c - 1) < charge_tolerance);
        assert_true(fabs(ledger[0].v_charge_c / ledger[1].v_charge_c - 1) < charge_tolerance);
        ley_free(out[0]);
        ley_free(out[1]);
        free_layer(&layer);
    }
}

// When a fresh cell's current turns its sign as it leaks, charges still count every cell's size.
static void test_turning_signs(void **state) {
    (void)state;
    struct layer layer = {.B = 1, .T = 300, .shape = {4, 2, 32}};
    ASSERT_OK(ley_hardware_load(&layer.hardware, "paper"));
    layer.hardware.array.window = 128;
    layer.hardware.cell.tau_s = layer.hardware.time.token_period_s / 0.02;
    make_inputs(&layer, 99);
    struct outcome fixed = run(&layer, LEY_ARITHMETIC_FIXED, NULL);
    struct outcome exact = run(&layer, LEY_ARITHMETIC_DOUBLE, NULL);
    double k = fixed.ledger.k_charge_c / exact.ledger.k_charge_c - 1;
    double v = fixed.ledger.v_charge_c / exact.ledger.v_charge_c - 1;
    print_message("charge with turning signs: K off by %.2g, V by %.2g\n", k, v);
    assert_true(fabs(k) < 1e-5 && fabs(v) < 2e-3);
    free_outcome(&fixed);
    free_outcome(&exact);
    free_layer(&layer);
}

static void test_what_has_no_integers(void **state) {
    (void)state;
    struct ley_hardware hardware;
    struct ley_attention *attention;
    const struct ley_attention_shape shape = {1, 1, 8};
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    assert_true(ley_hardware_is_fixed(&hardware));
    hardware.converter.kv_levels = 17;
    assert_false(ley_hardware_is_fixed(&hardware));
    hardware.array.arithmetic = LEY_ARITHMETIC_FIXED;
    ASSERT_FAILS(ley_attention_create(&attention, &hardware, &shape), LEY_E_ARGUMENT,
                 "dac.kv_levels");
    hardware.converter.kv_levels = 8;
    hardware.array.n_columns = 1024;
    const struct ley_attention_shape wide = {1, 1, 4096};
    ASSERT_FAILS(ley_attention_create(&attention, &hardware, &wide), LEY_E_ARGUMENT, "32 bits");
    hardware.array.arithmetic = LEY_ARITHMETIC_AUTO;
    hardware.converter.q_levels = 0;
    ASSERT_OK(ley_attention_create(&attention, &hardware, &shape));
    assert_null(attention->fixed);
    ley_attention_destroy(attention);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_isa_gives_the_same_bits),
        cmocka_unit_test(test_fixed_is_close_to_double),
        cmocka_unit_test(test_uneven_times),
        cmocka_unit_test(test_turning_signs),
        cmocka_unit_test(test_what_has_no_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
