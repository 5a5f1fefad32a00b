#!/bin/sh
# Adapts SmolLM2-135M-Instruct to the `paper` chip: low-rank changes and scalers, taught by the model's
# own digital self. First attention layer by layer on TRANSFER, then end to end on TEXT, all in windows
# of 1,024 tokens. Ctrl-C saves; calling it again goes on.
#   tools/adapt_smollm2.sh TRANSFER TEXT OUT.gguf [TRANSFER_TOKENS [TOKENS]]
# TRANSFER, TEXT: any English text whose lines are not wrapped, .txt, .jsonl or .xz, best made by
# tools/mix_text.py; "self": sampled by the model (slow, needs nothing). What the adapter in adapters/
# learned from, and its curve: docs/ADAPTATION.md.
set -eu
cd "$(dirname "$0")/.."
usage="usage: tools/adapt_smollm2.sh TRANSFER TEXT OUT.gguf [TRANSFER_TOKENS [TOKENS]]"
transfer=${1:?$usage}
text=${2:?$usage}
out=${3:?$usage}
first=${out%.gguf}.transfer.gguf
model=$(tools/get_smollm2.sh)

learn() { # learn OUT METHOD ARGUMENT...
    to=$1
    method=$2
    shift 2
    [ -f "$to" ] && return
    resume=
    [ -f "$to.$method.ckpt" ] && resume=--resume
    build/bin/leyden adapt -m "$model" --hw paper -o "$to" --method "$method" --rank 32 \
        --lora all --ctx 1024 --checkpoint 5 --log "$to.jsonl" $resume "$@"
}

learn "$first" transfer --data "$transfer" --lr 6e-3 --scaler-lr 0.05 --batch 2 --pass 2 --validate 20 \
    --validation 4 --tokens "${4:-163840}"
learn "$out" distil --adapter "$first" --data "$text" --lr 1e-3 --scaler-lr 0.01 --warm-up 20 --batch 1 \
    --pass 1 --parts 8 --hidden 1 --average 0.99 --kl 0.85 --ce 0.15 --validate 100 --validation 12 --tokens "${5:-3500000}"
