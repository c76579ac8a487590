#!/usr/bin/env bash
# Builds a Kubernetes control plane for tests: kube-apiserver, and etcd in the version that this Kubernetes names. Once,
# into $CARACAL_TOOLS/peers/kubernetes-<version>/, as Go modules through Go's own client; install/setup.sh calls it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/peers.env"
. "$here/go.sh"
tools=${CARACAL_TOOLS:-$HOME/.cache/caracal-tools}
dir=$tools/peers/kubernetes-$KUBERNETES_VERSION

say() { printf 'setup: %s\n' "$*" >&2; }

[ -e "$dir/.complete" ] && exit
mkdir -p "$tools/peers"
cache=$(mktemp -d "$tools/peers/.build-XXXXXX")
trap 'rm -rf "$cache"' EXIT
find_go "$KUBERNETES_GO_MIN"
say "kube-apiserver $KUBERNETES_VERSION and etcd (compiling, ten minutes where Go has nothing of them in its cache)"

# The caller's caches, unlike install/peers.sh: what is compiled there already is most of the time.
export GOROOT='' GOTOOLCHAIN=local GOFLAGS='-buildvcs=false -trimpath -mod=mod' CGO_ENABLED=0
mkdir "$cache/module"
cd "$cache/module"
"$go" mod download "k8s.io/kubernetes@$KUBERNETES_VERSION" >&2
source=$("$go" env GOMODCACHE)/k8s.io/kubernetes@$KUBERNETES_VERSION
# Kubernetes cannot be installed as a dependency as it is: its go.mod finds half of it in folders beside it. Those are
# published as modules of their own, v1.X.Y as v0.X.Y. All other versions are the release's.
staged=v0.${KUBERNETES_VERSION#v1.}
sed -e 's|^module .*|module caracal/kubernetes|' -e "s|=> \./staging/src/\(.*\)|=> \1 $staged|" "$source/go.mod" >go.mod
install -m 644 "$source/go.sum" go.sum
"$go" mod edit -require "k8s.io/kubernetes@$KUBERNETES_VERSION"

minor=${KUBERNETES_VERSION#v1.}
flags='-s -w'
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=" -X $package.gitVersion=$KUBERNETES_VERSION -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
done
mkdir "$cache/bin"
"$go" build -ldflags="$flags" -o "$cache/bin/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver >&2
"$go" build -ldflags='-s -w' -o "$cache/bin/etcd" go.etcd.io/etcd/server/v3 >&2
rm -rf "$dir"
mv "$cache/bin" "$dir"
touch "$dir/.complete"
