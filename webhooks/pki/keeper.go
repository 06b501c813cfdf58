package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
)

// ErrStuck says that a rotation has waited longer than [Policy.Patience]. Nothing fails because of it: the old
// certificates go on being trusted.
var ErrStuck = errors.New("the rotation of certificates does not go on")

// maxSteps bounds the steps of one call of Keep; the longest way, from nothing to a leaf, has three.
const maxSteps = 6

// Options are what a [Keeper] needs.
type Options struct {
	// Secrets is where the certificates are.
	Secrets Store
	// Namespace is that of the Secrets.
	Namespace string
	// CASecret and LeafSecret are their names.
	CASecret, LeafSecret string
	// CommonName is that of CAs.
	CommonName string
	// Names are what the leaf is valid for, at least one. The first is the one under which replicas are asked.
	Names Names
	// Owners and Labels are what Secrets that are written get.
	Owners func(ctx context.Context) ([]metav1.OwnerReference, error)
	Labels map[string]string
	// External says that somebody else, for example cert-manager, writes the Secret of the leaf. It is only read then,
	// and there is no Secret of a CA.
	External bool
	// Replicas are those who serve the leaf.
	Replicas Replicas
	// Policy says when to do what.
	Policy Policy
	// Clock tells the time.
	Clock clock.PassiveClock
}

// Keeper keeps the two Secrets right. One goroutine at a time may use it. Several keepers, in several processes, may
// keep the same Secrets.
type Keeper struct {
	Options
	// published is since when callers are known to trust bundle.
	published time.Time
	bundle    string
	// waiting is since when the same step waits.
	waiting  time.Time
	waitStep Step
	// askAll is AskReplicas, but in tests.
	askAll func(ctx context.Context, addresses []string, name string, bundle []*x509.Certificate) error
}

// NewKeeper fails with [ErrPolicy].
func NewKeeper(options Options) (*Keeper, error) {
	if err := options.Policy.Validate(); err != nil {
		return nil, err
	}
	return &Keeper{Options: options, askAll: AskReplicas}, nil
}

// Kept is what there is after Keep.
type Kept struct {
	// Bundle is what callers are to trust, PEM-encoded; empty when there is nothing to trust.
	Bundle []byte
	// CAExpiry and LeafExpiry are when the certificates end; zero when there are none, or somebody else's.
	CAExpiry, LeafExpiry time.Time
	// CARenewal and LeafRenewal are when they are due for renewal; zero likewise.
	CARenewal, LeafRenewal time.Time
	// Step and Why say what is waited for.
	Step Step
	Why  string
	// Wrote are the steps that were taken.
	Wrote []Step
	// Again is when to call Keep again if neither the Secrets nor what is published change.
	Again time.Duration
}

// Keep takes every step that can be taken now. published is the bundle that all callers have been told to trust, empty
// when some have not or are told different ones. A write that comes too late, because the Secret has changed since it
// was looked at, is no error: Keep wants to be called again. The error is [ErrStuck], one of the reasons of [CheckLeaf]
// for a Secret of somebody else, or that of the API server; what is known of Kept comes with it.
func (k *Keeper) Keep(ctx context.Context, published []byte) (Kept, error) {
	if k.External {
		return k.external(ctx)
	}
	now := k.Clock.Now()
	secrets, err := k.read(ctx)
	if err != nil {
		return Kept{}, err
	}
	var kept Kept
	facts := Facts{}
	for range maxSteps {
		state := secrets.state()
		facts.Published = k.publishedSince(state.Trusted, published, now)
		decision := Decide(state, facts, k.Names, now, k.Policy)
		kept.describe(state, decision)
		switch decision.Step {
		case StepNone, StepPublish:
			return k.wait(kept, decision, nil, now)
		case StepAsk:
			if err := k.ask(ctx, state); err != nil {
				return k.wait(kept, decision, err, now)
			}
			facts.Serving = true
			continue
		}
		err := k.act(ctx, secrets, state, decision, now)
		if stale(err) {
			kept.Again = k.Policy.Retry
			return kept, nil
		}
		if err != nil {
			return kept, fmt.Errorf("certificates, %s (%s): %w", decision.Step, decision.Why, err)
		}
		kept.Wrote = append(kept.Wrote, decision.Step)
	}
	kept.Again = k.Policy.Retry
	return kept, nil
}

