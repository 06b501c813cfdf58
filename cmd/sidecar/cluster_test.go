package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

const (
	patience  = 20 * time.Second
	tick      = 50 * time.Millisecond
	namespace = "datapower-system" // of the Lease
	watched   = "gateways"         // the only namespace that the sidecar watches
)

// rig is an API server, its administrator, and a sidecar that runs as a user
// with the rights of testdata/role.yaml.
type rig struct {
	admin          client.Client
	metrics, probe string // addresses
	log            *logBuffer
	stop           func() int // stops the sidecar, returns its exit code
}

// logBuffer collects the log of a running sidecar.
type logBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

func startRig(t *testing.T) *rig {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skip("KUBEBUILDER_ASSETS is not set: there is no API server to test against")
	}
	env := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := env.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, env.Stop()) })

	r := &rig{metrics: freeAddress(t), probe: freeAddress(t), log: &logBuffer{}}
	scheme, err := newScheme()
	require.NoError(t, err)
	httpClient, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	t.Cleanup(httpClient.CloseIdleConnections)
	r.admin, err = client.New(config, client.Options{Scheme: scheme, HTTPClient: httpClient})
	require.NoError(t, err)

	for _, name := range []string{namespace, watched} {
		require.NoError(t, r.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
	}
	r.grant(t, "sidecar-user")
	user, err := env.AddUser(envtest.User{Name: "sidecar-user"}, nil)
	require.NoError(t, err)
	kubeconfig, err := user.KubeConfig()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, kubeconfig, 0o600))
	r.run(t, path)
	return r
}

// run starts the sidecar as a process would, without the process.
func (r *rig) run(t *testing.T, kubeconfig string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	args := []string{
		"--kubeconfig", kubeconfig, "--chart-values", filepath.Join("..", "..", "helm-charts", "datapowerservice", "values.yaml"),
		"--metrics-bind-address", r.metrics, "--health-probe-bind-address", r.probe,
		"--webhook-host=127.0.0.1", "--webhook-bind-address=127.0.0.1:0", "--webhook-drain=0",
		"--watches-file", filepath.Join("..", "..", "watches.yaml"), "--conversion=both",
	}
	getenv := func(key string) string {
		return map[string]string{"WATCH_NAMESPACE": watched, "NAMESPACED_NAME": "sidecar", "CONVERSION_WEBHOOK_IMAGE": "operator:1"}[key]
	}
	exited := make(chan int, 1)
	go func() { exited <- run(ctx, args, getenv, r.log) }()
	r.stop = sync.OnceValue(func() int { cancel(); return <-exited })
	t.Cleanup(func() { r.stop() })
}

// grant gives user what testdata/role.yaml says, and nothing more.
func (r *rig) grant(t *testing.T, user string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "role.yaml"))
	require.NoError(t, err)
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		role := &unstructured.Unstructured{}
		if err := decoder.Decode(role); errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, r.admin.Create(t.Context(), role))
		subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: role.GetKind(), Name: role.GetName()}
		meta := metav1.ObjectMeta{Name: role.GetName(), Namespace: role.GetNamespace()}
		var binding client.Object = &rbacv1.ClusterRoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: ref}
		if role.GetKind() == "Role" {
			binding = &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subjects, RoleRef: ref}
		}
		require.NoError(t, r.admin.Create(t.Context(), binding))
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}

// get returns the HTTP status of a GET, 0 when nobody answers.
func get(t *testing.T, url, token string) int {
	t.Helper()
	// The certificate is self-signed: this test is about who may read.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0
	}
	defer func() { assert.NoError(t, response.Body.Close()) }()
	return response.StatusCode
}

func TestTheSidecarRunsWithTheseRightsOnly(t *testing.T) {
	// See test/integration/status for the exception.
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("k8s.io/apimachinery/pkg/watch.(*filteredWatch).loop"))
	t.Run("cluster", testWithCluster)
}

