#!/usr/bin/env bash
# `make demo`: builds, then runs the demo, which ends its lab however it ends.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
  echo "make demo makes network namespaces and loads eBPF programs: run it as root" >&2
  exit 1
fi
echo "building (minutes the first time)" >&2
cargo build --quiet --package caracal-cni-plugin --package caracal-agent --package caracal-ctl --package caracal-lab --package caracal-demo
exec target/debug/caracal-demo
