package exposure

import (
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// kindComponent is the kind of the owners of APIs that take part in the status.
const kindComponent = "Component"

// helmFailures are the helm-operator's conditions that say, when True, that it cannot render an API.
var helmFailures = []string{"Irreconcilable", "ReleaseFailed"}

// resource is an API as it was last seen.
type resource struct {
	oda.API
	specError       string
	apiVersion      string
	resourceVersion string
	generation      int64
	deleting        bool
	// component is the Component that owns the API; empty when there is none.
	component string
	status    Status
	// conditions are all that are in the status, as they are.
	conditions []any
	// written are the keys of status.apiStatus.
	written     map[string]any
	helmFailure string
}

func readResource(u *unstructured.Unstructured) *resource {
	api, err := oda.Read(u)
	r := &resource{
		API: api, apiVersion: u.GetAPIVersion(), resourceVersion: u.GetResourceVersion(), generation: u.GetGeneration(),
		deleting: u.GetDeletionTimestamp() != nil, component: componentOf(u),
	}
	if err != nil {
		r.specError = err.Error()
	}
	r.written, _, _ = unstructured.NestedMap(u.Object, "status", "apiStatus")
	if r.written != nil {
		r.status.APIStatus = readAPIStatus(r.written)
	}
	if ready, found, err := unstructured.NestedBool(u.Object, "status", "implementation", "ready"); found && err == nil {
		r.status.Ready = &ready
	}
	r.conditions, _, _ = unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, t := range conditionTypes {
		if c := findCondition(r.conditions, t); c != nil {
			r.status.Conditions = append(r.status.Conditions, *c)
		}
	}
	for _, t := range helmFailures {
		if c := findCondition(r.conditions, t); c != nil && c.Status == metav1.ConditionTrue && r.helmFailure == "" {
			r.helmFailure = c.Message
		}
	}
	return r
}

func componentOf(object metav1.Object) string {
	for _, owner := range object.GetOwnerReferences() {
		gv, err := schema.ParseGroupVersion(owner.APIVersion)
		if err == nil && gv.Group == oda.Group && owner.Kind == kindComponent {
			return owner.Name
		}
	}
	return ""
}

func readAPIStatus(fields map[string]any) *APIStatus {
	text := func(key string) string {
		value, _ := fields[key].(string)
		return value
	}
	port, _ := fields["port"].(int64)
	return &APIStatus{
		Name: text("name"), UID: text("uid"), Path: text("path"), Port: port, Implementation: text("implementation"),
		URL: text("url"), DeveloperUI: text("developerUI"), IP: text("ip"),
	}
}

// findCondition returns the condition of a type among those that a status has, which others may have written in any shape.
func findCondition(conditions []any, conditionType string) *metav1.Condition {
	for _, item := range conditions {
		fields, ok := item.(map[string]any)
		if !ok || fields["type"] != conditionType {
			continue
		}
		var c metav1.Condition
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &c); err != nil {
			return nil
		}
		return &c
	}
	return nil
}

// readRoute takes from a VirtualService what matters of its first rule.
func readRoute(u *unstructured.Unstructured) *Route {
	r := &Route{UID: string(u.GetUID())}
	if owner := metav1.GetControllerOf(u); owner != nil {
		r.Owner = string(owner.UID)
	}
	gateways, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "gateways")
	for _, g := range gateways {
		r.Gateways = append(r.Gateways, oda.QualifiedGateway(g, u.GetNamespace()))
	}
	r.Hosts, _, _ = unstructured.NestedStringSlice(u.Object, "spec", "hosts")
	rules, _, _ := unstructured.NestedSlice(u.Object, "spec", "http")
	if len(rules) == 0 {
		return r
	}
	rule, _ := rules[0].(map[string]any)
	matches, _, _ := unstructured.NestedSlice(rule, "match")
	for _, m := range matches {
		fields, _ := m.(map[string]any)
		if prefix, found, _ := unstructured.NestedString(fields, "uri", "prefix"); found {
			r.Matches = append(r.Matches, oda.Match{Path: prefix})
		} else if exact, found, _ := unstructured.NestedString(fields, "uri", "exact"); found {
			r.Matches = append(r.Matches, oda.Match{Exact: true, Path: exact})
		}
	}
	destinations, _, _ := unstructured.NestedSlice(rule, "route")
	if len(destinations) > 0 {
		first, _ := destinations[0].(map[string]any)
		r.Host, _, _ = unstructured.NestedString(first, "destination", "host")
		r.Port, _, _ = unstructured.NestedInt64(first, "destination", "port", "number")
	}
	return r
}

// componentLists are the lists in the status of a Component that name its APIs.
var componentLists = []string{"coreAPIs", "managementAPIs", "securityAPIs"}

// component is a Component as it was last seen.
type component struct {
	lists map[string][]element
}

// element is an entry of one of componentLists.
type element struct {
	UID         string
	URL         string
	DeveloperUI string
	Ready       bool
}

func readComponent(u *unstructured.Unstructured) *component {
	c := &component{lists: map[string][]element{}}
	for _, name := range componentLists {
		list, _, _ := unstructured.NestedSlice(u.Object, "status", name)
		for _, item := range list {
			fields, _ := item.(map[string]any)
			var e element
			e.UID, _ = fields["uid"].(string)
			e.URL, _ = fields["url"].(string)
			e.DeveloperUI, _ = fields["developerUI"].(string)
			e.Ready, _ = fields["ready"].(bool)
			c.lists[name] = append(c.lists[name], e)
		}
	}
	return c
}

// anyReady tells whether a slice has a ready endpoint. As the API says, nil means ready.
func anyReady(s *discoveryv1.EndpointSlice) bool {
	return slices.ContainsFunc(s.Endpoints, func(e discoveryv1.Endpoint) bool { return ptr.Deref(e.Conditions.Ready, true) })
}

// pod is a Pod as it was last seen.
type pod struct {
	types.NamespacedName
	uid         types.UID
	labels      map[string]string
	annotations map[string]string
	// container is the first one that is not the mesh's.
	container string
	// over is true once the pod has ended or is about to.
	over bool
	// owned are the annotations that this package has put on the pod.
	owned []string
}

func readPod(p *corev1.Pod) *pod {
	out := &pod{
		NamespacedName: types.NamespacedName{Namespace: p.Namespace, Name: p.Name}, uid: p.UID, labels: p.Labels, annotations: p.Annotations,
		over: p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed,
	}
	for _, c := range p.Spec.Containers {
		if c.Name != istioProxy {
			out.container = c.Name
			break
		}
	}
	out.owned = ownedAnnotations(p.ManagedFields)
	return out
}

// ownedAnnotations are the keys that this package's field manager owns.
func ownedAnnotations(managed []metav1.ManagedFieldsEntry) []string {
	var keys []string
	for _, entry := range managed {
		if entry.Manager != oda.FieldManagerPods || entry.FieldsV1 == nil {
			continue
		}
		var fields struct {
			Metadata struct {
				Annotations map[string]any `json:"f:annotations"`
			} `json:"f:metadata"`
		}
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
			continue
		}
		for key := range fields.Metadata.Annotations {
			if len(key) > 2 && key[:2] == "f:" {
				keys = append(keys, key[2:])
			}
		}
	}
	slices.Sort(keys)
	return keys
}
