# shellcheck shell=bash
# Functions that the scripts of this folder share. Sourced from the repository's root.

export KUBECONFIG=${KUBECONFIG:-$PWD/.cluster/kubeconfig}
PATH=$PWD/.cluster/bin:$PWD/bin:$PATH

say() { printf '%s\n' "$*"; }

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# need_cluster stops with advice when KUBECONFIG leads nowhere.
need_cluster() {
  [ -e "$KUBECONFIG" ] || fail "no kubeconfig at $KUBECONFIG: start the local cluster with 'make cluster-up' or set KUBECONFIG"
  kubectl get --raw /readyz >/dev/null 2>&1 || fail "the API server of $KUBECONFIG does not answer: start the local cluster with 'make cluster-up' or set KUBECONFIG"
}

# host_flags are what the programs need outside of a pod: no lease to wait for, no fixed ports.
host_flags() {
  say --leader-elect=false --metrics-bind-address=0 --health-probe-bind-address=0
}
