package olm_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/test/cluster/binaries"
	"github.com/datapower-operator/datapower-operator/test/e2e/journey"
)

// manager owns what the test applies.
const manager = "e2e-olm"

// world is the cluster, and the images that the node has.
type world struct {
	*journey.Journey
	config     *rest.Config
	kube       client.Client
	clients    kubernetes.Interface
	nodeDir    string // of the cluster
	repository string
	scratch    string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	begun, kubeconfig := journey.New(t)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	config.QPS, config.Burst, config.WarningHandler = 50, 100, rest.NoWarnings{}
	repository, err := binaries.RepositoryRoot(".")
	require.NoError(t, err)
	w := &world{Journey: begun, config: config, repository: repository, nodeDir: filepath.Dir(kubeconfig), scratch: t.TempDir()}
	w.Diagnose = w.diagnose
	w.kube, err = client.New(config, client.Options{})
	require.NoError(t, err)
	w.clients, err = kubernetes.NewForConfig(config)
	require.NoError(t, err)
	err = w.kube.Get(t.Context(), client.ObjectKey{Name: definitions[0]}, blank("apiextensions.k8s.io/v1", "CustomResourceDefinition"))
	require.True(t, apierrors.IsNotFound(err), "the cluster has the operator's definitions already (%v): uninstall the operator first", err)
	return w
}

// blank is an object of a kind, to be read into.
func blank(apiVersion, kind string) *unstructured.Unstructured {
	out := &unstructured.Unstructured{}
	out.SetAPIVersion(apiVersion)
	out.SetKind(kind)
	return out
}

// get reads an object; it must be there.
func (w *world) get(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	w.Helper()
	found := blank(apiVersion, kind)
	require.NoError(w, w.kube.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: name}, found))
	return found
}

// list reads all objects of a kind that have the labels.
func (w *world) list(apiVersion, kind string, options ...client.ListOption) []unstructured.Unstructured {
	w.Helper()
	found := &unstructured.UnstructuredList{}
	found.SetGroupVersionKind(schema.FromAPIVersionAndKind(apiVersion, kind+"List"))
	require.NoError(w, w.kube.List(w.Context(), found, options...))
	return found.Items
}

// gone waits until there is no such object.
func (w *world) gone(apiVersion, kind, namespace, name string) {
	w.Helper()
	w.Eventually(fmt.Sprintf("%s %s is gone", kind, name), func() error {
		err := w.kube.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: name}, blank(apiVersion, kind))
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
}

// remove deletes an object, which must be there, and waits until it is gone.
func (w *world) remove(apiVersion, kind, namespace, name string) {
	w.Helper()
	require.NoError(w, w.kube.Delete(w.Context(), w.get(apiVersion, kind, namespace, name)))
	w.gone(apiVersion, kind, namespace, name)
}

// parse reads objects of YAML.
func parse(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for document := range strings.SplitSeq("\n"+text, "\n---") {
		object := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(document), &object.Object), "%s", document)
		if len(object.Object) > 0 {
			out = append(out, object)
		}
	}
	return out
}

// apply applies objects as an administrator does.
func (w *world) apply(objects ...*unstructured.Unstructured) {
	w.Helper()
	for _, object := range objects {
		w.Eventually(fmt.Sprintf("%s %s is applied", object.GetKind(), object.GetName()), func() error {
			err := w.kube.Apply(w.Context(), client.ApplyConfigurationFromUnstructured(object.DeepCopy()), client.FieldOwner(manager), client.ForceOwnership)
			if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || err != nil && strings.Contains(err.Error(), "field not declared in schema") {
				require.NoError(w, err) // no use to wait
			}
			return err
		})
	}
}

// restricted is a namespace that enforces the restricted Pod Security Standard.
func (w *world) restricted(name string) {
	w.Helper()
	namespace := &corev1.Namespace{}
	namespace.Name = name
	namespace.Labels = map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}
	require.NoError(w, client.IgnoreAlreadyExists(w.kube.Create(w.Context(), namespace)))
}

// pods are the pods of a namespace with the labels, by name.
func (w *world) pods(namespace, selector string) map[string]corev1.Pod {
	w.Helper()
	found, err := w.clients.CoreV1().Pods(namespace).List(w.Context(), listOptions(selector))
	require.NoError(w, err)
	out := map[string]corev1.Pod{}
	for _, pod := range found.Items {
		out[pod.Name] = pod
	}
	return out
}

// ready tells whether a pod is.
func ready(pod corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// diagnose logs what helps to find out why a phase failed.
func (w *world) diagnose() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, kind := range []string{"CatalogSource", "Subscription", "InstallPlan", "ClusterServiceVersion"} {
		all := &unstructured.UnstructuredList{}
		all.SetGroupVersionKind(schema.FromAPIVersionAndKind("operators.coreos.com/v1alpha1", kind+"List"))
		if err := w.kube.List(ctx, all); err != nil {
			w.Log(err)
			continue
		}
		for _, object := range all.Items {
			text, _ := yaml.Marshal(object.Object["status"])
			w.Logf("%s %s/%s\n%s", kind, object.GetNamespace(), object.GetName(), text[:min(len(text), 3000)])
		}
	}
	found, err := w.clients.CoreV1().Pods("").List(ctx, listOptions(""))
	if err != nil {
		w.Log(err)
		return
	}
	for _, pod := range found.Items {
		w.Logf("pod %s/%s %s ready=%t %s", pod.Namespace, pod.Name, pod.Status.Phase, ready(pod), pod.Status.Message)
		if ready(pod) && pod.Namespace != lifecycle && pod.Labels[nameLabel] != operator || pod.Status.Phase == corev1.PodSucceeded {
			continue
		}
		for _, container := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
			lines := int64(25)
			text, err := w.clients.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: container.Name, TailLines: &lines}).DoRaw(ctx)
			w.Logf("logs of %s/%s %s (%v)\n%s", pod.Namespace, pod.Name, container.Name, err, text)
		}
	}
	events, err := w.clients.CoreV1().Events("").List(ctx, listOptions(""))
	if err != nil {
		w.Log(err)
		return
	}
	for _, event := range events.Items {
		if event.Type == corev1.EventTypeWarning {
			w.Logf("event %s/%s %s: %s", event.InvolvedObject.Namespace, event.InvolvedObject.Name, event.Reason, event.Message)
		}
	}
}
