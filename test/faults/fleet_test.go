package faults_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

var serviceKind = schema.GroupVersionKind{Group: "datapower.ibm.com", Version: "v1beta3", Kind: "DataPowerService"}

// renderedKinds are the kinds of a minimal DataPowerService's objects.
var renderedKinds = []schema.GroupVersionKind{
	{Group: "apps", Version: "v1", Kind: "StatefulSet"}, {Version: "v1", Kind: "Service"}, {Version: "v1", Kind: "ConfigMap"},
	{Version: "v1", Kind: "ServiceAccount"}, {Group: "datapower.ibm.com", Version: "v1beta2", Kind: "DataPowerMonitor"},
	{Version: "v1", Kind: "Secret"}, {Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
}

// fleet is a namespace with many DataPowerServices.
type fleet struct {
	*world
	namespace string
	size      int
	// colour that every pod is to have in its environment; empty is none.
	colour string
}

func (w *world) fleet(namespace string, size int) *fleet {
	w.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	require.NoError(w, w.kube.Create(w.Context(), ns))
	return &fleet{world: w, namespace: namespace, size: size}
}

// create makes all services, each with its administrator's Secret.
func (f *fleet) create() {
	f.Helper()
	for i := range f.size {
		name := fmt.Sprintf("gw%02d", i)
		require.NoError(f, f.kube.Create(f.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: name + "-admin", Namespace: f.namespace},
			StringData: map[string]string{"password": "s3cret"},
		}))
		u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
			"license":  map[string]any{"accept": true, "use": "nonproduction", "license": "L-RJON-CCCP46"},
			"version":  "10.6-lts",
			"replicas": int64(1),
			"users":    []any{map[string]any{"name": "admin", "passwordSecret": name + "-admin", "accessLevel": "privileged"}},
		}}}
		u.SetGroupVersionKind(serviceKind)
		u.SetNamespace(f.namespace)
		u.SetName(name)
		require.NoError(f, f.kube.Create(f.Context(), u))
	}
}

// paint upgrades all services by one patch each.
func (f *fleet) paint(colour string) {
	f.Helper()
	f.colour = colour
	for _, u := range f.services() {
		before := u.DeepCopy()
		env := []any{map[string]any{"name": "COLOUR", "value": colour}}
		require.NoError(f, unstructured.SetNestedSlice(u.Object, env, "spec", "env"))
		require.NoError(f, f.kube.Patch(f.Context(), &u, client.MergeFrom(before)))
	}
}

// remove deletes all services.
func (f *fleet) remove() {
	f.Helper()
	f.size = 0
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(serviceKind)
	require.NoError(f, f.kube.DeleteAllOf(f.Context(), u, client.InNamespace(f.namespace)))
}

func (f *fleet) services() []unstructured.Unstructured {
	f.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(serviceKind)
	require.NoError(f, f.kube.List(f.Context(), list, client.InNamespace(f.namespace)))
	return list.Items
}

// problems lists what is not as it is to be in the end.
func (f *fleet) problems() []string {
	f.Helper()
	services := f.services()
	var out []string
	if len(services) != f.size {
		out = append(out, fmt.Sprintf("%d services instead of %d", len(services), f.size))
	}
	owners := map[string]string{}
	for i := range services {
		u := &services[i]
		owners[string(u.GetUID())] = u.GetName()
		if !slices.Contains(conditions(u), "Deployed=True/UpToDate") {
			out = append(out, fmt.Sprintf("%s: %v", u.GetName(), conditions(u)))
		}
	}
	out = append(out, f.releaseProblems(owners)...)
	out = append(out, f.objectProblems(owners)...)
	return append(out, f.setProblems(owners)...)
}

