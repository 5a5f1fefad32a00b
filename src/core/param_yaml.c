// param_yaml.c - presets: two levels of YAML maps onto a parameter table
//
// Reads the event stream of libyaml, which holds one event at a time: a hostile file can cost no
// more memory than its own size. Aliases, anchors, sequences, and deeper nesting are refused.
//
// Numbers with sources (ley_params_read_noted_yaml) are maps one level deeper, of five known keys.
#include <string.h>
#include <yaml.h>

#include "core/memory.h"
#include "core/param.h"

// Presets have some thirty keys.
enum { KEY_BYTES = 128, MAX_KEYS = 256 };

struct reader {
    yaml_parser_t parser;
    const char *name; // of the file, for messages
    const struct ley_param_table *table;
    void *spec;
    struct ley_param_note *notes; // [rows of table]; NULL: plain values
    char group[KEY_BYTES];        // "" at top level
    int line;                     // of the event last read
    int n_seen;
    char seen[MAX_KEYS][KEY_BYTES]; // a key given twice is a mistake worth telling
};

// One line: file, line, what is wrong.
static enum ley_status fail_at(const struct reader *reader, const char *what) {
    return ley_fail(LEY_E_FORMAT, "%s:%d: %s", reader->name, reader->line, what);
}

// Every event carries its line; the parser's own mistakes have another place for it.
static enum ley_status next_event(struct reader *reader, yaml_event_t *event) {
    if (!yaml_parser_parse(&reader->parser, event)) {
        reader->line = (int)reader->parser.problem_mark.line + 1;
        return fail_at(reader, reader->parser.problem ? reader->parser.problem : "not YAML");
    }
    reader->line = (int)event->start_mark.line + 1;
    return LEY_OK;
}

// A scalar without zero bytes that fits; anything else is not a preset.
static enum ley_status copy_scalar(char *out, size_t n_out, const struct reader *reader,
                                   const yaml_event_t *event) {
    if (event->type != YAML_SCALAR_EVENT) {
        return fail_at(reader, "expected 'key: value' (no lists, aliases or deeper maps)");
    }
    if (event->data.scalar.length >= n_out ||
        memchr(event->data.scalar.value, '\0', event->data.scalar.length)) {
        return fail_at(reader, "a key or value is too long");
    }
    memcpy(out, event->data.scalar.value, event->data.scalar.length);
    out[event->data.scalar.length] = '\0';
    return LEY_OK;
}

// A key given twice would make the second one win silently.
static enum ley_status note_key(struct reader *reader, const char *key) {
    for (int i = 0; i < reader->n_seen; i++) {
        if (strcmp(reader->seen[i], key) == 0) {
            return ley_fail(LEY_E_FORMAT, "%s:%d: '%s' is given twice", reader->name, reader->line,
                            key);
        }
    }
    if (reader->n_seen == MAX_KEYS) {
        return fail_at(reader, "too many keys");
    }
    snprintf(reader->seen[reader->n_seen++], KEY_BYTES, "%s", key);
    return LEY_OK;
}

// "group.name", the key as `--set` knows it; once only.
static enum ley_status make_key(char key[KEY_BYTES], struct reader *reader, const char *name) {
    char whole[KEY_BYTES * 2];
    snprintf(whole, sizeof whole, "%s%s%s", reader->group, *reader->group ? "." : "", name);
    if (strlen(whole) >= KEY_BYTES) {
        return fail_at(reader, "a key is too long");
    }
    memcpy(key, whole, strlen(whole) + 1);
    return note_key(reader, key);
}

// Puts file and line before what the parameter table says of the value.
static enum ley_status set_key(struct reader *reader, const char *key, const char *value) {
    char where[KEY_BYTES * 4];
    enum ley_status status = ley_params_set(reader->table, reader->spec, key, value);
    if (status != LEY_OK) {
        snprintf(where, sizeof where, "%.400s:%d", reader->name, reader->line);
        return ley_fail_within(status, where);
    }
    return LEY_OK;
}

