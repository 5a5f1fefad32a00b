# attend.sh - files in, files out; --step and --threads give the same bits; a table of one's own
. "$SOURCE/tests/cli/lib.sh.inc"

run() {
    out=$1
    shift
    check "attend $*" "$LEYDEN" attend --q "$demo/q.npy" --k "$demo/k.npy" --v "$demo/v.npy" \
        --scalers "$demo" --window 50 --dump scores,phi,tiles,codes --out "$out" "$@"
}
run sequence
run step --step
run one -t 1
run three --threads=3
run again
for file in out S phi A q_code k_code v_code out_code; do
    for other in step one three again; do
        check "$file of $other" cmp "sequence/$file.npy" "$other/$file.npy"
    done
done
check "ledgers of runs are equal" cmp sequence/ledger.json again/ledger.json
check "no temporary files" test -z "$(find . -name '*.tmp-*')"
check "ledger holds the configuration" grep -q '"cell.tau_s":.0.005' sequence/ledger.json
check "ledger counts writes" grep -q '"cells_written":.14336' sequence/ledger.json

run quiet --no-quant
check "no codes without converters" test ! -e quiet/q_code.npy
check "different from quantised" sh -c '! cmp -s sequence/out.npy quiet/out.npy'
run still --dt-over-tau 0
check "leakage matters" sh -c '! cmp -s sequence/out.npy still/out.npy'
run leaking --dt-over-tau 1.6e-4
check "1.6e-4 a token is the preset" cmp sequence/out.npy leaking/out.npy
run long --ring 112
check "a longer ring groups tokens otherwise" sh -c '! cmp -s sequence/out.npy long/out.npy'
check "but the scores are the same" cmp sequence/S.npy long/S.npy

# a preset with a table beside it, as a user would bring a measurement
mkdir mine
printf 'cell: {law: table, table_csv: cell.csv}\n' >mine/mine.yaml
printf 'Vstore_V,Iout_uA\n0,-10\n0.45,0\n0.9,10\n' >mine/cell.csv
run mine_out --hw mine/mine.yaml
"$LEYDEN" attend --json --q "$demo/q.npy" --k "$demo/k.npy" --v "$demo/v.npy" --out json >json.txt
check "--json prints the ledger" cmp json.txt json/ledger.json
finish
