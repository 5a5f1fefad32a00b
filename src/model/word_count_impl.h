// word_count_impl.h - the different pieces of a text, and how often each stands in it.
#pragma once
#include "model/string_map_impl.h"

struct word_count {
    struct ley_string *word; // [n] borrowed from the text, in the order of their first place
    int64_t *count;          // [n]
    size_t n, capacity;
    struct string_map map; // of word[]
};

// An empty list.
LEY_MUST_CHECK enum ley_status word_count_create(struct word_count *words);

// Counts a word once more; its text must outlive the list.
LEY_MUST_CHECK enum ley_status word_count_add(struct word_count *words, struct ley_string word);

// A zeroed list is accepted.
void word_count_destroy(struct word_count *words);