// A plain value.
static enum ley_status set_value(struct reader *reader, const char *name, const char *value) {
    // For people; two levels deep it would be a parameter like any other.
    if (!*reader->group && strcmp(name, "description") == 0) {
        return LEY_OK;
    }
    char key[KEY_BYTES];
    LEY_TRY(make_key(key, reader, name));
    LEY_TRY(set_key(reader, key, value));
    return reader->notes ? ley_fail(LEY_E_FORMAT,
                                    "%s:%d: %s is a bare number; give it as {value: .., unit: .., "
                                    "low: .., high: .., source: ..}",
                                    reader->name, reader->line, key)
                         : LEY_OK;
}

// The keys of a number with its source.
enum noted { NOTED_VALUE, NOTED_UNIT, NOTED_LOW, NOTED_HIGH, NOTED_SOURCE, N_NOTED };
static const char *const noted_names[N_NOTED] = {"value", "unit", "low", "high", "source"};

// Reads "key: text" pairs up to the end of the map.
static enum ley_status read_noted_texts(char text[N_NOTED][LEY_SOURCE_BYTES], const char *key,
                                        struct reader *reader) {
    for (;;) {
        char name[KEY_BYTES] = "";
        yaml_event_t event;
        LEY_TRY(next_event(reader, &event));
        bool is_end = event.type == YAML_MAPPING_END_EVENT;
        enum ley_status status = is_end ? LEY_OK : copy_scalar(name, sizeof name, reader, &event);
        yaml_event_delete(&event);
        LEY_TRY(status);
        if (is_end) {
            return LEY_OK;
        }
        int field = 0;
        while (field < N_NOTED && strcmp(noted_names[field], name) != 0) {
            field++;
        }
        if (field == N_NOTED || text[field][0]) {
            return ley_fail(LEY_E_FORMAT, "%s:%d: '%s' of %s is %s", reader->name, reader->line,
                            name, key,
                            field == N_NOTED ? "unknown; known are value, unit, low, high, source"
                                             : "given twice");
        }
        LEY_TRY(next_event(reader, &event));
        status = copy_scalar(text[field], LEY_SOURCE_BYTES, reader, &event);
        yaml_event_delete(&event);
        LEY_TRY(status);
    }
}

// Everything must be there, the unit the row's, and the value within its range.
static enum ley_status take_noted(struct reader *reader, const char *key,
                                  char text[N_NOTED][LEY_SOURCE_BYTES]) {
    int i = ley_params_find(reader->table, key);
    const struct ley_param *row = i >= 0 ? &reader->table->rows[i] : NULL;
    const char *unit = !row ? "" : *row->unit ? row->unit : "1";
    double number[N_NOTED];
    for (int field = 0; row && field < N_NOTED; field++) {
        if (!text[field][0]) {
            return ley_fail(LEY_E_FORMAT, "%s:%d: %s has no %s%s%s", reader->name, reader->line,
                            key, noted_names[field], field == NOTED_UNIT ? "; it must be " : "",
                            field == NOTED_UNIT ? unit : "");
        }
    }
    if (row && strcmp(text[NOTED_UNIT], unit) != 0) {
        return ley_fail(LEY_E_FORMAT, "%s:%d: the unit of %s is '%s', must be %s", reader->name,
                        reader->line, key, text[NOTED_UNIT], unit);
    }
    // Through the same bounds; the value last, so that it stays. An unknown key fails here too.
    static const enum noted order[] = {NOTED_LOW, NOTED_HIGH, NOTED_VALUE};
    for (int k = 0; k < 3; k++) {
        LEY_TRY(set_key(reader, key, text[order[k]]));
        number[order[k]] = ley_param_number(row, reader->spec);
    }
    if (!(number[NOTED_LOW] <= number[NOTED_VALUE] && number[NOTED_VALUE] <= number[NOTED_HIGH])) {
        return ley_fail(LEY_E_FORMAT, "%s:%d: %s is %s, outside its own range %s..%s", reader->name,
                        reader->line, key, text[NOTED_VALUE], text[NOTED_LOW], text[NOTED_HIGH]);
    }
    reader->notes[i] = (struct ley_param_note){number[NOTED_LOW], number[NOTED_HIGH], ""};
    memcpy(reader->notes[i].source, text[NOTED_SOURCE], LEY_SOURCE_BYTES);
    return LEY_OK;
}

