# vocab.sh - leyden vocab: the same from every kind of file, an example by hand, mistakes
. "$SOURCE/tests/cli/lib.sh.inc"

# The words of Sennrich et al. (2016), once with a space before them: low 5, lower 2, newest 6, widest 3.
words() { # words COUNT WORD
    i=0
    while [ $i -lt "$1" ]; do
        printf ' %s' "$2"
        i=$((i + 1))
    done
}
{ words 5 low; words 2 lower; words 6 newest; words 3 widest; } >text.txt
check "a vocabulary" "$LEYDEN" vocab --data text.txt --size 261 -o v.json
grep -q "16 pieces, 4 different ones" stdout.txt || { echo "FAILED: words: $(cat stdout.txt)"; failures=$((failures + 1)); }
# es and st count 9: the lesser left letter; then est 9; then lo, ow and " l" 7, " lo" and low 7: the space
# is a later character than letters and an earlier one than tokens
tr -d ' \n\t' <v.json | sed 's/Ġ/_/g' | grep -q '"merges":\["es","est","lo","_lo"\]' ||
    { echo "FAILED: merges: $(tr -d '\n\t' <v.json | tail -c 120)"; failures=$((failures + 1)); }

printf '{"text": "%s"}\n' "$(cat text.txt)" >text.jsonl
check "of lines of JSON" "$LEYDEN" vocab -f text.jsonl -n 261 -o lines.json
cmp -s v.json lines.json || { echo "FAILED: .jsonl gives another vocabulary"; failures=$((failures + 1)); }
if command -v xz >/dev/null; then
    xz -k text.txt
    check "of .xz" "$LEYDEN" vocab -f text.txt.xz -n 261 -o packed.json
    cmp -s v.json packed.json || { echo "FAILED: .xz gives another vocabulary"; failures=$((failures + 1)); }
fi
check "as JSON" "$LEYDEN" vocab -f text.txt -n 1000 -o all.json --json
grep -q '"words":.*4' stdout.txt || { echo "FAILED: --json: $(cat stdout.txt)"; failures=$((failures + 1)); }
check "it is a tokenizer" "$LEYDEN" tokenize -m all.json -p " newest" --ids
[ "$(wc -w <stdout.txt)" = 1 ] || { echo "FAILED: ' newest' is not one token: $(cat stdout.txt)"; failures=$((failures + 1)); }

expect 2 "--data is missing" "$LEYDEN" vocab -o x.json
expect 2 "-o tokenizer.json is missing" "$LEYDEN" vocab -f text.txt
expect 2 "--size is 256, must be 257.." "$LEYDEN" vocab -f text.txt -o x.json --size 256
expect 2 "--min-count is 0" "$LEYDEN" vocab -f text.txt -o x.json --min-count 0
expect 2 "cannot open none.txt" "$LEYDEN" vocab -f none.txt -o x.json
expect 2 "no/x.json" "$LEYDEN" vocab -f text.txt -o no/x.json
[ ! -e x.json ] || { echo "FAILED: a mistake left a file"; failures=$((failures + 1)); }
finish
