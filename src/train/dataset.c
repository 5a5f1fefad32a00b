// dataset.c - tokens from text or cache; windows by arithmetic
//
// A cache file is a header of HEADER tokens' size and the tokens as they stand in memory, so that
// both the made and the mapped dataset are one pointer.
#include "train/dataset.h"

#include <stdio.h>
#include <string.h>

#include "core/assert.h"
#include "core/file.h"
#include "core/hash.h"
#include "core/memory.h"
#include "core/random.h"

struct header {
    char magic[16];
    uint64_t fingerprint;
    int64_t n_tokens;
};
static const char MAGIC[16] = "leyden token 001";
enum { HEADER = sizeof(struct header) / sizeof(int32_t) };

// Stream of random numbers that orders windows; epoch e has stream ORDER + e.
static const uint64_t ORDER = 0x6570006300680000u;

static uint64_t hash_string(uint64_t hash, const struct ley_string *string) {
    return ley_hash(hash, string->text, string->n);
}

// All of a vocabulary that decides what a text becomes.
static uint64_t hash_vocab(uint64_t hash, const struct ley_vocab *vocab) {
    const int32_t facts[] = {(int32_t)vocab->kind,     (int32_t)vocab->pre,  vocab->n_tokens,
                             vocab->n_merges,          vocab->bos,           vocab->eos,
                             vocab->unknown,           vocab->adds_bos,      vocab->adds_eos,
                             vocab->adds_space_prefix, vocab->ignores_merges};
    hash = ley_hash(hash, facts, sizeof facts);
    for (int32_t i = 0; i < vocab->n_tokens; i++) {
        hash = hash_string(hash, &vocab->token[i]);
    }
    for (int32_t i = 0; i < vocab->n_merges; i++) {
        hash = hash_string(hash, &vocab->merge[i]);
    }
    size_t n = (size_t)vocab->n_tokens;
    hash = vocab->type ? ley_hash(hash, vocab->type, n * sizeof *vocab->type) : hash;
    return vocab->score ? ley_hash(hash, vocab->score, n * sizeof *vocab->score) : hash;
}

// The name says how the file is read, so its end counts as well as its bytes.
static enum ley_status fingerprint_of(uint64_t *hash, const char *path,
                                      const struct ley_vocab *vocab,
                                      const struct ley_text_options *options) {
    struct ley_map map;
    const char *dot = strchr(strrchr(path, '/') ? strrchr(path, '/') : path, '.');
    LEY_TRY(ley_map_open(&map, path));
    *hash = ley_hash(0, map.bytes, map.n_bytes);
    ley_map_close(&map);
    *hash = ley_hash(*hash, dot ? dot : "", dot ? strlen(dot) : 0);
    *hash = ley_hash(*hash, &options->joins_lines, sizeof options->joins_lines);
    *hash = hash_vocab(*hash, vocab);
    return LEY_OK;
}

// True when the cache is there, whole, and of this text; its tokens are then in use.
static bool use_cache(struct ley_dataset *dataset, const char *cache, int32_t n_vocab) {
    struct header header;
    if (!cache || !ley_file_exists(cache) || ley_map_open(&dataset->map, cache) != LEY_OK) {
        return false;
    }
    const struct ley_map *map = &dataset->map;
    bool is_good = map->n_bytes >= sizeof header;
    if (is_good) {
        memcpy(&header, map->bytes, sizeof header);
        is_good = memcmp(header.magic, MAGIC, sizeof MAGIC) == 0 &&
                  header.fingerprint == dataset->fingerprint &&
                  (uint64_t)header.n_tokens == (map->n_bytes - sizeof header) / sizeof(int32_t);
    }
    dataset->token = (const int32_t *)(const void *)map->bytes + HEADER;
    dataset->n_tokens = is_good ? header.n_tokens : 0;
    for (int64_t i = 0; is_good && i < dataset->n_tokens; i++) {
        is_good = dataset->token[i] >= 0 && dataset->token[i] < n_vocab;
    }
    if (!is_good) {
        ley_map_close(&dataset->map);
    }
    return is_good;
}

// Tokens so far, with room for a header in front.
struct list {
    int32_t *item;
    size_t n, n_room;
};

static enum ley_status append(struct list *list, const int32_t *item, size_t n) {
    if (list->n + n > list->n_room) {
        size_t n_room = 2 * (list->n + n) + 4096;
        int32_t *larger = ley_alloc(n_room, sizeof *larger);
        if (!larger) {
            return ley_fail_memory("tokens", n_room, sizeof *larger);
        }
        if (list->n > 0) {
            memcpy(larger, list->item, list->n * sizeof *larger);
        }
        ley_free(list->item);
        list->item = larger;
        list->n_room = n_room;
    }
    memcpy(list->item + list->n, item, n * sizeof *item);
    list->n += n;
    return LEY_OK;
}

