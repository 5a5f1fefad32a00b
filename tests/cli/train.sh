# train.sh - leyden train: a new model, going on after kill -9, Ctrl-C and a full disk; on a chip
. "$SOURCE/tests/cli/lib.sh.inc"
ln -s "$SOURCE/tests/golden/tokenizer/tiny_bpe" tokenizer
cat >config.json <<'END'
{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu",
 "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
 "num_key_value_heads": 2, "vocab_size": 400, "max_position_embeddings": 64,
 "rms_norm_eps": 1e-5, "rope_theta": 10000, "tie_word_embeddings": true}
END
i=0
while [ $i -lt 200 ]; do
    echo "the fox number $i runs over the lazy dog and the dog sleeps"
    i=$((i + 1))
done >text.txt

# 24 steps of 2 passes; a variable and no function, so that $! is the program
options="--config config.json --tokenizer tokenizer --data text.txt --tokens 6144 --ctx 16 --batch 16
    --pass 8 --lr 1e-2 --validate 8 --dtype f32 --type f32 --checkpoint 0"
train() { # train OUT OPTION...
    out=$1
    shift
    "$LEYDEN" train -o "$out" $options "$@"
}
same() { # same DESCRIPTION FILE FILE
    cmp -s "$2" "$3" || { echo "FAILED: $1"; failures=$((failures + 1)); }
}
loss() { sed -n 's/.*"step":'"$2"',.*"kind":"validation".*"loss":\([0-9.]*\).*/\1/p' "$1"; }

check "a new model" train whole.gguf --log whole.jsonl
grep -q "peak .* MB of memory" stdout.txt || { echo "FAILED: no peak memory"; failures=$((failures + 1)); }
check "it is a model" "$LEYDEN" info whole.gguf
[ "$(grep -c '"kind":"train"' whole.jsonl)" = 24 ] || { echo "FAILED: 24 lines of steps"; failures=$((failures + 1)); }
awk -v a="$(loss whole.jsonl 0)" -v b="$(loss whole.jsonl 24)" 'BEGIN {exit !(b < a - 1)}' ||
    { echo "FAILED: it learned nothing: $(loss whole.jsonl 0) $(loss whole.jsonl 24)"; failures=$((failures + 1)); }
check "no checkpoint is left" sh -c '! ls whole.gguf.*'
check "it runs" "$LEYDEN" run -m whole.gguf --hw digital -p "the fox" -n 4 --temp 0

# killed again and again, mostly while it writes a checkpoint (one after every step)
resume=
tries=0
while :; do
    "$LEYDEN" train -o killed.gguf $options --log killed.jsonl $resume >stdout.txt 2>stderr.txt &
    job=$!
    sleep "0.0$((tries * 7 % 9 + 1))"
    kill -9 $job 2>/dev/null
    wait $job 2>/dev/null && break # it was through before
    resume=--resume
    tries=$((tries + 1))
    [ $tries -lt 12 ] || { train killed.gguf --log killed.jsonl --resume >stdout.txt 2>stderr.txt; break; }
done
[ $tries -ge 3 ] || echo "note: killed only $tries times"
same "kill -9 ($tries times) changed the result" whole.gguf killed.gguf
head -n 1 whole.jsonl | grep -q '^{"kind":"start","leyden":"[^"]*","command":"leyden train .*"hw":"digital","seed":' ||
    { echo "FAILED: the log does not say what it is of"; failures=$((failures + 1)); }
[ "$(grep -c '"kind":"start"' killed.jsonl)" = 1 ] || { echo "FAILED: more than one beginning"; failures=$((failures + 1)); }
tail -n +2 whole.jsonl | cut -d, -f1-8 | sed 's/,"seconds.*//' >a.txt
tail -n +2 killed.jsonl | cut -d, -f1-8 | sed 's/,"seconds.*//' >b.txt
same "the logs tell other steps" a.txt b.txt

