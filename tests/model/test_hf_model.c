// test_hf_model.c - folders of a tiny llama and a tiny gpt2, and what is wrong with some
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/container.h"
#include "support/support.h"

enum { MAX_VALUES = 512 };

static struct container container;

static int start(void **state) {
    memset(&container, 0, sizeof container);
    return make_folder(state);
}

static void write_file(const char *name, const void *bytes, size_t n) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", test_folder, name);
    ASSERT_OK(ley_file_write(path, bytes, n));
}

static void write_text(const char *name, const char *text) {
    write_file(name, text, strlen(text));
}

// Writes what was added as a file, and starts anew.
static void write_container(const char *name) {
    container_finish(&container);
    write_file(name, container.file, container.n_file);
    memset(&container, 0, sizeof container);
}

// Value i of a tensor: small halves, exact in every format, different in every tensor.
static float value_of(const char *name, size_t i) {
    unsigned hash = 5381;
    for (const char *c = name; *c; c++) {
        hash = hash * 33 + (unsigned char)*c;
    }
    return (float)((hash + i * 7 + i * i * 3) % 127) / 2 - 31;
}

static void add(const char *name, const char *dtype, int rows, int columns) {
    float values[MAX_VALUES];
    char shape[32];
    size_t n = (size_t)(rows ? rows * columns : columns);
    assert_true(n <= MAX_VALUES);
    for (size_t i = 0; i < n; i++) {
        values[i] = value_of(name, i);
    }
    if (rows) {
        snprintf(shape, sizeof shape, "[%d,%d]", rows, columns);
    } else {
        snprintf(shape, sizeof shape, "[%d]", columns);
    }
    container_add(&container, name, dtype, shape, values, n);
}

static struct ley_model_file *open_folder(void) {
    struct ley_model_file *file;
    ASSERT_OK(ley_model_file_open(&file, test_folder));
    return file;
}

static void assert_refused(enum ley_status status, const char *part) {
    struct ley_model_file *file;
    ASSERT_FAILS(ley_model_file_open(&file, test_folder), status, part);
    assert_null(file);
    assert_non_null(strstr(ley_error_text(), test_folder));
}

// Value (row, column) of the canonical weight is value `first + row * row_step + column *
// column_step` of the tensor.
static void check_weight(struct ley_model_file *file, enum ley_weight weight, int layer,
                         const char *name, int64_t first, int64_t row_step, int64_t column_step) {
    struct ley_weight_source source = ley_model_file_source(file);
    struct ley_weight_info info = ley_weight_info(ley_model_file_config(file), weight);
    float got[MAX_VALUES];
    assert_true(source.has(source.context, weight, layer));
    for (int64_t row = 0; row < info.n_rows; row++) { // one by one: first_row counts
        ASSERT_OK(source.read(source.context, got, weight, layer, row, 1));
        for (int64_t c = 0; c < info.n_columns; c++) {
            size_t i = (size_t)(first + row * row_step + c * column_step);
            assert_float_equal(got[c], value_of(name, i), 0);
        }
    }
    ASSERT_OK(source.read(source.context, got, weight, layer, 0, info.n_rows)); // all at once
    size_t last =
        (size_t)(first + (info.n_rows - 1) * row_step + (info.n_columns - 1) * column_step);
    assert_float_equal(got[info.n_rows * info.n_columns - 1], value_of(name, last), 0);
}

// ---- llama: width 8, 2 layers, 4 heads of 2, 2 key-value heads, feed-forward 12, 10 tokens

#define LLAMA                                                                                      \
    "\"model_type\":\"llama\",\"hidden_size\":8,\"num_hidden_layers\":2,\"num_attention_heads\":"  \
    "4,"                                                                                           \
    "\"num_key_value_heads\":2,\"intermediate_size\":12,\"vocab_size\":10,"                        \
    "\"max_position_embeddings\":32,\"rms_norm_eps\":1e-5,\"hidden_act\":\"silu\""

