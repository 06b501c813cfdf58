package status

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
)

// Input is all that [Compute] looks at.
type Input struct {
	// Service is the DataPowerService. The conditions in its status matter:
	// those of the helm-operator are facts, its own of last time keep their
	// transition times.
	Service *v1beta3.DataPowerService
	// StatefulSet is the one that the service owns; nil when there is none.
	StatefulSet *appsv1.StatefulSet
	// Pods are the pods that the StatefulSet owns, in any order.
	Pods []corev1.Pod
	// Refusal is why Kubernetes cannot make the pods that are missing; empty
	// when it can.
	Refusal string
	// Objects are the Secrets and ConfigMaps that exist among those that the
	// spec refers to and those that the operator generates.
	Objects Objects
	// Catalogue is what the chart knows of versions and licences.
	Catalogue *catalogue.Catalogue
	// Now is the time of a condition that changes its status now. Fractions
	// of seconds are dropped, as the API drops them.
	Now time.Time
}

// ObjectName names a Secret or ConfigMap in the namespace of the service.
type ObjectName struct {
	// Kind is v1beta3.KindSecret or v1beta3.KindConfigMap.
	Kind string
	// Name is the object's name.
	Name string
}

// Objects are the Secrets and ConfigMaps that exist, each with the names of
// its keys. Keys are nil when nothing in the spec depends on them, so that
// nobody had to read the object; no content is kept.
type Objects map[ObjectName]sets.Set[string]

func (o Objects) has(name ObjectName) bool {
	_, exists := o[name]
	return exists
}
