package pki_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is an API server with nothing but Secrets.
type store struct {
	secrets map[string]*corev1.Secret
	version int
	writes  int
	// before is called before each write.
	before func()
}

var secretResource = schema.GroupResource{Resource: "secrets"}

func newStore() *store { return &store{secrets: map[string]*corev1.Secret{}, before: func() {}} }

func (s *store) Get(_ context.Context, name string) (*corev1.Secret, error) {
	return s.secrets[name], nil
}

func (s *store) put(secret *corev1.Secret) *corev1.Secret {
	s.version++
	s.writes++
	kept := secret.DeepCopy()
	kept.ResourceVersion = strconv.Itoa(s.version)
	s.secrets[kept.Name] = kept
	return kept
}

func (s *store) Create(_ context.Context, secret *corev1.Secret) (*corev1.Secret, error) {
	s.before()
	if s.secrets[secret.Name] != nil {
		return nil, apierrors.NewAlreadyExists(secretResource, secret.Name)
	}
	return s.put(secret), nil
}

func (s *store) Update(_ context.Context, secret *corev1.Secret) (*corev1.Secret, error) {
	s.before()
	switch was := s.secrets[secret.Name]; {
	case was == nil:
		return nil, apierrors.NewNotFound(secretResource, secret.Name)
	case was.ResourceVersion != secret.ResourceVersion:
		return nil, apierrors.NewConflict(secretResource, secret.Name, errors.New("changed"))
	}
	return s.put(secret), nil
}

func (s *store) Delete(_ context.Context, secret *corev1.Secret) error {
	s.before()
	delete(s.secrets, secret.Name)
	s.writes++
	return nil
}

// serves replaces the Secrets' content by hand.
func (s *store) damage(name string, change func(*corev1.Secret)) {
	if was := s.secrets[name]; was != nil {
		copied := was.DeepCopy()
		change(copied)
		s.put(copied)
	}
}

func newKeeper(t require.TestingT, secrets pki.Store, clock *clocktesting.FakePassiveClock, change func(*pki.Options)) *pki.Keeper {
	options := pki.Options{
		Secrets: secrets, Namespace: "ns", CASecret: "ca", LeafSecret: "leaf", CommonName: "the-ca", Names: names,
		Labels: map[string]string{"made": "by us"}, Replicas: pki.FixedReplicas{"replica:1"}, Policy: policy, Clock: clock,
	}
	if change != nil {
		change(&options)
	}
	keeper, err := pki.NewKeeper(options)
	require.NoError(t, err)
	keeper.AskWith(func([]*x509.Certificate) error { return nil })
	return keeper
}

func TestTheFirstCertificatesAreMadeInOneGoAndThenLeftAlone(t *testing.T) {
	secrets, clock := newStore(), clocktesting.NewFakePassiveClock(now)
	owner := metav1.OwnerReference{Kind: "ClusterRole", Name: "operator"}
	keeper := newKeeper(t, secrets, clock, func(o *pki.Options) {
		o.Owners = func(context.Context) ([]metav1.OwnerReference, error) { return []metav1.OwnerReference{owner}, nil }
	})
	kept, err := keeper.Keep(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, []pki.Step{pki.StepCA, pki.StepLeaf}, kept.Wrote)
	assert.Equal(t, now.AddDate(0, 0, 365), kept.LeafExpiry)
	assert.Equal(t, now.AddDate(0, 0, 3650), kept.CAExpiry)
	leaf := secrets.secrets["leaf"]
	assert.Equal(t, corev1.SecretTypeTLS, leaf.Type)
	assert.Equal(t, "by us", leaf.Labels["made"])
	assert.Equal(t, []metav1.OwnerReference{owner}, leaf.OwnerReferences)
	assert.Equal(t, kept.Bundle, leaf.Data["ca.crt"])

	again, err := keeper.Keep(t.Context(), kept.Bundle)
	require.NoError(t, err)
	assert.Empty(t, again.Wrote)
	assert.Equal(t, 2, secrets.writes)
	assert.Greater(t, again.Again, 200*24*time.Hour)
}

func TestAWriteThatComesTooLateIsNoErrorAndUndoesNothing(t *testing.T) {
	secrets, clock := newStore(), clocktesting.NewFakePassiveClock(now)
	first, second := newKeeper(t, secrets, clock, nil), newKeeper(t, secrets, clock, nil)
	secrets.before = func() {
		secrets.before = func() {}
		_, err := second.Keep(t.Context(), nil) // between the other's look and its write
		require.NoError(t, err)
	}
	kept, err := first.Keep(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, kept.Wrote)
	assert.Equal(t, 2, secrets.writes, "only those of the second")
	assert.Equal(t, policy.Retry, kept.Again)
}

func TestAnOwnerThatCannotBeReadIsAnError(t *testing.T) {
	secrets := newStore()
	keeper := newKeeper(t, secrets, clocktesting.NewFakePassiveClock(now), func(o *pki.Options) {
		o.Owners = func(context.Context) ([]metav1.OwnerReference, error) { return nil, errors.New("forbidden") }
	})
	_, err := keeper.Keep(t.Context(), nil)
	require.ErrorContains(t, err, "finding the owner of Secret ca: forbidden")
	assert.Zero(t, secrets.writes)
}

