// assert.h - checks of the contract between pieces of code; always on.
//
// For errors of the programmer only. Never for what a file or a user says: that is a status.
#pragma once
#include <stdio.h>
#include <stdlib.h>

#define LEY_ASSERT(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "leyden: broken contract: %s (%s:%d)\n", #condition, __FILE__,         \
                    __LINE__);                                                                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
