// pre_tokenizer.c - the regular expressions of byte-level BPE, run by PCRE2
//
// The expressions are those of the model makers with \s written out: PCRE2's own \s also takes
// U+180E, which Unicode no longer counts as a space. They match anywhere, so anchoring them at the
// end of the last match loses nothing. Bytes that are not UTF-8 never reach PCRE2: the text is cut
// into valid stretches, and every byte between them is a piece of its own.
//
// SmolLM's two steps (digits alone, then GPT-2) are one expression: a digit ends what GPT-2 sees,
// so spaces before a digit are not followed by anything, as at the end of a text.
#include "model/pre_tokenizer_impl.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/assert.h"
#include "core/memory.h"
#include "core/utf8.h"

#define SPACES "\\p{Z}\\t-\\r\\x{85}" // inside a class

static const struct {
    const char *source;  // as in tokenizer.json
    const char *pattern; // as given to PCRE2
} expressions[] = {
    [LEY_PRE_GPT2] =
        {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
         "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" SPACES "\\p{L}\\p{N}]+|"
         "[" SPACES "]+(?![^" SPACES "])|[" SPACES "]+"},
    [LEY_PRE_SMOLLM] = {NULL,
                        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+|\\p{N}| ?[^" SPACES "\\p{L}\\p{N}]+|"
                        "[" SPACES "]+(?![^" SPACES "\\p{N}])|[" SPACES "]+"},
    [LEY_PRE_LLAMA3] = {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
                        " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
                        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
                        " ?[^" SPACES "\\p{L}\\p{N}]+[\\r\\n]*|[" SPACES "]*[\\r\\n]+|"
                        "[" SPACES "]+(?![^" SPACES "])|[" SPACES "]+"},
    [LEY_PRE_NONE] = {NULL, NULL},
};

struct pre_tokenizer {
    pcre2_code *code; // NULL: no cut
    pcre2_match_context *context;
};

// What hf_json.c compares a tokenizer.json with: recognised by spelling, never interpreted.
const char *pre_tokenizer_source(enum ley_pre_tokenizer kind) {
    return expressions[kind].source;
}

// A pattern of ours always compiles; what can fail is memory.
static enum ley_status compile(struct pre_tokenizer *pre, const char *pattern) {
    int error;
    size_t at;
    pre->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                              PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &at, NULL);
    pre->context = pcre2_match_context_create(NULL);
    if (!pre->code || !pre->context) {
        return ley_fail(LEY_E_MEMORY, "cannot compile the pre-tokenizer (PCRE2 error %d at %zu)",
                        error, at);
    }
    pcre2_set_match_limit(pre->context, UINT32_MAX);        // a text may be one long run of spaces
    (void)pcre2_jit_compile(pre->code, PCRE2_JIT_COMPLETE); // without it, it is only slower
    return LEY_OK;
}

// LEY_PRE_NONE has no pattern: the whole text is one piece.
enum ley_status pre_tokenizer_create(struct pre_tokenizer **out, enum ley_pre_tokenizer kind) {
    LEY_ASSERT((size_t)kind < sizeof expressions / sizeof expressions[0]);
    *out = ley_alloc(1, sizeof **out);
    if (!*out) {
        return ley_fail_memory("pre-tokenizer", 1, sizeof **out);
    }
    enum ley_status status =
        expressions[kind].pattern ? compile(*out, expressions[kind].pattern) : LEY_OK;
    if (status != LEY_OK) {
        pre_tokenizer_destroy(*out);
        *out = NULL;
    }
    return status;
}

// PCRE2 frees NULL, so a half-made one is fine.
void pre_tokenizer_destroy(struct pre_tokenizer *pre) {
    if (pre) {
        pcre2_code_free(pre->code);
        pcre2_match_context_free(pre->context);
        ley_free(pre);
    }
}

// The match data belong to the walk, so threads may share one pre-tokenizer.
enum ley_status piece_walk_create(struct piece_walk *walk, const struct pre_tokenizer *pre,
                                  const char *text, size_t n) {
    *walk = (struct piece_walk){.pre = pre, .text = text, .n = n};
    walk->match_data = pcre2_match_data_create(1, NULL);
    return walk->match_data ? LEY_OK : ley_fail_memory("pre-tokenizer", 1, 1);
}

void piece_walk_destroy(struct piece_walk *walk) {
    pcre2_match_data_free(walk->match_data);
    walk->match_data = NULL;
}

// Where the valid UTF-8 that starts at the walk's place ends; each byte is looked at once per walk.
static void find_valid_end(struct piece_walk *walk) {
    size_t length = 1;
    while (length > 0) {
        length = ley_utf8_length(walk->text + walk->valid_end, walk->n - walk->valid_end);
        walk->valid_end += length;
    }
}

// Every expression matches at least one character anywhere, so a failed match is a lack of memory.
enum ley_status piece_walk_next(struct piece_walk *walk) {
    size_t end = walk->n;
    // A text is cut in three steps: (1) the valid stretch ahead, found once; (2) a match inside it;
    // (3) outside it, a single byte.
    if (walk->pre->code && walk->at < walk->n) {
        if (walk->at >= walk->valid_end) {
            walk->valid_end = walk->at;
            find_valid_end(walk);
        }
        end = walk->at + 1; // a byte that is no UTF-8
        if (walk->at < walk->valid_end) {
            int n = pcre2_match(walk->pre->code, (PCRE2_SPTR)walk->text, walk->valid_end, walk->at,
                                PCRE2_NO_UTF_CHECK, walk->match_data, walk->pre->context);
            if (n < 1) {
                return ley_fail(LEY_E_MEMORY, "cannot cut the text at byte %zu (PCRE2 error %d)",
                                walk->at, n);
            }
            end = pcre2_get_ovector_pointer(walk->match_data)[1];
        }
    }
    walk->piece = (struct ley_string){walk->text + walk->at, end - walk->at};
    walk->at = end;
    return LEY_OK;
}
