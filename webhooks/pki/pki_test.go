package pki_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

var (
	now    = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	policy = pki.DefaultPolicy()
	names  = pki.Names{DNS: []string{"hooks.ns.svc"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}
)

func newCA(t require.TestingT, at time.Time) (pki.Pair, *x509.Certificate) {
	ca, err := pki.NewCA("the-ca", at, policy)
	require.NoError(t, err)
	cert, err := pki.CheckCA(ca, at)
	require.NoError(t, err)
	return ca, cert
}

func newLeaf(t require.TestingT, ca pki.Pair, at time.Time) pki.Pair {
	leaf, err := pki.Issue(ca, names, at, policy)
	require.NoError(t, err)
	return leaf
}

func TestWhatIsIssuedIsWhatThePolicySays(t *testing.T) {
	ca, cert := newCA(t, now)
	assert.Equal(t, "the-ca", cert.Subject.CommonName)
	assert.Equal(t, now.Add(-time.Hour), cert.NotBefore)
	assert.Equal(t, now.AddDate(0, 0, 3650), cert.NotAfter)
	assert.True(t, cert.IsCA)
	assert.True(t, cert.MaxPathLenZero, "it signs no other CA")
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	require.True(t, ok)
	assert.Equal(t, elliptic.P256(), key.Curve)

	leaf, err := pki.CheckLeaf(newLeaf(t, ca, now), []*x509.Certificate{cert}, names, now)
	require.NoError(t, err)
	assert.Equal(t, now.AddDate(0, 0, 365), leaf.NotAfter)
	assert.Equal(t, "hooks.ns.svc", leaf.Subject.CommonName)
	assert.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, leaf.ExtKeyUsage)
	assert.False(t, leaf.IsCA)
	assert.True(t, pki.SignedBy(leaf, cert))
}

func TestALeafDoesNotOutliveItsCA(t *testing.T) {
	ca, cert := newCA(t, now)
	late := cert.NotAfter.Add(-24 * time.Hour)
	leaf, err := pki.CheckLeaf(newLeaf(t, ca, late), []*x509.Certificate{cert}, names, late)
	require.NoError(t, err)
	assert.Equal(t, cert.NotAfter, leaf.NotAfter)
}

func TestServiceNamesAreThoseThatTheAPIServerUses(t *testing.T) {
	assert.Equal(t, []string{"s.n.svc", "s.n.svc.cluster.local", "s.n"}, pki.ServiceNames("s", "n").DNS)
}

func TestWhyACACannotBeUsed(t *testing.T) {
	ca, cert := newCA(t, now)
	other, _ := newCA(t, now)
	leaf := newLeaf(t, ca, now)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(edKey)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		pair pki.Pair
		at   time.Time
		want error
	}{
		"nothing":            {pki.Pair{}, now, pki.ErrAbsent},
		"no key":             {pki.Pair{Cert: ca.Cert}, now, pki.ErrAbsent},
		"no PEM":             {pki.Pair{Cert: []byte("x"), Key: ca.Key}, now, pki.ErrMalformed},
		"a key without PEM":  {pki.Pair{Cert: ca.Cert, Key: []byte("x")}, now, pki.ErrMalformed},
		"a key in its place": {pki.Pair{Cert: ca.Key, Key: ca.Key}, now, pki.ErrMalformed},
		"another's key":      {pki.Pair{Cert: ca.Cert, Key: other.Key}, now, pki.ErrMismatch},
		"a key of another kind": {
			pki.Pair{Cert: ca.Cert, Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}, now, pki.ErrMismatch},
		"a leaf":  {leaf, now, pki.ErrNotCA},
		"too old": {ca, cert.NotAfter, pki.ErrExpired},
		"too new": {ca, cert.NotBefore.Add(-time.Second), pki.ErrExpired},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pki.CheckCA(tc.pair, tc.at)
			require.ErrorIs(t, err, tc.want)
		})
	}
}

