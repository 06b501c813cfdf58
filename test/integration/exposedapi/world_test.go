// Package exposedapi_test runs the operator's programs on ExposedAPIs, against a real API server with the definitions that
// Istio and prometheus-operator publish. The tests need etcd and kube-apiserver in the directory that KUBEBUILDER_ASSETS
// names and the programs in the one that DATAPOWER_BIN names, and skip without them.
package exposedapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

const (
	repository = "../../.."
	// patience bounds every wait; a passing test never needs it.
	patience = 90 * time.Second
	// operatorUser is who the helm-operator is to the API server.
	operatorUser = "helm-operator"
)

var (
	apiGVK            = schema.GroupVersionKind{Group: "oda.tmforum.org", Version: "v1", Kind: "ExposedAPI"}
	virtualServiceGVK = schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1", Kind: "VirtualService"}
	monitorGVK        = schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "ServiceMonitor"}
)

// world is an API server with the helm-operator running against it.
type world struct {
	*testing.T
	client     client.Client
	discovery  discovery.DiscoveryInterface
	kubeconfig string
	dir        string
	log        *bytes.Buffer
	operator   *exec.Cmd
}

// newWorld starts an API server with the given definitions and, in the environment that env adds to, the helm-operator.
func newWorld(t *testing.T, crds []*apiextensionsv1.CustomResourceDefinition, env ...string) *world {
	t.Helper()
	w := newServer(t, crds)
	w.startOperator(env...)
	return w
}

// newServer starts an API server with the given definitions, and an audit log of who asks it for what.
func newServer(t *testing.T, crds []*apiextensionsv1.CustomResourceDefinition) *world {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skip("needs an API server: set KUBEBUILDER_ASSETS (make test does)")
	}
	if os.Getenv("DATAPOWER_BIN") == "" {
		t.Skip("needs the operator's programs: set DATAPOWER_BIN (make test does)")
	}
	w := &world{T: t, dir: t.TempDir(), log: &bytes.Buffer{}}
	policy := filepath.Join(w.dir, "policy.yaml")
	require.NoError(t, os.WriteFile(policy, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"), 0o600))
	server := &envtest.Environment{}
	server.ControlPlane.GetAPIServer().Configure().
		Append("audit-policy-file", policy).Append("audit-log-path", w.auditLog()).Append("audit-log-mode", "blocking-strict")
	cfg, err := server.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	scheme := runtime.NewScheme()
	require.NoError(t, clientscheme.AddToScheme(scheme))
	require.NoError(t, apiextensionsv1.AddToScheme(scheme))
	w.client, err = client.New(cfg, client.Options{Scheme: scheme})
	require.NoError(t, err)
	w.discovery, err = discovery.NewDiscoveryClientForConfig(cfg)
	require.NoError(t, err)
	w.define(crds...)

	user, err := server.ControlPlane.AddUser(envtest.User{Name: operatorUser}, nil)
	require.NoError(t, err)
	config, err := user.KubeConfig()
	require.NoError(t, err)
	w.kubeconfig = filepath.Join(w.dir, "kubeconfig")
	require.NoError(t, os.WriteFile(w.kubeconfig, config, 0o600))
	w.grant()
	return w
}

func (w *world) auditLog() string { return filepath.Join(w.dir, "audit.log") }

// grant gives the helm-operator the rights that it says it needs.
func (w *world) grant() {
	w.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "cmd", "helm-operator", "testdata", "role-exposedapi.yaml"))
	require.NoError(w, err)
	role := &rbacv1.ClusterRole{}
	require.NoError(w, yaml.UnmarshalStrict(text, role))
	w.create(role, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: operatorUser}},
	})
}

