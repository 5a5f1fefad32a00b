#!/bin/sh
# check_model_refs.sh - every equation M1, M2 ... of MODEL.md has a line of code and a test that
# names it or its specification row, and code names no equation that MODEL.md lacks.
set -eu
cd "$(dirname "$0")/.."
status=0
defined=$(grep -oE '^### M[0-9]+' MODEL.md | grep -oE 'M[0-9]+' | sort -u)
used=$(grep -rhoE '\bM[0-9]+\b' src cli | sort -u)
for id in $defined; do
    echo "$used" | grep -qx "$id" || { echo "MODEL.md: $id is named by no code"; status=1; }
    awk -v id="### $id " 'index($0, id) == 1 {on = 1; next} /^### /{on = 0} on' MODEL.md |
        grep -q 'Test:' || { echo "MODEL.md: $id names no test"; status=1; }
done
for id in $used; do
    echo "$defined" | grep -qx "$id" || { echo "code names $id, which MODEL.md lacks"; status=1; }
done
grep -oE 'Test: [a-z0-9_, /]+' MODEL.md | sed 's/Test: //' | tr ',' '\n' | tr -d ' ' | sort -u |
    while read -r name; do
        [ -z "$name" ] || grep -rq "static void $name(" tests || { echo "MODEL.md: no test $name"; exit 1; }
    done || status=1
[ $status = 0 ] && echo "model references: ok"
exit $status
