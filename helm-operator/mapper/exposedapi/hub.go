package exposedapi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/datapower-operator/datapower-operator/api/oda"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
)

const istioGroup = "networking.istio.io"

// syncTimeout bounds the wait for the first list of all APIs; the reconcile that gives up is retried.
const syncTimeout = 30 * time.Second

// changesAhead is how many custom resources may wait to be reconciled before those who report changes wait too.
const changesAhead = 1024

// errNotSynced says that it is not known yet who else has which path.
var errNotSynced = errors.New("the list of all APIs and VirtualServices takes too long")

// NewForeignCache returns the cache of VirtualServices that this operator has not rendered. It is to be added to the
// manager.
func NewForeignCache(cfg *rest.Config, opts cache.Options) (cache.Cache, error) {
	unmarked, err := labels.NewRequirement(inventory.OwnerUIDLabel, selection.DoesNotExist, nil)
	if err != nil {
		return nil, fmt.Errorf("select foreign VirtualServices: %w", err)
	}
	opts.DefaultLabelSelector = labels.NewSelector().Add(*unmarked)
	opts.DefaultTransform = cache.TransformStripManagedFields()
	c, err := cache.New(cfg, opts)
	if err != nil {
		return nil, fmt.Errorf("create cache of foreign VirtualServices: %w", err)
	}
	return c, nil
}

// Hub knows the claims of all APIs of all kinds, and of foreign VirtualServices. It follows their events, so that nothing is
// listed or compared while nothing changes.
type Hub struct {
	resources cache.Cache
	foreign   cache.Informers
	rest      meta.RESTMapper

	mu     sync.Mutex
	router *oda.Router
	uids   map[oda.Key]string
	kinds  map[string]*kind
	// istio is synced with foreign VirtualServices; nil while the cluster has none.
	istio func() bool
}

// kind is one kind of API that is watched.
type kind struct {
	schema.GroupVersionKind
	settings Settings
	changed  chan event.GenericEvent
	synced   func() bool
}

// NewHub returns a Hub over the cache of custom resources and the one of NewForeignCache.
func NewHub(resources cache.Cache, foreign cache.Informers, restMapper meta.RESTMapper) *Hub {
	return &Hub{
		resources: resources, foreign: foreign, rest: restMapper,
		router: oda.NewRouter(), uids: map[oda.Key]string{}, kinds: map[string]*kind{},
	}
}

// Mapper returns the mapper of a kind, which decides with the given settings. APIs of the kind count from its first use on.
func (h *Hub) Mapper(gvk schema.GroupVersionKind, s Settings) *Mapper {
	return &Mapper{hub: h, kind: &kind{GroupVersionKind: gvk, settings: s, changed: make(chan event.GenericEvent, changesAhead)}}
}

// conflict tells who has the path of an API, once all APIs are known.
func (h *Hub) conflict(ctx context.Context, k *kind, cr *unstructured.Unstructured) (oda.Conflict, bool, error) {
	if err := h.ready(ctx, k, cr.GroupVersionKind()); err != nil {
		return oda.Conflict{}, false, err
	}
	api, _ := oda.Read(cr) // what is wrong in it, the chart tells
	if !h.has(api) {
		h.set(k, cr)
		// Whoever was deleted before that has had its event already.
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(cr.GroupVersionKind())
		if err := h.resources.Get(ctx, client.ObjectKeyFromObject(cr), u); err != nil || u.GetUID() != cr.GetUID() {
			h.forget(api.Key)
			return oda.Conflict{}, false, client.IgnoreNotFound(err)
		}
	}
	c, lost := h.known(api.Key)
	return c, lost, nil
}

func (h *Hub) has(api oda.API) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.uids[api.Key] == string(api.UID)
}

func (h *Hub) known(key oda.Key) (oda.Conflict, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.router.Conflict(key)
}

