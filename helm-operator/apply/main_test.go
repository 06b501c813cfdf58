package apply

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"helm.sh/helm/v3/pkg/kube"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/resource"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/helm-operator/apply/testdata/fakeapi"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	configMap   = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	secret      = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	deployment  = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}
	clusterRole = schema.GroupVersionKind{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"}
)

// gw is the custom resource that the tests write for.
func gw() Owner {
	return Owner{
		GroupVersionKind: schema.GroupVersionKind{Group: "example.test", Version: "v1", Kind: "Demo"},
		Namespace:        "prod", Name: "gw", UID: "uid-gw",
	}
}

// world is a client of gw and the API server that it writes to.
type world struct {
	*testing.T
	*Client
	server *fakeapi.Server
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server := fakeapi.New(t)
	inner := kube.New(server.Getter())
	inner.Namespace = "prod"
	clients, err := NewClients(server.Config())
	require.NoError(t, err)
	return &world{T: t, Client: NewClient(inner, server.Mapper(), clients, gw()), server: server}
}

// build reads a manifest as Helm's actions do.
func (w *world) build(manifest string) kube.ResourceList {
	w.Helper()
	list, err := w.Build(strings.NewReader(manifest), true)
	require.NoError(w, err)
	return list
}

// put stores an object that exists already.
func (w *world) put(text string, changes ...func(*unstructured.Unstructured)) *unstructured.Unstructured {
	w.Helper()
	u := object(w, text)
	for _, change := range changes {
		change(u)
	}
	return w.server.Put(u)
}

func object(t require.TestingT, text string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &u.Object))
	return u
}

// config is the manifest of a ConfigMap with one entry.
func config(name, value string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: prod\ndata:\n  key: %s\n", name, value)
}

// deploy is the manifest of a Deployment; lines go below its spec.
func deploy(lines ...string) string {
	return "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: gw\n  namespace: prod\nspec:\n  paused: false\n" +
		strings.Join(lines, "\n") + "\n"
}

func ownedBy(o Owner) func(*unstructured.Unstructured) {
	return func(u *unstructured.Unstructured) { u.SetOwnerReferences([]metav1.OwnerReference{o.Reference()}) }
}

func labelled(uid string) func(*unstructured.Unstructured) {
	return func(u *unstructured.Unstructured) { u.SetLabels(map[string]string{inventory.OwnerUIDLabel: uid}) }
}

func other() Owner {
	o := gw()
	o.Name, o.UID = "other", "uid-other"
	return o
}

func ref(gvk schema.GroupVersionKind, name string) inventory.Ref {
	return inventory.Ref{GroupVersionKind: gvk, Namespace: "prod", Name: name}
}

func (w *world) data(name string) map[string]any {
	w.Helper()
	u := w.server.Get(configMap, "prod", name)
	require.NotNil(w, u, name)
	d, _, err := unstructured.NestedMap(u.Object, "data")
	require.NoError(w, err)
	return d
}

func names(list kube.ResourceList) []string {
	var out []string
	for _, info := range list {
		out = append(out, info.Name)
	}
	return out
}

// asHelmDoes writes into the objects what Helm's actions write before they create or update (setMetadataVisitor).
func asHelmDoes(t require.TestingT, list kube.ResourceList) {
	require.NoError(t, list.Visit(func(info *resource.Info, err error) error {
		u := info.Object.(*unstructured.Unstructured)
		helmMarks(u)
		return err
	}))
}

func helmMarks(u *unstructured.Unstructured) {
	labels, annotations := u.GetLabels(), u.GetAnnotations()
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels["app.kubernetes.io/managed-by"] = "Helm"
	annotations["meta.helm.sh/release-name"] = "gw"
	annotations["meta.helm.sh/release-namespace"] = "prod"
	u.SetLabels(labels)
	u.SetAnnotations(annotations)
}

func resourceOf(plural string) schema.GroupResource { return schema.GroupResource{Resource: plural} }
