// item_json.c - an item from a JSON object, whatever data set's form it has
//
// A form is told by the members that only it has. Prompts and delimiters are those of the tasks of
// lm-evaluation-harness: endings begin with a space, questions end in "Answer:".
#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "eval/item_impl.h"
#include "eval/prepare_impl.h"

static const struct cJSON *member(const struct cJSON *json, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(json, key);
}

// Member `key` as text.
static enum ley_status text_of(struct ley_string *text, const struct cJSON *json, const char *key) {
    const struct cJSON *item = member(json, key);
    if (!cJSON_IsString(item)) {
        return ley_fail(LEY_E_FORMAT, "member \"%s\" is missing or no text", key);
    }
    *text = ley_text_of(item->valuestring);
    return LEY_OK;
}

// A number, or a text that is one: 0 .. n - 1 after `first` is taken away.
static enum ley_status index_of(int *index, const struct cJSON *json, const char *key, int first,
                                int n) {
    const struct cJSON *item = member(json, key);
    bool is_text = cJSON_IsString(item) && strlen(item->valuestring) == 1;
    double value = cJSON_IsNumber(item) ? item->valuedouble
                   : is_text            ? item->valuestring[0] - '0'
                                        : -1;
    if (!(value >= first && value < first + n) || value != (int)value) {
        return ley_fail(LEY_E_FORMAT, "\"%s\" is missing or not in %d..%d", key, first,
                        first + n - 1);
    }
    *index = (int)value - first;
    return LEY_OK;
}

// One pair for each text of a list, behind one context.
static enum ley_status add_choices(struct ley_item *item, struct ley_item_part context,
                                   const struct cJSON *list, bool is_hellaswag) {
    const struct cJSON *choice;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) < 2) {
        return ley_fail(LEY_E_FORMAT, "choices are missing, or fewer than two");
    }
    cJSON_ArrayForEach(choice, list) {
        struct ley_item_part ending, prepared;
        if (!cJSON_IsString(choice)) {
            return ley_fail(LEY_E_FORMAT, "a choice is no text");
        }
        struct ley_string text = ley_text_of(choice->valuestring);
        LEY_TRY(ley_item_add(item, &ending, ley_text_of(" ")));
        if (is_hellaswag) {
            LEY_TRY(ley_hellaswag_add(item, &prepared, text));
            ending.n += prepared.n;
        } else {
            LEY_TRY(ley_item_append(item, &ending, text));
        }
        const struct ley_string counted = {item->text + ending.at + 1, ending.n - 1};
        LEY_TRY(ley_item_add_pair(item, context, ending, counted));
    }
    return LEY_OK;
}

// {query, choices, gold}: llama.cpp's, and older versions of the harness.
static enum ley_status read_query(struct ley_item *item, const struct cJSON *json) {
    struct ley_string query;
    struct ley_item_part context;
    LEY_TRY(text_of(&query, json, "query"));
    LEY_TRY(ley_item_add(item, &context, query));
    LEY_TRY(add_choices(item, context, member(json, "choices"), false));
    return index_of(&item->gold, json, "gold", 0, item->n_pairs);
}

// The same of a task that asks, where the query may lack its end.
static enum ley_status read_question(struct ley_item *item, const struct cJSON *json) {
    static const char end[] = "Answer:";
    size_t n_end = sizeof end - 1;
    struct ley_string query;
    struct ley_item_part context;
    LEY_TRY(text_of(&query, json, "query"));
    if (query.n >= n_end && memcmp(query.text + query.n - n_end, end, n_end) == 0) {
        return read_query(item, json);
    }
    while (query.n > 0 && query.text[query.n - 1] == '\n') {
        query.n--;
    }
    LEY_TRY(ley_item_add(item, &context, query));
    LEY_TRY(ley_item_append(item, &context, ley_text_of("\nAnswer:")));
    LEY_TRY(add_choices(item, context, member(json, "choices"), false));
    return index_of(&item->gold, json, "gold", 0, item->n_pairs);
}

