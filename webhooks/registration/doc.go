// Package registration tells the API server of the operator's webhooks: for each kind a MutatingWebhookConfiguration
// and a ValidatingWebhookConfiguration, named after the operator's namespace, so that operators in several namespaces
// do not meet.
//
// [Desired] is pure: what the configurations should be. [Reconciler] acts on the leader: it keeps the certificates
// (package pki) and the configurations right, and is the one who knows when a bundle of CAs is published. It writes
// nothing before its own server answers with a certificate that the API server will accept, and nothing that is right
// already. [Readiness] tells, on every replica, whether the API server can call it.
package registration