// releaseProblems wants one deployed revision of each service and none under way.
func (f *fleet) releaseProblems(owners map[string]string) []string {
	f.Helper()
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "SecretList"})
	require.NoError(f, f.kube.List(f.Context(), list, client.InNamespace(f.namespace), client.MatchingLabels{"owner": "helm"}))
	var out []string
	deployed := map[string]int{}
	for _, s := range list.Items {
		switch status := s.Labels["status"]; status {
		case "deployed":
			deployed[s.Labels["name"]]++
		case "superseded", "failed":
		default:
			out = append(out, s.Name+" is "+status)
		}
	}
	for _, name := range slices.Sorted(maps.Values(owners)) {
		if deployed[name] != 1 {
			out = append(out, name+" has "+strconv.Itoa(deployed[name])+" deployed revisions")
		}
	}
	return out
}

// objectProblems wants the same objects, neither more nor less, of every service, and none of a service that is gone.
func (f *fleet) objectProblems(owners map[string]string) []string {
	f.Helper()
	var out []string
	found := map[string][]string{}
	for _, gvk := range renderedKinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(gvk)
		require.NoError(f, f.kube.List(f.Context(), list, client.InNamespace(f.namespace), client.HasLabels{inventory.OwnerUIDLabel}))
		for _, o := range list.Items {
			name, known := owners[o.Labels[inventory.OwnerUIDLabel]]
			switch {
			case !known:
				out = append(out, "orphan "+gvk.Kind+" "+o.Name)
			case o.Labels["owner"] != "helm":
				found[name] = append(found[name], gvk.Kind+" "+strings.Replace(o.Name, name, "NAME", 1))
			}
		}
	}
	for name, objects := range found {
		if want := found["gw00"]; !slices.Equal(want, objects) {
			out = append(out, fmt.Sprintf("%s has %v, gw00 has %v", name, objects, want))
		}
	}
	if len(found) != len(owners) {
		out = append(out, fmt.Sprintf("%d services of %d have objects", len(found), len(owners)))
	}
	return out
}

// setProblems wants every StatefulSet complete and of the wanted colour.
func (f *fleet) setProblems(owners map[string]string) []string {
	f.Helper()
	list := &appsv1.StatefulSetList{}
	require.NoError(f, f.kube.List(f.Context(), list, client.InNamespace(f.namespace)))
	var out []string
	if len(list.Items) != len(owners) {
		out = append(out, fmt.Sprintf("%d StatefulSets of %d services", len(list.Items), len(owners)))
	}
	for _, s := range list.Items {
		if s.Status.ReadyReplicas != 1 || s.Status.UpdatedReplicas != 1 || s.Status.ObservedGeneration != s.Generation {
			out = append(out, "StatefulSet "+s.Name+" is not complete")
		}
		colour := ""
		for _, env := range s.Spec.Template.Spec.Containers[0].Env {
			if env.Name == "COLOUR" {
				colour = env.Value
			}
		}
		if colour != f.colour {
			out = append(out, fmt.Sprintf("StatefulSet %s is %q instead of %q", s.Name, colour, f.colour))
		}
	}
	return out
}

// complete waits until nothing is wrong and tells how long that took.
func (f *fleet) complete(p *program, what string) time.Duration {
	f.Helper()
	begin := time.Now()
	for {
		problems := f.problems()
		if len(problems) == 0 {
			return time.Since(begin)
		}
		if time.Since(begin) > 3*patience {
			require.Empty(f, problems, "%s; the program's log ends with\n%s", what, p.tail())
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// revisions counts the revisions of all services.
func (f *fleet) revisions() int {
	f.Helper()
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "SecretList"})
	require.NoError(f, f.kube.List(f.Context(), list, client.InNamespace(f.namespace), client.MatchingLabels{"owner": "helm"}))
	return len(list.Items)
}

func (f *fleet) waitForRevisions(n int) {
	f.Helper()
	for deadline := time.Now().Add(patience); f.revisions() < n; time.Sleep(50 * time.Millisecond) {
		require.True(f, time.Now().Before(deadline), "never %d revisions", n)
	}
}

// unfinished lists the revisions that an action still holds.
func (f *fleet) unfinished() []string { return f.releaseProblems(nil) }
