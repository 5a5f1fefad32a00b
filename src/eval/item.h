// item.h - items of evaluation tasks: what a model is asked, read from files.
//
// An item is one or more pairs of a context and an ending whose probability is wanted, or a whole
// text. Prompts are those of lm-evaluation-harness 0.4.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ley_task_kind {
    LEY_TASK_CHOICE,   // several endings of one context
    LEY_TASK_CONTEXTS, // one ending of several contexts
    LEY_TASK_TARGET,   // one ending
    LEY_TASK_ROLLING,  // a whole text, in windows
    LEY_TASK_WINDOWS,  // windows of one text, each an item
};

struct ley_task {
    const char *name;
    enum ley_task_kind kind;
    int version;        // in lm-evaluation-harness
    bool asks;          // "Question: ...\nAnswer:"
    const char *files;  // names to look for, separated by spaces
    const char *source; // where to get them
};

// All tasks (task.def); *n of them.
const struct ley_task *ley_tasks(int *n);

// The task of this name, or NULL.
const struct ley_task *ley_task_named(const char *name);

// Bytes of an item: text[at] .. text[at + n - 1].
struct ley_item_part {
    size_t at, n;
};

struct ley_item_pair {
    struct ley_item_part context, ending;
    int64_t n_characters; // of the ending without the space before it, for acc_norm
};

enum { LEY_MOST_CHOICES = 26 };

struct ley_item {
    char *text;          // owned; a zero byte after its end
    size_t n_text, room; // bytes of text in use, and allocated
    struct ley_item_pair pair[LEY_MOST_CHOICES];
    int n_pairs, gold; // gold: right pair; -1 where there is no choice
    // of a whole text before it was cleaned: words and bytes that perplexities are taken over
    int64_t n_words, n_bytes;
    // of a window of a text instead: its tokens, of which those from `first` on are scored
    int32_t *token; // owned
    int64_t n_tokens, first;
};

struct ley_items {
    struct ley_item *item; // [n]
    int64_t n;
    uint64_t hash;   // ley_hash of the file's bytes as they lie on disk
    char path[1024]; // of the file
};

// Reads the items of a task, at most `limit` (0: all). Files ending in .bz2 are decompressed.
// Understood are JSON lines of the data sets as Hugging Face gives them, of samples that the
// harness has logged ("doc"), of llama.cpp ({query, choices, gold} and alike), its HellaSwag of six
// lines an item, and for wikitext the raw text. LEY_E_FORMAT names the line.
LEY_MUST_CHECK enum ley_status ley_items_load(struct ley_items *items, const struct ley_task *task,
                                              const char *path, int64_t limit);

// The same from text[n_bytes], which is changed; `name` is for messages.
LEY_MUST_CHECK enum ley_status ley_items_read(struct ley_items *items, const struct ley_task *task,
                                              const char *name, char *text, size_t n_bytes,
                                              int64_t limit);

// A zeroed struct is accepted.
void ley_items_destroy(struct ley_items *items);

// Finds a task's file in a folder, or in folder/eval. LEY_E_IO says where to get it.
LEY_MUST_CHECK enum ley_status ley_task_find(char path[1024], const struct ley_task *task,
                                             const char *folder);

#ifdef __cplusplus
}
#endif
