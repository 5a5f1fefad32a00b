// shape.c - models by name or by numbers
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cost/cost.h"

// Sizes as published with the models.
static const struct {
    const char *name;
    struct ley_cost_shape shape;
} known[] = {
    {"gpt2", {12, 12, 12, 64, 768, 3072, 50257, 2}},
    {"gpt2-xl", {48, 25, 25, 64, 1600, 6400, 50257, 2}},
    {"smollm2-135m", {30, 9, 3, 64, 576, 1536, 49152, 3}},
};
enum { N_KNOWN = sizeof known / sizeof known[0], N_NUMBERS = 8 };

// Bounds keep products of sizes within 64 bits.
enum ley_status ley_cost_shape_check(const struct ley_cost_shape *shape) {
    enum { MOST = 1 << 24 };
    const int size[] = {shape->n_layers, shape->n_heads, shape->n_kv_heads, shape->head_dim};
    for (int i = 0; i < 4; i++) {
        if (size[i] < 1 || size[i] > MOST) {
            return ley_fail(LEY_E_ARGUMENT, "layers, heads and widths must be 1..%d, one is %d",
                            MOST, size[i]);
        }
    }
    if ((double)shape->n_heads * shape->head_dim > MOST) {
        return ley_fail(LEY_E_ARGUMENT, "%d heads of %d are wider than %d", shape->n_heads,
                        shape->head_dim, MOST);
    }
    if (shape->n_heads % shape->n_kv_heads != 0) {
        return ley_fail(LEY_E_ARGUMENT, "%d query heads are not a multiple of %d key-value heads",
                        shape->n_heads, shape->n_kv_heads);
    }
    bool has_width = shape->d_model > 0;
    if (has_width && (shape->d_ff < 1 || shape->n_vocab < 1 || shape->mlp_matrices < 1)) {
        return ley_fail(LEY_E_ARGUMENT, "with d_model, d_ff and vocab must be 1 or more");
    }
    return LEY_OK;
}

// Either 4, 7 or 8 numbers; three matrices unless said.
enum ley_status ley_cost_shape_parse(struct ley_cost_shape *shape, const char *text) {
    for (int i = 0; i < N_KNOWN; i++) {
        if (strcmp(known[i].name, text) == 0) {
            *shape = known[i].shape;
            return LEY_OK;
        }
    }
    int number[N_NUMBERS] = {0}, n = 0;
    bool is_more = true;
    const char *at = text;
    while (is_more && n < N_NUMBERS) {
        char *end;
        long value = strtol(at, &end, 10);
        if (end == at || value < 1 || value > INT_MAX) {
            break;
        }
        number[n++] = (int)value;
        is_more = *end == ',';
        at = end + is_more;
    }
    // A comma promises one more number.
    if (is_more || *at != '\0' || (n != 4 && n != 7 && n != 8)) {
        return ley_fail(LEY_E_ARGUMENT,
                        "the shape '%.80s' is not known; give gpt2, gpt2-xl, smollm2-135m or "
                        "L,H,Hkv,D[,d_model,d_ff,vocab[,mlp matrices]]",
                        text);
    }
    *shape = (struct ley_cost_shape){number[0], number[1], number[2], number[3],
                                     number[4], number[5], number[6], n == 8 ? number[7] : 3};
    return ley_cost_shape_check(shape);
}
