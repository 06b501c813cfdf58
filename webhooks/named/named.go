// Package named watches single objects, each by its name: that needs no right to read others of the kind, holds nothing
// else in memory, and costs no read in steady state.
package named

import (
	"context"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Source lists and watches objects of one kind, as the typed clients of client-go do. L is the type of their list.
type Source[L runtime.Object] interface {
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

// Object is what can be watched.
type Object interface {
	runtime.Object
	metav1.Object
}

// Objects are a few objects of type T. It is a runnable of a controller manager that needs no leadership.
type Objects[T Object] struct {
	informers map[string]cache.SharedIndexInformer
}

// New watches the objects of these names once it is started. example is an empty object.
func New[T Object, L runtime.Object](source Source[L], example T, names ...string) *Objects[T] {
	o := &Objects[T]{informers: map[string]cache.SharedIndexInformer{}}
	for _, name := range names {
		o.informers[name] = cache.NewSharedIndexInformer(only(source, name), example, 0, cache.Indexers{})
	}
	return o
}

// plain is a list and a watch. Streaming the list instead spares nothing for one object, and not everything that
// serves the API can do it.
type plain struct{ *cache.ListWatch }

// IsWatchListSemanticsUnSupported tells client-go's reflector.
func (plain) IsWatchListSemanticsUnSupported() bool { return true }

func only[L runtime.Object](source Source[L], name string) plain {
	selector := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	return plain{&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = selector
			return source.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = selector
			return source.Watch(ctx, options)
		},
	}}
}

// OnChange calls changed after each change of an object, and once for each that is there already. It must return soon.
// The object is the zero T when it is gone; it is not to be changed.
func (o *Objects[T]) OnChange(changed func(name string, object T)) error {
	for name, informer := range o.informers {
		tell := func(object any) {
			if typed, ok := object.(T); ok && typed.GetName() == name {
				changed(name, typed)
			}
		}
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    tell,
			UpdateFunc: func(_, object any) { tell(object) },
			DeleteFunc: func(any) {
				var none T
				changed(name, none)
			},
		})
		if err != nil {
			return fmt.Errorf("watching %s: %w", name, err)
		}
	}
	return nil
}

// NeedLeaderElection says that every replica watches.
func (o *Objects[T]) NeedLeaderElection() bool { return false }

// Start watches until ctx ends.
func (o *Objects[T]) Start(ctx context.Context) error {
	var watching sync.WaitGroup
	for _, informer := range o.informers {
		watching.Go(func() { informer.RunWithContext(ctx) })
	}
	watching.Wait()
	return nil
}

// Synced tells whether each object was looked for.
func (o *Objects[T]) Synced() bool {
	for _, informer := range o.informers {
		if !informer.HasSynced() {
			return false
		}
	}
	return true
}

// Get returns an object as it was last seen, and false when there is none. It is not to be changed.
func (o *Objects[T]) Get(name string) (T, bool) {
	var none T
	informer, watched := o.informers[name]
	if !watched {
		return none, false
	}
	for _, object := range informer.GetStore().List() {
		if typed, ok := object.(T); ok && typed.GetName() == name {
			return typed, true
		}
	}
	return none, false
}
