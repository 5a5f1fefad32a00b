// loss.c - softmax distributions of rows, and what they cost
//
// A distribution is kept as its largest logit and the sum of exponentials, so that a probability is
// one exponential and one product, accurate to float32 whatever the size of the logits. Each row is
// one thread's.
#include "nn/loss.h"

#include <math.h>
#include <string.h>

#include "core/variants.h"
#include "nn/exp_impl.h"

// LANES: independent sums, so that the compiler can use one vector; their number fixes the order.
// PIECE: terms that are made before they are summed.
enum { LANES = 8, PIECE = 256 };

// softmax(x * factor): p[i] = exp((x[i] - largest) * factor) * inverse.
struct distribution {
    float largest, factor, inverse;
    double log_sum; // log of the sum of exp(x * factor)
};

// The largest term is taken out, so no exponential exceeds 1 and the sum is at least 1. Sums are
// double: thousands of small terms would be lost in float32.
LEY_LEAF double sum_exp_leaf(float *largest, const float *x, int n, float factor) {
    float most = x[0];
    for (int i = 1; i < n; i++) {
        most = x[i] > most ? x[i] : most;
    }
    double lane[LANES] = {0}, sum = 0;
    for (int first = 0; first < n; first += PIECE) {
        int left = n - first < PIECE ? n - first : PIECE;
        float term[PIECE] = {0}; // what lies beyond the end adds nothing
        for (int i = 0; i < left; i++) {
            term[i] = ley_exp((x[first + i] - most) * factor);
        }
        for (int i = 0; i < PIECE; i += LANES) {
            for (int j = 0; j < LANES; j++) {
                lane[j] += (double)term[i + j];
            }
        }
    }
    for (int j = 0; j < LANES; j++) {
        sum += lane[j];
    }
    *largest = most;
    return sum;
}
LEY_VARIANTS(double, sum_exp, (float *largest, const float *x, int n, float factor),
             (largest, x, n, factor))

static struct distribution measure(const float *x, int n, double factor) {
    struct distribution made = {.factor = (float)factor};
    double sum = sum_exp(&made.largest, x, n, made.factor);
    made.inverse = (float)(1 / sum);
    made.log_sum = (double)made.largest * made.factor + log(sum);
    return made;
}

static inline float probability(const struct distribution *of, float x) {
    return ley_exp((x - of->largest) * of->factor) * of->inverse;
}

double ley_log_sum_exp(const float *x, int n) {
    return measure(x, n, 1).log_sum;
}

// Logits of one row, their distributions p, that softened, and the teacher's t.
struct pull {
    struct distribution p, soft, t;
    float cross_entropy, divergence; // factors of p and soft - t
};

// One piece: probabilities of the teacher to t[n]; lane[i % LANES] += t log(t / soft). log t and
// log p are differences of logits and log sums, never logarithms of small numbers; t * log t tends
// to 0 where t does.
LEY_LEAF void add_divergence_leaf(double *restrict lane, float *restrict t,
                                  const float *restrict logits, const float *restrict teacher,
                                  const struct pull *pull, int n) {
    const struct distribution of = pull->t;
    double factor = (double)pull->soft.factor, difference = pull->soft.log_sum - of.log_sum;
    int whole = n / LANES * LANES;
    for (int i = 0; i < n; i++) {
        t[i] = probability(&of, teacher[i]);
    }
    for (int i = 0; i < whole; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            double apart = (double)teacher[i + j] - (double)logits[i + j];
            lane[j] += (double)t[i + j] * (apart * factor + difference);
        }
    }
    for (int i = whole; i < n; i++) {
        double apart = (double)teacher[i] - (double)logits[i];
        lane[i - whole] += (double)t[i] * (apart * factor + difference);
    }
}

// The divergence; logits become the gradient by each, see backward_row. Without a weight of its own
// p is not needed.
LEY_LEAF double pull_to_teacher_leaf(float *restrict logits, const float *restrict teacher,
                                     const struct pull *pull, int n) {
    const struct distribution p = pull->p, soft = pull->soft;
    float weight = pull->cross_entropy, factor = pull->divergence;
    double lane[LANES] = {0}, sum = 0;
    for (int first = 0; first < n; first += PIECE) {
        int left = n - first < PIECE ? n - first : PIECE;
        float t[PIECE], *x = logits + first;
        add_divergence_leaf(lane, t, x, teacher + first, pull, left);
        if (weight == 0) {
            for (int i = 0; i < left; i++) {
                x[i] = factor * (probability(&soft, x[i]) - t[i]);
            }
            continue;
        }
        for (int i = 0; i < left; i++) {
            x[i] = weight * probability(&p, x[i]) + factor * (probability(&soft, x[i]) - t[i]);
        }
    }
    for (int j = 0; j < LANES; j++) {
        sum += lane[j];
    }
    return sum;
}
LEY_VARIANTS(double, pull_to_teacher,
             (float *logits, const float *teacher, const struct pull *pull, int n),
             (logits, teacher, pull, n))

// Likewise without a teacher.
LEY_LEAF void push_leaf(float *logits, const struct distribution *of, float weight, int n) {
    const struct distribution p = *of;
    for (int i = 0; i < n; i++) {
        logits[i] = weight * probability(&p, logits[i]);
    }
}
LEY_VARIANTS(void, push, (float *logits, const struct distribution *of, float weight, int n),
             (logits, of, weight, n))

// By logit i: cross_entropy * (p - [i is the target]) + divergence / temperature * (p_T - t_T).
static void backward_row(double *nll, double *divergence, float *logits, const float *teacher,
                         int32_t target, const struct ley_loss_weights *weights, int n) {
    const struct distribution p = measure(logits, n, 1);
    *nll = p.log_sum - (double)logits[target];
    float weight = (float)weights->cross_entropy;
    if (!teacher) {
        push(logits, &p, weight, n);
    } else {
        double cold = 1 / weights->temperature;
        const struct pull pull = {
            .p = p,
            .soft = cold == 1 ? p : measure(logits, n, cold),
            .t = measure(teacher, n, cold),
            .cross_entropy = weight,
            .divergence = (float)(weights->divergence * cold),
        };
        *divergence = pull_to_teacher(logits, teacher, &pull, n);
    }
    logits[target] -= weight;
}

void ley_loss_backward(double *nll, double *divergence, float *logits, const float *teacher,
                       const int32_t *targets, const struct ley_loss_weights *weights,
                       int64_t n_rows, int n_vocab) {
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < n_rows; r++) {
        double unused = 0, *apart = divergence ? &divergence[r] : &unused;
        struct ley_loss_weights own = *weights;
        own.divergence *= weights->emphasis ? (double)weights->emphasis[r] : 1;
        float *row = logits + r * n_vocab;
        nll[r] = 0;
        *apart = 0;
        if (targets[r] < 0) {
            memset(row, 0, (size_t)n_vocab * sizeof *row);
        } else {
            backward_row(&nll[r], apart, row, teacher ? teacher + r * n_vocab : NULL, targets[r],
                         &own, n_vocab);
        }
    }
}