static void add_llama_layer(const char *prefix, int layer, const char *dtype) {
    static const struct {
        const char *name;
        int rows, columns;
    } tensors[] = {
        {"input_layernorm.weight", 0, 8},  {"self_attn.q_proj.weight", 8, 8},
        {"self_attn.k_proj.weight", 4, 8}, {"self_attn.v_proj.weight", 4, 8},
        {"self_attn.o_proj.weight", 8, 8}, {"post_attention_layernorm.weight", 0, 8},
        {"mlp.gate_proj.weight", 12, 8},   {"mlp.up_proj.weight", 12, 8},
        {"mlp.down_proj.weight", 8, 12},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++) {
        char name[128];
        snprintf(name, sizeof name, "%slayers.%d.%s", prefix, layer, tensors[i].name);
        add(name, dtype, tensors[i].rows, tensors[i].columns);
    }
}

static void write_llama(const char *config, const char *prefix) {
    char name[64];
    add_llama_layer(prefix, 0, "F32");
    add_llama_layer(prefix, 1, "BF16");
    snprintf(name, sizeof name, "%sembed_tokens.weight", prefix);
    add(name, "F16", 10, 8);
    snprintf(name, sizeof name, "%snorm.weight", prefix);
    add(name, "F32", 0, 8);
    write_container("model.safetensors");
    write_text("config.json", config);
}

static void test_llama(void **state) {
    (void)state;
    write_llama("{" LLAMA ",\"tie_word_embeddings\":true,\"rope_theta\":500000.0}", "model.");
    struct ley_model_file *file = open_folder();
    const struct ley_model_config *c = ley_model_file_config(file);
    assert_int_equal(c->family, LEY_FAMILY_LLAMA);
    assert_int_equal(c->activation, LEY_SWIGLU);
    assert_int_equal(c->rope_layout, LEY_ROPE_HALVES);
    assert_true(c->n_layers == 2 && c->d_model == 8 && c->n_heads == 4 && c->n_kv_heads == 2);
    assert_true(c->head_dim == 2 && c->d_ff == 12 && c->n_vocab == 10 && c->n_context == 32);
    assert_true(c->rope_dim == 2 && c->rope_base == 500000 && c->norm_eps == 1e-5);
    assert_string_equal(c->name, strrchr(test_folder, '/') + 1);
    assert_string_equal(ley_model_file_scaler_origin(file), "none");
    check_weight(file, LEY_WEIGHT_TOKEN_EMBEDDING, 0, "model.embed_tokens.weight", 0, 8, 1);
    check_weight(file, LEY_WEIGHT_ATTN_NORM, 1, "model.layers.1.input_layernorm.weight", 0, 0, 1);
    check_weight(file, LEY_WEIGHT_ATTN_Q, 0, "model.layers.0.self_attn.q_proj.weight", 0, 8, 1);
    check_weight(file, LEY_WEIGHT_ATTN_K, 0, "model.layers.0.self_attn.k_proj.weight", 0, 8, 1);
    check_weight(file, LEY_WEIGHT_ATTN_V, 1, "model.layers.1.self_attn.v_proj.weight", 0, 8, 1);
    check_weight(file, LEY_WEIGHT_ATTN_OUT, 1, "model.layers.1.self_attn.o_proj.weight", 0, 8, 1);
    check_weight(file, LEY_WEIGHT_FFN_NORM, 0, "model.layers.0.post_attention_layernorm.weight", 0,
                 0, 1);
    check_weight(file, LEY_WEIGHT_FFN_GATE, 1, "model.layers.1.mlp.gate_proj.weight", 0, 8, 1);
    check_weight(file, LEY_WEIGHT_FFN_UP, 0, "model.layers.0.mlp.up_proj.weight", 0, 8, 1);
    check_weight(file, LEY_WEIGHT_FFN_DOWN, 0, "model.layers.0.mlp.down_proj.weight", 0, 12, 1);
    check_weight(file, LEY_WEIGHT_FINAL_NORM, 0, "model.norm.weight", 0, 0, 1);
    struct ley_weight_source source = ley_model_file_source(file);
    assert_false(source.has(source.context, LEY_WEIGHT_OUTPUT, 0));
    assert_false(source.has(source.context, LEY_WEIGHT_ROPE_FACTORS, 0));
    assert_false(source.has(source.context, LEY_WEIGHT_ATTN_Q_BIAS, 0));
    ley_model_file_close(file);
}

