// test_adapter.c - adapters: written from a net, applied to a model file, merged; other models
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/counting_alloc.h"
#include "support/random_model.h"
#include "support/support.h"

enum { B = 2, T = 20, RANK = 3, MOST_TENSORS = 64 };

// A net on a chip whose changes and scalers are all away from their start.
struct fixture {
    struct ley_model_config config;
    struct ley_net *net;
    struct ley_hardware hardware;
    struct ley_lora_spec spec;
    int32_t tokens[B * T];
    char base[128], adapter[128], merged[128];
};

static const char HARDWARE[] = "cell: {law: cubic}\n";

static void disturb(struct ley_net *net) {
    struct ley_parameters *p = ley_net_parameters(net);
    for (int t = 0; t < p->n_tensors; t++) {
        const struct ley_parameter *tensor = &p->tensor[t];
        for (int64_t i = 0;
             tensor->weight == LEY_N_WEIGHTS && i < tensor->n_rows * tensor->n_columns; i++) {
            p->value[tensor->offset + i] +=
                (float)random_between(7, (uint64_t)(tensor->offset + i), -0.1, 0.1);
        }
    }
    ASSERT_OK(ley_net_pack(net));
}

static void write_base(struct fixture *f) {
    struct ley_model_file *file;
    struct ley_conversion done;
    const struct ley_model_update update = {.weights = random_source(&f->config)};
    ASSERT_OK(ley_model_file_make(&file, &f->config, &update));
    ASSERT_OK(ley_model_convert_gguf(&done, f->base, file, ley_block_type(LEY_BLOCK_F32), NULL));
    ley_model_file_close(file);
}

static void make_net(struct fixture *f, const char *matrices, int rank) {
    struct ley_parameter extra[MOST_TENSORS];
    const struct ley_weight_source source = random_source(&f->config);
    f->spec = (struct ley_lora_spec){.rank = rank, .alpha = 6, .seed = 5};
    ASSERT_OK(ley_lora_weights(&f->spec.weights, matrices, &f->config));
    int n_scalers = f->config.n_layers * LEY_SCALER_TENSORS;
    int n = ley_lora_tensor_count(&f->config, &f->spec);
    assert_true(n_scalers + n <= MOST_TENSORS);
    ley_scaler_parameters(extra, &f->config);
    ley_lora_tensors(extra + n_scalers, &f->config, &f->spec);
    ASSERT_OK(ley_net_create(&f->net, &f->config, &source, LEY_NN_F32, extra, n_scalers + n));
    ASSERT_OK(ley_net_set_analog(f->net, &f->hardware));
    for (int l = 0; l < f->config.n_layers; l++) {
        ley_model_attention(ley_net_model(f->net), l)->centres_keys = true; // M25
    }
    ASSERT_OK(ley_net_set_lora(f->net, &f->spec));
}

static void make(struct fixture *f, enum ley_family family, const char *matrices) {
    memset(f, 0, sizeof *f);
    f->config = random_config(family);
    ASSERT_OK(ley_hardware_load(&f->hardware, "paper"));
    snprintf(f->base, sizeof f->base, "%s/base.gguf", test_folder);
    snprintf(f->adapter, sizeof f->adapter, "%s/adapter.gguf", test_folder);
    snprintf(f->merged, sizeof f->merged, "%s/merged.gguf", test_folder);
    for (int i = 0; i < B * T; i++) {
        f->tokens[i] = (int32_t)random_between(1, (uint64_t)i, 0, 61);
    }
    make_net(f, matrices, RANK);
    disturb(f->net);
    write_base(f);
}

static void save(struct fixture *f, uint32_t type) {
    const struct ley_adapter_facts facts = {HARDWARE, "adapted", ley_block_type(type)};
    ASSERT_OK(ley_adapter_save(f->adapter, f->net, &facts));
}

static double session_loss(const struct fixture *f, const struct ley_model *model) {
    struct ley_session *session;
    double mean;
    ASSERT_OK(ley_session_create(&session, model, B, T));
    ASSERT_OK(ley_session_loss(&mean, NULL, session, f->tokens, f->tokens, T, NULL));
    ley_session_destroy(session);
    return mean;
}

// Of a model file on the fixture's chip, with an adapter if one is named.
static double file_loss(const struct fixture *f, const char *path, const char *adapter) {
    struct ley_model_file *file;
    struct ley_model *model;
    struct ley_scaler_set set;
    bool has_scalers;
    ASSERT_OK(ley_model_file_open(&file, path));
    if (adapter) {
        ASSERT_OK(ley_model_file_apply(file, adapter));
    }
    const struct ley_weight_source source = ley_model_file_source(file);
    ASSERT_OK(ley_model_create(&model, ley_model_file_config(file), &source, LEY_NN_F32));
    ASSERT_OK(ley_model_set_analog(model, &f->hardware));
    ASSERT_OK(ley_model_file_scalers(file, &set, &has_scalers));
    assert_true(has_scalers);
    assert_string_equal(ley_model_file_scaler_origin(file), "adapted");
    struct ley_string hardware = ley_model_file_hardware(file);
    assert_int_equal(hardware.n, strlen(HARDWARE));
    assert_memory_equal(hardware.text, HARDWARE, hardware.n);
    for (int l = 0; l < f->config.n_layers; l++) {
        ley_scaler_set_apply(&set, ley_model_attention(model, l), l);
    }
    double loss = session_loss(f, model);
    ley_scaler_set_destroy(&set);
    ley_model_destroy(model);
    ley_model_file_close(file);
    return loss;
}

