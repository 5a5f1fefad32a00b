# eval.sh - benchmark tasks on a tiny model: forms of results, same bits, stops, mistakes
. "$SOURCE/tests/cli/lib.sh.inc"
model=$SOURCE/tests/golden/eval/model
export LEYDEN_DATA="$SOURCE/tests/golden/eval"
all=wikitext,lambada_openai,hellaswag,arc_easy,arc_challenge,winogrande,piqa

scores() { # scores FILE OPTION...: all but the seconds
    file=$1
    shift
    "$LEYDEN" eval -m "$model" --dtype f32 --ctx 64 --format csv "$@" 2>stderr.txt | cut -d, -f1-6 >"$file"
}
same() { # same DESCRIPTION FILE FILE
    cmp -s "$2" "$3" || { echo "FAILED: $1"; failures=$((failures + 1)); }
}

# neither threads nor passes change a score, on a chip and digitally
chips="--hw digital,paper,paper-linear --set array.window=40"
scores a.csv --task $all $chips
scores b.csv --task $all $chips -t 1 --rows 7
same "threads or passes change scores" a.csv b.csv
check "metrics of all tasks and hardwares" test "$(wc -l <a.csv)" = 46
check "chips differ from digital" sh -c 'test "$(grep ^digital a.csv | cut -d, -f2-)" != "$(grep ^paper, a.csv | cut -d, -f2-)"'
for row in "arc_easy,acc_norm,0.6" "piqa,acc_norm,1," "lambada_openai,acc,0,"; do
    check "$row" grep -q "^digital,$row" a.csv
done

check "table" "$LEYDEN" eval -m "$model" --dtype f32 --hw digital --task piqa,arc_easy --limit 2
grep -q "^average" stdout.txt || { echo "FAILED: no average"; failures=$((failures + 1)); }
check "markdown" "$LEYDEN" eval -m "$model" --hw digital --dtype f32 --task piqa --format md
grep -q '^| piqa | acc | 3 | ' stdout.txt || { echo "FAILED: no row of Markdown"; failures=$((failures + 1)); }

# layout of the harness: on top where there is one hardware, in "runs" always
check "json" "$LEYDEN" eval -m "$model" --dtype f32 --hw paper --task piqa --json --log-samples samples.jsonl
cp stdout.txt result.json
for key in '"results"' '"acc_norm,none"' '"acc_stderr,none"' '"n-shot"' '"versions"' '"dataset_hash"' '"weights_hash"' \
    '"energy_per_token_j"' '"hardware"' '"runs"' '"command"'; do
    check "$key in the result" grep -q -- "$key" result.json
done
check "a line for each item" test "$(wc -l <samples.jsonl)" = 3
check "log-likelihoods in samples" grep -q '"filtered_resps":\[\[-' samples.jsonl

# divergence: numbers, heads, plot
check "divergence" "$LEYDEN" eval -m "$model" --hw digital,paper --dtype f32 --ctx 64 --task wikitext --divergence 3
grep -q "same top-1" stdout.txt && grep -q "heads that lose most" stdout.txt || { echo "FAILED: no divergence"; failures=$((failures + 1)); }
check "energies of heads" sh -c '"$LEYDEN" eval -m "$0" --hw paper --dtype f32 --ctx 64 --task wikitext --json | grep -q energy_by_head_j' "$model"
check "heads in the result" sh -c '"$LEYDEN" eval -m "$0" --hw paper --dtype f32 --ctx 64 --task wikitext --divergence 1 --json | grep -q head_error' "$model"
if command -v gnuplot >/dev/null; then
    check "plot" "$LEYDEN" eval -m "$model" --hw paper --dtype f32 --ctx 64 --task wikitext --divergence 2 --plot d.svg
    check "plot is SVG" grep -q "</svg>" d.svg
else
    echo "SKIPPED: plots (gnuplot is not installed)"
fi

# a run that is stopped goes on to the same scores
i=0
while [ $i -lt 1500 ]; do
    echo "Line $i: the quick brown fox jumps over the lazy dog, and the dog does not mind at all."
    i=$((i + 1))
done >text.txt
text="--task text --file text.txt --ctx 64"
"$LEYDEN" eval -m "$model" --dtype f32 --hw digital $text -o whole.json --format csv 2>/dev/null | cut -d, -f1-6 >whole.csv
"$LEYDEN" eval -m "$model" --dtype f32 --hw digital $text --rows 64 -o out.json --format csv >stopped.csv 2>stderr.txt &
job=$!
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ -s out.json.part ] && break
    sleep 0.1
done
kill -INT $job
wait $job
code=$?
if [ $code = 130 ]; then
    check "the journal stays" test -s out.json.part
    check "goes on" sh -c '"$LEYDEN" eval -m "$0" --dtype f32 --hw digital --task text --file text.txt --ctx 64 -o out.json --format csv 2>resumed.txt | cut -d, -f1-6 >resumed.csv' "$model"
    check "says so" grep -q "were answered before" resumed.txt
    same "a resumed run has other scores" whole.csv resumed.csv
else
    check "was done before it could be stopped" test $code = 0
fi
check "the journal goes" test ! -e out.json.part
check "the result is there" grep -q '"token_perplexity,none"' out.json

expect 2 "unknown task 'pica'; did you mean 'piqa'" "$LEYDEN" eval -m "$model" --task pica
expect 2 "--task is missing" "$LEYDEN" eval -m "$model"
expect 2 "unknown hardware 'papr'" "$LEYDEN" eval -m "$model" --hw digital,papr --task piqa
check "list" sh -c '"$LEYDEN" eval --list | grep -q "^piqa .*baber/piqa"'
expect 2 "for chips, of which --hw names none" "$LEYDEN" eval -m "$model" --hw digital --adapter x.gguf --task piqa
expect 2 "no items of piqa in ." "$LEYDEN" eval -m "$model" --task piqa --data .
expect 2 "needs --file" "$LEYDEN" eval -m "$model" --task text
expect 2 "must be table, md, csv or json" "$LEYDEN" eval -m "$model" --task piqa --format xml
expect 2 "text needs" "$LEYDEN" eval -m "$model" --task piqa,text
expect 2 "1 or more windows for --plot" "$LEYDEN" eval -m "$model" --task wikitext --plot x.svg
expect 2 "needs the task text or wikitext" "$LEYDEN" eval -m "$model" --hw paper --task piqa --divergence 1
echo "my diary" >diary.json.part
expect 2 "is no journal" "$LEYDEN" eval -m "$model" --hw digital --task piqa -o diary.json
(
    unset LEYDEN_DATA
    expect 2 "name their folder by --data" "$LEYDEN" eval -m "$model" --task piqa
    exit $failures
) || failures=$((failures + 1))
finish
