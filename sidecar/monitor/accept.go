package monitor

import (
	"context"
	"fmt"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// statefulSetKind is the kind that controls gateway pods.
const statefulSetKind = "StatefulSet"

// inbox holds pod events until their monitor is stepped.
type inbox struct {
	mutex  sync.Mutex
	events map[types.NamespacedName][]PodEvent
}

// put adds events of a service, named by the key.
func (i *inbox) put(key types.NamespacedName, events ...PodEvent) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if i.events == nil {
		i.events = map[types.NamespacedName][]PodEvent{}
	}
	i.events[key] = append(i.events[key], events...)
}

// take removes and returns the events of a service.
func (i *inbox) take(key types.NamespacedName) []PodEvent {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	events := i.events[key]
	delete(i.events, key)
	return events
}

// acceptEvents takes over the pod events that have come for a monitor, as far as the pods are those of its service. When
// that cannot be found out the events wait.
func (r *Reconciler) acceptEvents(ctx context.Context, e *entry, service *v1beta3.DataPowerService) error {
	events := r.inbox.take(e.key)
	if len(events) == 0 || service == nil {
		return nil
	}
	owners, err := r.owners(ctx, service, events)
	if err != nil {
		r.inbox.put(e.key, events...)
		return err
	}
	for _, event := range events {
		if !owners[event.Owner] {
			continue
		}
		e.state = e.state.Observe(event.At)
		r.Metrics.observed(event)
		r.tellPodEvent(e, event)
	}
	return nil
}

// owners tells which of the events' owners are StatefulSets of the service. The cache of StatefulSets may not have heard
// of a new one whose pods are known already, so before an owner is called a stranger the API server is asked.
func (r *Reconciler) owners(
	ctx context.Context, service *v1beta3.DataPowerService, events []PodEvent,
) (map[types.UID]bool, error) {
	owners := map[types.UID]bool{}
	for _, reader := range []client.Reader{r.Client, r.Live} {
		set := &appsv1.StatefulSet{}
		err := reader.Get(ctx, client.ObjectKeyFromObject(service), set)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading the StatefulSet: %w", err)
		}
		if err == nil {
			owners[set.UID] = metav1.IsControlledBy(set, service)
		}
		if allKnown(owners, events) {
			break
		}
	}
	return owners, nil
}

func allKnown(owners map[types.UID]bool, events []PodEvent) bool {
	for _, event := range events {
		if _, known := owners[event.Owner]; !known {
			return false
		}
	}
	return true
}

// podReference names a pod in an event.
func podReference(namespace, name string, uid types.UID) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: uid},
	}
}