# a checkpoint by Ctrl-C, then a disk that is full
"$LEYDEN" train -o stopped.gguf $options >stdout.txt 2>stderr.txt &
job=$!
while [ ! -e stopped.gguf.train.ckpt ] && kill -0 $job 2>/dev/null; do :; done
kill -TERM $job
wait $job
code=$?
[ $code = 130 ] || [ $code = 0 ] || { echo "FAILED: Ctrl-C gives exit code $code"; failures=$((failures + 1)); }
if [ $code = 130 ]; then
    expect 2 "is there from a run that stopped" train stopped.gguf
    (
        trap '' XFSZ
        ulimit -f 8
        train stopped.gguf --resume >stdout.txt 2>stderr.txt
        [ $? = 2 ] && grep -q "the checkpoint before it is untouched" stderr.txt
    ) || { echo "FAILED: a full disk: $(cat stderr.txt)"; failures=$((failures + 1)); }
    check "resume after a full disk" train stopped.gguf --resume
fi
same "Ctrl-C and a full disk changed the result" whole.gguf stopped.gguf

# on a chip, from a model; text as lines of JSON; the same bits on one thread
echo '{"text": "the fox runs over the lazy dog again and again and the dog sleeps on"}' >line
for i in 1 2 3 4 5 6 7 8 9 10; do cat line; done >text.jsonl
chip() {
    "$LEYDEN" train -m whole.gguf --hw paper --set array.window=16 --data text.jsonl -o "$@" \
        --tokens 512 --ctx 16 --batch 4 --held-out 0 --dtype f32
}
check "on a chip" chip chip.gguf
check "on one thread" chip one.gguf -t 1
same "threads change what is learned" chip.gguf one.gguf
check "scalers are kept" sh -c '"$LEYDEN" info chip.gguf | grep -q adapted'
check "it runs on the chip" "$LEYDEN" run -m chip.gguf --hw paper --set array.window=16 -p "the" -n 4

# without a tokenizer a vocabulary is learned, which is that of leyden vocab
check "its own vocabulary" "$LEYDEN" train --config config.json --data text.txt -o own.gguf --tokens 512 --ctx 16
check "the same vocabulary" "$LEYDEN" vocab --data text.txt --size 400 -o own.json
same "train learns another vocabulary than vocab" own.json own.gguf.tokenizer.json
check "it is in the model" "$LEYDEN" tokenize -m own.gguf -p "the fox number 7" --ids
mv stdout.txt ids.txt
check "it is a tokenizer" "$LEYDEN" tokenize -m own.json -p "the fox number 7" --ids
same "the model's tokenizer is another one" ids.txt stdout.txt

# a rate that breaks it: a loss that is no number stops the run
expect_number() {
    train broken.gguf --lr 1e30 --clip 0 >stdout.txt 2>stderr.txt
    [ $? = 1 ] && grep -q "is not a number" stderr.txt && [ ! -e broken.gguf ]
}
expect_number || { echo "FAILED: a broken run: $(tail -1 stderr.txt)"; failures=$((failures + 1)); }

expect 2 "-o OUT is missing" "$LEYDEN" train -m whole.gguf --data text.txt
expect 2 "--data is missing" "$LEYDEN" train -m whole.gguf -o x.gguf
expect 2 "give -m MODEL" "$LEYDEN" train --data text.txt -o x.gguf
expect 2 "--config is missing" "$LEYDEN" train -m whole.gguf --tokenizer tokenizer --data text.txt -o x.gguf
sed 's/400/200/' config.json >small.json
expect 2 "257 to" "$LEYDEN" train --config small.json --data text.txt -o x.gguf
expect 2 "--ctx is 1, must be 2.." "$LEYDEN" train -m whole.gguf --data text.txt -o x.gguf --ctx 1
expect 2 "make no window of 4096" "$LEYDEN" train -m whole.gguf --data text.jsonl -o x.gguf --ctx 4096
expect 2 "cannot open none.txt" "$LEYDEN" train -m whole.gguf --data none.txt -o x.gguf
expect 2 "--type is 'q4', must be" "$LEYDEN" train -m whole.gguf --data text.txt -o x.gguf --type q4
sed 's/400/300/' config.json >small.json
expect 2 "vocab_size is 300, the tokenizer has 400" "$LEYDEN" train --config small.json \
    --tokenizer tokenizer --data text.txt -o x.gguf
finish
