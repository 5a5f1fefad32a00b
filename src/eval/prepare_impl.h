// prepare_impl.h - how tasks clean texts, as lm-evaluation-harness does.
#pragma once
#include "eval/item_impl.h"

// Without the white space (of ASCII) around it.
struct ley_string ley_text_strip(struct ley_string text);

// Adds a HellaSwag text: marks of WikiHow removed, white space around it too.
LEY_MUST_CHECK enum ley_status ley_hellaswag_add(struct ley_item *item, struct ley_item_part *part,
                                                 struct ley_string text);

// Adds HellaSwag's context, "label: first Second".
LEY_MUST_CHECK enum ley_status
ley_hellaswag_context(struct ley_item *item, struct ley_item_part *part, struct ley_string label,
                      struct ley_string first, struct ley_string second);
