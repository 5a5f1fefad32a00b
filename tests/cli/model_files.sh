# model_files.sh - leyden info and leyden convert: tiny models between formats and types
set -eu
models=$SOURCE/tests/fuzz/corpus/gguf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

"$LEYDEN" info "$models/gpt2_q8_0" >"$work/info"
for line in '^architecture gpt2 (GGUF version 3)' '^heads        4 queries, 4 keys and values, width 8' \
    '^positions    learned' '^output       tied' '^tokenizer    byte-level BPE (gpt-2), 12 tokens' \
    "eos 1 '</s>'" '^chat         no template' '^scalers      none'; do
    grep -q "$line" "$work/info" || fail "no line '$line' in: $(cat "$work/info")"
done
"$LEYDEN" info --json --tensors "$models/llama_q4_0" >"$work/json"
grep -q '"layout":.*"pairs"' "$work/json" || fail "JSON names the rotary layout"
[ "$(grep -c '"weight":' "$work/json")" = 11 ] || fail "JSON lists 11 weights"

# there and back: the same bytes
for model in gpt2_q8_0 llama_q4_0; do
    "$LEYDEN" convert "$models/$model" -o "$work/a.gguf" --type f32 >"$work/out"
    grep -q 'matrices as F32' "$work/out" || fail "convert says what it did"
    "$LEYDEN" convert "$work/a.gguf" -o "$work/a/" --type f32 >"$work/out"
    grep -q 'without a tokenizer' "$work/out" || fail "convert says what is left out"
    "$LEYDEN" convert "$work/a/" -o "$work/b.gguf" --type f32 >/dev/null 2>&1
    "$LEYDEN" convert "$work/b.gguf" -o "$work/b/" --type f32 >/dev/null
    cmp "$work/a/model.safetensors" "$work/b/model.safetensors" || fail "$model changed"
    cmp "$work/a/config.json" "$work/b/config.json" || fail "$model: its config changed"
    rm -r "$work/a" "$work/b"
done

# the tokenizer goes along, but not one that does not fit
"$LEYDEN" convert "$models/llama_q4_0" -o "$work/q.gguf" --type q8_0 >/dev/null
"$LEYDEN" info "$work/q.gguf" | grep -q 'Q8_0 [0-9.]* %' || fail "q8_0 was written"
"$LEYDEN" info "$work/q.gguf" | grep -q 'SentencePiece BPE, 12 tokens' || fail "the tokenizer is there"

"$LEYDEN" convert "$models/gpt2_q8_0" -o "$work/t/" --type bf16 >/dev/null
cp "$SOURCE"/tests/golden/tokenizer/tiny_bpe/tokenizer.json "$work/t/"
"$LEYDEN" convert "$work/t/" -o "$work/t.gguf" >/dev/null 2>"$work/stderr"
grep -q '400 tokens, but the embedding has 12 rows' "$work/stderr" || fail "a wrong tokenizer"

expect() { # expect STATUS TEXT ARGUMENT...
    want=$1 text=$2 got=0
    shift 2
    "$LEYDEN" "$@" >"$work/stdout" 2>"$work/stderr" || got=$?
    [ "$got" = "$want" ] || fail "exit $got, want $want: $*"
    grep -q -- "$text" "$work/stderr" || fail "no '$text' for $*: $(cat "$work/stderr")"
    [ "$(wc -l <"$work/stderr")" = 1 ] || fail "more than one line for: $*"
}
expect 2 'give one model' info
expect 2 'give one model and -o OUT' convert "$models/gpt2_q8_0"
expect 2 "'q4_0', must be f32" convert "$models/gpt2_q8_0" -o "$work/x.gguf" --type q4_0
expect 2 "'q8_0', must be f32" convert "$models/gpt2_q8_0" -o "$work/x/" --type q8_0
expect 2 'no GGUF file' info "$SOURCE/README.md"
expect 2 'no such file' info "$work/none"
[ ! -e "$work/x" ] && [ ! -e "$work/x.gguf" ] || fail "a failure left something behind"
