// Package conversion_test runs the sidecar as a process beside a real API server, and looks at conversion between the
// versions of DataPowerService as a user would: what is read and written, and what happens when something breaks.
package conversion_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/clustertest"
	"github.com/datapower-operator/datapower-operator/webhooks/conversionruntime"
)

const (
	// binVariable names the directory of the operator's programs, as `make test` builds them.
	binVariable = "DATAPOWER_BIN"
	// repository is the root of the repository, seen from this folder.
	repository = "../../.."
	// samples holds resources that people published. They are not part of this repository.
	samples = repository + "/../shared/samples/datapower"
	// patience bounds every wait; a passing test never needs it.
	patience = 90 * time.Second
	tick     = 100 * time.Millisecond
	image    = "registry.example/datapower-operator:1"
)

// world is a cluster, and those who run in it.
type world struct {
	*testing.T
	bin     string
	cluster *cluster.Cluster
	client  client.Client
	// kubeconfig is that of the sidecars to come.
	kubeconfig string
}

func newWorld(t *testing.T, options cluster.Options) *world {
	t.Helper()
	bin := os.Getenv(binVariable)
	if bin == "" {
		t.Skipf("needs the operator's programs: set %s (make test does)", binVariable)
	}
	log.SetLogger(logr.Discard())
	w := &world{T: t, bin: bin, cluster: clustertest.Start(t, options)}
	w.kubeconfig = w.cluster.KubeconfigPath()
	scheme := runtime.NewScheme()
	require.NoError(t, clientgoscheme.AddToScheme(scheme))
	require.NoError(t, apiextensionsv1.AddToScheme(scheme))
	config := w.cluster.RESTConfig()
	config.QPS, config.Burst = 1000, 1000
	config.WarningHandler = rest.NoWarnings{}
	var err error
	w.client, err = client.New(config, client.Options{Scheme: scheme})
	require.NoError(t, err)
	return w
}

// on is the world of a subtest.
func (w *world) on(t *testing.T) *world {
	other := *w
	other.T = t
	return &other
}

func (w *world) namespace(name string) {
	w.Helper()
	require.NoError(w, w.client.Create(w.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
}

// operatorDeployment says that an instance of the operator exists in a namespace. Nothing of it runs.
func (w *world) operatorDeployment(namespace string) *appsv1.Deployment {
	w.Helper()
	labels := map[string]string{"app": "operator"}
	none := int32(0)
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "datapower-operator"},
		Spec: appsv1.DeploymentSpec{Replicas: &none, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "helm-operator", Image: image}, {Name: "sidecar", Image: image}}}}},
	}
	require.NoError(w, w.client.Create(w.Context(), d))
	return d
}

// install applies the definitions as kubectl apply --server-side does; edit may change that of DataPowerService.
func (w *world) install(edit func(*apiextensionsv1.CustomResourceDefinition)) {
	w.Helper()
	for _, name := range []string{"datapowermonitors", "datapowerservices"} {
		data, err := os.ReadFile(filepath.Join(repository, "config", "crd", "bases", "datapower.ibm.com_"+name+".yaml"))
		require.NoError(w, err)
		crd := &apiextensionsv1.CustomResourceDefinition{}
		require.NoError(w, yaml.Unmarshal(data, crd))
		if edit != nil && crd.Name == conversionruntime.CRDName {
			edit(crd)
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(crd)
		require.NoError(w, err)
		delete(content, "status")
		applied := client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: content})
		require.NoError(w, w.client.Apply(w.Context(), applied, client.FieldOwner("installer"), client.ForceOwnership))
	}
	w.eventually("the definition is served", func() bool {
		objects := &unstructured.UnstructuredList{}
		objects.SetGroupVersionKind(serviceGVK("v1beta3"))
		if w.crd().Spec.Conversion.Strategy == apiextensionsv1.NoneConverter && w.client.List(w.Context(), objects, client.Limit(1)) != nil {
			return false
		}
		for _, c := range w.crd().Status.Conditions {
			if c.Type == apiextensionsv1.Established {
				return c.Status == apiextensionsv1.ConditionTrue
			}
		}
		return false
	})
}