// pairOfSecrets are the two Secrets, nil where there is none.
type pairOfSecrets struct{ ca, leaf *corev1.Secret }

func (k *Keeper) read(ctx context.Context) (*pairOfSecrets, error) {
	ca, err := k.Secrets.Get(ctx, k.CASecret)
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s: %w", k.CASecret, err)
	}
	leaf, err := k.Secrets.Get(ctx, k.LeafSecret)
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s: %w", k.LeafSecret, err)
	}
	return &pairOfSecrets{ca, leaf}, nil
}

func (s *pairOfSecrets) state() State {
	ca, caBundle := contentOf(s.ca)
	leaf, leafBundle := contentOf(s.leaf)
	return State{CA: ca, Trusted: caBundle, Leaf: leaf, LeafTrusted: leafBundle}
}

func contentOf(secret *corev1.Secret) (Pair, []byte) {
	if secret == nil {
		return Pair{}, nil
	}
	pair := Pair{Cert: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey]}
	return pair, secret.Data[corev1.ServiceAccountRootCAKey]
}

// publishedSince is since when this keeper knows the bundle to be published.
func (k *Keeper) publishedSince(bundle, published []byte, now time.Time) time.Time {
	if len(bundle) == 0 || string(bundle) != string(published) {
		return time.Time{}
	}
	if k.published.IsZero() || k.bundle != string(bundle) {
		k.published, k.bundle = now, string(bundle)
	}
	return k.published
}

func (kept *Kept) describe(state State, decision Decision) {
	kept.Bundle, kept.Step, kept.Why = state.Trusted, decision.Step, decision.Why
	kept.CAExpiry, kept.CARenewal = life(state.CA)
	kept.LeafExpiry, kept.LeafRenewal = life(state.Leaf)
}

// life is when a certificate ends and when it is due for renewal; zero when there is none.
func life(pair Pair) (ends, renewal time.Time) {
	if certs, err := ParseBundle(pair.Cert); err == nil {
		return certs[0].NotAfter, RenewAt(certs[0])
	}
	return time.Time{}, time.Time{}
}

// wait says when to look again. A rotation that waits too long is an error.
func (k *Keeper) wait(kept Kept, decision Decision, cause error, now time.Time) (Kept, error) {
	if decision.Step == StepNone {
		k.waitStep = StepNone
		kept.Again = max(decision.At.Sub(now), k.Policy.Retry)
		return kept, nil
	}
	if k.waitStep != decision.Step {
		k.waitStep, k.waiting = decision.Step, now
	}
	kept.Again = k.Policy.Retry
	if now.Sub(k.waiting) < k.Policy.Patience {
		return kept, nil
	}
	if cause == nil {
		cause = errors.New(decision.Why)
	}
	return kept, fmt.Errorf("%w: %w", ErrStuck, cause)
}

// ask succeeds when every replica serves a leaf of the CA.
func (k *Keeper) ask(ctx context.Context, state State) error {
	ca, err := CheckCA(state.CA, k.Clock.Now())
	if err != nil {
		return err
	}
	addresses, err := k.Replicas.Addresses(ctx)
	if err != nil {
		return fmt.Errorf("finding the replicas: %w", err)
	}
	return k.askAll(ctx, addresses, k.Names.all()[0], []*x509.Certificate{ca})
}