func testWithCluster(t *testing.T) {
	r := startRig(t)

	t.Run("it becomes healthy and ready", func(t *testing.T) {
		for _, path := range []string{"/healthz", "/readyz"} {
			require.Eventually(t, func() bool { return get(t, "http://"+r.probe+path, "") == http.StatusOK }, patience, tick, "%s\n%s", path, r.log)
		}
	})
	t.Run("it leads", func(t *testing.T) {
		require.Eventually(t, func() bool { return r.leaseHolder(t) != "" }, patience, tick, "%s", r.log)
	})
	t.Run("its webhooks judge what is in its namespaces", func(t *testing.T) { r.judges(t) })
	t.Run("it converts, and keeps the conversion webhook", func(t *testing.T) { r.converts(t) })
	t.Run("it writes the status and tells why", func(t *testing.T) { r.writesStatus(t) })
	t.Run("its metrics are for those who may read them", func(t *testing.T) {
		url := "https://" + r.metrics + "/metrics"
		assert.Equal(t, http.StatusUnauthorized, get(t, url, ""), "nobody in particular")
		assert.Equal(t, http.StatusForbidden, get(t, url, r.token(t, "stranger")), "somebody without the right")
		assert.Equal(t, http.StatusOK, get(t, url, r.reader(t)), "somebody with it")
		assert.NotEqual(t, http.StatusOK, get(t, "http://"+r.metrics+"/metrics", ""), "not without TLS")
	})
	t.Run("it stops cleanly and gives the Lease back", func(t *testing.T) {
		assert.Equal(t, 0, r.stop(), "exit code\n%s", r.log)
		assert.Empty(t, r.leaseHolder(t))
		assert.Zero(t, get(t, "http://"+r.probe+"/healthz", ""))
	})
	t.Run("it missed no right and kept its secrets", func(t *testing.T) {
		assert.NotContains(t, r.log.String(), "forbidden")
		for line := range strings.Lines(r.log.String()) {
			// controller-runtime says so at every stop of a leader, client-go when it is just renewing.
			if !strings.Contains(line, "leader election lost") && !strings.Contains(line, "Error retrieving lease lock") {
				assert.NotContains(t, line, `"level":"error"`)
			}
		}
		assert.NotContains(t, r.log.String(), "hunter2")
	})
}

func newService(namespace string) *v1beta3.DataPowerService {
	return &v1beta3.DataPowerService{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "gw"},
		Spec: v1beta3.DataPowerServiceSpec{
			License: v1beta3.License{Accept: true, License: "L-EYGU-PVGRBC", Use: v1beta3.LicenseUseDevelopers},
			Version: "10.6-lts",
			Env: []corev1.EnvVar{{Name: "X", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}, Key: "x"}}}},
		},
	}
}

func (r *rig) judges(t *testing.T) {
	wrong := newService(watched)
	wrong.Spec.Version = "9.9-lts" // the schema has no list of channels
	err := r.admin.Create(t.Context(), wrong, client.DryRunAll)
	require.ErrorContains(t, err, `"datapowerservices.validator.datapower.ibm.com" denied the request`)
	elsewhere := newService("default")
	elsewhere.Spec.Version = "9.9-lts"
	require.NoError(t, r.admin.Create(t.Context(), elsewhere, client.DryRunAll))
}

func (r *rig) writesStatus(t *testing.T) {
	elsewhere, service := newService("default"), newService(watched)
	require.NoError(t, r.admin.Create(t.Context(), elsewhere))
	require.NoError(t, r.admin.Create(t.Context(), service))
	reaches := func(phase datapower.Phase) {
		t.Helper()
		require.Eventually(t, func() bool {
			require.NoError(t, r.admin.Get(t.Context(), client.ObjectKeyFromObject(service), service))
			return service.Status.Phase == phase
		}, patience, tick, "%s\n%s", phase, r.log)
	}
	reaches(datapower.PhaseFailed) // nothing that it needs is there, not even the Secret of the chart's default user
	require.Eventually(t, func() bool {
		var events eventsv1.EventList
		require.NoError(t, r.admin.List(t.Context(), &events, client.InNamespace(watched)))
		for _, event := range events.Items {
			if event.Reason == "ReferenceNotFound" && strings.Contains(event.Note, `Secret "admin-credentials" not found`) {
				return event.ReportingController == "datapower-sidecar"
			}
		}
		return false
	}, patience, tick)

	require.NoError(t, r.admin.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: watched, Name: "admin-credentials"}, StringData: map[string]string{"password": "hunter2"}}))
	require.NoError(t, r.admin.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: watched, Name: "settings"}, Data: map[string]string{"x": "1"}}))
	reaches(datapower.PhasePending)

	require.NoError(t, r.admin.Get(t.Context(), client.ObjectKeyFromObject(elsewhere), elsewhere))
	assert.Empty(t, elsewhere.Status, "not in a watched namespace")
}

func (r *rig) leaseHolder(t *testing.T) string {
	t.Helper()
	var lease coordinationv1.Lease
	err := r.admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "datapower-sidecar"}, &lease)
	require.NoError(t, client.IgnoreNotFound(err))
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// token makes a service account and returns a token of it.
func (r *rig) token(t *testing.T, name string) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	require.NoError(t, r.admin.Create(t.Context(), account))
	request := &authenticationv1.TokenRequest{}
	require.NoError(t, r.admin.SubResource("token").Create(t.Context(), account, request))
	return request.Status.Token
}

// reader returns the token of somebody who may read metrics.
func (r *rig) reader(t *testing.T) string {
	t.Helper()
	const name = "metrics-reader"
	require.NoError(t, r.admin.Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
	}))
	require.NoError(t, r.admin.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: name}},
	}))
	return r.token(t, name)
}