func (w *world) startOperator(env ...string) {
	w.Helper()
	log, err := os.Create(filepath.Join(w.dir, "helm-operator.log"))
	require.NoError(w, err)
	cmd := exec.Command(filepath.Join(os.Getenv("DATAPOWER_BIN"), "helm-operator"),
		"--leader-elect=false", "--metrics-bind-address=0", "--health-probe-bind-address=0",
		"--watches-file="+filepath.Join(repository, "watches.yaml"))
	cmd.Env = append(append(os.Environ(), "KUBECONFIG="+w.kubeconfig), env...)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(w, cmd.Start())
	w.operator = cmd
	w.Cleanup(func() {
		w.stopOperator()
		if w.Failed() {
			text, _ := os.ReadFile(log.Name())
			lines := strings.Split(string(text), "\n")
			w.Logf("helm-operator:\n%s", strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
		_ = log.Close()
	})
}

func (w *world) stopOperator() {
	if w.operator == nil {
		return
	}
	_ = w.operator.Process.Signal(syscall.SIGTERM)
	_ = w.operator.Wait()
	w.operator = nil
}

// define installs definitions and waits until they are served.
func (w *world) define(crds ...*apiextensionsv1.CustomResourceDefinition) {
	w.Helper()
	for _, crd := range crds {
		w.create(crd.DeepCopy())
	}
	for _, crd := range crds {
		require.Eventually(w, func() bool {
			var got apiextensionsv1.CustomResourceDefinition
			if w.client.Get(w.Context(), client.ObjectKeyFromObject(crd), &got) != nil {
				return false
			}
			for _, c := range got.Status.Conditions {
				if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
					return w.discovered(crd)
				}
			}
			return false
		}, patience, 50*time.Millisecond, crd.Name)
	}
}

// discovered tells that a definition's kind is found in its first version: a REST mapper that meets the kind "api" before
// takes it for API.
func (w *world) discovered(crd *apiextensionsv1.CustomResourceDefinition) bool {
	found, err := w.discovery.ServerResourcesForGroupVersion(crd.Spec.Group + "/" + crd.Spec.Versions[0].Name)
	return err == nil && slices.ContainsFunc(found.APIResources, func(r metav1.APIResource) bool { return r.Name == crd.Spec.Names.Plural })
}

func (w *world) create(objects ...client.Object) {
	w.Helper()
	for _, obj := range objects {
		// A kind that was defined just now may be unknown to this client for a moment.
		require.Eventually(w, func() bool {
			err := w.client.Create(w.Context(), obj)
			if err != nil && !strings.Contains(err.Error(), "no matches for kind") && !apierrors.IsNotFound(err) {
				require.NoError(w, err)
			}
			return err == nil
		}, patience, 100*time.Millisecond)
	}
}

// apply creates the objects of a YAML text in a namespace.
func (w *world) apply(namespace, text string) *unstructured.Unstructured {
	w.Helper()
	obj := &unstructured.Unstructured{}
	require.NoError(w, yaml.Unmarshal([]byte(text), &obj.Object))
	obj.SetNamespace(namespace)
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "generation", "generateName", "ownerReferences"} {
		unstructured.RemoveNestedField(obj.Object, "metadata", field)
	}
	w.create(obj)
	return obj
}

func (w *world) namespace(name string) {
	w.Helper()
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}}
	w.create(ns)
}

// get returns an object, nil when it is not there.
func (w *world) get(gvk schema.GroupVersionKind, namespace, name string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(gvk)
	if err := w.client.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, obj); err != nil {
		return nil
	}
	return obj
}

// there waits for an object.
func (w *world) there(gvk schema.GroupVersionKind, namespace, name string) *unstructured.Unstructured {
	w.Helper()
	var got *unstructured.Unstructured
	require.Eventually(w, func() bool {
		got = w.get(gvk, namespace, name)
		return got != nil
	}, patience, 20*time.Millisecond, "%s %s/%s should be there", gvk.Kind, namespace, name)
	return got
}

// gone waits until an object is not there.
func (w *world) gone(gvk schema.GroupVersionKind, namespace, name string) {
	w.Helper()
	require.Eventually(w, func() bool { return w.get(gvk, namespace, name) == nil }, patience, 20*time.Millisecond,
		"%s %s/%s should be gone", gvk.Kind, namespace, name)
}

// condition waits until a condition of an object has a status and returns it.
func (w *world) condition(gvk schema.GroupVersionKind, namespace, name, conditionType, status string) metav1.Condition {
	w.Helper()
	var got metav1.Condition
	require.Eventually(w, func() bool {
		got = conditionOf(w.get(gvk, namespace, name), conditionType)
		return string(got.Status) == status
	}, patience, 20*time.Millisecond, "%s %s/%s: condition %s should be %s, is %v", gvk.Kind, namespace, name, conditionType, status, &got)
	return got
}

