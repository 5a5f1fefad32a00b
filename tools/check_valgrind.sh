#!/bin/sh
# check_valgrind.sh - the unit tests under valgrind memcheck: no invalid access, no leak.
#
# usage: tools/check_valgrind.sh BUILD_FOLDER
# valgrind computes x87 long doubles with 64 bits, so exp() there may differ in the last bit; no
# test depends on it. One thread: the OpenMP runtime keeps its pool until exit.
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh valgrind
status=0
for test in "$1"/tests/test_*; do
    [ -x "$test" ] || continue
    if OMP_NUM_THREADS=1 LEYDEN_ORACLE=/nonexistent LEYDEN_DATA=/nonexistent \
        LEYDEN_SMOLLM2=/nonexistent valgrind -q --error-exitcode=9 --leak-check=full \
        --errors-for-leak-kinds=definite,indirect \
        --show-leak-kinds=definite,indirect "$test" >/tmp/leyden-valgrind.$$ 2>&1; then
        echo "clean: $(basename "$test")"
    else
        cat /tmp/leyden-valgrind.$$
        echo "FOUND: $(basename "$test")"
        status=1
    fi
done
rm -f /tmp/leyden-valgrind.$$
exit $status
