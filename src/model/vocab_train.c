// vocab_train.c - byte-level BPE is learned: words, pairs, merges
//
// Steps: (1) the text becomes words with counts, which is all that is looked at afterwards; (2)
// each word is a list of symbols, its bytes at first; (3) pairs are counted once; (4) the commonest
// pair becomes a token, in the words that hold it and nowhere else, and the counts of its
// neighbours follow. A symbol is joined once, so places of pairs are at most three for each byte of
// the words.
#include "model/vocab_train.h"

#include <string.h>

#include "core/memory.h"
#include "core/utf8.h"
#include "model/pair_count_impl.h"
#include "model/tokenizer_impl.h"
#include "model/word_count_impl.h"

enum { N_BYTES = 256, MOST_TOKENS = 1 << 20 };
static const char END_OF_TEXT[] = "<|endoftext|>";

// A merge's texts, "left right" and the token, lie in one block that begins with the former.
struct ley_new_vocab {
    struct ley_vocab vocab;
    struct ley_string *token, *merge;
    int8_t *type;
    size_t n_merges, most_merges;
    char alphabet[N_BYTES][4]; // single bytes as stored
    struct string_map map;     // of token[]
};

// A word as symbols: count[i] times symbol[first[i] .. first[i] + length[i]).
struct symbols {
    int32_t *symbol, *length;
    size_t *first;
    const int64_t *count;
    size_t n_words, n_symbols;
};

struct trainer {
    struct ley_new_vocab *made;
    const struct ley_vocab_options *options;
    struct pre_tokenizer *pre;
    struct word_count words;
    struct symbols symbols;
    struct pair_count pairs;
};

// ---- the vocabulary

// The end of a text, then all bytes by the characters that stand for them.
static void add_bytes(struct ley_new_vocab *made) {
    int32_t n = 0;
    made->type[n] = LEY_TOKEN_CONTROL;
    made->token[n++] = (struct ley_string){END_OF_TEXT, strlen(END_OF_TEXT)};
    for (uint32_t point = 0; n <= N_BYTES; point++) {
        if (byte_bpe_byte_of(point) >= 0) {
            char *text = made->alphabet[n - 1];
            made->type[n] = LEY_TOKEN_NORMAL;
            made->token[n++] = (struct ley_string){text, ley_utf8_encode(text, point)};
        }
    }
    for (int32_t i = 0; i < n; i++) {
        string_map_insert(&made->map, i);
    }
    made->vocab.n_tokens = n;
}

static enum ley_status create_vocab(struct ley_new_vocab **out, int32_t most_tokens) {
    struct ley_new_vocab *made = *out = ley_alloc(1, sizeof *made);
    size_t n = (size_t)most_tokens;
    if (!made) {
        return ley_fail_memory("vocabulary", 1, sizeof *made);
    }
    made->token = ley_alloc(n, sizeof *made->token);
    made->type = ley_alloc(n, sizeof *made->type);
    if (!made->token || !made->type) {
        return ley_fail_memory("tokens", n, sizeof *made->token);
    }
    LEY_TRY(string_map_create(&made->map, made->token, n));
    made->vocab = (struct ley_vocab){.kind = LEY_VOCAB_BYTE_BPE,
                                     .pre = LEY_PRE_GPT2,
                                     .token = made->token,
                                     .type = made->type,
                                     .unknown = -1};
    add_bytes(made);
    return LEY_OK;
}

const struct ley_vocab *ley_new_vocab_get(const struct ley_new_vocab *made) {
    return &made->vocab;
}

void ley_new_vocab_destroy(struct ley_new_vocab *made) {
    if (made) {
        for (size_t i = 0; i < made->n_merges; i++) {
            ley_free((void *)(uintptr_t)made->merge[i].text);
        }
        string_map_destroy(&made->map);
        ley_free(made->token);
        ley_free(made->merge);
        ley_free(made->type);
        ley_free(made);
    }
}

static enum ley_status reserve_merge(struct ley_new_vocab *made) {
    if (made->n_merges < made->most_merges) {
        return LEY_OK;
    }
    size_t wanted = 2 * made->most_merges + 1024;
    struct ley_string *larger = ley_regrow(made->merge, made->n_merges, wanted, sizeof *larger);
    if (!larger) {
        return ley_fail_memory("merges", wanted, sizeof *larger);
    }
    made->vocab.merge = made->merge = larger;
    made->most_merges = wanted;
    return LEY_OK;
}

