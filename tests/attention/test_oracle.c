// test_oracle.c - attention forward against the authors' classes (float64), to the last level
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/oracle.h"

static const double score_tolerance = 1e-9; // of full scale: sums in another order, float64
static const double tie_distance = 1e-6;    // of A in steps: the side of a tie that noise decides
static const double out_tolerance = 1e-11;  // continuous outputs: sums over up to 16 tiles

// M21 in integers: S is float32, weights of V are 16 bits of the largest current.
static const double fixed_score_tolerance = 2e-6;  // of S_sat
static const double fixed_output_tolerance = 1e-4; // of A_sat
static const double fixed_tie_distance = 1.5e-3;   // fixed_output_tolerance in steps

struct oracle_case {
    const char *folder;
    struct cJSON *meta;
    int64_t shape[LEY_MAX_DIMS]; // of q: B, H, T, D
    int n_tiles;
    bool is_quantised;
    double *out, *s, *phi, *a; // ours
    int32_t *code;
};

static void run(struct oracle_case *oracle, const char *model, int arithmetic) {
    struct ley_hardware hardware = oracle_hardware(oracle->meta, model, oracle->shape[2]);
    hardware.array.arithmetic = arithmetic;
    struct ley_attention *attention =
        oracle_attention(&hardware, (int)oracle->shape[1], (int)oracle->shape[3], oracle->folder);
    int64_t n, T = oracle->shape[2], BH = oracle->shape[0] * oracle->shape[1];
    double *q = load_array(&n, NULL, oracle->folder, "q.npy");
    double *k = load_array(&n, NULL, oracle->folder, "k.npy");
    double *v = load_array(&n, NULL, oracle->folder, "v.npy");
    oracle->n_tiles = ley_attention_n_tiles(&hardware, T);
    oracle->out = ley_alloc((size_t)n, sizeof(double));
    oracle->s = ley_alloc((size_t)(BH * T * T), sizeof(double));
    oracle->phi = ley_alloc((size_t)(BH * T * T), sizeof(double));
    oracle->a = ley_alloc((size_t)(n * oracle->n_tiles), sizeof(double));
    oracle->code = ley_alloc((size_t)(n * oracle->n_tiles), sizeof(int32_t));
    struct ley_attention_trace trace = {.n_tokens = T,
                                        .s = oracle->s,
                                        .phi = oracle->phi,
                                        .a = oracle->a,
                                        .out_code = oracle->code};
    struct ley_attention_call call =
        packed_call(oracle->out, q, k, v, &attention->shape, oracle->shape[0], T);
    call.trace = &trace;
    ASSERT_OK(ley_attention_forward(attention, &call));
    ley_free(q);
    ley_free(k);
    ley_free(v);
    ley_attention_destroy(attention);
}

// Query rows that the reference holds: all, or those listed in rows.npy.
static double *rows_of(const struct oracle_case *oracle, const char *folder, int64_t *n_rows) {
    char path[4096];
    snprintf(path, sizeof path, "%s/rows.npy", folder);
    if (ley_file_exists(path)) {
        return load_array(n_rows, NULL, folder, "rows.npy");
    }
    *n_rows = oracle->shape[2];
    double *rows = ley_alloc((size_t)*n_rows, sizeof *rows);
    for (int64_t t = 0; t < *n_rows; t++) {
        rows[t] = (double)t;
    }
    return rows;
}

// Compares arrays (groups, T, width) of ours with (groups, rows, width) of the reference.
static void compare_rows(const struct oracle_case *oracle, const double *ours, int64_t width,
                         const char *folder, const char *name, double tolerance) {
    int64_t n_rows, count, T = oracle->shape[2];
    double *rows = rows_of(oracle, folder, &n_rows), *want = load_array(&count, NULL, folder, name);
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t group = i / (n_rows * width), row = i / width % n_rows;
        double got = ours[(group * T + (int64_t)rows[row]) * width + i % width];
        worst = fmax(worst, fabs(got - want[i]));
    }
    if (!(worst <= tolerance)) {
        fail_msg("%s/%s: off by %g", folder, name, worst);
    }
    ley_free(rows);
    ley_free(want);
}

