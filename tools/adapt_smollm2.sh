#!/bin/sh
# Adapts SmolLM2-135M-Instruct to the `paper` chip: low-rank changes and scalers. First attention layer
# by layer on TRANSFER, taught by the model's own digital self; then the digital model itself learns a
# little from TEXT, and teaches the chip's copy end to end on it, all in windows of 1,024 tokens. Ctrl-C
# saves; calling it again goes on.
#   tools/adapt_smollm2.sh TRANSFER TEXT OUT.gguf [TRANSFER_TOKENS [TOKENS [TEACHER_TOKENS]]]
# TRANSFER, TEXT: any English text whose lines are not wrapped, .txt, .jsonl or .xz, best made by
# tools/mix_text.py; "self": sampled by the model (slow, needs nothing). What the adapter in adapters/
# learned from, and its curve: docs/ADAPTATION.md.
set -eu
cd "$(dirname "$0")/.."
usage="usage: tools/adapt_smollm2.sh TRANSFER TEXT OUT.gguf [TRANSFER_TOKENS [TOKENS [TEACHER_TOKENS]]]"
transfer=${1:?$usage}
text=${2:?$usage}
out=${3:?$usage}
first=${out%.gguf}.transfer.gguf
teacher=${out%.gguf}.teacher.gguf
model=$(tools/get_smollm2.sh)

learn() { # learn OUT STAGE COMMAND ARGUMENT...
    to=$1
    stage=$2
    shift 2
    [ -f "$to" ] && return
    resume=
    [ -f "$to.$stage.ckpt" ] && resume=--resume
    build/bin/leyden "$@" -m "$model" -o "$to" --ctx 1024 --checkpoint 5 --log "$to.jsonl" $resume
}
adapt() { # adapt OUT METHOD ARGUMENT...
    to=$1
    method=$2
    shift 2
    learn "$to" "$method" adapt --method "$method" --hw paper --rank 32 --lora all "$@"
}

adapt "$first" transfer --data "$transfer" --lr 6e-3 --scaler-lr 0.05 --batch 2 --pass 2 --validate 20 \
    --validation 4 --tokens "${4:-163840}"
learn "$teacher" train train --data "$text" --lr 5e-5 --last-lr 3e-6 --average 0.98 --batch 1 --pass 1 \
    --parts 4 --validate 100 --validation 12 --tokens "${6:-500000}"
adapt "$out" distil --adapter "$first" --teacher "$teacher" --data "$text" --lr 1e-3 --scaler-lr 0.01 \
    --warm-up 20 --batch 1 --pass 1 --parts 8 --hidden 1 --average 0.99 --kl 0.8 --ce 0.2 --validate 100 \
    --validation 12 --tokens "${5:-3500000}"
