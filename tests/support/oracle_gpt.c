// oracle_gpt.c - a GPT-2 of 2 layers in float64
#include "support/oracle_gpt.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// Rows are outputs, columns inputs, as torch stores them.
enum array {
    LN_1,
    LN_1_BIAS,
    C_ATTN,
    C_ATTN_BIAS,
    C_PROJ,
    C_PROJ_BIAS,
    LN_2,
    LN_2_BIAS,
    C_FC,
    C_FC_BIAS,
    DOWN,
    DOWN_BIAS,
    WTE, // from here on there is one for all layers
    WPE,
    LN_F,
    LN_F_BIAS
};

enum { C = 64, HEADS = 2, D = C / HEADS, F = 4 * C, V = 96, CONTEXT = 128 };

static const double norm_eps = 1e-5;

void oracle_gpt_load(struct oracle_gpt *gpt, const char *folder) {
    static const char *const names[] = {
        "ln_1.weight",        "ln_1.bias",        "attn.c_attn.weight", "attn.c_attn.bias",
        "attn.c_proj.weight", "attn.c_proj.bias", "ln_2.weight",        "ln_2.bias",
        "mlp.c_fc.weight",    "mlp.c_fc.bias",    "mlp.c_proj.weight",  "mlp.c_proj.bias",
        "wte.weight",         "wpe.weight",       "ln_f.weight",        "ln_f.bias",
    };
    *gpt = (struct oracle_gpt){.config = {
                                   .family = LEY_FAMILY_GPT2,
                                   .activation = LEY_GELU_ERF,
                                   .n_layers = ORACLE_GPT_LAYERS,
                                   .d_model = C,
                                   .n_heads = HEADS,
                                   .n_kv_heads = HEADS,
                                   .head_dim = D,
                                   .d_ff = F,
                                   .n_vocab = V,
                                   .n_context = CONTEXT,
                                   .norm_eps = norm_eps,
                               }};
    for (int i = 0; i <= LN_F_BIAS; i++) {
        for (int l = 0; l < (i < WTE ? ORACLE_GPT_LAYERS : 1); l++) {
            char name[128];
            int64_t n;
            if (i < WTE) {
                snprintf(name, sizeof name, "transformer.h.%d.%s.npy", l, names[i]);
            } else {
                snprintf(name, sizeof name, "transformer.%s.npy", names[i]);
            }
            gpt->weight[i][l] = load_array(&n, NULL, folder, name);
        }
    }
}

void oracle_gpt_free(struct oracle_gpt *gpt) {
    for (int i = 0; i <= LN_F_BIAS; i++) {
        for (int l = 0; l < ORACLE_GPT_LAYERS; l++) {
            ley_free(gpt->weight[i][l]);
        }
    }
}

// ---- as a source of weights

// Array of a weight, and which third of c_attn it is; -1: this model has none.
static int array_of(enum ley_weight weight, int *third) {
    static const struct {
        enum ley_weight weight;
        enum array array;
        int third;
    } rows[] = {
        {LEY_WEIGHT_TOKEN_EMBEDDING, WTE, 0}, {LEY_WEIGHT_POSITION_EMBEDDING, WPE, 0},
        {LEY_WEIGHT_ATTN_NORM, LN_1, 0},      {LEY_WEIGHT_ATTN_NORM_BIAS, LN_1_BIAS, 0},
        {LEY_WEIGHT_ATTN_Q, C_ATTN, 0},       {LEY_WEIGHT_ATTN_Q_BIAS, C_ATTN_BIAS, 0},
        {LEY_WEIGHT_ATTN_K, C_ATTN, 1},       {LEY_WEIGHT_ATTN_K_BIAS, C_ATTN_BIAS, 1},
        {LEY_WEIGHT_ATTN_V, C_ATTN, 2},       {LEY_WEIGHT_ATTN_V_BIAS, C_ATTN_BIAS, 2},
        {LEY_WEIGHT_ATTN_OUT, C_PROJ, 0},     {LEY_WEIGHT_ATTN_OUT_BIAS, C_PROJ_BIAS, 0},
        {LEY_WEIGHT_FFN_NORM, LN_2, 0},       {LEY_WEIGHT_FFN_NORM_BIAS, LN_2_BIAS, 0},
        {LEY_WEIGHT_FFN_UP, C_FC, 0},         {LEY_WEIGHT_FFN_UP_BIAS, C_FC_BIAS, 0},
        {LEY_WEIGHT_FFN_DOWN, DOWN, 0},       {LEY_WEIGHT_FFN_DOWN_BIAS, DOWN_BIAS, 0},
        {LEY_WEIGHT_FINAL_NORM, LN_F, 0},     {LEY_WEIGHT_FINAL_NORM_BIAS, LN_F_BIAS, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].weight == weight) {
            *third = rows[i].third;
            return (int)rows[i].array;
        }
    }
    return -1;
}

