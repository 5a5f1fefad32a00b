// text.h - documents to learn from: plain text, one JSON object a line, either compressed by xz.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"
#include "model/vocab.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_text_options {
    // Lines were wrapped by hand: a line break between two lines that are not empty becomes a
    // space, in plain text.
    bool joins_lines;
};

struct ley_texts {
    char *bytes;                 // what the documents point into
    struct ley_string *document; // [n], none of them empty
    size_t n;
};

// Reads a file of at most 8 GiB, also once decompressed (path ends in .xz). A name that ends in
// .jsonl, before .xz, means lines of JSON objects whose "text" is a document; anything else is
// text, cut into documents at <|endoftext|>, without the line breaks around it, and with \r\n as
// \n. LEY_E_FORMAT: no documents, a line that is not such an object, damaged compression.
LEY_MUST_CHECK enum ley_status ley_texts_load(struct ley_texts *texts, const char *path,
                                              const struct ley_text_options *options);

// A zeroed struct is accepted.
void ley_texts_destroy(struct ley_texts *texts);

#ifdef __cplusplus
}
#endif