static void compare_codes(const struct oracle_case *oracle, const char *folder, bool is_fixed) {
    int64_t n_rows, count, T = oracle->shape[2], D = oracle->shape[3], n_differ = 0;
    double *rows = rows_of(oracle, folder, &n_rows);
    double *want = load_array(&count, NULL, folder, "ref_Aq.npy");
    double half = (oracle_number(oracle->meta, "levels_output") - 1) / 2;
    for (int64_t i = 0; i < count; i++) {
        int64_t at = (i / (n_rows * D) * T + (int64_t)rows[i / D % n_rows]) * D + i % D;
        if (oracle->code[at] != (int32_t)rint(want[i] * half)) {
            double steps = fabs(oracle->a[at]) * half;
            bool is_tie =
                fabs(steps - floor(steps) - 0.5) < (is_fixed ? fixed_tie_distance : tie_distance);
            assert_true(T > 256 && is_tie);
            n_differ++;
        }
    }
    if (n_differ) {
        print_message("%s: %lld ties fell to the other side\n", folder, (long long)n_differ);
    }
    ley_free(rows);
    ley_free(want);
}

static void check_out(const struct oracle_case *oracle, const char *folder, bool is_fixed) {
    int64_t n;
    double *want = load_array(&n, NULL, folder, "ref_out.npy");
    bool is_exact = oracle->is_quantised && oracle->shape[2] <= 256;
    double off = largest_difference(oracle->out, want, (size_t)n);
    if (is_fixed && !is_exact) {
        ley_free(want);
        return; // a tie that fell to the other side moves a whole step: compare_codes told
    }
    double exact = is_fixed ? 0x1p-48 : 0; // counts are summed before they are scaled
    if (!(off <= (is_exact ? exact : out_tolerance))) {
        fail_msg("%s/ref_out.npy: off by %g", folder, off);
    }
    ley_free(want);
}

// Compares what the case holds of an intermediate: some hold only the outputs.
static void compare_if_there(const struct oracle_case *oracle, const double *ours, int64_t width,
                             const char *folder, const char *name, double tolerance) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (ley_file_exists(path)) {
        compare_rows(oracle, ours, width, folder, name, tolerance);
    }
}

static void check_model(struct oracle_case *oracle, const char *model, int arithmetic) {
    bool is_fixed = arithmetic == LEY_ARITHMETIC_FIXED;
    double s_tolerance = is_fixed ? fixed_score_tolerance : score_tolerance;
    double a_tolerance = is_fixed ? fixed_output_tolerance : score_tolerance;
    char folder[2048];
    snprintf(folder, sizeof folder, "%s/%s", oracle->folder, model);
    run(oracle, model, arithmetic);
    int64_t T = oracle->shape[2], D = oracle->shape[3];
    compare_if_there(oracle, oracle->s, T, folder, "ref_S.npy", s_tolerance);
    compare_if_there(oracle, oracle->a, D, folder, "ref_A.npy", a_tolerance);
    // stored in float32
    compare_if_there(oracle, oracle->phi, T, folder, "ref_phi.npy",
                     is_fixed ? s_tolerance : 0x1p-24);
    if (oracle->is_quantised) {
        compare_codes(oracle, folder, is_fixed);
    }
    check_out(oracle, folder, is_fixed);
    ley_free(oracle->out);
    ley_free(oracle->s);
    ley_free(oracle->phi);
    ley_free(oracle->a);
    ley_free(oracle->code);
}

// Every model whose results the case holds.
static void check_case(const char *folder) {
    int64_t n;
    struct oracle_case oracle = {.folder = folder, .meta = load_meta(folder)};
    const struct cJSON *models = cJSON_GetObjectItem(oracle.meta, "models"), *model;
    ley_free(load_array(&n, oracle.shape, folder, "q.npy"));
    assert_true(cJSON_GetArraySize(models) >= 1);
    cJSON_ArrayForEach(model, models) {
        // the nonlinear classes leave q and outputs continuous
        oracle.is_quantised = cJSON_IsTrue(cJSON_GetObjectItem(oracle.meta, "quantised")) &&
                              strncmp(model->valuestring, "nl", 2) != 0;
        check_model(&oracle, model->valuestring, LEY_ARITHMETIC_DOUBLE);
        if (oracle.is_quantised) {
            check_model(&oracle, model->valuestring, LEY_ARITHMETIC_FIXED);
        }
    }
    cJSON_Delete(oracle.meta);
}

// The softmax cases of nl/ are not for the arrays.
static void check_nonlinear_case(const char *folder) {
    if (!strstr(folder, "/sliding_")) {
        check_case(folder);
    }
}

