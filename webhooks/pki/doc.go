// Package pki keeps the certificates with which the operator's webhooks serve: a CA of their own and a leaf, each in a
// Secret.
//
// The pure part makes and inspects certificates ([NewCA], [Issue], [CheckCA], [CheckLeaf]) and decides ([Decide]) what
// to do about what is found. [Keeper] acts: it writes the two Secrets, one step at a time, each write guarded by the
// resourceVersion of what was looked at, so that two keepers never undo each other's work. [Serving] is what a server
// serves: the leaf of the Secret as last seen whole.
//
// # Rotation
//
// A CA is replaced without a call failing, in steps each of which can be repeated:
//
//  1. The new CA is written to its Secret. The bundle, key ca.crt of both Secrets, holds the new and the old one.
//  2. Whoever calls the webhooks is told to trust the bundle ([Facts.Published]), and gets [Policy.Settle] to notice.
//  3. A leaf of the new CA is written. Every replica serves it as soon as it sees it.
//  4. Every replica is asked, by a TLS handshake, whether it serves a leaf of the new CA. When all do, the old CA
//     leaves the bundle.
//
// The key of an old CA is not kept: what it signed stays trusted until step 4, and nothing more is signed with it. A
// leaf is renewed under the same CA by writing it.
//
// A Secret that was deleted or damaged by hand goes the same way: the certificates that the other Secret still names
// as trusted stay in the bundle, so that replicas which serve the old leaf go on being trusted.
package pki
