// hf_names.c - names of weights in Hugging Face files
#include "model/hf_names_impl.h"

#include <stdio.h>
#include <string.h>

// Thirds of one tensor follow one another: convert_folder.c reads them so.
static const struct hf_name gpt2_names[] = {
    {LEY_WEIGHT_TOKEN_EMBEDDING, "wte.weight", HF_MATRIX, 0},
    {LEY_WEIGHT_POSITION_EMBEDDING, "wpe.weight", HF_MATRIX, 0},
    {LEY_WEIGHT_ATTN_NORM, "ln_1.weight", HF_VECTOR, 0},
    {LEY_WEIGHT_ATTN_NORM_BIAS, "ln_1.bias", HF_VECTOR, 0},
    {LEY_WEIGHT_ATTN_Q, "attn.c_attn.weight", HF_THIRD_OF_TRANSPOSED, 0},
    {LEY_WEIGHT_ATTN_K, "attn.c_attn.weight", HF_THIRD_OF_TRANSPOSED, 1},
    {LEY_WEIGHT_ATTN_V, "attn.c_attn.weight", HF_THIRD_OF_TRANSPOSED, 2},
    {LEY_WEIGHT_ATTN_Q_BIAS, "attn.c_attn.bias", HF_THIRD_OF_VECTOR, 0},
    {LEY_WEIGHT_ATTN_K_BIAS, "attn.c_attn.bias", HF_THIRD_OF_VECTOR, 1},
    {LEY_WEIGHT_ATTN_V_BIAS, "attn.c_attn.bias", HF_THIRD_OF_VECTOR, 2},
    {LEY_WEIGHT_ATTN_OUT, "attn.c_proj.weight", HF_TRANSPOSED, 0},
    {LEY_WEIGHT_ATTN_OUT_BIAS, "attn.c_proj.bias", HF_VECTOR, 0},
    {LEY_WEIGHT_FFN_NORM, "ln_2.weight", HF_VECTOR, 0},
    {LEY_WEIGHT_FFN_NORM_BIAS, "ln_2.bias", HF_VECTOR, 0},
    {LEY_WEIGHT_FFN_UP, "mlp.c_fc.weight", HF_TRANSPOSED, 0},
    {LEY_WEIGHT_FFN_UP_BIAS, "mlp.c_fc.bias", HF_VECTOR, 0},
    {LEY_WEIGHT_FFN_DOWN, "mlp.c_proj.weight", HF_TRANSPOSED, 0},
    {LEY_WEIGHT_FFN_DOWN_BIAS, "mlp.c_proj.bias", HF_VECTOR, 0},
    {LEY_WEIGHT_FINAL_NORM, "ln_f.weight", HF_VECTOR, 0},
    {LEY_WEIGHT_FINAL_NORM_BIAS, "ln_f.bias", HF_VECTOR, 0},
};

static const struct hf_name llama_names[] = {
    {LEY_WEIGHT_TOKEN_EMBEDDING, "embed_tokens.weight", HF_MATRIX, 0},
    {LEY_WEIGHT_ATTN_NORM, "input_layernorm.weight", HF_VECTOR, 0},
    {LEY_WEIGHT_ATTN_Q, "self_attn.q_proj.weight", HF_MATRIX, 0},
    {LEY_WEIGHT_ATTN_K, "self_attn.k_proj.weight", HF_MATRIX, 0},
    {LEY_WEIGHT_ATTN_V, "self_attn.v_proj.weight", HF_MATRIX, 0},
    {LEY_WEIGHT_ATTN_OUT, "self_attn.o_proj.weight", HF_MATRIX, 0},
    {LEY_WEIGHT_FFN_NORM, "post_attention_layernorm.weight", HF_VECTOR, 0},
    {LEY_WEIGHT_FFN_GATE, "mlp.gate_proj.weight", HF_MATRIX, 0},
    {LEY_WEIGHT_FFN_UP, "mlp.up_proj.weight", HF_MATRIX, 0},
    {LEY_WEIGHT_FFN_DOWN, "mlp.down_proj.weight", HF_MATRIX, 0},
    {LEY_WEIGHT_FINAL_NORM, "norm.weight", HF_VECTOR, 0},
    // the last four only with attention_bias
    {LEY_WEIGHT_ATTN_Q_BIAS, "self_attn.q_proj.bias", HF_VECTOR, 0},
    {LEY_WEIGHT_ATTN_K_BIAS, "self_attn.k_proj.bias", HF_VECTOR, 0},
    {LEY_WEIGHT_ATTN_V_BIAS, "self_attn.v_proj.bias", HF_VECTOR, 0},
    {LEY_WEIGHT_ATTN_OUT_BIAS, "self_attn.o_proj.bias", HF_VECTOR, 0},
};

enum { N_GPT2 = sizeof gpt2_names / sizeof gpt2_names[0] };
enum { N_LLAMA = sizeof llama_names / sizeof llama_names[0], N_LLAMA_BIASES = 4 };

const struct hf_name hf_output_name = {LEY_WEIGHT_OUTPUT, "lm_head.weight", HF_MATRIX, 0};

struct hf_names hf_names(enum ley_family family, bool has_attention_bias) {
    // The biases are the end of the llama table, so leaving them out is a shorter list.
    return family == LEY_FAMILY_GPT2
               ? (struct hf_names){gpt2_names, N_GPT2}
               : (struct hf_names){llama_names,
                                   N_LLAMA - (has_attention_bias ? 0 : N_LLAMA_BIASES)};
}

const char *hf_name_prefix(enum ley_family family) {
    return family == LEY_FAMILY_GPT2 ? "transformer." : "model.";
}

// "prefix" + "h.N." or "layers.N." + name for weights of layers, "prefix" + name for the others.
void hf_name_format(char out[HF_NAME_BYTES], const struct ley_model_config *config,
                    const struct hf_name *row, int layer) {
    const char *prefix = hf_name_prefix(config->family);
    if (ley_weight_info(config, row->weight).is_per_layer) {
        snprintf(out, HF_NAME_BYTES, "%s%s.%d.%s", prefix,
                 config->family == LEY_FAMILY_GPT2 ? "h" : "layers", layer, row->name);
    } else { // the output matrix is outside the prefix
        bool is_output = row->weight == LEY_WEIGHT_OUTPUT;
        snprintf(out, HF_NAME_BYTES, "%s%s", is_output ? "" : prefix, row->name);
    }
}