// Names without "model.", an output matrix of its own, biases, and an explicit head width.
static void test_llama_variants(void **state) {
    (void)state;
    static const char *const biases[] = {"q", "k", "v", "o"};
    for (int i = 0; i < 8; i++) {
        char name[64];
        snprintf(name, sizeof name, "layers.%d.self_attn.%s_proj.bias", i / 4, biases[i % 4]);
        add(name, "F32", 0, i % 4 == 1 || i % 4 == 2 ? 4 : 8);
    }
    add("lm_head.weight", "BF16", 10, 8);
    write_llama("{" LLAMA ",\"tie_word_embeddings\":false,\"head_dim\":2,\"attention_bias\":true}",
                "");
    struct ley_model_file *file = open_folder();
    check_weight(file, LEY_WEIGHT_OUTPUT, 0, "lm_head.weight", 0, 8, 1);
    check_weight(file, LEY_WEIGHT_TOKEN_EMBEDDING, 0, "embed_tokens.weight", 0, 8, 1);
    check_weight(file, LEY_WEIGHT_ATTN_K_BIAS, 1, "layers.1.self_attn.k_proj.bias", 0, 0, 1);
    check_weight(file, LEY_WEIGHT_ATTN_OUT_BIAS, 0, "layers.0.self_attn.o_proj.bias", 0, 0, 1);
    ley_model_file_close(file);
}

// A tied matrix may be stored as lm_head.weight only.
static void test_llama_tied_by_the_other_name(void **state) {
    (void)state;
    add_llama_layer("model.", 0, "F32");
    add_llama_layer("model.", 1, "F32");
    add("lm_head.weight", "F32", 10, 8);
    add("model.norm.weight", "F32", 0, 8);
    write_container("model.safetensors");
    write_text("config.json", "{" LLAMA ",\"tie_word_embeddings\":true}");
    struct ley_model_file *file = open_folder();
    check_weight(file, LEY_WEIGHT_TOKEN_EMBEDDING, 0, "lm_head.weight", 0, 8, 1);
    struct ley_weight_source source = ley_model_file_source(file);
    assert_false(source.has(source.context, LEY_WEIGHT_OUTPUT, 0));
    ley_model_file_close(file);
    write_text("config.json", "{" LLAMA ",\"tie_word_embeddings\":false}");
    assert_refused(LEY_E_FORMAT, "tensor model.embed_tokens.weight is missing");
}

// Heads of width 16: 8 frequencies. Factors as transformers computes them (inv_freq / scaled).
static void check_factors(const char *rope, const double *want) {
    char config[1024];
    add("embed_tokens.weight", "F32", 1, 16);
    add("norm.weight", "F32", 0, 16);
    add("layers.0.input_layernorm.weight", "F32", 0, 16);
    add("layers.0.post_attention_layernorm.weight", "F32", 0, 16);
    static const char *const squares[] = {"self_attn.q", "self_attn.k", "self_attn.v",
                                          "self_attn.o", "mlp.gate",    "mlp.up",
                                          "mlp.down"};
    for (int i = 0; i < 7; i++) {
        char name[64];
        snprintf(name, sizeof name, "layers.0.%s_proj.weight", squares[i]);
        add(name, "F32", 16, 16);
    }
    write_container("model.safetensors");
    snprintf(config, sizeof config,
             "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":16,"
             "\"num_hidden_layers\":1,\"num_attention_heads\":1,\"intermediate_size\":16,"
             "\"vocab_size\":1,%s}",
             rope);
    write_text("config.json", config);
    struct ley_model_file *file = open_folder();
    struct ley_weight_source source = ley_model_file_source(file);
    assert_int_equal(source.has(source.context, LEY_WEIGHT_ROPE_FACTORS, 0), want != NULL);
    if (want) {
        float got[8];
        ASSERT_OK(source.read(source.context, got, LEY_WEIGHT_ROPE_FACTORS, 0, 0, 1));
        for (int i = 0; i < 8; i++) {
            assert_true(fabs((double)got[i] - want[i]) <= 2e-6 * want[i]);
        }
    }
    ley_model_file_close(file);
}

static void test_rope_scaling(void **state) {
    (void)state;
    static const double linear[8] = {4, 4, 4, 4, 4, 4, 4, 4};
    static const double llama3[8] = {1, 1, 1, 1, 2.69453018, 8, 8, 8};
    check_factors("\"rope_scaling\":null", NULL);
    check_factors("\"rope_parameters\":{\"rope_theta\":10000.0,\"rope_type\":\"default\"}", NULL);
    check_factors("\"rope_scaling\":{\"type\":\"linear\",\"factor\":4.0}", linear);
    check_factors(
        "\"rope_theta\":500000.0,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0,"
        "\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
        "\"original_max_position_embeddings\":8192}",
        llama3);
    check_factors(
        "\"rope_parameters\":{\"rope_theta\":500000.0,\"rope_type\":\"llama3\",\"factor\":"
        "8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
        "\"original_max_position_embeddings\":8192}",
        llama3);
}

