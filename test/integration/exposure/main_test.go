// Package exposure_test runs the sidecar's writer of the status of exposed APIs against a real API server with the
// definitions that Istio and prometheus-operator publish. But for the end-to-end tests nothing else runs there: the tests
// play the helm-operator, the load balancer and the controllers of Services.
//
// The tests need etcd and kube-apiserver in the directory that KUBEBUILDER_ASSETS names, and skip without it. The
// end-to-end tests also need the programs in the directory that DATAPOWER_BIN names.
package exposure_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/oda"
	"github.com/datapower-operator/datapower-operator/sidecar/exposure"
)

// assets is the environment variable of controller-runtime's envtest.
const assets = "KUBEBUILDER_ASSETS"

const repository = "../../.."

// cluster is what the tests share: an API server.
var cluster struct {
	env    *envtest.Environment
	config *rest.Config
	client client.Client // reads and writes live
}

func TestMain(m *testing.M) {
	if os.Getenv(assets) == "" {
		os.Exit(m.Run()) // every test skips
	}
	ctrl.SetLogger(logr.Discard())
	code, err := withCluster(m.Run)
	if err == nil {
		// The metadata informers' watches stay in a channel send when they are stopped while an event is on its way
		// (apimachinery, pkg/watch/filter.go).
		err = goleak.Find(goleak.IgnoreAnyFunction("k8s.io/apimachinery/pkg/watch.(*filteredWatch).loop"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withCluster(run func() int) (code int, err error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(s); err != nil {
			return 1, err
		}
	}
	cluster.env = &envtest.Environment{}
	if cluster.config, err = cluster.env.Start(); err != nil {
		return 1, fmt.Errorf("starting the API server: %w", err)
	}
	defer func() {
		if stopErr := cluster.env.Stop(); err == nil {
			err = stopErr
		}
	}()
	httpClient, err := rest.HTTPClientFor(cluster.config)
	if err != nil {
		return 1, err
	}
	defer httpClient.CloseIdleConnections()
	if cluster.client, err = client.New(cluster.config, client.Options{Scheme: s, HTTPClient: httpClient}); err != nil {
		return 1, err
	}
	if err := grant(); err != nil {
		return 1, err
	}
	return run(), nil
}

// user is who the sidecar is to the API server.
const user = "sidecar"

// grant gives the sidecar the rights that it says it needs, and no more.
func grant() error {
	text, err := os.ReadFile(filepath.Join(repository, "cmd", "sidecar", "testdata", "role.yaml"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(text), "\n---\n")
	role := &rbacv1.ClusterRole{}
	if err := yaml.Unmarshal([]byte(first), role); err != nil {
		return err
	}
	if err := cluster.client.Create(context.Background(), role); err != nil {
		return err
	}
	return cluster.client.Create(context.Background(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	})
}

// sidecar is a running writer.
type sidecar struct {
	wire *wire
	log  *lockedBuffer
	stop func()
}

// startSidecar runs the writer for one namespace as cmd/sidecar does, with an ear on the wire; requests to the refused
// resources fail. At its end no error may be in its log.
func startSidecar(t *testing.T, namespace string, environment map[string]string, refused ...string) *sidecar {
	t.Helper()
	settings, err := oda.ReadSettings(func(key string) string { return environment[key] })
	require.NoError(t, err)
	s := &sidecar{wire: &wire{}, log: &lockedBuffer{}}
	s.wire.refuse(refused...)
	cfg := rest.CopyConfig(cluster.config)
	cfg.QPS = -1 // as ctrl.GetConfig does
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user}
	cfg.Wrap(transport.WrapperFunc(func(next http.RoundTripper) http.RoundTripper { return listener{next, s.wire} }))
	anyName, namespaces := true, map[string]cache.Config{namespace: {}}
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme: scheme.Scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		Cache:      cache.Options{DefaultNamespaces: namespaces},
		Controller: config.Controller{SkipNameValidation: &anyName},
		Logger:     zap.New(zap.WriteTo(s.log)),
	})
	require.NoError(t, err)
	require.NoError(t, exposure.Add(mgr, exposure.Options{Settings: settings, Namespaces: namespaces, Clock: clock.RealClock{}}))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, mgr.Start(ctx)) })
	s.stop = sync.OnceFunc(func() {
		log := s.log.String() // what is cut off by the end may say so
		cancel()
		running.Wait()
		mgr.GetHTTPClient().CloseIdleConnections()
		for line := range strings.Lines(log) {
			assert.NotContains(t, line, `"level":"error"`)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// wire remembers what the writer sends to the API server, watches left out.
type wire struct {
	mutex  sync.Mutex
	writes []string
	reads  []string
	// refused are parts of paths: the API server allows no request to them.
	refused []string
}

// refuse has requests to the resources refused, as by missing rights.
func (w *wire) refuse(resources ...string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.refused = nil
	for _, r := range resources {
		w.refused = append(w.refused, "/"+r)
	}
}

type listener struct {
	next http.RoundTripper
	wire *wire
}

func (l listener) RoundTrip(request *http.Request) (*http.Response, error) {
	l.wire.mutex.Lock()
	what := request.Method + " " + request.URL.Path
	switch {
	case request.Method != http.MethodGet:
		l.wire.writes = append(l.wire.writes, what)
	case request.URL.Query().Get("watch") == "":
		l.wire.reads = append(l.wire.reads, what)
	}
	refused := slices.ContainsFunc(l.wire.refused, func(part string) bool { return strings.HasSuffix(request.URL.Path, part) })
	l.wire.mutex.Unlock()
	if refused {
		return &http.Response{
			StatusCode: http.StatusForbidden, Header: http.Header{}, Request: request, Body: io.NopCloser(strings.NewReader("not allowed")),
		}, nil
	}
	return l.next.RoundTrip(request)
}

// statusWrites are the writes so far of anything but events.
func (w *wire) statusWrites() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	var out []string
	for _, what := range w.writes {
		if !strings.Contains(what, "events.k8s.io") {
			out = append(out, what)
		}
	}
	return out
}

func (w *wire) traffic() (writes, reads int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return len(w.writes), len(w.reads)
}

// lockedBuffer is a buffer for several goroutines.
type lockedBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

// newNamespace makes a namespace, or skips the test when there is no API server.
func newNamespace(t *testing.T) string {
	t.Helper()
	if os.Getenv(assets) == "" {
		t.Skipf("%s is not set: there is no API server to test against", assets)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "components-"}}
	require.NoError(t, cluster.client.Create(t.Context(), ns))
	return ns.Name
}

// exposedAPICRD is our definition.
func exposedAPICRD(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	return readCRDs(t, filepath.Join(repository, "config/crd/oda/bases/oda.tmforum.org_exposedapis.yaml"), "exposedapis.oda.tmforum.org")[0]
}

// legacyCRD is our definition of the kind API.
func legacyCRD(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	return readCRDs(t, filepath.Join(repository, "config/crd/oda/legacy/apis.yaml"), "apis.oda.tmforum.org")[0]
}

// open turns a definition into one as ODA Canvas brings it: without the status subresource, with a spec and a status of which
// nothing is declared.
func open(crd *apiextensionsv1.CustomResourceDefinition, versions ...string) *apiextensionsv1.CustomResourceDefinition {
	yes := true
	any := apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &yes}
	crd.Spec.Versions = nil
	for i, v := range versions {
		crd.Spec.Versions = append(crd.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{
			Name: v, Served: true, Storage: i == 0, Schema: &apiextensionsv1.CustomResourceValidation{
				OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": any, "status": any},
				},
			},
		})
	}
	return crd
}

