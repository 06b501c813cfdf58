#!/usr/bin/env bash
# Regenerates everything generated in a copy of the working tree and compares.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

cd "$root"
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do
  [ -e "$f" ] && printf '%s\0' "$f"
done | tar --null -T - -cf - | tar -xf - -C "$copy"
mkdir -p bin
ln -s "$root/bin" "$copy/bin"

echo "regenerating in a copy"
make -C "$copy" generate >/dev/null

changed=0
while IFS= read -r -d '' f; do
  if [ -e "$f" ] && ! cmp -s "$f" "$copy/$f"; then
    echo "out of date: $f" >&2
    diff -u "$f" "$copy/$f" | head -20 >&2 || true
    changed=1
  fi
done < <(git ls-files -z --cached --others --exclude-standard)
while IFS= read -r f; do
  if [ ! -e "$f" ]; then
    echo "missing: $f" >&2
    changed=1
  fi
done < <(cd "$copy" && find api bundle catalog config helm-charts docs -type f)

if [ "$changed" != 0 ]; then
  echo "run: make generate" >&2
  exit 1
fi
echo "generated files are up to date"