func TestWhyALeafCannotBeUsed(t *testing.T) {
	ca, cert := newCA(t, now)
	_, stranger := newCA(t, now)
	leaf := newLeaf(t, ca, now)
	bundle := []*x509.Certificate{cert}
	for name, tc := range map[string]struct {
		pair   pki.Pair
		bundle []*x509.Certificate
		names  pki.Names
		at     time.Time
		want   error
	}{
		"it is fine":         {leaf, bundle, names, now, nil},
		"nothing":            {pki.Pair{}, bundle, names, now, pki.ErrAbsent},
		"a stranger's":       {leaf, []*x509.Certificate{stranger}, names, now, pki.ErrUntrusted},
		"too old":            {leaf, bundle, names, now.AddDate(1, 0, 1), pki.ErrExpired},
		"for another name":   {leaf, bundle, pki.Names{DNS: []string{"other.ns.svc"}}, now, pki.ErrWrongName},
		"for another number": {leaf, bundle, pki.Names{IPs: []net.IP{net.IPv4(127, 0, 0, 2)}}, now, pki.ErrWrongName},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pki.CheckLeaf(tc.pair, tc.bundle, tc.names, tc.at)
			require.ErrorIs(t, err, tc.want)
		})
	}
}

func TestRenewalsAreDueBeforeTwoThirdsOfALifeAndSpread(t *testing.T) {
	ca, cert := newCA(t, now)
	due := map[time.Time]bool{}
	for range 20 {
		leaf, err := pki.CheckLeaf(newLeaf(t, ca, now), []*x509.Certificate{cert}, names, now)
		require.NoError(t, err)
		life := leaf.NotAfter.Sub(leaf.NotBefore)
		at := pki.RenewAt(leaf)
		assert.False(t, at.After(leaf.NotBefore.Add(life*2/3)))
		assert.True(t, at.After(leaf.NotBefore.Add(life*3/5)))
		assert.Equal(t, at, pki.RenewAt(leaf), "the same for every replica")
		due[at] = true
	}
	assert.Greater(t, len(due), 10)
}

func TestPoliciesThatContradictThemselvesAreRefused(t *testing.T) {
	require.NoError(t, pki.DefaultPolicy().Validate())
	require.NoError(t, pki.ShortPolicy(5*time.Second).Validate())
	for name, change := range map[string]func(*pki.Policy){
		"a leaf that lives too long": func(p *pki.Policy) { p.LeafLifetime = p.CALifetime },
		"no life":                    func(p *pki.Policy) { p.LeafLifetime = 0 },
		"negative times":             func(p *pki.Policy) { p.Settle = -1 },
		"no patience":                func(p *pki.Policy) { p.Patience = 0 },
		"no pause":                   func(p *pki.Policy) { p.Retry = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			p := pki.DefaultPolicy()
			change(&p)
			require.ErrorIs(t, p.Validate(), pki.ErrPolicy)
		})
	}
}

func TestBundlesSurviveTheirText(t *testing.T) {
	_, a := newCA(t, now)
	_, b := newCA(t, now)
	back, err := pki.ParseBundle(append([]byte("\n"), pki.EncodeBundle([]*x509.Certificate{a, b})...))
	require.NoError(t, err)
	require.Len(t, back, 2)
	assert.True(t, back[0].Equal(a))
	assert.True(t, back[1].Equal(b))
}

func TestArbitraryTextIsNoCertificate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "text")
		_, err := pki.ParseBundle(text)
		require.Error(t, err)
		_, err = pki.CheckCA(pki.Pair{Cert: text, Key: text}, now)
		require.Error(t, err)
	})
}