// Adds the merge of a pair; *id is its token, which another merge may have made already.
static enum ley_status add_merge(int32_t *id, struct ley_new_vocab *made, struct neighbours pair) {
    struct ley_string left = made->token[pair.left], right = made->token[pair.right];
    size_t n = left.n + right.n;
    LEY_TRY(reserve_merge(made));
    char *text = ley_alloc(2 * n + 1, 1);
    if (!text) {
        return ley_fail_memory("merge", 2 * n + 1, 1);
    }
    memcpy(text, left.text, left.n);
    text[left.n] = ' ';
    memcpy(text + left.n + 1, right.text, right.n);
    made->merge[made->n_merges++] = (struct ley_string){text, n + 1};
    made->vocab.n_merges = (int32_t)made->n_merges;
    char *token = text + n + 1;
    memcpy(token, left.text, left.n);
    memcpy(token + left.n, right.text, right.n);
    const struct ley_string whole = {token, n};
    *id = string_map_find(&made->map, whole);
    if (*id < 0) {
        *id = made->vocab.n_tokens++;
        made->token[*id] = whole;
        made->type[*id] = LEY_TOKEN_NORMAL;
        string_map_insert(&made->map, *id);
    }
    return LEY_OK;
}

// ---- words

// Tells how far counting is; a failure when it is to stop.
static enum ley_status tell_counting(const struct trainer *trainer, int64_t n_done,
                                     int64_t n_bytes) {
    const struct ley_progress *progress = trainer->options->counting;
    return !progress || progress->report(progress->context, n_done, n_bytes)
               ? LEY_OK
               : ley_fail(LEY_E_INTERRUPTED, "interrupted after %lld of %lld bytes",
                          (long long)n_done, (long long)n_bytes);
}

// n_before: bytes of the documents before this one.
static enum ley_status count_document(struct trainer *trainer, struct ley_vocab_report *report,
                                      struct ley_string document, int64_t n_before) {
    enum { EVERY = 1 << 16 }; // pieces, some hundredths of a second
    struct piece_walk walk;
    enum ley_status status = piece_walk_create(&walk, trainer->pre, document.text, document.n);
    while (status == LEY_OK && (status = piece_walk_next(&walk)) == LEY_OK && walk.piece.n > 0) {
        status = word_count_add(&trainer->words, walk.piece);
        if (status == LEY_OK && ++report->n_pieces % EVERY == 0) {
            status = tell_counting(trainer, n_before + (int64_t)walk.at, report->n_bytes);
        }
    }
    piece_walk_destroy(&walk);
    return status;
}

static enum ley_status count_words(struct trainer *trainer, struct ley_vocab_report *report,
                                   const struct ley_string *document, size_t n) {
    int64_t n_before = 0;
    for (size_t i = 0; i < n; i++) {
        report->n_bytes += (int64_t)document[i].n;
    }
    LEY_TRY(pre_tokenizer_create(&trainer->pre, LEY_PRE_GPT2));
    LEY_TRY(word_count_create(&trainer->words));
    for (size_t i = 0; i < n; i++) {
        LEY_TRY(count_document(trainer, report, document[i], n_before));
        n_before += (int64_t)document[i].n;
    }
    report->n_words = (int64_t)trainer->words.n;
    return tell_counting(trainer, n_before, report->n_bytes);
}

// Ids of bytes are those of their characters.
static void fill_symbols(struct symbols *s, const struct word_count *words,
                         const struct ley_new_vocab *made) {
    int32_t id_of[N_BYTES];
    for (int32_t id = 1; id <= N_BYTES; id++) {
        char byte[sizeof made->alphabet[0]];
        byte_bpe_decode(byte, made->token[id]);
        id_of[(unsigned char)byte[0]] = id;
    }
    size_t at = 0;
    for (size_t w = 0; w < words->n; w++) {
        s->first[w] = at;
        s->length[w] = (int32_t)words->word[w].n;
        for (size_t i = 0; i < words->word[w].n; i++) {
            s->symbol[at++] = id_of[(unsigned char)words->word[w].text[i]];
        }
    }
}

static enum ley_status create_symbols(struct symbols *s, const struct word_count *words,
                                      const struct ley_new_vocab *made) {
    s->n_words = words->n;
    s->count = words->count;
    for (size_t i = 0; i < words->n; i++) {
        s->n_symbols += words->word[i].n;
    }
    if (s->n_symbols > INT32_MAX / 4) { // places are numbered in 32 bits
        return ley_fail(LEY_E_ARGUMENT, "the text has too many different words (%zu, %zu bytes)",
                        s->n_words, s->n_symbols);
    }
    s->symbol = ley_alloc(s->n_symbols, sizeof *s->symbol);
    s->length = ley_alloc(s->n_words, sizeof *s->length);
    s->first = ley_alloc(s->n_words, sizeof *s->first);
    if (!s->symbol || !s->length || !s->first) {
        return ley_fail_memory("words", s->n_symbols, sizeof *s->symbol);
    }
    fill_symbols(s, words, made);
    return LEY_OK;
}

// ---- merging

static enum ley_status count_pairs(struct trainer *trainer) {
    const struct symbols *s = &trainer->symbols;
    LEY_TRY(pair_count_create(&trainer->pairs, 3 * s->n_symbols));
    for (size_t w = 0; w < s->n_words; w++) {
        const int32_t *symbol = s->symbol + s->first[w];
        for (int32_t i = 0; i + 1 < s->length[w]; i++) {
            struct neighbours pair = {symbol[i], symbol[i + 1]};
            LEY_TRY(pair_count_add(&trainer->pairs, pair, s->count[w], (int32_t)w));
        }
    }
    return pair_count_queue(&trainer->pairs);
}

