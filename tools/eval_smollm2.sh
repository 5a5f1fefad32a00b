#!/bin/sh
# eval_smollm2.sh - benchmark tasks on SmolLM2-135M-Instruct: digital, mapped, matched, adapted; makes the tables
#
# usage: tools/eval_smollm2.sh [LEYDEN]    LIMIT, PAGES: items of a task, pages of WikiText at most (0: all);
#     FEW: items of what is only mapped or matched (300), which needs no more to be seen to guess, of WikiText
#     2 pages; WINDOWS: of the comparison with digital (8); ADAPTER: a file
#
# Needs the data sets (LEYDEN_DATA, default ../shared/data). Results go to tests/regress: a whole one is kept, so
# delete what is to be made again (of another adapter: *.adapted.json); what was stopped goes on. Then
# docs/RESULTS.md and the table of README.md are made. Digital and adapted took 46 minutes on two cores that had
# other work too; the rest is a matter of minutes.
set -eu
cd "$(dirname "$0")/.."
leyden=${1:-build/bin/leyden}
mkdir -p out tests/regress
model=out/SmolLM2-135M-Instruct.Q4_1.gguf # results name no home folder
linear=out/smollm2.linear.gguf
matched=out/smollm2.matched.gguf
ln -sf "$(tools/get_smollm2.sh)" $model
adapter=${ADAPTER:-adapters/smollm2-135m-instruct.paper.gguf}
LEYDEN_DATA=${LEYDEN_DATA:-../shared/data}
export LEYDEN_DATA
tasks=arc_easy,arc_challenge,winogrande,hellaswag,lambada_openai,piqa

run() { # kind, items of a task, pages, windows to compare with digital, further options
    kind=$1
    items=$2
    pages=$3
    windows=$4
    shift 4
    score "tasks.$kind" "$items" $tasks "$@"
    score "wikitext.$kind" "$pages" wikitext --divergence "$windows" "$@"
}
score() { # name, limit, tasks, further options
    file=tests/regress/smollm2-135m-instruct.$1.json
    limit=$2
    list=$3
    shift 3
    if grep -q '"is_complete":[[:space:]]*true' "$file" 2>/dev/null; then
        echo "$file (kept)"
    else
        "$leyden" eval -m "$model" --task "$list" --limit "$limit" -o "$file" "$@" >/dev/null
        echo "$file"
    fi
}

if [ ! -f $matched ]; then # the published initialisation: the linear chip first, then its distributions (M23)
    "$leyden" calibrate -m $model --hw paper-linear -o $linear
    "$leyden" adapt -m $linear --hw paper --method match --train scalers --data self --tokens 4096 --ctx 256 \
        --batch 4 --pass 4 -o $matched.part
    mv $matched.part $matched
    rm $linear
fi
run digital "${LIMIT:-0}" "${PAGES:-0}" 0 --hw digital
run adapted "${LIMIT:-0}" "${PAGES:-0}" "${WINDOWS:-8}" --hw paper --adapter "$adapter"
run mapped "${FEW:-300}" 2 "${WINDOWS:-8}" --hw paper-linear,paper
run matched "${FEW:-300}" 2 "${WINDOWS:-8}" --hw paper --adapter $matched
tools/results_table.py
