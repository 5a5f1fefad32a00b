// fuzz_text.c - any bytes as a text to learn from; the first says of which kind, and whether to
// join
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "leyden.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const char *const kinds[4] = {"txt", "jsonl", "txt.xz", "jsonl.xz"};
    char path[64];
    struct ley_texts texts;
    if (n < 1) {
        return 0;
    }
    const struct ley_text_options options = {(data[0] & 4) != 0};
    snprintf(path, sizeof path, "/tmp/leyden_fuzz_%ld.%s", (long)getpid(), kinds[data[0] % 4]);
    if (ley_file_write(path, (const char *)data + 1, n - 1) != LEY_OK) {
        abort();
    }
    if (ley_texts_load(&texts, path, &options) == LEY_OK) {
        for (size_t i = 0; i < texts.n; i++) { // all of it must be readable
            ley_hash(0, texts.document[i].text, texts.document[i].n);
        }
        ley_texts_destroy(&texts);
    }
    unlink(path);
    return 0;
}
