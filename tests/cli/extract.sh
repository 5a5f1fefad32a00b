# extract.sh - leyden extract: adapters and models out of what a whole model has learned, mistakes
. "$SOURCE/tests/cli/lib.sh.inc"
model=$SOURCE/tests/fuzz/corpus/gguf/llama_q4_0
chip="--hw paper --set array.window=16"
write_text
for what in matrices all; do
    check "adapt --train $what" "$LEYDEN" adapt -m "$model" -o $what.gguf $chip --data text.txt --tokens 2048 --ctx 16 \
        --batch 8 --lr 1e-3 --dtype f32 --type f32 --validate 0 --held-out 0.1 --checkpoint 0 --method distil --train $what
done
nll() { # nll MODEL OPTION...: of the text on the chip
    m=$1
    shift
    "$LEYDEN" perplexity -m "$m" $chip -f text.txt --ctx 16 --dtype f32 --json "$@" 2>stderr.txt |
        sed -n 's/.*"nll":[^0-9]*\([0-9.]*\).*/\1/p'
}
near() { # near DESCRIPTION A B: to four digits
    awk -v a="$2" -v b="$3" 'BEGIN {d = a - b; exit !(a > 0 && d * d < 1e-8 * a * a)}' ||
        { echo "FAILED: $1: $2 and $3"; failures=$((failures + 1)); }
}
said() { # said PATTERN
    grep -q "$1" stdout.txt || { echo "FAILED: no '$1' in: $(cat stdout.txt)"; failures=$((failures + 1)); }
}

# all ranks there are: what was learned, with its scalers and hardware
check "extract" "$LEYDEN" extract matrices.gguf -m "$model" -o a.gguf --rank 32 --type f32
said "7 matrices changed, rank 32 keeps 100.00 %"
grep -q "left behind" stdout.txt && { echo "FAILED: a matrix of no layer has changed"; failures=$((failures + 1)); }
near "an adapter of all ranks is not the model" "$(nll matrices.gguf)" "$(nll "$model" --adapter a.gguf)"
check "info" "$LEYDEN" info a.gguf
said "rank         32, alpha 32, F32"
said "scalers      adapted"
said "hardware     stored"

# fewer
check "extract of rank 1" "$LEYDEN" extract matrices.gguf -m "$model" -o one.gguf --rank 1
said "rank 1 keeps [1-9][0-9]\.[0-9]* %"
[ "$(nll "$model" --adapter one.gguf)" != "$(nll "$model" --adapter a.gguf)" ] || { echo "FAILED: --rank does nothing"; failures=$((failures + 1)); }
check "extract in bytes" "$LEYDEN" extract matrices.gguf -m "$model" -o q.gguf --rank 32 --type q8_0
check "info of bytes" "$LEYDEN" info q.gguf
said "alpha 32, Q8_0"
check "extract on one thread" env OMP_NUM_THREADS=1 "$LEYDEN" extract matrices.gguf -m "$model" -o q1.gguf --rank 32 --type q8_0
cmp -s q.gguf q1.gguf || { echo "FAILED: threads change the adapter"; failures=$((failures + 1)); }

# norms and embeddings stay behind, and are spoken of
check "extract of all" "$LEYDEN" extract all.gguf -m "$model" -o c.gguf
said "left behind: embeddings and norms, changed by"

# a whole model: of one whose matrices alone have changed, itself
check "merge" "$LEYDEN" extract matrices.gguf -m "$model" -o m.gguf --merge --type f32
cmp -s matrices.gguf m.gguf || { echo "FAILED: --merge is another model"; failures=$((failures + 1)); }
check "merge of all" "$LEYDEN" extract all.gguf -m "$model" -o m.gguf --merge --type f32
for m in matrices all m; do
    tail -c 128 $m.gguf >$m.norm # the last tensor: 32 scales of the last norm, float32
done
cmp -s m.norm matrices.norm || { echo "FAILED: --merge takes norms"; failures=$((failures + 1)); }
cmp -s all.norm matrices.norm && { echo "FAILED: --train all changes no norm"; failures=$((failures + 1)); }
# nothing learned: an adapter that changes nothing
check "the model itself" "$LEYDEN" extract "$model" -m "$model" -o none.gguf
said "0 matrices changed"

expect 2 "give TRAINED" "$LEYDEN" extract -m "$model" -o x.gguf
expect 2 "rank of 1 to 4096" "$LEYDEN" extract matrices.gguf -m "$model" -o x.gguf --rank 0
expect 2 "must be multiples of 32" "$LEYDEN" extract matrices.gguf -m "$model" -o x.gguf --rank 8 --type q8_0
expect 2 "'q4_0', must be f32" "$LEYDEN" extract matrices.gguf -m "$model" -o x.gguf --type q4_0
expect 2 "must be of one shape" "$LEYDEN" extract "$SOURCE/models/leyden-small.gguf" -m "$model" -o x.gguf
expect 2 "absent.gguf" "$LEYDEN" extract absent.gguf -m "$model" -o x.gguf
[ ! -e x.gguf ] || { echo "FAILED: a mistake leaves a file"; failures=$((failures + 1)); }
finish
