# adapt.sh - leyden adapt: adapters and merged models, methods, going on, mistakes
. "$SOURCE/tests/cli/lib.sh.inc"
model=$SOURCE/tests/fuzz/corpus/gguf/llama_q4_0
other=$SOURCE/tests/fuzz/corpus/gguf/gpt2_q8_0
chip="--hw paper --set array.window=16"
write_text

# a variable and no function, so that $! is the program
options="$chip --data text.txt --tokens 2048 --ctx 16 --batch 8 --rank 2 --lr 1e-3 --dtype f32
    --validate 0 --held-out 0.1 --checkpoint 0"
adapt() { # adapt OUT OPTION...
    out=$1
    shift
    "$LEYDEN" adapt -m "$model" -o "$out" $options "$@"
}
same() { # same DESCRIPTION FILE FILE
    cmp -s "$2" "$3" || { echo "FAILED: $1"; failures=$((failures + 1)); }
}
nll() { # nll MODEL OPTION...: of the text on the chip
    m=$1
    shift
    "$LEYDEN" perplexity -m "$m" $chip -f text.txt --ctx 16 --dtype f32 --json "$@" 2>stderr.txt |
        sed -n 's/.*"nll":[^0-9]*\([0-9.]*\).*/\1/p'
}

check "adapt" adapt a.gguf --type f32 --log log.jsonl
cp stdout.txt said.txt
grep -q "^transfer .*validation loss" said.txt || { echo "FAILED: no transfer: $(cat said.txt)"; failures=$((failures + 1)); }
grep -q "^distil .*validation loss" said.txt || { echo "FAILED: no distil: $(cat said.txt)"; failures=$((failures + 1)); }
awk '/^transfer/ {n = split($0, w, " "); exit !(w[n] < w[n - 2])}' said.txt ||
    { echo "FAILED: transfer learned nothing: $(cat said.txt)"; failures=$((failures + 1)); }
check "nothing is left" sh -c '! ls a.gguf.*'

# applied at load, or merged: the same numbers
check "merge by convert" "$LEYDEN" convert "$model" --adapter a.gguf -o m.gguf --type f32
check "merge by adapt" adapt merged.gguf --merge --type f32
same "two ways to merge differ" m.gguf merged.gguf
[ "$(nll "$model" --adapter a.gguf)" = "$(nll m.gguf)" ] || { echo "FAILED: merged is not applied"; failures=$((failures + 1)); }
[ "$(nll "$model" --adapter a.gguf)" != "$(nll "$model")" ] || { echo "FAILED: the adapter does nothing"; failures=$((failures + 1)); }
check "info of an adapter" "$LEYDEN" info a.gguf
for line in "rank         2, alpha 4, F32" "scalers      adapted" "hardware     stored" "matrices in [1-9][0-9]* layers: attn_k"; do
    grep -q "$line" stdout.txt || { echo "FAILED: no '$line' in: $(cat stdout.txt)"; failures=$((failures + 1)); }
done
check "info of an adapter, for machines" sh -c '"$LEYDEN" info --json a.gguf | grep -q "\"kind\":.*\"adapter\""'
check "run with an adapter" "$LEYDEN" run -m "$model" --adapter a.gguf $chip -p hell -n 4 --temp 0
grep -q "scalers    adapted" stderr.txt || { echo "FAILED: scalers are not the adapter's"; failures=$((failures + 1)); }
grep -q "another hardware" stderr.txt && { echo "FAILED: the same hardware is called another"; failures=$((failures + 1)); }

# stopped and gone on, in either stage
"$LEYDEN" adapt -m "$model" -o b.gguf $options --type f32 >stdout.txt 2>stderr.txt &
job=$!
while [ ! -e b.gguf.transfer.ckpt ] && kill -0 $job 2>/dev/null; do :; done
kill -9 $job 2>/dev/null
wait $job 2>/dev/null
check "resume in the first stage" adapt b.gguf --type f32 --resume
same "going on in the first stage changed the result" a.gguf b.gguf
"$LEYDEN" adapt -m "$model" -o c.gguf $options --type f32 >stdout.txt 2>stderr.txt &
job=$!
while [ ! -e c.gguf.distil.ckpt ] && kill -0 $job 2>/dev/null; do :; done
kill -9 $job 2>/dev/null
wait $job 2>/dev/null
check "resume in the second stage" adapt c.gguf --type f32 --resume
same "going on in the second stage changed the result" a.gguf c.gguf

