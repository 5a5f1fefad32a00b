// text.c - a whole file in memory, decompressed, cut and cleaned in place
//
// Documents only shrink on the way (an escape in JSON is longer than what it stands for), so they
// stay inside the bytes that were read.
#include "train/text.h"

#include <cjson/cJSON.h>
#include <lzma.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"

static const size_t MOST_BYTES = (size_t)8 << 30;
static const char SEPARATOR[] = "<|endoftext|>";

static bool ends_with(const char *path, size_t n, const char *end) {
    size_t n_end = strlen(end);
    return n >= n_end && memcmp(path + n - n_end, end, n_end) == 0;
}

// A block that doubles; the old bytes are kept.
static enum ley_status grow(char **bytes, size_t *n_bytes) {
    size_t wanted = 2 * *n_bytes;
    char *larger = wanted <= 2 * MOST_BYTES ? ley_alloc(wanted + 1, 1) : NULL;
    if (!larger) {
        return ley_fail_memory("decompressed text", wanted, 1);
    }
    memcpy(larger, *bytes, *n_bytes);
    ley_free(*bytes);
    *bytes = larger;
    *n_bytes = wanted;
    return LEY_OK;
}

// Runs the decoder to the end; *out is made larger as needed.
static enum ley_status decode(lzma_stream *stream, char **out, size_t *n_out) {
    for (;;) {
        stream->next_out = (uint8_t *)*out + stream->total_out;
        stream->avail_out = *n_out - (size_t)stream->total_out;
        lzma_ret result = lzma_code(stream, LZMA_FINISH);
        if (result == LZMA_STREAM_END) {
            return stream->total_out <= MOST_BYTES
                       ? LEY_OK
                       : ley_fail(LEY_E_FORMAT, "decompressed text is larger than 8 GiB");
        }
        if (result == LZMA_MEM_ERROR) {
            return ley_fail_memory("xz decoder", 1, 1);
        }
        if (result != LZMA_OK || stream->avail_out > 0) { // room left, and yet no end
            return ley_fail(LEY_E_FORMAT, "damaged or cut xz data (liblzma code %d)", (int)result);
        }
        LEY_TRY(grow(out, n_out));
    }
}

// *text is replaced by what it decompresses to, with a zero byte after its end.
static enum ley_status decompress(char **text, size_t *n_bytes) {
    lzma_stream stream = LZMA_STREAM_INIT;
    size_t n_out = 4 * *n_bytes + 4096;
    char *out = ley_alloc(n_out + 1, 1);
    if (!out) {
        return ley_fail_memory("decompressed text", n_out, 1);
    }
    stream.next_in = (const uint8_t *)*text;
    stream.avail_in = *n_bytes;
    enum ley_status status = LEY_OK;
    if (lzma_stream_decoder(&stream, UINT64_MAX, LZMA_CONCATENATED) != LZMA_OK) {
        status = ley_fail_memory("xz decoder", 1, 1);
    }
    status = status == LEY_OK ? decode(&stream, &out, &n_out) : status;
    if (status == LEY_OK) {
        ley_free(*text);
        *text = out;
        *n_bytes = (size_t)stream.total_out;
        out[*n_bytes] = 0;
    } else {
        ley_free(out);
    }
    lzma_end(&stream);
    return status;
}

// Drops \r before \n; joins lines where asked. Returns the new length.
static size_t clean(char *text, size_t n, bool joins_lines) {
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\r' && i + 1 < n && text[i + 1] == '\n') {
            continue;
        }
        bool next_is_break = i + 1 < n && (text[i + 1] == '\n' || text[i + 1] == '\r');
        bool is_wrapped = joins_lines && text[i] == '\n' && to > 0 && i + 1 < n &&
                          text[to - 1] != '\n' && !next_is_break;
        text[to++] = is_wrapped ? ' ' : text[i];
    }
    return to;
}

// Adds a document; the list has room.
static void add(struct ley_texts *texts, char *text, size_t n) {
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r')) {
        n--;
    }
    while (n > 0 && (*text == '\n' || *text == '\r')) {
        text++;
        n--;
    }
    if (n > 0) {
        texts->document[texts->n++] = (struct ley_string){text, n};
    }
}

