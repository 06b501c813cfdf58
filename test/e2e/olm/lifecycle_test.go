package olm_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// lifecycle is OLM's own namespace, everywhere the one of operators for all namespaces.
	lifecycle  = "olm"
	everywhere = "operators"
	coreosv1   = "operators.coreos.com/v1"
	coreos     = "operators.coreos.com/v1alpha1"
	// source is the CatalogSource.
	source = "e2e"
)

func listOptions(selector string) metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: selector}
}

// chart renders OLM's own chart with the images of the node: its definitions, and the rest.
func (w *world) chart(has images) (definitions, rest []*unstructured.Unstructured) {
	w.Helper()
	module := w.run(filepath.Join("tools", "olm"), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/operator-framework/operator-lifecycle-manager")
	chart, err := loader.Load(filepath.Join(module, "deploy", "chart"))
	require.NoError(w, err)
	for _, file := range chart.CRDObjects() {
		definitions = append(definitions, parse(w.T, string(file.File.Data))...)
	}
	image := map[string]any{"ref": has.lifecycle, "pullPolicy": "IfNotPresent"}
	values, err := chartutil.ToRenderValues(chart, map[string]any{
		"namespace": lifecycle, "catalog_namespace": lifecycle, "operator_namespace": everywhere,
		"olm":     map[string]any{"image": image},
		"catalog": map[string]any{"image": image, "commandArgs": "", "opmImageArgs": "--opmImage=" + has.registry},
		"package": map[string]any{"image": image, "replicaCount": 1},
	}, chartutil.ReleaseOptions{Name: "olm", Namespace: lifecycle}, chartutil.DefaultCapabilities)
	require.NoError(w, err)
	files, err := engine.Render(chart, values)
	require.NoError(w, err)
	for name, text := range files {
		if filepath.Ext(name) != ".yaml" || strings.HasPrefix(filepath.Base(name), "_") {
			continue
		}
		for _, object := range parse(w.T, text) {
			if object.GetKind() != "CatalogSource" { // OperatorHub's, which this cluster cannot reach
				rest = append(rest, object)
			}
		}
	}
	slices.SortFunc(rest, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	return definitions, rest
}

// rank orders objects so that what others need comes first.
func rank(object *unstructured.Unstructured) int {
	if at := slices.Index([]string{"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"}, object.GetKind()); at >= 0 {
		return at
	}
	return 10
}

// installLifecycleManager installs OLM and waits until it works.
func (w *world) installLifecycleManager(has images) {
	w.Helper()
	definitions, rest := w.chart(has)
	w.apply(definitions...)
	w.apply(rest...)
	for _, name := range []string{"olm-operator", "catalog-operator"} {
		w.Eventually(name+" is available", func() error {
			available, _, err := unstructured.NestedInt64(w.get("apps/v1", "Deployment", lifecycle, name).Object, "status", "availableReplicas")
			if err == nil && available == 0 {
				return fmt.Errorf("no replica of it is")
			}
			return err
		})
	}
	w.succeeded(lifecycle, "packageserver")
}

// removeLifecycleManager takes OLM away, the API that it adds first: while nobody serves that, no namespace can go.
func (w *world) removeLifecycleManager(has images) {
	w.Helper()
	definitions, rest := w.chart(has)
	w.remove(coreos, "ClusterServiceVersion", lifecycle, "packageserver")
	w.gone("apiregistration.k8s.io/v1", "APIService", "", "v1.packages.operators.coreos.com")
	slices.Reverse(rest)
	for _, object := range append(rest, definitions...) {
		require.NoError(w, client.IgnoreNotFound(w.kube.Delete(w.Context(), object)))
	}
	for _, namespace := range []string{lifecycle, everywhere} {
		w.gone("v1", "Namespace", "", namespace)
	}
}

// catalogue points the CatalogSource to an image, and waits until it serves.
func (w *world) catalogue(image string) {
	w.Helper()
	object := blank(coreos, "CatalogSource")
	object.SetNamespace(lifecycle)
	object.SetName(source)
	object.Object["spec"] = map[string]any{
		"sourceType": "grpc", "image": image, "displayName": "of this tree",
		"grpcPodConfig": map[string]any{
			"securityContextConfig": "restricted",
			"extractContent":        map[string]any{"catalogDir": "/configs", "cacheDir": "/cache"},
		},
	}
	w.apply(object)
	w.Eventually("the catalogue serves", func() error {
		pods := w.pods(lifecycle, "olm.catalogSource="+source)
		for name, pod := range pods {
			if len(pod.Spec.InitContainers) == 0 || !strings.Contains(fmt.Sprint(pod.Spec.InitContainers), image) || !ready(pod) {
				return fmt.Errorf("pod %s is of another image or not ready", name)
			}
		}
		state, _, err := unstructured.NestedString(w.get(coreos, "CatalogSource", lifecycle, source).Object, "status", "connectionState", "lastObservedState")
		if err == nil && (state != "READY" || len(pods) != 1) {
			return fmt.Errorf("its state is %q, with %d pods", state, len(pods))
		}
		return err
	})
}

// subscribe asks for the operator in a namespace that has an OperatorGroup.
func (w *world) subscribe(namespace string) {
	w.Helper()
	object := blank(coreos, "Subscription")
	object.SetNamespace(namespace)
	object.SetName(operator)
	object.Object["spec"] = map[string]any{
		"channel": "stable-v0", "name": operator, "source": source, "sourceNamespace": lifecycle, "installPlanApproval": "Automatic",
	}
	w.apply(object)
}

// csv is the name of a version's ClusterServiceVersion.
func csv(version string) string { return operator + ".v" + version }

// succeeded waits until OLM says that a version is installed.
func (w *world) succeeded(namespace, name string) *unstructured.Unstructured {
	w.Helper()
	found := blank(coreos, "ClusterServiceVersion")
	w.Eventually(name+" is installed", func() error {
		if err := w.kube.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: name}, found); err != nil {
			return err
		}
		if phase, _, _ := unstructured.NestedString(found.Object, "status", "phase"); phase != "Succeeded" {
			message, _, _ := unstructured.NestedString(found.Object, "status", "message")
			return fmt.Errorf("its phase is %q: %s", phase, message)
		}
		return nil
	})
	return found
}
