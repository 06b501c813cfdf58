#!/usr/bin/env bash
# operator.sh start|stop: runs the operator's programs in the background against KUBECONFIG, with
# logs and process numbers under .cluster/operator.
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

start() {
  mkdir -p "$state"
  for program in helm-operator sidecar; do
    if running $program; then
      continue
    fi
    # shellcheck disable=SC2046 # flags are words
    setsid "bin/$program" $(host_flags) >"$state/$program.log" 2>&1 </dev/null &
    echo $! >"$state/$program.pid"
  done
}

stop() {
  for program in helm-operator sidecar; do
    if running $program; then
      kill "$(cat "$state/$program.pid")"
    fi
  done
  for program in helm-operator sidecar; do
    for _ in $(seq 100); do
      running $program || break
      sleep 0.1
    done
    if running $program; then
      kill -KILL "$(cat "$state/$program.pid")"
    fi
    rm -f "$state/$program.pid"
  done
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  *) fail "usage: $0 start|stop" ;;
esac
