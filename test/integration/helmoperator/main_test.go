// Package helmoperator_test runs the chart reconciler with charts of its own against a real API
// server. No gateway is involved: the reconciler knows none.
package helmoperator_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/datapower-operator/datapower-operator/test/integration/helmtest"
)

const assets = "KUBEBUILDER_ASSETS"

var (
	apiServer  *rest.Config
	kube       client.Client
	requests   = &requestLog{}
	demoKind   = schema.GroupVersionKind{Group: "example.test", Version: "v1", Kind: "Demo"}
	otherKind  = schema.GroupVersionKind{Group: "example.test", Version: "v1", Kind: "Other"}
	watchesFor = fmt.Sprintf(`
- {group: example.test, version: v1, kind: Demo, chart: %[1]s/demo, maxReleaseHistory: 4,
   selector: {matchExpressions: [{key: ignore, operator: DoesNotExist}]}}
- {group: example.test, version: v1, kind: Other, chart: %[1]s/other,
   overrideValues: {port: $TEST_PORT, greeting: overridden}}
`, "testdata")
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Getenv(assets) == "" {
		return m.Run() // each test skips
	}
	if os.Getenv("TEST_LOGS") != "" {
		ctrl.SetLogger(zap.New(zap.UseDevMode(true)))
	} else {
		ctrl.SetLogger(zap.New(zap.WriteTo(discard{})))
	}
	env := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join("testdata", "crds.yaml")}, ErrorIfCRDPathMissing: true}
	cfg, err := env.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "start API server:", err)
		return 1
	}
	defer func() { _ = env.Stop() }()
	apiServer = cfg
	if kube, err = client.New(cfg, client.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	done, err := startOperator(ctx, cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, "start operator:", err)
		cancel()
		return 1
	}
	code := m.Run()
	cancel()
	if err := <-done; err != nil {
		fmt.Fprintln(os.Stderr, "operator:", err)
		return 1
	}
	return code
}

func startOperator(ctx context.Context, cfg *rest.Config) (<-chan error, error) {
	if err := os.Setenv("TEST_PORT", "8080"); err != nil {
		return nil, err
	}
	cfg = rest.CopyConfig(cfg)
	cfg.Wrap(requests.wrap)
	return helmtest.Start(ctx, helmtest.Options{Config: cfg, Watches: watchesFor, Dir: "."})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// requestLog records what the operator asks of the API server, without watches and lease
// renewals.
type requestLog struct {
	mu   sync.Mutex
	list []string
}

func (l *requestLog) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Query().Get("watch") == "" {
			l.mu.Lock()
			l.list = append(l.list, r.Method+" "+r.URL.Path)
			l.mu.Unlock()
		}
		return next.RoundTrip(r)
	})
}

func (l *requestLog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.list)
}

func (l *requestLog) since(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.list[n:]...)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// scenario is one namespace with helpers; it is the vocabulary of the tests.
type scenario struct {
	*testing.T
	ctx       context.Context
	namespace string
}

func newScenario(t *testing.T) *scenario {
	t.Helper()
	if kube == nil {
		t.Skipf("needs the API server's programs: set %s (make test does)", assets)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "helm-operator-"}}
	require.NoError(t, kube.Create(ctx, ns))
	return &scenario{T: t, ctx: ctx, namespace: ns.Name}
}

func (s *scenario) key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: s.namespace, Name: name}
}

func (s *scenario) create(kind schema.GroupVersionKind, name string, spec map[string]any) *unstructured.Unstructured {
	s.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetGroupVersionKind(kind)
	u.SetNamespace(s.namespace)
	u.SetName(name)
	require.NoError(s, kube.Create(s.ctx, u))
	return u
}

// setSpec changes one field of the spec.
func (s *scenario) setSpec(kind schema.GroupVersionKind, name, field string, value any) {
	s.Helper()
	u := s.get(kind, name)
	before := u.DeepCopy()
	require.NoError(s, unstructured.SetNestedField(u.Object, value, "spec", field))
	require.NoError(s, kube.Patch(s.ctx, u, client.MergeFrom(before)))
}

func (s *scenario) get(kind schema.GroupVersionKind, name string) *unstructured.Unstructured {
	s.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kind)
	require.NoError(s, kube.Get(s.ctx, s.key(name), u))
	return u
}

func (s *scenario) deployment(name string) *appsv1.Deployment {
	s.Helper()
	d := &appsv1.Deployment{}
	require.NoError(s, kube.Get(s.ctx, s.key(name), d))
	return d
}

// eventually waits until check holds; what names it in the failure.
func (s *scenario) eventually(what string, check func() bool) {
	s.Helper()
	for deadline := time.Now().Add(time.Minute); !check(); time.Sleep(20 * time.Millisecond) {
		require.True(s, time.Now().Before(deadline), "never: %s", what)
	}
}

// condition returns status and reason of a condition once the operator has seen the newest
// generation.
func (s *scenario) condition(kind schema.GroupVersionKind, name, conditionType string) (status, reason, message string) {
	s.Helper()
	u := s.get(kind, name)
	list, _, err := unstructured.NestedSlice(u.Object, "status", "conditions")
	require.NoError(s, err)
	for _, c := range list {
		c, ok := c.(map[string]any)
		if !ok || c["type"] != conditionType || c["observedGeneration"] != u.GetGeneration() {
			continue
		}
		return fmt.Sprint(c["status"]), fmt.Sprint(c["reason"]), fmt.Sprint(c["message"])
	}
	return "", "", ""
}

func (s *scenario) deployed(kind schema.GroupVersionKind, name string) {
	s.Helper()
	s.eventually(kind.Kind+" "+name+" is deployed", func() bool {
		status, _, _ := s.condition(kind, name, "Deployed")
		return status == "True"
	})
}

// revisions lists the stored revisions of a release by status.
func (s *scenario) revisions(name string) map[string]int {
	s.Helper()
	list := &corev1.SecretList{}
	require.NoError(s, kube.List(s.ctx, list, client.InNamespace(s.namespace), client.MatchingLabels{"owner": "helm", "name": name}))
	out := map[string]int{}
	for _, secret := range list.Items {
		out[secret.Labels["status"]]++
	}
	return out
}

// settled waits until the operator asks nothing of the API server for half a second.
func (s *scenario) settled() {
	s.Helper()
	last, since := requests.len(), time.Now()
	s.eventually("the operator is idle", func() bool {
		if n := requests.len(); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 500*time.Millisecond
	})
}