// componentCRD stands in for the definition of Component, which is ODA Canvas' own.
func componentCRD() *apiextensionsv1.CustomResourceDefinition {
	return open(&apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "components.oda.tmforum.org"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: oda.Group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: "Component", ListKind: "ComponentList", Plural: "components", Singular: "component"},
		},
	}, "v1")
}

// istioCRDs are the published definitions of VirtualService and Gateway.
func istioCRDs(t *testing.T) []*apiextensionsv1.CustomResourceDefinition {
	return readCRDs(t, filepath.Join(moduleDir(t, "istio.io/api"), "kubernetes/customresourcedefinitions.gen.yaml"),
		"virtualservices.networking.istio.io", "gateways.networking.istio.io")
}

// monitorCRD is the published definition of ServiceMonitor.
func monitorCRD(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	return readCRDs(t, filepath.Join(moduleDir(t, "github.com/prometheus-operator/prometheus-operator"),
		"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"), "servicemonitors.monitoring.coreos.com")[0]
}

// complete are the definitions of a complete cluster.
func complete(t *testing.T) []*apiextensionsv1.CustomResourceDefinition {
	return append(istioCRDs(t), exposedAPICRD(t), monitorCRD(t), componentCRD())
}

func readCRDs(t *testing.T, file string, names ...string) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var out []*apiextensionsv1.CustomResourceDefinition
	for doc := range strings.SplitSeq("\n"+string(text), "\n---\n") {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		require.NoError(t, yaml.Unmarshal([]byte(doc), crd))
		crd.Status = apiextensionsv1.CustomResourceDefinitionStatus{}
		for _, name := range names {
			if crd.Name == name {
				out = append(out, crd)
			}
		}
	}
	require.Len(t, out, len(names))
	return out
}

// moduleDir is the folder of a Go module that tools/crds names.
func moduleDir(t *testing.T, module string) string {
	t.Helper()
	var dir string
	for _, args := range [][]string{{"mod", "download", module}, {"list", "-m", "-f", "{{.Dir}}", module}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = filepath.Join(repository, "tools", "crds")
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		dir = strings.TrimSpace(string(out))
	}
	return dir
}
