#!/usr/bin/env bash
# Prints the operator's manifests as kubectl applies them, made from config/default by three settings in the environment:
#   NAMESPACE        of the operator (default datapower-system)
#   WATCH_NAMESPACE  namespaces that are watched, separated by commas; empty means all
#   IMAGE            of the operator (default: what config/default says)
# KUBECTL names the kubectl to build with.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
namespace=${NAMESPACE:-datapower-system}
watched=${WATCH_NAMESPACE:-}
base=datapower-system # what config/ calls the namespace, and nothing else

binding() { # of the rights in one watched namespace
  cat <<YAML
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: $base.datapower-operator-watched
  namespace: $1
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: $base.datapower-operator-watched}
subjects: [{kind: ServiceAccount, name: datapower-operator, namespace: $base}]
YAML
}

mkdir -p "$root/dist"
overlay=$(mktemp -d "$root/dist/manifests.XXXXXX")
trap 'rm -rf "$overlay"' EXIT
{
  echo 'apiVersion: kustomize.config.k8s.io/v1beta1'
  echo 'kind: Kustomization'
  echo 'resources: [../../config/default, bindings.yaml]'
  if [ -n "${IMAGE:-}" ]; then
    case $IMAGE in
      *@*) echo "images: [{name: datapower-operator, newName: \"${IMAGE%@*}\", digest: \"${IMAGE#*@}\"}]" ;;
      */*:* | [!/]*:*) echo "images: [{name: datapower-operator, newName: \"${IMAGE%:*}\", newTag: \"${IMAGE##*:}\"}]" ;;
      *) echo "IMAGE needs a tag or a digest: $IMAGE" >&2; exit 2 ;;
    esac
  fi
  if [ -n "$watched" ]; then
    cat <<YAML
patches:
  - patch: |
      \$patch: delete
      apiVersion: rbac.authorization.k8s.io/v1
      kind: ClusterRoleBinding
      metadata: {name: $base.datapower-operator-watched}
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: datapower-operator, namespace: $base}
      spec:
        template:
          spec:
            containers:
              - {name: helm-operator, env: [{name: WATCH_NAMESPACE, value: "$watched"}]}
              - {name: sidecar, env: [{name: WATCH_NAMESPACE, value: "$watched"}]}
YAML
  fi
} >"$overlay/kustomization.yaml"
tr ',' '\n' <<<"$watched" | while read -r name; do
  [ -z "$name" ] || binding "$name"
done >"$overlay/bindings.yaml"
[ -s "$overlay/bindings.yaml" ] || sed -i 's|, bindings.yaml||' "$overlay/kustomization.yaml"

"${KUBECTL:-kubectl}" kustomize "$overlay" | if [ "$namespace" = "$base" ]; then cat; else sed "s/\b$base\b/$namespace/g"; fi