# what learns
check "scalers only" adapt s.gguf --train scalers --method distil
check "scalers only run" "$LEYDEN" run -m "$model" --adapter s.gguf $chip -p hell -n 4 --temp 0
check "all weights" adapt all.gguf --train all --method transfer,distil
check "a whole model" "$LEYDEN" info all.gguf
check "matrices of the layers" adapt matrices.gguf --train matrices --method transfer,distil
check "a whole model too" "$LEYDEN" convert "$model" -o before.gguf
for m in before matrices all; do
    tail -c 128 $m.gguf >$m.norm # the last tensor: 32 scales of the last norm, float32
done
same "--train matrices changes a norm" before.norm matrices.norm
cmp -s before.norm all.norm && { echo "FAILED: --train all changes no norm"; failures=$((failures + 1)); }
cmp -s before.gguf matrices.gguf && { echo "FAILED: --train matrices does nothing"; failures=$((failures + 1)); }
check "short contexts too" adapt p.gguf --parts 4 --pass 2
cmp -s p.gguf a.gguf && { echo "FAILED: --parts does nothing"; failures=$((failures + 1)); }
expect 2 "does not divide --ctx 16" adapt x.gguf --parts 3
check "gradients of the cells' law" adapt g.gguf --gradient law
cmp -s g.gguf a.gguf && { echo "FAILED: --gradient does nothing"; failures=$((failures + 1)); }
expect 2 "--gradient is 'cubic'" adapt x.gguf --gradient cubic
check "mean of weights" adapt e.gguf --average 0.9
cmp -s e.gguf a.gguf && { echo "FAILED: --average does nothing"; failures=$((failures + 1)); }
expect 2 "--average is 1" adapt x.gguf --average 1
check "hidden states too" adapt h.gguf --method distil --hidden 1 --log h.jsonl
grep -q '"hidden":[0-9]' h.jsonl || { echo "FAILED: no hidden states in the log"; failures=$((failures + 1)); }
check "rare tokens said again" adapt r.gguf --method distil --echo 4
expect 2 "--echo must be above 0" adapt x.gguf --echo 0
expect 2 "--echo must be above 0, and needs --method distil" adapt x.gguf --method transfer --echo 4
# another teacher: any model of the same vocabulary
check "itself as a teacher" adapt t.gguf --type f32 --teacher "$model"
same "the model as --teacher gives another adapter" a.gguf t.gguf
check "another teacher" adapt t2.gguf --type f32 --teacher all.gguf --data self --cache t2.tokens
cmp -s t2.gguf a.gguf && { echo "FAILED: --teacher does nothing"; failures=$((failures + 1)); }
expect 2 "must be the same" adapt x.gguf --teacher "$SOURCE/models/leyden-small.gguf"
cat >deep.json <<'END'
{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu",
 "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
 "num_key_value_heads": 2, "vocab_size": 12, "max_position_embeddings": 16, "rms_norm_eps": 1e-5,
 "rope_theta": 10000, "tie_word_embeddings": true}
END
check "a deeper model" "$LEYDEN" train --config deep.json --tokenizer "$model" --data text.txt -o deep.gguf \
    --tokens 64 --ctx 16 --batch 2 --pass 2 --dtype f32
