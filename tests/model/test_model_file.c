// test_model_file.c - tiny GGUF models as model files: what they say, and what is wrong with some
//
// The models are the seeds of the fuzz target; wrong ones are made of them by leaving out, renaming
// or adding one thing.
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/gguf_write.h"
#include "support/support.h"

static char out_path[64];

static int make_path(void **state) {
    (void)state;
    strcpy(out_path, "/tmp/leyden_test_XXXXXX");
    int file = mkstemp(out_path);
    return file >= 0 ? close(file) : -1;
}

static int remove_path(void **state) {
    (void)state;
    return remove(out_path);
}

static const char *seed(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "tests/fuzz/corpus/gguf/%s", name);
    return source_path(path);
}

static bool is_text(struct ley_string text, const char *wanted) {
    return text.n == strlen(wanted) && memcmp(text.text, wanted, text.n) == 0;
}

// One change of a model; NULL and zeros: none.
struct change {
    const char *model;
    const char *drop_key, *key, *text; // key = number, or text when given
    uint32_t number;
    const char *tensor, *new_name; // new_name NULL: left out
    bool shortens;                 // instead, the tensor keeps half of its rows
    const char *message;
};

static size_t change_tensors(struct ley_gguf_tensor *out, const struct ley_gguf *gguf,
                             const struct change *change) {
    size_t n = 0;
    for (uint64_t i = 0; i < gguf->n_tensors; i++) {
        struct ley_gguf_tensor tensor = gguf->tensor[i];
        bool is_it = change->tensor && is_text(tensor.name, change->tensor);
        if (is_it && change->shortens) {
            tensor.dim[1] /= 2;
            tensor.n_bytes /= 2;
        } else if (is_it && change->new_name) {
            tensor.name = (struct ley_string){change->new_name, strlen(change->new_name)};
        } else if (is_it) {
            continue;
        }
        out[n++] = tensor;
    }
    return n;
}

// Writes a model with one change to out_path.
static void write_changed(const struct change *change) {
    struct ley_map map;
    struct ley_gguf gguf;
    struct ley_gguf_builder *builder;
    struct ley_gguf_tensor tensors[64];
    ASSERT_OK(ley_map_open(&map, seed(change->model)));
    ASSERT_OK(ley_gguf_read(&gguf, map.bytes, map.n_bytes, change->model));
    ASSERT_OK(ley_gguf_builder_create(&builder));
    for (uint64_t i = 0; i < gguf.n_pairs; i++) {
        const struct ley_gguf_pair *pair = &gguf.pair[i];
        if (!(change->drop_key && is_text(pair->key, change->drop_key)) &&
            !(change->key && is_text(pair->key, change->key))) {
            ley_gguf_add_pair(builder, pair);
        }
    }
    if (change->text) {
        struct ley_string text = {change->text, strlen(change->text)};
        ley_gguf_add_string(builder, change->key, text);
    } else if (change->key) {
        ley_gguf_add_u32(builder, change->key, change->number);
    }
    size_t n = change_tensors(tensors, &gguf, change);
    ASSERT_OK(ley_gguf_write(out_path, builder, tensors, n, NULL));
    ley_gguf_builder_destroy(builder);
    ley_gguf_destroy(&gguf);
    ley_map_close(&map);
}

static void test_llama(void **state) {
    (void)state;
    struct ley_model_file *file;
    float row[32];
    ASSERT_OK(ley_model_file_open(&file, seed("llama_q4_0")));
    const struct ley_model_config *c = ley_model_file_config(file);
    struct ley_weight_source source = ley_model_file_source(file);
    assert_true(c->family == LEY_FAMILY_LLAMA && c->rope_layout == LEY_ROPE_PAIRS);
    assert_true(c->n_layers == 1 && c->d_model == 32 && c->n_heads == 4 && c->n_kv_heads == 2);
    assert_true(c->head_dim == 8 && c->d_ff == 64 && c->n_vocab == 12 && c->n_context == 16);
    assert_true(c->rope_dim == 8 && c->rope_base == 10000 && (float)c->norm_eps == 1e-5f);
    assert_false(source.has(source.context, LEY_WEIGHT_OUTPUT, 0));
    assert_true(source.has(source.context, LEY_WEIGHT_FFN_GATE, 0));
    ASSERT_OK(source.read(source.context, row, LEY_WEIGHT_ATTN_K, 0, 15, 1));
    ley_model_file_close(file);
}