static void test_forward_golden(void **state) {
    (void)state;
    assert_int_equal(oracle_for_each(source_path("tests/golden/oracle/forward"), check_case), 3);
}

static void test_forward_all(void **state) {
    (void)state;
    if (!oracle_folder()) {
        skip();
    }
    char path[2048];
    snprintf(path, sizeof path, "%s/forward", oracle_folder());
    print_message("%d cases, linear and cubic\n", oracle_for_each(path, check_case));
}

static void test_nonlinear_golden(void **state) {
    (void)state;
    const char *folder = source_path("tests/golden/oracle/nl");
    assert_int_equal(oracle_for_each(folder, check_nonlinear_case), 1);
}

static void test_nonlinear_all(void **state) {
    (void)state;
    if (!oracle_folder()) {
        skip();
    }
    char path[2048];
    snprintf(path, sizeof path, "%s/nl", oracle_folder());
    print_message("%d cases\n", oracle_for_each(path, check_nonlinear_case));
}

// ---- the authors' two 64x64 files: no scalers, no quantisers, and a decay of exp(-1e-4 lag) on
// all orders alike, the constant included (cell.leakage = uniform)

static const double file_tolerance = 2e-6; // of full scale: the files are float32 computations

static struct ley_attention *make_npz_attention(bool is_negated) {
    struct ley_hardware hardware;
    struct ley_attention *attention;
    ASSERT_OK(ley_hardware_load(&hardware, "paper"));
    hardware.array.window = 64;
    hardware.cell.leakage = LEY_LEAK_UNIFORM;
    hardware.cell.tau_s = hardware.time.token_period_s / 1e-4;
    hardware.converter.q_levels = hardware.converter.kv_levels = 0;
    hardware.converter.output_levels = 0;
    for (int i = 0; i < 4; i++) {
        hardware.cell.p_a[i] *= is_negated ? -1 : 1;
    }
    ASSERT_OK(ley_attention_create(&attention, &hardware, &(struct ley_attention_shape){1, 1, 64}));
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        attention->scaler[i][0] = (struct ley_scaler){1, 0};
    }
    return attention;
}

static void check_npz(const char *name, bool is_negated) {
    char folder[2048];
    snprintf(folder, sizeof folder, "%s/npz/%s", oracle_folder(), name);
    int64_t n;
    double *q = load_array(&n, NULL, folder, "Q.npy"), *k = load_array(&n, NULL, folder, "K.npy");
    double *v = load_array(&n, NULL, folder, "V.npy"), *s = load_array(&n, NULL, folder, "S.npy");
    double *phi = load_array(&n, NULL, folder, "phi_S.npy");
    double *out = load_array(&n, NULL, folder, "output.npy");
    double *our_out = ley_alloc((size_t)n, sizeof(double)),
           *our_s = ley_alloc((size_t)n, sizeof(double));
    double *our_phi = ley_alloc((size_t)n, sizeof(double));
    struct ley_attention *attention = make_npz_attention(is_negated);
    struct ley_attention_trace trace = {.n_tokens = 64, .s = our_s, .phi = our_phi};
    struct ley_attention_call call = packed_call(our_out, q, k, v, &attention->shape, 10, 64);
    call.trace = &trace;
    ASSERT_OK(ley_attention_forward(attention, &call));
    for (int64_t i = 0; i < n; i++) {
        our_s[i] *= 80;
    }
    assert_true(largest_difference(our_s, s, (size_t)n) < 80 * file_tolerance);
    assert_true(largest_difference(our_phi, phi, (size_t)n) < file_tolerance);
    assert_true(largest_difference(our_out, out, (size_t)n) < file_tolerance);
    double *all[] = {q, k, v, s, phi, out, our_out, our_s, our_phi};
    for (int i = 0; i < 9; i++) {
        ley_free(all[i]);
    }
    ley_attention_destroy(attention);
}

static void test_published_files(void **state) {
    (void)state;
    if (!oracle_folder()) {
        skip();
    }
    check_npz("64x64_single_arrays_final_output_pulse_notquant", false);
    check_npz("64x64_single_arrays_with_minus_one", true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_golden),   cmocka_unit_test(test_forward_all),
        cmocka_unit_test(test_nonlinear_golden), cmocka_unit_test(test_nonlinear_all),
        cmocka_unit_test(test_published_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