func conditionOf(obj *unstructured.Unstructured, conditionType string) metav1.Condition {
	if obj == nil {
		return metav1.Condition{}
	}
	list, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, item := range list {
		fields, _ := item.(map[string]any)
		if fields["type"] == conditionType {
			data, _ := json.Marshal(fields)
			var c metav1.Condition
			_ = json.Unmarshal(data, &c)
			return c
		}
	}
	return metav1.Condition{}
}

// field is one field of an object; nil when it is absent.
func field(obj *unstructured.Unstructured, path ...string) any {
	v, _, _ := unstructured.NestedFieldNoCopy(obj.Object, path...)
	return v
}

// requests lists what the helm-operator has asked the API server since the audit log had a length, watches left out.
func (w *world) requests(since int64) []string {
	w.Helper()
	data, err := os.ReadFile(w.auditLog())
	require.NoError(w, err)
	var out []string
	for line := range strings.SplitSeq(string(data[since:]), "\n") {
		var e struct {
			Verb       string `json:"verb"`
			RequestURI string `json:"requestURI"`
			User       struct {
				Username string `json:"username"`
			} `json:"user"`
		}
		if json.Unmarshal([]byte(line), &e) == nil && e.User.Username == operatorUser && e.Verb != "watch" {
			out = append(out, e.Verb+" "+e.RequestURI)
		}
	}
	return out
}

func (w *world) auditLength() int64 {
	w.Helper()
	info, err := os.Stat(w.auditLog())
	require.NoError(w, err)
	return info.Size()
}

// upstreamCRD is the definition of ExposedAPI as ODA Canvas brings it: without the status subresource, and with a spec and a
// status of which little is declared.
func upstreamCRD(t *testing.T, versions ...string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	crd := ourCRD(t)
	yes := true
	open := apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &yes}
	schema := &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
		Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": open, "status": open},
	}}
	crd.Spec.Versions = nil
	for i, v := range versions {
		crd.Spec.Versions = append(crd.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{
			Name: v, Served: true, Storage: i == 0, Schema: schema,
		})
	}
	return crd
}

func ourCRD(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	return readCRDs(t, filepath.Join(repository, "config/crd/oda/bases/oda.tmforum.org_exposedapis.yaml"))[0]
}

// istioCRD is the published definition of VirtualService.
func istioCRD(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	for _, crd := range readCRDs(t, filepath.Join(moduleDir(t, "istio.io/api"), "kubernetes/customresourcedefinitions.gen.yaml")) {
		if crd.Name == "virtualservices.networking.istio.io" {
			return crd
		}
	}
	require.Fail(t, "Istio publishes no VirtualService")
	return nil
}

// monitorCRD is the published definition of ServiceMonitor.
func monitorCRD(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	return readCRDs(t, filepath.Join(moduleDir(t, "github.com/prometheus-operator/prometheus-operator"),
		"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"))[0]
}

// allCRDs are those of a complete cluster.
func allCRDs(t *testing.T) []*apiextensionsv1.CustomResourceDefinition {
	return []*apiextensionsv1.CustomResourceDefinition{ourCRD(t), istioCRD(t), monitorCRD(t)}
}

func readCRDs(t *testing.T, file string) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var out []*apiextensionsv1.CustomResourceDefinition
	for doc := range strings.SplitSeq("\n"+string(text), "\n---\n") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		require.NoError(t, yaml.Unmarshal([]byte(doc), crd))
		crd.Status = apiextensionsv1.CustomResourceDefinitionStatus{}
		out = append(out, crd)
	}
	return out
}

// moduleDir is the folder of a Go module that tools/crds names.
func moduleDir(t *testing.T, module string) string {
	t.Helper()
	for _, args := range [][]string{{"mod", "download", module}, {"list", "-m", "-f", "{{.Dir}}", module}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = filepath.Join(repository, "tools", "crds")
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		if args[0] == "list" {
			return strings.TrimSpace(string(out))
		}
	}
	return ""
}

// minimal is an ExposedAPI with the required fields only.
func minimal(name, path string) string {
	return fmt.Sprintf(`
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata: {name: %s}
spec: {name: catalog, apiType: openapi, implementation: prodcatapi, path: %s, port: 8080}`, name, path)
}
