package conversionruntime

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// newScheme knows what this package reads and writes.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, rbacv1.AddToScheme, apiextensionsv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering types: %w", err)
		}
	}
	return scheme, nil
}

// watches are caches of what the Manager looks at: objects with these names only, so that no right to read others is
// needed and no event of another object arrives.
type watches struct {
	runtimes, operators, accounts, definitions cache.Cache
}

// kinds are what each cache holds.
func (w *watches) kinds() map[cache.Cache][]client.Object {
	return map[cache.Cache][]client.Object{
		w.runtimes:    {&appsv1.Deployment{}, &corev1.Service{}},
		w.operators:   {&appsv1.Deployment{}},
		w.accounts:    {&corev1.ServiceAccount{}, &rbacv1.ClusterRole{}, &rbacv1.ClusterRoleBinding{}},
		w.definitions: {&apiextensionsv1.CustomResourceDefinition{}},
	}
}

func newWatches(config *rest.Config, httpClient *http.Client, scheme *runtime.Scheme) (*watches, error) {
	mapper, err := apiutil.NewDynamicRESTMapper(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("preparing to watch: %w", err)
	}
	w := &watches{}
	for into, name := range map[*cache.Cache]string{
		&w.runtimes: Name, &w.operators: OperatorName, &w.accounts: AccountName, &w.definitions: CRDName,
	} {
		*into, err = cache.New(config, cache.Options{
			HTTPClient: httpClient, Scheme: scheme, Mapper: mapper,
			DefaultFieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name),
			DefaultTransform:     cache.TransformStripManagedFields(),
		})
		if err != nil {
			return nil, fmt.Errorf("preparing to watch %s: %w", name, err)
		}
	}
	return w, nil
}

// start watches until ctx ends, and calls changed after each change. It returns when everything there is was seen.
func (w *watches) start(ctx context.Context, running *sync.WaitGroup, changed func()) error {
	tell := toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { changed() }, UpdateFunc: func(_, _ any) { changed() }, DeleteFunc: func(any) { changed() },
	}
	for c, kinds := range w.kinds() {
		for _, kind := range kinds {
			informer, err := c.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
			if err != nil {
				return fmt.Errorf("watching %T: %w", kind, err)
			}
			if _, err := informer.AddEventHandler(tell); err != nil {
				return fmt.Errorf("watching %T: %w", kind, err)
			}
		}
		running.Go(func() { _ = c.Start(ctx) }) // never fails: it ends with ctx
	}
	for c := range w.kinds() {
		if !c.WaitForCacheSync(ctx) {
			return fmt.Errorf("watching: %w", context.Cause(ctx))
		}
	}
	return nil
}

// get reads an object from a cache; found is false when there is none.
func get[T client.Object](ctx context.Context, c cache.Cache, namespace, name string, into T) (object T, found bool, err error) {
	err = c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	if apierrors.IsNotFound(err) {
		return into, false, nil
	}
	return into, err == nil, err
}

// world is what a decision depends on.
func (w *watches) world(ctx context.Context, self Operator, definition *apiextensionsv1.CustomResourceDefinition) (World, error) {
	world := World{Self: self, Holder: definition.Annotations[HolderAnnotation]}
	var found appsv1.DeploymentList
	if err := w.operators.List(ctx, &found); err != nil {
		return world, err
	}
	for _, operator := range found.Items {
		if operator.DeletionTimestamp == nil {
			world.Operators = append(world.Operators, Operator{operator.Namespace, operator.Name})
		}
	}
	found = appsv1.DeploymentList{}
	if err := w.runtimes.List(ctx, &found); err != nil {
		return world, err
	}
	for _, each := range found.Items {
		world.Runtimes = append(world.Runtimes, Runtime{
			Namespace: each.Namespace, ManagedBy: each.Annotations[ManagedByAnnotation],
			UID: each.UID, ResourceVersion: each.ResourceVersion, Going: each.DeletionTimestamp != nil,
		})
	}
	return world, nil
}