// The end token is there once, whether or not the vocabulary asks for it.
static enum ley_status encode(struct list *list, const struct ley_tokenizer *tokenizer,
                              const struct ley_string *document) {
    struct ley_tokens tokens;
    int32_t end = ley_tokenizer_eos(tokenizer);
    end = end >= 0 ? end : ley_tokenizer_bos(tokenizer);
    LEY_TRY(ley_tokenizer_encode(&tokens, tokenizer, document->text, document->n, LEY_ADD_SPECIAL));
    enum ley_status status = append(list, tokens.id, tokens.n);
    if (status == LEY_OK && end >= 0 && (tokens.n == 0 || tokens.id[tokens.n - 1] != end)) {
        status = append(list, &end, 1);
    }
    ley_tokens_destroy(&tokens);
    return status;
}

// All documents in order; list->item starts with a header.
static enum ley_status encode_all(struct list *list, const struct ley_tokenizer *tokenizer,
                                  const char *path, const struct ley_text_options *options) {
    static const int32_t no_header[HEADER] = {0};
    struct ley_texts texts;
    LEY_TRY(ley_texts_load(&texts, path, options));
    enum ley_status status = append(list, no_header, HEADER);
    for (size_t i = 0; status == LEY_OK && i < texts.n; i++) {
        status = encode(list, tokenizer, &texts.document[i]);
    }
    ley_texts_destroy(&texts);
    return status;
}

static enum ley_status make(struct ley_dataset *dataset, const char *path, const char *cache,
                            const struct ley_tokenizer *tokenizer,
                            const struct ley_text_options *options) {
    struct list list = {0};
    enum ley_status status = encode_all(&list, tokenizer, path, options);
    if (status != LEY_OK) {
        ley_free(list.item);
        return status;
    }
    dataset->made = list.item;
    dataset->token = list.item + HEADER;
    dataset->n_tokens = (int64_t)(list.n - HEADER);
    struct header header = {.fingerprint = dataset->fingerprint, .n_tokens = dataset->n_tokens};
    memcpy(header.magic, MAGIC, sizeof MAGIC);
    memcpy(list.item, &header, sizeof header);
    return cache ? ley_file_write(cache, (const char *)list.item, list.n * sizeof *list.item)
                 : LEY_OK;
}

enum ley_status ley_dataset_create(struct ley_dataset *dataset, const char *path, const char *cache,
                                   const struct ley_tokenizer *tokenizer,
                                   const struct ley_vocab *vocab,
                                   const struct ley_text_options *options) {
    *dataset = (struct ley_dataset){0};
    LEY_TRY(fingerprint_of(&dataset->fingerprint, path, vocab, options));
    if (use_cache(dataset, cache, vocab->n_tokens)) {
        return LEY_OK;
    }
    enum ley_status status = make(dataset, path, cache, tokenizer, options);
    if (status != LEY_OK) {
        ley_dataset_destroy(dataset);
    }
    return status;
}

void ley_dataset_destroy(struct ley_dataset *dataset) {
    ley_map_close(&dataset->map);
    ley_free(dataset->made);
    *dataset = (struct ley_dataset){0};
}

// A window needs one token more than it has: the last target.
enum ley_status ley_windows_create(struct ley_windows *windows, const struct ley_dataset *dataset,
                                   int64_t n_context, double validation_part, uint64_t seed) {
    LEY_ASSERT(n_context >= 1 && validation_part >= 0 && validation_part <= 1);
    int64_t n = (dataset->n_tokens - 1) / n_context;
    int64_t n_validation = (int64_t)((double)n * validation_part);
    if (n - n_validation < 1) {
        return ley_fail(LEY_E_ARGUMENT,
                        "%lld tokens make no window of %lld to train on; give more text or a "
                        "shorter context",
                        (long long)dataset->n_tokens, (long long)n_context);
    }
    *windows =
        (struct ley_windows){dataset->token, n_context, n - n_validation, n_validation, seed};
    return LEY_OK;
}

static void copy_window(int32_t *tokens, int32_t *targets, const struct ley_windows *windows,
                        int64_t place) {
    const int32_t *from = windows->token + place * windows->n_context;
    size_t n_bytes = (size_t)windows->n_context * sizeof *tokens;
    memcpy(tokens, from, n_bytes);
    memcpy(targets, from + 1, n_bytes);
}

void ley_windows_train(int32_t *tokens, int32_t *targets, const struct ley_windows *windows,
                       int64_t number) {
    LEY_ASSERT(number >= 0);
    uint64_t n = (uint64_t)windows->n_train, epoch = (uint64_t)number / n;
    uint64_t place = ley_random_permute(windows->seed, ORDER + epoch, (uint64_t)number % n, n);
    copy_window(tokens, targets, windows, (int64_t)place);
}

void ley_windows_validation(int32_t *tokens, int32_t *targets, const struct ley_windows *windows,
                            int64_t number) {
    LEY_ASSERT(number >= 0 && number < windows->n_validation);
    copy_window(tokens, targets, windows, windows->n_train + number);
}
