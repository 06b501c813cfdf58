// Package workload says what the benchmark deploys: custom resources of a kind of its own, each
// rendered by the operator's chart for gateways. The kind's schema takes everything, because the
// stock reconciler writes conditions that a strict schema refuses.
package workload

import (
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
)

// Kind of the custom resources.
var Kind = schema.GroupVersionKind{Group: "bench.example", Version: "v1", Kind: "Gateway"}

// Resource is Kind as the API server spells it in paths.
var Resource = Kind.GroupVersion().WithResource("gateways")

// perNamespace is how many custom resources share a namespace, as in the namespaces of teams.
const perNamespace = 10

// Namespaces lists the namespaces of n custom resources.
func Namespaces(n int) []string {
	var out []string
	for i := 0; i < n; i += perNamespace {
		out = append(out, namespace(i))
	}
	return out
}

// All names of the same kind have the same length, so that a rendered text can be made another's
// by replacing names.
func namespace(i int) string { return fmt.Sprintf("team-%04d", i/perNamespace) }

// Name is the name of custom resource i, unique in the cluster.
func Name(i int) string { return fmt.Sprintf("gateway-%05d", i) }

// Round marks a generation of the spec; the text appears in rendered objects.
func Round(r int) string { return fmt.Sprintf("round-%03d", r) }

// New returns custom resource i (0 is the first) as wanted in round r.
func New(i, r int) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec(r)}}
	u.SetGroupVersionKind(Kind)
	u.SetNamespace(namespace(i))
	u.SetName(Name(i))
	return u
}

// spec renders to eight objects of four API groups: StatefulSet, two Services, two ConfigMaps,
// ServiceAccount, NetworkPolicy, DataPowerMonitor.
func spec(r int) map[string]any {
	return map[string]any{
		"version":  "10.6-lts",
		"replicas": int64(1),
		"license":  map[string]any{"accept": true, "use": "nonproduction", "license": "L-RJON-CCCP46"},
		"users": []any{
			map[string]any{"name": "admin", "passwordSecret": "admin-credentials", "accessLevel": "privileged"},
		},
		"env":           []any{map[string]any{"name": "ROUND", "value": Round(r)}},
		"service":       map[string]any{"enabled": true, "ports": []any{map[string]any{"name": "https", "port": int64(9090)}}},
		"networkPolicy": map[string]any{"enabled": true},
	}
}

// SetRound changes the one field of the spec that rounds differ in.
func SetRound(u *unstructured.Unstructured, r int) { u.Object["spec"] = spec(r) }

// Definition is the CustomResourceDefinition of Kind.
func Definition() *apiextensionsv1.CustomResourceDefinition {
	anything := apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: ptr.To(true)}
	status := *anything.DeepCopy()
	status.Properties = map[string]apiextensionsv1.JSONSchemaProps{"conditions": {
		Type: "array", XListType: ptr.To("map"), XListMapKeys: []string{"type"},
		Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &apiextensionsv1.JSONSchemaProps{
			Type: "object", XPreserveUnknownFields: ptr.To(true), Required: []string{"type"},
			Properties: map[string]apiextensionsv1.JSONSchemaProps{"type": {Type: "string"}},
		}},
	}}
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: Resource.Resource + "." + Kind.Group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: Kind.Group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{
				Kind: Kind.Kind, ListKind: Kind.Kind + "List", Plural: Resource.Resource, Singular: "gateway",
			},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: Kind.Version, Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": anything, "status": status},
				}},
			}},
		},
	}
}

// Deployed tells whether an operator reports that custom resource u, which was last changed in
// round r, is deployed. Ours and the floor report the generation; the stock reconciler reports the
// manifest, which holds the round.
func Deployed(u *unstructured.Unstructured, r int) bool {
	conditions, _, err := unstructured.NestedSlice(u.Object, "status", "conditions")
	if err != nil {
		return false
	}
	deployed := false
	for _, c := range conditions {
		c, ok := c.(map[string]any)
		deployed = deployed || ok && c["type"] == "Deployed" && c["status"] == "True"
	}
	if !deployed {
		return false
	}
	observed, found, err := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
	if err == nil && found {
		return observed == u.GetGeneration()
	}
	manifest, _, err := unstructured.NestedString(u.Object, "status", "deployedRelease", "manifest")
	return err == nil && strings.Contains(manifest, Round(r))
}
