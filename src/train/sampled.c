// sampled.c - groups of sequences, sampled side by side and appended to a file
#include "train/sampled.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/memory.h"
#include "model/sampling.h"
#include "model/state.h"

// 16 bytes that say what it is, then what it was made of; tokens follow.
struct header {
    char magic[16];
    uint64_t fingerprint, unused;
};
static const char MAGIC[16] = "leyden self  002";
enum { HEADER = sizeof(struct header) / sizeof(int32_t) };

enum ley_status ley_weights_fingerprint(uint64_t *fingerprint,
                                        const struct ley_model_config *config,
                                        const struct ley_weight_source *source) {
    enum { ROWS = 4 };
    uint64_t hash = 0;
    for (int i = 0; i < config->n_layers * LEY_N_WEIGHTS; i++) {
        enum ley_weight weight = (enum ley_weight)(i % LEY_N_WEIGHTS);
        struct ley_weight_info info = ley_weight_info(config, weight);
        int layer = i / LEY_N_WEIGHTS;
        int64_t n_rows = info.n_rows < ROWS ? info.n_rows : ROWS;
        size_t n = (size_t)(n_rows * info.n_columns);
        if ((layer > 0 && !info.is_per_layer) || !source->has(source->context, weight, layer)) {
            continue;
        }
        float *rows = ley_alloc(n, sizeof *rows);
        if (!rows) {
            return ley_fail_memory("rows of a weight", n, sizeof *rows);
        }
        enum ley_status status = source->read(source->context, rows, weight, layer, 0, n_rows);
        hash = ley_hash(hash, rows, n * sizeof *rows);
        ley_free(rows);
        LEY_TRY(status);
    }
    *fingerprint = hash;
    return LEY_OK;
}

// Everything that decides a token, but how many there are to be.
static uint64_t fingerprint_of(const struct ley_sampled_options *o) {
    const int64_t sizes[] = {o->n_context, o->n_batch};
    uint64_t hash = ley_hash(0, sizes, sizeof sizes);
    hash = ley_hash(hash, &o->temperature, sizeof o->temperature);
    hash = ley_hash(hash, &o->seed, sizeof o->seed);
    return ley_hash(hash, &o->model, sizeof o->model);
}

// One making: the model's session and what belongs to it.
struct making {
    const struct ley_sampled_options *options;
    struct ley_session *session;
    struct ley_sampler **sampler; // [n_batch]
    float *logits;                // (n_batch, V)
    int32_t *token, *group;       // (n_batch), (n_batch, n_context)
    int32_t first;                // of every sequence
    int n_vocab;
    FILE *file;
};

static void release(struct making *making) {
    for (int64_t b = 0; making->sampler && b < making->options->n_batch; b++) {
        ley_sampler_destroy(making->sampler[b]);
    }
    ley_free(making->sampler);
    ley_free(making->logits);
    ley_free(making->token);
    ley_free(making->group);
    ley_session_destroy(making->session);
}

static enum ley_status prepare(struct making *making, const struct ley_model *model,
                               const struct ley_tokenizer *tokenizer) {
    const struct ley_sampled_options *o = making->options;
    size_t n = (size_t)o->n_batch;
    int32_t bos = ley_tokenizer_bos(tokenizer), eos = ley_tokenizer_eos(tokenizer);
    making->n_vocab = ley_model_config(model)->n_vocab;
    making->first = bos >= 0 ? bos : eos >= 0 ? eos : 0;
    making->sampler = ley_alloc(n, sizeof(struct ley_sampler *));
    making->logits = ley_alloc(n * (size_t)making->n_vocab, sizeof *making->logits);
    making->token = ley_alloc(n, sizeof *making->token);
    making->group = ley_alloc(n * (size_t)o->n_context, sizeof *making->group);
    if (!making->sampler || !making->logits || !making->token || !making->group) {
        return ley_fail_memory("logits of sequences", n * (size_t)making->n_vocab, sizeof(float));
    }
    return ley_session_create(&making->session, model, o->n_batch, o->n_context);
}

// Samplers of the sequences of a group: each draws from a stream of its own.
static enum ley_status start_group(struct making *making, int64_t number) {
    const struct ley_sampled_options *o = making->options;
    for (int64_t b = 0; b < o->n_batch; b++) {
        const struct ley_sampling sampling = {.temperature = o->temperature,
                                              .top_p = 1,
                                              .seed = o->seed,
                                              .stream = (uint64_t)(number * o->n_batch + b)};
        ley_sampler_destroy(making->sampler[b]);
        making->sampler[b] = NULL;
        LEY_TRY(ley_sampler_create(&making->sampler[b], &sampling, making->n_vocab));
        making->token[b] = making->first;
    }
    ley_session_reset(making->session);
    return LEY_OK;
}

// Position t of all sequences is known: asks for the next.
static enum ley_status step_group(struct making *making, int64_t t) {
    const struct ley_sampled_options *o = making->options;
    bool is_good = true;
    LEY_TRY(ley_session_feed(making->logits, making->session, making->token, 1, NULL));
#pragma omp parallel for schedule(dynamic) reduction(&& : is_good)
    for (int64_t b = 0; b < o->n_batch; b++) {
        making->token[b] =
            ley_sampler_pick(making->sampler[b], making->logits + b * making->n_vocab, (uint64_t)t);
        is_good = is_good && making->token[b] >= 0;
    }
    return is_good ? LEY_OK : ley_fail(LEY_E_FORMAT, "the model gives no usable logits");
}