// The next place of `what` in text[n], or its end.
static char *find(char *text, size_t n, const char *what) {
    size_t n_what = strlen(what);
    for (char *at = text, *end = text + n; (size_t)(end - at) >= n_what; at++) {
        at = memchr(at, *what, (size_t)(end - at));
        if (!at || (size_t)(end - at) < n_what) {
            break;
        }
        if (memcmp(at, what, n_what) == 0) {
            return at;
        }
    }
    return text + n;
}

static size_t count_of(char *text, size_t n, const char *what) {
    size_t count = 0;
    for (char *at = find(text, n, what); at < text + n;
         at = find(at + 1, n - (size_t)(at + 1 - text), what)) {
        count++;
    }
    return count;
}

// Breaks around the text go first, so that they join nothing.
static enum ley_status cut_plain(struct ley_texts *texts, size_t n,
                                 const struct ley_text_options *options) {
    char *at = texts->bytes, *end = at + n;
    while (at < end) {
        char *stop = find(at, (size_t)(end - at), SEPARATOR);
        size_t before = texts->n;
        add(texts, at, (size_t)(stop - at));
        if (texts->n > before) {
            struct ley_string *document = &texts->document[before];
            document->n =
                clean((char *)(uintptr_t)document->text, document->n, options->joins_lines);
        }
        at = stop < end ? stop + strlen(SEPARATOR) : end;
    }
    return LEY_OK;
}

// One line; empty ones are passed over.
static enum ley_status take_line(struct ley_texts *texts, char *line, size_t n, size_t number) {
    if (n == 0 || (n == 1 && *line == '\r')) {
        return LEY_OK;
    }
    cJSON *object = cJSON_ParseWithLength(line, n);
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "text"));
    size_t n_text = text ? strlen(text) : 0;
    if (text && n_text <= n) {
        memcpy(line, text, n_text);
        add(texts, line, n_text);
    }
    cJSON_Delete(object);
    return text ? LEY_OK
                : ley_fail(LEY_E_FORMAT, "line %zu is no JSON object with a \"text\"", number);
}

static enum ley_status cut_lines(struct ley_texts *texts, size_t n) {
    char *at = texts->bytes, *end = at + n;
    for (size_t number = 1; at < end; number++) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        LEY_TRY(take_line(texts, at, (size_t)(stop - at), number));
        at = stop + 1;
    }
    return LEY_OK;
}

// texts->bytes is read already.
static enum ley_status cut(struct ley_texts *texts, size_t n, bool is_lines,
                           const struct ley_text_options *options) {
    size_t most = count_of(texts->bytes, n, is_lines ? "\n" : SEPARATOR) + 1;
    texts->document = ley_alloc(most, sizeof *texts->document);
    if (!texts->document) {
        return ley_fail_memory("documents", most, sizeof *texts->document);
    }
    LEY_TRY(is_lines ? cut_lines(texts, n) : cut_plain(texts, n, options));
    return texts->n > 0 ? LEY_OK : ley_fail(LEY_E_FORMAT, "there is no text in it");
}

enum ley_status ley_texts_load(struct ley_texts *texts, const char *path,
                               const struct ley_text_options *options) {
    size_t n_path = strlen(path), n_bytes;
    bool is_packed = ends_with(path, n_path, ".xz");
    bool is_lines = ends_with(path, n_path - (is_packed ? strlen(".xz") : 0), ".jsonl");
    *texts = (struct ley_texts){0};
    LEY_TRY(ley_file_read(&texts->bytes, &n_bytes, path, MOST_BYTES));
    enum ley_status status = is_packed ? decompress(&texts->bytes, &n_bytes) : LEY_OK;
    status = status == LEY_OK ? cut(texts, n_bytes, is_lines, options) : status;
    if (status != LEY_OK) {
        ley_texts_destroy(texts);
        return ley_fail_within(status, path);
    }
    return LEY_OK;
}

void ley_texts_destroy(struct ley_texts *texts) {
    ley_free(texts->bytes);
    ley_free(texts->document);
    *texts = (struct ley_texts){0};
}
