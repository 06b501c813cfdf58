// Package manifests proves the installation by manifests on a real node, as a user walks it with kubectl: the previous version is
// installed, gateways run, the operator is upgraded, gone back from and upgraded again, loses its leader and is scraped, gateways heal
// their peering, and an uninstallation leaves nothing. There is nothing in it but a test, which hack/e2e.sh runs: it wants E2E=1, in
// KUBECONFIG the cluster of `cluster up --real-node`, and names of images that the node has.
package manifests
