// hf_json_impl.h - looking things up in the JSON files of a Hugging Face folder.
#pragma once
#include <cjson/cJSON.h>
#include <stdbool.h>

#include "core/status.h"
#include "model/vocab.h"

// True when the name of a file ends in .json.
bool hf_is_json_path(const char *path);

// Parses an object; `name` is used in messages. The caller deletes it. Text whose tree would take
// far more memory than any real file's is refused.
LEY_MUST_CHECK enum ley_status hf_json_parse(struct cJSON **root, struct ley_string text,
                                             const char *name);

// Member `key` of an object, or NULL; NULL and non-objects have no members.
const struct cJSON *hf_json_get(const struct cJSON *object, const char *key);

// Text of member `key`, or "".
const char *hf_json_text(const struct cJSON *object, const char *key);

// True or false from member `key`, `otherwise` when it is neither.
bool hf_json_flag(const struct cJSON *object, const char *key, bool otherwise);

// A whole number 0..2^31-1, or -1.
int32_t hf_json_id(const struct cJSON *item);

// The parts of a component: those of a Sequence (in member `list`), or the component itself. NULL
// after the last one. Start with index 0.
const struct cJSON *hf_json_part(const struct cJSON *component, const char *list, int index);

// How text becomes pieces, as the components of tokenizer.json say it.
struct hf_recipe {
    enum ley_vocab_kind kind;
    enum ley_pre_tokenizer pre;
    bool adds_space_prefix;
};

// Recognises normalizer and pre-tokenizer of a tokenizer.json.
LEY_MUST_CHECK enum ley_status hf_json_recipe(struct hf_recipe *recipe, const struct cJSON *root);
