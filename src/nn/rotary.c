// rotary.c - angles in double, so that far positions lose nothing; rotation in float32
#include "nn/rotary.h"

#include <math.h>

#include "core/assert.h"
#include "core/memory.h"

struct ley_rotary {
    // pairs that turn; what lies behind them in a head stays as it is
    int n_pairs;
    bool pairs_adjacent;
    double *frequency; // [n_pairs] radians per position
};

// Frequencies fall geometrically from 1 to about 1 / base radians a token; `factor` stretches them.
enum ley_status ley_rotary_create(struct ley_rotary **rotary, int n_rotating, double base,
                                  bool pairs_adjacent, const float *factor) {
    LEY_ASSERT(n_rotating >= 2 && n_rotating % 2 == 0);
    struct ley_rotary *made = ley_alloc(1, sizeof *made);
    double *frequency = ley_alloc((size_t)n_rotating / 2, sizeof *frequency);
    *rotary = NULL;
    if (!made || !frequency) {
        ley_free(made);
        ley_free(frequency);
        return ley_fail_memory("rotary frequencies", (size_t)n_rotating / 2, sizeof *frequency);
    }
    for (int i = 0; i < n_rotating / 2; i++) {
        double divisor = factor ? (double)factor[i] : 1;
        frequency[i] = pow(base, -2.0 * i / n_rotating) / divisor;
    }
    *made = (struct ley_rotary){n_rotating / 2, pairs_adjacent, frequency};
    *rotary = made;
    return LEY_OK;
}

void ley_rotary_destroy(struct ley_rotary *rotary) {
    if (rotary) {
        ley_free(rotary->frequency);
        ley_free(rotary);
    }
}

// Cosine and sine of pair i side by side: the layout ley_rotary_forward reads.
void ley_rotary_turn(float *turn, const struct ley_rotary *rotary, int64_t position) {
    for (int i = 0; i < rotary->n_pairs; i++) {
        // Position times frequency in double: at 10^6 tokens float32 would be off by a tenth of a
        // radian.
        double angle = (double)position * rotary->frequency[i];
        turn[2 * i] = (float)cos(angle);
        turn[2 * i + 1] = (float)sin(angle);
    }
}

// Both values of a pair are read before either is written. `sign` -1 turns back.
static void turn_pairs(float *x, const struct ley_rotary *rotary, const float *turn, int n_heads,
                       int head_dim, float sign) {
    // Distance of pairs from one another, and of the two values of a pair.
    int step = rotary->pairs_adjacent ? 2 : 1, apart = rotary->pairs_adjacent ? 1 : rotary->n_pairs;
    for (int h = 0; h < n_heads; h++) {
        for (int i = 0; i < rotary->n_pairs; i++) {
            float *a = x + h * head_dim + i * step, *b = a + apart;
            float cosine = turn[2 * i], sine = sign * turn[2 * i + 1];
            float turned_a = *a * cosine - *b * sine;
            *b = *b * cosine + *a * sine;
            *a = turned_a;
        }
    }
}

void ley_rotary_forward(float *x, const struct ley_rotary *rotary, const float *turn, int n_heads,
                        int head_dim) {
    turn_pairs(x, rotary, turn, n_heads, head_dim, 1);
}

// A rotation's transpose is its inverse.
void ley_rotary_backward(float *dx, const struct ley_rotary *rotary, const float *turn, int n_heads,
                         int head_dim) {
    turn_pairs(dx, rotary, turn, n_heads, head_dim, -1);
}
