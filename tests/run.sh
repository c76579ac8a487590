#!/usr/bin/env bash
# `make test`: all rings in one run. 1 host, 2 TEST_RUN, 3 lab. Rings 2 and 3 need root.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=(--workspace --exclude caracal-ebpf --exclude caracal-test-ebpf)
rooted='package(caracal-integration) + package(caracal-lab) + package(caracal-cluster) + package(caracal-cni-suite)
  + ((package(caracal-azure) + package(caracal-cni-plugin) + package(caracal-stress)) & kind(test))'
# Tests that cannot run append a line with the reason to this file.
CARACAL_SKIPPED=$(mktemp)
export CARACAL_SKIPPED
out=$(mktemp)
trap 'rm -f "$CARACAL_SKIPPED" "$out"' EXIT

echo "building (minutes the first time)" >&2
# Tests run the real binaries, which cargo would not build for a test of another package.
cargo build --quiet "${packages[@]}"

filter='all()'
if [ "$(id -u)" != 0 ]; then
  filter="not ($rooted)"
  n=$(cargo nextest list "${packages[@]}" -E "$rooted" --message-format oneline 2>/dev/null | wc -l)
  echo "$n tests of the TEST_RUN and lab rings: not root (\`sudo make test\` runs them)" >>"$CARACAL_SKIPPED"
fi
status=0
cargo nextest run "${packages[@]}" -E "$filter" --color never 2>&1 | tee "$out" || status=$?

if [ -s "$CARACAL_SKIPPED" ]; then
  printf '\nskipped, and why:\n'
  sort "$CARACAL_SKIPPED" | uniq -c
fi
# The runner's own closing line comes last.
grep -E '^ +Summary ' "$out" || true
exit "$status"
