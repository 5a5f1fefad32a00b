// metric.c - accuracies and perplexities with their errors
#include "eval/metric.h"

#include <math.h>

#include "core/random.h"

// Samples drawn again for the error of a perplexity.
enum { N_DRAWS = 100, STREAM = 0x6576616c };

int ley_answer_choice(const struct ley_item *item, const struct ley_answer *answer,
                      bool by_length) {
    int best = 0;
    double most = -INFINITY;
    for (int i = 0; i < item->n_pairs; i++) {
        double length = by_length ? (double)item->pair[i].n_characters : 1;
        double value = answer[i].log_prob / length;
        if (value > most) {
            most = value;
            best = i;
        }
    }
    return best;
}

// What a metric is made of.
struct sums {
    const struct ley_task *task;
    const struct ley_items *items;
    const struct ley_answers *answers;
    uint64_t seed;
    int64_t n_done;
};

static const struct ley_answer *answer_of(const struct sums *s, int64_t i) {
    return &s->answers->answer[s->answers->first[i]];
}

// 1 or 0 for an item.
static double is_right(const struct sums *s, int64_t i, bool by_length) {
    const struct ley_item *item = &s->items->item[i];
    const struct ley_answer *answer = answer_of(s, i);
    if (s->task->kind == LEY_TASK_TARGET) {
        return answer->is_greedy;
    }
    return ley_answer_choice(item, answer, by_length) == item->gold;
}

// Mean of rights, and its error from the deviation of a sample: of ones and zeros,
// n p (1 - p) / (n - 1).
static struct ley_metric accuracy(const struct sums *s, const char *name, bool by_length) {
    double sum = 0, n = (double)s->n_done;
    for (int64_t i = 0; i < s->items->n; i++) {
        sum += s->answers->is_done[i] ? is_right(s, i, by_length) : 0;
    }
    double mean = sum / n;
    double variance = n > 1 ? n * mean * (1 - mean) / (n - 1) : NAN;
    return (struct ley_metric){name, mean, sqrt(variance / n), true};
}

// What a perplexity is taken over.
enum unit { ITEMS, WORDS, BYTES, TOKENS };

static double units_of(const struct sums *s, int64_t i, enum unit unit) {
    const struct ley_item *item = &s->items->item[i];
    switch (unit) {
    case WORDS:
        return (double)item->n_words;
    case BYTES:
        return (double)item->n_bytes;
    case TOKENS:
        return (double)answer_of(s, i)->n_tokens;
    default:
        return 1;
    }
}

// Nats a unit over a draw of items; draw -1: all items once.
static double loss(const struct sums *s, enum unit unit, int64_t draw) {
    double sum = 0, n_units = 0, n = (double)s->items->n;
    for (int64_t k = 0; k < s->items->n; k++) {
        int64_t i = k;
        if (draw >= 0) {
            uint64_t index = (uint64_t)(draw * s->items->n + k);
            i = (int64_t)(n * ley_random_uniform(s->seed, STREAM, index));
        }
        if (s->answers->is_done[i]) {
            sum -= answer_of(s, i)->log_prob;
            n_units += units_of(s, i, unit);
        }
    }
    return sum / n_units;
}

// exp of the loss, or the loss in bits.
static double value_of(double loss_nats, bool is_bits) {
    return is_bits ? loss_nats / log(2) : exp(loss_nats);
}

static struct ley_metric perplexity(const struct sums *s, const char *name, enum unit unit,
                                    bool is_bits) {
    double sum = 0, sum_square = 0, n = 0;
    for (int draw = 0; draw < N_DRAWS; draw++) {
        double value = value_of(loss(s, unit, draw), is_bits);
        if (isfinite(value)) { // a draw without any item that is done counts for nothing
            n++;
            double step = value - sum;
            sum += step / n;
            sum_square += step * (value - sum);
        }
    }
    return (struct ley_metric){name, value_of(loss(s, unit, -1), is_bits),
                               n > 1 ? sqrt(sum_square / (n - 1)) : NAN, false};
}

int ley_metrics(struct ley_metric metric[LEY_MOST_METRICS], const struct ley_task *task,
                const struct ley_items *items, const struct ley_answers *answers, uint64_t seed) {
    struct sums s = {task, items, answers, seed, 0};
    int n = 0;
    for (int64_t i = 0; i < items->n; i++) {
        s.n_done += answers->is_done[i];
    }
    if (s.n_done == 0) {
        return 0;
    }
    switch (task->kind) {
    case LEY_TASK_CHOICE:
        metric[n++] = accuracy(&s, "acc", false);
        metric[n++] = accuracy(&s, "acc_norm", true);
        break;
    case LEY_TASK_CONTEXTS:
        metric[n++] = accuracy(&s, "acc", false);
        break;
    case LEY_TASK_TARGET:
        metric[n++] = accuracy(&s, "acc", false);
        metric[n++] = perplexity(&s, "perplexity", ITEMS, false);
        break;
    case LEY_TASK_WINDOWS:
        metric[n++] = perplexity(&s, "token_perplexity", TOKENS, false);
        metric[n++] = perplexity(&s, "byte_perplexity", BYTES, false);
        metric[n++] = perplexity(&s, "bits_per_byte", BYTES, true);
        break;
    case LEY_TASK_ROLLING:
        metric[n++] = perplexity(&s, "word_perplexity", WORDS, false);
        metric[n++] = perplexity(&s, "byte_perplexity", BYTES, false);
        metric[n++] = perplexity(&s, "bits_per_byte", BYTES, true);
        metric[n++] = perplexity(&s, "token_perplexity", TOKENS, false);
        break;
    }
    return n;
}
