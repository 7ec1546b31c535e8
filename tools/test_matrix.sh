#!/usr/bin/env bash
# The test suite on every supported transformers and Python. Prints a table; ends with 1 if a row is not green.
#
#   tools/test_matrix.sh [ROW ...]        rows: t4.49 t4.57 t5.23 p3.12 p3.13 (all if none is named)
#
# t*  the whole suite on Python 3.11 (or $PYTHON, if that is 3.11) with that transformers and torch
# p*  the part that needs no torch: analysis, identity, policy, guard, command line
#
# Environments stay in build/matrix/<row> and are made again when requirements change. A row ends as `ok`, `failed`,
# `no python` or `no install`; its log is build/matrix/<row>.log.
set -u -o pipefail
cd "$(dirname "$0")/.."
OUT=build/matrix
TORCH=torch==2.13.0
mkdir -p "$OUT"

declare -A TRANSFORMERS=([t4.49]=4.49.0 [t4.57]=4.57.1 [t5.23]=5.23.0)
ROWS=("$@")
[ ${#ROWS[@]} -gt 0 ] || ROWS=(t4.49 t4.57 t5.23 p3.12 p3.13)

# The interpreter of version $1: $PYTHON if it is one, then the search path, then pyenv.
interpreter() {
    local candidate
    for candidate in "${PYTHON:-}" "python$1" "$HOME"/.pyenv/versions/"$1"*/bin/python3; do
        if [ -n "$candidate" ] && [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$1" ]; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# Install into the environment $1 what the row $2 needs.
install() {
    local pip=("$1/bin/python" -m pip install --quiet)
    if [ -n "${TRANSFORMERS[$2]:-}" ]; then
        "${pip[@]}" "$TORCH" &&
            sed "s/^transformers==.*/transformers==${TRANSFORMERS[$2]}/" requirements-test.txt >"$1/requirements.txt" &&
            "${pip[@]}" -r "$1/requirements.txt"
    else
        grep -E '^(pytest|hypothesis|jsonschema|mypy|ruff)==' requirements-test.txt >"$1/requirements.txt" &&
            "${pip[@]}" -r "$1/requirements.txt"
    fi && "${pip[@]}" -e .
}

# One row; its last line is the word for the table.
row() {
    local name=$1 version=3.11 python folder="$OUT/$1" wanted
    [[ $name == p* ]] && version=${name#p}
    python=$(interpreter "$version") || { echo "no python"; return; }
    wanted=$(cat pyproject.toml requirements-test.txt "$0" | sha256sum | cut -d' ' -f1)
    if [ "$(cat "$folder/.ready" 2>/dev/null)" != "$wanted" ]; then
        rm -rf "$folder"
        { "$python" -m venv "$folder" && install "$folder" "$name" && echo "$wanted" >"$folder/.ready"; } >"$OUT/$name.log" 2>&1 ||
            { echo "no install"; return; }
    fi
    if [[ $name == t* ]] && ! "$folder/bin/python" tests/realworld/run.py --assemble-only \
        internlm2 tinytimemixer nicheformer >>"$OUT/$name.log" 2>&1; then
        echo "no install"
        return
    fi
    if OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 \
        "$folder/bin/python" -m pytest tests -rfE --tb=short >"$OUT/$name.log" 2>&1; then
        echo ok
    else
        echo failed
    fi
}

bad=0
printf '%-7s  %-8s  %-14s  %-11s  %s\n' row python transformers result tests
for name in "${ROWS[@]}"; do
    case $name in t4.49 | t4.57 | t5.23 | p3.12 | p3.13) ;; *) echo "unknown row: $name" >&2; exit 2 ;; esac
    result=$(row "$name")
    [ "$result" = ok ] || bad=1
    version=3.11
    [[ $name == p* ]] && version=${name#p}
    tests=$(grep -E '[0-9]+ (passed|failed|error)' "$OUT/$name.log" 2>/dev/null | tail -n 1)
    printf '%-7s  %-8s  %-14s  %-11s  %s\n' "$name" "$version" "${TRANSFORMERS[$name]:-none}" "$result" "${tests:-see $OUT/$name.log}"
done
exit $bad
