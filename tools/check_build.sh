#!/bin/sh
# check_build.sh - builds in a folder of its own with another compiler or flags, and runs the tests.
#
# usage: tools/check_build.sh FOLDER COMPILER [CMAKE OPTION]...
set -eu
cd "$(dirname "$0")/.."
folder=$1 compiler=$2
shift 2
if [ "$compiler" = clang ]; then
    tools/setup.sh clang libomp-dev libclang-rt-14-dev llvm
fi
CC=$compiler cmake -S . -B "$folder" -DLEYDEN_WERROR=ON "$@" >/dev/null
cmake --build "$folder" -j "$(nproc)" | grep -v '^\[' || true
cmake --build "$folder" >/dev/null
# Threads of the OpenMP runtime and the interposed allocator of test_fault outlive main: not leaks.
ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
    ctest --test-dir "$folder" --output-on-failure -j "$(nproc)"
