// Package olm proves the installation by the Operator Lifecycle Manager on a real node: what `operator-sdk run bundle` and
// `run bundle-upgrade` do, through a catalogue and its channel, in two install modes, to the uninstallation. There is nothing in it
// but a test, which wants E2E=1 and in KUBECONFIG the cluster of `cluster up --real-node`.
//
// There is no registry. OLM pulls images by digest only when the node lacks them, so all images of the test are named by digest and
// given to the node before.
package olm
