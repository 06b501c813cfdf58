#!/usr/bin/env bash
# The main job, shown: published resources become running gateway sets; what is broken is
# repaired. Runs against the local cluster and leaves it up.
set -euo pipefail
cd "$(dirname "$0")/.."
# Never anybody else's cluster, whatever the environment says.
KUBECONFIG=$PWD/.cluster/kubeconfig
# shellcheck source=hack/lib.sh
. hack/lib.sh

ns=${DEMO_NAMESPACE:-datapower-demo}
step=0

bold='' colour='' plain='' # a log has no colours
if [ -t 1 ]; then
  bold=$'\033[1m' colour=$'\033[36m' plain=$'\033[0m'
fi

title() {
  step=$((step + 1))
  printf '\n%s%d. %s%s\n' "$bold" "$step" "$*" "$plain"
}

# show CMD...: print a command as a reader would type it, then run it.
show() {
  printf '%s$ %s%s\n' "$colour" "$*" "$plain"
  "$@"
}

k() { show kubectl -n "$ns" "$@"; }

# until_true TEXT CMD...: wait for a command to succeed, at most a minute.
until_true() {
  local text=$1
  shift
  for _ in $(seq 300); do
    if "$@" >/dev/null 2>&1; then
      say "   $text"
      return
    fi
    sleep 0.2
  done
  say "   still not: $text"
  kubectl -n "$ns" get events --sort-by=.lastTimestamp | tail -20
  fail "the logs are in .cluster/operator/"
}

need_cluster
if kubectl get namespace "$ns" >/dev/null 2>&1; then
  say "removing what an earlier demo left (the operator takes its finalizers off)"
  hack/operator.sh start
  kubectl delete namespace "$ns" --timeout=2m
fi
hack/operator.sh stop

title "Install the kinds and start the operator (helm-operator and sidecar, on this machine)"
show kubectl apply --server-side -k config/crd
kubectl wait --for=condition=Established --timeout=60s -f config/crd/bases >/dev/null
show hack/operator.sh start
show kubectl create namespace "$ns"

title "Apply the samples"
say "Stand-ins answer for the gateways of the simulated pods; monitors are to trust their certificate:"
k create secret generic gateway-certificates --from-file=tls.crt=.cluster/operator/gateways.pem
k apply -k config/samples
for name in gateway orders editor elastic peers; do
  k wait --for=condition=Ready "dp/$name" --timeout=2m
done
k get dp

title "What became of one of them"
k get statefulset,service,configmap,serviceaccount,poddisruptionbudget,networkpolicy,datapowermonitor -l datapower.ibm.com/service=orders
k get pods -l datapower.ibm.com/service=orders -o wide
k describe dp orders | sed -n '/^Status:/,$p' | sed '/^    Available:/,/^    Reconciled:/{/^    Reconciled:/!d}'

title "Scale it as one scales anything"
k scale dp/orders --replicas=5
k wait --for=jsonpath='{.status.replicas}'=5 dp/orders --timeout=1m
k wait --for=condition=Ready dp/orders --timeout=1m
k get dp orders

title "A gateway goes for good: the others' peering is reset"
k wait --for=condition=PeeringHealthy dpm/peers --timeout=1m
k scale dp/peers --replicas=2
# shellcheck disable=SC2016
until_true "the monitor has reset what listed it" sh -c 'kubectl -n "$0" get dpm peers -o "jsonpath={.status.lastWork.result}" | grep -q Healed' "$ns"
k get dpm
k describe dpm peers | sed -n '/^Status:/,$p'

title "Delete the Service of orders: the operator makes it again"
uid=$(kubectl -n "$ns" get service orders-headless -o 'jsonpath={.metadata.uid}')
k delete service orders-headless
# shellcheck disable=SC2016 # expanded by the inner shell
until_true "orders-headless is back" sh -c 'now=$(kubectl -n "$0" get service orders-headless -o "jsonpath={.metadata.uid}") && [ "$now" != "$1" ]' "$ns" "$uid"
k get service orders-headless

title "Edit the StatefulSet of orders behind the operator's back: the edit is undone"
k patch statefulset orders --type=json -p '[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"registry.invalid/rogue:1"}]'
# shellcheck disable=SC2016
until_true "the image is the right one again" sh -c 'kubectl -n "$0" get statefulset orders -o "jsonpath={.spec.template.spec.containers[0].image}" | grep -q datapower-prod' "$ns"
k get events --field-selector reason=DriftCorrected

title "Delete a Secret that the gateways need: the service says what is missing and keeps running"
saved=$(kubectl -n "$ns" get secret orders-admin -o yaml | sed -E '/^  (uid|resourceVersion|creationTimestamp):/d')
k delete secret orders-admin
k wait --for=condition=Error dp/orders --timeout=1m
k get dp orders -o 'jsonpath={.status.phase}{": "}{.status.conditions[?(@.type=="Error")].message}{"\n"}'
k get pods -l datapower.ibm.com/service=orders
say "put it back:"
printf '%s\n' "$saved" | show kubectl -n "$ns" apply -f -
# shellcheck disable=SC2016
until_true "orders is well again" sh -c '[ "$(kubectl -n "$0" get dp orders -o "jsonpath={.status.phase}")" = Running ]' "$ns"

title "Change a password: the pods roll"
k patch secret orders-operator -p '{"stringData":{"password":"another"}}'
k wait --for=jsonpath='{.status.deployedRelease.revision}'=3 dp/orders --timeout=1m
k wait --for=condition=Ready dp/orders --timeout=2m
k rollout status statefulset/orders --timeout=2m

title "Bad input is refused and changes nothing"
if k patch dp orders --type=merge -p '{"spec":{"license":{"accept":false}}}'; then
  fail "a licence that is not accepted should have been refused"
fi
if k patch dp orders --type=merge -p '{"spec":{"resources":{"limits":{"memory":"1Gi"}}}}'; then
  fail "too little memory should have been refused"
fi

title "Done"
k get dp
cat <<EOF

The cluster and the operator go on running. To look around:

  export KUBECONFIG=$KUBECONFIG
  export PATH=$PWD/.cluster/bin:\$PATH
  kubectl -n $ns get dp,pods
  kubectl -n $ns describe dp orders
  kubectl explain dp.spec.domains

The operator's logs are in .cluster/operator/. To stop everything: make cluster-down
EOF