// act writes what a step changes, and keeps in secrets what the API server answered.
func (k *Keeper) act(ctx context.Context, secrets *pairOfSecrets, state State, decision Decision, now time.Time) error {
	var err error
	switch decision.Step {
	case StepCA:
		var ca Pair
		var cert *x509.Certificate
		if ca, err = NewCA(k.CommonName, now, k.Policy); err != nil {
			return err
		}
		if cert, err = CheckCA(ca, now); err != nil {
			return err
		}
		secrets.ca, err = k.write(ctx, k.CASecret, secrets.ca, ca, EncodeBundle(newBundle(cert, decision.Bundle, now)))
	case StepBundle, StepDrop:
		secrets.ca, err = k.write(ctx, k.CASecret, secrets.ca, state.CA, EncodeBundle(decision.Bundle))
	case StepLeaf:
		var leaf Pair
		if leaf, err = Issue(state.CA, k.Names, now, k.Policy); err != nil {
			return err
		}
		secrets.leaf, err = k.write(ctx, k.LeafSecret, secrets.leaf, leaf, state.Trusted)
	case StepCopy:
		secrets.leaf, err = k.write(ctx, k.LeafSecret, secrets.leaf, state.Leaf, state.Trusted)
	}
	return err
}

// write makes or updates a Secret. One that was made immutable by hand is made anew.
func (k *Keeper) write(ctx context.Context, name string, was *corev1.Secret, pair Pair, bundle []byte) (*corev1.Secret, error) {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: name},
		Type:       corev1.SecretTypeTLS,
	}
	if was != nil && ptr.Deref(was.Immutable, false) {
		if err := goneIsStale(k.Secrets.Delete(ctx, was)); err != nil {
			return was, fmt.Errorf("deleting Secret %s, which is immutable: %w", name, err)
		}
		was = nil
	}
	if was != nil {
		secret = was.DeepCopy()
	}
	if k.Owners != nil {
		owners, err := k.Owners(ctx)
		if err != nil {
			return was, fmt.Errorf("finding the owner of Secret %s: %w", name, err)
		}
		secret.OwnerReferences = WithOwners(secret.OwnerReferences, owners)
	}
	if secret.Labels == nil {
		secret.Labels = map[string]string{}
	}
	maps.Copy(secret.Labels, k.Labels)
	secret.Data = map[string][]byte{
		corev1.TLSCertKey: pair.Cert, corev1.TLSPrivateKeyKey: pair.Key, corev1.ServiceAccountRootCAKey: bundle,
	}
	if was == nil {
		written, err := k.Secrets.Create(ctx, secret)
		if err != nil {
			return nil, fmt.Errorf("creating Secret %s: %w", name, err)
		}
		return written, nil
	}
	written, err := k.Secrets.Update(ctx, secret)
	if err := goneIsStale(err); err != nil {
		return was, fmt.Errorf("updating Secret %s: %w", name, err)
	}
	return written, nil
}

// goneIsStale tells a Secret that is gone from a namespace that is not there.
func goneIsStale(err error) error {
	if apierrors.IsNotFound(err) {
		return errGone
	}
	return err
}

// external looks at a Secret that somebody else keeps.
func (k *Keeper) external(ctx context.Context) (Kept, error) {
	secret, err := k.Secrets.Get(ctx, k.LeafSecret)
	if err != nil {
		return Kept{}, fmt.Errorf("reading Secret %s: %w", k.LeafSecret, err)
	}
	leaf, bundle := contentOf(secret)
	ends, _ := life(leaf) // who keeps it renews it when they like
	kept := Kept{Bundle: bundle, LeafExpiry: ends, Step: StepNone, Why: "the certificates are somebody else's", Again: k.Policy.Patience}
	trusted, err := ParseBundle(bundle)
	if err != nil {
		kept.Bundle = nil
		return kept, fmt.Errorf("reading Secret %s, key %s: %w", k.LeafSecret, corev1.ServiceAccountRootCAKey, err)
	}
	if _, err := CheckLeaf(leaf, trusted, k.Names, k.Clock.Now()); err != nil {
		return kept, fmt.Errorf("checking Secret %s: %w", k.LeafSecret, err)
	}
	return kept, nil
}
