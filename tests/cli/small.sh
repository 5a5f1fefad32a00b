# small.sh - the models that come with Leyden: by name, by default, and what adaptation is worth
. "$SOURCE/tests/cli/lib.sh.inc"
text=$SOURCE/examples/demo/text.txt
perplexity() { # perplexity OPTION...: of the demo's text
    "$LEYDEN" perplexity "$@" -f "$text" --ctx 256 --json 2>stderr.txt |
        sed -n 's/.*"perplexity":[[:space:]]*\([0-9.]*\).*/\1/p'
}
digital=$(perplexity -m small --hw digital)
mapped=$(perplexity -m small --hw paper)
adapted=$(perplexity -m small-paper --hw paper)
echo "perplexity: digital $digital, mapped $mapped, adapted $adapted"
awk -v d="$digital" -v m="$mapped" -v a="$adapted" 'BEGIN {exit !(d > 1 && a < 1.25 * d && m > 1.5 * a)}' ||
    { echo "FAILED: it should be: digital, adapted at most a quarter above, mapped far above"; failures=$((failures + 1)); }

check "no model named" "$LEYDEN" run -p "It was a dark night" -n 4 --temp 0
grep -q "note: no -m MODEL: .* (-m small-paper)" stderr.txt || { echo "FAILED: the default is not told"; failures=$((failures + 1)); }
mv stdout.txt a.txt
check "by name" "$LEYDEN" run -m small-paper -p "It was a dark night" -n 4 --temp 0
cmp -s a.txt stdout.txt || { echo "FAILED: the default is another model"; failures=$((failures + 1)); }
check "digital by default" "$LEYDEN" run --hw digital -p "It was a dark night" -n 4 --temp 0
grep -q "(-m small)" stderr.txt || { echo "FAILED: the digital default is not told"; failures=$((failures + 1)); }
check "it can be described" "$LEYDEN" info small
check "its tokens" "$LEYDEN" tokenize -m small -p "<|endoftext|>a" --ids
grep -q "^0" stdout.txt || { echo "FAILED: the end of a text is not 0: $(cat stdout.txt)"; failures=$((failures + 1)); }
mkdir small # a name is a name, wherever one is
check "a folder of the same name" "$LEYDEN" info small
expect 2 "cannot open model smal: no such file" "$LEYDEN" run -m smal -p x
expect 2 "cannot open model ./small.gguf" "$LEYDEN" run -m ./small.gguf -p x
finish