static void merge(const struct fixture *f) {
    struct ley_model_file *file;
    struct ley_conversion done;
    ASSERT_OK(ley_model_file_open(&file, f->base));
    ASSERT_OK(ley_model_file_apply(file, f->adapter));
    ASSERT_OK(ley_model_convert_gguf(&done, f->merged, file, ley_block_type(LEY_BLOCK_F32), NULL));
    ley_model_file_close(file);
}

static bool go_on(void *context, int64_t n_done, int64_t n_total) {
    return n_done <= n_total && *(const bool *)context;
}

// What the merged model is more than the base, as an adapter again.
static enum ley_status extract(struct fixture *f, struct ley_extraction *done, bool goes_on) {
    struct ley_model_file *base = NULL, *merged = NULL;
    const struct ley_block_type *type = ley_block_type(LEY_BLOCK_F32);
    enum ley_status status = ley_model_file_open(&base, f->base);
    status = status == LEY_OK ? ley_model_file_open(&merged, f->merged) : status;
    if (status == LEY_OK) {
        status = ley_adapter_extract(done, f->adapter, base, merged, RANK, type,
                                     (struct ley_progress){go_on, &goes_on});
    }
    ley_model_file_close(base);
    ley_model_file_close(merged);
    return status;
}

// The base is written with rotary pairs, the net has halves: rows of B change places twice.
static void test_round_trip(void **state) {
    (void)state;
    for (int family = 0; family < 2; family++) {
        struct fixture f;
        make(&f, (enum ley_family)family, "all");
        double want = session_loss(&f, ley_net_model(f.net));
        save(&f, LEY_BLOCK_F32);
        double applied = file_loss(&f, f.base, f.adapter);
        merge(&f);
        double merged = file_loss(&f, f.merged, NULL);
        print_message("loss %.9f, applied %.1e, merged %.1e\n", want, applied - want,
                      merged - want);
        assert_true(fabs(applied - want) < 1e-6); // rows in another order are summed in another
        assert_true(merged == applied);
        struct ley_extraction done;
        ASSERT_OK(extract(&f, &done, true));
        double extracted = file_loss(&f, f.base, f.adapter);
        print_message("extracted %.1e\n", extracted - want);
        assert_int_equal(done.n_changes, ley_lora_tensor_count(&f.config, &f.spec) / 2);
        assert_true(fabs(done.kept - 1) < 1e-6 && done.left_behind == 0);
        assert_true(fabs(extracted - want) < 1e-3); // factors are others: converters may tip
        ASSERT_FAILS(extract(&f, &done, false), LEY_E_INTERRUPTED, "nothing was written");
        save(&f, LEY_BLOCK_F16);
        assert_true(fabs(file_loss(&f, f.base, f.adapter) - want) < 2e-2);
        ley_net_destroy(f.net);
    }
}

// What a net is started from is what was saved.
static void test_net_goes_on_from_an_adapter(void **state) {
    (void)state;
    struct fixture f, g;
    struct ley_adapter *adapter;
    make(&f, LEY_FAMILY_LLAMA, "q,o,up");
    save(&f, LEY_BLOCK_F32);
    g = f;
    make_net(&g, "q,o,up", RANK);
    const struct ley_weight_source source = random_source(&g.config);
    ASSERT_OK(ley_adapter_open(&adapter, f.adapter, &g.config, &source));
    assert_int_equal(ley_adapter_n_changes(adapter), 6);
    ASSERT_OK(ley_adapter_give(g.net, adapter));
    const struct ley_lora want = ley_net_lora_of(f.net, LEY_WEIGHT_ATTN_Q, 1);
    const struct ley_lora got = ley_net_lora_of(g.net, LEY_WEIGHT_ATTN_Q, 1);
    assert_memory_equal(got.a, want.a, (size_t)(RANK * want.n_columns) * sizeof *want.a);
    assert_memory_equal(got.b, want.b, (size_t)(RANK * want.n_rows) * sizeof *want.b);
    ley_net_destroy(g.net);
    make_net(&g, "q,o", RANK);
    ASSERT_FAILS(ley_adapter_give(g.net, adapter), LEY_E_ARGUMENT, "FFN_UP has rank 3");
    ley_adapter_close(adapter);
    ley_net_destroy(g.net);
    ley_net_destroy(f.net);
}

