#!/bin/sh
# Adapts SmolLM2-135M-Instruct to the `paper` chip: low-rank changes and scalers, taught by the model's
# own digital self. Hours on two cores; Ctrl-C saves, calling it again goes on.
#   tools/adapt_smollm2.sh TEXT OUT.gguf [TOKENS]
# TEXT: any English text, .txt, .jsonl or .xz; "self": sampled by the model (slow, needs nothing).
set -eu
cd "$(dirname "$0")/.."
text=${1:?usage: tools/adapt_smollm2.sh TEXT|self OUT.gguf [TOKENS]}
out=${2:?usage: tools/adapt_smollm2.sh TEXT|self OUT.gguf [TOKENS]}
tokens=${3:-300000}
resume=
[ -f "$out.distil.ckpt" ] && resume=--resume
exec build/bin/leyden adapt -m "$(tools/get_smollm2.sh)" --hw paper --data "$text" --join-lines -o "$out" \
    --method distil --rank 16 --lora all --lr 1e-3 --ctx 512 --batch 4 --pass 2 --tokens "$tokens" \
    --validate 20 --validation 8 --checkpoint 5 --log "$out.jsonl" $resume
