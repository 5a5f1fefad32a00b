// sampling.c - top-k by a heap, top-p and the draw over a sorted list; a draw from all needs no
// order
//
// Choosing k of V costs O(V + k log V) as a rule: the heap's root is the worst kept choice, and
// most logits are below it. Probabilities are sums of doubles in the order of the list, so a draw
// is the same on every machine.
#include "model/sampling.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/memory.h"
#include "core/random.h"

// A token that may be drawn.
struct choice {
    float logit;
    int32_t id;
};

// `kept` is a list of all, or first a heap and then a sorted list; made once, since a pick must not
// allocate.
struct ley_sampler {
    struct ley_sampling sampling;
    int32_t n_vocab;
    struct choice *kept; // [n_vocab]
};

// NaN fails each of these tests, because they are written as what must hold.
enum ley_status ley_sampler_create(struct ley_sampler **out, const struct ley_sampling *sampling,
                                   int32_t n_vocab) {
    *out = NULL;
    if (n_vocab < 1) {
        return ley_fail(LEY_E_ARGUMENT, "sampling needs a vocabulary, not %d tokens", n_vocab);
    }
    if (!(sampling->temperature >= 0) || isinf(sampling->temperature)) {
        return ley_fail(LEY_E_ARGUMENT, "temperature is %g, must be 0 or more",
                        sampling->temperature);
    }
    if (sampling->top_k < 0) {
        return ley_fail(LEY_E_ARGUMENT, "top-k is %d, must be 0 (all) or more", sampling->top_k);
    }
    if (!(sampling->top_p > 0 && sampling->top_p <= 1)) {
        return ley_fail(LEY_E_ARGUMENT, "top-p is %g, must be above 0 and at most 1 (all)",
                        sampling->top_p);
    }
    struct ley_sampler *sampler = ley_alloc(1, sizeof *sampler);
    struct choice *kept = ley_alloc((size_t)n_vocab, sizeof *kept);
    if (!sampler || !kept) {
        ley_free(sampler);
        ley_free(kept);
        return ley_fail_memory("sampling", (size_t)n_vocab, sizeof *kept);
    }
    *sampler = (struct ley_sampler){*sampling, n_vocab, kept};
    *out = sampler;
    return LEY_OK;
}

void ley_sampler_destroy(struct ley_sampler *sampler) {
    if (sampler) {
        ley_free(sampler->kept);
        ley_free(sampler);
    }
}

// Negative when a comes before b: larger logits first, then lower ids.
static int compare(const void *a, const void *b) {
    const struct choice *x = a, *y = b;
    if (x->logit != y->logit) {
        return x->logit > y->logit ? -1 : 1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

// Order of the heap.
static bool is_worse(const struct choice *a, const struct choice *b) {
    return compare(a, b) > 0;
}

// Restores the heap (the root is the worst) after its root was replaced.
static void sift_down(struct choice *heap, int32_t n) {
    struct choice moved = heap[0];
    int32_t at = 0;
    for (int32_t child = 1; child < n; child = 2 * at + 1) {
        child += child + 1 < n && is_worse(&heap[child + 1], &heap[child]);
        if (!is_worse(&heap[child], &moved)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

// Restores the heap after a choice was put at its end.
static void sift_up(struct choice *heap, int32_t at) {
    struct choice moved = heap[at];
    while (at > 0 && is_worse(&moved, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = moved;
}

// Keeps all choices, the best first and the others in no order; returns their number.
static int32_t keep_all(struct ley_sampler *sampler, const float *logits) {
    struct choice *kept = sampler->kept;
    int32_t n = 0;
    for (int32_t id = 0; id < sampler->n_vocab; id++) {
        struct choice choice = {logits[id], id};
        if (!(choice.logit > -INFINITY)) { // also NaN
            continue;
        }
        kept[n++] = choice;
        if (is_worse(&kept[0], &choice)) {
            kept[n - 1] = kept[0];
            kept[0] = choice;
        }
    }
    return n;
}

// Keeps the top_k choices, best first; returns their number.
static int32_t keep_top_k(struct ley_sampler *sampler, const float *logits) {
    int32_t n = 0, most = sampler->n_vocab;
    if (sampler->sampling.top_k > 0 && sampler->sampling.top_k < most) {
        most = sampler->sampling.top_k;
    }
    for (int32_t id = 0; id < sampler->n_vocab; id++) {
        struct choice choice = {logits[id], id};
        if (!(choice.logit > -INFINITY)) { // also NaN
            continue;
        }
        // The first `most` choices fill the heap; later ones have to beat its worst.
        if (n < most) {
            sampler->kept[n] = choice;
            sift_up(sampler->kept, n++);
        } else if (is_worse(&sampler->kept[0], &choice)) {
            sampler->kept[0] = choice;
            sift_down(sampler->kept, n);
        }
    }
    qsort(sampler->kept, (size_t)n, sizeof *sampler->kept, compare);
    return n;
}

// Weight of a choice relative to the best one; an infinite best one has all the weight.
static double weight(const struct choice *kept, int32_t i, double temperature) {
    return kept[i].logit == kept[0].logit
               ? 1
               : exp(((double)kept[i].logit - kept[0].logit) / temperature);
}

// The first choice at which the running sum of weights exceeds `share` of the sum over n.
static int32_t find_share(const struct choice *kept, int32_t n, double temperature, double share,
                          bool or_reaches) {
    double total = 0, sum = 0;
    for (int32_t i = 0; i < n; i++) {
        total += weight(kept, i, temperature);
    }
    // Weights fall along the list, so this stops early as a rule.
    for (int32_t i = 0; i < n; i++) {
        sum += weight(kept, i, temperature);
        if (sum > share * total || (or_reaches && sum == share * total)) {
            return i;
        }
    }
    return n - 1; // rounding
}

// The first of the largest logits; comparisons with NaN are false.
static int32_t pick_largest(const float *logits, int32_t n) {
    int32_t best = -1;
    for (int32_t id = 0; id < n; id++) {
        if (logits[id] > (best < 0 ? -INFINITY : logits[best])) {
            best = id;
        }
    }
    return best;
}

// Greedy choices need no list. Otherwise the list is cut twice and then drawn from.
int32_t ley_sampler_pick(struct ley_sampler *sampler, const float *logits, uint64_t position) {
    const struct ley_sampling *sampling = &sampler->sampling;
    if (sampling->temperature == 0 || sampling->top_k == 1) {
        return pick_largest(logits, sampler->n_vocab);
    }
    bool needs_order =
        sampling->top_p < 1 || (sampling->top_k > 0 && sampling->top_k < sampler->n_vocab);
    int32_t n = needs_order ? keep_top_k(sampler, logits) : keep_all(sampler, logits);
    if (n == 0) {
        return -1;
    }
    // The share of top-p is of the probabilities before temperature: how flat the draw is made does
    // not change what may be drawn.
    if (sampling->top_p < 1) {
        n = find_share(sampler->kept, n, 1, sampling->top_p, true) + 1;
    }
    // A function of seed, stream and position: a draw does not depend on the draws before it.
    double share = ley_random_uniform(sampling->seed, sampling->stream, position);
    return sampler->kept[find_share(sampler->kept, n, sampling->temperature, share, false)].id;
}