// "Question: ...\nAnswer:"
static enum ley_status add_question(struct ley_item *item, struct ley_item_part *context,
                                    struct ley_string question) {
    LEY_TRY(ley_item_add(item, context, ley_text_of("Question: ")));
    LEY_TRY(ley_item_append(item, context, question));
    return ley_item_append(item, context, ley_text_of("\nAnswer:"));
}

// {question, choices: {text, label}, answerKey}: ARC
static enum ley_status read_arc(struct ley_item *item, const struct cJSON *json) {
    struct ley_string question, key = {0};
    struct ley_item_part context;
    const struct cJSON *choices = member(json, "choices");
    const struct cJSON *labels = member(choices, "label"), *label;
    LEY_TRY(text_of(&question, json, "question"));
    LEY_TRY(text_of(&key, json, "answerKey"));
    LEY_TRY(add_question(item, &context, question));
    LEY_TRY(add_choices(item, context, member(choices, "text"), false));
    int i = 0;
    cJSON_ArrayForEach(label, labels) {
        if (cJSON_IsString(label) && strcmp(label->valuestring, key.text) == 0) {
            item->gold = i;
        }
        i++;
    }
    return item->gold >= 0 && item->gold < item->n_pairs
               ? LEY_OK
               : ley_fail(LEY_E_FORMAT, "answerKey \"%.20s\" is none of the labels", key.text);
}

// {goal, sol1, sol2, label}
static enum ley_status read_piqa(struct ley_item *item, const struct cJSON *json) {
    struct ley_string goal, solution;
    struct ley_item_part context, ending;
    LEY_TRY(text_of(&goal, json, "goal"));
    LEY_TRY(add_question(item, &context, goal));
    for (int i = 0; i < 2; i++) {
        LEY_TRY(text_of(&solution, json, i ? "sol2" : "sol1"));
        LEY_TRY(ley_item_add(item, &ending, ley_text_of(" ")));
        LEY_TRY(ley_item_append(item, &ending, solution));
        LEY_TRY(ley_item_add_pair(item, context, ending, solution));
    }
    return index_of(&item->gold, json, "label", 0, 2);
}

// {activity_label, ctx_a, ctx_b, endings, label}
static enum ley_status read_hellaswag(struct ley_item *item, const struct cJSON *json) {
    struct ley_string label, first, second;
    struct ley_item_part context;
    LEY_TRY(text_of(&label, json, "activity_label"));
    LEY_TRY(text_of(&first, json, "ctx_a"));
    LEY_TRY(text_of(&second, json, "ctx_b"));
    LEY_TRY(ley_hellaswag_context(item, &context, label, first, second));
    LEY_TRY(add_choices(item, context, member(json, "endings"), true));
    return index_of(&item->gold, json, "label", 0, item->n_pairs);
}

// " " and the text without white space around it.
static enum ley_status add_rest(struct ley_item *item, struct ley_item_part *ending,
                                struct ley_string rest) {
    LEY_TRY(ley_item_add(item, ending, ley_text_of(" ")));
    return ley_item_append(item, ending, ley_text_strip(rest));
}

// {sentence with a _, option1, option2, answer 1 or 2}
static enum ley_status read_winogrande(struct ley_item *item, const struct cJSON *json) {
    struct ley_string sentence, option;
    struct ley_item_part ending, context;
    LEY_TRY(text_of(&sentence, json, "sentence"));
    const char *gap = memchr(sentence.text, '_', sentence.n);
    if (!gap) {
        return ley_fail(LEY_E_FORMAT, "the sentence has no _");
    }
    size_t n_before = (size_t)(gap - sentence.text);
    LEY_TRY(add_rest(item, &ending, (struct ley_string){gap + 1, sentence.n - n_before - 1}));
    for (int i = 0; i < 2; i++) {
        LEY_TRY(text_of(&option, json, i ? "option2" : "option1"));
        LEY_TRY(ley_item_add(item, &context, (struct ley_string){sentence.text, n_before}));
        LEY_TRY(ley_item_append(item, &context, option));
        LEY_TRY(ley_item_add_pair(item, context, ending, option));
    }
    return index_of(&item->gold, json, "answer", 1, 2);
}

