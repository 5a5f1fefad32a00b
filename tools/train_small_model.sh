#!/bin/sh
# Makes Leyden's own small model from a text: vocabulary, digital model, its form on the `paper` chip.
#   tools/train_small_model.sh TEXT FOLDER
# TEXT: English books, .txt, .jsonl or .xz. In FOLDER: leyden-small.gguf and leyden-small-paper.gguf, with what
# they were made of. Ctrl-C saves; calling it again goes on. docs/ADAPTATION.md has times and curves.
set -eu
cd "$(dirname "$0")/.."
usage="usage: tools/train_small_model.sh TEXT FOLDER"
text=${1:?$usage}
folder=${2:?$usage}
leyden=${LEYDEN:-build/bin/leyden}
mkdir -p "$folder"

cat >"$folder/config.json" <<'END'
{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new",
 "n_layer": 4, "n_embd": 192, "n_head": 3, "vocab_size": 2048, "n_positions": 1024}
END

learn() { # learn COMMAND OUT ARGUMENT...: unless it is there, from its checkpoint where there is one
    command=$1 to=$folder/$2
    shift 2
    [ -f "$to.gguf" ] && return
    resume=
    ls "$to".gguf.*.ckpt >/dev/null 2>&1 && resume=--resume
    "$leyden" "$command" --data "$text" --join-lines --cache "$folder/tokens" -o "$to.gguf" --log "$to.jsonl" \
        --type f32 --held-out 0.002 --checkpoint 3 $resume "$@"
}

[ -f "$folder/tokenizer.json" ] ||
    "$leyden" vocab --data "$text" --join-lines --size 2048 -o "$folder/tokenizer.json"

# short windows first: most of what there is to learn, at less cost
learn train short --config "$folder/config.json" --tokenizer "$folder/tokenizer.json" --ctx 256 --batch 32 \
    --pass 32 --tokens 9000000 --lr 3e-3 --last-lr 1e-3 --warm-up 50 --validate 100 --validation 64
learn train long -m "$folder/short.gguf" --ctx 1024 --batch 8 --pass 8 --tokens 3000000 --lr 1e-3 \
    --last-lr 5e-5 --warm-up 10 --validate 50 --validation 16 --seed 1
# on the chip, all weights: short windows, where the digital model teaches and the text does too; then long ones
learn adapt paper-short -m "$folder/long.gguf" --hw paper --method distil --train all --keys plain \
    --ce 1 --kl 1 --ctx 256 --batch 32 --pass 32 --tokens 2000000 --lr 2e-3 --last-lr 1e-3 --warm-up 20 \
    --validate 50 --validation 64 --seed 2
learn train paper -m "$folder/paper-short.gguf" --hw paper --ctx 1024 --batch 8 --pass 8 --tokens 800000 \
    --lr 1e-3 --last-lr 5e-5 --warm-up 10 --validate 50 --validation 16 --seed 3
learn train paper-more -m "$folder/paper.gguf" --hw paper --ctx 1024 --batch 8 --pass 8 --tokens 800000 \
    --lr 1e-3 --last-lr 3e-5 --warm-up 10 --validate 50 --validation 16 --seed 4

"$leyden" convert "$folder/long.gguf" --type q8_0 -o "$folder/leyden-small.gguf"
"$leyden" convert "$folder/paper-more.gguf" --type q8_0 -o "$folder/leyden-small-paper.gguf"