// Symbol `from` beside `beside` has become `to`.
static enum ley_status change(struct trainer *trainer, struct neighbours old, struct neighbours new,
                              size_t w) {
    int64_t count = trainer->symbols.count[w];
    LEY_TRY(pair_count_add(&trainer->pairs, old, -count, (int32_t)w));
    return pair_count_add(&trainer->pairs, new, count, (int32_t)w);
}

// Joins a pair in one word, from left to right.
static enum ley_status join(struct trainer *trainer, struct neighbours pair, int32_t id, size_t w) {
    int32_t *symbol = trainer->symbols.symbol + trainer->symbols.first[w];
    int32_t n = trainer->symbols.length[w], to = 0;
    for (int32_t i = 0; i < n; i++) {
        if (symbol[i] != pair.left || i + 1 == n || symbol[i + 1] != pair.right) {
            symbol[to++] = symbol[i];
            continue;
        }
        if (to > 0) {
            int32_t before = symbol[to - 1];
            LEY_TRY(change(trainer, (struct neighbours){before, pair.left},
                           (struct neighbours){before, id}, w));
        }
        if (i + 2 < n) {
            int32_t after = symbol[i + 2];
            LEY_TRY(change(trainer, (struct neighbours){pair.right, after},
                           (struct neighbours){id, after}, w));
        }
        symbol[to++] = id;
        i++;
    }
    trainer->symbols.length[w] = to;
    return LEY_OK;
}

// A pair may come up again after it was a merge, where another merge has made one of its halves:
// it is joined again and listed once.
static enum ley_status merge(struct trainer *trainer, struct neighbours pair) {
    struct pair_row *row = pair_count_find(&trainer->pairs, pair);
    int32_t place = row->first, id = row->token;
    if (id < 0) {
        LEY_TRY(add_merge(&id, trainer->made, pair));
        row->token = id;
    }
    for (; place >= 0; place = trainer->pairs.place[place].next) {
        LEY_TRY(join(trainer, pair, id, (size_t)trainer->pairs.place[place].word));
    }
    row = pair_count_find(&trainer->pairs, pair);
    row->count = 0;
    row->first = -1;
    return pair_count_queue(&trainer->pairs);
}

static enum ley_status merge_all(struct trainer *trainer) {
    const struct ley_vocab_options *o = trainer->options;
    const struct ley_vocab *vocab = &trainer->made->vocab;
    const int32_t n_first = vocab->n_tokens, n_wanted = o->n_tokens - n_first;
    struct neighbours pair;
    while (vocab->n_tokens < o->n_tokens && pair_count_take(&pair, &trainer->pairs, o->min_count)) {
        LEY_TRY(merge(trainer, pair));
        if (o->merging &&
            !o->merging->report(o->merging->context, vocab->n_tokens - n_first, n_wanted)) {
            return ley_fail(LEY_E_INTERRUPTED, "interrupted at %d of %d tokens", vocab->n_tokens,
                            o->n_tokens);
        }
    }
    return LEY_OK;
}

static enum ley_status train(struct trainer *trainer, struct ley_vocab_report *report,
                             const struct ley_string *document, size_t n) {
    const struct symbols *s = &trainer->symbols;
    LEY_TRY(create_vocab(&trainer->made, trainer->options->n_tokens));
    LEY_TRY(count_words(trainer, report, document, n));
    LEY_TRY(create_symbols(&trainer->symbols, &trainer->words, trainer->made));
    LEY_TRY(count_pairs(trainer));
    LEY_TRY(merge_all(trainer));
    for (size_t w = 0; w < s->n_words; w++) {
        report->n_tokens += s->count[w] * s->length[w];
    }
    return LEY_OK;
}

enum ley_status ley_vocab_train(struct ley_new_vocab **out, struct ley_vocab_report *report,
                                const struct ley_string *document, size_t n,
                                const struct ley_vocab_options *options) {
    struct trainer trainer = {.options = options};
    *out = NULL;
    *report = (struct ley_vocab_report){0};
    if (options->n_tokens < LEY_LEAST_VOCAB || options->n_tokens > MOST_TOKENS ||
        options->min_count < 1) {
        return ley_fail(LEY_E_ARGUMENT,
                        "a vocabulary has %d to %d tokens, and a pair counts 1 or more",
                        LEY_LEAST_VOCAB, MOST_TOKENS);
    }
    enum ley_status status = train(&trainer, report, document, n);
    if (status == LEY_OK) {
        *out = trainer.made;
    } else {
        ley_new_vocab_destroy(trainer.made);
    }
    pair_count_destroy(&trainer.pairs);
    ley_free(trainer.symbols.symbol);
    ley_free(trainer.symbols.length);
    ley_free(trainer.symbols.first);
    word_count_destroy(&trainer.words);
    pre_tokenizer_destroy(trainer.pre);
    return status;
}