// {context_options, continuation, gold}: llama.cpp's WinoGrande
static enum ley_status read_contexts(struct ley_item *item, const struct cJSON *json) {
    struct ley_string rest;
    struct ley_item_part ending, context;
    const struct cJSON *options = member(json, "context_options"), *option;
    LEY_TRY(text_of(&rest, json, "continuation"));
    LEY_TRY(add_rest(item, &ending, rest));
    cJSON_ArrayForEach(option, options) {
        if (!cJSON_IsString(option)) {
            return ley_fail(LEY_E_FORMAT, "an option is no text");
        }
        struct ley_string text = ley_text_of(option->valuestring);
        LEY_TRY(ley_item_add(item, &context, text));
        LEY_TRY(ley_item_add_pair(item, context, ending, text));
    }
    return index_of(&item->gold, json, "gold", 0, item->n_pairs);
}

// {context, continuation}: LAMBADA, cut already
static enum ley_status read_target(struct ley_item *item, const struct cJSON *json) {
    struct ley_string before, word;
    struct ley_item_part context, ending;
    LEY_TRY(text_of(&before, json, "context"));
    LEY_TRY(text_of(&word, json, "continuation"));
    LEY_TRY(ley_item_add(item, &context, before));
    LEY_TRY(ley_item_add(item, &ending, ley_text_of(" ")));
    LEY_TRY(ley_item_append(item, &ending, word));
    return ley_item_add_pair(item, context, ending, word);
}

// {text}: LAMBADA; its last word is the target.
static enum ley_status read_text(struct ley_item *item, const struct cJSON *json) {
    struct ley_string text;
    struct ley_item_part context, ending;
    LEY_TRY(text_of(&text, json, "text"));
    const char *space = strrchr(text.text, ' ');
    size_t n = space ? (size_t)(space - text.text) : 0;
    const struct ley_string word = {text.text + (space ? n + 1 : 0), text.n - n - (space != NULL)};
    LEY_TRY(ley_item_add(item, &context, (struct ley_string){text.text, n}));
    LEY_TRY(ley_item_add(item, &ending, ley_text_of(" ")));
    LEY_TRY(ley_item_append(item, &ending, word));
    return ley_item_add_pair(item, context, ending, word);
}

// {page}: WikiText
static enum ley_status read_page(struct ley_item *item, const struct cJSON *json) {
    struct ley_string page;
    LEY_TRY(text_of(&page, json, "page"));
    return ley_item_from_page(item, page);
}

// Forms in the order in which their members are looked for.
static const struct {
    enum ley_task_kind kind;
    bool asks; // of tasks that ask only
    const char *key;
    enum ley_status (*read)(struct ley_item *item, const struct cJSON *json);
} forms[] = {
    {LEY_TASK_CHOICE, true, "query", read_question},
    {LEY_TASK_CHOICE, false, "query", read_query},
    {LEY_TASK_CHOICE, true, "answerKey", read_arc},
    {LEY_TASK_CHOICE, true, "goal", read_piqa},
    {LEY_TASK_CHOICE, false, "endings", read_hellaswag},
    {LEY_TASK_CONTEXTS, false, "sentence", read_winogrande},
    {LEY_TASK_CONTEXTS, false, "context_options", read_contexts},
    {LEY_TASK_TARGET, false, "continuation", read_target},
    {LEY_TASK_TARGET, false, "text", read_text},
    {LEY_TASK_ROLLING, false, "page", read_page},
};

// What the harness has logged as a sample holds the item in "doc".
enum ley_status ley_item_from_json(struct ley_item *item, const struct ley_task *task,
                                   const struct cJSON *json) {
    const struct cJSON *doc = member(json, "doc");
    json = cJSON_IsObject(doc) ? doc : json;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        bool fits = forms[i].kind == task->kind && (task->asks || !forms[i].asks);
        if (fits && member(json, forms[i].key)) {
            return forms[i].read(item, json);
        }
    }
    return ley_fail(LEY_E_FORMAT, "no item of %s: its members are those of none of the known forms",
                    task->name);
}
