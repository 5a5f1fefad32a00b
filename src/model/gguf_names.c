// gguf_names.c - names of tensors and pre-tokenizers in GGUF files
#include "model/gguf_names_impl.h"

#include <stdio.h>
#include <string.h>

// Reading tries every row in every layer, writing takes the rows of the weights there are. Rows 1,
// 2, 3 of a fused tensor must follow one another: convert_gguf.c reads them so.
const struct gguf_name gguf_names[] = {
    {LEY_WEIGHT_TOKEN_EMBEDDING, "token_embd.weight", 0},
    {LEY_WEIGHT_POSITION_EMBEDDING, "position_embd.weight", 0},
    {LEY_WEIGHT_ROPE_FACTORS, "rope_freqs.weight", 0},
    {LEY_WEIGHT_ATTN_NORM, "blk.%d.attn_norm.weight", 0},
    {LEY_WEIGHT_ATTN_NORM_BIAS, "blk.%d.attn_norm.bias", 0},
    {LEY_WEIGHT_ATTN_Q, "blk.%d.attn_q.weight", 0},
    {LEY_WEIGHT_ATTN_K, "blk.%d.attn_k.weight", 0},
    {LEY_WEIGHT_ATTN_V, "blk.%d.attn_v.weight", 0},
    {LEY_WEIGHT_ATTN_Q_BIAS, "blk.%d.attn_q.bias", 0},
    {LEY_WEIGHT_ATTN_K_BIAS, "blk.%d.attn_k.bias", 0},
    {LEY_WEIGHT_ATTN_V_BIAS, "blk.%d.attn_v.bias", 0},
    {LEY_WEIGHT_ATTN_Q, "blk.%d.attn_qkv.weight", 1},
    {LEY_WEIGHT_ATTN_K, "blk.%d.attn_qkv.weight", 2},
    {LEY_WEIGHT_ATTN_V, "blk.%d.attn_qkv.weight", 3},
    {LEY_WEIGHT_ATTN_Q_BIAS, "blk.%d.attn_qkv.bias", 1},
    {LEY_WEIGHT_ATTN_K_BIAS, "blk.%d.attn_qkv.bias", 2},
    {LEY_WEIGHT_ATTN_V_BIAS, "blk.%d.attn_qkv.bias", 3},
    {LEY_WEIGHT_ATTN_OUT, "blk.%d.attn_output.weight", 0},
    {LEY_WEIGHT_ATTN_OUT_BIAS, "blk.%d.attn_output.bias", 0},
    {LEY_WEIGHT_FFN_NORM, "blk.%d.ffn_norm.weight", 0},
    {LEY_WEIGHT_FFN_NORM_BIAS, "blk.%d.ffn_norm.bias", 0},
    {LEY_WEIGHT_FFN_GATE, "blk.%d.ffn_gate.weight", 0},
    {LEY_WEIGHT_FFN_UP, "blk.%d.ffn_up.weight", 0},
    {LEY_WEIGHT_FFN_UP_BIAS, "blk.%d.ffn_up.bias", 0},
    {LEY_WEIGHT_FFN_DOWN, "blk.%d.ffn_down.weight", 0},
    {LEY_WEIGHT_FFN_DOWN_BIAS, "blk.%d.ffn_down.bias", 0},
    {LEY_WEIGHT_FINAL_NORM, "output_norm.weight", 0},
    {LEY_WEIGHT_FINAL_NORM_BIAS, "output_norm.bias", 0},
    {LEY_WEIGHT_OUTPUT, "output.weight", 0},
};

const int gguf_n_names = sizeof gguf_names / sizeof gguf_names[0];

// As converters write them; the first name of each is the one that is written here.
static const struct {
    const char *name;
    enum ley_pre_tokenizer pre;
} pre_names[] = {
    {"gpt-2", LEY_PRE_GPT2},      {"gpt2", LEY_PRE_GPT2},        {"default", LEY_PRE_GPT2},
    {"smollm", LEY_PRE_SMOLLM},   {"llama-bpe", LEY_PRE_LLAMA3}, {"llama3", LEY_PRE_LLAMA3},
    {"llama-v3", LEY_PRE_LLAMA3}, {"none", LEY_PRE_NONE},
};

enum { N_PRE_NAMES = sizeof pre_names / sizeof pre_names[0] };

// %d is put in by hand: a format from a table would be a format that no compiler checks.
void gguf_name_format(char out[GGUF_NAME_BYTES], const struct gguf_name *row, int layer) {
    const char *hole = strstr(row->name, "%d");
    if (hole) {
        snprintf(out, GGUF_NAME_BYTES, "%.*s%d%s", (int)(hole - row->name), row->name, layer,
                 hole + 2);
    } else {
        snprintf(out, GGUF_NAME_BYTES, "%s", row->name);
    }
}

// Steps over "blk.<layer>" and returns the layer, or -1 when the name does not begin so.
static int take_layer(struct ley_string *name) {
    static const char block[] = "blk.";
    size_t at = sizeof block - 1;
    if (name->n < at || memcmp(name->text, block, at) != 0) {
        return -1;
    }
    int layer = 0;
    for (; at < name->n && name->text[at] >= '0' && name->text[at] <= '9'; at++) {
        // Saturates instead of overflowing; such a layer is in no model.
        layer = layer < 100000 ? 10 * layer + (name->text[at] - '0') : layer;
    }
    name->text += at;
    name->n -= at;
    return layer;
}

// The rest behind the layer is compared, so this costs one pass whatever the number of layers.
bool gguf_name_is_known(struct ley_string name, int n_layers) {
    int layer = take_layer(&name);
    for (int i = 0; i < gguf_n_names; i++) {
        const char *hole = strstr(gguf_names[i].name, "%d");
        const char *rest = hole ? hole + 2 : gguf_names[i].name;
        bool is_same = name.n == strlen(rest) && memcmp(name.text, rest, name.n) == 0;
        if (is_same && (hole ? layer >= 0 && layer < n_layers : layer < 0)) {
            return true;
        }
    }
    return false;
}

// Exact: a wrong cut of the text would change every token silently, so nothing is guessed.
bool gguf_pre_find(enum ley_pre_tokenizer *pre, const char *name) {
    for (int i = 0; i < N_PRE_NAMES; i++) {
        if (strcmp(pre_names[i].name, name) == 0) {
            *pre = pre_names[i].pre;
            return true;
        }
    }
    return false;
}

// The first name in the table is the usual one; "default" is never reached for a kind in it.
const char *gguf_pre_name(enum ley_pre_tokenizer pre) {
    for (int i = 0; i < N_PRE_NAMES; i++) {
        if (pre_names[i].pre == pre) {
            return pre_names[i].name;
        }
    }
    return "default";
}
