#!/bin/sh
# demo.sh - what Leyden does, in a minute: a real head's vectors through the simulated chip.
#
# usage: tools/demo.sh build/bin/leyden
set -eu
leyden=$1
root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/out
mkdir -p "$out"

echo "== the memory cell: what a code stores and what current it gives"
"$leyden" cell --hw cmos
"$leyden" cell --hw cmos --svg "$out/cell.svg" >/dev/null
echo
echo "   plot: out/cell.svg"

vectors=$root/examples/demo
for hw in paper-linear paper cmos osfet; do
    echo
    echo "== attention of a real layer (8 query heads on 4 banks of width 16) on $hw, the ring past its first lap"
    "$leyden" attend --hw $hw --window 64 --q "$vectors/q.npy" --k "$vectors/k.npy" --v "$vectors/v.npy" \
        --scalers "$vectors" --dump scores,phi,tiles,codes --out "$out/attend-$hw"
done

echo
echo "== the same, token by token through the banks: bit for bit"
"$leyden" attend --hw paper --window 64 --step --q "$vectors/q.npy" --k "$vectors/k.npy" --v "$vectors/v.npy" \
    --scalers "$vectors" --dump scores,phi,tiles,codes --out "$out/attend-step" >/dev/null
for file in out S phi A q_code k_code v_code out_code; do
    cmp "$out/attend-paper/$file.npy" "$out/attend-step/$file.npy"
    echo "   $file.npy: identical"
done
echo
echo "next: leyden attend --help; leyden params; leyden cell --hw paper --svg cell.svg"
