#!/usr/bin/env bash
# Health of the operator: every replica, both containers, both leaders. Runs nothing in the pods (the image has no shell): asks the
# API server, and the probes of each pod through a port-forward, which a NetworkPolicy does not stop.
#
#   hack/health-check.sh [NAMESPACE]        default: datapower-system
#
# Ends with 0 when all is well, 1 when something is not, 2 when it cannot tell. Needs kubectl and curl, and the rights to get
# deployments, leases and pods and to create pods/portforward.
set -uo pipefail

namespace=${1:-datapower-system}
deployment=datapower-operator
problems=0

problem() {
  printf 'NOT OK  %s\n' "$*"
  problems=$((problems + 1))
}
ok() { printf 'ok      %s\n' "$*"; }
cannot() {
  printf '%s\n' "$*" >&2
  exit 2
}

forward=
log=$(mktemp)
cleanup() {
  [ -z "$forward" ] || kill "$forward" 2>/dev/null
  rm -f "$log"
}
trap cleanup EXIT

for program in kubectl curl; do
  command -v "$program" >/dev/null || cannot "$program is not installed"
done

# probe POD PORT PATH asks one endpoint of one pod.
probe() {
  local pod=$1 port=$2 path=$3 address='' try
  kubectl -n "$namespace" port-forward "pod/$pod" ":$port" >"$log" 2>&1 &
  forward=$!
  for try in $(seq 100); do
    address=$(sed -n 's/^Forwarding from \(127\.0\.0\.1:[0-9]*\) .*/\1/p' "$log" | head -n 1)
    [ -z "$address" ] || break
    kill -0 "$forward" 2>/dev/null || break
    sleep 0.1
  done
  if [ -z "$address" ]; then
    problem "$pod: no way to port $port after $try tries: $(tail -n 1 "$log")"
  elif curl --silent --fail --max-time 10 --output /dev/null "http://$address$path"; then
    ok "$pod: port $port $path"
  else
    problem "$pod: port $port $path does not answer 200"
  fi
  kill "$forward" 2>/dev/null
  wait "$forward" 2>/dev/null
  forward=
}

counts=$(kubectl -n "$namespace" get deployment "$deployment" -o jsonpath='{.spec.replicas} {.status.readyReplicas}') ||
  cannot "the Deployment $namespace/$deployment cannot be read"
read -r want ready <<<"$counts"
ready=${ready:-0}
if [ "$ready" -ge "$want" ] && [ "$want" -gt 0 ]; then
  ok "$ready of $want replicas are ready"
else
  problem "$ready of $want replicas are ready"
fi

pods=$(kubectl -n "$namespace" get pods -l "app.kubernetes.io/name=$deployment" \
  -o jsonpath='{range .items[*]}{.metadata.name}{" "}{.status.phase}{" "}{.metadata.deletionTimestamp}{"\n"}{end}') ||
  cannot "the pods of $namespace cannot be listed"
[ -n "$pods" ] || problem "there is no pod with the label app.kubernetes.io/name=$deployment"

names=' '
while read -r pod phase deleted; do
  [ -n "$pod" ] || continue
  names+="$pod "
  [ -z "${deleted:-}" ] || continue
  if [ "$phase" != Running ]; then
    problem "$pod: phase $phase"
    continue
  fi
  for port in 8081 8082; do
    for path in /healthz /readyz; do
      probe "$pod" "$port" "$path"
    done
  done
done <<<"$pods"

for lease in datapower-helm-operator datapower-sidecar; do
  holder=$(kubectl -n "$namespace" get lease "$lease" -o jsonpath='{.spec.holderIdentity}' 2>/dev/null)
  pod=${holder%%_*}
  if [ -z "$holder" ]; then
    problem "nobody leads: the Lease $lease has no holder"
  elif [[ "$names" == *" $pod "* ]]; then
    ok "$pod holds the Lease $lease"
  else
    problem "the Lease $lease is held by $holder, which is no pod of the operator"
  fi
done

if [ "$problems" -gt 0 ]; then
  printf '%s problems; see docs/runbooks\n' "$problems"
  exit 1
fi
echo "the operator is healthy"
