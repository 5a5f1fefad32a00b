#!/bin/sh
# eval_smollm2.sh - benchmark tasks on SmolLM2-135M-Instruct: digital, mapped, adapted; makes the tables
#
# usage: tools/eval_smollm2.sh [LEYDEN]    LIMIT, PAGES: items of a task, pages of WikiText at most (0: all);
#     WINDOWS: of the comparison with digital (8); ADAPTER: a file
#
# Needs the data sets (LEYDEN_DATA, default ../shared/data). Results go to tests/regress; what was
# stopped goes on when this is started again. Then docs/RESULTS.md and the table of README.md are made.
set -eu
cd "$(dirname "$0")/.."
leyden=${1:-build/bin/leyden}
mkdir -p out
model=out/SmolLM2-135M-Instruct.Q4_1.gguf # results name no home folder
ln -sf "$(tools/get_smollm2.sh)" $model
adapter=${ADAPTER:-adapters/smollm2-135m-instruct.paper.gguf}
LEYDEN_DATA=${LEYDEN_DATA:-../shared/data}
export LEYDEN_DATA
tasks=arc_easy,arc_challenge,winogrande,hellaswag,lambada_openai,piqa
mkdir -p tests/regress

run() { # name, limit, tasks, further options
    name=tests/regress/smollm2-135m-instruct.$1.json
    limit=$2
    list=$3
    shift 3
    "$leyden" eval -m "$model" --task "$list" --limit "$limit" -o "$name" "$@" >/dev/null
    echo "$name"
}
run tasks "${LIMIT:-0}" $tasks --hw digital,paper-linear,paper
run tasks.adapted "${LIMIT:-0}" $tasks --hw paper --adapter "$adapter"
run wikitext "${PAGES:-0}" wikitext --hw digital,paper-linear,paper --divergence "${WINDOWS:-8}"
run wikitext.adapted "${PAGES:-0}" wikitext --hw paper --adapter "$adapter" --divergence "${WINDOWS:-8}"
tools/results_table.py