check "a deeper teacher" adapt t4.gguf --teacher deep.gguf --method distil
expect 2 "has 2 layers of width 32, the model 1 of 32" adapt x.gguf --teacher deep.gguf
expect 2 "without --hidden" adapt x.gguf --teacher deep.gguf --method distil --hidden 1
expect 2 "nothing to teach" adapt x.gguf --teacher deep.gguf --method distil --kl 0 --ce 1
"$LEYDEN" adapt -m "$model" -o t3.gguf $options --teacher all.gguf >stdout.txt 2>stderr.txt &
job=$!
while [ ! -e t3.gguf.transfer.ckpt ] && kill -0 $job 2>/dev/null; do :; done
kill -9 $job 2>/dev/null
wait $job 2>/dev/null
expect 2 "another teacher" adapt t3.gguf --resume
check "feed-forward too" adapt f.gguf --lora all --method distil --ce 0.5
check "from another adapter" adapt a2.gguf --adapter a.gguf --method distil
check "with more rank" adapt a3.gguf --adapter a.gguf --method distil --rank 3
expect 2 "must be as large" adapt x.gguf --adapter a.gguf --rank 1

# data of its own, kept and used again
check "data self" adapt self.gguf --data self --cache self.tokens
stat -c '%i %y' self.tokens >before.txt
check "data self again" adapt self2.gguf --data self --cache self.tokens
stat -c '%i %y' self.tokens >after.txt
same "sampled text was made again" before.txt after.txt
same "the same text gives another adapter" self.gguf self2.gguf

# outputs over what scores sum up to: kept by the adapter, and not to be matched
check "normalised outputs" adapt n.gguf --outputs normalised --type f32
check "run with normalised outputs" "$LEYDEN" run -m "$model" --adapter n.gguf $chip -p hell -n 4 --temp 0
check "merge normalised outputs" "$LEYDEN" convert "$model" --adapter n.gguf -o n_merged.gguf --type f32
[ "$(nll "$model" --adapter n.gguf)" = "$(nll n_merged.gguf)" ] || { echo "FAILED: sizes of outputs are lost"; failures=$((failures + 1)); }
[ "$(nll n_merged.gguf)" != "$(nll m.gguf)" ] || { echo "FAILED: --outputs does nothing"; failures=$((failures + 1)); }
expect 2 "has scalers for plain outputs already" adapt x.gguf --adapter a.gguf --outputs normalised
expect 2 "match is for plain outputs" adapt x.gguf --adapter n.gguf --method match
expect 2 "outputs is 'wide', must be plain or normalised" adapt x.gguf --outputs wide

# from the linear chip by matching
"$LEYDEN" adapt -m "$model" --hw paper-linear --set array.window=16 --data text.txt -o lin.gguf \
    --tokens 512 --ctx 16 --batch 8 --rank 2 --dtype f32 >stdout.txt 2>stderr.txt
check "match" adapt match.gguf --adapter lin.gguf --method match
grep -q "^match .*iterations" stdout.txt || { echo "FAILED: no match: $(cat stdout.txt)"; failures=$((failures + 1)); }
check "run matched" "$LEYDEN" run -m "$model" --adapter match.gguf $chip -p hell -n 4 --temp 0
grep -q "scalers    matched" stderr.txt || { echo "FAILED: scalers are not called matched"; failures=$((failures + 1)); }
expect 2 "needs a model with scalers of another chip" adapt x.gguf --method match

expect 2 "made for another model" "$LEYDEN" run -m "$other" --adapter a.gguf $chip -p hell
expect 2 "is an adapter: give it by --adapter" "$LEYDEN" run -m a.gguf -p hell
expect 2 "is no adapter" "$LEYDEN" run -m "$model" --adapter m.gguf $chip -p hell
expect 2 "cannot open" "$LEYDEN" run -m "$model" --adapter none.gguf $chip -p hell
expect 2 "unknown --method 'distill'" adapt x.gguf --method distill
expect 2 "--train is 'some'" adapt x.gguf --train some
expect 2 "unknown matrix 'z'" adapt x.gguf --lora q,z
expect 2 "nothing to adapt to" "$LEYDEN" adapt -m "$model" --hw digital --data text.txt -o x.gguf
expect 2 "-m MODEL is missing" "$LEYDEN" adapt --data text.txt -o x.gguf
expect 2 "--rank must be" adapt x.gguf --rank 0
expect 2 "not both 0" adapt x.gguf --kl 0
expect 2 "--hidden must be 0 or more" adapt x.gguf --hidden -1
[ ! -e x.gguf ] || { echo "FAILED: a mistake wrote a file"; failures=$((failures + 1)); }
finish
