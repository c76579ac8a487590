# Sourced by what builds other projects' Go programs: finds a Go that is new enough, or brings one.
#
#   find_go MIN   sets `go`. Expects the directory `cache`, for what is not to outlive the build, and `say`.

is_new_enough() { # go, oldest
  local version; version=$("$1" env GOVERSION)
  [ "$(printf '%s\n' "$2" "${version#go}" | sort -V | head -n 1)" = "$2" ]
}

# Go as a module of its own: any Go that knows modules can bring it, one too old to build the programs as well.
newer_go() { # go
  local name="golang.org/toolchain@v0.0.1-go$PEERS_GO.linux-$("$1" env GOARCH)"
  local root="$cache/mod/$name"
  say "Go $PEERS_GO"
  GOMODCACHE=$cache/mod GOFLAGS=-modcacherw "$1" mod download "$name" >&2
  # A module's files are no programs until they are made such.
  find "$root/bin" "$root/pkg/tool" -type f -exec chmod +x {} +
  go=$root/bin/go
}

find_go() { # oldest
  go=$(PATH=$PATH:/usr/local/go/bin command -v go || true)
  if [ -z "$go" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "Debian package golang-go"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends golang-go ca-certificates >/dev/null
    go=$(command -v go)
  fi
  [ -n "$go" ] || { say "Go is missing: install it, then run make again"; return 1; }
  is_new_enough "$go" "$1" || newer_go "$go"
}
