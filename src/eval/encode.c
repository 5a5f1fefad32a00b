// encode.c - items as tokens, cut and windowed as in lm-evaluation-harness
#include "eval/encode.h"

#include <string.h>

#include "core/hash.h"
#include "core/memory.h"

enum { FLAGS = LEY_ADD_SPECIAL | LEY_PARSE_SPECIAL };

void ley_case_destroy(struct ley_case *out) {
    for (int64_t i = 0; i < out->n; i++) {
        ley_free(out->sequence[i].token);
    }
    ley_free(out->sequence);
    *out = (struct ley_case){0};
}

// Stands before a text, or for a context that is empty.
static int32_t prefix_of(const struct ley_encoder *encoder) {
    int32_t bos = ley_tokenizer_bos(encoder->tokenizer),
            eos = ley_tokenizer_eos(encoder->tokenizer);
    return bos >= 0 ? bos : eos >= 0 ? eos : 0;
}

// A sequence of `before` and `after`, of which the end is scored; too long a beginning is cut off.
static enum ley_status make(struct ley_sequence *sequence, const struct ley_encoder *encoder,
                            const struct ley_tokens *before, const struct ley_tokens *after) {
    int64_t most = encoder->max_length + 1, n_after = (int64_t)after->n; // the last is not fed
    int64_t n_before = (int64_t)before->n;
    if (n_after >= most) {
        return ley_fail(LEY_E_FORMAT, "an ending has %lld tokens, more than --ctx %lld allows",
                        (long long)n_after, (long long)encoder->max_length);
    }
    if (n_after == 0) {
        return ley_fail(LEY_E_FORMAT, "an ending has no tokens");
    }
    int64_t n_kept = n_before + n_after > most ? most - n_after : n_before;
    sequence->n = n_kept + n_after;
    sequence->first = n_kept;
    sequence->token = ley_alloc((size_t)sequence->n, sizeof *sequence->token);
    if (!sequence->token) {
        return ley_fail_memory("tokens", (size_t)sequence->n, sizeof *sequence->token);
    }
    memcpy(sequence->token, before->id + n_before - n_kept, (size_t)n_kept * sizeof(int32_t));
    memcpy(sequence->token + n_kept, after->id, after->n * sizeof(int32_t));
    return LEY_OK;
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// Both parts together, then the context alone: its tokens are fed, and of the whole what follows as
// many tokens. That the whole may begin otherwise is the harness's own rule.
static enum ley_status encode_pair(struct ley_sequence *sequence, const struct ley_encoder *encoder,
                                   const struct ley_item *item, const struct ley_item_pair *pair,
                                   char *room) {
    size_t n_context = pair->context.n, n_all = pair->context.n + pair->ending.n;
    struct ley_tokens whole, context = {0};
    memcpy(room, item->text + pair->context.at, n_context);
    memcpy(room + n_context, item->text + pair->ending.at, pair->ending.n);
    int32_t prefix = prefix_of(encoder);
    if (n_context == 0) {
        context = (struct ley_tokens){.id = &prefix, .n = 1};
        LEY_TRY(ley_tokenizer_encode(&whole, encoder->tokenizer, room, n_all, FLAGS));
        enum ley_status status = make(sequence, encoder, &context, &whole);
        ley_tokens_destroy(&whole);
        return status;
    }
    while (n_context > 0 && is_space(room[n_context - 1])) {
        n_context--;
    }
    LEY_TRY(ley_tokenizer_encode(&whole, encoder->tokenizer, room, n_all, FLAGS));
    enum ley_status status =
        ley_tokenizer_encode(&context, encoder->tokenizer, room, n_context, FLAGS);
    if (status == LEY_OK) {
        size_t cut = context.n < whole.n ? context.n : whole.n;
        const struct ley_tokens after = {.id = whole.id + cut, .n = whole.n - cut};
        status = make(sequence, encoder, &context, &after);
    }
    ley_tokens_destroy(&context);
    ley_tokens_destroy(&whole);
    return status;
}

static enum ley_status encode_pairs(struct ley_case *out, const struct ley_encoder *encoder,
                                    const struct ley_item *item) {
    char *room = ley_alloc(2 * item->n_text + 1, 1); // parts may be the same text
    enum ley_status status =
        room ? LEY_OK : ley_fail_memory("an item's text", 2 * item->n_text + 1, 1);
    for (int i = 0; status == LEY_OK && i < item->n_pairs; i++) {
        out->sequence[i].pair = i;
        out->n = i + 1;
        status = encode_pair(&out->sequence[i], encoder, item, &item->pair[i], room);
    }
    ley_free(room);
    return status;
}

// Window i scores tokens i * L .. (i + 1) * L - 1. The first is fed the prefix and all but its last
// token, a later one the L tokens before its last.
static enum ley_status make_window(struct ley_sequence *window, const struct ley_encoder *encoder,
                                   const struct ley_tokens *tokens, int64_t i) {
    int64_t L = encoder->max_length, begin = i * L, n = (int64_t)tokens->n;
    int64_t end = begin + L < n ? begin + L : n;
    const struct ley_tokens after = {.id = tokens->id + begin, .n = (size_t)(end - begin)};
    int32_t prefix = prefix_of(encoder);
    struct ley_tokens before = {.id = &prefix, .n = 1};
    if (i > 0) {
        int64_t n_before = L + 1 - (end - begin);
        before = (struct ley_tokens){.id = tokens->id + begin - n_before, .n = (size_t)n_before};
    }
    return make(window, encoder, &before, &after);
}

// All windows of a text.
static enum ley_status cut_text(struct ley_case *out, const struct ley_encoder *encoder,
                                struct ley_string text, int64_t limit) {
    struct ley_tokens tokens;
    LEY_TRY(ley_tokenizer_encode(&tokens, encoder->tokenizer, text.text, text.n, FLAGS));
    int64_t L = encoder->max_length, n = ((int64_t)tokens.n + L - 1) / L;
    n = limit > 0 && n > limit ? limit : n;
    out->sequence = ley_alloc((size_t)n, sizeof *out->sequence);
    enum ley_status status =
        out->sequence ? LEY_OK : ley_fail_memory("windows", (size_t)n, sizeof *out->sequence);
    for (int64_t i = 0; status == LEY_OK && i < n; i++) {
        out->n = i + 1;
        status = make_window(&out->sequence[i], encoder, &tokens, i);
    }
    ley_tokens_destroy(&tokens);
    return status;
}

// Bytes that the scored tokens of a window stand for.
static int64_t count_bytes(const struct ley_encoder *encoder, const struct ley_sequence *window) {
    int64_t n = 0;
    for (int64_t i = window->first; i < window->n; i++) {
        n += (int64_t)ley_tokenizer_bytes(encoder->tokenizer, window->token[i]).n;
    }
    return n;
}

enum ley_status ley_items_of_text(struct ley_items *items, const struct ley_encoder *encoder,
                                  struct ley_string text, int64_t limit) {
    struct ley_case windows = {0};
    *items = (struct ley_items){.hash = ley_hash(0, text.text, text.n)};
    enum ley_status status = cut_text(&windows, encoder, text, limit);
    if (status == LEY_OK) {
        items->item = ley_alloc((size_t)windows.n, sizeof *items->item);
        status = items->item ? LEY_OK
                             : ley_fail_memory("windows", (size_t)windows.n, sizeof *items->item);
    }
    for (int64_t i = 0; status == LEY_OK && i < windows.n; i++) {
        struct ley_sequence *window = &windows.sequence[i];
        items->item[i] = (struct ley_item){
            .n_pairs = 1,
            .gold = -1,
            .n_bytes = count_bytes(encoder, window),
            .token = window->token,
            .n_tokens = window->n,
            .first = window->first,
        };
        window->token = NULL; // the item's now
        items->n = i + 1;
    }
    ley_case_destroy(&windows);
    return status == LEY_OK && items->n == 0 ? ley_fail(LEY_E_FORMAT, "the text is empty") : status;
}

// A window is tokens already.
static enum ley_status copy_window(struct ley_case *out, const struct ley_item *item) {
    out->sequence = ley_alloc(1, sizeof *out->sequence);
    int32_t *token = ley_alloc((size_t)item->n_tokens, sizeof *token);
    if (!out->sequence || !token) {
        ley_free(token);
        return ley_fail_memory("a window", (size_t)item->n_tokens, sizeof *token);
    }
    memcpy(token, item->token, (size_t)item->n_tokens * sizeof *token);
    out->sequence[0] = (struct ley_sequence){token, item->n_tokens, item->first, 0};
    out->n = 1;
    return LEY_OK;
}

enum ley_status ley_case_create(struct ley_case *out, const struct ley_encoder *encoder,
                                const struct ley_item *item, enum ley_task_kind kind) {
    *out = (struct ley_case){0};
    enum ley_status status;
    if (kind == LEY_TASK_WINDOWS) {
        status = copy_window(out, item);
    } else if (kind == LEY_TASK_ROLLING) {
        const struct ley_item_part *part = &item->pair[0].ending;
        status = cut_text(out, encoder, (struct ley_string){item->text + part->at, part->n}, 0);
    } else {
        out->sequence = ley_alloc((size_t)item->n_pairs, sizeof *out->sequence);
        status = out->sequence
                     ? encode_pairs(out, encoder, item)
                     : ley_fail_memory("sequences", (size_t)item->n_pairs, sizeof *out->sequence);
    }
    if (status != LEY_OK) {
        ley_case_destroy(out);
    }
    return status;
}
