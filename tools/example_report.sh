#!/bin/sh
# example_report.sh - docs/example-report: results of real commands on SmolLM2-135M, their report,
# and screenshots of it.
#
# usage: tools/example_report.sh [-a ADAPTER.gguf] build/bin/leyden [FOLDER [RESULT]...]
# Takes half a minute on two cores, with an adapter (leyden adapt) a minute: then the adapted model stands beside
# the digital and the mapped one. Commands run in a folder of their own: results name no other path.
# RESULTs that took longer (logs of leyden adapt, tests/regress/*.json) come along.
set -eu
adapter=
if [ "${1:-}" = -a ]; then
    [ -f "${2:-}" ] || { echo "example_report.sh: cannot open the adapter ${2:-}" >&2; exit 2; }
    adapter=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
    shift 2
fi
[ -x "${1:-}" ] || { echo "usage: tools/example_report.sh [-a ADAPTER.gguf] build/bin/leyden [FOLDER [RESULT]...]" >&2; exit 2; }
leyden=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
out=${2:-$root/docs/example-report}
mkdir -p "$out"
out=$(cd "$out" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM
mkdir "$scratch/results"
[ $# -le 2 ] || {
    shift 2
    cp "$@" "$scratch/results"
}
model=$("$root/tools/get_smollm2.sh")
ln -s "$model" "$scratch/smollm2.gguf"
cp "$root/examples/demo/text.txt" "$scratch/text.txt"
ln -s "$leyden" "$scratch/leyden"
cd "$scratch"
PATH=$scratch:$PATH
prompt="Once upon a time there was a lighthouse keeper who"

leyden calibrate -m smollm2.gguf --hw paper -o mapped.gguf
leyden cell --hw paper --json >results/cell.json
leyden cost --hw paper -m smollm2.gguf --json >results/cost.json
leyden perplexity -m smollm2.gguf --hw digital -f text.txt --ctx 256 --json >results/digital.json
leyden perplexity -m mapped.gguf --hw paper -f text.txt --ctx 256 --json >results/mapped.json
leyden run -m smollm2.gguf --hw digital --temp 0 -n 48 -p "$prompt" --json >results/run-digital.json
leyden run -m mapped.gguf --hw paper --temp 0 -n 48 -p "$prompt" --trace results/trace \
    --trace-layers 0,15,29 --json >results/run-mapped.json
if [ -n "$adapter" ]; then
    ln -s "$adapter" adapter.gguf
    leyden perplexity -m smollm2.gguf --adapter adapter.gguf --hw paper -f text.txt --ctx 256 --json >results/adapted.json
    leyden run -m smollm2.gguf --adapter adapter.gguf --hw paper --temp 0 -n 48 -p "$prompt" --json >results/run-adapted.json
fi
rm results/trace/*.npy # a report needs trace.json only
leyden bench --shape smollm2-135m --tokens 128,512,1024 --runs 5 --json >results/bench.json
leyden report results -o report.html --title "SmolLM2-135M on the published chip"
grep -q "energy by layer and head" report.html || { echo "example_report.sh: no energies of heads" >&2; exit 1; }

cp report.html "$out/report.html"
"$root/tools/check_report.sh" "$out/report.html" "$out"
du -sk "$out"
