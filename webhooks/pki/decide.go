package pki

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// State is what the two Secrets hold.
type State struct {
	// CA is the authority that signs.
	CA Pair
	// Trusted is the bundle in the Secret of the CA, PEM-encoded.
	Trusted []byte
	// Leaf is what the replicas serve.
	Leaf Pair
	// LeafTrusted is the bundle in the Secret of the leaf, PEM-encoded.
	LeafTrusted []byte
}

// Facts are what else a decision depends on.
type Facts struct {
	// Published is since when all callers have been told to trust exactly the bundle of the CA's Secret; zero when
	// they have not.
	Published time.Time
	// Serving tells that every replica was asked and serves a leaf of the CA.
	Serving bool
}

// Step is what is to be done next.
type Step string

// Steps, in the order in which a rotation takes them.
const (
	// StepNone: nothing is to be done before [Decision.At].
	StepNone Step = "None"
	// StepCA makes a CA and a bundle of it and what else is trusted.
	StepCA Step = "CA"
	// StepBundle writes the bundle of the CA's Secret as it should be.
	StepBundle Step = "Bundle"
	// StepPublish waits until callers trust the bundle.
	StepPublish Step = "Publish"
	// StepLeaf issues a leaf.
	StepLeaf Step = "Leaf"
	// StepCopy copies the bundle into the Secret of the leaf.
	StepCopy Step = "Copy"
	// StepAsk asks the replicas which leaf they serve.
	StepAsk Step = "Ask"
	// StepDrop removes old CAs from the bundle.
	StepDrop Step = "Drop"
)

// Decision is the next step.
type Decision struct {
	Step Step
	// Why is for humans: what is found, never a part of a key.
	Why string
	// At is when to decide again if nothing changes: for StepNone and StepPublish. Zero for StepPublish means that
	// only publishing helps.
	At time.Time
	// Bundle is what the bundle of the CA's Secret is to be: for StepBundle and StepDrop, and for StepCA all of it but
	// the new CA.
	Bundle []*x509.Certificate
}

// Decide says what to do next. It is pure: the same arguments give the same answer.
func Decide(state State, facts Facts, names Names, now time.Time, policy Policy) Decision {
	ca, err := CheckCA(state.CA, now)
	if err != nil {
		return Decision{Step: StepCA, Why: "the CA cannot be used: " + err.Error(), Bundle: state.trusted()}
	}
	written, err := ParseBundle(state.Trusted)
	if err != nil || !contains(written, ca) {
		// What the leaf's Secret names is trusted only now: after a drop it still names, for a moment, what was dropped.
		return Decision{Step: StepBundle, Why: "the bundle lacks the CA", Bundle: newBundle(ca, state.trusted(), now)}
	}
	bundle := newBundle(ca, slices.Clone(written), now)
	if !bytes.Equal(EncodeBundle(bundle), state.Trusted) {
		return Decision{Step: StepBundle, Why: "the bundle is not as it should be", Bundle: bundle}
	}
	leaf, wrong := CheckLeaf(state.Leaf, bundle, names, now)
	if wrong != nil {
		return Decision{Step: StepLeaf, Why: "the leaf cannot be used: " + wrong.Error()}
	}
	if !bytes.Equal(state.LeafTrusted, state.Trusted) {
		return Decision{Step: StepCopy, Why: "the leaf's Secret has another bundle than the CA's"}
	}
	if !SignedBy(leaf, ca) {
		return overlap(leaf, facts, now, policy)
	}
	return steady(ca, leaf, bundle, facts, now)
}

// overlap decides while the leaf is that of an old CA, which the bundle holds.
func overlap(leaf *x509.Certificate, facts Facts, now time.Time, policy Policy) Decision {
	if facts.Published.IsZero() {
		return Decision{Step: StepPublish, Why: "callers do not trust the new CA yet", At: leaf.NotAfter}
	}
	if settled := facts.Published.Add(policy.Settle); now.Before(settled) {
		return Decision{Step: StepPublish, Why: "callers have just been told to trust the new CA", At: settled}
	}
	return Decision{Step: StepLeaf, Why: "the leaf is that of the old CA"}
}

// steady decides while the leaf is that of the CA.
func steady(ca, leaf *x509.Certificate, bundle []*x509.Certificate, facts Facts, now time.Time) Decision {
	caDue, leafDue := !now.Before(RenewAt(ca)), !now.Before(RenewAt(leaf))
	switch {
	case leafDue && (!caDue || len(bundle) > 1):
		return Decision{Step: StepLeaf, Why: "the leaf is due for renewal"}
	case len(bundle) > 1 && !facts.Serving:
		return Decision{Step: StepAsk, Why: "old CAs are trusted as long as a replica serves a leaf of them"}
	case len(bundle) > 1:
		return Decision{Step: StepDrop, Why: "every replica serves a leaf of the new CA", Bundle: bundle[:1]}
	case caDue:
		return Decision{Step: StepCA, Why: "the CA is due for renewal", Bundle: bundle}
	}
	at := RenewAt(leaf)
	if due := RenewAt(ca); due.Before(at) {
		at = due
	}
	return Decision{Step: StepNone, Why: fmt.Sprintf("nothing is due before %s", at.UTC().Format(time.RFC3339)), At: at}
}

// trusted are all certificates that the Secrets name as a CA, for the case that the bundle itself is damaged.
func (s State) trusted() []*x509.Certificate {
	var found []*x509.Certificate
	for _, text := range [][]byte{s.CA.Cert, s.Trusted, s.LeafTrusted} {
		if certs, err := ParseBundle(text); err == nil {
			found = append(found, certs...)
		}
	}
	return found
}
