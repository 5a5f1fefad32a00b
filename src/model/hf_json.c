// hf_json.c - small questions to a cJSON tree, and the recipe of a tokenizer.json
//
// A recipe is recognised by spelling: every component becomes one letter, and the words that result
// are looked up in a table. Unknown components spell '?', which is in no word.
#include "model/hf_json_impl.h"

#include <string.h>

#include "model/pre_tokenizer_impl.h"

// Longer components spell a longer word than any known one, cut here; neither is found.
enum { MAX_PARTS = 8 };

// A node of the tree takes some 100 bytes, and real files spend more than three bytes on each.
static bool is_dense(struct ley_string text) {
    size_t n_nodes = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.text[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else {
            in_string = c == '"';
            n_nodes += c == ',' || c == '[' || c == '{';
        }
    }
    return n_nodes > text.n / 3 + 64;
}

bool hf_is_json_path(const char *path) {
    size_t n = strlen(path);
    return n > 5 && strcmp(path + n - 5, ".json") == 0;
}

enum ley_status hf_json_parse(struct cJSON **root, struct ley_string text, const char *name) {
    // Checked before the tree is made: "[[[[..." would cost a hundred times its text.
    *root = is_dense(text) ? NULL : cJSON_ParseWithLength(text.text, text.n);
    if (!cJSON_IsObject(*root)) {
        cJSON_Delete(*root);
        *root = NULL;
        return ley_fail(LEY_E_FORMAT, "%s: not a JSON object", name);
    }
    return LEY_OK;
}

