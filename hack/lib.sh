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

# need_namespace makes the namespace in which the sidecar keeps the certificates of its webhooks.
need_namespace() {
  kubectl create namespace datapower-system --dry-run=client -o yaml | kubectl apply -f - >/dev/null
}

# forget_webhooks unregisters the webhooks of an operator that does not run any more: the API server would go on
# asking it. In a cluster they go with the operator's ClusterRole.
forget_webhooks() {
  local kind
  for kind in datapowerservices datapowermonitors; do
    kubectl delete --ignore-not-found \
      "mutatingwebhookconfiguration/datapower-system.$kind.defaulter.datapower.ibm.com" \
      "validatingwebhookconfiguration/datapower-system.$kind.validator.datapower.ibm.com" >/dev/null
  done
}

# sidecar_flags are what the sidecar needs beside: the API server calls its webhooks by URL, that of conversion too.
sidecar_flags() {
  say --webhook-host=127.0.0.1 --webhook-bind-address=127.0.0.1:0 --webhook-drain=0 --conversion=process
}

# host_flags are what the programs need outside of a pod: no lease to wait for, no fixed ports.
host_flags() {
  say --leader-elect=false --metrics-bind-address=0 --health-probe-bind-address=0
}