static bool has(void *context, enum ley_weight weight, int layer) {
    int third;
    (void)context;
    (void)layer;
    return array_of(weight, &third) >= 0;
}

static enum ley_status read_rows(void *context, float *out, enum ley_weight weight, int layer,
                                 int64_t first_row, int64_t n_rows) {
    const struct oracle_gpt *gpt = context;
    struct ley_weight_info info = ley_weight_info(&gpt->config, weight);
    int third = 0, array = array_of(weight, &third);
    bool is_bias = array == C_ATTN_BIAS;
    const double *x = gpt->weight[array][array < WTE ? layer : 0];
    x += third * (is_bias ? C : C * C) + first_row * info.n_columns;
    for (int64_t i = 0; i < n_rows * info.n_columns; i++) {
        out[i] = (float)x[i];
    }
    return LEY_OK;
}

struct ley_weight_source oracle_gpt_source(struct oracle_gpt *gpt) {
    return (struct ley_weight_source){gpt, has, read_rows};
}

// ---- running

static double *new_rows(int64_t n_rows, int64_t width) {
    double *x = ley_alloc((size_t)(n_rows * width), sizeof *x);
    assert_non_null(x);
    return x;
}

// y (R, n_out) = x (R, n_in) W^T + b; b may be NULL
static void dense(double *y, const double *x, const double *w, const double *b, int64_t n_rows,
                  int n_in, int n_out) {
#pragma omp parallel for
    for (int64_t r = 0; r < n_rows; r++) {
        for (int o = 0; o < n_out; o++) {
            double sum = 0;
            for (int i = 0; i < n_in; i++) {
                sum += x[r * n_in + i] * w[o * n_in + i];
            }
            y[r * n_out + o] = sum + (b ? b[o] : 0);
        }
    }
}

static void layer_norm(double *y, const double *x, const double *scale, const double *bias,
                       int64_t n_rows) {
    for (int64_t r = 0; r < n_rows; r++) {
        const double *row = x + r * C;
        double mean = 0, variance = 0;
        for (int i = 0; i < C; i++) {
            mean += row[i] / C;
        }
        for (int i = 0; i < C; i++) {
            variance += (row[i] - mean) * (row[i] - mean) / C;
        }
        for (int i = 0; i < C; i++) {
            y[r * C + i] = (row[i] - mean) / sqrt(variance + norm_eps) * scale[i] + bias[i];
        }
    }
}

// heads (B, H, T, D) <- columns `first` .. first + C - 1 of rows (B, T, stride), or back.
static void turn(double *heads, double *rows, int64_t B, int64_t T, int stride, int first,
                 bool is_back) {
    for (int64_t r = 0; r < B * T; r++) {
        for (int i = 0; i < C; i++) {
            double *head = &heads[((r / T * HEADS + i / D) * T + r % T) * D + i % D];
            double *row = &rows[r * stride + first + i];
            *(is_back ? row : head) = *(is_back ? head : row);
        }
    }
}

// One head of all sequences, side by side, then its distribution.
static struct ley_scaler see(const double *heads, int64_t B, int64_t T, int h,
                             const struct ley_scaler *scaler) {
    double *x = new_rows(B, T * D);
    for (int64_t b = 0; b < B; b++) {
        memcpy(x + b * T * D, heads + (b * HEADS + h) * T * D, (size_t)(T * D) * sizeof *x);
    }
    struct ley_scaler seen = ley_match_distribution(x, B * T * D, scaler);
    ley_free(x);
    return seen;
}