func (w *world) crd() *apiextensionsv1.CustomResourceDefinition {
	w.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	require.NoError(w, w.client.Get(w.Context(), client.ObjectKey{Name: conversionruntime.CRDName}, crd))
	return crd
}

func (w *world) patch(object client.Object, patch string) {
	w.Helper()
	require.NoError(w, w.client.Patch(w.Context(), object, client.RawPatch(types.MergePatchType, []byte(patch))))
}

func (w *world) eventually(what string, is func() bool) {
	w.Helper()
	require.Eventually(w, is, patience, tick, what)
}

// process is a running sidecar.
type process struct {
	*world
	cmd  *exec.Cmd
	log  string
	done bool
}

// sidecar starts one for a namespace. It ends with the test.
func (w *world) sidecar(namespace string, args ...string) *process {
	w.Helper()
	output, err := os.CreateTemp(w.TempDir(), "sidecar-*.log")
	require.NoError(w, err)
	args = append([]string{
		"--leader-elect=false", "--leader-election-namespace=" + namespace, "--metrics-bind-address=0", "--health-probe-bind-address=0",
		"--webhooks=false", "--chart-values=" + filepath.Join(repository, "helm-charts", "datapowerservice", "values.yaml"),
	}, args...)
	cmd := exec.Command(filepath.Join(w.bin, "sidecar"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.kubeconfig)
	cmd.Stdout, cmd.Stderr = output, output
	require.NoError(w, cmd.Start())
	p := &process{world: w, cmd: cmd, log: output.Name()}
	w.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if w.Failed() {
			w.Logf("log of the sidecar in %s:\n%s", namespace, p.text())
		}
	})
	return p
}

func (p *process) end(signal syscall.Signal) {
	if !p.done {
		p.done = true
		_ = p.cmd.Process.Signal(signal)
		_ = p.cmd.Wait()
	}
}

func (p *process) text() string {
	data, _ := os.ReadFile(p.log)
	lines := strings.Split(string(data), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// serviceGVK is DataPowerService of a version.
func serviceGVK(version string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "datapower.ibm.com", Version: version, Kind: "DataPowerService"}
}

// read reads a service in a version.
func (w *world) read(version, namespace, name string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(serviceGVK(version))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return object, w.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)
}

func (w *world) mustRead(version, namespace, name string) *unstructured.Unstructured {
	w.Helper()
	object, err := w.read(version, namespace, name)
	require.NoError(w, err)
	return object
}

// spec is the spec of a service as JSON.
func spec(t require.TestingT, object *unstructured.Unstructured) string {
	text, err := json.Marshal(object.Object["spec"])
	require.NoError(t, err)
	return string(text)
}

// oldService is a service of v1beta1 with settings that later versions do not have.
func oldService(namespace, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	text := fmt.Sprintf(`{"apiVersion":"datapower.ibm.com/v1beta1","kind":"DataPowerService","metadata":{"namespace":%q,"name":%q},
		"spec":{"replicas":1,"version":"10.0.0","license":{"accept":true,"use":"nonproduction"},
		"users":[{"name":"admin","passwordSecret":"s","accessLevel":"privileged"}],
		"datapowerMonitor":{"image":"monitor:1","lifecycleDebounceMs":20000,"monitorGatewayPeering":true}}}`, namespace, name)
	if err := json.Unmarshal([]byte(text), &object.Object); err != nil {
		panic(err)
	}
	return object
}

// makeOld makes a service of v1beta1 once conversion works. Until then the API server only renames versions, and drops
// what the stored one does not have.
func (w *world) makeOld(namespace, name string) {
	w.Helper()
	w.eventually("a service of v1beta1 is accepted and nothing of it is lost", func() bool {
		if w.client.Create(w.Context(), oldService(namespace, name)) != nil {
			return false
		}
		if w.converts(namespace, name) {
			return true
		}
		_ = w.client.Delete(w.Context(), oldService(namespace, name))
		return false
	})
}

// converts tells whether a service can be read in its old form now.
func (w *world) converts(namespace, name string) bool {
	object, err := w.read("v1beta1", namespace, name)
	if err != nil {
		return false
	}
	_, found, _ := unstructured.NestedMap(object.Object, "spec", "datapowerMonitor")
	return found
}
