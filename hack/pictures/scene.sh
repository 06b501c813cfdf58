#!/usr/bin/env bash
# Draws the dashboards into docs/images, with the data of ten eventful minutes: three replicas of the operator, stand-ins for the
# gateways and a Prometheus run on the local cluster, and things are scaled, deleted, broken and refused. Logs and pages are in
# .cluster/pictures. The cluster stays up; what was made in it is removed.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Never anybody else's cluster, whatever the environment says.
KUBECONFIG=$PWD/.cluster/kubeconfig
# shellcheck source=hack/lib.sh
. hack/lib.sh

state=$PWD/.cluster/pictures
replicas=3
first_port=18440
prometheus=127.0.0.1:18430
control=127.0.0.1:18431
begin=$SECONDS
pids=()

# at SECONDS TEXT: waits for a moment of the scene and tells what happens then.
at() {
  local now=$((SECONDS - begin))
  [ "$now" -ge "$1" ] || sleep $(($1 - now))
  printf '[%3d s] %s\n' $((SECONDS - begin)) "$2"
}

k() { kubectl "$@" >>"$state/kubectl.log" 2>&1; }

# until_true TEXT CMD...: wait for a command to succeed, two minutes at most.
until_true() {
  local text=$1
  shift
  for _ in $(seq 240); do
    if "$@" >/dev/null 2>&1; then
      return
    fi
    sleep 0.5
  done
  fail "still not: $text; logs are in $state"
}

# start NAME CMD...: in the background, with a log.
start() {
  local name=$1
  shift
  "$@" >>"$state/$name.log" 2>&1 </dev/null &
  echo $! >"$state/$name.pid"
  pids+=($!)
}

# replica NUMBER PROGRAM: as in a pod of its own, with the ports of the number.
replica() {
  local name=operator-$1-$2 port=$((first_port + 2 * $1)) flags=()
  if [ "$2" = sidecar ]; then
    port=$((port + 1))
    mapfile -t flags < <(sidecar_flags | tr ' ' '\n')
  fi
  start "$name" env POD_NAMESPACE=datapower-system POD_NAME="operator-$1" HTTPS_PROXY="$proxy" \
    "bin/$2" --health-probe-bind-address=0 --metrics-bind-address="127.0.0.1:$port" "${flags[@]}"
}

