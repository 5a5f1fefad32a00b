#!/bin/sh
# Adapts SmolLM2-135M-Instruct to the `paper` chip: low-rank changes and scalers. First attention layer
# by layer on TRANSFER, taught by the model's own digital self; then the digital model itself learns a
# little from TEXT, and teaches the chip's copy end to end on it: first low-rank changes, then, with its own
# embedding and norms put back, the matrices themselves, whose changes go into an adapter of rank 64. All in
# windows of 1,024 tokens. Ctrl-C saves; calling it again goes on.
#   tools/adapt_smollm2.sh TRANSFER TEXT OUT.gguf [TRANSFER_TOKENS [TOKENS [TEACHER_TOKENS [MATRIX_TOKENS]]]]
# TRANSFER, TEXT: any English text whose lines are not wrapped, .txt, .jsonl or .xz, best made by
# tools/mix_text.py; "self": sampled by the model (slow, needs nothing). What the adapter in adapters/
# learned from, and its curve: docs/ADAPTATION.md.
set -eu
cd "$(dirname "$0")/.."
usage="usage: tools/adapt_smollm2.sh TRANSFER TEXT OUT.gguf [TRANSFER_TOKENS [TOKENS [TEACHER_TOKENS [MATRIX_TOKENS]]]]"
transfer=${1:?$usage}
text=${2:?$usage}
out=${3:?$usage}
first=${out%.gguf}.transfer.gguf
teacher=${out%.gguf}.teacher.gguf
second=${out%.gguf}.second.gguf # the teacher with embedding and norms as they came
low=${out%.gguf}.low.gguf
merged=${out%.gguf}.merged.gguf
whole=${out%.gguf}.whole.gguf
model=$(tools/get_smollm2.sh)

learn() { # learn MODEL OUT STAGE COMMAND ARGUMENT...
    from=$1
    to=$2
    stage=$3
    shift 3
    [ -f "$to" ] && return
    resume=
    [ -f "$to.$stage.ckpt" ] && resume=--resume
    build/bin/leyden "$@" -m "$from" -o "$to" --ctx 1024 --checkpoint 5 --log "$to.jsonl" $resume
}
adapt() { # adapt MODEL OUT METHOD ARGUMENT...
    from=$1
    to=$2
    method=$3
    shift 3
    learn "$from" "$to" "$method" adapt --method "$method" --hw paper "$@"
}
distil() { # distil MODEL TEACHER OUT ARGUMENT...: end to end
    from=$1
    by=$2
    to=$3
    shift 3
    adapt "$from" "$to" distil --teacher "$by" --data "$text" --batch 1 --pass 1 --hidden 1 --validate 100 \
        --validation 12 "$@"
}

adapt "$model" "$first" transfer --data "$transfer" --rank 32 --lora all --lr 6e-3 --scaler-lr 0.05 --batch 2 --pass 2 \
    --validate 20 --validation 4 --tokens "${4:-163840}"
learn "$model" "$teacher" train train --data "$text" --lr 5e-5 --last-lr 3e-6 --average 0.98 --batch 1 --pass 1 \
    --parts 4 --validate 100 --validation 12 --tokens "${6:-150000}"
distil "$model" "$teacher" "$low" --adapter "$first" --rank 32 --lora all --lr 1e-3 --scaler-lr 0.01 --warm-up 20 \
    --parts 8 --average 0.99 --kl 0.8 --ce 0.2 --tokens "${5:-3500000}"
[ -f "$merged" ] || build/bin/leyden convert "$model" --adapter "$low" -o "$merged"
[ -f "$second" ] || build/bin/leyden extract "$teacher" -m "$model" --merge -o "$second"
distil "$merged" "$second" "$whole" --train matrices --lr 6e-5 --last-lr 3e-6 --scaler-lr 0.003 --warm-up 8 \
    --parts 4 --average 0.985 --kl 1 --echo 3 --tokens "${7:-800000}"
build/bin/leyden extract "$whole" -m "$model" -o "$out" --rank 64 --type q8_0
