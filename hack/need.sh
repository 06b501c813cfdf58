#!/usr/bin/env bash
# need.sh PACKAGE PROGRAM [PACKAGE PROGRAM...]: installs Debian packages whose programs are not there. Where that is not possible
# (another system, or not root) it says what is missing, and the tests that need the program are skipped with a reason.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
missing=()
while [ $# -gt 1 ]; do
  command -v "$2" >/dev/null || missing+=("$1")
  shift 2
done
if [ ${#missing[@]} = 0 ]; then
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  printf 'not installed, tests that need it are skipped: %s\n' "${missing[*]}"
  exit 0
fi
printf 'installing %s\n' "${missing[*]}"
apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
  { apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null; }
