#!/usr/bin/env bash
# Builds the plugin's archives for krew and the manifest that names them: hack/krew/package.sh VERSION FOLDER [OS/ARCH...]
# Archives are the same for the same sources.
set -euo pipefail
version=${1:?the version, such as 0.1.0} out=${2:?the folder for the archives}
shift 2
if [ $# -eq 0 ]; then
  set -- linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64
fi
cd "$(dirname "$0")/../.."
mkdir -p "$out"
out=$(cd "$out" && pwd)
url=${KREW_URL:-https://github.com/datapower-operator/datapower-operator/releases/download/v$version}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed "s/@VERSION@/$version/" hack/krew/datapower.yaml > "$out/datapower.yaml"
for platform in "$@"; do
  os=${platform%/*} arch=${platform#*/} program=kubectl-datapower
  [ "$os" != windows ] || program=$program.exe
  tree=$work/$os-$arch
  mkdir -p "$tree/helm-charts"
  CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -ldflags '-s -w' -o "$tree/$program" ./cmd/kubectl-datapower
  cp -R helm-charts/datapowerservice "$tree/helm-charts/"
  cp LICENSE "$tree/"
  archive=kubectl-datapower-$os-$arch.tar.gz
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -C "$tree" -cf - . | gzip -n > "$out/$archive"
  cat >> "$out/datapower.yaml" <<END
    - selector:
        matchLabels: {os: $os, arch: $arch}
      uri: $url/$archive
      sha256: $(sha256sum "$out/$archive" | cut -d' ' -f1)
      bin: $program
END
done
