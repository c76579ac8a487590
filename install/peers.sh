#!/usr/bin/env bash
# Builds what other projects run pods with, for tests and benchmarks to stand beside: cnitool, which is libcni with a
# command line, and the CNI project's own plugins in versions newer than Debian's. Each once, into
# $CARACAL_TOOLS/peers/<project>-<version>/, as Go modules through Go's own client; install/setup.sh calls it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/peers.env"
tools=${CARACAL_TOOLS:-$HOME/.cache/caracal-tools}
peers=$tools/peers
plugins=(main/ptp main/bridge main/loopback meta/portmap meta/bandwidth meta/tuning meta/firewall ipam/host-local ipam/static)

say() { printf 'setup: %s\n' "$*" >&2; }

is_new_enough() { # go
  local version; version=$("$1" env GOVERSION)
  [ "$(printf '%s\n' "$PEERS_GO_MIN" "${version#go}" | sort -V | head -n 1)" = "$PEERS_GO_MIN" ]
}

# Go as a module of its own: any Go that knows modules can bring it, one too old to build the peers as well.
newer_go() { # go
  local name="golang.org/toolchain@v0.0.1-go$PEERS_GO.linux-$("$1" env GOARCH)"
  local root="$cache/mod/$name"
  say "Go $PEERS_GO"
  GOMODCACHE=$cache/mod GOFLAGS=-modcacherw "$1" mod download "$name" >&2
  # A module's files are no programs until they are made such.
  find "$root/bin" "$root/pkg/tool" -type f -exec chmod +x {} +
  go=$root/bin/go
}

find_go() {
  go=$(PATH=$PATH:/usr/local/go/bin command -v go || true)
  if [ -z "$go" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "Debian package golang-go"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends golang-go ca-certificates >/dev/null
    go=$(command -v go)
  fi
  [ -n "$go" ] || { say "Go is missing: install it, then run make again"; return 1; }
  is_new_enough "$go" || newer_go "$go"
}

build() { # folder, version, package paths of one module...
  local dir=$peers/$1 version=$2; shift 2
  [ -e "$dir/.complete" ] && return
  [ -n "${go:-}" ] || find_go
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