// steps tells for each situation what is to be done.
func TestTheNextStepOfARotation(t *testing.T) {
	old, oldCert := newCA(t, now)
	fresh, freshCert := newCA(t, now.Add(time.Minute))
	expired, expiredCert := newCA(t, now.AddDate(-11, 0, 0))
	_ = expired
	bundle := func(certs ...*x509.Certificate) []byte { return pki.EncodeBundle(certs) }
	steady := func() pki.State {
		return pki.State{CA: old, Trusted: bundle(oldCert), Leaf: newLeaf(t, old, now), LeafTrusted: bundle(oldCert)}
	}
	overlap := func() pki.State {
		both := bundle(freshCert, oldCert)
		return pki.State{CA: fresh, Trusted: both, Leaf: newLeaf(t, old, now), LeafTrusted: both}
	}
	later := now.Add(2 * time.Minute)
	for name, tc := range map[string]struct {
		state  func() pki.State
		change func(*pki.State)
		facts  pki.Facts
		at     time.Time
		want   pki.Step
		bundle []*x509.Certificate
	}{
		"all is right":            {state: steady, want: pki.StepNone},
		"there is nothing":        {state: func() pki.State { return pki.State{} }, want: pki.StepCA},
		"the CA's Secret is gone": {state: steady, change: func(s *pki.State) { s.CA, s.Trusted = pki.Pair{}, nil }, want: pki.StepCA, bundle: []*x509.Certificate{oldCert}},
		"the CA's key is gone": {state: steady, change: func(s *pki.State) { s.CA.Key = nil; s.LeafTrusted = nil; s.Trusted = nil },
			want: pki.StepCA, bundle: []*x509.Certificate{oldCert}},
		"the leaf is gone":                     {state: steady, change: func(s *pki.State) { s.Leaf = pki.Pair{} }, want: pki.StepLeaf},
		"the leaf is a stranger's":             {state: steady, change: func(s *pki.State) { s.Leaf = newLeaf(t, fresh, later) }, at: later, want: pki.StepLeaf},
		"the leaf's bundle is gone":            {state: steady, change: func(s *pki.State) { s.LeafTrusted = nil }, want: pki.StepCopy},
		"the bundle is gone":                   {state: steady, change: func(s *pki.State) { s.Trusted = nil }, want: pki.StepBundle, bundle: []*x509.Certificate{oldCert}},
		"the bundle lacks the CA":              {state: overlap, change: func(s *pki.State) { s.Trusted = bundle(oldCert) }, at: later, want: pki.StepBundle, bundle: []*x509.Certificate{freshCert, oldCert}},
		"the bundle has an expired CA":         {state: steady, change: func(s *pki.State) { s.Trusted = bundle(oldCert, expiredCert) }, want: pki.StepBundle, bundle: []*x509.Certificate{oldCert}},
		"the leaf is due":                      {state: steady, at: now.AddDate(0, 9, 0), want: pki.StepLeaf},
		"the leaf has ended":                   {state: steady, at: now.AddDate(2, 0, 0), want: pki.StepLeaf},
		"the CA is new and not published":      {state: overlap, at: later, want: pki.StepPublish},
		"the CA has just been published":       {state: overlap, at: later, facts: pki.Facts{Published: later.Add(-9 * time.Second)}, want: pki.StepPublish},
		"the CA is known to all":               {state: overlap, at: later, facts: pki.Facts{Published: later.Add(-10 * time.Second)}, want: pki.StepLeaf},
		"the leaf is new, replicas may be old": {state: overlap, change: func(s *pki.State) { s.Leaf = newLeaf(t, fresh, later) }, at: later, want: pki.StepAsk},
		"all replicas serve the new leaf": {state: overlap, change: func(s *pki.State) { s.Leaf = newLeaf(t, fresh, later) }, at: later,
			facts: pki.Facts{Serving: true}, want: pki.StepDrop, bundle: []*x509.Certificate{freshCert}},
		"a drop is not undone by the leaf's bundle": {state: overlap, change: func(s *pki.State) {
			s.Leaf, s.Trusted = newLeaf(t, fresh, later), bundle(freshCert)
		}, at: later, want: pki.StepCopy},
	} {
		t.Run(name, func(t *testing.T) {
			state := tc.state()
			if tc.change != nil {
				tc.change(&state)
			}
			at := tc.at
			if at.IsZero() {
				at = now
			}
			decision := pki.Decide(state, tc.facts, names, at, policy)
			assert.Equal(t, tc.want, decision.Step, decision.Why)
			if tc.bundle != nil {
				require.NotEmpty(t, decision.Bundle)
				assert.Equal(t, string(bundle(tc.bundle...)), string(bundle(decision.Bundle[:len(tc.bundle)]...)))
			}
		})
	}
	due := steady()
	at := now.AddDate(0, 0, 3650*2/3)
	due.Leaf = newLeaf(t, old, at)
	decision := pki.Decide(due, pki.Facts{}, names, at, policy)
	assert.Equal(t, pki.StepCA, decision.Step, "the CA is due")
	assert.Equal(t, []*x509.Certificate{oldCert}, decision.Bundle)
}
