#!/bin/sh
# Adapts SmolLM2-135M-Instruct to the `paper` chip: low-rank changes and scalers, taught by the model's
# own digital self; first in windows of 512 tokens, then of 1,024. Half an hour on two cores; Ctrl-C saves,
# calling it again goes on.
#   tools/adapt_smollm2.sh TEXT OUT.gguf [TOKENS [TOKENS_OF_1024]]
# TEXT: any English text, .txt, .jsonl or .xz; "self": sampled by the model (slow, needs nothing).
set -eu
cd "$(dirname "$0")/.."
usage="usage: tools/adapt_smollm2.sh TEXT|self OUT.gguf [TOKENS [TOKENS_OF_1024]]"
text=${1:?$usage}
out=${2:?$usage}
short=${out%.gguf}.512.gguf
model=$(tools/get_smollm2.sh)

learn() { # learn OUT ARGUMENT...
    to=$1
    shift
    [ -f "$to" ] && return
    resume=
    [ -f "$to.distil.ckpt" ] && resume=--resume
    build/bin/leyden adapt -m "$model" --hw paper --data "$text" --join-lines -o "$to" --method distil \
        --rank 16 --lora all --pass 2 --checkpoint 5 --log "$to.jsonl" $resume "$@"
}

learn "$short" --lr 1e-3 --ctx 512 --batch 4 --validate 20 --validation 8 --tokens "${3:-300000}"
learn "$out" --adapter "$short" --lr 5e-4 --ctx 1024 --batch 2 --validate 10 --validation 4 \
    --tokens "${4:-90000}"