// ---- gpt2: width 6, 1 layer, 2 heads, 9 tokens, 5 positions

#define GPT2                                                                                       \
    "\"architectures\":[\"GPT2LMHeadModel\"],\"model_type\":\"gpt2\",\"n_embd\":6,\"n_layer\":1,"  \
    "\"n_head\":2,\"n_inner\":null,\"vocab_size\":9,\"n_positions\":5"

static void write_gpt2(const char *config, const char *prefix) {
    static const struct {
        const char *name;
        int rows, columns;
    } tensors[] = {
        {"wte.weight", 9, 6},
        {"wpe.weight", 5, 6},
        {"h.0.ln_1.weight", 0, 6},
        {"h.0.ln_1.bias", 0, 6},
        {"h.0.attn.bias", 5, 5},
        {"h.0.attn.c_attn.weight", 6, 18},
        {"h.0.attn.c_attn.bias", 0, 18},
        {"h.0.attn.c_proj.weight", 6, 6},
        {"h.0.attn.c_proj.bias", 0, 6},
        {"h.0.ln_2.weight", 0, 6},
        {"h.0.ln_2.bias", 0, 6},
        {"h.0.mlp.c_fc.weight", 6, 24},
        {"h.0.mlp.c_fc.bias", 0, 24},
        {"h.0.mlp.c_proj.weight", 24, 6},
        {"h.0.mlp.c_proj.bias", 0, 6},
        {"ln_f.weight", 0, 6},
        {"ln_f.bias", 0, 6},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", prefix, tensors[i].name);
        add(name, "F32", tensors[i].rows, tensors[i].columns);
    }
    write_container("model.safetensors");
    write_text("config.json", config);
}

static void test_gpt2(void **state) {
    (void)state;
    write_gpt2("{" GPT2 ",\"activation_function\":\"gelu\"}", "");
    struct ley_model_file *file = open_folder();
    const struct ley_model_config *c = ley_model_file_config(file);
    assert_int_equal(c->family, LEY_FAMILY_GPT2);
    assert_int_equal(c->activation, LEY_GELU_ERF);
    assert_true(c->n_layers == 1 && c->d_model == 6 && c->n_heads == 2 && c->n_kv_heads == 2);
    assert_true(c->head_dim == 3 && c->d_ff == 24 && c->n_vocab == 9 && c->n_context == 5);
    assert_true(c->norm_eps == 1e-5);
    check_weight(file, LEY_WEIGHT_POSITION_EMBEDDING, 0, "wpe.weight", 0, 6, 1);
    for (int third = 0; third < 3; third++) { // stored (inputs, 3 outputs)
        enum ley_weight q = third == 0   ? LEY_WEIGHT_ATTN_Q
                            : third == 1 ? LEY_WEIGHT_ATTN_K
                                         : LEY_WEIGHT_ATTN_V;
        check_weight(file, q, 0, "h.0.attn.c_attn.weight", third * 6, 1, 18);
        check_weight(file, (enum ley_weight)(q + 1), 0, "h.0.attn.c_attn.bias", third * 6, 0, 1);
    }
    check_weight(file, LEY_WEIGHT_ATTN_OUT, 0, "h.0.attn.c_proj.weight", 0, 1, 6);
    check_weight(file, LEY_WEIGHT_ATTN_OUT_BIAS, 0, "h.0.attn.c_proj.bias", 0, 0, 1);
    check_weight(file, LEY_WEIGHT_FFN_UP, 0, "h.0.mlp.c_fc.weight", 0, 1, 24);
    check_weight(file, LEY_WEIGHT_FFN_UP_BIAS, 0, "h.0.mlp.c_fc.bias", 0, 0, 1);
    check_weight(file, LEY_WEIGHT_FFN_DOWN, 0, "h.0.mlp.c_proj.weight", 0, 1, 6);
    check_weight(file, LEY_WEIGHT_FINAL_NORM_BIAS, 0, "ln_f.bias", 0, 0, 1);
    struct ley_weight_source source = ley_model_file_source(file);
    assert_false(source.has(source.context, LEY_WEIGHT_OUTPUT, 0));
    ley_model_file_close(file);
    write_gpt2("{" GPT2 "}", "transformer.");
    file = open_folder();
    assert_int_equal(ley_model_file_config(file)->activation, LEY_GELU_TANH);
    check_weight(file, LEY_WEIGHT_FFN_NORM_BIAS, 0, "transformer.h.0.ln_2.bias", 0, 0, 1);
    ley_model_file_close(file);
}

