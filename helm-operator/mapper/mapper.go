// Package mapper is the seam between the chart reconciler, which knows Helm and Kubernetes, and
// what a single kind needs from the cluster before its chart can be rendered.
package mapper

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/event"
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

// Needer is a Mapper whose chart leaves out what the API server can't take: objects of kinds that it does not serve. The
// rest of the release is deployed, the resource says what is missing, and the release is completed once it is there.
type Needer interface {
	// Needs lists the kinds that a custom resource needs objects of. It asks the API server nothing.
	Needs(cr *unstructured.Unstructured) ([]Need, error)
}

// Need is a kind, in any of several versions.
type Need struct {
	schema.GroupKind
	// Versions of which one suffices.
	Versions []string
	// Definition is the name of the CustomResourceDefinition.
	Definition string
}

// Notifier is a Mapper whose values change with more than the custom resource and its references.
type Notifier interface {
	// Changed yields the custom resources of the mapper's kind for which Map may say something new, by namespace and name.
	Changed() <-chan event.GenericEvent
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
