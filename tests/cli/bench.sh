# bench.sh - leyden bench: verified, timed, told to people and machines
. "$SOURCE/tests/cli/lib.sh.inc"

says() {
    text=$1
    shift
    check "$*" "$@"
    grep -qF -- "$text" stdout.txt || {
        echo "FAILED: $* does not say '$text'"
        failures=$((failures + 1))
    }
}

says "bf16" "$LEYDEN" bench peak
says "head" "$LEYDEN" bench attention decode --shape head --tokens 32,65 --runs 1
says '"median_s"' "$LEYDEN" bench attention --heads 4 --kv-heads 2 --width 24 --tokens 40 --runs 2 --json
says '"scalar"' "$LEYDEN" bench attention --shape head --isa scalar --tokens 16 --runs 1 --json
says "double" "$LEYDEN" bench attention --hw ideal --shape head --tokens 16 --runs 1
says "oneDNN" "$LEYDEN" bench dense --shape gpt2 --tokens 32 --runs 1
says '"share_of_memory_peak"' "$LEYDEN" bench decode --shape head --runs 1 --json
expect 2 "gpt2" "$LEYDEN" bench --shape gpt5
expect 2 "--tokens" "$LEYDEN" bench --tokens 12,x
expect 2 "--runs" "$LEYDEN" bench --runs 0
expect 2 "known are scalar" "$LEYDEN" bench --isa sse9
expect 2 "multiple" "$LEYDEN" bench --heads 4 --kv-heads 3
expect 2 "known are attention" "$LEYDEN" bench everything
finish
