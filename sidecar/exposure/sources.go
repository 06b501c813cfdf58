package exposure

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// Times of the sources.
const (
	// syncPoll is how often is looked whether the first lists are complete.
	syncPoll = 20 * time.Millisecond
	// retryDelay is the wait after a watch could not be started.
	retryDelay = time.Second
)

// watch is one kind that is watched.
type watch struct {
	object  client.Object
	options cache.Options
	// set and remove record an object's state and its end, and return whom that concerns.
	set, remove func(client.Object) []oda.Key
	// forget ends all objects, when the kind is served no longer.
	forget func() []oda.Key
	// optional is true when routing goes on without the kind, which nobody may be allowed to list.
	optional bool
}

// running is a source that was started.
type running struct {
	stop   func()
	synced func() bool
	forget func() []oda.Key

	optional bool
	since    time.Time
}

// sources watches what is there to be watched.
type sources struct {
	newCache   func(cache.Options) (cache.Cache, error)
	namespaces map[string]cache.Config
	settings   oda.Settings
	world      *world
	log        logr.Logger
	// sweep takes annotations away that an operator with other settings has put on pods.
	sweep func(context.Context) error
	// enqueue has keys reconciled.
	enqueue func([]oda.Key)
	wake    chan struct{}

	mu      sync.RWMutex
	offered map[string]served // by definition, as it says
	served  map[string]served // as the sources that run take it
	settled bool
	// unlisted is of how many kinds was not known what there is when it settled.
	unlisted int
	started  map[string]running
	told     map[string]bool // of whose long first list the log tells
}

// of tells how the kind of a definition is served.
func (s *sources) of(crd string) (served, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	offer, found := s.served[crd]
	return offer, found
}

// ofKind tells how a kind of API is served.
func (s *sources) ofKind(kind string) (served, bool) {
	for _, crd := range apiCRDs {
		if offer, found := s.of(crd); found && offer.kind == kind {
			return offer, true
		}
	}
	return served{}, false
}

// servesAPIs tells whether there is a kind of APIs.
func (s *sources) servesAPIs() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.ContainsFunc(apiCRDs, func(crd string) bool { _, found := s.served[crd]; return found })
}

// complete tells whether all that exists has been recorded.
func (s *sources) complete() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.settled
}

func (s *sources) poke() {
	select {
	case s.wake <- struct{}{}:
	default: // one is waiting already
	}
}

// run watches until ctx ends, and returns when nothing is watched any more.
func (s *sources) run(ctx context.Context) error {
	defer s.stopAll()
	for _, crd := range allCRDs() {
		if err := s.start(ctx, "definition of "+crd, s.definition(crd)); err != nil {
			return err
		}
	}
	swept := s.settings.Metrics != oda.MetricsServiceMonitor // who annotates pods sees them all
	for {
		wait := time.Duration(0)
		if s.enough() {
			if !s.refresh(ctx) {
				wait = retryDelay
			}
		}
		s.complain()
		switch {
		case !s.enough():
			wait = syncPoll
		case s.settle() && s.servesAPIs() && !swept:
			swept = true
			if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
				s.log.Error(err, "pods may keep annotations that are due no longer")
			}
		}
		if wait == 0 && s.waits() {
			wait = retryDelay
		}
		var timer <-chan time.Time
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-timer:
		}
	}
}

// settle lets reconciles begin when everything that was started is known, or as much as routing needs, and nothing is left to
// be looked at; true when it does. When more is known later, all is reconciled again.
func (s *sources) settle() bool {
	s.mu.Lock()
	unlisted := 0
	for _, r := range s.started {
		if !r.synced() {
			unlisted++
		}
	}
	if unlisted < s.unlisted {
		s.settled = false
	}
	done := !s.settled && maps.Equal(s.offered, s.served) && s.wanted() == nil
	if done {
		s.settled, s.unlisted = true, unlisted
	}
	s.mu.Unlock()
	if done {
		s.enqueue(s.world.everything())
	}
	return done
}

// unsettle stops reconciles until more is known.
func (s *sources) unsettle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = false
}

// refresh starts and stops sources according to the definitions; false when that has to be tried again.
func (s *sources) refresh(ctx context.Context) bool {
	for _, crd := range allCRDs() {
		s.look(crd)
	}
	s.mu.RLock()
	wanted := s.wanted()
	s.mu.RUnlock()
	ok := true
	for name, w := range wanted {
		if err := s.start(ctx, name, w); err != nil {
			s.log.Error(err, "starting a watch, trying again", "resource", name)
			ok = false
		}
	}
	return ok
}

