#!/bin/sh
# What the image of the stand-in starts in place of the gateway. Its peers are the other pods of the StatefulSet. When the default
# domain has a certificate and its key among its shared files (tls.crt, tls.key), the management interface shows it.
set -eu
shared=/opt/ibm/datapower/root/secure/sharedcerts
# shellcheck disable=SC3028 # the container runtime sets it
set -- "--service=${HOSTNAME%-*}-headless" --control=:5599
if [ -e "$shared/tls.key" ]; then
  set -- "$@" "--tls-cert=$shared/tls.crt" "--tls-key=$shared/tls.key"
fi
exec /gateway "$@"
