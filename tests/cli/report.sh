# report.sh - leyden report on results that the commands make themselves; mistakes write nothing
. "$SOURCE/tests/cli/lib.sh.inc"
model=$SOURCE/tests/fuzz/corpus/gguf/llama_q4_0
opts="--set array.window=16 --set array.columns=8"

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

mkdir results
printf 'hello hello hello hello hello hello hello hello hello hello' >text.txt
make() { # make FILE COMMAND...: a result
    file=$1
    shift
    "$LEYDEN" "$@" --json >"$file" 2>messages.txt || fail "leyden $* ($(cat messages.txt))"
}
make results/cell.json cell $opts
make results/cost.json cost -m "$model" $opts --no-measure
make results/bench.json bench attention --shape head --tokens 16 --runs 1 $opts
make results/digital.json perplexity -m "$model" -f text.txt --ctx 8 --hw digital
make results/mapped.json perplexity -m "$model" -f text.txt --ctx 8 $opts
make results/eval.json eval -m "$model" --dtype f32 --task text -f text.txt --ctx 8 --hw digital,paper $opts --divergence 2
make results/run.json run -m "$model" -p "it's hell" -n 20 --temp 0 $opts --trace results/trace
printf '{"kind":"start","leyden":"0.1.0","command":"leyden adapt -m x.gguf","model_name":"A <model>","hw":"paper","seed":7,"options":{"data":"self","tokens":32,"ctx":8,"batch":1,"lr":0}}
{"step":1,"stage":"transfer","kind":"train","tokens":8,"loss":3,"seconds":1}
{"step":2,"stage":"transfer","kind":"train","tokens":16,"loss":2,"seconds":2}
{"step":1,"stage":"distil","kind":"train","tokens":8,"loss":7,"nll":6,"seconds":1}
{"step":2,"stage":"distil","kind":"train","tokens":16,"loss":5,"nll":6,"seconds":2}
' >results/log.jsonl

# what results say of themselves
grep -q "\"command\":.*leyden run -m .* -p 'it'.*''s hell'" results/run.json || fail "no command line in the result"
grep -q '"trace_folder":.*results/trace' results/run.json || fail "the run does not name its trace"
grep -q '"by_position"' results/mapped.json || fail "no losses by position"
grep -q '"n_layers"' results/digital.json || fail "a digital result has no shape"
grep -q '"by_age"' results/trace/trace.json || fail "no errors by age"
grep -q '"curve"' results/cell.json || fail "no curves of the cell"

if command -v gnuplot >/dev/null; then
    check "report of a folder" "$LEYDEN" report results -o report.html
    for section in quality tasks training cell timing cost rivals signals events samples speed sources; do
        grep -q "id=\"$section\"" report.html || fail "no section $section"
    done
    if command -v xmllint >/dev/null; then
        check "well-formed" xmllint --noout report.html
    fi
    grep -nE 'https?://|src=|@import|href="[^#]' report.html && fail "the page refers to something outside"
    [ "$(wc -c <report.html)" -lt 600000 ] || fail "the page is larger than 600 kB"
    grep -o 'id="[^"]*"' report.html | sort | uniq -d | grep . && fail "ids twice"
    check "the same again" "$LEYDEN" report results -o again.html
    cmp -s report.html again.html || fail "the same results give another page"
    grep -q "What was trained" report.html && grep -q "A &lt;model&gt;" report.html || fail "a log does not say what it is of"
    grep -q "energy by layer and head" report.html || fail "no energies of heads"
    check "a run brings its trace" "$LEYDEN" report results/run.json -o run.html
    grep -q 'id="signals"' run.html || fail "the trace of a run is not found"
    check "one file" "$LEYDEN" report results/digital.json -o one.html --title "one & only"
    grep -q '<h1>one &amp; only</h1>' one.html || fail "no title"
else
    echo "SKIPPED: pages, as gnuplot is not installed"
fi

# mistakes
mkdir empty
expect 2 "-o REPORT.html is missing" "$LEYDEN" report results
expect 2 "name a folder or files" "$LEYDEN" report -o x.html
expect 2 "the folder empty holds no .json" "$LEYDEN" report empty -o x.html
expect 2 "cannot open no.json" "$LEYDEN" report no.json -o x.html
echo '{"a": 1}' >odd.json
expect 2 "odd.json is JSON, but not of a command" "$LEYDEN" report results odd.json -o x.html
expect 2 "text.txt is no" "$LEYDEN" report text.txt -o x.html
make linear.json perplexity -m "$model" -f text.txt --ctx 8 --hw paper-linear $opts
expect 2 "of another chip" "$LEYDEN" report results linear.json -o x.html
make gpt2.json cost --shape gpt2 $opts --no-measure
expect 2 "of another model" "$LEYDEN" report results gpt2.json -o x.html
printf 'hell hell hell hell hell hell hell hell hell hell hell hell' >other.txt
make other.json perplexity -m "$model" -f other.txt --ctx 8 --hw digital
expect 2 "of another text" "$LEYDEN" report results other.json -o x.html
expect 2 "cannot write no/x.html" "$LEYDEN" report results/bench.json -o no/x.html
expect 1 "install the package gnuplot" env PATH=/nonexistent "$LEYDEN" report results -o x.html
[ ! -e x.html ] || fail "a failed report left a page"
check "no temporary file" test -z "$(find . -name '*.tmp-*')"
finish
