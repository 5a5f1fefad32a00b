// generate.c - greedy continuation for tests
#include "support/generate.h"

#include <math.h>

#include "support/support.h"

static int32_t most_likely(const float *logits, int n) {
    int best = 0;
    for (int i = 1; i < n; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return best;
}

void generate_greedy(int32_t *tokens, int64_t n_prompt, int64_t n_total,
                     const struct ley_model *model) {
    int n_vocab = ley_model_config(model)->n_vocab;
    struct ley_session *session;
    float *logits = ley_alloc((size_t)n_vocab, sizeof *logits);
    ASSERT_OK(ley_session_create(&session, model, 1, n_total));
    ASSERT_OK(ley_session_feed(logits, session, tokens, n_prompt, NULL));
    for (int64_t n = n_prompt; n < n_total; n++) {
        tokens[n] = most_likely(logits, n_vocab);
        ASSERT_OK(ley_session_feed(logits, session, &tokens[n], 1, NULL));
    }
    ley_session_destroy(session);
    ley_free(logits);
}

double largest_logit_error(const float *got, const double *want, int64_t n) {
    double largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double error = fabs((double)got[i] - want[i]);
        largest = error > largest || isnan(error) ? error : largest;
    }
    return largest;
}

int32_t *load_tokens(int64_t *count, const char *folder, const char *name) {
    double *x = load_array(count, NULL, folder, name);
    int32_t *tokens = ley_alloc((size_t)*count, sizeof *tokens);
    assert_non_null(tokens);
    for (int64_t i = 0; i < *count; i++) {
        tokens[i] = (int32_t)x[i];
    }
    ley_free(x);
    return tokens;
}
