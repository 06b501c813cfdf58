package apply

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/resource"
)

// inert are the kinds whose objects start nothing and hold nothing outside the API server, so that creating one and
// deleting it again leaves nothing.
var inert = []schema.GroupKind{
	{Kind: "ConfigMap"}, {Kind: "Secret"}, {Kind: "ServiceAccount"}, {Kind: "Service"},
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}, {Group: "policy", Kind: "PodDisruptionBudget"},
	{Group: "rbac.authorization.k8s.io", Kind: "Role"}, {Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"},
}

// Inert tells whether an object does nothing by itself. A Service with a load balancer does.
func Inert(info *resource.Info) bool {
	if u, ok := info.Object.(*unstructured.Unstructured); ok {
		if t, _, err := unstructured.NestedString(u.Object, "spec", "type"); err != nil || t == string(corev1.ServiceTypeLoadBalancer) {
			return false
		}
	}
	return slices.Contains(inert, info.Mapping.GroupVersionKind.GroupKind())
}
