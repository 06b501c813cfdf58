// Package mapper is the seam between the chart reconciler, which knows Helm and Kubernetes, and
// what a single kind needs from the cluster before its chart can be rendered.
package mapper

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ValuesKey is the top-level chart value under which mapped values are passed to templates, as
// .Values.operator.
const ValuesKey = "operator"

// Mapper adds to the values of one kind what its templates need from the cluster. Rendering is
// then a function of values alone: templates need no lookup, and `helm template` shows what the
// operator applies.
type Mapper interface {
	// References lists the objects whose content or existence Map asks for, so that a change of
	// one of them reconciles the custom resource. It is pure.
	References(cr *unstructured.Unstructured) ([]Reference, error)
	// Map computes the values below ValuesKey. A *HoldError stops the reconcile before anything
	// is rendered or changed.
	Map(ctx context.Context, cr *unstructured.Unstructured, cluster Cluster) (map[string]any, error)
	// Generated lists Secrets that must exist before the first render and are filled with random
	// text once. It is pure.
	Generated(cr *unstructured.Unstructured) ([]GeneratedSecret, error)
}

// Reference names an object in the namespace of the custom resource.
type Reference struct {
	schema.GroupVersionKind
	Name string
}

// GeneratedSecret is a Secret that the operator creates with a random value and never changes.
type GeneratedSecret struct {
	Name   string
	Key    string
	Length int // characters
}

// Cluster is what a Mapper may ask of the API server; answers come from caches as far as they can.
type Cluster interface {
	// ContentHash returns a short hash of the data of a Secret or ConfigMap in namespace, and false when it
	// does not exist.
	ContentHash(ctx context.Context, ref Reference, namespace string) (hash string, found bool, err error)
	// Words tells for each key of a Secret or ConfigMap in namespace whether its value is a line of
	// text that is not empty; false when the object does not exist. Values are never returned.
	Words(ctx context.Context, ref Reference, namespace string) (words map[string]bool, found bool, err error)
	// Owner returns the UID of the controlling owner of an object, "" when it has none, and false when the
	// object does not exist.
	Owner(ctx context.Context, ref Reference, namespace string) (uid string, found bool, err error)
}

// HoldError says that a custom resource can't be rendered as the cluster is now. What is deployed stays as it
// is. Its text is shown to users: it carries names and field paths, never values.
type HoldError struct {
	// Reason is a condition reason in CamelCase.
	Reason string
	// Message says what is missing and where it is named.
	Message string
	// Told says that another program emits the event for it.
	Told bool
}

// Error implements error.
func (e *HoldError) Error() string { return e.Message }

// None is the Mapper of kinds that need nothing from the cluster.
type None struct{}

var _ Mapper = None{}

// References implements Mapper.
func (None) References(*unstructured.Unstructured) ([]Reference, error) { return nil, nil }

// Map implements Mapper.
func (None) Map(context.Context, *unstructured.Unstructured, Cluster) (map[string]any, error) {
	return nil, nil
}

// Generated implements Mapper.
func (None) Generated(*unstructured.Unstructured) ([]GeneratedSecret, error) { return nil, nil }
