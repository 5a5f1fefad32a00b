// training_data.c - what goes into a run and comes out: a text as cached tokens, or what the model
// samples itself; a model file
#include <stdio.h>
#include <string.h>

#include "training.h"

// Sequences that are sampled side by side.
enum { SAMPLED_BATCH = 16 };

// As many tokens as are learned from, once; a run may go over them again.
static enum ley_status sample(struct training *training, struct language *language,
                              const char *cache) {
    const struct training_options *o = training->options;
    const struct ley_weight_source source = ley_model_file_source(language->file);
    struct ley_sampled_options options = {
        .n_tokens = o->tokens,
        .n_context = o->ctx,
        .n_batch = SAMPLED_BATCH,
        .temperature = 1,
        .seed = (uint64_t)o->seed,
    };
    struct ley_progress progress = session_progress("sampling, tokens");
    LEY_TRY(ley_weights_fingerprint(&options.model, ley_model_config(language->model), &source));
    return ley_dataset_sample(&training->dataset, cache, language->model, language->tokenizer,
                              &options, &progress);
}

static enum ley_status read_text(struct training *training, const struct language *language,
                                 struct ley_model_file *vocab_file, const char *cache) {
    const struct ley_text_options options = {.joins_lines = training->options->joins_lines};
    struct ley_vocab vocab;
    LEY_TRY(ley_model_file_vocab(vocab_file, &vocab));
    return ley_dataset_create(&training->dataset, training->options->data, cache,
                              language->tokenizer, &vocab, &options);
}

// Lists of `made` are gone when this returns, its numbers stay.
enum ley_status training_learn_vocab(struct ley_vocab_report *report, struct ley_vocab *made,
                                     const struct vocab_request *request) {
    const struct ley_text_options text = {.joins_lines = request->joins_lines};
    const struct ley_progress counting = session_progress("counting words, bytes");
    const struct ley_progress merging = session_progress("merging, tokens");
    const struct ley_vocab_options options = {.n_tokens = request->n_tokens,
                                              .min_count = request->min_count,
                                              .counting = &counting,
                                              .merging = &merging};
    struct ley_texts texts;
    struct ley_new_vocab *learned;
    LEY_TRY(ley_texts_load(&texts, request->data, &text));
    enum ley_status status = ley_vocab_train(&learned, report, texts.document, texts.n, &options);
    ley_texts_destroy(&texts);
    LEY_TRY(status);
    const struct ley_vocab *vocab = ley_new_vocab_get(learned);
    *made = (struct ley_vocab){.n_tokens = vocab->n_tokens, .n_merges = vocab->n_merges};
    status = ley_hf_vocab_write(request->out, vocab);
    ley_new_vocab_destroy(learned);
    return status;
}

// The cache of sampled text is what takes long to make, so it is kept beside OUT by default.
enum ley_status training_open_data(struct training *training, struct language *language,
                                   struct ley_model_file *vocab_file) {
    const struct training_options *o = training->options;
    char cache[1100];
    snprintf(cache, sizeof cache, "%s.tokens", training->out);
    LEY_TRY(strcmp(o->data, "self") == 0 ? sample(training, language, o->cache ? o->cache : cache)
                                         : read_text(training, language, vocab_file, o->cache));
    return ley_windows_create(&training->windows, &training->dataset, o->ctx, o->validation_part,
                              (uint64_t)o->seed);
}

enum ley_status training_write_model(const char *out, struct ley_model_file *file,
                                     struct ley_model_file *vocab_file, const char *type) {
    const struct ley_block_type *format = NULL;
    struct ley_conversion done;
    struct ley_vocab vocab;
    LEY_TRY(session_type(&format, type, false));
    LEY_TRY(ley_model_file_vocab(vocab_file, &vocab));
    LEY_TRY(ley_model_convert_gguf(&done, out, file, format, &vocab));
    printf("written    %s: %d tensors, %.1f MB\n", out, done.n_tensors, (double)done.n_bytes / 1e6);
    return LEY_OK;
}