// More rank, other places to change and another scale: the effective weights stay.
static void test_rank_grows(void **state) {
    (void)state;
    struct fixture f, g;
    struct ley_adapter *adapter;
    enum { INPUTS = 64 };
    float want[INPUTS] = {0}, got[INPUTS] = {0};
    make(&f, LEY_FAMILY_LLAMA, "q,o,up");
    save(&f, LEY_BLOCK_F32);
    g = f;
    make_net(&g, "q,o,up,down", 2 * RANK + 1);
    const struct ley_weight_source source = random_source(&g.config);
    ASSERT_OK(ley_adapter_open(&adapter, f.adapter, &g.config, &source));
    ASSERT_OK(ley_adapter_give(g.net, adapter));
    const struct ley_lora low = ley_net_lora_of(f.net, LEY_WEIGHT_FFN_UP, 1);
    const struct ley_lora high = ley_net_lora_of(g.net, LEY_WEIGHT_FFN_UP, 1);
    assert_true(low.n_columns <= INPUTS && high.rank > low.rank && high.scale != low.scale);
    ley_lora_add(want, &low, 2, 1);
    ley_lora_add(got, &high, 2, 1);
    for (int64_t i = 0; i < low.n_columns; i++) {
        assert_true(want[i] != 0 && fabsf(got[i] - want[i]) < 1e-6F * (1 + fabsf(want[i])));
    }
    ley_adapter_close(adapter);
    ley_net_destroy(g.net);
    ley_net_destroy(f.net);
}

static void refuse(const struct fixture *f, struct ley_model_config config, const char *part) {
    struct ley_adapter *adapter;
    const struct ley_weight_source source = random_source(&config);
    ASSERT_FAILS(ley_adapter_open(&adapter, f->adapter, &config, &source), LEY_E_FORMAT, part);
    assert_null(adapter);
}

static void test_other_models_are_refused(void **state) {
    (void)state;
    struct fixture f;
    struct ley_model_config other;
    make(&f, LEY_FAMILY_LLAMA, "attn");
    save(&f, LEY_BLOCK_BF16);
    refuse(&f, random_config(LEY_FAMILY_GPT2), "its architecture is 'llama', the model's gpt2");
    other = f.config;
    other.n_layers = 1;
    refuse(&f, other, "of its 16 tensors 8 have a place in these 1 layers");
    other.n_layers = 3;
    refuse(&f, other, "not an array of 12 float32 values");
    other = f.config;
    other.d_model = 64;
    refuse(&f, other, "made for another model: its change of ATTN_Q in layer 0 is 32 x 32");
    struct ley_adapter *adapter;
    const struct ley_weight_source source = random_source(&f.config);
    ASSERT_FAILS(ley_adapter_open(&adapter, f.base, &f.config, &source), LEY_E_FORMAT,
                 "is no adapter");
    struct ley_model_file *file;
    ASSERT_OK(ley_model_file_open(&file, f.base));
    ASSERT_OK(ley_model_file_apply(file, f.adapter));
    struct ley_scaler_set set;
    bool has_scalers;
    ASSERT_OK(ley_model_file_scalers(file, &set, &has_scalers));
    ASSERT_FAILS(ley_model_file_save_scalers(f.merged, file, &set, HARDWARE, "calibrated"),
                 LEY_E_ARGUMENT, "merges");
    ley_scaler_set_destroy(&set);
    ley_model_file_close(file);
    ley_net_destroy(f.net);
}

// Written, opened, applied and extracted in want of memory: every allocation fails once, nothing
// leaks.
static enum ley_status work(struct fixture *f) {
    const struct ley_adapter_facts facts = {HARDWARE, "adapted", ley_block_type(LEY_BLOCK_F16)};
    struct ley_model_file *file;
    struct ley_scaler_set set;
    bool has_scalers;
    LEY_TRY(ley_adapter_save(f->adapter, f->net, &facts));
    LEY_TRY(ley_model_file_open(&file, f->base));
    enum ley_status status = ley_model_file_apply(file, f->adapter);
    if (status == LEY_OK) {
        status = ley_model_file_scalers(file, &set, &has_scalers);
    }
    if (status == LEY_OK) {
        ley_scaler_set_destroy(&set);
    }
    ley_model_file_close(file);
    struct ley_extraction done;
    return status == LEY_OK ? extract(f, &done, true) : status;
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    struct fixture f;
    enum ley_status status = LEY_E_MEMORY;
    int64_t failing = 0;
    make(&f, LEY_FAMILY_LLAMA, "attn");
    save(&f, LEY_BLOCK_F32);
    merge(&f);
    int64_t n_live = counting.n_live;
    while (status != LEY_OK) {
        counting_reset(++failing, false);
        status = work(&f);
        assert_true(status == LEY_OK || status == LEY_E_MEMORY);
        assert_int_equal(counting.n_live, n_live);
    }
    counting_reset(0, false);
    print_message("%d allocations\n", (int)failing - 1);
    assert_true(failing > 30);
    ley_net_destroy(f.net);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_net_goes_on_from_an_adapter),
        cmocka_unit_test(test_rank_grows),
        cmocka_unit_test(test_other_models_are_refused),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
