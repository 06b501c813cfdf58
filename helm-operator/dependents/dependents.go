// Package dependents watches the objects that releases consist of, as metadata only and only those
// that carry an owner mark, and maps their events to the custom resource they belong to.
package dependents

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/operator-framework/operator-lib/handler"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/kinds"
	"github.com/datapower-operator/datapower-operator/helm-operator/release"
)

var secretGVK = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}

// NewCache returns the cache of dependents: metadata of objects with an owner mark in the given
// namespaces (all when there are none), compacted. It is to be added to the manager.
func NewCache(cfg *rest.Config, opts cache.Options) (cache.Cache, error) {
	marked, err := labels.NewRequirement(inventory.OwnerUIDLabel, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("select dependents: %w", err)
	}
	opts.DefaultLabelSelector = labels.NewSelector().Add(*marked)
	opts.DefaultTransform = func(obj any) (any, error) {
		if m, ok := obj.(*metav1.PartialObjectMetadata); ok {
			inventory.Compact(m)
		}
		return obj, nil
	}
	c, err := cache.New(cfg, opts)
	if err != nil {
		return nil, fmt.Errorf("create cache of dependents: %w", err)
	}
	return c, nil
}

// Watcher knows the dependents of one kind of custom resource.
type Watcher struct {
	cache      cache.Cache
	controller controller.Controller
	owner      schema.GroupVersionKind
	events     bool
	kinds      *kinds.Starter
}

// NewWatcher returns a Watcher for custom resources of kind owner. With events false dependents are cached but
// don't trigger reconciles (watchDependentResources: false).
func NewWatcher(c cache.Cache, ctrl controller.Controller, owner schema.GroupVersionKind, events bool) *Watcher {
	w := &Watcher{cache: c, controller: ctrl, owner: owner, events: events}
	w.kinds = kinds.NewStarter(c, w.watch)
	return w
}

// Ensure starts watching the kinds of refs that are not watched yet and returns when they are in
// the cache.
func (w *Watcher) Ensure(ctx context.Context, refs []inventory.Ref) error {
	gvks := make([]schema.GroupVersionKind, 0, len(refs))
	for _, ref := range refs {
		gvks = append(gvks, ref.GroupVersionKind)
	}
	return w.kinds.Ensure(ctx, gvks...)
}

func (w *Watcher) watch(obj *metav1.PartialObjectMetadata) error {
	if !w.events {
		return nil
	}
	return w.controller.Watch(kinds.Source(w.cache, obj, w.requests))
}

// requests asks to reconcile the custom resource of an object that may have drifted: one that was deleted, or in which
// something changed that a chart can render. What a reconcile created itself is verified already.
func (w *Watcher) requests(before, after *metav1.PartialObjectMetadata) []reconcile.Request {
	switch {
	case before == nil:
		return nil
	case after == nil:
		return w.owners(before)
	case inventory.Fingerprint(before) == inventory.Fingerprint(after):
		return nil
	}
	out := w.owners(before)
	for _, request := range w.owners(after) {
		if !slices.Contains(out, request) {
			out = append(out, request)
		}
	}
	return out
}

// owners finds the custom resource that an object belongs to: by its controlling owner
// reference, else by the operator-sdk's owner annotations.
func (w *Watcher) owners(obj *metav1.PartialObjectMetadata) []reconcile.Request {
	if c := metav1.GetControllerOf(obj); c != nil {
		gv, err := schema.ParseGroupVersion(c.APIVersion)
		if err != nil || gv.Group != w.owner.Group || c.Kind != w.owner.Kind {
			return nil
		}
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: obj.GetNamespace(), Name: c.Name}}}
	}
	if obj.GetAnnotations()[handler.TypeAnnotation] != w.owner.GroupKind().String() {
		return nil
	}
	namespace, name, ok := strings.Cut(obj.GetAnnotations()[handler.NamespacedNameAnnotation], "/")
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}}
}

// Get returns the cached metadata of a dependent; false when it is not there (or has lost its
// owner mark, which is drift as well). Any other failure of the cache is an error: it says nothing of the object.
func (w *Watcher) Get(ctx context.Context, ref inventory.Ref) (*metav1.PartialObjectMetadata, bool, error) {
	obj := &metav1.PartialObjectMetadata{}
	obj.SetGroupVersionKind(ref.GroupVersionKind)
	err := w.cache.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, obj)
	switch {
	case apierrors.IsNotFound(err):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("look up %s: %w", ref, err)
	}
	return obj, true, nil
}

// Revision is what the labels and annotations of a release Secret tell.
type Revision struct {
	Version int
	Status  string
	Digest  string
	// Inventory lists the objects (see inventory.Encode), "" when that is not known.
	Inventory string
}

// Release is what the cache shows of a stored release.
type Release struct {
	// Mark changes with every write to one of the release Secrets.
	Mark string
	// Latest is the newest revision; its Version is 0 when there is none.
	Latest Revision
}

// Release looks at the release Secrets of a custom resource in the cache.
func (w *Watcher) Release(ctx context.Context, namespace string, owner types.UID) (Release, error) {
	if err := w.Ensure(ctx, []inventory.Ref{{GroupVersionKind: secretGVK}}); err != nil {
		return Release{}, err
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "SecretList"})
	err := w.cache.List(ctx, list, client.InNamespace(namespace),
		client.MatchingLabels{inventory.OwnerUIDLabel: string(owner), "owner": "helm"})
	if err != nil {
		return Release{}, fmt.Errorf("list release Secrets: %w", err)
	}
	var out Release
	marks := make([]string, 0, len(list.Items))
	for _, s := range list.Items {
		marks = append(marks, s.Name+"@"+s.ResourceVersion)
		version, err := strconv.Atoi(s.Labels["version"])
		if err == nil && version > out.Latest.Version {
			out.Latest = Revision{
				Version: version, Status: s.Labels["status"], Digest: s.Labels[release.DigestLabel],
				Inventory: s.Annotations[inventory.Annotation],
			}
		}
	}
	slices.Sort(marks)
	out.Mark = strings.Join(marks, " ")
	return out, nil
}