// ready follows the kind's events and those of VirtualServices, and returns when all that existed is known.
func (h *Hub) ready(ctx context.Context, k *kind, gvk schema.GroupVersionKind) error {
	waits, err := h.connect(ctx, k, gvk)
	if err != nil {
		return err
	}
	for _, synced := range waits {
		if synced() {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, syncTimeout)
		done := toolscache.WaitForCacheSync(ctx.Done(), synced)
		cancel()
		if !done {
			return errNotSynced
		}
	}
	return nil
}

func (h *Hub) connect(ctx context.Context, k *kind, gvk schema.GroupVersionKind) ([]func() bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k.synced == nil {
		synced, err := follow(ctx, h.resources, gvk,
			func(u *unstructured.Unstructured) { h.set(k, u) },
			func(u *unstructured.Unstructured) { h.forget(keyOf(u)) })
		if err != nil {
			return nil, err
		}
		k.synced, h.kinds[gvk.Kind] = synced, k
	}
	if h.istio == nil {
		mapping, err := h.rest.RESTMapping(schema.GroupKind{Group: istioGroup, Kind: kindVirtualService})
		if err != nil && !meta.IsNoMatchError(err) {
			return nil, fmt.Errorf("look up %s: %w", kindVirtualService, err)
		}
		if err == nil {
			h.istio, err = follow(ctx, h.foreign, mapping.GroupVersionKind,
				func(u *unstructured.Unstructured) { h.claim(claimOf(u)) },
				func(u *unstructured.Unstructured) { h.forget(keyOf(u)) })
			if err != nil {
				return nil, err
			}
		}
	}
	var waits []func() bool
	for _, each := range h.kinds {
		waits = append(waits, each.synced)
	}
	if h.istio != nil {
		waits = append(waits, h.istio)
	}
	return waits, nil
}

// follow hands objects of a kind to set and forget, and returns a function that tells when all that were listed first
// have been.
func follow(ctx context.Context, from cache.Informers, gvk schema.GroupVersionKind, set, forget func(*unstructured.Unstructured)) (func() bool, error) {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(gvk)
	informer, err := from.GetInformer(ctx, obj, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", gvk.Kind, err)
	}
	as := func(obj any, do func(*unstructured.Unstructured)) {
		if unknown, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
			obj = unknown.Obj
		}
		if u, ok := obj.(*unstructured.Unstructured); ok {
			do(u)
		}
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { as(obj, set) },
		UpdateFunc: func(_, obj any) { as(obj, set) },
		DeleteFunc: func(obj any) { as(obj, forget) },
	})
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", gvk.Kind, err)
	}
	return registration.HasSynced, nil
}

func keyOf(u *unstructured.Unstructured) oda.Key {
	return oda.Key{Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
}

// set records an API.
func (h *Hub) set(k *kind, u *unstructured.Unstructured) {
	api, _ := oda.Read(u)
	h.mu.Lock()
	h.uids[api.Key] = string(api.UID)
	h.mu.Unlock()
	h.claim(k.settings.ClaimOf(api))
}

// claim records a claim and has those reconciled whose fate it changes, the claimant included.
func (h *Hub) claim(c oda.Claim) {
	h.mu.Lock()
	before, lostBefore := h.router.Conflict(c.Key)
	touched := h.router.Set(c)
	after, lostAfter := h.router.Conflict(c.Key)
	if before != after || lostBefore != lostAfter {
		touched = append(touched, c.Key)
	}
	h.mu.Unlock()
	h.notify(touched)
}

func (h *Hub) forget(key oda.Key) {
	h.mu.Lock()
	delete(h.uids, key)
	touched := h.router.Delete(key)
	h.mu.Unlock()
	h.notify(touched)
}

// notify has custom resources reconciled.
func (h *Hub) notify(keys []oda.Key) {
	for _, key := range keys {
		h.mu.Lock()
		k := h.kinds[key.Kind]
		h.mu.Unlock()
		if k == nil {
			continue // a foreign VirtualService
		}
		m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
		k.changed <- event.GenericEvent{Object: m}
	}
}
