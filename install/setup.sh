#!/usr/bin/env bash
# Installs what building and testing Caracal needs, and nothing that is there already: toolchains, bpf-linker, the
# tools of `make check`, Debian packages of the tests. `make` calls it; nobody has to know it.
#
#   setup.sh build   what compiles
#   setup.sh test    and what the tests run with
#   setup.sh bench   what compiles, and what it is measured beside
#   setup.sh         and what `make check` runs
#   setup.sh fuzz    what compiles, and cargo-fuzz
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/ebpf/builder/toolchain.env"
tools=${CARACAL_TOOLS:-$HOME/.cache/caracal-tools}
stable=$(sed -n 's/^channel = "\(.*\)"/\1/p' "$here/rust-toolchain.toml")
packages=(iproute2 ethtool util-linux tcpdump nftables bpftool jq containernetworking-plugins)
# What only the benchmark runs.
bench_packages=(iperf3)

say() { printf 'setup: %s\n' "$*" >&2; }

toolchain() { # name, components...
  local name=$1; shift
  rustup run "$name" rustc --version >/dev/null 2>&1 || { say "Rust $name"; rustup toolchain install "$name" --profile minimal; }
  local have; have=$(rustup component list --toolchain "$name" --installed)
  local component
  for component; do
    grep -q "^$component" <<<"$have" || { say "$component for $name"; rustup component add "$component" --toolchain "$name"; }
  done
}

# crate, version, arguments for cargo install...
tool() {
  local crate=$1 version=$2 stamp="$tools/.$1-$2"; shift 2
  [ -e "$stamp" ] && return
  say "$crate $version (compiling, a minute or two)"
  cargo "+$stable" install "$crate" --version "$version" --locked --force --root "$tools" "$@"
  touch "$stamp"
}

debian() {
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "not root or not Debian: install these yourself for the tests: ${missing[*]}"
    return
  fi
  say "Debian packages ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What needs them says so itself.
peers() { "$here/install/peers.sh" || say "other projects' programs could not be built; the tests and benchmarks that run them will fail"; }
kubernetes() { "$here/install/kubernetes.sh" || say "kube-apiserver could not be built; the tests that run it will fail"; }

command -v rustup >/dev/null || { say "rustup is missing: install it from your distribution or from the Rust project, then run make again"; exit 1; }
mkdir -p "$tools"
toolchain "$stable" clippy rustfmt
toolchain "$EBPF_TOOLCHAIN" clippy rust-src rustfmt

# The linker uses the compiler's own LLVM; its build wants to see that as an installed LLVM.
llvm=$tools/llvm
mkdir -p "$llvm/lib"
ln -sf "$(rustup run "$EBPF_TOOLCHAIN" rustc --print sysroot)"/lib/libLLVM.so.* "$llvm/lib/libLLVM.so"
LLVM_PREFIX=$llvm tool bpf-linker "$BPF_LINKER_VERSION" --no-default-features --features "$BPF_LINKER_LLVM"

# What runs for seconds a day need not be optimised for minutes.
case ${1:-all} in
  build) ;;
  bench)
    peers
    kubernetes
    packages+=("${bench_packages[@]}")
    ;;
  test)
    tool cargo-nextest 0.9.151 --debug
    peers
    kubernetes
    ;;
  all)
    peers
    kubernetes
    tool cargo-nextest 0.9.151 --debug
    tool cargo-deny 0.20.2 --debug
    tool typos-cli 1.52.0 --debug
    ;;
  fuzz) tool cargo-fuzz 0.13.2 --debug ;;
  *) say "$1: build, test, bench, fuzz, or nothing"; exit 2 ;;
esac
debian
