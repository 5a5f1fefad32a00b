# attend_errors.sh - every mistake: one line, exit code 2, nothing left behind
. "$SOURCE/tests/cli/lib.sh.inc"

attend() { "$LEYDEN" attend "$@"; }
good="--q $demo/q.npy --k $demo/k.npy --v $demo/v.npy --out out"

expect 2 "--q FILE.npy is missing" attend --out out
expect 2 "--out DIR is missing" attend --q "$demo/q.npy" --k "$demo/k.npy" --v "$demo/v.npy"
expect 2 "nearest known one is 'cell.tau_s'" attend $good --set cell.tau=1
expect 2 "must be 1e-12..1e+12 s" attend $good --set cell.tau_s=-1
expect 2 "longer than time.token_period_s" attend $good --set time.token_period_s=1e-9
expect 2 "shorter than array.window" attend $good --ring 10 --window 20
expect 2 "unknown hardware 'papers'" attend $good --hw papers
expect 2 "cannot open no.yaml" attend $good --hw no.yaml
expect 2 "did you mean --scalers" attend $good --scaler x
expect 2 "--window is 'ten', must be a whole number" attend $good --window ten
expect 2 "array.window is 0, must be 1.." attend $good --window 0
expect 2 "--dt-over-tau is -1" attend $good --dt-over-tau -1
expect 2 "--threads is -3" attend $good -t -3
expect 2 "--dump is 'scores,sums'" attend $good --dump scores,sums
expect 2 "cannot open nowhere/scaler_q_a.npy" attend $good --scalers nowhere
expect 2 "cannot open no.npy" attend --q no.npy --k "$demo/k.npy" --v "$demo/v.npy" --out out
expect 2 "they must be equal" attend --q "$demo/q.npy" --k "$demo/k.npy" --v "$demo/q.npy" --out out
expect 2 "must be a multiple" attend --q "$demo/k.npy" --k "$demo/q.npy" --v "$demo/q.npy" --out out
expect 2 "needs four dimensions" attend --q "$demo/scaler_q_a.npy" --k "$demo/k.npy" --v "$demo/v.npy" --out out

head -c 1000 "$demo/q.npy" >short.npy
expect 2 "truncated or damaged" attend --q short.npy --k "$demo/k.npy" --v "$demo/v.npy" --out out
echo "not an array" >text.npy
expect 2 "not a .npy file" attend --q text.npy --k "$demo/k.npy" --v "$demo/v.npy" --out out
{ head -c 1000 "$demo/q.npy"; printf '\000\000\300\177'; tail -c +1005 "$demo/q.npy"; } >nan.npy
expect 2 "holds NaN at element 218" attend --q nan.npy --k "$demo/k.npy" --v "$demo/v.npy" --out out

[ ! -e out ] || { echo "FAILED: a folder was left behind"; failures=$((failures + 1)); }

echo hello >file
expect 2 "it is not a folder" attend --q "$demo/q.npy" --k "$demo/k.npy" --v "$demo/v.npy" --out file
expect 2 "cannot make folder" attend --q "$demo/q.npy" --k "$demo/k.npy" --v "$demo/v.npy" --out no/such/place
if [ "$(id -u)" != 0 ]; then
    mkdir locked && chmod 555 locked
    expect 2 "cannot write to folder locked" attend --q "$demo/q.npy" --k "$demo/k.npy" --v "$demo/v.npy" --out locked
fi

cat >bad.yaml <<'YAML'
cell:
  law: cubic
  tau: 5
YAML
expect 2 "bad.yaml:3: unknown parameter 'cell.tau'" attend $good --hw bad.yaml
printf 'cell: [1, 2]\n' >list.yaml
expect 2 "list.yaml:1:" attend $good --hw ./list.yaml
printf 'cell: {law: table, table_csv: mine.csv}\n' >mine.yaml
expect 2 "cannot open the cell table mine.csv" attend $good --hw mine.yaml
printf 'Vstore_V,Iout_uA\n0,-10\n0.45,zero\n' >mine.csv
expect 2 "mine.csv:3: not a line of finite numbers" attend $good --hw mine.yaml
finish
