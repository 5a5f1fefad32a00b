// log.h - what a run reported, as a file of JSON objects, one a line.
//
//     {"kind":"start","leyden":"0.1.0","command":"leyden adapt ...", ... }
//     {"step":12,"stage":"distil","kind":"train","tokens":6144,"loss":3.1, ... ,"seconds":4.2}
#pragma once
#include "train/run.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ley_log;

// Opens a log for the steps of a stage ("distil") after `step`: its lines of later ones, which a
// run that goes on will do again, are cut off, and all behind them. Makes the file if needed. What
// is empty begins with the line `start`, a JSON object that begins with LEY_LOG_START (NULL: none):
// a run that goes on keeps the line of its beginning.
LEY_MUST_CHECK enum ley_status ley_log_open(struct ley_log **log, const char *path,
                                            const char *stage, int64_t step, const char *start);

#define LEY_LOG_START "{\"kind\":\"start\""

// Writes what is buffered; reports a full disk. NULL is accepted.
LEY_MUST_CHECK enum ley_status ley_log_close(struct ley_log *log);

// Appends one line. A failing write is told by close.
void ley_log_write(struct ley_log *log, const struct ley_run_report *report);

#ifdef __cplusplus
}
#endif
