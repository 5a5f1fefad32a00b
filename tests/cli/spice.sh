# spice.sh - the circuits: cell, fit; mistakes in one line; without ngspice what to install
. "$SOURCE/tests/cli/lib.sh.inc"

expect 1 "install the package" env LEYDEN_NGSPICE=/nowhere/libngspice.so "$LEYDEN" spice cell
expect 2 "say which circuit" "$LEYDEN" spice
expect 2 "say which circuit" "$LEYDEN" spice cel
check "help" "$LEYDEN" spice --help
if "$LEYDEN" spice cell 2>stderr.txt >stdout.txt; then :; elif grep -q "install the package" stderr.txt; then
    echo "SKIPPED: circuits ($(cat stderr.txt))"
    finish
fi

check "cell" "$LEYDEN" spice cell --out out --json
grep -q '"r2":	0.9999' stdout.txt || { echo "FAILED: R2 of the cell"; failures=$((failures + 1)); }
check "the preset works elsewhere" "$LEYDEN" cell --hw out/preset.yaml
grep -q "table law" stdout.txt || { echo "FAILED: preset without table"; failures=$((failures + 1)); }

silicon=$SOURCE/config/spice/silicon.cir
sed 's/ store vdd vss$/ vdd vss/' "$silicon" >port.cir
sed "s/nread w=100n/nread w=100/" "$silicon" >units.cir
sed 's/^\.param n_vth0 = 0.[0-9]*/.param n_vth0 = 193.793/' "$silicon" >millivolt.cir
sed 's/nread w=100n/nobody w=100n/' "$silicon" >model.cir
expect 2 "n_vth0 = 193.793 is outside its range 0.1 .. 0.6 V (units?)" \
    "$LEYDEN" spice cell --netlist ./millivolt.cir
expect 2 "the netlist is kept in out/failed.cir" "$LEYDEN" spice cell --netlist ./model.cir --out out
check "kept" grep -q nobody out/failed.cir
expect 1 "wrong unit" "$LEYDEN" spice cell --netlist ./units.cir
expect 2 "lacks the port store" "$LEYDEN" spice cell --netlist ./port.cir
finish
