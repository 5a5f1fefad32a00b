#!/bin/sh
# demo.sh - what Leyden does: a real language model speaking through analog attention, beside its
# digital self, with what the chip did. Without the Python package index: the small model that comes with
# Leyden, and the vectors of one layer.
#
# usage: tools/demo.sh build/bin/leyden
set -eu
leyden=$1
root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/out
mkdir -p "$out"

show_cell() {
    echo "== the memory cell: what a code stores and what current it gives"
    "$leyden" cell --hw cmos
    "$leyden" cell --hw cmos --svg "$out/cell.svg" >/dev/null
    echo "   plot: out/cell.svg"
}

prompt="Once upon a time there was a lighthouse keeper who"
text=$root/examples/demo/text.txt

speak() { # speak TITLE HARDWARE OPTION...
    title=$1 hw=$2
    shift 2
    echo
    echo "== $title"
    "$leyden" run "$@" --hw "$hw" --temp 0 -n 48 -p "$prompt"
    "$leyden" perplexity "$@" --hw "$hw" --ctx 256 -f "$text" 2>/dev/null
}

show_model() {
    model=$1
    for hw in paper-linear paper; do
        if [ ! -f "$out/smollm2-$hw.gguf" ]; then
            echo
            echo "== scalers for $hw (calibrated, not trained: seconds)"
            "$leyden" calibrate -m "$model" --hw $hw -o "$out/smollm2-$hw.gguf"
        fi
    done
    for hw in digital paper-linear paper; do
        file=$out/smollm2-$hw.gguf
        [ $hw = digital ] && file=$model
        speak $hw $hw -m "$file"
    done
    adapter=$root/adapters/smollm2-135m-instruct.paper.gguf
    speak "paper, adapted (low-rank changes, taught by the digital model)" paper \
        -m "$model" --adapter "$adapter"
    echo
    echo "The adapter has learned from 8.2 million tokens: docs/ADAPTATION.md says what that gave and what more did not;"
    echo "tools/adapt_smollm2.sh makes another."
}

show_small() {
    speak "digital" digital -m small
    speak "paper, mapped without training" paper -m small
    speak "paper, adapted (all weights learned on the chip)" paper -m small-paper
}

show_vectors() {
    vectors=$root/examples/demo
    for hw in paper-linear paper cmos osfet; do
        echo
        echo "== attention of a real layer (8 query heads on 4 banks of width 16) on $hw, ring past its first lap"
        "$leyden" attend --hw $hw --window 64 --q "$vectors/q.npy" --k "$vectors/k.npy" \
            --v "$vectors/v.npy" --scalers "$vectors" --dump scores,phi,tiles,codes \
            --out "$out/attend-$hw"
    done
    echo
    echo "== the same, token by token through the banks: bit for bit"
    "$leyden" attend --hw paper --window 64 --step --q "$vectors/q.npy" --k "$vectors/k.npy" \
        --v "$vectors/v.npy" --scalers "$vectors" --dump scores,phi,tiles,codes \
        --out "$out/attend-step" >/dev/null
    for file in out S phi A q_code k_code v_code out_code; do
        cmp "$out/attend-paper/$file.npy" "$out/attend-step/$file.npy"
        echo "   $file.npy: identical"
    done
}

show_cell
if model=$("$root/tools/get_smollm2.sh"); then
    show_model "$model"
else
    echo
    echo "SmolLM2 could not be obtained (see above): showing the small model that comes with Leyden, and the"
    echo "vectors of one layer."
    show_small
    show_vectors
fi
echo
echo "next: leyden --help; leyden chat -m MODEL --hw digital; leyden cell --hw paper --svg cell.svg"
