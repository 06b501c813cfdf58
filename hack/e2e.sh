#!/usr/bin/env bash
# End to end, in real pods on a real node: the installation by manifests, then the one by OLM. Needs root, Linux and Debian's packages,
# which it installs. What it builds stays in dist/, the cluster is .e2e while it runs.
#   E2E_ONLY=manifests|olm   only one of the two
#   E2E_KEEP=1               leave the cluster of the last test up, for a look
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
state=$root/.e2e
out=$root/dist/e2e
arch=$(go env GOARCH)
begin=$SECONDS

say() { printf '\n[%4ds] %s\n' "$((SECONDS - begin))" "$*"; }

if [ "$(id -u)" != 0 ]; then
  if [ -n "${CI:-}" ]; then
    echo "the end-to-end tests need root: a node has namespaces, mounts and cgroups of its own" >&2
    exit 1
  fi
  echo "NOT RUN: the end-to-end tests need root (a node has namespaces, mounts and cgroups of its own): sudo make e2e"
  exit 0
fi

say "programs of the node"
make need-node
hack/need.sh busybox-static busybox prometheus prometheus
go build -o bin/cluster ./test/cluster/cmd/cluster

cluster() { bin/cluster "$@" --dir "$state"; }
stop() {
  if [ -n "${E2E_KEEP:-}" ]; then
    say "the cluster stays: export KUBECONFIG=$state/kubeconfig; stop it with bin/cluster down --dir $state"
  else
    cluster down
  fi
}
trap stop EXIT
cluster down >/dev/null

say "images"
mkdir -p "$out"
image() { bin/image --arch="$arch" "$@"; } # what is built from the same sources is the same
image --repository=. --output="$out/operator.tar" --version=0.1.0 --by-digest # OLM's bundle wants the digest
# One program, by the names that the samples' services come to.
for name in datapower-nonprod:10.6.0.10sr1 datapower-deved:10.6.5.0; do
  make image-gateway GATEWAY_IMAGE="cp.icr.io/cp/datapower/$name" GATEWAY_ARCHIVE="$out/${name%:*}.tar"
done

# The previous version: the last release, before the first one a commit that test/e2e/previous names.
previous=$(git describe --tags --match 'v[0-9]*' --abbrev=0 2>/dev/null || cat test/e2e/previous)
rm -rf "$out/previous"
if git cat-file -e "$previous^{commit}" 2>/dev/null; then
  mkdir -p "$out/previous"
  git archive "$previous" | tar -x -C "$out/previous"
  image --repository="$out/previous" --output="$out/previous.tar" --version=previous
  export E2E_PREVIOUS=$out/previous E2E_PREVIOUS_IMAGE=datapower-operator:previous
else
  echo "this checkout lacks $previous (a shallow clone?): the upgrade is not tested"
  rm -f "$out/previous.tar"
fi

export E2E=1 E2E_IMAGE=datapower-operator:0.1.0 KUBECONFIG=$state/kubeconfig

if [ "${E2E_ONLY:-manifests}" = manifests ]; then
  say "installation by manifests"
  archives=()
  for archive in "$out"/*.tar; do archives+=(--image "$archive"); done
  cluster up --real-node --audit-log "${archives[@]}"
  go test -count=1 -timeout 30m -v ./test/e2e/manifests
fi

if [ "${E2E_ONLY:-olm}" = olm ]; then
  say "the Operator Lifecycle Manager"
  tools/olm/images.sh
  cluster down
  cluster up --real-node
  say "installation by OLM"
  go test -count=1 -timeout 30m -v ./test/e2e/olm
fi
say "done"