// look takes notice of how a kind is served now. Whoever watches it in another way is stopped.
func (s *sources) look(crd string) {
	s.mu.Lock()
	before, was := s.served[crd]
	now, found := s.offered[crd]
	if was == found && before == now {
		s.mu.Unlock()
		return
	}
	delete(s.served, crd)
	if found {
		s.served[crd] = now
	}
	s.settled = false
	old, watched := s.started[crd]
	delete(s.started, crd)
	s.mu.Unlock()
	if watched {
		old.stop()
		s.enqueue(old.forget())
	}
}

// wanted are the sources that should run and don't. Of kinds other than those of APIs there are none until there is an API;
// pods are also watched to take away annotations that nobody is there to want.
func (s *sources) wanted() map[string]watch {
	out := map[string]watch{}
	for _, crd := range apiCRDs {
		if offer, found := s.served[crd]; found {
			out[crd] = s.apis(offer)
		}
	}
	if len(out) > 0 && s.settings.Metrics != oda.MetricsServiceMonitor {
		out["pods"] = s.pods()
	}
	if s.world.any() {
		out["services"], out["endpointslices"] = s.services(), s.endpointSlices()
		for crd, of := range map[string]func(served) watch{
			crdVirtualService: s.routes, crdGateway: s.gateways, crdServiceMonitor: s.monitors, crdComponent: s.components,
		} {
			if offer, found := s.served[crd]; found {
				out[crd] = of(offer)
			}
		}
	}
	maps.DeleteFunc(out, func(name string, _ watch) bool { _, runs := s.started[name]; return runs })
	if len(out) == 0 {
		return nil
	}
	return out
}

