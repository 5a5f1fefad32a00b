# cost.sh - leyden cost: the published numbers, explanations, events of a run, mistakes
. "$SOURCE/tests/cli/lib.sh.inc"
cost() { "$LEYDEN" cost --no-measure "$@"; }

says() { # says PATTERN COMMAND...: the command succeeds and its stdout contains the pattern
    pattern=$1
    shift
    check "$*" "$@"
    grep -qF -- "$pattern" stdout.txt || { echo "FAILED: '$pattern' not in: $*"; failures=$((failures + 1)); }
}

# near KEY WANT PART: the number of a key in figures.csv, within a part of its size
near() {
    awk -F, -v key="$1" -v want="$2" -v part="$3" '$1 == key {
        d = $2 / want - 1; ok = d <= part && d >= -part; found = 1
        if (!ok) print key " is " $2 ", want " want }
        END { exit !(found && ok) }' figures.csv || { echo "FAILED: $1"; failures=$((failures + 1)); }
}

# S3.3 to S3.6 on the reference workload
cost --hw paper --shape gpt2 --csv >figures.csv
near latency_per_layer_s 65e-9 1e-9
near energy.qk 1120e-12 1e-9
near energy.av 700e-12 1e-9
near energy.digital 4000e-12 1e-9
near energy.dac 330e-12 1e-9
near energy_per_head_j 6150e-12 1e-9
near energy_per_layer_j 73.8e-9 1e-9
near area_per_head_m2 0.5e-6 1e-9
near measured.h100.latency_gain 100 0.01
near measured.h100.energy_gain 70000 0.01
near measured.rtx_4090.latency_gain 344.15 0.01
near measured.rtx_4090.energy_gain 97263 0.01
near measured.jetson_nano.latency_gain 7521.5 0.01
near measured.jetson_nano.energy_gain 43984 0.01
near roofline.rtx_4090.fp16.latency_gain 48 0.01
near roofline.h100.fp16.latency_gain 14.45 0.01

# every number has an explanation that begins with it, and shows formula and source
cut -d, -f1 figures.csv | sed 1d >keys.txt
test "$(wc -l <keys.txt)" -gt 250 || { echo "FAILED: few figures"; failures=$((failures + 1)); }
for key in $(awk 'NR % 9 == 1' keys.txt) energy_per_token_j gain.token_energy; do
    says "$key = " "$LEYDEN" cost --no-measure --explain "$key"
done
says "= energy.pulse_dacs + energy.write_dacs + energy.cell_writes" cost --explain energy.dac
says "= 64 * 1.71605e-12" cost --explain energy.dac
says "derived: S3.4 paper, 330 pJ of DACs" cost --explain energy.dac

# for people and for programs
says "measured.cpu" "$LEYDEN" cost --shape 2,4,2,8 --window 64
says "does not hold" cost
says "the window holds" cost --hw osfet --tech osfet-stacked --tech sram
says "no level ever moves" cost --hw ideal
long=$(printf '%0250d' 7)
printf 'area:\n  cell_m2: {value: 2e-12, unit: m2, low: 1e-12, high: 3e-12, source: "%s"}\n' "$long" >long.yaml
says "00000" cost --tech ./long.yaml --explain area.cell_m2
says "whole token: not counted" cost --shape 12,12,12,64
for key in latency_per_layer_s latency_per_token_s energy_per_head_j energy_per_layer_j \
    energy_per_token_j area_per_head_m2 breakdown baselines retention whole_token figures; do
    says "\"$key\":" cost --json
done
says "= 1 s" cost --token-period 1 --explain time.token_period_s
says "refresh.tokens = 100" cost --refresh 100 --explain refresh.tokens
says "given on the command line" cost --set price.control_j=1e-10 --explain energy.control
model=$SOURCE/tests/fuzz/corpus/gguf/llama_q4_0
says "1 layers, 4 query heads on 2 banks, 8 wide" cost -m "$model" --window 16

# a run's own account equals the pricing of its events
opts="--set array.window=16"
"$LEYDEN" run -m "$model" -p hell -n 8 --temp 0 $opts --json >run.json 2>err.txt || { echo "FAILED: run"; cat err.txt; failures=$((failures + 1)); }
cost --events run.json --csv >figures.csv
number() { sed -n '/"cost":/,$p' run.json | grep -m 1 "\"$1\":" | tr -d ' \t,' | cut -d: -f2; }
near energy_per_token_j "$(number energy_per_token_j)" 1e-12
near energy_per_head_j "$(number energy_per_head_j)" 1e-12
near latency_per_token_s "$(number latency_per_token_s)" 1e-12
near energy.qk "$(number qk)" 1e-12
near energy.digital "$(number digital)" 1e-12
says "mean of run.json" cost --events run.json
grep -q '"generated_token_energy"' run.json || { echo "FAILED: no spread"; failures=$((failures + 1)); }
grep -q '"energy_per_head_by_layer_j"' run.json || { echo "FAILED: no layers"; failures=$((failures + 1)); }
"$LEYDEN" run -m "$model" -p hell -n 8 --temp 0 $opts >out.txt 2>err.txt
grep -q "of attention a token; a head" err.txt || { echo "FAILED: run does not say what it costs"; failures=$((failures + 1)); }
printf 'hello hello hello hello hello hello hello hello hello hello' >text.txt
"$LEYDEN" perplexity -m "$model" -f text.txt --ctx 8 $opts --json >ppl.json 2>err.txt
cost --events ppl.json --csv >figures.csv
cp run.json generated.json
cp ppl.json run.json
near energy_per_token_j "$(number energy_per_token_j)" 1e-12

