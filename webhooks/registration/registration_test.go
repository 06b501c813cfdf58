package registration_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/datapower-operator/datapower-operator/webhooks/pki"
	"github.com/datapower-operator/datapower-operator/webhooks/registration"
	"github.com/datapower-operator/datapower-operator/webhooks/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var inCluster = registration.Scope{
	Namespace: "ops", Watched: []string{"b", "a"}, Target: registration.Target{Service: "datapower-operator", Namespace: "ops"},
}

func TestTheServiceOrTheURLIsCalled(t *testing.T) {
	mutating, validating := registration.Desired(inCluster, nil, []byte("bundle"))
	require.Len(t, mutating, 2)
	require.Len(t, validating, 2)
	service := mutating[0].Webhooks[0].ClientConfig
	assert.Nil(t, service.URL)
	assert.Equal(t, "datapower-operator", service.Service.Name)
	assert.Equal(t, "ops", service.Service.Namespace)
	assert.EqualValues(t, 443, *service.Service.Port)
	assert.Equal(t, "/default-datapower-ibm-com-v1beta3-datapowerservice", *service.Service.Path)
	assert.Equal(t, "bundle", string(service.CABundle))
	assert.Equal(t, "datapower-operator.ops.svc", inCluster.Target.Name())

	outside := inCluster
	outside.Target.HostPort = registration.HostPort("::1", 9443)
	_, validating = registration.Desired(outside, nil, []byte("bundle"))
	assert.Nil(t, validating[1].Webhooks[0].ClientConfig.Service)
	assert.Equal(t, "https://[::1]:9443/validate-datapower-ibm-com-v1beta2-datapowermonitor", *validating[1].Webhooks[0].ClientConfig.URL)
	assert.Equal(t, "::1", outside.Target.Name())
}

func TestOnlyWatchedNamespacesAndOwnKindsAreSelected(t *testing.T) {
	mutating, _ := registration.Desired(inCluster, nil, nil)
	webhook := mutating[0].Webhooks[0]
	assert.Equal(t, []metav1.LabelSelectorRequirement{
		{Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpIn, Values: []string{"a", "b"}},
	}, webhook.NamespaceSelector.MatchExpressions)
	assert.Equal(t, []string{"datapower.ibm.com"}, webhook.Rules[0].APIGroups)
	assert.Equal(t, []string{"datapowerservices"}, webhook.Rules[0].Resources, "no subresource")
	everywhere := inCluster
	everywhere.Watched = nil
	mutating, _ = registration.Desired(everywhere, nil, nil)
	assert.Empty(t, mutating[0].Webhooks[0].NamespaceSelector.MatchExpressions)
}

// rig is a reconciler, an API server of fakes, and a server that serves what is in the Secret.
type rig struct {
	*registration.Reconciler
	api    *fake.Clientset
	owners error
	answer error
	told   *events.FakeRecorder
}

func newRig(t *testing.T, objects ...*admissionv1.MutatingWebhookConfiguration) *rig {
	t.Helper()
	r := &rig{api: fake.NewClientset(), told: events.NewFakeRecorder(10)}
	for _, object := range objects {
		require.NoError(t, r.api.Tracker().Add(object))
	}
	secrets := pki.NewWatchedSecrets(r.api.CoreV1(), "ops", "leaf", "ca")
	keeper, err := pki.NewKeeper(pki.Options{
		Secrets: secrets, Namespace: "ops", CASecret: "ca", LeafSecret: "leaf", CommonName: "ca",
		Names: pki.ServiceNames("datapower-operator", "ops"), Replicas: pki.FixedReplicas{}, Policy: pki.DefaultPolicy(), Clock: clock.RealClock{},
	})
	require.NoError(t, err)
	metrics, err := pki.NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	configurations := registration.NewConfigurations(r.api.AdmissionregistrationV1(), "ops")
	r.Reconciler = &registration.Reconciler{
		Scope: inCluster, Keeper: keeper, Secrets: secrets, Configurations: configurations, Metrics: metrics, Recorder: r.told,
		Owners: func(context.Context) ([]metav1.OwnerReference, error) {
			return []metav1.OwnerReference{{Kind: "ClusterRole", Name: "operator", UID: "1"}}, r.owners
		},
		Answers: func(context.Context, []byte) error { return r.answer },
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{}, 2)
	go func() { _ = secrets.Start(ctx); ended <- struct{}{} }()
	go func() { _ = configurations.Start(ctx); ended <- struct{}{} }()
	t.Cleanup(func() { cancel(); <-ended; <-ended })
	require.Eventually(t, func() bool { return secrets.Synced() && configurations.Synced() }, 30*time.Second, 5*time.Millisecond)
	return r
}

// writes counts what was written to webhook configurations.
func (r *rig) writes() int {
	count := 0
	for _, action := range r.api.Actions() {
		if action.GetVerb() != "list" && action.GetVerb() != "watch" && action.GetResource().Group == "admissionregistration.k8s.io" {
			count++
		}
	}
	return count
}

