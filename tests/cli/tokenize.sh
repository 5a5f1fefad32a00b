# tokenize.sh - leyden tokenize: text to ids and back, byte for byte
set -eu
folder=$SOURCE/tests/golden/tokenizer/tiny_bpe
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

"$LEYDEN" tokenize -m "$folder" -p 'the fox<|im_end|>' >"$work/list"
[ "$(wc -l <"$work/list")" -ge 3 ] || fail "one line a token"
tail -1 "$work/list" | grep -q '"<|im_end|>"' || fail "special token is one token"

# any bytes come back
{ head -c 5000 "$LEYDEN"; printf 'caf\303\251 \377\000 end\n'; } >"$work/in"
"$LEYDEN" tokenize -m "$folder" -f "$work/in" --ids --no-special >"$work/ids"
"$LEYDEN" tokenize -m "$folder" -f "$work/ids" --decode >"$work/out"
cmp "$work/in" "$work/out" || fail "round trip"
"$LEYDEN" tokenize -m "$folder" -f - --ids --no-special <"$work/in" | cmp - "$work/ids" ||
    fail "standard input"

"$LEYDEN" tokenize -m "$folder" -p hello --json | grep -q '"n_lost_bytes":' || fail "JSON"

expect() { # expect STATUS TEXT ARGUMENT...
    want=$1 text=$2 got=0
    shift 2
    "$LEYDEN" tokenize "$@" >"$work/stdout" 2>"$work/stderr" || got=$?
    [ "$got" = "$want" ] || fail "exit $got, want $want: $*"
    grep -q -- "$text" "$work/stderr" || fail "no '$text' for: $*"
    [ "$(wc -l <"$work/stderr")" = 1 ] || fail "more than one line for: $*"
}
expect 2 'give -m MODEL' -m "$folder"
expect 2 'give -m MODEL' -p x
expect 2 'no tokenizer.json' -m "$work" -p x
expect 2 'id 400 is not one of the 400 tokens' -m "$folder" -p 400 --decode