// The three below accept NULL and wrong types, so that callers may chain them.
const struct cJSON *hf_json_get(const struct cJSON *object, const char *key) {
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

const char *hf_json_text(const struct cJSON *object, const char *key) {
    const char *text = cJSON_GetStringValue(hf_json_get(object, key));
    return text ? text : "";
}

// Only true and false count: "true" as a text or 1 as a number is neither.
bool hf_json_flag(const struct cJSON *object, const char *key, bool otherwise) {
    const struct cJSON *item = hf_json_get(object, key);
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : otherwise;
}

// cJSON clamps valueint to an int's range; the double says what was written.
int32_t hf_json_id(const struct cJSON *item) {
    bool is_id = cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= INT32_MAX &&
                 item->valuedouble == item->valueint;
    return is_id ? item->valueint : -1;
}

// Sequences inside a Sequence are not flattened: no known tokenizer nests them.
const struct cJSON *hf_json_part(const struct cJSON *component, const char *list, int index) {
    if (!cJSON_IsObject(component)) {
        return NULL;
    }
    if (strcmp(hf_json_text(component, "type"), "Sequence") != 0) {
        return index == 0 ? component : NULL;
    }
    // NULL past the last part, and for a list that is none.
    return cJSON_GetArrayItem(hf_json_get(component, list), index);
}

// ---- the recipe

// True for a split at exactly the expression that `kind` stands for.
static bool is_known_split(const struct cJSON *part, enum ley_pre_tokenizer kind) {
    const char *regex = hf_json_text(hf_json_get(part, "pattern"), "Regex");
    return strcmp(regex, pre_tokenizer_source(kind)) == 0 &&
           strcmp(hf_json_text(part, "behavior"), "Isolated") == 0 &&
           !hf_json_flag(part, "invert", false);
}

// M: a space before the text; N: none. Splitting at spaces is not known.
static char spell_metaspace(const struct cJSON *part) {
    const char *scheme = hf_json_text(part, "prepend_scheme");
    if (strcmp(hf_json_text(part, "replacement"), "\xe2\x96\x81") != 0 ||
        hf_json_flag(part, "split", true)) {
        return '?';
    }
    return strcmp(scheme, "never") == 0 ? 'N' : 'M';
}

// B, b: bytes with and without GPT-2's cut; D: digits one by one; G, L: known expressions.
static char spell_pre_tokenizer(const struct cJSON *part) {
    const char *type = hf_json_text(part, "type");
    if (strcmp(type, "ByteLevel") == 0 && !hf_json_flag(part, "add_prefix_space", true)) {
        return hf_json_flag(part, "use_regex", true) ? 'B' : 'b';
    }
    if (strcmp(type, "Digits") == 0 && hf_json_flag(part, "individual_digits", false)) {
        return 'D';
    }
    if (strcmp(type, "Split") == 0) {
        bool is_gpt2 = is_known_split(part, LEY_PRE_GPT2);
        return is_gpt2 ? 'G' : is_known_split(part, LEY_PRE_LLAMA3) ? 'L' : '?';
    }
    return strcmp(type, "Metaspace") == 0 ? spell_metaspace(part) : '?';
}

// P: U+2581 before the text; R: spaces to U+2581.
static char spell_normalizer(const struct cJSON *part) {
    const char *type = hf_json_text(part, "type");
    if (strcmp(type, "Prepend") == 0 &&
        strcmp(hf_json_text(part, "prepend"), "\xe2\x96\x81") == 0) {
        return 'P';
    }
    bool is_space = strcmp(type, "Replace") == 0 &&
                    strcmp(hf_json_text(hf_json_get(part, "pattern"), "String"), " ") == 0 &&
                    strcmp(hf_json_text(part, "content"), "\xe2\x96\x81") == 0;
    return is_space ? 'R' : '?';
}

// The word of a component and all its parts.
static void spell(char word[MAX_PARTS + 1], const struct cJSON *component, const char *list,
                  char (*letter)(const struct cJSON *)) {
    const struct cJSON *part;
    int n = 0;
    while (n < MAX_PARTS && (part = hf_json_part(component, list, n)) != NULL) {
        word[n++] = letter(part);
    }
    word[n] = '\0';
}

// Normalizer and pre-tokenizer make the recipe together: neither means anything alone.
enum ley_status hf_json_recipe(struct hf_recipe *recipe, const struct cJSON *root) {
    static const struct {
        const char *normalizer, *pre_tokenizer;
        struct hf_recipe recipe;
    } known[] = {
        {"", "B", {LEY_VOCAB_BYTE_BPE, LEY_PRE_GPT2, false}},
        {"", "Gb", {LEY_VOCAB_BYTE_BPE, LEY_PRE_GPT2, false}},
        {"", "DB", {LEY_VOCAB_BYTE_BPE, LEY_PRE_SMOLLM, false}},
        {"", "Lb", {LEY_VOCAB_BYTE_BPE, LEY_PRE_LLAMA3, false}},
        {"", "b", {LEY_VOCAB_BYTE_BPE, LEY_PRE_NONE, false}},
        {"PR", "", {LEY_VOCAB_SPM_BPE, LEY_PRE_NONE, true}},
        {"R", "", {LEY_VOCAB_SPM_BPE, LEY_PRE_NONE, false}},
        // Newer files write as a Metaspace what older ones wrote as normalizers.
        {"", "M", {LEY_VOCAB_SPM_BPE, LEY_PRE_NONE, true}},
        {"", "N", {LEY_VOCAB_SPM_BPE, LEY_PRE_NONE, false}},
    };
    char normalizer[MAX_PARTS + 1], pre[MAX_PARTS + 1];
    spell(normalizer, hf_json_get(root, "normalizer"), "normalizers", spell_normalizer);
    spell(pre, hf_json_get(root, "pre_tokenizer"), "pretokenizers", spell_pre_tokenizer);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].normalizer, normalizer) == 0 &&
            strcmp(known[i].pre_tokenizer, pre) == 0) {
            *recipe = known[i].recipe;
            return LEY_OK;
        }
    }
    return ley_fail(LEY_E_FORMAT,
                    "tokenizer.json: normalizer '%s' with pre-tokenizer '%s' is not "
                    "known (known: those of GPT-2, SmolLM, Llama-2 and Llama-3)",
                    hf_json_text(hf_json_get(root, "normalizer"), "type"),
                    hf_json_text(hf_json_get(root, "pre_tokenizer"), "type"));
}
