#!/bin/sh
# fuzz.sh - libFuzzer on every reader of files, with AddressSanitizer and UBSan.
#
# usage: SECONDS_EACH=600 tools/fuzz.sh [TARGET]...     targets: the names in tests/fuzz
# Findings are written to build/fuzz/<target>/; the exit code tells. Seeds: tests/fuzz/corpus.
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh clang libomp-dev libclang-rt-14-dev llvm
CC=clang cmake -S . -B build/fuzz -DLEYDEN_FUZZ=ON -DLEYDEN_TESTS=OFF -DBUILD_SHARED_LIBS=OFF \
    -DCMAKE_BUILD_TYPE=RelWithDebInfo -DLEYDEN_SANITIZE=address,undefined >/dev/null
cmake --build build/fuzz -j "$(nproc)" >/dev/null
status=0
for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    mkdir -p "build/fuzz/$name/corpus"
    seeds=tests/fuzz/corpus/${name#fuzz_}
    echo "== $name for ${SECONDS_EACH:-600} s"
    build/fuzz/bin/"$name" -max_total_time="${SECONDS_EACH:-600}" -timeout=10 -rss_limit_mb=1024 \
        -artifact_prefix="build/fuzz/$name/" -verbosity=0 -print_final_stats=1 \
        "build/fuzz/$name/corpus" "$seeds" 2>&1 | tail -n 12 || status=1
    ls "build/fuzz/$name"/crash-* "build/fuzz/$name"/leak-* "build/fuzz/$name"/timeout-* \
        "build/fuzz/$name"/oom-* 2>/dev/null && status=1
done
exit $status