func TestARotationThatWaitsTooLongIsToldAndGoesOnLater(t *testing.T) {
	secrets, clock := newStore(), clocktesting.NewFakePassiveClock(now)
	keeper := newKeeper(t, secrets, clock, nil)
	kept, err := keeper.Keep(t.Context(), nil)
	require.NoError(t, err)
	delete(secrets.secrets, "ca")
	step := func(after time.Duration) (pki.Kept, error) {
		clock.SetTime(clock.Now().Add(after))
		next, err := keeper.Keep(t.Context(), kept.Bundle)
		kept = next
		return next, err
	}
	_, err = step(time.Second) // a new CA
	require.NoError(t, err)
	_, err = step(time.Second) // it is published
	require.NoError(t, err)
	answer := errors.New("replica b serves another")
	keeper.AskWith(func([]*x509.Certificate) error { return answer })
	kept, err = step(policy.Settle)
	require.NoError(t, err)
	assert.Equal(t, pki.StepAsk, kept.Step)
	_, err = step(policy.Patience)
	require.ErrorIs(t, err, pki.ErrStuck)
	require.ErrorContains(t, err, "replica b serves another")
	answer = nil
	kept, err = step(time.Minute)
	require.NoError(t, err)
	assert.Equal(t, pki.StepNone, kept.Step)
}

func TestACertificateOfSomebodyElseIsOnlyRead(t *testing.T) {
	secrets, clock := newStore(), clocktesting.NewFakePassiveClock(now)
	keeper := newKeeper(t, secrets, clock, func(o *pki.Options) { o.External = true })
	_, err := keeper.Keep(t.Context(), nil)
	require.ErrorIs(t, err, pki.ErrAbsent)
	ca, _ := newCA(t, now)
	leaf := newLeaf(t, ca, now)
	secrets.put(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "leaf"},
		Data: map[string][]byte{"tls.crt": leaf.Cert, "tls.key": leaf.Key, "ca.crt": ca.Cert}})
	kept, err := keeper.Keep(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, ca.Cert, kept.Bundle)
	clock.SetTime(now.AddDate(2, 0, 0))
	_, err = keeper.Keep(t.Context(), nil)
	require.ErrorIs(t, err, pki.ErrExpired)
	assert.Equal(t, 1, secrets.writes)
}

// simulation is an API server that trusts what was published some time ago, and replicas that serve what they saw.
type simulation struct {
	secrets   *store
	clock     *clocktesting.FakePassiveClock
	keepers   []*pki.Keeper
	published []byte
	trusted   []byte // what the API server has noticed of it
	noticeAt  time.Time
	replicas  []pki.Serving
}

func newSimulation(t require.TestingT) *simulation {
	s := &simulation{secrets: newStore(), clock: clocktesting.NewFakePassiveClock(now), replicas: make([]pki.Serving, 3)}
	for range 2 {
		keeper := newKeeper(t, s.secrets, s.clock, nil)
		keeper.AskWith(s.ask)
		s.keepers = append(s.keepers, keeper)
	}
	return s
}

func (s *simulation) ask(bundle []*x509.Certificate) error {
	for i := range s.replicas {
		if leaf := s.replicas[i].Leaf(); leaf == nil || !pki.SignedBy(leaf, bundle[0]) {
			return errors.New("a replica serves another leaf")
		}
	}
	return nil
}

func (s *simulation) keep(t require.TestingT, i int) pki.Kept {
	kept, err := s.keepers[i].Keep(context.Background(), s.published)
	if !errors.Is(err, pki.ErrStuck) {
		require.NoError(t, err)
	}
	if len(kept.Bundle) > 0 && string(kept.Bundle) != string(s.published) {
		s.published, s.noticeAt = kept.Bundle, s.clock.Now().Add(policy.Settle/2)
	}
	return kept
}

// pass lets time go by; the API server notices what was published.
func (s *simulation) pass(d time.Duration) {
	s.clock.SetTime(s.clock.Now().Add(d))
	if s.trusted == nil || !s.clock.Now().Before(s.noticeAt) {
		s.trusted = s.published
	}
}

// calls requires that the API server accepts what every replica serves.
func (s *simulation) calls(t require.TestingT) {
	trusted, err := pki.ParseBundle(s.trusted)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	for _, cert := range trusted {
		roots.AddCert(cert)
	}
	for i := range s.replicas {
		_, err := s.replicas[i].Leaf().Verify(x509.VerifyOptions{Roots: roots, CurrentTime: s.clock.Now(), DNSName: names.DNS[0]})
		require.NoError(t, err, "replica %d", i)
	}
}

