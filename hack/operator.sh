#!/usr/bin/env bash
# operator.sh start|stop: runs the operator's programs in the background against KUBECONFIG, with
# logs and process numbers under .cluster/operator. Beside them runs bin/gateway, which stands in for
# the gateways of simulated pods; the sidecar reaches it through the proxy that it offers.
set -euo pipefail
cd "$(dirname "$0")/.."
# Never anybody else's cluster, whatever the environment says.
KUBECONFIG=$PWD/.cluster/kubeconfig
# shellcheck source=hack/lib.sh
. hack/lib.sh

state=.cluster/operator

# running PROGRAM: is the process that we started still that program?
running() {
  local pid
  pid=$(cat "$state/$1.pid" 2>/dev/null) || return 1
  [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$PWD/bin/$1" ] || [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$PWD/bin/$1 (deleted)" ]
}

# start_gateways waits until the stand-ins have told the address of their proxy.
start_gateways() {
  local log=$state/gateway.log
  if ! running gateway; then
    setsid bin/gateway --fleet --kubeconfig="$KUBECONFIG" --certificate="$state/gateways.pem" >"$log" 2>&1 </dev/null &
    echo $! >"$state/gateway.pid"
  fi
  for _ in $(seq 100); do
    ! grep -q '^HTTPS_PROXY=' "$log" || return 0
    sleep 0.1
  done
  fail "the stand-ins for gateways do not start; the log is $log"
}

start() {
  mkdir -p "$state"
  need_namespace
  start_gateways
  for program in helm-operator sidecar; do
    if running $program; then
      continue
    fi
    # shellcheck disable=SC2046 # flags are words
    env "$(grep '^HTTPS_PROXY=' "$state/gateway.log")" setsid "bin/$program" $(host_flags) $([ $program != sidecar ] || sidecar_flags) >"$state/$program.log" 2>&1 </dev/null &
    echo $! >"$state/$program.pid"
  done
  wait_for_webhooks
}

# Resources are refused or unchecked until the webhooks are registered: half a minute at most.
wait_for_webhooks() {
  for _ in $(seq 150); do
    if kubectl get validatingwebhookconfiguration datapower-system.datapowerservices.validator.datapower.ibm.com >/dev/null 2>&1 &&
      grep -q '"the conversion webhook serves"' "$state/sidecar.log" &&
      kubectl -n default apply --dry-run=server -f config/samples/service-minimal.yaml >/dev/null 2>&1; then
      return
    fi
    sleep 0.2
  done
  fail "the webhooks do not answer; the log is $state/sidecar.log"
}

stop() {
  for program in helm-operator sidecar gateway; do
    if running $program; then
      kill "$(cat "$state/$program.pid")"
    fi
  done
  for program in helm-operator sidecar gateway; do
    for _ in $(seq 100); do
      running $program || break
      sleep 0.1
    done
    if running $program; then
      kill -KILL "$(cat "$state/$program.pid")"
    fi
    rm -f "$state/$program.pid"
  done
  [ ! -e "$KUBECONFIG" ] || forget_webhooks 2>/dev/null || true # the cluster may be gone
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  *) fail "usage: $0 start|stop" ;;
esac
