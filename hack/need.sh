#!/usr/bin/env bash
# need.sh PACKAGE PROGRAM: installs a Debian package unless the program is there. Where that is not possible (another system, or
# not root) it says what is missing, and the tests that need the program are skipped with a reason.
set -euo pipefail
package=$1 program=$2
if command -v "$program" >/dev/null; then
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  printf '%s is not installed, tests that need it are skipped: install the package %s\n' "$program" "$package"
  exit 0
fi
printf 'installing %s\n' "$package"
export DEBIAN_FRONTEND=noninteractive
apt-get install -qq -y --no-install-recommends "$package" >/dev/null 2>&1 ||
  { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$package" >/dev/null; }
