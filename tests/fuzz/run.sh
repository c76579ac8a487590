#!/usr/bin/env bash
# Runs every fuzz target for the given number of seconds. What it finds beyond the corpus is not kept.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
source ebpf/builder/toolchain.env

found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
for target in $(cargo "+$EBPF_TOOLCHAIN" fuzz list --fuzz-dir tests/fuzz); do
    echo "== $target, $seconds s"
    mkdir "$found/$target"
    words=()
    if [ -e "tests/fuzz/dict/$target" ]; then words=(-dict="tests/fuzz/dict/$target"); fi
    # New inputs go to the first directory.
    cargo "+$EBPF_TOOLCHAIN" fuzz run --fuzz-dir tests/fuzz "$target" "$found/$target" "tests/fuzz/corpus/$target" -- \
        "${words[@]}" -max_total_time="$seconds" -print_final_stats=1
done