// start connects the events of a source and starts its cache.
func (s *sources) start(ctx context.Context, name string, src watch) error {
	src.options.DefaultTransform = slim
	c, err := s.newCache(src.options)
	if err != nil {
		return fmt.Errorf("making the cache of %s: %w", name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	informer, err := c.GetInformer(ctx, src.object, cache.BlockUntilSynced(false))
	if err != nil {
		cancel()
		return fmt.Errorf("making the informer of %s: %w", name, err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { s.handle(o, src.set) },
		UpdateFunc: func(_, o any) { s.handle(o, src.set) },
		DeleteFunc: func(o any) { s.handle(o, src.remove) },
	})
	if err != nil {
		cancel()
		return fmt.Errorf("following the events of %s: %w", name, err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := c.Start(ctx); err != nil {
			s.log.Error(err, "watching", "resource", name)
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = false
	s.started[name] = running{
		stop: func() { cancel(); wait.Wait() }, synced: registration.HasSynced, forget: src.forget,
		optional: src.optional, since: time.Now(),
	}
	delete(s.told, name)
	return nil
}

func (s *sources) handle(o any, record func(client.Object) []oda.Key) {
	if unknown, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	if object, ok := o.(client.Object); ok {
		s.enqueue(record(object))
	}
}

func (s *sources) stopAll() {
	s.mu.Lock()
	started := s.started
	s.started, s.settled = map[string]running{}, false
	s.mu.Unlock() // who handles an event may want it
	for _, r := range started {
		r.stop()
	}
}

// definition follows one definition.
func (s *sources) definition(crd string) watch {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	offer := func(now served, found bool) []oda.Key {
		s.mu.Lock()
		delete(s.offered, crd)
		if found {
			s.offered[crd] = now
		}
		s.mu.Unlock()
		s.poke()
		return nil
	}
	return watch{
		object: object, options: cache.Options{DefaultFieldSelector: fields.OneTermEqualSelector("metadata.name", crd)},
		set: func(o client.Object) []oda.Key {
			var definition apiextensionsv1.CustomResourceDefinition
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.(*unstructured.Unstructured).Object, &definition); err != nil {
				s.log.Error(err, "decoding a definition", "definition", crd)
				return nil
			}
			return offer(servedBy(&definition))
		},
		remove: func(client.Object) []oda.Key { return offer(served{}, false) },
		forget: func() []oda.Key { return nil },
	}
}

func (s *sources) apis(offer served) watch {
	return s.custom(offer, watch{
		set: func(o client.Object) []oda.Key {
			if !s.world.any() {
				s.unsettle() // from now on more has to be watched
				defer s.poke()
			}
			return s.world.setAPI(o.(*unstructured.Unstructured))
		},
		remove: func(o client.Object) []oda.Key {
			return s.world.deleteAPI(oda.Key{Kind: offer.kind, Namespace: o.GetNamespace(), Name: o.GetName()})
		},
		forget: func() []oda.Key { return s.world.forgetAPIs(offer.kind) },
	})
}

func (s *sources) routes(offer served) watch {
	return s.custom(offer, watch{
		set:    func(o client.Object) []oda.Key { return s.world.setRoute(nameOf(o), o.(*unstructured.Unstructured)) },
		remove: func(o client.Object) []oda.Key { return s.world.setRoute(nameOf(o), nil) },
		forget: func() []oda.Key {
			return forgetAll(s.world, s.world.routes, func(n name) []oda.Key { return s.world.setRoute(n, nil) })
		},
	})
}

// gateways follows the only Gateway that the settings name, or those of its name in the namespaces of APIs.
func (s *sources) gateways(offer served) watch {
	src := s.custom(offer, watch{
		set:    func(o client.Object) []oda.Key { return s.world.setGateway(nameOf(o), o.(*unstructured.Unstructured)) },
		remove: func(o client.Object) []oda.Key { return s.world.setGateway(nameOf(o), nil) },
		forget: func() []oda.Key {
			return forgetAll(s.world, s.world.gateways, func(n name) []oda.Key { return s.world.setGateway(n, nil) })
		},
	})
	// A name without a namespace is qualified with the one given here.
	gateway := parseName(oda.QualifiedGateway(s.settings.Gateway, ""))
	src.options.DefaultFieldSelector = fields.OneTermEqualSelector("metadata.name", gateway.Name)
	if gateway.Namespace != "" {
		src.options.DefaultNamespaces = map[string]cache.Config{gateway.Namespace: {}}
	}
	return src
}

func (s *sources) monitors(offer served) watch {
	src := s.custom(offer, watch{
		set: func(o client.Object) []oda.Key {
			return s.world.setMonitor(nameOf(o), o.(*metav1.PartialObjectMetadata))
		},
		remove: func(o client.Object) []oda.Key { return s.world.setMonitor(nameOf(o), nil) },
		forget: func() []oda.Key {
			return forgetAll(s.world, s.world.monitors, func(n name) []oda.Key { return s.world.setMonitor(n, nil) })
		},
	})
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(offer.gvk())
	src.object, src.optional = object, true
	return src
}

func (s *sources) components(offer served) watch {
	return s.custom(offer, watch{
		optional: true,
		set: func(o client.Object) []oda.Key {
			return s.world.setComponent(nameOf(o), o.(*unstructured.Unstructured))
		},
		remove: func(o client.Object) []oda.Key { return s.world.setComponent(nameOf(o), nil) },
		forget: func() []oda.Key {
			return forgetAll(s.world, s.world.components, func(n name) []oda.Key { return s.world.setComponent(n, nil) })
		},
	})
}

// custom completes a source of custom resources in the watched namespaces.
func (s *sources) custom(offer served, src watch) watch {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(offer.gvk())
	src.object = object
	src.options = cache.Options{Mapper: offer.mapper(), DefaultNamespaces: s.namespaces}
	return src
}

// services follows the Services of all namespaces: those in front of gateways are not where APIs are.
func (s *sources) services() watch {
	return watch{
		object: &corev1.Service{}, forget: func() []oda.Key { return nil },
		set:    func(o client.Object) []oda.Key { return s.world.setService(nameOf(o), o.(*corev1.Service)) },
		remove: func(o client.Object) []oda.Key { return s.world.setService(nameOf(o), nil) },
	}
}

func (s *sources) endpointSlices() watch {
	return watch{
		object: &discoveryv1.EndpointSlice{}, forget: func() []oda.Key { return nil },
		options: cache.Options{DefaultNamespaces: s.namespaces},
		set:     func(o client.Object) []oda.Key { return s.world.setSlice(o.(*discoveryv1.EndpointSlice)) },
		remove:  func(o client.Object) []oda.Key { return s.world.deleteSlice(o.(*discoveryv1.EndpointSlice)) },
	}
}

func (s *sources) pods() watch {
	return watch{
		object: &corev1.Pod{}, forget: func() []oda.Key { return nil },
		options: cache.Options{DefaultNamespaces: s.namespaces},
		set:     func(o client.Object) []oda.Key { return s.world.setPod(nameOf(o), o.(*corev1.Pod)) },
		remove:  func(o client.Object) []oda.Key { return s.world.setPod(nameOf(o), nil) },
	}
}