// settle lets everybody do their work until nothing changes.
func (s *simulation) settle(t require.TestingT) {
	for quiet := 0; quiet < 3; {
		quiet++
		for i := range s.keepers {
			if s.keep(t, i).Step != pki.StepNone {
				quiet = 0
			}
		}
		for i := range s.replicas {
			_ = s.replicas[i].Load(s.secrets.secrets["leaf"])
		}
		s.pass(policy.Settle)
	}
	writes := s.secrets.writes
	for i := range s.keepers {
		require.Equal(t, pki.StepNone, s.keep(t, i).Step)
	}
	require.Equal(t, writes, s.secrets.writes, "nobody writes while all is right")
	bundle, err := pki.ParseBundle(s.published)
	require.NoError(t, err)
	require.Len(t, bundle, 1, "in the end one CA is trusted")
	s.calls(t)
}

func TestNoCallFailsWhateverTheOrderOfARotation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSimulation(t)
		s.settle(t)
		// Everybody takes part at least now and then: a replica that sleeps for months is none.
		for range rapid.IntRange(1, 6).Draw(t, "epochs") {
			s.pass(time.Duration(rapid.IntRange(0, 80).Draw(t, "days")) * 24 * time.Hour)
			for range rapid.IntRange(1, 25).Draw(t, "actions") {
				switch rapid.IntRange(0, 3).Draw(t, "action") {
				case 0:
					s.keep(t, rapid.IntRange(0, 1).Draw(t, "keeper"))
				case 1:
					require.NoError(t, s.replicas[rapid.IntRange(0, 2).Draw(t, "replica")].Load(s.secrets.secrets["leaf"]))
				case 2:
					s.pass(time.Duration(rapid.IntRange(0, 30).Draw(t, "seconds")) * time.Second)
				case 3: // another CA, for a reason of its own: the Secret is deleted by hand
					if rapid.IntRange(0, 5).Draw(t, "deletes") == 0 {
						delete(s.secrets.secrets, "ca")
					}
				}
				s.calls(t)
			}
			s.settle(t)
		}
	})
}

func TestAnyDamageIsMended(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSimulation(t)
		s.settle(t)
		keys := []string{"tls.crt", "tls.key", "ca.crt"}
		for range rapid.IntRange(1, 6).Draw(t, "damages") {
			name := rapid.SampledFrom([]string{"ca", "leaf"}).Draw(t, "secret")
			key := rapid.SampledFrom(keys).Draw(t, "key")
			switch rapid.IntRange(0, 4).Draw(t, "damage") {
			case 0:
				delete(s.secrets.secrets, name)
			case 1:
				s.secrets.damage(name, func(secret *corev1.Secret) { delete(secret.Data, key) })
			case 2:
				s.secrets.damage(name, func(secret *corev1.Secret) { secret.Data = map[string][]byte{key: []byte("rubbish")} })
			case 3:
				s.secrets.damage(name, func(secret *corev1.Secret) {
					if other := s.secrets.secrets["ca"]; other != nil && secret.Data != nil {
						secret.Data[key] = other.Data[rapid.SampledFrom(keys).Draw(t, "from")]
					}
				})
			case 4:
				s.secrets.damage(name, func(secret *corev1.Secret) { secret.Data, secret.Immutable = nil, new(true) })
			}
			for range rapid.IntRange(0, 2).Draw(t, "work") {
				s.keep(t, 0)
			}
		}
		s.settle(t)
	})
}

func TestReplicasAreAskedByHandshake(t *testing.T) {
	at := time.Now()
	ca, cert := newCA(t, at)
	_, other := newCA(t, at)
	leaf := newLeaf(t, ca, at)
	serving := &pki.Serving{}
	_, err := serving.GetCertificate(nil)
	require.ErrorIs(t, err, pki.ErrNoLeaf)
	require.ErrorIs(t, serving.Load(nil), pki.ErrAbsent)
	require.NoError(t, serving.Load(&corev1.Secret{Data: map[string][]byte{"tls.crt": leaf.Cert, "tls.key": leaf.Key, "ca.crt": ca.Cert}}))
	require.ErrorIs(t, serving.Load(&corev1.Secret{Data: map[string][]byte{"tls.crt": leaf.Cert, "tls.key": ca.Key, "ca.crt": ca.Cert}}), pki.ErrMismatch)
	require.NotNil(t, serving.Leaf(), "the last whole one")

	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: serving.GetCertificate})
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).HandshakeContext(context.Background())
			_ = conn.Close()
		}
	}()
	defer func() { _ = listener.Close(); <-done }()
	address := listener.Addr().String()
	ask := func(name string, bundle ...*x509.Certificate) error {
		return pki.AskReplicas(t.Context(), []string{address, address}, name, bundle)
	}
	require.NoError(t, ask("hooks.ns.svc", cert))
	require.NoError(t, ask("127.0.0.1", other, cert))
	require.ErrorContains(t, ask("hooks.ns.svc", other), address)
	require.ErrorContains(t, ask("other.ns.svc", cert), address)
	require.ErrorIs(t, pki.AskReplicas(t.Context(), nil, "x", nil), pki.ErrNoReplica)
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, nobody.Close())
	require.ErrorContains(t, pki.AskReplicas(t.Context(), []string{address, nobody.Addr().String()}, "hooks.ns.svc",
		[]*x509.Certificate{cert}), nobody.Addr().String())
}
