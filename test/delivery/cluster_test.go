package delivery_test

import (
	"bufio"
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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/test/chart/openapischema"
	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/clustertest"
)

const (
	patience = 180 * time.Second
	tick     = 200 * time.Millisecond
	account  = "system:serviceaccount:" + system + ":datapower-operator"
)

// world is a cluster with simulated nodes, into which the operator is installed as users do.
type world struct {
	*testing.T
	cluster *cluster.Cluster
	kube    client.Client
	kubectl string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, cluster: clustertest.Start(t, cluster.Options{Nodes: 2, AuditLog: true})}
	w.kubectl = filepath.Join(clustertest.NeedBinaries(t), "kubectl")
	var err error
	w.kube, err = client.New(w.cluster.RESTConfig(), client.Options{})
	require.NoError(t, err)
	w.run("apply", "--server-side", "-k", filepath.Join(repository, "config", "crd"))
	w.run("wait", "--for=condition=Established", "--timeout=2m", "crd", "datapowerservices.datapower.ibm.com", "datapowermonitors.datapower.ibm.com")
	return w
}

// run runs kubectl as the cluster's administrator.
func (w *world) run(args ...string) string {
	w.Helper()
	cmd := exec.Command(w.kubectl, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.cluster.KubeconfigPath())
	out, err := cmd.CombinedOutput()
	require.NoError(w, err, "kubectl %s\n%s", strings.Join(args, " "), out)
	return string(out)
}

// start runs a program with the rights of the operator's ServiceAccount, as its container does. The pod is one of the Deployment's,
// whose containers a simulated node does not run.
func (w *world) start(program, pod, watched string) {
	w.Helper()
	kubeconfig, err := w.cluster.KubeconfigFor(account, "system:serviceaccounts", "system:authenticated")
	require.NoError(w, err)
	path := filepath.Join(w.TempDir(), program)
	require.NoError(w, os.WriteFile(path, kubeconfig, 0o600))
	log, err := os.Create(path + ".log")
	require.NoError(w, err)
	defer func() { _ = log.Close() }()
	args := []string{
		"--health-probe-bind-address=0", "--metrics-bind-address=127.0.0.1:0", "--watches-file=" + filepath.Join(repository, "watches.yaml"),
	}
	if program == "sidecar" {
		args = append(args, "--webhook-host=127.0.0.1", "--webhook-bind-address=127.0.0.1:0", "--webhook-drain=0", "--conversion=both",
			"--chart-values="+filepath.Join(repository, "helm-charts", "datapowerservice", "values.yaml"))
	}
	cmd := exec.Command(filepath.Join(os.Getenv("DATAPOWER_BIN"), program), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+path, "POD_NAMESPACE="+system, "POD_NAME="+pod, "WATCH_NAMESPACE="+watched,
		"NAMESPACED_NAME="+system+".datapower-operator")
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(w, cmd.Start())
	w.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		assert.NoError(w, cmd.Wait(), "%s ends in peace", program)
		if w.Failed() {
			text, _ := os.ReadFile(log.Name())
			w.Logf("%s:\n%s", program, text[max(0, len(text)-8000):])
		}
	})
}

// install applies manifests and waits until the Deployment's pods run on the simulated nodes, in a namespace that enforces the
// restricted Pod Security Standard.
func (w *world) install(all []*unstructured.Unstructured) (pod string) {
	w.Helper()
	for _, namespace := range []string{"team-a", "team-b"} {
		require.NoError(w, client.IgnoreAlreadyExists(w.kube.Create(w.Context(), namespaceNamed(namespace))))
	}
	path := filepath.Join(w.TempDir(), "manifests.yaml")
	require.NoError(w, os.WriteFile(path, []byte(strings.Join(lines(w.T, all), "\n---\n")), 0o600))
	said := w.run("apply", "--server-side", "--validate=strict", "-f", path)
	assert.NotContains(w, said, "Warning", "of the Pod Security Standards, or of what is deprecated")
	w.run("-n", system, "rollout", "status", "deployment/datapower-operator", "--timeout=3m")
	pod = w.run("-n", system, "get", "pods", "-l", "app.kubernetes.io/name=datapower-operator", "-o", "jsonpath={.items[0].metadata.name}")
	require.NotEmpty(w, pod)
	return pod
}

func namespaceNamed(name string) *corev1.Namespace {
	out := &corev1.Namespace{}
	out.Name = name
	return out
}

