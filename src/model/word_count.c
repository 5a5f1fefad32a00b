// word_count.c - a list that doubles, with a map of it that is made anew each time
#include "model/word_count_impl.h"

#include "core/memory.h"

enum { FIRST_CAPACITY = 4096 };

enum ley_status word_count_create(struct word_count *words) {
    *words = (struct word_count){.capacity = FIRST_CAPACITY};
    words->word = ley_alloc(words->capacity, sizeof *words->word);
    words->count = ley_alloc(words->capacity, sizeof *words->count);
    if (!words->word || !words->count) {
        return ley_fail_memory("words", words->capacity, sizeof *words->word);
    }
    return string_map_create(&words->map, words->word, words->capacity);
}

void word_count_destroy(struct word_count *words) {
    string_map_destroy(&words->map);
    ley_free(words->word);
    ley_free(words->count);
    *words = (struct word_count){.word = NULL};
}

static enum ley_status grow(struct word_count *words) {
    size_t wanted = 2 * words->capacity;
    struct ley_string *word = ley_regrow(words->word, words->n, wanted, sizeof *word);
    words->word = word ? word : words->word;
    int64_t *count = ley_regrow(words->count, words->n, wanted, sizeof *count);
    words->count = count ? count : words->count;
    if (!word || !count || wanted > INT32_MAX) {
        return ley_fail_memory("words", wanted, sizeof *word + sizeof *count);
    }
    words->capacity = wanted;
    string_map_destroy(&words->map);
    LEY_TRY(string_map_create(&words->map, words->word, wanted));
    for (size_t i = 0; i < words->n; i++) {
        string_map_insert(&words->map, (int32_t)i);
    }
    return LEY_OK;
}

enum ley_status word_count_add(struct word_count *words, struct ley_string word) {
    int32_t id = string_map_find(&words->map, word);
    if (id < 0) {
        if (words->n == words->capacity) {
            LEY_TRY(grow(words));
        }
        id = (int32_t)words->n++;
        words->word[id] = word;
        string_map_insert(&words->map, id);
    }
    words->count[id]++;
    return LEY_OK;
}
