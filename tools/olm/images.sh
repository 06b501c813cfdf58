#!/usr/bin/env bash
# Builds the Operator Lifecycle Manager and opm from the modules that this folder pins, and images of them: dist/olm/olm.tar and
# dist/olm/opm.tar, OCI archives for this machine's architecture. What is up to date stays. Needs bin/image of tools/image.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
programs=$root/bin/olm
out=$root/dist/olm
lifecycle=github.com/operator-framework/operator-lifecycle-manager
registry=github.com/operator-framework/operator-registry

cd "$root/tools/olm"
echo "building OLM's programs (about five minutes the first time)"
mkdir -p "$programs" "$out"
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' \
  -tags containers_image_openpgp,exclude_graphdriver_btrfs,exclude_graphdriver_devicemapper,json1 -o "$programs/" \
  "$lifecycle/cmd/olm" "$lifecycle/cmd/catalog" "$lifecycle/cmd/package-server" "$lifecycle/cmd/copy-content" "$lifecycle/util/cpb" \
  "$registry/cmd/opm" ./cmd/cp ./cmd/grpc_health_probe

stamp=$(sha256sum "$programs"/* "$root/bin/image" images.sh | sha256sum)
if [ "$stamp" = "$(cat "$out/stamp" 2>/dev/null)" ] && [ -e "$out/olm.tar" ] && [ -e "$out/opm.tar" ]; then
  echo "the images of OLM are up to date"
  exit
fi
rm -f "$out/stamp"
image() { # NAME MODULE PROGRAM...
  local name=$1 version files=LICENSE program
  version=$(go list -m -f '{{.Version}}' "$2")
  shift 2
  for program; do files=$files,bin/olm/$program:bin/$program; done
  "$root/bin/image" --repository="$root" --output="$out/$name.tar" --arch="$(go env GOARCH)" --name="localhost/$name" --version="$version" \
    --programs= --files="$files" --by-digest
}
image olm "$lifecycle" olm catalog package-server copy-content cpb cp
image opm "$registry" opm grpc_health_probe
echo "$stamp" >"$out/stamp"