static enum ley_status make_group(struct making *making, int64_t number, int64_t n_groups,
                                  const struct ley_progress *progress) {
    const struct ley_sampled_options *o = making->options;
    int64_t T = o->n_context, size = o->n_batch * T;
    LEY_TRY(start_group(making, number));
    for (int64_t t = 0; t < T; t++) {
        for (int64_t b = 0; b < o->n_batch; b++) {
            making->group[b * T + t] = making->token[b];
        }
        if (t + 1 < T) {
            LEY_TRY(step_group(making, t));
        }
        int64_t n_done = number * size + (t + 1) * o->n_batch;
        if (progress && !progress->report(progress->context, n_done, n_groups * size)) {
            return ley_fail(LEY_E_INTERRUPTED, "stopped; what was sampled is kept");
        }
    }
    bool is_bad =
        fwrite(making->group, sizeof(int32_t), (size_t)size, making->file) != (size_t)size ||
        fflush(making->file) != 0;
    return is_bad ? ley_fail(LEY_E_IO, "cannot write sampled tokens: %s", strerror(errno)) : LEY_OK;
}

// Opens the file at the end of its whole groups; one of other making is begun anew.
static enum ley_status open_groups(FILE **file, int64_t *n_groups, const char *path,
                                   const struct ley_sampled_options *o) {
    struct header want = {.fingerprint = fingerprint_of(o)}, got;
    int64_t size = o->n_batch * o->n_context * (int64_t)sizeof(int32_t);
    memcpy(want.magic, MAGIC, sizeof MAGIC);
    *n_groups = 0;
    *file = fopen(path, "r+b");
    bool is_ours = *file && fread(&got, sizeof got, 1, *file) == 1 &&
                   memcmp(&got, &want, sizeof got) == 0 && fseeko(*file, 0, SEEK_END) == 0;
    if (is_ours) {
        *n_groups = ((int64_t)ftello(*file) - (int64_t)sizeof want) / size;
    } else {
        if (*file) {
            fclose(*file);
        }
        *file = fopen(path, "w+b");
        is_ours = *file && fwrite(&want, sizeof want, 1, *file) == 1 && fflush(*file) == 0;
    }
    // A whole file is left untouched: only a group cut short is cut off.
    off_t end = (off_t)sizeof want + (off_t)(*n_groups * size);
    bool is_cut = is_ours && ftello(*file) != end && ftruncate(fileno(*file), end) != 0;
    if (!is_ours || is_cut || fseeko(*file, end, SEEK_SET) != 0) {
        enum ley_status status = ley_fail(LEY_E_IO, "cannot write %s: %s", path, strerror(errno));
        if (*file) {
            fclose(*file);
        }
        return status;
    }
    return LEY_OK;
}

static enum ley_status make_groups(const char *path, const struct ley_model *model,
                                   const struct ley_tokenizer *tokenizer,
                                   const struct ley_sampled_options *options, int64_t n_groups,
                                   const struct ley_progress *progress) {
    struct making making = {.options = options};
    int64_t n_done;
    LEY_TRY(open_groups(&making.file, &n_done, path, options));
    enum ley_status status = LEY_OK;
    if (n_done < n_groups) {
        status = prepare(&making, model, tokenizer);
    }
    for (; status == LEY_OK && n_done < n_groups; n_done++) {
        status = make_group(&making, n_done, n_groups, progress);
    }
    if (fclose(making.file) != 0 && status == LEY_OK) {
        status = ley_fail(LEY_E_IO, "cannot write %s: %s", path, strerror(errno));
    }
    release(&making);
    return status;
}

// More tokens than wanted may lie in the file: only those wanted count.
enum ley_status ley_dataset_sample(struct ley_dataset *dataset, const char *path,
                                   const struct ley_model *model,
                                   const struct ley_tokenizer *tokenizer,
                                   const struct ley_sampled_options *options,
                                   const struct ley_progress *progress) {
    int64_t size = options->n_batch * options->n_context;
    int64_t n_groups = (options->n_tokens + size - 1) / size;
    *dataset = (struct ley_dataset){.n_tokens = n_groups * size};
    LEY_TRY(make_groups(path, model, tokenizer, options, n_groups, progress));
    LEY_TRY(ley_map_open(&dataset->map, path));
    dataset->token = (const int32_t *)(const void *)dataset->map.bytes + HEADER;
    dataset->fingerprint = fingerprint_of(options);
    dataset->fingerprint =
        ley_hash(dataset->fingerprint, &dataset->n_tokens, sizeof dataset->n_tokens);
    for (int64_t i = 0; i < dataset->n_tokens; i++) {
        if (dataset->token[i] < 0 || dataset->token[i] >= ley_model_config(model)->n_vocab) {
            ley_dataset_destroy(dataset);
            return ley_fail(LEY_E_FORMAT, "%s is damaged: delete it", path);
        }
    }
    return LEY_OK;
}