# heads: the mean over them is that of the run, and their energies are found again from the events
near heads.mean_j "$(number mean_j)" 1e-12
near heads.mean_j "$(number energy_per_head_j)" 1e-12
near heads.standard_deviation_j "$(number standard_deviation_j)" 1e-6
near heads.least_j "$(number least_j)" 1e-12
near heads.most_j "$(number most_j)" 1e-12
says "heads of this run" cost --events ppl.json
sed 's/"k_charge_c":[[:space:]]*\[\[/&"x", /' ppl.json >heads.json
expect 2 "heads.json: events_by_head lacks a number of layer 0, head 0" cost --events heads.json
cp generated.json run.json

# a rival that was measured, as bench/cuda prints it
cat >my_gpu.yaml <<'END'
description: a GPU, measured
measured:
  attention_s: {value: 1.3e-6, unit: s, low: 1.2e-6, high: 1.4e-6, source: "me"}
  attention_j: {value: 7.38e-4, unit: J, low: 7.38e-4, high: 7.38e-4, source: "me"}
  heads: {value: 12, unit: 1, low: 12, high: 12, source: "me"}
  kv_heads: {value: 12, unit: 1, low: 12, high: 12, source: "me"}
  width: {value: 64, unit: 1, low: 64, high: 64, source: "me"}
  tokens: {value: 1024, unit: 1, low: 1024, high: 1024, source: "me"}
END
cost --device ./my_gpu.yaml --csv >figures.csv
near measured.my_gpu.latency_gain 20 1e-6
near measured.my_gpu.energy_gain 10000 1e-6
grep -q roofline.my_gpu figures.csv && { echo "FAILED: a roofline without peaks"; failures=$((failures + 1)); }
expect 2 "was measured with 12 heads on 12, 64 wide, 1024 tokens; here are 9 on 3, 64 wide, 1024 tokens" cost --device ./my_gpu.yaml --shape smollm2-135m
expect 2 "there is a device h100 already" cost --device "$SOURCE/config/device/h100.yaml"
expect 2 "no_such.yaml" cost --device ./no_such.yaml

# refresh: tokens far apart spoil a run, rewriting their columns mends it
far="$opts --set time.token_period_s=5e-4"
nll() { "$LEYDEN" perplexity -m "$model" -f text.txt --ctx 20 --json "$@" 2>err.txt | grep -m 1 '"nll"' | tr -d ' \t,' | cut -d: -f2; }
awk -v fresh="$(nll $opts --set cell.leakage=none)" -v old="$(nll $far)" \
    -v mended="$(nll $far --set array.refresh=every --set array.refresh_tokens=1)" 'BEGIN {
    spoilt = old - fresh; rest = mended - fresh
    print "nll " fresh ", leaking " old ", refreshed " mended
    exit !(spoilt * spoilt > 0 && rest * rest * 100 < spoilt * spoilt) }' ||
    { echo "FAILED: refresh mends no run"; failures=$((failures + 1)); }
cost --set array.refresh=error --shape gpt2 --csv >figures.csv
near refresh.tokens 256 1e-12
near events.cells_written 256 1e-12
cost --set array.refresh=every --set array.refresh_tokens=300 --shape gpt2 --csv >figures.csv
near refresh.tokens 300 1e-12
near events.cells_written $((128 + 3 * 128)) 1e-12
expect 2 "a level is lost 860 tokens" cost --set array.refresh=every --set array.refresh_tokens=900

"$LEYDEN" params --technology --markdown >technology.md
check "docs/TECHNOLOGY.md is current" sh -c 'tail -n +8 "$1" | cmp - technology.md' sh "$SOURCE/docs/TECHNOLOGY.md"
says '"key": "digital.mac_j"' "$LEYDEN" params --technology --json

# mistakes
expect 2 "unknown technology 'papper'; known are dense, osfet-stacked, paper, sram" cost --tech papper
expect 2 "cannot open ./no.yaml" cost --tech ./no.yaml
expect 2 "unknown parameter 'cell.law'" cost --tech "$SOURCE/config/hardware/paper.yaml"
printf 'price:\n  control_j: {value: 1e-10, low: 1e-10, high: 1e-10, source: me}\n' >unit.yaml
expect 2 "unit.yaml:2: price.control_j has no unit; it must be J" cost --tech ./unit.yaml
expect 2 "price.control_j is 0, must be 1e-18" cost --set price.control_j=0
expect 2 "price.control_j is -1, must be 1e-18" cost --set price.control_j=-1
expect 2 "the nearest known one is 'price.control_j'" cost --set price.contrl_j=1
expect 2 "the nearest is 'energy.dac'" cost --explain energy.dca
expect 2 "the shape 'gpt5' is not known" cost --shape gpt5
expect 2 "not both" cost --shape gpt2 -m "$model"
expect 2 "no such file" cost -m no.gguf
expect 2 "--refresh is 0" cost --refresh 0
expect 2 "array.window is 0" cost --window 0
expect 2 "must be" cost --token-period -1
expect 2 "longer than time.token_period_s" cost --token-period 1e-8
expect 2 "cannot open no.json" cost --events no.json
echo '{}' >empty.json
expect 2 "is no result of an analog run" cost --events empty.json
echo 'x' >bad.json
expect 2 "bad.json is not JSON" cost --events bad.json
expect 2 "made on another hardware: cell.law is cubic there, table here" cost --events run.json --hw cmos $opts
expect 2 "run.json is of another model: 1 layers of 4 heads there, 12 of 12 here" cost --events run.json --shape gpt2
expect 2 "digital attention has none" "$LEYDEN" run -m "$model" -p x --hw digital --tech paper
finish