// A number with its source.
static enum ley_status read_noted(struct reader *reader, const char *name) {
    char key[KEY_BYTES], text[N_NOTED][LEY_SOURCE_BYTES] = {{0}};
    LEY_TRY(make_key(key, reader, name));
    LEY_TRY(read_noted_texts(text, key, reader));
    return take_noted(reader, key, text);
}

// Handles the event after a key: a scalar is its value, a map opens a group.
static enum ley_status read_value(struct reader *reader, const char *name,
                                  const yaml_event_t *event) {
    if (event->type == YAML_MAPPING_START_EVENT && !*reader->group &&
        !event->data.mapping_start.anchor) {
        LEY_TRY(note_key(reader, name));
        snprintf(reader->group, sizeof reader->group, "%s", name);
        return LEY_OK;
    }
    if (event->type == YAML_MAPPING_START_EVENT && *reader->group && reader->notes &&
        !event->data.mapping_start.anchor) {
        return read_noted(reader, name);
    }
    char value[LEY_PATH_BYTES * 4];
    LEY_TRY(copy_scalar(value, sizeof value, reader, event));
    return set_value(reader, name, value);
}

// One step inside the top map; sets *is_done at its end.
static enum ley_status read_entry(struct reader *reader, bool *is_done) {
    yaml_event_t event;
    LEY_TRY(next_event(reader, &event));
    if (event.type == YAML_MAPPING_END_EVENT) {
        // The end of a group, or of the top map when no group is open.
        *is_done = !*reader->group;
        reader->group[0] = '\0';
        yaml_event_delete(&event);
        return LEY_OK;
    }
    char name[KEY_BYTES];
    enum ley_status status = copy_scalar(name, sizeof name, reader, &event);
    yaml_event_delete(&event);
    LEY_TRY(status);
    LEY_TRY(next_event(reader, &event));
    // The event is deleted in any case; the copy in `name` stays.
    status = read_value(reader, name, &event);
    yaml_event_delete(&event);
    return status;
}

// Consumes one event that must be of a kind.
static enum ley_status expect(struct reader *reader, yaml_event_type_t type, const char *what) {
    yaml_event_t event;
    LEY_TRY(next_event(reader, &event));
    enum ley_status status = event.type == type ? LEY_OK : fail_at(reader, what);
    yaml_event_delete(&event);
    return status;
}

// libyaml's order of events; anything after the first document is refused.
static enum ley_status read_document(struct reader *reader) {
    LEY_TRY(expect(reader, YAML_STREAM_START_EVENT, "not YAML"));
    LEY_TRY(expect(reader, YAML_DOCUMENT_START_EVENT, "the file is empty"));
    LEY_TRY(expect(reader, YAML_MAPPING_START_EVENT, "expected a map of parameters"));
    for (bool is_done = false; !is_done;) {
        LEY_TRY(read_entry(reader, &is_done));
    }
    LEY_TRY(expect(reader, YAML_DOCUMENT_END_EVENT, "expected the end of the file"));
    return expect(reader, YAML_STREAM_END_EVENT, "expected one document only");
}

// Both kinds of file.
static enum ley_status read_text(struct reader *reader, const char *text, size_t n_bytes) {
    if (!yaml_parser_initialize(&reader->parser)) {
        return ley_fail_memory("YAML parser", 1, sizeof reader->parser);
    }
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, n_bytes);
    enum ley_status status = read_document(reader);
    yaml_parser_delete(&reader->parser);
    return status;
}

// `spec` may be half overridden after a failure: callers drop it.
enum ley_status ley_params_read_yaml(const struct ley_param_table *table, void *spec,
                                     const char *text, size_t n_bytes, const char *name) {
    struct reader reader = {.name = name, .table = table, .spec = spec};
    return read_text(&reader, text, n_bytes);
}

enum ley_status ley_params_read_noted_yaml(const struct ley_param_table *table, void *spec,
                                           struct ley_param_note *notes, const char *text,
                                           size_t n_bytes, const char *name) {
    struct reader reader = {.name = name, .table = table, .spec = spec, .notes = notes};
    return read_text(&reader, text, n_bytes);
}
