#!/usr/bin/env bash
# Installs the CRDs and runs the operator's programs in the foreground against KUBECONFIG.
# Arguments for both programs go into RUN_FLAGS.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=hack/lib.sh
. hack/lib.sh

need_cluster
kubectl apply --server-side -k config/crd
kubectl wait --for=condition=Established --timeout=60s -f config/crd/bases >/dev/null
# An ODA Canvas brings its own definition of ExposedAPI.
kubectl get crd exposedapis.oda.tmforum.org >/dev/null 2>&1 || kubectl apply --server-side -k config/crd/oda

need_namespace

pids=()
stop() {
  trap - INT TERM EXIT
  say "stopping"
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  wait || true
  forget_webhooks || true
}
trap stop INT TERM EXIT

for program in helm-operator sidecar; do
  # shellcheck disable=SC2046,SC2086 # flags are words
  bin/$program $(host_flags) $([ $program != sidecar ] || sidecar_flags) ${RUN_FLAGS:-} &
  pids+=($!)
done
say "running helm-operator and sidecar against $KUBECONFIG; Ctrl-C stops them"
wait -n "${pids[@]}" || true
say "a program ended; stopping the other"
