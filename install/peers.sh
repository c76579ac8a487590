#!/usr/bin/env bash
# Builds what other projects run pods with, for tests and benchmarks to stand beside: cnitool, which is libcni with a
# command line, and the CNI project's own plugins in versions newer than Debian's. Each once, into
# $CARACAL_TOOLS/peers/<project>-<version>/, as Go modules through Go's own client; install/setup.sh calls it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/peers.env"
. "$here/go.sh"
tools=${CARACAL_TOOLS:-$HOME/.cache/caracal-tools}
peers=$tools/peers
plugins=(main/ptp main/bridge main/loopback meta/portmap meta/bandwidth meta/tuning meta/firewall ipam/host-local ipam/static)

say() { printf 'setup: %s\n' "$*" >&2; }

build() { # folder, version, package paths of one module...
  local dir=$peers/$1 version=$2; shift 2
  [ -e "$dir/.complete" ] && return
  [ -n "${go:-}" ] || find_go "$PEERS_GO_MIN"
  say "${dir##*/} (compiling, a minute or two)"
  rm -rf "$dir"
  # Beside the caller's module cache, and gone when they are built: nobody else needs what they are made of.
  GOROOT='' GOBIN=$dir GOMODCACHE=$cache/mod GOCACHE=$cache/build GOFLAGS=-modcacherw GOTOOLCHAIN=local CGO_ENABLED=0 \
    "$go" install -trimpath -ldflags='-s -w' "${@/%/@$version}" >&2
  touch "$dir/.complete"
}

mkdir -p "$peers"
cache=$(mktemp -d "$peers/.build-XXXXXX")
trap 'rm -rf "$cache"' EXIT
build "cni-$CNITOOL_VERSION" "$CNITOOL_VERSION" github.com/containernetworking/cni/cnitool
build "plugins-$PLUGINS_VERSION" "$PLUGINS_VERSION" "${plugins[@]/#/github.com/containernetworking/plugins/plugins/}"