func (r *rig) reconcile(t *testing.T) (ctrl.Result, error) {
	t.Helper()
	result, err := r.Reconcile(t.Context(), ctrl.Request{})
	// What was written comes back through the watch.
	time.Sleep(50 * time.Millisecond)
	return result, err
}

func TestNothingIsRegisteredBeforeTheServerAnswers(t *testing.T) {
	r := newRig(t)
	r.answer = errors.New("connection refused")
	result, err := r.reconcile(t)
	require.NoError(t, err)
	assert.Positive(t, result.RequeueAfter)
	assert.Zero(t, r.writes())
	r.answer = nil
	_, err = r.reconcile(t)
	require.NoError(t, err)
	assert.Equal(t, 4, r.writes())
}

func TestNothingIsRegisteredWithoutItsOwner(t *testing.T) {
	r := newRig(t)
	r.owners = errors.New("no such ClusterRole")
	_, err := r.reconcile(t)
	require.ErrorContains(t, err, "finding what owns the webhook configurations: no such ClusterRole")
	assert.Zero(t, r.writes())
}

func TestWhatAFormerOperatorLeftIsRepaired(t *testing.T) {
	stale := &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{
			Name: "ops.datapowerservices.defaulter.datapower.ibm.com", Labels: map[string]string{"theirs": "stays"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ClusterRole", Name: "operator", UID: "0"}},
		},
		Webhooks: []admissionv1.MutatingWebhook{{Name: "datapowerservices.defaulter.datapower.ibm.com"}, {Name: "stray"}},
	}
	r := newRig(t, stale)
	_, err := r.reconcile(t)
	require.NoError(t, err)
	got, err := r.api.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), stale.Name, metav1.GetOptions{})
	require.NoError(t, err)
	bundle := r.Configurations.Bundles("ops")[0]
	want, _ := registration.Desired(inCluster, []metav1.OwnerReference{{Kind: "ClusterRole", Name: "operator", UID: "1"}}, bundle)
	assert.NotEmpty(t, bundle)
	assert.Equal(t, want[0].Webhooks, got.Webhooks)
	assert.Equal(t, want[0].OwnerReferences, got.OwnerReferences)
	assert.Equal(t, "stays", got.Labels["theirs"])
	written := r.writes()
	_, err = r.reconcile(t)
	require.NoError(t, err)
	assert.Equal(t, written, r.writes(), "what is right is left alone")
}

func TestAProblemWithCertificatesIsToldOnce(t *testing.T) {
	r := newRig(t)
	r.Keeper.External = true
	for range 3 {
		_, err := r.reconcile(t)
		require.ErrorIs(t, err, pki.ErrAbsent)
	}
	require.Len(t, r.told.Events, 1)
	assert.Contains(t, <-r.told.Events, "Warning CertificateProblem The certificates of the webhooks cannot be kept, there is no certificate to serve")
}

func TestReadinessIsWhatTheAPIServerSees(t *testing.T) {
	at := time.Now()
	names := pki.ServiceNames("datapower-operator", "ops")
	ca, err := pki.NewCA("ca", at, pki.DefaultPolicy())
	require.NoError(t, err)
	other, err := pki.NewCA("ca", at, pki.DefaultPolicy())
	require.NoError(t, err)
	leaf, err := pki.Issue(ca, names, at, pki.DefaultPolicy())
	require.NoError(t, err)
	serving := &pki.Serving{}
	s, err := server.Listen(t.Context(), server.Options{
		Address: net.JoinHostPort("127.0.0.1", "0"), Finish: time.Second, Logger: logr.Discard(),
		Certificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return serving.GetCertificate(hello) },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	defer func() { cancel(); require.NoError(t, <-ended) }()

	var bundles [][]byte
	ready := &registration.Readiness{
		Bundles: func() [][]byte { return bundles }, Address: s.LocalAddress(), Name: "datapower-operator.ops.svc", Serving: serving,
	}
	check := func(published ...[]byte) error {
		bundles = published
		return ready.Check(httptest.NewRequest("GET", "/readyz", nil))
	}
	require.ErrorIs(t, check(nil, nil), registration.ErrNotRegistered)
	require.Error(t, check(ca.Cert, ca.Cert), "there is no certificate yet")
	require.NoError(t, serving.Load(&corev1.Secret{Data: map[string][]byte{"tls.crt": leaf.Cert, "tls.key": leaf.Key, "ca.crt": ca.Cert}}))
	require.ErrorIs(t, check(ca.Cert, nil), registration.ErrNotRegistered, "one is missing")
	require.Error(t, check(ca.Cert, other.Cert), "one trusts somebody else")
	require.NoError(t, check(ca.Cert, append(other.Cert, ca.Cert...)))
	require.NoError(t, check(nil, ca.Cert), "a configuration that is damaged later is not this replica's fault")
	require.Error(t, check(other.Cert, other.Cert), "a certificate that is not trusted is")
	ready.Name = "other.ops.svc"
	require.Error(t, check(ca.Cert, ca.Cert), "the name counts")
}
