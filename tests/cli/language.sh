# language.sh - run, chat, perplexity, calibrate on a model of 9,696 random weights; mistakes
. "$SOURCE/tests/cli/lib.sh.inc"
model=$SOURCE/tests/fuzz/corpus/gguf/llama_q4_0
opts="--set array.window=16"

same() { # same DESCRIPTION FILE FILE
    cmp -s "$2" "$3" || { echo "FAILED: $1"; failures=$((failures + 1)); }
}

# deterministic: the same seed, any number of threads, parallel or not
say() { "$LEYDEN" run -m "$model" -p hell -n 8 --dtype f32 "$@" 2>account.txt; }
say --hw digital --seed 3 >a.txt
say --hw digital --seed 3 -t 1 >b.txt
say --hw digital --seed 4 >c.txt
same "threads change the text" a.txt b.txt
cmp -s a.txt c.txt && { echo "FAILED: the seed changes nothing"; failures=$((failures + 1)); }
check "the account tells rates" grep -q "tokens/s" account.txt

check "calibrate" "$LEYDEN" calibrate -m "$model" -o cal.gguf --hw paper $opts
check "scalers are in the file" sh -c '"$LEYDEN" info cal.gguf | grep -q calibrated'
check "no temporary file" test -z "$(find . -name '*.tmp-*')"
check "analog run" "$LEYDEN" run -m cal.gguf -p hell -n 8 --temp 0 $opts --trace trace --trace-heads 0,3
cp stdout.txt first.txt
check "analog run again" "$LEYDEN" run -m cal.gguf -p hell -n 8 --temp 0 $opts -t 1
same "analog text depends on threads" first.txt stdout.txt
for file in S phi A q_code out_code; do
    check "trace of $file" test -s "trace/layer00_$file.npy"
done
shape_of() { # shape_of FILE: the shape in its header
    head -c 128 "$1" | tr -cd '[:print:]' | sed -n "s/.*'shape': (\([^)]*\)).*/\1/p"
}
case "$(shape_of trace/layer00_A.npy)" in
"2, 1, "*", 8") ;;
*) echo "FAILED: A is not (heads, tiles, T, D): $(shape_of trace/layer00_A.npy)"; failures=$((failures + 1)) ;;
esac
check "json" "$LEYDEN" run -m cal.gguf -p hell -n 4 --temp 0 $opts --json
grep -q '"attention_per_token_s"' stdout.txt || { echo "FAILED: json lacks the chip"; failures=$((failures + 1)); }

# scalers made for another chip are used, and told
check "same chip" "$LEYDEN" run -m cal.gguf -p hell -n 2 --temp 0 $opts
grep -q "another hardware" stderr.txt && { echo "FAILED: the same hardware is called another"; failures=$((failures + 1)); }
check "other chip" "$LEYDEN" run -m cal.gguf -p hell -n 2 --temp 0 --hw cmos $opts
grep -q "another hardware (cell.law was cubic, is table)" stderr.txt || { echo "FAILED: silent about another hardware"; failures=$((failures + 1)); }

# a file without scalers calibrates itself, says so, and gives the same text
check "run calibrates" "$LEYDEN" run -m "$model" -p hell -n 8 --temp 0 $opts
grep -q "holds no scalers" stderr.txt || { echo "FAILED: silent about scalers"; failures=$((failures + 1)); }
same "scalers from the file differ from fresh ones" first.txt stdout.txt

printf 'hello hello hello hello hello hello hello hello hello hello' >text.txt
check "perplexity" "$LEYDEN" perplexity -m cal.gguf -f text.txt --ctx 8 $opts --json
grep -q '"perplexity":' stdout.txt || { echo "FAILED: no perplexity"; failures=$((failures + 1)); }
check "digital perplexity" "$LEYDEN" perplexity -m cal.gguf -f text.txt --ctx 8 --hw digital
check "tokenize" "$LEYDEN" tokenize -m "$model" -p hello --ids
check "convert" "$LEYDEN" convert "$model" -o copy.gguf --type f32
"$LEYDEN" run -m copy.gguf -p hell -n 8 --dtype f32 --hw digital --seed 3 >d.txt 2>account.txt
same "a float32 copy says something else" a.txt d.txt

expect 2 "-m MODEL is missing" "$LEYDEN" run -p x --adapter a.gguf
expect 2 "no such file" "$LEYDEN" run -m no.gguf -p x
expect 2 "give the prompt by" "$LEYDEN" run -m "$model" --hw digital
expect 2 "the prompt is empty" "$LEYDEN" run -m "$model" -p "" --no-special --hw digital
expect 2 "unknown hardware 'papr'" "$LEYDEN" run -m "$model" -p x --hw papr
expect 2 "--dtype is 'f64'" "$LEYDEN" run -m "$model" -p x --dtype f64
expect 2 "digital attention has no hardware" "$LEYDEN" run -m "$model" -p x --hw digital --set cell.tau_s=1
expect 2 "digital attention has none" "$LEYDEN" run -m "$model" -p x --hw digital --trace t
expect 2 "--trace-layers is '7'" "$LEYDEN" run -m cal.gguf -p x $opts --trace t --trace-layers 7
expect 2 "less than one window" "$LEYDEN" perplexity -m "$model" -f text.txt --hw digital
expect 2 "-o OUT.gguf is missing" "$LEYDEN" calibrate -m "$model"
expect 2 "cannot write no/such.gguf" "$LEYDEN" calibrate -m "$model" $opts -o no/such.gguf
expect 2 "chat template" "$LEYDEN" chat -m "$model" --hw digital
head -c 3000 "$model" >cut.gguf
expect 2 "lie outside the file" "$LEYDEN" run -m cut.gguf -p x --hw digital
echo hello >text.gguf
expect 2 "is no GGUF file" "$LEYDEN" info text.gguf
finish
