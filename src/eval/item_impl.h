// item_impl.h - building items, for the readers of files.
#pragma once
#include <stdbool.h>

#include "eval/item.h"
#include "model/vocab.h"

struct cJSON;

// Adds bytes to an item's text; *part says where.
LEY_MUST_CHECK enum ley_status ley_item_add(struct ley_item *item, struct ley_item_part *part,
                                            struct ley_string text);

// Lengthens the part that was added last.
LEY_MUST_CHECK enum ley_status ley_item_append(struct ley_item *item, struct ley_item_part *part,
                                               struct ley_string text);

// Another pair; `choice` is what acc_norm counts the characters of.
LEY_MUST_CHECK enum ley_status ley_item_add_pair(struct ley_item *item,
                                                 struct ley_item_part context,
                                                 struct ley_item_part ending,
                                                 struct ley_string choice);

// Fills an item from a JSON object (item_json.c); LEY_E_FORMAT without the line.
LEY_MUST_CHECK enum ley_status
ley_item_from_json(struct ley_item *item, const struct ley_task *task, const struct cJSON *json);

// Fills a WikiText item from a page as the data set has it (wikitext.c).
LEY_MUST_CHECK enum ley_status ley_item_from_page(struct ley_item *item, struct ley_string page);

// One more item at the end of the list; NULL: out of memory.
struct ley_item *ley_items_next(struct ley_items *items, int64_t *room);

// Pages of raw WikiText (wikitext.c), which has \n as the end of its lines.
LEY_MUST_CHECK enum ley_status ley_items_from_wikitext(struct ley_items *items,
                                                       struct ley_string text, int64_t limit);

// A C string as bytes.
struct ley_string ley_text_of(const char *text);