// The thirds of attn_qkv are q, k and v, in the matrix and in the bias.
static void test_gpt2_thirds(void **state) {
    (void)state;
    static const enum ley_weight matrix[] = {LEY_WEIGHT_ATTN_Q, LEY_WEIGHT_ATTN_K,
                                             LEY_WEIGHT_ATTN_V};
    static const enum ley_weight bias[] = {LEY_WEIGHT_ATTN_Q_BIAS, LEY_WEIGHT_ATTN_K_BIAS,
                                           LEY_WEIGHT_ATTN_V_BIAS};
    struct ley_map map;
    struct ley_gguf gguf;
    struct ley_model_file *file;
    float whole[96 * 32], part[32 * 32];
    ASSERT_OK(ley_map_open(&map, seed("gpt2_q8_0")));
    ASSERT_OK(ley_gguf_read(&gguf, map.bytes, map.n_bytes, "gpt2"));
    ASSERT_OK(ley_model_file_open(&file, seed("gpt2_q8_0")));
    struct ley_weight_source source = ley_model_file_source(file);
    const struct ley_gguf_tensor *t = ley_gguf_find_tensor(&gguf, "blk.0.attn_qkv.weight");
    ley_blocks_decode(whole, t->type, t->data, 96);
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(source.read(source.context, part, matrix[i], 0, 0, 32));
        assert_memory_equal(part, whole + i * 32 * 32, sizeof part);
    }
    t = ley_gguf_find_tensor(&gguf, "blk.0.attn_qkv.bias");
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(source.read(source.context, part, bias[i], 0, 0, 1));
        assert_memory_equal(part, t->data + i * 32 * 4, 32 * 4);
    }
    ley_model_file_close(file);
    ley_gguf_destroy(&gguf);
    ley_map_close(&map);
}

static void test_vocabularies(void **state) {
    (void)state;
    struct ley_model_file *file;
    struct ley_vocab vocab;
    ASSERT_OK(ley_model_file_open(&file, seed("gpt2_q8_0")));
    for (int i = 0; i < 2; i++) { // asked twice: the same
        ASSERT_OK(ley_model_file_vocab(file, &vocab));
        assert_true(vocab.kind == LEY_VOCAB_BYTE_BPE && vocab.pre == LEY_PRE_GPT2);
        assert_true(vocab.n_tokens == 12 && vocab.n_merges == 2 && vocab.bos == 0 &&
                    vocab.eos == 1);
        assert_true(is_text(vocab.token[2], "a") && is_text(vocab.merge[1], "ab c"));
        assert_true(vocab.type[0] == LEY_TOKEN_CONTROL && vocab.type[2] == LEY_TOKEN_NORMAL);
        assert_true(vocab.unknown == -1 && vocab.chat_template.n == 0);
    }
    ley_model_file_close(file);
    ASSERT_OK(ley_model_file_open(&file, seed("llama_q4_0")));
    ASSERT_OK(ley_model_file_vocab(file, &vocab));
    assert_true(vocab.kind == LEY_VOCAB_SPM_BPE && vocab.adds_bos && vocab.adds_space_prefix);
    assert_true(vocab.score[3] == -3);
    ley_model_file_close(file);
}

