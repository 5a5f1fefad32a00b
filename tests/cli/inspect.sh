# inspect.sh - cell, params, config: what they print, and what they refuse
. "$SOURCE/tests/cli/lib.sh.inc"

says() { # says PATTERN COMMAND...
    pattern=$1
    shift
    check "$*" "$@"
    grep -qF -- "$pattern" stdout.txt || { echo "FAILED: '$pattern' not in: $*"; failures=$((failures + 1)); }
}
says "R2 0.9994" "$LEYDEN" cell
says "7,0.9,0.45,9.97322," "$LEYDEN" cell --csv
says '"r2":' "$LEYDEN" cell --hw cmos --json
says "cell.tau_s" "$LEYDEN" params tau
says '"key": "dac.q_levels"' "$LEYDEN" params --json
says "cell.law" "$LEYDEN" config diff --hw cmos paper
says "cmos: ok" "$LEYDEN" config validate --hw cmos
says "attend" "$LEYDEN" --help
says "--scalers DIR" "$LEYDEN" attend --help
says "leyden 0." "$LEYDEN" --version

"$LEYDEN" config show --hw cmos --set cell.tau_s=1e-2 >shown.yaml
check "show reads back" "$LEYDEN" config show --hw ./shown.yaml
cp stdout.txt again.yaml
check "to the same" cmp again.yaml shown.yaml
"$LEYDEN" params --markdown >params.md
check "docs/PARAMS.md is current" sh -c 'tail -n +7 "$1" | cmp - params.md' sh "$SOURCE/docs/PARAMS.md"

if command -v gnuplot >/dev/null; then
    check "plot" "$LEYDEN" cell --svg cell.svg
    check "plot is SVG" grep -q "</svg>" cell.svg
    expect 2 "cannot write nowhere/cell.svg" "$LEYDEN" cell --svg nowhere/cell.svg
else
    echo "SKIPPED: plots (gnuplot is not installed)"
fi
expect 1 "install the package gnuplot-nox" env PATH=/nowhere "$LEYDEN" cell --svg cell2.svg
expect 2 "did you mean 'attend'" "$LEYDEN" attent
expect 2 "no key contains 'xyz'" "$LEYDEN" params xyz
expect 2 "say what to do" "$LEYDEN" config
expect 2 "unexpected argument 'x'" "$LEYDEN" cell x
finish
