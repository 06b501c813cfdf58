package exposure

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// slim leaves of an object what this package looks at. Doing it again changes nothing.
func slim(object any) (any, error) {
	switch o := object.(type) {
	case *unstructured.Unstructured:
		unstructured.RemoveNestedField(o.Object, "metadata", "managedFields")
		unstructured.RemoveNestedField(o.Object, "metadata", "annotations")
		if o.GetKind() == "CustomResourceDefinition" {
			slimDefinition(o)
		}
	case *metav1.PartialObjectMetadata:
		o.ManagedFields, o.Annotations, o.Labels = nil, nil, nil
	case *corev1.Service:
		o.ObjectMeta = identity(o, o.Labels)
		o.Spec = corev1.ServiceSpec{Selector: o.Spec.Selector, Ports: o.Spec.Ports, Type: o.Spec.Type}
		o.Status.Conditions = nil
	case *discoveryv1.EndpointSlice:
		ready := anyReady(o)
		service := o.Labels[discoveryv1.LabelServiceName]
		o.ObjectMeta = identity(o, map[string]string{discoveryv1.LabelServiceName: service})
		o.Endpoints, o.Ports = nil, nil
		if ready {
			o.Endpoints = []discoveryv1.Endpoint{{Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}}}
		}
	case *corev1.Pod:
		slimPod(o)
	}
	return object, nil
}

// slimDefinition drops the schemas.
func slimDefinition(o *unstructured.Unstructured) {
	versions, _, _ := unstructured.NestedSlice(o.Object, "spec", "versions")
	for _, v := range versions {
		if fields, ok := v.(map[string]any); ok {
			delete(fields, "schema")
		}
	}
	if versions != nil {
		_ = unstructured.SetNestedSlice(o.Object, versions, "spec", "versions") // spec is a map: versions were in it
	}
}

// identity is a metadata of which only what tells objects apart is left, and the given labels.
func identity(o metav1.Object, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: o.GetNamespace(), Name: o.GetName(), UID: types.UID(o.GetUID()), ResourceVersion: o.GetResourceVersion(), Labels: labels,
	}
}

func slimPod(p *corev1.Pod) {
	var ours []metav1.ManagedFieldsEntry
	for _, entry := range p.ManagedFields {
		if entry.Manager == oda.FieldManagerPods {
			ours = append(ours, entry)
		}
	}
	annotations := map[string]string{}
	for key, value := range p.Annotations {
		if key == prometheusScrape || strings.HasPrefix(key, "ad.datadoghq.com/") {
			annotations[key] = value
		}
	}
	deleted := p.DeletionTimestamp
	p.ObjectMeta = identity(p, p.Labels)
	p.ManagedFields, p.Annotations, p.DeletionTimestamp = ours, annotations, deleted
	var containers []corev1.Container
	for _, c := range p.Spec.Containers {
		containers = append(containers, corev1.Container{Name: c.Name})
	}
	p.Spec = corev1.PodSpec{Containers: containers}
	p.Status = corev1.PodStatus{Phase: p.Status.Phase}
}
