package controller

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	ctrlcontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/references"
	"github.com/datapower-operator/datapower-operator/helm-operator/status"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	demo = schema.GroupVersionKind{Group: "example.test", Version: "v1", Kind: "Demo"}
	gw   = types.NamespacedName{Namespace: "prod", Name: "gw"}
	noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
)

// resource is the custom resource of the tests, with changes.
func resource(changes ...func(*unstructured.Unstructured)) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{}}}
	u.SetGroupVersionKind(demo)
	u.SetNamespace("prod")
	u.SetName("gw")
	u.SetUID("uid-gw")
	u.SetGeneration(7)
	for _, change := range changes {
		change(u)
	}
	return u
}

func annotated(key, value string) func(*unstructured.Unstructured) {
	return func(u *unstructured.Unstructured) { u.SetAnnotations(map[string]string{key: value}) }
}

// event is what a recorder was given.
type event struct{ eventType, reason, action, note string }

// world is a Reconciler whose API server and caches are in memory. It has no Helm: what needs it is tested against a
// real API server in test/integration/helmoperator.
type world struct {
	*Reconciler
	*testing.T
	kube   client.Client
	clock  *clocktesting.FakePassiveClock
	events []event
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, corev1.AddToScheme(scheme))
	w := &world{T: t, clock: clocktesting.NewFakePassiveClock(noon)}
	w.kube = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(resource()).Build()
	w.Reconciler = &Reconciler{
		write:  status.Write,
		client: w.kube, resources: w.kube, recorder: w, clock: w.clock, mapper: mapper.None{},
		watch:      watches.Watch{GroupVersionKind: demo, Selector: labels.Everything(), MaxReleaseHistory: 10},
		references: references.NewTracker(metadataCache{kube: w.kube}, w.kube, watching{}),
	}
	return w
}

// Eventf implements events.EventRecorder.
func (w *world) Eventf(_, _ runtime.Object, eventType, reason, action, note string, args ...any) {
	w.events = append(w.events, event{eventType, reason, action, fmt.Sprintf(note, args...)})
}

// pass begins a reconcile of a resource.
func (w *world) pass(cr *unstructured.Unstructured) *pass {
	w.Helper()
	p, err := w.newPass(context.Background(), cr)
	require.NoError(w, err)
	p.log = logr.Discard()
	return p
}

func (w *world) get() *unstructured.Unstructured {
	w.Helper()
	u := resource()
	require.NoError(w, w.kube.Get(context.Background(), gw, u))
	return u
}

func (w *world) reconcile() (reconcile.Result, error) {
	return w.Reconcile(context.Background(), reconcile.Request{NamespacedName: gw})
}

func condition(p *pass, conditionType string) metav1.Condition {
	for _, c := range p.status.Conditions {
		if c.Type == conditionType {
			return c
		}
	}
	return metav1.Condition{}
}

// metadataCache is a cache of metadata over a client.
type metadataCache struct {
	cache.Cache
	kube client.Client
}

func (metadataCache) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return nil, nil
}

func (c metadataCache) Get(ctx context.Context, name types.NamespacedName, obj client.Object, _ ...client.GetOption) error {
	s := &corev1.Secret{}
	if err := c.kube.Get(ctx, name, s); err != nil {
		return err
	}
	m, ok := obj.(*metav1.PartialObjectMetadata)
	if !ok {
		return apierrors.NewBadRequest("only metadata is cached")
	}
	m.ObjectMeta = s.ObjectMeta
	return nil
}

// watching is a controller that never has an event.
type watching struct{ ctrlcontroller.Controller }

func (watching) Watch(source.Source) error { return nil }