# leader LABEL: the number of the replica that leads.
leader() { kubectl -n datapower-system get pods -l "$1=true" -o 'jsonpath={.items[0].metadata.name}' | sed s/operator-//; }

finish() {
  local code=$?
  trap - INT TERM EXIT
  [ $code -eq 0 ] || say "stopped; logs are in $state"
  kubectl delete namespace shop billing --ignore-not-found --timeout=2m >/dev/null 2>&1 || true
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  wait
  kubectl -n datapower-system delete pod -l scene=pictures --force >/dev/null 2>&1 || true
  kubectl -n datapower-system delete serviceaccount/pictures clusterrolebinding/pictures >/dev/null 2>&1 || true
  forget_webhooks || true
}

# scrape_config: what config/prometheus/servicemonitor.yaml asks for, and the rules of that folder.
scrape_config() {
  cat <<EOF
global: {scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 5s}
rule_files: [$state/rules-*.yaml]
scrape_configs:
  - job_name: datapower-operator-metrics
    scheme: https
    honor_labels: true
    authorization: {credentials_file: $state/token}
    tls_config: {ca_file: $state/ca.crt, server_name: datapower-operator-metrics.datapower-system.svc}
    static_configs:
EOF
  local i
  for i in $(seq 0 $((replicas - 1))); do
    cat <<EOF
      - {targets: ["127.0.0.1:$((first_port + 2 * i))"], labels: {namespace: datapower-system, pod: operator-$i, container: helm-operator}}
      - {targets: ["127.0.0.1:$((first_port + 2 * i + 1))"], labels: {namespace: datapower-system, pod: operator-$i, container: sidecar}}
EOF
  done
}

start_prometheus() {
  local rules
  kubectl -n datapower-system get secret datapower-operator -o 'go-template={{index .data "ca.crt" | base64decode}}' >"$state/ca.crt"
  k -n datapower-system create serviceaccount pictures || true # of an earlier run
  k create clusterrolebinding pictures --clusterrole=datapower-operator-metrics-reader --serviceaccount=datapower-system:pictures || true
  kubectl -n datapower-system create token pictures --duration=1h >"$state/token"
  for rules in config/prometheus/rules-*.yaml; do
    sed -n '/^spec:/,$p' "$rules" | sed '1d; s/^  //' >"$state/${rules##*/}"
  done
  scrape_config >"$state/prometheus.yml"
  start prometheus prometheus --config.file="$state/prometheus.yml" --storage.tsdb.path="$state/tsdb" --web.listen-address="$prometheus" --log.level=warn
}

# users do what users do all the time, some of it wrong.
users() {
  while sleep 2; do
    k -n shop get datapowerservices.v1beta1.datapower.ibm.com || true
    k -n shop annotate --overwrite dp gateway "touched=$SECONDS" || true
    k -n shop patch dp gateway --type=merge -p '{"spec":{"version":"11"}}' || true # refused by the webhook
  done
}

need_cluster
for program in prometheus chromium; do
  command -v $program >/dev/null || fail "$program is not installed: see hack/need.sh"
done
trap finish EXIT
trap exit INT TERM
rm -rf "$state"
mkdir -p "$state"
hack/operator.sh stop

at 0 "the operator starts with $replicas replicas"
k apply --server-side -k config/crd
k apply --server-side -k config/crd/oda
k wait --for=condition=Established --timeout=60s -f config/crd/bases
need_namespace
k apply -f config/rbac/metrics-reader.yaml
start gateway bin/gateway --fleet --kubeconfig="$KUBECONFIG" --certificate="$state/gateways.pem" --control="$control"
until_true "the stand-ins for gateways start" grep -q '^HTTPS_PROXY=' "$state/gateway.log"
proxy=$(sed -n 's/^HTTPS_PROXY=//p' "$state/gateway.log")
for i in $(seq 0 $((replicas - 1))); do
  k -n datapower-system run "operator-$i" --image=operator --labels=app.kubernetes.io/name=datapower-operator,scene=pictures
  replica "$i" helm-operator
  replica "$i" sidecar
done
until_true "there is a certificate" kubectl -n datapower-system get secret datapower-operator
until_true "the webhooks answer" kubectl -n default apply --dry-run=server -f config/samples/service-minimal.yaml
start_prometheus

begin=$SECONDS
at 20 "the samples are applied in two namespaces"
for namespace in shop billing; do
  k create namespace $namespace
  k -n $namespace create secret generic gateway-certificates --from-file=tls.crt="$state/gateways.pem"
  k -n $namespace create quota gateways --hard=pods=20,requests.cpu=80,requests.memory=200Gi,persistentvolumeclaims=4
done
k -n shop apply -k config/samples
k -n billing apply -f config/samples/service-peering.yaml
start users users
at 60 "APIs are exposed, one of which nobody serves"
k -n shop create service clusterip r1-prodcatapi --tcp=8080:8080
k -n shop set selector service r1-prodcatapi datapower.ibm.com/service=orders
k -n shop apply -k config/samples/exposedapi
at 90 "orders is scaled; two gateways are deleted"
k -n shop scale dp/orders --replicas=5
k -n shop delete pod peers-0 peers-1 --wait=false
at 140 "objects are edited and deleted behind the operator's back"
k -n shop delete service orders-headless
k -n shop patch statefulset orders --type=json -p '[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"registry.invalid/rogue:1"}]'
at 180 "a gateway goes for good"
k -n shop scale dp/peers --replicas=2
at 220 "a Secret is deleted"
k -n shop delete secret orders-operator
at 260 "the sidecar's leader is killed"
number=$(leader leader)
killed=$(cat "$state/operator-$number-sidecar.pid")
kill -KILL "$killed"
wait "$killed" 2>/dev/null || true
at 300 "it comes back"
replica "$number" sidecar
at 330 "resets of one service have no effect from now on; one of its gateways goes"
curl -sS -X PUT -d '{"lyingReset": true}' "http://$control/faults" >/dev/null
k -n billing scale dp/peers --replicas=2
at 420 "gateways do not let the monitor in, for half a minute"
curl -sS -X PUT -d '{"unauthorized": true}' "http://$control/faults" >/dev/null
k -n shop delete pod peers-0 --wait=false
at 450 "they do again"
curl -sS -X PUT -d '{"lyingReset": true}' "http://$control/faults" >/dev/null
at 480 "the helm-operator's leader ends and comes back"
number=$(leader helm-operator-leader)
kill "$(cat "$state/operator-$number-helm-operator.pid")"
at 500 "a new version of all that is well"
replica "$number" helm-operator
k -n shop patch dp gateway --type=merge -p '{"spec":{"env":[{"name":"STAGE","value":"test"}]}}'
at 600 "the pictures are taken"
mkdir -p docs/images
bin/pictures --prometheus="http://$prometheus" --work="$state"
