// journal.h - answers kept in a file as they come, so that an evaluation can go on after a stop.
//
//     {"run":"9f..","item":12,"answers":[[-31.25,7,0],[-29.5,7,1]]}     log probability, tokens,
//     greedy
//
// `run` is a fingerprint of all that answers depend on; lines of other runs are passed over, so one
// file serves an evaluation of several tasks and hardwares.
#pragma once
#include "eval/run.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_journal;

// Opens a journal to go on, or begins one; a last line that was cut off is dropped. LEY_E_FORMAT: a
// file that is something else.
LEY_MUST_CHECK enum ley_status ley_journal_open(struct ley_journal **journal, const char *path);

// NULL is accepted. is_finished: the journal is not needed any more, its file goes.
LEY_MUST_CHECK enum ley_status ley_journal_close(struct ley_journal *journal, bool is_finished);

// Fills the answers that a run has left in the journal when it was opened, and marks their items as
// done. Lines that do not fit the items are LEY_E_FORMAT.
LEY_MUST_CHECK enum ley_status ley_journal_read(struct ley_answers *answers,
                                                const struct ley_journal *journal, uint64_t run);

// Appends an item's answers.
void ley_journal_write(struct ley_journal *journal, uint64_t run, const struct ley_answers *answers,
                       int64_t item);

// Hands what was written to the system; reports a full disk.
LEY_MUST_CHECK enum ley_status ley_journal_flush(struct ley_journal *journal);

#ifdef __cplusplus
}
#endif