// ---- shards

static void write_index(const char *map, const char *rest) {
    char text[4096];
    snprintf(text, sizeof text,
             "{\"weight_map\":{\"transformer.wte.weight\":\"b.safetensors\",%s"
             "\"rest\":\"%s\"}}",
             map, rest);
    write_text("model.safetensors.index.json", text);
}

static void test_shards(void **state) {
    (void)state;
    char map[3000] = "";
    add("transformer.wte.weight", "F32", 9, 6);
    write_container("b.safetensors");
    write_gpt2("{" GPT2 "}", "transformer.");
    char from[128], to[128];
    snprintf(from, sizeof from, "%s/model.safetensors", test_folder);
    snprintf(to, sizeof to, "%s/a.safetensors", test_folder);
    assert_int_equal(rename(from, to), 0);
    assert_refused(LEY_E_IO, "no model.safetensors, nor model.safetensors.index.json");
    static const char *const names[] = {"wpe.weight",
                                        "h.0.ln_1.weight",
                                        "h.0.ln_1.bias",
                                        "h.0.attn.c_attn.weight",
                                        "h.0.attn.c_attn.bias",
                                        "h.0.attn.c_proj.weight",
                                        "h.0.attn.c_proj.bias",
                                        "h.0.ln_2.weight",
                                        "h.0.ln_2.bias",
                                        "h.0.mlp.c_fc.weight",
                                        "h.0.mlp.c_fc.bias",
                                        "h.0.mlp.c_proj.weight",
                                        "h.0.mlp.c_proj.bias",
                                        "ln_f.weight",
                                        "ln_f.bias"};
    for (size_t i = 0, n = 0; i < sizeof names / sizeof names[0]; i++) {
        n += (size_t)snprintf(map + n, sizeof map - n, "\"transformer.%s\":\"a.safetensors\",",
                              names[i]);
    }
    write_index(map, "a.safetensors");
    struct ley_model_file *file = open_folder();
    check_weight(file, LEY_WEIGHT_TOKEN_EMBEDDING, 0, "transformer.wte.weight", 0, 6, 1);
    check_weight(file, LEY_WEIGHT_FFN_DOWN, 0, "transformer.h.0.mlp.c_proj.weight", 0, 1, 6);
    ley_model_file_close(file);
    write_index("", "a.safetensors"); // the file has it, the index does not say so
    assert_refused(LEY_E_FORMAT, "tensor transformer.wpe.weight is missing");
    write_index(map, "absent.safetensors");
    assert_refused(LEY_E_IO, "absent.safetensors");
    write_index(map, "../a.safetensors");
    assert_refused(LEY_E_FORMAT, "no plain file name");
    write_text("b.safetensors", "short");
    write_index(map, "a.safetensors");
    assert_refused(LEY_E_FORMAT, "b.safetensors: no safetensors file, or truncated");
}

// ---- mistakes