static void test_wrong_models(void **state) {
    (void)state;
    static const char llama[] = "llama_q4_0", gpt2[] = "gpt2_q8_0";
    static const struct change changes[] = {
        {.model = llama,
         .key = "general.architecture",
         .text = "falcon",
         .message = "'falcon' is not supported; gpt2 and llama are"},
        {.model = llama, .drop_key = "general.architecture", .message = "architecture ''"},
        {.model = llama, .drop_key = "llama.block_count", .message = "number of layers is 0"},
        {.model = llama, .key = "llama.block_count", .number = 4000, .message = "4000 layers"},
        {.model = llama, .key = "llama.block_count", .number = 2, .message = "layer 1"},
        {.model = llama, .key = "llama.block_count", .text = "two", .message = "layers"},
        {.model = llama, .key = "llama.attention.head_count", .number = 3, .message = "heads"},
        {.model = llama, .key = "llama.embedding_length", .number = 64, .message = "must be"},
        {.model = llama, .key = "llama.rope.dimension_count", .number = 7, .message = "rotary"},
        {.model = llama, .key = "llama.expert_count", .number = 8, .message = "experts"},
        {.model = llama, .key = "llama.attention.value_length", .number = 4, .message = "width"},
        {.model = llama, .tensor = "blk.0.ffn_gate.weight", .message = "FFN_GATE"},
        {.model = llama, .tensor = "output_norm.weight", .message = "FINAL_NORM"},
        {.model = llama, .tensor = "token_embd.weight", .message = "vocabulary is 0"},
        {.model = llama, .tensor = "blk.0.attn_q.weight", .shortens = true, .message = "attn_q"},
        {.model = llama,
         .tensor = "blk.0.attn_q.weight",
         .new_name = "blk.0.attn_z.weight",
         .message = "attn_z.weight is no part"},
        {.model = gpt2,
         .tensor = "blk.0.attn_qkv.bias",
         .new_name = "blk.0.stray.bias",
         .message = "no part of"},
        {.model = gpt2,
         .tensor = "blk.0.ffn_up.bias",
         .new_name = "blk.1.ffn_up.bias",
         .message = "no part of"},
        {.model = gpt2,
         .tensor = "blk.0.attn_qkv.bias",
         .new_name = "blk.0.attn_q.bias",
         .message = "attn_q.bias is"}, // three times too wide for q alone
        {.model = llama,
         .tensor = "blk.0.attn_norm.weight",
         .new_name = "blk.0.attn_norm.bias",
         .message = "ATTN_NORM"},
        {.model = gpt2, .tensor = "position_embd.weight", .message = "POSITION_EMBEDDING"},
        {.model = gpt2, .tensor = "blk.0.attn_qkv.weight", .shortens = true, .message = "attn_qkv"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct ley_model_file *file;
        write_changed(&changes[i]);
        ASSERT_FAILS(ley_model_file_open(&file, out_path), LEY_E_FORMAT, changes[i].message);
        assert_null(file);
    }
    struct ley_model_file *file;
    ASSERT_FAILS(ley_model_file_open(&file, "/nowhere.gguf"), LEY_E_IO, "no such file");
}

static void test_wrong_vocabularies(void **state) {
    (void)state;
    static const char llama[] = "llama_q4_0", gpt2[] = "gpt2_q8_0";
    static const struct change changes[] = {
        {.model = gpt2, .key = "tokenizer.ggml.model", .text = "bert", .message = "'bert'"},
        {.model = gpt2, .key = "tokenizer.ggml.pre", .text = "qwen2", .message = "'qwen2'"},
        {.model = gpt2, .drop_key = "tokenizer.ggml.tokens", .message = "no vocabulary"},
        {.model = gpt2, .key = "tokenizer.ggml.tokens", .number = 1, .message = "right kind"},
        {.model = gpt2, .key = "tokenizer.ggml.merges", .text = "x", .message = "right kind"},
        {.model = llama, .drop_key = "tokenizer.ggml.scores", .message = "scores"},
        {.model = llama, .tensor = "token_embd.weight", .shortens = true, .message = "6 rows"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct ley_model_file *file;
        struct ley_vocab vocab;
        write_changed(&changes[i]);
        ASSERT_OK(ley_model_file_open(&file, out_path));
        ASSERT_FAILS(ley_model_file_vocab(file, &vocab), LEY_E_FORMAT, changes[i].message);
        ley_model_file_close(file);
    }
}

static void test_scalers_round_trip(void **state) {
    (void)state;
    struct ley_model_file *file;
    struct ley_scaler_set set, back;
    bool has_scalers;
    const struct ley_attention_shape shape = {4, 2, 8};
    ASSERT_OK(ley_scaler_set_create(&set, 1, &shape));
    for (int signal = 0; signal < LEY_N_SIGNALS; signal++) {
        for (int h = 0; h < ley_attention_n_heads(&shape, (enum ley_signal)signal); h++) {
            set.scaler[signal][h] = (struct ley_scaler){signal + 0.5, h - 0.25};
        }
    }
    set.normalises_outputs = true; // M29
    for (int h = 0; h < shape.n_query_heads; h++) {
        set.output_size[h] = h + 0.5;
    }
    ASSERT_OK(ley_model_file_open(&file, seed("llama_q4_0")));
    ASSERT_OK(ley_model_file_scalers(file, &back, &has_scalers));
    assert_false(has_scalers);
    assert_string_equal(ley_model_file_scaler_origin(file), "none");
    ASSERT_OK(ley_model_file_save_scalers(out_path, file, &set, "array: {window: 64}", "matched"));
    ley_model_file_close(file);
    ASSERT_OK(ley_model_file_open(&file, out_path));
    ASSERT_OK(ley_model_file_scalers(file, &back, &has_scalers));
    assert_true(has_scalers);
    assert_string_equal(ley_model_file_scaler_origin(file), "matched");
    assert_true(is_text(ley_model_file_hardware(file), "array: {window: 64}"));
    for (int signal = 0; signal < LEY_N_SIGNALS; signal++) {
        size_t n = (size_t)ley_attention_n_heads(&shape, (enum ley_signal)signal);
        assert_memory_equal(set.scaler[signal], back.scaler[signal], n * sizeof(struct ley_scaler));
    }
    assert_true(back.normalises_outputs && !back.centres_keys);
    assert_memory_equal(set.output_size, back.output_size, 4 * sizeof(double));
    ley_model_file_close(file);
    ley_scaler_set_destroy(&set);
    ley_scaler_set_destroy(&back);
}

// A bias of q alone: neither dropped nor read past, but told.
static void test_partial_biases(void **state) {
    (void)state;
    static const float zeros[32];
    struct ley_map map;
    struct ley_gguf gguf;
    struct ley_gguf_builder *builder;
    struct ley_gguf_tensor tensors[64];
    struct ley_model_file *file;
    ASSERT_OK(ley_map_open(&map, seed("llama_q4_0")));
    ASSERT_OK(ley_gguf_read(&gguf, map.bytes, map.n_bytes, "seed"));
    ASSERT_OK(ley_gguf_builder_create(&builder));
    for (uint64_t i = 0; i < gguf.n_pairs; i++) {
        ley_gguf_add_pair(builder, &gguf.pair[i]);
    }
    memcpy(tensors, gguf.tensor, (size_t)gguf.n_tensors * sizeof tensors[0]);
    tensors[gguf.n_tensors] = (struct ley_gguf_tensor){
        .name = {"blk.0.attn_q.bias", 17},
        .type = ley_block_type(LEY_BLOCK_F32),
        .n_dims = 1,
        .dim = {32, 1, 1, 1},
        .data = (const uint8_t *)zeros,
        .n_bytes = sizeof zeros,
    };
    ASSERT_OK(ley_gguf_write(out_path, builder, tensors, (size_t)gguf.n_tensors + 1, NULL));
    ASSERT_FAILS(ley_model_file_open(&file, out_path), LEY_E_FORMAT,
                 "in some layers or parts only");
    ley_gguf_builder_destroy(builder);
    ley_gguf_destroy(&gguf);
    ley_map_close(&map);
}

// A model's own private keys stay when scalers are saved: GELU by erf must not become tanh.
static void test_saving_keeps_private_keys(void **state) {
    (void)state;
    struct ley_model_file *file;
    struct ley_scaler_set set;
    const struct ley_attention_shape shape = {4, 4, 8};
    const struct change change = {
        .model = "gpt2_q8_0", .key = "leyden.activation", .text = "gelu_erf"};
    write_changed(&change);
    ASSERT_OK(ley_scaler_set_create(&set, 1, &shape));
    for (int i = 0; i < 2; i++) { // from the changed file, then from the saved one over itself
        ASSERT_OK(ley_model_file_open(&file, out_path));
        assert_int_equal(ley_model_file_config(file)->activation, LEY_GELU_ERF);
        ASSERT_OK(ley_model_file_save_scalers(out_path, file, &set, "cell: {}", "matched"));
        ley_model_file_close(file);
    }
    ley_scaler_set_destroy(&set);
}

static double number(const struct cJSON *object, const char *key) {
    const struct cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

static void test_info(void **state) {
    (void)state;
    struct ley_model_file *file;
    ASSERT_OK(ley_model_file_open(&file, seed("llama_q4_0")));
    struct cJSON *info = ley_model_file_json(file, true);
    assert_non_null(info);
    // embedding 12 x 32, q and output 32 x 32, k and v 16 x 32, three of 64 x 32, three norms
    assert_true(number(info, "parameters") == 12 * 32 + 2 * 1024 + 2 * 512 + 3 * 2048 + 3 * 32);
    assert_true(number(info, "kv_bytes_per_token_f16") == 2 * 2 * 2 * 8);
    const struct cJSON *types = cJSON_GetObjectItemCaseSensitive(info, "types");
    assert_int_equal(cJSON_GetArraySize(types), 2);
    double share = 0;
    const struct cJSON *row;
    cJSON_ArrayForEach(row, types) {
        share += number(row, "share");
    }
    assert_true(share > 0.999 && share < 1.001);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(info, "tensors")), 11);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(info, "is_tied")));
    cJSON_Delete(info);
    ley_model_file_close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama),
        cmocka_unit_test(test_gpt2_thirds),
        cmocka_unit_test(test_vocabularies),
        cmocka_unit_test(test_wrong_models),
        cmocka_unit_test(test_wrong_vocabularies),
        cmocka_unit_test(test_scalers_round_trip),
        cmocka_unit_test(test_partial_biases),
        cmocka_unit_test(test_saving_keeps_private_keys),
        cmocka_unit_test(test_info),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
