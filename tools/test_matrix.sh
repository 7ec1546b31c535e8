#!/usr/bin/env bash
# The suite on every supported pair: transformers 4.49, 4.57 and 5.x under Python 3.11; the part that needs no
# torch (analysis, identity, policy, command line) under 3.12 and 3.13. Prints a line a pair; ends with 1 if one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
torch_free="tests/analyse tests/identity tests/cli tests/property"

row() { # name python requirements... -- tests...
    local name=$1 python=$2 venv="build/matrix/$1"
    shift 2
    local requirements=()
    while [ "$1" != "--" ]; do requirements+=("$1"); shift; done
    shift
    command -v "$python" >/dev/null || { echo "$name: no $python"; failed=1; return; }
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet "${requirements[@]}" -e . 2>/dev/null || { echo "$name: set-up failed"; failed=1; return; }
    if OMP_NUM_THREADS=1 "$venv/bin/python" -m pytest "$@" >"build/matrix/$name.log" 2>&1; then
        echo "$name: passed"
    else
        echo "$name: FAILED, see build/matrix/$name.log"
        failed=1
    fi
}

mkdir -p build/matrix
common=(pytest hypothesis jsonschema)
for version in 4.49.0 4.57.1 5.23.0; do
    row "py311-transformers-$version" python3.11 torch==2.13.0 "transformers==$version" accelerate einops pillow sentencepiece \
        tiktoken protobuf mypy ruff "${common[@]}" -- tests --ignore=tests/reach
done
# shellcheck disable=SC2086  # a list of folders
for minor in 12 13; do row "py3$minor-no-torch" "python3.$minor" "${common[@]}" -- $torch_free; done
exit $failed
