// gpt2_oracle.c - the small GPT-2 of the reference vectors, from its .npy files
#include "support/gpt2_oracle.h"

#include <stdio.h>
#include <string.h>

#include "support/support.h"

void gpt2_oracle_name(char out[128], enum ley_weight weight, int layer) {
    static const struct {
        enum ley_weight weight;
        const char *name;
    } names[] = {
        {LEY_WEIGHT_TOKEN_EMBEDDING, "wte.weight"},  {LEY_WEIGHT_POSITION_EMBEDDING, "wpe.weight"},
        {LEY_WEIGHT_ATTN_NORM, "ln_1.weight"},       {LEY_WEIGHT_ATTN_NORM_BIAS, "ln_1.bias"},
        {LEY_WEIGHT_ATTN_Q, "attn.c_attn.weight"},   {LEY_WEIGHT_ATTN_Q_BIAS, "attn.c_attn.bias"},
        {LEY_WEIGHT_ATTN_K, "attn.c_attn.weight"},   {LEY_WEIGHT_ATTN_K_BIAS, "attn.c_attn.bias"},
        {LEY_WEIGHT_ATTN_V, "attn.c_attn.weight"},   {LEY_WEIGHT_ATTN_V_BIAS, "attn.c_attn.bias"},
        {LEY_WEIGHT_ATTN_OUT, "attn.c_proj.weight"}, {LEY_WEIGHT_ATTN_OUT_BIAS, "attn.c_proj.bias"},
        {LEY_WEIGHT_FFN_NORM, "ln_2.weight"},        {LEY_WEIGHT_FFN_NORM_BIAS, "ln_2.bias"},
        {LEY_WEIGHT_FFN_UP, "mlp.c_fc.weight"},      {LEY_WEIGHT_FFN_UP_BIAS, "mlp.c_fc.bias"},
        {LEY_WEIGHT_FFN_DOWN, "mlp.c_proj.weight"},  {LEY_WEIGHT_FFN_DOWN_BIAS, "mlp.c_proj.bias"},
        {LEY_WEIGHT_FINAL_NORM, "ln_f.weight"},      {LEY_WEIGHT_FINAL_NORM_BIAS, "ln_f.bias"},
    };
    const char *name = "absent";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        name = names[i].weight == weight ? names[i].name : name;
    }
    bool is_shared = name[0] == 'w' || !strncmp(name, "ln_f", 4); // wte, wpe
    if (is_shared) {
        snprintf(out, 128, "transformer.%s.npy", name);
    } else {
        snprintf(out, 128, "transformer.h.%d.%s.npy", layer, name);
    }
}

static bool has(void *context, enum ley_weight weight, int layer) {
    (void)context;
    (void)layer;
    return weight != LEY_WEIGHT_OUTPUT && weight != LEY_WEIGHT_FFN_GATE &&
           weight != LEY_WEIGHT_ROPE_FACTORS;
}

static enum ley_status read_rows(void *context, float *out, enum ley_weight weight, int layer,
                                 int64_t first_row, int64_t n_rows) {
    struct gpt2_oracle *source = context;
    struct ley_weight_info info = ley_weight_info(&source->config, weight);
    char name[128];
    int64_t count, n = n_rows * info.n_columns, start = first_row * info.n_columns;
    gpt2_oracle_name(name, weight, layer);
    double *x = load_array(&count, NULL, source->folder, name);
    if (strstr(name, "c_attn")) { // q, k, v one after another
        bool is_k = weight == LEY_WEIGHT_ATTN_K || weight == LEY_WEIGHT_ATTN_K_BIAS;
        bool is_v = weight == LEY_WEIGHT_ATTN_V || weight == LEY_WEIGHT_ATTN_V_BIAS;
        start += (is_k + 2 * is_v) * (count / 3);
    }
    assert_true(start + n <= count);
    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)x[start + i];
    }
    ley_free(x);
    return LEY_OK;
}

struct ley_weight_source gpt2_oracle_source(struct gpt2_oracle *oracle, const char *folder) {
    *oracle = (struct gpt2_oracle){.config = {
                                       .family = LEY_FAMILY_GPT2,
                                       .activation = LEY_GELU_ERF,
                                       .n_layers = 2,
                                       .d_model = 64,
                                       .n_heads = 2,
                                       .n_kv_heads = 2,
                                       .head_dim = 32,
                                       .d_ff = 256,
                                       .n_vocab = 96,
                                       .n_context = 128,
                                       .norm_eps = 1e-5,
                                   }};
    snprintf(oracle->folder, sizeof oracle->folder, "%s", folder);
    return (struct ley_weight_source){oracle, has, read_rows};
}