// rows (R, C) <- attention of qkv (R, 3 C)
static void attend(double *rows, double *qkv, struct ley_scaler_set *seen, int layer,
                   const struct ley_attention *attention, int64_t B, int64_t T) {
    double *signal[LEY_N_SIGNALS];
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        signal[i] = new_rows(B * T, C);
        if (i < LEY_SIGNAL_OUTPUT) {
            turn(signal[i], qkv, B, T, 3 * C, i * C, false);
        }
    }
    const struct ley_attention_call call =
        packed_call(signal[LEY_SIGNAL_OUTPUT], signal[LEY_SIGNAL_Q], signal[LEY_SIGNAL_K],
                    signal[LEY_SIGNAL_V], &attention->shape, B, T);
    ASSERT_OK(ley_attention_forward(attention, &call));
    turn(signal[LEY_SIGNAL_OUTPUT], rows, B, T, C, 0, true);
    for (int i = 0; i < LEY_N_SIGNALS; i++) {
        for (int h = 0; h < HEADS; h++) {
            const struct ley_scaler *scaler =
                i == LEY_SIGNAL_OUTPUT ? NULL : &attention->scaler[i][h];
            ley_scaler_set_at(seen, (enum ley_signal)i, layer)[h] = see(signal[i], B, T, h, scaler);
        }
        ley_free(signal[i]);
    }
}

static void add(double *x, const double *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        x[i] += y[i];
    }
}

// x += layer(x), through h (R, C) and wide (R, 4 C)
static void run_layer(double *x, double *h, double *wide, struct ley_scaler_set *seen,
                      const struct oracle_gpt *gpt, int l, const struct ley_attention *attention,
                      const struct ley_match_batch *batch) {
    int64_t n_rows = batch->n_batch * batch->n_tokens;
    double *const(*w)[ORACLE_GPT_LAYERS] = gpt->weight;
    layer_norm(h, x, w[LN_1][l], w[LN_1_BIAS][l], n_rows);
    dense(wide, h, w[C_ATTN][l], w[C_ATTN_BIAS][l], n_rows, C, 3 * C);
    attend(h, wide, seen, l, attention, batch->n_batch, batch->n_tokens);
    dense(wide, h, w[C_PROJ][l], w[C_PROJ_BIAS][l], n_rows, C, C);
    add(x, wide, n_rows * C);
    layer_norm(h, x, w[LN_2][l], w[LN_2_BIAS][l], n_rows);
    dense(wide, h, w[C_FC][l], w[C_FC_BIAS][l], n_rows, C, F);
    for (int64_t i = 0; i < n_rows * F; i++) {
        wide[i] = 0.5 * wide[i] * (1 + erf(wide[i] / sqrt(2)));
    }
    dense(h, wide, w[DOWN][l], w[DOWN_BIAS][l], n_rows, F, C);
    add(x, h, n_rows * C);
}

double oracle_gpt_run(struct ley_scaler_set *seen, const struct oracle_gpt *gpt,
                      struct ley_attention *const *attention, const struct ley_match_batch *batch) {
    int64_t n_rows = batch->n_batch * batch->n_tokens;
    double *x = new_rows(n_rows, C), *h = new_rows(n_rows, C), *wide = new_rows(n_rows, F);
    double loss = 0;
    for (int64_t r = 0; r < n_rows; r++) {
        memcpy(x + r * C, gpt->weight[WTE][0] + batch->tokens[r] * C, C * sizeof *x);
        add(x + r * C, gpt->weight[WPE][0] + r % batch->n_tokens * C, C);
    }
    for (int l = 0; l < ORACLE_GPT_LAYERS; l++) {
        run_layer(x, h, wide, seen, gpt, l, attention[l], batch);
    }
    layer_norm(h, x, gpt->weight[LN_F][0], gpt->weight[LN_F_BIAS][0], n_rows);
    dense(wide, h, gpt->weight[WTE][0], NULL, n_rows, C, V);
    for (int64_t r = 0; r < n_rows; r++) {
        double sum = 0;
        for (int i = 0; i < V; i++) {
            sum += exp(wide[r * V + i]);
        }
        loss += log(sum) - wide[r * V + batch->next[r]];
    }
    ley_free(x);
    ley_free(h);
    ley_free(wide);
    return loss / (double)n_rows;
}