static const struct {
    const char *config, *part;
} config_mistakes[] = {
    {"{", "config.json: not a JSON object"},
    {"{}", "architecture '' is not supported; gpt2 and llama are"},
    {"{\"model_type\":\"mamba\"}", "architecture 'mamba' is not supported; gpt2 and llama are"},
    {"{\"architectures\":[\"BertModel\"]}", "architecture 'BertModel' is not supported"},
    {"{\"model_type\":\"llama\"}", "hidden_size is missing"},
    {"{\"hidden_size\":8.5," LLAMA "}", "hidden_size is missing, or no whole number above 0"},
    {"{\"num_attention_heads\":0," LLAMA "}", "num_attention_heads is missing, or no whole"},
    {"{\"num_key_value_heads\":3," LLAMA "}", "4 heads cannot share 3 key-value heads"},
    {"{\"num_hidden_layers\":100000," LLAMA "}", "number of layers is 100000"},
    {"{\"num_hidden_layers\":4000," LLAMA "}", "announces 4000 layers, the files hold 20"},
    {"{\"vocab_size\":2147483647," LLAMA "}", "vocabulary is 2147483647"},
    {"{\"rms_norm_eps\":0," LLAMA "}", "rms_norm_eps is missing, or no number above 0"},
    {"{\"hidden_act\":\"gelu\"," LLAMA "}", "hidden_act 'gelu' is not supported; silu is"},
    {"{\"mlp_bias\":true," LLAMA "}", "mlp_bias = true is not supported"},
    {"{\"attention_bias\":true," LLAMA "}", "model.layers.0.self_attn.q_proj.bias is missing"},
    {"{\"rope_theta\":\"x\"," LLAMA "}", "rope_theta is missing, or no number above 0"},
    {"{\"rope_scaling\":1," LLAMA "}", "rope_scaling is no object"},
    {"{\"rope_scaling\":{\"type\":\"yarn\"}," LLAMA "}", "'yarn' is not supported; default"},
    {"{\"rope_scaling\":{\"type\":\"linear\"}," LLAMA "}", "factor is missing"},
    {"{\"rope_scaling\":{\"type\":\"linear\",\"factor\":1e300}," LLAMA "}",
     "rope scaling by 1e+300"},
    {"{\"partial_rotary_factor\":0.5," LLAMA "}", "partial_rotary_factor = 0.5 is not"},
    {"{\"quantization_config\":{}," LLAMA "}", "quantised weights"},
    {"{\"tie_word_embeddings\":false," LLAMA "}", "tensor lm_head.weight is missing"},
    {"{\"hidden_size\":16," LLAMA "}", "model.embed_tokens.weight has shape [10, 8], config.json "
                                       "wants [10, 16]"},
    {"{\"intermediate_size\":13," LLAMA "}", "has shape [12, 8], config.json wants [13, 8]"},
    {"{\"n_head\":4," GPT2 "}", "n_embd (6) is no multiple of n_head (4)"},
    {"{\"activation_function\":\"relu\"," GPT2 "}", "activation_function 'relu' is not"},
    {"{\"scale_attn_by_inverse_layer_idx\":true," GPT2 "}", "idx = true is not supported"},
    {"{\"scale_attn_weights\":false," GPT2 "}", "scale_attn_weights = false is not supported"},
    {"{" GPT2 "}", "tensor transformer.wte.weight is missing"},
};

static void test_config_mistakes(void **state) {
    (void)state;
    write_llama("{" LLAMA "}", "model.");
    ley_model_file_close(open_folder());
    for (size_t i = 0; i < sizeof config_mistakes / sizeof config_mistakes[0]; i++) {
        write_text("config.json", config_mistakes[i].config);
        assert_refused(LEY_E_FORMAT, config_mistakes[i].part);
    }
}

static void test_tensor_mistakes(void **state) {
    (void)state;
    write_text("config.json", "{" LLAMA "}");
    assert_refused(LEY_E_IO, "no model.safetensors");
    add_llama_layer("model.", 0, "F32");
    add("model.embed_tokens.weight", "F16", 10, 8);
    write_container("model.safetensors");
    assert_refused(LEY_E_FORMAT, "tensor model.layers.1.input_layernorm.weight is missing");
    container_raw(&container,
                  "{\"a\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[0,0]},"
                  "\"embed_tokens.weight\":{\"dtype\":\"I8\",\"shape\":[10,8],"
                  "\"data_offsets\":[0,80]}}",
                  80);
    write_file("model.safetensors", container.file, container.n_file);
    assert_refused(LEY_E_FORMAT,
                   "tensor embed_tokens.weight holds I8; F32, F16 and BF16 are known");
    write_text("model.safetensors", "{}");
    assert_refused(LEY_E_FORMAT, "model.safetensors: no safetensors file");
    remove_folder(NULL);
    assert_int_equal(start(NULL), 0);
    assert_refused(LEY_E_IO, "config.json");
}

int main(void) {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, start, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_llama),
        IN_FOLDER(test_llama_variants),
        IN_FOLDER(test_llama_tied_by_the_other_name),
        IN_FOLDER(test_rope_scaling),
        IN_FOLDER(test_gpt2),
        IN_FOLDER(test_shards),
        IN_FOLDER(test_config_mistakes),
        IN_FOLDER(test_tensor_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