// request is a line of the audit log.
type request struct {
	Verb string `json:"verb"`
	URI  string `json:"requestURI"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	Object struct {
		Group       string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	Status struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// asked are the requests of the operator so far.
func (w *world) asked() []request {
	w.Helper()
	file, err := os.Open(w.cluster.AuditLogPath())
	require.NoError(w, err)
	defer func() { _ = file.Close() }()
	var out []request
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil { // a last line without its end is being written
			return out
		}
		var r request
		require.NoError(w, json.Unmarshal(line, &r))
		if r.User.Username == account && r.Object.Resource != "" {
			out = append(out, r)
		}
	}
}

// right is what a request needs.
func (r request) right() right {
	resource := r.Object.Resource
	if r.Object.Subresource != "" {
		resource += "/" + r.Object.Subresource
	}
	return right{r.Object.Group, resource, "", r.Verb}
}

// refused are the requests that the API server refused, each once. What a foreground deletion may have left is looked for among
// all kinds; those that may not be listed cannot have been made (helm-operator/orphans).
func refused(asked []request) []string {
	found := map[string]bool{}
	for _, r := range asked {
		if r.Status.Code == 403 && !strings.Contains(r.URI, "owner-uid%3D") {
			found[fmt.Sprintf("%s in %q: %s", r.right(), r.Object.Namespace, r.URI)] = true
		}
	}
	out := make([]string, 0, len(found))
	for text := range found {
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

const service = `
apiVersion: v1
kind: Secret
metadata: {name: credentials}
stringData: {password: change-me-please}
---
apiVersion: datapower.ibm.com/v1beta3
kind: DataPowerService
metadata: {name: gateway}
spec:
  license: {accept: true, use: nonproduction, license: L-RJON-CCCP46}
  version: 10.6-lts
  replicas: 2
  users: [{name: admin, passwordSecret: credentials, accessLevel: privileged}]
`

// phase is how a DataPowerService does.
func (w *world) phase(namespace, name string) string {
	w.Helper()
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(schema.GroupVersionKind{Group: "datapower.ibm.com", Version: "v1beta3", Kind: "DataPowerService"})
	err := w.kube.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: name}, found)
	if apierrors.IsNotFound(err) {
		return "gone"
	}
	if err != nil {
		return err.Error()
	}
	phase, _, _ := unstructured.NestedString(found.Object, "status", "phase")
	return phase
}

// serves makes a service, waits until it runs, changes it, and deletes it.
func (w *world) serves(namespace string) {
	w.Helper()
	path := filepath.Join(w.TempDir(), "service.yaml")
	require.NoError(w, os.WriteFile(path, []byte(service), 0o600))
	require.Eventually(w, func() bool {
		cmd := exec.Command(w.kubectl, "-n", namespace, "apply", "-f", path)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+w.cluster.KubeconfigPath())
		return cmd.Run() == nil
	}, patience, time.Second, "the webhooks let the service pass once they serve")
	require.Eventually(w, func() bool { return w.phase(namespace, "gateway") == "Running" }, patience, tick, "the service runs")
	w.run("-n", namespace, "patch", "dp", "gateway", "--type=merge", "-p",
		`{"spec":{"podAutoScaling":{"method":"HPA","hpa":{"minReplicas":2,"maxReplicas":3}}}}`)
	require.Eventually(w, func() bool {
		return strings.Contains(w.run("-n", namespace, "get", "hpa", "-o", "name"), "gateway")
	}, patience, tick, "what was changed is there")
	w.run("-n", namespace, "delete", "dp", "gateway", "--timeout=3m")
	require.Equal(w, "gone", w.phase(namespace, "gateway"))
}

func needPrograms(t *testing.T) {
	t.Helper()
	if os.Getenv("DATAPOWER_BIN") == "" {
		t.Skip("DATAPOWER_BIN is not set: there are no programs (make test builds them)")
	}
}

func TestTheManifestsOnARealAPIServer(t *testing.T) {
	needPrograms(t)
	w := newWorld(t)
	t.Run("pass kubeconform with the schemas of the API server", func(t *testing.T) { w.conform(t) })
	for _, overlay := range overlays {
		for _, namespace := range []string{system, "team-a", "team-b"} {
			require.NoError(w, client.IgnoreAlreadyExists(w.kube.Create(t.Context(), namespaceNamed(namespace))))
		}
		w.run("apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-k", filepath.Join(repository, "config", overlay))
	}
	w.run("delete", "namespace", system)
	all := built(t, "default")
	pod := w.install(all)
	w.start("helm-operator", pod, "")
	w.start("sidecar", pod, "")
	w.serves("team-a")
	require.Eventually(t, func() bool {
		return w.run("-n", system, "get", "deployment", "datapower-operator-conversion-webhook", "--ignore-not-found", "-o", "name") != ""
	}, patience, tick, "the operator makes the conversion webhook")
	asked := w.asked()
	assert.Empty(t, refused(asked), "the manifests give every right that is used")
	w.unused(asked, all)
}

// unused looks for rights that the manifests give and that were not used. Not each happens in a short run: reserved says why.
func (w *world) unused(asked []request, all []*unstructured.Unstructured) {
	w.Helper()
	used := map[right]bool{}
	for _, r := range asked {
		used[r.right()] = true
	}
	var idle []string
	for held := range rights(rulesOf(w.T, all, operators)) {
		held.name = ""
		// Server-side apply asks for "create", too, where there is no object yet; the log tells of the patch.
		applied := held.verb == "create" && used[right{held.group, held.resource, "", "patch"}]
		// API servers that cannot begin a watch with a list are asked for the list.
		listed := held.verb == "list" && used[right{held.group, held.resource, "", "watch"}]
		if !used[held] && !applied && !listed && !reserved(held) {
			idle = append(idle, held.String())
		}
	}
	slices.Sort(idle)
	assert.Empty(w, slices.Compact(idle), "rights that nothing used: take them away, or say in reserved when they are")
}

// conform checks everything with kubeconform.
func (w *world) conform(t *testing.T) {
	program, err := filepath.Abs(filepath.Join(repository, "bin", "kubeconform"))
	require.NoError(t, err)
	if _, err := os.Stat(program); err != nil {
		t.Skip("bin/kubeconform is not built")
	}
	folder, schemas := t.TempDir(), t.TempDir()
	kinds := map[schema.GroupVersionKind]bool{}
	for i, overlay := range overlays {
		all := built(t, overlay)
		for _, object := range all {
			kinds[object.GroupVersionKind()] = true
		}
		path := filepath.Join(folder, fmt.Sprintf("%d.yaml", i))
		require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines(t, all), "\n---\n")), 0o600))
	}
	list := make([]schema.GroupVersionKind, 0, len(kinds))
	for kind := range kinds {
		list = append(list, kind)
	}
	discover, err := discovery.NewDiscoveryClientForConfig(w.cluster.RESTConfig())
	require.NoError(t, err)
	require.NoError(t, openapischema.Write(discover.OpenAPIV3(), schemas, list))
	out, err := exec.Command(program, "-strict", "-summary", "-schema-location", filepath.Join(schemas, openapischema.LocationTemplate), folder).CombinedOutput()
	assert.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "Invalid: 0, Errors: 0, Skipped: 0")
}

func TestAnOperatorOfSomeNamespacesHasNoRightsInOthers(t *testing.T) {
	needPrograms(t)
	w := newWorld(t)
	pod := w.install(built(t, "install-modes/namespaces"))
	w.start("helm-operator", pod, "team-a,team-b")
	w.start("sidecar", pod, "team-a,team-b")
	w.serves("team-b")
	assert.Empty(t, refused(w.asked()), "it asks for nothing beyond its namespaces")
	for _, what := range []string{"list secrets", "list pods", "create statefulsets.apps", "get configmaps", "list datapowermonitors.datapower.ibm.com"} {
		cmd := exec.Command(w.kubectl, append([]string{"auth", "can-i", "-n", "default", "--as", account}, strings.Fields(what)...)...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+w.cluster.KubeconfigPath())
		out, _ := cmd.Output()
		assert.Equal(t, "no", strings.TrimSpace(string(out)), what)
	}
}

// reserved tells of rights that only what is not in this test's run uses; other tests run it with cmd/*/testdata/role*.yaml, which
// TestTheOperatorHasTheRightsThatItsProgramsAskFor compares, or nothing but another kind of cluster does.
func reserved(r right) bool {
	switch r.group {
	case "oda.tmforum.org", "networking.istio.io", "monitoring.coreos.com", "autoscaling.k8s.io":
		return true // kinds of others, not installed here
	case "authentication.k8s.io", "authorization.k8s.io":
		return true // nobody reads the metrics here
	}
	switch r.resource {
	case "datapowerservices/finalizers":
		return true // what OpenShift asks for
	case "customresourcedefinitions", "customresourcedefinitions/status":
		return true // the end of a migration of stored versions
	case "events":
		return r.verb == "patch" || r.verb == "list" // an event that repeats; why pods do not start
	case "endpointslices":
		return true // rotations, and exposed APIs
	}
	if r.verb == "delete" || r.verb == "update" {
		return true // rotations, repairs, and the end of what another operator left
	}
	return false
}
